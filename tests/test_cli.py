"""The command, as a CI engineer meets it: statuses, two-line errors, nothing left behind, no noise."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from fixtures.runs import copied, executed_once, make_record, processes_marked, run_id

from kit import __version__
from kit.canonical import sha256_file
from kit.cli import app, main, qualify
from kit.findings import Verdict
from kit.parameters import RunParameters
from kit.record import job_summary
from kit.record.history import target_of
from kit.record.manifest import RUNS, SIGNED
from kit.record.register import REGISTER, locked_register
from kit.record.verification.verify import verify
from kit.sandbox.server import Sandbox

BIN = Path(sys.executable).parent
TRAILKIT = BIN / "trailkit"
NAME = "Zoë Ōyama"
ARCHIVE_KEY = "arn:aws:kms:eu-west-1:210987654321:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PEOPLE = {"executed_by": NAME, "system_id": "SYS-1", "environment": "sandbox", "protocol_id": "VP-1"}
FILES = {"record.ipynb", "record.html", "record.pdf", "findings.json", "junit.xml", "manifest.json", "SHA256SUMS"}
PARTS = {*FILES, "evidence"}
JUPYTER = ("papermill", "nbclient", "nbconvert", "nbformat", "IPython", "matplotlib", "weasyprint", "jinja2")
HEAVY = ("boto3", "botocore", "moto", *JUPYTER)


def shell(*arguments: Any, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a process of its own, its output as what it is in UTF-8."""
    return subprocess.run(
        list(map(str, arguments)),
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def write_parameters(path: Path, parameters: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(parameters, allow_unicode=True), encoding="utf-8")
    return path


class TestAtOnce:
    def test_help_names_every_command(self, call):
        status, out, err = call("--help")
        assert (status, err) == (0, "")
        for name in ("demo", "run", "seal", "verify", "sandbox", "policy"):
            assert f"\n  {name} " in out
        assert not set("╭│╰") & set(out)

    @pytest.mark.parametrize(
        ("arguments", "heavy"),
        [(["--help"], (*HEAVY, "pydantic", "yaml")), (["verify", "record"], HEAVY)],
        ids=["--help", "verify"],
    )
    def test_what_answers_at_once_loads_nothing_heavy(self, arguments, heavy, tmp_path):
        make_record(tmp_path / "record", {"evidence/index.jsonl": b"{}"})
        code = (
            f"import sys; sys.argv = ['trailkit', *{arguments!r}]\nfrom kit.cli.main import main\n"
            "try: main()\n"
            f"except SystemExit: print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
        )
        done = shell(sys.executable, "-c", code, cwd=tmp_path)
        assert done.stderr.strip() == "[]"
        assert "Usage: trailkit" in done.stdout or "The record holds" in done.stdout

    def test_version(self, call):
        assert call("--version") == (0, f"trailkit {__version__}\n", "")

    def test_without_a_command_it_shows_its_help(self, call):
        status, out, err = call()
        assert status == 2
        assert "Usage: trailkit" in out + err


def records_in(outputs: Path) -> list[Path]:
    return [found for found in outputs.iterdir() if found.is_dir() and found.name != RUNS]


class TestMisuse:
    @pytest.mark.parametrize(
        "arguments", [["nonsense"], ["run"], ["sign", "x"], ["demo", "--nonsense"], ["seal"]], ids=" ".join
    )
    def test_of_the_command_line_is_told_in_plain_text(self, arguments, call):
        status, out, err = call(*arguments)
        assert (status, out) == (2, "")
        assert "\nError: " in err
        assert not set("╭│╰") & set(err)
        assert "Traceback" not in err

    @pytest.mark.parametrize(
        ("parameters", "settings", "told"),
        [
            ({"targt": "sandbox"}, [], "targt: unknown"),
            ({"expected": {"key_alais": "alias/x"}}, [], "expected.key_alais: unknown"),
            ({"window": {"hours": "many"}}, [], "window.hours: expected whole hours"),
            ({"execution": {"password": "hunter2"}}, [], "execution.password: looks like a secret"),
            ({"execution": {"executed_by": "AKIAIOSFODNN7EXAMPLE"}}, [], "execution.executed_by: looks like a secret"),
            ({"target": {"account_id": "123456789012", "endpoint_url": "no"}}, [], "target.endpoint_url: "),
            ({}, ["expected.retention_days=soon"], "expected.retention_days: expected whole days"),
            ({}, ["expected"], "setting 1 is not of the form key.path=value"),
            ({}, ["window.hours=["], "setting 1: not valid YAML"),
        ],
        ids=[
            "unknown",
            "unknown within",
            "type",
            "secret",
            "key id",
            "no URL",
            "--set type",
            "--set form",
            "--set YAML",
        ],
    )
    def test_of_parameters_is_told_in_two_lines_and_writes_nothing(self, parameters, settings, told, call, tmp_path):
        environment = {"execution": {"environment": "sandbox"}} if "account_id" in str(parameters) else {}
        path = write_parameters(tmp_path / "p.yaml", {"target": "sandbox"} | environment | parameters)
        status, out, err = call("run", "iq", "--parameters", path, *(f"--set={setting}" for setting in settings))
        assert (status, out) == (2, "")
        lines = err.splitlines()
        assert lines[0].startswith(told)
        assert "AKIA" not in err
        assert "hunter2" not in err
        assert len(lines) >= 2
        assert [found.name for found in tmp_path.iterdir()] == ["p.yaml"]

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["run", "iq"], "no parameters file was named"),
            (["run", "xq", "-f", "p.yaml"], "there is no protocol 'xq'"),
            (["run", "iq", "-f", "nowhere.yaml"], "nowhere.yaml: can't be read: No such file or directory"),
            (["run", "iq", "-f", "."], ".: can't be read: Is a directory"),
            (["run", "iq", "-f", "p.yaml", "--output", "p.yaml"], "the outputs folder "),
            (["demo", "--output", "p.yaml"], "the outputs folder "),
            (["seal", "nowhere.ipynb"], "nowhere.ipynb can't be read: No such file or directory"),
            (["seal", "p.yaml"], "p.yaml is no notebook: "),
            (["verify"], "nothing was named to verify"),
            (["verify", "nowhere"], "nowhere is not there"),
            (["verify", "p.yaml"], "p.yaml is neither a folder nor a PDF"),
            (["verify", "--register", "nowhere"], "nowhere can't be read: No such file or directory"),
            (["register"], "outputs/register.jsonl can't be read: No such file or directory"),
            (["protocol", "iq"], "no parameters file was named"),
            (["sign", "p.yaml", "--role", "boss", "--meaning", "x", "--key", "k"], "there is no role 'boss'"),
            (["sign", "p.yaml", "--role", "reviewer", "--meaning", "x"], "one key is needed to sign"),
            (["sign", "p.yaml", "--role", "reviewer", "--meaning", "x", "--key", "k.p12"], "p.yaml is no folder"),
            (["sign", ".", "--role", "reviewer", "--meaning", "x", "--key", "k.p12"], "k.p12 is no file"),
            (["archive", "p.yaml", "s3://b/p", "--retain-until", "soon"], "'soon' is no date"),
            (["run", "iq", "-f", "p.yaml", "--approved", "nowhere.pdf"], "nowhere.pdf is no file"),
            (["run", "iq", "-f", "p.yaml", "--approved", "p.yaml"], "p.yaml is no approval to rely on"),
            (["policy", "-f", "nowhere.yaml"], "nowhere.yaml: can't be read"),
            (["sandbox", "--fault", "nonsense"], "there is no fault named 'nonsense'"),
            (["sandbox", "--fault", "rotation-of"], "there is no fault named 'rotation-of'"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_of_a_command_is_told_in_two_lines(self, arguments, told, call, tmp_path):
        write_parameters(tmp_path / "p.yaml", {"target": "sandbox"})
        status, out, err = call(*arguments)
        assert (status, out) == (2, "")
        assert err.startswith(told)
        assert len(err.splitlines()) == 2
        assert [found.name for found in tmp_path.iterdir()] == ["p.yaml"]

    def test_a_defect_of_ours_never_reads_as_a_fail(self, call, monkeypatch):
        monkeypatch.setattr("kit.record.verification.verify.verify", lambda *_: 1 / 0)
        status, _, err = call("verify", ".")
        assert status == 3
        assert "ZeroDivisionError" in err

    @pytest.mark.parametrize("place", ["invoke", "make_context"])
    def test_an_interruption_is_neither_a_pass_nor_a_fail(self, place, call, monkeypatch):
        monkeypatch.setattr(app._Commands, place, main._interrupt)
        assert call("verify", ".") == (3, "", "interrupted\nrun it again; nothing half is left\n")

    @pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
    def test_a_name_that_the_terminal_cannot_print_is_printed_all_the_same(self, encoding, tmp_path):
        environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": encoding}
        done = subprocess.run(
            [TRAILKIT, "verify", f"{NAME} \ud800".encode("utf-8", "surrogatepass")],
            cwd=tmp_path, env=os.environ | environment, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert b"is not there\n" in done.stderr
        assert b"Traceback" not in done.stderr


class TestPolicy:
    def test_it_prints_a_policy(self, call):
        status, out, err = call("policy")
        assert (status, err) == (0, "")
        assert json.loads(out)["Version"] == "2012-10-17"

    def test_it_is_narrowed_to_the_parameters(self, call, tmp_path):
        trail = "arn:aws-us-gov:cloudtrail:us-gov-west-1:123456789012:trail/gxp-trail"
        target = {"account_id": "123456789012", "endpoint_url": "http://127.0.0.1:1"}
        given = {"target": target, "expected": {"trail_arn": trail, "log_bucket": "my-bucket"}, "execution": PEOPLE}
        status, out, _ = call("policy", "-f", write_parameters(tmp_path / "p.yaml", given))
        assert status == 0
        resources = {statement["Sid"]: statement["Resource"] for statement in json.loads(out)["Statement"]}
        assert resources["ReadLogBucket"] == "arn:aws-us-gov:s3:::my-bucket"
        assert ":123456789012:" in resources["ReadKeys"]

    def test_it_is_that_of_the_protocols_that_are_named(self, call):
        allowed = {name: call("policy", *name)[1] for name in [("iq",), ("oq",), ()]}
        assert 's3:GetObject"' not in allowed["iq",]
        assert allowed["oq",] == allowed[()]
        assert 's3:GetObject"' in allowed["oq",]

    def test_it_is_that_of_the_protocols_for_an_account_too(self, call, tmp_path):
        given = {"target": {"account_id": "123456789012"}, "execution": PEOPLE | {"environment": "qualification"}}
        _, out, _ = call("policy", "oq", "-f", write_parameters(tmp_path / "p.yaml", given))
        assert 's3:GetObject"' in out

    def archived(self, outputs, **changed):
        """Register a record of the account and its archive, and return the parameters of a review of it."""
        given = {
            "target": {"account_id": "123456789012"},
            "expected": {
                "trail_arn": "arn:aws:cloudtrail:eu-west-1:123456789012:trail/gxp-trail",
                "log_bucket": "logs",
            },
            "execution": PEOPLE | {"environment": "qualification"},
        }
        target = target_of("IQ", RunParameters.load(given)) | changed
        receipt = {"destination": "s3://archive/gxp/records/IQ-1/", "kms_key": ARCHIVE_KEY}
        with locked_register(outputs) as register:
            register.append("started", "IQ-1", {"target": target})
            register.append("archived", "IQ-1", receipt | {"destination": "s3://elsewhere/IQ-1/"})
            register.append("archived", "IQ-1", receipt)
        return given

    def test_for_a_review_it_names_the_archives_that_the_register_has(self, call, tmp_path):
        given = self.archived(tmp_path / "o")
        file = write_parameters(tmp_path / "p.yaml", given)
        allowed = json.loads(call("policy", "pq", "-f", file, "--output", tmp_path / "o")[1])["Statement"]
        told = {one["Sid"]: (one["Action"], one["Resource"]) for one in allowed}
        assert told["ReadArchives"] == (["s3:GetObjectVersion"], ["arn:aws:s3:::archive/gxp/records/*"])
        assert told["DecryptArchives"] == (["kms:Decrypt"], [ARCHIVE_KEY])
        assert "Archives" not in call("policy", "pq", "-f", file, "--output", tmp_path / "none")[1]
        assert "Archives" not in call("policy", "iq", "oq", "-f", file, "--output", tmp_path / "o")[1]
        given["expected"]["review"] = {"archived_restored": False}
        file = write_parameters(tmp_path / "p.yaml", given)
        assert "Archives" not in call("policy", "pq", "-f", file, "--output", tmp_path / "o")[1]

    def test_for_a_review_it_names_no_archive_of_another_target(self, call, tmp_path):
        given = self.archived(tmp_path / "o", account_id="210987654321")
        file = write_parameters(tmp_path / "p.yaml", given)
        assert "Archives" not in call("policy", "pq", "-f", file, "--output", tmp_path / "o")[1]

    def test_a_register_that_was_cut_names_no_archive(self, call, tmp_path):
        given = self.archived(tmp_path / "o")
        register = tmp_path / "o" / "register.jsonl"
        register.write_bytes(b"".join(register.read_bytes().splitlines(keepends=True)[1:]))
        file = write_parameters(tmp_path / "p.yaml", given)
        status, out, err = call("policy", "pq", "-f", file, "--output", tmp_path / "o")
        assert (status, out) == (1, "")
        assert "register.jsonl" in err

    def test_a_protocol_that_asks_no_account_needs_none(self, call):
        assert call("policy", "tq")[::2] == (2, "TQ asks no account, and needs no permission\nname iq or oq\n")

    def test_without_a_trail_every_bucket_may_be_that_of_one(self, call, tmp_path):
        given = {"expected": {"log_bucket": "my-bucket"}}
        _, out, _ = call("policy", "-f", write_parameters(tmp_path / "p.yaml", {"target": "sandbox"} | given))
        assert "my-bucket" not in out


class TestVerify:
    def test_a_whole_record(self, call, tmp_path):
        make_record(tmp_path / "record", {"evidence/index.jsonl": b"{}"})
        status, out, err = call("verify", "record")
        assert (status, err) == (0, "")
        assert [line.split()[0] for line in out.splitlines()[:-1]] == [f"{number}." for number in range(1, 15)]
        assert " 8. not given  signatures: the record is unsigned" in out
        assert "what was not given is not shown" in out.splitlines()[-1]

    def test_as_json_it_tells_what_held_and_what_was_not_given(self, call, tmp_path):
        make_record(tmp_path / "record", {"evidence/index.jsonl": b"{}"})
        status, out, err = call("verify", "record", "--json")
        told = json.loads(out)
        assert (status, err, told["holds"], told["rejection"]) == (0, "", True, None)
        assert [step["step"] for step in told["steps"] if step["held"]] == [1, 2, 3, 4, 5, 6]

    def test_as_json_a_rejection_is_told_after_what_held(self, call, tmp_path):
        make_record(tmp_path / "record", {"evidence/index.jsonl": b"{}"})
        (tmp_path / "record" / "evidence" / "index.jsonl").write_bytes(b"[]")
        status, out, _ = call("verify", "record", "--json")
        told = json.loads(out)
        assert (status, told["holds"], [step["step"] for step in told["steps"]]) == (1, False, [1, 2])
        assert told["rejection"]["message"].startswith("evidence/index.jsonl was changed")

    def test_a_rejected_one_is_a_fail_and_names_the_file(self, call, tmp_path):
        make_record(tmp_path / "record", {"evidence/index.jsonl": b"{}"})
        (tmp_path / "record" / "evidence" / "index.jsonl").write_bytes(b"[]")
        status, out, err = call("verify", "record")
        assert status == 1
        assert err.startswith("evidence/index.jsonl was changed")
        assert len(err.splitlines()) == 2
        assert "whole" not in out

    def test_whoever_stops_reading_is_answered_with_neither_a_verdict_nor_a_traceback(self, tmp_path):
        make_record(tmp_path / "record", {"evidence/index.jsonl": b"{}"})
        reading, writing = os.pipe()
        os.close(reading)
        command = [TRAILKIT, "verify", "record"]
        done = subprocess.run(command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, check=False)
        os.close(writing)
        assert (done.returncode, done.stderr) == (3, b"")


class TestSeal:
    def test_it_tells_the_verdict_the_record_and_its_digest(self, call, tmp_path, monkeypatch):
        outputs = copied(executed_once("rotation-off"), tmp_path)
        name = run_id(outputs)
        monkeypatch.setattr("kit.render.record.render_pdf", lambda *_: b"%PDF")
        status, out, err = call("seal", "outputs/x.ipynb")
        assert (status, err) == (1, "")
        lines = out.splitlines()
        assert lines[0] == f"FAIL  {name}"
        assert lines[1:4] == [
            f"  record  outputs/{name}",
            f"  html    outputs/{name}/record.html",
            f"  pdf     outputs/{name}/record.pdf",
        ]
        assert lines[4] == f"  digest  {sha256_file(outputs / name / 'manifest.json')}"
        assert name in (outputs / "index.html").read_text(encoding="utf-8")
        told = {line.split()[0]: line for line in lines[6:] if line.startswith("IQ-")}
        assert list(told) == [f"IQ-{number:02}" for number in range(1, 12)]
        assert re.match("IQ-06 +FAIL +Automatic rotation of the key arn:aws:kms:.* is off", told["IQ-06"])
        assert {line.split()[1] for case, line in told.items() if case != "IQ-06"} == {"PASS"}

    def test_as_json_it_tells_the_same(self, call, tmp_path, monkeypatch):
        outputs = copied(executed_once("rotation-off"), tmp_path)
        monkeypatch.setattr("kit.render.record.render_pdf", lambda *_: b"%PDF")
        status, out, err = call("seal", "outputs/x.ipynb", "--json")
        assert (status, err) == (1, "")
        told = json.loads(out)
        (record,) = told["records"]
        folder = Path(record["folder"])
        assert (told["verdict"], record["verdict"], record["record_id"]) == ("FAIL", "FAIL", folder.name)
        assert record["digest"] == sha256_file(outputs / folder.name / "manifest.json")
        assert record["files"] == {"html": str(folder / "record.html"), "pdf": str(folder / "record.pdf")}
        failed = [case for case in record["test_cases"] if case["verdict"] != "PASS"]
        assert [case["test_case"] for case in failed] == ["IQ-06"]
        assert "Automatic rotation" in failed[0]["finding"]

    def test_as_json_an_error_is_part_of_the_answer(self, call):
        status, out, err = call("seal", "none.ipynb", "--json")
        told = json.loads(out)
        assert (status, told["verdict"], told["records"]) == (2, None, [])
        assert err.splitlines() == [told["error"]["message"], told["error"]["remedy"]]

    @pytest.mark.parametrize(
        ("faults", "verdict", "expected"),
        [((), "PASS", 0), (("deny-get-key-policy",), "INCONCLUSIVE", 3)],
        ids=["pass", "denied"],
    )
    def test_its_status_is_the_verdict(self, faults, verdict, expected, call, tmp_path, monkeypatch):
        copied(executed_once(*faults), tmp_path)
        monkeypatch.setattr("kit.render.record.render_pdf", lambda *_: b"%PDF")
        status, out, err = call("seal", "outputs/x.ipynb")
        assert (status, err) == (expected, "")
        assert out.startswith(f"{verdict}  IQ-")

    @pytest.mark.parametrize(
        ("verdict", "statuses"),
        [
            ("PASS", {"fail": 0, "inconclusive": 0, "never": 0}),
            ("FAIL", {"fail": 1, "inconclusive": 1, "never": 0}),
            ("INCONCLUSIVE", {"fail": 0, "inconclusive": 3, "never": 0}),
            ("NOT_APPLICABLE", {"fail": 0, "inconclusive": 3, "never": 0}),
        ],
    )
    def test_fail_on_says_which_verdict_ends_with_0_and_tells_that_it_is_no_pass(self, verdict, statuses, capsys):
        for choice, expected in statuses.items():
            with pytest.raises(typer.Exit) as ended:
                app.finish(Verdict(verdict), app.FailOn(choice))
            assert ended.value.exit_code == expected
            told = f"{verdict} is no PASS; the status is 0 only because of --fail-on {choice}\n"
            assert capsys.readouterr() == ("", told if verdict != "PASS" and expected == 0 else "")

    @pytest.mark.parametrize(("faults", "choice"), [("deny-get-key-policy", "fail"), ("rotation-off", "never")])
    def test_a_record_that_did_not_pass_can_end_with_0(self, faults, choice, call, tmp_path, monkeypatch):
        copied(executed_once(faults), tmp_path)
        monkeypatch.setattr("kit.render.record.render_pdf", lambda *_: b"%PDF")
        status, out, err = call("seal", "outputs/x.ipynb", "--fail-on", choice)
        assert status == 0
        assert out.startswith("INCONCLUSIVE  IQ-" if choice == "fail" else "FAIL  IQ-")
        assert "is no PASS" in err

    @pytest.mark.parametrize("choice", ["fail", "never"])
    def test_fail_on_forgives_no_misuse_and_no_run_that_did_not_complete(self, choice, call, tmp_path, monkeypatch):
        assert call("seal", "none.ipynb", "--fail-on", choice)[0] == 2
        assert call("run", "iq", "--fail-on", choice)[0] == 2
        outputs = copied(executed_once(leave_out=("conclude",)), tmp_path)
        status, out, err = call("seal", outputs / "x.ipynb", "--fail-on", choice)
        assert (status, out) == (3, "")
        assert "never came to its conclusion" in err
        monkeypatch.setattr("kit.qualify.execute", lambda *_: main._interrupt())
        assert call("demo", "--fail-on", choice) == (3, "", "interrupted\nrun it again; nothing half is left\n")

    def test_fail_on_knows_three_words(self, call):
        status, _, err = call("demo", "--fail-on", "inconclusve")
        assert status == 2
        assert "'fail', 'inconclusive', 'never'" in err

    def test_a_summary_has_each_record_and_what_came_to_none(self, call, tmp_path, monkeypatch):
        outputs = copied(executed_once("rotation-off"), tmp_path)
        monkeypatch.setattr("kit.render.record.render_pdf", lambda *_: b"%PDF")
        (tmp_path / "summary.md").write_text("# The job\n")
        assert call("seal", "outputs/x.ipynb", "--summary", "summary.md")[::2] == (1, "")
        text = (tmp_path / "summary.md").read_text(encoding="utf-8")
        (record,) = outputs.glob("IQ-*")
        assert text.startswith(f"# The job\n## FAIL: {job_summary.escaped('Installation')}")
        assert f"`{record.name}`" in text
        assert call("seal", "none.ipynb", "--summary", "summary.md")[0] == 2
        added = (tmp_path / "summary.md").read_text(encoding="utf-8").removeprefix(text)
        assert added.startswith("## Not completed\n\nnone\\.ipynb can\\'t be read")

    def test_a_summary_that_cannot_be_written_is_told_before_anything_is_executed(self, call, monkeypatch):
        monkeypatch.setattr("kit.qualify.execute", lambda *_: 1 / 0)
        told = "the summary nowhere/s.md can't be written: No such file or directory\nname another file (--summary)\n"
        assert call("demo", "--summary", "nowhere/s.md") == (2, "", told)

    def test_a_summary_that_is_lost_on_the_way_takes_no_verdict_with_it(self, call, tmp_path, monkeypatch):
        copied(executed_once(), tmp_path)
        monkeypatch.setattr("kit.render.record.render_pdf", lambda *_: b"%PDF")
        append, asked = job_summary.append, []

        def append_once(path: Path, text: str) -> None:
            append(path if not asked else tmp_path / "nowhere" / "s.md", text)
            asked.append(path)

        monkeypatch.setattr("kit.record.job_summary.append", append_once)
        status, out, err = call("seal", "outputs/x.ipynb", "--summary", "s.md")
        assert (status, len(err.splitlines())) == (0, 2)
        assert out.startswith("PASS  IQ-")

    def test_a_path_that_the_terminal_cannot_print_is_printed_all_the_same(self, call, tmp_path, monkeypatch):
        outputs = copied(executed_once(), tmp_path)
        monkeypatch.setattr("kit.render.record.render_pdf", lambda *_: b"%PDF")
        printed = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding="latin-1", write_through=True))
        status, _, err = call("seal", outputs / "x.ipynb", "--output", NAME)
        assert (status, err) == (0, "")
        assert b"  record  Zo\xeb \\u014cyama/IQ-" in printed.getvalue()

    def test_interrupted_while_sealing_it_says_how_to_go_on(self, call, tmp_path, monkeypatch):
        executed = tmp_path / "out" / "x y.ipynb"
        monkeypatch.setattr("kit.qualify.execute", lambda *_: executed)
        monkeypatch.setattr("kit.qualify.seal_executed", lambda *_, **__: main._interrupt())
        status, out, err = call("demo", "--output", "out")
        assert (status, out) == (3, "")
        assert err == (
            f"interrupted while sealing\nthe run is kept; seal it with `trailkit seal '{executed}' --output out`\n"
        )

    @pytest.mark.slow
    def test_without_pango_the_record_is_made_with_one_clear_warning(self, tmp_path):
        outputs = copied(executed_once(), tmp_path)
        package = tmp_path / "without" / "weasyprint"
        package.mkdir(parents=True)
        banner = "print('-----\\nWeasyPrint could not import some external libraries.')"
        (package / "__init__.py").write_text(f"{banner}\nraise OSError('cannot load library libpango-1.0-0')\n")
        path = f"{package.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        done = shell(TRAILKIT, "seal", "outputs/x.ipynb", cwd=tmp_path, PYTHONPATH=path)
        assert done.returncode == 0
        told, remedy = done.stderr.splitlines()
        assert "Pango" in told
        assert remedy.startswith("apt-get install libpango-1.0-0")
        assert done.stdout.startswith("PASS  IQ-")
        assert "WeasyPrint" not in done.stdout
        (record,) = outputs.glob("IQ-*")
        assert not (record / "record.pdf").exists()
        assert list(verify(record))


