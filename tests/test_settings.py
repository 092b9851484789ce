"""The environment into settings, or one clear line."""

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import ConfigurationError
from server.settings.loading import load
from server.settings.places import ROOT
from server.settings.table import Settings
from server.settings.value_file import MAX_BYTES


def test_an_empty_environment_gives_the_documented_defaults():
    settings = Settings.from_env({})
    assert settings.portal_url == "https://portal.oigpower.cz/"
    assert settings.session_ttl == 43200
    assert settings.cache_socket == ROOT / "var" / "run" / "cache.sock"
    assert settings.wrong_per_source == 5
    assert settings.wrong_per_account == 20


def test_an_empty_value_counts_as_unset():
    assert Settings.from_env({"OIG_SESSION_TTL": " "}).session_ttl == 43200


def test_files_are_in_the_run_folder_unless_set():
    settings = Settings.from_env({"OIG_RUN_DIR": "/r", "OIG_SECRET_FILE": "/s"})
    assert settings.cache_socket == Path("/r/cache.sock")
    assert settings.secret_file == Path("/s")


def test_lists_are_split_at_commas_and_spaces():
    settings = Settings.from_env({"OIG_ALLOWED_HOSTS": "a.example, b.example  c.example"})
    assert settings.allowed_hosts == ("a.example", "b.example", "c.example")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OIG_SESSION_TTL", "soon"),
        ("OIG_SESSION_TTL", "0"),
        ("OIG_SESSION_TTL", "nan"),
        ("OIG_SESSION_TTL", "inf"),
        ("OIG_SESSION_TTL", "99999999"),
        ("OIG_MAX_SESSIONS", "-1"),
        ("OIG_MAX_SESSIONS", "1.5"),
        ("OIG_PORTAL_URL", "portal.example"),
        ("OIG_PORTAL_URL", "http://portal.example/"),
        ("OIG_PORTAL_URL", "https://user:pass@portal.example/"),
        ("OIG_PORTAL_URL", "https://portal.example/?x=1"),
        ("OIG_PORTAL_URL", "https://portal.example:99999/"),
        ("OIG_PORTAL_URL", "https://por tal.example/"),
        ("OIG_PORTAL_URL", "https://portal.example/?"),
        ("OIG_PORTAL_URL", "https://portal.example/#"),
        ("OIG_PORTAL_URL", "https://[::1/"),
        ("OIG_LIVE_TTL", "2592001"),
        ("OIG_HISTORY_TTL", "1e300"),
        ("OIG_LOCK_LONGEST", "2592001"),
        ("OIG_REJECTED_MEMORY", "2592001"),
        ("OIG_ALLOWED_HOSTS", "oig.example, https://box.example"),
        ("OIG_ALLOWED_HOSTS", "oig.example:99999"),
        ("OIG_ALLOWED_HOSTS", "oig.example/mcp"),
        ("OIG_ALLOWED_HOSTS", "*.example"),
        ("OIG_ALLOWED_HOSTS", "[::1"),
        ("OIG_ALLOWED_HOSTS", "[::1].oig.example"),
        ("OIG_ALLOWED_HOSTS", "oig.example:0"),
        ("OIG_ALLOWED_HOSTS", "oig.example.."),
        ("OIG_ALLOWED_ORIGINS", "pages.test"),
        ("OIG_ALLOWED_ORIGINS", "https://app.example/page"),
        ("OIG_ALLOWED_ORIGINS", "https:///"),
        ("OIG_ALLOWED_ORIGINS", "*"),
        ("OIG_ALLOWED_ORIGINS", "null"),
        ("OIG_ALLOWED_ORIGINS", "https://*.example"),
        ("OIG_ALLOWED_ORIGINS", "https://app.example:99999"),
        ("OIG_ALLOWED_ORIGINS", "https://app.example:0"),
        ("OIG_ALLOWED_ORIGINS", "https://user@app.example"),
        ("OIG_ALLOWED_ORIGINS", "https://[::1"),
        ("OIG_ALLOWED_ORIGINS", "file://pages"),
        ("OIG_ALLOWED_ORIGINS", "https://good.example https://bad.example//"),
        ("OIG_PUBLIC_URL", "battery.example"),
        ("OIG_PUBLIC_URL", "http://oig.example.org"),
        ("OIG_PUBLIC_URL", "http://10.0.0.5:8000"),
        ("OIG_PUBLIC_URL", "http://localhost.evil"),
        ("OIG_PUBLIC_URL", "https://oig.example.org/mcp"),
        ("OIG_PUBLIC_URL", "https://oig.example.org//"),
        ("OIG_PUBLIC_URL", "https://oig.example.org?"),
        ("OIG_PUBLIC_URL", "https://oig.example.org#"),
        ("OIG_PUBLIC_URL", "https://jana@oig.example.org"),
        ("OIG_PUBLIC_URL", "https://oig.example.org:99999"),
        ("OIG_PUBLIC_URL", "https:///mcp"),
        ("OIG_PUBLIC_URL", "wss://oig.example.org"),
        ("OIG_PUBLIC_URL", "https://b\u00fccher.example"),
        ("OIG_LOGIN", "oauth"),
        ("OIG_LOGIN", "on"),
        ("OIG_CHAT_HOSTS", "https://oig.example.org"),
        ("OIG_CHAT_PASSWORDS", "chat"),
        ("OIG_CLIENT_DOCUMENTS", "some"),
        ("OIG_LOGIN_REDIRECTS", "https://chat.example.org/cb"),
        ("OIG_LOGIN_REDIRECTS", "chat.example.org/cb"),
        ("OIG_LOGIN_REDIRECTS", "*.example.org"),
        ("OIG_LOGIN_REDIRECTS", "jana@chat.example.org"),
        ("OIG_LOGIN_REDIRECTS", "chat.example.org:0"),
        ("OIG_LOGIN_REDIRECTS", "javascript:"),
        ("OIG_LOGIN_REDIRECTS", "JavaScript:"),
        ("OIG_LOGIN_REDIRECTS", "http:"),
        ("OIG_LOGIN_REDIRECTS", "https:"),
        ("OIG_LOGIN_REDIRECTS", "data:"),
        ("OIG_LOGIN_REDIRECTS", "file:"),
        ("OIG_LOGIN_REDIRECTS", ":"),
        ("OIG_LOGIN_REDIRECTS", "1app:"),
        ("OIG_TRUSTED_PROXIES", "10.0.0.0/99"),
        ("OIG_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("OIG_TRUSTED_PROXIES", "127.0.0.1, proxy.example"),
        ("OIG_SHARED_SOURCES", "10.0.0.1/8"),
        ("OIG_SHARED_SOURCES", "192.0.2.7, cloud.example"),
        ("OIG_SHARED_SOURCES", "fe80::1%eth0"),
        ("OIG_WRONG_ACCOUNTS_PER_SOURCE", "-1"),
        ("OIG_WRONG_ACCOUNTS_PER_SOURCE", "none"),
        ("OIG_WRONG_ACCOUNTS_PER_SOURCE", "10001"),
        ("OIG_TRUSTED_PROXIES", "fe80::1%eth0"),
        ("OIG_ALLOWED_EMAILS", "@"),
        ("OIG_ALLOWED_EMAILS", "@x"),
        ("OIG_ALLOWED_EMAILS", "petra@"),
        ("OIG_ALLOWED_EMAILS", "@example.net"),
        ("OIG_ALLOWED_EMAILS", "jana@@example.cz"),
        ("OIG_ALLOWED_EMAILS", "jana@example.cz@example.cz"),
        ("OIG_ALLOWED_EMAILS", "jana@localhost"),
        ("OIG_ALLOWED_EMAILS", "petr@example.cz, jana@"),
        ("OIG_ALLOWED_EMAILS", "jana@example.cz\u200b"),
        ("OIG_ALLOWED_EMAILS", "j" * 250 + "@x.cz"),
        ("OIG_ALLOWED_EMAILS", "no-such/allowed@home.txt"),
        ("OIG_CA_FILE", "~nosuchuser/ca.pem"),
        ("OIG_LOG_LEVEL", "LOUD"),
        ("OIG_SIMULATOR_PORT", "70000"),
        ("OIG_PORT", "0"),
        ("OIG_WORKERS", "0"),
        ("OIG_WORKERS", "8000"),
        ("OIG_HOST", "oig.example.org"),
        ("OIG_HOST", "2001:db8::1"),
        ("OIG_HOST", "127.0.0.1:8000"),
        ("OIG_STATE_DIR", "~nosuchuser/state"),
    ],
)
def test_a_malformed_value_is_reported_by_name_and_not_repeated(name, value):
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_env({name: value})
    assert str(caught.value).startswith(name)
    assert "\n" not in str(caught.value)
    assert "number" not in str(caught.value) or not any(c in value for c in ":/")
    if len(value) > 4:
        assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OIG_ALLOWED_HOSTS", "oig.example box.local:8443, [2001:db8::1]"),
        ("OIG_ALLOWED_ORIGINS", "https://app.example:8443/ vscode-webview://1a2b"),
        ("OIG_PUBLIC_URL", "https://[2001:db8::1]:8443"),
        ("OIG_PUBLIC_URL", "http://[::1]:8000"),
        ("OIG_LOGIN", "Browser"),
        ("OIG_CHAT_HOSTS", "battery.lan:8000 10.0.0.5"),
        ("OIG_LOGIN_REDIRECTS", "ha.example.org, chat.example.org:8443 com.example.app:"),
        ("OIG_TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8 2001:db8::/32"),
        ("OIG_SHARED_SOURCES", "192.0.2.7, 10.0.0.0/8 2001:db8::/32"),
        ("OIG_WRONG_ACCOUNTS_PER_SOURCE", "0"),
        ("OIG_TRUSTED_PROXIES", "fc00::/7 ::1 ::ffff:10.0.0.0/104"),
        ("OIG_SHARED_SOURCES", "160.79.104.0/21 fc00::/7 ::ffff:10.0.0.0/104"),
        ("OIG_ALLOWED_EMAILS", "jana@example.cz, Petr.Novák@dům.example"),
        ("OIG_PORTAL_URL", "https://[::1]:8443/portal"),
        ("OIG_HOST", "localhost"),
        ("OIG_HOST", "192.0.2.7"),
        ("OIG_KNOWN_SOURCE", "7776000"),
    ],
)
def test_valid_values_are_accepted(name, value):
    Settings.from_env({name: value})


