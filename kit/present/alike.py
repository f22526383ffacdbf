"""Findings that passed alike, told once for all their resources: a hundred cards that say the same hide the others."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kit.findings import Verdict

FEW = 3
"""So many alike findings are still cards of their own."""

_CLOSED = (Verdict.PASS, Verdict.NOT_APPLICABLE)
_SHORT = 400
"""How long the values of a condition may be, as JSON, that share the row of their resource."""


class Alike(NamedTuple):
    """Findings that are shown together, one at least.

    They share verdict, conditions and judgements. `shared` is the first of them, without the actual values and
    observations that differ; `own` holds those by name, for each finding. Where what is expected differs too, they have
    one condition, and each is one of the `rows` of expected and actual value: `own` then holds observations alone.
    `message` is what all of them say, with … in the place of the resource; empty where they don't.
    """

    findings: Sequence[Mapping[str, Any]]
    shared: Mapping[str, Any]
    own: Sequence[Mapping[str, Any]]
    rows: bool = False
    message: str = ""


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
    expected = finding["expected"]
    if len(expected) == 1 and len(_text([expected, finding["actual"]])) <= _SHORT:
        return _text([finding["verdict"], finding["met"], list(expected)])
    return _text([finding["verdict"], finding["met"], expected, names])


def _together(group: Sequence[Mapping[str, Any]]) -> Alike:
    shared = dict(group[0])
    own: list[dict[str, Any]] = [{} for _ in group]
    rows = len({_text(finding["expected"]) for finding in group}) > 1
    for member, label in (("observations", ""),) if rows else (("actual", ""), ("observations", "observed: ")):
        told = [finding.get(member) or {} for finding in group]
        alike = {name: value for name, value in told[0].items() if all(_has(one, name, value) for one in told)}
        shared[member] = alike
        for values, one in zip(own, told, strict=True):
            values |= {f"{label}{name}": value for name, value in one.items() if name not in alike}
    said = {str(finding["message"]).replace(str(finding["resource"]) or "…", "…") for finding in group}
    return Alike(group, shared, own, rows, said.pop() if rows and len(said) == 1 else "")


def _has(told: Mapping[str, Any], name: str, value: Any) -> bool:
    return name in told and _text(told[name]) == _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
