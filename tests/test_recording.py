"""Every attempt is recorded to the byte, no credential is, and what was recorded is served back as it was."""

import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from functools import cache
from urllib.parse import quote

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError
from fixtures.stub_aws import Reply, Stub

from kit.canonical import sha256
from kit.errors import EvidenceError
from kit.evidence import EvidenceStore, read_body, read_index
from kit.recording import Recorder, Replayer, Unanswered

KEY_ID = "ASIAPLANTEDPLANTED99"
SECRET = "plantedSecretKey/Planted+SecretKey/Planted"
TOKEN = "IQoJb3JpZ2luX2VjPlantedSession/Token+Planted//Session+Token=="
TAKEN = {
    "AccessKeyId": "ASIATAKENTAKENTAKEN9",
    "SecretAccessKey": "takenSecret/taken+Secret",
    "SessionToken": TOKEN[::-1],
}
NAMED = {"KeyId": "alias/CloudTrailGxPKey"}
DESCRIBED = b'{"KeyMetadata": {"KeyId": "1234abcd"}}\n'
THROTTLED = Reply(b'{"__type": "ThrottlingException", "message": "Rate exceeded"}', 400)
DENIED = Reply(b'{"__type": "AccessDeniedException", "message": "No."}', 400)


@cache
def session():
    return boto3.Session(aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, aws_session_token=TOKEN)


def client(hooks, endpoint, service="kms", *, attempts=1, reader="", region="eu-west-1", **options):
    retries = {"mode": "standard", "total_max_attempts": attempts}
    config = Config(retries=retries, proxies={}, s3={"addressing_style": "path"}, **options)
    made = session().client(service, region_name=region, endpoint_url=endpoint, config=config)
    hooks.attach(made.meta.events, reader)
    return made


@pytest.fixture
def stub():
    """Makes a server that gives the replies one after the other, the last one again and again."""
    made = []

    def serve(*replies):
        queue = list(replies)
        answer = replies[0] if callable(replies[0]) else lambda _: queue.pop(0) if len(queue) > 1 else queue[0]
        made.append(Stub(answer))
        return made[-1]

    yield serve
    for server in made:
        server.close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "evidence"


@pytest.fixture
def recorder(folder):
    return Recorder(EvidenceStore(folder))


@pytest.fixture
def no_sleep(monkeypatch):
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


def written(folder):
    """Every byte below the folder, names included."""
    return b"\n".join(path.name.encode() + b"\n" + path.read_bytes() for path in sorted(folder.rglob("*")))


# --- Recording


@pytest.mark.parametrize(
    ("service", "ask", "body"),
    [
        ("kms", lambda made: made.describe_key(**NAMED), DESCRIBED),
        ("kms", lambda made: made.describe_key(**NAMED), ' \n{"KeyMetadata":{"Description":"é😀\\ud800"}}'.encode()),
        ("s3", lambda made: made.get_bucket_location(Bucket="logs"), b'<?xml version="1.0"?>\n<LocationConstraint/>\n'),
        ("s3", lambda made: made.get_bucket_policy(Bucket="logs"), b'{"Statement":[]}\r\n\x00'),
        (
            "ec2",
            lambda made: made.describe_regions(),
            b"<DescribeRegionsResponse><regionInfo/></DescribeRegionsResponse>",
        ),
    ],
    ids=["json", "unusual json", "xml", "text", "ec2"],
)
def test_the_body_is_kept_as_it_was_sent(service, ask, body, stub, recorder, folder):
    ask(client(recorder, stub(Reply(body)).endpoint, service))
    (entry,) = read_index(folder)
    assert (folder / entry.path).read_bytes() == body
    assert (entry.sha256, entry.bytes, entry.masked) == (sha256(body), len(body), ())


