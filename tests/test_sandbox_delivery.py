"""What the sandbox delivers, read and verified by boto3 and cryptography alone, and what each fault does to it."""

import datetime as dt
import gzip
import hashlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kit.errors import SandboxError
from kit.parameters import RunParameters
from kit.sandbox.fault import EVERY_OQ
from kit.sandbox.server import CREDENTIALS, Sandbox, list_faults

REGION, OTHER = "eu-west-1", "us-east-1"
UNTIL = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
DELIVERY = {"hours": 4, "until": "2026-01-15T12:00:00Z", "digest_regions": [OTHER, REGION]}
HOUR = dt.timedelta(hours=1)
BUCKET = "gxp-cloudtrail-logs-123456789012"
OLD_BUCKET = "gxp-cloudtrail-logs-before-123456789012"
LOGS, DIGESTS = "AWSLogs/123456789012/CloudTrail/", "AWSLogs/123456789012/CloudTrail-Digest/"
GENUINE = Path(__file__).resolve().parents[2] / "shared" / "data" / "cloudtrail-logs"

LOG_KEY = re.compile(
    r"AWSLogs/123456789012/CloudTrail/([a-z]+-[a-z]+-\d)/(\d{4})/(\d\d)/(\d\d)/"
    r"123456789012_CloudTrail_\1_\2\3\4T\d{4}Z_[A-Za-z0-9]{16}\.json\.gz"
)
DIGEST_KEY = re.compile(
    r"AWSLogs/123456789012/CloudTrail-Digest/([a-z]+-[a-z]+-\d)/(\d{4})/(\d\d)/(\d\d)/"
    r"123456789012_CloudTrail-Digest_\1_gxp-trail_eu-west-1_\2\3\4T\d{6}Z(_backfill)?\.json\.gz"
)


class View:
    """What a reader sees of a sandbox, by its default credentials or others."""

    def __init__(self, sandbox: Sandbox, credentials: dict[str, str] = CREDENTIALS) -> None:
        self.sandbox = sandbox
        self._session = boto3.session.Session(**credentials)
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str = REGION) -> Any:
        if (service, region) not in self._clients:
            config = Config(retries={"total_max_attempts": 1}, proxies={}, s3={"addressing_style": "path"})
            url = self.sandbox.endpoint
            self._clients[service, region] = self._session.client(
                service, region_name=region, endpoint_url=url, config=config
            )
        return self._clients[service, region]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def get(self, key: str, bucket: str = BUCKET, **more: str) -> dict[str, Any]:
        answer = dict(self.client("s3").get_object(Bucket=bucket, Key=key, **more))
        with answer["Body"] as body:
            answer["Body"] = body.read()
        return answer

    def listed(self, prefix: str = "AWSLogs/", bucket: str = BUCKET) -> dict[str, dict[str, Any]]:
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {entry["Key"]: entry for page in pages for entry in page.get("Contents", ())}

    def versions(self, bucket: str = BUCKET) -> dict[str, list[dict[str, Any]]]:
        """Every version and delete marker by key, the newest first."""
        found: dict[str, list[dict[str, Any]]] = {}
        for page in self.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket):
            for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                found.setdefault(entry["Key"], []).append(entry)
        return {key: sorted(entries, key=lambda one: not one["IsLatest"]) for key, entries in found.items()}

    def digests(self, region: str = REGION, bucket: str = BUCKET) -> dict[str, dict[str, Any]]:
        return {key: self.get(key, bucket) for key in self.listed(f"{DIGESTS}{region}/", bucket)}

    def logs(self, region: str = REGION) -> dict[str, dict[str, Any]]:
        return self.listed(f"{LOGS}{region}/")

    def public_keys(self, region: str = REGION, **asked: Any) -> list[dict[str, Any]]:
        client = self.client("cloudtrail", region)
        asked = asked or {"StartTime": UNTIL - 6 * HOUR, "EndTime": UNTIL + HOUR}
        pages = client.get_paginator("list_public_keys").paginate(**asked)
        return [key for page in pages for key in page["PublicKeyList"]]

    def status(self, region: str = REGION, trail: str = "") -> dict[str, Any]:
        trail = trail or self.sandbox.parameters["expected"]["trail_arn"]
        return dict(self.client("cloudtrail", region).get_trail_status(Name=trail))


@pytest.fixture(scope="module")
def view() -> Iterator[View]:
    with Sandbox() as sandbox:
        seen = View(sandbox)
        yield seen
        seen.close()


@pytest.fixture
def clean(view: View) -> View:
    view.sandbox.reset(delivery=DELIVERY)
    return view


def parsed(digest: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(gzip.decompress(digest["Body"])))


def time_of(text: str) -> dt.datetime:
    return dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)


