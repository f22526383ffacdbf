"""Outputs in S3: what a run reads of them comes down to a working folder, and what it leaves there goes up.

Nothing is put over a record: a new file goes up only where none is, the register only where it continues what lies
there, and S3 checks the SHA-256 of each. This module loads boto3.
"""

import errno
import json
import mimetypes
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

from kit.canonical import sha256, sha256_file
from kit.errors import ArchiveError, KitError, RecordError
from kit.record.folders import is_held, note_elsewhere
from kit.record.history import histories, runs_in_round
from kit.record.kit_qualification import of_this_kit
from kit.record.manifest import FINDINGS, INDEX_PAGE, MANIFEST, PDF, RUNS, SIGNED, SUMS, files_in, is_plain_name
from kit.record.place import Place
from kit.record.receipt import RECEIPTS
from kit.record.register import REGISTER, RegisterEntry, read_register
from kit.record.remote_register import RemoteRegister, read_remote, whole_lines
from kit.record.s3 import ATTEMPTS, LARGEST, LONGEST_KEY, Source, code_of, opened, place_of, side_by_side
from kit.record.whole import prefix_hashes

_AGAIN = "run again"
_FIRST, _LAST = "A", "["
"""Between which the names of records begin: with a capital letter, as those of a round's targets never do."""
_REVIEW = "PQ"
_NAMED = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
"""What a system says of a name that is too long, or that is a file's and a folder's at once."""


