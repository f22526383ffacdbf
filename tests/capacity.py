"""The capacity plan of docs/scale.md, for this machine: measures what runs ask and cost, simulates, prints the tables.

`make capacity` takes some minutes. `python tests/capacity.py --committed` prints what docs/scale.md holds: the same for
tests/baseline/scale.json. With `--keep` what was measured is written there, to be looked at and committed.
"""

import argparse
import json
from pathlib import Path

from fixtures.scale_measured import measure
from fixtures.scale_tables import tables

COMMITTED = Path(__file__).resolve().parent / "baseline" / "scale.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--committed", action="store_true", help="measure nothing, take tests/baseline/scale.json")
    source.add_argument("--keep", action="store_true", help="write what was measured to tests/baseline/scale.json")
    asked = parser.parse_args()
    measured = json.loads(COMMITTED.read_bytes()) if asked.committed else measure()
    if asked.keep:
        COMMITTED.write_text(json.dumps(measured, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for name, table in tables(measured).items():
        print(f"<!-- {name} -->\n{table}\n")


if __name__ == "__main__":
    main()
