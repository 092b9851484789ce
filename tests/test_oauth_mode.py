"""When a request may be part of a browser login."""

import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.forwarded import PEER
from server.oauth.mode import CHAT, Mode, Modes

PUBLIC = "https://oig.example.org"


def scope(host="localhost:8000", peer="127.0.0.1", scheme="http", **headers):
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    hosts = [host] if isinstance(host, str) else host
    return {
        "type": "http",
        "scheme": scheme,
        "headers": [*((b"host", one.encode()) for one in hosts), *named],
        PEER: peer,
    }


@pytest.mark.parametrize("peer", ["127.0.0.1", "192.0.2.7", None])
@pytest.mark.parametrize("public", [None, PUBLIC])
def test_with_chat_there_is_no_browser_login_whatever_else_is_set(peer, public):
    assert Modes("chat", public).of(scope(peer=peer)) == CHAT


@pytest.mark.parametrize("host", ["oig.example.org", "10.0.0.5:8000", "localhost", "else.example"])
@pytest.mark.parametrize("peer", ["127.0.0.1", "192.0.2.7", None])
def test_a_public_address_is_the_issuer_whatever_name_a_proxy_uses(host, peer):
    mode = Modes("browser", PUBLIC).of(scope(host, peer, x_forwarded_for="198.51.100.1"))
    assert mode == Mode("hard", PUBLIC)
    assert mode.resource == mode.audience == "https://oig.example.org/mcp"


@pytest.mark.parametrize("host", ["battery.lan", "battery.lan:8000", "BATTERY.lan.", "10.0.0.5"])
def test_the_second_address_has_no_browser_login(host):
    modes = Modes("browser", PUBLIC, ["battery.lan", "10.0.0.5:8000"])
    assert modes.of(scope(host)) == CHAT
    assert modes.of(scope("oig.example.org")).strength == "hard"
    assert modes.of(scope([host, "oig.example.org"])).strength == "hard"


def test_the_second_address_may_be_a_loopback_one_as_well():
    assert Modes("browser", None, ["127.0.0.1"]).of(scope("127.0.0.1:8000")) == CHAT
    assert Modes("browser", None, ["127.0.0.1"]).of(scope()).strength == "soft"


@pytest.mark.parametrize(
    ("host", "scheme", "issuer"),
    [
        ("localhost:8000", "http", "http://localhost:8000"),
        ("LOCALHOST:8000", "http", "http://localhost:8000"),
        ("localhost", "http", "http://localhost"),
        ("localhost:80", "http", "http://localhost"),
        ("localhost:8443", "https", "https://localhost:8443"),
        ("127.0.0.1:8000", "http", "http://127.0.0.1:8000"),
        ("127.1.2.3:8000", "http", "http://127.1.2.3:8000"),
        ("[::1]:8000", "http", "http://[::1]:8000"),
        ("[0:0::1]:8000", "http", "http://[::1]:8000"),
    ],
)
@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_each_loopback_name_is_an_issuer_and_all_share_one_audience(host, scheme, issuer, peer):
    mode = Modes("browser", None).of(scope(host, peer, scheme))
    assert mode == Mode("soft", issuer)
    assert mode.resource == f"{issuer}/mcp"
    assert mode.audience == "loopback"


@pytest.mark.parametrize(
    "host",
    [
        "localhost.evil",
        "evil.localhost",
        "127.0.0.1.evil",
        "127.1",
        "2130706433",
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::2]",
        "10.0.0.5",
        "oig.example.org",
        "localhost:99999",
        "user@localhost",
        "localhost/",
        "",
        [],
        ["localhost", "localhost"],
    ],
)
def test_any_other_host_has_no_browser_login_without_a_public_address(host):
    assert Modes("browser", None).of(scope(host)) == CHAT


@pytest.mark.parametrize("peer", ["192.0.2.7", "10.0.0.5", "::2", "unknown", "", None])
def test_a_remote_caller_has_no_loopback_issuer_whatever_host_it_names(peer):
    assert Modes("browser", None).of(scope(peer=peer)) == CHAT


@given(
    st.binary(max_size=40)
    | st.from_regex(rb"(localhost|127\.[0-9.]{1,9}|\[::1\])[ -~]{0,8}", fullmatch=True)
)
def test_no_host_header_makes_it_fail_or_leads_elsewhere(host):
    judged = scope() | {"headers": [(b"host", host)]}
    mode = Modes("browser", None).of(judged)
    if mode != CHAT:
        issuer = urlsplit(mode.issuer)
        name = issuer.hostname
        assert name == "localhost" or ipaddress.ip_address(name).is_loopback
        assert (issuer.scheme, issuer.path, issuer.query, issuer.fragment) == ("http", "", "", "")
        assert issuer.username is None


def test_the_connected_address_is_not_taken_from_forwarded_headers():
    faked = scope(peer="192.0.2.7") | {"client": ("127.0.0.1", 0)}
    assert Modes("browser", None).of(faked) == CHAT
    unread = {name: value for name, value in scope().items() if name != PEER}
    assert Modes("browser", None).of(unread | {"client": ("127.0.0.1", 0)}) == CHAT


@pytest.mark.parametrize(
    "header",
    [
        "forwarded",
        "via",
        "x_forwarded_for",
        "x_forwarded_proto",
        "x_forwarded_host",
        "x_forwarded",
        "x_real_ip",
        "x_client_ip",
        "true_client_ip",
        "cf_connecting_ip",
        "cf_ray",
        "cdn_loop",
        "x_envoy_external_address",
        "tailscale_user_login",
    ],
)
def test_a_request_through_a_local_proxy_has_no_loopback_issuer(header):
    assert Modes("browser", None).of(scope(**{header: ""})) == CHAT


def test_the_operator_is_warned_once_of_a_missing_setting():
    told = []
    modes = Modes("browser", None, ["battery.lan"], told.append)
    for host in ("localhost", "battery.lan"):
        modes.of(scope(host))
    assert told == []
    for host in ("oig.example.org", "other.example", "10.0.0.5"):
        modes.of(scope(host))
    assert len(told) == 1
    assert "OIG_PUBLIC_URL" in told[0]
    # What a stranger wrote is not repeated.
    assert "oig.example.org:" not in told[0]
    assert "10.0.0.5" not in told[0]


def test_the_operator_is_not_warned_when_browser_login_is_off():
    told = []
    Modes("chat", None, hint=told.append).of(scope("oig.example.org"))
    assert told == []


@pytest.mark.parametrize(
    "text",
    [
        "https://oig.example.org/mcp",
        "https://oig.example.org/mcp/",
        "https://oig.example.org",
        "https://oig.example.org/",
        "https://oig.example.org:443/mcp",
        "HTTPS://OIG.example.org/mcp",
    ],
)
def test_a_client_may_name_the_resource_with_and_without_path_and_slash(text):
    assert Mode("hard", PUBLIC).is_resource(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/mcp",
        "https://evil.example/mcp",
        "https://oig.example.org.evil/mcp",
        "https://oig.example.org@evil.example/mcp",
        "http://oig.example.org/mcp",
        "https://oig.example.org:8443/mcp",
        "https://oig.example.org/mcp/mcp",
        "https://oig.example.org/other",
        "https://oig.example.org/mcp?x",
        "https://oig.example.org/mcp#x",
        "https://oig.example.org//",
    ],
)
def test_any_other_resource_is_foreign(text):
    assert not Mode("hard", PUBLIC).is_resource(text)


def test_without_browser_login_nothing_is_a_resource():
    assert not any(map(CHAT.is_resource, ["", "/mcp", "loopback"]))
