"""Interrupts whatever writes to an outputs folder at every single step, and at many random moments: `make faults`.

Takes some twenty minutes, and ends with 1 where anything was lost. `python tests/faults.py SEED` repeats the moments.
"""

import json
import random
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fixtures.interrupting import DEEDS, make_bases

KILLS = 200


def main() -> int:
    """Tell what was interrupted and what did not hold, and return how many things did not."""
    seed = sys.argv[1] if len(sys.argv) > 1 else str(random.SystemRandom().randrange(10**6))
    asked = [("interrupted", name, how) for name in DEEDS for how in ("cut", "full")]
    asked += [("limited", name) for name in DEEDS]
    asked += [("together", what) for what in ("starts", "seals", "additions")]
    asked += [("killed", str(KILLS), seed)]
    lost = 0
    with TemporaryDirectory(prefix="trailkit-faults-") as scratch:
        bases = make_bases(Path(scratch))
        for mode, *more in asked:
            done = subprocess.run(
                [sys.executable, "-m", "fixtures.interrupting", bases, mode, Path(scratch) / "place", *more],
                cwd=Path(__file__).parent, stdout=subprocess.PIPE, check=True,
            )  # fmt: skip
            told = json.loads(done.stdout)
            problems = told.pop("problems")
            lost += len(problems)
            print(f"{mode:11} {', '.join(more):34} {json.dumps(told)}", *problems, sep="\n  ", flush=True)
    return lost


if __name__ == "__main__":
    sys.exit(min(main(), 1))
