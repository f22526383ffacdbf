"""What a condition of a resource policy says of one request: three-valued, operator by operator.

A truth is `True`, `False`, or the reason, as a string, why neither can be said (Kleene): an unknown part never decides,
and never hides what the other parts decide without it.

Source, by page title, IAM User Guide: "IAM JSON policy elements: Condition operators", "Creating a condition with
multiple keys or values", "IAM policy elements: Variables and tags".
"""

import base64
import ipaddress
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

Truth = bool | str
"""`True`, `False`, or why neither can be said."""

Context = dict[str, tuple[str, ...] | None]
"""Condition keys in lower case; `None` where AWS sends the key and its value is not known."""

Resolve = Callable[[str, bool], str]
"""From a text of the policy, and whether its `*` and `?` are wildcards, to a pattern for `glob`."""

_Test = Callable[[str, str, Resolve], bool]  # accepted value, actual value; ValueError: undecidable, and why

_SPECIAL = re.compile(r"[\\*?]")
_VARIABLE = re.compile(r"[\\*?]|\$\{(?:([*?$])\}|([^{}',]+)(?:, *'([^']*)')?\})?")


class Condition(NamedTuple):
    """One operator on one key, with the values it is compared with."""

    operator: str
    key: str
    values: tuple[str, ...]

    @property
    def text(self) -> str:
        """The condition for a reader."""
        return f"{self.operator} {self.key}: {' or '.join(self.values) or 'no value'}"


def all_of(truths: Iterable[Truth]) -> Truth:
    """Return whether all hold: one that surely does not decides, else one that is not known leaves it open."""
    seen = list(truths)
    return False if False in seen else next((t for t in seen if t is not True), True)


def any_of(truths: Iterable[Truth]) -> Truth:
    """Return whether any holds: one that surely does decides, else one that is not known leaves it open."""
    seen = list(truths)
    return True if True in seen else next((t for t in seen if t is not False), False)


def negation(truth: Truth) -> Truth:
    """Return the opposite; what is not known stays so."""
    return truth if isinstance(truth, str) else not truth


def decide(test: Callable[..., bool], *values: object) -> Truth:
    """Return what a test says; a `ValueError` of it is why that is not known."""
    try:
        return test(*values)
    except ValueError as error:
        return str(error)


def holds(condition: Condition, context: Context, resolve: Resolve) -> Truth:
    """Return whether a condition holds: values are ORed, and for a negated operator NORed.

    Source: "Condition operators" (an absent key: false, true if negated, true with IfExists; Null), "Creating a
    condition with multiple keys or values" (set operators: of no value, or only the empty string, ForAllValues is true
    and ForAnyValue false). Operator names are taken as AWS spells them: no page says that their case is free.
    """
    quantifier, _, name = condition.operator.rpartition(":")
    base = name.removesuffix("IfExists")
    negated = base in _NEGATED
    test = _TESTS["Bool"] if condition.operator == "Null" else _TESTS.get(_NEGATED.get(base, base))
    values = context.get(condition.key.lower(), ())
    if not test or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        return f"the operator {condition.operator!r} is not known"
    if values is None:
        return f"the value of {condition.key} is not known"
    if condition.operator == "Null":
        values = ("false" if any(values) else "true",)
    elif quantifier and not any(values):
        return quantifier == "ForAllValues" or (not values and name != base)
    elif not values:
        return negated or name != base
    found = [any_of(decide(test, wanted, actual, resolve) for wanted in condition.values) for actual in values]
    truths = [negation(truth) for truth in found] if negated else found
    if quantifier:
        return all_of(truths) if quantifier == "ForAllValues" else any_of(truths)
    return truths[0] if len(set(truths)) == 1 else f"{condition.key} has several values but the operator takes one"


def folded(context: Mapping[str, str | Sequence[str] | None]) -> Context:
    """Return the context with keys in lower case ("Condition": key names are not case-sensitive)."""
    folded: Context = {}
    for key, value in context.items():
        values = (value,) if isinstance(value, str) else None if value is None else tuple(value)
        known = folded.get(key.lower(), ())
        folded[key.lower()] = None if known is None or values is None else tuple(dict.fromkeys(known + values))
    return folded


