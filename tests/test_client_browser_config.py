"""The configuration of AI clients for a server with browser login."""

from __future__ import annotations

import base64
import json
import stat
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from client.__main__ import main
from client.command_arguments import FILES
from client.exit_codes import ExitCode
from client.setup import offered
from client.setup.entries import NAME, PLACEHOLDER, added_by_command, deeplink, entry
from client.setup.here import file_here
from client.setup.page import page

URL = "https://battery.example/mcp"
BASIC = "Basic c2VjcmV0"


@pytest.fixture
def client(capsys, monkeypatch, tmp_path):
    """Run `config` in an empty folder and home; `run.server` answers."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("OIG_MCP_URL", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*argv, url=URL):
        code = main(["config", *argv, "--url", url])
        out, err = capsys.readouterr()
        return code, out, err

    run.server = lambda _request: httpx2.Response(200, json={"resource": URL})
    run.asked = []

    def answer(request):
        run.asked.append(request)
        return run.server(request)

    monkeypatch.setattr(
        offered,
        "connecting",
        lambda kind, _url, **more: kind(transport=httpx2.MockTransport(answer), **more),
    )
    return run


@pytest.mark.parametrize("assistant", FILES)
def test_the_address_alone_comes_first_where_the_server_offers_it(client, assistant):
    code, out, err = client(assistant)
    assert (code, err) == (ExitCode.OK, "")
    alone, _, header = out.partition("Or with the login in a header")
    assert URL in alone
    assert "Authorization" not in alone
    assert "opens in your browser" in " ".join(alone.split())
    assert "Authorization" in header
    assert ("--with-credentials" if assistant == "claude-desktop" else "--login header") in header
    assert "in the chat" not in out
    (request,) = client.asked
    assert str(request.url) == "https://battery.example/.well-known/oauth-protected-resource/mcp"
    assert "authorization" not in request.headers


@pytest.mark.parametrize("assistant", FILES)
def test_scripts_get_the_same_as_people(client, assistant):
    _, out, _ = client(assistant, "--json")
    assert json.loads(out) == entry(assistant, URL, browser=True).document
    _, out, _ = client(assistant, "--login", "header", "--json")
    assert json.loads(out) == entry(assistant, URL).document


@pytest.mark.parametrize("way", ["browser", "header"])
def test_an_option_decides_without_a_question(client, way):
    _, out, _ = client("cursor", "--login", way)
    assert client.asked == []
    assert out.startswith("Put this") is (way == "browser")


def refuse(request):
    raise httpx2.ConnectError("nobody", request=request)


@pytest.mark.parametrize(
    "server",
    [
        lambda _: httpx2.Response(404, json={"resource": URL}),
        lambda _: httpx2.Response(307, headers={"location": "https://other.example/"}),
        lambda _: httpx2.Response(200, html="<p>Welcome</p>"),
        lambda _: httpx2.Response(200, json=[]),
        lambda _: httpx2.Response(200, json={"resource": "https://other.example/mcp"}),
        lambda _: httpx2.Response(200, json={"resource": f"{URL}/"}),
        lambda _: httpx2.Response(200, text="[" * 60_000),
        lambda _: httpx2.Response(200, text=" " * 100_000),
    ],
)
def test_without_a_valid_offer_the_entry_keeps_its_header(client, server):
    client.server = server
    code, out, err = client("claude-code")
    assert (code, err) == (ExitCode.OK, "")
    assert out == page("claude-code", URL, str(file_here("claude-code")), windows=False)


def test_an_unreachable_server_is_reported(client):
    client.server = refuse
    code, out, err = client("cursor", "--json")
    assert (code, json.loads(out)) == (ExitCode.OK, entry("cursor", URL).document)
    assert "could not be asked" in err
    assert "--login browser" in err


def test_the_entry_with_a_header_for_claude_desktop_has_the_header_in_it(client):
    _, out, _ = client("claude-desktop")
    _, _, header = out.partition("Or with the login in a header")
    made = header[header.index("{") : header.rindex("}") + 1]
    assert json.loads(made) == entry("claude-desktop", URL, f"Basic {PLACEHOLDER}").document


def test_only_the_address_is_written(client, tmp_path):
    code, out, _ = client("vscode", "--write")
    path = file_here("vscode")
    assert (code, json.loads(path.read_text())["servers"][NAME]) == (
        ExitCode.OK,
        {"type": "http", "url": URL},
    )
    assert "inputs" not in json.loads(path.read_text())
    assert "opens in your browser" in " ".join(out.split())


def test_a_login_already_in_the_file_stays_and_is_reported(client):
    path = file_here("cursor")
    path.parent.mkdir()
    path.write_text(json.dumps(entry("cursor", URL, BASIC).document))
    code, out, _ = client("cursor", "--write")
    assert code == ExitCode.OK
    assert json.loads(path.read_text())["mcpServers"][NAME]["headers"] == {"Authorization": BASIC}
    assert out.startswith("The login that was in the entry stays there.")
    assert BASIC not in out
    path.unlink()
    _, out, _ = client("cursor", "--write")
    assert "stays there" not in out
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_login_in_the_file_and_a_browser_login_are_alternatives(client):
    code, _, err = client("cursor", "--write", "--with-credentials", "--login", "browser")
    assert code == ExitCode.USAGE
    assert "--login header" in err


def test_the_command_and_the_link_hold_the_address_alone():
    assert added_by_command(URL, browser=True).splitlines() == [
        f"claude mcp add --transport http --scope user {NAME} {URL}"
    ]
    query = parse_qs(urlsplit(deeplink(URL, browser=True)).query)
    assert json.loads(base64.b64decode(query["config"][0])) == {"url": URL}
