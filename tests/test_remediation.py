"""A plan mends what can be mended, by the steps that it must and no other; it guesses, narrows and deletes nothing."""

import json
import re
from dataclasses import replace

import pytest
from fixtures.remedied import DECIDED, EXPECTED, MENDED, NOTHING_WRONG, UNREAD, collected, parameters_of, planned

from kit.catalogue import protocol
from kit.parameters import RunParameters
from kit.policy import Policy, PolicyError
from kit.remediation import policies
from kit.remediation.plan import plan
from kit.remediation.steps import NEW_KEY, Plan, command
from kit.sandbox.account import ALIAS, LOG_BUCKET, READER, TRAIL_ARN
from kit.sandbox.server import Sandbox, list_faults
from kit.snapshot import Absence, Answer, Reason

HARMLESS = [fault.name for fault in list_faults() if not any(case.startswith("IQ") for case in fault.changes)]
NARROWING = re.compile(r"(Delete|Disable|Stop|Revoke|Remove|Schedule|Suspend|Detach)\w*")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started:
        yield started


@pytest.fixture
def plan_for(sandbox, tmp_path):
    def make(*faults: str, folder: str = "evidence", **expected: object) -> Plan:
        sandbox.reset(faults)
        return planned(sandbox, tmp_path / folder, **expected)

    return make


@pytest.fixture(scope="module")
def compliant(sandbox, tmp_path_factory):
    """What was read of the compliant account, and its parameters."""
    sandbox.reset()
    parameters = parameters_of(sandbox)
    return collected(parameters, tmp_path_factory.mktemp("compliant") / "evidence"), parameters


@pytest.fixture(scope="module")
def read(sandbox, tmp_path_factory):
    """What was read, twice, of an account with one thing to mend, and its parameters."""
    sandbox.reset(["rotation-off"])
    parameters = parameters_of(sandbox)
    folder = tmp_path_factory.mktemp("read")
    return collected(parameters, folder / "first"), collected(parameters, folder / "second"), parameters


def ids(found: Plan) -> list[str]:
    return [step.id for step in found.steps]


def test_every_fault_of_the_installation_is_mended_or_left_for_a_reason():
    listed = [*MENDED, *DECIDED, *UNREAD, *NOTHING_WRONG]
    assert sorted(listed) == sorted(fault.name for fault in list_faults() if fault.name not in HARMLESS)


def test_a_compliant_account_has_an_empty_plan(plan_for):
    found = plan_for()
    assert (found.steps, found.left) == ((), ())
    assert set(found.verdicts.values()) == {("PASS", "PASS")}


@pytest.mark.parametrize(
    "fault",
    ["shadow-trail", "advanced-selectors", "hostile-text", "bucket-encryption-missing", "insecure-transport-allowed"],
)
def test_what_is_harmless_to_the_installation_needs_no_step(fault, plan_for):
    assert ids(plan_for(fault)) == []


@pytest.mark.parametrize("fault", MENDED)
def test_a_fault_that_can_be_mended_is_planned_for(fault, plan_for):
    found = plan_for(fault, **EXPECTED.get(fault, {}))
    assert ids(found) == MENDED[fault]
    assert found.left == ()
    assert {then for _, then in found.verdicts.values()} == {"PASS"}
    for step in found.steps:
        assert set(step.mends) <= set(protocol("IQ").test_cases)
        assert step.before != step.after
        assert step.diff
        assert all((step.title, step.risk, step.undo))
        assert not NARROWING.match(step.operation)


@pytest.mark.parametrize("fault", DECIDED)
def test_what_a_person_must_decide_is_left_and_says_what_to_do(fault, plan_for):
    found = plan_for(fault)
    assert found.steps == ()
    assert any(DECIDED[fault] in text for one in found.left for text in one.advice)
    assert found.verdicts == {case: (now, now) for case, (now, _) in found.verdicts.items()}


@pytest.mark.parametrize("fault", UNREAD)
def test_what_was_not_read_is_open_and_never_guessed(fault, plan_for):
    found = plan_for(fault)
    assert found.steps == ()
    assert found.left
    assert all(one.advice for one in found.left)


def test_two_faults_are_mended_in_an_order_that_uses_nothing_before_it_is_ready(plan_for):
    found = plan_for("no-trail", "policy-without-cloudtrail", "rotation-off", "alias-missing", "bucket-policy-missing")
    assert ids(found) == [
        "put-bucket-policy",
        "put-key-policy",
        "enable-key-rotation",
        "create-alias",
        "create-trail",
        "start-logging",
    ]


def test_an_account_without_anything_gets_bucket_key_and_trail(plan_for):
    found = plan_for("no-trail", "bucket-gone", "key-gone", kms_key_arn=ALIAS, reader_role_arns=[READER])
    assert ids(found) == [
        "create-bucket",
        "put-public-access-block",
        "put-bucket-versioning",
        "put-bucket-policy",
        "create-key",
        "enable-key-rotation",
        "create-alias",
        "create-trail",
        "start-logging",
    ]
    assert {then for _, then in found.verdicts.values()} == {"PASS"}
    by_id = {step.id: step for step in found.steps}
    assert by_id["create-trail"].parameters["KmsKeyId"] == NEW_KEY
    assert by_id["create-key"].command.startswith("KEY_ARN=$(aws kms create-key ")
    assert f'--kms-key-id "{NEW_KEY}"' in by_id["create-trail"].command


