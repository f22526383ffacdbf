"""What was delivered, collected and judged: a clean delivery passes whatever its shape, a spoilt one never does."""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from fixtures.delivered import (
    ACCOUNT,
    BASE,
    BUCKET,
    CHECKS,
    DENIED,
    ELSEWHERE,
    HOME,
    HOUR,
    KEY,
    MEMBER,
    MINUTE,
    ORGANIZATION,
    OTHER_KEY,
    REGIONS,
    RENAMED,
    THIRD,
    FakeObjects,
    Item,
    Outcome,
    Shape,
    World,
    delivered,
    judge,
    later,
    seal,
    signing_key,
    trail_of,
)
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from kit.collect import deliveries
from kit.collect.objects import Progress
from kit.digests.objects import Listing, Query, Read, Wanted
from kit.findings import Verdict

pytestmark = pytest.mark.pinned
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE

Place = tuple[str, str]
SHAPE = Shape(hours=7)
START, END = BASE + HOUR + 10 * MINUTE, BASE + 4 * HOUR + 30 * MINUTE
WINDOW = (START, END)
WORLD = delivered(SHAPE)

# what the window settles: the digests whose periods meet it, and the logs that they name
SETTLED = [digest for digest in WORLD.digests if digest.start < END and digest.end > START]
DIGESTS = [(digest.bucket, digest.key) for digest in SETTLED]
LOGS = [(log.bucket, log.key) for digest in SETTLED for log in digest.logs]
OUTSIDE = [place for place in WORLD.places() if place not in {*DIGESTS, *LOGS}]


@contextmanager
def batches(days: int, areas: int = 128) -> Iterator[None]:
    """Collect of so many accounts and Regions at a time, so many days at first, and then one at a time."""
    size = {"_AREAS": areas, "_DAYS": days, "_BATCH": 0}
    with patch.multiple(deliveries, **size):
        yield


def content(body: bytes) -> bytes | None:
    """Return what a body holds as Python's gzip reads it, or None where it is no sound one."""
    try:
        return gzip.decompress(body)
    except (EOFError, OSError, zlib.error):
        return None


def told(world: World, place: Place | None = None, shape: Shape = SHAPE) -> Outcome:
    """Hold that a spoilt world passes in no way, and that a finding names what was spoilt."""
    outcome = judge(world, shape, WINDOW)
    assert outcome.verdict is FAIL, outcome.open
    if place is not None:
        assert outcome.names(place), outcome.open
    return outcome


def test_clean() -> None:
    outcome = judge(WORLD.copy(), SHAPE, WINDOW, cases=CHECKS)
    assert outcome.open == {}
    read = [digest for digest in WORLD.digests if START < digest.end <= END + 2 * HOUR]
    assert outcome.delivery.logs.named == outcome.delivery.logs.intact == sum(len(digest.logs) for digest in read)
    assert outcome.delivery.digests.objects == len(read)


@settings(max_examples=400)
@given(st.sampled_from(DIGESTS + LOGS), st.integers(0, 1 << 16), st.integers(0, 7))
def test_flipped_bit(place: Place, at: int, bit: int) -> None:
    world = WORLD.copy()
    body = bytearray(world.get(place).body)
    body[at % len(body)] ^= 1 << bit
    world.change(place, body=bytes(body))
    if content(body) == content(WORLD.get(place).body):
        # hashes cover the uncompressed content: a time or a name in the gzip header is none of it
        assert judge(world, SHAPE, WINDOW).verdict in (PASS, FAIL)
    else:
        told(world, place)


def test_gzip_header_is_no_content() -> None:
    world = WORLD.copy()
    for place in DIGESTS + LOGS:
        world.change(place, body=gzip.compress(content(world.get(place).body) or b"", 9, mtime=1))
    assert judge(world, SHAPE, WINDOW, cases=CHECKS).open == {}


_ENCRYPTIONS = [("", ""), ("aws:kms", OTHER_KEY), ("aws:kms", ""), ("aws:kms:dsse", OTHER_KEY), ("aws:fsx", "")]


@given(
    st.one_of(
        st.tuples(st.sampled_from(LOGS), st.sampled_from([*_ENCRYPTIONS, ("AES256", "")])),
        st.tuples(st.sampled_from(DIGESTS), st.sampled_from(_ENCRYPTIONS)),
    )
)
def test_other_encryption(spoilt: tuple[Place, tuple[str, str]]) -> None:
    place, (algorithm, key) = spoilt
    world = WORLD.copy()
    world.change(place, algorithm=algorithm, key=key)
    told(world, place)


