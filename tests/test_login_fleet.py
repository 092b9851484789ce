"""Logins at real workers that are killed, and what is left of them on the machine."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import html
import json
import re
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import httpx2
import pytest

from server.records.grant import Grant
from server.records.grants import GrantStore

from .fleet import Fleet, running_fleet
from .login_house import answered
from .oauth_client import OAuthClient, challenged, code_of, error_of, result_of
from .waiting import PATIENCE, wait_until

ISSUER = "http://127.0.0.1:4711"
"""What a proxy in front would make of both workers' addresses."""

FIRST, SECOND = NAMES = ("worker-0", "worker-1")

OWNER = "searched.owner@example.com"
PASSWORD = "Tajn\u00e9 'heslo' & 100 %/?+\"<x>"


class Pair:
    """Two workers with an address each.

    Attributes:
        fleet: Their processes.
        state: Folder of what lasts.
        temporary: Folder of what does not.
        clients: All that have logged in.
    """

    def __init__(
        self,
        fleet: Fleet,
        state: Path,
        temporary: Path,
        listeners: dict[str, socket.socket],
    ) -> None:
        self.fleet = fleet
        self.state = state
        self.temporary = temporary
        self.clients: list[OAuthClient] = []
        self._listeners = listeners

    def address(self, name: str) -> tuple[str, int]:
        address: tuple[str, int] = self._listeners[name].getsockname()
        return address

    def start(self, *names: str) -> None:
        """Start who does not run: the daemon, and the workers that are named, or all."""
        if self.fleet.daemon is None:
            self.fleet.start_daemon()
        missing = [name for name in names or NAMES if name not in self.fleet.workers]
        for name in missing:
            self.fleet.start_worker(name, listener=self._listeners[name])
        for name in missing:
            self.fleet.wait_worker(name)

    def stop(self) -> None:
        """Stop the whole server in order."""
        for name in [*self.fleet.workers]:
            self.fleet.stop_worker(name)
        self.fleet.kill_daemon(signal.SIGTERM)

    def kill(self, name: str) -> None:
        self.fleet.stop_worker(name, signal.SIGKILL)

    def grant(self) -> Grant:
        """Return the latest grant, as the record has it."""
        _, (latest,) = GrantStore(self.state / "grants.db").latest(1)
        return latest

    @contextlib.asynccontextmanager
    async def client(self, email: str = "demo@example.com", password: str = "demo"):
        """Make a client of both workers, who take turns; a connection for each request."""
        async with contextlib.AsyncExitStack() as stack:
            at = [await stack.enter_async_context(self.http(name)) for name in NAMES]
            self.clients.append(OAuthClient(at, ISSUER, email, password))
            yield self.clients[-1]

    def http(self, name: str) -> httpx2.AsyncClient:
        host, port = self.address(name)
        return httpx2.AsyncClient(
            base_url=f"http://{host}:{port}",
            trust_env=False,
            timeout=PATIENCE,
            limits=httpx2.Limits(max_keepalive_connections=0),
        )


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Pair]:
    state, temporary = (tmp_path_factory.mktemp(name) for name in ("state", "temporary"))
    settings = {
        "OIG_PUBLIC_URL": ISSUER,
        "OIG_STATE_DIR": str(state),
        "OIG_CONTROL": "on",
        "OIG_LOGIN_BURST": "100",
        "OIG_LOG_LEVEL": "DEBUG",
        "TMPDIR": str(temporary),
    }
    with contextlib.ExitStack() as stack:
        listeners = {
            name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in NAMES
        }
        fleet = stack.enter_context(running_fleet(0, daemon=False, **settings))
        fleet.portal.add_account(OWNER, PASSWORD)
        yield Pair(fleet, state, temporary, listeners)


@pytest.fixture
def pair(running) -> Pair:
    running.start()
    running.fleet.portal.clear_faults()
    return running


@pytest.fixture
async def client(pair) -> AsyncIterator[OAuthClient]:
    async with pair.client() as client:
        yield client


