"""Executes a notebook through papermill, and lets by none of what papermill lets by."""

import ast
import contextlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kit.canonical import Json
from kit.errors import ExecutionError, ParameterError, RecordError
from kit.protocol import OUTPUT_VARIABLE, PROGRESS_VARIABLE
from kit.record.manifest import RUNS

Progress = Callable[[str, int, int], None]

_AGAIN = "run it again; the evidence so far is kept in the outputs folder, under .runs"
_POLL_S = 0.1


def execute(notebook: Path, parameters: Mapping[str, Json], outputs: Path, progress: Progress) -> Path:
    """Execute a notebook with parameters, and return where the executed one was written, under `outputs/.runs`.

    Whether it ran to its end is for `seal` to judge; here only what stopped it on the way is told.

    Raises:
        ParameterError: the notebook takes no parameters, or not all of these.
        ExecutionError: it was interrupted, or its kernel died.
        RecordError: the outputs folder can't be written.
    """
    notebook, outputs = notebook.resolve(), outputs.resolve()
    _hold_parameters(notebook, parameters)
    executed = _reserve(outputs, notebook.stem)
    # imported here: papermill takes seconds to import, and only an execution needs it
    import nbclient.exceptions  # noqa: PLC0415
    import papermill  # noqa: PLC0415
    from papermill.exceptions import PapermillException  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as scratch, _told_by(Path(scratch) / "progress", outputs, progress):
        try:
            papermill.execute_notebook(
                str(notebook),
                str(executed),
                parameters=dict(parameters),
                progress_bar=False,
                cwd=str(notebook.parent),
                **_quiet_kernel(),
            )
        except KeyboardInterrupt as error:
            raise ExecutionError("the run was interrupted", _AGAIN) from error
        except (nbclient.exceptions.DeadKernelError, TimeoutError) as error:
            raise ExecutionError("the notebook's kernel died", _AGAIN) from error
        except (PapermillException, nbclient.exceptions.CellExecutionError):
            # what stopped it stands in the executed notebook, and is told from there
            return executed
        except OSError as error:
            raise RecordError(
                f"{outputs} can't be written: {error.strerror or error}", "free space or choose another folder (--output)"
            ) from error
    return executed


def _quiet_kernel() -> dict[str, Any]:
    """Return what keeps the kernel on a local socket, where the system has such; it needs no network at all."""
    if os.name == "nt":
        return {}
    from traitlets.config import Config  # noqa: PLC0415

    return {"config": Config({"KernelManager": {"transport": "ipc"}})}


def _hold_parameters(notebook: Path, parameters: Mapping[str, Json]) -> None:
    """Hold the parameters against the notebook's cell tagged `parameters`: papermill would only warn."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParameterError(f"{notebook} is no notebook: {error}", "name a notebook of the kit") from error
    tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    if len(tagged) != 1:
        raise ParameterError(
            f"{notebook.name} has {len(tagged)} cells tagged `parameters`, and needs one",
            "tag the cell that holds the parameters, and no other",
        )
    tree = ast.parse("".join(tagged[0]["source"]))
    taken = {
        name.id for line in tree.body if isinstance(line, ast.Assign) for name in line.targets if isinstance(name, ast.Name)
    }
    if unknown := sorted(set(parameters) - taken):
        raise ParameterError(
            f"{notebook.name} takes no parameter {', '.join(unknown)}", f"give only {', '.join(sorted(taken))}"
        )


def _reserve(outputs: Path, stem: str) -> Path:
    """Return a fresh path for the executed notebook, and make sure that the folder can be written."""
    try:
        (outputs / RUNS).mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=".ipynb", prefix=f"{stem}-", dir=outputs / RUNS)
        os.close(handle)
    except OSError as error:
        raise RecordError(
            f"the outputs folder {outputs} can't be written: {error.strerror}", "choose another folder (--output)"
        ) from error
    return Path(name)


@contextlib.contextmanager
def _told_by(path: Path, outputs: Path, progress: Progress) -> Iterator[None]:
    """Pass on what the notebook's run tells of its progress, while the block runs; the kernel inherits the variables."""
    path.touch()
    done = threading.Event()

    def follow() -> None:
        with path.open(encoding="utf-8") as stream:
            while not done.is_set():
                line = stream.readline()
                if line.endswith("\n"):
                    progress(*json.loads(line))
                else:
                    time.sleep(_POLL_S)

    kept = {name: os.environ.get(name) for name in (OUTPUT_VARIABLE, PROGRESS_VARIABLE)}
    os.environ |= {OUTPUT_VARIABLE: str(outputs), PROGRESS_VARIABLE: str(path)}
    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        done.set()
        follower.join()
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def find_notebook(name: str) -> Path:
    """Return where a notebook of the kit is: in the working copy's `notebooks`, or in the installed package.

    Raises:
        ParameterError: it is in neither.
    """
    package = Path(__file__).parent
    for folder in (package.parent / "notebooks", package / "_data" / "notebooks"):
        if (folder / name).is_file():
            return folder / name
    raise ParameterError(f"the notebook {name} is not installed", "install the kit again, or run from a working copy")
