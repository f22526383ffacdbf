"""Checks on who reaches the log bucket: that CloudTrail can deliver to it, and that nobody unnamed is let in."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from kit.canonical import Json
from kit.checks.askers import Askers, Context
from kit.checks.probes import CLOUDTRAIL, Probe, must_be_allowed, must_not_be_allowed, parse, told
from kit.checks.reading import any_known, description, flag, judge, said, text, unsaid
from kit.checks.trail import each_trail
from kit.findings import Finding, Judgement
from kit.parameters import RunParameters
from kit.policy import Decision, Policy, Request, evaluate, grantees
from kit.snapshot import Bucket, Snapshot, Trail

READS_ACL, WRITES = "CloudTrail reads the bucket's ACL", "CloudTrail writes the trail's logs and digests"
"""The conditions on what CloudTrail itself must be allowed."""

BLOCKED = "public access block, of bucket or account"
BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_READS = ("s3:GetObject", "s3:GetObjectVersion")
_CHANGES = (
    "s3:PutObject",
    "s3:PutObjectAcl",
    "s3:PutObjectRetention",
    "s3:BypassGovernanceRetention",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:ReplicateObject",
    "s3:ReplicateDelete",
)
_READS_BUCKET = ("s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketAcl")
_CHANGES_BUCKET = (
    "s3:PutBucketPolicy",
    "s3:DeleteBucketPolicy",
    "s3:PutBucketAcl",
    "s3:PutBucketVersioning",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:DeleteBucket",
)
_EVERYTHING = Policy.parse('{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}}')
_GROUPS = {"AllUsers": "everyone", "AuthenticatedUsers": "everyone with an AWS account", "LogDelivery": ""}


def each_bucket(
    test_case: str,
    snapshot: Snapshot,
    parameters: RunParameters,
    of_bucket: Callable[[Trail, Bucket, Judgement], Finding],
) -> list[Finding]:
    """Judge the bucket of each trail that the run qualifies."""

    def of_trail(trail: Trail, judgement: Judgement) -> Finding:
        judgement.rest_on(trail.evidence)
        if trail.bucket is None:
            judgement.doubt("bucket", "a bucket to judge", f"The description of {trail.arn} names no bucket.")
            return judgement.finding()
        judgement.resource = f"arn:{trail.arn.split(':')[1]}:s3:::{trail.bucket.name}"
        judgement.rest_on(trail.bucket.region.evidence)
        if trail.bucket.region.missing:
            sentence = f"The bucket {trail.bucket.name} does not exist."
            judgement.expect("bucket", "exists", "no such bucket", otherwise=sentence)
            return judgement.finding()
        return of_bucket(trail, trail.bucket, judgement)

    return each_trail(test_case, snapshot, parameters, of_trail)


def iq_09(snapshot: Snapshot, parameters: RunParameters) -> list[Finding]:
    """The trail delivers to the expected bucket, where one is named, whose policy lets CloudTrail write for this trail
    and for no other account's; nobody else from outside the bucket's account writes or deletes its records, and nobody
    unnamed reads them, by policy, ACL or a missing public access block; and the requester does not pay.

    Source: CloudTrail user guide, "Amazon S3 bucket policy for CloudTrail"; S3 user guide, "Blocking public access to
    your Amazon S3 storage".
    """

    def of_bucket(trail: Trail, bucket: Bucket, judgement: Judgement) -> Finding:
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
            askers = Askers.of(policy, str(bucket.policy.value), trail, parameters)
            _judge_delivery(judgement, askers, trail, bucket, parameters)
            _judge_transport(judgement, askers, trail, parameters)
            _judge_outsiders(judgement, askers, trail, parameters)
            sentence = f"S3 holds the policy of {bucket.name} to be public."
            public = flag("IsPublic")
            judge(judgement, "public by policy, as S3 sees it", False, bucket.policy_status, public, otherwise=sentence)
        _judge_acl(judgement, bucket, parameters)
        _judge_blocks(judgement, bucket)
        sentence = f"The bucket {bucket.name} has Requester Pays on: CloudTrail can't deliver to it."
        judge(judgement, "who pays", "BucketOwner", bucket.request_payment, text("Payer"), otherwise=sentence)
        return judgement.finding(
            f"The bucket {bucket.name} takes CloudTrail's deliveries for {trail.arn}, and lets in nobody unnamed."
        )

    return each_bucket("IQ-09", snapshot, parameters, of_bucket)


def log_folder(trail: Trail, parameters: RunParameters) -> str:
    """Return what the keys of a trail's logs and digests all begin with; of a trail that may be an organization's, the
    widest.

    Source: CloudTrail user guide, "Getting and viewing your CloudTrail log files", "CloudTrail digest file structure".
    """
    prefix, organization = trail.description.get("S3KeyPrefix"), parameters.expected.organization_id
    root = f"{prefix}/AWSLogs/" if prefix else "AWSLogs/"
    of_organization = trail.description.get("IsOrganizationTrail")
    if of_organization is False:
        return f"{root}{trail.account}/CloudTrail"
    return f"{root}{organization}/" if of_organization is True and organization else root


def _objects(judgement: Judgement, trail: Trail, parameters: RunParameters) -> list[str]:
    """Return the ARNs of a log and a digest of the trail; with those of another Region and account that it records."""
    folder, regions = log_folder(trail, parameters), [trail.home_region]
    if trail.description.get("IsMultiRegionTrail") is True:
        regions.append("us-east-1" if trail.home_region != "us-east-1" else "us-west-2")
    kinds = ["", "-Digest"]
    if trail.description.get("IsOrganizationTrail") is not False:
        kinds = [f"{account}/CloudTrail{kind}" for account in (trail.account, "000000000000") for kind in kinds]
    folders = [f"{folder}{kind}/{region}" for region in regions for kind in kinds]
    return [f"{judgement.resource}/{folder}/2026/01/01/any.json.gz" for folder in folders]


def _judge_delivery(
    judgement: Judgement, askers: Askers, trail: Trail, bucket: Bucket, parameters: RunParameters
) -> None:
    policy, bound, hint = askers.policy, askers.cloudtrail(), askers.hint
    key = trail.description.get("KmsKeyId")
    writing: Context = bound | {
        "s3:x-amz-acl": "bucket-owner-full-control",
        "s3:x-amz-server-side-encryption": "aws:kms" if key else None,
        "s3:x-amz-server-side-encryption-aws-kms-key-id": str(key) if key else None,
    }
    objects = _objects(judgement, trail, parameters)

    def put(context: Context) -> list[Request]:
        return [Request(CLOUDTRAIL, "s3:PutObject", name, context) for name in objects]

    ask = Request(CLOUDTRAIL, "s3:GetBucketAcl", judgement.resource, bound)
    must_be_allowed(judgement, READS_ACL, policy, [ask], hint=hint)
    name = WRITES
    described = description(trail)
    places = [said(described, flag(member)) for member in ("IsOrganizationTrail", "IsMultiRegionTrail")]
    if None in places:
        judgement.doubt(name, "allowed", unsaid(described, "whether it is an organization or a multi-Region trail"))
    elif places[0] and not parameters.expected.organization_id:
        judgement.doubt(name, "allowed", "The parameter expected.organization_id is not stated.")
    else:
        must_be_allowed(judgement, name, policy, put(writing), hint=hint)
    if parameters.expected.require_source_arn:
        who = "CloudTrail on behalf of another account's trail"
        requests = [*put(askers.foreign(writing)), *_elsewhere(askers, judgement.resource, askers.foreign(writing))]
        foreign: list[Probe] = [(who, request) for request in requests]
        must_not_be_allowed(judgement, "CloudTrail writes with a foreign aws:SourceArn", policy, foreign)
    else:
        judgement.observe("aws:SourceArn", "its binding is waived by the parameter expected.require_source_arn")
    _judge_ownership(judgement, askers, bucket, put(writing | {"s3:x-amz-acl": "private"}))


def _elsewhere(askers: Askers, bucket: str, context: Context) -> list[Request]:
    """Return CloudTrail's request to write wherever an Allow statement says."""
    return [Request(CLOUDTRAIL, "s3:PutObject", place, context) for place in askers.places(f"{bucket}/")]


