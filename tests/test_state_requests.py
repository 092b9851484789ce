"""Requests of a wrong size or form are refused before anything is decided."""

import pytest

from server.state.limits import ANSWER_MAX_BYTES, TTL_MAX
from server.state.requests import Ask, AskTurn, Fail, Forget, Fulfil, Get, Put, Unlock

from .accounts_house import HOME, account, key

SHORT, LONG = b"k" * 31, b"k" * 33
TOKEN = b"t" * 16


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
        (Unlock, (SHORT,)),
    ],
)
def test_a_request_of_a_wrong_size_is_refused(request_of, arguments):
    with pytest.raises(ValueError, match="size"):
        request_of(*arguments)


@pytest.mark.parametrize(
    ("request_of", "arguments"),
    [
        (Fulfil, ("login", account(1), key(1), TOKEN, b"value", 60.0, key(2))),
        (Get, ()),
        (Get, (key(1), account(1))),
        (Get, (None, account(1), None, (key(1),) * 5)),
        (Put, ("handle", account(1), key(1), b"record", 60.0)),
        (Forget, ("login", account(1))),
        (Forget, ("account", account(1), key(1))),
        (Forget, ("session", account(1), key(1))),
    ],
)
def test_a_request_whose_parts_do_not_go_together_is_refused(request_of, arguments):
    with pytest.raises(ValueError, match=r"."):
        request_of(*arguments)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"value": b""}, "size"),
        ({"value": bytes(ANSWER_MAX_BYTES + 1)}, "size"),
        ({"ttl": 0.0}, "ttl"),
        ({"ttl": -1.0}, "ttl"),
        ({"ttl": TTL_MAX + 1.0}, "ttl"),
        ({"ttl": float("nan")}, "ttl"),
    ],
)
@pytest.mark.parametrize("space", ["answer", "handle", "session"])
def test_a_value_or_time_out_of_bounds_is_refused(space, given, match):
    fields = {"account": account(1), "key": key(1), "value": b"value", "ttl": 1.0} | given
    with pytest.raises(ValueError, match=match):
        Put(space, session=key(1), **fields)
