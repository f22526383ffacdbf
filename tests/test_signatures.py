"""A signature holds or is rejected by name and reason: who, what, when, how much of the file, and whom a root knows."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from asn1crypto import cms, core
from asn1crypto import keys as asn1_keys
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from fixtures.identities import (
    BEGIN,
    END,
    EXECUTOR,
    NOW,
    Identity,
    intermediate,
    issue,
    odd,
    person,
    pss_only,
    record_pdf,
    root,
    timestamper,
)
from fixtures.pdfs import (
    NAMES,
    ROOM,
    Forgery,
    Raw,
    Update,
    key_of,
    long_term,
    sign,
    signed,
    stated,
    timestamped,
    written,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.sign.timestamps.dummy_client import DummyTimeStamper

from kit.canonical import canonical
from kit.errors import RejectionError
from kit.record.pdf.syntax import Name
from kit.record.signatures.keys import store_of, subject_of, to_asn1
from kit.record.signatures.validate import Signed, Validation, read_signatures, validate

LONG_AGO = "2020-06-01T08:00:00.000Z"


def roots() -> list[x509.Certificate]:
    return [root().certificate]


def judged(content: bytes, trust: list[x509.Certificate] | None = None) -> Validation:
    with written(content) as path:
        return validate(path, trust)


def only(content: bytes, trust: list[x509.Certificate] | None = None) -> Signed:
    (made,) = judged(content, trust).signatures
    return made


def rejected(content: bytes, message: str, trust: list[x509.Certificate] | None = None) -> None:
    with pytest.raises(RejectionError, match=rf"^record\.signed\.pdf: the [\w-]+ (?:{message})"):
        judged(content, trust)


def stamper(time: datetime = NOW, who: Identity | None = None) -> DummyTimeStamper:
    """Return a timestamp authority that runs here."""
    given = who or timestamper()
    key = given.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return DummyTimeStamper(
        to_asn1(given.certificate), asn1_keys.PrivateKeyInfo.load(key), store_of(given.issuers), fixed_dt=time
    )


def stamped(forgery: Forgery, time: datetime = NOW, who: Identity | None = None) -> Forgery:
    """Give a forgery a timestamp in its signature."""

    def made(digest: bytes) -> bytes:
        signer = key_of(forgery.who).signer
        return asyncio.run(signer.async_sign(digest, "sha256", use_pades=True, timestamper=stamper(time, who))).dump()

    forgery.sign = made
    return forgery


# What holds, and what is told of it


def test_unsigned_record_has_no_signatures() -> None:
    with written(record_pdf()) as path:
        assert read_signatures(path) == []
    assert judged(record_pdf()) == Validation((), ())


def test_signatures_are_told_with_all_that_they_state() -> None:
    content = signed("executor", "reviewer", "approver")
    made = judged(content, roots()).signatures
    assert [one.field for one in made] == ["Signature-executor", "Signature-reviewer", "Signature-approver"]
    assert [one.statement for one in made] == [stated(person(name), role) for role, name in NAMES.items()]
    assert [one.covers for one in made] == sorted(one.covers for one in made)
    last, certificate = made[-1], person(NAMES["approver"]).certificate
    assert (last.covers, last.sub_filter) == (len(content), "ETSI.CAdES.detached")
    assert last.certificate.subject == last.statement.subject == subject_of(certificate)
    assert last.certificate.issuer == subject_of(intermediate().certificate)
    assert last.certificate.serial == f"{certificate.serial_number:x}"
    assert last.certificate.sha256 == hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    assert last.certificate.not_after == END
    assert (last.time, last.timestamp, last.clock) == (NOW, None, "signer")
    assert {one.root for one in made} == {subject_of(root().certificate)}


def test_without_roots_nobody_is_known() -> None:
    content = signed("executor")
    assert only(content).root == ""
    with written(content) as path:
        assert read_signatures(path) == [only(content)]


def test_timestamp_of_a_signature_is_told() -> None:
    made = only(timestamped(), roots())
    assert made.timestamp is not None
    assert (made.timestamp.time, made.timestamp.authority) == (NOW, subject_of(timestamper().certificate))
    assert (made.timestamp.root, made.clock) == (subject_of(root().certificate), "timestamp")
    unknown = only(timestamped())
    assert unknown.timestamp is not None
    assert (unknown.timestamp.root, unknown.clock) == ("", "signer")


def test_timestamp_of_the_document_is_no_signature_of_a_person() -> None:
    made = judged(long_term(), roots())
    assert len(made.signatures) == len(made.timestamps) == 1
    assert made.timestamps[0].covers == len(long_term()) > made.signatures[0].covers
    assert made.timestamps[0].root == subject_of(root().certificate)


HOLDING: dict[str, Callable[[], Identity]] = {
    "RSA": lambda: person(EXECUTOR),
    "P-256": lambda: person(EXECUTOR, "p256"),
    "P-384": lambda: person(EXECUTOR, "p384"),
    "P-521": lambda: person(EXECUTOR, "p521"),
    "RSA-PSS": pss_only,
    "without key usage": lambda: odd("without key usage"),
    "without a common name": lambda: odd("without a common name"),
}


@pytest.mark.parametrize("case", HOLDING)
def test_certificate_of_every_kind_that_the_kit_signs_with_holds(case: str) -> None:
    assert only(sign(record_pdf(), HOLDING[case]()), roots()).root


@pytest.mark.parametrize("case", ["self-signed", "of another authority"])
def test_certificate_that_no_root_issued_holds_for_nobody_known_alone(case: str) -> None:
    content = sign(record_pdf(), odd(case))
    assert only(content).root == ""
    rejected(content, "is by a certificate that no trusted root issued", roots())


def test_no_roots_at_all_trust_nobody() -> None:
    rejected(signed("executor"), "is by a certificate that no trusted root issued", [])


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_better_digests_hold_beside_one_another(digest: str) -> None:
    forgery = Forgery(signed("executor"), person(NAMES["reviewer"]), "reviewer")
    forgery.digest = digest
    assert len(judged(forgery.content()).signatures) == 2


def test_texts_of_every_alphabet_are_compared() -> None:
    for meaning in ("Überprüft (…) \\ %", "読んだ", "a" * 500, "\U0001f58b", "(("):
        assert only(sign(record_pdf(), person(), meaning=meaning)).statement.meaning == meaning


def test_signature_is_judged_where_a_loop_already_runs() -> None:
    """As in the kernel of a notebook."""

    content = timestamped()

    async def within() -> Validation:
        return judged(content, roots())

    assert asyncio.run(within()).signatures[0].root


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    judged(long_term(), roots())
    with pytest.raises(RejectionError):
        judged(signed("executor"), [])
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


# Times


def test_record_is_read_years_later() -> None:
    """The certificate expired in 2021; it signed before, and that is what counts."""
    assert only(sign(record_pdf(), odd("expired"), time=LONG_AGO), roots()).root


@pytest.mark.parametrize("case", ["expired", "not yet valid"])
def test_certificate_that_was_not_valid_then_is_rejected(case: str) -> None:
    content = sign(record_pdf(), odd(case))
    for trust in (None, roots()):
        rejected(
            content, r"is by a certificate that was not valid when it signed, 2026-11-24 by the signer's clock", trust
        )


def test_trusted_timestamp_counts_more_than_the_signer_s_clock() -> None:
    who = issue(EXECUTOR, intermediate(), end=NOW + timedelta(minutes=5))
    content = stamped(Forgery(record_pdf(), who), NOW + timedelta(minutes=10)).content()
    assert only(content).clock == "signer"
    rejected(content, "is by a certificate that was not valid when it signed, 2026-11-24 by its timestamp", roots())


def test_timestamp_by_an_authority_that_nobody_knows_counts_for_nothing() -> None:
    authority = issue("Other Timestamps", root("Another Root CA"), purpose=ExtendedKeyUsageOID.TIME_STAMPING)
    made = only(stamped(Forgery(record_pdf()), who=authority).content(), roots())
    assert made.timestamp is not None
    assert (made.timestamp.root, made.clock) == ("", "signer")


@pytest.mark.parametrize(("minutes", "holds"), [(-60, True), (60, True), (61, False), (-61, False)])
def test_clocks_may_be_an_hour_apart(minutes: int, holds: bool) -> None:
    content = stamped(Forgery(record_pdf()), NOW + timedelta(minutes=minutes)).content()
    if holds:
        assert only(content)
    else:
        rejected(content, "states another time than its timestamp")


AUTHORITIES: dict[str, Callable[[], Identity]] = {
    "person": lambda: person("Ravi Patel"),
    "expired": lambda: issue(
        "Old Timestamps", root(), purpose=ExtendedKeyUsageOID.TIME_STAMPING, end=datetime(2021, 1, 1, tzinfo=UTC)),
    "server": lambda: issue("Some Server", root(), purpose=ExtendedKeyUsageOID.SERVER_AUTH),
}  # fmt: skip


@pytest.mark.parametrize("case", AUTHORITIES)
def test_timestamp_by_who_is_no_timestamp_authority_is_rejected(case: str) -> None:
    content = stamped(Forgery(record_pdf()), who=AUTHORITIES[case]()).content()
    rejected(content, "does not hold: its timestamp is by a certificate that")


# Revocation


def crl(*revoked: tuple[x509.Certificate, datetime], by: Identity | None = None) -> bytes:
    issuer = by or intermediate()
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(intermediate().certificate.subject)
        .last_update(NOW + timedelta(days=1))
        .next_update(END)
    )
    for certificate, when in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(when)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def responding() -> Identity:
    """Return the executor with a certificate that names a responder; nobody ever asks it."""
    who = person()
    names = [
        x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://o.test"))
    ]
    builder = x509.CertificateBuilder(
        who.certificate.issuer, who.certificate.subject, who.certificate.public_key(), 4711, BEGIN, END
    )
    for extension in [one.value for one in who.certificate.extensions] + [x509.AuthorityInformationAccess(names)]:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.KeyUsage))
    return Identity(builder.sign(intermediate().key, hashes.SHA256()), who.key, who.issuers)


def ocsp_response(certificate: x509.Certificate, when: datetime) -> bytes:
    issuer = intermediate()
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate, issuer=issuer.certificate, algorithm=hashes.SHA1(),  # noqa: S303 - as RFC 6960 has it
        cert_status=ocsp.OCSPCertStatus.REVOKED, this_update=NOW + timedelta(days=1), next_update=END,
        revocation_time=when, revocation_reason=None,
    ).responder_id(ocsp.OCSPResponderEncoding.NAME, issuer.certificate)  # fmt: skip
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def with_validation_data(pdf: bytes, **data: bytes) -> bytes:
    """Return a signed record with validation data, which a second signer appended."""
    forgery = Forgery(pdf, person(NAMES["reviewer"]), "reviewer")
    store = {key: [forgery.update.add(({}, content))] for key, content in data.items()}
    forgery.catalog["DSS"] = forgery.update.add(store)
    return forgery.content()


BEFORE, AFTER = NOW - timedelta(days=1), NOW + timedelta(hours=1)


@pytest.mark.parametrize("url", ["", "http://lists.test"], ids=["named nowhere", "named in the certificate"])
def test_certificate_on_a_revocation_list_is_rejected(url: str) -> None:
    who = person(crl_url=url)
    content = with_validation_data(stamped(Forgery(record_pdf(), who)).content(), CRLs=crl((who.certificate, BEFORE)))
    rejected(content, "does not hold: its certificate is revoked", roots())
    assert len(judged(content).signatures) == 2


def test_certificate_that_a_responder_revoked_is_rejected() -> None:
    who = responding()
    pdf = stamped(Forgery(record_pdf(), who)).content()
    assert only(pdf, roots()).root
    content = with_validation_data(pdf, OCSPs=ocsp_response(who.certificate, BEFORE))
    rejected(content, "does not hold: its certificate is revoked", roots())


def test_revocation_after_a_trusted_timestamp_comes_too_late() -> None:
    content = with_validation_data(timestamped(), CRLs=crl((person().certificate, AFTER)))
    assert judged(content, roots()).signatures[0].clock == "timestamp"


def test_revocation_counts_whenever_it_was_where_the_signer_s_clock_is_all_there_is() -> None:
    content = with_validation_data(signed("executor"), CRLs=crl((person().certificate, AFTER)))
    rejected(content, "does not hold: its certificate is revoked", roots())


def test_revocation_by_somebody_else_counts_for_nothing() -> None:
    content = with_validation_data(signed("executor"), CRLs=crl((person().certificate, BEFORE), by=person()))
    assert len(judged(content, roots()).signatures) == 2


def test_list_that_does_not_revoke_holds() -> None:
    content = with_validation_data(signed("executor"), CRLs=crl((odd("expired").certificate, BEFORE)))
    assert len(judged(content, roots()).signatures) == 2


@pytest.mark.parametrize("kind", ["Certs", "CRLs", "OCSPs"])
def test_malformed_validation_data_are_rejected(kind: str) -> None:
    content = with_validation_data(signed("executor"), **{kind: b"none"})
    with pytest.raises(RejectionError, match=r"^record\.signed\.pdf"):
        judged(content, roots())


# Forgeries


def field(**entries: Any) -> Callable[[Forgery], None]:
    return lambda forgery: forgery.field.update(entries)


def signature(**entries: Any) -> Callable[[Forgery], None]:
    return lambda forgery: forgery.signature.update(entries)


def statement(**entries: Any) -> Callable[[Forgery], None]:
    """State something else, canonically."""

    def change(forgery: Forgery) -> None:
        value = forgery.statement.to_json() | entries
        forgery.field["TrailkitStatement"] = canonical(value)

    return change


def written_as(change: Callable[[bytes], bytes]) -> Callable[[Forgery], None]:
    def made(forgery: Forgery) -> None:
        forgery.field["TrailkitStatement"] = change(forgery.field["TrailkitStatement"])

    return made


def on_the_first_page(forgery: Forgery) -> None:
    forgery.page = forgery.field["P"] = forgery.update.pages[0]
    forgery.pages = {forgery.page: forgery.update.old(forgery.page)}


def of_nobody(forgery: Forgery) -> None:
    forgery.field["TrailkitStatement"] = None


STATEMENTS: dict[str, tuple[Callable[[Forgery], None], str]] = {
    "no statement": (of_nobody, "states nothing that can be read"),
    "statement that is no JSON": (written_as(lambda text: text[:-1]), "states nothing that can be read"),
    "statement of bytes": (written_as(lambda _: b"\xff"), "states nothing that can be read"),
    "statement in depth": (written_as(lambda _: b"[" * 100_000), "states nothing that can be read"),
    "statement with a number that is none": (written_as(lambda _: b"NaN"), "states nothing that can be read"),
    "statement with more": (statement(more=1), "states nothing that can be read"),
    "statement of an unknown role": (statement(role="owner"), "states nothing that can be read"),
    "statement with spaces": (written_as(lambda text: text + b" "), "states something that is not in canonical form"),
    "statement with a member twice": (
        written_as(lambda text: text.replace(b"{", b'{"caller":"another",', 1)),
        "states something that is not in canonical form"),
    "statement in another order": (
        written_as(lambda text: json.dumps(dict(reversed(json.loads(text).items()))).encode()),
        "states something that is not in canonical form"),
    "another role": (statement(role="reviewer"), "states the role reviewer, and is in the field of another"),
    "another name": (statement(name="Ana Núñez"), "states the name Ana Núñez, and its certificate is"),
    "another subject": (statement(subject="CN=Ana"), "states the name"),
    "another meaning": (statement(meaning="I approve."), "says another name or meaning than it states"),
    "another time": (statement(time="2026-11-24T09:30:01.000Z"), "says another time than it states"),
    "no time": (statement(time="today"), "states no time"),
    "time that is none": (statement(time="2026-13-24T09:30:00.000Z"), "does not hold"),
    "other shown name": (signature(Name=b"Ana"), "says another name or meaning"),
    "no shown name": (lambda forgery: forgery.signature.pop("Name"), "does not hold"),
    "other shown time": (signature(M=b"D:20261124093000+01'00'"), "says another time"),
    "shown time that is no text": (signature(M=Name("now")), "does not hold|says another time"),
    "another place": (field(Rect=[0, 0, 595, 842]), "is not shown in its place"),
    "place of another": (field(Rect=[51, 410, 544, 560]), "is not shown in its place"),
    "place that is none": (field(Rect=[51, 570, 544]), "is not shown in its place"),
    "place of texts": (field(Rect=[b"", b"", b"", b""]), "is not shown in its place"),
    "place in one number": (field(Rect=1), "is not shown in its place"),
    "another page": (on_the_first_page, "is not shown in its place"),
    "another filter": (signature(SubFilter=Name("adbe.pkcs7.detached")), "is of another kind"),
    "another type": (signature(Type=Name("Other")), "is of another kind"),
    "timestamp that is a person's": (signature(Type=Name("DocTimeStamp")), "is of another kind"),
}  # fmt: skip


@pytest.mark.parametrize("case", STATEMENTS)
def test_signature_that_says_two_things_is_rejected(case: str) -> None:
    change, message = STATEMENTS[case]
    forgery = Forgery(record_pdf())
    change(forgery)
    rejected(forgery.content(), message)


# each of a hole that starts at s and ends at e, in a file of n bytes
RANGES: dict[str, Callable[[int, int, int], list[int]]] = {
    "all but the last byte": lambda s, e, n: [0, s, e, n - e - 1],
    "all but the first byte": lambda s, e, n: [1, s - 1, e, n - e],
    "with a wider hole": lambda s, e, n: [0, s, e + 1, n - e - 1],
    "with a hole that starts before": lambda s, e, n: [0, s - 1, e, n - e],
    "with the brackets": lambda s, e, n: [0, s + 1, e - 1, n - e + 1],
    "with two holes": lambda s, e, n: [0, 9, 10, s - 10, e, n - e],
    "of the start alone": lambda s, _e, _n: [0, s],
    "of nothing": lambda _s, _e, _n: [],
    "of the first revision alone": lambda _s, _e, _n: [0, 100, 100, len(record_pdf()) - 100],
}


@pytest.mark.parametrize("case", RANGES)
def test_signature_that_does_not_cover_its_revision_is_rejected(case: str) -> None:
    rejected(Forgery(record_pdf()).content(cover=RANGES[case]), r"does not cover its revision whole \(/ByteRange\)")


def test_range_or_contents_that_are_null_are_rejected() -> None:
    """Universal signature forgery: what can't be computed is not taken for what holds."""
    for entries, message in (({"ByteRange": None}, "does not cover"), ({"Contents": None}, "is not written in hexa")):
        forgery = Forgery(record_pdf())
        forgery.signature |= {key: Raw(b"null") for key in entries}
        rejected(forgery.content(), message)


