"""What a display shows in JupyterLab and in a record."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from fixtures.sample_record import BUCKET, HOSTILE, KEY, TRAIL, displays, evidence, finding, poisoned, step, steps

from kit.errors import RenderError
from kit.findings import Verdict
from kit.present import charts
from kit.present.displays import MIME, REQUIRED, Display, html, read_displays
from kit.present.svg import svg_uri
from kit.present.templating import lab_stylesheet, stylesheet, template_text
from kit.present.text import LIMIT, cut, plain, slug, visible
from kit.present.values import value, wide
from kit.present.words import bytes_text, moment, runs

PLAN = {
    "sha256": "7b" * 32,
    "account": "111122223333",
    "steps": [
        {"id": "encrypt", "title": "Encrypt the trail's logs under the expected key", "mends": ["IQ-04"],
         "service": "cloudtrail", "operation": "UpdateTrail", "region": "eu-central-1", "parameters": {},
         "command": "aws cloudtrail update-trail --name t --kms-key-id k", "diff": ["-null", "+true"],
         "risk": "What is delivered can be read with this key alone.", "undo": "aws cloudtrail update-trail --name t",
         "may_stop_delivery": True},
    ],
    "left": [{"test_case": "IQ-07", "resource": "key", "message": "It is too open.", "advice": ["Narrow it by hand."]}],
    "verdicts": [{"test_case": "IQ-04", "now": "FAIL", "afterwards": "PASS"}],
}  # fmt: skip
CHANGES = {
    "plan": "7b" * 32, "approved": "7b" * 32, "change_control": "CC-2026-004", "confirmed": ["encrypt"],
    "steps": [{"step": "encrypt", "title": "Encrypt", "outcome": "done", "message": "", "date": "Mon, 02 Nov 2026",
               "evidence": ["E0012"]}],
    "delivery": "The latest log was delivered.", "evidence": ["E0013"], "remaining": ["Start logging"],
}  # fmt: skip
RUNS = {
    "note": "The register is not whole: entry 3 is missing.",
    "rows": [
        {"record_id": "IQ-20261102T091400Z-0a1b2c", "protocol": "IQ", "began": "2026-11-02T09:14:00.000Z",
         "state": "finished", "outcome": "PASS", "digest": "5e" * 32, "holds": "yes"},
        {"record_id": "OQ-20261103T091400Z-0a1b2c", "protocol": "OQ", "began": "2026-11-03T09:14:00.000Z",
         "state": "aborted", "outcome": "", "digest": "", "holds": "no record"},
    ],
}  # fmt: skip
SAMPLES = {display.kind: display for _, _, display in displays()} | {
    "plan": Display("plan", PLAN),
    "changes": Display("changes", CHANGES),
    "runs": Display("runs", RUNS),
    "error": Display("error", {"message": "No credentials.", "remedy": "Name a profile."}),
}
ALLOWED = {
    "a", "bdi", "br", "caption", "code", "details", "div", "figcaption", "figure", "h3", "h4", "img", "li", "p", "pre",
    "section", "span", "strong", "summary", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


class Tags(HTMLParser):
    """Collects the elements and attributes of a page, as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def shown(kind: str, data: dict[str, Any]) -> str:
    """Return the text that a display shows, its stylesheet left out."""
    return Tags(html(Display(kind, data)).split("</style>", 1)[1]).text


@pytest.mark.parametrize("kind", sorted(REQUIRED))
def test_display_escapes_hostile_text_everywhere(kind: str) -> None:
    page = html(Display(kind, poisoned(dict(SAMPLES[kind].data))))
    tags = Tags(page.split("</style>", 1)[1])
    assert {tag for tag, _ in tags.found} <= ALLOWED
    assert not [name for _, attrs in tags.found for name in attrs if name.startswith("on") or name == "style"]
    assert not [attrs["href"] for tag, attrs in tags.found if tag == "a"]
    assert not re.search("[\x00\x1b\u202e\u202c\ufeff]", page)
    if kind != "chart":
        assert "<script>alert(1)</script>" in tags.text
        assert "⟨U+202E⟩" in tags.text


