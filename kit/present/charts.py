"""Figures of a record: two matrices that read in grey, by glyph and word, and say the same as their data table.

Drawn with matplotlib's object interface: no global figure, no display, no clock. The same steps give the same bytes.
Colours are colour-blind safe (after Okabe and Ito, 2008) and never the only sign.
"""

from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Any, NamedTuple

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from kit.findings import Verdict
from kit.present.displays import Display
from kit.present.text import plain
from kit.present.values import count
from kit.present.words import MET, VERDICTS

_WIDTH = 7.1  # inches: the text width of an A4 page, so that a chart is printed at the size it was drawn
_ROW = 0.27
_TEXT = 8.0
_MOST_ROWS, _MOST_COLUMNS = 60, 12
_INK, _SOFT, _HAIR = "#1a1f26", "#515a66", "#d9dde3"
# Letters stay letters: a reader can search them, and a page of paths would take the PDF seconds.
_STYLE = {"svg.hashsalt": "trailkit", "svg.fonttype": "none", "font.family": ["DejaVu Sans"]}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


class _Look(NamedTuple):
    """Fill, edge, text colour and line of a cell: they differ in lightness and outline, not in hue alone."""

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
_WORST_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_EXECUTED, Verdict.PASS, Verdict.NOT_APPLICABLE)


def verdicts_by_requirement(steps: Iterable[Mapping[str, Any]]) -> Display:
    """Draw, for each clause, the test cases that answer it with their verdicts, worst first.

    `steps` are the data of the step displays.
    """
    clauses: dict[str, dict[str, str]] = {}
    for step in steps:
        for clause in step.get("clauses") or [{"source": "No clause", "clause": ""}]:
            name = f"{clause.get('source', '')} {clause.get('clause', '')}".strip()
            clauses.setdefault(name, {})[str(step["test_case"])] = str(step["verdict"])
    rows = [(name, sorted(cases.items(), key=_worst)) for name, cases in clauses.items()]
    tally = _tally({case: verdict for _, cases in rows for case, verdict in cases}.values())
    alt = f"Matrix of {count(len(rows), 'clause')} and the test cases that answer each: {tally or 'no test case'}."
    failed = [name for name, cases in rows if cases[0][1] == Verdict.FAIL]
    if failed:
        alt += f" Clauses with a FAIL: {_listed(failed)}."
    table = [[plain(name), plain(case), VERDICTS[verdict].word] for name, cases in rows for case, verdict in cases]
    return Display(
        "chart",
        {
            "title": "Verdicts by clause",
            "alt": plain(alt),
            "svg": _draw_tiles(rows[:_MOST_ROWS], len(rows) - _MOST_ROWS),
            "table": {"columns": ["Clause", "Test case", "Verdict"], "rows": table},
        },
    )


def controls_by_trail(rows: Iterable[Mapping[str, Any]]) -> Display:
    """Draw whether each condition is met on each trail, or other resource, that the steps judged.

    `rows` are the data of the step displays; hand over the steps whose conditions are to be shown. A condition that
    was not judged on a resource is left open and marked so. The longer side runs down the page.
    """
    judged: dict[tuple[str, str], bool | None] = {}
    for step in rows:
        for finding in step["findings"]:
            for name, met in finding["met"].items():
                judged[f"{step['test_case']}  {name}", str(finding["resource"])] = met
    conditions = list(dict.fromkeys(condition for condition, _ in judged))
    resources = list(dict.fromkeys(resource for _, resource in judged))
    cells = list(judged.values())
    parts = [f"{cells.count(met)} {MET[met].word}" for met in (True, False, None)]
    alt = (
        f"Matrix of {count(len(conditions), 'condition')} on {count(len(resources), 'resource')}: {', '.join(parts)}, "
        f"{len(conditions) * len(resources) - len(cells)} not judged."
    )
    table = [[plain(res), plain(con), MET[met].word] for (con, res), met in judged.items()]
    return Display(
        "chart",
        {
            "title": "Conditions by resource",
            "alt": alt,
            "svg": _draw_matrix(conditions, resources, judged),
            "table": {"columns": ["Resource", "Condition", "Met"], "rows": table},
        },
    )


