"""A record that stands, attacked by somebody who has a text editor, Python and our own source."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pikepdf
import pytest
from fixtures.identities import APPROVER, EXECUTOR, REVIEWER, Identity, issue, odd, person, root
from fixtures.pdfs import key_of
from fixtures.runs import display, edited, plain_render, redo_sums
from fixtures.signed import DEVIATION, Outputs, make_outputs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils.generic import ArrayObject, DictionaryObject, NameObject, NumberObject, StreamObject
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from kit.canonical import Json, canonical, sha256, sha256_file
from kit.catalogue import protocol
from kit.errors import RejectionError
from kit.evidence import index_sha256
from kit.findings import Finding
from kit.record import results
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
from kit.record.verification.audit import audit
from kit.record.verification.verify import Asked, verify
from kit.render.context import Attachment, RecordContext
from kit.render.pdf import render_pdf

BODY = "evidence/E0001-sts-GetCallerIdentity.xml"
ROTATION = "GetKeyRotationStatus"
NO_EXECUTOR = "register.jsonl holds a signature of the executor, and record.signed.pdf does not"
ADDENDUM = f"addenda/01-{DEVIATION}"

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
    return renamed_digest(folder, {**read_manifest(folder), "files": file_table(folder, names), **told, **members})


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
        ("deviations", results.deviations(findings, taken)),
    ):
        shown = display(notebook, kind)
        shown.clear()
        shown |= derived


def sealed_anew(outputs: Outputs, edit: Callable[[Json, Path], Any], *, concluded_anew: bool = False) -> Path:
    """Seal the run that failed once more with our own source, edited before; it has a register of its own beside it.

    `edit` is given the notebook and the folder of the evidence. The register is that of the outputs up to there, but
    for what the run concluded on, where that is to be anew.
    """
    forged = outputs.folder.parent / "forged"
    evidence = forged / ".runs" / outputs.failed_id / "evidence"
    shutil.copytree(outputs.failed / "evidence", evidence)
    shutil.copyfile(outputs.failed / "record.ipynb", forged / "x.ipynb")
    lines = outputs.register.read_bytes().splitlines(keepends=True)
    (concluded,) = [
        at for at, line in enumerate(lines) if b'"concluded"' in line and outputs.failed_id.encode() in line
    ]
    (forged / REGISTER).write_bytes(b"".join(lines[: concluded + 1]))
    with edited(forged / "x.ipynb") as notebook:
        edit(notebook, evidence)
        conclusion = dict(display(notebook, "conclusion"))
    if concluded_anew:
        told = {name: conclusion[name] for name in ("verdict", "findings_sha256", "evidence_sha256")}
        rewritten(forged / REGISTER, lambda entries: entries[-1]["data"].update(told))
    # our own source, but for the line that would refuse
    with patch("kit.record.seal._hold_registered"):
        return seal(forged / "x.ipynb", forged, plain_render).folder


def rewritten(path: Path, edit: Callable[[list[Json]], Any]) -> None:
    """Edit the entries of a register, and redo its chain."""
    entries = [json.loads(line) for line in path.read_bytes().splitlines()]
    edit(entries)
    before, lines = "0" * 64, []
    for number, entry in enumerate(entries, start=1):
        placed = {"number": number, "previous": before}
        lines.append(canonical(entry | placed if isinstance(entry, dict) else entry))
        before = sha256(lines[-1])
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def cut(path: Path, first: int, last: int | None = None) -> None:
    """Cut lines out of a register, by their numbers, the last one too."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: first - 1] + lines[last or len(lines) :]))


@contextmanager
def revised(path: Path) -> Iterator[IncrementalPdfFileWriter]:
    """Append a revision to a PDF: what the block changes of it."""
    with path.open("r+b") as stream:
        writer = IncrementalPdfFileWriter(stream)
        yield writer
        writer.write_in_place()


def signed_as(record: Path, role: Role, who: Identity, source: Path | None = None, /, **more: Any) -> None:
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


def ends(path: Path) -> list[int]:
    """Return where each signature of a PDF ends, in bytes."""
    return [one.covers for one in read_signatures(path)]


def truncated(path: Path, size: int) -> None:
    with path.open("r+b") as stream:
        stream.truncate(size)


# Files of a record that is signed


def set_in_json(path: Path, change: Callable[[Any], Any]) -> None:
    told = json.loads(path.read_bytes())
    change(told)
    path.write_bytes(canonical(told))


FLIPPED = {
    MANIFEST: (0, "manifest.json is no JSON: "),
    HTML: (None, "record.html was changed: its SHA-256 is not that of SHA256SUMS"),
    PDF: (None, "record.pdf was changed: its SHA-256 is not that of SHA256SUMS"),
    SUMS: (64, "line 1 of SHA256SUMS is malformed, or names a file twice"),
    "record.ipynb": (None, "record.ipynb was changed: its SHA-256 is not that of the manifest"),
    FINDINGS: (None, "findings.json was changed: its SHA-256 is not that of the manifest"),
    "junit.xml": (None, "junit.xml was changed: its SHA-256 is not that of the manifest"),
    APPROVAL: (None, "approval.pdf was changed: its SHA-256 is not that of the manifest"),
    "evidence/index.jsonl": (None, "evidence/index.jsonl was changed: its SHA-256 is not that of the manifest"),
    BODY: (None, f"{BODY} was changed: its SHA-256 is not that of the manifest"),
    SIGNED: (200, "record.signed.pdf"),
}


@pytest.mark.parametrize(("name", "place", "message"), [(name, *told) for name, told in FLIPPED.items()], ids=FLIPPED)
def test_a_changed_file_is_named(name: str, place: int | None, message: str, outputs: Outputs) -> None:
    flip(outputs.record / name, place)
    assert rejected(outputs.record).startswith(message)


REMOVED = {
    MANIFEST: "manifest.json can't be read: No such file",
    SUMS: "SHA256SUMS is missing",
    HTML: "record.html is missing",
    PDF: "SHA256SUMS lists record.pdf, which is no file of this record",
    SIGNED: NO_EXECUTOR,
    **{
        name: f"{name} is missing"
        for name in ("record.ipynb", FINDINGS, "junit.xml", APPROVAL, "evidence/index.jsonl", BODY)
    },
}


@pytest.mark.parametrize(("name", "message"), REMOVED.items(), ids=REMOVED)
def test_a_removed_file_is_named(name: str, message: str, outputs: Outputs) -> None:
    (outputs.record / name).unlink()
    assert rejected(outputs.record).startswith(message)


def test_the_signed_pdf_alone_is_not_the_record(outputs: Outputs) -> None:
    (outputs.record / PDF).unlink()
    redo_sums(outputs.record)
    assert rejected(outputs.record).startswith("record.pdf is missing")


def added(outputs: Outputs) -> None:
    (outputs.record / "evidence" / "E0099.json").write_bytes(b"{}")
    redo_sums(outputs.record)


def added_beside(outputs: Outputs) -> None:
    (outputs.record / "record.html.pdf").write_bytes(b"")


def hidden(outputs: Outputs) -> None:
    (outputs.record / ".hidden").write_bytes(b"")
    redo_sums(outputs.record)


def renamed(outputs: Outputs) -> None:
    (outputs.record / BODY).rename(outputs.record / "evidence" / "E0001.xml")
    redo_sums(outputs.record)


def renamed_in_case(outputs: Outputs) -> None:
    (outputs.record / FINDINGS).rename(outputs.record / "Findings.json")


def swapped(outputs: Outputs) -> None:
    (outputs.record / BODY).rename(outputs.record / "x")
    shutil.copyfile(outputs.record / "junit.xml", outputs.record / BODY)
    (outputs.record / "x").rename(outputs.record / "junit.xml")
    redo_sums(outputs.record)


