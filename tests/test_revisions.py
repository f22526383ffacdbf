"""Whatever is appended to a record's PDF and is no signature is refused, by revision and object."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fixtures.identities import person, record_pdf
from fixtures.pdfs import NAMES, Forgery, Update, long_term, pdf_bytes, signed, small, written
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from kit.errors import RejectionError
from kit.record.pdf.syntax import Name, Reference
from kit.record.signatures.revisions import hold_revisions
from kit.record.signatures.validate import validate

SHOWN = b"q 0 0 1 rg 0 0 595 842 re f Q"


def held(content: bytes) -> list[int]:
    with written(content) as path:
        return hold_revisions(path)


def approving(role: str = "reviewer", **more: Any) -> Forgery:
    """Return a second signature, by hand, on the record that its executor signed."""
    return Forgery(signed("executor"), person(NAMES[role]), role, **more)


@pytest.mark.parametrize(
    ("content", "count"),
    [(record_pdf, 1), (lambda: signed("executor"), 2), (lambda: signed("executor", "reviewer", "approver"), 4),
     (long_term, 3)],
    ids=["unsigned", "signed", "signed by three", "for the long term"],
)  # fmt: skip
def test_signatures_alone_hold(content: Callable[[], bytes], count: int) -> None:
    whole = content()
    ends = held(whole)
    assert len(ends) == count
    assert (ends[0], ends[-1]) == (len(record_pdf()), len(whole))
    assert ends == sorted(ends)


def test_signature_by_hand_holds_as_the_kit_s_own() -> None:
    """What the forgeries below start from is sound: each is refused for what it changes."""
    content = approving().content()
    assert len(held(content)) == 3
    with written(content) as path:
        assert [one.statement.role for one in validate(path).signatures] == ["executor", "reviewer"]


def test_pyhanko_takes_what_is_held() -> None:
    """A second reader finds the same signatures, each over its whole revision."""
    with written(signed("executor", "reviewer", "approver")) as path, path.open("rb") as stream:
        for one in PdfFileReader(stream).embedded_signatures:
            context = ValidationContext(trust_roots=[])
            status = asyncio.run(async_validate_pdf_signature(one, context, skip_diff=True))
            assert (status.intact, status.valid) == (True, True)
            assert status.coverage.name in ("ENTIRE_REVISION", "ENTIRE_FILE")


# Updates without a signature


def page_edited(update: Update) -> None:
    page = update.pages[0]
    update.put(page, update.old(page) | {"Contents": update.add(({}, SHOWN))})


def content_edited(update: Update) -> None:
    update.put(update.old(update.pages[0])["Contents"], ({}, SHOWN))


def page_added(update: Update) -> None:
    tree = update.catalog["Pages"]
    pages = update.old(tree)
    added = update.add({"Type": Name("Page"), "Parent": tree})
    update.put(tree, pages | {"Kids": [*pages["Kids"], added], "Count": pages["Count"] + 1})


def attachment_swapped(update: Update) -> None:
    name = b"record.ipynb"
    specification = update.find(lambda value: isinstance(value, dict) and value.get("UF") == name)
    update.put(update.old(specification)["EF"]["F"], ({"Type": Name("EmbeddedFile")}, b"{}"))


def names_changed(update: Update) -> None:
    update.put(update.root, update.catalog | {"Names": {"EmbeddedFiles": update.add({"Names": []})}})


def annotated(update: Update) -> None:
    page = update.pages[0]
    note = update.add({"Type": Name("Annot"), "Subtype": Name("FreeText"), "Rect": [0, 0, 9, 9], "Contents": b"PASS"})
    update.put(page, update.old(page) | {"Annots": [*update.old(page)["Annots"], note]})


def annotation_removed(update: Update) -> None:
    page = update.pages[0]
    update.put(page, update.old(page) | {"Annots": update.old(page)["Annots"][1:]})


def catalogued(**entries: Any) -> Callable[[Update], None]:
    def change(update: Update) -> None:
        made = update.catalog | {key: one(update) if callable(one) else one for key, one in entries.items()}
        update.put(update.root, {key: value for key, value in made.items() if value is not None})

    return change


def script(update: Update) -> Reference:
    return update.add({"S": Name("JavaScript"), "JS": b"app.alert(1)"})


def metadata_edited(update: Update) -> None:
    update.put(update.catalog["Metadata"], ({"Type": Name("Metadata"), "Subtype": Name("XML")}, b"<a/>"))


def info_edited(update: Update) -> None:
    update.put(update.trailer["Info"], {"Title": b"PASS"})


def signature_hidden(update: Update) -> None:
    """Show nothing where the executor's block was."""
    field = update.find(lambda value: isinstance(value, dict) and value.get("T") == b"Signature-executor")
    update.put(field, {key: value for key, value in update.old(field).items() if key != "AP"})


