"""The commands on what was sealed: verify, sign, tell of deviations, archive, and read the register."""

import json
import re
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit.cli.app import AsJson, Output, Record, Trust, answering, app, print_table, refresh_index, say, tell
from kit.errors import KitError, ParameterError, SigningError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kit.record.signatures.keys import SigningKey

Register = Annotated[Path | None, typer.Option("--register", help="The register (register.jsonl).")]
Receipts = Annotated[list[Path] | None, typer.Option("--receipt", help="A receipt of its archive. Repeatable.")]


@app.command()
def verify(
    record: Annotated[Path | None, typer.Argument(help="The folder of a record, or its PDF.")] = None,
    register: Register = None,
    receipt: Receipts = None,
    trust: Trust = None,
    replay: Annotated[bool, typer.Option("--replay", help="Judge again, from the evidence alone.")] = False,
    as_json: AsJson = False,
) -> None:
    """Verify a record, or a whole register, offline: what was sealed, signed, registered, and judged."""
    from kit.record.verification.verify import Asked
    from kit.record.verification.verify import verify as steps

    if record is None:
        if register is None:
            raise ParameterError("nothing was named to verify", "name the folder of a record, its PDF, or --register")
        _verify_register(register, as_json=as_json)
        return
    held: list[dict[str, Any]] = []
    try:
        for step in steps(record, Asked(register=register, receipts=tuple(receipt or ()), trust=trust, replay=replay)):
            held.append({"step": step.number, "held": step.held, "text": step.text})
            if not as_json:
                say(f"{step.number:2}. {'holds' if step.held else 'not given':9}  {step.text}")
    except KitError as error:
        if as_json:
            rejection = {"message": error.message, "remedy": error.remedy}
            typer.echo(json.dumps({"holds": False, "steps": held, "rejection": rejection}, indent=2))
        raise
    if as_json:
        typer.echo(json.dumps({"holds": True, "steps": held, "rejection": None}, indent=2))
        return
    typer.echo("The record holds, as far as the steps above say; what was not given is not shown.")


def _verify_register(path: Path, *, as_json: bool) -> None:
    from kit.record.verification.audit import audit

    found = audit(path)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
        return
    typer.echo(f"{path.name} is whole: {found.entries} entries, of {found.runs} runs.")
    for line in found.notes:
        say(f"  {line}")
    typer.echo("That its end was not cut off is shown by what carries a later entry: records, signatures and receipts.")


@app.command()
def register(output: Output = Path("outputs"), as_json: AsJson = False) -> None:
    """List every run that was started in an outputs folder, and what became of it."""
    from kit.record.history import histories
    from kit.record.register import REGISTER, read_register

    found = histories(read_register(output / REGISTER)).values()
    if as_json:
        typer.echo(json.dumps([one.to_json() for one in found], indent=2))
        return
    columns = {
        name: name in ("record", "outcome") for name in ("record", "began", "run", "outcome", "by", "reason", "later")
    }
    print_table(columns, (_row(one.to_json()) for one in found), {})


@app.command()
def index(output: Output = Path("outputs"), as_json: AsJson = False) -> None:
    """Write `index.html` into an outputs folder: every run and record, to look through; it is no part of any."""
    from kit.record.manifest import INDEX_PAGE
    from kit.render.index import write_index

    with answering(as_json=as_json) as answer:
        shown = write_index(output)
        file = output / INDEX_PAGE
        answer |= {"file": str(file), "rows": len(shown.rows), "register": shown.head.to_json()}
        if shown.problem:
            raise shown.problem
    if as_json:
        return
    say(f"INDEX  {len(shown.rows)} records and runs, up to entry {shown.head.number} of the register")
    say(f"  html  {file}")


def _row(told: "Mapping[str, Any]") -> "Iterator[str]":
    outcome = f"{told['state']} {told['verdict']}".strip()
    cells = (told["record_id"], told["began"], told["attempt"] or "", outcome, told["executed_by"], told["reason"])
    yield from map(str, cells)
    yield ", ".join(told["later"])


