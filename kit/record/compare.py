"""Holds two records of one target against each other: verdicts, and the settings that their evidence has."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kit.canonical import Json, sha256_file
from kit.collect.settings import RecordedSettings
from kit.errors import RecordError, RejectionError
from kit.findings import Verdict
from kit.parameters import RunParameters
from kit.record.manifest import EVIDENCE, FINDINGS, MANIFEST, RECORD, read_manifest
from kit.record.results import verdict_of_step
from kit.record.verification.replay import parameters_of
from kit.record.verification.verify import hold_record
from kit.review.drift import Drift, State, drift
from kit.review.state import state


@dataclass(frozen=True)
class Comparison:
    """What two records say otherwise; `verdicts` are those of the test cases that both judged, where they differ."""

    before: Mapping[str, Json]
    after: Mapping[str, Json]
    verdicts: Mapping[str, tuple[str, str]]
    drift: Drift

    @property
    def verdict(self) -> Verdict:
        """PASS where nothing differs, FAIL where something does; INCONCLUSIVE where that can't be told of all."""
        if self.verdicts or self.drift.changes:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if self.drift.unknown else Verdict.PASS

    def to_json(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {
            "before": dict(self.before),
            "after": dict(self.after),
            "verdicts": [{"test_case": case, "before": a, "after": b} for case, (a, b) in self.verdicts.items()],
            "changes": [asdict(change) for change in self.drift.changes],
            "unknown": [{"path": path, "reason": why} for path, why in self.drift.unknown.items()],
        }


def compare(before: Path, after: Path) -> Comparison:
    """Return what is otherwise in the later of two records. Both are verified first: what does not hold is not read.

    Raises:
        RecordError: one is no record of an execution, or they are of different targets.
        RejectionError: one does not hold.
        EvidenceError: the evidence of one does not hold what this kit version asks.
    """
    manifests = [_verified(folder) for folder in (before, after)]
    one, other = (_target(manifest) for manifest in manifests)
    if one != other:
        told = "; ".join(f"{name} {one[name]} and {other[name]}" for name in one if one[name] != other[name])
        raise RecordError(f"the records are of different targets: {told}", "name two records of one trail")
    with RecordedSettings() as settings:
        was, is_now = (state_of(settings, *pair) for pair in zip((before, after), manifests, strict=True))
    then, now = verdicts_of(before), verdicts_of(after)
    return Comparison(
        _described(before, manifests[0]),
        _described(after, manifests[1]),
        {case: (then[case], now[case]) for case in then if case in now and then[case] != now[case]},
        drift(was, is_now),
    )


def state_of(settings: RecordedSettings, folder: Path, manifest: Mapping[str, Any]) -> State:
    """Return the state of the settings that a record's evidence has.

    Raises:
        EvidenceError: the evidence does not hold what this kit version asks.
        ParameterError: its parameters are none of this kit version's.
    """
    return state(settings.read(folder / EVIDENCE, RunParameters.load(parameters_of(manifest))))


def verdicts_of(folder: Path) -> dict[str, str]:
    """Return the verdict of each test case that a record judged."""
    by_case: dict[str, list[Verdict]] = {}
    for finding in json.loads((folder / FINDINGS).read_bytes())["findings"]:
        by_case.setdefault(finding["test_case"], []).append(Verdict(finding["verdict"]))
    return {case: verdict_of_step(found).value for case, found in by_case.items()}


def _verified(folder: Path) -> dict[str, Json]:
    try:
        hold_record(folder)
    except RejectionError as error:
        raise RejectionError(f"{folder.name} does not hold, so nothing of it is compared: {error.message}",
                             error.remedy) from error  # fmt: skip
    manifest = read_manifest(folder)
    if manifest["kind"] != RECORD:
        raise RecordError(f"{folder.name} is a protocol that was issued, and has no evidence", "name a record of a run")
    return manifest


def _target(manifest: Mapping[str, Any]) -> dict[str, Json]:
    told = manifest["parameters"]
    return {
        "account": told["target"]["account_id"],
        "trail": told["expected"]["trail_arn"],
        "demonstration": manifest["demonstration"],
    }


def _described(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Json]:
    return {
        "record_id": manifest["record_id"],
        "digest": sha256_file(folder / MANIFEST),
        "protocol": manifest["protocol"]["id"],
        "finished": manifest["finished"],
        "verdict": manifest["verdict"],
    }
