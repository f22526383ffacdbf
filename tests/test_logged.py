"""A review of a year takes the changes that CloudTrail's event history does not hold any more from delivered log files.

The account is the sandbox's, with deliveries of some days around a change two hundred days ago; what earlier runs left
is made by hand.
"""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fixtures.operational import silent
from fixtures.runs import NOTEBOOK, PEOPLE, execute_here, sealed
from fixtures.year import make_year
from pytest_socket import disable_socket, enable_socket

from kit.catalogue import protocol
from kit.collect import reading, transfers
from kit.collect.calls import CALLS
from kit.collect.gather import gather, gather_again
from kit.collect.least_privilege import least_privilege
from kit.collect.ledger import read_ledger
from kit.errors import EvidenceError
from kit.evidence import EvidenceStore, is_ledger, read_index, timestamp
from kit.findings import Finding, Verdict, roll_up
from kit.parameters import RunParameters
from kit.record.manifest import read_manifest
from kit.record.verification.replay import replay
from kit.review.drift import State
from kit.review.events import changes_in
from kit.review.state import state
from kit.sandbox.account import ADDRESS, ADMINISTRATOR, TRAIL_ARN
from kit.sandbox.server import CREDENTIALS, Sandbox

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = datetime.now(UTC).replace(minute=20, second=0, microsecond=0)
BEFORE, CHANGED, AFTER = NOW - 201 * DAY, NOW - 200 * DAY, NOW - 199.5 * DAY
YEAR = {"hours": 24 * 365}
FEW_DAYS = {"start": timestamp(BEFORE), "end": timestamp(AFTER)}
CONTROL = {"id": "CC-7", "start": timestamp(CHANGED - HOUR), "end": timestamp(CHANGED + HOUR), "what": "rotation on"}
REGIONS = ["eu-west-1", "us-east-1"]
PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
ROTATION = f"{TRAIL_ARN}#key/rotation/KeyRotationEnabled"


class Earlier:
    """What an outputs folder tells of two runs, between which the key was made to rotate, or something else changed."""

    def __init__(self, before: State, after: State, *moments: datetime) -> None:
        self.states = {"IQ-before": before, "IQ-after": after}
        self.moments = moments or (BEFORE, AFTER)

    def register(self, _: datetime) -> Any:
        runs = [
            {"record_id": name, "protocol": "IQ", "began": timestamp(began), "ended": timestamp(began + HOUR / 60),
             "state": "finished", "verdict": "PASS", "digest": "d"}
            for name, began in zip(self.states, self.moments, strict=True)
        ]  # fmt: skip
        return {"problem": "", "runs": runs, "strangers": [], "unread": [], "archived": {}}

    def record(self, _: Any, record_id: str) -> Any:
        return {"problem": "", "verdicts": {"IQ-06": "PASS"}, "open": {}, "state": self.states[record_id].to_json(),
                "stateless": "", "delivered": {}}  # fmt: skip

    def restore(self, *_: Any) -> Any:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(transfers, "PAUSES_S", (0.01,))


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started:
        yield started


@pytest.fixture(scope="module")
def settings(sandbox, tmp_path_factory) -> State:
    sandbox.reset((), {"hours": 1, "digest_regions": REGIONS})
    parameters = RunParameters.load(sandbox.parameters)
    with ThreadPoolExecutor(4) as executor:
        store = EvidenceStore(tmp_path_factory.mktemp("settings") / "evidence")
        return state(gather("IQ", parameters, store, CREDENTIALS, executor, silent))


@pytest.fixture
def drifted(settings) -> Earlier:
    return Earlier(State({**settings.values, ROTATION: False}, {}, settings.asked), settings)


@pytest.fixture
def constant(settings) -> Earlier:
    return Earlier(settings, settings)


def key_of(sandbox: Sandbox) -> str:
    return sandbox.parameters["expected"]["kms_key_arn"]


