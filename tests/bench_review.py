"""Measures a periodic review of a year: 365 days, 400 records, a million ledger lines; and its memory.

Run it with `make bench`. The records are as sealing leaves them, and each is held to its manifest and to the register.
The account is the sandbox's, as it is now; what is measured is a process of its own, from its imports to the verdict.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fixtures.operational import silent
from fixtures.runs import PEOPLE
from fixtures.year import make_year

from kit.catalogue import protocol
from kit.collect.gather import gather
from kit.evidence import EvidenceStore
from kit.findings import roll_up
from kit.parameters import RunParameters
from kit.sandbox.server import CREDENTIALS, Sandbox

DAYS, IQS, LINES, ROUNDS = 365, 35, 1_000_000, 3
BOUND_S, BOUND_MIB = 60, 1024
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def review(outputs: Path, told: dict[str, Any]) -> None:
    """Collect and judge the review, and print what it came to."""
    from kit.collect.outputs import OutputsFolder

    parameters = RunParameters.load(told)
    with ThreadPoolExecutor(12) as executor, tempfile.TemporaryDirectory() as scratch:
        source = OutputsFolder(outputs, "PQ-of-this-run", parameters)
        store = EvidenceStore(Path(scratch) / "evidence")
        snapshot = gather("PQ", parameters, store, CREDENTIALS, executor, silent, source)
        verdicts = {
            case.id: roll_up(one.verdict for one in case.judge(snapshot, parameters)).value
            for case in protocol("PQ").test_cases.values()
        }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
    print(json.dumps({"records": len(snapshot.review.records), "peak": peak, "verdicts": verdicts}))


def main() -> None:
    with tempfile.TemporaryDirectory() as place, Sandbox() as sandbox:
        end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
        told = sandbox.parameters | {"execution": PEOPLE}
        required = {"review": {"iq_every_days": 31, "oq_every_days": 2}}
        told |= {"expected": told["expected"] | required}
        settings = Path(place) / "settings"
        with ThreadPoolExecutor(8) as executor:
            gather("IQ", RunParameters.load(told), EvidenceStore(settings), CREDENTIALS, executor, silent)
        outputs = Path(place) / "outputs"
        make_year(outputs, told, settings, end, DAYS, IQS, LINES)
        start = end - timedelta(days=DAYS)
        told |= {"window": {"start": start.isoformat(), "end": end.isoformat()}}
        asked = json.dumps(told)
        seconds = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            command = [sys.executable, __file__, str(outputs)]
            done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
            seconds.append(time.perf_counter() - begun)
        found = json.loads(done.stdout)
        peak = found["peak"] / 2**20
        listed = " ".join(f"{value:6.2f}" for value in sorted(seconds))
        print(f"{'review of a year':34} {listed} s (sorted), bound {BOUND_S} s")
        print(f"{'its records and ledger lines':34} {found['records']} records, {LINES:,} lines")
        print(f"{'peak memory':34} {peak:6.0f} MiB, bound {BOUND_MIB} MiB")
        print(f"{'verdicts':34} {found['verdicts']}")
        if found["verdicts"]["PQ-02"] != "PASS":
            sys.exit("the records are not believed, so their ledgers were not read: nothing was measured")
        if sorted(seconds)[len(seconds) // 2] > BOUND_S or peak > BOUND_MIB:
            sys.exit("the review is slower, or larger, than it may be")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        review(Path(sys.argv[1]), json.load(sys.stdin))
    else:
        main()
