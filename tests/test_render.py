"""The record as a page and as a PDF: what a reader sees, and what an archive needs."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pikepdf
import pypdf
import pytest
from fixtures.sample_record import DIGEST, HOSTILE, TRAIL, context, evidence, finding, hostile_notebook, notebook, step
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from kit.errors import EvidenceError, RenderError
from kit.evidence import EvidenceStore
from kit.present.displays import Display
from kit.record.signatures.places import BOXES, PAGES
from kit.render.bodies import readable
from kit.render.context import Attachment, EvidenceEntry, RecordContext, attach_evidence, evidence_entries
from kit.render.html import css_text, render_html
from kit.render.pdf import render_pdf

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

STOPPED = new_output("error", ename="E", evalue="v", traceback=["\x1b[31mboom"])


class Page(HTMLParser):
    """A page as a browser would see it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: text or "" for name, text in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, name: str) -> list[str]:
        return [attrs[name] for _, attrs in self.found if name in attrs]


def shown(*displays: Display, **more: Any) -> str:
    """Return the page of a notebook that shows these displays."""
    outputs = [new_output("display_data", data=display._repr_mimebundle_()) for display in displays]
    return render_html(new_notebook(cells=[new_code_cell("x", execution_count=1, outputs=outputs)]), context(**more))


def run(**more: Any) -> Display:
    return Display("run", {"run_id": "IQ-1", "protocol": {"id": "IQ", "title": "T"}, "demonstration": False} | more)


def conclusion(verdict: str, **more: Any) -> Display:
    data = {"run_id": "IQ-1", "verdict": verdict, "findings_sha256": "a", "evidence_sha256": "b",
            "finished": "2026-11-02T09:14:09.000Z"}  # fmt: skip
    return Display("conclusion", data | more)


def cover(html: str) -> str:
    return Page(html[html.index('<header class="tk-cover">') : html.index("</header>")]).text


@pytest.fixture(scope="module")
def html() -> str:
    return render_html(notebook(), context())


@pytest.fixture(scope="module")
def attachments() -> list[Attachment]:
    return [
        Attachment("record.ipynb", b'{"cells": []}', "Executed notebook", "application/x-ipynb+json", "Source"),
        Attachment("manifest.json", b"{}", "Manifest", "application/json", "Supplement"),
        Attachment("evidence/E0001-sts-GetCallerIdentity.xml", b"<a/>", "Raw response", "application/xml"),
    ]


@pytest.fixture(scope="module")
def pdf(html: str, attachments: list[Attachment]) -> bytes:
    return render_pdf(html, context(), attachments)


@pytest.fixture(scope="module")
def sheets(pdf: bytes) -> list[str]:
    return [" ".join(sheet.extract_text().split()) for sheet in pypdf.PdfReader(io.BytesIO(pdf)).pages]


# The page


def test_page_is_the_same_for_the_same_input(html: str) -> None:
    assert render_html(notebook(), context()) == html


