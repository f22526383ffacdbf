"""Content, names, one digest by itself, the chain of them, and the time they cover: each on bytes made here."""

import gzip
import hashlib
import itertools
import json
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fixtures.delivered import (
    ACCOUNT,
    BASE,
    BUCKET,
    ELSEWHERE,
    HOME,
    HOUR,
    MINUTE,
    ORGANIZATION,
    Digest,
    Shape,
    delivered,
    iso,
    keys_of,
    seal,
)
from hypothesis import example, given
from hypothesis import strategies as st

from kit.digests.chain import BACKFILLED, RESTART, ChainBuilder, Coverage
from kit.digests.content import Inflater, inflate
from kit.digests.data_keys import data_keys
from kit.digests.digest import SIGNED_WITHIN, PublicKey, RawDigest, Verified, verify_digest
from kit.digests.names import ChainName, DigestName, LogName, Place, digest_name, log_name, place_of_digest
from kit.digests.problems import MOST, OPEN, Kind, Problem, Problems

pytestmark = pytest.mark.pinned

# content


def fed(body: bytes, *sizes: int, **options: int) -> Any:
    """Return what an inflater says of a body that arrives in blocks of these sizes, over and over."""
    inflater, at, turn = Inflater(**options), 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)] if sizes else len(body)
        inflater.feed(body[at : at + size])
        at, turn = at + size, turn + 1
    return inflater.close()


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.lists(st.integers(1, 50), max_size=3))
def test_members_are_one_content_however_they_arrive(members: list[bytes], sizes: list[int]) -> None:
    text = b"".join(members)
    found = fed(b"".join(gzip.compress(member, mtime=0) for member in members), *sizes, keep=1 << 20)
    assert (found.problem, found.sha256, found.size) == ("", hashlib.sha256(text).hexdigest(), len(text))
    assert found.text == text


@given(st.binary(max_size=2000), st.integers(1, 1 << 12), st.lists(st.integers(1, 50), max_size=2))
def test_cut_short(text: bytes, short: int, sizes: list[int]) -> None:
    body = gzip.compress(text, mtime=0)
    found = fed(body[: max(len(body) - short, 0)], *sizes)
    assert found.problem in ("ends within its content", "is empty")
    assert found.sha256 == ""


@given(st.binary(max_size=300), st.binary(min_size=1, max_size=60), st.lists(st.integers(1, 50), max_size=2))
@example(b"{}", b"\0", [])
@example(b"{}", b"\x1f", [1])
@example(b"{}", b"\x1f\x8b\x08", [])
def test_bytes_behind_the_last_member(text: bytes, tail: bytes, sizes: list[int]) -> None:
    found = fed(gzip.compress(text, mtime=0) + tail, *sizes)
    assert found.problem in ("holds bytes behind its content", "ends within its content")


@given(st.binary(max_size=500))
def test_rubbish(body: bytes) -> None:
    found = fed(body)
    try:
        text = gzip.decompress(body) if body else None
    except (OSError, EOFError, zlib.error):
        text = None
    if text is None:
        assert found.problem


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"{}", "is no sound gzip", id="plain"),
        pytest.param(zlib.compress(b"{}"), "is no sound gzip", id="zlib"),
        pytest.param(gzip.compress(b"{}")[:-8] + b"\0" * 8, "is no sound gzip", id="checksum"),
        pytest.param(gzip.compress(b"{}")[:-4] + b"\xff" * 4, "is no sound gzip", id="length"),
        pytest.param(gzip.compress(b"{}")[:-1], "ends within its content", id="cut"),
        pytest.param(gzip.compress(b"{}") + b"\n\n", "holds bytes behind its content", id="behind"),
        pytest.param(gzip.compress(b""), "", id="nothing within"),
        pytest.param(
            gzip.compress(b"{}") + gzip.compress(hashlib.shake_256(b"").digest(60_000))[:-8] + b"\0" * 8,
            "is no sound gzip",
            id="checksum of the second member",
        ),
    ],
)
def test_content(body: bytes, problem: str) -> None:
    found = inflate(body, 100_000)
    assert found.problem == problem
    assert (found.sha256 == "") is bool(problem)


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20], ids=str)
def test_size_at_the_edge_of_a_block(size: int) -> None:
    found = inflate(gzip.compress(b"a" * size, mtime=0), 4 << 20)
    assert (found.problem, found.size) == ("", size)
    assert found.text == b"a" * size
    assert found.sha256 == hashlib.sha256(b"a" * size).hexdigest()


@pytest.mark.parametrize(
    ("members", "problem"), [(1001, ""), (1002, "has more gzip members than CloudTrail ever writes")]
)
def test_members_without_end_are_refused(members: int, problem: str) -> None:
    found = inflate(gzip.compress(b"a", mtime=0) * members, 1 << 20)
    assert (found.problem, found.size) == (problem, 1001)


@pytest.mark.parametrize("keep", [2, 3])
def test_text_is_kept_up_to_its_bound(keep: int) -> None:
    inflater = Inflater(keep=keep)
    inflater.feed(gzip.compress(b"abc", mtime=0))
    assert inflater.close().text == (b"abc" if keep == 3 else None)


