"""The published schema of `findings.json`: real ones of every protocol are valid, what the kit can't write is not."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fixtures.qualified import records

from kit import record
from kit.canonical import pretty
from kit.findings import Verdict
from kit.parameters import json_schema
from kit.record.manifest import FINDINGS, SCHEMA

PUBLISHED = json.loads((Path(record.__path__[0]) / "findings.schema.json").read_bytes())
VALIDATOR = jsonschema.Draft202012Validator(PUBLISHED)

Change = Callable[[dict[str, Any]], Any]


def document(name: str) -> dict[str, Any]:
    return dict(json.loads((records()[name] / FINDINGS).read_bytes()))


def first(document: dict[str, Any], verdict: str = "PASS") -> dict[str, Any]:
    return next(one for one in document["findings"] if one["verdict"] == verdict)


def test_it_is_a_schema_of_this_version_and_knows_every_verdict():
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)
    assert PUBLISHED["properties"]["schema"]["const"] == SCHEMA
    assert PUBLISHED["$id"].endswith(f":{SCHEMA}")
    assert PUBLISHED["$defs"]["finding"]["properties"]["verdict"]["enum"] == [one.value for one in Verdict]


@pytest.mark.parametrize("name", ["IQ PASS", "IQ FAIL", "IQ INCONCLUSIVE", "OQ PASS", "OQ FAIL", "PQ PASS", "PQ FAIL"])
def test_what_a_record_holds_is_valid(name):
    found = document(name)
    assert found["verdict"] == name.partition(" ")[2]
    VALIDATOR.validate(found)


def test_a_step_that_never_ran_is_valid_and_leaves_its_run_open():
    found = document("IQ PASS")
    step = found["findings"][-1]
    step |= {"verdict": "NOT_EXECUTED", "resource": "", "expected": {}, "actual": {}, "met": {}, "evidence": []}
    assert not VALIDATOR.is_valid(found)
    found["verdict"] = "INCONCLUSIVE"
    VALIDATOR.validate(found)


REFUSED: dict[str, tuple[str, Change]] = {
    "another version": ("IQ PASS", lambda it: it.update(schema=2)),
    "a version as text": ("IQ PASS", lambda it: it.update(schema="1")),
    "no version": ("IQ PASS", lambda it: it.pop("schema")),
    "another member": ("IQ PASS", lambda it: it.update(note="x")),
    "another protocol": ("IQ PASS", lambda it: it.update(protocol="iq")),
    "no run id": ("IQ PASS", lambda it: it.update(run_id="latest")),
    "a demonstration that is not told": ("IQ PASS", lambda it: it.update(demonstration=None)),
    "no finding": ("IQ PASS", lambda it: it.update(findings=[])),
    "a PASS over a FAIL": ("IQ FAIL", lambda it: it.update(verdict="PASS")),
    "a PASS over what is open": ("IQ INCONCLUSIVE", lambda it: it.update(verdict="PASS")),
    "INCONCLUSIVE over a FAIL": ("IQ FAIL", lambda it: it.update(verdict="INCONCLUSIVE")),
    "INCONCLUSIVE over nothing open": ("IQ PASS", lambda it: it.update(verdict="INCONCLUSIVE")),
    "FAIL over no FAIL": ("IQ PASS", lambda it: it.update(verdict="FAIL")),
    "NOT_APPLICABLE over a PASS": ("IQ PASS", lambda it: it.update(verdict="NOT_APPLICABLE")),
    "a verdict of its own": ("IQ PASS", lambda it: first(it).update(verdict="OK")),
    "a PASS without a condition": ("IQ PASS", lambda it: first(it).update(met={})),
    "a PASS with an unmet one": ("IQ PASS", lambda it: first(it)["met"].update(x=False)),
    "a PASS with one not known": ("IQ PASS", lambda it: first(it)["met"].update(x=None)),
    "a FAIL with nothing unmet": ("IQ FAIL", lambda it: first(it, "FAIL").update(met={"x": None, "y": True})),
    "INCONCLUSIVE with all met": ("IQ INCONCLUSIVE", lambda it: first(it, "INCONCLUSIVE").update(met={"x": True})),
    "INCONCLUSIVE with one unmet": ("IQ INCONCLUSIVE", lambda it: first(it, "INCONCLUSIVE")["met"].update(x=False)),
    "not applicable, and unmet": ("PQ PASS", lambda it: first(it, "NOT_APPLICABLE")["met"].update(x=False)),
    "a finding without evidence": ("OQ PASS", lambda it: first(it).pop("evidence")),
    "evidence by another name": ("OQ PASS", lambda it: first(it)["evidence"].append("../E0001")),
    "a condition met by a word": ("OQ PASS", lambda it: first(it)["met"].update(x="yes")),
    "a test case by another name": ("OQ PASS", lambda it: first(it).update(test_case="OQ01")),
    "a message that is none": ("OQ PASS", lambda it: first(it).update(message=None)),
}


@pytest.mark.parametrize(("name", "change"), REFUSED.values(), ids=REFUSED)
def test_what_the_kit_does_not_write_is_refused(name, change):
    changed = copy.deepcopy(document(name))
    change(changed)
    assert not VALIDATOR.is_valid(changed)


def test_the_command_prints_both_schemas():
    def printed(of: str) -> str:
        command = [Path(sys.executable).parent / "trailkit", "schema", of]
        return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True).stdout

    assert json.loads(printed("findings")) == PUBLISHED
    assert printed("parameters") == pretty(json_schema()) + "\n"
