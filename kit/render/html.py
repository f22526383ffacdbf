"""The record as one HTML page for screen and paper: no script, no request, nothing taken from the notebook's own HTML.

A pure function of the notebook and the record's context. Only the JSON of the kit's displays, the prose and the code
of the notebook are rendered; what else it put out is shown as plain text.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import count
from typing import Any

from jinja2 import TemplateError
from markupsafe import Markup

from kit.errors import RenderError
from kit.present.displays import Display, cells, display_of, last, markup, outputs, read_displays, source
from kit.present.templating import compact, environment, stylesheet, template_text
from kit.present.text import cut, plain, visible
from kit.present.words import VERDICTS
from kit.record.signatures.places import BOXES, PAGES
from kit.render.answers import MOST_ROWS, Answer, Group, anchor, citations, groups, rows
from kit.render.context import EvidenceEntry, RecordContext
from kit.render.guard import brief, stamp, verdict, warnings
from kit.render.prose import Heading, Prose

_FOREIGN = 8_000
_DEFAULTS, _INJECTED = "parameters", "injected-parameters"
_PNG = re.compile(r"[A-Za-z0-9+/=\s]+")
_COLOUR_CODE = re.compile(r"\x1b\[[0-9;]*m")
# the margins of the sheet, in points: sheet.css has them in millimetres
_LEFT, _TOP = 18 * 72 / 25.4, 24 * 72 / 25.4
_LETTER_TOP = 11 * 72 / 25.4
"""The upper margin of the page of signatures, where it is Letter."""
_UNSAFE_REPAIR = "run the notebook again with this version of the kit, and don't edit its outputs"


def render_html(notebook: Mapping[str, Any], record: RecordContext) -> str:
    """Return the record as a self-contained HTML page, the same bytes for the same input.

    Raises:
        RenderError: the notebook, or a display in it, is malformed.
    """
    displays = read_displays(notebook)
    try:
        page = _Page(notebook, displays, record)
        css = compact(
            stylesheet() + template_text("kit.render", "page.css") + _running(page, record) + _boxes(record.page_size)
        )
        template = environment("kit.render", "kit.present").get_template("page.html")
        return template.render(page=page, record=record, **styled(css))
    except (TemplateError, TypeError, AttributeError, LookupError, ValueError) as error:
        raise RenderError(
            f"a display of the notebook can't be laid out: {plain(error)[:200]}", _UNSAFE_REPAIR
        ) from error


def styled(css: str) -> dict[str, str]:
    """Return a style sheet of ours and its hash, by which the page's policy lets it in, as the templates name them."""
    return {"css": Markup(css), "style_hash": b64encode(sha256(css.encode()).digest()).decode()}  # noqa: S704


