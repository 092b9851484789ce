"""Whose daemon it is that a worker and cachectl speak with."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from cachectl.__main__ import main
from server.cache.blocking import BlockingClient
from server.cache.client import CacheClient
from server.cache.hello import Hello
from server.cache.peer_credentials import ForeignUserError, is_trusted, peer_uid
from server.errors import CacheUnavailable

from .cache_process import run_folder, running_cache
from .fleet import NO_TLS, check_auth, running_fleet
from .waiting import PATIENCE, wait_until

NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

LISTENER = """
import os, socket, sys
bound = socket.socket(socket.AF_UNIX)
bound.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
os.setgid(65534)
os.setuid(65534)
bound.listen()
print("ready", flush=True)
while True:
    connection, _ = bound.accept()
    data = connection.recv(1000)
    print(len(data), flush=True)
    connection.close()
"""


@contextmanager
def foreign(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Have a process of another user listen at a path; it prints how much each peer said."""
    command = [sys.executable, "-c", LISTENER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.terminate()


def heard(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


@pytest.fixture
def path():
    with run_folder() as folder:
        folder.mkdir(mode=0o700, exist_ok=True)
        yield folder / "cache.sock"


def test_the_process_at_the_other_end_is_identified_by_its_user():
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert peer_uid(one) in {os.geteuid(), None}


def test_only_the_same_user_and_root_are_trusted(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert is_trusted(1000)
    assert is_trusted(0)
    assert is_trusted(None)
    assert not is_trusted(1001)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert is_trusted(0)
    assert not is_trusted(1000)


@as_root
def test_cachectl_sends_nothing_to_a_daemon_of_another_user(path, capsys):
    with foreign(path) as process:
        with pytest.raises(CacheUnavailable) as caught, BlockingClient(path):
            pass
        assert isinstance(caught.value.__cause__, ForeignUserError)
        assert heard(process) == 0
        assert main(["--socket", str(path), "ping"]) == 3
        words = capsys.readouterr().err
        assert f"belongs to another user, nobody (uid {NOBODY})" in words
        assert "so must cachectl" in words
        assert heard(process) == 0


async def answers(client: CacheClient) -> bool:
    try:
        await client.ping()
    except CacheUnavailable:
        return False
    return True


@as_root
async def test_a_worker_sends_nothing_to_a_daemon_of_another_user_and_logs_it_once(path, caplog):
    caplog.set_level(logging.ERROR)
    client = CacheClient(path, Hello.of("test", 1, "0"))
    with foreign(path) as process:
        for _ in range(3):
            with pytest.raises(CacheUnavailable, match="another user"):
                await client.ping()
        assert heard(process) == 0
    assert caplog.text.count(f"{path}: it belongs to another user (uid {NOBODY})") == 1
    path.unlink()
    with running_cache(path.parent):
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while not await answers(client):
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.01)
        await client.aclose()


@as_root
def test_workers_serve_without_a_daemon_that_belongs_to_another_user():
    with running_fleet(1, daemon=False) as fleet:
        # As far as another user may come in a folder that was left open.
        fleet.folder.chmod(0o755)
        with foreign(fleet.socket_path) as process:
            assert check_auth(fleet.url)["structuredContent"]["cache_status"].startswith("new")
            assert heard(process) == 0
            wait_until("it is logged", lambda: "belongs to another user" in fleet.logs())
            answer = httpx2.get(
                fleet.url.replace("/mcp", "/readyz"), trust_env=False, verify=NO_TLS
            )
        assert answer.status_code == 503
        assert str(fleet.folder) not in answer.text
        assert str(fleet.folder) in fleet.logs()
