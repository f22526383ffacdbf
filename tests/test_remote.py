"""Outputs in S3: what a run needs of them comes down, what it leaves goes up, and nothing is lost or put over."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config
from fixtures.between import DROP, Between
from fixtures.dask_cluster import cluster_of
from fixtures.runs import execute_here, plain_render
from fixtures.signed import signed

from kit import __version__
from kit.collect.outputs import OutputsFolder
from kit.errors import ArchiveError, ExecutionError, KitError, RecordError, UnreachedError
from kit.parameters import RunParameters
from kit.record.earlier import latest_record
from kit.record.folders import hold
from kit.record.history import histories
from kit.record.manifest import FINDINGS, INDEX_PAGE, MANIFEST, RUNS, SIGNED, files_in
from kit.record.register import REGISTER, locked_register, read_register
from kit.record.remote import RemoteOutputs
from kit.record.remote_register import RemoteRegister
from kit.record.rerender import rerender
from kit.record.seal import seal
from kit.record.standing import hold_standing
from kit.record.verification.audit import audit
from kit.record.verification.verify import hold_record
from kit.record.working import WorkingOutputs, working_outputs
from kit.render.index import refresh_index, write_index
from kit.render.record import render_record
from kit.rounds import engine
from kit.rounds.conduct import conduct
from kit.rounds.targets import TargetsFile
from kit.rounds.work import Task, qualify_target
from kit.sandbox.account import REGION
from kit.sandbox.calls import denied, error
from kit.sandbox.server import CREDENTIALS, Sandbox

TRAILKIT = Path(sys.executable).with_name("trailkit")
BUCKET = "gxp-outputs"
WHO = {"executed_by": "Zoë Ōyama", "system_id": "SYS-1", "environment": "sandbox", "protocol_id": "VP-1"}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started, pytest.MonkeyPatch.context() as patch:
        for name, value in started.environment.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL_S3", started.endpoint)
        yield started


@pytest.fixture(scope="module")
def s3(sandbox):
    config = Config(retries={"total_max_attempts": 1}, proxies={})
    client = boto3.client("s3", REGION, endpoint_url=sandbox.endpoint, config=config, **CREDENTIALS)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    yield client
    client.close()


@pytest.fixture
def between(sandbox, monkeypatch):
    made = Between(sandbox.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", made.endpoint)
    yield made
    made.close()


@pytest.fixture
def place(s3, tmp_path):
    """Outputs in S3 that no other test uses."""
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """The folder in which working folders are made."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


def run(outputs: Path, sandbox: Sandbox, render: Any = plain_render) -> str:
    """Have a run of the installation qualification leave a record, and return its id."""
    outputs.mkdir(exist_ok=True)
    path = execute_here(outputs, sandbox.parameters | {"execution": WHO})
    try:
        return seal(path, outputs, render).folder.name
    finally:
        path.unlink()


def work(place: str, block: Callable[[WorkingOutputs], object], protocol: str = "IQ") -> None:
    """Have a block work in outputs."""
    with working_outputs(place, [protocol]) as outputs:
        block(outputs)


def failed(place: str, block: Callable[[WorkingOutputs], object]) -> KitError:
    """Return the error with which a block in outputs ended: a line of what is wrong, and one of what to do."""
    with pytest.raises(KitError) as told:
        work(place, block)
    assert len(str(told.value).splitlines()) == 2
    return told.value


def prefix_of(place: str) -> str:
    return place.removeprefix(f"s3://{BUCKET}/") + "/"


def keys(s3: Any, place: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix_of(place))
    return [told["Key"].removeprefix(prefix_of(place)) for page in pages for told in page.get("Contents", ())]


def content(s3: Any, place: str, name: str) -> bytes:
    return bytes(s3.get_object(Bucket=BUCKET, Key=prefix_of(place) + name)["Body"].read())


def brought(s3: Any, place: str, folder: Path) -> Path:
    """Return all of it in a folder, as `aws s3 sync` brings it."""
    for name in keys(s3, place):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(s3, place, name))
    return folder


def events(outputs: Path) -> list[str]:
    return [entry.event for entry in read_register(outputs / REGISTER)]


def states(outputs: Path) -> dict[str, str]:
    return {name: one.state for name, one in histories(read_register(outputs / REGISTER)).items()}


def shown(page: bytes) -> str:
    """Return what an index shows, without the moment at which it was made."""
    return re.sub(r"\d{4}-\d\d-\d\dT?[ \d:.]*Z?", "", page.decode())


