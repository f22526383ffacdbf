"""The check on who may use the trail's KMS key, by its policy and by grants."""

from collections.abc import Iterator, Mapping

from kit.canonical import Json
from kit.checks.askers import Askers, Context
from kit.checks.probes import CLOUDTRAIL, ENCRYPTION_CONTEXT, Probe, must_be_allowed, must_not_be_allowed, parse, told
from kit.checks.reading import flag, said, unsaid
from kit.checks.trail import each_key
from kit.findings import Finding, Judgement
from kit.parameters import RunParameters
from kit.policy import Decision, Principal, Request, evaluate, grantees
from kit.snapshot import Key, Snapshot, Trail

ENCRYPTS, DESCRIBES = "CloudTrail encrypts for the trail", "CloudTrail describes the key"
DECRYPTS = "CloudTrail decrypts, for the S3 Bucket Key"
"""The conditions on what CloudTrail itself must be allowed."""

_ENCRYPTS = ("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Encrypt")
_OPENS_DECRYPT = ("kms:Decrypt", "kms:ReEncryptFrom", "kms:CreateGrant", "kms:PutKeyPolicy")
_GRANT_OPENS_DECRYPT = {"Decrypt", "ReEncryptFrom", "CreateGrant"}


def iq_07(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The key policy lets CloudTrail encrypt for this trail and for no other account's, and neither policy nor grants
    open decryption to anybody outside the key's own account, the trail's, and those that the parameters name.

    Source: CloudTrail user guide, "Configure AWS KMS key policies for CloudTrail"; KMS developer guide, "Key policies
    in AWS KMS" and "Grants in AWS KMS".
    """

    def of_key(trail: Trail, key: Key, judgement: Judgement) -> Finding:
        if key.policy is None or not judgement.resource.startswith("arn:"):
            judgement.doubt("key policy", "readable", unsaid(key.metadata, "key ARN"))
            return judgement.finding()
        judgement.rest_on(key.policy.evidence)
        policy, why = parse(key.policy)
        expected = parameters.expected
        accounts = {judgement.resource.split(":")[4], trail.account, *expected.decrypt_accounts}
        named = accounts | set(expected.reader_role_arns or ())
        if policy is None:
            judgement.doubt("key policy", "readable", why)
        else:
            askers = Askers.of(policy, str(key.policy.value), trail, parameters)
            _judge_use(judgement, askers, trail, parameters)
            _judge_outsiders(judgement, askers, named)
            _judge_readers(judgement, askers, key, parameters)
        _judge_grants(judgement, key, named)
        return judgement.finding(
            f"The policy of the key {judgement.resource} serves CloudTrail for {trail.arn}, and opens decryption to"
            f" nobody but {', '.join(sorted(named))}."
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
        (ENCRYPTS, "kms:GenerateDataKey", encrypting),
        (DESCRIBES, "kms:DescribeKey", bound),
    ):
        must_be_allowed(judgement, name, policy, ask(action, context), hint=askers.hint)
    _judge_bucket_key(judgement, askers, trail, ask("kms:Decrypt", encrypting)[0])

    foreign = askers.foreign(encrypting)
    probes = [
        ("CloudTrail encrypts without the encryption context", "without the encryption context of a trail", bound)
    ]
    if parameters.expected.require_source_arn:
        probes.append(
            ("CloudTrail encrypts with a foreign aws:SourceArn", "on behalf of another account's trail", foreign)
        )
    else:
        judgement.observe("aws:SourceArn", "its binding is waived by the parameter expected.require_source_arn")
    elsewhere = foreign | _encrypting(askers.foreign_trail)
    probes.append(("CloudTrail encrypts for another account's trail", "for another account's trail", elsewhere))
    for name, purpose, context in probes:
        asked = [(f"CloudTrail {purpose}", request) for action in _ENCRYPTS for request in ask(action, context)]
        must_not_be_allowed(judgement, name, policy, asked)


def _judge_bucket_key(judgement: Judgement, askers: Askers, trail: Trail, decrypt: Request) -> None:
    """Judge that CloudTrail may decrypt where the bucket uses an S3 Bucket Key, which only serves SSE-KMS.

    Source: CloudTrail user guide, "Configure AWS KMS key policies for CloudTrail".
    """
    name = DECRYPTS
    encryption = trail.bucket.encryption if trail.bucket else None
    if encryption is not None:
        judgement.rest_on(encryption.evidence)
    used = False if encryption and encryption.missing else said(encryption, _bucket_key) if encryption else None
    if used is not False and (used or evaluate(askers.policy, decrypt).decision is Decision.ALLOWED):
        must_be_allowed(judgement, name, askers.policy, [decrypt], hint=askers.hint)
    elif used is None:
        what = "whether the bucket uses an S3 Bucket Key"
        why = unsaid(encryption, what) if encryption else f"The description of {trail.arn} names no bucket."
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
        ("decryption by others whom the policy mentions", {"none but": sorted(named)}, askers.outsiders(named)),
    )
    for name, expected, group in groups:
        probes: list[Probe] = [
            (asker.name, Request(asker.principal, action, judgement.resource, asker.context | reading))
            for asker in group
            for action in _OPENS_DECRYPT
        ]
        must_not_be_allowed(judgement, name, askers.policy, probes, expected)
    by_policy = grantees(askers.policy, "kms:Decrypt", judgement.resource)
    judgement.observe("who can decrypt, by policy", told(by_policy))


def _judge_readers(judgement: Judgement, askers: Askers, key: Key, parameters: RunParameters) -> None:
    """Judge that each reader may decrypt: by the key policy alone in the key's own account; where that leaves it to
    identity policies, or the reader is of another account, by those as well [KMS developer guide, "Allowing users in
    other accounts to use a KMS key"].
    """
    region, account = judgement.resource.split(":")[3:5]
    through_s3: Context = {"aws:securetransport": "true", "kms:viaservice": f"s3.{region}.amazonaws.com"}
    reading = _encrypting(askers.trail) | through_s3
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
    name, expected = "decryption by grant", {"none but": sorted(named)}
    holders = said(key.grants, lambda grants: sorted(set(_holders(grants)))) if key.grants else None
    if key.grants is not None:
        judgement.rest_on(key.grants.evidence)
    if holders is None:
        judgement.doubt(name, expected, unsaid(key.grants or key.metadata, "who holds a grant on the key"))
        return
    accounts = {holder: _account_of(holder) for holder in holders}
    foreign = [holder for holder, account in accounts.items() if account and not {holder, account} & named]
    unreadable = [holder for holder, account in accounts.items() if account is None]
    judgement.observe("who can decrypt, by grant", holders)
    if unreadable and not foreign:
        why = f"Whose account holds a grant that opens decryption can't be told of: {', '.join(unreadable)}."
        judgement.doubt(name, expected, why, holders)
        return
    sentence = f"A grant opens decryption to {', '.join(foreign)}; expected.decrypt_accounts does not name the account."
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
    if holder.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return ""
    account = holder.split(":")[4] if holder.startswith("arn:") and holder.count(":") >= 5 else holder
    return account if len(account) == 12 and account.isdigit() else None