def test_signature_moved_to_another_revision_is_rejected() -> None:
    """Signature wrapping: the executor's signature, whole, in a field of the reviewer."""
    before = signed("executor")
    with written(before) as path:
        covers = read_signatures(path)[0].covers
    forgery = Forgery(before, person(), "reviewer")
    place = before.rindex(b"/Contents <") + 10
    end = before.index(b">", place) + 1
    forgery.signature["Contents"] = Raw(before[place:end])
    forgery.signature["ByteRange"] = [0, place, end, covers - end]
    rejected(forgery.content(), "does not cover its revision whole")


HOLES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "in small letters": (bytes.lower, "is not written in the one way"),
    "with a space": (lambda text: text[:-2] + b"  ", "is not written in the one way"),
    "with an odd digit": (lambda text: text[:-1] + b" ", "is not written in the one way"),
    "with a tail": (lambda text: text[:-2] + b"01", "is not written in the one way"),
    "of nothing": (lambda text: b"0" * len(text), "is not written in the one way"),
    "of a cut message": (lambda text: text[:100] + b"0" * (len(text) - 100), "does not hold"),
    "of a longer message": (lambda text: b"3082FFFF" + text[8:], "is not written in the one way"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOLES)
def test_contents_written_in_another_way_are_rejected(case: str) -> None:
    change, message = HOLES[case]
    content = signed("executor")
    start = content.rindex(b"/Contents <") + 11
    end = content.index(b">", start)
    rejected(content[:start] + change(content[start:end]) + content[end:], message)