class TestDown:
    def test_a_later_run_is_brought_what_it_reads_and_not_the_bulk(self, sandbox, place) -> None:
        with working_outputs(place, ["IQ"]) as outputs:
            first = run(outputs.folder, sandbox)
        with working_outputs(place, ["OQ"]) as outputs:
            assert files_in(outputs.folder / first) == [FINDINGS, MANIFEST]
            earlier = latest_record(outputs.folder, "IQ", RunParameters.load(sandbox.parameters | {"execution": WHO}))
            assert earlier is not None
            assert (earlier.record_id, earlier.verdict) == (first, "PASS")

    def test_a_repeat_is_numbered_and_held_to_what_lies_there(self, sandbox, s3, place, tmp_path) -> None:
        for _ in range(2):
            with working_outputs(place, ["IQ"]) as outputs:
                run(outputs.folder, sandbox)
        back = brought(s3, place, tmp_path / "back")
        assert [entry.data["attempt"] for entry in read_register(back / REGISTER) if entry.event == "started"] == [1, 2]
        assert audit(back / REGISTER).runs == 2

    def test_a_register_that_was_cut_there_is_found(self, sandbox, s3, place) -> None:
        with working_outputs(place, ["IQ"]) as outputs:
            run(outputs.folder, sandbox)
            run(outputs.folder, sandbox)
        first = content(s3, place, REGISTER).splitlines(keepends=True)[0]
        s3.put_object(Bucket=BUCKET, Key=prefix_of(place) + REGISTER, Body=first)
        told = failed(place, lambda outputs: run(outputs.folder, sandbox))
        assert told.message.startswith("the register is not whole")

    def test_what_was_not_brought_is_neither_missing_nor_believed(self, sandbox, place) -> None:
        with working_outputs(place, ["IQ"]) as outputs:
            first = run(outputs.folder, sandbox)
        with working_outputs(place, ["IQ"]) as outputs:
            entries = read_register(outputs.folder / REGISTER)
            with pytest.raises(UnreachedError, match="only a part of it was brought"):
                hold_standing(outputs.folder / first, histories(entries)[first], entries)

    def test_a_review_is_brought_everything_and_strangers_too(self, sandbox, s3, place) -> None:
        with working_outputs(place, ["IQ"]) as outputs:
            first = run(outputs.folder, sandbox)
        for name in [name for name in keys(s3, place) if name.startswith(first)]:
            copy = {"Bucket": BUCKET, "Key": prefix_of(place) + name}
            s3.copy_object(Bucket=BUCKET, Key=f"{prefix_of(place)}copy of it/{name.partition('/')[2]}", CopySource=copy)
        with working_outputs(place, ["PQ"]) as outputs:
            entries = read_register(outputs.folder / REGISTER)
            assert hold_standing(outputs.folder / first, histories(entries)[first], entries)["verdict"] == "PASS"
            reader = OutputsFolder(outputs.folder, "", RunParameters.load(sandbox.parameters | {"execution": WHO}))
            told = reader.register(datetime(2020, 1, 1, tzinfo=UTC))
            assert (told["problem"], told["strangers"]) == ("", ["copy of it"])

    @pytest.mark.parametrize("protocol", ["IQ", "PQ"])
    def test_what_is_of_no_record_is_left_there(self, sandbox, s3, place, protocol) -> None:
        with working_outputs(place, ["IQ"]) as outputs:
            first = run(outputs.folder, sandbox)
        for name in ("BACKUP/huge.bin", "README.md", f".elsewhere/{first}", ".elsewhere/manifest.json", "mine/a.bin"):
            s3.put_object(Bucket=BUCKET, Key=prefix_of(place) + name, Body=b"x")
        with working_outputs(place, [protocol]) as outputs:
            assert (outputs.folder / first / MANIFEST).exists()
            assert {path.name for path in outputs.folder.iterdir()} - {".elsewhere"} == {first, REGISTER}
            assert (outputs.folder / ".elsewhere").exists() == (protocol == "IQ")

    def test_what_a_run_left_that_is_not_finished_comes(self, s3, place) -> None:
        with working_outputs(place, ["IQ"]) as outputs:
            with locked_register(outputs.folder) as register:
                register.append("started", "IQ-1", {})
            s3.put_object(Bucket=BUCKET, Key=f"{prefix_of(place)}IQ-1/{FINDINGS}", Body=b"x")
        with working_outputs(place, ["OQ"]) as outputs:
            assert files_in(outputs.folder / "IQ-1") == [FINDINGS]

    def test_what_qualifies_the_kit_comes_whole(self, s3, place) -> None:
        facts = {"protocol": {"id": "TQ", "version": "1"}, "demonstration": False}
        names = {"IQ-20260101T000000Z-000000", "TQ-20260101T000000Z-000001", "TQ-20260101T000000Z-000002"}
        with working_outputs(place, ["IQ"]) as outputs, locked_register(outputs.folder) as register:
            for name in sorted(names):
                version = "0.0.1" if name.endswith("2") else __version__
                register.append("started", name, facts | {"kit_version": version})
                register.append("finished", name, {"verdict": "PASS", "digest": "0" * 64, "files": {}})
                for file in (MANIFEST, "evidence/E0001"):
                    s3.put_object(Bucket=BUCKET, Key=f"{prefix_of(place)}{name}/{file}", Body=b"{}")
        with working_outputs(place, ["IQ"]) as outputs:
            whole = {name for name in names if (outputs.folder / name / "evidence" / "E0001").exists()}
            assert whole == {"TQ-20260101T000000Z-000001"}

    def test_the_index_is_as_where_everything_lies(self, sandbox, s3, place, tmp_path) -> None:
        for _ in range(2):
            with working_outputs(place, ["IQ"]) as outputs:
                run(outputs.folder, sandbox)
                refresh_index(outputs.folder)
        back = brought(s3, place, tmp_path / "back")
        page = (back / INDEX_PAGE).read_bytes()
        write_index(back)
        assert shown(page) == shown((back / INDEX_PAGE).read_bytes())
        assert page.count(b"record.html") >= 2

    def test_a_connection_that_breaks_while_something_comes_is_tried_again(self, sandbox, place, between) -> None:
        with working_outputs(place, ["IQ"]) as outputs:
            first = run(outputs.folder, sandbox)
        cut = []

        def short(call: Any, answer: Any) -> Any:
            if call.operation == "GetObject" and call.key.endswith(MANIFEST) and not cut:
                cut.append(call)
                wrong = {"x-amz-checksum-sha256": "A" * 43 + "=", "x-amz-checksum-type": "FULL_OBJECT"}
                kept = {name: told for name, told in answer.headers.items() if name.lower() not in wrong}
                return type(answer)(answer.status, kept | wrong, answer.body)
            return None

        between.after = short
        with working_outputs(place, ["IQ"]) as outputs:
            assert (outputs.folder / first / MANIFEST).exists()
        assert len(cut) == 1

    @pytest.mark.parametrize("name", ["IQ-1/../../x", "IQ-1//x", "IQ-1/a\\b"])
    def test_a_name_that_leads_out_of_the_folder_is_refused(self, s3, place, name) -> None:
        s3.put_object(Bucket=BUCKET, Key=prefix_of(place) + name, Body=b"")
        with pytest.raises(ArchiveError, match="holds what no outputs folder can hold"), working_outputs(place, ["IQ"]):
            pass

    @pytest.mark.parametrize("name", ["X/manifest.json/y", "X/" + "n" * 256, "X/" + "n" * 256 + "/y"])
    def test_a_name_that_no_file_can_have_beside_the_others_is_named(self, s3, place, name) -> None:
        for each in (f"X/{MANIFEST}", name):
            s3.put_object(Bucket=BUCKET, Key=prefix_of(place) + each, Body=b"")
        told = failed(place, lambda _: pytest.fail("it was brought"))
        named = [f"{place} holds what no outputs folder can hold: {each!r}" for each in (name, f"X/{MANIFEST}")]
        assert told.message in (named if name.endswith("json/y") else named[:1])
        assert told.remedy == "find out who put it there, and remove it"