@pytest.mark.parametrize(("limit", "problem"), [(3, ""), (2, "expands beyond every size that CloudTrail delivers")])
def test_text_beyond_its_limit_is_refused(limit: int, problem: str) -> None:
    found = inflate(gzip.compress(b"abc", mtime=0), limit)
    assert (found.problem, found.text) == (problem, None if problem else b"abc")


def test_bomb_is_refused_before_it_expands() -> None:
    bomb = gzip.compress(b"\0" * (200 << 20), mtime=0)
    for sizes in ((), (1000,), (1 << 16,)):
        found = fed(bomb, *sizes)
        assert found.problem == "expands beyond every size that CloudTrail delivers"
        assert found.size < 40 << 20


def test_large_log_is_no_bomb() -> None:
    line = random.Random(1).randbytes(1 << 16).hex().encode()  # noqa: S311 - no secret
    text = line * 170  # more than 20 MB, which repeat no sooner than behind gzip's window
    assert inflate(gzip.compress(text, 1), 64 << 20).problem == ""


def test_limit() -> None:
    body = gzip.compress(b"a" * 101, mtime=0)
    assert inflate(body, 101).problem == ""
    assert inflate(body, 100).problem == "expands beyond every size that CloudTrail delivers"


def test_text_is_kept_up_to_what_was_asked() -> None:
    body = gzip.compress(b"a" * 100, mtime=0)
    assert fed(body, keep=100).text == b"a" * 100
    assert fed(body, keep=99).text is None
    assert fed(body, keep=99).sha256 == fed(body, keep=100).sha256


# names

PLACE = Place(BUCKET)
LOG_KEY = (
    f"AWSLogs/{ACCOUNT}/CloudTrail/{HOME}/2026/01/05/"
    f"{ACCOUNT}_CloudTrail_{HOME}_20260105T2055Z_AbCd0123456789xY.json.gz"
)
DIGEST_KEY = (
    f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{HOME}/2026/01/05/"
    f"{ACCOUNT}_CloudTrail-Digest_{HOME}_gxp_{HOME}_20260105T210000Z.json.gz"
)


def test_log_name() -> None:
    assert log_name(PLACE, LOG_KEY) == LogName(ACCOUNT, HOME, datetime(2026, 1, 5, 20, 55, tzinfo=UTC))


@pytest.mark.parametrize(("day", "told"), [(4, True), (7, True), (3, False), (8, False)])
def test_name_in_the_folder_of_another_day(day: int, told: bool) -> None:
    for name, key in ((log_name, LOG_KEY), (digest_name, DIGEST_KEY)):
        moved = key.replace("/2026/01/05/", f"/2026/01/{day:02}/")
        assert moved != key
        assert (name(PLACE, moved) is not None) is told


def test_digest_name() -> None:
    chain, end = ChainName(ACCOUNT, HOME, "gxp", HOME), datetime(2026, 1, 5, 21, tzinfo=UTC)
    assert digest_name(PLACE, DIGEST_KEY) == DigestName(chain, end, backfill=False)
    assert digest_name(PLACE, DIGEST_KEY.replace(".json", "_backfill.json")) == DigestName(chain, end, backfill=True)


def test_trail_name_may_hold_underscores_and_region_names() -> None:
    key = DIGEST_KEY.replace("_gxp_", f"_a_{ELSEWHERE}_b-._")
    found = digest_name(PLACE, key)
    assert found is not None
    assert (found.chain.trail, found.chain.home_region) == (f"a_{ELSEWHERE}_b-.", HOME)


@pytest.mark.parametrize("partition", ["us-gov-west-1", "cn-northwest-1", "ap-southeast-10", "us-isob-east-1"])
def test_regions(partition: str) -> None:
    assert log_name(PLACE, LOG_KEY.replace(HOME, partition)) is not None
    assert digest_name(PLACE, DIGEST_KEY.replace(HOME, partition)) is not None


_SPOILT_NAMES: list[Any] = [
    pytest.param(lambda key: key.replace("AWSLogs/", "AWSLogs/../AWSLogs/"), id="dots"),
    pytest.param(lambda key: f"{key}\n", id="newline behind"),
    pytest.param(lambda key: key.replace("/2026/", "/2026\n/"), id="newline within"),
    pytest.param(lambda key: key.replace("/", "%2F"), id="percent"),
    pytest.param(lambda key: f"x/{key}", id="other prefix"),
    pytest.param(lambda key: key.replace(".json.gz", ".json"), id="not gzipped"),
    pytest.param(lambda key: key.replace(f"/{ACCOUNT}_", "/222222222222_"), id="two accounts"),
    pytest.param(lambda key: key.replace(f"/{HOME}/", f"/{ELSEWHERE}/"), id="two Regions"),
    pytest.param(lambda key: key.replace("20260105T", "20261305T"), id="month 13"),
    pytest.param(lambda key: key.replace("20260105T", "20260230T"), id="30 February"),
    pytest.param(lambda key: key.replace("20260105T", "00000105T"), id="year 0"),
    pytest.param(lambda key: key.replace("20260105T2", "٢٠260105T2"), id="other digits"),
    pytest.param(lambda key: key.replace(".json.gz", "é.json.gz"), id="other letters"),
    pytest.param(lambda key: key.replace(".json.gz", "\ud800.json.gz"), id="lone surrogate"),
    pytest.param(lambda key: key.replace(".json.gz", "a" * 1024 + ".json.gz"), id="over 1,024 bytes"),
    pytest.param(lambda key: key.replace(ACCOUNT, "1" * 13), id="13 digits"),
    pytest.param(lambda key: key.replace("2026/01/05", "2026/1/5"), id="short day"),
    pytest.param(lambda _: "", id="empty"),
    pytest.param(lambda _: "a" * 1024, id="rubbish"),
]


