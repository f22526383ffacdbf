"""Verifies a whole register: its chain, and every record that lies beside it, each against the other."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from kit.canonical import Json
from kit.errors import RejectionError
from kit.record.folders import records_in
from kit.record.history import History, histories
from kit.record.manifest import RESTORE, read_manifest
from kit.record.receipt import RECEIPTS, read_receipt
from kit.record.register import RegisterEntry, read_register
from kit.record.verification.bound import hold_receipts
from kit.record.verification.verify import Asked, hold_record


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
    """Prove a register's chain, verify every record beside it, and hold each against the other.

    Raises:
        RejectionError: an entry is missing, changed or moved; a record is not in the register, or is another; or what
            a record, a signature or an addendum saw of the register is not there any more.
        RecordError: the register can't be read.
    """
    entries = read_register(path)
    known = histories(entries)
    beside = {folder.name: folder for folder in records_in(path.parent)}
    for name, folder in beside.items():
        if name not in known:
            raise RejectionError(
                f"{folder} is not in {path.name}", "it was not executed here: move it out, or restore the register"
            )
        _hold(folder, path, entries)
    hold_receipts(path, entries, map(read_receipt, sorted((path.parent / RECEIPTS).glob("[!.]*.json"))))
    runs = [one for one in known.values() if one.last("started")]
    return Audit(len(entries), len(runs), tuple(_notes(entries, known, set(beside))))


def _hold(folder: Path, register: Path, entries: Sequence[RegisterEntry]) -> None:
    """Verify a record beside the register, and that it lies under its own name."""
    try:
        hold_record(folder, Asked(register=register, entries=entries))
        if (name := read_manifest(folder)["record_id"]) != folder.name:
            raise RejectionError(f"it is the record {name}", RESTORE)
    except RejectionError as error:
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
