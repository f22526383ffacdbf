"""The policy evaluator against policies that AWS documents, and against the rules of the policy language."""

import contextlib
import json
import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.errors import EvidenceError, ParameterError
from kit.policy import Decision, Evaluation, Policy, PolicyError, Principal, Request, evaluate, grantees

ALLOWED, DELEGATED, DENIED, UNKNOWN = Decision.ALLOWED, Decision.DELEGATED, Decision.DENIED, Decision.UNKNOWN

ACCOUNT, FOREIGN = "111122223333", "444455556666"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
BOB = f"arn:aws:iam::{ACCOUNT}:user/Bob"
READER = f"arn:aws:iam::{ACCOUNT}:role/reader"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/alice"
FOREIGNER = f"arn:aws:iam::{FOREIGN}:role/analyst"
CLOUDTRAIL = Principal.service("cloudtrail.amazonaws.com")
ANONYMOUS = Principal.anonymous()

KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TRAIL = f"arn:aws:cloudtrail:eu-central-1:{ACCOUNT}:trail/gxp"
OTHER_TRAIL = f"arn:aws:cloudtrail:eu-central-1:{FOREIGN}:trail/gxp"
BUCKET = "arn:aws:s3:::gxp-logs"
LOG = f"{BUCKET}/AWSLogs/{ACCOUNT}/CloudTrail/eu-central-1/2026/01/31/log.json.gz"
ORGANIZATION_LOG = f"{BUCKET}/AWSLogs/o-exampleorgid/{FOREIGN}/CloudTrail/eu-central-1/2026/01/31/log.json.gz"
CONTEXT_KEY = "kms:EncryptionContext:aws:cloudtrail:arn"
DELIVERY = {CONTEXT_KEY: TRAIL, "aws:SourceArn": TRAIL}
WRITE = {"s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceArn": TRAIL}

# CloudTrail User Guide, "Default KMS key policy created in CloudTrail console", default policy for trails.
READ_LOGS: dict[str, Any] = {
    "Effect": "Allow",
    "Principal": {"AWS": "*"},
    "Action": ["kms:Decrypt", "kms:ReEncryptFrom"],
    "Resource": "*",
    "Condition": {
        "StringEquals": {"kms:CallerAccount": ACCOUNT},
        "StringLike": {CONTEXT_KEY: f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"},
    },
}
DEFAULT_KEY_POLICY: list[dict[str, Any]] = [
    {
        "Sid": "Enable IAM user permissions",
        "Effect": "Allow",
        "Principal": {"AWS": [ROOT, BOB]},
        "Action": "kms:*",
        "Resource": "*",
    },
    {
        "Sid": "Allow CloudTrail to encrypt logs",
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "kms:GenerateDataKey*",
        "Resource": "*",
        "Condition": {
            "StringEquals": {"aws:SourceArn": TRAIL},
            "StringLike": {CONTEXT_KEY: f"arn:aws:cloudtrail:*:{ACCOUNT}:trail/*"},
        },
    },
    {
        "Sid": "Allow CloudTrail to describe key",
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "kms:DescribeKey",
        "Resource": "*",
    },
    {"Sid": "Allow principals in the account to decrypt log files", **READ_LOGS},
    {
        "Sid": "Allow alias creation during setup",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "kms:CreateAlias",
        "Resource": "*",
        "Condition": {
            "StringEquals": {"kms:ViaService": "ec2.eu-central-1.amazonaws.com", "kms:CallerAccount": ACCOUNT}
        },
    },
    {"Sid": "Enable cross account log decryption", **READ_LOGS},
]

# CloudTrail User Guide, "Amazon S3 bucket policy for CloudTrail": for one account, then for an organization trail.
DEFAULT_BUCKET_POLICY: list[dict[str, Any]] = [
    {
        "Sid": "AWSCloudTrailAclCheck20150319",
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "s3:GetBucketAcl",
        "Resource": BUCKET,
        "Condition": {"StringEquals": {"aws:SourceArn": TRAIL}},
    },
    {
        "Sid": "AWSCloudTrailWrite20150319",
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"{BUCKET}/AWSLogs/{ACCOUNT}/*",
        "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceArn": TRAIL}},
    },
]
ORGANIZATION_BUCKET_POLICY: list[dict[str, Any]] = [
    *DEFAULT_BUCKET_POLICY,
    {
        **DEFAULT_BUCKET_POLICY[1],
        "Sid": "AWSCloudTrailOrganizationWrite20150319",
        "Principal": {"Service": ["cloudtrail.amazonaws.com"]},
        "Resource": f"{BUCKET}/AWSLogs/o-exampleorgid/*",
    },
]
# S3 User Guide, "Security best practices": deny requests that do not use TLS.
DENY_PLAIN_HTTP: dict[str, Any] = {
    "Sid": "DenyPlainHttp",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": [BUCKET, f"{BUCKET}/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> Policy:
    return Policy.parse(json.dumps({"Version": version, "Statement": list(statements)}))


def statement(effect: str = "Allow", **elements: Any) -> dict[str, Any]:
    """Return a statement that matches every request of `ask`, but for the elements given; `None` removes one."""
    body = {"Effect": effect, "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"} | elements
    return {name: value for name, value in body.items() if value is not None}


def ask(who: Principal | str = BOB, action: str = "kms:Decrypt", resource: str = KEY, **context: Any) -> Request:
    return Request(Principal.role(who) if isinstance(who, str) else who, action, resource, context)


def decide(body: Iterable[dict[str, Any]] | dict[str, Any], request: Request) -> Decision:
    return evaluate(policy(body) if isinstance(body, dict) else policy(*body), request).decision


def condition(operator: str, values: Any, *actual: Any, key: str = "aws:k", version: str = "2012-10-17") -> Decision:
    """Return what an Allow under one condition decides, when its key has the actual value, if one is given."""
    rule = statement(Condition={operator: {key: values}})
    context = {"aws:k": actual[0]} if actual else {}
    return evaluate(policy(rule, version=version), Request(Principal.role(BOB), "kms:Decrypt", KEY, context)).decision


# The policies that CloudTrail itself writes


@pytest.mark.parametrize(
    ("who", "action", "context", "expected"),
    [
        pytest.param(CLOUDTRAIL, "kms:GenerateDataKey", DELIVERY, ALLOWED, id="cloudtrail-encrypts"),
        pytest.param(CLOUDTRAIL, "kms:GenerateDataKeyWithoutPlaintext", DELIVERY, ALLOWED, id="cloudtrail-by-wildcard"),
        pytest.param(CLOUDTRAIL, "kms:DescribeKey", {}, ALLOWED, id="cloudtrail-describes"),
        pytest.param(CLOUDTRAIL, "kms:GenerateDataKey", {"aws:SourceArn": TRAIL}, DENIED, id="no-encryption-context"),
        pytest.param(CLOUDTRAIL, "kms:GenerateDataKey", {CONTEXT_KEY: TRAIL}, DENIED, id="no-source-arn"),
        pytest.param(
            CLOUDTRAIL, "kms:GenerateDataKey", DELIVERY | {"aws:SourceArn": TRAIL + "2"}, DENIED, id="other-source-arn"
        ),
        pytest.param(
            CLOUDTRAIL,
            "kms:GenerateDataKey",
            DELIVERY | {CONTEXT_KEY: OTHER_TRAIL},
            DENIED,
            id="trail-of-other-account",
        ),
        pytest.param(CLOUDTRAIL, "kms:Decrypt", DELIVERY, DENIED, id="cloudtrail-decrypts"),
        pytest.param(
            Principal.service("config.amazonaws.com"), "kms:GenerateDataKey", DELIVERY, DENIED, id="other-service"
        ),
        pytest.param(Principal.role(FOREIGNER), "kms:GenerateDataKey", DELIVERY, DENIED, id="role-poses-as-cloudtrail"),
        pytest.param(Principal.role(BOB), "kms:Decrypt", {}, ALLOWED, id="named-user"),
        pytest.param(Principal.role(READER), "kms:Decrypt", {}, DELEGATED, id="role-of-account"),
        pytest.param(Principal.role(SESSION), "kms:Decrypt", {}, DELEGATED, id="session-of-account"),
        pytest.param(Principal.role(READER), "kms:Decrypt", {CONTEXT_KEY: TRAIL}, ALLOWED, id="role-reads-logs"),
        pytest.param(Principal.role(ROOT), "kms:PutKeyPolicy", {}, ALLOWED, id="root-user"),
        pytest.param(Principal.role(FOREIGNER), "kms:Decrypt", {CONTEXT_KEY: TRAIL}, DENIED, id="foreign-account"),
        pytest.param(
            Principal.role(FOREIGNER),
            "kms:Decrypt",
            {CONTEXT_KEY: TRAIL, "kms:CallerAccount": FOREIGN},
            DENIED,
            id="foreign-account-told",
        ),
        pytest.param(
            Principal.role(FOREIGNER),
            "kms:CreateAlias",
            {"kms:ViaService": "ec2.eu-central-1.amazonaws.com"},
            DENIED,
            id="foreign-alias",
        ),
        pytest.param(ANONYMOUS, "kms:Decrypt", {CONTEXT_KEY: TRAIL}, DENIED, id="anonymous"),
    ],
)
def test_default_key_policy(who: Principal, action: str, context: dict[str, str], expected: Decision) -> None:
    assert decide(DEFAULT_KEY_POLICY, Request(who, action, KEY, context)) is expected


@pytest.mark.parametrize(
    ("action", "resource", "context", "expected"),
    [
        pytest.param("s3:GetBucketAcl", BUCKET, {"aws:SourceArn": TRAIL}, ALLOWED, id="reads-acl"),
        pytest.param("s3:PutObject", LOG, WRITE, ALLOWED, id="writes-log"),
        pytest.param("s3:PutObject", LOG, {"aws:SourceArn": TRAIL}, DENIED, id="without-acl"),
        pytest.param("s3:PutObject", LOG, WRITE | {"aws:SourceArn": OTHER_TRAIL}, DENIED, id="other-trail"),
        pytest.param("s3:PutObject", LOG.replace(ACCOUNT, FOREIGN), WRITE, DENIED, id="folder-of-other-account"),
        pytest.param("s3:PutObject", LOG.replace("AWSLogs", "p/AWSLogs"), WRITE, DENIED, id="other-prefix"),
        pytest.param("s3:PutObject", LOG.replace("gxp-logs", "gxp-logs2"), WRITE, DENIED, id="other-bucket"),
        pytest.param("s3:GetObject", LOG, WRITE, DENIED, id="reads-log"),
        pytest.param("s3:PutObject", ORGANIZATION_LOG, WRITE, DENIED, id="organization-folder"),
    ],
)
def test_default_bucket_policy(action: str, resource: str, context: dict[str, str], expected: Decision) -> None:
    assert decide(DEFAULT_BUCKET_POLICY, Request(CLOUDTRAIL, action, resource, context)) is expected


@pytest.mark.parametrize(
    ("resource", "source", "expected"),
    [
        pytest.param(ORGANIZATION_LOG, TRAIL, ALLOWED, id="member-account"),
        pytest.param(LOG, TRAIL, ALLOWED, id="management-account"),
        pytest.param(ORGANIZATION_LOG, OTHER_TRAIL, DENIED, id="trail-of-member"),
        pytest.param(ORGANIZATION_LOG.replace("o-example", "o-other"), TRAIL, DENIED, id="other-organization"),
    ],
)
def test_organization_bucket_policy(resource: str, source: str, expected: Decision) -> None:
    request = Request(CLOUDTRAIL, "s3:PutObject", resource, WRITE | {"aws:SourceArn": source})
    assert decide(ORGANIZATION_BUCKET_POLICY, request) is expected


@pytest.mark.parametrize(("transport", "expected"), [("true", ALLOWED), ("false", DENIED)])
def test_a_deny_of_plain_http_spares_cloudtrail(transport: str, expected: Decision) -> None:
    request = Request(CLOUDTRAIL, "s3:PutObject", LOG, WRITE | {"aws:SecureTransport": transport})
    assert decide([*DEFAULT_BUCKET_POLICY, DENY_PLAIN_HTTP], request) is expected


def test_a_deny_may_exempt_services() -> None:
    # IAM User Guide, "AWS global condition context keys", aws:PrincipalIsAWSService: the example policy.
    rule = statement(
        "Deny",
        Action="s3:PutObject",
        Resource=f"{BUCKET}/*",
        Condition={
            "StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-111bbb22"},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        },
    )
    rules = [*DEFAULT_BUCKET_POLICY, rule, statement(Action="s3:*", Resource=f"{BUCKET}/*")]
    assert decide(rules, Request(CLOUDTRAIL, "s3:PutObject", LOG, WRITE)) is ALLOWED
    assert decide(rules, ask(BOB, "s3:PutObject", LOG)) is DENIED