@given(
    st.sampled_from(DIGESTS),
    st.sampled_from(["signature", "signature-algorithm"]),
    st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126)) | st.from_regex(r"[0-9a-f]{256}"),
)
def test_other_metadata(place: Place, name: str, value: str | None) -> None:
    world = WORLD.copy()
    metadata = {**world.get(place).metadata, name: value}
    assume(metadata != world.get(place).metadata)
    world.change(place, metadata={known: text for known, text in metadata.items() if text is not None})
    told(world, place)


@given(st.sampled_from(LOGS))
def test_dropped_log(place: Place) -> None:
    world = WORLD.copy()
    world.drop(place)
    told(world, place)


@given(st.sampled_from(SETTLED))
def test_dropped_digest(digest: Any) -> None:
    world = WORLD.copy()
    place = digest.bucket, digest.key
    world.drop(place)
    outcome = told(world)
    # the next digest names the one that is gone; of the first one in the window no digest is held against it
    head = digest.start <= START
    assert outcome.names(place) is not head
    assert outcome.findings["OQ-06"].verdict is FAIL
    assert digest.region in outcome.findings["OQ-06"].message
    assert ("the head of the window is cut off" in outcome.findings["OQ-06"].message) is head


def _other_names(place: Place) -> list[Place]:
    """Return other names that the trail's own objects could have within the window."""
    bucket, key = place
    region = HOME if f"/{HOME}/" in key else ELSEWHERE
    names = {key.replace(region, other) for other in REGIONS[:2]}
    folder, _, name = key.rpartition("/")
    if "CloudTrail-Digest" in key:
        parts = name.removesuffix(".json.gz").split("_")
        names |= {
            key.replace(".json.gz", "_backfill.json.gz"),
            f"{folder}/{name.replace('_gxp_', '_evil_')}",
            f"{folder}/{name.replace(f'_{HOME}_2', f'_{THIRD}_2')}",
            *(f"{folder}/{name.replace(parts[-1], f'20260105T{hour}3000Z')}" for hour in (21, 22, 23)),
        }
    else:
        stamp, unique = name.split("_")[3:]
        names |= {
            f"{folder}/{name.replace(unique, 'AbCdEfGhIjKlMnOp.json.gz')}",
            *(f"{folder}/{name.replace(stamp, f'20260105T{hour}15Z')}" for hour in (22, 23)),
        }
    return [(bucket, other) for other in sorted(names - {key})]


@settings(max_examples=200)
@given(st.sampled_from([(place, other) for place in DIGESTS + LOGS for other in _other_names(place)]))
def test_duplicated(pair: tuple[Place, Place]) -> None:
    place, other = pair
    world = WORLD.copy()
    assume(other not in world.places())
    minute = re.search(r"_CloudTrail_.*_(\d{8}T\d{4})Z_", other[1])
    assume(minute is None or minute[1] >= f"{START:%Y%m%dT%H%M}")  # one before the window is none of its log files
    world.put(other, world.get(place))
    told(world, other)


@given(st.data(), st.sampled_from([DIGESTS, LOGS]), st.booleans())
def test_exchanged(data: st.DataObject, kind: list[Place], whole: bool) -> None:
    first, second = data.draw(st.lists(st.sampled_from(kind), min_size=2, max_size=2, unique=True))
    world = WORLD.copy()
    one, other = world.get(first), world.get(second)
    for place, item in ((first, other), (second, one)):
        world.change(place, **({"body": item.body} | ({"metadata": item.metadata} if whole else {})))
    told(world, first)
    told(world, second)


@given(st.sampled_from(DIGESTS + LOGS), st.integers(0, 1 << 16))
def test_truncated(place: Place, length: int) -> None:
    world = WORLD.copy()
    body = world.get(place).body
    world.change(place, body=body[: length % len(body)])
    told(world, place)


@given(st.sampled_from(DIGESTS + LOGS), st.binary(min_size=1, max_size=40) | st.just(gzip.compress(b"\n")))
@example(LOGS[0], b"\0")
@example(DIGESTS[0], b"\0" * 512)
def test_extended(place: Place, tail: bytes) -> None:
    world = WORLD.copy()
    world.change(place, body=world.get(place).body + tail)
    told(world, place)


@given(st.sampled_from(SHAPE.regions), st.integers(0, 4), st.integers(1, 5))
def test_digests_deleted_in_a_row(region: str, first: int, count: int) -> None:
    run = [digest for digest in SETTLED if digest.region == region][first : first + count]
    assume(run)
    world = WORLD.copy()
    for digest in run:
        world.drop((digest.bucket, digest.key))
    finding = told(world).findings["OQ-06"]
    assert finding.verdict is FAIL
    assert f"{ACCOUNT} {region}" in finding.message


