"""Workers of two hosts that log in at one account at once, in real time: none is left waiting."""

from __future__ import annotations

import asyncio

import pytest

from server.state.accounts import Accounts
from server.state.limits import Limits, Policy
from server.state.vocabulary import Ask, Done, Fulfil, Lease

from .accounts_house import account, key, value
from .test_valkey import opened
from .valkey_servers import PROGRAMS, running

ROUNDS = 20
LIMITS = Limits(logins_at_once=1000, login_burst=1000, logins_per_second=1000)


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def log_in(worker: Accounts, number: int, source: str) -> None:
    """Log in at an account with a password and from a source of its own."""
    whose, pair = account(number), key(number * 10 + int(source[-1]))
    lease = await worker.call(Ask("login", whose, pair, source))
    assert isinstance(lease, Lease)
    stored = await worker.call(Fulfil("login", whose, pair, lease.token, value(number), 60.0))
    assert stored == Done()


@pytest.mark.parametrize("program", PROGRAMS)
async def test_four_passwords_at_one_account_over_two_hosts_all_have_their_turns(program):
    with running(program) as server:
        async with opened(server) as one, opened(server) as other, asyncio.timeout(20.0):
            workers = [Accounts(storage, LIMITS, Policy()) for storage in (one, other)]
            for number in range(ROUNDS):
                await asyncio.gather(
                    *(log_in(workers[n % 2], number, f"192.0.2.{n}") for n in range(4))
                )
            assert sum(worker.upkeep.stats()["swaps_lost_total"] for worker in workers) > ROUNDS
            left = [turns._taken for turns in (worker._rounds.room.turns for worker in workers)]
            assert left == [set(), set()]
            for worker in workers:
                await worker.stop()
