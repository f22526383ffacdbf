"""Signing with a key on a PKCS#11 token, SoftHSM standing in for the hardware."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fixtures.identities import (
    APPROVER,
    EXECUTOR,
    REVIEWER,
    Identity,
    intermediate,
    person,
    record_pdf,
    root,
    statement,
)
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from kit.errors import SigningError
from kit.record.signatures.backends.pkcs11 import open_pkcs11
from kit.record.signatures.keys import to_asn1
from kit.record.signatures.pades import append_signature

TOKEN, PIN = "trailkit tests", "4711-pin"
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
PEOPLE = {EXECUTOR: "rsa", APPROVER: "p256", REVIEWER: "p384"}


@pytest.fixture(scope="session")
def module() -> Path:
    """SoftHSM's library; without it the tests are skipped, but under TRAILKIT_CI they fail."""
    found = next((Path(path) for path in MODULES if Path(path).exists()), None)
    missing = "" if found and shutil.which("softhsm2-util") else "no SoftHSM on this machine: apt-get install softhsm2"
    try:
        import_module("pkcs11")
    except ImportError:
        missing = "no python-pkcs11: pip install 'trailkit[pkcs11]'"
    if missing and os.environ.get("TRAILKIT_CI"):
        pytest.fail(missing)
    if missing or found is None:
        pytest.skip(missing)
    return found


@pytest.fixture(scope="session")
def token(module: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A token that holds three keys, with the certificates of two of them and of their issuers; its library's path."""
    pkcs11 = import_module("pkcs11")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        # the library reads it once in a process
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        pins = ["--so-pin", "0000-so", "--pin", PIN]
        run("--init-token", "--free", "--label", TOKEN, *pins)
        for number, (name, kind) in enumerate(PEOPLE.items(), start=1):
            import_key(folder / "key.pem", person(name, kind), name, f"{number:02}")
        opened = pkcs11.lib(str(module)).get_token(token_label=TOKEN)
        with opened.open(rw=True, user_pin=PIN) as session:
            labelled = {EXECUTOR: person(EXECUTOR), APPROVER: person(APPROVER, "p256")}
            for label, who in [*labelled.items(), ("ca", intermediate()), ("ca", root())]:
                content = who.certificate.public_bytes(Encoding.DER)
                session.create_object(
                    {
                        pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE,
                        pkcs11.Attribute.CERTIFICATE_TYPE: pkcs11.CertificateType.X_509,
                        pkcs11.Attribute.TOKEN: True,
                        pkcs11.Attribute.LABEL: label,
                        pkcs11.Attribute.SUBJECT: who.certificate.subject.public_bytes(),
                        pkcs11.Attribute.VALUE: content,
                    }
                )
        yield module


def run(*arguments: str) -> None:
    subprocess.run(["softhsm2-util", *arguments], check=True, capture_output=True)


def import_key(path: Path, who: Identity, label: str, number: str) -> None:
    path.write_bytes(who.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    run("--import", str(path), "--token", TOKEN, "--label", label, "--id", number, "--pin", PIN)


@pytest.mark.parametrize(
    ("name", "from_file"),
    [(EXECUTOR, False), (APPROVER, False), (REVIEWER, True)],
    ids=["RSA, certificate on the token", "P-256, certificate on the token", "P-384, certificate in a file"],
)
def test_signature_of_a_token_holds(token: Path, tmp_path: Path, name: str, from_file: bool) -> None:
    (tmp_path / "record.pdf").write_bytes(record_pdf())
    chain = person(name, PEOPLE[name]).write_pem(tmp_path / "chain.pem") if from_file else None
    with open_pkcs11(token, TOKEN, PIN, name, chain) as key:
        assert (key.name, key.caller) == (name, "")
        append_signature(tmp_path / "record.pdf", tmp_path / "signed.pdf", statement("reviewer", name), key)
    with (tmp_path / "signed.pdf").open("rb") as stream:
        (signature,) = PdfFileReader(stream).embedded_signatures
        context = ValidationContext(trust_roots=[to_asn1(root().certificate)])
        status = validate_pdf_signature(signature, context, skip_diff=True)
    assert status.intact
    assert status.valid
    assert status.trusted


@pytest.mark.parametrize(
    ("changed", "message", "remedy"),
    [
        ({"pin": "wrong-pin"}, r"PinIncorrect", "user PIN"),
        ({"token_label": "another"}, r"No token", "pkcs11-tool"),
        ({"key_label": "nobody"}, r"no certificates with the label nobody", "name a file"),
        ({"key_label": "ca"}, r"2 certificates with the label ca", "name a file"),
        ({"key_label": REVIEWER}, r"no certificates with the label", "name a file"),
        ({"module": Path("/nowhere/lib.so")}, r"can't be used", "pkcs11-tool"),
    ],
    ids=["wrong PIN", "no such token", "no such key", "two of a label", "no certificate", "no library"],
)
def test_what_can_not_be_opened_is_refused(token: Path, changed: dict[str, object], message: str, remedy: str) -> None:
    asked = {"module": token, "token_label": TOKEN, "pin": PIN, "key_label": EXECUTOR} | changed
    with pytest.raises(SigningError, match=message) as caught, open_pkcs11(**asked):
        pytest.fail("it was opened")
    assert remedy in caught.value.remedy
    assert "\n" not in caught.value.message
    assert str(asked["pin"]) not in str(caught.value)


def test_certificate_of_a_key_that_is_not_on_the_token_is_refused(token: Path, tmp_path: Path) -> None:
    chain = person("nobody").write_pem(tmp_path / "chain.pem")
    with (
        pytest.raises(SigningError, match="Could not find private key"),
        open_pkcs11(token, TOKEN, PIN, "nobody", chain),
    ):
        pytest.fail("it was opened")


def test_certificate_of_another_key_leaves_nothing(token: Path, tmp_path: Path) -> None:
    (tmp_path / "record.pdf").write_bytes(record_pdf())
    chain = person(REVIEWER).write_pem(tmp_path / "chain.pem")
    with open_pkcs11(token, TOKEN, PIN, EXECUTOR, chain) as key, pytest.raises(SigningError, match="does not hold"):
        append_signature(tmp_path / "record.pdf", tmp_path / "signed.pdf", statement(), key)
    assert not (tmp_path / "signed.pdf").exists()


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(SigningError) as caught, open_pkcs11(Path("lib.so"), TOKEN, PIN, EXECUTOR):
        pytest.fail("it was opened")
    assert caught.value.remedy == "pip install 'trailkit[pkcs11]'"
