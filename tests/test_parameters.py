import copy
import json
import string
import time
import traceback
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from papermill.iorw import read_yaml_file
from papermill.translators import PythonTranslator

from kit.canonical import canonical, pretty
from kit.errors import ParameterError
from kit.parameters import RunParameters, apply_settings, json_schema, load_file
from kit.redaction import find_secret

ACCOUNT: dict[str, Any] = {
    "target": {"account_id": "123456789012"},
    "execution": {
        "executed_by": "Anna Müller",
        "system_id": "SYS-0042",
        "environment": "qualification",
        "protocol_id": "VP-2026-017",
    },
}

# Invented; each has the shape of the real thing.
ACCESS_KEY_ID = "AKIA" + "Q7RN3XW2EXAMPLE5"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SESSION_TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE" + "aB3/" * 60 + "=="


def refusal(mapping: object) -> str:
    with pytest.raises(ParameterError) as caught:
        RunParameters.load(mapping)
    return str(caught.value)


def with_value(path: str, value: object) -> dict[str, Any]:
    mapping = copy.deepcopy(ACCOUNT)
    place = mapping
    *parents, last = path.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return mapping


def requirement(**changes: object) -> list[dict[str, object]]:
    return [{"id": "URS-017", "text": "Logs are encrypted.", "risk": "high", "test_cases": ["IQ-04"]} | changes]


class TestAccepted:
    def test_nothing_given_is_the_embedded_account_as_a_demonstration(self) -> None:
        parameters = RunParameters.load({})
        assert parameters.sandbox
        with pytest.raises(ParameterError, match="not started"):
            _ = parameters.account
        assert parameters.demonstration
        assert parameters.execution.environment == "sandbox"
        assert parameters.window.hours == 24

    def test_what_is_expected_is_unknown_until_stated(self) -> None:
        expected = RunParameters.load({}).expected
        unknown = ("trail_arn", "kms_key_arn", "key_alias", "log_bucket", "retention_days", "reader_role_arns")
        assert [getattr(expected, name) for name in unknown] == [None] * 6

    def test_sections_with_every_line_commented_out_are_left_out(self) -> None:
        assert RunParameters.load({"expected": None, "requirements": None, "window": None}) == RunParameters.load({})

    def test_a_stated_execution_is_kept_in_the_embedded_account(self) -> None:
        parameters = RunParameters.load({"execution": {"executed_by": "Anna Müller"}})
        assert parameters.execution.executed_by == "Anna Müller"
        assert parameters.execution.environment == "sandbox"

    def test_an_account_without_endpoint_is_no_demonstration(self) -> None:
        parameters = RunParameters.load(ACCOUNT)
        assert not parameters.sandbox
        assert not parameters.demonstration
        assert parameters.account is parameters.target
        assert parameters.account.regions == "all"

    @pytest.mark.parametrize("endpoint", ["http://127.0.0.1:5000", "http://[::1]:5000", "https://aws.example.com/x"])
    def test_a_custom_endpoint_is_a_demonstration(self, endpoint: str) -> None:
        mapping = with_value("target.endpoint_url", endpoint) | {"execution": ACCOUNT["execution"] | SANDBOX}
        assert RunParameters.load(mapping).demonstration

    def test_an_account_in_a_sandbox_environment_is_a_demonstration(self) -> None:
        assert RunParameters.load({**ACCOUNT, "execution": ACCOUNT["execution"] | SANDBOX}).demonstration

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("target.regions", ["eu-west-1", "us-gov-west-1", "ap-southeast-4", "eusc-de-east-1"]),
            ("target.role_arn", "arn:aws:iam::123456789012:role/audit/GxP+Audit@eu"),
            ("target.role_arns", {"210987654321": "arn:aws-us-gov:iam::210987654321:role/R"}),
            ("expected.trail_arn", "arn:aws-cn:cloudtrail:cn-north-1:123456789012:trail/gxp-trail"),
            ("expected.kms_key_arn", "1234abcd-12ab-34cd-56ef-1234567890ab"),
            ("expected.kms_key_arn", "mrk-1234abcd12ab34cd56ef1234567890ab"),
            ("expected.kms_key_arn", "alias/CloudTrailGxPKey"),
            ("expected.kms_key_arn", "arn:aws:kms:eu-west-1:123456789012:alias/CloudTrailGxPKey"),
            ("expected.kms_key_arn", "arn:aws:kms:eu-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab"),
            ("expected.log_bucket", "gxp.logs-2026"),
            ("expected.reader_role_arns", []),
            ("expected.decrypt_accounts", ["000000000001"]),
            ("expected.object_lock_mode", "GOVERNANCE"),
            ("window", {"hours": 8784}),
            ("execution.executed_by", "李 明 / Ελένη O'Brien-Żak"),
            ("execution.reason", "a line from a YAML block\n"),
            ("requirements", requirement()),
        ],
        ids=lambda value: value if isinstance(value, str) and "." in value else None,
    )
    def test_value(self, path: str, value: object) -> None:
        RunParameters.load(with_value(path, value))

    @pytest.mark.parametrize(
        "start",
        [
            "2026-11-22T00:00:00Z",
            "2026-11-22 00:00:00+00:00",
            "2026-11-22T01:00:00+01:00",
            datetime(2026, 11, 22, tzinfo=UTC),
            datetime(2026, 11, 22, 1, tzinfo=timezone(timedelta(hours=1))),
        ],
        ids=str,
    )
    def test_an_instant_in_every_form_papermill_and_python_hand_over(self, start: object) -> None:
        window = RunParameters.load({"window": {"start": start, "end": "2026-11-23T00:00:00Z"}}).window
        assert window.start == datetime(2026, 11, 22, tzinfo=UTC)
        assert window.start.tzinfo is UTC

    def test_hours_are_counted_back_from_now(self) -> None:
        now = datetime(2026, 11, 23, 12, tzinfo=timezone(timedelta(hours=2)))
        start, end = RunParameters.load({"window": {"hours": 10}}).window.period(now)
        assert (start, end) == (datetime(2026, 11, 23, 0, tzinfo=UTC), datetime(2026, 11, 23, 10, tzinfo=UTC))
        assert start.tzinfo is end.tzinfo is UTC

    def test_a_stated_period_does_not_move_with_now(self) -> None:
        stated = {"start": "2026-11-22T00:00:00Z", "end": "2026-11-23T00:00:00Z"}
        period = RunParameters.load({"window": stated}).window.period(datetime(2030, 1, 1, tzinfo=UTC))
        assert period == (datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))

    def test_parameters_are_frozen(self) -> None:
        parameters = RunParameters.load(ACCOUNT)
        with pytest.raises(ValueError, match="frozen"):
            parameters.window.hours = 1  # type: ignore[misc]


