"""What the kit itself did when it was challenged: the typed view that the tool qualification judges."""

from collections.abc import Mapping
from dataclasses import dataclass

PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"
SINGLE, COMBINED = 1, 3
"""How many faults a challenge has."""


@dataclass(frozen=True)
class KnownFault:
    """A fault that the embedded account, the records of a period or the kit can have, and exactly the test cases whose
    verdict it must change.

    One that names no test case is harmless, and must change none. `alone` says why it is not combined with others.
    `area` is what it spoils; empty in what an earlier kit recorded.
    """

    name: str
    description: str
    changes: tuple[str, ...]
    alone: str
    area: str = ""


@dataclass(frozen=True)
class Challenge:
    """An account with faults, collected and judged: the verdict of each test case, and why where it is no PASS.

    `refused` says why the faults can't be put together; then there is no verdict.
    """

    faults: tuple[str, ...]
    expected: tuple[str, ...]
    verdicts: Mapping[str, str]
    sentences: Mapping[str, str]
    refused: str = ""

    @property
    def changed(self) -> tuple[str, ...]:
        """The test cases whose verdict is another than PASS, in the order of the catalogue."""
        return tuple(case for case, verdict in self.verdicts.items() if verdict != PASS)


@dataclass(frozen=True)
class Comparison:
    """What `aws cloudtrail validate-logs` said of a delivery with a fault, or with none, and with which exit status."""

    fault: str
    status: int
    said: str

    @property
    def sound(self) -> bool:
        """Whether it found nothing wrong: status 0, and nothing called invalid."""
        return self.status == 0 and "INVALID" not in self.said


@dataclass(frozen=True)
class Attempt:
    """Something done to a record, and what `seal`, `sign`, `verify` or `replay` said to it.

    `due` is how the reason of the refusal must begin or what it must hold; empty where it must be accepted.
    `impossible` says why it could not be tried.
    """

    deed: str
    asked: str
    due: str
    accepted: bool
    said: str
    impossible: str = ""


@dataclass(frozen=True)
class Installation:
    """What is installed: the kit's own files with their SHA-256, those that its wheel's RECORD lists, and the versions.

    `unrecorded` says why there is no RECORD to hold the files against; empty where there is one.
    """

    version: str
    unrecorded: str
    recorded: Mapping[str, str]
    found: Mapping[str, str]
    packages: Mapping[str, str]
    python: str
    platform: str


@dataclass(frozen=True)
class Tool:
    """All challenges of one run. `compliant` is the account without a fault, judged on its recorded answers.

    `stranger` is the version of the AWS command line that `comparisons` are of, and `no_stranger` why there is none.
    `evidence` holds, by ledger, the ids of what all this was read from.
    """

    test_cases: tuple[str, ...]
    faults: tuple[KnownFault, ...]
    compliant: Challenge
    challenges: tuple[Challenge, ...]
    stranger: str
    no_stranger: str
    comparisons: tuple[Comparison, ...]
    attempts: tuple[Attempt, ...]
    installation: Installation
    evidence: Mapping[str, tuple[str, ...]]

    @property
    def singles(self) -> tuple[Challenge, ...]:
        """The challenges with one fault."""
        return tuple(one for one in self.challenges if len(one.faults) == SINGLE)

    @property
    def combined(self) -> tuple[Challenge, ...]:
        """The challenges with several faults, those that can't be put together among them."""
        return tuple(one for one in self.challenges if len(one.faults) > SINGLE)
