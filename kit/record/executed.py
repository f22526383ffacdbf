"""Reads an executed notebook: whether it ran to its end, and the run, the steps and the conclusion that it holds.

papermill's own status is no evidence: a killed kernel or `sys.exit(0)` midway leave it clean. Complete means that every
code cell that holds code was executed, that the conclusion is there, and that it says what the steps say.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.canonical import Json, canonical, sha256
from kit.errors import ExecutionError, KitError, RecordError
from kit.findings import Finding, Verdict, roll_up
from kit.present.displays import Display, cells, read_displays, source
from kit.redaction import find_secret

INJECTED = "injected-parameters"


@dataclass(frozen=True)
class Executed:
    """An executed notebook that is complete: its bytes, and the data of its displays."""

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
        """The verdict of the run, rolled up from the findings themselves."""
        return Verdict(self.conclusion["verdict"])

    @property
    def sources_sha256(self) -> str:
        """The hash of the protocol as written: all cells but the injected parameters, without outputs."""
        told = [[cell["cell_type"], source(cell)] for cell in cells(self.notebook) if INJECTED not in _tags(cell)]
        return sha256(canonical(told))


def read_executed(path: Path) -> Executed:
    """Return an executed notebook.

    Raises:
        RecordError: it can't be read, is no notebook, holds what looks like a secret, or its displays contradict each
            other.
        ExecutionError: it did not run to its end.
        KitError: it stopped at an error that the user can mend; the same error.
    """
    try:
        content = path.read_bytes()
        notebook = json.loads(content)
    except OSError as error:
        raise RecordError(f"{path} can't be read: {error.strerror}", "name an executed notebook") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is no notebook: {error}", "name an executed notebook (.ipynb)") from error
    displays = read_displays(notebook)
    for display in displays:
        if display.kind == "error":
            raise _told(display)
    _require_complete(notebook, path)
    last = {display.kind: dict(display.data) for display in displays}
    if "run" not in last or "conclusion" not in last or "collection" not in last:
        raise ExecutionError(f"{path.name} never reached its conclusion", "run the whole notebook again, from the top")
    _refuse_secrets(notebook, path)
    steps = {display.data["test_case"]: dict(display.data) for display in displays if display.kind == "step"}
    _require_agreement(last["run"], last["conclusion"], steps)
    return Executed(content, notebook, last["run"], list(steps.values()), last["conclusion"], last["collection"])


def _told(display: Display) -> KitError:
    error = ExecutionError(str(display.data["message"]), str(display.data["remedy"]))
    error.exit_code = int(display.data.get("exit_code", error.exit_code))  # type: ignore[misc]
    return error


def _require_complete(notebook: dict[str, Any], path: Path) -> None:
    for number, cell in enumerate(cells(notebook), start=1):
        if cell["cell_type"] == "code" and source(cell).strip() and cell.get("execution_count") is None:
            raise ExecutionError(
                f"{path.name} stopped before cell {number}: it was interrupted, or its kernel died",
                "run the whole notebook again, from the top",
            )


def _require_agreement(run: dict[str, Json], conclusion: dict[str, Json], steps: dict[str, dict[str, Json]]) -> None:
    remedy = "run the whole notebook again, from the top, and don't edit its outputs"
    if run["run_id"] != conclusion["run_id"]:
        raise RecordError("the conclusion belongs to another run than the notebook's first step", remedy)
    findings = conclusion.get("findings") or []
    if sha256(canonical(findings)) != conclusion["findings_sha256"]:
        raise RecordError("the findings in the conclusion are not those that were hashed", remedy)
    shown = [finding for step in steps.values() for finding in step["findings"]]
    executed = [finding for finding in findings if finding["verdict"] != Verdict.NOT_EXECUTED]
    if sorted(map(canonical, shown)) != sorted(map(canonical, executed)):
        raise RecordError("the steps show other findings than the conclusion holds", remedy)
    if roll_up(Finding.from_json(finding).verdict for finding in findings) != conclusion["verdict"]:
        raise RecordError("the concluded verdict does not follow from the findings", remedy)


def _refuse_secrets(notebook: dict[str, Any], path: Path) -> None:
    """Refuse to keep for years what papermill wrote before the kit could look at it."""
    saved = notebook.get("metadata", {}).get("papermill", {}).get("parameters", {})
    texts = [source(cell) for cell in cells(notebook)]
    if find_secret(saved) or any(find_secret([text, *re.split(r"[\s\"',=]+", text)]) for text in texts):
        raise RecordError(
            f"{path.name} holds what looks like a secret, in a cell or in papermill's metadata",
            "revoke the secret, delete the notebook, and run again with credentials from a profile or a role",
        )


def _tags(cell: Any) -> list[str]:
    return list(cell.get("metadata", {}).get("tags", []))
