"""How much JSON a body may be, whatever it is made of."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http import json_tokens
from server.http.json_tokens import MAX_DEPTH, MAX_TOKENS, excess

MIB = 1024 * 1024

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.sampled_from(list('ab"\\[]{},:ž\n\x00 🔋'))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=30,
)


def tokens(value) -> int:
    """Count strings and structural characters, value by value."""
    match value:
        case str():
            return 1
        case list():
            return 2 + max(0, len(value) - 1) + sum(map(tokens, value))
        case dict():
            inside = sum(2 + tokens(one) for one in value.values())
            return 2 + max(0, len(value) - 1) + inside
    return 0


def depth(value) -> int:
    match value:
        case list():
            return 1 + max(map(depth, value), default=0)
        case dict():
            return 1 + max(map(depth, value.values()), default=0)
    return 0


@given(VALUES, st.booleans(), st.sampled_from([None, 1]), st.integers(0, 20), st.integers(0, 4))
def test_the_count_is_exact_for_json_in_any_spelling(value, ascii_only, indent, most, deepest):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_tokens, "MAX_TOKENS", most)
        patch.setattr(json_tokens, "MAX_DEPTH", deepest)
        too_much = excess(text)
    assert (too_much is not None) == (tokens(value) > most or depth(value) > deepest)


@given(st.binary() | st.from_regex(re.compile(rb'["\\\[\]{},:a ]{0,60}'), fullmatch=True))
def test_invalid_json_is_counted_as_well(text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_tokens, "MAX_TOKENS", 5)
        patch.setattr(json_tokens, "MAX_DEPTH", 2)
        excess(text)


def joined(item: bytes, count: int) -> bytes:
    return b"[" + b",".join([item] * count) + b"]"


TOO_MUCH = {
    "keys": json.dumps({f"k{number}": 0 for number in range(70_000)}).encode(),
    "the same key": b"{" + b",".join([b'"":0'] * 200_000) + b"}",
    "numbers": joined(b"1", 500_000),
    "strings": joined(b'""', 300_000),
    "arrays": joined(b"[]", 300_000),
    "objects": joined(b"{}", 300_000),
    "deep arrays": joined(b"[" * 100 + b"]" * 100, 5_000),
    "deep objects": b'{"a":' * 1000 + b"1" + b"}" * 1000,
    "just too many": joined(b"1", MAX_TOKENS),
    "just too deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "openings": b"[" * MIB,
    "behind a long string": b'["' + b"x" * 900_000 + b'",' + b"1," * 5000 + b"1]",
    "behind an escape": b'["\\\\",' + b"1," * 5000 + b"1]",
    "behind an escaped quotation mark": b'["\\"",' + b"1," * 5000 + b"1]",
}
ENOUGH = {
    "as many as may be": joined(b"1", MAX_TOKENS - 1),
    "as deep as may be": b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
    "commas in a string": b'["' + b"," * 1_000_000 + b'"]',
    "brackets in a string": b'["' + b"[" * 1_000_000 + b'"]',
    "brackets behind an escaped quotation mark": b'["\\"' + b"[{" * 100_000 + b'"]',
    "escapes": b'["' + b'\\\\\\"' * 250_000 + b'"]',
    "white space": b"[" + b" " * 1_000_000 + b"]",
    "a long number": b"[" + b"9" * 1_000_000 + b"]",
    "a string without an end": b'"' + b"\\" * 1_000_000,
    "quotation marks without an end": b'"' + b'\\"' * 500_000,
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_an_excessive_number_of_tokens_is_refused_with_an_explanation(what):
    told = excess(TOO_MUCH[what])
    assert told is not None
    assert ("deep" in what or what == "openings") == (f"{MAX_DEPTH} levels" in told)


@pytest.mark.parametrize("what", ENOUGH)
def test_a_long_text_with_few_tokens_is_accepted(what):
    assert excess(ENOUGH[what]) is None


def test_the_longest_batch_of_calls_is_far_below_the_limit():
    arguments = {f"argument_{number}": "text, with: {all} [sorts]" for number in range(10)}
    client = {"name": "x", "version": "1", "title": "x", "websiteUrl": "https://example.org"}
    meta = {"progressToken": 1, "clientInfo": client, "capabilities": {"a": {}, "b": {}, "c": {}}}
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "plan_change", "arguments": arguments, "_meta": meta},
    }
    assert excess(json.dumps([call] * 20).encode()) is None
