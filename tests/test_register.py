"""The register: it tells what is missing, changed or moved, processes share it, and a kill leaves it readable."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.canonical import canonical, sha256
from kit.errors import RecordError, RejectionError
from kit.record.register import REGISTER, Seen, hold_seen, locked_register, read_register


def filled(outputs: Path, count: int = 5) -> Path:
    """Make a register of so many entries, and return where it is."""
    for number in range(1, count + 1):
        with locked_register(outputs) as register:
            register.append("started", f"IQ-{number}", {"reason": "why", "n": number})
    return outputs / REGISTER


@pytest.fixture
def register(tmp_path):
    return filled(tmp_path)


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


class TestChain:
    def test_entries_come_back_as_they_were_appended(self, register):
        entries = read_register(register)
        assert [(entry.number, entry.record, entry.data["n"]) for entry in entries] == [
            (n, f"IQ-{n}", n) for n in range(1, 6)
        ]
        assert [entry.sha256 for entry in entries] == [sha256(line.rstrip(b"\n")) for line in lines(register)]

    def test_each_entry_names_the_one_before_it(self, register):
        told = [json.loads(line) for line in lines(register)]
        assert [one["previous"] for one in told[1:]] == [entry.sha256 for entry in read_register(register)][:-1]

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (lambda found: found[1:], "entry 1 is missing"),
            (lambda found: found[:2] + found[3:], "entry 3 is missing"),
            (lambda found: found[:1] + found[4:], "entries 2 to 4 are missing"),
            (lambda found: [found[1], found[0], *found[2:]], "reordered: entry 2 stands where entry 1 belongs"),
            (lambda found: [*found[:3], found[2], *found[3:]], "entry 3 of register.jsonl stands there twice"),
            (lambda found: [found[0], found[1].replace(b"why", b"how"), *found[2:]], "entry 2 was changed"),
            (lambda found: [found[0].replace(b'"n":1', b'"n": 1'), *found[1:]], "line 1 of .* was changed"),
            (lambda found: [found[0].replace(b'"started"', b'"stopped"'), *found[1:]], "line 1 of .* was changed"),
            (lambda found: [b"\n", *found], "line 1 of .* was changed"),
            (lambda found: [*found, b"\xff\n"], "line 6 of register.jsonl was changed"),
            (lambda found: [*found, b"[" * 9999 + b"\n"], "line 6 of register.jsonl was changed"),
        ],
        ids=[
            "first missing", "one missing", "several missing", "reordered", "doubled", "changed", "respaced",
            "no event of ours", "an empty line", "no text", "nested",
        ],
    )  # fmt: skip
    def test_what_is_missing_changed_or_moved_is_named(self, edit, message, register):
        register.write_bytes(b"".join(edit(lines(register))))
        with pytest.raises(RejectionError, match=message):
            read_register(register)
        with pytest.raises(RecordError, match=message), locked_register(register.parent):
            pass

    def test_a_beginning_that_was_cut_and_renumbered_is_told(self, register):
        later = [json.loads(line) for line in lines(register)[1:]]
        kept = [canonical(one | {"number": number}) + b"\n" for number, one in enumerate(later, start=1)]
        register.write_bytes(b"".join(kept))
        with pytest.raises(RejectionError, match="the beginning is missing"):
            read_register(register)

    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
    def test_any_flipped_bit_is_caught_by_whoever_saw_the_last_entry(self, place, bit, register):
        content = register.read_bytes()
        seen = {"a record": read_register(register)[-1].seen}
        flipped = bytearray(content)
        flipped[place % len(content)] ^= 1 << bit
        register.write_bytes(flipped)
        try:
            with pytest.raises(RejectionError):
                hold_seen(register, read_register(register), seen)
        finally:
            register.write_bytes(content)


class TestSeen:
    def test_a_tail_that_was_cut_is_told_by_whoever_saw_it(self, register):
        seen = {"record IQ-5": read_register(register)[-1].seen}
        register.write_bytes(b"".join(lines(register)[:3]))
        # the file alone does not show it
        entries = read_register(register)
        with pytest.raises(RejectionError, match="was cut: it ends with entry 3, and record IQ-5 saw entry 5"):
            hold_seen(register, entries, seen)

    def test_a_register_made_anew_is_told(self, register):
        seen = {"record IQ-2": read_register(register)[1].seen}
        register.unlink()
        filled(register.parent)
        with pytest.raises(RejectionError, match=r"entry 2 of register\.jsonl is not the one that record IQ-2 saw"):
            hold_seen(register, read_register(register), seen)

    def test_what_grew_since_is_whole(self, register):
        seen = {"record IQ-2": read_register(register)[1].seen, "one that saw none": Seen(0, "0" * 64)}
        assert hold_seen(register, read_register(register), seen) is None


class TestAppending:
    def test_the_half_line_of_a_killed_process_goes(self, register):
        with register.open("ab") as stream:
            stream.write(b'{"data":{},"event":"st')
        assert len(read_register(register)) == 5
        with locked_register(register.parent) as opened:
            opened.append("started", "IQ-6", {})
        assert [entry.record for entry in read_register(register)][-1] == "IQ-6"

    def test_on_a_full_disk_it_stays_as_it_was(self, register, monkeypatch):
        content = register.read_bytes()
        real = os.pwrite

        def full(handle, line, offset):
            if len(line) > 10:
                return real(handle, line[:10], offset)
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "pwrite", full)
        with (
            locked_register(register.parent) as opened,
            pytest.raises(RecordError, match="No space left on device\nfree space"),
        ):
            opened.append("started", "IQ-6", {})
        assert register.read_bytes() == content

    def test_a_link_is_no_register(self, register, tmp_path):
        (tmp_path / "outputs").mkdir()
        (tmp_path / "outputs" / REGISTER).symlink_to(register)
        with pytest.raises(RecordError, match="can't be written"), locked_register(tmp_path / "outputs"):
            pass

    @pytest.mark.slow
    def test_processes_that_append_at_once_lose_nothing(self, tmp_path):
        children = [subprocess.Popen([sys.executable, "-c", APPENDS, str(tmp_path), str(n)]) for n in range(4)]
        assert [child.wait(60) for child in children] == [0] * 4
        entries = read_register(tmp_path / REGISTER)
        assert sorted(entry.record for entry in entries) == sorted(f"IQ-{n}-{m}" for n in range(4) for m in range(25))

    @pytest.mark.slow
    def test_a_kill_at_any_moment_leaves_it_readable_and_loses_nothing_that_was_told(self, tmp_path):
        told: list[str] = []
        for turn in range(25):
            child = subprocess.Popen(
                [sys.executable, "-c", APPENDS, str(tmp_path), str(turn), "told"], stdout=subprocess.PIPE, text=True
            )
            assert child.stdout is not None
            told += [child.stdout.readline().strip() for _ in range(turn % 7)]
            child.send_signal(signal.SIGKILL)
            told += child.stdout.read().split()
            child.wait()
            child.stdout.close()
            found = (
                [entry.record for entry in read_register(tmp_path / REGISTER)] if (tmp_path / REGISTER).exists() else []
            )
            assert [record for record in told if record and record not in found] == []


APPENDS = """
import sys
from pathlib import Path
from kit.record.register import locked_register
for number in range(25):
    with locked_register(Path(sys.argv[1])) as register:
        register.append("started", f"IQ-{sys.argv[2]}-{number}", {})
    if len(sys.argv) > 3:
        print(f"IQ-{sys.argv[2]}-{number}", flush=True)
"""