@pytest.mark.parametrize("kind", sorted(REQUIRED))
def test_display_saves_json_html_and_text(kind: str) -> None:
    bundle = SAMPLES[kind]._repr_mimebundle_()
    assert set(bundle) == {MIME, "text/html", "text/plain"}
    assert json.loads(json.dumps(bundle))[MIME] == {"kind": kind, "data": json.loads(json.dumps(SAMPLES[kind].data))}
    assert bundle["text/plain"].startswith(kind)


@pytest.mark.parametrize(
    "character",
    ["\x00", "\x1b", "\x85", "\u00ad", "\u061c", "\u200b", "\u200f", "\u2028", "\u202e", "\u2066", "\ue000", "\ufeff",
     "\ud800", "\U000e0041", "\U0010ffff"],
    ids=lambda character: f"U+{ord(character):04X}",
)  # fmt: skip
def test_hidden_character_is_written_out(character: str) -> None:
    name = f"⟨U+{ord(character):04X}⟩"
    assert plain(f"a{character}b") == f"a{name}b"
    assert visible(f"<a{character}") == f'&lt;a<span class="tk-hidden">{name}</span>'


def test_ordinary_text_is_left_alone() -> None:
    text = "Grüße, Ελλάδα, 漢字, עברית\tand\na line"
    assert plain(text) == text
    assert str(visible("one\r\ntwo")) == "one\ntwo"


def test_long_text_is_cut_and_says_where_the_whole_is() -> None:
    assert str(cut("x" * LIMIT, "evidence E0012")) == "x" * LIMIT
    shown_text = str(cut("x" * 10_000, "evidence E0012"))
    assert "(10,000 characters; whole in evidence E0012)" in shown_text
    assert len(shown_text) < 1_000


@pytest.mark.parametrize(
    ("json_value", "expected"),
    [
        pytest.param(None, "not set", id="nothing"),
        pytest.param(True, "true", id="true"),
        pytest.param("true", '"true"', id="text-true"),
        pytest.param(90, "90", id="number"),
        pytest.param("90", '"90"', id="text-number"),
        pytest.param("", "empty text", id="empty-text"),
        pytest.param("none", "none", id="text-none"),
        pytest.param("123456789012", "123456789012", id="account"),
        pytest.param([], "none", id="empty-list"),
        pytest.param({}, "none", id="empty-object"),
        pytest.param(["a", "b"], "ab", id="list"),
        pytest.param({"mode": "COMPLIANCE", "days": 30}, "mode COMPLIANCEdays 30", id="object"),
        pytest.param([{"ID": "a", "Days": 1}], "ID a; Days 1", id="brief-object-in-list"),
    ],
)
def test_value_reads_as_what_it_is(json_value: Any, expected: str) -> None:
    assert Tags(str(value(json_value))).text == expected


@pytest.mark.parametrize(
    ("json_value", "expected"),
    [
        pytest.param("x" * 121, True, id="text"),
        pytest.param("x" * 120, False, id="shorter-text"),
        pytest.param(["short"] * 50, False, id="many-short"),
        pytest.param([{"one": ["x" * 121]}], True, id="deep"),
        pytest.param(10**200, False, id="number"),
        pytest.param(None, False, id="nothing"),
    ],
)
def test_what_is_too_long_for_a_column(json_value: Any, expected: bool) -> None:
    assert wide(json_value) is expected


