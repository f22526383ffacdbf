"""The export for security systems, held against the published OCSF schema; what is open is never told as passed."""

import json
import shutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fixtures.qualified import records
from fixtures.runs import copied, executed_once, make_record, redo_sums, sealed
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from typer.testing import CliRunner

from kit.canonical import sha256_file
from kit.cli.main import app
from kit.errors import RecordError, RejectionError
from kit.findings import Verdict
from kit.record.manifest import FINDINGS, MANIFEST, read_manifest
from kit.record.ocsf import STATUSES, VERSION, export_ocsf

NAMES = ["IQ PASS", "IQ FAIL", "IQ INCONCLUSIVE", "OQ PASS", "OQ FAIL", "PQ PASS", "PQ FAIL"]


@cache
def published() -> Mapping[str, Any]:
    """Return OCSF's own definition of the pinned version."""
    return dict(get_ocsf_schema(version=VERSION))


@cache
def validator() -> jsonschema.Draft202012Validator:
    of = OcsfJsonSchemaEmbedded(published())
    schema = of.get_class_schema(class_name="compliance_finding", profiles=["cloud", "datetime"])
    return jsonschema.Draft202012Validator(schema)


@cache
def exported(name: str) -> list[dict[str, Any]]:
    return list(json.loads(export_ocsf(records()[name])))


def findings(record: Path) -> list[dict[str, Any]]:
    return list(json.loads((record / FINDINGS).read_bytes())["findings"])


@pytest.mark.parametrize("name", NAMES)
def test_every_event_is_valid_by_the_published_schema(name):
    events = exported(name)
    assert len(events) == len(findings(records()[name])) > 0
    for event in events:
        validator().validate(event)
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"] == 200301


def test_the_published_schema_would_see_what_is_wrong():
    event = exported("IQ PASS")[0]
    for changed in (
        {"time": "now"},
        {"severity_id": 7},
        {"note": "x"},
        {"compliance": {"status_id": 4}},
        {"cloud": {}},
    ):
        assert not validator().is_valid(event | changed)


@pytest.mark.parametrize("name", NAMES)
def test_every_caption_is_the_published_one(name):
    dictionary = published()
    event_class = dictionary["classes"]["compliance_finding"]["attributes"]
    compliance = dictionary["objects"]["compliance"]["attributes"]
    for event in exported(name):
        assert event["severity"] == event_class["severity_id"]["enum"][str(event["severity_id"])]["caption"]
        assert event["activity_name"] == event_class["activity_id"]["enum"][str(event["activity_id"])]["caption"]
        status = event["compliance"]["status_id"]
        if status != 99:
            assert event["compliance"]["status"] == compliance["status_id"]["enum"][str(status)]["caption"]


def test_only_a_pass_is_pass():
    assert set(STATUSES) == set(Verdict)
    assert [verdict for verdict, (number, caption) in STATUSES.items() if number == 1 or caption == "Pass"] == ["PASS"]


@pytest.mark.parametrize("name", NAMES)
def test_an_event_says_what_its_finding_says(name):
    record = records()[name]
    manifest, digest = read_manifest(record), sha256_file(record / MANIFEST)
    statuses = {"PASS": 1, "FAIL": 3, "INCONCLUSIVE": 2, "NOT_APPLICABLE": 99}
    for number, (event, finding) in enumerate(zip(exported(name), findings(record), strict=True), start=1):
        compliance, verdict = event["compliance"], finding["verdict"]
        assert (compliance["status_code"], compliance["status_id"]) == (verdict, statuses[verdict])
        assert compliance["status_details"] == [finding["message"]]
        assert compliance["control"].startswith(f"{finding['test_case']} ")
        assert compliance["desc"]
        assert all(one.partition(", ")[0] in compliance["standards"] for one in compliance["requirements"])
        assert (event["severity"] == "Informational") == (verdict in ("PASS", "NOT_APPLICABLE"))
        assert event["resources"][0].get("uid", event["resources"][0].get("name")) == finding["resource"]
        assert event["metadata"]["uid"] == f"{manifest['record_id']}/{number}"
        assert event["metadata"]["correlation_uid"] == event["unmapped"]["record_id"] == manifest["record_id"]
        assert event["unmapped"]["record_digest"] == digest
        assert {key: event["unmapped"][key] for key in ("met", "evidence")} == {
            key: finding[key] for key in ("met", "evidence")
        }
        assert event["cloud"]["account"]["uid"] == "123456789012"
        assert event["time_dt"] == manifest["finished"]


