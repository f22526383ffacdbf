"""The drawing of coverage: a row of cells on a time axis for each place."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kit.present.axes import time_axis, time_axis_height
from kit.present.figures import (
    EDGE,
    LOOKS,
    SMALL,
    SOFT,
    canvas,
    cell,
    drawing,
    label_width,
    legend,
    legend_height,
    lines,
    row_heights,
    width_of,
    write,
    write_label,
)
from kit.present.hours import HOUR, hours_text, runs, window_text
from kit.present.words import Sign

STATES: dict[str, Sign] = {
    "gap": Sign("gap", "✗", "fail"),
    "open": Sign("could not be judged", "?", "doubt"),
    "pending": Sign("not yet due", "–", "unread"),
    "covered": Sign("covered", "", "pass"),
}
"""The states of an hour, worst first: of several hours in one cell, the first of these is shown."""


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
    entries.append(("", f"One cell is {hours_text(per)}, and shows the worst of {'them' if per > 1 else 'it'}."))
    entries.append(("", f"{window_text(hours[0], hours[-1] + HOUR)}."))
    heights = row_heights(rows)
    left, pitch, bottom = label_width(rows), min(heights), 0.1 + sum(heights)
    foot = bottom + time_axis_height(EDGE - left, hours[0], hours[-1] + HOUR) + bool(more)
    figure, axes = canvas(foot + legend_height(entries) + 0.1)
    unit = (EDGE - left) / len(hours)
    time_axis(axes, (left, EDGE, 0.05, bottom + 0.05), hours[0], hours[-1] + HOUR)
    y = 0.1
    for (place, states), height in zip(rows.items(), heights, strict=True):
        write_label(axes, y + height / 2, place)
        worst = [min(states[first:last], key=list(STATES).index) for first, last in cells]
        # The worst last, and so on top: a part of a day at either end is drawn wider than it is.
        for state, begin, end in sorted(runs(worst), key=lambda run: list(STATES).index(run[0]), reverse=True):
            edges = [left + first * unit for first, _ in cells[begin:end]] + [left + cells[end - 1][1] * unit]
            _run(axes, edges, (y + (height - pitch) / 2, pitch), state, end - begin if per == 1 else 0)
        y += height
    if more:
        write(axes, 0, foot - 0.5, f"Worst first; {more} more in the table", colour=SOFT)
    legend(axes, entries, foot)
    return drawing(figure)


def _run(axes: Any, edges: Sequence[float], place: tuple[float, float], state: str, hours: int) -> None:
    """Draw a run of equal cells as one box: a box for each would cost the PDF seconds.

    A covered one is notched at its cells; another says its hours where there is room.
    """
    sign, (y, pitch) = STATES[state], place
    wide = max(edges[-1] - edges[0], 0.13)
    x, top, tall = min(edges[0], EDGE - wide), y + pitch * 0.11, pitch * 0.78
    cell(axes, x + 0.008, top, wide - 0.016, sign.style, tall)
    if sign.glyph:
        words = f"{sign.glyph} {hours} h"
        words = words if hours > 1 and width_of(words, SMALL) < wide - 0.04 else sign.glyph
        write(axes, x + wide / 2, y + pitch / 2, words, align="center", size=SMALL, colour=LOOKS[sign.style].text)
    elif len(edges) > 2:
        notches = [(edge, top + 0.02, edge, top + tall - 0.02) for edge in edges[1:-1]]
        lines(axes, notches, color="#ffffff", linewidth=0.6, zorder=1.5)
