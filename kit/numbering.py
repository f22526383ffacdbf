"""Numbers evidence by who asked, whichever answer arrives first: the same questions have the same ids in every run.

Questions are numbered in the order in which they are handed out, and what each of them asks, page by page and attempt
by attempt, below it: `E0007` is the first answer to the seventh question of a run, `E0007.02` the second.
"""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from itertools import count
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class _Place:
    """Where something is asked: what it asks in turn is numbered below it."""

    def __init__(self, *path: int) -> None:
        self._path = path
        self._numbers = count(1)

    def draw(self) -> tuple[int, ...]:
        return (*self._path, next(self._numbers))


class Numbers:
    """Gives ids, each of them once; safe to use from several threads."""

    def __init__(self) -> None:
        self._first = _Place()
        self._thread = threading.local()

    def new_id(self) -> str:
        """Return the next id at the place that this thread is at."""
        return _id(self._here.draw())

    def new_place(self) -> "_Place":
        """Return a place below that which this thread is at, numbered behind all that was drawn there."""
        return _Place(*self._here.draw())

    @contextmanager
    def at(self, place: "_Place") -> Iterator[None]:
        """Number what this thread asks in the block below a place."""
        before = self._here
        self._thread.place = place
        try:
            yield
        finally:
            self._thread.place = before

    @property
    def _here(self) -> _Place:
        place: _Place = self._thread.__dict__.get("place", self._first)
        return place


class NumberedExecutor(Executor):
    """Another executor, whose tasks are numbered when they are handed in, and not when a thread gets to them."""

    def __init__(self, executor: Executor, numbers: Numbers) -> None:
        self._executor = executor
        self._numbers = numbers

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand in a task; what it asks is numbered below the number that this draws."""
        place = self._numbers.new_place()

        def numbered() -> T:
            with self._numbers.at(place):
                return fn(*args, **kwargs)

        return self._executor.submit(numbered)


def number_of(entry_id: str) -> tuple[int, ...]:
    """Return the numbers of an id, by which evidence is put in order."""
    return tuple(map(int, re.findall("[0-9]{1,9}", entry_id)))


def _id(path: tuple[int, ...]) -> str:
    # the first answer below a number needs no second one: a place is no answer itself
    while len(path) > 1 and path[-1] == 1:
        path = path[:-1]
    return f"E{path[0]:04d}" + "".join(f".{number:02d}" for number in path[1:])
