"""Validates the signatures of a record's PDF: who signed what, when, with which certificate, and that it is whole.

Offline, and never against today's clock: a record is read years after it was signed (ETSI EN 319 102-1; ETSI EN
319 142-1). Every byte of the file is covered by the last signature or timestamp, but for the hexadecimal digits of its
own `/Contents`. Those are canonical, and what they write is strict: `message` says which bytes of it remain malleable.
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal, Never, Self

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from pyhanko.pdf_utils.generic import pdf_string

from kit.canonical import canonical
from kit.errors import EvidenceError, RejectionError, SigningError
from kit.record.manifest import RESTORE
from kit.record.pdf.structure import Document
from kit.record.pdf.syntax import HexString
from kit.record.signatures.keys import name_of, one_line, subject_of
from kit.record.signatures.message import CLOCKS, Message, Token, der_size
from kit.record.signatures.places import BOXES
from kit.record.signatures.revisions import Addition, additions
from kit.record.signatures.statement import ROLES, Statement
from kit.record.signatures.trust import Trust, UnknownIssuer

Clock = Literal["timestamp", "signer"]

_SIGNATURE, _TIMESTAMP = "ETSI.CAdES.detached", "ETSI.RFC3161"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_HEX = re.compile(rb"<((?:[0-9A-F]{2})+)>")
_OF_A_POINT = 0.01
_KNOWN = "name the root that issued its certificate, or have somebody sign whom a root of yours vouches for"


@dataclass(frozen=True)
class Certificate:
    """What a certificate says of its holder: names as text (RFC 4514), the serial number in hexadecimal."""

    subject: str
    issuer: str
    serial: str
    sha256: str
    not_before: datetime
    not_after: datetime

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Self:
        """Return what a certificate says."""
        return cls(
            subject_of(certificate), certificate.issuer.rfc4514_string(), f"{certificate.serial_number:x}",
            certificate.fingerprint(SHA256()).hex(), certificate.not_valid_before_utc, certificate.not_valid_after_utc,
        )  # fmt: skip


@dataclass(frozen=True)
class Timestamp:
    """A timestamp (RFC 3161): its time, by which authority, and the root that issued its certificate.

    `root` is empty where nobody known did. `covers` is how many bytes from the start of the file a timestamp of the
    document covers; 0 for one of a signature.
    """

    time: datetime
    authority: str
    root: str = ""
    covers: int = 0


@dataclass(frozen=True)
class Signed:
    """One person's signature: what is stated, by whom, when; it covers the file up to byte `covers`, but for itself.

    `root` is the subject of the trust root that issued the certificate, empty where nobody known did. `clock` says by
    which clock the certificate was valid when it signed: that of a trusted timestamp, or the signer's.
    """

    statement: Statement
    field: str
    certificate: Certificate
    time: datetime
    timestamp: Timestamp | None
    covers: int
    sub_filter: str
    root: str = ""
    clock: Clock = "signer"


@dataclass(frozen=True)
class Validation:
    """The signatures of a file that hold, and the timestamps of the document, which are no signatures of a person."""

    signatures: tuple[Signed, ...]
    timestamps: tuple[Timestamp, ...]


def read_signatures(path: Path) -> list[Signed]:
    """Return the signatures of a file as they state themselves; of an unsigned one, none. Only `validate` proves them.

    Raises:
        RejectionError: a revision does not only add signatures, or a signature is malformed.
    """
    with Document(path) as document, _quiet():
        return [one.signed() for one in _found(document) if isinstance(one, _Signature)]


def validate(path: Path, trust: Sequence[x509.Certificate] | None = None) -> Validation:
    """Return the signatures and timestamps of a file, in their order, once every one of them holds.

    Each covers its revision whole, with SHA-256 or better; its statement, name, reason and time are those of field,
    certificate and timestamp; its certificate was valid and meant for signing at the time of signing. With trust roots,
    one of them issued it, and revocation data that the file holds do not revoke it. That the statement is about this
    record is for the caller to see.

    Raises:
        RejectionError: one does not hold; names the file, the signature and the reason.
    """
    with Document(path) as document, _quiet():
        found = _found(document)
        for one, digest in zip(found, _digests(document, found), strict=True):
            one.hold(digest)
        trusted = Trust.of(document, trust) if trust is not None and found else None
        stamps = tuple(one.judged(trusted) for one in found if isinstance(one, _Stamp))
        signatures = tuple(one.judged(trusted) for one in found if isinstance(one, _Signature))
    for signed in signatures:
        if any(one.covers > signed.covers and one.time < signed.time - CLOCKS for one in stamps):
            raise RejectionError(
                f"{path.name}: a timestamp that covers the {signed.field} is of a time before", RESTORE
            )
    return Validation(signatures, stamps)


def _found(document: Document) -> list["_Signature | _Stamp"]:
    return [
        _Stamp(document, one) if one.signature["Type"] == "DocTimeStamp" else _Signature(document, one)
        for one in additions(document)
        if one.widget
    ]


def _digests(document: Document, found: Sequence["_Signature | _Stamp"]) -> Iterator[bytes]:
    """Yield what each has to be a signature of; the file is read once, however many there are."""
    running = {one.algorithm: hashlib.new(one.algorithm) for one in found}
    position = 0
    for one in found:
        for block in document.span(position, one.hole.start):
            for digest in running.values():
                digest.update(block)
        position = one.hole.start
        own = running[one.algorithm].copy()
        for block in document.span(one.hole.end, one.addition.end):
            own.update(block)
        yield own.digest()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries from printing what an error tells."""
    loggers = [logging.getLogger(name) for name in ("pyhanko", "pyhanko_certvalidator")]
    before = [(one.handlers, one.propagate) for one in loggers]
    for one in loggers:
        one.handlers, one.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        for one, (handlers, propagate) in zip(loggers, before, strict=True):
            one.handlers, one.propagate = handlers, propagate


