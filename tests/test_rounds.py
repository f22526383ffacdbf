"""Rounds: a targets file becomes targets, crews carry them out alike, and one record sums up what they left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from fixtures.dask_cluster import DaskCluster, wait_until

from kit.canonical import canonical
from kit.collect.summary import TargetFolders
from kit.errors import ExecutionError, ParameterError, RecordError
from kit.parameters import RunParameters
from kit.record.history import histories
from kit.record.register import REGISTER, read_register
from kit.record.rerender import rerender
from kit.record.verification.verify import hold_record
from kit.render.record import render_record
from kit.rounds import engine
from kit.rounds.conduct import conduct
from kit.rounds.engine import carry_out
from kit.rounds.targets import TargetsFile, listed, load_targets, of_organization, sharing_pace
from kit.rounds.work import Outcome, Task
from kit.sandbox.organization import OTHER_ACCOUNT, SUSPENDED_ACCOUNT
from kit.sandbox.server import Sandbox
from kit.summary import Member

ROOT = Path(__file__).resolve().parent.parent
TRAILKIT = Path(sys.executable).with_name("trailkit")
ACCOUNT = "123456789012"
EXAMPLE = ROOT / "parameters" / "sandbox.yaml"
WHO = {"executed_by": "Zoë Ōyama", "system_id": "SYS-1", "environment": "sandbox", "protocol_id": "VP-1"}
REAL = WHO | {"environment": "production", "reason": "nightly"}


def written(folder: Path, told: Any) -> Path:
    path = folder / "targets.yaml"
    path.write_text(yaml.safe_dump(told, allow_unicode=True), encoding="utf-8")
    return path


def of(**told: Any) -> TargetsFile:
    return TargetsFile.model_validate(told)


class TestTargets:
    def test_the_example_is_read(self) -> None:
        targets = listed(load_targets(ROOT / "parameters" / "targets.example.yaml", []))
        assert [(one.name, one.account_id) for one in targets] == [
            ("production-eu", "123456789012"),
            ("production-us", "210987654321"),
        ]
        eu, us = (one.parameters for one in targets)
        assert eu["expected"]["trail_arn"] == "arn:aws:cloudtrail:eu-west-1:123456789012:trail/gxp-trail"
        assert us["expected"]["trail_arn"] == "arn:aws:cloudtrail:us-east-1:210987654321:trail/gxp-trail"
        assert us["expected"]["log_bucket"] == "gxp-cloudtrail-logs-210987654321"
        assert us["target"]["regions"] == "all"

    def test_a_setting_is_made_for_all_and_what_a_target_says_itself_stands(self, tmp_path) -> None:
        path = written(tmp_path, {"targets": [{"name": "a"}, {"name": "b", "window": {"hours": 7}}]})
        a, b = listed(load_targets(path, ["window.hours=48"]))
        assert (a.parameters["window"], b.parameters["window"]) == ({"hours": 48}, {"hours": 7})

    @pytest.mark.parametrize(
        ("told", "message"),
        [
            ({}, "either lists targets, or says organizations: true"),
            ({"targets": [{"name": "a"}], "organizations": True}, "either lists targets, or says organizations: true"),
            ({"organizations": True}, "needs role_name"),
            ({"targets": [{"name": "a"}], "role_name": "R"}, "go with organizations: true"),
            ({"targets": [{"name": "a"}], "targetz": 1}, "targetz: unknown key; expected one of defaults, targets"),
            ({"targets": "a"}, "targets: "),
            ({"defaults": [1], "targets": [{"name": "a"}]}, "defaults is no mapping"),
        ],
        ids=["nothing", "both", "no-role", "role-of-none", "unknown-key", "no-list", "defaults-no-mapping"],
    )
    def test_what_is_no_targets_file_is_refused_with_what_is_wrong(self, told, message, tmp_path) -> None:
        with pytest.raises(ParameterError) as refused:
            load_targets(written(tmp_path, told), [])
        assert message in refused.value.message

    @pytest.mark.parametrize(
        "name", ["", "Ä", "../a", "a/b", ".a", "A", "IQ-20261130T120000Z-0a1b2c", "a" * 65, None, 7]
    )
    def test_a_name_that_no_folder_should_have_is_refused(self, name) -> None:
        with pytest.raises(ParameterError, match="target 1 has no name that a folder can have"):
            listed(of(targets=[{"name": name}]))

    def test_two_targets_of_one_name_are_refused(self) -> None:
        with pytest.raises(ParameterError, match="more than one target is named b"):
            listed(of(targets=[{"name": name} for name in ("a", "b", "b")]))

    def test_what_is_wrong_with_a_target_names_it(self) -> None:
        wrong = {"name": "two", "window": {"hour": 1}}
        with pytest.raises(ParameterError, match=r"^two: window\.hour: unknown key"):
            listed(of(targets=[{"name": "one"}, wrong]))

    def test_a_secret_is_refused_wherever_it_stands(self, tmp_path) -> None:
        path = written(tmp_path, {"targets": [{"name": "a", "target": {"secret_access_key": "x"}}]})
        with pytest.raises(ParameterError, match="looks like a secret"):
            load_targets(path, [])


class TestOrganization:
    MEMBERS = tuple(
        Member(account, f"arn:aws-us-gov:organizations::{ACCOUNT}:account/o-x/{account}", "N", active=active)
        for account, active in ((ACCOUNT, True), (OTHER_ACCOUNT, True), (SUSPENDED_ACCOUNT, False))
    )
    FILE = of(
        organizations=True, role_name="audit/GxP", external_id="ext", session_tags={"purpose": "gxp"},
        defaults={"execution": REAL, "expected": {"log_bucket": "logs-{account_id}"}},
    )  # fmt: skip

    def test_each_active_account_is_a_target_entered_by_the_role(self) -> None:
        own, other = of_organization(self.FILE, self.MEMBERS, ACCOUNT)
        assert own.parameters["target"] == {"account_id": ACCOUNT}
        assert other.name == OTHER_ACCOUNT
        assert other.parameters["target"] == {
            "account_id": OTHER_ACCOUNT,
            "role_arn": f"arn:aws-us-gov:iam::{OTHER_ACCOUNT}:role/audit/GxP",
            "external_id": "ext",
            "session_tags": {"purpose": "gxp"},
        }
        assert other.parameters["expected"]["log_bucket"] == f"logs-{OTHER_ACCOUNT}"

    def test_an_account_is_excluded_with_a_reason(self) -> None:
        file = of(**self.FILE.model_dump() | {"excluded": [{"account_id": OTHER_ACCOUNT, "reason": "no GxP data"}]})
        assert [one.name for one in of_organization(file, self.MEMBERS, ACCOUNT)] == [ACCOUNT]

    def test_an_exclusion_of_a_stranger_is_refused(self) -> None:
        file = of(**self.FILE.model_dump() | {"excluded": [{"account_id": "999999999999", "reason": "no GxP data"}]})
        with pytest.raises(ParameterError, match="999999999999 is no account of the organization"):
            of_organization(file, self.MEMBERS, ACCOUNT)

    @pytest.mark.parametrize(
        ("told", "active"),
        [
            ({"State": "ACTIVE"}, True),
            ({"Status": "ACTIVE"}, True),
            ({"State": "SUSPENDED", "Status": "ACTIVE"}, False),
        ],
        ids=["state", "retired-member", "state-over-status"],
    )
    def test_an_account_is_active_as_its_state_says(self, told, active) -> None:
        assert Member.of({"Id": ACCOUNT} | told).active is active

    @pytest.mark.parametrize("told", [{"Id": ACCOUNT}, {"State": "ACTIVE"}, {"Id": "x", "State": "ACTIVE"}], ids=str)
    def test_an_account_without_id_or_state_is_no_answer(self, told) -> None:
        with pytest.raises(ValueError, match="without id or state"):
            Member.of(told)


class TestPace:
    """Targets of one account share what it may be asked."""

    @pytest.mark.parametrize(
        ("width", "cloudtrail"), [(1, None), (2, 2.5), (3, 5 / 3), (8, 5 / 3)], ids=["alone", "two", "three", "many"]
    )
    def test_as_many_as_run_at_a_time_keep_it_together(self, width: int, cloudtrail: float | None) -> None:
        told = [{"name": name, "target": {"account_id": ACCOUNT}} for name in "abc"]
        shared = sharing_pace(listed(of(defaults={"execution": REAL}, targets=told)), width)
        paces = [RunParameters.load(one.parameters).account.pace for one in shared]
        assert [pace.get("cloudtrail") for pace in paces] == [cloudtrail] * 3

    def test_other_accounts_keep_their_own_and_so_does_a_target_that_states_one(self) -> None:
        stated = {"name": "stated", "target": {"account_id": ACCOUNT, "pace": {"cloudtrail": 4}}}
        plain = {"name": "plain", "target": {"account_id": ACCOUNT}}
        other = {"name": "other", "target": {"account_id": OTHER_ACCOUNT}}
        embedded = [{"name": name, "target": "sandbox", "execution": WHO} for name in ("one", "two")]
        targets = listed(of(defaults={"execution": REAL}, targets=[stated, plain, other, *embedded]))
        told = {one.name: one.parameters["target"] for one in sharing_pace(targets, 4)}
        assert told["stated"]["pace"] == {"cloudtrail": 4}
        assert told["plain"]["pace"]["cloudtrail"] == 2.5
        assert (told["other"], told["one"]) == ({"account_id": OTHER_ACCOUNT}, "sandbox")


def task(name: str, folder: Path) -> Task:
    return Task(name, ("IQ",), {}, str(folder), "ROUND-1")


def noted(one: Task) -> list[Outcome]:
    """Note that it was begun; what its name says then happens to the worker."""
    path = Path(one.outputs) / one.target
    with path.open("a") as stream:
        stream.write(f"{os.getpid()}\n")
    tries = len(path.read_text().splitlines())
    if one.target == "killer" or (one.target == "unlucky" and tries == 1):
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    if one.target == "slow":
        time.sleep(60)
    return [Outcome(one.target, "IQ", f"IQ-{one.target}", "PASS")]


class TestEngine:
    def test_a_task_that_loses_its_worker_is_done_again_and_changes_no_other(self, tmp_path) -> None:
        done: list[Outcome] = []
        names = ["a", "unlucky", "b", "c", "d"]
        carry_out((task(name, tmp_path) for name in names), engine.processes(2), done.extend, noted)
        assert sorted(one.target for one in done) == sorted(names)
        assert {one.verdict for one in done} == {"PASS"}

    def test_a_task_that_kills_every_worker_is_given_up_and_the_others_are_done(self, tmp_path) -> None:
        done: list[Outcome] = []
        names = ["a", "killer", "b", "c"]
        carry_out((task(name, tmp_path) for name in names), engine.processes(1), done.extend, noted)
        assert [one.target for one in done if one.verdict] == ["a", "b", "c"]
        (lost,) = [one for one in done if not one.verdict]
        assert (lost.target, lost.protocol) == ("killer", "IQ")
        assert lost.problem.startswith("its worker was lost 3 times")

    def test_no_more_tasks_are_held_than_there_are_workers(self, tmp_path) -> None:
        given, done = [], []

        def tasks():
            for number in range(20):
                given.append(number)
                assert len(given) - len(done) <= 3
                yield task(f"t{number}", tmp_path)

        carry_out(tasks(), engine.threads(2), done.extend, noted)
        assert len(done) == 20

    def test_interrupted_it_leaves_no_process_and_says_how_to_go_on(self, tmp_path) -> None:
        def tasks():
            yield task("slow", tmp_path)
            while not (tmp_path / "slow").exists():
                time.sleep(0.05)
            raise KeyboardInterrupt

        with pytest.raises(ExecutionError) as told:
            carry_out(tasks(), engine.processes(2), lambda _: None, noted)
        assert told.value.remedy == "run the same command with --resume"
        (pid,) = (tmp_path / "slow").read_text().split()
        assert not Path("/proc", pid).exists()


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started, patch.dict(os.environ, started.environment):
        yield started


def file_of(sandbox: Sandbox, *targets: dict[str, Any]) -> TargetsFile:
    return of(defaults=sandbox.parameters | {"execution": WHO}, targets=list(targets))


NOBODY = {"role_arn": f"arn:aws:iam::{ACCOUNT}:role/Nobody"}
GOOD, BAD, OPEN = (
    {"name": "good"},
    {"name": "bad", "expected": {"retention_days": 36500}},
    {"name": "open", "target": NOBODY},
)


def verdicts(folder: Path) -> dict[str, list[str]]:
    findings = json.loads((folder / "findings.json").read_bytes())["findings"]
    found: dict[str, list[str]] = {}
    for one in findings:
        found.setdefault(one["test_case"], []).append(one["verdict"])
    return found


def without_time(path: Path) -> Any:
    return json.loads(path.read_bytes())["findings"]


@pytest.fixture(scope="module")
def lived(sandbox, tmp_path_factory):
    """A round of three targets over two processes: one that passes, one that fails, one that can't be entered."""
    outputs, told = tmp_path_factory.mktemp("round") / "outputs", []
    sealed = conduct(
        file_of(sandbox, GOOD, BAD, OPEN), ["IQ"], outputs, engine.processes(2), lambda one, _: told.extend(one)
    )
    return outputs, sealed, told