class TestSandbox:
    def test_as_json_its_faults_are_the_same(self, call):
        status, out, err = call("sandbox", "--list-faults", "--json")
        assert (status, err) == (0, "")
        for one, line in zip(json.loads(out), call("sandbox", "--list-faults")[1].splitlines(), strict=True):
            assert line.split()[0] == one["name"]
            assert line.endswith(one["description"])
            assert all(case in line for case in one["changes"])

    def test_it_lists_its_faults_one_a_line_with_their_test_cases(self, call):
        status, out, err = call("sandbox", "--list-faults")
        assert (status, err) == (0, "")
        lines = out.splitlines()
        assert len(lines) > 40
        (line,) = [line for line in lines if line.startswith("rotation-off ")]
        assert line.split()[1:3] == ["IQ-06,", "PQ-04"]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
    def test_it_serves_until_it_is_stopped_and_leaves_no_process(self, number, tmp_path):
        mark = f"mark-{uuid.uuid4()}"
        process = subprocess.Popen(
            [TRAILKIT, "sandbox", "--fault", "rotation-off"],
            env=os.environ | {"TRAILKIT_TEST_MARK": mark}, cwd=tmp_path, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )  # fmt: skip
        try:
            assert process.stdout is not None
            lines = []
            while not lines or lines[-1].strip():
                lines.append(process.stdout.readline())
            parameters = yaml.safe_load("".join(lines))
            assert parameters["target"]["endpoint_url"] in lines[0]
            assert len(processes_marked(mark)) == 2
            os.killpg(process.pid, number)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
        assert (process.returncode, err) == (0, "")
        assert out == "# The sandbox has stopped.\n"
        await_end(mark)

    def test_a_sandbox_that_ends_by_itself_is_told(self, call, monkeypatch):
        monkeypatch.setattr(Sandbox, "running", False)
        status, out, err = call("sandbox")
        assert status == 2
        assert yaml.safe_load(out)["target"]
        assert err == "the sandbox ended by itself\nstart it again\n"


