"""The checks on a round, each by itself: what passes, what fails, what is left open, and in which words."""

from dataclasses import replace
from typing import Any

import pytest

from kit import __version__
from kit.catalogue import kit_protocol
from kit.findings import Finding, Verdict
from kit.parameters import RunParameters
from kit.snapshot import Absence, Answer, Reason, Snapshot
from kit.summary import Member, Summary, Told

pytestmark = pytest.mark.pinned

PASS, FAIL, OPEN, NOT_APPLICABLE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE
CASES = kit_protocol("VS").test_cases
ACCOUNTS = {"one": "111111111111", "two": "222222222222"}
NOTHING: Answer[Any] = Answer("", (), absence=Absence(Reason.MISSING, "NotAsked", "no account was asked"))


def told(target: str = "one", protocol: str = "IQ", **changed: Any) -> Told:
    sound = {
        "record_id": f"{protocol}-of-{target}",
        "digest": "d" * 64,
        "verdict": "PASS",
        "account_id": ACCOUNTS[target],
        "kit_version": __version__,
        "catalogue_sha256": f"c-{protocol}",
        "test_cases": {f"{protocol}-01": "PASS", f"{protocol}-02": "NOT_APPLICABLE"},
        "evidence": (f"E-{target}-{protocol}",),
    }
    return Told(target, protocol, **sound | changed)


def members(*ids: str, **states: bool) -> Answer[tuple[Member, ...]]:
    found = [Member(one, f"arn:{one}", "N", active=states.get(f"a{one}", True)) for one in ids]
    return Answer("organizations:ListAccounts in us-east-1", ("E-accounts",), value=tuple(found))


def parameters(organization: bool = False, excluded: tuple[str, ...] = ()) -> RunParameters:
    people = {"executed_by": "A", "system_id": "S", "environment": "production", "protocol_id": "P"}
    of = {
        "id": "ROUND-20261130T080000Z-0a1b2c",
        "protocols": ["IQ", "OQ"],
        "targets": [{"name": name, "account_id": account} for name, account in ACCOUNTS.items()],
        "demonstration": False,
        "organization": {"account_id": "999999999999"} if organization else None,
        "excluded": [{"account_id": one, "reason": "no GxP data"} for one in excluded],
    }
    return RunParameters.load({"target": "round", "of_round": of, "execution": people})


def judge(
    case: str, *changed: Told, accounts: Answer[tuple[Member, ...]] | None = None, **stated: Any
) -> list[Finding]:
    sound = {(one.target, one.protocol): one for one in (told(t, p) for t in ACCOUNTS for p in ("IQ", "OQ"))}
    records = tuple((sound | {(one.target, one.protocol): one for one in changed}).values())
    snapshot = Snapshot(NOTHING, NOTHING, {}, (), None, summary=Summary(records, accounts))
    return CASES[case].judge(snapshot, parameters(**stated))


def verdicts(findings: list[Finding]) -> list[Verdict]:
    return [finding.verdict for finding in findings]


@pytest.mark.parametrize("case", CASES)
def test_criterion_is_what_the_docstring_quotes(case: str) -> None:
    assert " ".join((CASES[case].find_check().__doc__ or "").split()).startswith(CASES[case].criterion)


@pytest.mark.parametrize("case", CASES)
def test_what_was_not_read_is_no_pass(case: str) -> None:
    snapshot = Snapshot(NOTHING, NOTHING, {}, (), None)
    assert verdicts(CASES[case].judge(snapshot, parameters())) == [OPEN]


@pytest.mark.parametrize("case", ["VS-02", "VS-03", "VS-04"])
def test_a_sound_round_passes_on_named_evidence(case: str) -> None:
    for finding in judge(case):
        assert finding.verdict is PASS
        assert finding.evidence


@pytest.mark.parametrize("case", ["VS-02", "VS-03"])
def test_a_target_that_nothing_was_read_of_is_open(case: str) -> None:
    summary = Summary(tuple(told("one", name) for name in ("IQ", "OQ")), None)
    snapshot = Snapshot(NOTHING, NOTHING, {}, (), None, summary=summary)
    assert verdicts(CASES[case].judge(snapshot, parameters())) == [PASS, OPEN]


def test_no_record_at_all_is_open() -> None:
    gone = [told(t, p, missing="no run was started") for t in ACCOUNTS for p in ("IQ", "OQ")]
    assert {verdict for case in ("VS-02", "VS-03", "VS-04") for verdict in verdicts(judge(case, *gone))} == {OPEN}


class TestScope:
    def test_without_an_organization_it_does_not_apply(self) -> None:
        (finding,) = judge("VS-01")
        assert finding.verdict is NOT_APPLICABLE
        assert finding.observations["targets"] == ["one 111111111111", "two 222222222222"]

    def test_an_embedded_account_is_told_as_one(self) -> None:
        of = parameters()
        targets = [{"name": "one"}, {"name": "two", "account_id": ACCOUNTS["two"]}]
        listed = RunParameters.load(of.model_dump(mode="json", exclude_none=True) | {
            "of_round": of.of_round.model_dump(mode="json", exclude_none=True) | {"targets": targets},
        })  # fmt: skip
        snapshot = Snapshot(NOTHING, NOTHING, {}, (), None, summary=Summary((), None))
        (finding,) = CASES["VS-01"].judge(snapshot, listed)
        assert finding.observations["targets"] == ["one embedded account", "two 222222222222"]

    @pytest.mark.parametrize(
        ("listed", "stated", "verdict"),
        [
            (members(*ACCOUNTS.values()), {}, PASS),
            (members(*ACCOUNTS.values(), "333333333333"), {}, FAIL),
            (members(*ACCOUNTS.values(), "333333333333"), {"excluded": ("333333333333",)}, PASS),
            (members(*ACCOUNTS.values(), "333333333333", a333333333333=False), {}, PASS),
            (members("111111111111"), {}, PASS),
            (Answer("organizations:ListAccounts", ("E-a",), absence=Absence(Reason.DENIED, "AccessDenied")), {}, OPEN),
        ],
        ids=["all", "one-left-out", "excluded", "not-active", "a-target-that-left", "denied"],
    )
    def test_every_active_account_is_a_target_or_excluded(self, listed: Any, stated: Any, verdict: Verdict) -> None:
        (finding,) = judge("VS-01", accounts=listed, organization=True, **stated)
        assert finding.verdict is verdict
        assert finding.evidence

    def test_every_account_that_was_left_out_is_named(self) -> None:
        listed = members(*ACCOUNTS.values(), "444444444444", "333333333333")
        (finding,) = judge("VS-01", accounts=listed, organization=True)
        said = "The round leaves out 2 active accounts of the organization: 333333333333, 444444444444."
        assert finding.message == said

    def test_accounts_that_were_not_asked_for_leave_it_open(self) -> None:
        (finding,) = judge("VS-01", organization=True)
        assert finding.verdict is OPEN


