"""Whose data a call is about, from headers of any kind."""

import base64
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from server.auth.credential_headers import credential_of
from server.auth.sealing import Credential
from server.errors import AccessDenied
from server.tools.asking import caller

PLANTED = "Planted-Passw0rd"


def basic(text: str | bytes) -> dict[str, str]:
    raw = text.encode() if isinstance(text, str) else text
    return {"authorization": "Basic " + base64.b64encode(raw).decode()}


@pytest.mark.parametrize(
    ("headers", "credential"),
    [
        ({}, None),
        (basic("a@b.cz:pass"), Credential("a@b.cz", "pass")),
        (basic("a@b.cz:pa:ss"), Credential("a@b.cz", "pa:ss")),
        (basic(" a@b.cz :heslo ěšč"), Credential("a@b.cz", "heslo ěšč")),
        (
            {"authorization": "basic " + base64.b64encode(b"a@b.cz:x").decode()},
            Credential("a@b.cz", "x"),
        ),
        ({"x-oig-email": "a@b.cz", "x-oig-password": "pass"}, Credential("a@b.cz", "pass")),
        (
            {"x-oig-email": "a@b.cz", "x-oig-password": "ěšč".encode().decode("latin-1")},
            Credential("a@b.cz", "ěšč"),
        ),
        (
            basic("a@b.cz:p") | {"x-oig-email": "a@b.cz", "x-oig-password": "p"},
            Credential("a@b.cz", "p"),
        ),
        ({"authorization": f"Bearer {PLANTED}"}, None),
        ({"authorization": ""}, None),
    ],
)
def test_credentials_are_read_from_either_kind_of_header(headers, credential):
    assert credential_of(headers.items()) == credential


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Basic {PLANTED}!"},
        {"authorization": "Basic"},
        basic(PLANTED),
        basic(f":{PLANTED}"),
        basic(f"no-address:{PLANTED}"),
        basic(f"no@domain:{PLANTED}"),
        basic("a@b.cz:"),
        basic(f"a@b.cz:{PLANTED * 100}"),
        basic(b"a@b.cz:\xff" + PLANTED.encode()),
        basic(f"a@b.cz\n{PLANTED}:x"),
        {"x-oig-email": PLANTED},
        {"x-oig-password": PLANTED},
        {"x-oig-email": "a@b.cz", "x-oig-password": f"\xff{PLANTED}"},
        basic(f"a@b.cz:{PLANTED}") | {"x-oig-email": "a@b.cz", "x-oig-password": "other"},
    ],
)
def test_a_malformed_header_is_reported_without_repeating_it(headers):
    with pytest.raises(AccessDenied) as caught:
        credential_of(headers.items())
    assert PLANTED not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"x-oig-email": "a@b.cz"}, "X-OIG-Email was sent without X-OIG-Password."),
        ({"x-oig-password": PLANTED}, "X-OIG-Password was sent without X-OIG-Email."),
    ],
)
def test_one_header_of_a_pair_is_named_with_the_missing_one(headers, text):
    with pytest.raises(AccessDenied) as caught:
        credential_of(headers.items())
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Authorization", [f"Basic {PLANTED}", f"Basic {PLANTED}2"]),
        ("Authorization", [f"Bearer {PLANTED}", *basic("a@b.cz:p").values()]),
        ("X-OIG-Email", ["a@b.cz", "c@d.cz"]),
        ("X-OIG-Password", [PLANTED, PLANTED]),
    ],
)
def test_a_header_sent_twice_is_refused_whatever_it_says(name, values):
    other = [(b"x-oig-email", b"a@b.cz"), (b"x-oig-password", b"x")]
    twice = [(name.lower().encode(), value.encode()) for value in values]
    headers = Headers(raw=[pair for pair in other if pair[0] != twice[0][0]] + twice)
    context = SimpleNamespace(
        request_context=SimpleNamespace(
            request=SimpleNamespace(headers=headers, client=None, scope={})
        )
    )
    with pytest.raises(AccessDenied, match=f"^The header {name} is sent more than once") as caught:
        caller(context)
    assert PLANTED not in str(caught.value)
    # A handle goes before whatever the headers say.
    assert caller(context, session="oig_x").handle == "oig_x"


@given(
    st.dictionaries(
        st.sampled_from(["authorization", "x-oig-email", "x-oig-password"]),
        st.text(st.characters(max_codepoint=255), max_size=60)
        | st.binary(max_size=40).map(lambda b: "Basic " + base64.b64encode(b).decode()),
    )
)
def test_any_header_is_a_credential_none_or_a_clear_refusal(headers):
    try:
        credential = credential_of(headers.items())
    except AccessDenied as refusal:
        assert "\n" not in str(refusal)  # noqa: PT017 - either outcome is right
    else:
        assert credential is None or ("@" in credential.email and credential.password)
