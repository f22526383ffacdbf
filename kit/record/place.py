"""A place in S3: the objects of a bucket under a prefix, each by its name there. This module loads boto3.

Source: S3 user guide, "How to prevent object overwrites with conditional writes", "Checking object integrity".
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from botocore.exceptions import BotoCoreError

from kit.errors import ArchiveError
from kit.record.manifest import is_plain_name
from kit.record.s3 import ATTEMPTS, Bucket, checksum, sha256_of

T = TypeVar("T")

_BLOCK = 1 << 20


@dataclass(frozen=True)
class There:
    """What S3 tells of an object: SHA-256 in hexadecimal digits, size in bytes, ETag."""

    sha256: str
    bytes: int
    etag: str


@dataclass(frozen=True)
class Place:
    """A bucket and a prefix, empty or with its slash at the end. Safe to use from several threads.

    Every call raises `ArchiveError` where it is refused or gets no answer. IAM: s3:ListBucket on the bucket,
    s3:GetObject and s3:PutObject on its objects, kms:Decrypt and kms:GenerateDataKey on their key.
    """

    bucket: Bucket
    prefix: str

    def uri(self, name: str = "") -> str:
        """Return the address of an object, or of the place."""
        return self.bucket.uri(self.prefix + name)

    def unheld(self, name: str) -> ArchiveError:
        """Return the error that an object has a name that no file can have, or none beside the others."""
        what = f"{self.uri()} holds what no outputs folder can hold: {name!r}"
        return ArchiveError(what, "find out who put it there, and remove it")

    def listed(self, first: str = "", last: str = "") -> list[str]:
        """Return the names that begin with `first`; where `last` is given, those from the one up to the other, in the
        order of S3 [S3 API reference, "ListObjectsV2"].

        Raises:
            ArchiveError: one is none that a file can have.
        """
        asked = {"Prefix": self.prefix + ("" if last else first)}
        asked |= {"StartAfter": self.prefix + first} if last else {}
        names: list[str] = []
        with self.bucket.naming("ListObjectsV2", self.prefix):
            pages = self.bucket.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket.name, **asked)
            for page in pages:
                for told in page.get("Contents", ()):
                    name = str(told["Key"]).removeprefix(self.prefix)
                    if last and name >= last:
                        return names
                    # the console makes objects for folders
                    if name.endswith("/") or not name:
                        continue
                    if not is_plain_name(name):
                        raise self.unheld(name)
                    names.append(name)
        return names

    def read(self, name: str, take: Callable[[Iterator[bytes], str], T]) -> T:
        """Have an object's blocks taken, with its ETag: again where the connection broke, or its checksum is another.

        Code `NoSuchKey` where there is none.
        """
        key = self.prefix + name
        for attempt in range(ATTEMPTS):
            answer = self.bucket.ask("get_object", key, ChecksumMode="ENABLED")
            try:
                with self.bucket.naming("GetObject", key), answer["Body"]:
                    return take(_blocks(answer["Body"]), str(answer["ETag"]))
            except ArchiveError as error:
                if attempt + 1 == ATTEMPTS or not isinstance(error.__cause__, BotoCoreError):
                    raise
        raise AssertionError(name)

    def told(self, name: str) -> There:
        """Return what S3 tells of an object; one that was put without its SHA-256 is read for it."""
        answer: Mapping[str, Any] = self.bucket.ask("head_object", self.prefix + name, ChecksumMode="ENABLED")
        size, etag, whole = int(answer["ContentLength"]), str(answer["ETag"]), answer.get("ChecksumSHA256", "")
        # that of an object in parts is of the parts' checksums
        if whole and answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
            return There(sha256_of(whole), size, etag)
        return self.read(name, lambda blocks, etag: There(_hashed(blocks), size, etag))

    def put(self, name: str, body: IO[bytes] | bytes, sha256: str, **asked: Any) -> str:
        """Put an object, whose SHA-256 S3 checks, and return its ETag.

        Code `PreconditionFailed`, `ConditionalRequestConflict` or `NoSuchKey` where a condition that is asked
        (`IfMatch`, `IfNoneMatch`) is not met.
        """
        told = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": checksum(sha256)}
        return str(self.bucket.ask("put_object", self.prefix + name, Body=body, **told, **asked)["ETag"])


def _blocks(body: Any) -> Iterator[bytes]:
    while block := body.read(_BLOCK):
        yield block


def _hashed(blocks: Iterator[bytes]) -> str:
    running = hashlib.sha256()
    for block in blocks:
        running.update(block)
    return running.hexdigest()