def block_replaced(update: Update) -> None:
    field = update.find(lambda value: isinstance(value, dict) and value.get("T") == b"Signature-executor")
    update.put(update.old(field)["AP"]["N"], ({"Type": Name("XObject"), "Subtype": Name("Form")}, SHOWN))


def signature_taken_out(update: Update) -> None:
    form = update.catalog["AcroForm"]
    update.put(form, update.old(form) | {"Fields": []})


def font_replaced(update: Update) -> None:
    """Let the same codes show other letters."""
    font = update.find(lambda value: isinstance(value, dict) and value.get("Subtype") == "Type0")
    update.put(font, update.old(font) | {"ToUnicode": update.add(({}, b""))})


UPDATES: dict[str, tuple[Callable[[Update], None], str]] = {
    "page edited": (page_edited, "changes /Contents of page 1"),
    "content of a page edited": (content_edited, "replaces the object"),
    "page added": (page_added, "replaces the object"),
    "attachment swapped": (attachment_swapped, "replaces the object"),
    "name tree changed": (names_changed, "changes /Names of the catalog"),
    "annotation added": (annotated, "adds the object"),
    "annotation removed": (annotation_removed, "changes /Annots of page 1"),
    "action on opening": (catalogued(OpenAction=script), "adds /OpenAction of the catalog"),
    "actions of the document": (catalogued(AA={"WC": {}}), "adds /AA of the catalog"),
    "version": (catalogued(Version=Name("2.0")), "adds /Version of the catalog"),
    "permissions": (catalogued(Perms={}), "adds /Perms of the catalog"),
    "layers": (catalogued(OCProperties={}), "adds /OCProperties of the catalog"),
    "mark of another kind": (catalogued(MarkInfo={"Marked": 1}), "changes /MarkInfo of the catalog"),
    "language": (catalogued(Lang=b"de"), "changes /Lang of the catalog"),
    "tags removed": (catalogued(StructTreeRoot=None), "changes /StructTreeRoot of the catalog"),
    "metadata edited": (metadata_edited, "replaces the object"),
    "information edited": (info_edited, "replaces the object"),
    "signature hidden": (signature_hidden, "replaces the object"),
    "block replaced": (block_replaced, "replaces the object"),
    "signature taken out": (signature_taken_out, "changes /Fields of /AcroForm"),
    "font replaced": (font_replaced, "replaces the object"),
    "unknown extension": (
        catalogued(Extensions=lambda update: update.catalog["Extensions"] | {"ABCD": {}}), "adds /ABCD of /Extensions"),
    "stray object": (lambda update: update.add({"A": 1}) and None, "adds the object"),
    "nothing": (lambda _: None, "covered by no signature"),
    "validation data alone": (
        catalogued(DSS=lambda update: update.add({"Certs": [update.add(({}, b"a"))]})), "covered by no signature"),
    "form of another kind": (catalogued(AcroForm=lambda update: update.add({})), "another object in the place of"),
    "form inline": (catalogued(AcroForm={"Fields": [], "SigFlags": 3}), "another object in the place of"),
}  # fmt: skip


@pytest.mark.parametrize("case", UPDATES)
def test_update_without_a_signature_is_refused(case: str) -> None:
    change, message = UPDATES[case]
    update = Update(signed("executor"))
    change(update)
    with pytest.raises(RejectionError, match=rf"^record\.signed\.pdf is no PDF of a record: its .*{message}"):
        held(update.content())


def test_the_same_update_is_refused_before_any_signature() -> None:
    for name in ("page edited", "attachment swapped", "metadata edited"):
        update = Update(record_pdf())
        UPDATES[name][0](update)
        with pytest.raises(RejectionError, match=r"its revision 2 (changes|replaces)"):
            held(update.content())