def test_a_key_is_named_as_security_hub_names_it_with_its_clauses_and_its_deviation():
    (event,) = [one for one in exported("IQ FAIL") if one["compliance"]["status"] == "Fail"]
    (resource,) = event["resources"]
    assert resource["uid"].startswith("arn:aws:kms:eu-west-1:")
    assert {**resource, "uid": ""} == {
        "uid": "", "type": "AWS::KMS::Key", "region": "eu-west-1", "cloud_partition": "aws",
    }  # fmt: skip
    assert event["unmapped"]["deviation"] == "DEV-01"
    assert "EU GMP Annex 11 (2011)" in event["compliance"]["standards"]
    assert event["severity"] in ("Medium", "High", "Critical")


def test_a_later_record_updates_what_an_earlier_one_said():
    earlier, later = exported("IQ PASS"), exported("IQ FAIL")
    assert [one["finding_info"]["uid"] for one in earlier] == [one["finding_info"]["uid"] for one in later]
    assert not {one["metadata"]["uid"] for one in earlier} & {one["metadata"]["uid"] for one in later}
    assert earlier[0]["finding_info"]["modified_time"] < later[0]["finding_info"]["modified_time"]


@pytest.mark.parametrize("name", NAMES)
def test_no_two_events_of_a_record_are_one(name):
    for place in ("finding_info", "metadata"):
        uids = [event[place]["uid"] for event in exported(name)]
        assert len(set(uids)) == len(uids)


@pytest.mark.parametrize("name", NAMES)
def test_a_demonstration_says_so_wherever_it_is_read(name):
    for event in exported(name):
        assert event["unmapped"]["demonstration"] is True
        assert event["metadata"]["labels"] == ["demonstration"]
        for text in (event["message"], event["finding_info"]["title"], event["finding_info"]["uid"]):
            assert text.startswith("DEMONSTRATION: ")


def test_a_record_of_a_real_account_is_marked_in_no_place(monkeypatch):
    record = records()["IQ PASS"]
    manifest = read_manifest(record) | {"demonstration": False}
    monkeypatch.setattr("kit.record.ocsf.read_manifest", lambda _: manifest)
    told = export_ocsf(record)
    assert b"demonstration" not in told.replace(b'"demonstration":false', b"").lower()


def test_the_same_record_gives_the_same_bytes():
    record = records()["OQ FAIL"]
    told = export_ocsf(record)
    assert told == export_ocsf(record)
    assert len(told.splitlines()) == len(findings(record)) + 2


def test_a_step_that_never_ran_is_unknown_and_of_the_account(tmp_path):
    record = sealed(copied(executed_once(leave_out=('run.step("IQ-08")',)), tmp_path)).folder
    (event,) = [one for one in json.loads(export_ocsf(record)) if one["compliance"]["status_code"] == "NOT_EXECUTED"]
    validator().validate(event)
    assert (event["compliance"]["status_id"], event["compliance"]["control"][:5]) == (0, "IQ-08")
    assert event["severity"] in ("Medium", "High", "Critical")
    assert event["resources"] == [{"uid": "123456789012", "type": "AWS::::Account"}]


class TestCommand:
    def call(self, *arguments: object):
        return CliRunner().invoke(app, ["export", *map(str, arguments), "--format", "ocsf"])

    def test_it_prints_or_writes_the_same(self, tmp_path):
        record = records()["IQ PASS"]
        printed = self.call(record)
        assert printed.stdout_bytes == export_ocsf(record)
        written = self.call(record, "--output", tmp_path / "events.json")
        assert (written.exit_code, (tmp_path / "events.json").read_bytes()) == (0, printed.stdout_bytes)

    def test_nothing_is_written_into_a_sealed_record(self, tmp_path):
        record = Path(shutil.copytree(records()["IQ PASS"], tmp_path / "record"))
        refused = self.call(record, "--output", record / "evidence" / "events.json")
        assert "nothing is added to a sealed record" in str(refused.exception)
        assert not (record / "evidence" / "events.json").exists()

    @pytest.mark.parametrize("name", ["findings.json", "evidence/index.jsonl", "record.ipynb"])
    def test_of_an_altered_record_nothing_is_exported(self, name, tmp_path):
        record = Path(shutil.copytree(records()["IQ FAIL"], tmp_path / "record"))
        content = (record / name).read_bytes()
        (record / name).write_bytes(content.replace(b"FAIL", b"PASS") + b" ")
        redo_sums(record)
        refused = self.call(record, "--output", tmp_path / "events.json")
        assert isinstance(refused.exception, RejectionError)
        assert refused.exception.message.startswith(f"record does not hold, so nothing of it is exported: {name}")
        assert (refused.stdout, list(tmp_path.glob("*.json"))) == ("", [])

    def test_a_protocol_that_was_issued_has_no_findings(self, tmp_path):
        record = make_record(tmp_path / "record", {"evidence/index.jsonl": b"{}"})
        with pytest.raises(RecordError, match="is a protocol that was issued"):
            export_ocsf(record)