def test_a_new_bucket_is_locked_where_the_parameters_ask_for_it(plan_for):
    found = plan_for("bucket-gone", object_lock_mode="COMPLIANCE", tls_only=True)
    assert ids(found) == ["create-bucket", "put-public-access-block", "put-object-lock", "put-bucket-policy"]
    assert {then for _, then in found.verdicts.values()} == {"PASS"}


def test_object_lock_is_never_put_on_a_bucket_that_is_there(plan_for):
    found = plan_for("object-lock-missing", object_lock_mode="COMPLIANCE")
    assert found.steps == ()
    assert [one.test_case for one in found.left] == ["IQ-10"]


@pytest.mark.parametrize(
    ("faults", "expected", "why"),
    [
        (["no-trail"], {"log_bucket": None}, "State expected.log_bucket"),
        (["no-trail"], {"kms_key_arn": None, "key_alias": None}, "State expected.kms_key_arn"),
        (["no-trail"], {"organization_id": "o-a1b2c3d4e5"}, "organization trail"),
        (["no-trail", "policy-deny-on-top"], {}, "needs a key and a bucket that CloudTrail can use"),
        (["no-trail", "deny-get-key-policy"], {}, "needs a key and a bucket that CloudTrail can use"),
        (["no-trail"], {"trail_arn": None}, "State expected.trail_arn"),
    ],
    ids=["no bucket", "no key", "organization", "a denying policy", "a policy unread", "no name"],
)
def test_no_trail_is_made_on_a_guess(faults, expected, why, plan_for):
    found = plan_for(*faults, **expected)
    assert "create-trail" not in ids(found)
    assert any(why in text for one in found.left for text in one.advice), [one.advice for one in found.left]


def test_the_trail_is_not_made_where_its_home_region_did_not_answer(compliant):
    snapshot, parameters = compliant
    denied = Answer("cloudtrail:DescribeTrails", (), absence=Absence(Reason.DENIED, "AccessDeniedException"))
    silent = replace(snapshot, trails=(), regions={**snapshot.regions, "eu-west-1": denied})
    found = plan(silent, parameters)
    assert found.steps == ()
    assert any("can't be told, so it is not made" in text for one in found.left for text in one.advice)


@pytest.mark.parametrize("fault", ["trail-without-key", "other-key"])
def test_a_key_that_would_stop_delivery_is_not_put_on_the_trail(fault, plan_for):
    found = plan_for(fault, "policy-deny-on-top")
    assert ids(found) == []
    assert any("CloudTrail could not use it" in text for one in found.left for text in one.advice)


def test_a_deleted_key_that_is_named_by_its_arn_is_left(plan_for):
    found = plan_for("key-gone")
    assert found.steps == ()
    assert any("name it by alias" in text for one in found.left for text in one.advice)


def test_steps_that_can_stop_delivery_say_so(plan_for):
    found = plan_for("other-key", "policy-without-cloudtrail", "bucket-policy-missing", "kms-events-excluded")
    asked = {step.id for step in found.steps if step.may_stop_delivery}
    assert asked == {"put-bucket-policy", "put-key-policy", "select-management-events", "encrypt"}


class TestHash:
    def test_the_same_account_gives_the_same_hash(self, read):
        first, second, parameters = read
        assert plan(first, parameters).sha256 == plan(second, parameters).sha256

    def test_a_setting_that_needs_no_step_counts_too(self, read):
        snapshot, _, parameters = read
        (trail,) = snapshot.trails
        moved = replace(trail.bucket, logging=Answer("s3:GetBucketLogging", (), {}))
        after = plan(replace(snapshot, trails=(replace(trail, bucket=moved),)), parameters)
        assert ids(after) == ids(plan(snapshot, parameters))
        assert after.sha256 != plan(snapshot, parameters).sha256

    def test_another_requirement_gives_another(self, read):
        snapshot, _, parameters = read
        stricter = RunParameters.load(
            {**parameters.to_json(), "expected": parameters.to_json()["expected"] | {"tls_only": True}}
        )
        assert plan(snapshot, stricter).sha256 != plan(snapshot, parameters).sha256

    def test_who_runs_it_when_and_how_does_not_count(self, read):
        snapshot, _, parameters = read
        told = parameters.to_json()
        told["execution"] |= {"executed_by": "Somebody Else", "reason": "CC-9"}
        told["target"] |= {"profile": "gxp-change"}
        assert plan(snapshot, RunParameters.load(told)).sha256 == plan(snapshot, parameters).sha256

    def test_it_is_of_what_the_plan_says(self, read):
        found = plan(read[0], read[2])
        changed = replace(found, steps=(replace(found.steps[0], operation="DisableKeyRotation"),))
        assert changed.sha256 != found.sha256


