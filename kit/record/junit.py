"""The findings as JUnit XML, for the test tab of a CI system: one test case element a test case of the protocol."""

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from kit.canonical import Json

# characters that XML 1.0 can't hold at all (XML 1.0, production 2)
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(run: Mapping[str, Json], steps: Sequence[Mapping[str, Json]]) -> bytes:
    """Return JUnit XML of all steps of a run: FAIL is a failure, what is open an error, NOT_APPLICABLE skipped."""
    suite = ET.Element(
        "testsuite",
        name=_text(f"{run['protocol']['id']} {run['protocol']['title']}"),
        timestamp=_text(run["started"]),
        tests=str(len(steps)),
        failures=str(_count(steps, "FAIL")),
        errors=str(_count(steps, "INCONCLUSIVE", "NOT_EXECUTED")),
        skipped=str(_count(steps, "NOT_APPLICABLE")),
    )
    for step in steps:
        name = _text(f"{step['test_case']} {step['title']}")
        case = ET.SubElement(suite, "testcase", name=name, classname=_text(run["run_id"]))
        message = _text(" ".join(finding["message"] for finding in step["findings"]))
        element = {"FAIL": "failure", "PASS": None, "NOT_APPLICABLE": "skipped"}.get(step["verdict"], "error")
        if element:
            ET.SubElement(case, element, message=message, type=step["verdict"]).text = message
        ET.SubElement(case, "system-out").text = message
    ET.indent(suite)
    return bytes(ET.tostring(suite, encoding="utf-8", xml_declaration=True))


def _count(steps: Sequence[Mapping[str, Json]], *verdicts: str) -> int:
    return sum(step["verdict"] in verdicts for step in steps)


def _text(text: Json) -> str:
    return _FORBIDDEN.sub(lambda match: f"<U+{ord(match[0]):04X}>", str(text))