def linked(outputs: Outputs) -> None:
    (outputs.record / FINDINGS).rename(outputs.folder.parent / FINDINGS)
    (outputs.record / FINDINGS).symlink_to(outputs.folder.parent / FINDINGS)


def folder_linked(outputs: Outputs) -> None:
    (outputs.record / "evidence").rename(outputs.folder.parent / "evidence")
    (outputs.record / "evidence").symlink_to(outputs.folder.parent / "evidence")


def signed_linked(outputs: Outputs) -> None:
    (outputs.record / SIGNED).rename(outputs.folder.parent / SIGNED)
    (outputs.record / SIGNED).symlink_to(outputs.folder.parent / SIGNED)


def addenda_linked(outputs: Outputs) -> None:
    (outputs.record / "addenda").symlink_to(outputs.failed / "addenda")


def a_pipe(outputs: Outputs) -> None:
    (outputs.record / SIGNED).unlink()
    os.mkfifo(outputs.record / SIGNED)


def listed_outside(outputs: Outputs) -> None:
    shutil.copyfile(outputs.record / BODY, outputs.folder / "outside.xml")
    files = read_manifest(outputs.record)["files"]
    renamed_digest(outputs.record, {**read_manifest(outputs.record), "files": files | {"../outside.xml": files[BODY]}})


def listed_absolute(outputs: Outputs) -> None:
    files = read_manifest(outputs.record)["files"]
    renamed_digest(outputs.record, {**read_manifest(outputs.record), "files": files | {"/etc/passwd": files[BODY]}})


def summed_outside(outputs: Outputs) -> None:
    with (outputs.record / SUMS).open("a") as stream:
        stream.write(f"{'0' * 64}  ../register.jsonl\n")


def page_of_another(outputs: Outputs) -> None:
    shutil.copyfile(outputs.failed / HTML, outputs.record / HTML)
    redo_sums(outputs.record)


def pdf_of_another(outputs: Outputs) -> None:
    shutil.copyfile(outputs.failed / PDF, outputs.record / PDF)
    redo_sums(outputs.record)


def printed_anew(record: Path, text: str, change: Callable[[dict[str, bytes]], Any]) -> None:
    """Put another PDF in the place of a record's: one page, made by our own source; `change` edits what it carries."""
    names = [*read_manifest(record)["files"], MANIFEST]
    carried = {name: (record / name).read_bytes() for name in names}
    change(carried)
    style = "<style>p { color: black }</style>"
    page = f"<html lang='en'><head><title>Record</title>{style}</head><body><p>{text}</p></body></html>"
    context = RecordContext(record_id=record.name, sealed=True, created="2026-11-24T09:30:00.000Z")
    files = [Attachment(name, content, name) for name, content in carried.items()]
    (record / PDF).write_bytes(render_pdf(page, context, files))
    redo_sums(record)


def told_of(record: Path) -> str:
    """Return what every page of a record's PDF prints."""
    return f"{record.name} {sha256_file(record / MANIFEST)}"


def pages_of_another(outputs: Outputs) -> None:
    printed_anew(outputs.record, told_of(outputs.failed), lambda _: None)


def digest_not_printed(outputs: Outputs) -> None:
    printed_anew(outputs.record, outputs.record_id, lambda _: None)


def attachment_swapped(outputs: Outputs) -> None:
    printed_anew(outputs.record, told_of(outputs.record), lambda files: files.update({BODY: bytes(len(files[BODY]))}))


def attachment_dropped(outputs: Outputs) -> None:
    printed_anew(outputs.record, told_of(outputs.record), lambda files: files.pop(APPROVAL))


def attachment_put_in(outputs: Outputs) -> None:
    printed_anew(outputs.record, told_of(outputs.record), lambda files: files.update({"evidence/E0999.xml": b""}))


def pdf_written_by_another_tool(outputs: Outputs) -> None:
    with pikepdf.open(outputs.record / PDF, allow_overwriting_input=True) as pdf:
        pdf.Root.OpenAction = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert(1)")
        pdf.save(outputs.record / PDF)
    redo_sums(outputs.record)


def findings_edited(outputs: Outputs) -> None:
    set_in_json(outputs.record / FINDINGS, lambda told: told["findings"][0].update(message="All is well."))
    redo_sums(outputs.record)


def manifest_edited(outputs: Outputs) -> None:
    renamed_digest(outputs.record, {**read_manifest(outputs.record), "executed_by": "Somebody Else"})


def manifest_redone(outputs: Outputs) -> None:
    set_in_json(outputs.record / FINDINGS, lambda told: told["findings"][0].update(message="All is well."))
    redone(outputs.record)


ON_FILES = [
    (added, "evidence/E0099.json is no file of this record"),
    (added_beside, "record.html.pdf is no file of this record"),
    (hidden, ".hidden is no file of this record"),
    (renamed, f"{BODY} is missing"),
    (renamed_in_case, "findings.json is missing"),
    (swapped, f"{BODY} has "),
    (linked, "findings.json is a link or no regular file"),
    (folder_linked, "evidence is a link or no regular file"),
    (signed_linked, "record.signed.pdf is a link or no regular file"),
    (addenda_linked, "addenda is a link or no regular file"),
    (a_pipe, "record.signed.pdf is a link or no regular file"),
    (listed_outside, "manifest.json lists a file it can't hold: ../outside.xml"),
    (listed_absolute, "manifest.json lists a file it can't hold: /etc/passwd"),
    (summed_outside, "line 48 of SHA256SUMS is malformed, or names a file twice"),
    (page_of_another, "record.html does not print the digest of manifest.json"),
    (pdf_of_another, "record.pdf "),
    (pages_of_another, "record.pdf does not print the record's id on page 1"),
    (digest_not_printed, "record.pdf does not print the record's digest on page 1"),
    (attachment_swapped, f"record.pdf: the attachment {BODY} is not the file of the record"),
    (attachment_dropped, "record.pdf does not carry approval.pdf"),
    (attachment_put_in, "record.pdf carries, and the manifest does not list, evidence/E0999.xml"),
    (pdf_written_by_another_tool, "record.pdf is no PDF of a record: "),
    (findings_edited, "findings.json has "),
    (manifest_edited, "findings.json and the manifest differ in parameters"),
    (manifest_redone, "record.pdf is missing"),
]


@pytest.mark.parametrize(("attack", "message"), ON_FILES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_tampered_folder_is_rejected(attack: Attack, message: str, outputs: Outputs) -> None:
    attack(outputs)
    assert rejected(outputs.record).startswith(message)


# The signed PDF


def page_edited(outputs: Outputs) -> None:
    with revised(outputs.record / SIGNED) as writer:
        page = writer.root["/Pages"]["/Kids"][0].get_object()
        content = StreamObject(stream_data=page["/Contents"].data + b" ")
        page[NameObject("/Contents")] = writer.add_object(content)
        writer.update_container(page)


def page_overwritten(outputs: Outputs) -> None:
    with revised(outputs.record / SIGNED) as writer:
        content = writer.root["/Pages"]["/Kids"][0].get_object()["/Contents"]
        content._data = content.data + b" "
        content._encoded_data = None
        writer.mark_update(content.container_ref)


def attachment_revised(outputs: Outputs) -> None:
    with revised(outputs.record / SIGNED) as writer:
        names = writer.root["/Names"]["/EmbeddedFiles"]["/Names"]
        (found,) = [names[at + 1] for at in range(0, len(names), 2) if FINDINGS in str(names[at])]
        found["/EF"][NameObject("/F")] = writer.add_object(StreamObject(stream_data=b"{}"))
        writer.update_container(found["/EF"])


def annotation_added(outputs: Outputs) -> None:
    with revised(outputs.record / SIGNED) as writer:
        page = writer.root["/Pages"]["/Kids"][0].get_object()
        note = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Annot"), NameObject("/Subtype"): NameObject("/Square"),
                NameObject("/Rect"): ArrayObject(map(NumberObject, (0, 0, 500, 800))),
            }
        )  # fmt: skip
        page[NameObject("/Annots")] = ArrayObject([*page.get("/Annots", []), writer.add_object(note)])
        writer.update_container(page)


