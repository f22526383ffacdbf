"""The project's own files agree with one another, and name no machine and no package index."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kit

# Where conda-forge's name differs from PyPI's. Its moto comes with the server, its matplotlib with desktop toolkits.
CONDA_NAMES = {"matplotlib": "matplotlib-base"}

# What only the environment needs: the interpreter, and what installs the kit itself from its folder.
CONDA_ONLY = {"python", "pip", "hatchling"}


@pytest.fixture(scope="session")
def pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def runtime(pyproject: dict[str, Any]) -> dict[str, Requirement]:
    return by_name(pyproject["project"]["dependencies"])


@pytest.fixture(scope="session")
def development(pyproject: dict[str, Any]) -> dict[str, Requirement]:
    groups = pyproject["dependency-groups"]
    return by_name([line for group in groups.values() for line in group if isinstance(line, str)])


@pytest.fixture(scope="session")
def environment(root: Path) -> list[Any]:
    dependencies: list[Any] = yaml.safe_load((root / "environment.yml").read_text())["dependencies"]
    return dependencies


@pytest.fixture(scope="session")
def locked(root: Path) -> dict[str, str]:
    """Each pinned package with its version."""
    lines = (root / "requirements.lock").read_text().splitlines()
    pins = [re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line) for line in lines]
    return {canonicalize_name(pin[1]): pin[2] for pin in pins if pin}


@pytest.fixture(scope="session")
def files(root: Path) -> list[Path]:
    """Every file under version control, and every new one that is not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout.decode()
    return [path for name in listing.split("\0") if name and (path := root / name).is_file()]


@pytest.fixture(scope="session")
def packed(wheel: Path) -> set[str]:
    """The name of every file in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def by_name(lines: list[str]) -> dict[str, Requirement]:
    requirements = [Requirement(line) for line in lines]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def imported(folder: Path) -> set[str]:
    """Every top-level module that the Python files below a folder import."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.split(".")[0])
    local = {path.stem for path in folder.iterdir()} | {"kit", "tests"}
    return names - set(sys.stdlib_module_names) - local


class TestDependencies:
    def test_conda_environment_names_the_same_packages_and_bounds(
        self, pyproject: dict[str, Any], runtime: dict[str, Requirement], environment: list[Any]
    ) -> None:
        conda = by_name([line for line in environment if isinstance(line, str)])
        expected = {CONDA_NAMES.get(name, name): requirement.specifier for name, requirement in runtime.items()}
        assert {name: line.specifier for name, line in conda.items() if name not in CONDA_ONLY} == expected
        assert conda["python"].specifier == pyproject["project"]["requires-python"]
        backend = Requirement(pyproject["build-system"]["requires"][0])
        assert conda["hatchling"].specifier == backend.specifier

    def test_conda_environment_installs_the_kit_from_its_folder(self, environment: list[Any]) -> None:
        assert environment[-1] == {"pip": ["-e ."]}

    def test_every_runtime_dependency_has_bounds(self, runtime: dict[str, Requirement]) -> None:
        for requirement in runtime.values():
            assert ">=" in str(requirement.specifier), requirement

    def test_lock_pins_every_dependency_within_its_bounds(
        self, runtime: dict[str, Requirement], development: dict[str, Requirement], locked: dict[str, str]
    ) -> None:
        for name, requirement in (runtime | development).items():
            assert name in locked, f"{name} is not pinned: run `make lock`"
            assert requirement.specifier.contains(locked[name]), f"{name} is out of bounds: run `make lock`"

    def test_lock_gives_a_hash_for_every_pin_and_pins_everything(self, root: Path) -> None:
        text = (root / "requirements.lock").read_text()
        entries = [entry for entry in re.split(r"\n(?=\S)", text.replace("\\\n", "")) if not entry.startswith("#")]
        assert len(entries) > 100
        for entry in entries:
            assert re.match(r"[A-Za-z0-9._-]+==\S+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*$", entry), entry[:80]

    def test_lock_pins_the_build_backend(self, pyproject: dict[str, Any], locked: dict[str, str]) -> None:
        for line in [*pyproject["build-system"]["requires"], "editables"]:
            requirement = Requirement(line)
            assert requirement.specifier.contains(locked[requirement.name])

    def test_lock_says_how_it_is_made(self, root: Path) -> None:
        header = [line for line in (root / "requirements.lock").read_text().splitlines() if line.startswith("#")]
        assert "make lock" in " ".join(header)

    @pytest.mark.parametrize(("folder", "groups"), [("kit", 1), ("tests", 2)], ids=["kit", "tests"])
    def test_every_import_is_a_declared_dependency(
        self,
        root: Path,
        runtime: dict[str, Requirement],
        development: dict[str, Requirement],
        pyproject: dict[str, Any],
        folder: str,
        groups: int,
    ) -> None:
        extras = [line for extra in pyproject["project"]["optional-dependencies"].values() for line in extra]
        declared = set(runtime) | set(by_name(extras)) | (set(development) if groups == 2 else set())
        # boto3 and pydantic each bring a core of their own, of the one version that fits
        declared |= {"botocore", "pydantic-core"}
        providers = importlib.metadata.packages_distributions()
        undeclared = {
            name
            for name in imported(root / folder)
            if not declared & {canonicalize_name(provider) for provider in providers.get(name, [])}
        }
        assert not undeclared


