"""Validates the signatures of a record's PDF: who signed what, when, with which certificate, and that it is whole.

Offline, and never against today's clock: a record is read years after it was signed (ETSI EN 319 102-1; ETSI EN
319 142-1). Every byte of the file is covered by the last signature, but for the hexadecimal digits of its `/Contents`.
Of those, the digits are canonical, the DER is strict, and what the CMS holds is known, member by member; what can still
be changed there without being noticed are bytes that nobody signed:

- of the topmost certificate above the signer's own, unless it is signed by itself, what is neither its name nor its key;
- of a timestamp token, the certificates other than that of the timestamp authority.
"""

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Never, Self

from asn1crypto import algos, cms, core, crl, ocsp, tsp
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID
from pyhanko.pdf_utils.generic import pdf_string
from pyhanko.sign.general import extract_certificate_info, extract_signer_info
from pyhanko.sign.validation.generic_cms import get_signing_cert_attr, validate_sig_integrity
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathError, RevokedError, ValidationError

from kit.canonical import canonical
from kit.errors import EvidenceError, KitError, RejectionError
from kit.record.manifest import RESTORE
from kit.record.pdf_structure import Document, View
from kit.record.pdf_syntax import HexString
from kit.record.signatures.keys import name_of, one_line, public_key, subject_of, to_asn1
from kit.record.signatures.revisions import Addition, additions
from kit.record.signatures.stamp import BOXES
from kit.record.signatures.statement import ROLES, Statement

CLOCKS = timedelta(hours=1)
"""How far the signer's clock may be from that of a timestamp authority."""

Clock = Literal["timestamp", "signer"]

_DIGESTS = {"sha256", "sha384", "sha512"}
_MECHANISMS = {"rsassa_pkcs1v15", "rsassa_pss", "ecdsa"}
_SIGNATURE, _TIMESTAMP = "ETSI.CAdES.detached", "ETSI.RFC3161"
_UNSIGNED = {"signature_time_stamp_token"}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_HEX = re.compile(rb"<((?:[0-9A-F]{2})+)>")
_OF_A_POINT = 0.01
_REVOCATION_LARGEST = 1 << 26
_TRUST = "name the root that issued its certificate, or have the record signed by one whom you know"


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
    """A timestamp (RFC 3161): its time, by whom, and the root that he is trusted by; empty where by nobody known.

    `covers` is how many bytes of the file, from its start, a timestamp of the document covers; 0 for one of a signature.
    """

    time: datetime
    authority: str
    root: str = ""
    covers: int = 0


