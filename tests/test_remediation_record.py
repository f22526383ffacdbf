"""One record holds plan, approval, changes and re-verification; it is sealed, verified and replayed like any other."""

import inspect
import json
import os
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest
from fixtures.operational import judged, verdicts
from fixtures.remedied import BY_ALIAS, changed, collected, parameters_of, planned
from fixtures.runs import PEOPLE, display, edited, execute_here, plain_render, sealed

from kit.catalogue import protocol
from kit.checks import remediation as checks
from kit.errors import PlanError, RecordError, RejectionError
from kit.findings import Verdict
from kit.parameters import RunParameters
from kit.record.manifest import EVIDENCE, read_manifest
from kit.record.seal import Sealed
from kit.record.verification.replay import replay
from kit.render.record import render_record
from kit.sandbox.server import Sandbox

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "remediation.ipynb"
FAULTS = ("key-gone", "not-logging", "validation-off")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started, patch.dict(os.environ, started.environment):
        yield started


def executed(sandbox: Sandbox, outputs: Path, **remediation: object) -> Path:
    outputs.mkdir(exist_ok=True)
    told = sandbox.parameters
    expected = told["expected"] | BY_ALIAS
    parameters = told | {"execution": PEOPLE, "expected": expected, "remediation": remediation or None}
    execute_here(outputs, parameters, notebook=NOTEBOOK)
    return outputs


@pytest.fixture(scope="module")
def remedied(sandbox, tmp_path_factory) -> Path:
    """An outputs folder with a remediation that was executed, and not sealed."""
    folder = tmp_path_factory.mktemp("remedied")
    sandbox.reset(FAULTS)
    found = planned(sandbox, folder / "evidence", **BY_ALIAS)
    confirmed = [step.id for step in found.steps if step.may_stop_delivery]
    return executed(sandbox, folder / "outputs", plan=found.sha256, change_control="CC-7", confirmed=confirmed)


@pytest.fixture
def copy(remedied, tmp_path) -> Path:
    return Path(shutil.copytree(remedied, tmp_path / "outputs"))


@pytest.fixture(scope="module")
def record(remedied, tmp_path_factory) -> Sealed:
    return sealed(Path(shutil.copytree(remedied, tmp_path_factory.mktemp("record") / "outputs")))


@pytest.mark.parametrize("case", ["rm_01", "rm_02", "rm_03"])
def test_a_criterion_is_what_its_check_says(case):
    criterion = protocol("RM").test_cases[case.upper().replace("_", "-")].criterion
    assert " ".join(criterion.split()) in " ".join((inspect.getdoc(getattr(checks, case)) or "").split())


def test_it_judges_its_own_test_cases_and_those_of_the_installation():
    assert list(protocol("RM").test_cases) == ["RM-01", "RM-02", "RM-03", *protocol("IQ").test_cases]


