"""What an outputs folder tells of every run and record, each on a row: seen in the register and the folder, not proven.

A verdict is a row's outcome only where `manifest.json` has the registered digest, and says the same. Whatever is amiss
is an outcome of its own, so that no row is dropped and none reads as a verdict that nobody can show.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

from kit.canonical import Json, sha256
from kit.errors import KitError, RecordError
from kit.evidence import timestamp, utc_now
from kit.findings import Verdict
from kit.record.folders import elsewhere, records_in
from kit.record.history import KIT, History, histories
from kit.record.manifest import HTML, MANIFEST, PDF, PROTOCOL, RECORD, SIGNED, is_plain_name, parse_manifest
from kit.record.register import REGISTER, Seen, read_register

PAGES = (HTML, PDF, SIGNED)
OUTCOMES = (
    *(verdict.value for verdict in Verdict), "issued", "concluded", "started", "failed", "aborted",
    "gone", "unreadable", "differs", "unregistered",
)  # fmt: skip
"""What a row can come to: a verdict, what became of a run without a record, or what is amiss with a record."""

_RECORD_ID = re.compile(r"[A-Z]+-\d{8}T\d{6}Z-[0-9a-f]{6}", re.ASCII)


@dataclass(frozen=True)
class Row:
    """One run, record or issued protocol. What nothing states is empty; `demonstration` is then None."""

    record_id: str
    outcome: str
    notes: tuple[str, ...]
    began: str
    digest: str
    protocol: str
    version: str
    protocol_id: str
    kit: str
    """Whether the run cites a qualification of its kit, and which; empty where it says nothing of that."""
    account: str
    trail: str
    system: str
    environment: str
    demonstration: bool | None
    executed: bool
    """Whether it is of a run; else of a protocol that was issued, or of what nobody can tell."""
    executed_by: str
    attempt: int | None
    reason: str
    signed: tuple[tuple[str, str, str], ...]
    """Role, name and time of each signature that is registered."""
    later: tuple[str, ...]
    folder: bool
    pages: tuple[str, ...]


@dataclass(frozen=True)
class Overview:
    """Every row, the latest first; the register's head as it was then; and why there is none, if there is none."""

    rows: tuple[Row, ...]
    head: Seen
    made: str
    problem: KitError | None


def overview(outputs: Path) -> Overview:
    """Return what an outputs folder tells. Where its register is not whole, the records are there as not registered.

    Raises:
        RecordError: it is no folder, or can't be listed.
    """
    # before the register is read: what is sealed meanwhile is then registered, and not taken for a stranger
    beside = _beside(outputs)
    made, problem, known, head = timestamp(utc_now()), None, {}, Seen(0, "")
    try:
        entries = read_register(outputs / REGISTER)
        known = histories(entries)
        head = entries[-1].seen if entries else head
    except KitError as error:
        problem = error
    # a round is no run: its summary is, and has a row
    rows = [_registered(one, outputs) for one in known.values() if not one.last("opened")]
    rows += [_stranger(outputs / name) for name in beside if name not in known]
    rows.sort(key=lambda row: (row.began, row.record_id), reverse=True)
    return Overview(tuple(rows), head, made, problem)


def _beside(outputs: Path) -> list[str]:
    """Return the names of the records in a folder, and of what is named like one and is none any more."""
    try:
        named = [path.name for path in outputs.iterdir() if _RECORD_ID.fullmatch(path.name)]
    except OSError as error:
        raise RecordError(f"{outputs} can't be listed: {error.strerror}", "name the outputs folder") from error
    return sorted({*named, *(folder.name for folder in records_in(outputs))})


def _registered(one: History, outputs: Path) -> Row:
    state, digest = one.state, one.digest
    # a register that somebody wrote could name any path
    inside = is_plain_name(one.record_id) and "/" not in one.record_id and not one.record_id.startswith(".")
    folder = outputs / one.record_id if inside else None
    content = _content(folder) if folder else None
    told: Mapping[str, Any] = one.first
    if state == "finished" and one.verdict not in OUTCOMES[: len(Verdict)]:
        outcome, said = "unreadable", f"The register tells a verdict that this kit does not know: {one.verdict}."
    elif state in ("finished", "issued"):
        outcome, said = _standing(folder, content, one)
    elif content is not None:
        outcome, said = "unregistered", f"A record is here, and the register says {state}; the next run settles it."
    elif state in OUTCOMES:
        outcome, said = state, _ended(one)
    else:
        outcome, said = "unregistered", f"The register does not tell how it began, only: {state}."
    if outcome == "issued" and content:
        told = _loaded(content)
    signed = tuple(
        (_text(entry.data, "role"), _text(entry.data, "name"), _text(entry.data, "time") or entry.time)
        for entry in one.entries
        if entry.event == "signed"
    )
    pages = _pages(folder)
    notes = [said, *(_lacking(pages, signed) if content is not None else ())]
    later = tuple(line for line in one.to_json()["later"] if not line.startswith("signed"))
    return Row(
        one.record_id, outcome, tuple(filter(None, notes)), one.entries[0].time, digest, **_facts(told),
        executed=one.last("started") is not None, signed=signed, later=later, pages=pages,
        folder=bool(folder and S_ISDIR(_mode(folder))),
    )  # fmt: skip


