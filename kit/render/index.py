"""The index of an outputs folder: `index.html`, one page that lists every run and record, and is part of none."""

import os
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from jinja2 import TemplateError
from markupsafe import Markup

from kit.errors import KitError, RecordError
from kit.present.templating import compact, environment, stylesheet, template_text
from kit.present.words import VERDICTS, Sign
from kit.record.addenda import PAGE
from kit.record.folders import elsewhere, write_whole
from kit.record.manifest import ADDENDA, HTML, INDEX_PAGE, PDF, SIGNED
from kit.record.overview import OUTCOMES, Overview, Row, overview
from kit.render.guard import stamp
from kit.render.html import running, styled

MONTHS, TARGETS = 12, 24
"""How much of the timeline is drawn: so many months, and so many targets; what is outside is counted."""

SIGNS: dict[str, Sign] = {
    **VERDICTS,
    "issued": Sign("PROTOCOL", "□", "none", "issued for approval; it holds no result"),
    "concluded": Sign("NOT SEALED", "○", "none", "the run concluded, and no record was sealed"),
    "started": Sign("NOT ENDED", "○", "none", "the run was started, and its end is not registered"),
    "failed": Sign("RUN FAILED", "○", "none", "the run broke off, and left no record"),
    "aborted": Sign("RUN ABORTED", "○", "none", "the run ended without a word, and left no record"),
    "gone": Sign("NOT HERE", "!", "open", "the register holds the record, and its folder is not here"),
    "unreadable": Sign("UNREADABLE", "!", "open", "the record can't be read"),
    "differs": Sign("NOT AS REGISTERED", "!", "open", "the record here is not the one that was registered"),
    "unregistered": Sign("NOT REGISTERED", "!", "open", "the register does not hold the record"),
}

_LABELS = {HTML: "HTML", PDF: "PDF", SIGNED: "signed PDF"}
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])(?=-)", re.ASCII)
_RETRY = "make the folder writable, or free space, then run `trailkit index`; no record depends on this page"


def refresh_index(outputs: Path) -> KitError | None:
    """Rebuild the index after something happened in an outputs folder; return, and never raise, why it could not."""
    try:
        return write_index(outputs).problem
    except KitError as error:
        return error


def write_index(outputs: Path) -> Overview:
    """Write `index.html` into an outputs folder, whole or not at all, and return what it shows.

    Two processes at once come one after the other, so that the page is never older than the register either read.

    Raises:
        RecordError: there is no such folder, it can't be written, or something in it can't be laid out.
    """
    try:
        with _alone(outputs):
            shown = overview(outputs)
            write_whole(outputs / INDEX_PAGE, index_html(shown, outputs).encode())
    except OSError as error:
        what = f"the index of {outputs} can't be written: {error.strerror or error}"
        raise RecordError(what, _RETRY) from error
    except (TemplateError, TypeError, AttributeError, LookupError, ValueError, RecursionError) as error:
        raise RecordError(f"the index of {outputs} can't be laid out: {error!r:.200}", _RETRY) from error
    return shown


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock a folder itself for a block: no file is left by it, and it ends with the process."""
    # a system without it can read a record all the same
    import fcntl  # noqa: PLC0415

    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def index_html(shown: Overview, outputs: Path) -> str:
    """Return the page, the same for the same overview and folder: it asks for nothing, and is whole without its script.

    The folder is only asked for the pages of addenda.
    """
    head = f"Register entry {shown.head.number}, {shown.head.sha256}" if shown.head.number else "No register entry"
    state = _state(shown)
    css = compact(
        stylesheet()
        + template_text("kit.render", "page.css")
        + template_text("kit.render", "index.css")
        + running("Index, not a record", state, head, "A4 landscape")
    )
    script = template_text("kit.render", "index.js")
    protocols = sorted({row.protocol for row in shown.rows})
    targets = sorted({_target(row) for row in shown.rows})
    came_to = {row.outcome for row in shown.rows}
    page = environment("kit.render", "kit.present").get_template("index.html")
    return page.render(
        shown=shown,
        state=state,
        rows=[(row, OUTCOMES.index(row.outcome), protocols.index(row.protocol), targets.index(_target(row)))
              for row in shown.rows],
        protocols=protocols,
        targets=[_name(*target) for target in targets],
        outcomes=[outcome for outcome in OUTCOMES if outcome in came_to],
        tallies=_tallies(shown),
        timeline=_timeline(shown),
        SIGNS=SIGNS, OUTCOMES=OUTCOMES, LABELS=_LABELS, address=_address, stamp=_stamp,
        later=lambda row: _later(row, outputs),
        script=Markup(script),  # noqa: S704 - ours
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        **styled(css),
    )  # fmt: skip


def _state(shown: Overview) -> str:
    """Return what the whole page is stamped with, where a row of it is no GxP evidence."""
    stamps = Counter(_stamp(row) for row in shown.rows)
    stamped = shown.rows and len(shown.rows) - stamps[""]
    if not stamped:
        return ""
    if len(stamps) == 1:
        return next(iter(stamps))
    return (
        f"{stamped:,} of {len(shown.rows):,} records and runs are DEMONSTRATION or of no stated origin: no GxP evidence"
    )


def _tallies(shown: Overview) -> list[tuple[str, list[tuple[str, int]]]]:
    """Count the rows by outcome, those that no stamp is on apart from those of each stamp."""
    counts: dict[str, Counter[str]] = {}
    for row in shown.rows:
        counts.setdefault(_stamp(row), Counter())[row.outcome] += 1
    return [(key, [(name, counts[key][name]) for name in OUTCOMES if counts[key][name]]) for key in sorted(counts)]


def _stamp(row: Row) -> str:
    return stamp({"demonstration": row.demonstration})


def _address(folder: str, *names: str) -> str:
    """Return the relative address of a folder or a file in it; a name can't make it lead elsewhere."""
    return "/".join((".", *(quote(os.fsencode(name), safe="") for name in (folder, *names)))) + ("" if names else "/")


