"""Checks on how the log bucket keeps the records: versions, encryption by default, locks and lifecycle."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from kit.canonical import Json
from kit.checks.bucket import each_bucket, log_folder
from kit.checks.reading import judge, said, text, unsaid
from kit.findings import Finding, Judgement, count
from kit.parameters import RunParameters
from kit.snapshot import Answer, Bucket, Snapshot, Trail

_ALGORITHMS = ("AES256", "aws:kms", "aws:kms:dsse")
_UNSTATED = "The parameter expected.retention_days is not stated."


def iq_10(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The bucket protects the records: versioned and encrypted by default; nothing expires before the retention time;
    and Object Lock, access logging and MFA delete where the parameters require them, else as observations.

    Source: S3 user guide, "Retaining multiple versions of objects with S3 Versioning", "Locking objects with Object
    Lock", "Managing the lifecycle of objects"; S3 API reference, "GetBucketVersioning" and "GetBucketLogging": what was
    never set is left out of the answer.
    """

    def of_bucket(trail: Trail, bucket: Bucket, judgement: Judgement) -> Finding:
        expected, versioning = parameters.expected, bucket.versioning
        judge(judgement, "versioning", "Enabled", versioning, _versioning, otherwise=_is("Versioning", bucket))
        judge(
            judgement,
            "default encryption",
            {"one of": list(_ALGORITHMS)},
            bucket.encryption,
            _algorithm,
            accepts=lambda algorithm: algorithm in _ALGORITHMS,
            missing="none",
            otherwise=_is("Default encryption", bucket),
        )
        _judge_lock(judgement, bucket, parameters)
        _judge_lifecycle(judgement, trail, bucket, parameters)
        if expected.access_logging:
            sentence = f"Access to the bucket {bucket.name} is not logged."
            judge(judgement, "access logging", True, bucket.logging, _is_logged, otherwise=sentence)
        judgement.observe("access logging to", _told(bucket.logging, _logs_to))
        if expected.mfa_delete:
            judge(judgement, "MFA delete", "Enabled", versioning, _mfa_delete, otherwise=_is("MFA delete", bucket))
        else:
            judgement.observe("MFA delete", _told(versioning, _mfa_delete))
        passed = f"The bucket {bucket.name} is versioned and encrypted by default, and nothing expires in it too early."
        return judgement.finding(passed)

    return each_bucket("IQ-10", snapshot, parameters, of_bucket)


def _is(setting: str, bucket: Bucket) -> Callable[[Json], str]:
    return lambda actual: f"{setting} of the bucket {bucket.name} is not as it must be: {actual}."


def _told(answer: Answer[Mapping[str, Json]], read: Callable[[Mapping[str, Json]], Json]) -> Json:
    return unsaid(answer, "this") if (actual := said(answer, read)) is None else actual


def _versioning(value: Mapping[str, Json]) -> str:
    return text("Status")(value) if "Status" in value else "never enabled"


def _mfa_delete(value: Mapping[str, Json]) -> str:
    return text("MFADelete")(value) if "MFADelete" in value else "never enabled"


def _logs_to(value: Mapping[str, Json]) -> str:
    return text("TargetBucket")(value["LoggingEnabled"]) if "LoggingEnabled" in value else ""


def _is_logged(value: Mapping[str, Json]) -> bool:
    return _logs_to(value) != ""


def _algorithm(value: Mapping[str, Json]) -> str:
    return text("SSEAlgorithm")(value["Rules"][0]["ApplyServerSideEncryptionByDefault"])


def _judge_lock(judgement: Judgement, bucket: Bucket, parameters: RunParameters) -> None:
    mode, days, answer = parameters.expected.object_lock_mode, parameters.expected.retention_days, bucket.object_lock
    judgement.rest_on(answer.evidence)
    nothing: Json = {"mode": "none", "days": 0}
    actual = nothing if answer.missing else said(answer, _lock)
    expected = {"mode": mode, "at least days": days}
    if mode is None:
        judgement.observe("Object Lock", actual or unsaid(answer, "Object Lock"))
    elif actual is None:
        judgement.doubt("Object Lock", expected, unsaid(answer, "Object Lock"))
    elif days is None:
        judgement.doubt("Object Lock", expected, _UNSTATED, actual)
    else:
        met = actual["mode"] in (mode, "COMPLIANCE") and actual["days"] >= days
        kept = f"{count(actual['days'], 'day')} in mode {actual['mode']}"
        sentence = f"Object Lock of the bucket {bucket.name} keeps objects for {kept}, not for {days} in mode {mode}."
        judgement.expect("Object Lock", expected, actual, met=met, otherwise=sentence)


