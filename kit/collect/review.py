"""Collects all that a periodic review judges: the settings of now, the records of the period, and who changed what."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from kit.canonical import Json
from kit.collect.account import Progress
from kit.collect.calls import LOOKUP_EVENTS
from kit.collect.readers import Readers
from kit.collect.settings import RecordedSettings
from kit.digests.chain import Period
from kit.errors import EvidenceError
from kit.recording import Recorder, Replayer
from kit.review.events import BUCKET, GLOBAL, KEY, TRAIL, Event, event_names, read_event
from kit.review.period import Register, Restored, Review, Reviewed, Run, run_from_json
from kit.sections import Window
from kit.snapshot import Answer, Snapshot

HISTORY = timedelta(days=90)
"""How far back CloudTrail's event history goes [CloudTrail user guide, "Viewing events with event history"]."""

_GLOBAL_REGION = {"aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}
_RESTORE = "restore the record from its archive"


class Source(Protocol):
    """What earlier runs left: their register, their records, and what of these was archived."""

    def register(self, since: datetime) -> Json:
        """Return what the register says of the target's runs since a time."""
        ...

    def record(self, settings: RecordedSettings, record_id: str) -> Json:
        """Return what a record says, or why nothing of it is believed."""
        ...

    def restore(self, readers: Readers, record_id: str, number: str) -> Json:
        """Return what bringing an archived record back gave."""
        ...


@dataclass(frozen=True)
class ReviewScope:
    """What to collect besides the settings: the period, whether archives are restored, and from where records come.

    `source` is None in a replay: what it told then is in the evidence.
    """

    window: Window
    restores: bool
    source: Source | None


def collect_review(
    recorder: Recorder | Replayer, readers: Readers, snapshot: Snapshot, scope: ReviewScope, progress: Progress
) -> Snapshot:
    """Return the settings of now with all that a review of the period judges besides.

    IAM: cloudtrail:LookupEvents; for what was archived s3:GetObjectVersion and kms:Decrypt.

    Raises:
        CredentialsError: no credentials can be found.
        EvidenceError: an answer can't be recorded, or was recorded otherwise than the kit does.
    """
    now = snapshot.moment
    if now is None:
        why = f"No time can be held against the period. {snapshot.caller.why}".strip()
        return replace(snapshot, review=why)
    period = scope.window.period(now)
    register = _register(recorder, scope.source, period[0])
    records = _records(recorder, scope.source, register, progress)
    restored = _restored(recorder, readers, scope, register, progress)
    first = min([period[0], *(one.run.began for one in records)])
    asked = (max(first, now - HISTORY + timedelta(minutes=5)), min(period[1], now))
    events = collect_events(readers, snapshot, asked, progress) if asked[0] < asked[1] else {}
    return replace(snapshot, review=Review(period, now, register, records, restored, asked, events))


def _register(recorder: Recorder | Replayer, source: Source | None, since: datetime) -> Register:
    told, evidence = recorder.keep("ReadRegister", {}, lambda: source.register(since) if source else None)
    try:
        return Register(
            str(told["problem"]),
            tuple(map(run_from_json, told["runs"])),
            tuple(told["strangers"]),
            {name: tuple(numbers) for name, numbers in told["archived"].items()},
            evidence,
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise EvidenceError(f"what was read of the register can't be read back: {error!r}", _RESTORE) from error


def _records(
    recorder: Recorder | Replayer, source: Source | None, register: Register, progress: Progress
) -> tuple[Reviewed, ...]:
    finished = [run for run in register.runs if run.state == "finished"]
    found = []
    with RecordedSettings() as settings:
        for number, run in enumerate(finished, start=1):

            def tell(run: Run = run) -> Json:
                return source.record(settings, run.record_id) if source else None

            told, evidence = recorder.keep("ReadRecord", {"record": run.record_id}, tell)
            found.append(Reviewed.from_json(run, told, evidence))
            progress("Records", number, len(finished))
    return tuple(sorted(found, key=lambda one: one.run.began))


def _restored(
    recorder: Recorder | Replayer, readers: Readers, scope: ReviewScope, register: Register, progress: Progress
) -> tuple[Restored, ...]:
    found = []
    source = scope.source
    archived = sorted(register.archived.items()) if scope.restores else []
    for number, (record_id, receipts) in enumerate(archived, start=1):

        def tell(record_id: str = record_id, receipt: str = receipts[-1]) -> Json:
            return source.restore(readers, record_id, receipt) if source else None

        told, evidence = recorder.keep("RestoreRecord", {"record": record_id, "receipt": receipts[-1]}, tell)
        try:
            texts = {name: str(told[name]) for name in ("record_id", "destination", "problem")}
            found.append(Restored(**texts, files=int(told["files"]), evidence=evidence))
        except (LookupError, TypeError, ValueError) as error:
            raise EvidenceError(f"what was restored of {record_id} can't be read back: {error!r}", _RESTORE) from error
        progress("Archived records", number, len(archived))
    return tuple(found)


def collect_events(
    readers: Readers, snapshot: Snapshot, asked: Period, progress: Progress
) -> Mapping[tuple[str, str], Answer[tuple[Event, ...]]]:
    """Return the events that can have changed the settings, by Region and event name, of a period.

    Each name is asked for by itself, since the history of an account is long, and one after the other, since
    CloudTrail takes few requests at a time. IAM: cloudtrail:LookupEvents.
    """
    names = event_names()
    wanted = [(region, name) for where, region in _places(snapshot) for name in names[where]]
    wanted = list(dict.fromkeys(wanted))
    found = {}
    for number, (region, name) in enumerate(wanted, start=1):
        found[region, name] = readers.ask(
            LOOKUP_EVENTS,
            region,
            _events,
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}],
            StartTime=asked[0],
            EndTime=asked[1],
        )
        progress("Events", number, len(wanted))
    return found


def _events(response: Mapping[str, Json]) -> tuple[Event, ...]:
    return tuple(map(read_event, response["Events"]))


def _places(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return in which Regions which kinds of event are recorded."""
    found: dict[tuple[str, str], None] = {}
    for trail in snapshot.trails:
        if trail.judged:
            found[TRAIL, trail.home_region] = None
            arn = str((trail.key.metadata.value or {}).get("Arn") or trail.key.named) if trail.key else ""
            found[KEY, arn.split(":")[3] if arn.count(":") >= 5 else trail.home_region] = None
            bucket = trail.bucket.region.value if trail.bucket else None
            found[BUCKET, bucket or trail.home_region] = None
            found[GLOBAL, _GLOBAL_REGION.get(trail.arn.split(":")[1], "us-east-1")] = None
    return list(found)
