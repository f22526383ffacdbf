"""Every chart is pinned as a picture: what changes how one looks has to be looked at, and its picture drawn anew.

`TRAILKIT_DRAW=1 pytest tests/test_chart_images.py` draws the pictures in `tests/baseline/` anew.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from fixtures.sample_record import steps
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.testing.compare import compare_images
from test_oq_charts import CASES
from test_review_charts import PERIOD
from test_round_charts import DRAWN as ROUND

from kit.collect.challenges import challenged_cases
from kit.collect.tool import known_faults
from kit.present import charts, figures
from kit.present.detection import PARTS, detection
from kit.present.run_charts import CHARTS
from kit.tool import Challenge, Installation, Tool

BASELINE = Path(__file__).parent / "baseline"
DOTS_PER_INCH = 80
TOLERANCE = 1.0
"""Root mean square of the difference, of 255: a cell of another colour exceeds it, another rasteriser does not."""


def tool() -> Tool:
    """Return challenges with every fault: one of them missed, one seen by a test case that should not."""
    cases = tuple(case.id for case in challenged_cases())
    faults = known_faults()
    changed = {one.name: one.changes for one in faults} | {
        "not-logging": (),
        "rotation-off": ("IQ-06", "IQ-07"),
    }
    challenges = tuple(
        Challenge((one.name,), one.changes, {c: "FAIL" if c in changed[one.name] else "PASS" for c in cases}, {})
        for one in faults
    )
    installed = Installation("", "", {}, {}, {}, "", "")
    return Tool(cases, tuple(faults), Challenge((), (), {}, {}), challenges, "", "", (), (), installed, {})


DRAWN: dict[str, Callable[[], Any]] = {
    "verdicts": lambda: charts.verdicts_by_requirement(steps()),
    "controls": lambda: charts.controls_by_trail(steps()),
    "coverage": CASES["coverage-regions"],
    "encryption": CASES["encryption-kinds"],
    "lag": CASES["lag"],
    "chain": CASES["chain-breaks"],
    "key_use": CASES["key-day"],
    "timeline": PERIOD["timeline"],
    "changes": PERIOD["changes"],
    "days": PERIOD["days"],
    "objects": PERIOD["objects"],
    **{name: partial(detection, tool(), name) for name in PARTS},
    **ROUND,
}


@pytest.fixture
def picture(tmp_path, monkeypatch):
    """Returns the path of a chart's picture: the figure that becomes its SVG, drawn in dots."""
    path = tmp_path / "drawn.png"

    class Canvas(FigureCanvasSVG):
        def print_svg(self, *arguments: Any, **options: Any) -> None:
            with mpl.rc_context({"text.antialiased": False}):
                self.figure.savefig(path, dpi=DOTS_PER_INCH, metadata={"Software": None}, backend="agg")
            super().print_svg(*arguments, **options)

    monkeypatch.setattr(figures, "FigureCanvasSVG", Canvas)

    def draw(name: str) -> Path:
        assert DRAWN[name]().kind == "chart"
        return path

    return draw


def test_every_chart_of_a_run_is_pinned():
    assert set(DRAWN) == set(CHARTS)
    assert {path.stem for path in BASELINE.glob("*.png")} == set(DRAWN)


@pytest.mark.parametrize("name", DRAWN)
def test_chart_looks_as_it_did(name, picture, tmp_path):
    drawn, pinned = picture(name), BASELINE / f"{name}.png"
    if os.environ.get("TRAILKIT_DRAW"):
        pinned.write_bytes(drawn.read_bytes())
    # where they differ, it writes the difference beside what was drawn, so that the pinned one stays where it is
    expected = tmp_path / "expected.png"
    expected.write_bytes(pinned.read_bytes())
    assert compare_images(str(expected), str(drawn), tol=TOLERANCE) is None


def test_a_cell_of_another_verdict_is_seen(picture, tmp_path):
    changed = steps()
    changed[0] = changed[0] | {"verdict": "FAIL"}
    drawn = picture("verdicts")
    before = drawn.rename(tmp_path / "before.png")
    charts.verdicts_by_requirement(changed)
    assert compare_images(str(before), str(drawn), tol=TOLERANCE) is not None
