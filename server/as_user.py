"""How to run a program as another user: for errors of somebody who ran it as the wrong one."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from .settings.places import SYSTEM_STATE

PROGRAMS = {"cachectl": "cachectl", "oig-cloud-mcp": "server.supervision"}
"""Programs that a person types, and what `python3 -m` calls them."""


def user_name(uid: int) -> str:
    """Return a user's name for a person to read; `uid 999` if there is none."""
    name = _name(uid)
    return f"uid {uid}" if name is None else f"{name} (uid {uid})"


def as_user(uid: int, argv: Sequence[str] | None = None) -> str:
    """Say how the same is done as that user, with the command ready for a shell.

    Args:
        uid: Whose rights it takes.
        argv: How this program was started; `sys.argv` unless given.

    Returns:
        A sentence without its end.
    """
    program = typed(sys.argv if argv is None else argv)
    if program is None:
        return "Do this as that user"
    import shutil  # noqa: PLC0415 - it is slow to load, and few need it

    name = _name(uid)
    # 1. Root needs no password for it. runuser takes names only, and is not there on macOS.
    # 2. Everybody else needs sudo, which takes numbers as well.
    if name is not None and os.geteuid() == 0 and shutil.which("runuser") is not None:
        return f"Run it as that user: runuser -u {shlex.quote(name)} -- {program}"
    user = shlex.quote(f"#{uid}" if name is None else name)
    return f"Run it as that user: sudo -u {user} {program}"


def as_owner(path: Path) -> str:
    """Say whose something is that this user may not use, and how the same is done as its owner.

    Args:
        path: A file or folder. Where it cannot be looked at, the nearest folder above it that can
            is what is closed to this user.
    """
    for place in (path, *path.parents):
        try:
            owner = place.lstat().st_uid
        except OSError:
            continue
        return f"{place} belongs to {user_name(owner)}. {as_user(owner)}"
    return f"Do this as the user whose {path} is"


def elsewhere(state: Path, machines: Path = SYSTEM_STATE) -> str:
    """Say that the server of the machine is somebody else's, where none of this user runs.

    Args:
        state: Where a server was looked for.
        machines: Where the state of a server of the whole machine lies.

    Returns:
        A sentence after a space; nothing where there is no such server, or it was looked for.
    """
    try:
        owner = machines.stat().st_uid
    except OSError:
        return ""
    if machines == state or owner == os.geteuid():
        return ""
    return f" The state in {machines} belongs to {user_name(owner)}. {as_user(owner)}."


def typed(argv: Sequence[str]) -> str | None:
    """Return how this program is typed where no PATH leads to it, with its arguments.

    Args:
        argv: As `sys.argv`.

    Returns:
        None for a worker, the daemon and all else that no person types. E-mails are left out:
        an error may end in a log.
    """
    path = Path(argv[0]).absolute()
    arguments = ["EMAIL" if "@" in one else shlex.quote(one) for one in argv[1:]]
    for program, module in PROGRAMS.items():
        started = (*module.split("."), "__main__.py")
        if path.name == program:
            return " ".join([shlex.quote(str(path)), *arguments])
        if path.parts[-len(started) :] == started:
            return " ".join([shlex.quote(sys.executable), "-m", module, *arguments])
    return None


def _name(uid: int) -> str | None:
    import pwd  # noqa: PLC0415 - Windows has none, where cachectl says that it is not for it

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
