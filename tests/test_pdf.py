"""What a record's PDF carries and prints is read in flat memory; a PDF that is not as the kit writes it is told."""

import hashlib
import re
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pypdf
import pytest
from fixtures.identities import record_pdf
from fixtures.pdfs import HEADER, Update, pdf_bytes, revision, signed, small, written
from fixtures.sample_record import DIGEST, context
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.canonical import canonical, sha256
from kit.errors import RecordError, RejectionError
from kit.record.manifest import RECORD
from kit.record.pdf.contents import attachments, extract, hold_markers, hold_printed
from kit.record.pdf.file import BLOCK
from kit.record.pdf.structure import Document
from kit.record.pdf.syntax import HexString, Name, Reference, Stream, SyntaxProblem, Value, parse

RECORD_ID = context().record_id
FILES = {
    "record.ipynb": b'{"cells": []}',
    "manifest.json": b"{}",
    "evidence/E0001-sts-GetCallerIdentity.xml": b"<a/>",
}


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    path = tmp_path / "record.pdf"
    path.write_bytes(record_pdf())
    return path


def specification(update: Update, name: str) -> Reference:
    """Return the file specification of an attachment."""
    return update.find(lambda value: isinstance(value, dict) and value.get("UF") == name.encode())


def tree(update: Update) -> Reference:
    """Return the tree of attachments."""
    return Reference(update.catalog["Names"]["EmbeddedFiles"].number)


def attached(update: Update, name: str, content: bytes, **entries: Any) -> None:
    """Put another content into an attachment."""
    stream = update.old(specification(update, name))["EF"]["F"]
    update.put(stream, ({"Type": Name("EmbeddedFile"), **entries}, content))


def manifest(**other: bytes) -> bytes:
    """Return a manifest of the attached files."""
    files = {name: content for name, content in (FILES | other).items() if name != "manifest.json"}
    listed = {name: {"bytes": len(content), "sha256": sha256(content)} for name, content in files.items()}
    return canonical({"schema": 1, "kind": RECORD, "record_id": RECORD_ID, "files": listed})


def carrying(content: bytes, change: Callable[[Update], Any] = id) -> bytes:
    """Return the sample's PDF with another manifest, and whatever else is changed."""
    update = Update(record_pdf())
    attached(update, "manifest.json", content)
    change(update)
    return update.content()


# Attachments


def test_attachments_are_those_that_were_put_in(pdf: Path) -> None:
    with attachments(pdf) as found:
        assert {name: b"".join(one.blocks(100)) for name, one in found.items()} == FILES


def test_attachments_of_a_signed_pdf_are_the_same() -> None:
    with written(signed("executor")) as path, attachments(path) as found:
        assert {name: b"".join(one.blocks(100)) for name, one in found.items()} == FILES


def test_attachment_with_a_name_of_other_letters_is_found() -> None:
    def rename(update: Update) -> None:
        reference, name = specification(update, "record.ipynb"), "ü é.ipynb"
        utf8, pairs = name.encode(), update.old(tree(update))["Names"]
        told = {"F": utf8, "UF": b"\xfe\xff" + name.encode("utf-16-be")}
        update.put(reference, update.old(reference) | told)
        update.put(tree(update), {"Names": [utf8 if one == b"record.ipynb" else one for one in pairs]})

    with written(carrying(b"{}", rename)) as path, attachments(path) as found:
        assert "ü é.ipynb" in found


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "deflated"])
def test_large_attachment_is_streamed_in_flat_memory(compressed: bool) -> None:
    content = bytes(range(256)) * 4096 * 24
    stream = zlib.compress(content, 1) if compressed else content
    entries = {"Filter": Name("FlateDecode")} if compressed else {}
    put = carrying(b"{}", lambda update: attached(update, "record.ipynb", stream, **entries))
    with written(put) as path, attachments(path) as found:
        tracemalloc.start()
        hashed = hashlib.sha256()
        for block in found["record.ipynb"].blocks(len(content)):
            hashed.update(block)
        digest, peak = hashed.hexdigest(), tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert digest == sha256(content)
    assert peak < 6 * BLOCK


