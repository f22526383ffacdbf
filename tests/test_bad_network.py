"""On a bad network a verdict is right or open, never wrong: errors, refusals, broken connections, bodies cut short."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fixtures.fault_proxy import KINDS, FaultProxy
from fixtures.operational import judged, silent, verdicts

from kit.canonical import canonical
from kit.collect import readers, transfers
from kit.collect.gather import gather, gather_again
from kit.evidence import EvidenceStore
from kit.findings import Verdict
from kit.parameters import RunParameters
from kit.sandbox.server import CREDENTIALS, Sandbox

DELIVERY = {"hours": 4, "digest_regions": ["eu-west-1", "us-east-1"]}
ACCOUNTS = [(), ("rotation-off", "log-deleted"), ("not-logging", "digest-flipped")]
SHARES = [(0.01, ""), (0.1, ""), (0.5, ""), (0.5, "AWSLogs"), (0.9, "AWSLogs"), (1.0, "AWSLogs")]
"""How many requests are spoilt, and of which: of all, or of those for what was delivered."""
PATIENCE_S = 120
"""How long one collection may take: some seconds of work, and what is waited between attempts."""


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started:
        yield started


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Have what waits for an answer, and before it asks again, wait less; it does so as often."""
    monkeypatch.setattr(readers, "READ_TIMEOUT_S", 0.5)
    monkeypatch.setattr(transfers, "STALL_TIMEOUT_S", 1)
    monkeypatch.setattr(transfers, "PAUSES_S", (0.01, 0.02, 0.04))
    monkeypatch.setattr("botocore.retryhandler.delay_exponential", lambda *_, **__: 0.01)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    monkeypatch.setattr("botocore.retries.adaptive.ClientRateLimiter.on_sending_request", lambda *_, **__: None)


def collect(endpoint: str, sandbox: Sandbox, folder: Path):
    told = sandbox.parameters
    parameters = RunParameters.load(told | {"target": told["target"] | {"endpoint_url": endpoint}})
    with ThreadPoolExecutor(8) as executor:
        snapshot = gather("OQ", parameters, EvidenceStore(folder), CREDENTIALS, executor, silent)
    return judged(snapshot, parameters, "IQ", "OQ"), parameters


@pytest.mark.slow
@pytest.mark.parametrize("faults", ACCOUNTS, ids=lambda faults: "+".join(faults) or "compliant")
def test_a_verdict_is_right_or_open(faults, sandbox, tmp_path):
    sandbox.reset(faults, DELIVERY)
    right = verdicts(collect(sandbox.endpoint, sandbox, tmp_path / "calm")[0])
    for seed, (share, only) in enumerate(SHARES):
        folder, began = tmp_path / f"{seed}", time.monotonic()
        with FaultProxy(sandbox.endpoint, share, seed, silence_s=2, only=only) as proxy:
            findings, parameters = collect(proxy.endpoint, sandbox, folder)
        assert time.monotonic() - began < PATIENCE_S
        assert proxy.spoilt or share < 0.1
        found = verdicts(findings)
        wrong = {case: one for case, one in found.items() if one not in (right[case], Verdict.INCONCLUSIVE)}
        assert wrong == {}, (share, seed, [one.message for case in wrong for one in findings[case]])
        with ThreadPoolExecutor(1) as executor:
            again = gather_again("OQ", parameters, folder, executor, silent)
        replayed = judged(again, parameters, "IQ", "OQ")
        assert canonical([one.to_json() for each in replayed.values() for one in each]) == canonical(
            [one.to_json() for each in findings.values() for one in each]
        )


@pytest.mark.slow
def test_a_few_disturbances_are_overcome(sandbox, tmp_path):
    sandbox.reset((), DELIVERY)
    with FaultProxy(sandbox.endpoint, 0.05, 8, silence_s=2) as proxy:
        found = verdicts(collect(proxy.endpoint, sandbox, tmp_path / "e")[0])
    assert sum(proxy.spoilt.values()) > 0
    assert list(found.values()).count(Verdict.PASS) > len(found) / 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_disturbance_of_every_request_leaves_everything_open_and_no_thread(kind, sandbox, tmp_path, monkeypatch):
    monkeypatch.setattr("fixtures.fault_proxy.KINDS", (kind,))
    sandbox.reset((), DELIVERY)
    with FaultProxy(sandbox.endpoint, 1.0, 1, silence_s=2) as proxy:
        found = verdicts(collect(proxy.endpoint, sandbox, tmp_path / "e")[0])
    if kind == "checksum":
        # the bodies are whole: what holds them to it leaves them open, and nothing fails
        assert set(found.values()) <= {Verdict.PASS, Verdict.INCONCLUSIVE}
    else:
        assert set(found.values()) <= {Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE}
    assert [one.name for one in threading.enumerate() if one.name.startswith("ThreadPoolExecutor")] == []
