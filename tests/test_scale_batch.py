"""The example for AWS Batch: a valid template and image, and a script that resumes a round and passes its status on."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from cfnlint.decode import decode_str

from kit.cli.main import app
from kit.rounds import conduct
from kit.rounds.targets import load_targets

ROOT = Path(__file__).resolve().parent.parent
SCALE = ROOT / "docs" / "scale"
TEMPLATE, SCRIPT, IMAGE = (SCALE / name for name in ("batch.yaml", "round.sh", "Dockerfile"))
VARIABLES = {"TARGETS": "/srv/targets.yaml", "OUTPUTS": "/records", "WORKERS": "4"}
NOTHING = ("there is no round to resume", "was opened with another targets file")


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    template, problems = decode_str(TEMPLATE.read_text(encoding="utf-8"))
    assert problems == []
    return dict(template["Resources"])


def lint(path: Path) -> int:
    command = [Path(sys.executable).parent / "cfn-lint", path, "--non-zero-exit-code", "warning"]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_the_template_is_valid_and_the_schema_would_see_what_is_not(tmp_path):
    assert lint(TEMPLATE) == 0
    spoilt = tmp_path / "batch.yaml"
    spoilt.write_text(TEMPLATE.read_text(encoding="utf-8").replace("JobRoleArn:", "JobRoleArm:"), encoding="utf-8")
    assert lint(spoilt) != 0


def test_a_verdict_is_not_tried_again_and_all_else_is(resources):
    retry = resources["Round"]["Properties"]["RetryStrategy"]
    assert [one.get("OnExitCode") for one in retry["EvaluateOnExit"] if one["Action"] == "EXIT"] == ["1", "2", "3"]
    assert retry["EvaluateOnExit"][-1] == {"Action": "RETRY", "OnReason": "*"}
    assert retry["Attempts"] > 1


def test_records_and_register_outlive_the_job(resources):
    container = resources["Round"]["Properties"]["ContainerProperties"]
    (mount,), (volume,) = container["MountPoints"], container["Volumes"]
    told = {one["Name"]: one["Value"] for one in container["Environment"]}
    assert told == VARIABLES
    assert (mount["ContainerPath"], mount["SourceVolume"]) == (told["OUTPUTS"], volume["Name"])
    assert volume["EfsVolumeConfiguration"]["FileSystemId"] == {"Ref": "Records"}
    for kept in ("Records", "RecordsAccess"):
        assert (resources[kept]["DeletionPolicy"], resources[kept]["UpdateReplacePolicy"]) == ("Retain", "Retain")
    vcpus = next(one["Value"] for one in container["ResourceRequirements"] if one["Type"] == "VCPU")
    assert vcpus == told["WORKERS"]


def test_the_job_may_enter_the_roles_of_the_organization_and_read_nothing_itself(resources):
    (policy,) = resources["JobRole"]["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    actions = [
        action
        for one in statements
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    ]
    assert set(actions) == {
        "sts:AssumeRole", "sts:TagSession", "organizations:ListAccounts",
        "elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite",
    }  # fmt: skip
    assert statements[0]["Condition"] == {"StringEquals": {"aws:ResourceOrgID": {"Ref": "OrganizationId"}}}


def test_the_image_has_what_makes_the_pdf_and_installs_what_is_locked():
    text = IMAGE.read_text(encoding="utf-8")
    pango = re.search(r"apt-get install (lib[^\"\n]*)\" >&2", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert pango is not None
    assert set(pango[1].split()) <= set(text.split())
    assert "pip install --no-cache-dir --require-hashes -r" in text
    user, point = re.search(r"USER (\d+):(\d+)", text), re.search(r'Uid: "(\d+)", Gid: "(\d+)"', TEMPLATE.read_text())
    assert user is not None
    assert point is not None
    assert user.groups() == point.groups()
    assert VARIABLES["TARGETS"] in text


@pytest.fixture
def conducted(tmp_path):
    """Runs the script with a command that writes down its arguments, and ends as it is told, resuming or not."""
    lines = (
        "#!/bin/sh",
        f'echo "$*" >> "{tmp_path}/log"',
        'case "$*" in *--resume*) echo "$SAID" >&2; exit "$RESUMED";; esac',
        'exit "$OPENED"',
    )
    body = "\n".join(lines) + "\n"
    (tmp_path / "trailkit").write_text(body)
    (tmp_path / "trailkit").chmod(0o755)

    def run(attempt: int, opened: int = 0, resumed: int = 0, said: str = "") -> tuple[int, list[list[str]]]:
        path = f"{tmp_path}:{os.environ['PATH']}"
        told = {
            "AWS_BATCH_JOB_ID": "j-1",
            "AWS_BATCH_JOB_ATTEMPT": str(attempt),
            "OPENED": str(opened),
            "RESUMED": str(resumed),
            "SAID": said,
        }
        done = subprocess.run(
            [SCRIPT], env={"PATH": path, **VARIABLES, **told}, capture_output=True, text=True, check=False
        )
        assert done.stderr.strip() == (said if attempt > 1 else "")
        return done.returncode, [line.split() for line in (tmp_path / "log").read_text().splitlines()]

    return run


@pytest.mark.parametrize("status", [0, 1, 2, 3])
class TestScript:
    def test_the_first_attempt_opens_a_round_and_ends_with_its_status(self, status, conducted):
        ended, asked = conducted(1, opened=status, resumed=9)
        assert (ended, len(asked)) == (status, 1)
        (told,) = asked
        with typer.Context(typer.main.get_command(app), info_name="trailkit") as context:
            typer.main.get_command(app).get_command(context, "run").make_context("run", told[1:], parent=context)
        assert told[told.index("--fail-on") + 1] == "inconclusive"

    def test_a_later_one_goes_on_with_it_and_opens_no_other(self, status, conducted):
        ended, asked = conducted(2, opened=9, resumed=status, said="something else")
        assert (ended, ["--resume" in one for one in asked]) == (status, [True])

    def test_where_none_was_opened_it_opens_one(self, status, conducted):
        for number, said in enumerate(NOTHING, start=1):
            ended, asked = conducted(2, opened=status, resumed=2, said=said)
            assert (ended, ["--resume" in one for one in asked]) == (status, [True, False] * number)


def test_what_the_script_looks_for_is_what_the_command_says():
    assert NOTHING[0] in SCRIPT.read_text(encoding="utf-8")
    assert NOTHING[1] in SCRIPT.read_text(encoding="utf-8")
    assert NOTHING[0] in Path(conduct.__file__).read_text(encoding="utf-8")


def test_a_round_that_another_job_opened_is_not_gone_on_with(conducted):
    _, asked = conducted(1)
    assert "execution.reason=AWS-Batch-job-j-1" in asked[0]
    one, other = (
        load_targets(ROOT / "parameters" / "targets.example.yaml", [f"execution.reason={job}"]) for job in ("a", "b")
    )
    assert one.sha256 != other.sha256
