"""The commands for other systems: findings in their form, and the schemas of what the kit reads and writes."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kit.cli.app import Record, app, say
from kit.errors import ParameterError


class _Format(StrEnum):
    OCSF = "ocsf"


class _Of(StrEnum):
    FINDINGS = "findings"
    PARAMETERS = "parameters"


@app.command()
def export(
    record: Record,
    form: Annotated[_Format, typer.Option("--format", help="The form of the events.")],
    file: Annotated[Path | None, typer.Option("--output", help="The file to write, else standard output.")] = None,
) -> None:
    """Print the findings of a sealed record as events for other systems; a record that does not hold has none.

    ocsf: Compliance Finding events of the Open Cybersecurity Schema Framework, as AWS Security Hub takes them.
    """
    from kit.record.ocsf import export_ocsf

    if not record.is_dir():
        raise ParameterError(f"{record} is no folder", "name the folder of a sealed record")
    if file and record.resolve() in file.resolve().parents:
        raise ParameterError(f"{file} is in the record, and nothing is added to a sealed record", "name another file")
    exported = {_Format.OCSF: export_ocsf}[form](record.resolve())
    if file is None:
        typer.echo(exported.decode("utf-8"), nl=False)
        return
    file.write_bytes(exported)
    say(f"EXPORTED  {record.name} to {file}")


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
