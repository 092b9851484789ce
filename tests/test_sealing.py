"""Credentials into keys, sessions into sealed values."""

from dataclasses import astuple, replace

from hypothesis import given
from hypothesis import strategies as st

from server.auth.sealing import Credential, Sealer, Session, digest

SECRET = b"s" * 32
PORTAL = "https://portal.example/"
SESSION = Session("a1b2c3d4e5f6g7h8i9j0k1l2m3", 1000.0, 44200.0)
ALICE = Credential("alice@example.com", "correct horse")


def sealer(secret: bytes = SECRET, portal: str = PORTAL) -> Sealer:
    return Sealer(secret, portal)


KEYS = sealer().keys(ALICE)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(texts, texts, texts)
def test_a_sealed_value_opens_with_the_same_credential(email, password, session_id):
    credential = Credential(email, password)
    session = Session(session_id, 1.5, 2.5)
    keys = sealer().keys(credential)
    assert sealer().open(keys, sealer().seal(keys, session)) == session


@given(texts, texts)
def test_another_password_opens_nothing_and_has_another_key(right, wrong):
    if right == wrong:
        wrong += "x"
    good = sealer().keys(Credential("a@example.com", right))
    bad = sealer().keys(Credential("a@example.com", wrong))
    assert sealer().open(bad, sealer().seal(good, SESSION)) is None
    assert good.session != bad.session
    assert good.account == bad.account


def test_the_boundary_between_email_and_password_matters():
    one, other = Credential("a@b", "cd"), Credential("a@bc", "d")
    assert sealer().keys(one).session != sealer().keys(other).session


def test_two_spellings_of_an_email_are_one_account_and_one_key():
    other = Credential(" Alice@Example.COM", ALICE.password)
    assert sealer().keys(other) == KEYS


def test_a_session_of_one_portal_is_not_found_under_another():
    other = sealer(portal="http://localhost:8099/").keys(ALICE)
    assert other.session != KEYS.session
    assert other.seal != KEYS.seal


def test_another_secret_finds_and_opens_nothing():
    other = sealer(secret=b"t" * 32)
    assert not {*astuple(other.keys(ALICE))} & {*astuple(KEYS)}
    assert other.open(other.keys(ALICE), sealer().seal(KEYS, SESSION)) is None


def test_a_value_moved_to_another_account_does_not_open():
    bob = sealer().keys(Credential("bob@example.com", ALICE.password))
    value = sealer().seal(KEYS, SESSION)
    assert sealer().open(bob, value) is None
    assert sealer().open(replace(KEYS, account=bob.account), value) is None


def test_every_damaged_byte_and_every_shorter_value_is_noticed():
    value = sealer().seal(KEYS, SESSION)
    for i in range(len(value)):
        damaged = value[:i] + bytes([value[i] ^ 1]) + value[i + 1 :]
        assert sealer().open(KEYS, damaged) is None
        assert sealer().open(KEYS, value[:i]) is None


@given(st.binary(max_size=200))
def test_a_value_that_does_not_open_is_a_miss(value):
    assert sealer().open(KEYS, value) is None


def test_a_sealed_value_shows_neither_session_nor_email():
    value = sealer().seal(KEYS, SESSION)
    assert SESSION.id.encode() not in value
    assert b"alice" not in value
    assert value != sealer().seal(KEYS, SESSION)
    assert len(value) < 200


def test_no_secret_is_in_a_repr():
    shown = repr(ALICE) + repr(SESSION) + repr(KEYS)
    assert repr(KEYS) == "Keys()"
    assert "correct horse" not in shown
    assert "alice" not in shown
    assert SESSION.id not in shown


def test_a_digest_identifies_a_value():
    assert digest(b"a") != digest(b"b")
    assert len(digest(b"a")) == 32
