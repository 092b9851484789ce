"""Turns to log in are lost to nobody, whatever happens while a swap is under way and lost."""

from __future__ import annotations

import pytest

from server.state.storage import TURNS, StorageAway, of_account
from server.state.vocabulary import Away, Hit, Lease, Unavailable

from .accounts_house import CAFE, HOME, account, key, value
from .shared_contract import told

ONE_BY_ONE = {"logins_at_once": 1, "login_burst": 1000, "logins_per_second": 1000}


class HeldSwap:
    """The next swap of an account in a house: it waits, and is then lost or fails."""

    def __init__(self, house, number):
        self.house, self.name = house, of_account(account(number))
        self.reached = False
        self.end = house.loop.create_future()
        self.swap, house.storage.swap = house.storage.swap, self.hold

    async def hold(self, name, *rest):
        if name != self.name or self.reached:
            return await self.swap(name, *rest)
        self.reached = True
        return await self.end

    def hear(self):
        self.house.loop.hear("the swap", lambda: self.reached)

    def lose(self):
        self.end.set_result(False)
        self.house.loop.settle()

    def fail(self):
        self.end.set_exception(StorageAway("it was away for a moment"))
        self.house.loop.settle()


def end_of_login(house, number, lease):
    house.fail(key(number), lease.token, "timeout", 0.0)


def is_served(ticket, house):
    return house.accounts._rounds.room.turns.served(ticket) is True


def log_in(house, number):
    """Log in as soon as there is a turn, and end that."""
    outcome = house.acquire(number, source="203.0.113.9")
    lease = outcome if isinstance(outcome, Lease) else told(house, outcome)
    assert isinstance(lease, Lease)
    assert house.fulfil(key(number), lease.token, value(number), 60.0)


class TurnsContract:
    def test_a_turn_that_comes_while_a_swap_is_lost_is_used(self, hosts):
        one, other = hosts(**ONE_BY_ONE)
        lease = other.lease(1)
        waiting = one.ticket(2, HOME)
        swap = HeldSwap(one, 2)
        one.ticket(3, CAFE, of=2)  # a round about others of the account
        swap.hear()
        end_of_login(other, 1, lease)
        turn = waiting.waiter.group.ticket
        one.loop.hear("its turn", lambda: is_served(turn, one))
        swap.lose()
        assert isinstance(told(one, waiting), Lease)

    @pytest.mark.parametrize("end", ["lost", "withdrawn", "away"])
    def test_a_turn_goes_on_or_ends_when_the_swap_of_its_lease_is_not_made(self, hosts, end):
        one, other = hosts(**ONE_BY_ONE)
        lease = other.lease(1)
        waiting = one.ticket(2)
        swap = HeldSwap(one, 2)
        end_of_login(other, 1, lease)
        swap.hear()
        match end:
            case "lost":
                swap.lose()
                lease = told(one, waiting)
                assert isinstance(lease, Lease)
                end_of_login(one, 2, lease)
            case "withdrawn":
                one.withdraw(waiting)
                swap.lose()
            case "away":
                swap.fail()
                assert told(one, waiting) == Away()
        log_in(other, 3)

    def test_a_lost_swap_takes_no_turn_of_those_who_wait_for_the_same_login(self, hosts):
        one, other = hosts(**ONE_BY_ONE)
        lease = other.lease(1)
        same = one.ticket(2, CAFE)
        swap = HeldSwap(one, 2)
        first = one.ticket(2, HOME)
        end_of_login(other, 1, lease)
        swap.hear()
        swap.lose()
        one.loop.hear("a lease", lambda: same.outcome or first.outcome)
        granted = next(one.outcome for one in (same, first) if one.outcome is not None)
        assert one.fulfil(key(2), granted.token, value(2), 60.0)
        for ticket in (same, first):
            assert isinstance(told(one, ticket), (Hit, Lease))
        log_in(other, 3)

    def test_who_waits_hears_at_once_that_the_storage_is_away_after_the_swap(self, hosts):
        one, _ = hosts()
        one.store(2, of=1)
        lease = one.lease(1)
        waiting = one.ticket(1)

        async def flush(*_, **__):
            raise StorageAway("it has just gone")

        one.storage.flush = flush
        with pytest.raises(StorageAway):  # the session in place of another has to be announced
            one.fulfil(key(1), lease.token, value(1), 60.0)
        assert told(one, waiting) == Away()

    def test_those_who_wait_join_again_when_the_turns_are_lost(self, hosts):
        one, other = hosts(**ONE_BY_ONE)
        one.lease(1)
        waiting = {house.ticket(n): house for n, house in enumerate([one, other] * 3, 2)}
        connection = one.shared._connection
        one.loop.do(lambda: connection.ask("DEL", one.shared._key(TURNS)))
        one.run(2.0)
        while waiting:
            one.loop.hear("a turn", lambda: any(ticket.outcome for ticket in waiting))
            ticket = next(one for one in waiting if one.outcome is not None)
            house = waiting.pop(ticket)
            assert isinstance(ticket.outcome, Lease)
            assert house.fulfil(ticket.key, ticket.outcome.token, b"session", 60.0)

    def test_who_has_to_make_room_for_another_hosts_login_is_refused(self, hosts):
        one, other = hosts(**ONE_BY_ONE, turns=2)
        one.lease(1)
        crowd = [one.ticket(number, f"192.0.2.{number}") for number in (2, 3)]
        other.ticket(4, "203.0.113.1")
        one.loop.hear("a refusal", lambda: any(ticket.outcome for ticket in crowd))
        assert [type(ticket.outcome) for ticket in crowd] == [type(None), Unavailable]
