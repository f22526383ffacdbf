"""What a test found: verdicts, findings with expected and actual value, and their roll-up.

Absence never passes: a finding passes only when it holds at least one condition and every condition is known to be
met. A condition that could not be judged makes it INCONCLUSIVE; one that is known to be unmet makes it FAIL.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from kit.canonical import Json, well_formed
from kit.errors import EvidenceError


class Verdict(StrEnum):
    """The outcome of a test, as printed in a record."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    NOT_EXECUTED = "NOT_EXECUTED"


def roll_up(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict over several: any FAIL fails; else any open one is INCONCLUSIVE; else PASS needs a PASS.

    Only NOT_APPLICABLE gives NOT_APPLICABLE.

    >>> roll_up([Verdict.PASS, Verdict.NOT_APPLICABLE]).value
    'PASS'
    >>> roll_up([Verdict.PASS, Verdict.NOT_EXECUTED]).value
    'INCONCLUSIVE'

    Raises:
        EvidenceError: there is nothing to roll up.
    """
    seen = set(verdicts)
    if not seen:
        raise EvidenceError("there is no verdict to roll up", "run the test cases of the protocol first")
    if Verdict.FAIL in seen:
        return Verdict.FAIL
    if seen & {Verdict.INCONCLUSIVE, Verdict.NOT_EXECUTED}:
        return Verdict.INCONCLUSIVE
    return Verdict.PASS if Verdict.PASS in seen else Verdict.NOT_APPLICABLE


@dataclass(frozen=True)
class Finding:
    """One test case judged on one resource.

    `expected`, `actual` and `met` share their keys, the names of the conditions;
    `met` is true, false, or None where it could not be told. `observations` are reported without a criterion and
    carry no verdict. `evidence` holds the ids of the recorded responses that the finding rests on.

    Raises:
        EvidenceError: it says PASS without a condition, or with one that is not known to be met.
    """

    test_case: str
    verdict: Verdict
    resource: str
    message: str
    expected: dict[str, Json]
    actual: dict[str, Json]
    met: dict[str, bool | None]
    evidence: tuple[str, ...] = ()
    observations: dict[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.verdict is Verdict.PASS and not (self.met and all(met is True for met in self.met.values())):
            raise EvidenceError(
                f"{self.test_case} passes without every condition met", "run the protocol again with this kit version"
            )

    def to_json(self) -> dict[str, Json]:
        """Return the finding as `findings.json` holds it."""
        return {
            "test_case": self.test_case,
            "verdict": self.verdict.value,
            "resource": self.resource,
            "message": self.message,
            "expected": self.expected,
            "actual": self.actual,
            "met": self.met,
            "evidence": list(self.evidence),
            "observations": self.observations,
        }

    @classmethod
    def from_json(cls, value: dict[str, Json]) -> Self:
        """Return the finding that `to_json` wrote.

        Raises:
            EvidenceError: a member is missing, a verdict is none of ours, or a PASS is none.
        """
        try:
            fields = {name: value[name] for name in ("test_case", "resource", "message", "expected", "actual", "met")}
            return cls(
                **fields,
                verdict=Verdict(value["verdict"]),
                evidence=tuple(value["evidence"]),
                observations=value["observations"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EvidenceError(
                f"a saved finding can't be read: {error!r}", "run the protocol again with this version of the kit"
            ) from error


def count(number: int, noun: str) -> str:
    """Return `1 item`, `3 items`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def when(moment: datetime) -> str:
    """Return a moment in words: in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


class Judgement:
    """Collects the conditions of one test case on one resource, and closes as a `Finding`.

    >>> judgement = Judgement("IQ-08", "arn:aws:cloudtrail:eu-west-1:123456789012:trail/t")
    >>> judgement.expect("log file validation", True, False, otherwise="Log file validation is off.")
    >>> judgement.finding("Log file validation is on.").verdict.value
    'FAIL'
    """

    def __init__(self, test_case: str, resource: str) -> None:
        self.test_case = test_case
        self.resource = resource
        self._expected: dict[str, Json] = {}
        self._actual: dict[str, Json] = {}
        self._met: dict[str, bool | None] = {}
        self._failures: list[str] = []
        self._doubts: list[str] = []
        self._evidence: dict[str, None] = {}
        self._observations: dict[str, Json] = {}

    def expect(
        self,
        name: str,
        expected: Json,
        actual: Json,
        *,
        otherwise: str = "",
        met: bool | None = None,
    ) -> None:
        """Judge a condition on a value that was read: met when `actual` equals `expected`, unless `met` says so.

        `otherwise` is the full sentence that tells what is wrong when it is not met, left out where it is known to be
        met. What was not read is a `doubt`, so nothing that equals nothing is not met.
        """
        same = actual is not None and actual == expected and isinstance(actual, bool) == isinstance(expected, bool)
        holds = same if met is None else met
        self._record(name, expected, actual, holds)
        if not holds:
            self._failures.append(otherwise)

    def doubt(self, name: str, expected: Json, why: str, actual: Json = None) -> None:
        """Note a condition that can't be judged; `why` is a full sentence that names the call or the parameter."""
        self._record(name, expected, actual, None)
        if why not in self._doubts:
            self._doubts.append(why)

    def observe(self, name: str, value: Json) -> None:
        """Report a value that has no acceptance criterion."""
        self._observations[name] = value

    def rest_on(self, evidence: Iterable[str]) -> None:
        """Name recorded responses that the finding rests on."""
        self._evidence.update(dict.fromkeys(evidence))

    def finding(self, passed: str = "") -> Finding:
        """Close the judgement; `passed` is the full sentence for the case that every condition is met, left out where
        one is known not to be.
        """
        if self._failures:
            return self._close(Verdict.FAIL, " ".join(self._failures + self._doubts))
        if self._doubts or None in self._met.values():
            return self._close(Verdict.INCONCLUSIVE, " ".join(self._doubts))
        if not self._met:
            return self._close(Verdict.INCONCLUSIVE, "No condition was judged.")
        return self._close(Verdict.PASS, passed)

    def not_applicable(self, reason: str) -> Finding:
        """Close the judgement of a criterion that does not apply to the resource; `reason` is a full sentence.

        Raises:
            ValueError: a condition was judged, so the criterion does apply.
        """
        if self._met:
            raise ValueError(f"{self.test_case} was judged, and can't be not applicable as well")
        return self._close(Verdict.NOT_APPLICABLE, reason)

    def _record(self, name: str, expected: Json, actual: Json, met: bool | None) -> None:
        if name in self._met:
            raise ValueError(f"condition {name!r} was judged twice")
        self._expected[name], self._actual[name], self._met[name] = expected, actual, met

    def _close(self, verdict: Verdict, message: str) -> Finding:
        return Finding(
            self.test_case,
            verdict,
            well_formed(self.resource),
            well_formed(message),
            well_formed(self._expected),
            well_formed(self._actual),
            well_formed(self._met),
            tuple(self._evidence),
            well_formed(self._observations),
        )


def not_executed(test_case: str) -> Finding:
    """Return the finding of a test case whose step never ran."""
    return Finding(test_case, Verdict.NOT_EXECUTED, "", "The step of this test case was not executed.", {}, {}, {})
