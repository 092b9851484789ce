"""Where a login's answer may be sent, and ids of clients that describe themselves."""

import json
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import base64url
from server.oauth.clients import (
    HOSTS,
    LONGEST_ID,
    LOOPBACK,
    SCHEMES,
    Destination,
    Redirects,
    cleaned_name,
    describe,
    destination,
    read,
    same_redirect,
)

ALLOWED = [
    "http://localhost:33418/callback",
    "http://localhost/callback",
    "http://127.0.0.1:33418/",
    "http://127.0.0.1:33418",
    "http://127.0.0.1:6276/oauth/callback?from=inspector",
    "http://[::1]:8080/callback",
    "https://claude.ai/api/mcp/auth_callback",
    "https://claude.com/api/mcp/auth_callback",
    "https://chatgpt.com/connector_platform_oauth_redirect",
    "https://chatgpt.com/connector/oauth/aB3-_x",
    "https://vscode.dev/redirect",
    "https://insiders.vscode.dev/redirect",
    "https://my.home-assistant.io/redirect/oauth",
    "https://www.cursor.com/agents/mcp/oauth/callback",
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "cursor://anysphere.cursor-mcp/oauth/callback?server=1",
]

REFUSED = {
    "nothing": "",
    "a foreign site": "https://evil.example/cb",
    "an allowed site below another": "https://claude.ai.evil.example/cb",
    "a site that ends like an allowed one": "https://notclaude.ai/cb",
    "a site below an allowed one": "https://www.claude.ai/cb",
    "an allowed site's name with a dot behind it": "https://claude.ai./cb",
    "an allowed site without TLS": "http://claude.ai/api/mcp/auth_callback",
    "an allowed site at another port": "https://claude.ai:8443/cb",
    "an allowed site with its default port": "https://claude.ai:443/cb",
    "an allowed site as a user": "https://claude.ai@evil.example/cb",
    "an allowed site as user and password": "https://claude.ai:pw@evil.example/cb",
    "a user at an allowed site": "https://user@claude.ai/cb",
    "a user on this computer": "http://localhost@evil.example/cb",
    "a fragment": "https://claude.ai/cb#x",
    "an empty fragment": "https://claude.ai/cb#",
    "a fragment on this computer": "http://localhost:1/#x",
    "a backslash before the path": "https://claude.ai\\@evil.example/cb",
    "backslashes for slashes": "https:\\\\claude.ai/cb",
    "a backslash in the path": "https://claude.ai/\\evil",
    "one slash": "https:/claude.ai/cb",
    "three slashes": "https:///claude.ai/cb",
    "no scheme": "//claude.ai/cb",
    "no host": "https://",
    "localhost below another": "http://localhost.evil/cb",
    "localhost with a dot": "http://localhost./cb",
    "a name below localhost": "http://app.localhost/cb",
    "another address of loopback": "http://127.0.0.2/cb",
    "loopback in short": "http://127.1/cb",
    "loopback as a number": "http://2130706433/cb",
    "loopback in octal": "http://0177.0.0.1/cb",
    "all addresses": "http://0.0.0.0/cb",
    "loopback at length": "http://[0:0:0:0:0:0:0:1]/cb",
    "loopback mapped": "http://[::ffff:127.0.0.1]/cb",
    "loopback with a zone": "http://[::1%25lo]/cb",
    "loopback of IPv6 without brackets": "http://::1/cb",
    "a bracket too many": "http://[::1]]/cb",
    "another address of IPv6": "http://[::2]/cb",
    "loopback by TLS": "https://localhost/cb",
    "upper case in the scheme": "HTTP://localhost/cb",
    "upper case in the host": "http://LOCALHOST/cb",
    "upper case in a site": "https://Claude.ai/cb",
    "a letter that only looks the same": "https://cl\u0430ude.ai/cb",
    "wide letters": "https://\uff43laude.ai/cb",
    "an ideographic full stop": "https://claude\u3002ai/cb",
    "a percent sign in the host": "https://claude%2eai/cb",
    "a percent sign without digits": "https://claude.ai/%zz",
    "port 0": "http://localhost:0/cb",
    "a port with a zero before it": "http://localhost:080/cb",
    "an empty port": "http://localhost:/cb",
    "a port out of range": "http://localhost:65536/cb",
    "a port that is no number": "http://localhost:80a/cb",
    "two ports": "http://localhost:80:80/cb",
    "a blank": "http://localhost/c b",
    "a blank in front": " http://localhost/cb",
    "a blank behind": "http://localhost/cb ",
    "a line break behind": "http://localhost/cb\n",
    "a line break inside": "http://local\nhost/cb",
    "a tab inside": "java\tscript://localhost/cb",
    "a NUL": "http://localhost/cb\0",
    "a control character": "http://localhost/\x1b[2J",
    "a delete": "http://localhost/\x7f",
    "a quotation mark": 'http://localhost/"onload=',
    "a tag": "http://localhost/<script>",
    "a script": "javascript:alert(1)",
    "a script with a path": "javascript://localhost/%0aalert(1)",
    "data": "data:text/html,x",
    "a file": "file:///etc/passwd",
    "a foreign scheme": "evil://anysphere.cursor-mcp/cb",
    "a scheme that begins like an allowed one": "cursorx://a/cb",
    "a scheme and nothing else": "cursor:",
    "a scheme and two slashes": "cursor://",
    "a scheme and no path": "cursor:callback",
    "a part of Cursor that installs": "cursor://anysphere.cursor-deeplink/mcp/install?name=x",
    "a part of Cursor that begins alike": "cursor://anysphere.cursor-mcp.evil/oauth/callback",
    "a part of Cursor with a port": "cursor://anysphere.cursor-mcp:1/oauth/callback",
    "Cursor without a part": "cursor:/anysphere.cursor-mcp/oauth/callback",
    "Cursor with an empty part": "cursor:///anysphere.cursor-mcp/oauth/callback",
    "a part of VS Code that clones": "vscode://vscode.git/clone?url=https://evil.example/x",
    "a part of VS Code": "vscode://vscode.github-authentication/did-authenticate",
    "a preview of VS Code": "vscode-insiders://vscode.git/clone",
    "a site that is told where to send on": "https://vscode.dev/redirect?url=vscode://a/b",
    "a site that opens what is named": "https://vscode.dev/github/evil/x",
    "a path that only begins alike": "https://insiders.vscode.dev/redirect/../github/evil/x",
    "a site that is told what to ask": "https://chatgpt.com/?q=do",
    "a site with an empty query": "https://claude.ai/api/mcp/auth_callback?",
    "a user in a program": "cursor://user@anysphere.cursor-mcp/cb",
    "a fragment in a program": "cursor://anysphere.cursor-mcp/cb#x",
    "WebSocket": "wss://claude.ai/cb",
    "an IRI": "http://localhost/\u00e9",
    "301 characters": "http://localhost/" + "a" * 284,
}