# What an evaluation says


@pytest.mark.parametrize(
    ("rules", "who", "statements", "explicit", "words"),
    [
        pytest.param(
            [statement(Sid="A"), statement()], BOB, ('statement "A"', "statement 2"), False, "is allowed", id="allowed"
        ),
        pytest.param(
            [statement(), statement("Deny", Sid="D")], BOB, ('statement "D"',), True, "is denied", id="denied"
        ),
        pytest.param([statement(Principal={"AWS": BOB})], READER, (), False, "by no statement", id="implicit"),
        pytest.param([statement(Principal={"AWS": ROOT})], BOB, ("statement 1",), False, "left to", id="delegated"),
        pytest.param(
            [statement(Sid="U", Condition={"Foo": {"k": "v"}})],
            BOB,
            ('statement "U"',),
            False,
            "'Foo' is not known",
            id="unknown",
        ),
    ],
)
def test_an_evaluation_names_what_decided(
    rules: list[dict[str, Any]], who: str, statements: tuple[str, ...], explicit: bool, words: str
) -> None:
    found = evaluate(policy(*rules), ask(who))
    assert (found.statements, found.explicit) == (statements, explicit)
    assert words in found.reason
    assert who in found.reason
    assert found.reason.endswith(".")


ALLOW, DENY, DELEGATE = statement(), statement("Deny"), statement(Principal={"AWS": ROOT})
MAYBE_ALLOW, MAYBE_DENY, MAYBE_DELEGATE = (s | {"Condition": {"Foo": {"k": "v"}}} for s in (ALLOW, DENY, DELEGATE))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([ALLOW, DENY], DENIED, id="deny-over-allow"),
        pytest.param([DELEGATE, DENY], DENIED, id="deny-over-delegation"),
        pytest.param([DELEGATE, ALLOW], ALLOWED, id="allow-over-delegation"),
        pytest.param([statement(Action="kms:Encrypt")], DENIED, id="implicit"),
        pytest.param([ALLOW, MAYBE_ALLOW], ALLOWED, id="sure-allow-among-unknown"),
        pytest.param([MAYBE_ALLOW], UNKNOWN, id="unknown-allow"),
        pytest.param([MAYBE_DELEGATE], UNKNOWN, id="unknown-delegation"),
        pytest.param([DELEGATE, MAYBE_ALLOW], UNKNOWN, id="allowed-or-delegated"),
        pytest.param([ALLOW, MAYBE_DELEGATE], ALLOWED, id="allow-over-unknown-delegation"),
        pytest.param([ALLOW, MAYBE_DENY], UNKNOWN, id="unknown-deny"),
        pytest.param([DELEGATE, MAYBE_DENY], UNKNOWN, id="unknown-deny-of-delegation"),
        pytest.param([ALLOW, MAYBE_DENY, DENY], DENIED, id="sure-deny-among-unknown"),
        pytest.param([MAYBE_DENY], DENIED, id="denied-either-way"),
        pytest.param([MAYBE_DENY | {"Principal": {"AWS": ROOT}}], DENIED, id="unknown-deny-is-no-delegation"),
        pytest.param([ALLOW, MAYBE_DENY | {"Action": "kms:Encrypt"}], ALLOWED, id="unknown-and-false-deny"),
        pytest.param([MAYBE_ALLOW | {"Action": "kms:Encrypt"}], DENIED, id="unknown-and-false-allow"),
    ],
)
def test_statements_together(rules: list[dict[str, Any]], expected: Decision) -> None:
    assert decide(rules, ask()) is expected


