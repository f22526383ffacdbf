"""The steps on the log bucket: made where there is none, its policy merged, versioned, blocked from the public."""

from typing import Any

from kit.canonical import Json
from kit.checks.bucket import BLOCKED, BLOCKS, READS_ACL, WRITES
from kit.checks.probes import parse
from kit.checks.reading import flag, said
from kit.remediation import policies
from kit.remediation.draft import Draft, planned
from kit.remediation.policies import MOST_OF_A_BUCKET, Statement
from kit.snapshot import Bucket

_ENFORCED = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
_ALL = dict.fromkeys(BLOCKS, True)
_PUBLIC = ("public by policy, as S3 sees it", "access by a stranger", "let in by ACL")


def plan_bucket(draft: Draft) -> None:
    """Add the steps after which the bucket is there and takes CloudTrail's deliveries, as the parameters want it.

    Nothing is done to a bucket of another account, or to one whose Region is not known.
    """
    bucket = draft.trail.bucket
    if bucket is None:
        draft.note("IQ-09", "State expected.log_bucket: without it no trail and no bucket is made.")
    elif (owner := draft.parameters.account.log_bucket_account or draft.trail.account) != draft.trail.account:
        draft.note(
            "IQ-09", f"The bucket {bucket.name} belongs to the account {owner}: whoever owns it changes it there."
        )
    elif bucket.region.missing:
        _make(draft, bucket)
    elif bucket.region.value is not None:
        _plan_payer(draft, bucket)
        _plan_block(draft, bucket)
        _plan_policy(draft, bucket)
        _plan_versioning(draft, bucket)


def takes_deliveries(draft: Draft) -> bool:
    """Return whether CloudTrail can deliver to the bucket, as the steps so far leave it: for sure, or it can't."""
    bucket = draft.trail.bucket
    there = bucket is not None and bucket.region.value is not None
    return there and draft.met("IQ-09", READS_ACL, WRITES, "who pays") is True


