"""Archiving a record: locked in S3, read back, resumed after an interruption, and never put over anything."""

import os
import time
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from hashlib import sha256
from itertools import count

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from fixtures.between import DROP, Between

from kit.canonical import canonical
from kit.errors import ArchiveError, KitError, RecordError, RejectionError
from kit.evidence import timestamp
from kit.record import s3 as in_s3
from kit.record.object_lock import archive
from kit.record.s3 import LARGEST
from kit.sandbox.account import ACCESS_BUCKET, ACCOUNT_ID, ARCHIVE_BUCKET, REGION, SECOND_REGION
from kit.sandbox.calls import Answer, error, xml_answer
from kit.sandbox.server import CREDENTIALS, Sandbox

UNTIL = datetime(2099, 1, 31, 12, tzinfo=UTC)
FILES = {"manifest.json": b"{}", "record.pdf": b"%PDF-1.7", "evidence/E0001-kms-DescribeKey.json": b"[1]"}


@pytest.fixture(scope="module", autouse=True)
def sandbox():
    with Sandbox() as started, pytest.MonkeyPatch.context() as patch:
        for name, value in started.environment.items():
            patch.setenv(name, value)
        yield started


@pytest.fixture(scope="module")
def client(sandbox):
    session, made = boto3.Session(**CREDENTIALS), []

    def get(service, region=REGION):
        config = Config(retries={"total_max_attempts": 1}, proxies={})
        made.append(session.client(service, region, endpoint_url=sandbox.endpoint, config=config))
        return made[-1]

    yield get
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def s3(client):
    return client("s3")


@pytest.fixture
def record(tmp_path):
    return make_record(tmp_path / "IQ-1", FILES)


def make_record(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    lines = [f"{sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def place(tmp_path):
    """A place in the archive that no other test uses."""
    return f"s3://{ARCHIVE_BUCKET}/{tmp_path.name}"


@pytest.fixture
def put(sandbox, record, place):
    """Archive the record at its place; the options go to `archive`."""
    return partial(archive, record, place, UNTIL, endpoint_url=sandbox.endpoint)


def versions(s3, place):
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    return {(each["Key"], each["VersionId"]) for page in pages for each in page.get("Versions", [])}


def keys(s3, place):
    return sorted(key for key, _ in versions(s3, place))


# --- Something between us and S3


@pytest.fixture
def between(sandbox):
    made = Between(sandbox.endpoint)
    yield made
    made.close()


@pytest.fixture
def put_through(between, put):
    """Archive the record at its place, through what is between."""
    return partial(put, endpoint_url=between.endpoint)


# --- What is archived


def test_every_file_is_locked_under_its_checksum_and_the_bucket_s_key(sandbox, s3, put, record, place, tmp_path):
    put()
    key_arn = sandbox.parameters["expected"]["kms_key_arn"]
    files = [*FILES, "SHA256SUMS"]
    assert keys(s3, place) == sorted(f"{tmp_path.name}/IQ-1/{name}" for name in files)
    for name in files:
        named = {"Bucket": ARCHIVE_BUCKET, "Key": f"{tmp_path.name}/IQ-1/{name}"}
        head = s3.head_object(**named, ChecksumMode="ENABLED")
        content = (record / name).read_bytes()
        assert s3.get_object(**named)["Body"].read() == content
        assert head["ChecksumSHA256"] == b64encode(sha256(content).digest()).decode()
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key_arn)
        assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("COMPLIANCE", UNTIL)


def test_the_receipt_holds_what_s3_reported(sandbox, s3, put, record, place, tmp_path):
    done = datetime(2030, 1, 1, 12, 0, 0, 1500, tzinfo=UTC)
    receipt = put(now=lambda: done).to_json()
    listed = receipt.pop("files")
    assert receipt == {
        "destination": f"{place}/IQ-1/",
        "endpoint": sandbox.endpoint,
        "bucket": ARCHIVE_BUCKET,
        "region": REGION,
        "account": ACCOUNT_ID,
        "mode": "COMPLIANCE",
        "retain_until": "2099-01-31T12:00:00.000Z",
        "kms_key": sandbox.parameters["expected"]["kms_key_arn"],
        "archived_at": "2030-01-01T12:00:00.001Z",
    }
    assert [file["key"] for file in listed] == keys(s3, place)
    assert {(file["key"], file["version_id"]) for file in listed} == versions(s3, place)
    for file in listed:
        head = s3.head_object(Bucket=ARCHIVE_BUCKET, Key=file["key"], VersionId=file["version_id"])
        content = record.joinpath(file["key"].removeprefix(f"{tmp_path.name}/IQ-1/")).read_bytes()
        assert file["etag"] == head["ETag"].strip('"')
        assert (file["bytes"], file["sha256"]) == (len(content), sha256(content).hexdigest())
    assert canonical(put().to_json())


@pytest.mark.parametrize(
    ("ending", "prefix"),
    [
        pytest.param("", "", id="bucket"),
        pytest.param("/", "", id="bucket-slash"),
        pytest.param("/one/two", "one/two/", id="prefix"),
        pytest.param("/one/two/", "one/two/", id="prefix-slash"),
        pytest.param("/a b+ü%2F#?&=~'", "a b+ü%2F#?&=~'/", id="literal"),
    ],
)
def test_a_prefix_may_end_in_a_slash_and_is_taken_literally(sandbox, tmp_path, ending, prefix):
    folder = make_record(tmp_path / tmp_path.name, {"a": b"a"})
    receipt = archive(folder, f"s3://{ARCHIVE_BUCKET}{ending}", UNTIL, endpoint_url=sandbox.endpoint)
    assert receipt.files[1].key == f"{prefix}{tmp_path.name}/a"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a b  c", id="spaces"),
        pytest.param("Prüfung.json", id="umlaut"),
        pytest.param("Pru\u0308fung.json", id="combining"),
        pytest.param("a+b", id="plus"),
        pytest.param("100%", id="percent"),
        pytest.param("a%2Fb%20c%zz", id="escapes"),
        pytest.param("a#b", id="hash"),
        pytest.param("a?versionId=null&x=y", id="query"),
        pytest.param("<&>\"'", id="markup"),
        pytest.param("日本語 🔑", id="beyond-latin"),
        pytest.param("evidence/...json", id="dots"),
    ],
)
def test_any_printable_name_is_kept(sandbox, s3, tmp_path, place, name):
    folder = make_record(tmp_path / "IQ-1", {name: b"content"})
    for _ in range(2):  # the second time it has to be found by the listing
        archive(folder, place, UNTIL, endpoint_url=sandbox.endpoint)
        assert keys(s3, place) == sorted([f"{tmp_path.name}/IQ-1/{name}", f"{tmp_path.name}/IQ-1/SHA256SUMS"])
    found = s3.get_object(Bucket=ARCHIVE_BUCKET, Key=f"{tmp_path.name}/IQ-1/{name}")
    assert found["Body"].read() == b"content"


