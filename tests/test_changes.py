"""A plan that is carried out ends with IQ passing; killed between two steps, the account is no worse than before."""

import json
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config
from fixtures.operational import judged, silent, verdicts
from fixtures.remedied import BY_ALIAS, DECIDED, EXPECTED, MENDED, changed, collected, parameters_of, planned
from pytest_socket import disable_socket, enable_socket

from kit.collect import changes
from kit.collect.change_calls import CHANGES
from kit.collect.gather import gather_again
from kit.collect.readers import Readers
from kit.errors import EvidenceError, PlanError
from kit.evidence import INDEX, EvidenceStore, read_index
from kit.findings import Verdict
from kit.parameters import RunParameters
from kit.recording import Recorder
from kit.remediation.approval import hold_approved
from kit.remediation.plan import plan
from kit.sandbox.account import LOG_BUCKET, TRAIL
from kit.sandbox.server import CREDENTIALS, Sandbox

EVERYTHING = ("no-trail", "bucket-gone", "key-gone")
SEVERAL = [((fault,), EXPECTED.get(fault, {})) for fault, steps in MENDED.items() if len(steps) > 1]
SEVERAL += [(EVERYTHING, BY_ALIAS)]
SEVERAL += [(("not-logging", "policy-without-cloudtrail", "trail-without-key", "validation-off", "rotation-off"), {})]
BETWEEN = [
    pytest.param(faults, expected, done, id=f"{'+'.join(faults)} after {done}")
    for faults, expected in SEVERAL
    for done in range(1, 9 if faults == EVERYTHING else 5 if len(faults) > 1 else len(MENDED[faults[0]]))
]


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started:
        yield started


@pytest.fixture
def client(sandbox):
    def make(service):
        config = Config(retries={"total_max_attempts": 1}, proxies={})
        session = boto3.session.Session(**CREDENTIALS, region_name="eu-west-1")
        return session.client(service, endpoint_url=sandbox.endpoint, config=config)

    return make


def iq(snapshot, parameters):
    return verdicts(judged(snapshot, parameters, "IQ"))


def passing(snapshot, parameters):
    return {case for case, verdict in iq(snapshot, parameters).items() if verdict is Verdict.PASS}


@pytest.mark.parametrize("fault", MENDED)
def test_a_fault_that_is_remediated_ends_with_iq_passing_and_nothing_left_to_do(fault, sandbox, tmp_path):
    sandbox.reset([fault])
    after, parameters = changed(sandbox, tmp_path / "evidence", **EXPECTED.get(fault, {}))
    assert set(iq(after, parameters).values()) == {Verdict.PASS}
    assert after.remediation.remaining == ()
    assert [one.step for one in after.remediation.carried] == MENDED[fault]
    assert changes.delivered_after(after.remediation.status, after.remediation.changed)


@pytest.mark.parametrize(
    ("faults", "expected"), SEVERAL[-2:], ids=["an account without anything", "several faults at once"]
)
def test_several_faults_are_remediated_together(faults, expected, sandbox, tmp_path):
    sandbox.reset(faults)
    after, parameters = changed(sandbox, tmp_path / "evidence", **expected)
    assert set(iq(after, parameters).values()) == {Verdict.PASS}
    assert after.remediation.remaining == ()


@pytest.mark.parametrize(("faults", "expected", "done"), BETWEEN)
def test_killed_between_two_steps_the_account_is_no_worse_and_a_new_plan_finishes(
    faults, expected, done, sandbox, tmp_path, monkeypatch
):
    sandbox.reset(faults)
    parameters = parameters_of(sandbox, **expected)
    before = passing(collected(parameters, tmp_path / "before"), parameters)
    carry, count = changes._carried, iter(range(99))

    def killed(*given):
        if next(count) == done:
            raise Killed
        return carry(*given)

    monkeypatch.setattr(changes, "_carried", killed)
    with pytest.raises(Killed):
        changed(sandbox, tmp_path / "killed", **expected)
    monkeypatch.undo()
    between = collected(parameters, tmp_path / "between")
    assert before <= passing(between, parameters)
    # KMS has a key rotate again by itself once its deletion is cancelled: then the job is done
    left = plan(between, parameters).steps
    after = changed(sandbox, tmp_path / "again", **expected)[0] if left else between
    assert left or faults == ("key-pending-deletion",)
    assert set(iq(after, parameters).values()) == {Verdict.PASS}
    assert plan(after, parameters).steps == ()


