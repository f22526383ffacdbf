"""Appends signatures to a record's PDF: PAdES baseline, B-B to B-LT [ETSI EN 319 142-1], each a revision of its own.

A revision holds only what the signature needs. It adds the field with its widget and the statement, the signature
dictionary, the visible block with its font and, for B-LT, the validation data and a document timestamp. It replaces
the catalog, the last page or its `/Annots`, and what an earlier signature added to be appended to: form and DSS.
/Info and XMP stay as they are, and so keep agreeing (ISO 19005-3, 6.6.2).
"""

import asyncio
import hashlib
import shutil
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from os import fsync
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from asn1crypto import cms  # type: ignore[import-untyped]
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from pyhanko.pdf_utils.font.api import FontSubsetCollection
from pyhanko.pdf_utils.generic import ArrayObject, ByteStringObject, DictionaryObject, pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign import general
from pyhanko.sign.fields import SigFieldSpec, SigSeedSubFilter, enumerate_sig_fields
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigObjSetup
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.signers.pdf_byterange import DocumentTimestamp, PdfSignedData, SignatureObject
from pyhanko.sign.timestamps.common_utils import TimestampRequestError
from pyhanko.sign.timestamps.requests_client import RequestsHTTPTimeStamper
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.generic_cms import validate_sig_integrity
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathError, RevokedError, ValidationError
from pyhanko_certvalidator.fetchers.requests_fetchers import RequestsFetcherBackend
from pyhanko_certvalidator.path import ValidationPath

from kit.canonical import canonical
from kit.errors import EvidenceError, SigningError
from kit.record.manifest import RESTORE
from kit.record.signatures.keys import SigningKey, load_pem, one_line, to_asn1
from kit.record.signatures.message import CLOCKS, Token
from kit.record.signatures.places import BOXES, TITLES
from kit.record.signatures.stamp import appearance, dictionary
from kit.record.signatures.statement import Role, Statement

STATEMENT = "/TrailkitStatement"
"""The entry of a signature's field that holds its statement, as canonical JSON (RFC 8785) in a byte string."""

_TIMEOUT_S = 10
_BLOCK = 1 << 20
_TOKEN = 16 * 1024
"""Room for the token of a timestamp service, in bytes."""
_SLACK = 64
_SHA256 = "sha256"


def field_name(role: Role) -> str:
    """Return the name of the form field that holds a role's signature."""
    return f"Signature-{role}"


def append_signature(
    source: Path,
    target: Path,
    statement: Statement,
    key: SigningKey,
    *,
    timestamp_url: str = "",
    trust: Path | None = None,
) -> list[str]:
    """Write `target`: the bytes of `source` as they are, then a signature of all of them; it is on the disk on return.

    The signature is PAdES B-B, and makes no request; with a timestamp service (`timestamp_url`, RFC 3161) it is B-T,
    and where the certificates name revocation data that can be had, B-LT: the data, and a timestamp of the whole
    document, are another revision. `trust` is a PEM file of roots, one of which must have issued the certificate. The
    same statement with the same RSA key makes the same bytes, but for timestamps.

    Returns:
        What could not be had along with it, a sentence each.

    Raises:
        SigningError: the role has signed already, the key can't be used or is not the certificate's, the certificate
            is revoked or not issued by a root, the timestamp service gave no timestamp, or the source is no whole
            PDF. Nothing is left of `target`.
        OSError: `source` can't be read, or `target` not written.
    """
    service = _Service(timestamp_url) if timestamp_url else None
    job = _Job(statement, _canonical(statement), key, service, load_pem(trust) if trust else [])
    with _copied(source, target) as stream, _refusals(source, service):
        return asyncio.run(job.sign(stream))


