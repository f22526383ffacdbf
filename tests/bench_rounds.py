"""Measures a round: what a target costs in one of one, of ten and of a hundred, beside its notebook alone; and memory.

Run it with `make bench`; `python tests/bench_rounds.py 1 4` measures rounds of other sizes. All targets ask the same
embedded account, which answers at once, so that what is measured is the kit. "Alone" is the notebook executed by as
many workers, without its record: kernel, calls and judging. On top of that come rendering, sealing, the register and
the engine, and for the round as a whole its summary. Each size is measured without the PDFs of the targets
(`--no-pdf`), and a round of ten with them.
"""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fixtures.runs import NOTEBOOK, PEOPLE

from kit.execute import execute
from kit.rounds import engine
from kit.rounds.conduct import conduct
from kit.rounds.engine import carry_out
from kit.rounds.targets import TargetsFile
from kit.rounds.work import Outcome, Task
from kit.sandbox.server import Sandbox

SIZES, WITH_PDF = (1, 10, 100), 10
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def execute_alone(task: Task) -> list[Outcome]:
    """Execute the notebook of a task, and seal nothing."""
    execute(NOTEBOOK, task.parameters, Path(task.outputs), lambda *_: None)
    return [Outcome(task.target, "IQ")]


def peak(who: int) -> float:
    """Return the most memory that this process, or one of its children, has had, in MiB."""
    return resource.getrusage(who).ru_maxrss * RSS_UNIT / (1 << 20)


def main() -> None:
    sizes = tuple(map(int, sys.argv[1:])) or SIZES
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as place, Sandbox() as sandbox, patch.dict(os.environ, sandbox.environment):
        told: dict[str, Any] = sandbox.parameters | {"execution": PEOPLE}
        for size, pdf in [*((size, False) for size in sizes), (WITH_PDF, True)]:
            outputs = Path(place) / f"{size}-{pdf}"
            tasks = [Task(f"t{n}", ("IQ",), told, str(outputs / "alone" / f"t{n}"), "ROUND") for n in range(size)]
            began = time.monotonic()
            carry_out(tasks, engine.processes(workers), lambda _: None, execute_alone)
            alone = (time.monotonic() - began) / size
            file = TargetsFile(defaults=told, targets=tuple({"name": f"t{n}"} for n in range(size)))
            ends: list[float] = []
            memory: list[float] = []
            began = time.monotonic()

            def told_of(_: object, __: int, ends: list[float] = ends, memory: list[float] = memory) -> None:
                ends.append(time.monotonic())
                memory.append(peak(resource.RUSAGE_SELF))

            sealed = conduct(file, ["IQ"], outputs / "round", engine.processes(workers), told_of, pdf=pdf)
            each, summary = (ends[-1] - began) / size, time.monotonic() - ends[-1]
            print(
                f"{size:4} targets, {'with' if pdf else 'without'} PDFs: the notebook alone {alone:5.2f} s, "
                f"in a round {each:5.2f} s ({each / alone - 1:+.0%}), summary {summary:4.1f} s; "
                f"at most {memory[-1]:3.0f} MiB here, {peak(resource.RUSAGE_CHILDREN):3.0f} in a child, "
                f"{peak(resource.RUSAGE_SELF):3.0f} with the summary; "
                f"{sealed.verdict.value}",
                flush=True,
            )


if __name__ == "__main__":
    main()
