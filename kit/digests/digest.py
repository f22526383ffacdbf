"""One digest: parsed strictly, and verified by itself: location, algorithm and signature.

Source: CloudTrail user guide, "CloudTrail digest file structure" and "Custom implementations of CloudTrail log file
integrity validation".
"""

import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kit.digests.content import inflate
from kit.digests.names import DigestName
from kit.digests.problems import Kind, Problem, address

SIGNED_WITH, HASHED_WITH = "SHA256withRSA", "SHA-256"
LARGEST = 32 << 20
"""Bytes to which a digest may expand: the names of sixty thousand logs within an hour."""
_SPARSE = 40
"""Bytes that a digest has, at the least, for each object, array and member in it: far fewer than CloudTrail writes."""
SIGNED_WITHIN = timedelta(hours=2)
"""How long after the end of its period a digest may be signed: its public key is valid at some time in between."""

_SIGNATURE, _ALGORITHM, _GENERATED = "signature", "signature-algorithm", "backfill-generation-timestamp"
_PREVIOUS = {
    "previousDigestS3Bucket": "bucket",
    "previousDigestS3Object": "key",
    "previousDigestHashValue": "sha256",
    "previousDigestHashAlgorithm": "algorithm",
    "previousDigestSignature": "signature",
}


@dataclass(frozen=True, slots=True)
class RawDigest:
    """A digest as it lies in S3: where, its bytes, and its metadata (names in lower case, without `x-amz-meta-`)."""

    bucket: str
    key: str
    name: DigestName
    body: bytes
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of CloudTrail for one Region: PKCS#1 in DER, and the period in which it signs [ListPublicKeys]."""

    fingerprint: str
    der: bytes
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class NamedLog:
    """A log file as a digest names it; the times are those of its newest and oldest event, where it has events."""

    bucket: str
    key: str
    sha256: str
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Previous:
    """What a digest says of the one before it."""

    bucket: str
    key: str
    sha256: str
    signature: str


