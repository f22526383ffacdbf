"""One AWS request and its answer, as the sandbox sees them on the wire; what a fault may do to them.

Nothing here imports moto, boto3 or werkzeug: the faults build on this module and must stay quick to list.
"""

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

CALLER = "assumed-role/GxPEvidenceReader/sandbox"
"""What follows the account in the ARN of whoever calls the sandbox: a session of the role that collects evidence."""

_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_S3_OBJECT_SUBRESOURCES = {
    "acl": "ObjectAcl",
    "attributes": "ObjectAttributes",
    "legal-hold": "ObjectLegalHold",
    "retention": "ObjectRetention",
    "tagging": "ObjectTagging",
}
_S3_SUBRESOURCES = {
    "acl": "BucketAcl",
    "encryption": "BucketEncryption",
    "lifecycle": "BucketLifecycleConfiguration",
    "location": "BucketLocation",
    "logging": "BucketLogging",
    "object-lock": "ObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "PublicAccessBlock",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
}
JSON_SERVICES = ("kms", "cloudtrail", "organizations")
"""The services that speak the AWS JSON 1.1 protocol."""

_DENIED = dict.fromkeys(JSON_SERVICES, "AccessDeniedException") | {"ec2": "UnauthorizedOperation"}
_EXPIRED = dict.fromkeys(JSON_SERVICES, "ExpiredTokenException") | {"ec2": "RequestExpired"}
_S3_VERBS = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}
# IAM spells some S3 actions otherwise than the operations they allow (Service Authorization Reference, Amazon S3).
_S3_ACTIONS = {
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadObject": "GetObject",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
}


@dataclass(frozen=True)
class Call:
    """One request: who is asked, for what, where, and with which parameters (JSON or form members, or S3's query).

    `access_key` is what signed it, and `caller` whose that is: what follows the account in the caller's ARN. The names
    of `headers` are in lower case; of the services only S3 speaks by them.
    """

    service: str
    operation: str
    region: str
    parameters: Mapping[str, Any]
    path: str
    body: bytes = b""
    access_key: str = ""
    caller: str = CALLER
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def action(self) -> str:
        """The IAM action that allows this call, as `kms:DescribeKey`."""
        if self.service == "s3control":
            return "s3:" + self.operation.replace("PublicAccess", "AccountPublicAccess")
        return f"{self.service}:{_S3_ACTIONS.get(self.operation, self.operation)}"

    @property
    def bucket(self) -> str:
        """The bucket of an S3 call, path-style."""
        return self.path.lstrip("/").partition("/")[0]

    @property
    def key(self) -> str:
        """The object's key in an S3 call, empty where a bucket is asked."""
        return self.path.lstrip("/").partition("/")[2]


@dataclass
class Answer:
    """One response: status, headers (none of those that the wire adds), body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; an empty body is an empty object."""
        return json.loads(self.body or b"{}")


Instead = Callable[[Call], Answer | None]
"""Answers a call in moto's place; `None` drops the connection without a byte."""

When = Callable[[Call], bool]
"""Tells the calls that a rule is for."""

Rewrite = Callable[[Any], None]
"""Changes the JSON of a truthful answer in place."""


@dataclass
class Rules:
    """What the faults do to the wire. Rules apply once `armed`, so that seeding never trips over them.

    `sessions` gives the callers of assumed roles by access key, and `regions` the enabled Regions where they are fewer
    than those that every account has.
    """

    armed: bool = False
    clock_skew: float = 0.0
    decisions: dict[str, str] = field(default_factory=dict)
    spared: frozenset[str] | None = None
    regions: frozenset[str] | None = None
    sessions: dict[str, str] = field(default_factory=dict)
    denied_may_decrypt: bool = False
    _instead: list[tuple[str, str, str | None, When | None, Instead]] = field(default_factory=list)
    _rewrites: list[tuple[str, str, Rewrite]] = field(default_factory=list)

    def instead(
        self, service: str, operation: str, answer: Instead, region: str | None = None, when: When | None = None
    ) -> None:
        """Answer every call of an operation (`*`: of any) with `answer`, in one Region or in all, or those told."""
        self._instead.append((service, operation, region, when, answer))

    def rewrite(self, service: str, operation: str, change: Rewrite) -> None:
        """Let `change` alter the JSON that an operation truthfully answers with."""
        self._rewrites.append((service, operation, change))

    def deny(self, service: str, operation: str, region: str | None = None) -> None:
        """Refuse an operation for want of an IAM permission, and let the policy simulator agree."""
        self.instead(service, operation, denied, region)
        if region is None:
            self.decisions[Call(service, operation, "", {}, "").action.lower()] = "implicitDeny"

    def drop_all_but(self, *operations: str) -> None:
        """Drop the connection of every call but those of the named operations."""
        self.spared = frozenset(operations)

    def find(self, call: Call) -> Instead | None:
        """Return the first rule for a call, if there is one and the rules are armed."""
        if not self.armed:
            return None
        if self.spared is not None and call.operation not in self.spared:
            return lambda _: None
        for service, operation, region, when, answer in self._instead:
            named = service in ("*", call.service) and operation in ("*", call.operation)
            if named and region in (None, call.region) and (when is None or when(call)):
                return answer
        return None

    def rewritten(self, call: Call, answer: Answer) -> Answer:
        """Return an answer as the rewrites of its operation leave it; errors stay as they are."""
        changes = [change for *named, change in self._rewrites if named == [call.service, call.operation]]
        if self.armed and changes and answer.status == 200:
            value = answer.json()
            for change in changes:
                change(value)
            answer.body = json.dumps(value).encode()
        return answer