SANDBOX = {"environment": "sandbox"}


class TestRefused:
    @pytest.mark.parametrize(
        ("path", "value", "expectation", "example"),
        [
            ("target", "sandbx", "sandbox (the embedded account) or a mapping", 'target: "sandbox"'),
            ("target", ["sandbox"], "sandbox (the embedded account) or a mapping", 'target: "sandbox"'),
            ("target.account_id", 123456789012, "put it in quotes", 'account_id: "123456789012"'),
            ("target.account_id", "12345678901", "12 digits", 'account_id: "123456789012"'),
            ("target.account_id", "１２３４５６７８９０１２", "12 digits", 'account_id: "123456789012"'),
            ("target.account_id", "123456789012\n", "12 digits", 'account_id: "123456789012"'),
            ("target.regions", "eu-west-1", "a list of Region names", 'regions: ["eu-west-1"]'),
            ("target.regions", [], "a list of Region names", 'regions: ["eu-west-1"]'),
            ("target.regions", ["eu-west-1", "eu-west-1"], "more than once", 'regions: ["eu-west-1"]'),
            ("target.regions.0", ["Ireland"], "a list of Region names", 'regions: ["eu-west-1"]'),
            ("target.endpoint_url", "ftp://127.0.0.1", "no http or https address", "endpoint_url: "),
            ("target.endpoint_url", "https://", "no http or https address", "endpoint_url: "),
            ("target.endpoint_url", "https://[::1", "no http or https address", "endpoint_url: "),
            ("target.endpoint_url", "https://a.example:port", "no http or https address", "endpoint_url: "),
            ("target.endpoint_url", "https://a.example/a b", "no http or https address", "endpoint_url: "),
            ("target.endpoint_url", "http://aws.example.com", "plain http is only for this machine", "endpoint_url: "),
            ("target.endpoint_url", "http://127.0.0.1.example.com", "plain http is only", "endpoint_url: "),
            ("target.endpoint_url", "http://10.0.0.1:5000", "plain http is only for this machine", "endpoint_url: "),
            ("target.endpoint_url", "https://a.example/\x7f", "no http or https address", "endpoint_url: "),
            ("target.endpoint_url", "https://a.example/?debug=1", "no user name, query or fragment", "endpoint_url: "),
            ("target.endpoint_url", "https://a.example/#top", "no user name, query or fragment", "endpoint_url: "),
            ("target.profile", "", "a profile", 'profile: "gxp-audit"'),
            ("target.role_arn", "GxPAudit", "the ARN of the role", 'role_arn: "arn:aws:iam::'),
            ("target.role_arns.210987654321", {"210987654321": "GxPAudit"}, "the ARN of the role", "role_arns: {"),
            ("target.role_arns.1", {1: "arn:aws:iam::210987654321:role/R"}, "put it in quotes", "role_arns: {"),
            ("expected", [], "a mapping", "expected: {"),
            ("expected.trail_arn", "gxp-trail", "the trail's ARN", 'trail_arn: "arn:aws:cloudtrail:'),
            ("expected.trail_arn", "arn:aws:s3:::bucket", "the trail's ARN", 'trail_arn: "arn:aws:cloudtrail:'),
            ("expected.kms_key_arn", "CloudTrailGxPKey", "the key's ARN, id, alias or alias ARN", "kms_key_arn: "),
            ("expected.key_alias", "CloudTrailGxPKey", "beginning with alias/", 'key_alias: "alias/CloudTrailGxPKey"'),
            ("expected.key_alias", "alias/a b", "beginning with alias/", 'key_alias: "alias/CloudTrailGxPKey"'),
            ("expected.log_bucket", "GxP_Logs", "the bucket's name", 'log_bucket: "gxp-cloudtrail-logs"'),
            ("expected.log_bucket", "gxp..logs", "no bucket can have this name", "log_bucket: "),
            ("expected.log_bucket", "10.0.0.1", "no bucket can have this name", "log_bucket: "),
            ("expected.retention_days", "10 years", "whole days from 1 to 36500", "retention_days: 3650"),
            ("expected.retention_days", True, "whole days from 1 to 36500", "retention_days: 3650"),
            ("expected.retention_days", 0, "whole days from 1 to 36500", "retention_days: 3650"),
            ("expected.retention_days", 36501, "whole days from 1 to 36500", "retention_days: 3650"),
            ("expected.decrypt_accounts.0", [210987654321], "put it in quotes", 'decrypt_accounts: ["210987654321"]'),
            ("expected.require_source_arn", None, "true or false", "require_source_arn: true"),
            ("expected.tls_only", "yes", "true or false", "tls_only: true"),
            ("expected.mfa_delete", 1, "true or false", "mfa_delete: true"),
            ("expected.object_lock_mode", "compliance", "GOVERNANCE, COMPLIANCE or null", "object_lock_mode: "),
            ("expected.max_clock_skew_seconds", -1, "whole seconds from 0", "max_clock_skew_seconds: 5"),
            ("window", {}, "either hours, or start and end", 'window: {"hours": 24}'),
            ("window", {"start": "2026-11-22T00:00:00Z"}, "start and end go together", "window: {"),
            ("window", {"hours": 1, "end": "2026-11-22T00:00:00Z"}, "either hours, or start and end", "window: {"),
            ("window.hours", {"hours": 0}, "whole hours from 1 to 8784", "hours: 24"),
            ("window.hours", {"hours": 8785}, "whole hours from 1 to 8784", "hours: 24"),
            ("window.hours", {"hours": 1.5}, "whole hours from 1 to 8784", "hours: 24"),
            (
                "window.start",
                {"start": "2026-11-22T00:00:00", "end": "2026-11-23T00:00:00Z"},
                "no UTC offset",
                "start: ",
            ),
            ("window.start", {"start": "2026-11-22", "end": "2026-11-23T00:00:00Z"}, "no UTC offset", "start: "),
            ("window.start", {"start": "yesterday", "end": "2026-11-23T00:00:00Z"}, "no date and time", "start: "),
            ("window.end", {"start": "2026-11-22T00:00:00Z", "end": 1795219200}, "no date and time", "end: "),
            ("window.end", {"start": "2026-11-22T00:00:00Z", "end": "9999-12-31T23:59:59-12:00"}, "calendar", "end: "),
            ("execution.executed_by", "Anna\nPASS", "control character", 'executed_by: "Anna Müller"'),
            ("execution.executed_by", "Anna\x1b[2J", "control character", 'executed_by: "Anna Müller"'),
            ("execution.executed_by", "Anna\u202eSSAP", "direction of text", 'executed_by: "Anna Müller"'),
            ("execution.executed_by", "   ", "the name of who executes", 'executed_by: "Anna Müller"'),
            ("execution.executed_by", "A" * 201, "at most 200 characters", 'executed_by: "Anna Müller"'),
            ("execution.executed_by", None, "the name of who executes", 'executed_by: "Anna Müller"'),
            ("execution.system_id", 42, "put it in quotes", 'system_id: "SYS-0042"'),
            ("execution.environment", "prod", "sandbox, qualification or production", "environment: "),
            ("requirements", {"id": "URS-017"}, "a list of requirements", "requirements: [{"),
            ("requirements", requirement() * 2, "URS-017 is given more than once", "requirements: [{"),
            ("requirements.0.risk", requirement(risk="severe"), "high, medium or low", 'risk: "high"'),
            ("requirements.0.text", requirement(text="a" * 2001), "the requirement's text", "text: "),
            (
                "requirements.0.test_cases",
                requirement(test_cases=[]),
                "a list of test case ids",
                'test_cases: ["IQ-04"]',
            ),
            ("requirements.0.test_cases.0", requirement(test_cases=["IQ4"]), "a list of test case ids", "test_cases: "),
        ],
    )
    def test_value(self, path: str, value: object, expectation: str, example: str) -> None:
        """`path` is the one named in the message; a list or mapping is given at the nearest key that holds it."""
        given_at = path
        if isinstance(value, list | dict):
            while given_at.split(".")[-1].isdigit():
                given_at = given_at.rpartition(".")[0]
            if path.startswith(("window", "requirements")):
                given_at = path.split(".", maxsplit=1)[0]
        line, *others = refusal(with_value(given_at, value)).splitlines()[:-1]
        assert not [other for other in others if not other.startswith("execution.")]
        assert line.startswith(f"{path}: ")
        assert expectation in line
        assert f", for example {example}" in line

    def test_end_before_start(self) -> None:
        window = {"start": "2026-11-23T00:00:00Z", "end": "2026-11-22T00:00:00Z"}
        assert "end must come after start" in refusal({"window": window})

    def test_an_empty_period(self) -> None:
        window = {"start": "2026-11-23T01:00:00+01:00", "end": "2026-11-23T00:00:00Z"}
        assert "end must come after start" in refusal({"window": window})

    def test_a_period_longer_than_a_leap_year(self) -> None:
        window = {"start": "2025-11-22T00:00:00Z", "end": "2026-11-23T00:00:01Z"}
        assert "by at most 8784 hours" in refusal({"window": window})

    @pytest.mark.parametrize("key", ["executed_by", "system_id", "environment", "protocol_id"])
    def test_an_account_needs_to_know_who_runs_what(self, key: str) -> None:
        execution = {name: value for name, value in ACCOUNT["execution"].items() if name != key}
        assert refusal({**ACCOUNT, "execution": execution}).startswith(f"execution.{key}: missing; expected ")

    def test_an_account_without_execution_lists_every_missing_key(self) -> None:
        assert refusal({"target": ACCOUNT["target"]}).count(": missing; ") == 4

    def test_a_target_needs_an_account(self) -> None:
        assert refusal({**ACCOUNT, "target": {"regions": "all"}}).startswith("target.account_id: missing; ")

    @pytest.mark.parametrize("environment", ["qualification", "production"])
    @pytest.mark.parametrize(
        "target",
        [
            "sandbox",
            ACCOUNT["target"] | {"endpoint_url": "http://localhost:5000"},
            ACCOUNT["target"] | {"endpoint_url": "https://aws.example.com"},
        ],
        ids=["embedded", "loopback", "elsewhere"],
    )
    def test_a_simulation_can_not_call_itself_evidence(self, target: object, environment: str) -> None:
        execution = ACCOUNT["execution"] | {"environment": environment}
        message = refusal({"target": target, "execution": execution})
        assert message.startswith("execution.environment: ")
        assert "GxP evidence" in message

    @pytest.mark.parametrize(
        "roles",
        [
            {"role_arn": "arn:aws:iam::210987654321:role/R"},
            {"role_arns": {"210987654321": "arn:aws:iam::111111111111:role/R"}},
        ],
        ids=["own", "further"],
    )
    def test_a_role_of_another_account(self, roles: dict[str, object]) -> None:
        assert "belongs to another account" in refusal({**ACCOUNT, "target": ACCOUNT["target"] | roles})

    @pytest.mark.parametrize("mapping", [None, [], "target: sandbox", 3], ids=repr)
    def test_what_is_no_mapping(self, mapping: object) -> None:
        assert "no mapping" in refusal(mapping)

    @pytest.mark.parametrize(
        ("mapping", "message"),
        [
            ({"targt": "sandbox"}, "targt: unknown key; did you mean target?"),
            ({"expected": {"key_alis": "alias/x"}}, "expected.key_alis: unknown key; did you mean expected.key_alias?"),
            ({"key_alias": "alias/x"}, "key_alias: unknown key; did you mean expected.key_alias?"),
            ({"execution": {"hours": 24}}, "execution.hours: unknown key; did you mean window.hours?"),
            ({"window": {"zzz": 1, "hours": 1}}, "window.zzz: unknown key; expected one of hours, start, end"),
            (
                {"requirements": requirement(risc="high")},
                "requirements.0.risc: unknown key; did you mean requirements.0.risk?",
            ),
            ({1: "sandbox"}, "1: unknown key; expected one of target, expected, window, execution, requirements"),
            ({"a\nb": 1}, "'a\\nb': unknown key; expected one of"),
        ],
        ids=["close", "close-in-section", "other-section", "wrong-section", "far", "in-list", "number", "line-break"],
    )
    def test_an_unknown_key_and_what_was_meant(self, mapping: dict[Any, object], message: str) -> None:
        assert refusal(mapping).startswith(message)

    def test_the_chained_cause_repeats_no_value(self) -> None:
        value = str(10**11 + 7)[:-1]  # computed, since a traceback shows this line too
        with pytest.raises(ParameterError) as caught:
            RunParameters.load({"target": {"account_id": value}})
        assert value not in "".join(traceback.format_exception(caught.value))

    def test_every_problem_is_listed_once(self) -> None:
        mapping = {
            "target": {"account_id": 12, "regions": ["eu-west-1", "Ireland"]},
            "expected": {"tls_only": "yes", "key_alis": "alias/x"},
            "window": {"hours": 0},
            "execution": {"executed_by": "Anna\n\x00"},
            "requirements": requirement(risk="severe", test_cases=["IQ4"]),
        }
        *lines, remedy = refusal(mapping).splitlines()
        assert [line.split(":")[0] for line in lines] == [
            "target.account_id",
            "target.regions.1",
            "expected.tls_only",
            "expected.key_alis",
            "window.hours",
            "execution.executed_by",
            "execution.system_id",
            "execution.environment",
            "execution.protocol_id",
            "requirements.0.risk",
            "requirements.0.test_cases.0",
        ]
        assert "run again" in remedy


