"""A flush of many accounts is made in slices: whoever else is served has a turn between two."""

import asyncio

import pytest

from server.state.accounts import Accounts
from server.state.limits import Limits, Policy
from server.state.memory import PAGE, MemoryStorage
from server.state.vocabulary import Put

ACCOUNTS = 4 * PAGE


class Turns:
    """How often another task had its turn."""

    def __init__(self) -> None:
        self.had = 0

    async def take(self) -> None:
        while True:
            self.had += 1
            await asyncio.sleep(0)


@pytest.mark.parametrize("what", ["all", "lockouts", "expired"])
async def test_others_have_a_turn_after_each_page_of_a_flush(what):
    accounts = Accounts(MemoryStorage(Limits()), Limits(), Policy().cut())
    for number in range(ACCOUNTS):
        account = number.to_bytes(32, "big")
        await accounts.call(Put("session", account, b"k" * 32, b"session", 3600.0))
    turns = Turns()
    others = asyncio.create_task(turns.take())
    await asyncio.sleep(0)
    before = turns.had
    await accounts.upkeep.flush(what)
    assert turns.had - before >= ACCOUNTS // PAGE - 1
    others.cancel()
    await accounts.stop()