def script_added(outputs: Outputs) -> None:
    with revised(outputs.record / SIGNED) as writer:
        writer.root[NameObject("/OpenAction")] = DictionaryObject({NameObject("/S"): NameObject("/JavaScript")})
        writer.update_root()


def bytes_appended(outputs: Outputs) -> None:
    with (outputs.record / SIGNED).open("ab") as stream:
        stream.write(b"\n%%EOF\n")


def cut_within(outputs: Outputs) -> None:
    truncated(outputs.record / SIGNED, ends(outputs.record / SIGNED)[-1] - 100)


def last_signature_cut(outputs: Outputs) -> None:
    truncated(outputs.record / SIGNED, ends(outputs.record / SIGNED)[-2])


def all_signatures_cut(outputs: Outputs) -> None:
    shutil.copyfile(outputs.record / PDF, outputs.record / SIGNED)


def signed_of_another(outputs: Outputs) -> None:
    shutil.copyfile(outputs.failed / SIGNED, outputs.record / SIGNED)


def revision_transplanted(outputs: Outputs) -> None:
    start = (outputs.failed / PDF).stat().st_size
    theirs = (outputs.failed / SIGNED).read_bytes()[start:]
    (outputs.record / SIGNED).write_bytes((outputs.record / PDF).read_bytes() + theirs)


def statement_transplanted(outputs: Outputs) -> None:
    """A signature on this file, that states the other record; the signer was shown the one and signed the other."""
    (theirs,) = read_signatures(outputs.failed / SIGNED)
    told = {name: getattr(theirs.statement, name) for name in ("record_id", "record_digest", "verdict", "caller")}
    signed_as(outputs.record, "executor", person(), outputs.record / PDF, **told)


def stating(**told: Any) -> Attack:
    def attack(outputs: Outputs) -> None:
        signed_as(outputs.record, "reviewer", person(REVIEWER), outputs.record / PDF, **told)

    attack.__name__ = f"stating {' and '.join(told) or 'the truth'}"
    return attack


def signed_twice(outputs: Outputs) -> None:
    with patch("kit.record.signatures.pades.field_name", lambda _: "Signature-Executor"):
        signed_as(outputs.record, "executor", person())
    content = (outputs.record / SIGNED).read_bytes()
    (outputs.record / SIGNED).write_bytes(content.replace(rb"(Signature\055Executor)", rb"(Signature\055executor)"))


def signed_twice_under_another_name(outputs: Outputs) -> None:
    with patch("kit.record.signatures.pades.field_name", lambda _: "Signature-second"):
        signed_as(outputs.record, "executor", person())


def signed_in_the_field_of_another(outputs: Outputs) -> None:
    with patch("kit.record.signatures.pades.field_name", lambda _: "Signature-approver"):
        signed_as(outputs.record, "executor", person(), outputs.record / PDF)


def named_otherwise(outputs: Outputs) -> None:
    signed_as(outputs.record, "reviewer", person(), outputs.record / PDF, name=REVIEWER)


def by_certificate(case: str) -> Attack:
    def attack(outputs: Outputs) -> None:
        signed_as(outputs.record, "executor", odd(case), outputs.record / PDF)

    attack.__name__ = case
    return attack


def signed_by_the_executor(outputs: Outputs) -> None:
    truncated(outputs.record / SIGNED, ends(outputs.record / SIGNED)[1])
    signed_as(outputs.record, "approver", person())


def approved_by_the_executor_alone(outputs: Outputs) -> None:
    signed_as(outputs.record, "approver", issue(f"{EXECUTOR} ", root()), outputs.record / PDF)


def signed_anew(outputs: Outputs, **told: Any) -> None:
    """By the same person, with the same key; what is meant is another thing."""
    truncated(outputs.record / SIGNED, ends(outputs.record / SIGNED)[1])
    signed_as(outputs.record, "approver", person(APPROVER), **{"meaning": "I have not read the record.", **told})


def signed_anew_and_registered(outputs: Outputs) -> None:
    """The register is appended to, as the kit does, and nothing in it is edited."""
    signed_anew(outputs)
    told = {"bytes": (outputs.record / SIGNED).stat().st_size, "sha256": sha256_file(outputs.record / SIGNED)}
    told["meaning"] = "I have not read the record."
    rewritten(outputs.register, lambda entries: entries.append({**entries[9], "data": {**entries[9]["data"], **told}}))


def look_alike(name: str = EXECUTOR) -> Identity:
    """Somebody of that name, whose certificate a root of our root's name issued."""
    return issue(name, issue("Throw-away Root CA", kind="p256", authority=True), kind="p256")


def signed_by_a_look_alike(outputs: Outputs) -> None:
    """The same statement, to the letter."""
    statement = read_signatures(outputs.record / SIGNED)[2].statement
    truncated(outputs.record / SIGNED, ends(outputs.record / SIGNED)[1])
    signed_as(outputs.record, "approver", look_alike(APPROVER), **vars(statement))


def last_entry_cut(outputs: Outputs) -> None:
    cut(outputs.register, 10)


ON_SIGNATURES = [
    (page_edited, "record.signed.pdf is no PDF of a record: its revision 5 changes /Contents of page 1"),
    (page_overwritten, "record.signed.pdf is no PDF of a record: its revision 5 replaces the object"),
    (attachment_revised, "record.signed.pdf is no PDF of a record: its revision 5 replaces the object"),
    (annotation_added, "record.signed.pdf is no PDF of a record: its revision 5 replaces the object"),
    (script_added, "record.signed.pdf is no PDF of a record: its revision 5 adds /OpenAction of the catalog"),
    (bytes_appended, "record.signed.pdf"),
    (cut_within, "record.signed.pdf"),
    (last_signature_cut, "register.jsonl holds a signature of the approver, and record.signed.pdf does not"),
    (all_signatures_cut, "record.signed.pdf holds no signature"),
    (signed_of_another, "record.signed.pdf does not begin with the bytes of record.pdf"),
    (revision_transplanted, "record.signed.pdf"),
    (statement_transplanted, "record.signed.pdf: the signature of the executor states another record_id"),
    (stating(record_digest="0" * 64), "record.signed.pdf: the signature of the reviewer states another record_digest"),
    (stating(verdict="FAIL"), "record.signed.pdf: the signature of the reviewer states another verdict"),
    (stating(executed_by=APPROVER), "record.signed.pdf: the signature of the reviewer states another executed_by"),
    (stating(caller=""), "record.signed.pdf: the signature of the reviewer states another caller"),
    (stating(), NO_EXECUTOR),
    (
        stating(register_number=9, register_head="0" * 64),
        "entry 9 of register.jsonl is not the one that the signature of the reviewer saw",
    ),
    (
        stating(register_number=99, register_head="0" * 64),
        "register.jsonl was cut: it ends with entry 16, and the signature of the reviewer saw entry 99",
    ),
    (
        stating(time="2012-01-01T00:00:00.000Z"),
        "record.signed.pdf: the Signature-reviewer is by a certificate that was",
    ),
    (signed_twice, "record.signed.pdf is no PDF of a record: two of its signatures are in fields of one name"),
    (signed_twice_under_another_name, "record.signed.pdf: the Signature-second states the role executor, and is in"),
    (signed_in_the_field_of_another, "record.signed.pdf: the Signature-approver states the role executor, and is in"),
    (named_otherwise, "record.signed.pdf: the Signature-reviewer states the name Ravi Patel, and its certificate is "),
    (by_certificate("expired"), "record.signed.pdf: the Signature-executor is by a certificate that was not valid"),
    (by_certificate("not yet valid"), "record.signed.pdf: the Signature-executor is by a certificate that was not"),
    (
        by_certificate("not for signing"),
        "record.signed.pdf: the Signature-executor does not hold: its certificate is not for",
    ),
    (
        signed_by_the_executor,
        "record.signed.pdf: Zoë Ōyama signed as executor, and can't sign as approver: judged on the",
    ),
    (
        approved_by_the_executor_alone,
        "record.signed.pdf: Zoë Ōyama  (CN=Zoë Ōyama\\ ,O=Quality\\, Ltd,C=CH) executed the",
    ),
    (signed_anew, "register.jsonl says another meaning of the approver than record.signed.pdf"),
    (signed_anew_and_registered, "register.jsonl says another meaning of the approver than record.signed.pdf"),
    (signed_by_a_look_alike, "record.signed.pdf was changed: register.jsonl holds another SHA-256 of it"),
    (last_entry_cut, "the signature of the approver in record.signed.pdf is not in register.jsonl"),
]


