"""Spreads the tasks of a round over workers, through the one boundary `concurrent.futures.Executor`.

Threads, processes and a Dask cluster are three executors for the same tasks, and nothing here knows which it has. Only
so many tasks are handed out as there are workers, so that what is held does not grow with the number of targets, and
one that loses its worker is known.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import wait as wait_for

from kit.collect.cluster import connect, width
from kit.errors import ExecutionError, ParameterError
from kit.rounds.work import Outcome, Task, qualify_target

Work = Callable[[Task], list[Outcome]]
Workers = Callable[[], AbstractContextManager[Executor]]

_TRIES = 3
"""How often a task is handed out before it is given up: what kills its worker may be the task."""
_RENEWED_AFTER = 50
"""How many targets one process qualifies before another takes its place: what libraries keep is let go of."""
_RESUME = "run the same command with --resume"


def _plainly(work: Work, task: Task) -> list[Outcome]:
    return work(task)


@dataclass(frozen=True)
class Crew:
    """How many workers there are, and what opens an executor over them; it can be opened again where it broke.

    `carry` is what a worker does with the work and a task of it.
    """

    width: int
    open: Workers
    carry: Callable[[Work, Task], list[Outcome]] = _plainly


def threads(width: int) -> Crew:
    """Return a crew of threads of this process; what they are at when it is interrupted is brought to its end."""
    return Crew(width, lambda: ThreadPoolExecutor(width))


def processes(width: int) -> Crew:
    """Return a crew of processes of this machine, which end when this one does, and at once when it is interrupted."""

    @contextmanager
    def opened() -> Iterator[Executor]:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(width, context, _enlist, max_tasks_per_child=_RENEWED_AFTER) as executor:
            try:
                yield executor
            except BaseException:
                for child in multiprocessing.active_children():
                    child.terminate()
                raise

    return Crew(width, opened)


def dask(address: str) -> Crew:
    """Return the workers of a running Dask cluster, by the address of its scheduler: `tcp://host:8786`.

    Scheduling, transport and the retry of what a lost worker was at are Dask's. The outputs are in S3, or in a
    folder that every worker sees under the same path. Tasks hold no credentials: each worker uses its own. The objects
    of a target are read by all of them, in partitions.

    Raises:
        ParameterError: the `dask` extra is not installed, or nobody answers at the address.
    """
    with connect(address) as client:
        most = width(client)

    @contextmanager
    def opened() -> Iterator[Executor]:
        # a task that is done twice, since its worker was lost, finds in the register what was finished
        with connect(address) as client, client.get_executor(pure=False) as executor:
            yield executor

    return Crew(most, opened, _spreading)


def _spreading(work: Work, task: Task) -> list[Outcome]:
    """Carry out a task on a worker of a cluster, and have the cluster read the target's objects.

    The task leaves its slot to those partitions: were every slot held by a target that waits for its own, none would
    ever be read.
    """
    from distributed import get_worker, secede  # noqa: PLC0415 - an extra

    address = get_worker().scheduler.address
    secede()  # type: ignore[no-untyped-call]
    return work(replace(task, cluster=address))


def carry_out(
    tasks: Iterable[Task], crew: Crew, tell: Callable[[list[Outcome]], None], work: Work = qualify_target
) -> None:
    """Have a crew carry out tasks, and tell of each as it is done, in the order in which they end.

    A task whose worker dies is handed out again, and given up after some tries: its outcomes then say so.

    Raises:
        ExecutionError: it was interrupted, or the cluster was lost; what was done is told, and in the registers.
    """
    waiting = iter(tasks)
    again: list[tuple[Task, int]] = []
    begun = False
    while True:
        with _interruption_told(begun=begun), crew.open() as executor:
            begun = True
            again = _carried(waiting, again, crew.width, executor, tell, partial(crew.carry, work))
        if not again:
            # where the last task that lost its worker was given up, others may still wait
            if (task := next(waiting, None)) is None:
                return
            again = [(task, 0)]


def _carried(
    waiting: Iterator[Task],
    again: list[tuple[Task, int]],
    width: int,
    executor: Executor,
    tell: Callable[[list[Outcome]], None],
    work: Work,
) -> list[tuple[Task, int]]:
    """Hand out tasks until none is left, or a worker dies; return those that lost theirs, and how often each did."""
    handed: dict[Future[list[Outcome]], tuple[Task, int]] = {}
    lost: list[tuple[Task, int]] = []
    broken = False
    while True:
        while len(handed) < width and not broken:
            task, tries = again.pop() if again else (next(waiting, None), 0)
            if task is None:
                break
            try:
                handed[executor.submit(work, task)] = (task, tries + 1)
            except BrokenExecutor:
                # a worker died that had nothing to do
                lost.append((task, tries))
                broken = True
        if not handed:
            return [*again, *lost]
        done, _ = wait(handed, return_when=FIRST_COMPLETED)
        for future in done:
            task, tries = handed.pop(future)
            # the work itself raises nothing: whatever is raised is about who did it
            error = CancelledError() if future.cancelled() else future.exception()
            if error is None:
                tell(future.result())
                continue
            broken = True
            if tries < _TRIES:
                lost.append((task, tries))
            else:
                tell([_given_up(task, name, error) for name in task.protocols])


def _given_up(task: Task, protocol_id: str, error: BaseException) -> Outcome:
    why = f"its worker was lost {_TRIES} times ({type(error).__name__})"
    return Outcome(
        task.target, protocol_id, problem=why, remedy="see that there is memory for it, and resume the round"
    )


@contextmanager
def _interruption_told(*, begun: bool) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise ExecutionError("the round was interrupted", _RESUME) from error
    except ParameterError as error:
        if not begun:
            raise
        # whoever did the work is gone, and can't be had again
        raise ExecutionError(f"the round was broken off: {error.message}", f"start it, then {_RESUME}") from error


def _enlist() -> None:
    """Have a worker process end as it is told to, leave Ctrl-C to the process that started it, and not outlive that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        wait_for([parent.sentinel])
        with contextlib.suppress(ProcessLookupError):
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, daemon=True).start()
