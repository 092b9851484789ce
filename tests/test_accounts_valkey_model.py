"""The model of accounts over a real server: a process that is killed loses its leases alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from .test_accounts_model import LIMITS, POLICY, AccountsAgainstModel
from .valkey_house import house_at, new_prefix
from .valkey_servers import PROGRAMS, running


class AccountsOverServer(AccountsAgainstModel):
    server: Any

    def build(self, restored: Any, now: float) -> None:
        self.prefix = restored or new_prefix()
        self.house = house_at(self.server, self.prefix, POLICY, now, **LIMITS)

    def kill(self) -> None:
        before, now = (self.counted(), self.known()), self.time
        for kept in (self.leases, self.tickets, self.lost, self.granted):
            kept.clear()
        self.house.close()
        self.build(self.prefix, now)
        assert (self.counted(), self.known()) == before

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "house"):
            logins = [one for one in self.house.leases.values() if one.credential is not None]
            assert len(logins) == len(self.leases)
            waiting = sum(len(one.waiters) for one in self.house.accounts._rounds.room.groups())
            assert waiting == len(self.tickets) <= LIMITS["waiters"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_accounts_over_a_server_against_the_model(program):
    with running(program) as server:
        machine = type("Machine", (AccountsOverServer,), {"server": server})
        bounds = settings(max_examples=10, stateful_step_count=20, deadline=None)
        run_state_machine_as_test(machine, settings=bounds)