def _later(row: Row, outputs: Path) -> list[tuple[str, str]]:
    """Return what came later, each with the address of its page: a deviation's is its addendum, where that is there."""
    folder = outputs / row.record_id
    pages = {path.parent.name for path in (folder / ADDENDA).glob(f"*/{PAGE}")} if row.folder else set()
    # of each the second part: addenda/01-DEV-01/addendum.html
    pages |= {name.split("/")[1] for name in elsewhere(folder) if re.fullmatch(rf"{ADDENDA}/[^/]+/{PAGE}", name)}
    told, number = [], 0
    for line in row.later:
        event, _, deviation = line.partition(" ")
        number += event == "deviation"
        # the register holds addenda in the order of their numbers
        name = f"{number:02d}-{deviation}"
        linked = event == "deviation" and name in pages
        told.append((line, _address(row.record_id, ADDENDA, name, PAGE) if linked else ""))
    return told


_Target = tuple[str, str, str]


def _target(row: Row) -> _Target:
    return row.account, row.trail, _stamp(row)


def _name(account: str, trail: str, stamped: str) -> str:
    """Return what a target is called in few words: its stamp, a trail's name and Region, and the account."""
    parts = trail.split(":", 5)
    name = f"{parts[5].removeprefix('trail/')}, {parts[3]}" if len(parts) == 6 else trail or "no single trail"
    return ", ".join(filter(None, (stamped.partition(":")[0], name, account or "no account stated")))


@dataclass(frozen=True)
class Timeline:
    """What the drawing shows: months, a line for each target and protocol, and how many lines it leaves out."""

    months: list[str]
    lines: list["Line"]
    left_out: int


@dataclass(frozen=True)
class Line:
    """The runs of a protocol on a target: the latest, and how many came to what in each month, and outside them."""

    stamp: str
    name: str
    latest: Row
    months: list[list[tuple[Sign, int]]]
    outside: list[tuple[Sign, int]]


def _timeline(shown: Overview) -> Timeline:
    """Count what runs came to by month, target and protocol; months end with the one in which the page was made."""
    by_line: dict[tuple[str, _Target], list[Row]] = {}
    for row in shown.rows:
        if row.executed:
            by_line.setdefault((row.protocol, _target(row)), []).append(row)
    runs = [row for rows in by_line.values() for row in rows]
    months = _months(min((found for row in runs if (found := _month(row))), default=""), shown.made[:7])
    lines = []
    for (protocol, target), rows in list(by_line.items())[:TARGETS]:
        counts = {month: Counter[str]() for month in (*months, "")}
        for row in rows:
            month = _month(row)
            counts[month if month in counts else ""][row.outcome] += 1
        name = f"{protocol or 'no protocol stated'}: {_name(*target[:2], '')}"
        in_order = [_chips(counts[month]) for month in (*months, "")]
        lines.append(Line(target[2], name, rows[0], in_order[:-1], in_order[-1]))
    return Timeline(months, lines, len(by_line) - len(lines))


def _month(row: Row) -> str:
    found = _MONTH.match(row.began)
    return found[0] if found else ""


def _months(first: str, last: str) -> list[str]:
    """Return the months up to the last, no more than are drawn, and none before the first run."""
    year, month = int(last[:4]), int(last[5:])
    numbers = range(year * 12 + month - MONTHS, year * 12 + month)
    return [name for name in (f"{number // 12:04}-{number % 12 + 1:02}" for number in numbers) if name >= first]


def _chips(counts: Counter[str]) -> list[tuple[Sign, int]]:
    return [(SIGNS[outcome], counts[outcome]) for outcome in OUTCOMES if counts[outcome]]