def test_what_came_after_sealing_is_archived_too(s3, put, record, place):
    (record / "record.signed.pdf").write_bytes(b"%PDF-1.7 signed")
    (record / "addenda").mkdir()
    (record / "addenda" / "1.json").write_bytes(b"{}")
    put()
    assert {key.rpartition("IQ-1/")[2] for key in keys(s3, place)} >= {"record.signed.pdf", "addenda/1.json"}


def test_an_empty_file_is_archived(sandbox, tmp_path, place):
    folder = make_record(tmp_path / "IQ-1", {"empty": b""})
    receipt = archive(folder, place, UNTIL, endpoint_url=sandbox.endpoint)
    assert [file.bytes for file in receipt.files] == [(folder / "SHA256SUMS").stat().st_size, 0]


def test_the_sums_go_last(between, tmp_path, place):
    files = {f"{number:03}": bytes([number]) for number in range(100)}
    folder = make_record(tmp_path / "IQ-1", files | {"zz": b""})
    archive(folder, place, UNTIL, endpoint_url=between.endpoint)
    sent = [call.key for call in between.asked if call.operation == "PutObject"]
    read = [call.key for call in between.asked if call.operation == "GetObjectRetention"]
    assert len(sent) == 102
    assert sent[-1].endswith("/SHA256SUMS")
    last = between.asked.index(next(call for call in between.asked if call.key == sent[-1]))
    assert len({call.key for call in between.asked[:last] if call.operation == "GetObjectRetention"}) == 101
    assert len(read) == 102


def test_the_record_may_be_named_through_a_link_to_its_folder(put, record, tmp_path, place, sandbox):
    (tmp_path / "latest").symlink_to(record)
    receipt = archive(tmp_path / "latest", place, UNTIL, endpoint_url=sandbox.endpoint)
    assert receipt.destination == f"{place}/IQ-1/"


def test_a_bucket_is_asked_in_its_own_region(between, client, record):
    s3, bucket = client("s3", SECOND_REGION), "records-elsewhere"
    key = client("kms", SECOND_REGION).create_key()["KeyMetadata"]["Arn"]
    place = {"LocationConstraint": SECOND_REGION}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=True)
    receipt = archive(record, f"s3://{bucket}", UNTIL, kms_key=key, endpoint_url=between.endpoint)
    assert (receipt.region, receipt.kms_key) == (SECOND_REGION, key)
    assert {call.region for call in between.asked if call.operation != "HeadBucket"} == {SECOND_REGION}