@pytest.fixture(scope="module")
def call(sandbox, tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")

    def call(*arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [TRAILKIT, "run", *map(str, arguments)]
        return subprocess.run(
            command, cwd=folder, env=os.environ | sandbox.environment, capture_output=True, text=True, check=False
        )

    return call


@pytest.mark.slow
class TestRound:
    def test_each_target_has_its_record_and_one_failing_changes_no_other(self, lived) -> None:
        outputs, _, told = lived
        assert {one.target: one.verdict for one in told} == {"good": "PASS", "bad": "FAIL", "open": "INCONCLUSIVE"}
        for one in told:
            assert (outputs / one.target / one.record_id / "record.html").exists()

    def test_the_summary_says_what_each_left(self, lived) -> None:
        _, sealed, _ = lived
        assert sealed.verdict.value == "FAIL"
        assert verdicts(sealed.folder) == {
            "VS-01": ["NOT_APPLICABLE"],
            "VS-02": ["PASS", "PASS", "INCONCLUSIVE"],
            "VS-03": ["PASS", "FAIL", "INCONCLUSIVE"],
            "VS-04": ["PASS"],
        }
        failed = next(one for one in without_time(sealed.folder / "findings.json") if one["verdict"] == "FAIL")
        assert failed["message"] == "IQ: IQ-10 FAIL."
        assert failed["resource"] == f"bad, {ACCOUNT}"

    def test_the_summary_is_replayed_where_no_target_is(self, lived) -> None:
        outputs, sealed, _ = lived
        done = subprocess.run(
            [TRAILKIT, "verify", sealed.folder, "--replay"], cwd=outputs, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def test_the_register_says_that_the_round_was_opened_and_closed(self, lived) -> None:
        outputs, sealed, _ = lived
        entries = read_register(outputs / REGISTER)
        opened = next(entry for entry in entries if entry.event == "opened")
        assert [entry.event for entry in entries if entry.record == opened.record] == ["opened", "closed"]
        assert opened.data["targets"] == 3
        assert entries[-1].data == {"summary": sealed.folder.name, "verdict": "FAIL"}

    def test_each_run_states_the_round_in_its_reason(self, lived) -> None:
        outputs, _, _ = lived
        round_id = next(entry.record for entry in read_register(outputs / REGISTER) if entry.event == "opened")
        (history,) = histories(read_register(outputs / "good" / REGISTER)).values()
        assert history.first["reason"] == round_id

    def test_a_round_that_was_closed_is_not_resumed(self, lived, sandbox) -> None:
        outputs, _, _ = lived
        with pytest.raises(ParameterError, match="there is no round to resume"):
            conduct(file_of(sandbox, GOOD), ["IQ"], outputs, engine.threads(1), lambda *_: None, resume=True)

    def test_a_protocol_that_changes_something_is_no_part_of_a_round(self, sandbox, tmp_path) -> None:
        with pytest.raises(ParameterError, match="RM, TQ can't be part of a round"):
            conduct(file_of(sandbox, GOOD), ["RM", "TQ"], tmp_path, engine.threads(1), lambda *_: None)

    @pytest.mark.parametrize(
        ("error", "member"),
        [(PermissionError(13, "Permission denied"), "unread"), (FileNotFoundError(2, "No such file"), "problem")],
    )
    def test_a_record_that_cant_be_read_is_told_from_one_that_is_gone(
        self, lived, monkeypatch, error: OSError, member: str
    ) -> None:
        outputs, sealed, told = lived
        round_id = json.loads((sealed.folder / "manifest.json").read_bytes())["reason"].rpartition("; ")[2]
        record = next(one.record_id for one in told if one.target == "good")

        def refuse(path: Path) -> str:
            raise error

        monkeypatch.setattr("kit.record.whole.sha256_file", refuse)
        read = TargetFolders(outputs, round_id).record("good", "IQ")
        assert set(read) == {"record_id", "digest", member}
        assert read["record_id"] == record

    def test_without_pdf_a_record_stands_and_rendering_it_again_adds_one(self, sandbox, tmp_path) -> None:
        told: list[Outcome] = []
        file = file_of(sandbox, GOOD)
        sealed = conduct(file, ["IQ"], tmp_path, engine.threads(1), lambda one, _: told.extend(one), pdf=False)
        record = tmp_path / "good" / told[0].record_id
        assert (sealed.folder / "record.pdf").exists()
        assert (record / "record.html").exists()
        assert not (record / "record.pdf").exists()
        assert rerender(record, render_record) == [
            "record.html comes out the same.",
            "record.pdf was missing, and was added.",
        ]
        hold_record(record)


@pytest.mark.slow
class TestResume:
    def test_what_is_finished_stays_and_what_is_not_is_done(self, sandbox, tmp_path) -> None:
        file, done = file_of(sandbox, GOOD, BAD), []

        def broken(outcomes: list[Outcome], _: int) -> None:
            done.extend(outcomes)
            raise KeyboardInterrupt

        with pytest.raises(ExecutionError, match="the round was interrupted"):
            conduct(file, ["IQ"], tmp_path, engine.threads(1), broken)
        with pytest.raises(ParameterError, match="was opened with another targets file"):
            conduct(file_of(sandbox, GOOD), ["IQ"], tmp_path, engine.threads(1), lambda *_: None, resume=True)
        again: list[Outcome] = []
        sealed = conduct(file, ["IQ"], tmp_path, engine.threads(1), lambda one, _: again.extend(one), resume=True)
        first = next(one for one in again if one.target == done[0].target)
        assert (first.record_id, first.seconds) == (done[0].record_id, 0.0)
        assert len(list((tmp_path / "good").glob("IQ-*"))) == 1
        assert verdicts(sealed.folder)["VS-03"] == ["PASS", "FAIL"]
        events = [entry.event for entry in read_register(tmp_path / REGISTER) if entry.record.startswith("ROUND")]
        assert events == ["opened", "resumed", "closed"]

    def test_a_round_under_way_is_not_resumed_beside_it(self, sandbox, tmp_path) -> None:
        file = file_of(sandbox, GOOD)

        def beside(*_: Any) -> None:
            with pytest.raises(RecordError, match="is under way"):
                conduct(file, ["IQ"], tmp_path, engine.threads(1), lambda *_: None, resume=True)

        conduct(file, ["IQ"], tmp_path, engine.threads(1), beside)


@pytest.mark.slow
class TestCommand:
    def organization(self, sandbox: Sandbox, **told: Any) -> dict[str, Any]:
        target = {"endpoint_url": sandbox.endpoint}
        expected = sandbox.parameters["expected"] | {
            "trail_arn": "arn:aws:cloudtrail:eu-west-1:{account_id}:trail/gxp-trail",
            "log_bucket": "gxp-cloudtrail-logs-{account_id}",
        }
        defaults = {"target": target, "expected": expected, "execution": WHO}
        return {"organizations": True, "role_name": "GxPAudit", "defaults": defaults} | told

    def test_an_organization_is_listed_and_an_account_that_cant_be_entered_has_a_record(
        self, call, sandbox, tmp_path
    ) -> None:
        file = written(tmp_path, self.organization(sandbox))
        done = call("iq", "--targets", file, "--output", tmp_path / "o", "--json")
        assert done.returncode == 3, done.stderr
        answer = json.loads(done.stdout)
        assert {one["target"]: one["verdict"] for one in answer["targets"]} == {
            ACCOUNT: "PASS",
            OTHER_ACCOUNT: "INCONCLUSIVE",
        }
        folder = Path(answer["summary"]["folder"])
        assert verdicts(folder)["VS-01"] == ["PASS"]
        assert (
            subprocess.run([TRAILKIT, "verify", folder, "--replay"], capture_output=True, check=False).returncode == 0
        )
        assert (tmp_path / "o" / ACCOUNT / "index.html").exists()

    def test_an_account_that_was_left_out_is_found(self, sandbox, tmp_path) -> None:
        file = of(**self.organization(sandbox))
        whole = of_organization

        def short(*given: Any) -> Any:
            return whole(*given)[:1]

        with patch("kit.rounds.conduct.of_organization", short):
            sealed = conduct(file, ["IQ"], tmp_path, engine.threads(1), lambda *_: None)
        (finding,) = [one for one in without_time(sealed.folder / "findings.json") if one["test_case"] == "VS-01"]
        assert finding["verdict"] == "FAIL"
        assert finding["message"] == f"The round leaves out 1 active account of the organization: {OTHER_ACCOUNT}."

    def test_excluded_with_a_reason_it_is_no_target(self, call, sandbox, tmp_path) -> None:
        excluded = [{"account_id": OTHER_ACCOUNT, "reason": "holds no GxP data"}]
        file = written(tmp_path, self.organization(sandbox, excluded=excluded))
        done = call("iq", "--targets", file, "--output", tmp_path / "o")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"1/1  {ACCOUNT}  IQ  PASS  IQ-" in done.stdout
        assert "\nPASS  VS-" in done.stdout

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--targets", "x", "-f", "y"], "--targets goes with neither --parameters, --approved nor --notebooks"),
            (["--targets", "x", "--notebooks", "."], "--targets goes with neither --parameters, --approved nor"),
            (["-f", "y", "--resume"], "--resume and --workers are for many targets"),
            (["--targets", "x", "--executor", "cloud"], "there is no executor 'cloud'"),
            (["--targets", "x", "--dask", "tcp://127.0.0.1:1", "--workers", "2"], "a Dask cluster has the workers"),
            (["--targets", "x", "--dask", "tcp://127.0.0.1:1"], "no Dask scheduler answers at tcp://127.0.0.1:1"),
            (["-f", EXAMPLE, "--dask", "scheduler"], "'scheduler' is no address of a Dask scheduler"),
            (["-f", EXAMPLE, "--dask", "tls://127.0.0.1:1"], "Dask's configuration here does not go with tls://"),
            (["-f", EXAMPLE, "--dask", "tcp://127.0.0.1:1"], "no Dask scheduler answers at tcp://127.0.0.1:1"),
            (["--targets", "x"], "x: can't be read"),
        ],
        ids=[
            "two-files",
            "notebooks",
            "resume-alone",
            "executor",
            "dask-workers",
            "no-scheduler",
            "no-address",
            "no-tls",
            "no-scheduler-alone",
            "no-file",
        ],
    )
    def test_misuse_is_told_in_two_lines(self, call, arguments, message) -> None:
        done = call("iq", *arguments)
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.splitlines()) == 2, done.stderr
        assert done.stderr.startswith(message)