class TestSecrets:
    @pytest.mark.parametrize(
        "secret",
        [
            ACCESS_KEY_ID,
            f"the key {ACCESS_KEY_ID}, say",
            "ASIA" + ACCESS_KEY_ID[4:],
            SECRET_KEY,
            f" '{SECRET_KEY}'\n",
            f"aws_secret_access_key = {SECRET_KEY}",
            SESSION_TOKEN,
            SESSION_TOKEN[:60],
            "aB3/" * 30,
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
            "-----BEGIN PRIVATE KEY-----",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----",
            "https://anna:hunter2@aws.example.com/",
            "https://anna@aws.example.com",
            "https://b.example/k?X-Amz-Signature=0af3",
            "https://b.example/k?x-amz-credential=me",
            "https://b.example/k?next=%3FX-Amz-Security-Token%3Dme",
            "https://b.example/k?AWSAccessKeyId=me&Signature=0af3",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl",
        ],
        ids=lambda secret: secret[:24].strip(),
    )
    @pytest.mark.parametrize("place", ["value", "key", "deep"])
    def test_secret_is_refused_and_never_repeated(self, secret: str, place: str) -> None:
        mapping = {
            "value": with_value("execution.reason", secret),
            "key": {"target": {"account_id": "123456789012", secret: "x"}},
            "deep": with_value("requirements", requirement(test_cases=["IQ-04", {"a": [secret]}])),
        }[place]
        message = refusal(mapping)
        assert "looks like a secret" in message
        assert secret.strip(" '\n") not in message
        where = {"value": "execution.reason", "key": "target.<key>", "deep": "requirements.0.test_cases.1.a.0"}[place]
        assert message.startswith(f"{where}: ")
        assert "for example" in message

    @pytest.mark.parametrize(
        "name",
        [
            "password",
            "db_passwd",
            "aws_secret_access_key",
            "secretAccessKey",
            "SessionToken",
            "aws-access-key-id",
            "AccessKeyId",
            "PRIVATE_KEY",
            "api_key",
            "credentials",
            "passphrase",
            "dbPwd",
        ],
    )
    def test_a_key_named_like_a_secret_is_refused_whatever_it_holds(self, name: str) -> None:
        assert refusal({"target": {name: "hunter2"}}).startswith(f"target.{name}: looks like a secret")
        assert "hunter2" not in refusal({"target": {name: "hunter2"}})

    @pytest.mark.parametrize(
        "value",
        [
            "arn:aws:iam::123456789012:role/aws-service-role/AWSServiceRoleForCloudTrailAuditReaders0",
            "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:sts::123456789012:assumed-role/GxPAudit/AROAQ7RN3XW2EXAMPLE5",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709",
            "Da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" * 2,
            "gxp-cloudtrail-logs-123456789012-eu-west",
            "abcdefghijabcdefghijabcdefghijabcdefghi1",
            "alias/ProductionCloudTrailGxPKeyEurope01",
            "AIDAQ7RN3XW2EXAMPLE5",
            "https://aws.example.com/a@b",
            "anna.mueller@example.com",
            "The key id begins with AKIA; nobody may know the password or the token.",
            "2026-11-22T00:00:00Z",
            123456789012,
            None,
            True,
        ],
        ids=str,
    )
    def test_an_identifier_is_no_secret(self, value: object) -> None:
        assert find_secret({"expected": {"log_bucket": [value]}}) is None

    @pytest.mark.parametrize("value", [SECRET_KEY, SECRET_KEY.encode()], ids=["text", "bytes"])
    def test_a_value_alone_has_a_path_too(self, value: object) -> None:
        assert find_secret(value) == "value"

    @pytest.mark.parametrize("unit", ["x", "eyJ", "-----BEGIN ", "a://", "aws_secret_access_key ", "AKIA", "IQoJ", " "])
    def test_a_long_text_takes_no_longer_than_its_length(self, unit: str) -> None:
        text = unit * (400_000 // len(unit))
        before = time.process_time()
        find_secret(text)
        assert time.process_time() - before < 2

    def test_every_key_of_the_parameters_may_be_written(self) -> None:
        names = json.dumps(json_schema()["$defs"])
        assert find_secret(dict.fromkeys(yaml.safe_load(names)["Expected"]["properties"])) is None
        assert find_secret(RunParameters.load(ACCOUNT).to_json()) is None

    @given(st.text(alphabet=string.ascii_uppercase + string.digits, min_size=16, max_size=16), st.text(), st.text())
    def test_an_access_key_id_is_found_wherever_it_stands(self, key: str, before: str, after: str) -> None:
        assert find_secret([{"a": f"{before} AKIA{key} {after}"}]) == "0.a"


class TestFile:
    def write(self, folder: Path, content: str | bytes) -> Path:
        path = folder / "run.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    @pytest.mark.parametrize("name", ["sandbox.yaml", "example-account.yaml"])
    def test_shipped_file_loads_and_reads_the_same_in_papermill(self, root: Path, name: str) -> None:
        path = root / "parameters" / name
        mapping = load_file(path)
        assert mapping == read_yaml_file(str(path))
        RunParameters.load(mapping)

    @pytest.mark.parametrize("name", ["sandbox.yaml", "example-account.yaml"])
    def test_what_papermill_injects_into_a_notebook_loads_the_same(self, root: Path, name: str) -> None:
        mapping = load_file(root / "parameters" / name)
        cell: dict[str, Any] = {}
        exec(PythonTranslator.codify(mapping), cell)  # noqa: S102 - what a kernel does
        assert RunParameters.load({key: cell[key] for key in mapping}) == RunParameters.load(mapping)

    @pytest.mark.parametrize("name", ["sandbox.yaml", "example-account.yaml"])
    def test_shipped_file_fits_the_schema_its_first_line_names(self, root: Path, name: str) -> None:
        path = root / "parameters" / name
        assert path.read_text().splitlines()[0] == "# yaml-language-server: $schema=parameters.schema.json"
        jsonschema.validate(load_file(path), json.loads((path.parent / "parameters.schema.json").read_text()))

    def test_the_example_shows_every_key_in_use_or_in_a_comment(self, root: Path) -> None:
        text = (root / "parameters" / "example-account.yaml").read_text()
        definitions = json_schema()["$defs"]
        keys = [key for definition in definitions.values() for key in definition["properties"]]
        # for a loopback address only, which the example has no use for
        assert [key for key in keys if f"{key}:" not in text] == ["endpoint_url"]

    def test_shipped_schema_is_what_the_model_says(self, root: Path) -> None:
        shipped = (root / "parameters" / "parameters.schema.json").read_text()
        assert shipped == pretty(json_schema()) + "\n", "run `make schema`"

    def test_schema_wants_an_execution_section_only_of_an_account(self) -> None:
        validator = jsonschema.Draft202012Validator(json_schema())
        assert validator.is_valid({})
        assert validator.is_valid({"target": "sandbox"})
        assert validator.is_valid(ACCOUNT)
        assert not validator.is_valid({"target": ACCOUNT["target"]})
        assert not validator.is_valid({"target": ACCOUNT["target"], "execution": {}})
        assert not validator.is_valid({"window": {"hours": 1, "start": "a", "end": "b"}})
        assert not validator.is_valid({"unknown": 1})

    def test_times_stay_text_for_papermill(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "window: {start: 2026-11-22T00:00:00Z, end: 2026-11-23T00:00:00Z}")
        assert load_file(path)["window"]["start"] == "2026-11-22T00:00:00Z"

    def test_an_unquoted_account_id_with_leading_zero_is_caught(self, tmp_path: Path) -> None:
        mapping = load_file(self.write(tmp_path, "target: {account_id: 012345670123}"))
        assert mapping["target"]["account_id"] != "012345670123"
        assert "put it in quotes" in refusal(mapping)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("target: sandbox\ntarget: sandbox\n", "at line 2, column 1: a key is given twice"),
            ("expected:\n  tls_only: true\n  tls_only: false\n", "at line 3, column 3: a key is given twice"),
            ("target: sandbox\nwindow: [\n", "not valid YAML at line 3"),
            ("a: b: c\n", "at line 1, column 5: mapping values are not allowed here"),
            ("a: &x 1\nb: *x\n", "at line 2, column 4: aliases are not accepted"),
            ("a: !!python/object:os.system x\n", "not valid YAML at line 1"),
            ("a: \x00\n", "not valid YAML"),
            (b"a: \xff\xff\xfe", "not valid YAML"),
            ("[" * 100_000, "not valid YAML"),
            ("- target\n", "holds no mapping"),
            ("", "holds no mapping"),
            ("a: " + "x" * (1 << 18), "over 256 KiB"),
            (f"target: {{profile: {ACCESS_KEY_ID}}}", "target.profile: looks like a secret"),
            (f"target: '{SECRET_KEY}\n", "not valid YAML"),
            (f"target: *{ACCESS_KEY_ID}\n", "aliases are not accepted"),
            (f"target: !{ACCESS_KEY_ID} x\n", "not valid YAML at line 1"),
        ],
        ids=[
            "twice",
            "twice-nested",
            "unclosed",
            "colon",
            "alias",
            "object",
            "nul",
            "not-utf8",
            "deep",
            "list",
            "empty",
            "large",
            "secret",
            "secret-unclosed",
            "secret-alias",
            "secret-tag",
        ],
    )
    def test_refused(self, tmp_path: Path, content: str | bytes, message: str) -> None:
        path = self.write(tmp_path, content)
        with pytest.raises(ParameterError) as caught:
            load_file(path)
        assert message in str(caught.value)
        assert ACCESS_KEY_ID not in str(caught.value)
        assert SECRET_KEY not in str(caught.value)

    def test_an_unreadable_file(self, tmp_path: Path) -> None:
        for path in (tmp_path / "missing.yaml", tmp_path):
            with pytest.raises(ParameterError, match="can't be read"):
                load_file(path)