def remade(change: Callable[[Any], Any]) -> Callable[[Forgery], None]:
    """Change the message after it was signed."""

    def made(forgery: Forgery) -> None:
        def cms_of(digest: bytes) -> bytes:
            message = cms.ContentInfo.load(forgery.cms(digest))
            result = change(message)
            return result if isinstance(result, bytes) else message.dump(force=True)

        forgery.sign = cms_of

    return made


def data(message: Any) -> Any:
    return message["content"]


def info(message: Any) -> Any:
    return message["content"]["signer_infos"][0]


def without_naming(message: Any) -> None:
    kept = [one for one in info(message)["signed_attrs"] if one["type"].native != "signing_certificate_v2"]
    info(message)["signed_attrs"] = cms.CMSAttributes(kept)


def by_another_key(forgery: Forgery) -> None:
    signer = key_of(Identity(forgery.who.certificate, person("Ravi Patel").key, forgery.who.issuers)).signer
    forgery.sign = lambda digest: asyncio.run(signer.async_sign(digest, "sha256", use_pades=True)).dump()


def of_another_digest(forgery: Forgery) -> None:
    forgery.sign = lambda digest: forgery.cms(hashlib.sha256(digest).digest())


def weak(forgery: Forgery) -> None:
    forgery.digest = "sha1"


