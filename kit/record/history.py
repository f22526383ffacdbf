"""What the register tells of runs: which attempt one was, what became of the others, and which never ended."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from kit.canonical import Json, sha256, sha256_file
from kit.errors import KitError, ParameterError, RecordError, RejectionError
from kit.evidence import INDEX
from kit.findings import Verdict
from kit.parameters import RunParameters
from kit.record.folders import is_held, records_in, restore
from kit.record.manifest import EVIDENCE, MANIFEST, PROTOCOL, RESTORE, RUNS, read_manifest, rendered_in
from kit.record.register import Register, RegisterEntry, Seen, hold_seen
from kit.sections import Execution

KIT = "kit_qualification"
"""Under which name a run, its start in the register and its manifest say what qualifies the kit."""

_CATALOGUE = ("catalogue_sha256", "own_checks")
_STATES = ("issued", "started", "concluded", "finished", "failed", "aborted")


@dataclass(frozen=True)
class History:
    """What the register holds of one record: all its entries in order, the first of which tells how it began."""

    record_id: str
    entries: tuple[RegisterEntry, ...]

    @property
    def first(self) -> Mapping[str, Json]:
        """What was registered when it began."""
        return self.entries[0].data

    @property
    def state(self) -> str:
        """What became of it: issued, started, concluded, failed or aborted; once it was finished, finished."""
        states = [entry.event for entry in self.entries if entry.event in _STATES]
        return "finished" if "finished" in states else states[-1] if states else self.entries[-1].event

    def last(self, *events: str) -> RegisterEntry | None:
        """Return the latest entry of one of these events."""
        return next((entry for entry in reversed(self.entries) if entry.event in events), None)

    @property
    def verdict(self) -> str:
        """The verdict it came to, empty where none is known."""
        told = self.last("finished", "concluded")
        return str(told.data.get("verdict", "")) if told else ""

    def to_json(self) -> dict[str, Json]:
        """Return it as a row of a list."""
        first = self.entries[0]
        return {
            "record_id": self.record_id,
            "began": first.time,
            "attempt": first.data.get("attempt"),
            "state": self.state,
            "verdict": self.verdict,
            "digest": self.digest,
            "executed_by": first.data.get("executed_by") or "",
            "reason": first.data.get("reason") or "",
            "later": [_later(entry) for entry in self.entries if entry.event not in _STATES],
        }

    @property
    def digest(self) -> str:
        """The record digest, empty where no record stands."""
        told = self.last("finished", "issued")
        return str(told.data.get("digest", "")) if told else ""


def _later(entry: RegisterEntry) -> str:
    what = {"signed": "role", "deviation": "deviation"}.get(entry.event)
    return f"{entry.event} {entry.data.get(what, '')}" if what else entry.event


def histories(entries: Iterable[RegisterEntry]) -> dict[str, History]:
    """Return what the register holds of each record, in the order in which they began."""
    by_record: dict[str, list[RegisterEntry]] = {}
    for entry in entries:
        by_record.setdefault(entry.record, []).append(entry)
    return {name: History(name, tuple(own)) for name, own in by_record.items()}


def target_of(protocol_id: str, parameters: RunParameters) -> dict[str, Json]:
    """Return by what repeats are told: the same protocol on the same trail of the same account."""
    return {
        "protocol": protocol_id,
        "account_id": parameters.account_id,
        "trail_arn": parameters.expected.trail_arn,
        "demonstration": parameters.demonstration,
    }


def runs_in_round(entries: Iterable[RegisterEntry], protocol_id: str, round_id: str) -> list[History]:
    """Return the runs of a protocol whose stated reason names a round, in the order in which they began."""
    return [
        one
        for one in histories(entries).values()
        if isinstance(target := one.first.get("target"), dict)
        and target.get("protocol") == protocol_id
        and str(one.first.get("reason") or "").endswith(round_id)
    ]


def start(register: Register, outputs: Path, run_id: str, of: Mapping[str, Json]) -> dict[str, Json]:
    """Register the start of a run, and return what the run shows of it: entry, attempt, and the earlier ones.

    `of` holds `target`, as `target_of` gives it, `reason`, and whatever else identifies the run. Runs that ended
    without a word are registered as aborted first.

    Raises:
        ParameterError: it is a repeat, and states no reason; nothing is registered.
        RecordError: the register can't be written, or lacks what the records beside it saw.
    """
    settle(register, outputs)
    _hold_beside(register, outputs)
    earlier = _earlier(register.entries, of["target"])
    number = len(earlier) + 1
    if earlier and not of["reason"] and not of["target"]["demonstration"]:
        raise ParameterError(
            f"this is run {number} of {of['target']['protocol']} on this target, and it states no reason: "
            f"the one before is {earlier[-1]['record_id']}, {earlier[-1]['verdict'] or earlier[-1]['state']}",
            "say why it is repeated: --set 'execution.reason=...', or in the parameters file",
        )
    entry = register.append("started", run_id, {**of, "attempt": number})
    return {"register": entry.seen.to_json(), "attempt": {"number": number, "earlier": earlier}}


def _hold_beside(register: Register, outputs: Path) -> None:
    """Hold the register to what the records beside it saw of it: a run in a register that was cut would be the first.

    Raises:
        RecordError: an entry that a record saw is missing, or is another.
    """
    seen = {}
    for folder in records_in(outputs):
        with suppress(KitError, KeyError, TypeError):
            seen[folder.name] = Seen(**read_manifest(folder)["register"]["head"])
    try:
        hold_seen(register.path, register.entries, seen)
    except RejectionError as error:
        raise RecordError(f"the register is not whole: {error.message}", error.remedy) from error


def _earlier(entries: Sequence[RegisterEntry], target: Json) -> list[dict[str, Json]]:
    """Return what became of each run on a target, as far as the entries tell."""
    return [_told(one) for one in histories(entries).values() if one.first.get("target") == target]


def _told(one: History) -> dict[str, Json]:
    return {
        "record_id": one.record_id,
        "started": one.entries[0].time,
        "state": one.state,
        "verdict": one.verdict,
        "reason": one.first.get("reason"),
        "digest": one.digest,
    }


def settle(register: Register, outputs: Path) -> None:
    """Register the end of runs that ended without a word: a record that stands is finished, what is dead is aborted.

    So is a protocol that stands, and was issued here: what a killed process left is put back first, or away.

    Raises:
        RecordError: the register can't be written.
    """
    restore(outputs)
    known = histories(register.entries)
    for folder in records_in(outputs):
        if folder.name not in known and (issued := _issued(register, folder)):
            register.append("issued", folder.name, issued | {"found": True})
    for one in known.values():
        if one.state == "finished" or one.last("started") is None:
            continue
        if sealed := _sealed(outputs / one.record_id):
            register.append("finished", one.record_id, sealed | {"found": True})
        elif one.state == "started" and not is_held(outputs / RUNS / one.record_id):
            register.append("aborted", one.record_id, {})


def _sealed(folder: Path) -> dict[str, Json] | None:
    try:
        return {
            "verdict": str(read_manifest(folder)["verdict"]),
            "digest": sha256_file(folder / MANIFEST),
            "files": rendered_in(folder),
        }
    except (KitError, OSError, KeyError):
        return None


def _issued(register: Register, folder: Path) -> dict[str, Json] | None:
    """Return what is registered of a protocol that stands; None where it is none, or saw another register."""
    try:
        manifest = read_manifest(folder)
        head = Seen(**manifest["register"]["head"])
        if manifest["kind"] != PROTOCOL or manifest["record_id"] != folder.name or not _holds(register, head):
            return None
        of = {name: manifest["protocol"][name] for name in ("id", "version")}
        return {"digest": sha256_file(folder / MANIFEST), "protocol": of, "files": rendered_in(folder)}
    except (KitError, OSError, KeyError, TypeError):
        return None


def _holds(register: Register, seen: Seen) -> bool:
    return seen.number == 0 or seen in (entry.seen for entry in register.entries[seen.number - 1 : seen.number])


def require_started(register: Register, run_id: str, number: int, sha256: str) -> None:
    """Require that the register holds the start of a run as the run saw it.

    Raises:
        RecordError: it does not.
    """
    found = register.entries[number - 1] if 0 < number <= len(register.entries) else None
    if found is None or found.sha256 != sha256 or (found.event, found.record) != ("started", run_id):
        raise RecordError(
            f"{register.path} does not hold the start of {run_id}",
            "restore the register from its back-up: what was not registered can't be sealed",
        )


def hold_run(manifest: Mapping[str, Json], entries: Sequence[RegisterEntry], name: str) -> None:
    """Hold what a manifest says of its run to what was registered as it started, concluded and finished.

    A notebook can be edited before it is sealed; what it was registered with can't. `name` is that of the register.

    Raises:
        RejectionError: they differ; says in what.
    """
    record_id, seen = manifest["record_id"], manifest["register"]["started"]["number"]
    history = histories(entries)[record_id]
    first = history.entries[0]
    if (first.event, first.number) != ("started", seen):
        raise RejectionError(f"entry {seen} of {name} is not the start of {record_id}", RESTORE)
    approval = manifest["approval"]
    told = {
        "attempt": manifest["attempt"]["number"],
        "kit_version": manifest["executed_with"]["kit_version"],
        "approval": approval["sha256"] if approval else None,
        KIT: manifest.get(KIT),
        **{name: manifest[name] for name in ("started", "demonstration", "parameters_sha256", *_CATALOGUE)},
        **{field: manifest[field] for field in Execution.model_fields},
    }
    if differ := [field for field, value in told.items() if first.data.get(field) != value]:
        raise RejectionError(f"{name} tells another start of {record_id}: {', '.join(differ)}", RESTORE)
    if _earlier(entries[: seen - 1], first.data["target"]) != manifest["attempt"]["earlier"]:
        raise RejectionError(f"{name} tells otherwise of the runs before {record_id}", RESTORE)
    _hold_kit(manifest.get(KIT), entries[: seen - 1], record_id, name)
    _hold_conclusion(manifest, history, name)
    for entry in history.entries:
        if entry.event == "finished" and entry.data["verdict"] != manifest["verdict"]:
            raise RejectionError(f"{name} says that {record_id} finished with {entry.data['verdict']}", RESTORE)


def _hold_kit(told: Json, entries: Sequence[RegisterEntry], record_id: str, name: str) -> None:
    """Hold what a run cites as the qualification of its kit to what was registered of that before."""
    cited = told["record"] if told else None
    if told and told["qualified"] and (cited is None or cited["verdict"] != Verdict.PASS):
        raise RejectionError(f"{record_id} cites no qualification of its kit that passed, and says so", RESTORE)
    if cited:
        wanted = (cited["digest"], cited["verdict"])
        finished = [one.data for one in entries if (one.event, one.record) == ("finished", cited["record_id"])]
        if not finished or any((one["digest"], one["verdict"]) != wanted for one in finished):
            what = f"{cited['record_id']}, which {record_id} cites as the qualification of its kit"
            raise RejectionError(f"{name} does not hold {what}", RESTORE)


def _hold_conclusion(manifest: Mapping[str, Json], history: History, name: str) -> None:
    before = takewhile(lambda entry: entry.event != "finished", history.entries)
    concluded = [entry.data for entry in before if entry.event == "concluded"]
    index = manifest["files"].get(f"{EVIDENCE}/{INDEX}", {"sha256": sha256(b"")})
    told = {"evidence_sha256": index["sha256"]}
    told |= {field: manifest[field] for field in ("findings_sha256", "finished", "caller")}
    if not concluded or (differ := [field for field, value in told.items() if concluded[-1].get(field) != value]):
        what = f" ({', '.join(differ)})" if concluded else ""
        raise RejectionError(f"{name} does not hold that {manifest['record_id']} concluded so{what}", RESTORE)
