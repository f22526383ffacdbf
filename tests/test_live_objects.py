"""The reader of objects against a real server: order, retries, hostile keys, bodies cut short, and what is kept."""

import gzip
import json
import os
import random
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from botocore.credentials import ReadOnlyCredentials

from kit.collect import reading, transfers
from kit.collect.live_objects import LiveObjects
from kit.collect.readers import Storage
from kit.collect.signing import Bucket
from kit.collect.transfers import IN_FLIGHT
from kit.digests.objects import Query, Wanted
from kit.evidence import EvidenceStore, is_ledger, read_index

BUCKET, KEY_ARN = "logs", "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TOKEN = "a-session-token-of-many-characters"
TEXT = b'{"Records":[]}'
HOSTILE = ["a/../b", "%41", "a b+c", "new\nline", "ü\u202e", "x" * 1000, "a//b", "?versionId=1", "~-_.'()*!"]


class Server:
    """Answers each key as scripted: a list of (status, headers, body) by attempt, the last one for ever."""

    def __init__(self):
        self.script, self.seen, self.now, self.most, self.connections = {}, [], 0, 0, 0
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                server.connections += 1

            def do_GET(self):
                server.answer(self)

            def log_message(self, *_):
                pass

        # a burst of connections waits, and is not refused
        ThreadingHTTPServer.request_queue_size = 256
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request):
        path, _, query = request.path.partition("?")
        key = unquote(path.removeprefix(f"/{BUCKET}/"))
        with self.lock:
            attempt = sum(seen[0] == key for seen in self.seen)
            self.seen.append((key, path, query, dict(request.headers.items())))
            self.now += 1
            self.most = max(self.most, self.now)
        replies = self.script.get(key, [(200, {}, gzip.compress(TEXT, mtime=0))])
        status, headers, body = replies[min(attempt, len(replies) - 1)]
        headers = dict(headers)
        time.sleep(headers.pop("delay", 0))
        with self.lock:
            self.now -= 1
        if status is None:
            request.close_connection = True
            return
        request.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)
        if "Content-Length" in headers:
            request.close_connection = True


@pytest.fixture
def server():
    started = Server()
    yield started
    started.http.shutdown()
    started.http.server_close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(transfers, "PAUSES_S", (0.01,))


class Credentials:
    def get_frozen_credentials(self):
        return ReadOnlyCredentials("AKIDEXAMPLEAKIDEXA", "s", TOKEN)


@contextmanager
def reader(server, folder, *, port=None, credentials=None, **options):
    credentials = credentials or Credentials()
    url = f"http://127.0.0.1:{port or server.http.server_port}/{BUCKET}"
    storage = Storage(Bucket(url, "eu-west-1"), credentials, None, proxied=False)
    with LiveObjects(EvidenceStore(folder), lambda _: storage, **options) as objects:
        yield objects


def read(objects, *keys, keep=False):
    return objects.read_objects([Wanted(BUCKET, key, keep=keep) for key in keys], lambda *_: None)


def lines(folder, name):
    (entry,) = [entry for entry in read_index(folder) if is_ledger(entry, name)]
    return gzip.decompress((folder / entry.path).read_bytes()).splitlines()


def test_answers_come_in_the_order_asked_for_and_so_many_at_once(server, tmp_path):
    keys = [f"k{number:03}" for number in range(200)]
    delays = random.Random(1)  # noqa: S311 - for shuffling
    server.script = {key: [(200, {"delay": delays.random() / 50}, gzip.compress(key.encode()))] for key in keys}
    with reader(server, tmp_path / "e") as objects:
        found = read(objects, *keys)
        objects.close()
    assert [one.key for one in found] == keys
    assert [json.loads(line)["key"] for line in lines(tmp_path / "e", "logs")] == keys
    assert server.most <= IN_FLIGHT
    assert server.connections <= IN_FLIGHT


@pytest.mark.parametrize("key", HOSTILE, ids=[ascii(key)[:20] for key in HOSTILE])
def test_a_hostile_key_arrives_as_it_is(key, server, tmp_path):
    with reader(server, tmp_path / "e") as objects:
        (found,) = read(objects, key)
    assert found.failure == ""
    assert [seen[0] for seen in server.seen] == [key]
    assert "/../" not in key or "/../" in server.seen[0][1]


THROTTLED = b"<Error><Code>KMS.ThrottlingException</Code><Message>slow</Message></Error>"
PASSING = {
    "503": (503, {}, b"<Error><Code>SlowDown</Code></Error>"),
    "500": (500, {}, b""),
    "429": (429, {}, b""),
    "kms": (400, {}, THROTTLED),
    "dropped": (None, {}, b""),
    "cut short": (200, {"Content-Length": "5000"}, gzip.compress(b"other")),
}


