"""Workers of two hosts over one Valkey or Redis server: whole workers, and `cachectl`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest

from cachectl.__main__ import main
from cachectl.shared_storage import SharedStorage
from server.app import build_app
from server.errors import ConfigurationError
from server.settings.reloading import Reloading
from server.settings.table import Settings
from server.state import valkey_reports
from server.storage_address import StorageAddress
from simulator import Simulator
from simulator import build_app as build_portal

from .browser_worker import Worker, basic, lifespan
from .oauth_grants import DEMO, PORTAL
from .system import temporary_folder
from .valkey_servers import running
from .waiting import PATIENCE, until

NAME = "oig.example.org"
SECRET = "5" * 64


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def server():
    # With everysec, what was written while a sync is under way is lost when it is killed.
    durable = "--appendonly", "yes", "--appendfsync", "no"
    with running("redis", "--requirepass", "hunter2", *durable) as started:
        yield started


@contextlib.asynccontextmanager
async def host(server, simulator, folder, secret=SECRET, **changes):
    """Start a worker of a host of its own."""
    folder.mkdir()
    (folder / "secret").write_text(secret)
    (folder / "secret").chmod(0o600)
    address = StorageAddress.read(f"unix://:hunter2@{server.socket}")
    settings = Settings(
        portal_url=PORTAL,
        state_dir=folder,
        run_dir=folder,
        cache_url=address,
        **{"login": "chat", "allowed_hosts": (NAME,), "login_burst": 100, **changes},
        # A host with near copies may be late by half a second: tests/test_valkey_client.py.
        near_cache="off",
    )
    transport = httpx2.ASGITransport(build_portal(simulator))
    reloading = Reloading(lambda: settings)
    app = build_app(settings, name=folder.name, transport=transport, reloading=reloading)
    async with lifespan(app):
        worker = Worker(settings, simulator, None, app)
        worker.reloading = reloading
        worker.http.base_url = f"http://{NAME}"
        yield worker


@pytest.fixture
def folder():
    with temporary_folder() as made:
        yield made


@pytest.fixture
async def hosts(server, folder, monkeypatch):
    monkeypatch.setattr(valkey_reports, "SECONDS", 0.1)
    if server.process is None:
        server.start()
    simulator = Simulator()
    async with (
        host(server, simulator, folder / "one") as one,
        host(server, simulator, folder / "other") as other,
    ):
        for worker in (one, other):
            await until_ready(worker)
        yield one, other
    with contextlib.closing(redis_of(server)) as client:
        client.flushall()


def redis_of(server):
    client = server.client()
    client.connection_pool.connection_kwargs["password"] = "hunter2"
    return client


async def check_auth(worker, password="demo"):
    """Return what came of a call: how its session was had, or why it has none."""
    response = await worker.call("check_auth", headers=basic(DEMO, password))
    result = response.json()["result"]
    if result["isError"]:
        return result["_meta"]["cz.oig-cloud-mcp/error"]["code"]
    return result["structuredContent"]["cache_status"]


async def ready(worker):
    return (await worker.http.get("/readyz")).json()["degraded"]


async def until_ready(worker):
    async with asyncio.timeout(PATIENCE):
        while await ready(worker):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_all_who_call_both_hosts_at_once_share_one_login(hosts):
    calls = [check_auth(worker) for worker in hosts for _ in range(20)]
    found = await asyncio.gather(*calls)
    assert sorted(found) == ["new_session_created", *["session_from_cache"] * 39]
    assert hosts[0].logins == 1


async def test_a_lock_at_one_host_is_a_lock_at_the_other(hosts):
    one, other = hosts
    for number in range(5):
        await check_auth(one, f"wrong {number}")
    assert await check_auth(other) == "locked"
    assert one.logins == 5


async def test_while_the_server_is_gone_workers_serve_what_they_have_and_say_what_is_missing(
    hosts, server, caplog
):
    caplog.set_level("INFO")
    one, other = hosts
    assert await ready(one) == {}
    await asyncio.gather(*map(check_auth, hosts))
    server.kill()
    missing = await ready(one)
    assert "shared storage does not answer" in missing["cache"]
    assert [await check_auth(worker) for worker in hosts] == ["session_from_cache"] * 2
    server.start()

    await until_ready(other)
    assert await check_auth(other) == "session_from_cache"
    assert one.logins == 1
    told = [one.getMessage() for one in caplog.records if one.name == "server.state.remote"]
    away = "The shared storage is away: it cannot be reached: nobody listens there. Serving from"
    assert told[0].startswith(away)
    assert "the cache is back" in told
    assert "hunter2" not in caplog.text


async def missing_cache(worker, kind):
    """Return when /readyz says so of the storage, with 503."""
    async with asyncio.timeout(PATIENCE):
        while kind not in (await ready(worker)).get("cache", ""):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_readyz_says_what_kind_of_trouble_the_storage_has_and_no_more(hosts, server):
    with contextlib.closing(redis_of(server)) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        await missing_cache(hosts[0], "The shared storage must not be used as it is set up;")
        assert "allkeys" not in (await ready(hosts[0]))["cache"]
        client.config_set("maxmemory-policy", "noeviction")
        await until_ready(hosts[0])
        client.config_set("maxmemory", "1")
        await check_auth(hosts[0])
        await missing_cache(hosts[0], "refuses with OOM: its memory is full;")
        client.config_set("maxmemory", "0")
        await until_ready(hosts[0])


async def test_a_host_with_another_secret_refuses_calls_and_says_so(hosts, server, folder, caplog):
    async with host(server, hosts[0].simulator, folder / "third", secret="6" * 64) as third:
        assert "different secrets" in (await ready(third)).get("secret", "")
        refused = await third.call("check_auth", headers=basic())
        assert refused.json()["result"]["isError"]
        assert await ready(hosts[0]) == {}
    assert "another secret than the others" in caplog.text
    assert hosts[0].logins == 0


@pytest.fixture
def cachectl(hosts, monkeypatch, capsys):
    """Run a command beside one host; return what it prints as JSON."""
    settings = hosts[0].settings
    monkeypatch.setenv("OIG_CONFIG", os.devnull)
    monkeypatch.setenv("OIG_STATE_DIR", str(settings.state_dir))
    monkeypatch.setenv("OIG_RUN_DIR", str(settings.run_dir))
    monkeypatch.setenv("OIG_LOGIN", "chat")
    monkeypatch.setenv("OIG_LOGIN_BURST", "100")
    file = Path(settings.state_dir) / "address"
    file.write_text(f"unix://:hunter2@{settings.cache_url.path}\n")
    file.chmod(0o600)
    monkeypatch.setenv("OIG_CACHE_URL_FILE", str(file))

    async def run(*arguments, code=0, as_json=True):
        # A loop of its own needs a thread of its own.
        argv = [*arguments, *(["--json"] if as_json else [])]
        assert await asyncio.to_thread(main, argv) == code
        printed = capsys.readouterr()
        assert "hunter2" not in printed.out + printed.err
        return json.loads(printed.out) if as_json else printed.out

    return run


async def reported(cachectl, name, number):
    """Return the statistics once all processes have reported."""
    async with asyncio.timeout(PATIENCE):
        while (stats := await cachectl("stats")).get(name) != number:
            pass
    return stats


async def test_statistics_of_all_processes_are_added_up(hosts, cachectl):
    await asyncio.gather(*map(check_auth, hosts))
    for worker in hosts:
        await check_auth(worker)
    stats = await reported(cachectl, "hits_total", 3)
    assert stats["leases_granted_total"] == stats["sessions"] == 1
    assert stats["workers"] == 2
    assert [one["name"] for one in stats["versions"]] == ["one", "other"]
    assert {one["host"] for one in stats["versions"]} == {socket.gethostname()}
    assert stats["secrets_differ"] == stats["workers_differing"] == 0
    assert stats["version"].startswith(("redis ", "valkey "))


async def test_what_an_operator_does_reaches_all_hosts(hosts, cachectl):
    one, other = hosts
    assert (await cachectl("ping"))["version"].startswith("redis ")
    await check_auth(one)
    assert (await cachectl("sessions"))["total"] == 1
    assert (await cachectl("flush"))["sessions"] == 1
    assert (await cachectl("stats"))["flushed_total"] == 1
    assert await check_auth(other) == "new_session_created"
    for number in range(5):
        await check_auth(one, f"wrong {number}")
    assert (await cachectl("lockouts"))["total"] == 2
    assert (await cachectl("unlock", DEMO))["unlocked"] == 2
    assert await check_auth(other) == "session_from_cache"
    assert (await cachectl("forget-owner", DEMO))["removed"]["sessions"] == 1
    (one.settings.state_dir / "sessions.db").write_bytes(b"of before")
    said = await cachectl("forget-owner", DEMO, as_json=False)
    assert f"{one.settings.state_dir / 'sessions.db'} is left from the time before" in said
    assert "on the shared storage. Removed: nothing" in said
    assert (await cachectl("sessions"))["total"] == 0
    assert (await cachectl("stats"))["flushed_total"] == 2


def files(hosts, **changes):
    """Have the settings files of some hosts say something else from now on."""
    for worker in hosts:
        fresh = replace(worker.settings, **changes)
        worker.reloading._read = lambda fresh=fresh: fresh


async def noted(worker):
    """Return what /readyz says of other settings, with 200, once it does."""
    async with asyncio.timeout(PATIENCE):
        while "notes" not in (answer := await worker.http.get("/readyz")).json():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert answer.status_code == 200
    return answer.json()["notes"]["settings"]


async def listening(server):
    with contextlib.closing(redis_of(server)) as client:
        await until("both listen", lambda: client.pubsub_numsub("oig:drops")[0][1] == 2)


async def test_a_reload_names_what_has_changed_on_all_hosts(hosts, server, cachectl, caplog):
    await listening(server)
    files(hosts, live_ttl=7.0, control="on")
    done = {"changed": ["OIG_LIVE_TTL"], "restart": ["OIG_CONTROL"], "workers": 2, "hosts": 1}
    assert await cachectl("reload") == done
    assert await cachectl("reload") == {**done, "changed": []}
    assert "goes by other settings" not in caplog.text


async def test_a_reload_names_the_workers_that_go_by_other_settings(hosts, server, cachectl):
    await listening(server)
    one, other = hosts

    def unreadable():
        raise ConfigurationError("OIG_LIVE_TTL is not a number.")

    other.reloading._read = unreadable
    files([one], live_ttl=7.0)
    refused = await cachectl("reload", code=1)
    host = socket.gethostname()
    why = f"other on {host}: OIG_LIVE_TTL is not a number. Mend it and run this again"
    assert refused["error"]["message"].endswith(why)
    # A host that differs takes none of its workers away from a load balancer.
    for worker in hosts:
        assert "other settings than others on the shared storage" in await noted(worker)
    files([other], live_ttl=7.5)
    refused = await cachectl("reload", code=1)
    why = f"on {host}: read other settings on its host (OIG_LIVE_TTL). Mend it and run this again"
    assert refused["error"]["message"].endswith(why)
    assert "7.5" not in refused["error"]["message"]
    files([other], live_ttl=7.0)
    assert (await cachectl("reload"))["changed"] == ["OIG_LIVE_TTL"]
    async with asyncio.timeout(PATIENCE):
        while "notes" in (await one.http.get("/readyz")).json():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)


async def test_without_workers_a_reload_says_so(server, cachectl, hosts):
    with contextlib.closing(redis_of(server)) as client:
        client.delete("oig:members")
        refused = await cachectl("reload", code=1)
    assert "No worker works with the shared storage" in refused["error"]["message"]


async def test_cachectl_says_which_server_is_away(cachectl, server):
    server.kill()
    failed = await cachectl("stats", code=3)
    assert f"unix://{server.socket} is away" in failed["error"]["message"]
    server.start()


async def test_a_secret_that_workers_of_any_host_use_is_not_replaced(hosts, cachectl):
    await asyncio.gather(*map(check_auth, hosts))
    refused = await cachectl("rotate-secret", "--yes", code=1)
    assert "2 workers of this or another host" in refused["error"]["message"]
    assert await ready(hosts[0]) == {}


def test_a_watch_counts_for_a_tenth_of_the_time_at_most(monkeypatch):
    now, counted = [0.0], []

    class Walk:
        async def totals(self):
            counted.append(now[0])
            now[0] += 2.0
            return {"sessions": len(counted), "lockouts_active": 0}

    monkeypatch.setattr("cachectl.shared_storage.time.monotonic", lambda: now[0])
    storage = SharedStorage(Settings(), StorageAddress.read("redis://valkey.invalid"))
    storage._client = SimpleNamespace(accounts=SimpleNamespace(upkeep=SimpleNamespace(walk=Walk())))
    with contextlib.closing(storage._runner) as runner:
        for at in range(50):
            now[0] = max(now[0], float(at))
            assert runner.run(storage._counted())["sessions"] == len(counted)
    assert counted == [0.0, 22.0, 44.0]
