"""Signs a record: holds it to be whole and the signer to the rules, appends the signature, and registers it."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kit.canonical import sha256_file
from kit.errors import RecordError
from kit.evidence import timestamp, utc_now
from kit.record.addenda import deviations_of
from kit.record.folders import held, sync_folder
from kit.record.history import settle
from kit.record.manifest import MANIFEST, PDF, PROTOCOL, SIGNED, read_manifest
from kit.record.register import REGISTER, register_beside, seen_beside
from kit.record.signatures.keys import SigningKey, hold_certificate
from kit.record.signatures.pades import append_signature
from kit.record.signatures.statement import Role, Statement, hold_rules
from kit.record.signatures.validate import read_signatures
from kit.record.verification.verify import Asked, hold_record
from kit.redaction import refuse_secrets


@dataclass(frozen=True)
class Signed:
    """A signature that was given: the file that holds it, what it states, and what could not be had along with it."""

    file: Path
    statement: Statement
    notes: tuple[str, ...]


def sign(
    record: Path,
    role: Role,
    meaning: str,
    key: SigningKey,
    *,
    deviations: Sequence[str] = (),
    reason: str = "",
    timestamp_url: str = "",
    trust: Path | None = None,
) -> Signed:
    """Append a signature to the record's PDF, and register it; the record is verified first.

    `record.signed.pdf` is replaced in one step, so at any instant it holds whole signatures only. A signature that an
    interruption left unregistered is registered.

    Raises:
        RejectionError: the record is not whole.
        SigningError: a rule forbids it, the certificate is not valid now, or the key can't be used.
        RecordError: another process signs it, it has no PDF, or the signed file or the register can't be written.
    """
    refuse_secrets({"meaning": meaning, "reason": reason})
    now, record = utc_now(), record.resolve()
    hold_certificate(key, now)
    with held(record):
        with register_beside(record) as register:
            if register:
                # what an interrupted sealing left unregistered
                settle(register, record.parent)
        hold_record(record, Asked(trust=trust, unregistered=True))
        _register_what_is_there(record)
        statement, earlier, open_deviations = _statement(record, role, meaning, key, deviations, reason, now)
        hold_rules(statement, earlier, open_deviations)
        notes = _append(record, statement, key, timestamp_url, trust)
    if not (record.parent / REGISTER).exists():
        notes = [*notes, f"there is no register beside {record.name}: the signature is not registered"]
    return Signed(record / SIGNED, statement, tuple(notes))


def _statement(
    record: Path,
    role: Role,
    meaning: str,
    key: SigningKey,
    deviations: Sequence[str],
    reason: str,
    now: datetime,
) -> tuple[Statement, list[Statement], list[str] | None]:
    manifest = read_manifest(record)
    seen = seen_beside(record)
    signed = record / SIGNED
    earlier = [one.statement for one in read_signatures(signed)] if signed.exists() else []
    statement = Statement(
        role=role,
        name=key.name,
        subject=key.subject,
        meaning=" ".join(meaning.split()),
        time=timestamp(now.astimezone(UTC).replace(microsecond=0)),
        record_id=manifest["record_id"],
        record_digest=sha256_file(record / MANIFEST),
        verdict=str(manifest.get("verdict", "")),
        executed_by=str(manifest.get("executed_by", "")),
        caller=str((manifest.get("caller") or {}).get("arn", "")),
        signer_caller=key.caller,
        deviations=tuple(deviations),
        reason=" ".join(reason.split()),
        register_number=seen.number,
        register_head=seen.sha256,
    )
    open_deviations = None if manifest["kind"] == PROTOCOL else list(deviations_of(record, manifest))
    return statement, earlier, open_deviations


def _append(record: Path, statement: Statement, key: SigningKey, timestamp_url: str, trust: Path | None) -> list[str]:
    signed = record / SIGNED
    source = signed if signed.exists() else record / PDF
    if not source.exists():
        raise RecordError(f"{record} has no {PDF} to sign", f"install what it takes, then `trailkit render {record}`")
    # beside the record, not in it: what a killed process leaves is no file of the record
    temporary = record.parent / f".signing-{record.name}"
    try:
        notes = append_signature(source, temporary, statement, key, timestamp_url=timestamp_url, trust=trust)
        temporary.rename(signed)
        sync_folder(record)
    except OSError as error:
        raise RecordError(
            f"{signed} can't be written: {error.strerror or error}", "free space, and sign again"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    _register_what_is_there(record)
    return notes


def _register_what_is_there(record: Path) -> None:
    """Register each signature of a record that the register does not hold yet."""
    signed = record / SIGNED
    if not signed.exists():
        return
    with register_beside(record) as register:
        if register is None:
            return
        known = register.known("signed", record.name, "role")
        for one in read_signatures(signed):
            if one.statement.role not in known:
                told = {name: getattr(one.statement, name) for name in ("role", "name", "subject", "meaning", "time")}
                file = {"bytes": signed.stat().st_size, "sha256": sha256_file(signed)}
                register.append("signed", record.name, told | file)
