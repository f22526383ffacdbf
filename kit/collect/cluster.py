"""Has the objects of a run read in partitions by the workers of a Dask cluster.

Scheduling, transport and the retry of what a lost worker was at are Dask's.
"""

import json
import logging
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from uuid import uuid4

from kit.collect.objects import Progress, Search, read_of
from kit.collect.partition import Partition, Reached, kit_identity, read_partition
from kit.collect.readers import Storage
from kit.digests.objects import Read, Wanted
from kit.errors import ExecutionError, ParameterError
from kit.findings import count
from kit.sections import Target

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from distributed import Client

_AHEAD = 2
"""How many partitions are under way for each thread of the cluster: one that it reads, and one that waits for it."""
_LOST = "see that the workers have this version of the kit and memory for it, or run without --dask"
_LOGGERS = ("distributed", "distributed.client", "distributed.core", "distributed.comm")


def connect(address: str) -> "Client":
    """Return a client of a running Dask cluster, by the address of its scheduler: `tcp://host:8786`.

    Raises:
        ParameterError: the `dask` extra is not installed, or nobody answers at the address.
    """
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
        from distributed.versions import VersionMismatchWarning  # noqa: PLC0415
    except ImportError as error:
        raise ParameterError(
            "Dask is not installed", "install it beside the kit: pip install 'trailkit[dask]'"
        ) from error
    for name in _LOGGERS:
        # what it has to say is told by our own errors; in a notebook it would become part of the record
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)
            return Client(address, timeout=10, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ParameterError(f"no Dask scheduler answers at {address}", "start it, or correct --dask") from error


def width(client: "Client") -> int:
    """Return how many tasks the workers of a cluster can be at, at a time; at least one, for they may still come."""
    return max(1, sum(client.nthreads().values()))  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Cluster:
    """The cluster that reads for a run: the address of its scheduler, and how many objects a partition has.

    Few objects are read here: fewer than twice the `smallest` partition. Many are shared out, so that each thread of
    the cluster gets some partitions, none larger than the `largest`.
    """

    address: str
    smallest: int = 64
    largest: int = 1024


class Spread:
    """Reads the objects of a run on a cluster, in partitions, some of them ahead; opened when it is first needed."""

    def __init__(self, cluster: Cluster, target: Target, home: str, search: Search | None = None) -> None:
        self._cluster = cluster
        self._target, self._home, self._search = target, home, search
        self._run = uuid4().hex
        self._opened: tuple[Client, Executor] | None = None

    def is_worth(self, count: int) -> bool:
        """Return whether so many objects are read by the cluster, or sooner here."""
        return count >= 2 * self._cluster.smallest

    def read(
        self, wanted: Sequence[Wanted], storage: Callable[[str], Storage | str], progress: Progress
    ) -> Iterator[tuple[bytes, Read]]:
        """Yield the ledger line of each object, and what it says, in the order asked for.

        `storage` says how a bucket is reached from here. A partition whose worker is lost is read by another.

        Raises:
            ParameterError: Dask is not installed, or no scheduler answers.
            ExecutionError: a partition could not be read, or what came back is not what was asked for.
        """
        client, executor = self._opened = self._opened or self._open()
        ahead: deque[tuple[Sequence[Wanted], Future[list[bytes] | str]]] = deque()
        most = _AHEAD * width(client)
        size = min(self._cluster.largest, max(self._cluster.smallest, -(-len(wanted) // (2 * most))))
        parts = (wanted[start : start + size] for start in range(0, len(wanted), size))
        while True:
            for part in islice(parts, most - len(ahead)):
                ahead.append((part, executor.submit(read_partition, self._partition(part, storage))))
            if not ahead:
                return
            part, future = ahead.popleft()
            for line, found in _held(part, future):
                progress(1, found.stored)
                yield line, found

    def close(self) -> None:
        """Let go of the cluster; partitions that nobody waits for any more are cancelled."""
        opened, self._opened = self._opened, None
        if opened:
            client, executor = opened
            executor.shutdown(wait=False)
            client.close()  # type: ignore[no-untyped-call]

    def _open(self) -> "tuple[Client, Executor]":
        client = connect(self._cluster.address)
        return client, client.get_executor(pure=False)  # type: ignore[no-untyped-call]

    def _partition(self, part: Sequence[Wanted], storage: Callable[[str], Storage | str]) -> Partition:
        reached = {bucket: _reached(storage(bucket)) for bucket in dict.fromkeys(one.bucket for one in part)}
        return Partition(self._run, kit_identity(), self._target, self._home, reached, tuple(part), self._search)


def _reached(storage: Storage | str) -> Reached | str:
    return storage if isinstance(storage, str) else Reached(storage.bucket.region, storage.account)


def _held(part: Sequence[Wanted], future: "Future[list[bytes] | str]") -> Iterator[tuple[bytes, Read]]:
    """Yield what a worker brought back, held to what it was asked for."""
    try:
        lines = future.result()
    except Exception as error:
        why = f"{type(error).__name__}: {error}"[:300]
        raise ExecutionError(f"the cluster did not read {count(len(part), 'object')} ({why})", _LOST) from error
    if isinstance(lines, str):
        raise ExecutionError(lines, _LOST)
    try:
        found = [read_of(json.loads(line)) for line in lines]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ExecutionError(f"a line that a worker brought back can't be read: {error!r}"[:300], _LOST) from error
    if [_name(one) for one in found] != [_name(one) for one in part]:
        raise ExecutionError("a worker of the cluster brought back other objects than it was to read", _LOST)
    yield from zip(lines, found, strict=True)


def _name(one: Read | Wanted) -> tuple[str, str, str]:
    return one.bucket, one.key, one.version
