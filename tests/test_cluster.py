"""The objects of a run, read in partitions: by whom makes no difference, nothing is taken on trust, and none passes
unread.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest
import yaml
from fixtures.dask_cluster import DaskCluster, wait_until
from fixtures.operational import judged, verdicts
from fixtures.runs import PEOPLE

from kit.collect import cluster as clusters
from kit.collect import partition as partitions
from kit.collect.cluster import Cluster, Spread, connect
from kit.collect.gather import gather, gather_again
from kit.collect.ledger import encode_line, read_ledger
from kit.collect.partition import Partition, Reached, kit_identity, read_partition
from kit.collect.readers import Storage
from kit.collect.signing import Bucket
from kit.digests.objects import Wanted
from kit.errors import ExecutionError
from kit.evidence import EvidenceStore, timestamp, utc_now
from kit.findings import Verdict
from kit.parameters import RunParameters
from kit.record.history import histories
from kit.record.register import REGISTER, read_register
from kit.review.events import changes_in
from kit.sandbox.account import LOG_BUCKET, REGION
from kit.sandbox.server import CREDENTIALS, Sandbox
from kit.sections import Target

TRAILKIT = Path(sys.executable).with_name("trailkit")
ACCOUNT = "123456789012"
NOW = utc_now()
NOBODY = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "")
ON_OBJECTS = ("OQ-02", "OQ-03", "OQ-04", "OQ-05", "OQ-07")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(delivery={"hours": 48}) as started, patch.dict(os.environ, started.environment):
        yield started


@pytest.fixture
def cluster(sandbox, tmp_path) -> Iterator[Callable[..., DaskCluster]]:
    """Starts a cluster, with a worker for each environment."""
    started = []

    def start(*environments: dict[str, str]) -> DaskCluster:
        folder = tmp_path / "dask"
        folder.mkdir()
        started.append(DaskCluster(folder, *(sandbox.environment | one for one in environments)))
        with connect(started[0].address) as client:
            client.wait_for_workers(len(environments), timeout=60)
        return started[0]

    yield start
    for one in started:
        one.stop()


WINDOW = {"start": timestamp(NOW - timedelta(hours=46)), "end": timestamp(NOW - timedelta(hours=3))}


def collected(sandbox: Sandbox, folder: Path, of: Cluster | None = None, progress: Any = lambda *_: None) -> Any:
    parameters = RunParameters.load(sandbox.parameters | {"window": WINDOW})
    with ThreadPoolExecutor(8) as executor:
        snapshot = gather("OQ", parameters, EvidenceStore(folder), CREDENTIALS, executor, progress, cluster=of)
    return snapshot, parameters


def found(snapshot: Any, parameters: RunParameters) -> Any:
    return {case: [one.to_json() for one in findings] for case, findings in judged(snapshot, parameters).items()}


def lines(folder: Path) -> Any:
    """Return the lines of the ledgers in their order, without what S3 says of each request."""
    told = {name: list(read_ledger(folder, name)) for name in ("listings", "logs", "kept")}
    for line in (line for each in told.values() for line in each):
        for name in ("date", "x-amz-request-id"):
            line["headers"].pop(name, None)
    return told


def reads_by_worker(client: Any) -> Counter[str]:
    """Return how many partitions each worker has read."""
    done = client.get_task_stream()
    return Counter(one["worker"] for one in done if str(one["key"]).startswith("read_partition"))


def tasks(client: Any) -> list[str]:
    """Return the tasks that the scheduler has, whatever their state."""
    return list(client.run_on_scheduler(lambda dask_scheduler: [str(key) for key in dask_scheduler.tasks]))


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
class TestOnWorkers:
    def test_two_workers_one_of_which_is_killed_find_what_one_process_finds(self, sandbox, cluster, tmp_path) -> None:
        started = cluster({}, {})
        alone, parameters = collected(sandbox, tmp_path / "alone")
        with connect(started.address) as client:
            reads_by_worker(client)

            def told(phase: str, done: int, *_: int) -> None:
                if phase == "Log files and digests" and done > 150 and started.workers[0].poll() is None:
                    assert len(reads_by_worker(client)) == 2
                    started.workers[0].kill()
                    started.workers[0].wait()

            spread, _ = collected(sandbox, tmp_path / "spread", Cluster(started.address, 2, 8), told)
            assert started.workers[0].poll() is not None
            wait_until(lambda: not tasks(client), 10)
        assert found(spread, parameters) == found(alone, parameters)
        assert lines(tmp_path / "spread") == lines(tmp_path / "alone")
        with ThreadPoolExecutor(1) as executor:
            again = gather_again("OQ", parameters, tmp_path / "spread", executor, lambda *_: None)
        assert found(again, parameters) == found(spread, parameters)
        assert set(verdicts(judged(spread, parameters)).values()) == {Verdict.PASS}

    @pytest.mark.parametrize(
        ("lost", "message"),
        [("scheduler", "the cluster did not read what it was to read"), ("workers", "the cluster has no worker left")],
    )
    def test_without_scheduler_or_workers_the_run_ends(
        self, lost, message, sandbox, cluster, tmp_path, monkeypatch
    ) -> None:
        monkeypatch.setattr(clusters, "_PATIENCE_S", 1)
        started = cluster({})

        def told(phase: str, done: int, *_: int) -> None:
            if phase == "Log files and digests" and done > 150:
                for process in started.workers if lost == "workers" else started.processes[:1]:
                    process.kill()
                    process.wait()

        began = time.monotonic()
        with pytest.raises(ExecutionError, match=message):
            collected(sandbox, tmp_path / "e", Cluster(started.address, 2, 8), told)
        assert time.monotonic() - began < 60

    def test_a_run_that_breaks_off_takes_its_partitions_back(self, sandbox, cluster, tmp_path) -> None:
        started = cluster({})

        def told(phase: str, done: int, *_: int) -> None:
            if phase == "Log files and digests" and done > 150:
                raise KeyboardInterrupt

        with connect(started.address) as client:
            # what is held of the error keeps whatever was not closed alive
            with pytest.raises(KeyboardInterrupt) as broken:
                collected(sandbox, tmp_path / "e", Cluster(started.address, 2, 8), told)
            wait_until(lambda: not tasks(client), 10)
            wait_until(lambda: not any(client.processing().values()), 10)
            assert broken.value

    def test_what_a_worker_without_credentials_was_to_read_is_inconclusive(self, sandbox, cluster, tmp_path) -> None:
        started = cluster({}, NOBODY)
        snapshot, parameters = collected(sandbox, tmp_path / "e", Cluster(started.address, 2, 8))
        findings = judged(snapshot, parameters)
        assert {case: verdicts(findings)[case] for case in ON_OBJECTS} == dict.fromkeys(
            ON_OBJECTS, Verdict.INCONCLUSIVE
        )
        assert any("no usable AWS credentials" in one.message for case in ON_OBJECTS for one in findings[case])


@pytest.mark.slow
class TestCommand:
    """The kernel of a run connects by itself, wherever it runs."""

    def test_one_target_is_spread(self, sandbox, cluster, tmp_path) -> None:
        started = cluster({}, {})
        path = tmp_path / "parameters.yaml"
        path.write_text(yaml.safe_dump(sandbox.parameters | {"execution": PEOPLE, "window": WINDOW}))
        with connect(started.address) as client:
            reads_by_worker(client)
            command = [TRAILKIT, "run", "oq", "-f", path, "--dask", started.address, "--output", tmp_path / "o"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
            assert done.returncode == 0, done.stdout + done.stderr
            assert len(reads_by_worker(client)) == 2
        (record,) = (tmp_path / "o").glob("OQ-*")
        cells = json.loads((record / "record.ipynb").read_bytes())["cells"]
        outputs = [one for cell in cells for one in cell.get("outputs", ())]
        assert not [one for one in outputs if one["output_type"] == "stream"]
        said = f"objects were read by the workers of the cluster {started.address}, each signed in for itself."
        assert said in (record / "record.html").read_text()

    def test_interrupted_it_leaves_no_process_and_no_partition(self, sandbox, cluster, tmp_path) -> None:
        started = cluster({}, {})
        path = tmp_path / "parameters.yaml"
        path.write_text(yaml.safe_dump(sandbox.parameters | {"execution": PEOPLE, "window": WINDOW}))
        with connect(started.address) as client:
            reads_by_worker(client)
            command = [TRAILKIT, "run", "oq", "-f", path, "--dask", started.address, "--output", tmp_path / "o"]
            running = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                cwd=tmp_path,
                # whoever started the tests may have them ignore it
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
            )
            wait_until(lambda: reads_by_worker(client))
            (kernel,) = children(running.pid)
            running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=60)
            assert running.returncode == 3, said
            assert not Path("/proc", str(kernel)).exists()
            wait_until(lambda: not tasks(client), 10)
            wait_until(lambda: not any(client.processing().values()), 10)
        entries = read_register(tmp_path / "o" / REGISTER)
        assert [one.state for one in histories(entries).values()] == ["aborted"]

    def test_targets_that_hold_every_slot_still_have_their_objects_read(self, sandbox, cluster, tmp_path) -> None:
        started = cluster({})
        told = sandbox.parameters | {"execution": PEOPLE, "window": WINDOW}
        path = tmp_path / "targets.yaml"
        path.write_text(yaml.safe_dump({"defaults": told, "targets": [{"name": "a"}, {"name": "b"}]}))
        with connect(started.address) as client:
            reads_by_worker(client)
            command = [TRAILKIT, "run", "oq", "--targets", path, "--dask", started.address, "--output", tmp_path / "o"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300)
            told = [line.split()[:4] for line in done.stdout.splitlines()[:2]]
            assert told == [["1/2", "a", "OQ", "PASS"], ["2/2", "b", "OQ", "PASS"]], done.stderr
            assert sum(reads_by_worker(client).values()) > 2


class Here(ThreadPoolExecutor):
    """Stands in for a cluster of two threads, which do `work`; notes how many objects the partitions have."""

    def __init__(self, work: Callable[[Partition], Any]) -> None:
        super().__init__(2)
        self.work, self.sizes = work, []

    def nthreads(self) -> dict[str, int]:
        return {"a": 1, "b": 1}

    def submit(self, function: Any, partition: Partition, *, pure: bool) -> Any:
        assert not pure
        assert function is read_partition
        self.sizes.append(len(partition.wanted))
        return super().submit(self.work, pickle.loads(pickle.dumps(partition)))  # noqa: S301 - our own

    def close(self) -> None:
        """Be closed as a client is."""


def echoed(partition: Partition) -> list[bytes]:
    absent = {"status": None, "headers": {}, "failure": "not asked", "attempts": 1}
    return [encode_line(absent | vars_of(one)) for one in partition.wanted]


def vars_of(one: Wanted) -> dict[str, str]:
    return {"bucket": one.bucket, "key": one.key, "version": one.version}


@pytest.fixture
def spread() -> Iterator[Callable[..., Any]]:
    """Reads so many objects by what stands in for a cluster."""
    opened = []

    def read(work: Any, count: int, smallest: int = 1, largest: int = 1024) -> tuple[list[str], Here]:
        here = Here(work)
        one = Spread(Cluster("tcp://127.0.0.1:1", smallest, largest), TARGET, REGION)
        one._client = here
        opened.append(one)
        wanted = [Wanted("logs", f"{number:04}") for number in range(count)]
        found = []
        for _, told in one.read(wanted, lambda _: STORAGE, lambda *_: None):
            found.append(told.key)
            assert sum(here.sizes) - len(found) < 5 * max(here.sizes)
        return found, here

    yield read
    for one in opened:
        one.close()


TARGET, REACHED = Target(account_id=ACCOUNT), Reached(REGION, ACCOUNT)
STORAGE = Storage(Bucket("https://logs.example", REGION), None, None, proxied=False, account=ACCOUNT)


class TestSpread:
    def test_lines_come_in_the_order_asked_for_whoever_is_done_first(self, spread) -> None:
        slow = threading.Event()

        def work(partition: Partition) -> list[bytes]:
            if partition.wanted[0].key == "0000":
                slow.wait(10)
            else:
                slow.set()
            return echoed(partition)

        found, _ = spread(work, 40, 1, 5)
        assert found == [f"{number:04}" for number in range(40)]

    @pytest.mark.parametrize(
        ("count", "sizes"),
        [(16, {2}), (160, {20}), (100_000, {1024, 672}), (3, {1})],
        ids=["few", "some", "many", "fewer-than-threads"],
    )
    def test_every_thread_gets_partitions_none_is_larger_than_the_largest_and_few_are_ahead(
        self, count, sizes, spread
    ) -> None:
        found, here = spread(echoed, count)
        assert (len(found), set(here.sizes)) == (count, sizes)

    def test_no_credential_is_in_what_travels(self, spread) -> None:
        seen = []
        spread(lambda partition: seen.append(partition) or echoed(partition), 2)
        assert seen[0].reached == {"logs": Reached(REGION, ACCOUNT)}
        assert {type(value).__name__ for value in vars(seen[0]).values()} <= {
            "str", "Target", "dict", "tuple", "NoneType",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("work", "message"),
        [
            (lambda partition: echoed(partition)[:-1], "brought back other objects"),
            (lambda partition: echoed(partition)[::-1], "brought back other objects"),
            (lambda partition: [line.replace(b"not asked", b"\xff") for line in echoed(partition)], "can't be read"),
            (lambda _: "the worker on x has other files", "the worker on x has other files"),
            (lambda _: 1 // 0, r"the cluster did not read what it was to read \(ZeroDivisionError"),
        ],
        ids=["too-few", "other-order", "no-line", "another-kit", "raised"],
    )
    def test_what_a_worker_should_not_bring_back_ends_the_run(self, work, message, spread) -> None:
        with pytest.raises(ExecutionError, match=message) as told:
            spread(work, 2 if "other" in message else 1, smallest=2)
        assert "without --dask" in told.value.remedy

    def test_few_objects_are_read_here(self) -> None:
        one = Spread(Cluster("tcp://127.0.0.1:1", 64), TARGET, REGION)
        assert not one.is_worth(127)
        assert one.is_worth(128)


class TestPartition:
    """What a worker does, in this process."""

    @pytest.fixture
    def part(self, sandbox) -> Callable[..., Partition]:
        def part(run: str, kit: str = "", reached: Any = REACHED, **target: Any) -> Partition:
            told = sandbox.parameters["target"] | target
            wanted = (Wanted(LOG_BUCKET, "no-such-object"),)
            return Partition(run, kit or kit_identity(), Target(**told), REGION, {LOG_BUCKET: reached}, wanted, None)

        return part

    def told(self, partition: Partition) -> Any:
        (line,) = read_partition(partition)
        return json.loads(line)

    def test_an_object_is_read_with_the_credentials_of_the_worker(self, part) -> None:
        assert self.told(part("1"))["status"] == 404

    def test_a_worker_without_credentials_asks_nothing_unsigned_and_says_so(self, part, monkeypatch) -> None:
        for name in NOBODY:
            monkeypatch.delenv(name)
        told = self.told(part("2"))
        assert told["status"] is None
        assert "can't read: no usable AWS credentials" in told["failure"]

    def test_a_role_that_the_worker_may_not_assume_is_told(self, part) -> None:
        told = self.told(part("3", role_arn=f"arn:aws:iam::{ACCOUNT}:role/Nobody"))
        assert told["status"] is None
        assert f"assuming arn:aws:iam::{ACCOUNT}:role/Nobody" in told["failure"]

    def test_a_bucket_that_the_run_can_not_reach_is_not_reached_by_the_worker_either(self, part) -> None:
        assert self.told(part("4", reached="AccessDenied"))["failure"] == "AccessDenied"

    def test_what_is_looked_for_in_logs_travels_with_a_partition(self, part, sandbox) -> None:
        client = boto3.client("s3", REGION, endpoint_url=sandbox.endpoint)
        listed = client.list_objects_v2(Bucket=LOG_BUCKET, Prefix=f"AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/")
        search = partial(changes_in, names=frozenset(["x"]), account=ACCOUNT)
        wanted = (Wanted(LOG_BUCKET, listed["Contents"][0]["Key"]),)
        told = self.told(pickle.loads(pickle.dumps(replace(part("6"), wanted=wanted, search=search))))  # noqa: S301
        assert (told["status"], told["changes"], "data_keys" in told) == (200, [], False)

    def test_another_kit_reads_nothing(self, part) -> None:
        assert "has other files of the kit" in read_partition(part("5", kit="0" * 64))

    def test_a_worker_signs_in_once_for_a_run_and_again_after_a_while(self, part, monkeypatch) -> None:
        made = []
        whole = partitions.readers_to
        monkeypatch.setattr(partitions, "readers_to", lambda *told: made.append(1) or whole(*told))
        partitions._seats().clear()
        for run in ("a", "a", "b", "a"):
            self.told(part(run))
        assert len(made) == 2
        monkeypatch.setattr(partitions.time, "monotonic", lambda now=partitions.time.monotonic: now() + 1801)
        self.told(part("a"))
        assert len(made) == 3
        assert list(partitions._seats()) == ["a"]

    def test_a_thread_keeps_few_sign_ins(self, part) -> None:
        partitions._seats().clear()
        for run in "abcdef":
            self.told(part(run))
        assert list(partitions._seats()) == ["c", "d", "e", "f"]

    def test_after_a_failure_the_next_partition_has_new_connections(self, part, monkeypatch) -> None:
        monkeypatch.setattr(partitions, "read_lines", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            read_partition(part("z"))
        assert "z" not in partitions._seats()
