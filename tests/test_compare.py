"""Two records held against each other: what is otherwise is told value by value, and nothing that was not verified."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.runs import copied, executed_once, sealed
from typer.testing import CliRunner

from kit.cli.app import app
from kit.cli.main import main  # noqa: F401 - every command is there
from kit.errors import KitError, RecordError, RejectionError
from kit.findings import Verdict
from kit.record import compare as comparing
from kit.record.compare import compare
from kit.record.manifest import NOTEBOOK

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> dict[str, Path]:
    made = {}
    for name, faults in (
        ("compliant", ()),
        ("again", ("shadow-trail",)),
        ("disabled", ("key-disabled",)),
        ("denied", ("deny-get-key-policy",)),
    ):
        folder = tmp_path_factory.mktemp(name)
        made[name] = sealed(copied(executed_once(*faults), folder)).folder
    return made


def test_a_record_has_not_drifted_from_itself(records):
    found = compare(records["compliant"], records["compliant"])
    assert (found.verdict, found.drift.changes, found.verdicts) == (Verdict.PASS, (), {})


def test_verdicts_and_values_that_differ_are_told(records):
    found = compare(records["compliant"], records["disabled"])
    assert found.verdict is Verdict.FAIL
    assert found.verdicts["IQ-05"] == ("PASS", "FAIL")
    told = {change.place: (change.before, change.after) for change in found.drift.changes}
    assert told["key/KeyState"] == ("Enabled", "Disabled")


def test_what_was_denied_is_not_known(records):
    found = compare(records["compliant"], records["denied"])
    assert found.verdict is Verdict.FAIL  # a test case came to another verdict
    assert found.drift.changes == ()
    assert any("key/policy" in path for path in found.drift.unknown)
    assert replace(found, verdicts={}).verdict is Verdict.INCONCLUSIVE


def test_a_record_that_does_not_hold_is_not_compared(records, tmp_path):
    spoilt = Path(shutil.copytree(records["compliant"], tmp_path / records["compliant"].name))
    (spoilt / NOTEBOOK).write_text("{}")
    with pytest.raises(RejectionError, match=r"does not hold, so nothing of it is compared: record\.ipynb"):
        compare(records["compliant"], spoilt)


def test_records_of_other_targets_are_refused(records, monkeypatch):
    target = comparing._target
    monkeypatch.setattr(
        comparing, "_target", lambda told: target(told) | ({"trail": "other"} if told["verdict"] == "FAIL" else {})
    )
    with pytest.raises(RecordError, match=r"of different targets: trail .*gxp-trail and other"):
        compare(records["compliant"], records["disabled"])


@pytest.mark.parametrize(
    ("other", "status"), [("compliant", 0), ("disabled", 1), ("again", 1)], ids=["nothing", "drift", "another trail"]
)
def test_the_status_says_whether_anything_is_otherwise(other, status, records):
    pair = [str(records["compliant"]), str(records[other])]
    done = RUNNER.invoke(app, ["compare", *pair])
    assert done.exit_code == status, done.output
    assert "verified" in done.stdout
    told = json.loads(RUNNER.invoke(app, ["compare", *pair, "--json"]).stdout)
    assert bool(told["changes"] or told["verdicts"]) is bool(status)


def test_the_table_names_the_value_and_both_of_its_states(records):
    done = RUNNER.invoke(app, ["compare", str(records["compliant"]), str(records["disabled"])])
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("key/KeyState")]
    assert line.split() == ["key/KeyState", "changed", "Enabled", "Disabled"]
    assert "verdict  IQ-05: PASS, then FAIL" in done.stdout


def test_a_folder_that_is_no_record_is_an_error(tmp_path, records):
    done = RUNNER.invoke(app, ["compare", str(records["compliant"]), str(tmp_path / "none")])
    assert isinstance(done.exception, KitError)
    assert "is no folder" in done.exception.message
