"""The verifier challenged: it catches every tamper, and one that is blind to a thing does not."""

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fixtures.delivered import (
    BASE,
    BUCKET,
    HOME,
    HOUR,
    OTHER_KEY,
    Outcome,
    Shape,
    World,
    delivered,
    judge,
    parameters,
    snapshot_of,
    trail_of,
)

from kit.checks.integrity import oq_09
from kit.digests import chain, challenge, digest
from kit.digests.content import Content, inflate
from kit.digests.digest import Digest, NamedLog, RawDigest, Verified, verify_digest
from kit.digests.names import Place, digest_name, log_name
from kit.digests.problems import Kind, Problem, Problems
from kit.digests.reconcile import LogBook, Naming
from kit.digests.sample import Sample, choose_sample
from kit.findings import Verdict

pytestmark = pytest.mark.pinned
SHAPE = Shape(hours=7)
WINDOW = (BASE + HOUR, BASE + 5 * HOUR)
WORLD = delivered(SHAPE)
UNBELIEVED = Problem(Kind.SIGNATURE, "s3://b/k", "is not believed")


def challenged(world: World = WORLD, shape: Shape = SHAPE) -> Outcome:
    return judge(world, shape, WINDOW, cases=["OQ-09"])


def sample_of(world: World = WORLD, shape: Shape = SHAPE) -> Sample:
    sample = challenged(world, shape).delivery.sample
    assert sample is not None
    return sample


def test_every_challenge_is_met() -> None:
    challenge._key.cache_clear()
    done = challenge.challenge(sample_of())
    assert [one.name for one in done if not one.caught] == []
    assert len(done) == len({one.name for one in done}) == 21
    assert done[0].found == ()
    assert [one.name for one in done[1:] if one.expected not in one.found] == []


def test_sample_is_left_as_it_was() -> None:
    sample = sample_of()
    before = (sample.digests, dict(sample.bodies), dict(sample.keys))
    challenge.challenge(sample)
    assert (sample.digests, dict(sample.bodies), dict(sample.keys)) == before


# what a tamper is called is what it does, and all that it does


def tampered(name: str) -> tuple[challenge._Copy, challenge._Copy]:
    """Return a copy of the sample as it is, and as a tamper leaves it."""
    before, after = challenge._copy(sample_of()), challenge._copy(sample_of())
    next(tamper for called, _, tamper in challenge._TAMPERS if called == name)(after)
    return before, after


def flipped(before: bytes, after: bytes) -> list[tuple[int, int]]:
    """Return where two texts of one length differ, counted from the end, and by which bits."""
    assert len(before) == len(after)
    return [(at - len(after), a ^ b) for at, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]


def told(raw: RawDigest) -> dict[str, Any]:
    return json.loads(gzip.decompress(raw.body))


def members(before: RawDigest, after: RawDigest) -> dict[str, Any]:
    """Return what a digest says otherwise."""
    one, other = told(before), told(after)
    assert one.keys() == other.keys()
    return {name: other[name] for name in other if other[name] != one[name]}


def test_one_bit_of_a_log_is_flipped() -> None:
    before, after = tampered("a byte of a log's text flipped")
    (place, body), *rest = after.bodies.items()
    text = gzip.decompress(before.bodies[place])
    ((at, bit),) = flipped(text, gzip.decompress(body))
    assert (at, bit) == (len(text) // 2 - len(text), 1)
    assert body[4:8] == bytes(4)
    assert dict(rest).items() <= before.bodies.items()
    before, after = tampered("a byte of a log's gzip flipped")
    assert [flipped(before.bodies[place], after.bodies[place]) for place in before.bodies] == [[(-5, 1)], []]
    before, after = tampered("bytes put behind a log")
    assert [after.bodies[place].removeprefix(body) for place, body in before.bodies.items()] == [b"\0rubbish", b""]


def test_a_log_is_planted_under_a_name_that_cloudtrail_could_give_it() -> None:
    before, after = tampered("a log planted")
    ((bucket, key), body) = next((place, body) for place, body in after.bodies.items() if place not in before.bodies)
    assert body in before.bodies.values()
    assert log_name(Place(bucket), key) == log_name(Place(bucket), next(iter(before.bodies))[1])


def test_one_digest_is_changed_in_one_thing() -> None:
    before, after = tampered("a byte of a digest's gzip flipped")
    assert [flipped(one.body, other.body) for one, other in zip(before.digests, after.digests, strict=True)][:3] == [
        [], [(-5, 1)], [],
    ]  # fmt: skip
    before, after = tampered("a weaker algorithm declared")
    assert after.digests[1].metadata == {**before.digests[1].metadata, "signature-algorithm": "SHA1withRSA"}
    before, after = tampered("the text of a digest changed")
    assert members(before.digests[1], after.digests[1]) == {"newestEventTime": "2000-01-01T00:00:00Z"}
    assert after.digests[1].body[4:8] == bytes(4)
    fingerprint = {"digestPublicKeyFingerprint": challenge._Key.fingerprint}
    before, after = tampered("a digest that names a foreign key")
    assert members(before.digests[1], after.digests[1]) == fingerprint
    assert after.digests[1].metadata["signature"] != before.digests[1].metadata["signature"]


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("a previous hash forged, and signed", "previousDigestHashValue"),
        ("a previous signature forged, and signed", "previousDigestSignature"),
    ],
)
def test_a_forged_link_is_signed_by_a_key_that_is_believed(name: str, member: str) -> None:
    before, after = tampered(name)
    changed = members(before.digests[1], after.digests[1])
    assert changed.keys() == {"digestPublicKeyFingerprint", member}
    assert flipped(told(before.digests[1])[member].encode(), changed[member].encode())[1:] == []
    assert after.digests[2:] == before.digests[2:]
    assert verify_digest(after.digests[1], after.keys).sound
    key = after.keys[challenge._Key.fingerprint]
    assert (key.fingerprint, key.start, key.end) == (
        challenge._Key.fingerprint,
        min(one.start for one in before.keys.values()),
        max(one.end for one in before.keys.values()),
    )


