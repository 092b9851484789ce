from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.fingerprint import ACCOUNT_LABEL, account_key, normalise

SECRET = b"s" * 32


@pytest.mark.parametrize(
    "spelling",
    [
        "jana@example.cz",
        "Jana@Example.CZ",
        "  jana@example.cz\n",
        "\u00a0jana@example.cz\u2003",
        "\uff4a\uff41\uff4e\uff41@example.cz",  # full-width letters, as some keyboards type them
    ],
)
def test_spellings_of_one_mailbox_are_one_account(spelling):
    assert normalise(spelling) == "jana@example.cz"
    assert account_key(SECRET, spelling) == account_key(SECRET, "jana@example.cz")


def test_accents_are_one_account_however_they_are_composed():
    assert account_key(SECRET, "Ji\u0159\u00ed@example.cz") == account_key(
        SECRET, "jir\u030ci\u0301@example.cz"
    )


def test_different_mailboxes_are_different_accounts():
    mailboxes = ["jana@example.cz", "jan@example.cz", "jana+oig@example.cz", "ja.na@example.cz", ""]
    assert len({account_key(SECRET, mailbox) for mailbox in mailboxes}) == len(mailboxes)


def test_the_key_is_an_hmac_under_the_secret_with_its_purpose_in_front():
    key = account_key(SECRET, "jana@example.cz")
    assert key == hmac.new(SECRET, ACCOUNT_LABEL + b"jana@example.cz", hashlib.sha256).digest()
    assert len(key) == 32
    assert key != account_key(b"t" * 32, "jana@example.cz")
    assert key != hmac.new(SECRET, b"jana@example.cz", hashlib.sha256).digest()


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_has_a_key_and_normalising_twice_changes_nothing(text):
    once = normalise(text)
    assert normalise(once) == once
    assert account_key(SECRET, text) == account_key(SECRET, once)
