"""A run is judged the same again from its evidence alone: no network, no credentials, nothing left over."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from fixtures.operational import collected, judged, silent, verdicts
from pytest_socket import disable_socket, enable_socket

from kit.canonical import canonical, sha256
from kit.collect import transfers
from kit.collect.gather import gather_again
from kit.errors import EvidenceError
from kit.evidence import INDEX, is_ledger, read_index
from kit.findings import Verdict
from kit.sandbox.server import Sandbox

DELIVERY = {"hours": 4, "digest_regions": ["eu-west-1", "us-east-1"]}
FAULTS = [
    (),
    ("log-flipped",),
    ("log-deleted",),
    ("log-planted",),
    ("hostile-keys",),
    ("bucket-renamed",),
    ("digest-bomb",),
    ("digests-all-deleted",),
    ("throttle-one-log",),
    ("throttle-first-reads",),
    ("drop-one-log",),
    ("deny-get-object",),
    ("deny-list-object-versions",),
    ("deny-list-public-keys",),
    ("denied-role-not-assumable",),
    ("denied-role-may-decrypt",),
    ("second-trail-shares-bucket",),
    ("bucket-gone",),
    ("no-trail",),
]


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started:
        yield started


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(transfers, "PAUSES_S", (0.01,))


def again(parameters, folder):
    with ThreadPoolExecutor(1) as executor:
        return gather_again("OQ", parameters, folder, executor, silent)


def told(findings):
    return {
        case_id: [finding.to_json() | {"evidence": sorted(finding.evidence)} for finding in found]
        for case_id, found in findings.items()
    }


@pytest.mark.parametrize("faults", FAULTS, ids=lambda faults: "+".join(faults) or "compliant")
def test_a_replay_finds_the_same_without_a_network(faults, sandbox, tmp_path):
    sandbox.reset(faults, DELIVERY)
    snapshot, parameters = collected(sandbox, tmp_path / "evidence")
    live = told(judged(snapshot, parameters))
    disable_socket()
    try:
        replayed = told(judged(again(parameters, tmp_path / "evidence"), parameters))
    finally:
        enable_socket()
    assert replayed == live


@pytest.fixture(scope="module")
def recorded(sandbox, tmp_path_factory):
    sandbox.reset((), DELIVERY)
    folder = tmp_path_factory.mktemp("recorded") / "evidence"
    return (*collected(sandbox, folder), folder)


def test_each_object_has_one_line_in_a_stable_order(recorded):
    _, _, folder = recorded
    (entry,) = [entry for entry in read_index(folder) if is_ledger(entry, "logs")]
    lines = [json.loads(line) for line in gzip.decompress((folder / entry.path).read_bytes()).splitlines()]
    keys = [line["key"] for line in lines]
    assert keys == sorted(set(keys))
    assert len(keys) == entry.parameters["lines"] > 10


def test_every_finding_on_objects_rests_on_the_ledgers(recorded):
    snapshot, parameters, folder = recorded
    ledgers = {entry.id for entry in read_index(folder) if is_ledger(entry)}
    findings = judged(snapshot, parameters)
    assert set(verdicts(findings).values()) == {Verdict.PASS}
    for case_id in ("OQ-02", "OQ-03", "OQ-04", "OQ-05", "OQ-06", "OQ-07", "OQ-09"):
        assert ledgers <= set(findings[case_id][0].evidence)


def _redone(folder, name, change):
    """Change a ledger, and redo the index as somebody does who covers their tracks."""
    index = [json.loads(line) for line in (folder / INDEX).read_bytes().splitlines()]
    for entry in index:
        if isinstance(entry["parameters"], dict) and entry["parameters"].get("ledger") == name:
            path = folder / entry["path"]
            lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
            change(lines)
            path.write_bytes(gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines)))
            entry |= {"sha256": sha256(path.read_bytes()), "bytes": path.stat().st_size}
    (folder / INDEX).write_bytes(b"".join(canonical(entry) + b"\n" for entry in index))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("logs", lambda lines: lines.pop(), "no recording of s3://"),
        ("kept", lambda lines: lines.pop(), "no recording of s3://"),
        ("listings", lambda lines: lines.pop(), "no recording of the listing"),
        ("logs", lambda lines: lines.append(lines[0] | {"key": "more"}), "never asked for"),
        ("listings", lambda lines: lines.append(lines[0] | {"bucket": "more"}), "never asked for"),
    ],
    ids=["a log taken", "a digest taken", "a listing taken", "a log added", "a listing added"],
)
def test_a_ledger_that_holds_less_or_more_than_is_asked_is_refused(name, change, message, sandbox, tmp_path):
    sandbox.reset((), DELIVERY)
    _, parameters = collected(sandbox, tmp_path / "evidence")
    _redone(tmp_path / "evidence", name, change)
    with pytest.raises(EvidenceError, match=message):
        again(parameters, tmp_path / "evidence")


def test_a_hash_that_was_redone_in_the_ledger_is_found_by_the_replay(sandbox, tmp_path):
    sandbox.reset(["log-flipped"], DELIVERY)
    snapshot, parameters = collected(sandbox, tmp_path / "evidence")
    assert verdicts(judged(snapshot, parameters))["OQ-05"] is Verdict.FAIL

    def spoil(lines):
        lines[0]["sha256"] = "0" * 64

    sandbox.reset((), DELIVERY)
    _, parameters = collected(sandbox, tmp_path / "clean")
    _redone(tmp_path / "clean", "logs", spoil)
    assert verdicts(judged(again(parameters, tmp_path / "clean"), parameters))["OQ-05"] is Verdict.FAIL
