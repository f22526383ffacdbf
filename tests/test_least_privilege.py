"""The policy that `trailkit policy` prints allows what a run asks, and nothing else."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from kit.collect.calls import ASSUME_ROLE, CALLS, SIMULATE_PRINCIPAL_POLICY
from kit.collect.iq import Scope, collect_iq
from kit.collect.least_privilege import least_privilege
from kit.collect.readers import Readers
from kit.evidence import EvidenceStore, read_index
from kit.policy import Decision, Policy, Principal, Request, evaluate
from kit.recording import Recorder
from kit.sandbox.account import ACCOUNT_ID, LOG_BUCKET, READER, REGION, TRAIL_ARN
from kit.sandbox.server import CREDENTIALS, Sandbox

ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/GxPAudit"
FULL = {"account_id": ACCOUNT_ID, "bucket": LOG_BUCKET, "reader_roles": (READER,), "assumed_roles": (ROLE,)}
SERVICES = {"s3-control": "s3control"}
NARROWED = {
    "without parameters": {},
    "narrowed to an account and a bucket": FULL,
    "another partition": {"partition": "aws-us-gov"},
}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """The calls of a real run, each as its row of the table of calls."""
    folder = tmp_path_factory.mktemp("run") / "evidence"
    with Sandbox() as sandbox, ThreadPoolExecutor(8) as executor:
        readers = Readers(
            Recorder(EvidenceStore(folder)), endpoint_url=sandbox.endpoint, credentials=CREDENTIALS, attempts=1
        )
        collect_iq(readers, Scope(ACCOUNT_ID, reader_roles=(READER,)), executor, lambda *_: None)
    made = {(SERVICES.get(entry.service, entry.service), entry.operation) for entry in read_index(folder)}
    return [call for call in CALLS if (call.service, call.operation) in made]


def actions(policy):
    return sorted(action for statement in policy["Statement"] for action in statement["Action"])


def test_it_allows_exactly_what_a_run_asks(asked):
    # GetCallerIdentity needs no permission, and can't be denied [STS: GetCallerIdentity]
    needed = {call.action for call in asked if call.resource != "none"}
    assert actions(least_privilege(ACCOUNT_ID, reader_roles=(READER,))) == sorted(needed)


def test_every_call_of_the_table_is_made_by_a_run_unless_it_takes_a_role(asked):
    assert {call for call in CALLS if "IQ" in call.protocols} - set(asked) == {ASSUME_ROLE}


@pytest.mark.parametrize(
    ("roles", "action"),
    [("reader_roles", SIMULATE_PRINCIPAL_POLICY.action), ("assumed_roles", ASSUME_ROLE.action)],
    ids=["to be simulated", "to be assumed"],
)
def test_roles_appear_only_where_they_are_named(roles, action):
    assert action not in actions(least_privilege())
    (statement,) = [each for each in least_privilege(**{roles: (ROLE,)})["Statement"] if action in each["Action"]]
    assert (statement["Action"], statement["Resource"]) == ([action], [ROLE])


@pytest.mark.parametrize("parameters", NARROWED.values(), ids=NARROWED)
def test_every_action_is_one_that_reads_and_is_spelled_out(parameters):
    for action in actions(least_privilege(**parameters)):
        assert re.fullmatch(r"(s3|kms|ec2|cloudtrail):(Get|List|Describe)\w+|iam:Simulate\w+|sts:AssumeRole", action)


@pytest.mark.parametrize("parameters", NARROWED.values(), ids=NARROWED)
def test_no_action_is_listed_twice(parameters):
    listed = actions(least_privilege(**parameters))
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("parameters", NARROWED.values(), ids=NARROWED)
def test_it_is_a_policy_as_iam_takes_it(parameters):
    policy = least_privilege(**parameters)
    assert policy["Version"] == "2012-10-17"
    sids = [statement["Sid"] for statement in policy["Statement"]]
    assert len(sids) == len(set(sids))
    for statement in policy["Statement"]:
        assert set(statement) == {"Sid", "Effect", "Action", "Resource"}
        assert re.fullmatch(r"[A-Za-z0-9]+", statement["Sid"])
        assert statement["Effect"] == "Allow"
        assert statement["Action"]
    # a managed policy has at most 6144 characters, white space aside [IAM quotas]
    assert len(json.dumps(policy, separators=(",", ":"))) < 6144


# Service Authorization Reference: these have no resource type, and are allowed on * or not at all
WITHOUT_RESOURCE = [
    "cloudtrail:DescribeTrails",
    "ec2:DescribeRegions",
    "kms:ListAliases",
    "s3:GetAccountPublicAccessBlock",
]


def test_only_actions_without_a_resource_type_are_allowed_on_everything():
    policy = least_privilege(**FULL)
    everywhere = [each for each in policy["Statement"] if each["Resource"] == "*"]
    assert [statement["Action"] for statement in everywhere] == [WITHOUT_RESOURCE]


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("cloudtrail:GetTrailStatus", TRAIL_ARN, True),
        ("cloudtrail:GetTrailStatus", TRAIL_ARN.replace(ACCOUNT_ID, "210987654321"), False),
        ("kms:GetKeyPolicy", f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/1234", True),
        ("kms:GetKeyPolicy", f"arn:aws:kms:{REGION}:210987654321:key/1234", False),
        ("s3:GetBucketPolicy", f"arn:aws:s3:::{LOG_BUCKET}", True),
        ("s3:GetBucketPolicy", "arn:aws:s3:::another-bucket", False),
        ("s3:GetObject", f"arn:aws:s3:::{LOG_BUCKET}/key", False),
        ("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/1234", False),
        ("iam:SimulatePrincipalPolicy", READER, True),
        ("iam:SimulatePrincipalPolicy", ROLE, False),
        ("sts:AssumeRole", ROLE, True),
        ("sts:AssumeRole", READER, False),
    ],
)
def test_it_is_narrowed_to_what_the_parameters_name(action, resource, allowed):
    statements = [each | {"Principal": {"AWS": ROLE}} for each in least_privilege(**FULL)["Statement"]]
    policy = Policy.parse(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    outcome = evaluate(policy, Request(Principal.role(ROLE), action, resource, {}))
    assert (outcome.decision is Decision.ALLOWED) == allowed


def test_an_operational_qualification_may_read_objects_as_well():
    more = set(actions(least_privilege(protocols=("OQ",)))) - set(actions(least_privilege(protocols=("IQ",))))
    assert more == {
        "cloudtrail:ListPublicKeys",
        "kms:Decrypt",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucketVersions",
    }
    (objects,) = [
        each for each in least_privilege(bucket=LOG_BUCKET, protocols=("OQ",))["Statement"] if "Files" in each["Sid"]
    ]
    assert objects["Resource"] == f"arn:aws:s3:::{LOG_BUCKET}/*"


@pytest.mark.parametrize("partition", ["aws-us-gov", "aws-cn"])
def test_every_arn_is_of_the_partition(partition):
    for statement in least_privilege(partition=partition)["Statement"]:
        assert statement["Resource"] == "*" or statement["Resource"].startswith(f"arn:{partition}:")
