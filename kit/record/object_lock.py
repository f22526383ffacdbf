"""Archives a record: a copy in S3, locked in compliance mode: nobody can change or delete it before its date.

Not even the account's root user can, so what is put there by mistake stays. Each file goes up with its SHA-256, which
S3 checks, and is then read back by its version; the receipt holds what S3 reported and nothing else. This module loads
boto3. Source: S3 user guide, "Locking objects with Object Lock", "Checking object integrity".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from kit.canonical import Json, sha256_file
from kit.errors import ArchiveError, RecordError, RejectionError
from kit.evidence import timestamp, utc_now
from kit.identifiers import Endpoint, KeyReference
from kit.record.manifest import RESTORE, SUMS, files_in, is_plain_name
from kit.record.s3 import (
    LARGEST,
    LOCKED,
    LONGEST_KEY,
    Bucket,
    Source,
    checksum,
    code_of,
    is_of,
    opened,
    place_of,
    side_by_side,
)

Progress = Callable[[str, int, int], None]
"""Is told a phase, and how many of how many files are done; what it raises ends the archiving."""

MODE = "COMPLIANCE"

_AGAIN = "run again: what is archived already is kept"
_ELSEWHERE = "what lies there stays as it is: archive under another prefix"


@dataclass(frozen=True)
class ArchivedFile:
    """One file of a record as S3 holds it: SHA-256 in hexadecimal digits, size in bytes."""

    key: str
    version_id: str
    sha256: str
    bytes: int
    etag: str


@dataclass(frozen=True)
class Receipt:
    """What S3 reported of an archived record, file by file, sorted by key; times are RFC 3339 in UTC.

    `destination` is where the record's folder lies. Before `retain_until` no file can be deleted; one that was there
    already may be locked for longer. `account` is the caller's, empty where nobody could tell. `endpoint` is empty for
    AWS itself, so that the receipt of a demonstration says of itself that it is one. `archived_at` is when everything
    had been read back.
    """

    destination: str
    endpoint: str
    bucket: str
    region: str
    account: str
    mode: str
    retain_until: str
    kms_key: str
    archived_at: str
    files: tuple[ArchivedFile, ...]

    def to_json(self) -> dict[str, Json]:
        """Return the receipt as a JSON value."""
        return {**asdict(self), "files": [asdict(file) for file in self.files]}


@dataclass(frozen=True)
class _File:
    """A file that is to be archived; its SHA-256 is what it had before anything was uploaded."""

    path: Path
    key: str
    sha256: str
    bytes: int

    @property
    def checksum(self) -> str:
        """The SHA-256 as S3 spells it."""
        return checksum(self.sha256)


def archive(
    record: Path,
    destination: str,
    retain_until: datetime,
    *,
    kms_key: str = "",
    profile: str = "",
    endpoint_url: str = "",
    progress: Progress = lambda *_: None,
    now: Callable[[], datetime] = utc_now,
) -> Receipt:
    """Put every file of a record under `s3://bucket/prefix/<name of its folder>/`, locked until a date, and return
    the receipt once S3 has reported checksum, size, key, mode and date of each version to be what was asked for.

    Nothing is uploaded unless the bucket has Object Lock and versioning, and the folder holds what its `SHA256SUMS`
    lists. Nothing is put over anything: what is there already under the same checksum and key, and locked at least as
    long, counts as done, so an interrupted run goes on where it stopped; anything else is an error. `SHA256SUMS` goes
    last: without it the archive is not whole. Files are hashed and sent in blocks, so memory stays flat.

    A file over 5 GiB is refused: it would take several requests, and then S3 has no SHA-256 of the whole of it.

    Args:
        record: The folder of the record, with all that lies in it. Whether it is the record that was sealed is for
            `verify` to say, before.
        destination: `s3://bucket` or `s3://bucket/prefix`, taken literally: nothing in it is decoded.
        retain_until: An aware moment in the future; rounded up to whole seconds.
        kms_key: Id or ARN of the key to encrypt under, the bucket's own by default. An alias won't do, since what
            it names may change.
        profile: The profile of the caller; boto3 finds credentials by itself if empty.
        endpoint_url: Where S3 answers if not at AWS.
        progress: Is told of each file that is done.
        now: The clock.

    IAM: s3:ListBucket, s3:ListBucketVersions, s3:GetBucketObjectLockConfiguration, s3:GetBucketVersioning and, where
    no key is named, s3:GetEncryptionConfiguration on the bucket; s3:PutObject, s3:PutObjectRetention, s3:GetObject,
    s3:GetObjectVersion and s3:GetObjectRetention on its objects; kms:GenerateDataKey and kms:Decrypt on the key.

    Raises:
        ArchiveError: destination, date or key can't be used; a call was refused or got no answer (names call and AWS
            code); something else lies where a file is to go, or S3 reports another value than asked (names both).
        RecordError: there is no such folder, it has no `SHA256SUMS`, or a file of it can't be read or archived.
        RejectionError: the folder holds a link, or is not what its `SHA256SUMS` lists.
    """
    name, prefix = place_of(destination)
    until = _whole_seconds(retain_until, now())
    _hold_choices(kms_key, endpoint_url)
    folder, names = _contents(record)
    place = f"{prefix}{folder.name}/"
    for each in names:
        _hold_archivable(folder / each, each, place + each)
    with opened(name, _AGAIN, profile=profile, endpoint_url=endpoint_url) as (bucket, client):
        account = _account(client("sts"))
        _hold_bucket(bucket)
        kms_key = kms_key or _default_key(bucket)
        there = _newest_versions(bucket, place, {place + each for each in names})
        files = _hashed(folder, names, place)
        vault = _Vault(bucket, kms_key, until, there)
        known = [file for file in files if file.key in there]
        missing = [file for file in files if file.key not in there]
        sums = [file for file in missing if file.path == folder / SUMS]
        archived: list[ArchivedFile] = []

        def take(file: ArchivedFile) -> None:
            archived.append(file)
            progress("Archiving", len(archived), len(files))

        # what is there already comes first: if it is something else, nothing is uploaded
        for batch in (known, [file for file in missing if file not in sums], sums):
            side_by_side(vault.keep, batch, take, vault.stop)
    return Receipt(
        destination=f"s3://{name}/{place}",
        endpoint=endpoint_url,
        bucket=name,
        region=bucket.region,
        account=account,
        mode=MODE,
        retain_until=timestamp(until),
        kms_key=", ".join(sorted(vault.kms_keys)),
        archived_at=timestamp(now()),
        files=tuple(sorted(archived, key=lambda file: file.key)),
    )


# --- What is asked for


def _whole_seconds(retain_until: datetime, now: datetime) -> datetime:
    if retain_until.utcoffset() is None:
        raise ArchiveError("the date to retain until has no UTC offset", "give it one: 2036-01-31T00:00:00Z")
    until = (retain_until + timedelta(microseconds=999_999)).replace(microsecond=0).astimezone(UTC)
    if until <= now:
        raise ArchiveError(f"the date to retain until has passed: {timestamp(until)}", "name one in the future")
    return until


def _hold_choices(kms_key: str, endpoint_url: str) -> None:
    if kms_key and (not is_of(KeyReference, kms_key) or "alias/" in kms_key):
        raise ArchiveError(
            f"{kms_key!r} is neither id nor ARN of a KMS key", "name the key by its ARN, not by an alias"
        )
    if endpoint_url and not is_of(Endpoint, endpoint_url):
        raise ArchiveError(f"{endpoint_url!r} is no endpoint", "name an https address; plain http is for this machine")


# --- What is to be archived


def _contents(record: Path) -> tuple[Path, list[str]]:
    """Return the folder by its own name, whatever leads to it, and the names of its files."""
    if not record.is_dir():
        raise RecordError(f"{record} is no folder", "name the folder of a sealed record")
    folder = record.resolve()
    names = files_in(folder)
    if SUMS not in names:
        raise RecordError(f"{record} has no {SUMS}", "seal the run, or name the folder of a sealed record")
    return folder, names


def _hold_archivable(path: Path, name: str, key: str) -> None:
    if not is_plain_name(key) or len(key.encode()) > LONGEST_KEY:
        raise RecordError(f"{name!r} can't be the name of an object: {key!r}", "use shorter, printable names")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(error) from error
    if size > LARGEST:
        raise RecordError(f"{name} is larger than 5 GiB, which S3 takes in one request", "archive it by other means")


def _hashed(folder: Path, names: Sequence[str], place: str) -> list[_File]:
    """Return the files with their SHA-256, held against `SHA256SUMS`, which lists all but what came after sealing."""
    try:
        files = {
            name: _File(folder / name, place + name, sha256_file(folder / name), (folder / name).stat().st_size)
            for name in names
        }
        lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        raise _unreadable(error) from error
    for digest, _, name in (line.partition("  ") for line in lines if line):
        if name not in files or files[name].sha256 != digest:
            raise RejectionError(f"{name} is missing or was changed: its SHA-256 is not that of {SUMS}", RESTORE)
    return list(files.values())


def _unreadable(error: OSError) -> RecordError:
    return RecordError(f"{error.filename} can't be read: {error.strerror}", "make it readable")


# --- What S3 says


def _account(sts: Any) -> str:
    """Return the caller's account, or nothing where STS doesn't tell: the receipt does without."""
    try:
        return str(sts.get_caller_identity().get("Account", ""))
    except (ClientError, BotoCoreError):
        return ""


def _hold_bucket(bucket: Bucket) -> None:
    lock = bucket.ask("get_object_lock_configuration").get("ObjectLockConfiguration", {})
    if lock.get("ObjectLockEnabled") != "Enabled":
        raise ArchiveError(f"s3://{bucket.name} has no Object Lock", LOCKED)
    versioning = bucket.ask("get_bucket_versioning").get("Status", "never enabled")
    if versioning != "Enabled":
        raise ArchiveError(
            f"versioning of s3://{bucket.name} is not enabled: {versioning}", "enable it, then run again"
        )


def _default_key(bucket: Bucket) -> str:
    """Return the key that the bucket encrypts under by default.

    It has to be named with each object: `aws:kms` without a key means the AWS managed key, whatever the bucket's
    default is [S3 API reference, "PutObject"].
    """
    configuration = bucket.ask("get_bucket_encryption").get("ServerSideEncryptionConfiguration", {})
    applied = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in configuration.get("Rules", [])]
    keys = [default.get("KMSMasterKeyID", "") for default in applied if default.get("SSEAlgorithm") == "aws:kms"]
    if len(keys) != 1 or not is_of(KeyReference, keys[0]) or "alias/" in keys[0]:
        told = f"s3://{bucket.name} names no customer managed KMS key by id or ARN as its default"
        raise ArchiveError(told, "name a key by its ARN, or make one the bucket's default")
    return str(keys[0])


def _newest_versions(bucket: Bucket, place: str, wanted: set[str]) -> dict[str, str]:
    """Return the newest version's id of each wanted key that is there.

    Raises:
        ArchiveError: the newest is a delete marker: somebody took the file for deleted, and its versions are hidden.
    """
    found: dict[str, str] = {}
    with bucket.naming("ListObjectVersions", place):
        for page in bucket.client.get_paginator("list_object_versions").paginate(Bucket=bucket.name, Prefix=place):
            for marker in page.get("DeleteMarkers", []):
                if marker["IsLatest"] and marker["Key"] in wanted:
                    told = f"{bucket.uri(marker['Key'])} was deleted: a delete marker hides what is locked there"
                    raise ArchiveError(told, "remove the delete marker, or archive under another prefix")
            latest = (version for version in page.get("Versions", []) if version["IsLatest"])
            found |= {version["Key"]: version["VersionId"] for version in latest if version["Key"] in wanted}
    return found


class _Vault:
    """Where files are kept, under one key and until one date; `kms_keys` are those that S3 reported."""

    def __init__(self, bucket: Bucket, kms_key: str, until: datetime, there: Mapping[str, str]) -> None:
        self.stop = Event()
        self.kms_keys: set[str] = set()
        self._bucket = bucket
        self._kms_key = kms_key
        self._until = until
        self._there = there

    def keep(self, file: _File) -> ArchivedFile:
        """Put a file unless it is there, and return what S3 reports of that version."""
        if version := self._there.get(file.key):
            return self._read_back(file, version, found=True)
        try:
            with Source(file.path, self.stop) as body:
                answer = self._put(file, body)
        except OSError as error:
            raise _unreadable(error) from error
        except ArchiveError as error:
            if code_of(error) != "PreconditionFailed":
                raise
            # somebody else put it meanwhile, or we did, by an attempt whose answer never came
            answer = self._bucket.ask("head_object", file.key)
            return self._read_back(file, answer.get("VersionId", ""), found=True)
        return self._read_back(file, answer.get("VersionId", ""), found=False)

    def _put(self, file: _File, body: Source) -> Mapping[str, Any]:
        return self._bucket.ask(
            "put_object",
            file.key,
            Body=body,
            # Object Lock wants the algorithm named even where the checksum is there [S3 API reference, "PutObject"]
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=file.checksum,
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=self._kms_key,
            ObjectLockMode=MODE,
            ObjectLockRetainUntilDate=self._until,
            IfNoneMatch="*",
        )

    def _read_back(self, file: _File, version: str, *, found: bool) -> ArchivedFile:
        """Hold one version to what was asked for; one that was found there may be locked for longer."""
        if not version:
            raise self._differs(file, "VersionId", version, "one", found=found)
        told = self._bucket.ask("head_object", file.key, VersionId=version, ChecksumMode="ENABLED")
        reported = str(told.get("SSEKMSKeyId"))
        is_ours = reported == self._kms_key or reported.endswith(f":key/{self._kms_key}")
        wanted: dict[str, Any] = {
            "VersionId": version,
            "ChecksumSHA256": file.checksum,
            "ContentLength": file.bytes,
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": reported if is_ours else self._kms_key,
            "ObjectLockMode": MODE,
            "ObjectLockRetainUntilDate": self._until,
        }
        self._hold(file, told, wanted, found=found)
        if not told.get("ETag"):
            raise self._differs(file, "ETag", None, "one", found=found)
        retention = self._bucket.ask("get_object_retention", file.key, VersionId=version).get("Retention", {})
        self._hold(file, retention, {"Mode": MODE, "RetainUntilDate": self._until}, found=found)
        self.kms_keys.add(reported)
        return ArchivedFile(file.key, version, file.sha256, file.bytes, str(told["ETag"]).strip('"'))

    def _hold(self, file: _File, told: Mapping[str, Any], wanted: Mapping[str, Any], *, found: bool) -> None:
        for name, value in wanted.items():
            said = told.get(name)
            is_longer = found and isinstance(said, datetime) and said > self._until
            if said != value and not is_longer:
                raise self._differs(file, name, said, value, found=found)

    def _differs(self, file: _File, name: str, said: Any, wanted: Any, *, found: bool) -> ArchiveError:
        where = f"{self._bucket.uri(file.key)}{' was there already, and' if found else ':'}"
        values = [timestamp(value) if isinstance(value, datetime) else value for value in (said or "nothing", wanted)]
        return ArchiveError(f"{where} S3 reports {name} {values[0]}, where {values[1]} was asked for", _ELSEWHERE)