def resolver(version: str, context: Context) -> Resolve:
    """Return what turns a text of the policy into a pattern, with its policy variables replaced.

    "Variables and tags": only single-valued keys serve, `${*}`, `${?}` and `${$}` stand for themselves, a default
    follows a comma; before version 2012-10-17 a variable is plain text. Whether a variable without a value fails its
    condition or the whole statement is documented both ways, so it stays undecided.
    """

    def resolve(text: str, wild: bool) -> str:
        def replaced(match: re.Match[str]) -> str:
            if match[0] in "\\*?":
                return match[0] if wild and match[0] != "\\" else "\\" + match[0]
            literal, key, default = match.groups()
            values = (literal,) if literal else context.get(key.lower(), ()) if key else None
            if values == () and default is not None:
                values = (default,)
            if values is None or len(values) != 1:
                raise ValueError(f"a policy variable of {text!r} has no single known value")
            return _SPECIAL.sub(r"\\\g<0>", values[0])

        return (_SPECIAL if version < "2012" else _VARIABLE).sub(replaced, text)

    return resolve


def plain(text: str) -> str:
    """Return a text of the policy as a pattern in which only `*` and `?` are special."""
    return text.replace("\\", "\\\\")


def glob(pattern: str, text: str, flags: re.RegexFlag = re.NOFLAG) -> bool:
    r"""Return whether the text matches: `*` is any characters, `?` is one, a backslash takes the next one literally.

    After a `*` the leftmost match of the next piece is also the best one, so that an atomic group keeps it and nothing
    is ever tried twice, whatever the pattern.
    """
    pieces = [""]
    for char in re.findall(r"\\.|.", pattern, re.DOTALL):
        if char == "*":
            pieces.append("")
        else:
            pieces[-1] += "." if char == "?" else re.escape(char[-1])
    first, *rest = pieces
    tail = "".join(f"(?>.*?{piece})" for piece in rest[:-1] if piece) + f".*{rest[-1]}" if rest else ""
    return re.fullmatch(first + tail, text, flags | re.DOTALL) is not None


def _string(*, wild: bool, flags: re.RegexFlag = re.NOFLAG) -> _Test:
    return lambda wanted, actual, resolve: glob(resolve(wanted, wild), actual, flags)


def arn_like(wanted: str, actual: str, resolve: Resolve) -> bool:
    """Return whether each of the six parts of an ARN matches; ArnEquals and ArnLike behave identically."""
    pattern = resolve(wanted, True)
    parts, names = pattern.split(":", 5), actual.split(":", 5)
    if len(parts) == len(names) == 6:
        return all(map(glob, parts, names))
    if glob(pattern, actual):  # a * across parts: the pages say only what it means within one
        raise ValueError(f"{wanted!r} does not have the six parts of an ARN")
    return False


def _compared(parse: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> _Test:
    return lambda wanted, actual, _: compare(parse(actual), parse(wanted))


def _in_network(wanted: str, actual: str, _: Resolve) -> bool:
    if ":" in wanted and "/" not in wanted:
        raise ValueError(f"{wanted!r} has no prefix length")  # the page's default, /32, is meant for IPv4
    return ipaddress.ip_address(actual) in ipaddress.ip_network(wanted)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is no boolean")
    return text.lower() == "true"


def _number(text: str) -> Decimal:
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text):
        raise ValueError(f"{text!r} is no number")
    return Decimal(text)


def _instant(text: str) -> datetime:
    """Return a date of the W3C profile of ISO 8601, or in epoch seconds; a date alone is its first moment in UTC."""
    if re.fullmatch("[0-9]{9,11}", text):
        return datetime.fromtimestamp(int(text), UTC)
    instant = datetime.fromisoformat(text) if re.match("[0-9]{4}-[0-9]{2}-[0-9]{2}(T|$)", text) else None
    if instant is None or (instant.tzinfo is None and "T" in text):
        raise ValueError(f"{text!r} is no date with a time zone")
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


_TESTS: dict[str, _Test] = {
    "StringEquals": _string(wild=False),
    "StringEqualsIgnoreCase": _string(wild=False, flags=re.IGNORECASE),
    "StringLike": _string(wild=True),
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
    "Bool": _compared(_boolean, operator.eq),
    "BinaryEquals": _compared(lambda text: base64.b64decode(text, validate=True), operator.eq),
    "IpAddress": _in_network,
}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
_TESTS |= {f"Numeric{name}": _compared(_number, compare) for name, compare in _COMPARISONS.items()}
_TESTS |= {f"Date{name}": _compared(_instant, compare) for name, compare in _COMPARISONS.items()}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}