def verifies(digest: dict[str, Any], keys: list[dict[str, Any]]) -> bool:
    """Whether a digest's signature is by the listed key that it names, as the user guide has it."""
    text = gzip.decompress(digest["Body"])
    told, signature = json.loads(text), digest["Metadata"].get("signature", "")
    (value,) = [key["Value"] for key in keys if key["Fingerprint"] == told["digestPublicKeyFingerprint"]]
    signed = (
        told["digestEndTime"],
        f"{told['digestS3Bucket']}/{told['digestS3Object']}",
        hashlib.sha256(text).hexdigest(),
        told["previousDigestSignature"] or "null",
    )
    public = load_der_public_key(value)
    try:
        public.verify(bytes.fromhex(signature), "\n".join(signed).encode(), padding.PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


# --- What is delivered


def test_every_object_has_the_documented_name(clean: View) -> None:
    keys = clean.listed()
    assert len([key for key in keys if LOG_KEY.fullmatch(key)]) == 2 * 12
    assert len([key for key in keys if DIGEST_KEY.fullmatch(key)]) == 2 * 7
    assert all(LOG_KEY.fullmatch(key) or DIGEST_KEY.fullmatch(key) for key in keys)


@pytest.mark.parametrize("region", [REGION, OTHER])
def test_digests_are_linked_hourly_and_begin_before_the_window(clean: View, region: str) -> None:
    digests = list(clean.digests(region).values())
    told = [parsed(digest) for digest in digests]
    assert {told[0][name] for name in told[0] if name.startswith("previous")} == {None}
    assert time_of(told[0]["digestStartTime"]) == UNTIL - 6 * HOUR
    assert time_of(told[-1]["digestEndTime"]) >= UNTIL
    for digest, one, following in zip(digests[:-1], told[:-1], told[1:], strict=True):
        assert following["digestStartTime"] == one["digestEndTime"]
        assert time_of(following["digestEndTime"]) - time_of(following["digestStartTime"]) == HOUR
        assert following["previousDigestS3Bucket"] == one["digestS3Bucket"] == BUCKET
        assert following["previousDigestS3Object"] == one["digestS3Object"]
        assert following["previousDigestHashValue"] == hashlib.sha256(gzip.decompress(digest["Body"])).hexdigest()
        assert following["previousDigestHashAlgorithm"] == "SHA-256"
        assert following["previousDigestSignature"] == digest["Metadata"]["signature"]


def test_a_digest_tells_all_that_the_guide_documents(clean: View) -> None:
    key, digest = list(clean.digests().items())[-1]
    told = parsed(digest)
    assert list(told) == [
        "awsAccountId", "digestStartTime", "digestEndTime", "digestS3Bucket", "digestS3Object",
        "digestPublicKeyFingerprint", "digestSignatureAlgorithm", "newestEventTime", "oldestEventTime",
        "previousDigestS3Bucket", "previousDigestS3Object", "previousDigestHashValue", "previousDigestHashAlgorithm",
        "previousDigestSignature", "logFiles",
    ]  # fmt: skip
    assert told["digestS3Object"] == key
    assert digest["Metadata"].keys() == {"signature", "signature-algorithm"}
    assert digest["Metadata"]["signature-algorithm"] == told["digestSignatureAlgorithm"] == "SHA256withRSA"
    assert told["logFiles"][0].keys() == {
        "s3Bucket", "s3Object", "hashValue", "hashAlgorithm", "newestEventTime", "oldestEventTime"
    }  # fmt: skip
    assert told["oldestEventTime"] == min(log["oldestEventTime"] for log in told["logFiles"])


@pytest.mark.parametrize("region", [REGION, OTHER])
def test_signatures_are_by_a_key_that_the_region_lists(clean: View, region: str) -> None:
    keys = clean.public_keys(region)
    assert all(verifies(digest, keys) for digest in clean.digests(region).values())


def test_no_two_regions_share_a_key(clean: View) -> None:
    listed = [key["Fingerprint"] for region in (REGION, OTHER) for key in clean.public_keys(region)]
    assert len(listed) == len(set(listed)) == 4


def test_each_log_is_named_once_by_the_digest_of_its_delivery_and_hashed_uncompressed(clean: View) -> None:
    logs, named = clean.logs(), []
    for digest in clean.digests().values():
        told = parsed(digest)
        for log in told["logFiles"]:
            delivered = logs[log["s3Object"]]["LastModified"]
            assert time_of(told["digestStartTime"]) <= delivered < time_of(told["digestEndTime"])
            text = gzip.decompress(clean.get(log["s3Object"])["Body"])
            assert log["hashValue"] == hashlib.sha256(text).hexdigest()
            named.append(log["s3Object"])
    assert sorted(named) == sorted(logs)


def test_a_log_is_delivered_within_its_minute_and_tells_what_happened_before(clean: View) -> None:
    for key, entry in clean.logs().items():
        minute = dt.datetime.strptime(key.rsplit("_", 2)[1], "%Y%m%dT%H%MZ").replace(tzinfo=dt.UTC)
        assert minute < entry["LastModified"] < minute + dt.timedelta(minutes=1)
        records = json.loads(gzip.decompress(clean.get(key)["Body"]))["Records"]
        assert all(time_of(record["eventTime"]) < minute for record in records)


def test_the_home_region_logs_cloudtrails_own_data_keys_for_logs_that_are_there(clean: View) -> None:
    def data_keys(region: str) -> list[Any]:
        texts = [gzip.decompress(clean.get(key)["Body"]) for key in clean.logs(region)]
        records = [record for text in texts for record in json.loads(text)["Records"]]
        return [record for record in records if record["eventName"] == "GenerateDataKey"]

    found, expected = data_keys(REGION), clean.sandbox.parameters["expected"]
    assert len(found) == 11
    for record in found:
        asked = record["requestParameters"]
        assert record["userIdentity"] == {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"}
        assert asked["keyId"] == expected["kms_key_arn"]
        assert asked["encryptionContext"]["aws:cloudtrail:arn"] == expected["trail_arn"]
        assert asked["encryptionContext"]["aws:s3:arn"].removeprefix(f"arn:aws:s3:::{BUCKET}/") in clean.logs()
    assert data_keys(OTHER) == []


def test_every_object_is_encrypted_versioned_and_locked(clean: View) -> None:
    for key in clean.listed():
        headers = clean.get(key)["ResponseMetadata"]["HTTPHeaders"]
        assert headers["x-amz-server-side-encryption"] == "aws:kms"
        expected = clean.sandbox.parameters["expected"]["kms_key_arn"]
        assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == expected
        assert headers["x-amz-version-id"] != "null"
        assert headers["x-amz-object-lock-mode"] == "COMPLIANCE"
        assert headers["content-encoding"] == "gzip"


def test_a_digest_is_delivered_ten_to_twenty_minutes_after_its_period(clean: View) -> None:
    for region in (REGION, OTHER):
        for digest in clean.digests(region).values():
            lag = digest["LastModified"] - time_of(parsed(digest)["digestEndTime"])
            assert dt.timedelta(minutes=10) <= lag < dt.timedelta(minutes=20)


def test_nothing_is_delivered_after_now(view: View) -> None:
    view.sandbox.reset(delivery={"hours": 2, "logs_per_hour": 30})
    now = dt.datetime.now(dt.UTC)
    times = [entry["LastModified"] for entry in view.listed().values()]
    assert now - dt.timedelta(minutes=5) < max(times) <= now
    assert min(times) >= now - 4 * HOUR - dt.timedelta(minutes=1)
    assert view.sandbox.parameters["window"] == {"hours": 2}


def test_every_enabled_region_has_a_digest_for_every_hour_and_those_named_have_logs(view: View) -> None:
    view.sandbox.reset(delivery={"hours": 2, "until": "2026-01-15T12:00:00Z", "regions": ["sa-east-1"]})
    regions = [region["RegionName"] for region in view.client("ec2").describe_regions()["Regions"]]
    digests = Counter(key.split("/")[3] for key in view.listed(DIGESTS))
    assert digests == dict.fromkeys(regions, 5)
    assert {key.split("/")[3] for key in view.listed(LOGS)} == {"sa-east-1"}
    quiet = [parsed(digest)["logFiles"] for digest in view.digests("eu-west-2").values()]
    assert quiet == [[]] * 5


def test_fewer_regions_are_the_only_enabled_ones_and_come_in_the_order_of_their_names(clean: View) -> None:
    listed = clean.client("ec2").describe_regions()["Regions"]
    assert [region["RegionName"] for region in listed] == [REGION, OTHER]


def test_two_resets_deliver_the_same_bytes(clean: View) -> None:
    first = {key: (entry["ETag"], entry["LastModified"]) for key, entry in clean.listed().items()}
    clean.sandbox.reset()
    assert clean.listed() == {}
    clean.sandbox.reset(delivery=DELIVERY)
    assert {key: (entry["ETag"], entry["LastModified"]) for key, entry in clean.listed().items()} == first


def test_the_status_of_a_region_agrees_with_what_was_delivered_there(clean: View) -> None:
    for region in (REGION, OTHER):
        status = clean.status(region)
        assert status["LatestDeliveryTime"] == max(one["LastModified"] for one in clean.logs(region).values())
        newest = max(one["LastModified"] for one in clean.digests(region).values())
        assert status["LatestDigestDeliveryTime"] == newest
        assert status["StartLoggingTime"] == UNTIL - 6 * HOUR
        assert not [name for name in status if name.endswith("Error")]


def test_a_region_without_logs_tells_of_digests_only(view: View) -> None:
    view.sandbox.reset(delivery=DELIVERY | {"regions": [REGION]})
    status = view.status(OTHER)
    assert "LatestDeliveryTime" not in status
    assert "LatestDigestDeliveryTime" in status


def test_the_parameters_name_the_window_and_the_role_and_are_valid(clean: View) -> None:
    parameters = clean.sandbox.parameters
    assert parameters["window"] == {"start": "2026-01-15T08:00:00Z", "end": "2026-01-15T12:00:00Z"}
    assert parameters["expected"]["denied_role_arn"] == "arn:aws:iam::123456789012:role/GxPDeniedReader"
    RunParameters.load(parameters)


def test_without_a_delivery_nothing_is_delivered(view: View) -> None:
    view.sandbox.reset()
    assert view.listed() == {}
    assert "window" not in view.sandbox.parameters


@pytest.mark.parametrize(
    ("told", "message"),
    [
        pytest.param({}, "this is no delivery", id="no-hours"),
        pytest.param({"hours": "many"}, "this is no delivery", id="no-number"),
        pytest.param({"hours": 4, "until": "noon"}, "this is no delivery", id="no-time"),
        pytest.param({"hours": 0}, "can't have been delivered", id="no-hour"),
        pytest.param({"hours": 4, "until": "2999-01-01T00:00:00Z"}, "can't have been delivered", id="future"),
        pytest.param({"hours": 4, "hour": 4}, "knows no 'hour'", id="unknown-member"),
        pytest.param({"hours": 4, "regions": ["eu-west-9"]}, "knows no 'eu-west-9'", id="unknown-region"),
    ],
)
def test_what_can_not_be_delivered_is_refused(told: dict[str, Any], message: str) -> None:
    with pytest.raises(SandboxError, match=message):
        Sandbox(delivery=told).start()


# --- Genuine logs


def test_genuine_logs_are_delivered_as_they_are_in_place_of_made_up_ones(view: View) -> None:
    if not GENUINE.is_dir():
        pytest.skip("the folder of genuine log files is not there")
    files = {path.name: path.read_bytes() for path in GENUINE.glob("*.json.gz")}
    told = {"hours": 3, "until": "2023-07-10T14:00:00Z", "folder": str(GENUINE), "digest_regions": [REGION, OTHER]}
    view.sandbox.reset(delivery=told)
    delivered = {key.rpartition("/")[2]: view.get(key)["Body"] for key in view.logs(OTHER)}
    genuine = {re.sub(r"^\d{12}", "123456789012", name): body for name, body in files.items()}
    assert genuine.items() <= delivered.items()
    others = {name.split("_")[3][9:11] for name in delivered.keys() - genuine.keys()}
    assert others == {"09", "10", "13"}
    digests = view.digests(OTHER)
    keys = view.public_keys(OTHER, StartTime=time_of(told["until"]) - 5 * HOUR, EndTime=time_of(told["until"]))
    assert all(verifies(digest, keys) for digest in digests.values())
    hashes = {
        log["s3Object"].rpartition("/")[2]: log for digest in digests.values() for log in parsed(digest)["logFiles"]
    }
    for name, body in genuine.items():
        assert hashes[name]["hashValue"] == hashlib.sha256(gzip.decompress(body)).hexdigest()


def test_genuine_logs_of_another_time_are_left_out(view: View) -> None:
    if not GENUINE.is_dir():
        pytest.skip("the folder of genuine log files is not there")
    told = {"hours": 1, "until": "2023-07-10T12:00:00Z", "folder": str(GENUINE), "digest_regions": [REGION, OTHER]}
    view.sandbox.reset(delivery=told)
    minutes = {key.rsplit("_", 2)[1] for key in view.logs(OTHER)}
    assert {"20230710T1145Z", "20230710T1150Z"} <= minutes
    assert max(minutes) < "20230710T1200Z"


# --- Public keys


def test_public_keys_come_one_a_page_the_one_in_use_first(clean: View) -> None:
    asked = {"StartTime": UNTIL - HOUR, "EndTime": UNTIL}
    first = clean.client("cloudtrail").list_public_keys(**asked)
    assert len(first["PublicKeyList"]) == 1
    second = clean.client("cloudtrail").list_public_keys(**asked, NextToken=first["NextToken"])
    assert len(second["PublicKeyList"]) == 1
    assert "NextToken" not in second
    used = {parsed(digest)["digestPublicKeyFingerprint"] for digest in clean.digests().values()}
    assert used == {first["PublicKeyList"][0]["Fingerprint"]}


def test_public_keys_are_those_valid_within_the_time_and_overlap(clean: View) -> None:
    every = clean.public_keys(StartTime=UNTIL - 40 * 24 * HOUR, EndTime=UNTIL)
    assert len(every) == 3
    expired = [key for key in every if key["ValidityEndTime"] < UNTIL]
    assert len(expired) == 1
    spans = sorted((key["ValidityStartTime"], key["ValidityEndTime"]) for key in every)
    assert all(following[0] < one[1] for one, following in pairwise(spans))
    assert len(clean.public_keys(StartTime=UNTIL, EndTime=UNTIL)) == 2
    assert clean.public_keys(StartTime=UNTIL - 999 * 24 * HOUR, EndTime=UNTIL - 998 * 24 * HOUR) == []


def test_without_a_time_the_public_keys_of_now_are_listed(view: View) -> None:
    view.sandbox.reset(delivery={"hours": 1, "digest_regions": [REGION, OTHER]})
    now = view.client("cloudtrail").list_public_keys()["PublicKeyList"]
    assert now[0]["ValidityStartTime"] < dt.datetime.now(dt.UTC) < now[0]["ValidityEndTime"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        pytest.param({"NextToken": "more"}, "InvalidTokenException", id="token"),
        pytest.param({"StartTime": UNTIL, "EndTime": UNTIL - HOUR}, "InvalidTimeRangeException", id="range"),
    ],
)
def test_public_keys_are_refused_for_a_bad_question(clean: View, asked: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError, match=code):
        clean.client("cloudtrail").list_public_keys(**asked)


# --- The role that must be refused


@pytest.fixture
def denied(view: View) -> Iterator[Any]:
    """Assumes the denied role, and gives its view."""
    views = []

    def assume() -> View:
        role = view.sandbox.parameters["expected"]["denied_role_arn"]
        given = view.client("sts").assume_role(RoleArn=role, RoleSessionName="trailkit")["Credentials"]
        credentials = {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
        views.append(View(view.sandbox, credentials))
        return views[-1]

    yield assume
    for one in views:
        one.close()


def _refusal(method: Any, **parameters: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        method(**parameters)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_the_denied_role_is_known_again_lists_and_is_refused_by_kms(clean: View, denied: Any) -> None:
    reader = denied()
    arn = "arn:aws:sts::123456789012:assumed-role/GxPDeniedReader/trailkit"
    assert reader.client("sts").get_caller_identity()["Arn"] == arn
    key = next(iter(reader.listed()))
    refusal = (
        f"User: {arn} is not authorized to perform: kms:Decrypt on resource: "
        f"{clean.sandbox.parameters['expected']['kms_key_arn']} because no identity-based policy allows the "
        "kms:Decrypt action"
    )
    assert _refusal(reader.get, key=key) == (403, "AccessDenied", refusal)
    assert _refusal(reader.client("s3").head_object, Bucket=BUCKET, Key=key)[0] == 403
    assert clean.get(key)["Body"]


def test_the_denied_role_reads_what_kms_does_not_guard(view: View, denied: Any) -> None:
    view.sandbox.reset(["log-sse-s3"], DELIVERY)
    (key,) = [key for key in view.logs() if view.get(key)["ServerSideEncryption"] == "AES256"]
    assert denied().get(key)["Body"]


def test_a_role_that_is_not_known_is_not_assumed(clean: View) -> None:
    arn = "arn:aws:iam::123456789012:role/Nobody"
    refused = _refusal(clean.client("sts").assume_role, RoleArn=arn, RoleSessionName="trailkit")
    assert refused[:2] == (403, "AccessDenied")


def test_the_denied_role_may_not_be_assumable(view: View, denied: Any) -> None:
    view.sandbox.reset(["denied-role-not-assumable"], DELIVERY)
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
        denied()


def test_the_denied_role_may_decrypt(view: View, denied: Any) -> None:
    view.sandbox.reset(["denied-role-may-decrypt"], DELIVERY)
    assert denied().get(next(iter(view.logs())))["Body"]


def test_the_denied_role_may_be_refused_by_s3_alone(view: View, denied: Any) -> None:
    view.sandbox.reset(["denied-role-refused-by-s3"], DELIVERY)
    key = next(iter(view.logs()))
    assert _refusal(denied().get, key=key) == (403, "AccessDenied", "Access Denied")
    assert view.get(key)["Body"]


def test_the_denied_role_may_not_list(view: View, denied: Any) -> None:
    view.sandbox.reset(["denied-role-may-not-list"], DELIVERY)
    s3 = denied().client("s3")
    for method in (s3.list_objects, s3.list_objects_v2, s3.list_object_versions):
        status, code, message = _refusal(method, Bucket=BUCKET)
        assert (status, code) == (403, "AccessDenied")
        assert "GxPDeniedReader" in message
    assert view.listed()


# --- Listing and reading as S3 does


@pytest.fixture
def small(view: View) -> Any:
    """A versioned bucket with keys, versions and a delete marker, put through the API."""
    view.sandbox.reset()
    s3 = view.client("s3")
    for key in ("a/1", "a/2", "b", "c/1", "d"):
        for body in (b"one", b"two"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    s3.delete_object(Bucket=BUCKET, Key="b")
    return s3


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("asked", "keys", "prefixes"),
    [
        pytest.param({}, ["a/1", "a/2", "c/1", "d"], [], id="all"),
        pytest.param({"Prefix": "a/"}, ["a/1", "a/2"], [], id="prefix"),
        pytest.param({"Delimiter": "/"}, ["d"], ["a/", "c/"], id="delimiter"),
        pytest.param({"Prefix": "a/", "Delimiter": "/"}, ["a/1", "a/2"], [], id="both"),
        pytest.param({"Prefix": "nothing"}, [], [], id="nothing"),
    ],
)
def test_objects_are_listed_page_by_page(
    small: Any, operation: str, size: int, asked: dict[str, str], keys: list[str], prefixes: list[str]
) -> None:
    pages = list(small.get_paginator(operation).paginate(Bucket=BUCKET, PaginationConfig={"PageSize": size}, **asked))
    assert [entry["Key"] for page in pages for entry in page.get("Contents", ())] == keys
    assert [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ())] == prefixes
    assert all(len(page.get("Contents", ())) + len(page.get("CommonPrefixes", ())) <= size for page in pages)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 1000])
