"""Every call by which a remediation changes an account, with the IAM actions it needs: a table apart from that of the
reads, so that a policy for reading can never hold one of them.

IAM actions and resource types are those of the Service Authorization Reference.
"""

from collections.abc import Mapping

from kit.collect.calls import Call

_RM = ("RM",)


def _change(service: str, operation: str, resource: str, action: str = "", members: tuple[str, ...] = ()) -> Call:
    return Call(service, operation, action or f"{service}:{operation}", resource, members, protocols=_RM)


CHANGES: Mapping[tuple[str, str], Call] = {
    (call.service, call.operation): call
    for call in (
        _change("cloudtrail", "CreateTrail", "trail"),
        _change("cloudtrail", "UpdateTrail", "trail"),
        _change("cloudtrail", "PutEventSelectors", "trail"),
        _change("cloudtrail", "StartLogging", "trail"),
        _change("kms", "CreateKey", "*", members=("KeyMetadata",)),
        _change("kms", "CancelKeyDeletion", "key"),
        _change("kms", "EnableKey", "key"),
        _change("kms", "PutKeyPolicy", "key"),
        _change("kms", "EnableKeyRotation", "key"),
        _change("kms", "CreateAlias", "alias"),
        _change("kms", "UpdateAlias", "alias"),
        _change("s3", "CreateBucket", "bucket"),
        _change("s3", "PutPublicAccessBlock", "bucket", "s3:PutBucketPublicAccessBlock"),
        _change("s3", "PutBucketVersioning", "bucket"),
        _change("s3", "PutObjectLockConfiguration", "bucket", "s3:PutBucketObjectLockConfiguration"),
        _change("s3", "PutBucketPolicy", "bucket"),
        _change("s3", "PutBucketRequestPayment", "bucket"),
    )
}
"""By service and operation."""


WITH_CREATE_BUCKET = ("s3:PutBucketObjectLockConfiguration", "s3:PutBucketOwnershipControls", "s3:PutBucketVersioning")
"""What S3 asks for besides, where a bucket is made without ACLs, or with Object Lock [S3: CreateBucket]."""