def test_origins_are_stored_in_canonical_form():
    given = "https://A.example:443/, http://b.example:80 https://[2001:DB8::0:1]:8443"
    assert Settings.from_env({"OIG_ALLOWED_ORIGINS": given}).allowed_origins == (
        "https://a.example",
        "http://b.example",
        "https://[2001:db8::1]:8443",
    )


def test_a_list_of_emails_in_a_file_may_have_any_path(tmp_path):
    file = tmp_path / "allowed@home.txt"
    file.write_text("user@example.com  # me\n")
    assert Settings.from_env({"OIG_ALLOWED_EMAILS": str(file)}).allowed_emails == (
        "user@example.com",
    )


@pytest.mark.parametrize("line", ["@x", "jana@", "Jana Nováková", "jana@@example.cz"])
def test_an_invalid_line_in_a_file_of_emails_is_reported_by_path_and_line(tmp_path, line):
    file = tmp_path / "allowed"
    file.write_text(f"# the house\n\npetr@example.cz\n{line}  # comment\n")
    with pytest.raises(ConfigurationError) as told:
        Settings.from_env({"OIG_ALLOWED_EMAILS": str(file)})
    assert str(told.value) == (
        f"OIG_ALLOWED_EMAILS: line 4 of the file {file} holds something that is not an e-mail "
        "address such as jana@example.cz."
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (Path.mkdir, "cannot be read: it is no regular file"),
        (os.mkfifo, "cannot be read: it is no regular file"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic links"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not UTF-8"),
        (lambda path: path.write_bytes(b"#" * (MAX_BYTES + 1)), f"has more than {MAX_BYTES} bytes"),
    ],
    ids=["missing", "folder", "pipe", "endless link", "no text", "huge"],
)
def test_an_unusable_file_of_emails_is_reported_with_the_reason(tmp_path, make, reason):
    file = tmp_path / "allowed"
    make(file)
    with pytest.raises(ConfigurationError) as told:
        Settings.from_env({"OIG_ALLOWED_EMAILS": str(file)})
    assert str(told.value) == f"OIG_ALLOWED_EMAILS: the file {file} {reason}."


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0"])
def test_an_invalid_duration_is_reported_with_what_it_must_be(value):
    with pytest.raises(ConfigurationError) as told:
        Settings.from_env({"OIG_LIVE_TTL": value})
    assert str(told.value) == "OIG_LIVE_TTL must be a number above 0."


