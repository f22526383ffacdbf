"""Executing through papermill: what it lets by is told, and however a run ends, nothing of it is left running."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import nbformat
import pytest
from fixtures.runs import NOTEBOOK, processes_marked

from kit.errors import ExecutionError, KitError, ParameterError, RecordError
from kit.execute import execute, find_notebook
from kit.jupyter import PROGRESS_VARIABLE
from kit.protocol import OUTPUT_VARIABLE
from kit.record.executed import read_executed
from kit.record.manifest import RUNS
from kit.record.register import REGISTER

PATIENCE_S = 60
PARAMETERS = "target = 'sandbox'\nexpected = {}"


@pytest.fixture
def notebook(tmp_path):
    """Writes a notebook of these cells, and returns where."""

    def write(*sources: str, tags: tuple[tuple[str, ...], ...] = (("parameters",),), first: str = PARAMETERS) -> Path:
        cells = [nbformat.v4.new_code_cell(source) for source in (first, *sources)]
        for cell, given in zip(cells, tags, strict=False):
            cell.metadata["tags"] = list(given)
        path = tmp_path / "a protocol.ipynb"
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
        return path

    return write


def run(notebook: Path, outputs: Path, **parameters: Any) -> Path:
    return execute(notebook, parameters, outputs, lambda *_: None)


class TestParameters:
    def test_an_unknown_parameter_is_refused(self, notebook, tmp_path):
        with pytest.raises(ParameterError, match=r"takes no parameter expcted\ngive only expected, target"):
            run(notebook(), tmp_path / "outputs", expcted={})
        assert not (tmp_path / "outputs").exists()

    @pytest.mark.parametrize(
        ("tags", "count"), [((), 0), ((("parameters",), ("parameters",)), 2)], ids=["no tag", "two tags"]
    )
    def test_a_notebook_needs_one_tagged_cell(self, tags, count, notebook, tmp_path):
        with pytest.raises(ParameterError, match=f"has {count} cells tagged `parameters`, and needs one"):
            run(notebook("1", tags=tags), tmp_path / "outputs")
        assert not (tmp_path / "outputs").exists()

    @pytest.mark.parametrize(
        "content",
        ["", "{", "[]", '{"cells": 1}', '{"cells": [1]}', '{"cells": [{"metadata": {"tags": ["parameters"]}}]}'],
    )
    def test_what_is_no_notebook_is_refused(self, content, tmp_path):
        (tmp_path / "x.ipynb").write_text(content)
        with pytest.raises(ParameterError, match=r"name a notebook of the kit|tag the cell"):
            run(tmp_path / "x.ipynb", tmp_path / "outputs")

    def test_parameters_that_are_no_python_are_refused(self, notebook, tmp_path):
        with pytest.raises(ParameterError, match="is no notebook"):
            run(notebook(first="target = "), tmp_path / "outputs")

    def test_an_annotated_parameter_is_unknown_to_papermill_and_refused(self, notebook, tmp_path):
        with pytest.raises(ParameterError, match="takes no parameter target"):
            run(notebook(first="target: str = 'sandbox'"), tmp_path / "outputs", target="sandbox")

    def test_every_kind_of_value_arrives_as_it_was(self, notebook, tmp_path):
        value = {"text": 'quote " back \\ line \n tab \t Zoë {braces} 东', "list": [1, 2.5, True, None], "empty": {}}
        made = run(notebook("assert target == expected"), tmp_path, target=value, expected=value)
        with pytest.raises(ExecutionError, match="never came to its run"):
            read_executed(made)


class TestWhatStopsANotebook:
    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("import sys\nsys.exit(0)", "stopped at code cell 2: SystemExit: 0"),
            ("1 / 0", "stopped at code cell 2: ZeroDivisionError: division by zero"),
            ("import not_installed", "stopped at code cell 2: ModuleNotFoundError: No module named 'not_installed'"),
        ],
        ids=["sys.exit(0)", "exception", "import"],
    )
    def test_the_cell_is_told(self, source, message, notebook, tmp_path):
        with pytest.raises(ExecutionError, match=message) as error:
            read_executed(run(notebook(source, "after = 1"), tmp_path))
        assert error.value.exit_code == 3

    def test_an_error_of_the_kit_is_told_with_its_status_and_without_a_traceback(self, notebook, tmp_path):
        made = run(notebook("from kit.protocol import begin\nbegin('IQ', target=target)"), tmp_path, target="sandpit")
        with pytest.raises(KitError) as error:
            read_executed(made)
        assert error.value.message.startswith("target: expected sandbox")
        assert error.value.exit_code == 2
        assert "Traceback" not in made.read_text()

    def test_a_killed_kernel_is_told_and_leaves_nothing(self, notebook, tmp_path, monkeypatch, capfd):
        mark = f"mark-{uuid.uuid4()}"
        monkeypatch.setenv("TRAILKIT_TEST_MARK", mark)
        begin = "from kit.protocol import begin\nrun = begin('IQ', target=target)"
        with pytest.raises(ExecutionError, match="kernel died") as error:
            run(notebook(begin, "import os\nos.kill(os.getpid(), 9)"), tmp_path / "outputs")
        assert error.value.exit_code == 3
        await_end(mark)
        (left,) = (tmp_path / "outputs" / RUNS).iterdir()
        assert (left / "evidence").is_dir()
        assert capfd.readouterr() == ("", "")


class TestSurroundings:
    def test_nothing_is_left_beside_the_notebook_or_in_the_environment(self, notebook, tmp_path):
        before = dict(os.environ)
        path = notebook("here = 1")
        run(path, tmp_path / "outputs")
        assert dict(os.environ) == before
        assert sorted(found.name for found in tmp_path.iterdir()) == [path.name, "outputs"]

    def test_the_kernel_opens_no_port_and_no_socket_beside_the_notebook(self, notebook, tmp_path):
        asked = (
            "import os\nfrom ipykernel.kernelapp import IPKernelApp\n"
            "assert IPKernelApp.instance().transport == 'ipc'\nassert os.listdir() == ['a protocol.ipynb']"
        )
        with pytest.raises(ExecutionError, match="never came to its run"):
            read_executed(run(notebook(asked), tmp_path.with_name(f"{tmp_path.name}-outputs")))

    def test_braces_in_a_path_are_only_braces(self, notebook, tmp_path):
        made = run(notebook("1"), tmp_path / "out {name} {{x}}", target="sandbox")
        assert made.parent.parent.name == "out {name} {{x}}"
        assert json.loads(made.read_text())["cells"][-1]["execution_count"] == 3

    def test_the_kernel_is_this_python_and_reads_no_profile_of_the_user(self, notebook, tmp_path, monkeypatch):
        startup = tmp_path / "home" / ".ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "00.py").write_text("import builtins\nbuiltins.tampered = True")
        other = tmp_path / "home" / ".local" / "share" / "jupyter" / "kernels" / "python3"
        other.mkdir(parents=True)
        kernel = {"argv": ["/bin/false"], "display_name": "another", "language": "python"}
        (other / "kernel.json").write_text(json.dumps(kernel))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        for name in ("IPYTHONDIR", "JUPYTER_PATH", "JUPYTER_DATA_DIR", "XDG_DATA_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
        asked = "import builtins, sys\nassert sys.executable == target\nassert not hasattr(builtins, 'tampered')"
        made = run(notebook(asked), tmp_path, target=sys.executable)
        with pytest.raises(ExecutionError, match="never came to its run"):
            read_executed(made)

    def test_a_kernel_that_is_not_installed_is_told(self, notebook, tmp_path):
        path = notebook("1")
        path.write_text(path.read_text().replace('"python3"', '"no-such-kernel"'))
        with pytest.raises(ExecutionError, match=r"kernel died, or did not start \(No such kernel"):
            run(path, tmp_path / "outputs")
        assert list((tmp_path / "outputs" / RUNS).iterdir()) == []

    def test_a_temporary_folder_with_a_long_name_will_do(self, notebook, tmp_path, monkeypatch):
        long = tmp_path / ("x" * 120)
        long.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(long))
        made = run(notebook("1"), tmp_path / "outputs")
        assert json.loads(made.read_text())["cells"][-1]["execution_count"] == 2

    def test_what_the_notebook_tells_of_its_progress_is_passed_on(self, notebook, tmp_path):
        told: list[Any] = []
        source = (
            f"import os, time\nopen(os.environ['{PROGRESS_VARIABLE}'], 'a').write('[\"Regions\", 1, 2]\\n')\n"
            f"assert os.environ['{OUTPUT_VARIABLE}'] == target\ntime.sleep(0.5)"
        )
        outputs = tmp_path / "outputs"
        execute(notebook(source), {"target": str(outputs)}, outputs, lambda *line: told.append(line))
        assert told == [("Regions", 1, 2)]

    def test_an_outputs_folder_that_cannot_be_written_is_told(self, notebook, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(RecordError, match=r"outputs folder \S+file can't be written: .*\nchoose another"):
            run(notebook("1"), tmp_path / "file")

    def test_a_notebook_that_is_not_installed_is_told(self):
        assert find_notebook(NOTEBOOK.name) == NOTEBOOK
        with pytest.raises(ParameterError, match=r"notebooks/oq\.ipynb is not installed"):
            find_notebook("oq.ipynb")


def await_end(mark: str) -> None:
    """Wait until no process with a mark is left; a kernel looks for its parent once a second."""
    deadline = time.monotonic() + 15
    while left := processes_marked(mark):
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.1)


# The command with a notebook that begins a run, embedded account and all, and then sleeps.
SLOWLY = """
import sys, kit.execute
from pathlib import Path
path = Path(sys.argv.pop())
kit.execute.find_notebook = lambda name: path
from kit.cli.main import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "to_the_group", "status"),
    [(signal.SIGINT, False, 3), (signal.SIGINT, True, 3), (signal.SIGTERM, False, 3), (signal.SIGKILL, False, -9)],
    ids=["SIGINT", "Ctrl-C", "SIGTERM", "SIGKILL"],
)
def test_a_run_that_is_stopped_midway_leaves_its_evidence_and_no_process(
    number, to_the_group, status, notebook, tmp_path
):
    path = notebook(
        "from kit.protocol import begin\nrun = begin('IQ', target=target)\nrun.collect()",
        f"from pathlib import Path\nimport time\nPath({str(tmp_path / 'started')!r}).touch()\ntime.sleep(600)",
        first="target = expected = execution = None",
    )
    mark = f"mark-{uuid.uuid4()}"
    (tmp_path / "t").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, "demo", "--output", tmp_path / "outputs", path],
        env=os.environ | {"TRAILKIT_TEST_MARK": mark, "TMPDIR": str(tmp_path / "t")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # whoever started the tests may have them ignore it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (tmp_path / "started").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert len(processes_marked(mark)) == 3
        (os.killpg if to_the_group else os.kill)(process.pid, number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    await_end(mark)
    assert process.returncode == status
    assert out == ""
    assert err == ("" if status < 0 else "the run was interrupted\nrun it again; the evidence so far is kept in the "
                   "outputs folder, under .runs\n")  # fmt: skip
    left = {found.name for found in (tmp_path / "outputs").iterdir()}
    assert left == {RUNS, REGISTER} | (set() if status < 0 else {"index.html"})
    (folder,) = [found for found in (tmp_path / "outputs" / RUNS).iterdir() if found.is_dir()]
    assert (folder / "evidence" / "index.jsonl").read_text()
    if status > 0:
        assert [found.name for found in (tmp_path / "outputs" / RUNS).iterdir()] == [folder.name]
        assert list((tmp_path / "t").iterdir()) == []
