"""What holds between processes that share a storage: each house is a process of some host."""

import asyncio

from server.state.limits import Policy
from server.state.vocabulary import (
    BUSY,
    AskTurn,
    Done,
    Found,
    Get,
    Hit,
    Lease,
    Locked,
    Missing,
    Turn,
    Unavailable,
)

from .accounts_house import CAFE, HOME, Ticket, account, key, value

MANY = {"login_burst": 1000, "logins_at_once": 1000}


def told(house, ticket):
    """Return what somebody is told, without any time passing."""
    house.loop.hear("an outcome", lambda: ticket.outcome is not None)
    return ticket.outcome


def unsubscribe(house):
    """Have a process be gone for the others, as one that is killed or connects again."""
    house.loop.wait(house.shared._notices.aclose())


def subscribe(house):
    notices = house.shared._notices
    house.loop.do(notices.restart)
    house.loop.hear("it is back", lambda: notices.since is not None)


class SharedContract:
    def test_two_hundred_who_ask_two_hosts_for_one_credential_make_one_login(self, hosts):
        one, other = hosts()
        lease = one.lease(1)
        tickets = [(house, house.ticket(1)) for house in (one, other) for _ in range(100)]
        assert one.fulfil(key(1), lease.token, value(1), 60.0)
        assert [told(*one) for one in tickets] == [Hit(value(1), 60.0, 0.0, b"")] * 200
        assert other.stat("leases_granted_total") == 0

    def test_all_who_wait_at_another_host_are_told_how_a_login_ended(self, hosts):
        one, other = hosts()
        lease = one.lease(1)
        waiting = other.ticket(1, source=HOME)
        one.fail(key(1), lease.token, "timeout", 5.0)
        assert told(other, waiting) == Unavailable("timeout", 5.0)

    def test_a_lock_at_one_host_is_a_lock_at_the_other(self, hosts):
        one, other = hosts(**MANY)
        other.store(1, HOME)
        for number in range(10, 15):
            (one if number % 2 else other).reject(number, source=CAFE, of=1)
        assert one.acquire(1, source=CAFE) == other.acquire(1, source=CAFE) == Locked(30.0)
        assert isinstance(other.acquire(1, source=HOME), Hit)

    def test_guesses_at_two_hosts_share_the_budgets(self, hosts):
        pair = hosts(**MANY)
        outcomes = [pair[n % 2].acquire(n, source=CAFE, of=1) for n in range(50)]
        assert sum(isinstance(one, Lease) for one in outcomes) == 5
        tried = [pair[n % 2].acquire(n, source="203.0.113.1") for n in range(100, 150)]
        assert sum(isinstance(one, Lease) for one in tried) == 20

    def test_the_totals_are_those_of_the_lists(self, hosts):
        one, other = hosts(**MANY)
        for number in range(1, 8):
            (one if number % 2 else other).store(number)
        for number in range(10, 15):
            one.reject(number, source=CAFE, of=1)
        for number in range(100, 120):
            one.reject(number, source="203.0.113.1")
        locked = [row for row in one.lockouts()[1] if row["retry_after"]]
        totals = {"sessions": 7, "lockouts_active": len(locked)}
        assert other.loop.wait(other.accounts.upkeep.walk.totals()) == totals
        assert len(locked) == 2
        assert other.sessions(2)[0] == 7
        assert other.flush("sessions")[0] == 7
        assert one.loop.wait(one.accounts.upkeep.walk.totals()) == {**totals, "sessions": 0}

    def test_who_waits_for_a_budget_goes_on_when_another_host_frees_it(self, hosts):
        one, other = hosts(2, Policy(per_source=1), **MANY)
        lease = one.lease(1, source=CAFE, of=1)
        waiting = other.ticket(2, source=CAFE, of=1)
        one.fulfil(key(1), lease.token, value(1), 60.0)
        assert isinstance(told(other, waiting), Lease)

    def test_a_flush_at_one_host_takes_sessions_and_leases_of_the_other(self, hosts):
        one, other = hosts()
        other.store(1)
        lease = other.lease(2)
        assert one.flush("sessions") == (1, 0)
        assert not other.fulfil(key(2), lease.token, value(2), 60.0)
        assert isinstance(other.acquire(1), Lease)

    def test_flushes_at_once_are_all_counted(self, hosts):
        one, other = hosts()
        before = one.storage.epochs.sessions
        flushes = [
            house.accounts.upkeep.flush("sessions") for house in (one, other) for _ in range(4)
        ]
        one.loop.wait(_all(flushes))
        assert one.loop.wait(one.storage.flush(dropped=True)).sessions == before + 8

    def test_an_unlock_at_one_host_lets_those_of_the_other_go_on(self, hosts):
        one, other = hosts(2, Policy(per_source=2), **MANY)
        for number in (1, 2):
            other.reject(number, source=CAFE, of=1)
        assert isinstance(other.acquire(3, source=CAFE, of=1), Locked)
        assert one.unlock(account(1)) == 2
        assert isinstance(other.acquire(3, source=CAFE, of=1), Lease)

    def test_an_unlock_of_a_source_reaches_all_hosts(self, hosts):
        one, other = hosts(2, Policy(accounts_per_source=2), **MANY)
        for number in (1, 2):
            other.reject(number, source=CAFE)
        assert isinstance(other.acquire(3, source=CAFE), Locked)
        assert one.unlock_source(CAFE) == 3
        assert isinstance(other.acquire(3, source=CAFE), Lease)

    def test_one_answer_is_asked_for_by_one_and_told_to_all(self, hosts):
        one, other = hosts()
        lease = one.fetch(50)
        waiting = [other.ask_answer(50) for _ in range(10)]
        assert one.fulfil(key(50), lease.token, b"answer", 60.0)
        assert [told(other, one) for one in waiting] == [Hit(b"answer", 60.0)] * 10
        assert other.stat("fetches_total") == 0

    def test_requests_of_one_account_keep_their_distance_over_hosts(self, hosts):
        one, other = hosts()
        assert one.ask(AskTurn(account(1))) == Turn()
        waiting = [other.ask(AskTurn(account(1))), one.ask_answer(50), other.ask_answer(51)]
        when = {}
        for _ in range(40):
            one.loop.run(0.25)
            for ticket in waiting:
                if ticket.outcome is not None:
                    when.setdefault(ticket, one.time)
        assert [type(ticket.outcome) for ticket in waiting] == [Turn, Lease, Lease]
        first, *others = sorted(when.values())
        assert first <= 1001.5
        assert others[0] - first >= 1.0 - 0.25
        assert others[1] - others[0] >= 1.0 - 0.25

    def test_an_account_that_the_portal_wants_to_be_left_alone_is_so_by_all(self, hosts):
        one, other = hosts()
        one.fail(key(50), one.fetch(50).token, BUSY, 30.0)
        assert other.ask_answer(51) == Unavailable(BUSY, 30.0)

    def test_no_more_logins_are_made_at_once_than_may_over_all_hosts(self, hosts):
        pair = hosts(3)
        outcomes = [pair[n % 3].acquire(n, source=f"203.{n}.113.1") for n in range(12)]
        assert sum(isinstance(one, Lease) for one in outcomes) == 4

    def test_a_turn_that_ends_at_one_host_goes_to_who_waits_at_another(self, hosts):
        one, other = hosts(logins_at_once=1)
        lease = one.lease(1)
        waiting = other.ticket(2)
        one.fail(key(1), lease.token, "timeout", 0.0)
        assert isinstance(told(other, waiting), Lease)

    def test_the_pace_is_one_for_all_hosts(self, hosts):
        pair = hosts(logins_at_once=1000)
        outcomes = [pair[n % 2].acquire(n, source=f"203.{n}.113.1") for n in range(30)]
        assert sum(isinstance(one, Lease) for one in outcomes) == 10
        pair[0].loop.run(5.0)
        granted = [one for one in outcomes if isinstance(one, Ticket) and one.outcome is not None]
        assert 8 <= len(granted) <= 10

    def test_a_handle_of_one_host_leads_to_session_and_answer_at_another(self, hosts):
        one, other = hosts()
        lease = one.lease(1)
        more = {"handle": key(70), "record": b"record"}
        assert one.fulfil(key(1), lease.token, value(1), 60.0, **more)
        one.time += 1.0
        assert one.fulfil(key(50), one.fetch(50).token, b"answer", 30.0)
        found = other.get(key(50), handle=key(70))
        assert isinstance(found, Found)
        assert (found.session.value, found.answers) == (value(1), (Hit(b"answer", 30.0),))
        assert one.forget("handle", 1, key(70)) == Done(0)
        assert other.get(key(50), handle=key(70)) == Missing()

    def test_a_new_password_at_one_host_ends_what_another_reads_with_the_old_one(self, hosts):
        one, other = hosts()
        one.store(1)
        one.time += 1.0
        fetch = other.fetch(50)
        one.store(2, of=1)
        assert not other.fulfil(key(50), fetch.token, b"answer", 30.0)
        assert isinstance(other.acquire(1), Lease)

    def test_what_is_asked_for_at_both_at_once_is_decided_once_each(self, hosts):
        one, other = hosts(**MANY)
        for number in range(20):
            lease = one.lease(number)
            other.loop.do(lambda of=number: other.loop.create_task(_look(other, of)))
            assert one.fulfil(key(number), lease.token, value(number), 60.0)
        one.loop.settle()
        for number in range(20):
            assert isinstance(other.acquire(number), Hit)

    def test_only_those_count_as_waiting_who_have_to(self, hosts):
        one, other = hosts(logins_at_once=1)
        lease = one.lease(1)
        assert one.stat("waits_total") == 0
        waiting = other.ticket(2)
        other.loop.hear("it has to wait", lambda: waiting.waits)
        assert other.stat("waits_total") == 1
        one.fail(key(1), lease.token, "timeout", 0.0)
        assert isinstance(told(other, waiting), Lease)
        assert (one.stat("waits_total"), other.stat("waits_total")) == (0, 1)


