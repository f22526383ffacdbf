"""The examples for CI: valid by the published schemas, commands that are real, no verdict or record lost on the way."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from kit.cli.main import app

CI = Path(__file__).parent.parent / "docs" / "ci"
GITHUB, GITLAB = CI / "github" / "validate.yml", CI / "gitlab-ci.yml"
SCHEMAS = {
    GITHUB: ["--builtin-schema", "vendor.github-workflows"],
    GITLAB: ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
}
STORED = Path("outputs")


def read(path: Path) -> dict[Any, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def steps() -> list[dict[str, Any]]:
    return list(read(GITHUB)["jobs"]["validate"]["steps"])


def scripts(path: Path) -> list[str]:
    """Return what a job runs in a shell, in order."""
    if path == GITHUB:
        return [step["run"] for step in steps() if "run" in step]
    job = read(GITLAB)["validate"]
    return [*job["before_script"], *job["script"]]


def commands(path: Path) -> list[list[str]]:
    lines = "\n".join(scripts(path)).replace("\\\n", " ").splitlines()
    found = [shlex.split(re.split(r" (?:>|\|\|) ", line)[0]) for line in lines if line.strip().startswith("trailkit ")]
    # between them, what was run may be sent before it is archived
    assert [command[1] for command in found if command[1] != "send"] == ["run", "export", "archive"]
    assert found[-1][1] == "send"
    return found


def checked(path: Path, schema: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", *schema, path]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_an_example_is_valid_and_the_schema_would_see_what_is_not(path, tmp_path):
    done = checked(path, SCHEMAS[path])
    assert done.returncode == 0, done.stdout
    spoilt = tmp_path / path.name
    spoilt.write_text(re.sub(r"\b(runs-on|image):.*", r"\1s: x", path.read_text(encoding="utf-8")), encoding="utf-8")
    assert checked(spoilt, SCHEMAS[path]).returncode == 1


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_every_command_takes_what_it_is_given(path):
    group = typer.main.get_command(app)
    for _, name, *arguments in commands(path):
        with typer.Context(group, info_name="trailkit") as context:
            command = group.get_command(context, name)
            assert command is not None, name
            command.make_context(name, arguments, parent=context)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_a_run_is_told_to_machine_and_reader_and_fails_on_what_is_open(path):
    run = commands(path)[0]
    assert {"--json", "--summary", "--fail-on", "--parameters"} <= set(run)
    assert run[run.index("--fail-on") + 1] == "inconclusive"
    assert "execution.reason=$REASON" in run


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_every_script_parses_and_no_expression_is_pasted_into_one(path):
    for script in scripts(path):
        subprocess.run(["bash", "-n", "-c", script], check=True)
        assert "${{" not in script


def test_actions_are_of_github_and_aws_and_pinned_by_commit():
    used = [step["uses"] for step in steps() if "uses" in step]
    assert len(used) == 4
    for one in used:
        assert re.fullmatch(r"(actions|aws-actions)/[a-z-]+@[0-9a-f]{40}", one), one


def test_no_key_of_aws_is_stored():
    assert read(GITHUB)["permissions"] == {"contents": "read", "id-token": "write"}
    assert "id_tokens" in read(GITLAB)["validate"]
    for path in SCHEMAS:
        assert "SECRET" not in path.read_text(encoding="utf-8").upper()


def test_what_is_open_is_a_warning_of_a_pipeline_and_junit_is_in_its_test_tab():
    job = read(GITLAB)["validate"]
    assert job["allow_failure"] == {"exit_codes": [3]}
    assert job["artifacts"]["reports"]["junit"] == "records/*/junit.xml"
    assert job["artifacts"]["when"] == "always"


@pytest.fixture
def runner(tmp_path: Path) -> Path:
    """A folder with commands that write down how they were called; `trailkit run` leaves what it is told to."""
    for name in ("IQ-1", "OQ-2"):
        (tmp_path / STORED / name).mkdir(parents=True)
        (tmp_path / STORED / name / "junit.xml").touch()
    log = f'echo "$(basename "$0") $*" >> "{tmp_path}/log"\n'
    jq = "import json; print(*(one['folder'] for one in json.load(open('run.json'))['records']), sep='\\n')"
    bodies = {
        "aws": log,
        "jq": f'exec {sys.executable} -c "{jq}"\n',
        "trailkit": f'{log}[ "$1" != run ] || {{ cat "{tmp_path}/answer"; exit "$STATUS"; }}\n',
    }
    (tmp_path / "bin").mkdir()
    for name, body in bodies.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}")
        (tmp_path / "bin" / name).chmod(0o755)
    records = [{"folder": f"outputs/{name}"} for name in ("IQ-1", "OQ-2")]
    (tmp_path / "answer").write_text(json.dumps({"records": records}))
    return tmp_path


def run(folder: Path, script: str, status: int) -> int:
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "STATUS": str(status), "STORE": "s3://store/q",
        "ARCHIVE": "s3://archive/q", "REASON": "scheduled", "GITHUB_STEP_SUMMARY": "summary.md",
    }  # fmt: skip
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_on_gitlab_every_record_is_kept_and_the_status_is_the_verdict(status, runner):
    assert run(runner, "\n".join(read(GITLAB)["validate"]["script"]), status) == status
    hold_kept(runner)


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_on_github_every_record_is_kept_and_the_status_is_the_verdict(status, runner):
    names = [step.get("name") for step in steps()]
    qualify, archive, keep = (steps()[names.index(name)] for name in names if name and name.split()[0] in (
        "Qualify", "Archive", "Keep"))  # fmt: skip
    assert run(runner, qualify["run"], status) == status
    for step in (archive, keep):
        assert step["if"] == "${{ !cancelled() && steps.qualify.outcome != 'skipped' }}"
        assert run(runner, step["run"], status) == 0
    hold_kept(runner)


def hold_kept(folder: Path) -> None:
    """Hold that both records were copied, exported and archived, and that the outputs folder was kept after that."""
    log = (folder / "log").read_text().splitlines()
    for name in ("IQ-1", "OQ-2"):
        assert (folder / "records" / name / "junit.xml").exists()
        assert f"trailkit export outputs/{name} --format ocsf --output records/{name}.ocsf.json" in log
        assert any(line.startswith(f"trailkit archive outputs/{name} s3://archive/q --retain-until 20") for line in log)
    assert log[-1] == "trailkit send outputs s3://store/q"


def test_where_no_record_came_to_be_nothing_is_archived(runner):
    (runner / "answer").write_text(json.dumps({"records": [], "error": {}}))
    script = steps()[[step.get("id") for step in steps()].index("qualify") + 1]["run"]
    (runner / "run.json").write_bytes((runner / "answer").read_bytes())
    # jq prints nothing at all for none
    (runner / "bin" / "jq").write_text("#!/bin/sh\n")
    assert run(runner, script, 2) == 0
    assert not (runner / "log").exists()
