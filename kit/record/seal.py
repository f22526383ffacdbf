"""Seals an executed notebook and its evidence into a record: whole at any instant, or absent."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kit import __version__
from kit.canonical import Json, canonical, sha256, sha256_file
from kit.errors import EvidenceError, KitError, RecordError
from kit.evidence import INDEX, read_body, read_index
from kit.findings import Verdict
from kit.record.executed import Executed, read_executed
from kit.record.junit import junit_xml
from kit.record.manifest import EVIDENCE, FINDINGS, JUNIT, MANIFEST, NOTEBOOK, RUNS, SCHEMA, SUMS, file_table, files_in, sums_text


Render = Callable[[Path, Executed, str], list[KitError]]
"""Writes `record.html` and `record.pdf` into a folder, given the notebook and the record digest; returns what it could
not make, and why. The HTML is always made.
"""


@dataclass(frozen=True)
class Sealed:
    """A sealed record: its folder, its verdict, the digest of its manifest, and what could not be rendered."""

    folder: Path
    verdict: Verdict
    digest: str
    warnings: tuple[KitError, ...]


def seal(notebook: Path, outputs: Path, render: Render) -> Sealed:
    """Seal an executed notebook with the evidence of its run into `outputs/<run id>`, and return the record.

    Everything is written to a temporary folder beside it, synced, and renamed: a crash leaves no half record. The
    evidence of the run is removed from the working folder once the record stands.

    Raises:
        RecordError: the notebook contradicts itself or its evidence, the record exists already, or can't be written.
        ExecutionError: the notebook did not run to its end.
        EvidenceError: a piece of evidence is missing or was changed.
        RenderError: the HTML can't be made.
    """
    executed = read_executed(notebook)
    working = _working_folder(executed.run_id, notebook, outputs)
    folder = outputs / executed.run_id
    if folder.exists():
        raise RecordError(f"the record {folder} exists already", "verify it, or seal into another folder with --output")
    _hold_evidence(working / EVIDENCE, executed)
    temporary = outputs / f".sealing-{executed.run_id}-{os.getpid()}"
    try:
        temporary.mkdir(parents=True)
        digest = _write_inputs(temporary, executed, working / EVIDENCE)
        warnings = render(temporary, executed, digest)
        (temporary / SUMS).write_text(sums_text(temporary), encoding="utf-8")
        _sync(temporary)
        temporary.rename(folder)
        _sync_folder(outputs)
    except OSError as error:
        raise RecordError(
            f"the record can't be written to {outputs}: {error.strerror or error}",
            f"free space or choose another folder; the run is kept, seal it again with `trailkit seal {notebook}`",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(working, ignore_errors=True)
    return Sealed(folder, executed.verdict, digest, tuple(warnings))


def _working_folder(run_id: str, notebook: Path, outputs: Path) -> Path:
    """Return the working folder of a run: under the outputs, or beside the notebook or above it."""
    if "/" in run_id or run_id.startswith("."):
        raise RecordError("the notebook names a run by no run id", "run the notebook again, and don't edit its outputs")
    places = (outputs, notebook.resolve().parent, notebook.resolve().parent / "outputs", notebook.resolve().parents[1] / "outputs")
    for place in places:
        if (place / RUNS / run_id).is_dir():
            return place / RUNS / run_id
    raise RecordError(
        f"the evidence of {run_id} is not under {outputs / RUNS}",
        "name the outputs folder of the run with --output; evidence that is lost can't be sealed, so run again",
    )


def _hold_evidence(folder: Path, executed: Executed) -> None:
    """Hold the evidence against what the notebook concluded on, and each body against its hash.

    Raises:
        EvidenceError: the index is another than the one concluded on, or a body is missing or changed.
    """
    index = folder / INDEX
    if (sha256_file(index) if index.exists() else sha256(b"")) != executed.conclusion["evidence_sha256"]:
        raise EvidenceError("the evidence is not that which the notebook concluded on", "run the notebook again")
    for entry in read_index(folder):
        read_body(folder, entry)


def _write_inputs(folder: Path, executed: Executed, evidence: Path) -> str:
    """Write all that the manifest covers, and the manifest; return its digest."""
    shutil.copytree(evidence, folder / EVIDENCE)
    (folder / NOTEBOOK).write_bytes(executed.content)
    (folder / FINDINGS).write_bytes(canonical(findings_document(executed)))
    (folder / JUNIT).write_bytes(junit_xml(executed.run, executed.steps))
    manifest = canonical(_manifest(executed, file_table(folder, files_in(folder))))
    (folder / MANIFEST).write_bytes(manifest)
    return sha256(manifest)


def findings_document(executed: Executed) -> dict[str, Json]:
    """Return what `findings.json` holds."""
    return {
        "schema": SCHEMA,
        "run_id": executed.run_id,
        "protocol": executed.run["protocol"]["id"],
        "demonstration": executed.run["demonstration"],
        "verdict": executed.verdict.value,
        "findings": executed.conclusion["findings"],
    }


def _manifest(executed: Executed, files: Mapping[str, Json]) -> dict[str, Json]:
    run = executed.run
    kept = ("protocol", "executed_by", "system_id", "environment", "protocol_id", "started", "demonstration")
    return {
        "schema": SCHEMA,
        "record_id": executed.run_id,
        "kit_version": __version__,
        "executed_with": {name: run[name] for name in ("kit_version", "python", "platform", "packages")},
        **{name: run[name] for name in kept},
        "finished": executed.conclusion["finished"],
        "caller": executed.collection["caller"],
        "parameters": {name: run[name] for name in ("target", "expected", "window", "requirements")},
        "parameters_sha256": run["parameters_sha256"],
        "protocol_sha256": executed.sources_sha256,
        "verdict": executed.verdict.value,
        "findings_sha256": executed.conclusion["findings_sha256"],
        "files": files,
    }


def _sync(folder: Path) -> None:
    for name in files_in(folder):
        with (folder / name).open("rb") as stream:
            os.fsync(stream.fileno())
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        _sync_folder(path)


def _sync_folder(folder: Path) -> None:
    """Sync a folder's entries, where the system can open a folder at all (Windows can't, and needs no such thing)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
