"""Digest files as CloudTrail makes them: hourly, each linked to the one before it, and signed.

Source: CloudTrail user guide, "CloudTrail digest file structure" and "Custom implementations of CloudTrail log file
integrity validation". Written on its own, without the kit's verifier, so that neither can excuse the other.
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import combinations
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_EXPONENT = 65537
_PAIRS = 6
_KEYS = 3
_regions: dict[str, int] = {}

Forge = Callable[[dict[str, Any]], None]
"""Changes the members of a digest before it is signed."""


@dataclass(frozen=True)
class SigningKey:
    """A key that signs digests: its fingerprint, and its public half as PKCS#1 in DER."""

    private: rsa.RSAPrivateKey
    fingerprint: str
    public: bytes

    def sign(self, text: bytes) -> str:
        """Return the signature of a text, in hexadecimal: RSASSA-PKCS1-v1_5 with SHA-256."""
        return self.private.sign(text, padding.PKCS1v15(), SHA256()).hex()


@dataclass(frozen=True)
class PublicKey:
    """A public key as ListPublicKeys tells it."""

    fingerprint: str
    value: bytes
    start: datetime
    end: datetime


@cache
def signing_keys() -> tuple[SigningKey, ...]:
    """Return 66 different RSA keys of 2,048 bits, the same ones for as long as the process lives."""
    # One key takes 30 ms and more, and every Region has three. Keys that share primes are as good for a sandbox, and
    # worth nothing elsewhere: twelve primes make 66 of them at once.
    made = [rsa.generate_private_key(_EXPONENT, 2048).private_numbers() for _ in range(_PAIRS)]
    primes = [prime for numbers in made for prime in (numbers.p, numbers.q)]
    return tuple(_key(p, q) for p, q in combinations(primes, 2))


def keys_of(region: str) -> tuple[SigningKey, ...]:
    """Return the keys of a Region, which no other has: the one in use, the next one, and one no longer valid."""
    first = _KEYS * _regions.setdefault(region, len(_regions))
    return signing_keys()[first : first + _KEYS]


def _key(p: int, q: int) -> SigningKey:
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, *crt, rsa.RSAPublicNumbers(_EXPONENT, p * q))
    private = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return SigningKey(private, hashlib.sha256(public).hexdigest()[:32], public)


@dataclass(frozen=True)
class Log:
    """A log file as it was delivered: `sha256` is that of the uncompressed bytes, the event times are its bounds."""

    bucket: str
    key: str
    body: bytes
    sha256: str
    oldest: str | None
    newest: str | None
    modified: datetime


@dataclass(eq=False)
class Period:
    """What one digest covers: from (inclusive) to (exclusive), the logs delivered in between, and how it is made.

    `modified` is when the digest itself is delivered. `starting` begins a chain: nothing before it is named. `backfill`
    makes it one that was delivered late, of a chain of its own.
    """

    start: datetime
    end: datetime
    modified: datetime
    bucket: str
    signer: SigningKey
    logs: list[Log] = field(default_factory=list)
    starting: bool = False
    backfill: bool = False
    forge: Forge | None = None


@dataclass(frozen=True)
class Digest:
    """A digest as it is put into the bucket; `text` is its uncompressed content, `signed` what its signature is of."""

    bucket: str
    key: str
    body: bytes
    text: bytes
    signed: bytes
    metadata: dict[str, str]
    modified: datetime


def seal(periods: Iterable[Period], account: str, region: str, trail_arn: str) -> list[Digest]:
    """Return the digests of one Region, each linked to the one before it and signed; backfills are a chain apart."""
    made = []
    last: dict[bool, Digest] = {}
    for period in periods:
        previous = None if period.starting else last.get(period.backfill)
        digest = _digest(period, previous, account, region, trail_arn)
        last[period.backfill] = digest
        made.append(digest)
    return made


def _digest(period: Period, previous: Digest | None, account: str, region: str, trail_arn: str) -> Digest:
    home, trail = trail_arn.split(":")[3], trail_arn.rpartition("/")[2]
    folder = f"AWSLogs/{account}/CloudTrail-Digest/{region}/{period.end:%Y/%m/%d}"
    name = f"{account}_CloudTrail-Digest_{region}_{trail}_{home}_{period.end:%Y%m%dT%H%M%SZ}"
    key = f"{folder}/{name}{'_backfill' if period.backfill else ''}.json.gz"
    told: dict[str, Any] = {
        "awsAccountId": account,
        "digestStartTime": iso(period.start),
        "digestEndTime": iso(period.end),
        "digestS3Bucket": period.bucket,
        "digestS3Object": key,
        "digestPublicKeyFingerprint": period.signer.fingerprint,
        "digestSignatureAlgorithm": "SHA256withRSA",
        "newestEventTime": max((log.newest for log in period.logs if log.newest), default=None),
        "oldestEventTime": min((log.oldest for log in period.logs if log.oldest), default=None),
        "previousDigestS3Bucket": previous.bucket if previous else None,
        "previousDigestS3Object": previous.key if previous else None,
        "previousDigestHashValue": hashlib.sha256(previous.text).hexdigest() if previous else None,
        "previousDigestHashAlgorithm": "SHA-256" if previous else None,
        "previousDigestSignature": previous.metadata["signature"] if previous else None,
        "logFiles": [
            {
                "s3Bucket": log.bucket,
                "s3Object": log.key,
                "hashValue": log.sha256,
                "hashAlgorithm": "SHA-256",
                "newestEventTime": log.newest,
                "oldestEventTime": log.oldest,
            }
            for log in period.logs
        ],
    }
    if period.forge:
        period.forge(told)
    text = json.dumps(told, separators=(",", ":")).encode()
    before = told["previousDigestSignature"] or "null"
    lines = (told["digestEndTime"], f"{period.bucket}/{key}", hashlib.sha256(text).hexdigest(), before)
    signed = "\n".join(lines).encode()
    metadata = {"signature": period.signer.sign(signed), "signature-algorithm": "SHA256withRSA"}
    if period.backfill:
        metadata["backfill-generation-timestamp"] = iso(period.modified)
    return Digest(period.bucket, key, gzip.compress(text, mtime=0), text, signed, metadata, period.modified)


def iso(time: datetime) -> str:
    """Return a time in UTC as CloudTrail writes it: to the second."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
