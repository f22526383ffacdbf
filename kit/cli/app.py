"""What every part of the command shares: the application, its options, how it tells and how it ends.

Exits 0 for PASS, 1 for FAIL, 2 for misuse, 3 for INCONCLUSIVE or interrupted. An error is one line of what is wrong and
one of what to do. Imports are late, so that `--help` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from kit.errors import KitError

if TYPE_CHECKING:
    from kit.findings import Verdict

INTERRUPTED = 3


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

Output = Annotated[Path, typer.Option("--output", help="The folder for runs and records.")]
Parameters = Annotated[Path | None, typer.Option("--parameters", "-f", help="The parameters file (YAML).")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Set one parameter: key.path=value. Repeatable.")]
Trust = Annotated[Path | None, typer.Option("--trust", help="Root certificates to trust (PEM).")]
Record = Annotated[Path, typer.Argument(help="The folder of a record.")]


def finish(verdict: "Verdict") -> None:
    """End with the status of a verdict."""
    codes = {"PASS": 0, "FAIL": 1}
    raise typer.Exit(codes.get(verdict.value, INTERRUPTED))


def tell(error: KitError) -> None:
    """Tell of an error, on standard error: what is wrong, and what to do."""
    for line in str(error).splitlines():
        say(line, err=True)


def say(line: str, *, err: bool = False) -> None:
    """Print a line; a character that would act on the terminal (in a name, say) is written out."""
    from kit.present.text import plain

    typer.echo(plain(line), err=err)
