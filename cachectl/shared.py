"""What all workers share, by the settings: the daemon, or the storage of several hosts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .daemon import Daemon, settings

if TYPE_CHECKING:
    from .shared_storage import SharedStorage

    Shared = Daemon | SharedStorage


def shared(socket: Path | None) -> Shared:
    """Return a client for it, which is not connected yet.

    Args:
        socket: The daemon's, if the command line names one.

    Raises:
        Usage: The socket or the address is wrong.
    """
    address = None if socket is not None else settings().cache_url
    if address is None:
        return Daemon(socket)
    from .shared_storage import SharedStorage  # noqa: PLC0415 - what it imports takes long

    return SharedStorage(settings(), address)