@dataclass(frozen=True, slots=True)
class Digest:
    """A parsed digest, for the period from `start` to `end`; `sha256` is that of its uncompressed bytes.

    `previous` is None for a starting digest.
    """

    start: datetime
    end: datetime
    sha256: str
    signature: str
    previous: Previous | None
    logs: tuple[NamedLog, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """What verifying one digest gave: the digest where it could be parsed, and what is wrong with it."""

    bucket: str
    key: str
    name: DigestName
    digest: Digest | None
    problems: tuple[Problem, ...]

    @property
    def sound(self) -> bool:
        """Whether the digest may be trusted: parsed, in its place, and signed by CloudTrail."""
        return self.digest is not None and not self.problems


class _Malformed(Exception):
    pass


class _Wrong(Exception):
    def __init__(self, kind: Kind, why: str) -> None:
        super().__init__(why)
        self.kind, self.why = kind, why


def verify_digest(raw: RawDigest, keys: Mapping[str, PublicKey] | str) -> Verified:
    """Return a digest and what is wrong with it by itself; whatever the bytes are, nothing is raised.

    `keys` are CloudTrail's public keys of the digest's Region by fingerprint, or, in words, why they are not known.
    """
    content = inflate(raw.body, LARGEST)
    if content.problem or content.text is None:
        return _verified(raw, None, [(Kind.CONTENT, content.problem)])
    if sum(content.text.count(mark) for mark in (b"{", b"[", b",")) * _SPARSE > 2 * len(content.text) + (1 << 20):
        return _verified(raw, None, [(Kind.CONTENT, "is not of the documented form: it is all brackets")])
    try:
        told = json.loads(content.text)
        digest, fingerprint, wrong = _read(raw, told, content.sha256)
    except (ValueError, RecursionError):
        return _verified(raw, None, [(Kind.CONTENT, "is no JSON")])
    except _Malformed as why:
        return _verified(raw, None, [(Kind.CONTENT, f"is not of the documented form: {why}")])
    try:
        _hold_signature(raw, told, digest, fingerprint, keys)
    except _Wrong as signature:
        wrong.append((signature.kind, signature.why))
    return _verified(raw, digest, wrong)


def signed_text(end: str, bucket: str, key: str, sha256: str, previous_signature: str | None) -> bytes:
    """Return the text that CloudTrail signs for a digest."""
    return "\n".join((end, f"{bucket}/{key}", sha256, previous_signature or "null")).encode("utf-8", "surrogatepass")


def _verified(raw: RawDigest, digest: Digest | None, wrong: list[tuple[Kind, str]]) -> Verified:
    place = address(raw.bucket, raw.key)
    return Verified(raw.bucket, raw.key, raw.name, digest, tuple(Problem(kind, place, why) for kind, why in wrong))


def _read(raw: RawDigest, told: Any, sha256: str) -> tuple[Digest, str, list[tuple[Kind, str]]]:
    """Return the digest, its key's fingerprint, and what of it contradicts its own place or CloudTrail's algorithms."""
    start, end = _time(told, "digestStartTime"), _time(told, "digestEndTime")
    signature = raw.metadata.get(_SIGNATURE, "").lower()
    previous, algorithms = _previous(told), [(_text(told, "digestSignatureAlgorithm"), SIGNED_WITH)]
    if previous is not None:
        algorithms.append((_text(told, "previousDigestHashAlgorithm"), HASHED_WITH))
    logs = []
    for item in _typed(told, "logFiles", list):
        algorithms.append((_text(item, "hashAlgorithm"), HASHED_WITH))
        newest = _time(item, "newestEventTime") if item.get("newestEventTime") is not None else None
        hashed = _text(item, "hashValue").lower()
        logs.append(NamedLog(_text(item, "s3Bucket"), _text(item, "s3Object"), hashed, newest))
    wrong = []
    place = _text(told, "digestS3Bucket"), _text(told, "digestS3Object")
    if place != (raw.bucket, raw.key):
        wrong.append((Kind.LOCATION, f"says that it is {address(*place)}"))
    for member, named in (("awsAccountId", raw.name.chain.account), ("digestEndTime", raw.name.end)):
        said = end if member == "digestEndTime" else _text(told, member)
        if said != named:
            wrong.append((Kind.LOCATION, f"says {told[member]!r} as {member}, and its name another"))
    if start >= end:
        wrong.append((Kind.CONTENT, f"covers no time: it begins at {start:%H:%M:%S} and ends at {end:%H:%M:%S}"))
    wrong += sorted({(Kind.ALGORITHM, f"declares the algorithm {said!r}") for said, due in algorithms if said != due})
    digest = Digest(start, end, sha256, signature, previous, tuple(logs))
    return digest, _text(told, "digestPublicKeyFingerprint"), wrong


def _previous(told: Any) -> Previous | None:
    if any(name not in told for name in _PREVIOUS):
        raise _Malformed("it does not say which digest came before")
    given = {name for name in _PREVIOUS if told[name] is not None}
    if not given:
        return None
    if given != set(_PREVIOUS):
        raise _Malformed("it says only in part which digest came before")
    said = {short: _text(told, name) for name, short in _PREVIOUS.items() if short != "algorithm"}
    return Previous(**said | {name: said[name].lower() for name in ("sha256", "signature")})


def _hold_signature(
    raw: RawDigest, told: Any, digest: Digest, fingerprint: str, keys: Mapping[str, PublicKey] | str
) -> None:
    declared = raw.metadata.get(_ALGORITHM)
    if declared is None or not digest.signature:
        raise _Wrong(Kind.SIGNATURE, "has no signature in its metadata")
    if declared != SIGNED_WITH:
        raise _Wrong(Kind.ALGORITHM, f"declares the algorithm {declared!r} in its metadata")
    signed = _generated(raw) if raw.name.backfill else digest.end
    if isinstance(keys, str):
        raise _Wrong(Kind.UNREAD, f"can't be verified: {keys}")
    key, region = keys.get(fingerprint), raw.name.chain.region
    if key is None:
        raise _Wrong(
            Kind.SIGNATURE,
            f"names the public key {fingerprint}, which CloudTrail does not list in {region} for that time",
        )
    # differences, since a sum may lie beyond the calendar
    if key.start - signed > SIGNED_WITHIN or signed > key.end:
        raise _Wrong(Kind.SIGNATURE, f"names the public key {fingerprint}, which did not sign at that time")
    public = _load(key.der)
    if public is None:
        raise _Wrong(Kind.UNREAD, f"can't be verified: what is listed as public key {fingerprint} is no RSA key")
    text = signed_text(
        told["digestEndTime"], told["digestS3Bucket"], told["digestS3Object"], digest.sha256,
        told["previousDigestSignature"],
    )  # fmt: skip
    try:
        public.verify(binascii.unhexlify(digest.signature), text, padding.PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError) as error:
        raise _Wrong(Kind.SIGNATURE, "has a signature that is not CloudTrail's over this content") from error


def _generated(raw: RawDigest) -> datetime:
    try:
        told = datetime.fromisoformat(raw.metadata[_GENERATED])
        return told.replace(tzinfo=told.tzinfo or UTC).astimezone(UTC)
    except (KeyError, ValueError, OverflowError) as error:
        raise _Wrong(Kind.CONTENT, f"is a backfill, and its metadata hold no {_GENERATED}") from error


@lru_cache(maxsize=256)
def _load(der: bytes) -> rsa.RSAPublicKey | None:
    try:
        key = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None


def _typed(value: Any, name: str, kind: type) -> Any:
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind):
        raise _Malformed(f"{name} is missing or of another type")
    return found


def _text(value: Any, name: str) -> str:
    return str(_typed(value, name, str))


_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


def _time(value: Any, name: str) -> datetime:
    text = _text(value, name)
    try:
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise _Malformed(f"{name} is no time")
