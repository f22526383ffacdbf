"""Checks on delivery: whether it works, and how every delivered object is encrypted."""

from datetime import UTC, datetime, timedelta

from kit.checks.deliveries import (
    ACCEPTED_KEY,
    SSE_S3,
    TRAIL_KEY,
    describe_encryption,
    each_delivery,
    encryption_kind,
    more,
    trail_key,
)
from kit.checks.reading import description, flag, said, unsaid
from kit.checks.trail import each_trail
from kit.digests.reconcile import Tally
from kit.findings import Finding, Judgement, count, when
from kit.parameters import RunParameters
from kit.snapshot import Delivery, Snapshot, Trail


def oq_01(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """CloudTrail tells no error of delivering logs or digests, nor to CloudWatch Logs where that is configured, and its
    latest deliveries are no older than the stated bounds.

    Source: CloudTrail API reference, "GetTrailStatus": an error member is there only where there was an error, and is
    not set for requests that time out; so the times are judged as well.
    """
    expected = parameters.expected

    def of_trail(trail: Trail, judgement: Judgement) -> Finding:
        logs, digests = expected.max_log_age_minutes, expected.max_digest_age_minutes
        _judge_error(judgement, trail, "log delivery error", "LatestDeliveryError")
        _judge_age(judgement, trail, snapshot, "latest log", "LatestDeliveryTime", logs)
        _judge_error(judgement, trail, "digest delivery error", "LatestDigestDeliveryError")
        if said(description(trail), flag("LogFileValidationEnabled")) is False:
            sentence = f"Log file validation of the trail {trail.arn} is off: no digest is made."
            judgement.expect("latest digest", _bound(digests), "none is made", otherwise=sentence)
        else:
            _judge_age(judgement, trail, snapshot, "latest digest", "LatestDigestDeliveryTime", digests)
        if trail.description.get("CloudWatchLogsLogGroupArn"):
            member = "LatestCloudWatchLogsDelivery"
            _judge_error(judgement, trail, "CloudWatch Logs delivery error", f"{member}Error")
            _judge_age(judgement, trail, snapshot, "latest CloudWatch Logs delivery", f"{member}Time", logs)
        else:
            judgement.observe("CloudWatch Logs", "not configured")
        return judgement.finding(f"The trail {trail.arn} delivers logs and digests in time, and tells no error.")

    return each_trail("OQ-01", snapshot, parameters, of_trail)


def _judge_error(judgement: Judgement, trail: Trail, name: str, member: str) -> None:
    judgement.rest_on(trail.status.evidence)
    if trail.status.value is None:
        judgement.doubt(name, "no error", unsaid(trail.status, name))
        return
    error = trail.status.value.get(member) or "no error"
    judgement.expect(name, "no error", error, otherwise=f"The trail {trail.arn} tells a {name}: {error}.")


def _judge_age(judgement: Judgement, trail: Trail, snapshot: Snapshot, name: str, member: str, minutes: int) -> None:
    expected, latest = _bound(minutes), status_time(trail, member)
    if snapshot.moment is None:
        judgement.doubt(name, expected, snapshot.caller.why or "The answer to sts:GetCallerIdentity carries no Date.")
    elif latest is None:
        judgement.doubt(name, expected, unsaid(trail.status, f"{name} ({member})"))
    else:
        age = snapshot.moment - latest
        actual = f"{when(latest)}, {max(int(age.total_seconds() // 60), 0)} minutes ago"
        sentence = f"The {name} of {trail.arn} was delivered {actual}; the bound is {minutes} minutes."
        judgement.expect(name, expected, actual, met=age <= timedelta(minutes=minutes), otherwise=sentence)


def _bound(minutes: int) -> str:
    return f"at most {minutes} minutes ago"


def status_time(trail: Trail, member: str) -> datetime | None:
    """Return a time that a trail's status tells, in UTC, or None where it does not tell it."""

    def read(status: object) -> datetime:
        value = status[member]  # type: ignore[index]  # what the answer holds, or a TypeError that says nothing
        if not isinstance(value, datetime):
            raise TypeError(member)
        return value.astimezone(UTC)

    found: datetime | None = said(trail.status, read)
    return found


def oq_02(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Every log file delivered within the window is encrypted with SSE-KMS under the trail's key, or under a key that
    the parameters accept for that time, as the response that delivered its content says.

    Source: S3 API reference, "GetObject", response headers; CloudTrail user guide, "Encrypting CloudTrail log files".
    """

    def of_delivery(trail: Trail, delivery: Delivery, judgement: Judgement) -> Finding:
        accepted = (TRAIL_KEY, ACCEPTED_KEY)
        _judge_encryption(judgement, "log file", delivery.logs, trail, parameters, accepted)
        _observe_data_keys(judgement, trail, delivery)
        return judgement.finding(
            f"All {_versions(delivery.logs, 'log file')} of {trail.arn} within the window are encrypted under its key."
        )

    return each_delivery("OQ-02", snapshot, parameters, of_delivery)


def oq_03(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Every digest of the window is encrypted with SSE-KMS under the trail's key, or an accepted one, or with SSE-S3;
    which of them, and from when to when, is told.

    Source: CloudTrail user guide and service model: digests were encrypted with SSE-S3, and with the trail's key since
    late 2025; the response that delivered a digest says which.
    """

    def of_delivery(trail: Trail, delivery: Delivery, judgement: Judgement) -> Finding:
        accepted = (TRAIL_KEY, ACCEPTED_KEY, SSE_S3)
        _judge_encryption(judgement, "digest", delivery.digests, trail, parameters, accepted)
        return judgement.finding(
            f"All {_versions(delivery.digests, 'digest')} of {trail.arn} are encrypted, under its key or with SSE-S3."
        )

    return each_delivery("OQ-03", snapshot, parameters, of_delivery)


def _versions(tally: Tally, what: str) -> str:
    """Return how many objects were read, and in how many versions, if that is more."""
    versions = sum(found.count for found in tally.encryption.values())
    shown = count(tally.objects, what)
    return shown if versions == tally.objects else f"{shown}, in {count(versions, 'version')},"


def _judge_encryption(
    judgement: Judgement,
    what: str,
    tally: Tally,
    trail: Trail,
    parameters: RunParameters,
    accepted: tuple[str, ...],
) -> None:
    name, expected = f"encryption of the {what}s", " or ".join(accepted)
    if trail.key is not None:
        judgement.rest_on(trail.key.metadata.evidence)
    if not tally.objects:
        judgement.doubt(name, expected, f"No {what} of {trail.arn} was found within the window.")
        return
    judgement.observe("objects by encryption", describe_encryption(tally.encryption, trail, parameters))
    kinds: dict[str, int] = {}
    wrong = []
    for encryption, found in sorted(tally.encryption.items()):
        kind = encryption_kind(encryption, found, trail, parameters)
        kinds[kind] = kinds.get(kind, 0) + found.count
        if kind not in accepted:
            wrong.append((kind, encryption[1], found))
    if trail.key is not None and trail_key(trail) is None:
        judgement.doubt(name, expected, unsaid(trail.key.metadata, f"the ARN of the key {trail.key.named}"), kinds)
    elif wrong:
        kind, key, found = wrong[0]
        by = f"{kind} {key}".strip()
        rest = f"{found.examples[0]}{more(found.count - 1)}"
        sentence = f"{count(found.count, what)} of {trail.arn} under {by}: {rest}."
        judgement.expect(name, expected, kinds, met=False, otherwise=sentence)
    elif kinds:
        judgement.expect(name, expected, kinds, met=True)
    if tally.unread:
        why = f"{tally.failure}{more(tally.unread - 1)}."
        judgement.doubt(f"{what}s that were read", tally.objects, why, tally.objects - tally.unread)


def _observe_data_keys(judgement: Judgement, trail: Trail, delivery: Delivery) -> None:
    """Report the key at work: how often CloudTrail asked for data keys for this trail; a chart tells it by hour."""
    asked = (told.rpartition(" ") for told in sorted(delivery.logs.data_keys))
    hours = {hour: delivery.logs.data_keys[f"{arn} {hour}"] for arn, _, hour in asked if arn == trail.arn}
    summed = (
        {"calls": sum(hours.values()), "hours": len(hours), "first": min(hours), "last": max(hours)} if hours else 0
    )
    judgement.observe("data keys that CloudTrail asked for", summed)
    if delivery.logs.unsearched:
        judgement.observe("log files too long to be searched for that", delivery.logs.unsearched)