@pytest.mark.parametrize(("attack", "message"), ON_SIGNATURES, ids=[attack.__name__ for attack, _ in ON_SIGNATURES])
def test_a_tampered_signature_is_rejected(attack: Attack, message: str, outputs: Outputs) -> None:
    attack(outputs)
    assert rejected(outputs.record).startswith(message)


@pytest.mark.parametrize(
    ("who", "message"),
    [
        (lambda: odd("of another authority"), "is by a certificate that no trusted root"),
        (lambda: odd("self-signed"), "is by a certificate that no trusted root"),
        (look_alike, "is by a certificate that no trusted root"),
    ],
    ids=["another authority", "self-signed", "look-alike"],
)
def test_a_signature_under_no_trusted_root_is_rejected(
    who: Callable[[], Identity], message: str, outputs: Outputs
) -> None:
    signed_as(outputs.record, "executor", who(), outputs.record / PDF)
    assert f": the Signature-executor {message}" in rejected(outputs.record, trust=outputs.roots)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({}, "record.signed.pdf: the record's verdict is FAIL, and the approval does not name DEV-01"),
        (
            {"deviations": (DEVIATION,)},
            "record.signed.pdf: the record's verdict is FAIL, and the approval gives no reason",
        ),
        (
            {"deviations": (DEVIATION, "DEV-02"), "reason": "All is well."},
            "record.signed.pdf: the record has no deviation DEV-02",
        ),
        ({"verdict": "PASS"}, "record.signed.pdf: the signature of the approver states another verdict"),
        (
            {"deviations": (DEVIATION,), "reason": "All is well."},
            "the signature of the approver in record.signed.pdf is not in register.jsonl",
        ),
    ],
    ids=["no deviation", "no reason", "unknown deviation", "as if it passed", "not registered"],
)
def test_a_failure_is_not_approved_past_the_rules(told: dict[str, Any], message: str, outputs: Outputs) -> None:
    signed_as(outputs.failed, "approver", person(APPROVER), **told)
    assert rejected(outputs.failed).startswith(message)


# The register. Its entries, by number: 1 to 4, two protocols issued and signed; 5 to 7, the record started, concluded
# and finished; 8 to 10, signed; 11, archived; 12 to 14, the one that failed; 15, signed by its executor; 16, its
# addendum.


def with_data(number: int, **told: Json) -> Attack:
    """Edit an entry, and redo the chain from there."""
    return lambda outputs: rewritten(outputs.register, lambda entries: entries[number - 1]["data"].update(told))


def cutting(first: int, last: int | None = None) -> Attack:
    return lambda outputs: cut(outputs.register, first, last)


def dropping(number: int) -> Attack:
    return lambda outputs: rewritten(outputs.register, lambda entries: entries.pop(number - 1))


def reordered(outputs: Outputs) -> None:
    lines = outputs.register.read_bytes().splitlines(keepends=True)
    lines[4], lines[5] = lines[5], lines[4]
    outputs.register.write_bytes(b"".join(lines))


def line_twice(outputs: Outputs) -> None:
    lines = outputs.register.read_bytes().splitlines(keepends=True)
    outputs.register.write_bytes(b"".join([*lines[:7], *lines[6:]]))


def entry_edited(outputs: Outputs) -> None:
    outputs.register.write_bytes(outputs.register.read_bytes().replace(b'"verdict":"PASS"', b'"verdict":"FAIL"', 1))


def entry_reformatted(outputs: Outputs) -> None:
    outputs.register.write_bytes(outputs.register.read_bytes().replace(b'"number":7,', b'"number": 7,'))


def emptied(outputs: Outputs) -> None:
    outputs.register.write_bytes(b"")


def whole_redone(outputs: Outputs) -> None:
    rewritten(outputs.register, lambda entries: [entry.update(time="2026-01-01T00:00:00.000Z") for entry in entries])


def moved_to_another(outputs: Outputs) -> None:
    """The record lies in an outputs folder whose own register has only ever seen others."""
    rewritten(outputs.register, lambda entries: entries.clear())
    with outputs.register.open("ab") as stream:
        entry = {"data": {}, "event": "started", "number": 1, "previous": "0" * 64, "record": "IQ-1", "time": ""}
        stream.write(canonical(entry) + b"\n")


CUT = "register.jsonl was cut: it ends with entry {0}, and {1} saw entry {2}"
NOT_SEEN = "entry {0} of register.jsonl is not the one that {1} saw"
ON_THE_REGISTER = {
    "head cut": (cutting(1, 1), "entry 1 is missing from register.jsonl"),
    "middle cut": (cutting(5, 6), "entries 5 to 6 are missing from register.jsonl"),
    "tail cut, sealing": (cutting(6), CUT.format(5, "{record} as it was sealed", 6)),
    "tail cut, start": (cutting(5), CUT.format(4, "{record} as it was sealed", 6)),
    "tail cut, signature": (cutting(9), CUT.format(8, "the signature of the approver", 9)),
    "tail cut, receipt": (cutting(11), CUT.format(10, "{receipt}", 11)),
    "emptied": (emptied, CUT.format(0, "{record} as it was sealed", 6)),
    "reordered": (reordered, "register.jsonl was reordered: entry 6 stands where entry 5 belongs"),
    "line twice": (line_twice, "entry 7 of register.jsonl stands there twice"),
    "entry edited": (entry_edited, "entry 6 was changed in register.jsonl: entry 7 names another one before it"),
    "entry reformatted": (entry_reformatted, "line 7 of register.jsonl was changed: it is not as the kit writes it"),
    "redone whole": (whole_redone, NOT_SEEN.format(6, "{record} as it was sealed")),
    "run dropped, chain redone": (dropping(5), NOT_SEEN.format(6, "{record} as it was sealed")),
    "earlier one dropped, chain redone": (dropping(3), NOT_SEEN.format(6, "{record} as it was sealed")),
    "digest edited, chain redone": (with_data(7, digest="0" * 64), NOT_SEEN.format(7, "the signature of the executor")),
    "attempt edited, chain redone": (with_data(5, attempt=3), NOT_SEEN.format(6, "{record} as it was sealed")),
    "moved to another outputs folder": (moved_to_another, CUT.format(1, "{record} as it was sealed", 6)),
}


