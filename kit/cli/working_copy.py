"""The command that lays out a working copy: what a QA team puts under version control to validate one system."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from kit.cli.app import app, say
from kit.errors import ParameterError

_FILES = {
    "docs/working_copy/README.md": "README.md",
    "docs/working_copy/gitignore": ".gitignore",
    "docs/ci/github/validate.yml": ".github/workflows/validate.yml",
    "docs/ci/gitlab-ci.yml": ".gitlab-ci.yml",
    "parameters/example-account.yaml": "parameters/account.yaml",
    "parameters/parameters.schema.json": "parameters/parameters.schema.json",
    "parameters/sandbox.yaml": "parameters/sandbox.yaml",
    "parameters/targets.example.yaml": "parameters/targets.example.yaml",
}
"""What comes with the kit, and its place in a working copy; the notebooks come besides."""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make; an empty one may be there.")],
) -> None:
    """Lay out a working copy: notebooks, parameters with their schema, an outputs folder, and examples for CI."""
    from kit.shipped import shipped

    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder} is no folder", "name a folder that is empty, or not there yet")
    if found := sorted(one.name for one in folder.glob("*") if one.name != ".git"):
        raise ParameterError(
            f"{folder} is not empty: it holds {found[0]}", "name a folder that is empty, or not there yet"
        )
    places = {shipped(name): place for name, place in _FILES.items()}
    places |= {path: f"notebooks/{path.name}" for path in sorted(shipped("notebooks").glob("*.ipynb"))}
    for source, place in places.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / place)
    (folder / "outputs").mkdir()
    (folder / "outputs" / ".gitkeep").touch()
    say(f"WORKING COPY  {folder}")
    say(f"  read this  {folder / 'README.md'}")
    say(f"  fill in    {folder / 'parameters' / 'account.yaml'}")
    say("  try it     trailkit run iq oq --parameters parameters/sandbox.yaml")
