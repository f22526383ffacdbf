"""Keys of identities that nobody has, for demonstrations: made in memory, used, and gone."""

from datetime import UTC, datetime, timedelta

from asn1crypto import keys as asn1_keys  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pyhanko.sign.signers import SimpleSigner

from kit.record.signatures.keys import SigningKey, mechanism_of, store_of, to_asn1
from kit.record.signatures.statement import Role


def throwaway_key(role: Role) -> SigningKey:
    """Return a key with a certificate that it issued to itself, valid for a day, whose every name says what it is."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, f"Demonstration {role} (throw-away identity)"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "trailkit demonstration: no GxP evidence"),
        ]
    )
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    signer = SimpleSigner(
        signing_cert=to_asn1(certificate),
        signing_key=asn1_keys.PrivateKeyInfo.load(der),
        signature_mechanism=mechanism_of(certificate),
        cert_registry=store_of([]),
    )
    return SigningKey(signer)
