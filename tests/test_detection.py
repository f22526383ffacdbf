"""Each fault of the sandbox changes the verdict of exactly the test cases that it must, and of no other."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from fixtures.operational import collected, judged, silent, verdicts

from kit.catalogue import protocol
from kit.collect import transfers
from kit.collect.delivered import delivered_again
from kit.collect.gather import gather
from kit.evidence import EvidenceStore, read_index, timestamp
from kit.findings import Verdict
from kit.parameters import RunParameters
from kit.review.state import state
from kit.sandbox.account import TRAIL_ARN
from kit.sandbox.faults import list_faults
from kit.sandbox.server import CREDENTIALS, Sandbox

CASES = [case for name in ("IQ", "OQ", "PQ") for case in protocol(name).test_cases.values()]
SILENT = ("deny-", "throttle-", "drop-", "garbage-", "empty-", "endpoint-", "credentials-")
"""Faults that keep an answer away, and so may only make verdicts inconclusive."""
REGIONS, FAR = ["eu-west-1", "us-east-1"], ["eu-central-1", "us-west-2"]
DELIVERY = {
    "hours": 4,
    "logs_per_hour": 2,
    "regions": REGIONS,
    "digest_regions": [*REGIONS, "eu-central-1", "us-west-2"],
}
DAYS = 30


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(transfers, "PAUSES_S", (0.01,))


@dataclass
class Before:
    """What an outputs folder tells of the compliant account: qualified a while ago, and each day of it covered."""

    settings: dict[str, Any]
    delivered: dict[str, Any]
    now: datetime

    def register(self, since: datetime) -> Any:
        began = timestamp(since + timedelta(hours=1))
        runs = [
            {"record_id": name, "protocol": name, "began": began, "ended": began, "state": "finished",
             "verdict": "PASS", "digest": "d"} for name in ("IQ", "OQ")
        ]  # fmt: skip
        return {"problem": "", "runs": runs, "strangers": [], "unread": [], "archived": {"IQ": ["1"]}}

    def record(self, _: Any, record_id: str) -> Any:
        delivered = {TRAIL_ARN: self.delivered} if record_id == "OQ" else {}
        cases = dict.fromkeys(protocol(record_id).test_cases, "PASS")
        return {"problem": "", "verdicts": cases, "open": {}, "state": self.settings, "stateless": "",
                "delivered": delivered}  # fmt: skip

    def restore(self, _: Any, record_id: str, __: str) -> Any:
        return {
            "record_id": record_id,
            "destination": "s3://archive/records",
            "files": 55,
            "problem": "",
            "unread": False,
        }


def parameters_of(sandbox: Sandbox) -> RunParameters:
    told = sandbox.parameters
    review = {"review": {"iq_every_days": DAYS, "oq_every_days": DAYS}}
    return RunParameters.load(told | {"expected": told["expected"] | review, "window": {"hours": 24 * DAYS}})


def reviewed(sandbox, folder, before):
    parameters = parameters_of(sandbox)
    with ThreadPoolExecutor(8) as executor:
        snapshot = gather("PQ", parameters, EvidenceStore(folder), CREDENTIALS, executor, silent, before)
    return verdicts(judged(snapshot, parameters, "PQ"))


def judge(sandbox, folder, before):
    return verdicts(judged(*collected(sandbox, folder / "OQ"), "IQ", "OQ")) | reviewed(sandbox, folder / "PQ", before)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started:
        yield started


@pytest.fixture(scope="module")
def before(sandbox, tmp_path_factory):
    folder = tmp_path_factory.mktemp("before") / "evidence"
    sandbox.reset((), DELIVERY)
    snapshot, parameters = collected(sandbox, folder)
    passed = dict.fromkeys(protocol("OQ").test_cases, "PASS")
    told = delivered_again(folder, read_index(folder), snapshot, parameters, passed)[TRAIL_ARN].to_json()
    now = snapshot.moment
    # as if it had read all of the period
    window = [timestamp(now - timedelta(days=DAYS + 1)), timestamp(now + timedelta(days=1))]
    told |= {"window": window, "judged_to": window[1], "covered": {area: [window] for area in told["covered"]}}
    return Before(state(snapshot).to_json(), told, now)


def test_every_test_case_passes_on_the_compliant_account(sandbox, before, tmp_path):
    sandbox.reset((), DELIVERY)
    assert judge(sandbox, tmp_path, before) == {case.id: Verdict.PASS for case in CASES}


@pytest.mark.parametrize("fault", list_faults(), ids=lambda fault: fault.name)
def test_a_fault_changes_the_verdict_of_its_test_cases_alone(fault, sandbox, before, tmp_path):
    sandbox.reset([fault.name], DELIVERY)
    verdicts = judge(sandbox, tmp_path, before)
    changed = {case_id: verdict for case_id, verdict in verdicts.items() if verdict is not Verdict.PASS}
    assert sorted(changed) == sorted(fault.changes), changed
    if fault.name.startswith(SILENT):
        assert set(changed.values()) <= {Verdict.INCONCLUSIVE}
