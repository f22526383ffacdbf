"""Outputs in S3: what a run reads of them comes down to a working folder, and what it leaves there goes up.

Nothing is put over a record: a new file goes up only where none is, the register only where it continues what lies
there, and S3 checks the SHA-256 of each. This module loads boto3. Source: S3 user guide, "How to prevent object
overwrites with conditional writes", "Checking object integrity".
"""

import hashlib
import json
import mimetypes
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError

from kit.canonical import sha256_file
from kit.errors import ArchiveError, KitError, RecordError
from kit.record.folders import note_elsewhere
from kit.record.history import histories, runs_in_round
from kit.record.kit_qualification import of_this_kit
from kit.record.manifest import FINDINGS, INDEX_PAGE, MANIFEST, RUNS, SIGNED, files_in, is_plain_name
from kit.record.register import REGISTER, RegisterEntry, read_register
from kit.record.s3 import (
    ATTEMPTS,
    LARGEST,
    LONGEST_KEY,
    Bucket,
    Source,
    checksum,
    code_of,
    opened,
    place_of,
    side_by_side,
)
from kit.record.whole import prefix_hashes

T = TypeVar("T")

_AGAIN = "run again"
_BLOCK = 1 << 20
_FIRST, _LAST = "A", "["
"""Between which the names of records begin: with a capital letter, as those of a round's targets never do."""
_REVIEW = "PQ"
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey")
"""What S3 answers to a conditional write where something else is there, or nothing, or another write is under way."""


