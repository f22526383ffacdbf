"""The index of an outputs folder: every run and record is on it, and none says more than is known."""

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fixtures.many_records import make_records, run_of, write_register
from fixtures.runs import copied, executed_once, sealed
from fixtures.sample_record import HOSTILE

from kit.canonical import canonical
from kit.canonical import sha256 as hexadecimal
from kit.errors import KitError
from kit.record.manifest import HTML, MANIFEST, PROTOCOL, RECORD, SCHEMA, SIGNED
from kit.record.overview import Row, overview
from kit.record.register import REGISTER, locked_register, read_register
from kit.record.verification.audit import audit
from kit.render.index import INDEX_PAGE, MONTHS, TARGETS, refresh_index, write_index

TRAILKIT = Path(sys.executable).parent / "trailkit"
TIME = "2026-03-02T08:00:00.000Z"
RUN = "IQ-20260302T080000Z-0000aa"
DEMONSTRATION = "DEMONSTRATION: sandbox account, no GxP evidence"


class Page(HTMLParser):
    """A page as it is parsed: elements with their attributes, rows with their text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.rows: list[str] = []
        self.text = ""
        self.feed(html)
        self.rows = [" ".join(row.split()) for row in self.rows]
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: text or "" for name, text in attrs}))
        if tag == "tr" and "data-outcome" in self.found[-1][1]:
            self.rows.append("")

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"
        if self.rows:
            self.rows[-1] += f" {data}"

    def all(self, name: str) -> list[str]:
        return [attrs[name] for _, attrs in self.found if name in attrs]


def written(outputs: Path) -> Page:
    write_index(outputs)
    return Page((outputs / INDEX_PAGE).read_text("utf-8"))


def only(outputs: Path) -> Row:
    (row,) = overview(outputs).rows
    return row


def register(outputs: Path, *events: tuple[str, dict[str, Any]], record: str = RUN) -> None:
    with locked_register(outputs) as open_register:
        for event, data in events:
            open_register.append(event, record, data)


def record_in(outputs: Path, name: str = RUN, **members: Any) -> str:
    """Write what the index reads of a record, and return its digest."""
    folder = outputs / name
    folder.mkdir(parents=True)
    files = {"x": {"bytes": 1, "sha256": "0" * 64}}
    told = run_of(1) | {"schema": SCHEMA, "kind": RECORD, "record_id": name, "verdict": "PASS", "files": files}
    content = canonical(told | members)
    (folder / MANIFEST).write_bytes(content)
    (folder / HTML).touch()
    return hexadecimal(content)


@pytest.fixture
def standing(tmp_path: Path) -> Path:
    """An outputs folder with one record, which the register holds."""
    outputs = tmp_path / "outputs"
    digest = record_in(outputs)
    finished = {"verdict": "PASS", "digest": digest, "files": {}}
    register(outputs, ("started", run_of(1)), ("concluded", {"verdict": "PASS"}), ("finished", finished))
    return outputs


class TestRows:
    def test_a_sealed_run_is_there_with_all_that_finds_and_names_it(self, tmp_path):
        outputs = copied(executed_once(), tmp_path)
        record = sealed(outputs)
        page = written(outputs)
        (row,) = page.rows
        name = record.folder.name
        for part in (name, record.digest, "✓ PASS", DEMONSTRATION, "IQ 1.0", "VP-1", "SYS-1", "sandbox",
                     "123456789012", "arn:aws:cloudtrail:eu-west-1:123456789012:trail/gxp-trail", "by Zoë Ōyama",
                     "none registered", f"{name[3:7]}-{name[7:9]}-{name[9:11]}"):  # fmt: skip
            assert part in row, part
        assert {f"./{name}/", f"./{name}/record.html"} <= set(page.all("href"))
        assert f"./{name}/record.pdf" not in page.all("href")

    def test_the_page_says_what_it_is_and_of_which_register(self, standing):
        page = written(standing)
        head = read_register(standing / REGISTER)[-1]
        assert f"entry 3, SHA-256 {head.sha256}" in page.text
        assert "It was not verified, it is no part of any record" in page.text

    @pytest.mark.parametrize(
        ("events", "outcome", "said"),
        [
            ([], "started", "runs still, or ended without a word"),
            ([("concluded", {"verdict": "FAIL"})], "concluded", "concluded with FAIL, and was not sealed"),
            ([("failed", {"reason": "out of memory"})], "failed", "No record: out of memory"),
            ([("aborted", {})], "aborted", "No record."),
        ],
        ids=lambda value: value if isinstance(value, str) and " " not in value else "",
    )
    def test_a_run_without_a_record_is_there_and_shows_no_verdict(self, events, outcome, said, tmp_path):
        register(tmp_path, ("started", run_of(1)), *events)
        (row,) = written(tmp_path).rows
        assert only(tmp_path).outcome == outcome
        assert said in row
        assert "✓" not in row
        assert "✗" not in row

    def test_an_issued_protocol_is_there_and_is_no_run(self, tmp_path):
        parameters = {"target": {"account_id": "111122223333"}, "expected": {"trail_arn": "arn:a:b:c:d:trail/gxp"}}
        issued = {"kind": PROTOCOL, "target": None, "parameters": parameters, "issued": TIME, "demonstration": False}
        digest = record_in(tmp_path, "IQP-20260302T080000Z-0000aa", **issued)
        told = {"digest": digest, "protocol": {"id": "IQ", "version": "1.0"}, "files": {}}
        register(tmp_path, ("issued", told), record="IQP-20260302T080000Z-0000aa")
        page = written(tmp_path)
        assert "PROTOCOL" in page.rows[0]
        assert "111122223333 arn:a:b:c:d:trail/gxp" in page.rows[0]
        assert "Verdicts by target" not in page.text

    def test_a_signature_is_told_as_registered(self, standing):
        signed = {"role": "reviewer", "name": "Anna Müller", "time": "2026-03-03T09:00:00.000Z"}
        register(standing, ("signed", signed), ("deviation", {"deviation": "DEV-01"}), ("archived", {}))
        (standing / RUN / SIGNED).touch()
        page = written(standing)
        assert "reviewer: Anna Müller 2026-03-03" in page.rows[0]
        assert "deviation DEV-01, archived" in page.rows[0]
        assert "whether a signature holds, and of whom it is, trailkit verify tells" in page.text
        assert f"./{RUN}/record.signed.pdf" in page.all("href")

    def test_a_deviation_leads_to_its_addendum_where_that_is_there(self, standing):
        told = [("deviation", {"deviation": name}) for name in ("DEV-02", "DEV-01", "DEV-02", "../x")]
        register(standing, told[0], ("archived", {}), *told[1:])
        for name in ("01-DEV-02", "02-DEV-01", "03-DEV-01"):
            folder = standing / RUN / "addenda" / name
            folder.mkdir(parents=True)
            (folder / "addendum.html").touch()
        (standing / RUN / "addenda" / "02-DEV-01" / "addendum.html").unlink()
        page = written(standing)
        assert "deviation DEV-02, archived, deviation DEV-01, deviation DEV-02, deviation ../x" in re.sub(
            r"\s+,", ",", page.rows[0]
        )
        linked = [address for address in page.all("href") if "addend" in address]
        assert linked == [f"./{RUN}/addenda/01-DEV-02/addendum.html"]
        assert (standing / linked[0]).is_file()

    def test_signed_pdf_and_register_are_held_against_each_other(self, standing):
        (standing / RUN / SIGNED).touch()
        assert "no signature is registered" in " ".join(only(standing).notes)
        (standing / RUN / SIGNED).unlink()
        register(standing, ("signed", {"role": "executor", "name": "A", "time": TIME}))
        assert f"{SIGNED} is not in the folder" in " ".join(only(standing).notes)

    def test_the_latest_comes_first(self, tmp_path):
        make_records(tmp_path, 30)
        began = [row.began for row in overview(tmp_path).rows]
        assert len(began) == 30
        assert began == sorted(began, reverse=True)

    def test_an_empty_folder_says_so(self, tmp_path):
        (tmp_path / REGISTER).touch()
        assert "No run is registered, and no record is in the folder." in written(tmp_path).text


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)


def _change(folder: Path) -> None:
    content = (folder / MANIFEST).read_bytes().replace(b"Mira", b"Mary")
    (folder / MANIFEST).write_bytes(content)


def _file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


class TestAmiss:
    @pytest.mark.parametrize(
        ("spoil", "outcome"),
        [
            (_remove, "gone"),
            (lambda folder: (folder / MANIFEST).unlink(), "unreadable"),
            (_file, "unreadable"),
            (_change, "differs"),
            (lambda folder: (folder / MANIFEST).write_bytes(b"\xff"), "differs"),
        ],
        ids=["no-folder", "no-manifest", "no-folder-but-a-file", "changed", "no-json"],
    )
    def test_a_record_that_is_not_as_registered_keeps_its_row_and_shows_no_verdict(self, spoil, outcome, standing):
        spoil(standing / RUN)
        (row,) = written(standing).rows
        assert only(standing).outcome == outcome
        assert "The register says PASS" in row
        assert "✓" not in row

    @pytest.mark.parametrize(
        "other", [{"verdict": "FAIL"}, {"demonstration": True}, {"record_id": "IQ-2"}, {"kind": PROTOCOL}], ids=str
    )
    def test_a_register_that_tells_otherwise_than_the_manifest_it_names_is_not_believed(self, other, tmp_path):
        digest = record_in(tmp_path, **other)
        register(tmp_path, ("started", run_of(1)), ("finished", {"verdict": "PASS", "digest": digest, "files": {}}))
        assert only(tmp_path).outcome == "differs"

    def test_a_record_that_the_register_does_not_know_keeps_its_row(self, standing):
        shutil.copytree(standing / RUN, standing / "copy of it")
        stranger = next(row for row in overview(standing).rows if row.record_id == "copy of it")
        assert stranger.outcome == "unregistered"
        assert f"Its manifest says that it is {RUN}." in stranger.notes
        assert "./copy%20of%20it/" in written(standing).all("href")

    def test_a_folder_named_like_a_record_keeps_its_row_when_nothing_in_it_can_be_read(self, tmp_path):
        (tmp_path / REGISTER).touch()
        (tmp_path / RUN).mkdir()
        assert only(tmp_path).outcome == "unreadable"

    def test_a_record_that_stands_before_its_end_is_registered_is_no_verdict_yet(self, tmp_path):
        record_in(tmp_path)
        register(tmp_path, ("started", run_of(1)), ("concluded", {"verdict": "PASS"}))
        assert only(tmp_path).outcome == "unregistered"

    def test_a_register_that_is_not_whole_is_told_and_nothing_counts_as_registered(self, standing):
        lines = (standing / REGISTER).read_bytes().splitlines(keepends=True)
        (standing / REGISTER).write_bytes(lines[0] + lines[2])
        page = written(standing)
        assert "There is no whole register. entry 2 is missing from register.jsonl" in page.text
        assert "NOT REGISTERED" in page.rows[0]
        problem = refresh_index(standing)
        assert isinstance(problem, KitError)
        assert "entry 2 is missing" in problem.message

    @pytest.mark.parametrize("record", ["../elsewhere", "/etc", ".runs", "a\0b", "", "x" * 5000])
    def test_an_entry_that_names_no_folder_here_leads_nowhere(self, record, tmp_path):
        outputs = tmp_path / "outputs"
        record_in(tmp_path, "elsewhere")
        finished = {"verdict": "PASS", "digest": "0", "files": {}}
        register(outputs, ("started", run_of(1)), ("finished", finished), record=record)
        page = written(outputs)
        assert "NOT HERE" in page.rows[0]
        assert all(address == "#records" for address in page.all("href"))

    def test_entries_of_the_wrong_kind_keep_their_rows(self, tmp_path):
        odd = {"protocol": 5, "target": [], "attempt": {"number": True}, "executed_by": None, "system_id": {}}
        register(tmp_path, ("started", odd), ("finished", {"verdict": ["PASS"], "digest": 4}))
        register(tmp_path, ("signed", {}), record="OQ-1")
        page = written(tmp_path)
        assert len(page.rows) == 2
        assert all("ORIGIN NOT STATED: no GxP evidence" in row for row in page.rows)


class TestDemonstration:
    def test_every_row_of_it_is_marked_and_counted_apart(self, tmp_path):
        make_records(tmp_path, 80)
        page = written(tmp_path)
        marked = [row for row in page.rows if DEMONSTRATION in row]
        assert len(marked) == 2
        assert all("SYS-0000" in row for row in marked)
        assert "2 of 80 records and runs are DEMONSTRATION or of no stated origin: no GxP evidence" in page.text
        assert re.search(rf"Records and runs ✓ PASS 5\d .* Records and runs {DEMONSTRATION} ✓ PASS 2", page.text)

    def test_a_page_of_nothing_else_is_stamped_as_a_whole(self, tmp_path):
        register(tmp_path, ("started", run_of(0)))
        write_index(tmp_path)
        assert f">{DEMONSTRATION}</aside>" in (tmp_path / INDEX_PAGE).read_text("utf-8")

    def test_a_real_account_is_not_stamped(self, standing):
        assert "DEMONSTRATION" not in written(standing).text


class TestTimeline:
    def test_runs_are_counted_by_month_and_those_before_are_not_dropped(self, tmp_path, monkeypatch):
        monkeypatch.setattr("kit.record.overview.utc_now", lambda: datetime(2026, 4, 15, tzinfo=UTC))
        months = ["2020-01", "2025-04", "2025-05", "2026-03", "2026-03", "9999-12"]
        events = [(f"{month}-02T08:00:00.000Z", ("started", f"IQ-{n}", run_of(1))) for n, month in enumerate(months)]
        write_register(tmp_path, iter(events))
        html = _timeline(tmp_path)
        assert dict(re.findall(r'<td data-label="([O\d][^"]*)">.*?NOT ENDED: </span>(\d+)', html)) == {
            "Other times": "3", "2025-05": "1", "2026-03": "2",
        }  # fmt: skip
        assert len(re.findall(r'<th scope="col">\d{4}-\d\d</th>', html)) == MONTHS

    def test_many_targets_are_told_and_not_drawn(self, tmp_path):
        make_records(tmp_path, 40)
        html = _timeline(tmp_path)
        assert html.count('<tr><th scope="row"') == TARGETS
        assert f"{40 - TARGETS} more lines, of older runs, are left out here" in html

    def test_what_a_chip_means_is_in_words_too(self, standing):
        assert 'aria-hidden="true">✓</span><span class="tk-read"> PASS: </span>1' in _timeline(standing)


def _timeline(outputs: Path) -> str:
    write_index(outputs)
    html = (outputs / INDEX_PAGE).read_text("utf-8")
    return html[html.index('<section aria-labelledby="timeline">') : html.index('<section aria-labelledby="records">')]


class TestPage:
    def test_policy_lets_in_its_own_style_and_script_alone(self, standing):
        write_index(standing)
        html = (standing / INDEX_PAGE).read_text("utf-8")
        hashes = {}
        for tag in ("style", "script"):
            (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
            hashes[tag] = b64encode(sha256(text.encode()).digest()).decode()
        policy = next(a["content"] for _, a in Page(html).found if a.get("http-equiv") == "Content-Security-Policy")
        assert policy == (
            f"default-src 'none'; style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['script']}'; "
            "base-uri 'none'; form-action 'none'"
        )
        page = Page(html)
        assert not page.all("src")
        assert not [a for _, a in page.found if "style" in a or any(name.startswith("on") for name in a)]

    def test_hostile_names_stay_text(self, tmp_path):
        outputs = hostile(tmp_path)
        page = written(outputs)
        html = (outputs / INDEX_PAGE).read_text("utf-8")
        assert html.count("<script") == 1
        assert not re.search("[\x00\x1b\u202e\u202c\ufeff]", html)
        assert "⟨U+202E⟩" in html
        assert all(address.startswith(("./", "#")) for address in page.all("href"))
        assert not [a for _, a in page.found if any(name.startswith("on") for name in a)]

    def test_a_long_name_does_not_hide_the_stamp(self, tmp_path):
        target = run_of(0)["target"] | {"trail_arn": "x" * 5000}
        register(tmp_path, ("started", run_of(0, target=target)))
        page = written(tmp_path)
        assert DEMONSTRATION in Page(_timeline(tmp_path)).text
        assert re.search(r"all targets DEMONSTRATION, x+\.\.\.", page.text)


def hostile(folder: Path) -> Path:
    """An outputs folder in which every name is out to be more than a name."""
    outputs = folder / "outputs"
    text = HOSTILE.replace("\0", "")
    target = {"account_id": text, "trail_arn": "arn:" + text * 5, "demonstration": False}
    told = run_of(1, target=target, system_id=text, protocol_id=text, executed_by=text, reason=text, environment=text)
    told["protocol"] = {"id": text, "version": text}
    register(outputs, ("started", told), ("failed", {"reason": text}))
    register(outputs, ("started", run_of(1)), ("signed", {"role": text, "name": text, "time": text}), record=text)
    for name in ("javascript:alert(1)", "<img src=x onerror=alert(2)>", "\u202egnp", "M" * 200):
        record_in(outputs, name, system_id=text)
    return outputs


class TestWriting:
    def test_processes_at_once_leave_one_whole_page(self, standing):
        def refresh(_: int) -> tuple[KitError | None, str]:
            return refresh_index(standing), (standing / INDEX_PAGE).read_text("utf-8")

        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(refresh, range(40)))
        assert {problem for problem, _ in done} == {None}
        assert all(html.rstrip().endswith("</html>") for _, html in done)
        assert [path.name for path in standing.iterdir() if "index" in path.name] == [INDEX_PAGE]

    def test_a_page_that_cannot_be_written_is_a_warning_of_two_lines(self, standing):
        (standing / INDEX_PAGE).mkdir()
        before = (standing / REGISTER).read_bytes()
        problem = refresh_index(standing)
        assert problem is not None
        assert len(str(problem).splitlines()) == 2
        assert "can't be written" in problem.message
        assert (standing / REGISTER).read_bytes() == before

    def test_what_cannot_be_laid_out_is_a_warning_too(self, standing, monkeypatch):
        monkeypatch.setattr("kit.render.index.overview", lambda _: None)
        problem = refresh_index(standing)
        assert problem is not None
        assert "can't be laid out" in problem.message

    def test_the_page_is_no_part_of_what_is_verified(self, tmp_path):
        outputs = copied(executed_once(), tmp_path)
        record = sealed(outputs)
        before = sorted(path.name for path in record.folder.rglob("*"))
        assert refresh_index(outputs) is None
        assert audit(outputs / REGISTER).runs == 1
        assert sorted(path.name for path in record.folder.rglob("*")) == before


class TestCommand:
    def index(self, *arguments: Any) -> "subprocess.CompletedProcess[str]":
        command = [TRAILKIT, "index", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def test_it_writes_the_page_and_says_where(self, standing):
        done = self.index("--output", standing)
        assert done.returncode == 0
        assert str(standing / INDEX_PAGE) in done.stdout
        assert (standing / INDEX_PAGE).exists()

    def test_a_machine_is_told_the_same(self, standing):
        told = json.loads(self.index("--output", standing, "--json").stdout)
        assert (told["file"], told["rows"], told["register"]["number"]) == (str(standing / INDEX_PAGE), 1, 3)

    def test_a_pipe_in_the_place_of_a_manifest_is_not_waited_for(self, standing):
        (standing / RUN / MANIFEST).unlink()
        os.mkfifo(standing / RUN / MANIFEST)
        assert self.index("--output", standing).returncode == 0
        assert only(standing).outcome == "unreadable"

    def test_a_folder_that_is_not_there_is_not_made(self, tmp_path):
        done = self.index("--output", tmp_path / "none")
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 2
        assert not (tmp_path / "none").exists()

    def test_a_register_that_is_not_whole_is_a_rejection_and_the_page_tells_it(self, standing):
        lines = (standing / REGISTER).read_bytes().splitlines(keepends=True)
        (standing / REGISTER).write_bytes(b"".join(lines[1:]))
        done = self.index("--output", standing)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 2
        assert "There is no whole register" in (standing / INDEX_PAGE).read_text("utf-8")


# In a browser


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("many")
    make_records(outputs, 200)
    write_index(outputs)
    return outputs / INDEX_PAGE


SHOWN = ".tk-records tbody tr:visible"


@pytest.mark.browser
class TestBrowser:
    def test_filters_narrow_together_and_the_count_is_told(self, opened, many):
        page = opened(many)
        assert page.locator(SHOWN).count() == 200
        page.get_by_label("Verdict or state").select_option(label="FAIL")
        failed = page.locator(SHOWN).count()
        assert 0 < failed < 200
        assert page.get_by_role("status").inner_text() == f"{failed} of 200 are shown."
        page.get_by_label("Protocol").select_option(label="IQ")
        assert page.get_by_role("status").inner_text() == "0 of 200 are shown."
        page.get_by_label("Protocol").select_option(label="OQ")
        page.get_by_label("Target", exact=True).select_option(index=4)
        assert 0 < page.locator(SHOWN).count() < failed
        page.get_by_role("button", name="Clear the filters").click()
        assert page.get_by_role("status").inner_text() == "All 200 are shown."

    def test_search_finds_words_in_any_column_and_any_case(self, opened, many):
        page = opened(many)
        page.get_by_label("Search in every column").fill("sys-0007 NOVÁK")
        page.get_by_text("5 of 200 are shown.").wait_for()
        assert all("SYS-0007" in text for text in page.locator(SHOWN).all_inner_texts())

    def test_headers_sort_by_keyboard_and_say_how(self, opened, many):
        page = opened(many)
        header = page.get_by_role("columnheader", name="Run number")
        header.get_by_role("button").focus()
        page.keyboard.press("Enter")
        assert header.get_attribute("aria-sort") == "ascending"
        numbers = _column(page, 5)
        assert numbers == sorted(numbers, key=int)
        page.keyboard.press("Space")
        assert header.get_attribute("aria-sort") == "descending"
        assert _column(page, 5) == sorted(numbers, key=int, reverse=True)
        assert page.locator("[aria-sort]").count() == 1

    def test_verdicts_sort_by_what_they_mean(self, opened, many):
        page = opened(many)
        page.get_by_role("columnheader", name="Verdict or state").get_by_role("button").click()
        ranks = page.evaluate("[...document.querySelectorAll('.tk-records tbody tr')].map(row => row.dataset.outcome)")
        assert ranks == sorted(ranks, key=int)

    def test_without_headers_there_is_another_way_to_sort(self, opened, many):
        page = opened(many, 360)
        page.get_by_label("Order").select_option(label="Began, ascending")
        assert _column(page, 4) == sorted(_column(page, 4))

    def test_without_script_the_table_is_whole_and_no_control_is_there(self, opened, many):
        page = opened(many, script=False)
        assert page.locator(SHOWN).count() == 200
        assert page.locator("button:visible, input:visible, select:visible").count() == 0

    def test_rows_stay_rows_of_a_table(self, opened, many):
        page = opened(many)
        table = page.get_by_role("table").last
        assert table.get_by_role("columnheader").count() == 7
        assert table.get_by_role("row").nth(1).get_by_role("cell").count() == 6
        assert table.get_by_role("row").nth(1).get_by_role("rowheader").count() == 1

    @pytest.mark.parametrize("width", [360, 768, 1440])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_it_is_quiet_and_fits(self, opened, many, width, scheme):
        page = opened(many, width, scheme)
        assert page.heard == [many.as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") == width
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") is (scheme == "light")

    @pytest.mark.parametrize("width", [360, 768, 1440])
    def test_hostile_names_run_nothing_and_break_no_line(self, opened, width, tmp_path):
        outputs = hostile(tmp_path)
        write_index(outputs)
        page = opened(outputs / INDEX_PAGE, width)
        assert page.heard == [(outputs / INDEX_PAGE).as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") == width

    def test_a_link_leads_to_the_record(self, opened, many):
        page = opened(many)
        page.locator(SHOWN).filter(has=page.get_by_role("link", name="HTML")).first.get_by_role(
            "link", name="HTML"
        ).click()
        assert page.url.endswith("/record.html")


def _column(page: Any, index: int) -> list[str]:
    texts = page.evaluate(
        "index => [...document.querySelectorAll('.tk-records tbody tr')].map(row => row.cells[index].textContent)",
        index,
    )
    return [text.split()[0] for text in texts]
