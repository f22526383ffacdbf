"""Canonical JSON: the vectors and the promises of RFC 8785, and hashes of bytes and files."""

import hashlib
import json
import math
import struct
import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.canonical import canonical, pretty, sha256, sha256_file, well_formed
from kit.errors import EvidenceError

SAFE = 2**53 - 1
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-SAFE, SAFE)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=12)
# text that may hold surrogates, alone or in pairs
ANY_TEXT = st.text(st.characters(categories=["Cs"]) | st.sampled_from("a\ud83d\ude00é"))

# RFC 8785, appendix B: the bits of an IEEE 754 double, and how it is written
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("bits", "written"), NUMBERS.items(), ids=NUMBERS)
def test_a_number_is_written_as_the_rfc_writes_it(bits, written):
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number) == written.encode()


def test_the_rfc_s_sample_gives_the_rfc_s_bytes():
    sample = r"""{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"""
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical(json.loads(sample)) == expected.encode()


def test_keys_are_sorted_by_utf_16_code_units():
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\xf6"]
    ordered = ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical(dict.fromkeys(names, 0)))) == ordered


@given(VALUES)
def test_what_is_written_reads_back_equal(value):
    assert json.loads(canonical(value), parse_int=number) == value


def number(text):
    """Read as RFC 8785 does: every number is a double."""
    return int(text) if abs(int(text)) <= SAFE else float(text)


@given(VALUES)
def test_writing_it_again_gives_the_same_bytes(value):
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(VALUES)
def test_the_order_of_keys_is_irrelevant(value):
    assert canonical(backwards(value)) == canonical(value)


def backwards(value):
    if isinstance(value, dict):
        return {name: backwards(item) for name, item in reversed(value.items())}
    return [backwards(item) for item in value] if isinstance(value, list) else value


@given(VALUES, VALUES)
def test_equal_bytes_mean_equal_values(one, other):
    assert (canonical(one) == canonical(other)) == (json_equal(one, other))


def json_equal(one, other):
    """Equality of JSON values: to Python 1 is True as well."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(json_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(json_equal, one, other))
    return one == other


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


HOMELESS = {
    "NaN": math.nan,
    "infinity": math.inf,
    "an integer that no double holds": 2**53 + 1,
    "a negative integer that no double holds": -(2**53) - 1,
    "an integer too long to be written as one": 10**21,
    "a huge integer": 10**400,
    "a lone surrogate": "\ud800",
    "a lone surrogate in a key": {"\udfff": 1},
    "a key that is no text": {1: 2},
    "bytes": b"bytes",
    "a set": {1},
    "a date": datetime(2026, 1, 1, tzinfo=UTC),
    "an object": object(),
    "too deep": nested(100_000),
}


@pytest.mark.parametrize("value", HOMELESS.values(), ids=HOMELESS)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {"a": [value]}], ids=["bare", "nested"])
def test_what_has_no_canonical_form_is_refused(value, wrap):
    with pytest.raises(EvidenceError, match="no canonical JSON form"):
        canonical(wrap(value))


@given(st.recursive(ANY_TEXT | LEAVES, lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner)))
def test_what_is_well_formed_has_a_canonical_form(value):
    canonical(well_formed(value))


@given(VALUES)
def test_what_is_well_formed_already_stays_as_it_is(value):
    assert well_formed(value) == value


@pytest.mark.parametrize(
    ("text", "mended"),
    [("a\ud800b", "a\ufffdb"), ("\udc00\ud800", "\ufffd\ufffd"), ("\ud83d\ude00", "😀"), ("😀\ude00", "😀\ufffd")],
    ids=["lone high", "wrong order", "pair", "pair and lone low"],
)
def test_only_lone_surrogates_are_replaced(text, mended):
    assert well_formed([{"deep": {text: (text,)}}]) == [{"deep": {mended: [mended]}}]


def test_sha256_of_parts_is_that_of_their_concatenation():
    assert sha256() == hashlib.sha256(b"").hexdigest()
    assert sha256(b"ab", b"", b"c") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_sha256_of_a_file_is_that_of_its_bytes(size, tmp_path):
    content = bytes(range(251)) * (size // 251 + 1)
    path = tmp_path / "file"
    path.write_bytes(content[:size])
    assert sha256_file(path) == hashlib.sha256(content[:size]).hexdigest()


def test_hashing_a_large_file_takes_no_memory(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(64 << 20)
    tracemalloc.start()
    sha256_file(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_pretty_keeps_every_character_and_sorts_keys():
    assert pretty({"b": "€😀", "a": [1]}) == '{\n  "a": [\n    1\n  ],\n  "b": "€😀"\n}'
