"""Reads the structure of a record's PDF: its revisions, their cross-reference streams, objects, and streams in blocks.

Only what WeasyPrint and pyHanko write is taken (ISO 32000-2, 7.5): one revision with at most one object stream, then
incremental revisions without any; cross-reference streams alone; every byte of a revision belongs to one object that
its cross-reference lists, or to the marks at its end. Nothing can lie in a gap, or be listed twice. Memory stays flat
for a file of any size: a stream is read and inflated in blocks.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Never, Self, TypeVar

from kit.errors import RejectionError
from kit.record.manifest import RESTORE
from kit.record.pdf_syntax import SPACES, Name, Reference, Stream, SyntaxProblem, Value, parse

BLOCK = 1 << 20
"""How many bytes a block of a stream has at most."""
LARGEST = 1 << 27
"""How many bytes a stream that is read whole may have, inflated: page contents, objects, cross-references."""

_HEADER = re.compile(rb"%PDF-1\.7\n%[\x80-\xff]{4,}\n")
_OBJECT = re.compile(rb"(\d{1,10}) 0 obj[%b]" % SPACES)
_STREAM = re.compile(rb"[%b]*stream\r?\n" % SPACES)
_ENDOBJ = re.compile(rb"[%b]*endobj[%b]*" % (SPACES, SPACES))
_ENDSTREAM = re.compile(rb"(?:\r?\n)?endstream[%b]+endobj[%b]*" % (SPACES, SPACES))
_TRAILER = re.compile(rb"startxref\n(\d{1,20})\n%%EOF\n?")
_TAIL = 64
_WINDOW = 1 << 12
_TRAILER_KEYS = {"Type", "Index", "W", "Size", "Root", "Info", "ID", "Prev", "Filter", "Length"}
_MOST_OBJECTS = 1_000_000
_MOST_REVISIONS = 64

T = TypeVar("T")


class Place(NamedTuple):
    """Where an object is: at a byte of the file, or the how-manieth of an object stream."""

    offset: int
    end: int
    within: int = 0
    """The number of the object stream; 0 for an object of its own."""


@dataclass(frozen=True)
class Revision:
    """One revision: the bytes [start, end), its objects, and the dictionary of its cross-reference stream."""

    start: int
    end: int
    places: Mapping[int, Place]
    trailer: dict[str, Value]
    xref: int
    """The number of its cross-reference stream."""


class Document:
    """A record's PDF, open for reading; `revisions` are in the order in which they were written.

    Raises:
        RejectionError: it can't be read, or its structure is not as the kit writes it; names the file and the reason.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._pool = b""
        self._values: dict[Place, Value] = {}
        try:
            self._file = path.open("rb")
            self.size = path.stat().st_size
        except OSError as error:
            raise RejectionError(f"{path.name} can't be read: {error.strerror}", "make it readable") from error
        try:
            self.revisions = self._revisions()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def view(self, index: int = -1) -> "View":
        """Return the document as of one of its revisions; by default the last."""
        return View(self, self.revisions[: index % len(self.revisions) + 1])

    def reject(self, reason: str) -> Never:
        """Reject the file.

        Raises:
            RejectionError: always; names the file and the reason.
        """
        raise RejectionError(f"{self.name} is no PDF of a record: {reason}", RESTORE)

    def read(self, start: int, length: int) -> bytes:
        """Return bytes of the file, all of them.

        Raises:
            RejectionError: the file ends before.
        """
        try:
            self._file.seek(start)
            content = self._file.read(length)
        except OSError as error:
            raise RejectionError(f"{self.name} can't be read: {error.strerror}", "make it readable") from error
        if len(content) != length:
            self.reject("it ends in the middle")
        return content

    def span(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes [start, end) of the file in blocks.

        Raises:
            RejectionError: the file ends before.
        """
        for position in range(start, end, BLOCK):
            yield self.read(position, min(BLOCK, end - position))

    def blocks(self, stream: Stream, limit: int) -> Iterator[bytes]:
        """Yield the decoded bytes of a stream in blocks; of more than `limit` bytes, none.

        Raises:
            RejectionError: it is malformed, of another filter than FlateDecode, or larger than the limit.
        """
        filters = stream.entries.get("Filter")
        plain = filters is None
        if (not plain and filters not in ("FlateDecode", ["FlateDecode"])) or "DecodeParms" in stream.entries:
            self.reject(f"the stream {stream.number} has a filter that none of a record has")
        total = 0
        for block in self.span(stream.start, stream.start + stream.length) if plain else self._inflated(stream):
            total += len(block)
            if total > limit:
                self.reject(f"the stream {stream.number} has more than the {limit} bytes that it may have")
            yield block

    def data(self, stream: Value, limit: int = LARGEST) -> bytes:
        """Return the decoded bytes of a stream, whole.

        Raises:
            RejectionError: as `blocks` does; or it is no stream.
        """
        return b"".join(self.blocks(self.expect(Stream, stream, "stream"), limit))

    def expect(self, kind: type[T], value: Value, what: str) -> T:
        """Return a value that has to be of a kind.

        Raises:
            RejectionError: it is of another.
        """
        if type(value) is not kind:
            self.reject(f"there is no {what} where one belongs")
        return value

    def object_at(self, number: int, place: Place) -> Value:
        """Return the object at a place; it fills the place to its last byte.

        Raises:
            RejectionError: another object is there, or something beside it.
        """
        if place not in self._values:
            self._values[place] = self._pooled(number, place) if place.within else self._single(number, place)
        return self._values[place]

    def _single(self, number: int, place: Place) -> Value:
        size, length = place.end - place.offset, _WINDOW
        while True:
            window = self.read(place.offset, min(length, size))
            try:
                return self._object(number, place, window)
            except SyntaxProblem as problem:
                # the window may have cut the object
                if length >= size or length > LARGEST:
                    self.reject(f"the object {number} is malformed: {problem}")
            length *= 8

    def _object(self, number: int, place: Place, window: bytes) -> Value:
        head = _OBJECT.match(window)
        if head is None or int(head[1]) != number:
            self.reject(f"the object {number} is not where the cross-reference says")
        value, position = parse(window, head.end(), place.offset)
        if stream := _STREAM.match(window, position):
            entries = self.expect(dict, value, "dictionary of a stream")
            length = entries.get("Length")
            start = place.offset + stream.end()
            if type(length) is not int or not 0 <= length <= place.end - start:
                raise SyntaxProblem("a stream without its length")
            tail = self.read(start + length, min(place.end - start - length, _TAIL))
            if start + length + len(tail) != place.end or not _ENDSTREAM.fullmatch(tail):
                self.reject(f"the object {number} does not end where its stream ends")
            return Stream(number, entries, start, length)
        if len(window) != place.end - place.offset or not _ENDOBJ.fullmatch(window, position):
            raise SyntaxProblem("something follows that is no part of it")
        return value

    def _inflated(self, stream: Stream) -> Iterator[bytes]:
        inflating = zlib.decompressobj()
        try:
            for block in self.span(stream.start, stream.start + stream.length):
                waiting = block
                while waiting or not inflating.eof:
                    if made := inflating.decompress(waiting, BLOCK):
                        yield made
                    waiting = inflating.unconsumed_tail
                    if not made and not waiting:
                        break
                if inflating.unused_data:
                    break
        except zlib.error as error:
            self.reject(f"the stream {stream.number} can't be inflated: {error}")
        if not inflating.eof or inflating.unused_data:
            self.reject(f"the stream {stream.number} does not end where its data end")

    def _revisions(self) -> list[Revision]:
        head = self.read(0, min(_TAIL, self.size))
        header = _HEADER.match(head)
        if header is None:
            self.reject("it does not start as one")
        found: list[tuple[int, int, dict[str, Value], Stream, int]] = []
        end, offset = self.size, self._last_start()
        while True:
            number, stream, after = self._cross_reference(offset, end)
            found.append((offset, number, stream.entries, stream, after))
            previous = stream.entries.get("Prev")
            if previous is None:
                break
            if type(previous) is not int or not 0 < previous < offset or len(found) == _MOST_REVISIONS:
                self.reject("its revisions are not in the order in which they were written")
            end, offset = offset, previous
        revisions: list[Revision] = []
        for offset, number, trailer, stream, after in reversed(found):
            start = revisions[-1].end if revisions else header.end()
            revisions.append(self._revision(start, after, trailer, stream, offset, number, bool(revisions)))
        if revisions[-1].end != self.size:
            self.reject("something follows its last revision")
        return revisions

    def _last_start(self) -> int:
        tail = self.read(max(0, self.size - _TAIL), min(_TAIL, self.size))
        found = list(_TRAILER.finditer(tail))
        if not found or found[-1].end() != len(tail):
            self.reject("it does not end as one, or something follows its end")
        return int(found[-1][1])

    def _cross_reference(self, offset: int, end: int) -> tuple[int, Stream, int]:
        """Return the cross-reference stream at an offset: its number, itself, and where its revision ends."""
        if offset >= end:
            self.reject("its cross-reference is not where its end says")
        size, length = end - offset, _WINDOW
        while True:
            window = self.read(offset, min(length, size))
            head = _OBJECT.match(window)
            try:
                if head is None:
                    raise SyntaxProblem("none starts there")
                entries, position = parse(window, head.end(), offset)
                stream = _STREAM.match(window, position)
                if stream is None:
                    raise SyntaxProblem("it is no stream")
                break
            except SyntaxProblem as problem:
                if length >= size or length > LARGEST:
                    self.reject(f"the cross-reference at byte {offset} is malformed: {problem}")
            length *= 8
        entries = self.expect(dict, entries, "dictionary of a cross-reference")
        start, count = offset + stream.end(), entries.get("Length")
        if entries.get("Type") != "XRef" or set(entries) - _TRAILER_KEYS or type(count) is not int or count < 0:
            self.reject(f"the cross-reference at byte {offset} is none, or holds what none of a record holds")
        tail = self.read(start + count, min(4 * _TAIL, max(0, self.size - start - count)))
        closing = _ENDSTREAM.match(tail)
        marks = _TRAILER.match(tail, closing.end()) if closing else None
        if marks is None or int(marks[1]) != offset:
            self.reject(f"no end of a revision follows the cross-reference at byte {offset}")
        return int(head[1]), Stream(int(head[1]), entries, start, count), start + count + marks.end()

    def _revision(
        self, start: int, end: int, trailer: dict[str, Value], stream: Stream, offset: int, number: int, later: bool
    ) -> Revision:
        """Return a revision, once its objects are held to follow one another without a gap."""
        listed, compressed = self._entries(stream, trailer, later)
        if listed.get(number) != offset:
            self.reject("a cross-reference does not list itself")
        order = sorted(listed.items(), key=lambda item: item[1])
        if order[0][1] != start or order[-1][0] != number:
            self.reject(f"bytes at {start} belong to no object, or to an object before its revision")
        places = {one: Place(at, after) for (one, at), (_, after) in zip(order, [*order[1:], (0, end)], strict=True)}
        for one, place in places.items():
            if place.end <= place.offset:
                self.reject(f"the object {one} is where another is")
            if one != number:
                self._hold_object(one, place, later)
        if compressed:
            places |= self._compressed(compressed, places)
        return Revision(start, end, places, trailer, number)

    def _hold_object(self, number: int, place: Place, later: bool) -> None:
        value = self.object_at(number, place)
        if isinstance(value, Stream) and value.entries.get("Type") in ("XRef", "ObjStm"):
            if later or value.entries["Type"] == "XRef":
                self.reject(f"the object {number} hides other objects")

    def _entries(
        self, stream: Stream, trailer: dict[str, Value], later: bool
    ) -> tuple[dict[int, int], dict[int, tuple[int, int]]]:
        """Return the offsets that a cross-reference lists, and the objects that it says are in an object stream."""
        widths, size = trailer.get("W"), trailer.get("Size")
        index = trailer.get("Index")
        if not _numbers(widths) or len(widths) != 3 or widths[0] != 1 or not all(0 < width <= 8 for width in widths):
            self.reject("a cross-reference has widths that none of a record has")
        if type(size) is not int or not 0 < size <= _MOST_OBJECTS or not _numbers(index) or len(index) % 2:
            self.reject("a cross-reference has a size that none of a record has")
        sections = list(zip(index[::2], index[1::2], strict=True))
        numbers = [range(first, first + count) for first, count in sections if count <= _MOST_OBJECTS]
        if any(one.stop > other.start for one, other in zip(numbers, numbers[1:], strict=False)) or not numbers:
            self.reject("a cross-reference lists objects twice, or out of order")
        if numbers[0].start != 0 or not numbers[0] or numbers[-1].stop != size or (not later and len(numbers) != 1):
            self.reject("a cross-reference lists another number of objects than it says")
        _, second, third = widths
        width = 1 + second + third
        count = sum(map(len, numbers))
        table = self.data(stream, count * width)
        if len(table) != count * width:
            self.reject("a cross-reference is shorter than it says")
        listed: dict[int, int] = {}
        compressed: dict[int, tuple[int, int]] = {}
        position = 0
        for number in (number for section in numbers for number in section):
            kind = table[position]
            value = int.from_bytes(table[position + 1 : position + 1 + second])
            other = int.from_bytes(table[position + 1 + second : position + width])
            position += width
            if number == 0:
                if kind != 0 or value:
                    self.reject("a cross-reference frees objects")
            elif kind == 1 and not other:
                listed[number] = value
            elif kind == 2 and not later:
                compressed[number] = value, other
            else:
                self.reject(f"a cross-reference frees or hides the object {number}")
        return listed, compressed

    def _compressed(self, listed: dict[int, tuple[int, int]], places: Mapping[int, Place]) -> dict[int, Place]:
        """Return the places of objects within the one object stream; it holds those that are listed, in their order."""
        streams = {number for number, _ in listed.values()}
        number = min(streams)
        if len(streams) > 1 or number not in places:
            self.reject("it has more than one object stream, or one that is none")
        stream = self.expect(Stream, self.object_at(number, places[number]), "object stream")
        first = stream.entries.get("First")
        if stream.entries.get("Type") != "ObjStm" or stream.entries.get("N") != len(listed) or type(first) is not int:
            self.reject(f"the object stream {number} holds other objects than the cross-reference lists")
        self._pool = self.data(stream)
        try:
            head = [int(item) for item in self._pool[:first].split()]
        except ValueError:
            head = []
        ordered = sorted(listed, key=lambda one: listed[one][1])
        offsets = [first + offset for offset in head[1::2]]
        if (
            head[::2] != ordered
            or [listed[one][1] for one in ordered] != list(range(len(ordered)))
            or any(one >= other for one, other in zip(offsets, [*offsets[1:], len(self._pool)], strict=True))
            or offsets[0] < first
        ):
            self.reject(f"the object stream {number} holds other objects than the cross-reference lists")
        ends = [*offsets[1:], len(self._pool)]
        return {one: Place(at, after, number) for one, at, after in zip(ordered, offsets, ends, strict=True)}

    def _pooled(self, number: int, place: Place) -> Value:
        try:
            value, position = parse(self._pool, place.offset)
            if position > place.end or self._pool[position : place.end].strip():
                raise SyntaxProblem("something follows that is no part of it")
        except SyntaxProblem as problem:
            self.reject(f"the object {number} is malformed: {problem}")
        return value


class View:
    """A document as of one revision: each object as the latest revision so far has it."""

    def __init__(self, document: Document, revisions: list[Revision]) -> None:
        self.document = document
        self.revisions = revisions

    @property
    def root(self) -> Reference:
        """The reference to the catalog; all revisions name the same."""
        document = self.document
        roots = {
            document.expect(Reference, one.trailer.get("Root"), "reference to the catalog") for one in self.revisions
        }
        if len(roots) != 1:
            document.reject("its revisions name different catalogs")
        return roots.pop()

    @property
    def catalog(self) -> dict[str, Value]:
        """The catalog."""
        return self.dictionary(self.root, "catalog")

    def resolve(self, value: Value) -> Value:
        """Return a value, or what it refers to.

        Raises:
            RejectionError: it refers to an object that is not there, or that is a reference itself.
        """
        if not isinstance(value, Reference):
            return value
        for revision in reversed(self.revisions):
            if place := revision.places.get(value.number):
                found = self.document.object_at(value.number, place)
                if isinstance(found, Reference):
                    self.document.reject(f"the object {value.number} is a mere reference")
                return found
        self.document.reject(f"there is no object {value.number}, to which another refers")

    def dictionary(self, value: Value, what: str) -> dict[str, Value]:
        """Return a dictionary, resolved.

        Raises:
            RejectionError: it is none.
        """
        return self.document.expect(dict, self.resolve(value), what)

    def array(self, value: Value, what: str) -> list[Value]:
        """Return an array, resolved.

        Raises:
            RejectionError: it is none.
        """
        return self.document.expect(list, self.resolve(value), what)

    def pages(self) -> list[Reference]:
        """Return the pages, in order.

        Raises:
            RejectionError: the page tree is not flat, as a record's is, or counts other pages than it lists.
        """
        tree = self.dictionary(self.catalog.get("Pages"), "page tree")
        kids = self.array(tree.get("Kids"), "list of pages")
        found = [self.document.expect(Reference, kid, "reference to a page") for kid in kids]
        if not found or len(set(found)) != len(found) or tree.get("Count") != len(found):
            self.document.reject("its page tree counts other pages than it lists")
        for page in found:
            if self.dictionary(page, "page").get("Type") != Name("Page"):
                self.document.reject(f"the object {page.number} in its page tree is no page")
        return found


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)
