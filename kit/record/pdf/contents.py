"""Reads what a record's PDF carries and prints, offline: its attachments, the marks of PDF/A-3, the text of its pages.

A PDF that is not of the structure that the kit writes is rejected by name, and nothing in it is trusted for size: a
stream is inflated in blocks, up to what the manifest says.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from kit.errors import RecordError, RejectionError
from kit.record.manifest import MANIFEST, is_plain_name, read_manifest
from kit.record.pdf.structure import Document, View, references
from kit.record.pdf.syntax import Reference, Stream, SyntaxProblem, Value, text_of

_MANIFEST_LARGEST = 1 << 26
_XMP_LARGEST = 1 << 20
_RUNNING_NAME = 34
"""How many characters of the record's id are printed on each page."""
_PDFA = "{http://www.aiim.org/pdfa/ns/id/}"
_FORBIDDEN = {"OpenAction", "AA", "JS", "JavaScript", "XFA", "RichMedia", "RichMediaContent", "NeedsRendering"}
_ACTIONS = {"URI", "GoTo"}
_NAMES = {"Dests", "EmbeddedFiles"}
_FONT_FILES = {"FontFile", "FontFile2", "FontFile3"}

# What shows text, and what chooses the font, in a content stream (ISO 32000-2, 9.4.3); nothing else is read of it.
_SHOWN = re.compile(
    rb"/([^\s/<>\[\]()]+)\s+[-+.\d]+\s+Tf(?=\s)"
    rb"|<([0-9A-Fa-f]*)>"
    rb"|\((?:[^()\\]|\\.)*\)"
    rb"|(?<=\s)([qQ])(?=\s|$)",
    re.DOTALL,
)
_MAPPED = re.compile(rb"beginbfchar\s(.*?)endbfchar|beginbfrange\s(.*?)endbfrange", re.DOTALL)
_CODES = re.compile(rb"<([0-9A-Fa-f]+)>")


class Attachment(NamedTuple):
    """A file that travels inside a PDF; `blocks` streams it, decoded."""

    document: Document
    name: str
    stream: Stream

    def blocks(self, limit: int) -> Iterator[bytes]:
        """Yield the bytes of the file in blocks; memory stays flat.

        Raises:
            RejectionError: it has more than `limit` bytes, or is malformed.
        """
        try:
            yield from self.document.blocks(self.stream, limit)
        except RejectionError as error:
            raise RejectionError(f"{error.message}: the attachment {self.name}", error.remedy) from error


@contextmanager
def attachments(path: Path) -> Iterator[dict[str, Attachment]]:
    """Yield the attachments of a PDF by name, in the order of its name tree, as long as the context is open.

    Each is listed once, under one plain name, both in the name tree and among the catalog's associated files.

    Raises:
        RejectionError: the PDF is malformed; or a name is given twice, leads out of the folder, or is written in two
            ways.
    """
    with Document(path) as document:
        yield _attachments(document.view())