def changed(sandbox: Sandbox, *names: str, key: str = "", region: str = "eu-west-1") -> dict[str, Any]:
    """Return the delivery of some days, in which log files tell of these changes of the key."""
    asked = {"keyId": (key or key_of(sandbox)).rpartition("/")[2]}
    told = [
        {"at": timestamp(CHANGED), "service": "kms", "name": name, "asked": asked, "region": region} for name in names
    ]
    return {"hours": 72, "until": timestamp(AFTER + 8 * HOUR), "regions": REGIONS, "digest_regions": REGIONS,
            "changes": told}  # fmt: skip


def parameters_of(sandbox: Sandbox, window: Any, *controls: Any, **review: Any) -> RunParameters:
    made = sandbox.parameters
    told = made | {"expected": made["expected"] | {"review": review}, "window": window}
    return RunParameters.load(told | {"execution": PEOPLE | {"change_controls": list(controls)}})


def reviewed(folder: Path, parameters: RunParameters, earlier: Earlier) -> list[Finding]:
    with ThreadPoolExecutor(4) as executor:
        snapshot = gather("PQ", parameters, EvidenceStore(folder), CREDENTIALS, executor, silent, earlier)
    return protocol("PQ").test_cases["PQ-04"].judge(snapshot, parameters)


def verdict(findings: list[Finding]) -> Verdict:
    return roll_up(one.verdict for one in findings)


def test_a_change_of_a_year_ago_is_explained_by_the_log_file_that_tells_of_it(sandbox, drifted, tmp_path):
    sandbox.reset((), changed(sandbox, "EnableKeyRotation"))
    told = parameters_of(sandbox, YEAR, CONTROL, changed_back_known=False)
    found = reviewed(tmp_path / "e", told, drifted)
    assert verdict(found) is PASS
    event = found[0]
    assert event.message == (
        f"EnableKeyRotation by {ADMINISTRATOR} from {ADDRESS} at {CHANGED:%Y-%m-%d %H:%M:%S} UTC, under CC-7."
    )
    assert "/CloudTrail/eu-west-1/" in event.observations["told by"]
    assert [one["value"] for one in event.observations["values that it changed"]] == [ROTATION]
    ledgers = {entry.id for entry in read_index(tmp_path / "e") if is_ledger(entry)}
    assert ledgers <= set(event.evidence)
    assert found[-1].message.endswith(", where nothing drifted, was not looked for.")
    read = found[-1].actual["events of the period"]
    assert any("log files and" in line and "digests" in line for line in read)


def test_what_was_changed_and_changed_back_stays_open_where_no_log_file_was_read(sandbox, drifted, tmp_path):
    sandbox.reset((), changed(sandbox, "EnableKeyRotation"))
    found = reviewed(tmp_path / "e", parameters_of(sandbox, YEAR, CONTROL), drifted)
    assert verdict(found) is OPEN
    assert "event history holds 90 days, and the log files of that time were not read" in found[-1].message


def test_a_change_of_a_year_ago_under_no_change_control_fails(sandbox, drifted, tmp_path):
    sandbox.reset((), changed(sandbox, "EnableKeyRotation"))
    found = reviewed(tmp_path / "e", parameters_of(sandbox, YEAR, changed_back_known=False), drifted)
    assert verdict(found) is FAIL
    (failed,) = [one for one in found if one.verdict is FAIL]
    assert failed.message.startswith(f"EnableKeyRotation by {ADMINISTRATOR} from {ADDRESS}")


def test_an_event_of_another_region_than_the_trails_is_found(sandbox, settings, tmp_path):
    reader = f"{TRAIL_ARN}#key/readers/arn:aws:iam::123456789012:role/GxPLogReader/may decrypt"
    was = State({**settings.values, reader: "implicitDeny"}, {}, settings.asked)
    delivery = changed(sandbox, "PutRolePolicy", region="us-east-1")
    delivery["changes"][0] |= {"service": "iam", "asked": {"roleName": "GxPLogReader"}}
    sandbox.reset((), delivery)
    found = reviewed(tmp_path / "e", parameters_of(sandbox, YEAR, changed_back_known=False), Earlier(was, settings))
    assert "PutRolePolicy by" in found[0].message
    assert "/CloudTrail/us-east-1/" in found[0].observations["told by"]


