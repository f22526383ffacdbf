"""What the checks say of a remediation: only one that was approved, carried out whole and seen to deliver passes."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fixtures.period import ACCOUNT, parameters

from kit.catalogue import protocol
from kit.findings import Finding, Verdict
from kit.snapshot import Absence, Answer, Carried, Reason, Remediation, Snapshot

pytestmark = pytest.mark.pinned
CASES = protocol("RM").test_cases
PASS, FAIL, OPEN, NOT = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE
PLAN, DATE = "1" * 64, "Mon, 05 Jan 2026 10:00:00 GMT"
LATER, SAME = datetime(2026, 1, 5, 10, 0, 1, tzinfo=UTC), datetime(2026, 1, 5, 10, tzinfo=UTC)
CALLER: Answer[Any] = Answer("sts:GetCallerIdentity", ("E-caller",), {"Account": ACCOUNT})
DENIED = Absence(Reason.DENIED, "AccessDenied", "no")


def status(**told: Any) -> Answer[Any]:
    return Answer("cloudtrail:GetTrailStatus in eu-central-1", ("E-status",), told)


def carried(step: str, absence: Absence | None = None, date: str = DATE) -> Carried:
    last: Answer[Any] = Answer(f"call of {step}", (f"E-{step}",), None if absence else {}, absence)
    first: Answer[Any] = Answer("kms:CreateKey", ("E-first",), absence=Absence(Reason.THROTTLED, "x"))
    return Carried(step, (first, replace(first, evidence=("E-second",)), last), date)


WENT_WELL = Remediation(
    PLAN,
    PLAN,
    "CC-7",
    {"rotate": "Turn rotation on", "log": "Start logging"},
    (carried("rotate", date=""), carried("log")),
    status(LatestDeliveryTime=LATER),
)


def judged(case: str, held: Remediation | None, **expected: Any) -> Finding:
    snapshot = Snapshot(CALLER, CALLER, {}, (), None, remediation=held)
    (finding,) = CASES[case].judge(snapshot, parameters(expected=expected))
    assert finding.message.endswith("."), finding.message
    return finding


@pytest.mark.parametrize("case", ["RM-01", "RM-02", "RM-03"])
def test_a_remediation_that_went_well_passes(case: str) -> None:
    assert judged(case, WENT_WELL).verdict is PASS


@pytest.mark.parametrize("case", ["RM-01", "RM-02", "RM-03"])
def test_what_was_never_decided_passes_nothing(case: str) -> None:
    assert judged(case, None).verdict is OPEN


@pytest.mark.parametrize(
    ("case", "verdict"), [("RM-01", OPEN), ("RM-02", OPEN), ("RM-03", FAIL)], ids=["RM-01", "RM-02", "RM-03"]
)
def test_what_was_not_approved_passes_nothing(case: str, verdict: Verdict) -> None:
    assert judged(case, replace(WENT_WELL, approved=None, carried=(), status=None)).verdict is verdict


@pytest.mark.parametrize("case", ["RM-01", "RM-02", "RM-03"])
def test_a_trail_that_is_not_named_is_judged_as_its_account(case: str) -> None:
    assert judged(case, WENT_WELL, trail_arn=None).resource == f"account {ACCOUNT}"


ROTATED, STARTED = WENT_WELL.carried
WRONG: dict[str, tuple[str, dict[str, Any], Verdict]] = {
    "another plan": ("RM-01", {"approved": "0" * 64}, FAIL),
    "no change control": ("RM-01", {"change_control": None}, FAIL),
    "an empty change control": ("RM-01", {"change_control": ""}, FAIL),
    "nothing carried out": ("RM-01", {"carried": ()}, FAIL),
    "a step too few": ("RM-01", {"carried": (ROTATED,)}, FAIL),
    "another order": ("RM-01", {"carried": (STARTED, ROTATED)}, FAIL),
    "a step that AWS refused": ("RM-01", {"carried": (ROTATED, carried("log", DENIED))}, FAIL),
    "nothing to do": ("RM-01", {"approved": None, "steps": {}, "carried": ()}, NOT),
    "not waited": ("RM-02", {"status": None}, OPEN),
    "nothing delivered": ("RM-02", {"status": status()}, OPEN),
    "a delivery time of another type": ("RM-02", {"status": status(LatestDeliveryTime="2026")}, OPEN),
    "nothing delivered since": ("RM-02", {"status": status(LatestDeliveryTime=SAME)}, OPEN),
    "an error": ("RM-02", {"status": status(LatestDeliveryError="AccessDenied", LatestDeliveryTime=LATER)}, FAIL),
    "denied": ("RM-02", {"status": replace(status(), value=None, absence=DENIED)}, OPEN),
    "changed, and not said when": ("RM-02", {"carried": (carried("rotate", date=""),)}, OPEN),
    "nothing changed": ("RM-02", {"carried": ()}, NOT),
    "nothing changed, since AWS refused": ("RM-02", {"carried": (carried("rotate", DENIED),)}, NOT),
    "no step": ("RM-02", {"approved": None, "steps": {}, "carried": ()}, NOT),
    "something left": ("RM-03", {"remaining": ("Start logging",)}, FAIL),
    "several left": ("RM-03", {"remaining": ("Start logging", "Turn rotation on")}, FAIL),
    "no plan needed": ("RM-03", {"approved": None, "steps": {}, "carried": ()}, PASS),
}


@pytest.mark.parametrize(("case", "members", "verdict"), WRONG.values(), ids=WRONG)
def test_what_went_otherwise_is_told(case: str, members: dict[str, Any], verdict: Verdict) -> None:
    assert judged(case, replace(WENT_WELL, **members)).verdict is verdict
