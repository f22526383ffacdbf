"""What a remediation would put to use, read beside what the trails name: the named key and bucket."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from kit.canonical import Json
from kit.collect.account import Progress
from kit.collect.buckets import collect_account_block, collect_bucket
from kit.collect.calls import LIST_KEYS
from kit.collect.iq import Scope, collect_iq
from kit.collect.keys import collect_key, collect_metadata, key_place
from kit.collect.readers import Readers
from kit.snapshot import PROCEDURE_KEY, Answer, Bucket, Key, Prospect, Snapshot, Trail


@dataclass(frozen=True)
class Wanted:
    """What the parameters name: the key by ARN, id or alias, its alias, and the log bucket; None where not stated."""

    key: str | None = None
    alias: str | None = None
    bucket: str | None = None


def collect_for_plan(
    readers: Readers, scope: Scope, wanted: Wanted, executor: Executor, progress: Progress
) -> Snapshot:
    """Return the snapshot that IQ judges, and beside it what a plan needs to know of what the parameters name.

    IAM: what IQ needs, and kms:ListKeys, asked only where the wanted key does not exist.

    Raises:
        CredentialsError: no credentials can be found.
        EvidenceError: an answer can't be recorded.
    """
    snapshot = collect_iq(readers, scope, executor, progress)
    trail = next((trail for trail in snapshot.trails if trail.judged), None)
    bucket = None if trail and trail.bucket else _bucket(readers, scope, wanted, executor)
    key = _key(readers, scope, snapshot, trail, wanted)
    arn = key.metadata.value["Arn"] if key and key.metadata.value else None
    alias = _alias(readers, scope, key, arn, wanted)
    unused = None
    if key is not None and key.metadata.missing and "alias/" in key.named:
        placed = (trail.bucket if trail else None) or bucket
        region = placed.region.value if placed and placed.region.value else scope.first_region
        unused = _unused(readers, scope, region)
    return replace(snapshot, prospect=Prospect(key, alias, bucket, unused))


def _bucket(readers: Readers, scope: Scope, wanted: Wanted, executor: Executor) -> Bucket | None:
    if wanted.bucket is None:
        return None
    account = scope.bucket_account or scope.account_id
    block = executor.submit(collect_account_block, readers, scope.first_region, account)
    return collect_bucket(readers, wanted.bucket, scope.first_region, account, block)


def _key(readers: Readers, scope: Scope, snapshot: Snapshot, trail: Trail | None, wanted: Wanted) -> Key | None:
    """Return the wanted key in full: the trail's own, where it is that one, is not asked for again."""
    named = wanted.key or wanted.alias
    if named is None:
        return None
    place = (scope.first_region, scope.account_id)
    metadata = snapshot.expected_key or collect_metadata(readers, named, *place)
    arn = metadata.value["Arn"] if metadata.value else named
    held = trail.key if trail else None
    if held is not None and arn in (held.named, (held.metadata.value or {}).get("Arn")):
        return held
    return collect_key(readers, named, metadata, *place, scope.reader_roles)


def _alias(
    readers: Readers, scope: Scope, key: Key | None, arn: str | None, wanted: Wanted
) -> Answer[Mapping[str, Json]] | None:
    """Return what the expected alias names, where it is not known already to name the wanted key."""
    if wanted.alias is None or (key and key.aliases and wanted.alias in (key.aliases.value or ())):
        return None
    if key is not None and key.named == wanted.alias:
        return key.metadata
    place = key_place(arn or (key.named if key else ""), scope.first_region, scope.account_id)
    return collect_metadata(readers, wanted.alias, *place)


def _unused(readers: Readers, scope: Scope, region: str) -> Answer[tuple[Key, ...]]:
    """Return the keys of a Region that are described as the procedure says, and that nobody has an alias for.

    A key that can't be described is none that the account made for this: its own policy would let it be described.
    """
    account = scope.account_id
    listed = readers.ask(
        LIST_KEYS,
        region,
        lambda response: tuple(sorted(str(key["KeyArn"]) for key in response["Keys"])),
        account=account,
    )
    if listed.value is None:
        return Answer(listed.call, listed.evidence, absence=listed.absence)
    keys = tuple(_described(readers, scope, listed.value, region))
    return Answer(listed.call, listed.evidence, value=keys)


def _described(readers: Readers, scope: Scope, arns: tuple[str, ...], region: str) -> Iterator[Key]:
    for arn in arns:
        metadata = collect_metadata(readers, arn, region, scope.account_id)
        if metadata.value and metadata.value.get("Description") == PROCEDURE_KEY:
            key = collect_key(readers, arn, metadata, region, scope.account_id, scope.reader_roles)
            if key.aliases is not None and key.aliases.value == ():
                yield key
