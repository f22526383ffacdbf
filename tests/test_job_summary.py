"""The summary of a CI job: what it tells of a record, and that no text in it is anything but text."""

import html
import re
from pathlib import Path

import mistune
import pytest
from fixtures.runs import copied, executed_once, sealed
from fixtures.sample_record import HOSTILE
from hypothesis import given
from hypothesis import strategies as st

from kit.canonical import sha256_file
from kit.errors import ParameterError
from kit.present.text import plain
from kit.record.job_summary import LONGEST, append, escaped, record_summary
from kit.record.manifest import MANIFEST

# all that GitHub knows besides CommonMark, raw HTML included
render = mistune.create_markdown(
    escape=False, plugins=["table", "strikethrough", "url", "footnotes", "task_lists", "math", "superscript", "mark"]
)
TABLE = "| a | b |\n| --- | --- |\n"


def shown(cell: str) -> str:
    """Return what a reader sees of a cell, which must be one, in a row of two, with no element in it."""
    page = str(render(f"{TABLE}| {cell} | end |\n"))
    row = page[page.index("<tbody>") :]
    found = re.fullmatch(r"<tbody>\s*<tr>\s*<td>([^<>]*)</td>\s*<td>end</td>\s*</tr>\s*</tbody>\s*</table>\s*", row)
    assert found, page
    return html.unescape(found[1])


HOSTILES = [
    HOSTILE,
    "a | b |\n| c | d |",
    "`code` ``` fence",
    "*bold* _em_ ~~gone~~ ^up^ ==mark== $x$",
    "[link](javascript:alert(1)) ![image](http://127.0.0.1/x.png) <http://127.0.0.1>",
    "https://example.com www.example.com me@example.com",
    "<b>bold</b> &lt;i&gt; &#60; <!-- comment -->",
    "# heading\n\n- [ ] task\n> quote\n\n    code",
    "back\\slash \\| \\\\| end\\",
    "[^1]: note",
    "\\",
]


@pytest.mark.parametrize("text", HOSTILES)
def test_hostile_text_stays_text_in_its_cell(text):
    assert shown(escaped(text)) == " ".join(plain(text).split())


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_stays_text_in_its_cell(text):
    line = " ".join(plain(text).split())
    assert shown(escaped(text)) == line


def test_a_long_sentence_is_cut_and_says_so():
    assert shown(escaped("x" * 5_000)) == "x" * LONGEST + "…"


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory):
    return sealed(copied(executed_once("rotation-off", "deny-get-bucket-versioning"), tmp_path_factory.mktemp("job")))


def test_it_tells_verdict_record_digest_and_each_test_case(failed):
    text = record_summary(failed)
    assert text.startswith("## FAIL: Installation qualification of CloudTrail trail encryption\n")
    assert "**DEMONSTRATION: never GxP evidence.**" in text
    assert f"- record: `{failed.folder.name}`\n- digest: `{sha256_file(failed.folder / MANIFEST)}`\n" in text
    page = str(render(text))
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)[1:]]
    assert [row[0][:5] for row in rows] == [f"IQ-{number:02}" for number in range(1, 12)]
    verdicts = {row[0][:5]: row[1] for row in rows}
    assert (verdicts["IQ-06"], verdicts["IQ-10"], verdicts["IQ-01"]) == ("FAIL", "INCONCLUSIVE", "PASS")
    assert "Automatic rotation of the key arn:aws:kms:" in rows[5][2]


def test_a_summary_grows_and_what_others_wrote_stays(tmp_path):
    path = tmp_path / "summary.md"
    path.write_text("# Before\n")
    append(path, "a")
    append(path, "b")
    assert path.read_text() == "# Before\nab"
    with pytest.raises(ParameterError, match=r"the summary .* can't be written: Is a directory"):
        append(Path(tmp_path), "")