@pytest.mark.parametrize("uri", ALLOWED)
def test_redirect_addresses_of_known_clients_are_allowed(uri):
    assert Redirects().allows(uri)


@pytest.mark.parametrize("uri", REFUSED.values(), ids=REFUSED)
def test_any_other_redirect_address_is_refused(uri):
    assert not Redirects().allows(uri)


def test_300_characters_are_not_too_long():
    assert Redirects().allows("http://localhost/" + "a" * 283)


anything = st.text(max_size=60) | st.from_regex(
    r"(https?|cursor)://(localhost|127\.0\.0\.1|\[::1\]|claude\.ai|anysphere\.cursor-mcp)"
    r"[\x20-\x7e]{0,20}",
    fullmatch=True,
)


@given(anything)
def test_an_allowed_address_has_the_same_host_for_every_parser(uri):
    if not Redirects().allows(uri):
        return
    split = urlsplit(uri)
    assert split.fragment == ""
    assert split.username is None
    if split.scheme == "https":
        assert split.hostname in HOSTS
        assert split.query == ""
    elif split.scheme == "http":
        assert split.netloc.removesuffix(f":{split.port}") in LOOPBACK
    else:
        assert split.netloc == SCHEMES[split.scheme]
    assert destination(uri).name


def test_an_operator_can_add_sites_ports_of_them_and_schemes():
    redirects = Redirects(["ha.example.org", "chat.example.org:8443", "com.example.app:"])
    assert redirects.allows("https://ha.example.org/auth/external/callback")
    assert redirects.allows("https://chat.example.org:8443/cb")
    assert redirects.allows("https://ha.example.org/cb?a=b")
    assert redirects.allows("com.example.app:/oauth")
    assert redirects.allows("https://claude.ai/cb")
    for uri in (
        "http://ha.example.org/cb",
        "https://ha.example.org:8443/cb",
        "https://chat.example.org/cb",
        "com.example.app2:/oauth",
        "https://com.example.app/cb",
    ):
        assert not redirects.allows(uri)