def test_versions_are_listed_page_by_page_the_newest_first(small: Any, size: int) -> None:
    paginator = small.get_paginator("list_object_versions")
    pages = list(paginator.paginate(Bucket=BUCKET, PaginationConfig={"PageSize": size}))
    versions = [entry for page in pages for entry in page.get("Versions", ())]
    assert [entry["Key"] for entry in versions] == ["a/1", "a/1", "a/2", "a/2", "b", "b", "c/1", "c/1", "d", "d"]
    assert len({entry["VersionId"] for entry in versions}) == 10
    assert [entry["IsLatest"] for entry in versions] == [
        True,
        False,
        True,
        False,
        False,
        False,
        True,
        False,
        True,
        False,
    ]
    bodies = [small.get_object(Bucket=BUCKET, Key="d", VersionId=entry["VersionId"])["Body"] for entry in versions[-2:]]
    assert [body.read() for body in bodies] == [b"two", b"one"]
    (marker,) = [entry for page in pages for entry in page.get("DeleteMarkers", ())]
    assert (marker["Key"], marker["IsLatest"]) == ("b", True)


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_versions_are_rolled_up_at_a_delimiter(small: Any, size: int) -> None:
    paginator = small.get_paginator("list_object_versions")
    pages = list(paginator.paginate(Bucket=BUCKET, Delimiter="/", PaginationConfig={"PageSize": size}))
    assert [entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ())] == ["a/", "c/"]
    assert [entry["Key"] for page in pages for entry in page.get("Versions", ())] == ["b", "b", "d", "d"]


