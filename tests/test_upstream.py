"""Answers shared by everybody who may have them, and by nobody else."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.auth.access import Access
from server.auth.caller import Caller
from server.auth.handles import Handles
from server.auth.sealing import Credential, Sealer
from server.auth.sessions import Sessions
from server.errors import (
    AccessDenied,
    CredentialsRejected,
    LocalProtocolError,
    TooManyAttempts,
    TooManyLogins,
)
from server.readings.boxes import list_boxes
from server.state.fallback import SharedAccounts
from server.state.vocabulary import Fulfil
from server.tool_failure import ToolFailure
from server.upstream.portal_reader import Upstream

from .local_accounts import local_accounts
from .portal_simulator import DEMO_BOX, QUEEN_BOX, SECOND_BOX, InProcess

SECRET = b"s" * 32
NOW = datetime.now(UTC)
BOXES = {"demo@example.com": {DEMO_BOX}, "demo2@example.com": {SECOND_BOX, QUEEN_BOX}}
OWNERS = sorted(BOXES)

actions = st.tuples(
    st.sampled_from(OWNERS),
    st.sampled_from(["password", "password", "handle", "wrong", "others handle"]),
    st.sampled_from(["home", "away"]),
    st.integers(0, 3),  # how many turns of the loop it comes later
)


class House:
    """Everything of a worker between a tool and the portal, in this process.

    Args:
        step: Seconds by which the accounts' clock moves on with each look at it, so that the gap
            between reads makes no test wait.
        now: Another clock for the accounts.
        accounts: Other accounts, with a clock of their own.
    """

    def __init__(
        self,
        step: float = 2.0,
        now: Callable[[], float] | None = None,
        accounts: SharedAccounts | None = None,
    ) -> None:
        ticks = itertools.count(step=step)
        self.portal = InProcess()
        self.client = self.portal.client()
        self.accounts = accounts or local_accounts(now or (lambda: next(ticks)), burst=100)
        self.sealer, handles = Sealer(SECRET, InProcess.base_url), Handles(SECRET)
        self.sessions = Sessions(self.accounts, self.client, self.sealer, handles, ttl=43200.0)
        self.access = Access(self.sessions, self.accounts, handles, self.sealer)
        self.upstream = Upstream(self.accounts, self.access, self.client, self.sealer)

    async def close(self) -> None:
        await self.upstream.aclose()
        await self.sessions.aclose()
        await self.accounts.stop()
        await self.client.aclose()


def caller(email, password="demo", handle=None, source="home"):
    return Caller(Credential(email, password), handle, source, source)


@settings(max_examples=15, deadline=None)
@given(st.lists(actions, min_size=2, max_size=12))
def test_no_interleaving_of_calls_shows_anybody_the_boxes_of_another_account(calls):
    async def run():
        house = House()
        handles = {}
        for email in OWNERS:
            handles[email] = (await house.access.open(caller(email))).session.handle

        async def call(email, way, source, later):
            for _ in range(later):
                await asyncio.sleep(0)
            who, owner = caller(email, source=source), email
            if way == "wrong":
                who = caller(email, "wrong", source=source)
            elif way == "handle":
                who = Caller(None, handles[email], source, source)
            elif way == "others handle":
                # The handle says whose data it is, whoever else the call names.
                owner = next(other for other in OWNERS if other != email)
                who = caller(email, handle=handles[owner], source=source)
            try:
                fetched = await house.upstream.live(await house.access.open(who))
            except (AccessDenied, CredentialsRejected, TooManyAttempts, TooManyLogins):
                return
            assert way != "wrong"
            told = {box.id for box in list_boxes(fetched.payload, NOW).boxes}
            assert told == BOXES[owner]

        try:
            await asyncio.gather(*(call(*one) for one in calls))
        finally:
            await house.close()

    asyncio.run(asyncio.wait_for(run(), 60))


async def test_errors_for_an_unknown_handle_and_a_missing_login_say_what_to_do():
    house = House()
    try:
        for who in (Caller(None, None, "home", "home"), Caller(None, "oig_x", "home", "home")):
            with pytest.raises(AccessDenied) as caught:
                await house.access.open(who)
            assert "check_auth" in ToolFailure.of(caught.value).text
            assert "check_auth" not in str(caught.value)
    finally:
        await house.close()


async def test_an_answer_that_cannot_be_stored_delays_nobody(monkeypatch):
    house = House()
    carry_out = house.accounts.call

    async def call(request):
        """As the client of the daemon does with what breaks the protocol."""
        if isinstance(request, Fulfil) and request.space == "answer":
            raise LocalProtocolError("ttl")
        return await carry_out(request)

    try:
        granted = await house.access.open(caller(OWNERS[0]))
        monkeypatch.setattr(house.accounts, "call", call)
        for _ in range(2):
            with pytest.raises(LocalProtocolError, match="ttl"):
                await asyncio.wait_for(house.upstream.live(granted), 60)
            assert house.accounts.upkeep.stats()["fetches"] == 0
    finally:
        await house.close()
