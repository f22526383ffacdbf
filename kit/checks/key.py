"""Checks on the trail's KMS key: that it is the right kind of key, and that it rotates."""

from collections.abc import Mapping

from kit.canonical import Json
from kit.checks.reading import flag, judge, observed, text, unsaid
from kit.checks.trail import each_key, key_arn
from kit.findings import Finding, Judgement
from kit.parameters import RunParameters
from kit.snapshot import Answer, Key, Snapshot, Trail, why_no_rotation

_WANTED = {
    "key manager": ("KeyManager", "CUSTOMER"),
    "key state": ("KeyState", "Enabled"),
    "key specification": ("KeySpec", "SYMMETRIC_DEFAULT"),
    "key usage": ("KeyUsage", "ENCRYPT_DECRYPT"),
}
_TOLD = ("Description", "Origin", "MultiRegion", "AWSAccountId", "CreationDate", "DeletionDate", "ValidTo")


def iq_05(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The trail's key exists, is customer-managed, enabled, symmetric, for encryption, in the bucket's Region, and has
    the expected alias.

    Source: CloudTrail user guide, "Encrypting CloudTrail log files, digest files, and event data stores with AWS KMS
    keys (SSE-KMS)": key and bucket in one Region; KMS API reference, "KeyMetadata".
    """

    def of_key(trail: Trail, key: Key, judgement: Judgement) -> Finding:
        metadata = key.metadata
        if metadata.missing:
            judgement.expect("key", "exists", "no such key", otherwise=f"The key {key.named} does not exist.")
            return judgement.finding()
        judge(judgement, "key", "exists", metadata, lambda _: "exists")
        for name, (member, wanted) in _WANTED.items():
            _judge_metadata(judgement, name, wanted, metadata, member)
        for name in _TOLD:
            if name in (metadata.value or {}):
                judgement.observe(name, observed((metadata.value or {})[name]))
        _judge_region(judgement, trail, key)
        _judge_alias(judgement, key, parameters.expected.key_alias)
        return judgement.finding(
            f"The key {judgement.resource} is an enabled, customer-managed, symmetric encryption key in the Region of"
            f" the log bucket, and has the alias {parameters.expected.key_alias}."
        )

    return each_key("IQ-05", snapshot, parameters, of_key)


def _judge_metadata(
    judgement: Judgement, name: str, wanted: str, metadata: Answer[Mapping[str, Json]], member: str
) -> None:
    def sentence(actual: Json) -> str:
        return f"The {name} of {judgement.resource} is {actual}, not {wanted}."

    judge(judgement, name, wanted, metadata, text(member), otherwise=sentence)


def _judge_region(judgement: Judgement, trail: Trail, key: Key) -> None:
    arn = key_arn(key.named, key.metadata)
    if trail.bucket is None:
        judgement.doubt("key Region", "that of the bucket", f"The description of {trail.arn} names no bucket.")
        return
    region = trail.bucket.region
    judgement.rest_on(region.evidence)
    if region.value is None or arn is None:
        why = unsaid(region if region.value is None else key.metadata, "key ARN")
        judgement.doubt("key Region", region.value or "that of the bucket", why)
        return
    actual = arn.split(":")[3]
    sentence = f"The key is in {actual}, the log bucket in {region.value}: CloudTrail can't use it."
    judgement.expect("key Region", region.value, actual, otherwise=sentence)


def _judge_alias(judgement: Judgement, key: Key, wanted: str | None) -> None:
    actual = list(key.aliases.value) if key.aliases and key.aliases.value is not None else None
    if key.aliases is not None:
        judgement.rest_on(key.aliases.evidence)
    if wanted is None:
        judgement.doubt("alias", None, "The parameter expected.key_alias is not stated.", actual)
    elif actual is None:
        judgement.doubt("alias", wanted, unsaid(key.aliases or key.metadata, "aliases of the key"))
    else:
        sentence = f"The alias {wanted} does not point to the trail's key, which has {', '.join(actual) or 'no alias'}."
        judgement.expect("alias", wanted, actual, met=wanted in actual, otherwise=sentence)


def iq_06(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The trail's key rotates automatically; for a key that can't, the test case is not
    applicable, and the reason is told.

    Source: KMS developer guide, "Rotate AWS KMS keys".
    """

    def of_key(_: Trail, key: Key, judgement: Judgement) -> Finding:
        if key.metadata.value is not None and (reason := why_no_rotation(key.metadata.value)):
            return judgement.not_applicable(reason)
        rotation = key.rotation
        if rotation is None:
            judgement.doubt("automatic rotation", True, unsaid(key.metadata, "whether the key can rotate"))
            return judgement.finding()
        sentence = f"Automatic rotation of the key {judgement.resource} is off."
        judge(judgement, "automatic rotation", True, rotation, flag("KeyRotationEnabled"), otherwise=sentence)
        for name in ("RotationPeriodInDays", "NextRotationDate"):
            if name in (rotation.value or {}):
                judgement.observe(name, observed((rotation.value or {})[name]))
        days = (rotation.value or {}).get("RotationPeriodInDays")
        period = f"every {days} days" if days else "automatically"
        return judgement.finding(f"The key {judgement.resource} rotates {period}.")

    return each_key("IQ-06", snapshot, parameters, of_key)