def _lock(value: Mapping[str, Json]) -> Json:
    if "Rule" not in value:
        return {"mode": "none", "days": 0}
    retention = value["Rule"]["DefaultRetention"]
    days = _whole(retention["Days"]) if "Days" in retention else 365 * _whole(retention["Years"])
    return {"mode": text("Mode")(retention), "days": days}


class _Expiry(NamedTuple):
    """After how many days a rule deletes what; not `certain` where only some objects are chosen by their tags."""

    rule: str
    days: int
    what: str
    certain: bool

    @property
    def text(self) -> str:
        return f"{self.rule}: {self.what} after {count(self.days, 'day')}"


def _judge_lifecycle(judgement: Judgement, trail: Trail, bucket: Bucket, parameters: RunParameters) -> None:
    name, days, answer = "nothing expires before", parameters.expected.retention_days, bucket.lifecycle
    judgement.rest_on(answer.evidence)
    folder = log_folder(trail, parameters)
    expiries = [] if answer.missing else said(answer, lambda value: _expiries(value, folder))
    expected = count(days, "day") if days is not None else None
    if expiries is None:
        judgement.doubt(name, expected, unsaid(answer, "what the lifecycle rules delete, and when"))
        return
    actual = [expiry.text for expiry in expiries] or "nothing expires"
    early = [expiry for expiry in expiries if days is not None and expiry.days < days]
    if expiries and days is None:
        judgement.doubt(name, expected, _UNSTATED, actual)
    elif early and not any(expiry.certain for expiry in early):
        rules = ", ".join(expiry.text for expiry in early)
        why = f"Whether a lifecycle rule of {bucket.name} reaches a log depends on the tags of the log: {rules}."
        judgement.doubt(name, expected, why, actual)
    else:
        rules = ", ".join(expiry.text for expiry in early)
        sentence = f"A lifecycle rule of {bucket.name} deletes records before {expected}: {rules}."
        judgement.expect(name, expected, actual, met=not early, otherwise=sentence)


def _expiries(lifecycle: Mapping[str, Json], folder: str) -> list[_Expiry]:
    """Return what the rules delete of the trail's records; transitions, markers and unfinished uploads are none.

    A fixed date deletes even what was written the day before. A noncurrent version is what somebody overwrote or
    deleted.
    """
    found: list[_Expiry] = []
    for number, rule in enumerate(lifecycle["Rules"], start=1):
        reach = text("Status")(rule) != "Disabled" and _reach(rule, folder)
        if reach is False:
            continue
        named, certain = rule.get("ID"), reach is True
        name = f'rule "{named}"' if named else f"rule {number}"
        if "Expiration" in rule:
            expiration = rule["Expiration"]
            if "Date" in expiration:
                found.append(_Expiry(name, 0, f"objects on {expiration['Date']}, be they written", certain))
            elif "Days" in expiration or "ExpiredObjectDeleteMarker" not in expiration:
                found.append(_Expiry(name, _whole(expiration["Days"]), "objects", certain))
        if "NoncurrentVersionExpiration" in rule:
            after = _whole(rule["NoncurrentVersionExpiration"]["NoncurrentDays"])
            found.append(_Expiry(name, after, "noncurrent versions", certain))
    return found


def _reach(rule: Mapping[str, Json], folder: str) -> bool | None:
    """Return whether a rule reaches records in a folder: by size it may, by tags it can't be told.

    Source: S3 user guide, "Lifecycle configuration elements": all parts of a filter must match.
    """
    chosen = rule.get("Filter") or {}
    parts = chosen.get("And") or chosen
    prefix = rule.get("Prefix") or parts.get("Prefix") or ""
    if not (folder.startswith(prefix) or prefix.startswith(folder)):
        return False
    return None if parts.get("Tag") or parts.get("Tags") else True


def _whole(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(value)
    return value