def test_a_key_may_be_named_by_id_and_is_told_by_arn(client, put):
    key = client("kms").create_key()["KeyMetadata"]
    assert put(kms_key=key["KeyId"]).kms_key == key["Arn"]


def test_a_date_is_rounded_up_to_the_second_in_utc(sandbox, record, place):
    until = datetime(2099, 1, 1, 1, 0, 0, 1, tzinfo=timezone(timedelta(hours=1)))
    receipt = archive(record, place, until, endpoint_url=sandbox.endpoint)
    assert receipt.retain_until == "2099-01-01T00:00:01.000Z"


def test_progress_is_told_of_every_file(put):
    told = []
    put(progress=lambda *said: told.append(said))
    assert told == [("Archiving", number, 4) for number in (1, 2, 3, 4)]


def test_a_caller_that_sts_does_not_tell_is_left_out(between, put_through):
    between.refuse("GetCallerIdentity")
    assert put_through().account == ""


# --- What is refused before anything is asked


@pytest.mark.parametrize(
    "destination",
    [
        pytest.param("", id="empty"),
        pytest.param("s3://", id="no-bucket"),
        pytest.param("gxp-records-archive/prefix", id="no-scheme"),
        pytest.param("S3://gxp-records-archive", id="other-case"),
        pytest.param("https://gxp-records-archive.s3.amazonaws.com/x", id="https"),
        pytest.param("s3:///prefix", id="bucket-empty"),
        pytest.param("s3://Upper/x", id="bucket-upper-case"),
        pytest.param("s3://a..b/x", id="bucket-dots"),
        pytest.param("s3://192.168.0.1/x", id="bucket-address"),
        pytest.param("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/x", id="access-point"),
        pytest.param("s3://bucket//x", id="double-slash"),
        pytest.param("s3://bucket/x//", id="double-slash-at-end"),
        pytest.param("s3://bucket/x/../y", id="dot-dot"),
        pytest.param("s3://bucket/./y", id="dot"),
        pytest.param("s3://bucket/a\\b", id="backslash"),
        pytest.param("s3://bucket/a\nb", id="line-break"),
        pytest.param(" s3://bucket/a", id="space-before"),
    ],
)
def test_no_place_in_s3(record, destination):
    with pytest.raises(ArchiveError, match="is no place in S3"):
        archive(record, destination, UNTIL)


@pytest.mark.parametrize(
    ("until", "message"),
    [
        pytest.param(datetime(2099, 1, 1), "has no UTC offset", id="naive"),  # noqa: DTZ001
        pytest.param(datetime(2020, 1, 1, tzinfo=UTC), "has passed: 2020-01-01T00:00:00.000Z", id="past"),
        pytest.param(datetime(2030, 1, 1, tzinfo=UTC), "has passed", id="now"),
    ],
)
def test_no_date_to_retain_until(record, place, until, message):
    with pytest.raises(ArchiveError, match=message):
        archive(record, place, until, now=lambda: datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"kms_key": "alias/archive"}, "neither id nor ARN", id="alias"),
        pytest.param({"kms_key": f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:alias/a"}, "neither id nor ARN", id="alias-arn"),
        pytest.param({"kms_key": "key"}, "neither id nor ARN", id="no-key"),
        pytest.param({"endpoint_url": "http://s3.example.com"}, "is no endpoint", id="plain-http"),
        pytest.param({"endpoint_url": "s3.example.com"}, "is no endpoint", id="no-address"),
    ],
)
def test_no_usable_choice(record, place, options, message):
    with pytest.raises(ArchiveError, match=message):
        archive(record, place, UNTIL, **options)


def file_link(record):
    (record / "more").symlink_to(record / "record.pdf")


def folder_link(record):
    (record / "more").symlink_to(record / "evidence")


def no_sums(record):
    (record / "SHA256SUMS").unlink()


def huge(record):
    with (record / "huge").open("wb") as stream:
        stream.truncate(LARGEST + 1)


def long_name(record):
    folder = record.joinpath(*["ü" * 120] * 5)
    folder.mkdir(parents=True)
    (folder / "a").touch()


def control_character(record):
    (record / "a\tb").touch()


def no_text(record):
    (record / os.fsdecode(b"a\xff")).touch()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(file_link, "more is a link", id="file-link"),
        pytest.param(folder_link, "more is a link", id="folder-link"),
        pytest.param(no_sums, "has no SHA256SUMS", id="no-sums"),
        pytest.param(huge, "huge is larger than 5 GiB", id="huge"),
        pytest.param(long_name, "can't be the name of an object", id="long-name"),
        pytest.param(control_character, "can't be the name of an object", id="control-character"),
        pytest.param(no_text, "can't be the name of an object", id="no-text"),
    ],
)
def test_a_folder_that_cannot_be_archived_is_refused_before_anything_is_asked(
    record, between, put_through, spoil, message
):
    spoil(record)
    with pytest.raises(RecordError, match=message):
        put_through()
    assert between.asked == []


