"""Outputs in S3: what a run needs of them comes down, what it leaves goes up, and nothing is lost or put over."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config

from kit.record.manifest import files_in
from kit.record.register import REGISTER, read_register
from kit.record.verification.audit import audit
from kit.sandbox.account import REGION
from kit.sandbox.server import CREDENTIALS, Sandbox

TRAILKIT = Path(sys.executable).with_name("trailkit")
BUCKET = "gxp-outputs"
WHO = {"executed_by": "Zoë Ōyama", "system_id": "SYS-1", "environment": "sandbox", "protocol_id": "VP-1"}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as started, pytest.MonkeyPatch.context() as patch:
        for name, value in started.environment.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL_S3", started.endpoint)
        yield started


@pytest.fixture(scope="module")
def s3(sandbox):
    config = Config(retries={"total_max_attempts": 1}, proxies={})
    client = boto3.client("s3", REGION, endpoint_url=sandbox.endpoint, config=config, **CREDENTIALS)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    yield client
    client.close()


@pytest.fixture
def place(s3, tmp_path):
    """Outputs in S3 that no other test uses."""
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture
def parameters(sandbox, tmp_path):
    path = tmp_path / "parameters.yaml"
    path.write_text(yaml.safe_dump(sandbox.parameters | {"execution": WHO}, allow_unicode=True), encoding="utf-8")
    return path


@pytest.fixture
def call(sandbox, s3, tmp_path):
    """Calls the command in a process of its own, whose working folders are made in `tmp_path/work`."""
    (tmp_path / "work").mkdir()

    def call(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
        environment = os.environ | {"TMPDIR": str(tmp_path / "work")} | environment
        command = [TRAILKIT, *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return call


def keys(s3: Any, place: str) -> list[str]:
    prefix = place.removeprefix(f"s3://{BUCKET}/") + "/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return [told["Key"].removeprefix(prefix) for page in pages for told in page.get("Contents", ())]


def brought(s3: Any, place: str, folder: Path) -> Path:
    """Return all of it in a folder, as `aws s3 sync` brings it."""
    for name in keys(s3, place):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(BUCKET, f"{place.removeprefix(f's3://{BUCKET}/')}/{name}", str(path))
    return folder


@pytest.mark.slow
class TestRun:
    def test_what_went_there_and_came_back_verifies(self, call, parameters, s3, place, tmp_path) -> None:
        first = call("run", "iq", "-f", parameters, "--output", place, "--json")
        assert first.returncode == 0, first.stderr
        (told,) = json.loads(first.stdout)["records"]
        assert told["folder"] == f"{place}/{told['record_id']}"
        second = call("run", "iq", "oq", "-f", parameters, "--output", place)
        print(second.stdout, second.stderr)
        assert second.returncode in (0, 1), second.stderr
        back = brought(s3, place, tmp_path / "back")
        assert [e.event for e in read_register(back / REGISTER)] == ["started", "concluded", "finished"] * 3
        assert audit(back / REGISTER).runs == 3
        assert not list((tmp_path / "work").iterdir())
        print(sorted(files_in(back))[:30])
