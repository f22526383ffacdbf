"""Verifies a record, offline: numbered steps, the first that does not hold rejects it, by file and reason.

Takes the folder of a record, or its lone PDF. Loads neither boto3 nor nbconvert. What hashes alone can't show: whoever
edits an unsigned record and redoes every hash of it is caught by the register, a replay, or the receipt of an archive,
and not by `SHA256SUMS`.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from kit.canonical import Json, sha256_file
from kit.errors import RecordError, RejectionError
from kit.evidence import timestamp
from kit.record.addenda import deviations_of, read_addenda
from kit.record.manifest import (
    HTML,
    MANIFEST,
    PDF,
    PROTOCOL,
    RESTORE,
    SIGNED,
    SUMS,
    files_in,
    is_added_later,
    read_manifest,
)
from kit.record.pdf.contents import attachments, extract, hold_markers, hold_printed
from kit.record.receipt import read_receipt
from kit.record.register import REGISTER, RegisterEntry, read_register
from kit.record.signatures.keys import load_pem
from kit.record.signatures.revisions import hold_revisions
from kit.record.signatures.validate import Signed, read_signatures, validate
from kit.record.verification.bound import Given, hold_approval_of, hold_manifest, hold_register, hold_roles
from kit.record.verification.replay import replay
from kit.record.whole import (
    hashes_of,
    hold_files,
    hold_names,
    hold_page,
    hold_sums,
    malformed_rejected,
    prefix_hashes,
)

_BLOCK = 1 << 20
_LARGE = 64 << 20
"""From how many bytes of attachments on they are read side by side."""
_NAME = "name the folder of a sealed record, or its PDF"


@dataclass(frozen=True)
class Step:
    """One step of a verification; `held` is false where what it takes was not given, or the record has none of it."""

    number: int
    text: str
    held: bool


@dataclass(frozen=True)
class Asked:
    """What a verification is given besides the record.

    `register` is found beside the record where none is named, and read where its `entries` are not given; `receipts`
    are of its archive. `trust` is a PEM file of root certificates. `unregistered` lets by what was added and not
    registered yet, which is for whoever is about to register it.
    """

    register: Path | None = None
    entries: Sequence[RegisterEntry] | None = None
    receipts: tuple[Path, ...] = ()
    trust: Path | None = None
    replay: bool = False
    unregistered: bool = False


def verify(record: Path, asked: Asked = Asked()) -> Iterator[Step]:
    """Yield each step as it holds; memory stays flat for files of any size.

    Raises:
        RecordError: there is no record of that name.
        RejectionError: a step does not hold, or a file can't be read; names the file and the reason.
    """
    try:
        _hold_kind(record)
        if asked.trust:
            load_pem(asked.trust)
        with malformed_rejected(record.name), _opened(record.resolve(), asked) as opened:
            for number, step in enumerate(_STEPS, start=1):
                text = step(opened)
                yield Step(number, str(text), not isinstance(text, _NotGiven))
    except OSError as error:
        raise RejectionError(f"{error.filename} can't be read: {error.strerror}", "make it readable") from error


def hold_record(record: Path, asked: Asked = Asked()) -> None:
    """Verify a record to the last step.

    Raises:
        RecordError: there is no record of that name.
        RejectionError: a step does not hold.
    """
    for _ in verify(record, asked):
        pass


def _hold_kind(record: Path) -> None:
    if not record.exists():
        raise RecordError(f"{record} is not there", _NAME)
    if not record.is_dir():
        if not record.is_file():
            raise RecordError(f"{record} is neither a folder nor a PDF", _NAME)
        with record.open("rb") as stream:
            if stream.read(5) != b"%PDF-":
                raise RecordError(f"{record} is neither a folder nor a PDF", _NAME)


class _NotGiven(str):
    """What a step says where it had nothing to hold."""

    __slots__ = ()


@dataclass(frozen=True)
class _Opened:
    """A record that is being verified: its folder, or that of what its lone PDF carried."""

    folder: Path
    pdf: Path
    signed: Path | None
    lone: bool
    asked: Asked

    @cached_property
    def present(self) -> list[str]:
        # first of all: what is no regular file could be endless, or lie outside the record
        return files_in(self.folder)

    @cached_property
    def manifest(self) -> dict[str, Json]:
        return read_manifest(self.folder)

    @cached_property
    def hashes(self) -> dict[str, str]:
        return hashes_of(self.folder, (name for name in self.present if name != SUMS and not is_added_later(name)))

    @cached_property
    def digest(self) -> str:
        return self.hashes[MANIFEST]

    @cached_property
    def signatures(self) -> list[Signed]:
        if self.signed is None:
            return []
        roots = load_pem(self.asked.trust) if self.asked.trust else None
        return list(validate(self.signed, roots).signatures)

    @cached_property
    def given(self) -> Given:
        statements = tuple(one.statement for one in self.signatures)
        addenda = tuple(read_addenda(self.folder))
        pages = None if self.lone else {name: self.hashes[name] for name in (HTML, PDF) if name in self.hashes}
        return Given(self.folder, self.manifest, self.digest, self.signed, statements, addenda, pages)


@contextmanager
def _opened(record: Path, asked: Asked) -> Iterator[_Opened]:
    if record.is_dir():
        signed = record / SIGNED
        yield _Opened(record, record / PDF, signed if signed.exists() else None, False, asked)
        return
    with TemporaryDirectory(prefix="trailkit-") as scratch:
        folder = Path(scratch) / "record"
        extract(record, folder)
        yield _Opened(folder, record, record if read_signatures(record) else None, True, asked)


def _manifest(opened: _Opened) -> str:
    _ = opened.present
    return f"{MANIFEST} is canonical and lists {len(opened.manifest['files'])} files"


def _names(opened: _Opened) -> str:
    if opened.lone:
        return _NotGiven(f"the folder; all that the manifest lists was taken from {opened.pdf.name}")
    hold_names(opened.manifest, opened.present)
    return "every file of the record is there, and no other"


def _files(opened: _Opened) -> str:
    hold_files(opened.folder, opened.manifest, opened.hashes)
    return f"size and SHA-256 of {len(opened.manifest['files'])} files are those of {MANIFEST}"


def _sums(opened: _Opened) -> str:
    if opened.lone:
        return _NotGiven(SUMS)
    return f"{SUMS} lists {hold_sums(opened.folder, opened.hashes)} files, and the SHA-256 of each is right"


def _page(opened: _Opened) -> str:
    if opened.lone:
        return _NotGiven(HTML)
    hold_page(opened.folder / HTML, opened.digest)
    return f"{HTML} prints the record digest {opened.digest}"


def _verdict(opened: _Opened) -> str:
    return hold_manifest(opened.given)


def _paper(opened: _Opened) -> str:
    if not opened.pdf.exists():
        if opened.signed:
            raise RejectionError(f"{PDF} is missing", RESTORE)
        return _NotGiven(f"{PDF}: it was not made when the record was sealed")
    if not opened.lone:
        _hold_attached(opened)
    hold_markers(opened.pdf)
    hold_printed(opened.pdf, str(opened.manifest["record_id"]), opened.digest)
    count = len(opened.manifest["files"]) + 1
    return f"{opened.pdf.name} carries these {count} files and no other, is marked PDF/A-3a, and prints the digest"


def _hold_attached(opened: _Opened) -> None:
    """Hold every attachment of the PDF against the manifest."""
    wanted = {name: (entry["bytes"], entry["sha256"]) for name, entry in opened.manifest["files"].items()}
    wanted[MANIFEST] = ((opened.folder / MANIFEST).stat().st_size, opened.digest)
    with attachments(opened.pdf) as carried:
        for name in sorted(set(carried) ^ set(wanted)):
            what = "does not carry" if name in wanted else "carries, and the manifest does not list,"
            raise RejectionError(f"{PDF} {what} {name}", RESTORE)
    largest_first = sorted(wanted, key=lambda name: wanted[name], reverse=True)
    # hashing and inflating let go of the interpreter; each reader opens the file for itself
    readers = (os.cpu_count() or 1) if sum(size for size, _ in wanted.values()) > _LARGE else 1
    with ThreadPoolExecutor(readers) as executor:
        shares = [largest_first[number::readers] for number in range(readers)]
        found = [
            pair for pairs in executor.map(partial(_attached_hashes, opened.pdf, wanted), shares) for pair in pairs
        ]
    for name, digest in sorted(found):
        if digest != wanted[name][1]:
            raise RejectionError(f"{PDF}: the attachment {name} is not the file of the record", RESTORE)


def _attached_hashes(pdf: Path, wanted: Mapping[str, tuple[int, str]], names: list[str]) -> list[tuple[str, str]]:
    """Return the SHA-256 of each named attachment, none of which may be larger than wanted."""
    found = []
    with attachments(pdf) as carried:
        for name in names:
            running = hashlib.sha256()
            for block in carried[name].blocks(wanted[name][0]):
                running.update(block)
            found.append((name, running.hexdigest()))
    return found


def _signatures(opened: _Opened) -> str:
    if opened.signed is None:
        return _NotGiven("signatures: the record is unsigned")
    if not opened.lone:
        _hold_prefix(opened.pdf, opened.signed)
    if not opened.signatures:
        raise RejectionError(f"{opened.signed.name} holds no signature", RESTORE)
    return "; ".join(_said(one) for one in opened.signatures)


def _said(one: Signed) -> str:
    known = f"issued under {one.root}" if one.root else "by nobody known: no --trust given"
    when = f"timestamped {timestamp(one.timestamp.time)}" if one.timestamp else f"{one.statement.time} by its own clock"
    return f"{one.statement.role}: {one.statement.name} ({one.statement.subject}), {when}, {known}"


def _hold_prefix(pdf: Path, signed: Path) -> None:
    """Hold that the signed PDF begins with the bytes of the sealed one."""
    with pdf.open("rb") as first, signed.open("rb") as second:
        while block := first.read(_BLOCK):
            if second.read(len(block)) != block:
                raise RejectionError(f"{SIGNED} does not begin with the bytes of {PDF}", RESTORE)


def _roles(opened: _Opened) -> str:
    if not opened.signatures:
        return _NotGiven("roles: nobody has signed")
    protocol = opened.manifest["kind"] == PROTOCOL
    hold_roles(opened.given, None if protocol else list(deviations_of(opened.folder, opened.manifest)))
    roles = ", ".join(one.statement.role for one in opened.signatures)
    return f"signed as {roles}, on this record; each role once, and the one who executed did not approve"


def _register(opened: _Opened) -> str:
    beside = opened.folder.parent / REGISTER
    path = opened.asked.register or (beside if beside.exists() and not opened.lone else None)
    if path is None:
        return _NotGiven("the register: that this record was not redone, and what else was run, is not shown")
    receipts = [read_receipt(one) for one in opened.asked.receipts]
    entries = read_register(path) if opened.asked.entries is None else opened.asked.entries
    return hold_register(opened.given, path, entries, receipts, unregistered=opened.asked.unregistered)


def _approval(opened: _Opened) -> str:
    if opened.manifest["kind"] == PROTOCOL:
        return _NotGiven("an approved protocol: this is one")
    held = hold_approval_of(opened.given, opened.asked.trust)
    return held or _NotGiven("an approved protocol: the run was made without one")


def _addenda(opened: _Opened) -> str:
    open_deviations = list(deviations_of(opened.folder, opened.manifest))
    handled = [addendum.data["deviation"]["id"] for addendum in opened.given.addenda]
    if not open_deviations:
        return _NotGiven("addenda: the record has no deviation")
    if opened.lone or not handled:
        return _NotGiven(f"addenda, which would tell how {', '.join(open_deviations)} was handled")
    left = [name for name in open_deviations if name not in handled]
    what = f"the addenda {', '.join(one.name for one in opened.given.addenda)} tell of this record, and are whole"
    return f"{what}; none tells of {', '.join(left)}" if left else what


def _archived(opened: _Opened) -> str:
    if not opened.asked.receipts:
        return _NotGiven("receipts of an archive")
    for path in opened.asked.receipts:
        kept = read_receipt(path)
        if kept.record_id != opened.manifest["record_id"] or kept.files.get(MANIFEST) != opened.digest:
            raise RejectionError(f"{path.name} is the receipt of another record", "name the receipt of this one")
        for name in sorted({*opened.manifest["files"], MANIFEST, SUMS} - set(kept.files)):
            raise RejectionError(f"{path.name} does not say that {name} was archived", "archive the record again")
        # the sums are another's whenever a file is: the file is to be named
        for name, digest in sorted(kept.files.items(), key=lambda item: item[0] == SUMS):
            found = _hashes_of(opened, name)
            # a lone PDF has no page and no sums to show
            if digest not in found and (found or not opened.lone):
                raise RejectionError(f"{name} is not what {path.name} says was archived", RESTORE)
    return f"archived as it is, as {', '.join(path.name for path in opened.asked.receipts)} says"


def _hashes_of(opened: _Opened, name: str) -> list[str]:
    """Return the hashes that a file may have had when it was archived: a PDF may have been signed since."""
    if name in opened.hashes:
        return [opened.hashes[name]]
    if name == SIGNED and opened.signed:
        return list(prefix_hashes(opened.signed, hold_revisions(opened.signed)))
    if name == PDF and opened.lone:
        return list(prefix_hashes(opened.pdf, hold_revisions(opened.pdf)[:1]))
    return [sha256_file(opened.folder / name)] if name in opened.present else []


def _replay(opened: _Opened) -> str:
    if not opened.asked.replay:
        return _NotGiven("--replay: that the verdict follows from the evidence is not shown")
    if opened.manifest["kind"] == PROTOCOL:
        return _NotGiven("a replay: nothing was executed")
    done = replay(opened.folder, opened.manifest)
    return f"judged again from the evidence alone by trailkit {done.kit_version}: {done.findings} findings, the same"


_STEPS: tuple[Callable[[_Opened], str], ...] = (
    _manifest, _names, _files, _sums, _page, _verdict, _paper, _signatures, _roles, _register, _approval, _addenda,
    _archived, _replay,
)  # fmt: skip
