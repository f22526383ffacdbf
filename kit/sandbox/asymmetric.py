"""Signing a digest with an asymmetric key of KMS: moto takes every message for the document, and hashes it again.

Source: KMS API reference, "Sign".
"""

import base64
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from kit.sandbox.additions import key_of, prepares, resolve_key
from kit.sandbox.calls import Answer, Call, error, json_answer

_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


@prepares("kms", "Sign")
def sign(call: Call) -> Answer | dict[str, Any]:
    """Sign what is a digest as it is; what is a message is left to moto."""
    resolved = resolve_key(call)
    if isinstance(resolved, Answer) or resolved.get("MessageType") != "DIGEST":
        return resolved
    call = replace(call, parameters=resolved)
    key, algorithm = key_of(call), str(call.parameters.get("SigningAlgorithm"))
    digest = base64.b64decode(call.parameters["Message"])
    chosen = _HASHES.get(algorithm[-3:])
    if chosen is None or algorithm not in (key.signing_algorithms or []):
        return error(call, 400, "InvalidKeyUsageException", f"{algorithm} is incompatible with the key.")
    if len(digest) != chosen.digest_size:
        return error(call, 400, "ValidationException", "Digest is invalid length for algorithm.")
    held: Any = key.private_key
    made = _signed(held.private_key, digest, algorithm, chosen)
    signature = base64.b64encode(made).decode()
    return json_answer({"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": algorithm})


def _signed(private: Any, digest: bytes, algorithm: str, chosen: hashes.HashAlgorithm) -> bytes:
    if algorithm.startswith("ECDSA"):
        return bytes(private.sign(digest, ec.ECDSA(Prehashed(chosen))))
    pss = padding.PSS(padding.MGF1(chosen), chosen.digest_size)
    return bytes(private.sign(digest, pss if "PSS" in algorithm else padding.PKCS1v15(), Prehashed(chosen)))
