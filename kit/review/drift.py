"""The state of a control's settings as one record has it, and its drift: how the state of a later record differs.

A path is the ARN of a trail, `#`, and the place of a value: `arn:...:trail/gxp#key/KeyState`; of what no trail owns it
begins with `account#`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from kit.canonical import Json, canonical
from kit.errors import EvidenceError

ACCOUNT = "account"
ADDED, GONE, CHANGED = "added", "gone", "changed"


@dataclass(frozen=True)
class State:
    """The settings as one record's evidence has them: values by path, and why what lies under a path is not known.

    `asked` are the Regions that were asked for their trails; what the others have was not looked for.
    """

    values: Mapping[str, Json]
    unknown: Mapping[str, str] = field(default_factory=dict)
    asked: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {"values": dict(self.values), "unknown": dict(self.unknown), "asked": list(self.asked)}

    @classmethod
    def from_json(cls, told: Json) -> Self:
        """Return the state that `to_json` wrote.

        Raises:
            EvidenceError: it did not write that.
        """
        kinds = {"values": dict, "unknown": dict, "asked": list}
        if not isinstance(told, dict) or not all(isinstance(told.get(name), kind) for name, kind in kinds.items()):
            raise EvidenceError("a recorded state is not as the kit writes it", "restore the record from its archive")
        return cls(told["values"], told["unknown"], tuple(told["asked"]))


@dataclass(frozen=True)
class Change:
    """One value that is otherwise; `before` or `after` is None where it was not there, or is not any more."""

    path: str
    kind: str
    before: Json
    after: Json

    @property
    def trail(self) -> str:
        """The ARN of the trail that it is about, or `account`."""
        return self.path.partition("#")[0]

    @property
    def place(self) -> str:
        """Where it lies, without the trail."""
        return self.path.partition("#")[2]


@dataclass(frozen=True)
class Drift:
    """What is otherwise in the later of two states, by path; and why it can't be told of what lies under a path."""

    changes: tuple[Change, ...]
    unknown: Mapping[str, str]


def drift(before: State, after: State) -> Drift:
    """Return how two states differ; what either of them does not know is not held against the other."""
    changes = []
    for path in sorted({*before.values, *after.values}):
        was, is_now = before.values.get(path), after.values.get(path)
        if path in before.values and path in after.values and canonical(was) == canonical(is_now):
            continue
        if is_open(before, path) or is_open(after, path):
            continue
        kind = ADDED if path not in before.values else GONE if path not in after.values else CHANGED
        changes.append(Change(path, kind, was, is_now))
    return Drift(tuple(changes), {**before.unknown, **after.unknown})


def is_open(one: State, path: str) -> bool:
    """Return whether a state does not know what lies at a path: it was not told, or was not to ask."""
    if path in one.values:
        return False
    root, parts = path.partition("#")[0], path.split("/")
    places = ["/".join(parts[:number]) for number in range(len(parts), 0, -1)]
    region = parts[1] if path.startswith(f"{ACCOUNT}#trails/") else ""
    if root != ACCOUNT and not any(known.startswith(f"{root}#") for known in one.values):
        # no trail of that name was found: that it is not there is known only where its Region was asked
        region = root.split(":")[3]
        places += [f"{ACCOUNT}#trails/{region}", f"{ACCOUNT}#trails"]
    return bool(region and region not in one.asked) or any(place in one.unknown for place in places)
