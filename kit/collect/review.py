"""Collects all that a periodic review judges: the settings of now, the records of the period, and who changed what."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from kit.canonical import Json
from kit.checks.changes import Point, names_of, points, steps
from kit.collect.account import Progress
from kit.collect.calls import LOOKUP_EVENTS
from kit.collect.logged import Sought
from kit.collect.readers import Readers
from kit.collect.settings import RecordedSettings
from kit.digests.chain import Coverage, Period
from kit.errors import EvidenceError
from kit.recording import Recorder, Replayer
from kit.review.drift import ACCOUNT
from kit.review.events import BUCKET, GLOBAL, KEY, TRAIL, Event, event_names, read_event
from kit.review.logged import Logged
from kit.review.period import Register, Restored, Review, Reviewed, Run, run_from_json
from kit.sections import Window
from kit.snapshot import Answer, Snapshot

HISTORY = timedelta(days=90)
"""How far back CloudTrail's event history goes [CloudTrail user guide, "Viewing events with event history"]."""

_GLOBAL_REGION = {"aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}
_RESTORE = "restore the record from its archive"

ReadLogs = Callable[[Snapshot, Sought, datetime], tuple[Logged, ...]]
"""Returns what log files tell of changes."""


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

    `every_log` says that log files are read of all the time that CloudTrail's event history does not hold any more, and
    not only of that in which something drifted. `source` is None in a replay: what it told then is in the evidence.
    """

    window: Window
    restores: bool
    every_log: bool
    source: Source | None


def collect_review(
    recorder: Recorder | Replayer,
    readers: Readers,
    snapshot: Snapshot,
    scope: ReviewScope,
    read_logs: ReadLogs,
    progress: Progress,
) -> Snapshot:
    """Return the settings of now with all that a review of the period judges besides.

    IAM: cloudtrail:LookupEvents; for what was archived s3:GetObjectVersion and kms:Decrypt; where log files are read,
    what `collect_logged` needs.

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
    review = Review(period, now, register, records, restored, (now, now), {})
    found = steps(snapshot, review)
    first = min([period[0], *(step.before.began for step in found)])
    last = min(max([period[1], *(step.after.ended for step in found)]), now)
    # where the history holds nothing of that time, nothing is asked of it
    since = min(max(first, now - HISTORY + timedelta(minutes=5)), last)
    known = points(snapshot, review)
    places = _places(snapshot, known)
    events = collect_events(readers, places, (since, last), progress) if since < last else {}
    drifted = [(step.before.began, step.after.ended) for step in found if step.drift.changes]
    every = [(period[0], min(period[1], now))] if scope.every_log else []
    untold = Coverage((start, min(end, since)) for start, end in [*drifted, *every])
    sought = Sought(tuple(untold), frozenset(names_of(known)), _regions(places), _accounts(known))
    logged = read_logs(snapshot, sought, now)
    return replace(snapshot, review=replace(review, asked=(since, last), events=events, logged=logged))


def _register(recorder: Recorder | Replayer, source: Source | None, since: datetime) -> Register:
    told, evidence = recorder.keep("ReadRegister", {}, lambda: source.register(since) if source else None)
    try:
        return Register(
            str(told["problem"]),
            tuple(map(run_from_json, told["runs"])),
            tuple(told["strangers"]),
            {name: tuple(numbers) for name, numbers in told["archived"].items()},
            evidence,
            tuple(told["unread"]),
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
            found.append(Restored(**texts, files=int(told["files"]), evidence=evidence, unread=bool(told["unread"])))
        except (LookupError, TypeError, ValueError) as error:
            raise EvidenceError(f"what was restored of {record_id} can't be read back: {error!r}", _RESTORE) from error
        progress("Archived records", number, len(archived))
    return tuple(found)


def collect_events(
    readers: Readers, places: Iterable[tuple[str, str]], asked: Period, progress: Progress
) -> Mapping[tuple[str, str], Answer[tuple[Event, ...]]]:
    """Return the events that can have changed the settings, by Region and event name, of a period; `places` are the
    kinds of event, each with a Region in which it is recorded.

    Each name is asked for by itself, since the history of an account is long, and one after the other, since
    CloudTrail takes few requests at a time. IAM: cloudtrail:LookupEvents.
    """
    names = event_names()
    wanted = [(region, name) for where, region in places for name in names[where]]
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


def _places(snapshot: Snapshot, known: Iterable[Point]) -> list[tuple[str, str]]:
    """Return in which Regions which kinds of event are recorded: those of trail, key and bucket now, and as records
    have them, since they may have been others.
    """
    found: dict[tuple[str, str], None] = {}
    for trail in snapshot.trails:
        if trail.judged:
            found[TRAIL, trail.home_region] = None
            arn = str((trail.key.metadata.value or {}).get("Arn") or trail.key.named) if trail.key else ""
            found[KEY, arn.split(":")[3] if arn.count(":") >= 5 else trail.home_region] = None
            bucket = trail.bucket.region.value if trail.bucket else None
            found[BUCKET, bucket or trail.home_region] = None
            found[GLOBAL, _GLOBAL_REGION.get(trail.arn.split(":")[1], "us-east-1")] = None
    for path, value in (item for point in known for item in point.state.values.items()):
        arn, _, place = path.partition("#")
        if arn != ACCOUNT:
            found[TRAIL, arn.split(":")[3]] = None
        if place == "key/Arn" and str(value).count(":") >= 5:
            found[KEY, str(value).split(":")[3]] = None
        if place == "bucket/location/Region":
            found[BUCKET, str(value)] = None
    return list(found)


def _regions(places: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(sorted({region for _, region in places}))


def _accounts(known: Iterable[Point]) -> tuple[str, ...]:
    """Return the accounts of the keys that records name, where their events are recorded."""
    keys = (str(value) for point in known for path, value in point.state.values.items() if path.endswith("#key/Arn"))
    return tuple(sorted({arn.split(":")[4] for arn in keys if arn.count(":") >= 5}))
