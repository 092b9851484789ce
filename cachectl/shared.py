"""What all workers share, as the settings say: the daemon, or a storage that several hosts use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .daemon import Daemon, settings

if TYPE_CHECKING:
    from .shared_storage import SharedStorage

    Shared = Daemon | SharedStorage


def shared(socket: Path | None) -> Shared:
    """Return the way to it; nothing is connected yet.

    Args:
        socket: The daemon's, if the command line names one.

    Raises:
        Usage: One of the places is wrong.
    """
    address = None if socket is not None else settings().cache_url
    if address is None:
        return Daemon(socket)
    from .shared_storage import SharedStorage  # noqa: PLC0415 - what it imports takes long

    return SharedStorage(settings(), address)
