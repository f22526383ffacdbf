"""A periodic review of an outputs folder, from the records of real runs to a record of its own that replays alone."""

import errno
import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from fixtures.qualified import DELIVERY, qualify, told

from kit.canonical import canonical
from kit.collect.outputs import OutputsFolder
from kit.collect.settings import RecordedSettings
from kit.errors import RecordError, RejectionError
from kit.parameters import RunParameters
from kit.present.displays import read_displays
from kit.record.archive import archive_record
from kit.record.manifest import FINDINGS, MANIFEST, SUMS, read_manifest, sums_text
from kit.record.register import REGISTER, locked_register, read_register
from kit.record.seal import Sealed
from kit.record.verification.replay import replay
from kit.sandbox.account import ARCHIVE_BUCKET
from kit.sandbox.server import Sandbox

SOUND = {f"PQ-0{number}": "PASS" for number in range(1, 7)} | {"PQ-07": "NOT_APPLICABLE"}


def verdicts(record: Sealed) -> dict[str, str]:
    return {step["test_case"]: step["verdict"] for step in record.executed.steps}


def finding(record: Sealed, test_case: str, verdict: str = "FAIL") -> dict[str, Any]:
    found = [one for step in record.executed.steps for one in step["findings"] if one["test_case"] == test_case]
    return next(one for one in found if one["verdict"] == verdict)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(delivery=DELIVERY) as started, patch.dict(os.environ, started.environment):
        yield started


@pytest.fixture(scope="module")
def lived(sandbox, tmp_path_factory) -> Path:
    """An outputs folder with a record of each qualification."""
    outputs = tmp_path_factory.mktemp("lived") / "outputs"
    outputs.mkdir()
    for protocol in ("IQ", "OQ"):
        assert qualify(protocol, outputs, told(sandbox)).verdict.value == "PASS"
    return outputs


@pytest.fixture
def outputs(lived, tmp_path) -> Path:
    return Path(shutil.copytree(lived, tmp_path / "outputs"))


@pytest.fixture
def compliant(sandbox) -> Sandbox:
    sandbox.reset((), DELIVERY)
    return sandbox


def of(outputs: Path, protocol: str) -> Path:
    return next(path for path in outputs.iterdir() if path.name.startswith(f"{protocol}-"))


def test_a_compliant_period_passes_and_its_record_replays_without_the_outputs_folder(compliant, outputs, tmp_path):
    record = qualify("PQ", outputs, told(compliant))
    assert verdicts(record) == SOUND
    listed = json.loads((record.folder / "record.ipynb").read_bytes())
    (shown,) = [one.data for one in read_displays(listed) if one.kind == "runs"]
    assert [(row["protocol"], row["outcome"], row["holds"]) for row in shown["rows"]] == [
        ("IQ", "PASS", "yes"),
        ("OQ", "PASS", "yes"),
    ]
    alone = Path(shutil.move(record.folder, tmp_path / record.folder.name))
    shutil.rmtree(outputs)
    assert replay(alone, read_manifest(alone)).findings == len(json.loads((alone / FINDINGS).read_bytes())["findings"])


def test_a_second_review_takes_the_first_for_one_of_the_runs(compliant, outputs):
    qualify("PQ", outputs, told(compliant))
    record = qualify("PQ", outputs, told(compliant))
    assert verdicts(record) == SOUND
    assert finding(record, "PQ-02", "PASS")["actual"]["records"].startswith("3 records")


def test_a_trail_that_was_stopped_is_found_with_the_event_that_did_it(sandbox, outputs):
    sandbox.reset(["not-logging"], DELIVERY)
    record = qualify("PQ", outputs, told(sandbox))
    assert verdicts(record) == SOUND | {"PQ-04": "FAIL"}
    failed = finding(record, "PQ-04")
    assert "StopLogging by" in failed["message"]
    assert "from 203.0.113.9" in failed["message"]
    changed = {one["value"].partition("#")[2]: one["after"] for one in failed["observations"]["values that it changed"]}
    assert changed["logging/IsLogging"] is False
    assert replay(record.folder, read_manifest(record.folder))