def test_long_list_folds_and_endless_value_ends() -> None:
    assert "<summary>13 items</summary>" in value(list(range(13)))
    endless = value([{"deep": [[n] * 20]} for n in range(10_000)], "evidence E0001")
    assert len(endless) < 60_000
    assert "more; whole in evidence E0001" in endless
    nested: Any = "x"
    for _ in range(200):
        nested = [nested]
    assert "x" in value(nested)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_verdict_is_told_by_word_and_glyph(verdict: Verdict) -> None:
    glyphs = {"PASS": "✓", "FAIL": "✗", "INCONCLUSIVE": "?", "NOT_APPLICABLE": "–", "NOT_EXECUTED": "○"}
    text = shown("step", step("IQ-05", verdict, []))
    assert f"{glyphs[verdict]} {verdict.replace('_', ' ')}" in text


def test_shapes_of_verdicts_differ_without_colour() -> None:
    css = stylesheet()
    assert re.search(r"\.tk-badge\.tk-pass \{[^}]*border-radius", css)
    assert re.search(r"\.tk-badge\.tk-open \{[^}]*border-style: dashed", css)
    assert re.search(r"\.tk-badge\.tk-none \{[^}]*border-style: dotted", css)


def test_step_card_shows_expected_actual_and_met() -> None:
    conditions = {
        "key state": ("Enabled", "Disabled", False),
        "rotation": (True, None, None),
        "usage": ("E", "E", True),
    }
    one = finding("IQ-05", "FAIL", KEY, conditions=conditions, message="The key is disabled.", evidence=["E0007"])
    text = shown("step", step("IQ-05", "FAIL", [one]))
    assert "key state Enabled Disabled ✗ not met" in re.sub(r"(?<=[a-z])(?=Enabled|Disabled|✗)", " ", text)
    for part in ("? could not be judged", "✓ met", "The key is disabled.", "E0007", KEY, "Acceptance criterion",
                 "2026-11-02 09:14:05 UTC", "EU GMP Annex 11:2011 7.1"):  # fmt: skip
        assert part in text


def spaced(kind: str, data: dict[str, Any]) -> str:
    """Return the text that a display shows, a space between its elements."""
    return " ".join(re.sub("<[^>]*>", " ", html(Display(kind, data)).split("</style>", 1)[1]).split())


def _passed(number: int, **more: Any) -> dict[str, Any]:
    conditions = {"key state": ("Enabled", "Enabled", True), "rotation": ("at most 365", 90 + number, True)}
    observed = {"Origin": "AWS_KMS", "NextRotationDate": f"2027-10-{number + 10}"}
    return finding(
        "IQ-05", "PASS", f"{KEY}-{number}", conditions=conditions, observations=observed,
        message=f"Key {number} is enabled.", evidence=[f"E{number:04}"],
    ) | more  # fmt: skip


def test_findings_that_passed_alike_are_told_once_with_what_each_has_of_its_own() -> None:
    text = spaced("step", step("IQ-05", "PASS", [_passed(number) for number in range(1, 6)]))
    assert text.count("5 resources alike ✓ PASS") == 1
    assert text.count("key state Enabled Enabled ✓ met") == 1
    assert text.count("rotation at most 365 by resource, below ✓ met") == 1
    assert text.count("Origin AWS_KMS") == 1
    for number in range(1, 6):
        own = f"rotation {90 + number} observed: NextRotationDate 2027-10-{number + 10}"
        assert f"{KEY}-{number} Key {number} is enabled. {own} E{number:04}" in text


def test_finding_is_told_on_its_own_unless_it_passed_like_others() -> None:
    others = [_passed(number) for number in range(1, 6)]
    failed = finding("IQ-05", "FAIL", BUCKET, message="The key of the bucket is disabled.")
    unlike = _passed(9, resource=TRAIL, expected={"key state": "Enabled", "rotation": "at most 9999"})
    text = spaced("step", step("IQ-05", "FAIL", [*others, failed, unlike]))
    first, second, rest = (
        text.index(told) for told in (f"Resource {BUCKET}", f"Resource {TRAIL}", "5 resources alike")
    )
    assert first < second < rest
    few = spaced("step", step("IQ-05", "PASS", others[:3]))
    assert few.count("Resource arn") == 3
    assert "alike" not in few


