"""Reads an executed notebook: whether it ran to its end, and the run, the steps and the conclusion that it holds.

papermill's own status is no evidence: a killed kernel or `sys.exit(0)` midway leave it clean. Complete means that every
code cell that holds code was executed, in order and without an exception, that the conclusion is there, and that
everything the notebook shows is what its steps say.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit import __version__
from kit.canonical import Json, canonical, sha256
from kit.catalogue import protocol_as_executed
from kit.errors import ExecutionError, KitError, RecordError
from kit.findings import Finding, Verdict
from kit.parameters import RunParameters
from kit.present.displays import Display, cells, outputs, read_displays, source
from kit.record import results
from kit.redaction import find_secret
from kit.remediation.steps import derived as derived_plan
from kit.sections import Execution

INJECTED = "injected-parameters"

_AGAIN = "run the whole notebook again, from the top"
_UNEDITED = "run the whole notebook again, from the top, and don't edit its outputs"
_RUN_ID = re.compile(r"[A-Z]{2,4}-\d{8}T\d{6}Z-[0-9a-f]{6}", re.ASCII)
EXECUTION = tuple(Execution.model_fields)
"""What a run shows of the one parameter that it spreads out."""
PARAMETERS = tuple(name for name in RunParameters.model_fields if name != "execution")
_RUN = (
    "kit_version", "python", "platform", "packages", "started", "demonstration", "parameters_sha256", "attempt",
    "register", "approval", "catalogue_sha256", "own_checks",
)  # fmt: skip


@dataclass(frozen=True)
class Executed:
    """An executed notebook that is complete: its bytes, and the data of its displays; `steps` are all, in order."""

    content: bytes
    notebook: dict[str, Any]
    run: dict[str, Json]
    steps: list[dict[str, Json]]
    conclusion: dict[str, Json]
    collection: dict[str, Json]

    @property
    def run_id(self) -> str:
        """The id of the run, and so of its record."""
        return str(self.run["run_id"])

    @property
    def verdict(self) -> Verdict:
        """The verdict of the run, as it follows from the findings."""
        return results.verdict_of(self.steps)

    @property
    def sources_sha256(self) -> str:
        """The hash of the protocol as written: all cells but the injected parameters, without outputs."""
        return sources_sha256(self.notebook)


def sources_sha256(notebook: Mapping[str, Any]) -> str:
    """Return the hash of a notebook as written: all cells but the injected parameters, without outputs."""
    told = [[cell["cell_type"], source(cell)] for cell in cells(notebook) if INJECTED not in _tags(cell)]
    return sha256(canonical(told))


def read_executed(path: Path) -> Executed:
    """Return an executed notebook.

    Raises:
        RecordError: it can't be read, is no notebook, holds what looks like a secret, was executed with another version
            of the kit, or its displays contradict each other.
        ExecutionError: it did not run to its end, or not in order.
        KitError: it stopped at an error that the user can mend; the same error.
    """
    try:
        content = path.read_bytes()
        notebook = json.loads(content)
    except OSError as error:
        raise RecordError(f"{path} can't be read: {error.strerror}", "name an executed notebook") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is no notebook: {error}", "name an executed notebook (.ipynb)") from error
    if not isinstance(notebook, dict):
        raise RecordError(f"{path} is no notebook", "name an executed notebook (.ipynb)")
    try:
        return _read(content, notebook, path.name)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RecordError(f"{path.name} holds displays of another form than the kit's: {error!r}", _UNEDITED) from error


def run_id_of(path: Path) -> str:
    """Return the id of the run that a notebook shows, however far it came.

    Raises:
        RecordError: it shows none.
    """
    try:
        shown = [
            display.data["run_id"] for display in read_displays(json.loads(path.read_bytes())) if display.kind == "run"
        ]
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path} shows no run", "name an executed notebook") from error
    if not shown or not _RUN_ID.fullmatch(str(shown[-1])):
        raise RecordError(f"{path} shows no run", "name an executed notebook")
    return str(shown[-1])


def _read(content: bytes, notebook: dict[str, Any], name: str) -> Executed:
    displays = read_displays(notebook)
    for display in displays:
        if display.kind == "error":
            raise _told(display)
    _require_complete(notebook, name)
    last = {display.kind: dict(display.data) for display in displays}
    for kind in ("run", "collection", "conclusion"):
        if kind not in last:
            raise ExecutionError(f"{name} never came to its {kind}", _AGAIN)
    if "caller" not in last["collection"]:
        raise RecordError("the notebook does not show who collected", _UNEDITED)
    _refuse_secrets(notebook, name)
    _require_run(last["run"])
    steps = _steps(last["run"], [dict(display.data) for display in displays if display.kind == "step"])
    _require_agreement(last["run"], last["conclusion"], steps)
    for display in displays:
        _require_derived(display, steps, last["run"]["requirements"])
    return Executed(content, notebook, last["run"], steps, last["conclusion"], last["collection"])


def _told(display: Display) -> KitError:
    error = ExecutionError(str(display.data["message"]), str(display.data["remedy"]))
    code = display.data.get("exit_code")
    # only 2 and 3 are an error's to give: what stopped is neither a PASS nor a FAIL
    error.exit_code = code if code in (2, 3) else error.exit_code  # type: ignore[misc]
    return error


def _require_complete(notebook: dict[str, Any], name: str) -> None:
    """Require that each code cell was executed, after the one before it, and that none raised an exception."""
    code = [cell for cell in cells(notebook) if cell.get("cell_type") == "code" and source(cell).strip()]
    before = 0
    for number, cell in enumerate(code, start=1):
        for output in outputs(cell):
            if output.get("output_type") == "error":
                raise ExecutionError(f"{name} stopped at code cell {number}: {_exception(output)}", _AGAIN)
        count = cell.get("execution_count")
        if count is None:
            why = "it was interrupted, or its kernel died"
            raise ExecutionError(f"{name} stopped before code cell {number}: {why}", _AGAIN)
        if count <= before:
            raise ExecutionError(f"{name} was not executed in order: see code cell {number}", _AGAIN)
        before = count


def _exception(output: Any) -> str:
    said = " ".join(f"{output.get('ename')}: {output.get('evalue')}".split())[:200]
    return "an exception" if find_secret(said.split()) else said


def _require_run(run: dict[str, Json]) -> None:
    """Require that a run says all that its record repeats, and that it was executed with this version of the kit."""
    if lacking := [name for name in (*_RUN, *EXECUTION, *PARAMETERS) if name not in run]:
        raise RecordError(f"the notebook does not show its run's {lacking[0]}", _UNEDITED)
    if run["kit_version"] != __version__:
        raise RecordError(
            f"the notebook was executed with trailkit {run['kit_version']}, and this is {__version__}",
            "seal it with the version that executed it, or run it again",
        )
    if not _RUN_ID.fullmatch(str(run["run_id"])):
        raise RecordError("the notebook names its run by no run id", _UNEDITED)
    told = {name: run[name] for name in PARAMETERS} | {"execution": {name: run[name] for name in EXECUTION}}
    if sha256(canonical(told)) != run["parameters_sha256"]:
        raise RecordError("the parameters that the run shows are not those that were hashed", _UNEDITED)


def _steps(run: dict[str, Json], shown: list[dict[str, Json]]) -> list[dict[str, Json]]:
    """Return all steps of the run's protocol, each held against the catalogue; of a step taken twice, the last."""
    of = protocol_as_executed(str(run["protocol"]["id"]), run["own_checks"])
    if run["protocol"] != results.protocol_data(of):
        raise RecordError(f"the notebook shows another protocol than the catalogue's {of.id}", _UNEDITED)
    if run["catalogue_sha256"] != of.sha256:
        raise RecordError(f"the notebook was executed with another catalogue of {of.id} than is here", _UNEDITED)
    for step in shown:
        case = of.test_cases.get(step["test_case"])
        if case is None:
            raise RecordError(f"the notebook shows a step that {of.id} does not have: {step['test_case']}", _UNEDITED)
        findings = [Finding.from_json(finding) for finding in step["findings"]]
        if not all(map(_follows, findings)):
            raise RecordError(f"a finding of {case.id} says another verdict than its conditions give", _UNEDITED)
        derived = results.step_data(case, findings, step["started"], step["finished"])
        if canonical(derived) != canonical(step):
            raise RecordError(f"{case.id} shows something else than the catalogue and its findings say", _UNEDITED)
    return [dict(step) for step in results.all_steps(of, {step["test_case"]: step for step in shown})]


