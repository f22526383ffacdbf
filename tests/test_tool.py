"""The qualification of the kit itself: what its checks say of challenges, and all of it on a wheel as installed."""

import inspect
import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fixtures.challenged import INSTALLED, JUDGED, SOUND, challenge

from kit.catalogue import kit_protocol
from kit.checks.tool import confusion
from kit.collect import challenges
from kit.collect.challenges import PAST_DELIVERY, Bench
from kit.collect.installation import installation
from kit.collect.tool import collect_tool_again, known_faults
from kit.errors import EvidenceError
from kit.evidence import EvidenceStore
from kit.findings import Finding, Verdict
from kit.parameters import RunParameters
from kit.present.detection import PARTS
from kit.sandbox.faults import combinations, list_faults
from kit.sandbox.server import Sandbox
from kit.snapshot import Absence, Answer, Reason, Snapshot
from kit.tool import Challenge, Comparison, KnownFault, Tool

pytestmark = pytest.mark.pinned
ROOT = Path(__file__).resolve().parent.parent
CASES = kit_protocol("TQ").test_cases
PARAMETERS = RunParameters.load({"target": "sandbox", "expected": {"fault_combinations": 1}})
PASS, FAIL, INCONCLUSIVE, NOT_APPLICABLE = (
    Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE,
)  # fmt: skip
NOBODY: Answer[Any] = Answer("sts:GetCallerIdentity", (), absence=Absence(Reason.MISSING, "NotAsked"))


def judged(case: str, tool: Tool | None = SOUND, parameters: RunParameters = PARAMETERS) -> list[Finding]:
    snapshot = Snapshot(NOBODY, NOBODY, {}, (), None, tool=tool)
    found = CASES[case].judge(snapshot, parameters)
    assert all(one.message.endswith(".") for one in found), found
    return found


def verdicts(case: str, tool: Tool | None) -> set[Verdict]:
    return {one.verdict for one in judged(case, tool)}


def with_challenge(name: str, **changed: Any) -> Tool:
    """Return the tool with one challenge otherwise."""
    challenges = tuple(replace(one, **changed) if one.faults == (name,) else one for one in SOUND.challenges)
    return replace(SOUND, challenges=challenges)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_criterion_is_what_its_check_says(case: Any) -> None:
    module, _, function = case.check.partition(".")
    quoted = inspect.getdoc(getattr(import_module(f"kit.checks.{module}"), function)).split("\n\n")[0]
    assert " ".join(quoted.split()) == case.criterion


@pytest.mark.parametrize("case", CASES)
def test_a_kit_that_did_what_it_must_passes_on_named_evidence(case: str) -> None:
    found = judged(case)
    assert {one.verdict for one in found} == {PASS}, found
    assert all(one.evidence for one in found)


@pytest.mark.parametrize("case", CASES)
def test_a_kit_that_was_not_challenged_is_no_pass(case: str) -> None:
    assert verdicts(case, None) == {INCONCLUSIVE}


def with_fault(name: str, expected: tuple[str, ...], changed: tuple[str, ...]) -> Tool:
    """Return the tool challenged with one fault alone."""
    faults = (KnownFault(name, "", expected, ""),)
    return replace(SOUND, faults=faults, challenges=(challenge(name, expected=expected, changed=changed),))


