"""Measures the index of 5,000 records: how long it takes to build, how big it is, and how long a browser opens it."""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from fixtures.many_records import make_records
from playwright.sync_api import sync_playwright

from kit.record.register import REGISTER, read_register
from kit.render.index import INDEX_PAGE, write_index

RECORDS, ROUNDS = 5000, 5
SETTLED = "new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0)))"
SEARCHED = """() => new Promise(done => {
  const [find, shown, start] = [document.getElementById("find"), document.getElementById("shown"), performance.now()];
  new MutationObserver(() => requestAnimationFrame(() => setTimeout(() => done(performance.now() - start), 0)))
    .observe(shown, { childList: true });
  find.value = "SYS-0007 fail";
  find.dispatchEvent(new Event("input"));
})"""
SORTED = """() => new Promise(done => {
  const start = performance.now();
  document.querySelector(".tk-records thead button").click();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start), 0));
})"""


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as tool:
        outputs = Path(place) / "outputs"
        make_records(outputs, RECORDS)
        _tell("reading the register, of it", [_timed(lambda: read_register(outputs / REGISTER)) for _ in range(ROUNDS)])
        _tell("building the index", [_timed(lambda: write_index(outputs)) for _ in range(ROUNDS)])
        page = outputs / INDEX_PAGE
        print(f"{'its size':34} {page.stat().st_size / 1e6:6.2f} MB for {RECORDS} runs")
        browser = tool.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        measured: dict[str, list[float]] = {"opening it in Chromium": [], "searching": [], "sorting": []}
        for _ in range(ROUNDS):
            tab = browser.new_page(viewport={"width": 1440, "height": 900})
            tab.goto(page.as_uri())
            for seconds, asked in zip(measured.values(), (SETTLED, SEARCHED, SORTED), strict=True):
                seconds.append(tab.evaluate(asked) / 1000)
            tab.close()
        browser.close()
        for name, seconds in measured.items():
            _tell(name, seconds)


def _timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _tell(name: str, seconds: list[float]) -> None:
    listed = sorted(seconds)
    figures = " ".join(f"{value:6.2f}" for value in (listed[0], statistics.median(listed), listed[-1]))
    print(f"{name:34} {figures} s (min, median, max)")


if __name__ == "__main__":
    main()
