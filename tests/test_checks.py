"""Every check, on answers as AWS documents them: what passes, what fails alone, and what leaves a verdict open.

Nothing here comes from the sandbox. An account is a dictionary of parsed answers, one for each call; a test changes one
of them, takes one away, or takes a member out of it.
"""

import copy
import inspect
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.catalogue import protocol
from kit.findings import Finding, Verdict, roll_up
from kit.parameters import RunParameters
from kit.snapshot import Absence, Answer, Bucket, Caller, Key, Reason, Snapshot, Trail

pytestmark = pytest.mark.pinned
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
CASES = protocol("IQ").test_cases

ACCOUNT, ARCHIVE, FOREIGN, MEMBER = "111111111111", "222222222222", "333333333333", "444444444444"
ORGANIZATION = "o-exampleorgid"
REGION, ELSEWHERE = "eu-central-1", "us-east-1"
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}"
ALIAS = "alias/CloudTrailGxPKey"
TRAIL = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/gxp"
LOGS = "gxp-logs"
BUCKET = f"arn:aws:s3:::{LOGS}"
READER = f"arn:aws:iam::{ACCOUNT}:role/GxPReader"
OUTSIDE_READER = READER.replace(ACCOUNT, FOREIGN)
OWNER_ID, OTHER_ID = "79a59df900b949e55d96a1e698fbaced", "be4a5e0f1a3c6d3e8f7b2a9c4d5e6f70"
CONTEXT = "kms:EncryptionContext:aws:cloudtrail:arn"
CLOUDTRAIL = {"Service": "cloudtrail.amazonaws.com"}
MISSING, DENIED = Absence(Reason.MISSING, "NoSuch", "it is not there"), Absence(Reason.DENIED, "AccessDenied", "no")
ABSENCES = [
    DENIED,
    Absence(Reason.THROTTLED, "ThrottlingException", "Rate exceeded"),
    Absence(Reason.UNREACHABLE, "EndpointConnectionError"),
    Absence(Reason.UNREADABLE, "", "the body does not parse"),
    Absence(Reason.ERROR, "InternalError", "try again"),
]

CALLS = {
    "caller": "sts:GetCallerIdentity",
    "enabled": "ec2:DescribeRegions",
    "region": "s3:GetBucketLocation",
    "status": "cloudtrail:GetTrailStatus",
    "selectors": "cloudtrail:GetEventSelectors",
    "metadata": "kms:DescribeKey",
    "expected_key": "kms:DescribeKey",
    "key_policy": "kms:GetKeyPolicy",
    "rotation": "kms:GetKeyRotationStatus",
    "aliases": "kms:ListAliases",
    "grants": "kms:ListGrants",
    "bucket_policy": "s3:GetBucketPolicy",
    "policy_status": "s3:GetBucketPolicyStatus",
    "acl": "s3:GetBucketAcl",
    "ownership": "s3:GetBucketOwnershipControls",
    "block": "s3:GetPublicAccessBlock",
    "account_block": "s3control:GetPublicAccessBlock",
    "versioning": "s3:GetBucketVersioning",
    "encryption": "s3:GetBucketEncryption",
    "object_lock": "s3:GetObjectLockConfiguration",
    "lifecycle": "s3:GetBucketLifecycleConfiguration",
    "logging": "s3:GetBucketLogging",
    "payer": "s3:GetBucketRequestPayment",
}


# The account of the tests, and what builds a snapshot of it


def key_statements(trail: str = TRAIL, key_account: str = ACCOUNT) -> list[dict[str, Any]]:
    """CloudTrail user guide, "Configure AWS KMS key policies for CloudTrail": what a key policy must hold at least."""
    account, source = trail.split(":")[4], {"aws:SourceArn": trail}
    logs = {CONTEXT: f"arn:aws:cloudtrail:*:{account}:trail/*"}
    readers = {"Null": {CONTEXT: "false"}}
    return [
        allow({"AWS": f"arn:aws:iam::{key_account}:root"}, "kms:*", Sid="Enable IAM User Permissions"),
        allow(
            CLOUDTRAIL,
            "kms:GenerateDataKey*",
            Sid="AllowCloudTrailEncryptLogs",
            Condition={"StringEquals": source, "StringLike": logs},
        ),
        allow({"AWS": READER}, "kms:Decrypt", Sid="EnableCloudTrailLogDecryptPermissions", Condition=readers),
        allow(CLOUDTRAIL, "kms:DescribeKey", Sid="AllowCloudTrailAccess", Condition={"StringEquals": source}),
    ]


def bucket_statements(trail: str = TRAIL, folder: str = f"AWSLogs/{ACCOUNT}") -> list[dict[str, Any]]:
    """CloudTrail user guide, "Amazon S3 bucket policy for CloudTrail": what the console writes."""
    bound = {"s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceArn": trail}
    return [
        allow(
            CLOUDTRAIL,
            "s3:GetBucketAcl",
            BUCKET,
            Sid="AWSCloudTrailAclCheck20150319",
            Condition={"StringEquals": {"aws:SourceArn": trail}},
        ),
        allow(
            CLOUDTRAIL,
            "s3:PutObject",
            f"{BUCKET}/{folder}/*",
            Sid="AWSCloudTrailWrite20150319",
            Condition={"StringEquals": bound},
        ),
    ]


def allow(principal: Any, action: Any, resource: Any = "*", **elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource} | elements


def deny(action: Any, resource: Any, **elements: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource} | elements


def account() -> dict[str, Any]:
    """Return the answers of an account that passes every test case."""
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    return {
        "trail": TRAIL,
        "caller": {"account": ACCOUNT, "date": "Mon, 05 Jan 2026 10:00:00 GMT"},
        "clock": ("2026-01-05T10:00:00.200Z", "2026-01-05T10:00:00.400Z"),
        "enabled": (REGION, ELSEWHERE),
        "regions": {REGION: (TRAIL,), ELSEWHERE: (TRAIL,)},
        "description": {
            "Name": "gxp",
            "S3BucketName": LOGS,
            "IncludeGlobalServiceEvents": True,
            "IsMultiRegionTrail": True,
            "HomeRegion": REGION,
            "TrailARN": TRAIL,
            "LogFileValidationEnabled": True,
            "KmsKeyId": KEY,
            "HasCustomEventSelectors": False,
            "IsOrganizationTrail": False,
        },
        "status": {"IsLogging": True},
        "selectors": {
            "TrailARN": TRAIL,
            "EventSelectors": [
                {
                    "ReadWriteType": "All",
                    "IncludeManagementEvents": True,
                    "DataResources": [],
                    "ExcludeManagementEventSources": [],
                }
            ],
        },
        "metadata": {
            "AWSAccountId": ACCOUNT,
            "KeyId": KEY_ID,
            "Arn": KEY,
            "Enabled": True,
            "Description": "CloudTrail/GxP Annex 11 key",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": "Enabled",
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "MultiRegion": False,
        },
        "expected_key": {"Arn": KEY, "KeyId": KEY_ID},
        "key_policy": key_statements(),
        "rotation": {"KeyRotationEnabled": True, "RotationPeriodInDays": 365},
        "aliases": (ALIAS,),
        "grants": (
            {"GranteePrincipal": READER, "Operations": ["Decrypt"]},
            {"GranteePrincipal": f"arn:aws:iam::{FOREIGN}:root", "Operations": ["Encrypt", "DescribeKey"]},
        ),
        "simulations": {},
        "region": REGION,
        "bucket_policy": bucket_statements(),
        "policy_status": {"IsPublic": False},
        "acl": {
            "Owner": {"ID": OWNER_ID},
            "Grants": [{"Grantee": {"ID": OWNER_ID, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}],
        },
        "ownership": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "block": dict.fromkeys(blocks, True),
        "account_block": MISSING,
        "versioning": {"Status": "Enabled"},
        "encryption": {
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
        },
        "object_lock": {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 3650}},
        },
        "lifecycle": {"Rules": [rule(Expiration={"Days": 4000}), rule(Transitions=[{"Days": 30}])]},
        "logging": {"LoggingEnabled": {"TargetBucket": "access-logs", "TargetPrefix": "gxp/"}},
        "payer": {"Payer": "BucketOwner"},
    }


