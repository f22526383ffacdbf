"""The drawing of matrices: rows of signed cells in one or two panels, the same bytes for the same rows.

matplotlib's object interface only: no global figure, no display, no clock. Colours are colour-blind safe and never the
only sign: cells differ in glyph and word, in outline, and in lightness.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.textpath import text_to_path

from kit.present.text import plain
from kit.present.words import Sign

WIDTH = 7.1  # inches: the text width of an A4 page, so that a chart is printed at the size it was drawn
_ROW = 0.27
_TALL = 26  # rows that one panel holds; more stand in two panels, so that a chart stays on one page
_GAP = 0.3
_TEXT, _SMALL = 8.0, 7.0
_INK, _SOFT, _HAIR = "#1a1f26", "#515a66", "#d9dde3"
# Letters stay letters: a reader can search them, and a page of paths would take the PDF seconds.
_STYLE: Any = {"svg.hashsalt": "trailkit", "svg.fonttype": "none", "font.family": ["DejaVu Sans"]}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


class _Look(NamedTuple):
    """Fill, edge, text colour and line of a cell."""

    fill: str
    edge: str
    text: str
    line: str = "-"


_LOOKS = {
    "pass": _Look("#d6ebe2", "#0b5f3c", "#0b4a30"),
    "fail": _Look("#a3161c", "#6d0d12", "#ffffff"),
    "open": _Look("#fbeccb", "#7a4b00", "#5c3900", "--"),
    "na": _Look("#ffffff", "#8a919c", "#515a66"),
    "none": _Look("#ffffff", "#8a919c", "#515a66", ":"),
}


@dataclass(frozen=True)
class Row:
    """One row: a label and its cells; a row without cells heads those below it. A None cell was not judged."""

    label: str
    cells: Sequence[tuple[Sign, str] | None] = ()
    heads: bool = False


def draw_matrix(
    rows: Sequence[Row], columns: Sequence[str], legend: Sequence[tuple[str, str]], left_over: int = 0
) -> str:
    """Return an SVG drawing of rows and cells.

    With `columns` every row has one cell for each, empty where nothing was judged, and a letter heads each column; a
    list above says what the letters stand for, so that long names stay level and whole. Without, the cells of a row
    are tiles set side by side. `left_over` rows or columns are said to be in the table.
    """
    panels = _panels(rows)
    width = (WIDTH - _GAP * (len(panels) - 1)) / len(panels)
    label, per_line = _measure(width, columns)
    tallest = max((sum(_lines(row, per_line, columns) for row in panel) for panel in panels), default=1)
    top = len(columns) * 0.75 + 1.2 if columns else 0.1
    figure, axes = _canvas(top + max(tallest, 1) + (2.1 if left_over > 0 else 1.3))
    for index, name in enumerate(columns):
        _text(axes, 0, index * 0.75 + 0.4, _letter(index), weight="bold")
        _text(axes, 0.3, index * 0.75 + 0.4, short(name, 88))
    for number, panel in enumerate(panels):
        _panel(axes, panel, columns, (number * (width + _GAP), top, width, label, per_line))
    if left_over > 0:
        _text(axes, 0, top + tallest + 0.6, f"… {left_over} more in the table", colour=_SOFT)
    _legend(axes, legend)
    return _svg(figure)


def capacity(columns: int) -> tuple[int, int]:
    """Return how many rows and columns a drawing holds; what is left over stands in its table."""
    return (2 * _TALL, 6) if columns <= 6 else (_TALL, 12)


def short(text: str, limit: int) -> str:
    """Return text of at most `limit` characters, cut in its middle: the ends tell names apart."""
    shown = plain(text).replace("\n", " ")
    shown = shown if len(shown) <= limit else f"{shown[: limit * 2 // 3]}…{shown[-(limit // 3 - 1) :]}"
    return shown.replace("$", r"\$")  # a dollar sign would open matplotlib's formula mode


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
            _text(axes, left + label + (index + 0.5) * step, y - 0.4, _letter(index), weight="bold", align="center")
        axes.plot([left, left + width], [y, y], color=_INK, linewidth=0.8, clip_on=False)
    for row in rows:
        if row.heads:
            _text(axes, left, y + 0.6, short(row.label, int(width * letters)), weight="bold", size=7.5)
        else:
            indent = 0 if columns else 0.12
            _text(axes, left + indent, y + 0.5, short(row.label, int((label - indent) * letters)), size=7.5)
        for index, cell in enumerate(row.cells):
            if cell is None:
                continue
            x, line = left + label + (index % per_line) * step, y + (0 if columns else index // per_line)
            sign, word = cell
            _cell(axes, x + 0.03, line, step - 0.06, sign.style)
            shown = f"{sign.glyph} {short(word, 9)}" if step > 0.55 else sign.glyph
            colour = _LOOKS[sign.style].text
            _text(axes, x + step / 2, line + 0.5, shown, align="center", colour=colour, size=_SMALL)
        y += _lines(row, per_line, columns)
        axes.plot([left, left + width], [y, y], color=_HAIR, linewidth=0.5, clip_on=False)


def _canvas(rows: float) -> tuple[Figure, Any]:
    """Return a figure whose x unit is an inch and whose y unit is one row, counted from the top."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, rows * _ROW), facecolor="#ffffff")
        axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(rows, 0)
    axes.axis("off")
    return figure, axes


def _cell(axes: Any, x: float, y: float, width: float, style: str) -> None:
    look, height = _LOOKS[style], 0.78
    # Unclipped: a clip for each cell would double the time that the PDF takes.
    shape: Mapping[str, Any] = {
        "clip_on": False,
        "facecolor": look.fill, "edgecolor": look.edge, "linewidth": 0.7, "linestyle": look.line,
    }  # fmt: skip
    y += (1 - height) / 2
    if style == "pass":
        # Round corners for what passes, square for what does not: the outline alone tells them apart.
        box = FancyBboxPatch(
            (x + 0.08, y + 0.3), width - 0.16, height - 0.6, mutation_aspect=1 / _ROW,
            boxstyle="round,pad=0.08,rounding_size=0.08", **shape,
        )  # fmt: skip
        axes.add_patch(box)
    else:
        axes.add_patch(Rectangle((x, y), width, height, **shape))


def _text(axes: Any, x: float, y: float, text: str, **look: Any) -> None:
    """Write text from `x` on, or centred on it, by its width: each anchor in SVG would cost WeasyPrint a group."""
    size, weight = look.get("size", _TEXT), look.get("weight", "normal")
    if look.get("align") == "center":
        prop = FontProperties(family="DejaVu Sans", size=size, weight=weight)
        x -= text_to_path.get_text_width_height_descent(text, prop, ismath=False)[0] / 72 / 2
    axes.text(x, y, text, va="center", ha="left", fontsize=size, color=look.get("colour", _INK), fontweight=weight)


def _legend(axes: Any, entries: Sequence[tuple[str, str]]) -> None:
    """Write what the cells mean along the foot of the figure."""
    x, y = 0.0, axes.get_ylim()[0] - 1
    for style, label in entries:
        if style:
            _cell(axes, x, y, 0.22, style)
        _text(axes, x + (0.29 if style else 0), y + 0.5, label, size=_SMALL, colour=_SOFT)
        x += (0.5 if style else 0.3) + 0.066 * len(label)


def _letter(index: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[index]


def _svg(figure: Figure) -> str:
    target = StringIO()
    with mpl.rc_context(_STYLE):
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(target, metadata=_NO_METADATA)
    text = target.getvalue()
    return text[text.index("<svg") :]