def held_alike(record: Path) -> bytes:
    """Return the findings of a record byte for byte, but for how far apart the clocks were just then."""
    findings = json.loads((record / "findings.json").read_bytes())["findings"]
    for finding in findings:
        finding["actual"].pop("local clock against AWS", None)
    return canonical(findings)


@pytest.fixture
def cluster(sandbox, tmp_path):
    folder = tmp_path / "dask"
    folder.mkdir()
    started = DaskCluster(folder, *[sandbox.environment] * 2)
    try:
        yield started
    finally:
        started.stop()


@pytest.mark.slow
def test_a_scheduler_that_is_lost_breaks_a_round_off_and_it_says_how_to_go_on(cluster, tmp_path) -> None:
    def sleep(one: Task) -> list[Outcome]:
        time.sleep(int(one.target))
        return []

    with pytest.raises(ExecutionError, match=r"^the round was broken off: no Dask scheduler answers at tcp:") as told:
        carry_out(
            (task(name, tmp_path) for name in ("0", "60")),
            engine.dask(cluster.address),
            lambda _: cluster.processes[0].kill(),
            sleep,
        )
    assert told.value.remedy == "start it, then run the same command with --resume"


@pytest.mark.slow
class TestAlike:
    def test_threads_processes_and_a_cluster_that_loses_a_worker_find_the_same(
        self, sandbox, cluster, tmp_path
    ) -> None:
        file, names = file_of(sandbox, GOOD, BAD, OPEN), ("good", "bad", "open")
        crew = engine.dask(cluster.address)
        wait_until(lambda: engine.dask(cluster.address).width == 2)
        crew = engine.dask(cluster.address)
        found = {}
        for kind, of_kind in (("threads", engine.threads(2)), ("processes", engine.processes(2)), ("dask", crew)):
            done: list[str] = []

            def told(outcomes: list[Outcome], _: int, kind: str = kind, done: list[str] = done) -> None:
                done.append(outcomes[0].target)
                if kind == "dask" and len(done) == 1:
                    # the other target that is under way may be its own, or not
                    cluster.workers[0].kill()

            conduct(file, ["IQ"], tmp_path / kind, of_kind, told)
            assert sorted(done) == sorted(names)
            records = {name: sorted((tmp_path / kind / name).glob("IQ-*")) for name in names}
            found[kind] = {name: held_alike(paths[-1]) for name, paths in records.items()}
        assert found["threads"] == found["processes"] == found["dask"]
