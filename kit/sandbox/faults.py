"""Named faults: each spoils the compliant account in one way, and says which test cases must then say otherwise.

A fault acts through the API wherever moto can express the state, else on the wire. It looks as AWS would answer.
One flat catalogue, in the order in which an account is read: trails, key, key policy, bucket, then bad answers.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kit.errors import KitError, SandboxError
from kit.sandbox import account as seeded
from kit.sandbox.account import ACCOUNT_ID, ALIAS, LOG_BUCKET, READER, REGION, SECOND_REGION, TRAIL, TRAIL_ARN, Account
from kit.sandbox.calls import Answer, Call, error, expired, json_answer, query_answer

ALL = tuple(f"IQ-{number:02}" for number in range(1, 12))
CLOUDTRAIL = {"Service": "cloudtrail.amazonaws.com"}
FOREIGN_ACCOUNT = "210987654321"

Spoil = Callable[[Account], None]


@dataclass(frozen=True)
class Fault:
    """A fault: its name, what it is in one line, and exactly the test cases whose verdict it changes."""

    name: str
    description: str
    changes: tuple[str, ...]
    spoil: Spoil


FAULTS: dict[str, Fault] = {}
"""Every fault by name, in the order of definition."""


def fault(name: str, changes: tuple[str, ...]) -> Callable[[Spoil], Spoil]:
    """Register a function as the fault of that name; the first line of its docstring describes it."""

    def register(spoil: Spoil) -> Spoil:
        FAULTS[name] = Fault(name, (spoil.__doc__ or "").strip().splitlines()[0], changes, spoil)
        return spoil

    return register


def list_faults() -> list[Fault]:
    """Return every fault, in the order of definition."""
    return list(FAULTS.values())


def find_fault(name: str) -> Fault:
    """Return the fault of that name.

    Raises:
        SandboxError: there is none; the remedy names those that come close.
    """
    if name in FAULTS:
        return FAULTS[name]
    close = difflib.get_close_matches(name, FAULTS, n=3)
    remedy = f"did you mean {' or '.join(close)}?" if close else "list the faults to see their names"
    raise SandboxError(f"there is no fault named {name!r}", remedy)


def apply(names: Sequence[str], account: Account) -> None:
    """Spoil an account with the named faults, in the order given.

    Raises:
        SandboxError: a fault is unknown, or can't be applied on top of those before it.
    """
    for name in names:
        found = find_fault(name)
        try:
            found.spoil(account)
        except KitError:
            raise
        except Exception as why:
            raise SandboxError(
                f"the faults {', '.join(names)} don't go together: {name} met {type(why).__name__}",
                "leave one of them out, or put those that delete something last",
            ) from why


# --- Trails


@fault("no-trail", changes=ALL[1:])
def no_trail(account: Account) -> None:
    """The account has no trail."""
    account.client("cloudtrail").delete_trail(Name=TRAIL)


@fault("not-logging", changes=("IQ-03",))
def not_logging(account: Account) -> None:
    """The trail is stopped."""
    account.client("cloudtrail").stop_logging(Name=TRAIL)


@fault("single-region", changes=("IQ-03",))
def single_region(account: Account) -> None:
    """The trail records its home Region only."""
    account.client("cloudtrail").update_trail(Name=TRAIL, IsMultiRegionTrail=False)


@fault("no-global-events", changes=("IQ-03",))
def no_global_events(account: Account) -> None:
    """The trail leaves out global service events (and is single-Region, or AWS would not allow it)."""
    trail = {"IsMultiRegionTrail": False, "IncludeGlobalServiceEvents": False}
    account.client("cloudtrail").update_trail(Name=TRAIL, **trail)


@fault("management-events-off", changes=("IQ-03",))
def management_events_off(account: Account) -> None:
    """The trail records data events only."""
    data = {"Type": "AWS::S3::Object", "Values": ["arn:aws:s3"]}
    _select(account, {"ReadWriteType": "All", "IncludeManagementEvents": False, "DataResources": [data]})


@fault("management-events-read-only", changes=("IQ-03",))
def management_events_read_only(account: Account) -> None:
    """The trail records management events that read, not those that write."""
    _select(account, {"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True})


@fault("kms-events-excluded", changes=("IQ-03",))
def kms_events_excluded(account: Account) -> None:
    """The trail excludes the management events of KMS."""
    _select(account, {"IncludeManagementEvents": True, "ExcludeManagementEventSources": ["kms.amazonaws.com"]})


@fault("advanced-selectors", changes=())
def advanced_selectors(account: Account) -> None:
    """The trail selects the same events by advanced event selectors: nothing is wrong."""
    _select_advanced(account)


@fault("advanced-selectors-without-kms", changes=("IQ-03",))
def advanced_selectors_without_kms(account: Account) -> None:
    """The trail excludes the management events of KMS by an advanced event selector."""
    _select_advanced(account, {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]})


@fault("validation-off", changes=("IQ-08", "IQ-11"))
def validation_off(account: Account) -> None:
    """The trail makes no digests: log file validation is off."""
    account.client("cloudtrail").update_trail(Name=TRAIL, EnableLogFileValidation=False)


@fault("second-trail-unencrypted", changes=("IQ-11",))
def second_trail_unencrypted(account: Account) -> None:
    """Another trail, single-Region and elsewhere, delivers logs without a KMS key."""
    _second_trail(account, encrypted=False)


@fault("second-trail-unvalidated", changes=("IQ-11",))
def second_trail_unvalidated(account: Account) -> None:
    """Another trail, single-Region and elsewhere, makes no digests."""
    _second_trail(account, validated=False)


@fault("shadow-trail", changes=())
def shadow_trail(account: Account) -> None:
    """A second compliant multi-Region trail shows its shadow in every Region: nothing is wrong."""
    _second_trail(account, multi_region=True)


# --- The trail's key


@fault("trail-without-key", changes=("IQ-04", "IQ-05", "IQ-06", "IQ-07", "IQ-11"))
def trail_without_key(account: Account) -> None:
    """The trail has no KMS key: its logs are encrypted by S3's own."""
    _encrypt_with(account, "")


