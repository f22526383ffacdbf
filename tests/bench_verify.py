"""Measures the verification of a large record against `sha256sum -c` on the same folder, and its memory.

Run it with `make bench`. The record holds 1 GiB of evidence that can't be compressed, as ledgers are, and a PDF that
carries all of it: `sha256sum` reads files and PDF once, verification reads also what the PDF carries.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fixtures.runs import close_record, redo_sums

from kit.canonical import sha256_file
from kit.record.manifest import MANIFEST, PDF, read_manifest
from kit.render.context import Attachment, RecordContext
from kit.render.html import render_html
from kit.render.pdf import render_pdf

ROUNDS = 5
FILES, SIZE = 16, 64 << 20
BIN = Path(sys.executable).parent


def make(folder: Path) -> None:
    """Make a record of FILES files of SIZE bytes each, with everything in its PDF."""
    (folder / "evidence").mkdir(parents=True)
    names = [f"evidence/E{number:04d}-ledger.jsonl.gz" for number in range(FILES)]
    for name in names:
        (folder / name).write_bytes(os.urandom(SIZE))
    close_record(folder, names)
    digest = sha256_file(folder / MANIFEST)
    record = RecordContext(
        read_manifest(folder)["record_id"], digest, sealed=True, created="2026-11-02T09:14:10Z", executed=False
    )
    page = render_html({"cells": [], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}, record)
    attached = [Attachment(name, folder / name, "evidence", "application/gzip") for name in (*names, MANIFEST)]
    (folder / PDF).write_bytes(render_pdf(page, record, attached))
    redo_sums(folder)


def timed(*command: str | Path, folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "record"
        subprocess.run([sys.executable, __file__, folder], check=True)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        ours = (BIN / "trailkit", "verify", folder)
        theirs = ("sha256sum", "-c", "--quiet", "SHA256SUMS")
        timed(*ours, folder=folder)
        pairs = [(timed(*ours, folder=folder), timed(*theirs, folder=folder)) for _ in range(ROUNDS)]
        for name, seconds in zip(("trailkit verify", "sha256sum -c"), zip(*pairs, strict=True), strict=True):
            print(f"{name:34} {_figures(seconds)} s (min, median, max) for {size / 2**30:.2f} GiB")
        print(f"{'ratio, pair by pair':34} {_figures(one / other for one, other in pairs)}")
        done = subprocess.run(["/usr/bin/time", "-f", "%M", *ours], check=True, capture_output=True, text=True)
        print(f"{'peak memory':34} {int(done.stderr.split()[-1]) / 1024:6.0f} MiB")


def _figures(values) -> str:
    listed = sorted(values)
    return " ".join(f"{value:6.2f}" for value in (listed[0], statistics.median(listed), listed[-1]))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        make(Path(sys.argv[1]))
    else:
        main()
