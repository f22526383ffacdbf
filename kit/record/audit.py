"""Verifies a whole register: its chain, and every record that lies beside it, each against the other."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from kit.canonical import Json, sha256_file
from kit.errors import KitError, RejectionError
from kit.record.addenda import read_addenda
from kit.record.bound import Given, hold_register
from kit.record.history import History, histories
from kit.record.manifest import MANIFEST, RESTORE, SIGNED, read_manifest, rendered_in
from kit.record.receipt import RECEIPTS, read_receipt
from kit.record.register import RegisterEntry, Seen, hold_seen, read_register
from kit.record.signatures.validate import read_signatures
from kit.record.whole import malformed_rejected


@dataclass(frozen=True)
class Audit:
    """What a register holds: so many entries, of so many runs, and in full sentences what an inspector should know."""

    entries: int
    runs: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {**asdict(self), "notes": list(self.notes)}


def audit(path: Path) -> Audit:
    """Prove a register's chain, and hold it against every record beside it and all that those carry.

    Raises:
        RejectionError: an entry is missing, changed or moved; a record is not in the register, or is another; or what
            a record, a signature or an addendum saw of the register is not there any more.
        RecordError: the register can't be read.
    """
    entries = read_register(path)
    known = histories(entries)
    beside = {folder.parent.name: folder.parent for folder in sorted(path.parent.glob(f"*/{MANIFEST}"))}
    for name, folder in beside.items():
        if name not in known:
            raise RejectionError(
                f"{folder} is not in {path.name}", "it was not executed here: move it out, or restore the register"
            )
        with malformed_rejected(name):
            given = _given(folder)
            if given.record_id != name:
                raise RejectionError(f"{folder} holds the record {given.record_id}", RESTORE)
            hold_register(given, path, {}, unregistered=False)
    hold_seen(path, entries, _receipts(path.parent))
    runs = [one for one in known.values() if one.last("started")]
    return Audit(len(entries), len(runs), tuple(_notes(entries, known, set(beside))))


def _receipts(outputs: Path) -> dict[str, Seen]:
    return {one.name: one.seen for one in map(read_receipt, sorted((outputs / RECEIPTS).glob("*.json")))}


def _given(folder: Path) -> Given:
    try:
        signed = folder / SIGNED if (folder / SIGNED).exists() else None
        statements = tuple(one.statement for one in read_signatures(signed)) if signed else ()
        manifest = read_manifest(folder)
        digest, pages = sha256_file(folder / MANIFEST), rendered_in(folder)
        return Given(folder, manifest, digest, signed, statements, tuple(read_addenda(folder)), pages)
    except KitError as error:
        raise RejectionError(f"{folder.name}: {error.message}", error.remedy) from error


def _notes(entries: list[RegisterEntry], known: dict[str, History], beside: set[str]) -> Iterator[str]:
    for name, one in known.items():
        if one.state in ("finished", "issued") and name not in beside:
            yield f"{name} is not here: {one.verdict or 'issued'}, digest {one.digest}."
        elif one.state in ("aborted", "failed", "started", "concluded"):
            yield f"{name} left no record: {one.state}{f' with {one.verdict}' if one.verdict else ''}."
    for before, entry in pairwise(entries):
        if entry.time < before.time:
            yield f"The clock went back at entry {entry.number}: from {before.time} to {entry.time}."
