"""Sealing: a record is whole or absent, holds what the run did, and is refused where the notebook says otherwise."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from fixtures.runs import copied, display, edited, executed_once, plain_render, run_id, sealed

from kit import __version__
from kit.canonical import canonical, sha256, sha256_file
from kit.errors import EvidenceError, ExecutionError, KitError, MissingLibraryError, RecordError, RenderError
from kit.findings import Verdict
from kit.record import seal as sealing
from kit.record.executed import read_executed
from kit.record.folders import temporary_folder
from kit.record.manifest import EVIDENCE, RUNS
from kit.record.register import REGISTER
from kit.record.verification.verify import verify
from kit.render.record import render_record

MIME = "application/vnd.trailkit+json"


@pytest.fixture
def outputs(tmp_path):
    """An outputs folder with an executed run, not yet sealed."""
    return copied(executed_once(), tmp_path)


@pytest.fixture
def evidence(outputs):
    return outputs / RUNS / run_id(outputs) / EVIDENCE


def rehash(notebook: dict[str, Any]) -> None:
    """Redo the hash of the findings, as somebody does who covers his tracks."""
    conclusion = display(notebook, "conclusion")
    conclusion["findings_sha256"] = sha256(canonical(conclusion["findings"]))


def finding_of(data: dict[str, Any], test_case: str) -> dict[str, Any]:
    return next(finding for finding in data["findings"] if finding["test_case"] == test_case)


class TestRecord:
    def test_it_verifies_and_holds_every_part(self, outputs):
        made = sealed(outputs)
        assert [step.number for step in verify(made.folder) if step.held] == [1, 2, 3, 4, 5, 6, 10]
        assert {path.name for path in made.folder.iterdir()} == {
            "record.ipynb", "record.html", "findings.json", "junit.xml", "evidence", "manifest.json",
            "SHA256SUMS",
        }  # fmt: skip
        assert made.verdict is Verdict.PASS
        assert made.digest == sha256_file(made.folder / "manifest.json")

    def test_the_notebook_and_the_evidence_are_kept_to_the_byte(self, outputs, evidence):
        notebook = (outputs / "x.ipynb").read_bytes()
        bodies = {path.name: path.read_bytes() for path in evidence.iterdir()}
        folder = sealed(outputs).folder
        assert (folder / "record.ipynb").read_bytes() == notebook
        assert {path.name: path.read_bytes() for path in (folder / "evidence").iterdir()} == bodies

    def test_the_manifest_says_who_what_when_and_with_which_versions(self, outputs):
        folder = sealed(outputs).folder
        manifest = json.loads((folder / "manifest.json").read_bytes())
        assert manifest["record_id"] == folder.name
        assert manifest["executed_by"] == "Zoë Ōyama"
        assert manifest["executed_with"]["kit_version"] == __version__
        assert manifest["verdict"] == "PASS"
        assert manifest["demonstration"] is True
        assert manifest["started"] < manifest["finished"]
        assert manifest["caller"]["account"] == manifest["parameters"]["target"]["account_id"]
        assert set(manifest["files"]) >= {"record.ipynb", "findings.json", "junit.xml", "evidence/index.jsonl"}

    def test_the_protocol_hash_is_of_the_text_and_not_of_parameters_or_outputs(self, outputs):
        first = read_executed(outputs / "x.ipynb").sources_sha256
        with edited(outputs / "x.ipynb") as notebook:
            notebook["cells"][2]["source"] = "target = 'another'"
        assert read_executed(outputs / "x.ipynb").sources_sha256 == first
        with edited(outputs / "x.ipynb") as notebook:
            notebook["cells"][0]["source"] = "# Another purpose"
        assert read_executed(outputs / "x.ipynb").sources_sha256 != first

    def test_findings_are_those_of_the_conclusion(self, outputs):
        conclusion = display(json.loads((outputs / "x.ipynb").read_text()), "conclusion")
        told = json.loads((sealed(outputs).folder / "findings.json").read_bytes())
        assert told["findings"] == conclusion["findings"]
        assert told["verdict"] == "PASS"

    def test_nothing_else_is_left_in_the_outputs_folder(self, outputs):
        folder = sealed(outputs).folder
        assert sorted(path.name for path in outputs.iterdir()) == [folder.name, REGISTER, "x.ipynb"]

    def test_a_notebook_under_runs_goes_with_the_run(self, outputs):
        moved = outputs / RUNS / "iq-1.ipynb"
        (outputs / "x.ipynb").rename(moved)
        folder = sealing.seal(moved, outputs, plain_render).folder
        assert sorted(path.name for path in outputs.iterdir()) == [folder.name, REGISTER]

    def test_what_another_run_has_there_stays(self, outputs):
        (outputs / RUNS / "IQ-20260101T000000Z-000000").mkdir()
        sealed(outputs)
        assert [path.name for path in (outputs / RUNS).iterdir()] == ["IQ-20260101T000000Z-000000"]

    @pytest.mark.parametrize("place", ["outputs", ".", "notebooks", "outputs/.runs"])
    def test_the_evidence_is_found_from_where_the_notebook_is(self, place, outputs, tmp_path):
        notebook = tmp_path / place / "y.ipynb"
        notebook.parent.mkdir(exist_ok=True)
        (outputs / "x.ipynb").rename(notebook)
        made = sealing.seal(notebook, tmp_path / "elsewhere", plain_render)
        assert made.folder.parent == tmp_path / "elsewhere"
        assert list(verify(made.folder))

    def test_without_evidence_there_is_no_record(self, outputs):
        shutil.rmtree(outputs / RUNS)
        with pytest.raises(RecordError, match=r"evidence of IQ-\S+ is not under \S+\.runs\n.*--output"):
            sealed(outputs)

    @pytest.mark.slow
    def test_the_same_run_sealed_twice_gives_the_same_bytes(self, outputs, tmp_path):
        other = copied(outputs, tmp_path / "other")
        first, second = (sealed(folder, render_record).folder for folder in (outputs, other))
        assert (first / "SHA256SUMS").read_text() == (second / "SHA256SUMS").read_text()
        assert (first / "record.pdf").read_bytes() == (second / "record.pdf").read_bytes()

    def test_a_record_that_exists_is_refused_and_stays(self, outputs):
        folder = outputs / run_id(outputs)
        folder.mkdir()
        with pytest.raises(RecordError, match=r"exists already\nverify it"):
            sealed(outputs)
        assert list(folder.iterdir()) == []


class TestVerdicts:
    @pytest.mark.parametrize(
        ("faults", "verdict"),
        [((), "PASS"), (("rotation-off",), "FAIL"), (("deny-get-key-policy",), "INCONCLUSIVE")],
        ids=["pass", "fail", "inconclusive"],
    )
    def test_a_verdict_is_a_finding_and_the_record_is_made(self, faults, verdict, tmp_path):
        made = sealed(copied(executed_once(*faults), tmp_path))
        assert made.verdict == verdict
        assert list(verify(made.folder))

    def test_a_step_that_is_not_in_the_notebook_is_an_error_in_junit(self, tmp_path):
        made = sealed(copied(executed_once(leave_out=('run.step("IQ-08")',)), tmp_path))
        assert made.verdict is Verdict.INCONCLUSIVE
        suite = ET.parse(made.folder / "junit.xml").getroot()  # noqa: S314 - ours
        assert suite.get("errors") == "1"
        (case,) = [case for case in suite if case.find("error") is not None]
        assert case.get("name") == "IQ-08 Log file validation is on"
        assert case.find("error").get("type") == "NOT_EXECUTED"

    def test_a_step_taken_twice_counts_once(self, tmp_path):
        made = sealed(copied(executed_once(again=('run.step("IQ-08")',)), tmp_path))
        assert made.verdict is Verdict.PASS
        suite = ET.parse(made.folder / "junit.xml").getroot()  # noqa: S314 - ours
        assert len({case.get("name") for case in suite}) == len(suite)


def drop_conclusion(notebook: dict[str, Any]) -> None:
    (cell,) = [cell for cell in notebook["cells"] if "conclude" in "".join(cell["source"])]
    cell["outputs"] = []


def never_ran(notebook: dict[str, Any]) -> None:
    notebook["cells"][-1]["execution_count"] = None


def out_of_order(notebook: dict[str, Any]) -> None:
    notebook["cells"][-1]["execution_count"] = 1


def raised(notebook: dict[str, Any]) -> None:
    error = {"output_type": "error", "ename": "ValueError", "evalue": "bad\nthing", "traceback": []}
    notebook["cells"][-1]["outputs"] = [error]


def raised_a_secret(notebook: dict[str, Any]) -> None:
    raised(notebook)
    notebook["cells"][-1]["outputs"][0]["evalue"] = "no AKIAIOSFODNN7EXAMPLE"


def stopped_by_the_kit(notebook: dict[str, Any]) -> None:
    data = {"message": "no usable AWS credentials", "remedy": "sign in", "exit_code": 2}
    bundle = {MIME: {"kind": "error", "data": data}}
    notebook["cells"][-1]["outputs"] = [{"output_type": "display_data", "data": bundle, "metadata": {}}]


class TestCompleteness:
    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (drop_conclusion, "x.ipynb never came to its conclusion"),
            (never_ran, "x.ipynb stopped before code cell 23: it was interrupted, or its kernel died"),
            (out_of_order, "x.ipynb was not executed in order: see code cell 23"),
            (raised, "x.ipynb stopped at code cell 23: ValueError: bad thing"),
            (raised_a_secret, "x.ipynb stopped at code cell 23: an exception"),
            (stopped_by_the_kit, "no usable AWS credentials"),
        ],
    )
    def test_what_did_not_run_to_its_end_is_refused(self, edit, message, outputs):
        with edited(outputs / "x.ipynb") as notebook:
            edit(notebook)
        with pytest.raises(ExecutionError) as error:
            sealed(outputs)
        assert error.value.message == message
        assert error.value.exit_code == (2 if edit is stopped_by_the_kit else 3)
        assert sorted(path.name for path in outputs.iterdir()) == [RUNS, REGISTER, "x.ipynb"]

    @pytest.mark.parametrize("code", [0, 1, "2", None, [], True], ids=str)
    def test_an_error_is_neither_a_pass_nor_a_fail(self, code, outputs):
        with edited(outputs / "x.ipynb") as notebook:
            stopped_by_the_kit(notebook)
            notebook["cells"][-1]["outputs"][0]["data"][MIME]["data"]["exit_code"] = code
        with pytest.raises(ExecutionError) as error:
            read_executed(outputs / "x.ipynb")
        assert error.value.exit_code == 3

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"1", b"\xff", b"{}", b'{"cells": 1}', b'{"cells": [1]}'])
    def test_what_is_no_notebook_is_refused(self, content, tmp_path):
        (tmp_path / "x.ipynb").write_bytes(content)
        with pytest.raises(KitError):
            sealing.seal(tmp_path / "x.ipynb", tmp_path, plain_render)

    def test_a_notebook_that_is_not_there_is_refused(self, tmp_path):
        with pytest.raises(RecordError, match=r"x\.ipynb can't be read: No such file"):
            sealing.seal(tmp_path / "x.ipynb", tmp_path, plain_render)

    def test_a_notebook_as_it_is_stored_is_refused(self, root, tmp_path):
        with pytest.raises(ExecutionError, match="stopped before code cell 1"):
            sealing.seal(root / "notebooks" / "iq_trail_encryption.ipynb", tmp_path, plain_render)


def verdict_changed(notebook):
    display(notebook, "conclusion")["verdict"] = "PASS"


def finding_changed(notebook):
    finding_of(display(notebook, "conclusion"), "IQ-06")["verdict"] = "PASS"


def finding_changed_and_hashed(notebook):
    finding_changed(notebook)
    rehash(notebook)


def finding_changed_throughout(notebook):
    finding_changed_and_hashed(notebook)
    display(notebook, "step", "IQ-06")["findings"][0]["verdict"] = "PASS"


def made_inapplicable_throughout(notebook):
    finding_of(display(notebook, "conclusion"), "IQ-06")["verdict"] = "NOT_APPLICABLE"
    display(notebook, "step", "IQ-06")["findings"][0]["verdict"] = "NOT_APPLICABLE"
    rehash(notebook)


def step_changed(notebook):
    display(notebook, "step", "IQ-06")["verdict"] = "PASS"


def criterion_changed(notebook):
    display(notebook, "step", "IQ-06")["criterion"] = "The key rotates, or it does not."


def step_hidden(notebook):
    (cell,) = [cell for cell in notebook["cells"] if "IQ-06" in "".join(cell["source"]) and cell["cell_type"] == "code"]
    cell["outputs"] = []


def step_invented(notebook):
    display(notebook, "step", "IQ-06")["test_case"] = "IQ-99"


def summary_changed(notebook):
    display(notebook, "summary")["rows"][5]["verdict"] = "PASS"


def traceability_changed(notebook):
    for row in display(notebook, "traceability")["rows"]:
        row["verdict"] = "PASS"


def deviations_changed(notebook):
    display(notebook, "deviations")["rows"] = []


def counts_changed(notebook):
    display(notebook, "conclusion")["counts"]["FAIL"] = 0


def run_changed(notebook):
    display(notebook, "conclusion")["run_id"] = "IQ-20260101T000000Z-000000"


def out_of_the_folder(notebook):
    for kind in ("run", "conclusion"):
        display(notebook, kind)["run_id"] = "../../IQ-20260101T000000Z-000000"


def no_run_id(notebook):
    for kind in ("run", "conclusion"):
        display(notebook, kind)["run_id"] = ["IQ"]


def parameters_changed(notebook):
    display(notebook, "run")["executed_by"] = "Somebody else"


def protocol_changed(notebook):
    display(notebook, "run")["protocol"]["title"] = "Another protocol"


def version_changed(notebook):
    display(notebook, "run")["kit_version"] = "0.0.9"


def origin_removed(notebook):
    del display(notebook, "run")["started"]


def caller_removed(notebook):
    del display(notebook, "collection")["caller"]


def evidence_invented(notebook):
    for data in (display(notebook, "step", "IQ-01"), display(notebook, "conclusion")):
        finding_of(data, "IQ-01")["evidence"] = ["E9999"]
    for row in display(notebook, "traceability")["rows"]:
        row["evidence"] = ["E9999"] if row["test_case"] == "IQ-01" else row["evidence"]
    rehash(notebook)


def findings_malformed(notebook):
    display(notebook, "conclusion")["findings"] = 1


class TestEdited:
    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (verdict_changed, "the concluded verdict does not follow from the findings"),
            (finding_changed, "findings in the conclusion are not those that were hashed"),
            (finding_changed_and_hashed, "the steps show other findings than the conclusion holds"),
            (finding_changed_throughout, "IQ-06 passes without every condition met"),
            (made_inapplicable_throughout, "a finding of IQ-06 says another verdict than its conditions give"),
            (step_changed, "IQ-06 shows something else than the catalogue and its findings say"),
            (criterion_changed, "IQ-06 shows something else than the catalogue and its findings say"),
            (step_hidden, "the steps show other findings than the conclusion holds"),
            (step_invented, "the notebook shows a step that IQ does not have: IQ-99"),
            (summary_changed, "the summary shown does not follow from the findings"),
            (traceability_changed, "the traceability shown does not follow from the findings"),
            (deviations_changed, "the deviations shown does not follow from the findings"),
            (counts_changed, "the concluded verdict does not follow from the findings"),
            (run_changed, "the conclusion belongs to another run"),
            (out_of_the_folder, "names its run by no run id"),
            (no_run_id, "names its run by no run id"),
            (parameters_changed, "the parameters that the run shows are not those that were hashed"),
            (protocol_changed, "another protocol than the catalogue's IQ"),
            (version_changed, f"executed with trailkit 0.0.9, and this is {__version__}"),
            (origin_removed, "does not show its run's started"),
            (caller_removed, "does not show who collected"),
            (evidence_invented, "a finding of IQ-01 cites no evidence: E9999"),
            (findings_malformed, "the steps show other findings|not those that were hashed"),
        ],
        ids=lambda value: getattr(value, "__name__", ""),
    )
    def test_a_notebook_that_contradicts_itself_is_refused(self, edit, message, tmp_path):
        outputs = copied(executed_once("rotation-off"), tmp_path)
        with edited(outputs / "x.ipynb") as notebook:
            edit(notebook)
        with pytest.raises(KitError, match=message):
            sealed(outputs)
        assert sorted(path.name for path in outputs.iterdir()) == [RUNS, REGISTER, "x.ipynb"]

    @pytest.mark.parametrize(
        "where", ["cell", "papermill", "key"], ids=["injected cell", "papermill's metadata", "name of a parameter"]
    )
    def test_a_secret_is_refused_and_not_repeated(self, where, outputs):
        secret = "AKIAIOSFODNN7EXAMPLE"
        with edited(outputs / "x.ipynb") as notebook:
            if where == "cell":
                notebook["cells"][2]["source"] = f'execution = {{"executed_by": "{secret}"}}'
            elif where == "papermill":
                notebook["metadata"]["papermill"]["parameters"]["target"] = [secret]
            else:
                notebook["metadata"]["papermill"]["parameters"]["password"] = "hunter2"
        with pytest.raises(RecordError, match=r"holds what looks like a secret.*\nrevoke") as error:
            sealed(outputs)
        assert secret not in str(error.value)
        assert "hunter2" not in str(error.value)


class TestEvidence:
    def test_a_missing_body_is_named(self, outputs, evidence):
        path = next(evidence.glob("E0006-*"))
        path.unlink()
        with pytest.raises(EvidenceError, match=path.name):
            sealed(outputs)

    def test_a_changed_body_is_named(self, outputs, evidence):
        path = next(evidence.glob("E0006-*"))
        path.write_bytes(path.read_bytes() + b" ")
        with pytest.raises(EvidenceError, match=path.name):
            sealed(outputs)

    def test_an_added_file_is_named(self, outputs, evidence):
        (evidence / "extra.json").write_text("{}")
        with pytest.raises(EvidenceError, match=r"extra\.json was not recorded by the run"):
            sealed(outputs)

    def test_a_link_is_named(self, outputs, evidence):
        path = next(evidence.glob("E0006-*"))
        path.rename(outputs / "body")
        path.symlink_to(outputs / "body")
        with pytest.raises(RecordError, match=f"{path.name} is a link"):
            sealed(outputs)

    def test_a_changed_index_is_named(self, outputs, evidence):
        index = evidence / "index.jsonl"
        index.write_bytes(b"".join(index.read_bytes().splitlines(keepends=True)[:-1]))
        with pytest.raises(EvidenceError, match=r"index\.jsonl is not what the notebook concluded on"):
            sealed(outputs)

    def test_a_missing_index_is_named(self, outputs, evidence):
        (evidence / "index.jsonl").unlink()
        with pytest.raises(EvidenceError, match=r"index\.jsonl is not what the notebook concluded on"):
            sealed(outputs)

    def test_an_index_that_points_out_of_the_folder_is_refused(self, outputs, evidence):
        index = evidence / "index.jsonl"
        lines = [json.loads(line) for line in index.read_bytes().splitlines()]
        lines[0]["path"] = "../../../x.ipynb"
        index.write_bytes(b"".join(canonical(line) + b"\n" for line in lines))
        with edited(outputs / "x.ipynb") as notebook:
            display(notebook, "conclusion")["evidence_sha256"] = sha256_file(index)
        with pytest.raises(EvidenceError):
            sealed(outputs)

    def test_what_was_refused_can_be_sealed_once_it_is_mended(self, outputs, evidence):
        (evidence / "extra.json").write_text("{}")
        with pytest.raises(EvidenceError):
            sealed(outputs)
        (evidence / "extra.json").unlink()
        assert list(verify(sealed(outputs).folder))


class TestCrash:
    def test_an_outputs_folder_that_cannot_be_written_is_told(self, outputs, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(RecordError, match=r"can't be written to .*file: .*\n.*trailkit seal .*x\.ipynb --output"):
            sealing.seal(outputs / "x.ipynb", tmp_path / "file", plain_render)
        assert list(verify(sealed(outputs).folder))

    def test_a_failing_sync_leaves_no_record(self, outputs, monkeypatch):
        def full(_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(RecordError, match="No space left on device"):
            sealed(outputs)
        assert sorted(path.name for path in outputs.iterdir()) == [RUNS, REGISTER, "x.ipynb"]

    @pytest.mark.parametrize("error", [RenderError("no HTML", "mend it"), KeyboardInterrupt(), MemoryError()], ids=repr)
    def test_whatever_stops_the_rendering_leaves_no_record(self, error, outputs):
        def stop(*_):
            raise error

        with pytest.raises(type(error)):
            sealed(outputs, stop)
        assert sorted(path.name for path in outputs.iterdir()) == [RUNS, REGISTER, "x.ipynb"]
        assert list(verify(sealed(outputs).folder))

    def test_what_a_killed_seal_left_is_cleaned_up_by_the_next(self, outputs):
        left = outputs / f".sealing-{run_id(outputs)}"
        (left / "evidence").mkdir(parents=True)
        (left / "evidence" / "index.jsonl").write_text("half")
        (left / "stray").write_text("half")
        folder = sealed(outputs).folder
        assert list(verify(folder))
        assert sorted(path.name for path in outputs.iterdir()) == [folder.name, REGISTER, "x.ipynb"]

    def test_of_two_at_once_one_seals_and_one_is_refused(self, outputs):
        inside, go_on = threading.Event(), threading.Event()
        made: list[Any] = []

        def slow(*arguments):
            inside.set()
            go_on.wait(30)
            return plain_render(*arguments)

        first = threading.Thread(target=lambda: made.append(sealed(outputs, slow)))
        first.start()
        assert inside.wait(30)
        with pytest.raises(RecordError, match="is being sealed by another process"):
            sealed(outputs)
        go_on.set()
        first.join()
        assert list(verify(made[0].folder))
        with pytest.raises(RecordError, match="not under"):
            sealed(outputs)

    @pytest.mark.parametrize("how", ["kill", "full"])
    def test_at_every_step_the_record_is_whole_or_absent_and_nothing_is_lost(self, how, tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", CRASHES, how, str(executed_once()), str(tmp_path / "try")],
            cwd=Path(__file__).parent, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["absent"] > 9
        assert told["whole"] > 2
        assert told["problems"] == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
    def test_on_a_disk_that_is_too_small_there_is_no_half_record(self, outputs, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", disk], check=False).returncode:
            pytest.skip("no small disk can be mounted here")
        try:
            with pytest.raises(RecordError, match="No space left on device"):
                sealing.seal(outputs / "x.ipynb", disk, plain_render)
            assert list(disk.iterdir()) == []
        finally:
            subprocess.run(["umount", disk], check=True)
        assert list(verify(sealed(outputs).folder))


CRASHES = """
import json, os, shutil, sys
from pathlib import Path
from fixtures.runs import copied, plain_render, run_id
from kit.errors import KitError, RecordError
from kit.record.history import settle
from kit.record.register import REGISTER, locked_register, read_register
from kit.record.seal import seal
from kit.record.verification.verify import verify

