"""Each fault of the sandbox changes the verdict of exactly the test cases that it must, and of no other."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from kit.catalogue import protocol
from kit.collect.iq import Scope, collect_iq
from kit.collect.readers import Readers
from kit.evidence import EvidenceStore
from kit.findings import Verdict, roll_up
from kit.parameters import RunParameters
from kit.recording import Recorder
from kit.sandbox.faults import list_faults
from kit.sandbox.server import CREDENTIALS, Sandbox

CASES = protocol("IQ").test_cases
SILENT = ("deny-", "throttle-", "garbage-", "empty-", "endpoint-", "credentials-")
"""Faults that keep an answer away, and so may only make verdicts inconclusive."""


def judge(sandbox, folder):
    parameters = RunParameters.load(sandbox.parameters)
    expected = parameters.expected
    readers = Readers(
        Recorder(EvidenceStore(folder)), endpoint_url=sandbox.endpoint, credentials=CREDENTIALS, attempts=2
    )
    scope = Scope(parameters.target.account_id, None, expected.trail_arn, expected.kms_key_arn)
    with ThreadPoolExecutor(8) as executor:
        snapshot = collect_iq(readers, scope, executor, lambda *_: None)
    findings = {case.id: case.judge(snapshot, parameters) for case in CASES.values()}
    return {case_id: roll_up(finding.verdict for finding in found) for case_id, found in findings.items()}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started:
        yield started


def test_every_test_case_passes_on_the_compliant_account(sandbox, tmp_path):
    sandbox.reset()
    assert judge(sandbox, tmp_path / "evidence") == dict.fromkeys(CASES, Verdict.PASS)


@pytest.mark.parametrize("fault", list_faults(), ids=lambda fault: fault.name)
def test_a_fault_changes_the_verdict_of_its_test_cases_alone(fault, sandbox, tmp_path):
    sandbox.reset([fault.name])
    verdicts = judge(sandbox, tmp_path / "evidence")
    changed = {case_id: verdict for case_id, verdict in verdicts.items() if verdict is not Verdict.PASS}
    assert sorted(changed) == sorted(fault.changes), changed
    if fault.name.startswith(SILENT):
        assert set(changed.values()) == {Verdict.INCONCLUSIVE}