def rule(**elements: Any) -> dict[str, Any]:
    return {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": ""}} | elements


def parameters(target: dict[str, Any] | None = None, **expected: Any) -> RunParameters:
    stated = {
        "trail_arn": TRAIL,
        "kms_key_arn": KEY,
        "key_alias": ALIAS,
        "log_bucket": LOGS,
        "retention_days": 3650,
        "reader_role_arns": [READER],
    }
    return RunParameters.load(
        {
            "target": {"account_id": ACCOUNT} | (target or {}),
            "expected": {name: value for name, value in (stated | expected).items() if value is not None},
            "execution": {
                "executed_by": "Anna Müller",
                "system_id": "SYS-0042",
                "environment": "qualification",
                "protocol_id": "VP-2026-017",
            },
        }
    )


def answered(name: str, value: Any, call: str = "") -> Answer[Any]:
    call, evidence = f"{call or CALLS[name]} in {REGION}", (f"E-{name}",)
    if isinstance(value, Absence):
        return Answer(call, evidence, absence=value)
    return Answer(call, evidence, value=value)


def policy_text(value: Any) -> Any:
    return json.dumps({"Version": "2012-10-17", "Statement": value}) if isinstance(value, list) else value


def build(raw: dict[str, Any]) -> Snapshot:
    """Return the snapshot of an account as the collectors would put it together."""

    def ask(name: str) -> Answer[Any]:
        return answered(name, policy_text(raw[name]) if name.endswith("_policy") else raw[name])

    caller = raw["caller"]
    if not isinstance(caller, Absence):
        caller = Caller(caller["account"], f"arn:aws:iam::{caller['account']}:user/qa", caller["date"], *raw["clock"])
    description, metadata = raw["description"], ask("metadata")
    readable = raw["metadata"] is not MISSING and (raw["metadata"] is not DENIED or ":key/" in description["KmsKeyId"])
    key = None
    if "KmsKeyId" in description:
        simulations = {
            role: answered("", value, "iam:SimulatePrincipalPolicy") for role, value in raw["simulations"].items()
        }
        rest = [ask(name) for name in ("key_policy", "rotation", "aliases", "grants")] if readable else [None] * 4
        key = Key(description["KmsKeyId"], metadata, *rest, simulations)
    bucket = Bucket(
        LOGS,
        **{name: ask(name) for name in ("region", "policy_status", "acl", "ownership", "versioning", "encryption")},
        **{name: ask(name) for name in ("object_lock", "lifecycle", "logging")},
        policy=ask("bucket_policy"),
        public_access_block=ask("block"),
        account_public_access_block=ask("account_block"),
        request_payment=ask("payer"),
    )
    regions = {
        name: Answer(f"cloudtrail:DescribeTrails in {name}", (f"E-{name}",), None, value)
        if isinstance(value, Absence)
        else Answer(f"cloudtrail:DescribeTrails in {name}", (f"E-{name}",), value)
        for name, value in raw["regions"].items()
    }
    seen = tuple(
        name for name, value in raw["regions"].items() if not isinstance(value, Absence) and raw["trail"] in value
    )
    trail = Trail(
        arn=raw["trail"],
        description=description,
        seen_in=seen,
        evidence=("E-trail",),
        judged=raw.get("judged", True),
        status=ask("status"),
        selectors=ask("selectors"),
        key=key,
        bucket=bucket if "S3BucketName" in description else None,
    )
    trails = (trail, *raw.get("others", ())) if seen else ()
    return Snapshot(answered("caller", caller), ask("enabled"), regions, trails, ask("expected_key"))


def changed(path: str, value: Any, raw: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the account with one value put in place, by its path; `...` takes it out."""
    raw = copy.deepcopy(raw or account())
    place, *names = path.split(".")
    names = [place, *names]
    target: Any = raw
    for name in names[:-1]:
        target = target[int(name)] if name.isdigit() else target[name]
    last: Any = int(names[-1]) if names[-1].isdigit() else names[-1]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return raw


def judged(case: str, raw: dict[str, Any], told: RunParameters | None = None) -> Finding:
    (finding,) = CASES[case].judge(build(raw), told or parameters())
    assert finding.message.endswith("."), finding.message
    return finding


def unmet(finding: Finding) -> list[str]:
    return [name for name, met in finding.met.items() if met is False]


def open_(finding: Finding) -> list[str]:
    return [name for name, met in finding.met.items() if met is None]


# Every test case


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_criterion_is_what_its_check_says(case: Any) -> None:
    from importlib import import_module

    module, _, function = case.check.partition(".")
    quoted = inspect.getdoc(getattr(import_module(f"kit.checks.{module}"), function)).split("\n\n")[0]
    assert " ".join(quoted.split()) == " ".join(case.criterion.split())


@pytest.mark.parametrize("case", CASES)
def test_a_compliant_account_passes(case: str) -> None:
    finding = judged(case, account())
    assert finding.verdict is PASS, finding.message
    assert finding.evidence
    assert finding.observations or case in ("IQ-03", "IQ-04", "IQ-08", "IQ-11")


FAILURES = [
    ("IQ-01", "caller.account", FOREIGN, "account of the caller", f"belongs to account {FOREIGN}, not to the target"),
    ("IQ-01", "caller.date", "Mon, 05 Jan 2026 10:01:00 GMT", "local clock against AWS", "differs from AWS's by more"),
    ("IQ-01", "caller.date", "Mon, 05 Jan 2026 09:59:00 GMT", "local clock against AWS", "between +59.2 s and +60.4 s"),
    ("IQ-02", "regions", {REGION: (), ELSEWHERE: ()}, "the expected trail", f"{TRAIL} does not exist"),
    ("IQ-03", "status.IsLogging", False, "logging", "is not logging"),
    ("IQ-03", "description.IsMultiRegionTrail", False, "multi-Region", "records its home Region only"),
    ("IQ-03", "description.IncludeGlobalServiceEvents", False, "global service events", "leaves out global service"),
    ("IQ-03", "selectors.EventSelectors.0.ReadWriteType", "WriteOnly", "management events", "events: write."),
    ("IQ-03", "selectors.EventSelectors.0.ReadWriteType", "ReadOnly", "management events", "events: read."),
    ("IQ-03", "selectors.EventSelectors.0.IncludeManagementEvents", False, "management events", "events: none."),
    (
        "IQ-03",
        "selectors.EventSelectors.0.ExcludeManagementEventSources",
        ["kms.amazonaws.com"],
        "excluded event sources",
        "leaves out the management events of kms.amazonaws.com.",
    ),
    ("IQ-04", "description.KmsKeyId", ..., "KMS key", "has no KMS key"),
    ("IQ-04", "metadata.Arn", KEY.replace("1234", "9999"), "key ARN", "which is not the expected key"),
    ("IQ-05", "metadata", MISSING, "key", f"The key {KEY} does not exist."),
    ("IQ-05", "metadata.KeyManager", "AWS", "key manager", "is AWS, not CUSTOMER."),
    ("IQ-05", "metadata.KeyState", "PendingDeletion", "key state", "is PendingDeletion, not Enabled."),
    ("IQ-05", "metadata.KeySpec", "RSA_2048", "key specification", "is RSA_2048"),
    ("IQ-05", "metadata.KeyUsage", "SIGN_VERIFY", "key usage", "is SIGN_VERIFY"),
    ("IQ-05", "region", ELSEWHERE, "key Region", f"in {REGION}, the log bucket in {ELSEWHERE}"),
    (
        "IQ-05",
        "aliases",
        ("alias/other",),
        "alias",
        f"{ALIAS} does not point to the trail's key, which has alias/other.",
    ),
    ("IQ-05", "aliases", (), "alias", "which has no alias."),
    ("IQ-06", "rotation.KeyRotationEnabled", False, "automatic rotation", "is off"),
    ("IQ-08", "description.LogFileValidationEnabled", False, "log file validation", "is off"),
    ("IQ-09", "bucket_policy", MISSING, "bucket policy", "has no policy"),
    ("IQ-09", "region", MISSING, "bucket", f"The bucket {LOGS} does not exist."),
    ("IQ-09", "policy_status.IsPublic", True, "public by policy, as S3 sees it", "to be public"),
    ("IQ-09", "payer.Payer", "Requester", "who pays", "Requester Pays on"),
    ("IQ-09", "block", MISSING, "public access block, of bucket or account", "BlockPublicAcls, IgnorePublicAcls"),
    ("IQ-09", "block.IgnorePublicAcls", False, "public access block, of bucket or account", "IgnorePublicAcls off"),
    ("IQ-10", "region", MISSING, "bucket", f"The bucket {LOGS} does not exist."),
    ("IQ-10", "versioning.Status", "Suspended", "versioning", "is not as it must be: Suspended."),
    ("IQ-10", "versioning", {}, "versioning", "never enabled"),
    ("IQ-10", "encryption", MISSING, "default encryption", "none"),
    ("IQ-10", "lifecycle.Rules.0.Expiration.Days", 90, "nothing expires before", 'rule "tidy": objects after 90 days'),
    ("IQ-11", "metadata.KeyManager", "AWS", TRAIL, "with a KMS key whose manager is AWS, with log file validation."),
    ("IQ-11", "metadata", MISSING, TRAIL, "with a KMS key that does not exist"),
    ("IQ-11", "description.KmsKeyId", ..., TRAIL, "without a KMS key"),
    ("IQ-11", "description.LogFileValidationEnabled", False, TRAIL, "without log file validation"),
]


@pytest.mark.parametrize(
    ("case", "path", "value", "condition", "words"), FAILURES, ids=[f"{f[0]}-{f[1]}-{f[3]}" for f in FAILURES]
)
def test_one_condition_alone_fails(case: str, path: str, value: Any, condition: str, words: str) -> None:
    finding = judged(case, changed(path, value))
    assert finding.verdict is FAIL
    assert unmet(finding) == [condition]
    assert open_(finding) == []
    assert words in finding.message


ABSENT = {
    ("IQ-01", "caller"): ["account of the caller", "local clock against AWS"],
    ("IQ-03", "status"): ["logging"],
    ("IQ-03", "selectors"): ["management events", "excluded event sources"],
    ("IQ-05", "metadata"): ["key", "key manager", "key state", "key specification", "key usage"],
    ("IQ-05", "region"): ["key Region"],
    ("IQ-05", "aliases"): ["alias"],
    ("IQ-06", "rotation"): ["automatic rotation"],
    ("IQ-07", "key_policy"): ["key policy"],
    ("IQ-07", "grants"): ["decryption by grant"],
    ("IQ-07", "encryption"): ["CloudTrail decrypts, for the S3 Bucket Key"],
    ("IQ-09", "bucket_policy"): ["bucket policy"],
    ("IQ-09", "policy_status"): ["public by policy, as S3 sees it"],
    ("IQ-09", "acl"): ["let in by ACL"],
    ("IQ-09", "block"): ["public access block, of bucket or account"],
    ("IQ-09", "payer"): ["who pays"],
    ("IQ-10", "versioning"): ["versioning"],
    ("IQ-10", "encryption"): ["default encryption"],
    ("IQ-10", "lifecycle"): ["nothing expires before"],
    ("IQ-11", "enabled"): ["Regions asked"],
    ("IQ-11", "metadata"): [TRAIL],
}


@pytest.mark.parametrize("absence", ABSENCES, ids=[absence.reason for absence in ABSENCES])
@pytest.mark.parametrize(("case", "name"), ABSENT, ids=lambda part: part)
def test_one_absent_answer_leaves_its_conditions_open(case: str, name: str, absence: Absence) -> None:
    finding = judged(case, changed(name, absence))
    assert finding.verdict is INCONCLUSIVE
    assert open_(finding) == ABSENT[case, name]
    assert unmet(finding) == []
    assert CALLS[name] in finding.message
    assert absence.reason.value in finding.message
    assert f"E-{name}" in finding.evidence


@pytest.mark.parametrize(
    ("case", "path", "condition"),
    [
        ("IQ-01", "caller.date", "local clock against AWS"),
        ("IQ-03", "status.IsLogging", "logging"),
        ("IQ-03", "description.IsMultiRegionTrail", "multi-Region"),
        ("IQ-03", "description.IncludeGlobalServiceEvents", "global service events"),
        ("IQ-03", "selectors.EventSelectors.0.IncludeManagementEvents", "management events"),
        ("IQ-03", "selectors.EventSelectors.0.ReadWriteType", "management events"),
        ("IQ-03", "selectors.EventSelectors", "management events"),
        ("IQ-05", "metadata.KeyManager", "key manager"),
        ("IQ-05", "metadata.KeyState", "key state"),
        ("IQ-05", "metadata.KeySpec", "key specification"),
        ("IQ-05", "metadata.KeyUsage", "key usage"),
        ("IQ-06", "rotation.KeyRotationEnabled", "automatic rotation"),
        ("IQ-07", "grants.0.Operations", "decryption by grant"),
        ("IQ-07", "grants.0.GranteePrincipal", "decryption by grant"),
        ("IQ-08", "description.LogFileValidationEnabled", "log file validation"),
        ("IQ-09", "description.IsOrganizationTrail", "CloudTrail writes the trail's logs and digests"),
        ("IQ-09", "description.IsMultiRegionTrail", "CloudTrail writes the trail's logs and digests"),
        ("IQ-09", "policy_status.IsPublic", "public by policy, as S3 sees it"),
        ("IQ-09", "acl.Grants", "let in by ACL"),
        ("IQ-09", "acl.Owner", "let in by ACL"),
        ("IQ-09", "acl.Grants.0.Grantee", "let in by ACL"),
        ("IQ-09", "acl.Grants.0.Grantee.ID", "let in by ACL"),
        ("IQ-09", "block.BlockPublicPolicy", "public access block, of bucket or account"),
        ("IQ-09", "payer.Payer", "who pays"),
        ("IQ-10", "encryption.Rules.0.ApplyServerSideEncryptionByDefault", "default encryption"),
        ("IQ-10", "encryption.Rules.0.ApplyServerSideEncryptionByDefault.SSEAlgorithm", "default encryption"),
        ("IQ-10", "lifecycle.Rules", "nothing expires before"),
        ("IQ-10", "lifecycle.Rules.0.Status", "nothing expires before"),
        ("IQ-10", "lifecycle.Rules.0.Expiration.Days", "nothing expires before"),
        ("IQ-11", "metadata.KeyManager", TRAIL),
        ("IQ-11", "description.LogFileValidationEnabled", TRAIL),
    ],
)
def test_a_member_that_the_answer_lacks_leaves_its_condition_open(case: str, path: str, condition: str) -> None:
    finding = judged(case, changed(path, "" if path == "caller.date" else ...))
    assert finding.verdict is INCONCLUSIVE, finding.message
    assert condition in open_(finding)
    assert unmet(finding) == []
    assert any(call in finding.message for call in [*CALLS.values(), "cloudtrail:DescribeTrails"])


@pytest.mark.parametrize(
    ("case", "parameter", "told", "condition"),
    [
        ("IQ-04", "expected.kms_key_arn", {"kms_key_arn": None}, "key ARN"),
        ("IQ-05", "expected.key_alias", {"key_alias": None}, "alias"),
        ("IQ-10", "expected.retention_days", {"retention_days": None}, "nothing expires before"),
        (
            "IQ-10",
            "expected.retention_days",
            {"retention_days": None, "object_lock_mode": "COMPLIANCE"},
            "Object Lock",
        ),
    ],
)
def test_a_parameter_that_is_not_stated_leaves_its_condition_open(
    case: str, parameter: str, told: dict[str, Any], condition: str
) -> None:
    finding = judged(case, account(), parameters(**told))
    assert finding.verdict is INCONCLUSIVE
    assert condition in open_(finding)
    assert f"The parameter {parameter} is not stated." in finding.message


@pytest.mark.parametrize("case", [case for case in CASES if case not in ("IQ-01", "IQ-02", "IQ-11")])
def test_without_a_trail_there_is_nothing_to_judge(case: str) -> None:
    raw = changed("regions", {REGION: (), ELSEWHERE: DENIED})
    finding = judged(case, raw)
    assert finding.verdict is INCONCLUSIVE
    assert "There is no trail to judge" in finding.message
    assert f"cloudtrail:DescribeTrails in {ELSEWHERE} gave no value (denied" in finding.message


@pytest.mark.parametrize("case", ["IQ-05", "IQ-06", "IQ-07"])
def test_without_a_key_there_is_nothing_to_judge_of_it(case: str) -> None:
    finding = judged(case, changed("description.KmsKeyId", ...))
    assert finding.verdict is INCONCLUSIVE
    assert "has no KMS key to judge; see IQ-04." in finding.message


@pytest.mark.parametrize(
    ("case", "name", "condition"),
    [("IQ-05", "aliases", "alias"), ("IQ-06", "rotation", "automatic rotation")],
)
def test_what_was_not_asked_of_a_key_is_open(case: str, name: str, condition: str) -> None:
    snapshot = build(account())
    (trail,) = snapshot.trails
    (finding,) = CASES[case].judge(
        replace(snapshot, trails=(replace(trail, key=replace(trail.key, **{name: None})),)), parameters()
    )
    assert finding.verdict is INCONCLUSIVE
    assert open_(finding) == [condition]
    assert "The answer to kms:DescribeKey in eu-central-1 does not say:" in finding.message


def test_a_key_without_an_arn_is_in_no_region_that_is_known() -> None:
    finding = judged("IQ-05", changed("metadata.Arn", ..., changed("description.KmsKeyId", ALIAS)))
    assert open_(finding) == ["key Region"]


def test_every_alias_of_the_key_is_told() -> None:
    assert "which has alias/a, alias/b." in judged("IQ-05", changed("aliases", ("alias/a", "alias/b"))).message


def test_the_region_of_a_bucket_that_is_not_named_is_not_known() -> None:
    assert open_(judged("IQ-05", changed("description.S3BucketName", ...))) == ["key Region"]


@pytest.mark.parametrize("case", ["IQ-09", "IQ-10"])
def test_without_a_bucket_there_is_nothing_to_judge_of_it(case: str) -> None:
    finding = judged(case, changed("description.S3BucketName", ...))
    assert finding.verdict is INCONCLUSIVE
    assert "names no bucket." in finding.message


# IQ-01: the clock


@pytest.mark.parametrize(
    ("sent", "received", "bound", "expected"),
    [
        ("10:00:05.000", "10:00:05.000", 5, PASS),
        ("10:00:04.900", "10:00:05.001", 5, INCONCLUSIVE),
        ("09:59:56.000", "09:59:56.100", 5, PASS),
        ("09:59:55.900", "09:59:56.000", 5, INCONCLUSIVE),
        ("10:00:06.001", "10:00:06.100", 5, FAIL),
        ("09:59:54.000", "09:59:54.999", 5, FAIL),
        ("09:59:00.000", "10:01:00.000", 5, INCONCLUSIVE),
        ("10:00:00.000", "10:00:00.000", 0, INCONCLUSIVE),
        ("10:00:00.000", "10:00:00.000", 1, PASS),
        ("10:00:06.000", "10:00:06.000", 5, INCONCLUSIVE),
        ("09:59:55.000", "09:59:55.000", 5, INCONCLUSIVE),
        ("nonsense", "10:00:00.000", 5, INCONCLUSIVE),
    ],
)
def test_the_clock_is_held_against_the_worst_case(sent: str, received: str, bound: int, expected: Verdict) -> None:
    raw = changed("clock", tuple(f"2026-01-05T{time}Z" for time in (sent, received)))
    assert judged("IQ-01", raw, parameters(max_clock_skew_seconds=bound)).verdict is expected


# IQ-02 and IQ-11: which trails there are


@pytest.mark.parametrize(
    ("told", "regions", "expected", "words"),
    [
        pytest.param({}, {REGION: (TRAIL,)}, PASS, "exists", id="expected-trail"),
        pytest.param({}, {ELSEWHERE: (TRAIL,), REGION: DENIED}, PASS, "exists", id="seen-by-its-shadow"),
        pytest.param({}, {REGION: (), ELSEWHERE: DENIED}, INCONCLUSIVE, "denied", id="a-region-is-silent"),
        pytest.param(
            {}, {ELSEWHERE: ()}, INCONCLUSIVE, "target.regions leaves out its own", id="home-region-not-asked"
        ),
        pytest.param({}, {}, INCONCLUSIVE, "No Region was asked", id="no-region"),
        pytest.param({"trail_arn": None}, {REGION: (TRAIL,)}, PASS, "1 trail(s)", id="any-trail"),
        pytest.param(
            {"trail_arn": None}, {REGION: ()}, FAIL, f"No Region asked shows a trail: {REGION}.", id="no-trail"
        ),
    ],
)
def test_a_trail_is_missing_only_where_it_was_looked_for(
    told: dict[str, Any], regions: dict[str, Any], expected: Verdict, words: str
) -> None:
    finding = judged("IQ-02", changed("regions", regions), parameters(**told))
    assert finding.verdict is expected
    assert words in finding.message


def test_another_trail_is_not_the_expected_one() -> None:
    finding = judged("IQ-02", account() | {"trail": TRAIL + "-2"} | {"regions": {REGION: (TRAIL + "-2",)}})
    assert finding.verdict is FAIL
    assert finding.actual == {"the expected trail": [TRAIL + "-2"]}


@pytest.mark.parametrize(
    ("told", "verdict"), [({"trail_arn": None}, FAIL), ({}, FAIL)], ids=["any", "the expected one"]
)
def test_every_region_that_was_asked_is_told(told: dict[str, Any], verdict: Verdict) -> None:
    raw = changed("regions", {ELSEWHERE: (), REGION: ()})
    assert judged("IQ-02", raw, parameters(**told)).verdict is verdict
    raw = changed("regions", {ELSEWHERE: (), "eu-west-1": ()})
    assert f"(eu-west-1, {ELSEWHERE})" in judged("IQ-02", raw).message


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("description.LogFileValidationEnabled", ..., "whose manager is AWS, with or without log file validation"),
        ("description.LogFileValidationEnabled", True, "whose manager is AWS, with log file validation"),
    ],
)
def test_how_a_trail_delivers_is_told_as_far_as_it_is_known(path: str, value: Any, words: str) -> None:
    assert words in judged("IQ-11", changed(path, value, changed("metadata.KeyManager", "AWS"))).message
    raw = changed("description.LogFileValidationEnabled", False, changed("metadata", DENIED))
    assert "whose manager is not known, without log file validation" in judged("IQ-11", raw).message


def test_a_trail_that_may_deliver_is_judged() -> None:
    finding = judged("IQ-11", changed("status", DENIED, changed("description.KmsKeyId", ...)))
    assert open_(finding) == [TRAIL]


def another(**description: Any) -> Trail:
    """Return a second trail of the account, of which only status and key are read."""
    raw = account()
    told = (
        raw["description"] | {"TrailARN": TRAIL + "-2"} | {name: v for name, v in description.items() if name[0] != "_"}
    )
    key = Key(KEY, answered("metadata", description.get("_metadata", raw["metadata"]))) if told["KmsKeyId"] else None
    status = answered("status", description.get("_status", {"IsLogging": True}))
    return Trail(TRAIL + "-2", told, (REGION,), ("E-2",), False, status, None, key, None)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(another(), PASS, id="protected"),
        pytest.param(another(KmsKeyId=None), FAIL, id="without-key"),
        pytest.param(another(LogFileValidationEnabled=False), FAIL, id="without-validation"),
        pytest.param(another(KmsKeyId=None, _status={"IsLogging": False}), PASS, id="without-key-but-stopped"),
        pytest.param(another(_status=DENIED), PASS, id="protected-be-it-stopped-or-not"),
        pytest.param(another(KmsKeyId=None, _status=DENIED), INCONCLUSIVE, id="without-key-and-status-denied"),
        pytest.param(another(KmsKeyId=None, _status={}), INCONCLUSIVE, id="without-key-and-status-unsaid"),
        pytest.param(another(_metadata=DENIED), INCONCLUSIVE, id="key-denied"),
        pytest.param(
            another(_metadata=DENIED, LogFileValidationEnabled=False), FAIL, id="key-denied-without-validation"
        ),
        pytest.param(another(_metadata=MISSING), FAIL, id="key-gone"),
        pytest.param(another(LogFileValidationEnabled=None), INCONCLUSIVE, id="validation-unsaid"),
        pytest.param(another(LogFileValidationEnabled="true"), INCONCLUSIVE, id="validation-no-boolean"),
    ],
)
def test_no_other_trail_delivers_unprotected(other: Trail, expected: Verdict) -> None:
    finding = judged("IQ-11", account() | {"others": (other,)})
    assert finding.verdict is expected, finding.message
    assert TRAIL + "-2" in finding.met or TRAIL + "-2" in finding.observations


def test_a_stopped_trail_is_no_evidence_of_protection() -> None:
    raw = changed("status.IsLogging", False, changed("description.KmsKeyId", ...))
    finding = judged("IQ-11", raw)
    assert finding.verdict is INCONCLUSIVE
    assert finding.message == "There is no trail that delivers."
    assert finding.observations[TRAIL]["logging"] is False


@pytest.mark.parametrize(
    ("enabled", "regions", "words"),
    [
        pytest.param((), {REGION: (TRAIL,)}, "does not say: which Regions are enabled", id="none-enabled"),
        pytest.param(
            (REGION, "eu-north-1"), {REGION: (TRAIL,)}, "Not asked: eu-north-1; set target.regions", id="not-asked"
        ),
        pytest.param(
            (REGION, ELSEWHERE), {REGION: (TRAIL,), ELSEWHERE: DENIED}, f"DescribeTrails in {ELSEWHERE}", id="denied"
        ),
        pytest.param((REGION,), {REGION: ()}, "There is no trail to judge; see IQ-02.", id="no-trail"),
    ],
)
def test_nothing_is_concluded_of_regions_that_did_not_answer(enabled: Any, regions: Any, words: str) -> None:
    finding = judged("IQ-11", account() | {"enabled": enabled, "regions": regions})
    assert finding.verdict is INCONCLUSIVE
    assert words in finding.message


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (another(_metadata=DENIED), "kms:DescribeKey in eu-central-1 gave no value (denied"),
        (another(_metadata={}), f"does not say: the key manager of {TRAIL}-2."),
        (another(LogFileValidationEnabled=None), f"does not say: whether {TRAIL}-2 has log file validation."),
        (another(KmsKeyId=None, _status={}), "does not say: whether the trail is logging."),
    ],
)
def test_what_is_open_of_a_trail_is_said(other: Trail, words: str) -> None:
    finding = judged("IQ-11", account() | {"others": (other,)})
    assert words in finding.message
    assert finding.expected[TRAIL + "-2"] == {"key manager": "CUSTOMER", "log file validation": True}


def test_a_trail_is_told_from_its_shadows() -> None:
    finding = judged("IQ-02", organization_account())
    assert finding.observations == {
        TRAIL: {
            "home Region": REGION,
            "organization trail": True,
            "judged in this run": True,
            "shadow trails in": "1 other Region",
        }
    }
    assert judged("IQ-02", account(), parameters(trail_arn=None)).actual == {"trails": [TRAIL]}
    assert judged("IQ-01", account()).observations == {"caller": f"arn:aws:iam::{ACCOUNT}:user/qa"}


def test_a_trail_seen_by_its_shadow_alone_names_the_region_that_showed_it() -> None:
    raw = changed("description.LogFileValidationEnabled", ...) | {"regions": {REGION: DENIED, ELSEWHERE: (TRAIL,)}}
    assert f"The answer to cloudtrail:DescribeTrails in {ELSEWHERE} does not say" in judged("IQ-08", raw).message


# IQ-03: event selectors


def classic(kind: Any = "All", include: Any = True, **more: Any) -> dict[str, Any]:
    return {"ReadWriteType": kind, "IncludeManagementEvents": include, "DataResources": []} | more


def advanced(*fields: dict[str, Any], category: Any = "Management") -> dict[str, Any]:
    return {"Name": "", "FieldSelectors": [{"Field": "eventCategory", "Equals": [category]}, *fields]}


def field(name: str, **operators: Any) -> dict[str, Any]:
    return {"Field": name, **operators}


KMS, RDS = "kms.amazonaws.com", "rdsdata.amazonaws.com"
NO_KMS, NO_RDS = field("eventSource", NotEquals=[KMS]), field("eventSource", NotEquals=[RDS])
READS, WRITES = field("readOnly", Equals=["true"]), field("readOnly", Equals=["false"])


@pytest.mark.parametrize(
    ("selectors", "accepted", "expected"),
    [
        pytest.param([classic()], [], PASS, id="exclusions-left-out-where-there-are-none"),
        pytest.param([classic("ReadOnly"), classic("WriteOnly")], [], PASS, id="read-and-write-apart"),
        pytest.param([classic("All", False), classic()], [], PASS, id="data-events-beside"),
        pytest.param([classic(ExcludeManagementEventSources=[KMS])], [], FAIL, id="kms-left-out"),
        pytest.param([classic(ExcludeManagementEventSources=[KMS])], [KMS], PASS, id="kms-excepted"),
        pytest.param([classic(ExcludeManagementEventSources=[KMS, RDS])], [KMS], FAIL, id="one-of-two-excepted"),
        pytest.param([classic(ExcludeManagementEventSources=[KMS]), classic()], [], PASS, id="taken-in-by-another"),
        pytest.param(
            [classic("ReadOnly", ExcludeManagementEventSources=[KMS]), classic("WriteOnly")],
            [],
            FAIL,
            id="kms-reads-left-out",
        ),
        pytest.param([classic(ExcludeManagementEventSources="kms")], [], INCONCLUSIVE, id="exclusions-no-list"),
        pytest.param([classic(include="true")], [], INCONCLUSIVE, id="include-no-boolean"),
        pytest.param([classic(kind="Both")], [], INCONCLUSIVE, id="kind-not-documented"),
        pytest.param([classic(kind=None, include=False)], [], FAIL, id="no-management-events-of-any-kind"),
        pytest.param([classic("ReadOnly"), classic(include=None)], [], INCONCLUSIVE, id="writes-perhaps"),
        pytest.param([classic(), classic(include=None)], [], PASS, id="enough-is-known"),
        pytest.param(
            [classic(ExcludeManagementEventSources=[KMS]), classic(include=None)], [], INCONCLUSIVE, id="kms-perhaps"
        ),
        pytest.param([], [], INCONCLUSIVE, id="none"),
        pytest.param(["All"], [], INCONCLUSIVE, id="no-object"),
        pytest.param([advanced()], [], PASS, id="advanced"),
        pytest.param([advanced(NO_KMS)], [], FAIL, id="advanced-without-kms"),
        pytest.param([advanced(NO_KMS)], [KMS], PASS, id="advanced-kms-excepted"),
        pytest.param([advanced(NO_KMS, NO_RDS)], [RDS], FAIL, id="advanced-both-conditions-hold"),
        pytest.param([advanced(READS), advanced(WRITES)], [], PASS, id="advanced-read-and-write-apart"),
        pytest.param([advanced(READS)], [], FAIL, id="advanced-reads-only"),
        pytest.param([advanced(WRITES)], [], FAIL, id="advanced-writes-only"),
        pytest.param([advanced(READS, WRITES)], [], FAIL, id="advanced-neither"),
        pytest.param([advanced(field("readOnly", NotEquals=["true"]))], [], INCONCLUSIVE, id="advanced-not-read-only"),
        pytest.param(
            [advanced(field("readOnly", Equals=["true", "false"]))], [], INCONCLUSIVE, id="advanced-both-kinds"
        ),
        pytest.param([advanced(field("readOnly"))], [], INCONCLUSIVE, id="advanced-read-only-without-operator"),
        pytest.param([advanced(category="Data")], [], FAIL, id="advanced-data-events"),
        pytest.param([advanced(category="Data"), advanced()], [], PASS, id="advanced-data-events-beside"),
        pytest.param([advanced(field("eventName", StartsWith=["Put"]))], [], INCONCLUSIVE, id="advanced-some-events"),
        pytest.param(
            [advanced(field("eventName", NotEquals=[KMS]))], [KMS], INCONCLUSIVE, id="advanced-all-but-an-event"
        ),
        pytest.param([advanced(field("eventSource", Equals=[KMS]))], [], INCONCLUSIVE, id="advanced-one-source"),
        pytest.param(
            [advanced(field("eventName", Equals=["A"])), advanced(NO_KMS)], [], INCONCLUSIVE, id="advanced-kms-perhaps"
        ),
        pytest.param([advanced(field("eventName", Equals=["A"])), advanced()], [], PASS, id="advanced-some-beside-all"),
        pytest.param([{"FieldSelectors": [READS]}], [], INCONCLUSIVE, id="advanced-without-category"),
        pytest.param([{"Name": "x"}], [], INCONCLUSIVE, id="advanced-without-fields"),
        pytest.param([classic()], [KMS], PASS, id="accepted-and-not-left-out"),
        pytest.param([classic(ExcludeManagementEventSources=[RDS, KMS])], [], FAIL, id="two-sources-left-out"),
        pytest.param(
            [{"FieldSelectors": [field("eventCategory", Equals=["Management"])] * 2}],
            [],
            INCONCLUSIVE,
            id="two-categories",
        ),
        pytest.param(
            [{"FieldSelectors": [field("eventCategory", NotEquals=["Management"])]}],
            [],
            INCONCLUSIVE,
            id="not-category",
        ),
        pytest.param(
            [{"FieldSelectors": [field("eventCategory", Equals=["Management"], NotEquals=["Data"])]}],
            [],
            INCONCLUSIVE,
            id="category-by-two-operators",
        ),
        pytest.param([advanced(category=1)], [], INCONCLUSIVE, id="category-no-text"),
        pytest.param(
            [advanced(field("eventName", Equals=["A"]), NO_KMS)], [KMS], INCONCLUSIVE, id="some-events-but-of-kms"
        ),
    ],
)
def test_event_selectors(selectors: list[Any], accepted: list[str], expected: Verdict) -> None:
    kind = (
        "AdvancedEventSelectors" if any("FieldSelectors" in s or "Name" in s for s in selectors) else "EventSelectors"
    )
    finding = judged("IQ-03", changed("selectors", {kind: selectors}), parameters(excluded_event_sources=accepted))
    assert finding.verdict is expected, finding.message


def test_selectors_that_were_not_asked_for_leave_open_what_the_trail_records() -> None:
    snapshot = build(account())
    trails = (replace(snapshot.trails[0], selectors=None),)
    (finding,) = CASES["IQ-03"].judge(replace(snapshot, trails=trails), parameters())
    assert open_(finding) == ["management events", "excluded event sources"]
    assert f"The answer to cloudtrail:GetEventSelectors for {TRAIL} names no event selector" in finding.message


# IQ-04, IQ-05, IQ-06: the key


def test_an_expected_key_that_could_not_be_resolved_is_not_known() -> None:
    for expected in (DENIED, {"KeyId": KEY_ID}):
        finding = judged("IQ-04", changed("expected_key", expected), parameters(kms_key_arn=ALIAS))
        assert open_(finding) == ["key ARN"]
        assert finding.expected["key ARN"] == ALIAS


def test_without_an_expected_key_none_is_asked_for() -> None:
    (finding,) = CASES["IQ-04"].judge(replace(build(account()), expected_key=None), parameters(kms_key_arn=None))
    assert finding.evidence == ("E-trail", "E-metadata")


def test_a_key_that_was_not_asked_for_is_not_known() -> None:
    snapshot = build(account())
    (finding,) = CASES["IQ-04"].judge(replace(snapshot, trails=(replace(snapshot.trails[0], key=None),)), parameters())
    assert open_(finding) == ["key ARN"]


@pytest.mark.parametrize("named", [KEY, KEY_ID, ALIAS, f"arn:aws:kms:{REGION}:{ACCOUNT}:{ALIAS}"])
@pytest.mark.parametrize("stated", [KEY, KEY_ID, ALIAS, f"arn:aws:kms:{REGION}:{ACCOUNT}:{ALIAS}"])
def test_a_key_may_be_named_in_any_way(named: str, stated: str) -> None:
    raw = changed("description.KmsKeyId", named)
    finding = judged("IQ-04", raw, parameters(kms_key_arn=stated))
    assert (finding.verdict, finding.actual["key ARN"]) == (PASS, KEY)
    assert judged("IQ-05", raw).resource == KEY


@pytest.mark.parametrize(
    ("named", "raw", "expected"),
    [
        (KEY, {"metadata": DENIED, "expected_key": DENIED}, PASS),
        (KEY_ID, {"metadata": DENIED}, INCONCLUSIVE),
        (ALIAS, {"metadata": MISSING}, INCONCLUSIVE),
        (f"arn:aws:kms:{REGION}:{ACCOUNT}:{ALIAS}", {"metadata": DENIED}, INCONCLUSIVE),
        (ALIAS, {"metadata": {"KeyId": KEY_ID}}, INCONCLUSIVE),
    ],
)
def test_a_key_that_could_not_be_resolved_is_compared_only_by_arn(named: str, raw: Any, expected: Verdict) -> None:
    finding = judged("IQ-04", changed("description.KmsKeyId", named) | raw)
    assert finding.verdict is expected
    assert expected is PASS or "kms:DescribeKey" in finding.message


@pytest.mark.parametrize("case", ["IQ-05", "IQ-06", "IQ-07", "IQ-11"])
def test_a_key_that_could_not_be_resolved_was_not_asked_for_more(case: str) -> None:
    finding = judged(case, changed("description.KmsKeyId", ALIAS) | {"metadata": DENIED})
    assert finding.verdict is INCONCLUSIVE
    assert unmet(finding) == []
    assert "kms:DescribeKey" in finding.message


def test_a_moment_and_a_number_are_observed_as_they_are_read() -> None:
    raw = account()
    raw["metadata"] |= {"CreationDate": datetime(2026, 1, 1, 12, tzinfo=UTC), "MultiRegion": 1.5}
    observations = judged("IQ-05", raw).observations
    assert (observations["CreationDate"], observations["MultiRegion"]) == ("2026-01-01 12:00:00 UTC", "1.5")


def test_what_a_key_is_is_told() -> None:
    raw = account()
    dates = {"CreationDate": "2026-01-01", "DeletionDate": "2036-01-01", "ValidTo": "2027-01-01"}
    raw["metadata"] |= dates
    raw["rotation"] |= {"NextRotationDate": "2027-01-01"}
    described = {"Description": "CloudTrail/GxP Annex 11 key", "Origin": "AWS_KMS", "MultiRegion": False}
    assert judged("IQ-05", raw).observations == described | {"AWSAccountId": ACCOUNT} | dates
    rotation = judged("IQ-06", raw)
    assert rotation.observations == {"RotationPeriodInDays": 365, "NextRotationDate": "2027-01-01"}
    assert rotation.message == f"The key {KEY} rotates every 365 days."
    assert judged("IQ-05", raw | {"region": DENIED}).expected["key Region"] == "that of the bucket"
    assert (
        judged("IQ-05", changed("description.KmsKeyId", ALIAS) | {"metadata": DENIED}).expected["key Region"] == REGION
    )


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"Origin": "EXTERNAL"}, "of origin EXTERNAL"),
        ({"Origin": "AWS_CLOUDHSM"}, "of origin AWS_CLOUDHSM"),
        ({"Origin": "EXTERNAL_KEY_STORE"}, "of origin EXTERNAL_KEY_STORE"),
        ({"KeySpec": "RSA_2048"}, "of specification RSA_2048"),
        ({"KeySpec": "HMAC_256"}, "of specification HMAC_256"),
    ],
)
def test_a_key_that_cannot_rotate_is_not_applicable(metadata: dict[str, str], words: str) -> None:
    raw = account()
    raw["metadata"] |= metadata
    finding = judged("IQ-06", raw)
    assert finding.verdict is Verdict.NOT_APPLICABLE
    assert words in finding.message


@pytest.mark.parametrize("member", ["KeySpec", "Origin"])
@pytest.mark.parametrize(("rotates", "expected"), [(True, PASS), (False, FAIL), (None, INCONCLUSIVE)])
def test_a_key_of_unknown_kind_is_judged_by_its_rotation(member: str, rotates: Any, expected: Verdict) -> None:
    raw = changed("rotation", {"KeyRotationEnabled": rotates}, changed(f"metadata.{member}", ...))
    assert judged("IQ-06", raw).verdict is expected


# What AWS documents must pass


def verdicts(raw: dict[str, Any], told: RunParameters | None = None) -> dict[str, str]:
    """Return what does not pass, with its message."""
    snapshot, told = build(raw), told or parameters()
    found = {case_id: case.judge(snapshot, told) for case_id, case in CASES.items()}
    return {
        case_id: " ".join(finding.message for finding in findings)
        for case_id, findings in found.items()
        if roll_up(finding.verdict for finding in findings) is not PASS
    }


def with_key_policy(*more: dict[str, Any], base: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return account() | {"key_policy": [*(key_statements() if base is None else base), *more]}


def with_bucket_policy(*more: dict[str, Any], base: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return account() | {"bucket_policy": [*(bucket_statements() if base is None else base), *more]}


def console_key_policy(log_account: str = ACCOUNT) -> list[dict[str, Any]]:
    """CloudTrail user guide, "Default KMS key policy created in CloudTrail console"; `log_account` may decrypt, too."""
    logs = {CONTEXT: f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"}
    use = {"StringEquals": {"kms:CallerAccount": ACCOUNT}, "StringLike": logs}
    through = {"kms:ViaService": f"ec2.{REGION}.amazonaws.com", "kms:CallerAccount": ACCOUNT}
    shared = {"StringEquals": {"kms:CallerAccount": log_account}, "StringLike": logs}
    owners = {"AWS": [f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:user/username"]}
    reads = ["kms:Decrypt", "kms:ReEncryptFrom"]
    return [
        allow(owners, "kms:*", Sid="Enable IAM user permissions"),
        allow(
            CLOUDTRAIL,
            "kms:GenerateDataKey*",
            Sid="Allow CloudTrail to encrypt logs",
            Condition={"StringEquals": {"aws:SourceArn": TRAIL}, "StringLike": logs},
        ),
        allow(CLOUDTRAIL, "kms:DescribeKey", Sid="Allow CloudTrail to describe key"),
        allow({"AWS": "*"}, reads, Sid="Allow principals in the account to decrypt log files", Condition=use),
        allow({"AWS": "*"}, "kms:CreateAlias", Sid="Allow alias creation", Condition={"StringEquals": through}),
        allow({"AWS": "*"}, reads, Sid="Enable cross account log decryption", Condition=shared),
    ]


def control_tower_key_policy() -> list[dict[str, Any]]:
    """Control Tower user guide, "Optionally configure AWS KMS keys", with what CloudTrail's guide asks for besides."""
    logs = {CONTEXT: f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"}
    config = {"Service": "config.amazonaws.com"}
    return [
        key_statements()[0],
        allow(config, ["kms:Decrypt", "kms:GenerateDataKey"], KEY, Sid="Allow Config to use KMS for encryption"),
        allow(
            CLOUDTRAIL,
            ["kms:GenerateDataKey*", "kms:Decrypt"],
            KEY,
            Sid="Allow CloudTrail to use KMS for encryption",
            Condition={"StringEquals": {"aws:SourceArn": TRAIL}, "StringLike": logs},
        ),
        *key_statements()[3:],
        key_statements()[2],
    ]


def kms_default_key_policy() -> list[dict[str, Any]]:
    """KMS developer guide, "Default key policy": what the KMS console adds for administrators and users."""
    admin, user = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/KeyAdmin"}, {"AWS": f"arn:aws:iam::{ACCOUNT}:role/KeyUser"}
    admins = ["kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*"]
    uses = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    grants = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    return [
        *key_statements(),
        allow(admin, admins, Sid="Allow access for Key Administrators"),
        allow(user, uses, Sid="Allow use of the key"),
        allow(user, ["kms:CreateGrant", "kms:ListGrants"], Sid="Allow attachment of resources", Condition=grants),
    ]


TWO_ACCOUNTS = [f"arn:aws:cloudtrail:*:{number}:trail/*" for number in (ACCOUNT, FOREIGN)]
BUCKET_KEY = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
MULTI_REGION_KEY = KEY.replace(KEY_ID, "mrk-1234abcd12ab34cd56ef1234567890ab")
BOTH = [BUCKET, f"{BUCKET}/*"]
PERIMETER = {
    "StringNotEqualsIfExists": {"aws:PrincipalOrgID": ORGANIZATION, "aws:PrincipalAccount": [ACCOUNT]},
    "BoolIfExists": {"aws:PrincipalIsAWSService": "false", "aws:ViaAWSService": "false"},
}
SSE, SSE_KEY = "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id"
NO_TLS = {"Bool": {"aws:SecureTransport": "false"}}

DOCUMENTED = [
    pytest.param(with_key_policy(base=console_key_policy()), {}, id="console-default-key-policy"),
    pytest.param(with_key_policy(base=kms_default_key_policy()), {}, id="kms-console-key-policy"),
    pytest.param(with_key_policy(base=control_tower_key_policy()), {}, id="control-tower-key-policy"),
    pytest.param(
        # CloudTrail user guide, "Configure AWS KMS key policies for CloudTrail": a key that two accounts encrypt with
        changed("key_policy.1.Condition.StringLike", {CONTEXT: TWO_ACCOUNTS}),
        {},
        id="key-of-two-accounts-trails",
    ),
    pytest.param(
        # the same page, "Granting decrypt permissions for trails": AllowCloudTrailDecryptTrail
        with_key_policy(allow(CLOUDTRAIL, "kms:Decrypt", Sid="AllowCloudTrailDecryptTrail"))
        | {"encryption": {"Rules": [BUCKET_KEY]}},
        {},
        id="s3-bucket-key",
    ),
    pytest.param(
        # the same page, "Allow users of a bucket in a different account to decrypt logs"
        with_key_policy(
            allow({"AWS": f"arn:aws:iam::{FOREIGN}:root"}, "kms:Decrypt", Condition={"Null": {CONTEXT: "false"}})
        ),
        {"decrypt_accounts": [FOREIGN]},
        id="readers-of-another-account",
    ),
    pytest.param(
        # KMS developer guide, "Multi-Region keys in AWS KMS"
        changed("metadata.Arn", MULTI_REGION_KEY, changed("metadata.MultiRegion", True))
        | {"expected_key": {"Arn": MULTI_REGION_KEY}},
        {"kms_key_arn": MULTI_REGION_KEY},
        id="multi-region-key",
    ),
    pytest.param(
        # CloudTrail user guide, "Setting bucket policy for multiple accounts"
        with_bucket_policy(
            base=[
                {**statement, "Condition": json.loads(json.dumps(statement["Condition"]).replace(f'"{TRAIL}"', arns))}
                for statement in [
                    bucket_statements()[0],
                    bucket_statements()[1]
                    | {"Resource": [f"{BUCKET}/AWSLogs/{number}/*" for number in (ACCOUNT, FOREIGN)]},
                ]
                for arns in [json.dumps([TRAIL, TRAIL.replace(ACCOUNT, FOREIGN)])]
            ]
        ),
        {},
        id="bucket-of-two-accounts-trails",
    ),
    pytest.param(
        changed("description.S3KeyPrefix", "audit")
        | {"bucket_policy": bucket_statements(TRAIL, f"audit/AWSLogs/{ACCOUNT}")},
        {},
        id="log-file-prefix",
    ),
    pytest.param(
        # CloudTrail user guide, "CloudTrail digest file structure": the two folders of a trail, and nothing else
        changed(
            "bucket_policy.1.Resource", [f"{BUCKET}/AWSLogs/{ACCOUNT}/CloudTrail{kind}/*" for kind in ("", "-Digest")]
        ),
        {},
        id="folders-of-logs-and-digests",
    ),
    # S3 user guide, "Security best practices for Amazon S3": enforce encryption of data in transit
    pytest.param(with_bucket_policy(deny("s3:*", BOTH, Condition=NO_TLS)), {"tls_only": True}, id="tls-only"),
    pytest.param(
        # AWS re:Post knowledge center, "How do I enforce TLS 1.2 or later for my Amazon S3 buckets?"
        with_bucket_policy(
            deny("s3:*", BOTH, Principal={"AWS": "*"}, Condition={"NumericLessThan": {"s3:TlsVersion": 1.2}})
        ),
        {"tls_only": True},
        id="tls-version",
    ),
    pytest.param(
        # S3 user guide, "Using server-side encryption with AWS KMS keys (SSE-KMS)": require it
        with_bucket_policy(
            deny("s3:PutObject", f"{BUCKET}/*", Condition={"StringNotEquals": {SSE: "aws:kms"}}),
            deny("s3:PutObject", f"{BUCKET}/*", Condition={"Null": {SSE: "true"}}),
            deny("s3:PutObject", f"{BUCKET}/*", Condition={"ArnNotEqualsIfExists": {SSE_KEY: KEY}}),
        ),
        {},
        id="deny-without-sse-kms",
    ),
    # IAM user guide, "Establish permissions guardrails using data perimeters"
    pytest.param(with_bucket_policy(deny("s3:*", BOTH, Condition=PERIMETER)), {}, id="data-perimeter"),
    pytest.param(
        # IAM user guide, "AWS global condition context keys", aws:PrincipalIsAWSService
        with_bucket_policy(
            deny(
                "s3:PutObject",
                f"{BUCKET}/*",
                Condition={
                    "StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-111bbb22"},
                    "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
                },
            )
        ),
        {},
        id="deny-but-from-a-vpc",
    ),
    pytest.param(account() | {"block": MISSING, "account_block": account()["block"]}, {}, id="blocked-by-account"),
    pytest.param(account() | {"ownership": MISSING}, {}, id="object-writer-ownership"),
    pytest.param(account() | {"lifecycle": MISSING}, {"retention_days": None}, id="no-lifecycle"),
]


@pytest.mark.parametrize(("raw", "told"), DOCUMENTED)
def test_what_aws_documents_passes(raw: dict[str, Any], told: dict[str, Any]) -> None:
    assert verdicts(raw, parameters(**told)) == {}


def organization_bucket_policy(trail: str = TRAIL) -> list[dict[str, Any]]:
    """CloudTrail user guide, "Amazon S3 bucket policy for CloudTrail": for an organization trail."""
    write = bucket_statements(trail, f"AWSLogs/{ORGANIZATION}")[1] | {"Sid": "AWSCloudTrailOrganizationWrite20150319"}
    return [*bucket_statements(trail), write]


def control_tower_bucket_policy() -> list[dict[str, Any]]:
    """Control Tower user guide, "Amazon S3 bucket policy in the audit account"."""
    services = {"Service": ["cloudtrail.amazonaws.com", "config.amazonaws.com"]}
    inside = {"StringEquals": {"aws:SourceOrgID": ORGANIZATION}}
    folder = f"{BUCKET}/{ORGANIZATION}/AWSLogs"
    return [
        deny("s3:*", BOTH, Sid="AllowSSLRequestsOnly", Condition=NO_TLS),
        allow(services, "s3:GetBucketAcl", BUCKET, Sid="AWSBucketPermissionsCheck"),
        allow(services, "s3:ListBucket", BUCKET, Sid="AWSConfigBucketExistenceCheck"),
        allow({"Service": "config.amazonaws.com"}, "s3:PutObject", f"{folder}/*/*", Sid="AWSBucketDeliveryForConfig"),
        allow(
            CLOUDTRAIL,
            "s3:PutObject",
            [f"{folder}/{ACCOUNT}/*", f"{folder}/{ORGANIZATION}/*"],
            Sid="AWSBucketDeliveryForOrganizationCloudTrail",
            Condition=inside,
        ),
    ]


def organization_account(**more: Any) -> dict[str, Any]:
    return changed("description.IsOrganizationTrail", True) | {"bucket_policy": organization_bucket_policy()} | more


CONTROL_TOWER = {"description": account()["description"] | {"IsOrganizationTrail": True, "S3KeyPrefix": ORGANIZATION}}


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        pytest.param(organization_account(), {}, id="management-account"),
        # CloudTrail user guide, "Creating a trail for an organization": members see the trail
        pytest.param(
            organization_account(caller={"account": MEMBER, "date": account()["caller"]["date"]}),
            {"account_id": MEMBER},
            id="member-account",
        ),
        pytest.param(
            organization_account(bucket_policy=[organization_bucket_policy()[0], organization_bucket_policy()[2]]),
            {},
            id="organization-folder-alone",
        ),
        pytest.param(
            organization_account(
                bucket_policy=[
                    organization_bucket_policy()[0],
                    organization_bucket_policy()[2]
                    | {
                        "Resource": [
                            f"{BUCKET}/AWSLogs/{ORGANIZATION}/*/CloudTrail{kind}/*" for kind in ("", "-Digest")
                        ]
                    },
                ]
            ),
            {},
            id="organization-folders-of-logs-and-digests",
        ),
        pytest.param(
            account() | CONTROL_TOWER | {"bucket_policy": control_tower_bucket_policy()},
            {"log_bucket_account": ARCHIVE},
            id="control-tower",
        ),
    ],
)
def test_an_organization_trail_passes(raw: dict[str, Any], target: dict[str, str]) -> None:
    assert verdicts(raw, parameters(target, organization_id=ORGANIZATION)) == {}


