from __future__ import annotations

import hashlib
import hmac
import re
from unicodedata import category, normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.auth.sealing import Credential, Sealer
from server.keys.fingerprint import (
    ACCOUNT_LABEL,
    INVISIBLE,
    OTHER,
    SPELLING_BYTES,
    account_key,
    budget_key,
    fold,
    normalise,
    spelling_tag,
)

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


@pytest.mark.parametrize(
    "spelling",
    [
        "jose@example.com",
        "jos\u00e9@example.com",
        "jose\u0301@example.com",
        "JOS\u00c9@example.com",
        "jos\u0119@example.com",
        "jo\u0161e@example.com",
        "jose\ufe0f@example.com",  # variation selector 16
        "jose\U000e0100@example.com",  # variation selector 17
        "jo\U000e01efse@example.com",
        "jo\u034fse@example.com",  # combining grapheme joiner
        "jo\u200bse@example.com",  # zero width space
        "jo\u00adse@example.com",  # soft hyphen
        "jo\u2060se@example.com",  # word joiner
        "jo\ufeffse@example.com",
        "jo\u202ese@example.com",  # right-to-left override
        "jo\u3164se@example.com",  # Hangul filler
        "jo\uffa0se@example.com",
        "jo\u115fse@example.com",
        "jo\u2800se@example.com",  # Braille without a dot
        "jo\U000e0041se@example.com",  # a tag
        "jo\u2065se@example.com",  # not assigned
        "\uff4aose@example.com",
        "jose@example.com\u200b ",
        "jose@example.com ",
        "j\u20ddose@example.com",  # an enclosing circle
        "\u24d9ose@example.com",
        "jo\u017fe@example.com",  # long s
    ],
)
def test_addresses_that_a_database_may_equate_share_a_budget(spelling):
    assert fold(spelling) == "jose@example.com"
    assert budget_key(SECRET, spelling) == account_key(SECRET, "jose@example.com")


@pytest.mark.parametrize(
    ("spelling", "folded"),
    [
        ("\u0130stanbul@example.com", "istanbul@example.com"),
        ("\ufb01lip@example.cz", "filip@example.cz"),
        ("\u01c4@example.hr", "dz@example.hr"),
    ],
)
def test_letters_are_folded_as_collations_do(spelling, folded):
    assert fold(spelling) == folded


@pytest.mark.parametrize(
    ("spelling", "folded"),
    [
        ("st\u016fl@example.cz", "stul@example.cz"),
        ("P\u0158\u00cdB\u011aH@example.cz", "pribeh@example.cz"),
        ("j\u00f6rg@example.de", "jorg@example.de"),
        ("stra\u00dfe@example.de", "strase@example.de"),
        ("STRA\u1e9eE@example.de", "strase@example.de"),
        ("h\u00e5kan@example.se", "hakan@example.se"),
        ("\u0151\u0171@example.hu", "ou@example.hu"),
        ("a\u0323\u0308@example.com", "a@example.com"),
        ("s\u0363m@example.com", "sm@example.com"),
        ("j\u1d52se@example.com", "jose@example.com"),
        ("j\U0001d428se@example.com", "jose@example.com"),
    ],
)
def test_a_letter_with_marks_shares_the_budget_of_the_plain_one(spelling, folded):
    assert fold(spelling) == folded
    assert fold(normalize("NFD", spelling)) == folded


@pytest.mark.parametrize(
    "spelling",
    [
        *(f"demo{two}@example.com" for two in "\u0662\u0968\u07c2\u06f2\u2777"),
        *("\u00f0an@example.com", "\ua7a9am@example.com", "\u00feor@example.is"),
        *("sa\u0640m@example.com", "\uac00@example.kr", "\u0438van@example.bg"),
        *(f"de{sign}mo@example.com" for sign in "\ufe70\ufe72\ufe74\ufe7e\ufc5e\ufc63\u00a8"),
        *("j\u00f8se@example.com", "\u0131stanbul@example.com", "\u0141ukasz@example.pl"),
        *("j\u0252se@example.com", "\u00e6@example.dk", "\u0111@example.vn"),
    ],
)
def test_spellings_that_no_rule_makes_plain_share_one_budget(spelling):
    assert fold(spelling) == OTHER


def test_a_sharp_s_shares_the_budget_of_one_s_and_of_two():
    mailbox = "jana.svobodova.ss@example.cz"
    spellings = [mailbox.replace("ss", two) for two in ("s", "ss", "sss", "\u00df", "s\u00df")]
    spellings += [mailbox.replace("s", "\u00df", count) for count in range(5)]
    spellings += [mailbox.upper().replace("S", "\u1e9e"), mailbox.replace("s", "\u017f")]
    assert {fold(one) for one in spellings} == {"jana.svobodova.s@example.cz"}


