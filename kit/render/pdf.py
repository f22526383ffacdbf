"""The record as PDF/A-3a (ISO 19005-3, level A): tagged, fonts embedded, the files of the record inside it."""

import gc
import logging
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from datetime import UTC, datetime
from functools import partial
from hashlib import md5
from io import BytesIO, StringIO
from threading import Lock
from types import SimpleNamespace
from typing import Any
from warnings import catch_warnings, simplefilter

from kit.errors import MissingLibraryError, RenderError
from kit.present.text import code_point
from kit.render.context import Attachment, RecordContext

_PANGO = "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
_SCREEN = re.compile(r"<!--screen-->.*?<!--/screen-->", re.DOTALL)
# Marks of direction, which WeasyPrint does not know, and the labels by which a narrow screen stacks its tables.
_ONLY_SCREEN_READS = re.compile(r'</?bdi>| data-label="[^"]*"')
_LEVEL = 6
# What is held or replaced while a PDF is made belongs to the whole interpreter.
_ALONE = Lock()
_LOADING = Lock()
_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?Z")


def render_pdf(html: str, record: RecordContext, attachments: Sequence[Attachment] = ()) -> bytes:
    """Return the page that `render_html` made as a PDF/A-3a, the same bytes for the same input.

    A character that no installed font can print is written out by code point: PDF/A allows no missing glyph
    (ISO 19005-3, 6.2.11.8). The dates in the file are the record's, never the clock's.

    Raises:
        MissingLibraryError: WeasyPrint or a library of it is missing.
        RenderError: the record has no date, or the page can't be laid out.
    """
    weasyprint = load_weasyprint()
    created = _created(record)
    html = _for_paper(html)
    with _ALONE, _warnings() as missing, _no_collection():
        pdf = _write(weasyprint, html, record, attachments, created)
        if missing:
            pdf = _write(weasyprint, _spelled_out(html, missing), record, attachments, created)
    return pdf


def load_weasyprint() -> Any:
    """Return WeasyPrint, which takes half a second, and system libraries that HTML alone does not need.

    Raises:
        MissingLibraryError: it is not installed, or a library of it is missing.
    """
    try:
        # where a library of it is missing, WeasyPrint prints a page about it; what is printed to is one for all threads
        with _LOADING, redirect_stdout(StringIO()):
            import weasyprint  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise MissingLibraryError("the PDF can't be made: the Pango text libraries are missing", _PANGO) from error
    return weasyprint


def _write(
    weasyprint: Any, html: str, record: RecordContext, attachments: Sequence[Attachment], created: datetime
) -> bytes:
    # A record holds its pictures itself; whatever else a drawing asks for is not fetched.
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=("data",), allow_redirects=False)
    page = weasyprint.HTML(string=html, url_fetcher=fetcher)
    by_name = sorted(attachments, key=lambda one: one.name)
    files = [_attach(weasyprint, fetcher, attachment, created) for attachment in by_name]
    identifier = (record.record_digest or record.record_id or "unsealed").encode()
    with catch_warnings(), _thrift():
        # WeasyPrint leaves its colour profile to the interpreter to close.
        simplefilter("ignore", ResourceWarning)
        pdf = page.write_pdf(
            pdf_variant="pdf/a-3a",
            pdf_identifier=identifier,
            attachments=files,
            finisher=partial(_write_once, by_name),
        )
    return bytes(pdf)


class _Written:
    """An object of a PDF as its bytes: pydyf writes, and compresses, each anew whenever it looks at it, twice."""

    def __init__(self, made: Any) -> None:
        self.number, self.generation, self.free, self.offset = made.number, made.generation, made.free, 0
        self.compressible = made.compressible
        self.data = b"" if made.free == "f" else made.data

    @property
    def indirect(self) -> bytes:
        """The object with its number, as it stands in the file."""
        return b"%d %d obj\n%b\nendobj" % (self.number, self.generation, self.data)


def _write_once(attachments: Sequence[Attachment], document: Any, pdf: Any) -> None:  # noqa: ARG001 - WeasyPrint's
    """Write each object of a PDF that is complete, the attachments in it; what it was made of is let go of."""
    content = {}
    files = iter(attachments)
    for made in pdf.objects:
        if isinstance(made, dict) and made.get("Type") == "/Filespec":
            content[int(made["EF"]["F"].split()[0])] = next(files)
    for index, made in enumerate(pdf.objects):
        if index in content:
            _fill(made, content[index])
        pdf.objects[index] = _Written(made)


