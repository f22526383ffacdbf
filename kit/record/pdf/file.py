"""Reads the bytes of a record's PDF: single objects, and streams in blocks, so that memory stays flat for any size."""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Never, Self, TypeVar

from kit.errors import RejectionError
from kit.record.manifest import RESTORE
from kit.record.pdf.syntax import SPACES, Stream, SyntaxProblem, Value, parse

BLOCK = 1 << 20
"""How many bytes a block of a stream has at most."""
LARGEST = 1 << 27
"""How many bytes a stream that is read whole may have, inflated: page contents, objects, cross-references."""
LARGEST_OBJECT = 1 << 23
"""How many bytes an object may have, without its stream."""

ENDSTREAM = re.compile(rb"(?:\r?\n)?endstream[%b]+endobj[%b]*" % (SPACES, SPACES))
_ENDOBJ = re.compile(rb"[%b]*endobj[%b]*" % (SPACES, SPACES))
_OBJECT = re.compile(rb"(\d{1,10}) 0 obj[%b]" % SPACES)
_STREAM = re.compile(rb"[%b]*stream\r?\n" % SPACES)
_TAIL = 64
_WINDOW = 1 << 12

T = TypeVar("T")


class PdfFile:
    """A PDF, open for reading.

    Raises:
        RejectionError: it can't be read.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            self._file = path.open("rb")
            self.size = path.stat().st_size
        except OSError as error:
            raise RejectionError(f"{path.name} can't be read: {error.strerror}", "make it readable") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def reject(self, reason: str) -> Never:
        """Reject the file.

        Raises:
            RejectionError: always; names the file and the reason.
        """
        raise RejectionError(f"{self.name} is no PDF of a record: {reason}", RESTORE)

    def expect(self, kind: type[T], value: Value, what: str) -> T:
        """Return a value that has to be of a kind.

        Raises:
            RejectionError: it is of another.
        """
        if type(value) is not kind:
            self.reject(f"there is no {what} where one belongs")
        return value

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
        """Yield the decoded bytes of a stream in blocks; none that would exceed the limit, in bytes.

        Raises:
            RejectionError: it is malformed, of another filter than FlateDecode, or larger than the limit.
        """
        filters = stream.entries.get("Filter")
        if filters not in (None, "FlateDecode", ["FlateDecode"]) or {"DecodeParms", "F"} & set(stream.entries):
            self.reject(f"the stream {stream.number} has a filter that none of a record has")
        total, written = 0, self.span(stream.start, stream.start + stream.length)
        for block in written if filters is None else self._inflated(stream, written):
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

    def whole_object(self, number: int, offset: int, end: int) -> Value:
        """Return the object with a number; it fills the bytes [offset, end) to the last one.

        Raises:
            RejectionError: another object is there, or something beside it.
        """
        found, value, after = self.object_at(offset, end)
        if found != number:
            self.reject(f"the object {number} is not where the cross-reference says")
        rest = self.read(after, min(end - after, _TAIL))
        if after + len(rest) != end or not (ENDSTREAM if isinstance(value, Stream) else _ENDOBJ).fullmatch(rest):
            self.reject(f"something follows the object {number} that is no part of it")
        return value

    def object_at(self, offset: int, end: int) -> tuple[int, Value, int]:
        """Return the object that starts at an offset: its number, itself, and where its value or its stream ends.

        Raises:
            RejectionError: none does, or it is malformed, or does not end before `end`.
        """
        size, length = end - offset, _WINDOW
        while True:
            try:
                return self._object(self.read(offset, min(length, size)), offset, end)
            except SyntaxProblem as problem:
                # the window may have cut the object
                if length >= min(size, LARGEST_OBJECT):
                    self.reject(f"the object at byte {offset} is malformed: {problem}")
            length *= 8

    def _object(self, window: bytes, offset: int, end: int) -> tuple[int, Value, int]:
        head = _OBJECT.match(window)
        if head is None:
            raise SyntaxProblem("none starts there")
        number = int(head[1])
        value, position = parse(window, head.end(), offset)
        stream = _STREAM.match(window, position)
        if stream is None:
            if not _ENDOBJ.match(window, position):
                raise SyntaxProblem("it does not end as one")
            return number, value, offset + position
        entries, start = self.expect(dict, value, "dictionary of a stream"), offset + stream.end()
        length = entries.get("Length")
        if type(length) is not int or not 0 <= length <= end - start:
            raise SyntaxProblem("its stream has no length, or one that can't be")
        return number, Stream(number, entries, start, length), start + length

    def _inflated(self, stream: Stream, written: Iterator[bytes]) -> Iterator[bytes]:
        inflating = zlib.decompressobj()
        try:
            for waiting in written:
                made = inflating.decompress(waiting, BLOCK)
                while made:
                    yield made
                    made = inflating.decompress(inflating.unconsumed_tail, BLOCK)
                if inflating.unused_data:
                    break
        except zlib.error as error:
            self.reject(f"the stream {stream.number} can't be inflated: {error}")
        if not inflating.eof or inflating.unused_data:
            self.reject(f"the stream {stream.number} does not end where its data end")