@contextmanager
def _copied(source: Path, target: Path) -> Iterator[IO[bytes]]:
    """Yield a copy of a file to append to; it is synced afterwards, or removed where the block fails."""
    shutil.copyfile(source, target)
    try:
        with target.open("r+b") as stream:
            yield stream
            stream.flush()
            fsync(stream.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise


@contextmanager
def _refusals(source: Path, service: "_Service | None") -> Iterator[None]:
    try:
        yield
    except TimestampRequestError as error:
        raise SigningError(
            f"the timestamp service {service.host if service else ''} gave no timestamp: {one_line(error)}",
            "see that it can be reached, name another, or sign without one",
        ) from error
    except (PdfError, general.SigningError, SignatureValidationError) as error:
        raise SigningError(f"{source.name} can't be signed: {one_line(error)}", RESTORE) from error


def _canonical(statement: Statement) -> bytes:
    try:
        return canonical(statement.to_json())
    except EvidenceError as error:
        raise SigningError(f"the statement can't be written: {error.message}", "write it in Unicode text") from error


@dataclass(frozen=True)
class _Job:
    """All that one signature is made of."""

    statement: Statement
    written: bytes
    key: SigningKey
    service: "_Service | None"
    roots: Sequence[x509.Certificate]

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.statement.time)

    @property
    def seed(self) -> bytes:
        return hashlib.sha256(self.written + self.certificate.dump()).digest()

    @property
    def certificate(self) -> asn1.Certificate:
        return to_asn1(self.key.certificate)

    async def sign(self, stream: IO[bytes]) -> list[str]:
        chain = list(self.key.signer.cert_registry)
        if self.roots:
            await self._hold_issued(chain)
        if self.service is None:
            await self._append_signature(stream)
            return []
        validity, notes = await _validity(self.certificate, chain, self.roots, "the certificate", None)
        await self._append_signature(stream)
        if validity is None:
            return notes
        certificate, chain = self.service.certificates()
        whose = "the timestamp service's certificate"
        of_service, more = await _validity(certificate, chain, self.roots, whose, {"time_stamping"})
        await self._append_validity(stream, [validity, of_service] if of_service else [validity])
        return notes + more

    async def _hold_issued(self, chain: Sequence[asn1.Certificate]) -> None:
        context = ValidationContext(trust_roots=[to_asn1(root) for root in self.roots], moment=self.time)
        try:
            await _path(self.certificate, chain, context)
        except (PathError, ValidationError) as error:
            raise SigningError(
                f"the certificate {self.key.subject} is not issued by a root that is trusted: {one_line(error)}",
                "sign with a certificate that is, or add its intermediates to the key's file",
            ) from error

    async def _append_signature(self, stream: IO[bytes]) -> None:
        role, key = self.statement.role, self.key
        revision = _Revision(stream, self.seed)
        name = field_name(role)
        if name in {used for used, _, _ in enumerate_sig_fields(revision)}:
            raise SigningError(f"the {role} has signed already", "a role signs once")
        room = len((await self._cms(bytes(32), dry_run=True)).dump()) + _SLACK + (_TOKEN if self.service else 0)
        spec = SigFieldSpec(
            name, on_page=-1, box=BOXES[role], readable_field_name=f"{TITLES[role]} {self.statement.name}"
        )
        signed = SignatureObject(
            timestamp=self.time,
            subfilter=SigSeedSubFilter.PADES,
            name=self.statement.name,
            reason=self.statement.meaning,
            bytes_reserved=2 * room,
        )

        def fill(field: DictionaryObject) -> None:
            field[pdf_name(STATEMENT)] = ByteStringObject(self.written)
            field[pdf_name("/AP")] = dictionary(N=appearance(revision, self.statement))

        await _append(revision, spec, signed, key.digest, self._cms, fill)

    async def _cms(self, digest: bytes, *, dry_run: bool = False) -> cms.ContentInfo:
        """Return the signature of a digest, checked by the certificate; a dry one has its size, but for a timestamp."""
        signer, algorithm = self.key.signer, self.key.digest
        service = None if dry_run else self.service
        made = await signer.async_sign(digest, algorithm, dry_run=dry_run, use_pades=True, timestamper=service)
        (info,) = made["content"]["signer_infos"]
        if not dry_run and validate_sig_integrity(info, self.certificate, "data", digest) != (True, True):
            raise SigningError(
                f"what the key signed does not hold under the certificate {self.key.subject}",
                "name the key and its own certificate",
            )
        if service:
            service.hold_clock(self.time)
        return made

    async def _append_validity(self, stream: IO[bytes], proofs: Sequence["_Validity"]) -> None:
        service = self.service
        if service is None:
            return
        revision = _Revision(stream, hashlib.sha256(self.seed).digest())
        DocumentSecurityStore.supply_dss_in_writer(
            revision,
            None,
            paths=[proof.path for proof in proofs],
            crls=[one for proof in proofs for one in proof.crls],
            ocsps=[one for proof in proofs for one in proof.ocsps],
        )
        spec = SigFieldSpec(
            f"Timestamp-{self.statement.role}", on_page=-1, readable_field_name="Timestamp of the document"
        )
        stamped = DocumentTimestamp(bytes_reserved=2 * _TOKEN)  # type: ignore[no-untyped-call]
        await _append(revision, spec, stamped, _SHA256, lambda digest: service.async_timestamp(digest, _SHA256))


async def _append(
    revision: "_Revision",
    spec: SigFieldSpec,
    signed: PdfSignedData,
    algorithm: str,
    sign: Callable[[bytes], Awaitable[cms.ContentInfo]],
    fill: Callable[[DictionaryObject], None] = lambda _: None,
) -> None:
    """Write a revision with a signature field, and what `sign` makes of the digest of the whole file into it."""
    revision.register_extension(ESIC_EXTENSION_1)
    steps = PdfCMSEmbedder(new_field_spec=spec).write_cms(spec.sig_field_name, revision)
    fill(next(steps).get_object())
    steps.send(SigObjSetup(signed))
    prepared, _ = steps.send(SigIOSetup(algorithm, in_place=True, chunk_size=_BLOCK))
    steps.send(await sign(prepared.document_digest))