@pytest.mark.parametrize(("attack", "message"), ON_THE_REGISTER.values(), ids=ON_THE_REGISTER)
def test_a_tampered_register_is_rejected(attack: Attack, message: str, outputs: Outputs) -> None:
    attack(outputs)
    wanted = message.format(record=outputs.record_id, receipt=outputs.receipt.name)
    assert rejected(outputs.record, receipts=(outputs.receipt,)).startswith(wanted)


@pytest.mark.parametrize("attack", [one for one, _ in ON_THE_REGISTER.values()], ids=ON_THE_REGISTER)
def test_a_tampered_register_is_rejected_as_a_whole(attack: Attack, outputs: Outputs) -> None:
    attack(outputs)
    with pytest.raises(RejectionError, match=REGISTER):
        audit(outputs.register)


# Entries that nobody saw: those after the latest signature. Here the record that failed is signed by nobody.
UNSEEN = {
    "another digest": (with_data(14, digest="0" * 64), "register.jsonl holds another digest of {0}"),
    "another verdict": (with_data(14, verdict="PASS"), "register.jsonl says that {0} finished with PASS"),
    "dropped": (dropping(14), "register.jsonl does not hold that {0} was finished"),
    "concluded otherwise": (
        with_data(13, findings_sha256="0" * 64),
        NOT_SEEN.format(13, "{0} as it was sealed"),
    ),
}


@pytest.mark.parametrize(("attack", "message"), UNSEEN.values(), ids=UNSEEN)
def test_what_the_register_says_of_an_unsigned_record_is_held(attack: Attack, message: str, outputs: Outputs) -> None:
    (outputs.failed / SIGNED).unlink()
    shutil.rmtree(outputs.failed / "addenda")
    cut(outputs.register, 15)
    attack(outputs)
    assert rejected(outputs.failed).startswith(message.format(outputs.failed_id))


def registered_again(outputs: Outputs, folder: Path) -> None:
    """Register a record that was sealed anew by appending to the register: nothing in it is edited."""
    told = {"verdict": read_manifest(folder)["verdict"], "digest": sha256_file(folder / MANIFEST)}
    rewritten(outputs.register, lambda entries: entries.append({**entries[13], "data": told}))


def unsigned_in_place(outputs: Outputs, folder: Path) -> None:
    """Put a record that was sealed anew in the place of the one that failed, which nobody has signed."""
    shutil.rmtree(outputs.failed)
    shutil.copytree(folder, outputs.failed)
    cut(outputs.register, 15)


def passed(notebook: Json, evidence: Path) -> None:
    concluded_anew(notebook, judged_pass)


def test_a_record_sealed_anew_is_not_the_one_that_was_registered(outputs: Outputs) -> None:
    unsigned_in_place(outputs, sealed_anew(outputs, passed))
    assert rejected(outputs.failed) == f"register.jsonl holds another digest of {outputs.failed_id}"


def test_a_record_sealed_anew_is_not_made_good_by_another_entry(outputs: Outputs) -> None:
    folder = sealed_anew(outputs, passed)
    unsigned_in_place(outputs, folder)
    registered_again(outputs, folder)
    assert rejected(outputs.failed) == f"register.jsonl holds another digest of {outputs.failed_id}"


def test_the_findings_are_those_that_the_run_concluded_on(outputs: Outputs) -> None:
    folder = sealed_anew(outputs, passed)
    unsigned_in_place(outputs, folder)
    told = {"verdict": "PASS", "digest": sha256_file(folder / MANIFEST)}
    rewritten(outputs.register, lambda entries: entries[13].update(data=told))
    assert rejected(outputs.failed) == (
        f"register.jsonl does not hold that {outputs.failed_id} concluded so (findings_sha256)"
    )


def test_the_attempt_is_the_one_that_was_registered(outputs: Outputs) -> None:
    def first(notebook: Json, evidence: Path) -> None:
        display(notebook, "run")["attempt"] = {"number": 1, "earlier": []}

    folder = sealed_anew(outputs, first)
    unsigned_in_place(outputs, folder)
    told = {"verdict": "FAIL", "digest": sha256_file(folder / MANIFEST)}
    rewritten(outputs.register, lambda entries: entries[13].update(data=told))
    assert rejected(outputs.failed) == f"register.jsonl tells another start of {outputs.failed_id}: attempt"


def test_the_start_that_a_record_names_is_its_own(outputs: Outputs) -> None:
    def borrowed(entries: list[Json]) -> None:
        folder = alone(outputs, outputs.failed)
        before = [canonical(entry) for entry in entries]
        start = {"number": 5, "sha256": sha256(before[4])}
        redone(folder, register=read_manifest(folder)["register"] | {"started": start})
        unsigned_in_place(outputs, folder)
        del entries[14:]
        entries[13]["data"]["digest"] = sha256_file(folder / MANIFEST)

    rewritten(outputs.register, borrowed)
    assert rejected(outputs.failed) == f"entry 5 of register.jsonl is not the start of {outputs.failed_id}"


def test_the_name_in_a_signed_entry_is_the_signers(outputs: Outputs) -> None:
    cut(outputs.register, 16)
    shutil.rmtree(outputs.failed / "addenda")
    rewritten(outputs.register, lambda entries: entries[14]["data"].update(name=APPROVER))
    assert rejected(outputs.failed) == "register.jsonl says another name of the executor than record.signed.pdf"


def test_a_record_does_not_stand_in_for_another(outputs: Outputs) -> None:
    shutil.rmtree(outputs.failed)
    shutil.copytree(outputs.record, outputs.failed)
    with pytest.raises(RejectionError, match=f"{outputs.failed_id}: it is the record {outputs.record_id}"):
        audit(outputs.register)


# Addenda and approvals


def addendum_told(folder: Path, **told: Json) -> None:
    """Edit what an addendum says, and put its page and sums right."""
    before = sha256_file(folder / "addendum.json")
    set_in_json(folder / "addendum.json", lambda data: data.update(told))
    page = (folder / "addendum.html").read_text(encoding="utf-8")
    (folder / "addendum.html").write_text(page.replace(before, sha256_file(folder / "addendum.json")), encoding="utf-8")
    redo_sums(folder)


def addendum_edited(outputs: Outputs) -> None:
    addendum_told(outputs.failed / ADDENDUM, decision="Nothing is to be done.")


def addendum_page_edited(outputs: Outputs) -> None:
    path = outputs.failed / ADDENDUM / "addendum.html"
    path.write_text(path.read_text(encoding="utf-8").replace("Accepted.", "Refused."), encoding="utf-8")
    redo_sums(outputs.failed / ADDENDUM)


def addendum_paper_removed(outputs: Outputs) -> None:
    (outputs.failed / ADDENDUM / "addendum.pdf").unlink()
    redo_sums(outputs.failed / ADDENDUM)


def addendum_flipped(name: str) -> Attack:
    return lambda outputs: flip(outputs.failed / ADDENDUM / name)


def addendum_without(name: str) -> Attack:
    return lambda outputs: (outputs.failed / ADDENDUM / name).unlink()


def addenda_removed(outputs: Outputs) -> None:
    shutil.rmtree(outputs.failed / "addenda")


def addendum_removed(outputs: Outputs) -> None:
    shutil.rmtree(outputs.failed / ADDENDUM)


def addendum_renamed(outputs: Outputs) -> None:
    (outputs.failed / ADDENDUM).rename(outputs.failed / "addenda" / f"02-{DEVIATION}")


