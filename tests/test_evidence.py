"""The evidence store keeps what it is given, and its index is whole or is not read."""

import errno
import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from kit.canonical import canonical, sha256
from kit.errors import EvidenceError
from kit.evidence import INDEX, EvidenceStore, read_body, read_index, timestamp

ATTEMPT = {
    "service": "kms",
    "operation": "DescribeKey",
    "region": "eu-west-1",
    "reader": "",
    "parameters": {"KeyId": "alias/CloudTrailGxPKey"},
    "attempt": 1,
    "sent": "2026-11-22T00:00:00.000Z",
    "received": "2026-11-22T00:00:00.120Z",
}


@pytest.fixture
def store(tmp_path):
    return EvidenceStore(tmp_path / "evidence")


def filled(store):
    """Three entries: an answer, an attempt without one, and an answer to hostile parameters."""
    store.add(b'{"KeyMetadata": {}}', **ATTEMPT, status=200, headers={"date": "now"}, request_id="r-1", masked=("A",))
    store.add(None, **ATTEMPT | {"attempt": 2}, failure="EndpointConnectionError")
    store.add(b"<Error/>", **ATTEMPT | {"parameters": {"Name": "\u2028\x00\n😀"}}, status=403)
    return store.folder / INDEX


def test_what_is_written_reads_back_equal(store):
    entries = [
        store.add(b"{}", **ATTEMPT, status=200, headers={"date": "now"}, masked=("SessionToken",)),
        store.add(None, **ATTEMPT, failure="ReadTimeoutError"),
    ]
    assert read_index(store.folder) == entries
    assert [read_body(store.folder, entry) for entry in entries] == [b"{}", b""]


def test_each_line_of_the_index_is_the_canonical_form_of_an_entry(store):
    index = filled(store)
    lines = [canonical(asdict(entry)) for entry in read_index(store.folder)]
    assert index.read_bytes() == b"".join(line + b"\n" for line in lines)


@pytest.mark.parametrize(
    ("body", "suffix"),
    [
        (b'{"a": 1}', ".json"),
        (b" \n[1]", ".json"),
        (b"<?xml version='1.0'?><a/>", ".xml"),
        (b"\n\n<a/>", ".xml"),
        (b"Service Unavailable", ".txt"),
        (b"\xff\xfe\x00", ".txt"),
        (b"", ".txt"),
    ],
)
def test_a_body_is_kept_to_the_byte_in_a_file_named_by_its_kind(store, body, suffix):
    entry = store.add(body, **ATTEMPT)
    assert entry.path == f"E0001-kms-DescribeKey{suffix}"
    assert (store.folder / entry.path).read_bytes() == body
    assert (entry.sha256, entry.bytes) == (sha256(body), len(body))


def test_an_attempt_without_an_answer_has_no_file(store):
    entry = store.add(None, **ATTEMPT, failure="ReadTimeoutError")
    assert (entry.path, entry.sha256, entry.bytes, entry.status) == ("", "", 0, None)
    assert [path.name for path in store.folder.iterdir()] == [INDEX]


def test_the_store_counts_attempts_and_bytes(store):
    filled(store)
    assert (store.count, store.bytes) == (3, len(b'{"KeyMetadata": {}}') + len(b"<Error/>"))


def test_a_run_without_a_call_has_an_empty_index(store):
    assert read_index(store.folder) == []


def test_threads_write_side_by_side_without_mixing_anything_up(store):
    def write(number):
        body = json.dumps({"number": number, "filler": "x" * (number % 7 * 1000)}).encode()
        return store.add(body, **ATTEMPT | {"parameters": {"number": number}}).id

    with ThreadPoolExecutor(32) as executor:
        ids = list(executor.map(write, range(400)))
    entries = read_index(store.folder)
    assert [entry.id for entry in entries] == [f"E{number:04d}" for number in range(1, 401)]
    assert sorted(ids) == sorted(entry.id for entry in entries)
    for entry in entries:
        assert json.loads(read_body(store.folder, entry))["number"] == entry.parameters["number"]


@pytest.mark.parametrize("obstacle", ["a folder", "a file above"])
def test_no_run_writes_where_something_is_already(tmp_path, obstacle):
    folder = tmp_path / "evidence"
    if obstacle == "a folder":
        folder.mkdir()
    else:
        (tmp_path / "evidence").write_text("")
        folder = tmp_path / "evidence" / "below"
    with pytest.raises(EvidenceError, match="can't be made") as caught:
        EvidenceStore(folder)
    assert "choose an output folder" in caught.value.remedy


@pytest.mark.parametrize("during", ["body", "index"])
def test_a_full_disk_is_one_line_and_a_remedy(store, monkeypatch, during):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes" if during == "body" else "open", full)
    with pytest.raises(EvidenceError) as caught:
        store.add(b"{}", **ATTEMPT)
    assert caught.value.message == f"evidence can't be written to {store.folder}: No space left on device"
    assert "free space" in caught.value.remedy
    assert caught.value.exit_code == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_disk_that_is_really_full_is_noticed(store):
    (store.folder / INDEX).symlink_to("/dev/full")
    with pytest.raises(EvidenceError, match="No space left on device"):
        store.add(None, **ATTEMPT)


