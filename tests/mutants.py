"""Runs mutmut, each mutant with the tests that reach its line, which are collected once.

mutmut gives a mutant every test that calls its function, in a new session of pytest. A test that does not reach what
was changed can't see it, and collecting takes longer than most mutants live. Mutants come in no order, so that a run
that was broken off is a sample of all of them. Everything else is mutmut's: the mutants, the verdicts, and what it
keeps of them.
"""

import ast
import difflib
import itertools
import re
import sys
import textwrap
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from _pytest.config import _prepareconfig
from _pytest.main import Session
from _pytest.runner import runtestprotocol
from coverage import Coverage
from mutmut import __main__ as mutmut
from mutmut.configuration import config
from mutmut.runners.harness import PytestRunner
from mutmut.utils.file_utils import change_cwd
from mutmut.workers.isolation import ForkRunner

ITEMS: dict[str, pytest.Item] = {}
REACHED: dict[Path, dict[int, set[str]]] = {}
"""The tests that reach a line, by file and line of what mutmut wrote."""
DEFINED = re.compile(r"\s*def (x\S+__mutmut_\w+)\(")
TURNS = itertools.count()
RUN_TESTS, PRINT_STATS = PytestRunner.run_tests, mutmut.print_stats


def collect() -> None:
    """Collect the selected tests, in a session that stays open; each mutant is a fork of this process."""
    told = config()
    options = ["--rootdir=.", "-q", "-s", *told.pytest_add_cli_args, *told.pytest_add_cli_args_test_selection]
    opened = _prepareconfig(options)
    opened._do_configure()
    session = Session.from_config(opened)
    opened.hook.pytest_sessionstart(session=session)
    opened.hook.pytest_collection(session=session)
    for item in session.items:
        # how a mutant was killed is told to nobody, and telling it takes longest of all
        item.repr_failure = lambda *_: ""
        ITEMS[item.nodeid] = item


def run(tests: Iterable[str], measured: Coverage | None = None) -> int:
    """Run tests up to the first that fails, and return pytest's exit code."""
    chosen = [ITEMS[test] for test in tests]
    for item, following in zip(chosen, [*chosen[1:], None], strict=True):
        if measured:
            measured.switch_context(item.nodeid)
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
            return 1
    return 0


def run_clean_tests(self: ForkRunner, tests: Iterable[str]) -> int:
    """Collect, and run every test without a mutant, taking note of the lines that each reaches."""
    with change_cwd("mutants"):
        collect()
        measured = Coverage(data_file=None, include=[f"*/{pattern}" for pattern in config().only_mutate])
        with measured.collect():
            code = run(ITEMS, measured)
        data = measured.get_data()
        for file in data.measured_files():
            REACHED[Path(file)] = {line: set(names) for line, names in data.contexts_by_lineno(file).items()}
            functions(Path(file))
    return code


@cache
def functions(file: Path) -> tuple[list[str], dict[str, int]]:
    """Return the lines of what mutmut wrote, and by name where its functions begin, counted from 0."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return lines, {found[1]: number for number, line in enumerate(lines) if (found := DEFINED.match(line))}


def function(file: Path, name: str) -> tuple[int, list[str], ast.stmt]:
    """Return where a function begins, its lines, and what they are parsed to."""
    lines, starts = functions(file)
    start = starts[name]
    indent = lines[start][: -len(lines[start].lstrip())]
    body = itertools.takewhile(
        lambda line: not line.strip() or line.startswith((f"{indent} ", f"{indent})")), lines[start + 1 :]
    )
    found = "\n".join([lines[start], *body]).rstrip().splitlines()
    return start, found, ast.parse(textwrap.dedent("\n".join(found))).body[0]


def changed(file: Path, mutant: str) -> set[int]:
    """Return the lines, in the function as it was, of the statements that a mutant changes."""
    start, before, was = function(file, mutant.rpartition("__mutmut_")[0] + "__mutmut_orig")
    _, after, _ = function(file, mutant)
    opcodes = difflib.SequenceMatcher(None, before[1:], after[1:], autojunk=False).get_opcodes()
    touched = {
        min(number + 2, len(before))
        for kind, first, last, _, _ in opcodes
        if kind != "equal"
        for number in range(first, max(last, first + 1))
    }
    found: set[int] = set()
    for line in touched or {1}:
        within = [one for one in ast.walk(was) if isinstance(one, ast.stmt) and one.lineno <= line <= one.end_lineno]
        inner = min(within, key=lambda one: one.end_lineno - one.lineno, default=was)
        found |= set(range(start + inner.lineno, start + inner.end_lineno + 1))
    return found


def run_tests(self: PytestRunner, *, mutant_name: str | None, tests: Iterable[str]) -> int:
    """Run the tests that reach what a mutant changes, the fastest first, or all where one is forced to fail."""
    if mutant_name is None:
        return RUN_TESTS(self, mutant_name=mutant_name, tests=tests)
    with change_cwd("mutants"):
        module, _, mutant = mutant_name.rpartition(".")
        file = Path(f"{module.replace('.', '/')}.py").resolve()
        lines = REACHED[file]
        reaching = {test for line in changed(file, mutant) for test in lines.get(line, ())}
        return run(test for test in tests if test in reaching)


def print_stats(told: Any, *, force_output: bool = False) -> None:
    """Count the mutants now and then: counting them after each takes as long as some mutants live."""
    if force_output or next(TURNS) % 100 == 0:
        PRINT_STATS(told, force_output=force_output)


def order(mutant_name: str) -> str:
    """Return by what mutants are ordered: by chance."""
    return sha256(mutant_name.encode()).hexdigest()


if __name__ == "__main__":
    ForkRunner.run_clean_tests = run_clean_tests
    PytestRunner.run_tests = run_tests
    mutmut.print_stats, mutmut.estimated_worst_case_time = print_stats, order
    sys.argv[0] = "mutmut"
    mutmut.cli()
