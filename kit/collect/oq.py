"""Collects all that the operational qualification judges: the settings, as installed, and what was delivered."""

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from kit.collect.account import Progress
from kit.collect.buckets import collect_location
from kit.collect.deliveries import collect_delivery
from kit.collect.iq import Scope, collect_iq
from kit.collect.objects import Objects, Search
from kit.collect.places import DeliveryScope
from kit.collect.readers import Readers, Storage
from kit.collect.refusal import collect_refusal
from kit.sections import Window
from kit.snapshot import Delivery, Snapshot, Trail

OpenStorage = Callable[[str], Storage | str]
"""Tells how a bucket is reached and with whose credentials, or in words why it can't be."""


class OpenObjects(Protocol):
    """Opens the objects of a run, given what tells how a bucket is reached, and what to look for in logs."""

    def __call__(self, open_storage: OpenStorage, search: Search | None = None, /) -> AbstractContextManager[Objects]:
        """Return the objects; what they read is kept as evidence."""
        ...


@dataclass(frozen=True)
class OperationalScope:
    """What to collect besides the settings: the window, how long digests may take, and who must be refused."""

    window: Window
    settling: timedelta
    organization: str = ""
    accounts: tuple[str, ...] = ()
    denied_role: str | None = None


def collect_oq(
    readers: Readers,
    open_objects: OpenObjects,
    scope: Scope,
    operational: OperationalScope,
    executor: Executor,
    progress: Progress,
) -> Snapshot:
    """Return the snapshot of an account's trails, with all that the judged ones delivered within the window.

    Raises:
        CredentialsError: no credentials can be found.
        EvidenceError: an answer can't be recorded.
    """
    snapshot = collect_iq(readers, scope, executor, progress)
    judged = [trail for trail in snapshot.trails if trail.judged]
    now = snapshot.moment
    if now is None:
        why = f"No time can be held against the window. {snapshot.caller.why}".strip()
        return replace(snapshot, deliveries={trail.arn: why for trail in judged})
    regions: dict[str, str] = {}
    deliveries: dict[str, Delivery | str] = {}
    with open_objects(lambda bucket: storage_of(readers, snapshot, scope, regions, bucket)) as objects:
        for trail in judged:
            asked = delivery_scope(snapshot, scope, operational, trail, now)
            deliveries[trail.arn] = (
                asked
                if isinstance(asked, str)
                else collect_delivery(readers, objects, trail, asked, executor, progress)
            )
        closed = objects.close()
    ledgers = tuple(entry for entries in closed.values() for entry in entries)
    deliveries = {
        arn: one if isinstance(one, str) else replace(one, evidence=ledgers) for arn, one in deliveries.items()
    }
    refusal = None
    if operational.denied_role:
        examples = (one.example for one in deliveries.values() if isinstance(one, Delivery))
        log = next((example for example in examples if example), None)
        where = regions.get(log.bucket, scope.first_region) if log else scope.first_region
        refusal = collect_refusal(readers, operational.denied_role, log, where)
    return replace(snapshot, deliveries=deliveries, refusal=refusal)


def delivery_scope(
    snapshot: Snapshot, scope: Scope, operational: OperationalScope, trail: Trail, now: datetime
) -> DeliveryScope | str:
    """Return what to collect of a trail within the window, or in words why that can't be told."""
    if not trail.description.get("S3BucketName"):
        return f"The description of the trail {trail.arn} names no bucket."
    enabled = snapshot.enabled_regions
    if enabled.value is None and trail.description.get("IsMultiRegionTrail") is not False:
        return f"In which Regions {trail.arn} delivers is not known. {enabled.why}"
    if trail.description.get("IsOrganizationTrail") and not operational.organization:
        return "The parameter expected.organization_id is not stated."
    described = [
        other
        for other in snapshot.trails
        if other is not trail
        and all(other.description.get(name) == trail.description.get(name) for name in ("S3BucketName", "S3KeyPrefix"))
        and bool(other.description.get("IsOrganizationTrail")) == bool(trail.description.get("IsOrganizationTrail"))
    ]
    return DeliveryScope(
        window=operational.window.period(now),
        now=now,
        settling=operational.settling,
        enabled=enabled.value or (trail.home_region,),
        regions=scope.regions,
        organization=operational.organization,
        accounts=operational.accounts,
        others=tuple(described),
        unasked=tuple(region for region, answer in snapshot.regions.items() if answer.value is None),
    )


def storage_of(
    readers: Readers, snapshot: Snapshot, scope: Scope, regions: dict[str, str], bucket: str
) -> Storage | str:
    """Return how a bucket is reached, in its own Region: as the settings tell it, or asked for here."""
    known = {trail.bucket.name: trail.bucket.region for trail in snapshot.trails if trail.bucket}
    account = scope.bucket_account or scope.account_id
    region = known.get(bucket) or collect_location(readers, bucket, scope.first_region, account)
    if region.value is None:
        return region.why
    regions[bucket] = region.value
    return readers.storage(bucket, region.value, account)