def test_a_key_marker_alone_leaves_out_every_version_of_that_key(small: Any) -> None:
    listed = small.list_object_versions(Bucket=BUCKET, KeyMarker="a/2")
    assert {entry["Key"] for entry in listed["Versions"]} == {"b", "c/1", "d"}


def test_listing_may_start_after_a_key_that_is_not_there(small: Any) -> None:
    listed = small.list_objects_v2(Bucket=BUCKET, StartAfter="a/11")
    assert [entry["Key"] for entry in listed["Contents"]] == ["a/2", "c/1", "d"]


def test_listing_may_start_among_keys_that_are_rolled_up(small: Any) -> None:
    listed = small.list_objects_v2(Bucket=BUCKET, StartAfter="a/1", Delimiter="/")
    assert [entry["Prefix"] for entry in listed["CommonPrefixes"]] == ["a/", "c/"]


def test_a_deleted_object_is_not_found_and_its_marker_can_not_be_read(small: Any) -> None:
    assert _refusal(small.get_object, Bucket=BUCKET, Key="b")[:2] == (404, "NoSuchKey")
    (marker,) = small.list_object_versions(Bucket=BUCKET, Prefix="b")["DeleteMarkers"]
    refused = _refusal(small.get_object, Bucket=BUCKET, Key="b", VersionId=marker["VersionId"])
    assert refused[:2] == (405, "MethodNotAllowed")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        pytest.param({"Key": "e"}, "NoSuchKey", id="key"),
        pytest.param({"Key": "d", "VersionId": "0"}, "NoSuchVersion", id="version"),
        pytest.param({"Key": "d", "Bucket": "nobody"}, "NoSuchBucket", id="bucket"),
    ],
)
def test_what_is_not_there_is_not_found(small: Any, asked: dict[str, str], code: str) -> None:
    assert _refusal(small.get_object, **({"Bucket": BUCKET} | asked))[:2] == (404, code)


