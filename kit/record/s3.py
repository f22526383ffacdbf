"""What archiving and outputs in S3 share: an address, a bucket that is asked in its own Region, and errors that name
call and AWS code. This module loads boto3.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from threading import Event
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter, ValidationError

from kit.errors import ArchiveError
from kit.identifiers import Bucket as BucketName
from kit.identifiers import Endpoint
from kit.record.manifest import is_plain_name

T = TypeVar("T")
Item = TypeVar("Item")

LARGEST = 5 * 1024**3
"""What one PutObject takes, in bytes [S3 API reference, "PutObject"]."""
LONGEST_KEY = 1024
"""How long a key may be, in bytes of UTF-8 [S3 user guide, "Naming Amazon S3 objects"]."""
ATTEMPTS = 4

_AT_ONCE = 8
LOCKED = "enable Object Lock on the bucket, or name a bucket that has it"
_CHANGED = "the file changed while it was read: verify the record, then run again"
_ENDPOINT = "name an https address (AWS_ENDPOINT_URL_S3); plain http is for this machine"
_REMEDIES = {
    "NoSuchBucket": "make the bucket, or name another",
    "ObjectLockConfigurationNotFoundError": LOCKED,
    "ServerSideEncryptionConfigurationNotFoundError": "name a KMS key",
    "BadDigest": _CHANGED,
    "XAmzContentSHA256Mismatch": _CHANGED,
}
_ALLOW = "let this identity do it (its policies, the bucket's, the key's), or sign in as one that may, then run again"


def place_of(destination: str) -> tuple[str, str]:
    """Return bucket and prefix of an address, the prefix with its slash at the end, or empty; nothing is decoded.

    Raises:
        ArchiveError: it is none.
    """
    bucket, _, prefix = destination.removeprefix("s3://").partition("/")
    prefix = prefix.removesuffix("/")
    named = is_of(BucketName, bucket) and (not prefix or is_plain_name(prefix))
    if not destination.startswith("s3://") or not named:
        raise ArchiveError(f"{destination!r} is no place in S3", "name one: s3://bucket/prefix")
    return bucket, f"{prefix}/" if prefix else ""


def is_of(kind: Any, value: str) -> bool:
    """Return whether a value is of one of `kit.identifiers`."""
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


def checksum(sha256: str) -> str:
    """Return a SHA-256 in hexadecimal digits as S3 spells it."""
    return b64encode(bytes.fromhex(sha256)).decode()


def sha256_of(checksum: str) -> str:
    """Return a SHA-256 as S3 spells it in hexadecimal digits."""
    return b64decode(checksum).hex()


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the client that asks its Region; `again` is how an error ends that may pass."""

    name: str
    client: Any
    region: str
    again: str

    def ask(self, operation: str, key: str = "", **parameters: Any) -> Mapping[str, Any]:
        """Make one call, on the bucket or on an object.

        Raises:
            ArchiveError: it was refused, or got no answer.
        """
        named = {"Key": key} if key else {}
        with self.naming(self.client.meta.method_to_api_mapping[operation], key):
            answer: Mapping[str, Any] = getattr(self.client, operation)(Bucket=self.name, **named, **parameters)
            return answer

    @contextmanager
    def naming(self, call: str, key: str = "") -> Iterator[None]:
        """Have what botocore raises in a block be an error that names this call."""
        with _naming(call, self.uri(key), self.again):
            yield

    def uri(self, key: str = "") -> str:
        """Return the address of an object, or of the bucket."""
        return f"s3://{self.name}/{key}".removesuffix("/")


