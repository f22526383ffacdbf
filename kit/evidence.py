"""The evidence store: one file a response body, and an index that says of each what was asked, when, and its hash.

Bodies are kept as AWS sent them. Only credentials are masked, before they get here, and the index says where.
"""

import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from kit.canonical import Json, canonical, sha256, sha256_file
from kit.errors import EvidenceError
from kit.numbering import Numbers

INDEX = "index.jsonl"
OWN = "trailkit"
"""The service by which the index names what the kit itself read, such as earlier records."""


_RESTORE = "restore the record from its archive"


def new_id(prefix: str, moment: datetime) -> str:
    """Return an id that nothing else has: what it is of, when it began, and six random digits."""
    return f"{prefix}-{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def utc_now() -> datetime:
    """Return the local clock, in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Return a moment as RFC 3339 text in UTC with milliseconds, the form every date of a record takes."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Key = tuple[str, str, str, str, bytes]
"""What a request is known by: service, operation, Region, reader and canonical parameters."""


@dataclass(frozen=True)
class Entry:
    """One attempt of one call, as the evidence index holds it: one JSON object a line.

    `reader` is the account whose role read (empty: the credentials the run was started with). `date` is the server's
    own `Date` header; `sent` and `received` are the local clock. `attempt` counts from 1 within a call. An attempt that
    got no answer has `failure`, the kind of the transport error, and no status, body or hash. `masked` names what was
    masked in body and headers.
    """

    id: str
    service: str
    operation: str
    region: str
    reader: str
    parameters: Json
    attempt: int
    sent: str
    received: str
    status: int | None = None
    request_id: str = ""
    date: str = ""
    headers: Mapping[str, str] | None = None
    path: str = ""
    sha256: str = ""
    bytes: int = 0
    masked: tuple[str, ...] = ()
    failure: str = ""

    @property
    def key(self) -> Key:
        """What replay looks a request up by."""
        return (self.service, self.operation, self.region, self.reader, canonical(self.parameters))


class EvidenceStore:
    """A folder that holds one file a response body and `index.jsonl`, in the order the answers came.

    `count` is the number of attempts recorded so far, `bytes` what their bodies add up to; `numbers` gives them ids.

    Safe to write from several threads. Each line is flushed as it is written, so a killed run leaves what it had.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.bytes = 0
        self.numbers = Numbers()
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise EvidenceError(
                f"the evidence folder {folder} can't be made: {error.strerror or error}",
                "choose an output folder that can be written, and that no other run uses",
            ) from error

    def add(self, body: bytes | None, **attempt: Any) -> Entry:
        """Write one attempt and return its index entry; `body` is None where none arrived.

        Raises:
            EvidenceError: the disk is full or the folder can't be written.
        """
        with self._lock:
            self.count += 1
            entry_id = self.numbers.new_id()
            if body is not None:
                name = f"{entry_id}-{attempt['service']}-{attempt['operation']}{_suffix(body)}"
                attempt |= {"path": name, "sha256": sha256(body), "bytes": len(body)}
            entry = Entry(id=entry_id, **attempt)
            self._enter(entry, body)
            return entry

    def adopt(self, written: Path, **attempt: Any) -> Entry:
        """Enter a file into the index that was written into the folder bit by bit, under its id, and return its entry.

        Raises:
            EvidenceError: the file can't be read, or the index can't be written.
        """
        with self._lock:
            self.count += 1
            entry_id = self.numbers.new_id()
            name = f"{entry_id}-{written.name}"
            try:
                entry = Entry(
                    id=entry_id, path=name, sha256=sha256_file(written), bytes=written.stat().st_size, **attempt
                )
                written.rename(self.folder / name)
            except OSError as error:
                raise unwritable(self.folder, error) from error
            self._enter(entry)
            return entry

    def _enter(self, entry: Entry, body: bytes | None = None) -> None:
        line = canonical(asdict(entry)) + b"\n"
        try:
            if body is not None:
                (self.folder / entry.path).write_bytes(body)
            with (self.folder / INDEX).open("ab") as index:
                index.write(line)
        except OSError as error:
            raise unwritable(self.folder, error) from error
        self.bytes += entry.bytes


