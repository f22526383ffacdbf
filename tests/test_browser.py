"""A record's pages in a browser: quiet, whole at every width and size of text, and open to everybody (WCAG 2.2 AA)."""

import os
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from fixtures.runs import NOTEBOOK, PEOPLE, copied, execute_here, executed_once, sealed
from fixtures.sample_record import HOSTILE, context, hostile_notebook, notebook
from fixtures.signed import DEVIATION, FAULT, HANDLING

from kit.catalogue import protocol
from kit.parameters import RunParameters
from kit.present.words import VERDICTS
from kit.record.addenda import PAGE, add
from kit.record.issue import issue
from kit.record.manifest import HTML
from kit.render.addendum import render_addendum
from kit.render.html import render_html
from kit.render.index import INDEX_PAGE, write_index
from kit.render.record import render_protocol, render_record
from kit.sandbox.server import Sandbox

pytestmark = pytest.mark.browser

OPERATION = NOTEBOOK.with_name("oq_log_integrity.ipynb")
NAMES = ("sample", "hostile", "installation", "operation", "protocol", "addendum")
PAGES = (*NAMES, "index")
RECORDS = ("sample", "installation", "operation")
WIDTHS = (320, 360, 768, 1440)
SCHEMES = ("light", "dark")

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The pages of the sample records, and of real ones: no stand-in but the kernel, and without their PDFs."""
    folder = tmp_path_factory.mktemp("pages")
    with (
        patch("kit.render.record.render_pdf", return_value=b""),
        patch("kit.render.addendum.render_pdf", return_value=b""),
    ):
        failed = sealed(copied(executed_once(FAULT), folder / "failed"), render_record).folder
        add(failed, DEVIATION, HANDLING, render_addendum)
        (addendum,) = failed.parent.rglob(PAGE)
        passed = sealed(copied(executed_once(), folder / "passed"), render_record).folder
        with Sandbox(["log-deleted"], {"hours": 6}) as sandbox, patch.dict(os.environ, sandbox.environment):
            execute_here(folder / "spoilt", sandbox.parameters | {"execution": PEOPLE}, notebook=OPERATION)
        operation = sealed(folder / "spoilt", render_record).folder
        with Sandbox() as sandbox, patch.dict(os.environ, sandbox.environment):
            parameters = RunParameters.load(sandbox.parameters | {"execution": PEOPLE})
        issued = issue(protocol("IQ"), NOTEBOOK, parameters, folder / "issued", render_protocol).folder
    sample, hostile = folder / "sample.html", folder / "hostile.html"
    sample.write_text(render_html(notebook(), context()), "utf-8")
    hostile.write_text(render_html(hostile_notebook(), context(record_id=HOSTILE)), "utf-8")
    with patch("kit.render.addendum.render_pdf", return_value=b""):
        add(operation, DEVIATION, HANDLING, render_addendum)
    write_index(folder / "spoilt")
    made = (sample, hostile, passed / HTML, operation / HTML, issued / HTML, addendum, folder / "spoilt" / INDEX_PAGE)
    return dict(zip(PAGES, made, strict=True))


def unfold(page: Any, *, opened: bool = True) -> None:
    page.evaluate("opened => document.querySelectorAll('details').forEach(one => one.open = opened)", opened)


def fits(page: Any) -> bool:
    """Tell whether a page needs no scrolling to the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


# Every text that shows, by how far its colour is from the ground it stands on. In grey as a printer makes it: by luma.
CONTRAST = """
grey => {
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const level = part => (part /= 255) <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => {
        if (grey) r = g = b = Math.round(.299 * r + .587 * g + .114 * b);
        return .2126 * level(r) + .7152 * level(g) + .0722 * level(b);
    };
    const ground = one => {
        for (; one; one = one.parentElement) {
            const colour = parts(getComputedStyle(one).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) {
        const one = texts.currentNode.parentElement;
        if (!texts.currentNode.data.trim() || !one.checkVisibility({visibilityProperty: true})) continue;
        const [low, high] = [light(parts(getComputedStyle(one).color)), light(ground(one))].sort((a, b) => a - b);
        found.push([(high + .05) / (low + .05), texts.currentNode.data.trim()]);
    }
    return found;
}
"""


def faint(page: Any, *, grey: bool = False) -> list[str]:
    """Return the texts that are less than 4.5 to 1 off their ground (success criterion 1.4.3)."""
    found = page.evaluate(CONTRAST, grey)
    assert found
    return [text for ratio, text in found if ratio < 4.5]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", NAMES)
def test_page_is_quiet_and_fits_every_width(opened: Open, pages: Mapping[str, Path], name: str, scheme: str) -> None:
    page = opened(pages[name], scheme=scheme)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for fold in (False, True):
            unfold(page, opened=fold)
            assert fits(page), width
    assert page.evaluate("document.scripts.length") == 0
    assert [entry for entry in page.heard if not entry.startswith("data:image/")] == [pages[name].as_uri()]
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") is (scheme == "light")


