"""Collectors fetch each thing once, and whatever is not an answer is an absence that says why."""

import inspect
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from fixtures.stub_aws import Reply, Stub

from kit.collect import account, buckets, calls, keys, trails
from kit.collect.calls import CALLS
from kit.collect.iq import Scope, collect_iq
from kit.collect.readers import ATTEMPTS, CredentialsError, Readers
from kit.collect.responses import is_definite
from kit.evidence import EvidenceStore, read_body, read_index
from kit.recording import Recorder, Replayer
from kit.sandbox.account import ACCOUNT_ID, ALIAS, LOG_BUCKET, READER, REGION, TRAIL_ARN
from kit.sandbox.server import CREDENTIALS, Sandbox
from kit.snapshot import Reason, Snapshot, answers

OTHER = "210987654321"
ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/GxPAudit"
OTHER_ROLE = f"arn:aws:iam::{OTHER}:role/GxPAudit"
KEY_ARN = f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
HTML = b"<html><body>Please sign in to the network.</body></html>"
SERVICES = {"s3-control": "s3control"}


def silent(*_):
    return None


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started:
        yield started


@pytest.fixture
def stub():
    made = []

    def serve(answer):
        made.append(Stub(answer if callable(answer) else lambda _: answer))
        return made[-1]

    yield serve
    for server in made:
        server.close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "evidence"


def live(folder, endpoint, **options):
    options = {"credentials": CREDENTIALS, "attempts": 1} | options
    return Readers(Recorder(EvidenceStore(folder)), endpoint_url=endpoint, **options)


def collect(readers, scope, workers=8):
    with ThreadPoolExecutor(workers) as executor:
        return collect_iq(readers, scope, executor, silent)


def call_of(entry):
    """The row of the table of calls that an entry of the evidence is a call of."""
    service = SERVICES.get(entry.service, entry.service)
    (found,) = [call for call in CALLS if (call.service, call.operation) == (service, entry.operation)]
    return found


# --- A whole run, recorded and replayed


@dataclass
class Collected:
    folder: Path
    snapshot: Snapshot
    scope: Scope
    options: dict


FAULTS = (
    "compliant",
    "shadow-trail",
    "key-other-region",
    "key-gone",
    "bucket-gone",
    "deny-describe-regions",
    "deny-describe-key",
    "throttle-kms",
    "garbage-200",
    "empty-200",
    "endpoint-down-midway",
    "credentials-expired",
    "hostile-text",
    "second-trail-shares-bucket",
)


@pytest.fixture(scope="module", params=FAULTS)
def collected(request, sandbox, tmp_path_factory):
    """A whole run with everything a scope can name, on a compliant account or on one with a fault."""
    sandbox.reset([] if request.param == "compliant" else [request.param])
    folder = tmp_path_factory.mktemp("run") / "evidence"
    scope = Scope(ACCOUNT_ID, kms_key=ALIAS, reader_roles=(READER,))
    # adaptive retries wait for seconds once they are throttled
    attempts = 1 if "throttle" in request.param else 2
    options = {"endpoint_url": sandbox.endpoint, "attempts": attempts, "credentials": CREDENTIALS}
    snapshot = collect(Readers(Recorder(EvidenceStore(folder)), **options), scope)
    return Collected(folder, snapshot, scope, options)


def test_no_question_is_asked_twice(collected):
    first = [entry for entry in read_index(collected.folder) if entry.attempt == 1]
    asked = Counter(str(entry.key) for entry in first)
    assert [key for key, count in asked.items() if count > 1] == []


def test_no_answer_rests_on_nothing(collected):
    known = {entry.id for entry in read_index(collected.folder)}
    for answer in answers(collected.snapshot):
        assert answer.evidence
        assert set(answer.evidence) <= known


def test_every_piece_of_evidence_is_some_answer_s(collected):
    used = {entry for answer in answers(collected.snapshot) for entry in answer.evidence}
    used |= {entry for trail in collected.snapshot.trails for entry in trail.evidence}
    assert {entry.id for entry in read_index(collected.folder)} <= used