def test_a_change_under_change_control_is_none_to_find(sandbox, outputs):
    sandbox.reset(["not-logging"], DELIVERY)
    control = {"id": "CC-7", "start": "2020-01-01T00:00:00Z", "end": "2200-01-01T00:00:00Z", "what": "maintenance"}
    record = qualify("PQ", outputs, told(sandbox, change_controls=[control]))
    assert verdicts(record) == SOUND
    assert any("under CC-7" in one["message"] for step in record.executed.steps for one in step["findings"])


def test_events_that_can_not_be_looked_up_leave_it_open(sandbox, outputs):
    sandbox.reset(["deny-lookup-events"], DELIVERY)
    assert verdicts(qualify("PQ", outputs, told(sandbox))) == SOUND | {"PQ-04": "INCONCLUSIVE"}


def test_every_page_of_events_is_read(sandbox, outputs):
    sandbox.reset(["key-policy-put-often"], DELIVERY)
    record = qualify("PQ", outputs, told(sandbox))
    failed = [one for step in record.executed.steps for one in step["findings"] if one["verdict"] == "FAIL"]
    assert len([one for one in failed if "PutKeyPolicy" in one["message"]]) == 5


def archived(sandbox: Sandbox, outputs: Path) -> str:
    """Archive a record of the outputs folder, and return where one of its files lies."""
    record = of(outputs, "IQ")
    until = datetime.now(UTC) + timedelta(days=2)
    receipt = archive_record(record, f"s3://{ARCHIVE_BUCKET}/r", until, endpoint_url=sandbox.endpoint).receipt
    return receipt.files[0].key


def test_an_archived_record_is_brought_back_and_verified(compliant, outputs):
    archived(compliant, outputs)
    record = qualify("PQ", outputs, told(compliant))
    assert verdicts(record) == SOUND | {"PQ-07": "PASS"}
    assert replay(record.folder, read_manifest(record.folder))


def test_an_archived_record_that_is_not_there_any_more_is_found(compliant, outputs):
    archived(compliant, outputs)
    compliant.reset((), DELIVERY)  # nothing is left of the archive
    record = qualify("PQ", outputs, told(compliant))
    assert verdicts(record) == SOUND | {"PQ-07": "FAIL"}
    assert "did not come back: NoSuch" in finding(record, "PQ-07")["message"]


def test_an_archive_that_refuses_to_be_asked_leaves_it_open(sandbox, outputs):
    sandbox.reset((), DELIVERY)
    archived(sandbox, outputs)
    sandbox.reset(["deny-get-object"], DELIVERY)
    record = qualify("PQ", outputs, told(sandbox))
    assert verdicts(record) == SOUND | {"PQ-07": "INCONCLUSIVE"}
    assert "did not come back: AccessDenied" in finding(record, "PQ-07", "INCONCLUSIVE")["message"]


def unreadable(code: int, *names: str) -> Any:
    """Return how files are read where those of these names can't be."""
    read = Path.open

    def refuse(self: Path, *more: Any, **named: Any) -> Any:
        if self.name in names:
            raise OSError(code, os.strerror(code), str(self))
        return read(self, *more, **named)

    return refuse


@pytest.mark.parametrize("name", [MANIFEST, FINDINGS, SUMS, "index.jsonl", "record.html"])
@pytest.mark.parametrize(
    ("code", "unread"), [(errno.EACCES, True), (errno.EIO, True), (errno.ENOENT, False)], ids=["denied", "io", "gone"]
)
def test_a_record_that_can_not_be_read_is_told_from_one_that_is_another(name, code, unread, sandbox, outputs):
    source = OutputsFolder(outputs, "PQ-of-this-run", RunParameters.load(told(sandbox)))
    source.register(datetime.now(UTC) - timedelta(days=1))
    with RecordedSettings() as settings, patch.object(Path, "open", unreadable(code, name)):
        said = source.record(settings, of(outputs, "IQ").name)
    assert name in said["problem"]
    assert said["unread"] is unread


