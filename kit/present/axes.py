"""The axes of a chart: time in UTC, and counts; each with hairlines through what is drawn."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from kit.present.figures import INK, SMALL, SOFT, WIDTH, lines, width_of, write

_GAP = 0.15  # inches between two labels of an axis


def time_axis(axes: Any, place: tuple[float, float, float, float], start: datetime, end: datetime) -> None:
    """Draw a time axis in UTC below `place` (left, right, top, bottom), with hairlines through it.

    The ticks are the densest whose labels stand apart, on whole hours, days or months.
    """
    left, right, top, bottom = place
    inches = (right - left) / ((end - start) / timedelta(hours=1))
    at: Callable[[datetime], float] = lambda moment: left + (moment - start) / timedelta(hours=1) * inches  # noqa: E731
    ticks, form = _ticks(start, end, inches)
    lines(axes, [(at(tick), top, at(tick), bottom + 0.15) for tick in ticks], color="#c3c9d2")
    lines(axes, [(left, bottom, right, bottom)], color=INK, linewidth=0.8)
    _labels(axes, [(at(tick), tick.strftime(form)) for tick in ticks], bottom + 0.55, left)
    if form == "%H:%M":
        dates = [tick for tick in ticks if tick.hour == 0]
        if not dates or at(dates[0]) - at(ticks[0]) > width_of("2000-00-00", SMALL) + _GAP:
            dates.insert(0, ticks[0])
        _labels(axes, [(at(tick), f"{tick:%Y-%m-%d}") for tick in dates], bottom + 1.25, left)


def time_axis_height(width: float, start: datetime, end: datetime) -> float:
    """Return the rows that a time axis of so many inches takes: hours have their dates below them."""
    _, form = _ticks(start, end, width / ((end - start) / timedelta(hours=1)))
    return 1.8 if form == "%H:%M" else 1.1


def count_axis(axes: Any, place: tuple[float, float, float, float], most: int) -> float:
    """Draw hairlines with round numbers across `place` (left, right, top, bottom); return the rows that one takes."""
    left, right, top, bottom = place
    step = next(
        base * 10**power for power in range(20) for base in (1, 2, 5) if most <= 4 * base * 10**power
    )  # fmt: skip
    unit = (bottom - top) / max(most, 1)
    marks = range(0, most + 1, step)
    lines(axes, [(left, bottom - mark * unit, right, bottom - mark * unit) for mark in marks if mark])
    lines(axes, [(left, bottom, right, bottom)], color=INK, linewidth=0.8)
    for mark in marks:
        write(axes, left - 0.08, bottom - mark * unit, f"{mark:,}", align="right", size=SMALL, colour=SOFT)
    return unit


def _ticks(start: datetime, end: datetime, inches: float) -> tuple[list[datetime], str]:
    """Return round moments from start to end, and how they are written; `inches` is the length of an hour."""
    for hours in (1, 2, 3, 6, 12):
        if hours * inches >= width_of("00:00", SMALL) + _GAP:
            found = _every(start, end, timedelta(hours=hours))
            return (found, "%H:%M") if found else ([start], "%Y-%m-%d %H:%M")
    for days in (1, 2, 7, 14):
        if days * 24 * inches >= width_of("2000-00-00", SMALL) + _GAP:
            return _every(start, end, timedelta(days=days)), "%Y-%m-%d"
    first, last = start.year * 12 + start.month, end.year * 12 + end.month - 1
    month = next(n for n in range(1, 12_000) if n * 28 * 24 * inches >= width_of("2000-00", SMALL) + _GAP)
    found = [datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(first, last + 1, month)]
    return found or [start], "%Y-%m"


def _every(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    unit = min(step, timedelta(days=1))
    first = midnight + -((midnight - start) // unit) * unit
    return [first + n * step for n in range((end - first) // step + 1)]


def _labels(axes: Any, ticks: Sequence[tuple[float, str]], y: float, left: float) -> None:
    """Write labels centred on their ticks, at the ends within the drawing, and none where it would touch another."""
    first = free = max(left - 0.25, 0.0)
    for x, text in ticks:
        half = width_of(text, SMALL) / 2
        begin = min(max(x - half, first), WIDTH - half * 2)
        if begin >= free:
            write(axes, begin, y, text, size=SMALL, colour=SOFT)
            free = begin + half * 2 + 0.05
