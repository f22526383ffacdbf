"""Checks on the trail's KMS key: that it is the right kind of key, that it rotates, and who may use it."""

from collections.abc import Mapping

from kit.canonical import Json
from kit.checks.probes import (
    CLOUDTRAIL,
    ENCRYPTION_CONTEXT,
    Places,
    account_of,
    merged,
    must_be_allowed,
    must_not_be_allowed,
    parse,
)
from kit.checks.trail import each_key, key_arn
from kit.findings import Finding, Judgement
from kit.parameters import RunParameters
from kit.policy import Decision, Policy, Principal, Request, evaluate, grantees
from kit.snapshot import Key, Snapshot, Trail, why_no_rotation

_WANTED = {
    "key manager": ("KeyManager", "CUSTOMER"),
    "key state": ("KeyState", "Enabled"),
    "key specification": ("KeySpec", "SYMMETRIC_DEFAULT"),
    "key usage": ("KeyUsage", "ENCRYPT_DECRYPT"),
}
_OPENS_DECRYPT = ("kms:Decrypt", "kms:ReEncryptFrom", "kms:CreateGrant", "kms:PutKeyPolicy")
_GRANT_OPENS_DECRYPT = {"Decrypt", "ReEncryptFrom", "CreateGrant"}


def iq_05(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The trail's key exists, is customer-managed, enabled, symmetric, for encryption, in the bucket's Region, and has
    the expected alias.

    Source: CloudTrail user guide, "Encrypting CloudTrail log files with AWS KMS keys": key and bucket in one Region.
    """

    def judge(trail: Trail, key: Key, judgement: Judgement) -> Finding:
        metadata = key.metadata
        if metadata.missing:
            judgement.expect("key", "exists", "no such key", otherwise=f"The key {key.named} does not exist.")
            return judgement.finding("")
        if metadata.value is None:
            judgement.doubt("key", "exists", metadata.why)
            for name, (_, wanted) in _WANTED.items():
                judgement.doubt(name, wanted, metadata.why)
        else:
            judgement.expect("key", "exists", "exists", otherwise="")
            for name, (member, wanted) in _WANTED.items():
                _judge_member(judgement, name, wanted, metadata.value.get(member), metadata.call)
            for name in ("Description", "Origin", "MultiRegion", "AWSAccountId", "CreationDate", "DeletionDate"):
                if name in metadata.value:
                    judgement.observe(name, str(metadata.value[name]))
        _judge_region(judgement, trail, key)
        _judge_alias(judgement, key, parameters.expected.key_alias)
        return judgement.finding(f"The key {judgement.resource} is an enabled, customer-managed, symmetric key.")

    return each_key("IQ-05", snapshot, parameters, judge)


def _judge_member(judgement: Judgement, name: str, wanted: str, actual: Json, call: str) -> None:
    if actual is None:
        judgement.doubt(name, wanted, f"The answer to {call} does not say the {name}.")
    else:
        judgement.expect(name, wanted, actual, otherwise=f"The {name} is {actual}, not {wanted}.")


def _judge_region(judgement: Judgement, trail: Trail, key: Key) -> None:
    arn = key_arn(key.named, key.metadata)
    region = trail.bucket.region if trail.bucket else None
    if region is not None:
        judgement.rest_on(region.evidence)
    if region is None or region.value is None or arn is None:
        why = region.why if region and region.value is None else key.metadata.why
        judgement.doubt("key Region", "that of the bucket", why or f"The trail {trail.arn} names no bucket.")
        return
    actual = arn.split(":")[3]
    sentence = f"The key is in {actual}, the log bucket in {region.value}: CloudTrail can't use it."
    judgement.expect("key Region", region.value, actual, otherwise=sentence)


def _judge_alias(judgement: Judgement, key: Key, wanted: str | None) -> None:
    aliases = key.aliases
    if aliases is not None:
        judgement.rest_on(aliases.evidence)
    actual = list(aliases.value) if aliases and aliases.value is not None else None
    if wanted is None:
        judgement.doubt("alias", None, "The parameter expected.key_alias is not stated.", actual)
    elif aliases is None or actual is None:
        judgement.doubt("alias", wanted, aliases.why if aliases else key.metadata.why)
    else:
        sentence = f"The alias {wanted} does not point to the trail's key."
        judgement.expect("alias", wanted, actual, met=wanted in actual, otherwise=sentence)


def iq_06(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The trail's key rotates automatically; a key that can't is NOT_APPLICABLE, with the reason.

    Source: KMS developer guide, "Rotate AWS KMS keys".
    """

    def judge(_: Trail, key: Key, judgement: Judgement) -> Finding:
        if key.metadata.value is not None and (reason := why_no_rotation(key.metadata.value)):
            return judgement.not_applicable(reason)
        if key.rotation is None or key.rotation.value is None:
            judgement.doubt("automatic rotation", True, key.rotation.why if key.rotation else key.metadata.why)
            return judgement.finding("")
        judgement.rest_on(key.rotation.evidence)
        enabled = key.rotation.value["KeyRotationEnabled"]
        sentence = f"Automatic rotation of the key {judgement.resource} is off."
        judgement.expect("automatic rotation", True, enabled, otherwise=sentence)
        for name in ("RotationPeriodInDays", "NextRotationDate"):
            if name in key.rotation.value:
                judgement.observe(name, str(key.rotation.value[name]))
        days = key.rotation.value.get("RotationPeriodInDays")
        period = f"every {days} days" if days else "automatically"
        return judgement.finding(f"The key {judgement.resource} rotates {period}.")

    return each_key("IQ-06", snapshot, parameters, judge)


def iq_07(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The key policy lets CloudTrail encrypt for this trail and for nothing else, and opens decryption to nobody who
    was not named.

    Source: CloudTrail user guide, "Configure AWS KMS key policies for CloudTrail"; KMS developer guide, "Key policies"
    and "Grants in AWS KMS".
    """

    def judge(trail: Trail, key: Key, judgement: Judgement) -> Finding:
        if key.policy is None:
            judgement.doubt("key policy", "readable", key.metadata.why)
            return judgement.finding("")
        judgement.rest_on(key.policy.evidence)
        policy, why = parse(key.policy)
        if policy is None:
            judgement.doubt("key policy", "readable", why)
        else:
            _judge_use(judgement, policy, trail, parameters)
            _judge_readers(judgement, policy, key, trail, parameters)
            _judge_named(judgement, policy, trail, parameters)
        _judge_grants(judgement, key, trail, parameters)
        return judgement.finding("The key policy serves CloudTrail for this trail, and opens decryption to nobody else.")

    return each_key("IQ-07", snapshot, parameters, judge)


def _judge_use(judgement: Judgement, policy: Policy, trail: Trail, parameters: RunParameters) -> None:
    arn, places = judgement.resource, Places.of(trail, parameters)
    bound = places.cloudtrail()
    encrypting = bound | _encryption_context(trail.arn)

    def generate(context: Mapping[str, str | None]) -> Request:
        return Request(CLOUDTRAIL, "kms:GenerateDataKey", arn, context)

    must_be_allowed(judgement, "CloudTrail encrypts for the trail", policy, generate(encrypting))
    must_be_allowed(judgement, "CloudTrail describes the key", policy, Request(CLOUDTRAIL, "kms:DescribeKey", arn, bound))
    encryption = trail.bucket.encryption if trail.bucket else None
    rules = (encryption.value or {}).get("Rules", []) if encryption else []
    if any(rule.get("BucketKeyEnabled") for rule in rules):
        judgement.rest_on(encryption.evidence if encryption else ())
        request = Request(CLOUDTRAIL, "kms:Decrypt", arn, encrypting)
        must_be_allowed(judgement, "CloudTrail decrypts, for the S3 Bucket Key", policy, request)
    must_not_be_allowed(judgement, "the same without the encryption context", policy, [generate(bound)])
    foreign = merged(encrypting, places.cloudtrail(places.foreign_trail))
    if parameters.expected.require_source_arn:
        must_not_be_allowed(judgement, "the same with a foreign aws:SourceArn", policy, [generate(foreign)])
    else:
        judgement.observe("aws:SourceArn", "its binding is waived by the parameter expected.require_source_arn")
    elsewhere = merged(foreign, _encryption_context(places.foreign_trail))
    must_not_be_allowed(judgement, "the same for another account's trail", policy, [generate(elsewhere)])
    strangers = [
        Request(who, action, arn, merged(places.stranger_context(), _encryption_context(trail.arn)))
        for who in places.strangers()
        for action in _OPENS_DECRYPT
    ]
    must_not_be_allowed(judgement, "decryption by a stranger", policy, strangers)


def _encryption_context(trail_arn: str) -> dict[str, str | None]:
    return {ENCRYPTION_CONTEXT: trail_arn, "kms:EncryptionContextKeys": "aws:cloudtrail:arn"}


def _judge_readers(
    judgement: Judgement, policy: Policy, key: Key, trail: Trail, parameters: RunParameters
) -> None:
    places = Places.of(trail, parameters)
    context = merged(
        _encryption_context(trail.arn),
        {"aws:SecureTransport": "true", "kms:ViaService": f"s3.{judgement.resource.split(':')[3]}.amazonaws.com"},
    )
    for role in parameters.expected.reader_role_arns or ():
        name = f"{role} may decrypt"
        request = Request(Principal.role(role), "kms:Decrypt", judgement.resource, context)
        outcome = evaluate(policy, request)
        if outcome.decision is not Decision.DELEGATED:
            must_be_allowed(judgement, name, policy, request)
            continue
        simulated = (key.simulations or {}).get(role)
        if simulated is None or simulated.value is None:
            judgement.doubt(name, "allowed", simulated.why if simulated else outcome.reason, "left to identity policies")
            continue
        judgement.rest_on(simulated.evidence)
        sentence = f"The key policy leaves {role} to its identity policies, and they do not let it decrypt."
        judgement.expect(name, "allowed", simulated.value, met=simulated.value == "allowed", otherwise=sentence)
    local = Principal.role(f"arn:{places.partition}:iam::{judgement.resource.split(':')[4]}:role/any")
    outcome = evaluate(policy, Request(local, "kms:Decrypt", judgement.resource, context))
    if outcome.decision is Decision.DELEGATED:
        judgement.observe("left to identity policies", outcome.reason)


def _judge_named(judgement: Judgement, policy: Policy, trail: Trail, parameters: RunParameters) -> None:
    """Judge who is named by the policy: an account that the parameters don't name may not be let in to decrypt."""
    named = grantees(policy, "kms:Decrypt", judgement.resource)
    accounts = sorted({account for grantee in named if (account := account_of(grantee.principal))})
    _judge_accounts(judgement, "accounts the policy lets decrypt", accounts, trail, parameters)
    judgement.observe(
        "who can decrypt, by policy",
        [" ".join([grantee.principal, *(f"[{text}]" for text in grantee.conditions)]) for grantee in named],
    )


def _judge_grants(judgement: Judgement, key: Key, trail: Trail, parameters: RunParameters) -> None:
    name = "accounts that grants let decrypt"
    if key.grants is None or key.grants.value is None:
        judgement.doubt(name, "none but those named", key.grants.why if key.grants else key.metadata.why)
        return
    judgement.rest_on(key.grants.evidence)
    opening = [grant for grant in key.grants.value if _GRANT_OPENS_DECRYPT & set(grant.get("Operations") or ())]
    holders = [str(grant.get("GranteePrincipal") or grant.get("GranteeServicePrincipal")) for grant in opening]
    accounts = sorted({account for holder in holders if (account := account_of(holder))})
    _judge_accounts(judgement, name, accounts, trail, parameters)
    judgement.observe("who can decrypt, by grant", sorted(holders))


def _judge_accounts(
    judgement: Judgement, name: str, accounts: list[str], trail: Trail, parameters: RunParameters
) -> None:
    own = {judgement.resource.split(":")[4], trail.account, parameters.account.account_id}
    named = sorted(own | set(parameters.expected.decrypt_accounts))
    foreign = sorted(set(accounts) - set(named))
    sentence = f"{name}: {', '.join(foreign)}, which expected.decrypt_accounts does not name."
    judgement.expect(name, {"none but": named}, accounts, met=not foreign, otherwise=sentence)