def with_certificate(who: Callable[[], Identity]) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        data(message)["certificates"].append(cms.CertificateChoices("certificate", to_asn1(who().certificate)))

    return change


def with_another_copy(message: Any) -> None:
    """Put a second certificate of the signer in: of the same issuer and number, for another key."""
    copy = to_asn1(person().certificate).copy()
    copy["tbs_certificate"]["subject_public_key_info"] = to_asn1(root().certificate)["tbs_certificate"][
        "subject_public_key_info"
    ]
    data(message)["certificates"].append(cms.CertificateChoices("certificate", type(copy).load(copy.dump(force=True))))


def with_attribute(message: Any) -> None:
    info(message)["unsigned_attrs"] = [
        cms.CMSAttribute({"type": "1.2.3.4", "values": [core.Any(core.Sequence.load(b"\x30\0"))]})
    ]


def in_other_letters(message: Any) -> bytes:
    whole: bytes = message.dump()
    named: bytes = info(message)["sid"].dump()
    assert whole.count(named) == 1
    return whole.replace(named, named.replace(b"Issuing", b"issuing"))


def with_a_member(message: Any) -> bytes:
    """Put a timestamp where no reader looks for it: asn1crypto passes over what it does not know."""
    whole = info(message).dump()
    at = 4 if whole[1] == 0x82 else 3 if whole[1] == 0x81 else 2
    body = whole[at:] + b"\xa3\x02\x05\x00"
    longer = b"\x30\x82" + len(body).to_bytes(2) + body
    data(message)["signer_infos"] = cms.SignerInfos.load(b"\x31\x82" + len(longer).to_bytes(2) + longer)
    made: bytes = message.dump()
    assert longer in made
    return made