@pytest.mark.parametrize("reply", PASSING.values(), ids=PASSING)
def test_what_passes_is_tried_again_and_nothing_is_mixed(reply, server, tmp_path):
    server.script = {"k": [reply, (200, {}, gzip.compress(TEXT, mtime=0))]}
    with reader(server, tmp_path / "e") as objects:
        log, digest = read(objects, "k")[0], read(objects, "k", keep=True)[0]
    assert (log.failure, log.size) == ("", len(TEXT))
    assert digest.body == gzip.compress(TEXT, mtime=0)


@pytest.mark.parametrize("reply", PASSING.values(), ids=PASSING)
def test_what_stays_unreadable_is_told_and_the_rest_goes_on(reply, server, tmp_path):
    server.script = {"k": [reply]}
    with reader(server, tmp_path / "e", attempts=3) as objects:
        spoilt, sound = read(objects, "k", "other")
    assert spoilt.failure.startswith("could not be read: ")
    assert not spoilt.missing
    assert sound.failure == ""
    # libcurl itself asks once more where a kept connection has died
    assert Counter(seen[0] for seen in server.seen)["k"] in (3, 4)


@pytest.mark.parametrize(
    ("status", "body", "missing", "says"),
    [
        (
            403,
            b"<Error><Code>AccessDenied</Code><Message>kms:Decrypt</Message></Error>",
            False,
            "403 AccessDenied: kms:Decrypt",
        ),
        (404, b"<Error><Code>NoSuchKey</Code></Error>", True, "404 NoSuchKey"),
        (404, b"<html>", False, "404"),
        (301, b"<Error><Code>PermanentRedirect</Code></Error>", False, "301 PermanentRedirect"),
    ],
)
def test_a_refusal_is_told_in_awss_words_and_asked_once(status, body, missing, says, server, tmp_path):
    server.script = {"k": [(status, {"Location": "/elsewhere"}, body)]}
    with reader(server, tmp_path / "e") as objects:
        (found,) = read(objects, "k")
    assert (found.failure, found.missing) == (f"could not be read: {says}", missing)
    assert len(server.seen) == 1


def test_nobody_answers(server, tmp_path):
    with reader(server, tmp_path / "e", port=1, attempts=2) as objects:
        (found,) = read(objects, "k")
    assert found.failure == "could not be read: no answer (COULDNT_CONNECT)"


def test_the_response_itself_says_how_the_object_is_encrypted(server, tmp_path):
    headers = {
        "x-amz-server-side-encryption": "aws:kms",
        "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": KEY_ARN,
        "x-amz-meta-signature": "00ff",
        "Last-Modified": "Tue, 24 Nov 2026 08:00:00 GMT",
        "Content-Encoding": "gzip",
    }
    server.script = {"k": [(200, headers, gzip.compress(TEXT, mtime=0))]}
    with reader(server, tmp_path / "e") as objects:
        (found,) = read(objects, "k", keep=True)
    assert (found.encryption, found.encryption_key, found.metadata) == ("aws:kms", KEY_ARN, {"signature": "00ff"})
    assert f"{found.modified:%H:%M %z}" == "08:00 +0000"
    assert found.body == gzip.compress(TEXT, mtime=0)


def test_no_credential_reaches_a_ledger(server, tmp_path):
    bare = f"<CanonicalRequestBytes>{TOKEN.encode().hex(' ')}</CanonicalRequestBytes>"
    quoted = f"<Error><Code>SignatureDoesNotMatch</Code><Message>{TOKEN}</Message>{bare}</Error>".encode()
    server.script = {"k": [(403, {}, quoted)]}
    with reader(server, tmp_path / "e") as objects:
        read(objects, "k", "other")
        objects.close()
    assert server.seen[0][3]["x-amz-security-token"] == TOKEN
    written = b"".join(lines(tmp_path / "e", "logs"))
    assert TOKEN.encode() not in written
    assert TOKEN.encode().hex(" ").encode() not in written
    assert b"AKIDEXAMPLE" not in written


