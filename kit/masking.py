"""Keeps credentials out of the evidence: those a request was signed with, and those that AWS hands out.

Whatever is masked is named, so that the evidence index can say that a body is not to the byte what AWS sent.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from kit.canonical import Json, well_formed
from kit.evidence import timestamp

MASK = "**masked**"

_MEMBERS = b"AccessKeyId|SecretAccessKey|SessionToken"
# a body that is cut short may end within a secret
_MEMBER_IN_JSON = re.compile(rb'("(' + _MEMBERS + rb')"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE | re.DOTALL)
_MEMBER_IN_XML = re.compile(rb"(<(" + _MEMBERS + rb")\b[^>]*>)[^<]*", re.IGNORECASE)
_PARAMETERS = frozenset({"webidentitytoken", "samlassertion", "tokencode"})
# the query of a presigned request, Signature Version 4 and 2
_PRESIGNED = re.compile(
    rb"((?:x-amz-(?:signature|credential|security-token)|(?<=[?&;])(?:signature|awsaccesskeyid))(?:=|%3d))"
    rb"[^&\"'<>\s\\]+",
    re.IGNORECASE,
)
_SHORTEST = 16
"""Access key ids have 16 characters or more [IAM: AccessKey]; what is shorter was made up, and may be any word."""


def without_secrets(parameters: Json) -> Json:
    """Return call parameters as JSON, well formed, dates as text, with what proves an identity masked [STS]."""
    if isinstance(parameters, Mapping):
        return {
            well_formed(str(name)): MASK if str(name).lower() in _PARAMETERS else without_secrets(value)
            for name, value in parameters.items()
        }
    if isinstance(parameters, list | tuple):
        return [without_secrets(value) for value in parameters]
    if isinstance(parameters, datetime):
        return timestamp(parameters)
    if isinstance(parameters, str):
        return without_signature(well_formed(parameters).encode(), {}, {}).decode()
    return parameters if isinstance(parameters, int | float) or parameters is None else type(parameters).__name__


def credentials_of(headers: Mapping[str, Any]) -> dict[str, str]:
    """Return what a signed request carries of its credentials, by name: key id, signature, session token.

    Source: IAM user guide, "Signature Version 4 request elements".
    """
    sent = {str(name).lower(): _text(value) for name, value in headers.items()}
    authorization = sent.get("authorization", "")
    found = {
        "AccessKeyId": re.search(r"Credential=([^/,\s]+)", authorization),
        "Signature": re.search(r"Signature=(\w+)", authorization),
        "SessionToken": re.search(r"(.+)", sent.get("x-amz-security-token", "")),
    }
    return {name: match[1] for name, match in found.items() if match and len(match[1]) >= _SHORTEST}


def without_signature(data: bytes, credentials: Mapping[str, str], masked: dict[str, None]) -> bytes:
    """Return data without the credentials of the request that it answers, nor those of a presigned URL.

    S3 quotes the whole request, session token included, where a signature does not match [S3: SignatureDoesNotMatch].
    The names of what was masked are added to `masked`.
    """
    for name, value in credentials.items():
        # S3 quotes the canonical request in hexadecimal as well
        for form in (value, quote(value, safe=""), value.replace("/", "\\/"), value.encode().hex(" ")):
            if form.encode() in data:
                data = data.replace(form.encode(), MASK.encode())
                masked[name] = None
    data, count = _PRESIGNED.subn(rb"\1" + MASK.encode(), data)
    if count:
        masked["presigned URL"] = None
    return data


def without_credentials(body: bytes, service: str, masked: dict[str, None]) -> bytes:
    """Return a body without the credentials that STS hands out; their names are added to `masked`."""
    if service != "sts":
        return body

    def mask(match: re.Match[bytes]) -> bytes:
        masked[match[2].decode()] = None
        return match[1] + MASK.encode()

    return _MEMBER_IN_XML.sub(mask, _MEMBER_IN_JSON.sub(mask, body))


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