def test_a_misspelt_name_is_reported_with_the_right_one():
    with pytest.raises(ConfigurationError, match="Did you mean OIG_ALLOWED_HOSTS"):
        load({"OIG_ALOWED_HOSTS": "a.example"})


def test_variables_of_the_client_and_of_other_programs_are_ignored():
    names = ("OIG_BASIC", "OIG_EMAIL", "OIG_MCP_URL", "OIG_PASSWORD", "PATH")
    load({**dict.fromkeys(names, "x"), "OIG_CONFIG": os.devnull})


def test_plain_http_is_accepted_for_this_machine_only():
    assert Settings.from_env({"OIG_PORTAL_URL": "http://127.0.0.1:8099"}).portal_url.endswith("/")


def test_a_path_too_long_for_a_socket_is_reported():
    with pytest.raises(ConfigurationError, match="OIG_CACHE_SOCKET"):
        Settings.from_env({"OIG_RUN_DIR": "/" + "x" * 120})


def test_the_longest_lock_cannot_be_shorter_than_the_first():
    with pytest.raises(ConfigurationError):
        Settings.from_env({"OIG_LOCK_FIRST": "100", "OIG_LOCK_LONGEST": "50"})


@pytest.mark.parametrize(
    "value",
    [
        "*",
        "127.0.0.1, *",
        "0.0.0.0/0",
        "::/0",
        "0.0.0.0/1, 128.0.0.0/1",
        "::/1 8000::/1",
        "::ffff:0:0/96",
        "128.0.0.0/2",
        "2000::/3",
        "10.0.0.0/8 11.0.0.0/8",
    ],
)
@pytest.mark.parametrize("name", ["OIG_TRUSTED_PROXIES", "OIG_SHARED_SOURCES"])
def test_a_network_of_all_addresses_is_refused_as_proxy_and_as_shared_source(name, value):
    with pytest.raises(ConfigurationError, match=rf"{name} must not name everybody: "):
        Settings.from_env({name: value})


