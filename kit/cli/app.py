"""What every part of the command shares: the application, its options, how it tells and how it ends.

Exits 0 for PASS, 1 for FAIL, 2 for misuse, 3 for INCONCLUSIVE or interrupted; `--fail-on` can have a verdict, and
nothing else, end with 0. An error is one line of what is wrong and one of what to do. Imports are late, so that
`--help` answers at once.
"""

import json
import os
import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from kit.errors import KitError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kit.findings import Verdict

INTERRUPTED = 3


class FailOn(StrEnum):
    """Which verdicts end a command with another status than 0; INCONCLUSIVE is every verdict but PASS and FAIL."""

    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NEVER = "never"

    def forgives(self, status: int) -> bool:
        """Return whether the status of a verdict becomes 0."""
        return self is FailOn.NEVER or (self is FailOn.FAIL and status == INTERRUPTED)


class _Commands(TyperGroup):
    """Has a reader that stopped reading leave as what is open: Typer's own status for it, 1, would read as a FAIL."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # nothing is left to tell, not even by Python as it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    cls=_Commands,
    name="trailkit",
    help="Validation evidence for AWS CloudTrail: qualify trail encryption and log integrity, and keep the proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _of_this_machine(output: Path) -> Path:
    """Refuse an address, of which a path would be made."""
    if str(output).lower().startswith("s3:"):
        remedy = "bring them into a new folder with `aws s3 sync`, and name that; send it with `trailkit send`"
        raise ParameterError("outputs in S3 are for `trailkit run`", remedy)
    return output


Output = Annotated[Path, typer.Option("--output", help="The folder for runs and records.", callback=_of_this_machine)]
Destination = Annotated[str, typer.Option("--output", help="The folder for runs and records, or s3://bucket/prefix.")]
Parameters = Annotated[Path | None, typer.Option("--parameters", "-f", help="The parameters file (YAML).")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Set one parameter: key.path=value. Repeatable.")]
Trust = Annotated[Path | None, typer.Option("--trust", help="Root certificates to trust (PEM).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Notebooks = Annotated[
    Path | None, typer.Option("--notebooks", help="Take the notebooks of this folder, and not the kit's own.")
]
Fails = Annotated[FailOn, typer.Option("--fail-on", help="The least verdict that ends with another status than 0.")]
Record = Annotated[Path, typer.Argument(help="The folder of a record.")]


def finish(verdict: "Verdict", fail_on: FailOn = FailOn.INCONCLUSIVE) -> None:
    """End with the status of a verdict; one that is forgiven ends with 0, and is told to be no PASS."""
    status = {"PASS": 0, "FAIL": 1}.get(verdict.value, INTERRUPTED)
    if status and fail_on.forgives(status):
        say(f"{verdict.value} is no PASS; the status is 0 only because of --fail-on {fail_on.value}", err=True)
        status = 0
    raise typer.Exit(status)


def tell(error: KitError) -> None:
    """Tell of an error, on standard error: what is wrong, and what to do."""
    for line in str(error).splitlines():
        say(line, err=True)


def say(line: str, *, err: bool = False) -> None:
    """Print a line; a character that would act on the terminal (in a name, say) is written out."""
    from kit.present.text import plain

    typer.echo(plain(line), err=err)


def refresh_index(outputs: Path) -> None:
    """Write the index page of an outputs folder anew, where there is a register; that it can't be written is told."""
    from kit.record.register import REGISTER
    from kit.render.index import refresh_index as refresh

    if (outputs / REGISTER).exists() and (problem := refresh(outputs)):
        tell(problem)


@contextmanager
def answering(*, as_json: bool) -> "Iterator[dict[str, Any]]":
    """Yield what a command is to answer to a machine, and print it as one JSON object, where that was asked for.

    An error is part of the answer, beside whatever was done before it, and is told on standard error all the same.
    """
    answer: dict[str, Any] = {}
    try:
        yield answer
    except KitError as error:
        if as_json:
            told = {"message": error.message, "remedy": error.remedy}
            typer.echo(json.dumps(answer | {"error": told}, indent=2))
        raise
    if as_json:
        typer.echo(json.dumps(answer, indent=2))


def print_table(columns: "Mapping[str, bool]", rows: "Iterable[Iterable[str]]", styles: "Mapping[str, str]") -> None:
    """Print rows under named columns; a column that is True there is never broken over two lines.

    A cell that is a key of `styles` is coloured, on a terminal that has colours and unless `NO_COLOR` is set; what it
    says is in its words. Elsewhere than on a terminal a row has room for 200 characters.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from kit.present.text import plain

    table = Table(box=None, pad_edge=False, header_style="")
    for name, whole in columns.items():
        table.add_column(name, no_wrap=whole, overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell), styles.get(cell, "")) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else 200, markup=False, highlight=False)
    console.print(table)