class TestUp:
    def test_what_is_sent_has_its_sha256_and_never_goes_over_anything(self, sandbox, place, between) -> None:
        with working_outputs(place, ["IQ"]) as outputs:
            name = run(outputs.folder, sandbox)
            refresh_index(outputs.folder)
        puts = [call for call in between.asked if call.operation == "PutObject"]
        assert all(call.headers.get("x-amz-checksum-sha256") for call in puts)
        files = [call for call in puts if f"/{name}/" in call.key]
        assert {call.headers.get("if-none-match") for call in files} == {"*"}
        assert files[-1].key.endswith(MANIFEST)
        registers = [call for call in puts if call.key.endswith(REGISTER)]
        assert registers[0].headers.get("if-none-match") == "*"
        assert all(call.headers.get("if-match") for call in registers[1:])
        assert puts.index(registers[0]) < puts.index(files[0]) < puts.index(files[-1]) < puts.index(registers[-1])
        assert puts[-1].key.endswith(INDEX_PAGE)

    def test_what_a_run_came_to_that_failed_is_there(self, sandbox, s3, place, tmp_path, scratch) -> None:
        def cut_short(outputs: WorkingOutputs) -> None:
            notebook = execute_here(outputs.folder, sandbox.parameters | {"execution": WHO}, leave_out=["conclude"])
            seal(notebook, outputs.folder, plain_render)

        failed(place, cut_short)
        back = brought(s3, place, tmp_path / "back")
        assert events(back) == ["started", "failed"]
        assert [name for name in keys(s3, place) if name.startswith(".runs/")]
        assert not list(scratch.iterdir())

    def test_a_run_that_could_not_be_sealed_is_brought_sealed_and_sent(
        self, sandbox, s3, place, call, tmp_path
    ) -> None:
        def full(*_: Any) -> Any:
            raise OSError(28, "No space left on device")

        def ran(outputs: WorkingOutputs) -> None:
            path = execute_here(outputs.folder, sandbox.parameters | {"execution": WHO})
            seal(path.rename(outputs.folder / RUNS / path.name), outputs.folder, full)

        told = failed(place, ran)
        assert told.message.endswith(": No space left on device")
        assert told.remedy.startswith(f"`aws s3 sync {place} outputs` brings all of it to outputs, a new folder; then ")
        assert "`trailkit seal outputs/.runs/x.ipynb --output outputs`" in told.remedy
        desk = brought(s3, place, tmp_path / "desk")
        seal(desk / RUNS / "x.ipynb", desk, plain_render)
        assert call("send", desk, place)[0] == 0
        back = brought(s3, place, tmp_path / "back")
        assert events(back) == ["started", "concluded", "finished"]
        assert audit(back / REGISTER).runs == 1

    def test_another_file_in_the_place_of_one_stays(self, sandbox, s3, place) -> None:
        def planted(outputs: WorkingOutputs) -> None:
            name = run(outputs.folder, sandbox)
            s3.put_object(Bucket=BUCKET, Key=f"{prefix_of(place)}{name}/junit.xml", Body=b"planted")

        assert f"another file lies at {place}/IQ-" in failed(place, planted).message
        (name,) = [name for name in keys(s3, place) if name.endswith("junit.xml")]
        assert content(s3, place, name) == b"planted"

    def test_an_answer_that_never_came_is_no_conflict(self, sandbox, s3, place, between, tmp_path) -> None:
        lost = []

        def lose(call: Any, answer: Any) -> Any:
            what = next((end for end in (REGISTER, MANIFEST, "junit.xml") if call.key.endswith(end)), None)
            if call.operation == "PutObject" and what and what not in lost and answer.status == 200:
                lost.append(what)
                return DROP
            return None

        between.after = lose
        with working_outputs(place, ["IQ"]) as outputs:
            run(outputs.folder, sandbox)
        assert sorted(lost) == sorted([REGISTER, MANIFEST, "junit.xml"])
        assert audit(brought(s3, place, tmp_path / "back") / REGISTER).runs == 1

    def test_a_line_that_was_not_written_to_its_end_is_removed_there(self, sandbox, s3, place, tmp_path) -> None:
        work(place, lambda outputs: run(outputs.folder, sandbox))
        torn = content(s3, place, REGISTER) + b'{"data":{'
        s3.put_object(Bucket=BUCKET, Key=prefix_of(place) + REGISTER, Body=torn)
        work(place, lambda outputs: run(outputs.folder, sandbox))
        assert audit(brought(s3, place, tmp_path / "back") / REGISTER).runs == 2

    def test_a_conflict_that_passes_is_waited_out(self, sandbox, s3, place, between, tmp_path) -> None:
        told = []

        def busy(call: Any) -> Any:
            if call.operation == "PutObject" and call.key not in told:
                told.append(call.key)
                return error(call, 409, "ConditionalRequestConflict", "again")
            return None

        between.instead = busy
        with working_outputs(place, ["IQ"]) as outputs:
            run(outputs.folder, sandbox)
        assert audit(brought(s3, place, tmp_path / "back") / REGISTER).runs == 1


