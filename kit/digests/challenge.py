"""The verifier challenged: one tamper at a time, on copies in memory of a run's own digests and logs.

Each copy is verified by the same functions as the run itself; a challenge is met where they find what was done. The
untouched copy is verified first: a verifier that finds fault with everything would prove nothing.
"""

import binascii
import gzip
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kit.digests.chain import ChainBuilder
from kit.digests.content import inflate
from kit.digests.digest import LARGEST, PublicKey, RawDigest, signed_text, verify_digest
from kit.digests.names import LogName
from kit.digests.objects import Read, Stored, Version
from kit.digests.problems import Kind
from kit.digests.reconcile import LogBook, Naming, Tally
from kit.digests.sample import Sample

GAP = "gap"
"""What is found where a period is covered by no sound digest."""

Bodies = dict[tuple[str, str], bytes]
_OWNER = ("challenged", "challenged")


@dataclass(frozen=True)
class Challenge:
    """One challenge: what was done to the copy, which finding is due, and what was found."""

    name: str
    expected: str
    found: tuple[str, ...]

    @property
    def caught(self) -> bool:
        """Whether the tamper was found, or nothing was found where nothing was done."""
        return self.expected in self.found if self.expected else not self.found


@dataclass
class _Copy:
    """A copy of a sample, to be tampered with."""

    digests: list[RawDigest]
    bodies: Bodies
    keys: dict[str, PublicKey]

    def edit(self, index: int, change: Callable[[dict[str, Any]], None], *, key: "_Key | None" = None) -> None:
        """Change the text of a digest, and sign it anew where a key is given."""
        raw = self.digests[index]
        told = json.loads(inflate(raw.body, LARGEST).text or b"")
        change(told)
        text = json.dumps(told).encode()
        metadata = dict(raw.metadata)
        if key is not None:
            metadata["signature"] = key.sign(told, text)
        self.digests[index] = replace(raw, body=gzip.compress(text, mtime=0), metadata=metadata)

    def metadata(self, index: int, **changed: str | None) -> None:
        """Change a digest's metadata; None takes a member away."""
        told = {**self.digests[index].metadata, **{name.replace("_", "-"): value for name, value in changed.items()}}
        self.digests[index] = replace(self.digests[index], metadata={n: v for n, v in told.items() if v is not None})


def challenge(sample: Sample) -> list[Challenge]:
    """Return every challenge with what was found, the untouched copy first; that alone where it is not sound."""
    done = [Challenge("the untouched copy", "", _found(_copy(sample), sample))]
    if not done[0].caught:
        return done
    for name, expected, tamper in _TAMPERS:
        copy = _copy(sample)
        tamper(copy)
        done.append(Challenge(name, expected, _found(copy, sample)))
    return done


def _copy(sample: Sample) -> _Copy:
    return _Copy(list(sample.digests), dict(sample.bodies), dict(sample.keys))


def _found(copy: _Copy, sample: Sample) -> tuple[str, ...]:
    """Verify a copy as a run verifies what was delivered, and return the kinds of what was found, sorted."""
    chain = sample.digests[0].name.chain
    builder, tally = ChainBuilder(chain), Tally()
    verified = [verify_digest(raw, copy.keys) for raw in copy.digests]
    for one in verified:
        builder.add(one)
    untouched = [verify_digest(raw, sample.keys).digest for raw in sample.digests]
    start, end = (min(d.start for d in untouched if d), max(d.end for d in untouched if d))
    book = LogBook((start, end), {_OWNER: tally}, lambda *_: Naming.DONE)
    sampled = {(log.bucket, log.key) for log in sample.wanted}
    for one in verified:
        for log in one.digest.logs if one.digest and one.sound else ():
            if (log.bucket, log.key) in sampled | set(copy.bodies):
                book.name(_OWNER, log, one.key)
    for (bucket, key), body in copy.bodies.items():
        content = inflate(body, LARGEST)
        stored = Stored(bucket, key, (Version("null", start, len(body)),))
        read = Read(bucket, key, "", sha256=content.sha256, size=content.size, problem=content.problem)
        book.take(stored, LogName(chain.account, chain.region, start), read)
    book.settle()
    kinds = {str(kind) for problems in (builder.close(None).problems, tally.problems) for kind in problems.counts}
    return tuple(sorted(kinds | ({GAP} if builder.coverage.gaps(start, end) else set())))


class _Key:
    """A key that is not CloudTrail's."""

    fingerprint = "c0ffee" * 5 + "c0"

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def sign(self, told: Mapping[str, Any], text: bytes) -> str:
        """Return the signature of a digest's text, as CloudTrail writes it."""
        named = (told["digestEndTime"], told["digestS3Bucket"], told["digestS3Object"])
        hashed = inflate(gzip.compress(text, mtime=0), LARGEST).sha256
        signed = signed_text(*named, hashed, told["previousDigestSignature"])
        return binascii.hexlify(self._key.sign(signed, padding.PKCS1v15(), SHA256())).decode()

    def listed(self, like: Iterable[PublicKey]) -> PublicKey:
        """Return the public half as CloudTrail would list it, valid for as long as all of its own."""
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
        known = list(like)
        return PublicKey(self.fingerprint, der, min(k.start for k in known), max(k.end for k in known))


@cache
def _key() -> _Key:
    return _Key()


def _flip(text: str) -> str:
    return ("0" if text[0] != "0" else "1") + text[1:]


