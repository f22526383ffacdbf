"""Lists and reads in bulk for one collection: counts what is done, and keeps what was asked for ahead."""

from collections.abc import Iterable, Sequence

from kit.collect.account import Progress
from kit.collect.objects import Objects
from kit.digests.objects import Listing, Query, Read, Stored, Wanted
from kit.digests.problems import address


class Bulk:
    """Asks `Objects`, tells the progress, and asks for nothing again that was asked for ahead.

    `unknown` holds, in words, what could not be listed.
    """

    def __init__(self, objects: Objects, progress: Progress) -> None:
        self.unknown: dict[str, None] = {}
        self._objects = objects
        self._progress = progress
        self._listings: dict[Query, Listing] = {}
        self._reads: dict[Wanted, Read] = {}
        self._done = self._asked = self._bytes = 0

    def list(self, queries: Sequence[Query]) -> tuple[Listing, ...]:
        """Return what folders hold, in the order they were asked for."""
        asked = [query for query in queries if query not in self._listings]
        new = dict(zip(asked, self._objects.list_folders(asked), strict=True))
        listings = tuple(new.get(query) or self._listings.pop(query) for query in queries)
        for listing in listings:
            if listing.failure:
                where = address(listing.query.bucket, listing.query.prefix)
                self.unknown[f"What lies in {where} is not known: {listing.failure.rstrip('.')}"] = None
        return listings

    def keep_listings(self, listings: Iterable[Listing]) -> None:
        """Keep listings for when they are asked for."""
        self._listings = {listing.query: listing for listing in listings}

    def read(self, wanted: Sequence[Wanted]) -> tuple[Read, ...]:
        """Return what reading objects gave, in the order they were asked for."""
        missing = [one for one in wanted if one not in self._reads]
        self._asked += len(missing)
        new = dict(zip(missing, self._objects.read_objects(missing, self._count), strict=True))
        return tuple(new.get(one) or self._reads[one] for one in wanted)

    def keep_reads(self, wanted: Sequence[Wanted]) -> None:
        """Read objects, and keep what that gave for when they are asked for, until the next are kept."""
        self._reads = {}
        self._reads = dict(zip(wanted, self.read(wanted), strict=True))

    def read_older(self, listed: Iterable[Stored]) -> dict[tuple[str, str], tuple[Read, ...]]:
        """Return what reading the versions behind the newest gave, by bucket and key; a sound bucket has none."""
        wanted = [
            Wanted(one.bucket, one.key, version.id)
            for one in listed
            for version in one.versions[1:]
            if not version.deleted
        ]
        found: dict[tuple[str, str], tuple[Read, ...]] = {}
        for read in self.read(wanted):
            found[read.bucket, read.key] = (*found.get((read.bucket, read.key), ()), read)
        return found

    def _count(self, objects: int, stored: int) -> None:
        self._done += objects
        self._bytes += stored
        self._progress("Log files and digests", self._done, self._asked, self._bytes)
