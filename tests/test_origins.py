"""How origins of web pages are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.origins import canonical_origin


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://a.example", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("https://a.example:", "https://a.example"),
        ("HTTPS://A.Example:00443", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("https://a.example:8443", "https://a.example:8443"),
        ("https://[2001:DB8:0:0::1]:443", "https://[2001:db8::1]"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://a.example.", "https://a.example"),
        ("https://A.example.:443", "https://a.example"),
        ("http://192.0.2.1:80", "http://192.0.2.1"),
        ("app://obsidian.md", "app://obsidian.md"),
        ("chrome-extension://abcDEF", "chrome-extension://abcdef"),
    ],
)
def test_an_origin_has_one_spelling(text, origin):
    assert canonical_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "null",
        "a.example",
        "a.example:443",
        "//a.example",
        "://a.example",
        "https://",
        "https://.",
        "https://.:443",
        "https:///",
        "https://a.example/",
        "https://a.example/page",
        "https://a.example?x",
        "https://a.example#x",
        "https://*.a.example",
        "https://user@a.example",
        "https://user:pass@a.example",
        "https://a.example:0",
        "https://a.example:65536",
        "https://a.example:999999",
        "https://a.example:port",
        "https://a.example:-1",
        "https://a.example:443:443",
        "https://[::1",
        "https://::1",
        "https://[zz::1]",
        "https://[1.2.3.4]",
        "https://[::1].a.example",
        "https://[::1]x",
        "https://a.example..",
        "https://a[::1]",
        "https://a b",
        "https://žluťoučký.example",
        "1https://a.example",
        "file://host",
        "https://a.example\n",
    ],
)
def test_anything_but_an_origin_is_rejected(text):
    assert canonical_origin(text) is None


@given(st.text(max_size=40) | st.from_regex(r"https?://[\\[\\]a-f0-9:.]{1,20}(:[0-9]{0,6})?"))
def test_a_canonical_origin_stays_unchanged(text):
    origin = canonical_origin(text)
    assert origin is None or canonical_origin(origin) == origin
