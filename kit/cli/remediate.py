"""The command that mends: prints a plan and changes nothing, or carries out exactly the plan that was approved."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.cli.app import AsJson, Output, Parameters, Settings, Trust, answering, app, finish, print_table, say
from kit.cli.qualify import choose_notebooks, progress_bar, read_approvals, read_parameters, run_protocol
from kit.cli.telling import tell_each
from kit.errors import ParameterError, RecordError

if TYPE_CHECKING:
    from kit.parameters import RunParameters
    from kit.remediation.steps import Plan, Step

_PROTOCOL = "RM"


@app.command()
def remediate(
    record: Annotated[Path | None, typer.Argument(help="The IQ record whose parameters are taken.")] = None,
    parameters: Parameters = None,
    settings: Settings = None,
    apply: Annotated[bool, typer.Option("--apply", help="Carry out the plan that was approved.")] = False,
    plan: Annotated[str | None, typer.Option("--plan", help="The hash of the approved plan.")] = None,
    change_control: Annotated[
        str | None, typer.Option("--change-control", help="The id of the change that approves it.")
    ] = None,
    yes_to: Annotated[
        list[str] | None, typer.Option("--yes-to", help="Confirm a step that can stop delivery. Repeatable.")
    ] = None,
    approved: Annotated[Path | None, typer.Option("--approved", help="The signed protocol of the remediation.")] = None,
    trust: Trust = None,
    output: Output = Path("outputs"),
    as_json: AsJson = False,
) -> None:
    """Print what would mend an account, and its hash; with --apply, carry out exactly that plan, and seal a record."""
    mapping = _given(record, parameters, settings)
    if not apply:
        if plan or change_control or yes_to or approved:
            raise ParameterError("a plan is only carried out with --apply", "add it, or leave the other options out")
        _print_plan(mapping, record, as_json=as_json)
        return
    if plan is None or change_control is None:
        remedy = "print the plan first, have it approved, and name both: --apply --plan HASH --change-control ID"
        raise ParameterError("--apply needs the hash of the approved plan, and the id of the change", remedy)
    notebooks = choose_notebooks([_PROTOCOL])
    told = mapping | {"remediation": {"plan": plan, "change_control": change_control, "confirmed": yes_to or []}}
    _, found = _planned(told)
    confirmed = _confirm(found, told["remediation"], as_json=as_json)
    told["remediation"] = told["remediation"] | {"confirmed": confirmed}
    loaded = _loaded(told)
    approvals = read_approvals([approved] if approved else [], trust, notebooks, loaded, silent=as_json)
    tell_each(
        (run_protocol(name, told, output, approvals.get(name), notebook) for name, notebook in notebooks.items()),
        as_json=as_json,
    )


def _given(record: Path | None, parameters: Path | None, settings: list[str] | None) -> dict[str, Any]:
    """Return the parameters of a file, or those of an IQ record, with what was set on the command line."""
    if record is None:
        return read_parameters(parameters, settings)
    if parameters is not None:
        raise ParameterError("both a record and a parameters file were named", "name one of them")
    from kit.parameters import apply_settings
    from kit.record.manifest import read_manifest
    from kit.record.verification.replay import parameters_of

    manifest = read_manifest(record)
    if manifest.get("protocol", {}).get("id") != "IQ" or manifest["kind"] != "record":
        raise RecordError(f"{record} is no record of an installation qualification", "name the folder of an IQ record")
    given = {name: value for name, value in parameters_of(manifest).items() if value is not None}
    return apply_settings(given, settings or [])


def _loaded(mapping: Mapping[str, Any]) -> "RunParameters":
    from kit.parameters import RunParameters

    told = RunParameters.load(mapping)
    if told.sandbox:
        raise ParameterError(
            "the embedded account is made anew for each run, and compliant: there is nothing to mend",
            "serve a spoilt one with `trailkit sandbox --fault NAME`, and name the parameters that it prints",
        )
    return told


def _planned(mapping: Mapping[str, Any]) -> "tuple[RunParameters, Plan]":
    """Read the account, and return the plan for it; what was read is not kept, and nothing is changed."""
    from concurrent.futures import ThreadPoolExecutor
    from tempfile import TemporaryDirectory

    from kit.remediation.plan import plan

    told = _loaded(mapping)
    # imported here: what the parameters refuse needs no boto3
    from kit.collect.gather import gather
    from kit.evidence import EvidenceStore

    with (
        TemporaryDirectory(prefix="trailkit-") as scratch,
        progress_bar(_PROTOCOL) as progress,
        ThreadPoolExecutor(12) as executor,
    ):
        snapshot = gather(_PROTOCOL, told, EvidenceStore(Path(scratch) / "evidence"), {}, executor, progress)
    return told, plan(snapshot, told)


def _print_plan(mapping: Mapping[str, Any], record: Path | None, *, as_json: bool) -> None:
    """Print the plan, and end with the status of what IQ says now."""
    from kit.findings import Verdict, roll_up

    with answering(as_json=as_json) as answer:
        _, found = _planned({name: value for name, value in mapping.items() if name != "remediation"})
        deviations = _deviations(record)
        told = found.to_json()
        for step in told["steps"]:
            step["deviations"] = [name for name, case in deviations.items() if case in step["mends"]]
        answer |= {name: value for name, value in told.items() if name != "state"}
        if not as_json:
            _tell_plan(told)
    finish(roll_up(Verdict(now) for now, _ in found.verdicts.values()))


def _deviations(record: Path | None) -> dict[str, str]:
    """Return the deviations of a record, each with its test case."""
    if record is None:
        return {}
    from kit.record.addenda import deviations_of
    from kit.record.manifest import read_manifest

    return {name: row["test_case"] for name, row in deviations_of(record, read_manifest(record)).items()}


def _tell_plan(told: Mapping[str, Any]) -> None:
    from kit.findings import count

    say(f"PLAN  {told['sha256']}")
    say(f"  {count(len(told['steps']), 'step')} for account {told['account']}; nothing was changed")
    for number, step in enumerate(told["steps"], start=1):
        serves = ", ".join([*step["mends"], *step["deviations"]])
        say("")
        say(f"{number}. {step['title']}  [{step['id']}; {serves}]")
        if step["may_stop_delivery"]:
            say("   CAN STOP DELIVERY: asked about by itself, or confirmed with --yes-to " + step["id"])
        say(f"   call  {step['service']}:{step['operation']} in {step['region']}")
        for line in step["diff"]:
            say(f"   {line}")
        say(f"   risk  {step['risk']}")
        say(f"   same  {step['command']}")
        say(f"   undo  {step['undo']}")
    if told["left"]:
        say("")
        say("LEFT TO THE OPERATOR")
        rows = ((one["test_case"], one["message"], " ".join(one["advice"])) for one in told["left"])
        print_table({"test case": True, "what stays": False, "what to do": False}, rows, {})
    if told["steps"]:
        say("")
        say(f"To carry it out: --apply --plan {told['sha256']} --change-control ID")


def _confirm(found: "Plan", remediation: Mapping[str, Any], *, as_json: bool) -> list[str]:
    """Return the steps that can stop delivery, each confirmed; asked about on a terminal, else given by `--yes-to`.

    All are asked about before anything is changed, so that no plan stops on its way for want of an answer.

    Raises:
        PlanError: the plan is another than the approved one, or a step was not confirmed.
    """
    from kit.remediation.approval import hold_approved
    from kit.sections import Approved

    confirmed = list(remediation["confirmed"])
    asked = [step for step in found.steps if step.may_stop_delivery and step.id not in confirmed]
    if found.sha256 == remediation["plan"] and sys.stdin.isatty() and not as_json:
        confirmed += [step.id for step in asked if _is_confirmed(step)]
    hold_approved(found, Approved(**{**remediation, "confirmed": tuple(confirmed)}))
    return confirmed


def _is_confirmed(step: "Step") -> bool:
    say(f"{step.title}  [{step.id}]")
    for line in step.diff:
        say(f"   {line}")
    say(f"   risk  {step.risk}")
    return typer.confirm("It can stop delivery. Carry it out?", default=False, err=True)
