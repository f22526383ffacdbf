"""What the steps of a run give together: summary, traceability, deviations and counts, as a notebook shows them.

Pure functions of the steps' data. A notebook is made with them, and held against them when it is sealed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from kit.canonical import Json
from kit.catalogue import Protocol, TestCase
from kit.findings import Finding, Verdict, not_executed, roll_up

Steps = Sequence[Mapping[str, Json]]

_SHOWN = "application/vnd.trailkit+json"
"""The displays of a notebook; not imported, since what shows them is no part of a verification."""


def protocol_data(of: Protocol) -> dict[str, Json]:
    """Return what a run shows of its protocol."""
    return {name: getattr(of, name) for name in ("id", "title", "version", "purpose")}


def step_data(case: TestCase, findings: Sequence[Finding], started: str = "", finished: str = "") -> dict[str, Json]:
    """Return the data of a step: the test case as the catalogue has it, its findings, and their verdict."""
    return {
        "test_case": case.id,
        **{name: getattr(case, name) for name in ("title", "purpose", "method", "criterion", "criticality")},
        "added_by": case.added_by,
        "clauses": [dict(vars(clause)) for clause in case.clauses],
        "verdict": verdict_of_step(finding.verdict for finding in findings).value,
        "findings": [finding.to_json() for finding in findings],
        "started": started,
        "finished": finished,
    }


def verdict_of_step(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict of one step over its findings; that of a step that was not taken is NOT_EXECUTED, which leaves
    a run open.
    """
    seen = set(verdicts)
    return Verdict.NOT_EXECUTED if seen == {Verdict.NOT_EXECUTED} else roll_up(seen)


def all_steps(of: Protocol, taken: Mapping[str, Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    """Return the data of every step of a protocol, in its order; a step that was not taken is NOT_EXECUTED."""
    return [taken.get(case.id) or step_data(case, [not_executed(case.id)]) for case in of.test_cases.values()]


def test_cases_in(notebook: Mapping[str, Json]) -> dict[str, dict[str, Json]]:
    """Return what an executed notebook shows of each test case: its step, or its row in the summary if never taken.

    The catalogue may say otherwise by the time that a record is read.
    """
    found: dict[str, dict[str, Json]] = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            display = output.get("data", {}).get(_SHOWN, {})
            if display.get("kind") == "step":
                found[display["data"]["test_case"]] = display["data"]
            elif display.get("kind") == "summary":
                for row in display["data"]["rows"]:
                    found.setdefault(row["test_case"], row)
    return found


def findings_of(steps: Steps) -> list[dict[str, Json]]:
    """Return the findings of all steps, in their order."""
    return [finding for step in steps for finding in step["findings"]]


def verdict_of(steps: Steps) -> Verdict:
    """Return the verdict over all steps."""
    return roll_up(Verdict(step["verdict"]) for step in steps)


def counts(steps: Steps) -> dict[str, int]:
    """Return how many steps came to each verdict."""
    counted = Counter(step["verdict"] for step in steps)
    return {verdict.value: counted[verdict.value] for verdict in Verdict}


def sentence(step: Mapping[str, Json]) -> str:
    """Return the finding that the verdict of a step rests on, and how many more of the same there are."""
    telling = [finding["message"] for finding in step["findings"] if finding["verdict"] == step["verdict"]]
    more = f" And {len(telling) - 1} more." if len(telling) > 1 else ""
    return f"{telling[0]}{more}" if telling else ""


def summary(steps: Steps) -> dict[str, Json]:
    """Return the verdict of each test case, and over all."""
    rows = [
        {name: step[name] for name in ("test_case", "title", "criticality", "verdict")} | {"message": sentence(step)}
        for step in steps
    ]
    return {"rows": rows, "verdict": verdict_of(steps).value}


def traceability(steps: Steps, requirements: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """Return which requirement and clause each test case answers, with its verdict and evidence.

    `elsewhere` has the test cases that a requirement names besides: this protocol does not hold them.
    """
    rows = []
    for step in steps:
        evidence = list(dict.fromkeys(entry for finding in step["findings"] for entry in finding["evidence"]))
        answer = {"test_case": step["test_case"], "verdict": step["verdict"], "evidence": evidence}
        served: list[Json] = [item for item in requirements if step["test_case"] in item["test_cases"]] or [None]
        rows += [
            {"requirement": requirement, "source": clause["source"], "clause": clause["clause"], **answer}
            for requirement in served
            for clause in step["clauses"]
        ]
    held = {step["test_case"] for step in steps}
    others = [(item["id"], [case for case in item["test_cases"] if case not in held]) for item in requirements]
    elsewhere: list[Json] = [{"requirement": name, "test_cases": cases} for name, cases in others if cases]
    return {"rows": rows, "elsewhere": elsewhere}


def deviations(findings: Sequence[Mapping[str, Json]], steps: Steps = ()) -> dict[str, Json]:
    """Return what did not pass among the findings of a run, each with an id under which its deviation is handled.

    Each row has the conditions that are not known to be met. Title and criticality are those of the steps, and empty
    where no step is given.
    """
    cases = {step["test_case"]: step for step in steps}
    rows: list[dict[str, Json]] = []
    for finding in findings:
        if finding["verdict"] in (Verdict.PASS, Verdict.NOT_APPLICABLE):
            continue
        case = cases.get(finding["test_case"], {})
        unmet = {name: met for name, met in finding["met"].items() if met is not True}
        rows.append(
            {
                "id": f"DEV-{len(rows) + 1:02d}",
                "test_case": finding["test_case"],
                "title": case.get("title", ""),
                "criticality": case.get("criticality", ""),
                **{name: finding[name] for name in ("verdict", "resource", "message", "evidence")},
                "met": unmet,
                "expected": {name: finding["expected"][name] for name in unmet},
                "actual": {name: finding["actual"][name] for name in unmet},
            }
        )
    return {"rows": rows}