class TestMerging:
    @pytest.fixture
    def trail(self, compliant):
        (trail,) = compliant[0].trails
        return trail

    @pytest.mark.parametrize(
        "text",
        [
            '{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}',
            '{ "Statement" : [ {"Effect":"Deny", "Principal":"*",\n "Action":"s3:*","Resource":"*"}\n ] , "Id":"x]}" }',
            '{"Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"kms:*","Resource":"*"},"Id":"\\u00e9"}',
        ],
        ids=["compact", "spaced", "a single statement"],
    )
    def test_what_stands_there_stays_byte_for_byte(self, text, trail):
        after = policies.merged(text, [policies.encrypt(trail), policies.describe(trail)])
        before = Policy.parse(text)
        assert Policy.parse(after).statements[: len(before.statements)] == before.statements
        assert len(Policy.parse(after).statements) == len(before.statements) + 2
        held = re.search(r'\{\s*"(Sid|Effect)".*?\}(?=[\s\],])', text, re.DOTALL)[0]
        assert held in after
        assert after.startswith(text[: text.index(held)].rstrip(" ["))
        assert json.loads(after).get("Id") == json.loads(text).get("Id")

    def test_a_sid_that_is_taken_is_numbered(self, trail):
        text = policies.new_policy(
            [policies.encrypt(trail), {**policies.encrypt(trail), "Sid": "Allow CloudTrail to encrypt logs2"}]
        )
        sids = [
            statement.sid for statement in Policy.parse(policies.merged(text, [policies.encrypt(trail)])).statements
        ]
        assert len(sids) == len(set(sids)) == 3

    @pytest.mark.parametrize("text", ["", "[]", '{"Statement": []}', '{"Statement": [{}], "Statement": []}'])
    def test_what_is_no_policy_is_not_merged_into(self, text, trail):
        with pytest.raises(PolicyError):
            policies.merged(text, [policies.encrypt(trail)])

    def test_an_organization_trail_may_write_for_its_members(self, trail, sandbox):
        of_organization = replace(trail, description={**trail.description, "IsOrganizationTrail": True})
        written = policies.write_logs(
            of_organization, LOG_BUCKET, parameters_of(sandbox, organization_id="o-a1b2c3d4e5")
        )
        assert [place.rpartition("AWSLogs/")[2] for place in written["Resource"]] == [
            "123456789012/*",
            "o-a1b2c3d4e5/*",
        ]

    def test_a_prefix_is_part_of_where_is_written(self, trail, sandbox):
        prefixed = replace(trail, description={**trail.description, "S3KeyPrefix": "gxp"})
        written = policies.write_logs(prefixed, LOG_BUCKET, parameters_of(sandbox))
        assert written["Resource"] == f"arn:aws:s3:::{LOG_BUCKET}/gxp/AWSLogs/123456789012/*"

    def test_a_bucket_key_needs_decrypt(self, compliant):
        snapshot, parameters = compliant
        (trail,) = snapshot.trails
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
        bucket = replace(trail.bucket, encryption=Answer("s3", (), {"Rules": [rule]}))
        found = plan(replace(snapshot, trails=(replace(trail, bucket=bucket),)), parameters)
        assert ids(found) == ["put-key-policy"]
        (added,) = found.steps[0].after["Statement"][4:]
        assert (added["Action"], added["Condition"]["StringEquals"]) == ("kms:Decrypt", {"aws:SourceArn": TRAIL_ARN})

    def test_a_named_reader_whom_nothing_lets_decrypt_is_let_in(self, compliant):
        snapshot, parameters = compliant
        told = parameters.to_json()
        auditor = "arn:aws:iam::123456789012:role/Auditor"
        named = RunParameters.load({**told, "expected": told["expected"] | {"reader_role_arns": [READER, auditor]}})
        (trail,) = snapshot.trails
        key = replace(trail.key, simulations={auditor: Answer("iam", (), "implicitDeny")})
        found = plan(replace(snapshot, trails=(replace(trail, key=key),)), named)
        assert ids(found) == ["put-key-policy"]
        assert [one["Principal"] for one in found.steps[0].after["Statement"][4:]] == [{"AWS": auditor}]


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"Name": "t", "EnableLogFileValidation": True}, "--name t --enable-log-file-validation"),
        ({"Name": "t", "IsMultiRegionTrail": False}, "--name t --no-is-multi-region-trail"),
        ({"S3BucketName": "b", "KmsKeyId": NEW_KEY}, '--kms-key-id "$KEY_ARN" --s3-bucket-name b'),
        ({"Policy": '{"a": "it\'s"}'}, """--policy '{"a": "it'"'"'s"}'"""),
        ({"VersioningConfiguration": {"Status": "Enabled"}}, """--versioning-configuration '{"Status": "Enabled"}'"""),
    ],
    ids=["on", "off", "the new key", "quotes", "a structure"],
)
def test_a_command_is_quoted_for_the_shell(parameters, line):
    assert command("cloudtrail", "UpdateTrail", "eu-west-1", parameters) == (
        f"aws cloudtrail update-trail --region eu-west-1 {line}"
    )