# Principals


@pytest.mark.parametrize(
    ("principal", "who", "expected"),
    [
        pytest.param("*", BOB, ALLOWED, id="star"),
        pytest.param("*", ANONYMOUS, ALLOWED, id="star-anonymous"),
        pytest.param("*", CLOUDTRAIL, ALLOWED, id="star-service"),
        pytest.param({"AWS": "*"}, BOB, ALLOWED, id="aws-star"),
        pytest.param({"AWS": "*"}, ANONYMOUS, ALLOWED, id="aws-star-anonymous"),
        pytest.param({"AWS": "*"}, CLOUDTRAIL, UNKNOWN, id="aws-star-service"),
        pytest.param({"AWS": BOB}, BOB, ALLOWED, id="user"),
        pytest.param({"AWS": BOB}, BOB.lower(), DENIED, id="user-name-case"),
        pytest.param({"AWS": BOB}, ANONYMOUS, DENIED, id="user-anonymous"),
        pytest.param({"AWS": [FOREIGNER, BOB]}, BOB, ALLOWED, id="list"),
        pytest.param({"AWS": []}, BOB, DENIED, id="empty-list"),
        pytest.param({"AWS": ROOT}, BOB, DELEGATED, id="account-arn"),
        pytest.param({"AWS": ACCOUNT}, BOB, DELEGATED, id="account-id"),
        pytest.param({"AWS": ACCOUNT}, ROOT, ALLOWED, id="account-id-root-user"),
        pytest.param({"AWS": FOREIGN}, BOB, DENIED, id="other-account-id"),
        pytest.param({"AWS": f"arn:aws:iam::{FOREIGN}:root"}, BOB, DENIED, id="other-account-arn"),
        pytest.param({"AWS": ROOT}, CLOUDTRAIL, DENIED, id="account-service"),
        pytest.param({"AWS": READER}, SESSION, ALLOWED, id="session-by-role"),
        pytest.param({"AWS": READER.replace("role/", "role/gxp/")}, SESSION, ALLOWED, id="session-by-role-with-path"),
        pytest.param({"AWS": READER + "2"}, SESSION, DENIED, id="session-of-other-role"),
        pytest.param({"AWS": READER.replace(ACCOUNT, FOREIGN)}, SESSION, DENIED, id="session-by-foreign-role"),
        pytest.param({"AWS": READER.replace("arn:aws:", "arn:aws-cn:")}, SESSION, DENIED, id="session-elsewhere"),
        pytest.param({"AWS": SESSION}, SESSION, ALLOWED, id="session-by-session"),
        pytest.param({"AWS": SESSION}, SESSION + "2", DENIED, id="other-session"),
        pytest.param({"AWS": SESSION}, READER, UNKNOWN, id="one-session-of-role"),
        pytest.param({"AWS": SESSION}, READER + "2", DENIED, id="session-of-role-unasked"),
        pytest.param({"AWS": ROOT}, SESSION, DELEGATED, id="session-by-account"),
        pytest.param({"AWS": BOB}, f"arn:aws:sts::{ACCOUNT}:federated-user/Bob", UNKNOWN, id="federated-user"),
        pytest.param({"AWS": f"arn:aws:iam::{ACCOUNT}:user/*"}, BOB, UNKNOWN, id="partial-wildcard"),
        pytest.param({"AWS": f"arn:aws:iam::{FOREIGN}:user/*"}, BOB, DENIED, id="partial-wildcard-elsewhere"),
        pytest.param({"AWS": "arn:aws:iam::*:root"}, BOB, UNKNOWN, id="account-wildcard"),
        pytest.param({"AWS": "nonsense"}, BOB, UNKNOWN, id="unreadable"),
        pytest.param({"AWS": "nonsense"}, CLOUDTRAIL, DENIED, id="unreadable-but-no-service"),
        pytest.param({"AWS": "AROAEXAMPLEEXAMPLE123"}, READER, DENIED, id="deleted-role"),
        pytest.param({"AWS": "AIDAEXAMPLEEXAMPLE123"}, BOB, DENIED, id="deleted-user"),
        pytest.param({"Service": "cloudtrail.amazonaws.com"}, CLOUDTRAIL, ALLOWED, id="service"),
        pytest.param({"Service": ["config.amazonaws.com"]}, CLOUDTRAIL, DENIED, id="other-service"),
        pytest.param({"Service": "*"}, CLOUDTRAIL, UNKNOWN, id="service-wildcard"),
        pytest.param({"Service": "cloudtrail.amazonaws.com"}, BOB, DENIED, id="service-not-user"),
        pytest.param({"CanonicalUser": "79a59df900b949e5"}, BOB, UNKNOWN, id="canonical-user"),
        pytest.param({"CanonicalUser": "79a59df900b949e5"}, CLOUDTRAIL, DENIED, id="canonical-user-service"),
        pytest.param({"Federated": "accounts.google.com"}, SESSION, UNKNOWN, id="federated"),
        pytest.param({"Federated": "accounts.google.com"}, ANONYMOUS, DENIED, id="federated-anonymous"),
        pytest.param({"Service": "a.amazonaws.com", "AWS": BOB}, BOB, ALLOWED, id="several-types"),
        pytest.param(None, BOB, UNKNOWN, id="missing"),
    ],
)
def test_principal(principal: Any, who: Principal | str, expected: Decision) -> None:
    assert decide(statement(Principal=principal), ask(who)) is expected


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_partitions_are_kept_apart(partition: str) -> None:
    rule = statement(Principal={"AWS": f"arn:{partition}:iam::{ACCOUNT}:root"})
    assert decide(rule, ask(BOB.replace("arn:aws:", f"arn:{partition}:"))) is DELEGATED
    assert decide(rule, ask(BOB.replace("arn:aws:", "arn:aws-iso:"))) is DENIED


def test_denying_an_account_denies_its_identities() -> None:
    assert decide([ALLOW, statement("Deny", Principal={"AWS": ACCOUNT})], ask(SESSION)) is DENIED


