"""What a release is: the same bytes from the same commit, its bill of materials, and a wheel that works on its own."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from kit import __version__

BIN = Path(sys.executable).parent
COMMITTED = datetime(2026, 11, 30, 12, tzinfo=UTC)
pytestmark = pytest.mark.slow


def make(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Call make without its installation: the commands are those of this environment."""
    # a make that runs these tests would hand down its own options and job server
    left_out = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "SOURCE_DATE_EPOCH", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    command = ["make", "--old-file=.venv/.installed", f"BIN={BIN}", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments]
    moment = dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), COMMITTED.isoformat())
    done = subprocess.run(command, cwd=folder, env=os.environ | moment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def committed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two repositories with one commit each of this working copy, of other file times and other access rights."""
    names = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    folders = []
    for number, mode in enumerate((0o644, 0o600)):
        folder = tmp_path_factory.mktemp(f"copy{number}")
        for name in filter(None, names):
            if (root / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / name, folder / name)
                (folder / name).chmod(mode)
                os.utime(folder / name, (number * 10**8, number * 10**8))
        git(folder, "init", "--quiet")
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", "All of it")
        folders.append(folder)
    return folders


@pytest.fixture(scope="module")
def releases(committed: list[Path]) -> list[Path]:
    for folder in committed:
        done = make(folder, "dist")
        assert done.returncode == 0, done.stdout + done.stderr
        assert git(folder, "status", "--porcelain") == ""
    return [folder / "dist" for folder in committed]


def test_one_commit_gives_the_same_bytes_wherever_it_is_built(releases):
    first, second = ({path.name: path.read_bytes() for path in release.iterdir()} for release in releases)
    stem = f"trailkit-{__version__}"
    named = {f"{stem}-py3-none-any.whl", f"{stem}.tar.gz", "trailkit.cdx.json", "requirements.lock", "SHA256SUMS"}
    assert set(first) == named
    assert [name for name in named if first[name] != second[name]] == []
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=releases[0], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout.count(b": OK")) == (0, len(named) - 1)


def test_the_source_distribution_builds_the_same_wheel(releases, tmp_path):
    (packed,), (wheel,) = (list(releases[0].glob(pattern)) for pattern in ("*.tar.gz", "*.whl"))
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path, filter="data")
        moments = {member.mtime for member in archive.getmembers() if member.isfile()}
    (moment,) = moments
    assert moment == COMMITTED.timestamp()
    (unpacked,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path / "built"]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(int(moment))}
    subprocess.run(command, cwd=unpacked, env=environment, check=True, capture_output=True)
    assert (tmp_path / "built" / wheel.name).read_bytes() == wheel.read_bytes()


def test_what_is_not_committed_is_in_no_release(committed, releases):
    stray = committed[0] / "kit" / "stray.py"
    before = {path.name: path.read_bytes() for path in releases[0].iterdir()}
    try:
        stray.touch()
        done = make(committed[0], "dist")
    finally:
        stray.unlink()
    assert done.returncode != 0
    assert done.stderr.startswith("What is not committed would be in the build: ")
    assert {path.name: path.read_bytes() for path in releases[0].iterdir()} == before


def test_the_bill_of_materials_names_every_pin_with_its_hashes(root, releases):
    bill = json.loads((releases[0] / "trailkit.cdx.json").read_bytes())
    lock = (root / "requirements.lock").read_text()
    pins = {
        (canonicalize_name(name), version) for name, version in re.findall(r"^([\w.-]+)==([^ ;]+)", lock, re.MULTILINE)
    }
    named = {(canonicalize_name(one["name"]), one["version"]) for one in bill["components"]}
    assert (bill["bomFormat"], bill["specVersion"], named) == ("CycloneDX", "1.6", pins)
    assert bill["metadata"]["component"]["name"] == "trailkit"
    assert bill["metadata"]["component"]["version"] == __version__
    hashes = {
        one["content"] for part in bill["components"] for where in part["externalReferences"] for one in where["hashes"]
    }
    assert hashes == set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock))


def test_an_audit_would_ask_about_every_pin(root):
    command = make(root, "--just-print", "audit").stdout.strip()
    done = subprocess.run(["bash", "-c", f"{command} --dry-run"], cwd=root, capture_output=True, text=True, check=False)
    pins = len(re.findall(r"^[\w.-]+==", (root / "requirements.lock").read_text(), re.MULTILINE))
    (asked,) = re.findall(r"would have audited (\d+) packages", done.stderr)
    # some pins are of other platforms and Python versions
    assert pins - 10 < int(asked) <= pins


class TestInstalled:
    """The wheel in a virtual environment of its own, called as its user does."""

    def call(self, commands: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [commands / "trailkit", *arguments],
            cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=500,
        )  # fmt: skip

    def test_it_is_the_wheel_and_not_this_working_copy(self, installed_bin, tmp_path):
        code = "import kit; print(kit.__file__)"
        python = [installed_bin / "python", "-P", "-c", code]
        found = subprocess.run(python, cwd=tmp_path, env={}, capture_output=True, check=True)
        assert Path(found.stdout.decode().strip()).is_relative_to(installed_bin.parent)

    def test_it_demonstrates_itself(self, installed_bin, tmp_path):
        done = self.call(installed_bin, tmp_path, "demo", "--json", "--summary", "summary.md")
        assert (done.returncode, done.stderr) == (0, "")
        told = json.loads(done.stdout)
        assert [one["verdict"] for one in told["records"]] == ["PASS", "PASS"]
        assert (tmp_path / "summary.md").read_text(encoding="utf-8").count("\n## PASS: ") == 1
        events = self.call(installed_bin, tmp_path, "export", told["records"][0]["folder"], "--format", "ocsf")
        assert (events.returncode, len(json.loads(events.stdout))) == (0, 11)
        assert json.loads(self.call(installed_bin, tmp_path, "schema", "findings").stdout)["$id"]

    def test_it_lays_out_a_working_copy_in_which_it_runs(self, installed_bin, root, tmp_path):
        assert self.call(installed_bin, tmp_path, "init", "qa").returncode == 0
        for name in ("notebooks/iq_trail_encryption.ipynb", "parameters/parameters.schema.json"):
            assert (tmp_path / "qa" / name).read_bytes() == (root / name).read_bytes()
        assert (tmp_path / "qa" / ".gitlab-ci.yml").read_bytes() == (
            root / "docs" / "ci" / "gitlab-ci.yml"
        ).read_bytes()
        done = self.call(installed_bin, tmp_path / "qa", "run", "iq", "--parameters", "parameters/sandbox.yaml")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("PASS  IQ-")