# Updates that carry a signature which holds, and something else


WITH_THE_FORM_OF_A_SIGNATURE = {"form of another kind", "form inline", "signature taken out"}
WITH_A_SIGNATURE_ALLOWED = {"nothing", "validation data alone"}


@pytest.mark.parametrize("case", sorted(UPDATES.keys() - WITH_THE_FORM_OF_A_SIGNATURE - WITH_A_SIGNATURE_ALLOWED))
def test_update_is_refused_though_somebody_signs_it(case: str) -> None:
    forgery = approving()
    change, message = UPDATES[case]
    change(forgery.update)
    # to what was changed in catalog and pages, the signature's own changes are added
    for number, text in list(forgery.update.objects.items()):
        if _merged(forgery, number, text):
            del forgery.update.objects[number]
    with pytest.raises(RejectionError, match=rf"its revision 3 .*{message}"):
        held(forgery.content())


def test_form_for_more_than_appending_is_refused() -> None:
    forgery = Forgery(record_pdf())
    forgery.flags = 1
    with pytest.raises(RejectionError, match="to which is only appended"):
        held(forgery.content())


def _merged(forgery: Forgery, number: int, text: bytes) -> bool:
    from kit.record.pdf.syntax import parse

    if number == forgery.update.root.number:
        forgery.catalog = parse(text, 0)[0]
    elif Reference(number) in forgery.update.pages:
        forgery.pages[Reference(number)] = parse(text, 0)[0]
    else:
        return False
    return True


def second_field(forgery: Forgery) -> None:
    page = forgery.pages[forgery.page]
    other = forgery.update.add({"FT": Name("Tx"), "T": b"a", "Type": Name("Annot"), "Subtype": Name("Widget"),
                                "F": 4, "Rect": [0, 0, 9, 9], "P": forgery.page, "V": b"PASS"})  # fmt: skip
    page["Annots"] = [*page["Annots"], other]


def twice_placed(forgery: Forgery) -> None:
    """Put the executor's block on the page a second time."""
    page = forgery.pages[forgery.page]
    page["Annots"] = [*page["Annots"], page["Annots"][-1]]


def fields(**entries: Any) -> Callable[[Forgery], None]:
    def change(forgery: Forgery) -> None:
        made = {key: one(forgery) if callable(one) else one for key, one in entries.items()}
        forgery.field |= made

    return change


def of_signature(**entries: Any) -> Callable[[Forgery], None]:
    def change(forgery: Forgery) -> None:
        forgery.signature |= entries
        for key in [key for key, value in entries.items() if value is None]:
            del forgery.signature[key]

    return change


def of_block(**entries: Any) -> Callable[[Forgery], None]:
    def change(forgery: Forgery) -> None:
        made = {key: one(forgery) if callable(one) else one for key, one in entries.items()}
        forgery.block = (forgery.block[0] | made, SHOWN)

    return change


def wrapped(forgery: Forgery) -> None:
    """Take the executor's signature for one's own."""
    forgery.field["V"] = forgery.update.find(lambda value: isinstance(value, dict) and value.get("Type") == "Sig")


def on_two_pages(forgery: Forgery) -> None:
    first = forgery.update.pages[0]
    forgery.pages[first] = forgery.update.old(first)
    forgery.field["P"] = first


def elsewhere(forgery: Forgery) -> None:
    forgery.page = forgery.update.pages[0]
    forgery.pages = {forgery.page: forgery.update.old(forgery.page)}


def of_the_executor(forgery: Forgery) -> None:
    forgery.field["T"] = b"Signature-executor"


def without_flags(forgery: Forgery) -> None:
    forgery.flags = 1


def old_font(forgery: Forgery) -> Any:
    font = forgery.update.find(lambda value: isinstance(value, dict) and value.get("Subtype") == "Type0")
    return {"Font": {"F1": font}}


def stored(**entries: Any) -> Callable[[Forgery], None]:
    def change(forgery: Forgery) -> None:
        made = {key: one(forgery.update) if callable(one) else one for key, one in entries.items()}
        forgery.catalog["DSS"] = forgery.update.add(made)

    return change


def chain(forgery: Forgery) -> Any:
    """Return a value that is a thousand references deep."""
    value: Any = 1
    for _ in range(1000):
        value = forgery.update.add([value])
    return value