def test_each_request_is_signed_with_the_credentials_of_its_moment(server, tmp_path):
    class Refreshed:
        count = 0

        def get_frozen_credentials(self):
            self.count += 1
            return ReadOnlyCredentials(f"KEY{self.count}", "s", None)

    with reader(server, tmp_path / "e", credentials=Refreshed()) as objects:
        read(objects, "a")
        read(objects, "b")
    assert [seen[3]["Authorization"].split("=")[1].split("/")[0] for seen in server.seen] == ["KEY1", "KEY2"]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_this_machine_is_reached_past_any_proxy(name, server, tmp_path, monkeypatch):
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    with reader(server, tmp_path / "e") as objects:
        assert read(objects, "k")[0].failure == ""


def test_a_digest_that_is_too_large_is_not_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_KEPT", 1000)
    server.script = {"k": [(200, {}, os.urandom(200_000))]}
    with reader(server, tmp_path / "e") as objects:
        (found,) = read(objects, "k", keep=True)
        objects.close()
    assert (found.body, found.failure) == (None, "is larger than any digest that CloudTrail delivers")
    assert len(lines(tmp_path / "e", "kept")[0]) < 2000


def test_a_log_is_searched_for_data_keys_up_to_a_size(server, tmp_path, monkeypatch):
    call = {
        "eventName": "GenerateDataKey",
        "eventTime": "2026-11-24T08:10:00Z",
        "userIdentity": {"invokedBy": "cloudtrail.amazonaws.com"},
        "requestParameters": {"encryptionContext": {"aws:cloudtrail:arn": "arn:trail"}},
    }
    log = gzip.compress(json.dumps({"Records": [call, call]}).encode())
    server.script = {"k": [(200, {}, log)]}
    with reader(server, tmp_path / "e") as objects:
        assert read(objects, "k")[0].data_keys == {"arn:trail 2026-11-24T08": 2}
        monkeypatch.setattr(reading, "_SEARCHED", 10)
        assert read(objects, "k")[0].data_keys is None


def page(*keys, following=""):
    versions = "".join(
        f"<Version><Key>{key}</Key><VersionId>v</VersionId><IsLatest>true</IsLatest>"
        f"<LastModified>2026-11-24T08:00:00.000Z</LastModified><Size>1</Size></Version>"
        for key in keys
    )
    more = f"<IsTruncated>true</IsTruncated><NextKeyMarker>{following}</NextKeyMarker>" if following else ""
    return f"<ListVersionsResult>{more or '<IsTruncated>false</IsTruncated>'}{versions}</ListVersionsResult>".encode()


LISTINGS = {
    "pages": ([page("a%2F1", following="a%2F1"), page("a%2F2")], ["a/1", "a/2"], ""),
    "hostile keys": ([page("a%2F%2E%2E%0A%2B+")], ["a/..\n+ "], ""),
    "a page that fails": ([page("a", following="a"), b"<Error><Code>X</Code></Error>"], ["a"], "ListVersionsResult"),
    "no more and no end": ([page("a", following="a")], ["a"], "there is more"),
    "a folder without a name": ([b"<ListVersionsResult><CommonPrefixes/></ListVersionsResult>"], [], "lacks its name"),
    "no XML": ([b"<html"], [], "does not parse"),
    "neither end nor more": ([b"<ListVersionsResult/>"], [], "whether there is more"),
}


@pytest.mark.parametrize(("pages", "keys", "failure"), LISTINGS.values(), ids=LISTINGS)
def test_a_listing_is_whole_or_says_why_not(pages, keys, failure, server, tmp_path):
    server.script = {"": [(200, {}, body) for body in pages]}
    with reader(server, tmp_path / "e", attempts=1) as objects:
        (listing,) = objects.list_folders([Query(BUCKET, "a")])
    assert [one.key for one in listing.objects] == keys
    assert failure in listing.failure
    assert bool(failure) == bool(listing.failure)


def test_of_many_that_can_not_even_be_started_none_is_passed_over(tmp_path):
    with LiveObjects(EvidenceStore(tmp_path / "e"), lambda _: "the bucket is out of reach") as objects:
        reads = read(objects, *map(str, range(40)))
        listings = objects.list_folders([Query(BUCKET, f"{number}/") for number in range(40)])
    assert {one.failure for one in reads} == {"could not be read: the bucket is out of reach"}
    assert {one.failure for one in listings} == {"the bucket is out of reach"}


@pytest.mark.parametrize("key", ["\ud800", "x" * 9_000_000], ids=["a lone surrogate", "nine megabytes"])
def test_a_name_that_makes_no_address_is_told(key, server, tmp_path):
    with reader(server, tmp_path / "e") as objects:
        (spoilt, sound) = read(objects, key, "k")
    assert spoilt.failure == "could not be read: its name makes no address"
    assert sound.failure == ""
