"""The capacity plan of docs/scale.md, for this machine: measures what runs ask and cost, simulates, prints the tables.

`make capacity` takes some minutes. `python tests/capacity.py --committed` prints what docs/scale.md holds: the same for
tests/baseline/scale.json. With `--keep` what was measured is written there, to be looked at and committed.
"""

import json
import sys
from pathlib import Path

from fixtures.scale_measured import measure
from fixtures.scale_tables import tables

COMMITTED = Path(__file__).resolve().parent / "baseline" / "scale.json"


def main() -> None:
    asked = set(sys.argv[1:])
    measured = json.loads(COMMITTED.read_bytes()) if "--committed" in asked else measure()
    if "--keep" in asked:
        COMMITTED.write_text(json.dumps(measured, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for name, table in tables(measured).items():
        print(f"<!-- {name} -->\n{table}\n")


if __name__ == "__main__":
    main()
