"""The commands around an account: the embedded one to try things on, and the permissions that runs need."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from kit.cli.app import AsJson, Output, Parameters, app
from kit.errors import ParameterError, SandboxError


@app.command()
def sandbox(
    fault: Annotated[list[str] | None, typer.Option("--fault", help="Spoil the account. Repeatable.")] = None,
    list_faults: Annotated[bool, typer.Option("--list-faults", help="List the faults, and end.")] = False,
    hours: Annotated[int, typer.Option("--hours", min=0, max=8784, help="Deliver logs of so many hours.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Serve the embedded account until Ctrl-C, and print the endpoint and the parameters to use."""
    from kit.sandbox import server

    if list_faults:
        faults = server.list_faults()
        if as_json:
            told = [{"name": one.name, "changes": one.changes, "description": one.description} for one in faults]
            typer.echo(json.dumps(told, indent=2))
            return
        for one in faults:
            typer.echo(f"{one.name:34} {', '.join(one.changes) or '-':34} {one.description}")
        return
    import time

    import yaml

    from kit.sandbox.account import ARCHIVE_BUCKET

    with server.Sandbox(fault or [], {"hours": hours} if hours else None) as account:
        try:
            typer.echo(f"# The sandbox answers at {account.endpoint} until Ctrl-C. In another shell:")
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                typer.echo(f"#   export {name}={account.environment[name]}")
            typer.echo("#   trailkit run iq oq --parameters FILE  with a FILE of what follows")
            typer.echo(f"#   trailkit archive RECORD s3://{ARCHIVE_BUCKET}/records --retain-until DATE \\")
            typer.echo(f"#     --endpoint-url {account.endpoint}")
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
        list[str] | None, typer.Argument(help="The protocols to allow: iq, oq, pq, rm. Both qualifications if none.")
    ] = None,
    parameters: Parameters = None,
    output: Output = Path("outputs"),
    remediate: Annotated[
        bool, typer.Option("--remediate", help="Allow the changes of a plan, and nothing else.")
    ] = False,
) -> None:
    """Print the least-privilege IAM policy that runs need, narrowed to the parameters of a file where given.

    Every one of them only reads; what a remediation may change is a policy of its own, `--remediate`. For a periodic
    review, the register in the folder for records names the archives that it reads.
    """
    from kit.catalogue import protocol
    from kit.collect.least_privilege import least_privilege, least_privilege_to_change
    from kit.collect.outputs import OutputsFolder
    from kit.parameters import RunParameters, load_file
    from kit.record.register import REGISTER

    if remediate and protocols:
        remedy = "print two policies: trailkit policy rm, and trailkit policy --remediate"
        raise ParameterError("--remediate is a policy of its own, and takes no protocol", remedy)
    named = tuple(protocol(name).id for name in protocols or ("IQ", "OQ"))
    narrowed: dict[str, Any] = {"protocols": named}
    if parameters is not None:
        told = RunParameters.load(load_file(parameters))
        if not isinstance(told.target, str):
            roles = {*told.target.role_arns.values(), *([told.target.role_arn] if told.target.role_arn else [])}
            if "OQ" in named and told.expected.denied_role_arn:
                roles.add(told.expected.denied_role_arn)
            narrowed |= {"account_id": told.target.account_id, "assumed_roles": tuple(roles)}
            narrowed["tags_sessions"] = bool(told.target.session_tags)
        narrowed["reader_roles"] = told.expected.reader_role_arns or ()
        if trail := told.expected.trail_arn:
            # without it every trail is judged, and every trail's bucket is read
            narrowed |= {"partition": trail.split(":")[1], "bucket": told.expected.log_bucket}
        if "PQ" in named and told.expected.review.archived_restored and (output / REGISTER).exists():
            places, keys = OutputsFolder(output, "", told).archives()
            narrowed |= {"archives": places, "archive_keys": keys}
    if remediate:
        kept = {name: value for name, value in narrowed.items() if name in ("account_id", "bucket", "partition")}
        typer.echo(json.dumps(least_privilege_to_change(**kept), indent=2))
        return
    allowed = least_privilege(**narrowed)
    if not allowed["Statement"]:
        raise ParameterError(f"{', '.join(named)} asks no account, and needs no permission", "name iq or oq")
    typer.echo(json.dumps(allowed, indent=2))