@given(st.sampled_from(OUTSIDE), st.booleans())
def test_objects_outside_the_window_are_not_judged(place: Place, gone: bool) -> None:
    """But for what is read beside it: digests that end within two hours behind it, and what they name."""
    digests = [one for one in WORLD.digests if START < one.end <= END + 2 * HOUR]
    assume(place not in {(one.bucket, one.key) for one in digests})
    assume(place not in {(log.bucket, log.key) for one in digests for log in one.logs})
    world = WORLD.copy()
    world.drop(place) if gone else world.change(place, body=b"", metadata={}, algorithm="")
    assert judge(world, SHAPE, WINDOW).open == {}


# clean worlds of every shape


@st.composite
def _clean(draw: st.DrawFn) -> tuple[list[Shape], tuple[datetime, datetime], datetime]:
    first = draw(st.integers(1, 5))
    length = draw(st.integers(2, 6))
    hours = first + length + draw(st.integers(5, 8))
    upto_now = draw(st.booleans())
    regions = draw(st.sampled_from([(HOME,), (HOME, ELSEWHERE), (ELSEWHERE, HOME), REGIONS]))
    organization = draw(st.booleans())
    starting = draw(st.booleans())
    event = draw(st.sampled_from(["", "backfilled", "restarted before", "restarted after", "moved"]))
    changed: dict[str, Any] = {}
    if event == "backfilled" and not upto_now:
        at = draw(st.integers(1, 6))
        changed = {
            "backfilled": tuple(range(at, at + draw(st.integers(1, 3)))),
            "relinked": draw(st.booleans()),
        }
    elif event == "restarted before":
        changed = {"restarts": ((first, draw(st.integers(0, first - 1))),)}
    elif event == "restarted after" and not upto_now:
        changed = {"restarts": ((first + length + draw(st.integers(1, 3)), draw(st.integers(0, 2))),)}
    elif event == "moved":
        changed = {"moved": draw(st.integers(0, hours))}
    shape = Shape(
        hours=hours,
        pattern=draw(st.sampled_from([(1,), (2, 1), (0, 1), (3, 0, 0, 1)])),
        regions=regions,
        home=draw(st.sampled_from(regions)),
        accounts=(ACCOUNT, MEMBER) if organization else (ACCOUNT,),
        organization=ORGANIZATION if organization else "",
        quiet=draw(st.sampled_from([(), regions[1:], regions[:-1]])),
        offsets=tuple(draw(st.lists(st.integers(0, 59), min_size=1, max_size=3))),
        lag=draw(st.integers(0, 25)),
        delay=draw(st.integers(0, 50)),
        prefix=draw(st.sampled_from(["", "gxp", "a/b", "AWSLogs"])),
        starting=starting,
        rotated=draw(st.none() | st.integers(0, hours)),
        digest_encryption=draw(st.sampled_from([("aws:kms", KEY), ("AES256", "")])),
        **changed,
    )
    shapes = [shape]
    if draw(st.booleans()):
        offset = (draw(st.integers(0, 59)),)
        shapes.append(replace(shape, trail="other", offsets=offset, rotated=shape.rotated, restarts=(), backfilled=()))
    # behind every Region's first period, or behind that of a restart
    start = BASE + first * HOUR + draw(st.integers(60, 110)) * MINUTE
    if draw(st.booleans()):
        start = start.replace(minute=0) + HOUR
    end = start + length * HOUR + draw(st.integers(0, 59)) * MINUTE * draw(st.integers(0, 1))
    if event == "restarted after" and not upto_now:
        end = min(end, BASE + (shape.restarts[0][0] - shape.restarts[0][1]) * HOUR)
    assume(start < end)
    return shapes, (start, end), end if upto_now else later(shape)


def _delivered(clean: tuple[list[Shape], tuple[datetime, datetime], datetime]) -> tuple[World, list[Any]]:
    """Return a world in which something is settled, and the judged trail's own digests that the window settles."""
    (shape, *others), window, now = clean
    world = delivered(shape, *others, now=now)
    own = [one for one in world.digests if f"_{shape.trail}_" in one.key]
    # where a trail delivered before is told by its first digest in the new bucket
    assume(shape.moved is None or any((one.bucket, one.region) == (BUCKET, shape.home) for one in own))
    due = min(window[1], now - 2 * HOUR)
    assume(due > window[0])
    return world, [one for one in own if one.end > window[0] and one.start < due]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(_clean(), st.sampled_from([2, 4]), st.sampled_from([1, 2, 128]))
