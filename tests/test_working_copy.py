"""A working copy that QA versions: what is laid out, and which notebooks are executed in it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import yaml

from kit import shipped as shipping
from kit.catalogue import kit_protocol, protocols
from kit.cli import qualify
from kit.errors import ExecutionError, ParameterError
from kit.execute import choose_notebook, find_notebook, protocol_sha256
from kit.parameters import RunParameters, load_file

ROOT = Path(__file__).parent.parent
NAME = "iq_trail_encryption.ipynb"
NOTEBOOKS = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
LAID = {
    "README.md", ".gitignore", ".github/workflows/validate.yml", ".gitlab-ci.yml", "outputs/.gitkeep",
    "parameters/account.yaml", "parameters/sandbox.yaml", "parameters/parameters.schema.json",
    "parameters/targets.example.yaml",
    *(f"notebooks/{name}" for name in NOTEBOOKS),
}  # fmt: skip


def files(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if path.parts[0] != ".git"}


class TestInit:
    @pytest.mark.parametrize("made", ["not there", "below one that is not there", "empty", "a fresh clone"])
    def test_it_lays_out_everything(self, made, call, tmp_path):
        folder = tmp_path / "a" / "qa" if made.startswith("below") else tmp_path / "qa"
        if made == "empty":
            folder.mkdir()
        if made == "a fresh clone":
            (folder / ".git").mkdir(parents=True)
            (folder / ".git" / "HEAD").touch()
        status, out, err = call("init", folder)
        assert (status, err) == (0, "")
        assert str(folder / "README.md") in out
        assert files(folder) == LAID

    def test_what_is_laid_out_is_what_comes_with_the_kit(self, call, tmp_path):
        call("init", "qa")
        qa = tmp_path / "qa"
        same = {
            ".github/workflows/validate.yml": "docs/ci/github/validate.yml",
            ".gitlab-ci.yml": "docs/ci/gitlab-ci.yml",
            "parameters/account.yaml": "parameters/example-account.yaml",
            "parameters/parameters.schema.json": "parameters/parameters.schema.json",
            **{f"notebooks/{name}": f"notebooks/{name}" for name in NOTEBOOKS},
        }
        for place, source in same.items():
            assert (qa / place).read_bytes() == (ROOT / source).read_bytes()
        schema = json.loads((qa / "parameters" / "parameters.schema.json").read_bytes())
        for name in ("account", "sandbox"):
            told = load_file(qa / "parameters" / f"{name}.yaml")
            RunParameters.load(told)
            jsonschema.validate(told, schema)

    def test_the_examples_for_ci_name_parameters_that_are_there(self, call, tmp_path):
        call("init", "qa")
        for place in (".github/workflows/validate.yml", ".gitlab-ci.yml"):
            text = (tmp_path / "qa" / place).read_text(encoding="utf-8")
            named = [word for word in text.split() if word.startswith("parameters/")]
            assert named
            assert all((tmp_path / "qa" / name).is_file() for name in named)

    def test_git_takes_no_record(self, call, tmp_path):
        import subprocess

        call("init", "qa")
        subprocess.run(["git", "init", "--quiet", "qa"], cwd=tmp_path, check=True)
        record = tmp_path / "qa" / "outputs" / "IQ-1"
        record.mkdir()
        (record / "findings.json").touch()
        listing = ["git", "ls-files", "--others", "--exclude-standard"]
        done = subprocess.run(listing, cwd=tmp_path / "qa", capture_output=True, text=True, check=True)
        assert set(done.stdout.split()) == LAID

    @pytest.mark.parametrize("there", ["README.md", ".gitlab-ci.yml", "else/x"])
    def test_nothing_that_is_there_is_touched(self, there, call, tmp_path):
        path = tmp_path / "qa" / there
        path.parent.mkdir(parents=True)
        path.write_text("mine")
        first = there.partition("/")[0]
        remedy = "name a folder that is empty, or not there yet"
        assert call("init", "qa") == (2, "", f"qa is not empty: it holds {first}\n{remedy}\n")
        assert (path.read_text(), files(tmp_path / "qa")) == ("mine", {there})

    def test_a_second_time_it_refuses(self, call):
        assert call("init", "qa")[0] == 0
        assert call("init", "qa")[0] == 2

    def test_a_file_is_no_folder(self, call, tmp_path):
        (tmp_path / "qa").touch()
        assert call("init", "qa")[2].splitlines()[0] == "qa is no folder"
        assert call("init", "qa/inside")[2].count("\n") == 2


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """A notebook in the `notebooks` of the current folder, the same as the kit's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / NAME).write_bytes(find_notebook(NAME).read_bytes())
    return tmp_path / "notebooks" / NAME


def edit(notebook: Path) -> str:
    """Have a notebook say something else, and return its hash."""
    notebook.write_text(notebook.read_text(encoding="utf-8").replace("**Purpose.**", "**Aim.**"), encoding="utf-8")
    return protocol_sha256(notebook)