def _judge_ownership(judgement: Judgement, askers: Askers, bucket: Bucket, requests: list[Request]) -> None:
    """Judge that what is written belongs to the bucket's owner: by the policy's condition on the ACL, or because the
    bucket has no ACLs at all [S3 user guide, "Controlling ownership of objects and disabling ACLs for your bucket"].
    """
    name, ownership = "writing without bucket-owner-full-control", bucket.ownership
    judgement.rest_on(ownership.evidence)
    rule = "none" if ownership.missing else said(ownership, lambda value: str(value["Rules"][0]["ObjectOwnership"]))
    judgement.observe("object ownership", rule or unsaid(ownership, "object ownership"))
    if rule == "BucketOwnerEnforced":
        return
    if rule is None and any(evaluate(askers.policy, request).decision is not Decision.DENIED for request in requests):
        judgement.doubt(name, "not allowed", unsaid(ownership, "object ownership"))
        return
    probes = [("CloudTrail without the ACL bucket-owner-full-control", request) for request in requests]
    must_not_be_allowed(judgement, name, askers.policy, probes)


def _judge_transport(judgement: Judgement, askers: Askers, trail: Trail, parameters: RunParameters) -> None:
    """Judge, or observe, that the policy denies requests without TLS.

    A bound on s3:TlsVersion denies those as well [AWS re:Post knowledge center, "How do I enforce TLS 1.2 or later for
    my Amazon S3 buckets?"].
    """
    name = "insecure transport denied"
    plain: Context = {"aws:securetransport": "false", "s3:tlsversion": "0"}
    who, place = askers.role(trail.account), _objects(judgement, trail, parameters)[0]
    context = askers.sent_by(who) | plain
    # were everything else allowed, what is left to decide is what the policy denies
    policy = replace(askers.policy, statements=(*askers.policy.statements, *_EVERYTHING.statements))
    outcomes = [evaluate(policy, Request(who, action, place, context)) for action in (_READS[0], _CHANGES[0])]
    denied = all(outcome.explicit for outcome in outcomes)
    open_ = [outcome.reason for outcome in outcomes if outcome.decision is Decision.UNKNOWN]
    if not parameters.expected.tls_only:
        judgement.observe(name, denied)
    elif open_:
        judgement.doubt(name, True, " ".join(dict.fromkeys(open_)), "can't be decided")
    else:
        sentence = "The bucket policy does not deny requests over insecure transport."
        judgement.expect(name, True, denied, otherwise=sentence)