SIGNED_UPDATES: dict[str, tuple[Callable[[Forgery], None], str]] = {
    "second field": (second_field, "adds the object"),
    "field that stands for two": (twice_placed, "adds other fields than it places on pages"),
    "field with an action": (fields(A={"S": Name("JavaScript")}), "with /A, which no field"),
    "field with actions": (fields(AA={}), "with /AA, which no field"),
    "field with children": (fields(Kids=[]), "with /Kids, which no field"),
    "field with a parent": (fields(Parent=lambda one: one.update.root), "with /Parent, which no field"),
    "field with a lock": (fields(Lock={}), "with /Lock, which no field"),
    "field for text": (fields(FT=Name("Tx")), "that is no /Sig"),
    "field that is a note": (fields(Subtype=Name("FreeText")), "that is no /Widget"),
    "field without a name": (fields(T=None), "without /T"),
    "field with a name of odd bytes": (fields(T=b"\xff"), "without a name"),
    "field without a signature": (fields(V=None), "without /V"),
    "field with a text for a signature": (fields(V=b"signed"), "that is no signature"),
    "another's signature": (wrapped, "leads by|adds the object|does not cover"),
    "field of the executor again": (of_the_executor, "in fields of one name"),
    "field on another page than it says": (elsewhere, "to another page than it says"),
    "field that says another page": (on_two_pages, "changes|to another page than it says"),
    "field that leads into the record": (fields(TU=lambda one: one.update.root), "none of a signature"),
    "form for more than appending": (without_flags, "changes /SigFlags of /AcroForm"),
    "statement in a stream": (fields(TrailkitStatement=lambda one: one.update.add(({}, b"{}"))), "a stream that no"),
    "signature with references": (of_signature(Reference=[]), "with /Reference, which no signature"),
    "signature with a certificate": (of_signature(Cert=b""), "with /Cert, which no signature"),
    "signature without its bytes": (of_signature(Contents=None), "without /Contents"),
    "signature without its range": (of_signature(ByteRange=None), "without /ByteRange"),
    "signature without a filter": (of_signature(SubFilter=None), "without /SubFilter"),
    "signature for another program": (of_signature(Filter=Name("Entrust.PPKEF")), "that is no /Adobe.PPKLite"),
    "block that is a picture": (of_block(Subtype=Name("Image")), "that is no /Form"),
    "block with a picture": (of_block(Resources={"XObject": {}}), "with /XObject, which no resources"),
    "block with a page in it": (
        of_block(Resources=lambda one: {"Font": {"F1": one.update.pages[0]}}), "none of a signature"),
    "block in a group": (of_block(Group={"S": Name("Transparency")}), "with /Group, which no block"),
    "block in another file": (of_block(F=b"/etc/passwd"), "with /F, which no block"),
    "block in a layer": (of_block(OC={}), "with /OC, which no block"),
    "font of the record": (of_block(Resources=old_font), "none of a signature|is no font"),
    "font with procedures": (
        of_block(Resources={"Font": {"F1": {"Type": Name("Font"), "Subtype": Name("Type3"), "CharProcs": {}}}}),
        "with /CharProcs, which no font"),
    "validation data of another kind": (stored(JavaScript=b""), "with /JavaScript, which no security store"),
    "certificate that is a page": (stored(Certs=lambda update: [update.pages[0]]), "none of a signature"),
    "certificate that is no stream": (stored(Certs=lambda update: [update.add({})]), "that is no data"),
    "content of a page for a certificate": (
        stored(Certs=lambda update: [update.put(update.old(update.pages[0])["Contents"], ({}, SHOWN))]),
        "none of a signature"),
    "validation data of a form": (stored(VRI={"A": {"Type": Name("X")}}), "that is no /VRI"),
    "form in the place of validation data": (
        lambda forgery: forgery.catalog.update(DSS=forgery.catalog["AcroForm"]), "is no security store|leads by"),
    "extension that leads elsewhere": (
        lambda forgery: forgery.catalog.update(Extensions={"ESIC": forgery.update.pages[0]}), "changes|none of"),
}  # fmt: skip