def test_what_is_written_after_a_failed_write_can_not_be_taken_for_a_whole_index(store):
    index = filled(store)
    with index.open("ab") as stream:
        stream.write(b'{"attempt":1,"by')
    store.add(b"{}", **ATTEMPT)
    with pytest.raises(EvidenceError, match=r"line 4 of .* is no evidence entry"):
        read_index(store.folder)


def test_an_index_cut_anywhere_is_read_as_whole_lines_or_not_at_all(store):
    index = filled(store)
    whole, entries = index.read_bytes(), read_index(store.folder)
    ends = {position + 1 for position, byte in enumerate(whole) if byte == ord("\n")}
    for length in sorted({*ends, *(end - 1 for end in ends), *range(0, len(whole), 11)}):
        index.write_bytes(whole[:length])
        if length in {0, *ends}:
            assert read_index(store.folder) == entries[: whole[:length].count(b"\n")]
        else:
            with pytest.raises(EvidenceError, match="ends in the middle of line"):
                read_index(store.folder)


WRITER = """
import sys
from pathlib import Path
from kit.evidence import EvidenceStore
store = EvidenceStore(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    store.add(b"x" * 5000, service="kms", operation="DescribeKey", region="", reader="", attempt=1, sent="",
              received="", parameters={"KeyId": "k" * 20_000})
"""


def test_a_killed_run_leaves_what_it_had(tmp_path):
    folder = tmp_path / "evidence"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        while not (folder / "E0050-kms-DescribeKey.txt").exists():
            pass
        writer.send_signal(signal.SIGKILL)
    lines = (folder / INDEX).read_bytes().split(b"\n")
    (folder / INDEX).write_bytes(b"\n".join([*lines[:-1], b""]))
    entries = read_index(folder)
    assert len(entries) >= 49
    for entry in entries:
        assert len(read_body(folder, entry)) == 5000


GOOD = json.loads(canonical({"id": "E0001", **ATTEMPT, "status": 200, "request_id": "", "date": "", "headers": {}}))
GOOD |= {"path": "E0001-kms-DescribeKey.json", "sha256": "", "bytes": 0, "masked": [], "failure": ""}
NO_ENTRIES = {
    "no JSON": b"not json",
    "an empty line": b"",
    "no object": b"[]",
    "null": b"null",
    "not UTF-8": b'{"id":"\xff"}',
    "nothing but nesting": b"[" * 100_000,
    "a member too few": canonical({name: item for name, item in GOOD.items() if name != "failure"}),
    "a member too many": canonical(GOOD | {"more": 1}),
    "a member twice": canonical(GOOD)[:-1] + b',"failure":"x"}',
    "a space": canonical(GOOD).replace(b":", b": ", 1),
    "a number for text": canonical(GOOD | {"id": 1}),
    "text for a number": canonical(GOOD | {"bytes": "0"}),
    "true for a number": canonical(GOOD | {"attempt": True}),
    "null for text": canonical(GOOD | {"path": None}),
    "a list for headers": canonical(GOOD | {"headers": []}),
    "a number for a header": canonical(GOOD | {"headers": {"date": 1}}),
    "text for a list": canonical(GOOD | {"masked": "ab"}),
    "NaN": canonical(GOOD | {"parameters": 0}).replace(b'"parameters":0', b'"parameters":NaN'),
    "a path upwards": canonical(GOOD | {"path": "../index.jsonl"}),
    "an absolute path": canonical(GOOD | {"path": "/etc/passwd"}),
    "a path of Windows": canonical(GOOD | {"path": "..\\index.jsonl"}),
    "the folder itself": canonical(GOOD | {"path": "."}),
    "a path with a null": canonical(GOOD | {"path": "a\0b"}),
}


def test_the_entry_that_the_next_test_spoils_is_a_good_one(tmp_path):
    (tmp_path / INDEX).write_bytes(canonical(GOOD) + b"\n")
    assert read_index(tmp_path)[0].id == "E0001"


@pytest.mark.parametrize("line", NO_ENTRIES.values(), ids=NO_ENTRIES)
def test_a_line_that_is_no_entry_is_named(line, tmp_path):
    (tmp_path / INDEX).write_bytes(canonical(GOOD) + b"\n" + line + b"\n")
    with pytest.raises(EvidenceError, match=r"line 2 of .*index\.jsonl is no evidence entry: ") as caught:
        read_index(tmp_path)
    assert "\n" not in caught.value.message


def test_an_index_that_can_not_be_read_is_an_evidence_error(tmp_path):
    (tmp_path / INDEX).mkdir()
    with pytest.raises(EvidenceError, match="can't be read"):
        read_index(tmp_path)


def test_a_changed_body_is_refused(store):
    entry = store.add(b"{}", **ATTEMPT)
    (store.folder / entry.path).write_bytes(b"[]")
    with pytest.raises(EvidenceError, match="evidence E0001 was changed"):
        read_body(store.folder, entry)


def test_a_missing_body_is_refused(store):
    entry = store.add(b"{}", **ATTEMPT)
    (store.folder / entry.path).unlink()
    with pytest.raises(EvidenceError, match="evidence E0001 is missing"):
        read_body(store.folder, entry)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 22, tzinfo=UTC), "2026-11-22T00:00:00.000Z"),
        (datetime(2026, 11, 22, 1, 2, 3, 4567, timezone(timedelta(hours=2))), "2026-11-21T23:02:03.004Z"),
    ],
    ids=["UTC", "another zone"],
)
def test_every_date_is_utc_with_milliseconds(moment, text):
    assert timestamp(moment) == text
