"""Finds where a trail delivers: for which accounts and Regions, and into which buckets within a window."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kit.collect.bulk import Bulk
from kit.digests.digest import RawDigest, verify_digest
from kit.digests.names import DIGESTS, DigestName, Place, digest_name, place_of_digest
from kit.digests.names import LOGS as LOG_FILES
from kit.digests.objects import Listing, Query, Wanted
from kit.snapshot import Trail

AFTER = timedelta(hours=2)
"""How far behind the window digests are read: the one that covers its end, and names what was delivered then."""
_MOST_PLACES = 8


@dataclass(frozen=True)
class DeliveryScope:
    """What to collect of a trail: the window, when it is looked at, and how long digests may take to come.

    `regions` None means all that are enabled; `others` are the trails that deliver into the same account and Region.
    `only` names the accounts to read of, where those are not all. With `sampled`, two logs are kept with their bytes.
    """

    window: tuple[datetime, datetime]
    now: datetime
    settling: timedelta
    enabled: tuple[str, ...]
    regions: tuple[str, ...] | None = None
    organization: str = ""
    accounts: tuple[str, ...] = ()
    others: tuple[Trail, ...] = ()
    unasked: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    sampled: bool = True

    @property
    def settled(self) -> datetime:
        """Up to when every digest must be there by now."""
        return min(self.window[1], self.now - self.settling)


class Places:
    """Where one trail delivers; `places` are buckets with prefix, the present one first, then those before it."""

    def __init__(self, trail: Trail, scope: DeliveryScope, bulk: Bulk) -> None:
        self.owner = (trail.name, trail.home_region)
        organization = scope.organization if trail.description.get("IsOrganizationTrail") else ""
        bucket, prefix = str(trail.description["S3BucketName"]), str(trail.description.get("S3KeyPrefix") or "")
        self.places = [Place(bucket, prefix.rstrip("/"), organization)]
        self._trail, self._scope, self._bulk = trail, scope, bulk

    def accounts(self) -> list[str]:
        """Return the accounts that the trail delivers for: its own; for an organization trail, those found or named."""
        if not self._trail.description.get("IsOrganizationTrail"):
            return [self._trail.account]
        if self._scope.only:
            return list(self._scope.only)
        (found,) = self._bulk.list([Query(self.places[0].bucket, self.places[0].base, folders=True)])
        names = (folder.removeprefix(self.places[0].base).rstrip("/") for folder in found.folders)
        return sorted({*(name for name in names if name.isdecimal() and len(name) == 12), *self._scope.accounts})

    def required(self, accounts: Iterable[str]) -> list[tuple[str, str]]:
        """Return the accounts and Regions for which digests must be there."""
        multiple = self._trail.description.get("IsMultiRegionTrail") is not False
        regions = self._scope.enabled if multiple else (self._trail.home_region,)
        limit = self._scope.regions
        return [(a, region) for a in accounts for region in regions if limit is None or region in limit]

    def areas(
        self, accounts: Iterable[str], required: Sequence[tuple[str, str]], ahead: Sequence[Query]
    ) -> list[tuple[str, str]]:
        """Return the accounts and Regions to list: those required, and those that the bucket has folders for.

        Finds on the way where else the trail delivered within the window, and lists ahead what is asked for next.
        """
        place = self.places[0]
        queries = [
            Query(place.bucket, place.folder(account, kind), folders=True)
            for account in accounts
            for kind in (DIGESTS, LOG_FILES)
        ]
        home = (self._trail.account, self._trail.home_region)
        probed = home if home in required or not required else required[0]
        probe, *listings = self._bulk.list([self._probe(place, probed), *queries, *ahead])
        self._bulk.keep_listings(listings[len(queries) :])
        found = set(required)
        for query, listing in zip(queries, listings, strict=False):
            account = query.prefix.removeprefix(place.base).partition("/")[0]
            for folder in listing.folders:
                region = folder.removeprefix(query.prefix).rstrip("/")
                if self._scope.regions is None or region in self._scope.regions:
                    found.add((account, region))
        self._read_ahead(one for one in listings[len(queries) :] if f"/{DIGESTS}/" in one.query.prefix)
        self._find_places(probe, probed)
        return sorted(found)

    def _read_ahead(self, listings: Iterable[Listing]) -> None:
        """Read the digests that were listed ahead, all at once: one of them may tell of another place to look."""
        wanted = [
            Wanted(stored.bucket, stored.key, keep=True)
            for listing in listings
            for stored in listing.objects
            if stored.there and (name := digest_name(self.places[0], stored.key)) and self.within(name)
        ]
        self._bulk.keep_reads(wanted)

    def _probe(self, place: Place, area: tuple[str, str], until: datetime | None = None) -> Query:
        """Return what asks for the digests of one account and Region: over the whole window, or on until a time."""
        folder = place.folder(area[0], DIGESTS, area[1])
        start, end = self._scope.window
        last = (until or end + AFTER).date() + timedelta(days=1)
        return Query(place.bucket, folder, f"{folder}{start:%Y/%m/%d}/", f"{folder}{last:%Y/%m/%d}/")

    def _find_places(self, listing: Listing, area: tuple[str, str]) -> None:
        """Find where the trail delivered before its bucket or prefix changed, within the window or since.

        The oldest digest names the one before it, wherever that lies. That is followed even where the oldest one covers
        the start of the window: in another Region, whose hours begin at another minute, it may be the one before.
        """
        while len(self.places) < _MOST_PLACES:
            place = self.places[-1]
            oldest = self._oldest(listing, place)
            if oldest is None:
                (listing,) = self._bulk.list([self._probe(place, area, self._scope.now)])
                oldest = self._oldest(listing, place)
            before = self._place_before(oldest) if oldest else None
            if before is None or before in self.places:
                return
            self.places.append(before)
            (listing,) = self._bulk.list([self._probe(before, area)])

    def _oldest(self, listing: Listing, place: Place) -> str | None:
        """Return the key of the trail's oldest digest in a listing that ends behind the start of the window."""
        found = []
        for stored in listing.objects:
            name = digest_name(place, stored.key)
            if stored.there and name and name.chain.owner == self.owner:
                found.append((name.end, stored.key))
        return min((each for each in found if each[0] > self._scope.window[0]), default=(None, None))[1]

    def _place_before(self, key: str) -> Place | None:
        place = self.places[-1]
        name = digest_name(place, key)
        (read,) = self._bulk.read([Wanted(place.bucket, key, keep=True)])
        if name is None or read.body is None:
            return None
        # only where to look: what lies there is verified like everything else
        digest = verify_digest(RawDigest(place.bucket, key, name, read.body, read.metadata or {}), "not asked").digest
        if digest is None or digest.previous is None:
            return None
        return place_of_digest(digest.previous.bucket, digest.previous.key, place.organization)

    def within(self, name: DigestName) -> bool:
        """Return whether a digest ends within the window, or soon enough behind it to cover its end."""
        start, end = self._scope.window
        return start < name.end <= end + AFTER