def test_a_change_that_no_log_file_tells_of_fails_without_a_change_control_and_is_open_under_one(
    sandbox, drifted, tmp_path
):
    sandbox.reset((), changed(sandbox, "EnableKeyRotation", key="another-key"))
    found = reviewed(tmp_path / "none", parameters_of(sandbox, YEAR, changed_back_known=False), drifted)
    assert verdict(found) is FAIL
    assert "no event tells who did it" in found[0].message
    found = reviewed(tmp_path / "one", parameters_of(sandbox, YEAR, CONTROL, changed_back_known=False), drifted)
    assert verdict(found) is OPEN
    assert "no event was found that made it" in found[0].message


RECORD = {
    "eventName": "PutAccountPublicAccessBlock", "eventID": "1", "eventTime": "2026-03-01T00:00:00Z",
    "awsRegion": "us-east-1", "userIdentity": {"type": "Root"}, "recipientAccountId": "123456789012",
}  # fmt: skip
SEARCHED = {
    "the account as a whole": (RECORD, True),
    "another account as a whole": (RECORD | {"recipientAccountId": "210987654321"}, False),
    "a key by its name": (RECORD | {"eventName": "DisableKey", "requestParameters": {"keyId": "k-1"}}, True),
    "another key": (RECORD | {"eventName": "DisableKey", "requestParameters": {"keyId": "k-2"}}, False),
    "a key by its resource": (RECORD | {"eventName": "DeleteKey", "resources": [{"ARN": "k-1"}]}, True),
    "nothing": (RECORD | {"eventName": "DescribeKey", "requestParameters": {"keyId": "k-1"}}, False),
}


@pytest.mark.parametrize(("record", "found"), SEARCHED.values(), ids=SEARCHED)
def test_a_log_file_is_searched_for_changes_of_what_is_named(record, found):
    text = json.dumps({"Records": [record]}).encode()
    assert changes_in(text, {"k-1"}, "123456789012") == ([record] if found else [])


@pytest.mark.parametrize(
    "text",
    [b'{"eventName":"DisableKey"}', b'{"Records":[{"eventName":"DisableKey"}]}', b'"eventName":"DisableKey"'],
    ids=["no log", "no event", "no JSON"],
)
def test_what_is_no_log_file_is_told_from_one_without_a_change(text):
    assert changes_in(text, {"k-1"}, "123456789012") is None
    assert changes_in(b'{"Records":[]}', {"k-1"}, "123456789012") == []


UNREADABLE = {
    "deny-get-object": "403 AccessDenied",
    "deny-list-object-versions": "403 AccessDenied",
    "deny-list-public-keys": "AccessDenied",
    "throttle-one-log": "503 SlowDown",
    "log-deleted": "was deleted at",
    "log-flipped": "has another content than",
    "log-planted": "no digest names it",
    "log-bomb": "expands beyond",
    "digest-deleted": "which is not there in its place",
    "digests-all-deleted": "was deleted at",
    "digest-foreign-signature": "signature",
}


@pytest.mark.parametrize(("fault", "why"), UNREADABLE.items(), ids=UNREADABLE)
def test_log_files_that_can_not_be_read_or_believed_leave_it_open_and_say_why(fault, why, sandbox, drifted, tmp_path):
    sandbox.reset([fault], changed(sandbox, "EnableKeyRotation"))
    found = reviewed(tmp_path / "e", parameters_of(sandbox, YEAR, CONTROL, changed_back_known=False), drifted)
    assert verdict(found) is OPEN
    assert why in " ".join(one.message for one in found if one.verdict is OPEN)


