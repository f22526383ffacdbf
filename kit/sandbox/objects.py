"""The objects of the sandbox's buckets: put where CloudTrail puts them, listed and read as S3 answers.

Reading and listing are answered here and not by moto, which pages versions wrongly, copies them all for each page, and
leaves keys unencoded. Source: S3 API reference, "GetObject", "ListObjects", "ListObjectsV2", "ListObjectVersions".
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, s3_backends

from kit.sandbox.account import ACCOUNT_ID as ACCOUNT
from kit.sandbox.account import is_denied_reader
from kit.sandbox.additions import replaces, s3_document
from kit.sandbox.calls import Answer, Call, Rules, error, xml_answer

PAGE = 1000
"""How many keys S3 lists in one answer at most."""

_OWNER = "<Owner><ID>75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a</ID></Owner>"
_BREAKS = {"\r": "&#13;", "\n": "&#10;", '"': "&quot;"}

Listed = tuple[str, Any]
"""What a listing holds: a key and its version, or a common prefix and None."""


class Store:
    """Writes objects straight into moto's model: with the time, encryption and metadata that they would have on AWS."""

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes,
        *,
        modified: datetime,
        metadata: Mapping[str, str] | None = None,
        kms_key: str = "",
    ) -> None:
        """Put an object as its only version: encrypted under a KMS key, or by SSE-S3 where none is given."""
        held = _bucket(bucket)
        held.keys.setlist(key, [_version(held, key, body, modified, metadata or {}, kms_key, 0)])

    def overwrite(
        self, bucket: str, key: str, body: bytes, *, modified: datetime, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Put an object over what is there, under the same KMS key: in a versioned bucket that stays below it."""
        held = _bucket(bucket)
        kms_key = held.keys[key].kms_key_id or ""
        new = _version(held, key, body, modified, metadata or {}, kms_key, len(held.keys.getlist(key)))
        held.keys.setlist(key, [*(held.keys.getlist(key) if held.is_versioned else ()), new])

    def delete(self, bucket: str, key: str, modified: datetime) -> None:
        """Delete an object: in a versioned bucket a delete marker is put over it."""
        held = _bucket(bucket)
        if not held.is_versioned:
            held.keys.pop(key)
            return
        marker = FakeDeleteMarker(held.keys[key])
        marker.last_modified = modified.replace(tzinfo=None)
        held.keys.setlist(key, [*held.keys.getlist(key), marker])

    def remove(self, bucket: str, key: str) -> None:
        """Remove an object with all its versions, as if it had never been there."""
        _bucket(bucket).keys.pop(key)

    def read(self, bucket: str, key: str) -> bytes:
        """Return the body of an object's newest version."""
        return bytes(_bucket(bucket).keys[key].value)

    def is_empty(self, bucket: str) -> bool:
        """Tell a bucket that is there and holds nothing, not even a delete marker."""
        held = find_bucket(bucket)
        return held is not None and not held.keys


def _version(
    held: FakeBucket, key: str, body: bytes, modified: datetime, metadata: Mapping[str, str], kms_key: str, older: int
) -> FakeKey:
    # ids and ETags by content: the same delivery has the same ones at every start, and no ETag is an MD5 under SSE-KMS
    digest = hashlib.sha256(f"{held.name}/{key}/{modified}/{older}".encode() + body).digest()
    locked = held.has_default_lock and held.default_lock_days
    made = FakeKey(
        key,
        body,
        ACCOUNT,
        held.region_name,
        bucket_name=held.name,
        etag=digest.hex()[:32],
        is_versioned=held.is_versioned,
        version_id=b64encode(digest[:24], b"._").decode() if held.is_versioned else "null",
        encryption="aws:kms" if kms_key else "AES256",
        kms_key_id=kms_key or None,
        lock_mode=held.default_lock_mode if locked else None,
        lock_until=f"{modified + timedelta(days=locked):%Y-%m-%dT%H:%M:%SZ}" if locked else None,
    )
    made.last_modified = modified.replace(tzinfo=None)
    described = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    made.set_metadata(described | {f"x-amz-meta-{name}": value for name, value in metadata.items()})
    return made


def find_bucket(bucket: str) -> FakeBucket | None:
    """Return a bucket, if it is there."""
    found: FakeBucket | None = s3_backends[ACCOUNT]["aws"].buckets.get(bucket)
    return found


def _bucket(bucket: str) -> FakeBucket:
    return s3_backends[ACCOUNT]["aws"].get_bucket(bucket)


def _no_bucket(call: Call) -> Answer:
    return error(call, 404, "NoSuchBucket", "The specified bucket does not exist")


@replaces("s3", "DeleteBucket")
def delete_bucket(call: Call, rules: Rules) -> Answer:
    """Delete a bucket; while the account is being seeded and spoilt, with all that it holds."""
    held = find_bucket(call.bucket)
    if held is None:
        return _no_bucket(call)
    if held.keys and rules.armed:
        return error(call, 409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
    held.keys.clear()
    s3_backends[ACCOUNT]["aws"].delete_bucket(call.bucket)
    return Answer(204, {}, b"")


def find_version(call: Call) -> FakeKey | Answer:
    """Return the version of an object that a call names, the newest if it names none, or S3's answer that it is none.

    Source: S3 API reference, "GetObject".
    """
    held = find_bucket(call.bucket)
    if held is None:
        return _no_bucket(call)
    versions = held.keys.getlist(call.key, [])
    wanted = call.parameters.get("versionId")
    version = next((each for each in reversed(versions) if wanted in (None, each.version_id)), None)
    if version is None:
        absent = "The specified version does not exist." if wanted else "The specified key does not exist."
        return error(call, 404, "NoSuchVersion" if wanted else "NoSuchKey", absent)
    if isinstance(version, FakeDeleteMarker):
        refused = ("MethodNotAllowed", "The specified method is not allowed against this resource.")
        missing = ("NoSuchKey", "The specified key does not exist.")
        answer = error(call, *((405, *refused) if wanted else (404, *missing)))
        answer.headers |= {"x-amz-delete-marker": "true", "x-amz-version-id": version.version_id}
        return answer
    found: FakeKey = version
    return found


@replaces("s3", "GetObject", "HeadObject")
def get_object(call: Call, rules: Rules) -> Answer:
    """Answer with a version of an object; SSE-KMS lets only those read who may use the key [GetObject].

    The checksum it was put with comes along for those who ask for it.
    """
    version = find_version(call)
    if isinstance(version, Answer):
        return version
    if version.encryption == "aws:kms" and not rules.denied_may_decrypt and is_denied_reader(call):
        who = f"User: arn:aws:sts::{ACCOUNT}:{call.caller} is not authorized to perform: kms:Decrypt"
        why = "because no identity-based policy allows the kms:Decrypt action"
        return error(call, 403, "AccessDenied", f"{who} on resource: {version.kms_key_id} {why}")
    headers = _headers(version)
    if version.checksum_algorithm and version.checksum_value and call.headers.get("x-amz-checksum-mode") == "ENABLED":
        headers[f"x-amz-checksum-{version.checksum_algorithm.lower()}"] = version.checksum_value
        headers["x-amz-checksum-type"] = version.checksum_type or "FULL_OBJECT"
    return Answer(200, headers, version.value if call.operation == "GetObject" else b"")


def _headers(version: FakeKey) -> dict[str, str]:
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(version.size),
        "ETag": _etag(version),
        "Last-Modified": format_datetime(version.last_modified.replace(tzinfo=UTC), usegmt=True),
        "x-amz-server-side-encryption": version.encryption or "AES256",
    }
    if version.version_id != "null":
        headers["x-amz-version-id"] = version.version_id
    if version.encryption == "aws:kms" and version.kms_key_id:
        key = version.kms_key_id
        # S3 tells a key by its ARN, however it was named
        region = _bucket(version.bucket_name or "").region_name
        arn = key if key.startswith("arn:") else f"arn:aws:kms:{region}:{ACCOUNT}:key/{key}"
        headers["x-amz-server-side-encryption-aws-kms-key-id"] = arn
    if version.lock_mode:
        headers["x-amz-object-lock-mode"] = version.lock_mode
        headers["x-amz-object-lock-retain-until-date"] = str(version.lock_until)
    return {**headers, **version.metadata}


def _etag(version: FakeKey) -> str:
    # moto hashes the shared buffer where it knows no ETag yet, and another thread may be reading that
    with version.lock:
        return version.etag


@dataclass(frozen=True)
class _Page:
    """One page of a listing."""

    keys: list[Listed]
    prefixes: list[str]
    truncated: bool
    last: Listed


def _page(call: Call, entries: Iterable[Listed], is_new: Callable[[Listed], bool]) -> _Page:
    """Return the first entries that are new to the caller, those with a delimiter behind the prefix rolled up."""
    most = min(int(call.parameters.get("max-keys") or PAGE), PAGE)
    listed: list[Listed] = []
    truncated = False
    for entry in _rolled_up(entries, call.parameters.get("prefix", ""), call.parameters.get("delimiter", "")):
        if not is_new(entry):
            continue
        truncated = len(listed) >= most
        if truncated:
            break
        listed.append(entry)
    keys = [entry for entry in listed if entry[1] is not None]
    prefixes = [name for name, version in listed if version is None]
    return _Page(keys, prefixes, truncated and most > 0, listed[-1] if listed else ("", None))


def _rolled_up(entries: Iterable[Listed], prefix: str, delimiter: str) -> Iterator[Listed]:
    last = ""
    for name, version in entries:
        end = name.find(delimiter, len(prefix)) if delimiter else -1
        if end < 0:
            yield name, version
        elif name[: end + len(delimiter)] != last:
            last = name[: end + len(delimiter)]
            yield last, None


def _current(held: FakeBucket, prefix: str) -> list[Listed]:
    newest = ((name, versions[-1]) for name, versions in held.keys.iterlists() if name.startswith(prefix))
    return sorted((each for each in newest if isinstance(each[1], FakeKey)), key=_name)


def _versions(held: FakeBucket, prefix: str) -> Iterator[Listed]:
    named = (each for each in held.keys.iterlists() if each[0].startswith(prefix))
    for name, versions in sorted(named, key=_name):
        for version in reversed(versions):
            yield name, version


def _name(listed: tuple[str, Any]) -> str:
    # S3 orders keys by their UTF-8 bytes, which is the order of the code points
    return listed[0]


@replaces("s3", "ListObjects", "ListObjectsV2")
def list_objects(call: Call, _: Rules) -> Answer:
    """List the objects whose newest version is no delete marker [ListObjects, ListObjectsV2]."""
    held = find_bucket(call.bucket)
    if held is None:
        return _no_bucket(call)
    asked, second = call.parameters, call.operation == "ListObjectsV2"
    token = asked.get("continuation-token") if second else None
    after = b64decode(token).decode() if token else asked.get("start-after" if second else "marker", "")
    page = _page(call, _current(held, asked.get("prefix", "")), lambda entry: _behind(entry, after))
    members = [("Name", held.name), ("Prefix", _encoded(call, "prefix")), *_asked(call)]
    if second:
        members += [("KeyCount", str(len(page.keys) + len(page.prefixes)))]
        members += [("ContinuationToken", token)] if token else []
        members += [("NextContinuationToken", b64encode(page.last[0].encode()).decode())] if page.truncated else []
    else:
        members += [("Marker", _encoded(call, "marker"))]
        # told only where there is a delimiter: who has none goes on from the last key
        members += [("NextMarker", _spelled(call, page.last[0]))] if page.truncated and asked.get("delimiter") else []
    owner = "" if second and asked.get("fetch-owner") != "true" else _OWNER
    contents = "".join(f"<Contents>{_described(call, *entry)}{owner}</Contents>" for entry in page.keys)
    return _listing(call, "ListBucketResult", members, page, contents)


@replaces("s3", "ListObjectVersions")
def list_object_versions(call: Call, _: Rules) -> Answer:
    """List every version and delete marker, by key and then the newest first [ListObjectVersions]."""
    held = find_bucket(call.bucket)
    if held is None:
        return _no_bucket(call)
    asked = call.parameters
    after, version_after = asked.get("key-marker", ""), asked.get("version-id-marker", "")
    passed = False

    def is_new(entry: Listed) -> bool:
        nonlocal passed
        name, version = entry
        if version is not None and name == after and version_after:
            was_passed, passed = passed, passed or version.version_id == version_after
            return was_passed
        return _behind(entry, after)

    page = _page(call, _versions(held, asked.get("prefix", "")), is_new)
    members = [("Name", held.name), ("Prefix", _encoded(call, "prefix")), *_asked(call)]
    members += [("KeyMarker", _encoded(call, "key-marker")), ("VersionIdMarker", version_after)]
    if page.truncated:
        name, version = page.last
        members += [("NextKeyMarker", _spelled(call, name))]
        members += [("NextVersionIdMarker", version.version_id)] if version is not None else []
    entries = []
    for name, version in page.keys:
        kind = "Version" if isinstance(version, FakeKey) else "DeleteMarker"
        latest = str(version is held.keys[name]).lower()
        which = f"<VersionId>{version.version_id}</VersionId><IsLatest>{latest}</IsLatest>"
        entries.append(f"<{kind}>{which}{_described(call, name, version)}{_OWNER}</{kind}>")
    return _listing(call, "ListVersionsResult", members, page, "".join(entries))


def _behind(entry: Listed, after: str) -> bool:
    """Tell what comes after a marker; a common prefix also where the marker is among the keys that it stands for."""
    name, version = entry
    return name > after or (version is None and name != after and after.startswith(name))


def _asked(call: Call) -> list[tuple[str, str]]:
    asked = [("MaxKeys", call.parameters.get("max-keys") or str(PAGE))]
    if call.parameters.get("delimiter"):
        asked.append(("Delimiter", _encoded(call, "delimiter")))
    if call.parameters.get("encoding-type"):
        asked.append(("EncodingType", call.parameters["encoding-type"]))
    return asked


def _encoded(call: Call, parameter: str) -> str:
    return _spelled(call, call.parameters.get(parameter, ""))


def _spelled(call: Call, name: str) -> str:
    return quote(name, safe="/") if call.parameters.get("encoding-type") == "url" else name


def _described(call: Call, name: str, version: Any) -> str:
    told = [("Key", _spelled(call, name)), ("LastModified", f"{version.last_modified:%Y-%m-%dT%H:%M:%S}.000Z")]
    if isinstance(version, FakeKey):
        told += [("ETag", _etag(version)), ("Size", str(version.size)), ("StorageClass", "STANDARD")]
    return _elements(told)


def _listing(call: Call, root: str, members: list[tuple[str, str]], page: _Page, entries: str) -> Answer:
    prefixes = "".join(
        f"<CommonPrefixes><Prefix>{escape(_spelled(call, prefix), _BREAKS)}</Prefix></CommonPrefixes>"
        for prefix in page.prefixes
    )
    told = _elements([*members, ("IsTruncated", str(page.truncated).lower())])
    return xml_answer(s3_document(root, told + entries + prefixes))


def _elements(members: list[tuple[str, str]]) -> str:
    return "".join(f"<{name}>{escape(value, _BREAKS)}</{name}>" for name, value in members)
