"""Lists and reads the objects of log buckets; an answer is read from its ledger line, live and in replay alike.

A ledger line holds a page of a listing as S3 sent it, a digest with its bytes, or a log by its hash. An answer is first
made a line, and then read: so a record says what the run was told.
"""

import base64
import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol, TypeVar
from xml.etree import ElementTree as ET

from kit.canonical import Json
from kit.collect.ledger import read_ledger
from kit.collect.listing import Page, read_page
from kit.digests.objects import Listing, Query, Read, Stored, Version, Wanted
from kit.errors import EvidenceError
from kit.evidence import is_ledger, read_index

Progress = Callable[[int, int], None]
"""Told how many more objects were done, and of how many bytes."""

LISTINGS, LOGS, KEPT = "listings", "logs", "kept"
"""The ledgers: pages of listings as S3 sent them; logs by hash; digests and sampled logs with their bytes."""

Search = Callable[[bytes], list[Json] | None]
"""Returns what a log file's text holds of what is looked for; None where it can't be told."""

META = "x-amz-meta-"

T = TypeVar("T")
_RESTORE = "restore the record from its archive"


class Objects(Protocol):
    """Lists and reads objects; answers come in the order they were asked for."""

    def list_folders(self, queries: Sequence[Query]) -> list[Listing]:
        """Return what each folder holds; S3 ListObjectVersions, all pages. IAM: s3:ListBucketVersions."""
        ...

    def read_objects(self, wanted: Sequence[Wanted], progress: Progress) -> list[Read]:
        """Return what reading each object gave; S3 GetObject. IAM: s3:GetObject, s3:GetObjectVersion, kms:Decrypt."""
        ...

    def close(self) -> Mapping[str, tuple[str, ...]]:
        """Close the ledgers, and return the evidence ids of each."""
        ...


