"""The book of logs: what the digests name and what lies in the bucket, held together in any order."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fixtures.delivered import ACCOUNT, BASE, BUCKET, HOME, HOUR, KEY, MINUTE
from hypothesis import given
from hypothesis import strategies as st

from kit.digests.digest import NamedLog
from kit.digests.names import Place, log_name
from kit.digests.objects import Read, Stored, Version
from kit.digests.problems import Kind
from kit.digests.reconcile import Encrypted, LogBook, Naming, Owner, Tally, history

pytestmark = pytest.mark.pinned
OWN: Owner = ("gxp", HOME)
OTHER: Owner = ("other", HOME)
WINDOW = (BASE, BASE + 10 * HOUR)
DIGEST = "s3://gxp-logs/digest"
SHA, ANOTHER = "aa" * 32, "bb" * 32


def key_at(minute: datetime = BASE + HOUR, unique: str = "AbCdEfGhIjKlMnOp") -> str:
    folder = f"AWSLogs/{ACCOUNT}/CloudTrail/{HOME}/{minute:%Y/%m/%d}"
    return f"{folder}/{ACCOUNT}_CloudTrail_{HOME}_{minute:%Y%m%dT%H%MZ}_{unique}.json.gz"


def stored_at(key: str, *, deleted: bool = False, modified: datetime = BASE + HOUR, size: int = 10) -> Stored:
    return Stored(BUCKET, key, (Version("v2", modified, size, deleted),))


def read_of(key: str, **told: Any) -> Read:
    return Read(BUCKET, key, "", **{"encryption": "aws:kms", "encryption_key": KEY, "sha256": SHA, "size": 5} | told)


class Book:
    """A book for one trail, or several, and what settling it told."""

    def __init__(
        self, naming: Naming | Mapping[Owner, Naming] = Naming.DONE, owners: tuple[Owner, ...] = (OWN,)
    ) -> None:
        self.tallies = {owner: Tally() for owner in owners}
        told = naming if isinstance(naming, Mapping) else dict.fromkeys(owners, naming)
        self.book = LogBook(WINDOW, self.tallies, lambda owner, _: told[owner])

    def name(self, key: str, sha256: str = SHA, owner: Owner = OWN, **told: Any) -> "Book":
        self.book.name(owner, NamedLog(BUCKET, key, sha256, **told), DIGEST)
        return self

    def take(self, key: str, read: Read | None = None, stored: Stored | None = None, **options: Any) -> "Book":
        found = stored or stored_at(key)
        self.book.take(found, log_name(Place(BUCKET), key), read, **options)
        return self

    def settled(self, owner: Owner = OWN, before: datetime | None = None) -> Tally:
        self.book.settle(before)
        return self.tallies[owner]


def counts(tally: Tally) -> dict[Kind, int]:
    return tally.problems.counts


def test_named_and_intact() -> None:
    key = key_at()
    tally = Book().name(key, newest=BASE + 50 * MINUTE).take(key, read_of(key)).settled()
    assert (tally.objects, tally.named, tally.intact, counts(tally)) == (1, 1, 1, {})
    assert tally.lags == {10: 1}
    assert tally.encryption[("aws:kms", KEY)].count == 1


@pytest.mark.parametrize("first", ["name", "object"])
def test_order_does_not_matter(first: str) -> None:
    key, book = key_at(), Book()
    steps = [lambda: book.name(key), lambda: book.take(key, read_of(key))]
    for step in steps if first == "name" else reversed(steps):
        step()
    assert book.settled().intact == 1


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        pytest.param({"sha256": ANOTHER}, Kind.HASH, id="content"),
        pytest.param({"sha256": ""}, Kind.HASH, id="no hash"),
        pytest.param({"sha256": "", "problem": "is no sound gzip"}, Kind.CONTENT, id="gzip"),
        pytest.param({"sha256": "", "failure": "could not be read: 403"}, Kind.UNREAD, id="refused"),
        pytest.param({"sha256": "", "failure": "could not be read: 404", "missing": True}, Kind.DELETED, id="gone"),
    ],
)
def test_named_and_not_intact(read: dict[str, Any], kind: Kind) -> None:
    key = key_at()
    tally = Book().name(key).take(key, read_of(key, **read)).settled()
    assert (counts(tally), tally.intact) == ({kind: 1}, 0)


def test_named_and_not_read() -> None:
    key = key_at()
    assert counts(Book().name(key).take(key, None).settled()) == {Kind.UNREAD: 1}


def test_named_and_not_there() -> None:
    key = key_at()
    tally = Book().name(key).settled()
    assert counts(tally) == {Kind.DELETED: 1}
    assert tally.problems.of()[0].object == f"s3://{BUCKET}/{key}"


def test_named_and_deleted() -> None:
    key = key_at()
    tally = Book().name(key).take(key, None, stored_at(key, deleted=True)).settled()
    assert counts(tally) == {Kind.DELETED: 1}
    assert "was deleted at 2026-01-05 21:00:00 UTC" in tally.problems.of()[0].detail


def test_named_by_two_digests() -> None:
    key = key_at()
    assert counts(Book().name(key).name(key).take(key, read_of(key)).settled()) == {Kind.DUPLICATE: 1}


def test_named_by_two_trails() -> None:
    key, book = key_at(), Book(owners=(OWN, OTHER))
    book.name(key).name(key, owner=OTHER).take(key, read_of(key)).settled()
    assert [(tally.named, counts(tally)) for tally in book.tallies.values()] == [(1, {}), (1, {})]


def test_named_under_no_name_of_a_log() -> None:
    key = f"AWSLogs/{ACCOUNT}/CloudTrail/{HOME}/2026/01/05/x.json.gz"
    assert counts(Book().name(key).take(key, read_of(key)).settled()) == {Kind.LOCATION: 1}


def test_log_of_another_trail_is_not_counted() -> None:
    key, book = key_at(), Book(owners=(OWN, OTHER))
    own = book.name(key, owner=OTHER).take(key, read_of(key)).settled()
    assert (own.objects, own.named, counts(own)) == (0, 0, {})
    assert book.tallies[OTHER].intact == 1


# named by no digest


@pytest.mark.parametrize(
    ("naming", "kind"),
    [(Naming.DONE, Kind.PLANTED), (Naming.UNKNOWN, Kind.UNATTRIBUTED), (Naming.YOUNG, None)],
    ids=["planted", "not attributed", "young"],
)
@pytest.mark.parametrize("deleted", [False, True], ids=["there", "deleted"])
def test_unnamed(naming: Naming, kind: Kind | None, deleted: bool) -> None:
    key = key_at()
    read = None if deleted else read_of(key)
    tally = Book(naming).take(key, read, stored_at(key, deleted=deleted)).settled()
    assert counts(tally) == ({kind: 1} if kind else {})
    assert tally.young == (0 if kind else 1)
    assert tally.objects == (0 if deleted else 1)


@pytest.mark.parametrize(
    ("own", "other", "kind"),
    [
        (Naming.DONE, Naming.DONE, Kind.PLANTED),
        (Naming.DONE, Naming.YOUNG, None),
        (Naming.YOUNG, Naming.DONE, None),
        (Naming.DONE, Naming.UNKNOWN, Kind.UNATTRIBUTED),
        (Naming.YOUNG, Naming.UNKNOWN, Kind.UNATTRIBUTED),
        (Naming.UNKNOWN, Naming.DONE, Kind.UNATTRIBUTED),
        (Naming.UNKNOWN, Naming.UNKNOWN, Kind.UNATTRIBUTED),
    ],
)
def test_unnamed_among_several_trails(own: Naming, other: Naming, kind: Kind | None) -> None:
    key, book = key_at(), Book({OWN: own, OTHER: other}, (OWN, OTHER))
    tally = book.take(key, read_of(key)).settled()
    assert counts(tally) == counts(book.tallies[OTHER]) == ({kind: 1} if kind else {})
    assert tally.objects == 0  # whose it is can't be told


def test_no_trail_delivers_here() -> None:
    tally = Tally()
    book = LogBook(WINDOW, {}, lambda *_: Naming.DONE)
    book.take(stored_at(key_at()), log_name(Place(BUCKET), key_at()), None)
    book.settle()
    assert counts(tally) == {}


@pytest.mark.parametrize(
    ("minute", "told"),
    [
        (WINDOW[0] - MINUTE, False),
        (WINDOW[0], True),
        (WINDOW[1] - MINUTE, True),
        (WINDOW[1], False),
        (datetime(9999, 12, 31, 23, 59, tzinfo=UTC), False),
    ],
    ids=["before", "start", "last minute", "end", "end of the calendar"],
)
def test_unnamed_counts_only_within_the_window(minute: datetime, told: bool) -> None:
    key = key_at(minute)
    assert counts(Book().take(key, read_of(key)).settled()) == ({Kind.PLANTED: 1} if told else {})


@pytest.mark.parametrize(
    ("key", "size", "told"),
    [
        *(("x", 0, True), ("folder/", 0, False), ("folder/", 1, True), ("folder/x", 1, True)),
        ("x_20260105T2100Z_y.json.gz", 1, True),
    ],
)
def test_no_name_of_a_log(key: str, size: int, told: bool) -> None:
    key = f"AWSLogs/{ACCOUNT}/CloudTrail/{HOME}/2026/01/05/{key}"
    tally = Book(Naming.YOUNG).take(key, None, stored_at(key, size=size)).settled()
    assert counts(tally) == ({Kind.PLANTED: 1} if told else {})


# settling in parts


def test_what_is_not_old_enough_waits() -> None:
    early, late, book = key_at(BASE + HOUR), key_at(BASE + 5 * HOUR), Book()
    for key in (early, late):
        book.take(key, read_of(key))
    assert counts(book.settled(before=BASE + 3 * HOUR)) == {Kind.PLANTED: 1}
    assert not book.book.names(BUCKET, late)
    book.name(late)
    assert book.book.names(BUCKET, late)
    tally = book.settled()
    assert (tally.intact, counts(tally)) == (1, {Kind.PLANTED: 1})
    assert not book.book.names(BUCKET, late)


def test_what_waits_keeps_nothing_behind_it_from_being_settled() -> None:
    early, late, book = key_at(BASE + HOUR), key_at(BASE + 5 * HOUR), Book()
    book.take(late, read_of(late), Stored("a", late, stored_at(late).versions)).take(early, read_of(early))
    assert counts(book.settled(before=BASE + 3 * HOUR)) == {Kind.PLANTED: 1}


def test_log_of_the_moment_up_to_which_is_settled_waits() -> None:
    key, book = key_at(BASE + HOUR), Book()
    assert counts(book.take(key, read_of(key)).settled(before=BASE + HOUR)) == {}
    assert counts(book.settled(before=BASE + HOUR + MINUTE)) == {Kind.PLANTED: 1}


def test_so_many_names_are_examples() -> None:
    found = Encrypted()
    for number in range(30):
        found.add(read_of(f"k{number}"))
    assert (found.count, len(found.examples)) == (30, 20)


def test_bytes_of_all_objects_are_summed() -> None:
    tally = Tally()
    for stored in (3, 4):
        tally.take(read_of("k", stored=stored), BASE.date())
    assert tally.stored == 7


def test_name_without_its_object_waits_for_it() -> None:
    key, book = key_at(BASE + 5 * HOUR), Book()
    book.name(key).settled(before=BASE + 3 * HOUR)
    assert book.take(key, read_of(key)).settled().intact == 1


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 9)), max_size=12), st.integers(1, 4))
def test_settling_in_parts_tells_the_same(logs: list[tuple[bool, bool, int]], parts: int) -> None:
    keys = [key_at(BASE + hour * HOUR, f"unique{number:010}") for number, (_, _, hour) in enumerate(logs)]
    whole, split = Book(), Book()
    for book in (whole, split):
        for key, (named, there, _) in zip(keys, logs, strict=True):
            if named:
                book.name(key)
            if there:
                book.take(key, read_of(key))
    for part in range(1, parts):
        split.settled(before=BASE + timedelta(hours=10) * part / parts)
    one, other = whole.settled(), split.settled()
    assert (counts(one), one.intact, one.named) == (counts(other), other.intact, other.named)
    expected = {
        Kind.DELETED: sum(named and not there for named, there, _ in logs),
        Kind.PLANTED: sum(there and not named for named, there, _ in logs),
    }
    assert counts(one) == {kind: count for kind, count in expected.items() if count}


# versions

NEWEST = Version("v3", BASE + 3 * HOUR, 10)
OLDER = Version("v2", BASE + 2 * HOUR, 10)
MARKER = Version("v1", BASE + HOUR, 0, deleted=True)


def older(sha256: str = SHA, **told: Any) -> Read:
    return Read(BUCKET, "k", "v2", sha256=sha256, **told)


@pytest.mark.parametrize(
    ("versions", "reads", "sha256", "kinds"),
    [
        pytest.param((NEWEST,), (), SHA, [], id="one version"),
        pytest.param((NEWEST, OLDER), (older(),), SHA, [], id="same content"),
        pytest.param((NEWEST, OLDER), (older(ANOTHER),), SHA, [Kind.REPLACED], id="other content"),
        pytest.param((NEWEST, OLDER), (older(""),), "", [Kind.UNREAD], id="neither is sound"),
        pytest.param((NEWEST, OLDER), (), SHA, [Kind.UNREAD], id="not read"),
        pytest.param((NEWEST, OLDER), (older(failure="403"),), SHA, [Kind.UNREAD], id="refused"),
        pytest.param((NEWEST, MARKER), (), SHA, [Kind.REPLACED], id="put back"),
        pytest.param((NEWEST, OLDER, MARKER), (older(ANOTHER),), SHA, [Kind.REPLACED] * 2, id="both"),
        pytest.param((NEWEST, OLDER, MARKER), (older(),), SHA, [Kind.REPLACED], id="put back before"),
        pytest.param(
            (NEWEST, OLDER, MARKER), (), SHA, [Kind.UNREAD, Kind.REPLACED], id="not read, and put back before"
        ),
        pytest.param(
            (NEWEST, OLDER, MARKER), (older(),), "", [Kind.UNREAD, Kind.REPLACED], id="not sound, and put back"
        ),
    ],
)
def test_history(versions: tuple[Version, ...], reads: tuple[Read, ...], sha256: str, kinds: list[Kind]) -> None:
    assert [problem.kind for problem in history(Stored(BUCKET, "k", versions), reads, sha256)] == kinds


def test_replaced_log_tells_where_its_content_is() -> None:
    key = key_at()
    stored = Stored(BUCKET, key, (NEWEST, OLDER))
    before = Read(BUCKET, key, "v2", sha256=SHA)
    tally = Book().name(key).take(key, read_of(key, sha256=ANOTHER), stored, others=[before]).settled()
    assert counts(tally) == {Kind.HASH: 1, Kind.REPLACED: 1}
    assert "version v2 has that content" in tally.problems.of(Kind.HASH)[0].detail


def test_older_version_that_could_not_be_read_is_under_no_encryption() -> None:
    key = key_at()
    others = [read_of(key, failure="could not be read: 403"), read_of(key, encryption="AES256", encryption_key="")]
    tally = Book().name(key).take(key, read_of(key), others=others).settled()
    assert {kind: one.count for kind, one in tally.encryption.items()} == {("aws:kms", KEY): 1, ("AES256", ""): 1}


def test_version_whose_content_was_put_back_is_found_among_several() -> None:
    key = key_at()
    reads = [Read(BUCKET, key, "v1", sha256=ANOTHER), Read(BUCKET, key, "v2", sha256=SHA)]
    stored = Stored(BUCKET, key, (NEWEST, OLDER, replace(OLDER, id="v1")))
    tally = Book().name(key).take(key, read_of(key, sha256=ANOTHER), stored, others=reads).settled()
    assert "version v2 has that content" in tally.problems.of(Kind.HASH)[0].detail


# tallies


def test_encryption_is_counted_with_its_first_and_last_time() -> None:
    found = Encrypted()
    for hour in (2, 1, 3):
        found.add(read_of(f"k{hour}", modified=BASE + hour * HOUR))
    assert (found.count, found.first, found.last) == (3, BASE + HOUR, BASE + 3 * HOUR)
    assert (found.oldest, found.newest) == (f"s3://{BUCKET}/k1", f"s3://{BUCKET}/k3")


def test_unread_objects_are_counted_and_the_first_is_told() -> None:
    tally = Tally()
    tally.take(read_of("a", failure="could not be read: 403"), BASE.date())
    tally.take(read_of("b", failure="could not be read: 500"), BASE.date())
    assert (tally.objects, tally.unread, tally.encryption) == (2, 2, {})
    assert tally.days == {BASE.date(): {None: 2}}
    assert tally.failure == f"s3://{BUCKET}/a could not be read: 403"


def test_lag_data_keys_and_unsearched_logs_are_counted() -> None:
    keys = [key_at(BASE + HOUR, f"unique{number:010}") for number in range(4)]
    book = Book()
    for key, found in zip(keys, ({"a": 2}, {"a": 1, "b": 1}, None, None), strict=True):
        book.name(key, newest=BASE + HOUR).take(key, read_of(key, data_keys=found))
    tally = book.settled()
    assert (tally.data_keys, tally.unsearched, tally.lags) == ({"a": 3, "b": 1}, 2, {0: 4})


def test_first_of_several_objects_of_one_time_is_told() -> None:
    found = Encrypted()
    for name in ("k1", "k2"):
        found.add(read_of(name, modified=BASE))
    assert (found.oldest, found.newest) == (f"s3://{BUCKET}/k1", f"s3://{BUCKET}/k1")
