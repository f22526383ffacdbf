"""The examples in docstrings: each runs, and says what it gives."""

import doctest
import importlib
from pathlib import Path

import pytest

import kit

ROOT = Path(kit.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
    for path in ROOT.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_every_example_of_a_module_gives_what_it_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert done.attempted > 0
    assert done.failed == 0


def test_what_a_notebook_uses_has_an_example():
    assert {"kit.protocol", "kit.parameters", "kit.findings", "kit.present.displays"} <= set(MODULES)
