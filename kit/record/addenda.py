"""Addenda: how a deviation was handled, added beside a sealed record that itself is never edited.

Each stands in a folder of its own, `addenda/<number>-<deviation>`, as canonical JSON, HTML and PDF, with its own
`SHA256SUMS`; it names the record by its digest, and the register holds its hash and that of its sums. What it says of
the record and of the deviation is what the record says, and is held to it.
"""

import getpass
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kit import __version__
from kit.canonical import Json, canonical, sha256, sha256_file
from kit.errors import EvidenceError, KitError, RecordError, RejectionError
from kit.evidence import timestamp, utc_now
from kit.record import results
from kit.record.folders import held, sync, sync_folder, temporary_folder
from kit.record.manifest import (
    ADDENDA,
    FINDINGS,
    MANIFEST,
    NOTEBOOK,
    RECORD,
    RESTORE,
    SUMS,
    account_of,
    files_in,
    read_manifest,
    sums_text,
)
from kit.record.register import register_beside, seen_beside
from kit.record.whole import hashes_of, hold_page, hold_sums, malformed_rejected
from kit.redaction import refuse_secrets

DATA = "addendum.json"
PAGE = "addendum.html"
PAPER = "addendum.pdf"

Render = Callable[[Path, Mapping[str, Json], str], list[KitError]]
"""Writes `addendum.html` and `addendum.pdf` into a folder, given the addendum and its digest."""

_FIRST = {
    "schema", "number", "record_id", "record_digest", "demonstration", "page_size", "deviation", "cause", "impact",
    "action", "decision", "author", "account", "time", "kit_version", "register",
}  # fmt: skip

_MEMBERS = {1: _FIRST, 2: _FIRST | {"record"}}
"""What an addendum holds, by its schema: one of the first is read as it was written."""

_FIRST_DEVIATION = ("id", "test_case", "verdict", "expected", "actual", "message")
_TEXTS = _FIRST - {"schema", "number", "demonstration", "deviation", "register"}


@dataclass(frozen=True)
class Addendum:
    """One addendum: the name of its folder, what it says, and the SHA-256 of that and of its `SHA256SUMS`."""

    name: str
    data: Mapping[str, Json]
    digest: str
    sums: str

    def to_json(self) -> dict[str, Json]:
        """Return what the register holds of it: by the hash of its sums, page and PDF as well."""
        return {
            "addendum": self.name,
            "deviation": self.data["deviation"]["id"],
            "sha256": self.digest,
            "sums_sha256": self.sums,
        }


@dataclass(frozen=True)
class Handling:
    """What is stated of a deviation: why it came, what it affects, what is done, and what is decided, and by whom."""

    cause: str
    impact: str
    action: str
    decision: str
    author: str = ""


def deviations_of(record: Path, manifest: Mapping[str, Json]) -> dict[str, Mapping[str, Json]]:
    """Return the deviations that a record opened, by id, in order; a protocol that was not executed has none."""
    if manifest["kind"] != RECORD:
        return {}
    found = json.loads((record / FINDINGS).read_bytes())["findings"]
    return {row["id"]: row for row in results.deviations(found)["rows"]}


def add(record: Path, deviation_id: str, handling: Handling, render: Render) -> tuple[Addendum, list[KitError]]:
    """Write an addendum to a deviation of a record, whole or not at all, and register it.

    Returns it, and what could not be rendered. The record is taken to be verified.

    Raises:
        RecordError: the record has no such deviation, a statement is empty, or it can't be written.
    """
    manifest = read_manifest(record)
    known = _deviations_told(record, manifest)
    if deviation_id not in known:
        raise RecordError(
            f"{record.name} has no deviation {deviation_id}",
            f"name one of {', '.join(known)}" if known else "nothing of it deviated",
        )
    told = {
        name: " ".join(getattr(handling, name).split()) for name in ("cause", "impact", "action", "decision", "author")
    }
    account = _account()
    told["author"] = told["author"] or account
    if empty := [name for name, text in told.items() if not any(char.isalnum() for char in text)]:
        option = "by" if empty[0] == "author" else empty[0]
        raise RecordError(f"the addendum states no {empty[0]}", f"give --{option}")
    refuse_secrets(told)
    try:
        with held(record), temporary_folder(record.parent / f".sealing-{record.name}-addendum") as temporary:
            _register_what_is_there(record)
            number = len(read_addenda(record)) + 1
            name = f"{number:02d}-{deviation_id}"
            written = temporary / name
            written.mkdir()
            data = {
                "schema": 2,
                "number": number,
                "record_id": manifest["record_id"],
                "record_digest": sha256_file(record / MANIFEST),
                "demonstration": manifest["demonstration"],
                "page_size": manifest["page_size"],
                "record": _told_of(manifest),
                "deviation": dict(known[deviation_id]),
                **told,
                "account": account,
                "time": timestamp(utc_now()),
                "kit_version": __version__,
                "register": seen_beside(record).to_json(),
            }
            content = canonical(data)
            (written / DATA).write_bytes(content)
            warnings = render(written, data, sha256(content))
            sums = sums_text(written).encode()
            (written / SUMS).write_bytes(sums)
            sync(temporary)
            # a folder of addenda that holds none is no whole record, so the first one comes with it
            if (record / ADDENDA).exists():
                written.rename(record / ADDENDA / name)
            else:
                temporary.rename(record / ADDENDA)
            sync_folder(record / ADDENDA)
            sync_folder(record)
            _register_what_is_there(record)
    except OSError as error:
        raise RecordError(
            f"the addendum can't be written: {error.strerror or error}", "free space, and write it again"
        ) from error
    return Addendum(name, data, sha256(content), sha256(sums)), warnings


