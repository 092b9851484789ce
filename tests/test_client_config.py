"""The configuration of AI clients, and the changes to their files."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import parse_qs, urlsplit

import pytest

from client.command_arguments import FILES
from client.exit_codes import ExitCode
from client.failures import NotWritten
from client.login import Login
from client.setup.command import NOT_ASKED
from client.setup.entries import NAME, PLACEHOLDER, added_by_command, deeplink, entry
from client.setup.merge import changes, merged
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
            timeout=60,
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
    assert "env" not in found  # a header without a login would have every call refused
    assert "--header" not in found["args"]
    assert entry("claude-desktop", URL, "Basic x").server["env"] == {"AUTH_HEADER": "Basic x"}
    assert "--allow-http" not in entry("claude-desktop", URL).server["args"]


def test_other_clients_get_the_url_and_a_login_stored_elsewhere():
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


def test_the_deeplink_contains_the_same_as_the_file():
    query = parse_qs(urlsplit(deeplink(URL)).query)
    assert query["name"] == [NAME]
    assert json.loads(base64.b64decode(query["config"][0])) == entry("cursor", URL).server


def test_powershell_gets_its_own_spelling():
    text = page("claude-code", URL, "x", windows=True)
    assert "Authorization: Basic $env:OIG_BASIC" in text
    assert "\\\n" not in text
    assert "--scope user `\n" in text
    assert "Basic $OIG_BASIC" in page("claude-code", URL, "x", windows=False)


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


def test_windows_has_its_own_paths():
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
def test_a_page_fits_eighty_columns_except_for_lines_to_copy(assistant, windows):
    text = page(assistant, URL, "/home/me/.config/file.json", windows=windows)
    long = [line for line in text.splitlines() if len(line) > 80]
    assert all(line.startswith(("cursor://", "  export OIG_BASIC")) for line in long)
    assert all(len(line) < 100 for line in long if not line.startswith("cursor://"))


def test_existing_content_keeps_its_order_and_indentation():
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


def updated(assistant, there, *, basic=None):
    before = {entry(assistant, URL).section: {NAME: there}}
    new = entry(assistant, URL, basic)
    after = merged(json.dumps(before), new, login=basic is not None)
    assert merged(after, new, login=basic is not None) == after
    found = json.loads(after)[new.section][NAME]
    return found, set(changes(json.dumps(before), after, new))


def test_additions_made_by_hand_to_the_entry_stay():
    there = {
        "url": "http://old/mcp",
        "disabled": True,
        "autoApprove": ["list_boxes"],
        "headers": {"X-Mine": "1"},
    }
    found, told = updated("cursor", there)
    headers = {"X-Mine": "1", "Authorization": "Basic ${env:OIG_BASIC}"}
    assert found == there | {"url": URL, "headers": headers}
    assert told == {"changed url", "added headers.Authorization"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic mine"},
        {"authorization": "Basic mine"},
        {"X-OIG-Email": "a@b.cz", "X-OIG-Password": "mine", "X": "1"},
    ],
)
@pytest.mark.parametrize("assistant", ["cursor", "claude-code", "vscode"])
def test_a_login_in_the_headers_stays_unless_another_is_given(assistant, headers):
    assert updated(assistant, {"headers": headers})[0]["headers"] == headers
    if assistant == "cursor":
        found, told = updated("cursor", {"headers": headers}, basic="Basic new")
        others = {name: value for name, value in headers.items() if name == "X"}
        assert found["headers"] == others | {"Authorization": "Basic new"}
        assert not any("mine" in each or "new" in each for each in told)


def test_a_login_of_the_bridge_stays_unless_another_is_given():
    there = {"command": "npx", "args": ["old"], "env": {"AUTH_HEADER": "Basic mine", "X": "1"}}
    wanted = entry("claude-desktop", URL, "Basic new").server
    found, told = updated("claude-desktop", there)
    assert found == {"command": "npx", "args": wanted["args"], "env": there["env"]}
    assert told == {"changed args"}
    found, told = updated("claude-desktop", there, basic="Basic new")
    assert found["env"] == {"AUTH_HEADER": "Basic new", "X": "1"}
    assert told == {"changed args", "changed env.AUTH_HEADER"}


def test_headers_among_the_bridges_arguments_stay():
    mine = ["--header", "Authorization: Basic mine", "--header", "X-Mine: 1"]
    there = {"command": "npx", "args": ["-y", "mcp-remote", "http://old/mcp", *mine]}
    found, _ = updated("claude-desktop", there)
    assert found["args"] == [*entry("claude-desktop", URL).server["args"], *mine]
    assert "env" not in found
    wanted = entry("claude-desktop", URL, "Basic new").server
    found, _ = updated("claude-desktop", there, basic="Basic new")
    assert found["args"] == [*wanted["args"], *mine[2:]]
    assert found["env"] == {"AUTH_HEADER": "Basic new"}


def test_a_placeholder_that_was_never_replaced_goes_with_its_header():
    there = dict(entry("claude-desktop", URL, f"Basic {PLACEHOLDER}").server)
    found, told = updated("claude-desktop", there)
    assert found == entry("claude-desktop", URL).server
    assert told == {"changed args", "removed env"}
    found, _ = updated("claude-desktop", there, basic="Basic new")
    assert found == entry("claude-desktop", URL, "Basic new").server


def test_an_entry_without_a_login_is_reported_as_such(client):
    path = client.home / ".config" / "Claude" / "claude_desktop_config.json"
    code, out, _ = client("claude-desktop", "--write", "--json")
    assert code == ExitCode.OK
    assert json.loads(out)["file"] == str(path)
    assert PLACEHOLDER not in path.read_text()
    path.unlink()
    code, out, _ = client("claude-desktop", "--write")
    assert "asks for e-mail and password in the chat" in " ".join(out.split())
    assert "--with-credentials" in out


def test_another_way_to_reach_the_server_is_removed():
    found, told = updated("claude-desktop", {"url": URL, "type": "http", "note": 1})
    assert found == {"note": 1, **entry("claude-desktop", URL).server}
    assert {"removed url", "removed type"} < told
    found, _ = updated("cursor", {"command": "npx", "args": [], "type": "http"})
    assert found == {"type": "http", **entry("cursor", URL).server}


@pytest.mark.parametrize("there", [None, 7, [], "x", {"headers": 3, "args": 3, "env": 3}])
@pytest.mark.parametrize("assistant", FILES)
def test_an_invalid_entry_is_replaced(assistant, there):
    found, _ = updated(assistant, there)
    assert found | entry(assistant, URL).server == found


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
        '{"a": -0}',
        '{"a": "\\ud800"}',
        '{"a": NaN}',
        "[1]",
        "7",
        "{",
        "[" * 100_000,
        '{"mcpServers": []}',
    ],
)
def test_a_file_is_refused_when_rewriting_it_would_lose_data(text):
    with pytest.raises(NotWritten):
        merged(text, entry("cursor", URL))


@pytest.mark.parametrize("depth", [300, 600, 900, 990])
def test_a_file_is_changed_or_refused_however_deep_it_is(depth):
    with suppress(NotWritten):
        merged('{"a": ' + "[" * depth + "]" * depth + "}", entry("cursor", URL))


@pytest.mark.parametrize("text", ["", " \n", "{}", "\ufeff{}"])
def test_an_empty_file_is_filled(text):
    found = merged(text, entry("cursor", URL))
    assert found.startswith("\ufeff") == text.startswith("\ufeff")
    assert json.loads(found.removeprefix("\ufeff"))["mcpServers"][NAME]["url"] == URL


@pytest.mark.parametrize("assistant", FILES)
def test_json_is_the_object_alone(client, assistant):
    code, out, err = client(assistant, "--json")
    assert (code, err) == (ExitCode.OK, f"{NOT_ASKED}\n")
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


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.symlink_to(path), "left as it was"),
        (os.mkfifo, "no ordinary file"),
        (os.mkdir, "no ordinary file"),
        (lambda path: path.touch(0o444), "read-only"),
        (lambda path: path.write_bytes(b"\xff"), "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_changed_is_left_alone(client, make, words):
    path = client.home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    make(path)
    code, _, err = client("cursor", "--write")
    assert code == ExitCode.TOOL
    assert words in err
    assert [one.name for one in path.parent.iterdir()] == ["mcp.json"]


def test_an_update_says_what_it_changed_and_preserves_the_login(client):
    path = client.home / ".cursor" / "mcp.json"
    path.parent.mkdir()
    there = {"url": "http://old/mcp", "headers": {"Authorization": LOGIN.basic}}
    path.write_text(json.dumps({"mcpServers": {NAME: there}}))
    code, out, _ = client("cursor", "--write")
    assert code == ExitCode.OK
    assert "In the entry that was there: changed url\n" in out
    assert json.loads(path.read_text())["mcpServers"][NAME] == there | {"url": URL}


def test_the_stored_login_is_written_only_to_a_file_of_the_user(client):
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


def test_a_missing_stored_login_is_reported(client, tmp_path):
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


@pytest.mark.parametrize(
    ("assistant", "words"),
    [
        ("cursor", "Set OIG_BASIC"),
        ("claude-code", "Set OIG_BASIC"),
        ("vscode", "VS Code asks for the login"),
        ("claude-desktop", "--with-credentials"),
    ],
)
def test_the_remaining_steps_are_listed_below_a_written_file(client, assistant, words):
    code, out, _ = client(assistant, "--write")
    assert code == ExitCode.OK
    assert words in out
    # Also where the file has it already, but for a client that asks in the chat.
    _, again, _ = client(assistant, "--write")
    assert (words in again) is (assistant != "claude-desktop")