def unwritable(path: Path, error: OSError) -> EvidenceError:
    """Return the error that evidence can't be written to a path."""
    return EvidenceError(
        f"evidence can't be written to {path}: {error.strerror or error}",
        "free space or choose another output folder, then run again",
    )


def _suffix(body: bytes) -> str:
    first = body.lstrip()[:1]
    return ".json" if first in (b"{", b"[") else ".xml" if first == b"<" else ".txt"


def read_index(folder: Path) -> list[Entry]:
    """Return the index of an evidence folder, in the order of recording; a run without a call has an empty one.

    A run that was killed while it wrote leaves a line without an end: such an index is not read, since what it lacks
    nobody can tell.

    Raises:
        EvidenceError: the index can't be read, ends in the middle of a line, or a line is not an entry.
    """
    path = folder / INDEX
    if not path.exists():
        return []
    try:
        *lines, rest = path.read_bytes().split(b"\n")
    except OSError as error:
        raise EvidenceError(f"{path} can't be read: {error.strerror or error}", _RESTORE) from error
    if rest:
        raise EvidenceError(
            f"{path} ends in the middle of line {len(lines) + 1}: the run was killed as it wrote, or the file was cut",
            "run again: evidence that is not whole can't be sealed; a sealed record is restored from its archive",
        )
    return [_read_entry(line, number, path) for number, line in enumerate(lines, start=1)]


_ENTRY = TypeAdapter(Entry)


def _read_entry(line: bytes, number: int, path: Path) -> Entry:
    try:
        entry = _ENTRY.validate_json(line, strict=True)
        # whatever is missing, added, doubled or spelled otherwise than the store writes it
        reason = "" if canonical(asdict(entry)) == line else "it is not as the store writes it"
        if entry.path in {".", ".."} or re.search(r"[/\\\0]", entry.path):
            reason = "its path leads out of the folder"
    except ValidationError as error:
        reason = "; ".join(f"{'.'.join(map(str, one['loc']))} {one['msg']}".strip() for one in error.errors())
    except EvidenceError as error:
        reason = error.message
    if reason:
        raise EvidenceError(f"line {number} of {path} is no evidence entry: {reason}", _RESTORE)
    return entry


def ledger_of(parameters: Json) -> Json:
    """Return the name of the ledger that an entry with these parameters is; None where it is an answer of its own."""
    return parameters.get("ledger") if isinstance(parameters, dict) else None


def is_ledger(entry: Entry, name: str = "") -> bool:
    """Return whether an entry is a ledger, the one of that name where it is given, and no answer of its own."""
    told = ledger_of(entry.parameters)
    return told is not None and name in ("", told)


def index_sha256(folder: Path) -> str:
    """Return the SHA-256 of a folder's index, by which a run names its evidence; no index counts as an empty one."""
    path = folder / INDEX
    return sha256_file(path) if path.exists() else sha256(b"")


class Kept(Protocol):
    """What is known of a body that was kept: the id of its entry, its file and its hash."""

    @property
    def id(self) -> str:
        """The id of its entry."""

    @property
    def path(self) -> str:
        """Its file, in the folder of the evidence."""

    @property
    def sha256(self) -> str:
        """The SHA-256 of its bytes."""


def read_body(folder: Path, entry: Kept) -> bytes:
    """Return the recorded body of an entry, held against its hash; empty for an attempt without an answer.

    Raises:
        EvidenceError: the file is missing or is not what was recorded.
    """
    if not entry.path:
        return b""
    try:
        body = (folder / entry.path).read_bytes()
    except OSError as error:
        raise EvidenceError(f"evidence {entry.id} is missing: {entry.path}", "restore it from the archive") from error
    if sha256(body) != entry.sha256:
        raise EvidenceError(f"evidence {entry.id} was changed: {entry.path}", "restore it from the archive")
    return body