def test_an_organization_trail_needs_the_organization() -> None:
    found = verdicts(organization_account())
    assert found.keys() == {"IQ-09"}
    assert "The parameter expected.organization_id is not stated." in found["IQ-09"]


def test_a_condition_on_the_trails_organization_needs_it_too() -> None:
    inside = {"StringEquals": {"aws:SourceOrgID": ORGANIZATION}}
    base = [statement | {"Condition": inside} for statement in bucket_statements()]
    finding = judged("IQ-09", with_bucket_policy(base=base))
    assert finding.verdict is INCONCLUSIVE
    assert "The parameter expected.organization_id is not stated." in finding.message
    assert judged("IQ-09", with_bucket_policy(base=base), parameters(organization_id=ORGANIZATION)).verdict is PASS


def test_an_organization_trail_fails_where_members_cannot_be_written() -> None:
    base = [organization_bucket_policy()[0], bucket_statements(TRAIL, f"AWSLogs/{ORGANIZATION}/{ACCOUNT}")[1]]
    finding = judged("IQ-09", organization_account(bucket_policy=base), parameters(organization_id=ORGANIZATION))
    assert unmet(finding) == ["CloudTrail writes the trail's logs and digests"]


def archive() -> dict[str, Any]:
    """CloudTrail user guide, "Receiving CloudTrail log files from multiple accounts": key and bucket in another one.

    The key policy lets the trail's account decrypt, as the console writes it ("Enable cross account log decryption").
    """
    key = KEY.replace(ACCOUNT, ARCHIVE)
    raw = changed("description.KmsKeyId", key, changed("metadata.Arn", key)) | {"expected_key": {"Arn": key}}
    reader = allow({"AWS": f"arn:aws:iam::{FOREIGN}:role/Auditor"}, "s3:GetObject", f"{BUCKET}/AWSLogs/{ACCOUNT}/*")
    auditor = allow({"AWS": f"arn:aws:iam::{FOREIGN}:role/Auditor"}, "kms:Decrypt")
    return raw | {
        "key_policy": [*key_statements(TRAIL, ARCHIVE), *console_key_policy()[3:], auditor],
        "bucket_policy": [*bucket_statements(), reader],
        "simulations": {READER: "allowed"},
    }