class RemoteOutputs:
    """An outputs folder at a place in S3, and the working folder in which a run has what it needs of it."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.folder = folder
        self._place = place
        self._register = RemoteRegister(place)
        self._known: set[str] = set()
        self._there: set[str] = set()
        self._under_way = False
        self._index = ""
        self._silent = False

    # --- What comes down

    def bring(self, protocols: Iterable[str]) -> None:
        """Bring what a run by one of these protocols reads of the records that lie there: for a review all, whole.

        For any other, the register; of each record the manifest, and of an installation qualification the findings,
        which later runs cite; and whole records where a run holds them to every file: what qualifies this kit, and
        what the register does not hold as finished yet. Of the rest the names are noted beside it, so that nobody
        takes what was not brought for what is not there. A record under a name that no record has comes for a review.
        What has no manifest, and is not in the register, is no record, and is left there.

        IAM: s3:ListBucket on the bucket, s3:GetObject on its objects, kms:Decrypt on their key.

        Raises:
            ArchiveError: a call was refused or got no answer, or an object has a name that no file can have.
            RecordError: the working folder can't be written.
        """
        self._register.read()
        if self._register.content:
            with self._writing(REGISTER):
                (self.folder / REGISTER).write_bytes(self._register.content)
        entries: Sequence[RegisterEntry] = ()
        # that it is not whole is told by whoever opens it
        with suppress(KitError):
            entries = read_register(self.folder / REGISTER) if self._register.content else ()
        known = histories(entries)
        names = self._place.listed() if _REVIEW in protocols else self._place.listed(_FIRST, _LAST)
        self._known.update(names)
        records = known.keys() | {record for record, _, rest in map(_parted, names) if rest == MANIFEST}
        names = [name for name in names if _parted(name)[0] in records and not name.startswith(".")]
        if _REVIEW in protocols:
            self._fetch(names)
            return
        parts = {one.record_id for one in known.values() if one.state in ("finished", "issued")}
        parts -= of_this_kit(entries)
        left: dict[str, list[str]] = {}
        needed = []
        for name in names:
            record, _, rest = _parted(name)
            if record not in parts or rest == MANIFEST or (rest == FINDINGS and record.startswith("IQ-")):
                needed.append(name)
            else:
                left.setdefault(record, []).append(rest)
        for record, rests in left.items():
            with self._writing(record):
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
            content = read_remote(self._place, f"{target}/{REGISTER}")
            if not content:
                return
            path = self.folder / target / REGISTER
            with self._writing(f"{target}/{REGISTER}"):
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
                for name in self._place.listed(f"{target}/{record_id}/"):
                    self._bring_file(name)

        side_by_side(bring, list(targets), lambda _: None, Event())

    def _fetch(self, names: Sequence[str]) -> None:
        side_by_side(self._bring_file, names, lambda _: None, Event())

    def _bring_file(self, name: str) -> None:
        self._known.add(name)
        path = self.folder / name

        def write(blocks: Iterator[bytes], _: str) -> None:
            with self._writing(name):
                path.parent.mkdir(parents=True, exist_ok=True)
                stream = path.open("wb")
            with stream:
                for block in blocks:
                    with self._writing(name):
                        stream.write(block)
                with self._writing(name):
                    stream.flush()

        self._place.read(name, write)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _NAMED:
                raise self._place.unheld(name) from error
            raise RecordError(
                f"the working folder {self.folder} can't be written: {error.strerror or error}",
                "free space, or name a folder that has it: TMPDIR",
            ) from error

    # --- What goes up

    def meet(self) -> None:
        """Learn what lies there, and bring nothing: for a folder that has all it needs.

        IAM: as `bring`.

        Raises:
            ArchiveError: a call was refused or got no answer.
            RecordError: the register of the folder is not whole.
        """
        read_register(self.folder / REGISTER)
        self._register.read()
        self._there = set(self._place.listed())
        self._under_way = any(is_held(path) for path in (self.folder / RUNS).glob("*"))

    def note(self) -> None:
        """Put up what the register has become, if it has; that it can't be is told by `send`, which tries again."""
        with suppress(OSError):
            if self._silent or (self.folder / REGISTER).stat().st_size == len(self._register.content):
                return
        try:
            self._register.put(self._lines())
        except (KitError, OSError):
            self._silent = True

    def send(self) -> None:
        """Put up what is new, and return once S3 has taken it.

        Of one record after the other: first what the register tells before its end, then its files, the manifest last,
        then its end; what is left goes after them. Wherever that breaks off, it is as where one run was killed at that
        point, and the next one settles it. The index goes at the end; it proves nothing, and the latest is kept.

        IAM: s3:PutObject on the objects, kms:GenerateDataKey on their key.

        Raises:
            ArchiveError: a call was refused or got no answer, the register was continued by somebody else, or another
                file lies where one is to go; what went up before that stays.
            RecordError: a file can't be read.
        """
        # until this was done, a note would tell the end of a record that is not there
        self._silent = True
        new = [name for name in files_in(self.folder) if self._is_sent(name) and name not in self._known]
        lines, told = self._lines(), self._register.content
        if len(lines) < len(told) and told.startswith(lines) and self._there.issuperset(new):
            # an earlier state of what lies there
            return
        left: dict[str, list[str]] = {}
        for name in new:
            left.setdefault(_parted(name)[0], []).append(name)
        self._register.hold(lines)
        stop = Event()
        for line in lines[len(told) :].splitlines(keepends=True):
            if files := left.pop(_ended(line), None):
                self._register.put(told)
                self._put_all(files, stop)
                self._register.put(told + line)
            told += line
        self._put_all([name for names in left.values() for name in names], stop)
        self._register.put(lines)
        self._silent = False
        index = self.folder / INDEX_PAGE
        if index.exists() and (digest := sha256_file(index)) != self._index:
            self._put_file(INDEX_PAGE, digest, stop)
            self._index = digest

    def _is_sent(self, name: str) -> bool:
        """Return whether a file is of a record, a run or a receipt here: not of a target below, nor somebody's own."""
        first, _, rest = _parted(name)
        if (self.folder / first / REGISTER).exists():
            return False
        if first in (RUNS, RECEIPTS):
            # what a run has that is under way is half-written
            return bool(rest) and not (first == RUNS and self._under_way)
        return not first.startswith(".") and (self.folder / first / MANIFEST).exists()

    def _lines(self) -> bytes:
        path = self.folder / REGISTER
        return whole_lines(path.read_bytes()) if path.exists() else b""

    def _put_all(self, names: Sequence[str], stop: Event) -> None:
        manifests = [name for name in names if name.rpartition("/")[2] == MANIFEST]
        for batch in ([name for name in names if name not in manifests], manifests):
            side_by_side(lambda name: self._put(name, stop), batch, self._known.add, stop)

    def _put(self, name: str, stop: Event) -> str:
        """Put a file up where none is, and return its name; one that is there already has to be the same."""
        path, key = self.folder / name, self._place.prefix + name
        if not is_plain_name(key) or len(key.encode()) > LONGEST_KEY or path.stat().st_size > LARGEST:
            raise ArchiveError(f"{name} is no file that S3 takes: its name or its size", "keep it by other means")
        digest = sha256_file(path)
        if name in self._there:
            self._hold_there(name, digest, stop)
            return name
        for _ in range(ATTEMPTS):
            try:
                self._put_file(name, digest, stop, IfNoneMatch="*")
            except ArchiveError as error:
                if code_of(error) == "ConditionalRequestConflict":
                    continue
                if code_of(error) != "PreconditionFailed":
                    raise
                self._hold_there(name, digest, stop)
            return name
        raise ArchiveError(f"{self._place.uri(name)} is being written by others", "run again when they end")

    def _put_file(self, name: str, digest: str, stop: Event, **asked: Any) -> None:
        # what a browser is told, where somebody opens it there
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        with Source(self.folder / name, stop) as body:
            self._place.put(name, body, digest, ContentType=kind, **asked)

    def _hold_there(self, name: str, digest: str, stop: Event) -> None:
        """Hold an object to the file that was to go there; one that a record may add to goes over what it was."""
        # what a run had before it was sealed proves nothing, and may have been sent while it was being written
        if _parted(name)[0] == RUNS:
            return
        told = self._place.told(name)
        if told.sha256 == digest:
            return
        if told.sha256 != self._before(name, told.bytes):
            what = f"another file lies at {self._place.uri(name)}"
            raise ArchiveError(what, "nothing was put over it: compare the two")
        self._put_file(name, digest, stop, IfMatch=told.etag)

    def _before(self, name: str, size: int) -> str:
        """Return the SHA-256 of a file before it was added to, empty if nothing can be: of a signed PDF before later
        signatures, when it had so many bytes; of the sums before there was a PDF.
        """
        path, what = self.folder / name, name.rpartition("/")[2]
        if what == SIGNED:
            return next(prefix_hashes(path, [size]))
        if what == SUMS:
            lines = path.read_bytes().splitlines(keepends=True)
            kept = (line for line in lines if not line.endswith(f"  {PDF}\n".encode()))
            return sha256(b"".join(kept))
        return ""


@contextmanager
def remote_outputs(output: str, folder: Path) -> Iterator[RemoteOutputs]:
    """Open outputs at `s3://bucket/prefix` with a working folder, with the credentials of the environment.

    IAM: s3:ListBucket on the bucket.

    Raises:
        ArchiveError: it is no place in S3, there are no credentials, or the bucket can't be asked.
    """
    name, prefix = place_of(output)
    with opened(name, _AGAIN, configured=True) as (bucket, _):
        yield RemoteOutputs(Place(bucket, prefix), folder)


def _parted(name: str) -> tuple[str, str, str]:
    return name.partition("/")


def _ended(line: bytes) -> str:
    """Return the record that a line of the register tells the end of, or nothing."""
    told = json.loads(line)
    return str(told["record"]) if told["event"] in ("finished", "issued") else ""
