"""What delivered log files tell of changes, in a time that CloudTrail's event history does not hold any more.

A log file counts where a digest that CloudTrail signed names it, and its content has the hash that the digest says: so
what was deleted, changed or planted is known, and an hour without a log file is told from one whose logs are gone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kit.digests.chain import Coverage, Period
from kit.findings import count, when
from kit.review.events import Event
from kit.snapshot import Delivery


@dataclass(frozen=True)
class Logged:
    """The changes that the log files of one trail tell, of a time and of accounts and Regions (`areas`).

    `delivery` is what was read, verified by the digests, or in words why that was not. `found` holds the events by the
    address of their log file; `unsearched` names the log files that were read and could not be searched.
    """

    period: Period
    areas: tuple[tuple[str, str], ...]
    delivery: Delivery | str
    found: Mapping[str, tuple[Event, ...]]
    unsearched: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """Why the changes of that time are not all known, as a full sentence; empty where they are."""
        return next(self._doubts(), "")

    def _doubts(self) -> Iterator[str]:
        if isinstance(self.delivery, str):
            yield self.delivery
            return
        yield from (f"{one}." for one in self.delivery.unknown)
        yield from (answer.why for answer in self.delivery.keys if answer.why)
        chains = self.delivery.chains
        # what is wrong with digests comes first: what is not known of log files follows from it
        tallies = (self.delivery.digests.problems, self.delivery.logs.problems)
        for problems in (*(chain.problems for chain in chains.values()), *tallies):
            yield from (f"{one.sentence}." for one in problems.of())
        yield from (f"{one} could not be searched for changes." for one in self.unsearched)
        for area in self.areas:
            covered = chains[area].covered if area in chains else ()
            for start, end in Coverage(covered).gaps(*self.delivery.window):
                what = f"No digest tells which log files of {' '.join(area)} were delivered"
                yield f"{what} from {when(start)} to {when(end)}."

    def proves(self, address: str) -> bool:
        """Return whether a log file is the one that CloudTrail delivered: nothing is wrong with it, or open."""
        if isinstance(self.delivery, str):
            return False
        problems = self.delivery.logs.problems
        # of very many problems not all are kept, and this log file's may be among the others
        return len(problems) == len(problems.of()) and all(one.object != address for one in problems.of())

    @property
    def cost(self) -> str:
        """How much was read, in words."""
        if isinstance(self.delivery, str):
            return "nothing"
        logs, digests = self.delivery.logs, self.delivery.digests
        stored = (logs.stored + digests.stored) / 1e6
        return f"{count(logs.objects, 'log file')} and {count(digests.objects, 'digest')}, {stored:,.1f} MB"
