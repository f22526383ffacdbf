"""The words, glyphs and shapes of a record: a verdict is never told by colour alone (WCAG 2.2, 1.4.1)."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from kit.findings import Verdict
from kit.numbering import number_of
from kit.present.text import plain


class Sign(NamedTuple):
    """How a verdict or a judged condition is shown: word, glyph, and the class that gives shape and colour."""

    word: str
    glyph: str
    style: str
    meaning: str = ""


VERDICTS: dict[str, Sign] = {
    Verdict.PASS: Sign("PASS", "✓", "pass", "every acceptance criterion is met"),
    Verdict.FAIL: Sign("FAIL", "✗", "fail", "at least one acceptance criterion is not met"),
    Verdict.INCONCLUSIVE: Sign("INCONCLUSIVE", "?", "open", "at least one criterion could not be judged"),
    Verdict.NOT_APPLICABLE: Sign("NOT APPLICABLE", "–", "na", "the criterion does not apply, for the reason given"),
    Verdict.NOT_EXECUTED: Sign("NOT EXECUTED", "○", "none", "the test case was not carried out"),
}

MET: dict[bool | None, Sign] = {
    True: Sign("met", "✓", "pass"),
    False: Sign("not met", "✗", "fail"),
    None: Sign("could not be judged", "?", "open"),
}

_CRITICALITY = {"critical": "▲▲▲", "major": "▲▲", "minor": "▲"}
_MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)?(?:Z|\+00:00)")


def moment(text: Any) -> str:
    """Return an RFC 3339 moment in UTC as `2026-11-23 21:55:48 UTC`; anything else as it is."""
    match = _MOMENT.fullmatch(str(text))
    return f"{match[1]} {match[2]} UTC" if match else plain("not stated" if text in (None, "") else text)


def criticality(word: Any) -> str:
    """Return the criticality with its mark: three, two or one triangle, so that grey paper tells them apart."""
    mark = _CRITICALITY.get(str(word), "")
    return f"{mark} {plain(word)}".strip()


def bytes_text(number: Any) -> str:
    """Return a number of bytes in words: `812 bytes`, `14.2 kB`, `3.1 MB`."""
    if not isinstance(number, int):
        return plain(number)
    if number < 1000:
        return f"{number} bytes" if number != 1 else "1 byte"
    return f"{number / 1000:,.1f} kB" if number < 1_000_000 else f"{number / 1_000_000:,.1f} MB"


def runs(ids: Iterable[Any]) -> list[tuple[str, str]]:
    """Return evidence ids in order, unbroken runs drawn together: (first, last), `last` empty for one on its own.

    A run counts in its last number: from `E0007.02` to `E0007.04` there are three, and of `E0007` to `E0009` as well.
    """
    found: list[list[str]] = []
    for entry in sorted(set(map(str, ids)), key=lambda one: (not number_of(one), number_of(one))):
        *above, number = number_of(entry) or (0,)
        if found and number_of(found[-1][-1]) == (*above, number - 1):
            found[-1].append(entry)
        else:
            found.append([entry])
    # Two in a row are no shorter as a run.
    pairs = [[(run[0], run[-1])] if len(run) > 2 else [(one, "") for one in run] for run in found]
    return [pair for run in pairs for pair in run]