def test_a_bucket_that_is_not_empty_is_not_deleted(small: Any) -> None:
    assert _refusal(small.delete_bucket, Bucket=BUCKET)[:2] == (409, "BucketNotEmpty")


def test_keys_are_unquoted_once_and_listed_as_they_are(view: View) -> None:
    view.sandbox.reset()
    s3 = view.client("s3")
    # moto can't be put a key with a line break; those that are delivered so are read in another test
    keys = ["a/../b", "a//b", "/a", "%41", "%2541", "a+b c", "\u202eback", "<&\"'>", "k" * 1024]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    assert sorted(view.listed("")) == sorted(keys)
    assert sorted(view.versions()) == sorted(keys)
    assert all(view.get(key)["Body"] == key.encode() for key in keys)


@pytest.mark.parametrize("name", ["versioning-off", "versioning-suspended", "object-lock-missing"])
def test_a_bucket_that_a_fault_makes_anew_still_holds_what_was_delivered(view: View, name: str) -> None:
    view.sandbox.reset(delivery=DELIVERY)
    before = set(view.listed())
    view.sandbox.reset([name], DELIVERY)
    assert set(view.listed()) == before


def test_a_bucket_with_deliveries_can_be_gone(view: View) -> None:
    view.sandbox.reset(["bucket-gone"], DELIVERY)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        view.listed()


