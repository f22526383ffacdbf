"""Verifies a record's folder, offline: numbered steps, the first that does not hold rejects it, by file and reason.

Loads neither boto3 nor nbconvert. What hashes alone can't show: whoever edits a record and redoes every hash of it is not
caught here; `SHA256SUMS` and manifest show that the record is whole, not that it is the one that was made.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kit.canonical import Json, sha256_file
from kit.errors import RecordError
from kit.record.manifest import HTML, MANIFEST, PDF, SUMS, files_in, is_plain_name, read_manifest

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_RESTORE = "restore the record from its archive"


@dataclass(frozen=True)
class Step:
    """One step of the verification that held, in words."""

    number: int
    text: str


def verify(folder: Path) -> Iterator[Step]:
    """Yield each step as it holds.

    Raises:
        RecordError: a step does not hold; names the file and the reason.
    """
    manifest = read_manifest(folder)
    yield Step(1, f"{MANIFEST} is canonical and lists {len(manifest['files'])} files")
    present = files_in(folder)
    _hold_names(manifest, present)
    yield Step(2, "every file of the record is there, and no other")
    for name, entry in manifest["files"].items():
        _hold_file(folder, name, entry)
    yield Step(3, f"size and SHA-256 of {len(manifest['files'])} files are those of {MANIFEST}")
    count = _hold_sums(folder, present)
    yield Step(4, f"{SUMS} lists {count} files, and the SHA-256 of each is right")
    digest = sha256_file(folder / MANIFEST)
    _hold_printed(folder / HTML, digest)
    yield Step(5, f"{HTML} prints the record digest {digest}")


def _hold_names(manifest: dict[str, Json], present: list[str]) -> None:
    wanted = {*manifest["files"], MANIFEST, SUMS, HTML}
    for name in sorted(wanted - set(present)):
        raise RecordError(f"{name} is missing", _RESTORE)
    for name in sorted(set(present) - wanted - {PDF}):
        raise RecordError(f"{name} is no file of this record", "remove it from the folder, or restore the record")


def _hold_file(folder: Path, name: str, entry: dict[str, Json]) -> None:
    size = (folder / name).stat().st_size
    if size != entry["bytes"]:
        raise RecordError(f"{name} has {size} bytes, and the manifest says {entry['bytes']}", _RESTORE)
    if sha256_file(folder / name) != entry["sha256"]:
        raise RecordError(f"{name} was changed: its SHA-256 is not that of the manifest", _RESTORE)


def _hold_sums(folder: Path, present: list[str]) -> int:
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{SUMS} can't be read: {error}", _RESTORE) from error
    listed: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None or not is_plain_name(match[2]) or match[2] in listed:
            raise RecordError(f"line {number} of {SUMS} is malformed, or names a file twice", _RESTORE)
        listed[match[2]] = match[1]
    for name in sorted(set(listed) ^ (set(present) - {SUMS})):
        raise RecordError(f"{name} is in only one of the folder and {SUMS}", _RESTORE)
    for name, digest in listed.items():
        if sha256_file(folder / name) != digest:
            raise RecordError(f"{name} was changed: its SHA-256 is not that of {SUMS}", _RESTORE)
    return len(listed)


def _hold_printed(page: Path, digest: str) -> None:
    if digest.encode() not in page.read_bytes():
        raise RecordError(f"{page.name} does not print the digest of {MANIFEST}", _RESTORE)