CHECKED = [
    "OIG_SESSION_TTL",
    "OIG_PORTAL_URL",
    "OIG_ALLOWED_HOSTS",
    "OIG_ALLOWED_ORIGINS",
    "OIG_TRUSTED_PROXIES",
    "OIG_SHARED_SOURCES",
    "OIG_ALLOWED_EMAILS",
]


@given(st.dictionaries(st.sampled_from(CHECKED), st.text()))
def test_any_value_is_accepted_or_reported(environ):
    with contextlib.suppress(ConfigurationError):
        Settings.from_env(environ)


@pytest.mark.parametrize(
    "value",
    ["1_0", "\uff11\uff10", "\u0661\u0660", "10\x1f", "\x0b10", "10\x85", "+10", "0x10", "1e1"],
)
@pytest.mark.parametrize(
    "name",
    [
        "OIG_PORT",
        "OIG_WORKERS",
        "OIG_MAX_SESSIONS",
        "OIG_WRONG_ACCOUNTS_PER_SOURCE",
        "OIG_CALLS_PER_MINUTE",
        "OIG_LOGINS_PER_SECOND",
        "OIG_SESSION_TTL",
    ],
)
def test_a_number_must_be_written_in_plain_digits(name, value):
    Settings.from_env({name: "10"})
    with pytest.raises(ConfigurationError, match=f"^{name} (is not|must be) a number"):
        Settings.from_env({name: value})