PASSED = dict.fromkeys(JUDGED, "PASS")
WRONG = {
    "TQ-01 finds fault with everything": ("TQ-01", replace(SOUND, compliant=challenge(changed=("IQ-02",))), FAIL),
    "TQ-01 a test case was not judged": (
        "TQ-01", replace(SOUND, compliant=replace(challenge(), verdicts={"IQ-01": "PASS"})), FAIL,
    ),
    "TQ-02 a fault is not seen": ("TQ-02", with_challenge("no-trail", verdicts=PASSED), FAIL),
    "TQ-02 a fault is seen by another": (
        "TQ-02", with_challenge("no-trail", verdicts=PASSED | {"IQ-02": "FAIL", "IQ-01": "INCONCLUSIVE"}), FAIL,
    ),
    "TQ-02 a harmless fault is seen": ("TQ-02", with_challenge("harmless", verdicts=PASSED | {"IQ-01": "FAIL"}), FAIL),
    "TQ-02 a fault was not tried": ("TQ-02", replace(SOUND, challenges=SOUND.challenges[1:]), INCONCLUSIVE),
    "TQ-02 a fault could not be tried": ("TQ-02", with_challenge("no-trail", refused="no", verdicts={}), INCONCLUSIVE),
    "TQ-02 a test case was left out": ("TQ-02", with_challenge("no-trail", verdicts={"IQ-02": "FAIL"}), INCONCLUSIVE),
    "TQ-03 a fault hides another": (
        "TQ-03",
        replace(SOUND, challenges=(challenge("a", "b", "c", expected=("IQ-01", "IQ-02"), changed=("IQ-01",)),)), FAIL,
    ),
    "TQ-03 fewer were judged": ("TQ-03", replace(SOUND, challenges=SOUND.challenges[:-1]), FAIL),
    "TQ-04 a test case is blind": (
        "TQ-04", replace(SOUND, challenges=tuple(one for one in SOUND.challenges if one.faults != ("no-trail",))), FAIL,
    ),
    "TQ-04 a test case is only ever left open": (
        "TQ-04", with_challenge("no-trail", verdicts=PASSED | {"IQ-02": "INCONCLUSIVE"}), FAIL,
    ),
    "TQ-04 a fault is unseen": ("TQ-04", with_challenge("no-trail", verdicts=PASSED), FAIL),
    "TQ-04 a harmless fault is seen": ("TQ-04", with_challenge("harmless", verdicts=PASSED | {"IQ-01": "FAIL"}), FAIL),
    "TQ-05 they find what we do not": (
        "TQ-05", with_challenge("digest-flipped", verdicts=PASSED | {"IQ-01": "FAIL"}), FAIL,
    ),
    "TQ-05 they find fault with the sound one": (
        "TQ-05", replace(SOUND, comparisons=(Comparison("", 0, "a digest INVALID"), *SOUND.comparisons[1:])), FAIL,
    ),
    "TQ-05 the sound one was not read": ("TQ-05", replace(SOUND, comparisons=(Comparison("", 0, ""),)), FAIL),
    "TQ-05 nothing was compared": ("TQ-05", replace(SOUND, comparisons=()), FAIL),
    "TQ-05 they are not installed": (
        "TQ-05", replace(SOUND, comparisons=(), stranger="", no_stranger="It is not installed."), NOT_APPLICABLE,
    ),
    "TQ-06 tampered, and accepted": (
        "TQ-06", replace(SOUND, attempts=(replace(SOUND.attempts[1], accepted=True, said=""),)), FAIL,
    ),
    "TQ-06 refused for another reason": (
        "TQ-06", replace(SOUND, attempts=(replace(SOUND.attempts[1], said="there is no such file"),)), FAIL,
    ),
    "TQ-06 untouched, and refused": (
        "TQ-06", replace(SOUND, attempts=(replace(SOUND.attempts[0], accepted=False, said="no"),)), FAIL,
    ),
    "TQ-06 could not be tried": (
        "TQ-06", replace(SOUND, attempts=(replace(SOUND.attempts[0], impossible="there is no PDF"),)), INCONCLUSIVE,
    ),
    "TQ-06 nothing was tried": ("TQ-06", replace(SOUND, attempts=()), INCONCLUSIVE),
    "TQ-07 a file was changed": (
        "TQ-07", replace(SOUND, installation=replace(INSTALLED, found={"kit/a.py": "2" * 64})), FAIL,
    ),
    "TQ-07 a file is missing": ("TQ-07", replace(SOUND, installation=replace(INSTALLED, found={})), FAIL),
    "TQ-07 a file was added": (
        "TQ-07", replace(SOUND, installation=replace(INSTALLED, found=INSTALLED.found | {"kit/b.py": "1" * 64})), FAIL,
    ),
    "TQ-07 a working copy": (
        "TQ-07", replace(SOUND, installation=replace(INSTALLED, recorded={}, unrecorded="A copy.")), INCONCLUSIVE,
    ),
    "TQ-01 several find fault, one in no words": (
        "TQ-01",
        replace(SOUND, compliant=replace(challenge(changed=("IQ-01", "IQ-02")), sentences={"IQ-02": "Of XX."})),
        FAIL,
    ),
    "TQ-02 several do not see it, and another does": (
        "TQ-02", with_fault("no-trail", expected=("IQ-01", "IQ-02"), changed=("OQ-04",)), FAIL,
    ),
    "TQ-02 several see it that should not": (
        "TQ-02", with_fault("no-trail", expected=("IQ-02",), changed=("IQ-01", "OQ-04")), FAIL,
    ),
    "TQ-02 what several should see was not tried": (
        "TQ-02",
        replace(SOUND, faults=(KnownFault("no-trail", "", ("IQ-02", "IQ-01"), ""),), challenges=()),
        INCONCLUSIVE,
    ),
    "TQ-03 some are not to be put together": (
        "TQ-03",
        replace(
            SOUND,
            challenges=tuple(replace(challenge(*names), refused="no") for names in ("abc", "def")),
            faults=(KnownFault("a", "", (), "it takes away what others spoil"), *SOUND.faults),
        ),
        FAIL,
    ),
    "TQ-04 several are blind, and several unseen": (
        "TQ-04",
        replace(SOUND, challenges=tuple(replace(one, verdicts=PASSED) for one in SOUND.challenges)),
        FAIL,
    ),
    "TQ-04 one verdict had to change, and one to stay": (
        "TQ-04",
        replace(SOUND, test_cases=JUDGED[:2], challenges=(
            replace(challenge("no-caller", expected=("IQ-01",)), verdicts={"IQ-01": "FAIL", "IQ-02": "PASS"}),
        )),
        FAIL,
    ),
    "TQ-04 nothing was tried": ("TQ-04", replace(SOUND, challenges=()), FAIL),
    "TQ-04 a test case does not apply any more": (
        "TQ-02", with_challenge("no-trail", verdicts=PASSED | {"IQ-02": "NOT_APPLICABLE", "IQ-01": "FAIL"}), FAIL,
    ),
    "TQ-05 several are found by one alone, or harmless": (
        "TQ-05",
        replace(
            SOUND,
            challenges=(*(challenge(name, changed=("OQ-04",)) for name in "ab"), *map(challenge, "cde")),
            comparisons=(
                *(Comparison(name, 0, "1/1 digest files valid") for name in ("", "a", "b")),
                *(Comparison(name, 1, "INVALID") for name in "cd"),
                Comparison("e", 0, "1/1 digest files valid"), Comparison("not tried", 1, "INVALID"),
            ),
        ),
        PASS,
    ),
    "TQ-05 they find several that we do not": (
        "TQ-05",
        replace(
            SOUND,
            challenges=tuple(challenge(name, changed=("IQ-01",)) for name in ("digest-flipped", "no-trail")),
            comparisons=(
                SOUND.comparisons[0], *(Comparison(name, 1, "INVALID") for name in ("digest-flipped", "no-trail")),
            ),
        ),
        FAIL,
    ),
    "TQ-07 many are missing, changed and added": (
        "TQ-07",
        replace(
            SOUND,
            installation=replace(
                INSTALLED,
                recorded={f"kit/{number}.py": "1" * 64 for number in range(16)},
                found={f"kit/{number}.py": "2" * 64 for number in range(7, 24)},
            ),
        ),
        FAIL,
    ),
    "TQ-07 an empty list": ("TQ-07", replace(SOUND, installation=replace(INSTALLED, recorded={})), INCONCLUSIVE),
}  # fmt: skip


