"""Reads the syntax of PDF (ISO 32000-2, 7.2 and 7.3) more strictly than a viewer: what has two readings is refused.

No comment, no name written in two ways, no key given twice, no generation but 0: neither WeasyPrint nor pyHanko writes
them, and each is a way to show one reader what another does not see.
"""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple, Never

Value = Any
"""`None`, `bool`, `int`, `float`, `bytes` (a string), `Name`, `Reference`, `list`, or `dict` with keys of `str`."""

SPACES = rb"\t\n\r "
_DEEPEST = 40
_REGULAR = rb"[^\x00\t\n\x0c\r ()<>\[\]{}/%]"
_TOKEN = re.compile(
    rb"[%(space)s]*+(?:"
    rb"(?P<reference>\d{1,10}[%(space)s]++\d{1,5}[%(space)s]++R(?!%(regular)s))"
    rb"|(?P<number>[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?!%(regular)s))"
    rb"|/(?P<name>(?:(?=[!-~])%(regular)s)*+)"
    rb"|\((?P<literal>[^()\\\r]*+)\)"
    rb"|(?P<text>\()"
    rb"|(?P<dictionary><<)"
    rb"|<(?P<hex>[0-9A-Fa-f%(space)s]*+)>"
    rb"|(?P<array>\[)"
    rb"|(?P<word>true|false|null)(?!%(regular)s)"
    rb"|(?P<end>>>|\]))" % {b"space": SPACES, b"regular": _REGULAR}
)
_TEXT_PART = re.compile(rb"[^()\\\r]++|[()]|\r\n?|\\(?:[0-7]{1,3}|\r\n|.)", re.DOTALL)
_ESCAPED = re.compile(rb"#([0-9A-Fa-f]{2})|#")
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b"", b"\r": b"", b"\r\n": b""}
_WORDS = {b"true": True, b"false": False, b"null": None}
_END = object()


class SyntaxProblem(Exception):
    """The bytes are not what this reader takes for PDF; it never leaves the readers, who name the file."""


class Name(str):
    """A name of PDF, without its solidus."""

    __slots__ = ()


class Reference(NamedTuple):
    """A reference to an indirect object, of generation 0."""

    number: int


class HexString(bytes):
    """A string that was written in hexadecimal; `start` and `end` are where in the file its angle brackets are."""

    start: int
    end: int


@dataclass(frozen=True)
class Stream:
    """A stream: the number of its object, its dictionary, and where in the file its bytes lie."""

    number: int
    entries: dict[str, Value]
    start: int
    length: int


def parse(data: bytes, position: int, base: int = 0) -> tuple[Value, int]:
    """Return the value that starts at a position, and the position after it; `base` is where in the file `data` starts.

    Raises:
        SyntaxProblem: there is none, or it runs over the end of the data.
    """
    value, after = _value(data, position, base, 0)
    if value is _END:
        _refuse("a bracket closes what was not opened", position + base)
    return value, after


def text_of(value: Value) -> str:
    """Return the text of a string: UTF-16BE with its mark, else ASCII.

    Raises:
        SyntaxProblem: it is no string, or of another encoding.
    """
    try:
        if isinstance(value, bytes):
            return value[2:].decode("utf-16-be") if value.startswith(b"\xfe\xff") else value.decode("ascii")
    except UnicodeDecodeError as error:
        raise SyntaxProblem("a text is neither ASCII nor UTF-16") from error
    raise SyntaxProblem("there is no text where one belongs")


def _value(data: bytes, position: int, base: int, depth: int) -> tuple[Value, int]:
    match = _TOKEN.match(data, position)
    if match is None or depth > _DEEPEST:
        _refuse("no value, or one nested too deeply,", position + base)
    kind, after = str(match.lastgroup), match.end()
    token: bytes = match[kind]
    made: tuple[Value, int]
    if kind == "array":
        made = _array(data, after, base, depth + 1)
    elif kind == "dictionary":
        made = _dictionary(data, after, base, depth + 1)
    elif kind == "text":
        made = _text(data, after, base)
    elif kind == "hex":
        made = _hex(token, match.start("hex") - 1 + base, after + base), after
    elif kind == "reference":
        made = _reference(token, position + base), after
    elif kind == "name":
        made = _name(token, position + base), after
    else:
        made = _scalar(kind, token), after
    return made


def _scalar(kind: str, token: bytes) -> Value:
    if kind == "number":
        return float(token) if b"." in token else int(token)
    return {"literal": token, "end": _END}.get(kind) if kind != "word" else _WORDS[token]


def _array(data: bytes, position: int, base: int, depth: int) -> tuple[list[Value], int]:
    items: list[Value] = []
    while True:
        item, position = _value(data, position, base, depth)
        if item is _END:
            if data[position - 1 : position] != b"]":
                _refuse("an array that is not closed", position + base)
            return items, position
        items.append(item)


def _dictionary(data: bytes, position: int, base: int, depth: int) -> tuple[dict[str, Value], int]:
    entries: dict[str, Value] = {}
    while True:
        key, position = _value(data, position, base, depth)
        if key is _END:
            if data[position - 1 : position] != b">":
                _refuse("a dictionary that is not closed", position + base)
            return entries, position
        value, position = _value(data, position, base, depth)
        if not isinstance(key, Name) or value is _END:
            _refuse("a dictionary with no pairs of name and value", position + base)
        if key in entries:
            _refuse(f"a dictionary with two entries /{key}", position + base)
        entries[str(key)] = value


def _reference(token: bytes, position: int) -> Reference:
    number, generation, _ = map(bytes.strip, token.split())
    if int(generation) or not int(number):
        _refuse("a reference to no object of generation 0", position)
    return Reference(int(number))


def _name(token: bytes, position: int) -> Name:
    def plain(match: re.Match[bytes]) -> bytes:
        code = bytes.fromhex((match[1] or b"00").decode())
        # a regular character written as an escape only hides the name
        if code == b"\0" or (re.fullmatch(_REGULAR, code) and code != b"#" and 0x21 <= code[0] <= 0x7E):
            _refuse("a name that is written in disguise", position)
        return code

    return Name((_ESCAPED.sub(plain, token) if b"#" in token else token).decode("latin-1"))


def _text(data: bytes, position: int, base: int) -> tuple[bytes, int]:
    """Return a literal string that holds parentheses, escapes or ends of lines (ISO 32000-2, 7.3.4.2)."""
    parts: list[bytes] = []
    depth = 1
    while match := _TEXT_PART.match(data, position):
        part, position = match[0], match.end()
        depth += (part == b"(") - (part == b")")
        if depth == 0:
            return b"".join(parts), position
        parts.append(_unescaped(part))
    raise SyntaxProblem(f"a string that does not end at byte {position + base}")


def _unescaped(part: bytes) -> bytes:
    if part.startswith(b"\r"):
        return b"\n"
    if not part.startswith(b"\\"):
        return part
    escaped = part[1:]
    return bytes([int(escaped, 8) & 0xFF]) if escaped[:1] in b"01234567" else _ESCAPES.get(escaped, escaped)


def _hex(token: bytes, start: int, end: int) -> HexString:
    digits = b"".join(token.split())
    value = HexString(bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode()))
    value.start, value.end = start, end
    return value


def _refuse(what: str, position: int) -> Never:
    raise SyntaxProblem(f"{what} at byte {position}")