@pytest.mark.parametrize(("text", "flip"), [("0ab", "1ab"), ("1ab", "0ab"), ("f00", "000")])
def test_one_digit_is_flipped(text: str, flip: str) -> None:
    assert challenge._flip(text) == flip


def test_a_signature_is_flipped_and_stays_that_of_its_digest() -> None:
    before, after = tampered("a digit of a signature flipped")
    one, other = (copy.digests[1].metadata["signature"].encode() for copy in (before, after))
    assert [at for at, _ in flipped(one, other)] == [-len(one)]


def test_empty_log_is_tampered_with_like_any_other() -> None:
    copy = challenge._Copy([], {(BUCKET, "k"): gzip.compress(b"")}, {})
    challenge._log_text(copy)
    assert gzip.decompress(copy.bodies[BUCKET, "k"]) != b""


def test_pass_tells_what_was_challenged() -> None:
    finding = challenged().findings["OQ-09"]
    assert finding.verdict is Verdict.PASS
    assert finding.message == "Each of 20 tampers was caught, and the untouched copy was not."
    assert len(finding.observations["sample"]) == 5
    assert finding.actual["a log planted"] == "rejected: planted"


def _sees_no(*kinds: Kind) -> Callable[[Problems, Any], None]:
    """Return a way to take note of problems that lets some kinds by."""
    add = Problems.add

    def blind(self: Problems, problem: Any) -> None:
        if problem.kind not in kinds:
            add(self, problem)

    return blind


@pytest.mark.parametrize(
    ("kind", "missed"),
    [
        (Kind.HASH, ["a byte of a log's text flipped", "two logs swapped"]),
        (
            Kind.CONTENT,
            ["a byte of a log's gzip flipped", "bytes put behind a log", "a byte of a digest's gzip flipped"],
        ),
        (Kind.DELETED, ["a log dropped"]),
        (Kind.PLANTED, ["a log planted"]),
        (Kind.ALGORITHM, ["a weaker algorithm declared"]),
        (
            Kind.LINK,
            ["a previous hash forged, and signed", "a previous signature forged, and signed", "a digest dropped"],
        ),
        (Kind.LOCATION, ["the time of a digest shifted", "two digests exchanged"]),
        (
            Kind.SIGNATURE,
            ["the text of a digest changed", "a digit of a signature flipped", "a signature taken away",
             "a digest signed anew by another key", "a digest that names a foreign key"],
        ),
    ],
    ids=str,
)  # fmt: skip
def test_blind_verifier_is_found_out(monkeypatch: pytest.MonkeyPatch, kind: Kind, missed: list[str]) -> None:
    sample = sample_of()
    monkeypatch.setattr(Problems, "add", _sees_no(kind))
    assert [one.name for one in challenge.challenge(sample) if not one.caught] == missed


def _signature_is_there(raw: RawDigest, *_: Any) -> None:
    if "signature" not in raw.metadata:
        raise digest._Wrong(Kind.SIGNATURE, "has no signature")


def _all_sound(raw: RawDigest, keys: Any) -> Verified:
    return replace(verify_digest(raw, keys), problems=())


def _none_sound(raw: RawDigest, keys: Any) -> Verified:
    return replace(verify_digest(raw, keys), problems=(UNBELIEVED,))


def _hashes_alike(body: bytes, limit: int) -> Content:
    return replace(inflate(body, limit), sha256="00" * 32)