@app.command()
def sign(
    record: Record,
    role: Annotated[str, typer.Option("--role", help="executor, reviewer or approver.")],
    meaning: Annotated[str, typer.Option("--meaning", help="What the signature means.")],
    key: Annotated[Path | None, typer.Option("--key", help="A PKCS#12 file; its passphrase is asked for.")] = None,
    kms_key: Annotated[str, typer.Option("--kms-key", help="An asymmetric key of AWS KMS: its ARN.")] = "",
    pkcs11_module: Annotated[Path | None, typer.Option("--pkcs11-module", help="The library of a token.")] = None,
    token: Annotated[str, typer.Option("--token", help="The token's label; its PIN is asked for.")] = "",
    key_label: Annotated[str, typer.Option("--key-label", help="The label of the key on the token.")] = "",
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="The key's certificate and chain (PEM).")
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help="A profile of the AWS configuration, for --kms-key.")] = "",
    endpoint_url: Annotated[str, typer.Option("--endpoint-url", help="What answers in place of AWS.")] = "",
    deviation: Annotated[
        list[str] | None, typer.Option("--deviation", help="A deviation approved along. Repeatable.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why what did not pass is approved.")] = "",
    timestamp_url: Annotated[str, typer.Option("--timestamp-url", help="A timestamp service (RFC 3161).")] = "",
    trust: Trust = None,
    as_json: AsJson = False,
) -> None:
    """Sign a record, or a protocol for approval: a PAdES signature on a copy of its PDF."""
    from kit.record.sign import sign as sign_record
    from kit.record.signatures.statement import ROLES

    if role not in ROLES:
        raise ParameterError(f"there is no role {role!r}", f"name one of {', '.join(ROLES)}")
    if sum(map(bool, (key, kms_key, pkcs11_module))) != 1:
        raise ParameterError(
            "one key is needed to sign", "name one: --key FILE, --kms-key ARN or --pkcs11-module LIBRARY"
        )
    record = _record(record)
    with (
        answering(as_json=as_json) as answer,
        _opened_key(key, kms_key, pkcs11_module, token, key_label, certificate, profile, endpoint_url) as opened,
    ):
        signed = sign_record(
            record, role, meaning, opened,
            deviations=deviation or [], reason=reason, timestamp_url=timestamp_url, trust=trust,
        )  # fmt: skip
        refresh_index(record.parent)
        answer |= {"signed": str(signed.file), "statement": signed.statement.to_json(), "notes": list(signed.notes)}
    if as_json:
        return
    for note in signed.notes:
        say(note)
    say(f"SIGNED  {record.name}, {role}: {signed.statement.name}, {signed.statement.time}")
    say(f"  certificate  {signed.statement.subject}")
    say(f"  executed by  {signed.statement.executed_by or 'nobody'}, {signed.statement.caller or 'no STS identity'}")
    typer.echo(f"  signed       {signed.file}")


def _record(path: Path) -> Path:
    """Return the whole path of a record's folder: whatever is asked next, it is there."""
    if not path.is_dir():
        raise ParameterError(f"{path} is no folder", "name the folder of a sealed record")
    return path.resolve()


@contextmanager
def _opened_key(
    key: Path | None, kms_key: str, module: Path | None, token: str, label: str, certificate: Path | None, profile: str,
    endpoint_url: str,
) -> "Iterator[SigningKey]":  # fmt: skip
    if key:
        from kit.record.signatures.backends.pkcs12 import open_pkcs12

        if not key.is_file():
            raise SigningError(f"{key} is no file", "name the PKCS#12 file (.p12) that holds the signer's key")
        with open_pkcs12(key, _ask(f"Passphrase of {key.name}")) as opened:
            yield opened
    elif kms_key:
        from kit.record.signatures.backends.kms import open_kms

        if certificate is None:
            raise SigningError("a key of KMS has no certificate of its own", "name it: --certificate FILE.pem")
        parts = kms_key.split(":")
        region = parts[3] if len(parts) > 4 else ""
        with open_kms(kms_key, certificate, region, profile, endpoint_url) as opened:
            yield opened
    elif module:
        from kit.record.signatures.backends.pkcs11 import open_pkcs11

        with open_pkcs11(module, token, _ask(f"PIN of {token or 'the token'}"), label, certificate) as opened:
            yield opened


def _ask(what: str) -> str:
    """Ask for a secret on the terminal; where there is none, it is the first line of standard input."""
    import getpass

    if sys.stdin.isatty():
        return getpass.getpass(f"{what}: ")
    return sys.stdin.readline().rstrip("\n")


