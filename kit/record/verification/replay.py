"""Replay: whether the verdict follows from the evidence, judged again by a process that has nothing else."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from kit.canonical import Json, canonical
from kit.errors import RejectionError
from kit.record.manifest import EVIDENCE, FINDINGS
from kit.sections import Execution

_SHOWN = 5
_JUDGE_YOURSELF = "read the evidence; the record's verdict can't be relied on"


@dataclass(frozen=True)
class Replayed:
    """What a replay gave that agrees with the record: how many findings, and by which version of the kit."""

    findings: int
    kit_version: str


def replay(folder: Path, manifest: Mapping[str, Json]) -> Replayed:
    """Collect and judge again on the recorded responses and ledgers, and hold the findings against the sealed ones.

    The process that judges reaches no network, has no credentials, and of the record only its parameters and evidence.
    Checks that a team added of its own must be installed here as they were then.
    Findings must be equal byte for byte in canonical form, and whoever collected the same.

    Raises:
        RejectionError: they differ (says where, and by which versions of the kit); the evidence lacks what is asked, or
            holds what is not; or it can't be judged at all.
    """
    told = _judged(folder / EVIDENCE, manifest)
    version, sealed_by = str(told["kit_version"]), str(manifest["kit_version"])
    by = f" (sealed by trailkit {sealed_by}, replayed by {version})" if version != sealed_by else ""
    if "error" in told:
        raise RejectionError(f"the evidence can't be replayed: {told['error']}{by}", told["remedy"])
    sealed = json.loads((folder / FINDINGS).read_bytes())["findings"]
    if canonical(sealed) != canonical(told["findings"]):
        lines = list(_differences(sealed, told["findings"]))
        more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        raise RejectionError(f"{FINDINGS} does not follow from the evidence{by}: {'; '.join(lines[:_SHOWN])}{more}",
                             _JUDGE_YOURSELF)  # fmt: skip
    if told["caller"] != manifest["caller"]:
        raise RejectionError(f"the evidence says that another collected than the record does{by}", _JUDGE_YOURSELF)
    return Replayed(len(sealed), version)


def parameters_of(manifest: Mapping[str, Json]) -> dict[str, Json]:
    """Return the parameters that a manifest holds, as the run was given them."""
    execution = {name: manifest[name] for name in Execution.model_fields}
    return {**manifest["parameters"], "execution": execution}


def _judged(evidence: Path, manifest: Mapping[str, Json]) -> dict[str, Json]:
    asked = {
        "protocol": manifest["protocol"]["id"],
        "own_checks": manifest["own_checks"],
        "parameters": parameters_of(manifest),
        "evidence": str(evidence.resolve()),
    }
    # -P: what lies in the current folder is not imported
    done = subprocess.run(
        [sys.executable, "-P", "-m", "kit.collect.replay"],
        input=json.dumps(asked), capture_output=True, text=True, check=False, env=_environment(),
    )  # fmt: skip
    try:
        return dict(json.loads(done.stdout))
    except ValueError as error:
        why = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1][:300]
        raise RejectionError(f"the evidence can't be replayed: {why}", _JUDGE_YOURSELF) from error


def _environment() -> dict[str, str]:
    """Return our environment without what AWS's libraries read."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("AWS_")} | {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _differences(sealed: list[Json], judged: list[Json]) -> Iterator[str]:
    for then, now in zip_longest(sealed, judged):
        if then is None or now is None:
            one, who = (now, "the record does not have") if then is None else (then, "the evidence does not give")
            yield f"{one['test_case']} on {one['resource'] or 'no resource'}: a finding that {who}"
        elif canonical(then) != canonical(now):
            names = [name for name in now if canonical(then.get(name)) != canonical(now[name])]
            said, given = then.get("verdict"), now["verdict"]
            what = (
                f"the record says {said}, the evidence gives {given}" if said != given else f"other {', '.join(names)}"
            )
            yield f"{now['test_case']} on {now['resource'] or 'no resource'}: {what}"