class TestSettings:
    def test_values_are_typed_as_yaml_and_the_last_wins(self) -> None:
        given_mapping = {"expected": {"tls_only": True}}
        settings = ["expected.tls_only=false", "window.hours=1", "window.hours=2", "expected.key_alias=alias/a=b"]
        assert apply_settings(given_mapping, settings) == {
            "expected": {"tls_only": False, "key_alias": "alias/a=b"},
            "window": {"hours": 2},
        }
        assert given_mapping == {"expected": {"tls_only": True}}

    def test_a_whole_section_can_be_set(self) -> None:
        settings = ["target={account_id: '012345678901'}", "target.regions=[eu-west-1]"]
        assert apply_settings({"target": "sandbox"}, settings) == {
            "target": {"account_id": "012345678901", "regions": ["eu-west-1"]}
        }

    def test_a_commented_out_section_can_be_set_into(self) -> None:
        assert apply_settings({"window": None}, ["window.hours=1"]) == {"window": {"hours": 1}}

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("expected.key_alias", "setting 1 is not of the form key.path=value"),
            ("=1", "setting 1 is not of the form key.path=value"),
            ("expected..a=1", "setting 1 is not of the form key.path=value"),
            ("target.account_id='1'", "setting 1: target is no mapping"),
            ("window=[", "setting 1: not valid YAML at line 1"),
            ("window={hours: 1, hours: 2}", "a key is given twice"),
            ("execution.reason=\udcff", "setting 1: not valid YAML"),
            (f"execution.reason={SECRET_KEY}", "execution.reason: looks like a secret"),
            (f"target.{ACCESS_KEY_ID}=1", "target.<key>: looks like a secret"),
            (ACCESS_KEY_ID, "setting 1 is not of the form key.path=value"),
        ],
    )
    def test_refused(self, setting: str, message: str) -> None:
        with pytest.raises(ParameterError) as caught:
            apply_settings({"target": "sandbox"}, [setting])
        assert str(caught.value).startswith(message) or message in caught.value.message
        assert ACCESS_KEY_ID not in str(caught.value)
        assert SECRET_KEY not in str(caught.value)