class _Page:
    """Everything the page template prints, in the order it prints it."""

    def __init__(self, notebook: Mapping[str, Any], displays: list[Display], record: RecordContext) -> None:
        self.record = record
        self.run = last(displays, "run")
        self.conclusion = last(displays, "conclusion")
        self.collection = last(displays, "collection")
        self.qualification = last(displays, "qualification")
        self.steps = [display.data for display in displays if display.kind == "step"]
        self.protocol: Mapping[str, Any] = (self.run or {}).get("protocol") or {}
        self.title = str(self.protocol.get("title") or "Executed notebook")
        self.stamp = stamp(self.run)
        self.state = " · ".join(
            part for part in (self.stamp, "" if record.sealed else "UNSEALED: not a record") if part
        )
        self.warnings = warnings(notebook, displays, record) if record.executed else []
        self.brief = brief(displays, self.steps)
        self.brief_title = "Results in brief" if record.executed else "Test cases in brief"
        self.verdict = verdict(self.conclusion, self.brief, self.steps)
        self.links = _Links(displays, record.evidence)
        self.cited = citations(self.steps)
        self.contents: list[tuple[Heading, list[tuple[str, str, str]]]] = []
        self.blocks = Markup("").join(self._blocks(notebook))
        few = len(record.evidence) <= MOST_ROWS
        self.evidence: list[Answer] = rows(record.evidence) if few else []
        # after the blocks, which say what they link to
        self.groups: list[Group] = [] if few else groups(record.evidence, self.cited, self.links.evidence)
        # nobody has executed a protocol
        self.roles = [role for role in BOXES if record.executed or role != "executor"]

    @property
    def account(self) -> str:
        """The account of the caller, as collected; else the account that the parameters name."""
        caller = (self.collection or {}).get("caller") or {}
        target = (self.run or {}).get("target") or {}
        return str(caller.get("account") or (target.get("account_id") if isinstance(target, Mapping) else "") or "")

    @property
    def tally(self) -> str:
        """How many test cases came to each verdict, in words."""
        given = [row["verdict"] for row in self.brief]
        return ", ".join(f"{given.count(name)} {sign.word}" for name, sign in VERDICTS.items() if name in given)

    @property
    def files(self) -> list[tuple[str, int, str]]:
        """The files that the manifest lists, with bytes and SHA-256; bodies of responses are in the evidence index."""
        listed = (self.record.manifest or {}).get("files") or {}
        bodies = {f"evidence/{entry.path}" for entry in self.record.evidence}
        return [(name, file["bytes"], file["sha256"]) for name, file in sorted(listed.items()) if name not in bodies]

    def cited_by(self, entry_id: str) -> Sequence[str]:
        """Return the test cases that rest on an entry of the evidence."""
        return self.cited[entry_id].cases if entry_id in self.cited else ()

    def _blocks(self, notebook: Mapping[str, Any]) -> Iterable[Markup]:
        prose = Prose(self.title, [f"{step['test_case']} {step['title']}" for step in self.steps])
        anchors = self.links.anchors()
        seen = code_cells = 0
        # papermill adds a cell with what it was given; without one, the notebook's own values are those of the run
        given = any(_INJECTED in _tags(cell) for cell in cells(notebook))
        parameters = _INJECTED if given else _DEFAULTS
        for cell in cells(notebook):
            if cell.get("cell_type") == "markdown":
                yield Markup('<div class="tk-prose">{}</div>').format(prose.html(source(cell)))
            elif cell.get("cell_type") == "code" and source(cell).strip():
                code_cells += 1
                yield _code(cell, code_cells, parameters)
            self.contents += [(heading, []) for heading in prose.headings[seen:] if heading.level == 2]
            seen = len(prose.headings)
            for output in outputs(cell):
                yield self._output(output, anchors)

    def _output(self, output: Mapping[str, Any], anchors: Any) -> Markup:
        display = display_of(output)
        if display is None:
            return _foreign(output)
        place = next(anchors)
        if display.kind == "step" and self.contents:
            data = display.data
            self.contents[-1][1].append((place, str(data["test_case"]), str(data["title"])))
        return markup(display, self.links, place)


class _Links:
    """Where on the page a step, an entry of the evidence, a clause or a row of the traceability matrix is."""

    def __init__(self, displays: list[Display], evidence: tuple[EvidenceEntry, ...]) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self._anchors: list[str] = []
        self.evidence: set[str] = set()
        """The entries that were linked to so far."""
        number = count(1)
        for display in displays:
            place = f"{display.kind}-{next(number)}"
            if display.kind == "step":
                self._known.setdefault(("step", str(display.data["test_case"])), f"#{place}")
            self._anchors.append(place)
        for entry in evidence:
            self._known.setdefault(("evidence", entry.id), f"#{anchor(entry.id)}")
        rows: list[Any] = next(
            (display.data["rows"] for display in reversed(displays) if display.kind == "traceability"), []
        )
        # Only the last matrix carries ids: an id names one place.
        self._traced = sum(display.kind == "traceability" for display in displays) == 1
        for index, row in enumerate(rows if self._traced else []):
            self._known["trace", str(index)] = f"#trace-{index}"
            self._known.setdefault(("clause", f"{row['source']} {row['clause']}"), f"#trace-{index}")

    def __call__(self, kind: str, key: str) -> str:
        if kind == "evidence":
            self.evidence.add(key)
        return self._known.get((kind, key), "")

    def anchors(self) -> Any:
        """Return the ids of the displays, in their order."""
        return iter(self._anchors)


def _tags(cell: Mapping[str, Any]) -> Sequence[str]:
    return (cell.get("metadata") or {}).get("tags") or []


