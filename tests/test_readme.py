"""Every command in the README runs, in the order in which it stands there, on an embedded account that has a fault."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from fixtures.identities import APPROVER, EXECUTOR, PASSPHRASE, REVIEWER, person, root, timestamp_service

from kit.sandbox.account import ARCHIVE_BUCKET
from kit.sandbox.server import Sandbox

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"\s*((?:trailkit|make|papermill|jupyter|sha256sum) .*?)(?:\s{2,}#.*)?")
BLOCKS = re.findall(r"^ *```\n(.*?)^ *```$", README, re.DOTALL | re.MULTILINE)
COMMANDS = [match[1] for block in BLOCKS for line in block.splitlines() if (match := COMMAND.fullmatch(line))]
KEYS = {"me.p12": EXECUTOR, "hers.p12": REVIEWER, "his.p12": APPROVER}
STATES_A_VERDICT = ("trailkit run", "trailkit seal", "trailkit remediate")


class Desk:
    """A folder like a working copy, with the account, keys and names that the README leaves to its reader."""

    def __init__(self, folder: Path, sandbox: Sandbox, timestamps: str) -> None:
        self.folder, self.sandbox, self.timestamps = folder, sandbox, timestamps
        self.environment = {**sandbox.environment, "AWS_ENDPOINT_URL_S3": sandbox.endpoint}
        for name in ("notebooks", "parameters"):
            shutil.copytree(ROOT / name, folder / name)
        people = {"executed_by": EXECUTOR, "system_id": "SYS-1", "environment": "sandbox", "protocol_id": "VP-1"}
        parameters = {**sandbox.parameters, "execution": people}
        (folder / "FILE").write_text(yaml.safe_dump(parameters), encoding="utf-8")
        targets = {"defaults": parameters, "targets": [{"name": "production-eu"}]}
        (folder / "TARGETS").write_text(yaml.safe_dump(targets), encoding="utf-8")
        (folder / "roots.pem").write_bytes(root().write_pem(folder / "r.pem").read_bytes())
        for key, name in KEYS.items():
            person(name).write_p12(folder / key)

    def filled(self, command: str) -> list[str]:
        """Return a command as a reader would type it: with a record, a bucket, an address and texts of their own."""

        def latest(match: re.Match[str]) -> str:
            return str(max((self.folder / "outputs").glob(f"{match[1]}-*"), key=lambda one: one.stat().st_ctime_ns))

        command = re.sub(r"outputs/(IQP?|OQP?)-…", latest, command)
        command = command.replace(" …", " 'A text.'").replace(" URL", f" {self.timestamps}").replace("/srv/", "srv/")
        command = command.replace("s3://bucket", f"s3://{ARCHIVE_BUCKET}")
        if command.startswith("trailkit archive"):
            command += f" --endpoint-url {self.sandbox.endpoint}"
        program, *arguments = shlex.split(command)
        return [str(BIN / program) if (BIN / program).exists() else program, *arguments]

    def run(self, command: str) -> "subprocess.CompletedProcess[str]":
        folder = self.folder
        if command.startswith("sha256sum"):
            folder = Path(self.filled("verify outputs/IQ-…")[1])
        given = f"{PASSPHRASE}\n" if "--key " in command else ""
        return subprocess.run(
            self.filled(command), cwd=folder, env=os.environ | self.environment, input=given,
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def serve(self, command: str) -> None:
        """Run a command that serves until Ctrl-C."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        # what was started in the background ignores Ctrl-C, and hands that on
        pipes |= {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
        with subprocess.Popen(self.filled(command), cwd=self.folder, **pipes) as process:
            assert process.stdout.readline().startswith("# The sandbox answers at http://127.0.0.1:")
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with Sandbox(["rotation-off"], {"hours": 6}) as sandbox, timestamp_service(datetime.now(UTC)) as timestamps:
        yield Desk(tmp_path_factory.mktemp("desk"), sandbox, timestamps)


@pytest.mark.slow
def test_every_command_runs_in_its_order(desk):
    for command in COMMANDS:
        if command.startswith("make "):
            continue
        if command.startswith("trailkit sandbox --fault"):
            desk.serve(command)
            continue
        done = desk.run(command)
        allowed = (0, 1) if command.startswith(STATES_A_VERDICT) else (0,)
        assert done.returncode in allowed, (command, done.stdout, done.stderr)


def test_every_target_of_make_is_there():
    named = {command.split()[1] for command in COMMANDS if command.startswith("make ")}
    named |= set(re.findall(r"`make ([a-z]+)`", README))
    assert {"demo", "test", "lab", "bench"} <= named
    for target in named:
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`(trailkit [a-z]+[^`]*)`", README))))
def test_every_command_in_the_text_takes_what_it_is_given(command):
    _, name, *rest = command.split()
    done = subprocess.run([BIN / "trailkit", name, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for option in (part for part in rest if part.startswith("--")):
        assert f"{option} " in done.stdout


def test_every_picture_and_every_heading_that_it_leads_to_is_there():
    targets = re.findall(r"\]\(([^)]+)\)", README)
    headings = {
        "#" + re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    }
    assert targets
    for target in targets:
        assert target in headings if target.startswith("#") else (ROOT / target).is_file(), target