def test_a_key_that_was_made_before_the_kill_is_used_and_no_second_one_made(sandbox, tmp_path, monkeypatch, client):
    sandbox.reset(["key-gone"])
    carry, count = changes._carried, iter(range(99))

    def killed(*given):
        if next(count):
            raise Killed
        return carry(*given)

    keys = len(client("kms").list_keys()["Keys"])
    monkeypatch.setattr(changes, "_carried", killed)
    with pytest.raises(Killed):
        changed(sandbox, tmp_path / "killed", **BY_ALIAS)
    monkeypatch.undo()
    after, _ = changed(sandbox, tmp_path / "again", **BY_ALIAS)
    assert [one.step for one in after.remediation.carried] == ["enable-key-rotation", "create-alias", "encrypt"]
    assert len(client("kms").list_keys()["Keys"]) == keys + 1


@pytest.mark.parametrize("fault", DECIDED)
def test_what_is_left_to_the_operator_is_not_touched(fault, sandbox, tmp_path):
    sandbox.reset([fault])
    before = planned(sandbox, tmp_path / "before")
    with pytest.raises(PlanError, match="no step"):
        changed(sandbox, tmp_path / "evidence")
    assert planned(sandbox, tmp_path / "after").sha256 == before.sha256
    made = {(entry.service, entry.operation) for entry in read_index(tmp_path / "evidence")}
    assert not made & set(CHANGES)


def test_policies_keep_what_they_held(sandbox, tmp_path, client):
    sandbox.reset(["policy-without-cloudtrail", "hostile-text"])
    key = sandbox.parameters["expected"]["kms_key_arn"]
    before = client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    changed(sandbox, tmp_path / "evidence")
    after = client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
    assert after.startswith(before.rstrip("]} "))
    assert json.loads(after)["Statement"][:3] == json.loads(before)["Statement"]


