"""What a run says of the qualification of its kit: only what a record that stands beside it says of these files."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures.challenged import SOUND, qualified
from fixtures.runs import PEOPLE, copied, display, edited, execute_here, sealed

from kit import __version__
from kit.canonical import canonical
from kit.collect.installation import own_files, packages
from kit.errors import RecordError, RejectionError
from kit.record import kit_qualification as module
from kit.record.history import hold_run
from kit.record.kit_qualification import kit_qualification
from kit.record.manifest import read_manifest
from kit.record.register import REGISTER, locked_register, read_register
from kit.record.verification.verify import hold_record
from kit.render.index import write_index
from kit.render.record import render_record
from kit.sandbox.server import Sandbox

FAILED = replace(SOUND, attempts=(replace(SOUND.attempts[1], accepted=True, said=""),))
DEMONSTRATION = {"target": "sandbox", "execution": PEOPLE}
NONE = f"trailkit {__version__}: not qualified by any record in the outputs folder"


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outputs folder with one qualification of the kit, which passed; to be copied before it is spoilt."""
    outputs = tmp_path_factory.mktemp("passed") / "outputs"
    qualified(outputs)
    return outputs


def cited(outputs: Path, *, demonstration: bool = False) -> dict[str, Any]:
    entries = read_register(outputs / REGISTER) if (outputs / REGISTER).exists() else []
    told = kit_qualification(outputs, entries, demonstration=demonstration)
    # it goes into the register, the notebook and the manifest
    assert json.loads(canonical(told)) == told
    assert told["qualified"] in (True, False)
    return told


def only(outputs: Path) -> Path:
    (found,) = outputs.glob("TQ-*")
    return found


def test_a_qualification_that_passed_is_cited_as_it_was_registered(passed: Path) -> None:
    (finished,) = [one for one in read_register(passed / REGISTER) if one.event == "finished"]
    manifest = read_manifest(only(passed))
    assert cited(passed) == {
        "record": {"record_id": only(passed).name, "digest": finished.data["digest"],
                   "finished": manifest["finished"], "verdict": "PASS"},
        "qualified": True,
        "sentence": f"trailkit {__version__}: qualified by {only(passed).name}.",
    }  # fmt: skip


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert cited(tmp_path) == {"record": None, "qualified": False, "sentence": f"{NONE}."}


@pytest.mark.parametrize("demonstration", [False, True])
def test_a_demonstration_qualifies_for_demonstrations_alone(demonstration: bool, tmp_path: Path) -> None:
    name = qualified(tmp_path, parameters=DEMONSTRATION)
    told = cited(tmp_path, demonstration=demonstration)
    assert told["qualified"] is demonstration
    assert told["sentence"] == (
        f"trailkit {__version__}: qualified by {name}, a demonstration."
        if demonstration
        else f"{NONE}; {name} is a demonstration."
    )


def test_the_latest_decides_and_one_that_did_not_pass_is_none(passed: Path, tmp_path: Path) -> None:
    outputs = copied(passed, tmp_path)
    failed = qualified(outputs, FAILED)
    told = cited(outputs)
    assert not told["qualified"]
    assert told["sentence"] == f"trailkit {__version__}: not qualified: {failed} came to FAIL."
    assert told["record"]["verdict"] == "FAIL"
    again = qualified(outputs)
    assert cited(outputs)["record"]["record_id"] == again


def test_a_working_copy_does_not_qualify(tmp_path: Path) -> None:
    tool = replace(SOUND, installation=replace(SOUND.installation, recorded={}, unrecorded="A working copy."))
    name = qualified(tmp_path, tool)
    assert cited(tmp_path)["sentence"] == f"trailkit {__version__}: not qualified: {name} came to INCONCLUSIVE."


def test_a_failure_that_nobody_sealed_is_told(passed: Path, tmp_path: Path) -> None:
    outputs = copied(passed, tmp_path)
    name = qualified(outputs, FAILED, seals=False)
    assert cited(outputs) == {
        "record": None, "qualified": False,
        "sentence": f"trailkit {__version__}: not qualified: {name} came to FAIL, and was not sealed.",
    }  # fmt: skip


def test_a_pass_that_nobody_sealed_is_no_record_and_hides_none(passed: Path, tmp_path: Path) -> None:
    outputs = copied(passed, tmp_path)
    qualified(outputs, seals=False)
    assert cited(outputs)["record"]["record_id"] == only(outputs).name
    alone = tmp_path / "alone"
    name = qualified(alone, seals=False)
    assert cited(alone)["sentence"] == f"{NONE}; {name} came to PASS, and was not sealed."


