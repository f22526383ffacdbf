"""Checks on the log bucket: that CloudTrail and nobody else can write to it, and that it keeps what it is given."""

from collections.abc import Callable, Mapping

from kit.canonical import Json
from kit.checks.probes import CLOUDTRAIL, Places, merged, must_be_allowed, must_not_be_allowed, parse
from kit.checks.trail import each_trail
from kit.findings import Finding, Judgement
from kit.parameters import RunParameters
from kit.policy import Policy, Principal, Request, evaluate
from kit.snapshot import Answer, Bucket, Snapshot, Trail

_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_EVERYONE = ("/global/AllUsers", "/global/AuthenticatedUsers")
_STRANGERS_DO = (
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:ListBucket",
    "s3:GetBucketAcl",
    "s3:PutBucketPolicy",
    "s3:PutObjectAcl",
)
_ON_BUCKET = ("s3:ListBucket", "s3:GetBucketAcl", "s3:PutBucketPolicy")


def each_bucket(
    test_case: str,
    snapshot: Snapshot,
    parameters: RunParameters,
    judge: Callable[[Trail, Bucket, Judgement], Finding],
) -> list[Finding]:
    """Judge the bucket of each trail that the run qualifies."""

    def of_trail(trail: Trail, judgement: Judgement) -> Finding:
        judgement.rest_on(trail.evidence)
        if trail.bucket is None:
            judgement.doubt("bucket", "a bucket to judge", f"The description of {trail.arn} names no bucket.")
            return judgement.finding("")
        judgement.resource = f"arn:{trail.arn.split(':')[1]}:s3:::{trail.bucket.name}"
        judgement.rest_on(trail.bucket.region.evidence)
        if trail.bucket.region.missing:
            sentence = f"The bucket {trail.bucket.name} does not exist."
            judgement.expect("bucket", "exists", "no such bucket", otherwise=sentence)
            return judgement.finding("")
        return judge(trail, trail.bucket, judgement)

    return each_trail(test_case, snapshot, parameters, of_trail)


