"""Reads a part of the objects of a run on a worker of a cluster, which signs in for itself: no credential travels.

What a partition holds can be pickled: which objects, where their buckets are, and how the run's parameters say that the
account is reached. The worker takes that from its own credentials, as the run takes it from those of its machine. What
it asks to sign in (sts:AssumeRole) is in AWS's own records, and not in the evidence of the run.
"""

import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from kit.canonical import canonical, sha256
from kit.collect.installation import own_files
from kit.collect.objects import Search
from kit.collect.readers import Storage
from kit.collect.reading import in_flight, read_lines
from kit.collect.scope import readers_to
from kit.collect.transfers import Transfers
from kit.digests.objects import Wanted
from kit.errors import KitError
from kit.evidence import EvidenceStore
from kit.recording import Recorder
from kit.sections import Target

_SIGNED_IN_S = 1800
"""For how long a worker goes by one sign-in: half of the hour that an assumed role's credentials last
[STS API reference: AssumeRole, DurationSeconds].
"""
_SEATS = 4
"""How many runs a thread is signed in for at a time, each with connections of its own."""


@dataclass(frozen=True)
class Reached:
    """Where a bucket is, and the account as whose reader it is read."""

    region: str
    account: str


@dataclass(frozen=True)
class Partition:
    """Some objects of a run: the run, the kit that it is made with, the objects, and what it takes to read them.

    `home` is the Region in which roles are assumed; of a bucket that can't be reached, `reached` says why in words.
    """

    run: str
    kit: str
    target: Target
    home: str
    reached: Mapping[str, Reached | str]
    wanted: tuple[Wanted, ...]
    search: Search | None


def read_partition(partition: Partition) -> list[bytes] | str:
    """Return the ledger line of each object in the order asked for, or in words why nothing was read.

    A worker that can't sign in gives lines all the same: each says so, as an answer that could not be had.
    IAM: s3:GetObject, s3:GetObjectVersion, kms:Decrypt; sts:AssumeRole where the parameters name a role.
    """
    if partition.kit != kit_identity():
        return f"the worker on {socket.gethostname()} has other files of the kit than the run"
    seat = _seat(partition)
    try:
        return [line for line, _ in read_lines(seat.transfers, partition.wanted, partition.search, lambda *_: None)]
    except BaseException:
        # its connections are in the middle of something
        _seats().pop(partition.run).transfers.close()
        raise


@cache
def kit_identity() -> str:
    """Return what tells the kit that runs here from any other: one hash over the hashes of its files."""
    return sha256(canonical(own_files()))


class _Seat:
    """A thread of a worker, signed in for a run: how its buckets are reached, and the connections to them."""

    def __init__(self, partition: Partition) -> None:
        self.until = time.monotonic() + _SIGNED_IN_S
        self.reached: dict[str, Reached | str] = {}
        self._target, self._home = partition.target, partition.home
        self.transfers = Transfers(self._storage, in_flight=in_flight(partition.search))

    def _storage(self, bucket: str) -> Storage | str:
        reached = self.reached[bucket]
        if isinstance(reached, str):
            return reached
        # what signing in is answered is no evidence of the run, which has its own
        with TemporaryDirectory(prefix="trailkit-") as scratch:
            try:
                readers = readers_to(self._target, Recorder(EvidenceStore(Path(scratch) / "evidence")))
                readers.sign_in(self._home, reached.account)
                found = readers.storage(bucket, reached.region, reached.account)
            except KitError as error:
                found = error.message
        return f"the worker on {socket.gethostname()} can't read: {found}" if isinstance(found, str) else found


_thread = threading.local()


def _seats() -> dict[str, _Seat]:
    seats: dict[str, _Seat] = _thread.__dict__.setdefault("seats", {})
    return seats


def _seat(partition: Partition) -> _Seat:
    """Return this thread's seat for a run, and let go of those that are too old or too many."""
    seats = _seats()
    gone = [run for run, seat in seats.items() if seat.until <= time.monotonic()]
    if partition.run not in seats and len(seats) - len(gone) >= _SEATS:
        gone.append(next(run for run in seats if run not in gone))
    for run in gone:
        seats.pop(run).transfers.close()
    if partition.run not in seats:
        seats[partition.run] = _Seat(partition)
    seats[partition.run].reached.update(partition.reached)
    return seats[partition.run]
