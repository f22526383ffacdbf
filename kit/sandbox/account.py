"""The account of the sandbox, seeded compliant the way the manual procedure does it, through the API alone.

Policies and settings follow the CloudTrail user guide: "Configure AWS KMS key policies for CloudTrail", "Amazon S3
bucket policy for CloudTrail", "Security best practices in AWS CloudTrail".
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kit.sandbox.calls import Call, Rules

if TYPE_CHECKING:
    from kit.sandbox.delivery import Delivery

ACCOUNT_ID = "123456789012"
REGION = "eu-west-1"
SECOND_REGION = "eu-central-1"
TRAIL = "gxp-trail"
TRAIL_ARN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT_ID}:trail/{TRAIL}"
LOG_BUCKET = f"gxp-cloudtrail-logs-{ACCOUNT_ID}"
ACCESS_BUCKET = f"gxp-access-logs-{ACCOUNT_ID}"
ARCHIVE_BUCKET = f"gxp-records-archive-{ACCOUNT_ID}"
"""The bucket for records: with Object Lock, versioning and the trail's key by default, and nothing in it."""

ALIAS = "alias/CloudTrailGxPKey"
DESCRIPTION = "CloudTrail/GxP Annex 11 key"
READER = f"arn:aws:iam::{ACCOUNT_ID}:role/GxPLogReader"
ADMINISTRATOR = f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/Administrator/night-shift"
ADDRESS = "203.0.113.9"
"""Who changes the account, and from where."""
DENIED_READER = f"arn:aws:iam::{ACCOUNT_ID}:role/GxPDeniedReader"
"""A role that may list the log bucket and ask for objects, and may not use the key."""

RETENTION_DAYS = 3650

Clients = Callable[..., Any]
"""Gives the boto3 client of a service, and of a Region if that is not the home Region: `client("kms", "us-east-1")`."""

Statements = list[dict[str, Any]]
ALL_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


@dataclass
class Account:
    """A seeded account: what a fault needs to spoil it."""

    client: Clients
    rules: Rules
    expire_key: Callable[[str], None]
    """Deletes a key for good, as the end of its waiting period does; the API has no call for that."""
    key_arn: str = ""
    delivery: "Delivery | None" = None
    """What CloudTrail has delivered; None where nothing has been."""

    def parameters(self, endpoint: str) -> dict[str, Any]:
        """Return the run parameters under which this account, as seeded, passes every test case."""
        delivered = {"window": self.delivery.plan.window()} if self.delivery else {}
        return {
            "target": {"account_id": ACCOUNT_ID, "regions": "all", "endpoint_url": endpoint},
            "expected": {
                "trail_arn": TRAIL_ARN,
                "kms_key_arn": self.key_arn,
                "key_alias": ALIAS,
                "log_bucket": LOG_BUCKET,
                "retention_days": RETENTION_DAYS,
                "denied_role_arn": DENIED_READER,
            },
            **delivered,
            "execution": {
                "executed_by": "Sandbox Operator",
                "system_id": "SANDBOX",
                "environment": "sandbox",
                "protocol_id": "IQ-SANDBOX",
            },
        }

    def edit_key_policy(self, edit: Callable[[Statements], Statements]) -> None:
        """Put the policy of the trail's key again, its statements edited."""
        kms = self.client("kms")
        policy = json.loads(kms.get_key_policy(KeyId=self.key_arn, PolicyName="default")["Policy"])
        policy["Statement"] = edit(policy["Statement"])
        kms.put_key_policy(KeyId=self.key_arn, PolicyName="default", Policy=json.dumps(policy))

    def edit_bucket_policy(self, edit: Callable[[Statements], Statements]) -> None:
        """Put the policy of the log bucket again, its statements edited."""
        s3 = self.client("s3")
        policy = json.loads(s3.get_bucket_policy(Bucket=LOG_BUCKET)["Policy"])
        policy["Statement"] = edit(policy["Statement"])
        s3.put_bucket_policy(Bucket=LOG_BUCKET, Policy=json.dumps(policy))


