"""Whether the settings say what supervisord's configuration says.

supervisord knows no defaults for variables, so `supervisord -c supervisord.conf` listens where that
file says, whatever OIG_PORT is. A setting that would be passed over in silence stops the start.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import replace

from ..errors import ConfigurationError
from ..settings.given import Found
from ..settings.other_variables import SUPERVISORD_CONF
from ..settings.places import ROOT
from ..settings.table import Settings
from .configuration import Folders, Layout, folders_in, shipped


def disagreement(found: Found, settings: Settings, layout: Layout, folders: Folders) -> str | None:
    """Return what a setting says other than the configuration; None if they agree.

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
    return None


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
