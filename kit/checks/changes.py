"""The check on changes of a period: what drifted between records, who did it, and under which change control."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from kit.canonical import Json
from kit.checks.control import explaining, may_explain
from kit.checks.deliveries import more, told
from kit.checks.review import of_review
from kit.findings import Finding, Judgement, count
from kit.parameters import RunParameters
from kit.review.drift import ACCOUNT, Change, Drift, State, drift
from kit.review.events import Event, can_have_made, concerns, makers
from kit.review.period import Review
from kit.review.state import state
from kit.sections import ChangeControl
from kit.snapshot import Snapshot

NOW = "now"
_NONE_KNOWN = "no change control of that time"


@dataclass(frozen=True)
class Point:
    """The state at one moment: when whoever read it began and ended, by which record, or `now`."""

    name: str
    began: datetime
    ended: datetime
    state: State
    evidence: tuple[str, ...] = ()


@dataclass
class Step:
    """What drifted from one point to the next, and by event what of it that can have made; `unmade` is the rest.

    `events` are those between the two about the target, whether anything is otherwise by them or not.
    """

    before: Point
    after: Point
    drift: Drift
    made: dict[str, list[Change]] = field(default_factory=dict)
    unmade: list[Change] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


def points(snapshot: Snapshot, review: Review) -> list[Point]:
    """Return the states that are known, in the order of time; the last is that of now."""
    found = [
        Point(one.run.record_id, one.run.began, one.run.ended, one.state, one.evidence)
        for one in review.records
        if one.state is not None
    ]
    return [*found, Point(NOW, review.now, review.now, state(snapshot))]


def steps(snapshot: Snapshot, review: Review) -> list[Step]:
    """Return the drift from each state to the next as far as it touches the period, matched to events."""
    known = points(snapshot, review)
    told_by = _told_by(review)
    events = [event for event in events_of(review, known) if not event.error and told_by[event.id][1].proven]
    found = []
    for before, after in pairwise(known):
        if after.ended <= review.period[0] or review.behind(before.began):
            continue
        step = Step(before, after, drift(before.state, after.state))
        places = {change.place for change in step.drift.changes}
        near = step.events = [event for event in events if before.began <= event.time <= after.ended]
        for change in step.drift.changes:
            made_by = [event for event in near if can_have_made(change, event, places)]
            for event in made_by:
                step.made.setdefault(event.id, []).append(change)
            if not made_by:
                step.unmade.append(change)
        found.append(step)
    return found


def events_of(review: Review, known: Iterable[Point]) -> list[Event]:
    """Return the events about the target's trail, key and bucket, in the order of time."""
    names = set(names_of(known))
    found = (event for event, _ in _told_by(review).values() if concerns(event, names))
    return sorted(found, key=lambda event: (event.time, event.id))


class _Source(NamedTuple):
    """What tells of an event, in words; whether that is proven to be CloudTrail's own word; and the evidence."""

    words: str
    proven: bool
    evidence: tuple[str, ...]


def _told_by(review: Review) -> dict[str, tuple[Event, _Source]]:
    """Return every event by its id, with what tells of it: of several sources one that is proven."""
    told = []
    for logged in review.logged:
        for address, events in logged.found.items():
            proven = logged.proves(address)
            proof = "whose hash a digest signed by CloudTrail holds" if proven else "which no digest proves"
            source = _Source(f"the log file {address}, {proof}", proven, logged.evidence)
            told += [(event, source) for event in events]
    for answer in review.events.values():
        source = _Source("CloudTrail's event history", True, answer.evidence)
        told += [(event, source) for event in answer.value or ()]
    return {event.id: (event, source) for event, source in sorted(told, key=lambda one: one[1].proven)}


def names_of(known: Iterable[Point]) -> Iterator[str]:
    """Yield every name by which an event can be about the target: ARNs, names and ids of trail, key and bucket."""
    for point in known:
        for path, value in point.state.values.items():
            root, _, place = path.partition("#")
            if place.startswith("trails/"):
                yield from _parts(place.partition("trails/")[2].partition("/")[2])
            elif root != ACCOUNT:
                yield from _parts(root)
            if place in ("key/Arn", "trail/S3BucketName"):
                yield from _parts(str(value))
            elif place.startswith("key/aliases/"):
                yield place.removeprefix("key/aliases/")
            elif place.startswith("key/readers/"):
                yield from _parts(place.removeprefix("key/readers/").removesuffix("/may decrypt"))


