"""The evidence on the page: a table with each body to be read in place; of very much evidence, a line an entry.

Every entry is on the page, on screen and on paper. What is cut says where the whole is.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from itertools import groupby
from typing import Any, NamedTuple

from markupsafe import Markup

from kit.findings import Verdict
from kit.present.text import slug, visible
from kit.present.words import moment
from kit.render.bodies import readable
from kit.render.context import EvidenceEntry

MOST_ROWS = 500
"""How many entries are rows of a table. A row takes WeasyPrint ten times as long as a line, and a browser too."""

_BODY = 20_000
_BODIES = 4_000_000
_GROUP = 50
"""How many lines make a paragraph: a long one is copied for each line that is broken off."""

_DIGITS = 16
_COLUMN = 69
"""Characters of a column on paper, where two entries share a line: its cost to WeasyPrint is that of a line."""


class Answer(NamedTuple):
    """An entry, its id on the page, and its body for reading, cut where it is long; None where it is no text."""

    entry: EvidenceEntry
    anchor: str
    body: str | None


class Group(NamedTuple):
    """Entries of one day in a row: a line for each, and those of them whose bodies are on the page.

    `day` is empty if it is that of the group before.
    """

    day: str
    lines: Markup
    shown: Sequence[Answer]


def rows(entries: Iterable[EvidenceEntry]) -> list[Answer]:
    """Return every entry; bodies are shown until the page is full."""
    left = _BODIES
    found = []
    for entry in entries:
        found.append(_answer(entry, entry.read(), left > 0))
        left -= len(found[-1].body or "")
    return found


def groups(entries: Sequence[EvidenceEntry], cited: Mapping[str, Any], linked: Container[str]) -> list[Group]:
    """Return every entry as a line, with its id on the page if it is `linked`, and the bodies that there is room for.

    Bodies that findings which did not pass rest on come first, then those that others do; `cited` is `citations`.
    """
    by_weight = sorted(entries, key=lambda entry: cited[entry.id].weight if entry.id in cited else 2)
    shown: dict[str, Answer] = {}
    left = _BODIES
    for entry in by_weight:
        if left <= 0:
            break
        shown[entry.id] = answer = _answer(entry, entry.read(), room=True)
        left -= len(answer.body or "")
    return [
        Group(day, _lines(part, cited, linked), [shown[entry.id] for entry in part if entry.id in shown])
        for day, part in _parts(entries)
    ]


class Citation(NamedTuple):
    """The test cases that rest on an entry, and 0 where a finding that did not pass does, else 1."""

    cases: Sequence[str]
    weight: int


def citations(steps: Iterable[Mapping[str, Any]]) -> dict[str, Citation]:
    """Return which entries of the evidence the findings of the steps rest on, by id."""
    found: dict[str, tuple[dict[str, None], list[int]]] = {}
    for step in steps:
        for finding in step["findings"]:
            weight = int(finding["verdict"] in (Verdict.PASS, Verdict.NOT_APPLICABLE))
            for entry_id in finding.get("evidence") or []:
                cases, weights = found.setdefault(str(entry_id), ({}, []))
                cases[str(step["test_case"])] = None
                weights.append(weight)
    return {entry_id: Citation(list(cases), min(weights)) for entry_id, (cases, weights) in found.items()}


def anchor(entry_id: str) -> str:
    """Return the id that an entry has on the page."""
    return f"evidence-{slug(entry_id)}"


def _answer(entry: EvidenceEntry, text: str | None, room: bool) -> Answer:
    if text is None:
        return Answer(entry, anchor(entry.id), None)
    # to lay out a body takes longer than to print it
    body = readable(text) if room else text
    shown = body[:_BODY] if room else ""
    rest = "" if len(shown) == len(body) else f"\n… ({len(body):,} characters; whole in evidence/{entry.path})"
    return Answer(entry, anchor(entry.id), shown + rest)


def _parts(entries: Iterable[EvidenceEntry]) -> Iterator[tuple[str, Sequence[EvidenceEntry]]]:
    for day, found in groupby(entries, key=lambda entry: _received(entry)[0]):
        part = list(found)
        yield from (("" if start else day, part[start : start + _GROUP]) for start in range(0, len(part), _GROUP))


def _received(entry: EvidenceEntry) -> tuple[str, str]:
    """Return day and time; no day, and what the entry says, where that is no moment."""
    told = moment(entry.time)
    day, _, clock = told.removesuffix(" UTC").partition(" ")
    return (day, clock) if told.endswith(" UTC") else ("day not stated", told[:40])


def _lines(part: Sequence[EvidenceEntry], cited: Mapping[str, Citation], linked: Container[str]) -> Markup:
    """Return a line for each entry; on paper two in a row share one, unless the first is too long for its column."""
    found = []
    left = 0
    for entry in part:
        line, width = _line(entry, cited, linked)
        left = 0 if left or width >= _COLUMN else _COLUMN - width
        found.append(line + (f"{' ' * left}<!--screen-->\n<!--/screen-->" if left else "\n"))
    return Markup("".join(found))  # noqa: S704 - `_line` escaped it


def _line(entry: EvidenceEntry, cited: Mapping[str, Citation], linked: Container[str]) -> tuple[str, int]:
    """Return the HTML of an entry, and how wide it is on paper, which has the first digits of its digest alone.

    It is put together as text: `Markup.format` would take half the time of a page.
    """
    digest = _one_line(entry.sha256[:100])
    start = f"{_one_line(entry.id[:40]):6} {_one_line(_received(entry)[1])} {digest[:_DIGITS] or 'no body':{_DIGITS}}"
    call = f"ledger of {entry.ledger}"[:80] if entry.ledger else f"{entry.service[:60]}:{entry.operation[:100]}"
    if not entry.ledger and not entry.own and entry.status != HTTPStatus.OK:
        call += " no status" if entry.status is None else f" status {entry.status}"
    call += f" no answer: {entry.failure[:200]}" if entry.failure else ""
    call += f" masked: {', '.join(entry.masked)[:200]}" if entry.masked else ""
    call = _one_line(call)
    cases = f", cited by {', '.join(cited[entry.id].cases)}" if entry.id in cited else ""
    more = f"{entry.region[:60]}, {(entry.request_id or 'no request id')[:200]}, {entry.path or 'no body'}{cases}"
    line = f"{visible(start)}<!--screen-->{visible(digest[_DIGITS:])}<!--/screen--> {visible(call)}"
    if entry.id in linked:
        line = f'<span id="{anchor(entry.id)}">{line}</span>'
    line += f'<!--screen--><span class="tk-more"> {visible(_one_line(more))}</span><!--/screen-->'
    return line, len(start) + 1 + len(call)


def _one_line(text: str) -> str:
    """Return text whose spaces are single ones, so that none of it stands where another entry would."""
    return " ".join(text.split())
