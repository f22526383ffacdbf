"""What AWS does when an account is changed, and moto does not: CloudTrail refuses what it could not deliver to, and
delivers soon after a change, or says why it could not.

It holds once an account is seeded and spoilt: until then anything goes. Adds to the additions. Source: CloudTrail API
reference, "CreateTrail", "UpdateTrail", "GetTrailStatus".
"""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

from moto.kms.models import kms_backends
from moto.s3.models import s3_backends

from kit.sandbox import additions
from kit.sandbox.account import ACCOUNT_ID as ACCOUNT
from kit.sandbox.additions import corrects, refuses
from kit.sandbox.calls import Answer, Call, error

SOON_S = 0.2
"""After how many seconds a change is followed by a delivery; at AWS it is some minutes."""

_CHANGES = re.compile(r"(Create|Put|Update|Start|Enable|Cancel|Delete|Stop|Disable|Schedule)")
_CLOUDTRAIL = "cloudtrail.amazonaws.com"
_changed: list[float] = []


def begin() -> None:
    """From here on the account is real: what is changed has its consequences."""
    _changed[:] = [0.0]


def forget() -> None:
    """Let anything go, until the account is real again."""
    _changed.clear()


def note(call: Call, answer: Answer) -> None:
    """Take note of a change that was taken."""
    if _changed and answer.status < 300 and _CHANGES.match(call.operation):
        _changed[0] = time.time()


@refuses("cloudtrail", "CreateTrail", "UpdateTrail")
def hold_trail(call: Call) -> Answer | None:
    """Refuse a bucket or a key that CloudTrail can't use."""
    if not _changed:
        return None
    asked = call.parameters
    held = next((one for one in additions.trails() if asked.get("Name") in (one.trail_name, one.arn)), None)
    arn = held.arn if held else f"arn:aws:cloudtrail:{call.region}:{ACCOUNT}:trail/{asked.get('Name')}"
    bucket, key = asked.get("S3BucketName"), asked.get("KmsKeyId")
    if call.operation == "CreateTrail" or bucket:
        if bucket not in s3_backends[ACCOUNT]["aws"].buckets:
            return error(call, 400, "S3BucketDoesNotExistException", f"S3 bucket {bucket} does not exist!")
        if not _takes(str(bucket), arn):
            why = f"Incorrect S3 bucket policy is detected for bucket: {bucket}"
            return error(call, 400, "InsufficientS3BucketPolicyException", why)
    if key and not _encrypts(_arn_of(key, call.region), arn):
        why = "Insufficient permissions to access S3 bucket or KMS key."
        return error(call, 400, "InsufficientEncryptionPolicyException", why)
    return None


_truthful = additions.CORRECTED["cloudtrail", "GetTrailStatus"]


@corrects("cloudtrail", "GetTrailStatus")
def status_after_a_change(call: Call, value: Any) -> Answer | dict[str, Any]:
    """Tell of a delivery soon after a change, or of the error that kept it away."""
    status = _truthful(call, value)
    due = _changed[0] + SOON_S if _changed and _changed[0] else None
    if isinstance(status, Answer) or due is None or time.time() < due or not status.get("IsLogging"):
        return status
    named = call.parameters["Name"]
    trail = next(one for one in additions.trails() if named in (one.trail_name, one.arn))
    if _takes(trail.bucket_name, trail.arn) and (not trail.kms_key_id or _encrypts(trail.kms_key_id, trail.arn)):
        return status | {"LatestDeliveryTime": max(due, status.get("LatestDeliveryTime", 0.0))}
    return status | {"LatestDeliveryError": "AccessDenied"}


def _arn_of(key: str, region: str) -> str:
    """Return the ARN of a key that is given by id, alias or ARN."""
    held = kms_backends[ACCOUNT][region]
    found = held.keys.get(held.any_id_to_key_id(key) or "") if ":key/" not in key else None
    return str(found.arn) if found is not None else key


def _takes(bucket: str, trail: str) -> bool:
    """Return whether a bucket's policy lets CloudTrail write, and the requester does not pay."""
    held = s3_backends[ACCOUNT]["aws"].buckets.get(bucket)
    policy = held.policy if held is not None else None
    return bool(policy) and additions.payer(bucket) == "BucketOwner" and _allows(policy, "s3:PutObject", trail)


def _encrypts(key: str, trail: str) -> bool:
    """Return whether a key is enabled, and its policy lets CloudTrail encrypt."""
    region, _, resource = (key.split(":", 5) + [""] * 6)[3:6]
    held = kms_backends[ACCOUNT][region].keys.get(resource.removeprefix("key/")) if region else None
    usable = held is not None and held.key_state == "Enabled" and held.key_spec == "SYMMETRIC_DEFAULT"
    return usable and held is not None and _allows(held.policy, "kms:GenerateDataKey*", trail)


def _allows(policy: Any, action: str, trail: str) -> bool:
    """Return whether statements name CloudTrail for an action, allow it for the trail, and deny it nowhere."""
    named = list(_named(policy, action))
    bound = [one.get("Condition", {}).get("StringEquals", {}).get("aws:SourceArn", trail) for one in named]
    denied = any(one["Effect"] == "Deny" for one in named)
    return not denied and any(trail in ([source] if isinstance(source, str) else source) for source in bound)


def _named(policy: Any, action: str) -> Iterator[dict[str, Any]]:
    text = policy.decode() if isinstance(policy, bytes) else policy
    for statement in json.loads(text)["Statement"]:
        who, actions = statement.get("Principal"), statement.get("Action")
        held = who.get("Service") if isinstance(who, dict) else None
        if _CLOUDTRAIL in (held if isinstance(held, list) else [held]) and action in (
            actions if isinstance(actions, list) else [actions]
        ):
            yield statement
