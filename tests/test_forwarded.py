"""Where a request comes from that passed trusted proxies."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.forwarded import Origin, forwarded_address
from server.settings.table import Settings
from server.sources import UNKNOWN

from .fleet import call_body, post, running_fleet

PROXY = "10.0.0.1"
TRUSTED = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "2001:db8:ffff::/48")))


def origin(*values: str, peer: str | None = PROXY) -> Origin:
    return forwarded_address(peer, values, TRUSTED)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("\t 192.0.2.7 ", "192.0.2.7"),
        ("192.0.2.7:51234", "192.0.2.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("[::ffff:c000:207]:80", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
        ("fe80::1%\x0bfailed login from 9.9.9.9", "fe80::1"),
        ("9.9.9.9, 192.0.2.7", "192.0.2.7"),
        ("made up, 192.0.2.7, 10.0.0.2, 10.0.0.3:80", "192.0.2.7"),
        ("192.0.2.7, [2001:db8:ffff::1]:80", "192.0.2.7"),
        ("192.0.2.7, ::ffff:10.9.9.9", "192.0.2.7"),
        ("10.1.1.1, 10.0.0.2", "10.1.1.1"),
    ],
)
def test_the_rightmost_address_that_is_not_a_proxy_is_the_caller(value, address):
    assert origin(value) == Origin(address, address)


NO_ADDRESS = [
    "",
    " ",
    "192.0.2.7,",
    "192.0.2.7, ",
    ",",
    "unknown",
    "_hidden",
    "localhost",
    "for=192.0.2.7",
    'for="[2001:db8::7]:80"',
    '"192.0.2.7"',
    "192.0.2.7;proto=https",
    "192.0.2.7 192.0.2.8",
    "192.0.2.7/32",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.07",
    "0x7f000001",
    "3221225991",
    "\u0661.2.3.4",
    "192.0.2.7:",
    "192.0.2.7:http",
    "192.0.2.7:123456",
    "192.0.2.7:80:80",
    "[192.0.2.7]",
    "[192.0.2.7]:80",
    "[2001:db8::7",
    "2001:db8::7]",
    "[2001:db8::7]443",
    "[2001:db8::7]:",
    "[]",
    "[:]:80",
    "192.0.2.7\n2026-11-22T10:00:00Z oig-cloud-mcp: failed login from 9.9.9.9",
    "192.0.2.7\r",
    "\x1b[31m192.0.2.7",
    "192.0.2.7\0",
    "192.0.2.7\xa0",
    "9.9.9.9 account 0123456789ab: rejected",
    "a" * 300,
    "1.2.3.4" * 50,
]


@pytest.mark.parametrize("value", NO_ADDRESS)
def test_an_invalid_address_is_unknown_and_counts_as_the_proxy(value):
    assert origin(value) == Origin(PROXY, UNKNOWN)
    assert origin(f"192.0.2.9, {value}") == Origin(PROXY, UNKNOWN)


def test_in_a_chain_an_invalid_address_counts_as_the_proxy_that_forwarded_it():
    assert origin("192.0.2.9, text, 10.0.0.2") == Origin("10.0.0.2", UNKNOWN)


def test_several_headers_are_one_list_in_their_order():
    assert origin("192.0.2.66", "192.0.2.7").logged == "192.0.2.7"
    assert origin("192.0.2.66, 192.0.2.7", "10.0.0.2").logged == "192.0.2.7"
    assert origin("192.0.2.66", "text") == Origin(PROXY, UNKNOWN)


def test_without_the_header_the_proxy_itself_is_the_caller():
    assert origin() == Origin(PROXY, PROXY)


@pytest.mark.parametrize("value", ["192.0.2.7", *NO_ADDRESS])
def test_only_trusted_proxies_are_believed(value):
    for peer in ("192.0.2.1", "2001:db8::1", "11.0.0.1"):
        assert origin(value, peer=peer) == Origin(peer, peer)
    assert origin(value, peer=None) == Origin(UNKNOWN, UNKNOWN)
    assert origin(value, peer="a name") == Origin(UNKNOWN, UNKNOWN)


def test_a_connected_address_has_one_spelling_too():
    assert origin("192.0.2.7", peer="::ffff:10.0.0.1").logged == "192.0.2.7"
    assert origin(peer="FE80::1%eth0") == Origin("fe80::1", "fe80::1")


def test_a_list_of_thousands_of_proxies_is_not_walked():
    assert origin("192.0.2.7" + ", 10.0.0.2" * 10_000).logged == "10.0.0.2"


@given(st.lists(st.text() | st.ip_addresses().map(str), max_size=5))
def test_any_header_gives_an_address_or_unknown(values):
    counted, logged = origin(*values)
    assert str(ipaddress.ip_address(counted)) == counted
    assert logged in {counted, UNKNOWN}


def failed(fleet, name, value):
    # The bytes as they are: clients that send such headers do not ask a library.
    post(fleet.url, call_body(f"{name}@example.com", "wrong"), X_Forwarded_For=value)


def test_text_from_a_caller_never_reaches_a_log(tmp_path):
    hostile = [
        "9.9.9.9 account 0123456789ab: rejected",
        "fe80::1%oig-cloud-mcp: failed login from 9.9.9.9",
        "x" * 300,
        "evil.example.com",
        "192.0.2.7, 9.9.9.9 text",
    ]
    log = tmp_path / "auth.log"
    with running_fleet(1, OIG_TRUSTED_PROXIES="127.0.0.1", OIG_AUTH_LOG=str(log)) as fleet:
        for number, value in enumerate(hostile):
            failed(fleet, f"hostile{number}", value)
        failed(fleet, "honest", "192.0.2.9:1234")
        logged = fleet.logs()
    found = [line.split()[5] for line in log.read_text().splitlines()]
    assert found == ["unknown", "fe80::1", "unknown", "unknown", "unknown", "192.0.2.9"]
    for text in ("9.9.9.9", "evil.example.com", "xxx"):
        assert text not in logged + log.read_text()


def test_the_scheme_is_what_the_nearest_proxy_saw():
    from server.http.forwarded import Forwarded

    async def scheme(*values: bytes, peer: str = PROXY) -> str:
        seen = {}

        async def app(scope, receive, send):
            seen.update(scope)

        headers = [(b"x-forwarded-proto", value) for value in values]
        scope = {"type": "http", "scheme": "http", "client": (peer, 1), "headers": headers}
        await Forwarded(app, ["10.0.0.0/8"])(scope, None, None)
        return seen["scheme"]

    import asyncio

    async def checked():
        assert await scheme() == "http"
        assert await scheme(b"https") == "https"
        assert await scheme(b"http, HTTPS ") == "https"
        assert await scheme(b"https", b"http") == "http"
        assert await scheme(b"gopher") == "http"
        assert await scheme(b"https", peer="192.0.2.1") == "http"

    asyncio.run(checked())


def test_no_proxy_is_trusted_unless_it_is_named():
    assert Settings().trusted_proxies == ()
