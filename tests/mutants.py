"""Runs mutmut with the tests collected once: collecting them again takes longer than most mutants live.

Everything else is mutmut's: the mutants, the tests that each is given, the verdicts, and what it keeps of them.
"""

import itertools
import sys
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import pytest
from _pytest.config import _prepareconfig
from _pytest.main import Session
from _pytest.runner import runtestprotocol
from mutmut import __main__ as mutmut
from mutmut.configuration import config
from mutmut.runners.harness import PytestRunner
from mutmut.utils.file_utils import change_cwd
from mutmut.workers.isolation import ForkRunner

ITEMS: dict[str, pytest.Item] = {}
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
    ITEMS.update({item.nodeid: item for item in session.items})


def run(tests: Iterable[str]) -> int:
    """Run tests up to the first that fails, and return pytest's exit code."""
    chosen = [ITEMS[test] for test in tests]
    for item, following in zip(chosen, [*chosen[1:], None], strict=True):
        if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
            return 1
    return 0


def run_clean_tests(self: ForkRunner, tests: Iterable[str]) -> int:
    """Collect, and run every test without a mutant: what the tests make once is then at hand for each mutant."""
    with change_cwd("mutants"):
        collect()
        return run(ITEMS)


def run_tests(self: PytestRunner, *, mutant_name: str | None, tests: Iterable[str]) -> int:
    """Run the tests of a mutant, or all of them where one is forced to fail."""
    if mutant_name is None:
        return RUN_TESTS(self, mutant_name=mutant_name, tests=tests)
    with change_cwd("mutants"):
        return run(tests)


def print_stats(told: Any, *, force_output: bool = False) -> None:
    """Count the mutants now and then: counting them after each takes as long as some mutants live."""
    if force_output or next(TURNS) % 100 == 0:
        PRINT_STATS(told, force_output=force_output)


def order(mutant_name: str) -> str:
    """Return by what mutants are ordered: by chance, so that a run that was broken off is a sample of all of them."""
    return sha256(mutant_name.encode()).hexdigest()


if __name__ == "__main__":
    ForkRunner.run_clean_tests = run_clean_tests
    PytestRunner.run_tests = run_tests
    mutmut.print_stats, mutmut.estimated_worst_case_time = print_stats, order
    sys.argv[0] = "mutmut"
    mutmut.cli()