def test_a_record_that_is_not_there(tmp_path, place):
    with pytest.raises(RecordError, match="is no folder"):
        archive(tmp_path / "none", place, UNTIL)


@pytest.mark.parametrize("change", ["changed", "missing"])
def test_a_file_that_is_not_as_the_sums_say_keeps_the_record_out(record, between, put_through, change):
    (record / "record.pdf").unlink() if change == "missing" else (record / "record.pdf").write_bytes(b"other")
    with pytest.raises(RejectionError, match=r"record\.pdf is missing or was changed"):
        put_through()
    assert "PutObject" not in between.operations()


def test_sums_that_are_no_text_keep_the_record_out(record, put):
    (record / "SHA256SUMS").write_bytes(b"\xff\xfe")
    with pytest.raises(RejectionError, match="not that of SHA256SUMS"):
        put()


# --- What is refused of the bucket


def lock_configuration(call):
    return xml_answer("<ObjectLockConfiguration><Rule/></ObjectLockConfiguration>")


def versioning(inner):
    return lambda _: xml_answer(f"<VersioningConfiguration>{inner}</VersioningConfiguration>")


def encryption(inner):
    rule = f"<Rule><ApplyServerSideEncryptionByDefault>{inner}</ApplyServerSideEncryptionByDefault></Rule>"
    return lambda _: xml_answer(f"<ServerSideEncryptionConfiguration>{rule}</ServerSideEncryptionConfiguration>")


KMS = "<SSEAlgorithm>aws:kms</SSEAlgorithm>"


@pytest.mark.parametrize(
    ("operation", "answer", "message"),
    [
        pytest.param("GetObjectLockConfiguration", lock_configuration, "has no Object Lock", id="no-lock"),
        pytest.param("GetBucketVersioning", versioning(""), "not enabled: never enabled", id="never-versioned"),
        pytest.param("GetBucketVersioning", versioning("<Status>Suspended</Status>"), "Suspended", id="suspended"),
        pytest.param("GetBucketEncryption", encryption("<SSEAlgorithm>AES256</SSEAlgorithm>"), "no customer", id="s3"),
        pytest.param("GetBucketEncryption", encryption(KMS), "no customer managed", id="aws-managed-key"),
        pytest.param(
            "GetBucketEncryption",
            encryption(f"{KMS}<KMSMasterKeyID>alias/archive</KMSMasterKeyID>"),
            "by id or ARN",
            id="alias",
        ),
        pytest.param("HeadBucket", lambda _: Answer(200, {}, b""), "in which Region", id="no-region"),
    ],
)
def test_a_bucket_that_cannot_hold_a_record_is_refused(between, put_through, operation, answer, message):
    between.refuse(operation, answer)
    with pytest.raises(ArchiveError, match=message) as caught:
        put_through()
    assert "PutObject" not in between.operations()
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("bucket", "message", "remedy"),
    [
        pytest.param(
            "gxp-nowhere", "HeadBucket was refused for s3://gxp-nowhere: 404", "make the bucket", id="missing"
        ),
        pytest.param(ACCESS_BUCKET, "ObjectLockConfigurationNotFoundError", "enable Object Lock", id="without-lock"),
    ],
)
def test_a_bucket_that_is_missing_or_has_no_lock_is_refused(put, record, sandbox, bucket, message, remedy):
    with pytest.raises(ArchiveError, match=message) as caught:
        archive(record, f"s3://{bucket}/records", UNTIL, endpoint_url=sandbox.endpoint)
    assert caught.value.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("operation", "puts"),
    [
        pytest.param("HeadBucket", 0, id="HeadBucket"),
        pytest.param("GetObjectLockConfiguration", 0, id="GetObjectLockConfiguration"),
        pytest.param("GetBucketVersioning", 0, id="GetBucketVersioning"),
        pytest.param("GetBucketEncryption", 0, id="GetBucketEncryption"),
        pytest.param("ListObjectVersions", 0, id="ListObjectVersions"),
        pytest.param("PutObject", 3, id="PutObject"),
        pytest.param("HeadObject", 3, id="HeadObject"),
        pytest.param("GetObjectRetention", 3, id="GetObjectRetention"),
    ],
)
def test_a_denied_call_is_named_with_its_code_and_nothing_else(between, put_through, operation, puts):
    between.refuse(operation)
    with pytest.raises(ArchiveError, match=rf"^{operation} was refused for s3://\S+: (AccessDenied|403)\n") as caught:
        put_through()
    assert "not authorized" not in str(caught.value)
    assert "let this identity do it" in caught.value.remedy
    assert between.operations().count("PutObject") <= puts
    assert not any(call.key.endswith("SHA256SUMS") for call in between.asked if call.operation == "PutObject")


