"""What a job summary of a CI system tells of a record: Markdown, as GitHub takes it in `GITHUB_STEP_SUMMARY`.

It is a view for whoever looks at a pipeline, and proves nothing; the record's digest leads from it to the record.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from kit.canonical import Json
from kit.errors import KitError, ParameterError
from kit.present.text import plain
from kit.record.results import sentence
from kit.record.seal import Sealed

LONGEST = 1_000
"""Characters of one sentence; a summary may hold 1 MiB in all, and what is longer stands whole in the record."""

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def escaped(text: object) -> str:
    """Return text as Markdown that shows it: on one line, nothing in it is markup, hidden characters written out.

    CommonMark, 2.4: any ASCII punctuation character may be escaped, and then means itself; GitHub's tables take an
    escaped `|` for no border.
    """
    line = " ".join(plain(text).split())
    return _PUNCTUATION.sub(r"\\\1", line if len(line) <= LONGEST else f"{line[:LONGEST]}…")


def record_summary(sealed: Sealed) -> str:
    """Return what a summary tells of a record: its verdict, id and digest, and a row for each test case."""
    run = sealed.executed.run
    told = {
        "record": f"`{sealed.folder.name}`",
        "digest": f"`{sealed.digest}`",
        "system": escaped(f"{run['system_id']}, {run['environment']}"),
        "executed by": escaped(run["executed_by"]),
    }
    lines = [f"## {sealed.verdict.value}: {escaped(run['protocol']['title'])}", ""]
    if run["demonstration"]:
        lines += ["**DEMONSTRATION: never GxP evidence.**", ""]
    lines += [f"- {name}: {value}" for name, value in told.items()]
    lines += ["", "| test case | verdict | finding |", "| --- | --- | --- |"]
    lines += [_row(step) for step in sealed.executed.steps]
    return "\n".join([*lines, "", ""])


def error_summary(error: KitError) -> str:
    """Return what a summary tells where there is no record: what is wrong, and what to do."""
    return f"## Not completed\n\n{escaped(error.message)}\n\n{escaped(error.remedy)}\n\n"


def append(path: Path, text: str) -> None:
    """Append to a summary; what other steps of a job wrote into it stays.

    Raises:
        ParameterError: it can't be written.
    """
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ParameterError(
            f"the summary {path} can't be written: {error.strerror}", "name another file (--summary)"
        ) from error


def _row(step: Mapping[str, Json]) -> str:
    name = escaped(f"{step['test_case']} {step['title']}")
    return f"| {name} | {step['verdict'].replace('_', ' ')} | {escaped(sentence(step))} |"
