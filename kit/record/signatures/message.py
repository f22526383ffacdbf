"""Reads signatures in CMS (RFC 5652) and timestamp tokens (RFC 3161), strictly: every member of one is known.

What can still be changed without being noticed is what nobody signed, as long as no later signature or timestamp covers
it: who issued the topmost certificate above the signer's own, and where it is not signed by itself all but its name and
key; and of a timestamp token, certificates other than that of the timestamp authority. A timestamp, or issuers, can be
taken out as a whole.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Literal, TypeVar

from asn1crypto import algos, cms, core, tsp  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID
from pyhanko.sign.general import extract_certificate_info, extract_signer_info
from pyhanko.sign.validation.generic_cms import get_signing_cert_attr, validate_sig_integrity

from kit.record.signatures.keys import public_key, subject_of

CLOCKS = timedelta(hours=1)
"""How far the signer's clock may be from that of a timestamp service."""

T = TypeVar("T", bound=x509.ExtensionType)

_DIGESTS = {"sha256", "sha384", "sha512"}
_MECHANISMS = {"rsassa_pkcs1v15", "rsassa_pss", "ecdsa"}
_TIMESTAMP = "signature_time_stamp_token"
_SEQUENCE, _BOOLEAN, _INTEGER, _NULL = 0x30, 0x01, 0x02, 0x05
_CONSTRUCTED = 0x20
# a sequence or set that is no container, and strings in pieces
_NEVER_IN_DER = {0x10, 0x11, 0x23, 0x24, 0x2C, 0x33, 0x36}

# The tags of the members of each container (RFC 5652, 5): asn1crypto passes over a member that it does not know.
_MESSAGE, _EXPLICIT = b"\x06\xa0", b"\x30"
_SIGNED_DATA, _ONE = b"\x02\x31\x30\xa0\x31", b"\x30"
_SIGNER, _SIGNER_ID = b"\x02\x30\x30\xa0\x30\x04", b"\x30\x02"
_WITH_UNSIGNED, _ATTRIBUTE = _SIGNER + b"\xa1", b"\x06\x31"
_PLAIN, _WITH_NULL, _WITH_PARAMETERS = b"\x06", b"\x06\x05", b"\x06\x30"


class Message:
    """A signature in CMS, of a person (`data`) or of a timestamp authority (`tst_info`); `digest` is its hash's name.

    Raises:
        ValueError: it is malformed, or of another form than a record's; the libraries raise others too.
    """

    def __init__(self, content: bytes, kind: Literal["data", "tst_info"]) -> None:
        _hold_der(content)
        _hold_members(content)
        message = cms.ContentInfo.load(content, strict=True)
        if message["content_type"].native != "signed_data":
            raise ValueError("it is no signature")
        self.kind = kind
        self.data: cms.SignedData = message["content"]
        self.info: cms.SignerInfo = extract_signer_info(self.data)
        self.certificates = extract_certificate_info(self.data)
        self.certificate = x509.load_der_x509_certificate(self.certificates.signer_cert.dump())
        self.digest = str(self.info["digest_algorithm"]["algorithm"].native)
        self._hold_algorithms()
        self._hold_form()

    @property
    def token(self) -> "Token | None":
        """The timestamp of the signature; there is none, or one.

        Raises:
            ValueError: there is something else that is not signed, or the timestamp is malformed.
        """
        unsigned = self.info["unsigned_attrs"]
        if unsigned is core.VOID:
            return None
        if len(unsigned) != 1 or unsigned[0]["type"].native != _TIMESTAMP or len(unsigned[0]["values"]) != 1:
            raise ValueError("it holds what is not signed, and is no timestamp")
        return Token(unsigned[0]["values"][0].dump())

    @property
    def value(self) -> bytes:
        """The value of the signature, which a timestamp of it is of."""
        return bytes(self.info["signature"].native)

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

    def hold_signer(self) -> None:
        """Hold the certificate to being meant for signing, and every other to having issued one of them.

        Raises:
            SigningError: the key is of a kind that the kit does not sign with.
            ValueError: the key usage, where there is one, forbids signing (RFC 5280, 4.2.1.3); or a certificate is none
                of its issuers.
        """
        public_key(self.certificate)
        usage = _extension(self.certificate, x509.KeyUsage)
        if usage and not (usage.digital_signature or usage.content_commitment):
            raise ValueError("its certificate is not for signing")
        others = [x509.load_der_x509_certificate(one.dump()) for one in self.certificates.other_certs]
        for one in others:
            if not any(_issued(one, other) for other in [self.certificate, *others] if other is not one):
                raise ValueError(f"it holds a certificate that issued none of the others: {subject_of(one)}")
            if one.issuer == one.subject and not _issued(one, one):
                raise ValueError(f"it holds a certificate that is not signed by itself: {subject_of(one)}")

    def _hold_algorithms(self) -> None:
        listed, used = self.data["digest_algorithms"], self.info["digest_algorithm"]
        if self.digest not in _DIGESTS:
            raise ValueError(f"its digest is {self.digest}, and SHA-256 is the least")
        if len(listed) != 1 or listed[0].dump() != used.dump():
            raise ValueError("it names more than one digest")
        mechanism: algos.SignedDigestAlgorithm = self.info["signature_algorithm"]
        if mechanism.signature_algo not in _MECHANISMS or mechanism.copy().dump(force=True) != mechanism.dump():
            raise ValueError(f"it is of a kind that the kit does not know: {mechanism.signature_algo}")

    def _hold_form(self) -> None:
        data, info, detached = self.data, self.info, self.kind == "data"
        content = data["encap_content_info"]
        if content["content_type"].native != self.kind or (content["content"] is core.VOID) is not detached:
            raise ValueError("it is of another kind of content")
        if data["version"].native != ("v1" if detached else "v3") or info["version"].native != "v1":
            raise ValueError("it is of another version")
        if any(one.name != "certificate" for one in data["certificates"]):
            raise ValueError("it holds what is no certificate")
        if get_signing_cert_attr(info["signed_attrs"]) is None:
            raise ValueError("it does not say which certificate signed")
        named = info["sid"]
        # pyHanko compares names without regard to case, as RFC 5280 does
        if named.name != "issuer_and_serial_number" or (
            named.chosen["issuer"].dump() != self.certificates.signer_cert.issuer.dump()
        ):
            raise ValueError("it names its certificate in another way than the certificate does")
        written = {one.chosen.dump() for one in data["certificates"]}
        known = {one.dump() for one in (self.certificates.signer_cert, *self.certificates.other_certs)}
        if written != known:
            raise ValueError("it holds two certificates of its signer")