def test_what_was_denied_can_be_done_once_it_is_allowed(between, put_through, put):
    between.refuse("GetObjectRetention")
    with pytest.raises(ArchiveError, match="AccessDenied"):
        put_through()
    assert len(put().files) == 4


def test_a_disabled_key_is_named_by_the_code_of_kms(client, put):
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key)
    with pytest.raises(ArchiveError, match=r"PutObject was refused .*: KMS\.DisabledException") as caught:
        put(kms_key=key)
    assert "the key is enabled" in caught.value.remedy


def test_an_unknown_key_is_named_by_the_code_of_kms(put):
    with pytest.raises(ArchiveError, match=r"KMS\.NotFoundException"):
        put(kms_key="00000000-0000-0000-0000-000000000000")


def test_no_answer_is_named_by_its_kind(record, place, monkeypatch):
    monkeypatch.setattr(in_s3, "ATTEMPTS", 1)
    with pytest.raises(ArchiveError, match=r"^HeadBucket got no answer for s3://\S+: EndpointConnectionError\n"):
        archive(record, place, UNTIL, endpoint_url="http://127.0.0.1:9")


def test_no_credentials_are_named_by_their_kind(put, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ArchiveError, match=r"HeadBucket got no answer .*: NoCredentialsError"):
        put()


def test_an_unknown_profile_is_named_by_its_kind(put):
    with pytest.raises(ArchiveError, match=r"signing in got no answer .*: ProfileNotFound"):
        put(profile="nobody")


def test_throttling_is_waited_out(between, put_through):
    once = count()

    def throttle(call):
        is_first = call.operation == "PutObject" and next(once) == 0
        return error(call, 503, "SlowDown", "Please reduce your request rate.") if is_first else None

    between.instead = throttle
    assert len(put_through().files) == 4


# --- A second run


def test_a_second_run_finds_everything_done(s3, put, put_through, between, place):
    first, before = put(), versions(s3, place)
    second = put_through()
    assert "PutObject" not in between.operations()
    assert versions(s3, place) == before
    assert second.files == first.files


def test_what_is_locked_for_longer_is_locked_long_enough(put, record, place, sandbox):
    first = put()
    second = archive(record, place, UNTIL - timedelta(days=1), endpoint_url=sandbox.endpoint)
    assert second.files == first.files
    assert second.retain_until == timestamp(UNTIL - timedelta(days=1))


def test_what_is_not_locked_long_enough_is_named(put, record, place, between):
    put()
    message = (
        "IQ-1/.* was there already, and S3 reports ObjectLockRetainUntilDate 2099-01-31T12:00:00.000Z, where 2099-02"
    )
    with pytest.raises(ArchiveError, match=message):
        archive(record, place, UNTIL + timedelta(days=1), endpoint_url=between.endpoint)
    assert "PutObject" not in between.operations()


def other_content(s3, named):
    s3.put_object(**named, Body=b"other", ChecksumAlgorithm="SHA256")


def other_checksum(s3, named):
    s3.put_object(**named, Body=FILES["record.pdf"], ChecksumAlgorithm="SHA1")


def not_locked(s3, named):
    checksum = b64encode(sha256(FILES["record.pdf"]).digest()).decode()
    s3.put_object(**named, Body=FILES["record.pdf"], ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum)


def deleted(s3, named):
    not_locked(s3, named)
    s3.delete_object(**named)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        pytest.param(other_content, "was there already, and S3 reports ChecksumSHA256", id="other-content"),
        pytest.param(other_checksum, "was there already, and S3 reports ChecksumSHA256 nothing", id="other-checksum"),
        pytest.param(not_locked, "was there already, and S3 reports ObjectLockMode nothing", id="not-locked"),
        pytest.param(deleted, "was deleted: a delete marker hides", id="deleted"),
    ],
)
def test_something_else_that_lies_there_is_named_and_left_alone(
    s3, between, put_through, tmp_path, place, prepare, message
):
    named = {"Bucket": ARCHIVE_BUCKET, "Key": f"{tmp_path.name}/IQ-1/record.pdf"}
    prepare(s3, named)
    before = versions(s3, place)
    with pytest.raises(ArchiveError, match=rf"s3://{ARCHIVE_BUCKET}/{named['Key']} {message}"):
        put_through()
    assert "PutObject" not in between.operations()
    assert versions(s3, place) == before


def test_another_key_than_the_one_asked_for_is_named(client, put):
    first = put()
    key = client("kms").create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(ArchiveError, match=f"S3 reports SSEKMSKeyId {first.kms_key}, where {key} was asked for"):
        put(kms_key=key)


class Interrupted(BaseException):
    """Whatever ends a run."""


