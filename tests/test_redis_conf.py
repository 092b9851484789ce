"""A server that goes by docs/deploy/redis.conf: what outlives a restart, and who logs in."""

from __future__ import annotations

import contextlib
import signal

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from server.state.accounts import Accounts
from server.state.limits import Limits, Policy
from server.state.vocabulary import Hit, Locked

from .accounts_house import CAFE
from .groups import Configured, follows
from .system import free_port, temporary_folder
from .test_valkey import opened
from .test_valkey_losses import ask, log_in, reject
from .valkey_servers import needed
from .waiting import wait_until

OPERATOR = "user operator on nopass +bgrewriteaof +info"
"""Has the server do what it does by itself when its append-only file has grown."""


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module", params=["redis", "valkey"])
def server(request):
    """Give a primary that has a replica: without one, Redis writes no transactions to its file."""
    path = needed(request.param)
    with contextlib.ExitStack() as stack:
        primary, replica = (
            Configured(path, stack.enter_context(temporary_folder()), free_port(), (OPERATOR,))
            for _ in range(2)
        )
        replica.follows = primary.port
        for one in (primary, replica):
            stack.callback(one.kill)
            one.start()
        wait_until("the replica follows", lambda: follows(replica))
        yield primary


def rewrite(server: Configured) -> None:
    """Have the append-only file rewritten."""
    with redis.Redis(unix_socket_path=str(server.socket), username="operator") as operator:
        operator.bgrewriteaof()

        def is_over() -> bool:
            seen = operator.info("persistence")
            return not seen["aof_rewrite_in_progress"] and not seen["aof_rewrite_scheduled"]

        wait_until("the file is rewritten", is_over)
        assert operator.info("persistence")["aof_last_bgrewrite_status"] == "ok"


def transactions(server: Configured) -> int:
    """Return how many are in its append-only file since that was rewritten."""
    files = (server.folder / "appendonlydir").glob("*.incr.aof")
    return sum(file.read_bytes().count(b"\r\nMULTI\r\n") for file in files)


async def report(accounts: Accounts, number: int) -> None:
    """Store a session, and lock another account."""
    await log_in(accounts, number)
    for wrong in range(number + 1, number + 6):
        await reject(accounts, wrong, of=number + 1)


async def are_there(accounts: Accounts, number: int) -> bool:
    session = await accounts.call(ask(number))
    locked = await accounts.call(ask(number + 9, CAFE, of=number + 1))
    return isinstance(session, Hit) and isinstance(locked, Locked)


async def test_sessions_and_locks_outlive_each_kind_of_restart(server):
    """Of a transaction Redis 7.0 loads what its default user has the rights for, and no more."""
    url, limits = f"unix://oig:CHANGE-oig@{server.socket}", Limits(login_burst=100)
    async with opened(server, url, limits=limits) as storage:
        accounts = Accounts(storage, limits, Policy())
        await report(accounts, 1)
        assert transactions(server)
        rewrite(server)
        await report(accounts, 11)
        assert transactions(server)
    for ending in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        server.end(ending)
        server.start()
        async with opened(server, url, limits=limits) as storage:
            accounts = Accounts(storage, limits, Policy())
            assert [await are_there(accounts, number) for number in (1, 11)] == [True, True]
        with server.client() as sentinel:  # as after a fail-over
            sentinel.config_rewrite()


def test_nobody_logs_in_as_the_default_user(server):
    path, once = str(server.socket), Retry(NoBackoff(), 0)
    for password in (None, "", "CHANGE-oig"):
        with (
            redis.Redis(unix_socket_path=path, password=password, retry=once) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()
