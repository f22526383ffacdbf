"""What the figures over time share: the hours of a cell, runs of like ones, and how both are told."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import chain, count, groupby
from typing import Any

HOUR = timedelta(hours=1)
_CELLS = 48


def cells_of(hours: Sequence[datetime]) -> tuple[int, list[tuple[int, int]]]:
    """Return how many hours share a cell, and the index of the first and after the last of each.

    Of whole days, each cell begins with a day: the first and the last may be a part of theirs.
    """
    midnight = hours[0].replace(hour=0)
    for per in chain((1, 2, 3, 4, 6, 8, 12), count(24, 24)):
        keys = [(hour - midnight) // (per * HOUR) for hour in hours]
        if keys[-1] - keys[0] < _CELLS:
            break
    return per, [(first, last) for _, first, last in runs(keys)]


def runs(items: Iterable[Any]) -> list[tuple[Any, int, int]]:
    """Return each run of equal items: the item, the index of its first, and the index after its last."""
    found, at = [], 0
    for item, run in groupby(items):
        length = len(list(run))
        found.append((item, at, at + length))
        at += length
    return found


def window_text(start: datetime, end: datetime) -> str:
    """Return a window in words: `2026-11-02 09:00 to 2026-11-03 09:00 UTC`."""
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"


def hours_text(number: int) -> str:
    """Return a number of hours in words, with its days where they are several and whole."""
    if number % 24 == 0:
        return f"{number} hours" + (f" ({number // 24} days)" if number > 24 else "")
    return f"{number} hours" if number > 1 else "1 hour"
