"""Credentials into keys, sessions into sealed values."""

from hypothesis import given
from hypothesis import strategies as st

from server.sealing import Credential, Sealer, Session, digest

SECRET = b"s" * 32
PORTAL = "https://portal.example/"
SESSION = Session("a1b2c3d4e5f6g7h8i9j0k1l2m3", 1000.0, 44200.0)
ALICE = Credential("alice@example.com", "correct horse")

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def sealer(secret: bytes = SECRET, portal: str = PORTAL) -> Sealer:
    return Sealer(secret, portal)


@given(texts, texts, texts)
def test_what_was_sealed_opens_with_the_same_credential(email, password, session_id):
    credential = Credential(email, password)
    session = Session(session_id, 1.5, 2.5)
    assert sealer().open(credential, sealer().seal(credential, session)) == session


@given(texts, texts)
def test_another_password_opens_nothing_and_has_another_key(right, wrong):
    if right == wrong:
        wrong += "x"
    good, bad = Credential("a@example.com", right), Credential("a@example.com", wrong)
    assert sealer().open(bad, sealer().seal(good, SESSION)) is None
    assert sealer().key(good) != sealer().key(bad)
    assert sealer().account(good) == sealer().account(bad)


def test_the_boundary_between_email_and_password_matters():
    assert sealer().key(Credential("a@b", "cd")) != sealer().key(Credential("a@bc", "d"))


def test_two_spellings_of_an_email_are_one_account_and_one_key():
    other = Credential(" Alice@Example.COM", ALICE.password)
    assert sealer().account(other) == sealer().account(ALICE)
    assert sealer().key(other) == sealer().key(ALICE)


def test_a_session_of_one_portal_is_not_found_under_another():
    assert sealer().key(ALICE) != sealer(portal="http://localhost:8099/").key(ALICE)


def test_another_secret_finds_and_opens_nothing():
    other = sealer(secret=b"t" * 32)
    assert other.key(ALICE) != sealer().key(ALICE)
    assert other.open(ALICE, sealer().seal(ALICE, SESSION)) is None


def test_a_value_moved_to_another_account_does_not_open():
    bob = Credential("bob@example.com", ALICE.password)
    assert sealer().open(bob, sealer().seal(ALICE, SESSION)) is None


def test_every_damaged_byte_and_every_shorter_value_is_noticed():
    value = sealer().seal(ALICE, SESSION)
    for i in range(len(value)):
        damaged = value[:i] + bytes([value[i] ^ 1]) + value[i + 1 :]
        assert sealer().open(ALICE, damaged) is None
        assert sealer().open(ALICE, value[:i]) is None


@given(st.binary(max_size=200))
def test_garbage_is_a_miss(value):
    assert sealer().open(ALICE, value) is None


def test_a_sealed_value_shows_neither_session_nor_email():
    value = sealer().seal(ALICE, SESSION)
    assert SESSION.id.encode() not in value
    assert b"alice" not in value
    assert value != sealer().seal(ALICE, SESSION)
    assert len(value) < 200


def test_nothing_secret_is_in_a_repr():
    shown = repr(ALICE) + repr(SESSION)
    assert "correct horse" not in shown
    assert "alice" not in shown
    assert SESSION.id not in shown


def test_a_digest_names_a_value():
    assert digest(b"a") != digest(b"b")
    assert len(digest(b"a")) == 32
