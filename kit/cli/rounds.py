"""What `trailkit run --targets` does: a round over many targets, told one by one, and the record that sums it up."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from kit.cli.app import FailOn, answering, finish, print_table, refresh_index, say, tell
from kit.cli.telling import STYLES, describe, summarizing, tell_files
from kit.errors import ParameterError

if TYPE_CHECKING:
    from kit.rounds.engine import Crew
    from kit.rounds.work import Outcome


def run_round(
    protocols: list[str],
    targets: Path,
    settings: list[str] | None,
    output: Path,
    crew: "Crew",
    *,
    resume: bool,
    pdf: bool,
    as_json: bool,
    fail_on: FailOn,
    summary: Path | None,
) -> None:
    """Qualify every target of a file by each protocol, and end with the status of the summary's verdict.

    Raises:
        KitError: the targets are refused, or it was interrupted.
    """
    from kit.rounds.conduct import conduct
    from kit.rounds.targets import load_targets

    of = load_targets(targets, settings or [])
    done = []

    def told(outcomes: "list[Outcome]", total: int) -> None:
        done.append(outcomes[0].target)
        for one in outcomes:
            answer["targets"].append({name: value for name, value in vars(one).items() if name != "seconds"})
            if not as_json:
                what = one.record_id or f"{one.problem}; {one.remedy}"
                say(f"{len(done)}/{total}  {one.target}  {one.protocol}  {one.verdict or 'NO RECORD'}  {what}")
        refresh_index(output / outcomes[0].target)

    with answering(as_json=as_json) as answer, summarizing(summary) as summarize:
        answer |= {"verdict": None, "targets": []}
        sealed = conduct(of, protocols, output, crew, told, resume=resume, pdf=pdf)
        for warning in sealed.warnings:
            tell(warning)
        refresh_index(output)
        answer |= {"verdict": sealed.verdict.value, "summary": describe(sealed)}
        summarize(sealed)
        if not as_json:
            typer.echo(f"{sealed.verdict.value}  {sealed.folder.name}")
            tell_files(sealed.folder, sealed.digest)
            print_table({"verdict": True, "targets": True}, _tally(answer["targets"]), STYLES)
    finish(sealed.verdict, fail_on)


def find_crew(executor: str, workers: int | None, dask: str | None) -> "Crew":
    """Return the workers that were asked for: processes of this machine, threads, or a Dask cluster.

    Raises:
        ParameterError: they don't go together, or the cluster does not answer.
    """
    from kit.rounds import engine

    if dask:
        if workers:
            raise ParameterError("a Dask cluster has the workers that it has", "leave out --workers")
        return engine.dask(dask)
    kinds = {"processes": engine.processes, "threads": engine.threads}
    if executor not in kinds:
        raise ParameterError(f"there is no executor {executor!r}", f"name {' or '.join(kinds)}")
    return kinds[executor](workers or os.cpu_count() or 1)


def _tally(outcomes: list[dict[str, Any]]) -> list[tuple[str, str]]:
    from collections import Counter

    counts = Counter(one["verdict"] or "NO RECORD" for one in outcomes)
    return [(verdict.replace("_", " "), str(number)) for verdict, number in sorted(counts.items())]
