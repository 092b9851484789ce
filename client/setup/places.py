"""Where AI clients look for their servers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath


def file_of(
    assistant: str,
    *,
    system: str,
    home: PurePath,
    folder: PurePath,
    environ: Mapping[str, str],
    package: PurePath | None = None,
) -> PurePath:
    """Return the file of one client.

    Args:
        assistant: Which client.
        system: `linux`, `darwin` or `win32`, as in `sys.platform`.
        home: The person's home.
        folder: The folder of the project that the client works in.
        environ: Where APPDATA and XDG_CONFIG_HOME may be.
        package: The folder of Claude Desktop on Windows, where it is installed as a
            package (MSIX).
    """
    match assistant:
        case "claude-desktop":
            # As a package it does not see %APPDATA%: Windows shows it a folder of its own under
            # that name (https://github.com/anthropics/claude-code/issues/25579).
            settings = (
                _settings(system, home, environ)
                if package is None
                else package / "LocalCache" / "Roaming"
            )
            return settings / "Claude" / "claude_desktop_config.json"
        case "claude-code":
            return folder / ".mcp.json"
        case "vscode":
            return folder / ".vscode" / "mcp.json"
    return home / ".cursor" / "mcp.json"


def _settings(system: str, home: PurePath, environ: Mapping[str, str]) -> PurePath:
    if system == "darwin":
        return home / "Library" / "Application Support"
    if system == "win32":
        given = environ.get("APPDATA", "")
        return type(home)(given) if given else home / "AppData" / "Roaming"
    given = environ.get("XDG_CONFIG_HOME", "")
    return type(home)(given) if given.startswith("/") else home / ".config"