def iq_09(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The bucket policy lets CloudTrail deliver for this trail and for no other, nobody else is let in by policy, ACL or a
    missing public access block, and the requester does not pay.

    Source: CloudTrail user guide, "Amazon S3 bucket policy for CloudTrail"; S3 user guide, "Blocking public access".
    """

    def judge(trail: Trail, bucket: Bucket, judgement: Judgement) -> Finding:
        wanted = parameters.expected.log_bucket
        if wanted:
            sentence = f"The trail delivers to {bucket.name}, not to the expected bucket {wanted}."
            judgement.expect("log bucket", wanted, bucket.name, otherwise=sentence)
        judgement.rest_on(bucket.policy.evidence)
        policy, why = parse(bucket.policy)
        if bucket.policy.missing:
            sentence = f"The bucket {bucket.name} has no policy: CloudTrail can't deliver to it."
            judgement.expect("bucket policy", "present", "absent", otherwise=sentence)
        elif policy is None:
            judgement.doubt("bucket policy", "readable", why)
        else:
            _judge_delivery(judgement, policy, trail, bucket, parameters)
            _judge_transport(judgement, policy, trail, parameters)
            _judge_public_policy(judgement, policy, trail, bucket, parameters)
        _judge_acl(judgement, bucket)
        _judge_blocks(judgement, bucket)
        _judge_payer(judgement, bucket)
        return judgement.finding(f"The bucket {bucket.name} takes CloudTrail's deliveries for this trail, and is not public.")

    return each_bucket("IQ-09", snapshot, parameters, judge)


def _judge_delivery(
    judgement: Judgement, policy: Policy, trail: Trail, bucket: Bucket, parameters: RunParameters
) -> None:
    arn, places = judgement.resource, Places.of(trail, parameters)
    prefix = trail.description.get("S3KeyPrefix")
    root = f"{arn}/{prefix}/AWSLogs" if prefix else f"{arn}/AWSLogs"
    file = f"{trail.account}/CloudTrail/{trail.home_region}/2026/01/01/log.json.gz"
    key = trail.description.get("KmsKeyId")
    writing: dict[str, str | None] = {
        "s3:x-amz-acl": "bucket-owner-full-control",
        "s3:x-amz-server-side-encryption": "aws:kms" if key else None,
        "s3:x-amz-server-side-encryption-aws-kms-key-id": key,
    }

    def put(place: str, context: Mapping[str, str | None]) -> Request:
        return Request(CLOUDTRAIL, "s3:PutObject", f"{root}/{place}", context)

    bound = places.cloudtrail()
    foreign = places.cloudtrail(places.foreign_trail)
    ask = Request(CLOUDTRAIL, "s3:GetBucketAcl", arn, bound)
    must_be_allowed(judgement, "CloudTrail reads the bucket's ACL", policy, ask)
    must_be_allowed(judgement, "CloudTrail writes the trail's logs", policy, put(file, merged(bound, writing)))
    if trail.description.get("IsOrganizationTrail"):
        name, organization = "CloudTrail writes the organization's logs", parameters.expected.organization_id
        if organization:
            must_be_allowed(judgement, name, policy, put(f"{organization}/{file}", merged(bound, writing)))
        else:
            judgement.doubt(name, "allowed", "The parameter expected.organization_id is not stated.")
    if parameters.expected.require_source_arn:
        requests = [put(file, merged(foreign, writing)), Request(CLOUDTRAIL, "s3:GetBucketAcl", arn, foreign)]
        must_not_be_allowed(judgement, "the same with a foreign aws:SourceArn", policy, requests)
    else:
        judgement.observe("aws:SourceArn", "its binding is waived by the parameter expected.require_source_arn")
    _judge_ownership(judgement, policy, bucket, put(file, merged(bound, writing, {"s3:x-amz-acl": "private"})))


def _judge_ownership(judgement: Judgement, policy: Policy, bucket: Bucket, request: Request) -> None:
    """Judge that what is written belongs to the bucket's owner: by the policy's condition on the ACL, or because the
    bucket has no ACLs at all [S3 user guide, "Controlling ownership of objects"].
    """
    ownership = bucket.ownership
    judgement.rest_on(ownership.evidence)
    rules = (ownership.value or {}).get("Rules", [])
    if any(rule.get("ObjectOwnership") == "BucketOwnerEnforced" for rule in rules):
        judgement.observe("object ownership", "BucketOwnerEnforced: the bucket's owner owns every object")
    else:
        must_not_be_allowed(judgement, "writing without bucket-owner-full-control", policy, [request])


def _judge_transport(judgement: Judgement, policy: Policy, trail: Trail, parameters: RunParameters) -> None:
    local = Principal.role(f"arn:{trail.arn.split(':')[1]}:iam::{trail.account}:role/any")
    context = {"aws:SecureTransport": "false", "s3:TlsVersion": None}
    place = f"{judgement.resource}/AWSLogs/any"
    outcomes = [evaluate(policy, Request(local, action, place, context)) for action in ("s3:GetObject", "s3:PutObject")]
    denied = all(outcome.explicit for outcome in outcomes)
    if parameters.expected.tls_only:
        sentence = "The bucket policy does not deny requests over insecure transport."
        judgement.expect("insecure transport denied", True, denied, otherwise=sentence)
    else:
        judgement.observe("insecure transport denied", denied)


def _judge_public_policy(
    judgement: Judgement, policy: Policy, trail: Trail, bucket: Bucket, parameters: RunParameters
) -> None:
    places = Places.of(trail, parameters)
    requests = [
        Request(
            who,
            action,
            judgement.resource if action in _ON_BUCKET else f"{judgement.resource}/AWSLogs/any",
            places.stranger_context(),
        )
        for who in places.strangers()
        for action in _STRANGERS_DO
    ]
    must_not_be_allowed(judgement, "access by a stranger", policy, requests)
    status = bucket.policy_status
    judgement.rest_on(status.evidence)
    public = status.value.get("IsPublic") if status.value else None
    if public is None:
        why = status.why or f"The answer to {status.call} does not say whether the policy is public."
        judgement.doubt("public by policy, as S3 sees it", False, why)
    else:
        sentence = f"S3 holds the policy of {bucket.name} to be public."
        judgement.expect("public by policy, as S3 sees it", False, public, otherwise=sentence)


def _judge_acl(judgement: Judgement, bucket: Bucket) -> None:
    judgement.rest_on(bucket.acl.evidence)
    if bucket.acl.value is None:
        judgement.doubt("public by ACL", [], bucket.acl.why)
        return
    public = sorted(
        f"{grant['Grantee']['URI'].rsplit('/', 1)[-1]}: {grant.get('Permission')}"
        for grant in bucket.acl.value["Grants"]
        if grant.get("Grantee", {}).get("URI", "").endswith(_EVERYONE)
    )
    judgement.expect("public by ACL", [], public, otherwise=f"The ACL of {bucket.name} lets in {', '.join(public)}.")


def _judge_blocks(judgement: Judgement, bucket: Bucket) -> None:
    """Judge the four public access blocks; S3 applies the stricter of the bucket's and the account's."""
    answers = (bucket.public_access_block, bucket.account_public_access_block)
    for answer in answers:
        judgement.rest_on(answer.evidence)
    actual = {block: any((answer.value or {}).get(block) is True for answer in answers) for block in _BLOCKS}
    expected = dict.fromkeys(_BLOCKS, True)
    unknown = [answer.why for answer in answers if answer.value is None and not answer.missing]
    if not all(actual.values()) and unknown:
        judgement.doubt("public access block, of bucket or account", expected, " ".join(unknown), actual)
        return
    off = [block for block, on in actual.items() if not on]
    sentence = f"Public access of {bucket.name} is not wholly blocked: {', '.join(off)} off for bucket and account."
    judgement.expect("public access block, of bucket or account", expected, actual, otherwise=sentence)


def _judge_payer(judgement: Judgement, bucket: Bucket) -> None:
    judgement.rest_on(bucket.request_payment.evidence)
    if bucket.request_payment.value is None:
        judgement.doubt("who pays", "BucketOwner", bucket.request_payment.why)
        return
    payer = bucket.request_payment.value["Payer"]
    sentence = f"The bucket {bucket.name} has Requester Pays on: CloudTrail can't deliver to it."
    judgement.expect("who pays", "BucketOwner", payer, otherwise=sentence)


def iq_10(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The bucket protects the records: versioned and encrypted by default; nothing expires before the retention time; and
    Object Lock, access logging and MFA delete where the parameters require them, else as observations.

    Source: S3 user guide, "Using versioning", "Locking objects with Object Lock", "Managing the lifecycle of objects".
    """

    def judge(trail: Trail, bucket: Bucket, judgement: Judgement) -> Finding:
        versioning, expected = bucket.versioning, parameters.expected
        _judge_value(judgement, "versioning", "Enabled", versioning, lambda value: value.get("Status", "never enabled"))
        algorithms = ["AES256", "aws:kms", "aws:kms:dsse"]
        _judge_value(judgement, "default encryption", {"one of": algorithms}, bucket.encryption, _algorithm, algorithms)
        _judge_lock(judgement, bucket.object_lock, parameters)
        _judge_lifecycle(judgement, trail, bucket, expected.retention_days)
        logs_to = bucket.logging
        target = (logs_to.value or {}).get("LoggingEnabled", {}).get("TargetBucket") if logs_to.value is not None else None
        if expected.access_logging:
            _judge_value(judgement, "access logging", True, logs_to, lambda value: "LoggingEnabled" in value)
        judgement.observe("access logging to", target if logs_to.value is not None else logs_to.why)
        if expected.mfa_delete:
            _judge_value(judgement, "MFA delete", "Enabled", versioning, lambda value: value.get("MFADelete", "Disabled"))
        else:
            said = versioning.value.get("MFADelete", "Disabled") if versioning.value is not None else versioning.why
            judgement.observe("MFA delete", said)
        return judgement.finding(f"The bucket {bucket.name} is versioned and encrypted by default, and keeps the records.")

    return each_bucket("IQ-10", snapshot, parameters, judge)


def _judge_value(
    judgement: Judgement,
    name: str,
    expected: Json,
    answer: Answer[Mapping[str, Json]],
    read: Callable[[Mapping[str, Json]], Json],
    accepted: list[str] | None = None,
) -> None:
    judgement.rest_on(answer.evidence)
    if answer.value is None and not answer.missing:
        judgement.doubt(name, expected, answer.why)
        return
    actual = read(answer.value) if answer.value is not None else "none"
    met = actual in (accepted if accepted is not None else [expected])
    judgement.expect(name, expected, actual, met=met, otherwise=f"{name}: {actual}.")


def _algorithm(encryption: Mapping[str, Json]) -> str:
    rules = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in encryption.get("Rules", [])]
    return str(rules[0].get("SSEAlgorithm", "none")) if rules else "none"


