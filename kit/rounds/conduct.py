"""Conducts a round: opened in the register, each target qualified by whatever crew there is, and summed up in a record.

`register.jsonl` of the outputs folder holds that a round was opened, resumed and closed, and the register of each
target what was done there: nothing else is kept of a round, and with both it goes on where it was broken off.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kit.canonical import Json
from kit.collect.gather import SUMMARY
from kit.collect.scope import readers_for
from kit.collect.summary import collect_accounts
from kit.errors import ParameterError, RecordError
from kit.evidence import EvidenceStore, new_id, utc_now
from kit.parameters import RunParameters
from kit.qualify import qualify
from kit.record.folders import hold, is_held
from kit.record.history import histories
from kit.record.manifest import RUNS
from kit.record.register import Register, locked_register
from kit.record.seal import Sealed
from kit.record.working import WorkingOutputs
from kit.recording import Recorder
from kit.rounds.engine import Crew, carry_out
from kit.rounds.targets import RoundTarget, TargetsFile, listed, of_organization, sharing_pace
from kit.rounds.work import Outcome, Task, reason_in

ALLOWED = ("IQ", "OQ", "PQ")
"""The protocols that a round can have: those that ask an account, and change nothing."""

Tell = Callable[[list[Outcome], int], None]
"""Told what came of a target, and how many targets there are."""


@dataclass(frozen=True)
class Scope:
    """The targets of a round, and how the organization is reached that they are the accounts of, if they are."""

    targets: Sequence[RoundTarget]
    organization: Mapping[str, Json] | None


def conduct(
    file: TargetsFile,
    protocols: Sequence[str],
    outputs: Path | WorkingOutputs,
    crew: Crew,
    tell: Tell,
    *,
    resume: bool = False,
    pdf: bool = True,
) -> Sealed:
    """Qualify every target by each protocol, and return the record that sums it up.

    Outputs that are worked for in a folder of their own are those of a summary; what it left is to be sent then.
    With `resume` the latest round that was not closed goes on: what is finished stays, what is not is done. Without
    `pdf` only the summary has one.

    Raises:
        ParameterError: the targets are refused, a protocol can't be part of a round, or there is nothing to resume.
        CredentialsError: the organization is to be listed, and no credentials can be found.
        ExecutionError: it was interrupted; it can be resumed.
        RecordError: a register can't be written, or the round is under way.
    """
    if wrong := [name for name in protocols if name not in ALLOWED]:
        raise ParameterError(f"{', '.join(wrong)} can't be part of a round", f"name {', '.join(ALLOWED)}")
    scope = scope_of(file)
    working = outputs if isinstance(outputs, WorkingOutputs) else WorkingOutputs(outputs)
    working.folder = working.folder.resolve()
    told = {"protocols": list(protocols), "targets_sha256": file.sha256}
    with _opened(working.folder, told, len(scope.targets), resume=resume) as round_id:
        # it can be resumed from then on, wherever this machine is
        working.send()
        tasks = (
            Task(one.name, tuple(protocols), one.parameters, working.below(one.name), round_id, pdf)
            for one in sharing_pace(scope.targets, crew.width)
        )
        carry_out(tasks, crew, lambda outcomes: tell(outcomes, len(scope.targets)))
        parameters = summary_parameters(round_id, file, scope, protocols)
        working.bring_targets([one.name for one in scope.targets], protocols, round_id)
        sealed = qualify(SUMMARY, parameters, working.folder, working.noting(lambda *_: None))
        with locked_register(working.folder) as register:
            register.append("closed", round_id, {"summary": sealed.folder.name, "verdict": sealed.verdict.value})
    return sealed


def scope_of(file: TargetsFile) -> Scope:
    """Return the targets of a file: those that it lists, or the accounts of the organization, which are asked for.

    IAM: organizations:ListAccounts.

    Raises:
        ParameterError: a target is refused, or the accounts can't be listed.
        CredentialsError: no credentials can be found.
    """
    if not file.organizations:
        return Scope(listed(file), None)
    reached = dict(file.defaults.get("target") or {})
    # which account it is, is what the first answer says
    asking = {"target": {"account_id": "0" * 12, **reached}, "execution": file.defaults.get("execution") or {}}
    # the summary lists them again, and keeps the answer
    with tempfile.TemporaryDirectory(prefix="trailkit-") as scratch:
        recorder = Recorder(EvidenceStore(Path(scratch) / "evidence"))
        caller, members = collect_accounts(readers_for(RunParameters.load(asking), recorder))
    if members.value is None or caller.value is None:
        why = members.why if members.value is None else caller.why
        remedy = "allow organizations:ListAccounts, in the management account or a delegated administrator's"
        raise ParameterError(f"the accounts of the organization can't be listed: {why}", remedy)
    targets = of_organization(file, members.value, caller.value.account)
    return Scope(targets, {**reached, "account_id": caller.value.account})


def summary_parameters(round_id: str, file: TargetsFile, scope: Scope, protocols: Sequence[str]) -> dict[str, Json]:
    """Return the parameters of the summary of a round: the targets by name and account, and who executed it."""
    demonstration = any(one.demonstration for one in scope.targets)
    first = RunParameters.load(scope.targets[0].parameters).to_json()["execution"]
    execution = {name: value for name, value in first.items() if name != "change_controls"}
    execution |= {"reason": reason_in(round_id, execution["reason"])}
    execution |= {"environment": "sandbox"} if demonstration else {}
    return {
        "target": "round",
        "of_round": {
            "id": round_id,
            "protocols": list(protocols),
            "targets": [{"name": one.name, "account_id": one.account_id or None} for one in scope.targets],
            "demonstration": demonstration,
            "organization": scope.organization,
            "excluded": [one.model_dump(mode="json") for one in file.excluded],
        },
        "execution": execution,
        "requirements": [],
    }


@contextmanager
def _opened(outputs: Path, told: Mapping[str, Json], number: int, *, resume: bool) -> Iterator[str]:
    """Open a round in the register, or the one that was not closed, and hold it for the block; yield its id."""
    with locked_register(outputs) as register:
        round_id = _resumed(register, told) if resume else new_id("ROUND", utc_now())
        folder = outputs / RUNS / round_id
        if is_held(folder):
            raise RecordError(f"{round_id} is under way", "wait until it ends, or end it first")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held = hold(folder)
        except OSError as error:
            raise RecordError(f"{outputs} can't be written: {error.strerror}", "choose another (--output)") from error
        register.append("resumed" if resume else "opened", round_id, {**told, "targets": number})
    try:
        yield round_id
    finally:
        os.close(held)
        with suppress(OSError):
            folder.rmdir()


def _resumed(register: Register, told: Mapping[str, Json]) -> str:
    rounds = [one for one in histories(register.entries).values() if one.last("opened")]
    latest = rounds[-1] if rounds else None
    if latest is None or latest.last("closed"):
        raise ParameterError("there is no round to resume", "run it without --resume")
    if differ := [name for name, value in told.items() if latest.first.get(name) != value]:
        what = " and ".join({"targets_sha256": "targets file", "protocols": "protocols"}[name] for name in differ)
        remedy = "resume it with the file and the protocols that it was opened with, or begin another without --resume"
        raise ParameterError(f"{latest.record_id} was opened with another {what}", remedy)
    return latest.record_id
