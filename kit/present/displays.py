"""What a notebook shows: one output a display, its JSON the truth, its HTML a view of it for JupyterLab.

A record is rendered from the JSON alone; the HTML in a notebook is never read back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError
from markupsafe import Markup

from kit.errors import RenderError
from kit.findings import Verdict
from kit.present.templating import Link, environment, lab_stylesheet, no_link
from kit.present.text import plain

MIME = "application/vnd.trailkit+json"

# The members without which a display would mislead; everything else may be absent and is then shown as not stated.
REQUIRED: dict[str, tuple[str, ...]] = {
    "run": ("run_id", "protocol", "demonstration"),
    "collection": ("finished", "calls", "denied", "failed"),
    "qualification": ("record", "unchanged", "sentence", "changes"),
    "runs": ("rows",),
    "own_checks": ("checks",),
    "plan": ("sha256", "account", "steps", "left", "verdicts"),
    "changes": ("plan", "approved", "change_control", "steps", "remaining"),
    "step": ("test_case", "title", "verdict", "findings"),
    "summary": ("rows", "verdict"),
    "traceability": ("rows",),
    "deviations": ("rows",),
    "chart": ("title", "alt", "svg", "table"),
    "conclusion": ("run_id", "verdict", "findings_sha256", "evidence_sha256", "finished"),
    "signatures": ("roles",),
    "error": ("message", "remedy"),
}
_FINDING = ("test_case", "verdict", "resource", "message", "expected", "actual", "met")
_ROWS = {
    "own_checks": ("name", "version", "sha256", "test_cases"),
    "plan": ("id", "title", "command", "diff", "risk", "undo", "may_stop_delivery"),
    "changes": ("step", "title", "outcome"),
    "qualification": ("test_case", "resource", "condition", "then", "now"),
    "runs": ("record_id", "protocol", "began", "state", "outcome", "digest", "holds"),
    "summary": ("test_case", "title", "verdict"),
    "traceability": ("source", "clause", "test_case", "verdict"),
    "deviations": ("id", "test_case", "verdict", "message"),
}
_ROWS_IN = {"qualification": "changes", "own_checks": "checks", "plan": "steps", "changes": "steps"}
"""Where a display has its rows, if not under that name."""


@dataclass(frozen=True, repr=False)
class Display:
    """One display of a notebook: its kind and its JSON data, as saved under `application/vnd.trailkit+json`.

    >>> Display("error", {"message": "no usable AWS credentials", "remedy": "sign in"})
    <error no usable AWS credentials>
    >>> Display("error", {"message": "no usable AWS credentials"})
    Traceback (most recent call last):
    kit.errors.RenderError: a display of kind 'error' can't be shown: it lacks remedy...
    """

    kind: str
    data: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Refuse a display that could not be shown without misleading.

        Raises:
            RenderError: the kind is unknown, a member is missing, or a verdict is none of ours.
        """
        problem = _problem(self.kind, self.data)
        if problem:
            raise _unfit(self.kind, problem)

    def __repr__(self) -> str:
        return f"<{text(self).replace(' · ', ' ')}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """Return the output that Jupyter saves, always whole."""
        return {
            MIME: {"kind": self.kind, "data": dict(self.data)},
            "text/html": html(self),
            "text/plain": text(self),
        }


def html(display: Display) -> str:
    """Return a display as HTML that stands alone in JupyterLab, with the kit's stylesheet, in light and dark.

    Raises:
        RenderError: its data have a shape that can't be laid out.
    """
    return f'<style>{lab_stylesheet()}</style><div class="trailkit tk-lab">{markup(display, no_link, "")}</div>'


def markup(display: Display, link: Link, anchor: str) -> Markup:
    """Return a display as HTML for a page that has the stylesheet; `anchor` is its id on that page.

    Raises:
        RenderError: its data have a shape that can't be laid out.
    """
    template = environment("kit.present").get_template("display.html")
    try:
        return Markup(template.render(display=display, link=link, anchor=anchor))  # noqa: S704 - the template escapes
    except (TemplateError, TypeError, AttributeError, LookupError, ValueError) as error:
        raise _unfit(display.kind, plain(error)[:200]) from error


def text(display: Display) -> str:
    """Return a display in one to three lines of plain text."""
    data = display.data
    name = next(
        (data[key] for key in ("test_case", "title", "run_id", "message") if isinstance(data.get(key), str)), ""
    )
    parts = [display.kind, str(name), str(data.get("verdict", ""))]
    return plain(" · ".join(part for part in parts if part))[:500]


def read_displays(notebook: Mapping[str, Any]) -> list[Display]:
    """Return the displays of an executed notebook, in the order of its cells.

    Raises:
        RenderError: the notebook or a display in it is malformed.
    """
    return [found for cell in cells(notebook) for output in outputs(cell) if (found := display_of(output))]


def display_of(output: Mapping[str, Any]) -> Display | None:
    """Return the display an output holds, or None for an output that is not the kit's.

    Raises:
        RenderError: it says it is the kit's, and is malformed.
    """
    bundle = output.get("data")
    if not isinstance(bundle, Mapping) or MIME not in bundle:
        return None
    payload = bundle[MIME]
    if not isinstance(payload, Mapping) or not isinstance(payload.get("kind"), str):
        raise RenderError(
            "a display of the notebook names no kind", "run the notebook again, and don't edit its outputs"
        )
    data = payload.get("data")
    return Display(payload["kind"], data if isinstance(data, Mapping) else {})


def last(displays: list[Display], kind: str) -> Mapping[str, Any] | None:
    """Return the data of the last display of a kind: a step run again counts as it ended."""
    return next((display.data for display in reversed(displays) if display.kind == kind), None)


def cells(notebook: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the cells of a notebook.

    Raises:
        RenderError: this is no notebook of format 4.
    """
    found = notebook.get("cells")
    if not isinstance(found, list) or not all(isinstance(cell, Mapping) for cell in found):
        raise RenderError("this is no notebook of format 4: it has no list of cells", "render the executed notebook")
    return found


