"""The embedded account: what it answers, what each fault changes in its answers, and that it never outlives us."""

import datetime as dt
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from kit.errors import SandboxError
from kit.sandbox.fault import ALL, EVERY_OQ, EVERY_PQ
from kit.sandbox.server import CREDENTIALS, Sandbox, list_faults

REGION, SECOND_REGION = "eu-west-1", "eu-central-1"


class Session:
    """A sandbox and its clients, as a collector holds them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._session = boto3.session.Session(**CREDENTIALS)
        self._clients: dict[tuple[str, str], Any] = {}

    @property
    def expected(self) -> dict[str, Any]:
        return self.sandbox.parameters["expected"]

    def client(self, service: str, region: str = REGION) -> Any:
        if (service, region) not in self._clients:
            config = Config(retries={"total_max_attempts": 1}, proxies={})
            url = self.sandbox.endpoint
            client = self._session.client(service, region_name=region, endpoint_url=url, config=config)
            client.meta.events.register("before-sign.s3-control", _without_account)
            self._clients[service, region] = client
        return self._clients[service, region]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def answers(self) -> dict[str, Any]:
        """Ask everything that collectors ask; an error is its code, a time is just that, metadata are left out."""
        said: dict[str, Any] = {}

        def ask(operation: str, method: Any, **parameters: Any) -> Any:
            try:
                answer = method(**parameters)
                answer.pop("ResponseMetadata")
            except ClientError as error:
                answer = error.response["Error"]["Code"]
            except BotoCoreError as error:
                answer = type(error).__name__
            said.setdefault(operation, []).append(_timeless(answer))
            return answer

        trail, key = self.expected["trail_arn"], self.expected["kms_key_arn"]
        ask("sts:GetCallerIdentity", self.client("sts").get_caller_identity)
        ask("ec2:DescribeRegions", self.client("ec2").describe_regions)
        for region in (REGION, SECOND_REGION, "us-west-2"):
            listed = ask("cloudtrail:DescribeTrails", self.client("cloudtrail", region).describe_trails)
            if region == REGION and "trailList" in listed:
                key = next(
                    (each.get("KmsKeyId", key) for each in listed["trailList"] if each["TrailARN"] == trail), key
                )
        cloudtrail, s3 = self.client("cloudtrail"), self.client("s3")
        ask("cloudtrail:GetTrailStatus", cloudtrail.get_trail_status, Name=trail)
        ask("cloudtrail:GetEventSelectors", cloudtrail.get_event_selectors, TrailName=trail)
        ask("cloudtrail:ListTags", cloudtrail.list_tags, ResourceIdList=[trail])
        kms = self.client("kms", key.split(":")[3])
        ask("kms:DescribeKey", kms.describe_key, KeyId=key)
        ask("kms:DescribeKey(alias)", self.client("kms").describe_key, KeyId=self.expected["key_alias"])
        ask("kms:GetKeyPolicy", kms.get_key_policy, KeyId=key, PolicyName="default")
        ask("kms:GetKeyRotationStatus", kms.get_key_rotation_status, KeyId=key)
        ask("kms:ListAliases", kms.list_aliases, KeyId=key)
        ask("kms:ListGrants", kms.list_grants, KeyId=key)
        bucket = {"Bucket": self.expected["log_bucket"]}
        for name in BUCKET_READS:
            ask(f"s3:{name}", getattr(s3, re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()), **bucket)
        ask(
            "s3control:GetPublicAccessBlock", self.client("s3control").get_public_access_block, AccountId="123456789012"
        )
        return said


BUCKET_READS = [
    "GetBucketAcl",
    "GetBucketEncryption",
    "GetBucketLifecycleConfiguration",
    "GetBucketLocation",
    "GetBucketLogging",
    "GetBucketOwnershipControls",
    "GetBucketPolicy",
    "GetBucketPolicyStatus",
    "GetBucketRequestPayment",
    "GetBucketTagging",
    "GetBucketVersioning",
    "GetObjectLockConfiguration",
    "GetPublicAccessBlock",
]


def _without_account(request: Any, **_: Any) -> None:
    request.url = re.sub(r"://\d{12}\.127\.", "://127.", request.url)


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_timeless(member) for member in value]
    if isinstance(value, dt.datetime) or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(value)):
        return "a time"
    return value


@pytest.fixture(scope="module")
def shared() -> Iterator[Session]:
    """One child process for the module: a reset is much quicker than another start."""
    with Sandbox() as sandbox:
        session = Session(sandbox)
        yield session
        session.close()


@pytest.fixture
def compliant(shared: Session) -> Session:
    shared.sandbox.reset()
    return shared


@pytest.fixture(scope="module")
def baseline(shared: Session) -> dict[str, Any]:
    shared.sandbox.reset()
    return shared.answers()


# --- What the compliant account answers


def test_identity_is_a_role_session_of_the_target_account(compliant: Session) -> None:
    identity = compliant.client("sts").get_caller_identity()
    assert identity["Account"] == compliant.sandbox.parameters["target"]["account_id"] == "123456789012"
    assert identity["Arn"].startswith("arn:aws:sts::123456789012:assumed-role/")


def test_only_enabled_regions_are_listed(compliant: Session) -> None:
    ec2 = compliant.client("ec2")
    enabled = {region["RegionName"] for region in ec2.describe_regions()["Regions"]}
    assert len(enabled) == 17
    assert {REGION, SECOND_REGION, "us-east-1"} <= enabled
    every = {region["RegionName"]: region["OptInStatus"] for region in ec2.describe_regions(AllRegions=True)["Regions"]}
    assert every["me-south-1"] == "not-opted-in"
    assert not any(name.startswith(("cn-", "us-gov-")) for name in every)


def test_a_region_that_is_not_enabled_knows_no_credentials(compliant: Session) -> None:
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        compliant.client("cloudtrail", "me-south-1").describe_trails()


def test_the_trail_is_as_the_procedure_leaves_it(compliant: Session) -> None:
    (trail,) = compliant.client("cloudtrail").describe_trails()["trailList"]
    assert trail == {
        "Name": "gxp-trail",
        "S3BucketName": compliant.expected["log_bucket"],
        "IncludeGlobalServiceEvents": True,
        "IsMultiRegionTrail": True,
        "HomeRegion": REGION,
        "TrailARN": compliant.expected["trail_arn"],
        "LogFileValidationEnabled": True,
        "KmsKeyId": compliant.expected["kms_key_arn"],
        "HasCustomEventSelectors": False,
        "HasInsightSelectors": False,
        "IsOrganizationTrail": False,
    }


def test_another_region_shows_the_shadow_trail_and_its_selectors(compliant: Session) -> None:
    cloudtrail = compliant.client("cloudtrail", "us-east-1")
    (shadow,) = cloudtrail.describe_trails(includeShadowTrails=True)["trailList"]
    assert shadow["HomeRegion"] == REGION
    assert cloudtrail.describe_trails(includeShadowTrails=False)["trailList"] == []
    selectors = cloudtrail.get_event_selectors(TrailName=shadow["TrailARN"])["EventSelectors"]
    assert selectors[0]["ReadWriteType"] == "All"
    assert cloudtrail.get_trail_status(Name=shadow["TrailARN"])["IsLogging"] is True


def test_trails_are_filtered_by_name(compliant: Session) -> None:
    cloudtrail = compliant.client("cloudtrail")
    assert cloudtrail.describe_trails(trailNameList=["another"])["trailList"] == []
    assert len(cloudtrail.describe_trails(trailNameList=["gxp-trail"])["trailList"]) == 1


def test_default_event_selectors_are_those_of_aws(compliant: Session) -> None:
    selectors = compliant.client("cloudtrail").get_event_selectors(TrailName="gxp-trail")
    default = {
        "ReadWriteType": "All",
        "IncludeManagementEvents": True,
        "DataResources": [],
        "ExcludeManagementEventSources": [],
    }
    assert selectors["EventSelectors"] == [default]


def test_the_status_shows_recent_deliveries_and_no_error(compliant: Session) -> None:
    status = compliant.client("cloudtrail").get_trail_status(Name=compliant.expected["trail_arn"])
    now = dt.datetime.now(dt.UTC)
    assert status["IsLogging"] is True
    assert now - status["LatestDeliveryTime"] < dt.timedelta(minutes=15)
    assert now - status["LatestDigestDeliveryTime"] < dt.timedelta(hours=1, minutes=1)
    assert now - status["StartLoggingTime"] > dt.timedelta(days=29)
    assert not [name for name in status if name.endswith("Error")]


def test_a_stopped_trail_delivered_nothing_after_it_was_stopped(compliant: Session) -> None:
    compliant.sandbox.reset(["not-logging"])
    status = compliant.client("cloudtrail").get_trail_status(Name="gxp-trail")
    assert status["IsLogging"] is False
    assert status["LatestDeliveryTime"] <= status["StopLoggingTime"]


def test_a_key_given_by_alias_comes_back_as_an_arn(compliant: Session) -> None:
    cloudtrail, alias = compliant.client("cloudtrail"), compliant.expected["key_alias"]
    cloudtrail.update_trail(Name="gxp-trail", KmsKeyId="")
    assert "KmsKeyId" not in cloudtrail.describe_trails()["trailList"][0]
    cloudtrail.update_trail(Name="gxp-trail", KmsKeyId=alias)
    assert cloudtrail.describe_trails()["trailList"][0]["KmsKeyId"] == compliant.expected["kms_key_arn"]


def test_no_public_key_is_listed_where_nothing_was_delivered(compliant: Session) -> None:
    assert compliant.client("cloudtrail").list_public_keys()["PublicKeyList"] == []


def test_the_key_is_enabled_symmetric_and_the_customers(compliant: Session) -> None:
    key = compliant.client("kms").describe_key(KeyId=compliant.expected["kms_key_arn"])["KeyMetadata"]
    assert key["Description"] == "CloudTrail/GxP Annex 11 key"
    assert (key["KeyManager"], key["KeyState"], key["Origin"]) == ("CUSTOMER", "Enabled", "AWS_KMS")
    assert (key["KeySpec"], key["KeyUsage"], key["MultiRegion"]) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", False)
    rotation = compliant.client("kms").get_key_rotation_status(KeyId=key["KeyId"])
    assert rotation["KeyRotationEnabled"] is True
    assert rotation["RotationPeriodInDays"] == 365


def test_the_key_policy_ties_cloudtrail_to_trail_and_context(compliant: Session) -> None:
    answer = compliant.client("kms").get_key_policy(KeyId=compliant.expected["kms_key_arn"])
    assert answer["PolicyName"] == "default"
    statements = json.loads(answer["Policy"])["Statement"]
    (encrypting,) = [each for each in statements if each["Action"] == "kms:GenerateDataKey*"]
    assert encrypting["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
    assert encrypting["Condition"] == {
        "StringEquals": {"aws:SourceArn": compliant.expected["trail_arn"]},
        "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": "arn:aws:cloudtrail:*:123456789012:trail/*"},
    }


@pytest.mark.parametrize(
    ("key", "code"),
    [
        pytest.param("arn:aws:kms:eu-west-1:123456789012:key/" + "0" * 8, "NotFoundException", id="unknown"),
        pytest.param("arn:aws:kms:us-east-1:123456789012:key/" + "0" * 8, "NotFoundException", id="elsewhere"),
        pytest.param("arn:aws:kms:eu-west-1:210987654321:key/" + "0" * 8, "AccessDeniedException", id="foreign"),
    ],
)
@pytest.mark.parametrize("operation", ["describe_key", "get_key_policy", "get_key_rotation_status", "list_grants"])
def test_a_key_that_is_not_here_is_refused_as_kms_does(compliant: Session, operation: str, key: str, code: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(compliant.client("kms"), operation)(KeyId=key)
    assert caught.value.response["Error"]["Code"] == code


def test_keys_may_be_named_by_arn_when_changed(compliant: Session) -> None:
    kms, key = compliant.client("kms"), compliant.expected["kms_key_arn"]
    kms.disable_key(KeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_aliases_name_their_key_unless_aws_never_made_it(compliant: Session) -> None:
    aliases = {alias["AliasName"]: alias for alias in compliant.client("kms").list_aliases()["Aliases"]}
    target = aliases[compliant.expected["key_alias"]]["TargetKeyId"]
    assert compliant.expected["kms_key_arn"].endswith(target)
    assert "TargetKeyId" not in aliases["alias/aws/s3"]


def test_the_bucket_is_private_versioned_locked_and_encrypted(compliant: Session) -> None:
    s3, bucket = compliant.client("s3"), {"Bucket": compliant.expected["log_bucket"]}
    assert s3.get_bucket_location(**bucket)["LocationConstraint"] == REGION
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    assert s3.get_bucket_policy_status(**bucket)["PolicyStatus"] == {"IsPublic": False}
    assert s3.get_bucket_request_payment(**bucket)["Payer"] == "BucketOwner"
    assert all(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values())
    lock = s3.get_object_lock_configuration(**bucket)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "COMPLIANCE", "Days": 3650}
    (rule,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == compliant.expected["kms_key_arn"]
    account = compliant.client("s3control").get_public_access_block(AccountId="123456789012")
    assert all(account["PublicAccessBlockConfiguration"].values())


def test_a_policy_that_denies_plain_http_does_not_lock_us_out(compliant: Session) -> None:
    s3, place = compliant.client("s3"), {"Bucket": compliant.expected["log_bucket"], "Key": "AWSLogs/one"}
    s3.put_object(**place, Body=b"event")
    markup = b"<Error><RequestId>kept as it is</RequestId></Error>"
    s3.put_object(**place, Body=markup)
    assert s3.get_object(**place)["Body"].read() == markup


def test_the_simulator_allows_reading_and_follows_the_faults(compliant: Session) -> None:
    def decisions() -> list[str]:
        answer = compliant.client("iam").simulate_principal_policy(
            PolicySourceArn="arn:aws:iam::123456789012:role/GxPEvidenceReader",
            ActionNames=["kms:GetKeyPolicy", "s3:GetEncryptionConfiguration", "s3:PutObject"],
        )
        return [result["EvalDecision"] for result in answer["EvaluationResults"]]

    assert decisions() == ["allowed", "allowed", "implicitDeny"]
    compliant.sandbox.reset(["deny-get-key-policy"])
    assert decisions() == ["implicitDeny", "allowed", "implicitDeny"]


@pytest.mark.parametrize("service", ["cloudtrail", "ec2", "kms", "s3", "s3control", "sts"])
def test_every_answer_tells_its_time_and_its_request(compliant: Session, service: str) -> None:
    ask = {
        "cloudtrail": lambda client: client.describe_trails(),
        "ec2": lambda client: client.describe_regions(),
        "kms": lambda client: client.list_aliases(),
        "s3": lambda client: client.get_bucket_acl(Bucket=compliant.expected["log_bucket"]),
        "s3control": lambda client: client.get_public_access_block(AccountId="123456789012"),
        "sts": lambda client: client.get_caller_identity(),
    }
    metadata = ask[service](compliant.client(service))["ResponseMetadata"]
    assert metadata["RequestId"]
    sent = metadata["HTTPHeaders"]
    assert abs(parsedate_to_datetime(sent["date"]).timestamp() - time.time()) < 5
    assert ("x-amz-request-id" in sent) == service.startswith("s3")
    assert ("x-amzn-requestid" in sent) != service.startswith("s3")


# --- Faults

# Exactly the operations that answer otherwise than in the compliant account; those not named answer the same.
_EVERY_BUCKET_READ = {f"s3:{name}" for name in BUCKET_READS}
_TRAIL_READS = {"cloudtrail:DescribeTrails", "cloudtrail:GetEventSelectors", "cloudtrail:GetTrailStatus"}
_KEY_READS = {
    f"kms:{name}" for name in ("DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "ListAliases", "ListGrants")
}
_BLOCKS = {"s3:GetPublicAccessBlock", "s3control:GetPublicAccessBlock"}
_SELECTORS = {"cloudtrail:DescribeTrails", "cloudtrail:GetEventSelectors"}
_ANOTHER_KEY = {"cloudtrail:DescribeTrails", "kms:DescribeKey", "kms:GetKeyRotationStatus", "kms:ListAliases"}
_EVERYTHING = (
    _EVERY_BUCKET_READ
    | _TRAIL_READS
    | _KEY_READS
    | {
        "cloudtrail:ListTags",
        "ec2:DescribeRegions",
        "kms:DescribeKey(alias)",
        "s3control:GetPublicAccessBlock",
        "sts:GetCallerIdentity",
    }
)
CHANGED: dict[str, set[str]] = {
    "no-trail": _TRAIL_READS,
    "not-logging": {"cloudtrail:GetTrailStatus"},
    "single-region": {"cloudtrail:DescribeTrails"},
    "no-global-events": {"cloudtrail:DescribeTrails"},
    "management-events-off": _SELECTORS,
    "management-events-read-only": _SELECTORS,
    "kms-events-excluded": _SELECTORS,
    "advanced-selectors": _SELECTORS,
    "advanced-selectors-without-kms": _SELECTORS,
    "validation-off": {"cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus"},
    "second-trail-unencrypted": {"cloudtrail:DescribeTrails"},
    "second-trail-unvalidated": {"cloudtrail:DescribeTrails"},
    "shadow-trail": {"cloudtrail:DescribeTrails"},
    "trail-without-key": {"cloudtrail:DescribeTrails"},
    "other-key": _ANOTHER_KEY,
    "key-gone": _KEY_READS | {"kms:DescribeKey(alias)"},
    "key-disabled": {"kms:DescribeKey", "kms:DescribeKey(alias)"},
    "key-pending-deletion": {"kms:DescribeKey", "kms:DescribeKey(alias)", "kms:GetKeyRotationStatus"},
    "key-aws-managed": _ANOTHER_KEY | {"kms:GetKeyPolicy"},
    "key-asymmetric": _ANOTHER_KEY,
    "key-imported": {"kms:DescribeKey", "kms:DescribeKey(alias)", "kms:GetKeyRotationStatus"},
    "key-other-region": _ANOTHER_KEY,
    "key-other-account": _KEY_READS | {"cloudtrail:DescribeTrails"},
    "alias-missing": {"kms:DescribeKey(alias)", "kms:ListAliases"},
    "alias-other-key": {"kms:DescribeKey(alias)", "kms:ListAliases"},
    "rotation-off": {"kms:GetKeyRotationStatus"},
    "policy-without-cloudtrail": {"kms:GetKeyPolicy"},
    "policy-without-context": {"kms:GetKeyPolicy"},
    "policy-without-sourcearn": {"kms:GetKeyPolicy"},
    "policy-open-to-everyone": {"kms:GetKeyPolicy"},
    "policy-deny-on-top": {"kms:GetKeyPolicy"},
    "policy-unknown-operator": {"kms:GetKeyPolicy"},
    "grant-to-foreign-account": {"kms:ListGrants"},
    "bucket-gone": _EVERY_BUCKET_READ,
    "bucket-policy-missing": {"s3:GetBucketPolicy", "s3:GetBucketPolicyStatus"},
    "bucket-policy-without-sourcearn": {"s3:GetBucketPolicy"},
    "bucket-public-policy": _BLOCKS | {"s3:GetBucketPolicy", "s3:GetBucketPolicyStatus"},
    "bucket-public-acl": _BLOCKS | {"s3:GetBucketAcl", "s3:GetBucketOwnershipControls"},
    "public-access-block-missing": _BLOCKS,
    "public-access-block-of-account-only": {"s3:GetPublicAccessBlock"},
    "requester-pays": {"s3:GetBucketRequestPayment"},
    "insecure-transport-allowed": {"s3:GetBucketPolicy"},
    "versioning-off": {"s3:GetBucketVersioning", "s3:GetObjectLockConfiguration"},
    "versioning-suspended": {"s3:GetBucketVersioning", "s3:GetObjectLockConfiguration"},
    "object-lock-missing": {"s3:GetObjectLockConfiguration"},
    "bucket-encryption-missing": {"s3:GetBucketEncryption"},
    "lifecycle-expires-early": {"s3:GetBucketLifecycleConfiguration"},
    "deny-describe-regions": {"ec2:DescribeRegions"},
    "deny-describe-trails-one-region": {"cloudtrail:DescribeTrails"},
    "deny-get-trail-status": {"cloudtrail:GetTrailStatus"},
    "deny-get-event-selectors": {"cloudtrail:GetEventSelectors"},
    "deny-describe-key": {"kms:DescribeKey", "kms:DescribeKey(alias)"},
    "deny-get-key-policy": {"kms:GetKeyPolicy"},
    "deny-list-grants": {"kms:ListGrants"},
    "deny-get-bucket-policy": {"s3:GetBucketPolicy"},
    "deny-get-bucket-versioning": {"s3:GetBucketVersioning"},
    "throttle-kms": {"kms:GetKeyRotationStatus"},
    "garbage-200": {"cloudtrail:GetTrailStatus"},
    "empty-200": {"kms:GetKeyPolicy"},
    "endpoint-down-midway": _EVERYTHING - {"cloudtrail:DescribeTrails", "ec2:DescribeRegions", "sts:GetCallerIdentity"},
    "credentials-expired": _EVERYTHING,
    "wrong-account": _TRAIL_READS | {"sts:GetCallerIdentity"},
    "clock-skew": set(),
    "deny-enable-key-rotation": set(),
    "rotation-without-effect": set(),
    "hostile-text": {
        "cloudtrail:ListTags",
        "kms:DescribeKey",
        "kms:DescribeKey(alias)",
        "kms:GetKeyPolicy",
        "s3:GetBucketLifecycleConfiguration",
        "s3:GetBucketPolicy",
        "s3:GetBucketTagging",
    },
    "log-sse-s3": set(),
    "log-other-key": set(),
    "digest-sse-s3": set(),
    "digest-other-key": set(),
    "digest-flipped": set(),
    "digest-signature-missing": set(),
    "digest-signature-flipped": set(),
    "digest-foreign-signature": set(),
    "digest-algorithm-other": set(),
    "digest-moved": set(),
    "digest-not-gzip": set(),
    "digest-not-json": set(),
    "digest-bomb": set(),
    "digest-wrong-types": set(),
    "digest-forged-link": set(),
    "digest-deleted": set(),
    "digests-head-deleted": set(),
    "digests-tail-deleted": set(),
    "digests-all-deleted": set(),
    "restart-in-window": set(),
    "restart-before-window": set(),
    "hours-backfilled": set(),
    "signing-key-rotated": set(),
    "log-flipped": set(),
    "log-deleted": set(),
    "log-planted": set(),
    "log-swapped": set(),
    "log-trailing-rubbish": set(),
    "log-concatenated-members": set(),
    "log-bomb": set(),
    "log-named-twice": set(),
    "log-names-other-bucket": set(),
    "log-replaced-and-restored": set(),
    "hostile-keys": set(),
    "second-trail-shares-bucket": {"cloudtrail:DescribeTrails", "kms:GetKeyPolicy", "s3:GetBucketPolicy"},
    "second-trail-shares-bucket-unvalidated": {"cloudtrail:DescribeTrails", "kms:GetKeyPolicy", "s3:GetBucketPolicy"},
    "bucket-renamed": set(),
    "delivery-error": {"cloudtrail:GetTrailStatus"},
    "digest-delivery-error": {"cloudtrail:GetTrailStatus"},
    # times are not compared here
    "delivery-stale": set(),
    "digest-delivery-stale": set(),
    "cloudwatch-delivery-error": {"cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus"},
    "public-key-unlisted": set(),
    "public-key-garbage": set(),
    "deny-list-public-keys": set(),
    "deny-get-object": set(),
    "deny-list-object-versions": set(),
    "throttle-one-log": set(),
    "drop-one-log": set(),
    "throttle-first-reads": set(),
    "denied-role-not-assumable": set(),
    "denied-role-may-decrypt": set(),
    "denied-role-refused-by-s3": set(),
    "denied-role-may-not-list": set(),
    "deny-lookup-events": set(),
    "deny-lookup-events-elsewhere": set(),
    "key-policy-put-often": set(),
    "logging-interrupted": {"cloudtrail:GetTrailStatus"},
    "key-disabled-for-a-moment": set(),
    "key-deletion-cancelled": set(),
    "bucket-policy-put-back": set(),
    "key-policy-reordered": {"kms:GetKeyPolicy"},
    "reader-added-unexplained": {"kms:GetKeyPolicy"},
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_fault_changes_these_answers_and_no_others(shared: Session, baseline: dict[str, Any], name: str) -> None:
    shared.sandbox.reset([name])
    answers = shared.answers()
    assert {operation for operation in baseline if answers[operation] != baseline[operation]} == CHANGED[name]


def test_every_fault_is_described_and_names_known_test_cases() -> None:
    faults = list_faults()
    assert [fault.name for fault in faults] == list(CHANGED)
    for fault in faults:
        assert fault.description.endswith(".")
        assert list(fault.changes) == sorted(set(fault.changes) & {*ALL, *EVERY_OQ, *EVERY_PQ})


def test_a_reset_brings_the_same_account_back(shared: Session, baseline: dict[str, Any]) -> None:
    parameters = shared.sandbox.parameters
    shared.sandbox.reset(["bucket-gone", "key-gone"])
    shared.sandbox.reset()
    assert shared.sandbox.parameters == parameters
    assert shared.answers() == baseline


def test_three_faults_together_change_what_each_changes(shared: Session, baseline: dict[str, Any]) -> None:
    names = ["key-disabled", "validation-off", "deny-get-bucket-policy"]
    shared.sandbox.reset(names)
    answers = shared.answers()
    changed = {operation for operation in baseline if answers[operation] != baseline[operation]}
    assert changed == set().union(*(CHANGED[name] for name in names))


def test_faults_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SandboxError, match="don't go together") as caught:
        Sandbox(["no-trail", "not-logging"]).start()
    assert "put those that delete something last" in caught.value.remedy


def test_an_unknown_fault_names_those_that_come_close() -> None:
    with pytest.raises(SandboxError, match="no fault named 'key-disable'") as caught:
        Sandbox(["key-disable"])
    assert "key-disabled" in caught.value.remedy


def _code(method: Any, **parameters: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        method(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_refused_calls_look_as_each_service_refuses_them(shared: Session) -> None:
    shared.sandbox.reset(["deny-describe-key", "deny-get-bucket-policy", "deny-get-trail-status", "throttle-kms"])
    key, bucket = shared.expected["kms_key_arn"], shared.expected["log_bucket"]
    assert _code(shared.client("kms").describe_key, KeyId=key) == ("AccessDeniedException", 400)
    assert _code(shared.client("kms").get_key_rotation_status, KeyId=key) == ("ThrottlingException", 400)
    assert _code(shared.client("s3").get_bucket_policy, Bucket=bucket) == ("AccessDenied", 403)
    assert _code(shared.client("cloudtrail").get_trail_status, Name="gxp-trail") == ("AccessDeniedException", 400)


def test_one_region_is_refused_and_the_others_answer(shared: Session) -> None:
    shared.sandbox.reset(["deny-describe-trails-one-region"])
    assert _code(shared.client("cloudtrail", "us-west-2").describe_trails) == ("AccessDeniedException", 400)
    assert len(shared.client("cloudtrail", "us-west-1").describe_trails()["trailList"]) == 1


def test_what_is_missing_is_missing_as_s3_says_it(shared: Session) -> None:
    shared.sandbox.reset(["bucket-policy-missing", "public-access-block-missing", "bucket-encryption-missing"])
    s3, bucket = shared.client("s3"), {"Bucket": shared.expected["log_bucket"]}
    assert _code(s3.get_bucket_policy, **bucket) == ("NoSuchBucketPolicy", 404)
    assert _code(s3.get_public_access_block, **bucket) == ("NoSuchPublicAccessBlockConfiguration", 404)
    account = shared.client("s3control")
    expected = ("NoSuchPublicAccessBlockConfiguration", 404)
    assert _code(account.get_public_access_block, AccountId="123456789012") == expected
    (rule,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_without_object_lock_versioning_can_be_off_or_suspended(shared: Session) -> None:
    s3, bucket = shared.client("s3"), {"Bucket": shared.expected["log_bucket"]}
    shared.sandbox.reset(["versioning-off"])
    assert "Status" not in s3.get_bucket_versioning(**bucket)
    assert _code(s3.get_object_lock_configuration, **bucket) == ("ObjectLockConfigurationNotFoundError", 404)
    shared.sandbox.reset(["versioning-suspended"])
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Suspended"


def test_a_deleted_key_is_not_found_by_arn_or_alias(shared: Session) -> None:
    shared.sandbox.reset(["key-gone"])
    kms = shared.client("kms")
    (trail,) = shared.client("cloudtrail").describe_trails()["trailList"]
    assert trail["KmsKeyId"] == shared.expected["kms_key_arn"]
    assert _code(kms.describe_key, KeyId=trail["KmsKeyId"]) == ("NotFoundException", 400)
    assert _code(kms.describe_key, KeyId=shared.expected["key_alias"]) == ("NotFoundException", 400)


def _trail_key(session: Session, region: str = REGION) -> dict[str, Any]:
    (trail,) = session.client("cloudtrail").describe_trails()["trailList"]
    return dict(session.client("kms", region).describe_key(KeyId=trail["KmsKeyId"])["KeyMetadata"])


def test_the_key_of_s3_is_managed_by_aws_and_always_rotates(shared: Session) -> None:
    shared.sandbox.reset(["key-aws-managed"])
    key, kms = _trail_key(shared), shared.client("kms")
    assert key["KeyManager"] == "AWS"
    assert kms.get_key_rotation_status(KeyId=key["Arn"])["KeyRotationEnabled"] is True
    assert "kms:ViaService" in kms.get_key_policy(KeyId=key["Arn"])["Policy"]


def test_an_asymmetric_key_has_no_rotation_status(shared: Session) -> None:
    shared.sandbox.reset(["key-asymmetric"])
    key = _trail_key(shared)
    assert (key["KeySpec"], key["KeyUsage"]) == ("RSA_2048", "ENCRYPT_DECRYPT")
    status = shared.client("kms").get_key_rotation_status
    assert _code(status, KeyId=key["Arn"]) == ("UnsupportedOperationException", 400)


def test_an_imported_key_and_one_to_be_deleted_do_not_rotate(shared: Session) -> None:
    shared.sandbox.reset(["key-imported"])
    assert _trail_key(shared)["Origin"] == "EXTERNAL"
    status = shared.client("kms").get_key_rotation_status
    assert status(KeyId=shared.expected["kms_key_arn"])["KeyRotationEnabled"] is False
    shared.sandbox.reset(["key-pending-deletion"])
    key = _trail_key(shared)
    assert key["KeyState"] == "PendingDeletion"
    assert key["DeletionDate"] > dt.datetime.now(dt.UTC)
    assert status(KeyId=key["Arn"])["KeyRotationEnabled"] is False


def test_a_key_elsewhere_is_found_where_its_arn_says(shared: Session) -> None:
    shared.sandbox.reset(["key-other-region"])
    assert _trail_key(shared, SECOND_REGION)["KeyState"] == "Enabled"
    with pytest.raises(ClientError, match=f"Invalid arn {SECOND_REGION}"):
        _trail_key(shared)


def test_a_grant_names_key_grantee_and_operations(shared: Session) -> None:
    shared.sandbox.reset(["grant-to-foreign-account"])
    (grant,) = shared.client("kms").list_grants(KeyId=shared.expected["kms_key_arn"])["Grants"]
    assert grant["GranteePrincipal"] == "arn:aws:iam::210987654321:root"
    assert grant["Operations"] == ["Decrypt"]
    assert grant["KeyId"] == shared.expected["kms_key_arn"]


def test_a_second_trail_elsewhere_is_seen_there_alone(shared: Session) -> None:
    shared.sandbox.reset(["second-trail-unencrypted"])
    listed = shared.client("cloudtrail", SECOND_REGION).describe_trails()["trailList"]
    (second,) = [trail for trail in listed if trail["Name"] == "second-trail"]
    assert "KmsKeyId" not in second
    assert second["LogFileValidationEnabled"] is True
    assert len(shared.client("cloudtrail").describe_trails()["trailList"]) == 1


def test_selectors_other_than_the_default_are_custom(shared: Session) -> None:
    cloudtrail = shared.client("cloudtrail")
    shared.sandbox.reset(["kms-events-excluded"])
    assert cloudtrail.describe_trails()["trailList"][0]["HasCustomEventSelectors"] is True
    (selector,) = cloudtrail.get_event_selectors(TrailName="gxp-trail")["EventSelectors"]
    assert selector["ExcludeManagementEventSources"] == ["kms.amazonaws.com"]
    shared.sandbox.reset(["advanced-selectors"])
    assert "EventSelectors" not in cloudtrail.get_event_selectors(TrailName="gxp-trail")


def test_a_garbled_and_an_empty_answer_come_with_status_200(shared: Session) -> None:
    shared.sandbox.reset(["garbage-200", "empty-200"])
    status = shared.client("cloudtrail").get_trail_status(Name="gxp-trail")
    assert status["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "IsLogging" not in status
    policy = shared.client("kms").get_key_policy(KeyId=shared.expected["kms_key_arn"])
    assert set(policy) == {"ResponseMetadata"}


def test_expired_credentials_are_refused_by_every_service(shared: Session) -> None:
    shared.sandbox.reset(["credentials-expired"])
    assert _code(shared.client("sts").get_caller_identity) == ("ExpiredToken", 403)
    assert _code(shared.client("kms").list_aliases) == ("ExpiredTokenException", 400)
    assert _code(shared.client("ec2").describe_regions) == ("RequestExpired", 400)
    assert _code(shared.client("s3").list_buckets) == ("ExpiredToken", 400)


def test_the_clock_of_the_answers_can_be_off(shared: Session) -> None:
    shared.sandbox.reset(["clock-skew"])
    date = shared.client("sts").get_caller_identity()["ResponseMetadata"]["HTTPHeaders"]["date"]
    assert 85 < parsedate_to_datetime(date).timestamp() - time.time() < 95


def test_hostile_text_arrives_unchanged(shared: Session) -> None:
    shared.sandbox.reset(["hostile-text"])
    description = _trail_key(shared)["Description"]
    assert len(description) == 8192
    assert all(part in description for part in ("</script>", "\u202e", "\r\n"))
    policy = json.loads(shared.client("kms").get_key_policy(KeyId=shared.expected["kms_key_arn"])["Policy"])
    assert len(policy["Statement"][-1]["Condition"]["StringEquals"]["aws:PrincipalTag/team"]) == 10_000


# --- The process


def _listens(endpoint: str) -> bool:
    url = urlsplit(endpoint)
    try:
        socket.create_connection((url.hostname, url.port), timeout=1).close()
    except OSError:
        return False
    return True


def _gone_within(endpoint: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while _listens(endpoint):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_naming_the_faults_loads_neither_boto3_nor_moto() -> None:
    script = (
        "import sys; from kit.sandbox.server import Sandbox, list_faults; list_faults();"
        "print({'boto3', 'botocore', 'moto', 'werkzeug'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


def test_two_sandboxes_live_side_by_side() -> None:
    with Sandbox(["not-logging"]) as one, Sandbox() as two:
        assert one.endpoint != two.endpoint
        sessions = Session(one), Session(two)
        logging = [each.client("cloudtrail").get_trail_status(Name="gxp-trail")["IsLogging"] for each in sessions]
        for each in sessions:
            each.close()
        assert logging == [False, True]
    assert not _listens(one.endpoint)
    assert not _listens(two.endpoint)


def test_only_loopback_is_listened_on(shared: Session) -> None:
    url = urlsplit(shared.sandbox.endpoint)
    assert url.hostname == "127.0.0.1"
    if sys.platform == "linux":
        # Linux answers on all of 127/8, so a server bound to every address would be found here too.
        assert not _listens(f"http://127.0.0.2:{url.port}")


def test_a_connection_is_kept_for_the_next_request(shared: Session) -> None:
    import http.client

    url = urlsplit(shared.sandbox.endpoint)
    connection = http.client.HTTPConnection(str(url.hostname), url.port)
    for _ in range(2):
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        assert answer.version == 11
        assert not answer.will_close
    connection.close()


def test_many_threads_may_ask_at_once(compliant: Session) -> None:
    statuses: list[bool] = []
    cloudtrail = compliant.client("cloudtrail")
    threads = [
        threading.Thread(target=lambda: statuses.append(cloudtrail.get_trail_status(Name="gxp-trail")["IsLogging"]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [True] * 8


def test_stopping_leaves_no_process_and_may_be_repeated() -> None:
    sandbox = Sandbox()
    sandbox.start()
    process = sandbox._process
    assert process is not None
    sandbox.stop()
    sandbox.stop()
    assert process.returncode == 0
    with pytest.raises(SandboxError, match="not running"):
        sandbox.reset()


def test_an_exception_inside_the_block_ends_the_child() -> None:
    sandbox = Sandbox()
    with pytest.raises(KeyboardInterrupt), sandbox:
        raise KeyboardInterrupt
    assert not _listens(sandbox.endpoint)


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither SIGKILL nor SIGINT for another process")
def test_the_child_ends_when_its_parent_is_killed_and_ignores_ctrl_c() -> None:
    script = (
        "import time; from kit.sandbox.server import Sandbox; sandbox = Sandbox(); sandbox.start();"
        "print(sandbox.endpoint, sandbox._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        endpoint, pid = parent.stdout.readline().split()
        os.kill(int(pid), signal.SIGINT)
        time.sleep(0.2)
        assert _listens(endpoint)
        parent.kill()
        assert _gone_within(endpoint, 5)


def test_a_child_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "moto.py").write_text("raise ModuleNotFoundError(\"No module named 'moto'\")\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SandboxError, match="did not start: ModuleNotFoundError: No module named 'moto'") as caught:
        Sandbox().start()
    assert "\n" not in caught.value.message
    assert "install" in caught.value.remedy


def test_the_users_own_profile_and_proxy_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Sandbox() as sandbox:
        assert sandbox.endpoint