def is_denied_reader(call: Call) -> bool:
    """Tell a call by a session of the role that may list the logs and may not decrypt them."""
    return call.caller.startswith(f"assumed-role/{DENIED_READER.rpartition('/')[2]}/")


def seed(client: Clients, rules: Rules, expire_key: Callable[[str], None]) -> Account:
    """Return a compliant account: a key with its alias, buckets, and one multi-Region trail that uses both."""
    account = Account(client, rules, expire_key)
    kms = client("kms")
    account.key_arn = make_key(client, TRAIL_ARN)
    kms.create_alias(AliasName=ALIAS, TargetKeyId=account.key_arn)
    client("s3control").put_public_access_block(AccountId=ACCOUNT_ID, PublicAccessBlockConfiguration=ALL_BLOCKED)
    make_access_bucket(client)
    make_log_bucket(client, LOG_BUCKET, TRAIL_ARN, account.key_arn)
    make_archive_bucket(client, account.key_arn)
    cloudtrail = client("cloudtrail")
    make_trail(client, TRAIL, LOG_BUCKET)
    cloudtrail.update_trail(Name=TRAIL, EnableLogFileValidation=True)
    cloudtrail.update_trail(Name=TRAIL, KmsKeyId=account.key_arn)
    return account


def make_key(client: Clients, trail_arn: str, region: str = REGION, **settings: Any) -> str:
    """Make a customer managed key that a trail may use, rotating where it can; return its ARN."""
    kms = client("kms", region)
    policy = {"Version": "2012-10-17", "Id": "CloudTrail key", "Statement": key_statements(trail_arn)}
    described = {"Description": DESCRIPTION, "Policy": json.dumps(policy)} | settings
    key = kms.create_key(**described)["KeyMetadata"]
    if key["KeySpec"] == "SYMMETRIC_DEFAULT":
        kms.enable_key_rotation(KeyId=key["KeyId"], RotationPeriodInDays=365)
    return str(key["Arn"])


def key_statements(trail_arn: str) -> Statements:
    """Return the key policy's statements: the account, CloudTrail for this trail alone, readers of its logs."""
    context = "kms:EncryptionContext:aws:cloudtrail:arn"
    cloudtrail = {"Service": "cloudtrail.amazonaws.com"}
    source = {"aws:SourceArn": trail_arn}
    return [
        {
            "Sid": "Enable IAM user permissions",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Sid": "Allow CloudTrail to encrypt logs",
            "Effect": "Allow",
            "Principal": cloudtrail,
            "Action": "kms:GenerateDataKey*",
            "Resource": "*",
            "Condition": {
                "StringEquals": source,
                "StringLike": {context: f"arn:aws:cloudtrail:*:{ACCOUNT_ID}:trail/*"},
            },
        },
        {
            "Sid": "Allow CloudTrail to describe key",
            "Effect": "Allow",
            "Principal": cloudtrail,
            "Action": "kms:DescribeKey",
            "Resource": "*",
            "Condition": {"StringEquals": source},
        },
        {
            "Sid": "Allow readers to decrypt logs",
            "Effect": "Allow",
            "Principal": {"AWS": READER},
            "Action": "kms:Decrypt",
            "Resource": "*",
            "Condition": {"Null": {context: "false"}},
        },
    ]


