"""Records challenged: what is done to copies of one, and what `verify`, its replay, `seal` and `sign` say to it.

Whoever tampers here has a text editor, Python and this source: where it helps, every hash is put right again.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kit.canonical import Json, canonical, sha256, sha256_file
from kit.errors import KitError
from kit.evidence import INDEX
from kit.record.executed import Executed
from kit.record.manifest import (
    EVIDENCE,
    FINDINGS,
    HTML,
    JUNIT,
    MANIFEST,
    NOTEBOOK,
    PDF,
    RUNS,
    SIGNED,
    SUMS,
    file_table,
    files_in,
    read_manifest,
    sums_text,
)
from kit.record.register import REGISTER
from kit.record.seal import seal
from kit.record.sign import sign
from kit.record.signatures.keys import SigningKey
from kit.record.signatures.statement import ROLES, Role
from kit.record.signatures.throwaway import throwaway_key
from kit.record.verification.verify import Asked, hold_record

_NO_PDF = "the record has no PDF, since the libraries that set it are not installed"


@dataclass(frozen=True)
class _Bench:
    """A copy of an outputs folder with one record in it, and the keys that sign there."""

    outputs: Path
    record_id: str
    keys: dict[Role, SigningKey]

    @property
    def record(self) -> Path:
        return self.outputs / self.record_id

    @property
    def register(self) -> Path:
        return self.outputs / REGISTER

    @property
    def notebook(self) -> Path:
        return self.outputs / "executed.ipynb"

    @property
    def evidence(self) -> Path:
        """The evidence of the run before it was sealed."""
        return self.outputs / RUNS / self.record_id / EVIDENCE

    @property
    def body(self) -> str:
        """The recorded answer that says whether the key rotates."""
        return next(name for name in files_in(self.record) if "GetKeyRotationStatus" in name)


_Deed = Callable[[_Bench], None]


def attempts(outputs: Path, record_id: str, scratch: Path) -> Iterator[dict[str, Json]]:
    """Yield each attempt on a record of an outputs folder, which stays as it is: what was done, what is due, what came.

    The record is of an installation qualification that passed, and unsigned.

    Raises:
        OSError: the scratch folder can't be written.
    """
    keys = {role: throwaway_key(role) for role in ROLES}
    signed = Path(shutil.copytree(outputs, scratch / "signed"))
    has_pdf = (signed / record_id / PDF).exists()
    if has_pdf:
        for role in ROLES:
            sign(signed / record_id, role, f"Challenged as {role}.", keys[role])
    bases = {
        "verify": signed,
        "replay": outputs,
        "sign": outputs,
        "seal": _unsealed(outputs, record_id, scratch / "unsealed"),
    }
    asked: dict[str, _Deed] = {
        "verify": _verify,
        "replay": partial(_verify, replay=True),
        "seal": _seal,
        "sign": _nothing,
    }
    for number, (what, deed, due, do) in enumerate(_ATTEMPTS):
        told = {"deed": deed, "asked": what, "due": due, "accepted": False, "said": "", "impossible": ""}
        if not has_pdf and (what == "sign" or do in _ON_PAPER):
            yield {**told, "impossible": _NO_PDF}
            continue
        place = scratch / str(number)
        bench = _Bench(Path(shutil.copytree(bases[what], place / "outputs")), record_id, keys)
        try:
            do(bench)
            asked[what](bench)
            told["accepted"] = True
        except KitError as error:
            # where the scratch folder lay is of no interest
            told["said"] = error.message.replace(f"{bench.outputs.resolve()}/", "").replace(f"{bench.outputs}/", "")
        shutil.rmtree(place)
        yield told


def _unsealed(outputs: Path, record_id: str, target: Path) -> Path:
    """Return an outputs folder in which the run of a record has concluded, and was not sealed."""
    record = outputs / record_id
    shutil.copytree(record / EVIDENCE, target / RUNS / record_id / EVIDENCE)
    shutil.copyfile(record / NOTEBOOK, target / "executed.ipynb")
    lines = (outputs / REGISTER).read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["event"] in ("started", "concluded")]
    (target / REGISTER).write_bytes(b"".join(kept))
    return target


def _verify(bench: _Bench, *, replay: bool = False) -> None:
    register = bench.register if bench.register.exists() else None
    hold_record(bench.record, Asked(register=register, replay=replay))


def _seal(bench: _Bench) -> None:
    def page(folder: Path, executed: Executed, digest: str) -> list[KitError]:
        (folder / HTML).write_text(f"<p>{executed.run_id} {digest}</p>", encoding="utf-8")
        return []

    hold_record(seal(bench.notebook, bench.outputs, page).folder)


def _nothing(_: _Bench) -> None:
    """Leave it as it is."""


def _flip(name: str, bench: _Bench) -> None:
    path = bench.record / (name or bench.body)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _remove(name: str, bench: _Bench) -> None:
    (bench.record / (name or bench.body)).unlink()


def _manifest_spaced(bench: _Bench) -> None:
    with (bench.record / MANIFEST).open("ab") as stream:
        stream.write(b" ")


def _put_in(bench: _Bench) -> None:
    (bench.record / EVIDENCE / "E9999-sts-GetCallerIdentity.json").write_bytes(b"{}")
    (bench.record / SUMS).write_text(sums_text(bench.record), encoding="utf-8")


def _edit_json(path: Path, change: Callable[[Json], object]) -> None:
    told = json.loads(path.read_bytes())
    change(told)
    path.write_bytes(canonical(told))


def _redo(bench: _Bench) -> None:
    """Put every hash of the record right, take the PDF away, as it may be missing, and the register with it."""
    record, before = bench.record, sha256_file(bench.record / MANIFEST)
    findings = json.loads((record / FINDINGS).read_bytes())
    manifest = read_manifest(record)
    told = {"verdict": findings["verdict"], "findings_sha256": sha256(canonical(findings["findings"]))}
    left = [name for name in manifest["files"] if (record / name).exists()]
    (record / MANIFEST).write_bytes(canonical({**manifest, "files": file_table(record, left), **told}))
    page = (record / HTML).read_text(encoding="utf-8").replace(before, sha256_file(record / MANIFEST))
    (record / HTML).write_text(page, encoding="utf-8")
    for name in (record / PDF, bench.register):
        name.unlink(missing_ok=True)
    (record / SUMS).write_text(sums_text(record), encoding="utf-8")


def _finding_edited(bench: _Bench) -> None:
    _edit_json(bench.record / FINDINGS, lambda told: told["findings"][0].update(message="All is as it must be."))
    _redo(bench)


def _answer_edited(bench: _Bench) -> None:
    path, index = bench.record / bench.body, bench.record / EVIDENCE / INDEX
    before = sha256_file(path)
    path.write_bytes(path.read_bytes().replace(b"true", b"false", 1))
    after = index.read_bytes().replace(before.encode(), sha256_file(path).encode())
    entries = [json.loads(line) for line in after.splitlines()]
    for entry in entries:
        if entry["sha256"] == sha256_file(path):
            entry["bytes"] = path.stat().st_size
    index.write_bytes(b"".join(canonical(entry) + b"\n" for entry in entries))
    _redo(bench)


def _answer_taken(bench: _Bench) -> None:
    name, index = bench.body, bench.record / EVIDENCE / INDEX
    (bench.record / name).unlink()
    kept = [line for line in index.read_bytes().splitlines(keepends=True) if Path(name).name.encode() not in line]
    index.write_bytes(b"".join(kept))
    _redo(bench)


def _register_cut(bench: _Bench) -> None:
    lines = bench.register.read_bytes().splitlines(keepends=True)
    bench.register.write_bytes(b"".join(lines[:1]))


def _register_edited(bench: _Bench) -> None:
    bench.register.write_bytes(bench.register.read_bytes().replace(b'"PASS"', b'"FAIL"', 1))


def _display(kind: str, change: Callable[[Json], object], bench: _Bench) -> None:
    """Change what the executed notebook shows."""
    notebook = json.loads(bench.notebook.read_bytes())
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            shown = output.get("data", {}).get("application/vnd.trailkit+json", {})
            if shown.get("kind") == kind:
                change(shown["data"])
    bench.notebook.write_text(json.dumps(notebook), encoding="utf-8")


def _cell_skipped(bench: _Bench) -> None:
    notebook = json.loads(bench.notebook.read_bytes())
    next(cell for cell in reversed(notebook["cells"]) if cell["cell_type"] == "code")["execution_count"] = None
    bench.notebook.write_text(json.dumps(notebook), encoding="utf-8")


def _evidence_changed(bench: _Bench) -> None:
    path = next(path for path in bench.evidence.iterdir() if "GetKeyRotationStatus" in path.name)
    path.write_bytes(path.read_bytes() + b" ")


def _evidence_put_in(bench: _Bench) -> None:
    (bench.evidence / "E9999-sts-GetCallerIdentity.json").write_bytes(b"{}")


def _verdict_edited(told: Json) -> None:
    told["verdict"] = "FAIL"


def _step_edited(told: Json) -> None:
    told["findings"][0]["message"] = "All is as it must be."


def _sign(role: Role, bench: _Bench, key: Role | None = None) -> None:
    sign(bench.record, role, f"Challenged as {role}.", bench.keys[key or role])


def _sign_twice(bench: _Bench) -> None:
    _sign("executor", bench)
    _sign("executor", bench, "reviewer")


def _approve_own(bench: _Bench) -> None:
    _sign("executor", bench)
    _sign("approver", bench, "executor")


def _sign_changed(bench: _Bench) -> None:
    _flip("", bench)
    _sign("executor", bench)


_FLIPPED_PDF, _FLIPPED_SIGNED, _NO_SIGNED = partial(_flip, PDF), partial(_flip, SIGNED), partial(_remove, SIGNED)
_ON_PAPER = (_FLIPPED_PDF, _FLIPPED_SIGNED, _NO_SIGNED)

_ATTEMPTS: tuple[tuple[str, str, str, _Deed], ...] = (
    ("verify", "untouched", "", _nothing),
    ("verify", "a byte of an answer flipped", "was changed", partial(_flip, "")),
    ("verify", "a byte of the notebook flipped", f"{NOTEBOOK} was changed", partial(_flip, NOTEBOOK)),
    ("verify", "a byte of the findings flipped", f"{FINDINGS} was changed", partial(_flip, FINDINGS)),
    ("verify", "a byte of junit.xml flipped", f"{JUNIT} was changed", partial(_flip, JUNIT)),
    ("verify", "a byte of the page flipped", f"{HTML} was changed", partial(_flip, HTML)),
    ("verify", "a space put behind the manifest", f"{MANIFEST} is not in canonical form", _manifest_spaced),
    ("verify", "a byte of the PDF flipped", f"{PDF} was changed", _FLIPPED_PDF),
    ("verify", "a byte of the signed PDF flipped", SIGNED, _FLIPPED_SIGNED),
    ("verify", "an answer taken away", "is missing", partial(_remove, "")),
    ("verify", "the signed PDF taken away", f"and {SIGNED} does not", _NO_SIGNED),
    ("verify", "the sums taken away", f"{SUMS} is missing", partial(_remove, SUMS)),
    ("verify", "an answer put in, and the sums put right", "is no file of this record", _put_in),
    ("verify", "the register cut", REGISTER, _register_cut),
    ("verify", "a verdict in the register edited", REGISTER, _register_edited),
    ("replay", "untouched", "", _nothing),
    ("replay", "a finding edited, and every hash put right", "does not follow from the evidence", _finding_edited),
    ("replay", "an answer edited, and every hash put right", "does not follow from the evidence", _answer_edited),
    ("replay", "an answer taken away, and every hash put right", "no recording of", _answer_taken),
    ("seal", "untouched", "", _nothing),
    ("seal", "the concluded verdict edited", "does not follow", partial(_display, "conclusion", _verdict_edited)),
    ("seal", "a finding of a step edited", "other findings", partial(_display, "step", _step_edited)),
    ("seal", "a cell that was not executed", "stopped before code cell", _cell_skipped),
    ("seal", "an answer changed", "was changed", _evidence_changed),
    ("seal", "an answer put in", "was not recorded by the run", _evidence_put_in),
    ("sign", "untouched", "", partial(_sign, "executor")),
    ("sign", "a role that signs twice", "has signed already", _sign_twice),
    ("sign", "whoever executed approves", "can't sign as approver", _approve_own),
    ("sign", "a record of which an answer was changed", "was changed", _sign_changed),
)
"""What is asked, what is done before, what the refusal must hold (empty: it is accepted), and the deed."""
