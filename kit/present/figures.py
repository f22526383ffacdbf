"""What every chart is drawn with: canvas, cells, text and legend; the same bytes for the same calls.

matplotlib's object interface only: no global figure, no display, no clock. Colours are colour-blind safe and never the
only sign: looks differ in lightness, and in outline or hatching. `x` counts inches, `y` rows from the top.
"""

import re
from bisect import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from io import StringIO
from typing import Any, NamedTuple
from warnings import catch_warnings, filterwarnings

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.textpath import text_to_path

from kit.present.text import plain

WIDTH = 7.1  # inches: the text width of an A4 page, so that a chart is printed at the size it was drawn
EDGE = WIDTH - 0.02  # lines have a width of their own
ROW = 0.19  # inches: one line of words with air around it, and two charts of all Regions on one page
TEXT, LABEL, SMALL = 8.0, 7.5, 7.0  # points; printed on A4, 5 % less
ASIDE = 0.12  # inches between a line and its words: a screen's letters are wider than they were measured
LINE = 0.66  # rows from one line of a label to the next
INK, SOFT, HAIR = "#1a1f26", "#515a66", "#d9dde3"
# Letters stay letters: a reader can search them, and a page of paths would take the PDF seconds.
_STYLE: Any = {"svg.hashsalt": "trailkit", "svg.fonttype": "none", "font.family": ["DejaVu Sans"]}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_WIDE = re.compile("[^\x20-\u024f–…✓✗]")
_MANY = 24  # rows of a chart
# A name breaks at its spaces or, where that does not do, after its hyphens, colons and the like.
_BREAKS = (re.compile(r"\s+"), re.compile(r"\s+|[-/:_.,]+"))


class Look(NamedTuple):
    """Fill, edge, text colour, line and hatching of a cell."""

    fill: str
    edge: str
    text: str
    line: str = "-"
    hatch: str = ""


LOOKS = {
    "pass": Look("#d6ebe2", "#0b5f3c", "#0b4a30"),
    "fail": Look("#a3161c", "#6d0d12", "#ffffff"),
    "open": Look("#fbeccb", "#7a4b00", "#5c3900", "--"),
    "na": Look("#ffffff", "#8a919c", "#515a66"),
    "none": Look("#ffffff", "#8a919c", "#515a66", ":"),
    # Beside cells without words the tint of "open" would be too pale.
    "doubt": Look("#edba55", "#7a4b00", "#3a2400", "--"),
    "bar": Look("#c3d5e8", "#173a5e", "#12304e"),
    "tail": Look("#ffffff", "#173a5e", "#12304e", "--", "/"),
    "own-key": Look("#e3f1ea", "#0b5f3c", "#0b4a30"),
    "accepted-key": Look("#cbe5da", "#0b5f3c", "#06321f", "-", "/"),
    "other-key": Look("#e0a63a", "#7a4b00", "#3a2400", "-", "\\"),
    "service-key": Look("#bd7655", "#5a230d", "#200a02", "-", "x"),
    "no-key": Look("#a3161c", "#6d0d12", "#ffffff"),
    "unread": Look("#ffffff", "#515a66", "#515a66", ":"),
}


