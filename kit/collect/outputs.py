"""Reads an outputs folder for a periodic review: the register, each record of the period, and what was archived."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kit.canonical import Json, sha256_file
from kit.collect.delivered import delivered_again
from kit.collect.gather import OPERATIONAL, TOOL
from kit.collect.readers import Readers
from kit.collect.settings import RecordedSettings
from kit.errors import ArchiveError, KitError, RecordError, is_unread
from kit.evidence import read_index, timestamp
from kit.parameters import RunParameters
from kit.record.addenda import deviations_of, read_addenda
from kit.record.compare import verdicts_of
from kit.record.folders import records_in
from kit.record.history import History, histories
from kit.record.manifest import EVIDENCE, MANIFEST, is_plain_name, read_manifest
from kit.record.register import REGISTER, RegisterEntry, Seen, read_register
from kit.record.standing import hold_standing
from kit.record.verification.replay import parameters_of
from kit.record.verification.verify import hold_record
from kit.review.state import state


@dataclass
class OutputsFolder:
    """The outputs folder of the run `run_id`, read as it is; `parameters` are those of the run.

    What is wrong in it is told, and is no error: it is what a review is to find.
    """

    folder: Path
    run_id: str
    parameters: RunParameters

    def __post_init__(self) -> None:
        self._entries: list[RegisterEntry] = []
        self._histories: dict[str, History] = {}

    def register(self, since: datetime) -> Json:
        """Return what the register says of the target: its runs since a time, and the latest of each kind before."""
        problem = ""
        try:
            self._entries = read_register(self.folder / REGISTER)
        except KitError as error:
            problem = error.message
        self._histories = histories(self._entries)
        own = [one for one in self._histories.values() if self._is_of_target(one) and one.record_id != self.run_id]
        earlier: dict[str, History] = {}
        chosen = []
        for one in own:
            if datetime.fromisoformat(one.entries[0].time) >= since:
                chosen.append(one)
            elif one.state == "finished":
                earlier[_protocol(one)] = one
        archived = {
            one.record_id: [str(entry.number) for entry in one.entries if entry.event == "archived"]
            for one in chosen
            if one.last("archived")
        }
        return {
            "problem": problem,
            "head": (self._entries[-1].seen if self._entries else Seen(0, "")).to_json(),
            "runs": [_told(one) for one in [*earlier.values(), *chosen]],
            **self._strangers(),
            "archived": archived,
        }

    def archives(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return where the archived records of the target lie, as `bucket/prefix`, and under which keys: the places
        that a review restores from, whatever its period.

        Raises:
            RejectionError: the register is not whole.
        """
        found = histories(read_register(self.folder / REGISTER)).values()
        receipts = [entry.data for one in found if self._is_of_target(one) and (entry := one.last("archived"))]
        places = {str(one["destination"]).removeprefix("s3://").rstrip("/").rpartition("/")[0] for one in receipts}
        keys = {key for one in receipts for key in str(one["kms_key"]).split(", ") if key}
        return tuple(sorted(places)), tuple(sorted(keys))

    def _is_of_target(self, one: History) -> bool:
        target = one.first.get("target")
        # what qualifies the kit asks nothing of the account that its parameters name
        return isinstance(target, dict) and target.get("protocol") != TOOL and one.last("started") is not None and (
            self._is_target(target.get("account_id"), target.get("trail_arn"), target.get("demonstration"))
        )  # fmt: skip

    def _is_target(self, account: Json, trail: Json, demonstration: Json) -> bool:
        asked = self.parameters
        return bool(
            account == asked.account.account_id
            and trail == asked.expected.trail_arn
            and demonstration == asked.demonstration
        )

    def _strangers(self) -> dict[str, list[str]]:
        """Return the records of the target, or of what can't be told, that the register does not hold; and apart those
        of which that can't be told because they can't be read.
        """
        found: dict[str, list[str]] = {"strangers": [], "unread": []}
        for folder in records_in(self.folder):
            if folder.name in self._histories:
                continue
            try:
                told = read_manifest(folder)
                of = told["parameters"]
                if self._is_target(of["target"]["account_id"], of["expected"]["trail_arn"], told["demonstration"]):
                    found["strangers"].append(folder.name)
            except (KitError, LookupError, TypeError) as error:
                found["unread" if is_unread(error) else "strangers"].append(folder.name)
        return found

    def record(self, settings: RecordedSettings, record_id: str) -> Json:
        """Return what a record says, or why nothing of it is believed."""
        history = self._histories[record_id]
        folder = self.folder / record_id
        try:
            manifest = hold_standing(folder, history, self._entries)
        except KitError as error:
            return {"problem": error.message, "unread": is_unread(error)}
        verdicts = verdicts_of(folder)
        told: dict[str, Json] = {
            "problem": "",
            "digest": history.digest,
            "verdicts": verdicts,
            "open": _open(folder, manifest),
            "state": None,
            "stateless": "",
            "delivered": {},
        }
        try:
            parameters = RunParameters.load(parameters_of(manifest))
            index = read_index(folder / EVIDENCE)
            snapshot = settings.read(folder / EVIDENCE, parameters, index)
            told["state"] = state(snapshot).to_json()
            if manifest["protocol"]["id"] == OPERATIONAL:
                delivered = delivered_again(folder / EVIDENCE, index, snapshot, parameters, verdicts)
                told["delivered"] = {trail: one.to_json() for trail, one in delivered.items()}
        except KitError as error:
            told["stateless"] = error.message
        return told

    def restore(self, readers: Readers, record_id: str, number: str) -> Json:
        """Return what bringing an archived record back gave: each file by its version, held to the receipt, then the
        whole record verified. What was brought is removed again.

        IAM: s3:GetObjectVersion on the archive, kms:Decrypt on its key.
        """
        receipt = self._entries[int(number) - 1].data
        told = {"record_id": record_id, "destination": str(receipt["destination"]), "files": len(receipt["files"])}
        try:
            with tempfile.TemporaryDirectory(prefix="trailkit-") as scratch:
                brought = Path(scratch) / record_id
                _bring(readers, receipt, brought)
                hold_record(brought)
                if sha256_file(brought / MANIFEST) != self._histories[record_id].digest:
                    raise RecordError("it is another record than the register holds", "archive it again")
        except KitError as error:
            return told | {"problem": error.message, "unread": is_unread(error)}
        except OSError as error:
            return told | {"problem": f"it can't be kept meanwhile: {error.strerror}", "unread": True}
        return told | {"problem": "", "unread": False}


