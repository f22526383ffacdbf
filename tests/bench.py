"""Measures the main job against the usual chain on the same notebook: papermill, nbconvert to HTML, Chromium to PDF.

Run it with `make bench`. Both are timed as whole processes, in turn, in one run; the ratio is what counts, since
machines differ and are noisy. The command does more in its time: it seals the evidence, and its PDF is a tagged
PDF/A-3a with attachments.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROUNDS = 5
NAMES = ("trailkit run iq", "papermill + nbconvert + Chromium")
ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "iq_trail_encryption.ipynb"
BIN = Path(sys.executable).parent
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def qualify(folder: Path) -> None:
    told = ["run", "iq", "--parameters", ROOT / "parameters" / "sandbox.yaml", "--output", folder / "outputs"]
    subprocess.run([BIN / "trailkit", *told], check=True, **QUIET)


def chain(folder: Path) -> None:
    executed, page = folder / "executed.ipynb", folder / "executed.html"
    (folder / "outputs").mkdir()
    subprocess.run([BIN / "papermill", NOTEBOOK, executed, "--no-progress-bar"], check=True, cwd=folder, **QUIET)
    subprocess.run([BIN / "jupyter", "nbconvert", "--to", "html", executed], check=True, **QUIET)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium: apt-get install chromium")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags.append(f"--user-data-dir={folder}/profile")
    subprocess.run([chromium, *flags, f"--print-to-pdf={folder}/executed.pdf", page.as_uri()], check=True, **QUIET)
    if not (folder / "executed.pdf").exists():
        sys.exit("Chromium printed nothing")


def timed(job: Callable[[Path], None]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        job(Path(folder))
        return time.perf_counter() - start


def main() -> None:
    timed(qualify)
    timed(chain)
    pairs = [(timed(qualify), timed(chain)) for _ in range(ROUNDS)]
    for name, seconds in zip(NAMES, zip(*pairs, strict=True), strict=True):
        print(f"{name:34} {_figures(seconds)} s (min, median, max)")
    ratios = [ours / theirs for ours, theirs in pairs]
    print(f"{'ratio, pair by pair':34} {_figures(ratios)}")


def _figures(values: Sequence[float]) -> str:
    return " ".join(f"{value:6.2f}" for value in (min(values), statistics.median(values), max(values)))


if __name__ == "__main__":
    main()
