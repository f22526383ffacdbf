"""The catalogue of faults, in the order in which an account is read: trails, key, bucket, bad answers, deliveries."""

import difflib
import random
from collections.abc import Iterator, Sequence

from kit.errors import KitError, SandboxError
from kit.sandbox.account import Account
from kit.sandbox.fault import FAULTS, Fault

# each module registers its faults as it is imported: the order of the imports is that of the catalogue
# isort: off
from kit.sandbox import spoilt_trails  # noqa: F401
from kit.sandbox import spoilt_keys  # noqa: F401
from kit.sandbox import spoilt_buckets  # noqa: F401
from kit.sandbox import spoilt_answers  # noqa: F401
from kit.sandbox import spoilt_deliveries  # noqa: F401
from kit.sandbox import spoilt_reads  # noqa: F401
from kit.sandbox import spoilt_periods  # noqa: F401
# isort: on


def list_faults() -> list[Fault]:
    """Return every fault, in the order of definition."""
    return list(FAULTS.values())


def find_fault(name: str) -> Fault:
    """Return the fault of that name.

    Raises:
        SandboxError: there is none; the remedy names those that come close.
    """
    if name in FAULTS:
        return FAULTS[name]
    close = difflib.get_close_matches(name, FAULTS, n=3)
    remedy = f"did you mean {' or '.join(close)}?" if close else "list the faults to see their names"
    raise SandboxError(f"there is no fault named {name!r}", remedy)


def combinations(seed: int, faults: Sequence[Fault]) -> Iterator[tuple[Fault, ...]]:
    """Yield combinations of three of the faults without end, the same for the same seed, none twice.

    The three are of three areas, and none is one that stands alone: so each spoils what the others leave, and together
    they change what each of them changes, no less and no more. They come in the order of the catalogue.
    """
    drawn = random.Random(seed)  # noqa: S311 - a draw that can be repeated, and no secret
    areas: dict[str, list[Fault]] = {}
    for found in faults:
        if not found.alone:
            areas.setdefault(found.area, []).append(found)
    order = {name: number for number, name in enumerate(FAULTS)}
    seen = set()
    while True:
        three = [drawn.choice(areas[area]) for area in drawn.sample(sorted(areas), 3)]
        chosen = tuple(sorted(three, key=lambda each: order[each.name]))
        if chosen not in seen:
            seen.add(chosen)
            yield chosen


def apply(names: Sequence[str], account: Account) -> None:
    """Spoil an account with the named faults, in the order given.

    Raises:
        SandboxError: a fault is unknown, or can't be applied on top of those before it.
    """
    for name in names:
        found = find_fault(name)
        try:
            found.spoil(account)
        except KitError:
            raise
        except Exception as why:
            raise SandboxError(
                f"the faults {', '.join(names)} don't go together: {name} met {type(why).__name__}",
                "leave one of them out, or put those that delete something last",
            ) from why