class RemoteOutputs:
    """An outputs folder at `s3://bucket/prefix`, and the working folder in which a run has what it needs of it.

    Safe to use from several threads.
    """

    def __init__(self, bucket: Bucket, prefix: str, folder: Path) -> None:
        self.folder = folder
        self._bucket = bucket
        self._prefix = prefix
        self._known: set[str] = set()
        self._there: set[str] = set()
        self._register, self._etag, self._index = b"", "", ""
        self._lock = threading.Lock()
        self._silent = False

    # --- What comes down

    def bring(self, protocols: Iterable[str]) -> None:
        """Bring what a run by one of these protocols reads of what lies there: for a review everything.

        For any other, the register; of each record the manifest, and of an installation qualification the findings,
        which later runs cite; and whole records where a run holds them to every file: what qualifies this kit, and
        what the register does not hold as finished yet. Of the rest the names are noted beside it, so that nobody
        takes what was not brought for what is not there. A record under a name that no record has comes for a review.

        IAM: s3:ListBucket on the bucket, s3:GetObject on its objects, kms:Decrypt on their key.

        Raises:
            ArchiveError: a call was refused or got no answer, or an object has a name that no file can have.
            RecordError: the working folder can't be written.
        """
        self._register, self._etag = self._read_register(REGISTER)
        if self._register:
            with _writing(self.folder):
                (self.folder / REGISTER).write_bytes(self._register)
        if _REVIEW in protocols:
            names = self._listed()
            records = {record for record, _, rest in map(_parted, names) if rest == MANIFEST}
            self._fetch([name for name in names if _parted(name)[0] in records])
            self._known.update(names)
            return
        names = self._listed(_FIRST, _LAST)
        self._known.update(names)
        entries: Sequence[RegisterEntry] = ()
        # that it is not whole is told by whoever opens it
        with suppress(KitError):
            entries = read_register(self.folder / REGISTER) if self._register else ()
        parts = {one.record_id for one in histories(entries).values() if one.state in ("finished", "issued")}
        parts -= of_this_kit(entries)
        left: dict[str, list[str]] = {}
        needed = []
        for name in names:
            record, _, rest = _parted(name)
            if record not in parts or rest == MANIFEST or (rest == FINDINGS and record.startswith("IQ-")):
                needed.append(name)
            else:
                left.setdefault(record, []).append(rest)
        with _writing(self.folder):
            for record, rests in left.items():
                (self.folder / record).mkdir(exist_ok=True)
                note_elsewhere(self.folder / record, rests)
        self._fetch(needed)

    def bring_targets(self, targets: Iterable[str], protocols: Sequence[str], round_id: str) -> None:
        """Bring of each target of a round its register and the record of each protocol that the summary holds: whole.

        IAM: as `bring`.

        Raises:
            ArchiveError: a call was refused or got no answer.
            RecordError: the working folder can't be written.
        """

        def bring(target: str) -> None:
            content, _ = self._read_register(f"{target}/{REGISTER}")
            if not content:
                return
            path = self.folder / target / REGISTER
            with _writing(self.folder):
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            runs: list[str] = []
            # what is wrong with it is for the summary to tell
            with suppress(KitError):
                entries = read_register(path)
                for protocol_id in protocols:
                    found = [one for one in runs_in_round(entries, protocol_id, round_id) if one.state == "finished"]
                    runs += [one.record_id for one in found[-1:] if is_plain_name(one.record_id)]
            for record_id in runs:
                for name in self._listed(f"{target}/{record_id}/"):
                    self._bring_file(name)

        side_by_side(bring, list(targets), lambda _: None, Event())

    def _listed(self, first: str = "", last: str = "") -> list[str]:
        """Return the names of the objects that begin with `first`; where `last` is given, of those from the one up to
        the other, in S3's order [S3 API reference, "ListObjectsV2"].
        """
        asked = {"Prefix": self._prefix + ("" if last else first)}
        asked |= {"StartAfter": self._prefix + first} if last else {}
        names: list[str] = []
        with self._bucket.naming("ListObjectsV2", self._prefix):
            pages = self._bucket.client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket.name, **asked)
            for page in pages:
                for told in page.get("Contents", ()):
                    name = str(told["Key"]).removeprefix(self._prefix)
                    if last and name >= last:
                        return names
                    # the console makes objects for folders
                    if not name.endswith("/") and name:
                        names.append(self._plain(name))
        return names

    def _plain(self, name: str) -> str:
        if is_plain_name(name):
            return name
        what = f"{self._bucket.uri(self._prefix)} holds what no outputs folder can hold: {name!r}"
        raise ArchiveError(what, "find out who put it there, and remove it")

    def _fetch(self, names: Sequence[str]) -> None:
        side_by_side(self._bring_file, names, lambda _: None, Event())

    def _bring_file(self, name: str) -> None:
        self._known.add(name)
        path = self.folder / self._plain(name)

        def write(answer: Mapping[str, Any]) -> None:
            with _writing(self.folder):
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as stream:
                    for block in _blocks(answer):
                        stream.write(block)

        self._read(name, write)

    def _read(self, name: str, take: Callable[[Mapping[str, Any]], T]) -> T:
        """Have an object read, and again where the connection broke meanwhile or its checksum is another."""
        key = self._prefix + name
        for attempt in range(ATTEMPTS):
            answer = self._bucket.ask("get_object", key, ChecksumMode="ENABLED")
            try:
                with self._bucket.naming("GetObject", key), answer["Body"]:
                    return take(answer)
            except ArchiveError as error:
                if attempt + 1 == ATTEMPTS or not isinstance(error.__cause__, BotoCoreError):
                    raise
        raise AssertionError(name)

    def _read_register(self, name: str) -> tuple[bytes, str]:
        """Return the whole lines of a register, and its ETag; nothing of either where there is none."""
        try:
            return self._read(name, lambda answer: (b"".join(_blocks(answer)), str(answer["ETag"])))
        except ArchiveError as error:
            if code_of(error) == "NoSuchKey":
                return b"", ""
            raise

    # --- What goes up

    def meet(self) -> None:
        """Learn what lies there, and bring nothing: for a folder that has all it needs.

        IAM: as `bring`.

        Raises:
            ArchiveError: a call was refused or got no answer.
        """
        self._register, self._etag = self._read_register(REGISTER)
        self._there = set(self._listed())

    def note(self) -> None:
        """Put up what the register has become, if it has; that it can't be is told by `send`, which tries again."""
        with suppress(OSError):
            if self._silent or (self.folder / REGISTER).stat().st_size == len(self._register):
                return
        try:
            self._put_register(self._lines())
        except (KitError, OSError):
            self._silent = True

    def send(self) -> None:
        """Put up what is new, and return once S3 has taken it.

        First what the register tells of a run before its end, then the files of its record, the manifest last, then
        its end: wherever that breaks off, it is as where a run was killed at that point, and the next one settles it.
        The index goes at the end; it proves nothing, and the latest is kept.

        IAM: s3:PutObject on the objects, kms:GenerateDataKey on their key.

        Raises:
            ArchiveError: a call was refused or got no answer, the register was continued by somebody else, or another
                file lies where one is to go; what went up before that stays.
            RecordError: a file can't be read.
        """
        new = [name for name in files_in(self.folder) if self._is_sent(name) and name not in self._known]
        manifests = [name for name in new if name.rpartition("/")[2] == MANIFEST]
        ending = {_parted(name)[0] for name in manifests}
        lines = self._lines()
        if not lines.startswith(self._register):
            raise self._continued()
        added = lines[len(self._register) :].splitlines(keepends=True)
        before = takewhile(lambda line: not _ends(line, ending), added)
        self._put_register(self._register + b"".join(before))
        stop = Event()
        for batch in ([name for name in new if name not in manifests], manifests):
            side_by_side(lambda name: self._put(name, stop), batch, self._known.add, stop)
        self._put_register(lines)
        index = self.folder / INDEX_PAGE
        if index.exists() and (digest := sha256_file(index)) != self._index:
            self._put_object(INDEX_PAGE, digest, stop)
            self._index = digest

    def _is_sent(self, name: str) -> bool:
        """Return whether a file is of a record, a run or a receipt here: not of a target below, nor somebody's own."""
        first, _, rest = _parted(name)
        hidden = first.startswith(".") and first != RUNS
        return bool(rest) and not hidden and not (self.folder / first / REGISTER).exists()

    def _lines(self) -> bytes:
        path = self.folder / REGISTER
        content = path.read_bytes() if path.exists() else b""
        return content[: content.rfind(b"\n") + 1]

    def _put_register(self, content: bytes) -> None:
        """Put a register up where it continues the one that lies there."""
        with self._lock:
            for _ in range(ATTEMPTS):
                if not content.startswith(self._register):
                    raise self._continued()
                if content == self._register:
                    return
                condition = {"IfMatch": self._etag} if self._etag else {"IfNoneMatch": "*"}
                told = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": checksum(hashlib.sha256(content).hexdigest())}
                try:
                    answer = self._bucket.ask("put_object", self._prefix + REGISTER, Body=content, **told, **condition)
                    self._register, self._etag = content, str(answer["ETag"])
                except ArchiveError as error:
                    if code_of(error) not in _TAKEN:
                        raise
                    # somebody else put it meanwhile, or we did, by an attempt whose answer never came
                    self._register, self._etag = self._read_register(REGISTER)
            if content != self._register:
                raise self._continued()

    def _continued(self) -> ArchiveError:
        what = f"another run has continued the register {self._bucket.uri(self._prefix + REGISTER)} meanwhile"
        return ArchiveError(what, "let one run end before another begins, and run again; nothing was put over it")

    def _put(self, name: str, stop: Event) -> str:
        """Put a file up where none is, and return its name; one that is there already has to be the same."""
        path, key = self.folder / name, self._prefix + name
        if not is_plain_name(key) or len(key.encode()) > LONGEST_KEY or path.stat().st_size > LARGEST:
            raise ArchiveError(f"{name} is no file that S3 takes: its name or its size", "keep it by other means")
        digest = sha256_file(path)
        if name in self._there:
            self._hold_there(name, digest, stop)
            return name
        for _ in range(ATTEMPTS):
            try:
                self._put_object(name, digest, stop, IfNoneMatch="*")
            except ArchiveError as error:
                if code_of(error) == "ConditionalRequestConflict":
                    continue
                if code_of(error) != "PreconditionFailed":
                    raise
                self._hold_there(name, digest, stop)
            return name
        raise ArchiveError(f"{self._bucket.uri(key)} is being written by others", "run again when they are done")

    def _put_object(self, name: str, digest: str, stop: Event, **asked: Any) -> None:
        told = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": checksum(digest)}
        # what a browser is told, where somebody opens it there
        told["ContentType"] = mimetypes.guess_type(name)[0] or "application/octet-stream"
        with Source(self.folder / name, stop) as body:
            self._bucket.ask("put_object", self._prefix + name, Body=body, **told, **asked)

    def _hold_there(self, name: str, digest: str, stop: Event) -> None:
        """Hold an object to the file that was to go there; one that signatures were appended to goes over its own
        beginning.
        """
        key = self._prefix + name
        told: Mapping[str, Any] = self._bucket.ask("head_object", key, ChecksumMode="ENABLED")
        found = told.get("ChecksumSHA256") or checksum(self._digest(name))
        if found == checksum(digest):
            return
        if name.rpartition("/")[2] == SIGNED:
            (begins,) = prefix_hashes(self.folder / name, [int(told["ContentLength"])])
            if found == checksum(begins):
                self._put_object(name, digest, stop, IfMatch=str(told["ETag"]))
                return
        raise ArchiveError(f"another file lies at {self._bucket.uri(key)}", "nothing was put over it: compare the two")

    def _digest(self, name: str) -> str:
        """Return the SHA-256 of an object that was put there without."""

        def hashed(answer: Mapping[str, Any]) -> str:
            running = hashlib.sha256()
            for block in _blocks(answer):
                running.update(block)
            return running.hexdigest()

        return self._read(name, hashed)


@contextmanager
def remote_outputs(output: str, folder: Path) -> Iterator[RemoteOutputs]:
    """Open outputs at `s3://bucket/prefix` with a working folder, with the credentials of the environment.

    IAM: s3:ListBucket on the bucket.

    Raises:
        ArchiveError: it is no place in S3, there are no credentials, or the bucket can't be asked.
    """
    name, prefix = place_of(output)
    with opened(name, _AGAIN, configured=True) as (bucket, _):
        yield RemoteOutputs(bucket, prefix, folder)


def _blocks(answer: Mapping[str, Any]) -> Iterator[bytes]:
    while block := answer["Body"].read(_BLOCK):
        yield block


def _parted(name: str) -> tuple[str, str, str]:
    return name.partition("/")


def _ends(line: bytes, records: set[str]) -> bool:
    told = json.loads(line)
    return told["event"] in ("finished", "issued") and told["record"] in records


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordError(
            f"the working folder {folder} can't be written: {error.strerror or error}",
            "free space, or name a folder that has it: TMPDIR",
        ) from error