@pytest.mark.parametrize(
    ("names", "who", "expected"),
    [
        # IAM User Guide, "AWS JSON policy elements: NotPrincipal": the two examples, and what they warn of.
        pytest.param([BOB, ROOT], BOB, ALLOWED, id="user-and-account"),
        pytest.param([BOB, ROOT], BOB + "by", DENIED, id="other-user-of-the-account"),
        pytest.param([BOB, ROOT], FOREIGNER, DENIED, id="other-account"),
        pytest.param([BOB], BOB, UNKNOWN, id="user-without-account"),
        pytest.param([SESSION, READER, ROOT], SESSION, ALLOWED, id="session-role-and-account"),
        pytest.param([READER, ROOT], SESSION, UNKNOWN, id="session-not-named"),
        pytest.param([SESSION, ROOT], SESSION, UNKNOWN, id="role-not-named"),
        pytest.param([SESSION, READER], SESSION, UNKNOWN, id="account-not-named"),
        pytest.param([READER, ROOT], READER, UNKNOWN, id="sessions-of-role-not-named"),
        pytest.param([ROOT], BOB, DENIED, id="account-alone"),
        pytest.param([ROOT], ROOT, ALLOWED, id="root-user"),
        pytest.param(["nonsense"], BOB, UNKNOWN, id="unreadable"),
        pytest.param(["AIDAEXAMPLEEXAMPLE123"], BOB, DENIED, id="deleted-user"),
        pytest.param([BOB, ROOT], CLOUDTRAIL, DENIED, id="service"),
        pytest.param(["*"], BOB, ALLOWED, id="everyone"),
    ],
)
def test_deny_with_not_principal(names: list[str], who: Principal | str, expected: Decision) -> None:
    rule = statement("Deny", Principal=None, NotPrincipal={"AWS": names})
    assert decide([ALLOW, rule], ask(who)) is expected


def test_deny_with_not_principal_spares_the_named_service() -> None:
    rule = statement("Deny", Principal=None, NotPrincipal={"Service": CLOUDTRAIL.name})
    assert decide([ALLOW, rule], ask(CLOUDTRAIL)) is ALLOWED


@pytest.mark.parametrize(
    ("names", "who", "expected"),
    [
        pytest.param([BOB], BOB, DENIED, id="named"),
        pytest.param([BOB], READER, ALLOWED, id="everyone-else"),
        pytest.param([BOB], ANONYMOUS, ALLOWED, id="anonymous"),
        pytest.param([READER], SESSION, DENIED, id="session-of-named-role"),
        pytest.param([ROOT], BOB, UNKNOWN, id="account"),
        pytest.param([ROOT], FOREIGNER, ALLOWED, id="other-account"),
    ],
)
def test_allow_with_not_principal(names: list[str], who: Principal | str, expected: Decision) -> None:
    assert decide(statement(Principal=None, NotPrincipal={"AWS": names}), ask(who)) is expected


@pytest.mark.parametrize("arn", ["", "*", BOB + "*", "arn:aws:iam::1:root", KEY, f"arn:aws:iam::{ACCOUNT}:group/x"])
def test_an_asker_must_be_an_identity(arn: str) -> None:
    with pytest.raises(ParameterError, match="not the ARN of an IAM principal"):
        Principal.role(arn)


# Actions and resources


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        pytest.param({"Action": "kms:Decrypt"}, ALLOWED, id="exact"),
        pytest.param({"Action": ["kms:Encrypt", "KMS:decrypt"]}, ALLOWED, id="list-and-case"),
        pytest.param({"Action": "kms:De*"}, ALLOWED, id="star"),
        pytest.param({"Action": "kms:D?crypt"}, ALLOWED, id="question-mark"),
        pytest.param({"Action": "*"}, ALLOWED, id="everything"),
        pytest.param({"Action": "kms:Decryp"}, DENIED, id="prefix-only"),
        pytest.param({"Action": "kms:Decrypt?"}, DENIED, id="question-mark-needs-one"),
        pytest.param({"Action": "s3:*"}, DENIED, id="other-service"),
        pytest.param({"Action": "kms.Decrypt"}, DENIED, id="dot-is-literal"),
        pytest.param({"Action": "kms:\\Decrypt"}, DENIED, id="backslash-is-literal"),
        pytest.param({"Action": []}, DENIED, id="empty"),
        pytest.param({"Action": None, "NotAction": "kms:Encrypt"}, ALLOWED, id="not-action-other"),
        pytest.param({"Action": None, "NotAction": ["kms:encrypt", "kms:DECRYPT"]}, DENIED, id="not-action-named"),
        pytest.param({"Action": None, "NotAction": []}, ALLOWED, id="not-action-empty"),
        pytest.param({"Action": None}, UNKNOWN, id="missing"),
        pytest.param({"NotAction": "kms:Encrypt"}, UNKNOWN, id="both"),
    ],
)
def test_action(element: dict[str, Any], expected: Decision) -> None:
    assert decide(statement(**element), ask()) is expected


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        pytest.param({"Resource": "*"}, ALLOWED, id="everything"),
        pytest.param({"Resource": f"{BUCKET}/AWSLogs/*"}, ALLOWED, id="prefix"),
        pytest.param({"Resource": [BUCKET, f"{BUCKET}/*/{ACCOUNT}/*"]}, ALLOWED, id="list-across-slashes"),
        pytest.param({"Resource": "arn:*:s3:*:*:gxp-log?/*"}, ALLOWED, id="wildcards-in-parts"),
        pytest.param({"Resource": f"{BUCKET}/awslogs/*"}, DENIED, id="case"),
        pytest.param({"Resource": BUCKET}, DENIED, id="bucket-is-not-its-objects"),
        pytest.param({"Resource": "arn:aws:s3:*"}, UNKNOWN, id="wildcard-across-parts"),
        pytest.param({"Resource": "arn:aws:sqs:*"}, DENIED, id="wildcard-across-parts-elsewhere"),
        pytest.param({"Resource": "arn:aws-cn:s3:::gxp-logs/*"}, DENIED, id="other-partition"),
        pytest.param({"Resource": f"{BUCKET}/${{aws:PrincipalAccount}}/*"}, DENIED, id="variable-elsewhere"),
        pytest.param({"Resource": f"{BUCKET}/*/${{aws:PrincipalAccount}}/*"}, ALLOWED, id="variable"),
        pytest.param({"Resource": f"{BUCKET}/*/${{aws:username}}/*"}, UNKNOWN, id="variable-without-value"),
        pytest.param({"Resource": None, "NotResource": BUCKET}, ALLOWED, id="not-resource-other"),
        pytest.param({"Resource": None, "NotResource": [f"{BUCKET}/*"]}, DENIED, id="not-resource-named"),
        pytest.param({"Resource": None}, UNKNOWN, id="missing"),
    ],
)
def test_resource(element: dict[str, Any], expected: Decision) -> None:
    assert decide(statement(Action="s3:PutObject", **element), ask(BOB, "s3:PutObject", LOG)) is expected


def test_an_object_key_may_hold_colons() -> None:
    rule = statement(Action="s3:PutObject", Resource=f"{BUCKET}/*")
    assert decide(rule, ask(BOB, "s3:PutObject", f"{BUCKET}/a:b:c")) is ALLOWED


# Conditions