@pytest.mark.parametrize("spoil", _SPOILT_NAMES)
def test_no_name_of_cloudtrail(spoil: Callable[[str], str]) -> None:
    assert log_name(PLACE, spoil(LOG_KEY)) is None
    assert digest_name(PLACE, spoil(DIGEST_KEY)) is None


@given(st.text(max_size=200), st.text(max_size=30))
def test_any_name(key: str, prefix: str) -> None:
    place = Place(BUCKET, prefix)
    assert log_name(place, key) is None
    assert log_name(place, place.base + LOG_KEY.removeprefix("AWSLogs/")) is not None
    assert digest_name(place, place.base + DIGEST_KEY.removeprefix("AWSLogs/")) is not None


@pytest.mark.parametrize("prefix", ["", "a", "a/b", "AWSLogs", "a.b+c", "(x"])
@pytest.mark.parametrize("organization", ["", ORGANIZATION])
def test_place_of_digest(prefix: str, organization: str) -> None:
    place = Place(BUCKET, prefix, organization)
    key = place.base + DIGEST_KEY.removeprefix("AWSLogs/")
    assert place_of_digest(BUCKET, key, organization) == place
    assert digest_name(place, key) is not None
    assert place_of_digest(BUCKET, f"{key}x", organization) is None


# one digest by itself

SHAPE = Shape(hours=4, pattern=(1,), regions=(HOME,))
WORLD = delivered(SHAPE)
FIRST, SECOND, THIRD_DIGEST, _ = WORLD.digests
KEYS = {
    keys_of(HOME)[0].fingerprint: PublicKey(
        keys_of(HOME)[0].fingerprint, keys_of(HOME)[0].der, BASE - 100 * HOUR, BASE + 100 * HOUR
    )
}
NAMES = [
    "awsAccountId", "digestStartTime", "digestEndTime", "digestS3Bucket", "digestS3Object",
    "digestPublicKeyFingerprint",
    "digestSignatureAlgorithm", "previousDigestS3Bucket", "previousDigestS3Object", "previousDigestHashValue",
    "previousDigestHashAlgorithm", "previousDigestSignature", "logFiles",
]  # fmt: skip
LOG_NAMES = ["s3Bucket", "s3Object", "hashValue", "hashAlgorithm"]


def raw_of(digest: Digest, body: bytes | None = None, metadata: Mapping[str, str] | None = None) -> RawDigest:
    item = WORLD.get((digest.bucket, digest.key))
    name = digest_name(PLACE, digest.key)
    assert name is not None
    return RawDigest(
        digest.bucket,
        digest.key,
        name,
        item.body if body is None else body,
        item.metadata if metadata is None else metadata,
    )


def resealed(digest: Digest = SECOND, /, **changed: Any) -> RawDigest:
    """Return a digest that says something else, signed by CloudTrail's own key."""
    body, metadata, _ = seal({**digest.told, **changed}, keys_of(HOME)[0])
    return raw_of(digest, body, metadata)


def written(told: Any) -> RawDigest:
    """Return a digest whose content is this JSON, or these bytes; its signature is of another."""
    text = told if isinstance(told, bytes) else json.dumps(told).encode()
    return raw_of(SECOND, gzip.compress(text, mtime=0))


def kinds(verified: Verified) -> set[Kind]:
    assert not verified.sound or not verified.problems
    return {problem.kind for problem in verified.problems}


def test_sound_digest() -> None:
    found = verify_digest(raw_of(SECOND), KEYS)
    assert found.sound
    assert found.digest is not None
    assert (found.digest.start, found.digest.end, found.digest.sha256) == (SECOND.start, SECOND.end, SECOND.sha256)
    assert found.digest.previous is not None
    assert (found.digest.previous.bucket, found.digest.previous.key) == (FIRST.bucket, FIRST.key)
    assert [log.key for log in found.digest.logs] == [log.key for log in SECOND.logs]


def test_starting_digest_is_sound() -> None:
    previous = dict.fromkeys((name for name in NAMES if name.startswith("previous")), None)
    found = verify_digest(resealed(**previous), KEYS)
    assert found.sound
    assert found.digest is not None
    assert found.digest.previous is None


def test_hexadecimal_may_be_in_upper_case() -> None:
    metadata = {**WORLD.get((SECOND.bucket, SECOND.key)).metadata, "signature": SECOND.signature.upper()}
    assert verify_digest(raw_of(SECOND, metadata=metadata), KEYS).sound


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [..., 1, True, [], {}, 1.5, [[]], None], ids=repr)
def test_member_missing_or_of_another_type(name: str, value: Any) -> None:
    told = {known: item for known, item in {**SECOND.told, name: value}.items() if item is not ...}
    found = verify_digest(written(told), KEYS)
    assert not found.sound
    assert kinds(found) & {Kind.CONTENT, Kind.SIGNATURE}
    if not (name == "logFiles" and value == []):
        assert kinds(found) == {Kind.CONTENT}
        assert found.digest is None