@contextmanager
def opened(
    name: str, again: str, *, profile: str = "", endpoint_url: str = "", configured: bool = False
) -> Iterator[tuple[Bucket, Callable[[str], Any]]]:
    """Yield a bucket, asked in its own Region, which `HeadBucket` tells [S3 API reference], and what gives the client
    of another service there.

    With `configured` an endpoint counts that the environment or the profile has for S3, as botocore reads it.

    Raises:
        ArchiveError: there are no credentials, or the bucket can't be asked.
    """
    with _naming("signing in", f"s3://{name}", again):
        session = boto3.Session(profile_name=profile or None)

    def made(service: str, region: str, style: Literal["path", "auto"]) -> Any:
        config = Config(
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=_AT_ONCE,
            s3={"addressing_style": style},
            # an endpoint set elsewhere could pass a simulator off as AWS
            ignore_configured_endpoint_urls=not configured,  # type: ignore[call-arg]
            # plain http is for this machine, which no proxy leads to
            proxies={} if endpoint.startswith("http:") else None,
        )
        try:
            with _naming("signing in", f"s3://{name}", again):
                return session.client(  # type: ignore[call-overload]
                    service, region_name=region, endpoint_url=endpoint_url or None, config=config
                )
        # botocore's own text has the endpoint in it, and so what may be a password
        except ValueError as error:
            raise ArchiveError(f"what is configured for AWS can't be used for s3://{name}", _ENDPOINT) from error

    clients: list[Any] = []

    def client(service: str, region: str = "") -> Any:
        clients.append(made(service, region or here, "path" if endpoint else "auto"))
        return clients[-1]

    endpoint = endpoint_url
    here = session.region_name or "us-east-1"
    try:
        anywhere = client("s3")
        if configured and (endpoint := _configured(anywhere)):
            anywhere = client("s3")
        told = Bucket(name, anywhere, "", again).ask("head_bucket").get("BucketRegion")
        if not told and not configured:
            raise ArchiveError(
                f"HeadBucket does not say in which Region s3://{name} is", "archive to a bucket of S3 itself"
            )
        here = told or here
        yield Bucket(name, client("s3"), here, again), client
    finally:
        for each in clients:
            each.close()


def _configured(client: Any) -> str:
    """Return the endpoint that a client was configured with, empty where it is AWS's own."""
    url = str(client.meta.endpoint_url)
    parts = urlsplit(url)
    if str(parts.hostname).endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return ""
    if not is_of(Endpoint, url):
        # what else an address has may be a password
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        raise ArchiveError(f"the endpoint that is configured for S3 can't be used: {shown}", _ENDPOINT)
    return url


def code_of(error: BaseException | None) -> str:
    """Return the code that AWS gave for an error, or for what it came of; empty where it is none of AWS."""
    error = error.__cause__ if isinstance(error, ArchiveError) else error
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


@contextmanager
def _naming(call: str, what: str, again: str) -> Iterator[None]:
    """Turn what botocore raises into an error that names call and AWS code, and nothing of botocore's own text."""
    try:
        yield
    except ClientError as error:
        # it may be another call, which botocore made for the role of a profile
        call = error.operation_name
        raise ArchiveError(f"{call} was refused for {what}: {code_of(error)}", _remedy(error, call, again)) from error
    except BotoCoreError as error:
        message = f"{call} got no answer for {what}: {type(error).__name__}"
        raise ArchiveError(message, f"see that credentials and network are as they must be, then {again}") from error


def _remedy(error: ClientError, call: str, again: str) -> str:
    code, status = code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code.startswith("KMS."):
        return "see that the key is enabled, in the bucket's Region, and lets this identity use it, then run again"
    if call == "HeadBucket" and status == 404:
        return _REMEDIES["NoSuchBucket"]
    if code == "SlowDown":
        return f"S3 is throttling: wait, then {again}"
    return _REMEDIES.get(code) or (_ALLOW if status == 403 else f"put right what the code says, then {again}")


class _Stopped(BaseException):
    """The sending ended while a file was being sent. Not an `Exception`: those botocore would retry."""


class Source(FileIO):
    """A file that can be sent until it is told to stop."""

    def __init__(self, path: Path, stop: Event) -> None:
        super().__init__(path)
        self._stop = stop

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes."""
        if self._stop.is_set():
            raise _Stopped
        return super().read(-1 if size is None else size)


def side_by_side(work: Callable[[Item], T], items: Sequence[Item], take: Callable[[T], object], stop: Event) -> None:
    """Do the work for each item, some at a time, and hand over each result; the first error stops what still runs."""
    with ThreadPoolExecutor(_AT_ONCE) as executor:
        futures = [executor.submit(work, item) for item in items]
        try:
            for future in as_completed(futures):
                take(future.result())
        except BaseException:
            stop.set()
            executor.shutdown(wait=False, cancel_futures=True)
            raise
