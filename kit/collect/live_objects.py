"""Lists and reads S3 for real, and keeps every answer in the ledgers of the run, in the order it was asked for.

Objects are read in this process, or by the workers of a cluster, in partitions: the lines are the same.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType

from kit.collect.cluster import Spread
from kit.collect.ledger import Ledger, encode_line
from kit.collect.listing import Page
from kit.collect.objects import (
    KEPT,
    LISTINGS,
    LOGS,
    Progress,
    Search,
    first_page,
    listing_of,
    next_page,
    page_of,
    text_of,
)  # fmt: skip
from kit.collect.readers import Storage
from kit.collect.reading import in_flight, line_of, read_lines
from kit.collect.transfers import ATTEMPTS, Answer, Job, Transfers
from kit.digests.objects import Listing, Query, Read, Wanted
from kit.evidence import EvidenceStore, timestamp, utc_now

_PART = 4096


class LiveObjects(AbstractContextManager["LiveObjects"]):
    """Reads S3, and writes every answer to the ledgers, in the order it was asked for.

    `open_storage` gives, for a bucket, how it is reached and with whose credentials, or in words why it can't be. A
    throttled or dropped request is tried again, up to `attempts` times in all. What `search` finds in a log is kept in
    its line; without it, the calls for data keys are. With `spread`, many objects are read by the workers of a cluster.
    """

    def __init__(
        self,
        store: EvidenceStore,
        open_storage: Callable[[str], Storage | str],
        search: Search | None = None,
        *,
        spread: Spread | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._search = search
        self._spread = spread
        self._ledgers = {
            name: Ledger(store, name, operation)
            for name, operation in ((LISTINGS, "ListObjectVersions"), (LOGS, "GetObject"), (KEPT, "GetObject"))
        }
        self._started = timestamp(utc_now())
        self._transfers = Transfers(open_storage, attempts=attempts, in_flight=in_flight(search))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transfers.close()
        for ledger in self._ledgers.values():
            ledger.abandon()
        if self._spread:
            self._spread.close()

    def close(self) -> dict[str, tuple[str, ...]]:
        """Close the ledgers, and return the evidence id of each that has a line."""
        ended = timestamp(utc_now())
        return {name: ledger.close(self._started, ended) for name, ledger in self._ledgers.items()}

    def list_folders(self, queries: Sequence[Query]) -> list[Listing]:
        """Return what each folder holds."""
        every: list[list[tuple[bytes, Page | str]]] = [[] for _ in queries]
        jobs = (_page_job(query, first_page(query), pages) for query, pages in zip(queries, every, strict=True))
        self._transfers.run(jobs)
        listed = []
        for query, pages in zip(queries, every, strict=True):
            for packed, _ in pages:
                self._ledgers[LISTINGS].write(zlib.decompress(packed))
            listed.append(listing_of(query, [page for _, page in pages]))
        return listed

    def read_objects(self, wanted: Sequence[Wanted], progress: Progress) -> list[Read]:
        """Return what reading each object gave."""
        reads = []
        for one, (line, found) in zip(wanted, self._lines(wanted, progress), strict=True):
            self._ledgers[KEPT if one.keep else LOGS].write(line)
            reads.append(found)
        return reads

    def _lines(self, wanted: Sequence[Wanted], progress: Progress) -> Iterator[tuple[bytes, Read]]:
        if self._spread and self._spread.is_worth(len(wanted)):
            yield from self._spread.read(wanted, self._transfers.storage, progress)
            return
        # a part at a time, so that few lines wait for those before them
        for start in range(0, len(wanted), _PART):
            yield from read_lines(self._transfers, wanted[start : start + _PART], self._search, progress)


def _page_job(query: Query, asked: dict[str, str], pages: list[tuple[bytes, Page | str]]) -> Job:
    """Return what asks for a page and for those after it; each is kept as its ledger line, packed, and as read."""

    def done(answer: Answer) -> Job | None:
        line = line_of(answer) | {"bucket": query.bucket, "parameters": asked, "body": text_of(answer.body)}
        page = page_of(line)
        pages.append((zlib.compress(encode_line(line), 1), page))
        following = next_page(query, asked, page)
        return _page_job(query, following, pages) if following else None

    return Job(query.bucket, "", asked, done)
