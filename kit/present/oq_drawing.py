"""The drawing of the operational qualification's figures: bars and cells on a time axis, and histograms."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, count, groupby, pairwise
from typing import Any

from matplotlib.patches import Rectangle

from kit.present.figures import (
    INK,
    LABEL,
    LOOKS,
    SMALL,
    SOFT,
    WIDTH,
    canvas,
    cell,
    count_axis,
    drawing,
    fitting,
    legend,
    legend_height,
    lines,
    time_axis,
    time_axis_height,
    width_of,
    write,
)
from kit.present.words import Sign

STATES: dict[str, Sign] = {
    "gap": Sign("gap", "✗", "fail"),
    "open": Sign("could not be judged", "?", "doubt"),
    "pending": Sign("not yet due", "–", "unread"),
    "covered": Sign("covered", "", "pass"),
}
"""The states of an hour, worst first: of several hours in one cell, the first of these is shown."""

KINDS: dict[str, tuple[str, str]] = {
    "SSE-KMS, trail's key": ("own-key", "trail's key"),
    "SSE-KMS, accepted key": ("accepted-key", "accepted key"),
    "SSE-KMS, another key": ("other-key", "another key"),
    "SSE-S3": ("service-key", "SSE-S3"),
    "not encrypted": ("no-key", "not encrypted"),
    "not read": ("unread", "not read"),
}
"""How an object is encrypted: the look and the short name of each kind, in the order of the bars."""

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_CELLS = 48
_TALL, _DENSE = 24, 0.68  # of more rows, each is so much lower, and the chart stays on one page
_BINS = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 720, 1440)
_ASIDE = 0.12  # between a line and its words: a screen's letters are wider than they were measured
_EDGE = WIDTH - 0.02  # lines have a width of their own

Parts = Sequence[tuple[datetime, datetime, str]]
Breaks = Sequence[tuple[datetime, str]]


def draw_coverage(
    rows: Mapping[str, Sequence[str]], hours: Sequence[datetime], grid: tuple[int, Sequence[tuple[int, int]]], more: int
) -> str:
    """Return an SVG drawing of the state of each place in each cell of `grid`: hours a cell, and the cells.

    `more` rows are said to be in the table.
    """
    per, cells = grid
    used = {state for states in rows.values() for state in states}
    entries = [
        (sign.style, f"{sign.glyph} {sign.word}".strip()) for name, sign in reversed(STATES.items()) if name in used
    ]
    entries.append(("", f"One cell is {_hours(per)}, and shows the worst of {'them' if per > 1 else 'it'}."))
    entries.append(("", f"{_window(hours[0], hours[-1] + _HOUR)}."))
    pitch = 1.0 if len(rows) <= _TALL else _DENSE
    left, bottom = _label_width(rows), 0.1 + len(rows) * pitch
    foot = bottom + time_axis_height(_EDGE - left, hours[0], hours[-1] + _HOUR) + bool(more)
    figure, axes = canvas(foot + legend_height(entries) + 0.1)
    unit = (_EDGE - left) / len(hours)
    time_axis(axes, (left, _EDGE, 0.05, bottom + 0.05), hours[0], hours[-1] + _HOUR)
    for number, (place, states) in enumerate(rows.items()):
        y = 0.1 + number * pitch
        write(axes, 0, y + pitch / 2, fitting(place, left - 0.12, LABEL), size=LABEL)
        worst = [min(states[first:last], key=list(STATES).index) for first, last in cells]
        # The worst last, and so on top: a part of a day at either end is drawn wider than it is.
        for state, begin, end in sorted(runs(worst), key=lambda run: list(STATES).index(run[0]), reverse=True):
            edges = [left + first * unit for first, _ in cells[begin:end]] + [left + cells[end - 1][1] * unit]
            _run(axes, edges, (y, pitch), state, end - begin if per == 1 else 0)
    if more:
        write(axes, 0, foot - 0.5, f"Worst first; {more} more in the table", colour=SOFT)
    legend(axes, entries, foot)
    return drawing(figure)


def draw_encryption(bars: Mapping[str, Mapping[str, int]], more: int, months: bool) -> str:
    """Return an SVG drawing of stacked bars, one a day or month; `more` earlier ones are said to be in the table."""
    used = {kind for bar in bars.values() for kind, number in bar.items() if number}
    entries = [(style, kind) for kind, (style, _) in KINDS.items() if kind in used]
    entries.append(("", f"One bar is a {'month' if months else 'day'} (UTC); numbers of objects."))
    pitch = 1.0 if len(bars) <= _TALL else _DENSE
    left, bottom = _label_width(bars), 0.1 + len(bars) * pitch
    most = max(1, *(sum(bar.values()) for bar in bars.values()))
    # What does not fit its part is written after the bar: how much room that takes depends on the scale, and so twice.
    room = _EDGE - left
    for _ in range(2):
        beside = max(width_of(_beside(bar, room / most), SMALL) for bar in bars.values())
        room = _EDGE - left - min(beside + 0.12 if beside else 0, 3.2)
    figure, axes = canvas(bottom + 0.5 + bool(more) + legend_height(entries))
    lines(axes, [(left, 0.05, left, bottom + 0.05)], color=INK, linewidth=0.8)
    for number, (name, bar) in enumerate(bars.items()):
        x, y = left, 0.1 + number * pitch
        write(axes, 0, y + pitch / 2, fitting(name, left - 0.12, LABEL), size=LABEL)
        for kind, wide in _parts(bar, room / most):
            style, words = KINDS[kind][0], f"{bar[kind]:,}"
            cell(axes, x, y + pitch * 0.11, wide, style, pitch * 0.78)
            if width_of(words, SMALL) < wide - 0.08:
                _on_plate(axes, (x + wide / 2, y + pitch / 2), words, style)
            x += wide
        aside = _beside(bar, room / most) if x > left else "no objects"
        write(
            axes,
            x + 0.08,
            y + pitch / 2,
            fitting(aside, _EDGE - x, SMALL),
            size=SMALL,
            colour=INK if x > left else SOFT,
        )
    if more:
        write(axes, 0, bottom + 0.6, f"… {more} earlier in the table", colour=SOFT)
    legend(axes, entries, bottom + 0.4 + bool(more))
    return drawing(figure)


def draw_lag(counts: Mapping[int, int], marks: Mapping[str, int]) -> str:
    """Return an SVG drawing of a histogram of minutes; a long tail is one bar of its own, at its end."""
    low, high = min(0, *counts), marks["maximum"]
    limit = max(2 * marks["95th percentile"], 15)
    tail = high > limit + 5
    shown = limit if tail else max(high, 12)
    step: int = next((size for size in _BINS if (shown - low) // size < 40), -(-(shown - low + 1) // 40))
    low -= low % step
    bins = [0] * ((shown - low) // step + 1)
    shown = low + len(bins) * step - 1  # the last bar is as wide as the others
    for minute, number in counts.items():
        if minute <= shown:
            bins[(minute - low) // step] += number
    beyond = sum(number for minute, number in counts.items() if minute > shown)
    top, left = 3.3, 0.55
    bottom = top + 7
    figure, axes = canvas(bottom + 2.4)
    wide = (_EDGE - left - (0.3 if beyond else 0)) / (len(bins) + (3 if beyond else 0))
    unit = count_axis(axes, (left, _EDGE, top, bottom), max(*bins, beyond))
    bars = [(left + at * wide, wide, number) for at, number in enumerate(bins) if number]
    fit = all(width_of(f"{number:,}", SMALL) < wide for _, _, number in bars)
    for bar in bars:
        _bar(axes, bar, (bottom, unit), "bar", fit)
    end = left + len(bins) * wide
    tail_at = end + 1.5 * wide + 0.1
    if beyond:
        _bar(axes, (tail_at - wide - 0.1, 2 * wide + 0.2, beyond), (bottom, unit), "tail", label=True)
        words = f"over {shown:,}"
        write(axes, tail_at, bottom + 0.55, words, align="center", size=SMALL, colour=SOFT)
    every = next(n for n in count(1) if n * wide > 0.36 and (n * step) % 5 in ({0} if n * step > 2 else {0, 1, 2}))
    for at in range(0, len(bins) - (every if beyond else 0), every):
        # a bar of one minute is that minute; a wider one begins with the minute at its left edge
        x = left + (at + (0.5 if step == 1 else 0)) * wide
        write(axes, x, bottom + 0.55, f"{low + at * step:,}", align="center", size=SMALL, colour=SOFT)
    places = []
    for name, minute in marks.items():
        place = (minute - low) // step
        if minute > shown:
            places.append((tail_at, beyond, f"{name} {minute:,} min"))
        else:
            places.append((left + (place + 0.5) * wide, bins[place], f"{name} {minute:,} min"))
    # Each line begins at its words: in this order none runs through the words of another.
    fits = all(x + 2 * _ASIDE + width_of(words, weight="bold") < WIDTH for x, _, words in places)
    for line, (x, number, words) in enumerate(places if fits else reversed(places)):
        y, right = 0.4 + line * 0.85, fits or x < 2 * _ASIDE + width_of(words, weight="bold")
        weight, dashes = ("bold", "-") if words.startswith("median") else ("normal", "--" if line == 1 else ":")
        write(axes, x + (_ASIDE if right else -_ASIDE), y, words, align="left" if right else "right", weight=weight)
        stroke = [(x, y - 0.35, x, bottom - number * unit - 0.85)]
        lines(axes, stroke, color=INK, linewidth=1.1, linestyle=dashes, zorder=1.4)
    write(axes, 0, top - 0.6, "Logs", size=SMALL, colour=SOFT)
    foot = "Minutes from the newest event in a log to its delivery" + (
        f"; one bar is {step} minutes." if step > 1 else "."
    )
    write(axes, left, bottom + 1.6, foot, size=SMALL, colour=SOFT)
    return drawing(figure)


def draw_chain(rows: Mapping[str, tuple[Parts, Breaks]], start: datetime, end: datetime, more: int) -> str:
    """Return an SVG drawing of the unbroken parts of chains, with their breaks marked, on one time axis."""
    entries = [("own-key", "unbroken")]
    if any(breaks for _, breaks in rows.values()):
        entries.append(("", "✗ a break, and its kind"))
    entries.append(("", f"{_window(start, end)}."))
    heights = [chain_height(breaks) for _, breaks in rows.values()]
    left, bottom = _label_width(rows), 0.1 + sum(heights)
    foot = bottom + time_axis_height(_EDGE - left, start, end) + bool(more)
    figure, axes = canvas(foot + legend_height(entries) + 0.1)
    unit = (_EDGE - left) / ((end - start) / _HOUR)
    time_axis(axes, (left, _EDGE, 0.05, bottom + 0.05), start, end)
    y = 0.1
    for (name, (parts, breaks)), height in zip(rows.items(), heights, strict=True):
        middle = y + height - 0.5
        marks = [(left + (at - start) / _HOUR * unit, kind) for at, kind in breaks if start <= at <= end]
        write(axes, 0, middle, fitting(name, left - 0.12, LABEL), size=LABEL)
        for begin, until, words in parts:
            x, to = (left + (min(max(at, start), end) - start) / _HOUR * unit for at in (begin, until))
            if until < start or begin > end:
                continue
            cell(axes, x, middle - 0.36, max(to - x, 0.03), "own-key", 0.72)
            # its words stand where no break runs through them
            free, after = max(pairwise(sorted([x, to, *(at for at, _ in marks if x < at < to)])), key=_length)
            if fits := _fits(words, after - free):
                write(axes, (free + after) / 2, middle, fits, align="center", size=SMALL, colour=LOOKS["own-key"].text)
        if not parts:
            write(axes, left + 0.1, middle, "no unbroken part", size=SMALL, colour=SOFT)
        groups = _spread(marks)
        labelled = {x for x, _, _ in groups}
        lines(
            axes,
            [(x, middle - (0.98 if x in labelled else 0.42), x, middle + 0.42) for x, _ in marks],
            color=LOOKS["fail"].fill,
            linewidth=1.8,
            zorder=1.4,
        )
        for _, begins, words in groups:
            write(axes, begins, middle - 0.78, words, size=SMALL, colour=LOOKS["fail"].edge, weight="bold")
        y += height
    if more:
        write(axes, 0, foot - 0.5, f"The most broken are drawn; {more} more in the table", colour=SOFT)
    legend(axes, entries, foot)
    return drawing(figure)


def _length(pair: tuple[float, float]) -> float:
    return pair[1] - pair[0]


def chain_height(breaks: Breaks) -> float:
    """Return the rows that a chain takes: its bar, and the words of its breaks above it."""
    return 1.6 if breaks else 1.05


def draw_key_use(calls: Mapping[datetime, int], hours: Sequence[datetime]) -> str:
    """Return an SVG drawing of calls by hour; hours that were not counted are boxed."""
    per, cells = cells_of(hours)
    sums = [[calls[hour] for hour in hours[first:last] if hour in calls] for first, last in cells]
    left, top, bottom = 0.55, 1.2, 8.2
    entries = [("bar", f"calls in {_hours(per)}")]
    if len(calls) < len(hours):
        entries.append(("none", f"– not counted ({_hours(len(hours) - len(calls))})"))
    if any(0 < len(found) < last - first for found, (first, last) in zip(sums, cells, strict=True)):
        entries.append(("tail", "counted in a part of its hours"))
    entries.append(("", f"{_window(hours[0], hours[-1] + _HOUR)}."))
    foot = bottom + time_axis_height(_EDGE - left, hours[0], hours[-1] + _HOUR)
    figure, axes = canvas(foot + legend_height(entries) + 0.1)
    unit_x = (_EDGE - left) / len(hours)
    time_axis(axes, (left, _EDGE, bottom, bottom), hours[0], hours[-1] + _HOUR)
    unit = count_axis(axes, (left, _EDGE, top, bottom), max(sum(found) for found in sums))
    places = [(left + first * unit_x, (last - first) * unit_x) for first, last in cells]
    whole = [len(found) == last - first for found, (first, last) in zip(sums, cells, strict=True)]
    fit = all(width_of(f"{sum(found):,}", SMALL) < wide for (_, wide), found in zip(places, sums, strict=True) if found)
    for (x, wide), found, every in zip(places, sums, whole, strict=True):
        if found:
            _bar(axes, (x, wide, sum(found)), (bottom, unit), "bar" if every else "tail", fit)
    for missed, first, last in runs([not found for found in sums]):
        if missed:
            x, to = places[first][0], sum(places[last - 1])
            cell(axes, x + 0.01, bottom - 0.9, to - x - 0.02, "none")
            words = _fits("– not counted", to - x) or "–"
            write(axes, (x + to) / 2, bottom - 0.5, words, align="center", size=SMALL, colour=SOFT)
    write(axes, 0, 0.4, "GenerateDataKey calls", size=SMALL, colour=SOFT)
    legend(axes, entries, foot)
    return drawing(figure)


def cells_of(hours: Sequence[datetime]) -> tuple[int, list[tuple[int, int]]]:
    """Return how many hours share a cell, and the index of the first and after the last of each.

    Of whole days, each cell begins with a day: the first and the last may be a part of theirs.
    """
    midnight = hours[0].replace(hour=0)
    for per in chain((1, 2, 3, 4, 6, 8, 12), count(24, 24)):
        keys = [(hour - midnight) // (per * _HOUR) for hour in hours]
        if keys[-1] - keys[0] < _CELLS:
            break
    return per, [(first, last) for _, first, last in runs(keys)]


def runs(items: Iterable[Any]) -> list[tuple[Any, int, int]]:
    """Return each run of equal items: the item, the index of its first, and the index after its last."""
    found, at = [], 0
    for item, run in groupby(items):
        length = len(list(run))
        found.append((item, at, at + length))
        at += length
    return found


def _run(axes: Any, edges: Sequence[float], place: tuple[float, float], state: str, hours: int) -> None:
    """Draw a run of equal cells as one box: a box for each would cost the PDF seconds.

    A covered one is notched at its cells; another says its hours where there is room.
    """
    sign, (y, pitch) = STATES[state], place
    wide = max(edges[-1] - edges[0], 0.11)
    x, top, tall = min(edges[0], _EDGE - wide), y + pitch * 0.11, pitch * 0.78
    cell(axes, x + 0.008, top, wide - 0.016, sign.style, tall)
    if sign.glyph:
        words = f"{sign.glyph} {hours} h"
        words = words if hours > 1 and width_of(words, SMALL) < wide - 0.04 else sign.glyph
        size = SMALL if wide > 0.13 else 6
        write(axes, x + wide / 2, y + pitch / 2, words, align="center", size=size, colour=LOOKS[sign.style].text)
    elif len(edges) > 2:
        notches = [(edge, top + 0.02, edge, top + tall - 0.02) for edge in edges[1:-1]]
        lines(axes, notches, color="#ffffff", linewidth=0.6, zorder=1.5)


def _bar(axes: Any, bar: tuple[float, float, int], foot: tuple[float, float], style: str, label: bool) -> None:
    """Draw an upright bar (left, width, number) on a foot (row, rows for one), and its number above it."""
    (x, wide, number), (bottom, unit) = bar, foot
    box = min(wide * 0.88, 0.6)
    if number:
        # the least is a line: a single log must not vanish beside thousands
        tall = max(number * unit, 0.08)
        cell(axes, x + (wide - box) / 2, bottom - tall, box, style, tall)
    if label:
        write(axes, x + wide / 2, bottom - number * unit - 0.42, f"{number:,}", align="center", size=SMALL)


def _parts(bar: Mapping[str, int], scale: float) -> list[tuple[str, float]]:
    return [(kind, max(bar[kind] * scale, 0.05)) for kind in KINDS if bar.get(kind)]


def _beside(bar: Mapping[str, int], scale: float) -> str:
    """Return the numbers that don't fit their part of a bar, in words."""
    missed = [kind for kind, wide in _parts(bar, scale) if width_of(f"{bar[kind]:,}", SMALL) >= wide - 0.08]
    return ", ".join(f"{bar[kind]:,} {KINDS[kind][1]}" for kind in missed)