class DeathsContract:
    """Whose leases are given to others, and whose are not."""

    def test_a_lease_of_a_process_that_was_killed_goes_to_who_waits_within_four_seconds(
        self, hosts
    ):
        one, other = hosts()
        one.lease(1)
        waiting = other.ticket(1)
        assert other.run(5.0) == {}
        unsubscribe(one)
        assert isinstance(other.run(4.0).get(waiting), Lease)

    def test_turns_of_a_process_that_was_killed_go_to_who_waits(self, hosts):
        one, other = hosts(logins_at_once=1)
        one.lease(1)
        waiting = other.ticket(2)
        other.run(5.0)
        unsubscribe(one)
        assert isinstance(other.run(4.0).get(waiting), Lease)

    def test_nobody_is_dead_for_who_does_not_see_itself(self, hosts):
        one, other = hosts()
        one.lease(1)
        waiting = other.ticket(1)
        for house in (one, other):
            unsubscribe(house)
        other.run(10.0)
        assert waiting.outcome is None

    def test_nobody_is_dead_for_who_has_just_come_back(self, hosts):
        one, other = hosts()
        one.lease(1)
        waiting = other.ticket(1)
        other.run(5.0)
        for house in (one, other):
            unsubscribe(house)
        subscribe(other)
        other.run(1.5)
        assert waiting.outcome is None

    def test_who_connects_again_loses_nothing(self, hosts):
        one, other = hosts()
        one.lease(1)
        waiting = other.ticket(1)
        other.run(5.0)
        for _ in range(5):
            unsubscribe(one)
            other.run(0.6)
            subscribe(one)
            other.run(0.6)
        assert waiting.outcome is None

    def test_an_own_lease_of_which_the_reply_got_lost_is_granted_anew_at_once(self, hosts):
        one, _ = hosts()
        lease = one.lease(1)
        del one.leases[lease.token]  # as when the swap was made and the reply did not come
        assert isinstance(one.acquire(1), Lease)

    def test_an_own_turn_of_which_the_end_got_lost_stops_nobody(self, hosts):
        one, other = hosts(logins_at_once=1)
        lease = one.lease(1)
        ticket = one.leases[lease.token].ticket
        one.accounts._rounds.room.turns._taken.discard(ticket)
        assert isinstance(one.acquire(2), Lease)
        assert isinstance(other.acquire(3), Ticket)


async def _all(coroutines):
    await asyncio.gather(*coroutines)


async def _look(house, number):
    await house.accounts.call(Get(account=account(number), key=key(number)))