@fault("other-key", changes=("IQ-04", "IQ-05"))
def other_key(account: Account) -> None:
    """The trail uses another key, compliant but for the alias, which stays where it is expected."""
    _encrypt_with(account, seeded.make_key(account.client, TRAIL_ARN))


@fault("key-gone", changes=("IQ-05", "IQ-06", "IQ-07", "IQ-11"))
def key_gone(account: Account) -> None:
    """The trail's key has been deleted for good, its alias with it."""
    account.client("kms").schedule_key_deletion(KeyId=account.key_arn, PendingWindowInDays=7)
    account.expire_key(account.key_arn)


@fault("key-disabled", changes=("IQ-05",))
def key_disabled(account: Account) -> None:
    """The trail's key is disabled; its rotation status stays as it was."""
    account.client("kms").disable_key(KeyId=account.key_arn)


@fault("key-pending-deletion", changes=("IQ-05", "IQ-06"))
def key_pending_deletion(account: Account) -> None:
    """The trail's key is scheduled for deletion; until then its rotation status is false."""
    account.client("kms").schedule_key_deletion(KeyId=account.key_arn, PendingWindowInDays=7)


@fault("key-aws-managed", changes=("IQ-04", "IQ-05", "IQ-07", "IQ-11"))
def key_aws_managed(account: Account) -> None:
    """The trail names the AWS managed key of S3, which rotates but whose policy nobody can change."""
    managed = account.client("kms").describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    _encrypt_with(account, managed["Arn"])


@fault("key-asymmetric", changes=("IQ-04", "IQ-05", "IQ-06"))
def key_asymmetric(account: Account) -> None:
    """The trail names an RSA key, with which CloudTrail can't encrypt and which can't rotate."""
    rsa = {"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"}
    _encrypt_with(account, seeded.make_key(account.client, TRAIL_ARN, **rsa))