def test_every_clean_world_passes(
    clean: tuple[list[Shape], tuple[datetime, datetime], datetime], days: int, areas: int
) -> None:
    world, own = _delivered(clean)
    (shape, *others), window, now = clean
    assume(any(log.minute >= window[0] for one in own for log in one.logs))
    with batches(days, areas):
        scope = {"others": tuple(trail_of(other) for other in others)}
        outcome = judge(world, shape, window, now, scope=scope)
    assert outcome.open == {}


def _dropped(world: World, place: Place) -> None:
    world.drop(place)


def _other_content(world: World, place: Place) -> None:
    world.change(place, body=gzip.compress((content(world.get(place).body) or b"").replace(b"0", b"1", 1), mtime=0))


def _no_checksum(world: World, place: Place) -> None:
    world.change(place, body=world.get(place).body[:-8] + bytes(8))


def _not_encrypted(world: World, place: Place) -> None:
    world.change(place, algorithm="", key="")


def _marked_deleted(world: World, place: Place) -> None:
    world.put(place, Item(b"", BASE, version="v2", deleted=True), world.get(place))


def _overwritten(world: World, place: Place) -> None:
    world.put(place, replace(world.get(place), version="v2"), Item(b"", BASE, version="v1"))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    _clean(),
    st.sampled_from([2, 4]),
    st.sampled_from([1, 2, 128]),
    st.data(),
    st.sampled_from([_dropped, _other_content, _no_checksum, _not_encrypted, _marked_deleted, _overwritten]),
)
def test_no_spoilt_world_passes(
    clean: tuple[list[Shape], tuple[datetime, datetime], datetime],
    days: int,
    areas: int,
    data: st.DataObject,
    spoil: Callable[[World, Place], None],
) -> None:
    world, settled = _delivered(clean)
    (shape, *others), window, now = clean
    place = data.draw(
        st.sampled_from(
            [(one.bucket, one.key) for one in settled] + [(log.bucket, log.key) for one in settled for log in one.logs]
        )
    )
    spoil(world, place)
    with batches(days, areas):
        scope = {"others": tuple(trail_of(other) for other in others)}
        outcome = judge(world, shape, window, now, scope=scope)
    assert outcome.verdict is FAIL, outcome.open
    # a digest that is gone is named by the one behind it, where there is one to be held against it
    assert outcome.names(place) or spoil is _dropped


def test_a_window_of_weeks_is_collected_batch_by_batch() -> None:
    """Logs of the last hour of a day, and of its last minute, are named by digests of the next day, and next batch."""
    shape = Shape(hours=24 * 40, pattern=(1, 0, 0, 1, 1, 0), regions=(HOME,), offsets=(17,), lag=20)
    world, window = delivered(shape), (BASE + HOUR, BASE + (24 * 40 - 3) * HOUR)
    objects = FakeObjects(world)
    with batches(4):
        outcome = judge(world, shape, window, objects=objects)
    assert outcome.open == {}
    digests = [one for one in world.digests if window[0] < one.end <= window[1] + 2 * HOUR]
    assert outcome.delivery.logs.intact == sum(len(one.logs) for one in digests)
    assert any(f"{log.minute:%H%M}" == "2359" for one in digests for log in one.logs)
    assert max(Counter((one.bucket, one.key) for one in objects.read if not one.keep).values()) == 1


def test_an_organization_is_collected_a_few_accounts_at_a_time() -> None:
    class Counted(FakeObjects):
        """Counts the objects that are listed and read at a time."""

        most = 0

        def list_folders(self, queries: Sequence[Query]) -> list[Listing]:
            listings = super().list_folders(queries)
            self.most = max(self.most, sum(len(listing.objects) for listing in listings))
            return listings

        def read_objects(self, wanted: Sequence[Wanted], progress: Progress) -> list[Read]:
            self.most = max(self.most, len(wanted))
            return super().read_objects(wanted, progress)

    def collected(accounts: int) -> tuple[Outcome, Counted, int]:
        members = tuple(f"{number:012}" for number in range(1, accounts))
        shape = replace(SHAPE, organization=ORGANIZATION, accounts=(ACCOUNT, *members))
        world = delivered(shape)
        objects = Counted(world)
        with batches(4, 6):
            return judge(world, shape, WINDOW, cases=CHECKS, objects=objects), objects, len(world.places())

    (few, at_once, there), (many, at_a_time, more) = collected(3), collected(12)
    assert few.open == many.open == {}
    assert more == 4 * there
    assert many.delivery.logs.intact == 4 * few.delivery.logs.intact > 0
    assert at_a_time.most <= at_once.most + len(REGIONS)  # and what tells where the trail delivered before
    assert few.delivery.sample == many.delivery.sample