@pytest.mark.parametrize(("case", "tool", "verdict"), WRONG.values(), ids=WRONG)
def test_what_is_otherwise_is_no_pass(case: str, tool: Tool, verdict: Verdict) -> None:
    assert verdict in verdicts(case, tool)
    assert verdicts(case, tool) <= {verdict, PASS}


def test_sensitivity_and_specificity_are_told_with_their_counts() -> None:
    (finding,) = judged("TQ-04")
    assert finding.actual["sensitivity"] == "3 of 3"
    assert finding.actual["specificity"] == "9 of 9"
    missed = with_challenge("no-trail", verdicts=PASSED)
    assert confusion(missed) == {
        "true positives": 2, "false negatives": 1, "true negatives": 9, "false positives": 0,
    }  # fmt: skip


class TestCombinations:
    def test_the_same_seed_draws_the_same(self) -> None:
        first, again, other = (list(itertools.islice(combinations(seed, list_faults()), 50)) for seed in (11, 11, 12))
        assert first == again != other
        assert len(set(first)) == 50

    def test_the_three_are_of_three_areas_and_none_that_stands_alone(self) -> None:
        for three in itertools.islice(combinations(1, list_faults()), 300):
            assert len({one.area for one in three}) == 3
            assert not [one.name for one in three if one.alone]

    def test_every_fault_has_an_area_that_others_share(self) -> None:
        areas = [one.area for one in list_faults()]
        assert set(areas) == {"trails", "keys", "buckets", "answers", "deliveries"}
        assert min(map(areas.count, set(areas))) > 5


