"""Signing records: what is appended is a signature that strangers find valid, and nothing else."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pikepdf
import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_der_public_key, pkcs12
from fixtures.identities import (
    APPROVER,
    CALLER,
    EXECUTOR,
    NOW,
    PASSPHRASE,
    REVIEWER,
    Identity,
    intermediate,
    issue,
    key_service,
    odd,
    person,
    private_key,
    pss_only,
    record_pdf,
    revocation_lists,
    root,
    served,
    statement,
    timestamp_service,
)
from hypothesis import given
from hypothesis import strategies as st
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature, validate_pdf_timestamp
from pyhanko_certvalidator import ValidationContext

from kit.canonical import canonical
from kit.errors import SigningError
from kit.record.signatures.backends.kms import open_kms
from kit.record.signatures.backends.pkcs12 import open_pkcs12
from kit.record.signatures.keys import SigningKey, hold_certificate, to_asn1
from kit.record.signatures.pades import STATEMENT, append_signature, field_name
from kit.record.signatures.places import BOXES, PAGES
from kit.record.signatures.stamp import CUT, lay_out, printable
from kit.record.signatures.statement import ROLES, Role, Statement
from kit.sandbox.server import Sandbox

HOSTILE = "\x00\u202eevil \x1b[31m (paren) %(x)s \\ ) Tj ET\nnext\tline"
REFUSAL = bytes.fromhex("30053003020102")
"""What a timestamp service says that refuses: the status `rejection`, and no token [RFC 3161, 2.4.2]."""
SCRIPTS = "Ωmega Жук שלום עולם 12 مرحبا 中文 a\u0301\u0301\u0301"


@pytest.fixture(scope="session")
def key_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Identity], SigningKey]:
    """Opens the key of somebody, from a file."""
    folder = tmp_path_factory.mktemp("keys")

    def opened(who: Identity) -> SigningKey:
        with open_pkcs12(who.write_p12(folder / "key.p12"), PASSPHRASE) as key:
            return key

    return opened


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("record") / "record.pdf"
    path.write_bytes(record_pdf())
    return path


@pytest.fixture
def sign(sealed: Path, tmp_path: Path, key_of: Callable[[Identity], SigningKey]) -> Callable[..., Path]:
    """Signs a file as somebody, and returns the new one, named after the role."""

    def signed(role: Role = "executor", who: Identity | None = None, source: Path = sealed, **more: Any) -> Path:
        target = tmp_path / f"{role}.pdf"
        append_signature(source, target, statement(role, **more), key_of(who or person()))
        return target

    return signed


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    return root().write_pem(tmp_path / "roots.pem")


@pytest.fixture(scope="session")
def tool() -> Callable[..., str]:
    """Runs a program of qpdf or poppler; without it the test is skipped, but under TRAILKIT_CI it fails."""

    def run(name: str, *arguments: str | Path) -> str:
        if not shutil.which(name):
            missing = f"no {name} on this machine: apt-get install qpdf poppler-utils"
            pytest.fail(missing) if os.environ.get("TRAILKIT_CI") else pytest.skip(missing)
        done = subprocess.run([name, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def validated(path: Path) -> list[Any]:
    """Return what pyHanko makes of every signature and timestamp of a file, under our root."""
    roots = [to_asn1(root().certificate)]
    with path.open("rb") as stream:
        reader = PdfFileReader(stream)
        return [
            validate_pdf_signature(
                one, ValidationContext(trust_roots=roots), ValidationContext(trust_roots=roots), skip_diff=True
            )
            if one.sig_object["/Type"] == "/Sig"
            else validate_pdf_timestamp(one, ValidationContext(trust_roots=roots), skip_diff=True)
            for one in reader.embedded_signatures
        ]


def held(status: Any) -> bool:
    return bool(status.intact and status.valid and status.trusted)


def stated(path: Path, role: Role) -> tuple[bytes, dict[str, str]]:
    """Return the statement in the field of a role, and what else its signature says in text."""
    with pikepdf.open(path) as pdf:
        (found,) = [one for one in pdf.Root.AcroForm.Fields if str(one.T) == field_name(role)]
        kinds = (pikepdf.String, pikepdf.Name)
        return bytes(found[STATEMENT]), {
            name: str(value) for name, value in found.V.items() if isinstance(value, kinds) and name != "/Contents"
        }


def replaced(before: Path, after: Path) -> dict[str, set[str]]:
    """Return the objects of a file that its last revision replaces, by type, with the entries that are other ones."""
    with before.open("rb") as first, after.open("rb") as second:
        old, new = PdfFileReader(first), PdfFileReader(second)
        written = new.xrefs.explicit_refs_in_revision(new.xrefs.total_revisions - 1)
        found = {}
        for reference in written:
            if reference.idnum < old.trailer["/Size"]:
                was, now = old.get_object(reference), new.get_object(reference)
                other = {name for name in {*was, *now} if repr(was.get(name)) != repr(now.get(name))}
                found[str(was.get("/Type", "form or DSS"))] = other
        return found


@dataclass(frozen=True)
class Line:
    """A line of a visible block; position, width and font size are in points, within the block."""

    text: str
    x: float
    y: float
    width: float
    size: float
    glyphs: tuple[int, ...]


def block(path: Path, role: Role) -> list[Line]:
    """Return the lines that a visible block prints, measured by the widths that its font states."""
    with pikepdf.open(path) as pdf:
        (widget,) = [one for one in pdf.pages[-1].Annots if str(one.get("/T")) == field_name(role)]
        form = widget.AP.N
        listed = list(form.Resources.Font.F1.DescendantFonts[0].W)
        widths: dict[int, float] = {}
        for first, row in zip(listed[::2], listed[1::2], strict=True):
            widths |= {int(first) + number: float(width) for number, width in enumerate(row)}
        lines: list[Line] = []
        size = narrowed = 0.0
        for operands, operator in pikepdf.parse_content_stream(form):
            if str(operator) == "Tf":
                size = float(operands[1])
            elif str(operator) == "Tm":
                narrowed = float(operands[0])
                lines.append(Line("", float(operands[4]), float(operands[5]), 0.0, size, ()))
            elif str(operator) == "BDC":
                lines[-1] = replace(lines[-1], text=lines[-1].text + str(operands[1].ActualText))
            elif str(operator) in {"TJ", "Tj"}:
                shown = list(operands[0]) if str(operator) == "TJ" else [operands[0]]
                pieces = [bytes(one) for one in shown if isinstance(one, pikepdf.String)]
                glyphs = tuple(int.from_bytes(one[at : at + 2]) for one in pieces for at in range(0, len(one), 2))
                width = sum(widths[glyph] for glyph in glyphs) / 1000 * size * narrowed
                lines[-1] = replace(lines[-1], width=lines[-1].width + width, glyphs=lines[-1].glyphs + glyphs)
        return lines


def words(path: Path, role: Role) -> str:
    return " ".join(line.text for line in block(path, role))


@pytest.mark.parametrize(
    "who",
    [person(), person(EXECUTOR, "p256"), person(EXECUTOR, "p384"), person(EXECUTOR, "p521")],
    ids=["RSA", "P-256", "P-384", "P-521"],
)
def test_signature_holds_under_its_root(sign: Callable[..., Path], who: Identity) -> None:
    (status,) = validated(sign(who=who))
    assert held(status)
    assert status.coverage.name == "ENTIRE_FILE"
    assert status.md_algorithm in {"sha256", "sha384", "sha512"}


def test_every_signature_keeps_all_bytes_before_it(sealed: Path, sign: Callable[..., Path]) -> None:
    files = [sealed]
    for role, name in zip(ROLES, (EXECUTOR, REVIEWER, APPROVER), strict=True):
        files.append(sign(role, person(name), files[-1], name=name))
        before, after = (path.read_bytes() for path in files[-2:])
        assert after.startswith(before)
        assert after.count(b"%%EOF") == before.count(b"%%EOF") + 1
    assert [held(status) for status in validated(files[-1])] == [True] * 3


def test_the_same_statement_and_key_make_the_same_file(
    sign: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sign().read_bytes()
    # the clock by which fontTools would date the font
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert sign().read_bytes() == first
    assert sign(meaning="Another meaning.").read_bytes() != first


def test_signature_replaces_the_catalog_and_the_last_page_alone(sealed: Path, sign: Callable[..., Path]) -> None:
    first = sign()
    assert replaced(sealed, first) == {"/Catalog": {"/AcroForm", "/Extensions"}, "/Page": {"/Annots"}}
    assert replaced(first, sign("reviewer", source=first)) == {"/Page": {"/Annots"}, "form or DSS": {"/Fields"}}


def test_field_holds_the_statement_and_what_readers_look_for(sign: Callable[..., Path]) -> None:
    more: dict[str, Any] = {"meaning": HOSTILE, "deviations": ("DEV-01",), "reason": "שלום"}
    written, signed = stated(sign("approver", **more), "approver")
    assert written == canonical(statement("approver", **more).to_json())
    assert Statement.from_json(json.loads(written)) == statement("approver", **more)
    assert signed == {
        "/Type": "/Sig",
        "/Filter": "/Adobe.PPKLite",
        "/SubFilter": "/ETSI.CAdES.detached",
        "/M": "D:20261124093000Z",
        "/Name": EXECUTOR,
        "/Reason": HOSTILE,
    }


def test_widget_is_one_that_pdfa_allows(sign: Callable[..., Path]) -> None:
    with pikepdf.open(sign()) as pdf:
        (widget,) = pdf.pages[-1].Annots
        # printed and locked; not hidden, invisible or without a view (ISO 19005-3, 6.3.2)
        assert int(widget.F) == 0b10000100
        assert [float(one) for one in widget.Rect] == [float(one) for one in BOXES["executor"]]
        assert set(widget.AP) == {"/N"}
        assert not {"/A", "/AA", "/DA", "/MK"} & set(widget)
        assert set(pdf.Root.AcroForm) == {"/Fields", "/SigFlags"}
        form = widget.AP.N
        assert set(form) == {"/Type", "/Subtype", "/BBox", "/Resources", "/Filter", "/Length"}
        assert set(form.Resources) == {"/Font"}
        descriptor = form.Resources.Font.F1.DescendantFonts[0].FontDescriptor
        assert int(descriptor.FontFile2.Length1) == len(descriptor.FontFile2.read_bytes())
        assert re.match(r"/[A-Z]{6}\+DejaVuSans$", str(descriptor.FontName))


def test_metadata_stays_as_it_was_sealed(sealed: Path, sign: Callable[..., Path]) -> None:
    with pikepdf.open(sealed) as before, pikepdf.open(sign()) as after:
        assert before.Root.Metadata.read_bytes() == after.Root.Metadata.read_bytes()
        assert before.docinfo.to_json() == after.docinfo.to_json()
        assert before.trailer.ID[0] == after.trailer.ID[0]
        assert before.trailer.ID[1] != after.trailer.ID[1]


# The visible block


def test_boxes_are_on_every_page_and_apart() -> None:
    assert list(BOXES) == list(ROLES)
    for width, height in PAGES.values():
        for left, bottom, right, top in BOXES.values():
            assert 0 < left < right < width
            assert 0 < bottom < top < height
    tops = [box[3] for box in BOXES.values()]
    assert all(above[1] >= below for above, below in zip(BOXES.values(), tops[1:], strict=False))


def test_block_prints_what_is_stated(sign: Callable[..., Path]) -> None:
    more = {"verdict": "FAIL", "deviations": ("DEV-01", "DEV-02"), "reason": "The key is rotated by hand.",
            "signer_caller": CALLER}  # fmt: skip
    given = statement("approver", APPROVER, **more)
    shown = words(sign("approver", name=APPROVER, **more), "approver")
    for text in (
        "Approved by", APPROVER, given.meaning, "2026-11-24T09:30:00.000Z", given.subject, given.record_id,
        given.record_digest, "FAIL", "DEV-01, DEV-02", given.reason, CALLER, f"{EXECUTOR}, {given.caller}",
    ):  # fmt: skip
        assert text in shown


@pytest.mark.parametrize(
    "text", [HOSTILE, "A" * 500, SCRIPTS * 20, "", " ", "\u0647\u0690" * 300],
    ids=["hostile", "long word", "scripts", "empty", "blank", "joined letters"],
)  # fmt: skip
def test_block_never_leaves_its_box(sign: Callable[..., Path], text: str) -> None:
    signed = sign("approver", name=text, meaning=text, subject=text, reason=text, deviations=(text,), caller=text)
    left, bottom, right, top = BOXES["approver"]
    for line in block(signed, "approver"):
        assert line.size >= 5
        assert 0 < line.y < top - bottom - line.size
        assert line.x > 0
        assert line.x + line.width <= right - left
        assert 0 not in line.glyphs
    assert held(*validated(signed))


def test_long_text_is_cut_and_leaves_room_for_the_others(sign: Callable[..., Path]) -> None:
    signed = sign("approver", meaning="word " * 2_000, reason="A" * 5_000, verdict="FAIL")
    lines = block(signed, "approver")
    assert min(line.size for line in lines) == 5
    assert sum(line.text.endswith(CUT) for line in lines) == 2
    assert statement().record_digest in words(signed, "approver")
    assert json.loads(stated(signed, "approver")[0])["reason"] == "A" * 5_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zoë Ōyama", "Zoë Ōyama"),
        ("a\x00b\u202ec\x1bd\u200be", "a⟨U+0000⟩b⟨U+202E⟩c⟨U+001B⟩d⟨U+200B⟩e"),
        ("one\n two\t three\r\n", "one two three"),
        ("中", "⟨U+4E2D⟩"),
        ("a" + "\u0301" * 4, "a\u0301\u0301⟨U+0301⟩⟨U+0301⟩"),
        ("\ud800", "⟨U+D800⟩"),
    ],
    ids=["plain", "hidden", "white space", "no glyph", "piled marks", "lone surrogate"],
)
def test_characters_that_can_not_be_printed_are_written_out(text: str, expected: str) -> None:
    known = dict.fromkeys(map(ord, "Zoë Ōyamabcdehnrtw0123456789BDEU+\u0301⟨⟩"), "")
    assert printable(text, known) == expected


def test_code_points_have_plain_brackets_where_the_font_has_no_others() -> None:
    assert printable("中\x00", dict.fromkeys(map(ord, "[]U+0"), "")) == "[U+4E2D][U+0000]"


@given(st.lists(st.tuples(st.sampled_from(["", "Reason"]), st.text("ab ", max_size=3_000)), min_size=1, max_size=11))
def test_layout_fits_whatever_is_stated(texts: list[tuple[str, str]]) -> None:
    widths = dict.fromkeys("ab …,wholetxinsgur", 0.6)
    size, lines = lay_out(texts, widths, 481, 138)
    assert 5 <= size <= 8.5
    assert len(lines) * size * 1.2 <= 138
    assert all(len(line) * 0.6 * size <= 481 - 74 + 1e-6 for _, line in lines)
    assert len(lines) >= len(texts)


def test_right_to_left_is_set_in_its_own_order_among_others(sign: Callable[..., Path]) -> None:
    lines = {
        line.text: line.glyphs for line in block(sign(name="שלום", meaning="ab 12", reason="ab שלום 12"), "executor")
    }
    word, others, mixed = lines["שלום"], lines["ab 12"], lines["ab שלום 12"]
    assert mixed == (*others[:3], *word, *others[2:])


# Keys in files


@pytest.mark.parametrize(
    ("content", "passphrase", "message"),
    [
        (lambda path: person().write_p12(path), "wrong-passphrase", "passphrase is wrong"),
        (lambda path: person().write_p12(path), "", "passphrase is wrong"),
        (lambda path: path.write_bytes(b"-----BEGIN CERTIFICATE-----"), "a-passphrase", "is no PKCS#12 file"),
        (lambda path: path.write_bytes(b""), "a-passphrase", "is no PKCS#12 file"),
        (lambda path: path.write_bytes(pkcs12.serialize_key_and_certificates(
            b"x", None, person().certificate, None, BestAvailableEncryption(b"a-passphrase"))),
         "a-passphrase", "holds no private key"),
        (lambda path: path.write_bytes(pkcs12.serialize_key_and_certificates(
            b"x", person().key, None, None, BestAvailableEncryption(b"a-passphrase"))),
         "a-passphrase", "holds no certificate"),
        (lambda path: path.mkdir(), "a-passphrase", "can't be read: Is a directory"),
        (lambda path: path.exists(), "a-passphrase", "can't be read: No such file"),
        (lambda path: odd("on another curve").write_p12(path), PASSPHRASE, "another kind: secp256k1"),
    ],
    ids=["wrong passphrase", "no passphrase", "PEM", "empty", "no key", "no certificate", "folder", "missing", "curve"],
)  # fmt: skip
def test_key_file_that_can_not_be_used_is_refused(
    tmp_path: Path, content: Callable[[Path], Any], passphrase: str, message: str
) -> None:
    content(tmp_path / "key.p12")
    with pytest.raises(SigningError, match=message) as caught, open_pkcs12(tmp_path / "key.p12", passphrase):
        pytest.fail("it was opened")
    assert "\n" not in caught.value.message + caught.value.remedy
    assert not passphrase or passphrase not in str(caught.value)


@pytest.mark.parametrize("passphrase", [PASSPHRASE, ""], ids=["encrypted", "not encrypted"])
def test_key_file_brings_its_chain(tmp_path: Path, passphrase: str) -> None:
    path = person().write_p12(tmp_path / "key.p12", passphrase)
    with open_pkcs12(path, passphrase) as key:
        assert {one.subject.native["common_name"] for one in key.signer.cert_registry} == {
            "Throw-away Issuing CA", "Throw-away Root CA"}  # fmt: skip
        assert (key.name, key.caller) == (EXECUTOR, "")
        assert key.subject == f"CN={EXECUTOR},O=Quality\\, Ltd,C=CH"


def test_name_is_the_whole_subject_where_there_is_no_common_name(key_of: Callable[[Identity], SigningKey]) -> None:
    assert key_of(odd("without a common name")).name == "O=Quality\\, Ltd"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("expired", "expired on 2021-01-01"),
        ("not yet valid", "not valid before 2040-01-01"),
        ("not for signing", "its key usage forbids it"),
    ],
)
def test_certificate_that_can_not_sign_is_refused(
    key_of: Callable[[Identity], SigningKey], case: str, message: str
) -> None:
    with pytest.raises(SigningError, match=message):
        hold_certificate(key_of(odd(case)), NOW)


@pytest.mark.parametrize("case", ["self-signed", "without key usage", "of another authority"])
def test_certificate_in_force_may_sign(key_of: Callable[[Identity], SigningKey], case: str) -> None:
    hold_certificate(key_of(odd(case)), NOW)


# What is refused leaves nothing


def refused(
    source: Path,
    key: SigningKey,
    match: str,
    *,
    target: Path | None = None,
    stated: Statement | None = None,
    **more: Any,
) -> SigningError:
    target = target or source.with_name("refused.pdf")
    with pytest.raises(SigningError, match=match) as caught:
        append_signature(source, target, stated or statement(), key, **more)
    assert not target.exists()
    assert "\n" not in caught.value.message + caught.value.remedy
    return caught.value


def test_role_signs_once(sign: Callable[..., Path], key_of: Callable[[Identity], SigningKey]) -> None:
    refused(sign(), key_of(person()), "the executor has signed already")


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7 nonsense", b"%PDF-1.7\n1 0 obj\n"], ids=["empty", "junk", "cut"])
def test_source_that_is_no_pdf_is_refused(
    tmp_path: Path, key_of: Callable[[Identity], SigningKey], content: bytes
) -> None:
    (tmp_path / "record.pdf").write_bytes(content)
    refused(tmp_path / "record.pdf", key_of(person()), r"record\.pdf can't be signed")


def test_source_stays_where_it_is_named_as_the_target(sealed: Path, key_of: Callable[[Identity], SigningKey]) -> None:
    with pytest.raises(OSError, match="same file"):
        append_signature(sealed, sealed, statement(), key_of(person()))
    assert sealed.read_bytes() == record_pdf()


def test_statement_that_is_no_unicode_is_refused(sealed: Path, key_of: Callable[[Identity], SigningKey]) -> None:
    refused(sealed, key_of(person()), "can't be written", stated=statement(reason="\ud800"))


@pytest.mark.parametrize("case", ["self-signed", "of another authority"])
def test_certificate_of_no_trusted_root_is_refused(
    sealed: Path, roots: Path, key_of: Callable[[Identity], SigningKey], case: str
) -> None:
    refused(sealed, key_of(odd(case)), "is not issued by a root that is trusted", trust=roots)


@pytest.mark.parametrize("content", [None, b"", b"no PEM"], ids=["missing", "empty", "junk"])
def test_roots_that_can_not_be_read_are_refused(
    sealed: Path, tmp_path: Path, key_of: Callable[[Identity], SigningKey], content: bytes | None
) -> None:
    path = tmp_path / "roots.pem"
    if content is not None:
        path.write_bytes(content)
    refused(sealed, key_of(person()), r"roots\.pem (can't be read|holds no certificates)", trust=path)


# Timestamps and revocation


def test_timestamp_is_embedded_and_what_could_not_be_had_is_said(
    sealed: Path, tmp_path: Path, roots: Path, key_of: Callable[[Identity], SigningKey]
) -> None:
    with timestamp_service() as service:
        notes = append_signature(
            sealed, tmp_path / "signed.pdf", statement(), key_of(person()), timestamp_url=service, trust=roots
        )
    assert notes == ["no revocation data is kept: the certificate names no address of any"]
    (status,) = validated(tmp_path / "signed.pdf")
    assert held(status)
    assert held(status.timestamp_validity)
    assert status.timestamp_validity.timestamp == NOW


def test_revocation_data_is_kept_and_the_last_timestamp_covers_all(
    sealed: Path, tmp_path: Path, roots: Path, key_of: Callable[[Identity], SigningKey]
) -> None:
    files = [sealed, tmp_path / "first.pdf", tmp_path / "second.pdf"]
    with revocation_lists() as lists, timestamp_service() as service:
        for role, source, target in zip(ROLES, files, files[1:], strict=False):
            key = key_of(person(EXECUTOR, "rsa", lists))
            append_signature(source, target, statement(role), key, timestamp_url=service, trust=roots)
    statuses = validated(files[-1])
    assert [held(status) for status in statuses] == [True] * 4
    assert statuses[-1].coverage.name == "ENTIRE_FILE"
    with pikepdf.open(files[-1]) as pdf:
        assert len(pdf.Root.DSS.CRLs) == 2
        names = [str(one.T) for one in pdf.Root.AcroForm.Fields]
        assert set(pdf.Root.AcroForm) == {"/Fields", "/SigFlags"}
    assert names == ["Signature-executor", "Timestamp-executor", "Signature-reviewer", "Timestamp-reviewer"]
    assert replaced(files[1], files[2])["/Page"] == {"/Annots"}


def test_revoked_certificate_is_refused(sealed: Path, key_of: Callable[[Identity], SigningKey]) -> None:
    revoked: list[Any] = []
    with revocation_lists(lambda: revoked) as lists, timestamp_service() as service:
        who = person(EXECUTOR, "rsa", lists)
        revoked.append(who.certificate)
        refused(sealed, key_of(who), "the certificate is revoked: .* 2026-02-01", timestamp_url=service)


def test_revocation_data_that_can_not_be_had_is_said(
    sealed: Path, tmp_path: Path, key_of: Callable[[Identity], SigningKey]
) -> None:
    with served(lambda *_: (404, "text/plain", b"")) as lists, timestamp_service() as service:
        key = key_of(person(EXECUTOR, "rsa", lists))
        (note,) = append_signature(sealed, tmp_path / "signed.pdf", statement(), key, timestamp_url=service)
    assert note.startswith("no revocation data of the certificate could be had: ")
    assert [held(status) for status in validated(tmp_path / "signed.pdf")] == [True]


def with_imprint(request: Any) -> Any:
    request["message_imprint"]["hashed_message"] = bytes(32)
    return request


def with_nonce(request: Any) -> Any:
    request["nonce"] = 5
    return request


@pytest.mark.parametrize(
    ("service", "message"),
    [
        (lambda: served(lambda *_: (200, "application/timestamp-reply", b"junk")), "its answer is malformed"),
        (lambda: served(lambda *_: (200, "application/timestamp-reply", REFUSAL)), "it refused, or its answer is"),
        (lambda: served(lambda *_: (500, "text/html", b"junk")), "response is malformed"),
        (lambda: timestamp_service(spoil=with_imprint), "its token is not for what was sent"),
        (lambda: timestamp_service(spoil=with_nonce), "its answer is malformed"),
        (lambda: timestamp_service(NOW + timedelta(hours=2)), "clock says 2026-11-24 09:30:00 UTC"),
        (lambda: timestamp_service(NOW - timedelta(hours=1)), "timestamp service's 2026-11-24 08:30:00 UTC"),
        (lambda: nullcontext("http://user:secret@127.0.0.1:9"), "127.0.0.1 gave no timestamp"),
        (lambda: nullcontext("ftp://user:secret@127.0.0.1"), "has no address"),
    ],
    ids=[
        "junk",
        "refusal",
        "error page",
        "another digest",
        "another nonce",
        "later",
        "earlier",
        "unreachable",
        "no web address",
    ],
)
def test_timestamp_service_that_does_not_serve_is_refused(
    sealed: Path, key_of: Callable[[Identity], SigningKey], service: Callable[[], Any], message: str
) -> None:
    with service() as address:
        error = refused(sealed, key_of(person()), message, timestamp_url=address)
    assert "secret" not in str(error)


def test_what_a_timestamp_service_says_is_told_on_one_plain_line(
    sealed: Path, key_of: Callable[[Identity], SigningKey]
) -> None:
    status = {"status": "rejection", "status_string": ["\x1b[31mno\n"]}
    said = tsp.TimeStampResp({"status": status, "time_stamp_token": {"content_type": "data", "content": b""}})
    with served(lambda *_: (200, "application/timestamp-reply", said.dump())) as address:
        error = refused(sealed, key_of(person()), r"⟨U\+001B⟩\[31mno", timestamp_url=address)
    assert error.message.isprintable()


def test_signing_without_a_timestamp_service_asks_nobody(
    sealed: Path, tmp_path: Path, roots: Path, key_of: Callable[[Identity], SigningKey]
) -> None:
    asked: list[str] = []

    def answer(path: str, *_: Any) -> tuple[int, str, bytes]:
        asked.append(path)
        return 404, "text/plain", b""

    with served(answer) as lists:
        key = key_of(person(EXECUTOR, "rsa", lists))
        assert append_signature(sealed, tmp_path / "signed.pdf", statement(), key, trust=roots) == []
    assert not asked


# Keys in KMS


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")


@pytest.mark.parametrize(
    ("who", "algorithm"),
    [
        (person(APPROVER), "RSASSA_PKCS1_V1_5_SHA_256"),
        (pss_only(APPROVER), "RSASSA_PSS_SHA_256"),
        (person(APPROVER, "p256"), "ECDSA_SHA_256"),
        (person(APPROVER, "p384"), "ECDSA_SHA_384"),
        (person(APPROVER, "p521"), "ECDSA_SHA_512"),
    ],
    ids=["RSA", "RSA-PSS", "P-256", "P-384", "P-521"],
)
def test_key_in_kms_signs(sealed: Path, tmp_path: Path, credentials: None, who: Identity, algorithm: str) -> None:
    chain = who.write_pem(tmp_path / "chain.pem")
    asked: list[str] = []
    with (
        key_service(who.key, asked=asked) as endpoint,
        open_kms("alias/qa", chain, "eu-central-1", endpoint_url=endpoint) as key,
    ):
        assert (key.name, key.caller) == (APPROVER, CALLER)
        stated = statement("approver", APPROVER, signer_caller=key.caller)
        append_signature(sealed, tmp_path / "signed.pdf", stated, key)
    assert asked == ["GetCallerIdentity", "GetPublicKey", f"Sign {algorithm}"]
    assert held(*validated(tmp_path / "signed.pdf"))


@pytest.mark.parametrize("denied", ["GetCallerIdentity", "GetPublicKey", "Sign"])
def test_denied_call_is_named(sealed: Path, tmp_path: Path, credentials: None, denied: str) -> None:
    chain = person().write_pem(tmp_path / "chain.pem")
    with (
        key_service(person().key, denied) as endpoint,
        pytest.raises(SigningError, match=rf"^{denied} was refused: AccessDenied") as caught,
        open_kms("alias/qa", chain, "eu-central-1", endpoint_url=endpoint) as key,
    ):
        append_signature(sealed, tmp_path / "signed.pdf", statement(), key)
    assert caught.value.remedy.startswith("let this identity make the call")
    assert not (tmp_path / "signed.pdf").exists()


def test_key_that_is_not_the_certificates_is_refused(tmp_path: Path, credentials: None) -> None:
    chain = person().write_pem(tmp_path / "chain.pem")
    with (
        key_service(private_key("somebody else", "rsa")) as endpoint,
        pytest.raises(SigningError, match="is not the key of the certificate"),
        open_kms("alias/qa", chain, "eu-central-1", endpoint_url=endpoint),
    ):
        pytest.fail("it was opened")


@pytest.mark.parametrize(
    ("profile", "region", "message"),
    [("nobody's", "eu-central-1", "profile"), (None, None, "region"), (None, "eu-central-1", "got no answer")],
    ids=["no such profile", "no Region", "no credentials"],
)
def test_account_that_can_not_be_asked_is_refused(
    tmp_path: Path, profile: str | None, region: str | None, message: str
) -> None:
    chain = person().write_pem(tmp_path / "chain.pem")
    with pytest.raises(SigningError, match=message) as caught, open_kms("alias/qa", chain, region, profile):
        pytest.fail("it was opened")
    assert "\n" not in caught.value.message


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running


class TestSandbox:
    """The sandbox's KMS signs a digest as KMS does."""

    @pytest.fixture
    def made(self, sandbox: Sandbox, tmp_path: Path) -> Callable[[str], tuple[str, Path]]:
        """Makes a KMS key for a use, and a certificate of it."""

        def key(usage: str) -> tuple[str, Path]:
            kms = boto3.client("kms", endpoint_url=sandbox.endpoint, region_name="eu-central-1")
            name = kms.create_key(KeySpec="RSA_2048", KeyUsage=usage)["KeyMetadata"]["KeyId"]
            public = load_der_public_key(kms.get_public_key(KeyId=name)["PublicKey"])
            return name, issue(APPROVER, intermediate(), public=public).write_pem(tmp_path / "chain.pem")

        return key

    def test_its_key_signs_a_record(
        self, sandbox: Sandbox, made: Callable[[str], tuple[str, Path]], sealed: Path, tmp_path: Path
    ) -> None:
        name, chain = made("SIGN_VERIFY")
        with open_kms(name, chain, "eu-central-1", endpoint_url=sandbox.endpoint) as key:
            assert key.caller.endswith(":assumed-role/GxPEvidenceReader/sandbox")
            append_signature(sealed, tmp_path / "signed.pdf", statement("approver", APPROVER), key)
        (status,) = validated(tmp_path / "signed.pdf")
        assert held(status)

    def test_key_for_another_use_is_refused(self, sandbox: Sandbox, made: Callable[[str], tuple[str, Path]]) -> None:
        name, chain = made("ENCRYPT_DECRYPT")
        with (
            pytest.raises(SigningError, match="does not sign with RSASSA_PKCS1_V1_5_SHA_256"),
            open_kms(name, chain, "eu-central-1", endpoint_url=sandbox.endpoint),
        ):
            pytest.fail("it was opened")

    def test_key_that_does_not_exist_is_refused(self, sandbox: Sandbox, tmp_path: Path) -> None:
        chain = person().write_pem(tmp_path / "chain.pem")
        with (
            pytest.raises(SigningError, match="GetPublicKey was refused: NotFoundException"),
            open_kms("missing", chain, "eu-central-1", endpoint_url=sandbox.endpoint),
        ):
            pytest.fail("it was opened")