def test_bomb_is_stopped_at_its_limit() -> None:
    bomb = zlib.compress(bytes(64 * BLOCK), 9)

    def plant(update: Update) -> None:
        attached(update, "record.ipynb", bomb, Filter=Name("FlateDecode"))

    with written(carrying(b"{}", plant)) as path, attachments(path) as found:
        taken: list[int] = []
        with pytest.raises(RejectionError, match="more than the 1048576 bytes that it may have: the attachment record"):
            taken.extend(map(len, found["record.ipynb"].blocks(BLOCK)))
        assert sum(taken) <= BLOCK


BROKEN_STREAMS = {
    "not deflated": (b"none", {"Filter": Name("FlateDecode")}, "can't be inflated"),
    "cut": (zlib.compress(b"a" * 999)[:-3], {"Filter": Name("FlateDecode")}, "does not end where its data end"),
    "with a tail": (zlib.compress(b"a") + b"b", {"Filter": Name("FlateDecode")}, "does not end where its data end"),
    "of another filter": (b"a>", {"Filter": Name("ASCIIHexDecode")}, "a filter that none"),
    "predicted": (zlib.compress(b"a"), {"Filter": Name("FlateDecode"), "DecodeParms": {}}, "a filter that none"),
    "in another file": (b"a", {"F": b"/etc/passwd"}, "a filter that none"),
}


@pytest.mark.parametrize("case", BROKEN_STREAMS)
def test_broken_stream_is_told(case: str) -> None:
    content, entries, message = BROKEN_STREAMS[case]
    with (
        written(carrying(b"{}", lambda update: attached(update, "record.ipynb", content, **entries))) as path,
        attachments(path) as found,
        pytest.raises(RejectionError, match=message),
    ):
        b"".join(found["record.ipynb"].blocks(BLOCK))


def named(update: Update, name: bytes, as_text: bytes | None = None) -> None:
    """Give an attachment another name, in all three places."""
    reference = specification(update, "record.ipynb")
    pairs = update.old(tree(update))["Names"]
    update.put(reference, update.old(reference) | {"F": name, "UF": as_text or name})
    update.put(tree(update), {"Names": [name if one == b"record.ipynb" else one for one in pairs]})


def edited(update: Update, name: str, **entries: Any) -> None:
    """Change entries of a file specification."""
    reference = specification(update, name)
    update.put(reference, update.old(reference) | entries)


def paired(update: Update, *pairs: Any) -> None:
    """Put pairs at the end of the tree of attachments."""
    update.put(tree(update), {"Names": [*update.old(tree(update))["Names"], *pairs]})


def unassociated(update: Update) -> None:
    update.put(update.root, update.catalog | {"AF": update.catalog["AF"][:1]})


