"""A record that stands, attacked by somebody who has a text editor, Python and our own source."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pikepdf
import pytest
from fixtures.identities import APPROVER, EXECUTOR, REVIEWER, Identity, issue, odd, person, root
from fixtures.runs import display, edited, plain_render, redo_sums
from fixtures.signed import DEVIATION, Outputs, key_of, make_outputs, signed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils.generic import ArrayObject, DictionaryObject, NameObject, NumberObject, StreamObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from kit.canonical import Json, canonical, sha256, sha256_file
from kit.catalogue import protocol
from kit.errors import KitError, RejectionError
from kit.evidence import index_sha256
from kit.findings import Finding
from kit.record import results
from kit.record.audit import audit
from kit.record.manifest import (
    APPROVAL,
    FINDINGS,
    HTML,
    MANIFEST,
    PDF,
    SIGNED,
    SUMS,
    file_table,
    files_in,
    is_added_later,
    read_manifest,
)
from kit.record.register import REGISTER
from kit.record.seal import seal
from kit.record.signatures.pades import append_signature
from kit.record.signatures.statement import Role, Statement
from kit.record.signatures.validate import read_signatures
from kit.record.verify import Asked, verify

BODY = "evidence/E0001-sts-GetCallerIdentity.xml"
ROTATION = "GetKeyRotationStatus"
ADDENDUM = f"addenda/01-{DEVIATION}"
SIZES = {"executor": 0, "reviewer": 1, "approver": 2}

Attack = Callable[[Outputs], Any]


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """An outputs folder whose records stand, to be left as it is."""
    return make_outputs(tmp_path_factory.mktemp("standing"))


@pytest.fixture
def outputs(standing: Outputs, tmp_path: Path) -> Outputs:
    """A copy of it, to be spoilt."""
    return standing.copied(tmp_path)


def rejected(record: Path, **asked: Any) -> str:
    """Verify what has to be rejected, and return why it was."""
    with pytest.raises(RejectionError) as error:
        list(verify(record, Asked(**asked)))
    assert error.value.exit_code == 1
    assert error.value.remedy
    assert "\n" not in error.value.message
    return error.value.message


def held(record: Path, **asked: Any) -> dict[int, bool]:
    """Verify what holds, and return which steps had something to hold."""
    return {step.number: step.held for step in verify(record, Asked(**asked))}


# What an insider does


def flip(path: Path, place: int | None = None, bit: int = 0) -> None:
    """Flip one bit, in the middle where no place is named."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if place is None else place] ^= 1 << bit
    path.write_bytes(content)


def alone(outputs: Outputs, record: Path) -> Path:
    """Return a copy of a record in a folder without a register, unsigned."""
    folder = Path(shutil.copytree(record, outputs.folder.parent / "alone" / record.name))
    (folder / SIGNED).unlink(missing_ok=True)
    shutil.rmtree(folder / "addenda", ignore_errors=True)
    return folder


def redone(folder: Path, **members: Json) -> Path:
    """Put every hash of a record right again, and name its new digest in the page; the PDF goes, as it may."""
    names = [name for name in files_in(folder) if name not in (MANIFEST, HTML, PDF, SUMS) and not is_added_later(name)]
    findings = json.loads((folder / FINDINGS).read_bytes())
    told = {"verdict": findings["verdict"], "findings_sha256": sha256(canonical(findings["findings"]))}
    return renamed_digest(
        folder, {**read_manifest(folder), "files": file_table(folder, names), **told, **members}
    )


def renamed_digest(folder: Path, manifest: Json) -> Path:
    """Write another manifest, name its digest in the page in place of the old one, and redo the sums."""
    before = sha256_file(folder / MANIFEST)
    (folder / MANIFEST).write_bytes(canonical(manifest))
    page = (folder / HTML).read_text(encoding="utf-8")
    (folder / HTML).write_text(page.replace(before, sha256_file(folder / MANIFEST)), encoding="utf-8")
    (folder / PDF).unlink(missing_ok=True)
    redo_sums(folder)
    return folder


def judged_pass(findings: Sequence[Json]) -> list[Json]:
    """Return findings as they would be, had all that did not pass been as expected."""
    told = []
    for finding in findings:
        met = dict.fromkeys(finding["met"], True)
        passed = {"verdict": "PASS", "actual": finding["expected"], "met": met, "message": "It is as expected."}
        told.append(finding if finding["verdict"] in ("PASS", "NOT_APPLICABLE") else finding | passed)
    return told


