"""Two groups, each as on a host of its own, which share one storage behind Caddy.

    with deployed_storage() as storage, two_groups(storage.url) as groups:
        with groups.front.client() as caller:
            ...

A group is everything that `oig-cloud-mcp serve` starts, in a folder and on a port of its own. The
storage is a primary, its replica and three Sentinels. All of them, and Caddy, run with the files of
docs/deploy, in which only addresses, ports and paths are others here.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .front_proxies import CADDY, DEPLOY, NAME, Front, changed, running_caddy
from .name_server import running_name_server
from .portal_simulator import RunningPortal, running_portal
from .system import (
    RunningSystem,
    alive,
    clean_environment,
    copy_project,
    family,
    free_port,
    temporary_folder,
)
from .valkey_servers import Sentinel, Server, needed
from .waiting import PATIENCE, wait_until

T = TypeVar("T")

HOSTS = "127.0.0.1", "127.0.0.2"
"""Addresses of this machine that stand for two hosts."""

WORKERS = 2
"""Of each group."""

LOGINS_PER_SECOND, LOGIN_BURST = 5, 10
LIVE_TTL = 2
"""Settings of the groups: with a short life of answers the portal is asked all the time."""


class Group(RunningSystem):
    """What one host runs."""

    serving: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self.serving is not None and self.serving.poll() is None

    def start(self) -> None:
        """Start it; see `wait_ready`."""
        with (self.log_dir / "terminal.log").open("ab") as terminal:
            self.serving = subprocess.Popen(
                [sys.executable, "-m", "server.supervision", "serve"],
                cwd=self.project,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=terminal,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Stop it as systemd does, which signals its first process alone."""
        assert self.serving is not None
        self.serving.terminate()
        self.serving.wait(PATIENCE)

    def kill(self) -> None:
        """End all of its processes at once, as a power cut does, if they run."""
        if self.serving is not None and self.is_running:
            everybody = family(self.serving.pid)
            for process in everybody:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self.serving.wait(PATIENCE)
            wait_until("all are gone", lambda: not alive(everybody))

    def of_each(self, ask: Callable[[], T]) -> list[T]:
        """Return what comes of a call to each worker; the others stand still meanwhile."""
        pids = [worker.pid for worker in self.control.processes("mcp")]
        answers = []
        for pid in pids:
            others = [psutil.Process(other) for other in pids if other != pid]
            try:
                for process in others:
                    process.suspend()
                wait_until("they stand still", lambda of=others: all(map(_stands, of)))
                answers.append(ask())
            finally:
                for process in others:
                    process.resume()
        return answers

    def logs_of_workers(self) -> list[str]:
        return [self.log(f"mcp-{number}") for number in range(self.workers)]

    def run_as(self, version: str) -> None:
        """Put a program that calls itself another version in place of the one in its folder."""
        with (self.project / "server" / "version.py").open("a") as file:
            file.write(f'\n\ndef program_version():\n    return "{version}"\n')


def _stands(process: psutil.Process) -> bool:
    return bool(process.status() == psutil.STATUS_STOPPED)


@dataclass
class Groups:
    """Two of them.

    Attributes:
        both: The groups.
        front: Caddy.
        portal: What all of them ask.
    """

    both: tuple[Group, Group]
    front: Front
    portal: RunningPortal

    def wait_ready(self) -> None:
        for group in self.both:
            group.wait_ready()


def _prepared(folder: Path, host: str, shared: dict[str, str]) -> Group:
    folder.mkdir()
    environ = clean_environment(OIG_HOST=host, OIG_WORKERS=str(WORKERS), **shared)
    port = int(environ["OIG_PORT"])
    return Group(copy_project(folder), port, WORKERS, environ, host)


@contextlib.contextmanager
def two_groups(url: str) -> Iterator[Groups]:
    """Run two groups over the storage at an address.

    Args:
        url: As `OIG_CACHE_URL` takes it.
    """
    if CADDY is None:
        pytest.skip("caddy is missing: install the Debian package caddy")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        portal = stack.enter_context(running_portal())
        port = free_port()
        for name, content in (("secret", secrets.token_hex(32)), ("address", url)):
            (folder / name).write_text(content)
            (folder / name).chmod(0o600)
        shared = {
            "OIG_PORT": str(port),
            "OIG_CACHE_URL_FILE": str(folder / "address"),
            "OIG_SECRET_FILE": str(folder / "secret"),
            "OIG_PORTAL_URL": portal.base_url,
            "OIG_LOGIN": "chat",
            "OIG_ALLOWED_HOSTS": NAME,
            "OIG_TRUSTED_PROXIES": "127.0.0.1",
            "OIG_CALLS_PER_MINUTE": "0",
            "OIG_LOGINS_PER_SECOND": str(LOGINS_PER_SECOND),
            "OIG_LOGIN_BURST": str(LOGIN_BURST),
            "OIG_LIVE_TTL": str(LIVE_TTL),
            "OIG_LOCK_FIRST": "600",
        }
        one, other = (_prepared(folder / host, host, shared) for host in HOSTS)
        for group in (one, other):
            stack.callback(group.kill)
            group.start()
        names = {"oig-1": HOSTS, "oig-2": HOSTS[::-1]}
        resolver = stack.enter_context(running_name_server(names))
        front = stack.enter_context(running_caddy(port, resolver=resolver))
        groups = Groups((one, other), front, portal)
        groups.wait_ready()
        yield groups


