"""Whether a trust root issued a certificate, as of a time in the past, with what the file itself keeps to tell it.

Offline: certificates and revocation data are those within the signature and in the file's `/DSS`, which PAdES B-LT puts
there (ETSI EN 319 142-1, 5.4); validation is that of RFC 5280, by pyhanko-certvalidator.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from asn1crypto import crl, ocsp  # type: ignore[import-untyped]
from asn1crypto import x509 as asn1
from cryptography import x509
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.errors import PathError, RevokedError, ValidationError
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import CertRevTrustPolicy, RevocationCheckingPolicy, RevocationCheckingRule

from kit.record.pdf.structure import Document, View
from kit.record.signatures.keys import one_line, subject_of, to_asn1
from kit.record.signatures.message import Message

_LARGEST = 1 << 26
_REQUIRED = RevocationCheckingRule.CRL_OR_OCSP_REQUIRED
_DECLARED = RevocationCheckingRule.CHECK_IF_DECLARED_SOFT


class UnknownIssuer(Exception):
    """No trust root issued a certificate; says why, to who validates and names the signature."""


@dataclass(frozen=True)
class Trust:
    """Trust roots, and the certificates and revocation data that a file holds."""

    roots: Sequence[asn1.Certificate]
    certificates: Sequence[asn1.Certificate]
    crls: Sequence[crl.CertificateList]
    ocsps: Sequence[ocsp.OCSPResponse]

    @classmethod
    def of(cls, document: Document, roots: Sequence[x509.Certificate]) -> Self:
        """Return the trust that some roots and a file's own validation data give.

        Raises:
            RejectionError: its validation data are malformed.
        """
        view = document.view()
        store = view.dictionary(view.catalog.get("DSS", {}), "security store")
        try:
            return cls(
                [to_asn1(one) for one in roots],
                [asn1.Certificate.load(one, strict=True) for one in _streams(view, store, "Certs")],
                [crl.CertificateList.load(one, strict=True) for one in _streams(view, store, "CRLs")],
                [ocsp.OCSPResponse.load(one, strict=True) for one in _streams(view, store, "OCSPs")],
            )
        except (ValueError, TypeError) as error:
            document.reject(f"its validation data are malformed: {one_line(error)}")

    def root_of(self, message: Message, moment: datetime, *, proven: bool) -> str:
        """Return the subject of the root that issued the certificate of a signature, valid at a moment.

        `proven` is whether the moment is more than the signer's word. If it is not, a revocation counts whenever it
        was: nobody knows whether he signed before it.

        Raises:
            ValueError: a certificate on the way to the root is revoked; the libraries raise others, on malformed data.
            UnknownIssuer: there is no way to a root.
        """
        # the data of the file are held against the signer's certificate even where it names no address of any
        rules = [_REQUIRED, _DECLARED] if self.crls or self.ocsps else [_DECLARED]
        failure: Exception | None = None
        for rule in rules:
            try:
                anchor = self._path(message, moment, rule, proven=proven).trust_anchor
            except RevokedError as error:
                raise ValueError(f"its certificate is revoked: {one_line(error)}") from error
            except (PathError, ValidationError) as error:
                failure = error
                continue
            if isinstance(anchor, CertTrustAnchor):
                return subject_of(x509.load_der_x509_certificate(anchor.certificate.dump()))
        raise UnknownIssuer(one_line(failure or "its root is no certificate")) from failure

    def _path(
        self, message: Message, moment: datetime, rule: RevocationCheckingRule, *, proven: bool
    ) -> ValidationPath:
        sent = [*message.certificates.other_certs, *self.certificates]
        policy = RevocationCheckingPolicy(rule, _DECLARED)
        context = ValidationContext(
            trust_roots=list(self.roots),
            other_certs=sent,
            crls=list(self.crls),
            ocsps=list(self.ocsps),
            moment=moment,
            allow_fetching=False,
            # what is kept in the file was fetched after the signature was made
            revinfo_policy=CertRevTrustPolicy(policy, retroactive_revinfo=True),
        )
        timing = context.timing_params
        known = replace(timing.timing_info, point_in_time_validation=proven)
        context.timing_params = replace(timing, timing_info=known)
        validator = CertificateValidator(
            message.certificates.signer_cert, intermediate_certs=sent, validation_context=context
        )
        # in a thread of its own: a notebook's kernel already runs a loop in this one
        with ThreadPoolExecutor(1) as executor:
            return executor.submit(lambda: asyncio.run(validator.async_validate_path())).result()


def _streams(view: View, store: Mapping[str, Any], key: str) -> Iterator[bytes]:
    for item in view.array(store.get(key, []), "list of validation data"):
        yield view.document.data(view.resolve(item), _LARGEST)
