"""What S3 says of an object, and what reading it gave: the facts that logs and digests are judged on."""

from dataclasses import dataclass
from datetime import datetime

from kit.canonical import Json
from kit.digests.problems import address


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or a delete marker; `id` is `null` in a bucket that was never versioned."""

    id: str
    modified: datetime
    size: int
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as S3 lists it, all its versions, the newest first."""

    bucket: str
    key: str
    versions: tuple[Version, ...]

    @property
    def there(self) -> bool:
        """Whether the newest version is no delete marker."""
        return not self.versions[0].deleted

    @property
    def is_folder(self) -> bool:
        """Whether this is what the S3 console makes to show a folder: its name ends with a slash, and it is empty."""
        return self.key.endswith("/") and all(version.size == 0 for version in self.versions)

    @property
    def address(self) -> str:
        """The object's name as `s3://bucket/key`."""
        return address(self.bucket, self.key)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object to read: its newest version, or the one named; `keep` asks for its bytes as well."""

    bucket: str
    key: str
    version: str = ""
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """What reading an object gave.

    `failure` says, as the end of a sentence that begins with the object's name, why there is no content (empty where
    there is); `missing` that S3 says there is no such object. `encryption` and `encryption_key` are the SSE headers of
    the response itself. `sha256` and `size` are those of the uncompressed content, `problem` why it is no sound gzip.
    `data_keys` counts the calls in this log by which CloudTrail asked for data keys, by trail ARN and hour joined by a
    space; it is None where the log was too long to be searched. `changes` are the records by which settings were
    changed, where those were searched for; None where they were not, or could not be.
    """

    bucket: str
    key: str
    version: str
    failure: str = ""
    missing: bool = False
    modified: datetime | None = None
    encryption: str = ""
    encryption_key: str = ""
    sha256: str = ""
    size: int = 0
    stored: int = 0
    problem: str = ""
    data_keys: dict[str, int] | None = None
    changes: tuple[Json, ...] | None = None
    metadata: dict[str, str] | None = None
    body: bytes | None = None

    @property
    def address(self) -> str:
        """The object's name as `s3://bucket/key`."""
        return address(self.bucket, self.key)


@dataclass(frozen=True, slots=True)
class Query:
    """Asks for the objects of a folder, with all their versions: those after the key `after`, and before `until`.

    With `folders`, only the folders right within it are asked for.
    """

    bucket: str
    prefix: str
    after: str = ""
    until: str = ""
    folders: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """What listing a folder gave; `failure`, in words, is why it is not known whole."""

    query: Query
    objects: tuple[Stored, ...] = ()
    folders: tuple[str, ...] = ()
    failure: str = ""