def indefinite(message: Any) -> bytes:
    """Write the outer sequence without its length, as BER may."""
    content: bytes = message.dump()
    return b"\x30\x80" + content[4:] + b"\0\0"


def set_(where: Callable[[Any], Any], **members: Any) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        for name, value in members.items():
            where(message)[name] = value

    return change


def doubled(message: Any) -> None:
    data(message)["signer_infos"].append(info(message))


MESSAGES: dict[str, tuple[Callable[[Forgery], None], str]] = {
    "of another digest": (of_another_digest, "does not hold: what it signs was changed"),
    "by another key": (by_another_key, "does not hold: it is not by the key of its certificate"),
    "of SHA-1": (weak, "does not hold: its digest is sha1, and SHA-256 is the least"),
    "without the signer's certificate": (
        remade(set_(data, certificates=[])), "does not hold"),
    "that does not name its certificate": (
        remade(without_naming), "does not hold: it does not say which certificate signed"),
    "of two signers": (remade(doubled), "does not hold"),
    "with what it signs": (
        remade(set_(lambda message: data(message)["encap_content_info"], content=core.OctetString(b"a"))),
        "does not hold"),
    "of another version": (remade(set_(data, version="v3")), "does not hold: it is of another version"),
    "of a signer's other version": (remade(set_(info, version="v3")), "does not hold"),
    "with another digest listed": (
        remade(set_(data, digest_algorithms=[{"algorithm": "sha512"}])),
        "does not hold: it names more than one digest"),
    "with two digests listed": (
        remade(lambda message: data(message)["digest_algorithms"].append(
            cms.DigestAlgorithm({"algorithm": "sha512"}))), "does not hold: it has other members"),
    "with another mechanism": (
        remade(set_(info, signature_algorithm={"algorithm": "sha256_dsa"})), "does not hold"),
    "with a certificate of somebody else": (
        remade(with_certificate(lambda: person("Ravi Patel"))),
        "does not hold: it holds a certificate that issued none"),
    "with another certificate of the signer": (
        remade(with_another_copy), "does not hold: it holds two certificates of its signer"),
    "with what is not signed": (
        remade(with_attribute), "does not hold: it holds what is not signed, and is no timestamp"),
    "that names its certificate in other letters": (
        remade(in_other_letters), "does not hold: it names its certificate in another way"),
    "with a member of its own": (remade(with_a_member), "does not hold: it has other members"),
    "in BER": (remade(indefinite), "is not written in the one way|does not hold: it is not written in DER"),
    "of data that are not signed": (
        lambda forgery: setattr(forgery, "sign", lambda _: cms.ContentInfo(
            {"content_type": "data", "content": core.OctetString(b"a")}).dump()),
        "does not hold: it has other members"),
    "of nonsense": (lambda forgery: setattr(forgery, "sign", lambda _: b"\x30\x03\x02\x01\x05"), "does not hold"),
    "of depth": (
        lambda forgery: setattr(forgery, "sign", lambda _: nested(600)), "does not hold"),
}  # fmt: skip


