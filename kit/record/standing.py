"""Whether a record is the one that the register holds: every file of it, in a time that allows for hundreds of them.

Signatures are held by the hash that the register has of the signed file, as it was when each was given. That they are
valid is for `verify`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kit.canonical import Json, sha256_file
from kit.errors import RejectionError, UnreachedError
from kit.record.addenda import read_addenda
from kit.record.folders import elsewhere
from kit.record.history import History, hold_run
from kit.record.manifest import (
    HTML,
    MANIFEST,
    PDF,
    RESTORE,
    SIGNED,
    SUMS,
    files_in,
    is_added_later,
    is_plain_name,
    read_manifest,
)
from kit.record.register import REGISTER, RegisterEntry
from kit.record.verification.bound import Given, hold_added, hold_manifest
from kit.record.whole import hashes_of, hold_files, hold_names, hold_page, hold_sums, malformed_rejected


def hold_standing(folder: Path, history: History, entries: Sequence[RegisterEntry]) -> Mapping[str, Json]:
    """Hold a record to its own manifest and to the register, and return the manifest.

    Raises:
        RejectionError: it is not here, is not whole, or is not the one that was registered.
        UnreachedError: only a part of it was brought here, so that it can't be told.
    """
    # a register that somebody wrote could name any path
    if not is_plain_name(history.record_id) or "/" in history.record_id:
        raise RejectionError("its name leads out of the folder", "restore the register")
    if elsewhere(folder):
        raise UnreachedError(
            "only a part of it was brought here", "bring all of the outputs into a new folder: aws s3 sync"
        )
    with malformed_rejected(folder.name):
        try:
            return _held(folder, history, entries)
        except OSError as error:
            raise RejectionError(f"{error.filename} can't be read: {error.strerror}", "make it readable") from error


def _held(folder: Path, history: History, entries: Sequence[RegisterEntry]) -> Mapping[str, Json]:
    if not (folder / MANIFEST).exists():
        raise RejectionError("the record is not here", RESTORE)
    manifest = read_manifest(folder)
    if manifest["record_id"] != history.record_id:
        raise RejectionError(f"it is the record {manifest['record_id']}", RESTORE)
    digest = sha256_file(folder / MANIFEST)
    finished = [entry for entry in history.entries if entry.event == "finished"]
    if not finished or any(entry.data["digest"] != digest for entry in finished):
        raise RejectionError(f"{REGISTER} holds another digest of it", RESTORE)
    present = files_in(folder)
    hold_names(manifest, present)
    hashes = hashes_of(folder, [name for name in present if name != SUMS and not is_added_later(name)])
    hold_files(folder, manifest, hashes)
    hold_sums(folder, hashes)
    hold_page(folder / HTML, digest)
    signed = folder / SIGNED
    pages = {name: hashes[name] for name in (HTML, PDF) if name in hashes}
    addenda = tuple(read_addenda(folder))
    given = Given(folder, manifest, digest, signed if signed.exists() else None, (), addenda, pages)
    hold_manifest(given)
    hold_run(manifest, entries, REGISTER)
    hold_added(given, history, Path(REGISTER))
    return manifest