# --- Faults of what was delivered


def judge(view: View, buckets: tuple[str, ...] = (BUCKET,)) -> Counter[str]:
    """Count what is wrong in the home Region, in plain words: what a thorough reader would find."""
    found: Counter[str] = Counter()
    keys, named, last = view.public_keys(), Counter[str](), {}
    for bucket, key, digest in _own_digests(view, buckets):
        found.update(_judge_digest(key, bucket, digest, keys))
        found["digest encryption"] += _key_of(digest) != _trail_key(view)
        try:
            told = parsed(digest)
            names = [(log["s3Bucket"], log["s3Object"], log["hashValue"]) for log in told["logFiles"]]
        except (ValueError, TypeError, OSError):
            continue
        chain = "_backfill" in key
        found["start"] += told["previousDigestS3Object"] is None
        if chain in last and told["previousDigestS3Object"]:
            found.update(_judge_link(told, last[chain]))
        last[chain] = (digest, told)
        for log in names:
            named[log[1]] += 1
            found.update(_judge_log(view, *log))
    found["named twice"] += len([key for key, times in named.items() if times > 1])
    for key, versions in [entry for bucket in buckets for entry in view.versions(bucket).items()]:
        there = "Size" in versions[0]
        found["unnamed"] += key.startswith(f"{LOGS}{REGION}/") and there and key not in named
        found["overwritten"] += len(versions) > 1 and there
        found["delete marker"] += not there
    return +found


