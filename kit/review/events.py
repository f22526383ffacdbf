"""The CloudTrail events that change a control's settings: which there are, and which of them made which change.

Source: the event names of each service's page on logging with CloudTrail (CloudTrail, AWS KMS, Amazon S3, IAM, account
management). Deleting objects is a data event: CloudTrail's event history does not hold it.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json

from kit.canonical import Json
from kit.evidence import timestamp
from kit.findings import when
from kit.review.drift import ACCOUNT, Change

TRAIL, KEY, BUCKET, GLOBAL = "trail", "key", "bucket", "global"
"""Where an event is recorded: in the Region of the trail, of its key, of its bucket, or in that of global services."""

_POLICY_OF_ROLE = (
    "AttachRolePolicy", "DetachRolePolicy", "PutRolePolicy", "DeleteRolePolicy", "PutRolePermissionsBoundary",
    "DeleteRolePermissionsBoundary", "DeleteRole", "UpdateAssumeRolePolicy",
)  # fmt: skip
# place of a value, and beside it where to look for the events that can have made its change
_MAKERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("trail/HasInsightSelectors", TRAIL, ("PutInsightSelectors",)),
    ("trail", TRAIL, ("UpdateTrail", "CreateTrail", "DeleteTrail")),
    ("logging", TRAIL, ("StopLogging", "StartLogging", "CreateTrail", "DeleteTrail")),
    ("selectors", TRAIL, ("PutEventSelectors", "CreateTrail", "DeleteTrail")),
    ("key/Arn", TRAIL, ("UpdateTrail", "CreateTrail", "DeleteTrail")),
    ("key/Description", KEY, ("UpdateKeyDescription",)),
    ("key/MultiRegionConfiguration", KEY, ("ReplicateKey", "UpdatePrimaryRegion")),
    ("key/rotation", KEY, ("EnableKeyRotation", "DisableKeyRotation", "RotateKey", "RotateKeyOnDemand")),
    ("key/aliases", KEY, ("CreateAlias", "UpdateAlias", "DeleteAlias")),
    ("key/policy", KEY, ("PutKeyPolicy",)),
    ("key/who can decrypt", KEY, ("PutKeyPolicy",)),
    ("key/grants", KEY, ("CreateGrant", "RevokeGrant", "RetireGrant")),
    ("key/readers", GLOBAL, _POLICY_OF_ROLE),
    ("key", KEY, ("DisableKey", "EnableKey", "ScheduleKeyDeletion", "CancelKeyDeletion", "DeleteKey",
                  "ImportKeyMaterial", "DeleteImportedKeyMaterial")),
    ("bucket/policy", BUCKET, ("PutBucketPolicy", "DeleteBucketPolicy")),
    ("bucket/policy status", BUCKET, ("PutBucketPolicy", "DeleteBucketPolicy")),
    ("bucket/lifecycle", BUCKET, ("PutBucketLifecycle", "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle")),
    ("bucket/acl", BUCKET, ("PutBucketAcl",)),
    ("bucket/ownership", BUCKET, ("PutBucketOwnershipControls", "DeleteBucketOwnershipControls")),
    ("bucket/public access block of the account", GLOBAL, ("PutAccountPublicAccessBlock",
                                                            "DeleteAccountPublicAccessBlock")),
    ("bucket/public access block", BUCKET, ("PutBucketPublicAccessBlock", "DeleteBucketPublicAccessBlock")),
    ("bucket/versioning", BUCKET, ("PutBucketVersioning",)),
    ("bucket/encryption", BUCKET, ("PutBucketEncryption", "DeleteBucketEncryption")),
    ("bucket/object lock", BUCKET, ("PutBucketObjectLockConfiguration",)),
    ("bucket/access logging", BUCKET, ("PutBucketLogging",)),
    ("bucket/request payment", BUCKET, ("PutBucketRequestPayment",)),
    ("bucket", BUCKET, ("CreateBucket", "DeleteBucket")),
    ("trails", TRAIL, ("CreateTrail", "DeleteTrail", "UpdateTrail")),
    ("Regions", GLOBAL, ("EnableRegion", "DisableRegion")),
)  # fmt: skip
_CHANGES = frozenset(name for _, _, names in _MAKERS for name in names)
_ANY_CHANGE = re.compile(rb'"eventName"\s*:\s*"(?:' + b"|".join(sorted(name.encode() for name in _CHANGES)) + b')"')
_REPLACED = {"key/": ("key/Arn", "UpdateTrail"), "bucket/": ("trail/S3BucketName", "UpdateTrail")}
"""Where all values under a place are another's because the trail was told of another one."""