@app.command()
def deviation(
    record: Record,
    deviation_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the deviation, as the record has it.")],
    cause: Annotated[str, typer.Option("--cause", help="Why it came.")],
    impact: Annotated[str, typer.Option("--impact", help="What it affects.")],
    action: Annotated[str, typer.Option("--action", help="What is done about it.")],
    decision: Annotated[str, typer.Option("--decision", help="What is decided.")],
    author: Annotated[str, typer.Option("--by", help="Who states this.")] = "",
    as_json: AsJson = False,
) -> None:
    """Add to a record how one of its deviations was handled; the record itself is never edited."""
    from kit.record.addenda import Handling, add
    from kit.record.verification.verify import Asked, hold_record
    from kit.render.addendum import render_addendum

    record = _record(record)
    handling = Handling(cause, impact, action, decision, author)
    with answering(as_json=as_json) as answer:
        hold_record(record, Asked(unregistered=True))
        addendum, warnings = add(record, deviation_id, handling, render_addendum)
        folder = record / "addenda" / addendum.name
        refresh_index(record.parent)
        answer |= {"addendum": addendum.name, "folder": str(folder), "digest": addendum.digest}
    for warning in warnings:
        tell(warning)
    if as_json:
        return
    typer.echo(f"ADDENDUM  {addendum.name} to {record.name}")
    typer.echo(f"  addendum  {folder}")
    typer.echo(f"  digest    {addendum.digest}")


@app.command()
def render(record: Record, as_json: AsJson = False) -> None:
    """Render a sealed record again: what was missing is added, what is there must come out the same."""
    from kit.record.rerender import rerender
    from kit.render.record import render_record

    record = _record(record)
    with answering(as_json=as_json) as answer:
        answer["told"] = rerender(record, render_record)
    for line in () if as_json else answer["told"]:
        say(line)


@app.command()
def archive(
    record: Record,
    destination: Annotated[str, typer.Argument(help="Where to: s3://bucket/prefix, with Object Lock.")],
    retain_until: Annotated[
        str, typer.Option("--retain-until", help="Until when: 2036-12-31, or with time and offset.")
    ],
    kms_key: Annotated[str, typer.Option("--kms-key", help="The key to encrypt with, else the bucket's.")] = "",
    profile: Annotated[str, typer.Option("--profile", help="A profile of the AWS configuration.")] = "",
    endpoint_url: Annotated[str, typer.Option("--endpoint-url", help="What answers in place of AWS.")] = "",
    as_json: AsJson = False,
) -> None:
    """Keep a record in S3 under Object Lock, in compliance mode, and its receipt in the register."""
    from kit.record.archive import archive_record

    until, record = _moment(retain_until), _record(record)
    with answering(as_json=as_json) as answer:
        archived = archive_record(
            record, destination, until, kms_key=kms_key, profile=profile, endpoint_url=endpoint_url
        )
        receipt = archived.receipt
        refresh_index(record.parent)
        answer |= {"receipt": receipt.to_json(), "file": str(archived.file) if archived.file else None}
    if as_json:
        return
    typer.echo(f"ARCHIVED  {record.name}, {len(receipt.files)} files")
    typer.echo(f"  where    {receipt.destination}")
    typer.echo(f"  until    {receipt.retain_until}, {receipt.mode}")
    if archived.file:
        typer.echo(f"  receipt  {archived.file}")


@app.command()
def send(
    folder: Annotated[Path, typer.Argument(help="An outputs folder, or what a run could not send of one.")],
    destination: Annotated[str, typer.Argument(help="Where to: s3://bucket/prefix.")],
    as_json: AsJson = False,
) -> None:
    """Send an outputs folder to S3: what is new, and the register where it continues the one that lies there."""
    from kit.record.register import REGISTER
    from kit.record.remote import remote_outputs

    if not (folder / REGISTER).is_file():
        raise ParameterError(f"{folder} is no outputs folder: it has no {REGISTER}", "name an outputs folder")
    place = destination.removesuffix("/")
    with answering(as_json=as_json) as answer:
        answer["sent"] = []
        for path in (*sorted(one.parent for one in folder.glob(f"*/{REGISTER}")), folder):
            to = place if path == folder else f"{place}/{path.name}"
            with remote_outputs(to, path.resolve()) as remote:
                remote.meet()
                remote.send()
            answer["sent"].append(to)
            if not as_json:
                say(f"SENT  {path} to {to}")


def _moment(text: str) -> datetime:
    """Return a moment in UTC; a date alone means to the end of that day."""
    try:
        moment = datetime.fromisoformat(text)
        if re.fullmatch(r"\d{4}-?\d\d-?\d\d", text, re.ASCII):
            moment += timedelta(days=1)
        # S3 counts whole seconds, so there has to be a next one
        _ = moment + timedelta(seconds=1)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ParameterError(f"{text!r} is no date", "write for example 2036-12-31 or 2036-12-31T00:00:00Z") from error