@pytest.mark.parametrize(
    ("operator", "values", "actual", "expected"),
    [
        ("StringEquals", "ab", "ab", ALLOWED),
        ("StringEquals", "ab", "AB", DENIED),
        ("StringEquals", "a*", "ab", DENIED),
        ("StringEquals", "a*", "a*", ALLOWED),
        ("StringEquals", ["x", "ab"], "ab", ALLOWED),
        ("StringEquals", [], "ab", DENIED),
        ("StringEquals", "", "", ALLOWED),
        ("StringEquals", True, "true", ALLOWED),
        ("StringEquals", 5, "5", ALLOWED),
        ("StringNotEquals", "ab", "ab", DENIED),
        ("StringNotEquals", ["x", "ab"], "ab", DENIED),
        ("StringNotEquals", ["x", "y"], "ab", ALLOWED),
        ("StringNotEquals", [], "ab", ALLOWED),
        ("StringEqualsIgnoreCase", "AB", "ab", ALLOWED),
        ("StringNotEqualsIgnoreCase", "AB", "ab", DENIED),
        ("StringLike", "a*c?", "abbcd", ALLOWED),
        ("StringLike", "a?", "a", DENIED),
        ("StringLike", "A*", "ab", DENIED),
        ("StringLike", "a.c", "abc", DENIED),
        ("StringLike", r"a\*", r"a\b", ALLOWED),
        ("StringLike", r"a\*", "a*", DENIED),
        ("StringLike", "a*c", "a\nc", ALLOWED),
        ("StringNotLike", "a*", "ab", DENIED),
        ("StringNotLike", "b*", "ab", ALLOWED),
        ("NumericEquals", "10", "10.0", ALLOWED),
        ("NumericEquals", 10, "10", ALLOWED),
        ("NumericNotEquals", "10", "11", ALLOWED),
        ("NumericLessThan", "10", "9", ALLOWED),
        ("NumericLessThan", "10", "10", DENIED),
        ("NumericLessThanEquals", "10", "10", ALLOWED),
        ("NumericGreaterThan", "10", "10", DENIED),
        ("NumericGreaterThan", "10", "11", ALLOWED),
        ("NumericGreaterThanEquals", "10", "10", ALLOWED),
        ("NumericEquals", "ten", "10", UNKNOWN),
        ("NumericEquals", "1_0", "10", UNKNOWN),
        ("DateEquals", "2026-01-31T00:00:00Z", "2026-01-31T01:00:00+01:00", ALLOWED),
        ("DateEquals", "2026-01-31", "1769817600", ALLOWED),
        ("DateNotEquals", "2026-01-31T00:00:00Z", "2026-01-31T00:00:01Z", ALLOWED),
        ("DateLessThan", "2026-01-31T00:00:00Z", "2026-01-30T23:59:59Z", ALLOWED),
        ("DateLessThanEquals", "2026-01-31T00:00:00Z", "2026-01-31T00:00:00Z", ALLOWED),
        ("DateGreaterThan", "2026-01-31T00:00:00Z", "2026-01-31T00:00:00Z", DENIED),
        ("DateGreaterThanEquals", "2026-01-31T00:00:00Z", "2026-01-31T00:00:00Z", ALLOWED),
        ("DateEquals", "2026-01-31T00:00:00", "2026-01-31T00:00:00Z", UNKNOWN),
        ("DateEquals", "2026", "2026-01-31T00:00:00Z", UNKNOWN),
        ("DateLessThan", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", DENIED),
        ("Bool", "true", "true", ALLOWED),
        ("Bool", False, "true", DENIED),
        ("Bool", "TRUE", "true", ALLOWED),
        ("Bool", "yes", "true", UNKNOWN),
        ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", ALLOWED),
        ("BinaryEquals", "QmluYXJ5", "QmluYXJ6", DENIED),
        ("BinaryEquals", "Qmlu YXJ5", "QmluYXJ5", UNKNOWN),
        ("IpAddress", "203.0.113.0/24", "203.0.113.9", ALLOWED),
        ("IpAddress", "203.0.113.0/24", "203.0.114.9", DENIED),
        ("IpAddress", "203.0.113.9", "203.0.113.9", ALLOWED),
        ("IpAddress", "2001:DB8:1234:5678::/64", "2001:db8:1234:5678::1", ALLOWED),
        ("IpAddress", "203.0.113.0/24", "2001:db8::1", DENIED),
        ("IpAddress", "2001:db8::1", "2001:db8::1", UNKNOWN),
        ("IpAddress", "203.0.113.9/24", "203.0.113.1", UNKNOWN),
        ("IpAddress", "nowhere", "203.0.113.9", UNKNOWN),
        ("NotIpAddress", "203.0.113.0/24", "203.0.113.9", DENIED),
        ("NotIpAddress", "203.0.113.0/24", "203.0.114.9", ALLOWED),
        ("ArnEquals", TRAIL, TRAIL, ALLOWED),
        ("ArnEquals", TRAIL.replace("eu-central-1", "*"), TRAIL, ALLOWED),
        ("ArnLike", f"arn:*:cloudtrail:eu-*-?:{ACCOUNT}:trail/*", TRAIL, ALLOWED),
        ("ArnLike", f"arn:aws:cloudtrail:*:{FOREIGN}:trail/*", TRAIL, DENIED),
        ("ArnLike", "*", TRAIL, UNKNOWN),
        ("ArnLike", "arn:aws:s3:*", TRAIL, DENIED),
        ("ArnNotEquals", TRAIL, TRAIL, DENIED),
        ("ArnNotLike", f"arn:aws:cloudtrail:*:{FOREIGN}:trail/*", TRAIL, ALLOWED),
        ("Null", "false", "x", ALLOWED),
        ("Null", "true", "x", DENIED),
        ("Null", True, "", ALLOWED),
        ("Null", "perhaps", "x", UNKNOWN),
        ("Null", "true", None, UNKNOWN),
        ("StringEquals", "x", None, UNKNOWN),
        ("StringNotEquals", "x", None, UNKNOWN),
        ("StringEqualsIfExists", "x", None, UNKNOWN),
        ("StringEqualsIfExists", "x", "x", ALLOWED),
        ("StringEqualsIfExists", "x", "y", DENIED),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "b"], ALLOWED),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "d"], DENIED),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "c"], ALLOWED),
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "b"], DENIED),
        ("ForAllValues:StringEquals", ["a", "b"], ["b", "a"], ALLOWED),
        ("ForAllValues:StringLike", "a*", ["ab", "c"], DENIED),
        ("ForAllValues:StringNotEquals", ["a", "b"], ["c", "a"], DENIED),
        ("ForAllValues:StringEquals", "a", [], ALLOWED),
        ("ForAllValues:StringEquals", "a", "", ALLOWED),
        ("ForAnyValue:StringEquals", "a", [], DENIED),
        ("ForAnyValue:StringEquals", "", "", DENIED),
        ("ForAnyValue:StringNotEquals", "a", [], DENIED),
        ("ForAnyValue:StringEqualsIfExists", "a", [], ALLOWED),
        ("ForAnyValue:StringEqualsIfExists", "a", "", DENIED),
        ("ForAnyValue:NumericLessThan", "10", ["x", "9"], ALLOWED),
        ("ForAllValues:NumericLessThan", "10", ["x", "9"], UNKNOWN),
        ("ForAllValues:NumericLessThan", "10", ["x", "11"], DENIED),
        ("StringEquals", "a", ["a", "b"], UNKNOWN),
        ("StringEquals", "a", ["b", "c"], DENIED),
        ("StringNotEquals", "a", ["b", "c"], ALLOWED),
        ("stringequals", "a", "a", UNKNOWN),
        ("StringEqualsX", "a", "a", UNKNOWN),
        ("ForSomeValues:StringEquals", "a", "a", UNKNOWN),
        ("ForAnyValue:Null", "true", "a", UNKNOWN),
        ("NullIfExists", "true", "a", UNKNOWN),
        ("", "a", "a", UNKNOWN),
    ],
    ids=str,
)
def test_operator(operator: str, values: Any, actual: Any, expected: Decision) -> None:
    assert condition(operator, values, actual) is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        *((name, DENIED) for name in ("StringEquals", "StringLike", "NumericLessThan", "DateEquals", "Bool")),
        *((name, DENIED) for name in ("BinaryEquals", "IpAddress", "ArnEquals", "ArnLike")),
        *((name, ALLOWED) for name in ("StringNotEquals", "StringNotLike", "NumericNotEquals", "DateNotEquals")),
        *((name, ALLOWED) for name in ("StringNotEqualsIgnoreCase", "NotIpAddress", "ArnNotEquals", "ArnNotLike")),
        *((name, ALLOWED) for name in ("StringEqualsIfExists", "BoolIfExists", "StringNotEqualsIfExists")),
        *((name, ALLOWED) for name in ("Null", "ForAllValues:StringEquals", "ForAllValues:StringNotEquals")),
        *((name, DENIED) for name in ("ForAnyValue:StringEquals", "ForAnyValue:StringNotEquals")),
        *((name, UNKNOWN) for name in ("Foo", "FooIfExists", "ForAllValues:Foo")),
    ],
)
def test_absent_key(operator: str, expected: Decision) -> None:
    assert condition(operator, "true") is expected


