"""The page of an addendum: whose record it is, what deviated and how it was handled, and where that is signed."""

import re
from html import unescape
from unittest.mock import patch

import pytest

from kit.render.addendum import render_addendum

RESOURCE = "arn:aws:kms:eu-west-1:123456789012:key/4d2f"
ADDENDUM = {
    "schema": 2, "number": 1, "record_id": "IQ-20261128T085126Z-e7ab00", "record_digest": "ab" * 32,
    "demonstration": False, "page_size": "A4", "cause": "It was never turned on.", "impact": "None: one key.",
    "action": "It is turned on.", "decision": "Accepted.", "author": "Dr. Mira Novák", "account": "mnovak",
    "time": "2026-11-28T09:30:00.000Z", "kit_version": "0.1.0", "register": {"number": 4, "sha256": "cd" * 32},
    "record": {
        "system_id": "SYS-0042", "environment": "production", "aws_account": "111122223333", "protocol": "VP-2026-017",
        "protocol_version": "1.0", "verdict": "INCONCLUSIVE",
    },
    "deviation": {
        "id": "DEV-01", "test_case": "IQ-06", "title": "The key rotates", "criticality": "major", "verdict": "FAIL",
        "resource": RESOURCE, "message": "It does not rotate.", "met": {"rotation": False},
        "expected": {"rotation": "every year"}, "actual": {"rotation": "never"},
        "evidence": [f"E{number:04}" for number in range(1, 60, 2)],
    },
}  # fmt: skip


@pytest.fixture
def page(tmp_path):
    """Renders an addendum that is otherwise as ADDENDUM, without its PDF, and returns its HTML."""

    def rendered(**members):
        with patch("kit.render.addendum.render_pdf", return_value=b""):
            render_addendum(tmp_path, ADDENDUM | members, "ef" * 32)
        return (tmp_path / "addendum.html").read_text("utf-8")

    return rendered


def text_of(html):
    body = re.sub(r"<[^>]*>", " ", html[html.index("<body") :])
    return re.sub(r"\s+([.,:;])", r"\1", " ".join(unescape(body).split()))


def test_it_says_whose_record_it_is_and_what_that_came_to(page):
    told = text_of(page())
    for part in (
        "System SYS-0042", "Environment production", "AWS account 111122223333", "Protocol VP-2026-017, version 1.0",
        "Record IQ-20261128T085126Z-e7ab00", "Verdict of the record ? INCONCLUSIVE", "ab" * 32,
    ):  # fmt: skip
        assert part in told, part


def test_it_says_what_deviated_with_every_evidence_id(page):
    told = text_of(page())
    for part in (
        "DEV-01 Test case IQ-06: The key rotates ✗ FAIL", "It does not rotate.", "Criticality ▲▲ major",
        f"Resource {RESOURCE}", "rotation every year never ✗ not met", *ADDENDUM["deviation"]["evidence"],
    ):  # fmt: skip
        assert part in told, part


def test_it_says_how_it_was_handled(page):
    assert "Cause It was never turned on. Impact None: one key. Action It is turned on. Decision Accepted." in text_of(
        page()
    )


def test_the_decision_can_be_signed_by_hand(page):
    html = page()
    told = text_of(html)
    assert (
        "Role Printed name Signature Date and time (UTC) Meaning Stated by Dr. Mira Novák Reviewed by Approved by"
        in told
    )
    assert html.count('data-label="Signature"></td>') == 3


def test_an_account_of_the_computer_is_no_printed_name(page):
    told = text_of(page(author="mnovak"))
    assert "Stated by mnovak Account of the computer mnovak" in told
    assert "Meaning Stated by Reviewed by" in told


def test_an_addendum_of_an_earlier_version_is_rendered_and_says_what_it_does_not_state(page):
    first = ("id", "test_case", "verdict", "expected", "actual", "message")
    with patch.dict(ADDENDUM):
        del ADDENDUM["record"]
        told = text_of(page(schema=1, deviation={name: ADDENDUM["deviation"][name] for name in first}))
    for part in ("System not stated", "Verdict of the record not stated", "Resource not stated", "Evidence not stated"):
        assert part in told, part
    assert "rotation every year never" in told


@pytest.mark.browser
def test_no_id_in_the_title_is_broken_on_a_narrow_screen(page, opened, tmp_path):
    page()
    shown = opened(tmp_path / "addendum.html", 360)
    ids = shown.locator("h1 .tk-nowrap")
    assert ids.all_inner_texts() == ["DEV-01", "IQ-06"]
    assert [one.evaluate("one => one.getClientRects().length") for one in ids.all()] == [1, 1]
    assert shown.evaluate("document.documentElement.scrollWidth") == 360
