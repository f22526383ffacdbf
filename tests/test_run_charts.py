"""The charts of a run say what its snapshot holds: gaps, breaks, encryption, lag and the key at work."""

from datetime import UTC, datetime

import pytest
from fixtures.operational import collected, judged

from kit.catalogue import protocol
from kit.present.run_charts import CHARTS
from kit.record.results import step_data
from kit.sandbox.server import Sandbox

HOME = "eu-west-1"
DELIVERY = {"hours": 4, "until": "2026-01-15T12:00:00Z", "digest_regions": [HOME, "us-east-1"]}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Return the tables of every chart, drawn once for each set of faults."""
    known = {}
    with Sandbox() as sandbox:

        def draw(*faults):
            if faults not in known:
                sandbox.reset(faults, DELIVERY)
                snapshot, parameters = collected(sandbox, tmp_path_factory.mktemp("run") / "evidence")
                findings = judged(snapshot, parameters)
                steps = [step_data(protocol("OQ").test_cases[case], found) for case, found in findings.items()]
                known[faults] = {name: chart(steps, snapshot, parameters).data for name, chart in CHARTS.items()}
            return known[faults]

        yield draw


def rows(chart):
    return [tuple(row) for row in chart["table"]["rows"]]


def states(chart, place):
    return {row[1] for row in rows(chart) if row[0] == place}


def test_a_clean_window_is_covered_in_every_region(drawn):
    found = rows(drawn()["coverage"])
    assert {row[0] for row in found} == {HOME, "us-east-1"}
    assert len({row[1] for row in found}) == 1
    assert "gap" not in drawn()["coverage"]["alt"].replace("0 gap", "")


def test_a_digest_that_is_gone_leaves_a_gap_and_breaks_the_chain(drawn):
    clean, charts = drawn(), drawn("digest-deleted")
    assert states(charts["coverage"], HOME) > states(clean["coverage"], HOME)
    assert states(charts["coverage"], "us-east-1") == states(clean["coverage"], "us-east-1")
    assert "missing" in str(charts["chain"]["table"])
    assert "missing" not in str(clean["chain"]["table"])


def test_what_could_not_be_listed_is_open_and_no_gap(drawn):
    charts = drawn("deny-list-object-versions")
    assert states(charts["coverage"], HOME) == {"could not be judged"} or "judged" in str(charts["coverage"]["table"])
    assert not {"gap"} & states(charts["coverage"], HOME)


def test_encryption_is_counted_by_day_and_kind(drawn):
    kinds = {kind for row in rows(drawn("log-sse-s3")["encryption"]) for kind in map(str, row)}
    assert "SSE-S3" in str(drawn("log-sse-s3")["encryption"]["table"])
    assert kinds
    clean, spoilt = (drawn(*faults)["encryption"]["alt"] for faults in ((), ("log-sse-s3",)))
    assert clean != spoilt


def test_lag_and_key_use_are_measured(drawn):
    charts = drawn()
    assert sum(int(row[1]) for row in rows(charts["lag"])) > 5
    hours = {row[0] for row in rows(charts["key_use"])}
    assert len(hours) >= 4
    assert f"{datetime(2026, 1, 15, 9, tzinfo=UTC):%Y-%m-%d}" in str(hours)


@pytest.mark.parametrize("faults", [("no-trail",), ("bucket-gone",), ("digests-all-deleted",)], ids=" ".join)
def test_where_nothing_was_delivered_every_chart_still_says_so(faults, drawn):
    for chart in drawn(*faults).values():
        assert chart["alt"]
        assert chart["svg"].startswith("<svg")