def outputs(cell: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the outputs of a cell; a cell of prose has none."""
    found = cell.get("outputs") or []
    yield from (output for output in found if isinstance(output, Mapping))


def source(cell: Mapping[str, Any]) -> str:
    """Return the source of a cell, joined where it was saved as a list of lines."""
    found = cell.get("source") or ""
    return "".join(map(str, found)) if isinstance(found, list) else str(found)


def _unfit(kind: str, problem: str) -> RenderError:
    return RenderError(
        f"a display of kind {plain(kind)[:40]!r} can't be shown: {problem}",
        "run the notebook again with one version of the kit, and don't edit its outputs",
    )


def _problem(kind: str, data: Any) -> str:
    if kind not in REQUIRED:
        return "its kind is unknown"
    if not isinstance(data, Mapping):
        return "it holds no data"
    problem = _lacks(data, REQUIRED[kind]) or _verdict(data)
    if not problem and kind == "step":
        problem = _problem_in(data["findings"], "finding", _FINDING)
    if not problem and kind in _ROWS:
        problem = _problem_in(data[_ROWS_IN.get(kind, "rows")], "row", _ROWS[kind])
    return problem


def _problem_in(rows: Any, noun: str, names: tuple[str, ...]) -> str:
    if not isinstance(rows, list | tuple):
        return f"its {noun}s are no list"
    for number, row in enumerate(rows, start=1):
        problem = (_lacks(row, names) or _verdict(row)) if isinstance(row, Mapping) else "is no object"
        if not problem and noun == "finding":
            problem = _conditions(row)
        if problem:
            return f"{noun} {number}: {problem}"
    return ""


def _lacks(data: Mapping[str, Any], names: tuple[str, ...]) -> str:
    missing = [name for name in names if name not in data]
    return f"it lacks {', '.join(missing)}" if missing else ""


def _verdict(data: Mapping[str, Any]) -> str:
    if "verdict" not in data or data["verdict"] in set(Verdict):
        return ""
    return f"{plain(data['verdict'])[:40]!r} is no verdict"


def _conditions(finding: Mapping[str, Any]) -> str:
    met, expected, actual = finding["met"], finding["expected"], finding["actual"]
    if not all(isinstance(part, Mapping) for part in (met, expected, actual)):
        return "its conditions are no objects"
    if not all(judged is None or isinstance(judged, bool) for judged in met.values()):
        return "a condition is neither met, nor unmet, nor open"
    return "" if set(met) == set(expected) == set(actual) else "its conditions lack an expected or an actual value"