_OF_THE_ACCOUNT = frozenset(
    ("PutAccountPublicAccessBlock", "DeleteAccountPublicAccessBlock", "EnableRegion", "DisableRegion")
)


@dataclass(frozen=True)
class Event:
    """One event of CloudTrail's history: who did what, when, from where; `error` where AWS refused it.

    `named` are the texts by which the event names what it is about.
    """

    id: str
    name: str
    region: str
    time: datetime
    by: str
    source: str
    error: str
    named: frozenset[str]

    @property
    def sentence(self) -> str:
        """The event in words, without a full stop."""
        return f"{self.name} by {self.by} from {self.source} at {when(self.time)}"

    def to_json(self) -> dict[str, Json]:
        """Return what a reader is told of it."""
        told = asdict(self)
        del told["named"]
        return told | {"time": timestamp(self.time)}


def event_names() -> dict[str, tuple[str, ...]]:
    """Return the names of all events that change settings, by where they are recorded."""
    names: dict[str, dict[str, None]] = {}
    for _, where, made in _MAKERS:
        names.setdefault(where, {}).update(dict.fromkeys(made))
    return {where: tuple(found) for where, found in names.items()}


def read_event(told: Mapping[str, Any]) -> Event:
    """Return an event of an answer to LookupEvents; its record as CloudTrail wrote it says the rest.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: it is not of the documented form.
    """
    moment = told["EventTime"]
    if not isinstance(moment, datetime):
        raise TypeError("EventTime")
    resources = [str(one.get("ResourceName")) for one in told.get("Resources") or ()]
    record = json.loads(told["CloudTrailEvent"])
    return _event(record, str(told["EventId"]), str(told["EventName"]), moment, resources)


def logged_event(record: Mapping[str, Any]) -> Event:
    """Return an event as a delivered log file has it [CloudTrail user guide, "CloudTrail record contents"].

    Raises:
        ValueError, LookupError, TypeError, AttributeError: it is not of the documented form.
    """
    moment = datetime.fromisoformat(record["eventTime"])
    if moment.utcoffset() is None:
        raise ValueError("a time without its offset")
    return _event(record, str(record["eventID"]), str(record["eventName"]), moment, ())


def changes_in(text: bytes, names: Collection[str], account: str) -> list[Json] | None:
    """Return the records of a log file by which something with one of these names, or the account, was changed.

    What changes another account as a whole is left out: a trail of an organization delivers that too. None where the
    text is no log file, or holds such a record of another form than is documented.
    """
    if not _ANY_CHANGE.search(text):
        return []
    try:
        records = [record for record in from_json(text)["Records"] if record["eventName"] in _CHANGES]
        return [record for record in records if concerns(logged_event(record), names) and _is_here(record, account)]
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _is_here(record: Mapping[str, Any], account: str) -> bool:
    return record["eventName"] not in _OF_THE_ACCOUNT or record.get("recipientAccountId", account) == account


def _event(record: Mapping[str, Any], event_id: str, name: str, moment: datetime, resources: Iterable[str]) -> Event:
    identity = record.get("userIdentity") or {}
    by = identity.get("arn") or identity.get("invokedBy") or identity.get("principalId") or identity["type"]
    return Event(
        event_id,
        name,
        str(record["awsRegion"]),
        moment.astimezone(UTC),
        str(by),
        str(record.get("sourceIPAddress") or "an unknown place"),
        str(record.get("errorCode") or ""),
        frozenset([*resources, *_texts([record.get("requestParameters"), record.get("resources")])]),
    )


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def concerns(event: Event, names: Iterable[str]) -> bool:
    """Return whether an event is about one of the things with these names, or about the account as a whole."""
    return event.name in _OF_THE_ACCOUNT or not event.named.isdisjoint(names)


def can_have_made(change: Change, event: Event, places: Iterable[str]) -> bool:
    """Return whether an event can have made a change; `places` are those of all changes between the two states."""
    for prefix, (replaced, name) in _REPLACED.items():
        if change.place.startswith(prefix) and replaced in places and event.name == name:
            return True
    return event.name in makers(change)


def makers(change: Change) -> tuple[str, ...]:
    """Return the names of the events that can have made a change; none where no event is known to make it."""
    place = change.place
    if change.trail == ACCOUNT and place.startswith("trails/"):
        place = "trails"
    found = [(prefix, names) for prefix, _, names in _MAKERS if place == prefix or place.startswith(f"{prefix}/")]
    return max(found, key=lambda one: len(one[0]), default=("", ()))[1]
