"""The charts of a round: each target with its verdict in each test case, and how many targets came to each verdict."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kit.findings import Verdict, count
from kit.present.charts import chart, listed
from kit.present.displays import Display
from kit.present.figures import (
    HAIR,
    INK,
    LABEL,
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
    notice,
    write,
)
from kit.present.matrix import Row, draw_matrix
from kit.present.words import VERDICTS
from kit.sections import Round
from kit.summary import Summary, Told

_WORST = (Verdict.FAIL, Verdict.NOT_EXECUTED, Verdict.INCONCLUSIVE, Verdict.PASS, Verdict.NOT_APPLICABLE)
_NONE = "The targets of the round were not read."
_ROW = 0.72  # of a row of the canvas
_ROWS = 60  # targets that a drawing holds; the others stand in its table
_STEP = 0.2  # inches of a column
_COLUMNS = ["Target", "Account", "Protocol", "Record", "Verdict", "Did not pass"]


@dataclass(frozen=True)
class _Line:
    """One target: its name, the worst of its verdicts, and that of each test case."""

    name: str
    worst: str
    cases: Mapping[str, str]


def targets(of: Round | None, summary: Summary | None) -> Display:
    """Draw each target with its verdict in each test case, the worst first; a target without a record has none."""
    title = "Targets and test cases"
    if of is None or summary is None:
        return chart(title, _NONE, notice("Not read in this run"), _COLUMNS, [])
    columns = list(dict.fromkeys(case for told in summary.records for case in told.test_cases or {}))
    found = sorted((_line(one.name, summary) for one in of.targets), key=lambda one: _WORST.index(Verdict(one.worst)))
    tally = Counter(one.worst for one in found)
    words = ", ".join(f"{tally[name]} {VERDICTS[name].word}" for name in _WORST if tally[name])
    alt = f"Matrix of {count(len(found), 'target')} and {count(len(columns), 'test case')}: {words}."
    if wrong := [one.name for one in found if one.worst == Verdict.FAIL]:
        alt += f" With a FAIL: {listed(wrong)}."
    accounts = {one.name: one.account_id or "embedded" for one in of.targets}
    places = {one.name: number for number, one in enumerate(found)}
    rows = [
        [told.target, accounts[told.target], told.protocol, _record(told), VERDICTS[_verdict(told)].word, _open(told)]
        for told in sorted(summary.records, key=lambda told: places[told.target])
    ]
    return chart(title, alt, _draw(found, columns), _COLUMNS, rows)


def cases(of: Round | None, summary: Summary | None) -> Display:
    """Draw for each test case how many targets came to each verdict."""
    title, columns = "Test cases over all targets", ["Test case", "Verdict", "Targets", "Which"]
    if of is None or summary is None:
        return chart(title, _NONE, notice("Not read in this run"), columns, [])
    by_case: dict[str, dict[str, list[str]]] = {}
    for told in summary.records:
        # without a record nothing of its protocol was executed
        for case, verdict in (told.test_cases or {f"{told.protocol} record": Verdict.NOT_EXECUTED.value}).items():
            by_case.setdefault(case, {}).setdefault(verdict, []).append(told.target)
    rows = []
    table = []
    for case in sorted(by_case):
        told_of = [(name, by_case[case][name]) for name in _WORST if name in by_case[case]]
        rows.append(Row(case, [(VERDICTS[name], f"{len(names)}") for name, names in told_of]))
        table += [
            [
                case,
                VERDICTS[name].word,
                str(len(names)),
                "" if name in (Verdict.PASS, Verdict.NOT_APPLICABLE) else listed(names),
            ]
            for name, names in told_of
        ]
    used = [name for name in _WORST if any(name in found for found in by_case.values())]
    entries = [(VERDICTS[name].style, f"{VERDICTS[name].glyph} targets with {VERDICTS[name].word}") for name in used]
    failed = [case for case in sorted(by_case) if Verdict.FAIL in by_case[case]]
    alt = f"How many of {count(len(of.targets), 'target')} came to each verdict in {count(len(by_case), 'test case')}."
    alt += f" With a FAIL somewhere: {listed(failed)}." if failed else " None has a FAIL."
    return chart(title, alt, draw_matrix(rows, [], entries), columns, table)


def _line(name: str, summary: Summary) -> _Line:
    own = [told for told in summary.records if told.target == name]
    verdicts = [_verdict(told) for told in own] or [Verdict.NOT_EXECUTED.value]
    worst = min(verdicts, key=lambda verdict: _WORST.index(Verdict(verdict)))
    return _Line(name, worst, {case: verdict for told in own for case, verdict in (told.test_cases or {}).items()})


def _verdict(told: Told) -> str:
    return told.verdict if told.stands else Verdict.NOT_EXECUTED.value


def _record(told: Told) -> str:
    return f"{told.target}/{told.record_id}" if told.record_id else "none"


def _open(told: Told) -> str:
    if not told.stands:
        return told.why
    closed = (Verdict.PASS, Verdict.NOT_APPLICABLE)
    wrong = {case: verdict for case, verdict in (told.test_cases or {}).items() if verdict not in closed}
    return ", ".join(f"{case} {VERDICTS[verdict].word}" for case, verdict in wrong.items())


def _draw(found: Sequence[_Line], columns: Sequence[str]) -> str:
    shown = found[:_ROWS]
    top, more = 1.5, len(found) - len(shown)
    bottom = top + len(shown) * _ROW
    figure, axes = canvas(bottom + (2.3 if more else 1.6))
    step = min(_STEP, WIDTH * 0.7 / max(1, len(columns)))
    first = WIDTH - step * len(columns)
    for index, case in enumerate(columns):
        _head(axes, first + index * step, top, case, step, new=index == 0 or not _alike(columns[index - 1], case))
    lines(axes, [(0, top, WIDTH, top)], color=INK, linewidth=0.8)
    for number, one in enumerate(shown):
        y = top + number * _ROW
        sign = VERDICTS[one.worst]
        write(axes, 0.04, y + _ROW / 2, sign.glyph, size=SMALL, weight="bold")
        write(axes, 0.22, y + _ROW / 2, fitting(one.name, first - 0.32, LABEL), size=LABEL)
        for index, case in enumerate(columns):
            if case in one.cases:
                _cell(axes, first + index * step, y, step, one.cases[case])
    rules = [(0, top + n * _ROW, WIDTH, top + n * _ROW) for n in range(1, len(shown) + 1)]
    lines(axes, rules, color=HAIR, linewidth=0.4)
    if more:
        write(axes, 0, bottom + 0.5, f"… {more} more in the table", colour=SOFT)
    used = {one.worst for one in shown} | {verdict for one in shown for verdict in one.cases.values()}
    entries = [
        (VERDICTS[name].style, f"{VERDICTS[name].glyph} {VERDICTS[name].word}") for name in _WORST if name in used
    ]
    legend(axes, [*entries, ("", "empty: no record")], axes.get_ylim()[0] - 1)
    return drawing(figure)


def _alike(one: str, other: str) -> bool:
    return one.partition("-")[0] == other.partition("-")[0]


def _head(axes: Any, x: float, y: float, case: str, step: float, *, new: bool) -> None:
    prefix, _, digits = case.partition("-")
    write(axes, x + step / 2, y - 0.35, digits.lstrip("0"), align="center", size=SMALL)
    if new:
        write(axes, x, y - 1.0, prefix, size=SMALL, weight="bold")


def _cell(axes: Any, x: float, y: float, step: float, verdict: str) -> None:
    sign = VERDICTS[verdict]
    cell(axes, x + 0.015, y + 0.07, step - 0.03, sign.style, _ROW - 0.14)
    write(axes, x + step / 2, y + _ROW / 2, sign.glyph, align="center", colour=LOOKS[sign.style].text, size=SMALL)