@pytest.mark.parametrize("value", ["8000 ", "\t8000", "8000\n", "8000\r\n", "08000"])
def test_white_space_around_a_number_is_ignored(value):
    assert Settings.from_env({"OIG_PORT": value}).port == 8000


@pytest.mark.parametrize("value", ["8000.5", "8000.0", "9" * 5000, "-" + "9" * 5000])
def test_a_whole_number_may_not_be_a_fraction_or_overlong(value):
    with pytest.raises(ConfigurationError, match=r"^OIG_MAX_SESSIONS is not a number"):
        Settings.from_env({"OIG_MAX_SESSIONS": value})


@pytest.mark.parametrize("value", ["0.5", "0000.50", "2.25"])
def test_a_duration_may_be_a_fraction(value):
    assert Settings.from_env({"OIG_LIVE_TTL": value}).live_ttl == float(value)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("https://oig.example.org", "https://oig.example.org"),
        ("https://oig.example.org/", "https://oig.example.org"),
        ("HTTPS://OIG.Example.org.:443/", "https://oig.example.org"),
        ("https://oig.example.org:8443", "https://oig.example.org:8443"),
        ("http://localhost:8000/", "http://localhost:8000"),
    ],
)
def test_the_public_address_has_one_spelling(written, kept):
    assert Settings.from_env({"OIG_PUBLIC_URL": written}).public_url == kept


PUBLIC = {"OIG_PUBLIC_URL": "https://oig.example.org"}


@pytest.mark.parametrize(
    ("given", "only_browser"),
    [
        ({}, False),
        (PUBLIC, True),
        (PUBLIC | {"OIG_LOGIN": "chat"}, False),
        (PUBLIC | {"OIG_CHAT_HOSTS": "battery.lan"}, False),
    ],
)
def test_assistants_may_ask_for_a_password_unless_all_clients_log_in_by_browser(
    given, only_browser
):
    assert Settings.from_env(given).only_browser is only_browser


def test_the_public_and_the_second_address_count_as_names_of_the_server():
    settings = Settings.from_env(
        {
            "OIG_ALLOWED_HOSTS": "a.example",
            "OIG_ALLOWED_ORIGINS": "https://app.example",
            "OIG_CHAT_HOSTS": "battery.lan:8000",
            "OIG_PUBLIC_URL": "https://oig.example.org:8443",
        }
    )
    assert set(settings.served_hosts) == {"a.example", "battery.lan:8000", "oig.example.org"}
    assert settings.served_origins == ("https://app.example", "https://oig.example.org:8443")


@pytest.mark.parametrize("host", ["oig.example.org", "OIG.example.org.:8000"])
def test_the_second_address_cannot_be_the_public_one(host):
    given = {"OIG_PUBLIC_URL": "https://oig.example.org", "OIG_CHAT_HOSTS": f"lan.example {host}"}
    with pytest.raises(ConfigurationError, match=r"OIG_CHAT_HOSTS.*OIG_PUBLIC_URL"):
        Settings.from_env(given)


def test_redirect_targets_have_one_spelling():
    given = {"OIG_LOGIN_REDIRECTS": "Chat.Example.org:443 com.Example.app: chat.example.org:8443"}
    assert Settings.from_env(given).login_redirects == (
        "chat.example.org",
        "com.example.app:",
        "chat.example.org:8443",
    )
