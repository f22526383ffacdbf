"""A plan in the making: the account as it will be after the steps so far, judged by the checks of IQ themselves."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kit.canonical import Json
from kit.catalogue import protocol
from kit.findings import Finding
from kit.parameters import RunParameters
from kit.remediation.steps import Step, command
from kit.snapshot import Answer, Bucket, Key, Prospect, Snapshot, Trail


def planned(value: Json) -> Answer[Json]:
    """Return a value as AWS will answer it once the plan is carried out."""
    return Answer("what is planned", (), value)


class Draft:
    """The steps so far, and the trail with its key and bucket as these steps leave them.

    `found` is the trail as it is, None where there is none; `trail` as it will be. Whether a setting needs a step, and
    whether a step mends it, is never decided here: the checks judge the account as it will be.
    """

    def __init__(self, snapshot: Snapshot, parameters: RunParameters, found: Trail | None, trail: Trail) -> None:
        self.found = found
        self.trail = trail
        self.parameters = parameters
        self.steps: list[Step] = []
        self.notes: dict[str, list[str]] = {}
        self._snapshot = snapshot
        self._there = True

    @property
    def prospect(self) -> Prospect:
        """What was read beside what the trail names."""
        return self._snapshot.prospect or Prospect()

    @property
    def snapshot(self) -> Snapshot:
        """The account as the steps so far leave it."""
        others = [trail for trail in self._snapshot.trails if trail.arn != self.trail.arn]
        trails = [*others, self.trail] if self._there else others
        return replace(self._snapshot, trails=tuple(sorted(trails, key=lambda trail: trail.arn)))

    @property
    def others(self) -> list[Trail]:
        """The other trails of the same account."""
        trails = self._snapshot.trails
        return [trail for trail in trails if trail.arn != self.trail.arn and trail.account == self.trail.account]

    def met(self, test_case: str, *conditions: str) -> bool | None:
        """Return whether these conditions of a test case are met: False if any is not, None if any is not known."""
        found = self.conditions(test_case)
        truths = [found.get(name) for name in conditions]
        return False if False in truths else None if None in truths else True

    def conditions(self, test_case: str) -> dict[str, bool | None]:
        """Return what a test case says of each of its conditions, of the account as it will be."""
        findings = self.judge(test_case)
        return {name: met for finding in findings for name, met in finding.met.items()}

    def judge(self, test_case: str) -> list[Finding]:
        """Return the findings of a test case of the account as it will be."""
        return protocol("IQ").test_cases[test_case].judge(self.snapshot, self.parameters)

    def without_trail(self) -> None:
        """Have there be no trail: it is not made."""
        self._there = False

    def note(self, test_case: str, sentence: str) -> None:
        """Say why something is left to the operator, and what to do about it."""
        self.notes.setdefault(test_case, []).append(sentence)

    def change_key(self, **members: Any) -> None:
        """Have the key be otherwise from here on."""
        if self.trail.key is not None:
            self.trail = replace(self.trail, key=replace(self.trail.key, **members))

    def change_bucket(self, **members: Any) -> None:
        """Have the bucket be otherwise from here on."""
        if self.trail.bucket is not None:
            self.trail = replace(self.trail, bucket=replace(self.trail.bucket, **members))

    def change_trail(self, **described: Json) -> None:
        """Have the trail be described otherwise from here on."""
        self.trail = replace(self.trail, description={**self.trail.description, **described})

    def use(self, *, key: Key | None = None, bucket: Bucket | None = None) -> None:
        """Have the trail use another key or bucket from here on; that it names them is another step."""
        self.trail = replace(self.trail, key=key or self.trail.key, bucket=bucket or self.trail.bucket)

    def put_back(self, key: Key | None) -> None:
        """Have the trail use, from here on, the key that it used before, or none."""
        self.trail = replace(self.trail, key=key)

    def expect_key(self, metadata: Answer[Mapping[str, Json]]) -> None:
        """Have the expected key be this one: a key that is to be made."""
        self._snapshot = replace(self._snapshot, expected_key=metadata)

    def change_other(self, changed: Trail) -> None:
        """Have another trail be otherwise from here on."""
        trails = tuple(changed if trail.arn == changed.arn else trail for trail in self._snapshot.trails)
        self._snapshot = replace(self._snapshot, trails=trails)

    def add(
        self,
        step: str,
        title: str,
        mends: tuple[str, ...],
        call: tuple[str, str, str, Mapping[str, Json]],
        change: tuple[Json, Json],
        *,
        risk: str,
        undo: str | tuple[str, Mapping[str, Json]],
        may_stop_delivery: bool = False,
        makes_key: bool = False,
    ) -> None:
        """Add a step: `call` is service, operation, Region and parameters, `change` the setting before and after.

        `undo` is a sentence, or the operation and parameters that undo it, at the same service and Region.
        """
        service, operation, region, parameters = call
        undone = undo if isinstance(undo, str) else command(service, undo[0], region, undo[1])
        self.steps.append(
            Step(
                step,
                title,
                mends,
                service,
                operation,
                region,
                parameters,
                *change,
                risk,
                undone,
                may_stop_delivery,
                makes_key,
            )
        )
