"""Executes a notebook through papermill, and lets by none of what papermill lets by."""

import ast
import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from kit.canonical import Json
from kit.errors import ExecutionError, KitError, ParameterError, RecordError
from kit.jupyter import PROGRESS_VARIABLE
from kit.protocol import APPROVED_VARIABLE, CLUSTER_VARIABLE, OUTPUT_VARIABLE
from kit.record.executed import sources_sha256
from kit.record.manifest import RUNS
from kit.shipped import shipped


class Progress(Protocol):
    """Told what is under way, how much of it is done, of how much, and of how many bytes where those count."""

    def __call__(self, phase: str, done: int, total: int, size: int = 0) -> None:
        """Take note."""


_AGAIN = "run it again; the evidence so far is kept in the outputs folder, under .runs"
_POLL_S = 0.1
_SOCKET_PATH = 100
"""How long a socket's path may be, with something to spare: 104 bytes on macOS, 108 on Linux (unix(7))."""


def execute(
    notebook: Path,
    parameters: Mapping[str, Json],
    outputs: Path,
    progress: Progress,
    approved: Path | None = None,
    cluster: str = "",
) -> Path:
    """Execute a notebook with parameters, and return where the executed one was written, under `outputs/.runs`.

    `approved` is the signed protocol that the run rests on; `cluster` the scheduler of a Dask cluster, which reads what
    is read in bulk.

    Whether it ran to its end is for `seal` to judge; here only what stopped it on the way is told. No process is left.

    Raises:
        ParameterError: the notebook takes no parameters, or not all of these.
        ExecutionError: it was interrupted, or its kernel died or can't be started.
        RecordError: the outputs folder can't be written.
    """
    notebook, outputs = notebook.resolve(), outputs.resolve()
    _hold_parameters(notebook, parameters)
    executed = _reserve(outputs, notebook.stem)
    try:
        _run_papermill(notebook, executed, parameters, outputs, progress, approved, cluster)
    except BaseException:
        # nothing is saved on the way: what is there is empty, or torn by a full disk
        executed.unlink(missing_ok=True)
        raise
    return executed


def _run_papermill(
    notebook: Path,
    executed: Path,
    parameters: Mapping[str, Json],
    outputs: Path,
    progress: Progress,
    approved: Path | None,
    cluster: str,
) -> None:
    # imported here: papermill takes seconds to import, and only an execution needs it
    import nbclient.exceptions  # noqa: PLC0415
    import papermill  # noqa: PLC0415
    from jupyter_client.kernelspec import NoSuchKernel  # noqa: PLC0415
    from papermill.exceptions import PapermillException  # noqa: PLC0415

    # what they log is told in our own words; without a handler, Python would print it
    for name in ("papermill", "asyncio"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    with (
        tempfile.TemporaryDirectory(prefix="trailkit-") as scratch,
        _loop_closed(),
        _told_by(Path(scratch), progress) as told,
    ):
        told[OUTPUT_VARIABLE] = str(outputs)
        if approved:
            told[APPROVED_VARIABLE] = str(approved.resolve())
        if cluster:
            told[CLUSTER_VARIABLE] = cluster
        try:
            papermill.execute_notebook(
                # papermill fills in what stands in braces
                *(str(path).replace("{", "{{").replace("}", "}}") for path in (notebook, executed)),
                parameters=dict(parameters),
                progress_bar=False,
                # saving before and after each cell costs more than the cells; what a killed run had is its evidence
                request_save_on_cell_execute=False,
                # papermill's own `cwd` would be that of this process, and of every run beside this one
                **_local_kernel(Path(scratch), notebook.parent, told),
            )
        except KeyboardInterrupt as error:
            raise ExecutionError("the run was interrupted", _AGAIN) from error
        except (PapermillException, nbclient.exceptions.CellExecutionError):
            # what stopped it stands in the executed notebook, and is told from there
            return
        except (RuntimeError, TimeoutError, NoSuchKernel) as error:
            raise ExecutionError(f"the notebook's kernel died, or did not start ({error})", _AGAIN) from error
        except OSError as error:
            raise RecordError(
                f"{outputs} can't be written: {error.strerror or error}",
                "free space or choose another folder (--output)",
            ) from error


@contextlib.contextmanager
def _loop_closed() -> Iterator[None]:
    """Close the event loop that Jupyter opens for a thread, and would leave open; that of the main thread stays."""
    from jupyter_core.utils import ensure_event_loop  # noqa: PLC0415 - as papermill is

    if threading.current_thread() is threading.main_thread():
        yield
        return
    loop = ensure_event_loop()
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _local_kernel(scratch: Path, folder: Path, told: Mapping[str, str]) -> dict[str, Any]:
    """Return what has the kernel of this Python run in a folder, with further variables, and talk through sockets in
    one of its own: no port, no network, no other run's. Nothing of this process is changed, so that runs can be made
    side by side.

    What it writes to its own standard error is a library's, and about ending; what a cell writes is in the notebook.
    """
    from jupyter_client.kernelspec import KernelSpecManager  # noqa: PLC0415
    from jupyter_client.manager import AsyncKernelManager  # noqa: PLC0415
    from traitlets import default  # noqa: PLC0415
    from traitlets.config import Config  # noqa: PLC0415

    class Quiet(AsyncKernelManager):
        @default("kernel_spec_manager")
        def _of_this_python(self) -> KernelSpecManager:
            # the user may have installed another under the same name
            return KernelSpecManager(kernel_dirs=[str(Path(sys.prefix) / "share" / "jupyter" / "kernels")])

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]  # declared for both kinds
            silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            await super().start_kernel(**options | silent | {"cwd": str(folder), "env": {**os.environ, **told}})

    sockets = scratch / "kernel"
    short = len(os.fsencode(sockets)) <= _SOCKET_PATH
    transport = {"transport": "ipc", "ip": str(sockets)} if short else {}
    return {"kernel_manager_class": Quiet, "config": Config({"KernelManager": transport})}


