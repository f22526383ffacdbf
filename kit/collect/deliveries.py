"""Collects what a trail delivered within a window: every listing, digest and log, verified as it is read.

The objects of a few accounts and Regions and of a few days are listed, read and reconciled at a time, so that memory
grows neither with an organization nor with the window.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial

from kit.canonical import Json
from kit.checks.trail import key_arn
from kit.collect.account import Progress
from kit.collect.bulk import Bulk
from kit.collect.calls import LIST_PUBLIC_KEYS
from kit.collect.objects import Objects
from kit.collect.places import AFTER, DeliveryScope, Places
from kit.collect.readers import Readers
from kit.digests.chain import Chain, ChainBuilder
from kit.digests.digest import PublicKey, RawDigest, Verified, verify_digest
from kit.digests.names import DIGESTS, ChainName, DigestName, Place, digest_name, log_name
from kit.digests.names import LOGS as LOG_FILES
from kit.digests.objects import Listing, Query, Read, Stored, Version, Wanted
from kit.digests.problems import Kind, Problem, Problems
from kit.digests.reconcile import NAMED_WITHIN, LogBook, Naming, Owner, Tally, history
from kit.digests.sample import Sample, choose_sample
from kit.snapshot import Answer, Delivery, Trail

_BEFORE = timedelta(hours=3)
_AREAS = 128
_DAYS = 4
_BATCH = 20_000
_CARRIED = timedelta(hours=12)
_KINDS = (DIGESTS, LOG_FILES)


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
        self.readers, self.trail, self.scope, self.executor = readers, trail, scope, executor
        self.bulk = Bulk(objects, progress)
        self.where = Places(trail, scope, self.bulk)
        self.owner = self.where.owner
        self.tallies: dict[Owner, Tally] = {self.owner: Tally()}
        self.digests = Tally()
        self.areas: dict[tuple[str, str], _Area] = {}
        self.chains: dict[tuple[str, str], Chain] = {}
        self.keys: dict[str, Future[Answer[Mapping[str, PublicKey]]]] = {}
        self.unlisted: set[tuple[str, str]] = set()
        self.sample: Sample | None = None
        self.newest: datetime | None = None
        self.example: Read | None = None
        self.key = key_arn(trail.key.named, trail.key.metadata) if trail.key else None
        start, end = scope.window
        self.first, self.last = (start - _BEFORE).date(), min(end + AFTER, max(scope.now, start)).date()

    def run(self) -> Delivery:
        """Collect batch by batch, and return what all of them gave."""
        accounts = self.where.accounts()
        required = self.where.required(accounts)
        self._ask_keys(region for _, region in required)
        ahead = [query for *_, query in self._folders(required[:_AREAS], self.first, self._until(self.first, _DAYS))]
        areas = self.where.areas(accounts, required, ahead)
        # all days of some areas before the next ones: what a day leaves over is an area's own, and settled with it
        for first in range(0, len(areas), _AREAS):
            self._collect(areas[first : first + _AREAS])
        return self._close(required)

    def _collect(self, areas: Sequence[tuple[str, str]]) -> None:
        """Collect what was delivered for some accounts and Regions, in more days at a time the less there is."""
        day, days = self.first, _DAYS
        while day <= self.last:
            until = self._until(day, days)
            count = self._batch(self._folders(areas, day, until), until, final=until == self.last)
            days = max(1, min(days * 4, days * _BATCH // max(count, 1)))
            day = until + timedelta(days=1)
        self._close_areas()

    def _until(self, day: date, days: int) -> date:
        """Return the last of so many days from one on, as far as the window reaches."""
        return min(day + timedelta(days=days - 1), self.last)

    def _folders(
        self, areas: Iterable[tuple[str, str]], first: date, last: date
    ) -> list[tuple[Place, _Area, str, Query]]:
        """Return the folders of some days: of every place, account, Region and kind of object."""
        behind = last + timedelta(days=1)
        asked = [(place, self._area(*area), kind) for place in self.where.places for area in areas for kind in _KINDS]
        found = []
        for place, area, kind in asked:
            folder = place.folder(area.account, kind, area.region)
            query = Query(place.bucket, folder, f"{folder}{first:%Y/%m/%d}/", f"{folder}{behind:%Y/%m/%d}/")
            found.append((place, area, kind, query))
        return found

    def _batch(self, folders: Sequence[tuple[Place, _Area, str, Query]], last: date, *, final: bool) -> int:
        """List, read, verify and reconcile the objects of some days; return how many there were."""
        listings = self.bulk.list([query for *_, query in folders])
        listed = [(place, area, kind, one) for (place, area, kind, _), one in zip(folders, listings, strict=True)]
        self.unlisted |= {(area.account, area.region) for _, area, _, one in listed if one.failure}
        count = self._take_digests([(place, area, one) for place, area, kind, one in listed if kind == DIGESTS])
        if self.sample is None and self.scope.sampled:
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
                elif self.where.within(name):
                    found.append((area, stored, name))
        found.sort(key=lambda each: (each[0].account, each[0].region, each[2].end, each[2].backfill, each[1].key))
        there = [each for each in found if each[1].there]
        reads = iter(self.bulk.read([Wanted(stored.bucket, stored.key, keep=True) for _, stored, _ in there]))
        older = self.bulk.read_older(stored for _, stored, _ in found)
        taken = []
        for area, stored, name in found:
            own = name.chain.owner == self.owner
            if stored.there:
                self.newest = (
                    max(self.newest or stored.versions[0].modified, stored.versions[0].modified) if own else self.newest
                )
                taken.append(
                    (area, _Found(stored, name, next(reads), others=older.get((stored.bucket, stored.key), ())))
                )
            elif own or not self._described(area, name):
                detail = f"was deleted at {stored.versions[0].modified:%Y-%m-%d %H:%M:%S} UTC"
                self.digests.problems.add(Problem(Kind.DELETED, stored.address, detail))
        self._verify(taken)
        for area, one in taken:
            self._take_digest(area, one)
        return len(found)

    def _described(self, area: _Area, name: DigestName) -> bool:
        """Return whether a digest is of a trail that is there, and delivers here."""
        return name.chain.owner in area.described

    def _verify(self, taken: Sequence[tuple[_Area, _Found]]) -> None:
        self._ask_keys(area.region for area, _ in taken)
        readable = []
        for area, one in taken:
            if one.read.body is not None:
                one.raw = RawDigest(one.stored.bucket, one.stored.key, one.name, one.read.body, one.read.metadata or {})
                keys = self.keys[area.region].result()
                readable.append((one, keys.value if keys.value is not None else keys.why))
        # threads that ask nothing, and so have no part in the numbers of evidence
        with ThreadPoolExecutor() as executor:
            verified = executor.map(verify_digest, [one.raw for one, _ in readable], [keys for _, keys in readable])
            for (one, _), result in zip(readable, verified, strict=True):
                one.verified = result

    def _take_digest(self, area: _Area, one: _Found) -> None:
        owner = one.name.chain.owner
        area.book.add_owner(owner, self.tallies.setdefault(owner, Tally()))
        builder = area.builders.setdefault(one.name.chain, ChainBuilder(one.name.chain))
        if owner == self.owner:
            self.digests.take(one.read, one.name.end.date(), one.others)
            self.digests.problems.extend(history(one.stored, one.others, _hash_of(one)))
        elif not (one.verified and one.verified.sound) and not self._described(area, one.name):
            # a digest of no trail that is there is CloudTrail's own only where CloudTrail signed it
            wrong = "; ".join(problem.detail for problem in one.verified.problems) if one.verified else one.read.failure
            self.digests.problems.add(
                Problem(Kind.PLANTED, one.stored.address, f"is of no trail that is there, and {wrong}")
            )
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
        kept = self.bulk.read([*(Wanted(log.bucket, log.key, keep=True) for log in sampled), *asked])
        if self.sample and sampled:
            bodies = {(read.bucket, read.key): read.body for read in kept[: len(sampled)] if read.body is not None}
            self.sample = self.sample.filled(bodies)
        reads = iter(kept[len(sampled) :])
        older = self.bulk.read_older(stored for _, stored, _, _, judged in found if judged)
        for area, stored, name, wanted, _ in found:
            read = next(reads) if wanted else None
            if self.example is None and read and not read.failure and read.encryption_key == self.key:
                self.example = read
            area.book.take(stored, name, read, older.get((stored.bucket, stored.key), ()))
        self._take_unlisted()
        return len(found)

    def _take_unlisted(self) -> None:
        """Read what sound digests name and no listing showed: a log that came late lies in another day's folder."""
        buckets = {place.bucket for place in self.where.places}
        asked = [
            (area, Wanted(bucket, key))
            for area in self.areas.values()
            for bucket, key in area.book.unlisted()
            if bucket in buckets
        ]
        for (area, one), read in zip(asked, self.bulk.read([one for _, one in asked]), strict=True):
            if not read.missing:
                modified = read.modified or self.scope.now
                stored = Stored(one.bucket, one.key, (Version("", modified, read.stored),))
                names = (log_name(place, one.key) for place in self.where.places if place.bucket == one.bucket)
                area.book.take(stored, next((name for name in names if name), None), read)

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
                if one.raw and one.verified and one.name.chain.owner == self.owner
            ]
            keys = self.keys[region].result().value if region in self.keys else None
            if chosen := choose_sample(own, keys or {}):
                return chosen
        return None

    def _close_areas(self) -> None:
        """Close the chains of accounts and Regions that are done, and keep nothing else of these."""
        started = (self.trail.status.value or {}).get("StartLoggingTime")
        started = started.astimezone(UTC) if isinstance(started, datetime) else None
        for (account, region), area in sorted(self.areas.items()):
            builder = area.builders.get(ChainName(account, region, *self.owner))
            if builder is not None:
                self.chains[account, region] = builder.close(started, self.scope.window[1])
        self.areas.clear()

    def _close(self, required: Sequence[tuple[str, str]]) -> Delivery:
        return Delivery(
            trail=self.trail.arn,
            window=self.scope.window,
            now=self.scope.now,
            settled=self.scope.settled,
            places=tuple(self.where.places),
            required=tuple(required),
            chains=self.chains,
            newest_digest=self.newest,
            digests=self.digests,
            logs=self.tallies[self.owner],
            others=Problems(
                one for owner, tally in self.tallies.items() if owner != self.owner for one in tally.problems.of()
            ),
            unknown=tuple(self.bulk.unknown),
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