def await_end(mark: str) -> None:
    deadline = time.monotonic() + 15
    while left := processes_marked(mark):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.1)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestTable:
    """What is printed of a run, on a terminal and elsewhere."""

    ROWS = (
        ("IQ-01", "PASS", "The clock agrees."),
        ("IQ-06", "FAIL", "The key " + "arn:" * 30 + " does not\x1b rotate."),
    )

    def printed(self, stream, monkeypatch, **environment):
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in ({"TERM": "xterm-256color"} | environment).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stdout", stream)
        columns = {"test case": True, "verdict": True, "finding": False}
        app.print_table(columns, self.ROWS, {"PASS": "green", "FAIL": "red"})
        return stream.getvalue()

    def test_a_narrow_terminal_loses_nothing(self, monkeypatch):
        lines = self.printed(Terminal(), monkeypatch, COLUMNS="40", NO_COLOR="1").splitlines()
        assert max(map(len, lines)) <= 40
        assert "arn:" * 30 in "".join(line[20:].strip() for line in lines).replace(" ", "")
        assert [line.split()[:2] for line in lines if line.startswith("IQ-")] == [["IQ-01", "PASS"], ["IQ-06", "FAIL"]]

    def test_colour_is_for_terminals_that_want_it(self, monkeypatch):
        coloured = self.printed(Terminal(), monkeypatch, COLUMNS="80")
        assert "\x1b[31mFAIL" in coloured
        assert "\x1b[3" not in self.printed(Terminal(), monkeypatch, COLUMNS="80", NO_COLOR="1")
        assert "\x1b" not in self.printed(io.StringIO(), monkeypatch)

    def test_elsewhere_a_row_has_room_and_a_name_cannot_act(self, monkeypatch):
        lines = self.printed(io.StringIO(), monkeypatch, COLUMNS="20").splitlines()
        assert len(lines) == 3
        assert "does not⟨U+001B⟩ rotate." in lines[2]


