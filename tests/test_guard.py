"""Which Host and Origin pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.guard import NO_ORIGIN_CURE, ORIGIN_CURE, TLS_CURE, Names, origin_cure
from server.origins import canonical_origin, is_own

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
        "localhost:",
        "localhost:08000",
        "localhost.:8000",
        "127.0.0.1.",
        "[::ffff:127.0.0.1]:65535",
        "[2001:DB8:0::1]",
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
        # Something before, behind or between.
        "[::1].evil.example",
        "[::1].evil.example:8000",
        "[::1]x",
        "[::1].",
        "[::1]]",
        "[[::1]",
        "[[::1]]",
        "[::1]:80x",
        "[::1]:80:80",
        "[::1][::1]",
        "[::1]localhost",
        "x[::1]",
        "evil.example[::1]",
        "127.0.0.1:80:80",
        "localhost:80.evil.example",
        "local\thost",
        "local\nhost",
        "localhost\n",
        "localhost\x00",
        "localhost evil.example",
        "localhost#",
        "localhost#evil.example",
        "localhost?",
        "localhost;evil.example",
        "localhost\\evil.example",
        "localhost%00",
        # No address.
        "::1",
        "::1:8000",
        "::",
        "[]",
        "[:]",
        "[localhost]",
        "[127.0.0.1]",
        "[v1.x]",
        "[::1%25eth0]",
        "[fe80::1%eth0]",
        "[::1%evil.example]",
        "127.1",
        "127.0.0.1.1",
        "0x7f.0.0.1",
        "2130706433",
        "127.0.0.01",
        "127.0.0.1%eth0",
        "\u0661\u0662\u0667.0.0.1",
        # No port.
        "localhost:0",
        "localhost:65536",
        "localhost:000080",
        "localhost:-1",
        "localhost:+80",
        "localhost:8_0",
        "localhost: 80",
        "localhost:\u0668\u0660",
        "[::1]:0",
        "[::1]:65536",
        # Users.
        "@localhost",
        "user:word@localhost",
        "localhost@evil.example",
        "user@[::1]",
        "[::1]@evil.example",
        # Dots.
        ".",
        "..",
        "localhost..",
        ".localhost",
        "127.0.0.1..",
        "oig.example.org..",
    ],
)
def test_other_hosts_do_not_pass(host):
    assert not NAMES.allows_host(host)


HERE = "http", "localhost:8000"
"""Scheme and Host of most requests."""


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.org",
        "HTTPS://APP.example.org",
        "https://app.example.org.",
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
def test_configured_origins_pass_in_any_spelling(origin):
    assert NAMES.allows_origin(origin, *HERE)


@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        ("http", "localhost:8000", "http://localhost:8000"),
        ("http", "LocalHost:8000", "HTTP://LOCALHOST:8000"),
        ("http", "localhost:8000", "http://localhost:08000"),
        ("http", "localhost", "http://localhost"),
        ("http", "localhost:80", "http://localhost"),
        ("http", "localhost", "http://localhost:80"),
        ("http", "127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http", "192.0.2.4", "http://192.0.2.4"),
        ("http", "[::1]:8000", "http://[::1]:8000"),
        ("http", "[0:0::1]:8000", "http://[::1]:8000"),
        ("http", "[2001:DB8::1]", "http://[2001:db8::1]:80"),
        ("https", "oig.example.org", "https://oig.example.org"),
        ("https", "oig.example.org:443", "https://OIG.example.org"),
        ("https", "oig.example.org.", "https://oig.example.org"),
        ("https", "oig.example.org", "https://oig.example.org.:443"),
        ("https", "box.local:8443", "https://box.local:8443"),
    ],
)
def test_the_requests_own_origin_passes(scheme, host, origin):
    assert NAMES.allows_host(host)
    assert NAMES.allows_origin(origin, scheme, host)


@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        # Another port: any program of any user of the machine may listen there.
        ("http", "localhost:8000", "http://localhost:6274"),
        ("http", "localhost:8000", "http://localhost"),
        ("http", "localhost", "http://localhost:8000"),
        ("http", "oig.example.org:8000", "http://oig.example.org"),
        # Another scheme.
        ("http", "localhost:8000", "https://localhost:8000"),
        ("http", "oig.example.org", "https://oig.example.org"),
        ("https", "oig.example.org", "http://oig.example.org"),
        ("https", "oig.example.org", "http://oig.example.org:443"),
        ("http", "localhost:8000", "ws://localhost:8000"),
        ("http", "localhost:8000", "chrome-extension://localhost:8000"),
        # Addresses: a page of any device in the house.
        ("http", "localhost:8000", "http://127.0.0.1:8000"),
        ("http", "localhost:8000", "http://[::1]:8000"),
        ("http", "127.0.0.1:8000", "http://localhost:8000"),
        ("http", "127.0.0.1:8000", "http://127.0.0.2:8000"),
        ("http", "127.0.0.1:8000", "http://127.0.0.1"),
        ("http", "192.0.2.4:8000", "http://192.0.2.1"),
        ("http", "192.0.2.4:8000", "http://192.0.2.5:8000"),
        ("http", "localhost:8000", "http://192.168.1.1"),
        ("http", "localhost:8000", "http://8.8.8.8"),
        ("http", "localhost:8000", "https://[2001:db8::2]"),
        ("http", "[::1]:8000", "http://[::2]:8000"),
        ("http", "127.0.0.1:8000", "http://[::ffff:127.0.0.1]:8000"),
        # Names that the server answers to, or that lead there.
        ("http", "localhost:8000", "http://oig.example.org:8000"),
        ("http", "localhost:8000", "https://oig.example.org"),
        ("http", "localhost:8000", "http://localhost.evil.example:8000"),
        ("http", "localhost:8000", "http://app.localhost:8000"),
        # No origin of a page.
        ("http", "localhost:8000", "null"),
        ("http", "localhost:8000", ""),
        ("http", "localhost:8000", "localhost:8000"),
        ("http", "localhost:8000", "//localhost:8000"),
        ("http", "localhost:8000", "http://localhost:8000/"),
        ("http", "localhost:8000", "http://localhost:8000/page"),
        ("http", "localhost:8000", "http://user@localhost:8000"),
        ("http", "localhost:8000", "http://localhost:8000:8000"),
        ("http", "localhost:8000", "http://localhost:8000 http://localhost:8000"),
        ("http", "localhost:8000", "http://localhost:8000, http://localhost:8000"),
        ("http", "localhost:8000", "file://localhost:8000"),
        ("http", "[fe80::1%25eth0]:8000", "http://[fe80::1%25eth0]:8000"),
        # Malformed on both sides is not the same.
        ("http", "localhost:0", "http://localhost:0"),
        ("http", "", "null"),
        ("http", "", ""),
        ("http", "a b", "null"),
        ("", "localhost:8000", "null"),
    ],
)
def test_no_other_origin_passes(scheme, host, origin):
    assert not NAMES.allows_origin(origin, scheme, host)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://app.example.org",
        "https://app.example.org:444",
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
def test_neighbours_of_configured_origins_do_not_pass(origin):
    assert not NAMES.allows_origin(origin, *HERE)


@pytest.mark.parametrize(
    ("scheme", "origin", "setting"),
    [
        ("http", "http://localhost:6274", ORIGIN_CURE),
        ("http", "https://evil.example", ORIGIN_CURE),
        ("https", "http://oig.example.org", ORIGIN_CURE),
        ("http", "https://oig.example.org", TLS_CURE),
        ("http", "https://OIG.example.org.:443", TLS_CURE),
        ("http", "null", NO_ORIGIN_CURE),
        ("http", "https://app.example.org/page", NO_ORIGIN_CURE),
    ],
)
def test_the_remedy_names_the_setting_that_helps(scheme, origin, setting):
    assert origin_cure(origin, scheme, "oig.example.org") == setting


TEXTS = st.text(max_size=60)
HOSTS = TEXTS | st.from_regex(
    r"(localhost|127\.0\.0\.[12]|\[::[12]\]|box\.local)\.?(:[0-9]{1,5})?", fullmatch=True
)
SCHEMES = st.sampled_from(["http", "https"])


@given(TEXTS, SCHEMES, HOSTS)
def test_any_text_is_judged_without_an_error(text, scheme, host):
    assert isinstance(NAMES.allows_host(text), bool)
    assert isinstance(NAMES.allows_origin(text, scheme, host), bool)
    assert isinstance(origin_cure(text, scheme, host), str)


@given(SCHEMES, HOSTS, SCHEMES, HOSTS)
def test_the_same_origin_relation_is_symmetric(scheme, host, other_scheme, other_host):
    there = is_own(f"{other_scheme}://{other_host}", scheme, host)
    assert there == is_own(f"{scheme}://{host}", other_scheme, other_host)


@given(SCHEMES, HOSTS)
def test_a_page_passes_at_its_own_address_exactly_when_it_has_an_origin(scheme, host):
    origin = f"{scheme}://{host}"
    assert is_own(origin, scheme, host) == (canonical_origin(origin) is not None)
    assert not is_own(origin, "https" if scheme == "http" else "http", host)


@given(st.ip_addresses(), st.integers(1, 65535), SCHEMES)
def test_a_page_of_one_address_does_not_pass_at_another(address, port, scheme):
    host = f"[{address}]" if address.version == 6 else str(address)
    assert not NAMES.allows_origin(f"{scheme}://{host}:{port}", *HERE)


@given(st.from_regex(r"[a-z0-9.-]{1,30}\.evil", fullmatch=True))
def test_a_foreign_name_does_not_pass(name):
    assert not NAMES.allows_host(name)