def _bring(readers: Readers, receipt: Mapping[str, Json], folder: Path) -> None:
    bucket, place = str(receipt["bucket"]), f"{receipt['destination']}/".partition("://")[2].partition("/")[2]
    files: Sequence[Mapping[str, Json]] = receipt["files"]
    for file in files:
        name = str(file["key"]).removeprefix(place.rstrip("/") + "/")
        if not is_plain_name(name):
            raise ArchiveError(f"the receipt names a file outside the record: {name}", "archive the record again")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        readers.download(bucket, str(receipt["region"]), str(file["key"]), str(file["version_id"]), folder / name)
        if sha256_file(folder / name) != file["sha256"]:
            raise ArchiveError(f"{name} came back otherwise than it was archived", "find out who could change it")


def _open(folder: Path, manifest: Mapping[str, Json]) -> dict[str, list[str]]:
    """Return the deviations of a record that no addendum tells of, by test case."""
    handled = {addendum.data["deviation"]["id"] for addendum in read_addenda(folder)}
    found: dict[str, list[str]] = {}
    for name, row in deviations_of(folder, manifest).items():
        if name not in handled:
            found.setdefault(str(row["test_case"]), []).append(name)
    return found


def _protocol(one: History) -> str:
    return str((one.first.get("target") or {}).get("protocol", ""))


def _told(one: History) -> dict[str, Json]:
    closed = one.last("finished", "concluded", "failed", "aborted") or one.entries[-1]
    concluded = one.last("concluded") or closed
    return {
        "record_id": one.record_id,
        "protocol": _protocol(one),
        "began": timestamp(datetime.fromisoformat(one.entries[0].time)),
        "ended": timestamp(datetime.fromisoformat(concluded.time)),
        "state": one.state,
        "verdict": one.verdict,
        "digest": one.digest,
    }