@pytest.mark.parametrize("name", LOG_NAMES)
@pytest.mark.parametrize("value", [..., 1, None, [], {}], ids=repr)
def test_log_member_missing_or_of_another_type(name: str, value: Any) -> None:
    log = {known: item for known, item in {**SECOND.told["logFiles"][0], name: value}.items() if item is not ...}
    assert kinds(verify_digest(written({**SECOND.told, "logFiles": [log]}), KEYS)) == {Kind.CONTENT}


def test_newest_event_of_a_log_is_told_where_it_has_one() -> None:
    (told,) = SECOND.told["logFiles"]
    for newest in ("2026-01-05T21:59:59Z", None):
        found = verify_digest(written({**SECOND.told, "logFiles": [{**told, "newestEventTime": newest}]}), KEYS)
        assert found.digest is not None
        assert [log.newest and iso(log.newest) for log in found.digest.logs] == [newest]


@pytest.mark.parametrize(("sparse", "brackets"), [(17, True), (19, True), (21, False)], ids=["dense", "just", "sparse"])
def test_text_that_is_all_brackets_is_not_parsed(sparse: int, brackets: bool) -> None:
    # each 40 bytes of it hold two such marks and more, or less, beyond the million bytes that are free
    text = b"[" + (b"1" * (sparse - 1) + b",") * 1_000_000 + b"1]"
    found = verify_digest(raw_of(SECOND, gzip.compress(text, 1, mtime=0)), KEYS)
    assert ("it is all brackets" in found.problems[0].detail) is brackets


@pytest.mark.parametrize("member", ["previousDigestSignature", "digestS3Object"])
def test_half_a_character_is_no_signature(member: str) -> None:
    assert Kind.SIGNATURE in kinds(verify_digest(written({**SECOND.told, member: "\ud800"}), KEYS))


@pytest.mark.parametrize("log", [None, 1, "x", [], {}], ids=repr)
def test_log_that_is_none(log: Any) -> None:
    assert kinds(verify_digest(written({**SECOND.told, "logFiles": [log]}), KEYS)) == {Kind.CONTENT}


@pytest.mark.parametrize("name", ["digestStartTime", "digestEndTime"])
@pytest.mark.parametrize(
    "time",
    ["", "2026-01-05", "2026-01-05T21:00:00", "2026-01-05T21:00:00+00:00", "2026-13-05T21:00:00Z",
     "0000-01-05T21:00:00Z", "2026-01-05T21:00:00Z\n", "٢026-01-05T21:00:00Z", "2026-01-05T24:00:00Z"],
    ids=["nothing", "a day", "no zone", "another zone", "month 13", "year 0", "a line feed", "other digits", "hour 24"],
)  # fmt: skip
def test_no_time(name: str, time: str) -> None:
    assert kinds(verify_digest(written({**SECOND.told, name: time}), KEYS)) == {Kind.CONTENT}


@pytest.mark.parametrize("year", ["0001", "9999"])
@pytest.mark.parametrize("name", ["digestStartTime", "digestEndTime"])
def test_time_at_the_edge_of_the_calendar(name: str, year: str) -> None:
    told = {**SECOND.told, name: f"{year}-12-31T23:59:59Z" if year == "9999" else f"{year}-01-01T00:00:00Z"}
    assert not verify_digest(written(told), KEYS).sound


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'"x"', id="text"),
        pytest.param(b"1", id="number"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="deep and closed"),
        pytest.param(b'{"logFiles": ' + b"1" * 5000 + b"}", id="huge number"),
        pytest.param(b"\xff\xfe\xfd", id="no UTF-8"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
    ],
)
def test_absurd_json(text: bytes) -> None:
    assert kinds(verify_digest(written(text), KEYS)) == {Kind.CONTENT}


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner)
                    | st.dictionaries(st.sampled_from(NAMES + LOG_NAMES), inner), max_leaves=20))  # fmt: skip
def test_any_json(told: Any) -> None:
    assert not verify_digest(written(told), KEYS).sound
    changed = {**SECOND.told, **(told if isinstance(told, dict) else {"x": told})}
    assert verify_digest(written(changed), KEYS).sound is (json.dumps(changed) == json.dumps(SECOND.told))


@given(st.binary(max_size=300))
def test_any_bytes(body: bytes) -> None:
    assert not verify_digest(raw_of(SECOND, body), KEYS).sound


def test_later_member_of_the_same_name_counts_and_is_signed() -> None:
    text = json.dumps(SECOND.told)
    doubled = f'{text[:-1]}, "digestS3Bucket": "elsewhere"}}'.encode()
    assert {Kind.LOCATION, Kind.SIGNATURE} <= kinds(verify_digest(written(doubled), KEYS))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "logFiles" and "Time" not in name])