def test_page_asks_for_nothing(html: str) -> None:
    page = Page(html)
    tags = {tag for tag, _ in page.found}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base", "video", "audio"}
    assert all(source.startswith("data:image/") for source in page.all("src"))
    assert all(address.startswith(("#", "https://docs.aws.amazon.com/")) for address in page.all("href"))
    style = html[html.index("<style>") + 7 : html.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
    policy = next(attrs["content"] for tag, attrs in page.found if attrs.get("http-equiv") == "Content-Security-Policy")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; font-src data:;")
    assert not [attrs for _, attrs in page.found if "style" in attrs or any(name.startswith("on") for name in attrs)]


def test_every_link_leads_to_one_place(html: str) -> None:
    page = Page(html)
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    links = [address[1:] for address in page.all("href") if address.startswith("#")]
    assert set(links) <= set(ids)
    for part in ("step-", "evidence-E0007", "trace-", "results", "section-conclusion"):
        assert any(link.startswith(part) for link in links), part


def test_page_has_language_title_and_structure(html: str) -> None:
    assert html.startswith("<!doctype html>")
    assert '<html lang="en"' in html
    title = "Installation qualification of CloudTrail log encryption"
    assert f"<title>{title}: IQ-20261102T091401Z-7f3a</title>" in html
    assert re.findall(r"<h1>(.*?)</h1>", html) == [title]
    levels = [int(tag[1]) for tag, _ in Page(html).found if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_page_shows_what_an_inspector_looks_for(html: str) -> None:
    text = Page(html).text
    for part in ("MES-DE-02", "VAL-IQ-0421", "Dr. Mira Novák", "111122223333", DIGEST, "Qualification record",
                 "URS-014", "DEV-01", "Signature", "7a1c0003-1111-2222-3333-444455556666", "03" * 32, TRAIL,
                 "11 test cases : 6 PASS, 2 FAIL, 1 INCONCLUSIVE, 1 NOT APPLICABLE, 1 NOT EXECUTED"):  # fmt: skip
        assert part.replace(" :", ":") in text.replace(" :", ":"), part
    assert "✗ FAIL Verdict of the run" in cover(html)


def test_hostile_text_stays_text(html: str) -> None:
    assert "<script" not in html
    assert "onerror=alert" not in re.sub(r"&lt;img.*?&gt;", "", html)
    assert not re.search("[\x00\x1b\u202e\u202c\ufeff]", html)
    assert "⟨U+202E⟩" in html
    assert "{{7*7}}" in html


def test_hostile_text_everywhere_stays_text() -> None:
    page = render_html(hostile_notebook(), context(record_id=HOSTILE))
    assert "<script" not in page
    assert not re.search("[\x00\x1b\u202e\u202c\ufeff]", page)
    parsed = Page(page)
    assert all(re.fullmatch(r"#[\w.-]+|https://docs\.aws\.amazon\.com/.*", address) for address in parsed.all("href"))
    assert len(parsed.all("id")) == len(set(parsed.all("id")))
    assert render_pdf(page, context(record_id=HOSTILE)).startswith(b"%PDF-1.7")


def test_html_of_the_notebook_is_never_copied() -> None:
    sample = notebook()
    for cell in sample.cells:
        for output in cell.get("outputs", []):
            output.data["text/html"] = "<b>forged PASS</b>"
    assert "forged" not in render_html(sample, context())


@pytest.mark.parametrize("name", ["record_id", "system_id"])
def test_text_on_every_sheet_cannot_leave_its_string(name: str) -> None:
    hostile = '";}</style><script>alert(1)</script>\\'
    page = shown(run(system_id=hostile), **({"record_id": hostile} if name == "record_id" else {}))
    assert page.count("</style>") == 1
    assert "<script" not in page
    assert css_text('a"b\n\\') == '"a\\000022b\\00000a\\00005c"'


@pytest.mark.parametrize(
    ("given", "stamp"),
    [
        (True, "DEMONSTRATION: sandbox account"),
        (None, "ORIGIN NOT STATED"),
        ("false", "ORIGIN NOT STATED"),
        (False, ""),
    ],
)
def test_only_a_run_that_says_so_goes_unstamped(given: Any, stamp: str) -> None:
    page = render_html(notebook(given), context())
    assert ('class="tk-strip"' in page) is bool(stamp)
    assert stamp in Page(page).text
    assert ("no GxP evidence" in page) is bool(stamp)


def test_notebook_without_a_run_is_stamped_and_warned_of() -> None:
    page = shown(conclusion("PASS"))
    assert "ORIGIN NOT STATED" in page
    assert "does not say which run this is" in cover(page)


def test_unsealed_page_says_so() -> None:
    page = render_html(notebook(False), RecordContext())
    assert "Unsealed notebook: not a record" in page
    assert "UNSEALED: not a record" in page
    assert "Qualification record" not in page


def test_last_run_of_a_notebook_counts() -> None:
    page = shown(run(system_id="FIRST", demonstration=True), run(system_id="LAST"), conclusion("PASS"))
    assert "LAST" in cover(page)
    assert "FIRST" not in cover(page)


@pytest.mark.parametrize(
    ("displays", "verdict", "warning"),
    [
        pytest.param([run(), conclusion("PASS"), Display("step", step("IQ-05", "PASS"))], "PASS", "", id="agreed"),
        pytest.param([run(), conclusion("PASS"), Display("step", step("IQ-05", "FAIL"))], "FAIL",
                     "conclusion says PASS, but its test cases give FAIL", id="conclusion-too-good"),
        pytest.param([run(), conclusion("NOT_APPLICABLE"), Display("step", step("IQ-05", "INCONCLUSIVE"))],
                     "INCONCLUSIVE", "conclusion says NOT APPLICABLE", id="open-case-concluded-away"),
        pytest.param([run(), conclusion("FAIL"), Display("step", step("IQ-05", "PASS"))], "FAIL", "",
                     id="worse-stands"),
        pytest.param([run(), conclusion("PASS"),
                      Display("step", step("IQ-05", "PASS", [finding("IQ-05", "FAIL", TRAIL)]))], "FAIL",
                     "IQ-05 says PASS, but a finding of it is worse", id="step-too-good"),
        pytest.param([run(), conclusion("PASS"), Display("step", step("IQ-05", "PASS", []))], "PASS",
                     "IQ-05 says PASS, but judged nothing", id="pass-of-nothing"),
        pytest.param([run(), conclusion("PASS"), Display("step", step("IQ-05", "PASS", [
            finding("IQ-05", "PASS", TRAIL, conditions={"key": (1, None, None)})]))], "PASS",
            "not every condition of it is met", id="pass-with-open-condition"),
        pytest.param([run(), Display("step", step("IQ-05", "PASS"))], "NOT CONCLUDED", "holds no conclusion",
                     id="no-conclusion"),
        pytest.param([run(), conclusion("PASS", findings=[finding("IQ-09", "NOT_EXECUTED", "")])], "INCONCLUSIVE", "",
                     id="test-case-not-taken"),
    ],
)  # fmt: skip
def test_cover_never_says_more_than_the_findings(displays: list[Display], verdict: str, warning: str) -> None:
    front = cover(shown(*displays))
    assert f" {verdict} " in f" {front} "
    assert ("Do not rely on this page." in front) is bool(warning)
    assert warning in front


@pytest.mark.parametrize(
    ("cell", "warning"),
    [
        (new_code_cell("x", outputs=[]), "code that was never run"),
        (new_code_cell("x", execution_count=9, outputs=[STOPPED]),
         "stopped with an error"),
    ],
    ids=["never-run", "error"],
)  # fmt: skip
def test_notebook_that_did_not_run_through_is_warned_of(cell: Any, warning: str) -> None:
    page = render_html(notebook(extra=[cell]), context())
    assert warning in cover(page)
    assert "\x1b" not in page


def test_prose_is_escaped_and_leads_only_where_expected() -> None:
    text = (
        "## A <script>alert(1)</script>\n\n<img src=x onerror=alert(2)>\n\n[go](javascript:alert(3)) "
        "[file](file:///etc/passwd) ![chart](https://example.org/x.png) <https://example.org/a> `<b>`\n\n<div>raw</div>"
    )
    page = render_html(notebook(extra=[new_markdown_cell(text)]), context())
    parsed = Page(page)
    assert "<script" not in page
    assert not [a for a in parsed.all("href") if a.startswith(("javascript", "file"))]
    assert "https://example.org/a" in parsed.all("href")
    assert "[image not part of the record: chart]" in page
    assert not any("example.org" in source for source in parsed.all("src"))
    assert "&lt;div&gt;raw&lt;/div&gt;" in page


def test_foreign_output_is_shown_as_text_or_picture_and_never_as_markup() -> None:
    outputs = [
        new_output("stream", name="stderr", text="careful <b>\n"),
        new_output("display_data", data={"text/html": "<b>forged</b>", "text/plain": "<Figure>"}),
        new_output("display_data", data={"image/png": PIXEL}),
        new_output(
            "display_data", data={"image/png": b64encode(b"<svg onload=alert(1)>").decode(), "text/plain": "no png"}
        ),
    ]
    page = render_html(notebook(extra=[new_code_cell("x", execution_count=1, outputs=outputs)]), context())
    assert "careful &lt;b&gt;" in page
    assert "&lt;Figure&gt;" in page
    assert "forged" not in page
    assert f"data:image/png;base64,{PIXEL}" in page
    assert "no png" in page
    assert sum(source.startswith("data:image/png") for source in Page(page).all("src")) == 1


def test_code_is_folded_and_the_parameters_of_the_run_are_open(html: str) -> None:
    assert "<summary>Code of cell 2</summary>" in html
    assert re.search(r"Parameters of this run</p><pre>account_id", html)


def test_of_the_parameters_those_that_the_run_was_given_are_open() -> None:
    given = new_code_cell("account_id = 2", execution_count=1, metadata={"tags": ["injected-parameters"]})
    page = render_html(notebook(extra=[given]), context())
    assert "Parameters of this run</p><pre>account_id = 2" in page
    assert "<summary>Parameters as the notebook has them</summary><pre>account_id" in page


def test_executor_has_a_place_to_sign_where_something_was_executed() -> None:
    roles = {
        executed: re.findall(r"tk-sign-box tk-sign-(\w+)", render_html(notebook(), context(executed=executed)))
        for executed in (True, False)
    }
    assert roles == {True: ["executor", "reviewer", "approver"], False: ["reviewer", "approver"]}


def test_value_too_long_for_its_column_stands_below_its_condition() -> None:
    key = "s3://logs/" + "x" * 120
    conditions = {"broken links": ("none found", [key], False), "own trail": ("true", "false", False)}
    page = shown(Display("step", step("OQ-04", "FAIL", [finding("OQ-04", "FAIL", TRAIL, conditions=conditions)])))
    start = page.index('"tk-table tk-conditions"')
    table = Page(page[start : page.index("</table>", start)]).text
    assert f"broken links none found below ✗ not met {key} own trail" in table


def test_what_was_not_read_is_not_known_and_what_was_not_asked_for_not_stated() -> None:
    conditions = {"key policy": ("readable", None, None), "kept for": (None, 30, None)}
    page = shown(Display("step", step("IQ-07", "INCONCLUSIVE", [
        finding("IQ-07", "INCONCLUSIVE", TRAIL, conditions=conditions)
    ])))  # fmt: skip
    text = Page(page).text
    assert "key policy readable not known ? could not be judged" in text
    assert "kept for not stated 30 ? could not be judged" in text


def test_a_step_shown_twice_keeps_its_own_place() -> None:
    one = Display("step", step("IQ-05", "PASS"))
    ids = Page(shown(run(), one, one, conclusion("PASS"))).all("id")
    assert len(ids) == len(set(ids))


def test_evidence_is_readable_in_place(html: str) -> None:
    text = Page(html).text
    assert '"KeyId": "1234abcd"' in text
    assert re.search(r"\(30,\d{3} characters; whole in evidence/E0014-kms-DescribeKey\.json\)", text)
    assert "no answer" in text
    assert "ConnectTimeoutError" in text
    assert "cited by IQ-04" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":1.0E3,"a":[],"b":{"c":"x,{y"}}', '{\n  "a": 1.0E3,\n  "a": [],\n  "b": {\n    "c": "x,{y"\n  }\n}'),
        ("[]", "[]"),
        ('{"a": broken', '{"a": broken'),
        ("<?xml version='1.0'?><A><B>x</B><C/></A>", "<?xml version='1.0'?>\n<A>\n  <B>x</B>\n  <C/>\n</A>"),
        ("", ""),
        ("plain text", "plain text"),
    ],
)
def test_body_is_laid_out_without_losing_a_token(text: str, expected: str) -> None:
    assert readable(text) == expected
    assert re.sub(r"\s", "", readable(text)) == re.sub(r"\s", "", text)


def test_files_of_the_manifest_are_listed() -> None:
    files = {"findings.json": {"bytes": 812, "sha256": "5a" * 32},
             "evidence/E0003-kms-DescribeKey.json": {"bytes": 1, "sha256": "00" * 32}}  # fmt: skip
    page = render_html(notebook(), context(manifest={"files": files}))
    assert "5a" * 32 in page
    assert page.count("E0003-kms-DescribeKey.json</") <= page.count("E0003-kms-DescribeKey.json")
    assert "Files of the record" in page


def test_case_shown_twice_counts_as_the_worse() -> None:
    failed, passed = Display("step", step("IQ-05", "FAIL")), Display("step", step("IQ-05", "PASS"))
    assert "1 test case: 1 FAIL" in shown(run(), failed, passed, conclusion("PASS"))


def test_summary_row_of_a_case_not_taken_stands_in_the_brief() -> None:
    rows = [
        {"test_case": "IQ-05", "title": "a", "verdict": "PASS"},
        {"test_case": "IQ-06", "title": "b", "verdict": "NOT_EXECUTED"},
    ]
    summary = Display("summary", {"rows": rows, "verdict": "INCONCLUSIVE"})
    page = shown(run(), Display("step", step("IQ-05", "PASS")), summary, conclusion("PASS"))
    assert "2 test cases: 1 PASS, 1 NOT EXECUTED" in page
    assert "INCONCLUSIVE" in cover(page)


def test_unknown_page_size_is_refused() -> None:
    with pytest.raises(RenderError, match="page size"):
        RecordContext(page_size="A4; } body { display: none")  # type: ignore[arg-type]


def test_evidence_folder_is_read_and_attached(tmp_path: Path) -> None:
    assert evidence_entries(tmp_path) == ()
    assert attach_evidence(tmp_path, ()) == []
    entry = EvidenceEntry.from_json({**vars(evidence(1)[0]), "unknown": 1})
    assert entry == evidence(1)[0]


# The PDF


def test_pdf_is_archival_and_tagged(pdf: bytes) -> None:
    with pikepdf.open(io.BytesIO(pdf)) as document:
        xmp = str(document.Root.Metadata.read_bytes(), "utf-8")
        assert re.search(r'pdfaid:part="3"|<pdfaid:part>3<', xmp)
        assert re.search(r'pdfaid:conformance="A"|<pdfaid:conformance>A<', xmp)
        assert bool(document.Root.MarkInfo.Marked)
        assert "/StructTreeRoot" in document.Root
        assert str(document.Root.Lang) == "en"
        assert str(document.docinfo["/Title"]).startswith("Installation qualification")
        assert str(document.docinfo["/CreationDate"]) == "D:20261102091410Z"
        assert "2026-11-02T09:14:10Z" in xmp
        assert "/OutputIntents" in document.Root
        with document.open_outline() as outline:
            assert "Raw evidence" in [str(entry.title) for entry in outline.root[0].children]
        figures = [item for item in document.objects
                   if isinstance(item, pikepdf.Dictionary) and item.get("/S") == "/Figure"]  # fmt: skip
        assert len(figures) == 2
        assert all("Matrix of" in str(figure.Alt) for figure in figures)


def test_tables_of_the_pdf_have_headers_and_its_figures_numbers(html: str, pdf: bytes, sheets: list[str]) -> None:
    with pikepdf.open(io.BytesIO(pdf)) as document:
        headers = [item for item in document.objects
                   if isinstance(item, pikepdf.Dictionary) and item.get("/S") == "/TH"]  # fmt: skip
        assert len(headers) > 100
        # a row that is too tall for one sheet has an empty one where it goes on
        assert sum(not len(header.get("/K", [])) for header in headers) <= html.count(" tk-tall")
    assert sum("Received, AWS request id, SHA-256 of the body" in text for text in sheets) > 1  # again on each sheet
    assert [number for text in sheets for number in re.findall(r"Figure (\d)\.", text)] == ["1", "2"]


def test_last_sheet_is_that_of_the_signatures_and_the_foot_of_the_record(sheets: list[str]) -> None:
    assert "Electronic signatures" in sheets[-1]
    assert "Without any software of ours" in sheets[-1]


def test_pdf_embeds_every_font(pdf: bytes) -> None:
    with pikepdf.open(io.BytesIO(pdf)) as document:
        descriptors = [item for item in document.objects
                       if isinstance(item, pikepdf.Dictionary) and item.get("/Type") == "/FontDescriptor"]  # fmt: skip
    assert descriptors
    assert all("/FontFile2" in item or "/FontFile3" in item for item in descriptors)


def test_pdf_carries_the_files_of_the_record(pdf: bytes, attachments: list[Attachment]) -> None:
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert sorted(document.attachments) == sorted(one.name for one in attachments)
        for one in attachments:
            spec = document.attachments[one.name]
            file = spec.get_file()
            assert file.read_bytes() == one.content
            assert file.mime_type == one.mime
            assert str(spec.obj.AFRelationship) == f"/{one.relationship}"
            assert str(spec.obj.EF.F.Params.ModDate) == "D:20261102091410Z"
        linked = {item.objgen for item in document.Root.AF}
        assert len(linked) == len(attachments)


def test_every_sheet_names_record_digest_page_and_stamp(sheets: list[str]) -> None:
    assert len(sheets) > 5
    for number, text in enumerate(sheets, start=1):
        assert "IQ-20261102T091401Z-7f3a" in text
        assert "DEMONSTRATION: sandbox account, no GxP evidence" in text
        assert f"Record digest {DIGEST}" in text
        assert f"Page {number} of {len(sheets)}" in text


def test_paper_says_what_the_screen_says(sheets: list[str]) -> None:
    text = " ".join(sheets)
    squeezed = text.replace(" ", "")
    for part in (TRAIL, "03" * 32, "DEV-01", "could not be judged", "Signature", "⟨U+202E⟩", "IQ-11"):
        assert part.replace(" ", "") in squeezed, part
    assert "Code of cell" not in text
    assert "The data of this chart" not in text
    assert "expire-15" in text  # a folded value is open on paper


def test_pdf_is_the_same_for_the_same_input(
    html: str, pdf: bytes, attachments: list[Attachment], tmp_path: Path
) -> None:
    assert render_pdf(html, context(), attachments) == pdf
    (tmp_path / "page.html").write_text(html, "utf-8")
    code = (
        "import sys; sys.path[:0] = ['tests']; from pathlib import Path; from hashlib import sha256;"
        "from fixtures.sample_record import context; from kit.render.pdf import render_pdf; import test_render as t;"
        "page = Path(sys.argv[1]).read_text('utf-8');"
        "print(sha256(render_pdf(page, context(), t.attachments.__wrapped__())).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "0", "TZ": "Asia/Tokyo"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "page.html")], env=environment, capture_output=True, text=True,
        check=True, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert done.stdout.strip() == sha256(pdf).hexdigest()


def test_pdf_passes_qpdf(pdf: bytes, tmp_path: Path) -> None:
    if not shutil.which("qpdf"):
        pytest.skip("no qpdf on this machine")
    (tmp_path / "record.pdf").write_bytes(pdf)
    done = subprocess.run(["qpdf", "--check", tmp_path / "record.pdf"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_character_without_a_font_is_spelled_out() -> None:
    record = context(evidence=())
    page = shown(run(system_id="tag \u2fe0 end"), conclusion("PASS"), evidence=())
    text = pypdf.PdfReader(io.BytesIO(render_pdf(page, record))).pages[0].extract_text()
    assert "U+2FE0" in text


def test_long_name_does_not_reach_the_stamp_on_a_sheet() -> None:
    page = shown(run(demonstration=True), conclusion("PASS"), evidence=(), record_id="M" * 300)
    name = re.search(r'@top-left \{ content: "(M+)', page)
    assert name
    share = re.search(r"@top-left \{[^}]*width: (\d+)%", page)
    assert share
    text_width = (210 - 2 * 18) / 25.4 * 72
    assert len(name[1]) * 7.5 * 0.84 < int(share[1]) / 100 * text_width


def test_letter_paper_is_letter_paper() -> None:
    record = context(evidence=(), page_size="Letter")
    page = shown(run(), conclusion("PASS"), evidence=(), page_size="Letter")
    width, height = pypdf.PdfReader(io.BytesIO(render_pdf(page, record))).pages[0].mediabox[2:]
    assert (round(float(width)), round(float(height))) == (612, 792)


@pytest.mark.parametrize("size", PAGES)
def test_every_frame_has_its_name_above_it_whatever_the_paper(size: Any) -> None:
    record = context(page_size=size)
    pdf = pypdf.PdfReader(io.BytesIO(render_pdf(render_html(notebook(), record), record)))
    heights: dict[str, float] = {}

    def visit(text: str, matrix: list[float], at: list[float], *_: Any) -> None:
        heights.setdefault(text.strip(), matrix[5] + matrix[3] * at[5])

    pdf.pages[-1].extract_text(visitor_text=visit)
    for role, (_, _, _, top) in BOXES.items():
        assert top < heights[role.capitalize()] < top + 9
    assert heights["Executor"] + 8 < heights["Electronic signatures"] < PAGES[size][1] - 36


def test_pdf_fetches_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>leak</text></svg>')
    page = shown(run(), conclusion("PASS"), evidence=())
    page = page.replace("</header>", f'<img alt="a" src="{secret.as_uri()}"></header>')
    pdf = render_pdf(page, context(evidence=()))
    assert "leak" not in pypdf.PdfReader(io.BytesIO(pdf)).pages[0].extract_text()


@pytest.mark.parametrize("created", ["", "yesterday", "2026-11-02", "2026-11-02T09:14:10+02:00"])
def test_pdf_without_a_moment_of_its_own_is_refused(created: str, html: str) -> None:
    with pytest.raises(RenderError, match="states no moment"):
        render_pdf(html, context(created=created))


@pytest.mark.parametrize("error", [ImportError("no weasyprint"), OSError("cannot load library 'libpango-1.0-0'")])
def test_missing_pango_is_told_with_the_command_that_mends_it(
    error: Exception, html: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Missing:
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "weasyprint":
                raise error

    for name in [name for name in sys.modules if name.split(".")[0] == "weasyprint"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(RenderError, match="Pango") as caught:
        render_pdf(html, context())
    assert caught.value.remedy == "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"


def test_page_needs_neither_nbconvert_nor_the_pdf_libraries() -> None:
    code = "import sys, kit.render.html, kit.render.pdf; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"nbconvert", "nbformat", "weasyprint", "matplotlib", "boto3", "botocore"}


# nbconvert


def test_exporters_make_an_unsealed_page_of_a_plain_notebook() -> None:
    exporters = pytest.importorskip("kit.render.exporters")
    page, resources = exporters.HTMLRecordExporter().from_notebook_node(notebook(False))
    assert resources["output_extension"] == ".html"
    assert "UNSEALED: not a record" in page
    pdf, resources = exporters.PDFRecordExporter().from_notebook_node(notebook(False))
    assert resources["output_extension"] == ".pdf"
    text = pypdf.PdfReader(io.BytesIO(pdf)).pages[0].extract_text()
    assert "UNSEALED: not a record" in text
    assert "Unsealed: no record digest" in text


def test_exporters_take_the_record_from_the_resources() -> None:
    exporters = pytest.importorskip("kit.render.exporters")
    entry = {**vars(evidence(1)[0])}
    given = {"record_id": "IQ-7", "record_digest": DIGEST, "evidence": [entry], "created": "2026-11-02T09:14:10Z",
             "attachments": [("findings.json", b"{}", "Findings", "application/json")]}  # fmt: skip
    page, _ = exporters.HTMLRecordExporter().from_notebook_node(notebook(False), {"trailkit": given})
    assert "Qualification record" in page
    assert DIGEST in page
    assert "7a1c0001-1111-2222-3333-444455556666" in page
    pdf, _ = exporters.PDFRecordExporter().from_notebook_node(notebook(False), {"trailkit": given})
    with pikepdf.open(io.BytesIO(pdf)) as document:
        assert list(document.attachments) == ["findings.json"]


# The sample


def test_sample_carries_what_the_tests_rely_on(html: str) -> None:
    assert HOSTILE.count("<script>") == 1
    assert b64decode(PIXEL).startswith(b"\x89PNG")
    assert json.dumps(notebook())


# Large records


def _large(**more: object) -> RecordContext:
    made = [
        replace(one, id=f"E{number:04}", path=one.path and f"E{number:04}-kms-DescribeKey.json")
        for number, one in enumerate(evidence(60) * 9, start=1)
    ]
    made[0] = replace(made[0], **more)  # type: ignore[arg-type]
    return context(evidence=tuple(made))


def test_every_entry_of_a_large_record_is_on_the_page_and_on_paper() -> None:
    record = _large()
    page = render_html(notebook(), record)
    ids = {one.id for one in record.evidence}
    assert set(re.findall(r"^(?:<[^>]*>)*(E\d{4}) ", page, re.MULTILINE)) == ids
    links = set(re.findall(r'href="#(evidence-[^"]*)"', page))
    assert links
    assert all(page.count(f'id="{link}"') == 1 for link in links)
    printed = pypdf.PdfReader(io.BytesIO(render_pdf(page, record))).pages
    paper = " ".join(word for sheet in printed for word in sheet.extract_text().split())
    assert set(re.findall(r"(E\d{4}) \d\d:\d\d:\d\d (?:[0-9a-f]{16}|no body) ", paper)) == ids
    assert "cloudtrail:DescribeTrails status 403" in paper
    assert "kms:DescribeKey no status no answer: ConnectTimeoutError" in paper


def test_body_that_a_large_record_has_no_room_for_is_in_the_file_its_line_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kit.render.answers._BODIES", 1)
    page = render_html(notebook(), _large())
    # cited by the finding that failed
    assert re.findall("<summary>Response (E[0-9]+)", page) == ["E0003"]
    assert "E0500-kms-DescribeKey.json" in page
    assert "each other one is in the file that its line names" in page


def test_name_in_a_large_record_can_not_pass_for_an_entry_of_its_own() -> None:
    page = render_html(notebook(), _large(operation="<b>DescribeKey\n\u2028   E9999 09:14:02"))
    assert "&lt;b&gt;DescribeKey E9999 09:14:02<" in page


@pytest.mark.parametrize("member", ["id", "time", "sha256", "service", "operation", "failure", "region", "request_id"])
def test_line_of_a_large_record_escapes_what_it_tells(member: str) -> None:
    page = render_html(notebook(), _large(**{member: "<script>"}))
    assert page.count("<script>") == render_html(notebook(), _large()).count("<script>")
    assert "&lt;script&gt;" in page


def test_day_of_the_entries_of_a_large_record_is_told_once() -> None:
    record = _large()
    entries = [
        replace(one, time=f"2026-11-0{2 if at < 300 else 3}T09:14:02Z") for at, one in enumerate(record.evidence)
    ]
    entries[-1] = replace(entries[-1], time="yesterday")
    page = render_html(notebook(), replace(record, evidence=tuple(entries)))
    assert re.findall('<p class="tk-label tk-day">(.*?)</p>', page) == ["2026-11-02", "2026-11-03", "day not stated"]
    assert "E0540  yesterday" in page


def test_evidence_that_was_changed_is_not_shown(tmp_path: Path) -> None:
    EvidenceStore(tmp_path / "evidence").add(
        b"{}", service="kms", operation="DescribeKey", region="eu-central-1", reader="", parameters={}, attempt=1,
        sent="2026-11-02T09:14:02.113Z", received="2026-11-02T09:14:02.113Z", status=200,
    )  # fmt: skip
    (entry,) = evidence_entries(tmp_path / "evidence")
    assert entry.read() == "{}"
    (tmp_path / "evidence" / entry.path).write_bytes(b"[]")
    with pytest.raises(EvidenceError, match="evidence E0001 was changed"):
        render_html(notebook(), context(evidence=(entry,)))