BAD_ATTACHMENTS: dict[str, tuple[Callable[[Update], Any], str]] = {
    "out of the folder": (lambda update: named(update, b"../record.ipynb"), "leads out of the folder"),
    "absolute": (lambda update: named(update, b"/tmp/record.ipynb"), "leads out of the folder"),
    "in two lines": (lambda update: named(update, b"a\nb"), "leads out of the folder"),
    "with a backslash": (lambda update: named(update, b"..\\a"), "leads out of the folder"),
    "nameless": (lambda update: named(update, b""), "leads out of the folder"),
    "no text": (lambda update: named(update, b"\xff\xfe"), "has no name"),
    "half a character": (lambda update: named(update, b"a", b"\xfe\xff\xd8\x00"), "has no name"),
    "of two names": (lambda update: edited(update, "record.ipynb", F=b"other"), "more than one name"),
    "twice": (
        lambda update: paired(update, b"record.ipynb", specification(update, "record.ipynb")), "is named twice"),
    "another's": (
        lambda update: edited(update, "record.ipynb", EF=update.old(specification(update, "manifest.json"))["EF"]),
        "is that of another name too"),
    "of two contents": (
        lambda update: edited(update, "record.ipynb", EF={
            "F": update.old(specification(update, "record.ipynb"))["EF"]["F"],
            "UF": update.old(specification(update, "manifest.json"))["EF"]["F"]}), "has two contents"),
    "not embedded": (lambda update: edited(update, "record.ipynb", EF=None), "no embedded file"),
    "no stream": (lambda update: edited(update, "record.ipynb", EF={"F": update.root}), "no embedded file"),
    "unpaired": (lambda update: paired(update, b"alone"), "not flat"),
    "deeper": (lambda update: update.put(tree(update), {"Kids": []}), "not flat"),
    "not associated": (unassociated, "not those that it is associated with"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_ATTACHMENTS)
def test_attachment_with_two_readings_is_refused(case: str) -> None:
    change, message = BAD_ATTACHMENTS[case]
    with (
        written(carrying(b"{}", change)) as path,
        pytest.raises(RejectionError, match=rf"^record.signed.pdf is .*{message}"),
        attachments(path),
    ):
        pass


def test_lone_pdf_gives_its_files_back(tmp_path: Path) -> None:
    content = manifest()
    with written(carrying(content)) as path:
        assert extract(path, tmp_path / "new") == sorted(FILES)
    assert {name: (tmp_path / "new" / name).read_bytes() for name in FILES} == FILES | {"manifest.json": content}


def below_a_file(update: Update) -> None:
    """Put a file into a folder that has the name of another file."""
    edited(update, "record.ipynb", F=b"manifest.json/a", UF=b"manifest.json/a")
    pairs = [b"manifest.json/a" if one == b"record.ipynb" else one for one in update.old(tree(update))["Names"]]
    update.put(tree(update), {"Names": pairs})


EXTRACTIONS: dict[str, tuple[bytes, Callable[[Update], Any], str]] = {
    "no manifest in it": (manifest(), lambda update: named(update, b"a"), "carries, and its manifest does not list, a"),
    "file that is not there": (manifest(**{"b.json": b""}), lambda _: None, "lacks b.json"),
    "manifest that is none": (b"{}", lambda _: None, "manifest.json is not of schema"),
    "file below a file": (
        manifest(**{"manifest.json/a": b"", "record.ipynb": b""}).replace(b"record.ipynb", b"manifest.json/b"),
        below_a_file, "lacks|is where another is"),
    "file larger than listed": (
        manifest(), lambda update: attached(update, "record.ipynb", b"x" * 14), "more than the 13 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("case", EXTRACTIONS)
def test_lone_pdf_that_is_not_what_its_manifest_says_is_refused(case: str, tmp_path: Path) -> None:
    content, change, message = EXTRACTIONS[case]
    with written(carrying(content, change)) as path, pytest.raises(RejectionError, match=message):
        extract(path, tmp_path / "new")


def test_lone_pdf_without_a_manifest_is_refused(tmp_path: Path) -> None:
    def drop(update: Update) -> None:
        pairs = update.old(tree(update))["Names"]
        at = pairs.index(b"manifest.json")
        update.put(tree(update), {"Names": pairs[:at] + pairs[at + 2 :]})
        left = [one for one in update.catalog["AF"] if one != pairs[at + 1]]
        update.put(update.root, update.catalog | {"AF": left})

    with written(carrying(b"{}", drop)) as path, pytest.raises(RejectionError, match=r"carries no manifest\.json"):
        extract(path, tmp_path / "new")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "record.ipynb").write_bytes(b"mine")
    with written(carrying(manifest())) as path, pytest.raises(RecordError, match="is not empty"):
        extract(path, tmp_path)
    assert (tmp_path / "record.ipynb").read_bytes() == b"mine"


# Marks of PDF/A, and what is printed


def test_markers_and_print_of_a_record_hold(pdf: Path) -> None:
    hold_markers(pdf)
    hold_printed(pdf, RECORD_ID, DIGEST)


def test_markers_and_print_of_a_signed_record_hold() -> None:
    with written(signed("executor", "reviewer")) as path:
        hold_markers(path)
        hold_printed(path, RECORD_ID, DIGEST)


def metadata(update: Update, text: bytes) -> None:
    update.put(update.catalog["Metadata"], ({"Type": Name("Metadata"), "Subtype": Name("XML")}, text))


def xmp(update: Update, old: bytes, new: bytes) -> None:
    stream = update.old(update.catalog["Metadata"])
    text = update.stream_of(stream)
    assert old in text
    metadata(update, text.replace(old, new))


def catalog(update: Update, **entries: Any) -> None:
    made = update.catalog | entries
    update.put(update.root, {key: value for key, value in made.items() if value is not None})


def annotated(update: Update, **entries: Any) -> None:
    page = update.pages[0]
    added = update.add({"Type": Name("Annot"), "Rect": [0, 0, 9, 9]} | entries)
    update.put(page, update.old(page) | {"Annots": [*update.old(page).get("Annots", []), added]})


def with_font(update: Update, font: Any) -> None:
    page = update.pages[0]
    update.put(page, update.old(page) | {"Resources": {"Font": {"F1": font}}})


SCRIPT = {"S": Name("JavaScript"), "JS": b"app.alert(1)"}
MARKS: dict[str, tuple[Callable[[Update], Any], str]] = {
    "another part": (lambda update: xmp(update, b'part="3"', b'part="2"'), "do not claim PDF/A-3, level A"),
    "another level": (lambda update: xmp(update, b'conformance="A"', b'conformance="B"'), "do not claim PDF/A-3"),
    "two claims": (
        lambda update: xmp(update, b'pdf:Producer="', b'pdfaid:part="2" pdf:Producer="'), "do not claim PDF/A-3"),
    "claim in a comment": (lambda update: metadata(update, b"<!-- part 3 conformance A -->"), "do not claim PDF/A-3"),
    "entities": (
        lambda update: metadata(update, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), "do not claim PDF/A-3"),
    "metadata that are none": (lambda update: metadata(update, b"<a"), "do not claim PDF/A-3"),
    "metadata without an end": (lambda update: metadata(update, b"<a>" * 100_000), "do not claim PDF/A-3"),
    "metadata of another encoding": (
        lambda update: metadata(update, b'<?xml version="1.0" encoding="none"?><a/>'), "do not claim PDF/A-3"),
    "large metadata": (lambda update: metadata(update, bytes(2 * BLOCK)), "more than the 1048576 bytes"),
    "no metadata": (lambda update: catalog(update, Metadata=None), "no stream where one belongs"),
    "no output intent": (lambda update: catalog(update, OutputIntents=None), "no output intent"),
    "intent without a profile": (
        lambda update: catalog(update, OutputIntents=[{"S": Name("GTS_PDFA1")}]), "no output intent"),
    "untagged": (lambda update: catalog(update, MarkInfo={"Marked": False}), "not marked as tagged"),
    "tags without a tree": (lambda update: catalog(update, StructTreeRoot={}), "no structure tree"),
    "action on opening": (lambda update: catalog(update, OpenAction=SCRIPT), "/OpenAction"),
    "destination on opening": (lambda update: catalog(update, OpenAction=[update.pages[0]]), "/OpenAction"),
    "actions of the document": (lambda update: catalog(update, AA={}), "/AA"),
    "scripts by name": (
        lambda update: catalog(update, Names=update.catalog["Names"] | {"JavaScript": {}}), "holds /JavaScript"),
    "other names": (
        lambda update: catalog(update, Names=update.catalog["Names"] | {"Renditions": {}}), "holds /Renditions"),
    "XFA": (lambda update: catalog(update, AcroForm={"Fields": [], "XFA": []}), "/XFA"),
    "actions of a page": (
        lambda update: update.put(update.pages[1], update.old(update.pages[1]) | {"AA": {}}), "/AA"),
    "script of a link": (
        lambda update: annotated(update, Subtype=Name("Link"), A=update.add(SCRIPT)), "/JavaScript|/JS"),
    "program of a link": (
        lambda update: annotated(update, Subtype=Name("Link"), A={"S": Name("Launch"), "F": b"calc"}), "/Launch"),
    "second action of a link": (
        lambda update: annotated(
            update, Subtype=Name("Link"), A={"S": Name("URI"), "URI": b"a", "Next": {"S": Name("Launch")}}),
        "an action that is no link"),
    "action of a bookmark": (
        lambda update: update.put(update.catalog["Outlines"], update.old(update.catalog["Outlines"]) | {
            "First": update.add({"Title": b"a", "A": {"S": Name("SubmitForm"), "F": b"a"}})}), "/SubmitForm"),
    "note": (lambda update: annotated(update, Subtype=Name("FreeText")), "no link and no signature: /FreeText"),
    "file on a page": (lambda update: annotated(update, Subtype=Name("FileAttachment")), "/FileAttachment"),
    "film": (lambda update: annotated(update, Subtype=Name("RichMedia")), "/RichMedia"),
    "text field": (lambda update: annotated(update, Subtype=Name("Widget"), FT=Name("Tx")), "/Widget"),
    "font of the viewer": (
        lambda update: with_font(update, {"Type": Name("Font"), "Subtype": Name("Type1"), "BaseFont": Name("Courier")}),
        "the font Courier is not embedded"),
    "font without its file": (
        lambda update: with_font(update, {"Type": Name("Font"), "Subtype": Name("Type0"), "BaseFont": Name("A"),
            "DescendantFonts": [{"Type": Name("Font"), "Subtype": Name("CIDFontType2"), "BaseFont": Name("B"),
                                 "FontDescriptor": {}}]}), "the font B is not embedded"),
    "font that is none": (lambda update: with_font(update, {}), "a font that is none"),
}  # fmt: skip


@pytest.mark.parametrize("case", MARKS)
def test_missing_mark_or_active_content_is_refused(case: str) -> None:
    change, message = MARKS[case]
    update = Update(record_pdf())
    change(update)
    with (
        written(update.content()) as path,
        pytest.raises(RejectionError, match=rf"^record.signed.pdf is .*(?:{message})"),
    ):
        hold_markers(path)


@pytest.mark.parametrize(
    ("record_id", "digest", "what"),
    [("IQ-20261102T091401Z-7f3b", DIGEST, "id"), (RECORD_ID, "0" * 64, "digest"), (RECORD_ID, "", "digest")],
    ids=["another id", "another digest", "no digest"],
)
def test_page_that_prints_another_record_is_refused(pdf: Path, record_id: str, digest: str, what: str) -> None:
    with pytest.raises(RejectionError, match=rf"does not print the record's {what} on page 1\n"):
        hold_printed(pdf, record_id, digest)


def test_one_page_without_its_digest_is_named() -> None:
    """The content of one page is that of the next, with the digits of the digest taken out."""
    with written(record_pdf()) as path, Document(path) as document:
        view = document.view()
        page = view.dictionary(view.pages()[4], "page")
        stream = view.resolve(page["Contents"])
        text = document.data(stream)
        head, mark, tail = text.rpartition(b"TJ\nET\nEMC\nQ\nQ\nq\nq\n/Span")
        content = bytearray(record_pdf())
        content[stream.start : stream.start + stream.length] = _packed(
            head[: head.rindex(b"[")] + b"[]" + mark + tail, stream.length
        )
        path.write_bytes(content)
        with pytest.raises(RejectionError, match=r"does not print the record's digest on page 5\n"):
            hold_printed(path, RECORD_ID, DIGEST)


def _packed(content: bytes, length: int) -> bytes:
    """Return content deflated to exactly a length: what is left is filled with empty blocks."""
    deflating = zlib.compressobj(9)
    made = deflating.compress(content) + deflating.flush(zlib.Z_SYNC_FLUSH)
    left = length - len(made) - len(zlib.compress(b"")) + 2
    made += b"\x00\x00\x00\xff\xff" * (left // 5)
    tail = deflating.flush()
    filler = length - len(made) - len(tail)
    assert filler >= 0
    return made + tail if not filler else _packed(content + b" " * filler, length)


def test_long_id_is_printed_cut() -> None:
    from nbformat.v4 import new_notebook

    from kit.render.html import render_html
    from kit.render.pdf import render_pdf

    record = context(record_id="IQ-20261102T091401Z-" + "f" * 40, evidence=())
    content = render_pdf(render_html(new_notebook(), record), record)
    with written(content, "record.pdf") as path:
        hold_printed(path, record.record_id, DIGEST)
        with pytest.raises(RejectionError, match="does not print the record's id"):
            hold_printed(path, "IQ-20261102T091401Z-" + "e" * 40, DIGEST)


def test_text_is_what_another_reader_reads(pdf: Path) -> None:
    from kit.record.pdf.contents import _printed

    with Document(pdf) as document:
        ours = list(_printed(document.view(0)))
    theirs = ["".join(page.extract_text().split()) for page in pypdf.PdfReader(pdf).pages]
    assert [sorted(text) for text in ours] == [sorted(text) for text in theirs]


# Malformed files


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"<</A 1/B[-2 .5 1. +3]>> ", {"A": 1, "B": [-2, 0.5, 1.0, 3]}),
        (rb"(a\(b\)(c)\\\101\7\n" + b"\\\nd\r\ne)", b"a(b)(c)\\A\x07\nd\ne"),
        (b"<4 1 5>", b"AP"),
        (b"/A#20B ", "A B"),
        (b"12 0 R ", Reference(12)),
        (b"[true false null]", [True, False, None]),
    ],
    ids=["numbers", "string", "hexadecimal", "name", "reference", "words"],
)
def test_syntax_is_read(text: bytes, value: Value) -> None:
    assert parse(text, 0)[0] == value


