"""`trailkit remediate`: a dry run that changes nothing, and exactly the approved plan, or a refusal in two lines."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fixtures.operational import judged, verdicts
from fixtures.remedied import BY_ALIAS, EXPECTED, MENDED, collected, parameters_of, planned
from fixtures.runs import PEOPLE

from kit.cli import main, remediate
from kit.collect.change_calls import CHANGES, WITH_CREATE_BUCKET
from kit.collect.least_privilege import least_privilege, least_privilege_to_change
from kit.findings import Verdict
from kit.policy import Policy
from kit.sandbox.account import ACCOUNT_ID, LOG_BUCKET
from kit.sandbox.server import Sandbox

BIN = Path(sys.executable).parent
EVERYTHING = ("no-trail", "bucket-gone", "key-gone")
BY_COMMAND = [
    (EVERYTHING, BY_ALIAS),
    (("policy-without-cloudtrail", "bucket-policy-missing", "trail-without-key"), {}),
    (("kms-events-excluded", "single-region", "validation-off", "not-logging"), {}),
    (("advanced-selectors-without-kms", "requester-pays", "versioning-suspended"), {}),
    (("key-pending-deletion", "alias-other-key", "public-access-block-missing"), {}),
]


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started:
        yield started


@pytest.fixture
def desk(sandbox, tmp_path, monkeypatch, capsys):
    """Calls the command in an empty folder that holds the parameters of the sandbox, `p.yaml`."""
    monkeypatch.chdir(tmp_path)
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)

    class Desk:
        folder = tmp_path

        def write(self, **expected):
            told = sandbox.parameters
            parameters = told | {"execution": PEOPLE, "expected": told["expected"] | expected}
            (tmp_path / "p.yaml").write_text(yaml.safe_dump(parameters), encoding="utf-8")

        def __call__(self, *arguments):
            monkeypatch.setattr(sys, "argv", ["trailkit", *map(str, arguments)])
            with pytest.raises(SystemExit) as left:
                main.main()
            return (int(left.value.code or 0), *capsys.readouterr())

        def remediate(self, *arguments):
            return self("remediate", "-f", "p.yaml", *arguments)

    desk = Desk()
    desk.write()
    return desk


def hash_of(out: str) -> str:
    return re.search(r"^PLAN {2}([0-9a-f]{64})$", out, re.MULTILINE)[1]


class TestDryRun:
    def test_it_prints_steps_hash_and_commands_and_changes_nothing(self, desk, sandbox, tmp_path):
        sandbox.reset(["trail-without-key", "policy-without-context"])
        desk.write()
        before = planned(sandbox, tmp_path / "before").sha256
        status, out, err = desk.remediate()
        assert (status, err) == (1, "")
        assert hash_of(out) == before == planned(sandbox, tmp_path / "after").sha256
        assert not (desk.folder / "outputs").exists()

    def test_what_is_left_to_the_operator_is_told(self, desk, sandbox):
        sandbox.reset(["rotation-off", "policy-without-context"])
        status, out, _ = desk.remediate()
        assert status == 1
        for text in ("enable-key-rotation", "aws kms enable-key-rotation", "risk", "undo", "LEFT TO THE OPERATOR"):
            assert text in out
        assert "never narrows" in " ".join(out.split())

    def test_a_compliant_account_has_an_empty_plan_and_passes(self, desk, sandbox):
        sandbox.reset()
        status, out, _ = desk.remediate()
        assert status == 0
        assert "0 steps" in out

    def test_what_was_not_read_is_inconclusive(self, desk, sandbox):
        sandbox.reset(["deny-get-key-policy"])
        assert desk.remediate()[0] == 3

    def test_a_machine_is_answered_in_json(self, desk, sandbox):
        sandbox.reset(["rotation-off"])
        status, out, _ = desk.remediate("--json")
        told = json.loads(out)
        assert status == 1
        assert [step["id"] for step in told["steps"]] == ["enable-key-rotation"]
        assert re.fullmatch("[0-9a-f]{64}", told["sha256"])

    def test_the_embedded_account_has_nothing_to_mend(self, desk):
        (desk.folder / "p.yaml").write_text("target: sandbox\n")
        status, _, err = desk.remediate()
        assert status == 2
        assert "made anew for each run" in err

    @pytest.mark.parametrize(
        "arguments",
        [["--plan", "0" * 64], ["--yes-to", "encrypt"], ["--apply"], ["--apply", "--plan", "0" * 64]],
        ids=["a plan alone", "a confirmation alone", "no plan", "no change control"],
    )
    def test_half_an_order_is_misuse(self, arguments, desk):
        status, out, err = desk.remediate(*arguments)
        assert (status, out) == (2, "")
        assert len(err.splitlines()) == 2


class TestApply:
    @pytest.fixture
    def spoilt(self, desk, sandbox):
        """A plan with one step that can stop delivery; returns its hash."""
        sandbox.reset(["trail-without-key"])
        return hash_of(desk.remediate()[1])

    def refused(self, desk, sandbox, *arguments):
        status, out, err = desk.remediate("--apply", *arguments)
        assert (status, out) == (2, "")
        assert len(err.splitlines()) == 2
        assert not (desk.folder / "outputs").exists()
        assert planned(sandbox, desk.folder / "evidence").steps
        return err

    @pytest.mark.usefixtures("spoilt")
    def test_another_hash_is_refused(self, desk, sandbox):
        err = self.refused(desk, sandbox, "--plan", "0" * 64, "--change-control", "CC-1", "--yes-to", "encrypt")
        assert "moved since the plan was approved" in err

    def test_without_a_terminal_a_step_that_was_not_confirmed_is_refused(self, desk, sandbox, spoilt):
        err = self.refused(desk, sandbox, "--plan", spoilt, "--change-control", "CC-1")
        assert "--yes-to encrypt" in err

    @pytest.mark.parametrize("answer", [True, False], ids=["yes", "no"])
    def test_on_a_terminal_each_such_step_is_asked_about(self, answer, desk, spoilt, monkeypatch):
        asked, ran = [], []
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(remediate.typer, "confirm", lambda text, **_: asked.append(text) or answer)
        monkeypatch.setattr(remediate, "run_protocol", lambda *given: ran.append(given))
        monkeypatch.setattr(remediate, "tell_each", lambda records, **_: list(records))
        monkeypatch.setattr(sys, "argv", ["trailkit"])
        options = ["remediate", "-f", "p.yaml", "--apply", "--plan", spoilt, "--change-control", "CC-1"]
        status, out, _ = desk(*options)
        assert len(asked) == 1
        assert "can be read with this key alone" in out
        assert (status, len(ran)) == ((0, 1) if answer else (2, 0))
        if answer:
            assert ran[0][1]["remediation"] == {"plan": spoilt, "change_control": "CC-1", "confirmed": ["encrypt"]}

    @pytest.mark.slow
    def test_exactly_the_plan_is_carried_out_and_closed_with_one_record(self, desk, sandbox, spoilt):
        done = subprocess.run(
            [BIN / "trailkit", "remediate", "-f", "p.yaml", "--apply", "--plan", spoilt, "--change-control", "CC-1",
             "--yes-to", "encrypt", "--json"],
            cwd=desk.folder, env=os.environ | sandbox.environment, capture_output=True, text=True, check=False,
            timeout=180,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        (told,) = json.loads(done.stdout)["records"]
        assert told["record_id"].startswith("RM-")
        assert {case["verdict"] for case in told["test_cases"]} == {"PASS"}
        status, out, _ = desk("verify", told["folder"], "--replay")
        assert status == 0, out
        status, out, _ = desk.remediate()
        assert (status, "0 steps" in out) == (0, True)


@pytest.mark.slow
def test_a_plan_is_made_from_an_iq_record_and_names_its_deviations(desk, sandbox):
    sandbox.reset(["rotation-off"])
    _, out, _ = desk("run", "iq", "-f", "p.yaml", "--json")
    (record,) = json.loads(out)["records"]
    status, out, _ = desk("remediate", record["folder"], "--json")
    assert status == 1
    (step,) = json.loads(out)["steps"]
    assert step["deviations"] == ["DEV-01"]
    status, _, err = desk("remediate", record["folder"], "-f", "p.yaml")
    assert (status, "name one of them" in err) == (2, True)


@pytest.mark.parametrize(("faults", "expected"), BY_COMMAND, ids=lambda value: "+".join(value) if value else "")
def test_the_printed_commands_do_what_the_plan_says(faults, expected, sandbox, tmp_path):
    sandbox.reset(faults)
    found = planned(sandbox, tmp_path / "before", **expected)
    lines = "\n".join(["set -e", *(step.command for step in found.steps)])
    environment = os.environ | sandbox.environment
    environment |= {"AWS_ENDPOINT_URL": sandbox.endpoint, "PATH": f"{BIN}:{os.environ['PATH']}", "AWS_PAGER": ""}
    done = subprocess.run(["bash", "-c", lines], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    parameters = parameters_of(sandbox, **expected)
    found = verdicts(judged(collected(parameters, tmp_path / "after"), parameters, "IQ"))
    assert set(found.values()) == {Verdict.PASS}


class TestPolicy:
    def actions(self, policy):
        return {action for statement in policy["Statement"] for action in statement["Action"]}

    def test_it_allows_the_calls_of_plans_and_nothing_else(self, sandbox, tmp_path):
        made = set()
        for number, (fault, expected) in enumerate([(name, EXPECTED.get(name, {})) for name in MENDED]):
            sandbox.reset([fault])
            found = planned(sandbox, tmp_path / str(number), **expected)
            made |= {(step.service, step.operation) for step in found.steps}
        sandbox.reset(["bucket-gone"])
        found = planned(sandbox, tmp_path / "locked", object_lock_mode="GOVERNANCE")
        made |= {(step.service, step.operation) for step in found.steps}
        assert made == set(CHANGES)
        allowed = self.actions(least_privilege_to_change())
        assert allowed == {call.action for call in CHANGES.values()} | set(WITH_CREATE_BUCKET)

    def test_it_holds_nothing_that_takes_away(self):
        for action in self.actions(least_privilege_to_change()):
            assert re.fullmatch(r"(cloudtrail|kms|s3):(Create|Put|Update|Start|Enable|CancelKeyDeletion)\w*", action)

    @pytest.mark.parametrize("protocols", [("IQ",), ("OQ",), ("RM",), ("IQ", "OQ", "RM")])
    def test_no_reading_policy_holds_a_change(self, protocols):
        assert not self.actions(least_privilege(protocols=protocols)) & self.actions(least_privilege_to_change())

    def test_it_is_a_policy_of_its_own(self, desk):
        status, out, _ = desk("policy", "--remediate", "-f", "p.yaml")
        assert status == 0
        statements = [each | {"Principal": "*"} for each in json.loads(out)["Statement"]]
        assert Policy.parse(json.dumps({"Statement": statements}))
        resources = {each["Sid"]: each["Resource"] for each in statements}
        assert resources["ChangeLogBucket"] == f"arn:aws:s3:::{LOG_BUCKET}"
        assert f":{ACCOUNT_ID}:alias/*" in resources["ChangeAliases"][0]
        assert desk("policy", "rm", "--remediate")[0] == 2

    def test_without_names_only_the_qualifications_are_allowed(self, desk):
        assert "kms:ListKeys" not in desk("policy")[1]
        assert "kms:ListKeys" in desk("policy", "rm")[1]
