"""What a notebook talks to: a run begins, collects once, takes its steps in any order, and concludes on what it has."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

import kit.evidence
import kit.protocol
from kit.canonical import canonical, sha256, sha256_file
from kit.errors import EvidenceError, ExecutionError, KitError, ParameterError, RecordError
from kit.findings import Verdict
from kit.jupyter import PROGRESS_VARIABLE
from kit.present.displays import MIME
from kit.protocol import OUTPUT_VARIABLE, begin, outputs_folder
from kit.sandbox.server import Sandbox

EXECUTION = {"executed_by": "Anna Müller", "system_id": "SYS-1", "environment": "sandbox", "protocol_id": "VP-1"}


@pytest.fixture(scope="module")
def account():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def spoilt(account, request):
    account.reset([request.param])
    yield account
    account.reset()


@pytest.fixture
def run(account, tmp_path, monkeypatch):
    """A run that has begun."""
    for name, value in account.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(OUTPUT_VARIABLE, str(tmp_path))
    return begin("IQ", **account.parameters | {"execution": EXECUTION})


@pytest.fixture
def collected(run):
    run.collect()
    return run


def data(display: Any) -> dict[str, Any]:
    return json.loads(json.dumps(dict(display.data)))


class TestBegin:
    @pytest.mark.parametrize(
        "given",
        [
            {"target": "sandpit"},
            {"expected": {"key_alais": "alias/x"}},
            {"window": {"hours": "24"}},
            {"execution": {"executed_by": "AKIAIOSFODNN7EXAMPLE"}},
            {"target": {"account_id": "123456789012", "endpoint_url": "nowhere"}},
        ],
        ids=["unknown target", "unknown key", "wrong type", "secret", "no URL"],
    )
    def test_what_the_parameters_refuse_begins_nothing(self, given, tmp_path, monkeypatch):
        monkeypatch.setenv(OUTPUT_VARIABLE, str(tmp_path / "outputs"))
        with pytest.raises(ParameterError):
            begin("IQ", **given)
        assert not (tmp_path / "outputs").exists()

    def test_an_unknown_protocol_is_refused(self):
        with pytest.raises(KitError, match=r"no protocol 'XQ'\nname one of IQ"):
            begin("XQ")

    def test_ids_are_unique_within_a_second(self, account, tmp_path, monkeypatch):
        monkeypatch.setenv(OUTPUT_VARIABLE, str(tmp_path))
        ids = {begin("IQ", **account.parameters).id for _ in range(50)}
        assert len(ids) == 50
        assert all(re.fullmatch(r"IQ-\d{8}T\d{6}Z-[0-9a-f]{6}", one) for one in ids)

    def test_two_runs_never_share_a_folder(self, account, tmp_path, monkeypatch):
        monkeypatch.setenv(OUTPUT_VARIABLE, str(tmp_path))
        moment = kit.protocol.utc_now()
        monkeypatch.setattr(kit.protocol, "utc_now", lambda: moment)
        monkeypatch.setattr(kit.evidence.secrets, "token_hex", lambda _: "abcdef")
        begin("IQ", **account.parameters)
        with pytest.raises(EvidenceError, match="File exists"):
            begin("IQ", **account.parameters)

    def test_an_outputs_folder_that_is_a_file_is_told(self, account, tmp_path, monkeypatch):
        (tmp_path / "outputs").write_text("")
        monkeypatch.setenv(OUTPUT_VARIABLE, str(tmp_path / "outputs"))
        with pytest.raises(RecordError, match=r"register .* can't be written: File exists"):
            begin("IQ", **account.parameters)

    def test_its_display_identifies_the_run(self, run, account):
        told = data(run.identity())
        assert told["run_id"] == run.id
        assert told["demonstration"] is True
        assert told["target"]["account_id"] == account.parameters["target"]["account_id"]
        assert {name: told[name] for name in EXECUTION} == EXECUTION
        assert told["parameters_sha256"] == sha256(canonical(run.parameters.to_json()))
        assert set(told["packages"]) >= {"boto3", "papermill"}
        assert run._repr_mimebundle_()["text/html"]


class TestOutputsFolder:
    def test_it_is_the_nearest_one_above(self, tmp_path, monkeypatch):
        monkeypatch.delenv(OUTPUT_VARIABLE, raising=False)
        (tmp_path / "outputs").mkdir()
        (tmp_path / "a" / "b").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "a" / "b")
        assert outputs_folder() == tmp_path / "outputs"

    def test_the_environment_comes_first(self, monkeypatch):
        monkeypatch.setenv(OUTPUT_VARIABLE, "elsewhere")
        assert outputs_folder() == Path("elsewhere")


class TestSteps:
    def test_a_step_before_collecting_is_refused(self, run):
        with pytest.raises(
            ExecutionError, match=r"IQ-01 was asked for before anything was collected\nrun the cells in order"
        ):
            run.step("IQ-01")

    def test_an_unknown_step_is_refused(self, collected):
        with pytest.raises(ExecutionError, match=r"IQ has no test case 'IQ-99'\nname one of IQ-01, "):
            collected.step("IQ-99")

    def test_a_run_collects_once(self, collected):
        with pytest.raises(ExecutionError, match="collected already"):
            collected.collect()

    def test_the_card_holds_the_test_case_and_its_findings(self, collected):
        case = collected.protocol.test_cases["IQ-08"]
        card = data(collected.step("IQ-08"))
        assert card["criterion"] == case.criterion
        assert card["verdict"] == "PASS"
        assert card["findings"][0]["evidence"]
        assert card["started"] <= card["finished"]

    def test_steps_out_of_order_are_told_in_the_order_of_the_protocol(self, collected):
        for case_id in reversed(collected.protocol.test_cases):
            collected.step(case_id)
        rows = data(collected.summary())["rows"]
        assert [row["test_case"] for row in rows] == list(collected.protocol.test_cases)
        assert collected.verdict is Verdict.PASS

    def test_a_step_taken_twice_counts_once(self, collected):
        for case_id in [*collected.protocol.test_cases, "IQ-03"]:
            collected.step(case_id)
        counts = data(collected.conclude())["counts"]
        assert counts["PASS"] == len(collected.protocol.test_cases)
        assert sum(counts.values()) == len(collected.protocol.test_cases)

    def test_a_test_case_that_was_not_executed_leaves_the_run_inconclusive(self, collected):
        for case_id in list(collected.protocol.test_cases)[:-1]:
            collected.step(case_id)
        conclusion = data(collected.conclude())
        assert conclusion["verdict"] == "INCONCLUSIVE"
        assert conclusion["findings"][-1]["verdict"] == "NOT_EXECUTED"
        assert [row["verdict"] for row in data(collected.deviations())["rows"]] == ["NOT_EXECUTED"]
        assert data(collected.traceability())["rows"][-1]["verdict"] == "NOT_EXECUTED"

    def test_a_run_that_did_nothing_concludes_nothing(self, run):
        conclusion = data(run.conclude())
        assert conclusion["verdict"] == "INCONCLUSIVE"
        assert conclusion["evidence_sha256"] == sha256(b"")

    @pytest.mark.parametrize("spoilt", ["rotation-off"], indirect=True)
    @pytest.mark.usefixtures("spoilt")
    def test_a_failed_step_is_a_finding_and_a_deviation(self, run):
        run.collect()
        for case_id in run.protocol.test_cases:
            run.step(case_id)
        conclusion = data(run.conclude())
        assert conclusion["verdict"] == "FAIL"
        assert conclusion["counts"]["FAIL"] == 1
        (row,) = data(run.deviations())["rows"]
        assert (row["id"], row["test_case"]) == ("DEV-01", "IQ-06")
        assert row["expected"] != row["actual"]

    @pytest.mark.parametrize("spoilt", ["deny-get-key-policy"], indirect=True)
    @pytest.mark.usefixtures("spoilt")
    def test_a_denied_call_is_told_where_it_was_collected(self, run):
        told = data(run.collect())
        assert told["denied"] > 0
        assert any("GetKeyPolicy" in note for note in told["notes"])


class TestConclusion:
    def test_its_hashes_tie_findings_and_evidence(self, collected):
        collected.step("IQ-01")
        conclusion = data(collected.conclude())
        index = collected._store.folder / "index.jsonl"
        assert conclusion["evidence_sha256"] == sha256_file(index)
        assert conclusion["findings_sha256"] == sha256(canonical(conclusion["findings"]))
        assert conclusion["evidence_count"] == len(index.read_text().splitlines())

    def test_who_executed_is_asked_to_sign_with_two_others(self, run):
        roles = data(run.signatures())["roles"]
        assert roles[0] == {"role": "Executed by", "name": "Anna Müller"}
        assert [role["role"] for role in roles[1:]] == ["Reviewed by", "Approved by"]


class TestRequirements:
    def test_a_requirement_is_traced_to_its_test_cases(self, account, tmp_path, monkeypatch):
        monkeypatch.setenv(OUTPUT_VARIABLE, str(tmp_path))
        mine = {"id": "URS-1", "text": "Logs are encrypted.", "risk": "high", "test_cases": ["IQ-04", "OQ-02"]}
        traced = data(begin("IQ", **account.parameters, requirements=[mine]).traceability())
        rows = traced["rows"]
        assert traced["elsewhere"] == [{"requirement": "URS-1", "test_cases": ["OQ-02"]}]
        assert {row["test_case"] for row in rows if row["requirement"]} == {"IQ-04"}
        assert {row["requirement"]["id"] for row in rows if row["test_case"] == "IQ-04"} == {"URS-1"}


class TestProgress:
    def test_a_waiting_command_is_told(self, run, tmp_path, monkeypatch):
        monkeypatch.setenv(PROGRESS_VARIABLE, str(tmp_path / "progress"))
        run.collect()
        run.step("IQ-01")
        lines = [json.loads(line) for line in (tmp_path / "progress").read_text().splitlines()]
        assert lines[-1] == ["Test cases", 1, len(run.protocol.test_cases), 0]
        assert len(lines) > 1

    @pytest.mark.slow
    def test_whoever_looks_on_sees_it_and_the_notebook_keeps_nothing_of_it(self, tmp_path, monkeypatch):
        monkeypatch.delenv(PROGRESS_VARIABLE, raising=False)
        seen: list[dict[str, Any]] = []

        class Watching(NotebookClient):
            def process_message(self, msg: Any, *arguments: Any) -> Any:
                seen.append(msg)
                return super().process_message(msg, *arguments)

        code = "from kit.protocol import begin\nbegin('IQ').collect()"
        notebook = new_notebook(cells=[new_code_cell(code)])
        Watching(notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
        told = [msg["content"]["data"]["text/html"] for msg in seen if msg["msg_type"] == "update_display_data"]
        assert any(re.search(r"Regions: \d+ of \d+ <progress max", bar) for bar in told)
        (kept,) = notebook.cells[0].outputs
        assert kept.data[MIME]["kind"] == "collection"


class TestCards:
    def test_an_error_of_the_kit_is_shown_as_a_card(self, monkeypatch):
        shown: list[Any] = []
        handlers: dict[type, Any] = {}

        def set_custom_exc(kinds, handler):
            handlers.update(dict.fromkeys(kinds, handler))

        shell = SimpleNamespace(set_custom_exc=set_custom_exc)
        monkeypatch.setattr("IPython.get_ipython", lambda: shell)
        monkeypatch.setattr("IPython.display.display", shown.append)
        with pytest.raises(ParameterError) as raised:
            begin("IQ", target="sandpit")
        handlers[KitError](shell, ParameterError, raised.value, None)
        assert shown[0].kind == "error"
        assert dict(shown[0].data) == {
            "message": raised.value.message,
            "remedy": raised.value.remedy,
            "exit_code": 2,
        }