class _Hole:
    """What is common to a signature and a timestamp of the document: the hole in the file that it fills.

    Raises:
        RejectionError: the hole is not exactly the string `/Contents`, or its revision is not covered whole.
    """

    sub_filter = ""

    def __init__(self, document: Document, addition: Addition) -> None:
        self.document = document
        self.addition = addition
        entries = addition.signature
        hole = entries["Contents"]
        if not isinstance(hole, HexString):
            self.reject("is not written in hexadecimal")
        self.hole = hole
        if entries["ByteRange"] != [0, hole.start, hole.end, addition.end - hole.end]:
            self.reject("does not cover its revision whole (/ByteRange)")
        if entries["SubFilter"] != self.sub_filter or entries["Type"] not in ("Sig", "DocTimeStamp"):
            self.reject(f"is of another kind: /{entries['Type']}, /{entries['SubFilter']}")
        written = _HEX.fullmatch(document.read(hole.start, hole.end - hole.start))
        size = der_size(bytes(hole))
        if written is None or size is None or bytes(hole[size:]).strip(b"\0"):
            self.reject("is not written in the one way that it can be (/Contents)")
        self.content = bytes(hole[:size])

    def reject(self, reason: str, remedy: str = RESTORE) -> Never:
        """Reject the file for this signature.

        Raises:
            RejectionError: always.
        """
        raise RejectionError(f"{self.document.name}: the {self.addition.name} {reason}", remedy)

    @contextmanager
    def malformed(self) -> Iterator[None]:
        """Turn whatever the libraries raise on malformed bytes into a rejection."""
        try:
            yield
        except (RejectionError, UnknownIssuer):
            raise
        except Exception as error:  # noqa: BLE001 - they raise many kinds, and the bytes are anybody's
            told = error.message if isinstance(error, SigningError) else error
            self.reject(f"does not hold: {one_line(told)}")


class _Stamp(_Hole):
    """A timestamp of the document."""

    sub_filter = _TIMESTAMP

    def __init__(self, document: Document, addition: Addition) -> None:
        super().__init__(document, addition)
        role = addition.name.removeprefix("Timestamp-")
        if role not in ROLES or set(addition.signature) & {"Name", "Reason"} or "TrailkitStatement" in addition.widget:
            self.reject("is no timestamp of a record's document")
        if "AP" in addition.widget or addition.widget["Rect"] != [0, 0, 0, 0]:
            self.reject("shows something on a page, which a timestamp does not")
        with self.malformed():
            self.token = Token(self.content)
            self.algorithm = self.token.algorithm

    def hold(self, digest: bytes) -> None:
        """Hold the timestamp to the digest of what it covers."""
        with self.malformed():
            self.token.hold(digest)

    def judged(self, trust: Trust | None) -> Timestamp:
        """Return the timestamp, with the root that issued the certificate of its authority."""
        return _timestamp(self, self.token, trust, self.addition.end)