ARCHIVED = {"log_bucket_account": ARCHIVE}


def test_a_central_log_archive_passes() -> None:
    told = parameters(ARCHIVED, kms_key_arn=KEY.replace(ACCOUNT, ARCHIVE), decrypt_accounts=[FOREIGN])
    assert verdicts(archive(), told) == {}


def test_a_reader_that_the_archive_does_not_name_fails() -> None:
    found = verdicts(archive(), parameters(ARCHIVED, kms_key_arn=KEY.replace(ACCOUNT, ARCHIVE)))
    assert found.keys() == {"IQ-07", "IQ-09"}
    auditor = f"The policy must not let in arn:aws:iam::{FOREIGN}:role/Auditor, but it does:"
    assert f"{auditor} kms:Decrypt allowed by statement 8." in found["IQ-07"]
    assert f"{auditor} s3:GetObject allowed by statement 3." in found["IQ-09"]


def test_the_stranger_is_none_of_the_accounts_in_use() -> None:
    nines = "9" * 12
    text = json.dumps(account() | {"account_block": {}, "trail": TRAIL}).replace(ACCOUNT, nines)
    raw = json.loads(text) | {
        "account_block": MISSING,
        "enabled": (REGION,),
        "aliases": (ALIAS,),
        "clock": account()["clock"],
    }
    raw |= {"grants": tuple(raw["grants"]), "regions": {REGION: (raw["trail"],)}}
    stated = {"trail_arn": TRAIL, "kms_key_arn": KEY}
    told = {name: value.replace(ACCOUNT, nines) for name, value in stated.items()}
    told = parameters({"account_id": nines}, **told, reader_role_arns=None)
    assert verdicts(raw, told) == {}


