"""Workers: whether one serves, whether any remains when one stops, which differ from the rest.

supervisord knows which run. The cache daemon, or the shared storage, knows their settings and
secrets.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ..errors import ConfigurationError, OigError
from ..pid_file import read_pid
from ..settings.table import Settings
from .supervisor_rpc import Process, Supervisord, SupervisordStopping

if TYPE_CHECKING:
    from ..shared_storage import Look

UNMARKED_SECONDS = 10
"""How long a worker must have run to count as ready where no file can say that it is. Three are
usual, and supervisord calls it running after five."""

GONE = frozenset({"STOPPING", "STOPPED", "FATAL"})
"""States of processes that supervisord does not start again by itself. One that has just died is
`EXITED` or in `BACKOFF`, and comes back."""

OTHER = "goes by other settings"

WHY = {
    "secret_differs": "works with another secret than {0}, and refuses all calls",
    "settings_differ": f"{OTHER} than {{1}}; its log says why, and "
    "cachectl reload has all read theirs again",
    "changes_differ": "is of another version than {2}: no box is changed until all are of one",
}
"""What is said of a worker, by its key in the list `versions` of docs/protocol.md."""

DAEMON = ("the cache daemon",) * 3
HOSTS = "all others on the shared storage", "most workers of this host", "this program"
"""With whom a worker is compared: for its secret, settings and version."""


def is_ready(worker: Process, ready_folder: Path) -> bool:
    """Whether a worker serves requests.

    1. Its process id is in its file: it does.
    2. No id or another one is there, and the folder can be written to: it does not yet.
    3. The same, and nothing can be written there, as on a full disk or a read-only one, where the
       file of an earlier process stays as well: one that supervisord calls running counts as ready
       after a while. A file that nobody needs for serving must not stop the server from starting.

    Args:
        worker: As supervisord sees it now.
        ready_folder: `ready` in the folder `OIG_RUN_DIR`.
    """
    if worker.pid <= 0:
        return False
    if read_pid(ready_folder / worker.name) == worker.pid:
        return True
    return (
        worker.state == "RUNNING"
        and worker.age >= UNMARKED_SECONDS
        and why_unwritable(ready_folder) is not None
    )


def why_unwritable(ready_folder: Path) -> str | None:
    """Return why no worker can say that it is ready; None if it can."""
    try:
        ready_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=ready_folder) as probe:
            probe.write(b"1\n")
            probe.flush()
    except OSError as exc:
        return exc.strerror or type(exc).__name__
    return None


class Workers:
    """The workers of a program, the asking one included.

    Args:
        supervisord: Runs them.
        group: Name of their program.
    """

    def __init__(self, supervisord: Supervisord, group: str) -> None:
        self._supervisord = supervisord
        self._group = group

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self | None:
        """Read what supervisord passes to its processes; None for a process without it."""
        url = environ.get("SUPERVISOR_SERVER_URL", "")
        group = environ.get("SUPERVISOR_GROUP_NAME", "")
        if not (url.startswith("unix://") and group):
            return None
        return cls(Supervisord(Path(url.removeprefix("unix://"))), group)

    def are_gone(self) -> bool:
        """Whether no worker serves, or will in a moment.

        The asking one is stopping. supervisord starts it again, and so calls it no `STOPPING`, when
        somebody else gave it the signal.

        Raises:
            SupervisordError: supervisord does not say.
        """
        try:
            workers = self._supervisord.processes(self._group)
        except SupervisordStopping:
            return True
        return all(worker.state in GONE for worker in workers)


class Differing(NamedTuple):
    """A worker that does not go with the others.

    Attributes:
        name: What it calls itself, such as `mcp-0`; None if it does not say.
        pid: Its process id; None likewise.
        host: Where it runs, if workers of several hosts are compared.
        secret: Whether the difference is that of secrets, so that it refuses all calls.
        unready: Whether /readyz says of it that it is not ready.
        why: What differs, in words.
    """

    name: str | None
    pid: int | None
    host: str | None
    secret: bool
    unready: bool
    why: tuple[str, ...]

    def __str__(self) -> str:
        place = "" if self.host is None else f" on {self.host}"
        who = "A worker" if self.name is None else f"{self.name}{place}, process {self.pid},"
        return f"{who} {', and it '.join(self.why)}."


def differing(settings: Settings, seen: Look | None = None) -> list[Differing]:
    """Ask the daemon which workers differ, or find them in what was seen of the shared storage.

    1. It answers: what it says of each.
    2. It cannot be asked: nothing. /readyz says that it is not reached.
    3. It is of a version that says nothing of each worker: nothing, as before.
    """
    if settings.cache_url is not None:
        from ..cache.worker_list import of_reports  # noqa: PLC0415

        reports = () if seen is None else seen.reports
        listed: Any = of_reports(reports, socket.gethostname())
        workers, others = listed["versions"], HOSTS
    else:
        workers, others = _of_daemon(settings.cache_socket), DAEMON
    return [one for worker in workers if (one := _read(worker, others)) is not None]


def seen_of_storage(settings: Settings) -> tuple[Look | None, str | None]:
    """Return what a look at the shared storage shows, and a sentence about it; None without one."""
    if settings.cache_url is None:
        return None, None
    from ..shared_storage import Look, look  # noqa: PLC0415 - it loads redis-py
    from ..state.storage import StorageAway  # noqa: PLC0415

    try:
        seen = look(settings, settings.cache_url)
    except StorageAway as exc:
        seen = Look.of_away(settings.cache_url, exc)
    except ConfigurationError as exc:
        return None, str(exc)
    return seen, str(seen)


def _of_daemon(cache_socket: Path) -> Sequence[object]:
    from ..cache.blocking import BlockingClient  # noqa: PLC0415 - may not be installed until later

    try:
        with BlockingClient(cache_socket) as daemon:
            answer = daemon.call("stats", None)
    except OigError:
        return []
    match answer:
        case ({"versions": [*workers]}, *_):
            return workers
    return []


def _read(worker: object, others: Sequence[str]) -> Differing | None:
    if not isinstance(worker, Mapping):
        return None
    why = tuple(words.format(*others) for key, words in WHY.items() if worker.get(key))
    if not why:
        return None
    settings = worker.get("differing")
    if isinstance(settings, list) and settings:
        why = tuple(one.replace(OTHER, f"{OTHER} ({', '.join(settings)})") for one in why)
    name, pid, host = worker.get("name"), worker.get("pid"), worker.get("host")
    return Differing(
        name if isinstance(name, str) else None,
        pid if isinstance(pid, int) else None,
        host if isinstance(host, str) else None,
        bool(worker.get("secret_differs")),
        # The others on a shared storage lead to no setting, so nobody is taken away for one.
        bool(worker.get("secret_differs"))
        or (others is DAEMON and bool(worker.get("settings_differ"))),
        why,
    )
