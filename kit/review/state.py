"""What a snapshot says of a control's settings, as a flat mapping of values by path.

Values are normalised, so that what means the same is the same: policies are parsed, statements go by their content,
lists are in one order, and what is empty is not there. What AWS did not answer is no value: it is `unknown`, and is
never held to have changed.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from kit.canonical import Json, canonical, sha256, well_formed
from kit.evidence import timestamp
from kit.policy import Policy, PolicyError, grantees
from kit.review.drift import ACCOUNT, State
from kit.snapshot import Answer, Bucket, Key, Snapshot, Trail

_TRAIL = (
    "HomeRegion", "S3BucketName", "S3KeyPrefix", "SnsTopicARN", "IncludeGlobalServiceEvents", "IsMultiRegionTrail",
    "LogFileValidationEnabled", "CloudWatchLogsLogGroupArn", "CloudWatchLogsRoleArn", "HasInsightSelectors",
    "IsOrganizationTrail",
)  # fmt: skip
# Of a status only what somebody did. A start is not among it: there is none without a stop [GetTrailStatus].
_STATUS = ("IsLogging", "StopLoggingTime")
# Of the metadata of a key what may change, and what it is; its ARN stands for the rest [KMS: KeyMetadata].
_KEY = (
    "KeyState", "Enabled", "KeyManager", "KeySpec", "KeyUsage", "Origin", "MultiRegion", "MultiRegionConfiguration",
    "Description", "DeletionDate", "PendingDeletionWindowInDays", "ValidTo", "ExpirationModel", "CustomKeyStoreId",
)  # fmt: skip
_ROTATION = ("KeyRotationEnabled", "RotationPeriodInDays", "NextRotationDate", "OnDemandRotationStartDate")
_ELEMENTS = ("Action", "NotAction", "Resource", "NotResource")


def state(snapshot: Snapshot) -> State:
    """Return the state of a snapshot: that of each judged trail with its key and bucket, and of the account."""
    writer = _Writer()
    enabled = snapshot.enabled_regions
    writer.tell(ACCOUNT, "Regions", enabled, lambda regions: {"enabled": regions})
    for region, answer in sorted(snapshot.regions.items()):
        if answer.value is None:
            writer.unknown[f"{ACCOUNT}#trails/{region}"] = answer.why
    for trail in snapshot.trails:
        writer.put(ACCOUNT, f"trails/{trail.home_region}/{trail.arn}", _summary(trail))
        if trail.judged:
            _write_trail(writer, trail)
    return State(writer.values, writer.unknown, tuple(sorted(snapshot.regions)))


def _summary(trail: Trail) -> Json:
    """Return what is told of any trail of the account: its key, its bucket, and whether its files can be validated."""
    return {name: trail.description.get(name) for name in ("KmsKeyId", "S3BucketName", "LogFileValidationEnabled")}


class _Writer:
    """Takes values by path, normalised; an answer that is absent leaves its part unknown, or empty where it is sure."""

    def __init__(self) -> None:
        self.values: dict[str, Json] = {}
        self.unknown: dict[str, str] = {}

    def put(self, root: str, place: str, value: Any) -> None:
        told = _normal(value)
        if told not in (None, {}, [], ""):
            self.values[f"{root}#{place}"] = told

    def tell(self, root: str, place: str, answer: Answer[Any] | None, read: Any) -> None:
        """Put each member that `read` takes from an answer."""
        if answer is None or answer.missing:
            return
        try:
            members = None if answer.value is None else dict(read(answer.value))
        except (AttributeError, LookupError, TypeError, ValueError, PolicyError):
            members = None
        if members is None:
            self.unknown[f"{root}#{place}"] = (
                answer.why or f"The answer to {answer.call} is not of the documented form."
            )
            return
        for name, value in members.items():
            self.put(root, f"{place}/{name}", value)


def _write_trail(writer: _Writer, trail: Trail) -> None:
    root = trail.arn
    for name in _TRAIL:
        writer.put(root, f"trail/{name}", trail.description.get(name))
    writer.tell(root, "logging", trail.status, lambda status: _named(status, _STATUS))
    writer.tell(root, "selectors", trail.selectors, _selectors)
    if trail.key is not None:
        _write_key(writer, root, trail.key)
    if trail.bucket is not None:
        _write_bucket(writer, root, trail.bucket)


def _write_key(writer: _Writer, root: str, key: Key) -> None:
    arn = str((key.metadata.value or {}).get("Arn") or key.named)
    if ":key/" in arn or key.metadata.missing:
        writer.put(root, "key/Arn", arn)
    else:
        # an alias leads to a key, and which one that is was not told
        writer.unknown[f"{root}#key"] = key.metadata.why
        return
    if key.metadata.missing:
        writer.put(root, "key/KeyState", "does not exist")
    writer.tell(root, "key", key.metadata, lambda metadata: _named(metadata, _KEY))
    # what DescribeKey did not say leaves open its own members alone
    if (why := writer.unknown.pop(f"{root}#key", None)) is not None:
        writer.unknown |= {f"{root}#key/{name}": why for name in (*_KEY, "rotation")}
    writer.tell(root, "key/rotation", key.rotation, lambda rotation: _named(rotation, _ROTATION))
    writer.tell(root, "key/aliases", key.aliases, lambda names: dict.fromkeys(names, True))
    writer.tell(root, "key/policy", key.policy, _policy)
    writer.tell(root, "key/who can decrypt", key.policy, lambda text: _decrypting(text, arn))
    writer.tell(root, "key/grants", key.grants, lambda grants: {grant["GrantId"]: _grant(grant) for grant in grants})
    for role, simulated in (key.simulations or {}).items():
        writer.tell(root, f"key/readers/{role}", simulated, lambda decision: {"may decrypt": decision})


def _write_bucket(writer: _Writer, root: str, bucket: Bucket) -> None:
    writer.tell(root, "bucket/location", bucket.region, lambda region: {"Region": region})
    writer.tell(root, "bucket/policy", bucket.policy, _policy)
    writer.tell(root, "bucket/lifecycle", bucket.lifecycle, lambda told: dict(map(_rule, told["Rules"])))
    writer.tell(root, "bucket/acl", bucket.acl, _acl)
    for place, answer in (
        ("policy status", bucket.policy_status),
        ("ownership", bucket.ownership),
        ("public access block", bucket.public_access_block),
        ("public access block of the account", bucket.account_public_access_block),
        ("versioning", bucket.versioning),
        ("encryption", bucket.encryption),
        ("object lock", bucket.object_lock),
        ("access logging", bucket.logging),
        ("request payment", bucket.request_payment),
    ):
        writer.tell(root, f"bucket/{place}", answer, dict)


def _named(told: Mapping[str, Json], names: Iterable[str]) -> dict[str, Json]:
    return {name: told[name] for name in names if name in told}


def _selectors(told: Mapping[str, Json]) -> dict[str, Json]:
    return {name: told.get(name) for name in ("EventSelectors", "AdvancedEventSelectors")}


def _rule(rule: Mapping[str, Json]) -> tuple[str, Json]:
    """Return a lifecycle rule by its name; one without goes by its content."""
    return str(rule.get("ID") or _digest(rule)), _without(rule, "ID")


def _acl(acl: Mapping[str, Json]) -> dict[str, Json]:
    """Return who is granted what; display names are left out, as S3 does not tell them everywhere any more."""
    grants = [
        {"Permission": grant["Permission"], "Grantee": _without(grant["Grantee"], "DisplayName")}
        for grant in acl["Grants"]
    ]
    return {"Grants": grants, "Owner": _without(acl.get("Owner") or {}, "DisplayName")}


def _without(told: Mapping[str, Json], *names: str) -> dict[str, Json]:
    return {name: value for name, value in told.items() if name not in names}


def _grant(grant: Mapping[str, Json]) -> Json:
    return _without(grant, "KeyId", "CreationDate", "GrantId")


def _policy(text: str) -> dict[str, Json]:
    """Return a policy by parts: its statements by the digest of what they say, their `Sid` kept as a label.

    A text that can't be read as a policy is one part, as it is.
    """
    try:
        body, statements = _read(text)
    except PolicyError as error:
        return {"unreadable": {"problem": error.message, "text": text}}
    told = {f"statement {_digest(_statement(one))}": _statement(one) | _label(one) for one in statements}
    return told | {name: body.get(name) for name in ("Version", "Id")}


def _read(text: str) -> tuple[dict[str, Json], list[Json]]:
    Policy.parse(text)
    body = json.loads(text)
    return body, body["Statement"] if isinstance(body["Statement"], list) else [body["Statement"]]


def _label(statement: Mapping[str, Json]) -> dict[str, Json]:
    return {"Sid": statement["Sid"]} if statement.get("Sid") else {}


def _statement(statement: Mapping[str, Json]) -> dict[str, Json]:
    """Return what a statement says, whatever its order and spelling: each element a sorted list without repetition."""
    told = _without(statement, "Sid")
    for name in _ELEMENTS:
        if name in told:
            told[name] = _listed(told[name])
    for name in ("Principal", "NotPrincipal"):
        if isinstance(told.get(name), dict):
            told[name] = {kind: _listed(values) for kind, values in told[name].items()}
    if "Condition" in told:
        told["Condition"] = {
            operator: {key: _listed(values, scalars=True) for key, values in keys.items()}
            for operator, keys in told["Condition"].items()
        }
    return told


def _listed(value: Json, *, scalars: bool = False) -> list[Json]:
    values = value if isinstance(value, list) else [value]
    # quotes are optional for numbers and booleans ["Grammar of the IAM JSON policy language"]
    texts = [str(one).lower() if isinstance(one, bool) else str(one) for one in values] if scalars else values
    return sorted(set(texts))


def _decrypting(text: str, arn: str) -> dict[str, Json]:
    """Return whom the policy lets decrypt, each with the conditions under which it does."""
    found: dict[str, list[str]] = {}
    body, statements = _read(text)
    ordered = json.dumps(body | {"Statement": [_statement(one) for one in statements]})
    for one in grantees(Policy.parse(ordered), "kms:Decrypt", arn):
        found.setdefault(one.principal, []).append(" and ".join(sorted(one.conditions)) or "without a condition")
    return {principal: sorted(set(conditions)) for principal, conditions in found.items()}


def _digest(value: Json) -> str:
    return sha256(canonical(_normal(value)))[:12]


def _normal(value: Any) -> Json:
    """Return a value in the one form of what it says: times as text, lists in one order, and nothing that is empty."""
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, Mapping):
        told = {str(name): _normal(item) for name, item in value.items()}
        return {well_formed(name): item for name, item in told.items() if item not in (None, {}, [], "")}
    if isinstance(value, list | tuple | set | frozenset):
        return sorted((_normal(item) for item in value), key=canonical)
    return well_formed(value)
