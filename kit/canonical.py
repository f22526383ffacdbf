"""Canonical JSON (RFC 8785) and SHA-256: one value, one sequence of bytes, one digest."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import rfc8785

from kit.errors import EvidenceError

Json = Any
"""A JSON value: `None`, `bool`, `int`, `float`, `str`, `list` or `dict` with string keys, nested."""

_BLOCK = 1 << 20
_LONGEST = 10**21


def canonical(value: Json) -> bytes:
    """Return the RFC 8785 bytes of a JSON value: equal values give equal bytes, on every machine.

    >>> canonical({"b": 1.0, "a": ["x", None]})
    b'{"a":["x",null],"b":1}'

    Raises:
        EvidenceError: the value has no canonical form (NaN, an integer that no double holds, a lone surrogate, a
            non-JSON type).
    """
    try:
        try:
            return rfc8785.dumps(value)
        except rfc8785.IntegerDomainError:
            return rfc8785.dumps(_with_doubles(value))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise EvidenceError(
            f"a value has no canonical JSON form: {error}", "report this value; it can't be hashed the same way twice"
        ) from error


def well_formed(value: Json) -> Json:
    """Return a JSON value with every lone surrogate replaced by U+FFFD: what AWS may send, and no UTF-8 can hold."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {well_formed(str(name)): well_formed(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [well_formed(item) for item in value]
    return value


def sha256(*parts: bytes) -> str:
    """Return the SHA-256 of the concatenated parts, as 64 lower-case hexadecimal digits (FIPS 180-4)."""
    return _digest(parts)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in blocks: memory stays flat for a file of any size."""
    with path.open("rb") as stream:
        return _digest(iter(lambda: stream.read(_BLOCK), b""))


def pretty(value: Json) -> str:
    """Return a JSON value indented for a reader, keys sorted, every character kept as it is."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


def _with_doubles(value: Json) -> Json:
    """Return a JSON value whose large integers are doubles again, which RFC 8785 writes as integers up to 10^21."""
    if isinstance(value, dict):
        return {name: _with_doubles(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_doubles(item) for item in value]
    if isinstance(value, int) and abs(value) < _LONGEST and rfc8785.dumps(float(value)) == str(value).encode():
        return float(value)
    return value


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