@pytest.mark.parametrize("moved", [1, 2, 4, 5, 6, 7, 9, 31])
@pytest.mark.parametrize("offsets", [(0,), (0, 50), (50, 0)], ids=str)
def test_bucket_that_was_exchanged_before_within_or_behind_the_window(moved: int, offsets: tuple[int, ...]) -> None:
    shape = Shape(hours=34, moved=moved, offsets=offsets)
    assert judge(delivered(shape), shape, WINDOW).open == {}


# what is broken is told by its name


@pytest.mark.parametrize(
    ("shape", "cases", "sentence"),
    [
        pytest.param({"restarts": ((3, 0),)}, {"OQ-04", "OQ-06"}, "begins anew within the window", id="restart"),
        pytest.param(
            {"restarts": ((3, 1),)},
            {"OQ-04", "OQ-06"},
            "nothing is covered before the chain begins anew, from 2026-01-05 22:00:00 UTC to 2026-01-05 23:00:00 UTC",
            id="restart behind a gap",
        ),
        pytest.param(
            {"starting": True, "restarts": ((2, 2),)}, {"OQ-06"}, "the head of the window is cut off", id="late"
        ),
        pytest.param({"hours": 4}, {"OQ-06"}, "the tail of the window is cut off", id="tail"),
    ],
)  # fmt: skip
def test_broken_chain(shape: dict[str, Any], cases: set[str], sentence: str) -> None:
    broken = Shape(**{"hours": 7} | shape)
    outcome = judge(delivered(broken), broken, WINDOW)
    assert set(outcome.open) == cases
    assert {outcome.findings[case].verdict for case in cases} == {FAIL}
    assert sentence in outcome.findings["OQ-06"].message


def test_restart_that_the_status_tells_still_breaks_the_window() -> None:
    shape = replace(SHAPE, restarts=((3, 1),))
    outcome = judge(delivered(shape), shape, WINDOW, status={"StartLoggingTime": BASE + 3 * HOUR})
    assert set(outcome.open) == {"OQ-06"}
    assert "restarts accounted for" in outcome.findings["OQ-04"].observations


def test_nothing_found() -> None:
    outcome = judge(World(), SHAPE, WINDOW, cases=CHECKS)
    verdicts = {case: one.verdict for case, one in outcome.findings.items()}
    assert verdicts == dict.fromkeys(CHECKS, INCONCLUSIVE) | {"OQ-06": FAIL}
    assert "no digest was found" in outcome.findings["OQ-06"].message
    assert "No digest of" in outcome.findings["OQ-04"].message
    assert "no three sound digests" in outcome.findings["OQ-09"].message


def test_no_logs() -> None:
    shape = replace(SHAPE, pattern=(0,))
    outcome = judge(delivered(shape), shape, WINDOW)
    assert set(outcome.open) == {"OQ-02", "OQ-05"}
    assert outcome.verdict is INCONCLUSIVE
    assert "names a log file" in outcome.findings["OQ-05"].message


def test_nothing_settled() -> None:
    now = BASE + 5 * HOUR
    outcome = judge(delivered(SHAPE, now=now), SHAPE, (now - HOUR, now), now)
    assert outcome.verdict is INCONCLUSIVE
    assert "No digest of the window is settled yet" in outcome.findings["OQ-06"].message


@pytest.mark.parametrize("region", SHAPE.regions)
def test_region_without_a_digest(region: str) -> None:
    world = WORLD.copy()
    for digest in WORLD.digests:
        if digest.region == region:
            world.drop((digest.bucket, digest.key))
    outcome = told(world)
    assert f"{ACCOUNT} {region}: no digest was found" in outcome.findings["OQ-06"].message


def test_member_without_a_digest_leaves_open_whether_its_region_is_enabled() -> None:
    shape = replace(SHAPE, organization=ORGANIZATION, accounts=(ACCOUNT, MEMBER))
    world = delivered(shape)
    for bucket, key in world.places():
        if f"/{MEMBER}/" in key and f"/{ELSEWHERE}/" in key:
            world.drop((bucket, key))
    outcome = judge(world, shape, WINDOW)
    assert set(outcome.open) == {"OQ-06"}
    assert outcome.verdict is INCONCLUSIVE
    assert f"{MEMBER} {ELSEWHERE} has no digest" in outcome.findings["OQ-06"].message


