"""Checks on the trail's KMS key: that it is the right kind of key, that it rotates, and who may use it."""

from collections.abc import Iterator, Mapping

from kit.canonical import Json
from kit.checks.askers import Askers, Context
from kit.checks.probes import CLOUDTRAIL, ENCRYPTION_CONTEXT, Probe, must_be_allowed, must_not_be_allowed, parse
from kit.checks.reading import flag, judge, said, text, unsaid
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
_TOLD = ("Description", "Origin", "MultiRegion", "AWSAccountId", "CreationDate", "DeletionDate", "ValidTo")
_ENCRYPTS = ("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Encrypt")
# PutKeyPolicy, ScheduleKeyDeletion and their like serve nobody from another account, whatever the policy says
_OPENS_DECRYPT = ("kms:Decrypt", "kms:ReEncryptFrom", "kms:CreateGrant", "kms:PutKeyPolicy")
_GRANT_OPENS_DECRYPT = {"Decrypt", "ReEncryptFrom", "CreateGrant"}


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
            return judgement.finding("")
        judge(judgement, "key", "exists", metadata, lambda _: "exists", otherwise="")
        for name, (member, wanted) in _WANTED.items():
            sentence = f"The {name} of {judgement.resource} is {{}}, not {wanted}."
            judge(judgement, name, wanted, metadata, text(member), otherwise=sentence.format)
        for name in _TOLD:
            if name in (metadata.value or {}):
                judgement.observe(name, str((metadata.value or {})[name]))
        _judge_region(judgement, trail, key)
        _judge_alias(judgement, key, parameters.expected.key_alias)
        return judgement.finding(
            f"The key {judgement.resource} is an enabled, customer-managed, symmetric encryption key in the Region of the"
            f" log bucket, and has the alias {parameters.expected.key_alias}."
        )

    return each_key("IQ-05", snapshot, parameters, of_key)


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
    """The trail's key rotates automatically; a key that can't is NOT_APPLICABLE, with the reason.

    Source: KMS developer guide, "Rotate AWS KMS keys".
    """

    def of_key(_: Trail, key: Key, judgement: Judgement) -> Finding:
        if key.metadata.value is not None and (reason := why_no_rotation(key.metadata.value)):
            return judgement.not_applicable(reason)
        rotation = key.rotation or key.metadata
        if key.rotation is None:
            judgement.doubt("automatic rotation", True, unsaid(key.metadata, "whether the key can rotate"))
            return judgement.finding("")
        sentence = f"Automatic rotation of the key {judgement.resource} is off."
        judge(judgement, "automatic rotation", True, rotation, flag("KeyRotationEnabled"), otherwise=sentence)
        for name in ("RotationPeriodInDays", "NextRotationDate"):
            if name in (rotation.value or {}):
                judgement.observe(name, str((rotation.value or {})[name]))
        days = (rotation.value or {}).get("RotationPeriodInDays")
        period = f"every {days} days" if days else "automatically"
        return judgement.finding(f"The key {judgement.resource} rotates {period}.")

    return each_key("IQ-06", snapshot, parameters, of_key)


