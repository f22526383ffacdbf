"""Collects what a trail delivered within a window: every listing, digest and log, verified as it is read.

The objects of a few days are listed, read and reconciled at a time, so that memory does not grow with the window.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial

from kit.canonical import Json
from kit.collect.account import Progress
from kit.collect.calls import LIST_PUBLIC_KEYS
from kit.collect.objects import Objects
from kit.collect.readers import Readers
from kit.digests.chain import ChainBuilder
from kit.digests.digest import PublicKey, RawDigest, Verified, verify_digest
from kit.digests.names import DIGESTS, ChainName, DigestName, Place, digest_name, log_name, place_of_digest
from kit.digests.names import LOGS as LOG_FILES
from kit.digests.objects import Listing, Query, Read, Stored, Wanted
from kit.digests.problems import Kind, Problem, address
from kit.digests.reconcile import NAMED_WITHIN, LogBook, Naming, Owner, Tally, history
from kit.digests.sample import Sample, choose_sample
from kit.snapshot import Answer, Delivery, Trail

AFTER = timedelta(hours=2)
"""How far behind the window digests are read: the one that covers its end, and names what was delivered then."""
_BEFORE = timedelta(hours=3)
_DAYS = 4
_BATCH = 20_000
_CARRIED = timedelta(hours=12)
_MOST_PLACES = 8
_KINDS = (DIGESTS, LOG_FILES)


@dataclass(frozen=True)
class DeliveryScope:
    """What to collect of a trail: the window, when it is looked at, and how long digests may take to come.

    `regions` None means all that are enabled; `others` are the trails that deliver into the same account and Region.
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

    @property
    def settled(self) -> datetime:
        """Up to when every digest must be there by now."""
        return min(self.window[1], self.now - self.settling)


def collect_delivery(
    readers: Readers, objects: Objects, trail: Trail, scope: DeliveryScope, executor: Executor, progress: Progress
) -> Delivery:
    """Return what a trail delivered within the window, verified.

    IAM: cloudtrail:ListPublicKeys; s3:ListBucketVersions, s3:GetObject and s3:GetObjectVersion on the log bucket;
    kms:Decrypt under the keys of the objects.

    Raises:
        CredentialsError: no credentials can be found.
        EvidenceError: an answer can't be recorded.
    """
    return _Collection(readers, objects, trail, scope, executor, progress).run()


@dataclass
class _Found:
    """One digest of a batch: where it is listed, what its name says, and what reading and verifying it gave."""

    stored: Stored
    name: DigestName
    read: Read
    raw: RawDigest | None = None
    verified: Verified | None = None
    others: tuple[Read, ...] = ()


@dataclass
class _Area:
    """One account and Region: its chains, and the book of its logs."""

    account: str
    region: str
    described: frozenset[Owner]
    builders: dict[ChainName, ChainBuilder]
    book: LogBook
    digests: list[_Found] = field(default_factory=list)


