"""The life of a record, by the command alone: approved, executed, signed, handled, archived, and verified."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fixtures.identities import APPROVER, EXECUTOR, PASSPHRASE, REVIEWER, person, root

from kit.canonical import sha256_file
from kit.sandbox.account import ARCHIVE_BUCKET
from kit.sandbox.server import Sandbox

TRAILKIT = Path(sys.executable).parent / "trailkit"
PEOPLE = {"executed_by": EXECUTOR, "system_id": "SYS-1", "environment": "sandbox", "protocol_id": "VP-1"}
WHO = {"executor": EXECUTOR, "reviewer": REVIEWER, "approver": APPROVER}

pytestmark = pytest.mark.slow


class Desk:
    """A folder in which QA works: parameters, keys, an outputs folder, and the command."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.outputs = folder / "outputs"
        self.answers: list[dict[str, Any]] = []
        parameters = {**sandbox.parameters, "execution": PEOPLE, "window": {"hours": 3}}
        (folder / "p.yaml").write_text(yaml.safe_dump(parameters), encoding="utf-8")
        (folder / "roots.pem").write_bytes(root().write_pem(folder / "r.pem").read_bytes())
        for role, name in WHO.items():
            person(name).write_p12(folder / f"{role}.p12")

    def call(self, *arguments: object, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [TRAILKIT, *map(str, arguments)], cwd=self.folder, input=given, env=os.environ | self.sandbox.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def sign(self, record: Path, role: str, *more: str) -> subprocess.CompletedProcess[str]:
        stated = ("--role", role, "--meaning", f"I sign as {role}.", "--key", f"{role}.p12")
        return self.call("sign", record, *stated, *more, given=f"{PASSPHRASE}\n")

    def folder_of(self, prefix: str) -> Path:
        (found,) = self.outputs.glob(f"{prefix}-*")
        return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with Sandbox(["rotation-off"], {"hours": 3}) as sandbox:
        yield Desk(tmp_path_factory.mktemp("desk"), sandbox)


@pytest.fixture(scope="module")
def lived(desk: Desk) -> Desk:
    """A protocol approved, both qualifications executed as approved, the IQ (a FAIL) signed, handled and archived."""
    assert desk.call("protocol", "iq", "oq", "-f", "p.yaml").returncode == 0
    for prefix in ("IQP", "OQP"):
        for role in ("reviewer", "approver"):
            done = desk.sign(desk.folder_of(prefix), role, "--trust", "roots.pem")
            assert done.returncode == 0, done.stderr
    approved = [
        part for prefix in ("IQP", "OQP") for part in ("--approved", desk.folder_of(prefix) / "record.signed.pdf")
    ]
    done = desk.call("run", "iq", "oq", "-f", "p.yaml", *approved, "--trust", "roots.pem")
    assert (done.returncode, done.stderr) == (1, "")
    record = desk.folder_of("IQ")
    stated = [part for name in ("cause", "impact", "action", "decision") for part in (f"--{name}", f"The {name}.")]
    for done in (
        desk.sign(record, "executor", "--json"),
        desk.sign(record, "reviewer", "--json"),
        desk.call("deviation", record, "DEV-01", *stated, "--by", REVIEWER, "--json"),
        desk.sign(record, "approver", "--deviation", "DEV-01", "--reason", "Rotation is on now: CC-9.", "--json"),
        desk.call(
            "archive",
            record,
            f"s3://{ARCHIVE_BUCKET}/q",
            "--retain-until",
            "2046-12-31",
            "--endpoint-url",
            desk.sandbox.endpoint,
            "--json",
        ),
    ):
        assert done.returncode == 0, done.stderr
        desk.answers.append(json.loads(done.stdout))
    return desk


def steps_of(done: subprocess.CompletedProcess[str]) -> dict[int, dict[str, Any]]:
    return {step["step"]: step for step in json.loads(done.stdout)["steps"]}


def test_every_step_holds_and_nothing_is_left_to_be_given(lived):
    (receipt,) = (lived.outputs / "receipts").iterdir()
    given = ("--replay", "--trust", "roots.pem", "--receipt", receipt, "--json")
    done = lived.call("verify", lived.folder_of("IQ"), *given)
    assert done.returncode == 0, done.stderr
    assert [step["text"] for step in steps_of(done).values() if not step["held"]] == []


def test_a_machine_is_answered_what_was_signed_stated_and_archived(lived):
    record = lived.folder_of("IQ")
    executor, _, deviation, approver, archived = lived.answers
    assert executor["signed"] == str(record / "record.signed.pdf")
    assert executor["statement"]["name"] == EXECUTOR
    assert approver["statement"]["deviations"] == ["DEV-01"]
    assert deviation["digest"] == sha256_file(Path(deviation["folder"]) / "addendum.json")
    assert archived["receipt"]["retain_until"] == "2047-01-01T00:00:00.000Z"
    assert Path(archived["file"]).is_file()


def test_the_lone_pdf_is_the_whole_record(lived, tmp_path):
    pdf = tmp_path / "from an archive.pdf"
    pdf.write_bytes((lived.folder_of("IQ") / "record.signed.pdf").read_bytes())
    done = lived.call("verify", pdf, "--replay", "--trust", "roots.pem", "--json")
    assert done.returncode == 0, done.stderr
    assert [number for number, step in steps_of(done).items() if not step["held"]] == [2, 4, 5, 10, 12, 13]


def test_an_operational_record_replays_too(lived):
    done = lived.call("verify", lived.folder_of("OQ"), "--replay", "--trust", "roots.pem", "--json")
    assert done.returncode == 0, done.stderr
    assert "9 findings, the same" in steps_of(done)[14]["text"]


def test_the_cover_of_an_operational_record_names_its_period_and_the_record_it_builds_on(lived):
    page = (lived.folder_of("OQ") / "record.html").read_text(encoding="utf-8")
    cover = " ".join(re.sub("<[^>]*>", " ", page[page.index("<header") : page.index("</header>")]).split())
    moment = r"2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    assert re.search(f"Period under review {moment} to {moment}; judged for gaps up to {moment}", cover)
    assert re.search(f"Builds on {lived.folder_of('IQ').name} . FAIL The installation .* did not pass", cover)
    assert f"Approved protocol {lived.folder_of('OQP').name}" in cover


def test_the_record_prints_its_approval_and_its_page_says_who_approved(lived):
    page = (lived.folder_of("IQ") / "record.html").read_text(encoding="utf-8")
    assert lived.folder_of("IQP").name in page
    assert f"approver: {APPROVER}" in page
    assert "executed without an approved protocol" not in page


def test_the_register_lists_all_that_happened(lived):
    done = lived.call("register", "--json")
    told = {row["record_id"]: row for row in json.loads(done.stdout)}
    iq = told[lived.folder_of("IQ").name]
    assert (iq["state"], iq["verdict"], iq["attempt"]) == ("finished", "FAIL", 1)
    assert iq["later"] == ["signed executor", "signed reviewer", "deviation DEV-01", "signed approver", "archived"]
    assert told[lived.folder_of("IQP").name]["state"] == "issued"
    assert lived.call("verify", "--register", "outputs/register.jsonl").returncode == 0
    assert "FAIL" in lived.call("register").stdout


def test_the_index_is_made_anew_by_whatever_happens_to_a_record(lived):
    page = (lived.outputs / "index.html").read_text(encoding="utf-8")
    head = json.loads((lived.outputs / "register.jsonl").read_bytes().splitlines()[-1])
    assert f"entry {head['number']}, SHA-256" in page
    for prefix in ("IQP", "IQ", "OQ"):
        assert lived.folder_of(prefix).name in page


def test_a_signed_record_can_not_be_signed_again_in_a_role(lived):
    done = lived.sign(lived.folder_of("IQ"), "reviewer")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"the reviewer has signed already: {REVIEWER}")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("iq", "--set", "expected.tls_only=true"), "approves other parameters: expected.tls_only"),
        (("oq",), "no approval of OQ was given"),
    ],
    ids=["another parameter", "another protocol"],
)
def test_what_was_not_approved_does_not_run(lived, arguments, told):
    before = (lived.outputs / "register.jsonl").read_bytes()
    approved = lived.folder_of("IQP") / "record.signed.pdf"
    done = lived.call("run", *arguments, "-f", "p.yaml", "--approved", approved)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert (lived.outputs / "register.jsonl").read_bytes() == before


def test_a_protocol_that_only_a_reviewer_signed_is_no_approval(lived, tmp_path):
    other = tmp_path / "outputs"
    assert lived.call("protocol", "iq", "-f", "p.yaml", "--output", other).returncode == 0
    (issued,) = other.glob("IQP-*")
    assert lived.sign(issued, "reviewer").returncode == 0
    done = lived.call("run", "iq", "-f", "p.yaml", "--approved", issued / "record.signed.pdf", "--output", other)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not approved: no approver has signed it" in done.stderr


def test_rendering_again_gives_the_same_bytes(lived):
    record = lived.folder_of("OQ")
    before = {path.name: path.read_bytes() for path in record.iterdir() if path.is_file()}
    done = lived.call("render", record)
    assert done.stdout.splitlines() == ["record.html comes out the same.", "record.pdf comes out the same."]
    assert {path.name: path.read_bytes() for path in record.iterdir() if path.is_file()} == before
    assert lived.call("verify", record).returncode == 0