def addendum_added(outputs: Outputs) -> None:
    folder = shutil.copytree(outputs.failed / ADDENDUM, outputs.failed / "addenda" / f"02-{DEVIATION}")
    addendum_told(folder, number=2, decision="Nothing is to be done.")


def addendum_file_added(outputs: Outputs) -> None:
    (outputs.failed / ADDENDUM / "more.txt").write_bytes(b"")
    redo_sums(outputs.failed / ADDENDUM)


def file_among_addenda(outputs: Outputs) -> None:
    (outputs.failed / "addenda" / "more.txt").write_bytes(b"")


def addendum_of_another(outputs: Outputs) -> None:
    addendum_told(outputs.failed / ADDENDUM, record_digest=sha256_file(outputs.record / MANIFEST))


ON_ADDENDA = {
    "edited": (addendum_edited, f"addendum 01-{DEVIATION} is not the one that register.jsonl holds"),
    "page edited": (addendum_page_edited, f"addendum 01-{DEVIATION} is not the one that register.jsonl holds"),
    "PDF removed": (addendum_paper_removed, f"addendum 01-{DEVIATION} is not the one that register.jsonl holds"),
    "JSON flipped": (addendum_flipped("addendum.json"), f"{ADDENDUM}: addendum.json was changed"),
    "page flipped": (addendum_flipped("addendum.html"), f"{ADDENDUM}: addendum.html was changed"),
    "PDF flipped": (addendum_flipped("addendum.pdf"), f"{ADDENDUM}: addendum.pdf was changed"),
    "sums flipped": (addendum_flipped(SUMS), f"{ADDENDUM}: "),
    "without JSON": (addendum_without("addendum.json"), f"{ADDENDUM}/addendum.json is missing"),
    "without page": (addendum_without("addendum.html"), f"{ADDENDUM}/addendum.html is missing"),
    "without sums": (addendum_without(SUMS), f"{ADDENDUM}/SHA256SUMS is missing"),
    "all removed": (addenda_removed, f"addendum 01-{DEVIATION} is missing"),
    "removed": (addendum_removed, "addenda holds no addendum"),
    "renamed": (addendum_renamed, f"addenda/02-{DEVIATION} is not addendum 1: one is missing, or was renamed"),
    "added": (addendum_added, f"addendum 02-{DEVIATION} is not in register.jsonl"),
    "file added to it": (addendum_file_added, f"{ADDENDUM}/more.txt is no file of an addendum"),
    "file beside it": (file_among_addenda, "addenda/more.txt is no addendum"),
    "of another record": (addendum_of_another, f"{ADDENDUM} is of another record"),
}


@pytest.mark.parametrize(("attack", "message"), ON_ADDENDA.values(), ids=ON_ADDENDA)
def test_a_tampered_addendum_is_rejected(attack: Attack, message: str, outputs: Outputs) -> None:
    attack(outputs)
    assert rejected(outputs.failed).startswith(message)


def test_an_addendum_moved_to_another_record_is_rejected(outputs: Outputs) -> None:
    shutil.copytree(outputs.failed / "addenda", outputs.record / "addenda")
    assert rejected(outputs.record) == f"{ADDENDUM} is of another record"


def approval_exchanged(folder: Path, outputs: Outputs) -> dict[str, Json]:
    shutil.copyfile(outputs.other / SIGNED, folder / APPROVAL)
    return {}


def approval_exchanged_and_cited(folder: Path, outputs: Outputs) -> dict[str, Json]:
    """The other protocol, cited as what it is, but for another catalogue."""
    from kit.record.verification.approval import read_approval

    shutil.copyfile(outputs.other / SIGNED, folder / APPROVAL)
    return {"approval": read_approval(folder / APPROVAL).to_json(), "catalogue_sha256": "0" * 64}


def approval_unsigned(folder: Path, outputs: Outputs) -> dict[str, Json]:
    shutil.copyfile(outputs.approval / PDF, folder / APPROVAL)
    return {"approval": {**read_manifest(folder)["approval"], "signatures": []}}


def approval_of_a_record(folder: Path, outputs: Outputs) -> dict[str, Json]:
    shutil.copyfile(outputs.record / SIGNED, folder / APPROVAL)
    return {}


def approval_flipped(folder: Path, outputs: Outputs) -> dict[str, Json]:
    flip(folder / APPROVAL)
    return {}


def approval_removed(folder: Path, outputs: Outputs) -> dict[str, Json]:
    (folder / APPROVAL).unlink()
    return {}


def other_parameters(folder: Path, outputs: Outputs) -> dict[str, Json]:
    parameters = read_manifest(folder)["parameters"]
    parameters["expected"]["retention_days"] = 1
    return told_parameters(folder, parameters)


def told_parameters(folder: Path, parameters: Json) -> dict[str, Json]:
    """Return what a manifest tells of other parameters, all of it consistent."""
    from kit.record.verification.replay import parameters_of

    told = {**read_manifest(folder), "parameters": parameters}
    return {"parameters": parameters, "parameters_sha256": sha256(canonical(parameters_of(told)))}


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (approval_exchanged, "the record cites another approval than the one it holds"),
        (approval_exchanged_and_cited, "{other} approves another catalogue_sha256"),
        (approval_unsigned, "{path} is not approved: no approver has signed it"),
        (approval_of_a_record, "{path} is no protocol for approval"),
        (approval_flipped, "{path} is no approval to rely on: approval.pdf"),
        (approval_removed, "{path} is no file"),
        (other_parameters, "{approval} approves another expected"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_approval_is_the_one_that_was_executed(attack: Any, message: str, outputs: Outputs) -> None:
    folder = alone(outputs, outputs.record)
    redone(folder, **attack(folder, outputs))
    wanted = message.format(other=outputs.other_id, approval=outputs.approval_id, path=folder / APPROVAL)
    assert rejected(folder).startswith(wanted)


def test_an_approval_under_no_trusted_root_is_rejected(outputs: Outputs) -> None:
    folder, elsewhere = alone(outputs, outputs.record), outputs.folder.parent / "elsewhere.pem"
    root("Another Root CA").write_pem(elsewhere)
    assert rejected(folder, trust=elsewhere).startswith(
        f"{folder / APPROVAL} is no approval to rely on: approval.pdf: "
    )


# Every hash put right: what the evidence says is judged again


def answered(evidence: Path, change: Callable[[bytes], bytes]) -> None:
    """Edit what AWS answered of the rotation, and put its hash in the index right."""
    lines = [json.loads(line) for line in (evidence / "index.jsonl").read_bytes().splitlines()]
    (entry,) = [line for line in lines if line["operation"] == ROTATION]
    path = evidence / entry["path"]
    path.write_bytes(change(path.read_bytes()))
    entry |= {"sha256": sha256_file(path), "bytes": path.stat().st_size}
    (evidence / "index.jsonl").write_bytes(b"".join(canonical(line) + b"\n" for line in lines))


def evidence_edited(notebook: Json, evidence: Path) -> None:
    answered(evidence, lambda body: body.replace(b"false", b"true"))
    display(notebook, "conclusion")["evidence_sha256"] = index_sha256(evidence)


def entry_removed(notebook: Json, evidence: Path) -> None:
    lines = (evidence / "index.jsonl").read_bytes().splitlines(keepends=True)
    (gone,) = [line for line in lines if b"GetBucketLogging" in line]
    (evidence / json.loads(gone)["path"]).unlink()
    lines.remove(gone)
    (evidence / "index.jsonl").write_bytes(b"".join(lines))
    display(notebook, "conclusion")["evidence_sha256"] = index_sha256(evidence)


def entry_added(notebook: Json, evidence: Path) -> None:
    lines = (evidence / "index.jsonl").read_bytes().splitlines(keepends=True)
    (like,) = [json.loads(line) for line in lines if b"GetBucketLogging" in line]
    (evidence / "E0999.xml").write_bytes((evidence / like["path"]).read_bytes())
    made = like | {"id": "E0999", "path": "E0999.xml"}
    (evidence / "index.jsonl").write_bytes(b"".join([*lines, canonical(made) + b"\n"]))
    display(notebook, "conclusion")["evidence_sha256"] = index_sha256(evidence)


DIFFERS = "findings.json does not follow from the evidence: IQ-06 on "


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (passed, DIFFERS),
        (evidence_edited, DIFFERS),
        (entry_removed, "the evidence can't be replayed: "),
        (entry_added, "the evidence can't be replayed: "),
    ],
    ids=["findings to PASS", "evidence edited", "entry removed", "entry added"],
)
def test_only_a_replay_sees_through_a_record_sealed_anew(
    edit: Callable[[Json, Path], None], message: str, outputs: Outputs
) -> None:
    folder = sealed_anew(outputs, edit)
    (folder.parent / REGISTER).unlink()
    assert not held(folder)[14]
    assert rejected(folder, replay=True).startswith(message)


