"""Seals an executed notebook and its evidence into a record: whole at any instant, or absent."""

import contextlib
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit import __version__
from kit.canonical import Json, canonical, sha256, sha256_file
from kit.errors import EvidenceError, KitError, RecordError, RejectionError
from kit.evidence import INDEX, index_sha256, read_body, read_index
from kit.findings import Verdict
from kit.record.executed import EXECUTION, PARAMETERS, Executed, read_executed, run_id_of
from kit.record.folders import sync, sync_folder, temporary_folder
from kit.record.history import KIT, histories, hold_run, require_started, settle
from kit.record.junit import junit_xml
from kit.record.manifest import (
    APPROVAL,
    EVIDENCE,
    FINDINGS,
    JUNIT,
    MANIFEST,
    NOTEBOOK,
    RECORD,
    RUNS,
    SCHEMA,
    SUMS,
    file_table,
    files_in,
    is_plain_name,
    read_manifest,
    rendered_in,
    sums_text,
)
from kit.record.register import REGISTER, RegisterEntry, Seen, locked_register

Render = Callable[[Path, Executed, str], list[KitError]]
"""Writes `record.html` and `record.pdf` into a folder, given the notebook and the record digest; returns what it could
not make, and why. The HTML is always made.
"""


@dataclass(frozen=True)
class Sealed:
    """A sealed record: its folder, what was executed, the digest of its manifest, and what could not be rendered."""

    folder: Path
    executed: Executed
    digest: str
    warnings: tuple[KitError, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict of the run."""
        return self.executed.verdict


def seal(notebook: Path, outputs: Path, render: Render) -> Sealed:
    """Seal an executed notebook with the evidence of its run into `outputs/<run id>`, and return the record.

    Everything is written to a temporary folder beside it, synced, and renamed: a crash leaves no half record, and the
    run can be sealed again. What the run had under `.runs` is removed once the record stands.

    Raises:
        RecordError: the notebook contradicts itself or its evidence, the record exists already, or can't be written.
        ExecutionError: the notebook did not run to its end.
        EvidenceError: a piece of evidence is missing, was changed or was added.
        RenderError: the HTML can't be made.
    """
    executed = _read(notebook, outputs)
    working = _working_folder(executed.run_id, notebook, outputs)
    folder = outputs / executed.run_id
    try:
        with temporary_folder(outputs / f".sealing-{executed.run_id}") as temporary:
            if folder.exists():
                with locked_register(_outputs_of(working)) as register:
                    settle(register, _outputs_of(working))
                remedy = "verify it, or seal into another folder with --output"
                raise RecordError(f"the record {folder} exists already", remedy)
            with locked_register(_outputs_of(working)) as register:
                require_started(register, executed.run_id, **executed.run["register"])
                head, entries = register.head, register.entries
            _take_evidence(working / EVIDENCE, temporary / EVIDENCE, executed)
            _take_approval(working / APPROVAL, temporary / APPROVAL, executed)
            digest = _write_inputs(temporary, executed, head)
            _hold_registered(temporary, entries)
            warnings = render(temporary, executed, digest)
            told = {"verdict": executed.verdict.value, "digest": digest}
            close(temporary, folder, _outputs_of(working), "finished", told)
    except BlockingIOError as error:
        raise RecordError(f"{executed.run_id} is being sealed by another process", "wait until it is done") from error
    except OSError as error:
        again = shlex.join(["trailkit", "seal", str(notebook), "--output", str(outputs)])
        raise RecordError(
            f"the record can't be written to {outputs}: {error.strerror or error}",
            f"free space or choose another folder; the run is kept, seal it again with `{again}`",
        ) from error
    _discard(working, notebook)
    return Sealed(folder, executed, digest, tuple(warnings))


def close(temporary: Path, folder: Path, outputs: Path, event: str, told: Mapping[str, Json]) -> None:
    """Give a temporary folder its sums, have it stand under its name, and register that in an outputs folder.

    Raises:
        OSError: it can't be written.
        RecordError: it stands, and can't be registered; the next start of a run registers it.
    """
    (temporary / SUMS).write_text(sums_text(temporary), encoding="utf-8")
    sync(temporary)
    pages = rendered_in(temporary)
    with locked_register(outputs) as register:
        temporary.rename(folder)
        sync_folder(folder.parent)
        register.append(event, folder.name, {**told, "files": pages})


def _read(notebook: Path, outputs: Path) -> Executed:
    """Read the executed notebook; where it did not come to its end, the register says that the run failed."""
    try:
        return read_executed(notebook)
    except KitError as error:
        # what can't be registered either is no reason to tell less of what is wrong
        with contextlib.suppress(KitError, OSError):
            run_id = run_id_of(notebook)
            with locked_register(_outputs_of(_working_folder(run_id, notebook, outputs))) as register:
                history = histories(register.entries).get(run_id)
                if history and history.state == "started":
                    register.append("failed", run_id, {"reason": error.message})
        raise


def _outputs_of(working: Path) -> Path:
    """Return the outputs folder in which a run was started; its register is the run's."""
    return working.parent.parent


def _working_folder(run_id: str, notebook: Path, outputs: Path) -> Path:
    """Return the working folder of a run: under the outputs, beside the notebook, or one or two folders above it."""
    here = notebook.resolve().parent
    above = [here, *here.parents][:3]
    for place in (outputs, *above, *(folder / "outputs" for folder in above)):
        if (place / RUNS / run_id).is_dir():
            return place / RUNS / run_id
    raise RecordError(
        f"the evidence of {run_id} is not under {outputs / RUNS}",
        "name the outputs folder of the run with --output; evidence that is lost can't be sealed, so run again",
    )


def _take_evidence(source: Path, target: Path, executed: Executed) -> None:
    """Copy the evidence, and hold the copy against what the notebook concluded on: nothing changed, missing or added.

    Raises:
        EvidenceError: the index is another than the one concluded on, a body is missing or changed, or a file is
            there that the run did not record.
        RecordError: something in the folder is neither a file nor a folder, or a finding cites what is not there.
    """
    names = files_in(source)
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
    if index_sha256(target) != executed.conclusion["evidence_sha256"]:
        raise EvidenceError(f"{source / INDEX} is not what the notebook concluded on", "run the notebook again")
    entries = read_index(target)
    for entry in entries:
        if entry.path and not is_plain_name(entry.path):
            raise EvidenceError(f"evidence {entry.id} names a file outside its folder", "run the notebook again")
        read_body(target, entry)
    for name in sorted(set(names) - {INDEX} - {entry.path for entry in entries}):
        raise EvidenceError(f"{source / name} was not recorded by the run", "remove it, then seal the notebook again")
    known = {entry.id for entry in entries}
    for finding in executed.conclusion["findings"]:
        if missing := sorted(set(finding["evidence"]) - known):
            raise RecordError(f"a finding of {finding['test_case']} cites no evidence: {missing[0]}", "run it again")


def _take_approval(source: Path, target: Path, executed: Executed) -> None:
    """Copy the approved protocol that the run cites, if any, and hold the notebook against it.

    Raises:
        RecordError: it is not the one that the run cites, or approves another notebook.
    """
    approval = executed.run["approval"]
    if approval is None:
        return
    if not source.is_file():
        raise RecordError(f"the approved protocol that the run cites is not in {source}", "run the notebook again")
    shutil.copyfile(source, target)
    if sha256_file(target) != approval["sha256"]:
        raise RecordError(f"{source} is not the approved protocol that the run cites", "run the notebook again")
    if approval["protocol_sha256"] != executed.sources_sha256:
        raise RecordError(
            f"{approval['record_id']} approves another notebook than the one that was executed",
            "execute the approved notebook, or have this one approved",
        )


def _write_inputs(folder: Path, executed: Executed, head: Seen) -> str:
    """Write all that the manifest covers besides the evidence, and the manifest; return its digest."""
    (folder / NOTEBOOK).write_bytes(executed.content)
    (folder / FINDINGS).write_bytes(canonical(findings_document(executed)))
    (folder / JUNIT).write_bytes(junit_xml(executed.run, executed.steps))
    manifest = canonical(_manifest(executed, head, file_table(folder, files_in(folder))))
    (folder / MANIFEST).write_bytes(manifest)
    return sha256(manifest)


def _hold_registered(folder: Path, entries: Sequence[RegisterEntry]) -> None:
    """Hold what the notebook shows of its run to what the run registered of itself.

    Raises:
        RecordError: it shows something else.
    """
    try:
        hold_run(read_manifest(folder), entries, REGISTER)
    except RejectionError as error:
        raise RecordError(
            f"the notebook shows another run than was registered: {error.message}",
            "run the whole notebook again, from the top, and don't edit its outputs",
        ) from error


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


def _manifest(executed: Executed, head: Seen, files: Mapping[str, Json]) -> dict[str, Json]:
    run = executed.run
    kept = ("protocol", *EXECUTION, "started", "demonstration", "attempt", "approval", "catalogue_sha256", "own_checks")
    return {
        "schema": SCHEMA,
        "kind": RECORD,
        "record_id": executed.run_id,
        "kit_version": __version__,
        "executed_with": {name: run[name] for name in ("kit_version", "python", "platform", "packages")},
        **{name: run[name] for name in kept},
        # a run of an earlier kit has none
        **({KIT: run[KIT]} if KIT in run else {}),
        "finished": executed.conclusion["finished"],
        "caller": executed.collection["caller"],
        "parameters": {name: run[name] for name in PARAMETERS},
        "parameters_sha256": run["parameters_sha256"],
        "protocol_sha256": executed.sources_sha256,
        "verdict": executed.verdict.value,
        "findings_sha256": executed.conclusion["findings_sha256"],
        "register": {"started": run["register"], "head": head.to_json()},
        "files": files,
    }


def _discard(working: Path, notebook: Path) -> None:
    """Remove what a run had outside its record; a notebook that the user named a path for stays."""
    runs = working.parent
    # the record stands, whatever can't be removed; and another run may have its own in there
    with contextlib.suppress(OSError):
        shutil.rmtree(working)
        if notebook.resolve().parent == runs.resolve():
            notebook.unlink(missing_ok=True)
        runs.rmdir()