def _code(cell: Mapping[str, Any], number: int, parameters: str) -> Markup:
    """Return the code of a cell: folded and for the screen; what is tagged as the parameters, open and on paper too."""
    never = "" if cell.get("execution_count") is not None else ", never run"
    shown = cut(source(cell), "the notebook", _FOREIGN)
    if parameters in _tags(cell):
        return Markup('<p class="tk-label">{}</p><pre>{}</pre>\n').format("Parameters of this run" + never, shown)
    name = "Parameters as the notebook has them" if _DEFAULTS in _tags(cell) else f"Code of cell {number}"
    return Markup(
        '<!--screen--><details class="tk-code"><summary>{}</summary><pre>{}</pre></details><!--/screen-->\n'
    ).format(name + never, shown)


def _foreign(output: Mapping[str, Any]) -> Markup:
    """Return an output that is not the kit's: text as text, a PNG as a picture, HTML and script never."""
    kind = output.get("output_type")
    data = output.get("data")
    bundle: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    if kind == "error":
        trace = "\n".join(map(str, output.get("traceback") or [])) or f"{output.get('ename')}: {output.get('evalue')}"
        name, text = "Error", _COLOUR_CODE.sub("", trace)
    elif kind == "stream":
        name, text = f"Printed to {output.get('name')}", _joined(output.get("text"))
    else:
        picture = _png(_joined(bundle.get("image/png")))
        if picture:
            return Markup('<div class="tk-foreign"><p class="tk-label">Picture, not made by the kit</p>'
                          '<img src="{}" alt="Picture without a description"></div>').format(picture)  # fmt: skip
        name, text = "Output, not made by the kit", _joined(bundle.get("text/plain"))
    if not text.strip():
        return Markup("")
    return Markup('<div class="tk-foreign"><p class="tk-label">{}</p><pre>{}</pre></div>').format(
        visible(name), cut(text, "the notebook", _FOREIGN)
    )


def _png(base64: str) -> str:
    if not base64 or not _PNG.fullmatch(base64):
        return ""
    try:
        content = b64decode(base64)
    except (NoBase64, ValueError):
        return ""
    return "data:image/png;base64," + b64encode(content).decode() if content.startswith(b"\x89PNG\r\n\x1a\n") else ""


def _joined(text: Any) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else "" if text is None else str(text)


def _boxes(page_size: str) -> str:
    """Return where on the last page of the PDF each role signs: frames of the numbers that the signing goes by."""
    rules, from_top = [], _TOP
    if page_size == "Letter":
        rules, from_top = [template_text("kit.render", "letter.css")], _LETTER_TOP
    for role, (left, bottom, right, top) in BOXES.items():
        place = f"left: {left - _LEFT:.2f}pt; top: {PAGES[page_size][1] - top - from_top:.2f}pt"
        rules.append(f".tk-page .tk-sign-{role} {{ {place}; width: {right - left}pt; height: {top - bottom}pt; }}")
    return "\n".join(rules)


def _running(page: _Page, record: RecordContext) -> str:
    name = record.record_id or (page.run or {}).get("run_id") or page.title
    what = "Record" if record.executed else "Protocol"
    digest = f"{what} digest {record.record_digest[:80]}" if record.sealed else "Unsealed: no record digest"
    return running(str(name), page.state, digest, record.page_size)


def running(name: str, state: str, digest: str, page_size: str) -> str:
    """Return the page rules: what stands in the margin of every sheet."""
    # short enough that it can't reach the stamp beside it
    words = {"NAME": short(name, 34), "STATE": state, "DIGEST": digest}
    css = template_text("kit.render", "sheet.css").replace("SIZE", page_size)
    return re.sub(r'"(NAME|STATE|DIGEST)"', lambda match: css_text(words[match[1]]), css)


def short(text: object, limit: int) -> str:
    """Return text of at most `limit` characters, cut at its end."""
    shown = plain(text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def css_text(text: str) -> str:
    """Return text as a CSS string that can end neither the string nor the style sheet."""
    return '"' + re.sub(r"[^\w .,:;()+=@/-]", lambda match: f"\\{ord(match[0]):06x}", plain(text)) + '"'
