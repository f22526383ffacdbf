"""Verifies a record's folder, offline: numbered steps, the first that does not hold rejects it, by file and reason.

Loads neither boto3 nor nbconvert. What hashes alone can't show: whoever edits a record and redoes every hash of it is
not caught here; `SHA256SUMS` and manifest show that the record is whole, not that it is the one that was made.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.canonical import Json, sha256_file
from kit.errors import RecordError, RejectionError
from kit.record.manifest import HTML, MANIFEST, PDF, RESTORE, SUMS, files_in, is_plain_name, read_manifest

_LINE = re.compile(r"([0-9a-f]{64})  (.+)", re.ASCII)
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Step:
    """One step of the verification that held, in words."""

    number: int
    text: str


def verify(folder: Path) -> Iterator[Step]:
    """Yield each step as it holds; memory stays flat for files of any size.

    Raises:
        RecordError: there is no folder of that name.
        RejectionError: a step does not hold, or a file can't be read; names the file and the reason.
    """
    if not folder.is_dir():
        raise RecordError(f"{folder} is no folder", "name the folder of a sealed record")
    try:
        yield from _steps(folder)
    except OSError as error:
        raise RejectionError(f"{error.filename} can't be read: {error.strerror}", "make it readable") from error


def _steps(folder: Path) -> Iterator[Step]:
    # first of all: what is no regular file could be endless, or lie outside the record
    present = files_in(folder)
    manifest = read_manifest(folder)
    yield Step(1, f"{MANIFEST} is canonical and lists {len(manifest['files'])} files")
    _hold_names(manifest, present)
    yield Step(2, "every file of the record is there, and no other")
    for name, entry in manifest["files"].items():
        _hold_file(folder, name, entry)
    yield Step(3, f"size and SHA-256 of {len(manifest['files'])} files are those of {MANIFEST}")
    count = _hold_sums(folder, present)
    yield Step(4, f"{SUMS} lists {count} files, and the SHA-256 of each is right")
    digest = sha256_file(folder / MANIFEST)
    if not _prints(folder / HTML, digest):
        raise RejectionError(f"{HTML} does not print the digest of {MANIFEST}", RESTORE)
    yield Step(5, f"{HTML} prints the record digest {digest}")


def _hold_names(manifest: dict[str, Json], present: list[str]) -> None:
    wanted = {*manifest["files"], MANIFEST, SUMS, HTML}
    for name in sorted(wanted - set(present)):
        raise RejectionError(f"{name} is missing", RESTORE)
    for name in sorted(set(present) - wanted - {PDF}):
        raise RejectionError(f"{name} is no file of this record", "remove it from the folder, or restore the record")


def _hold_file(folder: Path, name: str, entry: dict[str, Json]) -> None:
    size = (folder / name).stat().st_size
    if size != entry["bytes"]:
        raise RejectionError(f"{name} has {size} bytes, and the manifest says {entry['bytes']}", RESTORE)
    if sha256_file(folder / name) != entry["sha256"]:
        raise RejectionError(f"{name} was changed: its SHA-256 is not that of the manifest", RESTORE)


def _hold_sums(folder: Path, present: list[str]) -> int:
    """Hold `SHA256SUMS` to its own format: stricter than `sha256sum -c`, which so agrees whenever this holds."""
    try:
        *lines, rest = (folder / SUMS).read_bytes().decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise RejectionError(f"{SUMS} is no text: {error}", RESTORE) from error
    if rest:
        raise RejectionError(f"{SUMS} does not end with the end of a line", RESTORE)
    listed: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None or not is_plain_name(match[2]) or match[2] in listed:
            raise RejectionError(f"line {number} of {SUMS} is malformed, or names a file twice", RESTORE)
        listed[match[2]] = match[1]
    for name in sorted(set(present) - {SUMS} - set(listed)):
        raise RejectionError(f"{SUMS} does not list {name}", RESTORE)
    for name in sorted(set(listed) - set(present) | {SUMS} & set(listed)):
        raise RejectionError(f"{SUMS} lists {name}, which is no file of this record", RESTORE)
    for name, digest in listed.items():
        if sha256_file(folder / name) != digest:
            raise RejectionError(f"{name} was changed: its SHA-256 is not that of {SUMS}", RESTORE)
    return len(listed)


def _prints(page: Path, digest: str) -> bool:
    wanted, before = digest.encode(), b""
    with page.open("rb") as stream:
        while block := stream.read(_BLOCK):
            if wanted in before + block:
                return True
            before = block[-len(wanted) :]
    return False