class TestRoundTrip:
    @pytest.mark.parametrize(
        "mapping",
        [
            {},
            ACCOUNT,
            ACCOUNT | {"window": {"start": "2026-11-22T02:00:00.5+02:00", "end": "2026-11-23T00:00:00Z"}},
            ACCOUNT | {"requirements": requirement()},
        ],
        ids=["sandbox", "account", "period", "requirements"],
    )
    def test_json_loads_back_equal(self, mapping: dict[str, Any]) -> None:
        parameters = RunParameters.load(mapping)
        assert RunParameters.load(json.loads(canonical(parameters.to_json()))) == parameters

    def test_json_of_the_shipped_example_loads_back_equal(self, root: Path) -> None:
        parameters = RunParameters.load(load_file(root / "parameters" / "example-account.yaml"))
        assert RunParameters.load(parameters.to_json()) == parameters

    @given(
        st.dictionaries(
            st.sampled_from(["target", "window", "x"]),
            st.recursive(
                st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
            ),
        )
    )
    def test_nothing_but_a_parameter_error_leaves_load(self, mapping: dict[str, Any]) -> None:
        message = ""
        try:
            loaded = RunParameters.load(mapping)
        except ParameterError as error:
            message = str(error)
        assert message or RunParameters.load(loaded.to_json()) == loaded
        assert all(line.isprintable() for line in message.split("\n"))
