"""The commands that qualify an account: have a protocol approved, execute it, seal what was executed."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.cli.app import (
    AsJson,
    Destination,
    FailOn,
    Fails,
    Notebooks,
    Output,
    Parameters,
    Settings,
    Trust,
    answering,
    app,
    refresh_index,
    say,
    tell,
)
from kit.cli.telling import files_of, tell_each, tell_files
from kit.errors import KitError, ParameterError

if TYPE_CHECKING:
    from kit.execute import Progress
    from kit.record.seal import Sealed

Summary = Annotated[Path | None, typer.Option("--summary", help="Append a summary in Markdown to this file.")]
Pdf = Annotated[bool, typer.Option("--pdf/--no-pdf", help="Render the PDF, or leave it to `trailkit render`.")]

_DASK = (
    "A Dask cluster, by its scheduler (tcp://host:8786): its workers qualify the targets and read the objects of each, "
    "every one with credentials of its own."
)
_DEMO = {
    "executed_by": "Demonstration executor",
    "system_id": "DEMO-CLOUDTRAIL",
    "environment": "sandbox",
    "protocol_id": "VP-DEMO",
    "reason": "demonstration",
}
_MEANINGS = {
    "executor": "I executed this protocol.",
    "reviewer": "I reviewed this record.",
    "approver": "I approve this record.",
}


@app.command()
def demo(
    fail_on: Fails = FailOn.INCONCLUSIVE,
    summary: Summary = None,
    output: Output = Path("outputs"),
    as_json: AsJson = False,
) -> None:
    """Execute both qualifications against the embedded account, and seal and sign a record of each."""
    parameters = {"target": "sandbox", "execution": _DEMO}

    def qualify(name: str) -> "Sealed":
        sealed = run_protocol(name, parameters, output)
        _sign_for_show(sealed.folder)
        return sealed

    tell_each(map(qualify, ("IQ", "OQ")), as_json=as_json, fail_on=fail_on, summary=summary)


@app.command()
def protocol(
    protocols: Annotated[list[str], typer.Argument(help="The protocols to issue: iq, oq, pq, tq.")],
    parameters: Parameters = None,
    settings: Settings = None,
    notebooks: Notebooks = None,
    output: Output = Path("outputs"),
    as_json: AsJson = False,
) -> None:
    """Issue protocols for approval, before anything is executed: HTML and PDF, to be signed like a record."""
    from kit.catalogue import protocol as find_protocol
    from kit.parameters import RunParameters
    from kit.record.issue import issue
    from kit.render.record import render_protocol

    named = [find_protocol(name) for name in protocols]
    chosen = choose_notebooks([of.id for of in named], notebooks)
    told = RunParameters.load(read_parameters(parameters, settings))
    with answering(as_json=as_json) as answer:
        answer["protocols"] = []
        for of in named:
            issued = issue(of, chosen[of.id], told, output, render_protocol)
            for warning in issued.warnings:
                tell(warning)
            answer["protocols"].append(files_of(issued.folder, issued.digest))
            refresh_index(output)
            if not as_json:
                typer.echo(f"ISSUED  {issued.folder.name}")
                tell_files(issued.folder, issued.digest)


@app.command()
def run(
    protocols: Annotated[list[str], typer.Argument(help="The protocols to execute, in this order: iq, oq, pq, tq.")],
    parameters: Parameters = None,
    settings: Settings = None,
    approved: Annotated[list[Path] | None, typer.Option("--approved", help="A signed protocol. Repeatable.")] = None,
    trust: Trust = None,
    notebooks: Notebooks = None,
    targets: Annotated[Path | None, typer.Option("--targets", help="Many targets: a file of them (YAML).")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the round that was broken off.")] = False,
    executor: Annotated[str, typer.Option("--executor", help="For many targets: processes or threads.")] = "processes",
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="How many; one for each processor if left out.")
    ] = None,
    dask: Annotated[str | None, typer.Option("--dask", help=_DASK)] = None,
    pdf: Pdf = True,
    fail_on: Fails = FailOn.INCONCLUSIVE,
    summary: Summary = None,
    output: Destination = "outputs",
    as_json: AsJson = False,
) -> None:
    """Execute protocols with the parameters of a file, and seal a record of each; or on many targets, summed up."""
    from kit.catalogue import protocol as find_protocol
    from kit.parameters import RunParameters
    from kit.record.working import is_remote, working_outputs

    named = [find_protocol(name).id for name in protocols]
    if targets is not None:
        if parameters is not None or approved or notebooks:
            remedy = (
                "put shared parameters under defaults in the targets file; approved protocols and notebooks of a "
                "folder are for single runs"
            )
            raise ParameterError("--targets goes with neither --parameters, --approved nor --notebooks", remedy)
        choose_notebooks(named)
        from kit.cli.rounds import find_crew, run_round

        crew = find_crew(executor, workers, dask)
        run_round(
            named,
            targets,
            settings,
            output,
            crew,
            resume=resume,
            pdf=pdf,
            as_json=as_json,
            fail_on=fail_on,
            summary=summary,
        )
    if resume or workers:
        raise ParameterError("--resume and --workers are for many targets", "name them: --targets FILE")
    if dask:
        from kit.collect.cluster import connect

        connect(dask).close()  # type: ignore[no-untyped-call]
    mapping = read_parameters(parameters, settings)
    told = RunParameters.load(mapping)
    chosen = choose_notebooks(named, notebooks)
    approvals = read_approvals(approved or [], trust, chosen, told, silent=as_json)
    place = output.removesuffix("/") if is_remote(output) else ""

    def records() -> "Iterator[Sealed]":
        with working_outputs(output, named) as outputs:
            for name in named:
                sealed = run_protocol(
                    name,
                    mapping,
                    outputs.folder,
                    approvals.get(name),
                    chosen[name],
                    outputs.noting,
                    pdf=pdf,
                    cluster=dask or "",
                )
                if place:
                    refresh_index(outputs.folder)
                    outputs.send()
                yield sealed

    tell_each(records(), as_json=as_json, fail_on=fail_on, summary=summary, place=place)


@app.command()
def seal(
    notebook: Annotated[Path, typer.Argument(help="An executed notebook.")],
    pdf: Pdf = True,
    fail_on: Fails = FailOn.INCONCLUSIVE,
    summary: Summary = None,
    output: Output = Path("outputs"),
    as_json: AsJson = False,
) -> None:
    """Seal an executed notebook and its evidence into a record, as `run` does."""
    from kit.qualify import seal_executed

    records = (seal_executed(one, output, pdf=pdf) for one in (notebook,))
    tell_each(records, as_json=as_json, fail_on=fail_on, summary=summary)


def read_parameters(path: Path | None, settings: list[str] | None) -> dict[str, Any]:
    """Return the parameters of a file, with what was set on the command line.

    Raises:
        ParameterError: no file was named, or it or a setting can't be read.
    """
    from kit.parameters import apply_settings, load_file

    if path is None:
        raise ParameterError("no parameters file was named", "name one: --parameters parameters/sandbox.yaml")
    return apply_settings(load_file(path), settings or [])


def choose_notebooks(named: list[str], folder: Path | None = None) -> dict[str, Path]:
    """Return the notebook of each protocol, the kit's own or that of a folder; of the latter it tells the hash.

    Raises:
        ParameterError: the folder lacks one, or it was not said which of two is meant.
    """
    from kit.catalogue import protocol as find_protocol
    from kit.execute import choose_notebook, find_notebook, protocol_sha256

    chosen = {name: choose_notebook(find_protocol(name).notebook, folder) for name in named}
    for path in chosen.values() if folder else ():
        digest = protocol_sha256(path)
        known = "the same as" if digest == protocol_sha256(find_notebook(path.name)) else "not"
        say(f"notebook  {path}, {known} the kit's: protocol_sha256 {digest}", err=True)
    return chosen


def read_approvals(
    paths: list[Path], trust: Path | None, notebooks: Mapping[str, Path], told: Any, *, silent: bool
) -> dict[str, Path]:
    """Return the approval of each protocol that a notebook is given for; where any is given, each needs its own.

    Raises:
        ParameterError: one is missing, given twice, or of a protocol that is not run.
        RecordError: one is no approval to rely on, or approves something else.
    """
    if not paths:
        return {}
    from kit.catalogue import protocol as find_protocol
    from kit.execute import protocol_sha256
    from kit.record.verification.approval import hold_approval, read_approval

    read = {path: read_approval(path, trust) for path in paths}
    by_protocol = {approval.manifest["protocol"]["id"]: path for path, approval in read.items()}
    if missing := [name for name in notebooks if name not in by_protocol]:
        remedy = f"name its signed PDF too, or leave out {missing[0]}"
        raise ParameterError(f"no approval of {missing[0]} was given", remedy)
    if len(by_protocol) != len(paths) or set(by_protocol) - set(notebooks):
        raise ParameterError(
            "an approval is given twice, or of a protocol that is not run", "name one for each protocol"
        )
    for name, notebook in notebooks.items():
        approval = read[by_protocol[name]]
        hold_approval(approval, find_protocol(name), told, protocol_sha256(notebook))
        for one in () if silent else approval.statements:
            known = "" if trust else ", by nobody known: no --trust given"
            say(f"approved  {approval.record_id}, {one.role}: {one.name}, {one.time}{known}")
    return by_protocol


def run_protocol(
    name: str,
    mapping: Mapping[str, Any],
    output: Path,
    approved: Path | None = None,
    notebook: Path | None = None,
    noting: "Callable[[Progress], Progress] | None" = None,
    *,
    pdf: bool = True,
    cluster: str = "",
) -> "Sealed":
    """Execute a notebook of a protocol, the kit's own if none is given, and seal what was executed; `noting` returns
    what takes note of its progress before that is shown.

    Raises:
        KitError: it did not run to its end, or can't be sealed.
    """
    from kit.qualify import qualify

    with progress_bar(name) as progress:
        try:
            noted = noting(progress) if noting else progress
            return qualify(name, mapping, output, noted, approved, notebook, pdf=pdf, cluster=cluster)
        except KitError:
            # a run that failed stands in the index too
            refresh_index(output)
            raise


def _sign_for_show(record: Path) -> None:
    """Sign a record of the embedded account in every role, with identities that nobody has."""
    from kit.record.sign import sign
    from kit.record.signatures.statement import ROLES
    from kit.record.signatures.throwaway import throwaway_key

    if not (record / "record.pdf").exists():
        return
    for role in ROLES:
        sign(record, role, _MEANINGS[role], throwaway_key(role))


@contextmanager
def progress_bar(name: str) -> Iterator["Progress"]:
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