def _follows(finding: Finding) -> bool:
    """Return whether a finding's verdict is what its conditions give; what was not judged has none that is unmet."""
    met = list(finding.met.values())
    if finding.verdict in (Verdict.NOT_APPLICABLE, Verdict.NOT_EXECUTED):
        return False not in met
    given = Verdict.FAIL if False in met else Verdict.INCONCLUSIVE if None in met or not met else Verdict.PASS
    return finding.verdict is given


def _require_agreement(run: dict[str, Json], conclusion: dict[str, Json], steps: list[dict[str, Json]]) -> None:
    if run["run_id"] != conclusion["run_id"]:
        raise RecordError("the conclusion belongs to another run than the notebook's first step", _UNEDITED)
    if sha256(canonical(conclusion["findings"])) != conclusion["findings_sha256"]:
        raise RecordError("the findings in the conclusion are not those that were hashed", _UNEDITED)
    if canonical(results.findings_of(steps)) != canonical(conclusion["findings"]):
        raise RecordError("the steps show other findings than the conclusion holds", _UNEDITED)
    if results.verdict_of(steps) != conclusion["verdict"] or results.counts(steps) != conclusion["counts"]:
        raise RecordError("the concluded verdict does not follow from the findings", _UNEDITED)


def _require_derived(display: Display, steps: list[dict[str, Json]], requirements: list[Json]) -> None:
    derive = {
        "summary": lambda: results.summary(steps),
        "traceability": lambda: results.traceability(steps, requirements),
        "deviations": lambda: results.deviations(results.findings_of(steps), steps),
        "plan": lambda: derived_plan(display.data),
    }.get(display.kind)
    if derive and canonical(derive()) != canonical(display.data):
        raise RecordError(f"the {display.kind} shown does not follow from the findings", _UNEDITED)


def _refuse_secrets(notebook: dict[str, Any], name: str) -> None:
    """Refuse to keep for years what papermill wrote before the kit could look at it."""
    saved = notebook.get("metadata", {}).get("papermill", {}).get("parameters", {})
    texts = [source(cell) for cell in cells(notebook)]
    if find_secret(saved) or any(find_secret([text, *re.split(r"[\s\"',=]+", text)]) for text in texts):
        raise RecordError(
            f"{name} holds what looks like a secret, in a cell or in papermill's metadata",
            "revoke the secret, delete the notebook, and run again with credentials from a profile or a role",
        )


def _tags(cell: Any) -> list[str]:
    return list(cell.get("metadata", {}).get("tags", []))