def nested(depth: int) -> bytes:
    made = b"\x05\0"
    for _ in range(depth):
        size = len(made)
        made = (
            b"\x30"
            + (bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2) if size > 255 else b"\x81" + bytes([size]))
            + made
        )
    return made


def test_key_that_the_kit_does_not_sign_with_is_rejected() -> None:
    forgery = Forgery(record_pdf(), odd("on another curve"))
    signer = key_of(forgery.who, "sha256").signer
    forgery.sign = lambda digest: asyncio.run(signer.async_sign(digest, "sha256", use_pades=True)).dump()
    rejected(forgery.content(), "does not hold: the certificate .* is for a key of another kind: secp256k1")


@pytest.mark.parametrize("case", MESSAGES)
def test_message_that_is_not_the_signer_s_is_rejected(case: str) -> None:
    change, message = MESSAGES[case]
    forgery = Forgery(record_pdf())
    change(forgery)
    rejected(forgery.content(), message)


def test_certificate_that_is_not_for_signing_is_rejected() -> None:
    rejected(sign(record_pdf(), odd("not for signing")), "does not hold: its certificate is not for signing")


# Timestamps of the document


def document_timestamp(pdf: bytes, time: datetime = NOW) -> Forgery:
    """Return a timestamp of the document, by hand."""
    forgery = Forgery(pdf)
    forgery.field |= {"T": b"Timestamp-executor", "Rect": [0, 0, 0, 0], "TrailkitStatement": None, "AP": None}
    forgery.signature = {
        "Type": Name("DocTimeStamp"), "Filter": Name("Adobe.PPKLite"), "SubFilter": Name("ETSI.RFC3161"),
        "Contents": Raw(b"<" + b"0" * 2 * ROOM + b">"), "ByteRange": Raw(b"[" + b" " * 60 + b"]"),
    }  # fmt: skip
    forgery.sign = lambda digest: asyncio.run(stamper(time).async_timestamp(digest, "sha256")).dump()
    return forgery