def _own_digests(view: View, buckets: tuple[str, ...]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for bucket in reversed(buckets):
        for key, digest in view.digests(bucket=bucket).items():
            if "_gxp-trail_" in key:
                yield bucket, key, digest


def _key_of(answer: dict[str, Any]) -> str:
    return str(answer["SSEKMSKeyId"]) if answer["ServerSideEncryption"] == "aws:kms" else ""


def _trail_key(view: View) -> str:
    return str(view.sandbox.parameters["expected"]["kms_key_arn"])


def _judge_digest(key: str, bucket: str, digest: dict[str, Any], keys: list[dict[str, Any]]) -> list[str]:
    try:
        text = zlib.decompressobj(31).decompress(digest["Body"], 1 << 24)
        told = json.loads(text)
    except zlib.error:
        return ["no gzip"]
    except ValueError:
        return ["bomb"] if len(text) == 1 << 24 else ["no JSON"]
    wrong = []
    if (told["digestS3Bucket"], told["digestS3Object"]) != (bucket, key):
        wrong.append("moved")
    if not all(isinstance(log, dict) for log in told["logFiles"]):
        wrong.append("types")
    if digest["Metadata"]["signature-algorithm"] != "SHA256withRSA":
        wrong.append("algorithm")
    if "signature" not in digest["Metadata"]:
        return [*wrong, "no signature"]
    return wrong if verifies(digest, keys) else [*wrong, "signature"]


def _judge_link(told: dict[str, Any], last: tuple[dict[str, Any], dict[str, Any]]) -> list[str]:
    digest, before = last
    if told["previousDigestS3Object"] != before["digestS3Object"]:
        return ["previous missing"]
    if told["previousDigestHashValue"] != hashlib.sha256(gzip.decompress(digest["Body"])).hexdigest():
        return ["previous hash"]
    return []


def _judge_log(view: View, bucket: str, key: str, sha256: str) -> list[str]:
    try:
        log = view.get(key, bucket)
    except ClientError as error:
        return [error.response["Error"]["Code"]]
    wrong = []
    if _key_of(log) != _trail_key(view):
        wrong.append("log encryption")
    member = zlib.decompressobj(31)
    text = member.decompress(log["Body"], 1 << 22)
    if len(text) == 1 << 22:
        return [*wrong, "bomb"]
    try:
        whole = gzip.decompress(log["Body"])
    except gzip.BadGzipFile:
        return [*wrong, "rubbish"]
    return wrong if hashlib.sha256(whole).hexdigest() == sha256 else [*wrong, "hash"]


FOUND: dict[str, dict[str, int]] = {
    "log-sse-s3": {"log encryption": 1},
    "log-other-key": {"log encryption": 1},
    "digest-sse-s3": {"digest encryption": 4},
    "digest-other-key": {"digest encryption": 1},
    "digest-flipped": {"signature": 1, "overwritten": 1, "previous hash": 1, "hash": 1},
    "digest-signature-missing": {"no signature": 1, "overwritten": 1},
    "digest-signature-flipped": {"signature": 1, "overwritten": 1},
    "digest-foreign-signature": {"signature": 1, "overwritten": 1},
    "digest-algorithm-other": {"algorithm": 1, "overwritten": 1},
    "digest-moved": {"moved": 1, "overwritten": 1, "previous missing": 2, "named twice": 2, "unnamed": 2},
    "digest-not-gzip": {"no gzip": 1, "overwritten": 1, "previous missing": 1, "unnamed": 2},
    "digest-not-json": {"no JSON": 1, "overwritten": 1, "previous missing": 1, "unnamed": 2},
    "digest-bomb": {"bomb": 1, "overwritten": 1, "previous missing": 1, "unnamed": 2},
    "digest-wrong-types": {"types": 1, "previous missing": 1, "unnamed": 2},
    "digest-forged-link": {"previous hash": 1},
    "digest-deleted": {"delete marker": 1, "previous missing": 1, "unnamed": 2},
    "digests-head-deleted": {"start": -1, "delete marker": 4, "unnamed": 6},
    "digests-tail-deleted": {"delete marker": 3, "unnamed": 6},
    "digests-all-deleted": {"start": -1, "delete marker": 7, "unnamed": 12},
    "restart-in-window": {"start": 1, "unnamed": 2},
    "restart-before-window": {"start": 1, "unnamed": 2},
    "hours-backfilled": {"start": 2},
    "signing-key-rotated": {},
    "log-flipped": {"hash": 1, "overwritten": 1},
    "log-deleted": {"NoSuchKey": 1, "delete marker": 1},
    "log-planted": {"unnamed": 1},
    "log-swapped": {"hash": 2, "overwritten": 2},
    "log-trailing-rubbish": {"rubbish": 1, "overwritten": 1},
    "log-concatenated-members": {},
    "log-bomb": {"bomb": 1, "overwritten": 1},
    "log-named-twice": {"named twice": 1},
    "log-names-other-bucket": {"NoSuchBucket": 1},
    "log-replaced-and-restored": {"overwritten": 1},
    "hostile-keys": {"unnamed": 5},
    "second-trail-shares-bucket": {"unnamed": 12},
    "second-trail-shares-bucket-unvalidated": {"unnamed": 12},
    "bucket-renamed": {},
}
"""What each fault changes, and nothing else: beside the one start of a clean chain."""


@pytest.mark.parametrize("name", FOUND)
def test_a_fault_spoils_what_it_says_and_nothing_else(view: View, name: str) -> None:
    view.sandbox.reset([name], DELIVERY)
    found = judge(view, (BUCKET, OLD_BUCKET) if name == "bucket-renamed" else (BUCKET,))
    expected = Counter({"start": 1})
    expected.update(FOUND[name])
    assert found == +expected


def test_a_clean_delivery_has_nothing_wrong(clean: View) -> None:
    assert judge(clean) == {"start": 1}


def test_backfills_are_a_chain_apart_and_say_when_they_were_made(view: View) -> None:
    view.sandbox.reset(["hours-backfilled"], DELIVERY)
    digests = view.digests()
    late = [digest for key, digest in digests.items() if key.endswith("_backfill.json.gz")]
    assert [parsed(digest)["previousDigestS3Object"] is None for digest in late] == [True, False]
    for digest in late:
        assert time_of(digest["Metadata"]["backfill-generation-timestamp"]) == digest["LastModified"]
        assert digest["LastModified"] - time_of(parsed(digest)["digestEndTime"]) > 2 * HOUR
    told = [parsed(digest) for digest in digests.values()]
    assert [one["digestStartTime"] for one in told[1:]] == [one["digestEndTime"] for one in told[:-1]]


def test_a_rotated_key_signs_the_newer_half(view: View) -> None:
    view.sandbox.reset(["signing-key-rotated"], DELIVERY)
    used = [parsed(digest)["digestPublicKeyFingerprint"] for digest in view.digests().values()]
    keys = [key["Fingerprint"] for key in view.public_keys()]
    assert used == [keys[0]] * 4 + [keys[1]] * 3


def test_hostile_keys_can_be_read_as_they_are_listed(view: View) -> None:
    view.sandbox.reset(["hostile-keys"], DELIVERY)
    hostile = [key for key in view.listed() if not LOG_KEY.fullmatch(key) and not DIGEST_KEY.fullmatch(key)]
    assert {len(key) for key in hostile} >= {1024}
    for mark in ("..", "%41", "\n", "\u202e"):
        assert any(mark in key for key in hostile)
    assert all(gzip.decompress(view.get(key)["Body"]) for key in hostile)


def test_a_bomb_expands_to_two_gigabytes(view: View) -> None:
    view.sandbox.reset(["log-bomb"], DELIVERY)
    (key,) = [key for key, versions in view.versions().items() if len(versions) > 1]
    body = view.get(key)["Body"]
    member = zlib.decompressobj(31)
    assert len(member.decompress(body)) * (len(body) // (len(body) - len(member.unused_data))) == 2 << 30


def test_a_concatenated_log_has_two_members_of_the_same_text(view: View) -> None:
    view.sandbox.reset(delivery=DELIVERY)
    before = {key: view.get(key)["Body"] for key in view.logs()}
    view.sandbox.reset(["log-concatenated-members"], DELIVERY)
    (key,) = [key for key in before if view.get(key)["Body"] != before[key]]
    body = view.get(key)["Body"]
    first = zlib.decompressobj(31)
    first.decompress(body)
    assert first.unused_data.startswith(b"\x1f\x8b")
    assert gzip.decompress(body) == gzip.decompress(before[key])


@pytest.mark.parametrize(
    ("name", "digests"),
    [
        pytest.param("second-trail-shares-bucket", 7, id="validated"),
        pytest.param("second-trail-shares-bucket-unvalidated", 0, id="unvalidated"),
    ],
)
def test_a_second_trail_delivers_its_own_into_the_same_bucket(view: View, name: str, digests: int) -> None:
    view.sandbox.reset([name], DELIVERY)
    trails = view.client("cloudtrail").describe_trails()["trailList"]
    (second,) = [trail for trail in trails if trail["Name"] == "second-trail"]
    assert (second["S3BucketName"], second["LogFileValidationEnabled"]) == (BUCKET, bool(digests))
    own = {key: digest for key, digest in view.digests().items() if "_second-trail_" in key}
    assert len(own) == digests
    assert all(verifies(digest, view.public_keys()) for digest in own.values())
    named = {log["s3Object"] for digest in own.values() for log in parsed(digest)["logFiles"]}
    assert len(named & set(view.logs())) == (12 if digests else 0)
    status = view.status(trail=second["TrailARN"])
    assert ("LatestDigestDeliveryTime" in status) == bool(digests)
    assert status["LatestDeliveryTime"] <= UNTIL


def test_a_renamed_bucket_leaves_the_older_half_in_the_old_one(view: View) -> None:
    view.sandbox.reset(["bucket-renamed"], DELIVERY)
    moved, kept = view.digests(bucket=OLD_BUCKET), view.digests()
    assert (len(moved), len(kept)) == (5, 2)
    assert parsed(next(iter(kept.values())))["previousDigestS3Bucket"] == OLD_BUCKET
    assert max(entry["LastModified"] for entry in view.listed(f"{LOGS}{REGION}/", OLD_BUCKET).values()) < min(
        entry["LastModified"] for entry in view.logs().values()
    )


# --- Faults of reading it


@pytest.mark.parametrize(
    ("name", "member", "value"),
    [
        pytest.param("delivery-error", "LatestDeliveryError", "AccessDenied", id="logs"),
        pytest.param("digest-delivery-error", "LatestDigestDeliveryError", "AccessDenied", id="digests"),
        pytest.param("cloudwatch-delivery-error", "LatestCloudWatchLogsDeliveryError", None, id="cloudwatch"),
    ],
)
@pytest.mark.parametrize("delivery", [None, DELIVERY], ids=["nothing", "delivered"])
def test_the_status_tells_an_error(view: View, delivery: Any, name: str, member: str, value: str | None) -> None:
    view.sandbox.reset([name], delivery)
    status = view.status()
    assert [one for one in status if one.endswith("Error")] == [member]
    assert value in (None, status[member])


@pytest.mark.parametrize(
    ("name", "member"),
    [
        pytest.param("delivery-stale", "LatestDeliveryTime", id="logs"),
        pytest.param("digest-delivery-stale", "LatestDigestDeliveryTime", id="digests"),
    ],
)
def test_the_status_tells_an_old_time_and_no_error(view: View, name: str, member: str) -> None:
    view.sandbox.reset(delivery=DELIVERY)
    before = view.status()
    view.sandbox.reset([name], DELIVERY)
    status = view.status()
    changed = [one for one in before if one.startswith("Latest") and status.get(one) != before[one]]
    assert changed == [member]
    assert before[member] - status[member] == dt.timedelta(days=3)
    assert not [one for one in status if one.endswith("Error")]


def test_the_trail_with_a_cloudwatch_error_is_configured_for_it(view: View) -> None:
    view.sandbox.reset(["cloudwatch-delivery-error"], DELIVERY)
    (trail,) = view.client("cloudtrail").describe_trails()["trailList"]
    assert trail["CloudWatchLogsLogGroupArn"].startswith("arn:aws:logs:eu-west-1:123456789012:log-group:")


def test_an_unlisted_public_key_is_the_one_in_use(view: View) -> None:
    view.sandbox.reset(["public-key-unlisted"], DELIVERY)
    used = {parsed(digest)["digestPublicKeyFingerprint"] for digest in view.digests().values()}
    assert used.isdisjoint(key["Fingerprint"] for key in view.public_keys())


def test_a_garbage_public_key_has_the_right_fingerprint_and_is_none(view: View) -> None:
    view.sandbox.reset(["public-key-garbage"], DELIVERY)
    (used,) = {parsed(digest)["digestPublicKeyFingerprint"] for digest in view.digests().values()}
    (value,) = [key["Value"] for key in view.public_keys() if key["Fingerprint"] == used]
    with pytest.raises(ValueError, match=r".+"):
        load_der_public_key(value)


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        pytest.param("deny-list-public-keys", lambda view: view.public_keys(), id="keys"),
        pytest.param("deny-get-object", lambda view: view.get(next(iter(view.logs()))), id="objects"),
        pytest.param("deny-list-object-versions", lambda view: view.versions(), id="versions"),
    ],
)
def test_a_read_is_denied(view: View, name: str, ask: Any) -> None:
    view.sandbox.reset([name], DELIVERY)
    with pytest.raises(ClientError, match=r"AccessDenied.*no identity-based policy allows"):
        ask(view)


