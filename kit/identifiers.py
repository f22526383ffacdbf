"""The values a parameters file may hold: AWS identifiers, lines of text, instants, each as a validated type.

A type's error never repeats the value. The patterns are what AWS documents for each identifier; they catch a slip of
the pen, and say nothing on whether the thing exists.
"""

import ipaddress
import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

_BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def _one_line(text: str) -> str:
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
            raise ValueError("holds a control character or a line break")
        if unicodedata.bidirectional(character) in _BIDI_CONTROLS:
            raise ValueError("holds a character that reverses the direction of text")
    return text


def _bucket(name: str) -> str:
    """S3 user guide, "General purpose bucket naming rules"."""
    if ".." in name or re.fullmatch(r"\d+\.\d+\.\d+\.\d+", name):
        raise ValueError("no bucket can have this name")
    return name


def _tag(text: str) -> str:
    """STS API reference, "Tag": what its key and value may hold."""
    if not re.fullmatch(r"[\w .:/=+@-]*", text) or not text.isprintable():
        raise ValueError("holds a character that no tag can have")
    return text


def _endpoint(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None  # urlsplit's own message would repeat the address
    if not host or not re.fullmatch(r"https?://[^\s\\]+", url) or not url.isprintable():
        raise ValueError("is no http or https address with a host")
    if any(mark in url for mark in "@?#"):
        raise ValueError("may hold no user name, query or fragment")
    if url.startswith("http:") and not _is_loopback(host):
        raise ValueError("plain http is only for this machine; use https")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _instant(value: object) -> datetime:
    # papermill and JSON hand over text, Python callers a datetime; numbers would need a guessed unit
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError("is no date and time") from None
    if instant.utcoffset() is None:
        raise ValueError("has no UTC offset")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside the calendar in UTC") from None


_ARN = r"^arn:aws(-[a-z]+)*:"
_REGION = r"[a-z]{2,8}(-[a-z]+)+-[0-9]{1,2}"
_ALIAS = r"alias/[A-Za-z0-9/_-]{1,250}"
_KEY_ID = r"([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})"

AccountId = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
Region = Annotated[str, Field(pattern=f"^{_REGION}$")]
RoleArn = Annotated[str, Field(pattern=_ARN + r"iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}$")]
RoleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@/-]{1,576}$")]
TargetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*$", max_length=64)]
RoundId = Annotated[str, Field(pattern=r"^ROUND-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}$")]
TrailArn = Annotated[
    str, Field(pattern=_ARN + rf"cloudtrail:{_REGION}:[0-9]{{12}}:trail/[A-Za-z0-9][A-Za-z0-9._-]{{1,126}}[A-Za-z0-9]$")
]
KeyReference = Annotated[
    str, Field(pattern=rf"^({_KEY_ID}|{_ALIAS}|{_ARN[1:]}kms:{_REGION}:[0-9]{{12}}:(key/{_KEY_ID}|{_ALIAS}))$")
]
KeyArn = Annotated[str, Field(pattern=rf"{_ARN}kms:{_REGION}:[0-9]{{12}}:key/{_KEY_ID}$")]
Bucket = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"), AfterValidator(_bucket)]
Alias = Annotated[str, Field(pattern=f"^{_ALIAS}$")]
OrganizationId = Annotated[str, Field(pattern=r"^o-[a-z0-9]{10,32}$")]
ExternalId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$")]
TagKey = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_tag)]
TagValue = Annotated[str, Field(max_length=256), AfterValidator(_tag)]
Endpoint = Annotated[str, Field(max_length=2000), AfterValidator(_endpoint)]
EventName = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]{2,127}$")]
TestCaseId = Annotated[str, Field(pattern=r"^[A-Z]{2,4}-[0-9]{2,3}$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_one_line)]
Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), AfterValidator(_one_line)
]
Instant = Annotated[datetime, BeforeValidator(_instant)]
Whole = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
