"""Every call the kit makes to AWS, with the IAM action it needs: the one table that `trailkit policy` prints.

IAM actions and resource types are those of the Service Authorization Reference.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """One API operation.

    `members` are the response members without which the answer is no answer; `root` is the element an XML body must
    have. `action` is the IAM action that allows it, on `resource`: `*`, `trail`, `key`, `bucket`, `role` or `none`
    (no permission needed). `pages` names the member that a paginated operation collects. `protocols` are those
    that make the call.
    """

    service: str
    operation: str
    action: str
    resource: str
    members: tuple[str, ...] = ()
    root: str = ""
    pages: str = ""
    protocols: tuple[str, ...] = ("IQ", "OQ", "PQ", "RM")


_READ = ("OQ", "PQ")
_RM = ("RM",)

GET_CALLER_IDENTITY = Call("sts", "GetCallerIdentity", "sts:GetCallerIdentity", "none", ("Account", "Arn"))
ASSUME_ROLE = Call("sts", "AssumeRole", "sts:AssumeRole", "role", ("Credentials",))
DESCRIBE_REGIONS = Call("ec2", "DescribeRegions", "ec2:DescribeRegions", "*", ("Regions",))

DESCRIBE_TRAILS = Call("cloudtrail", "DescribeTrails", "cloudtrail:DescribeTrails", "*", ("trailList",))
GET_TRAIL_STATUS = Call("cloudtrail", "GetTrailStatus", "cloudtrail:GetTrailStatus", "trail", ("IsLogging",))
GET_EVENT_SELECTORS = Call("cloudtrail", "GetEventSelectors", "cloudtrail:GetEventSelectors", "trail", ("TrailARN",))

DESCRIBE_KEY = Call("kms", "DescribeKey", "kms:DescribeKey", "key", ("KeyMetadata",))
GET_KEY_POLICY = Call("kms", "GetKeyPolicy", "kms:GetKeyPolicy", "key", ("Policy",))
GET_KEY_ROTATION_STATUS = Call(
    "kms", "GetKeyRotationStatus", "kms:GetKeyRotationStatus", "key", ("KeyRotationEnabled",)
)
# not related to any key or alias, so that its resource must be "*" [KMS developer guide: Controlling access to aliases]
LIST_ALIASES = Call("kms", "ListAliases", "kms:ListAliases", "*", ("Aliases",), pages="Aliases")
LIST_KEYS = Call("kms", "ListKeys", "kms:ListKeys", "*", ("Keys",), pages="Keys", protocols=_RM)
LIST_GRANTS = Call("kms", "ListGrants", "kms:ListGrants", "key", ("Grants",), pages="Grants")

GET_BUCKET_LOCATION = Call("s3", "GetBucketLocation", "s3:GetBucketLocation", "bucket", root="LocationConstraint")
GET_BUCKET_POLICY = Call("s3", "GetBucketPolicy", "s3:GetBucketPolicy", "bucket", ("Policy",))
GET_BUCKET_POLICY_STATUS = Call(
    "s3", "GetBucketPolicyStatus", "s3:GetBucketPolicyStatus", "bucket", ("PolicyStatus",), "PolicyStatus"
)
GET_BUCKET_ACL = Call("s3", "GetBucketAcl", "s3:GetBucketAcl", "bucket", ("Grants",), "AccessControlPolicy")
GET_BUCKET_OWNERSHIP = Call(
    "s3",
    "GetBucketOwnershipControls",
    "s3:GetBucketOwnershipControls",
    "bucket",
    ("OwnershipControls",),
    "OwnershipControls",
)
GET_PUBLIC_ACCESS_BLOCK = Call(
    "s3",
    "GetPublicAccessBlock",
    "s3:GetBucketPublicAccessBlock",
    "bucket",
    ("PublicAccessBlockConfiguration",),
    "PublicAccessBlockConfiguration",
)
GET_ACCOUNT_PUBLIC_ACCESS_BLOCK = Call(
    "s3control",
    "GetPublicAccessBlock",
    "s3:GetAccountPublicAccessBlock",
    "*",
    ("PublicAccessBlockConfiguration",),
    "PublicAccessBlockConfiguration",
)
GET_BUCKET_VERSIONING = Call(
    "s3", "GetBucketVersioning", "s3:GetBucketVersioning", "bucket", root="VersioningConfiguration"
)
GET_BUCKET_ENCRYPTION = Call(
    "s3",
    "GetBucketEncryption",
    "s3:GetEncryptionConfiguration",
    "bucket",
    ("ServerSideEncryptionConfiguration",),
    "ServerSideEncryptionConfiguration",
)
GET_OBJECT_LOCK = Call(
    "s3",
    "GetObjectLockConfiguration",
    "s3:GetBucketObjectLockConfiguration",
    "bucket",
    ("ObjectLockConfiguration",),
    "ObjectLockConfiguration",
)
GET_BUCKET_LIFECYCLE = Call(
    "s3",
    "GetBucketLifecycleConfiguration",
    "s3:GetLifecycleConfiguration",
    "bucket",
    ("Rules",),
    "LifecycleConfiguration",
)
GET_BUCKET_LOGGING = Call("s3", "GetBucketLogging", "s3:GetBucketLogging", "bucket", root="BucketLoggingStatus")
GET_BUCKET_REQUEST_PAYMENT = Call(
    "s3", "GetBucketRequestPayment", "s3:GetBucketRequestPayment", "bucket", ("Payer",), "RequestPaymentConfiguration"
)

LIST_ACCOUNTS = Call(
    "organizations",
    "ListAccounts",
    "organizations:ListAccounts",
    "*",
    ("Accounts",),
    pages="Accounts",
    protocols=("VS",),
)

SIMULATE_PRINCIPAL_POLICY = Call(
    "iam",
    "SimulatePrincipalPolicy",
    "iam:SimulatePrincipalPolicy",
    "role",
    ("EvaluationResults",),
    pages="EvaluationResults",
)

LIST_PUBLIC_KEYS = Call(
    "cloudtrail", "ListPublicKeys", "cloudtrail:ListPublicKeys", "*", ("PublicKeyList",), "", "PublicKeyList", _READ
)
LOOKUP_EVENTS = Call("cloudtrail", "LookupEvents", "cloudtrail:LookupEvents", "*", ("Events",), "", "Events", ("PQ",))
LIST_OBJECT_VERSIONS = Call("s3", "ListObjectVersions", "s3:ListBucketVersions", "bucket", protocols=_READ)
# made by the role that must be refused, which brings its own permissions
LIST_OBJECTS = Call("s3", "ListObjectsV2", "s3:ListBucket", "bucket", ("KeyCount",), "ListBucketResult", protocols=())
GET_OBJECT = Call("s3", "GetObject", "s3:GetObject", "object", ("Body",), protocols=_READ)
GET_OBJECT_VERSION = Call("s3", "GetObject", "s3:GetObjectVersion", "object", protocols=_READ)
DECRYPT = Call("kms", "Decrypt", "kms:Decrypt", "key", protocols=_READ)
"""Not called: S3 asks KMS on behalf of whoever reads an object."""

CALLS: tuple[Call, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Call))
