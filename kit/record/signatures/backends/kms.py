"""A key in AWS KMS, which never leaves it; its certificate is on this machine. This module loads boto3."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pyhanko.sign.signers import Signer

from kit.errors import SigningError
from kit.record.signatures.keys import (
    SigningKey,
    digest_of,
    load_pem,
    mechanism_of,
    one_line,
    public_key,
    store_of,
    subject_of,
    to_asn1,
)

_ALGORITHMS = {"rsassa_pkcs1v15": "RSASSA_PKCS1_V1_5", "rsassa_pss": "RSASSA_PSS", "ecdsa": "ECDSA"}
_ALLOW = "let this identity make the call (its policies, the key's policy), or sign in as one that may"
_REMEDIES = {
    "NotFoundException": "name the key by its id, its ARN or an alias, and its Region",
    "DisabledException": "enable the key, or name another",
    "KMSInvalidStateException": "enable the key, or name another",
    "UnsupportedOperationException": "name an asymmetric key, with the key usage SIGN_VERIFY",
}


@contextmanager
def open_kms(
    key_id: str,
    certificates: Path,
    region: str | None = None,
    profile: str | None = None,
    endpoint_url: str | None = None,
) -> Iterator[SigningKey]:
    """Open an asymmetric KMS key (key usage SIGN_VERIFY), with the STS identity that uses it.

    `certificates` is a PEM file: the certificate of the key, then those of its issuers. KMS is sent the digest alone.
    It signs with ECDSA, with RSA PKCS#1 v1.5, or with RSA-PSS where the certificate's key is for PSS alone. IAM:
    kms:GetPublicKey, kms:Sign; sts:GetCallerIdentity, which no policy can deny. Source: KMS API reference,
    "GetPublicKey", "Sign".

    Raises:
        SigningError: a call is denied or gets no answer, the key is not that of the certificate or not for signing, or
            the certificates can't be read.
    """
    leaf, *issuers = load_pem(certificates)
    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        kms = session.client("kms", endpoint_url=endpoint_url, config=_config(endpoint_url))
        sts = session.client("sts", endpoint_url=endpoint_url, config=_config(endpoint_url))
    except (BotoCoreError, ValueError) as error:
        raise SigningError(
            f"KMS can't be asked: {one_line(error)}", "name a Region, and a profile that exists"
        ) from error
    caller = _ask(sts, "GetCallerIdentity")["Arn"]
    signer = _KmsSigner(kms, key_id, leaf, issuers)
    answer = _ask(kms, "GetPublicKey", KeyId=key_id)
    if not _is_key_of(leaf, answer["PublicKey"]):
        raise SigningError(
            f"the KMS key {key_id} is not the key of the certificate {subject_of(leaf)}",
            "name the key that the certificate was issued for",
        )
    if signer.algorithm not in answer.get("SigningAlgorithms", ()):
        raise SigningError(
            f"the KMS key {key_id} does not sign with {signer.algorithm}", "make a key with the key usage SIGN_VERIFY"
        )
    yield SigningKey(signer, caller)


class _KmsSigner(Signer):
    """Signs by `Sign`, which is sent the digest of what is to be signed."""

    def __init__(self, kms: Any, key_id: str, leaf: x509.Certificate, issuers: list[x509.Certificate]) -> None:
        mechanism = mechanism_of(leaf)
        super().__init__(
            signing_cert=to_asn1(leaf),
            signature_mechanism=mechanism,
            cert_registry=store_of(issuers),
        )
        self._kms, self._key_id = kms, key_id
        self._bits = public_key(leaf).key_size
        self.algorithm = f"{_ALGORITHMS[mechanism.signature_algo]}_{digest_of(leaf).replace('sha', 'SHA_')}"

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        if dry_run:
            # an ECDSA signature is two numbers of the key's size, in DER
            return bytes(2 * (self._bits // 8) + 16)
        answer = _ask(
            self._kms,
            "Sign",
            KeyId=self._key_id,
            Message=hashlib.new(digest_algorithm, data).digest(),
            MessageType="DIGEST",
            SigningAlgorithm=self.algorithm,
        )
        return bytes(answer["Signature"])


def _config(endpoint_url: str | None) -> Config:
    return Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 4},
        # an endpoint set elsewhere could pass a simulator off as AWS
        ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]
        # plain http is for this machine, which no proxy leads to
        proxies={} if (endpoint_url or "").startswith("http:") else None,
    )


def _ask(client: Any, operation: str, **parameters: Any) -> Mapping[str, Any]:
    """Make one call.

    Raises:
        SigningError: it is refused, or gets no answer; names the call.
    """
    try:
        answer: Mapping[str, Any] = getattr(client, xform_name(operation))(**parameters)
    except ClientError as error:
        # it may be another call, which botocore made for the role of a profile
        call, code = error.operation_name, error.response.get("Error", {}).get("Code", "no code")
        raise SigningError(f"{call} was refused: {code}", _REMEDIES.get(code, _ALLOW)) from error
    except BotoCoreError as error:
        raise SigningError(
            f"{operation} got no answer: {type(error).__name__}", "see that credentials, Region and network are right"
        ) from error
    return answer


def _is_key_of(certificate: x509.Certificate, answered: bytes) -> bool:
    try:
        key = load_der_public_key(answered)
    except ValueError:
        return False
    return public_key(certificate) == key