class TestProgress:
    @pytest.mark.parametrize("name", ["FORCE_COLOR", "TTY_COMPATIBLE", "CI"])
    def test_on_no_terminal_it_is_silent(self, name, capfd, monkeypatch):
        monkeypatch.setenv(name, "1")
        with qualify.progress_bar("IQ") as progress:
            progress("Regions", 1, 2)
            progress("Regions", 2, 2)
            progress("Test cases", 1, 11)
        assert capfd.readouterr() == ("", "")


def run_against(folder: Path, *faults: str, settings: tuple[str, ...] = (), **environment: str) -> Any:
    """Run the IQ, as a process, on an account with these faults."""
    with Sandbox(faults) as sandbox:
        path = write_parameters(folder / "p.yaml", sandbox.parameters)
        arguments = ["run", "iq", "-f", path, *(f"--set={setting}" for setting in settings)]
        return shell(TRAILKIT, *arguments, cwd=folder, **sandbox.environment | environment)


@pytest.mark.slow
class TestRun:
    """The whole chain: notebook, kernel, embedded account, rendering and record."""

    def test_two_demonstrations_at_once_pass_without_a_word_too_many(self, tmp_path):
        mark = f"mark-{uuid.uuid4()}"
        options = {"cwd": tmp_path, "env": os.environ | {"TRAILKIT_TEST_MARK": mark}, "text": True}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes = [subprocess.Popen([TRAILKIT, "demo"], **options, **pipes) for _ in range(2)]
        told = [process.communicate(timeout=240) for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        for out, err in told:
            assert err == ""
            named = ["PASS", "record", "html", "pdf", "signed", "digest"]
            assert [line.split()[0] for line in out.splitlines() if re.match("PASS|  [a-z]", line)] == named * 2
        assert processes_marked(mark) == []
        assert [found.name for found in tmp_path.iterdir()] == ["outputs"]
        page = (tmp_path / "outputs" / "index.html").read_text(encoding="utf-8")
        records = [found for found in (tmp_path / "outputs").iterdir() if found.is_dir()]
        assert sorted(record.name[:2] for record in records) == ["IQ", "IQ", "OQ", "OQ"]
        for record in records:
            assert {found.name for found in record.iterdir()} == {*PARTS, SIGNED}
            assert record.name in page
            assert list(verify(record))
            assert shell("sha256sum", "-c", "--quiet", "SHA256SUMS", cwd=record).returncode == 0
            assert "DEMONSTRATION" in (record / "record.html").read_text(encoding="utf-8")

    def test_hostile_names_and_a_terminal_that_prints_only_ascii(self, tmp_path):
        ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
        done = run_against(tmp_path, "hostile-text", settings=(f"execution.executed_by={NAME}",), **ascii_only)
        assert (done.returncode, done.stderr) == (0, "")
        (record,) = records_in(tmp_path / "outputs")
        page = (record / "record.html").read_text(encoding="utf-8")
        assert NAME in page
        assert "<script" not in page.lower()
        assert json.loads((record / "manifest.json").read_text(encoding="utf-8"))["executed_by"] == NAME
        assert list(verify(record))

    def test_a_fail_is_a_record_and_papermill_with_seal_makes_the_same(self, tmp_path):
        with Sandbox(["rotation-off"]) as sandbox:
            path = write_parameters(tmp_path / "p.yaml", sandbox.parameters | {"execution": PEOPLE})
            ours = shell(TRAILKIT, "run", "iq", "-f", path, cwd=tmp_path, **sandbox.environment)
            other = tmp_path / "other"
            (other / "outputs").mkdir(parents=True)
            notebook = Path(qualify.__file__).parent.parent.parent / "notebooks" / "iq_trail_encryption.ipynb"
            papermill = shell(
                BIN / "papermill", notebook, "outputs/x.ipynb", "-f", path, cwd=other, **sandbox.environment
            )
            cells = json.loads((other / "outputs" / "x.ipynb").read_text(encoding="utf-8"))["cells"]
            assert {len(cell["outputs"]) for cell in cells if cell["cell_type"] == "code"} <= {0, 1}
            sealed = shell(TRAILKIT, "seal", "outputs/x.ipynb", cwd=other, **sandbox.environment)
        assert (ours.returncode, ours.stderr) == (1, "")
        assert papermill.returncode == 0
        assert (sealed.returncode, sealed.stderr) == (1, "")
        (first,) = records_in(tmp_path / "outputs")
        (second,) = (other / "outputs").glob("IQ-*")
        left = sorted(found.name for found in (other / "outputs").iterdir())
        assert left == [second.name, "index.html", REGISTER, "x.ipynb"]
        told = []
        for record in (first, second):
            assert list(verify(record))
            manifest = json.loads((record / "manifest.json").read_bytes())
            findings = json.loads((record / "findings.json").read_bytes())["findings"]
            fixed = {
                name: manifest[name] for name in ("verdict", "protocol_sha256", "parameters_sha256", "executed_by")
            }
            verdicts = [(finding["test_case"], finding["resource"], finding["verdict"]) for finding in findings]
            told.append((fixed, verdicts, {found.name for found in record.iterdir()}))
        assert told[0] == told[1]
        assert told[0][2] == PARTS
        assert told[0][0]["verdict"] == "FAIL"

    def test_without_credentials_it_says_so_and_makes_no_record(self, tmp_path):
        with Sandbox() as sandbox:
            path = write_parameters(tmp_path / "p.yaml", sandbox.parameters)
            done = shell(TRAILKIT, "run", "iq", "-f", path, cwd=tmp_path, HOME=str(tmp_path))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("no usable AWS credentials")
        assert len(done.stderr.splitlines()) == 2
        assert sorted(found.name for found in (tmp_path / "outputs").iterdir()) == [RUNS, "index.html", REGISTER]
        (executed,) = (tmp_path / "outputs" / RUNS).glob("*.ipynb")
        assert "Traceback" not in executed.read_text()
        again = shell(TRAILKIT, "seal", executed, cwd=tmp_path)
        assert (again.returncode, again.stderr) == (2, done.stderr)
