"""A run keeps the pace that it is told: evenly, Region by Region, however many threads ask; a replay keeps none."""

import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from fixtures.stub_aws import Reply, Stub

from kit.collect import calls
from kit.collect.pace import DEFAULT, Pace
from kit.collect.readers import Readers
from kit.collect.scope import readers_for
from kit.evidence import EvidenceStore, read_index
from kit.parameters import RunParameters
from kit.recording import Recorder, Replayer
from kit.sandbox.server import CREDENTIALS


class Clock:
    """A clock that sleeping moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class TestPace:
    @pytest.mark.parametrize(
        ("rates", "asked", "seconds"),
        [
            ({"kms": 4}, [("kms", "DescribeKey", "eu-west-1")] * 9, 2.0),
            ({"kms": 4}, [("kms", f"Get{n}", "eu-west-1") for n in range(9)], 2.0),
            ({"kms": 4}, [("kms", "DescribeKey", f"eu-west-{n}") for n in range(9)], 0.0),
            ({"kms": 4}, [("s3", "GetBucketAcl", "eu-west-1")] * 9, 0.0),
            (DEFAULT, [("cloudtrail", "LookupEvents", "eu-west-1")] * 9, 4.0),
            ({}, [("cloudtrail", "LookupEvents", "eu-west-1")] * 9, 0.0),
        ],
        ids=["service", "operations-share", "regions-apart", "not-named", "own-quota", "no-pace"],
    )
    def test_how_long_calls_take(self, rates, asked, seconds) -> None:
        clock = Clock()
        pace = Pace(rates, clock, clock.sleep)
        for one in asked:
            pace.wait(*one)
        assert clock.now - 100.0 == pytest.approx(seconds)

    def test_what_was_not_used_is_not_saved_up(self) -> None:
        clock = Clock()
        pace = Pace({"kms": 4}, clock, clock.sleep)
        pace.wait("kms", "DescribeKey", "eu-west-1")
        clock.now += 60
        began = clock.now
        for _ in range(5):
            pace.wait("kms", "DescribeKey", "eu-west-1")
        assert clock.now - began == pytest.approx(1.0)


class Account:
    """An account that throttles: of the calls of one second it answers so many, whoever makes them."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.recent: deque[float] = deque()
        self.lock = threading.Lock()
        self.told = Counter[str]()

    def __call__(self, _: object) -> Reply:
        with self.lock:
            now = time.monotonic()
            while self.recent and self.recent[0] <= now - 1:
                self.recent.popleft()
            if len(self.recent) >= self.quota:
                self.told["throttled"] += 1
                return Reply(b'{"__type": "ThrottlingException", "message": "Rate exceeded"}', 400)
            self.recent.append(now)
            self.told["answered"] += 1
            return Reply(b'{"trailList": []}')


def ask_often(readers: Readers, often: int) -> None:
    with ThreadPoolExecutor(8) as executor:
        answers = list(
            executor.map(lambda _: readers.ask(calls.DESCRIBE_TRAILS, "eu-west-1", lambda told: told), range(often))
        )
    assert [one.absence for one in answers if one.absence] == []


@pytest.mark.slow
class TestAccount:
    def test_at_its_pace_a_run_is_never_throttled_and_leaves_half_of_the_quota(self, tmp_path) -> None:
        account = Account(10)
        with closing(Stub(account)) as stub:
            options = {"endpoint_url": stub.endpoint, "credentials": CREDENTIALS}
            ask_often(Readers(Recorder(EvidenceStore(tmp_path / "paced")), **options, pace={"cloudtrail": 5}), 15)
            assert account.told == {"answered": 15}
            began = time.monotonic()
            ask_often(Readers(Replayer(tmp_path / "paced"), **options, pace={"cloudtrail": 0.1}), 15)
            assert time.monotonic() - began < 60

    def test_without_one_it_is_throttled_and_comes_to_its_answers_all_the_same(self, tmp_path) -> None:
        account = Account(3)
        with closing(Stub(account)) as stub:
            options = {"endpoint_url": stub.endpoint, "credentials": CREDENTIALS, "attempts": 10}
            ask_often(Readers(Recorder(EvidenceStore(tmp_path / "hasty")), **options), 15)
        assert account.told["answered"] == 15
        assert account.told["throttled"] > 0
        assert len(read_index(tmp_path / "hasty")) == sum(account.told.values())


@pytest.mark.parametrize(
    ("target", "rates"),
    [
        ({}, DEFAULT),
        ({"pace": {"kms": 2}}, {**DEFAULT, "kms": 2}),
        ({"endpoint_url": "http://127.0.0.1:1"}, {}),
        ({"endpoint_url": "http://127.0.0.1:1", "pace": {"kms": 2}}, {**DEFAULT, "kms": 2}),
    ],
    ids=["aws", "stated", "custom-endpoint", "custom-endpoint-stated"],
)
def test_the_pace_is_what_the_parameters_say(target, rates, tmp_path) -> None:
    people = {"executed_by": "A", "system_id": "S", "environment": "sandbox", "protocol_id": "P"}
    told = {"target": {"account_id": "123456789012"} | target, "execution": people}
    readers = readers_for(RunParameters.load(told), Recorder(EvidenceStore(tmp_path / "evidence")))
    kept = dict(readers._pace._rates)  # what it keeps to shows in time only
    assert kept == dict(rates)