# IQ-07: who may use the key


USES = (
    "CloudTrail encrypts without the encryption context",
    "CloudTrail encrypts with a foreign aws:SourceArn",
    "CloudTrail encrypts for another account's trail",
)
STRANGER, MENTIONED, GRANT = (
    "decryption by a stranger",
    "decryption by others whom the policy mentions",
    "decryption by grant",
)
STATEMENTS = key_statements()
UNBOUND = {"StringLike": {CONTEXT: f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"}}
FOREIGN_ROOT, FOREIGN_ROLE = {"AWS": f"arn:aws:iam::{FOREIGN}:root"}, {"AWS": f"arn:aws:iam::{FOREIGN}:role/x"}
ANYONE = {"AWS": "*"}


def encrypting(**condition: Any) -> list[dict[str, Any]]:
    """Return the key policy with the condition of CloudTrail's encryption replaced."""
    return [STATEMENTS[0], STATEMENTS[1] | {"Condition": condition}, *STATEMENTS[2:]]


@pytest.mark.parametrize(
    ("base", "more", "conditions"),
    [
        pytest.param([*STATEMENTS[:1], *STATEMENTS[2:]], [], ["CloudTrail encrypts for the trail"], id="no-encryption"),
        pytest.param(STATEMENTS[:3], [], ["CloudTrail describes the key"], id="no-description"),
        pytest.param(encrypting(StringEquals={"aws:SourceArn": TRAIL}), [], list(USES[:1]), id="no-encryption-context"),
        pytest.param(encrypting(**UNBOUND), [], list(USES[1:2]), id="no-source-arn"),
        pytest.param(
            encrypting(StringLike={CONTEXT: "arn:aws:cloudtrail:*:*:trail/*"}),
            [],
            list(USES[1:]),
            id="trails-of-anybody",
        ),
        pytest.param(
            STATEMENTS,
            [allow(CLOUDTRAIL, "kms:GenerateDataKeyWithoutPlaintext")],
            list(USES),
            id="another-way-to-encrypt",
        ),
        pytest.param(
            STATEMENTS,
            [deny("kms:GenerateDataKey", "*", Principal=CLOUDTRAIL)],
            ["CloudTrail encrypts for the trail"],
            id="denied-on-top",
        ),
        pytest.param(
            STATEMENTS,
            [deny("kms:*", "*", Condition={"StringNotEquals": {"aws:SourceVpce": "vpce-1"}})],
            ["CloudTrail encrypts for the trail", "CloudTrail describes the key", f"{READER} may decrypt"],
            id="denied-but-from-a-vpc",
        ),
        pytest.param(STATEMENTS, [allow(ANYONE, "kms:Decrypt")], [STRANGER], id="everyone"),
        pytest.param(STATEMENTS, [allow("*", "kms:ReEncrypt*")], [STRANGER], id="everyone-re-encrypts"),
        pytest.param(STATEMENTS, [allow(ANYONE, "kms:CreateGrant")], [STRANGER], id="everyone-grants"),
        pytest.param(STATEMENTS, [allow(ANYONE, "kms:PutKeyPolicy")], [STRANGER], id="everyone-rewrites-the-policy"),
        pytest.param(
            STATEMENTS,
            [{"Effect": "Allow", "Principal": ANYONE, "NotAction": ["kms:Generate*", "kms:Encrypt"], "Resource": "*"}],
            [STRANGER],
            id="everyone-by-not-action",
        ),
        pytest.param(
            STATEMENTS,
            [{"Effect": "Allow", "NotPrincipal": {"AWS": READER}, "Action": "kms:Decrypt", "Resource": "*"}],
            [STRANGER],
            id="everyone-but-one",
        ),
        pytest.param(
            STATEMENTS,
            [allow(ANYONE, "kms:Decrypt", Condition={"StringLike": {"aws:PrincipalOrgID": "o-*"}})],
            [STRANGER, MENTIONED],
            id="everyone-in-any-organization",
        ),
        pytest.param(STATEMENTS, [allow(FOREIGN_ROOT, "kms:*")], [MENTIONED], id="foreign-account"),
        pytest.param(STATEMENTS, [allow({"AWS": FOREIGN}, "kms:Decrypt")], [MENTIONED], id="foreign-account-by-id"),
        pytest.param(STATEMENTS, [allow(FOREIGN_ROLE, "kms:Decrypt")], [MENTIONED], id="foreign-role"),
        pytest.param(
            STATEMENTS,
            [{"Effect": "Allow", "Principal": FOREIGN_ROLE, "NotAction": "kms:Delete*", "Resource": "*"}],
            [MENTIONED],
            id="foreign-role-by-not-action",
        ),
        pytest.param(
            STATEMENTS,
            [allow(ANYONE, "kms:Decrypt", Condition={"StringEquals": {"kms:CallerAccount": [ACCOUNT, FOREIGN]}})],
            [MENTIONED],
            id="foreign-account-by-condition",
        ),
        pytest.param(
            STATEMENTS,
            [allow(ANYONE, "kms:Decrypt", Condition={"StringLike": {"kms:CallerAccount": "3333*"}})],
            [MENTIONED],
            id="foreign-accounts-by-wildcard",
        ),
        pytest.param(
            STATEMENTS,
            [allow(ANYONE, "kms:Decrypt", Condition={"StringEquals": {"AWS:PrincipalAccount": FOREIGN}})],
            [MENTIONED],
            id="foreign-account-whatever-the-case-of-the-key",
        ),
        pytest.param(
            STATEMENTS,
            [allow(ANYONE, "kms:Decrypt", Condition={"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/Reader"}})],
            [MENTIONED],
            id="a-role-name-in-any-account",
        ),
        pytest.param(
            STATEMENTS,
            [allow(ANYONE, "kms:Decrypt", Condition={"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}})],
            [MENTIONED],
            id="whole-organization",
        ),
        pytest.param(
            STATEMENTS,
            [
                allow(
                    ANYONE,
                    "kms:Decrypt",
                    Condition={"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": f"{ORGANIZATION}/r-ab12/*"}},
                )
            ],
            [MENTIONED],
            id="organizational-unit",
        ),
        pytest.param(console_key_policy(FOREIGN), [STATEMENTS[2]], [MENTIONED], id="console-cross-account-decryption"),
        pytest.param(
            [
                STATEMENTS[0] | {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/Admin"}},
                STATEMENTS[1],
                STATEMENTS[3],
            ],
            [],
            [f"{READER} may decrypt"],
            id="reader-not-let-in",
        ),
    ],
)
def test_a_key_policy_fails(base: list[Any], more: list[Any], conditions: list[str]) -> None:
    finding = judged("IQ-07", with_key_policy(*more, base=base))
    assert finding.verdict is FAIL
    assert unmet(finding) == conditions, finding.message
    assert open_(finding) == []


@pytest.mark.parametrize(
    ("more", "condition", "words"),
    [
        pytest.param(
            allow(ANYONE, "kms:Decrypt", Condition={"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}),
            STRANGER,
            "the value of aws:SourceIp is not known",
            id="everyone-from-a-network",
        ),
        pytest.param(
            allow(ANYONE, "kms:Decrypt", Condition={"StringEquals": {"aws:SourceVpce": "vpce-1"}}),
            STRANGER,
            "the value of aws:SourceVpce is not known",
            id="everyone-from-a-vpc-endpoint",
        ),
        pytest.param(
            allow(ANYONE, "kms:Decrypt", Condition={"StringEquals": {"kms:ViaService": "ec2.us-east-1.amazonaws.com"}}),
            STRANGER,
            "the value of kms:ViaService is not known",
            id="everyone-through-a-service",
        ),
        pytest.param(
            allow(ANYONE, "kms:Decrypt", Condition={"StringEquals": {"aws:PrincipalTag/team": "gxp"}}),
            STRANGER,
            "the value of aws:PrincipalTag/team is not known",
            id="everyone-with-a-tag",
        ),
        pytest.param(
            allow(ANYONE, "kms:Decrypt", Condition={"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}),
            STRANGER,
            "the value of aws:CurrentTime is not known",
            id="everyone-for-some-time",
        ),
        pytest.param(
            allow({"Federated": f"arn:aws:iam::{FOREIGN}:saml-provider/idp"}, "kms:Decrypt"),
            MENTIONED,
            "Federated principal",
            id="federated",
        ),
        pytest.param(
            allow(FOREIGN_ROOT, "kms:CreateGrant", Condition={"Bool": {"kms:GrantIsForAWSResource": "true"}}),
            MENTIONED,
            "kms:GrantIsForAWSResource is not known",
            id="foreign-grants-for-services",
        ),
        pytest.param(
            allow(ANYONE, "kms:Decrypt", Condition={"StringSounds": {"aws:PrincipalArn": "x"}}),
            STRANGER,
            "'StringSounds' is not known",
            id="unknown-operator",
        ),
        pytest.param(
            deny(
                "kms:GenerateDataKey*", "*", Condition={"DateGreaterThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}
            ),
            "CloudTrail encrypts for the trail",
            "the value of aws:CurrentTime is not known",
            id="denied-from-some-day-on",
        ),
    ],
)
def test_a_key_policy_that_cannot_be_decided_is_inconclusive(more: dict[str, Any], condition: str, words: str) -> None:
    finding = judged("IQ-07", with_key_policy(more))
    assert finding.verdict is INCONCLUSIVE, finding.message
    assert condition in open_(finding)
    assert words in finding.message


@pytest.mark.parametrize(
    ("more", "told"),
    [
        pytest.param(allow(FOREIGN_ROLE, "kms:Decrypt"), {"decrypt_accounts": [FOREIGN]}, id="named-account"),
        pytest.param(
            allow({"AWS": OUTSIDE_READER}, "kms:Decrypt"),
            {"reader_role_arns": [READER, OUTSIDE_READER]},
            id="named-role",
        ),
        pytest.param(allow(FOREIGN_ROOT, ["kms:Encrypt", "kms:DescribeKey"]), {}, id="foreign-but-no-decryption"),
        pytest.param(allow({"AWS": "AROAEXAMPLEEXAMPLE123"}, "kms:Decrypt"), {}, id="deleted-role"),
        pytest.param(
            allow(
                ANYONE,
                "kms:Decrypt",
                Condition={
                    "ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/*"}
                },
            ),
            {},
            id="own-roles-by-condition",
        ),
        pytest.param(deny("kms:Decrypt", "*", Condition={"Null": {CONTEXT: "true"}}), {}, id="deny-without-context"),
        pytest.param(deny("kms:*", "*", Condition=NO_TLS), {}, id="deny-without-tls"),
        pytest.param(
            deny(
                "kms:Decrypt",
                "*",
                Principal=ANYONE,
                Condition={"StringNotEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}},
            ),
            {},
            id="deny-but-through-s3",
        ),
        pytest.param(deny("kms:GenerateDataKeyPair*", "*"), {}, id="deny-of-what-cloudtrail-does-not-use"),
        pytest.param(deny("kms:Decrypt", "*", Principal=FOREIGN_ROOT), {}, id="deny-of-another-account"),
    ],
)
def test_a_key_policy_passes(more: dict[str, Any], told: dict[str, Any]) -> None:
    raw = with_key_policy(more) | {"simulations": {OUTSIDE_READER: "allowed"}}
    finding = judged("IQ-07", raw, parameters(**told))
    assert finding.verdict is PASS, finding.message


@pytest.mark.parametrize(
    ("statement", "who"),
    [
        (allow(FOREIGN_ROOT, "kms:Decrypt"), f"account {FOREIGN}"),
        (allow({"AWS": FOREIGN}, "kms:Decrypt"), f"account {FOREIGN}"),
        (allow({"AWS": "9" * 12}, "kms:Decrypt"), f"account {'9' * 12}"),
        (allow(FOREIGN_ROLE, "kms:Decrypt"), FOREIGN_ROLE["AWS"]),
        (
            allow(FOREIGN_ROOT, "kms:Decrypt", Condition={"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}}),
            f"account {FOREIGN}",
        ),
        *(
            (allow(ANYONE, "kms:Decrypt", Condition={"StringLike": {key: value}}), who)
            for key, value, who in (
                ("kms:CallerAccount", "33333333333?", "account 333333333330"),
                ("kms:CallerAccount", "3*3*4", "account 300000000034"),
                ("aws:PrincipalArn", f"arn:aws:iam::{FOREIGN}:root", f"arn:aws:iam::{FOREIGN}:root"),
                ("aws:PrincipalArn", f"arn:aws:iam::{FOREIGN}:*", f"account {FOREIGN}"),
                ("aws:PrincipalArn", f"arn:*:iam::{FOREIGN}:role/x", f"arn:aws:iam::{FOREIGN}:role/x"),
                ("aws:PrincipalArn", f"arn:aws:iam::{FOREIGN}:role/t?/*", f"arn:aws:iam::{FOREIGN}:role/tx/any"),
                ("aws:PrincipalArn", f"arn:aws:iam::{FOREIGN}:user/*", f"arn:aws:iam::{FOREIGN}:user/any"),
                ("aws:PrincipalOrgID", ORGANIZATION, f"everyone in the organization {ORGANIZATION}"),
                ("aws:PrincipalOrgPaths", f"{ORGANIZATION}/*", f"everyone in the organization {ORGANIZATION}/*"),
            )
        ),
    ],
)
def test_whom_a_key_policy_mentions_is_named(statement: dict[str, Any], who: str) -> None:
    finding = judged("IQ-07", with_key_policy(statement))
    assert unmet(finding) == [MENTIONED], finding.message
    assert f"The policy must not let in {who}, but it does: kms:Decrypt" in finding.message


@pytest.mark.parametrize("action", ["kms:Decrypt", "kms:ReEncryptFrom", "kms:CreateGrant", "kms:PutKeyPolicy"])
def test_no_way_to_decrypt_is_open_to_others(action: str) -> None:
    finding = judged("IQ-07", with_key_policy(allow(FOREIGN_ROLE, action)))
    assert unmet(finding) == [MENTIONED]
    assert finding.expected[MENTIONED] == finding.expected[GRANT] == {"none but": [ACCOUNT, READER]}
    assert f"but it does: {action} allowed by statement 5." in finding.message


def test_every_statement_that_denies_is_told() -> None:
    finding = judged("IQ-07", with_key_policy(deny("kms:DescribeKey", "*"), deny("kms:Describe*", "*")))
    assert "which is denied by statement 5, statement 6." in finding.message


def test_whoever_reads_log_files_names_the_encryption_context() -> None:
    condition = {"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "aws:cloudtrail:arn"}}
    finding = judged(
        "IQ-07", with_key_policy(allow({"AWS": f"arn:aws:iam::{FOREIGN}:root"}, "kms:Decrypt", Condition=condition))
    )
    assert finding.verdict is FAIL, finding.message


def test_a_key_without_an_arn_has_no_policy_that_can_be_judged() -> None:
    finding = judged("IQ-07", changed("metadata.Arn", ..., changed("description.KmsKeyId", ALIAS)))
    assert open_(finding) == ["key policy"]
    assert "does not say: key ARN." in finding.message


def test_a_lock_that_the_answer_does_not_tell_is_not_known() -> None:
    raw = changed("object_lock.Rule.DefaultRetention.Mode", ...)
    assert "does not say: Object Lock." in str(judged("IQ-10", raw).observations["Object Lock"])


@pytest.mark.parametrize("action", ["kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:Encrypt"])
def test_no_way_to_encrypt_is_open_to_cloudtrail_for_another_trail(action: str) -> None:
    finding = judged("IQ-07", with_key_policy(allow(CLOUDTRAIL, action)))
    assert unmet(finding) == list(USES)
    assert finding.message.count(f"but it does: {action} allowed by statement 5.") == 3


@pytest.mark.parametrize(
    "bound",
    [
        {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["aws:cloudtrail:arn", "aws:s3:arn"]}},
        {"StringLike": {"kms:EncryptionContext:aws:s3:arn": f"{BUCKET}/*"}},
        {"StringEquals": {"aws:SourceArn": TRAIL, "kms:ViaService": f"s3.{REGION}.amazonaws.com"}},
    ],
)
def test_what_cloudtrail_sends_besides_is_not_known(bound: dict[str, Any]) -> None:
    condition = STATEMENTS[1]["Condition"] | bound | {"StringLike": UNBOUND["StringLike"] | bound.get("StringLike", {})}
    finding = judged("IQ-07", with_key_policy(base=encrypting(**condition)))
    assert open_(finding) == ["CloudTrail encrypts for the trail"]
    assert "is not known" in finding.message


def test_a_policy_that_leaves_it_to_identity_policies_is_told() -> None:
    finding = judged("IQ-07", account())
    assert "Enable IAM User Permissions" in finding.observations["left to identity policies"]
    assert finding.observations["who can decrypt, by policy"][0] == f"arn:aws:iam::{ACCOUNT}:root"
    without = judged("IQ-07", with_key_policy(base=STATEMENTS[1:]))
    assert without.verdict is PASS
    assert "left to identity policies" not in without.observations


@pytest.mark.parametrize("key", ["aws:SourceArn", "aws:SourceAccount", "aws:SourceOrgID", "aws:SourceOwner"])
def test_what_only_services_send_lets_in_no_stranger(key: str) -> None:
    # S3 user guide, "Blocking public access to your Amazon S3 storage": a policy bound by these is not public
    bound = {"StringLike": {key: "*"}}
    assert judged("IQ-07", with_key_policy(allow(ANYONE, "kms:Decrypt", Condition=bound))).verdict is PASS


@pytest.mark.parametrize("key", ["aws:userid", "aws:username", "aws:MultiFactorAuthPresent", "aws:PrincipalTag/team"])
def test_what_only_identities_send_lets_in_nobody_anonymous(key: str) -> None:
    bound = {"StringLike": {key: "*"}}
    finding = judged("IQ-09", with_bucket_policy(allow(ANYONE, "s3:GetObject", OBJECTS, Condition=bound)))
    assert finding.verdict is INCONCLUSIVE
    assert "It stays open for a stranger of any other account" in finding.message
    assert "anonymous" not in finding.message
    assert "organization" not in finding.message


def test_a_trail_may_be_bound_by_its_account() -> None:
    # CloudTrail user guide, "Configure AWS KMS key policies for CloudTrail": supported, though not recommended
    bound = {"StringEquals": {"aws:SourceAccount": ACCOUNT}} | UNBOUND
    assert judged("IQ-07", with_key_policy(base=encrypting(**bound))).verdict is PASS


def test_where_a_trail_is_in_its_organization_is_not_known() -> None:
    bound = {"ForAnyValue:StringLike": {"aws:SourceOrgPaths": f"{ORGANIZATION}/*"}} | UNBOUND
    finding = judged("IQ-07", with_key_policy(base=encrypting(**bound)), parameters(organization_id=ORGANIZATION))
    assert open_(finding) == ["CloudTrail encrypts for the trail"]
    assert "the value of aws:SourceOrgPaths is not known" in finding.message
    assert "expected.organization_id" not in finding.message


def test_the_binding_to_a_trail_may_be_waived() -> None:
    told = parameters(require_source_arn=False)
    raw = with_key_policy(base=encrypting(**UNBOUND)) | {
        "bucket_policy": [
            bucket_statements()[0] | {"Condition": {}},
            bucket_statements()[1] | {"Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}},
        ]
    }
    for case in ("IQ-07", "IQ-09"):
        finding = judged(case, raw, told)
        assert finding.verdict is PASS, finding.message
        assert "waived" in finding.observations["aws:SourceArn"]
        assert judged(case, raw).verdict is FAIL


@pytest.mark.parametrize(
    ("rule", "decrypts", "expected"),
    [
        pytest.param(BUCKET_KEY, True, PASS, id="used-and-allowed"),
        pytest.param(BUCKET_KEY, False, FAIL, id="used-and-not-allowed"),
        pytest.param(BUCKET_KEY | {"BucketKeyEnabled": False}, False, PASS, id="not-used"),
        pytest.param(BUCKET_KEY | {"BucketKeyEnabled": "false"}, False, INCONCLUSIVE, id="no-boolean"),
        pytest.param({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}, False, PASS, id="sse-s3"),
        pytest.param(
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}, False, INCONCLUSIVE, id="unsaid"
        ),
        pytest.param(
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}, True, PASS, id="unsaid-but-allowed"
        ),
    ],
)
def test_an_s3_bucket_key_needs_decryption(rule: dict[str, Any], decrypts: bool, expected: Verdict) -> None:
    more = [allow(CLOUDTRAIL, "kms:Decrypt")] if decrypts else []
    finding = judged("IQ-07", with_key_policy(*more) | {"encryption": {"Rules": [rule]}})
    assert finding.verdict is expected, finding.message


def test_one_rule_that_does_not_tell_of_a_bucket_key_leaves_it_open() -> None:
    by_kms = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    rules = [by_kms | {"BucketKeyEnabled": False}, by_kms]
    finding = judged("IQ-07", account() | {"encryption": {"Rules": rules}})
    assert open_(finding) == ["CloudTrail decrypts, for the S3 Bucket Key"]


def test_each_reader_is_judged() -> None:
    readers = [READER + "2", READER, READER + "3"]
    finding = judged("IQ-07", account() | {"simulations": {}}, parameters(reader_role_arns=readers))
    assert [finding.met[f"{reader} may decrypt"] for reader in readers] == [None, True, None]


def test_readers_speak_tls() -> None:
    statements = key_statements()
    statements[2]["Condition"] |= {"Bool": {"aws:SecureTransport": "true"}}
    assert judged("IQ-07", with_key_policy(base=statements)).met[f"{READER} may decrypt"] is True


def test_what_an_organizations_condition_needs_is_told_of_encryption_and_of_decryption() -> None:
    bound = {"StringEquals": {"aws:SourceOrgID": ORGANIZATION}}
    statements = [*encrypting(**bound), allow(CLOUDTRAIL, "kms:Decrypt", Condition=bound)]
    raw = with_key_policy(base=statements)
    raw["encryption"]["Rules"][0] = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True,
    }  # fmt: skip
    finding = judged("IQ-07", raw)
    assert finding.met["CloudTrail decrypts, for the S3 Bucket Key"] is None
    assert finding.message.count("The parameter expected.organization_id is not stated.") >= 1


def test_cloudtrail_writes_nowhere_for_another_accounts_trail() -> None:
    any_trail = {"StringLike": {"aws:SourceArn": "arn:aws:cloudtrail:*:*:trail/*"}}
    finding = judged(
        "IQ-09", with_bucket_policy(allow(CLOUDTRAIL, "s3:PutObject", f"{BUCKET}/other/*", Condition=any_trail))
    )
    assert unmet(finding) == ["CloudTrail writes with a foreign aws:SourceArn"]


def test_every_statement_that_lets_cloudtrail_write_is_told() -> None:
    reads, writes = bucket_statements()
    parts = [
        writes | {"Sid": kind, "Resource": f"{BUCKET}/AWSLogs/{ACCOUNT}/{kind}/*"}
        for kind in ("CloudTrail", "CloudTrail-Digest")
    ]
    finding = judged("IQ-09", with_bucket_policy(base=[reads, *parts]))
    assert finding.actual[WRITES_LOGS] == 'allowed by statement "CloudTrail", statement "CloudTrail-Digest"'


def test_every_region_that_is_not_known_is_told() -> None:
    enabled = (REGION, ELSEWHERE, "eu-west-1")
    denied = judged(
        "IQ-11", changed("enabled", enabled) | {"regions": {REGION: (TRAIL,), ELSEWHERE: DENIED, "eu-west-1": DENIED}}
    )
    assert f"denied; AccessDenied: no). cloudtrail:DescribeTrails in {ELSEWHERE}" in denied.message
    assert (
        f"Not asked: eu-west-1, {ELSEWHERE};"
        in judged("IQ-11", changed("enabled", enabled) | {"regions": {REGION: (TRAIL,)}}).message
    )


def test_a_trail_is_described_by_its_home_region() -> None:
    raw = changed("description.LogFileValidationEnabled", ...) | {"regions": {ELSEWHERE: (TRAIL,), REGION: (TRAIL,)}}
    assert f"The answer to cloudtrail:DescribeTrails in {REGION} does not say" in judged("IQ-08", raw).message


def test_one_region_that_did_not_answer_is_told_of_several() -> None:
    raw = changed("regions", {REGION: DENIED, ELSEWHERE: DENIED})
    assert judged("IQ-03", raw).message.count("gave no value") == 1


def test_both_public_access_blocks_that_are_not_known_are_told() -> None:
    message = judged("IQ-09", account() | {"block": DENIED, "account_block": DENIED}).message
    assert "denied; AccessDenied: no). s3control:GetPublicAccessBlock in" in message


def test_a_bucket_without_default_encryption_has_no_bucket_key() -> None:
    assert judged("IQ-07", account() | {"encryption": MISSING}).verdict is PASS
    assert judged("IQ-07", changed("description.S3BucketName", ...)).verdict is INCONCLUSIVE


@pytest.mark.parametrize(
    ("grant", "told", "expected"),
    [
        pytest.param({"GranteePrincipal": f"arn:aws:iam::{FOREIGN}:role/x"}, {}, FAIL, id="foreign-role"),
        pytest.param({"GranteePrincipal": f"arn:aws:sts::{FOREIGN}:assumed-role/x/y"}, {}, FAIL, id="foreign-session"),
        pytest.param({"GranteePrincipal": FOREIGN}, {}, FAIL, id="foreign-account"),
        pytest.param(
            {"GranteePrincipal": f"arn:aws:iam::{FOREIGN}:root", "Operations": ["CreateGrant"]}, {}, FAIL, id="grants"
        ),
        pytest.param(
            {"GranteePrincipal": f"arn:aws:iam::{FOREIGN}:root", "Operations": ["ReEncryptFrom"]},
            {},
            FAIL,
            id="re-encrypts",
        ),
        pytest.param(
            {"GranteePrincipal": f"arn:aws:iam::{FOREIGN}:root"},
            {"decrypt_accounts": [FOREIGN]},
            PASS,
            id="named-account",
        ),
        pytest.param({"GranteePrincipal": "rds.eu-central-1.amazonaws.com"}, {}, PASS, id="service"),
        pytest.param({"GranteeServicePrincipal": "dynamodb.amazonaws.com"}, {}, PASS, id="service-principal"),
        pytest.param({"GranteePrincipal": "ec2.cn-north-1.amazonaws.com.cn"}, {}, PASS, id="service-in-china"),
        pytest.param({"GranteePrincipal": "AROAEXAMPLEEXAMPLE123"}, {}, INCONCLUSIVE, id="no-account"),
        pytest.param({"GranteePrincipal": ["x"]}, {}, INCONCLUSIVE, id="no-text"),
        pytest.param({"GranteePrincipal": "arn:aws"}, {}, INCONCLUSIVE, id="no-whole-arn"),
        pytest.param({"GranteePrincipal": "twelve-chars"}, {}, INCONCLUSIVE, id="no-number"),
        pytest.param({"GranteePrincipal": FOREIGN, "Operations": "Decrypt"}, {}, INCONCLUSIVE, id="operations-no-list"),
        pytest.param({"GranteePrincipal": FOREIGN, "Operations": ["GenerateDataKey"]}, {}, PASS, id="no-decryption"),
    ],
)
def test_grants(grant: dict[str, Any], told: dict[str, Any], expected: Verdict) -> None:
    finding = judged("IQ-07", account() | {"grants": ({"Operations": ["Decrypt"]} | grant,)}, parameters(**told))
    assert finding.verdict is expected, finding.message
    assert finding.met[GRANT] is {PASS: True, FAIL: False, INCONCLUSIVE: None}[expected]


def test_every_holder_of_a_grant_is_told() -> None:
    def holding(*holders: str) -> Finding:
        grants = tuple({"GranteePrincipal": holder, "Operations": ["Decrypt"]} for holder in holders)
        return judged("IQ-07", account() | {"grants": grants})

    foreign = f"arn:aws:iam::{FOREIGN}:root"
    assert f"opens decryption to {MEMBER}, {foreign};" in holding(READER, MEMBER, foreign).message
    assert "can't be told of: AROAEXAMPLE, twelve-chars." in holding("twelve-chars", "AROAEXAMPLE", READER).message
    assert holding("twelve-chars", MEMBER).verdict is FAIL


def test_grants_that_were_not_asked_for_are_not_known() -> None:
    snapshot = build(account())
    (trail,) = snapshot.trails
    trails = (replace(trail, key=replace(trail.key, grants=None)),)
    (finding,) = CASES["IQ-07"].judge(replace(snapshot, trails=trails), parameters())
    assert open_(finding) == ["decryption by grant"]
    assert "does not say: who holds a grant on the key." in finding.message


@pytest.mark.parametrize(
    ("reader", "simulated", "expected", "words"),
    [
        pytest.param(READER, None, PASS, "", id="by-key-policy"),
        pytest.param(READER + "2", "allowed", PASS, "", id="left-to-identity-policies"),
        pytest.param(READER + "2", "implicitDeny", FAIL, "they do not let it decrypt", id="not-by-identity-policies"),
        pytest.param(
            READER + "2", "explicitDeny", FAIL, "they do not let it decrypt", id="denied-by-identity-policies"
        ),
        pytest.param(
            READER + "2", "undecided without kms:ViaService", INCONCLUSIVE, "undecided without", id="undecided"
        ),
        pytest.param(READER + "2", DENIED, INCONCLUSIVE, "iam:SimulatePrincipalPolicy", id="simulation-denied"),
        pytest.param(READER + "2", None, INCONCLUSIVE, "iam:SimulatePrincipalPolicy was not asked", id="not-simulated"),
        pytest.param(OUTSIDE_READER, "allowed", PASS, "", id="of-another-account"),
        pytest.param(OUTSIDE_READER, "implicitDeny", FAIL, "they do not let it decrypt", id="not-by-its-own-account"),
        pytest.param(OUTSIDE_READER + "2", "allowed", FAIL, "which is not allowed.", id="of-another-account-not-named"),
    ],
)
def test_readers(reader: str, simulated: Any, expected: Verdict, words: str) -> None:
    raw = with_key_policy(allow({"AWS": OUTSIDE_READER}, "kms:Decrypt"))
    raw["simulations"] = {} if simulated is None else {reader: simulated}
    finding = judged("IQ-07", raw, parameters(reader_role_arns=[reader], decrypt_accounts=[FOREIGN]))
    assert finding.verdict is expected, finding.message
    assert words in finding.message
    assert f"{reader} may decrypt" in finding.met


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", '{"Version": "2012-10-17", "Statement": []}', '{"Statement": [{"Effect": 1}]}'),
        pytest.param("\ud800", id="half a character"),
    ],
)
@pytest.mark.parametrize(("case", "name"), [("IQ-07", "key_policy"), ("IQ-09", "bucket_policy")])
def test_a_policy_that_is_none_is_inconclusive(case: str, name: str, text: str) -> None:
    finding = judged(case, account() | {name: text})
    assert finding.verdict is INCONCLUSIVE
    assert f"The answer to {CALLS[name]} in {REGION} is no policy that can be judged" in finding.message


# IQ-09: who reaches the bucket


LET_IN, READ, WRITE = (
    "access by a stranger",
    "reading by others whom the policy mentions",
    "writing or deleting by others whom the policy mentions",
)
WRITES_LOGS, BOUND = "CloudTrail writes the trail's logs and digests", "CloudTrail writes with a foreign aws:SourceArn"
ACL, WRITES = bucket_statements()
OBJECTS = f"{BUCKET}/*"
OWN_OBJECTS = f"{BUCKET}/AWSLogs/{ACCOUNT}/CloudTrail/*"


@pytest.mark.parametrize(
    ("base", "more", "conditions"),
    [
        pytest.param([WRITES], [], ["CloudTrail reads the bucket's ACL"], id="acl-not-read"),
        pytest.param([ACL], [], [WRITES_LOGS], id="nothing-written"),
        pytest.param(
            [ACL, WRITES | {"Resource": f"{BUCKET}/AWSLogs/{ACCOUNT}/CloudTrail/*"}], [], [WRITES_LOGS], id="no-digests"
        ),
        pytest.param(
            [ACL, WRITES | {"Resource": f"{BUCKET}/AWSLogs/{ACCOUNT}/*/{REGION}/*"}], [], [WRITES_LOGS], id="one-region"
        ),
        pytest.param(
            [ACL, WRITES | {"Resource": f"{BUCKET}/p/AWSLogs/{ACCOUNT}/*"}], [], [WRITES_LOGS], id="other-prefix"
        ),
        pytest.param(
            [ACL, WRITES],
            [deny("s3:PutObject", OBJECTS, Condition={"StringNotEquals": {SSE: "AES256"}})],
            [WRITES_LOGS],
            id="only-sse-s3",
        ),
        pytest.param(
            [ACL, WRITES],
            [deny("s3:*", BOTH, Condition={"StringNotEquals": {"aws:PrincipalOrgID": ORGANIZATION}})],
            ["CloudTrail reads the bucket's ACL", WRITES_LOGS],
            id="perimeter-that-forgets-services",
        ),
        pytest.param(
            [ACL, WRITES | {"Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}}],
            [],
            [BOUND],
            id="no-source-arn",
        ),
        pytest.param(
            [ACL, WRITES],
            [allow(CLOUDTRAIL, "s3:PutObject", f"{BUCKET}/AWSLogs/{FOREIGN}/*")],
            [BOUND],
            id="other-folder",
        ),
        pytest.param([ACL, WRITES], [allow("*", "s3:GetObject", OBJECTS)], [LET_IN], id="everyone-reads"),
        pytest.param(
            [ACL, WRITES], [allow("*", "s3:GetObject", OWN_OBJECTS)], [LET_IN], id="everyone-reads-these-logs"
        ),
        pytest.param(
            [ACL, WRITES],
            [allow("*", "s3:GetObject", f"{BUCKET}/AWSLogs/{ACCOUNT}/CloudTrail/ap-south-1/*")],
            [LET_IN],
            id="everyone-reads-some",
        ),
        pytest.param([ACL, WRITES], [allow(ANYONE, "s3:Delete*", OBJECTS)], [LET_IN], id="everyone-deletes"),
        pytest.param([ACL, WRITES], [allow(ANYONE, "s3:ListBucket", BUCKET)], [LET_IN], id="everyone-lists"),
        pytest.param(
            [ACL, WRITES], [allow(ANYONE, "s3:PutLifecycle*", BUCKET)], [LET_IN], id="everyone-sets-lifecycle"
        ),
        pytest.param(
            [ACL, WRITES], [allow(FOREIGN_ROLE, "s3:GetObject", OWN_OBJECTS)], [READ], id="foreign-role-reads"
        ),
        pytest.param([ACL, WRITES], [allow(FOREIGN_ROOT, "s3:List*", BUCKET)], [READ], id="foreign-account-lists"),
        pytest.param(
            [ACL, WRITES], [allow(FOREIGN_ROLE, "s3:PutObject", OWN_OBJECTS)], [WRITE], id="foreign-role-writes"
        ),
        pytest.param(
            [ACL, WRITES],
            [allow(FOREIGN_ROOT, "s3:DeleteObjectVersion", OBJECTS)],
            [WRITE],
            id="foreign-account-deletes",
        ),
        pytest.param(
            [ACL, WRITES],
            [allow(FOREIGN_ROLE, "s3:BypassGovernanceRetention", OBJECTS)],
            [WRITE],
            id="foreign-role-unlocks",
        ),
        pytest.param([ACL, WRITES], [allow(FOREIGN_ROOT, "s3:*", BOTH)], [READ, WRITE], id="foreign-account-does-all"),
        pytest.param(
            [ACL, WRITES],
            [allow("*", "s3:GetObject", OBJECTS, Condition={"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION}})],
            [READ],
            id="whole-organization-reads",
        ),
        pytest.param(
            [ACL, WRITES],
            [allow("*", "s3:PutObject", OBJECTS, Condition={"StringEquals": {"aws:PrincipalAccount": FOREIGN}})],
            [WRITE],
            id="foreign-account-writes-by-condition",
        ),
    ],
)
def test_a_bucket_policy_fails(base: list[Any], more: list[Any], conditions: list[str]) -> None:
    finding = judged("IQ-09", with_bucket_policy(*more, base=base))
    assert finding.verdict is FAIL
    assert unmet(finding) == conditions, finding.message


@pytest.mark.parametrize(
    ("more", "told", "expected"),
    [
        pytest.param(
            allow(FOREIGN_ROLE, "s3:GetObject", OBJECTS), {"decrypt_accounts": [FOREIGN]}, PASS, id="named-reads"
        ),
        pytest.param(
            allow(FOREIGN_ROLE, "s3:PutObject", OBJECTS), {"decrypt_accounts": [FOREIGN]}, FAIL, id="named-writes"
        ),
        pytest.param(allow(FOREIGN_ROOT, "s3:PutObject", f"{BUCKET}/alb/*"), {}, PASS, id="foreign-writes-elsewhere"),
        pytest.param(allow({"AWS": READER}, "s3:GetObject", OBJECTS), {}, PASS, id="own-role-reads"),
        pytest.param(allow({"AWS": READER}, "s3:DeleteObject", OBJECTS), {}, PASS, id="own-role-deletes"),
        pytest.param(
            allow("*", "s3:GetObject", OBJECTS, Condition={"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}),
            {},
            INCONCLUSIVE,
            id="everyone-from-a-network",
        ),
        pytest.param(
            allow({"CanonicalUser": OTHER_ID}, "s3:GetObject", OBJECTS), {}, INCONCLUSIVE, id="canonical-user"
        ),
        pytest.param(
            allow({"Service": "delivery.logs.amazonaws.com"}, "s3:PutObject", f"{BUCKET}/flow/*"),
            {},
            PASS,
            id="service",
        ),
        pytest.param(
            deny("s3:PutObject", OBJECTS, Condition={"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}),
            {},
            INCONCLUSIVE,
            id="deny-by-network",
        ),
    ],
)
def test_a_bucket_policy_is_judged(more: dict[str, Any], told: dict[str, Any], expected: Verdict) -> None:
    finding = judged("IQ-09", with_bucket_policy(more), parameters(**told))
    assert finding.verdict is expected, finding.message


READING = ("s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketAcl")
CHANGING = (
    *("s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectRetention", "s3:BypassGovernanceRetention", "s3:DeleteObject"),
    *(
        "s3:DeleteObjectVersion",
        "s3:ReplicateObject",
        "s3:ReplicateDelete",
        "s3:PutBucketPolicy",
        "s3:DeleteBucketPolicy",
    ),
    *(
        "s3:PutBucketAcl",
        "s3:PutBucketVersioning",
        "s3:PutBucketObjectLockConfiguration",
        "s3:PutLifecycleConfiguration",
    ),
    "s3:DeleteBucket",
)


@pytest.mark.parametrize("action", [*READING, *CHANGING])
def test_no_action_on_the_records_is_open_to_others(action: str) -> None:
    assert unmet(judged("IQ-09", with_bucket_policy(allow(ANYONE, action, BOTH)))) == [LET_IN]
    finding = judged("IQ-09", with_bucket_policy(allow(FOREIGN_ROLE, action, BOTH)))
    assert unmet(finding) == [READ if action in READING else WRITE]
    assert f"The policy must not let in {FOREIGN_ROLE['AWS']}, but it does: {action} allowed" in finding.message
    assert finding.expected[READ] == {"none but": [ACCOUNT, READER]}
    assert finding.expected[WRITE] == {"none but": [ACCOUNT]}


def test_who_is_named_in_the_buckets_own_account_is_told() -> None:
    finding = judged("IQ-09", with_bucket_policy(allow({"AWS": READER}, ["s3:GetObject", "s3:DeleteObject"], OBJECTS)))
    assert finding.observations["who can delete, by policy"] == [READER]
    assert finding.observations["who can read, by policy"] == [READER]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param([], FAIL, id="nothing"),
        pytest.param([deny("s3:*", OBJECTS, Condition=NO_TLS)], PASS, id="denied"),
        pytest.param([deny("s3:GetObject", OBJECTS, Condition=NO_TLS)], FAIL, id="reads-only"),
        pytest.param([deny("s3:*", f"{BUCKET}/other/*", Condition=NO_TLS)], FAIL, id="elsewhere"),
        pytest.param([deny("s3:*", OBJECTS, Principal=FOREIGN_ROOT, Condition=NO_TLS)], FAIL, id="somebody-else"),
        pytest.param(
            [deny("s3:*", OBJECTS, Condition=NO_TLS | {"StringEquals": {"aws:RequestedRegion": "x"}})],
            INCONCLUSIVE,
            id="unknown",
        ),
    ],
)
def test_insecure_transport(more: list[Any], expected: Verdict) -> None:
    raw = with_bucket_policy(*more)
    assert judged("IQ-09", raw, parameters(tls_only=True)).verdict is expected
    finding = judged("IQ-09", raw)
    assert (finding.verdict, finding.observations["insecure transport denied"]) == (PASS, expected is PASS)


def test_without_an_expected_log_bucket_any_will_do() -> None:
    finding = judged("IQ-09", account(), parameters(log_bucket=None))
    assert finding.verdict is PASS
    assert "log bucket" not in finding.met


def test_another_log_bucket_than_the_expected_one_fails() -> None:
    finding = judged("IQ-09", account(), parameters(log_bucket="other-logs"))
    assert unmet(finding) == ["log bucket"]
    assert f"delivers to {LOGS}, not to the expected bucket other-logs." in finding.message


@pytest.mark.parametrize(
    ("ownership", "bound", "expected"),
    [
        pytest.param("BucketOwnerEnforced", False, PASS, id="no-acls"),
        pytest.param("BucketOwnerPreferred", True, PASS, id="preferred-and-demanded"),
        pytest.param("BucketOwnerPreferred", False, FAIL, id="preferred-alone"),
        pytest.param("ObjectWriter", False, FAIL, id="writer"),
        pytest.param(MISSING, False, FAIL, id="never-set"),
        pytest.param(DENIED, True, PASS, id="denied-but-demanded"),
        pytest.param(DENIED, False, INCONCLUSIVE, id="denied"),
        pytest.param(None, False, INCONCLUSIVE, id="unsaid"),
    ],
)
def test_what_is_written_belongs_to_the_buckets_owner(ownership: Any, bound: bool, expected: Verdict) -> None:
    source = {"StringEquals": {"aws:SourceArn": TRAIL}}
    raw = with_bucket_policy(base=[ACL, WRITES if bound else WRITES | {"Condition": source}])
    raw["ownership"] = ownership if isinstance(ownership, Absence) else {"Rules": [{"ObjectOwnership": ownership}]}
    if ownership is None:
        raw["ownership"] = {"Rules": []}
    assert judged("IQ-09", raw).verdict is expected


GRANTEES = [
    pytest.param(
        {"URI": "http://acs.amazonaws.com/groups/global/AllUsers"}, {}, FAIL, "everyone (READ)", id="everyone"
    ),
    pytest.param(
        {"URI": "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"},
        {},
        FAIL,
        "with an AWS account",
        id="signed-in",
    ),
    pytest.param({"URI": "http://acs.amazonaws.com/groups/s3/LogDelivery"}, {}, PASS, "", id="access-logs"),
    pytest.param({"URI": "http://acs.amazonaws.com/groups/s3/Other"}, {}, FAIL, "the group", id="other-group"),
    pytest.param({"ID": OTHER_ID}, {}, FAIL, f"the canonical user {OTHER_ID} (READ)", id="other-account"),
    pytest.param({"ID": OTHER_ID}, {"decrypt_accounts": [FOREIGN]}, INCONCLUSIVE, "can't be told", id="perhaps-named"),
    pytest.param({"EmailAddress": "a@example.org"}, {}, FAIL, "the account of a@example.org", id="e-mail"),
    pytest.param({"Type": "CanonicalUser"}, {}, INCONCLUSIVE, "does not say", id="nobody"),
    pytest.param("AllUsers", {}, INCONCLUSIVE, "does not say", id="no-object"),
]


@pytest.mark.parametrize(("grantee", "told", "expected", "words"), GRANTEES)
def test_an_acl_is_told_whole(grantee: Any, told: dict[str, Any], expected: Verdict, words: str) -> None:
    raw = account()
    raw["acl"]["Grants"] += [{"Grantee": grantee, "Permission": permission} for permission in ("WRITE", "READ")]
    finding = judged("IQ-09", raw, parameters(**told))
    assert finding.verdict is expected
    assert words.replace(" (READ)", " (READ), ") in finding.message


def test_an_acl_that_lets_in_more_than_a_named_account_fails() -> None:
    raw = account()
    everyone = {"URI": "http://acs.amazonaws.com/groups/global/AllUsers"}
    raw["acl"]["Grants"] += [{"Grantee": one, "Permission": "READ"} for one in ({"ID": OTHER_ID}, everyone)]
    assert judged("IQ-09", raw, parameters(decrypt_accounts=[FOREIGN])).verdict is FAIL


@pytest.mark.parametrize(("grantee", "told", "expected", "words"), GRANTEES)
def test_the_acl_lets_in_nobody_else(grantee: Any, told: dict[str, Any], expected: Verdict, words: str) -> None:
    raw = account()
    raw["acl"]["Grants"].append({"Grantee": grantee, "Permission": "READ"})
    finding = judged("IQ-09", raw, parameters(**told))
    assert finding.verdict is expected
    assert words in finding.message


ALL_ON = account()["block"]
ALL_OFF = dict.fromkeys(ALL_ON, False)


@pytest.mark.parametrize(
    ("bucket", "whole", "expected"),
    [
        pytest.param(ALL_ON, DENIED, PASS, id="by-bucket"),
        pytest.param(DENIED, ALL_ON, PASS, id="by-account"),
        pytest.param(
            ALL_ON | {"BlockPublicAcls": False}, ALL_OFF | {"BlockPublicAcls": True}, PASS, id="by-both-together"
        ),
        pytest.param(ALL_OFF, ALL_OFF, FAIL, id="by-none"),
        pytest.param(MISSING, MISSING, FAIL, id="never-set"),
        pytest.param(ALL_OFF, DENIED, INCONCLUSIVE, id="account-denied"),
        pytest.param(MISSING, DENIED, INCONCLUSIVE, id="account-denied-bucket-never-set"),
        pytest.param({}, MISSING, INCONCLUSIVE, id="unsaid"),
        pytest.param(dict.fromkeys(ALL_ON, "true"), MISSING, INCONCLUSIVE, id="no-boolean"),
    ],
)
def test_public_access_is_blocked_by_bucket_or_account(bucket: Any, whole: Any, expected: Verdict) -> None:
    finding = judged("IQ-09", account() | {"block": bucket, "account_block": whole})
    assert finding.verdict is expected, finding.message
    assert expected is not INCONCLUSIVE or "GetPublicAccessBlock" in finding.message


# IQ-10: how the records are kept


@pytest.mark.parametrize(
    ("rules", "expected", "words"),
    [
        pytest.param([rule(Expiration={"Days": 3650})], PASS, "", id="to-the-day"),
        pytest.param(
            [rule(Expiration={"Days": 3649})], FAIL, 'rule "tidy": objects after 3,649 days', id="a-day-early"
        ),
        pytest.param([rule(Expiration={"Days": 1}, Status="Disabled")], PASS, "", id="disabled"),
        pytest.param(
            [rule(Expiration={"Days": 9}, Status="Disabled"), rule(Expiration={"Days": 1})],
            FAIL,
            "objects after 1 day.",
            id="behind-a-disabled-one",
        ),
        pytest.param([{"Status": "Disabled", "Filter": "x", "Expiration": "x"}], PASS, "", id="disabled-nonsense"),
        pytest.param([rule(Expiration={"Days": 1}, Status="Paused")], FAIL, "after 1 day", id="status-not-documented"),
        pytest.param(
            [rule(Expiration={"Date": "2040-01-01T00:00:00Z"})], FAIL, "objects on 2040-01-01", id="fixed-date"
        ),
        pytest.param([rule(Expiration={"ExpiredObjectDeleteMarker": True})], PASS, "", id="markers-only"),
        pytest.param([rule(Expiration={"ExpiredObjectDeleteMarker": False, "Days": 9})], FAIL, "9 days", id="days-too"),
        pytest.param(
            [rule(NoncurrentVersionExpiration={"NoncurrentDays": 30})], FAIL, "noncurrent versions", id="versions"
        ),
        pytest.param(
            [rule(NoncurrentVersionExpiration={"NoncurrentDays": 30, "NewerNoncurrentVersions": 5})],
            FAIL,
            "noncurrent versions after 30 days",
            id="all-but-some-versions",
        ),
        pytest.param([rule(NoncurrentVersionExpiration={"NoncurrentDays": 3650})], PASS, "", id="versions-kept"),
        pytest.param(
            [rule(Expiration={"Days": 4000}, NoncurrentVersionExpiration={"NoncurrentDays": 1})],
            FAIL,
            "versions",
            id="both",
        ),
        pytest.param([rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7})], PASS, "", id="uploads"),
        pytest.param([rule(NoncurrentVersionTransitions=[{"NoncurrentDays": 1}])], PASS, "", id="transitions"),
        pytest.param([rule(Expiration={"Days": 1}, Filter={"Prefix": "tmp/"})], PASS, "", id="another-folder"),
        pytest.param(
            [rule(Expiration={"Days": 1}, Filter={"Prefix": f"AWSLogs/{FOREIGN}/"})], PASS, "", id="another-account"
        ),
        pytest.param(
            [rule(Expiration={"Days": 1}, Filter={"Prefix": f"AWSLogs/{ACCOUNT}/Config/"})], PASS, "", id="config"
        ),
        pytest.param(
            [rule(Expiration={"Days": 1}, Filter={"Prefix": f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/"})],
            FAIL,
            "tidy",
            id="digests",
        ),
        pytest.param([rule(Expiration={"Days": 1}, Filter={"Prefix": "AWS"})], FAIL, "tidy", id="part-of-a-folder"),
        pytest.param(
            [{"Status": "Enabled", "Prefix": "", "Expiration": {"Days": 1}}], FAIL, "rule 1: objects", id="old-form"
        ),
        pytest.param([{"Status": "Enabled", "Expiration": {"Days": 1}}], FAIL, "rule 1", id="no-filter"),
        pytest.param(
            [{"Status": "Enabled", "Prefix": "tmp/", "Expiration": {"Days": 1}}], PASS, "", id="old-form-elsewhere"
        ),
        pytest.param(
            [rule(Expiration={"Days": 1}), {"Status": "Enabled", "Expiration": {"Days": 2}}],
            FAIL,
            'before 3,650 days: rule "tidy": objects after 1 day, rule 2: objects after 2 days.',
            id="two-rules",
        ),
        pytest.param(
            [rule(Expiration={"Days": days}, Filter={"Tag": {"Key": "k", "Value": "v"}}) for days in (1, 2)],
            INCONCLUSIVE,
            'of the log: rule "tidy": objects after 1 day, rule "tidy": objects after 2 days.',
            id="two-rules-by-tag",
        ),
        pytest.param([rule(Expiration={"Days": 1}, Filter={"ObjectSizeGreaterThan": 500})], FAIL, "tidy", id="by-size"),
        pytest.param(
            [rule(Expiration={"Days": 1}, Filter={"Tag": {"Key": "k", "Value": "v"}})],
            INCONCLUSIVE,
            'depends on the tags of the log: rule "tidy": objects after 1 day',
            id="by-tag",
        ),
        pytest.param(
            [
                rule(
                    Expiration={"Days": 1}, Filter={"And": {"Prefix": "AWSLogs/", "Tags": [{"Key": "k", "Value": "v"}]}}
                )
            ],
            INCONCLUSIVE,
            "depends on the tags",
            id="by-prefix-and-tag",
        ),
        pytest.param(
            [rule(Expiration={"Days": 1}, Filter={"And": {"Prefix": "tmp/", "Tags": [{"Key": "k", "Value": "v"}]}})],
            PASS,
            "",
            id="by-tag-in-another-folder",
        ),
        pytest.param(
            [rule(Expiration={"Days": 1}, Filter={"And": {"Prefix": "AWSLogs/", "ObjectSizeLessThan": 9}})],
            FAIL,
            "tidy",
            id="by-prefix-and-size",
        ),
        pytest.param([rule(Expiration={"Days": "90"})], INCONCLUSIVE, "does not say", id="days-no-number"),
        pytest.param([rule(Expiration={"Days": True})], INCONCLUSIVE, "does not say", id="days-boolean"),
        pytest.param([rule(Expiration={})], INCONCLUSIVE, "does not say", id="expiration-empty"),
        pytest.param([rule(NoncurrentVersionExpiration={})], INCONCLUSIVE, "does not say", id="versions-empty"),
        pytest.param(
            [rule(Filter={"Prefix": 1}, Expiration={"Days": 1})], INCONCLUSIVE, "does not say", id="prefix-no-text"
        ),
        pytest.param(["x"], INCONCLUSIVE, "does not say", id="no-object"),
        pytest.param([], PASS, "", id="none"),
    ],
)
def test_lifecycle_rules(rules: list[Any], expected: Verdict, words: str) -> None:
    finding = judged("IQ-10", account() | {"lifecycle": {"Rules": rules}})
    assert finding.verdict is expected, finding.message
    assert words in finding.message


@pytest.mark.parametrize(
    ("organization", "prefix", "expected"),
    [
        (ORGANIZATION, f"AWSLogs/{ORGANIZATION}/{MEMBER}/", FAIL),
        (ORGANIZATION, f"AWSLogs/{ACCOUNT}/", PASS),
        (None, f"AWSLogs/{MEMBER}/", FAIL),
        (None, "tmp/", PASS),
    ],
)
def test_lifecycle_rules_of_an_organizations_bucket(organization: str | None, prefix: str, expected: Verdict) -> None:
    raw = organization_account(lifecycle={"Rules": [rule(Expiration={"Days": 1}, Filter={"Prefix": prefix})]})
    assert judged("IQ-10", raw, parameters(organization_id=organization)).verdict is expected


def test_a_trail_that_may_be_an_organizations_keeps_its_logs_anywhere() -> None:
    members = {"Rules": [rule(Expiration={"Days": 1}, Filter={"Prefix": f"AWSLogs/{ORGANIZATION}/"})]}
    assert judged("IQ-10", account() | {"lifecycle": members}).verdict is PASS
    assert judged("IQ-10", changed("description.IsOrganizationTrail", ...) | {"lifecycle": members}).verdict is FAIL


@pytest.mark.parametrize(
    ("lock", "mode", "expected", "words"),
    [
        pytest.param({"Mode": "COMPLIANCE", "Days": 3650}, "COMPLIANCE", PASS, "", id="as-required"),
        pytest.param({"Mode": "COMPLIANCE", "Years": 10}, "GOVERNANCE", PASS, "", id="stricter-and-in-years"),
        pytest.param({"Mode": "GOVERNANCE", "Days": 3650}, "COMPLIANCE", FAIL, "in mode GOVERNANCE", id="laxer"),
        pytest.param({"Mode": "COMPLIANCE", "Days": 3649}, "COMPLIANCE", FAIL, "for 3,649 days", id="shorter"),
        pytest.param({"Mode": "COMPLIANCE", "Years": 9}, "COMPLIANCE", FAIL, "for 3,285 days", id="years-shorter"),
        pytest.param({"Mode": "COMPLIANCE"}, "COMPLIANCE", INCONCLUSIVE, "does not say: Object Lock", id="no-period"),
        pytest.param({"Days": 3650}, "COMPLIANCE", INCONCLUSIVE, "does not say: Object Lock", id="no-mode"),
        pytest.param(
            {"Mode": "COMPLIANCE", "Days": "3650"}, "COMPLIANCE", INCONCLUSIVE, "does not say", id="no-number"
        ),
        pytest.param(None, "COMPLIANCE", FAIL, "in mode none", id="no-default-retention"),
        pytest.param(MISSING, "COMPLIANCE", FAIL, "in mode none", id="never-set"),
        pytest.param(DENIED, "COMPLIANCE", INCONCLUSIVE, "s3:GetObjectLockConfiguration", id="denied"),
        pytest.param(DENIED, None, PASS, "", id="denied-but-not-required"),
    ],
)
def test_object_lock(lock: Any, mode: str | None, expected: Verdict, words: str) -> None:
    value = {"ObjectLockEnabled": "Enabled"} | ({"Rule": {"DefaultRetention": lock}} if lock else {})
    raw = account() | {"object_lock": lock if isinstance(lock, Absence) else value}
    finding = judged("IQ-10", raw, parameters(object_lock_mode=mode))
    assert finding.verdict is expected, finding.message
    assert words in finding.message
    assert ("Object Lock" in finding.observations) is (mode is None)


def test_how_the_records_are_kept_is_told() -> None:
    finding = judged("IQ-10", account() | {"object_lock": MISSING}, parameters(object_lock_mode="COMPLIANCE"))
    assert finding.expected["Object Lock"] == {"mode": "COMPLIANCE", "at least days": 3650}
    assert finding.actual["Object Lock"] == {"mode": "none", "days": 0}
    assert finding.expected["nothing expires before"] == "3,650 days"
    assert finding.actual["nothing expires before"] == ['rule "tidy": objects after 4,000 days']
    silent = judged("IQ-10", account() | {"object_lock": DENIED, "lifecycle": {"Rules": []}})
    assert "s3:GetObjectLockConfiguration" in silent.observations["Object Lock"]
    assert silent.actual["nothing expires before"] == "nothing expires"


@pytest.mark.parametrize(
    ("name", "value", "told", "expected", "condition"),
    [
        ("logging", {"LoggingEnabled": {"TargetBucket": "b"}}, {"access_logging": True}, PASS, "access logging"),
        ("logging", {}, {"access_logging": True}, FAIL, "access logging"),
        ("logging", DENIED, {"access_logging": True}, INCONCLUSIVE, "access logging"),
        ("logging", {"LoggingEnabled": {}}, {"access_logging": True}, INCONCLUSIVE, "access logging"),
        ("versioning", {"Status": "Enabled", "MFADelete": "Enabled"}, {"mfa_delete": True}, PASS, "MFA delete"),
        ("versioning", {"Status": "Enabled", "MFADelete": "Disabled"}, {"mfa_delete": True}, FAIL, "MFA delete"),
        ("versioning", {"Status": "Enabled"}, {"mfa_delete": True}, FAIL, "MFA delete"),
        ("versioning", {"Status": "Enabled", "MFADelete": 1}, {"mfa_delete": True}, INCONCLUSIVE, "MFA delete"),
    ],
)
def test_what_only_the_parameters_require(
    name: str, value: Any, told: dict[str, Any], expected: Verdict, condition: str
) -> None:
    finding = judged("IQ-10", account() | {name: value}, parameters(**told))
    assert finding.verdict is expected, finding.message
    assert finding.met[condition] is {PASS: True, FAIL: False, INCONCLUSIVE: None}[expected]
    unasked = judged("IQ-10", account() | {name: value})
    assert condition not in unasked.met
    assert any(name.startswith(condition) for name in unasked.observations)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [("AES256", PASS), ("aws:kms", PASS), ("aws:kms:dsse", PASS), ("none", FAIL), (None, INCONCLUSIVE)],
)
def test_default_encryption(algorithm: str | None, expected: Verdict) -> None:
    value = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}]}
    assert judged("IQ-10", account() | {"encryption": value}).verdict is expected


# Whatever is missing or malformed


NAMES = [name for name in CALLS if not isinstance(account()[name], Absence)]


@given(st.sampled_from(NAMES), st.sampled_from(ABSENCES))
@settings(max_examples=100)
def test_an_absent_answer_never_fails_anything(name: str, absence: Absence) -> None:
    snapshot, told = build(changed(name, absence)), parameters()
    for case in CASES.values():
        for finding in case.judge(snapshot, told):
            assert finding.verdict is not FAIL, finding.message
            rested = [
                condition
                for (case_id, absent), names in ABSENT.items()
                for condition in names
                if case_id == case.id and absent == name
            ]
            assert all(finding.met[condition] is None for condition in rested)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every member and item of a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return [found for name, item in items for found in ((*path, name), *paths(item, (*path, name)))]


def shaken(raw: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return the account with what is at a path replaced; `...` takes it out."""

    def put(target: Any, rest: tuple[Any, ...]) -> Any:
        name, *more = rest
        items = dict(target) if isinstance(target, dict) else dict(enumerate(target))
        if more:
            items[name] = put(items[name], tuple(more))
        elif value is ...:
            del items[name]
        else:
            items[name] = value
        return items if isinstance(target, dict) else type(target)(items.values())

    return put(raw, path)


ANSWERS = {name: value for name, value in account().items() if name in CALLS or name == "description"}
MEMBERS = [
    path
    for path in paths(ANSWERS)
    # the collectors refuse an answer without these, and the texts they hand over are texts
    if len(path) > 1
    and path[0] not in ("caller", "enabled", "aliases", "key_policy", "bucket_policy")
    and path not in (("description", "HomeRegion"), ("description", "KmsKeyId"), ("description", "S3BucketName"))
]
WRONG = [..., None, 0, 1, "", "true", "x", [], ["x"], {}, {"x": "y"}, 10**6, -1.5]


@given(st.sampled_from(MEMBERS), st.sampled_from(WRONG))
@settings(max_examples=200)
def test_a_malformed_answer_never_raises(path: tuple[Any, ...], value: Any) -> None:
    snapshot = build(shaken(account(), path, value))
    strict = parameters(tls_only=True, object_lock_mode="COMPLIANCE", access_logging=True, mfa_delete=True)
    for told in (parameters(), strict):
        for case in CASES.values():
            for finding in case.judge(snapshot, told):
                assert finding.message
                finding.to_json()


SPOILED = [
    (case, changed(path, value))
    for case, path, value, _, _ in FAILURES
    # a key's own ARN is no setting, and what is not there at all has no members
    if path != "metadata.Arn" and value is not ... and not isinstance(value, Absence)
]
SET_BY_ABSENCE = [
    # AWS leaves these out where nothing is excluded, or expires
    ("selectors", "EventSelectors", 0, "ExcludeManagementEventSources"),
    ("lifecycle", "Rules", 0),
    ("lifecycle", "Rules", 0, "Expiration"),
]


@given(st.sampled_from(SPOILED), st.sampled_from([path for path in MEMBERS if path not in SET_BY_ABSENCE]))
@settings(max_examples=200)
def test_taking_a_member_away_never_makes_a_failure_pass(spoiled: tuple[str, Any], path: tuple[Any, ...]) -> None:
    case, raw = spoiled
    try:
        raw = shaken(raw, path, ...)
    except (KeyError, TypeError, AttributeError):
        return  # the failure itself took that member away
    assert roll_up(finding.verdict for finding in CASES[case].judge(build(raw), parameters())) is not PASS
