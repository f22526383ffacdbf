"""Reconciles the logs of one account and Region, both ways: what the digests name with what lies in the bucket.

Log names carry no trail's name. Where several trails deliver into one place, a log belongs to the trail whose sound
digest names it. A log that no digest names is planted only where every trail that delivers there is known to have
named all it delivered at that time; else whose it is can't be told, or it is too young to be named yet.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum, auto

from kit.digests.digest import NamedLog
from kit.digests.names import LogName
from kit.digests.objects import Read, Stored
from kit.digests.problems import Kind, Problem, Problems, address

Owner = tuple[str, str]
"""A trail as its digests name it: its name and home Region."""

NAMED_WITHIN = timedelta(minutes=30)
"""How long after the minute in its name a log may be delivered, and so fall into the period of the next digest."""

_MOST = 20


class Naming(Enum):
    """Whether every log of a time has been named by now."""

    DONE = auto()
    YOUNG = auto()  # the digest that will name it is not due yet
    UNKNOWN = auto()  # digests of that time are missing, were rejected, or are not made at all


@dataclass
class Encrypted:
    """The objects under one encryption and key: how many, between which times, and some of their names."""

    count: int = 0
    undated: int = 0
    first: datetime | None = None
    last: datetime | None = None
    examples: list[str] = field(default_factory=list)
    oldest: str = ""
    newest: str = ""

    def add(self, read: Read) -> None:
        """Count one more object."""
        self.count += 1
        if len(self.examples) < _MOST:
            self.examples.append(read.address)
        if read.modified is None:
            self.undated += 1
        else:
            if self.first is None or read.modified < self.first:
                self.first, self.oldest = read.modified, read.address
            if self.last is None or read.modified > self.last:
                self.last, self.newest = read.modified, read.address


Encryption = tuple[str, str]
"""The SSE headers of a response: algorithm and key ARN, each empty where there was none."""


@dataclass
class Tally:
    """What was found of the objects of one trail: counts, sizes, encryption, age at delivery, and problems.

    `failure` says of the first object that was not read, why; `days` counts by the day of the object's name, `lags` by
    whole minutes from a log's newest event to its delivery.
    """

    objects: int = 0
    named: int = 0
    intact: int = 0
    unread: int = 0
    failure: str = ""
    young: int = 0
    stored: int = 0
    encryption: dict[Encryption, Encrypted] = field(default_factory=dict)
    days: dict[date, Counter[Encryption | None]] = field(default_factory=dict)
    lags: Counter[int] = field(default_factory=Counter)
    data_keys: Counter[str] = field(default_factory=Counter)
    unsearched: int = 0
    problems: Problems = field(default_factory=Problems)

    def take(self, read: Read, day: date, others: Iterable[Read] = ()) -> None:
        """Count an object that was to be read, and the encryption that its own response shows, and those of versions
        behind it: what lay there unencrypted is not undone by what lies there now.
        """
        for other in others:
            if not other.failure:
                self.encryption.setdefault((other.encryption, other.encryption_key), Encrypted()).add(other)
        self.objects += 1
        counted = self.days.setdefault(day, Counter())
        if read.failure:
            self.unread += 1
            self.failure = self.failure or f"{read.address} {read.failure}"
            counted[None] += 1
            return
        self.stored += read.stored
        encryption = (read.encryption, read.encryption_key)
        self.encryption.setdefault(encryption, Encrypted()).add(read)
        counted[encryption] += 1


@dataclass(slots=True)
class _Named:
    sha256: str
    newest: datetime | None
    owners: dict[Owner, str]  # the trail, and the digest that names the log


@dataclass(slots=True)
class _There:
    stored: Stored
    name: LogName | None
    read: Read | None
    others: tuple[Read, ...]


class LogBook:
    """Takes names and objects in any order, settles what is old enough, and keeps no more than that."""

    def __init__(
        self,
        window: tuple[datetime, datetime],
        tallies: Mapping[Owner, Tally],
        naming: Callable[[Owner, datetime], Naming],
    ) -> None:
        self._window = window
        self._naming = naming
        self.tallies = dict(tallies)
        self._named: dict[tuple[str, str], _Named] = {}
        self._there: dict[tuple[str, str], _There] = {}

    def add_owner(self, owner: Owner, tally: Tally) -> None:
        """Take note of a trail that delivers here, and of where its logs are counted."""
        self.tallies.setdefault(owner, tally)

    def names(self, bucket: str, key: str) -> bool:
        """Return whether a digest that was taken, and not settled yet, names an object."""
        return (bucket, key) in self._named

    def unlisted(self) -> list[tuple[str, str]]:
        """Return what digests name and no listing showed so far, in order."""
        return sorted(self._named.keys() - self._there.keys())

    def name(self, owner: Owner, log: NamedLog, digest: str) -> None:
        """Take the name of a log from a sound digest of a trail that delivers here."""
        tally = self.tallies[owner]
        known = self._named.setdefault((log.bucket, log.key), _Named(log.sha256, log.newest, {}))
        if owner in known.owners:
            detail = f"is named by two digests: {known.owners[owner]} and {digest}"
            tally.problems.add(Problem(Kind.DUPLICATE, address(log.bucket, log.key), detail))
        known.owners[owner] = digest

    def take(self, stored: Stored, name: LogName | None, read: Read | None, others: Iterable[Read] = ()) -> None:
        """Take an object of the log folder: its name if it is a log's, what reading it gave, and its older versions."""
        self._there[stored.bucket, stored.key] = _There(stored, name, read, tuple(others))

    def settle(self, before: datetime | None = None) -> None:
        """Settle every log whose name is older than a time, or every one; no digest may name it later."""
        for place in sorted(self._named.keys() | self._there.keys()):
            named, there = self._named.get(place), self._there.get(place)
            minute = there.name.minute if there and there.name else _minute(place[1])
            if before is not None and minute is not None and minute >= before:
                continue
            if named:
                for owner, digest in named.owners.items():
                    self._settle_named(self.tallies[owner], place, named, digest, there)
            elif there:
                self._settle_unnamed(there, minute)
            self._named.pop(place, None)
            self._there.pop(place, None)

    def _settle_named(
        self, tally: Tally, place: tuple[str, str], named: _Named, digest: str, there: _There | None
    ) -> None:
        tally.named += 1
        if there is None:
            tally.problems.add(Problem(Kind.DELETED, address(*place), f"is named by {digest}, and is not there"))
            return
        stored, read = there.stored, there.read
        if there.name is None:
            tally.problems.add(
                Problem(Kind.LOCATION, stored.address, f"is named by {digest}, and is no log of this folder")
            )
        if not stored.there:
            detail = f"was deleted at {_when(stored.versions[0].modified)}; {digest} names it"
            tally.problems.add(Problem(Kind.DELETED, stored.address, detail))
            return
        if read is None:
            tally.problems.add(Problem(Kind.UNREAD, stored.address, "was not read"))
            return
        day = (there.name.minute if there.name else stored.versions[0].modified).date()
        tally.take(read, day, there.others)
        if read.failure:
            tally.problems.add(Problem(Kind.DELETED if read.missing else Kind.UNREAD, stored.address, read.failure))
        elif read.problem:
            tally.problems.add(Problem(Kind.CONTENT, stored.address, read.problem))
        elif read.sha256 != named.sha256:
            detail = f"has another content than {digest} says{_original(there, named.sha256)}"
            tally.problems.add(Problem(Kind.HASH, stored.address, detail))
        else:
            tally.intact += 1
            tally.data_keys.update(read.data_keys or {})
            tally.unsearched += read.data_keys is None
            if named.newest is not None:
                lag = stored.versions[0].modified - named.newest
                tally.lags[max(int(lag.total_seconds() // 60), 0)] += 1
        tally.problems.extend(history(stored, there.others, read.sha256))

    def _settle_unnamed(self, there: _There, minute: datetime | None) -> None:
        stored = there.stored
        if there.name is None or minute is None:
            if stored.is_folder:
                return
            self._tell_all(Problem(Kind.PLANTED, stored.address, "has no name that CloudTrail gives its logs"))
            return
        if not self._window[0] <= minute < self._window[1]:
            return
        states = {owner: self._naming(owner, minute) for owner in self.tallies}
        if len(self.tallies) == 1 and stored.there and there.read is not None:
            next(iter(self.tallies.values())).take(there.read, minute.date(), there.others)
        if all(state is Naming.DONE for state in states.values()) and states:
            when = _when(stored.versions[0].modified)
            detail = f"was stored at {when}, and no digest names it" if stored.there else (
                f"was deleted at {when}, and no digest names it"
            )  # fmt: skip
            self._tell_all(Problem(Kind.PLANTED, stored.address, detail))
        elif Naming.UNKNOWN in states.values() or not states:
            others = sorted(owner[0] for owner, state in states.items() if state is Naming.UNKNOWN)
            detail = f"is named by no digest, and those of {', '.join(others) or 'no trail'} don't tell whose it is"
            self._tell_all(Problem(Kind.UNATTRIBUTED, stored.address, detail))
        else:
            for tally in self.tallies.values():
                tally.young += 1

    def _tell_all(self, problem: Problem) -> None:
        for tally in self.tallies.values():
            tally.problems.add(problem)


def _minute(key: str) -> datetime | None:
    """Return the minute in the name of a log that is named and not there, as far as its name has one."""
    stamp = key.rpartition("/")[2].rpartition("_")[0].rpartition("_")[2]
    try:
        return datetime.strptime(f"{stamp}+0000", "%Y%m%dT%H%MZ%z")
    except ValueError:
        return None


def _original(there: _There, sha256: str) -> str:
    for read in there.others:
        if read.sha256 == sha256:
            when = _when(there.stored.versions[0].modified)
            return f"; version {read.version} has that content, and was replaced at {when}"
    return ""


def history(stored: Stored, others: Iterable[Read], sha256: str) -> list[Problem]:
    """Return what lies behind the newest version of an object and is not the same content: replaced, or deleted.

    `sha256` is the hash of the newest version's content; the same content again was delivered, or put back, once more.
    """
    reads = {read.version: read for read in others}
    found = []
    for version in stored.versions[1:]:
        read = reads.get(version.id)
        if version.deleted:
            detail = f"was deleted at {_when(version.modified)} and put back"
        elif read is None or read.failure:
            why = read.failure if read else "was not read"
            found.append(Problem(Kind.UNREAD, stored.address, f"has an older version {version.id} that {why}"))
            continue
        elif not sha256:
            found.append(Problem(Kind.UNREAD, stored.address, f"can't be held against its older version {version.id}"))
            continue
        elif read.sha256 == sha256:
            continue
        else:
            when = _when(stored.versions[0].modified)
            detail = f"was replaced at {when}: version {version.id}, of {_when(version.modified)}, has another content"
        found.append(Problem(Kind.REPLACED, stored.address, detail))
    return found


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
