"""What the steps of a run give together: a deviation names all that whoever handles it has to know."""

import pytest

from kit.catalogue import protocol
from kit.findings import Judgement, not_executed
from kit.present.displays import Display, markup
from kit.record import results

KEY = "arn:aws:kms:eu-west-1:123456789012:key/4d2f"


STEPS = [
    results.step_data(case, [not_executed(case.id)])
    for name in ("IQ", "OQ")
    for case in protocol(name).test_cases.values()
]


def deviations(found):
    return results.deviations(found, STEPS)


def finding(test_case: str = "IQ-06", *, rotates: bool | None = False):
    judgement = Judgement(test_case, KEY)
    judgement.expect("rotation period", 365, 365, otherwise="It rotates at another pace.")
    if rotates is None:
        judgement.doubt("rotation", True, "Whether it rotates can't be read.")
    else:
        judgement.expect("rotation", True, rotates, otherwise="It does not rotate.")
    judgement.rest_on(["E0003", "E0007"])
    return judgement.finding("It rotates.").to_json()


def test_a_deviation_tells_test_case_resource_conditions_not_met_and_evidence():
    (row,) = deviations([finding(rotates=True), finding()])["rows"]
    assert row == {
        "id": "DEV-01", "test_case": "IQ-06", "title": "The key rotates", "criticality": "major", "verdict": "FAIL",
        "resource": KEY, "message": "It does not rotate.", "met": {"rotation": False}, "expected": {"rotation": True},
        "actual": {"rotation": False}, "evidence": ["E0003", "E0007"],
    }  # fmt: skip


def test_what_is_open_is_a_deviation_too():
    rows = deviations([finding(rotates=None), not_executed("OQ-01").to_json()])["rows"]
    assert [(row["id"], row["verdict"], row["met"]) for row in rows] == [
        ("DEV-01", "INCONCLUSIVE", {"rotation": None}),
        ("DEV-02", "NOT_EXECUTED", {}),
    ]
    assert (rows[1]["test_case"], rows[1]["resource"], rows[1]["criticality"]) == ("OQ-01", "", "major")


def test_a_test_case_without_a_step_keeps_its_deviation():
    (row,) = deviations([finding("ZZ-01")])["rows"]
    assert (row["id"], row["title"], row["criticality"], row["resource"]) == ("DEV-01", "", "", KEY)


def form(row):
    shown = markup(Display("deviations", {"rows": [row]}), lambda kind, key: f"#{kind}-{key}", "")
    return " ".join(str(shown).split())


def test_the_form_shows_all_of_a_deviation():
    (row,) = deviations([finding()])["rows"]
    shown = form(row)
    for part in (
        "DEV-01", '<a href="#step-IQ-06" class="tk-nowrap">IQ-06</a>: The key rotates', "✗</span> FAIL", "▲▲ major",
        KEY, "It does not rotate.", 'data-label="Expected">true<', 'data-label="Actual value">false<', "✗ not met",
        '<a href="#evidence-E0003" class="tk-nowrap">E0003</a>', "E0007", "Assessment and action",
    ):  # fmt: skip
        assert part in shown, part


def test_the_form_tells_what_could_not_be_judged_from_what_is_not_met():
    (row,) = deviations([finding(rotates=None)])["rows"]
    assert "? could not be judged" in form(row)
    assert "not met" not in form(row)


@pytest.mark.parametrize("lacks", ["title", "criticality", "resource", "met", "evidence"])
def test_what_an_earlier_version_did_not_tell_is_shown_as_not_stated(lacks):
    (row,) = deviations([finding()])["rows"]
    told = {name: value for name, value in row.items() if name != lacks}
    shown = form(told)
    assert "It does not rotate." in shown
    assert 'data-label="Expected">true<' in shown
    assert ("not stated" in shown) is (lacks in ("criticality", "resource", "evidence"))
