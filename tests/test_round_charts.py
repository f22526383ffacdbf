"""The charts of a round: what they draw, what they say in words, and what their tables hold."""

from collections.abc import Callable
from typing import Any

import pytest
from test_summary_checks import parameters

from kit.catalogue import kit_protocol
from kit.present.displays import Display
from kit.present.round_charts import cases, targets
from kit.sections import Round, RoundMember
from kit.summary import Summary, Told

NAMES = [f"region-{number:02d}" for number in range(1, 25)] + [
    "a-name-that-is-as-long-as-a-folder-of-it-can-be-sixty-four-letters"
]


def of_round(names: list[str]) -> Round:
    stated = parameters().of_round
    assert stated is not None
    members = tuple(RoundMember.model_construct(name=name, account_id="111111111111") for name in names)
    return stated.model_copy(update={"targets": members})


def record(name: str, protocol: str, **changed: str) -> Told:
    verdicts = dict.fromkeys(kit_protocol(protocol).test_cases, "PASS") | {
        case.replace("_", "-"): verdict for case, verdict in changed.items()
    }
    worst = next((one for one in ("FAIL", "INCONCLUSIVE") if one in verdicts.values()), "PASS")
    return Told(name, protocol, record_id=f"{protocol}-1", digest="d", verdict=worst, test_cases=verdicts)


def summary(names: list[str]) -> Summary:
    """Return a round in which one target failed, one is open, and one has no record of OQ."""
    found = {(name, protocol): record(name, protocol) for name in names for protocol in ("IQ", "OQ")}
    found[names[3], "IQ"] = record(names[3], "IQ", IQ_04="FAIL", IQ_09="INCONCLUSIVE")
    found[names[7], "OQ"] = record(names[7], "OQ", OQ_08="INCONCLUSIVE", OQ_03="NOT_APPLICABLE")
    found[names[9], "OQ"] = Told(names[9], "OQ", missing="no run was started")
    return Summary(tuple(found.values()), None)


DRAWN: dict[str, Callable[[], Display]] = {
    "targets": lambda: targets(of_round(NAMES), summary(NAMES)),
    "cases": lambda: cases(of_round(NAMES), summary(NAMES)),
}


def table(chart: Display) -> list[list[str]]:
    rows: list[list[str]] = chart.data["table"]["rows"]
    return rows


def test_the_matrix_tells_the_worst_first_and_names_what_did_not_pass() -> None:
    chart = DRAWN["targets"]()
    assert chart.data["alt"] == (
        "Matrix of 25 targets and 20 test cases: 1 FAIL, 1 NOT EXECUTED, 1 INCONCLUSIVE, 22 PASS. "
        "With a FAIL: region-04."
    )
    rows = table(chart)
    assert [row[0] for row in rows[:6]] == ["region-04"] * 2 + ["region-10"] * 2 + ["region-08"] * 2
    assert rows[0] == ["region-04", "111111111111", "IQ", "region-04/IQ-1", "FAIL", "IQ-04 FAIL, IQ-09 INCONCLUSIVE"]
    assert rows[3] == ["region-10", "111111111111", "OQ", "none", "NOT EXECUTED", "no run was started"]
    assert len(rows) == 50


def test_each_test_case_tells_how_many_targets_came_to_which_verdict() -> None:
    rows = table(DRAWN["cases"]())
    assert [row for row in rows if row[0] == "IQ-04"] == [
        ["IQ-04", "FAIL", "1", "region-04"],
        ["IQ-04", "PASS", "24", ""],
    ]
    assert ["OQ record", "NOT EXECUTED", "1", "region-10"] in rows


@pytest.mark.parametrize("chart", [targets, cases], ids=["targets", "cases"])
def test_what_was_not_read_is_told_as_not_read(chart: Any) -> None:
    found = chart(None, None)
    assert found.data["alt"] == "The targets of the round were not read."
    assert table(found) == []


def test_more_targets_than_a_page_holds_stand_in_the_table() -> None:
    names = [f"t{number:03d}" for number in range(500)]
    chart = targets(of_round(names), summary(names))
    assert len(table(chart)) == 1000
    assert "more in the table" in str(chart.data["svg"])
    assert len(str(chart.data["svg"])) < 1_000_000
