"""What a record is bound to: the register, the approved protocol, its addenda, and what its own manifest says."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.canonical import Json, canonical, sha256
from kit.errors import EvidenceError, KitError, RecordError, RejectionError
from kit.findings import Finding, roll_up
from kit.record.addenda import Addendum
from kit.record.history import History, histories, hold_run
from kit.record.manifest import APPROVAL, FINDINGS, PROTOCOL, RESTORE, SIGNED
from kit.record.receipt import Kept
from kit.record.register import RegisterEntry, Seen, hold_seen
from kit.record.signatures.statement import Statement, hold_rules
from kit.record.verification.approval import hold_approved, read_approval
from kit.record.verification.replay import parameters_of
from kit.record.whole import prefix_hashes


@dataclass(frozen=True)
class Given:
    """A record as it is verified: its folder, manifest and digest, and what was added to it later.

    `signed` is the signed PDF, where there is one; `pages` are the SHA-256 of HTML and PDF, None for a lone PDF.
    """

    folder: Path
    manifest: Mapping[str, Json]
    digest: str
    signed: Path | None
    statements: tuple[Statement, ...]
    addenda: tuple[Addendum, ...]
    pages: Mapping[str, str] | None

    @property
    def record_id(self) -> str:
        """The id of the record."""
        return str(self.manifest["record_id"])

    @property
    def seen(self) -> dict[str, Seen]:
        """The entries of the register that the record, its signatures and its addenda saw."""
        told = self.manifest["register"]
        found = {f"{self.record_id} as it was sealed": Seen(**told["head"])}
        if "started" in told:
            found[f"{self.record_id} as it started"] = Seen(**told["started"])
        for one in self.statements:
            found[f"the signature of the {one.role}"] = Seen(one.register_number, one.register_head)
        for addendum in self.addenda:
            found[f"addendum {addendum.name}"] = Seen(**addendum.data["register"])
        return found


def hold_manifest(given: Given) -> str:
    """Hold that verdict, findings and parameters of a manifest agree with the sealed findings and with each other.

    Raises:
        RejectionError: they do not.
    """
    manifest = given.manifest
    if manifest["kind"] == PROTOCOL:
        return "it is a protocol that was issued for approval, and holds no result"
    try:
        document = json.loads((given.folder / FINDINGS).read_bytes())
        found = document["findings"]
        verdicts = [Finding.from_json(finding).verdict for finding in found]
        same = {
            "verdict": (document["verdict"], manifest["verdict"]),
            "record": (document["run_id"], manifest["record_id"]),
            "protocol": (document["protocol"], manifest["protocol"]["id"]),
            "origin": ({document["demonstration"], manifest["demonstration"]}, {_is_demonstration(manifest)}),
            "findings": (sha256(canonical(found)), manifest["findings_sha256"]),
            "parameters": (sha256(canonical(parameters_of(manifest))), manifest["parameters_sha256"]),
        }
        if differ := [name for name, (one, other) in same.items() if one != other]:
            raise RejectionError(f"{FINDINGS} and the manifest differ in {', '.join(differ)}", RESTORE)
        verdict = roll_up(verdicts)
    except (ValueError, KeyError, TypeError, EvidenceError) as error:
        what = error.message if isinstance(error, KitError) else repr(error)
        raise RejectionError(f"{FINDINGS} is not as the kit writes it: {what}", RESTORE) from error
    if verdict != manifest["verdict"]:
        raise RejectionError(
            f"the verdict {manifest['verdict']} does not follow from {FINDINGS}: {verdict.value}", RESTORE
        )
    return f"the verdict {verdict.value} follows from {len(found)} findings"


def _is_demonstration(manifest: Mapping[str, Json]) -> bool:
    """Return whether a run was one by its parameters; as `RunParameters.demonstration`, of any version of them."""
    target = manifest["parameters"]["target"]
    if target == "round":
        return bool(manifest["parameters"]["of_round"]["demonstration"] or manifest["environment"] == "sandbox")
    return isinstance(target, str) or target["endpoint_url"] is not None or manifest["environment"] == "sandbox"


def hold_roles(given: Given, open_deviations: Sequence[str] | None) -> None:
    """Hold the signatures of a record to the rules of signing, each on those before it.

    Raises:
        RejectionError: a signature states another record, or breaks a rule.
    """
    manifest = given.manifest
    told = {
        "record_id": given.record_id,
        "record_digest": given.digest,
        "verdict": str(manifest.get("verdict", "")),
        "executed_by": str(manifest.get("executed_by", "")),
        "caller": str((manifest.get("caller") or {}).get("arn", "")),
    }
    for index, one in enumerate(given.statements):
        for name, value in told.items():
            if getattr(one, name) != value:
                raise RejectionError(f"{SIGNED}: the signature of the {one.role} states another {name}", RESTORE)
        try:
            hold_rules(one, given.statements[:index], open_deviations)
        except KitError as error:
            raise RejectionError(
                f"{SIGNED}: {error.message}", "the signature does not count: have it handled"
            ) from error


def hold_register(
    given: Given, path: Path, entries: Sequence[RegisterEntry], receipts: Sequence[Kept], *, unregistered: bool
) -> str:
    """Hold a register, read and its chain proven, against a record, its signatures, addenda and receipts.

    `unregistered` lets by what was added and not registered yet.

    Raises:
        RejectionError: an entry is missing or another, or the register says otherwise.
    """
    hold_seen(path, entries, given.seen)
    hold_receipts(path, entries, receipts)
    history = histories(entries).get(given.record_id)
    event = "issued" if given.manifest["kind"] == PROTOCOL else "finished"
    closed = _entries_of(history, event) if history else []
    if history is None or not closed:
        raise RejectionError(
            f"{path.name} does not hold that {given.record_id} was {event}",
            "if its sealing was interrupted, the next run registers it; else name its own register: --register",
        )
    # every entry counts, and not the last one: whoever can append to a register could put another in its place
    if any(entry.data["digest"] != given.digest for entry in closed):
        raise RejectionError(f"{path.name} holds another digest of {given.record_id}", RESTORE)
    if event == "finished":
        hold_run(given.manifest, entries, path.name)
    _hold_signed(given, history, path, unregistered=unregistered)
    if given.pages is not None:
        _hold_addenda(given, history, path, unregistered=unregistered)
    _hold_pages(given, [*closed, *_entries_of(history, "re-rendered")], path, unregistered=unregistered)
    number = history.first.get("attempt")
    which = f", run {number} of this protocol on this target" if number else ""
    return f"{path.name} is whole, with {len(entries)} entries, and holds {given.record_id}{which}"


def hold_receipts(path: Path, entries: Sequence[RegisterEntry], receipts: Iterable[Kept]) -> None:
    """Hold receipts of an archive to the entries of the register that they are.

    Raises:
        RejectionError: the register was cut, or holds no such receipt.
    """
    for one in receipts:
        hold_seen(path, entries, {one.name: one.seen})
        entry = entries[one.seen.number - 1] if one.seen.number > 0 else None
        if entry is None or (entry.event, entry.record, entry.data) != ("archived", one.record_id, one.told):
            raise RejectionError(f"{path.name} does not hold the receipt {one.name}", RESTORE)


def hold_added(given: Given, history: History, path: Path) -> None:
    """Hold pages, signed PDF and addenda of a record to the hashes that a register has of them.

    Raises:
        RejectionError: one is missing, or is another.
    """
    _hold_addenda(given, history, path, unregistered=False)
    closed = [entry for event in ("finished", "re-rendered") for entry in _entries_of(history, event)]
    _hold_pages(given, closed, path, unregistered=False)
    signed = _entries_of(history, "signed")
    if bool(signed) != bool(given.signed):
        what = "a signature, and it is not here" if signed else "no signature, and one is here"
        raise RejectionError(f"{SIGNED}: {path.name} holds {what}", RESTORE)
    if given.signed:
        _hold_prefixes(given.signed, signed, path, whole=True)


def _entries_of(history: History, event: str) -> list[RegisterEntry]:
    return [entry for entry in history.entries if entry.event == event]


def _hold_pages(given: Given, told: Sequence[RegisterEntry], path: Path, *, unregistered: bool) -> None:
    """Hold the pages of a record to what the register says they were each time they were rendered."""
    if given.pages is None:
        return
    rendered = [entry.data.get("files", {}) for entry in told]
    for files in rendered:
        for name, digest in files.items():
            if given.pages.get(name) != digest:
                raise RejectionError(f"{name} is not the one that {path.name} holds", RESTORE)
    unknown = sorted(name for name in given.pages if not any(name in files for files in rendered))
    if unknown and not unregistered:
        remedy = "if it was being added, `trailkit render` registers it"
        raise RejectionError(f"{unknown[0]} is not in {path.name}", remedy)


def _hold_signed(given: Given, history: History, path: Path, *, unregistered: bool) -> None:
    registered = _entries_of(history, "signed")
    stated = {one.role: one for one in given.statements}
    for entry in registered:
        role = entry.data["role"]
        if role not in stated:
            lone = given.pages is None
            holder, remedy = ("this PDF", f"name {SIGNED} of the record") if lone else (SIGNED, RESTORE)
            raise RejectionError(f"{path.name} holds a signature of the {role}, and {holder} does not", remedy)
        for field in ("name", "subject", "meaning", "time"):
            if entry.data[field] != getattr(stated[role], field):
                raise RejectionError(f"{path.name} says another {field} of the {role} than {SIGNED}", RESTORE)
    missing = [role for role in stated if role not in {entry.data["role"] for entry in registered}]
    if missing and not unregistered:
        raise RejectionError(
            f"the signature of the {missing[0]} in {SIGNED} is not in {path.name}",
            "if the signing was interrupted, sign again for the same role: that registers it",
        )
    if given.signed and registered:
        _hold_prefixes(given.signed, registered, path, whole=not missing)


def _hold_prefixes(signed: Path, registered: Sequence[RegisterEntry], path: Path, *, whole: bool) -> None:
    """Hold the signed PDF, up to where it ended at each signature, against the hashes in the register."""
    by_size = sorted(registered, key=lambda entry: int(entry.data["bytes"]))
    sizes = [int(entry.data["bytes"]) for entry in by_size]
    for entry, digest in zip(by_size, prefix_hashes(signed, sizes), strict=True):
        if digest != entry.data["sha256"]:
            raise RejectionError(f"{SIGNED} was changed: {path.name} holds another SHA-256 of it", RESTORE)
    if whole and signed.stat().st_size > sizes[-1]:
        raise RejectionError(f"{SIGNED} is longer than {path.name} says", RESTORE)


def _hold_addenda(given: Given, history: History, path: Path, *, unregistered: bool) -> None:
    registered = _entries_of(history, "deviation")
    present = {addendum.name: addendum for addendum in given.addenda}
    for entry in registered:
        name = entry.data["addendum"]
        if name not in present:
            raise RejectionError(f"addendum {name} is missing", RESTORE)
        if entry.data != present[name].to_json():
            raise RejectionError(f"addendum {name} is not the one that {path.name} holds", RESTORE)
    missing = sorted(set(present) - {entry.data["addendum"] for entry in registered})
    if missing and not unregistered:
        raise RejectionError(
            f"addendum {missing[0]} is not in {path.name}",
            "if writing it was interrupted, write another: that registers it",
        )


def hold_approval_of(given: Given, trust: Path | None) -> str | None:
    """Hold the approved protocol that a record cites; None where it cites none.

    Raises:
        RejectionError: the approval is another than what was executed, or its signatures do not hold.
    """
    if given.manifest["kind"] == PROTOCOL or given.manifest.get("approval") is None:
        return None
    try:
        approval = read_approval(given.folder / APPROVAL, trust)
    except RecordError as error:
        raise RejectionError(error.message, RESTORE) from error
    hold_approved(approval, given.manifest)
    approvers = ", ".join(f"{one.name}, {one.time}" for one in approval.statements if one.role == "approver")
    return f"executed as approved in {approval.record_id} by {approvers}"
