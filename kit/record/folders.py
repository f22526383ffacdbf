"""Folders that are whole or absent: written aside, synced, and renamed; and the marks of whoever is at work in one."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from kit.errors import RecordError
from kit.record.manifest import MANIFEST, files_in

_ASIDE = ".replaced-"
_ELSEWHERE = ".elsewhere"
_SEALING, _SIGNING = ".sealing-", ".signing-"


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Make an empty folder that nobody else writes to, for a block that renames it; remove it where it was not renamed.

    What a killed process left in it is removed: the lock died with that process.

    Raises:
        BlockingIOError: another process holds it.
    """
    handle = _made(path)
    try:
        for left in path.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield path
    finally:
        # once it is renamed, another process may have made one of that name
        if _is_at(handle, path):
            shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def _made(path: Path) -> int:
    """Make a folder and hold it, again where `restore` took it for a dead process's in between."""
    while True:
        path.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            return hold(path)


def hold(folder: Path) -> int:
    """Lock a folder for as long as this process lives, or until the handle that is returned is closed.

    Raises:
        BlockingIOError: another process holds it.
    """
    # a system without it can read and verify a record all the same
    import fcntl  # noqa: PLC0415

    while True:
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(handle)
            raise
        if _is_at(handle, folder):
            return handle
        # another has taken its place between opening and locking it
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Return whether a path still leads to what a handle was opened on."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError:
        return False


@contextlib.contextmanager
def held(record: Path) -> Iterator[None]:
    """Hold a record for a block that adds to it: what adds to one record comes one after the other.

    Raises:
        RecordError: another process adds to it.
    """
    try:
        handle = hold(record)
    except BlockingIOError as error:
        raise RecordError(f"another process adds to {record}", "wait until it is done") from error
    except OSError as error:
        raise RecordError(f"{record} can't be opened: {error.strerror}", "name the folder of a record") from error
    try:
        yield
    finally:
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Return whether a process that lives holds a folder."""
    try:
        os.close(hold(folder))
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def records_in(outputs: Path) -> list[Path]:
    """Return the folders of the records in an outputs folder, sorted; what is being written is none yet."""
    found = (path.parent for path in sorted(outputs.glob(f"*/{MANIFEST}")))
    return [folder for folder in found if not folder.name.startswith(".")]


def note_elsewhere(record: Path, names: Iterable[str]) -> None:
    """Note which files of a record were not brought into the outputs folder with it."""
    path = record.parent / _ELSEWHERE / record.name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def elsewhere(record: Path) -> frozenset[str]:
    """Return the files of a record that were not brought with it: they lie where it came from, and are not missing."""
    try:
        return frozenset((record.parent / _ELSEWHERE / record.name).read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError):
        return frozenset()


def write_whole(file: Path, content: bytes) -> None:
    """Write a file that is whole or absent at any instant, and on the disk afterwards."""
    aside = file.with_name(f".{file.name}")
    with aside.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    aside.rename(file)
    sync_folder(file.parent)


def sync(folder: Path) -> None:
    """Have every file and folder below a folder on the disk, and the folder itself."""
    for name in files_in(folder):
        with (folder / name).open("rb") as stream:
            os.fsync(stream.fileno())
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        sync_folder(path)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def exchange(record: Path, other: Path) -> None:
    """Put another folder in the place of a record's, under the register's lock; `restore` mends what a kill leaves."""
    aside = record.parent / f"{_ASIDE}{record.name}"
    record.rename(aside)
    try:
        other.rename(record)
    except BaseException:
        aside.rename(record)
        raise
    sync_folder(record.parent)
    shutil.rmtree(aside)


def restore(outputs: Path) -> None:
    """Put back, or away, what killed processes left in an outputs folder; under the register's lock.

    A record that was put aside comes back. What was written of a record, an addendum or a signature goes, unless a
    process that lives is at it.
    """
    for aside in outputs.glob(f"{_ASIDE}*"):
        record = outputs / aside.name.removeprefix(_ASIDE)
        if record.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(record)
    for left in outputs.glob(f"{_SEALING}*"):
        with contextlib.suppress(OSError), temporary_folder(left):
            pass
    for left in outputs.glob(f"{_SIGNING}*"):
        with contextlib.suppress(RecordError, OSError), held(outputs / left.name.removeprefix(_SIGNING)):
            left.unlink()