class Token:
    """A timestamp token; `algorithm` is the name of the hash of what it is a timestamp of.

    Raises:
        ValueError: it is malformed, or of another form than a record's; the libraries raise others too.
    """

    def __init__(self, content: bytes) -> None:
        self.message = Message(content, "tst_info")
        self._content = self.message.data["encap_content_info"]["content"]
        info = self._content.parsed
        if not isinstance(info, tsp.TSTInfo) or not isinstance(info["gen_time"].native, datetime):
            raise ValueError("its timestamp is none")
        self.time: datetime = info["gen_time"].native
        self._imprint = bytes(info["message_imprint"]["hashed_message"].native)
        self.algorithm = str(info["message_imprint"]["hash_algorithm"]["algorithm"].native)
        if self.algorithm not in _DIGESTS:
            raise ValueError(f"its timestamp's digest is {self.algorithm}, and SHA-256 is the least")

    @property
    def authority(self) -> str:
        """The subject of the timestamp authority's certificate."""
        return subject_of(self.message.certificate)

    def hold(self, digest: bytes) -> None:
        """Hold the token to the digest of what it is a timestamp of, and its certificate to timestamps at that time.

        Raises:
            ValueError: it is of something else, not by the key of its certificate, or that is not for timestamps alone
                (RFC 3161, 2.3).
        """
        if self._imprint != digest:
            raise ValueError("its timestamp is of something else")
        self.message.hold(hashlib.new(self.message.digest, bytes(self._content)).digest())
        certificate = self.message.certificate
        usage = _extension(certificate, x509.ExtendedKeyUsage)
        if usage is None or list(usage) != [ExtendedKeyUsageOID.TIME_STAMPING]:
            raise ValueError("its timestamp is by a certificate that is not for timestamps alone")
        if not certificate.not_valid_before_utc <= self.time <= certificate.not_valid_after_utc:
            raise ValueError("its timestamp is by a certificate that was not valid then")


def der_size(content: bytes) -> int | None:
    """Return how many bytes the DER value at the start has, with its header; None where there is none."""
    header = _der_header(content, 0, len(content))
    return header[1] if header and content[0] == _SEQUENCE else None


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _hold_der(content: bytes) -> None:
    """Hold bytes to DER (X.690), as far as one value can be written in two ways: lengths, booleans, integers.

    Raises:
        ValueError: they are not.
    """
    waiting = [(0, len(content))]
    while waiting:
        position, end = waiting.pop()
        while position < end:
            header = _der_header(content, position, end)
            if header is None or not _is_der(content[position], content[slice(*header)]):
                raise ValueError("it is not written in DER")
            if content[position] & _CONSTRUCTED:
                waiting.append(header)
            position = header[1]


def _hold_members(content: bytes) -> None:
    """Hold a signature in DER to the members that a record's has, and no more.

    Raises:
        ValueError: one is missing, of another kind, or too many.
    """
    (message,) = _members(content, (0, len(content)), _ONE)
    _, explicit = _members(content, message, _MESSAGE)
    (data,) = _members(content, explicit, _EXPLICIT)
    _, digests, encapsulated, _, signers = _members(content, data, _SIGNED_DATA)
    (signer,) = _members(content, signers, _ONE)
    _, named, digest, _, mechanism, _, *unsigned = _members(content, signer, _SIGNER, _WITH_UNSIGNED)
    _members(content, encapsulated, _PLAIN, _MESSAGE)
    _members(content, named, _SIGNER_ID)
    for algorithm in (*_members(content, digests, _ONE), digest, mechanism):
        _members(content, algorithm, _PLAIN, _WITH_NULL, _WITH_PARAMETERS)
    for attributes in unsigned:
        (attribute,) = _members(content, attributes, _ONE)
        _, values = _members(content, attribute, _ATTRIBUTE)
        _members(content, values, _ONE)


def _members(content: bytes, within: tuple[int, int], *allowed: bytes) -> list[tuple[int, int]]:
    """Return where the contents of the values in a container are; their tags are one of those that are allowed."""
    position, end = within
    tags, found = b"", []
    while position < end:
        header = _der_header(content, position, end)
        if header is None:
            raise ValueError("it is not written in DER")
        tags += content[position : position + 1]
        found.append(header)
        position = header[1]
    if tags not in allowed:
        raise ValueError("it has other members than a signature of a record")
    return found


def _is_der(tag: int, value: bytes) -> bool:
    if tag == _BOOLEAN:
        return value in (b"\0", b"\xff")
    if tag == _INTEGER:
        # the first nine bits are neither all zero nor all one
        return len(value) == 1 or (len(value) > 1 and int.from_bytes(value[:2]) >> 7 not in (0, 0x1FF))
    return not value if tag == _NULL else tag not in _NEVER_IN_DER


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
