"""The content of a gzipped object, read in a stream: its hash, its size, and what is wrong with it.

Concatenated members are one content [RFC 1952, 2.2]. What an inflated object could hide is refused: bytes behind the
last member, a member that is cut short, and an object that expands beyond every log file (a bomb).
"""

import hashlib
import zlib
from dataclasses import dataclass

_BLOCK = 1 << 20
_SLICE = 1 << 14  # a member's end costs a copy of what is behind it
_MEMBERS = 1000
_GZIP = 31  # zlib's window bits for gzip, with header and checksum
_FREE = 16 << 20
"""Bytes to which any object may expand; beyond, the ratio counts."""
_RATIO = 250
"""How much a JSON text may expand: log files expand 10 to 30 times, an empty stretch of zeros about 1,000 times."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a gzipped object holds: the SHA-256 (hexadecimal) and size of the uncompressed bytes.

    `problem` says, as the end of a sentence that begins with the object's name, why it is no sound gzip; there is no
    hash then. `text` is the uncompressed content where it was to be kept and is short enough.
    """

    sha256: str
    size: int
    problem: str = ""
    text: bytes | None = None


class Inflater:
    """Takes an object's bytes as they arrive; memory stays flat, but for `keep` bytes of text."""

    def __init__(self, keep: int = 0, limit: int | None = None) -> None:
        self._keep = keep
        self._limit = limit
        self._kept: list[bytes] | None = []
        self._hash = hashlib.sha256()
        self._read = 0
        self._size = 0
        self._member = zlib.decompressobj(_GZIP)
        self._members = 0
        self._size_of_member = 0
        self._problem = ""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the object."""
        for start in range(0, len(data), _SLICE):
            self._feed(data[start : start + _SLICE])

    def close(self) -> Content:
        """Return what was read."""
        problem = self._problem
        if not problem and not self._member.eof:
            problem = "ends within its content" if self._read else "is empty"
        if problem:
            return Content("", self._size, problem)
        text = None if self._kept is None else b"".join(self._kept)
        return Content(self._hash.hexdigest(), self._size, text=text)

    def _feed(self, data: bytes) -> None:
        self._read += len(data)
        # a full block may leave more behind it than the input shows
        more = bool(data)
        while more and not self._problem:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
                self._members += 1
                if self._members > _MEMBERS:
                    self._problem = "has more gzip members than CloudTrail ever writes"
                    return
            try:
                inflated = self._member.decompress(data, _BLOCK)
            except zlib.error:
                behind = self._members and not self._size_of_member
                self._problem = "holds bytes behind its content" if behind else "is no sound gzip"
                return
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            self._take(inflated, self._read - len(data))
            more = bool(data) or (len(inflated) == _BLOCK and not self._member.eof)

    def _take(self, inflated: bytes, read: int) -> None:
        self._size += len(inflated)
        self._size_of_member = 0 if self._member.eof else self._size_of_member + len(inflated)
        self._hash.update(inflated)
        if self._kept is not None:
            self._kept.append(inflated)
            if self._size > self._keep:
                self._kept = None
        beyond = self._size > _FREE and self._size > read * _RATIO
        if beyond or (self._limit is not None and self._size > self._limit):
            self._problem = "expands beyond every size that CloudTrail delivers"


def inflate(body: bytes, limit: int) -> Content:
    """Return the content of an object that is here as a whole, its text included, up to `limit` bytes of it."""
    inflater = Inflater(keep=limit, limit=limit)
    inflater.feed(body)
    return inflater.close()
