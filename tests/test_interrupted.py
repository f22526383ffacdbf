"""Whatever interrupts what writes, at whatever moment: a record is whole or absent, and nothing that was told is lost.

`make faults` does the same at every step, and at many more moments.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from fixtures.interrupting import (
    DEEDS,
    begin_one,
    fresh,
    issue_one,
    left_over,
    make_bases,
    records,
    render_again,
    seal_it,
    settle_all,
    sign_as,
    small_render,
    the_record,
)
from fixtures.runs import PEOPLE, copied, edited, execute_here, executed_once, plain_render
from fixtures.signed import signed

from kit.errors import ExecutionError, RejectionError, SigningError
from kit.evidence import utc_now
from kit.parameters import RunParameters
from kit.record.earlier import latest_record
from kit.record.folders import exchange, temporary_folder
from kit.record.history import histories
from kit.record.manifest import MANIFEST
from kit.record.register import REGISTER, locked_register, read_register
from kit.record.rerender import rerender
from kit.record.seal import seal
from kit.record.verification.audit import audit
from kit.record.verification.verify import verify
from kit.recording import Recorder
from kit.sandbox.server import Sandbox

BACK = timedelta(days=-1)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    return make_bases(tmp_path_factory.mktemp("bases"))


def forked(*arguments: str | Path) -> dict[str, Any]:
    """Return what a process of its own found; it forks."""
    done = subprocess.run(
        [sys.executable, "-m", "fixtures.interrupting", *map(str, arguments)],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {"stderr": done.stderr} | json.loads(done.stdout)


def states(outputs: Path) -> list[str]:
    """Return the state of each run or protocol of an outputs folder, in order."""
    return [one.state for one in histories(read_register(outputs / REGISTER)).values()]


@pytest.mark.slow
class TestInterrupted:
    @pytest.mark.parametrize("name", DEEDS)
    def test_a_power_cut_at_any_step_loses_nothing(self, name, bases, tmp_path):
        told = forked(bases, "interrupted", tmp_path, name, "cut", "8")
        assert told["problems"] == []
        assert told["ends"] == {"-9": told["steps"]}
        assert told["steps"] > 3

    @pytest.mark.parametrize("name", DEEDS)
    def test_a_step_that_finds_the_disk_full_loses_nothing(self, name, bases, tmp_path):
        told = forked(bases, "interrupted", tmp_path, name, "full", "8")
        assert told["problems"] == []
        assert told["ends"]["1"] > 2

    def test_a_kill_at_any_moment_loses_nothing(self, bases, tmp_path):
        told = forked(bases, "killed", tmp_path, "20", "1")
        assert told["problems"] == []
        assert told["done"] > 10


@pytest.mark.slow
class TestShort:
    @pytest.mark.parametrize("name", ["seal", "sign", "another addendum", "register", "start"])
    def test_where_a_file_cannot_grow_it_is_told_and_done_later(self, name, bases, tmp_path):
        told = forked(bases, "limited", tmp_path, name)
        assert told["problems"] == []
        assert told["ends"]["1"] > 0

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
    @pytest.mark.parametrize("name", ["seal", "sign", "another addendum", "register"])
    def test_on_a_disk_that_is_full_it_is_told_and_done_later(self, name, bases, tmp_path):
        with small_disk(tmp_path / "disk") as disk:
            told = forked(bases, "full", disk, name)
        assert told["problems"] == []
        assert {*told["ends"]} == {"0", "1"}


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
class TestTogether:
    @pytest.mark.parametrize("what", ["starts", "seals", "additions"])
    def test_processes_at_work_in_one_folder_lose_nothing(self, what, bases, tmp_path):
        told = forked(bases, "together", tmp_path, what)
        assert told["problems"] == [], told["stderr"]
        assert told["records"] == (0 if what == "starts" else 3)


class TestLeft:
    """What a killed process left goes at the next start; what a live one is at stays."""

    @pytest.mark.parametrize("name", [".sealing-{}", ".sealing-{}-addendum", ".replaced-{}"])
    def test_a_folder_that_nobody_is_at_goes(self, name, bases, tmp_path):
        outputs = fresh(bases, tmp_path, "sealed")
        record = the_record(outputs)
        shutil.copytree(record, outputs / name.format(record.name))
        settle_all(outputs)
        assert [*left_over(outputs)] == []
        assert audit(outputs / REGISTER).notes == ()

    def test_a_record_that_was_put_aside_comes_back(self, bases, tmp_path):
        outputs = fresh(bases, tmp_path, "sealed")
        record = the_record(outputs)
        record.rename(outputs / f".replaced-{record.name}")
        settle_all(outputs)
        assert list(verify(record))
        assert [*left_over(outputs)] == []

    def test_a_record_that_cannot_be_exchanged_stays(self, bases, tmp_path):
        record = the_record(fresh(bases, tmp_path, "sealed"))
        with pytest.raises(FileNotFoundError):
            exchange(record, tmp_path / "nothing")
        assert list(verify(record))

    def test_half_a_signed_file_goes(self, bases, tmp_path):
        outputs = fresh(bases, tmp_path, "sealed")
        left = outputs / f".signing-{the_record(outputs).name}"
        left.write_bytes(b"%PDF")
        settle_all(outputs)
        assert not left.exists()

    def test_what_a_process_is_at_stays(self, bases, tmp_path):
        outputs = fresh(bases, tmp_path, "sealed")
        with temporary_folder(outputs / ".sealing-x") as folder:
            (folder / "half").touch()
            settle_all(outputs)
            assert (folder / "half").exists()
        assert not folder.exists()

    def test_what_another_made_under_the_same_name_stays(self, tmp_path):
        with temporary_folder(tmp_path / ".sealing-x") as first:
            first.rename(tmp_path / "x")
            other = temporary_folder(tmp_path / ".sealing-x")
            folder = other.__enter__()
        assert folder.exists()
        other.__exit__(None, None, None)

    def test_an_audit_passes_over_what_is_being_sealed(self, bases, tmp_path):
        outputs = fresh(bases, tmp_path, "sealed")
        with temporary_folder(outputs / ".sealing-x") as folder:
            shutil.copyfile(the_record(outputs) / MANIFEST, folder / MANIFEST)
            audit(outputs / REGISTER)

    def test_a_protocol_that_stands_is_registered_at_the_next_start(self, bases, tmp_path):
        outputs = fresh(bases, tmp_path, "sealed")
        content = (outputs / REGISTER).read_bytes()
        issue_one(outputs)
        (outputs / REGISTER).write_bytes(content)
        with pytest.raises(RejectionError, match=r"is not in register\.jsonl"):
            audit(outputs / REGISTER)
        begin_one(outputs)
        (entry,) = [entry for entry in read_register(outputs / REGISTER) if entry.event == "issued"]
        assert entry.data["found"] is True
        audit(outputs / REGISTER)

    def test_a_protocol_that_saw_another_register_is_not(self, bases, tmp_path):
        (tmp_path / "other").mkdir()
        outputs, other = fresh(bases, tmp_path, "died"), fresh(bases, tmp_path / "other", "sealed")
        issue_one(other)
        (issued,) = [folder for folder in records(other) if folder.name.startswith("IQP")]
        shutil.copytree(issued, outputs / issued.name)
        settle_all(outputs)
        assert issued.name not in {entry.record for entry in read_register(outputs / REGISTER)}

    @pytest.mark.parametrize("base", ["bare", "sealed"])
    def test_a_copy_that_is_rendered_again_gets_no_register(self, base, bases, tmp_path):
        record = the_record(fresh(bases, tmp_path, base))
        copy = shutil.copytree(record, tmp_path / "away" / record.name)
        rerender(copy, small_render)
        assert [path.name for path in copy.parent.iterdir()] == [copy.name]
        assert list(verify(copy))

    def test_rendering_again_the_same_leaves_nothing(self, bases, tmp_path):
        outputs = fresh(bases, tmp_path, "sealed")
        render_again(outputs)
        assert [*left_over(outputs)] == []


class TestRuns:
    """What became of a run is told at the next start, and no sooner."""

    @pytest.fixture
    def outputs(self, bases, tmp_path):
        return fresh(bases, tmp_path, "died")

    @contextmanager
    def running(self, outputs: Path) -> Iterator[subprocess.Popen[str]]:
        """Begin a run in a process that lives until it is killed, or the block ends."""
        with subprocess.Popen(
            [sys.executable, "-c", BEGINS, str(outputs)],
            cwd=Path(__file__).parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            yield process

    def test_one_that_was_killed_is_aborted_at_the_next_start(self, outputs):
        settle_all(outputs)
        with self.running(outputs) as process:
            process.kill()
        assert states(outputs) == ["aborted", "started"]
        begin_one(outputs)
        assert states(outputs) == ["aborted", "aborted", "started"]

    def test_one_that_is_alive_is_not(self, outputs):
        settle_all(outputs)
        with self.running(outputs):
            begin_one(outputs)
            assert states(outputs) == ["aborted", "started", "started"]
        settle_all(outputs)
        assert states(outputs) == ["aborted", "aborted", "started"]

    def test_one_that_concluded_stays_so_and_is_sealed_later(self, bases, tmp_path):
        outputs = fresh(bases, tmp_path, "executed")
        settle_all(outputs)
        assert states(outputs) == ["concluded"]
        (note,) = audit(outputs / REGISTER).notes
        assert note.endswith("left no record: concluded with FAIL.")
        begin_one(outputs)
        seal_it(outputs)
        assert states(outputs) == ["finished", "started"]
        assert list(verify(the_record(outputs)))
        audit(outputs / REGISTER)

    def test_one_that_failed_and_was_brought_to_its_end_is_finished(self, bases, tmp_path):
        outputs = fresh(bases, tmp_path, "executed")
        # the run failed before it concluded: the register ends with its start
        concluded = read_register(outputs / REGISTER)[-1]
        started = (outputs / REGISTER).read_bytes().splitlines(keepends=True)[0]
        (outputs / REGISTER).write_bytes(started)
        whole = (outputs / "x.ipynb").read_bytes()
        with edited(outputs / "x.ipynb") as notebook:
            notebook["cells"][-1]["execution_count"] = None
        with pytest.raises(ExecutionError, match="stopped before code cell"):
            seal_it(outputs)
        assert states(outputs) == ["failed"]
        settle_all(outputs)
        assert states(outputs) == ["failed"]
        (outputs / "x.ipynb").write_bytes(whole)
        with locked_register(outputs) as register:
            register.append("concluded", concluded.record, concluded.data)
        assert states(outputs) == ["concluded"]
        seal_it(outputs)
        assert states(outputs) == ["finished"]
        assert list(verify(the_record(outputs)))
        assert audit(outputs / REGISTER).notes == ()


BEGINS = """
import sys
from pathlib import Path
from fixtures.interrupting import begin_one
begin_one(Path(sys.argv[1]))
print("begun", flush=True)
sys.stdin.read()
"""


@contextmanager
def clock_set_back() -> Iterator[None]:
    """Have the clock of whatever runs, registers and signs a day behind."""

    def yesterday() -> datetime:
        return utc_now() + BACK

    with ExitStack() as stack:
        for name in ("protocol", "record.register", "record.sign", "record.addenda", "record.issue"):
            stack.enter_context(patch(f"kit.{name}.utc_now", yesterday))
        stack.enter_context(patch.object(Recorder.__init__, "__defaults__", (yesterday,)))
        yield


class TestClock:
    def test_set_back_before_the_sealing_it_is_told_and_nothing_is_lost(self, bases, tmp_path):
        outputs = fresh(bases, tmp_path, "executed")
        with clock_set_back():
            seal_it(outputs)
        assert list(verify(the_record(outputs)))
        (note,) = audit(outputs / REGISTER).notes
        assert note.startswith("The clock went back at entry 3: from ")

    def test_set_back_between_signatures_both_hold_and_it_is_told(self, bases, tmp_path):
        outputs = fresh(bases, tmp_path, "sealed")
        record = the_record(outputs)
        signed(record, "executor")
        with clock_set_back():
            signed(record, "reviewer")
        assert list(verify(record))
        (note,) = audit(outputs / REGISTER).notes
        assert note.startswith("The clock went back at entry 5: from ")

    def test_set_back_before_the_certificate_began_it_signs_nothing(self, bases, tmp_path):
        outputs = fresh(bases, tmp_path, "sealed")
        with clock_set_back(), pytest.raises(SigningError, match="valid"):
            sign_as("reviewer", outputs)
        assert [*left_over(outputs)] == []
        assert audit(outputs / REGISTER).notes == ()

    def test_set_back_for_a_run_that_run_does_not_pass_and_is_not_built_on(self, tmp_path):
        outputs = copied(executed_once(), tmp_path)
        first = seal(outputs / "x.ipynb", outputs, plain_render)
        with clock_set_back(), Sandbox() as sandbox:
            told = sandbox.parameters | {"execution": PEOPLE}
            with patch.dict(os.environ, sandbox.environment):
                execute_here(outputs, told)
            second = seal(outputs / "x.ipynb", outputs, plain_render)
        assert (first.verdict, second.verdict) == ("PASS", "FAIL")
        assert latest_record(outputs, "IQ", RunParameters.load(told)).record_id == first.folder.name
        assert any(note.startswith("The clock went back") for note in audit(outputs / REGISTER).notes)
