"""The command: `trailkit demo | run | seal | verify | sandbox | policy`.

Exits 0 for PASS, 1 for FAIL, 2 for misuse, 3 for INCONCLUSIVE or interrupted. An error is one line of what is wrong and
one of what to do. Imports are late, so that `--help` answers at once.
"""

import io
import json
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from kit import __version__
from kit.errors import ExecutionError, KitError, ParameterError, SandboxError

if TYPE_CHECKING:
    from kit.execute import Progress
    from kit.findings import Verdict
    from kit.record.seal import Sealed


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

INTERRUPTED = 3
_CTRL_C = 130  # what Typer makes of it
Output = Annotated[Path, typer.Option("--output", help="The folder for runs and records.")]
Parameters = Annotated[Path | None, typer.Option("--parameters", "-f", help="The parameters file (YAML).")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Set one parameter: key.path=value. Repeatable.")]


def main() -> None:
    """Run the command and exit with its status; what the user can mend is told in two lines, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # a name that the terminal can't print is no reason to stop
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # ended by a scheduler or by Ctrl-C, all the same: what was started is stopped, and nothing half is left
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app(prog_name="trailkit")
    except SystemExit as ended:
        if ended.code != _CTRL_C:
            raise
        _tell(KitError("interrupted", "run it again; nothing half is left"))
        sys.exit(INTERRUPTED)
    except KitError as error:
        _tell(error)
        sys.exit(error.exit_code)
    except Exception:  # noqa: BLE001 - a defect of ours; Python's own status for it, 1, would read as a FAIL
        traceback.print_exc()
        sys.exit(INTERRUPTED)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(f"trailkit {__version__}")
        raise typer.Exit


@app.command()
def demo(output: Output = Path("outputs")) -> None:
    """Execute both qualifications against the embedded account, and seal a record of each."""
    from kit.findings import roll_up

    parameters = {"target": "sandbox", "execution": _DEMO}
    _exit(roll_up([_run_protocol(name, parameters, output) for name in ("IQ", "OQ")]))


_DEMO = {
    "executed_by": "Demonstration User",
    "system_id": "DEMO-CLOUDTRAIL",
    "environment": "sandbox",
    "protocol_id": "VP-DEMO",
}


@app.command()
def run(
    protocols: Annotated[list[str], typer.Argument(help="The protocols to execute, in this order: iq, oq.")],
    parameters: Parameters = None,
    settings: Settings = None,
    output: Output = Path("outputs"),
) -> None:
    """Execute protocols with the parameters of a file, and seal a record of each."""
    from kit.catalogue import protocol
    from kit.findings import roll_up
    from kit.parameters import RunParameters, apply_settings, load_file

    if parameters is None:
        raise ParameterError("no parameters file was named", "name one: --parameters parameters/sandbox.yaml")
    named = [protocol(name).id for name in protocols]
    mapping = apply_settings(load_file(parameters), settings or [])
    RunParameters.load(mapping)
    _exit(roll_up([_run_protocol(name, mapping, output) for name in named]))


@app.command()
def seal(
    notebook: Annotated[Path, typer.Argument(help="An executed notebook.")], output: Output = Path("outputs")
) -> None:
    """Seal an executed notebook and its evidence into a record, as `run` does."""
    sealed = _seal(notebook, output)
    _tell_record(sealed)
    _exit(sealed.verdict)


@app.command()
def verify(record: Annotated[Path, typer.Argument(help="The folder of a record.")]) -> None:
    """Verify that a record is whole, offline."""
    from kit.record.verify import verify as steps

    for step in steps(record):
        typer.echo(f"{step.number}. {step.text}")
    typer.echo("The record is whole. Hashes alone do not show who made it, or that it was never redone.")


@app.command()
def sandbox(
    fault: Annotated[list[str] | None, typer.Option("--fault", help="Spoil the account. Repeatable.")] = None,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="List the faults, and end.")] = False,
    hours: Annotated[int, typer.Option("--hours", min=0, max=8784, help="Deliver logs of so many hours.")] = 24,
) -> None:
    """Serve the embedded account until Ctrl-C, and print the endpoint and the parameters to use."""
    from kit.sandbox import server

    if list_faults:
        for one in server.list_faults():
            typer.echo(f"{one.name:34} {', '.join(one.changes) or '-':34} {one.description}")
        return
    import time

    import yaml

    with server.Sandbox(fault or [], {"hours": hours} if hours else None) as account:
        try:
            typer.echo(f"# The sandbox answers at {account.endpoint} until Ctrl-C. In another shell:")
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                typer.echo(f"#   export {name}={account.environment[name]}")
            typer.echo("#   trailkit run iq oq --parameters FILE  with a FILE of what follows")
            typer.echo(yaml.safe_dump(account.parameters, sort_keys=False))
            while account.running:
                time.sleep(0.2)
        except KeyboardInterrupt:
            typer.echo("# The sandbox has stopped.")
            return
    raise SandboxError("the sandbox ended by itself", "start it again")


@app.command()
def policy(
    protocols: Annotated[
        list[str] | None, typer.Argument(help="The protocols to allow: iq, oq. Every one if none.")
    ] = None,
    parameters: Parameters = None,
) -> None:
    """Print the least-privilege IAM policy that runs need, narrowed to the parameters of a file where given."""
    from kit.catalogue import protocol
    from kit.catalogue import protocols as all_protocols
    from kit.collect.least_privilege import least_privilege
    from kit.parameters import RunParameters, load_file

    named = tuple(protocol(name).id for name in protocols or all_protocols())
    narrowed: dict[str, Any] = {"protocols": named}
    if parameters is not None:
        told = RunParameters.load(load_file(parameters))
        if not isinstance(told.target, str):
            roles = {*told.target.role_arns.values(), *([told.target.role_arn] if told.target.role_arn else [])}
            if "OQ" in named and told.expected.denied_role_arn:
                roles.add(told.expected.denied_role_arn)
            narrowed = {"account_id": told.target.account_id, "assumed_roles": tuple(roles)}
        narrowed["reader_roles"] = told.expected.reader_role_arns or ()
        if trail := told.expected.trail_arn:
            # without it every trail is judged, and every trail's bucket is read
            narrowed |= {"partition": trail.split(":")[1], "bucket": told.expected.log_bucket}
    typer.echo(json.dumps(least_privilege(**narrowed), indent=2))


def _run_protocol(name: str, mapping: dict[str, Any], output: Path) -> "Verdict":
    from kit.catalogue import protocol
    from kit.execute import execute, find_notebook

    notebook = find_notebook(protocol(name).notebook)
    with _progress_bar(name) as progress, _rendering_prepared():
        executed = execute(notebook, mapping, output, progress)
        progress("Sealing the record", 0, 1)
        try:
            sealed = _seal(executed, output)
        except KeyboardInterrupt as error:
            again = shlex.join(["trailkit", "seal", str(executed), "--output", str(output)])
            raise ExecutionError("interrupted while sealing", f"the run is kept; seal it with `{again}`") from error
    _tell_record(sealed)
    return sealed.verdict


def _seal(notebook: Path, output: Path) -> "Sealed":
    from kit.record.seal import seal as seal_record
    from kit.render.record import render_record

    return seal_record(notebook, output, render_record)


def _tell_record(sealed: "Sealed") -> None:
    for warning in sealed.warnings:
        _tell(warning)
    typer.echo(f"{sealed.verdict.value}  {sealed.folder.name}")
    typer.echo(f"  record  {sealed.folder}")
    for name in ("record.html", "record.pdf"):
        if (sealed.folder / name).exists():
            typer.echo(f"  {name[7:]:6}  {sealed.folder / name}")
    typer.echo(f"  digest  {sealed.digest}")


def _exit(verdict: "Verdict") -> None:
    codes = {"PASS": 0, "FAIL": 1}
    raise typer.Exit(codes.get(verdict.value, INTERRUPTED))


def _tell(error: KitError) -> None:
    for line in str(error).splitlines():
        typer.echo(line, err=True)


@contextmanager
def _progress_bar(name: str) -> Iterator["Progress"]:
    """Show what the notebook is at, on a terminal; elsewhere say nothing."""
    from rich.console import Console
    from rich.filesize import decimal
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    sized = TextColumn("{task.fields[size]}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), sized, TimeElapsedColumn())
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        tasks = {"": bar.add_task(f"{name}: starting", total=None, size="")}

        def progress(phase: str, done: int, total: int, size: int = 0) -> None:
            if phase not in tasks:
                for task in tasks.values():
                    bar.update(task, visible=False)
                tasks[phase] = bar.add_task(f"{name}: {phase}", total=total, size="")
            bar.update(tasks[phase], completed=done, total=total, size=decimal(size) if size else "")

        yield progress


@contextmanager
def _rendering_prepared() -> Iterator[None]:
    """Import what renders the record while the notebook runs in its own process."""
    import threading

    def load() -> None:
        import kit.render.record  # noqa: F401
        from kit.render.pdf import load_weasyprint

        # a missing library is told when the record is rendered
        with suppress(KitError):
            load_weasyprint()

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


if __name__ == "__main__":
    main()
