"""Carries out a plan: each step once, in its order, up to the first that AWS refuses; and waits for a new delivery.

What decides is AWS's answers alone, never a clock of this machine: a replay, which pauses nowhere, takes the same way.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from kit.canonical import Json
from kit.collect.account import Progress
from kit.collect.change_calls import CHANGES
from kit.collect.readers import Readers
from kit.collect.trails import collect_status, without_metadata
from kit.evidence import Entry
from kit.remediation.steps import NEW_KEY, Plan, Step
from kit.snapshot import Answer, Carried, Reason

Pause = Callable[[float], None]
"""Waits so many seconds."""

SETTLING_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0)
"""How long is waited, time after time, until AWS sees everywhere what was just changed."""
DELIVERY_S = (1.0, 2.0, 4.0, 8.0, 15.0, *(30.0,) * 39)
"""How long is waited, time after time, for a new delivery: 20 minutes in all. Logs come about every five."""

# what AWS answers where it does not yet see what was made or allowed a moment ago; each is a refusal that changed
# nothing [CloudTrail API reference: CreateTrail, UpdateTrail; KMS: CreateAlias; S3 error responses]
_NOT_YET = frozenset({
    "InsufficientS3BucketPolicyException", "InsufficientEncryptionPolicyException", "S3BucketDoesNotExistException",
    "KmsKeyNotFoundException", "KmsKeyDisabledException", "KmsException", "ConflictException", "NotFoundException",
    "KMSInvalidStateException", "NoSuchBucket", "OperationAborted",
})  # fmt: skip


def carry_out(readers: Readers, plan: Plan, pause: Pause, progress: Progress) -> tuple[Carried, ...]:
    """Carry out the steps of a plan in their order, and return what AWS answered, up to the first error.

    `readers` must try each call once only: a change that is sent twice may be made twice. What AWS refuses because it
    does not yet see what was changed before is asked again, for some 90 seconds.

    IAM: what the steps call, as `kit.collect.change_calls` lists it.

    Raises:
        CredentialsError: no credentials can be found.
        EvidenceError: an answer can't be recorded.
    """
    carried: list[Carried] = []
    new_key = ""
    for number, step in enumerate(plan.steps, start=1):
        carried.append(_carried(readers, step, plan.account, new_key, pause))
        progress("Changes", number, len(plan.steps))
        made = carried[-1].answers[-1].value
        if made is None:
            break
        new_key = made["KeyMetadata"]["Arn"] if step.makes_key else new_key
    return tuple(carried)


def _carried(readers: Readers, step: Step, account: str, new_key: str, pause: Pause) -> Carried:
    call = CHANGES[step.service, step.operation]
    parameters = {name: new_key if value == NEW_KEY else value for name, value in step.parameters.items()}
    dates: list[str] = []

    def read(response: Mapping[str, Json], entry: Entry) -> Mapping[str, Json]:
        dates.append(entry.date)
        if step.makes_key and ":key/" not in response["KeyMetadata"]["Arn"]:
            raise ValueError("a key without ARN")
        return without_metadata(response)

    answers: list[Answer[Mapping[str, Json]]] = []
    for seconds in (0.0, *SETTLING_S):
        if seconds:
            pause(seconds)
        answers.append(readers.ask_stamped(call, step.region, read, account=account, **parameters))
        if not _is_too_early(answers[-1]):
            break
    return Carried(step.id, tuple(answers), dates[-1] if dates else "")


def _is_too_early(answer: Answer[Mapping[str, Json]]) -> bool:
    absence = answer.absence
    return absence is not None and (absence.reason is Reason.THROTTLED or absence.code in _NOT_YET)


def await_delivery(
    readers: Readers, trail: str, since: datetime, pause: Pause, progress: Progress
) -> Answer[Mapping[str, Json]]:
    """Return the delivery status of a trail once a log was delivered after a moment, or as it is after 20 minutes.

    IAM: cloudtrail:GetTrailStatus.

    Raises:
        CredentialsError: no credentials can be found.
        EvidenceError: an answer can't be recorded.
    """
    pauses: Sequence[float] = DELIVERY_S
    for number, seconds in enumerate(pauses, start=1):
        pause(seconds)
        status = collect_status(readers, trail, trail.split(":")[3])
        progress("Waiting for a delivery", number, len(pauses))
        if delivered_after(status, since) or (status.absence and status.absence.reason is Reason.DENIED):
            break
    return status


def delivered_after(status: Answer[Mapping[str, Json]], since: datetime) -> bool:
    """Return whether a status tells of a log delivered after a moment, and of no error since."""
    told = status.value or {}
    latest = told.get("LatestDeliveryTime")
    there = isinstance(latest, datetime) and latest.astimezone(UTC) > since
    return there and not told.get("LatestDeliveryError")