def test_an_arn_operator_compares_part_by_part() -> None:
    # IAM User Guide, "IAM JSON policy elements: Condition operators": the example of a * that spans parts.
    pattern = "arn:aws:someservice:*:111122223333:finance/*"
    value = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"
    assert condition("StringLike", pattern, value) is ALLOWED
    assert condition("ArnLike", pattern, value) is DENIED


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        pytest.param({"StringEquals": {"aws:a": "1", "aws:b": "2"}}, ALLOWED, id="keys-anded"),
        pytest.param({"StringEquals": {"aws:a": "1", "aws:b": "x"}}, DENIED, id="one-key-false"),
        pytest.param({"StringEquals": {"aws:a": "1"}, "StringLike": {"aws:b": "2*"}}, ALLOWED, id="operators-anded"),
        pytest.param({"StringEquals": {"aws:a": "1"}, "StringLike": {"aws:b": "x*"}}, DENIED, id="one-operator-false"),
        pytest.param({"StringEquals": {"aws:a": "1"}, "Foo": {"aws:b": "2"}}, UNKNOWN, id="true-and-unknown"),
        pytest.param({"Foo": {"aws:b": "2"}, "StringEquals": {"aws:a": "x"}}, DENIED, id="unknown-and-false"),
        pytest.param({}, ALLOWED, id="empty"),
        pytest.param({"StringEquals": {}}, ALLOWED, id="operator-without-key"),
    ],
)
def test_condition_block(block: dict[str, Any], expected: Decision) -> None:
    request = Request(Principal.role(BOB), "kms:Decrypt", KEY, {"AWS:A": "1", "aws:b": "2"})
    assert decide(statement(Condition=block), request) is expected


@pytest.mark.parametrize(
    ("operator", "value", "actual", "expected"),
    [
        ("StringEquals", "${aws:PrincipalAccount}", ACCOUNT, ALLOWED),
        ("StringEquals", "${AWS:principalaccount}", ACCOUNT, ALLOWED),
        ("StringLike", "x-${aws:PrincipalAccount}-*", f"x-{ACCOUNT}-y", ALLOWED),
        ("StringEquals", "${aws:username}", "x", UNKNOWN),
        ("StringEquals", "${aws:userid}", "x", UNKNOWN),
        ("StringEquals", "${aws:username, 'x'}", "x", ALLOWED),
        ("StringEquals", "${aws:PrincipalAccount, 'x'}", "x", DENIED),
        ("StringEquals", "${", "${", UNKNOWN),
        ("StringEquals", "${}", "${}", UNKNOWN),
        ("StringEquals", "$x{", "$x{", ALLOWED),
        ("StringLike", "a${*}", "ab", DENIED),
        ("StringLike", "a${*}", "a*", ALLOWED),
        ("StringLike", "a${?}", "ab", DENIED),
        ("StringEquals", "${$}{x}", "${x}", ALLOWED),
        ("StringLike", "${aws:k}", "*", ALLOWED),
        ("StringLike", "${aws:k}", "a\\b", ALLOWED),
        ("ArnEquals", "${aws:PrincipalArn}", BOB, ALLOWED),
        ("ArnEquals", "${aws:PrincipalArn}", READER, DENIED),
        ("NumericEquals", "${aws:PrincipalAccount}", ACCOUNT, UNKNOWN),
        ("StringNotEquals", "${aws:username}", "x", UNKNOWN),
    ],
    ids=str,
)
def test_policy_variable(operator: str, value: str, actual: str, expected: Decision) -> None:
    assert condition(operator, value, actual) is expected


def test_a_wildcard_in_the_value_of_a_variable_is_literal() -> None:
    rule = statement(Condition={"StringLike": {"aws:k": "${aws:v}"}})
    assert decide(rule, Request(Principal.role(BOB), "kms:Decrypt", KEY, {"aws:k": "ab", "aws:v": "*"})) is DENIED


@pytest.mark.parametrize(("text", "expected"), [("${aws:PrincipalAccount}", ALLOWED), (ACCOUNT, DENIED)])
def test_before_2012_a_variable_is_plain_text(text: str, expected: Decision) -> None:
    assert condition("StringEquals", "${aws:PrincipalAccount}", text, version="2008-10-17") is expected


def test_a_condition_on_the_identity_is_never_judged_as_absent() -> None:
    allow = statement(Condition={"StringEquals": {"aws:PrincipalAccount": FOREIGN}})
    deny = statement("Deny", Condition={"ArnNotEquals": {"aws:PrincipalArn": READER}})
    assert decide(allow, ask(FOREIGNER)) is ALLOWED
    assert decide([ALLOW, deny], ask(READER)) is ALLOWED
    assert decide([ALLOW, deny], ask(SESSION)) is UNKNOWN  # the session's ARN does not tell its role's path
    assert decide([ALLOW, deny], ask(BOB)) is DENIED
    given_by_caller = Request(Principal.role(FOREIGNER), "kms:Decrypt", KEY, {"aws:PrincipalAccount": ACCOUNT})
    assert decide(allow, given_by_caller) is DENIED


def test_who_is_anonymous_has_the_account_anonymous() -> None:
    assert (
        decide(statement(Condition={"StringEquals": {"aws:PrincipalAccount": "anonymous"}}), ask(ANONYMOUS)) is ALLOWED
    )


@pytest.mark.parametrize("who", [CLOUDTRAIL, ANONYMOUS, Principal.role(BOB)], ids=lambda who: who.kind)
def test_only_a_service_is_a_service(who: Principal) -> None:
    rule = statement(Condition={"Bool": {"aws:PrincipalIsAWSService": "true"}})
    assert (decide(rule, ask(who)) is ALLOWED) == (who is CLOUDTRAIL)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        pytest.param("*a" * 5000, "a" * 10_000, ALLOWED, id="matches"),
        pytest.param("*a" * 5000 + "b", "a" * 10_000, DENIED, id="many-stars"),
        pytest.param("*a?" * 3333 + "b", "a" * 10_000, DENIED, id="question-marks"),
        pytest.param("*" * 10_000 + "b", "a" * 10_000, DENIED, id="stars-only"),
        pytest.param("*" + "a" * 5000 + "b*", "a" * 10_000, DENIED, id="long-piece"),
    ],
)
def test_a_hostile_pattern_is_matched_without_backtracking(pattern: str, text: str, expected: Decision) -> None:
    assert condition("StringLike", pattern, text) is expected


