"""The record that a run builds on: the latest passed one of the same target, and what is otherwise since."""

import shutil
from pathlib import Path

import pytest
from fixtures.runs import close_record

from kit.canonical import canonical
from kit.parameters import RunParameters
from kit.record.earlier import latest_record

TRAIL = "arn:aws:cloudtrail:eu-west-1:123456789012:trail/gxp-trail"
TOLD = {
    "target": {"account_id": "123456789012", "endpoint_url": "http://127.0.0.1:1"},
    "expected": {"trail_arn": TRAIL},
    "execution": {"executed_by": "A", "system_id": "S", "environment": "sandbox", "protocol_id": "P"},
}
PARAMETERS = RunParameters.load(TOLD)


def record(outputs: Path, number: int, verdict: str = "PASS", *, protocol: str = "IQ", **changed: object) -> str:
    """Make a record by hand that is whole, and return its id."""
    name = f"{protocol}-2026110{number}T000000Z-00000{number}"
    told = PARAMETERS.to_json()
    finding = {"test_case": "IQ-04", "resource": TRAIL, "actual": {"key ARN": "k"}, "verdict": verdict}
    (outputs / name).mkdir()
    (outputs / name / "findings.json").write_bytes(canonical({"findings": [finding]}))
    members = {
        "protocol": {"id": protocol},
        "record_id": name,
        "finished": f"2026-11-0{number}T00:00:00.000Z",
        "verdict": verdict,
        "demonstration": True,
        "parameters": {"target": told["target"], "expected": told["expected"]},
    }
    close_record(outputs / name, ["findings.json"], **members | changed)
    return name


def test_there_may_be_none(tmp_path):
    assert latest_record(tmp_path, "IQ", PARAMETERS) is None


def test_the_latest_that_passed_is_cited_and_a_later_failure_told(tmp_path):
    record(tmp_path, 1)
    passed, failed = record(tmp_path, 2), record(tmp_path, 3, "FAIL")
    found = latest_record(tmp_path, "IQ", PARAMETERS)
    assert (found.record_id, found.later) == (passed, failed)


def test_without_one_that_passed_the_latest_is_cited(tmp_path):
    record(tmp_path, 1, "FAIL")
    latest = record(tmp_path, 2, "INCONCLUSIVE")
    found = latest_record(tmp_path, "IQ", PARAMETERS)
    assert (found.record_id, found.verdict, found.later) == (latest, "INCONCLUSIVE", "")


@pytest.mark.parametrize(
    "changed",
    [
        {"demonstration": False},
        {"parameters": {"target": {"account_id": "210987654321"}, "expected": {"trail_arn": TRAIL}}},
        {"parameters": {"target": {"account_id": "123456789012"}, "expected": {"trail_arn": None}}},
        {"protocol": {"id": "OQ"}},
        {"parameters": None},
        {"verdict": None, "finished": None, "record_id": None, "parameters": {}},
    ],
    ids=["no demonstration", "another account", "another trail", "another protocol", "no parameters", "nothing said"],
)
def test_a_record_of_another_target_is_not_cited(changed, tmp_path):
    record(tmp_path, 1, **changed)
    assert latest_record(tmp_path, "IQ", PARAMETERS) is None


def test_a_record_whose_findings_were_changed_is_not_cited(tmp_path):
    name = record(tmp_path, 1)
    (tmp_path / name / "findings.json").write_bytes(canonical({"findings": []}))
    assert latest_record(tmp_path, "IQ", PARAMETERS) is None


def test_a_folder_without_a_manifest_is_passed_over(tmp_path):
    name = record(tmp_path, 1)
    shutil.copytree(tmp_path / name, tmp_path / "other")
    (tmp_path / "other" / "manifest.json").write_text("{")
    assert latest_record(tmp_path, "IQ", PARAMETERS).record_id == name