class TestVersion:
    def test_package_and_project_agree(self, pyproject: dict[str, Any]) -> None:
        assert kit.__version__ == pyproject["project"]["version"]

    def test_changelog_has_a_place_for_what_comes_next(self, root: Path) -> None:
        assert "\n## [Unreleased]\n" in (root / "CHANGELOG.md").read_text()


class TestWheel:
    def test_every_file_of_the_package_is_in_the_wheel(self, root: Path, files: list[Path], packed: set[str]) -> None:
        assert {name for path in files if (name := path.relative_to(root).as_posix()).startswith("kit/")} <= packed

    @pytest.mark.parametrize("folder", ["notebooks", "parameters", "docs/ci", "docs/ci/github", "docs/working_copy"])
    def test_an_installed_kit_finds_what_comes_with_it(self, root: Path, packed: set[str], folder: str) -> None:
        assert {f"kit/_data/{folder}/{path.name}" for path in (root / folder).iterdir() if path.is_file()} <= packed

    def test_the_licence_goes_with_it(self, packed: set[str]) -> None:
        assert [name for name in packed if name.endswith(".dist-info/licenses/LICENSE")]


class TestFiles:
    def test_nothing_is_built_or_recorded_into_version_control(self, root: Path, files: list[Path]) -> None:
        names = {path.relative_to(root).as_posix() for path in files}
        assert {name for name in names if name.startswith("outputs/")} <= {"outputs/.gitkeep", "outputs/README.md"}
        assert not [name for name in names if re.search(r"(^|/)(\.venv|__pycache__|\.[a-z]+_cache|dist)/", name)]

    def test_no_file_names_a_package_index_or_a_folder_of_this_machine(self, root: Path, files: list[Path]) -> None:
        forbidden = re.compile(
            r"pypi\.org|pythonhosted|anaconda\.org|npmjs|index-url|find-links"
            r"|(?<![\w.])/(root|home|Users|work|opt)/\w"
        )
        assert len(files) > 10
        found = {}
        for path in files:
            text = re.sub(r"--no-emit-(index-url|find-links)", "", path.read_bytes().decode(errors="replace"))
            if path != Path(__file__).resolve() and (match := forbidden.search(text)):
                found[path.relative_to(root).as_posix()] = match[0]
        assert found == {}

    def test_lock_names_no_source_of_packages(self, root: Path) -> None:
        text = (root / "requirements.lock").read_text()
        assert not re.search(r"://|file:|/opt|@ |^-", text, flags=re.MULTILINE)
        assert "index-url" not in text
        assert "find-links" not in text

    def test_shell_script_is_executable_and_parses(self, root: Path) -> None:
        script = root / ".ci" / "run"
        assert script.stat().st_mode & 0o111
        subprocess.run(["bash", "-n", script], check=True)


class TestCi:
    PACKAGES = frozenset({"make", "git", "chromium", "poppler-utils", "qpdf", "libpango-1.0-0", "fonts-dejavu-core"})

    @pytest.fixture
    def machine(self, tmp_path: Path) -> Path:
        """A folder of commands that only write down how they were called; `dpkg-query` knows `installed`."""
        log = f'echo "$(basename "$0") $*" >> {tmp_path}/log'
        commands = {
            "apt-get": log,
            "sudo": log,
            "make": f'{log}; echo "CI=$CI TRAILKIT_CI=$TRAILKIT_CI" >> {tmp_path}/log',
            "dpkg-query": f'grep -qx "$3" {tmp_path}/installed && echo installed',
        }
        for name, body in commands.items():
            command = tmp_path / name
            command.write_text(f"#!/bin/sh\n{body}\n")
            command.chmod(0o755)
        (tmp_path / "installed").touch()
        return tmp_path

    def run(self, root: Path, machine: Path) -> list[str]:
        path = f"{machine}:{os.environ['PATH']}"
        subprocess.run([root / ".ci" / "run"], env={**os.environ, "PATH": path}, check=True, capture_output=True)
        return (machine / "log").read_text().splitlines()

    def test_a_bare_machine_gets_what_is_missing(self, root: Path, machine: Path) -> None:
        update, install, *_ = self.run(root, machine)
        assert update.endswith("apt-get update" if update.startswith("sudo") else "update")
        assert "install --yes --no-install-recommends" in install
        assert set(install.split()) >= self.PACKAGES

    def test_only_what_is_missing_is_installed(self, root: Path, machine: Path) -> None:
        (machine / "installed").write_text("\n".join(self.PACKAGES - {"qpdf"}))
        install = self.run(root, machine)[1].split()
        assert set(install) & self.PACKAGES == {"qpdf"}

    def test_a_missing_browser_is_an_error_in_the_tests_which_come_last(self, root: Path, machine: Path) -> None:
        assert self.run(root, machine)[-4:] == [
            "make lint",
            "CI=true TRAILKIT_CI=1",
            "make test",
            "CI=true TRAILKIT_CI=1",
        ]

    def test_a_failing_step_fails_the_run(self, root: Path, machine: Path) -> None:
        (machine / "make").write_text('#!/bin/sh\n[ "$1" != lint ]\n')
        with pytest.raises(subprocess.CalledProcessError):
            self.run(root, machine)


