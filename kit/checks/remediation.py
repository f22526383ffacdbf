"""Checks on a remediation: that the approved plan was carried out, that CloudTrail delivers, that nothing is left."""

from datetime import datetime

from kit.checks.reading import said
from kit.findings import Finding, Judgement, when
from kit.parameters import RunParameters
from kit.snapshot import Remediation, Snapshot

_NOTHING_APPROVED = "No plan was approved, so nothing was changed."
_NOT_DECIDED = "The step that carries out the plan was not executed."


def rm_01(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Exactly the approved plan was carried out, under a change-control id: every step of it, in its order, each taken
    by AWS.

    A plan without a step leaves nothing to carry out, and nothing to approve.
    """
    judgement, held = _begun("RM-01", snapshot, parameters)
    if held is None:
        judgement.doubt("approved plan", "carried out", _NOT_DECIDED)
        return [judgement.finding()]
    if held.approved is None:
        if not held.steps:
            return [judgement.not_applicable("The plan has no step: nothing was to be changed, and nothing was.")]
        judgement.doubt("approved plan", held.plan, _NOTHING_APPROVED)
        return [judgement.finding()]
    for one in held.carried:
        judgement.rest_on(evidence for answer in one.answers for evidence in answer.evidence)
    sentence = f"The plan {held.plan} was carried out, and {held.approved} was approved."
    judgement.expect("approved plan", held.approved, held.plan, otherwise=sentence)
    named = held.change_control
    judgement.expect("change control", "named", named, met=bool(named), otherwise="No change-control id was named.")
    done = [one.step for one in held.carried if one.done]
    refused = next((one for one in held.carried if not one.done), None)
    why = f"The plan stopped at {refused.step}: {refused.answers[-1].why}" if refused else "Not every step was reached."
    judgement.expect("steps carried out", list(held.steps), done, otherwise=why)
    return [judgement.finding(f"The plan {held.plan} was carried out under {named}: {len(done)} of {len(done)} steps.")]


def rm_02(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """CloudTrail has delivered a log file since the last change, and tells no delivery error.

    Both moments are AWS's: the `Date` of its answer to the last change, and `LatestDeliveryTime`. Source: CloudTrail
    API reference, "GetTrailStatus".
    """
    judgement, held = _begun("RM-02", snapshot, parameters)
    if held is None or (held.approved is None and held.steps):
        judgement.doubt("a new delivery", "after the changes", _NOT_DECIDED if held is None else _NOTHING_APPROVED)
        return [judgement.finding()]
    if not any(one.done for one in held.carried):
        return [judgement.not_applicable("Nothing was changed, so no delivery was waited for.")]
    if held.changed is None:
        why = "AWS took a change, and its answer says not when: a delivery can't be told to have come after it."
        judgement.doubt("a new delivery", "after the changes", why)
        return [judgement.finding()]
    since, status = held.changed, held.status
    expected = f"after {when(since)}"
    if status is None:
        judgement.doubt("a new delivery", expected, "No delivery was waited for, since the plan stopped on its way.")
        return [judgement.finding()]
    judgement.rest_on(status.evidence)
    if status.value is None:
        judgement.doubt("a new delivery", expected, status.why)
        return [judgement.finding()]
    error = status.value.get("LatestDeliveryError")
    judgement.expect(
        "delivery error", "none", error or "none", otherwise=f"CloudTrail tells a delivery error: {error}."
    )
    latest = said(status, lambda value: value["LatestDeliveryTime"])
    actual = when(latest) if isinstance(latest, datetime) else None
    if isinstance(latest, datetime) and latest > since:
        judgement.expect("a new delivery", expected, actual, met=True)
    else:
        judgement.doubt("a new delivery", expected, "No log was delivered in the time that was waited.", actual)
    return [judgement.finding(f"CloudTrail has delivered since the last change: {actual}.")]


def rm_03(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """A plan for the settings after the changes has no step.

    Where nothing was approved, nothing was changed, and the plan itself is what is left.
    """
    judgement, held = _begun("RM-03", snapshot, parameters)
    if held is None:
        judgement.doubt("steps that are left", [], _NOT_DECIDED)
        return [judgement.finding()]
    left = list(held.steps.values() if held.approved is None else held.remaining)
    judgement.expect("steps that are left", [], left, otherwise=f"A plan would still do: {'; '.join(left)}.")
    return [judgement.finding("A new plan has no step.")]


def _begun(test_case: str, snapshot: Snapshot, parameters: RunParameters) -> tuple[Judgement, Remediation | None]:
    resource = parameters.expected.trail_arn or f"account {parameters.account.account_id}"
    judgement = Judgement(test_case, resource)
    judgement.rest_on(snapshot.caller.evidence)
    return judgement, snapshot.remediation
