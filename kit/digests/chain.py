"""The chain of digests of one trail for one account and Region: links, breaks, and the time that it covers.

Digests that were delivered late, as backfills, are a chain of their own beside the standard one; together they cover.
Source: CloudTrail user guide, "Validating CloudTrail log file integrity"; AWS CLI, `cloudtrail validate-logs`.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kit.digests.digest import Digest, Previous, Verified
from kit.digests.names import ChainName, DigestName
from kit.digests.problems import Kind, Problem, Problems, address

Period = tuple[datetime, datetime]
"""From (inclusive) to (exclusive), in UTC."""

RESTART, BACKFILLED = "restart", "backfilled"
"""The kinds of break behind which a starting digest begins: the second where backfills cover the time before it."""

_NEAR = timedelta(hours=1)
"""How far the period of a starting digest may begin from when the trail says that it was started."""


class Coverage:
    """Periods, merged: what is covered of a time."""

    def __init__(self, periods: Iterable[Period] = ()) -> None:
        self._periods: list[Period] = []
        for period in periods:
            self.add(*period)

    def __iter__(self) -> Iterator[Period]:
        return iter(self._periods)

    def add(self, start: datetime, end: datetime) -> None:
        """Cover a period."""
        if start >= end:
            return
        at = bisect_left(self._periods, (start, start))
        if at and self._periods[at - 1][1] >= start:
            at -= 1
        while at < len(self._periods) and self._periods[at][0] <= end:
            start, end = min(start, self._periods[at][0]), max(end, self._periods[at][1])
            del self._periods[at]
        insort(self._periods, (start, end))

    def gaps(self, start: datetime, end: datetime) -> list[Period]:
        """Return what of a period is not covered, in order."""
        found = []
        for begins, ends in self._periods:
            if ends > start and begins < end:
                if begins > start:
                    found.append((start, begins))
                start = max(start, ends)
        if start < end:
            found.append((start, end))
        return found

    def covers(self, start: datetime, end: datetime) -> bool:
        """Return whether all of a period is covered."""
        return not self.gaps(start, end)


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain is broken: when the digest behind the break begins, the kind of the break, and in words what."""

    at: datetime
    kind: str
    detail: str


@dataclass(frozen=True)
class Segment:
    """An unbroken stretch of a chain: its period, and how many digests it has."""

    start: datetime
    end: datetime
    digests: int


@dataclass(frozen=True)
class Chain:
    """What a chain gave. `rejected` counts the digests that were not sound, `undecided` those that could not be judged.

    `covered` holds the periods of sound digests. `problems` tell breaks as well, but for those that are accounted for.
    """

    name: ChainName
    digests: int
    rejected: int
    undecided: int
    segments: tuple[Segment, ...]
    breaks: tuple[Break, ...]
    covered: tuple[Period, ...]
    last_end: datetime | None
    accounted: tuple[str, ...]
    problems: Problems


@dataclass
class _Last:
    """The digest that the next one links to; `digest` is None for one that could not be parsed or verified."""

    key: tuple[str, str]
    end: datetime
    digest: Digest | None


