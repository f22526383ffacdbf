"""The commands for other systems: the schemas of what the kit reads and writes."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kit.cli.app import app


class _Of(StrEnum):
    FINDINGS = "findings"
    PARAMETERS = "parameters"


@app.command()
def schema(of: Annotated[_Of, typer.Argument(help="What the schema is of.")]) -> None:
    """Print the JSON Schema (2020-12) of a record's findings.json, or of a parameters file."""
    if of is _Of.FINDINGS:
        from kit import record

        typer.echo((Path(record.__path__[0]) / "findings.schema.json").read_text(encoding="utf-8"), nl=False)
        return
    from kit.canonical import pretty
    from kit.parameters import json_schema

    typer.echo(pretty(json_schema()))