def _hold_parameters(notebook: Path, parameters: Mapping[str, Json]) -> None:
    """Hold the parameters against the notebook's cell tagged `parameters`: papermill would only warn."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        tagged = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
        lines = [ast.parse(source).body for source in tagged]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError) as error:
        raise ParameterError(f"{notebook} is no notebook: {error}", "name a notebook of the kit") from error
    if len(tagged) != 1:
        raise ParameterError(
            f"{notebook.name} has {len(tagged)} cells tagged `parameters`, and needs one",
            "tag the cell that holds the parameters, and no other",
        )
    targets = [name for line in lines[0] if isinstance(line, ast.Assign) for name in line.targets]
    taken = {name.id for name in targets if isinstance(name, ast.Name)}
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
def _told_by(scratch: Path, progress: Progress) -> Iterator[dict[str, str]]:
    """Pass on what the notebook's run tells of its progress, while the block runs; yield the variables it needs.

    The kernel starts with an IPython profile of its own: nothing of the user's runs in it.
    """
    path = scratch / "progress"
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

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield {PROGRESS_VARIABLE: str(path), "IPYTHONDIR": str(scratch / "ipython")}
    finally:
        done.set()
        follower.join()


def find_notebook(name: str) -> Path:
    """Return where a notebook of the kit is: in the working copy's `notebooks`, or in the installed package.

    Raises:
        ParameterError: it is in neither.
    """
    return shipped(f"notebooks/{name}")


def choose_notebook(name: str, folder: Path | None = None) -> Path:
    """Return which notebook is executed: the kit's own, qualified with it, or that of a folder that was named.

    Neither takes the place of the other unsaid: where `notebooks` of the current folder has another of that name, a
    folder has to be named.

    Raises:
        ParameterError: the folder has none of that name, or it was not said which of two is meant.
    """
    own = find_notebook(name)
    if folder is not None:
        if not (folder / name).is_file():
            raise ParameterError(f"{folder} has no notebook {name}", "name a folder that has it (--notebooks)")
        return folder / name
    here = Path("notebooks") / name
    if here.is_file() and protocol_sha256(here) != protocol_sha256(own):
        raise ParameterError(
            f"{here} is another protocol than the kit's {name}, and it is not said which is meant",
            "name the folder to execute it: --notebooks notebooks; or execute the kit's from another folder",
        )
    return own


def protocol_sha256(notebook: Path) -> str:
    """Return the hash of a notebook as written, which a record and an approval hold as `protocol_sha256`.

    Raises:
        ParameterError: it is no notebook.
    """
    try:
        return sources_sha256(json.loads(notebook.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, KitError) as error:
        raise ParameterError(f"{notebook} is no notebook that can be read", "restore it, or remove it") from error
