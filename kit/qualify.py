"""Qualifies one target by one protocol: the notebook is executed, and what was executed is sealed into a record."""

import shlex
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from kit.canonical import Json
from kit.catalogue import protocol
from kit.errors import ExecutionError, KitError
from kit.execute import Progress, execute, find_notebook
from kit.record.history import settle
from kit.record.register import locked_register
from kit.record.seal import Sealed, seal


def qualify(
    protocol_id: str,
    parameters: Mapping[str, Json],
    outputs: Path,
    progress: Progress,
    approved: Path | None = None,
    notebook: Path | None = None,
    *,
    pdf: bool = True,
    cluster: str = "",
) -> Sealed:
    """Execute the notebook of a protocol with parameters, seal what was executed, and return the record.

    `notebook` is executed in place of the kit's own. Without `pdf` the record has none until it is rendered again.
    `cluster` is the scheduler of a Dask cluster, which reads what is read in bulk.

    What became of it is in the register of the outputs folder when this returns, and also when it raises.

    Raises:
        KitError: it did not run to its end, or can't be sealed.
    """
    notebook = notebook or find_notebook(protocol(protocol_id).notebook)
    with _rendering_prepared(pdf=pdf), _ended_runs_registered(outputs):
        executed = execute(notebook, parameters, outputs, progress, approved, cluster)
        progress("Sealing the record", 0, 1)
        try:
            return seal_executed(executed, outputs, pdf=pdf)
        except KeyboardInterrupt as error:
            again = shlex.join(["trailkit", "seal", str(executed), "--output", str(outputs)])
            raise ExecutionError("interrupted while sealing", f"the run is kept; seal it with `{again}`") from error


def seal_executed(notebook: Path, outputs: Path, *, pdf: bool = True) -> Sealed:
    """Seal an executed notebook and its evidence into a record, rendered: with a PDF, or without.

    Raises:
        KitError: it did not run to its end, or can't be sealed.
    """
    # imported here: what renders takes as long to import as a kernel to start
    from kit.render.record import render_record  # noqa: PLC0415

    return seal(notebook, outputs, partial(render_record, pdf=pdf))


@contextmanager
def _ended_runs_registered(outputs: Path) -> Iterator[None]:
    """Have the register say at once what became of a run that the block did not bring to its end."""
    try:
        yield
    except BaseException:
        # it is told what went wrong; that the register can't be written as well is told by the next run
        with suppress(KitError, OSError), locked_register(outputs) as register:
            settle(register, outputs)
        raise


@contextmanager
def _rendering_prepared(*, pdf: bool) -> Iterator[None]:
    """Import what renders the record while the notebook runs in its own process."""

    def load() -> None:
        import kit.render.record  # noqa: F401, PLC0415
        from kit.render.pdf import load_weasyprint  # noqa: PLC0415

        if pdf:
            # a missing library is told when the record is rendered
            with suppress(KitError):
                load_weasyprint()

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