class _Young(LogBook):
    """Takes every unnamed log for one that is yet to be named."""

    def __init__(self, window: Any, tallies: Any, _: Any) -> None:
        super().__init__(window, tallies, lambda *_: Naming.YOUNG)


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        pytest.param(digest, "_hold_signature", lambda *_: None, id="no signature is asked for"),
        pytest.param(digest, "_hold_signature", _signature_is_there, id="any signature will do"),
        pytest.param(chain, "_wrong_link", lambda *_: "", id="no link is held"),
        pytest.param(chain.Coverage, "gaps", lambda *_: [], id="no gap is seen"),
        pytest.param(LogBook, "_settle_unnamed", lambda *_: None, id="nothing planted is seen"),
        pytest.param(LogBook, "_settle_named", lambda *_: None, id="no log is held"),
        pytest.param(digest, "SIGNED_WITH", "SHA1withRSA", id="another algorithm is asked for"),
        pytest.param(challenge, "inflate", _hashes_alike, id="every hash is the same"),
        pytest.param(challenge, "verify_digest", _all_sound, id="every digest is sound"),
        pytest.param(challenge, "verify_digest", _none_sound, id="no digest is sound"),
        pytest.param(challenge, "LogBook", _Young, id="every log is too young"),
    ],
)
def test_broken_verifier_does_not_pass(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, broken: Any) -> None:
    delivery = challenged().delivery
    monkeypatch.setattr(owner, name, broken)
    (finding,) = oq_09(snapshot_of(trail_of(SHAPE), delivery), parameters())
    assert finding.verdict is not Verdict.PASS
    assert "did not catch it" in finding.message or "not sound" in finding.message


# what is challenged


def test_sample_with_a_spoilt_log_proves_nothing() -> None:
    world = WORLD.copy()
    world.change(next(iter(sample_of().bodies)), body=gzip.compress(b'{"Records": []}'))
    finding = challenged(world).findings["OQ-09"]
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "The copy that is challenged is not sound: hash." in finding.message


def test_sample_whose_log_is_gone_proves_nothing() -> None:
    world = WORLD.copy()
    world.drop(next(iter(sample_of().bodies)))
    finding = challenged(world).findings["OQ-09"]
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "no three sound digests" in finding.message


def test_encryption_is_not_what_is_challenged() -> None:
    world = WORLD.copy()
    world.change(next(iter(sample_of().bodies)), key=OTHER_KEY)
    assert challenged(world).findings["OQ-09"].verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("shape", "passes"),
    [
        pytest.param(SHAPE, True, id="logs each hour"),
        pytest.param(replace(SHAPE, pattern=(0, 0, 2)), True, id="two within an hour"),
        pytest.param(replace(SHAPE, quiet=(HOME,)), True, id="in another Region only"),
        pytest.param(replace(SHAPE, pattern=(0,)), False, id="no log"),
        pytest.param(replace(SHAPE, restarts=((2, 0), (4, 0), (6, 0))), False, id="no three in a row"),
        pytest.param(replace(SHAPE, moved=3), True, id="in two buckets"),
        pytest.param(replace(SHAPE, rotated=3), True, id="by two keys"),
        pytest.param(replace(SHAPE, prefix="a/b"), True, id="under a prefix"),
        pytest.param(replace(SHAPE, backfilled=(2, 4, 6)), False, id="around a backfill"),
    ],
)
def test_sample(shape: Shape, passes: bool) -> None:
    finding = challenged(delivered(shape), shape).findings["OQ-09"]
    assert finding.verdict is (Verdict.PASS if passes else Verdict.INCONCLUSIVE), finding.message


KEYS = sample_of().keys


def rows(world: World = WORLD, region: str = HOME) -> list[tuple[RawDigest, Verified]]:
    made = []
    for one in world.digests:
        if one.region == region:
            name, item = digest_name(Place(BUCKET), one.key), world.get((one.bucket, one.key))
            assert name is not None
            raw = RawDigest(one.bucket, one.key, name, item.body, item.metadata)
            made.append((raw, verify_digest(raw, KEYS)))
    return made


def test_sample_is_three_or_four_digests_in_a_row_and_two_logs() -> None:
    sample = choose_sample(rows(), {})
    assert sample is not None
    assert [raw.key for raw in sample.digests] == [raw.key for raw, _ in rows()[:3]]
    assert len({log.sha256 for log in sample.wanted}) == 2


def test_unsound_digest_is_in_no_sample() -> None:
    spoilt = rows()
    spoilt[1] = spoilt[1][0], replace(spoilt[1][1], problems=(UNBELIEVED,))
    sample = choose_sample(spoilt, {})
    assert sample is not None
    assert sample.digests[0].key == spoilt[2][0].key


def test_digest_that_does_not_follow_begins_another_row() -> None:
    sample = choose_sample([row for number, row in enumerate(rows()) if number != 1], {})
    assert sample is not None
    assert sample.digests[0].key == rows()[2][0].key


def test_logs_of_the_same_content_are_one() -> None:
    # the links are held by what the digests say, which stays as it was
    empty = hashlib.sha256(b"{}").hexdigest()

    def alike(one: Digest) -> Digest:
        return replace(one, logs=tuple(NamedLog(log.bucket, log.key, empty) for log in one.logs))

    same = [(raw, replace(one, digest=alike(one.digest))) for raw, one in rows() if one.digest]
    assert choose_sample(same, {}) is None


def test_nothing_to_choose_from() -> None:
    assert choose_sample([], {}) is None