@pytest.mark.parametrize("case", SIGNED_UPDATES)
def test_more_than_a_signature_is_refused_though_it_is_signed(case: str) -> None:
    change, message = SIGNED_UPDATES[case]
    forgery = approving()
    change(forgery)
    with (
        written(forgery.content()) as path,
        pytest.raises(RejectionError, match=rf"^record\.signed\.pdf.* (?:{message})"),
    ):
        validate(path)


def test_depth_of_what_is_added_is_no_matter() -> None:
    forgery = approving()
    forgery.field["TU"] = chain(forgery)
    assert len(held(forgery.content())) == 3


# The chain of revisions


TRAILERS: dict[str, tuple[dict[str, Any], str]] = {
    "that skips a revision": ({"Prev": "first"}, "no end of a revision|belong to no object"),
    "with another catalog": ({"Root": Reference(1)}, "name different catalogs"),
    "with other information": ({"Info": Reference(1)}, "has another /Info"),
    "with another identity": ({"ID": [b"a", b"b"]}, r"of another document \(/ID\)"),
    "without an identity": ({"ID": None}, "no list /ID"),
    "with a table beside it": ({"XRefStm": 15}, "holds what none of a record holds"),
    "that is encrypted": ({"Encrypt": {}}, "holds what none of a record holds"),
}


@pytest.mark.parametrize("case", TRAILERS)
def test_trailer_is_refused(case: str) -> None:
    trailer, message = TRAILERS[case]
    forgery = approving()
    first = int(record_pdf().rpartition(b"startxref\n")[2].split()[0])
    given = {key: first if value == "first" else value for key, value in trailer.items()}
    with pytest.raises(RejectionError, match=message):
        held(forgery.content(**given))


def test_gap_before_a_revision_is_refused() -> None:
    update = Update(signed("executor"))
    page_edited(update)
    with pytest.raises(RejectionError, match="belong to no object"):
        held(update.content(gap=b"% a\n"))


def test_object_stream_that_hides_an_override_is_refused() -> None:
    update = Update(signed("executor"))
    page = update.pages[0]
    body = pdf_bytes(update.old(page) | {"Contents": update.add(({}, SHOWN))})
    head = b"%d 0 " % page.number
    holder = update.add(({"Type": Name("ObjStm"), "N": 1, "First": len(head)}, head + body))
    with pytest.raises(RejectionError, match=rf"frees or hides the object {page.number}"):
        held(update.content(entries={page.number: (2, holder.number, 0)}))
    with pytest.raises(RejectionError, match=rf"the object {holder.number} hides other objects"):
        held(update.content())


def test_freed_object_is_refused() -> None:
    update = Update(signed("executor"))
    with pytest.raises(RejectionError, match="frees or hides the object 9"):
        held(update.content(entries={9: (0, 0, 1)}))


def test_object_that_points_before_its_revision_is_refused() -> None:
    update = Update(signed("executor"))
    with pytest.raises(RejectionError, match="belong to no object, or to an object before its revision"):
        held(update.content(entries={9: (1, 15, 0)}))


def test_bytes_after_the_last_end_are_refused() -> None:
    for tail in (b"\n", b"%", b"\0"):
        with pytest.raises(RejectionError, match="something follows its end"):
            held(signed("executor") + tail)


def test_end_without_its_last_newline_holds() -> None:
    assert len(held(record_pdf().removesuffix(b"\n"))) == 1


def test_first_revision_with_a_form_is_refused() -> None:
    """A form that was there before anybody signed could be filled in later, and is none of a record."""
    root = {"Type": Name("Catalog"), "Pages": Reference(2), "AcroForm": {"Fields": []}}
    tree = {"Type": Name("Pages"), "Kids": [Reference(3)], "Count": 1}
    content = small({1: pdf_bytes(root), 2: pdf_bytes(tree), 3: pdf_bytes({"Type": Name("Page")})})
    with pytest.raises(RejectionError, match="its first revision holds /AcroForm"):
        held(content)


def test_what_pyhanko_writes_beside_a_signature_is_refused() -> None:
    """pyHanko's own writer renews metadata and information; the kit's does not, so nobody may."""
    with written(signed("executor")) as path:
        with path.open("r+b") as stream:
            writer = IncrementalPdfFileWriter(stream)
            writer.root[pdf_name("/Lang")] = pdf_name("/de")
            writer.update_root()
            writer.write_in_place()
        with pytest.raises(RejectionError, match="changes /Lang of the catalog"):
            hold_revisions(path)
