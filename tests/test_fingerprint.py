from __future__ import annotations

import hashlib
import hmac
from unicodedata import category, normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.fingerprint import (
    ACCOUNT_LABEL,
    INVISIBLE,
    OTHER,
    account_key,
    budget_key,
    fold,
    normalise,
)
from server.sealing import Credential, Sealer

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
def test_what_a_database_may_take_for_one_mailbox_has_one_budget(spelling):
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
    "spelling",
    [
        *(f"demo{two}@example.com" for two in "\u0662\u0968\u07c2\u06f2\u2777"),
        *("\u00dfam@example.com", "\u1e9eam@example.com", "s\u0363m@example.com"),
        *("\u00f0an@example.com", "\ua7a9am@example.com", "\U0001f162am@example.com"),
        *("sa\u0640m@example.com", "\uac00@example.kr", "\u0438van@example.bg"),
        *(f"de{sign}mo@example.com" for sign in "\ufe70\ufe72\ufe74\ufe7e\ufc5e\ufc63\u00a8"),
        *("\u1dcaob@example.com", "\u1abfob@example.com"),
        *("j\u00f8se@example.com", "\u0131stanbul@example.com", "\u0141ukasz@example.pl"),
        *("j\u0252se@example.com", "j\u1d52se@example.com", "j\U0001d428se@example.com"),
    ],
)
def test_spellings_about_which_collations_disagree_share_one_budget(spelling):
    assert fold(spelling) == OTHER


SAME_LETTER = {
    "root": ["ae \u00e6", "oe \u0153", "ss \u00df \u1e9e", "th \u00fe", "fi \ufb01", "dz \u01f3"],
    "general_ci": ["s \u00df \u1e9e", "e \u00e9", "u \u00fc", "a \u00e4 \u00e5", "o \u00f6"],
    "root of ICU": ["d \u0111", "l \u0142", "o \u00f8", "h \u0127", "i \u0131", "q \u0138"],
    "German phone book": ["ae \u00e4 \u00e6", "oe \u00f6 \u0153", "ue \u00fc"],
    "Swedish": [
        "y \u00fc \u0171",
        "\u00e4 \u00e6 \u0119",
        "\u00f6 \u00f8 \u0151 \u0153 \u00f4",
        "d \u0111 \u00f0",
        "th \u00fe",
        "\u00e5",
    ],
    "Finnish": ["y \u00fc", "\u00f6 \u00f8 \u00f5 \u0153", "n \u014b", "t \u0167", "z \u0292"],
    "Danish": [
        "aa \u00e5",
        "\u00e6 \u00e4 \u0119",
        "\u00f8 \u00f6 \u0151 \u0153",
        "y \u00fc \u0171",
    ],
    "Icelandic": ["\u00e1", "d \u0111", "\u00f0", "\u00fe", "\u00e6 \u00e4", "\u00f6 \u00f8"],
    "Northern Sami": ["\u00f8 \u0153", "\u00e1", "\u0111", "\u014b"],
    "Hungarian": ["\u00f6 \u0151", "\u00fc \u0171", "cs", "\u00e9 e"],
    "Croatian": ["d\u017e \u01c6", "lj \u01c9", "nj \u01cc", "\u010d", "\u0111"],
    "Serbian, as transliterated": ["dj \u0111", "c \u010d \u0107"],
    "Czech": ["\u010d", "\u0159", "e \u011b \u00e9", "u \u016f", "ch", "d \u010f"],
    "Polish": ["\u0142", "\u0105", "\u0119", "\u00f3", "\u017c", "\u017a"],
    "Romanian": ["\u015f \u0219", "\u0163 \u021b", "\u0103", "\u00e2", "\u00ee"],
    "Turkish": ["\u0131", "i \u0130", "\u011f", "\u00f6", "\u00fc"],
    "Vietnamese": ["\u0103 \u1eaf", "\u00e2 \u1ea5", "\u01b0 \u1ee9", "\u0111"],
}
"""Letters that the collation of a language takes for one, a group a line."""


def written(letter: str) -> list[str]:
    """Return the ways to write a letter: composed, apart, capital, with further marks."""
    # The capital of a sharp s is two letters; the tables name the single one.
    cases = {letter, letter.upper() if len(letter.upper()) == len(letter) else letter}
    forms = [form for case in sorted(cases) for form in (case, normalize("NFD", case))]
    forms += [form + mark for form in forms for mark in ("\u0323", "\u0301", "\u0304\u0323")]
    return forms + [form[:-1] + "\u0323" + form[-1] for form in forms if category(form[-1]) == "Mn"]


@pytest.mark.parametrize("language", SAME_LETTER)
@settings(max_examples=25)
@given(data=st.data())
def test_what_a_language_takes_for_one_mailbox_has_two_budgets_at_most(language, data):
    group = st.sampled_from(SAME_LETTER[language]).map(str.split)
    mailbox = data.draw(st.lists(group | st.sampled_from(["a", "e", "x", "."]), max_size=4))
    letters = [st.sampled_from(group).map(written).flatmap(st.sampled_from) for group in mailbox]
    spelling = st.tuples(*letters).map(lambda drawn: "x" + "x".join(drawn) + "@example.com")
    spellings = data.draw(st.lists(spelling, min_size=2, max_size=12))
    assert len({fold(one) for one in spellings} - {OTHER}) <= 1


@pytest.mark.parametrize("language", SAME_LETTER)
def test_what_a_language_takes_for_one_letter_has_two_budgets_at_most(language):
    for group in SAME_LETTER[language]:
        for near in ("a{}b@x.cz", "{}@x.cz", "e{}a@x.cz"):
            spellings = [near.format(form) for one in group.split() for form in written(one)]
            assert len({fold(one) for one in spellings} - {OTHER}) <= 1


@pytest.mark.parametrize(
    "letters",
    [
        *("\u00e4", "\u00f6", "\u00fc", "\u00e5", "\u0151", "\u0171", "\u00f8", "\u00e6", "\u0153"),
        *("\u00fe", "\u00f0", "\u0111", "\u0142", "\u0167", "\u014b", "\u01ff", "\u01d6", "\u01fb"),
        *("a\u0308", "a\u0323\u0308", "A\u0301\u030a", "u\u034f\u0308", "o\u0304\u030b", "u\u0344"),
    ],
)
def test_a_letter_that_some_language_takes_for_others_shares_the_budget_of_all_such(letters):
    assert fold(f"j{letters}se@example.com") == OTHER
    assert fold(f"j{letters.upper()}se@example.com") == OTHER


def test_every_character_folds_to_its_plain_letters_or_to_the_budget_of_all_others():
    for code in range(0x110000):
        char = chr(code)
        if category(char) == "Cn":
            continue
        plain = without_marks(without_marks(char).casefold())
        expected = {OTHER} | ({f"a{plain}b@x.cz"} if plain.isascii() else set())
        assert fold(f"a{char}b@x.cz") in expected, hex(code)


def without_marks(text: str) -> str:
    unseen = {"Mn", "Mc", "Me", "Cf", "Cc", "Cn"}
    apart = normalize("NFKD", text)
    return "".join(
        one
        for one in apart
        if one.isascii() or (category(one) not in unseen and one not in INVISIBLE)
    )


def test_what_is_not_assigned_gives_no_budget_of_its_own():
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
def test_the_quick_way_to_a_budget_and_the_long_one_agree(email):
    sealer = Sealer(SECRET, "https://portal.example/")
    credential = Credential(email, "x")
    assert sealer.budget(credential, sealer.keys(credential)) == budget_key(SECRET, email)
