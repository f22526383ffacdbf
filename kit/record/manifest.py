"""What a record consists of: the names of its files, its manifest, and `SHA256SUMS`.

`manifest.json` (RFC 8785) lists every input of the rendering with its SHA-256: notebook, findings, JUnit and evidence.
Its own SHA-256 is the *record digest*, printed on every page. `SHA256SUMS` then lists every file of the record,
manifest, HTML and PDF included, in the format of `sha256sum`; nothing is circular.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from stat import S_ISDIR, S_ISREG

from kit.canonical import Json, canonical, sha256_file
from kit.errors import EvidenceError, RecordError, RejectionError

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
NOTEBOOK = "record.ipynb"
HTML = "record.html"
PDF = "record.pdf"
SIGNED = "record.signed.pdf"
ADDENDA = "addenda"
APPROVAL = "approval.pdf"
FINDINGS = "findings.json"
JUNIT = "junit.xml"
EVIDENCE = "evidence"
INDEX_PAGE = "index.html"
"""The page over an outputs folder, which is part of no record."""
RUNS = ".runs"
"""Where, in the outputs folder, a run keeps what it has until its record is sealed."""

SCHEMA = 1
RECORD, PROTOCOL = "record", "protocol"
"""What a manifest can be of: an execution, or a protocol that is to be approved."""
RESTORE = "restore the record from its archive"

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def files_in(folder: Path) -> list[str]:
    """Return the relative names of all files below a folder, with `/`, sorted; of no folder, none.

    Raises:
        RecordError: something below it is neither a file nor a folder (a link, a socket, a device), or can't be listed.
    """
    names: list[str] = []
    waiting = [folder] if folder.exists() else []
    while waiting:
        try:
            entries = sorted(waiting.pop().iterdir())
            modes = [entry.lstat().st_mode for entry in entries]
        except OSError as error:
            raise RecordError(f"{error.filename} can't be listed: {error.strerror}", "make it readable") from error
        for entry, mode in zip(entries, modes, strict=True):
            name = entry.relative_to(folder).as_posix()
            if S_ISDIR(mode):
                waiting.append(entry)
            elif S_ISREG(mode):
                names.append(name)
            else:
                raise RejectionError(f"{name} is a link or no regular file", RESTORE)
    return sorted(names)


def file_table(folder: Path, names: Iterable[str]) -> dict[str, Json]:
    """Return size in bytes and SHA-256 of each named file."""
    return {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)} for name in sorted(names)
    }


def rendered_in(folder: Path) -> dict[str, Json]:
    """Return the SHA-256 of the pages of a record, as the register holds them: the manifest does not list them."""
    return {name: sha256_file(folder / name) for name in (HTML, PDF) if (folder / name).exists()}


def sums_text(folder: Path) -> str:
    """Return what `SHA256SUMS` holds: a line for each other file, in `sha256sum`'s own format.

    What is added to a sealed record later is not listed: it has its own proof.
    """
    names = [name for name in files_in(folder) if not is_added_later(name)]
    return "".join(f"{sha256_file(folder / name)}  {name}\n" for name in names if name != SUMS)


def is_added_later(name: str) -> bool:
    """Return whether a name is one of what may be added to a sealed record: the signed PDF, and the addenda."""
    return name == SIGNED or name.startswith(f"{ADDENDA}/")


def read_manifest(folder: Path) -> dict[str, Json]:
    """Return the manifest of a record.

    Raises:
        RejectionError: it is missing, not canonical JSON, of another schema, or names a file outside the record.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise RejectionError(
            f"{MANIFEST} can't be read: {error.strerror}", "restore it, or name the folder of a sealed record"
        ) from error
    return parse_manifest(content)


def account_of(manifest: Mapping[str, Json]) -> str:
    """Return the AWS account that a record is of: the one that answered, else the one that the parameters name."""
    target = manifest["parameters"]["target"]
    named = target["account_id"] if isinstance(target, dict) else ""
    return str((manifest["caller"] or {}).get("account") or named)


def parse_manifest(content: bytes) -> dict[str, Json]:
    """Return the manifest that these bytes are.

    Raises:
        RejectionError: it is not canonical JSON, of another schema, or names a file outside the record.
    """
    try:
        manifest = json.loads(content)
        canonical_form = canonical(manifest)
    except (ValueError, RecursionError, EvidenceError) as error:
        problem = error.message if isinstance(error, EvidenceError) else error
        raise RejectionError(f"{MANIFEST} is no JSON: {problem}", RESTORE) from error
    if canonical_form != content:
        raise RejectionError(f"{MANIFEST} is not in canonical form (RFC 8785)", RESTORE)
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise RejectionError(f"{MANIFEST} is not of schema {SCHEMA}", "verify it with the kit version that made it")
    if manifest.get("kind") not in (RECORD, PROTOCOL) or not isinstance(manifest.get("record_id"), str):
        raise RejectionError(f"{MANIFEST} does not say of which record it is", RESTORE)
    files = manifest.get("files")
    if not isinstance(files, dict) or not files:
        raise RejectionError(f"{MANIFEST} lists no files", RESTORE)
    for name, entry in files.items():
        if not is_plain_name(name) or not _is_entry(entry):
            raise RejectionError(f"{MANIFEST} lists a file it can't hold: {name}", RESTORE)
    return manifest


def is_plain_name(name: str) -> bool:
    """Whether a name stays inside the folder it is taken from, and on its line of a list."""
    path = PurePosixPath(name)
    return (
        bool(path.parts)
        and not path.is_absolute()
        and ".." not in path.parts
        and path.as_posix() == name
        and "\\" not in name
        and name.isprintable()
    )


def _is_entry(entry: Json) -> bool:
    return (
        isinstance(entry, dict)
        and set(entry) == {"bytes", "sha256"}
        and type(entry["bytes"]) is int
        and isinstance(entry["sha256"], str)
        and bool(_SHA256.fullmatch(entry["sha256"]))
    )