class TestNotebooks:
    def test_every_protocol_has_one_that_comes_with_the_kit(self):
        assert {kit_protocol(name).notebook for name in protocols()} == NOTEBOOKS
        assert all(find_notebook(name).is_file() for name in NOTEBOOKS)

    @pytest.mark.usefixtures("here")
    def test_the_kits_own_is_executed_where_the_one_here_is_the_same(self):
        assert choose_notebook(NAME) == find_notebook(NAME)

    def test_one_that_was_only_run_here_is_the_same(self, here):
        notebook = json.loads(here.read_bytes())
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell |= {"execution_count": 1, "outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}]}
        here.write_text(json.dumps(notebook))
        assert choose_notebook(NAME) == find_notebook(NAME)

    def test_another_protocol_here_is_refused_until_it_is_named(self, here):
        edit(here)
        with pytest.raises(ParameterError, match=f"notebooks/{NAME} is another protocol than the kit's"):
            choose_notebook(NAME)
        assert choose_notebook(NAME, Path("notebooks")) == Path("notebooks") / NAME

    @pytest.mark.parametrize("content", [b"", b"{}", b'{"cells": 1}', b"\xff"])
    def test_what_is_no_notebook_is_told(self, content, here):
        here.write_bytes(content)
        with pytest.raises(ParameterError, match="is no notebook"):
            choose_notebook(NAME)

    def test_a_folder_without_it_is_told(self, tmp_path):
        with pytest.raises(ParameterError, match="has no notebook"):
            choose_notebook(NAME, tmp_path)

    def test_what_lies_beside_an_installed_kit_is_none_of_its_files(self, tmp_path, monkeypatch):
        for folder in (tmp_path / "notebooks", tmp_path / "kit" / "_data" / "notebooks"):
            folder.mkdir(parents=True)
            (folder / NAME).touch()
        monkeypatch.setattr(shipping, "_PACKAGE", tmp_path / "kit")
        assert shipping.shipped(f"notebooks/{NAME}") == tmp_path / "kit" / "_data" / "notebooks" / NAME
        (tmp_path / "notebooks" / "other.ipynb").touch()
        with pytest.raises(ParameterError, match=r"notebooks/other\.ipynb is not installed"):
            shipping.shipped("notebooks/other.ipynb")


class TestRun:
    """What the command makes of them; the execution itself is cut short."""

    @pytest.fixture
    def executed(self, monkeypatch) -> list[Path]:
        taken: list[Path] = []

        def stop(notebook: Path, *_: Any) -> Path:
            taken.append(notebook)
            raise ExecutionError("stopped", "here")

        monkeypatch.setattr("kit.qualify.execute", stop)
        return taken

    @pytest.fixture
    def parameters(self, tmp_path) -> Path:
        path = tmp_path / "p.yaml"
        path.write_text(yaml.safe_dump({"target": "sandbox"}))
        return path

    def test_it_refuses_before_anything_is_executed(self, call, here, executed, parameters):
        edit(here)
        for arguments in (("run", "iq", "-f"), ("protocol", "iq", "-f"), ("run", "iq", "--targets")):
            status, out, err = call(*arguments, parameters)
            assert (status, out, executed) == (2, "", [])
            assert len(err.splitlines()) == 2
            assert "--notebooks notebooks" in err

    def test_a_named_one_is_executed_and_its_hash_is_told(self, call, here, executed, parameters):
        digest = edit(here)
        status, _, err = call("run", "iq", "-f", parameters, "--notebooks", "notebooks")
        assert (status, executed) == (3, [Path("notebooks") / NAME])
        told = f"notebook  notebooks/{NAME}, not the kit's: protocol_sha256 {digest}"
        assert err.splitlines()[0] == told

    @pytest.mark.usefixtures("executed")
    def test_a_named_one_that_is_the_same_is_told_to_be(self, call, here, parameters):
        _, _, err = call("run", "iq", "-f", parameters, "--notebooks", "notebooks")
        assert f"notebooks/{NAME}, the same as the kit's: protocol_sha256 {protocol_sha256(here)}" in err

    def test_a_demonstration_is_of_the_kits_own(self, call, here, executed):
        edit(here)
        call("demo")
        assert executed == [find_notebook(NAME)]

    def test_an_approval_is_held_against_the_one_that_is_executed(self, here, monkeypatch):
        digest, held = edit(here), []
        approval = SimpleNamespace(manifest={"protocol": {"id": "IQ"}}, statements=(), record_id="IQP-1")
        monkeypatch.setattr("kit.record.verification.approval.read_approval", lambda *_: approval)
        monkeypatch.setattr("kit.record.verification.approval.hold_approval", lambda *given: held.append(given[3]))
        chosen = qualify.choose_notebooks(["IQ"], Path("notebooks"))
        told = RunParameters.load({"target": "sandbox"})
        assert qualify.read_approvals([Path("a.pdf")], None, chosen, told, silent=True) == {"IQ": Path("a.pdf")}
        assert held == [digest]

    def test_the_record_of_a_named_one_holds_its_hash(self, tmp_path):
        from fixtures.runs import copied, edited, executed_once, sealed

        outputs = copied(executed_once(), tmp_path)
        with edited(outputs / "x.ipynb") as notebook:
            notebook["cells"][0]["source"] = ["# Ours"]
        record = sealed(outputs)
        manifest = json.loads((record.folder / "manifest.json").read_bytes())
        assert manifest["protocol_sha256"] == record.executed.sources_sha256 != protocol_sha256(find_notebook(NAME))
