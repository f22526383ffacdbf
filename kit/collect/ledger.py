"""The ledgers of a run: what was read in bulk, one line of JSON an answer, gzipped, in a stable order.

A ledger is one piece of evidence: it has an entry in the index, with its hash, as every recorded response has.
"""

import contextlib
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from pydantic_core import from_json

from kit.canonical import Json, sha256_file
from kit.errors import EvidenceError
from kit.evidence import Entry, EvidenceStore, is_ledger, read_index, unwritable

SUFFIX = ".jsonl.gz"
_BLOCK = 1 << 20


class Ledger:
    """One ledger of an evidence folder, open for writing; `evidence` is its id once it is closed.

    `service` is who answered what it holds.
    """

    def __init__(self, store: EvidenceStore, name: str, operation: str, service: str = "s3") -> None:
        self.evidence = ""
        self._store = store
        self._name = name
        self._operation = operation
        self._service = service
        self._lines = 0
        self._path = store.folder / f"{name}{SUFFIX}"
        self._file: gzip.GzipFile | None = None
        self._raw: IO[bytes] | None = None

    def write(self, line: bytes) -> None:
        """Write the next line, as `encode_line` makes it.

        Raises:
            EvidenceError: the disk is full or the folder can't be written.
        """
        try:
            if self._file is None:
                self._raw = self._path.open("wb")
                # no name and no time of its own: the same lines are the same bytes
                self._file = gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, mtime=0, compresslevel=6)
            self._file.write(line + b"\n")
        except OSError as error:
            raise unwritable(self._path, error) from error
        self._lines += 1

    def close(self, sent: str, received: str) -> tuple[str, ...]:
        """Close the ledger, enter it into the index, and return its id; one without a line leaves nothing.

        Raises:
            EvidenceError: the disk is full or the folder can't be written.
        """
        if self._file is None or self._raw is None:
            return ()
        file, self._file = self._file, None
        try:
            with self._raw:
                file.close()
        except OSError as error:
            raise unwritable(self._path, error) from error
        self.evidence = self._store.adopt(
            self._path,
            service=self._service,
            operation=self._operation,
            region="",
            reader="",
            parameters={"ledger": self._name, "lines": self._lines},
            attempt=1,
            sent=sent,
            received=received,
        ).id
        return (self.evidence,)

    def abandon(self) -> None:
        """Let go of a ledger that was not closed: a run that broke off leaves it outside the index."""
        if self._file is not None and self._raw is not None:
            with contextlib.suppress(OSError), self._raw:
                self._file.close()
        self._file = None


def encode_line(line: Json) -> bytes:
    """Return the bytes of one line, without its end."""
    return json.dumps(line, sort_keys=True, separators=(",", ":")).encode()


def read_ledger(folder: Path, name: str, index: Sequence[Entry] | None = None, *, held: bool = False) -> Iterator[Any]:
    """Yield the lines of a ledger of an evidence folder, in order; a run that had none yields nothing.

    `index` is that of the folder, where it was read already; `held` says that its files were held to their hashes. A
    block of the ledger is in memory at a time.

    Raises:
        EvidenceError: the ledger is missing, damaged, or not what was recorded.
    """
    for entry in read_index(folder) if index is None else index:
        if is_ledger(entry, name):
            try:
                if not held and sha256_file(folder / entry.path) != entry.sha256:
                    raise ValueError("it was changed")
                yield from _lines(folder / entry.path)
            except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
                raise EvidenceError(
                    f"the ledger {entry.path} can't be read: {error}", "restore it from the archive"
                ) from error


def _lines(path: Path) -> Iterator[Any]:
    with gzip.open(path, "rb") as stream:
        rest = b""
        while block := stream.read(_BLOCK):
            *lines, rest = (rest + block).split(b"\n")
            yield from map(from_json, lines)
        if rest:
            raise ValueError("it ends in the middle of a line")
