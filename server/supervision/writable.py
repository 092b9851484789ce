"""Folders and files that supervisord writes: created, or refused before it starts."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ..as_user import as_user, user_name
from ..cache.socket_file import prepare_folder, refuse_unmakeable
from ..errors import ConfigurationError
from .configuration import Folders


def prepare(
    folders: Folders, workers: int, *, simulator: bool = False, only_looks: bool = False
) -> None:
    """Make the folders that supervisord writes into, and look at what it finds there.

    Args:
        folders: Where everything lies.
        workers: How many logs of workers there are.
        simulator: Whether the simulator has one.
        only_looks: Whether nothing is made.

    Raises:
        ConfigurationError: They cannot be made or written to; the text says what to do.
    """
    refuse_foreign(folders.state)
    for folder, variable in ((folders.run, "OIG_STATE_DIR"), (folders.logs, "OIG_LOG_DIR")):
        try:
            if not only_looks:
                folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder == folders.run:
                prepare_folder(folder, tighten=True, only_looks=only_looks)
            elif only_looks:
                refuse_unmakeable(folder)
            else:
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as exc:
            raise ConfigurationError(
                f"The folder {folder} cannot be made: {exc.strerror}. Set {variable} to a folder "
                "of your own."
            ) from None
        is_there = not only_looks or os.access(folder, os.F_OK)
        if is_there and not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigurationError(
                f"The folder {folder} cannot be written to. Run this as the user whose folder it "
                f"is, or set {variable} to one of your own."
            )
    for path in (folders.configuration, folders.pid_file):
        _refuse_unwritable(path, "OIG_STATE_DIR", only_looks=only_looks)
    for path in folders.log_files(workers, simulator=simulator):
        _refuse_unwritable(path, "OIG_LOG_DIR", only_looks=only_looks)
    # supervisord removes whatever lies in the place of its socket, and tries for ever where it
    # cannot: a folder.
    if folders.control.is_dir() and not folders.control.is_symlink():
        raise unusable(folders.control, IsADirectoryError(0, "It is a folder"), "OIG_STATE_DIR")


def _refuse_unwritable(path: Path, variable: str, *, only_looks: bool) -> None:
    """Refuse what is there and cannot be written to, in the ways of supervisord.

    A link that leads to no file yet makes one, as supervisord would, unless this only looks.
    """
    if not os.path.lexists(path):
        return
    if only_looks and not os.access(path, os.F_OK):
        _refuse_unmakeable_target(path, variable)
        return
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        os.close(os.open(path, flags, 0o600))
    except OSError as exc:
        raise unusable(path, exc, variable) from None


def _refuse_unmakeable_target(link: Path, variable: str) -> None:
    folder = link.resolve().parent
    if not folder.is_dir():
        raise unusable(link, FileNotFoundError(0, os.strerror(errno.ENOENT)), variable)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise unusable(link, PermissionError(0, os.strerror(errno.EACCES)), variable)


def unusable(path: Path, exc: OSError, variable: str) -> ConfigurationError:
    """Return the error for a file that cannot be written; `variable` sets its folder."""
    link = f", a link to {path.readlink()}," if path.is_symlink() else ""
    return ConfigurationError(
        f"{path}{link} cannot be written to: {exc.strerror}. Move it out of the way, run this as "
        f"the user whose file it is, or set {variable} to another folder."
    )


def refuse_foreign(state: Path) -> None:
    """Refuse to make files for a server that runs as another user.

    Raises:
        ConfigurationError: The folder of its state is another user's.
    """
    try:
        owner = state.stat().st_uid
    except OSError:
        return  # there is none yet, or the next step says what is wrong with it
    if owner != os.geteuid():
        raise ConfigurationError(
            f"The folder {state} belongs to another user, {user_name(owner)}, and this is "
            f"{user_name(os.geteuid())}. {as_user(owner)}. For a server of your own set "
            "OIG_STATE_DIR to a folder of yours."
        )
