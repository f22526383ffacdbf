"""What a resource policy (KMS key policy, S3 bucket policy) decides for one concrete request.

A decision is only ever what AWS documents; where the documents leave it open, or the policy can't be read, it is
UNKNOWN. Every test is three-valued (Kleene): `True`, `False`, or the reason, as a string, why neither can be said. So
an unknown part never decides, and never hides what the other parts decide without it.

Not judged: identity policies, service and resource control policies, grants, ACLs, public access blocks. A principal
of another account needs its own account's permission besides.

Source, by page title: IAM User Guide "Policy evaluation logic", "IAM JSON policy elements: Condition operators",
"... Effect", "... Action", "... NotAction", "... Resource", "... Version", "AWS JSON policy elements: Principal",
"... NotPrincipal", "Creating a condition with multiple keys or values", "IAM policy elements: Variables and tags",
"AWS global condition context keys", "Grammar of the IAM JSON policy language"; KMS Developer Guide "Key policies" and
"Creating a key policy"; S3 User Guide "Bucket policies".
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Self, TypeVar

from kit.conditions import (
    Condition,
    Context,
    Resolve,
    Truth,
    all_of,
    any_of,
    arn_like,
    decide,
    folded,
    glob,
    holds,
    negation,
    plain,
    resolver,
)
from kit.errors import EvidenceError, ParameterError

_T = TypeVar("_T")

_ASKER = re.compile(
    r"arn:[a-z-]+:(iam::[0-9]{12}:(root|(user|role)/[^*?]+)"
    r"|sts::[0-9]{12}:(assumed-role/[^/*?]+|federated-user)/[^/*?]+)"
)
_IAM_ARN = re.compile(r"arn:([a-z-]+):(?:iam|sts)::([^:*?]+):(?:root|([a-z-]+)/([^*?]+))")
_ID = re.compile(r"[0-9]{12}|A[A-Z]{3}[A-Z0-9]{12,}")  # of an account, or of an identity
_ELEMENTS = frozenset(
    ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
)


class PolicyError(EvidenceError):
    """A policy can't be read as one: no JSON object, a duplicate key, no statement, an element of the wrong type."""


class Decision(StrEnum):
    """What the policy decides; `DELEGATED`: an account principal leaves it to that account's identity policies."""

    ALLOWED = "ALLOWED"
    DELEGATED = "DELEGATED"
    DENIED = "DENIED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Principal:
    """Who asks: an AWS service, an IAM identity by its ARN, or someone anonymous."""

    kind: str
    name: str

    @classmethod
    def service(cls, name: str) -> Self:
        """Return an AWS service acting as itself, such as `cloudtrail.amazonaws.com`."""
        return cls("service", name)

    @classmethod
    def role(cls, arn: str) -> Self:
        """Return the IAM user, role, role session, federated user or account root of an ARN; a role is any session.

        Raises:
            ParameterError: the text is the ARN of none of these.
        """
        if not _ASKER.fullmatch(arn):
            raise ParameterError(f"{arn!r} is not the ARN of an IAM principal", "give a user, role, session or root")
        return cls("iam", arn)

    @classmethod
    def anonymous(cls) -> Self:
        """Return someone without credentials."""
        return cls("anonymous", "anonymous")

    @property
    def partition(self) -> str:
        """The partition of an IAM identity: `aws`, `aws-cn`, `aws-us-gov`; of any other, the empty string."""
        return self.name.split(":")[1] if self.kind == "iam" else ""

    @property
    def account(self) -> str:
        """The account of an IAM identity; of any other, the empty string."""
        return self.name.split(":")[4] if self.kind == "iam" else ""

    @property
    def path(self) -> list[str]:
        """What an IAM identity's ARN says after the account, for example `["assumed-role", "reader", "session"]`."""
        return self.name.split(":", 5)[-1].split("/")

    @property
    def context(self) -> Context:
        """The condition keys that AWS itself sends for this principal ("AWS global condition context keys").

        They hold unless the request says otherwise, so that a condition on the identity is never judged as if the
        identity had none. A session's ARN lacks the path of its role, which leaves its `aws:PrincipalArn` not known.
        """
        if self.kind == "anonymous":
            return {"aws:principalaccount": ("anonymous",)}
        keys: Context = dict.fromkeys(("aws:principalaccount", "aws:principalarn", "aws:principaltype", "aws:userid"))
        keys["aws:principalisawsservice"] = (str(self.kind == "service").lower(),)
        if self.kind == "service":
            return keys | {"aws:principalservicename": (self.name,)}
        keys["aws:principalaccount"] = keys["kms:calleraccount"] = (self.account,)
        return keys if self.path[0] == "assumed-role" else keys | {"aws:principalarn": (self.name,)}


