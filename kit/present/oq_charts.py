"""The figures of an operational qualification: delivery and encryption of logs, and their digests, over time.

Each is a pure function of aware moments, shown in UTC. A drawing reads in grey and stays on one page; what it leaves
out, it says so, and its table has it all.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from math import ceil

from kit.errors import RenderError
from kit.findings import count
from kit.present.chain_drawing import chain_height, draw_chain
from kit.present.charts import chart, listed
from kit.present.coverage_drawing import STATES, draw_coverage
from kit.present.displays import Display
from kit.present.encryption_drawing import KINDS, draw_encryption
from kit.present.figures import notice, row_heights
from kit.present.histograms import draw_key_use, draw_lag
from kit.present.hours import HOUR, cells_of, runs
from kit.present.text import plain

_DAYS, _HEIGHT = 31, 34.5  # what one page holds: bars, and rows of a drawing
_NOTHING = "Nothing was measured."


def coverage(rows: Mapping[str, Sequence[str]], hours: Sequence[datetime]) -> Display:
    """Draw, for each place, whether every hour of a window is covered by what was delivered.

    `hours` are the beginnings of consecutive hours, and a row has one state of `STATES` for each. Of more than 48
    hours several share a cell, which takes the worst state in it; of more rows than a page holds, the worst are drawn.

    Raises:
        RenderError: an hour is missing or has no time zone, or a row has not one known state for each hour.
    """
    hours = [_utc(hour) for hour in hours]
    if any(later - hour != HOUR for hour, later in pairwise(hours)):
        raise _unfit("the hours do not follow one another")
    for states in rows.values():
        if len(states) != len(hours) or not set(states) <= set(STATES):
            raise _unfit("a row of the coverage has not one known state for each hour")
    title, columns = "Coverage by hour", ["Place", "State", "From", "To", "Hours"]
    if not rows or not hours:
        return chart(title, _NOTHING, notice(_NOTHING), columns, [])
    tally = Counter(state for states in rows.values() for state in states)
    worst = {place: [states.count(state) for state in STATES] for place, states in rows.items()}
    per, cells = cells_of(hours)
    alt = (
        f"Coverage of {count(len(rows), 'place')} in {count(len(hours), 'hour')}, {_minute(hours[0])} to "
        f"{_minute(hours[-1] + HOUR)}; hours summed over the places: "
        + ", ".join(f"{tally[state]:,} {sign.word}" for state, sign in reversed(STATES.items()))
        + "."
    )
    for index, words in enumerate(("With a gap", "With hours that could not be judged")):
        places = [f"{place} ({count(number[index], 'hour')})" for place, number in worst.items() if number[index]]
        alt += f" {words}: {listed(places)}." if places else ""
    if per > 1:
        alt += f" A cell is {per} hours, and shows the worst state in them."
    table = [
        [plain(place), STATES[state].word, _minute(hours[first]), _minute(hours[last - 1] + HOUR), f"{last - first:,}"]
        for place, states in rows.items()
        for state, first, last in runs(states)
    ]
    drawn = list(rows)
    if sum(row_heights(drawn)) > _HEIGHT:
        drawn.sort(key=lambda place: worst[place], reverse=True)
        drawn = _of_a_page(drawn, row_heights(drawn))
    svg = draw_coverage({place: rows[place] for place in drawn}, hours, (per, cells), len(rows) - len(drawn))
    return chart(title, alt, svg, columns, table)


def encryption(days: Mapping[str, Mapping[str, int]]) -> Display:
    """Draw how the objects of each day are encrypted: the number of each kind of `KINDS` in one bar.

    `days` are ISO dates. Of more than 31 days, each bar is a month; of more than 31 months the newest are drawn. A part
    too thin to see is drawn wider, and every number is written.

    Raises:
        RenderError: a kind is none of `KINDS`.
    """
    if any(kind not in KINDS for kinds in days.values() for kind in kinds):
        raise _unfit("a kind of encryption is unknown")
    title, columns = "Encryption of delivered objects", ["Day", *KINDS, "Objects"]
    if not days:
        return chart(title, _NOTHING, notice(_NOTHING), columns, [])
    months = len(days) > _DAYS
    bars: dict[str, Counter[str]] = {}
    for day in sorted(days):
        bars.setdefault(day[:7] if months else day, Counter()).update(days[day])
    total = sum(bars.values(), Counter())
    alt = (
        f"{count(total.total(), 'object')} in {count(len(days), 'day')}, {min(days)} to {max(days)}: "
        + ", ".join(f"{total[kind]:,} {kind}" for kind in KINDS)
        + "."
    )
    other = [day for day in sorted(days) if any(days[day].get(kind) for kind in list(KINDS)[2:])]
    if other:
        alt += f" Days with objects that are under no accepted key, or not read: {listed(other)}."
    table = [
        [plain(day), *(f"{days[day].get(kind, 0):,}" for kind in KINDS), f"{sum(days[day].values()):,}"]
        for day in sorted(days)
    ]
    drawn = dict(list(bars.items())[-_DAYS:])
    return chart(title, alt, draw_encryption(drawn, len(bars) - len(drawn), months), columns, table)


def lag(counts: Mapping[int, int]) -> Display:
    """Draw how long logs took from their newest event to their delivery: whole minutes → logs.

    Median and 95th percentile are by nearest rank: the least minute that at least so many of the logs do not exceed.
    """
    title, columns = "Time to delivery", ["Minutes", "Logs"]
    counts = {minute: counts[minute] for minute in sorted(counts) if counts[minute]}
    if not counts:
        return chart(title, _NOTHING, notice(_NOTHING), columns, [])
    marks = {"median": _rank(counts, 0.5), "95th percentile": _rank(counts, 0.95), "maximum": max(counts)}
    alt = (
        "Histogram of the minutes from the newest event in a log to its delivery, "
        f"{count(sum(counts.values()), 'log')}: "
        + ", ".join(f"{name} {minute:,} min" for name, minute in marks.items())
        + "."
    )
    table = [[f"{minute:,}", f"{number:,}"] for minute, number in counts.items()]
    return chart(title, alt, draw_lag(counts, marks), columns, table)


def chain(
    rows: Mapping[str, Sequence[tuple[datetime, datetime, str]]],
    breaks: Mapping[str, Sequence[tuple[datetime, str]]],
    start: datetime,
    end: datetime,
) -> Display:
    """Draw the unbroken parts of each digest chain from `start` to `end`, and each break with its kind.

    A part is from, to and a text such as the number of its digests. What does not fit one page is left to the table,
    chains with the most breaks first drawn.

    Raises:
        RenderError: the window does not end after it begins, or a moment has no time zone.
    """
    start, end = _utc(start), _utc(end)
    if end <= start:
        raise _unfit("the window does not end after it begins")
    names = list(dict.fromkeys([*rows, *breaks]))
    parts = {name: sorted((_utc(a), _utc(b), words) for a, b, words in rows.get(name, ())) for name in names}
    broken = {name: sorted((_utc(at), kind) for at, kind in breaks.get(name, ())) for name in names}
    title, columns = "Digest chains", ["Chain", "What", "From", "To"]
    if not names:
        return chart(title, _NOTHING, notice(_NOTHING), columns, [])
    kinds = Counter(kind for marks in broken.values() for _, kind in marks)
    alt = (
        f"{count(len(names), 'digest chain')}, {_minute(start)} to {_minute(end)}: "
        f"{count(sum(map(len, parts.values())), 'unbroken part')}, {count(kinds.total(), 'break')}"
        + (f" ({', '.join(f'{number:,} {kind}' for kind, number in sorted(kinds.items()))})." if kinds else ".")
    )
    torn = [f"{name} ({count(len(broken[name]), 'break')})" for name in names if broken[name]]
    if torn:
        alt += f" With a break: {listed(torn)}."
    absent = [name for name in names if not parts[name]]
    if absent:
        alt += f" Without any unbroken part: {listed(absent)}."
    table = []
    for name in names:
        found = [(a, f"unbroken: {words}", _minute(b)) for a, b, words in parts[name]]
        found += [(at, f"break: {kind}", "") for at, kind in broken[name]]
        found = sorted(found) or [(start, "no unbroken part", _minute(end))]
        table += [[plain(name), plain(what), _minute(a), until] for a, what, until in found]
    drawn = sorted(names, key=lambda name: (-len(broken[name]), bool(parts[name])))
    drawn = _of_a_page(drawn, [chain_height(name, broken[name]) for name in drawn])
    drawn = [name for name in names if name in drawn]
    return chart(
        title,
        alt,
        draw_chain({name: (parts[name], broken[name]) for name in drawn}, start, end, len(names) - len(drawn)),
        columns,
        table,
    )


def key_use(hours: Mapping[datetime, int]) -> Display:
    """Draw the GenerateDataKey calls that CloudTrail made of the key, by the hour of their moments.

    An hour that the mapping lacks was not counted, and is no zero. Of more than 48 hours several share a bar.

    Raises:
        RenderError: a moment has no time zone.
    """
    title, columns = "Use of the key", ["Hour", "GenerateDataKey calls"]
    calls: Counter[datetime] = Counter()
    for moment in sorted(hours):
        calls[_utc(moment).replace(minute=0, second=0, microsecond=0)] += hours[moment]
    if not calls:
        return chart(title, _NOTHING, notice(_NOTHING), columns, [])
    first, last = min(calls), max(calls)
    every = [first + n * HOUR for n in range((last - first) // HOUR + 1)]
    idle, uncounted = sum(not number for number in calls.values()), len(every) - len(calls)
    alt = (
        f"{count(sum(calls.values()), 'GenerateDataKey call')} by CloudTrail in {count(len(calls), 'hour')}, "
        f"{_minute(first)} to {_minute(last + HOUR)}: at most {max(calls.values()):,} in an hour, "
        f"{count(idle, 'hour')} without a call, {count(uncounted, 'hour')} not counted."
    )
    table = [[_minute(hour), f"{number:,}"] for hour, number in calls.items()]
    return chart(title, alt, draw_key_use(calls, every), columns, table)


def _of_a_page(names: Sequence[str], heights: Sequence[float]) -> list[str]:
    return [name for name, reached in zip(names, accumulate(heights), strict=True) if reached <= _HEIGHT]


def _rank(counts: Mapping[int, int], share: float) -> int:
    """Return the least minute that at least this share of the logs do not exceed (nearest rank)."""
    rank = ceil(share * sum(counts.values()))
    passed = zip(counts, accumulate(counts.values()), strict=True)
    return next(minute for minute, reached in passed if reached >= rank)


def _utc(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise _unfit("a moment has no time zone")
    return moment.astimezone(UTC)


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _unfit(problem: str) -> RenderError:
    return RenderError(f"a chart can't be drawn: {problem}", "run the notebook again with one version of the kit")