async def test_sixteen_simultaneous_refreshes_all_succeed(client):
    await client.log_in()
    token = client.refresh_token
    answers = await asyncio.gather(*(client.refresh(token) for _ in range(16)))
    assert [answer.status_code for answer in answers] == [200] * 16
    calls = (client.call(token=answer.json()["access_token"]) for answer in answers)
    assert [code_of(one) for one in await asyncio.gather(*calls)] == [None] * 16
    twins = [answer.json()["refresh_token"] for answer in answers[:2]]
    for twin in twins:
        assert (await client.refresh(twin)).status_code == 200


def send_form(address: tuple[str, int], path: str, form: dict[str, str]) -> socket.socket:
    """Send a form and read nothing."""
    body = urlencode(form)
    connection = socket.create_connection(address, PATIENCE)
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}".encode()
    )
    return connection


@pytest.mark.parametrize("name", NAMES)
async def test_a_client_that_never_read_its_new_tokens_goes_on_with_the_old_one(pair, client, name):
    await client.log_in()
    with send_form(pair.address(name), "/token", client.refreshing()):
        await asyncio.to_thread(wait_until, "refreshed", lambda: pair.grant().generation == 1)
    for _ in NAMES:
        token = client.refresh_token
        assert (await client.refresh(token)).status_code == 200
    assert code_of(await client.call()) is None
    assert pair.grant().state == "active"


async def test_a_client_that_never_read_its_first_tokens_logs_in_again(pair, client):
    await client.register()
    code = await client.code()
    with send_form(pair.address(FIRST), "/token", client.exchanging(code)):
        await asyncio.to_thread(wait_until, "exchanged", lambda: pair.grant().state == "active")
    # Nobody can tell it from one who has found the code.
    assert error_of(await client.exchange(code)) == (400, "invalid_grant")
    assert pair.grant().ended_why == "code_reused"
    assert (await client.exchange(await client.code())).status_code == 200
    assert code_of(await client.call()) is None


def a_new_owner(pair, name):
    """Add an account that nobody has logged in to; return its e-mail."""
    email = f"{name}@example.com"
    pair.fleet.portal.add_account(email, "demo")
    return email


@contextlib.asynccontextmanager
async def killed_meanwhile(pair, client, name, request):
    """Have a worker be killed while a request is under way at it; the rest goes to the other."""
    both = client.workers
    client.workers = [both[NAMES.index(name)]]
    under_way = asyncio.ensure_future(request)
    try:
        yield
        assert not under_way.done()
        await asyncio.to_thread(pair.kill, name)
        with pytest.raises(httpx2.TransportError):
            await under_way
    finally:
        client.workers = [both[1 - NAMES.index(name)]]


async def until_it_waits(client):
    """Wait until what came to a worker before has come to where it must wait."""
    # Its loop serves who came first first; from there it is a few turns to the record.
    for _ in range(5):
        assert (await client.send("GET", "/healthz")).status_code == 200


@contextlib.contextmanager
def held(pair):
    """Keep everybody from the record of grants, as a process that is writing does."""
    with contextlib.closing(sqlite3.connect(pair.state / "grants.db")) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield
        database.execute("ROLLBACK")


async def test_a_worker_killed_during_a_login_leaves_nothing_and_the_form_stays_valid(pair, client):
    client.email = a_new_owner(pair, "killed")
    await client.register()
    page = await client.open()
    before = GrantStore(pair.state / "grants.db").latest(1)
    pair.fleet.portal.fault("slow", latency=1.0, logins=1)
    attempts = pair.fleet.portal.logins()["attempts"]
    async with killed_meanwhile(pair, client, FIRST, client.submit(page)):
        await asyncio.to_thread(
            wait_until, "asked", lambda: pair.fleet.portal.logins()["attempts"] > attempts
        )
    assert GrantStore(pair.state / "grants.db").latest(1) == before
    answer = await client.exchange(answered(await client.submit(page))["code"])
    assert answer.status_code == 200
    assert code_of(await client.call()) is None


async def test_a_code_outlives_its_worker_and_one_killed_during_the_exchange(pair, client):
    await client.register()
    both, client.workers = client.workers, client.workers[1:]
    code = await client.code()
    client.workers = both
    with held(pair):
        async with killed_meanwhile(pair, client, SECOND, client.exchange(code)):
            await until_it_waits(client)
    assert pair.grant().state == "pending"
    assert (await client.exchange(code)).status_code == 200
    assert code_of(await client.call()) is None