def test_place_of_a_hexadecimal_string_is_that_of_its_brackets() -> None:
    value, _ = parse(b"[ <00> ]", 0, base=10)
    assert isinstance(value[0], HexString)
    assert (value[0].start, value[0].end) == (12, 16)


BAD_SYNTAX = {
    "key twice": b"<</A 1/A 1>>",
    "name in disguise": b"/J#61va",
    "name with a NUL": b"/A#00",
    "name with half an escape": b"/A#0",
    "comment": b"[1 % 2\n]",
    "another generation": b"1 2 R",
    "object zero": b"0 0 R",
    "array without an end": b"[1",
    "array closed as a dictionary": b"[1>>",
    "dictionary closed as an array": b"<</A 1]",
    "key that is no name": b"<<1 2>>",
    "key without a value": b"<</A>>",
    "string without an end": b"((a)",
    "odd letters in hexadecimal": b"<0g>",
    "depth": b"[" * 5000 + b"]" * 5000,
    "end alone": b"]",
    "exponent": b"1e5",
    "word": b"True",
    "nothing": b"",
}


@pytest.mark.parametrize("case", BAD_SYNTAX)
def test_syntax_with_two_readings_is_refused(case: str) -> None:
    with pytest.raises(SyntaxProblem):
        parse(BAD_SYNTAX[case], 0)