def iq_07(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The key policy lets CloudTrail encrypt for this trail and for no other account's, and neither policy nor grants
    open decryption to anybody outside the key's own account, the trail's, and those that the parameters name.

    Source: CloudTrail user guide, "Configure AWS KMS key policies for CloudTrail"; KMS developer guide, "Key policies in
    AWS KMS" and "Grants in AWS KMS".
    """

    def of_key(trail: Trail, key: Key, judgement: Judgement) -> Finding:
        if key.policy is None or not judgement.resource.startswith("arn:"):
            judgement.doubt("key policy", "readable", unsaid(key.metadata, "key ARN"))
            return judgement.finding("")
        judgement.rest_on(key.policy.evidence)
        policy, why = parse(key.policy)
        named = {judgement.resource.split(":")[4], trail.account, *parameters.expected.decrypt_accounts}
        if policy is None:
            judgement.doubt("key policy", "readable", why)
        else:
            askers = Askers.of(policy, str(key.policy.value), trail, parameters)
            _judge_use(judgement, askers, trail, parameters)
            _judge_outsiders(judgement, askers, named)
            _judge_readers(judgement, askers, key, parameters)
        _judge_grants(judgement, key, named)
        return judgement.finding(
            f"The policy of the key {judgement.resource} serves CloudTrail for {trail.arn}, and opens decryption to no"
            f" account but {', '.join(sorted(named))}."
        )

    return each_key("IQ-07", snapshot, parameters, of_key)


def _encrypting(trail_arn: str) -> Context:
    # CloudTrail adds the ARN of the object, too [CloudTrail user guide, "How AWS CloudTrail uses AWS KMS"]
    keys: Context = {"kms:encryptioncontextkeys": None, "kms:encryptioncontext:aws:s3:arn": None}
    return keys | {ENCRYPTION_CONTEXT: trail_arn}


def _judge_use(judgement: Judgement, askers: Askers, trail: Trail, parameters: RunParameters) -> None:
    arn, policy, bound = judgement.resource, askers.policy, askers.cloudtrail()
    encrypting = bound | _encrypting(trail.arn)

    def ask(action: str, context: Context) -> list[Request]:
        return [Request(CLOUDTRAIL, action, arn, context)]

    for name, action, context in (
        ("CloudTrail encrypts for the trail", "kms:GenerateDataKey", encrypting),
        ("CloudTrail describes the key", "kms:DescribeKey", bound),
    ):
        must_be_allowed(judgement, name, policy, ask(action, context), hint=askers.hint)
    _judge_bucket_key(judgement, askers, trail, ask("kms:Decrypt", encrypting)[0])

    foreign = askers.foreign(encrypting)
    probes: list[tuple[str, str, Context]] = [("the same without the encryption context", "for nothing in particular", bound)]
    if parameters.expected.require_source_arn:
        probes.append(("the same with a foreign aws:SourceArn", "on behalf of another account's trail", foreign))
    else:
        judgement.observe("aws:SourceArn", "its binding is waived by the parameter expected.require_source_arn")
    elsewhere = foreign | _encrypting(askers.foreign_trail)
    probes.append(("the same for another account's trail", "for another account's trail", elsewhere))
    for name, purpose, context in probes:
        asked = [(f"CloudTrail, {purpose},", request) for action in _ENCRYPTS for request in ask(action, context)]
        must_not_be_allowed(judgement, name, policy, asked)


def _judge_bucket_key(judgement: Judgement, askers: Askers, trail: Trail, decrypt: Request) -> None:
    """Judge that CloudTrail may decrypt where the bucket uses an S3 Bucket Key, which only serves SSE-KMS.

    Source: CloudTrail user guide, "Configure AWS KMS key policies for CloudTrail".
    """
    name = "CloudTrail decrypts, for the S3 Bucket Key"
    encryption = trail.bucket.encryption if trail.bucket else None
    if encryption is not None:
        judgement.rest_on(encryption.evidence)
    used = False if encryption and encryption.missing else said(encryption, _bucket_key) if encryption else None
    if used is not False and (used or evaluate(askers.policy, decrypt).decision is Decision.ALLOWED):
        must_be_allowed(judgement, name, askers.policy, [decrypt], hint=askers.hint)
    elif used is None:
        why = unsaid(encryption, "whether the bucket uses an S3 Bucket Key") if encryption else "No bucket was asked for."
        judgement.doubt(name, "allowed where the bucket uses one", why)


def _bucket_key(encryption: Mapping[str, Json]) -> bool:
    found = [_uses_bucket_key(rule) for rule in encryption["Rules"]]
    if True not in found and None in found:
        raise ValueError("BucketKeyEnabled")
    return True in found


def _uses_bucket_key(rule: Mapping[str, Json]) -> bool | None:
    if "BucketKeyEnabled" in rule:
        return flag("BucketKeyEnabled")(rule)
    return False if rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256" else None


def _judge_outsiders(judgement: Judgement, askers: Askers, named: set[str]) -> None:
    """Judge that nobody else is let in to decrypt: no stranger, and nobody from outside whom the policy mentions."""
    reading = _encrypting(askers.trail) | {"kms:encryptioncontextkeys": "aws:cloudtrail:arn"}
    groups = (
        ("decryption by a stranger", "not allowed", askers.strangers()),
        ("decryption by others whom the policy mentions", {"none but accounts": sorted(named)}, askers.outsiders(named)),
    )
    for name, expected, group in groups:
        probes: list[Probe] = [
            (asker.name, Request(asker.principal, action, judgement.resource, asker.context | reading))
            for asker in group
            for action in _OPENS_DECRYPT
        ]
        must_not_be_allowed(judgement, name, askers.policy, probes, expected)
    allowed = grantees(askers.policy, "kms:Decrypt", judgement.resource)
    judgement.observe(
        "who can decrypt, by policy",
        [" ".join([grantee.principal, *(f"[{text}]" for text in grantee.conditions)]) for grantee in allowed],
    )


def _judge_readers(judgement: Judgement, askers: Askers, key: Key, parameters: RunParameters) -> None:
    """Judge that each reader may decrypt: by the key policy alone in the key's own account; where that leaves it to
    identity policies, or the reader is of another account, by those as well [KMS developer guide, "Allowing users in
    other accounts to use a KMS key"].
    """
    account, region = judgement.resource.split(":")[4], judgement.resource.split(":")[3]
    reading = _encrypting(askers.trail) | {"aws:securetransport": "true", "kms:viaservice": f"s3.{region}.amazonaws.com"}
    for role in parameters.expected.reader_role_arns or ():
        name, request = f"{role} may decrypt", Request(Principal.role(role), "kms:Decrypt", judgement.resource, reading)
        outcome = evaluate(askers.policy, request)
        delegated = outcome.decision is Decision.DELEGATED
        if not delegated and (outcome.decision is not Decision.ALLOWED or role.split(":")[4] == account):
            must_be_allowed(judgement, name, askers.policy, [request])
            continue
        simulated = (key.simulations or {}).get(role)
        if simulated is None:
            judgement.doubt(name, "allowed", f"iam:SimulatePrincipalPolicy was not asked for {role}.", outcome.reason)
            continue
        judgement.rest_on(simulated.evidence)
        if simulated.value in ("allowed", "explicitDeny", "implicitDeny"):
            sentence = f"The key policy asks for the identity policies of {role}, and they do not let it decrypt."
            met = simulated.value == "allowed"
            judgement.expect(name, "allowed", f"{simulated.value} by identity policies", met=met, otherwise=sentence)
        else:
            why = simulated.why or f"The answer to {simulated.call} for {role} decides nothing: {simulated.value}."
            judgement.doubt(name, "allowed", why, outcome.reason)
    local = Request(askers.role(account), "kms:Decrypt", judgement.resource, reading)
    if (outcome := evaluate(askers.policy, local)).decision is Decision.DELEGATED:
        judgement.observe("left to identity policies", outcome.reason)


def _judge_grants(judgement: Judgement, key: Key, named: set[str]) -> None:
    name, expected = "decryption by grant", {"none but accounts": sorted(named)}
    holders = said(key.grants, lambda grants: sorted(set(_holders(grants)))) if key.grants else None
    if key.grants is not None:
        judgement.rest_on(key.grants.evidence)
    if holders is None:
        judgement.doubt(name, expected, unsaid(key.grants or key.metadata, "who holds a grant on the key"))
        return
    accounts = {holder: _account_of(holder) for holder in holders}
    foreign = [holder for holder, account in accounts.items() if account and account not in named]
    unreadable = [holder for holder, account in accounts.items() if account is None]
    judgement.observe("who can decrypt, by grant", holders)
    if unreadable and not foreign:
        why = f"Whose account holds a grant that opens decryption can't be told of: {', '.join(unreadable)}."
        judgement.doubt(name, expected, why, holders)
        return
    sentence = f"A grant opens decryption to {', '.join(foreign)}, whose account expected.decrypt_accounts does not name."
    judgement.expect(name, expected, holders, met=not foreign, otherwise=sentence)


def _holders(grants: tuple[Mapping[str, Json], ...]) -> Iterator[str]:
    """Return who holds a grant that opens decryption: an ARN, an account or, for a service, its principal."""
    for grant in grants:
        if not isinstance(grant["Operations"], list):
            raise TypeError("Operations")
        if _GRANT_OPENS_DECRYPT & set(grant["Operations"]):
            holder = grant.get("GranteePrincipal") or grant["GranteeServicePrincipal"]
            if not isinstance(holder, str):
                raise TypeError("GranteePrincipal")
            yield holder


def _account_of(holder: str) -> str | None:
    """Return the account of a grant's holder, an empty string for an AWS service, or None where it can't be told."""
    if holder.endswith((".amazonaws.com", ".amazonaws.com.cn", ".aws.internal")):
        return ""
    account = holder.split(":")[4] if holder.startswith("arn:") and holder.count(":") >= 5 else holder
    return account if len(account) == 12 and account.isdigit() else None
