"""Holds a check to what it was given: while it judges, its thread reaches no network, no program and no file."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_REFUSED = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.remove", "os.rename",
    "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.putenv", "os.unsetenv", "os.chdir", "pty.",
    "shutil.", "sqlite3.", "http.", "urllib.", "ctypes.dlopen", "_thread.start_new_thread",
)  # fmt: skip
"""Audit events, by how they begin [Python library reference, "Audit events table"]."""

_MODULES = (".py", ".pyc", ".so", ".pyd")
_CACHE = "__pycache__"
"""A check may import what it uses while it judges, and Python keep what it compiled of that."""

_thread = threading.local()


class _ImpureError(Exception):
    """A check reached for more than it was given."""


@contextmanager
def judging() -> Iterator[list[str]]:
    """Refuse, in this thread and while the block runs, what a check has no use for; yield what was refused so far.

    The clock can't be kept from a check: that is for the replay to find out.
    """
    _watch()
    before = getattr(_thread, "refused", None)
    refused: list[str] = []
    _thread.refused = refused
    try:
        yield refused
    finally:
        _thread.refused = before


@cache
def _watch() -> None:
    # a hook stays for as long as the process does: it is added once, and minds only threads that judge
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    refused = getattr(_thread, "refused", None)
    if refused is None or not (event == "open" or event.startswith(_REFUSED)):
        return
    path = str(arguments[0]) if arguments else ""
    if not (_CACHE in path or (event == "open" and path.endswith(_MODULES))):
        refused.append(event)
        raise _ImpureError(f"a check has no use for {event}")