def by_definition(pattern: str, text: str) -> bool:
    """Wildcard matching as a table over all prefixes: slow, and plainly right."""
    row = [True] + [False] * len(text)
    for p in pattern:
        below = [row[0] and p == "*"]
        for n, c in enumerate(text):
            below.append(row[n + 1] or below[n] if p == "*" else row[n] and p in ("?", c))
        row = below
    return row[-1]


@settings(max_examples=150)
@given(st.text("ab*?\\.", max_size=8), st.text("ab*\\.\n", max_size=8))
def test_wildcards_match_as_defined(pattern: str, text: str) -> None:
    assert (condition("StringLike", pattern, text) is ALLOWED) == by_definition(pattern, text)


# Reading a policy


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="cut-off"),
        pytest.param("[" * 100_000, id="too-deep"),
        pytest.param("1" * 10_000, id="huge-number"),
        pytest.param('{"Statement": [{"Condition": {"NumericEquals": {"k": NaN}}}]}', id="not-a-number"),
        pytest.param("[]", id="list"),
        pytest.param('"Statement"', id="string"),
        pytest.param("{}", id="no-statement"),
        pytest.param('{"Statement": []}', id="no-statement-in-list"),
        pytest.param('{"Statement": "x"}', id="statement-string"),
        pytest.param('{"Statement": ["x"]}', id="statement-list-of-strings"),
        pytest.param('{"Statement": [{}], "Statement": [{}]}', id="duplicate-top"),
        pytest.param('{"Statement": [{"Effect": "Deny", "Effect": "Allow"}]}', id="duplicate-in-statement"),
        pytest.param('{"Statement": [{"Condition": {"Bool": {"k": "a", "k": "b"}}}]}', id="duplicate-in-condition"),
        pytest.param('{"statement": [{}]}', id="element-name-case"),
        pytest.param('{"Statement": [{}], "Other": 1}', id="unknown-top"),
        pytest.param('{"Statement": [{}], "Version": "2020-01-01"}', id="unknown-version"),
        pytest.param('{"Statement": [{}], "Version": []}', id="version-list"),
        pytest.param('{"Statement": [{"Effect": 1}]}', id="effect-number"),
        pytest.param('{"Statement": [{"Sid": 1}]}', id="sid-number"),
        pytest.param('{"Statement": [{"Action": 1}]}', id="action-number"),
        pytest.param('{"Statement": [{"Action": [["a"]]}]}', id="action-nested"),
        pytest.param('{"Statement": [{"Resource": null}]}', id="resource-null"),
        pytest.param('{"Statement": [{"Principal": "someone"}]}', id="principal-string"),
        pytest.param('{"Statement": [{"Principal": ["*"]}]}', id="principal-list"),
        pytest.param('{"Statement": [{"Principal": {"AWS": {}}}]}', id="principal-nested"),
        pytest.param('{"Statement": [{"Principal": {"*": "*"}}]}', id="principal-type"),
        pytest.param('{"Statement": [{"Condition": []}]}', id="condition-list"),
        pytest.param('{"Statement": [{"Condition": {"Bool": "k"}}]}', id="condition-key-missing"),
        pytest.param('{"Statement": [{"Condition": {"Bool": {"k": null}}}]}', id="condition-null"),
        pytest.param('{"Statement": [{"Condition": {"Bool": {"k": {}}}}]}', id="condition-nested"),
    ],
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(EvidenceError, match="the policy can't be read") as caught:
        Policy.parse(text)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([statement("allow")], UNKNOWN, id="effect-case"),
        pytest.param([ALLOW, statement("deny")], UNKNOWN, id="perhaps-a-deny"),
        pytest.param([ALLOW, statement("deny"), DENY], DENIED, id="sure-deny-besides"),
        pytest.param([ALLOW, statement("deny", Action="kms:Encrypt")], ALLOWED, id="elsewhere"),
        pytest.param([statement(Effect=None)], UNKNOWN, id="no-effect"),
        pytest.param([statement(Conditions={})], UNKNOWN, id="unknown-element"),
        pytest.param([statement(NotPrincipal="*")], UNKNOWN, id="both-principals"),
    ],
)
def test_an_unreadable_statement_decides_nothing(rules: list[dict[str, Any]], expected: Decision) -> None:
    bodies = [{k: v for k, v in rule.items() if v is not None} for rule in rules]
    assert decide(bodies, ask()) is expected


def test_statements_are_typed() -> None:
    rule = statement(Sid="", Condition={"Bool": {"aws:SecureTransport": False}, "StringLike": {"k": ["a", 1]}})
    (read,) = policy(rule).statements
    assert (read.label, read.sid, read.effect) == ("statement 1", "", "Allow")
    assert [entry.text for entry in read.principals or ()] == ["everyone"]
    assert (read.actions, read.not_actions) == (("kms:Decrypt",), None)
    assert (read.resources, read.not_resources, read.not_principals) == (("*",), None, None)
    assert [c.text for c in read.conditions] == ["Bool aws:SecureTransport: false", "StringLike k: a or 1"]


def test_one_statement_needs_no_list() -> None:
    assert Policy.parse(json.dumps({"Statement": ALLOW})).statements == policy(ALLOW).statements


# Grantees


def test_grantees_of_the_default_key_policy() -> None:
    found = grantees(policy(*DEFAULT_KEY_POLICY), "kms:Decrypt", KEY)
    assert [(g.statement, g.principal, g.certain) for g in found] == [
        ('statement "Enable IAM user permissions"', ROOT, True),
        ('statement "Enable IAM user permissions"', BOB, True),
        ('statement "Allow principals in the account to decrypt log files"', "everyone", True),
        ('statement "Enable cross account log decryption"', "everyone", True),
    ]
    assert found[2].conditions == (
        f"StringEquals kms:CallerAccount: {ACCOUNT}",
        f"StringLike {CONTEXT_KEY}: arn:aws:cloudtrail:*:{ACCOUNT}:trail/*",
    )


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(statement(Principal={"Service": "a.b"}), [("a.b", True)], id="service"),
        pytest.param(statement(Principal={"CanonicalUser": "79a"}), [("CanonicalUser 79a", True)], id="canonical-user"),
        pytest.param(
            statement(Principal=None, NotPrincipal={"AWS": [BOB, ROOT]}),
            [(f"everyone except {BOB}, {ROOT}", True)],
            id="not-principal",
        ),
        pytest.param(statement(Principal=None), [("nobody by name", False)], id="no-principal"),
        pytest.param(statement(Resource=None), [("everyone", False)], id="no-resource"),
        pytest.param(statement(Resource=KEY + "${aws:username}"), [("everyone", False)], id="variable"),
        pytest.param(statement("allow"), [("everyone", False)], id="effect-case"),
        pytest.param(statement("Deny"), [], id="deny"),
        pytest.param(statement(Action="kms:Encrypt"), [], id="other-action"),
        pytest.param(statement(Resource=KEY + "2"), [], id="other-resource"),
    ],
)
def test_grantees(rule: dict[str, Any], expected: list[tuple[str, bool]]) -> None:
    assert [(g.principal, g.certain) for g in grantees(policy(rule), "kms:Decrypt", KEY)] == expected


# Properties, over policies of all kinds

