"""Which Host and Origin pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.guard import Names

NAMES = Names(
    ["Oig.Example.org", "box.local:8443"],
    [
        "https://app.example.org",
        "https://default.test:443",
        "HTTP://Plain.test:80/",
        "https://[2001:DB8:0::1]:443",
        "https://other.test:8443",
        "vscode-webview://1A2b",
        "https://odd.test:80",
    ],
)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8000",
        "LOCALHOST:8000",
        "127.0.0.1:8000",
        "192.0.2.4",
        "[::1]:8000",
        "[2001:db8::1]",
        "oig.example.org",
        "OIG.example.ORG:443",
        "oig.example.org.",
        "box.local",
        "box.local:9",
    ],
)
def test_localhost_addresses_and_configured_names_pass(host):
    assert NAMES.allows_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "localhost.evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "oig.example.org.evil.example",
        "localhost:port",
        "localhost:99999",
        "user@localhost",
        "localhost/path",
        "[::1",
        "localhost,evil.example",
        " ",
    ],
)
def test_other_hosts_do_not(host):
    assert not NAMES.allows_host(host)


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:3000",
        "https://oig.example.org",
        "https://app.example.org",
        "HTTPS://APP.example.org",
        "http://127.0.0.1",
        "https://app.example.org:443",
        "https://default.test",
        "https://default.test:0443",
        "http://plain.test",
        "http://plain.test:80",
        "https://[2001:db8::1]",
        "https://other.test:8443",
        "vscode-webview://1a2b",
        "https://odd.test:80",
    ],
)
def test_origins_of_allowed_hosts_and_configured_origins_pass(origin):
    assert NAMES.allows_origin(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example",
        "http://app.example.org",
        "https://app.example.org:444",
        "file://localhost",
        "localhost",
        "https://localhost.evil.example",
        "https://default.test:80",
        "https://plain.test",
        "http://plain.test:443",
        "https://other.test",
        "https://odd.test",
        "https://app.example.org/",
        "https://app.example.org/page",
        "https://user@app.example.org",
        "https://app.example.org:443:443",
        "https://app.example.org, https://app.example.org",
    ],
)
def test_other_origins_do_not(origin):
    assert not NAMES.allows_origin(origin)


@given(st.text(max_size=60))
def test_any_text_is_decided_without_an_error(text):
    assert isinstance(NAMES.allows_host(text), bool)
    assert isinstance(NAMES.allows_origin(text), bool)


@given(st.from_regex(r"[a-z0-9.-]{1,30}\.evil", fullmatch=True))
def test_no_foreign_name_passes(name):
    assert not NAMES.allows_host(name)