def _outcome(number: int, expected: str = "", **more: Any) -> dict[str, Any]:
    told = expected or f"refused: reason {number}"
    return finding(
        "TQ-06", "PASS", f"deed {number}", conditions={"outcome": (told, told, True)},
        message=f"deed {number}: the outcome is the one that is due.", evidence=["E0007"],
    ) | more  # fmt: skip


def test_findings_that_passed_on_one_condition_each_are_rows_with_what_was_expected_of_each() -> None:
    shown_ = [_outcome(number) for number in range(1, 5)]
    shown_[2] |= {"observations": {"status": 3}}
    text = spaced("step", step("TQ-06", "PASS", shown_))
    assert text.count("4 resources alike ✓ PASS … : the outcome is the one that is due.".replace("… :", "…:")) == 1
    assert text.count("Resource outcome: expected Actual value deed 1") == 1
    for number in (1, 2, 4):
        assert f"deed {number} refused: reason {number} refused: reason {number} " in text
    assert "deed 3 refused: reason 3 refused: reason 3 status 3" in text
    assert text.count("E0007") == 1


def test_rows_tell_what_only_some_of_them_say_and_rest_on() -> None:
    shown_ = [_outcome(number, message=f"Reason {number}.", evidence=[f"E{number:04}"]) for number in range(1, 5)]
    text = spaced("step", step("TQ-06", "PASS", shown_))
    for number in range(1, 5):
        assert f"deed {number} refused: reason {number} refused: reason {number} Reason {number}. E{number:04}" in text


def test_a_long_value_is_in_no_row() -> None:
    shown_ = [_outcome(number, expected=f"refused: {number}" + "x" * 300) for number in range(1, 5)]
    assert spaced("step", step("TQ-06", "PASS", shown_)).count("Resource deed") == 4


def test_many_short_members_run_on_and_are_cut_with_their_number() -> None:
    one = finding("TQ-07", "PASS", "trailkit", observations={"packages": {f"p{n:03}": "1.0" for n in range(400)}})
    text = spaced("step", step("TQ-07", "PASS", [one]))
    assert "p000 1.0 , p001 1.0 ," in text
    found = re.search(r"… (\d+) more; whole in", text)
    assert found
    assert text.count(" 1.0 ") == 400 - int(found[1])


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE"])
def test_findings_that_did_not_pass_are_never_told_together(verdict: str) -> None:
    text = spaced("step", step("IQ-05", verdict, [finding("IQ-05", verdict, f"{KEY}-{each}") for each in range(9)]))
    assert text.count("Resource arn") == 9


def test_test_case_that_a_requirement_names_elsewhere_is_told() -> None:
    elsewhere = [{"requirement": "URS-018", "test_cases": ["OQ-04", "OQ-05"]}]
    row = {"source": "21 CFR Part 11", "clause": "11.10(c)", "test_case": "IQ-05", "verdict": "PASS"}
    text = spaced("traceability", {"rows": [row], "elsewhere": elsewhere})
    assert "Not judged in this record, though a requirement names it: URS-018 OQ-04, OQ-05." in text


def test_much_evidence_of_a_clause_is_left_to_the_findings_of_its_test_case() -> None:
    row = {"source": "21 CFR Part 11", "clause": "11.10(c)", "test_case": "IQ-05", "verdict": "PASS"}
    odd = [f"E{number:04}" for number in range(1, 40, 2)]
    text = spaced("traceability", {"rows": [row | {"evidence": odd}]})
    assert "E0021 , E0023 ; the others are with the findings of the test case" in text
    assert "E0025" not in text
    assert "the others" not in spaced("traceability", {"rows": [row | {"evidence": odd[:12]}]})


def test_long_value_of_a_finding_points_to_its_evidence() -> None:
    one = finding("IQ-05", "FAIL", KEY, conditions={"tag": ("a", "y" * 3_000, False)}, evidence=["E0012"])
    assert "(3,000 characters; whole in evidence E0012, and in findings.json)" in shown(
        "step", step("IQ-05", "FAIL", [one])
    )