def test_sixty_faults_and_more_are_known_each_with_its_test_cases() -> None:
    known = {case for name in ("IQ", "OQ", "PQ", "RM") for case in kit_protocol(name).test_cases}
    assert sum(bool(one.changes) for one in known_faults()) >= 60
    assert all(set(one.changes) <= known for one in known_faults())
    assert all(one.area for one in known_faults())
    assert known == {case for one in known_faults() for case in one.changes}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ((), "none"),
        (("IQ-02",), "IQ-02"),
        (("IQ-02", "IQ-03", "OQ-04"), "IQ-02, IQ-03, OQ-04"),
        (("IQ-09", "IQ-10", "IQ-11", "OQ-01", "OQ-03", "OQ-04", "OQ-05"), "IQ-09 to IQ-11, OQ-01, OQ-03 to OQ-05"),
    ],
)
def test_test_cases_that_follow_one_another_are_told_as_a_span(changes: tuple[str, ...], told: str) -> None:
    verdicts = dict.fromkeys(changes, "FAIL") | {"IQ-01": "PASS"}
    one = Challenge(("no-trail",), changes, verdicts, {})
    tool = replace(
        SOUND, test_cases=tuple(verdicts), faults=(KnownFault("no-trail", "", changes, ""),), challenges=(one,)
    )
    (finding,) = judged("TQ-02", tool)
    assert finding.expected == finding.actual == {"test cases changed": told}
    assert finding.observations == {}


@pytest.mark.parametrize(
    ("verdicts", "told"),
    [
        ({"IQ-02": "INCONCLUSIVE", "IQ-03": "INCONCLUSIVE"}, {"INCONCLUSIVE": "all"}),
        ({"IQ-02": "FAIL", "IQ-03": "INCONCLUSIVE"}, {"INCONCLUSIVE": "IQ-03"}),
        ({"IQ-02": "NOT_APPLICABLE", "IQ-03": "FAIL"}, {"NOT APPLICABLE": "IQ-02"}),
    ],
)
def test_a_test_case_that_changed_otherwise_than_to_fail_is_told(verdicts: dict[str, str], told: Any) -> None:
    one = Challenge(("no-trail",), tuple(verdicts), verdicts | {"IQ-01": "PASS"}, {})
    fault = KnownFault("no-trail", "", tuple(verdicts), "")
    (finding,) = judged(
        "TQ-02", replace(SOUND, test_cases=("IQ-01", "IQ-02", "IQ-03"), faults=(fault,), challenges=(one,))
    )
    assert finding.observations == told


def test_faults_that_are_not_combined_are_named_by_the_reason() -> None:
    alone = tuple(KnownFault(name, "", ("IQ-02",), "it takes the account away") for name in ("no-trail", "gone"))
    total, *_ = judged("TQ-03", replace(SOUND, faults=alone))
    assert total.observations["not combined"] == {"it takes the account away": "no-trail, gone"}


