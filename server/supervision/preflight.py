"""Checks settings, and the files that they name, before anything is started.

    python -m server.supervision.preflight

Exit codes: 0 nothing is wrong, 64 something is, and one line on standard error says what.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..cache.socket_file import prepare_folder
from ..errors import ConfigurationError
from ..keys.secret import SecretMissing, load_secret, make_none
from ..settings.given import Found
from ..settings.loading import find
from ..settings.named_files import refuse_special
from ..settings.other_variables import SUPERVISORD_CONF
from ..settings.places import ROOT
from ..settings.table import Settings
from ..version import program_version
from .configuration import DAEMON, NO_DAEMON, Folders, Layout, folders_in, shipped

if TYPE_CHECKING:
    from ..shared_storage import Look

EXIT_CONFIGURATION = 64

OF_DAEMON = {
    "OIG_CACHE_SOCKET": "no cache daemon runs",
    "OIG_SNAPSHOT_FILE": "sessions are on that server, and an old file is not read",
    "OIG_MAX_SESSIONS": "that server has all sessions until they expire, within its maxmemory",
}
"""Settings of the cache daemon alone, each with why it has no effect on a shared storage."""


def disagreement(found: Found, settings: Settings, layout: Layout, folders: Folders) -> str | None:
    """Return what a setting says other than the configuration; None if they agree.

    supervisord knows no defaults for variables, so `supervisord -c supervisord.conf` listens where
    that file says, whatever OIG_PORT is. A setting that would be passed over in silence stops the
    start.

    Args:
        found: What was given. Of a setting that nobody gave the configuration decides.
        settings: All settings.
        layout: Host, port and number of workers that the configuration has.
        folders: Where it has its files.
    """
    host = "127.0.0.1" if layout.host == "localhost" else layout.host
    for variable, wanted, has in (
        ("OIG_HOST", settings.host, host),
        ("OIG_PORT", settings.port, layout.port),
        ("OIG_WORKERS", settings.workers, layout.workers),
        ("OIG_STATE_DIR", settings.state_dir.resolve(), folders.state.resolve()),
        ("OIG_LOG_DIR", settings.log_dir.resolve(), folders.logs.resolve()),
    ):
        if variable in found.values and wanted != has:
            return (
                f"{variable} is {wanted} ({found.origins[variable]}), and supervisord.conf says "
                f"{has}. Start with oig-cloud-mcp serve, which goes by the settings, or write the "
                "same into both."
            )
    # A daemon that nobody asks would look like the one place of all sessions and locks.
    if layout.daemon and settings.cache_url is not None:
        return (
            "OIG_CACHE_URL is set, with which no cache daemon runs, and supervisord.conf has one. "
            f"Start with oig-cloud-mcp serve, or remove [{DAEMON}] from supervisord.conf."
        )
    return None if layout.daemon or settings.cache_url is not None else NO_DAEMON


def unused(found: Found, settings: Settings) -> Iterator[str]:
    """Give a warning for each setting that has no effect, as a storage is in the daemon's place."""
    if settings.cache_url is None:
        return
    for variable, why in OF_DAEMON.items():
        if variable in found.values:
            yield f"{variable} ({found.origins[variable]}) has no effect with OIG_CACHE_URL: {why}."


def check_agreement(
    environ: Mapping[str, str],
    found: Found,
    settings: Settings,
    *,
    listener: socket.socket | None = None,
    workers: int | None = None,
) -> None:
    """Return when supervisord runs what the settings say, or when it does not run this process.

    Args:
        environ: Usually `os.environ`.
        found: What was given.
        settings: All settings.
        listener: A worker's socket, which says where it really listens; None for supervisord.conf.
        workers: Number of workers that there really are, likewise.

    Raises:
        ConfigurationError: It runs something else; the text says what.
    """
    # A configuration that was made of the settings is what they said when everything was started.
    if "SUPERVISOR_ENABLED" not in environ or environ.get(SUPERVISORD_CONF):
        return
    source = shipped(ROOT)
    layout = Layout.read(source)
    if listener is not None and listener.family == socket.AF_INET:
        host, port = listener.getsockname()
        layout = replace(layout, host=host, port=port)
    if workers is not None:
        layout = replace(layout, workers=workers)
    wrong = disagreement(found, settings, layout, folders_in(source, ROOT))
    if wrong is not None:
        raise ConfigurationError(wrong)


def check(settings: Settings, *, only_looks: bool = False) -> Look | None:
    """Look at all that daemon and workers look at when they start.

    As they do, it makes the folder and the secret if there are none yet; the secret not while
    running processes use one, of this host or of another on the shared storage.

    Args:
        settings: All settings.
        only_looks: Whether it makes nothing, and changes nothing on a shared storage.

    Returns:
        What was seen of the shared storage, which may be away: they start without it. None if there
        is none.

    Raises:
        ConfigurationError: They would not start; the text says why and what to do.
    """
    refuse_special(settings)
    folder = settings.cache_socket.parent
    try:
        tighten = settings.run_dir_is_ours and folder == settings.run_dir
        prepare_folder(folder, tighten=tighten, only_looks=only_looks)
    except OSError as exc:
        raise ConfigurationError(f"The folder {folder} cannot be made: {exc.strerror}.") from None
    from ..auth.missing_secret import SecretInUse, maker_of  # noqa: PLC0415 - as below
    from ..portal.client import PortalClient  # noqa: PLC0415 - may not be installed until later
    from ..tls.key_pair import KeyPair, load  # noqa: PLC0415 - as above

    if settings.cache_url is not None:
        from ..shared_storage import refuse_records  # noqa: PLC0415 - as below

        refuse_records(settings)
    with contextlib.suppress(SecretInUse, SecretMissing):  # no setting and no file is wrong
        load_secret(settings.secret_file, make_none if only_looks else maker_of(settings))
    pair = KeyPair.of(settings)
    if pair is not None:
        load(pair)

    PortalClient.for_settings(settings, version=program_version())
    from ..shared_secret import look_at_storage  # noqa: PLC0415 - as above

    return look_at_storage(settings, only_looks=only_looks)


def main() -> int:
    """Check the settings of this process; return the exit code."""
    try:
        found = find(os.environ)
        settings = found.settings(os.environ)
        check_agreement(os.environ, found, settings)
        check(settings)
    except ConfigurationError as exc:
        sys.stderr.write(f"{exc}\n")
        return EXIT_CONFIGURATION
    return 0


if __name__ == "__main__":
    sys.exit(main())
