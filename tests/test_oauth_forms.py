"""Parameters and bodies of a browser login's requests, read strictly."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from server.oauth.forms import MAX_BYTES, parse, read_form, read_json
from server.oauth.oauth_error import OAuthError

FORM = "application/x-www-form-urlencoded"


def request(body, content_type=FORM, **headers):
    chunks = [body] if isinstance(body, bytes) else list(body)
    messages = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
        for number, chunk in enumerate(chunks, 1)
    ]
    named = {"content-type": content_type, **headers}

    async def receive():
        return messages.pop(0)

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [
            (name.replace("_", "-").encode(), value.encode())
            for name, value in named.items()
            if value is not None
        ],
    }
    return Request(scope, receive)


def test_parameters_are_read_with_their_escapes():
    assert parse("a=1&b=x+y%20%C4%8D&c=%3D%26&%61b=2") == {
        "a": "1",
        "b": "x y \u010d",
        "c": "=&",
        "ab": "2",
    }


@pytest.mark.parametrize("text", ["", "a", "a=", "a=&b=", "&&", "=x&"])
def test_a_parameter_without_a_value_counts_as_absent(text):
    assert parse(text) == ({"": "x"} if "x" in text else {})


@pytest.mark.parametrize("text", ["a=1&a=2", "a=1&a=1", "a=&a=1", "a=1&b=2&%61=3", "a&a"])
def test_a_parameter_that_is_given_twice_is_refused(text):
    with pytest.raises(OAuthError) as caught:
        parse(text)
    assert caught.value.problem == "invalid_request"


@pytest.mark.parametrize("text", ["a=%ff", "%ff=a", "a=%ed%a0%80", "&".join(["a=1"] * 60)])
def test_undecodable_text_and_too_many_parameters_are_refused(text):
    with pytest.raises(OAuthError):
        parse(text)


@given(st.text(max_size=200))
def test_no_text_makes_reading_fail_in_another_way(text):
    with contextlib.suppress(OAuthError):
        assert all(isinstance(value, str) and value for value in parse(text).values())


async def test_a_form_may_come_in_pieces_and_say_its_charset():
    form = await read_form(request([b"a=1", b"&b=2"], f"{FORM}; charset=UTF-8"))
    assert form == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("body", "declared", "headers", "status"),
    [
        (b"a=1", "application/json", {}, 415),
        (b"a=1", "multipart/form-data", {}, 415),
        (b"a=1", "text/plain", {}, 415),
        (b"a=1", None, {}, 415),
        (b"a=1", FORM, {"content_encoding": "gzip"}, 415),
        (b"\xff", FORM, {}, 400),
        (b"a=" + b"x" * MAX_BYTES, FORM, {}, 413),
        ([b"a=", b"x" * MAX_BYTES], FORM, {}, 413),
        (b"", FORM, {"content_length": "9999999"}, 413),
    ],
)
async def test_an_oversized_body_or_one_that_is_not_a_form_is_refused(
    body, declared, headers, status
):
    with pytest.raises(OAuthError) as caught:
        await read_form(request(body, declared, **headers))
    assert (caught.value.problem, caught.value.status) == ("invalid_request", status)


@pytest.mark.parametrize(
    ("body", "declared", "status"),
    [
        (b"{}", FORM, 415),
        (b"{}", None, 415),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 20_000, "application/json", 400),
        (b'"' + b"x" * MAX_BYTES + b'"', "application/json", 413),
    ],
)
async def test_an_oversized_body_or_one_that_is_not_json_is_refused(body, declared, status):
    with pytest.raises(OAuthError) as caught:
        await read_json(request(body, declared))
    assert caught.value.status == status


async def test_json_is_read_whatever_charset_it_names():
    assert await read_json(request(b'{"a": 1}', "application/json; charset=utf-8")) == {"a": 1}
