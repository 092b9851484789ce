"""`cachectl rotate-secret`: a new secret in place of the old one, while the server is stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from .blocks import Report
from .daemon import settings
from .failures import Refused, Unreachable
from .options import Options
from .prompt import ask, refuse_without_terminal
from .rotation_report import consequences, rotation_report
from .units import text

if TYPE_CHECKING:
    from pathlib import Path

    from server.settings.table import Settings

    from .shared_storage import SharedStorage

UNASKED = (
    "rotate-secret asks first and there is no terminal to ask on. "
    "Nothing was replaced; say --yes as well if you mean it."
)


def rotate_secret(options: Options) -> Report:
    """Replace the secret, and remove what was stored under the old one.

    Raises:
        Usage: The environment is wrong.
        Refused: The server runs, the secret cannot be replaced, or the answer was no; or the secret
            was replaced, and the record of connections cannot be used.
    """
    from server.cache.backing import database_path, remove  # noqa: PLC0415 - no other needs these
    from server.errors import ConfigurationError  # noqa: PLC0415
    from server.keys.rotation import replace_secret  # noqa: PLC0415
    from server.keys.secret import make_secret  # noqa: PLC0415

    configured = settings()
    if not options.yes:
        with _stopped(configured):
            pass
        refuse_without_terminal(UNASKED)
        sys.stderr.write("\n".join(consequences(is_shared=_is_shared(configured))) + "\n")
        ask("Replace the secret?", "Nothing was replaced.")
    path = configured.secret_file
    with _stopped(configured) as storage:
        try:
            # First, so that nothing is left that the old secret opens if we are interrupted.
            remove(configured.snapshot_file)
            if storage is not None:
                storage.clear()
            if storage is None or os.path.lexists(path):
                replace_secret(path)
            else:
                make_secret(path)
        except ConfigurationError as exc:
            raise Refused(str(exc)) from None
        except OSError as exc:
            raise Refused(
                f"{text(database_path(configured.snapshot_file))} cannot be removed: "
                f"{exc.strerror}. "
                "The secret was not replaced."
            ) from None
        removed = _without_connections(configured)
        if storage is not None:
            _announce(storage, path)
        return rotation_report(text(path), removed, is_shared=_is_shared(configured))


def _announce(storage: SharedStorage, path: Path) -> None:
    """Have the storage know the new secret: a host with the old file is refused at its start then.

    Raises:
        Refused: The storage is away by now.
    """
    from server.keys.secret import read_secret  # noqa: PLC0415 - few need it

    try:
        storage.set_secret(read_secret(path))
    except Unreachable as exc:
        raise Refused(
            f"The secret was replaced, and what the storage had is deleted. {exc} Start this host "
            "before all others, so that none with the old file is the first, and copy "
            f"{text(path)} to them"
        ) from None


def _is_shared(configured: Settings) -> bool:
    return configured.cache_url is not None


def _without_connections(configured: Settings) -> int:
    """Remove all connections, and return how many it were.

    Last: while the old secret is in place they are good, and nothing is to end for a rotation that
    fails. Under the new one nothing opens their contents, even if we are interrupted here: what is
    left is swept when it has not been used for 60 days, or removed by `connections end --all`.

    Raises:
        Refused: Their record cannot be used.
    """
    from server.errors import GrantsUnavailable  # noqa: PLC0415 - few commands need SQLite
    from server.records.grants import GrantStore  # noqa: PLC0415

    try:
        return GrantStore(configured.grants).forget(None)
    except GrantsUnavailable as exc:
        raise Refused(
            "The secret was replaced and the cache's file removed, and no token is good any more; "
            f"but the connections that they belong to could not be removed: {exc} Or delete "
            f"{text(configured.grants)}"
        ) from None


@contextmanager
def _stopped(configured: Settings) -> Iterator[SharedStorage | None]:
    """Keep daemon and workers of this host from starting; give the shared storage, if one is used.

    Raises:
        Refused: One of them runs, on any host with a shared storage; or the secret is unusable, or
            missing without a shared storage.
        Unreachable: The shared storage is away.
    """
    from server.cache.socket_file import AlreadyRunning, no_daemon  # noqa: PLC0415
    from server.errors import ConfigurationError  # noqa: PLC0415
    from server.keys.rotation import SecretInUse, unused_secret  # noqa: PLC0415

    with ExitStack() as stack:
        storage: SharedStorage | None = None
        if configured.cache_url is not None:
            from .shared_storage import SharedStorage as Storage  # noqa: PLC0415 - as in shared.py

            storage = stack.enter_context(Storage(configured, configured.cache_url))
            stack.enter_context(storage.rotating())
        path = configured.secret_file
        try:
            # With a shared storage a secret may be lost on all hosts, and what it sealed is there.
            if storage is None or os.path.lexists(path):
                stack.enter_context(unused_secret(path))
            stack.enter_context(no_daemon(configured.cache_socket))
        except (AlreadyRunning, SecretInUse):
            raise Refused(
                "The server runs, and each of its processes would go on with the old secret. "
                "Nothing was replaced. Stop it first: oig-cloud-mcp stop, or systemctl stop where "
                "systemd runs it"
            ) from None
        except ConfigurationError as exc:
            raise Refused(str(exc)) from None
        yield storage