@dataclass(frozen=True)
class Request:
    """One concrete request. Context keys are case-insensitive; a key not present is absent, `None` is not known."""

    principal: Principal
    action: str
    resource: str
    context: Mapping[str, str | Sequence[str] | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """The decision, the statements it rests on, the reason in one sentence, and whether a Deny statement denied."""

    decision: Decision
    statements: tuple[str, ...]
    reason: str
    explicit: bool = False


class Named(NamedTuple):
    """One entry of a Principal element: its type (`AWS`, `Service`, ..., `*` for the bare wildcard) and value."""

    type: str
    value: str

    @property
    def text(self) -> str:
        """The entry for a reader: `everyone`, an ARN or account, or the type and the value."""
        if self.value == "*" and self.type in ("*", "AWS"):
            return "everyone"
        return self.value if self.type in ("AWS", "Service") else f"{self.type} {self.value}"


@dataclass(frozen=True)
class Statement:
    """One statement as written: an element it lacks is `None`, and `problems` say what else in it can't be read."""

    label: str
    sid: str
    effect: str
    principals: tuple[Named, ...] | None
    not_principals: tuple[Named, ...] | None
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    conditions: tuple[Condition, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Grantee:
    """Whom an Allow statement names and under which conditions; not `certain` if the statement may not reach so far."""

    statement: str
    principal: str
    conditions: tuple[str, ...]
    certain: bool


@dataclass(frozen=True)
class Policy:
    """A resource policy: the version of its language, and its statements in order."""

    version: str
    statements: tuple[Statement, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the policy in a JSON text. What reads as a policy but means nothing documented is kept, as UNKNOWN.

        Raises:
            PolicyError: no JSON object, a duplicate key, an unknown version or top-level element, no statement, or an
                element of the wrong type.
        """
        try:
            # int refuses NaN and Infinity, which Python reads and JSON does not have.
            document = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=int)
        except (ValueError, RecursionError) as error:
            raise _unreadable(f"it is no JSON text: {error}") from error
        body = _object(document, "it")
        if body.keys() - {"Version", "Id", "Statement"}:
            raise _unreadable(f"it has elements other than Version, Id and Statement: {', '.join(sorted(body))}")
        version = body.get("Version", "2008-10-17")
        if version not in ("2008-10-17", "2012-10-17"):
            raise _unreadable(f"its Version is {version!r}")
        statements = body.get("Statement")
        statements = [statements] if isinstance(statements, dict) else statements
        if not isinstance(statements, list) or not statements:
            raise _unreadable("it has no Statement")
        return cls(version, tuple(_statement(f"statement {n}", s) for n, s in enumerate(statements, 1)))


def evaluate(policy: Policy, request: Request) -> Evaluation:
    """Return what the policy decides for the request: a Deny wins, then an Allow, then a delegation; else a denial.

    ALLOWED and DELEGATED come back only if no Deny can match; DENIED only if a Deny surely matches (`explicit`), or no
    Allow can. Anything else is UNKNOWN, with the statements that can't be judged. Source: "Policy evaluation logic".
    """
    context = request.principal.context | folded(request.context)
    matches = [(s, *_match(s, request, context, resolver(policy.version, context))) for s in policy.statements]
    # An unreadable Effect counts as both; its problem keeps the match from ever being sure.
    denies = [(s.label, any_of((direct, account))) for s, direct, account in matches if s.effect != "Allow"]
    allows = [(s.label, direct) for s, direct, _ in matches if s.effect != "Deny"]
    delegations = [(s.label, account) for s, _, account in matches if s.effect != "Deny"]
    denied, allowed, delegated = (any_of(truth for _, truth in group) for group in (denies, allows, delegations))
    who, what = request.principal, f"{request.action} on {request.resource}"
    if denied is True:
        labels = _labels(denies)
        return Evaluation(
            Decision.DENIED, labels, f"{who.name} is denied {what} by {', '.join(labels)}.", explicit=True
        )
    if allowed is False and delegated is False:
        return Evaluation(Decision.DENIED, (), f"{who.name} is allowed {what} by no statement.")
    if denied is False and allowed is True:
        labels = _labels(allows)
        return Evaluation(Decision.ALLOWED, labels, f"{who.name} is allowed {what} by {', '.join(labels)}.")
    if denied is False and allowed is False and delegated is True:
        labels = _labels(delegations)
        reason = f"{', '.join(labels)}: whether {who.name} may do {what} is left to account {who.account}."
        return Evaluation(Decision.DELEGATED, labels, reason)
    unsure = {label: truth for label, truth in (*delegations, *allows, *denies) if isinstance(truth, str)}
    why = "; ".join(f"{label}: {truth}" for label, truth in unsure.items())
    return Evaluation(Decision.UNKNOWN, tuple(unsure), f"Whether {who.name} may do {what} can't be decided: {why}.")


def grantees(policy: Policy, action: str, resource: str) -> tuple[Grantee, ...]:
    """Return everyone an Allow statement names for the action on the resource, in the order of the policy.

    Conditions are told and not evaluated; Deny statements are not subtracted. A statement that can't be read for sure
    is listed as not `certain`, so that nobody who may have access is left out.
    """
    found: list[Grantee] = []
    resolve = resolver(policy.version, {})
    for s in policy.statements:
        reach = all_of((*s.problems, _acts(s, action), _reaches(s, resource, resolve)))
        if s.effect == "Deny" or reach is False:
            continue
        names = [entry.text for entry in s.principals or ()]
        if s.not_principals is not None:
            names.append(f"everyone except {', '.join(entry.text for entry in s.not_principals) or 'nobody'}")
        elif s.principals is None:
            names.append("nobody by name")
        certain = reach is True and (s.principals is None) != (s.not_principals is None)
        conditions = tuple(condition.text for condition in s.conditions)
        found += [Grantee(s.label, name, conditions, certain) for name in names]
    return tuple(found)


def _statement(label: str, value: Any) -> Statement:
    body = _object(value, label)
    effect, sid = body.get("Effect", ""), body.get("Sid", "")
    if not isinstance(effect, str) or not isinstance(sid, str):
        raise _unreadable(f"the Effect or Sid of {label} is no string")
    problems = [f"the element {name!r} is not known" for name in sorted(body.keys() - _ELEMENTS)]
    if effect not in ("Allow", "Deny"):  # "Effect": the value is case-sensitive
        problems.append(f"its Effect is {effect!r}")

    def read(element: str, kind: Callable[[Any, str], _T]) -> _T | None:
        return kind(body[element], label) if element in body else None

    return Statement(
        label=f'statement "{sid}"' if sid else label,
        sid=sid,
        effect=effect,
        principals=read("Principal", _principals),
        not_principals=read("NotPrincipal", _principals),
        actions=read("Action", _texts),
        not_actions=read("NotAction", _texts),
        resources=read("Resource", _texts),
        not_resources=read("NotResource", _texts),
        conditions=tuple(
            Condition(name, key, _texts(values, label, scalars=True))
            for name, keys in _object(body.get("Condition", {}), label).items()
            for key, values in _object(keys, label).items()
        ),
        problems=tuple(problems),
    )


def _principals(value: Any, where: str) -> tuple[Named, ...]:
    if value == "*":
        return (Named("*", "*"),)
    body = _object(value, where)
    if unknown := body.keys() - {"AWS", "Service", "Federated", "CanonicalUser"}:
        raise _unreadable(f"{where} has a principal of type {min(unknown)!r}")
    return tuple(Named(kind, text) for kind, texts in body.items() for text in _texts(texts, where))


def _texts(value: Any, where: str, *, scalars: bool = False) -> tuple[str, ...]:
    """Return one value or a list of them as strings; "Grammar": quotes are optional for numbers and booleans."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(v, str | int | float if scalars else str) for v in values):
        raise _unreadable(f"an element of {where} is no string and no list of strings")
    return tuple(str(v).lower() if isinstance(v, bool) else str(v) for v in values)


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _unreadable(f"{where} is, or holds, something else where a JSON object must be")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) < len(pairs):  # "Grammar": no element may contain the same key twice; which one AWS would take is open
        raise _unreadable(f"it has one of these keys twice: {', '.join(sorted(body))}")
    return body


def _unreadable(problem: str) -> PolicyError:
    return PolicyError(f"the policy can't be read: {problem}", "compare it with the policy that the AWS console shows")


def _labels(group: list[tuple[str, Truth]]) -> tuple[str, ...]:
    return tuple(label for label, truth in group if truth is True)


def _match(s: Statement, request: Request, context: Context, resolve: Resolve) -> tuple[Truth, Truth]:
    """Return whether the statement matches the request: naming the asker itself, and only through its account."""
    conditions = (holds(condition, context, resolve) for condition in s.conditions)
    rest = all_of((*s.problems, _acts(s, request.action), _reaches(s, request.resource, resolve), *conditions))
    direct, account = _who(s, request.principal)
    return all_of((direct, rest)), all_of((account, rest))


def _acts(s: Statement, action: str) -> Truth:
    """Action: prefix and name are case-insensitive, with wildcards; NotAction is everything but its list."""
    return _listed(s.actions, s.not_actions, "Action", lambda text: glob(plain(text), action, re.IGNORECASE | re.ASCII))


def _reaches(s: Statement, resource: str, resolve: Resolve) -> Truth:
    """Resource: case-sensitive, with wildcards in each part of the ARN; in a key policy "*" means this key."""
    return _listed(
        s.resources, s.not_resources, "Resource", lambda text: text == "*" or arn_like(text, resource, resolve)
    )


def _listed(
    these: tuple[str, ...] | None, others: tuple[str, ...] | None, name: str, test: Callable[[str], bool]
) -> Truth:
    if (these is None) == (others is None):
        return f"it does not have either {name} or Not{name}"
    found = any_of(decide(test, text) for text in these or others or ())
    return found if others is None else negation(found)


def _who(s: Statement, asker: Principal) -> tuple[Truth, Truth]:
    """Return whether the statement covers the asker itself, and whether it covers the asker's account."""
    entries = s.principals if s.principals is not None else s.not_principals
    if entries is None or None not in (s.principals, s.not_principals):
        return "it does not have either Principal or NotPrincipal", False
    named = [_names(entry, asker) for entry in entries]
    direct, account = any_of(itself for itself, _ in named), any_of(through for _, through in named)
    if s.principals is not None:
        return direct, account
    texts = {entry.value for entry in entries}
    if direct is False:  # "NotPrincipal": a Deny spares the named only, be it in an account that is named too
        return "its NotPrincipal names the account only" if account is not False and s.effect != "Deny" else True, False
    if direct is not True or s.effect == "Allow" or asker.kind != "iam" or asker.path == ["root"] or "*" in texts:
        return negation(direct), False
    # "NotPrincipal" with Deny: AWS may check the account, then the role, then the session; all of them must be named.
    session = asker.path[0] == "assumed-role"
    role = any(_names_identity(text, asker)[0] is True for text in texts - {asker.name})
    spared = account is True and asker.path[0] != "role" and (not session or (role and asker.name in texts))
    return False if spared else "its NotPrincipal does not name each of the session, the role and the account", False


def _names(entry: Named, asker: Principal) -> tuple[Truth, Truth]:
    """Return whether a Principal entry names the asker itself, and whether it names the asker's account."""
    direct: Truth = False
    match entry.type, asker.kind:
        case "*", _:  # services too: "aws:PrincipalIsAWSService" is documented to exempt them from such a Deny
            direct = True
        case "AWS", "iam":
            return _names_identity(entry.value, asker)
        case "AWS", "anonymous":  # "All principals": for anonymous users "*" and {"AWS": "*"} are equivalent
            direct = entry.value == "*"
        case "AWS", _ if entry.value == "*":
            direct = 'whether {"AWS": "*"} covers AWS services is not documented'
        case "Service", "service":
            direct = "its service is a wildcard" if "*" in entry.value else entry.value == asker.name
        case (("Federated" | "CanonicalUser"), "iam"):
            direct = f"whether a {entry.type} principal is the asker can't be told from an ARN"
    return direct, False


def _names_identity(value: str, asker: Principal) -> tuple[Truth, Truth]:
    """Return whether an `AWS` entry names an IAM identity itself, and whether it names the account.

    "Principal": an account's ARN and its id delegate alike, and stand for the root user too ("Creating a key policy").
    "NotPrincipal": to deny an account is to deny every identity in it.
    """
    account = value in {asker.account, f"arn:{asker.partition}:iam::{asker.account}:root"}
    if value in {"*", asker.name} or (account and asker.path == ["root"]):
        return True, False
    return (False, True) if account else (_names_role_of(value, asker), False)


def _names_role_of(value: str, asker: Principal) -> Truth:
    """Return whether an `AWS` entry, not the asker's own ARN, covers the asker: a role's ARN covers its sessions.

    "Principal": a wildcard can't be part of a name or ARN; a unique id is what remains of a deleted identity.
    """
    found = _IAM_ARN.fullmatch(value)
    if not found:
        parts = value.split(":")
        elsewhere = len(parts) > 4 and not glob(plain(parts[4]), asker.account)
        return False if elsewhere or _ID.fullmatch(value) else f"the principal {value!r} can't be read"
    if (found[1], found[2]) != (asker.partition, asker.account):
        return False
    match asker.path, found[3]:
        case ["assumed-role", name, _], "role":  # role names are unique in an account; a session's ARN lacks the path
            return found[4].split("/")[-1] == name
        case ["role", *_, name], "assumed-role" if found[4].split("/")[0] == name:
            return "its principal is one session of the role"
        case ["federated-user", *_], "user":
            return "whose federated session it is can't be told from the ARN"
    return False
