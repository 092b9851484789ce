"""Plans as tokens: whole for their account, nothing for everybody else."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from server.control.boiler_mode import BoilerMode
from server.control.box_mode import BoxMode
from server.control.changes import decode, encode
from server.control.grid_charge import GridCharge
from server.control.grid_export import GridExport
from server.control.plan_token import MAX_TOKEN, Plan, Plans
from server.control.supplementary import SupplementaryModes
from server.errors import ChangeRefused

PORTAL = "https://portal.example/"
PLANS = Plans(b"s" * 32, PORTAL)
ACCOUNT, OTHER = b"a" * 32, b"b" * 32

CHANGES = st.one_of(
    st.builds(BoxMode, st.integers(0, 3)),
    st.builds(SupplementaryModes, st.booleans(), st.none() | st.booleans()),
    st.builds(GridExport, st.sampled_from(["off", "on"])),
    st.builds(GridExport, st.just("limited"), st.integers(1, 9999)),
    st.builds(BoilerMode, st.booleans()),
    st.builds(GridCharge, st.integers(20, 100)),
)

PLAN = st.builds(
    Plan,
    change_id=st.binary(min_size=8, max_size=8).map(bytes.hex),
    box_id=st.integers(0, 10**20 - 1).map(str),
    change=CHANGES,
    sentence=st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), max_size=200),
    observed=st.binary(min_size=16, max_size=16),
    expires_at=st.floats(0, 4e9),
    undoes=st.none() | st.binary(min_size=8, max_size=8).map(bytes.hex),
)

SENTENCE = "box 2210400017: mode Home 1 -> Home UPS"
ONE = Plan("0123456789abcdef", "2210400017", BoxMode(3), SENTENCE, b"o" * 16, 1_795_000_000.5)


@given(PLAN)
def test_a_plan_is_read_back_unchanged(plan):
    token = PLANS.seal(ACCOUNT, plan)
    assert PLANS.open(ACCOUNT, token) == plan
    assert PLANS.open(ACCOUNT, f" {token}\n") == plan
    assert len(token) <= 600 < MAX_TOKEN


@given(PLAN)
def test_no_other_account_secret_or_portal_opens_it(plan):
    token = PLANS.seal(ACCOUNT, plan)
    assert PLANS.open(OTHER, token) is None
    assert Plans(b"t" * 32, PORTAL).open(ACCOUNT, token) is None
    assert Plans(b"s" * 32, "https://other.example/").open(ACCOUNT, token) is None


@given(st.data())
def test_a_token_with_any_character_changed_does_not_open(data):
    token = PLANS.seal(ACCOUNT, ONE)
    place = data.draw(st.integers(0, len(token) - 1))
    char = data.draw(st.characters(codec="utf-8").filter(lambda char: char != token[place]))
    assume(not char.isspace())  # Around a token it is cut off, as a paste may bring it.
    assert PLANS.open(ACCOUNT, token[:place] + char + token[place + 1 :]) is None


@pytest.mark.parametrize("length", [20, 21, 22])
def test_a_token_has_one_spelling(length):
    """Base64 text may end in bits that no byte is made of; a decoder overlooks them."""
    token = PLANS.seal(ACCOUNT, replace(ONE, box_id="2" * length))
    alphabet = string.ascii_letters + string.digits + "-_+/="
    others = [token[:-1] + char for char in alphabet if char != token[-1]]
    assert [one for one in [*others, token + "=", token + "=="] if PLANS.open(ACCOUNT, one)] == []


@given(st.text(max_size=600))
def test_anything_but_a_token_opens_nothing(text):
    assert PLANS.open(ACCOUNT, text) is None
    assert PLANS.open(ACCOUNT, f"plan_{text}") is None


def test_a_token_shows_neither_box_nor_change():
    import base64

    assert len(PLANS.seal(ACCOUNT, ONE)) < 256
    raw = base64.urlsafe_b64decode(PLANS.seal(ACCOUNT, ONE).removeprefix("plan_") + "===")
    assert ONE.box_id.encode() not in raw
    assert b"mode" not in raw


@pytest.mark.parametrize(
    "sentence",
    [
        SENTENCE,
        f"  {SENTENCE}\n",
        SENTENCE.replace(" ", "\n"),
        SENTENCE.replace(" ", "  "),
        SENTENCE.replace(" ", "\t\r\n"),
        SENTENCE.replace(" ", "\u00a0"),
    ],
)
def test_an_agreement_ignores_differences_in_white_space(sentence):
    assert ONE.is_agreed(f" {ONE.box_id} ", sentence)


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        ("2210400025", SENTENCE),
        ("", SENTENCE),
        (ONE.box_id, ""),
        (ONE.box_id, "box 2210400017: mode Home 1 -> Home 2"),
        (ONE.box_id, "box 2210400025: mode Home 1 -> Home UPS"),
        (ONE.box_id, "mode Home 1 -> Home UPS"),
        (ONE.box_id, f"{SENTENCE}."),
        (ONE.box_id, SENTENCE.lower()),
        (ONE.box_id, SENTENCE.replace("->", "\u2192")),
        (ONE.box_id, SENTENCE.replace(" ", "")),
        (ONE.box_id, SENTENCE.replace("mode", "m\u200bode")),
        (ONE.box_id, SENTENCE.replace("o", "\u043e")),
    ],
)
def test_another_box_or_other_words_are_not_an_agreement(box, sentence):
    assert not ONE.is_agreed(box, sentence)


def test_two_tokens_of_one_plan_differ():
    assert PLANS.seal(ACCOUNT, ONE) != PLANS.seal(ACCOUNT, ONE)


@given(CHANGES)
def test_every_change_can_be_written_and_read(change):
    assert decode(encode(change)) == change


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        ["mode"],
        ["mode", 4],
        ["mode", True],
        ["mode", 1, 2],
        ["other", 1],
        ["charge", "9"],
        ["export", "limited", None],
        ["export", "on", 5],
        ["supplementary", None, None],
        ["boiler", 1],
    ],
)
def test_anything_but_a_change_is_refused(raw):
    with pytest.raises(ChangeRefused):
        decode(raw)
