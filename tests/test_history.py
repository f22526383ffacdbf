"""What the register tells of runs: attempts are numbered and need a reason, and none ends without a word."""

from pathlib import Path
from typing import Any

import pytest
from fixtures.runs import copied, display, edited, executed_once, sealed

from kit.errors import ExecutionError, ParameterError, RecordError
from kit.protocol import OUTPUT_VARIABLE, begin
from kit.record.folders import hold
from kit.record.history import histories, settle, start
from kit.record.manifest import RUNS
from kit.record.register import REGISTER, locked_register, read_register
from kit.record.seal import seal
from kit.record.verification.audit import audit
from kit.sandbox.server import Sandbox

REAL = {"protocol": "IQ", "account_id": "123456789012", "trail_arn": "arn", "demonstration": False}
PEOPLE = {"executed_by": "Zoë", "system_id": "S", "environment": "sandbox", "protocol_id": "V"}


def started(outputs: Path, run: str, reason: str | None = "why", **target: Any) -> dict[str, Any]:
    with locked_register(outputs) as register:
        return start(register, outputs, run, {"target": REAL | target, "reason": reason})


def events(outputs: Path) -> list[tuple[str, str]]:
    return [(entry.record, entry.event) for entry in read_register(outputs / REGISTER)]


class TestStart:
    def test_the_first_run_needs_no_reason(self, tmp_path):
        told = started(tmp_path, "IQ-1", None)
        assert told["attempt"] == {"number": 1, "earlier": []}
        assert told["register"]["number"] == 1

    @pytest.mark.parametrize("reason", [None, ""])
    def test_a_repeat_without_a_reason_is_refused_and_leaves_no_entry(self, reason, tmp_path):
        started(tmp_path, "IQ-1")
        with pytest.raises(
            ParameterError, match="this is run 2 of IQ on this target, and it states no reason"
        ) as error:
            started(tmp_path, "IQ-2", reason)
        assert "IQ-1, aborted" in error.value.message
        assert "IQ-2" not in {record for record, _ in events(tmp_path)}

    def test_a_repeat_tells_of_the_earlier_runs(self, tmp_path):
        started(tmp_path, "IQ-1", "first")
        with locked_register(tmp_path) as register:
            register.append("concluded", "IQ-1", {"verdict": "FAIL"})
        told = started(tmp_path, "IQ-2", "the key rotates now")["attempt"]
        assert told["number"] == 2
        (earlier,) = told["earlier"]
        assert (earlier["record_id"], earlier["state"], earlier["verdict"], earlier["reason"]) == (
            "IQ-1", "concluded", "FAIL", "first",
        )  # fmt: skip

    @pytest.mark.parametrize(
        "other", [{"protocol": "OQ"}, {"account_id": "210987654321"}, {"trail_arn": "other"}, {"demonstration": True}],
        ids=lambda value: next(iter(value)),
    )  # fmt: skip
    def test_another_target_is_no_repeat(self, other, tmp_path):
        started(tmp_path, "IQ-1")
        assert started(tmp_path, "IQ-2", None, **other)["attempt"]["number"] == 1

    def test_a_demonstration_may_be_repeated_without_a_reason(self, tmp_path):
        started(tmp_path, "IQ-1", None, demonstration=True)
        assert started(tmp_path, "IQ-2", None, demonstration=True)["attempt"]["number"] == 2

    def test_a_run_that_cannot_be_registered_does_not_begin(self, tmp_path, monkeypatch):
        (tmp_path / REGISTER).mkdir()
        monkeypatch.setenv(OUTPUT_VARIABLE, str(tmp_path))
        with Sandbox() as sandbox, pytest.raises(RecordError, match=r"register .* can't be written"):
            begin("IQ", **sandbox.parameters | {"execution": PEOPLE})
        assert not (tmp_path / RUNS).exists()