def test_lone_surrogate(name: str) -> None:
    assert not verify_digest(written({**SECOND.told, name: "\ud800"}), KEYS).sound


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        pytest.param({"digestS3Bucket": "elsewhere"}, Kind.LOCATION, id="bucket"),
        pytest.param({"digestS3Object": FIRST.key}, Kind.LOCATION, id="key"),
        pytest.param({"awsAccountId": "222222222222"}, Kind.LOCATION, id="account"),
        pytest.param({"digestEndTime": iso(SECOND.end + MINUTE)}, Kind.LOCATION, id="end"),
        pytest.param({"digestStartTime": iso(SECOND.end)}, Kind.CONTENT, id="no time"),
        pytest.param({"digestStartTime": iso(SECOND.end + HOUR)}, Kind.CONTENT, id="backwards"),
        pytest.param({"digestSignatureAlgorithm": "SHA1withRSA"}, Kind.ALGORITHM, id="signature algorithm"),
        pytest.param({"previousDigestHashAlgorithm": "MD5"}, Kind.ALGORITHM, id="previous algorithm"),
        pytest.param(
            {"logFiles": [{**SECOND.told["logFiles"][0], "hashAlgorithm": "sha-256"}]}, Kind.ALGORITHM, id="log"
        ),
        pytest.param({"previousDigestSignature": None}, Kind.CONTENT, id="half a previous"),
    ],
)  # fmt: skip
def test_said_and_signed_and_wrong(changed: dict[str, Any], kind: Kind) -> None:
    """What is wrong here is signed by CloudTrail's key, so nothing but this is found."""
    assert kinds(verify_digest(resealed(**changed), KEYS)) == {kind}


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        pytest.param({"signature": None}, Kind.SIGNATURE, id="no signature"),
        pytest.param({"signature": ""}, Kind.SIGNATURE, id="empty"),
        pytest.param({"signature-algorithm": None}, Kind.SIGNATURE, id="no algorithm"),
        pytest.param({"signature-algorithm": "SHA1withRSA"}, Kind.ALGORITHM, id="weak algorithm"),
        pytest.param({"signature": "zz"}, Kind.SIGNATURE, id="not hexadecimal"),
        pytest.param({"signature": "abc"}, Kind.SIGNATURE, id="odd digits"),
        pytest.param({"signature": "é"}, Kind.SIGNATURE, id="not ASCII"),
        pytest.param({"signature": "00"}, Kind.SIGNATURE, id="short"),
        pytest.param({"signature": FIRST.signature}, Kind.SIGNATURE, id="of another digest"),
        pytest.param({"signature": SECOND.signature + "00"}, Kind.SIGNATURE, id="longer"),
        pytest.param({"signature": f" {SECOND.signature}"}, Kind.SIGNATURE, id="blank before"),
    ],
)
def test_metadata(metadata: dict[str, str | None], kind: Kind) -> None:
    told = {**WORLD.get((SECOND.bucket, SECOND.key)).metadata, **metadata}
    found = verify_digest(
        raw_of(SECOND, metadata={name: text for name, text in told.items() if text is not None}), KEYS
    )
    assert kinds(found) == {kind}


_ENTRY = next(iter(KEYS.values()))
_CURVE = (
    ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        pytest.param({}, Kind.SIGNATURE, id="none listed"),
        pytest.param("why", Kind.UNREAD, id="not known"),
        pytest.param({_ENTRY.fingerprint: replace(_ENTRY, der=keys_of(ELSEWHERE)[0].der)}, Kind.SIGNATURE, id="Region"),
        pytest.param({_ENTRY.fingerprint: replace(_ENTRY, der=_CURVE)}, Kind.UNREAD, id="elliptic curve"),
        pytest.param({_ENTRY.fingerprint: replace(_ENTRY, der=b"")}, Kind.UNREAD, id="empty"),
        pytest.param({_ENTRY.fingerprint: replace(_ENTRY, der=b"rubbish")}, Kind.UNREAD, id="rubbish"),
    ],
)
def test_keys(keys: Any, kind: Kind) -> None:
    assert kinds(verify_digest(raw_of(SECOND), keys)) == {kind}


@pytest.mark.parametrize(
    ("start", "end", "sound"),
    [
        pytest.param(-HOUR, HOUR, True, id="within"),
        pytest.param(-HOUR, timedelta(), True, id="valid until then"),
        pytest.param(-HOUR, -timedelta(seconds=1), False, id="valid until before"),
        pytest.param(SIGNED_WITHIN, 5 * HOUR, True, id="valid when it was delivered"),
        pytest.param(SIGNED_WITHIN + timedelta(seconds=1), 5 * HOUR, False, id="valid later only"),
    ],
)
def test_key_of_another_time(start: timedelta, end: timedelta, sound: bool) -> None:
    key = replace(_ENTRY, start=SECOND.end + start, end=SECOND.end + end)
    found = verify_digest(raw_of(SECOND), {key.fingerprint: key})
    assert found.sound is sound
    assert sound or kinds(found) == {Kind.SIGNATURE}


BACKFILLED_SHAPE = Shape(hours=4, pattern=(1,), regions=(HOME,), backfilled=(1,))
BACKFILLED_WORLD = delivered(BACKFILLED_SHAPE)
BACKFILL = BACKFILLED_WORLD.digests[1]