def _parts(name: str) -> tuple[str, ...]:
    return (name, name.rpartition("/")[2]) if name.startswith("arn:") else (name,)


def pq_04(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """Nothing of trail, key, policies, bucket or who can decrypt changed within the period, from record to record and
    up to now, and nobody changed it and changed it back, unless under a change control that the parameters name; each
    change is told with the events that made it: by whom, when and from where.

    Source: EU GMP Annex 11, 10: changes are made in a controlled manner; CloudTrail API reference, "LookupEvents";
    CloudTrail user guide, "CloudTrail record contents", for what delivered log files tell.
    """

    def judge(review: Review, judgement: Judgement) -> list[Finding]:
        if not parameters.expected.review.every_change_explained:
            reason = "The parameter expected.review.every_change_explained says that changes need no change control."
            return [judgement.not_applicable(reason)]
        known = points(snapshot, review)
        found = steps(snapshot, review)
        events = events_of(review, known)
        controls = parameters.execution.change_controls
        told_by = _told_by(review)
        done = [event for event in events if not event.error and review.within(event.time)]
        made = {event.id: [change for step in found for change in step.made.get(event.id, ())] for event in events}
        changes = [_judge_event(event, told_by[event.id][1], made[event.id], controls) for event in done]
        changes += [_judge_unmade(review, step, controls) for step in found if step.unmade]
        _judge_known(judgement, review, known, found)
        everywhere = parameters.expected.review.changed_back_known
        _judge_events(judgement, review, found, everywhere=everywhere)
        refused = [event.sentence for event in events if event.error and review.within(event.time)]
        if refused:
            judgement.observe("changes that AWS refused", told(refused))
        outside = [event for event in events if not event.error and not review.within(event.time)]
        if outside:
            judgement.observe("changes before the period or behind it", told(event.sentence for event in outside))
        said = f"{count(len(changes), 'change')} told above" if changes else "nothing changed"
        judgement.observe("changes within the period", len(changes))
        until = min(review.asked[0], review.period[1])
        if not everywhere and review.period[0] < until and review.why_unknown(review.period[0], until):
            beyond = f"before {_minute(until)}, where nothing drifted"
            said += f"; what was changed and changed back {beyond}, was not looked for"
            judgement.observe("changed and changed back, not looked for", beyond)
        return [*changes, judgement.finding(f"The settings are known over the period: {said}.")]

    return of_review("PQ-04", snapshot, parameters, judge)


def _judge_event(event: Event, source: _Source, made: list[Change], controls: Iterable[ChangeControl]) -> Finding:
    judgement = Judgement("PQ-04", f"{event.name} {event.id}")
    judgement.rest_on(source.evidence)
    ids, others = explaining(event, controls)
    words = "is of that time, and covers" if len(others) == 1 else "are of that time, and cover"
    beside = f" ({', '.join(others)} {words} something else)" if others else ""
    sentence = f"{event.sentence}, under no change control{beside}{_values(made)}."
    name, expected, actual = "change control", "one of that time that covers it", ids or f"{_NONE_KNOWN}{beside}"
    if ids or source.proven:
        judgement.expect(name, expected, actual, met=bool(ids), otherwise=sentence)
    else:
        # anybody who can write to the bucket can have written it
        judgement.doubt(name, expected, f"{sentence.removesuffix('.')}, as {source.words} tells.", actual)
    judgement.observe("event", event.to_json())
    judgement.observe("told by", source.words)
    judgement.observe("values that it changed", [_told(change) for change in made] or "none that is otherwise now")
    return judgement.finding(f"{event.sentence}, under {', '.join(ids)}.")


def _judge_unmade(review: Review, step: Step, controls: Iterable[ChangeControl]) -> Finding:
    """Judge what drifted and no known event made; who did it is then not known, and so not whether it was allowed."""
    judgement = Judgement("PQ-04", f"{step.before.name} to {step.after.name}")
    judgement.rest_on((*step.before.evidence, *step.after.evidence))
    start, end = step.before.began, step.after.ended
    states = (step.before.state, step.after.state)
    timely = [one for one in controls if one.start <= end and start < one.end]
    ids = [one.id for one in timely if any(may_explain(one, change, states) for change in step.unmade)]
    apart = [change for change in step.unmade if not any(may_explain(one, change, states) for one in timely)]
    wanted = {name for change in step.unmade for name in makers(change)}
    why = review.why_unknown(start, end, wanted)
    sure = not why
    within = review.period[0] <= start and end <= review.period[1]
    what = f"{_first(apart or step.unmade)} between {start:%Y-%m-%d %H:%M} and {end:%Y-%m-%d %H:%M} UTC"
    name, expected = "change control", "one of that time that covers it, and the event that made it"
    if apart and (sure or within):
        who = "no event tells who did it" if sure else f"who did it is not known: {why.removesuffix('.')}"
        sentence = f"{what}, under no change control; {who}."
        judgement.expect(name, expected, ids or _NONE_KNOWN, met=False, otherwise=sentence)
    else:
        who = "no event was found that made it." if sure else f"who did it is not known: {why}"
        judgement.doubt(name, expected, f"{what}; {who}", ids or _NONE_KNOWN)
    judgement.observe("values that are otherwise", [_told(change) for change in step.unmade])
    return judgement.finding()


def _judge_known(judgement: Judgement, review: Review, known: list[Point], found: list[Step]) -> None:
    """Judge that the settings of the period are known: each state, what can be compared of it, and the events."""
    for one in review.records:
        judgement.rest_on(one.evidence)
    unread = [
        f"{one.run.record_id}: {one.problem or one.stateless}"
        for one in review.records
        if one.state is None and review.within(one.run.began)
    ]
    name, expected = "states compared", "each record of the period with the one before it, and with now"
    actual = [point.name for point in known]
    if unread:
        judgement.doubt(name, expected, f"{unread[0]}{more(len(unread) - 1)}.", actual)
    elif len(known) < 2:
        judgement.doubt(name, expected, "There is no record to compare the settings of now with.", actual)
    else:
        judgement.expect(name, expected, f"{count(len(actual), 'state')}", met=True)
    unknown = {path: why for step in found for path, why in step.drift.unknown.items()}
    if unknown:
        path, why = next(iter(unknown.items()))
        sentence = f"Whether {path} changed is not known{more(len(unknown) - 1)}: {why}"
        judgement.doubt("values compared", "every one", sentence, told(unknown))


def _judge_events(judgement: Judgement, review: Review, found: list[Step], *, everywhere: bool) -> None:
    """Judge that the events are known of the times between whose ends something drifted; and of all the period, or of
    as much of it as CloudTrail's event history tells, where it need not be known what was changed and changed back.
    """
    for evidence in [one.evidence for one in review.events.values()] + [one.evidence for one in review.logged]:
        judgement.rest_on(evidence)
    start, end = review.period[0], min(review.period[1], review.now)
    since = start if everywhere else max(start, review.asked[0])
    wanted = [(since, end)] if since < end else []
    wanted += [(step.before.began, step.after.ended) for step in found if step.drift.changes]
    name = "events of the period"
    expected = f"known from {_minute(start)} to {_minute(end)}"
    if not everywhere:
        expected += "; before the event history begins, where something drifted"
    asked = review.asked
    actual = [f"event history from {_minute(asked[0])} to {_minute(asked[1])}"] if review.events else []
    actual += [
        f"log files from {_minute(one.period[0])} to {_minute(one.period[1])}: {one.cost}" for one in review.logged
    ]
    doubts = list(dict.fromkeys(filter(None, (review.why_unknown(*period) for period in wanted))))
    if doubts:
        judgement.doubt(name, expected, f"{doubts[0].removesuffix('.')}{more(len(doubts) - 1)}.", actual or "not read")
    else:
        judgement.expect(name, expected, actual or "nothing drifted", met=True)


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _told(change: Change) -> Mapping[str, Json]:
    return {"value": change.path, "kind": change.kind, "before": change.before, "after": change.after}


def _values(made: list[Change]) -> str:
    return f": {_first(made)}" if made else ""


def _first(changes: list[Change]) -> str:
    rest = f", and {len(changes) - 1} more" if len(changes) > 1 else ""
    return f"{changes[0].place} {changes[0].kind}{rest}"