how, base, place = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
name = run_id(base)
state = {"left": -1}
CHANGES = ("open", "os.mkdir", "os.rename", "os.rmdir", "os.remove", "shutil.copyfile", "shutil.rmtree")

def hook(event, arguments):
    if state["left"] >= 0 and event in CHANGES and str(arguments[0]).startswith(str(place)):
        state["left"] -= 1
        if state["left"] < 0:
            if how == "kill":
                os.kill(os.getpid(), 9)
            raise OSError(28, "No space left on device")

sys.addaudithook(hook)

def attempt(outputs, steps):
    child = os.fork()
    if not child:
        state["left"] = steps
        try:
            seal(outputs / "x.ipynb", outputs, plain_render)
        except KitError:
            os._exit(1)
        except BaseException:
            state["left"] = -1
            import traceback
            traceback.print_exc()
            os._exit(2)
        os._exit(0 if state["left"] < 0 else 3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def fresh():
    shutil.rmtree(place, ignore_errors=True)
    return copied(base, place)

def count():
    reading, writing = os.pipe()
    outputs = fresh()
    if not os.fork():
        state["left"] = 10**6
        seal(outputs / "x.ipynb", outputs, plain_render)
        os.write(writing, str(10**6 - state["left"]).encode())
        os._exit(0)
    os.close(writing)
    os.wait()
    return int(os.read(reading, 20))

told = {"whole": 0, "absent": 0, "problems": []}
total = count()
# every step while the record is closed and the run is cleared away, and one in so many while files are copied
for step in sorted({*range(0, total, total // 9), *range(total - 9, total), 1, 2}):
    outputs = fresh()
    code = attempt(outputs, step)
    if code not in (-9, 0, 1):
        told["problems"].append([step, "ended", code])
    record = outputs / name
    whole = record.exists()
    told["whole" if whole else "absent"] += 1
    with locked_register(outputs) as register:
        settle(register, outputs)
    if whole:
        list(verify(record))
    else:
        again = attempt(outputs, 10**6)
        if again != 3:
            told["problems"].append([step, "sealed again", again])
        list(verify(record))
    left = sorted(path.name for path in outputs.iterdir() if path.name not in (name, REGISTER, "x.ipynb", ".runs"))
    if left:
        told["problems"].append([step, "left", left])
    events = [entry.event for entry in read_register(outputs / REGISTER)]
    if events != ["started", "concluded", "finished"]:
        told["problems"].append([step, "registered", events])
print(json.dumps(told))
"""


class TestRendering:
    @pytest.mark.slow
    def test_hostile_names_are_escaped_in_html_and_pdf(self, tmp_path):
        made = sealed(copied(executed_once("hostile-text"), tmp_path), render_record)
        assert made.warnings == ()
        page = (made.folder / "record.html").read_text(encoding="utf-8")
        assert "<script" not in page.lower()
        assert "&lt;script" in page
        assert (made.folder / "record.pdf").read_bytes().startswith(b"%PDF-1.7")
        assert list(verify(made.folder))

    def test_without_pango_there_is_html_and_one_warning(self, outputs, monkeypatch):
        def missing(*_):
            raise MissingLibraryError("the PDF can't be made", "apt-get install libpango")

        monkeypatch.setattr("kit.render.record.render_pdf", missing)
        made = sealed(outputs, render_record)
        assert [warning.remedy for warning in made.warnings] == ["apt-get install libpango"]
        assert not (made.folder / "record.pdf").exists()
        assert list(verify(made.folder))


def test_a_seal_waits_for_nothing_of_its_own(outputs):
    # the lock is released with the descriptor, so that a second record of the same process is no conflict
    with temporary_folder(outputs / ".sealing-a") as first:
        first.rename(outputs / "a")
    with temporary_folder(outputs / ".sealing-a") as second:
        second.rename(outputs / "b")


def test_the_render_that_is_told_of_a_problem_passes_it_on(outputs):
    problem = RenderError("no PDF", "install it")
    made = sealed(outputs, lambda *given: [*plain_render(*given), problem])
    assert made.warnings == (problem,)
    assert SimpleNamespace(**vars(made)).digest
