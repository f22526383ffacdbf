"""Each fault of the sandbox changes the verdict of exactly the test cases that it must, and of no other."""

import pytest
from fixtures.operational import collected, judged, verdicts

from kit.catalogue import protocol
from kit.collect import live_objects
from kit.findings import Verdict
from kit.sandbox.faults import list_faults
from kit.sandbox.server import Sandbox

CASES = [*protocol("IQ").test_cases.values(), *protocol("OQ").test_cases.values()]
SILENT = ("deny-", "throttle-", "drop-", "garbage-", "empty-", "endpoint-", "credentials-")
"""Faults that keep an answer away, and so may only make verdicts inconclusive."""
REGIONS, FAR = ["eu-west-1", "us-east-1"], ["eu-central-1", "us-west-2"]
DELIVERY = {
    "hours": 4,
    "logs_per_hour": 2,
    "regions": REGIONS,
    "digest_regions": [*REGIONS, "eu-central-1", "us-west-2"],
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(live_objects, "PAUSES_S", (0.01,))


def judge(sandbox, folder):
    return verdicts(judged(*collected(sandbox, folder), "IQ", "OQ"))


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started:
        yield started


def test_every_test_case_passes_on_the_compliant_account(sandbox, tmp_path):
    sandbox.reset((), DELIVERY)
    assert judge(sandbox, tmp_path / "evidence") == {case.id: Verdict.PASS for case in CASES}


@pytest.mark.parametrize("fault", list_faults(), ids=lambda fault: fault.name)
def test_a_fault_changes_the_verdict_of_its_test_cases_alone(fault, sandbox, tmp_path):
    sandbox.reset([fault.name], DELIVERY)
    verdicts = judge(sandbox, tmp_path / "evidence")
    changed = {case_id: verdict for case_id, verdict in verdicts.items() if verdict is not Verdict.PASS}
    assert sorted(changed) == sorted(fault.changes), changed
    if fault.name.startswith(SILENT):
        assert set(changed.values()) <= {Verdict.INCONCLUSIVE}