@pytest.mark.pinned(False)
class TestWithoutRecords:
    """A kit that makes no record of an account: what can't be challenged is told, and nothing passes for it."""

    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
        folder = tmp_path_factory.mktemp("bench")
        with (
            Sandbox((), PAST_DELIVERY) as sandbox,
            ThreadPoolExecutor(8) as executor,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(challenges, "qualify", lambda *_: "the command ended with 2: no disk")
            yield Bench(sandbox, folder, executor, lambda *_, **__: None)

    def test_no_test_case_of_a_review_passes(self, bench: Bench, tmp_path: Path) -> None:
        snapshot, _ = bench.compliant(EvidenceStore(tmp_path / "e"))
        line = challenges.judged((), (), snapshot, bench.told)
        passed = {case for case, verdict in line["verdicts"].items() if verdict == "PASS"}
        assert passed == {case for case in line["verdicts"] if not case.startswith("PQ-")}

    def test_its_faults_can_not_be_put_together(self, bench: Bench, tmp_path: Path) -> None:
        snapshot, _ = bench.compliant(EvidenceStore(tmp_path / "e"))
        told = {line["faults"][0]: line for line in bench._of_the_past(snapshot)}
        assert {name for name, line in told.items() if "refused" in line} >= {"record-missing", "register-edited"}
        assert all(line["verdicts"].get("PQ-02") != "PASS" for line in told.values())

    def test_nothing_is_there_to_be_tampered_with(self, bench: Bench) -> None:
        (told,) = bench.attempts()
        assert told["impossible"] == "the command ended with 2: no disk"


def test_a_working_copy_says_that_it_is_none_to_be_held_to() -> None:
    told = installation()
    assert told["recorded"] == {}
    assert "working copy" in told["unrecorded"] or "not the one that is installed" in told["unrecorded"]
    for command in ("python -m hatchling build --target wheel", "pip install --no-deps dist/trailkit-"):
        assert command in told["unrecorded"]
    assert told["found"]["kit/__init__.py"]
    assert told["packages"]["boto3"]


@pytest.fixture(scope="module")
def installed(installed_bin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the kit, installed from its wheel, was qualified."""
    folder = tmp_path_factory.mktemp("installed")
    needs = [{"id": "URS-T1", "text": "The tool is qualified.", "risk": "high", "test_cases": ["TQ-02", "TQ-04"]}]
    people = {"executed_by": "Zoë Ōyama", "system_id": "SYS-1", "environment": "qualification", "protocol_id": "VP-1"}
    # an account that nobody can reach from here: nothing is asked of it
    told = {"target": {"account_id": "111111111111"}, "execution": people, "requirements": needs}
    told["expected"] = {"fault_combinations": 3}
    (folder / "p.yaml").write_text(json.dumps(told))
    done = call(installed_bin, folder, "run", "tq", "--parameters", "p.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def call(commands: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [commands / "trailkit", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.pinned(False)
class TestWhole:
    """The wheel, installed and qualified by itself."""

    @pytest.fixture
    def record(self, installed: Path) -> Path:
        (found,) = (installed / "outputs").glob("TQ-*")
        return found

    def test_every_test_case_passes_and_the_matrix_is_exact(self, record: Path) -> None:
        findings = json.loads((record / "findings.json").read_bytes())["findings"]
        assert {one["test_case"] for one in findings} == set(CASES)
        assert {one["verdict"] for one in findings if one["test_case"] != "TQ-05"} == {"PASS"}
        alone = [one for one in findings if one["test_case"] == "TQ-02"]
        assert {one["resource"] for one in alone} == {one.name for one in known_faults()}
        (counted,) = [one for one in findings if one["test_case"] == "TQ-04"]
        for name in ("sensitivity", "specificity"):
            assert counted["actual"][name] == counted["expected"][name]

    def test_its_own_requirements_and_the_matrix_are_on_the_page(self, record: Path) -> None:
        page = (record / "record.html").read_text(encoding="utf-8")
        assert "URS-T1" in page
        assert all(part.title in page for part in PARTS.values())
        assert "DEMONSTRATION" not in page

    def test_it_is_replayed_from_its_evidence(self, installed_bin: Path, installed: Path, record: Path) -> None:
        done = call(installed_bin, installed, "verify", str(record), "--replay")
        assert done.returncode == 0, done.stdout + done.stderr

    def test_a_challenge_that_was_edited_does_not_replay(self, record: Path, tmp_path: Path) -> None:
        import gzip
        import shutil

        from kit.canonical import canonical, sha256_file

        evidence = Path(shutil.copytree(record / "evidence", tmp_path / "evidence"))
        (ledger,) = evidence.glob("*-faults.jsonl.gz")
        before = sha256_file(ledger)
        lines = [json.loads(line) for line in gzip.decompress(ledger.read_bytes()).splitlines()]
        for line in lines:
            if line.get("faults") == ["no-trail"]:
                line["verdicts"]["IQ-02"] = "PASS"
        ledger.write_bytes(gzip.compress(b"".join(canonical(line) + b"\n" for line in lines)))
        index = (evidence / "index.jsonl").read_bytes().replace(before.encode(), sha256_file(ledger).encode())
        entries = [json.loads(line) for line in index.splitlines()]
        for entry in entries:
            if entry["path"] == ledger.name:
                entry["bytes"] = ledger.stat().st_size
        (evidence / "index.jsonl").write_bytes(b"".join(canonical(entry) + b"\n" for entry in entries))
        with ThreadPoolExecutor(1) as executor:
            snapshot = collect_tool_again(evidence, executor, lambda *_, **__: None)
        found = {one.resource: one.verdict for one in CASES["TQ-02"].judge(snapshot, PARAMETERS)}
        assert found["no-trail"] is FAIL


def test_evidence_that_holds_no_challenge_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    with ThreadPoolExecutor(1) as executor, pytest.raises(EvidenceError, match="does not say with what the kit was"):
        collect_tool_again(tmp_path / "evidence", executor, lambda *_, **__: None)


def test_what_a_record_holds_is_json() -> None:
    told = installation()
    assert json.loads(json.dumps(told)) == told