def _make(draft: Draft, bucket: Bucket) -> None:
    """Make the bucket in the key's Region, private from its first moment; then what makes it a log bucket."""
    key = draft.prospect.key
    arn = key.metadata.value["Arn"] if key and key.metadata.value else draft.trail.arn
    region, name, expected = arn.split(":")[3], bucket.name, draft.parameters.expected
    mode, days = expected.object_lock_mode, expected.retention_days
    if mode and days is None:
        draft.note("IQ-10", "State expected.retention_days: without it Object Lock can't be set up in a new bucket.")
    locked = mode is not None and days is not None
    trail = draft.trail
    policy = policies.new_policy(
        [
            policies.read_acl(trail, name),
            policies.write_logs(trail, name, draft.parameters),
            policies.only_tls(trail, name),
        ]
    )
    settings: dict[str, Json] = {"Bucket": name, "ObjectOwnership": "BucketOwnerEnforced"}
    if region != "us-east-1":  # which can't be named [S3: CreateBucket]
        settings["CreateBucketConfiguration"] = {"LocationConstraint": region}
    if locked:
        settings["ObjectLockEnabledForBucket"] = True
    nothing = "None: the bucket is new."
    draft.add(
        "create-bucket",
        f"Make the log bucket {name}, without ACLs",
        ("IQ-05", "IQ-09", "IQ-10"),
        ("s3", "CreateBucket", region, settings),
        (None, settings),
        risk="None to what is there. The name may be taken: then AWS refuses, and nothing is changed.",
        undo=("DeleteBucket", {"Bucket": name}),
    )
    _add_block(draft, name, region, None, nothing)
    lock: Json = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": mode, "Days": days}}}
    if locked:
        draft.add(
            "put-object-lock",
            f"Keep every object for {days} days in mode {mode}",
            ("IQ-10",),
            ("s3", "PutObjectLockConfiguration", region, {"Bucket": name, "ObjectLockConfiguration": lock}),
            (None, lock),
            risk="What is written can't be deleted before its time; in mode COMPLIANCE by nobody.",
            undo="For objects that are written later, put another default; what is locked stays locked.",
        )
    else:
        _add_versioning(draft, name, region, None)
    draft.add(
        "put-bucket-policy",
        "Let CloudTrail deliver for this trail alone, and refuse requests without TLS",
        ("IQ-09",),
        ("s3", "PutBucketPolicy", region, {"Bucket": name, "Policy": policy}),
        (None, policies.document(policy)),
        risk=nothing,
        undo=("DeleteBucketPolicy", {"Bucket": name}),
    )
    members: dict[str, Any] = {
        "region": region,
        "policy": policy,
        "policy_status": {"IsPublic": False},
        "acl": {"Owner": {"ID": ""}, "Grants": []},
        "ownership": _ENFORCED,
        "public_access_block": _ALL,
        "account_public_access_block": _ALL,
        "versioning": {"Status": "Enabled"},
        "encryption": {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
        "object_lock": lock if locked else {},
        "lifecycle": {"Rules": []},
        "logging": {},
        "request_payment": {"Payer": "BucketOwner"},
    }
    draft.use(bucket=Bucket(name, **{member: planned(value) for member, value in members.items()}))


def _plan_payer(draft: Draft, bucket: Bucket) -> None:
    if draft.met("IQ-09", "who pays") is not False:
        return
    before, after = bucket.request_payment.value or {}, {"Payer": "BucketOwner"}
    call = {"Bucket": bucket.name, "RequestPaymentConfiguration": after}
    draft.add(
        "put-request-payment",
        "Have the bucket's owner pay for requests: CloudTrail does not deliver where the requester pays",
        ("IQ-09",),
        ("s3", "PutBucketRequestPayment", _region(bucket), call),
        ({"Payer": before.get("Payer")}, after),
        risk="Requests of others are charged to the owner from then on.",
        undo=("PutBucketRequestPayment", {**call, "RequestPaymentConfiguration": {"Payer": "Requester"}}),
    )
    draft.change_bucket(request_payment=planned(after))


def _plan_block(draft: Draft, bucket: Bucket) -> None:
    """Block public access where that takes access from nobody: nothing is public, and no ACL of an object can be."""
    if draft.met("IQ-09", BLOCKED) is not False:
        return
    owned = said(bucket.ownership, lambda value: str(value["Rules"][0]["ObjectOwnership"]))
    judged = draft.conditions("IQ-09")
    if bucket.policy.missing:  # which lets nobody in
        judged |= dict.fromkeys(_PUBLIC[:2], True)
    if owned == "BucketOwnerEnforced" and all(judged.get(name) is True for name in _PUBLIC):
        held = bucket.public_access_block
        before = None if held.missing else {name: said(held, flag(name)) for name in BLOCKS}
        _add_block(draft, bucket.name, _region(bucket), before, "None now: neither policy nor ACL lets the public in.")
        draft.change_bucket(public_access_block=planned(_ALL))
    else:
        draft.note("IQ-09", "Blocking public access would take access from somebody, or that can't be told: decide.")


def _add_block(draft: Draft, name: str, region: str, before: Json, risk: str) -> None:
    call = {"Bucket": name, "PublicAccessBlockConfiguration": _ALL}
    undo = ("DeletePublicAccessBlock", {"Bucket": name})
    draft.add(
        "put-public-access-block",
        "Block public access to the bucket, for whatever policy or ACL it will have",
        ("IQ-09",),
        ("s3", "PutPublicAccessBlock", region, call),
        (before, _ALL),
        risk=risk,
        undo=undo if before is None else ("PutPublicAccessBlock", {**call, "PublicAccessBlockConfiguration": before}),
    )


def _plan_policy(draft: Draft, bucket: Bucket) -> None:
    """Merge in the statements that CloudTrail lacks: those alone that mend what they are to mend."""
    trail, name = draft.trail, bucket.name
    statements: list[tuple[str, Statement]] = [
        (READS_ACL, policies.read_acl(trail, name)),
        (WRITES, policies.write_logs(trail, name, draft.parameters)),
    ]
    before = bucket.policy.value
    if bucket.policy.missing:
        after = policies.new_policy(statement for _, statement in statements)
        draft.change_bucket(policy=planned(after), policy_status=planned({"IsPublic": False}))
        helpful = [statement for condition, statement in statements if draft.met("IQ-09", condition) is True]
        after = policies.new_policy(helpful) if helpful else ""
    elif before is not None and parse(bucket.policy)[0] is not None:
        judged, helpful = draft.conditions("IQ-09"), []
        for condition, statement in statements:
            draft.change_bucket(policy=planned(policies.merged(before, [statement])))
            if judged.get(condition) is not True and draft.met("IQ-09", condition) is True:
                helpful.append(statement)
        after = policies.merged(before, helpful) if helpful else ""
    else:
        return
    if len(after.encode()) > MOST_OF_A_BUCKET:
        draft.note("IQ-09", "With the statements that are missing the policy would be longer than S3 allows.")
        after = ""
    if not after:
        draft.change_bucket(policy=bucket.policy, policy_status=bucket.policy_status)
        return
    draft.change_bucket(policy=planned(after))
    named = {"Bucket": name}
    draft.add(
        "put-bucket-policy",
        "Merge into the bucket policy what CloudTrail lacks",
        ("IQ-09",),
        ("s3", "PutBucketPolicy", _region(bucket), {**named, "Policy": after}),
        (policies.document(before) if before is not None else None, policies.document(after)),
        risk="The whole policy is put: a change that somebody makes at the same moment would be lost.",
        undo=("PutBucketPolicy", {**named, "Policy": before}) if before is not None else ("DeleteBucketPolicy", named),
        may_stop_delivery=True,
    )


def _plan_versioning(draft: Draft, bucket: Bucket) -> None:
    if draft.met("IQ-10", "versioning") is not False:
        return
    before = bucket.versioning.value or {}
    if before.get("MFADelete") == "Enabled":
        draft.note("IQ-10", "Versioning with MFA delete is changed by the root user with its second factor alone.")
        return
    _add_versioning(draft, bucket.name, _region(bucket), {"Status": before.get("Status")})
    draft.change_bucket(versioning=planned({**before, "Status": "Enabled"}))


def _add_versioning(draft: Draft, name: str, region: str, before: Json) -> None:
    after = {"Status": "Enabled"}
    draft.add(
        "put-bucket-versioning",
        "Turn on versioning: what is overwritten or deleted is kept as an earlier version",
        ("IQ-10",),
        ("s3", "PutBucketVersioning", region, {"Bucket": name, "VersioningConfiguration": after}),
        (before, after),
        risk="Earlier versions take space, and so cost money. Versioning can be suspended later, and never taken away.",
        undo=("PutBucketVersioning", {"Bucket": name, "VersioningConfiguration": {"Status": "Suspended"}}),
    )


def _region(bucket: Bucket) -> str:
    return bucket.region.value or ""
