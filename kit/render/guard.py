"""What keeps a page from saying more than its notebook: stamp, verdict and warnings of the cover.

A notebook can be edited, cut short or run twice. The cover takes the worse of what the displays say, and tells in full
sentences where they contradict each other.
"""

from collections.abc import Mapping
from typing import Any

from kit.findings import Verdict, roll_up
from kit.present.displays import Display, cells, last, outputs, source
from kit.present.words import VERDICTS
from kit.render.context import RecordContext

_SEVERITY = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_EXECUTED, Verdict.NOT_APPLICABLE, Verdict.PASS)


def stamp(run: Mapping[str, Any] | None) -> str:
    """Return what every page is stamped with; only a run that says it is no demonstration goes unstamped."""
    if run is None or not isinstance(run["demonstration"], bool):
        return "ORIGIN NOT STATED: no GxP evidence"
    return "DEMONSTRATION: sandbox account, no GxP evidence" if run["demonstration"] else ""


def brief(displays: list[Display], steps: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return one row a test case: what the summary lists, for it knows the steps not taken, and what the steps say."""
    rows: dict[str, Mapping[str, Any]] = {}
    for row in [*(last(displays, "summary") or {"rows": []})["rows"], *steps]:
        # A test case shown twice counts as the worse of the two.
        known = rows.get(str(row["test_case"]))
        if known is None or not _better(row["verdict"], Verdict(known["verdict"])):
            rows[str(row["test_case"])] = row
    return list(rows.values())


def verdict(
    conclusion: Mapping[str, Any] | None, brief: list[Mapping[str, Any]], steps: list[Mapping[str, Any]]
) -> str | None:
    """Return the verdict of the cover, the worse of what was concluded and what the findings say; None if open."""
    if conclusion is None:
        return None
    findings = [finding for step in steps for finding in step["findings"]] + list(conclusion.get("findings") or [])
    judged = [Verdict(each["verdict"]) for each in [*brief, *findings]]
    said = Verdict(conclusion["verdict"])
    return min([said, *([roll_up(judged)] if judged else [])], key=_SEVERITY.index)


def warnings(notebook: Mapping[str, Any], displays: list[Display], record: RecordContext) -> list[str]:
    """Return in full sentences why this page can't be trusted as it stands; a sound record has none."""
    found = []
    code = [cell for cell in cells(notebook) if cell.get("cell_type") == "code" and source(cell).strip()]
    if any(cell.get("execution_count") is None for cell in code):
        found.append("The notebook holds code that was never run.")
    if any(output.get("output_type") == "error" for cell in code for output in outputs(cell)):
        found.append("The notebook stopped with an error.")
    kinds = [display.kind for display in displays]
    if "run" not in kinds:
        found.append("The notebook does not say which run this is.")
    if "conclusion" not in kinds:
        found.append("The notebook holds no conclusion: the run did not come to its end.")
    for display in displays:
        found += _contradictions(display)
    steps = [Verdict(display.data["verdict"]) for display in displays if display.kind == "step"]
    for display in displays:
        if display.kind in ("conclusion", "summary") and steps and _better(display.data["verdict"], roll_up(steps)):
            found.append(
                f"The {display.kind} says {VERDICTS[display.data['verdict']].word}, but its test cases give "
                f"{VERDICTS[roll_up(steps)].word}."
            )
    if record.sealed and not (record.record_id and record.record_digest):
        found.append("The record has no id or no digest.")
    return found


def _contradictions(display: Display) -> list[str]:
    if display.kind != "step":
        return []
    step, found = display.data, []
    for finding in step["findings"]:
        judged = list(finding["met"].values())
        if finding["verdict"] == Verdict.PASS and (not judged or not all(judged)):
            found.append(f"{step['test_case']}: a finding says PASS, but not every condition of it is met.")
        if _better(step["verdict"], Verdict(finding["verdict"])):
            found.append(f"{step['test_case']} says {VERDICTS[step['verdict']].word}, but a finding of it is worse.")
    if step["verdict"] == Verdict.PASS and not step["findings"]:
        found.append(f"{step['test_case']} says PASS, but judged nothing.")
    return found


def _better(said: str, given: Verdict) -> bool:
    """Return whether a verdict says less than the worst that it rolls up."""
    hard = {Verdict.FAIL: 2, Verdict.INCONCLUSIVE: 1, Verdict.NOT_EXECUTED: 1}
    return hard.get(Verdict(said), 0) < hard.get(given, 0)
