"""The detection matrix: every single fault with the test cases, what had to change against what changed; in parts, so
that each is read on one page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from kit.checks.tool import confusion
from kit.findings import count
from kit.present.charts import chart, listed
from kit.present.displays import Display
from kit.present.figures import HAIR, INK, SOFT, WIDTH, canvas, cell, drawing, fitting, legend, lines, notice, write
from kit.tool import Challenge, Tool


class Part(NamedTuple):
    """One part: its title, and the areas of the faults that it shows; one without areas shows all the others."""

    title: str
    areas: tuple[str, ...]


PARTS: Mapping[str, Part] = {
    "detection_settings": Part(
        "Faults of the settings, and the test cases that see them", ("trails", "keys", "buckets")
    ),
    "detection_deliveries": Part("Faults of what was delivered, and the test cases that see them", ("deliveries",)),
    "detection_others": Part("All other faults, and the test cases that see them", ()),
}
"""The parts of the matrix by the names of their charts."""

_COLUMNS = ["Fault", "Must change", "Changed", "As it must be"]
_ROW = 0.64  # of a row of the canvas, an eighth of an inch: the longest part stands on one page with its heading
_SIZE = 6.5
_NAMES = 2.36  # inches: the longest name of a fault fits
_LEGEND = (
    ("pass", "had to change, and did"),
    ("fail", "had to change, and did not"),
    ("doubt", "changed, and should not have"),
    ("", "empty: stayed, as it must"),
)


def detection(tool: Tool | None, name: str) -> Display:
    """Draw a part of the matrix, and tell how many verdicts changed and stayed as they must."""
    part = PARTS[name]
    areas = {fault.name: fault.area for fault in tool.faults} if tool else {}
    singles = sorted(tool.singles, key=lambda one: [*areas, one.faults[0]].index(one.faults[0])) if tool else []
    shown = [one for one in singles if _is_of(part, areas.get(one.faults[0], ""))]
    if tool is None or not shown:
        alt = "The kit was not challenged in this run."
        return chart(part.title, alt, notice("Not challenged in this run"), _COLUMNS, [])
    counted = confusion(replace(tool, challenges=tuple(shown)))
    rows = [
        [
            one.faults[0],
            ", ".join(one.expected) or "none",
            ", ".join(one.changed) or one.refused or "none",
            "yes" if _right(one) else "no",
        ]
        for one in shown
    ]
    positives = counted["true positives"] + counted["false negatives"]
    negatives = counted["true negatives"] + counted["false positives"]
    alt = (
        f"Matrix of {count(len(shown), 'fault')} and {count(len(tool.test_cases), 'test case')}: of {positives} "
        f"verdicts that had to change, {counted['true positives']} did; of {negatives} that had to stay, "
        f"{counted['true negatives']} did."
    )
    if wrong := [one.faults[0] for one in shown if not _right(one)]:
        alt += f" Otherwise than it must be: {listed(wrong)}."
    by_area: dict[str, list[Challenge]] = {}
    for one in shown:
        by_area.setdefault(areas.get(one.faults[0], ""), []).append(one)
    return chart(part.title, alt, _draw(by_area, tool.test_cases), _COLUMNS, rows)


def _is_of(part: Part, area: str) -> bool:
    return area in part.areas if part.areas else all(area not in other.areas for other in PARTS.values())


def _right(one: Challenge) -> bool:
    return not one.refused and set(one.changed) == set(one.expected)


def _draw(by_area: Mapping[str, Sequence[Challenge]], cases: Sequence[str]) -> str:
    top = 1.5
    bottom = top + _ROW * sum(1 + len(group) for group in by_area.values())
    figure, axes = canvas(bottom + 1.4)
    step = (WIDTH - 0.02 - _NAMES) / len(cases)
    _heads(axes, cases, step, top, bottom)
    lines(axes, [(0, top, WIDTH, top)], color=INK, linewidth=0.8)
    y = top
    for area, group in by_area.items():
        # an area without a name is of a record of an earlier kit
        write(axes, 0, y + _ROW / 2 + 0.04, area or "all", size=_SIZE, weight="bold", colour=SOFT)
        y += _ROW
        lines(axes, [(0, y + n * _ROW, WIDTH, y + n * _ROW) for n in range(len(group) + 1)], color=HAIR, linewidth=0.4)
        for one in group:
            write(axes, 0.06, y + _ROW / 2, fitting(one.faults[0], _NAMES - 0.12, _SIZE), size=_SIZE)
            for index, case in enumerate(cases):
                if style := _style(case, one):
                    cell(axes, _NAMES + index * step + 0.012, y + 0.07, step - 0.024, style, _ROW - 0.14)
            y += _ROW
    legend(axes, _LEGEND, bottom + 0.25)
    return drawing(figure)


def _heads(axes: Any, cases: Sequence[str], step: float, top: float, bottom: float) -> None:
    """Write the numbers of the test cases, and above the first of each protocol its name."""
    for index, case in enumerate(cases):
        prefix, _, digits = case.partition("-")
        x = _NAMES + index * step
        write(axes, x + step / 2, top - 0.4, digits.lstrip("0"), align="center", size=_SIZE)
        if index == 0 or cases[index - 1].partition("-")[0] != prefix:
            write(axes, x + 0.02, top - 1.05, prefix, size=_SIZE + 0.5, weight="bold")
            lines(axes, [(x, top - 1.4, x, bottom)], color=SOFT)


def _style(case: str, one: Challenge) -> str:
    if case in one.expected:
        return "pass" if case in one.changed else "fail"
    return "doubt" if case in one.changed else ""
