"""What a person reads about configuring one client. Pure; nothing secret is known here."""

from __future__ import annotations

import json
import textwrap

from .entries import NAME, PLACEHOLDER, VARIABLE, added_by_command, deeplink, entry

WIDTH = 78
TITLES = {
    "claude-desktop": "Claude Desktop",
    "claude-code": "Claude Code",
    "vscode": "VS Code",
    "cursor": "Cursor",
}

WHY = {
    "claude-desktop": (
        'This file is for local programs only: Claude Desktop skips entries with a "url". The '
        "program here is mcp-remote, a bridge to the server, which npx of Node.js fetches and "
        "runs. Quit and start Claude Desktop afterwards."
    ),
    "claude-code": (
        "`claude mcp add` is for all your projects; the shell puts the login in, and Claude Code "
        "keeps it in ~/.claude.json. The file is for one project, and names only the variable, "
        "so that it can be shared."
    ),
    "vscode": "VS Code asks for the login when it first needs it, and keeps it encrypted.",
    "cursor": (
        f"Cursor reads the variable {VARIABLE} from where it was started: a shell, not a dock or "
        "menu that does not know the variable."
    ),
}

ONCE = (
    "The login page of the server opens in your browser; the password is typed there and nowhere "
    "else."
)
BY_BROWSER = {
    "claude-desktop": (
        "Quit and start Claude Desktop: the program here is mcp-remote, a bridge to the server, "
        f"which npx of Node.js fetches and runs. {ONCE}"
    ),
    "claude-code": (
        f"Then run `claude mcp login {NAME}`, or type /mcp in Claude Code and choose {NAME}. {ONCE}"
    ),
    "vscode": f"Start the server there (MCP: List Servers). {ONCE}",
    "cursor": f"Then choose Connect beside the server in Cursor's settings. {ONCE}",
}
"""What happens then, where the client logs in with a browser."""
BY_HEADER = "--login header"

UNIX_ASK = "printf 'Password: '; read -rs P; echo"
UNIX_CODE = "printf '%s:%s' user@example.com \"$P\" | base64 | tr -d '\\n'"
UNIX_FORGET = "unset P"
WINDOWS_ASK = "$c = Get-Credential user@example.com"
WINDOWS_CODE = (
    "[Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes(\n"
    "    $c.UserName + ':' + $c.GetNetworkCredential().Password))"
)


def page(assistant: str, url: str, place: str, *, windows: bool, browser: bool = False) -> str:
    """Return the whole page, its lines as they have to be copied.

    Args:
        assistant: Which client.
        url: The server's URL.
        place: The client's file.
        windows: Say it for PowerShell.
        browser: Clients can log in with a browser there: that way comes first.
    """
    if not browser:
        return _with_header(assistant, url, place, windows=windows)
    other = _folded(
        "Or with the login in a header, which needs no browser. Some clients leave the header out "
        "where the server offers a browser login; `oig-client doctor` says more."
    )
    rest = _with_header(assistant, url, place, windows=windows, option=BY_HEADER)
    return f"{_with_browser(assistant, url, place, windows=windows)}\n\n{other}\n\n{rest}"


def _with_browser(assistant: str, url: str, place: str, *, windows: bool) -> str:
    document = json.dumps(entry(assistant, url, browser=True).document, indent=2)
    parts = [f"Put this into {place}:"]
    if assistant == "claude-code":
        command = _indented(added_by_command(url, windows=windows, browser=True))
        parts = ["Run this:", command, f"or put this into {place}:"]
    parts.append(document)
    if assistant == "cursor":
        parts += ["Or open this link, which makes Cursor add it:", deeplink(url, browser=True)]
    parts += [_folded(BY_BROWSER[assistant]), _writes(assistant)]
    return "\n\n".join(parts)


def _with_header(assistant: str, url: str, place: str, *, windows: bool, option: str = "") -> str:
    # 1. Claude Desktop sends no header unless the file has one: a page that has shown the
    #    entry without one goes on with the entry that has one.
    # 2. Other clients name where they take it from, and have it in the entry always.
    filled = f"Basic {PLACEHOLDER}" if assistant == "claude-desktop" else None
    shown = entry(assistant, url, filled if option else None)
    document = json.dumps(shown.document, indent=2, ensure_ascii=False)
    parts = []
    if assistant in {"claude-code", "cursor"}:
        parts.append(_login(assistant, windows=windows))
    if assistant == "claude-code":
        command = _indented(added_by_command(url, windows=windows))
        parts += ["Run this:", command, f"or put this into {place}:"]
    else:
        parts.append(f"Put this into {place}:")
    parts += [document, _folded(WHY[assistant])]
    if assistant == "cursor":
        parts += ["Or open this link, which makes Cursor add it:", deeplink(url)]
    if assistant == "claude-desktop" and not option:
        members = entry(assistant, url, filled).server
        parts += [
            _folded(
                "Claude then opens the server's login page, or where there is none asks for e-mail "
                "and password in the chat. To have them in the file instead, give the entry these "
                "members:"
            ),
            json.dumps({"args": members["args"], "env": members["env"]}, indent=2),
        ]
    if assistant in {"claude-desktop", "vscode"}:
        parts.append(_login(assistant, windows=windows))
    parts.append(_by_itself(assistant, option))
    return "\n\n".join(parts) + "\n"


def after_writing(assistant: str, *, windows: bool, browser: bool = False) -> str:
    """Return what a person still has to do when the client's file was written without a login.

    Args:
        assistant: Which client; none that asks in the chat.
        windows: Say it for PowerShell.
        browser: The client logs in with a browser.
    """
    if browser:
        return _folded(BY_BROWSER[assistant])
    return f"{_login(assistant, windows=windows)}\n\n{_folded(WHY[assistant])}"


def _login(assistant: str, *, windows: bool) -> str:
    ask, code = (WINDOWS_ASK, WINDOWS_CODE) if windows else (UNIX_ASK, UNIX_CODE)
    if assistant in {"claude-code", "cursor"}:
        lines = [ask, f"export {VARIABLE}=$({code})", UNIX_FORGET]
        if windows:
            lines = [ask, f"$env:{VARIABLE} = {code}"]
        return f"Set {VARIABLE}, without a trace in the shell's history:\n\n" + _indented(
            "\n".join(lines)
        )
    what = PLACEHOLDER if assistant == "claude-desktop" else "What VS Code asks for"
    lines = [ask, code] if windows else [ask, code, UNIX_FORGET]
    return f"{what} is what this prints:\n\n" + _indented("\n".join(lines))


def _by_itself(assistant: str, option: str) -> str:
    if assistant in {"claude-desktop", "cursor"}:
        plain = "the above" if assistant == "cursor" else "the entry without a login"
        how = "Without --with-credentials"
        if option and assistant == "cursor":
            how = f"With {option} in its place"
        return _folded(
            f"Or let oig-client do all that: `oig-client login`, then `oig-client config "
            f"{assistant} --write --with-credentials` puts the kept login into the file, which "
            f"only you can read then. {how} the file gets {plain}."
        )
    return _writes(assistant, option)


def _writes(assistant: str, option: str = "") -> str:
    words = " ".join(filter(None, ("oig-client config", assistant, option, "--write")))
    return f"`{words}` writes the file."


def _folded(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _indented(text: str) -> str:
    return textwrap.indent(text, "  ")
