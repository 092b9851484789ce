"""One settings file for us and for systemd: what it may hold, and what is said of the rest."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import ConfigurationError
from server.settings.settings_file import MAX_BYTES, parse

PLANTED = "Planted-Passw0rd"


def values(text):
    return {one.name: one.value for one in parse(text.encode(), "settings.env")}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("OIG_PORT=8123", "8123"),
        ("  OIG_PORT = 8123\t ", "8123"),
        ("OIG_PORT=", ""),
        ("OIG_PORT='81 23'", "81 23"),
        ('OIG_PORT="81 23"  ', "81 23"),
        ("OIG_PORT='a\\b\"c'", 'a\\b"c'),
        (r'OIG_PORT="a\"b\\c\$d\e"', r'a"b\c$d\e'),
        ("OIG_PORT=a 'b' \"c\" #d ;e", "a 'b' \"c\" #d ;e"),
        ("OIG_PORT=$HOME/`id`/%h", "$HOME/`id`/%h"),
        ("OIG_PORT=a=b", "a=b"),
        ("OIG_PORT=dům\u2028dva", "dům\u2028dva"),
        ("OIG_PORT=8123\r", "8123"),
    ],
)
def test_a_value_is_parsed_as_systemd_parses_it(line, value):
    assert values(line) == {"OIG_PORT": value}


def test_comments_and_empty_lines_are_skipped_but_counted():
    text = "# one\n\n ; two = 2\r\n\t\nOIG_PORT=1\rOIG_HOST=2\n"
    found = parse(text.encode(), "settings.env")
    assert [(one.name, one.line) for one in found] == [("OIG_PORT", 5), ("OIG_HOST", 6)]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (PLANTED, "settings.env, line 2: this is no assignment NAME=value."),
        (f"export OIG_PORT={PLANTED}", "Leave out the word export."),
        (f"OIG PORT={PLANTED}", "no assignment"),
        (f"={PLANTED}", "no assignment"),
        (f"OIG_PORT={PLANTED}\0", "no assignment"),
        (f"OIG_PORT='{PLANTED}", "must end with the quote it begins with"),
        (f'OIG_PORT="{PLANTED}', "must end with the quote it begins with"),
        (f'OIG_PORT="{PLANTED}\\"', "must end with the quote it begins with"),
        (f"OIG_PORT='{PLANTED}' # comment", "must end with the quote it begins with"),
        (f"OIG_PORT={PLANTED}\\", "put a value with a backslash into single quotes"),
        (f"OIG_HOST={PLANTED}", "OIG_HOST is given in line 1 already"),
    ],
)
def test_ambiguous_syntax_is_refused_without_repeating_the_value(line, told):
    with pytest.raises(ConfigurationError) as caught:
        values(f"OIG_HOST=1\n{line}")
    assert told in str(caught.value)
    assert "settings.env, line 2: " in str(caught.value)
    assert PLANTED not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"OIG_PORT=\xff", "is not UTF-8"),
        (b"\xef\xbb\xbfOIG_PORT=1", "byte order mark"),
        (b"#" * (MAX_BYTES + 1), "has more than"),
    ],
)
def test_a_file_that_is_not_a_settings_file_is_reported_by_its_path(content, told):
    with pytest.raises(ConfigurationError, match=rf"^The settings file settings\.env .*{told}"):
        parse(content, "settings.env")


@given(st.binary())
def test_any_content_is_accepted_or_reported_in_one_line(content):
    with contextlib.suppress(ConfigurationError):
        parse(b"OIG_PORT=" + content, "settings.env")
