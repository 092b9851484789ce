"""`cachectl rotate-secret`: a new secret in place of the old one, while the server is stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .blocks import Report
from .daemon import settings
from .failures import Refused
from .options import Options
from .prompt import ask, refuse_without_terminal
from .rotation_report import CONSEQUENCES, rotation_report
from .units import text

if TYPE_CHECKING:
    from server.settings.table import Settings

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

    configured = settings()
    if not options.yes:
        with _stopped(configured):
            pass
        refuse_without_terminal(UNASKED)
        sys.stderr.write("\n".join(CONSEQUENCES) + "\n")
        ask("Replace the secret?", "Nothing was replaced.")
    with _stopped(configured):
        try:
            # First, so that nothing is left that the old secret opens if we are interrupted.
            remove(configured.snapshot_file)
            replace_secret(configured.secret_file)
        except ConfigurationError as exc:
            raise Refused(str(exc)) from None
        except OSError as exc:
            raise Refused(
                f"{text(database_path(configured.snapshot_file))} cannot be removed: "
                f"{exc.strerror}. "
                "The secret was not replaced."
            ) from None
        return rotation_report(text(configured.secret_file), _without_connections(configured))


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
def _stopped(configured: Settings) -> Iterator[None]:
    """Keep daemon and workers from starting.

    Raises:
        Refused: One of them runs, or the secret is missing or unusable.
    """
    from server.cache.socket_file import AlreadyRunning, no_daemon  # noqa: PLC0415
    from server.errors import ConfigurationError  # noqa: PLC0415
    from server.keys.rotation import SecretInUse, unused_secret  # noqa: PLC0415

    if configured.cache_url is not None:
        from .shared_storage import SharedStorage  # noqa: PLC0415 - as in shared.py

        with SharedStorage(configured, configured.cache_url) as storage:
            storage.refuse_processes()
    try:
        with unused_secret(configured.secret_file), no_daemon(configured.cache_socket):
            yield
    except (AlreadyRunning, SecretInUse):
        raise Refused(
            "The server runs, and each of its processes would go on with the old secret. Nothing "
            "was replaced. Stop it first: oig-cloud-mcp stop, or systemctl stop where systemd runs "
            "it"
        ) from None
    except ConfigurationError as exc:
        raise Refused(str(exc)) from None
