"""What AI clients are told of the server, and what happens to their files."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import parse_qs, urlsplit

import pytest

from client.exit_codes import ExitCode
from client.failures import NotWritten
from client.login import Login
from client.options import FILES
from client.setup.entries import NAME, added_by_command, deeplink, entry
from client.setup.merge import merged
from client.setup.page import page
from client.setup.places import file_of

from .client_keyring import environment

ROOT = Path(__file__).parent.parent
URL = "https://battery.example/mcp"
SECRET = "hunter2"
LOGIN = Login("a@b.cz", SECRET)


@pytest.fixture
def client(tmp_path):
    """Run the client as a program in an empty folder with an empty home."""
    home, folder, ring = tmp_path / "home", tmp_path / "project", tmp_path / "keyring.json"
    home.mkdir()
    folder.mkdir()
    ring.write_text(json.dumps({"oig-client https://battery.example:443/mcp": LOGIN.packed()}))

    def run(*argv, kind="InFile"):
        found = subprocess.run(
            [sys.executable, "-m", "client", "config", *argv, "--url", URL],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)}
            | environment(kind, ring),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        for secret in (SECRET, LOGIN.basic.split()[1]):
            assert secret not in found.stdout + found.stderr
        assert "Traceback" not in found.stderr
        return found.returncode, found.stdout, found.stderr

    run.home, run.folder = home, folder  # type: ignore[attr-defined]
    return run


def test_claude_desktop_gets_a_bridge_and_never_a_url():
    found = entry("claude-desktop", "http://localhost:8000/mcp").document["mcpServers"][NAME]
    assert "url" not in found
    assert found["command"] == "npx"
    assert "--allow-http" in found["args"]
    assert not any(" " in word for word in found["args"])
    assert found["env"]["AUTH_HEADER"].startswith("Basic ")
    assert "--allow-http" not in entry("claude-desktop", URL).server["args"]


def test_the_others_get_the_url_and_a_login_that_stands_elsewhere():
    code = entry("claude-code", URL).document["mcpServers"][NAME]
    assert (code["type"], code["url"]) == ("http", URL)
    assert code["headers"] == {"Authorization": "Basic ${OIG_BASIC}"}
    cursor = entry("cursor", URL).document["mcpServers"][NAME]
    assert cursor == {"url": URL, "headers": {"Authorization": "Basic ${env:OIG_BASIC}"}}
    vscode = entry("vscode", URL).document
    (question,) = vscode["inputs"]
    assert (question["type"], question["password"]) == ("promptString", True)
    header = vscode["servers"][NAME]["headers"]["Authorization"]
    assert header == f"Basic ${{input:{question['id']}}}"


def test_the_deeplink_holds_the_same_as_the_file():
    query = parse_qs(urlsplit(deeplink(URL)).query)
    assert query["name"] == [NAME]
    assert json.loads(base64.b64decode(query["config"][0])) == entry("cursor", URL).server


def test_a_url_is_quoted_for_the_shell_where_it_needs_it():
    assert added_by_command(URL).endswith(f" {URL}")
    assert added_by_command(f"{URL}?a=1&b=2").endswith(f" '{URL}?a=1&b=2'")


@pytest.mark.parametrize(
    ("assistant", "system", "environ", "path"),
    [
        (
            "claude-desktop",
            "darwin",
            {},
            "/home/me/Library/Application Support/Claude/claude_desktop_config.json",
        ),
        ("claude-desktop", "linux", {}, "/home/me/.config/Claude/claude_desktop_config.json"),
        (
            "claude-desktop",
            "linux",
            {"XDG_CONFIG_HOME": "/cfg"},
            "/cfg/Claude/claude_desktop_config.json",
        ),
        ("claude-code", "linux", {}, "/project/.mcp.json"),
        ("vscode", "darwin", {}, "/project/.vscode/mcp.json"),
        ("cursor", "linux", {}, "/home/me/.cursor/mcp.json"),
    ],
)
def test_each_client_has_its_file(assistant, system, environ, path):
    home, folder = PurePosixPath("/home/me"), PurePosixPath("/project")
    found = file_of(assistant, system=system, home=home, folder=folder, environ=environ)
    assert str(found) == path


def test_windows_has_its_own_places():
    home, folder = PureWindowsPath(r"C:\Users\me"), PureWindowsPath(r"D:\project")

    def place(assistant, environ):
        return str(file_of(assistant, system="win32", home=home, folder=folder, environ=environ))

    roaming = r"C:\Users\me\AppData\Roaming"
    wanted = rf"{roaming}\Claude\claude_desktop_config.json"
    assert place("claude-desktop", {}) == wanted
    assert place("claude-desktop", {"APPDATA": roaming}) == wanted
    assert place("cursor", {}) == r"C:\Users\me\.cursor\mcp.json"
    assert place("vscode", {}) == r"D:\project\.vscode\mcp.json"


@pytest.mark.parametrize("assistant", FILES)
@pytest.mark.parametrize("windows", [True, False])
def test_a_page_fits_eighty_columns_but_for_what_is_copied(assistant, windows):
    text = page(assistant, URL, "/home/me/.config/file.json", windows=windows)
    long = [line for line in text.splitlines() if len(line) > 80]
    assert all(line.startswith(("cursor://", "  export OIG_BASIC")) for line in long)
    assert all(len(line) < 100 for line in long if not line.startswith("cursor://"))


def test_what_is_there_stays_in_order_and_in_its_indentation():
    lines = [
        "{",
        '\t"theme": "d\u00e1rk",',
        '\t"mcpServers": {"other": {}},',
        '\t"n": 1.5',
        "}",
        "",
    ]
    before = "\r\n".join(lines)
    after = merged(before, entry("cursor", URL))
    document = json.loads(after)
    assert list(document) == ["theme", "mcpServers", "n"]
    assert list(document["mcpServers"]) == ["other", NAME]
    assert after.startswith('{\r\n\t"theme": "d\u00e1rk",\r\n')
    assert merged(after, entry("cursor", URL)) == after


def test_questions_are_added_once():
    other = {"inputs": [{"id": "other"}, {"id": "oig-basic", "old": 1}]}
    found = json.loads(merged(json.dumps(other), entry("vscode", URL)))
    assert [one["id"] for one in found["inputs"]] == ["other", "oig-basic"]
    assert found["inputs"][1]["password"] is True


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, // why\n "b": 2}',
        '{"a": 1,}',
        '{"a": 1, "a": 2}',
        '{"a": 1e999}',
        '{"a": 1.10}',
        '{"a": NaN}',
        "[1]",
        "7",
        "{",
        "[" * 100_000,
        '{"mcpServers": []}',
    ],
)
def test_a_file_that_would_lose_something_is_refused(text):
    with pytest.raises(NotWritten):
        merged(text, entry("cursor", URL))


@pytest.mark.parametrize("text", ["", " \n", "{}", "\ufeff{}"])
def test_an_empty_file_is_filled(text):
    found = merged(text, entry("cursor", URL))
    assert found.startswith("\ufeff") == text.startswith("\ufeff")
    assert json.loads(found.removeprefix("\ufeff"))["mcpServers"][NAME]["url"] == URL


@pytest.mark.parametrize("assistant", FILES)
def test_json_is_the_object_alone(client, assistant):
    code, out, err = client(assistant, "--json")
    assert (code, err) == (ExitCode.OK, "")
    assert json.loads(out) == entry(assistant, URL).document
    code, out, _ = client(assistant)
    assert code == ExitCode.OK
    assert json.dumps(entry(assistant, URL).document, indent=2) in out
    assert list(client.folder.iterdir()) == []


def test_a_file_is_written_once_with_a_copy_of_the_one_before(client):
    path = client.home / ".cursor" / "mcp.json"
    code, out, _ = client("cursor", "--write")
    assert code == ExitCode.OK
    assert str(path) in out
    assert json.loads(path.read_text()) == entry("cursor", URL).document
    assert [one.name for one in path.parent.iterdir()] == ["mcp.json"]
    code, out, _ = client("cursor", "--write")
    assert "already" in out

    before = '{"mcpServers": {"other": {}}}'
    path.write_text(before)
    path.chmod(0o640)
    code, out, _ = client("cursor", "--write")
    assert code == ExitCode.OK
    assert set(json.loads(path.read_text())["mcpServers"]) == {"other", NAME}
    assert (path.parent / "mcp.json.1.bak").read_text() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_with_comments_is_left_alone_and_the_entry_printed(client):
    path = client.folder / ".vscode" / "mcp.json"
    path.parent.mkdir()
    path.write_text('{\n  // mine\n  "servers": {}\n}\n')
    code, out, err = client("vscode", "--write")
    assert code == ExitCode.TOOL
    assert "comments" in err
    assert '"promptString"' in out
    assert path.read_text() == '{\n  // mine\n  "servers": {}\n}\n'
    assert [one.name for one in path.parent.iterdir()] == ["mcp.json"]
    code, out, _ = client("vscode", "--write", "--json")
    assert json.loads(out)["error"]["kind"] == "not_plain_json"


def test_a_link_stays_a_link(client):
    target = client.home / "dotfiles.json"
    target.write_text("{}")
    (client.home / ".cursor").mkdir()
    (client.home / ".cursor" / "mcp.json").symlink_to(target)
    assert client("cursor", "--write")[0] == ExitCode.OK
    assert (client.home / ".cursor" / "mcp.json").is_symlink()
    assert NAME in target.read_text()


def test_the_kept_login_goes_only_into_a_file_of_the_persons_own(client):
    path = client.home / ".config" / "Claude" / "claude_desktop_config.json"
    code, out, _ = client("claude-desktop", "--write", "--with-credentials")
    assert code == ExitCode.OK
    document = json.loads(path.read_text())
    assert document["mcpServers"][NAME]["env"]["AUTH_HEADER"] == LOGIN.basic
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for argv, words in (
        (["claude-desktop", "--with-credentials"], "never printed"),
        (["vscode", "--write", "--with-credentials"], "may be shared"),
    ):
        code, out, err = client(*argv)
        assert (code, out) == (ExitCode.USAGE, "")
        assert words in err


def test_a_login_that_is_not_kept_is_missed(client, tmp_path):
    (tmp_path / "keyring.json").write_text("{}")
    code, out, err = client("cursor", "--write", "--with-credentials")
    assert (code, out) == (ExitCode.USAGE, "")
    assert "oig-client login" in err
    code, _, err = client("cursor", "--write", "--with-credentials", kind="fail")
    assert code == ExitCode.TOOL
    assert "no keyring" in err
    assert not (client.home / ".cursor").exists()


def test_an_unknown_client_is_refused_without_being_repeated(client):
    code, _, err = client(SECRET)
    assert code == ExitCode.USAGE
    assert "claude-desktop" in err