@dataclass
class Configured(Server):
    """A server that goes by docs/deploy/redis.conf, with the options as further lines."""

    follows: int | None = None

    @property
    def file(self) -> Path:
        return self.folder / "redis.conf"

    def start(self) -> None:
        """Start it by its file, which a Sentinel may have written meanwhile."""
        if not self.file.exists():
            replica_of = f"replicaof 127.0.0.1 {self.follows}"
            text = changed(
                (DEPLOY / "redis.conf").read_text(),
                (r"(?m)^bind .*", "bind 127.0.0.1"),
                (r"(?m)^port 6379$", f"port {self.port}"),
                (r"/var/lib/redis", str(self.folder)),
                (r"# replicaof 10\.77\.0\.1 6379", "" if self.follows is None else replica_of),
            )
            self.file.write_text("\n".join((text, *self.options)))
        self._run(str(self.file), "--unixsocket", str(self.socket))
        with self.client() as client:
            wait_until("the server answers", lambda: self._role_or_end(client))

    def _role_or_end(self, client: redis.Redis) -> bytes | None:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        return _role(client)

    def client(self) -> redis.Redis:
        """Return a client that has the rights of a Sentinel."""
        return redis.Redis(
            unix_socket_path=str(self.socket),
            username="sentinel",
            password="CHANGE-sentinel",
            retry=Retry(NoBackoff(), 0),
        )


@dataclass
class Deployed:
    """A primary and its replica, watched by three Sentinels.

    Attributes:
        servers: Of which the first is the primary at the beginning.
        sentinels: One at each host, and the witness.
    """

    servers: tuple[Configured, Configured]
    sentinels: list[Sentinel] = field(default_factory=list)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        return f"redis+sentinel://oig:CHANGE-oig@{hosts}/oig?sentinel_password=CHANGE-witness"

    def is_primary(self, server: Configured) -> bool:
        with server.client() as client:
            return _role(client) == b"master"


def _role(client: redis.Redis) -> bytes | None:
    try:
        role: bytes = client.role()[0]
    except (redis.RedisError, OSError):
        return None
    return role


def follows(server: Configured) -> bool:
    """Return whether a server has all that its primary has."""
    with server.client() as client:
        try:
            role = client.role()
        except (redis.RedisError, OSError):
            return False
    return bool(role[0] == b"slave" and role[3] == b"connected")


@contextlib.contextmanager
def deployed_storage(name: str = "redis") -> Iterator[Deployed]:
    """Run the storage of docs/deploy.

    Args:
        name: Which server: `redis` or `valkey`.
    """
    path = needed(name)
    with contextlib.ExitStack() as stack:
        servers: list[Configured] = []
        for _ in range(2):
            folder = stack.enter_context(temporary_folder())
            first = servers[0].port if servers else None
            servers.append(Configured(path, folder, free_port(), follows=first))
            stack.callback(servers[-1].end, signal.SIGKILL)
            servers[-1].start()
        primary, replica = servers
        deployed = Deployed((primary, replica))
        wait_until("the replica follows", lambda: follows(replica))
        for _ in range(3):
            folder, port = stack.enter_context(temporary_folder()), free_port()
            text = changed(
                (DEPLOY / "sentinel.conf").read_text(),
                (r"(?m)^bind .*", "bind 127.0.0.1"),
                (r"(?m)^port 26379$", f"port {port}"),
                (r"/var/lib/redis", str(folder)),
                (r"10\.77\.0\.1 6379", f"127.0.0.1 {primary.port}"),
            )
            (folder / "sentinel.conf").write_text(text)
            deployed.sentinels.append(Sentinel(path, folder, port))
            stack.callback(deployed.sentinels[-1].end, signal.SIGKILL)
            deployed.sentinels[-1].start()
        for one in deployed.sentinels:
            client = stack.enter_context(redis.Redis(port=one.port, password="CHANGE-witness"))
            wait_until("the Sentinels know each other", lambda of=client: _knows_all(of))
        yield deployed


def _knows_all(client: redis.Redis) -> bool:
    master = client.sentinel_master("oig")
    return bool(master["num-other-sentinels"] == 2 and master["num-slaves"] == 1)


@dataclass
class Paced:
    """Whether logins at the portal kept to a pace, as far as looks at its counter tell.

    Args:
        portal: Whose logins.
    """

    portal: RunningPortal
    looks: list[tuple[float, float, int]] = field(default_factory=list)

    def look(self) -> int:
        """Look once; return how many logins there were."""
        begun = time.monotonic()
        attempts = self.portal.logins()["attempts"]
        self.looks.append((begun, time.monotonic(), attempts))
        return attempts

    def most_over(self, per_second: float, burst: int) -> float:
        """Return by how many logins the worst stretch between two looks was over a pace.

        Of a stretch it is certain that it took no longer than from the beginning of its first look
        to the end of its last one.
        """
        return max(
            later[2] - earlier[2] - burst - per_second * (later[1] - earlier[0])
            for number, earlier in enumerate(self.looks)
            for later in self.looks[number + 1 :]
        )