def test_a_demonstration_does_not_become_evidence(outputs: Outputs) -> None:
    folder = alone(outputs, outputs.failed)
    set_in_json(folder / FINDINGS, lambda told: told.update(demonstration=False))
    redone(folder, demonstration=False)
    assert rejected(folder) == "findings.json and the manifest differ in origin"


# Receipts of an archive


def test_a_receipt_is_of_this_record(outputs: Outputs) -> None:
    assert (
        rejected(outputs.failed, receipts=(outputs.receipt,))
        == f"{outputs.receipt.name} is the receipt of another record"
    )


@pytest.mark.parametrize("name", [HTML, PDF], ids=str)
def test_a_receipt_holds_what_no_other_hash_does(name: str, outputs: Outputs) -> None:
    folder = alone(outputs, outputs.record)
    if name == HTML:
        (folder / name).write_text((folder / name).read_text().replace("PASS", "Pass"))
    else:
        (folder / name).unlink()
    redo_sums(folder)
    held(folder)
    assert rejected(folder, receipts=(outputs.receipt,)).startswith(f"{name} is not ")


def test_a_receipt_holds_the_signatures(outputs: Outputs) -> None:
    folder = alone(outputs, outputs.record)
    assert rejected(folder, receipts=(outputs.receipt,)).startswith(f"{SIGNED} is not what {outputs.receipt.name} says")
    signed_as(folder, "reviewer", person(REVIEWER), meaning="I have not read the record.")
    assert rejected(folder, receipts=(outputs.receipt,)).startswith(f"{SIGNED} is not what {outputs.receipt.name} says")


def test_a_receipt_lets_by_what_was_signed_since(outputs: Outputs) -> None:
    told = json.loads(outputs.receipt.read_bytes())
    size = ends(outputs.record / SIGNED)[0]
    (file,) = [file for file in told["files"] if file["key"].endswith(SIGNED)]
    file |= {"bytes": size, "sha256": sha256((outputs.record / SIGNED).read_bytes()[:size])}
    outputs.receipt.write_bytes(canonical(told))
    # the register holds the receipt as it was
    assert rejected(outputs.record, receipts=(outputs.receipt,)) == (
        f"register.jsonl does not hold the receipt {outputs.receipt.name}"
    )
    outputs.register.unlink()
    assert held(outputs.record, receipts=(outputs.receipt,))[13]


# Any one byte


def spoilt(data: st.DataObject, content: bytes) -> bytes:
    """Return the content with one bit flipped, or one byte put in or taken out, anywhere."""
    place = data.draw(st.integers(0, len(content) - 1), label="place")
    how = data.draw(st.sampled_from(["flip", "put in", "take out"]), label="how")
    if how == "flip":
        flipped = content[place] ^ 1 << data.draw(st.integers(0, 7), label="bit")
        return content[:place] + bytes([flipped]) + content[place + 1 :]
    made = bytes([data.draw(st.integers(0, 255), label="byte")]) if how == "put in" else b""
    return content[:place] + made + content[place + (how == "take out") :]


def caught(data: st.DataObject, folder: Path, path: Path, check: Callable[[], Any]) -> None:
    content = path.read_bytes()
    path.write_bytes(spoilt(data, content))
    try:
        with pytest.raises(RejectionError):
            check()
    finally:
        path.write_bytes(content)


@pytest.fixture(scope="module")
def kept(standing: Outputs, tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """A copy that each example leaves as it was."""
    return standing.copied(tmp_path_factory.mktemp("kept"))


MANY = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(data=st.data())
def test_any_one_byte_of_any_file_is_caught(kept: Outputs, data: st.DataObject) -> None:
    folder = data.draw(st.sampled_from([kept.record, kept.failed]))
    name = data.draw(st.sampled_from([name for name in files_in(folder) if name != SIGNED]))
    caught(data, folder, folder / name, lambda: list(verify(folder)))


@settings(MANY, max_examples=80)
@given(data=st.data())
def test_any_one_byte_of_the_signed_pdf_is_caught(kept: Outputs, data: st.DataObject) -> None:
    caught(data, kept.record, kept.record / SIGNED, lambda: list(verify(kept.record)))


@MANY
@given(data=st.data())
def test_any_one_byte_of_the_register_is_caught(kept: Outputs, data: st.DataObject) -> None:
    caught(data, kept.folder, kept.register, lambda: audit(kept.register))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "number", "arn"]), inner),
    max_leaves=4,
)


