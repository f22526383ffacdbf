"""The command that holds two records against each other."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.cli.app import AsJson, answering, app, finish, print_table, say
from kit.errors import ParameterError

if TYPE_CHECKING:
    from kit.record.compare import Comparison

_LONGEST = 160


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="The folder of the earlier record.")],
    after: Annotated[Path, typer.Argument(help="The folder of the later record.")],
    as_json: AsJson = False,
) -> None:
    """Compare two records of one target: verdicts and settings that are otherwise. Exits 1 where anything is."""
    from kit.record.compare import compare as hold_against

    for record in (before, after):
        if not record.is_dir():
            raise ParameterError(f"{record} is no folder", "name the folder of a sealed record")
    with answering(as_json=as_json) as answer:
        found = hold_against(before.resolve(), after.resolve())
        answer.update(found.to_json())
    if not as_json:
        _tell(found)
    finish(found.verdict)


def _tell(found: "Comparison") -> None:
    for name, one in (("before", found.before), ("after", found.after)):
        say(f"{name:6}  {one['record_id']}, {one['verdict']}, finished {one['finished']}, verified")
    for case, (was, is_now) in found.verdicts.items():
        say(f"verdict  {case}: {was}, then {is_now}")
    trails = {change.trail for change in found.drift.changes}
    rows = [
        (change.place if len(trails) == 1 else change.path, change.kind, _short(change.before), _short(change.after))
        for change in found.drift.changes
    ]
    if rows:
        print_table({"value": False, "drift": True, "before": False, "after": False}, rows, {})
    for path, why in found.drift.unknown.items():
        say(f"not known  {path}: {why}")
    if not found.verdicts and not rows:
        rest = ", as far as it is known" if found.drift.unknown else ""
        typer.echo(f"Nothing is otherwise{rest}.")


def _short(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
