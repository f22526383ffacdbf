"""Measures the verification of log files against AWS's own `aws cloudtrail validate-logs`, on one endpoint, in one run.

Run it with `make bench`. Each side runs in a process of its own, in turn, on the
same objects, and must find all of them valid. Two times: of the whole process, and of the verification alone, from
after its imports, so that a slow start counts for nobody. The ratio is what counts, since machines differ and are
noisy. Then, ours alone on a thousand, ten thousand, a hundred thousand objects: time and memory an object; and beside
the workers of a Dask cluster on this machine (`python tests/bench_integrity.py spread` for that alone).
"""

import contextlib
import io
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fixtures.dask_cluster import cluster_of

ROUNDS = 5
LATENCIES = (0.02, 0.0)
"""Seconds added to each response: a Region's usual, and none."""
HOURS, LOGS_PER_HOUR = 48, 12
SCALES = (1_000, 10_000, 100_000)
SPREAD = 5_000
RECORDS = (20, 500)
"""Events in a log file: of a small account, and of a busy one; each about 1.5 kB."""
ENDPOINT = Path(__file__).resolve().parent / "fixtures" / "fast_endpoint.py"
RSS_UNIT = 1 if sys.platform == "darwin" else 1024

Info = dict[str, Any]
Verify = Callable[[Info], dict[str, int]]
"""Verifies what the endpoint's line describes; returns how many `logs` and `digests` are valid."""


def ours() -> Verify:
    """Import what verifies, and return what to time: describe the trail, collect what it delivered, and judge that."""
    from concurrent.futures import ThreadPoolExecutor
    from datetime import UTC, datetime, timedelta
    from functools import partial

    from kit.checks.delivery import oq_02, oq_03
    from kit.checks.integrity import oq_04, oq_05, oq_06, oq_07
    from kit.collect.account import collect_trails
    from kit.collect.cluster import Cluster, Spread
    from kit.collect.deliveries import collect_delivery
    from kit.collect.keys import collect_metadata
    from kit.collect.live_objects import LiveObjects
    from kit.collect.places import DeliveryScope
    from kit.collect.readers import Readers
    from kit.collect.trails import collect_status
    from kit.evidence import EvidenceStore
    from kit.parameters import RunParameters
    from kit.recording import Recorder
    from kit.snapshot import Answer, Key, Snapshot, Trail

    def verify_ours(info: Info) -> dict[str, int]:
        region, arn = info["region"], info["trail_arn"]
        told = {
            "target": {"account_id": info["account"], "regions": [region], "endpoint_url": info["endpoint"]},
            "expected": {"trail_arn": arn},
            "window": {"start": info["start"], "end": info["end"]},
            "execution": dict.fromkeys(("executed_by", "system_id", "environment", "protocol_id"), "sandbox"),
        }
        parameters = RunParameters.load(told)
        now = datetime.now(UTC)
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(4) as executor:
            store = EvidenceStore(Path(folder) / "evidence")
            readers = Readers(Recorder(store), endpoint_url=info["endpoint"])
            shown = collect_trails(readers, [region], executor, lambda *_, **__: None)
            (described,) = shown[region].value or ()
            named = described["KmsKeyId"]
            key = executor.submit(collect_metadata, readers, named, region, info["account"])
            status = collect_status(readers, arn, region)
            trail = Trail(arn, described, (region,), (), True, status, None, Key(named, key.result()), None)
            scope = DeliveryScope(parameters.window.period(now), now, timedelta(hours=2), (region,))
            spread = Spread(Cluster(info["cluster"]), parameters.account, region) if "cluster" in info else None
            reach = partial(readers.storage, region=region, account=info["account"])
            with LiveObjects(store, reach, spread=spread) as objects:
                delivery = collect_delivery(readers, objects, trail, scope, executor, lambda *_, **__: None)
                objects.close()
            unasked = Answer("", (), value=())
            snapshot = Snapshot(unasked, unasked, {region: unasked}, (trail,), None, {arn: delivery})
            judged = [check(snapshot, parameters) for check in (oq_02, oq_03, oq_04, oq_05, oq_06, oq_07)]
        passed = all(finding.verdict == "PASS" for findings in judged for finding in findings)
        digests = sum(chain.digests for chain in delivery.chains.values())
        return {"logs": delivery.logs.intact, "digests": digests} if passed else {}

    return verify_ours


def theirs() -> Verify:
    """Import the AWS CLI, and return what to time: its command, as its own entry point calls it."""
    try:
        from awscli.clidriver import create_clidriver
    except ImportError:
        sys.exit("no AWS CLI: make clean, then make bench")

    def validate_logs(info: Info) -> dict[str, int]:
        said = io.StringIO()
        window = ["--start-time", info["start"], "--end-time", info["end"]]
        with contextlib.redirect_stdout(said):
            status = create_clidriver().main(["cloudtrail", "validate-logs", "--trail-arn", info["trail_arn"], *window])
        if status:
            sys.exit(f"validate-logs ended with {status}:\n{said.getvalue()}")
        return {kind: _valid(said.getvalue(), kind) for kind in ("logs", "digests")}

    return validate_logs


SIDES = {"trailkit": ours, "aws validate-logs": theirs}


