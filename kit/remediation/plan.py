"""The plan: what would mend an account, in which order, and what is left to the operator."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import date

from kit.canonical import Json, well_formed
from kit.catalogue import protocol
from kit.findings import Finding, Verdict, roll_up
from kit.parameters import RunParameters
from kit.remediation.advice import advice
from kit.remediation.buckets import plan_bucket
from kit.remediation.draft import Draft, planned
from kit.remediation.keys import plan_key
from kit.remediation.steps import Left, Plan
from kit.remediation.trails import plan_others, plan_trail
from kit.snapshot import Answer, Snapshot, Trail

_OF_THE_MOMENT = frozenset({"caller", "deliveries", "refusal", "remediation", "evidence", "call", "message"})
"""What of a snapshot is otherwise at every moment, or for every asker, without the account having moved."""

_HOPED: Mapping[str, Json] = {
    "IsMultiRegionTrail": True,
    "IncludeGlobalServiceEvents": True,
    "LogFileValidationEnabled": True,
    "IsOrganizationTrail": False,
}
_SELECTOR = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}


def plan(snapshot: Snapshot, parameters: RunParameters) -> Plan:
    """Return what would mend the account that a snapshot shows, so far as AWS answered and the parameters say.

    Nothing is guessed, and nothing is narrowed, deleted or disabled: what can't be told, and what is a person's to
    decide, is left to the operator. What makes a thing ready comes before what uses it, and logging starts last, so
    that the account is never worse off between two steps. The same snapshot and parameters give the same plan.
    """
    now = _judged(snapshot, parameters)
    found = _begun(snapshot, parameters, now)
    if isinstance(found, Draft):
        for add in (plan_bucket, plan_key, plan_others, plan_trail):
            add(found)
    notes = dict(found.notes) if isinstance(found, Draft) else {"IQ-02": [found]}
    afterwards = found.snapshot if isinstance(found, Draft) else snapshot
    then = _judged(afterwards, parameters)
    return Plan(
        parameters.account.account_id,
        parameters.to_json()["expected"],
        well_formed(_settings(snapshot)),
        tuple(found.steps) if isinstance(found, Draft) else (),
        tuple(
            _left(finding, notes.pop(case, []), found.trail.arn if isinstance(found, Draft) else "")
            for case, findings in then.items()
            for finding in findings
            if finding.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE)
        ),
        {case: (_verdict(now[case]), _verdict(then[case])) for case in now},
    )


def _judged(snapshot: Snapshot, parameters: RunParameters) -> dict[str, list[Finding]]:
    return {case.id: case.judge(snapshot, parameters) for case in protocol("IQ").test_cases.values()}


def _verdict(findings: list[Finding]) -> str:
    return roll_up(finding.verdict for finding in findings).value


def _left(finding: Finding, notes: list[str], trail: str) -> Left:
    open_ = {name: met for name, met in finding.met.items() if met is not True}
    told = dict.fromkeys([*notes, *(advice(finding.test_case, name, met, trail) for name, met in open_.items())])
    return Left(finding.test_case, finding.resource, finding.message, tuple(open_), tuple(told))


def _begun(snapshot: Snapshot, parameters: RunParameters, now: Mapping[str, list[Finding]]) -> Draft | str:
    """Return a draft for the one trail that the run is about, or why, as a full sentence, nothing can be planned.

    Where the expected trail does not exist for sure, it is drafted as it would be made.
    """
    expected = parameters.expected
    judged = [trail for trail in snapshot.trails if trail.judged]
    arn = judged[0].arn if len(judged) == 1 else "" if judged else expected.trail_arn or ""
    reasons = {
        "Nothing is planned: it is not known that the caller belongs to the target's account.": not all(
            finding.met.get("account of the caller") for finding in now["IQ-01"]
        ),
        "State expected.trail_arn: a plan is for one trail, and which one it is can't be told.": not arn,
        f"The trail {arn} is of another account than the target: whoever owns it makes or changes it there.": (
            arn.split(":")[4:5] != [parameters.account.account_id]
        ),
        f"Whether {arn} exists can't be told, so it is not made.": (
            not judged and not any(finding.verdict is Verdict.FAIL for finding in now["IQ-02"])
        ),
        f"Whether {arn} is to be an organization trail, made in the management account, is to be decided.": (
            not judged and expected.organization_id is not None
        ),
    }
    reason = next((why for why, holds in reasons.items() if holds), "")
    if reason:
        return reason
    return Draft(
        snapshot, parameters, judged[0] if judged else None, judged[0] if judged else _hoped_for(snapshot, arn)
    )


def _hoped_for(snapshot: Snapshot, arn: str) -> Trail:
    """Return the trail as it would be made, without its key."""
    home, name = arn.split(":")[3], arn.partition(":trail/")[2]
    bucket = snapshot.prospect.bucket if snapshot.prospect else None
    described = {**_HOPED, "TrailARN": arn, "Name": name, "HomeRegion": home}
    if bucket is not None:
        described["S3BucketName"] = bucket.name
    selectors = planned({"EventSelectors": [_SELECTOR]})
    return Trail(arn, described, (home,), (), True, planned({"IsLogging": True}), selectors, None, bucket)


def _settings(part: object, name: str = "") -> Json:
    """Return the settings that a part of a snapshot holds, as JSON, without what is of the moment.

    Of an answer that is absent it is the reason that counts; of a trail's status, whether it is logging.
    """
    if isinstance(part, Answer) and name == "status" and part.value is not None:
        part = replace(part, value={"IsLogging": part.value.get("IsLogging")})
    if is_dataclass(part):
        held = {member.name: getattr(part, member.name) for member in fields(part)}
        return {key: _settings(value, key) for key, value in held.items() if key not in _OF_THE_MOMENT}
    if isinstance(part, Mapping):
        return {str(key): _settings(value) for key, value in part.items()}
    if isinstance(part, tuple | list):
        return [_settings(value) for value in part]
    return part.isoformat() if isinstance(part, date) else part if isinstance(part, bool | int | float | str) else None