class TestOtherwise:
    """One qualification that passed, and something of it, or of the kit, is otherwise."""

    def test_another_version(self, passed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "__version__", "0.9.9")
        told = cited(passed)
        assert not told["qualified"]
        assert told["sentence"].endswith(f"; {only(passed).name} is of trailkit {__version__}.")

    @pytest.mark.parametrize("change", ["changed", "added", "removed"])
    def test_other_files(self, change: str, passed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        files = own_files()
        files |= {"changed": {"kit/cli/app.py": "0" * 64}, "added": {"kit/cli/app2.py": "0" * 64}}.get(change, {})
        if change == "removed":
            del files["kit/cli/app.py"]
        monkeypatch.setattr(module, "own_files", lambda: files)
        told = cited(passed)
        name = "app2" if change == "added" else "app"
        assert (told["qualified"], told["record"]) == (False, None)
        assert told["sentence"].endswith(f" is of other files than run here: 1 file (kit/cli/{name}.py).")

    def test_other_packages_are_told(self, passed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "packages", lambda: packages() | {"boto3": "0.1"})
        told = cited(passed)
        assert told["qualified"]
        assert told["sentence"].endswith("; installed otherwise since: 1 package (boto3).")

    def test_not_registered_here(self, passed: Path, tmp_path: Path) -> None:
        outputs = copied(passed, tmp_path)
        (outputs / REGISTER).unlink()
        assert cited(outputs)["sentence"] == f"{NONE}; {only(outputs).name} is not in the register."


def pipe(record: Path) -> None:
    import os

    os.mkfifo(record / "evidence" / "pipe")


def emptied(record: Path) -> None:
    for path in record.rglob("*"):
        if path.is_file():
            path.write_bytes(b"")


def named_badly(record: Path) -> None:
    (record / b"\xff\xfe".decode("utf-8", "surrogateescape")).write_bytes(b"")


def of_another(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda record: [path.write_bytes(content) for path in record.rglob(name)] and None


SPOILT: dict[str, Callable[[Path], Any]] = {
    "gone": shutil.rmtree,
    "a file in its place": lambda record: (shutil.rmtree(record), record.write_bytes(b"x")),
    "no manifest": lambda record: (record / "manifest.json").unlink(),
    "another manifest": of_another("manifest.json", b'{"schema":1}'),
    "a manifest that nests": of_another("manifest.json", b"[" * 100_000),
    "a manifest of another digest": lambda record: (record / "manifest.json").write_bytes(
        canonical(read_manifest(record) | {"kit_version": "1"})
    ),
    "findings edited": of_another("findings.json", b"{}"),
    "what was installed edited": of_another("*-installation.jsonl.gz", b"\x1f\x8b\x00"),
    "an index edited": of_another("index.jsonl", b"\n"),
    "a page edited": of_another("record.html", b"PASS"),
    "a file added": lambda record: (record / "evidence" / "E9.json").write_bytes(b"{}"),
    "a pipe in it": pipe,
    "a name that is no text": named_badly,
    "everything empty": emptied,
}  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_record_that_does_not_hold_qualifies_nothing_and_stops_no_run(
    spoil: Callable[[Path], Any], passed: Path, tmp_path: Path
) -> None:
    outputs = copied(passed, tmp_path)
    spoil(only(outputs))
    told = cited(outputs)
    assert (told["qualified"], told["record"]) == (False, None)
    assert "which came to PASS, does not hold: " in told["sentence"]
    assert str(tmp_path) not in told["sentence"]


@pytest.mark.parametrize(
    "data",
    [
        {}, {"protocol": "TQ"}, {"protocol": {"id": "TQ"}}, {"protocol": {"id": "TQ"}, "kit_version": [1]},
        {"protocol": {"id": "TQ"}, "kit_version": __version__, "demonstration": False},
        {"protocol": {"id": "TQ"}, "kit_version": __version__, "demonstration": "no"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["TQ-20261130T000000Z-000001", "../TQ", "TQ-\x00", ""])
def test_entries_of_the_wrong_kind_qualify_nothing(data: dict[str, Any], name: str, tmp_path: Path) -> None:
    with locked_register(tmp_path) as register:
        register.append("started", name, data)
        register.append("finished", name, {"verdict": "PASS"})
    assert not cited(tmp_path)["qualified"]


def test_evidence_that_does_not_say_which_files_it_is_of_qualifies_nothing(
    passed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INSTALLATION", "another")
    assert "does not say which files" in cited(passed)["sentence"]


@pytest.fixture(scope="module")
def outputs(passed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outputs folder with the qualification of the kit, and an executed run of the IQ that is not sealed."""
    outputs = copied(passed, tmp_path_factory.mktemp("run"))
    with Sandbox() as sandbox, pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.environment.items():
            patch.setenv(name, value)
        execute_here(outputs, sandbox.parameters | {"execution": PEOPLE})
    return outputs


class TestRecords:
    """Records of runs with that kit: what is cited is registered, sealed, shown and held."""

    def test_it_is_in_the_manifest_and_on_the_page(self, outputs: Path, tmp_path: Path) -> None:
        done = sealed(copied(outputs, tmp_path), render_record)
        hold_record(done.folder)
        told = read_manifest(done.folder)["kit_qualification"]
        tq = only(done.folder.parent).name
        assert told["qualified"]
        assert told["record"]["record_id"] == tq
        page = (done.folder / "record.html").read_text(encoding="utf-8")
        cover, _, rest = page.partition("</header>")
        assert f"qualified by {tq}" in cover
        assert f"qualified by {tq}" in rest
        assert told["record"]["digest"] in rest

    def test_it_is_in_the_index(self, outputs: Path, tmp_path: Path) -> None:
        done = sealed(copied(outputs, tmp_path))
        tq = only(done.folder.parent).name
        told = {row.record_id: row.kit for row in write_index(done.folder.parent).rows}
        assert told == {done.folder.name: f"kit qualified by {tq}", tq: ""}
        assert f"kit qualified by {tq}" in (done.folder.parent / "index.html").read_text(encoding="utf-8")

    def test_a_notebook_that_cites_another_is_not_sealed(self, outputs: Path, tmp_path: Path) -> None:
        copy = copied(outputs, tmp_path)
        with edited(copy / "x.ipynb") as notebook:
            display(notebook, "run")["kit_qualification"]["sentence"] = "trailkit 0.1.0: qualified by TQ-1."
        with pytest.raises(RecordError, match=r"another start of .*: kit_qualification"):
            sealed(copy)

    def test_one_that_leaves_it_out_is_not_sealed(self, outputs: Path, tmp_path: Path) -> None:
        copy = copied(outputs, tmp_path)
        with edited(copy / "x.ipynb") as notebook:
            del display(notebook, "run")["kit_qualification"]
        with pytest.raises(RecordError, match=r"another start of .*: kit_qualification"):
            sealed(copy)

    @pytest.mark.parametrize(
        "change", [{"digest": "0" * 64}, {"record_id": "TQ-20260101T000000Z-000000"}, {"verdict": "FAIL"}, None]
    )
    def test_a_register_that_does_not_hold_what_is_cited_is_no_proof(
        self, change: dict[str, str] | None, outputs: Path, tmp_path: Path
    ) -> None:
        done = sealed(copied(outputs, tmp_path))
        manifest, entries = read_manifest(done.folder), read_register(done.folder.parent / REGISTER)
        hold_run(manifest, entries, REGISTER)
        record = manifest["kit_qualification"]["record"]
        manifest["kit_qualification"]["record"] = None if change is None else record | change
        entries = [
            replace(one, data=one.data | {"kit_qualification": manifest["kit_qualification"]})
            if (one.event, one.record) == ("started", done.folder.name)
            else one
            for one in entries
        ]
        with pytest.raises(RejectionError, match=r"qualification of its kit"):
            hold_run(manifest, entries, REGISTER)

    def test_a_record_of_an_earlier_kit_says_nothing_of_it_and_holds(self, outputs: Path, tmp_path: Path) -> None:
        done = sealed(copied(outputs, tmp_path))
        manifest, entries = read_manifest(done.folder), read_register(done.folder.parent / REGISTER)
        del manifest["kit_qualification"]
        with pytest.raises(RejectionError, match=r"another start of .*: kit_qualification"):
            hold_run(manifest, entries, REGISTER)
        for entry in entries:
            dict.pop(entry.data, "kit_qualification", None)
        hold_run(manifest, entries, REGISTER)

    def test_what_is_not_qualified_is_said_on_the_page(self, tmp_path: Path) -> None:
        with Sandbox() as sandbox, pytest.MonkeyPatch.context() as patch:
            for name, value in sandbox.environment.items():
                patch.setenv(name, value)
            tmp_path.joinpath("outputs").mkdir()
            execute_here(tmp_path / "outputs", sandbox.parameters | {"execution": PEOPLE})
        done = sealed(tmp_path / "outputs", render_record)
        hold_record(done.folder)
        page = (done.folder / "record.html").read_text(encoding="utf-8")
        assert page.count(f"<strong>{NONE}.</strong>") == 2

    def test_the_qualification_itself_asks_for_none(self, passed: Path) -> None:
        assert read_manifest(only(passed))["kit_qualification"] is None
        page = (only(passed) / "record.html").read_text(encoding="utf-8")
        assert "qualified by" not in page