async def test_a_worker_killed_during_a_refresh_has_either_refreshed_or_not(pair, client):
    await client.log_in()
    with held(pair):
        async with killed_meanwhile(pair, client, FIRST, client.refresh()):
            await until_it_waits(client)
    assert pair.grant().generation == 0
    for _ in range(2):
        assert (await client.refresh()).status_code == 200
    assert code_of(await client.call()) is None


async def test_the_other_worker_serves_the_call_of_a_killed_one(pair, client):
    client.email = a_new_owner(pair, "called")
    await client.log_in()
    pair.fleet.portal.fault("slow", endpoint="live", latency=1.0, requests=1)
    async with killed_meanwhile(pair, client, SECOND, client.call("get_live_data")):
        await asyncio.to_thread(
            wait_until, "asked", lambda: pair.fleet.portal.state()["faults"] == []
        )
    assert code_of(await client.call("get_live_data")) is None
    assert (await client.refresh()).status_code == 200


async def test_tokens_outlive_the_daemon(pair, client):
    await client.log_in()
    pair.fleet.kill_daemon()
    for _ in NAMES:
        assert code_of(await client.call()) is None
        assert (await client.refresh()).status_code == 200
    pair.fleet.start_daemon()
    for _ in NAMES:
        assert code_of(await client.call()) is None
        assert (await client.refresh()).status_code == 200


async def test_a_login_under_way_outlives_the_daemon(pair, client):
    client.email = a_new_owner(pair, "waiting")
    await client.register()
    page = await client.open()
    pair.fleet.portal.fault("slow", latency=1.0, logins=1)
    attempts = pair.fleet.portal.logins()["attempts"]
    under_way = asyncio.create_task(client.submit(page))
    await asyncio.to_thread(
        wait_until, "asked", lambda: pair.fleet.portal.logins()["attempts"] > attempts
    )
    pair.fleet.kill_daemon()
    answer = await client.exchange(answered(await under_way)["code"])
    assert answer.status_code == 200
    assert code_of(await client.call()) is None


async def test_tokens_outlive_a_full_restart_and_a_lost_secret_needs_a_new_login(pair, client):
    await client.log_in()
    both = client.workers
    await asyncio.to_thread(pair.stop)
    await asyncio.to_thread(pair.start, FIRST)
    client.workers = both[:1]
    assert code_of(await client.call()) is None
    assert (await client.refresh()).status_code == 200
    await asyncio.to_thread(pair.stop)
    (pair.fleet.folder / "secret").unlink()
    await asyncio.to_thread(pair.start, SECOND)
    client.workers = both[1:]
    assert challenged(await client.call()) == (401, "invalid_token")
    # An id says itself who a client is, so it need not register again.
    assert error_of(await client.refresh()) == (400, "invalid_grant")
    assert (await client.exchange(await client.code())).status_code == 200
    assert code_of(await client.call()) is None


def forms(secret: str) -> set[bytes]:
    """Return how something may be written down."""
    raw = secret.encode()
    shown = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), html.escape(secret)}
    shown |= {json.dumps(secret)[1:-1], repr(secret)[1:-1], repr(raw)[2:-1], raw.hex()}
    found = {one.encode() for one in shown} | {secret.encode("utf-16-le")}
    for shift in range(3):
        # Within something longer it begins at any of three places; its ends hang on what is beside.
        encoded = base64.b64encode(b"x" * shift + raw)
        inside = encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4]
        found |= {inside, inside.replace(b"+", b"-").replace(b"/", b"_")}
    return {one for one in found if len(one) >= 6}


