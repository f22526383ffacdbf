"""A key in a PKCS#12 file (`.p12`, `.pfx`), with its certificates [RFC 7292]."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asn1crypto import keys as asn1_keys  # type: ignore[import-untyped]
from asn1crypto import pkcs12 as asn1_pkcs12
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from pyhanko.sign.signers import SimpleSigner

from kit.errors import SigningError
from kit.record.signatures.keys import SigningKey, chain_of, mechanism_of, one_line, store_of, to_asn1

_EXPORT = "export key and certificates anew: `openssl pkcs12 -export -inkey KEY -in CERTIFICATE -certfile CHAIN`"


@contextmanager
def open_pkcs12(path: Path, passphrase: str) -> Iterator[SigningKey]:
    """Open the key of a PKCS#12 file; no error ever holds the passphrase.

    Raises:
        SigningError: the file can't be read or is no PKCS#12, the passphrase is not its own, or it lacks the key or
            its certificate.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SigningError(f"{path} can't be read: {error.strerror or error}", "name a PKCS#12 file (.p12)") from error
    yield SigningKey(_signer(path, content, passphrase))


def _signer(path: Path, content: bytes, passphrase: str) -> SimpleSigner:
    if not _is_pkcs12(content):
        raise SigningError(f"{path} is no PKCS#12 file", "name the .p12 or .pfx file that holds the signer's key")
    try:
        found = pkcs12.load_pkcs12(content, passphrase.encode("utf-8", "surrogateescape"))
    except UnsupportedAlgorithm as error:
        raise SigningError(f"{path} is encrypted in a way that is not supported: {one_line(error)}", _EXPORT) from error
    except (ValueError, TypeError):
        # the library's own words are left out: they are the same for a damaged file, and may quote what was given
        raise SigningError(
            f"{path} can't be opened: the passphrase is wrong, or the file is damaged", "give its passphrase"
        ) from None
    if found.key is None:
        raise SigningError(f"{path} holds no private key", _EXPORT)
    if found.cert is None:
        raise SigningError(f"{path} holds no certificate for its key", _EXPORT)
    leaf = found.cert.certificate
    _, *issuers = chain_of(leaf, [one.certificate for one in found.additional_certs])
    key = found.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return SimpleSigner(
        signing_cert=to_asn1(leaf),
        signing_key=asn1_keys.PrivateKeyInfo.load(key),
        signature_mechanism=mechanism_of(leaf),
        cert_registry=store_of(issuers),
    )


def _is_pkcs12(content: bytes) -> bool:
    try:
        return bool(asn1_pkcs12.Pfx.load(content, strict=True)["version"].native == "v3")
    except (ValueError, TypeError, KeyError):
        return False