def _log_text(copy: _Copy) -> None:
    place, body = next(iter(copy.bodies.items()))
    text = bytearray(inflate(body, LARGEST).text or b"\0")  # a log may be empty
    text[len(text) // 2] ^= 1
    copy.bodies[place] = gzip.compress(bytes(text), mtime=0)


def _log_bytes(copy: _Copy) -> None:
    place, body = next(iter(copy.bodies.items()))
    copy.bodies[place] = body[:-5] + bytes([body[-5] ^ 1]) + body[-4:]


def _log_tail(copy: _Copy) -> None:
    place, body = next(iter(copy.bodies.items()))
    copy.bodies[place] = body + b"\0rubbish"


def _logs_swapped(copy: _Copy) -> None:
    first, second = list(copy.bodies)[:2]
    copy.bodies[first], copy.bodies[second] = copy.bodies[second], copy.bodies[first]


def _log_dropped(copy: _Copy) -> None:
    del copy.bodies[next(iter(copy.bodies))]


def _log_planted(copy: _Copy) -> None:
    bucket, key = next(iter(copy.bodies))
    head, _, _ = key.rpartition("_")
    copy.bodies[bucket, f"{head}_plantedplanted00.json.gz"] = copy.bodies[bucket, key]


def _digest_text(copy: _Copy) -> None:
    copy.edit(1, lambda told: told.update(newestEventTime="2000-01-01T00:00:00Z"))


def _digest_bytes(copy: _Copy) -> None:
    raw = copy.digests[1]
    copy.digests[1] = replace(raw, body=raw.body[:-5] + bytes([raw.body[-5] ^ 1]) + raw.body[-4:])


def _signature(copy: _Copy) -> None:
    copy.metadata(1, signature=_flip(copy.digests[1].metadata["signature"]))


def _no_signature(copy: _Copy) -> None:
    copy.metadata(1, signature=None)


def _algorithm(copy: _Copy) -> None:
    copy.metadata(1, signature_algorithm="SHA1withRSA")


def _resigned(copy: _Copy) -> None:
    copy.edit(1, lambda _: None, key=_key())


def _foreign_key(copy: _Copy) -> None:
    copy.edit(1, lambda told: told.update(digestPublicKeyFingerprint=_Key.fingerprint), key=_key())


def _relinked(copy: _Copy) -> None:
    # signed by a key that this copy's verifier is told to trust: what must be caught is the link alone
    copy.keys[_Key.fingerprint] = _key().listed(copy.keys.values())

    def relink(told: dict[str, Any]) -> None:
        told["digestPublicKeyFingerprint"] = _Key.fingerprint
        told["previousDigestHashValue"] = _flip(told["previousDigestHashValue"])

    copy.edit(1, relink, key=_key())


def _previous_signature(copy: _Copy) -> None:
    copy.keys[_Key.fingerprint] = _key().listed(copy.keys.values())

    def relink(told: dict[str, Any]) -> None:
        told["digestPublicKeyFingerprint"] = _Key.fingerprint
        told["previousDigestSignature"] = _flip(told["previousDigestSignature"])

    copy.edit(1, relink, key=_key())


def _time_shifted(copy: _Copy) -> None:
    copy.edit(
        1, lambda told: told.update(digestEndTime=told["digestStartTime"], digestStartTime="2000-01-01T00:00:00Z")
    )


def _exchanged(copy: _Copy) -> None:
    first, second = copy.digests[0], copy.digests[1]
    copy.digests[0] = replace(first, body=second.body, metadata=second.metadata)
    copy.digests[1] = replace(second, body=first.body, metadata=first.metadata)


def _dropped(copy: _Copy) -> None:
    del copy.digests[1]


def _head_cut(copy: _Copy) -> None:
    del copy.digests[0]


def _tail_cut(copy: _Copy) -> None:
    del copy.digests[-1]


_TAMPERS: tuple[tuple[str, str, Callable[[_Copy], None]], ...] = (
    ("a byte of a log's text flipped", Kind.HASH, _log_text),
    ("a byte of a log's gzip flipped", Kind.CONTENT, _log_bytes),
    ("bytes put behind a log", Kind.CONTENT, _log_tail),
    ("two logs swapped", Kind.HASH, _logs_swapped),
    ("a log dropped", Kind.DELETED, _log_dropped),
    ("a log planted", Kind.PLANTED, _log_planted),
    ("the text of a digest changed", Kind.SIGNATURE, _digest_text),
    ("a byte of a digest's gzip flipped", Kind.CONTENT, _digest_bytes),
    ("a digit of a signature flipped", Kind.SIGNATURE, _signature),
    ("a signature taken away", Kind.SIGNATURE, _no_signature),
    ("a weaker algorithm declared", Kind.ALGORITHM, _algorithm),
    ("a digest signed anew by another key", Kind.SIGNATURE, _resigned),
    ("a digest that names a foreign key", Kind.SIGNATURE, _foreign_key),
    ("a previous hash forged, and signed", Kind.LINK, _relinked),
    ("a previous signature forged, and signed", Kind.LINK, _previous_signature),
    ("the time of a digest shifted", Kind.LOCATION, _time_shifted),
    ("two digests exchanged", Kind.LOCATION, _exchanged),
    ("a digest dropped", Kind.LINK, _dropped),
    ("the head of the chain cut off", GAP, _head_cut),
    ("the tail of the chain cut off", GAP, _tail_cut),
)
