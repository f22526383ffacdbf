"""Collects all that the installation qualification judges, each question asked once."""

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace

from kit.canonical import Json
from kit.collect.account import Progress, collect_caller, collect_enabled_regions, collect_trails
from kit.collect.buckets import collect_account_block, collect_bucket
from kit.collect.keys import collect_key, collect_metadata
from kit.collect.readers import Readers
from kit.collect.trails import collect_selectors, collect_status
from kit.snapshot import Answer, Bucket, Key, Snapshot, Trail

_Description = Mapping[str, Json]


@dataclass(frozen=True)
class Scope:
    """What to collect: `regions` None means every enabled one; `trail_arn` None means every trail found."""

    account_id: str
    regions: tuple[str, ...] | None = None
    trail_arn: str | None = None
    kms_key: str | None = None
    bucket_account: str | None = None
    reader_roles: tuple[str, ...] = ()

    @property
    def first_region(self) -> str:
        """The Region that global questions are put to."""
        if self.trail_arn:
            return self.trail_arn.split(":")[3]
        return self.regions[0] if self.regions else "us-east-1"


def collect_iq(readers: Readers, scope: Scope, executor: Executor, progress: Progress) -> Snapshot:
    """Return the snapshot of an account's trails, with the keys and buckets of those that are judged.

    Raises:
        CredentialsError: no credentials can be found.
        EvidenceError: an answer can't be recorded.
    """
    first = scope.first_region
    readers.sign_in(first)
    caller = executor.submit(collect_caller, readers, first)
    enabled = collect_enabled_regions(readers, first)
    regions = scope.regions or enabled.value or (first,)
    shown = collect_trails(readers, regions, executor, progress)
    described = _once_each(shown)

    judged = {arn for arn in described if scope.trail_arn in (None, arn)}
    status = {arn: executor.submit(collect_status, readers, arn, home) for arn, home in _homes(described)}
    selectors = {
        arn: executor.submit(collect_selectors, readers, arn, home) for arn, home in _homes(described) if arn in judged
    }
    buckets = _collect_buckets(readers, scope, executor, described, judged)
    keys, expected_key = _collect_keys(readers, scope, executor, described, judged)

    trails = []
    for number, (arn, (description, evidence, seen_in)) in enumerate(described.items(), start=1):
        named, bucket = description.get("KmsKeyId"), description.get("S3BucketName")
        trails.append(
            Trail(
                arn,
                description,
                seen_in,
                evidence,
                arn in judged,
                status[arn].result(),
                selectors[arn].result() if arn in judged else None,
                keys[named] if named else None,
                buckets[bucket].result() if arn in judged and bucket else None,
            )
        )
        progress("Trails", number, len(described))
    return Snapshot(
        caller.result(),
        enabled,
        {region: Answer(a.call, a.evidence, _arns(a), a.absence) for region, a in shown.items()},
        tuple(trails),
        expected_key,
    )


def _arns(answer: Answer[tuple[_Description, ...]]) -> tuple[str, ...] | None:
    return None if answer.value is None else tuple(trail["TrailARN"] for trail in answer.value)


def _once_each(
    shown: Mapping[str, Answer[tuple[_Description, ...]]],
) -> dict[str, tuple[_Description, tuple[str, ...], tuple[str, ...]]]:
    """Return each trail once, by ARN: its description from its home Region where that was asked, else from a shadow,
    the evidence of that description, and the Regions that showed it.
    """
    found: dict[str, tuple[_Description, tuple[str, ...], tuple[str, ...]]] = {}
    for region, answer in shown.items():
        for description in answer.value or ():
            arn = description["TrailARN"]
            known, evidence, seen_in = found.get(arn, (description, answer.evidence, ()))
            if description["HomeRegion"] == region:
                known, evidence = description, answer.evidence
            found[arn] = (known, evidence, (*seen_in, region))
    return dict(sorted(found.items()))


def _homes(described: Mapping[str, tuple[_Description, object, object]]) -> list[tuple[str, str]]:
    return [(arn, description["HomeRegion"]) for arn, (description, _, _) in described.items()]


def _collect_buckets(
    readers: Readers,
    scope: Scope,
    executor: Executor,
    described: Mapping[str, tuple[_Description, object, object]],
    judged: set[str],
) -> dict[str, Future[Bucket]]:
    """Return the buckets of the judged trails, on their way, by name."""
    buckets: dict[str, Future[Bucket]] = {}
    blocks: dict[str, Future[Answer[Mapping[str, Json]]]] = {}
    for arn, (description, _, _) in described.items():
        name = description.get("S3BucketName")
        if arn in judged and name and name not in buckets:
            account = scope.bucket_account or arn.split(":")[4]
            home = description["HomeRegion"]
            # submitted before any bucket that waits for it, so that a single thread gets on too
            if account not in blocks:
                blocks[account] = executor.submit(collect_account_block, readers, home, account)
            buckets[name] = executor.submit(collect_bucket, readers, name, home, account, blocks[account])
    return buckets


def _collect_keys(
    readers: Readers,
    scope: Scope,
    executor: Executor,
    described: Mapping[str, tuple[_Description, object, object]],
    judged: set[str],
) -> tuple[dict[str, Key], Answer[Mapping[str, Json]] | None]:
    """Return the keys by the name a trail gives them, and what the expected key's name resolves to.

    Metadata of every named key; policy, rotation, aliases and grants only for the keys of judged trails.
    """
    places = {
        description["KmsKeyId"]: (description["HomeRegion"], arn.split(":")[4])
        for arn, (description, _, _) in described.items()
        if description.get("KmsKeyId")
    }
    deep = {described[arn][0].get("KmsKeyId") for arn in judged}
    if scope.kms_key:
        places.setdefault(scope.kms_key, (scope.first_region, scope.account_id))
    asked = {
        named: executor.submit(collect_metadata, readers, named, region, account)
        for named, (region, account) in places.items()
    }
    metadata = {named: future.result() for named, future in asked.items()}
    arns = {named: answer.value["Arn"] if answer.value else named for named, answer in metadata.items()}
    collected: dict[str, Future[Key]] = {}
    for named, arn in arns.items():
        if named in deep and arn not in collected:
            collected[arn] = executor.submit(
                collect_key, readers, named, metadata[named], *places[named], scope.reader_roles
            )
    keys = {
        named: replace(collected[arn].result(), named=named, metadata=metadata[named])
        if named in deep
        else Key(named, metadata[named])
        for named, arn in arns.items()
    }
    return keys, metadata.get(scope.kms_key) if scope.kms_key else None
