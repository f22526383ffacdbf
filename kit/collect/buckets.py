"""How the log bucket is protected: one call for each of its settings."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TypeVar

from kit.canonical import Json
from kit.collect import calls
from kit.collect.readers import Readers
from kit.collect.trails import without_metadata
from kit.snapshot import Answer, Bucket

T = TypeVar("T")

_LEGACY_LOCATIONS = {"": "us-east-1", "EU": "eu-west-1"}


def collect_account_block(readers: Readers, region: str, account: str) -> Answer[Mapping[str, Json]]:
    """Return what blocks public access to all buckets of an account, the same from every Region [S3 Control
    GetPublicAccessBlock]. IAM: s3:GetAccountPublicAccessBlock.
    """
    return readers.ask(
        calls.GET_ACCOUNT_PUBLIC_ACCESS_BLOCK,
        region,
        lambda response: response["PublicAccessBlockConfiguration"],
        account=account,
        AccountId=account,
    )


def collect_location(readers: Readers, name: str, region: str, account: str) -> Answer[str]:
    """Return the Region of a bucket, asked for from another [S3 GetBucketLocation]. IAM: s3:GetBucketLocation."""
    return readers.ask(calls.GET_BUCKET_LOCATION, region, _location, account=account, Bucket=name)


def collect_bucket(
    readers: Readers, name: str, region: str, account: str, account_block: Future[Answer[Mapping[str, Json]]]
) -> Bucket:
    """Return what S3 says of a bucket; `region` is asked first for the bucket's own, where all else is then asked.

    `account_block` is on its way already: it is one answer for all buckets of the account.

    IAM: s3:GetBucketLocation, s3:GetBucketPolicy, s3:GetBucketPolicyStatus, s3:GetBucketAcl,
    s3:GetBucketOwnershipControls, s3:GetBucketPublicAccessBlock, s3:GetBucketVersioning,
    s3:GetEncryptionConfiguration, s3:GetBucketObjectLockConfiguration, s3:GetLifecycleConfiguration,
    s3:GetBucketLogging, s3:GetBucketRequestPayment.
    """
    location = collect_location(readers, name, region, account)
    there = location.value or region

    def ask(call: calls.Call, read: Callable[[Mapping[str, Json]], T]) -> Answer[T]:
        return readers.ask(call, there, read, account=account, Bucket=name)

    return Bucket(
        name=name,
        region=location,
        policy=ask(calls.GET_BUCKET_POLICY, lambda response: str(response["Policy"])),
        policy_status=ask(calls.GET_BUCKET_POLICY_STATUS, lambda response: response["PolicyStatus"]),
        acl=ask(calls.GET_BUCKET_ACL, without_metadata),
        ownership=ask(calls.GET_BUCKET_OWNERSHIP, lambda response: response["OwnershipControls"]),
        public_access_block=ask(
            calls.GET_PUBLIC_ACCESS_BLOCK, lambda response: response["PublicAccessBlockConfiguration"]
        ),
        account_public_access_block=account_block.result(),
        versioning=ask(calls.GET_BUCKET_VERSIONING, without_metadata),
        encryption=ask(calls.GET_BUCKET_ENCRYPTION, lambda response: response["ServerSideEncryptionConfiguration"]),
        object_lock=ask(calls.GET_OBJECT_LOCK, lambda response: response["ObjectLockConfiguration"]),
        lifecycle=ask(calls.GET_BUCKET_LIFECYCLE, lambda response: {"Rules": response["Rules"]}),
        logging=ask(calls.GET_BUCKET_LOGGING, without_metadata),
        request_payment=ask(calls.GET_BUCKET_REQUEST_PAYMENT, without_metadata),
    )


def _location(response: Mapping[str, Json]) -> str:
    constraint = response.get("LocationConstraint") or ""
    return _LEGACY_LOCATIONS.get(constraint, constraint)