class _Revision(IncrementalPdfFileWriter):
    """A revision at the end of a file, the same bytes for the same seed and content."""

    def __init__(self, stream: IO[bytes], seed: bytes) -> None:
        super().__init__(stream)
        self._seed = seed
        # the second half names the revision, and pyHanko draws it [ISO 32000-1, 14.4]
        self._document_id = ArrayObject([self._document_id[0], ByteStringObject(seed[:16])])

    def _update_meta(self) -> None:
        """Leave /Info and XMP alone: pyHanko would rewrite both, with a modification date of its own."""

    def get_subset_collection(self, base_postscript_name: str) -> FontSubsetCollection:
        prefix = "".join(chr(ord("A") + byte % 26) for byte in self._seed[:6])
        return self._font_resources.setdefault(base_postscript_name, _Subsets(base_postscript_name, prefix=prefix))


@dataclass(frozen=True)
class _Subsets(FontSubsetCollection):
    """The subsets of a font in a revision, which has one; its tag is given, where pyHanko would draw it."""

    prefix: str = ""

    def add_subset(self) -> str:
        return self.prefix


class _Service(RequestsHTTPTimeStamper):
    """A timestamp service whose tokens are checked: for what was sent, and signed [RFC 3161, 2.4.2]."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise SigningError("the timestamp service has no address", "give it as https://HOST/PATH")
        super().__init__(url, timeout=_TIMEOUT_S)  # type: ignore[no-untyped-call]
        # an address may hold a password
        self.host = address.hostname
        self._told: Token | None = None

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        try:
            token = await super().async_timestamp(message_digest, md_algorithm)
            self._told = Token(token.dump())
        except TimestampRequestError as error:
            # what the client says of a connection may hold the address
            cause = f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
            raise TimestampRequestError(f"{error.args[0]}{cause}") from error
        except (ValueError, TypeError, KeyError, AttributeError, AssertionError, SignatureValidationError) as error:
            raise TimestampRequestError("it refused, or its answer is malformed") from error
        try:
            self.told.hold(message_digest)
        except (ValueError, InvalidSignature, SignatureValidationError) as error:
            raise TimestampRequestError("its token is not for what was sent, or not signed") from error
        return token

    @property
    def told(self) -> Token:
        """The last token, as verifying a record reads it."""
        if self._told is None:
            raise TimestampRequestError("it was not asked")
        return self._told

    def hold_clock(self, time: datetime) -> None:
        """Hold the signer's clock to that of the service.

        Raises:
            SigningError: they are an hour or more apart; verifying would reject the signature.
        """
        told = self.told.time
        if abs(told - time) >= CLOCKS:
            raise SigningError(
                f"this machine's clock says {time:%Y-%m-%d %H:%M:%S} UTC, and the timestamp service's "
                f"{told:%Y-%m-%d %H:%M:%S} UTC",
                "set this machine's clock right, and sign again",
            )

    def certificates(self) -> tuple[asn1.Certificate, list[asn1.Certificate]]:
        """Return the certificate that signed the last token, and all that came with it."""
        sent = self.told.message.certificates
        return sent.signer_cert, [sent.signer_cert, *sent.other_certs]


@dataclass(frozen=True)
class _Validity:
    """A certificate's path to a root, with the revocation data of every certificate on it."""

    path: ValidationPath
    crls: Sequence[Any]
    ocsps: Sequence[Any]


async def _validity(
    certificate: asn1.Certificate,
    chain: Sequence[asn1.Certificate],
    roots: Sequence[x509.Certificate],
    what: str,
    purpose: set[str] | None,
) -> tuple[_Validity | None, list[str]]:
    """Fetch the revocation data that a certificate and its issuers name; else say why there is none.

    Raises:
        SigningError: a certificate is revoked.
    """
    anchors = [to_asn1(root) for root in roots] or [one for one in chain if one.self_signed != "no"]
    if not anchors:
        return None, [f"no revocation data is kept: {what} comes without its root, and none was named"]
    context = ValidationContext(
        trust_roots=anchors,
        allow_fetching=True,
        fetcher_backend=RequestsFetcherBackend(per_request_timeout=_TIMEOUT_S),
        revocation_mode="hard-fail",
    )
    try:
        path = await _path(certificate, chain, context, purpose)
    except RevokedError as error:
        raise SigningError(f"{what} is revoked: {one_line(error)}", "sign with another") from error
    except (PathError, ValidationError) as error:
        return None, [f"no revocation data of {what} could be had: {one_line(error)}"]
    if not context.crls and not context.ocsps:
        return None, [f"no revocation data is kept: {what} names no address of any"]
    return _Validity(path, context.crls, context.ocsps), []


async def _path(
    certificate: asn1.Certificate,
    chain: Sequence[asn1.Certificate],
    context: ValidationContext,
    purpose: set[str] | None = None,
) -> ValidationPath:
    found: Any = CertificateValidator(certificate, intermediate_certs=chain, validation_context=context)
    path: ValidationPath = await found.async_validate_usage(set(), purpose)
    return path
