"""The figures of a periodic review: each says the same as its table, and the worst of a day or cell is drawn."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from fixtures.period import DAY, END, HOUR, KEY, OTHER_KEY, START, TRAIL, event, events, month, parameters

from kit.present import period_charts, review_charts
from kit.present.displays import Display
from kit.review.period import Reviewed
from kit.snapshot import Snapshot

CONTROL = {"id": "CC-1", "start": (START + 8 * DAY).isoformat(), "end": (START + 9 * DAY).isoformat(), "what": "x"}
CONTROLLED = parameters(execution={"change_controls": [CONTROL]})


def eventful() -> Snapshot:
    """Return a month in which a change was explained, another not, a day was not read, and files lie elsewhere."""
    explained = event("PutBucketPolicy", START + 8 * DAY + HOUR, "gxp-logs")
    unexplained = event("StopLogging", START + 20 * DAY, TRAIL)
    made = month(events=events(explained, unexplained))
    return replace(made, review=replace(made.review, records=tuple(map(spoilt, made.review.records))))


def spoilt(one: Reviewed) -> Reviewed:
    delivered = one.delivered.get(TRAIL)
    if delivered and START < delivered.window[0] < START + 10 * DAY:
        days = dict(delivered.days) | {date(2026, 3, 12): {KEY: 90, OTHER_KEY: 6}}
        window = (delivered.window[0] + 26 * HOUR, delivered.window[1])
        return replace(one, delivered={TRAIL: replace(delivered, window=window, days=days)})
    if one.run.protocol == "OQ" and one.run.began > START + 20 * DAY:
        return replace(one, verdicts=one.verdicts | {"OQ-08": "FAIL", "OQ-03": "INCONCLUSIVE"})
    return one


PERIOD: dict[str, Callable[[], Display]] = {
    "timeline": lambda: period_charts.timeline(eventful()),
    "changes": lambda: period_charts.changes(eventful(), CONTROLLED),
    "days": lambda: period_charts.coverage(eventful(), parameters()),
    "objects": lambda: period_charts.objects(eventful(), parameters()),
}


def rows(display: Display) -> list[list[str]]:
    return display.data["table"]["rows"]


def test_the_timeline_has_each_verdict_of_each_run_of_the_period():
    shown = period_charts.timeline(eventful())
    failed = [row for row in rows(shown) if row[3] == "FAIL"]
    assert [row[0] for row in failed] == ["OQ-08"]  # the runs behind the period are not of it
    assert "Failed at some time: OQ-08." in shown.data["alt"]
    assert len(rows(shown)) == 11 + 3 * 9


def test_changes_are_told_with_the_change_control_or_that_there_is_none():
    told = {row[0]: (row[1], row[2]) for row in rows(period_charts.changes(eventful(), CONTROLLED)) if "by" in row[2]}
    assert told["2026-03-09"][0] == "changed under change control"
    assert told["2026-03-09"][1].endswith("under CC-1")
    assert told["2026-03-21"][0] == "changed without change control"


def test_a_day_that_no_run_read_is_told():
    shown = period_charts.coverage(eventful(), parameters())
    told = {row[0]: row[1] for row in rows(shown)}
    assert (told["2026-03-07"], told["2026-03-08"]) == ("covered", "read by no run")
    assert "Read by no run: 2026-03-08; 2026-03-09." in shown.data["alt"]


def test_objects_are_told_by_key():
    told = {row[0]: row[1:] for row in rows(period_charts.objects(eventful(), parameters()))}
    assert told["2026-03-12"] == ["90", "0", "6", "0", "0", "0", "96"]
    assert told["2026-03-13"][0] == "96"


@pytest.mark.parametrize("draw", PERIOD)
def test_a_review_that_was_not_collected_says_so(draw: str):
    empty: Any = replace(month(), review="nothing")
    shown = {
        "timeline": lambda: period_charts.timeline(empty),
        "changes": lambda: period_charts.changes(empty, parameters()),
        "days": lambda: period_charts.coverage(empty, parameters()),
        "objects": lambda: period_charts.objects(empty, parameters()),
    }[draw]()
    assert shown.data["alt"] == "Nothing was measured."


def test_of_several_runs_in_a_cell_the_worst_is_drawn():
    moment = START + timedelta(hours=1)
    one = review_charts.timeline([(moment, "a", {"IQ-01": "PASS"})], (START, END))
    both = review_charts.timeline(
        [(moment, "a", {"IQ-01": "PASS"}), (moment + HOUR, "b", {"IQ-01": "FAIL"})], (START, END)
    )
    assert "✗" in both.data["svg"]
    assert "✗" not in one.data["svg"]


def test_a_year_stays_on_one_page():
    days = {date(2026, 1, 1) + timedelta(days=number): ("covered", "") for number in range(365)}
    svg = review_charts.coverage(days).data["svg"]
    height = float(svg.partition('height="')[2].partition("pt")[0])
    assert height < 400
    assert len(rows(review_charts.coverage(days))) == 365


def test_the_same_days_give_the_same_bytes():
    assert PERIOD["days"]().data == PERIOD["days"]().data
