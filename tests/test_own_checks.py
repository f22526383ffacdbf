"""Requirements of one's own: the example in `docs/`, installed and run to its end; and what is refused, and why."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.runs import PEOPLE
from test_checks import account, build
from test_checks import parameters as of_account

from kit.catalogue import kit_protocol, protocol, protocol_as_executed
from kit.errors import CatalogueError
from kit.findings import Finding, Judgement, Verdict
from kit.own_checks import installed, judge_own
from kit.parameters import RunParameters
from kit.purity import judging

ROOT = Path(__file__).resolve().parent.parent
TRAILKIT = Path(sys.executable).with_name("trailkit")
PARAMETERS = RunParameters.load({"target": "sandbox"})
CASE = {
    "title": "T", "check": "own_01", "criticality": "minor", "purpose": "P", "method": "M", "criterion": "C",
    "clauses": [{"source": "SOP", "clause": "1", "rationale": "R"}],
}  # fmt: skip
CHECK = "def own_01(snapshot, parameters):\n    return []\n"
SECOND = {"protocol": "IQ", "test_cases": {"OWN-01": CASE}}


@pytest.fixture
def install(tmp_path, monkeypatch) -> Iterator[Callable[..., Path]]:
    """Installs a module with a catalogue as a distribution that adds checks, and returns where."""

    def write(told: Any = SECOND, code: str = CHECK, name: str = "own", version: str = "1.0") -> Path:
        folder = tmp_path / name
        about = folder / f"{name}-{version}.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (about / "entry_points.txt").write_text(f"[trailkit.checks]\n{name} = {name}_module\n")
        (folder / f"{name}_module.py").write_text(code)
        (folder / f"{name}_module.yaml").write_text(told if isinstance(told, str) else json.dumps(told))
        monkeypatch.syspath_prepend(str(folder))
        protocol.cache_clear()
        return folder

    yield write
    protocol.cache_clear()
    for name in [name for name in sys.modules if name.endswith("_module")]:
        del sys.modules[name]


class TestCatalogue:
    def test_without_any_the_protocol_is_the_kits(self) -> None:
        assert installed() == ()
        assert protocol("IQ") == kit_protocol("IQ")
        assert protocol("IQ").own_test_cases == ()

    def test_what_is_added_stands_behind_the_kits_own_and_changes_the_hash(self, install) -> None:
        install()
        of = protocol("IQ")
        assert list(of.test_cases) == [*kit_protocol("IQ").test_cases, "OWN-01"]
        assert of.own_test_cases == ("OWN-01",)
        assert of.test_cases["OWN-01"].added_by == "own"
        assert of.sha256 != kit_protocol("IQ").sha256
        assert protocol("OQ") == kit_protocol("OQ")

    def test_a_clause_is_added_to_a_test_case_of_the_kit(self, install) -> None:
        install({"protocol": "IQ", "clauses": {"IQ-06": CASE["clauses"]}})
        before, now = (of("IQ").test_cases["IQ-06"].clauses for of in (kit_protocol, protocol))
        assert now[:-1] == before
        assert now[-1].source == "SOP"
        assert protocol("IQ").own[0]["test_cases"] == []

    def test_a_change_of_its_code_alone_changes_the_hash_of_the_protocol(self, install) -> None:
        folder = install()
        before = protocol("IQ").sha256
        (folder / "own_module.py").write_text(CHECK + "\n# another threshold\n")
        protocol.cache_clear()
        assert protocol("IQ").sha256 != before

    @pytest.mark.parametrize(
        ("told", "problem"),
        [
            ("protocol: IQ\nprotocol: OQ\n", "a key is given twice"),
            ({**SECOND, "protocol": "TQ"}, "protocol: Input should be 'IQ', 'OQ' or 'PQ'"),
            ({**SECOND, "checks": []}, "checks: Extra inputs are not permitted"),
            ({"protocol": "IQ", "test_cases": {"IQ-12": CASE}}, "the prefixes IQ, OQ, PQ, TQ, RM, DEV, URS are taken"),
            ({"protocol": "IQ", "test_cases": {"own": CASE}}, "String should match pattern"),
            ({"protocol": "IQ", "test_cases": {"OWN-01": CASE | {"criticality": "low"}}}, "criticality: Input should"),
            ({"protocol": "IQ", "test_cases": {"OWN-01": CASE | {"clauses": []}}}, "clauses: "),
            ({"protocol": "IQ", "test_cases": {"OWN-01": CASE | {"check": "own_02"}}}, "a check that does not exist"),
            ({"protocol": "IQ", "clauses": {"IQ-99": CASE["clauses"]}}, "adds a clause to IQ-99, which IQ does not"),
        ],
        ids=["twice", "protocol", "unknown", "prefix", "id", "criticality", "no clause", "no check", "no test case"],
    )
    def test_a_catalogue_that_says_otherwise_is_refused_with_its_name(self, told, problem, install) -> None:
        install(told)
        with pytest.raises(CatalogueError) as error:
            protocol("IQ")
        assert problem in error.value.message
        assert "correct own, or uninstall it" in error.value.remedy

    def test_a_module_that_cannot_be_imported_is_told_before_anything_is_asked(self, install) -> None:
        install(code="import no_such_module")
        with pytest.raises(CatalogueError, match="ModuleNotFoundError: No module named 'no_such_module'"):
            protocol("IQ")

    def test_an_entry_point_to_nothing_is_told(self, install) -> None:
        folder = install()
        (folder / "own_module.py").unlink()
        with pytest.raises(CatalogueError, match="checks that own adds can't be used: there is no module own_module"):
            protocol("IQ")

    def test_an_id_that_two_add_is_refused(self, install) -> None:
        install()
        install(name="other")
        with pytest.raises(CatalogueError, match=r"(own|other) adds OWN-01 to IQ, which is there already"):
            protocol("IQ")


class TestRecorded:
    def test_a_record_is_judged_with_those_it_names_and_no_others(self, install) -> None:
        install()
        told = protocol("IQ").own
        install({"protocol": "IQ", "test_cases": {"ELSE-01": CASE}}, name="other")
        assert protocol_as_executed("IQ", told).own_test_cases == ("OWN-01",)
        assert protocol_as_executed("IQ", ()) == kit_protocol("IQ")

    def test_one_that_is_missing_is_named_with_its_version(self) -> None:
        told = {"name": "own", "version": "1.0", "sha256": "0" * 64, "test_cases": ["OWN-01"]}
        with pytest.raises(
            CatalogueError, match=r"own 1\.0 are needed, and not installed here\ninstall own 1\.0 besid"
        ):
            protocol_as_executed("IQ", [told])

    @pytest.mark.parametrize("change", [{"version": "1.1"}, {"sha256": "0" * 64}], ids=["version", "hash"])
    def test_one_that_is_another_is_told(self, change, install) -> None:
        install()
        with pytest.raises(CatalogueError, match=r"own 1\.\d are needed, with SHA-256 \w+; here is 1\.0, with"):
            protocol_as_executed("IQ", [protocol("IQ").own[0] | change])


def passing(case_id: str = "OWN-01", evidence: tuple[str, ...] = ("E0001",)) -> list[Finding]:
    judgement = Judgement(case_id, "a resource")
    judgement.rest_on(evidence)
    judgement.expect("condition", 1, 1, otherwise="It is not.")
    return [judgement.finding("It is.")]


def swallowing() -> list[Finding]:
    try:
        (ROOT / "pyproject.toml").read_bytes()
    except Exception:  # noqa: BLE001
        return passing()
    return passing()


class TestJudging:
    SNAPSHOT = build(account())

    @pytest.mark.parametrize(
        ("check", "why"),
        [
            (lambda: 1 // 0, "The check raised ZeroDivisionError."),
            (lambda: None, "The check gave no list of findings."),
            (list, "The check gave no list of findings."),
            (lambda: ["PASS"], "The check gave no list of findings."),
            (lambda: passing("IQ-01"), "The check gave a finding of another test case."),
            (lambda: passing(evidence=()), "The check passes something without naming evidence."),
            (lambda: subprocess.run(["true"], check=True), "The check raised "),
            (swallowing, "The check reached for more than what was collected: open."),
        ],
        ids=["raises", "nothing", "empty", "text", "another", "no evidence", "program", "file, unsaid"],
    )
    def test_what_breaks_is_inconclusive_and_says_why(self, check, why) -> None:
        (finding,) = judge_own(lambda *_: check(), "OWN-01", self.SNAPSHOT, PARAMETERS)
        assert (finding.test_case, finding.verdict) == ("OWN-01", Verdict.INCONCLUSIVE)
        assert finding.message.startswith(why)

    def test_what_holds_is_its_finding(self) -> None:
        found = judge_own(lambda *_: passing(), "OWN-01", self.SNAPSHOT, PARAMETERS)
        assert found == passing()

    def test_what_it_changes_no_other_check_sees(self) -> None:
        def spoil(snapshot: Any, _: Any) -> list[Finding]:
            snapshot.trails[0].description.clear()
            return passing()

        before = dict(self.SNAPSHOT.trails[0].description)
        judge_own(spoil, "OWN-01", self.SNAPSHOT, PARAMETERS)
        assert self.SNAPSHOT.trails[0].description == before

    def test_every_check_of_the_kit_keeps_to_what_it_is_given(self) -> None:
        for case in kit_protocol("IQ").test_cases.values():
            with judging() as refused:
                case.judge(self.SNAPSHOT, of_account())
            assert refused == []

    def test_a_module_may_still_be_imported_while_a_check_judges(self) -> None:
        sys.modules.pop("colorsys", None)
        with judging() as refused:
            import colorsys  # noqa: F401
        assert refused == []

    def test_once_it_is_judged_files_are_there_again(self) -> None:
        with judging():
            pass
        assert (ROOT / "pyproject.toml").read_bytes()


class Desk:
    """A folder with the example installed beside it, where the command is called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        source = Path(shutil.copytree(ROOT / "docs" / "own_checks", folder / "source"))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        subprocess.run([*pip, "--target", folder / "site", source], check=True, capture_output=True)
        people = {name: value for name, value in PEOPLE.items() if name != "reason"}
        needs = [{"id": "URS-9", "text": "Stay.", "risk": "high", "test_cases": ["ACME-01", "ACME-11"]}]
        # so long that three digests in a row name two log files, whatever the time
        told = {"target": "sandbox", "window": {"hours": 6}, "execution": people, "requirements": needs}
        (folder / "p.yaml").write_text(json.dumps(told))

    def call(self, *arguments: str, beside: bool = True) -> "subprocess.CompletedProcess[str]":
        paths = [str(self.folder / "site")] * beside + [os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        return subprocess.run(
            [TRAILKIT, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    def record(self, prefix: str) -> Path:
        (found,) = (self.folder / "outputs").glob(f"{prefix}-*")
        return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("desk"))
    done = desk.call("run", "iq", "oq", "--parameters", "p.yaml")
    assert done.returncode == 0, done.stderr
    return desk


@pytest.mark.slow
class TestExample:
    @pytest.mark.parametrize(("prefix", "own"), [("IQ", ["ACME-01", "ACME-02"]), ("OQ", ["ACME-11"])], ids=["IQ", "OQ"])
    def test_its_test_cases_are_in_the_record_like_the_kits(self, prefix, own, desk) -> None:
        record = desk.record(prefix)
        manifest = json.loads((record / "manifest.json").read_bytes())
        (told,) = manifest["own_checks"]
        assert (told["name"], told["version"], told["test_cases"]) == ("acme-trail-checks", "1.0.0", own)
        findings = json.loads((record / "findings.json").read_bytes())["findings"]
        mine = [finding for finding in findings if finding["test_case"] in own]
        assert [finding["verdict"] for finding in mine] == ["PASS"] * len(own)
        assert all(finding["evidence"] for finding in mine)
        page = (record / "record.html").read_text(encoding="utf-8")
        assert "acme-trail-checks" in page
        assert "ACME SOP-0117" in page
        assert "URS-9" in page
        for name in own:
            assert name in (record / "junit.xml").read_text(encoding="utf-8")

    def test_a_clause_of_its_own_is_traced_on_a_test_case_of_the_kit(self, desk) -> None:
        assert "ACME SOP-0121" in (desk.record("IQ") / "record.html").read_text(encoding="utf-8")

    @pytest.mark.parametrize("prefix", ["IQ", "OQ"])
    def test_it_is_replayed_with_the_rest(self, prefix, desk) -> None:
        done = desk.call("verify", str(desk.record(prefix)), "--replay")
        assert done.returncode == 0, done.stdout + done.stderr

    def test_what_is_added_to_a_review_is_judged_on_what_the_review_read(self, desk) -> None:
        done = desk.call("run", "pq", "--parameters", "p.yaml", "--json")
        (record,) = json.loads(done.stdout)["records"]
        mine = {one["test_case"]: one["verdict"] for one in record["test_cases"] if one["test_case"] == "ACME-21"}
        assert mine == {"ACME-21": "PASS"}, done.stderr
        assert desk.call("verify", record["folder"], "--replay").returncode == 0

    def test_where_it_is_not_installed_a_replay_names_what_to_install(self, desk) -> None:
        done = desk.call("verify", str(desk.record("IQ")), "--replay", beside=False)
        assert done.returncode == 1
        assert "the checks of acme-trail-checks 1.0.0 are needed, and not installed here" in done.stderr
        assert "install acme-trail-checks 1.0.0 beside the kit" in done.stderr

    def test_where_it_is_not_installed_all_but_the_replay_is_verified(self, desk) -> None:
        assert desk.call("verify", str(desk.record("IQ")), beside=False).returncode == 0

    def test_a_check_that_was_changed_since_is_no_replay(self, desk, tmp_path) -> None:
        other = Desk.__new__(Desk)
        other.folder = Path(shutil.copytree(desk.folder, tmp_path / "desk"))
        with (other.folder / "site" / "acme_checks" / "settings.py").open("a") as stream:
            stream.write("\nRESIDENCY = ()\n")
        done = other.call("verify", str(other.record("IQ")), "--replay")
        assert done.returncode == 1
        assert "acme-trail-checks 1.0.0 are needed, with SHA-256" in done.stderr

    def test_a_protocol_that_is_issued_states_it(self, desk, tmp_path) -> None:
        done = desk.call("protocol", "iq", "--parameters", "p.yaml", "--output", str(tmp_path))
        assert done.returncode == 0, done.stderr
        (issued,) = tmp_path.glob("IQP-*")
        page = (issued / "record.html").read_text(encoding="utf-8")
        assert "The log bucket lies in a Region that ACME" in page
        assert json.loads((issued / "manifest.json").read_bytes())["own_checks"][0]["name"] == "acme-trail-checks"
