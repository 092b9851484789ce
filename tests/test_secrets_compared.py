"""Workers, daemon and `cachectl` with different secrets: they say so, and nobody harms another."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from cachectl.__main__ import main
from server.auth.missing_secret import SecretInUse, make_unless_in_use
from server.cache import wire
from server.cache.blocking import BlockingClient, RefusedError
from server.cache.client import CacheClient
from server.cache.hello import Hello, Welcome
from server.cache.verbs import Reply, Scalar
from server.errors import CacheUnavailable, SecretDiffers
from server.keys.fingerprint import secret_tag
from server.keys.secret import load_secret, make_secret, read_secret
from server.records.journal import Journal
from server.settings.table import Settings
from server.state.vocabulary import Ask, AskTurn, Done, Fulfil, Get, Hit, Lease, Missing, Outcome
from server.supervision.workers import differing

from .cache_process import PATIENCE, CacheProcess, run_folder, running_cache
from .fleet import NO_TLS, Fleet, call_body, check_auth, post, running_fleet
from .journal_entries import begin
from .messages import request_of
from .test_cachectl_failures import listening
from .test_journal import record
from .waiting import wait_until

KEY, ACCOUNT, TOKEN, SOURCE = b"k" * 32, b"a" * 32, b"t" * 16, "192.0.2.1"
OTHER_TAG = b"another secret's"
META = "cz.oig-cloud-mcp/error"

SEALED: list[tuple[str, tuple[Scalar, ...]]] = [
    ("ask", ("login", ACCOUNT, KEY, SOURCE, ACCOUNT)),
    ("ask", ("answer", ACCOUNT, KEY)),
    ("fulfil", ("login", ACCOUNT, KEY, TOKEN, b"value", 60.0, None, None)),
    ("fulfil", ("answer", ACCOUNT, KEY, TOKEN, b"value", 60.0)),
    ("turn", (ACCOUNT,)),
    ("get", ("handle", KEY)),
    ("get", ("account", ACCOUNT, KEY)),
    ("put", ("handle", ACCOUNT, KEY, b"value", 60.0, 0, KEY)),
    ("put", ("session", ACCOUNT, KEY, b"value", 60.0, 0, 0.0, None)),
    ("put", ("answer", ACCOUNT, KEY, b"value", 60.0, 0)),
    ("forget", ("session", ACCOUNT, KEY, KEY)),
    ("forget", ("login", ACCOUNT, KEY)),
    ("forget", ("handle", ACCOUNT, KEY)),
]
ASK = Ask("login", ACCOUNT, KEY, SOURCE)


@pytest.fixture
def folder():
    with run_folder() as path:
        path.mkdir(mode=0o700)
        yield path


@pytest.fixture
def cache(folder) -> Iterator[CacheProcess]:
    """A daemon that has a secret."""
    load_secret(folder / "secret")
    with running_cache(folder) as running:
        yield running


@pytest.fixture(scope="module")
def shared():
    with run_folder() as path:
        path.mkdir(mode=0o700)
        load_secret(path / "secret")
        with running_cache(path) as running:
            yield running


def stats(path: Path) -> dict[str, object]:
    with BlockingClient(path, PATIENCE) as client:
        (found,) = client.call("stats", None)
    return found


def readyz(fleet: Fleet) -> httpx2.Response:
    return httpx2.get(fleet.url.replace("/mcp", "/readyz"), trust_env=False, verify=NO_TLS)


def failure(result: dict) -> dict:
    assert result["isError"], result
    return result["_meta"][META]


def tool(fleet: Fleet, name: str, **arguments: str) -> dict:
    body = call_body()
    body["params"] = {"name": name, "arguments": arguments}
    return post(fleet.url, body).json()["result"]


# Processes.


def test_a_vanished_secret_is_restored_and_a_worker_started_meanwhile_has_the_same():
    with running_fleet(1) as fleet:
        path = fleet.folder / "secret"
        content = path.read_bytes()
        session = check_auth(fleet.url)["structuredContent"]["session"]
        path.unlink()
        wait_until("it is back", path.exists)
        assert path.read_bytes() == content
        assert "it is written back" in fleet.logs()

        # Now nobody but the daemon has it, and the next worker finds no file.
        wait_until("the daemon knows it", lambda: stats(fleet.socket_path)["secret_known"])
        fleet.stop_worker("worker-0", signal.SIGKILL)
        path.unlink()
        fleet.start_worker("worker-0")
        fleet.wait_worker("worker-0")
        assert path.read_bytes() == content
        assert "structuredContent" in tool(fleet, "list_boxes", session=session)
        assert readyz(fleet).is_success
        assert fleet.portal.logins()["attempts"] == 1


def test_a_worker_with_another_secret_reports_it_and_refuses_everything():
    with running_fleet(1, OIG_CONTROL="on") as fleet:
        session = check_auth(fleet.url)["structuredContent"]["session"]
        planned = tool(fleet, "plan_change", session=session, mode="Home 2")
        assert "structuredContent" in planned, planned
        plan = planned["structuredContent"]
        fleet.stop_worker("worker-0")
        make_secret(fleet.folder / "other")
        right = dict(fleet.environment)
        fleet.environment["OIG_SECRET_FILE"] = str(fleet.folder / "other")
        fleet.start_worker("worker-0")
        fleet.wait_worker("worker-0")

        # Nobody has called it yet.
        wait_until("the log", lambda: "work with different secrets" in fleet.logs())
        ready = readyz(fleet)
        assert ready.status_code == 503
        assert set(ready.json()["degraded"]) == {"secret"}
        assert "/" not in ready.json()["degraded"]["secret"]
        assert "a worker works with another secret than this daemon" in fleet.logs()
        found = stats(fleet.socket_path)
        assert (found["secret_known"], found["secrets_differ"]) == (1, 1)
        (worker,) = differing(Settings(cache_socket=fleet.socket_path))
        assert (worker.secret, worker.pid) == (True, fleet.workers["worker-0"].pid)
        assert "works with another secret than the cache daemon" in str(worker)

        refused = [
            tool(fleet, "list_boxes", session=session),
            check_auth(fleet.url),
            tool(fleet, "log_out", session=session),
            tool(fleet, "plan_change", session=session, mode="Home 2"),
            tool(
                fleet,
                "apply_change",
                session=session,
                plan_token=plan["plan_token"],
                box_id=plan["box_id"],
                change=plan["change"],
            ),
        ]
        for one in map(failure, refused):
            assert one["code"] == "secret_differs"
            assert one["retry_after_s"] == 60
        # However often it is met, it is told once.
        assert fleet.logs().count("work with different secrets") == 1
        # Without the daemon it does not take to its own ways either.
        fleet.kill_daemon(signal.SIGTERM)
        assert failure(check_auth(fleet.url))["code"] == "secret_differs"
        assert set(readyz(fleet).json()["degraded"]) == {"cache", "secret"}
        fleet.environment.clear()
        fleet.environment.update(right)
        fleet.start_daemon()
        assert stats(fleet.socket_path)["sessions"] == 1
        assert fleet.portal.logins()["attempts"] == 1

        # With the right file all is as before.
        fleet.stop_worker("worker-0")
        fleet.start_worker("worker-0")
        fleet.wait_worker("worker-0")
        assert "structuredContent" in tool(fleet, "list_boxes", session=session)
        assert readyz(fleet).is_success
        assert stats(fleet.socket_path)["secrets_differ"] == 0
        assert differing(Settings(cache_socket=fleet.socket_path)) == []
        assert fleet.portal.logins()["attempts"] == 1


def test_workers_recover_by_themselves_once_the_daemon_has_their_secret():
    with running_fleet(2) as fleet:
        session = check_auth(fleet.url)["structuredContent"]["session"]
        make_secret(fleet.folder / "other")
        right = dict(fleet.environment)
        fleet.environment["OIG_SECRET_FILE"] = str(fleet.folder / "other")
        fleet.kill_daemon(signal.SIGTERM)
        fleet.start_daemon()
        assert failure(tool(fleet, "list_boxes", session=session))["code"] == "secret_differs"
        fleet.environment.clear()
        fleet.environment.update(right)
        fleet.kill_daemon(signal.SIGTERM)
        fleet.start_daemon()
        # Nobody has to ask them for it.
        wait_until("a worker says so", lambda: "with the same secret again" in fleet.logs())
        wait_until("both are ready", lambda: all(readyz(fleet).is_success for _ in range(8)))
        for _ in range(8):
            assert "structuredContent" in tool(fleet, "list_boxes", session=session)
        assert fleet.portal.logins()["attempts"] == 1


# A worker and the daemon.


async def bounded(awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE)


def hello_with(secret: bytes | None) -> Hello:
    return Hello.of("test", 1, "0")._replace(tag=None if secret is None else secret_tag(secret))


@contextlib.asynccontextmanager
async def client_of(path: Path, secret: bytes | None):
    one = CacheClient(path, hello_with(secret), timeout=PATIENCE)
    try:
        yield one
    finally:
        await bounded(one.aclose())


async def lease_of(client: CacheClient) -> Outcome:
    return await bounded(client.call(ASK))


@pytest.mark.anyio
async def test_the_same_secret_is_served_and_another_is_refused_before_anything_is_asked(
    cache, caplog
):
    async with client_of(cache.path, read_secret(cache.folder / "secret")) as same:
        lease = await lease_of(same)
        assert isinstance(lease, Lease)
        done = Fulfil("login", ACCOUNT, KEY, lease.token, b"session", 60)
        assert await bounded(same.call(done)) == Done()
        async with client_of(cache.path, b"another") as other:
            for asked in (ASK, Ask("answer", ACCOUNT, KEY), Get(KEY), AskTurn(ACCOUNT)):
                with pytest.raises(SecretDiffers):
                    await bounded(other.call(asked))
            assert other.secret_differs
            assert caplog.text.count("work with different secrets") == 1
            assert (await bounded(other.ping())).pid == cache.pid
            assert stats(cache.path)["secrets_differ"] == 1
        wait_until("it is gone", lambda: stats(cache.path)["secrets_differ"] == 0)
        assert isinstance(await lease_of(same), Hit)
    counted = stats(cache.path)["requests"]
    asked_of_it = (counted["ask"]["total"], counted["get"]["total"], counted["turn"]["total"])
    assert asked_of_it == (2, 0, 0)


@pytest.mark.anyio
async def test_a_differing_worker_keeps_refusing_while_there_is_no_daemon(cache):
    async with client_of(cache.path, b"another") as other:
        await bounded(other.ping())
        cache.stop()
        for asked in (ASK, Get(KEY)):
            with pytest.raises(SecretDiffers):
                await bounded(other.call(asked))
        with pytest.raises(CacheUnavailable):
            await bounded(other.ping())


@pytest.mark.anyio
async def test_a_worker_that_states_no_secret_is_served_by_a_daemon_that_compares(cache):
    async with client_of(cache.path, None) as untold:
        assert isinstance(await lease_of(untold), Lease)
    assert stats(cache.path)["secrets_differ"] == 0


def welcome_with(tag: bytes | None, held: int) -> Welcome:
    return Welcome("0", 1, 4, 4, 2, 0, b"o" * 16, 0, tag, held, 0)


@pytest.mark.anyio
@pytest.mark.parametrize("more", [(), ("more",)])
@pytest.mark.parametrize("held", [0, 1])
async def test_a_daemon_that_states_no_secret_does_not_count_as_different(folder, held, more):
    asked: list[str] = []

    async def serve(reader, writer):
        frames = wire.FrameReader(wire.MAX_REQUEST_BYTES)
        while data := await reader.read(65536):
            for body in frames.feed(data):
                request = request_of(body)
                asked.append(request.verb)
                reply = Reply(request.id, "missing")
                if request.verb == "hello":
                    reply = Reply(request.id, "ok", (*welcome_with(None, held), *more))
                writer.write(wire.encode(reply))
        writer.close()

    server = await asyncio.start_unix_server(serve, folder / "cache.sock")
    async with client_of(folder / "cache.sock", b"ours") as one:
        for _ in range(2):
            assert await bounded(one.call(Get(KEY))) == Missing()
        assert not one.secret_differs
    server.close()
    await server.wait_closed()
    assert asked == ["hello", "get", "get"]


@pytest.mark.anyio
@pytest.mark.parametrize("same", [True, False])
async def test_a_daemon_that_finds_its_secret_later_notifies_connected_workers(folder, same):
    # As it does at the first start, and when it starts while the file is missing.
    with running_cache(folder) as cache:
        assert stats(cache.path)["secret_known"] == 0
        assert not (folder / "secret").exists()
        async with client_of(cache.path, b"x" * 32) as one:
            assert isinstance(await lease_of(one), Lease)
            written = folder / "written"
            written.write_bytes((b"x" if same else b"y") * 32)
            written.chmod(0o600)
            written.rename(folder / "secret")
            wait_until("it knows", lambda: stats(cache.path)["secret_known"])
            assert stats(cache.path)["secrets_differ"] == (0 if same else 1)
            if same:
                assert await bounded(one.call(Get(KEY))) == Missing()
            else:
                with pytest.raises(SecretDiffers):
                    await bounded(one.call(Get(KEY)))
            # The refusal may come before the answer to the hello that the notice asks for.
            async with asyncio.timeout(PATIENCE):
                while one.secret_differs == same:  # noqa: ASYNC110 - of another object
                    await asyncio.sleep(0.01)  # a poll with a bound


def call_hello(client: BlockingClient, tag: bytes) -> Welcome:
    hello = Hello.of("test", 1, "0")._replace(tag=tag, changes=None)
    welcome = Welcome.read(client.call("hello", *hello))
    assert welcome is not None
    return welcome


@pytest.mark.parametrize(("verb", "args"), SEALED)
def test_the_daemon_itself_refuses_requests_made_with_another_secret(shared, verb, args):
    with BlockingClient(shared.path, PATIENCE) as client:
        met = call_hello(client, OTHER_TAG)
        assert met.tag == secret_tag(read_secret(shared.folder / "secret"))
        assert met.secret_held == 1
        with pytest.raises(RefusedError) as caught:
            client.call(verb, *args)
    assert caught.value.code == "secret"


def test_commands_that_only_read_or_delete_work_with_any_secret(shared):
    with BlockingClient(shared.path, PATIENCE) as client:
        call_hello(client, OTHER_TAG)
        client.call("forget", "account", ACCOUNT, ACCOUNT)
        client.call("cancel", 1)
        client.hello("test")
        assert client.call("stats", None)[0]["secrets_differ"] == 1


def test_an_unusable_secret_does_not_stop_the_daemon(folder):
    (folder / "secret").write_bytes(b"x" * 32)
    (folder / "secret").chmod(0o644)
    with running_cache(folder) as cache:
        cache.wait_logged("chmod 600")
        assert stats(cache.path)["secret_known"] == 0
        (folder / "secret").chmod(0o600)
        wait_until("it knows", lambda: stats(cache.path)["secret_known"])


# Who may make a secret.


def test_a_secret_is_created_where_none_is_in_use(folder):
    make_unless_in_use(folder / "cache.sock")(folder / "secret")
    assert read_secret(folder / "secret")
    (folder / "secret").unlink()
    with running_cache(folder) as cache:
        make_unless_in_use(cache.path)(folder / "secret")
        assert read_secret(folder / "secret")


@pytest.mark.parametrize("holder", ["the daemon", "a worker", "a daemon that hangs"])
def test_no_secret_is_created_while_one_is_in_use(folder, monkeypatch, holder):
    monkeypatch.setattr("server.auth.missing_secret.PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(
        "server.auth.missing_secret.ANSWER_SECONDS", 0.2 if "hangs" in holder else PATIENCE
    )
    if holder == "the daemon":
        load_secret(folder / "secret")
    elsewhere = folder / "missing"
    with running_cache(folder) as cache, contextlib.ExitStack() as stack:
        if holder == "a worker":
            worker = stack.enter_context(BlockingClient(cache.path, PATIENCE))
            call_hello(worker, OTHER_TAG)
        if "hangs" in holder:
            cache.signal(signal.SIGSTOP)
            stack.callback(cache.signal, signal.SIGCONT)
        with pytest.raises(SecretInUse, match="running processes use it"):
            make_unless_in_use(cache.path)(elsewhere)
        assert not elsewhere.exists()


def test_a_process_waiting_for_the_secret_uses_it_when_it_appears(cache, monkeypatch):
    elsewhere = cache.folder / "later"
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            elsewhere.write_bytes(b"x" * 32)
            elsewhere.chmod(0o600)

    monkeypatch.setattr("server.auth.missing_secret.time.sleep", sleep)
    assert load_secret(elsewhere, make_unless_in_use(cache.path)) == b"x" * 32
    assert len(slept) == 3


# cachectl.


@pytest.fixture
def operator(cache, monkeypatch):
    """The environment of an operator whose secret is not the daemon's."""
    monkeypatch.setenv("OIG_RUN_DIR", str(cache.folder))
    make_secret(cache.folder / "other")
    monkeypatch.setenv("OIG_SECRET_FILE", str(cache.folder / "other"))
    begin(Journal(cache.folder / "journal.db"), record(1))
    monkeypatch.setenv("OIG_JOURNAL", str(cache.folder / "journal.db"))
    monkeypatch.setenv("OIG_STATE_DIR", str(cache.folder))
    return monkeypatch