def _judge_lock(judgement: Judgement, answer: Answer[Mapping[str, Json]], parameters: RunParameters) -> None:
    mode, days = parameters.expected.object_lock_mode, parameters.expected.retention_days
    rule = (answer.value or {}).get("Rule", {}).get("DefaultRetention", {})
    lasts = rule.get("Days") or 365 * rule.get("Years", 0)
    actual = {"mode": rule.get("Mode", "none"), "days": lasts}
    judgement.rest_on(answer.evidence)
    if mode is None:
        judgement.observe("Object Lock", answer.why if answer.value is None and not answer.missing else actual)
    elif answer.value is None and not answer.missing:
        judgement.doubt("Object Lock", {"mode": mode, "days": days}, answer.why)
    elif days is None:
        sentence = "The parameter expected.retention_days is not stated."
        judgement.doubt("Object Lock", {"mode": mode, "days": None}, sentence, actual)
    else:
        met = actual["mode"] in (mode, "COMPLIANCE") and lasts >= days
        sentence = f"Object Lock keeps objects for {lasts} days in mode {actual['mode']}."
        judgement.expect("Object Lock", {"mode": mode, "at least days": days}, actual, met=met, otherwise=sentence)


def _judge_lifecycle(judgement: Judgement, trail: Trail, bucket: Bucket, days: int | None) -> None:
    answer = bucket.lifecycle
    judgement.rest_on(answer.evidence)
    rules = [rule for rule in (answer.value or {}).get("Rules", []) if rule.get("Status") == "Enabled"]
    prefix = trail.description.get("S3KeyPrefix")
    logs = f"{prefix}/AWSLogs/" if prefix else "AWSLogs/"
    expiries = {str(rule.get("ID", number)): _expires(rule) for number, rule in enumerate(rules) if _reaches(rule, logs)}
    actual = {name: after for name, after in expiries.items() if after is not None}
    if days is None:
        judgement.observe("lifecycle expires after days", answer.why if answer.value is None and not answer.missing else actual)
    elif answer.value is None and not answer.missing:
        judgement.doubt("nothing expires before", f"{days} days", answer.why)
    else:
        early = sorted(name for name, after in actual.items() if after < days)
        sentence = f"Lifecycle rule {', '.join(early)} of {bucket.name} deletes records before {days} days."
        judgement.expect("nothing expires before", f"{days} days", actual, met=not early, otherwise=sentence)


def _expires(rule: Mapping[str, Json]) -> int | None:
    """Return the fewest days after which a rule deletes an object or a version of it; 0 for a fixed date."""
    expiration, noncurrent = rule.get("Expiration", {}), rule.get("NoncurrentVersionExpiration", {})
    days = [value for value in (expiration.get("Days"), noncurrent.get("NoncurrentDays")) if value is not None]
    return min([*days, *([0] if "Date" in expiration else [])], default=None)


def _reaches(rule: Mapping[str, Json], logs: str) -> bool:
    """Whether a rule may apply to a log object; a filter by tag or size is taken to."""
    chosen = rule.get("Filter") or {}
    prefix = rule.get("Prefix") or chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or ""
    return str(logs).startswith(prefix) or str(prefix).startswith(logs)
