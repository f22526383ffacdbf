"""Findings that passed alike, told once for all their resources: a hundred cards that say the same hide the others."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kit.findings import Verdict

FEW = 3
"""So many alike findings are still cards of their own."""

_CLOSED = (Verdict.PASS, Verdict.NOT_APPLICABLE)


class Alike(NamedTuple):
    """Findings that are shown together, one at least.

    They share verdict, conditions, expected values and judgements. `shared` is the first of them, without the actual
    values and observations that differ; `own` holds those by name, for each finding.
    """

    findings: Sequence[Mapping[str, Any]]
    shared: Mapping[str, Any]
    own: Sequence[Mapping[str, Any]]


def alike(findings: Iterable[Mapping[str, Any]]) -> list[Alike]:
    """Return the findings of a test case as they are shown: those on their own in their order, then the groups.

    A finding that did not pass, and one of few that are alike, is on its own.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for number, finding in enumerate(findings):
        groups.setdefault(_key(finding) if finding["verdict"] in _CLOSED else str(number), []).append(finding)
    alone = [Alike([one], one, [{}]) for group in groups.values() if len(group) <= FEW for one in group]
    return alone + [_together(group) for group in groups.values() if len(group) > FEW]


def _key(finding: Mapping[str, Any]) -> str:
    seen = finding.get("observations")
    names = sorted(seen) if isinstance(seen, Mapping) else seen
    return _text([finding["verdict"], finding["met"], finding["expected"], names])


def _together(group: Sequence[Mapping[str, Any]]) -> Alike:
    shared = dict(group[0])
    own: list[dict[str, Any]] = [{} for _ in group]
    for member in ("actual", "observations"):
        told = shared.get(member) or {}
        differ = [name for name in told if len({_text(finding[member][name]) for finding in group}) > 1]
        shared[member] = {name: value for name, value in told.items() if name not in differ}
        label = "" if member == "actual" else "observed: "
        for values, finding in zip(own, group, strict=True):
            values |= {f"{label}{name}": finding[member][name] for name in differ}
    return Alike(group, shared, own)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
