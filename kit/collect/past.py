"""What a periodic review is challenged with: records that the kit, as it is installed, has just made, and their faults.

The records are real, and so is what is done to them. What no account can have has its faults here: what an outputs
folder holds, what a period asks for, and what an archive gives back.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kit.canonical import Json, canonical
from kit.collect.commands import output_of_kit
from kit.collect.outputs import OutputsFolder
from kit.collect.readers import Readers
from kit.collect.settings import RecordedSettings
from kit.parameters import RunParameters
from kit.record.manifest import FINDINGS, MANIFEST, SUMS, read_manifest, sums_text
from kit.record.register import REGISTER
from kit.sandbox.account import ARCHIVE_BUCKET
from kit.sandbox.server import Sandbox
from kit.tool import KnownFault

READ_HOURS = 32
HOURS = 29
"""How far back an operational qualification reads, and how far back a review looks some time later: so far that a day
is over, and its digests due, whatever the time."""

_SETTLING_MINUTES = 240
_DAYS = 30
_STANDING = "it spoils what earlier runs left, and not the account"


@dataclass(frozen=True)
class PastFault:
    """A fault of what earlier runs left, or of what a review asks of it.

    `spoil` spoils a copy of an outputs folder; `hours` is the period under review, and `review` what is asked besides.
    """

    known: KnownFault
    spoil: Callable[[Path], object]
    hours: int = HOURS
    review: Mapping[str, Json] = field(default_factory=dict)


@dataclass
class Past:
    """An outputs folder as a review reads it; what was asked once is not read again, since nobody changes the folder.

    `told` holds what was read before, by question.
    """

    folder: Path
    parameters: RunParameters
    told: dict[tuple[str, ...], Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._outputs = OutputsFolder(self.folder, "", self.parameters)

    def register(self, since: datetime) -> Json:
        """Return what the register says of the target's runs since a time."""
        return self._once(("register",), lambda: self._outputs.register(since))

    def record(self, settings: RecordedSettings, record_id: str) -> Json:
        """Return what a record says, or why nothing of it is believed."""
        return self._once(("record", record_id), lambda: self._outputs.record(settings, record_id))

    def restore(self, readers: Readers, record_id: str, number: str) -> Json:
        """Return what bringing an archived record back gave."""
        return self._once((_RESTORE, record_id), lambda: self._outputs.restore(readers, record_id, number))

    @property
    def restored(self) -> dict[tuple[str, ...], Json]:
        """What the archive has given back, to be told of a copy of the folder too: the archive is the same."""
        return {key: told for key, told in self.told.items() if key[0] == _RESTORE}

    def _once(self, key: tuple[str, ...], tell: Callable[[], Json]) -> Json:
        if key not in self.told:
            self.told[key] = tell()
        return self.told[key]


_RESTORE = "restore"


def review_parameters(told: RunParameters, hours: int = HOURS, **review: Json) -> RunParameters:
    """Return the parameters of a review, under which the account without a fault passes, from those of a qualification.

    Digests are due later than the qualifications hold them to be, so that hours may lie between these and the review.
    """
    given = told.to_json()
    asked = {"iq_every_days": _DAYS, "oq_every_days": _DAYS, **review}
    expected = given["expected"] | {"review": asked, "digest_settling_minutes": _SETTLING_MINUTES}
    return RunParameters.load(given | {"expected": expected, "window": {"hours": hours}})


def qualify(protocol: str, sandbox: Sandbox, outputs: Path) -> str:
    """Have the kit, as it is installed, run a qualification of the account; return what it said if that did not end
    with a verdict.
    """
    file = outputs.with_name(f"{outputs.name}.yaml")
    file.write_text(json.dumps(sandbox.parameters), encoding="utf-8")
    asked = ["run", protocol, "--parameters", str(file), "--output", str(outputs)]
    status, said = output_of_kit(asked, sandbox.environment)
    return "" if status in (0, 1) else f"the command ended with {status}: {said.strip()[-300:]}"


