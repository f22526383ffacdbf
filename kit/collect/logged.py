"""Reads from delivered log files who changed what, in a time that CloudTrail's event history does not hold any more.

What is read is listed, verified by its digests and kept in ledgers as an operational qualification does it: so it
replays, memory stays flat, and what was tampered with is not believed. Log files are read once, in the Regions in which
a change of trail, key or bucket is recorded, and of the times that are asked for alone.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from kit.collect.account import Progress
from kit.collect.deliveries import collect_delivery
from kit.collect.iq import Scope
from kit.collect.objects import Objects
from kit.collect.objects import Progress as ObjectProgress
from kit.collect.oq import OpenObjects, OperationalScope, delivery_scope, storage_of
from kit.collect.readers import Readers
from kit.digests.chain import Period
from kit.digests.objects import Listing, Query, Read, Wanted
from kit.review.events import Event, changes_in, logged_event
from kit.review.logged import Logged
from kit.snapshot import Snapshot

_LATE = timedelta(hours=2)
"""How long after an event the log file that tells of it may come; CloudTrail takes about five minutes on average."""


@dataclass(frozen=True)
class Sought:
    """What is looked for: the changes of some periods, about things of these names, recorded in these Regions.

    `accounts` are those in which they can be recorded, where the trail delivers for several.
    """

    periods: Sequence[Period]
    names: frozenset[str]
    regions: tuple[str, ...]
    accounts: tuple[str, ...]


def collect_logged(
    readers: Readers,
    open_objects: OpenObjects,
    scope: Scope,
    operational: OperationalScope,
    snapshot: Snapshot,
    sought: Sought,
    now: datetime,
    executor: Executor,
    progress: Progress,
) -> tuple[Logged, ...]:
    """Return the changes that the log files of the judged trails tell; nothing is opened where none are sought.

    IAM: cloudtrail:ListPublicKeys; s3:ListBucketVersions, s3:GetObject and s3:GetObjectVersion on the log bucket;
    kms:Decrypt under the keys of the objects.

    Raises:
        CredentialsError: no credentials can be found.
        EvidenceError: an answer can't be recorded.
    """
    trails = [trail for trail in snapshot.trails if trail.judged]
    if not sought.periods or not trails:
        return ()
    found = []
    reach = partial(storage_of, readers, snapshot, scope, {})
    with open_objects(reach, partial(changes_in, names=sought.names, account=scope.account_id)) as objects:
        for trail in trails:
            several = bool(trail.description.get("IsOrganizationTrail"))
            accounts = tuple(dict.fromkeys([trail.account, *(sought.accounts if several else ())]))
            areas = tuple((account, region) for account in accounts for region in sought.regions)
            asked = delivery_scope(snapshot, scope, operational, trail, now)
            for start, end in sought.periods:
                searched = _Searched(objects)
                window = (start, min(end + _LATE, now))
                delivery = asked if isinstance(asked, str) else collect_delivery(
                    readers,
                    searched,
                    trail,
                    replace(asked, window=window, regions=sought.regions, only=accounts, sampled=False),
                    executor,
                    progress,
                )  # fmt: skip
                told = searched.found, tuple(searched.unsearched)
                found.append(Logged((start, end), areas, delivery, *told))
        closed = objects.close()
    ledgers = tuple(entry for entries in closed.values() for entry in entries)
    return tuple(replace(one, evidence=ledgers) for one in found)


@dataclass
class _Searched:
    """Reads objects as others do, and takes note of what was found in log files, and which could not be searched."""

    objects: Objects
    found: dict[str, tuple[Event, ...]] = field(default_factory=dict)
    unsearched: list[str] = field(default_factory=list)

    def list_folders(self, queries: Sequence[Query]) -> list[Listing]:
        return self.objects.list_folders(queries)

    def read_objects(self, wanted: Sequence[Wanted], progress: ObjectProgress) -> list[Read]:
        reads = self.objects.read_objects(wanted, progress)
        self._note(read for one, read in zip(wanted, reads, strict=True) if not one.keep)
        # what was found is told once: the tallies of many log files have no use for it
        return [replace(read, changes=None) if read.changes else read for read in reads]

    def close(self) -> dict[str, tuple[str, ...]]:
        return dict(self.objects.close())

    def _note(self, logs: Iterable[Read]) -> None:
        for log in logs:
            if log.changes:
                self.found[log.address] = tuple(map(logged_event, log.changes))
            elif log.changes is None and not log.failure and not log.problem:
                self.unsearched.append(log.address)