def test_members_that_are_not_stated_leave_coverage_open() -> None:
    shape = replace(SHAPE, organization=ORGANIZATION, accounts=(ACCOUNT, MEMBER))
    outcome = judge(delivered(shape), shape, WINDOW, expected={"organization_accounts": None})
    assert set(outcome.open) == {"OQ-06"}
    assert "expected.organization_accounts is not stated" in outcome.findings["OQ-06"].message


# what could not be had is never taken for sound


_FOLDERS = [
    f"AWSLogs/{ACCOUNT}/{kind}/{region}/"
    for kind in ("CloudTrail", "CloudTrail-Digest")
    for region in (HOME, ELSEWHERE)
]


@pytest.mark.parametrize("folder", ["", *_FOLDERS])
def test_folder_that_can_not_be_listed(folder: str) -> None:
    outcome = judge(WORLD.copy(), SHAPE, WINDOW, cases=CHECKS, objects=FakeObjects(WORLD, [folder]))
    for case, finding in outcome.findings.items():
        assert finding.verdict is not PASS, case
        assert "AccessDenied" in finding.message
    # what is not known is not known to be missing
    assert outcome.findings["OQ-06"].verdict is INCONCLUSIVE or not folder


@settings(max_examples=40)
@given(
    st.sampled_from(DIGESTS + LOGS), st.sampled_from([(403, "AccessDenied"), (503, "SlowDown"), (500, "InternalError")])
)
def test_object_that_can_not_be_read(place: Place, failure: tuple[int, str]) -> None:
    outcome = judge(WORLD.copy(), SHAPE, WINDOW, objects=FakeObjects(WORLD, unreadable={place: failure}))
    assert outcome.verdict is INCONCLUSIVE
    assert any("s3://{}/{}".format(*place) in message and failure[1] in message for message in outcome.open.values())


@pytest.mark.parametrize("region", SHAPE.regions)
def test_public_keys_that_can_not_be_listed(region: str) -> None:
    outcome = judge(WORLD.copy(), SHAPE, WINDOW, cases=CHECKS, denied=[region])
    assert set(outcome.open) >= {"OQ-04", "OQ-05", "OQ-06", "OQ-07"}
    assert outcome.verdict is INCONCLUSIVE
    assert f"cloudtrail:ListPublicKeys in {region} gave no value" in outcome.findings["OQ-04"].message


def test_log_that_is_gone_when_it_is_read() -> None:
    outcome = judge(WORLD.copy(), SHAPE, WINDOW, objects=FakeObjects(WORLD, unreadable={LOGS[0]: (404, "NoSuchKey")}))
    assert outcome.findings["OQ-05"].verdict is FAIL
    assert outcome.findings["OQ-07"].verdict is FAIL


# versions


def versioned(world: World, place: Place, *older: Item) -> None:
    item = replace(world.get(place), version="v9")
    world.put(place, item, *(replace(one, version=f"v{number}") for number, one in enumerate(older)))


@given(st.sampled_from(DIGESTS + LOGS), st.binary(max_size=20))
def test_replaced(place: Place, text: bytes) -> None:
    world = WORLD.copy()
    versioned(world, place, replace(world.get(place), body=gzip.compress(text), modified=BASE))
    told(world, place)


@given(st.sampled_from(DIGESTS + LOGS))
def test_same_content_delivered_twice(place: Place) -> None:
    world = WORLD.copy()
    versioned(world, place, world.get(place))
    assert judge(world, SHAPE, WINDOW).open == {}


@given(st.sampled_from(DIGESTS + LOGS))
def test_deleted_and_put_back(place: Place) -> None:
    world = WORLD.copy()
    versioned(world, place, Item(b"", BASE, deleted=True), world.get(place))
    told(world, place)


@given(st.sampled_from(DIGESTS + LOGS))
def test_deleted(place: Place) -> None:
    world = WORLD.copy()
    world.put(place, Item(b"", later(SHAPE), version="v2", deleted=True), replace(world.get(place), version="v1"))
    told(world, place)


@given(st.sampled_from(DIGESTS + LOGS))
def test_older_version_that_can_not_be_read(place: Place) -> None:
    world = WORLD.copy()
    versioned(world, place, world.get(place))
    objects = FakeObjects(world)
    line = objects._line
    objects._line = lambda wanted: line(wanted) | ({"status": 403, "body": ""} if wanted.version else {})  # type: ignore[method-assign]
    outcome = judge(world, SHAPE, WINDOW, objects=objects)
    assert set(outcome.open) >= {"OQ-07"}
    assert outcome.verdict is INCONCLUSIVE


