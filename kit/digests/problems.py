"""What can be wrong with a delivered object: a kind, the object's name, and in words what was found."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of problem, in the words of a record."""

    CONTENT = "content"  # no sound gzip, no JSON, or not of the documented form
    LOCATION = "location"  # the object says that it belongs elsewhere
    ALGORITHM = "algorithm"  # another algorithm is declared than CloudTrail signs and hashes with
    SIGNATURE = "signature"  # missing, malformed, or not by CloudTrail's key of that Region and time
    LINK = "link"  # what a digest says of the one before it is not so
    RESTART = "restart"  # a digest that begins a chain, where one was there before
    HASH = "hash"  # the content is another than the digest says
    DELETED = "deleted"  # named, and not there
    PLANTED = "planted"  # there, and named by no digest
    DUPLICATE = "duplicate"  # named twice
    REPLACED = "replaced"  # another version, or a deletion, lies behind or above what is there
    UNREAD = "unread"  # the object, or a key to judge it by, could not be read
    UNATTRIBUTED = "unattributed"  # whose it is can't be told


OPEN = frozenset({Kind.UNREAD, Kind.UNATTRIBUTED})
"""Kinds that leave a criterion open; every other one means that it is not met."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem of one object, `s3://bucket/key`; `detail` goes on where a sentence began with that name."""

    kind: Kind
    object: str
    detail: str

    @property
    def known(self) -> bool:
        """Whether this is known to be wrong, and not only not known to be right."""
        return self.kind not in OPEN

    @property
    def sentence(self) -> str:
        """The problem as a sentence without its full stop."""
        return f"{self.object} {self.detail}"


MOST = 50
"""How many problems of a kind a record names; it counts the others. A spoilt bucket can't make a record endless."""


class Problems:
    """Collects problems: counts them all, and keeps the first of each kind."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self.counts: dict[Kind, int] = {}
        self._kept: list[Problem] = []
        self.extend(problems)

    def __len__(self) -> int:
        return sum(self.counts.values())

    def add(self, problem: Problem) -> None:
        """Take one more."""
        count = self.counts[problem.kind] = self.counts.get(problem.kind, 0) + 1
        if count <= MOST:
            self._kept.append(problem)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Take several more."""
        for problem in problems:
            self.add(problem)

    def of(self, *kinds: Kind) -> list[Problem]:
        """Return the kept problems of these kinds, or of any kind where none is named, in the order they came."""
        return [problem for problem in self._kept if not kinds or problem.kind in kinds]

    def count(self, *kinds: Kind) -> int:
        """Return how many problems of these kinds there are, or of any kind where none is named."""
        return sum(count for kind, count in self.counts.items() if not kinds or kind in kinds)


def address(bucket: str, key: str) -> str:
    """Return an object's name as `s3://bucket/key`."""
    return f"s3://{bucket}/{key}"
