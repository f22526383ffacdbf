"""The register: `register.jsonl` in the outputs folder, the hash-chained log of every execution and what became of it.

One canonical JSON object a line (RFC 8785), each with its number and the SHA-256 of the line before it. Lines are only
ever appended, under a lock that processes share, and synced before anything rests on them. That the end was cut off
can't be seen from the file alone: records, signatures and receipts carry the latest entry that they saw, and the
register is held against all of them.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kit.canonical import Json, canonical, sha256
from kit.errors import EvidenceError, RecordError, RejectionError
from kit.evidence import timestamp, utc_now
from kit.record.folders import sync_folder

REGISTER = "register.jsonl"
EVENTS = (
    "started", "concluded", "finished", "failed", "aborted", "issued", "re-rendered", "signed", "deviation",
    "archived", "opened", "resumed", "closed",
)  # fmt: skip
"""What can happen to a run and its record, in the order it usually does; and to a round of many."""

_RESTORE = "restore the register from its back-up"
_NOTHING = "0" * 64
"""What the first entry names as the one before it."""
_MEMBERS = {"number", "previous", "event", "time", "record", "data"}


@dataclass(frozen=True)
class Seen:
    """An entry as somebody saw it: its number, and its SHA-256. Number 0 is a register without an entry."""

    number: int
    sha256: str

    def to_json(self) -> dict[str, Json]:
        """Return it as records, signatures and receipts carry it."""
        return {"number": self.number, "sha256": self.sha256}


@dataclass(frozen=True)
class RegisterEntry:
    """One line: `event` happened to `record` at `time` (the local clock, UTC); `sha256` is the line's own."""

    number: int
    event: str
    time: str
    record: str
    data: Mapping[str, Json]
    sha256: str

    @property
    def seen(self) -> Seen:
        """The entry as whoever sees it carries it on."""
        return Seen(self.number, self.sha256)


class Register:
    """A register that is open for appending, and locked; `locked_register` gives it."""

    def __init__(self, path: Path, handle: int, entries: Sequence[RegisterEntry], size: int) -> None:
        self.path = path
        self.entries = list(entries)
        self._handle = handle
        self._size = size

    @property
    def head(self) -> Seen:
        """The latest entry."""
        return self.entries[-1].seen if self.entries else Seen(0, _NOTHING)

    def known(self, event: str, record: str, member: str) -> set[Json]:
        """Return what the entries of an event of a record say in one member."""
        return {one.data[member] for one in self.entries if (one.event, one.record) == (event, record)}

    def append(self, event: str, record: str, data: Mapping[str, Json]) -> RegisterEntry:
        """Append an entry, synced to the disk, and return it.

        Raises:
            RecordError: it can't be written; the register is as it was.
        """
        number, moment = self.head.number + 1, timestamp(utc_now())
        members = {"number": number, "previous": self.head.sha256, "event": event, "time": moment, "record": record}
        line = canonical(members | {"data": dict(data)})
        try:
            _write(self._handle, line + b"\n", self._size)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._size += len(line) + 1
        self.entries.append(RegisterEntry(number, event, moment, record, dict(data), sha256(line)))
        return self.entries[-1]


@contextmanager
def locked_register(outputs: Path) -> Iterator[Register]:
    """Open the register of an outputs folder for a block that appends to it; other processes wait meanwhile.

    What a killed process wrote of a line is removed: nothing rests on a line that was not written to its end.

    Raises:
        RecordError: it is not whole, or can't be opened, or not locked.
    """
    # a system without it can read and verify a register all the same
    import fcntl  # noqa: PLC0415

    path = outputs / REGISTER
    try:
        outputs.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            content = _read(handle)
            whole = content[: content.rfind(b"\n") + 1]
            if not whole:
                sync_folder(outputs)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            entries = _entries(path, whole)
        except RejectionError as error:
            raise RecordError(f"the register is not whole: {error.message}", error.remedy) from error
        yield Register(path, handle, entries, len(whole))
    finally:
        os.close(handle)


@contextmanager
def register_beside(record: Path) -> Iterator[Register | None]:
    """Open the register beside a record, as `locked_register` does; None where a copy of it lies without one.

    Raises:
        RecordError: it is not whole, or can't be opened, or not locked.
    """
    if not (record.parent / REGISTER).exists():
        yield None
        return
    with locked_register(record.parent) as register:
        yield register