def child(side: str) -> None:
    """Verify what standard input describes, and print what was found and what it took."""
    info = json.load(sys.stdin)
    verify = SIDES[side]()
    start = time.perf_counter()
    valid = verify(info)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"valid": valid, "seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "rss": used.ru_maxrss}))


def run(side: str, info: Info) -> dict[str, float]:
    """Return what a side took in a new process: `whole`, `seconds`, `cpu` with imports (all in s), peak `rss` (MiB)."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, side],
        input=json.dumps(info),
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(info),
        check=False,
    )
    whole = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{side} failed")
    took = json.loads(done.stdout)
    expected = {"logs": info["logs"], "digests": info["digests"]}
    assert took["valid"] == expected, f"{side} found {took['valid']} valid of {expected}"
    return {"whole": whole, "seconds": took["seconds"], "cpu": took["cpu"], "rss": took["rss"] * RSS_UNIT / 2**20}


@contextlib.contextmanager
def endpoint(
    hours: int, latency: float, logs_per_hour: int = LOGS_PER_HOUR, records: int = RECORDS[0]
) -> Iterator[Info]:
    """Serve `hours` of logs, each of so many records, with a latency in seconds; yield the endpoint's line."""
    told = {"latency": latency, "hours": hours, "logs-per-hour": logs_per_hour, "records": records}
    command = [sys.executable, ENDPOINT, *(part for name, value in told.items() for part in (f"--{name}", value))]
    with subprocess.Popen([str(part) for part in command], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()


def compare(latency: float) -> None:
    """Print both sides' times, and their ratio pair by pair."""
    with endpoint(HOURS, latency) as info:
        for side in SIDES:
            run(side, info)
        pairs = []
        for number in range(ROUNDS):
            order = list(SIDES)[:: -1 if number % 2 else 1]
            took = {side: run(side, info) for side in order}
            pairs.append(took)
    print(f"\n{info['logs']} logs and {info['digests']} digests, {latency * 1000:.0f} ms added to each response")
    for name, what in (("whole process", "whole"), ("after imports", "seconds")):
        for side in SIDES:
            print(f"  {side:18} {name:14} {_figures([pair[side][what] for pair in pairs])} s (min, median, max)")
        ratios = [pair["aws validate-logs"][what] / pair["trailkit"][what] for pair in pairs]
        print(f"  {'times faster':18} {name:14} {_figures(ratios)} pair by pair")
    for side in SIDES:
        print(f"  {side:18} {'peak memory':14} {_figures([pair[side]['rss'] for pair in pairs])} MiB")


def scale(objects: int) -> None:
    """Print what ours takes an object, and its peak memory, with no latency added: so it is our own cost."""
    with endpoint(round(objects / (LOGS_PER_HOUR + 1)), 0) as info:
        took = run("trailkit", info)
    count = info["logs"] + info["digests"]
    print(
        f"  {count:7,} objects {took['seconds']:7.2f} s {took['seconds'] / count * 1e6:6.0f} µs an object "
        f"{took['cpu'] / count * 1e6:6.0f} µs of CPU (with imports) {took['rss']:5.0f} MiB"
    )


def spread(objects: int) -> None:
    """Print what a cluster of one worker for each processor takes beside one process, in turn; the ratio counts."""
    workers = os.cpu_count() or 1
    for records in RECORDS:
        with (
            endpoint(round(objects / (LOGS_PER_HOUR + 1)), LATENCIES[0], records=records) as info,
            tempfile.TemporaryDirectory() as folder,
            cluster_of(Path(folder), *[_environment(info)] * workers) as address,
        ):
            spread_over = info | {"cluster": address}
            run("trailkit", spread_over)
            pairs = [(run("trailkit", info), run("trailkit", spread_over)) for _ in range(ROUNDS)]
        here, there = ([pair[side]["seconds"] for pair in pairs] for side in (0, 1))
        own = [statistics.median(pair[side]["cpu"] for pair in pairs) for side in (0, 1)]
        ratios = [one / other for one, other in zip(here, there, strict=True)]
        count = info["logs"] + info["digests"]
        print(f"\n{count:,} objects of {records} events, 20 ms added to each response, {workers} workers of a cluster")
        print(f"  without a cluster {_figures(here)} s\n  over the cluster  {_figures(there)} s (min, median, max)")
        print(f"  times faster      {_figures(ratios)} pair by pair")
        print(f"  CPU of the run's own process, with imports: {own[0]:.2f} s, over the cluster {own[1]:.2f} s")


def main() -> None:
    for latency in LATENCIES:
        compare(latency)
    print("\ntrailkit alone, no latency added")
    for objects in SCALES:
        scale(objects)
    spread(SPREAD)


def _environment(info: Info) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "invented",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": info["region"],
        "AWS_ENDPOINT_URL": info["endpoint"],
        "NO_PROXY": "127.0.0.1",
    }


def _valid(said: str, kind: str) -> int:
    found = re.search(rf"^(\d+)/\1 {kind[:-1]} files valid$", said, re.MULTILINE)
    return int(found[1]) if found else 0


def _figures(values: Sequence[float]) -> str:
    return " ".join(f"{value:7.2f}" for value in (min(values), statistics.median(values), max(values)))


if __name__ == "__main__":
    if sys.argv[1:] == ["spread"]:
        spread(SPREAD)
    elif len(sys.argv) > 1:
        child(sys.argv[1])
    else:
        main()
