"""What a client may ask for at /authorize, and the answers to it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.oauth.authorization import (
    LONGEST_STATE,
    Refused,
    address_of,
    answer,
    may_redirect,
    only,
    parameters_of,
    read_request,
)
from server.oauth.clients import Client, Redirects, describe, read
from server.oauth.mode import Mode
from server.oauth.pkce import read_challenge

from .login_house import APP, CHALLENGE, CLAUDE, ISSUER, PROGRAM, SITE, asked, query

MODE = Mode("hard", ISSUER)
CLIENT = read(CLAUDE)


def read_it(text: str):
    parameters = parameters_of(text.encode())
    assert parameters is not None
    return read_request(parameters, CLIENT, SITE, MODE, 900.0)


def changed(**changes):
    return read_it(query(**asked(**changes)))


def test_a_good_request_is_read_as_it_was_sent():
    request = changed()
    assert (request.client_id, request.redirect_uri) == (CLAUDE, SITE)
    assert request.state == "s t&a=te"
    assert request.challenge == read_challenge(CHALLENGE)
    assert request.audience == f"{ISSUER}/mcp"
    assert request.expires_at == 900.0


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        ("invalid_request", {"response_type": None}),
        ("invalid_request", {"response_type": ""}),
        ("unsupported_response_type", {"response_type": "token"}),
        ("unsupported_response_type", {"response_type": "code id_token"}),
        ("invalid_request", {"response_mode": "fragment"}),
        ("invalid_request", {"response_mode": "form_post"}),
        ("invalid_request", {"code_challenge": None}),
        ("invalid_request", {"code_challenge": ""}),
        ("invalid_request", {"code_challenge_method": None}),
        ("invalid_request", {"code_challenge_method": "plain"}),
        ("invalid_request", {"code_challenge_method": "s256"}),
        ("invalid_request", {"code_challenge": CHALLENGE[:-1]}),
        ("invalid_request", {"code_challenge": CHALLENGE + "="}),
        ("invalid_request", {"code_challenge": "v" * 64}),
        ("invalid_target", {"resource": "https://evil.example/mcp"}),
        ("invalid_target", {"resource": "https://oig.example.org.evil.example/mcp"}),
        ("invalid_target", {"resource": f"{ISSUER}/other"}),
        ("invalid_target", {"resource": "http://oig.example.org/mcp"}),
        ("invalid_scope", {"scope": 'oig:read "quoted"'}),
        ("invalid_scope", {"scope": "oig:read\noig:control"}),
        ("invalid_scope", {"scope": "\u010dten\u00ed"}),
        ("login_required", {"prompt": "none"}),
        ("login_required", {"prompt": "login none"}),
        ("request_not_supported", {"request": "e30.e30."}),
        ("request_uri_not_supported", {"request_uri": "https://evil.example/r"}),
        ("invalid_request", {"state": "s" * (LONGEST_STATE + 1)}),
        ("invalid_request", {"state2": "other"}),
        ("invalid_request", {"resource2": "https://evil.example"}),
        ("invalid_request", {"scope2": "oig:control"}),
        ("invalid_request", {"code_challenge2": CHALLENGE}),
        ("invalid_request", {"unknown1": "a", "unknown2": "b"}),
    ],
)
def test_a_mistake_has_the_code_that_its_specification_gives_it(error, changes):
    with pytest.raises(Refused) as caught:
        changed(**changes)
    assert caught.value.error == error
    # RFC 6749 4.1.2.1: %x20-21 / %x23-5B / %x5D-7E
    assert set(caught.value.description) <= set(map(chr, range(0x20, 0x7F))) - set('"\\')


@pytest.mark.parametrize(
    "changes",
    [
        {"resource": None},
        {"resource": ISSUER},
        {"resource": f"{ISSUER}/"},
        {"resource": f"{ISSUER}/mcp/"},
        {"resource": f"{ISSUER}:443/mcp"},
        {"state": None},
        {"state": ""},
        {"response_mode": "query"},
        {"prompt": "consent"},
        {"prompt": "login select_account"},
        {"login_hint": "jana@example.cz"},
        {"nonce": "n", "audience": "x", "unheard_of": "y"},
    ],
)
def test_requests_that_other_servers_accept_are_not_mistakes(changes):
    assert changed(**changes).client_id == CLAUDE


@pytest.mark.parametrize(
    ("scope", "kept"),
    [
        (None, ("oig:read",)),
        ("", ("oig:read",)),
        ("oig:control oig:read", ("oig:read", "oig:control")),
        ("oig:control", ("oig:control",)),
        ("openid offline_access", ("oig:read",)),
        ("oig:read  oig:admin", ("oig:read",)),
    ],
)
def test_scopes_of_other_servers_are_left_out(scope, kept):
    assert changed(scope=scope).scopes == kept


@pytest.mark.parametrize(
    ("uri", "may"),
    [
        (SITE, True),
        (PROGRAM, True),
        ("http://localhost:1/callback", True),
        (APP, True),
        ("http://127.0.0.1:53124/callback", False),
        ("http://localhost:53124/other", False),
        (f"{SITE}/", False),
        (f"{SITE}?x=1", False),
        ("https://evil.example/cb", False),
        ("", False),
    ],
)
def test_a_response_goes_only_to_a_registered_and_allowed_address(uri, may):
    client = read(
        describe("Claude", [SITE, "http://localhost/callback", APP, "https://evil.example/cb"])
    )
    assert client is not None
    assert may_redirect(client, uri, Redirects()) is may


def test_a_client_with_a_metadata_document_may_be_redirected_to_its_own_site():
    client = Client(
        "https://client.example/id", "C", ("https://client.example/cb",), "client.example"
    )
    assert may_redirect(client, "https://client.example/cb", Redirects())
    assert not may_redirect(client, "https://other.example/cb", Redirects())


@pytest.mark.parametrize(
    ("uri", "begins"),
    [
        (SITE, f"{SITE}?code="),
        (f"{SITE}?a=1", f"{SITE}?a=1&code="),
        (f"{SITE}?", f"{SITE}?code="),
        (APP, f"{APP}?code="),
    ],
)
def test_a_response_preserves_the_query_of_its_address(uri, begins):
    where = answer(uri, MODE, "s t&a=te", code="oigk_x")
    assert where.startswith(begins)
    parameters = parse_qs(urlsplit(where).query)
    assert parameters["state"] == ["s t&a=te"]
    assert parameters["iss"] == [ISSUER]


@given(st.text(max_size=200))
def test_a_state_is_returned_unchanged(state):
    where = answer(SITE, MODE, state, code="oigk_x")
    assert where.isascii()
    assert parse_qs(urlsplit(where).query, keep_blank_values=True)["state"] == [state]


def test_without_a_state_none_is_returned():
    assert "state" not in parse_qs(urlsplit(answer(SITE, MODE, None, code="x")).query)


def test_the_same_page_in_another_language_asks_for_the_same():
    request = changed(scope="oig:read oig:control")
    where = urlsplit(address_of(request, MODE, "cs"))
    assert where.path == "/authorize"
    parameters = parameters_of(where.query.encode())
    assert only(parameters, "ui_locales") == "cs"
    assert read_request(parameters, CLIENT, SITE, MODE, 900.0) == request


@pytest.mark.parametrize("text", [b"a=%ff", b"a=\xc3\xa9", b"&".join([b"a=1"] * 65)])
def test_a_malformed_query_is_refused(text):
    assert parameters_of(text) is None


def test_a_parameter_given_twice_is_not_used():
    assert only({"a": ["1", "2"]}, "a") == ""
    assert only({}, "a") == ""
