"""How commands tell of records: on the terminal, to a machine, and in the summary of a CI job."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kit.cli.app import FailOn, answering, finish, print_table, refresh_index, tell
from kit.errors import KitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kit.record.seal import Sealed

STYLES = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "yellow", "NOT EXECUTED": "yellow"}


def tell_each(
    records: "Iterator[Sealed]",
    *,
    as_json: bool,
    fail_on: FailOn = FailOn.INCONCLUSIVE,
    summary: Path | None = None,
    place: str = "",
) -> None:
    """Tell of each record as soon as it stands, and end with the status of the verdict over all.

    `place` is the address of the outputs that they were sent to, index and all.

    Raises:
        ParameterError: the summary can't be written; nothing is executed then.
        KitError: one did not come to a record.
    """
    from kit.findings import roll_up

    verdicts = []
    with answering(as_json=as_json) as answer, summarizing(summary) as summarize:
        answer |= {"verdict": None, "records": []}
        for sealed in records:
            for warning in sealed.warnings:
                tell(warning)
            if not place:
                refresh_index(sealed.folder.parent)
            verdicts.append(sealed.verdict)
            answer["records"].append(describe(sealed, place))
            if not as_json:
                _tell_record(sealed, place)
            summarize(sealed)
        verdict = roll_up(verdicts)
        answer["verdict"] = verdict.value
    finish(verdict, fail_on)


@contextmanager
def summarizing(path: Path | None) -> "Iterator[Callable[[Sealed], None]]":
    """Yield what adds a record to the summary, where there is to be one; an error that ends the block is added too.

    The first line tells whether it can be written, before anything is executed. Later that is only told: the record
    stands, and so does its verdict.
    """
    if path is None:
        yield lambda _: None
        return
    from kit.record.job_summary import append, error_summary, record_summary

    append(path, "")

    def add(text: str) -> None:
        try:
            append(path, text)
        except KitError as error:
            tell(error)

    try:
        yield lambda sealed: add(record_summary(sealed))
    except KitError as error:
        add(error_summary(error))
        raise


def describe(sealed: "Sealed", place: str = "") -> dict[str, Any]:
    """Return what a machine is told of a record, in a folder or at an address."""
    from kit.record.results import sentence

    test_cases = [
        {"test_case": step["test_case"], "title": step["title"], "verdict": step["verdict"], "finding": sentence(step)}
        for step in sealed.executed.steps
    ]
    files = files_of(sealed.folder, sealed.digest, place)
    protocol = {"protocol_sha256": sealed.executed.sources_sha256}
    return {"verdict": sealed.verdict.value, **files, **protocol, "test_cases": test_cases}


def files_of(folder: Path, digest: str, place: str = "") -> dict[str, Any]:
    """Return what a machine is told of a record's folder: its id, its digest, and the pages that are there; with
    `place`, where they are in the outputs of that address.
    """
    from kit.record.manifest import HTML, PDF, SIGNED

    pages = {"html": HTML, "pdf": PDF, "signed": SIGNED}
    where = f"{place}/{folder.name}" if place else str(folder)
    files = {label: f"{where}/{name}" for label, name in pages.items() if (folder / name).exists()}
    return {"record_id": folder.name, "folder": where, "digest": digest, "files": files}


def _tell_record(sealed: "Sealed", place: str) -> None:
    typer.echo(f"{sealed.verdict.value}  {sealed.folder.name}")
    tell_files(sealed.folder, sealed.digest, place)
    from kit.record.results import sentence

    columns = {"test case": True, "verdict": True, "finding": False}
    words = ((step["test_case"], step["verdict"].replace("_", " "), sentence(step)) for step in sealed.executed.steps)
    print_table(columns, words, STYLES)


def tell_files(folder: Path, digest: str, place: str = "") -> None:
    """Print where a record is, its pages, and its digest."""
    told = files_of(folder, digest, place)
    typer.echo(f"  record  {told['folder']}")
    for label, path in told["files"].items():
        typer.echo(f"  {label:6}  {path}")
    typer.echo(f"  digest  {digest}")
