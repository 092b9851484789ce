"""The header with which a server says what it wants to be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.challenge import Challenge, bearer, challenges

NAME = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", []),
        ("Bearer", [("bearer", {})]),
        ('bearer Scope="oig:read"', [("bearer", {"scope": "oig:read"})]),
        ("Bearer error=invalid_token", [("bearer", {"error": "invalid_token"})]),
        (
            'Basic realm="a, Bearer b", Bearer scope="x"',
            [("basic", {"realm": "a, Bearer b"}), ("bearer", {"scope": "x"})],
        ),
        (
            "Negotiate YWJj==, Bearer scope=x,error = y",
            [("negotiate", {}), ("bearer", {"scope": "x", "error": "y"})],
        ),
        (r'Bearer scope="a\"b\\c"', [("bearer", {"scope": r"a\"b\c".replace(r"\"", '"')})]),
    ],
)
def test_a_well_formed_challenge_is_read(header, found):
    assert challenges(header) == tuple(Challenge(*each) for each in found)


@pytest.mark.parametrize(
    "header",
    ['"x"', 'Bearer a="1', 'Bearer a="1", a="2"', "Bearer a=1;b=2", "Bearer \x00", "=", ","],
)
def test_a_malformed_challenge_is_ignored(header):
    assert not challenges(header)
    assert bearer(header) is None


@given(st.lists(st.tuples(NAME, st.dictionaries(NAME, TEXT, min_size=1, max_size=3)), max_size=3))
def test_a_written_challenge_reads_back_the_same(wanted):
    def quoted(text):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"{scheme} {', '.join(f'{name}={quoted(text)}' for name, text in values.items())}"
        for scheme, values in wanted
    )
    assert challenges(header) == tuple(Challenge(*each) for each in wanted)


@given(st.text(max_size=60))
def test_no_header_breaks_the_reader(header):
    challenges(header)
    bearer(header)