def test_a_record_that_was_changed_is_known_to_be_another(sandbox, outputs):
    tampered(outputs)
    source = OutputsFolder(outputs, "PQ-of-this-run", RunParameters.load(told(sandbox)))
    source.register(datetime.now(UTC) - timedelta(days=1))
    with RecordedSettings() as settings:
        assert source.record(settings, of(outputs, "OQ").name)["unread"] is False


def test_a_record_that_nobody_registered_and_that_can_not_be_read_is_told_apart(sandbox, outputs):
    planted(outputs)
    source = OutputsFolder(outputs, "PQ-of-this-run", RunParameters.load(told(sandbox)))
    assert source.register(datetime.now(UTC))["strangers"] == ["IQ-20260101T000000Z-abcdef"]
    with patch.object(Path, "open", unreadable(errno.EACCES, MANIFEST)):
        said = source.register(datetime.now(UTC))
    assert (said["strangers"], said["unread"]) == ([], ["IQ-20260101T000000Z-abcdef"])


def tampered(outputs: Path) -> None:
    path = of(outputs, "OQ") / FINDINGS
    path.write_bytes(path.read_bytes().replace(b"PASS", b"FAIL", 1))


def redone(outputs: Path) -> None:
    """Edit a record, and redo every hash of it."""
    folder = of(outputs, "IQ")
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_bytes(canonical(manifest | {"finished": "2026-01-01T00:00:00.000Z"}))
    (folder / SUMS).write_text(sums_text(folder), encoding="utf-8")


def planted(outputs: Path) -> None:
    shutil.copytree(of(outputs, "IQ"), outputs / "IQ-20260101T000000Z-abcdef")


def test_a_qualification_of_the_kit_is_no_run_of_the_account(compliant, outputs):
    begun = next(entry for entry in read_register(outputs / REGISTER) if entry.event == "started")
    target = begun.data["target"] | {"protocol": "TQ"}
    with locked_register(outputs) as register:
        register.append("started", "TQ-20260101T000000Z-abcdef", begun.data | {"target": target})
        register.append("finished", "TQ-20260101T000000Z-abcdef", {"verdict": "FAIL", "digest": "0" * 64})
    assert verdicts(qualify("PQ", outputs, told(compliant))) == SOUND


UNBELIEVED = {"PQ-02": "FAIL", "PQ-03": "INCONCLUSIVE", "PQ-04": "INCONCLUSIVE"}
SPOILT = {
    "a record missing": (lambda outputs: shutil.rmtree(of(outputs, "IQ")), UNBELIEVED),
    "a record redone": (redone, UNBELIEVED),
    "a record tampered with": (tampered, UNBELIEVED | {"PQ-05": "FAIL", "PQ-06": "INCONCLUSIVE"}),
    "a record that nobody registered": (planted, {"PQ-02": "FAIL"}),
}


@pytest.mark.parametrize(("spoil", "changes"), SPOILT.values(), ids=SPOILT)
def test_what_was_done_to_the_records_is_found(spoil, changes, compliant, outputs):
    spoil(outputs)
    assert verdicts(qualify("PQ", outputs, told(compliant))) == SOUND | changes


def test_a_review_whose_evidence_was_edited_does_not_replay(compliant, outputs):
    record = qualify("PQ", outputs, told(compliant))
    (kept,) = (record.folder / "evidence").glob("*-ReadRegister.json")
    kept.write_bytes(kept.read_bytes().replace(b"PASS", b"FAIL", 1))
    with pytest.raises(RejectionError):
        replay(record.folder, read_manifest(record.folder))


def test_a_register_that_was_cut_is_refused_before_anything_is_reviewed(compliant, outputs):
    lines = (outputs / REGISTER).read_bytes().splitlines(keepends=True)
    (outputs / REGISTER).write_bytes(b"".join(lines[1:]))
    with pytest.raises(RecordError, match="the register is not whole"):
        qualify("PQ", outputs, told(compliant))
