"""What one worker does of a round: it qualifies one target by each protocol, wherever it runs, and however often.

A worker may die and its task be given to another; what the target's register holds as finished is not done again.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kit.canonical import Json
from kit.errors import KitError
from kit.qualify import qualify
from kit.record.history import runs_in_round
from kit.record.register import REGISTER, read_register
from kit.record.working import WorkingOutputs, send_after, working_outputs
from kit.render.index import refresh_index


@dataclass(frozen=True)
class Task:
    """One target of a round: by which protocols, with which parameters, into which outputs folder.

    The runs state the round in their reason, behind that of the parameters: it tells them from all others. Without
    `pdf` the records have none until they are rendered again. `cluster` is the scheduler of the Dask cluster that reads
    the target's objects, if one does.
    """

    target: str
    protocols: tuple[str, ...]
    parameters: Mapping[str, Json]
    outputs: str
    round_id: str
    pdf: bool = True
    cluster: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of one protocol on one target: a record with its verdict and digest, or a problem and its remedy.

    `seconds` is how long it took; none where it had been done before.
    """

    target: str
    protocol: str
    record_id: str = ""
    verdict: str = ""
    digest: str = ""
    problem: str = ""
    remedy: str = ""
    seconds: float = 0.0


def reason_in(round_id: str, stated: str | None) -> str:
    """Return the reason that a run in a round states: the one that was given, and the round."""
    return f"{stated}; {round_id}" if stated else round_id


def qualify_target(task: Task) -> list[Outcome]:
    """Qualify a target by each protocol in turn, and return what came of each; raises nothing that a target can cause.

    A worker calls it, in a thread, a process or on another machine; task and outcomes can be pickled.
    """
    try:
        with working_outputs(task.outputs, task.protocols) as outputs:
            return [_qualify(task, name, outputs) for name in task.protocols]
    except KitError as error:
        # its outputs can't be brought
        return [Outcome(task.target, name, problem=error.message, remedy=error.remedy) for name in task.protocols]


def finished(task: Task, protocol_id: str, folder: Path) -> Outcome | None:
    """Return the outcome of a protocol that the register in a folder holds as finished in this round, or None."""
    with suppress(KitError):
        for one in reversed(runs_in_round(read_register(folder / REGISTER), protocol_id, task.round_id)):
            if one.state == "finished":
                return Outcome(task.target, protocol_id, one.record_id, one.verdict, one.digest)
    return None


def _qualify(task: Task, protocol_id: str, outputs: WorkingOutputs) -> Outcome:
    if done := finished(task, protocol_id, outputs.folder):
        return done
    started = time.monotonic()
    told = dict(task.parameters)
    execution = told.get("execution") or {}
    told["execution"] = {**execution, "reason": reason_in(task.round_id, execution.get("reason"))}
    try:
        with _sent(outputs):
            noted = outputs.noting(_silent)
            sealed = qualify(protocol_id, told, outputs.folder, noted, pdf=task.pdf, cluster=task.cluster)
        spent = time.monotonic() - started
        return Outcome(task.target, protocol_id, sealed.folder.name, sealed.verdict.value, sealed.digest, seconds=spent)
    except KitError as error:
        problem, remedy = error.message, error.remedy
    except Exception as error:  # noqa: BLE001 - a defect of ours that one target meets must not end the others
        problem, remedy = f"{type(error).__name__}: {error}"[:300], "report it, and run the target by itself"
    return Outcome(task.target, protocol_id, problem=problem, remedy=remedy, seconds=time.monotonic() - started)


@contextmanager
def _sent(outputs: WorkingOutputs) -> Iterator[None]:
    """Have what a run left where it belongs when the block ends, with its index; an error of it is told first."""
    if not outputs.place:
        yield
        return
    try:
        yield
    except KitError as error:
        refresh_index(outputs.folder)
        send_after(error, outputs)
        raise
    refresh_index(outputs.folder)
    outputs.send()


def _silent(phase: str, done: int, total: int, size: int = 0) -> None:
    """Tell nobody: a round tells of targets, not of what each is at."""
