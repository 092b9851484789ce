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
) -> PurePath:
    """Return the file of one client.

    Args:
        assistant: Which client.
        system: `linux`, `darwin` or `win32`, as in `sys.platform`.
        home: The person's home.
        folder: The folder of the project that the client works in.
        environ: Where APPDATA and XDG_CONFIG_HOME may be.
    """
    match assistant:
        case "claude-desktop":
            return _settings(system, home, environ) / "Claude" / "claude_desktop_config.json"
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
