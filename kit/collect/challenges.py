"""Carries out the challenges of the kit: the embedded account with each fault and with several, the records of a period
with each of theirs, the kit beside AWS's own verifier, and with tampered records. Each comes to a line of a ledger.
"""

import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from unittest.mock import patch

from kit.canonical import Json
from kit.catalogue import TestCase, kit_protocol
from kit.collect.account import Progress
from kit.collect.gather import OPERATIONAL, REVIEW, gather, gather_review
from kit.collect.mended import MENDING_FAULTS, SPOILT, mend
from kit.collect.past import (
    EMPTIED,
    FOUND,
    FOUND_BY,
    HOURS,
    PAST_FAULTS,
    READ_HOURS,
    Past,
    archive_oq,
    qualify,
    record_of,
    review_parameters,
)
from kit.collect.stranger import HOME, comparisons
from kit.collect.stranger import HOURS as DELIVERED_HOURS
from kit.digests import challenge
from kit.digests.digest import PublicKey, RawDigest, Verified, verify_digest
from kit.digests.problems import Kind
from kit.errors import SandboxError
from kit.evidence import EvidenceStore
from kit.findings import Finding, Verdict, roll_up
from kit.parameters import RunParameters
from kit.record.tampering import attempts
from kit.sandbox.fault import Fault
from kit.sandbox.faults import combinations, list_faults
from kit.sandbox.server import CREDENTIALS, Sandbox
from kit.snapshot import Remediation, Snapshot
from kit.tool import KnownFault

JUDGED = ("IQ", "OQ", "PQ", "RM")
DELIVERY = {
    "hours": DELIVERED_HOURS,
    "logs_per_hour": 2,
    "regions": [HOME, "us-east-1"],
    "digest_regions": [HOME, "us-east-1", "eu-central-1", "us-west-2"],
}
"""What the embedded account has delivered when it is challenged: enough for every fault, and read in no time."""

PAST_DELIVERY = DELIVERY | {"hours": READ_HOURS}
"""What it has delivered when the records are made that a review reads, and where nothing is wrong."""

BLINDED = KnownFault(
    "verifier-blinded",
    "The verifier that OQ-09 challenges takes every signature for CloudTrail's own.",
    ("OQ-09",),
    "it spoils the kit, and not the account",
    "kit",
)
"""The one fault that no account can have."""

_SAID = 2000
_SKEW_S = 30
"""A third of what the fault of the clock is."""


@dataclass(frozen=True)
class Told:
    """The parameters under which the account without a fault passes: of the qualifications, and of a review."""

    qualification: RunParameters
    review: RunParameters

    @classmethod
    def of(cls, sandbox: Sandbox, hours: int = HOURS, **review: Json) -> Self:
        """Return those of the embedded account, for a machine that is slow to answer too."""
        told = sandbox.parameters
        told |= {"expected": {**told["expected"], "max_clock_skew_seconds": _SKEW_S}}
        qualification = RunParameters.load(told)
        return cls(qualification, review_parameters(qualification, hours, **review))


def challenged_cases() -> Iterator[TestCase]:
    """Yield every test case that is challenged, in the order of the catalogues."""
    for name in JUDGED:
        # a remediation judges the installation again, whose test cases are there already
        yield from (case for case in kit_protocol(name).test_cases.values() if case.id.startswith(name))


def judged(faults: Sequence[str], expected: Sequence[str], snapshot: Snapshot, told: Told) -> Json:
    """Return a challenge as its line: every test case of the kit judged on what was collected."""
    found = {
        case.id: case.judge(snapshot, told.review if case.id.startswith(REVIEW) else told.qualification)
        for case in challenged_cases()
    }
    verdicts = {case: roll_up(one.verdict for one in findings) for case, findings in found.items()}
    sentences = {case: _sentence(found[case], verdict) for case, verdict in verdicts.items() if verdict != Verdict.PASS}
    return {
        "faults": list(faults),
        "expected": list(expected),
        "verdicts": {case: verdict.value for case, verdict in verdicts.items()},
        "sentences": sentences,
    }


def _sentence(findings: Sequence[Finding], verdict: Verdict) -> str:
    return next((one.message for one in findings if one.verdict is verdict), "")[:_SAID]


