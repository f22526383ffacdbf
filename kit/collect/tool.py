"""Challenges the kit, and keeps what came of it: with every fault of the embedded account, beside AWS's own verifier,
with tampered records, and as it is installed. No account but the embedded one is asked.

What came of a challenge is first made a line of a ledger, and then read, live and in replay alike; only the account
without a fault is judged again from AWS's raw answers.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pydantic import TypeAdapter, ValidationError

from kit.canonical import Json
from kit.catalogue import TestCase, kit_protocol
from kit.checks.tool import ACCOUNT, BUNDLES, CHALLENGES, INSTALLATION, STRANGER
from kit.collect.account import Progress
from kit.collect.gather import gather, gather_again
from kit.collect.installation import installation
from kit.collect.ledger import Ledger, encode_line, read_ledger
from kit.digests import challenge
from kit.digests.digest import PublicKey, RawDigest, Verified, verify_digest
from kit.digests.problems import Kind
from kit.errors import EvidenceError, SandboxError
from kit.evidence import EvidenceStore, is_ledger, read_index, timestamp, utc_now
from kit.findings import Finding, Verdict, roll_up
from kit.parameters import RunParameters
from kit.record.tampering import attempts
from kit.sandbox.fault import PERIODS, Fault
from kit.sandbox.faults import combinations, list_faults
from kit.sandbox.server import CREDENTIALS, Sandbox
from kit.snapshot import Absence, Answer, Reason, Snapshot
from kit.tool import Attempt, Challenge, Comparison, Installation, KnownFault, Tool

JUDGED = ("IQ", "OQ")
_HOME = "eu-west-1"
_HOURS = 4
DELIVERY = {
    "hours": _HOURS,
    "logs_per_hour": 2,
    "regions": [_HOME, "us-east-1"],
    "digest_regions": [_HOME, "us-east-1", "eu-central-1", "us-west-2"],
}
"""What the embedded account has delivered when it is challenged: enough for every fault, and read in no time."""

BLINDED = KnownFault(
    "verifier-blinded",
    "The verifier that OQ-09 challenges takes every signature for CloudTrail's own.",
    ("OQ-09",),
    "it spoils the kit, and not the account",
)
"""The one fault that no account can have."""

_RESTORE = "restore the record from its archive"
_SAID = 2000
_PATIENCE_S = 300
_SKEW_S = 30
"""A third of what the fault of the clock is."""

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
    with Sandbox((), DELIVERY) as sandbox, tempfile.TemporaryDirectory(prefix="trailkit-") as scratch:
        told = _parameters(sandbox)
        snapshot = gather("OQ", told, store, CREDENTIALS, executor, progress)
        bench = _Bench(sandbox, Path(scratch), executor, progress)
        challenges = itertools.chain([_known(told), _blinded(snapshot, told)], bench.challenges(parameters))
        lines[CHALLENGES] = _kept(store, CHALLENGES, challenges)
        lines[STRANGER] = _kept(store, STRANGER, bench.comparisons())
        lines[BUNDLES] = _kept(store, BUNDLES, bench.attempts())
    lines[INSTALLATION] = _kept(store, INSTALLATION, [installation()])
    return _snapshot(snapshot, told, lines, _ids(store.folder))


def collect_tool_again(evidence: Path, executor: Executor, progress: Progress) -> Snapshot:
    """Return the same from recorded evidence alone.

    Raises:
        EvidenceError: the evidence does not hold what is asked, holds what was not asked for, or can't be read.
    """
    names = (CHALLENGES, STRANGER, BUNDLES, INSTALLATION)
    lines = {name: list(read_ledger(evidence, name)) for name in names}
    try:
        told = RunParameters.load(lines[CHALLENGES][0]["parameters"])
    except (LookupError, TypeError) as error:
        raise EvidenceError("the evidence does not say with what the kit was challenged", _RESTORE) from error
    return _snapshot(gather_again("OQ", told, evidence, executor, progress), told, lines, _ids(evidence))


def _parameters(sandbox: Sandbox) -> RunParameters:
    """Return the parameters under which the account without a fault passes, on a machine that is slow to answer too."""
    told = sandbox.parameters
    return RunParameters.load({**told, "expected": {**told["expected"], "max_clock_skew_seconds": _SKEW_S}})


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


def account_faults() -> list[Fault]:
    """Return the faults of an account, each with those test cases of `JUDGED` that it changes."""
    judged = {case.id for case in _cases()}
    return [
        replace(one, changes=tuple(case for case in one.changes if case in judged))
        for one in list_faults()
        if one.area != PERIODS
    ]


def _cases() -> Iterator[TestCase]:
    for name in JUDGED:
        yield from kit_protocol(name).test_cases.values()


def _known(told: RunParameters) -> Json:
    """Return the first line: the catalogue of faults and test cases, and the parameters of the account."""
    of_account = (KnownFault(one.name, one.description, one.changes, one.alone) for one in account_faults())
    faults = [asdict(one) for one in (BLINDED, *of_account)]
    return {"faults": faults, "test_cases": [case.id for case in _cases()], "parameters": told.to_json()}


def _blinded(snapshot: Snapshot, told: RunParameters) -> Json:
    """Return what the account without a fault comes to, where the verifier's own challenge meets a blind verifier.

    No account can have OQ-09 fail: it is about the kit, so that the kit is spoilt.
    """

    def blind(raw: RawDigest, keys: Mapping[str, PublicKey] | str) -> Verified:
        found = verify_digest(raw, keys)
        return replace(found, problems=tuple(one for one in found.problems if one.kind != Kind.SIGNATURE))

    with patch.object(challenge, "verify_digest", blind):
        return _judged((BLINDED.name,), BLINDED.changes, snapshot, told)


def _judged(faults: Sequence[str], expected: Sequence[str], snapshot: Snapshot, told: RunParameters) -> Json:
    """Return a challenge as its line: every test case of the kit judged on what was collected."""
    found = {case.id: case.judge(snapshot, told) for case in _cases()}
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


class _Bench:
    """Where the challenges are carried out: an embedded account, and a folder for what they leave."""

    def __init__(self, sandbox: Sandbox, scratch: Path, executor: Executor, progress: Progress) -> None:
        self._sandbox = sandbox
        self._scratch = scratch
        self._executor = executor
        self._progress = progress
        self._number = 0

    def challenges(self, parameters: RunParameters) -> Iterator[Json]:
        """Yield the line of every fault alone, and then of combinations until as many as are wanted were judged."""
        faults, wanted = account_faults(), parameters.expected.fault_combinations
        for number, one in enumerate(faults, start=1):
            yield self._challenge((one.name,), one.changes)
            self._progress("Faults", number, len(faults))
        judged = 0
        # a combination that can't be put together is kept, and another is drawn for it
        for three in itertools.islice(combinations(parameters.expected.fault_seed, faults), wanted * 2):
            order = [case.id for case in _cases()]
            union = sorted({case for one in three for case in one.changes}, key=order.index)
            line = self._challenge([one.name for one in three], union)
            judged += "refused" not in line
            yield line
            self._progress("Combinations of faults", judged, wanted)
            if judged == wanted:
                return

    def _challenge(self, faults: Sequence[str], expected: Sequence[str]) -> Json:
        try:
            self._spoil(faults)
        except SandboxError as error:
            why = error.message.rpartition("together: ")[2]
            return {"faults": list(faults), "expected": list(expected), "refused": why, "verdicts": {}, "sentences": {}}
        told = _parameters(self._sandbox)
        self._number += 1
        folder = self._scratch / f"challenge-{self._number}"
        try:
            store = EvidenceStore(folder)
            snapshot = gather("OQ", told, store, CREDENTIALS, self._executor, lambda *_, **__: None)
            return _judged(faults, expected, snapshot, told)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _spoil(self, faults: Sequence[str]) -> None:
        # an account that could not be spoilt so is gone, and would begin with the same faults again
        if not self._sandbox.running:
            self._sandbox.faults = ()
            self._sandbox.start()
        self._sandbox.reset(faults, DELIVERY)

    def comparisons(self) -> Iterator[Json]:
        """Yield first what the AWS command line is, and then what it says of what was delivered, sound and spoilt."""
        beside = Path(sys.executable).with_name("aws")
        command = str(beside) if beside.exists() else shutil.which("aws")
        version = _output([command, "--version"], dict(os.environ))[1].partition(" ")[0] if command else ""
        why = "" if version else "The AWS command line is not installed beside the kit."
        yield {"stranger": version, "no_stranger": why}
        if not command or not version:
            return
        names = ["", *(one.name for one in account_faults() if one.area == "deliveries" and _of_objects(one.changes))]
        for number, name in enumerate(names, start=1):
            self._spoil([name] if name else [])
            status, said = self._validate(command)
            yield {"fault": name, "status": status, "said": said[-_SAID:]}
            self._progress("validate-logs", number, len(names))

    def _validate(self, command: str) -> tuple[int, str]:
        config = self._scratch / "config"
        config.write_text("[default]\ns3 =\n    addressing_style = path\n", encoding="utf-8")
        until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        since = until - timedelta(hours=_HOURS)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment = kept | self._sandbox.environment
        environment |= {"AWS_CONFIG_FILE": str(config), "AWS_ENDPOINT_URL_S3": self._sandbox.endpoint}
        asked = [command, "--endpoint-url", self._sandbox.endpoint, "--region", _HOME, "cloudtrail", "validate-logs"]
        trail = self._sandbox.parameters["expected"]["trail_arn"]
        window = ["--start-time", f"{since:%Y-%m-%dT%H:%M:%SZ}", "--end-time", f"{until:%Y-%m-%dT%H:%M:%SZ}"]
        return _output([*asked, "--verbose", "--trail-arn", trail, *window], environment)

    def attempts(self) -> Iterator[Json]:
        """Yield what was tried on a record that the kit, as it is installed, makes of the account without a fault."""
        outputs = self._scratch / "outputs"
        self._spoil([])
        file = self._scratch / "parameters.yaml"
        file.write_text(json.dumps(self._sandbox.parameters), encoding="utf-8")
        command = [sys.executable, "-P", "-m", "kit.cli.main", "run", "iq", "--parameters", str(file)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TRAILKIT_"))}
        status, said = _output([*command, "--output", str(outputs)], kept | self._sandbox.environment)
        made = sorted(outputs.glob("IQ-*")) if status == 0 else []
        if not made:
            why = f"the command ended with {status}: {said.strip()[-300:]}"
            yield {
                "deed": "a record is made",
                "asked": "run",
                "due": "",
                "accepted": False,
                "said": "",
                "impossible": why,
            }
            return
        # in a thread of its own: signing runs an event loop, and in a notebook one is running already
        tried = self._executor.submit(lambda: list(attempts(outputs, made[0].name, self._scratch / "tampered")))
        self._progress("Tampered records", 0, 1)
        yield from tried.result()
        self._progress("Tampered records", 1, 1)


def _of_objects(changes: Sequence[str]) -> bool:
    """Return whether a fault is of what validate-logs looks at, or is harmless."""
    return not changes or any(case.startswith("OQ-") for case in changes)


def _output(command: Sequence[str | None], environment: Mapping[str, str]) -> tuple[int, str]:
    """Return the exit status of a command, and all that it said."""
    try:
        done = subprocess.run(  # noqa: S603 - this Python, and the AWS command line beside it
            [part for part in command if part], env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True,
            encoding="utf-8", errors="replace", check=False, timeout=_PATIENCE_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, f"{type(error).__name__}"
    return done.returncode, done.stdout + done.stderr


def _snapshot(
    snapshot: Snapshot, told: RunParameters, lines: Mapping[str, list[Json]], evidence: Mapping[str, tuple[str, ...]]
) -> Snapshot:
    """Return what came of the challenges: of the account without a fault, judged here, and as the ledgers say it."""
    try:
        known, *challenges = lines[CHALLENGES]
        stranger, *comparisons = lines[STRANGER]
        (installed,) = lines[INSTALLATION]
        tool = Tool(
            test_cases=tuple(known["test_cases"]),
            faults=_FAULTS.validate_python(known["faults"]),
            compliant=_CHALLENGE.validate_python(_judged((), (), snapshot, told)),
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