@pytest.mark.parametrize("fault", ["log-flipped", "digest-deleted"])
def test_what_a_log_file_tells_that_no_digest_proves_is_neither_an_excuse_nor_a_charge(
    fault, sandbox, constant, tmp_path
):
    told = changed(sandbox, "EnableKeyRotation")
    times = [CHANGED + number * HOUR / 2 for number in range(-40, 40)]
    told["changes"] = [told["changes"][0] | {"at": timestamp(at), "name": "PutKeyPolicy"} for at in times]
    sandbox.reset([fault], told)
    found = reviewed(tmp_path / "e", parameters_of(sandbox, FEW_DAYS, event_logs="all"), constant)
    doubted = [one for one in found if "which no digest proves" in str(one.observations.get("told by"))]
    assert doubted
    assert {one.verdict for one in doubted} == {OPEN}


def test_log_files_that_are_not_there_leave_it_open(sandbox, drifted, tmp_path):
    sandbox.reset((), {"hours": 1, "digest_regions": REGIONS})
    found = reviewed(tmp_path / "e", parameters_of(sandbox, YEAR, CONTROL, changed_back_known=False), drifted)
    assert verdict(found) is OPEN
    assert "No digest tells which log files of 123456789012 eu-west-1 were delivered" in found[-1].message