@pytest.mark.parametrize("text", ["M" * 300, "M" * 10_000], ids=["unbroken", "endless"])
def test_endless_words_fit_a_narrow_screen(opened: Open, text: str, tmp_path: Path) -> None:
    path = tmp_path / "record.html"
    path.write_text(render_html(hostile_notebook(text), context(record_id=text)), "utf-8")
    assert fits(opened(path, 360))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(opened: Open, pages: Mapping[str, Path], name: str, scheme: str) -> None:
    page = opened(pages[name], scheme=scheme)
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    # of a scheme, only the colours are its own
    only = {"light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
            "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}[scheme]  # fmt: skip
    for fold in (False, True):
        unfold(page, opened=fold)
        done = page.evaluate("runOnly => axe.run({runOnly, resultTypes: ['violations'], preload: false})", only)
        assert [(one["id"], one["help"], one["nodes"][0]["html"]) for one in done["violations"]] == []
        assert done["passes"]
        assert faint(page) == []  # the signs too, which axe leaves open


@pytest.mark.parametrize(
    ("name", "width"), [("sample", 360), ("operation", 1440), ("protocol", 768), ("addendum", 360)]
)
def test_tab_reaches_every_link_in_order_and_shows_where_it_is(
    opened: Open, pages: Mapping[str, Path], name: str, width: int
) -> None:
    page = opened(pages[name], width)
    number = page.evaluate("""() => {
        window.stops = [...document.querySelectorAll('a[href], summary, [tabindex]')];
        return (stops = stops.filter(one => one.checkVisibility())).length;
    }""")
    seen = """() => {
        const one = document.activeElement, style = getComputedStyle(one);
        const uncovered = [...one.getClientRects()].some(({left, top, width, height}) => {
            const there = document.elementFromPoint(left + width / 2, top + height / 2);
            return there && (one.contains(there) || there.contains(one));
        });
        return [stops.indexOf(one), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2, uncovered];
    }"""
    for key, order in (("Tab", range(number)), ("Shift+Tab", range(number - 2, -1, -1))):
        for index in order:
            page.keyboard.press(key)
            assert page.evaluate(seen) == [index, True, True], (key, page.evaluate("document.activeElement.outerHTML"))


@pytest.mark.parametrize("name", RECORDS)
def test_whatever_is_folded_opens_and_closes_by_keyboard(opened: Open, pages: Mapping[str, Path], name: str) -> None:
    page = opened(pages[name])
    folded = page.locator("details")
    assert folded.count() > 20
    for one in folded.all():
        one.locator("> summary").press("Enter")
        assert one.evaluate("one => one.open && one.lastElementChild.checkVisibility()")
    for one in reversed(folded.all()):
        one.locator("> summary").press("Space")
        assert not one.evaluate("one => one.open")


@pytest.mark.parametrize("width", [768, 1440])
@pytest.mark.parametrize("name", PAGES)
def test_text_may_be_twice_as_large(opened: Open, pages: Mapping[str, Path], name: str, width: int) -> None:
    page = opened(pages[name], width)
    page.context.new_cdp_session(page).send("Page.setFontSizes", {"fontSizes": {"standard": 32, "fixed": 26}})
    assert page.evaluate("getComputedStyle(document.body).fontSize") == "32px"
    unfold(page)
    assert fits(page)


@pytest.mark.parametrize("name", PAGES)
def test_text_may_be_set_wider(opened: Open, pages: Mapping[str, Path], name: str) -> None:
    page = opened(pages[name], 360)
    spaced = "line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important"
    page.evaluate(
        """css => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(css);
            document.adoptedStyleSheets = [sheet];
        }""",
        f"* {{ {spaced} }}",
    )
    assert page.evaluate("getComputedStyle(document.body).letterSpacing") != "normal"
    unfold(page)
    assert fits(page)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", NAMES)
def test_paper_is_white_whole_and_legible_without_colour(
    opened: Open, pages: Mapping[str, Path], name: str, scheme: str
) -> None:
    page = opened(pages[name], scheme=scheme)
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert faint(page, grey=True) == []
    signs = {f"{sign.glyph} {sign.word}" for sign in VERDICTS.values()}
    assert {" ".join(text.split()) for text in page.locator(".tk-badge").all_inner_texts()} <= signs
    for fold in page.locator(".tk-fold:not(.tk-data) > :not(summary)").all():
        assert fold.evaluate("one => one.checkVisibility() && one.offsetHeight > 0")


@pytest.mark.parametrize("name", RECORDS)
def test_every_chart_is_a_picture_in_words_with_a_table_of_its_data(
    opened: Open, pages: Mapping[str, Path], name: str
) -> None:
    page = opened(pages[name])
    unfold(page)
    figures = page.get_by_role("figure")
    assert figures.count() >= 2
    for figure in figures.all():
        (picture,) = figure.get_by_role("img").all()
        assert len(picture.get_attribute("alt")) > 20
        assert picture.evaluate("one => one.complete && one.naturalWidth > 0")
        assert figure.locator("figcaption").inner_text()
        assert figure.get_by_role("columnheader").count() > 1
        assert figure.get_by_role("row").count() > 1