@dataclass(frozen=True)
class Signed:
    """One person's signature: what is stated, by whom, when; it covers the file up to byte `covers`, but for itself.

    `root` is the subject of the trust root that issued the certificate, empty where it is issued by nobody known.
    `clock` says by which clock the certificate was valid when it signed: that of a trusted timestamp, or the signer's.
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
        trusted = _Trust.of(document, trust) if trust is not None and found else None
        stamps = [one.judged(trusted) for one in found if isinstance(one, _Stamp)]
        signatures = [one.judged(trusted) for one in found if isinstance(one, _Signature)]
    for signed in signatures:
        for stamp in stamps:
            if stamp.covers > signed.covers and stamp.time < signed.time - CLOCKS:
                raise RejectionError(
                    f"{path.name}: the {signed.field} is of a later time than a timestamp that covers it", RESTORE
                )
    return Validation(tuple(signatures), tuple(stamps))


def _found(document: Document) -> list["_Signature | _Stamp"]:
    made: list[_Signature | _Stamp] = []
    for addition in additions(document):
        if addition.widget:
            kind = _Stamp if addition.signature.get("Type") == "DocTimeStamp" else _Signature
            made.append(kind(document, addition))
    return made


def _digests(document: Document, found: Sequence["_Signed"]) -> Iterator[bytes]:
    """Yield what each signature has to be the signature of; the file is read once, however many there are."""
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
    """Keep the libraries from printing to the log what is told by an error."""
    logger = logging.getLogger("pyhanko")
    disabled, logger.disabled = logger.disabled, True
    loggers = [logging.getLogger(name) for name in ("pyhanko_certvalidator", "pyhanko.sign.validation.generic_cms")]
    states = [one.disabled for one in loggers]
    for one in loggers:
        one.disabled = True
    try:
        yield
    finally:
        logger.disabled = disabled
        for one, state in zip(loggers, states, strict=True):
            one.disabled = state


class _Message:
    """A signature in CMS (RFC 5652), of a person or of a timestamp authority; every member of it is known.

    Raises:
        ValueError: it is malformed, or of another form than a record's.
    """

    def __init__(self, content: bytes, kind: Literal["data", "tst_info"]) -> None:
        _hold_der(content)
        message = cms.ContentInfo.load(content, strict=True)
        if message["content_type"].native != "signed_data":
            raise ValueError("it is no signature")
        self.kind = kind
        self.data: cms.SignedData = message["content"]
        self.info: cms.SignerInfo = extract_signer_info(self.data)
        self.certificates = extract_certificate_info(self.data)
        self.certificate = x509.load_der_x509_certificate(self.certificates.signer_cert.dump())
        self.digest = str(self.info["digest_algorithm"]["algorithm"].native)
        self._hold_form()

    def hold(self, digest: bytes) -> None:
        """Hold the signature to a digest of what it signs.

        Raises:
            ValueError: it is of something else, or not by the key of its certificate.
        """
        intact, valid = validate_sig_integrity(self.info, self.certificates.signer_cert, self.kind, digest)
        if not intact:
            raise ValueError("what it signs was changed")
        if not valid:
            raise ValueError("it is not by the key of its certificate")

    def _hold_form(self) -> None:
        data, info = self.data, self.info
        detached = self.kind == "data"
        listed = data["digest_algorithms"]
        if len(listed) != 1 or listed[0].dump() != info["digest_algorithm"].dump() or self.digest not in _DIGESTS:
            raise ValueError(f"its digest is {self.digest}, and SHA-256 is the least")
        mechanism: algos.SignedDigestAlgorithm = info["signature_algorithm"]
        if mechanism.signature_algo not in _MECHANISMS:
            raise ValueError(f"it is of a kind that the kit does not know: {mechanism.signature_algo}")
        content = data["encap_content_info"]
        if content["content_type"].native != self.kind or (content["content"] is core.VOID) is not detached:
            raise ValueError("it is of another kind of content")
        if data["version"].native != ("v1" if detached else "v3") or info["version"].native != "v1":
            raise ValueError("it is of another version")
        if data["crls"] is not core.VOID or get_signing_cert_attr(info["signed_attrs"]) is None:
            raise ValueError("it does not say which certificate signed, or holds revocation data")
        if any(one.name != "certificate" for one in data["certificates"]):
            raise ValueError("it holds what is no certificate")
        named = info["sid"].chosen
        # pyHanko compares names as RFC 5280 does: without regard to case
        if info["sid"].name != "issuer_and_serial_number" or (
            named["issuer"].dump() != self.certificates.signer_cert.issuer.dump()
        ):
            raise ValueError("it does not name its certificate as the certificate does")

    def hold_issuers(self) -> None:
        """Hold every other certificate to having issued one of them, and the topmost to its own signature, if it is.

        Raises:
            ValueError: one did not.
        """
        others = [x509.load_der_x509_certificate(one.dump()) for one in self.certificates.other_certs]
        for one in others:
            if not any(_issued(one, other) for other in [self.certificate, *others] if other is not one):
                raise ValueError(f"it holds a certificate that issued none of the others: {subject_of(one)}")
            if one.issuer == one.subject and not _issued(one, one):
                raise ValueError(f"it holds a certificate that is not signed by itself: {subject_of(one)}")


class _Token:
    """A timestamp token (RFC 3161).

    Raises:
        ValueError: it is malformed, or its authority's certificate is not for timestamps.
    """

    def __init__(self, content: bytes) -> None:
        self.message = _Message(content, "tst_info")
        self._content = self.message.data["encap_content_info"]["content"]
        info = self._content.parsed
        if not isinstance(info, tsp.TSTInfo):
            raise ValueError("its timestamp is none")
        self.time: datetime = info["gen_time"].native
        self.imprint = bytes(info["message_imprint"]["hashed_message"].native)
        self.algorithm = str(info["message_imprint"]["hash_algorithm"]["algorithm"].native)
        if self.algorithm not in _DIGESTS:
            raise ValueError(f"its timestamp's digest is {self.algorithm}, and SHA-256 is the least")

    def hold(self, digest: bytes) -> None:
        """Hold the token to the digest of what it is a timestamp of.

        Raises:
            ValueError: it is one of something else, or not by the key of its certificate.
        """
        if self.imprint != digest:
            raise ValueError("its timestamp is of something else")
        self.message.hold(hashlib.new(self.message.digest, bytes(self._content)).digest())
        certificate = self.message.certificate
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
            raise ValueError("its timestamp is by a certificate that is not for timestamps")
        if not certificate.not_valid_before_utc <= self.time <= certificate.not_valid_after_utc:
            raise ValueError("its timestamp is by a certificate that was not valid then")

    def timestamp(self, covers: int = 0) -> Timestamp:
        """Return what the token says."""
        return Timestamp(self.time, subject_of(self.message.certificate), covers=covers)


class _Signed:
    """What is common to a signature and a timestamp of the document: the hole in the file that it fills.

    Raises:
        RejectionError: the hole is not exactly the string `/Contents`, or its revision is not covered whole.
    """

    sub_filter = ""
    algorithm = ""

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
        if entries["SubFilter"] != self.sub_filter:
            self.reject(f"is of another kind: /{entries['SubFilter']}")
        written = _HEX.fullmatch(document.read(hole.start, hole.end - hole.start))
        size = _der_size(bytes(hole))
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
        except KitError:
            raise
        except Exception as error:  # noqa: BLE001 - they raise many kinds, and the bytes are anybody's
            self.reject(f"does not hold: {one_line(error)}")


class _Stamp(_Signed):
    """A timestamp of the document."""

    sub_filter = _TIMESTAMP

    def __init__(self, document: Document, addition: Addition) -> None:
        super().__init__(document, addition)
        role = addition.name.removeprefix("Timestamp-")
        if role not in ROLES or set(addition.signature) & {"Name", "Reason"} or "TrailkitStatement" in addition.widget:
            self.reject("is no timestamp of a record's document")
        if "AP" in addition.widget or any(addition.widget["Rect"]):
            self.reject("shows something on a page, which a timestamp does not")
        with self.malformed():
            self.token = _Token(self.content)
            self.algorithm = self.token.algorithm

    def hold(self, digest: bytes) -> None:
        """Hold the timestamp to the digest of what it covers."""
        with self.malformed():
            self.token.hold(digest)

    def judged(self, trust: "_Trust | None") -> Timestamp:
        """Return the timestamp, once it is held against the trust roots."""
        made = self.token.timestamp(self.addition.end)
        return replace(made, root=trust.root_of_token(self, self.token)) if trust else made


class _Signature(_Signed):
    """A signature of a person."""

    sub_filter = _SIGNATURE

    def __init__(self, document: Document, addition: Addition) -> None:
        super().__init__(document, addition)
        self.statement = self._statement()
        box, given = BOXES[self.statement.role], addition.widget["Rect"]
        if (
            not addition.on_last_page
            or not isinstance(given, list)
            or [type(one) in (int, float) for one in given] != [True] * 4
            or any(abs(one - other) > _OF_A_POINT for one, other in zip(given, box, strict=True))
        ):
            self.reject("is not shown in its place on the last page, and may hide what is there")
        with self.malformed():
            self.message = _Message(self.content, "data")
            self.algorithm = self.message.digest
            self.token = self._token()
        self._hold_statement()

    @cached_property
    def time(self) -> datetime:
        """The time that is stated."""
        return datetime.fromisoformat(self.statement.time)

    def signed(self) -> Signed:
        """Return what the signature states of itself."""
        return Signed(
            self.statement, self.addition.name, Certificate.of(self.message.certificate), self.time,
            self.token.timestamp() if self.token else None, self.addition.end, self.sub_filter,
        )  # fmt: skip

    def hold(self, digest: bytes) -> None:
        """Hold the signature to the digest of what it covers, and its timestamp to the signature."""
        with self.malformed():
            self.message.hold(digest)
            self.message.hold_issuers()
            if self.token:
                signature = self.message.info["signature"].native
                self.token.hold(hashlib.new(self.token.algorithm, signature).digest())
                if abs(self.token.time - self.time) > CLOCKS:
                    self.reject("has a timestamp of another time than it states")

    def judged(self, trust: "_Trust | None") -> Signed:
        """Return the signature, once its certificate is held to the time of signing, and against the trust roots."""
        made = self.signed()
        moment = self.time
        if self.token and made.timestamp and trust and (root := trust.root_of_token(self, self.token)):
            made = replace(made, timestamp=replace(made.timestamp, root=root), clock="timestamp")
            moment = self.token.time
        certificate = self.message.certificate
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            by = "its timestamp" if made.clock == "timestamp" else "the signer's clock"
            self.reject(f"is by a certificate that was not valid at the time of signing, {moment:%Y-%m-%d}, by {by}")
        with self.malformed():
            public_key(certificate)
            if not _is_for_signing(certificate):
                self.reject("is by a certificate that is not for signing")
        return replace(made, root=trust.root_of(self, moment, made.clock)) if trust else made

    def _token(self) -> _Token | None:
        unsigned = self.message.info["unsigned_attrs"]
        if unsigned is core.VOID:
            return None
        if len(unsigned) != 1 or unsigned[0]["type"].native not in _UNSIGNED or len(unsigned[0]["values"]) != 1:
            raise ValueError("it holds what is not signed, and is no timestamp")
        return _Token(unsigned[0]["values"][0].dump())

    def _statement(self) -> Statement:
        content = self.addition.widget.get("TrailkitStatement")
        try:
            value = json.loads(content) if isinstance(content, bytes) else None
            statement = Statement.from_json(value)
            whole = canonical(value) == content
        except (ValueError, RecursionError, EvidenceError, RejectionError) as error:
            self.reject(f"states nothing that can be read: {one_line(getattr(error, 'message', error))}")
        if not whole:
            self.reject("states something that is not in canonical form (RFC 8785)")
        if self.addition.name != f"Signature-{statement.role}":
            self.reject(f"states the role {statement.role}, and is in the field of another")
        return statement

    def _hold_statement(self) -> None:
        statement, entries = self.statement, self.addition.signature
        certificate = self.message.certificate
        with self.malformed():
            if (statement.name, statement.subject) != (name_of(certificate), subject_of(certificate)):
                self.reject(f"states the name {statement.name}, and its certificate is {subject_of(certificate)}")
            written = [str(pdf_string(bytes(entries[key]))) for key in ("Name", "Reason")]
            if written != [statement.name, statement.meaning]:
                self.reject("says another name or meaning than it states (/Name, /Reason)")
            if not _MOMENT.fullmatch(statement.time):
                self.reject("states no time")
            told = self.time.astimezone(UTC).strftime("D:%Y%m%d%H%M%SZ").encode()
            if bytes(entries["M"]) != told:
                self.reject("says another time than it states (/M)")


@dataclass(frozen=True)
class _Trust:
    """Trust roots, and the certificates and revocation data that the file holds."""

    roots: Sequence[asn1.Certificate]
    certificates: Sequence[asn1.Certificate]
    crls: Sequence[crl.CertificateList]
    ocsps: Sequence[ocsp.OCSPResponse]

    @classmethod
    def of(cls, document: Document, roots: Sequence[x509.Certificate]) -> Self:
        """Return the trust that some roots and the file's own validation data (`/DSS`) give."""
        view = document.view()
        store = view.dictionary(view.catalog.get("DSS", {}), "security store")
        try:
            return cls(
                [to_asn1(one) for one in roots],
                [asn1.Certificate.load(one, strict=True) for one in _streams(view, store, "Certs")],
                [crl.CertificateList.load(one, strict=True) for one in _streams(view, store, "CRLs")],
                [ocsp.OCSPResponse.load(one, strict=True) for one in _streams(view, store, "OCSPs")],
            )
        except ValueError as error:
            document.reject(f"its validation data are malformed: {one_line(error)}")

    def root_of(self, signature: _Signature, moment: datetime, clock: Clock) -> str:
        """Return the root that issued a signer's certificate.

        Raises:
            RejectionError: none did, or a certificate is revoked.
        """
        try:
            with signature.malformed():
                return self._root(signature, signature.message, moment, historical=clock == "timestamp")
        except (PathError, ValidationError) as error:
            signature.reject(f"is by a certificate that no trusted root issued: {one_line(error)}", _TRUST)

    def root_of_token(self, signed: _Signed, token: _Token) -> str:
        """Return the root that issued a timestamp authority's certificate; empty where none did.

        Raises:
            RejectionError: a certificate is revoked.
        """
        try:
            return self._root(signed, token.message, token.time, historical=True)
        except (PathError, ValidationError):
            return ""

    def _root(self, signed: _Signed, message: _Message, moment: datetime, *, historical: bool) -> str:
        sent = [*message.certificates.other_certs, *self.certificates]
        context = ValidationContext(
            trust_roots=list(self.roots),
            other_certs=sent,
            crls=list(self.crls),
            ocsps=list(self.ocsps),
            moment=moment,
            allow_fetching=False,
            revocation_mode="soft-fail",
            # what is kept in the file was fetched after the signature was made
            retroactive_revinfo=True,
        )
        # by the signer's clock alone, nobody knows whether he signed before his certificate was revoked
        context.timing_params = replace(context.timing_params, point_in_time_validation=historical)
        validator = CertificateValidator(
            message.certificates.signer_cert, intermediate_certs=sent, validation_context=context
        )
        try:
            path = asyncio.run(validator.async_validate_path())
        except RevokedError as error:
            signed.reject(f"is by a certificate that is revoked: {one_line(error)}", _TRUST)
        return subject_of(x509.load_der_x509_certificate(path.trust_anchor.certificate.dump()))


