"""A key on a PKCS#11 token: a smart card, a USB token, an HSM [OASIS PKCS #11]."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from pyhanko.config.pkcs11 import TokenCriteria

from kit.errors import SigningError
from kit.record.signatures.keys import (
    SigningKey,
    chain_of,
    load_der,
    load_pem,
    mechanism_of,
    one_line,
    public_key,
    to_asn1,
)

_REMEDIES = {
    "PinIncorrect": "give the user PIN of the token; most tokens lock themselves after a few wrong ones",
    "PinLenRange": "give the user PIN of the token; most tokens lock themselves after a few wrong ones",
    "PinLocked": "have the token unlocked with its security officer's PIN",
    "TokenNotPresent": "put the token in",
    "DeviceRemoved": "put the token back in, and sign again",
}
_LOOK = "see what is there: `pkcs11-tool --module MODULE --list-token-slots`, and `--list-objects`"


@contextmanager
def open_pkcs11(
    module: Path, token_label: str, pin: str, key_label: str, certificates: Path | None = None
) -> Iterator[SigningKey]:
    """Open the private key with a label on a token, for as long as the block runs; no error ever holds the PIN.

    `module` is the library of the token's maker. `certificates` is a PEM file: the certificate of the key, then those
    of its issuers; without one, the certificate is that on the token with the key's label, and its issuers are looked
    for there.

    Raises:
        SigningError: the extra `pkcs11` is not installed, the library can't be loaded, the token is not there, the PIN
            is wrong, or no key or certificate, or more than one, has the label; at the end of the block, that the
            token refused to sign.
    """
    try:
        pkcs11 = import_module("pkcs11")
        from pyhanko.sign.pkcs11 import PKCS11Signer, open_pkcs11_session  # noqa: PLC0415
    except ImportError as error:
        raise SigningError("a PKCS#11 token needs a library more", "pip install 'trailkit[pkcs11]'") from error
    try:
        with open_pkcs11_session(str(module), token_criteria=TokenCriteria(token_label), user_pin=pin) as session:
            leaf, *issuers = load_pem(certificates) if certificates else _certificates(session, key_label)
            signer = PKCS11Signer(
                session,
                signing_cert=to_asn1(leaf),
                ca_chain=[to_asn1(one) for one in issuers],
                key_label=key_label,
                signature_mechanism=mechanism_of(leaf),
                # many tokens sign digests alone by ECDSA
                use_raw_mechanism=isinstance(public_key(leaf), ec.EllipticCurvePublicKey),
            )
            # looks for the key
            _ = signer.signing_cert
            yield SigningKey(signer)
    except pkcs11.PKCS11Error as error:
        kind = type(error).__name__
        said = "" if str(error) in {"", kind} else f": {one_line(error)}"
        raise SigningError(
            f"the token {token_label} can't be used ({kind}{said})", _REMEDIES.get(kind, _LOOK)
        ) from error


def _certificates(session: Any, label: str) -> list[x509.Certificate]:
    """Return the certificate on the token with a label, and its issuers that are there too."""
    pkcs11 = import_module("pkcs11")
    pool, labelled = [], []
    for found in session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE}):
        pool.append(load_der(found[pkcs11.Attribute.VALUE]))
        if found[pkcs11.Attribute.LABEL] == label:
            labelled.append(pool[-1])
    if len(labelled) != 1:
        raise SigningError(
            f"the token has {len(labelled) or 'no'} certificates with the label {label}", "name a file of certificates"
        )
    return chain_of(labelled[0], pool)