class TestRecord:
    def test_it_passes_and_holds_plan_approval_changes_and_evidence(self, record):
        assert record.verdict is Verdict.PASS
        manifest = read_manifest(record.folder)
        notebook = json.loads((record.folder / "record.ipynb").read_bytes())
        found, told = display(notebook, "plan"), display(notebook, "changes")
        assert manifest["parameters"]["remediation"]["plan"] == found["sha256"] == told["approved"] == told["plan"]
        assert manifest["parameters"]["remediation"]["change_control"] == told["change_control"] == "CC-7"
        assert [row["outcome"] for row in told["steps"]] == ["done"] * len(found["steps"])
        kept = {path.name.partition("-")[0] for path in (record.folder / EVIDENCE).iterdir()}
        assert all(set(row["evidence"]) <= kept and row["date"] for row in told["steps"])
        assert told["remaining"] == []

    def test_a_replay_gives_the_same_findings(self, record):
        assert replay(record.folder, read_manifest(record.folder)).findings == len(
            record.executed.conclusion["findings"]
        )

    def test_a_replay_finds_that_a_change_was_not_taken(self, record, tmp_path):
        folder = Path(shutil.copytree(record.folder, tmp_path / "record"))
        index = folder / EVIDENCE / "index.jsonl"
        lines = [json.loads(line) for line in index.read_bytes().splitlines()]
        for line in lines:
            if line["operation"] == "StartLogging":
                line["status"] = 400
        index.write_bytes(
            b"".join(json.dumps(line, separators=(",", ":"), sort_keys=True).encode() + b"\n" for line in lines)
        )
        with pytest.raises(RejectionError):
            replay(folder, read_manifest(folder))

    def test_it_is_laid_out_for_screen_and_paper(self, copy):
        made = sealed(copy, render_record)
        page = (made.folder / "record.html").read_text(encoding="utf-8")
        for text in ("The plan: 6 steps", "aws cloudtrail start-logging", "CC-7", "It can stop delivery"):
            assert text in page
        assert made.warnings == () or (made.folder / "record.pdf").exists() is False

    @pytest.mark.parametrize(
        ("member", "value"),
        [("sha256", "0" * 64), ("account", "210987654321"), ("state", {})],
        ids=["hash", "account", "state"],
    )
    def test_a_plan_that_was_edited_is_not_sealed(self, member, value, copy):
        with edited(copy / "x.ipynb") as notebook:
            display(notebook, "plan")[member] = value
        with pytest.raises(RecordError, match="plan shown does not follow"):
            sealed(copy, plain_render)

    @pytest.mark.parametrize("member", ["command", "risk", "diff"])
    def test_a_step_that_was_edited_is_not_sealed(self, member, copy):
        with edited(copy / "x.ipynb") as notebook:
            display(notebook, "plan")["steps"][0][member] = ["nothing"] if member == "diff" else "nothing"
        with pytest.raises(RecordError, match="plan shown does not follow"):
            sealed(copy, plain_render)


class TestWithoutApproval:
    @pytest.fixture(scope="class")
    @staticmethod
    def dry(sandbox, tmp_path_factory):
        sandbox.reset(["rotation-off"])
        outputs = executed(sandbox, tmp_path_factory.mktemp("dry") / "outputs")
        return sealed(outputs)

    def test_nothing_is_changed_and_the_record_says_so(self, dry, sandbox, tmp_path):
        assert dry.verdict is Verdict.FAIL
        found = {step["test_case"]: step["verdict"] for step in dry.executed.steps}
        assert (found["RM-01"], found["RM-02"], found["RM-03"], found["IQ-06"]) == (
            "INCONCLUSIVE",
            "INCONCLUSIVE",
            "FAIL",
            "FAIL",
        )
        assert [step.id for step in planned(sandbox, tmp_path / "evidence").steps] == ["enable-key-rotation"]

    def test_it_can_be_replayed(self, dry):
        assert replay(dry.folder, read_manifest(dry.folder)).findings

    def test_another_plan_stops_the_notebook_before_anything_is_changed(self, sandbox, tmp_path):
        sandbox.reset(["rotation-off"])
        with pytest.raises(PlanError, match="moved since"):
            executed(sandbox, tmp_path / "outputs", plan="0" * 64, change_control="CC-7")
        assert planned(sandbox, tmp_path / "evidence").steps


class TestChecks:
    @pytest.fixture(scope="class")
    @staticmethod
    def held(sandbox, tmp_path_factory):
        sandbox.reset(["rotation-off"])
        return changed(sandbox, tmp_path_factory.mktemp("held") / "evidence")

    def test_a_remediation_that_went_well_passes(self, held):
        found = verdicts(judged(*held, "RM"))
        assert {found[case] for case in ("RM-01", "RM-02", "RM-03")} == {Verdict.PASS}

    def test_what_was_never_decided_passes_nothing(self, sandbox, tmp_path):
        sandbox.reset()
        parameters = parameters_of(sandbox)
        found = verdicts(judged(collected(parameters, tmp_path / "evidence"), parameters, "RM"))
        assert {found[case] for case in ("RM-01", "RM-02", "RM-03")} == {Verdict.INCONCLUSIVE}

    def test_an_approval_needs_both_a_plan_and_a_change(self, sandbox):
        with pytest.raises(Exception, match=r"remediation\.change_control: missing"):
            RunParameters.load(sandbox.parameters | {"remediation": {"plan": "0" * 64}})
