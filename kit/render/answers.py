"""The evidence on the page: a table with each body to be read in place; of very much evidence, a line an entry.

Every entry is on the page, on screen and on paper. What is cut says where the whole is.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
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


class Answer(NamedTuple):
    """An entry, its id on the page, and its body for reading, cut where it is long; None where it is no text."""

    entry: EvidenceEntry
    anchor: str
    body: str | None


class Group(NamedTuple):
    """Entries in a row: a line for each, and those of them whose bodies are on the page."""

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
        Group(
            Markup("\n").join(_line(entry, cited, linked) for entry in part),
            [shown[entry.id] for entry in part if entry.id in shown],
        )
        for part in _parts(entries)
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


def _parts(entries: Sequence[EvidenceEntry]) -> Iterator[Sequence[EvidenceEntry]]:
    return (entries[start : start + _GROUP] for start in range(0, len(entries), _GROUP))


def _line(entry: EvidenceEntry, cited: Mapping[str, Citation], linked: Container[str]) -> Markup:
    status = "file" if entry.ledger else "none" if entry.status is None else str(entry.status)
    told = f"{entry.id[:40]:6} {status:4} {moment(entry.time).removesuffix(' UTC')[:40]} {entry.sha256[:100]:64} "
    told += f"ledger of {entry.ledger}"[:80] if entry.ledger else f"{entry.service[:60]}:{entry.operation[:100]}"
    told += f" no answer: {entry.failure[:200]}" if entry.failure else ""
    told += f" masked: {', '.join(entry.masked)[:200]}" if entry.masked else ""
    cases = f", cited by {', '.join(cited[entry.id].cases)}" if entry.id in cited else ""
    more = f" {entry.region[:60]}, {(entry.request_id or 'no request id')[:200]}, {entry.path or 'no body'}{cases}"
    line = visible(_one_line(told))
    if entry.id in linked:
        line = Markup('<span id="{}">{}</span>').format(anchor(entry.id), line)
    return line + Markup('<!--screen--><span class="tk-more">{}</span><!--/screen-->').format(visible(_one_line(more)))


def _one_line(text: str) -> str:
    """Return text that can't break into a line of its own, which would read as another entry."""
    return text.replace("\n", " ").replace("\r", " ")