@fault("key-imported", changes=("IQ-06",))
def key_imported(account: Account) -> None:
    """The material of the trail's key was imported, so that KMS can't rotate it."""
    imported = {"Origin": "EXTERNAL", "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    account.client("kms").disable_key_rotation(KeyId=account.key_arn)
    account.rules.rewrite("kms", "DescribeKey", lambda value: value["KeyMetadata"].update(imported))


@fault("key-other-region", changes=("IQ-04", "IQ-05"))
def key_other_region(account: Account) -> None:
    """The trail names a key in another Region than its bucket's."""
    _encrypt_with(account, seeded.make_key(account.client, TRAIL_ARN, SECOND_REGION))


@fault("key-other-account", changes=("IQ-04", "IQ-05", "IQ-06", "IQ-07", "IQ-11"))
def key_other_account(account: Account) -> None:
    """The trail names a key of another account, which lets nobody here read it."""
    _encrypt_with(account, account.key_arn.replace(ACCOUNT_ID, FOREIGN_ACCOUNT))


@fault("alias-missing", changes=("IQ-05",))
def alias_missing(account: Account) -> None:
    """The expected alias does not exist."""
    account.client("kms").delete_alias(AliasName=ALIAS)


@fault("alias-other-key", changes=("IQ-05",))
def alias_other_key(account: Account) -> None:
    """The expected alias points to another key than the trail's."""
    other = seeded.make_key(account.client, TRAIL_ARN)
    account.client("kms").update_alias(AliasName=ALIAS, TargetKeyId=other)


@fault("rotation-off", changes=("IQ-06",))
def rotation_off(account: Account) -> None:
    """The trail's key does not rotate, though it could."""
    account.client("kms").disable_key_rotation(KeyId=account.key_arn)


# --- The key policy


@fault("policy-without-cloudtrail", changes=("IQ-07",))
def policy_without_cloudtrail(account: Account) -> None:
    """The key policy does not name CloudTrail."""
    account.edit_key_policy(lambda statements: [each for each in statements if each["Principal"] != CLOUDTRAIL])


@fault("policy-without-context", changes=("IQ-07",))
def policy_without_context(account: Account) -> None:
    """The key policy lets CloudTrail encrypt without the encryption context of a trail."""
    account.edit_key_policy(_without_condition("kms:EncryptionContext:aws:cloudtrail:arn"))


@fault("policy-without-sourcearn", changes=("IQ-07",))
def policy_without_sourcearn(account: Account) -> None:
    """The key policy lets CloudTrail use the key for any trail of anybody: no aws:SourceArn."""
    account.edit_key_policy(_without_condition("aws:SourceArn"))


@fault("policy-open-to-everyone", changes=("IQ-07",))
def policy_open_to_everyone(account: Account) -> None:
    """The key policy allows everything to everyone, without a condition."""
    everyone = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
    account.edit_key_policy(lambda statements: [*statements, {"Sid": "Allow use of the key"} | everyone])


@fault("policy-deny-on-top", changes=("IQ-07",))
def policy_deny_on_top(account: Account) -> None:
    """The key policy allows CloudTrail as it should, and denies it on top."""
    refusal = {"Effect": "Deny", "Principal": CLOUDTRAIL, "Action": "kms:GenerateDataKey*", "Resource": "*"}
    account.edit_key_policy(lambda statements: [*statements, {"Sid": "Freeze"} | refusal])


@fault("policy-unknown-operator", changes=("IQ-07",))
def policy_unknown_operator(account: Account) -> None:
    """The key policy ties CloudTrail to a source address: a valid operator, and a key its calls never carry."""

    def edit(statements: seeded.Statements) -> seeded.Statements:
        for statement in statements:
            if statement["Action"] == "kms:GenerateDataKey*":
                statement["Condition"]["IpAddress"] = {"aws:SourceIp": "203.0.113.0/24"}
        return statements

    account.edit_key_policy(edit)


@fault("grant-to-foreign-account", changes=("IQ-07",))
def grant_to_foreign_account(account: Account) -> None:
    """A grant, which no key policy shows, lets another account decrypt."""
    grantee = f"arn:aws:iam::{FOREIGN_ACCOUNT}:root"
    account.client("kms").create_grant(KeyId=account.key_arn, GranteePrincipal=grantee, Operations=["Decrypt"])


# --- The bucket


@fault("bucket-gone", changes=("IQ-05", "IQ-09", "IQ-10"))
def bucket_gone(account: Account) -> None:
    """The trail's bucket does not exist, so that nobody can say in which Region it is."""
    account.client("s3").delete_bucket(Bucket=LOG_BUCKET)


@fault("bucket-policy-missing", changes=("IQ-09",))
def bucket_policy_missing(account: Account) -> None:
    """The log bucket has no policy."""
    account.client("s3").delete_bucket_policy(Bucket=LOG_BUCKET)


@fault("bucket-policy-without-sourcearn", changes=("IQ-09",))
def bucket_policy_without_sourcearn(account: Account) -> None:
    """The bucket policy lets CloudTrail write for any trail of anybody: no aws:SourceArn."""
    account.edit_bucket_policy(_without_condition("aws:SourceArn"))


@fault("bucket-public-policy", changes=("IQ-09",))
def bucket_public_policy(account: Account) -> None:
    """The bucket policy lets everyone read the logs, and nothing blocks public access."""
    public_access_block_missing(account)
    read = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{LOG_BUCKET}/*"}
    account.edit_bucket_policy(lambda statements: [*statements, {"Sid": "Read"} | read])


@fault("bucket-public-acl", changes=("IQ-09",))
def bucket_public_acl(account: Account) -> None:
    """The bucket's ACL lets everyone list it, and nothing blocks public access."""
    public_access_block_missing(account)
    s3 = account.client("s3")
    writer = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    s3.put_bucket_ownership_controls(Bucket=LOG_BUCKET, OwnershipControls=writer)
    s3.put_bucket_acl(Bucket=LOG_BUCKET, ACL="public-read")


@fault("public-access-block-missing", changes=("IQ-09",))
def public_access_block_missing(account: Account) -> None:
    """Public access is blocked neither for the bucket nor for the account."""
    account.client("s3").delete_public_access_block(Bucket=LOG_BUCKET)
    account.client("s3control").delete_public_access_block(AccountId=ACCOUNT_ID)


@fault("public-access-block-of-account-only", changes=())
def public_access_block_of_account_only(account: Account) -> None:
    """Public access is blocked for the account, hence for its buckets, not for this one by itself: nothing is wrong."""
    account.client("s3").delete_public_access_block(Bucket=LOG_BUCKET)


@fault("requester-pays", changes=("IQ-09",))
def requester_pays(account: Account) -> None:
    """The bucket is a Requester Pays bucket, to which CloudTrail does not deliver."""
    payment = {"Payer": "Requester"}
    account.client("s3").put_bucket_request_payment(Bucket=LOG_BUCKET, RequestPaymentConfiguration=payment)


@fault("insecure-transport-allowed", changes=())
def insecure_transport_allowed(account: Account) -> None:
    """The bucket policy does not insist on TLS: an observation, unless the parameters ask for it."""
    account.edit_bucket_policy(lambda statements: [each for each in statements if each["Effect"] != "Deny"])


@fault("versioning-off", changes=("IQ-10",))
def versioning_off(account: Account) -> None:
    """The bucket was never versioned (nor can it be locked, then)."""
    _remake_bucket(account)


@fault("versioning-suspended", changes=("IQ-10",))
def versioning_suspended(account: Account) -> None:
    """The bucket's versioning is suspended (which AWS allows only where there is no Object Lock)."""
    _remake_bucket(account, "Enabled", "Suspended")


@fault("object-lock-missing", changes=())
def object_lock_missing(account: Account) -> None:
    """The bucket is versioned and not locked: an observation, unless the parameters ask for it."""
    _remake_bucket(account, "Enabled")


@fault("bucket-encryption-missing", changes=())
def bucket_encryption_missing(account: Account) -> None:
    """The bucket's default encryption is no longer set: S3 falls back to SSE-S3, and CloudTrail names its own key."""
    account.client("s3").delete_bucket_encryption(Bucket=LOG_BUCKET)


@fault("lifecycle-expires-early", changes=("IQ-10",))
def lifecycle_expires_early(account: Account) -> None:
    """The lifecycle expires logs after 90 days, long before the retention period that the parameters name."""
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 90}}
    lifecycle = {"Rules": [rule]}
    account.client("s3").put_bucket_lifecycle_configuration(Bucket=LOG_BUCKET, LifecycleConfiguration=lifecycle)


# --- Calls that are refused, or answered badly


@fault("deny-describe-regions", changes=("IQ-11",))
def deny_describe_regions(account: Account) -> None:
    """Nobody may ask which Regions are enabled, so that nobody can say that all were asked."""
    account.rules.deny("ec2", "DescribeRegions")


@fault("deny-describe-trails-one-region", changes=("IQ-11",))
def deny_describe_trails_one_region(account: Account) -> None:
    """The trails of one Region, not the home Region, can't be read."""
    account.rules.deny("cloudtrail", "DescribeTrails", "us-west-2")


@fault("deny-get-trail-status", changes=("IQ-03",))
def deny_get_trail_status(account: Account) -> None:
    """Whether trails are logging can't be read."""
    account.rules.deny("cloudtrail", "GetTrailStatus")


@fault("deny-get-event-selectors", changes=("IQ-03",))
def deny_get_event_selectors(account: Account) -> None:
    """Which events trails record can't be read."""
    account.rules.deny("cloudtrail", "GetEventSelectors")


@fault("deny-describe-key", changes=("IQ-05", "IQ-11"))
def deny_describe_key(account: Account) -> None:
    """Keys can't be described; whether they rotate still can be read."""
    account.rules.deny("kms", "DescribeKey")


@fault("deny-get-key-policy", changes=("IQ-07",))
def deny_get_key_policy(account: Account) -> None:
    """Key policies can't be read."""
    account.rules.deny("kms", "GetKeyPolicy")


@fault("deny-list-grants", changes=("IQ-07",))
def deny_list_grants(account: Account) -> None:
    """Grants can't be read."""
    account.rules.deny("kms", "ListGrants")


@fault("deny-get-bucket-policy", changes=("IQ-09",))
def deny_get_bucket_policy(account: Account) -> None:
    """Bucket policies can't be read."""
    account.rules.deny("s3", "GetBucketPolicy")


@fault("deny-get-bucket-versioning", changes=("IQ-10",))
def deny_get_bucket_versioning(account: Account) -> None:
    """Whether buckets are versioned can't be read."""
    account.rules.deny("s3", "GetBucketVersioning")


@fault("throttle-kms", changes=("IQ-06",))
def throttle_kms(account: Account) -> None:
    """KMS throttles every request for a rotation status, retries included."""

    def throttled(call: Call) -> Answer:
        return error(call, 400, "ThrottlingException", "Rate exceeded")

    account.rules.instead("kms", "GetKeyRotationStatus", throttled)


@fault("garbage-200", changes=("IQ-03",))
def garbage_200(account: Account) -> None:
    """Something on the way answers GetTrailStatus with status 200 and a page of HTML."""

    def portal(_: Call) -> Answer:
        return Answer(200, {"Content-Type": "text/html"}, b"<html><body>Please sign in to the network.</body></html>")

    account.rules.instead("cloudtrail", "GetTrailStatus", portal)


@fault("empty-200", changes=("IQ-07",))
def empty_200(account: Account) -> None:
    """GetKeyPolicy answers with status 200 and an empty object."""
    account.rules.instead("kms", "GetKeyPolicy", lambda _: json_answer({}))


@fault("endpoint-down-midway", changes=("IQ-03", "IQ-05", "IQ-06", "IQ-07", "IQ-09", "IQ-10", "IQ-11"))
def endpoint_down_midway(account: Account) -> None:
    """Once identity, Regions and trails are read, the endpoint accepts and drops every connection."""
    # Told by operation and not by a count: collectors ask concurrently, and the verdicts must not depend on luck.
    account.rules.drop_all_but("GetCallerIdentity", "DescribeRegions", "DescribeTrails")


@fault("credentials-expired", changes=ALL)
def credentials_expired(account: Account) -> None:
    """The session's credentials have expired: every call is refused, GetCallerIdentity too."""
    account.rules.instead("*", "*", expired)


@fault("wrong-account", changes=ALL)
def wrong_account(account: Account) -> None:
    """The credentials belong to another account than the target, and that one has no trail."""
    no_trail(account)
    arn = f"arn:aws:sts::{FOREIGN_ACCOUNT}:assumed-role/GxPEvidenceReader/sandbox"
    result = f"<Arn>{arn}</Arn><UserId>AROA3X7EXAMPLEOTHERS:sandbox</UserId><Account>{FOREIGN_ACCOUNT}</Account>"
    account.rules.instead("sts", "GetCallerIdentity", lambda call: query_answer(call, result))


@fault("clock-skew", changes=("IQ-01",))
def clock_skew(account: Account) -> None:
    """The clock of AWS is 90 seconds ahead of this machine's."""
    account.rules.clock_skew = 90.0


@fault("hostile-text", changes=())
def hostile_text(account: Account) -> None:
    """Names, tags, descriptions and policies carry markup, line breaks, right-to-left marks and 10,000 characters."""
    text = "</td></script><script>alert('key')</script>\t\r\n${jndi:ldap://x} {{7*7}} \u202egnp.exe\u2066 \u200b"
    kms, s3 = account.client("kms"), account.client("s3")
    kms.update_key_description(KeyId=account.key_arn, Description=(text * 200)[:8192])
    tag = {"Key": "<b>owner</b>", "Value": "</script><img src=x onerror=alert(1)> \u202ecba"}
    kms.tag_resource(KeyId=account.key_arn, Tags=[{"TagKey": tag["Key"], "TagValue": tag["Value"]}])
    account.client("cloudtrail").add_tags(ResourceId=TRAIL_ARN, TagsList=[tag])
    s3.put_bucket_tagging(Bucket=LOG_BUCKET, Tagging={"TagSet": [tag]})
    rules = s3.get_bucket_lifecycle_configuration(Bucket=LOG_BUCKET)["Rules"]
    rules[0]["ID"] = "</script><b>keep</b> \u202eyears"
    s3.put_bucket_lifecycle_configuration(Bucket=LOG_BUCKET, LifecycleConfiguration={"Rules": rules})
    harmless: dict[str, Any] = {
        "Effect": "Deny",
        "Principal": {"AWS": READER},
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalTag/team": (text * 200)[:10_000]}},
    }
    account.edit_key_policy(lambda statements: [*statements, harmless | {"Action": "kms:PutKeyPolicy"}])
    harmless |= {"Action": "s3:DeleteBucketPolicy", "Resource": f"arn:aws:s3:::{LOG_BUCKET}"}
    account.edit_bucket_policy(lambda statements: [*statements, harmless])


def _select(account: Account, selector: dict[str, Any]) -> None:
    account.client("cloudtrail").put_event_selectors(TrailName=TRAIL, EventSelectors=[selector])


def _select_advanced(account: Account, *fields: dict[str, Any]) -> None:
    management = {"Field": "eventCategory", "Equals": ["Management"]}
    selector = {"Name": "Management events", "FieldSelectors": [management, *fields]}
    account.client("cloudtrail").put_event_selectors(TrailName=TRAIL, AdvancedEventSelectors=[selector])


def _encrypt_with(account: Account, key: str) -> None:
    account.client("cloudtrail").update_trail(Name=TRAIL, KmsKeyId=key)


def _second_trail(
    account: Account, *, encrypted: bool = True, validated: bool = True, multi_region: bool = False
) -> None:
    """Make another trail with key and bucket of its own, in another Region, so that nothing of the first changes."""
    name = "second-trail"
    arn, bucket = TRAIL_ARN.replace(REGION, SECOND_REGION).replace(TRAIL, name), f"{name}-logs-{ACCOUNT_ID}"
    key = seeded.make_key(account.client, arn, SECOND_REGION)
    seeded.make_log_bucket(account.client, bucket, arn, key, SECOND_REGION)
    settings: dict[str, Any] = {"IsMultiRegionTrail": multi_region, "EnableLogFileValidation": validated}
    settings |= {"KmsKeyId": key} if encrypted else {}
    seeded.make_trail(account.client, name, bucket, SECOND_REGION, **settings)


def _remake_bucket(account: Account, *versioning: str) -> None:
    """Make the log bucket again without Object Lock, then put it in these states of versioning, one after the other."""
    s3 = account.client("s3")
    s3.delete_bucket(Bucket=LOG_BUCKET)
    seeded.make_log_bucket(account.client, LOG_BUCKET, TRAIL_ARN, account.key_arn, lock=False)
    for status in versioning:
        s3.put_bucket_versioning(Bucket=LOG_BUCKET, VersioningConfiguration={"Status": status})


def _without_condition(key: str) -> Callable[[seeded.Statements], seeded.Statements]:
    """Return an edit that takes a condition key out of CloudTrail's statements."""

    def edit(statements: seeded.Statements) -> seeded.Statements:
        for statement in statements:
            if statement["Principal"] == CLOUDTRAIL:
                kept = {
                    operator: {name: value for name, value in keys.items() if name != key}
                    for operator, keys in statement.pop("Condition").items()
                }
                if remaining := {operator: keys for operator, keys in kept.items() if keys}:
                    statement["Condition"] = remaining
        return statements

    return edit