def test_versions_of_one_key_in_two_buckets_are_told_apart() -> None:
    shape = replace(SHAPE, moved=3)
    world = delivered(shape)
    place = next((one.bucket, one.key) for one in world.logs if one.bucket == BUCKET and one.minute < END)
    item = world.get(place)
    world.put(place, replace(item, version="null"), replace(item, version="v1", body=gzip.compress(b"another")))
    world.put((RENAMED, place[1]), replace(item, version="null"), replace(item, version="v1"))
    assert judge(world, shape, WINDOW).names(place)


# planted


@pytest.mark.parametrize(
    ("key", "body"),
    [
        pytest.param(f"AWSLogs/{ACCOUNT}/CloudTrail/{HOME}/2026/01/05/x.json.gz", b"", id="among logs"),
        pytest.param(f"AWSLogs/{ACCOUNT}/CloudTrail/{HOME}/2026/01/06/", b"x", id="folder that is none"),
        pytest.param(f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{HOME}/2026/01/05/x", b"", id="among digests"),
        pytest.param(f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{HOME}/2026/01/06/", b"x", id="digest folder that is none"),
    ],
)
def test_object_without_a_name_of_cloudtrail(key: str, body: bytes) -> None:
    world = WORLD.copy()
    world.put((BUCKET, key), Item(body, BASE))
    outcome = told(world, (BUCKET, key))
    assert set(outcome.open) == {"OQ-07"}


@pytest.mark.parametrize("kind", ["CloudTrail", "CloudTrail-Digest"])
def test_folder_that_the_console_made(kind: str) -> None:
    world = WORLD.copy()
    world.put((BUCKET, f"AWSLogs/{ACCOUNT}/{kind}/{HOME}/2026/01/06/"), Item(b"", BASE))
    assert judge(world, SHAPE, WINDOW).open == {}


def test_objects_of_other_kinds_are_none_of_the_trail() -> None:
    world = WORLD.copy()
    for key in (
        "readme.txt",
        f"AWSLogs/{ACCOUNT}/Config/x",
        f"AWSLogs/{ACCOUNT}/CloudTrail-Insight/{HOME}/2026/01/05/x",
    ):
        world.put((BUCKET, key), Item(b"", BASE))
    assert judge(world, SHAPE, WINDOW).open == {}


def _forged(world: World, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Place:
    """Put in the place of a digest one that says something else, signed by a key that is not CloudTrail's."""
    digest = SETTLED[1]
    foreign = signing_key(99)
    said = {**digest.told, "digestPublicKeyFingerprint": foreign.fingerprint}
    body, metadata, _ = seal({**said, **change(said)}, foreign)
    world.change((digest.bucket, digest.key), body=body, metadata=metadata)
    return digest.bucket, digest.key


@pytest.mark.parametrize(
    "changed",
    [{}, {"digestEndTime": "9999-12-31T23:59:59Z"}, {"previousDigestS3Bucket": "\ud800"}, {"logFiles": []}],
    ids=["as it was", "end of the calendar", "lone surrogate", "no logs"],
)
def test_forged_digest(changed: dict[str, Any]) -> None:
    world = WORLD.copy()
    told(world, _forged(world, lambda _: changed))


def test_head_that_leads_elsewhere_is_followed_and_believed_in_nothing() -> None:
    """A forged head may send the collector anywhere; what lies there passes for nothing."""
    world = WORLD.copy()
    head = min((one for one in SETTLED if one.region == HOME), key=lambda one: one.end)
    foreign = signing_key(99)
    elsewhere = {"previousDigestS3Bucket": "attacker", "digestPublicKeyFingerprint": foreign.fingerprint}
    body, metadata, _ = seal({**head.told, **elsewhere}, foreign)
    world.change((head.bucket, head.key), body=body, metadata=metadata)
    told(world, (head.bucket, head.key))


# the newest digest, held against the status


def test_tail_cut_off_while_it_is_young() -> None:
    now = BASE + 6 * HOUR + 20 * MINUTE
    world = delivered(SHAPE, now=now)
    window = (START, now)
    assert judge(world, SHAPE, window, now).open == {}
    for digest in world.digests:
        if digest.end > now - HOUR:
            world.drop((digest.bucket, digest.key))
    outcome = judge(world, SHAPE, window, now)
    assert set(outcome.open) == {"OQ-06"}
    assert "The trail's status tells of a digest delivered at" in outcome.findings["OQ-06"].message


@pytest.mark.parametrize("hours", [5, 9, 23], ids=str)
def test_window_that_ended_and_is_not_settled_yet(hours: int) -> None:
    """Where digests may take a day to come, those delivered long behind the window's end are not read."""
    shape = replace(SHAPE, hours=30)
    now = END + hours * HOUR
    scope = {"settling": timedelta(hours=24)}
    world = delivered(shape, now=now)
    outcome = judge(world, shape, (START - 24 * HOUR, END), now, scope=scope)
    assert "latest digest that the status tells" in outcome.findings["OQ-06"].expected
    assert outcome.findings["OQ-06"].met["latest digest that the status tells"] is True


# several trails in one place


def test_log_of_a_trail_without_digests_is_not_attributed() -> None:
    other = replace(SHAPE, trail="other", digested=False)
    outcome = judge(delivered(SHAPE, other), SHAPE, WINDOW, scope={"others": (trail_of(other),)})
    assert set(outcome.open) == {"OQ-07"}
    assert outcome.verdict is INCONCLUSIVE
    assert "those of other don't tell whose it is" in outcome.findings["OQ-07"].message


def test_digests_of_a_trail_that_is_gone_name_its_logs() -> None:
    other = replace(SHAPE, trail="gone", offsets=(29,))
    assert judge(delivered(SHAPE, other), SHAPE, WINDOW).open == {}


@pytest.mark.parametrize("known", [True, False], ids=["described", "gone"])
def test_planted_beside_another_trail(known: bool) -> None:
    other = replace(SHAPE, trail="other", offsets=(29,))
    world = delivered(SHAPE, other)
    planted = BUCKET, LOGS[0][1].rpartition("_")[0].replace("T2059Z", "T2259Z") + "_AbCdEfGhIjKlMnOp.json.gz"
    world.put(planted, world.get(LOGS[0]))
    outcome = judge(world, SHAPE, WINDOW, scope={"others": (trail_of(other),) if known else ()})
    assert set(outcome.open) == {"OQ-07"}
    assert outcome.names(planted)


def test_trails_of_a_region_that_was_not_asked_leave_its_logs_open() -> None:
    other = replace(SHAPE, trail="other", digested=False)
    outcome = judge(delivered(SHAPE, other), SHAPE, WINDOW, scope={"unasked": (THIRD,)})
    assert outcome.findings["OQ-07"].verdict is INCONCLUSIVE
    assert f"any trail of {THIRD}, which was not asked" in outcome.findings["OQ-07"].message


def test_only_what_is_young_is_left_out() -> None:
    now = BASE + 5 * HOUR + 40 * MINUTE
    world = delivered(SHAPE, now=now)
    young, old = (_log_key(now - minutes * MINUTE) for minutes in (10, 100))
    world.put((BUCKET, young), Item(gzip.compress(b"{}"), now))
    assert judge(world, SHAPE, (START, now), now).open == {}
    world.put((BUCKET, old), Item(gzip.compress(b"{}"), now))
    outcome = judge(world, SHAPE, (START, now), now)
    assert outcome.names((BUCKET, old))
    assert not outcome.names((BUCKET, young))


def _log_key(minute: datetime) -> str:
    folder = f"AWSLogs/{ACCOUNT}/CloudTrail/{HOME}/{minute:%Y/%m/%d}"
    return f"{folder}/{ACCOUNT}_CloudTrail_{HOME}_{minute:%Y%m%dT%H%MZ}_plantedplanted00.json.gz"


def test_absence_of_the_keys_is_kept_with_its_reason() -> None:
    outcome = judge(WORLD.copy(), SHAPE, WINDOW, denied=SHAPE.regions)
    assert [answer.absence for answer in outcome.delivery.keys] == [DENIED, DENIED]
    assert "E-keys-eu-central-1" in outcome.findings["OQ-04"].evidence


def test_accepted_key_counts_only_within_its_period() -> None:
    world = WORLD.copy()
    world.change(LOGS[0], key=OTHER_KEY)
    stored = world.get(LOGS[0]).modified
    accepted = {"arn": OTHER_KEY, "start": f"{stored:%Y-%m-%dT%H:%M:%SZ}", "change_control": "CC-1"}
    until = stored + MINUTE
    inside = {"accepted_kms_keys": [accepted | {"end": f"{until:%Y-%m-%dT%H:%M:%SZ}"}]}
    assert judge(world, SHAPE, WINDOW, expected=inside).open == {}
    world.change(LOGS[0], modified=until)
    assert set(judge(world, SHAPE, WINDOW, expected=inside).open) == {"OQ-02"}
    world.change(LOGS[0], modified=stored - timedelta(seconds=1))
    assert set(judge(world, SHAPE, WINDOW, expected=inside).open) == {"OQ-02"}
