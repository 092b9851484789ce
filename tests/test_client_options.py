from __future__ import annotations

import re
from pathlib import Path

import pytest

from client.address import DEFAULT_URL, shown
from client.command_arguments import COMMANDS
from client.exit_codes import ExitCode
from client.failures import SecretOnCommandLine, UsageFailure
from client.options import parse


@pytest.mark.parametrize(
    "argv",
    [
        ["--json", "--timeout", "5", "-v", "--url", "http://a/mcp", "call", "t", "a=1", "b=2"],
        ["call", "t", "a=1", "b=2", "--json", "--timeout=5", "-v", "--url=http://a/mcp"],
        ["--url", "http://a/mcp", "call", "--json", "t", "a=1", "-v", "b=2", "--timeout", "5"],
    ],
)
def test_options_for_every_command_may_stand_anywhere(argv):
    options = parse(argv, {})
    assert (options.command, options.tool, options.words) == ("call", "t", ("a=1", "b=2"))
    assert (options.json, options.verbose, options.timeout) == (True, True, 5.0)
    assert options.url == "http://a/mcp"


def test_nothing_at_all_opens_the_shell_at_the_default_address():
    options = parse([], {})
    assert (options.command, options.url) == ("shell", DEFAULT_URL)


def test_the_address_comes_from_the_environment_unless_given():
    environ = {"OIG_MCP_URL": "http://env:1/mcp"}
    assert parse(["tools"], environ).url == "http://env:1/mcp"
    assert parse(["tools", "--url", "http://x/mcp"], environ).url == "http://x/mcp"


@pytest.mark.parametrize(
    "argv",
    [
        ["check-auth", "--password", "hunter2"],
        ["check-auth", "--password=hunter2"],
        ["check-auth", "--passwd", "hunter2"],
        ["check-auth", "-p", "hunter2"],
        ["check-auth", "-phunter2"],
        ["--password", "hunter2", "check-auth"],
        ["call", "t", "--password=hunter2"],
        ["check-auth", "--password-stdin=hunter2"],
        ["live", "--password-stdin=hunter2"],
    ],
)
def test_a_password_option_is_refused_with_the_reason_and_not_repeated(argv):
    with pytest.raises(SecretOnCommandLine, match="--password-stdin or OIG_PASSWORD") as caught:
        parse(argv, {})
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    "argv",
    [
        ["check-auth", "hunter2"],
        ["check-auth", "--email", "a@b.cz", "hunter2"],
        ["check-auth", "--oops=hunter2"],
        ["check-auth", "--json=hunter2"],
        ["--json=hunter2", "check-auth"],
        ["tools", "-vhunter2"],
        ["tools", "--verbose=hunter2"],
        ["logout", "--no-keyring=hunter2"],
        ["--version=hunter2"],
        ["config", "cursor", "--write=hunter2"],
        ["apply", "x", "--no-wait=hunter2"],
        ["call", "t", "--yes=hunter2"],
        ["--help=hunter2"],
        ["live", "-hhunter2"],
        ["live", "--help=hunter2"],
        ["tools", "hunter2"],
        ["hunter2"],
        ["describe"],
        ["call"],
        ["check-auth", "--email"],
        ["--timeout", "hunter2", "tools"],
        ["--timeout", "0", "tools"],
        ["--timeout", "nan", "tools"],
        ["--timeout", "inf", "tools"],
    ],
)
def test_an_invalid_value_is_refused_without_being_repeated(argv):
    with pytest.raises(UsageFailure) as caught:
        parse(argv, {})
    assert "hunter2" not in caught.value.message


def test_help_is_a_command_too():
    assert parse(["help"], {}).help_text == parse(["--help"], {}).help_text
    assert parse(["help", "live"], {}).help_text == parse(["live", "--help"], {}).help_text


def test_names_keep_their_capitals_in_the_help():
    assert "against OIG Cloud." in str(parse(["check-auth", "--help"], {}).help_text)
    assert "an AI client." in str(parse(["config", "--help"], {}).help_text)


def test_only_the_tool_of_a_call_is_required():
    with pytest.raises(UsageFailure, match=r"required: TOOL\. See"):
        parse(["call"], {})


def test_a_misspelt_command_is_answered_with_the_closest_one():
    with pytest.raises(UsageFailure, match="Did you mean tools"):
        parse(["tols"], {})


@pytest.mark.parametrize(
    "url",
    ["localhost:8000/mcp", "ftp://x/mcp", "http://", "/mcp", "http://x:99999/", "http://[::1/"],
)
def test_an_invalid_address_is_refused(url):
    with pytest.raises(UsageFailure, match="must look like http://localhost:8000/mcp"):
        parse(["tools", "--url", url], {})


def test_an_address_with_a_password_is_refused_and_not_repeated():
    with pytest.raises(SecretOnCommandLine) as caught:
        parse(["tools", "--url", "http://me:hunter2@box/mcp"], {})
    assert "hunter2" not in caught.value.message


def test_a_query_is_not_shown():
    assert shown("http://box/mcp?key=hunter2#x") == "http://box/mcp"


def test_help_and_document_name_every_exit_code():
    text = parse(["--help"], {}).help_text
    page = (Path(__file__).parent.parent / "docs" / "oig-client.md").read_text()
    told = page.split("Exit codes:")[1]
    for code in ExitCode:
        assert re.search(rf"^ .*\b{int(code)}  ", text, re.MULTILINE), code
        assert re.search(rf"\b{int(code)} ", told), code


def test_the_help_of_history_says_that_its_days_are_in_prague_time():
    assert "Prague" in parse(["history", "--help"], {}).help_text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_at_most_eighty_columns(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = parse([command, "--help"], {}).help_text
    assert text is not None
    assert f"oig-client {command}" in text
    assert max(map(len, text.splitlines())) <= 80
    overview = parse(["--help"], {}).help_text
    assert overview is not None
    assert command in overview
    assert max(map(len, overview.splitlines())) <= 80
