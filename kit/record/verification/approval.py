"""The approved protocol that a run rests on: read from its signed PDF, and held against what is to be executed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from kit import __version__
from kit.canonical import Json, canonical, sha256, sha256_file
from kit.catalogue import Protocol
from kit.errors import RecordError, RejectionError
from kit.parameters import RunParameters
from kit.record.manifest import MANIFEST, PROTOCOL, parse_manifest
from kit.record.pdf.contents import attachments
from kit.record.signatures.keys import load_pem
from kit.record.signatures.statement import Statement, hold_rules
from kit.record.signatures.validate import validate

_HELD = ("target", "expected", "requirements")
_SYSTEM = ("system_id", "environment", "protocol_id")
"""What an approval fixes besides the length of the window under review; who executes, why and when may differ."""
_LARGEST = 1 << 26
_ISSUE = "issue the protocol anew with `trailkit protocol`, and have it approved"


@dataclass(frozen=True)
class Approval:
    """A protocol that was approved: its id, its digest, the SHA-256 of the signed PDF, its manifest, who signed it."""

    record_id: str
    digest: str
    sha256: str
    manifest: Mapping[str, Json]
    statements: tuple[Statement, ...]

    def to_json(self) -> dict[str, Json]:
        """Return what a run shows of it."""
        signatures = [
            {name: getattr(one, name) for name in ("role", "name", "subject", "meaning", "time")}
            for one in self.statements
        ]
        return {
            "record_id": self.record_id,
            "digest": self.digest,
            "sha256": self.sha256,
            "protocol_sha256": self.manifest["protocol_sha256"],
            "signatures": signatures,
        }


def read_approval(path: Path, trust: Path | None = None) -> Approval:
    """Return the approval that a signed protocol is; every signature of it is proven first.

    Raises:
        RecordError: there is no such file, it is no protocol or not whole, a signature does not hold, or none is an
            approver's.
    """
    if not path.is_file():
        raise RecordError(f"{path} is no file", "name the signed PDF of a protocol: record.signed.pdf in its folder")
    try:
        manifest, digest = _carried(path)
        statements = [one.statement for one in validate(path, load_pem(trust) if trust else None).signatures]
    except RejectionError as error:
        raise RecordError(f"{path} is no approval to rely on: {error.message}", _ISSUE) from error
    if manifest["kind"] != PROTOCOL:
        raise RecordError(f"{path} is no protocol for approval", "name the signed PDF that `trailkit protocol` made")
    for one in statements:
        if (one.record_id, one.record_digest) != (manifest["record_id"], digest):
            raise RecordError(f"{path}: the signature of the {one.role} is of another protocol", _ISSUE)
    for index, one in enumerate(statements):
        hold_rules(one, statements[:index], None)
    if not any(one.role == "approver" for one in statements):
        raise RecordError(f"{path} is not approved: no approver has signed it", "have an approver sign it")
    return Approval(manifest["record_id"], digest, sha256_file(path), manifest, tuple(statements))


def _carried(path: Path) -> tuple[dict[str, Json], str]:
    """Return the manifest that a PDF carries, and its digest."""
    with attachments(path) as carried:
        if MANIFEST not in carried:
            raise RecordError(f"{path.name} is no protocol for approval: it carries no {MANIFEST}", _ISSUE)
        content = b"".join(carried[MANIFEST].blocks(_LARGEST))
    return parse_manifest(content), sha256(content)


def hold_approval(approval: Approval, of: Protocol, parameters: RunParameters, sources_sha256: str = "") -> None:
    """Hold what is about to be executed against what was approved; the notebook where its hash is given.

    Raises:
        RecordError: it is another protocol, notebook, catalogue or kit version, or other parameters.
    """
    manifest, given = approval.manifest, parameters.to_json()
    held = [
        ("protocol", manifest["protocol"]["id"], of.id),
        ("kit version", manifest["kit_version"], __version__),
        ("catalogue", manifest["catalogue_sha256"], of.sha256),
        *([("notebook", manifest["protocol_sha256"], sources_sha256)] if sources_sha256 else []),
    ]
    for name, approved, this in held:
        if approved != this:
            raise RecordError(f"{approval.record_id} approves another {name}: {approved}, and this is {this}", _ISSUE)
    if changed := _changed(manifest, given, given["execution"]):
        raise RecordError(f"{approval.record_id} approves other parameters: {', '.join(changed)}", _ISSUE)


def hold_approved(approval: Approval, executed: Mapping[str, Json]) -> None:
    """Hold the manifest of an executed record against the approval that it cites.

    Raises:
        RejectionError: it cites another one, or another protocol, notebook, catalogue or kit version was executed.
    """
    manifest = approval.manifest
    if canonical(executed["approval"]) != canonical(approval.to_json()):
        raise RejectionError("the record cites another approval than the one it holds", _ISSUE)
    held = ("kit_version", "catalogue_sha256", "protocol_sha256")
    differ = [name for name in held if manifest[name] != executed[name]]
    differ += _changed(manifest, executed["parameters"], executed)
    if manifest["protocol"]["id"] != executed["protocol"]["id"] or differ:
        raise RejectionError(f"{approval.record_id} approves another {', '.join(differ) or 'protocol'}", _ISSUE)


def _changed(approved: Mapping[str, Json], given: Mapping[str, Json], system: Mapping[str, Json]) -> list[str]:
    """Return the dotted paths at which parameters are others than were approved.

    Where the embedded account was approved, it fills in its own address, and what was left out.
    """
    then = approved["parameters"]
    sandbox = then["target"] == "sandbox"
    found = [
        path for name in _HELD if not (sandbox and name == "target") for path in _paths(name, then[name], given[name])
    ]
    if sandbox:
        left_out = {f"expected.{name}" for name, value in then["expected"].items() if value in (None, [], {})}
        found = [path for path in found if path not in left_out]
    if _length(then["window"]) != _length(given["window"]):
        found.append("window")
    return found + [f"execution.{name}" for name in _SYSTEM if approved[name] != system[name]]


def _paths(section: str, then: Json, now: Json) -> list[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        names = sorted({*then, *now})
        return [f"{section}.{name}" for name in names if canonical(then.get(name)) != canonical(now.get(name))]
    return [] if canonical(then) == canonical(now) else [section]


def _length(window: Mapping[str, Json]) -> timedelta:
    """Return how long a window is; when it begins and ends may differ from one run to the next."""
    if window["hours"]:
        return timedelta(hours=window["hours"])
    return datetime.fromisoformat(window["end"]) - datetime.fromisoformat(window["start"])
