"""What a cell shows beside its output: how far it is, and in place of a traceback what a `KitError` asks for."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kit.errors import KitError
from kit.present.displays import Display

PROGRESS_VARIABLE = "TRAILKIT_PROGRESS"

_SELDOM_S = 0.1
_told: dict[str, float] = {}
"""When each phase was last told of."""


def tell_progress(phase: str, done: int, total: int, size: int = 0) -> None:
    """Tell a waiting `trailkit run` how far the notebook is, some times a second; on its own it tells nobody."""
    path = os.environ.get(PROGRESS_VARIABLE)
    if path and _due(phase, done, total):
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([phase, done, total, size]) + "\n")


@contextmanager
def progress_shown() -> Iterator[Callable[..., None]]:
    """Yield what tells of progress: under the cell while somebody looks on, and then gone, so that no record has it."""
    from IPython import get_ipython  # noqa: PLC0415 - a notebook has it; the rest of the kit does not need it

    if os.environ.get(PROGRESS_VARIABLE) or not hasattr(get_ipython(), "kernel"):
        yield tell_progress
        return
    from IPython.display import HTML, clear_output, display  # noqa: PLC0415

    def bar(text: str, **amount: int) -> Any:
        given = " ".join(f'{name}="{number}"' for name, number in amount.items())
        return HTML(f"<label>{text} <progress {given}></progress></label>")  # type: ignore[no-untyped-call]

    handle: Any = display(bar("Asking AWS"), display_id=True)  # type: ignore[no-untyped-call]

    def show(phase: str, done: int, total: int, size: int = 0) -> None:  # noqa: ARG001
        if _due(phase, done, total):
            handle.update(bar(f"{phase}: {done} of {total}", max=total, value=done))

    try:
        yield show
    finally:
        clear_output()  # type: ignore[no-untyped-call]


def show(display: Display) -> None:
    """Show a display under the running cell, besides what the cell ends with."""
    from IPython.display import display as show_output  # noqa: PLC0415

    show_output(display)  # type: ignore[no-untyped-call]


def show_kit_errors_as_cards() -> None:
    """Have the running notebook show a `KitError` as a card instead of a traceback; elsewhere do nothing."""
    from IPython import get_ipython  # noqa: PLC0415 - a notebook has it; the rest of the kit does not need it

    shell = get_ipython()
    if shell is None:
        return

    def show(_shell: Any, _kind: type, error: KitError, _trace: Any, tb_offset: int | None = None) -> None:  # noqa: ARG001
        from IPython.display import display  # noqa: PLC0415

        card = {"message": error.message, "remedy": error.remedy, "exit_code": error.exit_code}
        display(Display("error", card))  # type: ignore[no-untyped-call]

    shell.set_custom_exc((KitError,), show)


def _due(phase: str, done: int, total: int) -> bool:
    if done < total and time.monotonic() - _told.get(phase, 0.0) < _SELDOM_S:
        return False
    _told[phase] = time.monotonic()
    return True
