"""Faults of the answers: denied, throttled, garbled, missing, from another account or time, hostile."""

from typing import Any

from kit.sandbox.account import LOG_BUCKET, READER, TRAIL, TRAIL_ARN, Account
from kit.sandbox.calls import Answer, Call, error, expired, json_answer, query_answer
from kit.sandbox.fault import ALL, EVERY_OQ, EVERY_PQ, FOREIGN_ACCOUNT, fault


@fault("deny-describe-regions", changes=(*("IQ-11",), *EVERY_OQ[1:], "PQ-04"))
def deny_describe_regions(account: Account) -> None:
    """Nobody may ask which Regions are enabled, so that nobody can say that all were asked."""
    account.rules.deny("ec2", "DescribeRegions")


@fault("deny-describe-trails-one-region", changes=("IQ-11", "PQ-04"))
def deny_describe_trails_one_region(account: Account) -> None:
    """The trails of one Region, not the home Region, can't be read."""
    account.rules.deny("cloudtrail", "DescribeTrails", "us-west-2")


@fault("deny-get-trail-status", changes=("IQ-03", "OQ-01", "OQ-06", "PQ-04"))
def deny_get_trail_status(account: Account) -> None:
    """Whether trails are logging can't be read."""
    account.rules.deny("cloudtrail", "GetTrailStatus")


@fault("deny-get-event-selectors", changes=("IQ-03", "PQ-04"))
def deny_get_event_selectors(account: Account) -> None:
    """Which events trails record can't be read."""
    account.rules.deny("cloudtrail", "GetEventSelectors")


@fault("deny-describe-key", changes=("IQ-05", "IQ-11", "PQ-04"))
def deny_describe_key(account: Account) -> None:
    """Keys can't be described; whether they rotate still can be read."""
    account.rules.deny("kms", "DescribeKey")


@fault("deny-get-key-policy", changes=("IQ-07", "PQ-04"))
def deny_get_key_policy(account: Account) -> None:
    """Key policies can't be read."""
    account.rules.deny("kms", "GetKeyPolicy")


@fault("deny-list-grants", changes=("IQ-07", "PQ-04"))
def deny_list_grants(account: Account) -> None:
    """Grants can't be read."""
    account.rules.deny("kms", "ListGrants")


@fault("deny-get-bucket-policy", changes=("IQ-09", "PQ-04"))
def deny_get_bucket_policy(account: Account) -> None:
    """Bucket policies can't be read."""
    account.rules.deny("s3", "GetBucketPolicy")


@fault("deny-get-bucket-versioning", changes=("IQ-10", "PQ-04"))
def deny_get_bucket_versioning(account: Account) -> None:
    """Whether buckets are versioned can't be read."""
    account.rules.deny("s3", "GetBucketVersioning")


@fault("throttle-kms", changes=("IQ-06", "PQ-04"))
def throttle_kms(account: Account) -> None:
    """KMS throttles every request for a rotation status, retries included."""

    def throttled(call: Call) -> Answer:
        return error(call, 400, "ThrottlingException", "Rate exceeded")

    account.rules.instead("kms", "GetKeyRotationStatus", throttled)


@fault("garbage-200", changes=("IQ-03", "OQ-01", "OQ-06", "PQ-04"))
def garbage_200(account: Account) -> None:
    """Something on the way answers GetTrailStatus with status 200 and a page of HTML."""

    def portal(_: Call) -> Answer:
        return Answer(200, {"Content-Type": "text/html"}, b"<html><body>Please sign in to the network.</body></html>")

    account.rules.instead("cloudtrail", "GetTrailStatus", portal)


@fault("empty-200", changes=("IQ-07", "PQ-04"))
def empty_200(account: Account) -> None:
    """GetKeyPolicy answers with status 200 and an empty object."""
    account.rules.instead("kms", "GetKeyPolicy", lambda _: json_answer({}))


@fault(
    "endpoint-down-midway",
    changes=(*("IQ-03", "IQ-05", "IQ-06", "IQ-07", "IQ-09", "IQ-10", "IQ-11"), *EVERY_OQ, "PQ-04"),
)
def endpoint_down_midway(account: Account) -> None:
    """Once identity, Regions and trails are read, the endpoint accepts and drops every connection."""
    # Told by operation and not by a count: collectors ask concurrently, and the verdicts must not depend on luck.
    account.rules.drop_all_but("GetCallerIdentity", "DescribeRegions", "DescribeTrails")


@fault("credentials-expired", changes=(*ALL, *EVERY_OQ, *EVERY_PQ))
def credentials_expired(account: Account) -> None:
    """The session's credentials have expired: every call is refused, GetCallerIdentity too."""
    account.rules.instead("*", "*", expired)


@fault("wrong-account", changes=(*ALL, *EVERY_OQ, "PQ-04"), alone="in another account, nothing else can be seen")
def wrong_account(account: Account) -> None:
    """The credentials belong to another account than the target, and that one has no trail."""
    account.client("cloudtrail").delete_trail(Name=TRAIL)
    arn = f"arn:aws:sts::{FOREIGN_ACCOUNT}:assumed-role/GxPEvidenceReader/sandbox"
    result = f"<Arn>{arn}</Arn><UserId>AROA3X7EXAMPLEOTHERS:sandbox</UserId><Account>{FOREIGN_ACCOUNT}</Account>"
    account.rules.instead("sts", "GetCallerIdentity", lambda call: query_answer(call, result))


@fault("clock-skew", changes=("IQ-01",))
def clock_skew(account: Account) -> None:
    """The clock of AWS is 90 seconds ahead of this machine's."""
    account.rules.clock_skew = 90.0


@fault("deny-enable-key-rotation", changes=())
def deny_enable_key_rotation(account: Account) -> None:
    """Nobody may turn the rotation of keys on, which only a remediation would: nothing else is wrong."""
    account.rules.deny("kms", "EnableKeyRotation")


@fault("rotation-without-effect", changes=())
def rotation_without_effect(account: Account) -> None:
    """Whoever turns the rotation of keys on is told that it is, and it is not: nothing else is wrong."""
    account.rules.instead("kms", "EnableKeyRotation", lambda _: json_answer({}))


@fault("hostile-text", changes=("PQ-04",))
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