def test_an_interrupted_run_lacks_its_sums_and_goes_on_where_it_stopped(s3, sandbox, tmp_path, place):
    folder = make_record(tmp_path / "IQ-1", {f"{number:03}": bytes([number]) for number in range(60)})

    def interrupt(_, done, total):
        if done == 10:
            raise Interrupted

    with pytest.raises(Interrupted):
        archive(folder, place, UNTIL, endpoint_url=sandbox.endpoint, progress=interrupt)
    before = versions(s3, place)
    assert 10 <= len(before) < 60
    assert not any(key.endswith("SHA256SUMS") for key, _ in before)
    receipt = archive(folder, place, UNTIL, endpoint_url=sandbox.endpoint)
    assert len(receipt.files) == len(versions(s3, place)) == 61
    assert before < versions(s3, place)


def test_a_file_that_is_being_sent_stops_at_once(between, s3, tmp_path, place):
    folder = make_record(tmp_path / "IQ-1", {"large": bytes(64 << 20), "small": b"small"})
    between.slowly = 0.01

    def interrupt(*_):
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        archive(folder, place, UNTIL, endpoint_url=between.endpoint, progress=interrupt)
    assert time.monotonic() - started < 5  # sending it whole takes ten seconds
    assert keys(s3, place) == [f"{tmp_path.name}/IQ-1/small"]


# --- What changes meanwhile


def test_a_file_that_changes_before_it_is_sent_is_refused_by_s3(record, put, s3, place):
    def change(_, done, total):
        if done == total - 1:
            (record / "SHA256SUMS").write_text("changed")

    with pytest.raises(ArchiveError, match=r"PutObject was refused for .*SHA256SUMS: BadDigest") as caught:
        put(progress=change)
    assert "changed while it was read" in caught.value.remedy
    assert not any(key.endswith("SHA256SUMS") for key in keys(s3, place))


def test_a_file_that_goes_before_it_is_sent_is_named(record, put):
    def remove(_, done, total):
        if done == total - 1:
            (record / "SHA256SUMS").unlink()

    with pytest.raises(RecordError, match="SHA256SUMS can't be read: No such file"):
        put(progress=remove)


def test_a_file_that_changes_once_it_is_sent_does_not_change_the_receipt(record, put_through, between):
    def change(call):
        if call.operation == "HeadObject" and call.key.endswith("record.pdf"):
            (record / "record.pdf").write_bytes(b"changed")

    between.instead = change
    told = {file.key.rpartition("/")[2]: file.sha256 for file in put_through().files}
    assert told["record.pdf"] == sha256(FILES["record.pdf"]).hexdigest()


def test_another_version_put_over_it_is_not_the_one_that_is_read_back(s3, put_through, between):
    def put_over(call, answer):
        if call.operation == "PutObject" and call.key.endswith("record.pdf"):
            s3.put_object(Bucket=call.bucket, Key=call.key, Body=b"other", ChecksumAlgorithm="SHA256")

    between.after = put_over
    receipt = put_through()
    (pdf,) = (file for file in receipt.files if file.key.endswith("record.pdf"))
    body = s3.get_object(Bucket=ARCHIVE_BUCKET, Key=pdf.key, VersionId=pdf.version_id)["Body"].read()
    assert body == FILES["record.pdf"]


def test_nothing_is_put_over_what_came_meanwhile(s3, put_through, between, place):
    def put_first(call):
        if call.operation == "PutObject" and call.key.endswith("record.pdf"):
            s3.put_object(Bucket=call.bucket, Key=call.key, Body=b"other", ChecksumAlgorithm="SHA256")

    between.instead = put_first
    with pytest.raises(ArchiveError, match=r"record\.pdf was there already, and S3 reports ChecksumSHA256"):
        put_through()
    assert len([key for key in keys(s3, place) if key.endswith("record.pdf")]) == 1


def test_an_answer_that_is_lost_is_no_second_version(s3, put_through, between, place):
    once = count()

    def lose(call, _):
        return DROP if call.operation == "PutObject" and next(once) == 0 else None

    between.after = lose
    receipt = put_through()
    assert between.operations().count("PutObject") == 5
    assert {(file.key, file.version_id) for file in receipt.files} == versions(s3, place)


# --- What is read back


def headers(**changes):
    """Change headers of an answer, or leave them out; `_` stands for `-`."""

    def change(answer):
        named = {name.replace("_", "-").lower(): told for name, told in changes.items()}
        kept = {name: told for name, told in answer.headers.items() if name.lower() not in named}
        return replace(answer, headers=kept | {name: told for name, told in named.items() if told is not None})

    return change


def retention(inner):
    return lambda _: xml_answer(f"<Retention>{inner}</Retention>")