def test_the_index_says_what_was_asked_where_when_and_what_came_back(stub, folder):
    moments = iter(datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=number) for number in range(9))
    recorder = Recorder(EvidenceStore(folder), lambda: next(moments))
    date = formatdate(usegmt=True)
    headers = (("Date", date), ("x-amzn-RequestId", "request-1"), ("Set-Cookie", "session=1"), ("X-Odd", "é"))
    client(recorder, stub(Reply(DESCRIBED, headers=headers)).endpoint, reader="210987654321").describe_key(**NAMED)
    (entry,) = read_index(folder)
    assert (entry.service, entry.operation, entry.region) == ("kms", "DescribeKey", "eu-west-1")
    assert (entry.reader, entry.parameters, entry.attempt) == ("210987654321", NAMED, 1)
    assert (entry.sent, entry.received) == ("2026-11-22T00:00:00.000Z", "2026-11-22T00:00:01.000Z")
    assert (entry.status, entry.request_id, entry.date, entry.failure) == (200, "request-1", date, "")
    assert entry.headers["x-amzn-requestid"] == "request-1"
    assert "set-cookie" not in entry.headers


def test_the_request_id_of_s3_is_kept_too(stub, recorder, folder):
    reply = Reply(b"<LocationConstraint/>", headers=(("x-amz-request-id", "0A1B2C"),))
    client(recorder, stub(reply).endpoint, "s3").get_bucket_location(Bucket="logs")
    assert read_index(folder)[0].request_id == "0A1B2C"


def test_every_attempt_of_a_call_is_kept(stub, recorder, folder, no_sleep):
    server = stub(THROTTLED, Reply(b"", 503), None, Reply(DESCRIBED))
    client(recorder, server.endpoint, attempts=4).describe_key(**NAMED)
    entries = read_index(folder)
    assert [entry.attempt for entry in entries] == [1, 2, 3, 4]
    assert [entry.status for entry in entries] == [400, 503, None, 200]
    assert [entry.failure for entry in entries] == ["", "", "ConnectionClosedError", ""]
    assert [read_body(folder, entry) for entry in entries] == [THROTTLED.body, b"", b"", DESCRIBED]
    assert {str(entry.parameters) for entry in entries} == {str(NAMED)}


@pytest.mark.parametrize(
    ("reply", "error", "status"),
    [
        (DENIED, ClientError, 400),
        (Reply(b"Bad Gateway", 502), ClientError, 502),
        (Reply(b"<html>Not found</html>", 404), ClientError, 404),
    ],
    ids=["denied", "a gateway's error", "a page that is not found"],
)
def test_a_refusal_is_kept(reply, error, status, stub, recorder, folder):
    with pytest.raises(error):
        client(recorder, stub(reply).endpoint).describe_key(**NAMED)
    (entry,) = read_index(folder)
    assert (entry.status, read_body(folder, entry)) == (status, reply.body)


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (None, "ConnectionClosedError"),
        (Reply(b"{" * 200_000, declared=10_000_000, broken="reset"), "ConnectionClosedError"),
        (Reply(b"{", broken="chunk"), "ConnectionClosedError"),
        (lambda _: time.sleep(0.5), "ReadTimeoutError"),
    ],
    ids=["dropped", "reset in the middle of the body", "a chunk cut short", "no answer in time"],
)
def test_an_attempt_without_an_answer_is_kept(reply, failure, stub, recorder, folder):
    with pytest.raises((HTTPClientError, BotoConnectionError)):
        client(recorder, stub(reply).endpoint, read_timeout=0.2).describe_key(**NAMED)
    (entry,) = read_index(folder)
    assert (entry.failure, entry.status, entry.path, entry.parameters) == (failure, None, "", NAMED)
    assert entry.sent <= entry.received


