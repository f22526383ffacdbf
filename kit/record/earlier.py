"""Finds the record that a run builds on: the latest of a protocol on the same target, in the same outputs folder."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from kit.canonical import Json, canonical, sha256, sha256_file
from kit.catalogue import protocol
from kit.errors import KitError
from kit.findings import Verdict
from kit.parameters import RunParameters
from kit.record.folders import records_in
from kit.record.manifest import FINDINGS, MANIFEST, read_manifest
from kit.snapshot import Snapshot

_OF_THE_MOMENT = "IQ-01"
"""Who asked, and by which clock: it is of the moment, and no setting that could change."""


@dataclass(frozen=True)
class Earlier:
    """A sealed record: its id and digest, when it was finished, its verdict, and its findings as JSON.

    `later` is the id of a later one that did not pass, where this is one that did.
    """

    record_id: str
    digest: str
    finished: str
    verdict: str
    findings: tuple[Mapping[str, Json], ...]
    later: str = ""


def latest_record(outputs: Path, protocol_id: str, parameters: RunParameters) -> Earlier | None:
    """Return the latest record of a protocol on a run's target that passed, else the latest one at all, or None.

    The target is the same where account and expected trail are, and both are demonstrations or neither. What can't be
    read, or is not what its manifest says, is no record to build on.
    """
    found = sorted(_records(outputs, protocol_id, parameters), key=lambda one: one.finished)
    passed = [one for one in found if one.verdict == Verdict.PASS]
    if not found:
        return None
    latest = (passed or found)[-1]
    return replace(latest, later="" if latest is found[-1] else found[-1].record_id)


def _records(outputs: Path, protocol_id: str, parameters: RunParameters) -> Iterator[Earlier]:
    for folder in records_in(outputs):
        try:
            manifest = read_manifest(folder)
            if not _same_target(manifest, protocol_id, parameters):
                continue
            findings = (folder / FINDINGS).read_bytes()
            if sha256(findings) != manifest["files"][FINDINGS]["sha256"]:
                continue
            told = json.loads(findings)["findings"]
            yield Earlier(
                manifest["record_id"],
                sha256_file(folder / MANIFEST),
                manifest["finished"],
                manifest["verdict"],
                tuple(told),
            )
        except (KitError, OSError, ValueError, KeyError, TypeError):
            continue


def _same_target(manifest: Mapping[str, Json], protocol_id: str, parameters: RunParameters) -> bool:
    told = manifest["parameters"]
    return bool(
        manifest["protocol"]["id"] == protocol_id
        and manifest["demonstration"] == parameters.demonstration
        and told["target"]["account_id"] == parameters.account.account_id
        and told["expected"]["trail_arn"] == parameters.expected.trail_arn
    )


def qualification(earlier: Earlier | None, snapshot: Snapshot, parameters: RunParameters) -> dict[str, Json]:
    """Return what a run shows of the installation qualification that it builds on.

    What that record judged is judged again on the settings of now. `unchanged` is true where every resource has the
    same actual values, null where there is nothing to compare; `changes` lists the others.
    """
    if earlier is None:
        sentence = "There is no record of an installation qualification of this target in the outputs folder."
        return {"record": None, "unchanged": None, "sentence": sentence, "changes": []}
    record = {name: getattr(earlier, name) for name in ("record_id", "digest", "finished", "verdict")}
    now = {
        (finding.test_case, finding.resource): finding.to_json()
        for case in protocol("IQ").test_cases.values()
        for finding in case.judge(snapshot, parameters)
    }
    then = {(finding["test_case"], finding["resource"]): finding for finding in earlier.findings}
    changes = [
        {"test_case": case, "resource": resource, "condition": name, "then": was, "now": is_now}
        for case, resource in sorted({*then, *now})
        if case != _OF_THE_MOMENT
        for name, was, is_now in _differences(then.get((case, resource)), now.get((case, resource)))
    ]
    first = "" if earlier.verdict == Verdict.PASS else "The installation qualification did not pass. "
    first += f"A later one, {earlier.later}, did not pass. " if earlier.later else ""
    noun = "condition is" if len(changes) == 1 else "conditions are"
    second = f"{len(changes)} {noun} otherwise now" if changes else "What it judged is unchanged since"
    return {"record": record, "unchanged": not changes, "sentence": f"{first}{second}.", "changes": changes}


def _differences(then: Mapping[str, Json] | None, now: Mapping[str, Json] | None) -> Iterator[tuple[str, Json, Json]]:
    if then is None or now is None:
        yield "resource", "judged" if then else "not judged", "judged" if now else "not judged"
        return
    for name in sorted({*then["actual"], *now["actual"]}):
        was, is_now = (one["actual"].get(name, "not judged") for one in (then, now))
        if canonical(was) != canonical(is_now):
            yield name, was, is_now
