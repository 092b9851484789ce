"""The default paths of state and logs.

Pure in `choose`; `usual` looks at the machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
"""The folder with the package: that of a checkout, or site-packages."""

NAME = "oig-cloud-mcp"
"""Name of our folders among those of other programs."""


SYSTEM_STATE = Path("/var/lib") / NAME
"""State of a server that was installed for the whole machine."""


@dataclass(frozen=True, slots=True)
class Places:
    """Two folders.

    Args:
        state: Of everything that outlives a process; `run` and the journal lie in it.
        log: Of all logs.
    """

    state: Path
    log: Path


def choose(
    *,
    root: Path,
    is_checkout: bool,
    var_is_used: bool,
    var_is_writable: bool,
    is_superuser: bool,
    state_home: Path | None,
) -> Places:
    """Return the places for a situation.

    Args:
        root: The folder with the package.
        is_checkout: Whether that is a checkout and no installation.
        var_is_used: Whether an earlier start has left something in `var` below it.
        var_is_writable: Whether this user can write there, or make it.
        is_superuser: Whether this user is root.
        state_home: The user's folder for the state of programs; None if there is no such folder.

    Raises:
        ConfigurationError: The user has no folder for them.
    """
    # 1. What is there stays in use: an upgrade must not lose a journal, nor may
    #    cachectl say that no server runs, when it runs as another user.
    # 2. In a checkout everything lies together, where this user can write.
    # 3. Installed, or a checkout of somebody else: where the system has such files. The
    #    folder of the program may be read-only, and the next upgrade may remove it.
    if var_is_used or (is_checkout and var_is_writable):
        state = root / "var"
        return Places(state, state / "log")
    if is_superuser:
        return Places(SYSTEM_STATE, Path("/var/log") / NAME)
    if state_home is None:
        raise ConfigurationError(
            "There is no place for state and logs: this user has no home folder. Set OIG_STATE_DIR."
        )
    state = state_home / NAME
    return Places(state, state / "log")


def user_folder(environ: Mapping[str, str], variable: str, below_home: str) -> Path | None:
    """Return a folder of the XDG Base Directory Specification; None without a home.

    Args:
        environ: Usually `os.environ`.
        variable: Such as `XDG_STATE_HOME`. Per the specification, a relative path counts as none.
        below_home: Where it is without the variable, such as `.local/state`.
    """
    named = Path(environ.get(variable, ""))
    if named.is_absolute():
        return named
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises
    return Path(home) / below_home if Path(home).is_absolute() else None


def usual(environ: Mapping[str, str], root: Path = ROOT) -> Places:
    """Return the places for this machine, user and installation.

    Args:
        environ: Usually `os.environ`.
        root: The folder with the package.

    Raises:
        ConfigurationError: As for `choose`.
    """
    var = root / "var"
    return choose(
        root=root,
        # The second file as well: some packages leave a pyproject.toml in site-packages.
        is_checkout=all((root / name).exists() for name in ("pyproject.toml", "supervisord.conf")),
        var_is_used=_is_used(var / "run"),
        var_is_writable=all(
            os.access(folder, os.W_OK | os.X_OK)
            for folder in (var, var / "run", var / "log")
            if folder.exists()
        )
        and os.access(var if var.exists() else root, os.W_OK | os.X_OK),
        is_superuser=os.geteuid() == 0,
        state_home=user_folder(environ, "XDG_STATE_HOME", ".local/state"),
    )


def _is_used(run: Path) -> bool:
    """Say whether there is something in the folder beside the file by which git has it."""
    try:
        return any(name != ".gitignore" for name in os.listdir(run))  # noqa: PTH208 - no paths
    except PermissionError:
        return True  # closed to us (0700): somebody else's server uses it
    except OSError:
        return False
