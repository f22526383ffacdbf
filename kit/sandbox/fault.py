"""What a fault is: it spoils the compliant account in one way, and says which test cases must then say otherwise.

A fault acts through the API wherever moto can express the state, else on the wire. It looks as AWS would answer.
"""

from collections.abc import Callable
from dataclasses import dataclass

from kit.sandbox import account as seeded
from kit.sandbox.account import Account

ALL = tuple(f"IQ-{number:02}" for number in range(1, 12))
EVERY_OQ = tuple(f"OQ-{number:02}" for number in range(1, 10))
EVERY_PQ = tuple(f"PQ-{number:02}" for number in range(1, 8))
CLOUDTRAIL = {"Service": "cloudtrail.amazonaws.com"}
FOREIGN_ACCOUNT = "210987654321"

Spoil = Callable[[Account], None]


@dataclass(frozen=True)
class Fault:
    """A fault: its name, what it is in one line, and exactly the test cases whose verdict it changes.

    `area` is what it spoils: trails, keys, buckets, answers or deliveries. `alone` says why it is not combined with
    others: it takes away what they would spoil.
    """

    name: str
    description: str
    changes: tuple[str, ...]
    spoil: Spoil
    area: str
    alone: str = ""


FAULTS: dict[str, Fault] = {}
"""Every fault by name, in the order of definition."""


def fault(name: str, changes: tuple[str, ...], *, area: str = "", alone: str = "") -> Callable[[Spoil], Spoil]:
    """Register a function as the fault of that name; the first line of its docstring describes it.

    Where no area is named, it is the one of the module.
    """

    def register(spoil: Spoil) -> Spoil:
        described = (spoil.__doc__ or "").strip().splitlines()[0]
        module = spoil.__module__.rpartition("_")[2]
        # how objects are read is answered too
        where = area or {"reads": "answers"}.get(module, module)
        FAULTS[name] = Fault(name, described, changes, spoil, where, alone)
        return spoil

    return register


def without_condition(key: str) -> Callable[[seeded.Statements], seeded.Statements]:
    """Return an edit that takes a condition key out of CloudTrail's statements."""

    def edit(statements: seeded.Statements) -> seeded.Statements:
        for statement in statements:
            if statement["Principal"] == CLOUDTRAIL:
                kept = {
                    operator: {name: value for name, value in keys.items() if name != key}
                    for operator, keys in statement.pop("Condition").items()
                }
                if remaining := {operator: keys for operator, keys in kept.items() if keys}:
                    statement["Condition"] = remaining
        return statements

    return edit
