"""What a record consists of: the names of its files, its manifest, and `SHA256SUMS`.

`manifest.json` (RFC 8785) lists every input of the rendering with its SHA-256: notebook, findings, JUnit and evidence. Its
own SHA-256 is the *record digest*, printed on every page. `SHA256SUMS` then lists every file of the record, manifest,
HTML and PDF included, in the format of `sha256sum`; nothing is circular.
"""

import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from kit.canonical import Json, canonical, sha256_file
from kit.errors import RecordError

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
NOTEBOOK = "record.ipynb"
HTML = "record.html"
PDF = "record.pdf"
FINDINGS = "findings.json"
JUNIT = "junit.xml"
EVIDENCE = "evidence"
RUNS = ".runs"
"""Where, in the outputs folder, a run keeps what it has until its record is sealed."""

SCHEMA = 1
_RESTORE = "restore the record from its archive"


def files_in(folder: Path) -> list[str]:
    """Return the relative names of all files below a folder, with `/`, sorted.

    Raises:
        RecordError: something below it is neither a file nor a folder: a link, a socket, a device.
    """
    names = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise RecordError(f"{name} is a link or no regular file", _RESTORE)
        if path.is_file():
            names.append(name)
    return names


def file_table(folder: Path, names: Iterable[str]) -> dict[str, Json]:
    """Return size in bytes and SHA-256 of each named file."""
    return {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)} for name in sorted(names)
    }


def sums_text(folder: Path) -> str:
    """Return what `SHA256SUMS` holds: a line for each other file, in `sha256sum`'s own format."""
    return "".join(f"{sha256_file(folder / name)}  {name}\n" for name in files_in(folder) if name != SUMS)


def read_manifest(folder: Path) -> dict[str, Json]:
    """Return the manifest of a record.

    Raises:
        RecordError: it is missing, not canonical JSON, of another schema, or names a file outside the record.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise RecordError(f"{MANIFEST} can't be read: {error.strerror}", "name the folder of a sealed record") from error
    try:
        manifest = json.loads(content)
        canonical_form = canonical(manifest)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{MANIFEST} is no JSON: {error}", _RESTORE) from error
    if canonical_form != content:
        raise RecordError(f"{MANIFEST} is not in canonical form (RFC 8785)", _RESTORE)
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise RecordError(f"{MANIFEST} is not of schema {SCHEMA}", "verify it with the kit version that made it")
    files = manifest.get("files")
    if not isinstance(files, dict) or not files:
        raise RecordError(f"{MANIFEST} lists no files", _RESTORE)
    for name, entry in files.items():
        if not is_plain_name(name) or set(entry) != {"bytes", "sha256"}:
            raise RecordError(f"{MANIFEST} lists a file it can't hold: {name}", _RESTORE)
    return manifest


def is_plain_name(name: str) -> bool:
    """Whether a name stays inside the folder it is taken from."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and path.as_posix() == name and "\\" not in name
