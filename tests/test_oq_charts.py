"""What the figures of an operational qualification draw, say and leave to their tables."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import pytest
from fixtures.sample_record import HOSTILE

from kit.errors import RenderError
from kit.present import oq_charts
from kit.present.axes import time_axis
from kit.present.coverage_drawing import STATES
from kit.present.displays import Display, html
from kit.present.encryption_drawing import KINDS
from kit.present.figures import LOOKS, WIDTH, canvas, drawing, width_of
from kit.present.svg import svg_uri

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
PAGE = 222 / 25.4 * 72  # points: the tallest image of a printed record
OWN, ACCEPTED, OTHER, SERVICE, BARE, UNREAD = KINDS
REGIONS = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ap-south-1", "ap-northeast-1", "ap-northeast-2",
    "ap-northeast-3", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1",
    "eu-west-2", "eu-west-3", "sa-east-1",
)  # fmt: skip


class Box(NamedTuple):
    """A filled shape or a text of a drawing: its extent in points, with its fill or its words."""

    left: float
    top: float
    right: float
    bottom: float
    what: str


def shapes(chart: Display) -> list[Box]:
    """Return the filled shapes of a drawing, its ground left out."""
    found = []
    for path in _tree(chart).findall(".//{*}path"):
        style, points = path.get("style", ""), re.findall(r"[\d.]+ [\d.]+", path.get("d", ""))
        if fill := re.search(r"fill: (#\w+)", style):
            xs, ys = zip(*(map(float, point.split()) for point in points), strict=True)
            found.append(Box(min(xs), min(ys), max(xs), max(ys), fill[1]))
    return found[1:]


def strokes(chart: Display, width: str) -> list[Box]:
    """Return the extent of each line of a width, with its colour; of lines drawn as one shape, each for itself."""
    found = []
    for path in _tree(chart).findall(".//{*}path"):
        style, data = path.get("style", ""), path.get("d", "")
        if f"stroke-width: {width};" in f"{style};" and "fill: none" in style:
            # A hatching is one whole; marks are single.
            for part in [data] if width == "0.45" else data.split("M")[1:]:
                points = [tuple(map(float, point.split())) for point in re.findall(r"[\d.]+ [\d.]+", part)]
                xs, ys = zip(*points, strict=True)
                colour = re.search(r"stroke: (#\w+)", style)[1]  # type: ignore[index]
                found.append(Box(min(xs), min(ys), max(xs), max(ys), colour))
    return found


def texts(chart: Display) -> list[Box]:
    """Return the texts of a drawing with the extent of their letters."""
    found = []
    for text in _tree(chart).findall(".//{*}text"):
        style, words = text.get("style", ""), text.text or ""
        size = float(re.search(r"([\d.]+)px", style)[1])  # type: ignore[index]
        left, base = float(text.get("x", 0)), float(text.get("y", 0))
        wide = width_of(words, size, "bold" if re.search(r"\b(700|bold)\b", style) else "normal") * 72
        found.append(Box(left, base - 0.73 * size, left + wide, base, words))
    assert found, "a drawing without a word would pass for empty"
    return found


def words(chart: Display) -> list[str]:
    return [text.what for text in texts(chart)]


def of_look(chart: Display, style: str) -> list[Box]:
    """Return the shapes of a look, but for the one in the legend, which is 0.22 inches wide."""
    found = [box for box in shapes(chart) if box.what == LOOKS[style].fill]
    return [box for box in found if box.right - box.left != pytest.approx(0.22 * 72, abs=0.01)]


def _tree(chart: Display) -> ET.Element:
    return ET.fromstring(chart.data["svg"])  # noqa: S314 - drawn by the kit


def hours(number: int, start: datetime = START) -> list[datetime]:
    return [start + n * HOUR for n in range(number)]


def states(number: int, **where: tuple[int, ...]) -> list[str]:
    return [next((state for state, at in where.items() if n in at), "covered") for n in range(number)]


def day(number: int) -> str:
    return f"{START + number * 24 * HOUR:%Y-%m-%d}"


def chain_of(name: str, *breaks: tuple[float, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {name: [(START, START + 24 * HOUR, "24 digests")]}, {
        name: [(START + at * HOUR, kind) for at, kind in breaks]
    }


def key_use(counts: dict[int, int]) -> Display:
    return oq_charts.key_use({START + at * HOUR: number for at, number in counts.items()})


def _many_chains() -> Display:
    rows = {f"gxp-trail {region}": [(START, START + 24 * HOUR, "24 digests")] for region in REGIONS}
    breaks = {name: [(START + n * HOUR, "restart")] for n, name in enumerate(rows)}
    return oq_charts.chain(rows, breaks, START, START + 24 * HOUR)


CASES: dict[str, Callable[[], Display]] = {
    "coverage-clean": lambda: oq_charts.coverage({"eu-west-1": states(24)}, hours(24)),
    "coverage-regions": lambda: oq_charts.coverage(
        {region: states(24, gap=(n,), open=(n + 3, n + 4), pending=(22, 23)) for n, region in enumerate(REGIONS)},
        hours(24),
    ),
    "coverage-60-rows": lambda: oq_charts.coverage(
        {f"{210987654321 + n} eu-west-1": states(48, gap=(n,) if n < 40 else ()) for n in range(60)}, hours(48)
    ),
    "coverage-month": lambda: oq_charts.coverage({"eu-west-1": states(720, gap=(300,), open=(719,))}, hours(720)),
    "coverage-year": lambda: oq_charts.coverage({"eu-west-1": states(8760, gap=(0, 4000))}, hours(8760)),
    "coverage-empty": lambda: oq_charts.coverage({}, []),
    "coverage-hostile": lambda: oq_charts.coverage({HOSTILE: states(24, gap=(3,)), "漢字 $x$": states(24)}, hours(24)),
    "encryption-day": lambda: oq_charts.encryption({day(0): {OWN: 412}}),
    "encryption-kinds": lambda: oq_charts.encryption(
        {day(0): dict.fromkeys(KINDS, 250), day(1): dict.fromkeys(KINDS, 1), day(2): {OWN: 9000, BARE: 1}, day(3): {}}
    ),
    "encryption-month": lambda: oq_charts.encryption({day(n): {OWN: 900 + n, UNREAD: n % 2} for n in range(31)}),
    "encryption-decade": lambda: oq_charts.encryption({day(n): {OWN: 1000 + n} for n in range(3650)}),
    "encryption-empty": lambda: oq_charts.encryption({}),
    "encryption-hostile": lambda: oq_charts.encryption({HOSTILE: {OWN: 3}}),
    "lag": lambda: oq_charts.lag({0: 1, 2: 220, 3: 410, 4: 380, 5: 300, 6: 120, 9: 4, 14: 1}),
    "lag-one": lambda: oq_charts.lag({4: 1}),
    "lag-tail": lambda: oq_charts.lag({3: 410, 4: 380, 4310: 2}),
    "lag-wide": lambda: oq_charts.lag({n: 1 + n % 7 for n in range(300)}),
    "lag-negative": lambda: oq_charts.lag({-2: 3, 0: 5, 5: 1}),
    "lag-empty": lambda: oq_charts.lag({}),
    "chain-clean": lambda: oq_charts.chain(*chain_of("gxp-trail eu-west-1"), START, START + 24 * HOUR),
    "chain-breaks": lambda: oq_charts.chain(
        *chain_of("gxp-trail eu-west-1", (3, "missing"), (4, "missing"), (12, "link"), (23.9, "restart")),
        START, START + 24 * HOUR,
    ),
    "chain-many-breaks": lambda: oq_charts.chain(
        *chain_of("gxp-trail eu-west-1", *((n / 2, "link") for n in range(48))), START, START + 24 * HOUR
    ),
    "chain-regions": _many_chains,
    "chain-60-rows": lambda: oq_charts.chain({f"trail-{n}": [] for n in range(60)}, {}, START, START + 9000 * HOUR),
    "chain-minutes": lambda: oq_charts.chain(*chain_of("a", (0, "link")), START + HOUR / 4, START + HOUR / 2),
    "chain-empty": lambda: oq_charts.chain({}, {}, START, START + HOUR),
    "chain-hostile": lambda: oq_charts.chain(*chain_of(HOSTILE, (5, HOSTILE), (6, "$")), START, START + 24 * HOUR),
    "key-day": lambda: key_use({0: 26, 1: 1, 2: 0, 3: 17, 7: 9, 23: 5}),
    "key-month": lambda: key_use({n: 20 for n in range(720) if n % 100}),
    "key-hour": lambda: key_use({0: 12}),
    "key-empty": lambda: key_use({}),
}  # fmt: skip
each_case = pytest.mark.parametrize("name", CASES)


@cache
def drawn(name: str) -> Display:
    """Return the chart of a case, drawn once for all tests."""
    return CASES[name]()


@each_case
def test_chart_is_the_same_each_time_and_plain(name: str) -> None:
    chart = drawn(name)
    assert chart == CASES[name]()
    assert svg_uri(chart.data["svg"]).startswith("data:image/svg+xml;base64,")
    assert "clip-path" not in chart.data["svg"]
    assert html(chart)


@each_case
def test_drawing_stays_on_one_page_and_within_its_edges(name: str) -> None:
    chart = drawn(name)
    wide, tall = (float(part) for part in _tree(chart).get("viewBox", "").split()[2:])
    assert wide == pytest.approx(WIDTH * 72)
    assert tall < PAGE
    for box in shapes(chart) + texts(chart):
        assert box.left > -0.5, box
        assert box.top > -0.5, box
        assert box.right < wide + 0.5, box
        assert box.bottom < tall + 0.5, box


@each_case
def test_no_text_runs_into_another(name: str) -> None:
    found = texts(drawn(name))
    for n, one in enumerate(found):
        for other in found[:n]:
            apart = (
                one.left >= other.right or other.left >= one.right or one.top >= other.bottom or other.top >= one.bottom
            )
            assert apart, (one, other)


@each_case
def test_no_mark_runs_through_a_text(name: str) -> None:
    chart = drawn(name)
    for stroke in strokes(chart, "1.1") + strokes(chart, "1.8"):
        for text in texts(chart):
            crossed = (
                text.left < stroke.left < text.right and stroke.top < text.bottom - 1 and text.top + 1 < stroke.bottom
            )
            inside_bar = re.fullmatch(r"[\d,]+ digests", text.what)  # a break may well stand at the middle of its bar
            assert not crossed or inside_bar, (stroke, text)


@pytest.mark.parametrize("number", [0.2, 1, 2, 7, 15, 25, 45, 49, 60, 100, 170, 400, 1000, 3000, 90_000])
def test_labels_of_a_time_axis_stand_apart_whatever_its_length(number: float) -> None:
    figure, axes = canvas(4)
    start = START.replace(hour=0)
    time_axis(axes, (0.5, WIDTH - 0.02, 0, 1), start, start + number * HOUR)
    found = texts(Display("chart", {"title": "", "alt": "", "svg": drawing(figure), "table": {}}))
    for line in {round(text.bottom) for text in found}:
        row = sorted(text for text in found if round(text.bottom) == line)
        assert all(one.right + 3 < other.left for one, other in pairwise(row)), row


def test_hatching_fills_its_box_and_stays_in_it() -> None:
    chart = drawn("encryption-kinds")
    for style, _ in KINDS.values():
        look = LOOKS[style]
        boxes = [box for box in shapes(chart) if box.what == look.fill and box.bottom - box.top > 9]
        assert boxes
        hatched = [stroke for stroke in strokes(chart, "0.45") if stroke.what == look.edge and look.hatch]
        for box in boxes if look.hatch else []:
            # A square cap reaches beyond the end of its line by half the width of the line.
            assert any(
                box.left - 0.1 <= stroke.left < box.left + 6 and box.right - 6 < stroke.right <= box.right + 0.1
                and box.top - 0.1 <= stroke.top and stroke.bottom <= box.bottom + 0.1
                for stroke in hatched
            ), (style, box)  # fmt: skip


@each_case
def test_table_has_a_cell_for_each_column(name: str) -> None:
    table = drawn(name).data["table"]
    assert all(
        len(row) == len(table["columns"]) and all(isinstance(cell, str) for cell in row) for row in table["rows"]
    )


@pytest.mark.parametrize("name", [name for name in CASES if name.endswith("-empty")])
def test_empty_chart_says_that_nothing_was_measured(name: str) -> None:
    chart = drawn(name)
    assert chart.data["alt"] == "Nothing was measured."
    assert words(chart) == ["Nothing was measured."]
    assert chart.data["table"]["rows"] == []


@pytest.mark.parametrize("name", [name for name in CASES if name.endswith("-hostile")])
def test_hostile_text_stays_text_and_is_visible(name: str) -> None:
    chart = drawn(name)
    shown = " ".join([chart.data["alt"], *(cell for row in chart.data["table"]["rows"] for cell in row)])
    assert "⟨U+202E⟩" in shown
    assert not re.search("[\x00\x1b\u202e\ufeff]", shown + chart.data["svg"])
    assert any(text.startswith("</script><script>") or "</script><s" in text for text in words(chart))


PINNED: dict[str, tuple[list[str], dict[str, int]]] = {
    "coverage-clean": (
        ["eu-west-1", "covered", "One cell is 1 hour, and shows the worst of it.",
        "2026-11-02 09:00 to 2026-11-03 09:00 UTC.", "2026-11-02",
         "2026-11-03", *(f"{hour % 24:02}:00" for hour in range(10, 34, 2))],
        {"pass": 2},
    ),
    "encryption-kinds": (
        [day(0), day(1), day(2), day(3), "1 not encrypted", "9,000", "no objects", *KINDS,
         "250 trail's key, 250 accepted key, 250 another key, 250 SSE-S3, 250 not encrypted, 250 not read",
         "1 trail's key, 1 accepted key, 1 another key, 1 SSE-S3, 1 not encrypted, 1 not read",
         "One bar is a day (UTC); numbers of objects."],
        {"own-key": 4, "accepted-key": 3, "other-key": 3, "service-key": 3, "no-key": 4, "unread": 3},
    ),
    "lag": (
        ["median 4 min", "95th percentile 6 min", "maximum 14 min", "Logs", "0", "200", "400",
         *(str(minute) for minute in range(15)), "1", "220", "410", "380", "300", "120", "4", "1",
         "Minutes from the newest event in a log to its delivery."],
        {"bar": 8},
    ),
    "chain-breaks": (
        ["gxp-trail eu-west-1", "24 digests", "✗ missing ×2", "✗ link", "✗ restart", "unbroken",
         "✗ a break, and its kind", "2026-11-02 09:00 to 2026-11-03 09:00 UTC.", "2026-11-02", "2026-11-03",
         *(f"{hour % 24:02}:00" for hour in range(10, 34, 2))],
        {"own-key": 2},
    ),
    "key-day": (
        ["GenerateDataKey calls", "0", "10", "20", "26", "1", "0", "17", "9", "5", "– not counted", "– not counted",
         "calls in 1 hour", "– not counted (18 hours)", "2026-11-02 09:00 to 2026-11-03 09:00 UTC.", "2026-11-02",
         "2026-11-03", *(f"{hour % 24:02}:00" for hour in range(10, 34, 2))],
        {"bar": 6, "none": 3},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PINNED)
def test_drawing_holds_exactly_these_words_and_shapes(name: str) -> None:
    expected, looks = PINNED[name]
    chart = drawn(name)
    assert sorted(words(chart)) == sorted(expected)
    fills = {LOOKS[style].fill: 0 for style in looks}
    fills.update((LOOKS[style].fill, fills[LOOKS[style].fill] + number) for style, number in looks.items())
    assert Counter(box.what for box in shapes(chart) if box.what in fills) == fills


def test_looks_of_one_chart_differ_in_lightness_or_drawing_and_their_text_can_be_read() -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for look in LOOKS.values():
        low, high = sorted((luminance(look.fill), luminance(look.text)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, look
    for styles in ([style for style, _ in KINDS.values()], [sign.style for sign in STATES.values()], ["bar", "tail"]):
        looks = [LOOKS[style] for style in styles]
        # Without its colours, each is told by its line or hatching, or is far lighter or darker.
        grey = [(look.line, look.hatch, round(luminance(look.fill) * 4)) for look in looks]
        assert len(set(grey)) == len(looks), styles


def test_coverage_marks_the_hours_of_each_state() -> None:
    row = states(24, gap=(7, 8, 9), open=(12,), pending=(22, 23))
    chart = oq_charts.coverage({"eu-west-1": row}, hours(24))
    plot = of_look(chart, "pass")
    left, right = min(box.left for box in plot), max(box.right for box in of_look(chart, "unread"))
    hour = (right - left) / 24
    for style, begin, end in [("fail", 7, 10), ("doubt", 12, 13), ("unread", 22, 24)]:
        (box,) = of_look(chart, style)
        assert (box.left - left) / hour == pytest.approx(begin, abs=0.1)
        assert (box.right - left) / hour == pytest.approx(end, abs=0.1)
    assert {"✗ 3 h", "?", "– 2 h"} <= set(words(chart))


def test_coverage_counts_in_words_and_lists_runs_of_hours() -> None:
    row = states(24, gap=(7, 8, 9), open=(12,), pending=(22, 23))
    chart = oq_charts.coverage({"eu-west-1": row, "eu-west-2": states(24)}, hours(24))
    assert chart.data["alt"] == (
        "Coverage of 2 places in 24 hours, 2026-11-02 09:00 UTC to 2026-11-03 09:00 UTC; hours summed over the places: "
        "42 covered, 2 not yet due, 1 could not be judged, 3 gap. With a gap: eu-west-1 (3 hours). "
        "With hours that could not be judged: eu-west-1 (1 hour)."
    )
    assert chart.data["table"]["rows"] == [
        ["eu-west-1", "covered", "2026-11-02 09:00 UTC", "2026-11-02 16:00 UTC", "7"],
        ["eu-west-1", "gap", "2026-11-02 16:00 UTC", "2026-11-02 19:00 UTC", "3"],
        ["eu-west-1", "covered", "2026-11-02 19:00 UTC", "2026-11-02 21:00 UTC", "2"],
        ["eu-west-1", "could not be judged", "2026-11-02 21:00 UTC", "2026-11-02 22:00 UTC", "1"],
        ["eu-west-1", "covered", "2026-11-02 22:00 UTC", "2026-11-03 07:00 UTC", "9"],
        ["eu-west-1", "not yet due", "2026-11-03 07:00 UTC", "2026-11-03 09:00 UTC", "2"],
        ["eu-west-2", "covered", "2026-11-02 09:00 UTC", "2026-11-03 09:00 UTC", "24"],
    ]


@pytest.mark.parametrize(
    ("in_one_day", "style"),
    [
        pytest.param({"gap": (40,), "open": (41,), "pending": (42,)}, "fail", id="gap"),
        pytest.param({"open": (41,), "pending": (42,)}, "doubt", id="open"),
        pytest.param({"pending": (42,)}, "unread", id="pending"),
    ],
)
def test_worst_state_wins_in_a_cell_of_several_hours(in_one_day: dict[str, tuple[int, ...]], style: str) -> None:
    chart = oq_charts.coverage({"eu-west-1": states(720, **in_one_day)}, hours(720))
    others = {"fail", "doubt", "unread"} - {style}
    (box,) = of_look(chart, style)
    plot = of_look(chart, "pass")
    left, right = min(box.left for box in plot), max(box.right for box in plot)
    # Hour 40 is 2026-11-04 01:00: the cell is that day, 39 to 63 hours after the beginning.
    assert (box.left - left) / (right - left) * 720 == pytest.approx(39, abs=3)
    assert (box.right - left) / (right - left) * 720 == pytest.approx(63, abs=3)
    assert not [box for other in others for box in of_look(chart, other)]
    assert "One cell is 24 hours, and shows the worst of them." in words(chart)
    assert "A cell is 24 hours, and shows the worst state in them." in chart.data["alt"]


@pytest.mark.parametrize("at", [0, 719], ids=["first-hour", "last-hour"])
def test_gap_in_a_part_of_a_day_at_either_end_is_seen(at: int) -> None:
    start = START.replace(hour=23 if at == 0 else 1)
    chart = oq_charts.coverage({"eu-west-1": states(720, gap=(at,))}, hours(720, start))
    (gap,) = of_look(chart, "fail")
    assert gap.right - gap.left > 4
    assert gap.right < WIDTH * 72
    assert "✗" in words(chart)


def test_coverage_of_many_rows_draws_the_worst_and_keeps_all_in_the_table() -> None:
    rows = {f"place {n:02}": states(24, gap=(3,) if n == 57 else (), open=(5,) if n == 50 else ()) for n in range(60)}
    chart = oq_charts.coverage(rows, hours(24))
    assert [text for text in words(chart) if text.startswith("place")][:3] == ["place 57", "place 50", "place 00"]
    assert sum(text.startswith("place") for text in words(chart)) == 40
    assert "Worst first; 20 more in the table" in words(chart)
    assert {row[0] for row in chart.data["table"]["rows"]} == set(rows)


@pytest.mark.parametrize(
    ("rows", "when"),
    [
        pytest.param({"a": states(23)}, hours(24), id="too-few-states"),
        pytest.param({"a": [*states(23), "partly"]}, hours(24), id="unknown-state"),
        pytest.param({"a": states(24)}, [*hours(23), START + 24 * HOUR], id="hour-left-out"),
        pytest.param({"a": states(1)}, [datetime(2026, 11, 2, 9)], id="no-time-zone"),  # noqa: DTZ001 - the point
    ],
)
def test_coverage_that_would_mislead_is_refused(rows: dict[str, list[str]], when: list[datetime]) -> None:
    with pytest.raises(RenderError, match="can't be drawn"):
        oq_charts.coverage(rows, when)


def test_moments_of_another_zone_are_shown_in_utc() -> None:
    zone = timezone(timedelta(hours=2))
    assert oq_charts.coverage({"a": states(24)}, hours(24, START.astimezone(zone))) == oq_charts.coverage(
        {"a": states(24)}, hours(24)
    )


def test_encryption_counts_each_kind_and_names_the_days_to_look_at() -> None:
    chart = oq_charts.encryption({day(1): {OWN: 9, OTHER: 2}, day(0): {OWN: 1400, ACCEPTED: 20}})
    assert chart.data["alt"] == (
        "1,431 objects in 2 days, 2026-11-02 to 2026-11-03: 1,409 SSE-KMS, trail's key, 20 SSE-KMS, accepted key, "
        "2 SSE-KMS, another key, 0 SSE-S3, 0 not encrypted, 0 not read. "
        "Days with objects that are under no accepted key, or not read: 2026-11-03."
    )
    assert chart.data["table"]["rows"] == [
        ["2026-11-02", "1,400", "20", "0", "0", "0", "0", "1,420"],
        ["2026-11-03", "9", "0", "2", "0", "0", "0", "11"],
    ]


def test_parts_of_a_bar_stand_in_order_and_to_scale() -> None:
    numbers = dict(zip(KINDS, (600, 500, 400, 300, 200, 100), strict=True))
    chart = oq_charts.encryption({day(0): dict(reversed(numbers.items()))})
    bars = [min(of_look(chart, style), key=lambda box: box.top) for style, _ in KINDS.values()]
    assert [box.left for box in bars[1:]] == pytest.approx([box.right for box in bars[:-1]], abs=0.1)
    scale = (bars[0].right - bars[0].left) / 600
    assert [(box.right - box.left) / scale for box in bars] == pytest.approx(list(numbers.values()), abs=2)
    assert {"600", "500", "400", "300", "200", "100"} <= set(words(chart))


def test_single_object_beside_thousands_is_seen_and_written() -> None:
    chart = oq_charts.encryption({day(0): {OWN: 50_000, BARE: 1}})
    (box,) = of_look(chart, "no-key")
    assert box.right - box.left > 3
    assert "1 not encrypted" in words(chart)


def test_encryption_of_more_than_a_month_is_drawn_by_month_and_listed_by_day() -> None:
    chart = oq_charts.encryption({day(n): {OWN: 10} for n in range(60)})
    assert [text for text in words(chart) if text.startswith("202")] == ["2026-11", "2026-12"]
    assert {"290", "310"} <= set(words(chart))
    assert len(chart.data["table"]["rows"]) == 60


def test_newest_months_are_drawn_when_not_all_fit() -> None:
    months = [text for text in words(drawn("encryption-decade")) if text.startswith("20")]
    assert (months[0], months[-1], len(months)) == ("2034-04", "2036-10", 31)
    assert "… 89 earlier in the table" in words(drawn("encryption-decade"))


def test_unknown_kind_of_encryption_is_refused() -> None:
    with pytest.raises(RenderError, match="a kind of encryption is unknown"):
        oq_charts.encryption({day(0): {"SSE-C": 1}})


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({4: 1}, "1 log: median 4 min, 95th percentile 4 min, maximum 4 min", id="one"),
        pytest.param({1: 1, 2: 1}, "2 logs: median 1 min, 95th percentile 2 min, maximum 2 min", id="two"),
        pytest.param({3: 95, 9: 5}, "100 logs: median 3 min, 95th percentile 3 min, maximum 9 min", id="just-95"),
        pytest.param({3: 94, 9: 6}, "100 logs: median 3 min, 95th percentile 9 min, maximum 9 min", id="just-not-95"),
        pytest.param({9: 1, 3: 2, 50: 0}, "3 logs: median 3 min, 95th percentile 9 min, maximum 9 min", id="unsorted"),
    ],
)
def test_lag_states_median_95th_percentile_and_maximum(counts: dict[int, int], expected: str) -> None:
    chart = oq_charts.lag(counts)
    assert expected in chart.data["alt"]
    assert set(expected.split(": ")[1].split(", ")) <= set(words(chart))


def test_late_logs_are_one_bar_at_the_end_and_single_in_the_table() -> None:
    chart = oq_charts.lag({3: 40, 4: 60, 700: 1, 4310: 2})
    assert {"over 15", "maximum 4,310 min", "3"} <= set(words(chart))
    (late,) = of_look(chart, "tail")
    assert late.left > max(box.right for box in of_look(chart, "bar"))
    assert chart.data["table"]["rows"] == [["3", "40"], ["4", "60"], ["700", "1"], ["4,310", "2"]]


@pytest.mark.parametrize("name", ["lag", "lag-wide", "lag-negative"])
def test_bars_of_the_histogram_hold_every_log(name: str) -> None:
    chart = drawn(name)
    bars = of_look(chart, "bar")
    total = sum(int(number.replace(",", "")) for _, number in chart.data["table"]["rows"])
    labels = [
        text for text in texts(chart) for box in bars if abs((text.left + text.right) - (box.left + box.right)) < 1
    ]
    above = [text for text in labels if text.what.isdecimal() and text.bottom < max(box.bottom for box in bars) - 1]
    assert sum(int(text.what) for text in above) == total


def test_chain_draws_parts_to_scale_and_marks_breaks() -> None:
    parts = [(START, START + 6 * HOUR, "6 digests"), (START + 12 * HOUR, START + 24 * HOUR, "12 digests")]
    breaks = [(START + 6 * HOUR, "missing")]
    chart = oq_charts.chain({"a": parts}, {"a": breaks}, START, START + 24 * HOUR)
    one, other = sorted(box for box in of_look(chart, "own-key"))
    hour = (other.right - one.left) / 24
    assert (one.right - one.left, other.left - one.left) == pytest.approx((6 * hour, 12 * hour), abs=0.5)
    mark = re.search(r"M ([\d.]+) [\d.]+ \nL \1 [\d.]+ \n\" style=\"[^\"]*stroke: #a3161c", chart.data["svg"])
    assert mark
    assert float(mark[1]) == pytest.approx(one.right, abs=0.5)
    assert {"6 digests", "12 digests", "✗ missing"} <= set(words(chart))
    assert chart.data["alt"] == (
        "1 digest chain, 2026-11-02 09:00 UTC to 2026-11-03 09:00 UTC: 2 unbroken parts, 1 break (1 missing). "
        "With a break: a (1 break)."
    )
    assert chart.data["table"]["rows"] == [
        ["a", "unbroken: 6 digests", "2026-11-02 09:00 UTC", "2026-11-02 15:00 UTC"],
        ["a", "break: missing", "2026-11-02 15:00 UTC", ""],
        ["a", "unbroken: 12 digests", "2026-11-02 21:00 UTC", "2026-11-03 09:00 UTC"],
    ]


def test_parts_of_equal_chains_stand_below_one_another() -> None:
    boxes = of_look(drawn("chain-regions"), "own-key")
    assert len(boxes) == len(REGIONS)
    assert len({(box.left, box.right) for box in boxes}) == 1


def test_chain_without_any_part_is_told() -> None:
    chart = oq_charts.chain({"a": []}, {"b": [(START, "link")]}, START, START + HOUR)
    assert words(chart).count("no unbroken part") == 2
    assert "2 digest chains" in chart.data["alt"]
    assert chart.data["alt"].endswith("With a break: b (1 break). Without any unbroken part: a; b.")
    assert ["a", "no unbroken part", "2026-11-02 09:00 UTC", "2026-11-02 10:00 UTC"] in chart.data["table"]["rows"]


def test_chains_with_breaks_are_drawn_before_those_without() -> None:
    rows = {f"trail-{n:02}": [(START, START + HOUR, "1 digest")] for n in range(60)}
    chart = oq_charts.chain(rows, {"trail-59": [(START, "restart")]}, START, START + HOUR)
    shown = [text for text in words(chart) if text.startswith("trail-")]
    assert "trail-59" in shown
    assert f"The most broken are drawn; {60 - len(shown)} more in the table" in words(chart)
    assert len(chart.data["table"]["rows"]) == 61


def test_breaks_too_near_one_another_share_their_words() -> None:
    shown = [text for text in words(drawn("chain-many-breaks")) if text.startswith("✗ link")]
    assert sum(int(text.rsplit("×", 1)[-1]) if "×" in text else 1 for text in shown) == 48


@pytest.mark.parametrize("end", [START, START - HOUR], ids=["at-once", "before"])
def test_window_that_does_not_end_after_it_begins_is_refused(end: datetime) -> None:
    with pytest.raises(RenderError, match="does not end after it begins"):
        oq_charts.chain({}, {}, START, end)


def test_hour_that_was_not_counted_is_no_hour_without_a_call() -> None:
    chart = key_use({0: 26, 1: 0, 4: 5})
    assert chart.data["alt"] == (
        "31 GenerateDataKey calls by CloudTrail in 3 hours, 2026-11-02 09:00 UTC to 2026-11-02 14:00 UTC: "
        "at most 26 in an hour, 1 hour without a call, 2 hours not counted."
    )
    assert [row[1] for row in chart.data["table"]["rows"]] == ["26", "0", "5"]
    assert "– not counted (2 hours)" in words(chart)


def test_calls_within_one_hour_are_added_up() -> None:
    chart = oq_charts.key_use({START + HOUR / 4: 2, START + HOUR / 2: 3})
    assert chart.data["table"]["rows"] == [["2026-11-02 09:00 UTC", "5"]]


def test_bar_of_hours_that_were_counted_in_part_says_so() -> None:
    whole, part = key_use(dict.fromkeys(range(720), 20)), drawn("key-month")
    assert "counted in a part of its hours" in words(part)
    assert "counted in a part of its hours" not in words(whole)
    assert "calls in 24 hours" in words(part)
    assert len(of_look(part, "tail")) == 7
    assert not of_look(whole, "tail")