WRITTEN = {
    "as it is": str.encode,
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(text.encode()).rstrip(b"="),
    "in an address": lambda text: quote(text).encode(),
    "in a form": lambda text: urlencode({"password": text}).encode(),
    "in JSON": lambda text: json.dumps({"password": text}).encode(),
    "as Python shows it": lambda text: repr({"password": text}).encode(),
    "as Python shows its bytes": lambda text: repr(text.encode()).encode(),
    "in a page": lambda text: html.escape(text).encode(),
    "hexadecimal": lambda text: text.encode().hex().encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_the_search_for_secrets_finds_a_planted_one(how):
    for secret in (OWNER, PASSWORD):
        for before in ("", "a", "ab", "abc"):
            left = WRITTEN[how](f"{before}{secret} and more")
            assert any(one in left for one in forms(secret)), left


def left_behind(pair) -> dict[str, bytes]:
    """Return all that can be read of the server: of each file and each process."""
    folders = (pair.state, pair.temporary, pair.fleet.folder)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    found = {str(path): path.read_bytes() for path in files}
    for name, process in {**pair.fleet.workers, "cache": pair.fleet.daemon}.items():
        for what in ("environ", "cmdline"):
            found[f"{what} of {name}"] = Path(f"/proc/{process.pid}/{what}").read_bytes()
    return found


async def in_every_trouble(pair):
    """Log in, and read, while the portal does what it should not."""
    for number, kind in enumerate(("unauthorized", "html", "drop", "truncated_gzip")):
        email = f"{number}.{OWNER}"
        pair.fleet.portal.add_account(email, PASSWORD)
        async with pair.client(email, PASSWORD) as client:
            await client.log_in()
            pair.fleet.portal.fault(kind, endpoint="live", requests=1)
            await client.call("get_live_data")
    async with pair.client(OWNER, PASSWORD) as client:
        await client.register()
        page = await client.open()
        for number, kind in enumerate(("json", "html", "error", "redirect", "no_cookie", "drop")):
            pair.fleet.portal.fault(kind, logins=1)
            refused = await client.submit(page, email=f"no.{number}.{OWNER}")
            assert refused.status_code in {403, 503}
    assert pair.fleet.portal.state()["faults"] == []


async def in_every_way(client):
    """Use what a login gives, rightly and wrongly; return both ends of its session's id."""
    await client.register("Searched")
    page = await client.open()
    assert (await client.submit(page, password=f"wrong {client.password}")).status_code == 403
    assert (await client.exchange(await client.code(control="on"))).status_code == 200
    told = result_of(await client.call("check_auth"))
    (box,) = result_of(await client.call("list_boxes"))["boxes"]
    plan = result_of(await client.call("plan_change", box_id=box["id"], mode="Home 2"))
    change = {name: plan[name] for name in ("box_id", "change", "plan_token")}
    assert code_of(await client.call("apply_change", **change)) is None
    client.given["plan"].append(plan["plan_token"])
    assert (await client.refresh()).status_code == 200
    await client.press(await client.sign_in(), "Make read-only")
    assert challenged(await client.call(token=client.access + "A")) == (401, "invalid_token")
    assert error_of(await client.refresh(client.refresh_token + "A")) == (400, "invalid_grant")
    start, _, end = told["session_id_preview"].encode().partition(b"...")
    return start, end


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
async def test_nothing_secret_is_left_anywhere(pair):
    await in_every_trouble(pair)
    async with pair.client(OWNER, PASSWORD) as client:
        start, end = await in_every_way(client)
    # The daemon leaves what is on the disk as a whole when it ends.
    pair.fleet.kill_daemon(signal.SIGTERM)
    pair.start()
    left = left_behind(pair)
    for found in (
        b"Searched",
        b" DEBUG ",
        b"portal_unexpected",
        b"SQLite format 3",
        b"OIG_RUN_DIR",
    ):
        assert any(found in content for content in left.values()), found
    names = {Path(name).name for name in left}
    assert {"grants.db", "journal.db", "auth.log", "sessions.db"} <= names
    assert set(client.given) == {"code", "access", "refresh", "action", "plan"}
    given = {one for each in pair.clients for kind in each.given.values() for one in kind}
    secret = {form for one in (OWNER, "searched.owner", PASSWORD) for form in forms(one)}
    # Without what says its kind as well: a log hides a token by that.
    secret |= {form.encode() for one in given for form in (one, one[5:])}
    session = re.compile(rb"PHPSESSID=|%b[0-9a-z]{18}%b" % (start, end))
    for name, content in left.items():
        assert [one for one in secret if one in content] == [], name
        assert not session.search(content), name
