"""Faults of the log bucket."""

from kit.sandbox import account as seeded
from kit.sandbox.account import ACCOUNT_ID, LOG_BUCKET, TRAIL_ARN, Account
from kit.sandbox.fault import EVERY_OQ, fault, without_condition


@fault(
    "bucket-gone",
    changes=(*("IQ-05", "IQ-09", "IQ-10"), *EVERY_OQ[1:], "PQ-04"),
    alone="without the bucket, nothing of what was delivered can be seen",
)
def bucket_gone(account: Account) -> None:
    """The trail's bucket does not exist, so that nobody can say in which Region it is."""
    account.client("s3").delete_bucket(Bucket=LOG_BUCKET)


@fault("bucket-policy-missing", changes=("IQ-09", "PQ-04"))
def bucket_policy_missing(account: Account) -> None:
    """The log bucket has no policy."""
    account.client("s3").delete_bucket_policy(Bucket=LOG_BUCKET)


@fault("bucket-policy-without-sourcearn", changes=("IQ-09", "PQ-04"))
def bucket_policy_without_sourcearn(account: Account) -> None:
    """The bucket policy lets CloudTrail write for any trail of anybody: no aws:SourceArn."""
    account.edit_bucket_policy(without_condition("aws:SourceArn"))


@fault("bucket-public-policy", changes=("IQ-09", "PQ-04"))
def bucket_public_policy(account: Account) -> None:
    """The bucket policy lets everyone read the logs, and nothing blocks public access."""
    public_access_block_missing(account)
    read = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{LOG_BUCKET}/*"}
    account.edit_bucket_policy(lambda statements: [*statements, {"Sid": "Read"} | read])


@fault("bucket-public-acl", changes=("IQ-09", "PQ-04"))
def bucket_public_acl(account: Account) -> None:
    """The bucket's ACL lets everyone list it, and nothing blocks public access."""
    public_access_block_missing(account)
    s3 = account.client("s3")
    writer = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    s3.put_bucket_ownership_controls(Bucket=LOG_BUCKET, OwnershipControls=writer)
    s3.put_bucket_acl(Bucket=LOG_BUCKET, ACL="public-read")


@fault("public-access-block-missing", changes=("IQ-09", "PQ-04"))
def public_access_block_missing(account: Account) -> None:
    """Public access is blocked neither for the bucket nor for the account."""
    account.client("s3").delete_public_access_block(Bucket=LOG_BUCKET)
    account.client("s3control").delete_public_access_block(AccountId=ACCOUNT_ID)


@fault("public-access-block-of-account-only", changes=("PQ-04",))
def public_access_block_of_account_only(account: Account) -> None:
    """Public access is blocked for the account, hence for its buckets, not for this one by itself: nothing is wrong."""
    account.client("s3").delete_public_access_block(Bucket=LOG_BUCKET)


@fault("requester-pays", changes=("IQ-09", "PQ-04"))
def requester_pays(account: Account) -> None:
    """The bucket is a Requester Pays bucket, to which CloudTrail does not deliver."""
    payment = {"Payer": "Requester"}
    account.client("s3").put_bucket_request_payment(Bucket=LOG_BUCKET, RequestPaymentConfiguration=payment)


@fault("insecure-transport-allowed", changes=("PQ-04",))
def insecure_transport_allowed(account: Account) -> None:
    """The bucket policy does not insist on TLS: an observation, unless the parameters ask for it."""
    account.edit_bucket_policy(lambda statements: [each for each in statements if each["Effect"] != "Deny"])


@fault("versioning-off", changes=("IQ-10", "PQ-04"), alone="the bucket is made anew, without what was delivered")
def versioning_off(account: Account) -> None:
    """The bucket was never versioned (nor can it be locked, then)."""
    _remake_bucket(account)


@fault("versioning-suspended", changes=("IQ-10", "PQ-04"), alone="the bucket is made anew, without what was delivered")
def versioning_suspended(account: Account) -> None:
    """The bucket's versioning is suspended (which AWS allows only where there is no Object Lock)."""
    _remake_bucket(account, "Enabled", "Suspended")


@fault("object-lock-missing", changes=("PQ-04",), alone="the bucket is made anew, without what was delivered")
def object_lock_missing(account: Account) -> None:
    """The bucket is versioned and not locked: an observation, unless the parameters ask for it."""
    _remake_bucket(account, "Enabled")


@fault("bucket-encryption-missing", changes=("PQ-04",))
def bucket_encryption_missing(account: Account) -> None:
    """The bucket's default encryption is no longer set: S3 falls back to SSE-S3, and CloudTrail names its own key."""
    account.client("s3").delete_bucket_encryption(Bucket=LOG_BUCKET)


@fault("lifecycle-expires-early", changes=("IQ-10", "PQ-04"))
def lifecycle_expires_early(account: Account) -> None:
    """The lifecycle expires logs after 90 days, long before the retention period that the parameters name."""
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 90}}
    lifecycle = {"Rules": [rule]}
    account.client("s3").put_bucket_lifecycle_configuration(Bucket=LOG_BUCKET, LifecycleConfiguration=lifecycle)


def _remake_bucket(account: Account, *versioning: str) -> None:
    """Make the log bucket again without Object Lock, then put it in these states of versioning, one after the other."""
    s3 = account.client("s3")
    s3.delete_bucket(Bucket=LOG_BUCKET)
    seeded.make_log_bucket(account.client, LOG_BUCKET, TRAIL_ARN, account.key_arn, lock=False)
    for status in versioning:
        s3.put_bucket_versioning(Bucket=LOG_BUCKET, VersioningConfiguration={"Status": status})