OTHER_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/00000000-0000-0000-0000-000000000000"
EARLIER = "2098-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("operation", "change", "message"),
    [
        pytest.param("PutObject", headers(x_amz_version_id=None), "VersionId nothing", id="put-no-version"),
        pytest.param("HeadObject", headers(x_amz_version_id=None), "VersionId nothing", id="no-version"),
        pytest.param("HeadObject", headers(x_amz_version_id="x"), "VersionId x", id="version"),
        pytest.param("HeadObject", headers(x_amz_checksum_sha256=None), "ChecksumSHA256 nothing", id="no-checksum"),
        pytest.param("HeadObject", headers(x_amz_checksum_sha256="AAAA"), "ChecksumSHA256 AAAA", id="checksum"),
        pytest.param("HeadObject", headers(content_length="1"), "ContentLength 1", id="size"),
        pytest.param(
            "HeadObject", headers(x_amz_server_side_encryption=None), "ServerSideEncryption nothing", id="no-encryption"
        ),
        pytest.param(
            "HeadObject", headers(x_amz_server_side_encryption="AES256"), "ServerSideEncryption AES256", id="encryption"
        ),
        pytest.param(
            "HeadObject", headers(x_amz_server_side_encryption_aws_kms_key_id=None), "SSEKMSKeyId nothing", id="no-key"
        ),
        pytest.param(
            "HeadObject", headers(x_amz_server_side_encryption_aws_kms_key_id=OTHER_KEY), "SSEKMSKeyId arn", id="key"
        ),
        pytest.param("HeadObject", headers(x_amz_object_lock_mode=None), "ObjectLockMode nothing", id="no-mode"),
        pytest.param(
            "HeadObject", headers(x_amz_object_lock_mode="GOVERNANCE"), "ObjectLockMode GOVERNANCE", id="mode"
        ),
        pytest.param(
            "HeadObject",
            headers(x_amz_object_lock_retain_until_date=None),
            "ObjectLockRetainUntilDate nothing",
            id="no-date",
        ),
        pytest.param(
            "HeadObject",
            headers(x_amz_object_lock_retain_until_date=EARLIER),
            "ObjectLockRetainUntilDate 2098-01-01T00:00:00.000Z",
            id="date",
        ),
        pytest.param(
            "HeadObject",
            headers(x_amz_object_lock_retain_until_date="2100-01-01T00:00:00Z"),
            "ObjectLockRetainUntilDate 2100-01-01T00:00:00.000Z",
            id="date-later",
        ),
        pytest.param("HeadObject", headers(etag=None), "ETag nothing", id="no-etag"),
        pytest.param("GetObjectRetention", retention(""), "Mode nothing", id="no-retention"),
        pytest.param(
            "GetObjectRetention", retention("<Mode>GOVERNANCE</Mode>"), "Mode GOVERNANCE", id="retention-mode"
        ),
        pytest.param(
            "GetObjectRetention",
            retention("<Mode>COMPLIANCE</Mode>"),
            "RetainUntilDate nothing",
            id="retention-no-date",
        ),
        pytest.param(
            "GetObjectRetention",
            retention(f"<Mode>COMPLIANCE</Mode><RetainUntilDate>{EARLIER}</RetainUntilDate>"),
            "RetainUntilDate 2098-01-01T00:00:00.000Z",
            id="retention-date",
        ),
    ],
)
def test_a_value_that_is_not_the_one_asked_for_is_named(between, put_through, operation, change, message):
    between.mend(operation, change)
    with pytest.raises(ArchiveError, match=rf"s3://\S+/IQ-1/\S+: S3 reports {message}"):
        put_through()


def test_an_error_never_holds_credentials_or_the_text_of_the_service(between, put_through):
    between.refuse(
        "PutObject", lambda call: error(call, 400, "InvalidArgument", f"secret {os.environ['AWS_CONFIG_FILE']}")
    )
    with pytest.raises(KitError) as caught:
        put_through()
    assert "secret" not in str(caught.value)


# --- The sandbox, as far as it is S3 here


