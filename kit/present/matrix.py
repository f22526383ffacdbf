"""The drawing of matrices: rows of signed cells in one or two panels, the same bytes for the same rows.

Cells differ in glyph and word, in outline, and in lightness: colour is never the only sign.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kit.present.figures import (
    INK,
    LABEL,
    LINE,
    LOOKS,
    SMALL,
    SOFT,
    WIDTH,
    canvas,
    cell,
    drawing,
    fitting,
    legend,
    lines,
    short,
    width_of,
    wrapped,
    write,
    write_lines,
)
from kit.present.words import Sign

COLUMNS = 12  # that a drawing holds; what is left over stands in its table
_ROWS = 52  # likewise
_TALL = 33  # rows of one line that a panel is high at most, so that a chart stays on one page
_FEW = 8  # rows that are not worth a second panel
_GAP = 0.3
_ASIDE = 0.1  # inches between a label and the cells


@dataclass(frozen=True)
class Row:
    """One row: a label and its cells; a row without cells heads those below it. A None cell was not judged.

    A `tag` stands before the label, and the lines of the label below one another.
    """

    label: str
    cells: Sequence[tuple[Sign, str] | None] = ()
    heads: bool = False
    tag: str = ""


class _Form(NamedTuple):
    """How rows are set: the panels and the inches of each, of its tags, of its labels, and of a cell."""

    panels: int
    width: float
    tag: float
    label: float
    step: float
    per_line: int


class _Set(NamedTuple):
    """A row as it is set: the lines of its label, and the rows of one line that it takes."""

    row: Row
    label: list[str]
    height: float


def draw_matrix(
    rows: Sequence[Row], columns: Sequence[str], entries: Sequence[tuple[str, str]], left_over: int = 0
) -> str:
    """Return an SVG drawing of rows and cells: in that form in which the most of them is whole, and it is lowest.

    With `columns`, `COLUMNS` at most, every row has one cell for each, empty where nothing was judged, and a letter
    heads each column; a list above says what the letters stand for, so that long names stay level and whole. Without,
    the cells of a row are tiles set side by side. `entries` say what the cells mean. What does not fit one page, with
    the `left_over` columns, is said to be in the table.
    """
    forms = [(form, _panels(rows, form, columns)) for form in _forms(rows, columns)]
    form, panels = min(forms, key=lambda one: (-_shown(one[1]), _cut(one[1]), max(map(_height, one[1]))))
    left_over += sum(not row.heads for row in rows) - _shown(panels)
    tallest = max(1, *map(_height, panels))
    top = len(columns) * 0.75 + 1.2 if columns else 0.1
    figure, axes = canvas(top + tallest + (2.1 if left_over > 0 else 1.3))
    for index, name in enumerate(columns):
        write(axes, 0, index * 0.75 + 0.4, _letter(index), weight="bold")
        write(axes, 0.3, index * 0.75 + 0.4, fitting(name, WIDTH - 0.3))
    for number, panel in enumerate(panels):
        left = number * (form.width + _GAP)
        if columns:
            _head(axes, left, top, form)
        _panel(axes, panel, (left, top), form, level=bool(columns))
    if left_over > 0:
        write(axes, 0, top + tallest + 0.6, f"… {left_over} more in the table", colour=SOFT)
    legend(axes, entries, axes.get_ylim()[0] - 1)
    return drawing(figure)


def _forms(rows: Sequence[Row], columns: Sequence[str]) -> Iterator[_Form]:
    """Return the forms in which rows can be set; of like heights, the first is best."""
    tag = max((width_of(short(row.tag, 9), LABEL) + 0.1 for row in rows if row.tag), default=0.0)
    for panels in (1, 2) if len(rows) > _FEW and len(columns) <= COLUMNS // 2 else (1,):
        width = (WIDTH - _GAP * (panels - 1)) / panels
        if columns:
            narrow = 0.28 if panels > 1 else 0.85 if len(columns) <= 4 else 0.6 if len(columns) <= 6 else 0.3
            room = max(width - narrow * len(columns), width * 0.4)
            yield _Form(panels, width, tag, room - tag, (width - room) / len(columns), len(columns))
            continue
        tile = max((width_of(_tile(*each), SMALL) for row in rows for each in row.cells if each), default=0) + 0.16
        for side_by_side in range(int(width * 0.7 / tile), 0, -1):
            yield _Form(panels, width, 0.12, width - side_by_side * tile - 0.12, tile, side_by_side)


def _panels(rows: Sequence[Row], form: _Form, columns: Sequence[str]) -> list[list[_Set]]:
    """Return the rows that fit one page, in panels of like height; what heads a cut group is said again."""
    sets = [_set(row, form, columns) for row in rows[:_ROWS]]
    while True:
        while sets and (sets[-1].row.heads or _height(sets) > form.panels * _TALL):
            sets.pop()
        panels = _halves(sets, form) if form.panels > 1 else [sets]
        if max(map(_height, panels)) <= _TALL:
            return panels
        sets.pop()


def _set(row: Row, form: _Form, columns: Sequence[str]) -> _Set:
    if row.heads:
        return _heading(row, form)
    label = wrapped(row.label, form.label - _ASIDE, LABEL, 3)
    tiles = 1 if columns else -(-len(row.cells) // form.per_line)
    return _Set(row, label, max(tiles, 1 + LINE * (len(label) - 1)))


def _heading(row: Row, form: _Form) -> _Set:
    return _Set(row, [fitting(row.label, form.width, LABEL, "bold")], 1.0)


def _halves(sets: list[_Set], form: _Form) -> list[list[_Set]]:
    """Return rows in two panels, the higher of which is as low as it can be."""
    found = [sets, []]
    for cut in range(1, len(sets)):
        first, second = sets[:cut], sets[cut:]
        head = next((each for each in reversed(first) if each.row.heads), None)
        if head and not second[0].row.heads:
            second = [_heading(Row(f"{head.row.label}, continued", heads=True), form), *second]
        if not first[-1].row.heads and max(_height(first), _height(second)) < max(map(_height, found)):
            found = [first, second]
    return found


def _height(panel: Sequence[_Set]) -> float:
    return sum(each.height for each in panel)


def _shown(panels: Sequence[Sequence[_Set]]) -> int:
    return sum(not each.row.heads for panel in panels for each in panel)


def _cut(panels: Sequence[Sequence[_Set]]) -> int:
    return sum("…" in each.label[-1] and "…" not in each.row.label for panel in panels for each in panel)


def _head(axes: Any, left: float, y: float, form: _Form) -> None:
    for index in range(form.per_line):
        x = left + form.tag + form.label + (index + 0.5) * form.step
        write(axes, x, y - 0.4, _letter(index), weight="bold", align="center")
    lines(axes, [(left, y, left + form.width, y)], color=INK, linewidth=0.8)


def _panel(axes: Any, panel: Sequence[_Set], place: tuple[float, float], form: _Form, *, level: bool) -> None:
    """Draw rows from `place` on; `level` cells stand in columns, others as tiles below one another."""
    left, y = place
    rules = []
    for row, label, height in panel:
        if row.heads:
            write(axes, left, y + 0.55, label[0], weight="bold", size=LABEL)
        else:
            if row.tag:
                write(axes, left, y + 0.5, short(row.tag, 9), size=LABEL)
            write_lines(axes, left + form.tag, y + 0.5, label, size=LABEL)
        for index, each in enumerate(row.cells):
            if each is None:
                continue
            x = left + form.tag + form.label + (index % form.per_line) * form.step
            line = y + (0 if level else index // form.per_line)
            style = each[0].style
            cell(axes, x + 0.03, line + 0.11, form.step - 0.06, style)
            shown = _tile(*each) if form.step > 0.55 or not level else each[0].glyph
            write(axes, x + form.step / 2, line + 0.5, shown, align="center", colour=LOOKS[style].text, size=SMALL)
        y += height
        rules.append((left, y, left + form.width, y))
    lines(axes, rules)


def _tile(sign: Sign, word: str) -> str:
    return f"{sign.glyph} {short(word, 9)}"


def _letter(index: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[index]