PAGE = pdf_bytes({"Type": Name("Page"), "Parent": Reference(2)})
TREE = pdf_bytes({"Type": Name("Pages"), "Kids": [Reference(3)], "Count": 1})
ROOT = pdf_bytes({"Type": Name("Catalog"), "Pages": Reference(2)})
WHOLE = {1: ROOT, 2: TREE, 3: PAGE}
STREAM = pdf_bytes(({}, b"abc"))


def test_small_pdf_is_read() -> None:
    for content in (small(WHOLE), small({4: STREAM}, WHOLE), small(WHOLE, Size=5, Index=[0, 5])):
        with written(content) as path, Document(path) as document:
            assert document.view().pages() == [Reference(3)]


MALFORMED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "does not start as one"),
    "text": (b"Hello\n" * 99, "does not start as one"),
    "another version": (small(WHOLE).replace(b"1.7", b"2.0", 1), "does not start as one"),
    "bytes before": (b"\n" + small(WHOLE), "does not start as one"),
    "bytes after": (small(WHOLE) + b"a", "something follows its end"),
    "two ends of lines after": (small(WHOLE) + b"\n", "something follows its end"),
    "no end": (small(WHOLE)[:-7], "does not end as one"),
    "cross-reference elsewhere": (
        re.sub(rb"startxref\n\d+", b"startxref\n15", small(WHOLE)), "no cross-reference stream where"),
    "cross-reference beyond the end": (
        re.sub(rb"startxref\n\d+", b"startxref\n99999", small(WHOLE)), "not in the order"),
    "table for a cross-reference": (
        HEADER + b"xref\n0 1\n0000000000 65535 f \ntrailer\n<</Size 1>>\nstartxref\n15\n%%EOF\n", "is malformed"),
    "table beside it": (small(WHOLE, XRefStm=15), "holds what none of a record holds"),
    "encrypted": (small(WHOLE, Encrypt=Reference(1)), "holds what none of a record holds"),
    "loop of revisions": (small(WHOLE, Prev=15), "no cross-reference stream where"),
    "revision before the start": (small(WHOLE, Prev=0), "not in the order"),
    "revision that is no number": (small(WHOLE, Prev=b"a"), "not in the order"),
    "widths of another kind": (small(WHOLE, W=[1, 8, 0]), "widths that none"),
    "widths that are none": (small(WHOLE, W=[1, 8, -2]), "list of numbers /W"),
    "huge widths": (small(WHOLE, W=[1, 8, 2**40]), "widths that none"),
    "huge size": (small(WHOLE, Size=10**9), "a size that none"),
    "huge section": (small(WHOLE, Index=[0, 10**9]), "another number of objects"),
    "empty section": (small(WHOLE, Index=[0, 5, 9, 0]), "another number of objects"),
    "sections that overlap": (small(WHOLE, Index=[0, 3, 2, 3]), "lists an object twice"),
    "two sections at first": (small(WHOLE, Index=[0, 2, 2, 3]), "another number of objects"),
    "smaller size": (small(WHOLE, Size=4), "another number of objects"),
    "table that is too short": (small(WHOLE, W=[1, 9, 8]).replace(b"[1 9 8]", b"[1 8 8]"), "shorter than it says"),
    "freed object": (small(WHOLE, entries={3: (0, 0, 0)}), "frees or hides the object 3"),
    "object of an unknown kind": (small(WHOLE, entries={3: (3, 0, 0)}), "frees or hides the object 3"),
    "object of a generation": (small(WHOLE, entries={3: (1, 15, 1)}), "frees or hides the object 3"),
    "head of a list of freed objects": (small(WHOLE, entries={0: (0, 3, 0)}), "frees or hides the object 0"),
    "cross-reference that is not listed": (
        revision(HEADER, WHOLE, 4, {"Root": Reference(1)}, {4: (1, 15, 0)}), "does not list itself"),
    "object under two numbers": (small(WHOLE, entries={3: (1, 15, 0)}), "is malformed|does not end before|not where"),
    "object beyond the end": (small(WHOLE, entries={3: (1, 10**15, 0)}), "does not list itself"),
    "bytes in a gap": (small(WHOLE | {2: TREE + b"\nendobj\n% a"}), "something follows the object 2"),
    "object that is not listed": (
        small(WHOLE | {2: TREE + b"\nendobj\n9 0 obj\n<<>>"}), "something follows the object 2"),
    "bytes before the first object": (
        revision(HEADER + b"%a\n", WHOLE, 4, {"Root": Reference(1)}, {}), "belong to no object"),
    "object of another number": (small(WHOLE).replace(b"\n2 0 obj", b"\n7 0 obj"), "the object 2 is not where"),
    "object with a tail": (small(WHOLE | {3: PAGE + b" 5"}), "is malformed"),
    "object without an end": (small(WHOLE | {3: b"[1"}), "is malformed"),
    "stream without its length": (small(WHOLE | {4: STREAM.replace(b"/Length 3", b"")}), "no length"),
    "stream with a length elsewhere": (small(WHOLE | {4: STREAM.replace(b"3", b"1 0 R")}), "no length"),
    "stream that is longer": (small(WHOLE | {4: STREAM.replace(b"3", b"2")}), "something follows the object 4"),
    "stream of an array": (small(WHOLE | {4: b"[]\nstream\n\nendstream"}), "no dictionary of a stream"),
    "stream that swallows the next": (
        small({1: ROOT, 2: TREE, 3: PAGE, 4: STREAM.replace(b"3", b"9999")}), "no length"),
    "cross-reference within": (
        small(WHOLE | {4: pdf_bytes(({"Type": Name("XRef")}, b""))}), "the object 4 hides other objects"),
    "two object streams": (
        small({4: STREAM, 5: STREAM}, WHOLE, entries={3: (2, 4, 0)}), "more than one object stream"),
    "object stream that is none": (small({4: STREAM}, WHOLE, pool={"Type": Name("X")}), "is no object stream"),
    "object stream of another count": (small({4: STREAM}, WHOLE, pool={"N": 2}), "holds other objects"),
    "object stream with a huge head": (small({4: STREAM}, WHOLE, pool={"First": 10**6}), "is no object stream"),
    "object stream with a hidden object": (
        small({4: STREAM}, WHOLE | {4: ROOT}, entries={4: (1, len(HEADER), 0)}), "holds other objects"),
    "object stream with a gap": (
        small({1: ROOT, 2: TREE, 4: pdf_bytes(
            ({"Type": Name("ObjStm"), "N": 1, "First": 5}, b"3 9  (hidden) " + PAGE))}, entries={3: (2, 4, 0)}),
        "holds other objects"),
    "objects in another order": (
        small({4: STREAM}, WHOLE, entries={2: (2, 5, 2), 3: (2, 5, 1)}), "holds other objects"),
    "compressed object with a tail": (small({4: STREAM}, WHOLE | {3: PAGE + b" 1"}), "the object 3 is malformed"),
    "no catalog": (small(WHOLE, Root=None), "no catalog"),
    "catalog that is not there": (small(WHOLE, Root=Reference(9)), "there is no object 9"),
    "mere reference": (small(WHOLE | {2: b"3 0 R"}), "a mere reference"),
    "tree that is deeper": (small(WHOLE | {3: TREE}), "is no page"),
    "page twice": (
        small(WHOLE | {2: TREE.replace(b"[3 0 R]", b"[3 0 R 3 0 R]").replace(b"1>>", b"2>>")}), "counts other pages"),
    "another count of pages": (small(WHOLE | {2: TREE.replace(b"1>>", b"2>>")}), "counts other pages"),
    "no pages": (small(WHOLE | {2: b"<</Kids[]/Count 0>>"}), "counts other pages"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_pdf_is_told_by_name_and_reason(case: str) -> None:
    content, message = MALFORMED[case]
    with (
        written(content, "a.pdf") as path,
        pytest.raises(RejectionError, match=rf"^a\.pdf is no PDF of a record: .*(?:{message})"),
        Document(path) as document,
    ):
        document.view().pages()


def test_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RejectionError, match=r"^a\.pdf can't be read"):
        Document(tmp_path / "a.pdf")