def test_one_log_is_throttled_for_ever_and_the_others_are_not(view: View) -> None:
    view.sandbox.reset(["throttle-one-log"], DELIVERY)
    refused = []
    for key in view.logs():
        try:
            view.get(key)
        except ClientError as error:
            refused.append((key, error.response["Error"]["Code"]))
    ((key, code),) = refused
    assert code == "SlowDown"
    assert _refusal(view.get, key=key)[:2] == (503, "SlowDown")


def test_the_connection_is_dropped_for_one_log(view: View) -> None:
    view.sandbox.reset(["drop-one-log"], DELIVERY)
    dropped = []
    for key in view.logs():
        try:
            view.get(key)
        except ConnectionClosedError:
            dropped.append(key)
    (key,) = dropped
    with pytest.raises(ConnectionClosedError):
        view.get(key)


def test_each_first_read_is_throttled_and_the_second_answers(view: View) -> None:
    view.sandbox.reset(["throttle-first-reads"], DELIVERY)
    for key in list(view.listed())[:5]:
        assert _refusal(view.get, key=key)[:2] == (503, "SlowDown")
        assert view.get(key)["Body"]


# --- The catalogue


SPOILING = [fault.name for fault in list_faults() if set(fault.changes) & set(EVERY_OQ) or fault.name in FOUND]


@pytest.mark.parametrize("name", FOUND)
def test_where_nothing_was_delivered_nothing_is_spoilt(view: View, name: str) -> None:
    view.sandbox.reset([name])
    assert view.versions() == {}


@pytest.mark.parametrize("hours", [4, 24])
def test_every_fault_works_with_any_delivery_of_four_hours_and_more(view: View, hours: int) -> None:
    for name in SPOILING:
        view.sandbox.reset([name], {"hours": hours, "digest_regions": [REGION, OTHER]})


def test_too_short_a_delivery_is_told(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="too little was delivered"):
        Sandbox(["log-flipped"], {"hours": 4, "logs_per_hour": 0, "digest_regions": [REGION]}).start()