class TestBesideAndBroken:
    def test_a_second_run_beside_the_first_is_refused_and_kept(self, sandbox, s3, place, tmp_path, scratch) -> None:
        ran = []

        def slow(outputs: WorkingOutputs) -> None:
            ran.append(run(outputs.folder, sandbox))
            work(place, lambda quick: ran.append(run(quick.folder, sandbox)))

        told = failed(place, slow)
        (kept,) = scratch.iterdir()
        assert f"another run has continued the register {place}/{REGISTER} meanwhile" in told.message
        assert str(kept) in told.message
        assert states(brought(s3, place, tmp_path / "back")) == {ran[1]: "finished"}
        assert audit(kept / REGISTER).runs == 1
        assert states(kept) == {ran[0]: "finished"}

    def test_what_can_not_be_sent_is_kept_and_sent_again(
        self, sandbox, s3, place, between, call, tmp_path, scratch
    ) -> None:
        def down(call: Any) -> Any:
            is_late = len([one for one in between.asked if one.operation == "PutObject"]) > 10
            return denied(call) if call.operation == "PutObject" and is_late else None

        between.instead = down
        told = failed(place, lambda outputs: run(outputs.folder, sandbox))
        (kept,) = scratch.iterdir()
        assert "PutObject was refused" in told.message
        assert f"`trailkit send {kept} {place}`" in told.remedy
        assert call("send", kept, place)[0] == 2
        between.instead = between.nothing
        assert call("send", kept, place) == (0, f"SENT  {kept} to {place}\n", "")
        assert audit(brought(s3, place, tmp_path / "back") / REGISTER).runs == 1

    def test_what_could_not_be_sent_has_no_end_there_while_the_next_run_is_noted(
        self, sandbox, s3, place, between, tmp_path
    ) -> None:
        def ran(outputs: WorkingOutputs) -> None:
            first = run(outputs.folder, sandbox)
            between.instead = lambda call: denied(call) if call.key.endswith("junit.xml") else None
            with pytest.raises(ArchiveError, match="PutObject was refused"):
                outputs.send()
            with locked_register(outputs.folder) as register:
                register.append("started", "OQ-1", {})
            outputs.noting(lambda: None)()
            assert states(brought(s3, place, tmp_path / "then")) == {first: "concluded"}
            between.instead = between.nothing
            outputs.send()
            assert states(brought(s3, place, tmp_path / "back")) == {first: "finished", "OQ-1": "started"}

        work(place, ran)

    def test_that_it_can_not_be_sent_is_told_beside_what_went_wrong(self, place, between, scratch) -> None:
        between.refuse("PutObject")

        def die(outputs: WorkingOutputs) -> None:
            with locked_register(outputs.folder) as register:
                register.append("started", "IQ-1", {})
            raise ExecutionError("the kernel died", "run it again")

        told = failed(place, die)
        (kept,) = scratch.iterdir()
        assert told.message.startswith("the kernel died; and PutObject was refused for s3://")
        assert f"`trailkit send {kept} {place}`" in told.remedy
        assert events(kept) == ["started"]

    @pytest.mark.parametrize(
        ("broken_at", "came_to"),
        [(0, "concluded"), (5, "concluded"), (-1, "concluded"), (None, "finished")],
        ids=["before-the-files", "midway", "before-the-manifest", "before-the-end-in-the-register"],
    )
    def test_a_kill_at_any_point_is_settled_by_the_next_run(
        self, sandbox, s3, place, broken_at, came_to, tmp_path, monkeypatch
    ) -> None:
        class Killed(BaseException):
            pass

        put, put_register, done = RemoteOutputs._put, RemoteRegister.put, []

        def files(self: RemoteOutputs, name: str, stop: Any) -> str:
            if broken_at is not None and (len(done) == broken_at or (broken_at < 0 and name.endswith(MANIFEST))):
                raise Killed
            done.append(name)
            return put(self, name, stop)

        def register(self: RemoteRegister, lines: bytes) -> None:
            if done:
                raise Killed
            put_register(self, lines)

        monkeypatch.setattr(RemoteOutputs, "_put", files)
        monkeypatch.setattr(RemoteRegister, "put", register)
        with pytest.raises(Killed), working_outputs(place, ["IQ"]) as outputs:
            first = run(outputs.folder, sandbox)
        monkeypatch.undo()
        with working_outputs(place, ["IQ"]) as outputs:
            run(outputs.folder, sandbox)
        back = brought(s3, place, tmp_path / "back")
        assert states(back)[first] == came_to
        assert audit(back / REGISTER).runs == 2

    @pytest.fixture
    def two(self, sandbox, tmp_path):
        """A folder with two records that are to be sent."""
        desk = tmp_path / "desk"
        return desk, [run(desk, sandbox) for _ in range(2)]

    def whole_and_unknown(self, back: Path) -> set[str]:
        """Return the records that are whole, and that the register does not even know to have concluded."""
        known = {name for name, state in states(back).items() if state in ("concluded", "finished")}
        return {path.parent.name for path in back.glob(f"*/{MANIFEST}")} - known

    @pytest.mark.parametrize("ends", [0, 1], ids=["first", "second"])
    @pytest.mark.parametrize("at", ["junit.xml", MANIFEST, REGISTER])
    def test_of_two_records_a_kill_leaves_none_that_is_not_registered(
        self, sandbox, s3, place, two, at, ends, call, tmp_path, monkeypatch
    ) -> None:
        class Killed(BaseException):
            pass

        (desk, names), put, put_register, done = two, RemoteOutputs._put, RemoteRegister.put, []

        def files(self: RemoteOutputs, name: str, stop: Any) -> str:
            if name == f"{names[ends]}/{at}":
                raise Killed
            done.append(name)
            return put(self, name, stop)

        def register(self: RemoteRegister, lines: bytes) -> None:
            if at == REGISTER and f"{names[ends]}/{MANIFEST}" in done:
                raise Killed
            put_register(self, lines)

        monkeypatch.setattr(RemoteOutputs, "_put", files)
        monkeypatch.setattr(RemoteRegister, "put", register)
        with pytest.raises(Killed):
            call("send", desk, place)
        monkeypatch.undo()
        assert self.whole_and_unknown(brought(s3, place, tmp_path / "killed")) == set()
        work(place, lambda outputs: run(outputs.folder, sandbox))
        assert audit(brought(s3, place, tmp_path / "back") / REGISTER).runs == 2 + ends

    def test_of_two_records_another_run_leaves_none_that_is_not_registered(
        self, sandbox, s3, place, two, call, tmp_path, monkeypatch
    ) -> None:
        (desk, names), put, began = two, RemoteOutputs._put, []

        def files(self: RemoteOutputs, name: str, stop: Any) -> str:
            if name == f"{names[0]}/{MANIFEST}" and not began:
                began.append(name)
                work(place, lambda outputs: run(outputs.folder, sandbox))
            return put(self, name, stop)

        monkeypatch.setattr(RemoteOutputs, "_put", files)
        status, _, errors = call("send", desk, place)
        message, remedy = errors.splitlines()
        assert (status, f"another run has continued the register {place}/{REGISTER}" in message) == (2, True)
        assert remedy.endswith("what was signed here has to be signed again on a fresh copy")
        assert self.whole_and_unknown(brought(s3, place, tmp_path / "back")) == set()

    def test_a_full_disk_is_told_and_nothing_there_is_touched(self, sandbox, s3, place, monkeypatch) -> None:
        with working_outputs(place, ["IQ"]) as outputs:
            run(outputs.folder, sandbox)
        before = {name: content(s3, place, name) for name in keys(s3, place)}
        write = Path.open

        def full(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
            if mode == "wb" and path.name == MANIFEST:
                raise OSError(28, "No space left on device")
            return write(path, mode, *rest, **more)

        monkeypatch.setattr(Path, "open", full)
        with pytest.raises(RecordError) as told, working_outputs(place, ["IQ"]):
            pass
        assert re.fullmatch(r"the working folder \S+ can't be written: No space left on device", told.value.message)
        assert "TMPDIR" in told.value.remedy
        monkeypatch.undo()
        assert {name: content(s3, place, name) for name in keys(s3, place)} == before


@pytest.mark.usefixtures("sandbox")
class TestRefused:
    def refused(self, output: str) -> list[str]:
        with pytest.raises(KitError) as told, working_outputs(output, ["IQ"]):
            pytest.fail("it was opened")
        lines = str(told.value).splitlines()
        assert len(lines) == 2
        return lines

    def test_a_bucket_that_is_not_there(self) -> None:
        message, remedy = self.refused("s3://gxp-nowhere/x")
        assert message == "HeadBucket was refused for s3://gxp-nowhere: 404"
        assert remedy == "make the bucket, or name another"

    @pytest.mark.parametrize("operation", ["HeadBucket", "ListObjectsV2", "GetObject"])
    def test_what_is_denied_is_named(self, sandbox, place, between, operation) -> None:
        with working_outputs(place, ["IQ"]) as outputs:
            run(outputs.folder, sandbox)
        between.refuse(operation)
        message, remedy = self.refused(place)
        assert re.match(rf"{operation} was refused for s3://{BUCKET}\S*: (403|AccessDenied)$", message)
        assert remedy.startswith("let this identity do it")

    def test_no_credentials(self, place, monkeypatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        message, remedy = self.refused(place)
        assert message == f"HeadBucket got no answer for s3://{BUCKET}: NoCredentialsError"
        assert remedy == "see that credentials and network are as they must be, then run again"

    @pytest.mark.parametrize("output", ["s3://", "s3:/b/x", "S3://bucket/x", "s3://B/x", "gs://bucket/x", "s3://b..c"])
    def test_what_is_no_address(self, output) -> None:
        message, remedy = self.refused(output)
        assert message == f"{output!r} is no place in S3"
        assert remedy == "name one: s3://bucket/prefix"

    def test_an_endpoint_without_encryption_on_another_machine(self, place, monkeypatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://minio.example.com:9000")
        message, _ = self.refused(place)
        assert message == "the endpoint that is configured for S3 can't be used: http://minio.example.com:9000"

    def test_what_an_endpoint_has_besides_its_host_is_not_shown(self, place, monkeypatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://me:secret@minio.example.com:9000/secret?secret")
        message, remedy = self.refused(place)
        assert message == "the endpoint that is configured for S3 can't be used: https://minio.example.com:9000"
        assert "secret" not in remedy

    @pytest.mark.parametrize("endpoint", ["foo", "https://[secret", "https://me:secret@a b"])
    def test_what_is_no_endpoint(self, sandbox, place, call, tmp_path, monkeypatch, endpoint) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        told = [
            f"what is configured for AWS can't be used for s3://{BUCKET}",
            "name an https address (AWS_ENDPOINT_URL_S3); plain http is for this machine",
        ]
        assert self.refused(place) == told
        with locked_register(tmp_path) as register:
            register.append("started", "IQ-1", {})
        parameters = tmp_path / "parameters.yaml"
        parameters.write_text(yaml.safe_dump(sandbox.parameters | {"execution": WHO}), encoding="utf-8")
        for command in (["send", tmp_path, place], ["run", "iq", "-f", parameters, "--output", place]):
            status, _, errors = call(*command)
            assert (status, errors.splitlines()) == (2, told)
        (outcome,) = qualify_target(Task("a", ("IQ",), {}, f"{place}/a", "ROUND-20260101T000000Z-000000"))
        assert [outcome.problem, outcome.remedy] == told

    @pytest.mark.parametrize(
        "command", [["index"], ["register"], ["demo"], ["seal", "x.ipynb"]], ids=lambda one: one[0]
    )
    def test_other_commands_take_a_folder(self, call, tmp_path, command) -> None:
        status, _, errors = call(*command, "--output", "s3://bucket/x")
        message, remedy = errors.splitlines()
        assert (status, message) == (2, "outputs in S3 are for `trailkit run`")
        assert remedy.startswith("bring them into a new folder with `aws s3 sync`")
        assert not (tmp_path / "s3:").exists()


class TestSend:
    def test_what_was_signed_at_a_desk_goes_back(self, sandbox, s3, place, call, tmp_path) -> None:
        outputs = tmp_path / "desk"
        name = run(outputs, sandbox, render_record)
        signed(outputs / name, "executor")
        assert call("send", outputs, place)[0] == 0
        first = content(s3, place, f"{name}/{SIGNED}")
        signed(outputs / name, "reviewer")
        assert call("send", outputs, place)[0] == 0
        now = content(s3, place, f"{name}/{SIGNED}")
        assert now.startswith(first)
        assert now == (outputs / name / SIGNED).read_bytes()
        assert audit(brought(s3, place, tmp_path / "back") / REGISTER).runs == 1

    def test_a_pdf_that_was_made_later_goes_there_with_its_sum(self, sandbox, s3, place, call, tmp_path) -> None:
        outputs = tmp_path / "desk"
        name = run(outputs, sandbox, partial(render_record, pdf=False))
        assert call("send", outputs, place)[0] == 0
        rerender(outputs / name, render_record)
        assert call("send", outputs, place)[0] == 0
        record = brought(s3, place, tmp_path / "back") / name
        assert (record / "record.pdf").exists()
        hold_record(record)

    def test_sums_that_differ_otherwise_are_refused(self, sandbox, place, call, tmp_path) -> None:
        outputs = tmp_path / "desk"
        name = run(outputs, sandbox, render_record)
        assert call("send", outputs, place)[0] == 0
        with (outputs / name / "SHA256SUMS").open("a", encoding="utf-8") as sums:
            sums.write(f"{'0' * 64}  evidence/x\n")
        status, _, errors = call("send", outputs, place)
        assert (status, "another file lies at" in errors) == (2, True)

    def test_only_what_the_kit_left_in_a_folder_is_sent(self, sandbox, s3, place, call, tmp_path) -> None:
        outputs = tmp_path / "desk"
        name = run(outputs, sandbox)
        own = ["mine/key.p12", ".aws/credentials", "notes.txt", "receipts.txt", ".sealing-x/manifest.json"]
        for one in [*own, "receipts/IQ-1-4.json", ".runs/IQ-2/evidence/E0001"]:
            (outputs / one).parent.mkdir(parents=True, exist_ok=True)
            (outputs / one).write_text("x", encoding="utf-8")
        assert call("send", outputs, place)[0] == 0
        sent = {one for one in keys(s3, place) if not one.startswith(f"{name}/")}
        assert sent == {REGISTER, "receipts/IQ-1-4.json", ".runs/IQ-2/evidence/E0001"}

    def test_what_a_run_under_way_has_waits_and_never_stops_a_later_send(
        self, sandbox, s3, place, call, tmp_path
    ) -> None:
        outputs = tmp_path / "desk"
        run(outputs, sandbox)
        file = outputs / RUNS / "IQ-2" / "evidence" / "E0001"
        file.parent.mkdir(parents=True)
        file.write_text("half", encoding="utf-8")
        handle = hold(outputs / RUNS / "IQ-2")
        assert call("send", outputs, place)[0] == 0
        assert not [one for one in keys(s3, place) if one.startswith(RUNS)]
        os.close(handle)
        assert call("send", outputs, place)[0] == 0
        # as where it was sent from a machine that can't tell whether it is under way
        file.write_text("half, and more", encoding="utf-8")
        run(outputs, sandbox)
        assert call("send", outputs, place)[0] == 0
        assert content(s3, place, f"{RUNS}/IQ-2/evidence/E0001") == b"half"
        assert audit(brought(s3, place, tmp_path / "back") / REGISTER).runs == 2

    @pytest.mark.parametrize("line", ["garbage", '{"event":"started"}'])
    def test_what_is_no_register_is_not_sent(self, s3, place, call, tmp_path, line) -> None:
        outputs = tmp_path / "desk"
        (outputs / "IQ-1").mkdir(parents=True)
        (outputs / "IQ-1" / MANIFEST).write_text("{}", encoding="utf-8")
        (outputs / REGISTER).write_text(f"{line}\n", encoding="utf-8")
        status, _, errors = call("send", outputs, place)
        assert (status, keys(s3, place)) == (1, [])
        assert errors.splitlines()[0] == f"line 1 of {REGISTER} was changed: it is not as the kit writes it"
        assert len(errors.splitlines()) == 2

    def test_a_target_that_went_on_there_does_not_stop_the_others(self, sandbox, s3, place, call, tmp_path) -> None:
        outputs = tmp_path / "desk"
        outputs.mkdir()
        older = run(outputs / "a", sandbox)
        newer = run(outputs / "b", sandbox)
        run(outputs, sandbox)
        work(f"{place}/a", lambda one: shutil.copytree(outputs / "a", one.folder, dirs_exist_ok=True))
        work(f"{place}/a", lambda one: run(one.folder, sandbox))
        before = content(s3, f"{place}/a", REGISTER)
        assert call("send", outputs, place)[0] == 0
        assert content(s3, f"{place}/a", REGISTER) == before
        assert f"b/{newer}/{MANIFEST}" in keys(s3, place)
        assert REGISTER in keys(s3, place)
        # what is new there is refused as before
        (outputs / "a" / older / "addenda").mkdir()
        (outputs / "a" / older / "addenda" / "x").write_text("x", encoding="utf-8")
        status, _, errors = call("send", outputs, place)
        assert (status, "has continued the register" in errors) == (2, True)

    def test_what_is_no_outputs_folder_is_refused(self, call, tmp_path, place) -> None:
        status, _, errors = call("send", tmp_path, place)
        assert (status, errors.splitlines()[0]) == (2, f"{tmp_path} is no outputs folder: it has no {REGISTER}")


@pytest.fixture
def command(sandbox, s3, tmp_path):
    """Starts the command in a process of its own."""
    path = tmp_path / "parameters.yaml"
    path.write_text(yaml.safe_dump(sandbox.parameters | {"execution": WHO}, allow_unicode=True), encoding="utf-8")

    def start(*arguments: object, **more: Any) -> "subprocess.Popen[str]":
        told = [str(path) if one == "FILE" else str(one) for one in arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([TRAILKIT, *told], cwd=tmp_path, env=dict(os.environ), **pipes, **more)

    return start


def until(holds: Callable[[], object], patience: float = 60.0) -> None:
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


@pytest.mark.slow
class TestCommand:
    def test_what_went_there_and_came_back_verifies(self, command, s3, place, tmp_path, scratch) -> None:
        for protocols in (["iq"], ["iq", "oq"]):
            done = command("run", *protocols, "-f", "FILE", "--output", f"{place}/", "--json", "--fail-on", "never")
            said, errors = done.communicate()
            assert done.returncode == 0, errors
            for told in json.loads(said)["records"]:
                assert told["folder"] == f"{place}/{told['record_id']}"
                assert told["files"]["html"] == f"{place}/{told['record_id']}/record.html"
        back = brought(s3, place, tmp_path / "back")
        assert events(back) == ["started", "concluded", "finished"] * 3
        assert audit(back / REGISTER).runs == 3
        iq, oq = max(back.glob("IQ-*")), next(back.glob("OQ-*"))
        assert iq.name in (oq / "record.html").read_text(encoding="utf-8")
        for record in (iq, oq):
            held = subprocess.run([TRAILKIT, "verify", record, "--replay"], capture_output=True, text=True, check=False)
            assert held.returncode == 0, held.stderr
        page = (back / INDEX_PAGE).read_bytes()
        write_index(back)
        assert shown(page) == shown((back / INDEX_PAGE).read_bytes())
        assert not list(scratch.iterdir())

    def test_a_run_that_is_killed_is_known_there(self, command, s3, place, tmp_path) -> None:
        killed = command("run", "iq", "-f", "FILE", "--output", place, start_new_session=True)
        until(lambda: keys(s3, place) == [REGISTER])
        os.killpg(killed.pid, signal.SIGKILL)
        killed.communicate()
        assert events(brought(s3, place, tmp_path / "after")) == ["started"]
        done = command("run", "iq", "-f", "FILE", "--output", place)
        assert done.communicate()[1] == ""
        back = brought(s3, place, tmp_path / "back")
        assert list(states(back).values()) == ["aborted", "finished"]
        assert audit(back / REGISTER).runs == 2

    def test_a_run_that_is_interrupted_is_known_there(self, command, s3, place, tmp_path, scratch) -> None:
        ended = command("run", "iq", "-f", "FILE", "--output", place)
        until(lambda: keys(s3, place) == [REGISTER])
        ended.send_signal(signal.SIGTERM)
        _, errors = ended.communicate()
        assert (ended.returncode, len(errors.splitlines())) == (3, 2), errors
        assert str(scratch) not in errors
        assert states(brought(s3, place, tmp_path / "back")).popitem()[1] in ("aborted", "failed")
        assert not [path for path in scratch.iterdir() if path.name.startswith("trailkit-outputs-")]

    def test_a_review_believes_what_came_from_there(self, command, place) -> None:
        command("run", "iq", "-f", "FILE", "--output", place).communicate()
        done = command("run", "pq", "-f", "FILE", "--output", place, "--set", "window.hours=24", "--json")
        said, errors = done.communicate()
        assert errors == ""
        cases = {one["test_case"]: one["verdict"] for one in json.loads(said)["records"][0]["test_cases"]}
        assert cases["PQ-02"] == "PASS"


def file_of(sandbox: Sandbox, *targets: dict[str, Any]) -> TargetsFile:
    return TargetsFile.model_validate({"defaults": sandbox.parameters | {"execution": WHO}, "targets": list(targets)})


GOOD, BAD = {"name": "good"}, {"name": "bad", "expected": {"retention_days": 36500}}


def verdicts(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in json.loads((folder / FINDINGS).read_bytes())["findings"]:
        found.setdefault(one["test_case"], []).append(one["verdict"])
    return found


def conducted(place: str, *given: Any, **more: Any) -> str:
    """Conduct a round, and return the id of its summary."""
    with working_outputs(place, ["VS"]) as outputs:
        return conduct(*given[:2], outputs, *given[2:], **more).folder.name


@pytest.mark.slow
class TestRound:
    def held(self, s3: Any, place: str, folder: Path, summary: str, *targets: str) -> dict[str, list[str]]:
        back = brought(s3, place, folder)
        assert audit(back / REGISTER).runs >= 1
        for target in targets:
            assert audit(back / target / REGISTER).runs >= 1
            assert (back / target / INDEX_PAGE).exists()
        return verdicts(back / summary)

    def test_each_target_goes_to_its_own_place(self, command, sandbox, s3, place, tmp_path, scratch) -> None:
        path = tmp_path / "targets.yaml"
        path.write_text(yaml.safe_dump(file_of(sandbox, GOOD, BAD).model_dump(), allow_unicode=True), encoding="utf-8")
        done = command("run", "iq", "--targets", path, "--output", place, "--json")
        said, errors = done.communicate()
        assert (done.returncode, errors) == (1, "")
        told = json.loads(said)
        assert told["summary"]["folder"] == f"{place}/{told['summary']['record_id']}"
        found = self.held(s3, place, tmp_path / "back", told["summary"]["record_id"], "good", "bad")
        assert (found["VS-02"], found["VS-03"]) == (["PASS", "PASS"], ["PASS", "FAIL"])
        assert not list(scratch.iterdir())

    def test_it_is_resumed_from_there(self, sandbox, s3, place, tmp_path) -> None:
        file, done = file_of(sandbox, GOOD, BAD), []

        def broken(outcomes: Any, _: int) -> None:
            done.extend(outcomes)
            raise KeyboardInterrupt

        with pytest.raises(ExecutionError, match="the round was interrupted"):
            conducted(place, file, ["IQ"], engine.threads(1), broken)
        again: list[Any] = []
        summary = conducted(place, file, ["IQ"], engine.threads(1), lambda one, _: again.extend(one), resume=True)
        first = next(one for one in again if one.target == done[0].target)
        assert (first.record_id, first.seconds) == (done[0].record_id, 0.0)
        found = self.held(s3, place, tmp_path / "back", summary, "good", "bad")
        assert found["VS-03"] == ["PASS", "FAIL"]

    def test_a_target_that_can_not_be_sent_changes_no_other(self, sandbox, s3, place, between, tmp_path) -> None:
        def closed(call: Any) -> Any:
            return denied(call) if call.operation == "PutObject" and "/bad/" in call.key else None

        between.instead = closed
        told: list[Any] = []
        summary = conducted(
            place, file_of(sandbox, GOOD, BAD), ["IQ"], engine.threads(2), lambda one, _: told.extend(one)
        )
        (bad,) = [one for one in told if one.target == "bad"]
        assert bad.problem.startswith("PutObject was refused for s3://")
        assert "`trailkit send " in bad.remedy
        found = verdicts(brought(s3, place, tmp_path / "back") / summary)
        assert (found["VS-02"], found["VS-03"]) == (["PASS", "INCONCLUSIVE"], ["PASS", "INCONCLUSIVE"])

    def test_a_cluster_needs_no_shared_folder(self, sandbox, s3, place, tmp_path) -> None:
        (tmp_path / "dask").mkdir()
        with cluster_of(tmp_path / "dask", *[sandbox.environment] * 2) as address:
            crew = engine.dask(address)
            summary = conducted(place, file_of(sandbox, GOOD, BAD), ["IQ"], crew, lambda *_: None)
        found = self.held(s3, place, tmp_path / "back", summary, "good", "bad")
        assert (found["VS-02"], found["VS-03"]) == (["PASS", "PASS"], ["PASS", "FAIL"])