def _standing(folder: Path | None, content: bytes | None, one: History) -> tuple[str, str]:
    """Return the outcome of a record that the register holds, and what is to be said of it."""
    agreed = one.verdict or "issued"
    registered = f"The register says {agreed.replace('_', ' ')}"
    if folder is None or not os.path.lexists(folder):
        return "gone", f"{registered}; the folder of the record is not here."
    if content is None:
        return "unreadable", f"{registered}; {MANIFEST} is not in the folder, or can't be read."
    told = _loaded(content)
    said: dict[str, Json] = {"record_id": one.record_id, "kind": PROTOCOL if agreed == "issued" else RECORD}
    if agreed != "issued":
        said |= {"verdict": agreed, "demonstration": one.first.get("demonstration")}
    if sha256(content) != one.digest or any(told.get(name) != value for name, value in said.items()):
        return "differs", f"{registered}; {MANIFEST} is not the one that was registered. Do not rely on this record."
    return agreed, ""


def _ended(one: History) -> str:
    """Return what is to be said of a run that left no record."""
    if one.state == "failed":
        entry = one.last("failed")
        return f"No record: {_text(entry.data if entry else {}, 'reason') or 'no reason is registered'}"
    if one.state == "concluded":
        return f"No record: the run concluded with {one.verdict.replace('_', ' ')}, and was not sealed."
    return "No record: it runs still, or ended without a word." if one.state == "started" else "No record."


def _stranger(folder: Path) -> Row:
    """Return the row of a record that the register does not know."""
    content = _content(folder)
    notes = ["The register here does not hold it: it was not made here, or the register is not whole."]
    outcome, told = "unregistered", dict[str, Any]()
    try:
        if content is None:
            raise RecordError(f"{MANIFEST} is not in the folder, or can't be read", "")
        told = parse_manifest(content)
        notes.append(f"Its manifest says {_text(told, 'verdict').replace('_', ' ') or 'that it is a protocol'}.")
        if told["record_id"] != folder.name:
            notes.append(f"Its manifest says that it is {told['record_id']}.")
    except KitError as error:
        outcome = "unreadable"
        notes.append(f"{error.message}.")
    began = _text(told, "started") or _text(told, "issued")
    return Row(
        folder.name, outcome, tuple(notes), began, sha256(content) if content else "", **_facts(told),
        executed=told.get("kind") == RECORD, signed=(), later=(), folder=S_ISDIR(_mode(folder)), pages=_pages(folder),
    )  # fmt: skip


def _content(folder: Path) -> bytes | None:
    """Return the bytes of a manifest; None where there is no regular file that can be read."""
    path = folder / MANIFEST
    try:
        return path.read_bytes() if S_ISREG(_mode(path)) else None
    except OSError:
        return None


def _pages(folder: Path | None) -> tuple[str, ...]:
    others = elsewhere(folder) if folder else ()
    return tuple(name for name in PAGES if folder and (name in others or S_ISREG(_mode(folder / name))))


def _mode(path: Path) -> int:
    """Return the mode of a file; 0 where that can't be told, and be it for a name that no file can have."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0


def _lacking(pages: tuple[str, ...], signed: tuple[Any, ...]) -> Iterator[str]:
    if HTML not in pages:
        yield f"{HTML} is not in the folder."
    if signed and SIGNED not in pages:
        yield f"It is registered as signed, and {SIGNED} is not in the folder."
    if SIGNED in pages and not signed:
        yield f"{SIGNED} is in the folder, and no signature is registered."


def _facts(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an entry of the register, or a manifest, says of a run; the two name account and trail otherwise."""
    target, attempt, demonstration = told.get("target"), told.get("attempt"), told.get("demonstration")
    number = attempt.get("number") if isinstance(attempt, dict) else attempt
    registered = isinstance(target, dict)
    return {
        "protocol": _text(told, "protocol", "id"),
        "version": _text(told, "protocol", "version"),
        "account": _text(told, "target", "account_id")
        if registered
        else _text(told, "parameters", "target", "account_id"),
        "trail": _text(told, "target", "trail_arn")
        if registered
        else _text(told, "parameters", "expected", "trail_arn"),
        "system": _text(told, "system_id"),
        "kit": _kit(told.get(KIT)),
        "demonstration": demonstration if isinstance(demonstration, bool) else None,
        "attempt": number if type(number) is int else None,
        **{name: _text(told, name) for name in ("protocol_id", "environment", "executed_by", "reason")},
    }


def _kit(told: Any) -> str:
    if not isinstance(told, Mapping):
        return ""
    cited = _text(told, "record", "record_id")
    return f"kit qualified by {cited}" if told.get("qualified") is True and cited else "kit not qualified"


def _text(told: Any, *names: str) -> str:
    """Return the text at the end of a path of members; empty where there is none."""
    for name in names:
        told = told.get(name) if isinstance(told, Mapping) else None
    return told if isinstance(told, str) else ""


def _loaded(content: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
