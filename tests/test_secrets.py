"""No secret in any byte of a record: planted in every input, and looked for in every file, attachments inflated too."""

import base64
import gzip
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pikepdf
import pytest
import yaml
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from fixtures.identities import person, root, timestamp_service

from kit.sandbox.server import Sandbox

TRAILKIT = Path(sys.executable).parent / "trailkit"
KEY_ID = "AKIAQ7PLANTEDKEYID42"
SECRET = "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"
TOKEN = "FwoGZXIvYXdzPLANTEDTOKEN//////////wEaDsessiontoken+42=="
PASSPHRASE = "correct horse PLANTED battery"
PASSWORD = "tsa-PLANTED-password"
PLANTED = (KEY_ID, SECRET, TOKEN, PASSPHRASE, PASSWORD)
ANY_KEY_ID = re.compile(rb"A[KS]IA[A-Z0-9]{16}")
PEOPLE = {"executed_by": "Zoë Ōyama", "system_id": "S", "environment": "sandbox", "protocol_id": "V", "reason": "test"}


def spellings(secret: str) -> Iterator[bytes]:
    """Yield a secret as files may spell it."""
    raw = secret.encode()
    yield from (raw, secret.encode("utf-16-be"), raw.hex().encode(), raw.hex().upper().encode(), base64.b64encode(raw))
    yield from (quote(secret, safe="").encode(), quote_plus(secret).encode(), secret.replace("/", "\\/").encode())


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the bytes of a file, and of everything that is packed in it."""
    content = path.read_bytes()
    yield path.name, content
    if path.suffix == ".gz":
        yield f"{path.name}, inflated", gzip.decompress(content)
    if path.suffix == ".pdf":
        with pikepdf.open(path) as pdf:
            for number, item in enumerate(pdf.objects):
                if isinstance(item, pikepdf.Stream):
                    inner = item.read_bytes()
                    yield f"{path.name}, object {number}", inner
                    if inner.startswith(b"\x1f\x8b"):
                        yield f"{path.name}, object {number}, inflated", gzip.decompress(inner)
                else:
                    yield f"{path.name}, object {number}", item.unparse(resolved=False)


def run(*arguments: object, folder: Path, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TRAILKIT, *map(str, arguments)], cwd=folder, input=given, env=os.environ | environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "protocol"), [("environment", "iq"), ("profile", "oq")], ids=["environment", "profile"]
)
def test_no_planted_secret_is_in_any_byte_of_what_is_kept(how, protocol, tmp_path):
    signer = person()
    content = pkcs12.serialize_key_and_certificates(
        b"signer", signer.key, signer.certificate, [root().certificate], BestAvailableEncryption(PASSPHRASE.encode())
    )
    (tmp_path / "signer.p12").write_bytes(content)
    environment = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
    told = []
    with Sandbox(["rotation-off", "log-flipped"], {"hours": 6}) as sandbox:
        target = dict(sandbox.parameters["target"])
        if how == "profile":
            lines = [f"{name.lower()} = {value}" for name, value in environment.items()]
            (tmp_path / "credentials").write_text("[planted]\n" + "\n".join(lines) + "\n")
            environment = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
            target["profile"] = "planted"
        parameters = {**sandbox.parameters, "target": target, "execution": PEOPLE, "window": {"hours": 6}}
        (tmp_path / "p.yaml").write_text(yaml.safe_dump(parameters), encoding="utf-8")
        told.append(run("run", protocol, "-f", "p.yaml", folder=tmp_path, **environment))
    (record,) = (path.parent for path in (tmp_path / "outputs").glob("*/manifest.json"))
    with timestamp_service() as service:
        url = service.replace("://", f"://user:{PASSWORD}@")
        options = ("--role", "reviewer", "--meaning", "I reviewed this.", "--key", "signer.p12")
        told.append(run("sign", record, *options, folder=tmp_path, given=f"{PASSPHRASE}\n"))
        again = ("--role", "executor", *options[2:], "--timestamp-url", url)
        told.append(run("sign", record, *again, folder=tmp_path, given=f"{PASSPHRASE}\n"))
    stated = [part for name in ("cause", "impact", "action", "decision") for part in (f"--{name}", "as stated")]
    told.append(run("deviation", record, "DEV-01", *stated, folder=tmp_path))
    assert told[1].returncode == told[-1].returncode == 0, (told[1].stderr, told[-1].stderr)
    kept = [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()]
    assert {"record.signed.pdf", "register.jsonl", "addendum.pdf", "index.jsonl"} <= {path.name for path in kept}
    looked_at = [(where, content) for path in kept for where, content in contents(path)]
    looked_at += [("what was printed", f"{done.stdout}{done.stderr}".encode()) for done in told]
    for where, content in looked_at:
        for secret in PLANTED:
            assert not [one for one in spellings(secret) if one in content], where
        assert not ANY_KEY_ID.search(content), where


def test_a_planted_secret_would_be_found(tmp_path):
    with pikepdf.new() as pdf:
        pdf.attachments["a.gz"] = gzip.compress(SECRET.encode())
        pdf.docinfo["/Author"] = TOKEN
        pdf.save(tmp_path / "x.pdf")
    found = [content for _, content in contents(tmp_path / "x.pdf")]
    for secret in (SECRET, TOKEN):
        assert any(one in content for content in found for one in spellings(secret))
