"""Renders a sealed record again: a missing PDF is added, and what is there has to come out the same."""

import os
from collections.abc import Iterator
from pathlib import Path

from kit.canonical import sha256_file
from kit.errors import KitError, RecordError
from kit.record.executed import read_executed
from kit.record.folders import exchange, held, restore, sync, temporary_folder
from kit.record.manifest import (
    HTML,
    MANIFEST,
    NOTEBOOK,
    PDF,
    RECORD,
    SUMS,
    files_in,
    read_manifest,
    rendered_in,
    sums_text,
)
from kit.record.register import register_beside
from kit.record.seal import Render
from kit.record.verification.verify import Asked, hold_record


def rerender(record: Path, render: Render) -> list[str]:
    """Render a record from what is sealed in it; add the PDF where it is missing; return what was found, in sentences.

    The record is whole or absent at any instant; it is absent for a moment where a PDF is added. Registered either way.

    Raises:
        RejectionError: the record is not whole.
        RecordError: the record was rendered otherwise, by another version say, or it can't be written.
        RenderError: it can't be rendered.
    """
    with register_beside(record) as register:
        if register:
            # an earlier one may have been interrupted while the record was put aside
            restore(record.parent)
    try:
        with held(record), temporary_folder(record.parent / f".sealing-{record.name}-again") as temporary:
            hold_record(record, Asked(unregistered=True))
            if read_manifest(record)["kind"] != RECORD:
                raise RecordError(
                    f"{record.name} is a protocol for approval", "issue it again with `trailkit protocol`"
                )
            executed, digest = read_executed(record / NOTEBOOK), sha256_file(record / MANIFEST)
            for name in files_in(record):
                if name not in (HTML, PDF, SUMS):
                    (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                    os.link(record / name, temporary / name)
            problems = render(temporary, executed, digest)
            found = list(_compared(record, temporary, problems))
            if (temporary / PDF).exists() and not (record / PDF).exists():
                (temporary / SUMS).write_text(sums_text(temporary), encoding="utf-8")
                sync(temporary)
                with register_beside(record):
                    exchange(record, temporary)
    except OSError as error:
        raise RecordError(
            f"{record} can't be written: {error.strerror or error}", "free space, and try again"
        ) from error
    with register_beside(record) as register:
        if register:
            register.append("re-rendered", record.name, {"digest": digest, "files": rendered_in(record)})
    return found


def _compared(record: Path, again: Path, problems: list[KitError]) -> Iterator[str]:
    for name in (HTML, PDF):
        if not (again / name).exists():
            yield f"{name} can't be made here: {problems[0].message if problems else 'it was not rendered'}."
        elif not (record / name).exists():
            yield f"{name} was missing, and was added."
        elif sha256_file(record / name) == sha256_file(again / name):
            yield f"{name} comes out the same."
        else:
            raise RecordError(
                f"{name} comes out otherwise than it was sealed",
                "use the kit version and the libraries that sealed it: the manifest lists them under executed_with",
            )