def extract(path: Path, folder: Path) -> list[str]:
    """Write the files that a lone PDF carries into an empty or new folder; returns their names, sorted.

    No file is written over, or through a link. `manifest.json` comes first: no other file than it lists is written, and
    none larger than it says. Where it rejects the PDF, what was written before stays.

    Raises:
        RecordError: the folder holds something, or can't be written.
        RejectionError: the PDF is malformed, carries no manifest, or carries other files than it lists.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RecordError(f"{folder} is not empty", "name a folder that is new")
        with attachments(path) as found:
            if MANIFEST not in found:
                raise RejectionError(f"{path.name} carries no {MANIFEST}", "name the PDF of a sealed record")
            _write(folder, found[MANIFEST], _MANIFEST_LARGEST)
            listed = read_manifest(folder)["files"]
            for name in sorted(set(found) ^ {MANIFEST, *listed}):
                told = "lacks" if name in listed else "carries, and its manifest does not list,"
                raise RejectionError(f"{path.name} {told} {name}", "restore the record from its archive")
            for name, entry in listed.items():
                _write(folder, found[name], entry["bytes"])
    except OSError as error:
        raise RecordError(f"{error.filename} can't be written: {error.strerror}", "make it writable") from error
    return sorted(found)


def hold_markers(path: Path) -> None:
    """Hold a PDF to the marks of PDF/A-3, level A (ISO 19005-3), and to having nothing active in it.

    The claim in XMP, an output intent, tags, embedded fonts; no encryption, no JavaScript, no action but a link, no
    annotation but links and signatures. More of ISO 19005-3 is not claimed.

    Raises:
        RejectionError: a mark is missing, or something active is there; names the file and the mark.
    """
    with Document(path) as document:
        view = document.view()
        _hold_claims(view)
        _hold_inert(view)


def hold_printed(path: Path, record_id: str, digest: str) -> None:
    """Hold every page of the first revision to printing the record's id and digest.

    The text is read through the fonts' own tables, and compared without white space; an id of more than 34 characters
    is printed cut. Whether something is drawn over it is not seen here: only a signature proves the pages.

    Raises:
        RejectionError: a page does not; names the file and the page.
    """
    name = record_id if len(record_id) <= _RUNNING_NAME else record_id[: _RUNNING_NAME - 1] + "…"
    wanted = {"id": "".join(name.split()), "digest": digest}
    with Document(path) as document:
        for number, text in enumerate(_printed(document.view(0)), start=1):
            for what, words in wanted.items():
                if not words or words not in text:
                    raise RejectionError(
                        f"{document.name} does not print the record's {what} on page {number}",
                        "restore the record from its archive",
                    )


def _attachments(view: View) -> dict[str, Attachment]:
    document = view.document
    names = view.dictionary(view.catalog.get("Names", {}), "name dictionary")
    tree = view.dictionary(names.get("EmbeddedFiles", {}), "tree of attachments")
    pairs = view.array(tree.get("Names", []), "list of attachments")
    if set(tree) - {"Names"} or len(pairs) % 2:
        document.reject("its tree of attachments is not flat")
    found: dict[str, Attachment] = {}
    places: set[int] = set()
    for key, reference in zip(pairs[::2], pairs[1::2], strict=True):
        entries = view.dictionary(reference, "file specification")
        files = view.dictionary(entries.get("EF"), "embedded file")
        stream = document.expect(Stream, view.resolve(files.get("F")), "embedded file")
        name = _name_of(view, key, entries)
        if not is_plain_name(name) or name in found:
            document.reject(f"an attachment is named twice, or leads out of the folder: {name!r}")
        if set(files) - {"F", "UF"} or view.resolve(files.get("UF", files["F"])) is not stream:
            document.reject(f"the attachment {name} has two contents")
        if not isinstance(reference, Reference) or stream.number in places:
            document.reject(f"the attachment {name} is that of another name too")
        places.add(stream.number)
        found[name] = Attachment(document, name, stream)
    associated = view.array(view.catalog.get("AF", []), "list of associated files")
    if {item for item in associated if isinstance(item, Reference)} != set(pairs[1::2]):
        document.reject("its attachments are not those that it is associated with")
    return found


def _name_of(view: View, key: Value, entries: dict[str, Value]) -> str:
    """Return the name of an attachment: WeasyPrint writes it as text, and twice in UTF-8."""
    try:
        name = text_of(view.resolve(entries.get("UF")))
        other = {name.encode(), view.resolve(key), view.resolve(entries.get("F"))}
    except (SyntaxProblem, TypeError, UnicodeEncodeError) as problem:
        view.document.reject(f"an attachment has no name: {problem}")
    if len(other) != 1:
        view.document.reject(f"the attachment {name!r} has more than one name")
    return name


def _write(folder: Path, attachment: Attachment, limit: int) -> None:
    path = folder / attachment.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # made by this call: where case makes no difference, a name is no way to write over another
        stream = path.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        attachment.document.reject(f"the attachment {attachment.name} is where another is: {error.strerror}")
    with stream:
        for block in attachment.blocks(limit):
            stream.write(block)


def _hold_claims(view: View) -> None:
    document, catalog = view.document, view.catalog
    metadata = document.data(view.resolve(catalog.get("Metadata")), _XMP_LARGEST)
    if _claim(metadata) != ("3", "A"):
        document.reject("its metadata do not claim PDF/A-3, level A")
    intents = [view.dictionary(item, "output intent") for item in view.array(catalog.get("OutputIntents", []), "list")]
    profiles = [view.resolve(intent.get("DestOutputProfile")) for intent in intents if intent.get("S") == "GTS_PDFA1"]
    if not profiles or not all(isinstance(profile, Stream) for profile in profiles):
        document.reject("it has no output intent of PDF/A")
    if view.dictionary(catalog.get("MarkInfo", {}), "mark of tags").get("Marked") is not True:
        document.reject("it is not marked as tagged")
    if not view.dictionary(catalog.get("StructTreeRoot", {}), "structure tree").get("K"):
        document.reject("it has no structure tree")


def _claim(metadata: bytes) -> tuple[str, str]:
    """Return part and conformance that XMP claims; each as an attribute or as an element, once."""
    # no document type, hence no entities, which could grow without bound
    if b"<!" in metadata:
        return "", ""
    claimed: dict[str, list[str]] = {"part": [], "conformance": []}
    try:
        for _, element in ET.iterparse(BytesIO(metadata)):  # noqa: S314
            for what, values in claimed.items():
                values.extend(text for name, text in element.attrib.items() if name == _PDFA + what)
                values.extend([element.text or ""] if element.tag == _PDFA + what else [])
            # what was read is let go of, so that no depth of nesting piles up
            element.clear()
    except (ET.ParseError, ValueError, LookupError):
        return "", ""
    if any(len(values) != 1 for values in claimed.values()):
        return "", ""
    return claimed["part"][0].strip(), claimed["conformance"][0].strip()


def _hold_inert(view: View) -> None:
    """Walk everything that the catalog leads to, but the structure tree, which can hold nothing active."""
    document, catalog = view.document, view.catalog
    if unknown := set(view.dictionary(catalog.get("Names", {}), "name dictionary")) - _NAMES:
        document.reject(f"its name dictionary holds /{min(unknown)}")
    for number, page in enumerate(view.pages(), start=1):
        _hold_page(view, number, view.dictionary(page, "page"))
    waiting = references(value for key, value in catalog.items() if key != "StructTreeRoot")
    _hold_entries(view, catalog)
    seen = {view.root.number}
    while waiting:
        value = waiting.pop()
        if isinstance(value, Reference):
            if value.number in seen:
                continue
            seen.add(value.number)
            value = view.resolve(value)
        value = value.entries if isinstance(value, Stream) else value
        if isinstance(value, dict):
            _hold_entries(view, value)
            waiting += references(value.values())
        elif isinstance(value, list):
            waiting += references(value)


def _hold_page(view: View, number: int, page: dict[str, Value]) -> None:
    for item in view.array(page.get("Annots", []), "list of annotations"):
        annotation = view.dictionary(item, "annotation")
        kind = annotation.get("Subtype")
        if kind != "Link" and (kind, annotation.get("FT")) != ("Widget", "Sig"):
            view.document.reject(f"page {number} has an annotation that is no link and no signature: /{kind}")
    fonts = view.dictionary(view.dictionary(page.get("Resources"), "resources").get("Font", {}), "fonts")
    for font in fonts.values():
        if view.dictionary(font, "font").get("Type") != "Font":
            view.document.reject(f"page {number} has a font that is none")


def _hold_entries(view: View, entries: dict[str, Value]) -> None:
    document = view.document
    if forbidden := _FORBIDDEN & set(entries):
        document.reject(f"it holds /{min(forbidden)}")
    kind = view.resolve(entries.get("Type"))
    action = view.resolve(entries.get("A")) if "A" in entries else None
    for one in (entries if kind == "Action" else None, action):
        if isinstance(one, dict) and "S" in one and (view.resolve(one["S"]) not in _ACTIONS or "Next" in one):
            document.reject(f"it holds an action that is no link: /{view.resolve(one['S'])}")
    if kind == "Font" and view.resolve(entries.get("Subtype")) not in ("Type0", "Type3"):
        descriptor = view.dictionary(entries.get("FontDescriptor", {}), "description of a font")
        if not any(isinstance(view.resolve(descriptor.get(key)), Stream) for key in _FONT_FILES):
            document.reject(f"the font {entries.get('BaseFont')} is not embedded")


def _printed(view: View) -> Iterator[str]:
    """Yield the text of each page, without white space, in the order in which it is drawn."""
    known: dict[int, dict[str, dict[str, str]]] = {}
    for reference in view.pages():
        page = view.dictionary(reference, "page")
        resources = view.document.expect(Reference, page.get("Resources"), "reference to resources")
        if resources.number not in known:
            fonts = view.dictionary(view.dictionary(resources, "resources").get("Font", {}), "fonts")
            known[resources.number] = {name: _characters(view, font) for name, font in fonts.items()}
        yield "".join(_shown(view.document.data(view.resolve(page.get("Contents"))), known[resources.number]))


def _characters(view: View, reference: Value) -> dict[str, str]:
    """Return which character each code of a font is, codes in hexadecimal; of a font without two-byte codes, none."""
    font = view.dictionary(reference, "font")
    if font.get("Encoding") != "Identity-H" or "ToUnicode" not in font:
        return {}
    table: dict[str, str] = {}
    for match in _MAPPED.finditer(view.document.data(view.resolve(font["ToUnicode"]))):
        codes = [code.decode().lower() for code in _CODES.findall(match[1] or match[2] or b"")]
        # a range of codes is more than WeasyPrint writes
        if match[1] is None or len(codes) % 2 or any(len(code) % 4 for code in codes):
            view.document.reject("a font has a table of characters that none of a record has")
        for code, text in zip(codes[::2], codes[1::2], strict=True):
            table[code] = "".join(bytes.fromhex(text).decode("utf-16-be", "replace").split())
    return table


def _shown(content: bytes, fonts: dict[str, dict[str, str]]) -> Iterator[str]:
    current: dict[str, str] = {}
    saved: list[dict[str, str]] = []
    for match in _SHOWN.finditer(content):
        font, codes, state = match.groups()
        if font is not None:
            current = fonts.get(font.decode("latin-1"), {})
        elif state == b"q":
            saved.append(current)
        elif state == b"Q":
            current = saved.pop() if saved else {}
        elif codes is not None:
            text = codes.decode().lower()
            yield "".join(current.get(text[at : at + 4], "\ufffd") for at in range(0, len(text), 4))
