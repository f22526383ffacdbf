"""Verification: whatever is done to a record's folder is told, by file and reason; and it needs nothing but Python."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.runs import close_record, copied, executed_once, make_record, redo_sums, sealed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.canonical import canonical
from kit.errors import RecordError, RejectionError
from kit.record.verification.verify import Step, verify

INDEX = b'{"id":"E0001"}\n'
FILES = {
    "record.ipynb": b'{"cells":[]}',
    "findings.json": b"{}",
    "junit.xml": b"<testsuite/>",
    "evidence/index.jsonl": INDEX,
    "evidence/E0001-sts-GetCallerIdentity.xml": b"<one/>",
    "evidence/E0002-kms-DescribeKey.json": b'{"a":"1"}',
}
FIRST, SECOND = sorted(name for name in FILES if "/E0" in name)


@pytest.fixture
def record(tmp_path):
    """A whole record, made by hand."""
    return make_record(tmp_path / "record", FILES)


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_bytes())


def rewritten(folder, manifest):
    """Put another manifest in its place, and redo the sums."""
    content = manifest if isinstance(manifest, bytes) else canonical(manifest)
    (folder / "manifest.json").write_bytes(content)
    redo_sums(folder)


def sums_edited(folder, edit):
    path = folder / "SHA256SUMS"
    path.write_bytes(edit(path.read_bytes()))


def changed(folder):
    (folder / FIRST).write_bytes(b"<two/>")


def grown(folder):
    (folder / FIRST).write_bytes(b"<one/> ")


def added(folder):
    (folder / "evidence" / "E0003.json").write_bytes(b"{}")


def added_and_summed(folder):
    added(folder)
    redo_sums(folder)


def removed(folder):
    (folder / FIRST).unlink()


def renamed(folder):
    (folder / FIRST).rename(folder / "evidence" / "E0009.xml")


def swapped(folder):
    first, second = (folder / FIRST).read_bytes(), (folder / SECOND).read_bytes()
    (folder / FIRST).write_bytes(second)
    (folder / SECOND).write_bytes(first)
    redo_sums(folder)


def changed_and_summed(folder):
    changed(folder)
    redo_sums(folder)


def linked(folder):
    (folder / FIRST).rename(folder.parent / "outside")
    (folder / FIRST).symlink_to(folder.parent / "outside")


def folder_linked(folder):
    (folder / "evidence").rename(folder.parent / "outside")
    (folder / "evidence").symlink_to(folder.parent / "outside")


def manifest_is_a_pipe(folder):
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")


def manifest_removed(folder):
    (folder / "manifest.json").unlink()
    redo_sums(folder)


def manifest_edited(folder):
    rewritten(folder, manifest_of(folder) | {"verdict": "PASS"})


def manifest_not_canonical(folder):
    rewritten(folder, json.dumps(manifest_of(folder)).encode())


def manifest_key_twice(folder):
    content = (folder / "manifest.json").read_bytes()
    rewritten(folder, content.replace(b'"schema":1', b'"schema":1,"schema":1'))


def manifest_no_json(folder):
    rewritten(folder, b"{")


def manifest_nan(folder):
    rewritten(folder, b'{"a":NaN}')


def manifest_nested(folder):
    rewritten(folder, b"[" * 100_000)


def manifest_list(folder):
    rewritten(folder, b"[]")


def other_schema(folder):
    rewritten(folder, manifest_of(folder) | {"schema": 2})


def no_files(folder):
    rewritten(folder, manifest_of(folder) | {"files": {}})


def out_of_the_folder(folder):
    (folder.parent / "outside").write_bytes(b"")
    files = manifest_of(folder)["files"]
    rewritten(folder, manifest_of(folder) | {"files": files | {"../outside": files[FIRST]}})


def absolute(folder):
    files = manifest_of(folder)["files"]
    rewritten(folder, manifest_of(folder) | {"files": files | {"/etc/hostname": files[FIRST]}})


def entry_malformed(folder):
    rewritten(folder, manifest_of(folder) | {"files": manifest_of(folder)["files"] | {FIRST: 1}})


def entry_size_true(folder):
    files = manifest_of(folder)["files"]
    rewritten(folder, manifest_of(folder) | {"files": files | {FIRST: files[FIRST] | {"bytes": True}}})


def unlisted_in_the_manifest(folder):
    files = {name: entry for name, entry in manifest_of(folder)["files"].items() if name != FIRST}
    rewritten(folder, manifest_of(folder) | {"files": files})


def page_swapped(folder):
    (folder / "record.html").write_text("<p>another record</p>")
    redo_sums(folder)


def page_changed(folder):
    with (folder / "record.html").open("a") as stream:
        stream.write(" ")


def page_removed(folder):
    (folder / "record.html").unlink()
    redo_sums(folder)


def sums_removed(folder):
    (folder / "SHA256SUMS").unlink()


def line_dropped(folder):
    sums_edited(folder, lambda text: text[text.index(b"\n") + 1 :])


def line_twice(folder):
    sums_edited(folder, lambda text: text + text[: text.index(b"\n") + 1])


def line_malformed(folder):
    sums_edited(folder, lambda text: b"x" + text)


def line_crlf(folder):
    sums_edited(folder, lambda text: text.replace(b"\n", b"\r\n"))


def line_without_end(folder):
    sums_edited(folder, lambda text: text.rstrip())


def line_binary(folder):
    sums_edited(folder, lambda text: b"\xff" + text)


def line_of_itself(folder):
    sums_edited(folder, lambda text: text + b"0" * 64 + b"  SHA256SUMS\n")


def line_of_another(folder):
    sums_edited(folder, lambda text: text + b"0" * 64 + b"  nothing\n")


def line_out_of_the_folder(folder):
    sums_edited(folder, lambda text: text + b"0" * 64 + b"  ../outside\n")


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (changed, f"{FIRST} was changed: its SHA-256 is not that of the manifest"),
        (grown, f"{FIRST} has 7 bytes, and the manifest says 6"),
        (added, "evidence/E0003.json is no file of this record"),
        (added_and_summed, "evidence/E0003.json is no file of this record"),
        (removed, f"{FIRST} is missing"),
        (renamed, f"{FIRST} is missing"),
        (swapped, f"{FIRST} has 9 bytes, and the manifest says 6"),
        (changed_and_summed, f"{FIRST} was changed: its SHA-256 is not that of the manifest"),
        (linked, f"{FIRST} is a link or no regular file"),
        (folder_linked, "evidence is a link or no regular file"),
        (manifest_is_a_pipe, "manifest.json is a link or no regular file"),
        (manifest_removed, "manifest.json can't be read: No such file or directory"),
        (manifest_edited, "record.html does not print the digest of manifest.json"),
        (manifest_not_canonical, "manifest.json is not in canonical form (RFC 8785)"),
        (manifest_key_twice, "manifest.json is not in canonical form (RFC 8785)"),
        (manifest_no_json, "manifest.json is no JSON: "),
        (manifest_nan, "manifest.json is no JSON: "),
        (manifest_nested, "manifest.json is no JSON: "),
        (manifest_list, "manifest.json is not of schema 1"),
        (other_schema, "manifest.json is not of schema 1"),
        (no_files, "manifest.json lists no files"),
        (out_of_the_folder, "manifest.json lists a file it can't hold: ../outside"),
        (absolute, "manifest.json lists a file it can't hold: /etc/hostname"),
        (entry_malformed, f"manifest.json lists a file it can't hold: {FIRST}"),
        (entry_size_true, f"manifest.json lists a file it can't hold: {FIRST}"),
        (unlisted_in_the_manifest, f"{FIRST} is no file of this record"),
        (page_swapped, "record.html does not print the digest of manifest.json"),
        (page_changed, "record.html was changed: its SHA-256 is not that of SHA256SUMS"),
        (page_removed, "record.html is missing"),
        (sums_removed, "SHA256SUMS is missing"),
        (line_dropped, f"SHA256SUMS does not list {FIRST}"),
        (line_twice, "line 9 of SHA256SUMS is malformed, or names a file twice"),
        (line_malformed, "line 1 of SHA256SUMS is malformed, or names a file twice"),
        (line_crlf, "line 1 of SHA256SUMS is malformed, or names a file twice"),
        (line_without_end, "SHA256SUMS does not end with the end of a line"),
        (line_binary, "SHA256SUMS is no text: "),
        (line_of_itself, "SHA256SUMS lists SHA256SUMS, which is no file of this record"),
        (line_of_another, "SHA256SUMS lists nothing, which is no file of this record"),
        (line_out_of_the_folder, "line 9 of SHA256SUMS is malformed, or names a file twice"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_tampered_record_is_rejected(tamper, message, record):
    tamper(record)
    with pytest.raises(RejectionError) as error:
        list(verify(record))
    assert error.value.message.startswith(message)
    assert error.value.exit_code == 1
    assert "\n" not in error.value.message


def test_a_whole_record_passes_every_step(record):
    steps = list(verify(record))
    assert [step.number for step in steps] == list(range(1, 15))
    assert steps[0] == Step(1, "manifest.json is canonical and lists 6 files", True)
    assert steps[3].text == "SHA256SUMS lists 8 files, and the SHA-256 of each is right"


def test_what_was_not_given_is_told_as_not_given(record):
    assert [step.number for step in verify(record) if not step.held] == [7, 8, 9, 10, 11, 12, 13, 14]


def test_a_record_may_be_moved_and_renamed(record, tmp_path):
    shutil.copytree(record, tmp_path / "archive" / "2026 Ω")
    assert list(verify(tmp_path / "archive" / "2026 Ω"))


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, str], ids=["empty folder", "empty file", "nothing"])
def test_what_is_no_record_is_refused(make, tmp_path):
    make(tmp_path / "x")
    with pytest.raises(RecordError):
        list(verify(tmp_path / "x"))


def test_a_file_that_cannot_be_read_is_named(record, monkeypatch):
    opened = Path.open

    def refuse(path, *arguments, **options):
        if path.name == "junit.xml":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(RejectionError, match=r"junit\.xml can't be read: Permission denied"):
        list(verify(record))


def test_a_folder_that_cannot_be_listed_is_named(record, monkeypatch):
    listed = Path.iterdir

    def refuse(path):
        if path.name == "evidence":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(RecordError, match="evidence can't be listed: Permission denied"):
        list(verify(record))


def test_a_page_longer_than_a_block_is_searched_across_its_blocks(record):
    digest = (record / "record.html").read_text()[3:-4]
    for before in (1 << 20, (1 << 20) - 30, (1 << 20) - 64, 3 << 20):
        (record / "record.html").write_text("x" * before + digest)
        redo_sums(record)
        assert list(verify(record))


@pytest.fixture(scope="module")
def sealed_record(tmp_path_factory):
    """A record of a real run, to be left as it is."""
    return sealed(copied(executed_once(), tmp_path_factory.mktemp("sealed"))).folder


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_one_flipped_bit_is_caught(sealed_record, data):
    path = data.draw(st.sampled_from(sorted(path for path in sealed_record.rglob("*") if path.is_file())))
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    flipped = bytearray(content)
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(flipped)
    try:
        with pytest.raises(RejectionError):
            list(verify(sealed_record))
    finally:
        path.write_bytes(content)


def test_sha256sum_agrees(sealed_record, record):
    for folder in (sealed_record, record):
        done = subprocess.run(
            ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout
    changed(record)
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=record, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{FIRST}: FAILED" in done.stdout


def test_it_loads_neither_aws_nor_jupyter():
    heavy = (
        "boto3 botocore moto pycurl papermill nbconvert nbclient nbformat IPython weasyprint matplotlib jinja2 mistune"
    )
    loaded = f"print(*[name for name in '{heavy}'.split() if name in sys.modules])"
    code = f"import sys, kit.record.verification.verify; {loaded}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_memory_stays_flat_for_a_large_file(tmp_path):
    size = 200 << 20
    folder = make_record(tmp_path / "record", {"evidence/E0001.json": b""})
    with (folder / "evidence/E0001.json").open("wb") as stream:
        stream.truncate(size)
    close_record(folder, ["evidence/E0001.json"])
    code = (
        "import re, sys; from pathlib import Path; from kit.record.verification.verify import verify\n"
        "def peak(): return int(re.search(r'VmHWM:\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1])\n"
        "before = peak(); list(verify(Path(sys.argv[1]))); print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16 << 10  # KiB
