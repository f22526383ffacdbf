"""Measures the rendering of large records: time and memory as findings and evidence grow, each size in a new process.

Run it with `make bench`. A record of the whole size has 500 findings on 20,000 answers of 1 to 4 kB: a tenth did not
pass, a tenth expects what no other does, the others passed alike, with an actual value of their own each. Page and PDF
are made of its folder as sealing makes them, every answer attached.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from fixtures.runs import close_record
from fixtures.sample_record import BUCKET, KEY, TRAIL, finding, notebook, step
from nbformat import NotebookNode

from kit.canonical import sha256_file
from kit.evidence import EvidenceStore
from kit.present.charts import controls_by_trail, verdicts_by_requirement
from kit.present.displays import MIME, Display
from kit.record.manifest import EVIDENCE, HTML, MANIFEST, NOTEBOOK, PDF, SUMS, read_manifest, sums_text
from kit.render.context import Attachment, RecordContext, attach_evidence, evidence_entries
from kit.render.html import render_html
from kit.render.pdf import render_pdf

SIZES = ((125, 5_000), (250, 10_000), (500, 20_000))
CASES = 11
RESOURCES = (TRAIL, KEY, BUCKET)
BIN = Path(sys.executable).parent


def make(folder: Path, findings: int, entries: int) -> None:
    """Make a folder with the evidence, the executed notebook and the manifest of a record."""
    store = EvidenceStore(folder / EVIDENCE)
    for number in range(entries):
        service, operation, body = _answer(number)
        moment = f"2026-11-02T09:{number // 600 % 60:02d}:{number // 10 % 60:02d}.{number % 10}00Z"
        store.add(
            body, service=service, operation=operation, region="eu-central-1", reader="", attempt=1, sent=moment,
            parameters={"KeyId": f"{KEY[:-5]}{number:05d}"}, received=moment, status=200,
            request_id=f"7a1c{number:04x}-1111-2222-3333-{number:012d}", date="Mon, 02 Nov 2026 09:14:02 GMT",
        )  # fmt: skip
    (folder / NOTEBOOK).write_text(json.dumps(_notebook(findings, entries)), encoding="utf-8")
    names = [NOTEBOOK, *(f"{EVIDENCE}/{path.name}" for path in (folder / EVIDENCE).iterdir())]
    close_record(folder, names)


def _answer(number: int) -> tuple[str, str, bytes]:
    """Return service, operation and body of an answer: two of three are JSON, one of three is XML."""
    some = 3 + number % 8
    if number % 3 == 2:
        rules = "".join(
            f"<Rule><ID>keep-{number}-{rule}</ID><Status>Enabled</Status><Filter><Prefix>AWSLogs/{rule}/</Prefix>"
            f"</Filter><Transition><Days>{rule + 90}</Days><StorageClass>GLACIER</StorageClass></Transition></Rule>"
            for rule in range(some * 2)
        )
        name = "GetBucketLifecycleConfiguration"
        return "s3", name, f"<?xml version='1.0'?><LifecycleConfiguration>{rules}</LifecycleConfiguration>".encode()
    statements = [
        {"Sid": f"Statement{number}-{one}", "Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"},
         "Action": ["kms:GenerateDataKey*", "kms:DescribeKey"], "Resource": "*",
         "Condition": {"StringEquals": {"aws:SourceArn": TRAIL}}} for one in range(some)
    ]  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return "kms", "GetKeyPolicy", json.dumps({"Policy": policy, "PolicyName": "default"}).encode()


def _notebook(findings: int, entries: int) -> NotebookNode:
    """Return an executed notebook whose test cases hold the findings, each resting on some of the evidence."""
    each = entries // findings
    steps, rows = [], []
    for case in range(1, CASES + 1):
        name = f"IQ-{case:02d}"
        made = [_finding(name, number, each) for number in range(case - 1, findings, CASES)]
        steps.append(step(name, "FAIL" if any(one["verdict"] == "FAIL" for one in made) else "PASS", made))
        rows += [{"id": f"DEV-{len(rows) + at:02d}", **one} for at, one in enumerate(
            (one for one in made if one["verdict"] != "PASS"), start=1)]  # fmt: skip
    displays = {
        "deviations": Display("deviations", {"rows": rows}),
        "traceability": Display("traceability", {"rows": [
            {"source": clause["source"], "clause": clause["clause"], "test_case": one["test_case"],
             "verdict": one["verdict"], "evidence": [entry for found in one["findings"] for entry in found["evidence"]]}
            for one in steps for clause in one["clauses"]]}),
    }  # fmt: skip
    waiting = iter([Display("step", one) for one in steps])
    charts = iter([verdicts_by_requirement(steps), controls_by_trail(steps)])
    node = notebook()
    for output in (output for cell in node.cells for output in cell.get("outputs", [])):
        kind = output.data[MIME]["kind"]
        shown: Any = next(waiting) if kind == "step" else next(charts) if kind == "chart" else displays.get(kind)
        if shown is not None:
            output.data = shown._repr_mimebundle_()
    return node


def _finding(case: str, number: int, each: int) -> dict[str, Any]:
    verdict, judged = ("FAIL", False) if number % 10 == 3 else ("PASS", True)
    conditions = {
        "key state": ("Enabled", "Enabled" if judged else "Disabled", judged),
        "key manager": ("CUSTOMER", "CUSTOMER", True),
        "rotation period in days": ("at most 365", 90 + number % 276, True),
    }
    if number % 10 == 7:
        conditions["alias"] = (f"alias/audit-{number}", f"alias/audit-{number}", True)
    cited = [f"E{number * each + one:04d}" for one in range(1, each + 1)]
    return finding(
        case, verdict, f"{RESOURCES[number % 3]}-{number}", evidence=cited, conditions=conditions,
        message=f"The key of resource {number} is {'enabled' if judged else 'disabled'}, managed by the customer.",
    )  # fmt: skip


def measure(folder: Path) -> dict[str, float]:
    """Render page and PDF of a folder, and return seconds, bytes, and peak memory in MiB."""
    node = json.loads((folder / NOTEBOOK).read_bytes())
    manifest = read_manifest(folder)
    record = RecordContext(
        record_id=manifest["record_id"], record_digest=sha256_file(folder / MANIFEST), sealed=True,
        evidence=evidence_entries(folder / EVIDENCE), created="2026-11-02T09:14:10Z", manifest=manifest,
    )  # fmt: skip
    start = time.perf_counter()
    page = render_html(node, record)
    (folder / HTML).write_text(page, encoding="utf-8")
    rendered = time.perf_counter()
    files = [Attachment(name, folder / name, "part of the record") for name in (MANIFEST, NOTEBOOK)]
    content = render_pdf(page, record, [*files, *attach_evidence(folder / EVIDENCE, record.evidence)])
    (folder / PDF).write_bytes(content)
    printed = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (folder / SUMS).write_text(sums_text(folder), encoding="utf-8")
    return {
        "HTML s": rendered - start, "HTML MB": len(page.encode()) / 1e6,
        "PDF s": printed - rendered, "PDF MB": len(content) / 1e6, "memory MiB": memory,
    }  # fmt: skip


def main() -> None:
    rows = []
    for findings, entries in SIZES:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "record"
            make(folder, findings, entries)
            done = subprocess.run([sys.executable, __file__, folder], check=True, capture_output=True, text=True)
            rows.append(json.loads(done.stdout))
            start = time.perf_counter()
            subprocess.run([BIN / "trailkit", "verify", folder], check=True, stdout=subprocess.DEVNULL)
            rows[-1]["verify s"] = time.perf_counter() - start
    print(f"{'findings, evidence':>18}" + "".join(f"{name:>12}" for name in rows[0]))
    for (findings, entries), row in zip(SIZES, rows, strict=True):
        print(f"{f'{findings}, {entries:,}':>18}" + "".join(f"{value:12.2f}" for value in row.values()))
    for small, large in pairwise(rows):
        print(f"{'twice that: times':>18}" + "".join(f"{large[name] / small[name]:12.2f}" for name in small))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(Path(sys.argv[1]))))
    else:
        main()
