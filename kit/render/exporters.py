"""The exporters that `jupyter nbconvert --to trailkit-html` and `--to trailkit-pdf` find."""

from collections.abc import Mapping
from typing import Any

from nbconvert.exporters.exporter import Exporter
from nbformat import NotebookNode

from kit.present.displays import read_displays
from kit.render.context import Attachment, EvidenceEntry, RecordContext
from kit.render.html import render_html
from kit.render.pdf import render_pdf

_EPOCH = "1980-01-01T00:00:00Z"


class HTMLRecordExporter(Exporter):
    """A self-contained HTML page; of an unsealed notebook, one that says so."""

    export_from_notebook = "Trailkit record (HTML)"
    output_mimetype = "text/html"

    def _file_extension_default(self) -> str:
        return ".html"

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> tuple[Any, dict[str, Any]]:
        """Return the page and the resources. `resources["trailkit"]` says which record it is."""
        node, made = super().from_notebook_node(nb, resources, **kw)
        return render_html(node, record_context(node, made)), made


class PDFRecordExporter(HTMLRecordExporter):
    """A PDF/A-3a with the attachments that `resources["trailkit"]["attachments"]` lists."""

    export_from_notebook = "Trailkit record (PDF/A)"
    output_mimetype = "application/pdf"

    def _file_extension_default(self) -> str:
        return ".pdf"

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kw: Any) -> tuple[Any, dict[str, Any]]:
        """Return the PDF's bytes and the resources."""
        html, made = super().from_notebook_node(nb, resources, **kw)
        attachments = [
            Attachment(name, content, description, mime)
            for name, content, description, mime in (made.get("trailkit") or {}).get("attachments") or []
        ]
        return render_pdf(html, record_context(nb, made), attachments), made


def record_context(notebook: Mapping[str, Any], resources: Mapping[str, Any]) -> RecordContext:
    """Return which record is exported; without `resources["trailkit"]`, an unsealed notebook."""
    given = resources.get("trailkit") or {}
    digest = str(given.get("record_digest") or "")
    return RecordContext(
        record_id=str(given.get("record_id") or ""),
        record_digest=digest,
        sealed=bool(digest),
        evidence=tuple(EvidenceEntry.from_json(entry) for entry in given.get("evidence") or []),
        created=str(given.get("created") or _finished(notebook)),
        page_size=given.get("page_size") or "A4",
    )


def _finished(notebook: Mapping[str, Any]) -> str:
    """Return when the run finished: the date of an unsealed PDF, since the clock's would make every PDF another."""
    ends = [str(display.data["finished"]) for display in read_displays(notebook) if display.kind == "conclusion"]
    return ends[-1] if ends else _EPOCH