def test_every_character_folds_to_its_plain_letters_or_else_to_the_budget_of_all_others():
    for code in range(0x110000):
        char = chr(code)
        if category(char) == "Cn":
            continue
        plain = re.sub("ss+", "s", without_marks(without_marks(char).casefold()))
        is_plain = plain.isascii() and (char == " " or " " not in plain)
        assert fold(f"a{char}b@x.cz") == (f"a{plain}b@x.cz" if is_plain else OTHER), hex(code)


def without_marks(text: str) -> str:
    unseen = {"Mn", "Mc", "Me", "Cf", "Cc", "Cn"}
    apart = normalize("NFKD", text)
    return "".join(
        one
        for one in apart
        if one.isascii() or (category(one) not in unseen and one not in INVISIBLE)
    )


def test_unassigned_characters_give_no_budget_of_their_own():
    for first in range(0, 0x110000, 256):
        unassigned = [chr(first + n) for n in range(256) if category(chr(first + n)) == "Cn"]
        assert fold(f"a{''.join(unassigned)}b@x.cz") in {"ab@x.cz", OTHER}


def test_a_mark_that_has_a_capital_gives_no_further_budget():
    for marks in ("\u0345", "\u0345\u0345", "\u0301\u0345"):
        assert fold(f"a{marks}b@example.cz") == "ab@example.cz"
    assert fold("\u1fb3@example.gr") == fold("\u1fbc@example.gr") == fold("\u03b1@example.gr")


def test_no_mark_gives_a_budget_of_its_own():
    spellings = (f"a{chr(code)}b@x.cz" for code in range(0x110000) if category(chr(code))[0] == "M")
    assert {fold(spelling) for spelling in spellings} <= {"ab@x.cz", OTHER}


def test_only_budgets_are_folded():
    plain, accented = "jose@example.com", "jos\u00e9@example.com"
    assert account_key(SECRET, plain) != account_key(SECRET, accented)
    sealer = Sealer(SECRET, "https://portal.example/")
    one, other = Credential(plain, "x"), Credential(accented, "x")
    assert sealer.keys(one).session != sealer.keys(other).session
    assert sealer.budget(one, sealer.keys(one)) == sealer.budget(other, sealer.keys(other))


def test_different_mailboxes_have_budgets_of_their_own():
    mailboxes = ["jana@example.cz", "jan@example.cz", "jana+oig@example.cz", "ja.na@example.cz"]
    assert len({budget_key(SECRET, mailbox) for mailbox in mailboxes}) == len(mailboxes)


@given(st.text(st.characters(exclude_categories=())))
def test_folding_ends_and_folding_twice_changes_nothing(text):
    once = fold(text)
    assert fold(once) == once == normalise(once)
    assert once.isascii() or once == OTHER


@given(st.emails() | st.text(st.characters(max_codepoint=127)))
@example("hess@example.cz")
@example("HESS@example.cz")
@example("hesS@example.cz")
@example("jana@cissc.cz")
@example("hesss@example.cz")
def test_the_fast_and_the_full_path_to_a_budget_agree(email):
    sealer = Sealer(SECRET, "https://portal.example/")
    credential = Credential(email, "x")
    assert sealer.budget(credential, sealer.keys(credential)) == budget_key(SECRET, email)


@pytest.mark.parametrize(
    "spelling",
    [
        "Jana@example.cz",
        "JANA@EXAMPLE.CZ",
        "\uff4aana@example.cz",
        "jana@\u212fxample.cz",
        " jana@example.cz",
    ],
)
def test_each_spelling_of_an_account_but_the_normalised_one_has_a_tag(spelling):
    assert account_key(SECRET, spelling) == account_key(SECRET, "jana@example.cz")
    assert spelling_tag(SECRET, "jana@example.cz") == b""
    tag = spelling_tag(SECRET, spelling)
    assert len(tag) == SPELLING_BYTES
    assert tag == spelling_tag(SECRET, spelling) != spelling_tag(b"x" * 32, spelling)


@given(*[st.tuples(*(st.sampled_from([c, c.upper(), chr(ord(c) + 0xFEE0)]) for c in "jana"))] * 2)
def test_two_spellings_of_an_account_have_one_tag_only_if_they_are_the_same(one, other):
    first, second = ("".join(letters) + "@example.cz" for letters in (one, other))
    assert account_key(SECRET, first) == account_key(SECRET, second)
    assert (spelling_tag(SECRET, first) == spelling_tag(SECRET, second)) == (first == second)
