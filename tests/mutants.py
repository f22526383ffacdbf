"""Runs mutmut with the tests collected once: collecting them again takes longer than most mutants live.

Everything else is mutmut's: the mutants, the tests that each is given, the verdicts, and what it keeps of them.
"""

import sys
from collections.abc import Iterable

import pytest
from _pytest.config import _prepareconfig
from _pytest.main import Session
from _pytest.runner import runtestprotocol
from mutmut.__main__ import cli
from mutmut.configuration import config
from mutmut.runners.harness import PytestRunner
from mutmut.utils.file_utils import change_cwd
from mutmut.workers.isolation import ForkRunner

ITEMS: dict[str, pytest.Item] = {}
PLAIN = PytestRunner.run_tests


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
        return PLAIN(self, mutant_name=mutant_name, tests=tests)
    with change_cwd("mutants"):
        return run(tests)


if __name__ == "__main__":
    ForkRunner.run_clean_tests = run_clean_tests
    PytestRunner.run_tests = run_tests
    sys.argv[0] = "mutmut"
    cli()