def test_a_replay_gives_the_same_snapshot_without_a_network(collected, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a replay reached for the network, or slept")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("time.sleep", refuse)
    replayer = Replayer(collected.folder)
    again = collect(Readers(replayer, **collected.options), collected.scope, workers=3)
    assert again == collected.snapshot
    assert replayer.unused == []


def test_a_single_thread_collects_the_same(collected, monkeypatch):
    again = collect(Readers(Replayer(collected.folder), **collected.options), collected.scope, workers=1)
    assert again == collected.snapshot


def test_each_call_of_a_run_is_in_the_table_of_calls(collected):
    for entry in read_index(collected.folder):
        assert call_of(entry)


REPLAY = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from kit.collect.iq import Scope, collect_iq
from kit.collect.readers import Readers
from kit.recording import Replayer

def refuse(*_, **__):
    raise AssertionError("a socket was opened")

socket.socket.connect = socket.getaddrinfo = refuse
replayer = Replayer(Path(sys.argv[1]))
readers = Readers(replayer, profile="of-whoever-ran-it", endpoint_url="https://kms.example.com")
with ThreadPoolExecutor(8) as executor:
    snapshot = collect_iq(readers, Scope("123456789012", trail_arn=sys.argv[2]), executor, lambda *_: None)
assert not replayer.unused
print(snapshot)
"""


def test_a_replay_needs_nothing_of_the_machine_it_runs_on(sandbox, folder, tmp_path):
    sandbox.reset()
    snapshot = collect(live(folder, sandbox.endpoint), Scope(ACCOUNT_ID, trail_arn=TRAIL_ARN))
    broken = tmp_path / "config"
    broken.write_text("[broken\nregion = nowhere")
    surroundings = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_PROFILE": "of-somebody-else",
        "AWS_CONFIG_FILE": str(broken),
        "HTTPS_PROXY": "http://127.0.0.1:1",
    }
    command = [sys.executable, "-c", REPLAY, str(folder), TRAIL_ARN]
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(snapshot)


def test_one_bucket_block_is_asked_for_all_buckets_of_an_account(sandbox, folder):
    sandbox.reset(["shadow-trail"])
    snapshot = collect(live(folder, sandbox.endpoint), Scope(ACCOUNT_ID))
    first, second = (trail.bucket for trail in snapshot.trails)
    assert first.name != second.name
    assert first.account_public_access_block is second.account_public_access_block


def test_of_a_trail_that_is_not_judged_only_status_and_key_are_read(sandbox, folder):
    sandbox.reset(["shadow-trail"])
    snapshot = collect(live(folder, sandbox.endpoint), Scope(ACCOUNT_ID, trail_arn=TRAIL_ARN))
    (other,) = [trail for trail in snapshot.trails if not trail.judged]
    assert other.status.value
    assert other.key.metadata.value
    assert (other.selectors, other.bucket, other.key.policy) == (None, None, None)


def test_two_names_of_one_key_are_one_key(folder, stub):
    def answer(call):
        if call.operation == "DescribeTrails":
            common = {"HomeRegion": REGION, "S3BucketName": "logs"}
            named = {"a": KEY_ARN, "b": ALIAS}
            trail = TRAIL_ARN.rpartition("/")[0]
            listed = [{"TrailARN": f"{trail}/{name}", "KmsKeyId": key, **common} for name, key in named.items()]
            return Reply(json.dumps({"trailList": listed}).encode())
        if call.operation == "DescribeKey":
            metadata = {"Arn": KEY_ARN, "KeySpec": "SYMMETRIC_DEFAULT", "Origin": "AWS_KMS"}
            return Reply(json.dumps({"KeyMetadata": metadata}).encode())
        return Reply(b"{}", 400)

    server = stub(answer)
    snapshot = collect(live(folder, server.endpoint), Scope(ACCOUNT_ID, regions=(REGION,)))
    assert [trail.key.named for trail in snapshot.trails] == [KEY_ARN, ALIAS]
    assert snapshot.trails[0].key.policy is snapshot.trails[1].key.policy
    assert Counter(call.operation for call in server.asked)["GetKeyPolicy"] == 1


def test_regions_are_asked_side_by_side(folder, stub):
    regions = tuple(f"eu-west-{number}" for number in range(1, 10))
    together = threading.Barrier(len(regions))

    def answer(call):
        if call.operation == "DescribeTrails":
            together.wait(timeout=20)
            return Reply(b'{"trailList": []}')
        return Reply(b"{}", 400)

    snapshot = collect(
        live(folder, stub(answer).endpoint), Scope(ACCOUNT_ID, regions=regions), workers=len(regions) + 1
    )
    assert {region: answer.value for region, answer in snapshot.regions.items()} == dict.fromkeys(regions, ())


def test_progress_is_told_for_each_region_and_trail(sandbox, folder):
    sandbox.reset()
    told = []
    scope = Scope(ACCOUNT_ID, regions=(REGION, "us-east-1"))
    with ThreadPoolExecutor(4) as executor:
        collect_iq(live(folder, sandbox.endpoint), scope, executor, lambda *step: told.append(step))
    assert told == [("Regions", 1, 2), ("Regions", 2, 2), ("Trails", 1, 1)]


# --- Collectors, one by one


def finished(value):
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(lambda: value)


COLLECTORS = {
    account.collect_caller: lambda readers, _: account.collect_caller(readers, REGION),
    account.collect_enabled_regions: lambda readers, _: account.collect_enabled_regions(readers, REGION),
    account.collect_trails: lambda readers, executor: account.collect_trails(readers, [REGION], executor, silent),
    trails.collect_status: lambda readers, _: trails.collect_status(readers, TRAIL_ARN, REGION),
    trails.collect_selectors: lambda readers, _: trails.collect_selectors(readers, TRAIL_ARN, REGION),
    keys.collect_metadata: lambda readers, _: keys.collect_metadata(readers, ALIAS, REGION, ACCOUNT_ID),
    keys.collect_key: lambda readers, _: keys.collect_key(
        readers, KEY_ARN, finished_metadata(readers), REGION, ACCOUNT_ID, (READER,)
    ),
    buckets.collect_account_block: lambda readers, _: buckets.collect_account_block(readers, REGION, ACCOUNT_ID),
    buckets.collect_location: lambda readers, _: buckets.collect_location(readers, LOG_BUCKET, REGION, ACCOUNT_ID),
    buckets.collect_bucket: lambda readers, _: buckets.collect_bucket(
        readers, LOG_BUCKET, REGION, ACCOUNT_ID, finished(None)
    ),
}


def finished_metadata(readers):
    """The metadata of the trail's key, recorded elsewhere."""
    return keys.collect_metadata(readers.elsewhere, ALIAS, REGION, ACCOUNT_ID)


@pytest.mark.parametrize(("collector", "run"), COLLECTORS.items(), ids=[each.__name__ for each in COLLECTORS])
def test_a_collector_lists_the_actions_of_its_calls(collector, run, sandbox, folder, tmp_path):
    sandbox.reset()
    readers = live(folder, sandbox.endpoint)
    readers.elsewhere = live(tmp_path / "elsewhere", sandbox.endpoint)
    with ThreadPoolExecutor(2) as executor:
        run(readers, executor)
    called = {call_of(entry) for entry in read_index(folder)}
    needed = {call.action for call in called if call.resource != "none"}
    _, _, told = collector.__doc__.partition("IAM:")
    assert set(re.findall(r"[a-z0-9]+:[A-Z]\w+", told)) == needed
    assert needed or "none needed" in told


def test_every_collector_is_held_against_its_docstring():
    modules = (account, trails, keys, buckets)
    found = {each for module in modules for name, each in inspect.getmembers(module) if name.startswith("collect_")}
    assert found == set(COLLECTORS)


def described(readers):
    with ThreadPoolExecutor(1) as executor:
        return account.collect_trails(readers, [REGION], executor, silent)[REGION]


def key_metadata(readers):
    return keys.collect_metadata(readers, ALIAS, REGION, ACCOUNT_ID)


def simulated(readers):
    return keys._simulate(readers, READER, KEY_ARN, REGION)


NOTHING_SIMULATED = """<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults/>
</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"""
MALFORMED = {
    "no Region at all": (
        lambda readers: account.collect_enabled_regions(readers, REGION),
        b"<DescribeRegionsResponse><regionInfo/></DescribeRegionsResponse>",
    ),
    "a trail without ARN": (described, b'{"trailList": [{"HomeRegion": "eu-west-1"}]}'),
    "a trail whose ARN is none": (
        described,
        b'{"trailList": [{"TrailARN": "arn:x", "HomeRegion": "eu-west-1"}]}',
    ),
    "a trail without home": (described, json.dumps({"trailList": [{"TrailARN": TRAIL_ARN}]})),
    "a trail whose key is no name": (
        described,
        json.dumps({"trailList": [{"TrailARN": TRAIL_ARN, "HomeRegion": REGION, "KmsKeyId": {"a": 1}}]}),
    ),
    "trails that are no list": (described, b'{"trailList": {"a": 1}}'),
    "a key without ARN": (
        key_metadata,
        b'{"KeyMetadata": {"KeyId": "1234"}}',
    ),
    "a date that is none": (
        key_metadata,
        b'{"KeyMetadata": {"Arn": ":key/", "CreationDate": "soon"}}',
    ),
    "a date beyond every calendar": (
        key_metadata,
        b'{"KeyMetadata": {"Arn": ":key/", "CreationDate": 1e300}}',
    ),
    "nothing but nesting": (
        key_metadata,
        b"[" * 100_000,
    ),
    "a simulation of nothing": (
        simulated,
        NOTHING_SIMULATED,
    ),
}


@pytest.mark.parametrize(("run", "body"), MALFORMED.values(), ids=MALFORMED)
def test_an_answer_of_another_form_is_unreadable(run, body, stub, folder):
    reply = Reply(body if isinstance(body, bytes) else body.encode())
    answer = run(live(folder, stub(reply).endpoint))
    assert (answer.absence.reason, answer.evidence) == (Reason.UNREADABLE, ("E0001",))
    assert "is not of the documented form" in answer.why


@pytest.mark.parametrize(
    ("text", "region"),
    [("", "us-east-1"), ("EU", "eu-west-1"), ("eu-central-1", "eu-central-1")],
    ids=["none", "the oldest name", "a name"],
)
def test_the_region_of_a_bucket_is_told_by_its_name(text, region, stub, folder):
    server = stub(Reply(f"<LocationConstraint>{text}</LocationConstraint>".encode()))
    with ThreadPoolExecutor(1) as executor:
        block = executor.submit(silent)
    bucket = buckets.collect_bucket(live(folder, server.endpoint), "logs", REGION, ACCOUNT_ID, block)
    assert bucket.region.value == region
    assert {call.region for call in server.asked[1:]} == {region}


# --- One question

PARAMETERS = {
    "AssumeRole": {"RoleArn": ROLE, "RoleSessionName": "trailkit"},
    "GetTrailStatus": {"Name": TRAIL_ARN},
    "GetEventSelectors": {"TrailName": TRAIL_ARN},
    "SimulatePrincipalPolicy": {"PolicySourceArn": READER, "ActionNames": ["kms:Decrypt"]},
}


def parameters_of(call):
    if call.service == "kms":
        return {} if call is calls.LIST_KEYS else {"KeyId": KEY_ARN}
    if call.service == "s3control":
        return {"AccountId": ACCOUNT_ID}
    return {"Bucket": "logs"} if call.service == "s3" else PARAMETERS.get(call.operation, {})


def ask(readers, call, **options):
    return readers.ask(call, REGION, trails.without_metadata, **parameters_of(call), **options)


def is_json(call):
    return call.service in ("kms", "cloudtrail")


def nothing(call):
    """An answer of the right form that holds nothing."""
    if is_json(call):
        return b"{}"
    result = f"<{call.operation}Result/>" if call.service in ("sts", "iam") else ""
    return f"<{call.operation}Response>{result}</{call.operation}Response>".encode()


# whatever bytes an object holds, they are its content; listings and objects are read past these clients
ASKED = [
    call
    for call in CALLS
    if call not in (calls.GET_OBJECT, calls.GET_OBJECT_VERSION, calls.LIST_OBJECT_VERSIONS, calls.DECRYPT)
]
NO_ANSWERS = {
    "a page": lambda _: HTML,
    "a page that is no XML": lambda _: b"<html><p>Sign in</html>",
    "text": lambda _: b"Sign in",
    "no byte": lambda _: b"",
    "nothing asked for": nothing,
}
# the policy of a bucket is whatever text arrives, and whether it is one is for those to say who judge it
QUESTIONS = [
    (call, NO_ANSWERS[name], f"{call.service}-{call.operation}-{name}")
    for call in ASKED
    for name in (["no byte"] if call is calls.GET_BUCKET_POLICY else NO_ANSWERS)
]


@pytest.mark.parametrize(("call", "body"), [each[:2] for each in QUESTIONS], ids=[each[2] for each in QUESTIONS])
def test_a_200_that_is_no_answer_is_absence(call, body, stub, folder):
    answer = ask(live(folder, stub(Reply(body(call))).endpoint), call)
    assert (answer.value, answer.evidence) == (None, ("E0001",))
    assert answer.absence.reason is Reason.UNREADABLE
    assert read_body(folder, read_index(folder)[0]) == body(call)


@pytest.mark.parametrize("call", ASKED, ids=lambda call: f"{call.service}-{call.operation}")
def test_an_answer_that_is_cut_short_is_absence(call, stub, folder):
    body = b'{"Policy": "' if is_json(call) else b"<html>"
    body = b'{"Statement": []}' if call is calls.GET_BUCKET_POLICY else body
    answer = ask(live(folder, stub(Reply(body, declared=len(body) + 1)).endpoint), call)
    assert answer.absence.reason is Reason.UNREADABLE


def refusal(call, code, status, message="No."):
    named = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    body = json.dumps({"__type": code, "message": message}) if is_json(call) else f"<Error>{named}</Error>"
    return Reply(body.encode(), status)


@pytest.mark.parametrize(
    ("call", "code", "status", "reason"),
    [
        (calls.DESCRIBE_KEY, "AccessDeniedException", 400, Reason.DENIED),
        (calls.GET_BUCKET_ACL, "AccessDenied", 403, Reason.DENIED),
        (calls.DESCRIBE_KEY, "ThrottlingException", 400, Reason.THROTTLED),
        (calls.DESCRIBE_KEY, "TooManyRequestsException", 429, Reason.THROTTLED),
        (calls.GET_BUCKET_ACL, "SlowDown", 503, Reason.THROTTLED),
        (calls.DESCRIBE_KEY, "NotFoundException", 400, Reason.MISSING),
        (calls.GET_BUCKET_POLICY, "NoSuchBucketPolicy", 404, Reason.MISSING),
        (calls.GET_BUCKET_ENCRYPTION, "ServerSideEncryptionConfigurationNotFoundError", 404, Reason.MISSING),
        (calls.GET_OBJECT_LOCK, "ObjectLockConfigurationNotFoundError", 404, Reason.MISSING),
        (calls.GET_TRAIL_STATUS, "TrailNotFoundException", 400, Reason.MISSING),
        (calls.DESCRIBE_KEY, "ExpiredTokenException", 400, Reason.ERROR),
        (calls.DESCRIBE_KEY, "InvalidSignatureException", 400, Reason.ERROR),
        (calls.DESCRIBE_KEY, "KMSInternalException", 500, Reason.ERROR),
        (calls.GET_BUCKET_ACL, "InternalError", 200, Reason.ERROR),
    ],
    ids=lambda value: getattr(value, "operation", str(value)),
)
def test_a_refusal_is_classified_by_its_code(call, code, status, reason, stub, folder):
    absence = ask(live(folder, stub(refusal(call, code, status)).endpoint), call).absence
    assert (absence.reason, absence.code, absence.message) == (reason, code, "No.")


@pytest.mark.parametrize("status", [404, 502], ids=["not found", "bad gateway"])
def test_a_gateway_s_page_says_nothing_about_the_thing(status, stub, folder):
    absence = ask(live(folder, stub(Reply(HTML, status)).endpoint), calls.DESCRIBE_KEY).absence
    assert (absence.reason, absence.code) == (Reason.ERROR, str(status))


@pytest.mark.parametrize(
    ("reply", "code"),
    [(None, "ConnectionClosedError"), (Reply(b"{", broken="chunk"), "ConnectionClosedError")],
    ids=["dropped", "broken off"],
)
def test_an_attempt_without_an_answer_is_unreachable(reply, code, stub, folder):
    answer = ask(live(folder, stub(reply).endpoint), calls.DESCRIBE_KEY)
    assert (answer.absence.reason, answer.absence.code) == (Reason.UNREACHABLE, code)
    assert ask(Readers(Replayer(folder)), calls.DESCRIBE_KEY) == answer


def test_an_endpoint_that_is_not_there_is_unreachable_live_and_replayed(folder):
    answer = ask(live(folder, closed_port()), calls.DESCRIBE_KEY)
    assert (answer.absence.reason, answer.absence.code) == (Reason.UNREACHABLE, "EndpointConnectionError")
    assert answer.why == f"kms:DescribeKey in {REGION} gave no value (unreachable; EndpointConnectionError)."
    assert ask(Readers(Replayer(folder)), calls.DESCRIBE_KEY) == answer


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def page(number, last=False, **more):
    return {"Grants": [{"GrantId": str(number)}], "Truncated": not last} | more


def pages(*replies):
    queue = list(replies)
    return lambda _: queue.pop(0) if isinstance(queue[0], Reply) else Reply(json.dumps(queue.pop(0)).encode())


def test_pages_are_joined(stub, folder):
    server = stub(pages(page(1, NextMarker="a"), page(2, NextMarker="b"), page(3, last=True)))
    answer = ask(live(folder, server.endpoint), calls.LIST_GRANTS)
    assert [grant["GrantId"] for grant in answer.value["Grants"]] == ["1", "2", "3"]
    assert answer.evidence == ("E0001", "E0001.02", "E0001.03")


SECOND_PAGES = {
    "denied": (refusal(calls.LIST_GRANTS, "AccessDeniedException", 400), Reason.DENIED),
    "dropped": (None, Reason.UNREACHABLE),
    "a page of HTML": (Reply(HTML), Reason.UNREADABLE),
    "more, and not where": ({"Grants": [], "Truncated": True}, Reason.UNREADABLE),
    "the same marker again": (page(2, NextMarker="a"), Reason.ERROR),
}


@pytest.mark.parametrize(("second", "reason"), SECOND_PAGES.values(), ids=SECOND_PAGES)
def test_a_failing_second_page_makes_the_whole_absent(second, reason, stub, folder):
    replies = iter([Reply(json.dumps(page(1, NextMarker="a")).encode())])
    spoiled = Reply(json.dumps(second).encode()) if isinstance(second, dict) else second
    answer = ask(live(folder, stub(lambda _: next(replies, spoiled)).endpoint), calls.LIST_GRANTS)
    assert (answer.value, answer.absence.reason) == (None, reason)
    assert answer.evidence == ("E0001", "E0001.02")


def test_every_attempt_is_among_the_evidence_of_the_answer(stub, folder, monkeypatch):
    monkeypatch.setattr("time.sleep", silent)
    server = stub(refusal(calls.DESCRIBE_KEY, "KMSInternalException", 500))
    answer = ask(live(folder, server.endpoint, attempts=3), calls.DESCRIBE_KEY)
    assert (answer.absence.reason, answer.evidence) == (Reason.ERROR, ("E0001", "E0001.02", "E0001.03"))


def test_a_replay_of_throttled_calls_neither_retries_nor_waits(stub, folder, monkeypatch):
    server = stub(refusal(calls.DESCRIBE_KEY, "ThrottlingException", 400))

    def ask_five(readers):
        return [readers.ask(calls.DESCRIBE_KEY, REGION, dict, KeyId=str(number)) for number in range(5)]

    asked = ask_five(live(folder, server.endpoint))
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    monkeypatch.setattr("botocore.retries.bucket.TokenBucket.acquire", lambda *_: waited.append("rate"))
    assert ask_five(Readers(Replayer(folder), attempts=4)) == asked
    assert waited == []


def test_what_botocore_refuses_to_send_is_an_error_without_evidence(stub, folder):
    answer = live(folder, stub(Reply()).endpoint).ask(calls.GET_BUCKET_ACL, REGION, dict, Bucket="no bucket's name")
    assert (answer.absence.reason, answer.evidence) == (Reason.ERROR, ())


def test_a_region_that_is_none_is_an_error(stub, folder):
    answer = live(folder, stub(Reply()).endpoint).ask(calls.DESCRIBE_KEY, "evil.example.com/", dict, KeyId="k")
    assert (answer.value, answer.absence.reason) == (None, Reason.ERROR)


# --- Clients


def clients_of(readers):
    return list(readers._clients.values())


def test_every_client_has_timeouts_and_bounded_retries(sandbox, folder):
    sandbox.reset()
    readers = live(folder, sandbox.endpoint, attempts=ATTEMPTS)
    collect(readers, Scope(ACCOUNT_ID, reader_roles=(READER,)))
    assert {client.meta.service_model.service_name for client in clients_of(readers)} == {
        call.service for call in CALLS if set(call.protocols) != {"VS"}
    }
    for client in clients_of(readers):
        config = client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (5, 30)
        assert config.retries == {"mode": "adaptive", "total_max_attempts": 4}


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_loopback_endpoint_is_reached_past_any_proxy(name, host, stub, folder, monkeypatch):
    monkeypatch.setenv(name, closed_port())
    server = stub(Reply(b'{"KeyMetadata": {}}'))
    endpoint = server.endpoint.replace("127.0.0.1", host)
    assert ask(live(folder, endpoint), calls.DESCRIBE_KEY).value == {"KeyMetadata": {}}


def test_aws_is_reached_through_the_proxy_of_the_machine(stub, folder, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", closed_port())
    answer = ask(live(folder, None), calls.DESCRIBE_KEY)
    assert (answer.absence.reason, answer.absence.code) == (Reason.UNREACHABLE, "ProxyConnectionError")


def test_no_endpoint_but_the_parameters_stands_in_for_aws(folder, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    readers = live(folder, None)
    client = readers._client(readers._session("", REGION).value, "", "kms", REGION)
    assert client.meta.endpoint_url == f"https://kms.{REGION}.amazonaws.com"


# --- Credentials and roles


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """Writes an AWS configuration, and makes its folder the home of whoever runs."""

    def write(text, **files):
        (tmp_path / "config").write_text(text)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("HOME", str(tmp_path))
        for name, content in files.items():
            path = tmp_path / ".aws" / "sso" / "cache" / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return write


SSO = """[profile sso]
sso_start_url = https://gxp.awsapps.com/start
sso_region = eu-west-1
sso_account_id = 123456789012
sso_role_name = Audit
"""
SESSION = """[profile sso]
sso_session = gxp
sso_account_id = 123456789012
sso_role_name = Audit
[sso-session gxp]
sso_region = eu-west-1
sso_start_url = https://gxp.awsapps.com/start
sso_registration_scopes = sso:account:access
"""
START = sha1(b"https://gxp.awsapps.com/start", usedforsecurity=False).hexdigest()
SESSION_NAME = sha1(b"gxp", usedforsecurity=False).hexdigest()
EXPIRED = json.dumps(
    {
        "accessToken": "planted",
        "expiresAt": (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "startUrl": "https://gxp.awsapps.com/start",
        "region": "eu-west-1",
    }
)
UNUSABLE = {
    "none anywhere": ("", None, {}),
    "a profile that is not there": ("", "nobody", {}),
    "a configuration that is none": ("[broken\nx", None, {}),
    "half a pair": ("[profile half]\naws_access_key_id = AKIAHALFHALFHALFHALF\n", "half", {}),
    "a program that fails": ("[profile p]\ncredential_process = false\n", "p", {}),
    "never signed in": (SSO, "sso", {}),
    "signed in yesterday": (SSO, "sso", {START: EXPIRED}),
    "never signed in to the session": (SESSION, "sso", {}),
    "signed in to the session yesterday": (SESSION, "sso", {SESSION_NAME: EXPIRED}),
    "a role of itself": (
        "[profile r]\nrole_arn = x\nsource_profile = s\n[profile s]\nrole_arn = y\nsource_profile = r\n",
        "r",
        {},
    ),
}


@pytest.mark.parametrize("role", [None, ROLE], ids=["as they are", "to assume a role"])
@pytest.mark.parametrize(("text", "profile", "files"), UNUSABLE.values(), ids=UNUSABLE)
def test_without_usable_credentials_a_run_ends_and_says_what_to_do(text, profile, files, role, configured, folder):
    configured(text, **files)
    readers = live(folder, None, credentials=None, profile=profile, role_arn=role)
    with pytest.raises(CredentialsError, match="no usable AWS credentials") as caught:
        collect(readers, Scope(ACCOUNT_ID, regions=(REGION,)))
    assert "aws sso login" in caught.value.remedy
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 2
    assert read_index(folder) == []


def sts(answer_other, **denied):
    """Answers AssumeRole with credentials that tell the role, and all else with `answer_other`."""

    def answer(call):
        if call.operation != "AssumeRole":
            return answer_other(call)
        role = call.parameters["RoleArn"]
        if denied.get("role") == role:
            text = f"<Code>AccessDenied</Code><Message>You may not assume {role}.</Message>"
            return Reply(f"<ErrorResponse><Error>{text}</Error></ErrorResponse>".encode(), 403)
        return Reply(assumed(role.split(":")[4]))

    return answer


def assumed(name):
    members = {"AccessKeyId": f"ASIA{name}KEY9", "SecretAccessKey": "s" * 40, "SessionToken": "t" * 40}
    inner = "".join(f"<{member}>{text}</{member}>" for member, text in members.items())
    given = f"<Credentials>{inner}<Expiration>2036-11-22T00:00:00Z</Expiration></Credentials>"
    return f"<AssumeRoleResponse><AssumeRoleResult>{given}</AssumeRoleResult></AssumeRoleResponse>".encode()


def described_key(_):
    return Reply(b'{"KeyMetadata": {}}')


def access_keys(server):
    return [re.search(r"Credential=(\w+)", headers["authorization"])[1] for headers in server.headers]


def test_each_account_is_read_with_its_role(stub, folder):
    server = stub(sts(described_key))
    readers = live(folder, server.endpoint, role_arn=ROLE, role_arns={OTHER: OTHER_ROLE})
    readers.sign_in(REGION)
    for owner in ("", ACCOUNT_ID, OTHER):
        assert ask(readers, calls.DESCRIBE_KEY, account=owner).value
    own, other = f"ASIA{ACCOUNT_ID}KEY9", f"ASIA{OTHER}KEY9"
    assert access_keys(server) == ["sandbox", "sandbox", own, own, other]
    assert [(entry.operation, entry.reader) for entry in read_index(folder)] == [
        ("AssumeRole", ""),
        ("AssumeRole", ""),
        ("DescribeKey", ""),
        ("DescribeKey", ""),
        ("DescribeKey", OTHER),
    ]


def test_a_role_is_assumed_with_the_external_id_and_the_tags_and_whom_to_refuse_without(stub, folder):
    server = stub(sts(described_key))
    stated = {"external_id": "gxp-audit", "session_tags": {"purpose": "validation", "by": "QA"}}
    readers = live(folder, server.endpoint, role_arn=ROLE, further={"denied reader": OTHER_ROLE}, **stated)
    readers.sign_in(REGION)
    own, other = (call.parameters for call in server.asked)
    assert own["ExternalId"] == "gxp-audit"
    assert [own[f"Tags.member.{n}.{member}"] for n in (1, 2) for member in ("Key", "Value")] == [
        "by", "QA", "purpose", "validation",
    ]  # fmt: skip
    assert not [name for name in other if name.startswith(("ExternalId", "Tags"))]


def test_whoever_assumes_a_role_asks_nothing_else(stub, folder):
    server = stub(sts(lambda _: Reply(b"<GetCallerIdentityResponse/>")))
    readers = live(folder, server.endpoint, role_arn=ROLE)
    ask(readers, calls.GET_CALLER_IDENTITY)
    assert access_keys(server) == ["sandbox", f"ASIA{ACCOUNT_ID}KEY9"]


def test_a_role_is_assumed_once(stub, folder):
    server = stub(sts(described_key))
    readers = live(folder, server.endpoint, role_arn=ROLE)
    with ThreadPoolExecutor(8) as executor:
        list(
            executor.map(
                lambda number: readers.ask(calls.DESCRIBE_KEY, f"eu-west-{number}", dict, KeyId="k"), range(1, 9)
            )
        )
    assert Counter(call.operation for call in server.asked) == {"AssumeRole": 1, "DescribeKey": 8}


def test_all_roles_are_assumed_before_anything_is_asked(stub, folder):
    server = stub(sts(lambda _: Reply(b"{}", 400)))
    readers = live(folder, server.endpoint, role_arn=ROLE, role_arns={OTHER: OTHER_ROLE})
    collect(readers, Scope(ACCOUNT_ID, regions=("eu-central-1", REGION)))
    first = [(call.operation, call.region, call.parameters.get("RoleArn")) for call in server.asked[:2]]
    assert first == [("AssumeRole", "eu-central-1", ROLE), ("AssumeRole", "eu-central-1", OTHER_ROLE)]
    assert Counter(call.operation for call in server.asked)["AssumeRole"] == 2


def test_a_role_that_can_not_be_assumed_makes_its_answers_absent_and_nobody_else_reads(stub, folder):
    server = stub(sts(described_key, role=OTHER_ROLE))
    readers = live(folder, server.endpoint, role_arns={OTHER: OTHER_ROLE})
    answers = [readers.ask(calls.DESCRIBE_KEY, REGION, dict, account=OTHER, KeyId=key) for key in ("a", "b")]
    for answer in answers:
        assert answer.absence.reason is Reason.DENIED
        assert OTHER_ROLE in answer.absence.message
        assert answer.evidence == ("E0001",)
        assert answer.call == f"kms:DescribeKey in {REGION}"
    assert [call.operation for call in server.asked] == ["AssumeRole"]
    assert ask(readers, calls.DESCRIBE_KEY, account=ACCOUNT_ID).value


NO_ROLES = {
    "a page": (Reply(HTML), Reason.UNREADABLE),
    "nothing": (Reply(b"<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>"), Reason.UNREADABLE),
    "credentials without a secret": (
        Reply(assumed("1").replace(b"SecretAccessKey", b"Secret")),
        Reason.UNREADABLE,
    ),
    "no answer": (None, Reason.UNREACHABLE),
}


@pytest.mark.parametrize(("reply", "reason"), NO_ROLES.values(), ids=NO_ROLES)
def test_an_answer_that_gives_no_credentials_makes_answers_absent(reply, reason, stub, folder):
    server = stub(reply)
    readers = live(folder, server.endpoint, role_arn=ROLE)
    answers = [ask(readers, calls.DESCRIBE_KEY) for _ in range(2)]
    assert [(answer.absence.reason, answer.evidence) for answer in answers] == [(reason, ("E0001",))] * 2
    assert len(server.asked) == 1


def test_roles_replay_with_the_credentials_masked(stub, folder):
    server = stub(sts(described_key))
    options = {"role_arn": ROLE, "role_arns": {OTHER: OTHER_ROLE}}
    scope = Scope(ACCOUNT_ID, regions=(REGION,))
    snapshot = collect(live(folder, server.endpoint, **options), scope)
    replayer = Replayer(folder)
    assert collect(Readers(replayer, **options), scope) == snapshot
    assert replayer.unused == []
    assert b"s" * 40 not in b"".join(path.read_bytes() for path in folder.iterdir())


def test_a_role_that_was_denied_is_denied_in_replay(stub, folder):
    server = stub(sts(described_key, role=ROLE))
    scope = Scope(ACCOUNT_ID, regions=(REGION,))
    snapshot = collect(live(folder, server.endpoint, role_arn=ROLE), scope)
    assert {answer.absence.reason for answer in answers(snapshot)} == {Reason.DENIED}
    assert collect(Readers(Replayer(folder), role_arn=ROLE), scope) == snapshot


PROFILE = """[profile audit]
role_arn = arn:aws:iam::123456789012:role/OfTheProfile
source_profile = base
[profile base]
aws_access_key_id = AKIABASEBASEBASEBAS9
aws_secret_access_key = secretofthebase
"""


def test_a_profile_that_assumes_a_role_while_a_call_is_signed_disturbs_no_evidence(
    stub, folder, configured, monkeypatch
):
    server = stub(sts(described_key))
    configured(PROFILE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    readers = live(folder, server.endpoint, credentials=None, profile="audit")
    answer = ask(readers, calls.DESCRIBE_KEY)
    assert [call.operation for call in server.asked] == ["AssumeRole", "DescribeKey"]
    assert access_keys(server)[1] == f"ASIA{ACCOUNT_ID}KEY9"
    assert [entry.operation for entry in read_index(folder)] == ["DescribeKey"]
    assert ask(Readers(Replayer(folder)), calls.DESCRIBE_KEY) == answer


def test_a_profile_whose_role_is_denied_is_no_usable_credentials(stub, folder, configured, monkeypatch):
    server = stub(sts(described_key, role="arn:aws:iam::123456789012:role/OfTheProfile"))
    configured(PROFILE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    readers = live(folder, server.endpoint, credentials=None, profile="audit")
    with pytest.raises(CredentialsError, match="OfTheProfile"):
        ask(readers, calls.DESCRIBE_KEY)
    assert [call.operation for call in server.asked] == ["AssumeRole"]


@pytest.mark.parametrize(
    ("bucket", "region", "url"),
    [
        ("my-logs", "eu-west-1", "https://my-logs.s3.eu-west-1.amazonaws.com"),
        ("my.logs", "eu-west-1", "https://s3.eu-west-1.amazonaws.com/my.logs"),
        ("my-logs", "us-gov-west-1", "https://my-logs.s3.us-gov-west-1.amazonaws.com"),
        ("my-logs", "cn-north-1", "https://my-logs.s3.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_a_bucket_is_reached_in_its_own_region_past_any_redirect(bucket, region, url, folder):
    readers = Readers(Recorder(EvidenceStore(folder)), credentials=CREDENTIALS)
    storage = readers.storage(bucket, region, ACCOUNT_ID)
    assert (storage.bucket.url, storage.bucket.region, storage.proxied) == (url, region, True)


def test_a_bucket_behind_a_custom_endpoint_is_part_of_the_path(folder):
    readers = Readers(Recorder(EvidenceStore(folder)), endpoint_url="http://127.0.0.1:1/s3/", credentials=CREDENTIALS)
    storage = readers.storage("my-logs", REGION, ACCOUNT_ID)
    assert (storage.bucket.url, storage.proxied) == ("http://127.0.0.1:1/s3/my-logs", False)


@pytest.mark.parametrize(
    ("status", "code", "definite"),
    [
        (404, "NoSuchKey", True),
        (404, "NoSuchVersion", True),
        (405, "MethodNotAllowed", True),
        (400, "KMS.DisabledException", True),
        (403, "InvalidObjectState", True),
        (403, "AccessDenied", False),
        (400, "ExpiredToken", False),
        (400, "KMS.ThrottlingException", False),
        (503, "SlowDown", False),
        (500, "InternalError", False),
    ],
)
def test_that_an_object_can_not_be_had_is_told_from_a_refusal_to_say_so(status, code, definite):
    answered = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert is_definite(ClientError(answered, "GetObject")) is definite
    assert not is_definite(EndpointConnectionError(endpoint_url="https://s3.eu-west-1.amazonaws.com"))