class _Collection:
    """The state of one collection; what it keeps of a batch is what the next one needs."""

    def __init__(
        self,
        readers: Readers,
        objects: Objects,
        trail: Trail,
        scope: DeliveryScope,
        executor: Executor,
        progress: Progress,
    ) -> None:
        self.readers, self.objects, self.trail, self.scope = readers, objects, trail, scope
        self.executor, self.progress = executor, progress
        self.owner: Owner = (trail.name, trail.home_region)
        organization = scope.organization if trail.description.get("IsOrganizationTrail") else ""
        bucket, prefix = str(trail.description["S3BucketName"]), str(trail.description.get("S3KeyPrefix") or "")
        self.places = [Place(bucket, prefix.rstrip("/"), organization)]
        self.tallies: dict[Owner, Tally] = {self.owner: Tally()}
        self.digests = Tally()
        self.areas: dict[tuple[str, str], _Area] = {}
        self.keys: dict[str, Future[Answer[Mapping[str, PublicKey]]]] = {}
        self.unknown: dict[str, None] = {}
        self.unlisted: set[tuple[str, str]] = set()
        self.ahead: dict[Query, Listing] = {}
        self.digests_read: dict[Wanted, Read] = {}
        self.sample: Sample | None = None
        self.read = self.wanted = self.bytes = 0
        self.newest: datetime | None = None
        self.example: Read | None = None

    def run(self) -> Delivery:
        """Collect batch by batch, and return what all of them gave."""
        accounts = self._accounts()
        required = self._required(accounts)
        self._ask_keys(region for _, region in required)
        start, end = self.scope.window
        day, last = (start - _BEFORE).date(), min(end + AFTER, max(self.scope.now, start)).date()
        days = _DAYS
        ahead = [query for *_, query in self._folders(required, day, min(day + timedelta(days=days - 1), last))]
        areas = self._find_areas(accounts, required, ahead)
        while day <= last:
            until = min(day + timedelta(days=days - 1), last)
            count = self._batch(self._folders(areas, day, until), until, final=until == last)
            days = max(1, min(days * 4, days * _BATCH // max(count, 1)))
            day = until + timedelta(days=1)
        return self._close(required)

    def _accounts(self) -> list[str]:
        """Return the accounts that the trail delivers for: its own; for an organization trail, those found or named."""
        if not self.trail.description.get("IsOrganizationTrail"):
            return [self.trail.account]
        (found,) = self._list([Query(self.places[0].bucket, self.places[0].base, folders=True)])
        names = (folder.removeprefix(self.places[0].base).rstrip("/") for folder in found.folders)
        return sorted({*(name for name in names if name.isdecimal() and len(name) == 12), *self.scope.accounts})

    def _required(self, accounts: Iterable[str]) -> list[tuple[str, str]]:
        """Return the accounts and Regions for which digests must be there."""
        multiple = self.trail.description.get("IsMultiRegionTrail") is not False
        regions = self.scope.enabled if multiple else (self.trail.home_region,)
        limit = self.scope.regions
        return [(a, region) for a in accounts for region in regions if limit is None or region in limit]

    def _find_areas(
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
        home = (self.trail.account, self.trail.home_region)
        probed = home if home in required or not required else required[0]
        probe, *listings = self._list([self._probe(place, probed), *queries, *ahead])
        self.ahead = dict(zip(ahead, listings[len(queries) :], strict=True))
        found = set(required)
        for query, listing in zip(queries, listings, strict=False):
            account = query.prefix.removeprefix(place.base).partition("/")[0]
            for folder in listing.folders:
                region = folder.removeprefix(query.prefix).rstrip("/")
                if self.scope.regions is None or region in self.scope.regions:
                    found.add((account, region))
        self._read_ahead(listing for query, listing in self.ahead.items() if f"/{DIGESTS}/" in query.prefix)
        self._find_places(probe, probed)
        return sorted(found)

    def _read_ahead(self, listings: Iterable[Listing]) -> None:
        """Read the digests that were listed ahead, all at once: one of them may tell of another place to look."""
        wanted = [
            Wanted(stored.bucket, stored.key, keep=True)
            for listing in listings
            for stored in listing.objects
            if stored.there and (name := digest_name(self.places[0], stored.key)) and self._within(name)
        ]
        self.digests_read = dict(zip(wanted, self._read(wanted), strict=True))

    def _read_digests(self, wanted: Sequence[Wanted]) -> list[Read]:
        """Return what reading digests gave; those that were read ahead are not read again."""
        missing = [one for one in wanted if one not in self.digests_read]
        new = dict(zip(missing, self._read(missing), strict=True))
        return [new.get(one) or self.digests_read[one] for one in wanted]

    def _probe(self, place: Place, area: tuple[str, str], until: datetime | None = None) -> Query:
        """Return what asks for the digests of one account and Region: over the whole window, or on until a time."""
        folder = place.folder(area[0], DIGESTS, area[1])
        start, end = self.scope.window
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
                (listing,) = self._list([self._probe(place, area, self.scope.now)])
                oldest = self._oldest(listing, place)
            before = self._place_before(oldest) if oldest else None
            if before is None or before in self.places:
                return
            self.places.append(before)
            (listing,) = self._list([self._probe(before, area)])

    def _oldest(self, listing: Listing, place: Place) -> str | None:
        """Return the key of the trail's oldest digest in a listing that ends behind the start of the window."""
        found = []
        for stored in listing.objects:
            name = digest_name(place, stored.key)
            if stored.there and name and (name.chain.trail, name.chain.home_region) == self.owner:
                found.append((name.end, stored.key))
        return min((each for each in found if each[0] > self.scope.window[0]), default=(None, None))[1]

    def _place_before(self, key: str) -> Place | None:
        place = self.places[-1]
        name = digest_name(place, key)
        (read,) = self._read_digests([Wanted(place.bucket, key, keep=True)])
        if name is None or read.body is None:
            return None
        # only where to look: what lies there is verified like everything else
        digest = verify_digest(RawDigest(place.bucket, key, name, read.body, read.metadata or {}), "not asked").digest
        if digest is None or digest.previous is None:
            return None
        return place_of_digest(digest.previous.bucket, digest.previous.key, place.organization)

    def _within(self, name: DigestName) -> bool:
        start, end = self.scope.window
        return start < name.end <= end + AFTER

    def _folders(
        self, areas: Iterable[tuple[str, str]], first: date, last: date
    ) -> list[tuple[Place, _Area, str, Query]]:
        """Return the folders of some days: of every place, account, Region and kind of object."""
        behind = last + timedelta(days=1)
        asked = [(place, self._area(*area), kind) for place in self.places for area in areas for kind in _KINDS]
        found = []
        for place, area, kind in asked:
            folder = place.folder(area.account, kind, area.region)
            query = Query(place.bucket, folder, f"{folder}{first:%Y/%m/%d}/", f"{folder}{behind:%Y/%m/%d}/")
            found.append((place, area, kind, query))
        return found

    def _batch(self, folders: Sequence[tuple[Place, _Area, str, Query]], last: date, *, final: bool) -> int:
        """List, read, verify and reconcile the objects of some days; return how many there were."""
        listings = self._list([query for *_, query in folders])
        listed = [(place, area, kind, one) for (place, area, kind, _), one in zip(folders, listings, strict=True)]
        self.unlisted |= {(area.account, area.region) for _, area, _, one in listed if one.failure}
        count = self._take_digests([(place, area, one) for place, area, kind, one in listed if kind == DIGESTS])
        if self.sample is None:
            self.sample = self._choose_sample()
        logs = [(place, area, one) for place, area, kind, one in listed if kind == LOG_FILES]
        count += self._take_logs(logs, final=final)
        edge = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1) - _CARRIED
        for area in self.areas.values():
            area.book.settle(None if final else edge)
            area.digests.clear()
        return count

    def _area(self, account: str, region: str) -> _Area:
        if (account, region) not in self.areas:
            owners = [
                self.owner,
                *((each.name, each.home_region) for each in self.scope.others if _reaches(each, region)),
            ]
            owners += [(f"any trail of {other}, which was not asked", other) for other in self.scope.unasked[:1]]
            tallies = {owner: self.tallies.setdefault(owner, Tally()) for owner in owners}
            builders: dict[ChainName, ChainBuilder] = {}
            naming = partial(self._naming, account, region, builders)
            book = LogBook(self.scope.window, tallies, naming)
            self.areas[account, region] = _Area(account, region, frozenset(owners), builders, book)
        return self.areas[account, region]

    def _naming(
        self, account: str, region: str, builders: Mapping[ChainName, ChainBuilder], owner: Owner, minute: datetime
    ) -> Naming:
        """Return whether every log that a trail delivered in a minute has been named by now."""
        builder = builders.get(ChainName(account, region, *owner))
        until = minute + NAMED_WITHIN
        if builder is not None and builder.coverage.covers(minute, until):
            return Naming.DONE
        due = self.scope.now - self.scope.settling
        covered = builder.last_end if builder and builder.last_end else due
        return Naming.YOUNG if until > max(due, covered) else Naming.UNKNOWN

    def _take_digests(self, listed: Sequence[tuple[Place, _Area, Listing]]) -> int:
        found: list[tuple[_Area, Stored, DigestName]] = []
        for place, area, listing in listed:
            for stored in listing.objects:
                name = digest_name(place, stored.key)
                if name is None:
                    if not stored.is_folder:
                        detail = "has no name that CloudTrail gives its digests"
                        self.digests.problems.add(Problem(Kind.PLANTED, stored.address, detail))
                elif self._within(name):
                    found.append((area, stored, name))
        found.sort(key=lambda each: (each[0].account, each[0].region, each[2].end, each[2].backfill, each[1].key))
        there = [each for each in found if each[1].there]
        reads = iter(self._read_digests([Wanted(stored.bucket, stored.key, keep=True) for _, stored, _ in there]))
        self.digests_read.clear()
        older = self._read_older(stored for _, stored, _ in found)
        taken = []
        for area, stored, name in found:
            own = (name.chain.trail, name.chain.home_region) == self.owner
            if stored.there:
                self.newest = (
                    max(self.newest or stored.versions[0].modified, stored.versions[0].modified) if own else self.newest
                )
                taken.append((area, _Found(stored, name, next(reads), others=older.get(stored.address, ()))))
            elif own:
                detail = f"was deleted at {stored.versions[0].modified:%Y-%m-%d %H:%M:%S} UTC"
                self.digests.problems.add(Problem(Kind.DELETED, stored.address, detail))
        self._verify(taken)
        for area, one in taken:
            self._take_digest(area, one)
        return len(found)

    def _verify(self, taken: Sequence[tuple[_Area, _Found]]) -> None:
        self._ask_keys(area.region for area, _ in taken)
        readable = []
        for area, one in taken:
            if one.read.body is not None:
                one.raw = RawDigest(one.stored.bucket, one.stored.key, one.name, one.read.body, one.read.metadata or {})
                keys = self.keys[area.region].result()
                readable.append((one, keys.value if keys.value is not None else keys.why))
        verified = self.executor.map(verify_digest, [one.raw for one, _ in readable], [keys for _, keys in readable])
        for (one, _), result in zip(readable, verified, strict=True):
            one.verified = result

    def _take_digest(self, area: _Area, one: _Found) -> None:
        owner: Owner = (one.name.chain.trail, one.name.chain.home_region)
        area.book.add_owner(owner, self.tallies.setdefault(owner, Tally()))
        builder = area.builders.setdefault(one.name.chain, ChainBuilder(one.name.chain))
        if owner == self.owner:
            self.digests.take(one.read, one.name.end.date())
            self.digests.problems.extend(history(one.stored, one.others, _hash_of(one)))
        elif one.verified and not one.verified.sound and owner not in area.described:
            # a digest of no trail that is there is CloudTrail's own only where CloudTrail signed it
            wrong = "; ".join(problem.detail for problem in one.verified.problems)
            self.digests.problems.add(Problem(Kind.PLANTED, one.stored.address, f"is of no trail, and {wrong}"))
        if one.verified is None:
            builder.unread(one.name, one.stored.bucket, one.stored.key, one.read.failure)
            return
        builder.add(one.verified)
        if one.verified.digest is not None and one.verified.sound:
            for log in one.verified.digest.logs:
                area.book.name(owner, log, one.stored.address)
        area.digests.append(one)

    def _take_logs(self, listed: Sequence[tuple[Place, _Area, Listing]], *, final: bool) -> int:
        start, end = self.scope.window
        found = []
        for place, area, listing in listed:
            for stored in listing.objects:
                name = log_name(place, stored.key)
                named = area.book.names(stored.bucket, stored.key)
                # a log behind the end may yet be named by a digest of the next batch
                due = name is not None and start <= name.minute and (name.minute < end or not final)
                found.append((area, stored, name, stored.there and (named or due), named or due))
        asked = [Wanted(one.bucket, one.key) for _, one, _, wanted, _ in found if wanted]
        sampled = self.sample.wanted if self.sample and not self.sample.bodies else ()
        kept = self._read([*(Wanted(log.bucket, log.key, keep=True) for log in sampled), *asked])
        if self.sample and sampled:
            bodies = {(read.bucket, read.key): read.body for read in kept[: len(sampled)] if read.body is not None}
            self.sample = self.sample.filled(bodies)
        reads = iter(kept[len(sampled) :])
        older = self._read_older(stored for _, stored, _, _, judged in found if judged)
        for area, stored, name, wanted, _ in found:
            read = next(reads) if wanted else None
            if self.example is None and read and not read.failure and read.encryption.startswith("aws:kms"):
                self.example = read
            area.book.take(stored, name, read, older.get(stored.address, ()))
        return len(found)

    def _read_older(self, listed: Iterable[Stored]) -> dict[str, tuple[Read, ...]]:
        """Return, by object, what reading the versions behind the newest gave; there are none in a sound bucket."""
        wanted = [
            Wanted(one.bucket, one.key, version.id)
            for one in listed
            for version in one.versions[1:]
            if not version.deleted
        ]
        found: dict[str, tuple[Read, ...]] = {}
        for read in self._read(wanted):
            found[read.address] = (*found.get(read.address, ()), read)
        return found

    def _ask_keys(self, regions: Iterable[str]) -> None:
        """Ask for CloudTrail's public keys of Regions, once each, while the buckets are read."""
        start = self.scope.window[0] - _BEFORE
        end = max(self.scope.now, self.scope.window[1]) + timedelta(hours=1)
        for region in sorted(set(regions) - set(self.keys)):
            self.keys[region] = self.executor.submit(
                collect_public_keys, self.readers, region, self.trail.account, start, end
            )

    def _choose_sample(self) -> Sample | None:
        """Return digests in a row for the verifier to be challenged on, of the home Region if it has them."""
        for (_, region), area in sorted(self.areas.items(), key=lambda each: each[1].region != self.trail.home_region):
            own = [
                (one.raw, one.verified)
                for one in area.digests
                if one.raw and one.verified and (one.name.chain.trail, one.name.chain.home_region) == self.owner
            ]
            keys = self.keys[region].result().value if region in self.keys else None
            if chosen := choose_sample(own, keys or {}):
                return chosen
        return None

    def _read(self, wanted: Sequence[Wanted]) -> list[Read]:
        self.wanted += len(wanted)

        def count(objects: int, stored: int) -> None:
            self.read += objects
            self.bytes += stored
            self.progress("Log files and digests", self.read, self.wanted, self.bytes)

        return self.objects.read_objects(wanted, count)

    def _list(self, queries: Sequence[Query]) -> list[Listing]:
        """Return what folders hold; what was listed ahead is not asked for again."""
        asked = [query for query in queries if query not in self.ahead]
        new = dict(zip(asked, self.objects.list_folders(asked), strict=True))
        listings = [new.get(query) or self.ahead.pop(query) for query in queries]
        for listing in listings:
            if listing.failure:
                where = address(listing.query.bucket, listing.query.prefix)
                self.unknown[f"What lies in {where} is not known: {listing.failure.rstrip('.')}"] = None
        return listings

    def _close(self, required: Sequence[tuple[str, str]]) -> Delivery:
        status = self.trail.status.value or {}
        started = status.get("StartLoggingTime")
        started = started.astimezone(UTC) if isinstance(started, datetime) else None
        chains = {}
        for (account, region), area in sorted(self.areas.items()):
            builder = area.builders.get(ChainName(account, region, *self.owner))
            if builder is not None:
                chains[account, region] = builder.close(started, self.scope.window[1])
        return Delivery(
            trail=self.trail.arn,
            window=self.scope.window,
            now=self.scope.now,
            settled=self.scope.settled,
            places=tuple(self.places),
            required=tuple(required),
            chains=chains,
            newest_digest=self.newest,
            digests=self.digests,
            logs=self.tallies[self.owner],
            unknown=tuple(self.unknown),
            unlisted=frozenset(self.unlisted),
            keys=tuple(self.keys[region].result() for region in sorted(self.keys)),
            sample=self.sample,
            example=self.example,
        )


def _hash_of(one: _Found) -> str:
    return one.verified.digest.sha256 if one.verified and one.verified.digest else ""


def collect_public_keys(
    readers: Readers, region: str, account: str, start: datetime, end: datetime
) -> Answer[Mapping[str, PublicKey]]:
    """Return the public keys by which CloudTrail signed digests in a Region within a period, by fingerprint.

    IAM: cloudtrail:ListPublicKeys.
    """
    return readers.ask(LIST_PUBLIC_KEYS, region, _public_keys, account=account, StartTime=start, EndTime=end)


def _public_keys(response: Mapping[str, Json]) -> Mapping[str, PublicKey]:
    keys = [
        PublicKey(
            str(key["Fingerprint"]),
            bytes(key["Value"]),
            key["ValidityStartTime"].astimezone(UTC),
            key["ValidityEndTime"].astimezone(UTC),
        )
        for key in response["PublicKeyList"]
    ]
    return {key.fingerprint: key for key in keys}


def _reaches(trail: Trail, region: str) -> bool:
    """Return whether a trail delivers the logs of a Region; what its description does not say, it may."""
    return trail.home_region == region or trail.description.get("IsMultiRegionTrail") is not False
