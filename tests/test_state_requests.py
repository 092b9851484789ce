"""Requests of a wrong size or form are neither sent by a worker nor carried out by the daemon."""

from math import nan

import pytest

from server.cache import messages, verbs
from server.state.limits import ANSWER_MAX_BYTES, TTL_MAX, VALUE_MAX_BYTES
from server.state.vocabulary import (
    ERASED,
    PACED,
    Ask,
    AskTurn,
    Fail,
    Forget,
    Fulfil,
    Get,
    Put,
    Request,
)

from .accounts_house import HOME, account, key

SHORT, LONG = b"k" * 31, b"k" * 33
TOKEN = b"t" * 16


def refused(request: Request) -> str | None:
    """Say why a request is refused on either side; None if it is not."""
    verb, arguments = messages.said(request, 0)
    refusal = verbs.refusal(verbs.Request(1, verb, arguments))
    return None if refusal is None else refusal[1]


@pytest.mark.parametrize(
    ("request_of", "arguments"),
    [
        (Ask, ("login", account(1), SHORT, HOME)),
        (Ask, ("login", LONG, key(1), HOME)),
        (Ask, ("login", account(1) + b"s" * 15, key(1), HOME)),
        (Ask, ("login", account(1), key(1), "")),
        (Ask, ("login", account(1), key(1), "x" * 65)),
        (Ask, ("login", account(1), key(1), HOME, SHORT)),
        (Ask, ("answer", account(1) + b"s" * 16, key(1))),
        (AskTurn, (SHORT,)),
        (Fulfil, ("login", account(1), LONG, TOKEN, b"value", 60.0)),
        (Fulfil, ("login", account(1), key(1), TOKEN[1:], b"value", 60.0)),
        (Fulfil, ("login", account(1), key(1), TOKEN, b"value", 60.0, SHORT, b"record")),
        (Fail, ("login", account(1), key(1), TOKEN + b"t", "timeout", 1.0)),
        (Fail, ("login", account(1), key(1), None, "timeout", 1.0)),
        (Get, (SHORT,)),
        (Get, (None, account(1), key(1), (SHORT,))),
        (Put, ("handle", account(1), key(1), b"record", 60.0, SHORT)),
        (Put, ("session", SHORT, key(1), b"value", 60.0)),
        (Forget, ("session", account(1), key(1), SHORT)),
        (Forget, ("account", account(1), None, None, LONG)),
    ],
)
def test_a_request_of_a_wrong_size_is_refused(request_of, arguments):
    assert refused(request_of(*arguments))


@pytest.mark.parametrize(
    ("request_of", "arguments"),
    [
        (Fulfil, ("login", account(1), key(1), TOKEN, b"value", 60.0, key(2))),
        (Get, ()),
        (Get, (None, account(1), None, (key(1),) * 5)),
        (Put, ("handle", account(1), key(1), b"record", 60.0)),
        (Forget, ("login", account(1))),
        (Forget, ("account", account(1), key(1))),
        (Forget, ("session", account(1), key(1))),
    ],
)
def test_a_request_whose_parts_do_not_go_together_is_refused(request_of, arguments):
    assert refused(request_of(*arguments))


@pytest.mark.parametrize(
    ("space", "longest"), [("login", VALUE_MAX_BYTES), ("answer", ANSWER_MAX_BYTES)]
)
def test_a_value_may_be_as_long_as_what_it_is_and_no_longer(space, longest):
    def fulfil(size: int) -> Fulfil:
        return Fulfil(space, account(1), key(1), TOKEN, bytes(size), 1.0)

    assert refused(fulfil(longest)) is None
    assert "value" in refused(fulfil(longest + 1))
    assert "value" in refused(fulfil(0))


@pytest.mark.parametrize("ttl", [0.0, -1.0, TTL_MAX + 1.0, float("nan"), float("inf")])
@pytest.mark.parametrize(
    "request_of",
    [
        lambda ttl: Fulfil("login", account(1), key(1), TOKEN, b"value", ttl),
        lambda ttl: Fulfil("answer", account(1), key(1), TOKEN, b"value", ttl),
        lambda ttl: Put("handle", account(1), key(1), b"record", ttl, key(1)),
        lambda ttl: Put("session", account(1), key(1), b"value", ttl, idle=0.0),
        lambda ttl: Put("answer", account(1), key(1), b"value", ttl),
    ],
)
def test_a_time_to_live_out_of_bounds_is_refused(request_of, ttl):
    assert refused(request_of(TTL_MAX)) is None
    assert "ttl" in refused(request_of(ttl))


@pytest.mark.parametrize("space", ["login", "answer"])
@pytest.mark.parametrize(
    ("reason", "retry_after"),
    [("nonsense", 0.0), (PACED, 0.0), (ERASED, 0.0), ("", 0.0), ("busy", -1.0), ("busy", nan)],
)
def test_a_reason_or_a_time_that_is_none_is_refused(space, reason, retry_after):
    assert refused(Fail(space, account(1), key(1), TOKEN, "busy", 1.0)) is None
    assert refused(Fail(space, account(1), key(1), TOKEN, reason, retry_after))


def test_a_lease_is_given_back_however_long_a_portal_wants_to_be_left_alone():
    assert refused(Fail("login", account(1), key(1), TOKEN, "busy", float("inf"))) is None
