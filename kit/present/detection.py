"""The detection matrix: every single fault with the test cases, what had to change against what changed."""

from collections.abc import Sequence
from typing import Any

from kit.checks.tool import confusion
from kit.findings import count
from kit.present.charts import chart, listed
from kit.present.displays import Display
from kit.present.figures import HAIR, INK, SOFT, WIDTH, canvas, cell, drawing, fitting, legend, lines, notice, write
from kit.tool import Challenge, Tool

_TITLE = "Faults and the test cases that see them"
_COLUMNS = ["Fault", "Must change", "Changed", "As it must be"]
_GAP = 0.2
_STEP = 0.092  # inches of a column: twenty of them, twice, beside names that can be read
_ROW = 0.5  # of a row of the canvas: a hundred faults and more stand on one page, in two panels
_SIZE = 6.0
_LEGEND = (
    ("pass", "had to change, and did"),
    ("fail", "had to change, and did not"),
    ("doubt", "changed, and should not have"),
    ("", "empty: stayed, as it must"),
)


def detection(tool: Tool | None) -> Display:
    """Draw the matrix, and tell sensitivity and specificity with their counts."""
    if tool is None or not tool.singles:
        alt = "The kit was not challenged in this run."
        return chart(_TITLE, alt, notice("Not challenged in this run"), _COLUMNS, [])
    counted = confusion(tool)
    rows = [
        [
            one.faults[0],
            ", ".join(one.expected) or "none",
            ", ".join(one.changed) or one.refused or "none",
            "yes" if _right(one) else "no",
        ]
        for one in tool.singles
    ]
    positives = counted["true positives"] + counted["false negatives"]
    negatives = counted["true negatives"] + counted["false positives"]
    alt = (
        f"Matrix of {count(len(tool.singles), 'fault')} and {count(len(tool.test_cases), 'test case')}: of {positives} "
        f"verdicts that had to change, {counted['true positives']} did; of {negatives} that had to stay, "
        f"{counted['true negatives']} did."
    )
    if wrong := [one.faults[0] for one in tool.singles if not _right(one)]:
        alt += f" Otherwise than it must be: {listed(wrong)}."
    return chart(_TITLE, alt, _draw(tool.singles, tool.test_cases), _COLUMNS, rows)


def _right(one: Challenge) -> bool:
    return not one.refused and set(one.changed) == set(one.expected)


def _draw(challenges: Sequence[Challenge], cases: Sequence[str]) -> str:
    half = -(-len(challenges) // 2)
    panels = [challenges[:half], challenges[half:]]
    top = 1.6
    figure, axes = canvas(top + half * _ROW + 1.6)
    width = (WIDTH - _GAP) / 2
    for number, panel in enumerate(panels):
        if panel:
            _panel(axes, panel, cases, (number * (width + _GAP), top, width))
    legend(axes, _LEGEND, axes.get_ylim()[0] - 1.1)
    return drawing(figure)


def _panel(axes: Any, challenges: Sequence[Challenge], cases: Sequence[str], place: tuple[float, float, float]) -> None:
    left, top, width = place
    first = left + width - _STEP * len(cases)
    bottom = top + _ROW * len(challenges)
    for index, case in enumerate(cases):
        prefix, _, digits = case.partition("-")
        middle = first + (index + 0.5) * _STEP
        # the numbers stand on two levels, since two digits are wider than a column
        write(axes, middle, top - (0.3 if index % 2 else 0.7), digits.lstrip("0"), align="center", size=_SIZE - 0.5)
        if index == 0 or cases[index - 1].partition("-")[0] != prefix:
            write(axes, middle - _STEP / 2, top - 1.15, prefix, size=_SIZE, weight="bold")
            lines(axes, [(first + index * _STEP, top, first + index * _STEP, bottom)], color=SOFT)
    rules = [(left, top + n * _ROW, left + width, top + n * _ROW) for n in range(1, len(challenges) + 1)]
    lines(axes, rules, color=HAIR, linewidth=0.4)
    lines(axes, [(left, top, left + width, top)], color=INK, linewidth=0.8)
    for number, one in enumerate(challenges):
        y = top + number * _ROW
        write(axes, left, y + _ROW / 2, fitting(one.faults[0], first - left - 0.05, _SIZE), size=_SIZE)
        for index, case in enumerate(cases):
            if style := _style(case, one):
                cell(axes, first + index * _STEP + 0.008, y + 0.06, _STEP - 0.016, style, _ROW - 0.12)


def _style(case: str, one: Challenge) -> str:
    if case in one.expected:
        return "pass" if case in one.changed else "fail"
    return "doubt" if case in one.changed else ""
