"""Verdicts roll up as the design says, and nothing passes that is not known to be met."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.canonical import canonical
from kit.errors import EvidenceError
from kit.findings import Finding, Judgement, Verdict, not_executed, roll_up

RESOURCE = "arn:aws:cloudtrail:eu-west-1:123456789012:trail/t"
HOSTILE = "</script><b>\u202egnp\ud800\x00\r\n" + "x" * 10_000
VERDICTS = st.lists(st.sampled_from(Verdict), min_size=1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
# a condition: expected, actual, whether it is met (None: not known)
MET = st.sampled_from([True, False, None])
CONDITIONS = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(), st.integers(), MET), max_size=4)
WRITABLE = st.dictionaries(st.text(), st.tuples(JSON, JSON, MET), max_size=3)


def judge(conditions):
    judgement = Judgement("IQ-05", RESOURCE)
    for name, (expected, actual, met) in conditions.items():
        if met is None:
            judgement.doubt(name, expected, f"{name} is not known.", actual)
        else:
            judgement.expect(name, expected, actual, met=met, otherwise=f"{name} is wrong.")
    return judgement


@given(VERDICTS)
def test_any_fail_fails(verdicts):
    assert (roll_up(verdicts) is Verdict.FAIL) == (Verdict.FAIL in verdicts)


@given(VERDICTS)
def test_without_a_fail_whatever_is_open_is_inconclusive(verdicts):
    is_open = bool({Verdict.INCONCLUSIVE, Verdict.NOT_EXECUTED} & set(verdicts)) and Verdict.FAIL not in verdicts
    assert (roll_up(verdicts) is Verdict.INCONCLUSIVE) == is_open


@given(VERDICTS)
def test_a_pass_needs_one_pass_and_nothing_but_what_does_not_apply(verdicts):
    passes = Verdict.PASS in verdicts and set(verdicts) <= {Verdict.PASS, Verdict.NOT_APPLICABLE}
    assert (roll_up(verdicts) is Verdict.PASS) == passes


@given(VERDICTS, VERDICTS)
def test_rolling_up_in_two_stages_is_rolling_up_at_once(one, other):
    assert roll_up([roll_up(one), roll_up(other)]) is roll_up(one + other)


@given(VERDICTS, st.randoms(use_true_random=False))
def test_the_order_of_verdicts_is_irrelevant(verdicts, random):
    shuffled = random.sample(verdicts, len(verdicts))
    assert roll_up(iter(shuffled)) is roll_up(verdicts)


def test_what_never_applies_does_not_apply():
    assert roll_up([Verdict.NOT_APPLICABLE] * 2) is Verdict.NOT_APPLICABLE


def test_nothing_rolls_up_to_an_error():
    with pytest.raises(EvidenceError, match="no verdict to roll up"):
        roll_up([])


@given(CONDITIONS)
def test_a_judgement_passes_only_when_every_condition_is_met(conditions):
    finding = judge(conditions).finding("Passed.")
    met = [met for _, _, met in conditions.values()]
    assert (finding.verdict is Verdict.PASS) == (bool(met) and all(met))


@given(CONDITIONS)
def test_a_judgement_fails_only_when_a_condition_is_known_to_be_unmet(conditions):
    finding = judge(conditions).finding("Passed.")
    assert (finding.verdict is Verdict.FAIL) == (False in [met for _, _, met in conditions.values()])


@given(WRITABLE, st.text(), JSON)
def test_a_finding_survives_json(conditions, message, observed):
    judgement = judge(conditions)
    judgement.observe("observed", observed)
    judgement.rest_on(["E0001"])
    finding = judgement.finding(message)
    assert Finding.from_json(json.loads(canonical(finding.to_json()))) == finding


def test_a_judgement_without_a_condition_is_inconclusive():
    finding = Judgement("IQ-05", RESOURCE).finding("Passed.")
    assert (finding.verdict, finding.message) == (Verdict.INCONCLUSIVE, "No condition was judged.")


@pytest.mark.parametrize(
    ("expected", "actual", "met"),
    [
        ("Enabled", "Enabled", True),
        ("Enabled", "Disabled", False),
        ("Enabled", None, False),
        (None, None, False),
        (True, 1, False),
        (1, True, False),
        (False, 0, False),
        (365, 365, True),
        (["a"], ["a"], True),
    ],
)
def test_a_condition_is_met_when_what_was_read_equals_what_is_expected(expected, actual, met):
    judgement = Judgement("IQ-05", RESOURCE)
    judgement.expect("state", expected, actual, otherwise="Wrong.")
    assert judgement.finding("").met == {"state": met}


def test_whoever_judges_may_say_that_a_condition_is_met():
    judgement = Judgement("IQ-05", RESOURCE)
    judgement.expect("at least 365 days", 365, 400, met=True, otherwise="Too short.")
    assert judgement.finding("Long enough.").verdict is Verdict.PASS


def test_a_message_says_what_is_wrong_before_what_is_not_known_each_once():
    judgement = Judgement("IQ-05", RESOURCE)
    judgement.doubt("a", True, "It was denied.")
    judgement.expect("b", True, False, otherwise="It is off.")
    judgement.doubt("c", True, "It was denied.")
    assert judgement.finding("Passed.").message == "It is off. It was denied."


def test_the_names_of_conditions_are_unique():
    judgement = Judgement("IQ-05", RESOURCE)
    judgement.doubt("state", "Enabled", "Denied.")
    with pytest.raises(ValueError, match="'state' was judged twice"):
        judgement.expect("state", "Enabled", "Enabled", otherwise="")


def test_conditions_keep_the_order_in_which_they_were_judged():
    names = ["z", "a", "m"]
    finding = judge(dict.fromkeys(names, (1, 1, True))).finding("Passed.")
    assert [list(finding.expected), list(finding.actual), list(finding.met)] == [names] * 3


def test_evidence_is_named_once_in_order():
    judgement = Judgement("IQ-05", RESOURCE)
    judgement.rest_on(["E0002", "E0001"])
    judgement.rest_on(["E0001", "E0003"])
    assert judgement.finding("").evidence == ("E0002", "E0001", "E0003")


def test_what_was_judged_can_not_be_not_applicable_as_well():
    judgement = Judgement("IQ-05", RESOURCE)
    judgement.expect("state", "Enabled", "Disabled", otherwise="Disabled.")
    with pytest.raises(ValueError, match="can't be not applicable"):
        judgement.not_applicable("It does not rotate.")


def test_what_does_not_apply_says_why():
    finding = Judgement("IQ-06", RESOURCE).not_applicable("It can't rotate.")
    assert (finding.verdict, finding.message) == (Verdict.NOT_APPLICABLE, "It can't rotate.")


def test_hostile_text_can_be_written_whoever_sent_it():
    judgement = Judgement("IQ-05", HOSTILE)
    judgement.expect(HOSTILE, HOSTILE, {HOSTILE: [HOSTILE]}, otherwise=HOSTILE)
    judgement.observe(HOSTILE, HOSTILE)
    finding = judgement.finding(HOSTILE)
    assert finding.verdict is Verdict.FAIL
    assert "gnp\ufffd\x00\r\n" in json.loads(canonical(finding.to_json()))["message"]


@pytest.mark.parametrize("met", [{}, {"a": None}, {"a": True, "b": None}, {"a": False}], ids=str)
def test_no_finding_passes_without_every_condition_met(met):
    with pytest.raises(EvidenceError, match="IQ-05 passes without every condition met"):
        Finding("IQ-05", Verdict.PASS, RESOURCE, "Passed.", {}, {}, met)


SAVED = judge({"state": (1, 1, True)}).finding("Passed.").to_json()


@pytest.mark.parametrize(
    "value",
    [
        *[{name: item for name, item in SAVED.items() if name != lost} for lost in SAVED],
        SAVED | {"verdict": "OK"},
        SAVED | {"verdict": ["PASS"]},
        SAVED | {"evidence": None},
        SAVED | {"met": None},
        SAVED | {"met": ["state"]},
        SAVED | {"met": {"state": None}},
        SAVED | {"met": {"state": "yes"}},
        [],
        None,
        "PASS",
    ],
    ids=[*[f"without {lost}" for lost in SAVED], *"abcdefghij"],
)
def test_what_is_no_saved_finding_is_refused(value):
    with pytest.raises(EvidenceError):
        Finding.from_json(value)


def test_a_step_that_never_ran_is_open():
    assert roll_up([not_executed("IQ-05").verdict, Verdict.PASS]) is Verdict.INCONCLUSIVE
