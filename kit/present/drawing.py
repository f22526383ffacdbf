"""The drawing of matrices: rows of signed cells in one or two panels, the same bytes for the same rows.

Cells differ in glyph and word, in outline, and in lightness: colour is never the only sign.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kit.present.figures import HAIR, INK, LABEL, LOOKS, SMALL, SOFT, WIDTH, canvas, cell, drawing, legend, short, write
from kit.present.words import Sign

_TALL = 26  # rows that one panel holds; more stand in two panels, so that a chart stays on one page
_GAP = 0.3


@dataclass(frozen=True)
class Row:
    """One row: a label and its cells; a row without cells heads those below it. A None cell was not judged."""

    label: str
    cells: Sequence[tuple[Sign, str] | None] = ()
    heads: bool = False


def draw_matrix(
    rows: Sequence[Row], columns: Sequence[str], entries: Sequence[tuple[str, str]], left_over: int = 0
) -> str:
    """Return an SVG drawing of rows and cells.

    With `columns` every row has one cell for each, empty where nothing was judged, and a letter heads each column; a
    list above says what the letters stand for, so that long names stay level and whole. Without, the cells of a row
    are tiles set side by side. `entries` say what the cells mean; `left_over` rows or columns are said to be in the
    table.
    """
    panels = _panels(rows)
    width = (WIDTH - _GAP * (len(panels) - 1)) / len(panels)
    label, per_line = _measure(width, columns)
    tallest = max((sum(_lines(row, per_line, columns) for row in panel) for panel in panels), default=1)
    top = len(columns) * 0.75 + 1.2 if columns else 0.1
    figure, axes = canvas(top + max(tallest, 1) + (2.1 if left_over > 0 else 1.3))
    for index, name in enumerate(columns):
        write(axes, 0, index * 0.75 + 0.4, _letter(index), weight="bold")
        write(axes, 0.3, index * 0.75 + 0.4, short(name, 88))
    for number, panel in enumerate(panels):
        _panel(axes, panel, columns, (number * (width + _GAP), top, width, label, per_line))
    if left_over > 0:
        write(axes, 0, top + tallest + 0.6, f"… {left_over} more in the table", colour=SOFT)
    legend(axes, entries, axes.get_ylim()[0] - 1)
    return drawing(figure)


def capacity(columns: int) -> tuple[int, int]:
    """Return how many rows and columns a drawing holds; what is left over stands in its table."""
    return (2 * _TALL, 6) if columns <= 6 else (_TALL, 12)


def _panels(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the rows in one panel or in two of like height; what heads a cut group is said again."""
    if len(rows) <= _TALL:
        return [list(rows)]
    half = -(-len(rows) // 2)
    while half < len(rows) and rows[half - 1].heads:
        half += 1
    first, second = list(rows[:half]), list(rows[half:])
    head = next((row for row in reversed(first) if row.heads), None)
    if head and second and not second[0].heads:
        second.insert(0, Row(f"{head.label}, continued", heads=True))
    return [first, second]


def _measure(width: float, columns: Sequence[str]) -> tuple[float, int]:
    """Return the width of the labels, and how many tiles stand side by side."""
    if columns:
        narrow = 0.28 if width < WIDTH else 0.6 if len(columns) > 4 else 0.85
        return max(width - narrow * len(columns), width * 0.4), len(columns)
    label = width * 0.33 if width == WIDTH else width * 0.44
    return label, int((width - label) / 0.62)


def _lines(row: Row, per_line: int, columns: Sequence[str]) -> int:
    return 1 if columns else max(-(-len(row.cells) // per_line), 1)


def _panel(
    axes: Any, rows: Sequence[Row], columns: Sequence[str], place: tuple[float, float, float, float, int]
) -> None:
    left, y, width, label, per_line = place
    step = (width - label) / max(per_line, 1) if columns else 0.62
    letters = 16.5  # characters of a label to an inch
    if columns:
        for index in range(len(columns)):
            write(axes, left + label + (index + 0.5) * step, y - 0.4, _letter(index), weight="bold", align="center")
        axes.plot([left, left + width], [y, y], color=INK, linewidth=0.8, clip_on=False)
    for row in rows:
        if row.heads:
            write(axes, left, y + 0.6, short(row.label, int(width * letters)), weight="bold", size=LABEL)
        else:
            indent = 0 if columns else 0.12
            write(axes, left + indent, y + 0.5, short(row.label, int((label - indent) * letters)), size=LABEL)
        for index, tile in enumerate(row.cells):
            if tile is None:
                continue
            x, line = left + label + (index % per_line) * step, y + (0 if columns else index // per_line)
            sign, word = tile
            cell(axes, x + 0.03, line + 0.11, step - 0.06, sign.style)
            shown = f"{sign.glyph} {short(word, 9)}" if step > 0.55 else sign.glyph
            colour = LOOKS[sign.style].text
            write(axes, x + step / 2, line + 0.5, shown, align="center", colour=colour, size=SMALL)
        y += _lines(row, per_line, columns)
        axes.plot([left, left + width], [y, y], color=HAIR, linewidth=0.5, clip_on=False)


def _letter(index: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[index]