# Strangers


@pytest.fixture(scope="module")
def signed(sealed: Path, key_of: Callable[[Identity], SigningKey], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record that three have signed, with hostile, long and foreign texts."""
    path = tmp_path_factory.mktemp("signed")
    more = {"verdict": "FAIL", "deviations": ("DEV-01",), "reason": SCRIPTS * 99}
    append_signature(sealed, path / "1", statement(name=HOSTILE, meaning=HOSTILE), key_of(person()))
    other = key_of(person(REVIEWER, "p384"))
    append_signature(path / "1", path / "2", statement("reviewer", name="A" * 500), other)
    append_signature(path / "2", path / "3", statement("approver", name=SCRIPTS, **more), key_of(person(APPROVER)))
    return path / "3"


class TestStrangers:
    def test_poppler_finds_every_signature_valid(self, tool: Callable[..., str], signed: Path) -> None:
        said = tool("pdfsig", "-nocert", signed)
        assert said.count("Signature Validation: Signature is Valid.") == 3
        assert said.count("Signature Type: ETSI.CAdES.detached") == 3
        assert said.count("Total document signed") == 1

    def test_qpdf_finds_no_error(self, tool: Callable[..., str], signed: Path) -> None:
        assert "No syntax or stream encoding errors found" in tool("qpdf", "--check", signed)

    def test_attachments_are_still_there(self, tool: Callable[..., str], signed: Path) -> None:
        assert "3 embedded files" in tool("pdfdetach", "-list", signed)

    def test_every_font_is_embedded_as_a_subset(self, tool: Callable[..., str], signed: Path) -> None:
        fonts = tool("pdffonts", signed).splitlines()[2:]
        assert sum("DejaVuSans-Identity-H" in line for line in fonts) == 3
        # embedded, subset, with a map to Unicode, and the two numbers of the object
        assert all(line.split()[-5:-2] == ["yes", "yes", "yes"] for line in fonts)