def seen_beside(record: Path) -> Seen:
    """Return the latest entry of the register beside a record; number 0 and no hash where there is none.

    Raises:
        RecordError: it is not whole, or can't be opened, or not locked.
    """
    with register_beside(record) as register:
        return register.head if register else Seen(0, "")


def read_register(path: Path) -> list[RegisterEntry]:
    """Return the entries of a register, the chain proven; a line that a killed process did not finish is left out.

    Raises:
        RejectionError: an entry is missing, was changed or moved.
        RecordError: the register can't be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path} can't be read: {error.strerror}", "name a register.jsonl") from error
    return _entries(path, content[: content.rfind(b"\n") + 1])


def hold_seen(path: Path, entries: Sequence[RegisterEntry], seen: Mapping[str, Seen]) -> None:
    """Hold a register against what others saw of it: `seen` names each, and the entry that it carries.

    Raises:
        RejectionError: an entry that somebody saw is missing, or is another.
    """
    for name, one in seen.items():
        if one.number == 0:
            continue
        if one.number < 0:
            raise RejectionError(f"{name} saw an entry that no register has: {one.number}", _RESTORE)
        if one.number > len(entries):
            raise RejectionError(
                f"{path.name} was cut: it ends with entry {len(entries)}, and {name} saw entry {one.number}", _RESTORE
            )
        if entries[one.number - 1].sha256 != one.sha256:
            raise RejectionError(f"entry {one.number} of {path.name} is not the one that {name} saw", _RESTORE)


def _entries(path: Path, content: bytes) -> list[RegisterEntry]:
    """Return the entries of whole lines; the first that does not follow is told by what is wrong with it."""
    lines = content.split(b"\n")[:-1]
    entries: list[RegisterEntry] = []
    before = _NOTHING
    for index, line in enumerate(lines, start=1):
        members = _members(line)
        if members is None:
            raise RejectionError(f"line {index} of {path.name} was changed: it is not as the kit writes it", _RESTORE)
        if members["number"] != index:
            raise RejectionError(_misplaced(path, index, members["number"], lines), _RESTORE)
        if members["previous"] != before:
            what = f"entry {index - 1} was changed" if index > 1 else "the beginning is missing"
            raise RejectionError(f"{what} in {path.name}: entry {index} names another one before it", _RESTORE)
        before = sha256(line)
        told = {name: members[name] for name in ("number", "event", "time", "record", "data")}
        entries.append(RegisterEntry(**told, sha256=before))
    return entries


def _members(line: bytes) -> dict[str, Json] | None:
    """Return the members of a line, or None where the kit would not have written it."""
    try:
        value = json.loads(line)
        if not isinstance(value, dict) or set(value) != _MEMBERS or canonical(value) != line:
            return None
    except (ValueError, RecursionError, EvidenceError):
        return None
    texts = (value[name] for name in ("previous", "event", "time", "record"))
    typed = type(value["number"]) is int and isinstance(value["data"], dict) and all(isinstance(t, str) for t in texts)
    return value if typed and value["event"] in EVENTS else None


def _misplaced(path: Path, wanted: int, found: int, lines: Sequence[bytes]) -> str:
    if found < wanted:
        return f"entry {found} of {path.name} stands there twice"
    if wanted in {members["number"] for members in map(_members, lines) if members}:
        return f"{path.name} was reordered: entry {found} stands where entry {wanted} belongs"
    missing = f"entry {wanted} is" if found == wanted + 1 else f"entries {wanted} to {found - 1} are"
    return f"{missing} missing from {path.name}"


def _read(handle: int) -> bytes:
    parts = []
    os.lseek(handle, 0, os.SEEK_SET)
    while part := os.read(handle, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _write(handle: int, line: bytes, offset: int) -> None:
    """Write a line to its end and to the disk, or leave the file as it was; whatever stood behind `offset` goes."""
    try:
        os.ftruncate(handle, offset)
        written = 0
        while written < len(line):
            written += os.pwrite(handle, line[written:], offset + written)
        os.fsync(handle)
    except BaseException:
        os.ftruncate(handle, offset)
        raise


def _unwritable(path: Path, error: OSError) -> RecordError:
    return RecordError(
        f"the register {path} can't be written: {error.strerror or error}",
        "free space, or make the folder writable, and run again: nothing runs that is not registered",
    )
