"""The findings as JUnit XML: what is open is an error, and nothing that AWS or a user wrote can break the file."""

from typing import Any
from xml.etree import ElementTree as ET

import pytest

from kit.record.junit import junit_xml

RUN = {
    "protocol": {"id": "IQ", "title": "Installation"},
    "started": "2026-11-23T22:00:00.000Z",
    "run_id": "IQ-20261123T220000Z-abcdef",
}


def step(verdict: str, message: str = "It is so.", title: str = "The key") -> dict[str, Any]:
    return {"test_case": "IQ-05", "title": title, "verdict": verdict, "findings": [{"message": message}]}


def suite(*steps: dict[str, Any]) -> ET.Element:
    return ET.fromstring(junit_xml(RUN, steps))  # noqa: S314 - what we have just written


@pytest.mark.parametrize(
    ("verdict", "element", "count"),
    [
        ("PASS", None, None),
        ("FAIL", "failure", "failures"),
        ("INCONCLUSIVE", "error", "errors"),
        ("NOT_EXECUTED", "error", "errors"),
        ("NOT_APPLICABLE", "skipped", "skipped"),
        ("SOMETHING_NEW", "error", None),
    ],
)
def test_a_verdict_is_an_element_and_a_count(verdict, element, count):
    root = suite(step(verdict))
    (case,) = root.findall("testcase")
    assert [child.tag for child in case] == [*([element] if element else []), "system-out"]
    if element:
        assert case.find(element).attrib == {"message": "It is so.", "type": verdict}
    counted = {name: int(root.get(name)) for name in ("failures", "errors", "skipped")}
    assert counted == {name: int(name == count) for name in counted}
    assert root.get("tests") == "1"


def test_a_test_case_carries_its_id_and_its_run():
    (case,) = suite(step("PASS")).findall("testcase")
    assert case.get("name") == "IQ-05 The key"
    assert case.get("classname") == RUN["run_id"]


def test_several_findings_are_told_together():
    several = step("FAIL") | {"findings": [{"message": "One."}, {"message": "Two."}]}
    assert suite(several).find("testcase/failure").text == "One. Two."


@pytest.mark.parametrize("text", ["</testcase>&<!--", "nul \x00 bell \x07 esc \x1b", "lone \ud800", "￾ end"])
def test_hostile_text_stays_text(text):
    root = suite(step("FAIL", text, text))
    (case,) = root.findall("testcase")
    kept = "".join(c if c.isprintable() and c not in "\ud800￾" else f"<U+{ord(c):04X}>" for c in text)
    assert case.find("failure").text == kept
    assert case.get("name") == f"IQ-05 {kept}"


def test_no_step_is_no_failure_and_no_test():
    assert suite().get("tests") == "0"