def canvas(rows: float) -> tuple[Figure, Any]:
    """Return a figure whose x unit is an inch and whose y unit is one row, counted from the top."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, rows * ROW), facecolor="#ffffff")
        axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(rows, 0)
    axes.axis("off")
    return figure, axes


def drawing(figure: Figure) -> str:
    """Return a figure as SVG without a prologue, a date or other metadata."""
    target = StringIO()
    with mpl.rc_context(_STYLE), catch_warnings():
        # It is the reader's fonts that show the letters: what matplotlib's font lacks matters not.
        filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        page: Any = FigureCanvasSVG(figure)
        page.print_svg(target, metadata=_NO_METADATA)
    text = target.getvalue()
    return text[text.index("<svg") :]


def notice(text: str) -> str:
    """Return a drawing that says why there is nothing to draw."""
    figure, axes = canvas(2)
    cell(axes, 0.02, 0.1, WIDTH - 0.04, "none", 1.8)
    write(axes, WIDTH / 2, 1, text, align="center", colour=SOFT)
    return drawing(figure)


def cell(axes: Any, x: float, y: float, width: float, style: str, height: float = 0.78) -> None:
    """Draw a box, its upper left corner at (x, y): round where it passes, square where it does not."""
    look = LOOKS[style]
    # Unclipped: a clip for each cell would double the time that the PDF takes.
    shape: Mapping[str, Any] = {
        "clip_on": False,
        "facecolor": look.fill, "edgecolor": look.edge, "linewidth": 0.7, "linestyle": look.line,
    }  # fmt: skip
    if style == "pass":
        # Round corners for what passes, square for what does not: the outline alone tells them apart.
        pad = min(0.08, width * 0.3, height * ROW * 0.4)
        box = FancyBboxPatch(
            (x + pad, y + pad / ROW), width - 2 * pad, height - 2 * pad / ROW, mutation_aspect=1 / ROW,
            boxstyle=f"round,pad={pad},rounding_size={pad}", **shape,
        )  # fmt: skip
        axes.add_patch(box)
    else:
        axes.add_patch(Rectangle((x, y), width, height, **shape))
        if look.hatch:
            _hatch(axes, x, y, width, height, look)


def write(axes: Any, x: float, y: float, text: str, **look: Any) -> None:
    """Write text from `x` on, centred on it or up to it, by its width.

    An anchor in SVG would cost WeasyPrint a group for each.
    """
    size, weight, align = look.get("size", TEXT), look.get("weight", "normal"), look.get("align", "left")
    if align != "left":
        x -= width_of(text, size, weight) / (2 if align == "center" else 1)
    axes.text(x, y, text, va="center", ha="left", fontsize=size, color=look.get("colour", INK), fontweight=weight)


@lru_cache(maxsize=8192)
def width_of(text: str, size: float = TEXT, weight: str = "normal") -> float:
    """Return the width of text in inches; a character that the font may lack counts as the widest letter."""
    prop = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    measured = _WIDE.sub("W", text.replace(r"\$", "$"))
    return float(text_to_path.get_text_width_height_descent(measured, prop, ismath=False)[0]) / 72


def short(text: str, limit: int) -> str:
    """Return text of at most `limit` characters, cut in its middle: the ends tell names apart."""
    shown = plain(text).replace("\n", " ")
    shown = shown if len(shown) <= limit else f"{shown[: limit * 2 // 3]}…{shown[-(limit // 3 - 1) :]}"
    return shown.replace("$", r"\$")  # a dollar sign would open matplotlib's formula mode


def fitting(text: str, width: float, size: float = TEXT, weight: str = "normal") -> str:
    """Return text cut in its middle until it is at most `width` inches wide."""
    limit = min(len(plain(text)), int(width * 40))
    if width_of(short(text, limit), size, weight) > width:
        # Nearly right at once: which letters are cut changes with their number.
        limit = bisect(range(6, limit), width, key=lambda most: width_of(short(text, most), size, weight)) + 6
    while limit > 6 and width_of(short(text, limit), size, weight) > width:
        limit -= 1
    return short(text, limit)


def fits(text: str, width: float) -> str:
    """Return small text where it fits so many inches, with air around it, and none where it does not."""
    shown = fitting(text, 4, SMALL)
    return shown if width_of(shown, SMALL) < width - 0.06 else ""


def wrapped(text: str, width: float, size: float = TEXT, most: int = 2) -> list[str]:
    """Return text in at most `most` lines, each at most `width` inches wide; the last is cut where the text is longer.

    A line ends at a space; within a name only where the text would be cut otherwise.
    """
    shown = plain(text).replace("\n", " ")
    for breaks in _BREAKS:
        found: list[str] = []
        rest = shown
        while len(found) < most - 1 and width_of(rest[: int(width * 40)], size) > width:
            ends = [match.end() for match in breaks.finditer(rest[: int(width * 40)])]
            many = bisect(ends, width, key=lambda end: width_of(rest[:end].rstrip(), size))
            if not many:
                break
            found.append(rest[: ends[many - 1]].rstrip())
            rest = rest[ends[many - 1] :]
        if len(rest) <= width * 40 and width_of(rest, size) <= width:
            break
    return [fitting(line, width, size) for line in (*found, rest)]


def label_lines(name: str) -> list[str]:
    """Return the label of a row, in two lines where it is long."""
    return wrapped(name, 2.6, LABEL)


def row_heights(names: Collection[str]) -> list[float]:
    """Return the rows that rows with labels take: of many, each is lower, and the chart stays on one page."""
    pitch = 1.0 if len(names) <= _MANY else 0.85
    return [pitch if len(label_lines(name)) == 1 else 1.4 for name in names]


def label_width(names: Iterable[str]) -> float:
    """Return the inches that the labels of rows take."""
    return max(width_of(line, LABEL) for name in names for line in label_lines(name)) + 0.15


def write_lines(axes: Any, x: float, y: float, shown: Sequence[str], **look: Any) -> None:
    """Write lines below one another, `y` at the middle of the first."""
    for number, line in enumerate(shown):
        write(axes, x, y + number * LINE, line, **look)


def write_label(axes: Any, y: float, name: str) -> None:
    """Write the label of a row, `y` at the middle of its lines."""
    shown = label_lines(name)
    write_lines(axes, 0, y - LINE * (len(shown) - 1) / 2, shown, size=LABEL)


def lines(axes: Any, strokes: Sequence[tuple[float, float, float, float]], **look: Any) -> None:
    """Draw straight strokes (x, y, x, y) as one shape: a shape for each would cost the PDF more than its line."""
    xs = [x for one, _, other, _ in strokes for x in (one, other, float("nan"))]
    ys = [y for _, one, _, other in strokes for y in (one, other, float("nan"))]
    axes.plot(xs, ys, clip_on=False, **{"color": HAIR, "linewidth": 0.5, "zorder": 0.5, **look})


def legend(axes: Any, entries: Sequence[tuple[str, str]], y: float) -> None:
    """Write what the looks mean, from row `y` on; an entry without a look is words alone."""
    for (style, label), (x, line) in zip(entries, _legend_places(entries), strict=True):
        if style:
            cell(axes, x, y + line + 0.11, 0.22, style)
        write(axes, x + (0.29 if style else 0), y + line + 0.5, label, size=SMALL, colour=SOFT)


def legend_height(entries: Sequence[tuple[str, str]]) -> int:
    """Return the rows that a legend takes."""
    return max((line for _, line in _legend_places(entries)), default=-1) + 1


def _legend_places(entries: Sequence[tuple[str, str]]) -> list[tuple[float, int]]:
    places, x, line = [], 0.0, 0
    for style, label in entries:
        wide = (0.29 if style else 0) + width_of(label, SMALL)
        if x and x + wide > WIDTH:
            x, line = 0.0, line + 1
        places.append((x, line))
        x += wide + 0.25
    return places


def _hatch(axes: Any, x: float, y: float, width: float, height: float, look: Look) -> None:
    """Hatch a box line by line: a pattern, as matplotlib writes it, is no plain shape, and `svg_uri` refuses it."""
    tall, step = height * ROW, 0.055
    found = []
    for n in range(1, int((width + tall) / step) + 1):
        # The line u + v = n * step, u to the right and v down, in inches, cut at the box.
        reach = n * step
        one, other = max(0.0, reach - tall), min(width, reach)
        found.append((one, reach - one, other, reach - other))
    up = [(x + one, y + down / ROW, x + other, y + rise / ROW) for one, down, other, rise in found]
    back = [(x + one, y + (tall - down) / ROW, x + other, y + (tall - rise) / ROW) for one, down, other, rise in found]
    strokes = {"/": up, "\\": back, "x": up + back}[look.hatch]
    lines(axes, strokes, color=look.edge, linewidth=0.45, zorder=1.2)
