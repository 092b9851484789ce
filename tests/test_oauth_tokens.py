"""Codes, tokens and signed requests: what opens, and what does not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import base64url
from server.auth.sealing import Credential
from server.oauth.tokens import (
    AccessToken,
    Action,
    AuthorizationRequest,
    Code,
    RefreshToken,
    Tokens,
    binding,
)

SECRET = b"s" * 32
PORTAL = "https://portal.example/"
GRANT, KEY, ACCOUNT = b"g" * 16, b"k" * 32, b"a" * 32
CREDENTIAL = Credential("jana@example.cz", "correct horse")
CODE = Code(GRANT, KEY, 1060.5, b"c" * 32, binding("oigc_x", "http://localhost:1/callback"))
ACCESS = AccessToken(GRANT, KEY, 4600.25)
REFRESH = RefreshToken(GRANT, KEY, 7)
REQUEST = AuthorizationRequest(
    "oigc_x", "https://claude.ai/cb", "st", b"c" * 32, ("oig:read",), "loopback", 1900.0
)
ACTION = Action(ACCOUNT, GRANT, "end", 1600.0)


def tokens(secret: bytes = SECRET, portal: str = PORTAL) -> Tokens:
    return Tokens(secret, portal)


KINDS = {
    "code": (Tokens.code, Tokens.open_code, CODE),
    "access": (Tokens.access, Tokens.open_access, ACCESS),
    "refresh": (Tokens.refresh, Tokens.open_refresh, REFRESH),
    "request": (Tokens.sign_request, Tokens.read_request, REQUEST),
    "action": (Tokens.sign_action, Tokens.read_action, ACTION),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.mark.parametrize(
    ("step", "over"),
    [(0.0, False), (3599.0, False), (3600.0, True), (-2.0, False), (-5 * 3600.0, True)],
)
def test_an_access_token_is_void_an_hour_away_from_its_issue_whichever_way_the_clock_is_set(
    step, over
):
    issued = ACCESS.expires_at - 3600.0
    assert ACCESS.is_over(issued + step) is over


@each_kind
def test_any_process_with_the_secret_reads_a_token(kind):
    write, read, value = KINDS[kind]
    assert read(tokens(), write(tokens(), value)) == value


@each_kind
def test_no_token_opens_as_another_kind(kind):
    write, _, value = KINDS[kind]
    text = write(tokens(), value)
    bodies = [text.removeprefix(text[:5]), text]
    for other, (_, read, _) in KINDS.items():
        prefix = {"code": "oigk_", "access": "oiga_", "refresh": "oigr_"}.get(other, "")
        if other != kind:
            assert [read(tokens(), prefix + body) for body in bodies] == [None, None]
            assert read(tokens(), text) is None


@each_kind
def test_no_token_opens_under_another_secret_or_for_another_portal(kind):
    write, read, value = KINDS[kind]
    text = write(tokens(), value)
    assert read(tokens(secret=b"t" * 32), text) is None
    assert read(tokens(portal="https://other.example/"), text) is None


@each_kind
def test_every_changed_byte_and_every_other_length_is_noticed(kind):
    write, read, value = KINDS[kind]
    text = write(tokens(), value)
    prefix = text[:5] if kind in {"code", "access", "refresh"} else ""
    raw = base64url.decode(text.removeprefix(prefix))
    assert raw is not None
    for i in range(len(raw)):
        damaged = raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1 :]
        assert read(tokens(), prefix + base64url.encode(damaged)) is None
        assert read(tokens(), prefix + base64url.encode(raw[:i])) is None
    assert read(tokens(), prefix + base64url.encode(raw + b"\0")) is None


@each_kind
def test_every_changed_character_is_noticed(kind):
    write, read, value = KINDS[kind]
    text = write(tokens(), value)
    for i, char in enumerate(text):
        other = "B" if char != "B" else "C"
        assert read(tokens(), text[:i] + other + text[i + 1 :]) is None
    for other in (text + "=", f" {text}", f"{text}\n", text.upper(), text + text, ""):
        assert read(tokens(), other) is None


@each_kind
@given(st.text())
def test_no_text_makes_reading_fail(kind, text):
    _, read, _ = KINDS[kind]
    for prefix in ("", "oigk_", "oiga_", "oigr_"):
        assert read(tokens(), prefix + text) is None


@each_kind
def test_an_overlong_token_is_refused_unread(kind):
    _, read, _ = KINDS[kind]
    for prefix in ("", "oigk_", "oiga_", "oigr_"):
        assert read(tokens(), prefix + "A" * 1_000_000) is None


def test_tokens_have_a_length_that_fits_headers_and_logs():
    assert [len(tokens().access(ACCESS)), len(tokens().refresh(REFRESH))] == [117, 112]
    assert len(tokens().code(CODE)) < 256


def test_two_tokens_of_one_grant_have_nothing_in_common():
    one, other = tokens().access(ACCESS), tokens().access(ACCESS)
    assert one != other
    assert one[5:21] != other[5:21]


def test_grants_have_ids_and_keys_of_their_own():
    made = [tokens().new_grant() for _ in range(3)]
    assert len({part for pair in made for part in pair}) == 6
    assert {(len(grant), len(key)) for grant, key in made} == {(16, 32)}


def sealed() -> bytes:
    return tokens().seal_credential(GRANT, ACCOUNT, KEY, CREDENTIAL)


texts = st.text(min_size=1, max_size=300)


@given(texts, texts)
def test_a_sealed_credential_opens_with_the_grants_key(email, password):
    credential = Credential(email, password)
    value = tokens().seal_credential(GRANT, ACCOUNT, KEY, credential)
    assert tokens().open_credential(GRANT, ACCOUNT, KEY, value) == credential


@pytest.mark.parametrize(
    ("grant", "account", "key"),
    [(b"h" * 16, ACCOUNT, KEY), (GRANT, b"b" * 32, KEY), (GRANT, ACCOUNT, b"l" * 32)],
)
def test_a_sealed_credential_opens_for_no_other_grant(grant, account, key):
    assert tokens().open_credential(grant, account, key, sealed()) is None


def test_a_sealed_credential_opens_under_no_other_secret_and_for_no_other_portal():
    for other in (tokens(secret=b"t" * 32), tokens(portal="https://other.example/")):
        assert other.open_credential(GRANT, ACCOUNT, KEY, sealed()) is None


def test_every_damaged_byte_of_a_sealed_credential_is_noticed():
    value = sealed()
    for i in range(len(value)):
        damaged = value[:i] + bytes([value[i] ^ 1]) + value[i + 1 :]
        assert tokens().open_credential(GRANT, ACCOUNT, KEY, damaged) is None
        assert tokens().open_credential(GRANT, ACCOUNT, KEY, value[:i]) is None


def test_the_length_of_a_sealed_credential_does_not_tell_that_of_the_password():
    lengths = {
        len(tokens().seal_credential(GRANT, ACCOUNT, KEY, Credential("j@x.cz", "p" * length)))
        for length in (1, 8, 40, 200)
    }
    assert len(lengths) == 1


def test_no_secret_shows_in_a_repr():
    request = replace(REQUEST, state="the-state")
    shown = repr([CODE, ACCESS, REFRESH, request, CREDENTIAL])
    for secret in (repr(KEY), "the-state", CREDENTIAL.email, CREDENTIAL.password):
        assert secret not in shown


@given(st.none() | st.text(), st.text(max_size=300))
def test_a_state_is_returned_unchanged(state, redirect):
    request = replace(REQUEST, state=state, redirect_uri=redirect, scopes=())
    assert tokens().read_request(tokens().sign_request(request)) == request


def test_a_code_is_bound_to_both_client_and_address():
    bound = {binding("a", "bc"), binding("ab", "c"), binding("abc", ""), binding("bc", "a")}
    assert len(bound) == 4