def _judge_outsiders(judgement: Judgement, askers: Askers, trail: Trail, parameters: RunParameters) -> None:
    """Judge that no stranger is let in, that whom the policy mentions from outside may read only where the parameters
    name the account, and may write or delete nowhere.

    Who may decrypt is who may read: a log is of use to nobody without the key. In the bucket's own account identity
    policies, which are not read, decide the same; so whom the policy names there is reported without a verdict.
    """
    bucket, owner = judgement.resource, parameters.account.log_bucket_account or trail.account
    expected = parameters.expected
    readers = {owner, trail.account, *expected.decrypt_accounts, *(expected.reader_role_arns or ())}
    folder = f"{bucket}/{log_folder(trail, parameters)}"
    objects = (*_objects(judgement, trail, parameters)[:2], *askers.places(folder))

    def each(on_bucket: tuple[str, ...], on_objects: tuple[str, ...]) -> list[tuple[str, str]]:
        asked = [(action, name) for action in on_objects for name in objects]
        return [*((action, bucket) for action in on_bucket), *asked]

    reads, changes = each(_READS_BUCKET, _READS), each(_CHANGES_BUCKET, _CHANGES)
    unnamed, foreign = askers.outsiders(readers), askers.outsiders([owner])
    for name, allowed, group, asked in (
        ("access by a stranger", "not allowed", askers.strangers(), reads + changes),
        ("reading by others whom the policy mentions", {"none but": sorted(readers)}, unnamed, reads),
        ("writing or deleting by others whom the policy mentions", {"none but": [owner]}, foreign, changes),
    ):
        probes: list[Probe] = [
            (asker.name, Request(asker.principal, action, place, asker.context))
            for asker in group
            for action, place in asked
        ]
        must_not_be_allowed(judgement, name, askers.policy, probes, allowed)
    for name, action in (("who can read, by policy", "s3:GetObject"), ("who can delete, by policy", "s3:DeleteObject")):
        judgement.observe(name, told(grantees(askers.policy, action, objects[0])))


def _judge_acl(judgement: Judgement, bucket: Bucket, parameters: RunParameters) -> None:
    """Judge that the ACL lets in nobody but the bucket's owner; the group that delivers S3's own access logs is AWS.

    Source: S3 user guide, "Access control list (ACL) overview".
    """
    name = "let in by ACL"
    judgement.rest_on(bucket.acl.evidence)
    others = said(bucket.acl, _others)
    if others is None:
        judgement.doubt(name, [], unsaid(bucket.acl, name))
    elif parameters.expected.decrypt_accounts and others and all("canonical user" in other for other in others):
        why = f"Whether the ACL lets in one of expected.decrypt_accounts can't be told from: {', '.join(others)}."
        judgement.doubt(name, [], why, others)
    else:
        judgement.expect(name, [], others, otherwise=f"The ACL of {bucket.name} lets in {', '.join(others)}.")


def _others(acl: Mapping[str, Json]) -> list[str]:
    found = []
    for grant in acl["Grants"]:
        grantee, permission = grant["Grantee"], str(grant["Permission"])
        if "URI" in grantee:
            group = grantee["URI"].rsplit("/", 1)[-1]
            who = _GROUPS.get(group, f"the group {grantee['URI']}")
        elif "ID" in grantee:
            who = "" if grantee["ID"] == acl["Owner"]["ID"] else f"the canonical user {grantee['ID']}"
        else:
            who = f"the account of {grantee['EmailAddress']}"
        found += [f"{who} ({permission})"] if who else []
    return sorted(found)


def _judge_blocks(judgement: Judgement, bucket: Bucket) -> None:
    """Judge the four public access blocks; S3 applies the stricter of the bucket's and the account's."""
    name, expected = BLOCKED, dict.fromkeys(BLOCKS, True)
    answers = (bucket.public_access_block, bucket.account_public_access_block)
    states = [
        (answer, {block: False if answer.missing else said(answer, flag(block)) for block in BLOCKS})
        for answer in answers
    ]
    actual = {block: any_known(state[block] for _, state in states) for block in BLOCKS}
    for answer in answers:
        judgement.rest_on(answer.evidence)
    off = [block for block, on in actual.items() if on is False]
    if None in actual.values() and not off:
        open_ = [unsaid(answer, name) for answer, state in states if None in state.values()]
        judgement.doubt(name, expected, " ".join(open_), actual)
        return
    sentence = f"Public access of {bucket.name} is not wholly blocked: {', '.join(off)} off for bucket and account."
    judgement.expect(name, expected, actual, otherwise=sentence)
