"""Matrices of verdicts and conditions name what a reader needs whole, and stand low on a page."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from fixtures.sample_record import BUCKET, HOSTILE, KEY, SECOND, TRAIL, finding, step, steps
from test_oq_charts import CASES, HOUR, PAGE, REGIONS, START, shapes, texts, words
from test_oq_charts import drawn as drawn_over_time

from kit.catalogue import protocol
from kit.present import oq_charts
from kit.present.charts import controls_by_trail, verdicts_by_requirement
from kit.present.displays import Display
from kit.present.figures import LOOKS, WIDTH

A4 = 252 / 25.4 * 72  # points between the margins
PRINTED = 171.5 / 25.4 / WIDTH  # how much smaller a drawing is on A4
AROUND = 72  # points that a figure's heading, sentence and caption take on a page
ACCOUNT = "arn:aws:iam::111122223333:root"
JUDGED = {
    ACCOUNT: ("account of the caller", "Regions asked", TRAIL),
    TRAIL: ("the expected trail", "logging", "excluded event sources", "log file validation"),
    KEY: (
        "CloudTrail encrypts for the trail", "CloudTrail encrypts without the encryption context",
        "CloudTrail encrypts with a foreign aws:SourceArn", "CloudTrail encrypts for another account's trail",
        "decryption by others whom the policy mentions",
    ),
    BUCKET: (
        "CloudTrail writes the trail's logs and digests", "writing or deleting by others whom the policy mentions",
        "public access block, of bucket or account", "public by policy, as S3 sees it",
    ),
}  # fmt: skip


def verdicts(qualification: str) -> Display:
    return verdicts_by_requirement(
        step(case.id, "PASS", clauses=[vars(clause) for clause in case.clauses])
        for case in protocol(qualification).test_cases.values()
    )


def judged(conditions: dict[str, Any]) -> Display:
    """Return the chart of conditions: of each resource their names, or how many of long names it has."""
    rows = []
    for number, (resource, given) in enumerate(conditions.items()):
        long = [f"CloudTrail encrypts with a foreign aws:SourceArn {n}" for n in range(44)]
        names = long[:given] if isinstance(given, int) else given
        found = finding("IQ-07", "PASS", resource, conditions=dict.fromkeys(names, (1, 1, number % 3 != 0)))
        rows.append(step("IQ-07", "PASS", [found]))
    return controls_by_trail(rows)


MATRICES: dict[str, Callable[[], Display]] = {
    "iq": lambda: verdicts("IQ"),
    "oq": lambda: verdicts("OQ"),
    "every-verdict": lambda: verdicts_by_requirement(steps()),
    "conditions": lambda: judged(JUDGED),
    "conditions-of-steps": lambda: controls_by_trail(steps()),
    "six-trails": lambda: judged({f"{TRAIL}-{n}": 20 for n in range(6)}),
    "twelve-trails": lambda: judged({f"{TRAIL}-{n}": 44 for n in range(14)}),
    "many-trails": lambda: judged({f"{TRAIL}-{n}": 2 for n in range(80)}),
    "hostile-clauses": lambda: verdicts_by_requirement(
        [step("$-$", "FAIL", clauses=[{"source": HOSTILE, "clause": text} for text in (HOSTILE, "X" * 999, "$x$")])]
    ),
    "hostile-conditions": lambda: judged({HOSTILE: [HOSTILE, "X" * 999, "$x$"], SECOND: ["W" * 9] * 9}),
    "many-clauses": lambda: verdicts_by_requirement(
        step(f"IQ-{n}", "PASS", clauses=[{"source": f"S{n // 3}", "clause": f"a-rule-of-a-long-name-{n}" * 3}])
        for n in range(90)
    ),
    "nothing": lambda: controls_by_trail([]),
}
each_matrix = pytest.mark.parametrize("name", MATRICES)


@cache
def drawn(name: str) -> Display:
    return MATRICES[name]()


def height(chart: Display) -> float:
    return float(re.search(r'height="([\d.]+)pt"', chart.data["svg"])[1])  # type: ignore[index]


def printed(chart: Display) -> float:
    """Return the points that a figure takes on A4, with what stands around it."""
    return height(chart) * PRINTED + AROUND


@each_matrix
def test_matrix_stays_on_one_page_and_within_its_edges(name: str) -> None:
    chart = drawn(name)
    assert height(chart) < PAGE
    for box in shapes(chart) + texts(chart):
        assert box.left > -0.5, box
        assert box.right < WIDTH * 72 + 0.5, box
        assert box.top > -0.5, box
        assert box.bottom < height(chart) + 0.5, box


@each_matrix
def test_no_word_of_a_matrix_runs_into_another_or_into_a_cell_beside_it(name: str) -> None:
    chart = drawn(name)
    found = texts(chart)
    looks = {look.fill for look in LOOKS.values()}
    cells = [box for box in shapes(chart) if box.what in looks]
    for n, one in enumerate(found):
        for other in found[:n] + cells:
            inside = other.left <= one.left and one.right <= other.right
            beside = one.left >= other.right or other.left >= one.right
            assert inside or beside or one.top >= other.bottom or other.top >= one.bottom, (one, other)


@pytest.mark.parametrize("name", [*CASES, *MATRICES])
def test_words_are_large_enough_on_a4(name: str) -> None:
    chart = drawn(name) if name in MATRICES else drawn_over_time(name)
    sizes = re.findall(r"([\d.]+)px", chart.data["svg"])
    assert min(map(float, sizes)) * PRINTED >= 6.5


@pytest.mark.parametrize("name", ["iq", "oq", "conditions", "conditions-of-steps", "six-trails", "many-trails"])
def test_no_name_is_cut_where_there_is_room(name: str) -> None:
    assert not [text for text in words(drawn(name)) if "…" in text and "more in the table" not in text]


def test_long_name_stands_in_lines_below_one_another() -> None:
    shown = " ".join(words(drawn("conditions")))
    assert "writing or deleting by others whom the policy mentions" in shown
    assert "cmk-backing-key- rotation-enabled" in " ".join(words(drawn("iq")))
    assert TRAIL in "".join(words(drawn("conditions")))


def test_name_too_long_for_its_lines_keeps_both_its_ends() -> None:
    (text,) = (text for text in words(drawn("hostile-clauses")) if "XX" in text)
    assert re.fullmatch("X+…X+", text)


def test_account_is_named_by_its_number() -> None:
    chart = judged({ACCOUNT: ["Regions asked"]})
    assert "account 111122223333" in words(chart)
    assert "Not met: IQ-07  Regions asked on account 111122223333." in chart.data["alt"]
    assert "root" not in words(chart)


@pytest.mark.parametrize("name", ["arn:aws:iam::111122223333:root/", "arn:aws:iam::111122223333:role/root"])
def test_what_only_looks_like_an_account_keeps_its_name(name: str) -> None:
    assert name.split(":", 5)[-1] in words(judged({name: ["Regions asked"]}))


@pytest.mark.parametrize(("name", "share"), [("iq", 0.45), ("oq", 0.3)])
def test_verdicts_stand_in_two_columns_and_take_less_than_half_a_page(name: str, share: float) -> None:
    chart = drawn(name)
    sources = {text.left for text in texts(chart) if text.what.startswith(("21 CFR", "EU GMP", "CIS AWS"))}
    assert len(sources) == 2
    assert height(chart) * PRINTED / A4 < share


def test_few_rows_stay_in_one_column() -> None:
    assert {text.left for text in texts(drawn("every-verdict")) if re.match(r"21 CFR|EU GMP", text.what)} == {0.0}


def test_group_that_the_columns_cut_is_headed_again() -> None:
    assert "EU GMP Annex 11 (2011), continued" in words(drawn("oq"))


def test_what_a_page_does_not_hold_is_counted() -> None:
    chart = drawn("many-clauses")
    shown = sum(text.startswith("✓ IQ-") for text in words(chart))
    assert f"… {90 - shown} more in the table" in words(chart)
    assert 20 < shown < 90
    assert len(chart.data["table"]["rows"]) == 90


def test_coverage_and_chains_of_all_regions_share_a_page() -> None:
    rows = {region: [(START, START + 24 * HOUR, "24 digests")] for region in REGIONS}
    chains = oq_charts.chain(rows, {}, START, START + 24 * HOUR)
    assert printed(drawn_over_time("coverage-regions")) + printed(chains) < A4
