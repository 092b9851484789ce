"""TLS to servers and Sentinels, and what the start says of a certificate or login not accepted."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket

import pytest

from server.state import redis_client, valkey_connection
from server.state.limits import Limits
from server.state.storage import StorageAway
from server.state.valkey import ValkeyStorage
from server.state.valkey_connection import UnfitStorage

from .storage_contract import entry, state
from .system import temporary_folder
from .test_valkey import NAME, heard, opened
from .tls_files import TlsFiles
from .valkey_servers import client_at, running, watched
from .waiting import until

HOST = "127.0.0.1"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def patient(monkeypatch):
    """Have no time-out decide: a handshake takes long on a busy machine."""
    monkeypatch.setattr(valkey_connection, "PATIENCE", 20.0)
    monkeypatch.setattr(redis_client, "CONNECT_SECONDS", 10.0)
    monkeypatch.setattr(redis_client, "SENTINEL_SECONDS", 10.0)
    monkeypatch.setitem(redis_client.COMMON, "socket_connect_timeout", 10.0)


@pytest.fixture(scope="module")
def files():
    with temporary_folder() as folder:
        yield TlsFiles.made(folder, HOST)


@pytest.fixture(scope="module")
def sentinels(files):
    with watched("redis", tls=files, sentinel_password="of-sentinels") as started:
        yield started


@pytest.fixture
def strange_ca(tmp_path):
    TlsFiles.made(tmp_path)
    return tmp_path / "ca.pem"


async def refusal(url: str) -> str:
    """Return why a start refuses an address."""
    storage = ValkeyStorage(client_at(url), Limits())
    try:
        with pytest.raises(UnfitStorage) as caught:
            await storage.open()
    finally:
        await storage.aclose()
    return str(caught.value)


@pytest.mark.usefixtures("patient")
async def test_servers_and_sentinels_are_reached_over_tls(sentinels):
    async with opened(None, sentinels.url) as storage:
        await heard(storage)
        assert await storage.swap(NAME, None, state(1), entry(wake=True))
        assert await storage.load(NAME) == state(1)


@pytest.mark.usefixtures("patient")
async def test_a_certificate_of_another_authority_is_refused_with_the_reason(
    sentinels, files, strange_ca
):
    own = str(files.pair.certificate.parent / "ca.pem")
    for url in (sentinels.url, f"rediss://{HOST}:{sentinels.primary.port}?ssl_ca_certs={own}"):
        why = await refusal(url.replace(own, str(strange_ca)))
        assert why.startswith("its certificate is not accepted"), why


@pytest.mark.usefixtures("patient")
async def test_a_certificate_that_has_expired_or_is_for_another_name_is_refused(tmp_path):
    expired = TlsFiles.made(tmp_path, HOST)
    expired.renew(HOST, days=-1)
    with running("redis", tls=expired) as server:
        assert "expired" in await refusal(server.url.replace("localhost", HOST))
    expired.renew("valkey.example.org")
    with running("redis", tls=expired) as server:
        assert "not valid for" in await refusal(server.url.replace("localhost", HOST))


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("given", ["", "&sentinel_password=hunter2"])
async def test_a_wrong_password_of_the_sentinels_is_named_and_not_repeated(sentinels, given):
    why = await refusal(sentinels.url.replace("&sentinel_password=of-sentinels", given))
    assert why == "the Sentinels do not accept sentinel_username and sentinel_password"


@pytest.mark.usefixtures("patient")
async def test_a_primary_that_no_sentinel_knows_is_named(sentinels):
    why = await refusal(sentinels.url.replace("/main?", "/mian?"))
    assert why == "no Sentinel knows a primary of the name in the address"


# asyncio loses a connection whose task is cancelled in the moment in which it is made; the
# collector closes it, and warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_sentinel_whose_machine_is_gone_does_not_keep_the_others_from_being_asked(
    sentinels,
):
    with contextlib.ExitStack() as stack:
        dead = []
        for _ in range(2):  # connections are made, and nothing is ever answered
            listening = stack.enter_context(socket.create_server((HOST, 0)))
            dead.append(f"{HOST}:{listening.getsockname()[1]}")
        url = sentinels.url.replace("://", f"://{','.join(dead)},", 1)
        storage = ValkeyStorage(client_at(url), Limits())
        with contextlib.suppress(StorageAway):
            await storage.open()
        await until("it is there", lambda: storage.away is None)
        await storage.aclose()
    gc.collect()


@pytest.mark.usefixtures("patient")
async def test_a_storage_that_is_closed_as_soon_as_it_was_opened_leaves_no_task(sentinels):
    before = asyncio.all_tasks()
    for _ in range(4):
        async with opened(None, sentinels.url):
            pass
    assert asyncio.all_tasks() == before