def bucket_statements(bucket: str, trail_arn: str) -> Statements:
    """Return the log bucket's statements: CloudTrail for this trail alone, and no request without TLS."""
    cloudtrail = {"Service": "cloudtrail.amazonaws.com"}
    arn = f"arn:aws:s3:::{bucket}"
    return [
        {
            "Sid": "AWSCloudTrailAclCheck20150319",
            "Effect": "Allow",
            "Principal": cloudtrail,
            "Action": "s3:GetBucketAcl",
            "Resource": arn,
            "Condition": {"StringEquals": {"aws:SourceArn": trail_arn}},
        },
        {
            "Sid": "AWSCloudTrailWrite20150319",
            "Effect": "Allow",
            "Principal": cloudtrail,
            "Action": "s3:PutObject",
            "Resource": f"{arn}/AWSLogs/{ACCOUNT_ID}/*",
            "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceArn": trail_arn}},
        },
        _only_tls(arn),
    ]


def _only_tls(bucket_arn: str) -> dict[str, Any]:
    return {
        "Sid": "DenyInsecureTransport",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def make_log_bucket(
    client: Clients, bucket: str, trail_arn: str, key_arn: str, region: str = REGION, *, lock: bool = True
) -> None:
    """Make a private bucket that a trail may write to, encrypted by default; locked, versioned, unless told not to."""
    s3 = client("s3", region)
    _make_bucket(client, bucket, region, ObjectLockEnabledForBucket=lock)
    if lock:
        retention = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": RETENTION_DAYS}}
        configuration = {"ObjectLockEnabled": "Enabled", "Rule": retention}
        s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=configuration)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    _encrypt_bucket(client, bucket, key_arn, region)
    put_bucket_policy(client, bucket, bucket_statements(bucket, trail_arn), region)
    lifecycle = {
        "ID": "keep ten years",
        "Status": "Enabled",
        "Filter": {"Prefix": "AWSLogs/"},
        "Transitions": [{"Days": 365, "StorageClass": "GLACIER"}],
        "Expiration": {"Days": RETENTION_DAYS + 365},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [lifecycle]})
    if region == REGION:
        target = {"TargetBucket": ACCESS_BUCKET, "TargetPrefix": f"{bucket}/"}
        s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": target})


def make_archive_bucket(client: Clients, key_arn: str) -> None:
    """Make the bucket that keeps records: each is put with a retention of its own, so the bucket has none by default.

    Versioning comes with Object Lock [CreateBucket].
    """
    _make_bucket(client, ARCHIVE_BUCKET, REGION, ObjectLockEnabledForBucket=True)
    _encrypt_bucket(client, ARCHIVE_BUCKET, key_arn, REGION)
    put_bucket_policy(client, ARCHIVE_BUCKET, [_only_tls(f"arn:aws:s3:::{ARCHIVE_BUCKET}")])


def make_access_bucket(client: Clients) -> None:
    """Make the bucket that keeps the access logs of log buckets."""
    _make_bucket(client, ACCESS_BUCKET, REGION)
    writes = {
        "Sid": "S3ServerAccessLogs",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{ACCESS_BUCKET}/*",
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT_ID}},
    }
    put_bucket_policy(client, ACCESS_BUCKET, [writes])


def put_bucket_policy(client: Clients, bucket: str, statements: Statements, region: str = REGION) -> None:
    """Put a bucket policy made of these statements."""
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    client("s3", region).put_bucket_policy(Bucket=bucket, Policy=policy)


def _make_bucket(client: Clients, bucket: str, region: str, **settings: Any) -> None:
    s3 = client("s3", region)
    place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=bucket, ObjectOwnership="BucketOwnerEnforced", **place, **settings)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=ALL_BLOCKED)


def _encrypt_bucket(client: Clients, bucket: str, key_arn: str, region: str) -> None:
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
    rules = [{"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": False}]
    encryption = {"Rules": rules}
    client("s3", region).put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=encryption)


def make_trail(client: Clients, name: str, bucket: str, region: str = REGION, **settings: Any) -> None:
    """Make a trail and start it: multi-Region with global service events unless the settings say otherwise."""
    cloudtrail = client("cloudtrail", region)
    cloudtrail.create_trail(Name=name, S3BucketName=bucket, **({"IsMultiRegionTrail": True} | settings))
    cloudtrail.start_logging(Name=name)