def identify(method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Call:
    """Name the service, operation and Region of a signed request [Signature Version 4: the credential scope]."""
    scope = _SCOPE.search(headers.get("authorization", ""))
    access_key, region, service = scope.groups() if scope else ("", "", "")
    if target := headers.get("x-amz-target", ""):
        return Call(service, target.rpartition(".")[2], region, json.loads(body or b"{}"), path, body, access_key)
    if service == "s3":
        pairs = dict(parse_qsl(query, keep_blank_values=True))
        control = path.startswith("/v20180820/")
        operation = _control_operation(method, path) if control else _s3_operation(method, unquote(path), pairs)
        service = "s3control" if control else "s3"
        return Call(service, operation, region, pairs, unquote(path), body, access_key, headers=headers)
    form = dict(parse_qsl(body.decode("utf-8", "replace") or query, keep_blank_values=True))
    return Call(service, form.get("Action", ""), region, form, path, body, access_key)


def _control_operation(method: str, path: str) -> str:
    return f"{_S3_VERBS.get(method, method)}PublicAccessBlock" if path.endswith("/publicAccessBlock") else path


def _s3_operation(method: str, path: str, query: Mapping[str, str]) -> str:
    bucket, _, key = path.lstrip("/").partition("/")
    if key:
        resource = next((named for name, named in _S3_OBJECT_SUBRESOURCES.items() if name in query), "Object")
        return {"HEAD": "HeadObject"}.get(method, _S3_VERBS.get(method, method) + resource)
    for name, resource in _S3_SUBRESOURCES.items():
        if name in query:
            return _S3_VERBS.get(method, method) + resource
    if method == "GET" and "versions" in query:
        return "ListObjectVersions"
    if method == "GET":
        return ("ListObjectsV2" if "list-type" in query else "ListObjects") if bucket else "ListBuckets"
    return {"HEAD": "HeadBucket", "PUT": "CreateBucket", "DELETE": "DeleteBucket"}.get(method, method)


def json_answer(value: Any, status: int = 200) -> Answer:
    """Return an answer in the AWS JSON 1.1 protocol."""
    return Answer(status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(value).encode())


def xml_answer(text: str, status: int = 200) -> Answer:
    """Return an answer in one of the XML protocols."""
    return Answer(status, {"Content-Type": "text/xml"}, ("<?xml version='1.0' encoding='UTF-8'?>\n" + text).encode())


def query_answer(call: Call, result: str) -> Answer:
    """Return the result of an operation in the AWS Query protocol of STS or IAM."""
    name, year = call.operation, "2011-06-15" if call.service == "sts" else "2010-05-08"
    namespace = f"https://{call.service}.amazonaws.com/doc/{year}/"
    meta = f"<ResponseMetadata><RequestId>{call.request_id}</RequestId></ResponseMetadata>"
    body = f"<{name}Result>{result}</{name}Result>{meta}"
    return xml_answer(f'<{name}Response xmlns="{namespace}">{body}</{name}Response>')


def error(call: Call, status: int, code: str, message: str) -> Answer:
    """Return an error as the service's own protocol spells it, `status` being that of an XML service."""
    if call.service in JSON_SERVICES:
        return json_answer({"__type": code, "message": message}, 500 if status == 500 else 400)
    named = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if call.service == "s3":
        return xml_answer(f"<Error>{named}<RequestId>{s3_id(call)}</RequestId></Error>", status)
    if call.service == "ec2":
        head = f"<Response><Errors><Error>{named}</Error></Errors>"
        return xml_answer(f"{head}<RequestID>{call.request_id}</RequestID></Response>", status)
    body = f"<Error><Type>Sender</Type>{named}</Error><RequestId>{call.request_id}</RequestId>"
    return xml_answer(f"<ErrorResponse>{body}</ErrorResponse>", status)


def denied(call: Call) -> Answer:
    """Refuse a call for want of an identity-based policy, in the words of the service [IAM: access denied errors]."""
    code = _DENIED.get(call.service, "AccessDenied")
    caller = f"arn:aws:sts::123456789012:{call.caller}"
    what = f"is not authorized to perform: {call.action} because no identity-based policy allows the"
    return error(call, 403, code, f"User: {caller} {what} {call.action} action")


def expired(call: Call) -> Answer:
    """Refuse a call whose session is over: the one error that even GetCallerIdentity gives [STS: GetCallerIdentity]."""
    status = 400 if call.service in ("s3", "ec2") else 403
    message = "The security token included in the request is expired"
    return error(call, status, _EXPIRED.get(call.service, "ExpiredToken"), message)


def s3_id(call: Call) -> str:
    """Return the 16 hexadecimal digits by which S3 names the request."""
    return hashlib.sha256(call.request_id.encode()).hexdigest()[:16].upper()


def trace_headers(call: Call) -> dict[str, str]:
    """Return the request id headers of the call's service: S3 has names of its own [S3: common response headers]."""
    if call.service in ("s3", "s3control"):
        host = base64.b64encode(hashlib.sha512(call.request_id.encode()).digest()[:57]).decode()
        return {"x-amz-request-id": s3_id(call), "x-amz-id-2": host}
    return {"x-amzn-RequestId": call.request_id}