class TestRefused:
    def refused(self, sandbox, folder, **remediation):
        parameters = parameters_of(sandbox)
        found = plan(collected(parameters, folder), parameters)
        told = {"plan": found.sha256, "change_control": "CC-1"} | remediation
        hold_approved(found, RunParameters.load(parameters.to_json() | {"remediation": told}).remediation)

    def test_an_account_that_moved_since_is_refused(self, sandbox, tmp_path, client):
        sandbox.reset(["rotation-off"])
        approved = planned(sandbox, tmp_path / "approved").sha256
        client("s3").put_bucket_tagging(Bucket=LOG_BUCKET, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
        assert planned(sandbox, tmp_path / "same").sha256 == approved  # no setting that is read
        client("s3").delete_bucket_lifecycle(Bucket=LOG_BUCKET)
        with pytest.raises(PlanError, match="moved since the plan was approved"):
            self.refused(sandbox, tmp_path / "now", plan=approved)

    def test_a_step_that_can_stop_delivery_needs_a_confirmation_of_its_own(self, sandbox, tmp_path):
        sandbox.reset(["trail-without-key", "policy-without-cloudtrail"])
        with pytest.raises(PlanError, match="encrypt: not confirmed"):
            self.refused(sandbox, tmp_path / "one", confirmed=["put-key-policy"])
        with pytest.raises(PlanError, match="create-trail: confirmed, and no step"):
            self.refused(sandbox, tmp_path / "more", confirmed=["put-key-policy", "encrypt", "create-trail"])
        self.refused(sandbox, tmp_path / "both", confirmed=["put-key-policy", "encrypt"])


class TestErrors:
    def test_it_stops_at_the_first_error_and_tells_what_is_then(self, sandbox, tmp_path, monkeypatch):
        sandbox.reset(["key-pending-deletion"])
        malformed = changes.CHANGES["kms", "UpdateAlias"]
        monkeypatch.setitem(changes.CHANGES, ("kms", "EnableKey"), malformed)
        after, parameters = changed(sandbox, tmp_path / "evidence")
        first, second = after.remediation.carried
        assert (first.done, second.done) == (True, False)
        assert len(second.answers) == 1
        assert after.remediation.status is None
        assert after.remediation.remaining[0] == "Enable the key"
        assert iq(after, parameters)["IQ-05"] is Verdict.FAIL

    @pytest.fixture
    def raced(self, sandbox, tmp_path, client):
        """Gives what makes the trail of a plan, though its bucket's policy is not there any more when it begins."""
        sandbox.reset(["no-trail"])
        parameters = parameters_of(sandbox)
        found = plan(collected(parameters, tmp_path / "before"), parameters)
        held = client("s3").get_bucket_policy(Bucket=LOG_BUCKET)["Policy"]
        client("s3").delete_bucket_policy(Bucket=LOG_BUCKET)
        readers = Readers(
            Recorder(EvidenceStore(tmp_path / "evidence")),
            endpoint_url=sandbox.endpoint,
            credentials=CREDENTIALS,
            attempts=1,
        )
        paused: list[float] = []

        def carry(after: int):
            def pause(seconds):
                paused.append(seconds)
                if len(paused) == after:
                    client("s3").put_bucket_policy(Bucket=LOG_BUCKET, Policy=held)

            return changes.carry_out(readers, found, pause, silent), paused

        return carry

    def test_what_aws_does_not_see_yet_is_asked_again(self, raced):
        carried, paused = raced(2)
        assert [one.done for one in carried] == [True, True]
        assert [answer.absence is None for answer in carried[0].answers] == [False, False, True]
        assert paused == list(changes.SETTLING_S[:2])

    def test_what_it_never_sees_stops_the_plan_in_the_end(self, raced):
        carried, paused = raced(99)
        assert [one.done for one in carried] == [False]
        assert {answer.absence.code for answer in carried[0].answers} == {"InsufficientS3BucketPolicyException"}
        assert paused == list(changes.SETTLING_S)


def test_a_trail_that_cloudtrail_could_not_deliver_for_is_refused_by_the_sandbox_as_by_aws(sandbox, client):
    sandbox.reset(["no-trail", "bucket-policy-missing"])
    trail = client("cloudtrail")
    with pytest.raises(trail.exceptions.InsufficientS3BucketPolicyException):
        trail.create_trail(Name=TRAIL, S3BucketName=LOG_BUCKET)
    with pytest.raises(trail.exceptions.S3BucketDoesNotExistException):
        trail.create_trail(Name=TRAIL, S3BucketName="nowhere")
    sandbox.reset(["trail-without-key", "policy-without-cloudtrail"])
    with pytest.raises(trail.exceptions.InsufficientEncryptionPolicyException):
        trail.update_trail(Name=TRAIL, KmsKeyId=sandbox.parameters["expected"]["kms_key_arn"])


class TestReplay:
    @pytest.fixture(scope="class")
    @staticmethod
    def remedied(sandbox, tmp_path_factory):
        sandbox.reset(EVERYTHING)
        folder = tmp_path_factory.mktemp("remedied") / "evidence"
        return *changed(sandbox, folder, **BY_ALIAS), folder

    def again(self, parameters, folder):
        disable_socket()
        try:
            with ThreadPoolExecutor(1) as executor:
                return gather_again("RM", parameters, folder, executor, silent)
        finally:
            enable_socket()

    def test_it_finds_the_same_without_a_network_and_without_a_pause(self, remedied):
        after, parameters, folder = remedied
        replayed = self.again(parameters, folder)
        assert iq(replayed, parameters) == iq(after, parameters)
        assert replayed.remediation.carried == after.remediation.carried
        assert replayed.remediation.changed == after.remediation.changed
        assert replayed.remediation.status == after.remediation.status

    def test_every_change_is_kept_as_evidence(self, remedied):
        after, _, folder = remedied
        kept = {entry.id: entry for entry in read_index(folder)}
        for one in after.remediation.carried:
            (entry,) = [kept[name] for name in one.answers[-1].evidence]
            assert (entry.service, entry.operation) in CHANGES
            assert entry.status in (200, 204)

    def test_a_change_that_was_taken_out_of_the_evidence_is_missed(self, remedied, tmp_path):
        _, parameters, folder = remedied
        copy = tmp_path / "evidence"
        copy.mkdir()
        for file in folder.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        lines = (folder / INDEX).read_bytes().splitlines(keepends=True)
        (copy / INDEX).write_bytes(b"".join(line for line in lines if b'"StartLogging"' not in line))
        with pytest.raises(EvidenceError, match="no recording of cloudtrail:StartLogging"):
            self.again(parameters, copy)
