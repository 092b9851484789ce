"""Where the client stores what it remembers from one run to the next."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from .home import home


def state_folder(environ: Mapping[str, str], system: str = sys.platform) -> Path:
    """Return the folder; it need not be there.

    Args:
        environ: Where XDG_STATE_HOME or LOCALAPPDATA may be.
        system: As `sys.platform`.

    Raises:
        UsageFailure: The person's home is not known.
    """
    # 1. On Windows below the person's profile, in the half that stays on this machine.
    # 2. Elsewhere by the XDG rules, which take no relative path.
    base = (
        local_data(environ)
        if system == "win32"
        else _given(environ, "XDG_STATE_HOME") or home() / ".local" / "state"
    )
    return base / "oig-client"


def local_data(environ: Mapping[str, str]) -> Path:
    """Return the folder of Windows for data of programs on this machine.

    Raises:
        UsageFailure: The person's home is not known.
    """
    return _given(environ, "LOCALAPPDATA") or home() / "AppData" / "Local"


def _given(environ: Mapping[str, str], name: str) -> Path | None:
    path = Path(environ.get(name, ""))
    return path if path.is_absolute() else None