def _refused(faults: Sequence[str], expected: Sequence[str], why: str) -> Json:
    return {"faults": list(faults), "expected": list(expected), "refused": why, "verdicts": {}, "sentences": {}}


def blinded(snapshot: Snapshot, told: Told) -> Json:
    """Return what the account without a fault comes to, where the verifier's own challenge meets a blind verifier.

    No account can have OQ-09 fail: it is about the kit, so that the kit is spoilt.
    """

    def blind(raw: RawDigest, keys: Mapping[str, PublicKey] | str) -> Verified:
        found = verify_digest(raw, keys)
        return replace(found, problems=tuple(one for one in found.problems if one.kind != Kind.SIGNATURE))

    with patch.object(challenge, "verify_digest", blind):
        return judged((BLINDED.name,), BLINDED.changes, snapshot, told)


class Bench:
    """Where the challenges are carried out: an embedded account, a folder for what they leave, and the records of a
    period, which the kit makes as it is installed.

    `told` are the parameters of the account without a fault, with as much delivered as `PAST_DELIVERY` says; so it is
    when the bench is made.
    """

    def __init__(self, sandbox: Sandbox, scratch: Path, executor: Executor, progress: Progress) -> None:
        self._sandbox = sandbox
        self._scratch = scratch
        self._executor = executor
        self._progress = progress
        self._number = 0
        self._mended: Remediation | None = None
        self.told = Told.of(sandbox)
        self._tampered = scratch / "bundles"
        self._past, self._no_record = self._make_past(scratch / "outputs")

    def _make_past(self, outputs: Path) -> tuple[Past, str]:
        """Have records made for a review, and a copy of the first for whoever tampers with it."""
        outputs.mkdir()
        said = qualify("iq", self._sandbox, outputs)
        self._progress("Records of a period", 1, 2)
        shutil.copytree(outputs, self._tampered)
        qualify("oq", self._sandbox, outputs)
        archive_oq(self._sandbox, outputs)
        self._progress("Records of a period", 2, 2)
        return Past(outputs, self.told.review), said

    def compliant(self, store: EvidenceStore) -> tuple[Snapshot, RunParameters]:
        """Return the account without a fault, what its records say, and what became of a plan that mended it, collected
        into a store; and the parameters that approved the plan.
        """
        found = self._gathered(self.told, store, self._progress, self._past)
        self._spoil(SPOILT)
        after, approving = mend(self.told.qualification, store, self._executor, self._progress)
        self._spoil([])
        self._mended = after.remediation
        return replace(found, remediation=self._mended), approving

    def challenges(self, snapshot: Snapshot, parameters: RunParameters) -> Iterator[Json]:
        """Yield the line of every fault alone, and then of combinations until as many as are wanted were judged.

        `snapshot` is the account without a fault.
        """
        yield blinded(snapshot, self.told)
        yield from self._of_the_past(snapshot)
        yield from self._of_plans(snapshot)
        faults, wanted = list_faults(), parameters.expected.fault_combinations
        for number, one in enumerate(faults, start=1):
            yield self._challenge((one.name,), one.changes)
            self._progress("Faults", number, len(faults))
        judged_so_far = 0
        # a combination that can't be put together is kept, and another is drawn for it
        for three in itertools.islice(combinations(parameters.expected.fault_seed, faults), wanted * 2):
            line = self._challenge([one.name for one in three], _union(three))
            judged_so_far += "refused" not in line
            yield line
            self._progress("Combinations of faults", judged_so_far, wanted)
            if judged_so_far == wanted:
                return

    def _of_the_past(self, snapshot: Snapshot) -> Iterator[Json]:
        """Yield the line of each fault of what earlier runs left; the account stays without a fault."""
        # those first for which the archive has to be as it was
        for fault in PAST_FAULTS:
            told = Told.of(self._sandbox, fault.hours, **fault.review)
            folder = self._scratch / fault.known.name
            shutil.copytree(self._past.folder, folder)
            try:
                fault.spoil(folder)
            except (LookupError, OSError) as error:
                yield _refused((fault.known.name,), fault.known.changes, f"there is no record to be spoilt: {error!r}")
                continue
            yield self._reviewed(fault.known, snapshot, told, Past(folder, told.review, self._past.restored))
        folder = self._scratch / FOUND.name
        shutil.copytree(self._past.folder, folder)
        # it reads further back: of two runs over a day, a review goes by the one that read more of it
        self._spoil([FOUND_BY], PAST_DELIVERY | {"hours": READ_HOURS + 2})
        qualify("oq", self._sandbox, folder)
        self._spoil([])
        told = Told.of(self._sandbox)
        with self._store() as store:
            # collected anew: the period has to end after what was run last
            found = self._gathered(told, store, _silent, Past(folder, told.review, self._past.restored))
            yield judged((FOUND.name,), FOUND.changes, found, told)
        yield self._reviewed(EMPTIED, snapshot, told, Past(self._past.folder, told.review))

    def _of_plans(self, snapshot: Snapshot) -> Iterator[Json]:
        """Yield the line of each fault of what becomes of a plan: the settings after it, with what was delivered, and
        the records, as they are without a fault.
        """
        sound = {name: getattr(snapshot, name) for name in ("deliveries", "refusal", "review")}
        for fault in MENDING_FAULTS:
            self._spoil(fault.account)
            with self._store() as store:
                after, _ = mend(self.told.qualification, store, self._executor, _silent)
                yield judged((fault.known.name,), fault.known.changes, replace(after, **sound), self.told)

    def _reviewed(self, fault: KnownFault, snapshot: Snapshot, told: Told, past: Past) -> Json:
        with self._store() as store:
            found = gather_review(snapshot, told.review, store, CREDENTIALS, self._executor, _silent, past)
            return judged((fault.name,), fault.changes, found, told)

    def _challenge(self, faults: Sequence[str], expected: Sequence[str]) -> Json:
        try:
            self._spoil(faults)
        except SandboxError as error:
            return _refused(faults, expected, error.message.rpartition("together: ")[2])
        told = Told.of(self._sandbox)
        with self._store() as store:
            return judged(faults, expected, self._gathered(told, store, _silent, self._past), told)

    def _gathered(self, told: Told, store: EvidenceStore, progress: Progress, past: Past) -> Snapshot:
        found = gather(OPERATIONAL, told.qualification, store, CREDENTIALS, self._executor, progress)
        found = gather_review(found, told.review, store, CREDENTIALS, self._executor, progress, past)
        # a fault of the account has no part in what became of a plan before
        return replace(found, remediation=self._mended)

    @contextmanager
    def _store(self) -> Iterator[EvidenceStore]:
        """Give a store whose evidence is not kept: what a challenge came to is."""
        self._number += 1
        folder = self._scratch / f"challenge-{self._number}"
        try:
            yield EvidenceStore(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _spoil(self, faults: Sequence[str], delivery: Mapping[str, Json] = DELIVERY) -> Sandbox:
        # an account that could not be spoilt so is gone, and would begin with the same faults again
        if not self._sandbox.running:
            self._sandbox.faults = ()
            self._sandbox.start()
        self._sandbox.reset(faults, delivery)
        return self._sandbox

    def comparisons(self) -> Iterator[Json]:
        """Yield what AWS's own verifier says of what was delivered, sound and with each fault that it could see."""
        faults = [one.name for one in list_faults() if one.area == "deliveries" and _of_objects(one.changes)]
        return comparisons(faults, self._spoil, self._scratch, self._progress)

    def attempts(self) -> Iterator[Json]:
        """Yield what was tried on a record that the kit, as it is installed, made of the account without a fault."""
        try:
            record_id = record_of("IQ", self._tampered).name
        except LookupError:
            told: Json = {"deed": "a record is made", "asked": "run", "due": "", "accepted": False, "said": ""}
            yield told | {"impossible": self._no_record}
            return
        # in a thread of its own: signing runs an event loop, and in a notebook one is running already
        scratch = self._scratch / "tampered"
        tried = self._executor.submit(lambda: list(attempts(self._tampered, record_id, scratch)))
        self._progress("Tampered records", 0, 1)
        yield from tried.result()
        self._progress("Tampered records", 1, 1)


def _union(faults: Sequence[Fault]) -> list[str]:
    named = {case for one in faults for case in one.changes}
    return [case.id for case in challenged_cases() if case.id in named]


def _of_objects(changes: Sequence[str]) -> bool:
    """Return whether a fault is of what validate-logs looks at, or is harmless."""
    return not changes or any(case.startswith(OPERATIONAL) for case in changes)


def _silent(*_: Json, **__: Json) -> None:
    """Take note of no progress."""
