"""The check on changes of a period: what drifted between records, who did it, and under which change control."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from kit.canonical import Json
from kit.checks.deliveries import more, told
from kit.checks.review import of_review
from kit.findings import Finding, Judgement, count
from kit.parameters import RunParameters
from kit.review.drift import ACCOUNT, Change, Drift, State, drift
from kit.review.events import Event, can_have_made, concerns, makers
from kit.review.period import Review
from kit.review.state import state
from kit.sections import ChangeControl
from kit.snapshot import Answer, Snapshot

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
    events = [event for event in events_of(review, known) if not event.error]
    found = []
    for before, after in pairwise(known):
        if after.ended <= review.period[0] or before.began >= review.period[1]:
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
    names = set(_names(known))
    found = {
        event.id: event for answer in review.events.values() for event in answer.value or () if concerns(event, names)
    }
    return sorted(found.values(), key=lambda event: (event.time, event.id))


def _names(known: Iterable[Point]) -> Iterator[str]:
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

    Source: EU GMP Annex 11, 10: changes are made in a controlled manner; CloudTrail API reference, "LookupEvents".
    """

    def judge(review: Review, judgement: Judgement) -> list[Finding]:
        if not parameters.expected.review.every_change_explained:
            reason = "The parameter expected.review.every_change_explained says that changes need no change control."
            return [judgement.not_applicable(reason)]
        known = points(snapshot, review)
        found = steps(snapshot, review)
        events = events_of(review, known)
        controls = parameters.execution.change_controls
        done = [event for event in events if not event.error and review.within(event.time)]
        made = {event.id: [change for step in found for change in step.made.get(event.id, ())] for event in events}
        changes = [_judge_event(review, event, made[event.id], controls) for event in done]
        changes += [_judge_unmade(review, step, controls) for step in found if step.unmade]
        _judge_known(judgement, review, known, found)
        refused = [event.sentence for event in events if event.error and review.within(event.time)]
        if refused:
            judgement.observe("changes that AWS refused", told(refused))
        outside = [event for event in events if not event.error and not review.within(event.time)]
        if outside:
            judgement.observe("changes before the period or behind it", told(event.sentence for event in outside))
        said = f"{count(len(changes), 'change')} told above" if changes else "nothing changed"
        judgement.observe("changes within the period", len(changes))
        return [*changes, judgement.finding(f"The settings are known over the period: {said}.")]

    return of_review("PQ-04", snapshot, parameters, judge)


def _judge_event(review: Review, event: Event, made: list[Change], controls: Iterable[ChangeControl]) -> Finding:
    judgement = Judgement("PQ-04", f"{event.name} {event.id}")
    answer = next((one for one in review.events.values() if event in (one.value or ())), None)
    judgement.rest_on(answer.evidence if answer else ())
    ids = [one.id for one in controls if one.start <= event.time < one.end]
    sentence = f"{event.sentence}, under no change control{_values(made)}."
    judgement.expect("change control", "one of that time", ids or _NONE_KNOWN, met=bool(ids), otherwise=sentence)
    judgement.observe("event", event.to_json())
    judgement.observe("values that it changed", [_told(change) for change in made] or "none that is otherwise now")
    return judgement.finding(f"{event.sentence}, under {', '.join(ids)}.")


def _judge_unmade(review: Review, step: Step, controls: Iterable[ChangeControl]) -> Finding:
    """Judge what drifted and no known event made; who did it is then not known, and so not whether it was allowed."""
    judgement = Judgement("PQ-04", f"{step.before.name} to {step.after.name}")
    judgement.rest_on((*step.before.evidence, *step.after.evidence))
    start, end = step.before.began, step.after.ended
    ids = [one.id for one in controls if one.start <= end and start < one.end]
    sure = _are_known(review, step)
    within = review.period[0] <= start and end <= review.period[1]
    what = f"{_first(step.unmade)} between {start:%Y-%m-%d %H:%M} and {end:%Y-%m-%d %H:%M} UTC"
    name, expected = "change control", "one of that time, and the event that made it"
    if not ids and (sure or within):
        who = "no event tells who did it" if sure else "the events of that time are not known"
        judgement.expect(name, expected, _NONE_KNOWN, met=False, otherwise=f"{what}, under no change control; {who}.")
    else:
        why = "no event was found that made it" if sure else "the events of that time are not known"
        judgement.doubt(name, expected, f"{what}; {why}.", ids or _NONE_KNOWN)
    judgement.observe("values that are otherwise", [_told(change) for change in step.unmade])
    return judgement.finding()


def _are_known(review: Review, step: Step) -> bool:
    """Return whether every event that can have made what drifted is known over the time between two states."""
    if not (review.asked[0] <= step.before.began and step.after.ended <= max(review.asked[1], review.now)):
        return False
    wanted = {name for change in step.unmade for name in makers(change)}
    return all(answer.value is not None for (_, name), answer in review.events.items() if name in wanted)


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
    _judge_events(judgement, review)


def _judge_events(judgement: Judgement, review: Review) -> None:
    silent: list[Answer[tuple[Event, ...]]] = []
    for answer in review.events.values():
        judgement.rest_on(answer.evidence)
        silent += [answer] if answer.value is None else []
    start, end = review.asked
    expected = f"read from {review.period[0]:%Y-%m-%d %H:%M} to {min(review.period[1], review.now):%Y-%m-%d %H:%M} UTC"
    actual = f"read from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC" if review.events else "not read"
    if silent:
        why = f"{silent[0].why.removesuffix('.')}{more(len(silent) - 1)}."
        judgement.doubt("events of the period", expected, why, actual)
    elif not review.events:
        judgement.doubt("events of the period", expected, "No event of the period was asked for.", actual)
    elif start > review.period[0]:
        why = f"What was changed and changed back before {start:%Y-%m-%d} is not known: CloudTrail tells of 90 days."
        judgement.doubt("events of the period", expected, why, actual)
    else:
        judgement.expect("events of the period", expected, actual, met=True)


def _told(change: Change) -> Mapping[str, Json]:
    return {"value": change.path, "kind": change.kind, "before": change.before, "after": change.after}


def _values(made: list[Change]) -> str:
    return f": {_first(made)}" if made else ""


def _first(changes: list[Change]) -> str:
    rest = f", and {len(changes) - 1} more" if len(changes) > 1 else ""
    return f"{changes[0].place} {changes[0].kind}{rest}"