ASKERS = [CLOUDTRAIL, ANONYMOUS, *map(Principal.role, (BOB, READER, SESSION, ROOT, FOREIGNER))]
names = st.sampled_from([BOB, READER, SESSION, ROOT, ACCOUNT, FOREIGNER, "*", "nonsense", f"arn:aws:iam::{ACCOUNT}:*"])
who = st.one_of(
    st.just("*"),
    st.dictionaries(st.just("AWS"), st.lists(names, max_size=3), min_size=1),
    st.just({"Service": "cloudtrail.amazonaws.com"}),
)
operators = st.sampled_from(["StringEquals", "StringNotLike", "Null", "Foo", "ForAnyValue:ArnLike", "BoolIfExists"])
texts = st.sampled_from(["true", "false", TRAIL, "arn:aws:cloudtrail:*:*:trail/*", "${aws:username}"])
keys = st.sampled_from(["aws:SourceArn", "aws:PrincipalAccount", "aws:SecureTransport", "x"])
statements = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Allow", "Deny", "deny"]),
        "Action": st.sampled_from(["kms:Decrypt", "kms:*", "kms:Encrypt", ["s3:*", "KMS:DECRYPT"]]),
        "Resource": st.sampled_from(["*", KEY, BUCKET]),
    },
    optional={
        "Condition": st.dictionaries(operators, st.dictionaries(keys, texts, max_size=2), max_size=2),
        "Id": st.just("unknown element"),
    },
).flatmap(lambda body: who.flatmap(lambda p: st.sampled_from([body | {"Principal": p}, body | {"NotPrincipal": p}])))
bodies = st.lists(statements, min_size=1, max_size=4)
requests = st.builds(
    Request,
    st.sampled_from(ASKERS),
    st.just("kms:Decrypt"),
    st.just(KEY),
    st.dictionaries(keys, st.sampled_from(["true", "false", TRAIL, None, ("a", TRAIL)])),
)
moderately = settings(max_examples=80, deadline=None)


def result(rules: list[dict[str, Any]], request: Request) -> Evaluation:
    return evaluate(policy(*rules), request)


@moderately
@given(bodies, requests, st.randoms(use_true_random=False))
def test_the_order_of_statements_never_matters(
    rules: list[dict[str, Any]], request: Request, chance: random.Random
) -> None:
    shuffled = chance.sample(rules, len(rules))
    before, after = result(rules, request), result(shuffled, request)
    assert (before.decision, before.explicit) == (after.decision, after.explicit)


@moderately
@given(bodies, requests, statements)
def test_an_added_allow_never_takes_away(rules: list[dict[str, Any]], request: Request, added: dict[str, Any]) -> None:
    before, after = decide(rules, request), decide([*rules, added | {"Effect": "Allow"}], request)
    kept = {ALLOWED: {ALLOWED}, DELEGATED: {DELEGATED, ALLOWED, UNKNOWN}, UNKNOWN: {UNKNOWN, DELEGATED, ALLOWED}}
    assert after in kept.get(before, set(Decision))


@moderately
@given(bodies, requests)
def test_an_added_deny_that_matches_always_denies(rules: list[dict[str, Any]], request: Request) -> None:
    found = result([*rules, DENY], request)
    assert (found.decision, found.explicit) == (DENIED, True)


@moderately
@given(bodies, requests, statements)
def test_an_added_deny_never_gives(rules: list[dict[str, Any]], request: Request, added: dict[str, Any]) -> None:
    before, after = decide(rules, request), decide([*rules, added | {"Effect": "Deny"}], request)
    assert after in ({DENIED} if before is DENIED else {before, DENIED, UNKNOWN})


@moderately
@given(bodies, requests)
def test_a_list_of_one_is_as_good_as_a_string(rules: list[dict[str, Any]], request: Request) -> None:
    def listed(value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    def wrapped(rule: dict[str, Any]) -> dict[str, Any]:
        rule = rule | {name: listed(rule[name]) for name in ("Action", "Resource")}
        if isinstance(rule.get("Principal"), dict):
            rule["Principal"] = {kind: listed(value) for kind, value in rule["Principal"].items()}
        if "Condition" in rule:
            rule["Condition"] = {
                operator: {key: listed(value) for key, value in block.items()}
                for operator, block in rule["Condition"].items()
            }
        return rule

    assert result(list(map(wrapped, rules)), request) == result(rules, request)


@moderately
@given(bodies, requests, st.sampled_from([str.upper, str.lower, str.swapcase]))
def test_the_case_of_actions_and_keys_never_matters(rules: list[dict[str, Any]], request: Request, fold: Any) -> None:
    def folded(rule: dict[str, Any]) -> dict[str, Any]:
        actions = rule["Action"]
        rule = rule | {"Action": fold(actions) if isinstance(actions, str) else list(map(fold, actions))}
        if "Condition" in rule:
            rule["Condition"] = {
                operator: {fold(key): value for key, value in block.items()}
                for operator, block in rule["Condition"].items()
            }
        return rule

    shouted = Request(request.principal, fold(request.action), KEY, {fold(k): v for k, v in request.context.items()})
    assert decide(list(map(folded, rules)), shouted) is decide(rules, request)


@moderately
@given(bodies, requests, st.text(max_size=12).map(lambda name: f"X{name}"))
def test_an_unknown_operator_never_allows_and_never_hides_a_deny(
    rules: list[dict[str, Any]], request: Request, operator: str
) -> None:
    unsure = [rule | {"Condition": {operator: {"k": "v"}}} for rule in rules]
    assert decide(unsure, request) in (DENIED, UNKNOWN)
    assert not result(unsure, request).explicit
    if result(rules, request).explicit:
        assert result([*rules, *unsure], request).explicit


@moderately
@given(bodies, requests)
def test_whoever_is_let_in_is_a_grantee(rules: list[dict[str, Any]], request: Request) -> None:
    listed = {grantee.statement for grantee in grantees(policy(*rules), request.action, request.resource)}
    found = result(rules, request)
    assert found.decision not in (ALLOWED, DELEGATED) or set(found.statements) <= listed


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | names | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
elements = st.sampled_from(
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition", "X"]
)
known = st.sampled_from(
    [
        *("StringEquals", "StringLike", "NumericLessThan", "DateEquals", "BinaryEquals", "IpAddress", "ArnLike"),
        *("Null", "ForAllValues:Bool", "DateNotEquals", "StringEqualsIgnoreCaseIfExists"),
    ]
)
blocks = st.dictionaries(known, st.dictionaries(keys, st.lists(scalars.filter(lambda v: v is not None), max_size=2)))
wild = st.dictionaries(elements, values | blocks | who, max_size=6)
near = statements.flatmap(lambda body: blocks.map(lambda block: body | {"Condition": block}))


@settings(max_examples=250, deadline=None)
@given(st.one_of(values, st.fixed_dictionaries({"Statement": st.lists(wild | near, max_size=3)})), requests, scalars)
def test_any_json_is_refused_or_judged(document: Any, request: Request, actual: Any) -> None:
    try:
        read = Policy.parse(json.dumps(document))
    except PolicyError:
        return
    odd = Request(request.principal, request.action, request.resource, dict(request.context) | {"x": str(actual)})
    for asked in (request, odd):
        assert evaluate(read, asked).reason
    assert all(grantee.principal for grantee in grantees(read, request.action, request.resource))


@given(st.text(max_size=30))
def test_any_text_is_refused_or_read(text: str) -> None:
    with contextlib.suppress(PolicyError):
        assert Policy.parse(text).statements
