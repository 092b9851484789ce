"""The system that is measured: simulated portal, cache daemon, workers on one shared socket."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.cache.blocking import BlockingClient
from server.errors import CacheUnavailable
from server.keys.secret import make_secret

from .calls import Account
from .processes import listening, port_of, running, wait_until

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Served:
    """Something that answers tool calls over HTTP.

    Args:
        port: Where.
        pids: All its processes that take part in an answer.
        worker_pids: Those of them that speak HTTP, which come first in `pids`.
        session: Of the protocol, which requests have to name; None where there are none.
    """

    port: int
    pids: tuple[int, ...]
    worker_pids: tuple[int, ...]
    session: str | None = None


@dataclass(frozen=True, slots=True)
class Portal:
    """The simulated portal.

    Args:
        url: Its address, with a slash at the end.
    """

    url: str

    def add(self, account: Account) -> None:
        """Add an account."""
        body = {"email": account.email, "password": account.password}
        self._send("POST", "_admin/accounts", body)

    def slow(self, seconds: float) -> None:
        """Let all logins from now on take this long."""
        self._send("POST", "_admin/faults", {"kind": "slow", "latency": seconds})

    def logins(self, email: str) -> dict[str, int]:
        """Return the counters of an account that has logged in."""
        counts: dict[str, int] = self._send("GET", "_admin/state")["logins"]["accounts"][email]
        return counts

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        # No proxy of the environment: it is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return json.load(answer)


@dataclass(frozen=True, slots=True)
class System:
    """The whole of it.

    Args:
        served: What answers over HTTP, the cache daemon's process included.
        portal: What it logs in to.
        cache_socket: Of the cache daemon, if there is one.
    """

    served: Served
    portal: Portal
    cache_socket: Path = Path(os.devnull)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder for sockets and files; short, for the path of a Unix socket is."""
    with tempfile.TemporaryDirectory(prefix="oigb") as folder:
        yield Path(folder)


@contextlib.contextmanager
def portal() -> Iterator[Portal]:
    """Run the simulated portal."""
    command = [sys.executable, "-m", "simulator", "--port", "0"]
    with running(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        if not url:
            raise RuntimeError("the simulated portal did not start")
        yield Portal(url)


@contextlib.contextmanager
def daemon(run_dir: Path, **settings: str) -> Iterator[int]:
    """Run the cache daemon; gives its process id.

    Args:
        run_dir: Its folder; the socket is `cache.sock` in it.
        settings: Further variables.
    """
    env = {"OIG_RUN_DIR": str(run_dir), **settings}
    with running([sys.executable, "-m", "server.cache"], env=env) as process:
        wait_until(lambda: answers(run_dir / "cache.sock"), "the cache daemon")
        yield process.pid


def answers(path: Path) -> bool:
    """Whether a cache daemon answers at a socket."""
    try:
        with BlockingClient(path, timeout=1.0) as client:
            client.hello("benchmarks")
    except CacheUnavailable:
        return False
    return True


@contextlib.contextmanager
def workers(
    module: Sequence[str], ready: Path, env: Mapping[str, str], count: int
) -> Iterator[Served]:
    """Run workers on one listening socket, each given it as descriptor 0, as supervisord does.

    Args:
        module: Run with `python -m`, and its arguments.
        ready: Folder into which each writes a file of its own name when it serves.
        env: Their variables.
        count: How many.
    """
    with contextlib.ExitStack() as stack:
        listener: socket.socket = stack.enter_context(listening())
        names = [f"worker-{number}" for number in range(count)]
        processes = [
            stack.enter_context(
                running(
                    [sys.executable, "-m", *module],
                    # As supervisord.conf has it.
                    env={**env, "SUPERVISOR_PROCESS_NAME": name, "PYTHONNODEBUGRANGES": "1"},
                    stdin=listener,
                )
            )
            for name in names
        ]
        for process in processes:
            # All are sent SIGTERM before the first is waited for: a worker takes its time.
            stack.callback(process.terminate)
        for name in names:
            wait_until((ready / name).exists, f"{module[0]} {name}")
        pids = tuple(process.pid for process in processes)
        yield Served(port_of(listener), pids, pids)


@contextlib.contextmanager
def system(count: int = WORKERS, /, **settings: str) -> Iterator[System]:
    """Run the whole of it, without supervisord.

    Args:
        count: How many workers.
        settings: Further variables.
    """
    with scratch() as run_dir, portal() as simulated:
        env = {
            "OIG_RUN_DIR": str(run_dir),
            "OIG_GRANTS": str(run_dir / "grants.db"),
            "OIG_PORTAL_URL": simulated.url,
            **settings,
        }
        with (
            daemon(run_dir, **env) as daemon_pid,
            workers(["server"], run_dir / "ready", env, count) as served,
        ):
            everybody = Served(served.port, (*served.pids, daemon_pid), served.worker_pids)
            yield System(everybody, simulated, run_dir / "cache.sock")


@contextlib.contextmanager
def host(url: str, storage_pid: int, count: int = WORKERS, **settings: str) -> Iterator[System]:
    """Run the same on a shared storage, without a daemon.

    Args:
        url: Of the storage.
        storage_pid: Its process, which takes part in an answer.
        count: How many workers.
        settings: Further variables.
    """
    with scratch() as run_dir, portal() as simulated:
        make_secret(run_dir / "secret")
        env = {
            "OIG_RUN_DIR": str(run_dir),
            "OIG_GRANTS": str(run_dir / "grants.db"),
            "OIG_PORTAL_URL": simulated.url,
            "OIG_CACHE_URL": url,
            "OIG_LOGIN": "chat",
            **settings,
        }
        with workers(["server"], run_dir / "ready", env, count) as served:
            pids = (*served.pids, storage_pid)
            yield System(Served(served.port, pids, served.worker_pids), simulated)
