"""Addenda: how a deviation was handled, added beside a sealed record that itself is never edited.

Each stands in a folder of its own, `addenda/<number>-<deviation>`, as canonical JSON, HTML and PDF, with its own
`SHA256SUMS`; it names the record by its digest, and the register holds its hash and that of its sums.
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
from kit.record.manifest import ADDENDA, FINDINGS, MANIFEST, RECORD, RESTORE, SUMS, files_in, read_manifest, sums_text
from kit.record.register import register_beside, seen_beside
from kit.record.whole import hashes_of, hold_page, hold_sums
from kit.redaction import refuse_secrets

DATA = "addendum.json"
PAGE = "addendum.html"
PAPER = "addendum.pdf"

Render = Callable[[Path, Mapping[str, Json], str], list[KitError]]
"""Writes `addendum.html` and `addendum.pdf` into a folder, given the addendum and its digest."""

_MEMBERS = {
    "schema", "number", "record_id", "record_digest", "demonstration", "page_size", "deviation", "cause", "impact",
    "action", "decision", "author", "account", "time", "kit_version", "register",
}  # fmt: skip

_TEXTS = _MEMBERS - {"schema", "number", "demonstration", "deviation", "register"}


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
    known = deviations_of(record, manifest)
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
                "schema": 1,
                "number": number,
                "record_id": manifest["record_id"],
                "record_digest": sha256_file(record / MANIFEST),
                "demonstration": manifest["demonstration"],
                "page_size": manifest["page_size"],
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
    of = _Of(manifest, sha256_file(record / MANIFEST), deviations_of(record, manifest))
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
    told = (data["record_id"], data["record_digest"], data["demonstration"])
    if told != (of.manifest["record_id"], of.digest, of.manifest["demonstration"]):
        raise RejectionError(f"{name} is of another record", RESTORE)
    deviation = data["deviation"]
    if not isinstance(deviation, dict) or canonical(of.deviations.get(str(deviation.get("id")))) != canonical(
        deviation
    ):
        raise RejectionError(f"{name} tells of another deviation than the record has", RESTORE)
    if data["number"] != number or path.name != f"{number:02d}-{deviation['id']}":
        raise RejectionError(f"{name} is not addendum {number}: one is missing, or was renamed", RESTORE)
    return Addendum(path.name, data, hashes[DATA], sha256_file(path / SUMS))


def _data(path: Path, name: str) -> dict[str, Json]:
    content = path.read_bytes()
    try:
        data = json.loads(content)
        whole = isinstance(data, dict) and set(data) == _MEMBERS and canonical(data) == content
        texts = [data[one] for one in _TEXTS] if whole else []
    except (ValueError, RecursionError, EvidenceError):
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
