"""The drawing of a periodic review's figures: cells in rows, over a time axis or over the days of months."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from kit.present.axes import time_axis, time_axis_height
from kit.present.figures import (
    EDGE,
    HAIR,
    INK,
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
    write,
    write_label,
)
from kit.present.words import Sign

Cells = Mapping[str, Sequence[Sign | None]]
"""The cells of each row, by its label; None is a place where nothing is to be said."""

_PITCH = 0.9
_GLYPH = 0.1
"""From what width in inches on a cell has room for its glyph."""


def draw_over_time(rows: Cells, start: datetime, end: datetime, entries: Sequence[tuple[str, str]]) -> str:
    """Return an SVG drawing of rows of cells of like width from `start` to `end`, with a time axis below."""
    left, bottom = label_width(rows), 0.1 + len(rows) * _PITCH
    foot = bottom + time_axis_height(EDGE - left, start, end)
    figure, axes = canvas(foot + legend_height(entries) + 0.1)
    time_axis(axes, (left, EDGE, 0.05, bottom + 0.05), start, end)
    _draw_rows(axes, rows, left, 0.1)
    legend(axes, entries, foot)
    return drawing(figure)


def draw_calendar(rows: Cells, entries: Sequence[tuple[str, str]]) -> str:
    """Return an SVG drawing of one row a month, with a cell for each of its days."""
    left, top = label_width(rows), 0.9
    bottom = top + len(rows) * _PITCH
    figure, axes = canvas(bottom + 0.2 + legend_height(entries))
    step = (EDGE - left) / 31
    for day in range(1, 32):
        write(axes, left + (day - 0.5) * step, top - 0.45, str(day), align="center", size=SMALL, colour=SOFT)
    lines(axes, [(left, top - 0.05, EDGE, top - 0.05)], color=INK, linewidth=0.8)
    _draw_rows(axes, rows, left, top)
    legend(axes, entries, bottom + 0.15)
    return drawing(figure)


def _draw_rows(axes: object, rows: Cells, left: float, top: float) -> None:
    for number, (label, signs) in enumerate(rows.items()):
        y = top + number * _PITCH
        step = (EDGE - left) / max(len(signs), 1)
        write_label(axes, y + _PITCH / 2, label)
        lines(axes, [(left, y + _PITCH, EDGE, y + _PITCH)], color=HAIR)
        for index, sign in enumerate(signs):
            if sign is None:
                continue
            x = left + index * step
            cell(axes, x + step * 0.08, y + _PITCH * 0.12, step * 0.84, sign.style, _PITCH * 0.76)
            if sign.glyph and step * 0.84 >= _GLYPH:
                middle = (x + step / 2, y + _PITCH / 2)
                write(axes, *middle, sign.glyph, align="center", size=SMALL, colour=LOOKS[sign.style].text)