def test_an_endpoint_that_is_not_there_is_kept(recorder, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(BotoConnectionError):
            client(recorder, endpoint).describe_key(**NAMED)
    assert [entry.failure for entry in read_index(folder)] == ["EndpointConnectionError"]


UNPARSED = {
    "XML that is none": ("ec2", lambda made: made.describe_regions(), Reply(b"<html><p>Sign in</html>")),
    "XML cut short": (
        "ec2",
        lambda made: made.describe_regions(),
        Reply(b"<DescribeRegionsResponse><reg", declared=90),
    ),
    "an error cut short": ("ec2", lambda made: made.describe_regions(), Reply(b"<Response><Errors><Err", 403)),
    "JSON of another kind": ("kms", lambda made: made.describe_key(**NAMED), Reply(b"[1]")),
}


@pytest.mark.parametrize(("service", "ask", "reply"), UNPARSED.values(), ids=UNPARSED)
def test_an_answer_that_does_not_parse_is_kept(service, ask, reply, stub, recorder, folder):
    with pytest.raises((ResponseParserError, AttributeError, TypeError)):
        ask(client(recorder, stub(reply).endpoint, service))
    (entry,) = read_index(folder)
    assert (entry.status, entry.failure, read_body(folder, entry)) == (reply.status, "", reply.body)


def test_an_answer_of_s3_that_does_not_parse_is_kept_with_the_status_it_had(stub, recorder, folder):
    body = b"<html><p>Sign in</html>"
    with pytest.raises(ClientError, match="500"):
        client(recorder, stub(Reply(body)).endpoint, "s3").get_bucket_acl(Bucket="logs")
    (entry,) = read_index(folder)
    assert (entry.status, read_body(folder, entry)) == (200, body)


def test_an_answer_that_is_no_json_is_kept(stub, recorder, folder):
    body = b"<html>Please sign in to the network.</html>"
    client(recorder, stub(Reply(body)).endpoint).describe_key(**NAMED)
    assert read_body(folder, read_index(folder)[0]) == body


def test_a_call_after_one_that_did_not_parse_is_kept_once(stub, recorder, folder):
    made = client(recorder, stub(Reply(b"[1]"), Reply(DESCRIBED)).endpoint)
    with pytest.raises((AttributeError, TypeError)):
        made.describe_key(**NAMED)
    made.describe_key(**NAMED)
    assert [entry.id for entry in read_index(folder)] == ["E0001", "E0002"]


def test_an_answer_is_not_written_again_for_a_later_attempt_without_one(stub, recorder, folder):
    made = client(recorder, stub(Reply(DESCRIBED), None).endpoint)
    made.describe_key(**NAMED)
    with pytest.raises(HTTPClientError):
        made.describe_key(**NAMED)
    assert [(entry.status, entry.failure) for entry in read_index(folder)] == [
        (200, ""),
        (None, "ConnectionClosedError"),
    ]


def test_an_answer_that_did_not_parse_is_not_written_again_for_a_call_that_is_not_signed(stub, recorder, folder):
    def refuse(**_):
        raise OSError("no signature")

    made = client(recorder, stub(Reply(b"[1]")).endpoint)
    with pytest.raises((AttributeError, TypeError)):
        made.describe_key(**NAMED)
    made.meta.events.register("before-sign", refuse)
    with pytest.raises(OSError, match="no signature"):
        made.describe_key(**NAMED)
    assert [entry.id for entry in read_index(folder)] == ["E0001"]


def test_a_call_that_is_refused_before_it_is_sent_leaves_nothing(stub, recorder, folder):
    with pytest.raises(BotoCoreError):
        client(recorder, stub(DENIED).endpoint).describe_key(KeyId=3)
    assert read_index(folder) == []


def test_each_page_is_kept(stub, recorder, folder):
    first = Reply(b'{"Aliases": [{"AliasName": "alias/a"}], "Truncated": true, "NextMarker": "m"}')
    made = client(recorder, stub(first, Reply(b'{"Aliases": [], "Truncated": false}')).endpoint)
    list(made.get_paginator("list_aliases").paginate(KeyId="k"))
    assert [entry.parameters for entry in read_index(folder)] == [{"KeyId": "k"}, {"KeyId": "k", "Marker": "m"}]
    assert [entry.attempt for entry in read_index(folder)] == [1, 1]


def redirecting(call):
    if call.region != "eu-central-1":
        location = (("x-amz-bucket-region", "eu-central-1"),)
        return Reply(b"<Error><Code>PermanentRedirect</Code><Message>There.</Message></Error>", 301, location)
    return Reply(b"<LocationConstraint>eu-central-1</LocationConstraint>")


def test_a_redirect_to_another_region_is_an_attempt_of_the_same_call(stub, recorder, folder):
    client(recorder, stub(redirecting).endpoint, "s3", attempts=4).get_bucket_location(Bucket="logs")
    entries = read_index(folder)
    assert [(entry.attempt, entry.status, entry.region) for entry in entries] == [
        (1, 301, "eu-west-1"),
        (2, 200, "eu-west-1"),
    ]


HOSTILE = {
    "a lone surrogate": "a\ud800b",
    "control characters": "".join(map(chr, range(32))) + "\x7f\x85\u2028\u202e",
    "10,000 characters": "\U0001f600x" * 5_000,
    "markup": "</script><img src=x>\"'\\",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_parameters_are_kept_in_one_line(text, recorder, folder):
    # no request is made: botocore would refuse to send some of these
    made = client(recorder, "http://127.0.0.1:1")
    context = {"client_region": "eu-west-1"}
    model = made.meta.service_model.operation_model("DescribeKey")
    request = type("Request", (), {"headers": {}})
    made.meta.events.emit("before-parameter-build.kms.DescribeKey", params={text: [text]}, model=model, context=context)
    made.meta.events.emit("before-send.kms.DescribeKey", request=request)
    made.meta.events.emit("response-received.kms.DescribeKey", context=context, response_dict=None, exception=OSError())
    (entry,) = read_index(folder)
    assert entry.parameters == {text.replace("\ud800", "\ufffd"): [text.replace("\ud800", "\ufffd")]}


def test_dates_and_binary_parameters_have_a_place_in_the_index(stub, recorder, folder):
    made = client(recorder, stub(Reply(b'{"PublicKeyList": []}')).endpoint, "cloudtrail")
    made.list_public_keys(StartTime=datetime(2026, 11, 22, tzinfo=UTC))
    assert read_index(folder)[0].parameters == {"StartTime": "2026-11-22T00:00:00.000Z"}


@pytest.mark.parametrize("unparsed", [False, True], ids=["an answer", "one that does not parse"])
def test_a_full_disk_ends_the_call(stub, recorder, folder, monkeypatch, unparsed):
    def full(*_):
        raise OSError(28, "No space left on device")

    made = client(recorder, stub(Reply(b"[1]" if unparsed else DESCRIBED)).endpoint, attempts=3)
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(EvidenceError, match="No space left on device"):
        made.describe_key(**NAMED)


def test_threads_record_side_by_side(stub, recorder, folder):
    server = stub(lambda call: Reply(json.dumps({"KeyMetadata": {"KeyId": call.parameters["KeyId"]}}).encode()))
    made = client(recorder, server.endpoint, max_pool_connections=32)

    def ask(number):
        with recorder.watch() as attempts:
            made.describe_key(KeyId=f"k{number}")
            made.describe_key(KeyId=f"l{number}")
        return number, attempts

    with ThreadPoolExecutor(32) as executor:
        watched = list(executor.map(ask, range(96)))
    entries = {entry.id: entry for entry in read_index(folder)}
    assert len(entries) == 192
    for number, attempts in watched:
        assert [entry.parameters["KeyId"] for entry in attempts.entries] == [f"k{number}", f"l{number}"]
        assert [entries[entry.id] for entry in attempts.entries] == attempts.entries
    for entry in entries.values():
        assert json.loads(read_body(folder, entry))["KeyMetadata"]["KeyId"] == entry.parameters["KeyId"]


def test_a_watch_sees_no_other_thread_and_nothing_before_or_after(stub, recorder):
    made = client(recorder, stub(Reply(DESCRIBED)).endpoint)
    made.describe_key(**NAMED)
    with recorder.watch() as attempts:
        other = threading.Thread(target=lambda: made.describe_key(KeyId="other"))
        other.start()
        other.join()
        made.describe_key(**NAMED)
    made.describe_key(**NAMED)
    assert (attempts.ids, attempts.body) == (("E0002",), DESCRIBED)


def test_a_watch_within_a_watch_hides_nothing_from_the_outer_one(stub, recorder):
    made = client(recorder, stub(Reply(DESCRIBED)).endpoint)
    with recorder.watch() as outer:
        made.describe_key(**NAMED)
        with recorder.watch() as inner:
            made.describe_key(**NAMED)
        made.describe_key(**NAMED)
    assert (outer.ids, inner.ids) == (("E0001", "E0001.02", "E0001.03"), ("E0001.02",))


# --- Credentials


def secrets(server):
    """What the requests carried: key id, secret key, session token, and every signature, in the forms they may take."""
    signatures = re.findall(r"Signature=(\w+)", str(server.headers))
    assert signatures
    found = [KEY_ID, SECRET, TOKEN, *signatures]
    return [form.encode() for text in found for form in (text, quote(text, safe=""), text.replace("/", "\\/"))]


ECHOES = {
    "S3's quotation of the request": (
        "s3",
        lambda made: made.get_bucket_location(Bucket="logs"),
        lambda said: Reply(
            f"<Error><Code>SignatureDoesNotMatch</Code><Message>No.</Message><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId>"
            f"<CanonicalRequest>GET\n{said}</CanonicalRequest></Error>".encode(),
            403,
        ),
    ),
    "KMS's quotation of the request": (
        "kms",
        lambda made: made.describe_key(**NAMED),
        lambda said: Reply(
            json.dumps({"__type": "InvalidSignatureException", "message": f"The Canonical String was {said}"}).encode(),
            400,
        ),
    ),
    "slashes escaped": (
        "kms",
        lambda made: made.describe_key(**NAMED),
        lambda said: Reply(json.dumps({"__type": "X", "message": said}).replace("/", "\\/").encode(), 400),
    ),
    "in a header": (
        "kms",
        lambda made: made.describe_key(**NAMED),
        lambda said: Reply(DESCRIBED, headers=(("X-Echo", said.replace("\n", " ")),)),
    ),
    "in an address": (
        "kms",
        lambda made: made.describe_key(**NAMED),
        lambda said: Reply(b'{"KeyMetadata":{"KeyId":"https://x/?' + quote(said, safe="").encode() + b'"}}'),
    ),
    "in a body that does not parse": (
        "s3",
        lambda made: made.get_bucket_acl(Bucket="logs"),
        lambda said: Reply(f"<Error>{said}".encode(), 403),
    ),
}


@pytest.mark.parametrize(("service", "ask", "reply"), ECHOES.values(), ids=ECHOES)
def test_no_credential_is_written_where_an_answer_repeats_the_request(service, ask, reply, stub, recorder, folder):
    server = stub(lambda _: reply(carried(server.headers[-1])))
    try:
        said = str(without_metadata(ask(client(recorder, server.endpoint, service))))
    except (ClientError, ResponseParserError) as error:
        said = str(error)
    record = written(folder)
    for secret in secrets(server):
        assert secret not in record
    assert TOKEN not in said, "it would reach a finding"
    (entry,) = read_index(folder)
    assert set(entry.masked) >= {"SessionToken", "Signature", "AccessKeyId"}
    assert b"**masked**" in record


def carried(headers):
    return f"{headers['authorization']}\nx-amz-security-token:{headers['x-amz-security-token']}"


def test_a_made_up_key_id_that_is_any_word_is_left_where_it_stands(stub, recorder, folder):
    server = stub(Reply(b'{"KeyMetadata": {"Description": "our sandbox"}}'))
    made = boto3.Session(aws_access_key_id="sandbox", aws_secret_access_key="sandbox").client(
        "kms", region_name="eu-west-1", endpoint_url=server.endpoint, config=Config(proxies={})
    )
    recorder.attach(made.meta.events)
    made.describe_key(**NAMED)
    (entry,) = read_index(folder)
    assert (entry.masked, read_body(folder, entry)) == ((), b'{"KeyMetadata": {"Description": "our sandbox"}}')


def test_no_presigned_request_is_written(stub, recorder, folder):
    url = (
        "https://logs.s3.amazonaws.com/k?X-Amz-Credential=AKIAOTHEROTHEROTHER9%2F2026&X-Amz-Expires=60"
        "&amp;X-Amz-Security-Token=othertoken%2Bother&x-amz-signature=0123abcd"
    )
    older = "https://logs.s3.amazonaws.com/k?AWSAccessKeyId=AKIAOLDEROLDEROLDER9&Signature=old%2Fsignature&Expires=1"
    body = json.dumps({"KeyMetadata": {"KeyId": url, "Description": older}}).encode()
    server = stub(Reply(body, headers=(("Location", url),)))
    described = client(recorder, server.endpoint).describe_key(KeyId=url)["KeyMetadata"]
    for secret in (b"OTHEROTHER", b"othertoken", b"0123abcd", b"OLDEROLDER", b"old%2Fsignature"):
        assert secret not in written(folder)
        assert secret.decode() not in str(described)
    (entry,) = read_index(folder)
    assert entry.masked == ("presigned URL",)
    assert "X-Amz-Expires=60" in entry.headers["location"]


def assumed(members=None, operation="AssumeRole"):
    inner = "".join(f"<{name}>{text}</{name}>" for name, text in (members or TAKEN).items())
    given = f"<Credentials>{inner}<Expiration>2026-11-22T00:00:00Z</Expiration></Credentials>"
    result = f"<{operation}Result>{given}</{operation}Result>"
    return f'<{operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{result}</{operation}Response>'


ROLE = {"RoleArn": "arn:aws:iam::210987654321:role/GxPAudit", "RoleSessionName": "trailkit"}


def test_the_credentials_of_a_role_reach_the_caller_and_not_the_folder(stub, recorder, folder):
    server = stub(Reply(assumed().encode()))
    taken = client(recorder, server.endpoint, "sts").assume_role(**ROLE)["Credentials"]
    assert {name: taken[name] for name in TAKEN} == TAKEN
    (entry,) = read_index(folder)
    assert sorted(entry.masked) == sorted(TAKEN)
    assert read_body(folder, entry) == assumed(dict.fromkeys(TAKEN, "**masked**")).encode()
    for secret in [text.encode() for text in TAKEN.values()] + secrets(server):
        assert secret not in written(folder)


@pytest.mark.parametrize("cut", [20, 60, 140])
def test_a_secret_that_is_cut_short_is_not_written_either(cut, stub, recorder, folder):
    body = assumed().encode()
    body = body[: body.index(TAKEN["SessionToken"].encode()) + cut - 100]
    with pytest.raises(ResponseParserError):
        client(recorder, stub(Reply(body)).endpoint, "sts").assume_role(**ROLE)
    for text in TAKEN.values():
        assert text.encode()[:8] not in written(folder)


def test_what_proves_an_identity_is_no_parameter_to_write(stub, recorder, folder):
    server = stub(lambda call: Reply(assumed(operation=call.parameters["Action"]).encode()))
    made = client(recorder, server.endpoint, "sts")
    made.assume_role(**ROLE, TokenCode="123987", SerialNumber="arn:aws:iam::123456789012:mfa/anna")
    made.assume_role_with_web_identity(**ROLE, WebIdentityToken="eyJplantedplanted")
    assert b"123987" not in written(folder)
    assert b"eyJplanted" not in written(folder)


# --- Replay


def replayed(folder, ask, **options):
    """What a client says to recorded answers; the endpoint is nobody's."""
    replayer = Replayer(folder)
    return ask(client(replayer, "http://127.0.0.1:1", **options)), replayer


def without_metadata(response):
    return {name: value for name, value in response.items() if name != "ResponseMetadata"}


def test_a_recorded_answer_is_served_to_the_same_question(stub, recorder, folder):
    server = stub(Reply(DESCRIBED, headers=(("x-amzn-RequestId", "request-1"),)))
    live = client(recorder, server.endpoint).describe_key(**NAMED)
    again, replayer = replayed(folder, lambda made: made.describe_key(**NAMED))
    assert without_metadata(again) == without_metadata(live)
    assert again["ResponseMetadata"]["RequestId"] == "request-1"
    assert replayer.unused == []
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("options", "parameters"),
    [({}, {"KeyId": "other"}), ({"region": "eu-central-1"}, NAMED), ({"reader": "210987654321"}, NAMED)],
    ids=["parameters", "Region", "reader"],
)
def test_a_question_that_was_not_asked_is_an_error_that_names_it(options, parameters, stub, recorder, folder):
    client(recorder, stub(Reply(DESCRIBED)).endpoint).describe_key(**NAMED)
    region = options.get("region", "eu-west-1")
    named = rf'no recording of kms:DescribeKey in {region} with {{"KeyId":"{parameters["KeyId"]}"}}'
    with pytest.raises(EvidenceError, match=named) as caught:
        replayed(folder, lambda made: made.describe_key(**parameters), attempts=5, **options)
    assert "the version that made it" in caught.value.remedy


def test_a_question_asked_more_often_than_recorded_is_an_error(stub, recorder, folder):
    client(recorder, stub(Reply(DESCRIBED)).endpoint).describe_key(**NAMED)
    with pytest.raises(EvidenceError, match="no recording"):
        replayed(folder, lambda made: [made.describe_key(**NAMED) for _ in range(2)])


def test_answers_to_the_same_question_come_in_the_recorded_order(stub, recorder, folder):
    replies = [Reply(json.dumps({"KeyMetadata": {"KeyId": str(number)}}).encode()) for number in range(3)]
    made = client(recorder, stub(*replies).endpoint)
    for _ in replies:
        made.describe_key(**NAMED)
    answers, _ = replayed(folder, lambda made: [made.describe_key(**NAMED) for _ in replies])
    assert [answer["KeyMetadata"]["KeyId"] for answer in answers] == ["0", "1", "2"]


def test_recordings_that_nobody_asked_for_are_listed(stub, recorder, folder):
    made = client(recorder, stub(Reply(DESCRIBED)).endpoint)
    made.describe_key(**NAMED)
    made.describe_key(KeyId="other")
    _, replayer = replayed(folder, lambda made: made.describe_key(**NAMED))
    assert [entry.id for entry in replayer.unused] == ["E0002"]


def test_of_a_call_that_was_tried_several_times_the_last_attempt_is_served(stub, recorder, folder, no_sleep):
    made = client(recorder, stub(THROTTLED, None, Reply(DESCRIBED)).endpoint, attempts=3)
    made.describe_key(**NAMED)
    del no_sleep[:]
    replayer = Replayer(folder)
    with replayer.watch() as attempts:
        answer = client(replayer, "http://127.0.0.1:1").describe_key(**NAMED)
    assert answer["KeyMetadata"]["KeyId"] == "1234abcd"
    assert (attempts.ids, attempts.body) == (("E0001", "E0002", "E0003"), DESCRIBED)
    assert (replayer.unused, no_sleep) == ([], [])


def test_an_attempt_that_got_no_answer_gets_none_again_and_is_not_tried_twice(stub, recorder, folder, no_sleep):
    with pytest.raises(HTTPClientError):
        client(recorder, stub(None).endpoint).describe_key(**NAMED)
    with pytest.raises(Unanswered) as caught:
        replayed(folder, lambda made: made.describe_key(**NAMED), attempts=4)
    assert (caught.value.failure, no_sleep) == ("ConnectionClosedError", [])


def test_an_answer_that_did_not_parse_does_not_parse_again(stub, recorder, folder):
    body = b"<html><p>Sign in</html>"
    with pytest.raises(ResponseParserError):
        client(recorder, stub(Reply(body)).endpoint, "ec2").describe_regions()
    with pytest.raises(ResponseParserError):
        replayed(folder, lambda made: made.describe_regions(), service="ec2")


def test_a_redirected_call_is_served_without_a_redirect(stub, recorder, folder):
    client(recorder, stub(redirecting).endpoint, "s3", attempts=4).get_bucket_location(Bucket="logs")
    answer, replayer = replayed(folder, lambda made: made.get_bucket_location(Bucket="logs"), service="s3")
    assert answer["LocationConstraint"] == "eu-central-1"
    assert replayer.unused == []


def test_masked_credentials_still_are_credentials_to_a_replay(stub, recorder, folder):
    client(recorder, stub(Reply(assumed().encode())).endpoint, "sts").assume_role(**ROLE)
    answer, _ = replayed(folder, lambda made: made.assume_role(**ROLE), service="sts")
    assert {answer["Credentials"][name] for name in TAKEN} == {"**masked**"}


def test_masked_parameters_are_matched_as_masked(stub, recorder, folder):
    client(recorder, stub(Reply(assumed().encode())).endpoint, "sts").assume_role(**ROLE, TokenCode="123987")
    _, replayer = replayed(folder, lambda made: made.assume_role(**ROLE, TokenCode="000000"), service="sts")
    assert replayer.unused == []


def test_evidence_that_was_changed_is_not_replayed(stub, recorder, folder):
    client(recorder, stub(Reply(DESCRIBED)).endpoint).describe_key(**NAMED)
    (folder / read_index(folder)[0].path).write_bytes(DESCRIBED.replace(b"1234", b"4321"))
    with pytest.raises(EvidenceError, match="evidence E0001 was changed"):
        replayed(folder, lambda made: made.describe_key(**NAMED))


def test_a_replay_opens_no_socket(stub, recorder, folder, monkeypatch):
    client(recorder, stub(Reply(DESCRIBED)).endpoint).describe_key(**NAMED)
    opened = []
    monkeypatch.setattr(socket.socket, "connect", lambda *arguments: opened.append(arguments))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **_: opened.append(arguments))
    replayed(folder, lambda made: made.describe_key(**NAMED))
    assert opened == []
