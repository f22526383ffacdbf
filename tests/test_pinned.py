"""The baseline of findings holds what the pinned tests find: all of them, and no test that is gone."""

import subprocess
import sys
from pathlib import Path

import pytest
from fixtures import pinned

from kit.findings import Judgement


def test_no_test_is_pinned_that_is_not_there(root: Path) -> None:
    modules = [f"tests/{path.stem}.py" for path in pinned.BASELINE.glob("*.json")]
    asked = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-m", "pinned", *modules]
    done = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=True)
    assert set(map(pinned.place, done.stdout.splitlines())) >= {
        (path.stem, test) for path in pinned.BASELINE.glob("*.json") for test in pinned.baseline(path.stem)
    }


@pytest.mark.parametrize("member", ["test_case", "message", "expected", "met", "observations"])
def test_a_finding_that_is_otherwise_in_any_way_fails(member: str, request: pytest.FixtureRequest) -> None:
    (module, test), made = next(
        ((path.stem, test), made)
        for path in sorted(pinned.BASELINE.glob("*.json"))
        for test, made in pinned.baseline(path.stem).items()
        if any(one["observations"] for one in made if isinstance(one, dict))
    )

    class Item:
        nodeid = f"tests/{module}.py::{test}"

    pinned.hold(Item, made)
    otherwise = [one | {member: {"another": True}} for one in made]
    with pytest.raises(pytest.fail.Exception, match=r"\+ .*another"):
        pinned.hold(Item, otherwise)
    with pytest.raises(pytest.fail.Exception, match="does not find what it found"):
        pinned.hold(Item, made[1:])


def test_what_is_shortened_is_read_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pinned.making() as made:
        for actual in (None, True, False, {"a": 1}):
            judgement = Judgement("IQ-01", "r")
            judgement.observe("b", {"c": actual})
            judgement.expect("d", True, actual, otherwise="It is not so.")
            judgement.finding("It is so.")
    monkeypatch.setattr(pinned, "BASELINE", tmp_path / "findings")
    monkeypatch.setattr(pinned, "drawn", {"test_x": {"test_a": made[:2], "test_b": made[2:], "test_c": []}})
    pinned.draw()
    assert pinned.baseline("test_x") == {"test_a": made[:2], "test_b": made[2:]}
    assert (tmp_path / "findings" / "test_x.json").read_text().count('"as"') == 3