class _Signature(_Hole):
    """A signature of a person."""

    sub_filter = _SIGNATURE

    def __init__(self, document: Document, addition: Addition) -> None:
        super().__init__(document, addition)
        self.statement = self._statement()
        self._hold_place()
        with self.malformed():
            self.message = Message(self.content, "data")
            self.algorithm = self.message.digest
            self.token = self.message.token
            self._hold_statement()

    @cached_property
    def time(self) -> datetime:
        """The time that is stated."""
        return datetime.fromisoformat(self.statement.time)

    def signed(self) -> Signed:
        """Return what the signature states of itself."""
        return Signed(
            self.statement, self.addition.name, Certificate.of(self.message.certificate), self.time,
            _timestamp(self, self.token, None) if self.token else None, self.addition.end, self.sub_filter,
        )  # fmt: skip

    def hold(self, digest: bytes) -> None:
        """Hold the signature to the digest of what it covers, and its timestamp to the signature."""
        with self.malformed():
            self.message.hold(digest)
            self.message.hold_signer()
            if self.token:
                self.token.hold(hashlib.new(self.token.algorithm, self.message.value).digest())
                if abs(self.token.time - self.time) > CLOCKS:
                    self.reject("states another time than its timestamp")

    def judged(self, trust: Trust | None) -> Signed:
        """Return the signature, once its certificate is held to the time of signing, and against the trust roots."""
        made, moment = self.signed(), self.time
        if self.token:
            made = replace(made, timestamp=_timestamp(self, self.token, trust))
        if self.token and made.timestamp and made.timestamp.root:
            made, moment = replace(made, clock="timestamp"), self.token.time
        certificate = self.message.certificate
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            by = "its timestamp" if made.clock == "timestamp" else "the signer's clock"
            self.reject(f"is by a certificate that was not valid when it signed, {moment:%Y-%m-%d} by {by}")
        if trust is None:
            return made
        try:
            with self.malformed():
                return replace(made, root=trust.root_of(self.message, moment, proven=made.clock == "timestamp"))
        except UnknownIssuer as error:
            self.reject(f"is by a certificate that no trusted root issued: {error}", _KNOWN)

    def _hold_place(self) -> None:
        """Hold the visible block to its place: anywhere else, it could hide what was signed before."""
        shown, place = self.addition.widget["Rect"], BOXES[self.statement.role]
        if (
            not self.addition.on_last_page
            or not isinstance(shown, list)
            or len(shown) != len(place)
            or any(type(one) not in (int, float) for one in shown)
            or any(abs(one - other) > _OF_A_POINT for one, other in zip(shown, place, strict=True))
        ):
            self.reject("is not shown in its place on the last page, and may hide what is there")

    def _statement(self) -> Statement:
        content = self.addition.widget.get("TrailkitStatement")
        try:
            value = json.loads(content) if isinstance(content, bytes) else None
            statement = Statement.from_json(value)
            whole = canonical(value) == content
        except (ValueError, RecursionError) as error:
            self.reject(f"states nothing that can be read: {one_line(error)}")
        except (EvidenceError, RejectionError) as error:
            self.reject(f"states nothing that can be read: {error.message}")
        if not whole:
            self.reject("states something that is not in canonical form (RFC 8785)")
        if self.addition.name != f"Signature-{statement.role}":
            self.reject(f"states the role {statement.role}, and is in the field of another")
        return statement

    def _hold_statement(self) -> None:
        statement, entries, certificate = self.statement, self.addition.signature, self.message.certificate
        if (statement.name, statement.subject) != (name_of(certificate), subject_of(certificate)):
            self.reject(f"states the name {statement.name}, and its certificate is {subject_of(certificate)}")
        if [str(pdf_string(bytes(entries[key]))) for key in ("Name", "Reason")] != [statement.name, statement.meaning]:
            self.reject("says another name or meaning than it states (/Name, /Reason)")
        if not _MOMENT.fullmatch(statement.time):
            self.reject("states no time")
        if bytes(entries["M"]) != self.time.astimezone(UTC).strftime("D:%Y%m%d%H%M%SZ").encode():
            self.reject("says another time than it states (/M)")


def _timestamp(of: _Hole, token: Token, trust: Trust | None, covers: int = 0) -> Timestamp:
    """Return what a token says, with the root that issued the certificate of its authority, where one did."""
    made = Timestamp(token.time, token.authority, covers=covers)
    if trust is None:
        return made
    try:
        with of.malformed():
            return replace(made, root=trust.root_of(token.message, token.time, proven=True))
    except UnknownIssuer:
        return made