@pytest.mark.parametrize(
    "command",
    [
        ["unlock", "jana@example.cz"],
        ["flush", "--account", "jana@example.cz"],
        ["forget-owner", "jana@example.cz"],
        ["journal", "--account", "jana@example.cz"],
        ["connections", "--account", "jana@example.cz"],
        ["connections", "end", "--account", "jana@example.cz", "--yes"],
    ],
)
def test_cachectl_with_another_secret_refuses_commands_that_would_find_nothing(
    operator, cache, capsys, command
):
    assert main(command) == 1
    words = capsys.readouterr().err
    assert "is not the one that the daemon" in words
    assert "Nothing was done" in words
    assert "OIG_SECRET_FILE" in words
    operator.setenv("OIG_SECRET_FILE", str(cache.folder / "secret"))
    assert main(command) == 0


def test_the_journal_is_read_without_a_daemon_to_compare_with(operator, cache, capsys):
    cache.stop()
    assert main(["journal", "--account", "jana@example.cz"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("command", [["stats"], ["sessions"], ["flush"], ["ping"]])
def test_cachectl_needs_no_secret_for_commands_that_name_no_account(operator, command):
    assert main(command) == 0


def test_cachectl_works_with_a_daemon_that_has_no_secret_yet(folder, monkeypatch):
    monkeypatch.setenv("OIG_RUN_DIR", str(folder))
    load_secret(folder / "secret")
    asked: list[str] = []
    answers = {
        "hello": welcome_with(None, 0),
        "unlock": (1,),
        "stats": ({"backing_failing": 0},),
    }

    def serve(connection) -> None:
        reader = wire.FrameReader(wire.MAX_REQUEST_BYTES)
        while data := connection.recv(65536):
            for body in reader.feed(data):
                request = request_of(body)
                asked.append(request.verb)
                fields = answers[request.verb]
                connection.sendall(wire.encode(Reply(request.id, "ok", fields)))

    with listening(folder / "cache.sock", serve):
        assert main(["unlock", "jana@example.cz"]) == 0
    assert asked == ["hello", "unlock", "stats"]
