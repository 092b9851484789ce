"""Session handles: random, valid for one credential, useless with the cache's contents alone."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.auth.handles import Handles
from server.auth.sealing import Credential, Sealer

SECRET = b"s" * 32
KEYS = Sealer(SECRET, "https://portal.example/").keys(Credential("a@example.com", "pass"))
HANDLES = Handles(SECRET)


def test_a_handle_opens_the_record_sealed_for_it():
    handle = HANDLES.make(KEYS.account)
    assert HANDLES.open(handle, HANDLES.seal(handle, KEYS)) == KEYS


def test_two_handles_have_nothing_in_common():
    one, other = HANDLES.make(KEYS.account), HANDLES.make(KEYS.account)
    assert one != other
    assert HANDLES.key(one) != HANDLES.key(other)
    assert HANDLES.open(other, HANDLES.seal(one, KEYS)) is None


def test_a_handle_has_at_least_128_random_bits_and_is_short():
    seen = []
    Handles(SECRET, random_bytes=lambda n: seen.append(n) or bytes(n)).make(KEYS.account)
    assert seen == [24]
    assert len(HANDLES.make(KEYS.account)) < 60


def test_only_the_secret_reads_the_account_from_a_handle():
    other = Sealer(SECRET, "https://portal.example/").keys(Credential("b@example.com", "pass"))
    one, two = HANDLES.make(KEYS.account), HANDLES.make(KEYS.account)
    for handle in (one, two):
        assert HANDLES.belongs_to(handle, KEYS.account)
        assert not HANDLES.belongs_to(handle, other.account)
        assert not Handles(b"t" * 32).belongs_to(handle, KEYS.account)
    # Nothing in two of them is the same, and the account's key is in neither.
    ends = [base64.urlsafe_b64decode(one.removeprefix("oig_"))[24:] for one in (one, two)]
    assert ends[0] != ends[1]
    assert not any(end in KEYS.account for end in ends)


def test_a_handle_with_a_changed_end_belongs_to_nobody_and_opens_nothing():
    handle = HANDLES.make(KEYS.account)
    forged = handle[:-1] + ("A" if handle[-1] != "A" else "B")
    assert not HANDLES.belongs_to(forged, KEYS.account)
    assert HANDLES.key(forged) != HANDLES.key(handle)


def test_an_old_handle_without_a_fingerprint_works_and_names_no_account():
    former = "oig_" + base64.urlsafe_b64encode(bytes(24)).decode()
    assert HANDLES.open(former, HANDLES.seal(former, KEYS)) == KEYS
    assert not HANDLES.belongs_to(former, KEYS.account)


@given(st.text(max_size=60))
def test_no_other_text_names_an_account(text):
    assert not HANDLES.belongs_to(text, KEYS.account)


def test_the_record_shows_no_key_and_opens_under_no_other_secret():
    handle = HANDLES.make(KEYS.account)
    record = HANDLES.seal(handle, KEYS)
    for part in (KEYS.account, KEYS.session, KEYS.seal, handle.encode()):
        assert part not in record
    assert Handles(b"t" * 32).open(handle, record) is None
    assert Handles(b"t" * 32).key(handle) != HANDLES.key(handle)


def test_a_handle_has_one_spelling():
    handle = Handles(SECRET, random_bytes=lambda n: b"\xff" * n).make(KEYS.account)
    assert HANDLES.key(handle)
    with pytest.raises(ValueError, match="not a handle"):
        HANDLES.key(handle.replace("_", "/").replace("oig/", "oig_", 1))


@given(st.text(max_size=60))
def test_any_other_text_is_not_a_handle(text):
    with pytest.raises(ValueError, match=r"."):
        HANDLES.key(text)


@given(st.binary(max_size=200))
def test_a_damaged_record_opens_nothing(record):
    assert HANDLES.open(HANDLES.make(KEYS.account), record) is None
