"""What a response holds, or why it holds nothing: pages joined, form held, failures classified."""

import re
from collections.abc import Mapping
from typing import Any

from botocore import exceptions as refused
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from kit.canonical import Json
from kit.collect.calls import Call
from kit.recording import Attempts, Unanswered
from kit.snapshot import Absence, Reason

_ROOT = re.compile(rb"\s*(?:<\?xml[^>]*\?>)?\s*<(?:\w+:)?(\w+)")
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedAccess", "403", "Forbidden")
# what each service's "Common errors" page calls a request that came too soon
_THROTTLED = (
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "EC2ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "SlowDown",
    "429",
)


class Unreadable(Exception):
    """An answer arrived that is not the one the call is made for."""


_MALFORMED = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError, SyntaxError)
"""What botocore, or who reads a response, raises on one that is not of the documented form: SyntaxError is XML's,
RuntimeError that of a date or a depth beyond every measure.
"""

NO_ANSWER = (ClientError, BotoCoreError, HTTPError, ResponseParserError, Unanswered, Unreadable, *_MALFORMED)
"""What keeps a value away, and makes an absence; whatever else is raised is no matter of the answer. An HTTPError of
urllib3's is what botocore lets by where the body of an error breaks off that would else have been streamed.
"""


def follow(client: Any, call: Call, parameters: Mapping[str, Json], attempts: Attempts) -> Mapping[str, Json]:
    """Return the parsed response of a call, all pages of it joined."""
    if not call.pages:
        response = getattr(client, xform_name(call.operation))(**parameters)
        _require(call, response, attempts)
        return dict(response)
    collected: list[Json] = []
    page: Mapping[str, Json] = {}
    for page in client.get_paginator(xform_name(call.operation)).paginate(**parameters):
        _require(call, page, attempts)
        collected.extend(page[call.pages])
    if page.get("Truncated") or page.get("IsTruncated"):
        raise Unreadable("the answer says that there is more, and not where")
    return {call.pages: collected}


def _require(call: Call, response: Mapping[str, Json], attempts: Attempts) -> None:
    entry = attempts.entries[-1]
    declared = (entry.headers or {}).get("content-length", "")
    # of a masked body the length is not what was sent, and a streamed one has not arrived
    if declared.isdecimal() and entry.bytes < int(declared) and not entry.masked and call.operation != "GetObject":
        raise Unreadable(f"the answer is cut short: {entry.bytes} of {declared} bytes arrived")
    lacking = [member for member in call.members if response.get(member) in (None, "")]
    if lacking:
        raise Unreadable(f"the answer lacks {', '.join(lacking)}")
    found = _ROOT.match(attempts.body)
    if call.root and (found is None or found[1].decode() != call.root):
        raise Unreadable(f"the answer is no {call.root}")


def absence_of(error: Exception, attempts: Attempts) -> Absence:
    """Classify what kept a value away, by AWS's error code or the kind of the failure, never by a free text."""
    if isinstance(error, ClientError):
        root = _ROOT.match(attempts.body)
        if attempts.entries and attempts.entries[-1].status == 200 and not (root and root[1] == b"Error"):
            # botocore makes an error 500 of an answer of S3 that is no XML; AWS said no such thing
            return Absence(Reason.UNREADABLE, "", "the body does not parse")
        code = str(error.response.get("Error", {}).get("Code") or "unknown error")
        message = str(error.response.get("Error", {}).get("Message") or "")
        return Absence(_reason(code), code, message)
    if isinstance(error, Unanswered):
        return Absence(Reason.UNREACHABLE, error.failure)
    if isinstance(error, refused.HTTPClientError | refused.ConnectionError | HTTPError):
        return Absence(Reason.UNREACHABLE, type(error).__name__)
    if isinstance(error, BotoCoreError):
        return Absence(Reason.ERROR, type(error).__name__)
    detail = f"the answer is not of the documented form ({type(error).__name__})"
    if isinstance(error, ResponseParserError):
        detail = "the body does not parse"
    return Absence(Reason.UNREADABLE, "", str(error) if isinstance(error, Unreadable) else detail)


def code_of(error: Exception) -> str:
    """Return AWS's error code, empty where AWS did not answer with one."""
    return str(error.response.get("Error", {}).get("Code") or "") if isinstance(error, ClientError) else ""


def is_definite(error: Exception) -> bool:
    """Return whether S3's answer to GetObject says of the object that it can't be had: it is gone, KMS has no use of
    its key any more, or it lies where it has to be fetched from first. A refusal says nothing of the object.
    """
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(error, ClientError) else 0
    unusable = code == "InvalidObjectState" or (code.startswith("KMS.") and not is_throttled(code) and status == 400)
    return unusable or (status in (404, 405) and bool(code))


def is_throttled(code: str) -> bool:
    """Return whether AWS's error code says that a request came too soon; S3 passes on KMS's own, `KMS.` before it."""
    return code.removeprefix("KMS.") in _THROTTLED


def _reason(code: str) -> Reason:
    if code in _DENIED:
        return Reason.DENIED
    if is_throttled(code):
        return Reason.THROTTLED
    if code.startswith("NoSuch") or "NotFound" in code:
        return Reason.MISSING
    return Reason.ERROR
