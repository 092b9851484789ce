"""Tells whether a running process uses a secret whose file is missing.

A worker that starts while the file is missing must not create another secret. The daemon knows
whether it, or a worker connected to it, has the secret; one of them then restores the file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from ..cache.blocking import BlockingClient, RefusedError
from ..cache.peer_credentials import ForeignUserError
from ..errors import CacheUnavailable, OigError, ProtocolError
from ..keys.secret import make_secret
from ..settings.table import Settings

ANSWER_SECONDS = 2.0
"""Seconds for the daemon's answer."""

PATIENCE_SECONDS = 10.0
"""How long the file is waited for: they look for it every two seconds. Longer than `startsecs` in
supervisord.conf, so that a worker that waits in vain is started again without end."""

ABSENT = (FileNotFoundError, NotADirectoryError, ConnectionRefusedError, ForeignUserError)
"""How a connection fails to a daemon that is not there."""

POLL_SECONDS = 0.1
"""How often it is looked for meanwhile."""


class SecretInUse(OigError):
    """The secret's file is missing, and the running processes that use it do not restore it."""


def maker_of(settings: Settings) -> Callable[[Path], None]:
    """Return what `load_secret` calls where there is no secret, as the daemon or the storage says.

    Args:
        settings: All settings.
    """
    if settings.cache_url is None:
        return make_unless_in_use(settings.cache_socket)
    from ..shared_secret import make_first  # noqa: PLC0415 - it loads redis-py

    return make_first(settings, settings.cache_url)


def make_unless_in_use(socket: Path) -> Callable[[Path], None]:
    """Return what `load_secret` calls to create a secret, unless running processes use one.

    1. No daemon of this user is running: a secret is created.
    2. No process uses one: the same.
    3. A process does: the file is waited for, and `SecretInUse` is raised if it is not restored.
    4. The daemon does not answer, is just stopping, or is of another version: it may use one, as
       3.

    Args:
        socket: The daemon's.
    """

    def make(path: Path) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while _is_in_use(socket):
            if os.path.lexists(path):
                return
            if time.monotonic() > deadline:
                raise SecretInUse(
                    f"The secret {path} is missing, and running processes use it. No other one "
                    "is made. Their logs say why they do not write it back: mend that, or stop the "
                    "whole server to begin with a new one."
                )
            time.sleep(POLL_SECONDS)
        make_secret(path)

    return make


def _is_in_use(socket: Path) -> bool:
    try:
        with BlockingClient(socket, ANSWER_SECONDS) as daemon:
            return bool(daemon.hello("secret").secret_held)
    except CacheUnavailable as exc:
        return not isinstance(exc.__cause__, ABSENT)
    except RefusedError as exc:
        return exc.code in {"shutdown", "version"}
    except ProtocolError:
        pass
    return False
