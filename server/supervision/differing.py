"""Which workers differ from the cache daemon, which alone knows all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import OigError

WHY = {
    "secret_differs": "works with another secret than the cache daemon, and refuses all calls",
    "settings_differ": "goes by other settings than the cache daemon; its log says why, and "
    "cachectl reload has all read theirs again",
    "changes_differ": "is of another version than the cache daemon: no box is changed until all "
    "are of one",
}
"""What the daemon says of a worker, by its key in the list `versions` of docs/protocol.md."""


class Differing(NamedTuple):
    """A worker that does not go with the daemon.

    Attributes:
        name: What it calls itself, such as `mcp-0`; None if it does not say.
        pid: Its process id; None likewise.
        secret: Whether the difference is that of secrets, so that it refuses all calls.
        why: What differs, in words.
    """

    name: str | None
    pid: int | None
    secret: bool
    why: tuple[str, ...]

    def __str__(self) -> str:
        who = "A worker" if self.name is None else f"{self.name}, process {self.pid},"
        return f"{who} {', and it '.join(self.why)}."


def differing(cache_socket: Path) -> list[Differing]:
    """Ask the daemon which workers differ from it.

    1. It answers: what it says of each.
    2. It cannot be asked: nothing. /readyz says that it is not reached.
    3. It is of a version that says nothing of each worker: nothing, as before.
    """
    from ..cache.blocking import BlockingClient  # noqa: PLC0415 - may not be installed until later

    try:
        with BlockingClient(cache_socket) as daemon:
            answer = daemon.call("stats", None)
    except OigError:
        return []
    match answer:
        case ({"versions": [*workers]}, *_):
            return [one for worker in workers if (one := _read(worker)) is not None]
    return []


def _read(worker: object) -> Differing | None:
    if not isinstance(worker, Mapping):
        return None
    why = tuple(words for key, words in WHY.items() if worker.get(key))
    if not why:
        return None
    name, pid = worker.get("name"), worker.get("pid")
    return Differing(
        name if isinstance(name, str) else None,
        pid if isinstance(pid, int) else None,
        bool(worker.get("secret_differs")),
        why,
    )