class TestSettle:
    def settled(self, outputs: Path) -> list[tuple[str, str]]:
        with locked_register(outputs) as register:
            settle(register, outputs)
        return events(outputs)

    def test_a_dead_run_is_aborted_once(self, tmp_path):
        started(tmp_path, "IQ-1")
        assert self.settled(tmp_path) == self.settled(tmp_path) == [("IQ-1", "started"), ("IQ-1", "aborted")]

    def test_a_run_under_way_is_left_alone(self, tmp_path):
        started(tmp_path, "IQ-1")
        (tmp_path / RUNS / "IQ-1").mkdir(parents=True)
        hold(tmp_path / RUNS / "IQ-1")
        assert self.settled(tmp_path) == [("IQ-1", "started")]

    def test_a_run_that_concluded_is_left_open_with_its_verdict(self, tmp_path):
        outputs = copied(executed_once("rotation-off"), tmp_path)
        assert [event for _, event in self.settled(outputs)] == ["started", "concluded"]
        (one,) = histories(read_register(outputs / REGISTER)).values()
        assert (one.state, one.verdict, one.digest) == ("concluded", "FAIL", "")
        assert f"{one.record_id} left no record: concluded with FAIL." in audit(outputs / REGISTER).notes

    def test_a_record_that_stands_unregistered_is_finished(self, tmp_path):
        outputs = copied(executed_once(), tmp_path)
        digest = sealed(outputs).digest
        lines = (outputs / REGISTER).read_bytes().splitlines(keepends=True)
        (outputs / REGISTER).write_bytes(b"".join(lines[:-1]))
        assert [event for _, event in self.settled(outputs)] == ["started", "concluded", "finished"]
        (one,) = histories(read_register(outputs / REGISTER)).values()
        assert (one.verdict, one.digest) == ("PASS", digest)


class TestSeal:
    def test_a_run_whose_start_is_not_registered_is_not_sealed(self, tmp_path):
        outputs = copied(executed_once(), tmp_path)
        (outputs / REGISTER).unlink()
        started(outputs, "IQ-1")
        with pytest.raises(RecordError, match="does not hold the start of IQ-"):
            sealed(outputs)

    def test_a_notebook_that_stopped_is_registered_as_failed_and_may_still_be_finished(self, tmp_path):
        outputs = copied(executed_once(), tmp_path)
        content = (outputs / "x.ipynb").read_text(encoding="utf-8")
        # as the register is before the run concludes
        concluded = read_register(outputs / REGISTER)[1].data
        (outputs / REGISTER).write_bytes((outputs / REGISTER).read_bytes().splitlines(keepends=True)[0])
        with edited(outputs / "x.ipynb") as notebook:
            (cell,) = [cell for cell in notebook["cells"] if "conclude" in "".join(cell["source"])]
            cell["outputs"] = []
        for _ in range(2):
            with pytest.raises(ExecutionError, match="never came to its conclusion"):
                seal(outputs / "x.ipynb", outputs, lambda *_: [])
        assert [event for _, event in events(outputs)] == ["started", "failed"]
        # the user runs the cells again, to the end
        (outputs / "x.ipynb").write_text(content, encoding="utf-8")
        with locked_register(outputs) as register:
            register.append("concluded", register.entries[0].record, concluded)
        sealed(outputs)
        assert [event for _, event in events(outputs)] == ["started", "failed", "concluded", "finished"]

    @pytest.mark.parametrize(
        ("edit", "what"),
        [
            (
                lambda notebook: display(notebook, "collection")["caller"].update(arn="arn:aws:iam::1:user/other"),
                "caller",
            ),
            (lambda notebook: display(notebook, "conclusion").update(finished="2026-01-01T00:00:00.000Z"), "finished"),
            (lambda notebook: display(notebook, "run").update(started="2026-01-01T00:00:00.000Z"), "started"),
            (lambda notebook: display(notebook, "run")["attempt"].update(number=2), "attempt"),
            (lambda notebook: display(notebook, "run")["attempt"].update(earlier=[{}]), "the runs before"),
            (lambda notebook: display(notebook, "run").update(approval={"sha256": "0" * 64}), "approv"),
        ],
        ids=["caller", "finished", "started", "attempt", "earlier runs", "approval"],
    )
    def test_a_notebook_that_tells_another_run_than_was_registered_is_refused(self, edit, what, tmp_path):
        outputs = copied(executed_once(), tmp_path)
        with edited(outputs / "x.ipynb") as notebook:
            edit(notebook)
        with pytest.raises(RecordError, match=what):
            sealed(outputs)
        assert [event for _, event in events(outputs)][-1] == "concluded"