def test_an_operator_can_allow_everything_that_is_pinned():
    redirects = Redirects(["cursor:", "vscode:", "vscode.dev"])
    assert redirects.allows("cursor://any.part/cb")
    assert redirects.allows("vscode://vscode.github-authentication/did-authenticate")
    assert redirects.allows("https://vscode.dev/other?a=b")
    assert not redirects.allows("vscode-insiders://vscode.github-authentication/did-authenticate")


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:33418/callback",
        "http://127.0.0.1/",
        "http://[::1]:1/cb",
        "https://claude.ai/api/mcp/auth_callback",
        "https://my.home-assistant.io/redirect/oauth",
        "https://ha.example.org/auth/external/callback",
        "https://chat.example.org:8443/cb",
    ],
)
def test_programs_at_loopback_and_listed_sites_are_trusted(uri):
    assert Redirects(["ha.example.org", "chat.example.org:8443"]).trusts(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "https://client.example/cb",
        "https://ha.example.org:8443/cb",
        "https://vscode.dev/redirect",
        "https://insiders.vscode.dev/redirect",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "com.example.app:/oauth",
        "javascript:alert(1)",
        "",
    ],
)
def test_document_hosts_redirectors_and_custom_schemes_are_not_trusted(uri):
    assert not Redirects(["ha.example.org", "com.example.app:", "vscode.dev"]).trusts(uri)


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ("http://localhost/callback", "http://localhost:54321/callback"),
        ("http://localhost:1/callback", "http://localhost/callback"),
        ("http://127.0.0.1:33418/", "http://127.0.0.1:33419/"),
        ("http://[::1]/cb?a=b", "http://[::1]:7/cb?a=b"),
        ("https://claude.ai/cb", "https://claude.ai/cb"),
        ("cursor://a/cb", "cursor://a/cb"),
    ],
)
def test_a_program_on_the_owners_computer_may_take_any_port(registered, asked):
    assert same_redirect(registered, asked)


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ("http://localhost/callback", "http://127.0.0.1/callback"),
        ("http://127.0.0.1/callback", "http://[::1]/callback"),
        ("http://localhost/callback", "http://localhost/callback/"),
        ("http://localhost/callback", "http://localhost/Callback"),
        ("http://localhost/callback", "http://localhost/callback?a=b"),
        ("http://localhost", "http://localhost/"),
        ("http://localhost/cb", "https://localhost/cb"),
        ("http://localhost/cb", "http://localhost:1@evil.example/cb"),
        ("http://localhost/cb", "http://localhost:99999/cb"),
        ("https://ha.example.org/cb", "https://ha.example.org:8443/cb"),
        ("https://claude.ai/cb", "https://claude.ai/cb?x"),
        ("https://claude.ai/cb", "https://claude.com/cb"),
        ("cursor://a/cb", "cursor://b/cb"),
        ("http://evil.example:1/", "http://evil.example:2/"),
    ],
)
def test_nothing_else_may_differ(registered, asked):
    assert not same_redirect(registered, asked)


@given(anything, anything)
def test_two_addresses_that_are_the_same_lead_to_one_place(registered, asked):
    if same_redirect(registered, asked) and registered != asked:
        assert urlsplit(registered).hostname == urlsplit(asked).hostname
        assert Redirects().allows(registered) == Redirects().allows(asked)