def _spread(marks: Sequence[tuple[float, str]]) -> list[tuple[float, float, str]]:
    """Return the words of marks: where the mark is, where they begin, and the words.

    Of marks too near one another, the first has the words for all.
    """
    groups: list[list[tuple[float, str]]] = []
    for mark in marks:
        group = [mark]
        # Merging moves the end of the words, and at the right edge their beginning too.
        while groups and _place(groups[-1])[1] + 0.1 > min(group[0][0], _place(group)[0]):
            group = groups.pop() + group
        groups.append(group)
    return [(group[0][0], _place(group)[0], _kinds(group)) for group in groups]


def _place(group: Sequence[tuple[float, str]]) -> tuple[float, float]:
    """Return where the words of a mark begin and end: to its right, at the right edge to its left."""
    wide, x = width_of(_kinds(group), SMALL, "bold"), group[0][0]
    begins = x + 0.05 if x + 0.05 + wide <= WIDTH else x - _ASIDE - wide
    return begins, begins + wide


def _kinds(group: Sequence[tuple[float, str]]) -> str:
    kinds = Counter(kind for _, kind in group)
    words = ", ".join(kind if number == 1 else f"{kind} ×{number}" for kind, number in kinds.items())
    return fitting(f"✗ {words}", 2.0, SMALL)


def _on_plate(axes: Any, middle: tuple[float, float], words: str, style: str) -> None:
    """Write words on a plain plate, so that no hatching runs through them."""
    look, half = LOOKS[style], width_of(words, SMALL) / 2
    if look.hatch:
        plate = Rectangle(
            (middle[0] - half - 0.03, middle[1] - 0.26), 2 * half + 0.06, 0.52, facecolor=look.fill, edgecolor="none",
            clip_on=False, zorder=1.3,
        )  # fmt: skip
        axes.add_patch(plate)
    write(axes, *middle, words, align="center", size=SMALL, colour=look.text)


def _label_width(names: Iterable[str]) -> float:
    """Return the inches that row labels take, long ones cut."""
    return min(max(width_of(fitting(name, 2.2, LABEL), LABEL) for name in names), 2.2) + 0.15


def _fits(words: str, wide: float) -> str:
    shown = fitting(words, 4, SMALL)
    return shown if width_of(shown, SMALL) < wide - 0.06 else ""


def _window(start: datetime, end: datetime) -> str:
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"


def _hours(number: int) -> str:
    if number % 24 == 0:
        return f"{number} hours" + (f" ({number // 24} days)" if number > 24 else "")
    return f"{number} hours" if number > 1 else "1 hour"