def test_timestamp_by_hand_holds() -> None:
    assert len(judged(document_timestamp(signed("executor")).content(), roots()).timestamps) == 1


def of_a_signature(forgery: Forgery) -> None:
    forgery.sign = forgery.cms


def of_something_else(forgery: Forgery) -> None:
    made = forgery.sign
    forgery.sign = lambda digest: made(hashlib.sha256(digest).digest())


def shown(forgery: Forgery) -> None:
    del forgery.field["AP"]


STAMPS: dict[str, tuple[Callable[[Forgery], None], str]] = {
    "that is a signature": (of_a_signature, "does not hold: it is of another kind of content"),
    "of something else": (of_something_else, "does not hold: its timestamp is of something else"),
    "that is shown": (shown, "shows something on a page"),
    "with a place": (field(Rect=[0, 0, 595, 842]), "shows something on a page"),
    "with a place that is none": (field(Rect=1), "shows something on a page"),
    "with a statement": (field(TrailkitStatement=b"{}"), "is no timestamp of a record's document"),
    "with a name": (signature(Name=b"Ana"), "is no timestamp of a record's document"),
    "in the field of a signature": (field(T=b"Signature-reviewer"), "is no timestamp of a record's document"),
    "of another kind": (signature(SubFilter=Name("ETSI.CAdES.detached")), "is of another kind"),
}  # fmt: skip