class TestRecords:
    @pytest.mark.parametrize(
        ("changed", "verdict"),
        [
            ({"missing": "no run was started"}, OPEN),
            ({"problem": "its manifest is another"}, FAIL),
            ({"unread": "Input/output error"}, OPEN),
            ({"account_id": "333333333333"}, FAIL),
            ({"account_id": ""}, OPEN),
            ({"verdict": "FAIL"}, PASS),
        ],
        ids=["missing", "altered", "unread", "another-account", "account-not-told", "failed-but-whole"],
    )
    def test_one_record_changes_its_target_alone(self, changed: dict[str, str], verdict: Verdict) -> None:
        assert verdicts(judge("VS-02", told("two", "OQ", **changed))) == [PASS, verdict]

    def test_of_an_embedded_account_no_account_is_asked_for(self) -> None:
        of = parameters()
        embedded = of.model_copy(
            update={"of_round": of.of_round and of.of_round.model_copy(
                update={"targets": tuple(one.model_copy(update={"account_id": None}) for one in of.of_round.targets)}
            )}
        )  # fmt: skip
        records = tuple(told(t, p, account_id="") for t in ACCOUNTS for p in ("IQ", "OQ"))
        snapshot = Snapshot(NOTHING, NOTHING, {}, (), None, summary=Summary(records, None))
        assert verdicts(CASES["VS-02"].judge(snapshot, embedded)) == [PASS, PASS]


class TestVerdicts:
    @pytest.mark.parametrize(
        ("changed", "verdict", "words"),
        [
            ({"verdict": "FAIL", "test_cases": {"OQ-01": "PASS", "OQ-04": "FAIL"}}, FAIL, "OQ: OQ-04 FAIL."),
            ({"verdict": "INCONCLUSIVE", "test_cases": {"OQ-09": "NOT_EXECUTED"}}, OPEN, "OQ: OQ-09 NOT EXECUTED."),
            (
                {"verdict": "FAIL", "test_cases": {"OQ-05": "NOT_EXECUTED", "OQ-04": "FAIL"}},
                FAIL,
                "OQ: OQ-04 FAIL, OQ-05 NOT EXECUTED.",
            ),
            ({"verdict": "FAIL", "test_cases": {}}, FAIL, "OQ: FAIL."),
            ({"missing": "no run was started"}, OPEN, "OQ left no record that counts: no run was started."),
            ({"problem": "it was altered"}, OPEN, "OQ left no record that counts: it was altered."),
            ({"unread": "no permission"}, OPEN, "OQ left no record that counts: no permission."),
        ],
        ids=["fail", "open", "fail-and-open", "fail-without-cases", "missing", "altered", "unread"],
    )
    def test_one_verdict_changes_its_target_alone(self, changed: Any, verdict: Verdict, words: str) -> None:
        one, two = judge("VS-03", told("two", "OQ", **changed))
        assert (one.verdict, two.verdict, two.message) == (PASS, verdict, words)


class TestAlike:
    @pytest.mark.parametrize(
        ("changed", "words"),
        [
            ({"kit_version": "0.0.9"}, "Records were made by other versions of the kit: 0.0.9 by 1 (two)"),
            (
                {"catalogue_sha256": "other"},
                "OQ was not the same protocol everywhere: c-OQ by 1 (one); other by 1 (two).",
            ),
            ({"catalogue_sha256": "0123456789abcdef"}, "everywhere: 0123456789ab by 1 (two); c-OQ by 1 (one)."),
        ],
        ids=["version", "protocol", "protocol-by-hash"],
    )
    def test_what_was_made_otherwise_fails(self, changed: Any, words: str) -> None:
        (finding,) = judge("VS-04", told("two", "OQ", **changed))
        assert finding.verdict is FAIL
        assert words in finding.message

    def test_a_record_that_does_not_stand_does_not_count(self) -> None:
        assert verdicts(judge("VS-04", told("two", "OQ", kit_version="0.0.9", problem="altered"))) == [PASS]


def test_what_a_folder_told_is_read_back_and_nothing_else() -> None:
    one = told("one", "IQ")
    texts = {name: value for name, value in vars(one).items() if name not in ("target", "protocol", "evidence")}
    assert Told.from_json("one", "IQ", texts, one.evidence) == one
    with pytest.raises(ValueError, match="it tells more"):
        Told.from_json("one", "IQ", texts | {"more": 1}, ())
    assert not replace(one, missing="x").stands
    assert not replace(one, problem="x").stands
    assert not replace(one, unread="x").stands