def backfill(metadata: Mapping[str, str | None]) -> RawDigest:
    item, name = BACKFILLED_WORLD.get((BACKFILL.bucket, BACKFILL.key)), digest_name(PLACE, BACKFILL.key)
    assert name is not None
    told = {known: text for known, text in {**item.metadata, **metadata}.items() if text is not None}
    return RawDigest(BACKFILL.bucket, BACKFILL.key, name, item.body, told)


def test_backfill_is_signed_when_it_was_generated() -> None:
    key = replace(_ENTRY, start=BACKFILLED_SHAPE.generated - HOUR, end=BACKFILLED_SHAPE.generated + HOUR)
    assert key.start > BACKFILL.end + SIGNED_WITHIN
    assert verify_digest(backfill({}), {key.fingerprint: key}).sound
    late = replace(key, end=BACKFILLED_SHAPE.generated - MINUTE)
    assert kinds(verify_digest(backfill({}), {key.fingerprint: late})) == {Kind.SIGNATURE}


@pytest.mark.parametrize("when", [None, "", "yesterday", "0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_backfill_without_the_time_of_its_generation(when: str | None) -> None:
    assert kinds(verify_digest(backfill({"backfill-generation-timestamp": when}), KEYS)) == {Kind.CONTENT}


def test_time_of_generation_is_in_utc_wherever_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    generated = f"{BACKFILLED_SHAPE.generated:%Y-%m-%dT%H:%M:%S}"
    key = replace(_ENTRY, start=BACKFILLED_SHAPE.generated, end=BACKFILLED_SHAPE.generated + MINUTE)
    for zone in ("Pacific/Honolulu", "Pacific/Kiritimati"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        try:
            found = verify_digest(backfill({"backfill-generation-timestamp": generated}), {key.fingerprint: key})
        finally:
            monkeypatch.delenv("TZ")
            time.tzset()
        assert found.sound


# the chain

NAME = ChainName(ACCOUNT, HOME, "gxp", HOME)


def chain_of(*shapes: Shape, drop: tuple[int, ...] = (), started: datetime | None = None, **more: Any) -> Any:
    """Return the chain that the digests of a shape give, without some of them."""
    world = delivered(*shapes)
    builder = ChainBuilder(NAME)
    kept = [digest for number, digest in enumerate(world.digests) if number not in drop]
    for digest in sorted(kept, key=lambda one: one.end):
        name, item = digest_name(PLACE, digest.key), world.get((digest.bucket, digest.key))
        assert name is not None
        builder.add(verify_digest(RawDigest(digest.bucket, digest.key, name, item.body, item.metadata), KEYS))
    return builder.close(started, **more)


LONG = Shape(hours=6, pattern=(1,), regions=(HOME,))


def test_unbroken_chain() -> None:
    chain = chain_of(LONG)
    assert (chain.digests, chain.rejected, chain.undecided, len(chain.problems), chain.breaks) == (6, 0, 0, 0, ())
    assert chain.covered == ((BASE, BASE + 6 * HOUR),)
    assert [(one.start, one.end, one.digests) for one in chain.segments] == [(BASE, BASE + 6 * HOUR, 6)]
    assert chain.last_end == BASE + 6 * HOUR


@pytest.mark.parametrize(
    ("drop", "breaks"),
    [((0,), 0), ((5,), 0), ((2,), 1), ((2, 3), 1), ((1, 3), 2)],
    ids=["head", "tail", "one", "two", "apart"],
)  # fmt: skip
def test_dropped_digests(drop: tuple[int, ...], breaks: int) -> None:
    chain = chain_of(LONG, drop=drop)
    assert chain.problems.count(Kind.LINK) == len(chain.breaks) == breaks
    assert {one.kind for one in chain.breaks} <= {"missing"}
    assert len(chain.segments) == breaks + 1
    uncovered = Coverage(chain.covered).gaps(BASE, BASE + 6 * HOUR)
    assert sum((end - start for start, end in uncovered), timedelta()) == len(drop) * HOUR


@pytest.mark.parametrize("name", ["previousDigestHashValue", "previousDigestSignature"])
def test_forged_link(name: str) -> None:
    builder = ChainBuilder(NAME)
    flipped = SECOND.told[name].translate(str.maketrans("0123456789abcdef", "123456789abcdef0"))
    for raw in (raw_of(FIRST), resealed(**{name: flipped}), raw_of(THIRD_DIGEST)):
        builder.add(verify_digest(raw, KEYS))
    chain = builder.close(None)
    assert chain.problems.count(Kind.LINK) == 2  # the forged one, and what follows it
    assert {one.kind for one in chain.breaks} == {"link"}


def test_rejected_digest_breaks_the_chain_and_covers_nothing() -> None:
    builder = ChainBuilder(NAME)
    for raw in (raw_of(FIRST), raw_of(SECOND, metadata={}), raw_of(THIRD_DIGEST)):
        builder.add(verify_digest(raw, KEYS))
    chain = builder.close(None)
    assert (chain.rejected, chain.undecided) == (1, 0)
    assert chain.problems.count(Kind.LINK) == 0  # what follows it still names it
    assert len(chain.segments) == 2
    assert Coverage(chain.covered).gaps(BASE, BASE + 3 * HOUR) == [(BASE + HOUR, BASE + 2 * HOUR)]


def test_what_is_wrong_with_a_digest_stands_at_its_break() -> None:
    builder = ChainBuilder(NAME)
    builder.add(verify_digest(resealed(digestS3Object="x", digestSignatureAlgorithm="SHA1"), KEYS))
    (broken,) = builder.close(None).breaks
    assert broken.detail == f"says that it is s3://{BUCKET}/x; declares the algorithm 'SHA1'"


def test_unread_digest_is_undecided() -> None:
    builder = ChainBuilder(NAME)
    builder.add(verify_digest(raw_of(FIRST), KEYS))
    raw = raw_of(SECOND)
    builder.unread(raw.name, raw.bucket, raw.key, "could not be read: 403 AccessDenied")
    chain = builder.close(None)
    assert (chain.rejected, chain.undecided) == (0, 1)
    assert chain.problems.count(*OPEN) == 1
    assert [one.kind for one in chain.breaks] == ["open"]


def test_digest_behind_an_unread_one_is_linked_to_its_name() -> None:
    for bucket, links in ((BUCKET, 0), ("another", 1)):
        builder = ChainBuilder(NAME)
        builder.add(verify_digest(raw_of(FIRST), KEYS))
        builder.unread(raw_of(SECOND).name, bucket, SECOND.key, "could not be read: 403 AccessDenied")
        builder.add(verify_digest(raw_of(THIRD_DIGEST), KEYS))
        assert builder.close(None).problems.count(Kind.LINK) == links


@pytest.mark.parametrize(
    ("periods", "held", "gaps"),
    [
        pytest.param([], [], [(1, 9)], id="nothing"),
        pytest.param([(3, 3), (5, 4)], [], [(1, 9)], id="no time"),
        pytest.param([(1, 9)], [(1, 9)], [], id="just"),
        pytest.param([(0, 10)], [(0, 10)], [], id="more"),
        pytest.param([(0, 1), (9, 10)], [(0, 1), (9, 10)], [(1, 9)], id="beside"),
        pytest.param([(2, 3), (5, 6)], [(2, 3), (5, 6)], [(1, 2), (3, 5), (6, 9)], id="apart"),
        pytest.param([(5, 6), (2, 3)], [(2, 3), (5, 6)], [(1, 2), (3, 5), (6, 9)], id="in any order"),
        pytest.param([(2, 4), (4, 6)], [(2, 6)], [(1, 2), (6, 9)], id="one after another"),
        pytest.param([(4, 6), (2, 4)], [(2, 6)], [(1, 2), (6, 9)], id="one before another"),
        pytest.param([(2, 5), (4, 6)], [(2, 6)], [(1, 2), (6, 9)], id="across"),
        pytest.param([(2, 8), (4, 6)], [(2, 8)], [(1, 2), (8, 9)], id="within"),
        pytest.param([(4, 6), (2, 8)], [(2, 8)], [(1, 2), (8, 9)], id="around"),
        pytest.param([(2, 3), (4, 5), (6, 7), (3, 6)], [(2, 7)], [(1, 2), (7, 9)], id="between"),
        pytest.param([(2, 3), (2, 4)], [(2, 4)], [(1, 2), (4, 9)], id="from the same start"),
        pytest.param([(0, 2), (8, 10)], [(0, 2), (8, 10)], [(2, 8)], id="over both ends"),
    ],
)
def test_periods_are_merged(
    periods: list[tuple[int, int]], held: list[tuple[int, int]], gaps: list[tuple[int, int]]
) -> None:
    def hours(pairs: list[tuple[int, int]]) -> list[tuple[datetime, datetime]]:
        return [(BASE + start * HOUR, BASE + end * HOUR) for start, end in pairs]

    coverage = Coverage(hours(periods))
    assert list(coverage) == hours(held)
    assert coverage.gaps(*hours([(1, 9)])[0]) == hours(gaps)
    assert coverage.covers(*hours([(1, 9)])[0]) is not bool(gaps)


RESTARTED = replace(LONG, restarts=((3, 1),))
AT = BASE + 3 * HOUR


@pytest.mark.parametrize(
    ("started", "accounted"),
    [
        pytest.param(None, False, id="not told"),
        pytest.param(AT, True, id="then"),
        pytest.param(AT + HOUR, True, id="an hour later"),
        pytest.param(AT - HOUR, True, id="an hour before"),
        pytest.param(AT + HOUR + MINUTE, False, id="later"),
        pytest.param(AT - HOUR - MINUTE, False, id="before"),
    ],
)
def test_restart(started: datetime | None, accounted: bool) -> None:
    chain = chain_of(RESTARTED, started=started)
    assert [one.kind for one in chain.breaks] == [RESTART]
    assert (chain.problems.count(Kind.RESTART), len(chain.accounted)) == ((0, 1) if accounted else (1, 0))
    assert Coverage(chain.covered).gaps(BASE, BASE + 6 * HOUR) == [(BASE + 2 * HOUR, AT)]


@pytest.mark.parametrize(("until", "told"), [(AT, 0), (AT + MINUTE, 1), (None, 1)], ids=["then", "later", "never"])
def test_restart_behind_the_time_that_is_judged(until: datetime | None, told: int) -> None:
    chain = chain_of(RESTARTED, until=until)
    assert chain.problems.count(Kind.RESTART) == told
    assert [one.kind for one in chain.breaks] == [RESTART]


def test_restart_without_a_gap_is_no_backfill() -> None:
    chain = chain_of(replace(LONG, restarts=((3, 0),)))
    assert chain.problems.count(Kind.RESTART) == 1
    assert [one.kind for one in chain.breaks] == [RESTART]


@pytest.mark.parametrize("relinked", [False, True])
def test_backfilled_hours(relinked: bool) -> None:
    chain = chain_of(replace(LONG, backfilled=(2, 3), relinked=relinked))
    assert len(chain.problems) == 0
    assert chain.covered == ((BASE, BASE + 6 * HOUR),)
    assert [one.kind for one in chain.breaks] == ([] if relinked else [BACKFILLED])
    assert len(chain.accounted) == (0 if relinked else 1)


def test_backfills_account_for_the_restart_behind_them_alone() -> None:
    chain = chain_of(replace(LONG, hours=8, backfilled=(2, 3), restarts=((6, 1),)))
    assert [one.kind for one in chain.breaks] == [BACKFILLED, RESTART]


def test_backfills_that_cover_only_a_part_account_for_nothing() -> None:
    chain = chain_of(replace(LONG, backfilled=(2, 3)), drop=(3,))
    assert chain.problems.count(Kind.RESTART) == 1


_MINUTES = st.integers(0, 40)
_PERIODS = st.lists(st.tuples(_MINUTES, _MINUTES), max_size=12)


@given(_PERIODS, _MINUTES, _MINUTES)
def test_coverage_is_that_of_a_set_of_minutes(periods: list[tuple[int, int]], start: int, end: int) -> None:
    coverage = Coverage((BASE + a * MINUTE, BASE + b * MINUTE) for a, b in periods)
    covered = {minute for a, b in periods for minute in range(a, b)}
    gaps = coverage.gaps(BASE + start * MINUTE, BASE + end * MINUTE)
    uncovered = {(a + number * MINUTE - BASE) // MINUTE for a, b in gaps for number in range((b - a) // MINUTE)}
    assert uncovered == set(range(start, end)) - covered
    assert all(a < b for a, b in gaps)
    assert all(b < c for (_, b), (c, _) in itertools.pairwise(gaps))
    assert coverage.covers(BASE + start * MINUTE, BASE + end * MINUTE) is not bool(uncovered)
    held = list(coverage)
    assert all(b < c for (_, b), (c, _) in itertools.pairwise(held))
    assert {(a + n * MINUTE - BASE) // MINUTE for a, b in held for n in range((b - a) // MINUTE)} == covered


# data keys

TRAIL_ARN = f"arn:aws:cloudtrail:{HOME}:{ACCOUNT}:trail/gxp"


def record(**changed: Any) -> dict[str, Any]:
    return {
        "eventTime": "2026-01-05T20:15:00Z",
        "eventName": "GenerateDataKey",
        "userIdentity": {"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"},
        "requestParameters": {"encryptionContext": {"aws:cloudtrail:arn": TRAIL_ARN}},
    } | changed


@pytest.mark.parametrize(
    ("records", "found"),
    [
        pytest.param([], {}, id="none"),
        pytest.param([record()], {f"{TRAIL_ARN} 2026-01-05T20": 1}, id="one"),
        pytest.param(
            [record(), record(), record(eventTime="2026-01-05T21:00:00Z")],
            {f"{TRAIL_ARN} 2026-01-05T20": 2, f"{TRAIL_ARN} 2026-01-05T21": 1},
            id="by hour",
        ),
        pytest.param([record(eventName="Decrypt")], {}, id="another call"),
        pytest.param([record(userIdentity={"invokedBy": "s3.amazonaws.com"})], {}, id="another caller"),
        pytest.param([record(userIdentity={"type": "IAMUser"})], {}, id="a person"),
        pytest.param([record(requestParameters={"encryptionContext": {}})], {}, id="no context"),
        pytest.param([record(requestParameters=None), record()], {}, id="no parameters"),
        pytest.param([None], {}, id="no record"),
    ],
)
def test_data_keys(records: list[Any], found: dict[str, int]) -> None:
    assert data_keys(json.dumps({"Records": records, "x": "GenerateDataKey aws:cloudtrail:arn"}).encode()) == found


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"null", b"{", b"[" * 100_000, b'{"Records": 1}', b"\xff"],
    ids=["nothing", "a list", "null", "cut", "deep", "no records", "no text"],
)
def test_data_keys_of_no_log(text: bytes) -> None:
    assert data_keys(text + b" GenerateDataKey aws:cloudtrail:arn") == {}
    assert data_keys(text) == {}


# problems


def test_problems_are_counted_and_the_first_are_kept() -> None:
    problems = Problems(Problem(Kind.HASH, f"s3://b/{number}", "") for number in range(MOST + 7))
    problems.add(Problem(Kind.UNREAD, "s3://b/x", ""))
    assert (problems.count(Kind.HASH), len(problems.of(Kind.HASH)), len(problems)) == (MOST + 7, MOST, MOST + 8)
    assert problems.of(Kind.UNREAD)[0].known is False