@pytest.mark.parametrize(
    ("demonstration", "stamp"),
    [(True, "DEMONSTRATION"), (None, "ORIGIN NOT STATED"), ("no", "ORIGIN NOT STATED"), (False, "")],
)
def test_run_is_stamped_unless_it_says_it_is_no_demonstration(demonstration: Any, stamp: str) -> None:
    text = shown("run", dict(SAMPLES["run"].data) | {"demonstration": demonstration})
    assert stamp in text
    assert ("no GxP evidence" in text) is bool(stamp)


def test_missing_particulars_are_shown_as_not_stated() -> None:
    text = shown("run", {"run_id": "r", "protocol": {"id": "IQ", "title": "T"}, "demonstration": False})
    assert "Executed by not stated" in re.sub(r"(?<=by)(?=not)", " ", text)
    assert "Started not stated" in re.sub(r"(?<=ed)(?=not)", " ", text)


def test_error_card_tells_what_to_do() -> None:
    assert "No credentials. What to do Name a profile." in shown("error", dict(SAMPLES["error"].data))


def _without(kind: str, name: str) -> dict[str, Any]:
    return {key: item for key, item in SAMPLES[kind].data.items() if key != name}


@pytest.mark.parametrize(
    ("kind", "data", "problem"),
    [
        pytest.param("poem", {}, "kind is unknown", id="unknown-kind"),
        pytest.param("run", _without("run", "demonstration"), "lacks demonstration", id="no-demonstration"),
        pytest.param("step", _without("step", "verdict"), "lacks verdict", id="no-verdict"),
        pytest.param("step", step("IQ-05", "pass"), "'pass' is no verdict", id="no-such-verdict"),
        pytest.param("step", step("IQ-05", "PASS", [{}]), "finding 1: it lacks", id="empty-finding"),
        pytest.param("step", step("IQ-05", "PASS", [finding("IQ-05", "PASS", KEY, met={"x": True})]),
                     "lack an expected or an actual value", id="condition-without-values"),
        pytest.param("step", step("IQ-05", "PASS", [finding("IQ-05", "PASS", KEY, conditions={"a": (1, 1, "yes")})]),
                     "neither met, nor unmet, nor open", id="met-is-text"),
        pytest.param("summary", {"rows": [{"test_case": "IQ-01", "title": "t"}], "verdict": "PASS"},
                     "row 1: it lacks verdict", id="row-without-verdict"),
        pytest.param("step", step("IQ-05", "PASS", clauses=["Annex 11"]), "can't be shown", id="clause-is-text"),
    ],
)  # fmt: skip
def test_display_that_would_mislead_is_refused(kind: str, data: dict[str, Any], problem: str) -> None:
    with pytest.raises(RenderError, match=re.escape(problem)):
        html(Display(kind, data))


def test_displays_are_read_in_the_order_of_the_cells() -> None:
    def output(kind: str) -> dict[str, Any]:
        return {"output_type": "display_data", "data": {MIME: {"kind": kind, "data": dict(SAMPLES[kind].data)}}}

    foreign = {"output_type": "execute_result", "data": {"text/plain": "1"}}
    cells = [
        {"cell_type": "code", "outputs": [output("run"), foreign, output("step")]},
        {"cell_type": "markdown", "source": "x"},
        {"cell_type": "code", "outputs": [output("conclusion")]},
    ]
    assert [display.kind for display in read_displays({"cells": cells})] == ["run", "step", "conclusion"]


@pytest.mark.parametrize(
    "notebook",
    [
        {},
        {"cells": "x"},
        {"cells": [{"outputs": [{"data": {MIME: "x"}}]}]},
        {"cells": [{"outputs": [{"data": {MIME: {"kind": "run"}}}]}]},
    ],
    ids=["no-cells", "cells-are-text", "payload-is-text", "no-data"],
)
def test_malformed_notebook_is_refused(notebook: dict[str, Any]) -> None:
    with pytest.raises(RenderError):
        read_displays(notebook)


