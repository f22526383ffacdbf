"""The statements that CloudTrail needs, and how they are merged into a policy: what stands there stays, byte for byte.

Source: CloudTrail user guide, "Configure AWS KMS key policies for CloudTrail", "Amazon S3 bucket policy for
CloudTrail", "Create a trail for an organization"; KMS developer guide, "Default key policy".
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from kit.canonical import Json
from kit.parameters import RunParameters
from kit.policy import Policy
from kit.snapshot import Trail

Statement = dict[str, Any]
MOST_OF_A_KEY, MOST_OF_A_BUCKET = 32_768, 20_480
"""How many bytes a policy may have [KMS: PutKeyPolicy; S3 user guide: bucket policies]."""

_CONTEXT = "kms:EncryptionContext:aws:cloudtrail:arn"
_CLOUDTRAIL = {"Service": "cloudtrail.amazonaws.com"}
_SPACE = re.compile(r"[ \t\r\n]*")


def of_account(trail: Trail) -> Statement:
    """Return the statement that lets the account itself govern its key; without it nobody could change the key."""
    root = f"arn:{_partition(trail)}:iam::{trail.account}:root"
    return _allow("Enable IAM user permissions", {"AWS": root}, "kms:*", "*")


def encrypt(trail: Trail) -> Statement:
    """Return the statement that lets CloudTrail encrypt, for this trail and under the encryption context of a trail."""
    return _allow("Allow CloudTrail to encrypt logs", _CLOUDTRAIL, "kms:GenerateDataKey*", "*", _of_trail(trail))


def describe(trail: Trail) -> Statement:
    """Return the statement that lets CloudTrail describe the key, for this trail."""
    condition = {"StringEquals": {"aws:SourceArn": trail.arn}}
    return _allow("Allow CloudTrail to describe key", _CLOUDTRAIL, "kms:DescribeKey", "*", condition)


def decrypt(trail: Trail) -> Statement:
    """Return the statement that lets CloudTrail decrypt, for this trail: a bucket with an S3 Bucket Key needs it."""
    return _allow("Allow CloudTrail to decrypt for the bucket key", _CLOUDTRAIL, "kms:Decrypt", "*", _of_trail(trail))


def read_logs(role: str) -> Statement:
    """Return the statement that lets a role decrypt what was encrypted for a trail, and nothing else."""
    return _allow("Allow readers to decrypt logs", {"AWS": role}, "kms:Decrypt", "*", {"Null": {_CONTEXT: "false"}})


def read_acl(trail: Trail, bucket: str) -> Statement:
    """Return the statement that lets CloudTrail read the bucket's ACL, for this trail."""
    condition = {"StringEquals": {"aws:SourceArn": trail.arn}}
    arn = _bucket_arn(trail, bucket)
    return _allow("AWSCloudTrailAclCheck20150319", _CLOUDTRAIL, "s3:GetBucketAcl", arn, condition)


def write_logs(trail: Trail, bucket: str, parameters: RunParameters) -> Statement:
    """Return the statement that lets CloudTrail write this trail's logs and digests, owned by the bucket's owner.

    An organization trail writes for its own account, and for the organization's below the organization's id.
    """
    prefix, organization = trail.description.get("S3KeyPrefix"), parameters.expected.organization_id
    root = f"{_bucket_arn(trail, bucket)}/{prefix}/AWSLogs" if prefix else f"{_bucket_arn(trail, bucket)}/AWSLogs"
    places: list[str] = [f"{root}/{trail.account}/*"]
    if trail.description.get("IsOrganizationTrail") is True and organization:
        places.append(f"{root}/{organization}/*")
    condition = {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceArn": trail.arn}}
    where: Json = places if len(places) > 1 else places[0]
    return _allow("AWSCloudTrailWrite20150319", _CLOUDTRAIL, "s3:PutObject", where, condition)


def only_tls(trail: Trail, bucket: str) -> Statement:
    """Return the statement that refuses requests without TLS: for a new bucket, from which it takes nothing."""
    arn = _bucket_arn(trail, bucket)
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    return _statement("DenyInsecureTransport", "Deny", "*", "s3:*", [arn, f"{arn}/*"], condition)


def new_policy(statements: Iterable[Statement]) -> str:
    """Return the text of a policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def document(text: str) -> Json:
    """Return a policy's text as JSON, for a diff; what is no JSON stays text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def merged(text: str, additions: Sequence[Statement]) -> str:
    """Return a policy's text with statements added behind its own, of which no byte is changed.

    A Sid that is taken is numbered on.

    Raises:
        PolicyError: the text is no policy.
    """
    # what can be read as a policy is one JSON object, in which no key stands twice
    taken = {statement.sid for statement in Policy.parse(text).statements}
    start, end = _span(text, "Statement")
    held = text[start:end]
    added = []
    for statement in additions:
        sid = _free(statement["Sid"], taken)
        taken.add(sid)
        added.append(json.dumps({**statement, "Sid": sid}))
    inner = held[1:-1].rstrip() if held.startswith("[") else held
    return f"{text[:start]}[{', '.join([inner, *added])}]{text[end:]}"


def _span(text: str, member: str) -> tuple[int, int]:
    """Return where the value of a member of a JSON object begins and ends in its text."""
    decoder = json.JSONDecoder()
    at = text.index("{") + 1
    while True:
        name, at = decoder.raw_decode(text, _skip(text, at))
        start = _skip(text, text.index(":", at) + 1)
        _, end = decoder.raw_decode(text, start)
        if name == member:
            return start, end
        at = _skip(text, end) + 1  # behind the comma


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _free(sid: str, taken: set[str]) -> str:
    return next(name for name in (sid, *(f"{sid}{number}" for number in range(2, len(taken) + 3))) if name not in taken)


def _of_trail(trail: Trail) -> Json:
    context = f"arn:{_partition(trail)}:cloudtrail:*:{trail.account}:trail/*"
    return {"StringEquals": {"aws:SourceArn": trail.arn}, "StringLike": {_CONTEXT: context}}


def _allow(sid: str, principal: Json, action: str, resource: Json, condition: Json = None) -> Statement:
    return _statement(sid, "Allow", principal, action, resource, condition)


def _statement(sid: str, effect: str, principal: Json, action: str, resource: Json, condition: Json) -> Statement:
    told = {"Sid": sid, "Effect": effect, "Principal": principal, "Action": action, "Resource": resource}
    return told | ({"Condition": condition} if condition else {})


def _bucket_arn(trail: Trail, bucket: str) -> str:
    return f"arn:{_partition(trail)}:s3:::{bucket}"


def _partition(trail: Trail) -> str:
    return trail.arn.split(":")[1]