class ReplayedObjects:
    """Answers from the ledgers of an evidence folder; what they don't hold is an error, and nothing reaches a network.

    `open_storage` is asked once for each bucket, as a live run asks it, so that what it asks is asked again.

    Raises:
        EvidenceError: a ledger is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.open_storage: Callable[[str], object] = lambda _: None
        self._opened: set[str] = set()
        # each in the order it was recorded: what was asked twice may have been answered in two ways
        self._pages: dict[str, deque[Json]] = defaultdict(deque)
        self._lines: dict[tuple[bool, str, str, str], deque[Json]] = defaultdict(deque)
        try:
            for line in read_ledger(folder, LISTINGS):
                self._pages[_page_key(line["bucket"], line["parameters"])].append(line)
            for name in (LOGS, KEPT):
                for line in read_ledger(folder, name):
                    self._lines[name == KEPT, line["bucket"], line["key"], line["version"]].append(line)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise EvidenceError(f"a ledger of {folder} is not as it was written: {error!r}", _RESTORE) from error

    def list_folders(self, queries: Sequence[Query]) -> list[Listing]:
        """Return what the record says of each folder."""
        return [self._listing(query) for query in queries]

    def read_objects(self, wanted: Sequence[Wanted], progress: Progress) -> list[Read]:
        """Return what the record says of each object."""
        found = []
        for one in wanted:
            self._open(one.bucket)
            lines = self._lines[one.keep, one.bucket, one.key, one.version]
            if not lines:
                raise _unrecorded(f"s3://{one.bucket}/{one.key}")
            found.append(_held(read_of, lines.popleft()))
            progress(1, found[-1].stored)
        return found

    def close(self) -> dict[str, tuple[str, ...]]:
        """Return the evidence ids of the ledgers that were read."""
        entries = read_index(self._folder)
        return {name: tuple(one.id for one in entries if is_ledger(one, name)) for name in (LISTINGS, LOGS, KEPT)}

    def require_used(self) -> None:
        """Hold that every line was asked for.

        Raises:
            EvidenceError: one was not: the record holds an answer that nothing rests on.
        """
        unused = sorted(str(key) for left in (self._lines, self._pages) for key, lines in left.items() if lines)
        if unused:
            raise EvidenceError(
                f"{len(unused)} recorded listings or objects were never asked for, {unused[0]}",
                "the record holds more than this kit version asks; verify it with the version that made it",
            )

    def _open(self, bucket: str) -> None:
        if bucket not in self._opened:
            self._opened.add(bucket)
            self.open_storage(bucket)

    def _listing(self, query: Query) -> Listing:
        self._open(query.bucket)
        pages: list[Page | str] = []
        asked: dict[str, str] | None = first_page(query)
        while asked is not None:
            lines = self._pages[_page_key(query.bucket, asked)]
            if not lines:
                raise _unrecorded(f"the listing of s3://{query.bucket}/{query.prefix}")
            pages.append(_held(page_of, lines.popleft()))
            asked = next_page(query, asked, pages[-1])
        return listing_of(query, pages)


def first_page(query: Query) -> dict[str, str]:
    """Return the parameters by which the first page of a folder is asked for."""
    asked = {"versions": "", "encoding-type": "url", "prefix": query.prefix}
    asked |= {"delimiter": "/"} if query.folders else {}
    return asked | ({"key-marker": query.after} if query.after else {})


def next_page(query: Query, asked: Mapping[str, str], page: Page | str) -> dict[str, str] | None:
    """Return what to ask next: nothing after a page that failed, was the last, passed the end, or leads nowhere."""
    if isinstance(page, str) or not page.following or (query.until and page.following["key-marker"] >= query.until):
        return None
    # a page that ends with a folder names no version, and that of the page before is none of its key's
    kept = {name: value for name, value in asked.items() if name != "version-id-marker"}
    return None if _stands_still(asked, page) else kept | page.following


def _stands_still(asked: Mapping[str, str], page: Page) -> bool:
    """Return whether what follows a page begins no further on: S3 lists keys in order, so the list would not end."""
    return page.following["key-marker"] < asked.get("key-marker", "") or all(
        asked.get(name) == value for name, value in page.following.items()
    )


def listing_of(query: Query, pages: Sequence[Page | str]) -> Listing:
    """Return what the pages of a folder say together."""
    failure = next((page for page in pages if isinstance(page, str)), "")
    read = [page for page in pages if isinstance(page, Page)]
    following = read[-1].following if read else {}
    if not failure and following and not (query.until and following["key-marker"] >= query.until):
        failure = "the answer to s3:ListObjectVersions says that there is more where it was asked already"
    versions: dict[str, list[tuple[bool, Version]]] = {}
    for page in read:
        for key, latest, version in page.versions:
            if not query.until or key < query.until:
                versions.setdefault(key, []).append((latest, version))
    stored = []
    for key, found in versions.items():
        # S3 lists the newest version first; the sort holds for any order
        found.sort(key=lambda each: (each[0], each[1].modified), reverse=True)
        stored.append(Stored(query.bucket, key, tuple(version for _, version in found)))
    folders = dict.fromkeys(folder for page in read for folder in page.folders)
    return Listing(query, tuple(stored), tuple(folders), failure)


def page_of(line: Mapping[str, Json]) -> Page | str:
    """Return a page of a listing, or in words why there is none."""
    if line["status"] != 200:
        return _failure(line)
    try:
        return read_page(line["body"])
    except ValueError as error:
        return f"the answer to s3:ListObjectVersions can't be read ({error})"


def read_of(line: Mapping[str, Json]) -> Read:
    """Return what a ledger line says: live and in replay alike."""
    bucket, key, version = line["bucket"], line["key"], line["version"]
    if line["status"] != 200:
        missing = line["status"] == 404 and error_of(line["body"])[0] in ("NoSuchKey", "NoSuchVersion")
        return Read(bucket, key, version, f"could not be read: {_failure(line)}", missing)
    headers = line["headers"]
    if line.get("too_large"):
        return Read(bucket, key, version, "is larger than any digest that CloudTrail delivers", stored=line["stored"])
    return Read(
        bucket,
        key,
        version,
        modified=_date(headers.get("last-modified")),
        encryption=headers.get("x-amz-server-side-encryption", ""),
        encryption_key=headers.get("x-amz-server-side-encryption-aws-kms-key-id", ""),
        stored=line["stored"],
        metadata={name.removeprefix(META): value for name, value in headers.items() if name.startswith(META)},
        **{name: line[name] for name in ("sha256", "size", "problem", "data_keys") if name in line},
        changes=tuple(line["changes"]) if line.get("changes") is not None else None,
        body=base64.b64decode(line["content"]) if "content" in line else None,
    )


def _failure(line: Mapping[str, Json]) -> str:
    if line["status"] is None:
        return str(line["failure"])
    code, message = error_of(line["body"])
    return f"{line['status']} {code}{': ' if message else ''}{message}".strip()


def error_of(body: str) -> tuple[str, str]:
    """Return code and message of an S3 error, as far as it is one."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - expat expands no entity beyond measure, and fetches none
    except ET.ParseError:
        return "", ""
    return root.findtext("Code") or "", root.findtext("Message") or ""


def _date(text: Json) -> datetime | None:
    try:
        moment = parsedate_to_datetime(str(text))
        return moment.astimezone(UTC) if moment.utcoffset() is not None else None
    except (ValueError, OverflowError):
        return None


def text_of(body: bytes) -> str:
    """Return a body as text, whatever its bytes are."""
    return body.decode("utf-8", "replace")


def _page_key(bucket: str, parameters: Mapping[str, str]) -> str:
    return json.dumps([bucket, dict(parameters)], sort_keys=True)


def _held(read: Callable[[Json], T], line: Json) -> T:
    """Return what a recorded line says; one that the kit did not write is refused."""
    try:
        return read(line)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise EvidenceError(f"a line of a ledger is not as it was written: {error!r}", _RESTORE) from error


def _unrecorded(what: str) -> EvidenceError:
    return EvidenceError(
        f"no recording of {what}",
        "the record does not hold what this kit version asks; verify it with the version that made it",
    )