@pytest.mark.parametrize("case", STAMPS)
def test_timestamp_of_the_document_that_is_none_is_rejected(case: str) -> None:
    change, message = STAMPS[case]
    forgery = document_timestamp(signed("executor"))
    change(forgery)
    rejected(forgery.content(), message)


def test_timestamp_before_what_it_covers_is_rejected() -> None:
    content = document_timestamp(signed("executor"), NOW - timedelta(minutes=61)).content()
    with pytest.raises(RejectionError, match="a timestamp that covers the Signature-executor is of a time before"):
        judged(content)


# Every byte counts


@cache
def topmost() -> tuple[int, int]:
    """Return where, in the message of the executor's signature, the topmost certificate is."""
    content = message_of(signed("executor"))
    certificate = root().certificate.public_bytes(Encoding.DER)
    start = content.index(certificate)
    return start, start + len(certificate)


def message_of(content: bytes) -> bytes:
    start = content.rindex(b"/Contents <") + 11
    whole = bytes.fromhex(content[start : content.index(b">", start)].decode())
    return whole[: 4 + int.from_bytes(whole[2:4])]


@settings(max_examples=150)
@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_of_what_was_appended_is_rejected(place: int, flip: int) -> None:
    content, first = bytearray(signed("executor")), len(record_pdf())
    content[first + place % (len(content) - first)] ^= flip
    with pytest.raises(RejectionError):
        judged(bytes(content))


@settings(max_examples=60)
@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_of_what_was_signed_is_rejected(place: int, flip: int) -> None:
    content = bytearray(signed("executor"))
    content[place % len(record_pdf())] ^= flip
    with pytest.raises(RejectionError):
        judged(bytes(content))


@settings(max_examples=250)
@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_any_changed_byte_of_the_message_is_rejected_but_in_the_topmost_certificate(place: int, flip: int) -> None:
    """Written canonically again, so that nothing but the message itself can tell; see the module `message`."""
    content, message = signed("executor"), bytearray(message_of(signed("executor")))
    place %= len(message)
    message[place] ^= flip
    start = content.rindex(b"/Contents <") + 11
    text = message.hex().upper().encode()
    changed = content[:start] + text + content[start + len(text) :]
    if topmost()[0] <= place < topmost()[1]:
        return
    with pytest.raises(RejectionError):
        judged(changed)


@pytest.mark.parametrize("tag", [0x31, 0x81, 0xA0, 0xA3, 0x04], ids=hex)
def test_timestamp_is_not_passed_over(tag: int) -> None:
    """A reader that skips what it does not know would take the signature for one without a timestamp."""
    content, message = timestamped(), bytearray(message_of(timestamped()))
    of_a_timestamp = core.ObjectIdentifier("1.2.840.113549.1.9.16.2.14").dump()
    place = message.index(of_a_timestamp) - 8
    assert message[place] == 0xA1
    message[place] = tag
    start = content.rindex(b"/Contents <") + 11
    text = message.hex().upper().encode()
    rejected(content[:start] + text + content[start + len(text) :], "does not hold")


def test_of_the_topmost_certificate_only_its_issuer_may_change() -> None:
    """What the module says remains malleable, and no more: nobody signed who issued the root."""
    content, message = signed("executor"), message_of(signed("executor"))
    first, last = topmost()
    certificate = root().certificate
    issuer = certificate.tbs_certificate_bytes.index(certificate.issuer.public_bytes())
    start = content.rindex(b"/Contents <") + 11
    for place in range(first, last, 7):
        changed = bytearray(message)
        changed[place] ^= 1
        within = place - first - 4
        text = changed.hex().upper().encode()
        whole = content[:start] + text + content[start + len(text) :]
        if issuer <= within < issuer + len(certificate.issuer.public_bytes()):
            continue
        with pytest.raises(RejectionError):
            judged(whole)


def test_update_of_a_signed_record_is_told_before_its_signatures() -> None:
    update = Update(signed("executor"))
    update.put(update.pages[0], update.old(update.pages[0]) | {"Rotate": 90})
    with pytest.raises(RejectionError, match="adds /Rotate of page 1"):
        judged(update.content())