def archive_oq(sandbox: Sandbox, outputs: Path) -> None:
    """Have the kit archive the record of the operational qualification in the account; without a record it is left."""
    try:
        record = record_of("OQ", outputs)
    except LookupError:
        return
    until = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    to = [f"s3://{ARCHIVE_BUCKET}/records", "--retain-until", until, "--endpoint-url", sandbox.endpoint]
    output_of_kit(["archive", str(record), *to], sandbox.environment)


def record_of(protocol: str, outputs: Path) -> Path:
    """Return the folder of the first record of a protocol.

    Raises:
        LookupError: there is none.
    """
    found = sorted(outputs.glob(f"{protocol}-*Z-*/"))
    if not found:
        raise LookupError(f"there is no record of {protocol}")
    return found[0]


def _edit(outputs: Path) -> None:
    path = record_of("OQ", outputs) / FINDINGS
    path.write_bytes(path.read_bytes().replace(b"PASS", b"FAIL", 1))


def _redo(outputs: Path) -> None:
    folder = record_of("IQ", outputs)
    told = read_manifest(folder) | {"finished": "2026-01-01T00:00:00.000Z"}
    (folder / MANIFEST).write_bytes(canonical(told))
    (folder / SUMS).write_text(sums_text(folder), encoding="utf-8")


def _plant(outputs: Path) -> None:
    shutil.copytree(record_of("IQ", outputs), outputs / "IQ-20260101T000000Z-abcdef")


def _edit_register(outputs: Path) -> None:
    path = outputs / REGISTER
    path.write_bytes(path.read_bytes().replace(b'"PASS"', b'"FAIL"', 1))


def _leave(_: Path) -> None:
    """Leave it as it is."""


def _fault(name: str, description: str, *changes: str) -> KnownFault:
    return KnownFault(name, description, changes, _STANDING, "records")


_UNBELIEVED = ("PQ-02", "PQ-03", "PQ-04")
PAST_FAULTS = (
    PastFault(
        _fault("record-missing", "The record of the installation qualification is gone from the outputs folder.",
               *_UNBELIEVED),
        lambda outputs: shutil.rmtree(record_of("IQ", outputs)),
    ),
    PastFault(
        _fault("record-redone", "The manifest of a record says another end of the run, and every hash was put right.",
               *_UNBELIEVED),
        _redo,
    ),
    PastFault(
        _fault("record-edited", "The findings of the operational qualification were edited.",
               *_UNBELIEVED, "PQ-05", "PQ-06"),
        _edit,
    ),
    PastFault(
        _fault("record-planted", "A record lies in the outputs folder that nobody registered.", "PQ-02"), _plant
    ),
    PastFault(
        _fault("register-edited", "An entry of the register was edited.",
               *(f"PQ-{number:02}" for number in range(1, 8))),
        _edit_register,
    ),
    PastFault(
        _fault("qualification-overdue", "An installation qualification is asked for each day, and a day had none.",
               "PQ-01"),
        _leave,
        review={"iq_every_days": 1},
    ),
    PastFault(
        _fault("day-unread", "The period begins a day before what any operational qualification read.", "PQ-05"),
        _leave,
        hours=HOURS + 24,
    ),
)  # fmt: skip
"""What is done to a copy of the outputs folder, while the archive is as it was."""

FOUND = _fault(
    "found-and-not-handled",
    "An operational qualification of the period found a log under another key, and no addendum tells of it.",
    "PQ-03", "PQ-06",
)  # fmt: skip
FOUND_BY = "log-other-key"
"""The fault that the account had when that was found."""
EMPTIED = _fault("archive-emptied", "Nothing is left in the archive of a record that was archived.", "PQ-07")
ALL_PAST = (*(one.known for one in PAST_FAULTS), FOUND, EMPTIED)
