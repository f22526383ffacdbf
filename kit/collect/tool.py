"""Challenges the kit, and keeps what came of it: with every fault of the embedded account and of the records of a
period, beside AWS's own verifier, with tampered records, and as it is installed. No other account is asked.

What came of a challenge is first made a line of a ledger, and then read, live and in replay alike; only the account
without a fault is judged again from AWS's raw answers.
"""

import itertools
import json
import tempfile
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from kit.canonical import Json
from kit.checks.tool import ACCOUNT, BUNDLES, CHALLENGES, INSTALLATION, STRANGER
from kit.collect.account import Progress
from kit.collect.challenges import BLINDED, PAST_DELIVERY, Bench, Told, challenged_cases, judged
from kit.collect.gather import OPERATIONAL, gather_again
from kit.collect.installation import installation
from kit.collect.ledger import Ledger, encode_line, read_ledger
from kit.collect.mended import MENDING_FAULTS
from kit.collect.past import ALL_PAST
from kit.errors import EvidenceError
from kit.evidence import EvidenceStore, is_ledger, read_index, timestamp, utc_now
from kit.parameters import RunParameters
from kit.sandbox.faults import list_faults
from kit.sandbox.server import Sandbox
from kit.snapshot import Absence, Answer, Reason, Snapshot
from kit.tool import Attempt, Challenge, Comparison, Installation, KnownFault, Tool

_RESTORE = "restore the record from its archive"

_NOBODY: Answer[Any] = Answer(
    "sts:GetCallerIdentity",
    (),
    absence=Absence(Reason.MISSING, "NotAsked", "nobody but the embedded account was asked"),
)


def collect_tool(parameters: RunParameters, store: EvidenceStore, executor: Executor, progress: Progress) -> Snapshot:
    """Carry out every challenge, and return what came of them.

    Raises:
        EvidenceError: something can't be recorded.
        SandboxError: the embedded account can't be started.
    """
    lines: dict[str, list[Json]] = {}
    with Sandbox((), PAST_DELIVERY) as sandbox, tempfile.TemporaryDirectory(prefix="trailkit-") as scratch:
        bench = Bench(sandbox, Path(scratch), executor, progress)
        snapshot, mending = bench.compliant(store)
        challenges = itertools.chain([_known(bench.told, mending)], bench.challenges(snapshot, parameters))
        lines[CHALLENGES] = _kept(store, CHALLENGES, challenges)
        lines[STRANGER] = _kept(store, STRANGER, bench.comparisons())
        lines[BUNDLES] = _kept(store, BUNDLES, bench.attempts())
    lines[INSTALLATION] = _kept(store, INSTALLATION, [installation()])
    return _snapshot(snapshot, bench.told, lines, _ids(store.folder))


def collect_tool_again(evidence: Path, executor: Executor, progress: Progress) -> Snapshot:
    """Return the same from recorded evidence alone.

    Raises:
        EvidenceError: the evidence does not hold what is asked, holds what was not asked for, or can't be read.
    """
    names = (CHALLENGES, STRANGER, BUNDLES, INSTALLATION)
    lines = {name: list(read_ledger(evidence, name)) for name in names}
    try:
        known = lines[CHALLENGES][0]
        told = Told(RunParameters.load(known["parameters"]), RunParameters.load(known["review"]))
        mending = RunParameters.load(known["mending"])
    except (LookupError, TypeError) as error:
        raise EvidenceError("the evidence does not say with what the kit was challenged", _RESTORE) from error
    snapshot = gather_again(OPERATIONAL, told.qualification, evidence, executor, progress, told.review, mending)
    return _snapshot(snapshot, told, lines, _ids(evidence))


def known_faults() -> list[KnownFault]:
    """Return every fault that the kit is challenged with: of the kit, of an account, of what earlier runs left, and of
    what becomes of a plan.
    """
    of_account = [KnownFault(one.name, one.description, one.changes, one.alone, one.area) for one in list_faults()]
    return [BLINDED, *of_account, *ALL_PAST, *(one.known for one in MENDING_FAULTS)]


def _known(told: Told, mending: RunParameters) -> Json:
    """Return the first line: the catalogue of faults and test cases, and the parameters of the account."""
    return {
        "faults": [asdict(one) for one in known_faults()],
        "test_cases": [case.id for case in challenged_cases()],
        "parameters": told.qualification.to_json(),
        "review": told.review.to_json(),
        "mending": mending.to_json(),
    }


def _kept(store: EvidenceStore, name: str, lines: Any) -> list[Json]:
    """Write lines to a ledger as they come, and return them as they are read back."""
    ledger, sent, written = Ledger(store, name, "Challenge", "trailkit"), timestamp(utc_now()), []
    try:
        for line in lines:
            encoded = encode_line(line)
            ledger.write(encoded)
            written.append(json.loads(encoded))
    except BaseException:
        ledger.abandon()
        raise
    ledger.close(sent, timestamp(utc_now()))
    return written


def _ids(folder: Path) -> dict[str, tuple[str, ...]]:
    entries = read_index(folder)
    names = (CHALLENGES, STRANGER, BUNDLES, INSTALLATION)
    found = {name: tuple(one.id for one in entries if is_ledger(one, name)) for name in names}
    kept = {entry for ids in found.values() for entry in ids}
    return {**found, ACCOUNT: tuple(one.id for one in entries if one.id not in kept)}


def _snapshot(
    snapshot: Snapshot, told: Told, lines: Mapping[str, list[Json]], evidence: Mapping[str, tuple[str, ...]]
) -> Snapshot:
    """Return what came of the challenges: of the account without a fault, judged here, and as the ledgers say it."""
    try:
        known, *challenges = lines[CHALLENGES]
        stranger, *comparisons = lines[STRANGER]
        (installed,) = lines[INSTALLATION]
        tool = Tool(
            test_cases=tuple(known["test_cases"]),
            faults=_FAULTS.validate_python(known["faults"]),
            compliant=_CHALLENGE.validate_python(judged((), (), snapshot, told)),
            challenges=tuple(map(_CHALLENGE.validate_python, challenges)),
            stranger=str(stranger["stranger"]),
            no_stranger=str(stranger["no_stranger"]),
            comparisons=tuple(map(_COMPARISON.validate_python, comparisons)),
            attempts=tuple(map(_ATTEMPT.validate_python, lines[BUNDLES])),
            installation=_INSTALLATION.validate_python(installed),
            evidence=evidence,
        )
    except (ValidationError, LookupError, TypeError, ValueError) as error:
        raise EvidenceError("a ledger of the challenges is not as it was written", _RESTORE) from error
    return Snapshot(_NOBODY, _NOBODY, {}, (), None, tool=tool)


_FAULTS = TypeAdapter(tuple[KnownFault, ...])
_CHALLENGE = TypeAdapter(Challenge)
_COMPARISON = TypeAdapter(Comparison)
_ATTEMPT = TypeAdapter(Attempt)
_INSTALLATION = TypeAdapter(Installation)
