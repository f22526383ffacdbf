"""Has the objects of a run read in partitions by the workers of a Dask cluster.

Scheduling, transport and the retry of what a lost worker was at are Dask's.
"""

import json
import logging
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING
from uuid import uuid4

from kit.collect.objects import Progress, Search, read_of
from kit.collect.partition import Partition, Reached, kit_identity, read_partition
from kit.collect.readers import Storage
from kit.digests.objects import Read, Wanted
from kit.errors import ExecutionError, KitError, ParameterError
from kit.sections import Target

if TYPE_CHECKING:
    from distributed import Client, Future

_AHEAD = 2
"""How many partitions are under way for each thread of the cluster: one that it reads, and one that waits for it."""
_PATIENCE_S = 60
"""For how many seconds a partition is waited for before it is asked whether there is any worker."""
_LOST = "see that the workers have this version of the kit and memory for it, or run without --dask"
_ADDRESS = re.compile(r"(tcp|tls|ws|wss)://[^\s/]+:[0-9]{1,5}")
_LOGGERS = ("distributed", "distributed.client", "distributed.core", "distributed.comm")


def connect(address: str) -> "Client":
    """Return a client of a running Dask cluster, by the address of its scheduler: `tcp://host:8786`.

    Raises:
        ParameterError: the `dask` extra is not installed, or nobody answers at the address.
    """
    try:
        from distributed import Client, Security  # noqa: PLC0415 - an extra
        from distributed.versions import VersionMismatchWarning  # noqa: PLC0415
    except ImportError as error:
        raise ParameterError(
            "Dask is not installed", "install it beside the kit: pip install 'trailkit[dask]'"
        ) from error
    if not _ADDRESS.fullmatch(address):
        raise ParameterError(f"{address!r} is no address of a Dask scheduler", "name it: --dask tcp://host:8786")
    # asked here: a client that can't have it takes long to let go
    encrypted, security = address.startswith(("tls:", "wss:")), Security()  # type: ignore[no-untyped-call]
    context = security.get_connection_args("client").get("ssl_context")  # type: ignore[no-untyped-call]
    if context is None if encrypted else security.require_encryption:
        what = f"Dask's configuration here does not go with {address}"
        raise ParameterError(what, "configure TLS for Dask (distributed.comm.tls) and name tls://, or neither")
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


@dataclass
class Cluster:
    """The cluster that reads for a run: the address of its scheduler, how many objects a partition has, and how many
    it has `read` so far.

    Few objects are read here: fewer than twice the `smallest` partition. Many are shared out, so that each thread of
    the cluster gets some partitions, none larger than the `largest`.
    """

    address: str
    smallest: int = 64
    largest: int = 1024
    read: int = 0


class Spread:
    """Reads the objects of a run on a cluster, in partitions, some of them ahead; opened when it is first needed."""

    def __init__(self, cluster: Cluster, target: Target, home: str, search: Search | None = None) -> None:
        self._cluster = cluster
        self._target, self._home, self._search = target, home, search
        self._run = uuid4().hex
        self._client: Client | None = None

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
        with _failure_told():
            client = self._client = self._client or connect(self._cluster.address)
            most = _AHEAD * width(client)
        size = min(self._cluster.largest, max(self._cluster.smallest, -(-len(wanted) // (2 * most))))
        parts = (wanted[start : start + size] for start in range(0, len(wanted), size))
        ahead: deque[tuple[Sequence[Wanted], Future[list[bytes] | str]]] = deque()
        while True:
            for part in islice(parts, most - len(ahead)):
                partition = self._partition(part, storage)
                with _failure_told():
                    # not pure: what another run was told of the same objects is not what this one is told
                    ahead.append((part, client.submit(read_partition, partition, pure=False)))
            if not ahead:
                return
            part, future = ahead.popleft()
            with _failure_told():
                lines = _brought(client, future)
            for line, found in _held(part, lines):
                self._cluster.read += 1
                progress(1, found.stored)
                yield line, found

    def close(self) -> None:
        """Let go of the cluster; partitions that nobody waits for any more are cancelled."""
        client, self._client = self._client, None
        if client:
            # a scheduler that does not answer any more takes no leave
            with suppress(OSError):
                client.close()  # type: ignore[no-untyped-call]

    def _partition(self, part: Sequence[Wanted], storage: Callable[[str], Storage | str]) -> Partition:
        reached = {bucket: _reached(storage(bucket)) for bucket in dict.fromkeys(one.bucket for one in part)}
        return Partition(self._run, kit_identity(), self._target, self._home, reached, tuple(part), self._search)


def _reached(storage: Storage | str) -> Reached | str:
    return storage if isinstance(storage, str) else Reached(storage.bucket.region, storage.account)


@contextmanager
def _failure_told() -> Iterator[None]:
    """Have whatever Dask raises, or a worker met, end the run: what was not read can't be judged."""
    try:
        yield
    except KitError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {error}"[:300]
        raise ExecutionError(f"the cluster did not read what it was to read ({why})", _LOST) from error


def _brought(client: "Client", future: "Future[list[bytes] | str]") -> list[bytes] | str:
    """Return what a worker brought back; wait for it as long as there is a worker."""
    while True:
        try:
            return future.result(timeout=_PATIENCE_S)
        except TimeoutError:
            if future.done():  # type: ignore[no-untyped-call]
                return future.result()
            if not client.nthreads():  # type: ignore[no-untyped-call]
                raise ExecutionError("the cluster has no worker left", _LOST) from None


def _held(part: Sequence[Wanted], lines: list[bytes] | str) -> Iterator[tuple[bytes, Read]]:
    """Yield what a worker brought back, held to what it was asked for."""
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
