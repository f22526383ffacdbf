"""Reads the structure of a record's PDF: its revisions, and each object as one of them has it.

Only what WeasyPrint and pyHanko write is taken (ISO 32000-2, 7.5): one revision with at most one object stream, then
incremental revisions without any; cross-reference streams alone; every byte of a revision belongs to one object that
its cross-reference lists, or to the marks at its end. Nothing can lie in a gap, or be listed twice.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kit.record.pdf.file import ENDSTREAM, LARGEST_OBJECT, PdfFile
from kit.record.pdf.syntax import Reference, Stream, SyntaxProblem, Value, parse

_HEADER = re.compile(rb"%PDF-1\.7\n%[\x80-\xff]{4,60}\n")
_END = re.compile(rb"startxref\n(\d{1,20})\n%%EOF\n?")
_ENDS = 256
_TRAILER_KEYS = {"Type", "Index", "W", "Size", "Root", "Info", "ID", "Prev", "Filter", "Length"}
_FREE, _OWN, _POOLED = 0, 1, 2
_MOST_OBJECTS = 1_000_000
_MOST_REVISIONS = 64
_DIGITS = 32
"""How many bytes an object stream has at most for number and place of one object."""


class Place(NamedTuple):
    """Where an object is, in bytes of the file, or of the object stream that it is in."""

    offset: int
    end: int
    pooled: bool = False


class Mark(NamedTuple):
    """A cross-reference stream, and where it and its revision start and end."""

    stream: Stream
    offset: int
    end: int


@dataclass(frozen=True)
class Revision:
    """One revision: the bytes [start, end), its objects, and the dictionary of its cross-reference stream."""

    start: int
    end: int
    places: Mapping[int, Place]
    trailer: dict[str, Value]
    xref: int
    """The number of its cross-reference stream."""


class Document(PdfFile):
    """A record's PDF, open for reading; `revisions` are in the order in which they were written.

    Raises:
        RejectionError: it can't be read, or its structure is not as the kit writes it; names the file and the reason.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._pool = b""
        self._values: dict[Place, Value] = {}
        self.revisions: list[Revision] = []
        try:
            self._read_revisions()
        except BaseException:
            self._file.close()
            raise

    def view(self, index: int = -1) -> "View":
        """Return the document as of one of its revisions; by default the last."""
        return View(self, self.revisions[: index % len(self.revisions) + 1])

    def value(self, number: int, place: Place) -> Value:
        """Return the object at a place; it fills the place.

        Raises:
            RejectionError: another object is there, or something beside it.
        """
        if place not in self._values:
            read = self._pooled if place.pooled else self.whole_object
            self._values[place] = read(number, place.offset, place.end)
        return self._values[place]

    def _read_revisions(self) -> None:
        header = _HEADER.match(self.read(0, min(_ENDS, self.size)))
        tail = self.read(max(0, self.size - _ENDS), min(_ENDS, self.size))
        ends = list(_END.finditer(tail))
        if header is None:
            self.reject("it does not start as one")
        if not ends or ends[-1].end() != len(tail):
            self.reject("it does not end as one, or something follows its end")
        marks = [self._mark(int(ends[-1][1]), self.size)]
        while (previous := marks[-1].stream.entries.get("Prev")) is not None:
            if type(previous) is not int or len(marks) == _MOST_REVISIONS:
                self.reject("its revisions are not in the order in which they were written")
            marks.append(self._mark(previous, marks[-1].offset))
        start = header.end()
        for mark in reversed(marks):
            self.revisions.append(self._revision(start, mark))
            start = mark.end
        if start != self.size:
            self.reject("something follows its last revision")

    def _mark(self, offset: int, before: int) -> Mark:
        """Return the cross-reference stream at an offset, which is before another."""
        if not 0 < offset < before:
            self.reject("its revisions are not in the order in which they were written")
        _, value, after = self.object_at(offset, before)
        stream = self.expect(Stream, value, "cross-reference stream")
        if stream.entries.get("Type") != "XRef" or set(stream.entries) - _TRAILER_KEYS:
            self.reject(f"the cross-reference at byte {offset} holds what none of a record holds")
        tail = self.read(after, min(_ENDS, self.size - after))
        closing = ENDSTREAM.match(tail)
        end = _END.match(tail, closing.end()) if closing else None
        if end is None or int(end[1]) != offset:
            self.reject(f"no end of a revision follows the cross-reference at byte {offset}")
        return Mark(stream, offset, after + end.end())

    def _revision(self, start: int, mark: Mark) -> Revision:
        """Return a revision, once its objects are held to follow one another without a gap."""
        own, pooled = self._listed(mark.stream)
        order = sorted(own, key=lambda number: own[number])
        if not order or order[-1] != mark.stream.number or own[order[-1]] != mark.offset:
            self.reject("a cross-reference does not list itself as the last object of its revision")
        if own[order[0]] != start:
            self.reject(f"bytes at {start} belong to no object, or to an object before its revision")
        ends = [*(own[number] for number in order[1:]), mark.end]
        places = {number: Place(own[number], end) for number, end in zip(order, ends, strict=True)}
        for number in order[:-1]:
            value = self.value(number, places[number])
            kind = value.entries.get("Type") if isinstance(value, Stream) else None
            if kind == "XRef" or (kind == "ObjStm" and self.revisions):
                self.reject(f"the object {number} hides other objects")
        if pooled:
            places |= self._pool_of(pooled, places)
        return Revision(start, mark.end, places, mark.stream.entries, mark.stream.number)

    def _listed(self, stream: Stream) -> tuple[dict[int, int], dict[int, tuple[int, int]]]:
        """Return the objects that a cross-reference lists: those of their own, by offset, and those in a pool."""
        widths, numbers = self._form(stream.entries)
        first, second = 1 + widths[1], sum(widths)
        table = self.data(stream, len(numbers) * second)
        if len(table) != len(numbers) * second:
            self.reject("a cross-reference is shorter than it says")
        own: dict[int, int] = {}
        pooled: dict[int, tuple[int, int]] = {}
        for position, number in zip(range(0, len(table), second), numbers, strict=True):
            kind = table[position]
            value = int.from_bytes(table[position + 1 : position + first])
            other = int.from_bytes(table[position + first : position + second])
            if number and kind == _OWN and not other:
                own[number] = value
            elif number and kind == _POOLED and not self.revisions:
                pooled[number] = value, other
            elif number or kind != _FREE or value:
                self.reject(f"a cross-reference frees or hides the object {number}")
        return own, pooled

    def _form(self, entries: Mapping[str, Value]) -> tuple[list[int], list[int]]:
        """Return the widths of a cross-reference's fields, and the numbers that it lists, in order."""
        widths, index = (self._numbers(entries, key) for key in ("W", "Index"))
        size = entries.get("Size")
        if len(widths) != 3 or widths[0] != 1 or not all(1 <= one <= 8 for one in widths):
            self.reject("a cross-reference has widths that none of a record has")
        if type(size) is not int or size > _MOST_OBJECTS or len(index) % 2:
            self.reject("a cross-reference has a size that none of a record has")
        sections = list(zip(index[::2], index[1::2], strict=True))
        if not sections or not all(0 < count <= size for _, count in sections):
            self.reject("a cross-reference lists another number of objects than it says")
        ends = [first + count for first, count in sections]
        if any(end > first for end, (first, _) in zip(ends, sections[1:], strict=False)):
            self.reject("a cross-reference lists an object twice, or out of order")
        if sections[0][0] != 0 or ends[-1] != size or (not self.revisions and len(sections) != 1):
            self.reject("a cross-reference lists another number of objects than it says")
        return widths, [number for first, count in sections for number in range(first, first + count)]

    def _numbers(self, entries: Mapping[str, Value], key: str) -> list[int]:
        numbers: list[int] = self.expect(list, entries.get(key), f"list of numbers /{key}")
        if not all(type(item) is int and item >= 0 for item in numbers):
            self.reject(f"there is no list of numbers /{key} where one belongs")
        return numbers

    def _pool_of(self, listed: Mapping[int, tuple[int, int]], places: Mapping[int, Place]) -> dict[int, Place]:
        """Return the places of objects within the one object stream; it holds those that are listed, in their order."""
        streams = {number for number, _ in listed.values()}
        holder = min(streams)
        if len(streams) > 1 or holder not in places:
            self.reject("it has more than one object stream, or one that is none")
        stream = self.expect(Stream, self.value(holder, places[holder]), "object stream")
        first, count = stream.entries.get("First"), stream.entries.get("N")
        if stream.entries.get("Type") != "ObjStm" or type(first) is not int or not 0 < first < _DIGITS * len(listed):
            self.reject(f"the object {holder} is no object stream")
        self._pool = self.data(stream)
        head = self._pool[:first].split()
        numbers = [int(item) for item in head if item.isdigit()]
        ordered = sorted(listed, key=lambda number: listed[number][1])
        offsets = [first + offset for offset in numbers[1::2]]
        limits = [*offsets[1:], len(self._pool)]
        if (
            (count, len(head)) != (len(listed), 2 * len(listed))
            or numbers[::2] != ordered
            or [listed[number][1] for number in ordered] != list(range(len(listed)))
            or offsets[:1] != [first]
            or any(offset >= limit for offset, limit in zip(offsets, limits, strict=True))
        ):
            self.reject(f"the object stream {holder} holds other objects than the cross-reference lists")
        return {
            number: Place(offset, limit, pooled=True)
            for number, offset, limit in zip(ordered, offsets, limits, strict=True)
        }

    def _pooled(self, number: int, offset: int, end: int) -> Value:
        try:
            if end - offset > LARGEST_OBJECT:
                raise SyntaxProblem("it is too large")
            value, position = parse(self._pool[offset:end], 0)
            if self._pool[offset + position : end].strip():
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
        named = [self.document.expect(Reference, one.trailer.get("Root"), "catalog") for one in self.revisions]
        if len(set(named)) != 1:
            self.document.reject("its revisions name different catalogs")
        return named[0]

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
        place = next((one.places[value.number] for one in reversed(self.revisions) if value.number in one.places), None)
        if place is None:
            self.document.reject(f"there is no object {value.number}, to which another refers")
        found = self.document.value(value.number, place)
        if isinstance(found, Reference):
            self.document.reject(f"the object {value.number} is a mere reference")
        return found

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
            if self.dictionary(page, "page").get("Type") != "Page":
                self.document.reject(f"the object {page.number} in its page tree is no page")
        return found


def references(values: Iterable[Value]) -> list[Value]:
    """Return those values that may lead to other objects."""
    return [one for one in values if isinstance(one, Reference | list | dict)]
