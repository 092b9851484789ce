"""Redis or Valkey servers for one run: alone, followed by a replica, watched by Sentinels."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from .processes import LOOPBACK, listening, port_of, running, wait_until
from .programs import REDIS, program
from .system import scratch

AOF = "--appendonly", "yes", "--appendfsync"

DURABLE = *AOF, "always"
"""As docs/deploy/redis.conf has it."""

PRIMARY = "main"
"""What Sentinels call the server that they watch."""

FAIL_OVER_SECONDS = 10.0
"""Twice as long after an attempt to promote a replica Sentinels make the next one."""


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server, at a Unix socket and on a port of this machine.

    Args:
        socket: Its socket.
        port: Its port.
        process: To be killed or frozen.
    """

    socket: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Its address, as `OIG_CACHE_URL` takes it."""
        return f"unix://{self.socket}"

    @contextlib.contextmanager
    def asked(self) -> Iterator[redis.Redis]:
        """Give a client to look at it with."""
        with contextlib.closing(redis.Redis(unix_socket_path=str(self.socket))) as client:
            yield client

    def info(self, section: str) -> dict[str, Any]:
        """Return a section of what it says of itself."""
        with self.asked() as client:
            return dict(client.info(section))


@contextlib.contextmanager
def redis_server(*options: str, replica_of: RedisServer | None = None) -> Iterator[RedisServer]:
    """Run a server, which writes nothing to disk unless an option says so.

    Args:
        options: Further options of its command line.
        replica_of: The server that it follows; this returns when it has all that is there.

    Raises:
        NotMeasured: It is not installed.
    """
    server_program = program(REDIS)
    command = [
        server_program.path,
        "--bind",
        LOOPBACK,
        "--save",
        "",
        "--repl-diskless-sync-delay",
        "0",
    ]
    if replica_of is not None:
        command += ["--replicaof", f"{LOOPBACK} {replica_of.port}"]
    with scratch() as folder:
        path, port = folder / "redis.sock", _free_port()
        command += ["--port", str(port), "--unixsocket", str(path), "--dir", str(folder)]
        with running([*command, *options], env=server_program.env) as process:
            server = RedisServer(path, port, process)
            wait_until(lambda: _answers(lambda: server.info("server")), "redis-server")
            if replica_of is not None:
                wait_until(
                    lambda: server.info("replication")["master_link_status"] == "up", "the replica"
                )
            yield server


@contextlib.contextmanager
def sentinels(primary: RedisServer, down_after: float) -> Iterator[str]:
    """Run three Sentinels that watch a server with a replica; give the address of them all.

    Args:
        primary: The server.
        down_after: Seconds without an answer after which one of them takes it for gone.
    """
    rules = (
        f"sentinel monitor {PRIMARY} {LOOPBACK} {primary.port} 2",
        f"sentinel down-after-milliseconds {PRIMARY} {round(down_after * 1000)}",
        f"sentinel failover-timeout {PRIMARY} {round(FAIL_OVER_SECONDS * 1000)}",
    )
    server_program, ports = program(REDIS), [_free_port() for _ in range(3)]
    with contextlib.ExitStack() as stack:
        for port in ports:
            folder = stack.enter_context(scratch())
            config = folder / "sentinel.conf"
            config.write_text("\n".join((f"port {port}", f"bind {LOOPBACK}", *rules, "")))
            command = [server_program.path, str(config), "--sentinel", "--dir", str(folder)]
            stack.enter_context(running(command, env=server_program.env))
        for port in ports:
            wait_until(lambda port=port: _answers(lambda: _knows_all(port)), "a Sentinel")
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in ports)
        yield f"redis+sentinel://{hosts}/{PRIMARY}"


def _free_port() -> int:
    with listening() as listener:
        return port_of(listener)


def _knows_all(port: int) -> bool:
    with contextlib.closing(redis.Redis(port=port)) as client:
        known = client.sentinel_master(PRIMARY)
    return bool(known["num-other-sentinels"] == 2 and known["num-slaves"] == 1)


def _answers(ask: Callable[[], object]) -> bool:
    try:
        return bool(ask())
    except redis.RedisError:
        return False
