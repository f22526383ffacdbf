"""Renders the files of a record that is being sealed: the HTML page always, the PDF where its libraries are there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kit.errors import KitError, MissingLibraryError
from kit.record.executed import Executed
from kit.record.manifest import APPROVAL, EVIDENCE, FINDINGS, HTML, JUNIT, MANIFEST, NOTEBOOK, PDF, read_manifest
from kit.render.context import Attachment, RecordContext, attach_evidence, evidence_entries
from kit.render.html import render_html
from kit.render.pdf import render_pdf


def render_record(folder: Path, executed: Executed, digest: str, *, pdf: bool = True) -> list[KitError]:
    """Write `record.html` and `record.pdf` into a folder that holds what the manifest lists.

    The PDF carries the whole record: notebook, findings, JUnit, manifest and evidence are attached. Returns why there
    is no PDF, where its libraries are missing; the HTML record is made all the same. Without `pdf` none is made.

    Raises:
        RenderError: the HTML can't be made, or the PDF for another reason than its libraries.
    """
    record = RecordContext(
        record_id=executed.run_id,
        record_digest=digest,
        sealed=True,
        evidence=evidence_entries(folder / EVIDENCE),
        created=str(executed.conclusion["finished"]),
        page_size=executed.run["page_size"],
        manifest=read_manifest(folder),
    )
    return _render(folder, executed.notebook, record, pdf=pdf)


def render_protocol(folder: Path, notebook: Mapping[str, Any], digest: str) -> list[KitError]:
    """Write `record.html` and `record.pdf` of a protocol that is to be approved, as `render_record` does.

    Raises:
        RenderError: the HTML can't be made, or the PDF for another reason than its libraries.
    """
    manifest = read_manifest(folder)
    record = RecordContext(
        record_id=manifest["record_id"],
        record_digest=digest,
        sealed=True,
        created=manifest["issued"],
        page_size=manifest["page_size"],
        manifest=manifest,
        executed=False,
    )
    return _render(folder, notebook, record)


def _render(folder: Path, notebook: Mapping[str, Any], record: RecordContext, *, pdf: bool = True) -> list[KitError]:
    page = render_html(notebook, record)
    (folder / HTML).write_text(page, encoding="utf-8")
    if not pdf:
        return []
    try:
        content = render_pdf(page, record, [*_attached(folder), *attach_evidence(folder / EVIDENCE, record.evidence)])
    except MissingLibraryError as error:
        return [error]
    (folder / PDF).write_bytes(content)
    return []


def _attached(folder: Path) -> list[Attachment]:
    known = [
        Attachment(MANIFEST, folder / MANIFEST, "Manifest of the record", "application/json", "Supplement"),
        Attachment(NOTEBOOK, folder / NOTEBOOK, "Notebook", "application/x-ipynb+json", "Source"),
        Attachment(FINDINGS, folder / FINDINGS, "Findings", "application/json"),
        Attachment(JUNIT, folder / JUNIT, "Findings as JUnit XML", "application/xml"),
        Attachment(APPROVAL, folder / APPROVAL, "Approved protocol", "application/pdf"),
    ]
    return [attachment for attachment in known if (folder / attachment.name).exists()]
