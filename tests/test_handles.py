"""Session handles: random, good for one credential, useless to whoever holds the cache."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.handles import Handles
from server.sealing import Credential, Sealer

SECRET = b"s" * 32
KEYS = Sealer(SECRET, "https://portal.example/").keys(Credential("a@example.com", "pass"))
HANDLES = Handles(SECRET)


def test_a_handle_opens_what_was_sealed_for_it():
    handle = HANDLES.make()
    assert HANDLES.open(handle, HANDLES.seal(handle, KEYS)) == KEYS


def test_two_handles_share_nothing():
    one, other = HANDLES.make(), HANDLES.make()
    assert one != other
    assert HANDLES.key(one) != HANDLES.key(other)
    assert HANDLES.open(other, HANDLES.seal(one, KEYS)) is None


def test_a_handle_has_at_least_128_random_bits_and_is_short():
    seen = []
    Handles(SECRET, random_bytes=lambda n: seen.append(n) or bytes(n)).make()
    assert seen[0] >= 16
    assert len(HANDLES.make()) < 60


def test_the_record_shows_no_key_and_opens_under_no_other_secret():
    handle = HANDLES.make()
    record = HANDLES.seal(handle, KEYS)
    for part in (KEYS.account, KEYS.session, KEYS.seal, handle.encode()):
        assert part not in record
    assert Handles(b"t" * 32).open(handle, record) is None
    assert Handles(b"t" * 32).key(handle) != HANDLES.key(handle)


def test_a_handle_has_one_spelling():
    handle = Handles(SECRET, random_bytes=lambda n: b"\xff" * n).make()
    assert HANDLES.key(handle)
    with pytest.raises(ValueError, match="not a handle"):
        HANDLES.key(handle.replace("_", "/").replace("oig/", "oig_", 1))


@given(st.text(max_size=60))
def test_any_other_text_is_no_handle(text):
    with pytest.raises(ValueError, match=r"."):
        HANDLES.key(text)


@given(st.binary(max_size=200))
def test_a_damaged_record_opens_nothing(record):
    assert HANDLES.open(HANDLES.make(), record) is None