class TestMakefile:
    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        # a make that runs these tests would hand down its own options and job server
        return subprocess.run(
            ["env", "-u", "MAKEFLAGS", "-u", "MAKELEVEL", "-u", "MFLAGS", "make", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )

    @pytest.fixture
    def project(self, root: Path, tmp_path: Path) -> Path:
        """A folder with the Makefile and what it depends on, where an install would be seen."""
        for name in ("Makefile", "pyproject.toml", "requirements.lock"):
            (tmp_path / name).write_bytes((root / name).read_bytes())
        return tmp_path

    @pytest.mark.parametrize(
        "target", ["demo", "lab", "test", "lint", "bench", "schema", "lock", "dist", "sbom", "audit", "clean"]
    )
    def test_target_is_listed_by_make_alone(self, root: Path, target: str) -> None:
        listing = self.run(root)
        assert listing.returncode == 0
        assert re.search(rf"^make {target} +\w", listing.stdout, flags=re.MULTILINE)

    def test_what_is_installed_is_not_installed_again(self, project: Path) -> None:
        stamp = project / ".venv" / ".installed"
        stamp.parent.mkdir()
        assert "pip install" in self.run(project, "--dry-run", "demo").stdout
        stamp.touch()
        assert "pip" not in self.run(project, "--dry-run", "demo").stdout
        assert "trailkit demo" in self.run(project, "--dry-run", "demo").stdout

    def test_a_second_demo_starts_at_once_and_a_broken_install_is_done_again(self, project: Path) -> None:
        log = project / "log"
        note = '#!/bin/sh\necho "$(basename "$0") $1" >> log\n'
        (project / "python").write_text(
            "#!/bin/sh\n"
            '[ "$1 $2" != "-m venv" ] || { mkdir -p .venv/bin; cp pip trailkit .venv/bin; echo venv >> log; }\n'
        )
        (project / "pip").write_text(note + "test -e index\n")
        (project / "trailkit").write_text(note)
        for name in ("python", "pip", "trailkit"):
            (project / name).chmod(0o755)

        assert self.run(project, "PYTHON=./python", "demo").returncode != 0
        assert log.read_text().split("\n") == ["venv", "pip install", ""]

        log.unlink()
        (project / "index").touch()
        for _ in range(2):
            assert self.run(project, "PYTHON=./python", "demo").returncode == 0
        assert log.read_text().split("\n") == [
            "venv",
            "pip install",
            "pip install",
            "trailkit demo",
            "trailkit demo",
            "",
        ]

    @pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
    def test_a_changed_dependency_is_installed(self, project: Path, name: str) -> None:
        stamp = project / ".venv" / ".installed"
        stamp.parent.mkdir()
        stamp.touch()
        later = stamp.stat().st_mtime + 10
        os.utime(project / name, (later, later))
        dry = self.run(project, "--dry-run", "demo").stdout
        assert "--require-hashes -r requirements.lock" in dry
        assert "--no-deps --no-build-isolation -e ." in dry

    @pytest.mark.parametrize(
        ("fails", "message"),
        [
            ("version_info", "Python 3.11 or newer is needed: "),
            ("ensurepip", "Python's venv module is missing: sudo apt-get install python3-venv"),
        ],
    )
    def test_what_the_machine_lacks_is_one_line_with_the_remedy(self, project: Path, fails: str, message: str) -> None:
        fake = project / "python"
        fake.write_text(f'#!/bin/sh\ncase "$*" in *{fails}*) echo noise >&2; exit 1;; esac\n')
        fake.chmod(0o755)
        made = self.run(project, f"PYTHON={fake}", "demo")
        said = [line for line in made.stderr.splitlines() if line != "noise" and not line.startswith("make: ***")]
        assert made.returncode != 0
        assert len(said) == 1
        assert said[0].startswith(message)
        assert not (project / ".venv" / ".installed").exists()

    def test_without_pango_all_is_installed_and_one_line_says_what_the_pdf_needs(self, project: Path) -> None:
        fake = project / "python"
        fake.write_text('#!/bin/sh\ncase "$*" in *pango*) exit 1;; *"-m venv"*) echo venv; exit 7;; esac\n')
        fake.chmod(0o755)
        made = self.run(project, f"PYTHON={fake}", "demo")
        assert "venv" in made.stdout
        said = [line for line in made.stderr.splitlines() if "Pango" in line]
        assert len(said) == 1
        assert said[0].endswith("sudo apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0")
