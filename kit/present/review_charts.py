"""The figures of a periodic review: verdicts over time, and what changed and what was covered, day by day.

Each is a pure function, and says the same as its data table. Days are those of UTC.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from kit.findings import Verdict, count
from kit.present.charts import chart, listed
from kit.present.displays import Display
from kit.present.figures import notice
from kit.present.review_drawing import Cells, draw_calendar, draw_over_time
from kit.present.text import plain
from kit.present.words import VERDICTS, Sign

DAYS: dict[str, Sign] = {
    "gap": Sign("gap", "✗", "fail"),
    "uncovered": Sign("read by no run", "0", "fail"),
    "open": Sign("could not be judged", "?", "doubt"),
    "pending": Sign("not over yet", "–", "unread"),
    "covered": Sign("covered", "✓", "pass"),
}
"""What a day can be covered by."""

CHANGES: dict[str, Sign] = {
    "unexplained": Sign("changed without change control", "✗", "fail"),
    "open": Sign("changed, and not known by whom", "?", "doubt"),
    "explained": Sign("changed under change control", "c", "bar"),
    "run": Sign("a run compared the settings", "r", "na"),
}
"""What is told of a day on which something changed, or was looked at; the first counts where several are."""

_COLUMNS = 48
_NOTHING = "Nothing was measured."
_WORST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_EXECUTED, Verdict.PASS, Verdict.NOT_APPLICABLE)


def timeline(
    runs: Sequence[tuple[datetime, str, Mapping[str, str]]], period: tuple[datetime, datetime] | None
) -> Display:
    """Draw the verdict of each test case over the period: its runs are when, which record, and verdicts by test case.

    Of several runs in one cell the worst verdict is drawn; the table has each.
    """
    title, columns = "Verdicts over the period", ["Test case", "Run", "Began", "Verdict"]
    cases = sorted({case for _, _, verdicts in runs for case in verdicts})
    if not cases or period is None:
        return chart(title, _NOTHING, notice(_NOTHING), columns, [])
    start, end = period
    rows: Cells = {case: _worst_by_cell(case, runs, start, end) for case in cases}
    tally = Counter(verdict for _, _, verdicts in runs for verdict in verdicts.values())
    alt = (
        f"Timeline of {count(len(cases), 'test case')} in {count(len(runs), 'run')}, {start:%Y-%m-%d} to "
        f"{end:%Y-%m-%d}: {', '.join(f'{tally[each]:,} {VERDICTS[each].word}' for each in _WORST if tally[each])}."
    )
    failed = [case for case in cases if any(verdicts.get(case) == Verdict.FAIL for _, _, verdicts in runs)]
    alt += f" Failed at some time: {listed(failed)}." if failed else ""
    table = [
        [plain(case), plain(name), f"{when:%Y-%m-%d %H:%M} UTC", VERDICTS[verdicts[case]].word]
        for case in cases
        for when, name, verdicts in runs
        if case in verdicts
    ]
    used = [each for each in _WORST if tally[each]]
    entries = [(VERDICTS[each].style, f"{VERDICTS[each].glyph} {VERDICTS[each].word}") for each in used]
    entries.append(("", "A cell shows the worst verdict of the runs in it."))
    return chart(title, alt, draw_over_time(rows, start, end, entries), columns, table)


def _worst_by_cell(
    case: str, runs: Iterable[tuple[datetime, str, Mapping[str, str]]], start: datetime, end: datetime
) -> list[Sign | None]:
    cells: list[Verdict | None] = [None] * _COLUMNS
    for when, _, verdicts in runs:
        if case in verdicts:
            # a run may have begun a moment behind the end, by its own clock
            at, verdict = min(int((when - start) / (end - start) * _COLUMNS), _COLUMNS - 1), Verdict(verdicts[case])
            known = cells[at]
            cells[at] = verdict if known is None else min(known, verdict, key=_WORST.index)
    return [VERDICTS[verdict] if verdict else None for verdict in cells]


def coverage(days: Mapping[date, tuple[str, str]]) -> Display:
    """Draw for each day of the period whether it was covered: its state of `DAYS`, and in words what is missing."""
    return _calendar("Coverage by day", "Coverage of", days, DAYS, ["Day", "State", "What"])


def changes(days: Mapping[date, Sequence[tuple[str, str]]], every: Sequence[date]) -> Display:
    """Draw on which days of `every` something changed, or was compared: kinds of `CHANGES`, each with its words."""
    order = list(CHANGES)
    shown = {day: min(found, key=lambda one: order.index(one[0])) for day, found in days.items() if found}
    table = [[day.isoformat(), CHANGES[kind].word, plain(words)] for day in sorted(days) for kind, words in days[day]]
    calendar = {day: shown.get(day, ("", "")) for day in every}
    return _calendar("Changes by day", "Changes within", calendar, CHANGES, ["Day", "What", "Detail"], table)


def _calendar(
    title: str,
    words: str,
    days: Mapping[date, tuple[str, str]],
    signs: Mapping[str, Sign],
    columns: list[str],
    table: list[list[str]] | None = None,
) -> Display:
    if not days:
        return chart(title, _NOTHING, notice(_NOTHING), columns, [])
    rows: dict[str, list[Sign | None]] = {}
    for day in sorted(days):
        row = rows.setdefault(f"{day:%Y-%m}", [None] * 31)
        row[day.day - 1] = signs.get(days[day][0])
    tally = Counter(kind for kind, _ in days.values() if kind)
    told = ", ".join(f"{tally[kind]:,} {sign.word}" for kind, sign in signs.items() if tally[kind])
    alt = f"{words} {count(len(days), 'day')}, {min(days)} to {max(days)}; days: {told or 'nothing to tell of any'}."
    for kind in list(signs)[:2]:
        named = [day.isoformat() for day in sorted(days) if days[day][0] == kind]
        alt += f" {signs[kind].word[:1].upper()}{signs[kind].word[1:]}: {listed(named)}." if named else ""
    entries = [(sign.style, f"{sign.glyph} {sign.word}") for kind, sign in signs.items() if tally[kind]]
    listing = table if table is not None else [
        [day.isoformat(), signs[kind].word, plain(what)] for day, (kind, what) in sorted(days.items())
    ]  # fmt: skip
    return chart(title, alt, draw_calendar(rows, entries), columns, listing)
