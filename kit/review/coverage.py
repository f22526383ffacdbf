"""Which days of a period operational qualifications covered, by the records that are believed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from kit.digests.chain import Coverage, Period
from kit.findings import Verdict
from kit.review.period import DAY, Area, Delivered, Review, Reviewed

COVERED, GAP, OPEN, UNCOVERED, PENDING = "covered", "gap", "open", "uncovered", "pending"
"""What a day can be: covered; read, with a gap; read, and not known to be covered; read by no run; not over yet."""


@dataclass(frozen=True)
class Day:
    """One day (UTC) of a period: its state, in words what is missing, and the records that read it."""

    day: date
    state: str
    what: str
    records: tuple[str, ...]


def bounds(day: date) -> Period:
    """Return when a day begins and ends."""
    start = datetime.combine(day, time(), UTC)
    return start, start + DAY


def days_of(review: Review, trail: str, settling: timedelta) -> list[Day]:
    """Return each day of the period with what covers it for a trail; what is not over and settled is pending."""
    told = [(one, one.delivered[trail]) for one in review.records if trail in one.delivered]
    mute = [one.run.record_id for one in review.records if is_mute(one)]
    due = min(review.period[1], review.now - settling)
    found = []
    for day in review.days():
        start, end = bounds(day)
        wanted = max(start, review.period[0]), min(end, review.period[1])
        if wanted[1] > due:
            found.append(Day(day, PENDING, "not over yet, or its digests are not due", ()))
        else:
            found.append(_judged(day, wanted, told, mute))
    return found


def is_mute(one: Reviewed) -> bool:
    """Return whether it is not known which days a record read: it, or its evidence, can't be read here. One that is
    not what was registered is known to be nothing that anybody could rest on.
    """
    return one.run.protocol == "OQ" and not one.delivered and (one.unread or not one.problem)


def _judged(day: date, wanted: Period, told: Iterable[tuple[Reviewed, Delivered]], mute: list[str]) -> Day:
    reading = [(one, each) for one, each in told if each.window[0] < wanted[1] and wanted[0] < each.judged_to]
    names = tuple(one.run.record_id for one, _ in reading)
    unread = Coverage((each.window[0], each.judged_to) for _, each in reading).gaps(*wanted)
    if unread and mute:
        return Day(day, OPEN, f"what {mute[0]} read is not known", names)
    if unread:
        return Day(day, UNCOVERED, f"no run read it{_parts(unread, wanted)}", names)
    areas: dict[Area, Coverage] = {}
    for _, each in reading:
        for area, periods in each.covered.items():
            covered = areas.setdefault(area, Coverage())
            for period in periods:
                covered.add(*period)
    missing = {area: gaps for area, covered in areas.items() if (gaps := covered.gaps(*wanted))}
    if not areas:
        return Day(day, OPEN, "which Regions had to be covered is not known", names)
    if not missing:
        return Day(day, COVERED, "", names)
    area, gaps = next(iter(missing.items()))
    more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
    known = any(one.verdicts.get("OQ-06") == Verdict.FAIL for one, _ in reading)
    return Day(day, GAP if known else OPEN, f"{area}{_parts(gaps, wanted)}{more}", names)


def _parts(gaps: Iterable[Period], wanted: Period) -> str:
    shown = list(gaps)
    if shown == [wanted] and wanted == bounds(wanted[0].date()):
        return ""
    return " from " + " and ".join(f"{start:%H:%M} to {_end(end, wanted)}" for start, end in shown[:3])


def _end(moment: datetime, wanted: Period) -> str:
    return "24:00" if moment == bounds(wanted[0].date())[1] else f"{moment:%H:%M}"


def objects_of(review: Review, trail: str) -> Mapping[date, tuple[Reviewed, Mapping[str, int], int]]:
    """Return for each day of the period the record that read most of it, the later of equals, with its log files by
    what protects them and its number of digests. Of several runs over a day one is told, so that nothing counts twice.
    """
    found: dict[date, tuple[timedelta, Reviewed, Delivered]] = {}
    days = set(review.days())
    for one in review.records:
        delivered = one.delivered.get(trail)
        for day in delivered.days if delivered else ():
            if delivered is None or day not in days:
                continue
            start, end = bounds(day)
            share = min(end, delivered.window[1]) - max(start, delivered.window[0])
            if day not in found or share >= found[day][0]:
                found[day] = (share, one, delivered)
    return {
        day: (one, delivered.days[day], delivered.digests.get(day, 0))
        for day, (_, one, delivered) in sorted(found.items())
    }
