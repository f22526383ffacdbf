"""The two figures of a record. Each reads in grey, by glyph, word and outline, and says the same as its data table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kit.findings import Verdict, count
from kit.present.displays import Display
from kit.present.matrix import COLUMNS, Row, draw_matrix
from kit.present.text import plain
from kit.present.words import MET, VERDICTS

_WORST_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_EXECUTED, Verdict.PASS, Verdict.NOT_APPLICABLE)
_ACCOUNT = re.compile(r"arn:[^:]+:iam::(\d{12}):root")
_MET_LEGEND = (("pass", "✓ met"), ("fail", "✗ not met"), ("open", "? could not be judged"), ("", "empty: not judged"))


def verdicts_by_requirement(steps: Iterable[Mapping[str, Any]]) -> Display:
    """Draw, for each clause of each source, the test cases that answer it with their verdicts, worst first.

    `steps` are the data of the step displays.
    """
    clauses: dict[tuple[str, str], dict[str, str]] = {}
    for step in steps:
        for clause in step.get("clauses") or [{"source": "No clause", "clause": "–"}]:
            key = (str(clause.get("source", "")), str(clause.get("clause", "")))
            clauses.setdefault(key, {})[str(step["test_case"])] = str(step["verdict"])
    answered = [(key, sorted(clauses[key].items(), key=_worst)) for key in sorted(clauses, key=_by_number)]
    rows: list[Row] = []
    for (source, clause), cases in answered:
        if source not in [row.label for row in rows if row.heads]:
            rows.append(Row(source, heads=True))
        rows.append(Row(clause, [(VERDICTS[verdict], case) for case, verdict in cases]))
    used = {verdict for _, cases in answered for _, verdict in cases}
    legend = [(sign.style, f"{sign.glyph} {sign.word}") for name, sign in VERDICTS.items() if name in used]
    tally = _tally({case: verdict for _, cases in answered for case, verdict in cases}.values())
    alt = f"Matrix of {count(len(answered), 'clause')} and the test cases that answer each: {tally or 'no test case'}."
    failed = [f"{source} {clause}" for (source, clause), cases in answered if cases[0][1] == Verdict.FAIL]
    if failed:
        alt += f" Clauses with a FAIL: {listed(failed)}."
    table = [
        [plain(source), plain(clause), plain(case), VERDICTS[verdict].word]
        for (source, clause), cases in answered
        for case, verdict in cases
    ]
    return chart(
        "Verdicts by clause",
        alt,
        draw_matrix(rows, [], legend),
        ["Source", "Clause", "Test case", "Verdict"],
        table,
    )


def controls_by_trail(rows: Iterable[Mapping[str, Any]]) -> Display:
    """Draw whether each condition is met on each trail, key, bucket or account that the steps judged.

    `rows` are the data of the step displays; hand over the steps whose conditions are to be shown. A condition that
    was not judged on a resource stays empty. The longer side runs down the page.
    """
    judged: dict[tuple[str, str], bool | None] = {}
    for step in rows:
        for finding in step["findings"]:
            for name, met in finding["met"].items():
                key = (f"{step['test_case']}  {name}", str(finding["resource"]))
                judged[key] = met if key not in judged else _worse(met, judged[key])
    conditions = list(dict.fromkeys(condition for condition, _ in judged))
    resources = list(dict.fromkeys(resource for _, resource in judged))
    cells = list(judged.values())
    parts = [f"{cells.count(met)} {MET[met].word}" for met in (True, False, None)]
    alt = (
        f"Matrix of {count(len(conditions), 'condition')} on {count(len(resources), 'resource')}: {', '.join(parts)}, "
        f"{len(conditions) * len(resources) - len(cells)} not judged."
    )
    unmet = [f"{condition} on {_name(resource)}" for (condition, resource), met in judged.items() if met is False]
    if unmet:
        alt += f" Not met: {listed(unmet)}."
    return chart(
        "Conditions by resource",
        alt,
        _draw_conditions(conditions, resources, judged),
        ["Resource", "Condition", "Met"],
        [[plain(resource), plain(condition), MET[met].word] for (condition, resource), met in judged.items()],
    )


def _draw_conditions(conditions: list[str], resources: list[str], judged: Mapping[tuple[str, str], bool | None]) -> str:
    upright = len(conditions) >= len(resources)
    down, across = (conditions, resources) if upright else (resources, conditions)
    columns = across[:COLUMNS]
    rows = []
    for name in down:
        keys = [(name, other) if upright else (other, name) for other in columns]
        signs = [MET[judged[key]] if key in judged else None for key in keys]
        cells = [sign and (sign, "open" if sign.style == "open" else sign.word) for sign in signs]
        case, _, condition = name.partition("  ") if upright else ("", "", _name(name))
        rows.append(Row(condition, cells, tag=case))
    return draw_matrix(rows, [_name(name) for name in columns], _MET_LEGEND, len(across) - len(columns))


def chart(title: str, alt: str, svg: str, columns: list[str], rows: list[list[str]]) -> Display:
    """Return a chart as a display: its drawing, what it says in words, and its data."""
    return Display(
        "chart", {"title": title, "alt": plain(alt), "svg": svg, "table": {"columns": columns, "rows": rows}}
    )


def _name(text: str) -> str:
    """Return the last part of an ARN, which is the name people know; anything else as it is.

    An account's ARN ends in `root`, which people take for its root user.
    """
    if not text.startswith("arn:"):
        return text
    account = _ACCOUNT.fullmatch(text)
    return f"account {account[1]}" if account else text.split(":", 5)[-1]


def _by_number(key: tuple[str, str]) -> list[tuple[int, str]]:
    """Order clauses as their document does: 7.1 before 12.1."""
    parts = re.split(r"(\d+)", "\0".join(key))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _worst(case: tuple[str, str]) -> tuple[int, str]:
    return _WORST_FIRST.index(Verdict(case[1])), case[0]


def _worse(one: bool | None, other: bool | None) -> bool | None:
    return min(one, other, key=[False, None, True].index)


def _tally(verdicts: Iterable[str]) -> str:
    found = list(verdicts)
    return ", ".join(f"{found.count(each)} {VERDICTS[each].word}" for each in _WORST_FIRST if each in found)


def listed(names: Sequence[str]) -> str:
    """Return names in one line; of more than six, the first six and how many are left."""
    return "; ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