def test_a_log_file_that_is_too_long_to_be_searched_leaves_it_open(sandbox, drifted, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_SEARCHED_WHOLE", 100)
    sandbox.reset((), changed(sandbox, "EnableKeyRotation"))
    found = reviewed(tmp_path / "e", parameters_of(sandbox, YEAR, CONTROL, changed_back_known=False), drifted)
    assert verdict(found) is OPEN
    assert "could not be searched for changes" in found[-1].message


def test_a_change_is_found_in_the_bucket_into_which_the_trail_delivered_then(sandbox, drifted, tmp_path):
    sandbox.reset(["bucket-renamed"], changed(sandbox, "EnableKeyRotation"))
    found = reviewed(tmp_path / "e", parameters_of(sandbox, YEAR, changed_back_known=False), drifted)
    assert any("EnableKeyRotation by" in one.message for one in found)


def test_only_the_time_between_two_runs_that_differ_is_read(sandbox, drifted, constant, tmp_path):
    delivery = changed(sandbox, "EnableKeyRotation") | {"hours": 24 * 12, "until": timestamp(AFTER + 5 * DAY)}
    sandbox.reset((), delivery)
    reviewed(tmp_path / "e", parameters_of(sandbox, YEAR, CONTROL), drifted)
    minutes = [line["key"].split("_")[3] for line in read_ledger(tmp_path / "e", "logs")]
    assert f"{BEFORE - HOUR:%Y%m%dT%H%MZ}" < min(minutes)
    assert max(minutes) < f"{AFTER + 4 * HOUR:%Y%m%dT%H%MZ}"
    reviewed(tmp_path / "constant", parameters_of(sandbox, YEAR, CONTROL), constant)
    assert not any(is_ledger(entry) for entry in read_index(tmp_path / "constant"))


def test_with_every_log_file_read_the_whole_of_an_old_period_is_known(sandbox, constant, tmp_path):
    sandbox.reset((), changed(sandbox))
    found = reviewed(tmp_path / "e", parameters_of(sandbox, FEW_DAYS, event_logs="all"), constant)
    assert verdict(found) is PASS


def test_with_every_log_file_read_what_was_changed_and_changed_back_is_found(sandbox, constant, tmp_path):
    sandbox.reset((), changed(sandbox, "DisableKey", "EnableKey"))
    found = reviewed(tmp_path / "all", parameters_of(sandbox, FEW_DAYS, event_logs="all"), constant)
    assert sorted(one.message.split()[0] for one in found if one.verdict is FAIL) == ["DisableKey", "EnableKey"]
    assert verdict(reviewed(tmp_path / "drift", parameters_of(sandbox, FEW_DAYS), constant)) is OPEN


def test_a_change_behind_the_period_is_looked_for_where_the_last_record_lies_before_its_end(
    sandbox, settings, tmp_path
):
    sandbox.reset(["not-logging"], {"hours": 1, "digest_regions": REGIONS})
    window = {"start": timestamp(NOW - 20 * DAY), "end": timestamp(NOW - 10 * DAY)}
    earlier = Earlier(settings, settings, NOW - 19 * DAY, NOW - 15 * DAY)
    found = reviewed(tmp_path / "e", parameters_of(sandbox, window), earlier)
    assert verdict(found) is PASS
    assert "StopLogging by" in found[-1].observations["changes before the period or behind it"][0]


def test_it_replays_from_the_evidence_alone(sandbox, drifted, tmp_path):
    sandbox.reset((), changed(sandbox, "EnableKeyRotation"))
    told = parameters_of(sandbox, YEAR, CONTROL, changed_back_known=False)
    found = reviewed(tmp_path / "e", told, drifted)
    disable_socket()
    try:
        assert again(tmp_path / "e", told) == [one.to_json() for one in found]
    finally:
        enable_socket()


def again(evidence: Path, told: RunParameters) -> list[Any]:
    with ThreadPoolExecutor(1) as executor:
        snapshot = gather_again("PQ", told, evidence, executor, silent)
    return [one.to_json() for one in protocol("PQ").test_cases["PQ-04"].judge(snapshot, told)]


@pytest.mark.slow
def test_a_record_that_rests_on_log_files_is_sealed_and_replays_alone(sandbox, tmp_path, monkeypatch):
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    start = (NOW - 202 * DAY).replace(hour=0, minute=0)
    asked = {"iq_every_days": 9, "oq_every_days": 9, "event_logs": "all"}
    sandbox.reset((), {"hours": 24 * 3 + 8, "until": timestamp(start + 3 * DAY + 7 * HOUR), "digest_regions": REGIONS})
    made = sandbox.parameters
    told = made | {"expected": made["expected"] | {"review": asked}, "execution": PEOPLE}
    with ThreadPoolExecutor(4) as executor:
        store = EvidenceStore(tmp_path / "settings")
        gather("IQ", RunParameters.load(told), store, CREDENTIALS, executor, silent)
    make_year(tmp_path / "outputs", told, tmp_path / "settings", start + 3 * DAY, 3, 1, 3 * 410)
    told |= {"window": {"start": timestamp(start), "end": timestamp(start + 3 * DAY)}}
    execute_here(tmp_path / "outputs", told, notebook=NOTEBOOK.with_name("pq_periodic_review.ipynb"))
    record = sealed(tmp_path / "outputs")
    (step,) = [one for one in record.executed.steps if one["test_case"] == "PQ-04"]
    assert step["verdict"] == "PASS"
    alone = Path(shutil.move(record.folder, tmp_path / record.folder.name))
    shutil.rmtree(tmp_path / "outputs")
    assert replay(alone, read_manifest(alone)).findings


def test_a_ledger_that_was_taken_out_of_the_evidence_does_not_replay(sandbox, drifted, tmp_path):
    sandbox.reset((), changed(sandbox, "EnableKeyRotation"))
    told = parameters_of(sandbox, YEAR, CONTROL, changed_back_known=False)
    reviewed(tmp_path / "e", told, drifted)
    (ledger,) = [entry for entry in read_index(tmp_path / "e") if is_ledger(entry, "logs")]
    (tmp_path / "e" / ledger.path).unlink()
    with pytest.raises(EvidenceError, match="can't be read"):
        again(tmp_path / "e", told)


def test_the_policy_for_a_review_names_what_is_called(sandbox, drifted, tmp_path):
    sandbox.reset((), changed(sandbox, "EnableKeyRotation"))
    reviewed(tmp_path / "e", parameters_of(sandbox, YEAR, CONTROL), drifted)
    made = {(entry.service.replace("-", ""), entry.operation) for entry in read_index(tmp_path / "e")}
    needed = {call.action for call in CALLS if (call.service, call.operation) in made and call.resource != "none"}
    assert {"s3:ListBucketVersions", "s3:GetObject", "cloudtrail:ListPublicKeys", "cloudtrail:LookupEvents"} <= needed
    allowed = {action for one in least_privilege(protocols=("PQ",))["Statement"] for action in one["Action"]}
    # S3 asks KMS on behalf of whoever reads
    assert allowed == needed | {"kms:Decrypt"}