def read_addenda(record: Path) -> list[Addendum]:
    """Return the addenda of a record in their order, each held to be whole.

    Raises:
        RejectionError: one is missing, was changed, or is none of this record.
    """
    folder = record / ADDENDA
    if not folder.exists():
        return []
    manifest = read_manifest(record)
    of = _Of(manifest, sha256_file(record / MANIFEST), _deviations_told(record, manifest))
    found = [_read(path, number, of) for number, path in enumerate(sorted(folder.iterdir(), key=_place), start=1)]
    if not found:
        raise RejectionError(f"{ADDENDA} holds no addendum", RESTORE)
    return found


@dataclass(frozen=True)
class _Of:
    """The record that addenda have to be of: its manifest, its digest, and its deviations by id."""

    manifest: Mapping[str, Json]
    digest: str
    deviations: Mapping[str, Mapping[str, Json]]


def _deviations_told(record: Path, manifest: Mapping[str, Json]) -> dict[str, Mapping[str, Json]]:
    """Return the deviations of a record by id, with title and criticality as its notebook has them.

    The catalogue may say otherwise by the time that a deviation is handled; what the notebook does not show is empty.
    """
    known = deviations_of(record, manifest)
    if not known:
        return {}
    with malformed_rejected(NOTEBOOK):
        shown = results.test_cases_in(json.loads((record / NOTEBOOK).read_bytes()))
        cases = {name: shown.get(row["test_case"], {}) for name, row in known.items()}
        return {
            name: {**row, **{member: cases[name].get(member, "") for member in ("title", "criticality")}}
            for name, row in known.items()
        }


def _told_of(manifest: Mapping[str, Json]) -> dict[str, Json]:
    """Return what an addendum says of its record, as the cover of the record does."""
    return {
        "system_id": manifest["system_id"],
        "environment": manifest["environment"],
        "aws_account": account_of(manifest),
        "protocol": manifest["protocol_id"] or manifest["protocol"]["id"],
        "protocol_version": manifest["protocol"]["version"],
        "verdict": manifest["verdict"],
    }


def _place(path: Path) -> tuple[int, str]:
    number = path.name.partition("-")[0]
    return (int(number) if number.isdecimal() else 0, path.name)


def _read(path: Path, number: int, of: _Of) -> Addendum:
    name = f"{ADDENDA}/{path.name}"
    if not path.is_dir():
        raise RejectionError(f"{name} is no addendum", RESTORE)
    present = set(files_in(path))
    for wanted in (DATA, PAGE, SUMS):
        if wanted not in present:
            raise RejectionError(f"{name}/{wanted} is missing", RESTORE)
    if other := sorted(present - {DATA, PAGE, PAPER, SUMS}):
        raise RejectionError(f"{name}/{other[0]} is no file of an addendum", RESTORE)
    hashes = hashes_of(path, present - {SUMS})
    try:
        hold_sums(path, hashes)
        hold_page(path / PAGE, hashes[DATA])
    except RejectionError as error:
        raise RejectionError(f"{name}: {error.message}", error.remedy) from error
    data = _data(path / DATA, name)
    deviation_id = _hold(data, name, of)
    if data["number"] != number or path.name != f"{number:02d}-{deviation_id}":
        raise RejectionError(f"{name} is not addendum {number}: one is missing, or was renamed", RESTORE)
    return Addendum(path.name, data, hashes[DATA], sha256_file(path / SUMS))


def _hold(data: Mapping[str, Json], name: str, of: _Of) -> str:
    """Hold what an addendum says of its record and its deviation to the record, and return the deviation's id."""
    told = (data["record_id"], data["record_digest"], data["demonstration"])
    if told != (of.manifest["record_id"], of.digest, of.manifest["demonstration"]):
        raise RejectionError(f"{name} is of another record", RESTORE)
    deviation = data["deviation"]
    known = of.deviations.get(str(deviation.get("id"))) if isinstance(deviation, dict) else None
    if known and data["schema"] == 1:
        known = {member: known[member] for member in _FIRST_DEVIATION}
    if not known or canonical(known) != canonical(deviation):
        raise RejectionError(f"{name} tells of another deviation than the record has", RESTORE)
    if data["schema"] > 1 and canonical(data["record"]) != canonical(_told_of(of.manifest)):
        raise RejectionError(f"{name} says of the record what its manifest does not", RESTORE)
    return str(known["id"])


def _data(path: Path, name: str) -> dict[str, Json]:
    content = path.read_bytes()
    try:
        data = json.loads(content)
        whole = isinstance(data, dict) and set(data) == _MEMBERS[data.get("schema", 0)] and canonical(data) == content
        texts = [data[one] for one in _TEXTS] if whole else []
    except (ValueError, TypeError, LookupError, RecursionError, EvidenceError):
        whole, texts = False, []
    if not whole or not all(isinstance(text, str) for text in texts) or set(data["register"]) != {"number", "sha256"}:
        raise RejectionError(f"{name}/{path.name} is not as the kit writes it", RESTORE)
    return dict(data)


def _register_what_is_there(record: Path) -> None:
    """Register each addendum that the register does not hold yet: an interruption may have come in between."""
    with register_beside(record) as register:
        if register is None:
            return
        known = register.known("deviation", record.name, "addendum")
        for addendum in read_addenda(record):
            if addendum.name not in known:
                register.append("deviation", record.name, addendum.to_json())


def _account() -> str:
    """Return the name of the operating system's account, where it has one."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
