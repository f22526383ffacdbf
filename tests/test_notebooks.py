"""The rules that every notebook keeps, as it is stored: a protocol that is read, not a program."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kit.catalogue import protocol, protocols
from kit.findings import Verdict

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SKELETON = [
    "Parameters",
    "Run identity",
    "Collection",
    "Test cases",
    "Results",
    "Deviations",
    "Conclusion and signatures",
]
RUFF = Path(sys.executable).with_name("ruff")

# what a protocol can't know before it is executed
OUTCOME = re.compile(
    r"\b(success\w*|compliant|as expected|is met|are met|was met|were met|has passed|have passed|has failed|have failed"
    r"|all (tests?|test cases?|controls?) (pass|are)\w*|was verified|were verified|conforms?)\b",
    re.IGNORECASE,
)
FALLBACK = re.compile(r"\b(fake|mock|dummy|synthetic|placeholder|simulat\w*|random|fallback)\b", re.IGNORECASE)

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str = "") -> list[dict[str, Any]]:
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in found if kind in ("", cell["cell_type"])]


def test_it_is_a_valid_notebook_of_the_kernel_that_everyone_has(path: Path) -> None:
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert notebook.nbformat == 4
    assert notebook.metadata.kernelspec.name == "python3"
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def test_it_is_stored_without_outputs_counts_or_traces_of_an_execution(path: Path) -> None:
    for cell in cells(path, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert set(cell["metadata"]) <= {"tags"}
    assert set(json.loads(path.read_text())["metadata"]) == {"kernelspec", "language_info"}


def test_its_headings_are_the_skeleton(path: Path) -> None:
    prose = "\n".join(cell["source"] for cell in cells(path, "markdown"))
    assert re.findall(r"^## (.+)$", prose, re.MULTILINE) == SKELETON
    assert len(re.findall(r"^# .+$", prose, re.MULTILINE)) == 1
    first = cells(path)[0]["source"]
    assert first.startswith("# ")
    assert "**Purpose.**" in first
    assert "**Method.**" in first


def test_its_one_parameters_cell_is_plain_assignments_each_with_a_comment(path: Path) -> None:
    (tagged,) = [cell for cell in cells(path, "code") if cell["metadata"].get("tags")]
    assert tagged["metadata"]["tags"] == ["parameters"]
    assert all(isinstance(line, ast.Assign) for line in ast.parse(tagged["source"]).body)
    lines = tagged["source"].splitlines()
    assert [line.startswith("# ") for line in lines] == [True, False] * (len(lines) // 2)


def test_a_cell_of_prose_stands_before_each_cell_of_code(path: Path) -> None:
    kinds = [cell["cell_type"] for cell in cells(path)]
    assert kinds == ["markdown", "code"] * (len(kinds) // 2)


def test_no_cell_of_code_is_longer_than_twelve_lines(path: Path) -> None:
    assert max(len(cell["source"].splitlines()) for cell in cells(path, "code")) <= 12


def test_its_code_holds_no_logic(path: Path) -> None:
    allowed = (ast.Assign, ast.Expr, ast.ImportFrom)
    for cell in cells(path, "code"):
        assert all(isinstance(line, allowed) for line in ast.parse(cell["source"]).body), cell["source"]
        assert not [node for node in ast.walk(ast.parse(cell["source"])) if isinstance(node, ast.Lambda | ast.IfExp)]


def test_its_code_imports_only_the_protocol(path: Path) -> None:
    lines = [line for cell in cells(path, "code") for line in ast.parse(cell["source"]).body]
    assert {line.module for line in lines if isinstance(line, ast.ImportFrom)} == {"kit.protocol"}


def test_its_code_holds_no_verdict_and_no_fallback(path: Path) -> None:
    for cell in cells(path, "code"):
        assert not any(re.search(rf"\b{verdict.value}\b", cell["source"], re.IGNORECASE) for verdict in Verdict)
        assert not FALLBACK.search(cell["source"])


def test_its_prose_states_no_outcome(path: Path) -> None:
    for cell in cells(path, "markdown"):
        assert not any(re.search(rf"\b{verdict.value}\b", cell["source"]) for verdict in Verdict)
        assert not OUTCOME.search(cell["source"]), OUTCOME.search(cell["source"])


def test_its_steps_are_the_test_cases_of_the_catalogue_in_order_each_under_its_heading(path: Path) -> None:
    code = "\n".join(cell["source"] for cell in cells(path, "code"))
    (begun,) = re.findall(r'begin\(\s*"([A-Z]+)"', code)
    assert begun in protocols()
    assert protocol(begun).notebook == path.name
    assert re.findall(r'run\.step\("([^"]+)"\)', code) == list(protocol(begun).test_cases)
    before = ""
    for cell in cells(path):
        if stepped := re.fullmatch(r'run\.step\("([^"]+)"\)', cell["source"]):
            assert re.search(rf"^### {stepped[1]} \S", before, re.MULTILINE)
        before = cell["source"]


def test_it_ends_with_conclusion_and_signatures(path: Path) -> None:
    assert [cell["source"] for cell in cells(path, "code")][-2:] == ["run.conclude()", "run.signatures()"]


def test_ruff_finds_nothing_in_it(path: Path) -> None:
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([RUFF, *command, path], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
