"""Faults of a period: what was changed in the account and changed back, and a history that does not tell."""

import json

from kit.sandbox.account import LOG_BUCKET, TRAIL, Account
from kit.sandbox.fault import fault


@fault("deny-lookup-events", changes=("PQ-04",), area="answers")
def deny_lookup_events(account: Account) -> None:
    """The event history can't be read."""
    account.rules.deny("cloudtrail", "LookupEvents")


@fault("deny-lookup-events-elsewhere", changes=("PQ-04",), area="answers")
def deny_lookup_events_elsewhere(account: Account) -> None:
    """The event history of the Region of global services can't be read."""
    account.rules.deny("cloudtrail", "LookupEvents", "us-east-1")


@fault("key-policy-put-often", changes=("PQ-04",), area="keys")
def key_policy_put_often(account: Account) -> None:
    """The key's policy was put five times, and is what it was: more events than a page holds."""
    for _ in range(5):
        account.edit_key_policy(lambda statements: statements)


@fault("logging-interrupted", changes=("PQ-04",), area="trails")
def logging_interrupted(account: Account) -> None:
    """The trail was stopped for a moment, and started again."""
    cloudtrail = account.client("cloudtrail")
    cloudtrail.stop_logging(Name=TRAIL)
    cloudtrail.start_logging(Name=TRAIL)


@fault("key-disabled-for-a-moment", changes=("PQ-04",), area="keys")
def key_disabled_for_a_moment(account: Account) -> None:
    """The key was disabled, and enabled again."""
    kms, key_id = account.client("kms"), account.key_arn.rpartition("/")[2]
    kms.disable_key(KeyId=key_id)
    kms.enable_key(KeyId=key_id)


@fault("key-deletion-cancelled", changes=("PQ-04",), area="keys")
def key_deletion_cancelled(account: Account) -> None:
    """The key was to be deleted; that was cancelled, and the key enabled again."""
    kms, key_id = account.client("kms"), account.key_arn.rpartition("/")[2]
    kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    kms.cancel_key_deletion(KeyId=key_id)
    kms.enable_key(KeyId=key_id)
    kms.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=365)


@fault("bucket-policy-put-back", changes=("PQ-04",), area="buckets")
def bucket_policy_put_back(account: Account) -> None:
    """The bucket was without a policy for a moment."""
    s3 = account.client("s3")
    policy = s3.get_bucket_policy(Bucket=LOG_BUCKET)["Policy"]
    s3.delete_bucket_policy(Bucket=LOG_BUCKET)
    s3.put_bucket_policy(Bucket=LOG_BUCKET, Policy=policy)


@fault("key-policy-reordered", changes=("PQ-04",), area="keys")
def key_policy_reordered(account: Account) -> None:
    """The key's policy was put with the same statements in another order: no value drifts, and somebody put it."""
    account.edit_key_policy(lambda statements: list(reversed(statements)))


@fault("reader-added-unexplained", changes=("PQ-04",), area="keys")
def reader_added_unexplained(account: Account) -> None:
    """Another role of the account may decrypt, and no change control says so."""
    reader = {
        "Sid": "Allow another reader",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:role/GxPSecondReader"},
        "Action": "kms:Decrypt",
        "Resource": "*",
    }
    account.edit_key_policy(lambda statements: [*statements, json.loads(json.dumps(reader))])