def concluded_anew(notebook: Json, change: Callable[[Sequence[Json]], list[Json]]) -> None:
    """Change the findings that a notebook shows, and all that it derives from them."""
    conclusion = display(notebook, "conclusion")
    of, run = protocol("IQ"), display(notebook, "run")
    steps: dict[str, Any] = {}
    for case in of.test_cases.values():
        shown = display(notebook, "step", case.id)
        findings = [Finding.from_json(finding) for finding in change(shown["findings"])]
        shown |= results.step_data(case, findings, shown["started"], shown["finished"])
        steps[case.id] = shown
    taken = results.all_steps(of, steps)
    findings = results.findings_of(taken)
    conclusion |= {
        "findings": findings, "findings_sha256": sha256(canonical(findings)), "counts": results.counts(taken),
        "verdict": results.verdict_of(taken).value,
    }  # fmt: skip
    for kind, derived in (
        ("summary", results.summary(taken)),
        ("traceability", results.traceability(taken, run["requirements"])),
        ("deviations", results.deviations(findings)),
    ):
        shown = display(notebook, kind)
        shown.clear()
        shown |= derived


def sealed_anew(outputs: Outputs, edit: Callable[[Json, Path], Any], render: Any = plain_render) -> Path:
    """Seal the run that failed once more with our own source, edited before; it has a register of its own beside it.

    `edit` is given the notebook and the folder of the evidence.
    """
    forged = outputs.folder.parent / "forged"
    evidence = forged / ".runs" / outputs.failed_id / "evidence"
    shutil.copytree(outputs.failed / "evidence", evidence)
    shutil.copyfile(outputs.failed / "record.ipynb", forged / "x.ipynb")
    lines = outputs.register.read_bytes().splitlines(keepends=True)
    (concluded,) = [at for at, line in enumerate(lines) if b'"concluded"' in line and outputs.failed_id.encode() in line]
    (forged / REGISTER).write_bytes(b"".join(lines[: concluded + 1]))
    with edited(forged / "x.ipynb") as notebook:
        edit(notebook, evidence)
    return seal(forged / "x.ipynb", forged, render).folder


def rewritten(path: Path, edit: Callable[[list[Json]], Any]) -> None:
    """Edit the entries of a register, and redo its chain."""
    entries = [json.loads(line) for line in path.read_bytes().splitlines()]
    edit(entries)
    before, lines = "0" * 64, []
    for number, entry in enumerate(entries, start=1):
        lines.append(canonical(entry | {"number": number, "previous": before}))
        before = sha256(lines[-1])
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def cut(path: Path, first: int, last: int | None = None) -> None:
    """Cut lines out of a register, by their numbers, the last one too."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: first - 1] + lines[last or len(lines) :]))


def number_of(outputs: Outputs, event: str, record: Path) -> int:
    """Return the number of the entry of an event."""
    entries = [json.loads(line) for line in outputs.register.read_bytes().splitlines()]
    return next(entry["number"] for entry in entries if (entry["event"], entry["record"]) == (event, record.name))


@contextmanager
def revised(path: Path) -> Iterator[IncrementalPdfFileWriter]:
    """Append a revision to a PDF: what the block changes of it."""
    with path.open("r+b") as stream:
        writer = IncrementalPdfFileWriter(stream)
        yield writer
        writer.write_in_place()


def signed_as(record: Path, role: Role, who: Identity, source: Path | None = None, **more: Any) -> None:
    """Append a signature that no rule was asked about, and that the register does not hold."""
    manifest = read_manifest(record)
    key = key_of(who)
    statement = Statement(
        role=role, name=key.name, subject=key.subject, meaning=f"I am the {role}.", time="2026-11-24T09:30:00.000Z",
        record_id=manifest["record_id"], record_digest=sha256_file(record / MANIFEST),
        verdict=manifest.get("verdict", ""), executed_by=manifest.get("executed_by", ""),
        caller=(manifest.get("caller") or {}).get("arn", ""), signer_caller="", deviations=(), reason="",
        register_number=0, register_head="",
    )  # fmt: skip
    before = source or (record / SIGNED if (record / SIGNED).exists() else record / PDF)
    made = record.parent / "made.pdf"
    append_signature(before, made, replace(statement, **more), key)
    made.rename(record / SIGNED)


def revision_ends(path: Path) -> list[int]:
    """Return where each revision with a signature ends."""
    return [one.covers for one in _covers(path)]


def _covers(path: Path) -> list[Any]:
    return list(read_signatures(path))
