"""The charts of a periodic review by name: what its snapshot holds, in the form in which each chart draws it."""

from collections import Counter
from datetime import date, timedelta

from kit.checks.changes import NOW, points, steps
from kit.checks.control import explaining
from kit.checks.deliveries import ACCEPTED_KEY, OTHER_KEY, SSE_S3, TRAIL_KEY, UNENCRYPTED
from kit.checks.deliveries import UNREAD as NOT_READ
from kit.checks.review import accepted_on, key_of
from kit.parameters import RunParameters
from kit.present import oq_charts, review_charts
from kit.present.displays import Display
from kit.review.coverage import days_of, objects_of
from kit.review.period import UNREAD, Review
from kit.snapshot import Snapshot

_WORST = ("gap", "uncovered", "open", "pending", "covered")


def _review(snapshot: Snapshot) -> Review | None:
    return snapshot.review if isinstance(snapshot.review, Review) else None


def _trails(snapshot: Snapshot, review: Review) -> list[str]:
    judged = {trail.arn for trail in snapshot.trails if trail.judged}
    return sorted(judged | {trail for one in review.records for trail in one.delivered})


def timeline(snapshot: Snapshot) -> Display:
    """Draw the verdict of each test case over the period."""
    review = _review(snapshot)
    if review is None:
        return review_charts.timeline([], None)
    runs = [(one.run.began, one.run.record_id, one.verdicts) for one in review.records if review.within(one.run.began)]
    return review_charts.timeline(runs, review.period)


def coverage(snapshot: Snapshot, parameters: RunParameters) -> Display:
    """Draw for each day whether it was covered; of several trails the worst is drawn."""
    review, days = _review(snapshot), dict[date, tuple[str, str]]()
    settling = timedelta(minutes=parameters.expected.digest_settling_minutes)
    for trail in _trails(snapshot, review) if review else ():
        for day in days_of(review, trail, settling) if review else ():
            told = (day.state, day.what)
            days[day.day] = min(days.get(day.day, told), told, key=lambda one: _WORST.index(one[0]))
    return review_charts.coverage(days)


def changes(snapshot: Snapshot, parameters: RunParameters) -> Display:
    """Draw on which days something changed, by whose change control, and when runs compared the settings."""
    review = _review(snapshot)
    if review is None:
        return review_charts.changes({}, [])
    days: dict[date, list[tuple[str, str]]] = {}
    for point in points(snapshot, review):
        if point.name != NOW and review.within(point.began):
            days.setdefault(point.began.date(), []).append(("run", point.name))
    controls = parameters.execution.change_controls
    happened = {}
    for step in steps(snapshot, review):
        for event in step.events:
            happened[event.id] = event
        for change in step.unmade:
            day = min(max(step.after.ended, review.period[0]), review.period[1] - timedelta(microseconds=1)).date()
            days.setdefault(day, []).append(("open", f"{change.place} {change.kind}, by nobody who is known"))
    for event in happened.values():
        ids, _ = explaining(event, controls)
        kind, under = ("explained", f"under {', '.join(ids)}") if ids else ("unexplained", "under no change control")
        if review.within(event.time):
            days.setdefault(event.time.date(), []).append((kind, f"{event.sentence}, {under}"))
    return review_charts.changes(days, review.days())


def objects(snapshot: Snapshot, parameters: RunParameters) -> Display:
    """Draw by what the log files of each day are protected, as the records of the period say."""
    review, days = _review(snapshot), dict[str, Counter[str]]()
    for trail in _trails(snapshot, review) if review else ():
        for day, (one, counts, _) in objects_of(review, trail).items() if review else ():
            own = key_of(one, trail)
            for protection, number in counts.items():
                kind = _kind(protection, own, day, parameters)
                days.setdefault(day.isoformat(), Counter())[kind] += number
    return oq_charts.encryption(days)


def _kind(protection: str, own: object, day: date, parameters: RunParameters) -> str:
    if protection == own:
        return TRAIL_KEY
    fixed = {UNREAD: NOT_READ, "AES256": SSE_S3, "not encrypted": UNENCRYPTED}
    if protection in fixed:
        return fixed[protection]
    return ACCEPTED_KEY if protection in accepted_on(day, parameters) else OTHER_KEY