def _all_attached(path: Path) -> None:
    with attachments(path) as found:
        for one in found.values():
            b"".join(one.blocks(1 << 16))


@cache
def plain_pdf() -> bytes:
    """Return a PDF in which no object is compressed, so that a flipped byte reaches every reader."""
    with written(record_pdf()) as path, Document(path) as document:
        view, trailer = document.view(), document.revisions[0].trailer
        wanted = {number: _plain(document, view.resolve(Reference(number))) for number in _reached(view)}
    objects = {one: wanted.get(one, b"null") for one in range(1, max(wanted) + 1)}
    return revision(HEADER, objects, max(objects) + 1, {"Root": trailer["Root"], "ID": [b"a", b"b"]}, {})


def _reached(view: Any) -> set[int]:
    from kit.record.pdf.structure import references

    seen: set[int] = {view.root.number}
    waiting = [{key: value for key, value in view.catalog.items() if key != "StructTreeRoot"}]
    waiting += [value for key, value in view.catalog.items() if key == "StructTreeRoot"]
    pages = set(view.pages()[2:])
    while waiting:
        value = waiting.pop()
        if isinstance(value, Reference):
            if value.number in seen or value in pages:
                continue
            seen.add(value.number)
            value = view.resolve(value)
        value = value.entries if isinstance(value, Stream) else value
        if isinstance(value, dict) and value.get("Type") != "StructElem":
            waiting += references(value.values())
        elif isinstance(value, list):
            waiting += references(value)
    return seen


def _plain(document: Document, value: Any) -> bytes:
    if isinstance(value, Stream):
        return pdf_bytes((value.entries, document.read(value.start, value.length)))
    return pdf_bytes(value)


@settings(max_examples=120)
@given(st.integers(min_value=0), st.binary(min_size=1, max_size=4), st.sampled_from(["put", "insert", "cut"]))
def test_whatever_is_done_to_a_pdf_is_read_or_rejected(place: int, content: bytes, how: str) -> None:
    whole = plain_pdf()
    at = place % len(whole)
    end = {"put": at + len(content), "insert": at, "cut": len(whole)}[how]
    with written(whole[:at] + content + whole[end:]) as path:
        for read in (hold_markers, lambda path: hold_printed(path, RECORD_ID, DIGEST), _all_attached):
            with suppress(RejectionError):
                read(path)