@pytest.mark.parametrize(
    "svg",
    [
        "<p>no drawing</p>",
        "<svg><script>alert(1)</script></svg>",
        "<svg><image href='file:///etc/passwd'/></svg>",
        "<svg><use xlink:href='https://example.org/x.svg#a'/></svg>",
        "<svg onload='alert(1)'></svg>",
        "<svg><style>@import 'https://example.org/x.css';</style></svg>",
        "<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>",
        "<svg><foreignObject><p>x</p></foreignObject></svg>",
    ],
)
def test_drawing_that_is_more_than_shapes_is_refused(svg: str) -> None:
    with pytest.raises(RenderError, match="no plain drawing"):
        svg_uri(svg)


@pytest.mark.parametrize("draw", [charts.verdicts_by_requirement, charts.controls_by_trail])
def test_chart_is_the_same_each_time_and_safe(draw: Any) -> None:
    first = draw(steps())
    assert first == draw(steps())
    assert svg_uri(first.data["svg"]).startswith("data:image/svg+xml;base64,")
    assert "<metadata" not in first.data["svg"]


@pytest.mark.parametrize("draw", [charts.verdicts_by_requirement, charts.controls_by_trail])
@pytest.mark.parametrize(
    "rows", [[], [step("$IQ_5$", "PASS", [finding("x", "PASS", HOSTILE)])]], ids=["empty", "hostile"]
)
def test_chart_takes_whatever_the_steps_hold(draw: Any, rows: list[Any]) -> None:
    assert svg_uri(draw(rows).data["svg"])


def test_chart_of_verdicts_counts_and_names_the_failed_clauses() -> None:
    chart = charts.verdicts_by_requirement(steps())
    assert "2 FAIL, 1 INCONCLUSIVE, 1 NOT EXECUTED, 6 PASS, 1 NOT APPLICABLE" in chart.data["alt"]
    assert (
        "Clauses with a FAIL: 21 CFR Part 11 11.10(c); EU GMP Annex 11:2011 7.1; EU GMP Annex 11:2011 17."
        in chart.data["alt"]
    )
    assert ["EU GMP Annex 11:2011", "17", "IQ-10", "FAIL"] in chart.data["table"]["rows"]
    assert "✗ IQ-10" in chart.data["svg"]


def test_chart_of_conditions_keeps_the_worst_and_leaves_the_unjudged_empty() -> None:
    met, unmet = finding("IQ-05", "PASS", TRAIL), finding("IQ-05", "FAIL", TRAIL)
    other = finding("IQ-08", "INCONCLUSIVE", KEY, conditions={"validation": (True, None, None)})
    chart = charts.controls_by_trail([step("IQ-05", "FAIL", [met, unmet, met]), step("IQ-08", "INCONCLUSIVE", [other])])
    assert [TRAIL, "IQ-05  key state", "not met"] in chart.data["table"]["rows"]
    assert "0 met, 1 not met, 1 could not be judged, 2 not judged" in chart.data["alt"]


def test_chart_with_many_rows_stays_on_one_page_and_says_what_it_leaves_out() -> None:
    conditions = {f"condition {n}": (1, 1, True) for n in range(120)}
    chart = charts.controls_by_trail([step("IQ-05", "PASS", [finding("IQ-05", "PASS", TRAIL, conditions=conditions)])])
    height = float(re.search(r'height="([\d.]+)pt"', chart.data["svg"])[1])  # type: ignore[index]
    assert height < 228 / 25.4 * 72
    assert "… 68 more in the table" in chart.data["svg"]
    assert len(chart.data["table"]["rows"]) == 120


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
        red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["style.css", "dark.css"])
