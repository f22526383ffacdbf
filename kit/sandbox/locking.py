"""What Object Lock, checksums and KMS keys forbid, of what is put into the sandbox's buckets: moto keeps all three with
an object, and but for deleting a locked version holds nobody to them.

Source: S3 user guide, "Locking objects with Object Lock"; S3 API reference, "PutObject", "PutObjectRetention",
"GetObjectRetention".
"""

import hashlib
import re
from base64 import b64encode
from datetime import UTC, datetime

from moto.kms.models import kms_backends
from moto.s3.models import FakeBucket

from kit.sandbox.account import ACCOUNT_ID as ACCOUNT
from kit.sandbox.additions import refuses, replaces, s3_document
from kit.sandbox.calls import Answer, Call, Rules, error, xml_answer
from kit.sandbox.objects import find_bucket, find_version

_UNLOCKED = "Bucket is missing Object Lock Configuration"
_LOCKED = "Access Denied because object protected by object lock."


@refuses("s3", "PutObject")
def put_object(call: Call) -> Answer | None:
    """Refuse a body that is not what its SHA-256 says, a key that can't encrypt, and a retention in the past."""
    held = find_bucket(call.bucket)
    if held is None:
        return None
    return _wrong_checksum(call) or _unusable_key(call, held) or _past(call)


def _wrong_checksum(call: Call) -> Answer | None:
    told = call.headers.get("x-amz-checksum-sha256")
    # a body in chunks carries its checksum behind it
    if told is None or call.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        return None
    if not re.fullmatch(r"[A-Za-z0-9+/]{43}=", told):
        return error(call, 400, "InvalidRequest", "Value for x-amz-checksum-sha256 header is invalid.")
    if told != b64encode(hashlib.sha256(call.body).digest()).decode():
        return error(call, 400, "BadDigest", "The SHA256 you specified did not match the calculated checksum.")
    return None


def _unusable_key(call: Call, held: FakeBucket) -> Answer | None:
    named = call.headers.get("x-amz-server-side-encryption-aws-kms-key-id")
    if not named:
        return None
    keys = kms_backends[ACCOUNT][held.region_name].keys.values()
    # by id, ARN or alias, and an alias by its ARN too
    alias = named.rpartition(":")[2]
    key = next((key for key in keys if named in (key.id, key.arn) or alias in key.aliases), None)
    if key is None:
        return error(call, 400, "KMS.NotFoundException", "Invalid keyId")
    if key.key_state != "Enabled":
        what = "is pending deletion" if key.key_state == "PendingDeletion" else "is disabled"
        code = "KMSInvalidStateException" if key.key_state == "PendingDeletion" else "DisabledException"
        return error(call, 400, f"KMS.{code}", f"{key.arn} {what}.")
    return None


def _past(call: Call) -> Answer | None:
    until = call.headers.get("x-amz-object-lock-retain-until-date")
    if until is None or _moment(until) > datetime.now(UTC):
        return None
    return error(call, 400, "InvalidArgument", "The retain until date must be in the future!")


@refuses("s3", "PutObjectRetention")
def put_object_retention(call: Call) -> Answer | None:
    """Refuse to end, shorten or loosen a retention in compliance mode, which nobody may: it can only be made longer."""
    held = find_bucket(call.bucket)
    version = find_version(call)
    if held is None or not held.object_lock_enabled or isinstance(version, Answer):
        return version if isinstance(version, Answer) else None
    asked = {name: re.search(rf"<{name}>([^<]+)<", call.body.decode()) for name in ("Mode", "RetainUntilDate")}
    mode, until = asked["Mode"], asked["RetainUntilDate"]
    if version.lock_mode == "COMPLIANCE" and _moment(version.lock_until) > datetime.now(UTC):
        kept = mode and mode[1] == "COMPLIANCE" and until and _moment(until[1]) >= _moment(version.lock_until)
        return None if kept else error(call, 403, "AccessDenied", _LOCKED)
    return None


@replaces("s3", "GetObjectRetention")
def object_retention(call: Call, _: Rules) -> Answer:
    """Tell mode and end of a version's retention; moto answers with the object [GetObjectRetention]."""
    held = find_bucket(call.bucket)
    if held is not None and not held.object_lock_enabled:
        return error(call, 400, "InvalidRequest", _UNLOCKED)
    version = find_version(call)
    if isinstance(version, Answer):
        return version
    if not version.lock_mode:
        absent = "The specified object does not have a ObjectLock configuration"
        return error(call, 404, "NoSuchObjectLockConfiguration", absent)
    told = f"<Mode>{version.lock_mode}</Mode><RetainUntilDate>{version.lock_until}</RetainUntilDate>"
    return xml_answer(s3_document("Retention", told))


def _moment(text: str | None) -> datetime:
    return datetime.fromisoformat(text or "").astimezone(UTC)