def places(value: Json, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where a JSON value has members that can be taken out or exchanged."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if key != "files":
            yield (*path, key)
            yield from places(inner, (*path, key))


def misshaped(data: st.DataObject, value: Json) -> None:
    """Take out one member of a JSON value, however deep, or exchange it."""
    *path, last = data.draw(st.sampled_from(list(places(value))), label="place")
    for key in path:
        value = value[key]
    if data.draw(st.booleans(), label="taken out"):
        del value[last]
    else:
        value[last] = data.draw(JSONS, label="exchanged")


@settings(MANY, max_examples=100)
@given(data=st.data())
def test_no_manifest_leads_to_anything_but_a_rejection(kept: Outputs, data: st.DataObject) -> None:
    folder = kept.folder.parent / "misshaped" / kept.failed_id
    if not folder.exists():
        shutil.copytree(alone(kept, kept.failed), folder)
        shutil.copytree(kept.failed / "addenda", folder / "addenda")
    shutil.copyfile(kept.failed / MANIFEST, folder / MANIFEST)
    shutil.copyfile(kept.failed / HTML, folder / HTML)
    manifest = read_manifest(folder)
    misshaped(data, manifest)
    renamed_digest(folder, manifest)
    with pytest.raises(RejectionError):
        list(verify(folder, Asked(register=kept.register)))


@settings(MANY, max_examples=60)
@given(data=st.data())
def test_no_register_leads_to_anything_but_a_rejection(kept: Outputs, data: st.DataObject) -> None:
    path = kept.folder / "misshaped.jsonl"
    shutil.copyfile(kept.register, path)
    rewritten(path, lambda entries: misshaped(data, entries))
    # what is left of it may be whole
    with suppress(RejectionError):
        audit(path)


# What is not caught, and by what it would be


def invented(outputs: Outputs) -> Callable[[Json, Path], None]:
    """Return an edit after which the evidence says what the findings want: nothing contradicts anything."""
    told = {one["test_case"]: one for one in json.loads((outputs.record / FINDINGS).read_bytes())["findings"]}

    body = next((outputs.record / "evidence").glob(f"*-{ROTATION}.json")).read_bytes()

    def as_of_one_that_passed(findings: Sequence[Json]) -> list[Json]:
        return [
            told[one["test_case"]] | {"evidence": one["evidence"]} if one["verdict"] == "FAIL" else one
            for one in findings
        ]

    def edit(notebook: Json, evidence: Path) -> None:
        answered(evidence, lambda _: body)
        concluded_anew(notebook, as_of_one_that_passed)
        display(notebook, "conclusion")["evidence_sha256"] = index_sha256(evidence)

    return edit


def retold(notebook: Json, evidence: Path) -> None:
    """What the notebook shows of a step to whoever reads it, in HTML."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if "text/html" in output["data"]:
                output["data"]["text/html"] = ["<p>All is well.</p>"]


class TestNotCaught:
    """What verifying can't show, each with what does show it."""

    def test_a_record_invented_whole_is_caught_by_the_register_alone(self, outputs: Outputs) -> None:
        folder = sealed_anew(outputs, invented(outputs), concluded_anew=True)
        assert held(folder, replay=True)[10]
        assert rejected(folder, register=outputs.register) == (
            NOT_SEEN.format(13, f"{outputs.failed_id} as it was sealed")
        )

    def test_a_narrative_retold_is_caught_by_the_register_alone(self, outputs: Outputs) -> None:
        folder = sealed_anew(outputs, retold)
        assert held(folder, replay=True)[14]
        assert rejected(folder, register=outputs.register) == (
            f"register.jsonl holds another digest of {outputs.failed_id}"
        )

    def test_text_of_the_page_is_caught_by_the_register_or_a_receipt(self, outputs: Outputs) -> None:
        path = outputs.record / HTML
        path.write_text(path.read_text(encoding="utf-8").replace("PASS", "Pass"), encoding="utf-8")
        redo_sums(outputs.record)
        assert rejected(outputs.record) == "record.html is not the one that register.jsonl holds"
        folder = alone(outputs, outputs.record)
        assert held(folder, trust=outputs.roots)[5]
        assert rejected(folder, receipts=(outputs.receipt,)).startswith("record.html is not what ")

    def test_pages_of_an_unsigned_pdf_are_caught_by_the_register_or_a_receipt(self, outputs: Outputs) -> None:
        folder = alone(outputs, outputs.record)
        printed_anew(folder, f"{told_of(folder)} All is well.", lambda _: None)
        assert held(folder)[7]
        assert rejected(folder, receipts=(outputs.receipt,)).startswith("record.pdf is not what ")

    def test_a_signature_of_nobody_known_is_caught_by_the_register_or_trust(self, outputs: Outputs) -> None:
        folder = alone(outputs, outputs.record)
        signed_as(folder, "approver", issue(APPROVER))
        steps = list(verify(folder))
        assert "by nobody known: no --trust given" in steps[7].text
        assert rejected(folder, trust=outputs.roots).startswith("record.signed.pdf: the Signature-approver ")
        assert rejected(folder, register=outputs.register).startswith(
            "register.jsonl holds a signature of the executor"
        )

    def test_a_run_cut_off_the_end_with_all_that_saw_it_is_caught_by_nothing(self, outputs: Outputs) -> None:
        cut(outputs.register, 12)
        shutil.rmtree(outputs.failed)
        assert held(outputs.record, receipts=(outputs.receipt,))[10]
        assert audit(outputs.register).runs == 1

    def test_a_register_taken_away_is_told_and_no_more(self, outputs: Outputs) -> None:
        outputs.register.unlink()
        assert not held(outputs.record)[10]

    def test_an_addendum_without_the_register_is_anybodys(self, outputs: Outputs) -> None:
        addendum_edited(outputs)
        outputs.register.unlink()
        assert held(outputs.failed)[12]

    def test_signatures_taken_away_are_caught_by_the_register_or_a_receipt(self, outputs: Outputs) -> None:
        folder = alone(outputs, outputs.record)
        assert not held(folder)[8]
        assert rejected(folder, register=outputs.register).startswith(
            "register.jsonl holds a signature of the executor"
        )
        assert rejected(folder, receipts=(outputs.receipt,)).startswith(f"{SIGNED} is not what ")

    def test_dates_and_modes_of_files_are_no_part_of_a_record(self, outputs: Outputs) -> None:
        os.utime(outputs.record / FINDINGS, (0, 0))
        (outputs.record / FINDINGS).chmod(0o600)
        assert held(outputs.record)[4]


# What strangers say of a record that stands


@pytest.fixture(scope="module")
def tool() -> Callable[..., str]:
    """Runs a program; without it the test is skipped, but under TRAILKIT_CI it fails."""

    def run(name: str, *arguments: str | Path, folder: Path | None = None) -> str:
        if not shutil.which(name):
            missing = f"no {name} on this machine: apt-get install qpdf poppler-utils"
            pytest.fail(missing) if os.environ.get("TRAILKIT_CI") else pytest.skip(missing)
        done = subprocess.run([name, *arguments], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


RECORDS = ["record", "failed", "approval"]


@pytest.mark.parametrize("which", RECORDS)
def test_every_step_holds(which: str, standing: Outputs) -> None:
    steps = held(getattr(standing, which), trust=standing.roots, replay=True)
    absent = {"record": {12, 13}, "failed": {11, 13}, "approval": {11, 12, 13, 14}}
    assert {number for number, step in steps.items() if not step} == absent[which]


def test_the_register_holds(standing: Outputs) -> None:
    found = audit(standing.register)
    assert (found.entries, found.runs, found.notes) == (16, 2, ())


@pytest.mark.parametrize("which", RECORDS)
def test_sha256sum_finds_every_file_right(which: str, standing: Outputs, tool: Callable[..., str]) -> None:
    said = tool("sha256sum", "--check", "--strict", SUMS, folder=getattr(standing, which))
    assert all(line.endswith(": OK") for line in said.splitlines())


@pytest.mark.parametrize("name", [PDF, SIGNED])
@pytest.mark.parametrize("which", RECORDS)
def test_pdfdetach_gives_every_file_back(
    which: str, name: str, standing: Outputs, tool: Callable[..., str], tmp_path: Path
) -> None:
    folder = getattr(standing, which)
    listed = [*read_manifest(folder)["files"], MANIFEST]
    assert f"{len(listed)} embedded files" in tool("pdfdetach", "-list", folder / name)
    for one in listed:
        target = tmp_path / Path(one).name
        tool("pdfdetach", "-savefile", one, "-o", target, folder / name)
        assert target.read_bytes() == (folder / one).read_bytes()


@pytest.mark.parametrize("name", [PDF, SIGNED])
@pytest.mark.parametrize("which", RECORDS)
def test_qpdf_finds_no_error(which: str, name: str, standing: Outputs, tool: Callable[..., str]) -> None:
    said = tool("qpdf", "--check", getattr(standing, which) / name)
    assert "No syntax or stream encoding errors found" in said


@pytest.mark.parametrize(("which", "count"), [("record", 3), ("failed", 1), ("approval", 1)], ids=RECORDS)
def test_pdfsig_finds_every_signature_valid(
    which: str, count: int, standing: Outputs, tool: Callable[..., str]
) -> None:
    said = tool("pdfsig", "-nocert", getattr(standing, which) / SIGNED)
    assert said.count("Signature Validation: Signature is Valid.") == count
    assert said.count("Total document signed") == 1
    assert "Total document signed" in said[said.index(f"Signature #{count}:") :]
