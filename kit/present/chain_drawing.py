"""The drawing of digest chains: their unbroken parts on one time axis, with their breaks marked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from kit.present.axes import time_axis, time_axis_height
from kit.present.figures import (
    ASIDE,
    EDGE,
    LOOKS,
    SMALL,
    SOFT,
    WIDTH,
    canvas,
    cell,
    drawing,
    fits,
    fitting,
    label_lines,
    label_width,
    legend,
    legend_height,
    lines,
    width_of,
    write,
    write_label,
)
from kit.present.hours import HOUR, window_text

Parts = Sequence[tuple[datetime, datetime, str]]
Breaks = Sequence[tuple[datetime, str]]


def draw_chain(rows: Mapping[str, tuple[Parts, Breaks]], start: datetime, end: datetime, more: int) -> str:
    """Return an SVG drawing of the unbroken parts of chains, with their breaks marked, on one time axis."""
    entries = [("own-key", "unbroken")]
    if any(breaks for _, breaks in rows.values()):
        entries.append(("", "✗ a break, and its kind"))
    entries.append(("", f"{window_text(start, end)}."))
    heights = [chain_height(name, breaks) for name, (_, breaks) in rows.items()]
    left, bottom = label_width(rows), 0.1 + sum(heights)
    foot = bottom + time_axis_height(EDGE - left, start, end) + bool(more)
    figure, axes = canvas(foot + legend_height(entries) + 0.1)
    unit = (EDGE - left) / ((end - start) / HOUR)
    time_axis(axes, (left, EDGE, 0.05, bottom + 0.05), start, end)
    y = 0.1
    for (name, (parts, breaks)), height in zip(rows.items(), heights, strict=True):
        middle = y + height - _half(name)
        marks = [(left + (at - start) / HOUR * unit, kind) for at, kind in breaks if start <= at <= end]
        write_label(axes, middle, name)
        for begin, until, words in parts:
            x, to = (left + (min(max(at, start), end) - start) / HOUR * unit for at in (begin, until))
            if until < start or begin > end:
                continue
            cell(axes, x, middle - 0.36, max(to - x, 0.03), "own-key", 0.72)
            # its words stand where no break runs through them
            free, after = max(pairwise(sorted([x, to, *(at for at, _ in marks if x < at < to)])), key=_length)
            if shown := fits(words, after - free):
                write(axes, (free + after) / 2, middle, shown, align="center", size=SMALL, colour=LOOKS["own-key"].text)
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


def chain_height(name: str, breaks: Breaks) -> float:
    """Return the rows that a chain takes: its label and its bar, and the words of its breaks above that."""
    return _half(name) + (1.1 if breaks else _half(name))


def _half(name: str) -> float:
    """Return the rows from the middle of a bar to the end of its row."""
    return 0.5 if len(label_lines(name)) == 1 else 0.7


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
    begins = x + 0.05 if x + 0.05 + wide <= WIDTH else x - ASIDE - wide
    return begins, begins + wide


def _kinds(group: Sequence[tuple[float, str]]) -> str:
    kinds = Counter(kind for _, kind in group)
    words = ", ".join(kind if number == 1 else f"{kind} ×{number}" for kind, number in kinds.items())
    return fitting(f"✗ {words}", 2.0, SMALL)


def _length(pair: tuple[float, float]) -> float:
    return pair[1] - pair[0]