def _streams(view: View, store: Mapping[str, Any], key: str) -> Iterable[bytes]:
    for item in view.array(store.get(key, []), "list of validation data"):
        yield view.document.data(view.resolve(item), _REVOCATION_LARGEST)


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_for_signing(certificate: x509.Certificate) -> bool:
    """Whether the key usage, where there is one, allows signatures (RFC 5280, 4.2.1.3)."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return usage.digital_signature or usage.content_commitment


def _der_size(content: bytes) -> int | None:
    """Return how many bytes a DER value at the start has, with its header; None where there is none."""
    header = _der_header(content, 0, len(content))
    return None if header is None else header[1]


def _hold_der(content: bytes) -> None:
    """Hold bytes to DER (X.690), as far as a byte can be changed within one value: lengths, booleans, integers.

    Raises:
        ValueError: they are not.
    """
    waiting = [(0, len(content))]
    while waiting:
        position, end = waiting.pop()
        while position < end:
            header = _der_header(content, position, end)
            if header is None:
                raise ValueError("it is not written in DER")
            start, after = header
            tag, value = content[position], content[start : min(after, start + 2)]
            if tag & 0x20:
                waiting.append((start, after))
            if (
                tag == 0x01 and (after - start != 1 or value not in (b"\0", b"\xff"))
                or tag == 0x02 and (not value or len(value) > 1 and value[0] in (0, 0xFF) and value[0] >> 7 == value[1] >> 7)
                or tag == 0x05 and value
                or tag in (0x21, 0x22, 0x23, 0x24, 0x10, 0x11)
            ):  # fmt: skip
                raise ValueError("it is not written in DER")
            position = after


def _der_header(content: bytes, position: int, end: int) -> tuple[int, int] | None:
    """Return where the content of a DER value starts and ends; None where its header is not DER, or it is cut."""
    if position + 2 > end or content[position] & 0x1F == 0x1F:
        return None
    length, start = content[position + 1], position + 2
    if length & 0x80:
        count = length & 0x7F
        digits = content[start : start + count]
        length, start = int.from_bytes(digits), start + count
        if not 1 <= count <= 4 or len(digits) != count or not digits[0] or length < 0x80:
            return None
    return (start, start + length) if start + length <= end else None