class ChainBuilder:
    """Takes the verified digests of one chain in the order of their ends, and keeps only what the next one needs."""

    def __init__(self, name: ChainName) -> None:
        self.name = name
        self.coverage = Coverage()
        self.problems = Problems()
        self.last_end: datetime | None = None
        self._last: dict[bool, _Last] = {}
        self._counts = {"digests": 0, "rejected": 0, "undecided": 0}
        self._segments: dict[bool, list[Segment]] = {False: [], True: []}
        self._breaks: list[Break] = []
        self._restarts: list[tuple[Problem, Period]] = []

    def add(self, verified: Verified) -> None:
        """Take the next digest."""
        digest, backfill = verified.digest, verified.name.backfill
        self._counts["digests"] += 1
        self.problems.extend(verified.problems)
        if digest is not None and verified.sound:
            self._link(verified, digest, self._last.get(backfill))
            self.coverage.add(digest.start, digest.end)
            self.last_end = max(digest.end, self.last_end or digest.end)
        else:
            known = any(problem.known for problem in verified.problems)
            self._counts["rejected" if known else "undecided"] += 1
            self._breaks.append(Break(verified.name.end, "rejected" if known else "open", _sentence(verified.problems)))
        sound = digest if verified.sound else None
        self._last[backfill] = _Last((verified.bucket, verified.key), verified.name.end, sound)

    def unread(self, name: DigestName, bucket: str, key: str, why: str) -> None:
        """Take note of a digest that is there and could not be read, in its order, as `add`."""
        self.add(Verified(bucket, key, name, None, (Problem(Kind.UNREAD, address(bucket, key), why),)))

    def close(self, started: datetime | None, until: datetime | None = None) -> Chain:
        """Return what the chain gave; `started` is when the trail says that it was last started, where it says it.

        A restart is accounted for where it is the one that the trail's status tells, or where backfills cover the time
        before it. One at `until` or later is no problem: only the digests before that time are to hang together.
        """
        accounted = []
        breaks = list(self._breaks)
        for problem, gap in self._restarts:
            if until is not None and gap[1] >= until:
                continue
            if gap[0] < gap[1] and self.coverage.covers(*gap):
                accounted.append(f"{problem.object} {problem.detail}; backfills cover the time before it")
                breaks = [replace(one, kind=BACKFILLED) if one.at == gap[1] else one for one in breaks]
            elif started is not None and abs(gap[1] - started) <= _NEAR:
                accounted.append(f"{problem.object} {problem.detail}; the trail says that it was started then")
            else:
                self.problems.add(problem)
        return Chain(
            self.name,
            **self._counts,
            segments=tuple(sorted(self._segments[False] + self._segments[True], key=lambda each: each.start)),
            breaks=tuple(breaks),
            covered=tuple(self.coverage),
            last_end=self.last_end,
            accounted=tuple(accounted),
            problems=self.problems,
        )

    def _link(self, verified: Verified, digest: Digest, last: _Last | None) -> None:
        place = address(verified.bucket, verified.key)
        if last is None:
            self._segment(verified, digest, joined=False)
        elif digest.previous is None:
            detail = (
                f"begins a chain at {digest.start:%Y-%m-%d %H:%M:%S} UTC; the one before it ended {last.end:%H:%M:%S}"
            )
            self._restarts.append((Problem(Kind.RESTART, place, detail), (last.end, digest.start)))
            self._breaks.append(Break(digest.start, RESTART, detail))
            self._segment(verified, digest, joined=False)
        else:
            wrong = _wrong_link(digest.previous, last)
            if wrong:
                self.problems.add(Problem(Kind.LINK, place, wrong))
                missing = (digest.previous.bucket, digest.previous.key) != last.key
                self._breaks.append(Break(digest.start, "missing" if missing else "link", wrong))
            self._segment(verified, digest, joined=last.digest is not None and not wrong)

    def _segment(self, verified: Verified, digest: Digest, *, joined: bool) -> None:
        segments = self._segments[verified.name.backfill]
        if joined and segments:
            last = segments[-1]
            segments[-1] = Segment(last.start, max(last.end, digest.end), last.digests + 1)
        else:
            segments.append(Segment(digest.start, digest.end, 1))


def _wrong_link(previous: Previous, last: _Last) -> str:
    if (previous.bucket, previous.key) != last.key:
        return f"follows {address(previous.bucket, previous.key)}, which is not there in its place"
    if last.digest is None:
        return ""  # that one was rejected or is open, and is told as such
    if previous.sha256 != last.digest.sha256:
        return f"says another hash of {address(*last.key)} than it has"
    if previous.signature != last.digest.signature:
        return f"says another signature of {address(*last.key)} than it has"
    return ""


def _sentence(problems: Iterable[Problem]) -> str:
    return "; ".join(problem.detail for problem in problems)