@pytest.mark.parametrize(
    ("uri", "kind", "name"),
    [
        ("https://claude.ai/api/mcp/auth_callback", "site", "claude.ai"),
        ("https://ha.example.org:8443/cb", "site", "ha.example.org:8443"),
        ("http://localhost:33418/callback", "program", "localhost"),
        ("http://[::1]:33418/callback", "program", "[::1]"),
        ("cursor://anysphere.cursor-mcp/oauth/callback", "app", "cursor:"),
    ],
)
def test_the_page_says_where_an_answer_goes(uri, kind, name):
    assert destination(uri) == Destination(kind, name)


def test_an_id_says_who_the_client_is():
    client_id = describe("Claude Code", ["http://localhost/callback", "https://claude.ai/cb"])
    client = read(client_id)
    assert client is not None
    assert (client.id, client.name) == (client_id, "Claude Code")
    assert client.redirects == ("http://localhost/callback", "https://claude.ai/cb")
    assert client_id.startswith("oigc_")
    assert client_id.isascii()


names = st.text(max_size=200)
uris = st.lists(st.sampled_from(ALLOWED), min_size=1, max_size=20)


@given(names, uris)
def test_any_description_can_be_read_back_and_is_bounded(name, redirects):
    client_id = describe(name, redirects)
    client = read(client_id)
    assert client is not None
    assert client.name == cleaned_name(name)
    assert set(client.redirects) <= set(redirects)
    assert len(client_id) <= LONGEST_ID
    assert 1 <= len(client.redirects) <= 10


def test_too_many_addresses_are_cut_to_those_that_fit_in_order():
    many = [f"http://localhost/{number}" for number in range(15)]
    client = read(describe("x", many))
    assert client is not None
    assert list(client.redirects) == many[:10]
    long = ["http://localhost/" + letter * 280 for letter in "abcdefgh"]
    client = read(describe("\U0001f50b" * 60, long))
    assert client is not None
    assert list(client.redirects) == long[: len(client.redirects)]


def test_a_name_is_shown_on_one_short_line_without_invisible_characters():
    assert cleaned_name(" Claude\n\u202eedoC\u200b \x1b[2J") == "Claude edoC [2J"
    assert len(cleaned_name("a" * 500)) == 60
    assert cleaned_name("a" * 59 + " b") == "a" * 59


def encoded(value: object) -> str:
    return "oigc_" + base64url.encode(json.dumps(value, separators=(",", ":")).encode())


URI = "http://localhost/cb"


@pytest.mark.parametrize(
    "client_id",
    [
        "",
        "oigc_",
        "https://claude.ai/oauth/claude-code-client-metadata",
        encoded([]),
        encoded({"n": "x"}),
        encoded({"r": [URI]}),
        encoded({"n": "x", "r": []}),
        encoded({"n": "x", "r": URI}),
        encoded({"n": "x", "r": [1]}),
        encoded({"n": None, "r": [URI]}),
        encoded({"n": "x", "r": [URI], "more": 1}),
        encoded({"n": "x", "r": [URI, URI]}),
        encoded({"n": "x" * 61, "r": [URI]}),
        encoded({"n": " x", "r": [URI]}),
        encoded({"n": "\u202ex", "r": [URI]}),
        encoded({"r": [URI], "n": "x"}),
        encoded({"n": "x", "r": [f"{URI}{number}" for number in range(11)]}),
        "oigc_" + base64url.encode(b'{"n": "x", "r": ["' + URI.encode() + b'"]}'),
        "oigc_" + base64url.encode(b'{"n":"y","n":"x","r":["' + URI.encode() + b'"]}'),
        "oigc_" + base64url.encode('{"n":"x","r":["a"]}'.encode("utf-16")),
        "oigc_" + base64url.encode(b"[" * 1400),
        "oigc_" + base64url.encode(b"\xff"),
        "oigc_" + "A" * 3000,
        describe("x", [URI]) + "=",
        describe("x", [URI])[:-1],
    ],
)
def test_only_text_written_by_describe_is_an_id(client_id):
    assert read(client_id) is None


@given(st.text() | st.binary(max_size=200).map(lambda raw: "oigc_" + base64url.encode(raw)))
def test_no_text_makes_reading_fail(text):
    client = read(text)
    assert client is None or describe(client.name, client.redirects) == text


def test_an_id_gives_no_permission():
    client = read(describe("Claude", ["https://evil.example/cb"]))
    assert client is not None
    assert not Redirects().allows(client.redirects[0])
