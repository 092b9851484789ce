"""What a host is told, and how soon, when the shared storage cannot be used."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time

import pytest
import redis
from redis.asyncio.sentinel import MasterNotFoundError

from server.errors import ConfigurationError
from server.keys.secret import make_secret
from server.settings.table import Settings
from server.shared_secret import look_at_storage
from server.state.valkey_reasons import UNEXPECTED, reason, trouble
from server.storage_address import StorageAddress

from .system import free_port, temporary_folder
from .valkey_servers import running

SOON = 5.0
"""Seconds within which a start goes on, on a slow machine too."""


@pytest.fixture(scope="module")
def server():
    with running("redis", "--requirepass", "hunter2") as started:
        yield started


def look(url):
    """Return why a start says that the storage is away, or why it is refused."""
    began = time.monotonic()
    try:
        address = StorageAddress.read(url)
        with temporary_folder() as folder:
            make_secret(folder / "secret")
            seen = look_at_storage(Settings(cache_url=address, login="chat", run_dir=folder))
        told = " ".join(seen.warnings)
    except ConfigurationError as exc:
        told = f"refused: {exc}"
    assert time.monotonic() - began < SOON
    assert "hunter" not in told
    return told


def test_a_server_in_order_is_not_mentioned(server):
    assert look(f"redis://:hunter2@127.0.0.1:{server.port}/1") == ""


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:hunter3@127.0.0.1:{port}", "refused: OIG_CACHE_URL leads to redis://127.0.0.1"),
        ("redis://127.0.0.1:{port}", "does not accept the user and password"),
        ("redis://:hunter2@127.0.0.1:{port}/99", "it has no database of the number"),
        ("rediss://:hunter2@127.0.0.1:{port}", "it does not answer"),
        (
            "rediss://:hunter2@h?ssl_ca_certs=/no/ca.pem",
            "refused: OIG_CACHE_URL: the file /no/ca.pem",
        ),
        ("rediss://:hunter2@h?ssl_ca_certs=/dev/null", "it contains no certificates"),
        ("redis://:hunter2@127.0.0.1:{free}", "nobody listens there"),
        ("redis://:hunter2@valkey.invalid", "its name is not found"),
        ("unix://:hunter2@/no/valkey.sock", "there is no such socket"),
        ("redis+sentinel://:hunter2@127.0.0.1:{free}/oig", "is away: no Sentinel answers"),
    ],
)
def test_a_start_names_what_is_wrong_and_no_password(server, url, told):
    assert told in look(url.format(port=server.port, free=free_port()))


def test_a_certificate_of_another_authority_is_named():
    with running("redis", tls=True) as server:
        assert "its certificate is not accepted" in look(f"rediss://localhost:{server.port}")
        assert look(server.url) == ""


def test_a_host_that_takes_a_connection_and_says_nothing_stops_no_start():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        place = f"127.0.0.1:{mute.getsockname()[1]}"
        assert "it does not answer" in look(f"redis://:hunter2@{place}")
        assert "no Sentinel answers" in look(f"redis+sentinel://:hunter2@{place},{place}/oig")


def test_a_resolver_that_does_not_answer_stops_no_start(monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(60.0) and [])
    with contextlib.ExitStack() as stack:
        stack.callback(answered.set)
        assert "it does not answer" in look("redis://:hunter2@valkey.lan")


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ("it refuses with OOM: its memory is full", "refuses with OOM: its memory is full"),
        ("it cannot be reached: there is no such socket, or file of certificates", None),
        ("it does not answer", None),
        ("no Sentinel answers", None),
        ("", None),
    ],
)
def test_strangers_learn_the_kind_of_a_trouble_and_nothing_of_the_place(why, told):
    assert trouble(why) == (told or "does not answer")


@pytest.mark.parametrize(
    ("raised", "cause", "told"),
    [
        (
            redis.ConnectionError("hunter2"),
            PermissionError(13, "hunter2"),
            "may not open its socket",
        ),
        (redis.ConnectionError("hunter2"), ssl.SSLError("hunter2"), "does not speak TLS"),
        (redis.ConnectionError("hunter2"), OSError(os.strerror(113)), "it cannot be reached"),
        (redis.TimeoutError("hunter2"), None, "it does not answer"),
        (redis.AuthenticationError("hunter2"), None, "it refuses with NOAUTH"),
        (redis.ResponseError("OOM hunter2"), None, "it refuses with OOM"),
        (redis.ResponseError("hunter2"), None, "it refuses a command"),
        (MasterNotFoundError("hunter2"), None, "no Sentinel leads to a primary"),
    ],
)
def test_a_reason_repeats_nothing_that_a_server_or_library_says(raised, cause, told):
    raised.__context__ = cause
    assert told in reason(raised)
    assert "hunter" not in reason(raised)


@pytest.mark.parametrize(
    ("exc", "said"),
    [
        (redis.ResponseError("HUNTER2SECRETPW no"), "it refuses a command"),
        (redis.ResponseError("hunter2"), "it refuses a command"),
        (redis.ResponseError("WRONGTYPE hunter2"), "it refuses with WRONGTYPE"),
        (redis.InvalidResponse("Protocol Error: b'hunter2'"), UNEXPECTED),
        (ValueError("hunter2"), UNEXPECTED),
    ],
)
def test_nothing_that_a_server_says_is_repeated(exc, said):
    assert reason(exc) == said