def _fill(stream: Any, attachment: Attachment) -> None:
    """Give an embedded file its content, and say how long it is and what its MD5 is (ISO 32000-2, 7.11.4)."""
    try:
        content = attachment.read()
    except OSError as error:
        raise RenderError(f"{attachment.name} can't be attached: {error.strerror}", "seal the run again") from error
    stream.stream = [content]
    stream.extra["Params"] |= {"CheckSum": f"<{md5(content, usedforsecurity=False).hexdigest()}>", "Size": len(content)}


def _attach(weasyprint: Any, fetcher: Any, attachment: Attachment, created: datetime) -> Any:
    """Return an attachment for WeasyPrint, its name in place of its content: all of them don't fit into memory."""
    made = weasyprint.Attachment(
        string=b"", name=attachment.name, description=attachment.description, created=created, modified=created,
        relationship=attachment.relationship, url_fetcher=fetcher,
    )  # fmt: skip
    # WeasyPrint takes the type from the name, by tables that differ between machines; the caller knows it.
    made.source = nullcontext((BytesIO(attachment.name.encode()), None, None, attachment.mime))
    return made


def _created(record: RecordContext) -> datetime:
    match = _MOMENT.fullmatch(record.created)
    if not match:
        raise RenderError("the PDF can't be dated: the record states no moment of its own", "seal the run first")
    return datetime(*map(int, match.groups()), tzinfo=UTC)  # type: ignore[arg-type,misc]


@contextmanager
def _warnings() -> Iterator[set[int]]:
    """Yield the characters for which no installed font has a glyph, filled while WeasyPrint draws."""
    missing: set[int] = set()

    class Missing(logging.Handler):
        def emit(self, entry: logging.LogRecord) -> None:
            if str(entry.msg).startswith(".notdef") and isinstance(entry.args, tuple):
                missing.update(found for found in entry.args if isinstance(found, int))

    logger = logging.getLogger("weasyprint")
    handler, handlers, propagate = Missing(), logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [handler], False
    try:
        yield missing
    finally:
        logger.handlers, logger.propagate = handlers, propagate


@contextmanager
def _no_collection() -> Iterator[None]:
    """Hold the garbage collector: a layout makes a million objects that live as long as it does."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _thrift() -> Iterator[None]:
    """Have pydyf keep the list of pages of one PDF, which it makes anew for each tag: that takes the record's square.

    And have it compress at zlib's own level: at its highest, the text of a page takes ten times as long, and is a
    twentieth smaller.
    """
    import pydyf  # noqa: PLC0415 - as WeasyPrint is

    known: dict[int, tuple[bytes, ...]] = {}
    listed = pydyf.PDF.page_references

    def kept(pdf: Any) -> tuple[bytes, ...]:
        pages = len(pdf.pages["Kids"])
        if pages not in known:
            known.clear()
            known[pages] = listed.fget(pdf)
        return known[pages]

    compression = SimpleNamespace(compressobj=lambda level: zlib.compressobj(min(level, _LEVEL)))
    pydyf.PDF.page_references, pydyf.zlib = property(kept), compression
    try:
        yield
    finally:
        pydyf.PDF.page_references, pydyf.zlib = listed, zlib


def _for_paper(html: str) -> str:
    """Return the page without what only a screen needs, and its colours written in: both cost WeasyPrint seconds."""
    start, end = html.index("<style>"), html.index("</style>")
    css = html[start:end]
    # The first block of the style sheet is the light set; paper is always light.
    colours = dict(re.findall(r"(--[a-z-]+): ([^;]+);", css[: css.index("}")]))
    css = re.sub(r"var\((--[a-z-]+)\)", lambda match: colours[match[1]], css)
    return _SCREEN.sub("", html[:start]) + css + _ONLY_SCREEN_READS.sub("", _SCREEN.sub("", html[end:]))


def _spelled_out(html: str, missing: set[int]) -> str:
    """Return the page with the characters written out; in plain brackets where the usual ones are missing too."""
    brackets = {ord("⟨"): "[", ord("⟩"): "]"}
    table = {code: code_point(chr(code)).translate(brackets) for code in missing}
    return html.translate(table | {code: mark for code, mark in brackets.items() if code in missing})
