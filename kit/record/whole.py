"""Whether a record's files are those that were sealed: names, sizes, hashes, sums, page. Each file is read once."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from kit.canonical import Json, sha256_file
from kit.errors import RejectionError
from kit.record.manifest import HTML, MANIFEST, PDF, RESTORE, SUMS, is_added_later, is_plain_name

_LINE = re.compile(r"([0-9a-f]{64})  (.+)", re.ASCII)
_BLOCK = 1 << 20


@contextmanager
def malformed_rejected(name: str) -> Iterator[None]:
    """Turn what a malformed file leads to into a rejection: what a record or register says of itself is anybody's.

    Raises:
        RejectionError: the block met something of another form than the kit writes.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RejectionError(f"{name} is not as the kit writes it: {' '.join(repr(error).split())}", RESTORE) from error


def hold_names(manifest: Mapping[str, Json], present: Iterable[str]) -> None:
    """Hold the names in a record's folder: all that the manifest lists is there, and nothing else of the sealing.

    What is added later has its own place and its own proof: the signed PDF, and the addenda.

    Raises:
        RejectionError: a file is missing, or is none of this record.
    """
    found = set(present)
    wanted = {*manifest["files"], MANIFEST, SUMS, HTML}
    for name in sorted(wanted - found):
        raise RejectionError(f"{name} is missing", RESTORE)
    for name in sorted(found - wanted - {PDF}):
        if not is_added_later(name):
            raise RejectionError(
                f"{name} is no file of this record", "remove it from the folder, or restore the record"
            )


def hashes_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of each named file; files are read side by side, each once, and memory stays flat.

    Raises:
        OSError: one can't be read.
    """
    listed = sorted(names)
    # hashing lets go of the interpreter, so two files are hashed in the time of one
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as executor:
        return dict(zip(listed, executor.map(lambda name: sha256_file(folder / name), listed), strict=True))


def prefix_hashes(path: Path, sizes: Iterable[int]) -> Iterator[str]:
    """Yield the SHA-256 of the first bytes of a file, for ascending sizes; it is read once, and memory stays flat.

    Of a file that is shorter, that of all of it.

    Raises:
        OSError: it can't be read.
    """
    running, at = hashlib.sha256(), 0
    with path.open("rb") as stream:
        for size in sizes:
            while at < size and (block := stream.read(min(_BLOCK, size - at))):
                running.update(block)
                at += len(block)
            yield running.hexdigest()


def hold_files(folder: Path, manifest: Mapping[str, Json], hashes: Mapping[str, str]) -> None:
    """Hold size and SHA-256 of every file against the manifest.

    Raises:
        RejectionError: one was changed.
    """
    for name, entry in manifest["files"].items():
        size = (folder / name).stat().st_size
        if size != entry["bytes"]:
            raise RejectionError(f"{name} has {size} bytes, and the manifest says {entry['bytes']}", RESTORE)
        if hashes[name] != entry["sha256"]:
            raise RejectionError(f"{name} was changed: its SHA-256 is not that of the manifest", RESTORE)


def hold_sums(folder: Path, hashes: Mapping[str, str]) -> int:
    """Hold a `SHA256SUMS` to its format and to the hashes of the files beside it, and return how many it lists.

    Stricter than `sha256sum -c`, which so agrees whenever this holds.

    Raises:
        RejectionError: a line is malformed, or a file is not listed, not there, or another.
    """
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
    for name in sorted(set(hashes) - set(listed)):
        raise RejectionError(f"{SUMS} does not list {name}", RESTORE)
    for name in sorted(set(listed) - set(hashes)):
        raise RejectionError(f"{SUMS} lists {name}, which is no file of this record", RESTORE)
    for name, digest in listed.items():
        if hashes[name] != digest:
            raise RejectionError(f"{name} was changed: its SHA-256 is not that of {SUMS}", RESTORE)
    return len(listed)


def hold_page(page: Path, digest: str) -> None:
    """Hold that an HTML page prints a digest.

    Raises:
        RejectionError: it does not.
    """
    wanted, before = digest.encode(), b""
    with page.open("rb") as stream:
        while block := stream.read(_BLOCK):
            if wanted in before + block:
                return
            before = block[-len(wanted) :]
    raise RejectionError(f"{page.name} does not print the digest of {MANIFEST}", RESTORE)