def test_the_archive_bucket_is_empty_locked_versioned_and_encrypted(sandbox, s3):
    sandbox.reset()
    named = {"Bucket": ARCHIVE_BUCKET}
    assert s3.get_object_lock_configuration(**named)["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
    assert s3.get_bucket_versioning(**named)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(**named)["ServerSideEncryptionConfiguration"]["Rules"]
    default = rule["ApplyServerSideEncryptionByDefault"]
    assert default == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": sandbox.parameters["expected"]["kms_key_arn"]}
    assert all(s3.get_public_access_block(**named)["PublicAccessBlockConfiguration"].values())
    assert "Versions" not in s3.list_object_versions(**named)


def code(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


REFUSED = ("AccessDenied", 403)


@pytest.fixture
def locked(put):
    """One archived version, as S3 names it."""
    file = put().files[0]
    return {"Bucket": ARCHIVE_BUCKET, "Key": file.key, "VersionId": file.version_id}


def test_a_locked_version_cannot_be_deleted_but_hidden(s3, locked):
    assert code(s3.delete_object, **locked) == REFUSED
    assert code(s3.delete_object, **locked, BypassGovernanceRetention=True) == REFUSED
    several = {"Objects": [{"Key": locked["Key"], "VersionId": locked["VersionId"]}]}
    (refused,) = s3.delete_objects(Bucket=ARCHIVE_BUCKET, Delete=several)["Errors"]
    assert refused["Code"] == "AccessDenied"
    s3.delete_object(Bucket=ARCHIVE_BUCKET, Key=locked["Key"])
    assert s3.head_object(**locked)["ContentLength"]


@pytest.mark.parametrize(
    ("mode", "until"),
    [
        pytest.param("COMPLIANCE", UNTIL - timedelta(seconds=1), id="shorter"),
        pytest.param("GOVERNANCE", UNTIL, id="looser"),
        pytest.param("GOVERNANCE", UNTIL + timedelta(days=1), id="looser-and-longer"),
    ],
)
@pytest.mark.parametrize("bypass", [False, True], ids=["", "bypassing"])
def test_a_retention_cannot_be_shortened_or_loosened(s3, locked, mode, until, bypass):
    asked = {"Mode": mode, "RetainUntilDate": until}
    assert code(s3.put_object_retention, **locked, Retention=asked, BypassGovernanceRetention=bypass) == REFUSED
    assert s3.get_object_retention(**locked)["Retention"] == {"Mode": "COMPLIANCE", "RetainUntilDate": UNTIL}


def test_a_retention_cannot_be_taken_away(s3, locked):
    assert code(s3.put_object_retention, **locked, Retention={}) == REFUSED


def test_a_retention_can_be_made_longer(s3, locked):
    longer = {"Mode": "COMPLIANCE", "RetainUntilDate": UNTIL + timedelta(days=1)}
    s3.put_object_retention(**locked, Retention=longer)
    assert s3.get_object_retention(**locked)["Retention"] == longer


def test_a_retention_that_is_over_holds_nothing(s3, place, tmp_path):
    named = {"Bucket": ARCHIVE_BUCKET, "Key": tmp_path.name}
    until = datetime.now(UTC) + timedelta(seconds=1)
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": until}
    version = s3.put_object(**named, Body=b"", ChecksumAlgorithm="SHA256", **lock)["VersionId"]
    assert code(s3.delete_object, **named, VersionId=version) == REFUSED
    time.sleep(1.1)
    s3.delete_object(**named, VersionId=version)


def test_a_body_that_is_not_what_its_checksum_says_is_refused(s3, tmp_path):
    named = {"Bucket": ARCHIVE_BUCKET, "Key": tmp_path.name}
    checksum = b64encode(sha256(b"body").digest()).decode()
    assert code(s3.put_object, **named, Body=b"bodY", ChecksumSHA256=checksum) == ("BadDigest", 400)
    assert code(s3.put_object, **named, Body=b"body", ChecksumSHA256="AAAA") == ("InvalidRequest", 400)
    s3.put_object(**named, Body=b"body", ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum)


def test_a_checksum_is_told_to_those_who_ask(s3, locked):
    assert "ChecksumSHA256" not in s3.head_object(**locked)
    assert s3.head_object(**locked, ChecksumMode="ENABLED")["ChecksumType"] == "FULL_OBJECT"


def test_what_was_never_locked_has_no_retention(s3, tmp_path):
    named = {"Bucket": ARCHIVE_BUCKET, "Key": tmp_path.name}
    s3.put_object(**named, Body=b"")
    assert code(s3.get_object_retention, **named) == ("NoSuchObjectLockConfiguration", 404)


def test_a_bucket_without_lock_locks_nothing(s3, tmp_path):
    named = {"Bucket": ACCESS_BUCKET, "Key": tmp_path.name}
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": UNTIL, "ChecksumAlgorithm": "SHA256"}
    assert code(s3.put_object, **named, Body=b"", **lock) == ("InvalidRequest", 400)
    s3.put_object(**named, Body=b"")
    assert code(s3.get_object_retention, **named) == ("InvalidRequest", 400)
    assert code(s3.get_object_lock_configuration, Bucket=ACCESS_BUCKET)[0] == "ObjectLockConfigurationNotFoundError"


def test_nothing_is_locked_until_a_day_that_has_passed(s3, tmp_path):
    past = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": datetime(2020, 1, 1, tzinfo=UTC)}
    named = {"Bucket": ARCHIVE_BUCKET, "Key": tmp_path.name, "ChecksumAlgorithm": "SHA256"}
    assert code(s3.put_object, **named, Body=b"", **past) == ("InvalidArgument", 400)
