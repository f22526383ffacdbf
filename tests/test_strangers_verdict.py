"""What AWS's own `aws cloudtrail validate-logs` says of the sandbox's deliveries, and which faults it passes over.

It is written by others and against the real service, so that it can vouch for the deliveries; what it misses is what
the kit is for.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.operational import collected, judged, verdicts

from kit.findings import Verdict
from kit.sandbox.server import Sandbox

pytestmark = pytest.mark.slow

REGION, OTHER = "eu-west-1", "us-east-1"
GENUINE = Path(__file__).resolve().parents[2] / "shared" / "data" / "cloudtrail-logs"
DELIVERY = {"hours": 4, "until": "2026-01-15T12:00:00Z", "digest_regions": [REGION, OTHER]}
SINCE, UNTIL = "2026-01-15T08:00:00Z", "2026-01-15T12:00:00Z"

FAULTS_SEEN = {
    "digest-flipped": "INVALID: signature verification failed",
    "digest-signature-missing": "INVALID: signature verification failed",
    "digest-signature-flipped": "INVALID: signature verification failed",
    "digest-foreign-signature": "INVALID: signature verification failed",
    "digest-moved": "INVALID: has been moved from its original location",
    "digest-not-gzip": "INVALID: invalid format",
    "digest-not-json": "INVALID: invalid format",
    "digest-bomb": "INVALID: invalid format",
    "digest-wrong-types": "'int' object is not subscriptable",
    "digest-deleted": "INVALID: not found",
    "digests-head-deleted": "INVALID: not found",
    "log-flipped": "INVALID: hash value doesn't match",
    "log-deleted": "INVALID: not found",
    "log-swapped": "2/10 log files INVALID",
    "log-trailing-rubbish": "INVALID: unexpected data after end of compressed stream",
    "log-bomb": "INVALID: unexpected data after end of compressed stream",
    "log-names-other-bucket": "NoSuchBucket",
    "public-key-unlisted": "INVALID: public key not found",
    "public-key-garbage": "INVALID",
    "deny-list-public-keys": "AccessDenied",
    "deny-get-object": "AccessDenied",
    "throttle-one-log": "SlowDown",
    "drop-one-log": "INVALID: invalid format",
}
"""What is wrong, and what `validate-logs` says of it, with an exit code that is not 0."""

_NEVER_ASKED = "it never asks for that"
FAULTS_MISSED = {
    "delivery-error": _NEVER_ASKED,
    "digest-delivery-error": _NEVER_ASKED,
    "delivery-stale": _NEVER_ASKED,
    "digest-delivery-stale": _NEVER_ASKED,
    "cloudwatch-delivery-error": _NEVER_ASKED,
    "log-sse-s3": "it never looks at encryption headers",
    "log-other-key": "it never looks at encryption headers",
    "digest-other-key": "it never looks at encryption headers",
    "digest-algorithm-other": "it never looks at the algorithm that the metadata declare",
    "digest-forged-link": "it never compares previousDigestHashValue with the previous digest",
    "digests-tail-deleted": "it begins with the newest digest that is there, however old",
    "digests-all-deleted": "no digest found is no failure to it",
    "restart-in-window": "it says that no log was delivered in the gap, whatever lies there",
    "log-planted": "it never lists logs",
    "log-named-twice": "it never compares what two digests name",
    "log-replaced-and-restored": "it never lists versions",
    "hostile-keys": "it never lists logs",
    "second-trail-shares-bucket-unvalidated": "it never lists logs",
    "deny-list-object-versions": _NEVER_ASKED,
    "denied-role-not-assumable": _NEVER_ASKED,
    "denied-role-may-decrypt": _NEVER_ASKED,
    "denied-role-refused-by-s3": _NEVER_ASKED,
    "denied-role-may-not-list": _NEVER_ASKED,
}
"""What is wrong and passes with exit code 0, and why."""

FALSE_ALARMS = {
    "signing-key-rotated": "it reads the first page of ListPublicKeys only",
    "log-concatenated-members": "it inflates the first gzip member only",
    "throttle-first-reads": "this test allows it one attempt a request",
}
"""Nothing is wrong, and it says that something is."""

FAULTS_PASSED = [
    "hours-backfilled",
    "digest-sse-s3",
    "restart-before-window",
    "second-trail-shares-bucket",
    "bucket-renamed",
]
"""Nothing is wrong, and it says so."""

AGE = {"max_log_age_minutes": 10080, "max_digest_age_minutes": 10080}
OF_OBJECTS = ("OQ-02", "OQ-03", "OQ-04", "OQ-05", "OQ-06", "OQ-07", "OQ-09")
"""The test cases that judge what was delivered, whatever its age."""

ALL_VALID = "\n5/5 digest files valid\n10/10 log files valid\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as started:
        yield started


def validate(
    sandbox: Sandbox, folder: Path, *, since: str = SINCE, until: str = UNTIL, region: str = REGION, trail: str = ""
) -> tuple[int, str]:
    """Return the exit code of `validate-logs` on the window, and all that it says."""
    config = folder / "config"
    config.write_text("[default]\ns3 =\n    addressing_style = path\n")
    environment = {**os.environ, **sandbox.environment, "AWS_CONFIG_FILE": str(config), "AWS_MAX_ATTEMPTS": "1"}
    environment["AWS_ENDPOINT_URL_S3"] = sandbox.endpoint
    trail = trail or sandbox.parameters["expected"]["trail_arn"]
    aws = [Path(sys.executable).with_name("aws"), "--endpoint-url", sandbox.endpoint, "--region", region]
    command = [*aws, "cloudtrail", "validate-logs", "--verbose"]
    window = ["--trail-arn", trail, "--start-time", since, "--end-time", until]
    told = subprocess.run([*command, *window], env=environment, capture_output=True, text=True, check=False)
    return told.returncode, told.stdout + told.stderr


def ours(sandbox: Sandbox, folder: Path) -> set[Verdict]:
    """Return what the operational qualification says of the same objects and window."""
    found = verdicts(judged(*collected(sandbox, folder / "evidence", **AGE)))
    return {found[case_id] for case_id in OF_OBJECTS}


def test_a_clean_delivery_is_valid_to_the_last_log(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.reset(delivery=DELIVERY)
    code, said = validate(sandbox, tmp_path)
    assert code == 0, said
    assert ALL_VALID in said
    assert "INVALID" not in said
    assert ours(sandbox, tmp_path) == {Verdict.PASS}


def test_genuine_logs_are_valid_as_delivered(sandbox: Sandbox, tmp_path: Path) -> None:
    if not GENUINE.is_dir():
        pytest.skip("the folder of genuine log files is not there")
    told = {"hours": 3, "until": "2023-07-10T14:00:00Z", "folder": str(GENUINE), "digest_regions": [REGION, OTHER]}
    sandbox.reset(delivery=told)
    code, said = validate(sandbox, tmp_path, since="2023-07-10T11:00:00Z", until=told["until"], region=OTHER)
    assert code == 0, said
    assert "INVALID" not in said
    valid = set(re.findall(r"_us-east-1_(\w+)\.json\.gz\tvalid", said))
    assert ours(sandbox, tmp_path) == {Verdict.PASS}
    assert valid >= {path.name.removesuffix(".json.gz").split("_", 3)[3] for path in GENUINE.glob("*.json.gz")}


@pytest.mark.parametrize("name", FAULTS_SEEN)
def test_a_fault_is_seen(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    sandbox.reset([name], DELIVERY)
    code, said = validate(sandbox, tmp_path)
    assert code != 0, said
    assert FAULTS_SEEN[name] in said
    assert ours(sandbox, tmp_path) - {Verdict.PASS}


@pytest.mark.parametrize("name", FAULTS_MISSED)
def test_a_fault_is_missed(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    sandbox.reset([name], DELIVERY)
    code, said = validate(sandbox, tmp_path)
    assert code == 0, said
    assert "INVALID" not in said
    # these lie in the trail's status and in who may read, not in the objects
    if FAULTS_MISSED[name] is not _NEVER_ASKED or name == "deny-list-object-versions":
        assert ours(sandbox, tmp_path) - {Verdict.PASS}


@pytest.mark.parametrize("name", FAULTS_PASSED)
def test_what_is_right_is_valid(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    sandbox.reset([name], DELIVERY)
    code, said = validate(sandbox, tmp_path)
    assert code == 0, said
    backfilled = name == "hours-backfilled"
    expected = "\n3/3 digest files valid\n2/2 backfill digest files valid\n10/10 log files valid\n"
    assert (expected if backfilled else ALL_VALID) in said
    assert "INVALID" not in said
    assert ours(sandbox, tmp_path) == {Verdict.PASS}


def test_a_second_trail_in_the_same_bucket_is_valid_by_itself(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.reset(["second-trail-shares-bucket"], DELIVERY)
    trail = sandbox.parameters["expected"]["trail_arn"].replace("gxp-trail", "second-trail")
    code, said = validate(sandbox, tmp_path, trail=trail)
    assert code == 0, said
    assert ALL_VALID in said


@pytest.mark.parametrize("name", FALSE_ALARMS)
def test_what_is_right_raises_a_false_alarm(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    sandbox.reset([name], DELIVERY)
    assert validate(sandbox, tmp_path)[0] != 0
    assert ours(sandbox, tmp_path) == {Verdict.PASS}
