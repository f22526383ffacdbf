"""A signer's key as a backend opens it, and what its certificate says [RFC 5280; RFC 4514]."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from asn1crypto import algos  # type: ignore[import-untyped]
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pyhanko.sign.signers import Signer
from pyhanko_certvalidator.registry import SimpleCertificateStore

from kit.errors import SigningError
from kit.present.text import plain

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_ANOTHER = "sign with the certificate of a person, for an RSA key or an EC key on P-256, P-384 or P-521"
_DIGESTS = {"secp256r1": "sha256", "secp384r1": "sha384", "secp521r1": "sha512"}


@dataclass(frozen=True)
class SigningKey:
    """A key that can sign, with its certificate; `caller` is the STS identity that uses it, empty where there is none.

    It signs for as long as the backend that opened it is open.
    """

    signer: Signer
    caller: str = ""

    @property
    def certificate(self) -> x509.Certificate:
        """The signing certificate.

        Raises:
            SigningError: there is none, or it is malformed.
        """
        given = self.signer.signing_cert
        if given is None:
            raise SigningError("the signing key comes without a certificate", _ANOTHER)
        return load_der(given.dump())

    @property
    def name(self) -> str:
        """The printed name: the common name of the certificate, else its whole subject."""
        return name_of(self.certificate)

    @property
    def subject(self) -> str:
        """The subject of the certificate as text [RFC 4514]."""
        return subject_of(self.certificate)

    @property
    def digest(self) -> str:
        """The hash to sign with, by pyHanko's name: SHA-256, on a longer curve the one of its length, as KMS has it."""
        return digest_of(self.certificate)


def name_of(certificate: x509.Certificate) -> str:
    """Return the printed name that a certificate gives its holder: the common name, else the whole subject."""
    names = [str(entry.value) for entry in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return names[0] if names and names[0].strip() else subject_of(certificate)


def subject_of(certificate: x509.Certificate) -> str:
    """Return the subject of a certificate as text [RFC 4514]."""
    return certificate.subject.rfc4514_string()


def hold_certificate(key: SigningKey, now: datetime) -> None:
    """Hold a signing certificate to be in force and meant for signing; `now` is aware.

    Raises:
        SigningError: it has expired, is not valid yet, or its key usage is neither digital signature nor
            non-repudiation [RFC 5280, 4.2.1.3].
    """
    certificate = key.certificate
    who = f"the certificate {subject_of(certificate)}"
    if now > certificate.not_valid_after_utc:
        raise SigningError(f"{who} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC", "renew it")
    if now < certificate.not_valid_before_utc:
        raise SigningError(
            f"{who} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M:%S} UTC",
            "wait until then, or set the clock of this machine right",
        )
    public_key(certificate)
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    except ValueError as error:
        raise SigningError(f"{who} is malformed: {one_line(error)}", _ANOTHER) from error
    if not (usage.digital_signature or usage.content_commitment):
        raise SigningError(f"{who} is not for signing: its key usage forbids it", _ANOTHER)


def public_key(certificate: x509.Certificate) -> PublicKey:
    """Return the public key of a certificate.

    Raises:
        SigningError: it is of a kind that the kit does not sign with.
    """
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SigningError(f"the certificate's key can't be read: {one_line(error)}", _ANOTHER) from error
    if isinstance(key, rsa.RSAPublicKey) or (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _DIGESTS):
        return key
    kind = (
        key.curve.name if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__.removesuffix("PublicKey")
    )
    raise SigningError(f"the certificate {subject_of(certificate)} is for a key of another kind: {kind}", _ANOTHER)


def digest_of(certificate: x509.Certificate) -> str:
    """Return the hash that the key of a certificate signs with; see `SigningKey.digest`.

    Raises:
        SigningError: the key is of a kind that the kit does not sign with.
    """
    key = public_key(certificate)
    return _DIGESTS[key.curve.name] if isinstance(key, ec.EllipticCurvePublicKey) else "sha256"


def mechanism_of(certificate: x509.Certificate) -> algos.SignedDigestAlgorithm:
    """Return how the key of a certificate signs: ECDSA, RSA PKCS#1 v1.5, or PSS where the key is for PSS alone.

    Raises:
        SigningError: the key is of a kind that the kit does not sign with.
    """
    digest = digest_of(certificate)
    if isinstance(public_key(certificate), ec.EllipticCurvePublicKey):
        return algos.SignedDigestAlgorithm({"algorithm": f"{digest}_ecdsa"})
    if to_asn1(certificate).public_key.algorithm != "rsassa_pss":
        return algos.SignedDigestAlgorithm({"algorithm": f"{digest}_rsa"})
    hashed = {"algorithm": digest}
    # a salt as long as the hash, as KMS has it [KMS developer guide, "Key spec reference"]
    masked = {"algorithm": "mgf1", "parameters": hashed}
    parameters = {"hash_algorithm": hashed, "mask_gen_algorithm": masked, "salt_length": 32}
    return algos.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": parameters})


def load_der(content: bytes) -> x509.Certificate:
    """Return a certificate of its DER bytes.

    Raises:
        SigningError: it is malformed.
    """
    try:
        certificate = x509.load_der_x509_certificate(content)
        certificate.subject.rfc4514_string()
    except ValueError as error:
        raise SigningError(f"the certificate is malformed: {one_line(error)}", "have it issued anew") from error
    return certificate


def load_pem(path: Path) -> list[x509.Certificate]:
    """Return the certificates of a PEM file, in its order; there is at least one.

    Raises:
        SigningError: it can't be read, or holds none, or one that is malformed.
    """
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise SigningError(f"{path} can't be read: {error.strerror or error}", "name a PEM file") from error
    except ValueError as error:
        raise SigningError(
            f"{path} holds no certificates: {one_line(error)}", "name a PEM file, -----BEGIN CERTIFICATE-----"
        ) from error


def chain_of(leaf: x509.Certificate, pool: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    """Return a certificate and those of a pool that issued it, up to the root or to the first that is missing."""
    chain, left = [leaf], list(pool)
    while issuer := next((one for one in left if one.subject == chain[-1].issuer and one not in chain), None):
        chain.append(issuer)
    return chain


def to_asn1(certificate: x509.Certificate) -> asn1.Certificate:
    """Return a certificate as pyHanko takes it."""
    return asn1.Certificate.load(certificate.public_bytes(Encoding.DER))


def store_of(certificates: Iterable[x509.Certificate]) -> SimpleCertificateStore:
    """Return certificates as pyHanko takes those that go into a signature besides the signer's own."""
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    for certificate in certificates:
        store.register(to_asn1(certificate))
    return store


def one_line(error: object) -> str:
    """Return what a library says of an error, on one line; it may quote what a service sent."""
    return " ".join(plain(error).split()) or type(error).__name__