def test_text_has_the_contrast_that_wcag_asks_for(theme: str) -> None:
    """WCAG 2.2, 1.4.3 (AA): at least 4.5 to 1 for text."""
    tokens = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+);", template_text("kit.present", theme)))
    grounds = {"fail": ["fail-tint"], "pass": ["pass-tint"], "open": ["open-tint"], "na": ["na-tint"]}
    for name in ("ink", "soft", "link", "accent", "pass", "fail", "open", "na"):
        for ground in ["paper", "tint", *grounds.get(name, [])]:
            assert _contrast(tokens[name], tokens[ground]) >= 4.5, (name, ground)
    for ground in ("fail-tint", "open-tint"):
        assert _contrast(tokens["ink"], tokens[ground]) >= 4.5
        assert _contrast(tokens["soft"], tokens[ground]) >= 4.5
    assert _contrast("#ffffff", tokens["fail-solid"]) >= 4.5


def test_stylesheet_touches_only_displays_of_the_kit() -> None:
    body = re.sub(r"@media[^{]*\{", "", lab_stylesheet())
    for selectors in re.findall(r"(?:^|\})\s*([^{}]+)\{", body):
        for selector in selectors.split(","):
            assert re.match(r"(\[data-jp-theme-light=\"\w+\"\] |\.vscode-\w+ )?\.trailkit\b", selector.strip()), (
                selector
            )


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([], []),
        (["E0001", "E0002"], [("E0001", ""), ("E0002", "")]),
        (["E0001", "E0004", "E0005", "E0006", "E0009"], [("E0001", ""), ("E0004", "E0006"), ("E0009", "")]),
        (["x", "E0011", "E0009", "E0010"], [("E0009", "E0011"), ("x", "")]),
        (
            ["E0010", "E0007.10", "E0008", "E0007.09", "E0007", "E0007.08", "E0009"],
            [("E0007", ""), ("E0007.08", "E0007.10"), ("E0008", "E0010")],
        ),
        (["E0003.01.03", "E0003.01.02"], [("E0003.01.02", ""), ("E0003.01.03", "")]),
        (["E10001", "E9999", "E10000"], [("E9999", "E10001")]),
    ],
)
def test_unbroken_runs_of_evidence_are_drawn_together(ids: list[str], expected: list[tuple[str, str]]) -> None:
    assert runs(ids) == expected


def test_moments_and_sizes_read_plainly() -> None:
    assert moment("2026-11-02T09:14:05.120Z") == "2026-11-02 09:14:05 UTC"
    assert moment(None) == moment("") == "not stated"
    assert moment("yesterday\u202e") == "yesterday⟨U+202E⟩"
    assert [bytes_text(n) for n in (1, 812, 14_200, 3_100_000)] == ["1 byte", "812 bytes", "14.2 kB", "3.1 MB"]


def test_slug_gives_different_texts_different_ids() -> None:
    assert slug("E0007") == "E0007"
    assert slug('a"b') != slug("a b")
    assert all(re.fullmatch(r"[\w.-]+", slug(entry.id)) for entry in evidence(3))


def test_the_runs_of_a_period_are_told_with_verdict_and_digest() -> None:
    told = shown("runs", RUNS)
    assert "IQ-20261102T091400Z-0a1b2c" in told
    assert "5e" * 32 in told
    assert "2026-11-02 09:14:00 UTC" in told
    assert re.search(r"PASS\s+finished\s*yes", told)
    assert "aborted" in told
    assert "entry 3 is missing" in told


def test_change_controls_stand_on_the_card_of_the_run_with_what_they_cover() -> None:
    control = {"id": "CC-7", "start": "2026-01-01T00:00:00.000Z", "end": "2026-01-02T00:00:00.000Z",
               "what": "another reader", "events": ["PutKeyPolicy"], "resources": None}  # fmt: skip
    told = shown("run", dict(SAMPLES["run"].data) | {"change_controls": [control]})
    assert "CC-7" in told
    assert "2026-01-01 00:00:00 UTC" in told
    assert "another reader" in told
    assert "events: PutKeyPolicy" in told
