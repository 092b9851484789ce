"""What an operator unlocks is unlocked in the workers as well, and stays so without the daemon."""

from __future__ import annotations

import subprocess
import sys
from contextlib import aclosing

import pytest

from server.cache.blocking import BlockingClient
from server.settings.places import ROOT
from server.state.vocabulary import REJECTED, Ask, Hit, Lease, Locked

from .cache_process import PATIENCE, running_cache
from .daemon_worker import Worker
from .fleet import check_auth, running_fleet
from .system import clean_environment

HOME, CAFE = "192.0.2.1", "203.0.113.7"
JANA, PETR = b"j" * 32, b"p" * 32
RIGHT = b"r" * 32

LOCKS = {
    "a pair": {"OIG_WRONG_PER_SOURCE": "1"},
    "an account": {"OIG_WRONG_PER_ACCOUNT": "1"},
    "a source": {"OIG_WRONG_ACCOUNTS_PER_SOURCE": "1"},
}
"""What is locked for HOME and JANA after a wrong password there, with these settings."""

UNLOCKS = {
    "unlock EMAIL": ("unlock", "budget", JANA),
    "unlock --source": ("unlock", "source", HOME),
    "flush --lockouts": ("flush", "lockouts"),
    "flush --all": ("flush", "all"),
}

OTHERS = {
    "unlock of another account": ("unlock", "budget", PETR),
    "unlock of another source": ("unlock", "source", CAFE),
    "flush": ("flush", "sessions"),
}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def key(number: int) -> bytes:
    return bytes([number]) * 32


async def after(settings: dict[str, str], verb: str, *arguments: object) -> object:
    """Return what the right password gets of a worker alone that was locked, and then unlocked."""
    with running_cache(settings=settings) as cache:
        async with aclosing(Worker(cache.path)) as one:
            lease = await one.login(key(1), JANA)
            assert isinstance(lease, Lease)
            assert await one.failed(key(1), lease.token, REJECTED, account=JANA)
            assert isinstance(await one.login(key(2), JANA), Locked)
            with BlockingClient(cache.path, PATIENCE) as client:
                client.call(verb, *arguments)
            await one.ping()  # the notice came before this answer
            cache.kill()
            return await one.login(RIGHT, JANA)


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("unlock", UNLOCKS)
async def test_an_unlock_applies_in_a_worker_that_loses_its_daemon_afterwards(lock, unlock):
    outcome = await after(LOCKS[lock], *UNLOCKS[unlock])
    if (lock, unlock) == ("an account", "unlock --source"):
        # As at the daemon: what is counted over all sources stays.
        assert isinstance(outcome, Locked)
    else:
        assert isinstance(outcome, Lease)


@pytest.mark.parametrize("other", OTHERS)
async def test_an_unlock_of_something_else_leaves_the_lock_in_that_worker(other):
    assert isinstance(await after(LOCKS["a pair"], *OTHERS[other]), Locked)


@pytest.mark.parametrize("unlock", UNLOCKS)
async def test_failures_that_a_worker_counted_itself_are_cleared_too(unlock):
    with running_cache() as cache:
        async with aclosing(Worker(cache.path)) as one:
            await one.ping()  # connected from now on
            for number in range(2):
                wrong = Ask("login", JANA, key(number), HOME)
                one.local.rejected(wrong)
            with BlockingClient(cache.path, PATIENCE) as operator:
                operator.call(*UNLOCKS[unlock])
            await one.ping()
            cache.kill()
            assert isinstance(await one.login(RIGHT, JANA), Lease)


async def test_sessions_stay_when_only_failures_are_cleared():
    with running_cache() as cache:
        async with aclosing(Worker(cache.path)) as one:
            await one.open(RIGHT, account=JANA)
            with BlockingClient(cache.path, PATIENCE) as client:
                for unlock in ("unlock EMAIL", "unlock --source", "flush --lockouts"):
                    client.call(*UNLOCKS[unlock])
            await one.ping()
            cache.kill()
            assert isinstance(await one.login(RIGHT, JANA), Hit)


@pytest.mark.parametrize(
    "command", [["unlock", "demo@example.com"], ["unlock", "--source", "127.0.0.1"]]
)
def test_every_worker_accepts_the_right_password_after_cachectl_unlock(command):
    with running_fleet(2, OIG_WRONG_PER_SOURCE="1") as fleet:

        def texts(password: str) -> set[str]:
            told = [check_auth(fleet.url, password=password) for _ in range(12)]
            return {one["content"][0]["text"] for one in told if one["isError"]}

        check_auth(fleet.url, password="wrong")
        assert all("Too many failed logins" in text for text in texts("demo"))
        done = subprocess.run(
            [sys.executable, "-m", "cachectl", *command],
            cwd=ROOT,
            env=clean_environment(OIG_RUN_DIR=str(fleet.folder)),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        fleet.kill_daemon()
        assert texts("demo") == set()