def _draw_tiles(rows: Sequence[tuple[str, list[tuple[str, str]]]], left_over: int) -> str:
    start, tile, per_row = 2.3, 0.8, 6
    heights = [max(-(-len(cases) // per_row), 1) for _, cases in rows]
    figure, axes = _canvas(sum(heights) + (2.1 if left_over > 0 else 1.2))
    y = 0
    for (name, cases), height in zip(rows, heights, strict=True):
        axes.text(0, y + 0.5, _short(name, 38), va="center", ha="left", fontsize=_TEXT, color=_INK)
        for index, (case, verdict) in enumerate(cases):
            sign = VERDICTS[verdict]
            x, line = start + (index % per_row) * tile, y + index // per_row
            _cell(axes, x, line, tile - 0.06, sign.style)
            _label(axes, x + tile / 2 - 0.03, line, f"{sign.glyph} {_short(case, 9)}", sign.style)
        y += height
        axes.plot([0, _WIDTH], [y, y], color=_HAIR, linewidth=0.5)
    if left_over > 0:
        axes.text(0, y + 0.6, f"… {left_over} more in the table", va="center", fontsize=_TEXT, color=_SOFT)
    used = {verdict for _, cases in rows for _, verdict in cases}
    _legend(axes, [(sign.style, f"{sign.glyph} {sign.word}") for name, sign in VERDICTS.items() if name in used])
    return _svg(figure)


def _draw_matrix(conditions: list[str], resources: list[str], judged: Mapping[tuple[str, str], bool | None]) -> str:
    upright = len(conditions) >= len(resources)
    down, across = (conditions, resources) if upright else (resources, conditions)
    shown, columns = down[:_MOST_ROWS], across[:_MOST_COLUMNS]
    left_over = len(down) > len(shown) or len(across) > len(columns)
    # A letter heads each column and a list above says what it stands for: names stay level and whole.
    top = len(columns) * 0.75 + 1.5
    figure, axes = _canvas(top + len(shown) + (2.1 if left_over else 1.2))
    start = 4.0 if upright else 3.2
    width = min((_WIDTH - start) / max(len(columns), 1), 1.1)
    for index, name in enumerate(columns):
        letter, y = _letter(index), index * 0.75 + 0.4
        axes.text(0, y, letter, va="center", ha="left", fontsize=_TEXT, color=_INK, fontweight="bold")
        axes.text(0.3, y, _short(_name(name), 88), va="center", ha="left", fontsize=_TEXT, color=_INK)
        middle = start + (index + 0.5) * width
        axes.text(middle, top - 0.4, letter, va="center", ha="center", fontsize=_TEXT, color=_INK, fontweight="bold")
    axes.plot([0, _WIDTH], [top, top], color=_INK, linewidth=0.8)
    for row, name in enumerate(shown):
        y = top + row
        axes.text(0, y + 0.5, _short(_name(name), 56 if upright else 44), va="center", ha="left", fontsize=7.5, color=_INK)
        for index, other in enumerate(columns):
            key = (name, other) if upright else (other, name)
            x = start + index * width
            if key not in judged:
                axes.text(x + width / 2, y + 0.5, "·", va="center", ha="center", fontsize=_TEXT, color=_SOFT)
                continue
            sign = MET[judged[key]]
            _cell(axes, x + 0.03, y, width - 0.06, sign.style)
            word = f"{sign.glyph} {'open' if sign.style == 'open' else sign.word}" if width > 0.75 else sign.glyph
            _label(axes, x + width / 2, y, word, sign.style)
        axes.plot([0, _WIDTH], [y + 1, y + 1], color=_HAIR, linewidth=0.5)
    if left_over:
        axes.text(0, top + len(shown) + 0.6, "… more in the table", va="center", fontsize=_TEXT, color=_SOFT)
    _legend(axes, [("pass", "✓ met"), ("fail", "✗ not met"), ("open", "? open: could not be judged"), ("", "· not judged")])
    return _svg(figure)


def _canvas(rows: float) -> tuple[Figure, Any]:
    """Return a figure whose x unit is an inch and whose y unit is one row, counted from the top."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, rows * _ROW), facecolor="#ffffff")
        axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, _WIDTH)
    axes.set_ylim(rows, 0)
    axes.axis("off")
    return figure, axes


def _cell(axes: Any, x: float, y: float, width: float, style: str, height: float = 0.78) -> None:
    look = _LOOKS[style]
    shape: dict[str, Any] = {"facecolor": look.fill, "edgecolor": look.edge, "linewidth": 0.7, "linestyle": look.line}
    y += (1 - height) / 2
    if style == "pass":
        # Round corners for what passes, square for what does not: the outline alone tells them apart.
        box = FancyBboxPatch((x + 0.08, y + 0.3), width - 0.16, height - 0.6, mutation_aspect=1 / _ROW,
                             boxstyle="round,pad=0.08,rounding_size=0.08", **shape)  # fmt: skip
        axes.add_patch(box)
        return
    axes.add_patch(Rectangle((x, y), width, height, **shape))


def _label(axes: Any, x: float, y: float, text: str, style: str) -> None:
    axes.text(x, y + 0.5, text, va="center", ha="center", fontsize=7, color=_LOOKS[style].text)


def _legend(axes: Any, entries: Sequence[tuple[str, str]]) -> None:
    """Write what the cells mean along the foot of the figure."""
    x, y = 0.0, axes.get_ylim()[0] - 0.9
    for style, label in entries:
        if style:
            _cell(axes, x, y, 0.22, style)
        axes.text(x + (0.29 if style else 0), y + 0.5, label, va="center", ha="left", fontsize=7, color=_SOFT)
        x += (0.5 if style else 0.3) + 0.068 * len(label)


def _letter(index: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[index]


def _svg(figure: Figure) -> str:
    target = StringIO()
    with matplotlib.rc_context(_STYLE):
        FigureCanvasSVG(figure).print_svg(target, metadata=_NO_METADATA)
    text = target.getvalue()
    return text[text.index("<svg") :]


def _name(text: str) -> str:
    """Return the last part of an ARN, which is the name people know; anything else as it is."""
    return text.split(":", 5)[-1] if text.startswith("arn:") else text


def _short(text: str, limit: int) -> str:
    # A dollar sign would open matplotlib's formula mode.
    shown = plain(text).replace("\n", " ").replace("$", r"\$")
    return shown if len(shown) <= limit else f"{shown[: limit * 2 // 3]}…{shown[-(limit // 3 - 1) :]}"


def _worst(case: tuple[str, str]) -> tuple[int, str]:
    return _WORST_FIRST.index(Verdict(case[1])), case[0]


def _tally(verdicts: Iterable[str]) -> str:
    found = list(verdicts)
    return ", ".join(f"{found.count(each)} {VERDICTS[each].word}" for each in _WORST_FIRST if each in found)


def _listed(names: Sequence[str]) -> str:
    return "; ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
