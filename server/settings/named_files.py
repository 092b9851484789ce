"""Checks the files that settings name: no two settings share one, and written ones are writable."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import ConfigurationError
from .table import Settings


def refuse_shared(settings: Settings, read: dict[str, Path]) -> None:
    """Return when nothing that the server writes is a file with another meaning as well.

    Two settings with one file destroy it: the secret would be set aside as a broken one.

    Args:
        settings: All settings.
        read: Files that are only read, by the setting that names them.

    Raises:
        ConfigurationError: Two settings name one file; the text names both.
    """
    # 1. Two files that are only read may be one, and two folders too.
    # 2. A written file is neither another one, nor a folder. A link counts as what it leads to.
    # 3. The null device has nothing that could be destroyed.
    holders = {os.path.realpath(path): name for name, path in read.items()}
    for name, path in (
        ("OIG_STATE_DIR", settings.state_dir),
        ("OIG_LOG_DIR", settings.log_dir),
        ("OIG_RUN_DIR", settings.run_dir),
    ):
        holders[os.path.realpath(path)] = name
    for name, path in _written(settings):
        place = os.path.realpath(path)
        other = holders.setdefault(place, name)
        if other != name and place != os.devnull:
            raise ConfigurationError(
                f"{other} and {name} lead to one file, {path}. Each must have one of its own."
            )


def refuse_special(settings: Settings) -> None:
    """Return when records, snapshot and log of logins are regular files, or not there yet.

    Raises:
        ConfigurationError: One is a folder, a pipe, a device or the like.
    """
    for name, path in (
        ("OIG_SNAPSHOT_FILE", settings.snapshot_file),
        ("OIG_AUTH_LOG", settings.auth_log),
        ("OIG_JOURNAL", settings.journal),
        ("OIG_GRANTS", settings.grants),
    ):
        try:
            mode = path.stat().st_mode
        except OSError:
            continue  # it is made when it is needed, or its folder is what is wrong
        if not stat.S_ISREG(mode) and (name, path) != ("OIG_AUTH_LOG", Path(os.devnull)):
            raise ConfigurationError(
                f"{name}: {path} is no regular file. Move it away, or name another."
            )


def _written(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Give what the server writes, with what it makes beside it under a fixed name."""
    run = settings.state_dir / "run"
    for name in ("supervisor.sock", "supervisord.pid", "oig-cloud-mcp.conf"):
        yield f"supervisord ({name} in OIG_STATE_DIR)", run / name
    for name, path, ends in (
        ("OIG_CACHE_SOCKET", settings.cache_socket, (".lock",)),
        ("OIG_SECRET_FILE", settings.secret_file, ()),
        ("OIG_SNAPSHOT_FILE", settings.snapshot_file, (".new", ".bad", ".outdated")),
        (
            "the sessions (sessions.db beside OIG_SNAPSHOT_FILE)",
            settings.snapshot_file.with_name("sessions.db"),
            ("-wal", ".bad"),
        ),
        ("OIG_AUTH_LOG", settings.auth_log, ()),
        ("OIG_JOURNAL", settings.journal, ("-wal", "-shm", "-journal")),
        ("OIG_GRANTS", settings.grants, ("-wal", "-shm", "-journal")),
    ):
        yield name, path
        for end in ends:
            yield name, path.with_name(path.name + end)
