"""The engine's decisions, one sentence each. No sleeps: the clock is ours."""

import hashlib
import itertools
from pathlib import Path

import pytest

from server.cache import held as held_module
from server.cache.engine import Engine, Limits, Ticket
from server.cache.limits import TTL_MAX, VALUE_MAX_BYTES
from server.cache.outcomes import BUSY, PACED, Hit, Lease, Locked, Rejected, Unavailable
from server.cache.throttle import Policy, Throttle
from server.sources import network_of

HOME, CAFE = "192.0.2.1", "198.51.100.7"
DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def key(number: int) -> bytes:
    return b"k" + number.to_bytes(31, "big")


def account(number: int) -> bytes:
    return b"a" + number.to_bytes(31, "big")


def value(number: int) -> bytes:
    return b"session of " + key(number)


class House:
    """An engine, its clock, and the calls that tests repeat."""

    def __init__(self, policy: Policy | None = None, **limits) -> None:
        self.clock = Clock()
        self.throttle = Throttle(policy or Policy(), self.clock)
        tokens = itertools.count()
        self.limits = Limits(**limits)
        self.engine = Engine(
            self.limits, self.throttle, self.clock, lambda: next(tokens).to_bytes(16, "big")
        )

    def acquire(self, number, source=HOME, holder="worker", of=None, budget=None):
        return self.engine.acquire(
            key(number),
            account(number if of is None else of),
            source,
            holder,
            None if budget is None else account(budget),
        )

    def lease(self, number, source=HOME, holder="worker", of=None) -> Lease:
        outcome = self.acquire(number, source, holder, of)
        assert isinstance(outcome, Lease), outcome
        return outcome

    def ticket(self, number, source=HOME, holder="worker", of=None) -> Ticket:
        outcome = self.acquire(number, source, holder, of)
        assert isinstance(outcome, Ticket), outcome
        return outcome

    def store(self, number, source=HOME, ttl=43200.0, of=None) -> None:
        lease = self.lease(number, source, of=of)
        assert self.engine.fulfil(key(number), lease.token, value(number), ttl)

    def reject(self, number, source=HOME, of=None) -> None:
        lease = self.lease(number, source, of=of)
        assert self.engine.fail(key(number), lease.token, "rejected", 0.0)

    def settle(self):
        return dict(self.engine.settle())

    def stat(self, name):
        return self.engine.stats()[name]

    def run(self, seconds):
        """Let time pass, settling whenever something is due; returns all answers."""
        end = self.clock.time + seconds
        answers = {}
        for _ in range(100_000):
            due = self.engine.next_due()
            if due is None or due > end:
                self.clock.time = end
                return answers
            self.clock.time = max(self.clock.time, due)
            new = self.settle()
            assert not answers.keys() & new.keys()
            answers |= new
        raise AssertionError("settle has no end")


@pytest.fixture
def house() -> House:
    return House()


class TestSessions:
    def test_the_first_who_asks_gets_a_lease_and_the_next_a_hit(self, house):
        lease = house.lease(1)
        assert lease.lasts == house.limits.lease_lasts
        assert house.engine.fulfil(key(1), lease.token, value(1), 3600.0)
        assert house.acquire(1) == Hit(value(1), 3600.0)

    def test_expiry_is_absolute_and_a_hit_never_prolongs_it(self, house):
        house.store(1, ttl=100.0)
        house.clock.time += 99.0
        assert house.acquire(1) == Hit(value(1), 1.0, 99.0)
        house.clock.time += 1.0
        assert isinstance(house.acquire(1), Lease)
        assert house.stat("expired_total") == 1

    def test_a_hit_says_for_how_long_the_portal_has_not_answered_for_the_session(self, house):
        house.store(1)
        house.clock.time += 700.0
        assert house.acquire(1).idle == house.engine.peek(key(1)).idle == 700.0
        lease = house.engine.answers.share(key(50), account(1), "worker")
        house.engine.answers.answer(key(50), lease.token, b"answer", 30.0)
        house.clock.time += 5.0
        assert house.acquire(1).idle == house.engine.peek(key(1)).idle == 5.0

    def test_only_an_answer_to_the_account_itself_ends_its_idle_time(self, house):
        house.store(1)
        house.clock.time += 700.0
        other = house.engine.answers.share(key(50), account(2), "worker")
        house.engine.answers.answer(key(50), other.token, b"answer", 30.0)
        failed = house.engine.answers.share(key(51), account(1), "worker")
        house.engine.answers.abstain(key(51), failed.token, "timeout", 1.0)
        assert house.acquire(1).idle == 700.0

    def test_a_session_that_is_brought_or_copied_is_as_idle_as_it_was(self, house):
        lease = house.lease(1)
        assert house.engine.bring(key(1), lease.token, value(1), 60.0, 900.0)
        assert house.acquire(1) == Hit(value(1), 60.0, 900.0)
        copy = House()
        copy.engine.adopt(key(1), account(1), house.acquire(1))
        copy.clock.time += 1.0
        assert copy.acquire(1).idle == 901.0
        # The daemon knows of an answer that somebody else had; its word is never taken back.
        for told, known in ((3.0, 3.0), (700.0, 3.0)):
            copy.engine.adopt(key(1), account(1), Hit(value(1), 59.0, told))
            assert copy.acquire(1).idle == known

    def test_another_key_never_gets_the_value(self, house):
        house.store(1)
        assert isinstance(house.acquire(2, of=1), Lease)

    def test_the_least_recently_used_goes_when_there_is_no_room(self):
        house = House(sessions=2)
        house.store(1)
        house.store(2)
        house.acquire(1)
        house.store(3)
        assert isinstance(house.acquire(1), Hit)
        assert isinstance(house.acquire(3), Hit)
        assert isinstance(house.acquire(2), Lease)
        assert house.stat("evicted_total") == 1
        assert house.stat("sessions") == house.stat("limit_sessions") == 2

    def test_a_new_password_ends_the_session_of_the_old(self, house):
        house.store(1, of=7)
        house.store(2, of=7)
        assert isinstance(house.acquire(2, of=7), Hit)
        assert isinstance(house.acquire(1, of=7), Lease)
        assert house.stat("bytes") == len(value(2))

    def test_a_new_login_of_the_same_key_replaces_its_session(self, house):
        house.store(1, ttl=10.0)
        house.clock.time += 10.0
        house.store(1, ttl=20.0)
        assert house.acquire(1) == Hit(value(1), 20.0)
        assert house.stat("sessions") == 1
        assert house.stat("flushed_total") == 0

    def test_a_key_that_changes_its_account_is_held_once(self, house):
        house.engine.adopt(key(1), account(1), Hit(value(1), 60.0))
        house.engine.adopt(key(1), account(2), Hit(value(2), 60.0))
        assert house.acquire(1, of=2) == Hit(value(2), 60.0)
        assert house.stat("bytes") == len(value(2))
        assert house.engine.flush("account", account(1)) == (0, 0)
        assert house.engine.flush("account", account(2)) == (1, 0)
        assert house.stat("bytes") == 0

    def test_forget_drops_only_the_very_value(self, house):
        house.store(1)
        digest = hashlib.sha256(value(1)).digest()
        assert house.engine.forget(key(1), hashlib.sha256(b"other").digest()) == 0
        assert house.engine.forget(key(2), digest) == 0
        assert house.engine.forget(key(1), digest) == 1
        assert house.engine.forget(key(1), digest) == 0
        assert isinstance(house.acquire(1), Lease)

    def test_sessions_that_ran_out_are_swept_in_slices(self, monkeypatch):
        monkeypatch.setattr(held_module, "SWEEP_SLICE", 2)
        quick = House(login_burst=100)
        for number in range(5):
            quick.store(number, ttl=10.0)
        quick.store(9, ttl=1000.0)
        assert quick.stat("sessions") == 6
        quick.clock.time += 10.0
        quick.settle()
        assert quick.stat("sessions") == 5
        quick.run(10.0)
        assert quick.stat("sessions") == 1
        assert quick.stat("bytes") == len(value(9))
        assert quick.stat("expired_total") == 5
        quick.run(1000.0)
        assert quick.engine.next_due() is None

    def test_a_copy_brought_back_is_held_as_if_it_had_just_been_had(self, house):
        lease = house.lease(1)
        waits = house.ticket(1)
        assert house.engine.bring(key(1), lease.token, value(1), 60.0, 0.0)
        assert house.settle() == {waits: Hit(value(1), 60.0)}
        assert house.acquire(1) == Hit(value(1), 60.0)

    def test_a_copy_ousts_no_later_session_of_another_password_and_its_lease_is_good_for_a_login(
        self, house
    ):
        house.store(2, of=1)
        lease = house.lease(1)
        assert not house.engine.bring(key(1), lease.token, value(1), 60.0, 0.0)
        assert house.acquire(2, of=1) == Hit(value(2), 43200.0)
        assert house.engine.fulfil(key(1), lease.token, value(1), 60.0)
        assert house.acquire(1) == Hit(value(1), 60.0)

    def test_a_copy_of_a_later_login_ousts_the_session_of_another_password(self, house):
        told = []
        house.engine.on_replaced = told.append
        house.store(2, of=1, ttl=60.0)
        lease = house.lease(1)
        assert house.engine.bring(key(1), lease.token, value(1), 61.0, 0.0)
        assert house.acquire(1) == Hit(value(1), 61.0)
        assert isinstance(house.acquire(2, of=1), Lease)
        assert told == [account(1)]

    def test_a_copy_cannot_be_brought_back_under_a_lease_that_is_lost(self, house):
        lease = house.lease(1)
        house.engine.flush("sessions")
        assert not house.engine.bring(key(1), lease.token, value(1), 60.0, 0.0)
        assert isinstance(house.acquire(1), Lease)

    @pytest.mark.parametrize("ttl", [0.0, -1.0, TTL_MAX + 1.0, float("nan"), float("inf")])
    def test_a_time_to_live_out_of_bounds_is_refused_and_the_lease_stays(self, house, ttl):
        lease = house.lease(1)
        with pytest.raises(ValueError, match="ttl"):
            house.engine.fulfil(key(1), lease.token, value(1), ttl)
        assert house.engine.fulfil(key(1), lease.token, value(1), TTL_MAX)

    @pytest.mark.parametrize("size", [0, VALUE_MAX_BYTES + 1])
    def test_a_value_of_a_wrong_size_is_refused(self, house, size):
        lease = house.lease(1)
        with pytest.raises(ValueError, match="value"):
            house.engine.fulfil(key(1), lease.token, bytes(size), 1.0)

    @pytest.mark.parametrize(
        "arguments",
        [
            (b"k" * 31, account(1), HOME),
            (key(1), b"a" * 33, HOME),
            (key(1), account(1), ""),
            (key(1), account(1), "x" * 65),
            (key(1), account(1), HOME, b"b" * 31),
        ],
    )
    def test_a_question_of_a_wrong_size_is_refused(self, house, arguments):
        with pytest.raises(ValueError, match="size"):
            house.engine.acquire(*arguments[:3], "worker", *arguments[3:])

    def test_a_worker_may_keep_copies_of_what_the_daemon_holds(self, house):
        house.engine.adopt(key(1), account(1), Hit(value(1), 10.0))
        assert house.engine.find(key(1)) == Hit(value(1), 10.0)
        assert house.acquire(1) == Hit(value(1), 10.0)
        house.clock.time += 10.0
        assert house.engine.find(key(1)) is None
        assert house.engine.drop(key(1)) == 1
        assert house.engine.drop(key(1)) == 0


class TestLeases:
    def test_two_hundred_who_ask_for_one_key_make_one_lease(self, house):
        lease = house.lease(1)
        tickets = [house.ticket(1, holder=number) for number in range(199)]
        assert house.settle() == {}
        house.engine.fulfil(key(1), lease.token, value(1), 60.0)
        assert house.settle() == dict.fromkeys(tickets, Hit(value(1), 60.0))
        assert house.stat("leases_granted_total") == 1
        assert house.stat("waits_total") == 199
        assert house.stat("hits_total") == 199
        assert house.stat("misses_total") == 200

    def test_all_who_wait_are_told_that_the_password_was_rejected(self, house):
        lease = house.lease(1)
        tickets = [house.ticket(1) for _ in range(5)]
        house.engine.fail(key(1), lease.token, "rejected", 0.0)
        assert house.settle() == dict.fromkeys(tickets, Rejected())
        assert house.stat("rejected_total") == 6

    def test_all_who_wait_are_told_that_the_portal_failed_and_one_guess_is_counted(self, house):
        lease = house.lease(1)
        tickets = [house.ticket(1) for _ in range(5)]
        house.engine.fail(key(1), lease.token, "timeout", 7.0)
        assert house.settle() == dict.fromkeys(tickets, Unavailable("timeout", 7.0))
        assert isinstance(house.acquire(1), Lease)
        assert [row.failures for row in house.throttle.lockouts()] == [1, 1]
        assert house.stat("unavailable_total") == 6

    def test_when_the_portal_wants_fewer_logins_an_account_is_left_alone_for_as_long(self):
        house = House(logins_at_once=1)
        lease = house.lease(1)
        same, wrong = house.ticket(1), house.ticket(2, of=1)
        house.engine.fail(key(1), lease.token, BUSY, 30.0)
        assert house.settle() == {same: Unavailable(BUSY, 30.0), wrong: Unavailable(BUSY, 30.0)}
        assert house.stat("logins_busy") == 1
        house.clock.time += 10.0
        assert house.acquire(1) == house.acquire(3, of=1) == Unavailable(BUSY, 20.0)
        other = house.lease(4)
        house.engine.release(key(4), other.token)
        house.clock.time += 20.0
        house.lease(1)
        assert house.stat("logins_busy") == 0

    def test_what_a_login_was_told_is_for_the_sources_that_know_the_account(self, house):
        """Not for a stranger, who would learn from it that others log in to this account."""
        stranger, other = "203.0.113.1", "203.0.113.2"
        for number, source in enumerate((HOME, CAFE)):
            house.store(number, source, of=7)
        lease = house.lease(2, HOME, of=7)
        house.engine.fail(key(2), lease.token, BUSY, 30.0)
        assert house.acquire(3, HOME, of=7) == Unavailable(BUSY, 30.0)
        assert house.acquire(3, CAFE, of=7) == Unavailable(BUSY, 30.0)
        lease = house.lease(3, stranger, of=7)
        # What the stranger was told is for that one only, and stops no owner.
        house.engine.fail(key(3), lease.token, BUSY, 600.0)
        assert house.acquire(3, stranger, of=7) == Unavailable(BUSY, 600.0)
        house.clock.time += 30.0
        assert isinstance(house.acquire(3, other, of=7), Lease)
        assert isinstance(house.acquire(4, CAFE, of=7), Lease)

    def test_a_stranger_in_line_is_not_told_what_an_owners_login_was(self):
        house = House(logins_at_once=1)
        house.store(1, HOME, of=7)
        lease = house.lease(2, HOME, of=7)
        owner, stranger = house.ticket(3, HOME, of=7), house.ticket(4, CAFE, of=7)
        house.engine.fail(key(2), lease.token, BUSY, 30.0)
        told = house.settle()
        assert told[owner] == Unavailable(BUSY, 30.0)
        assert isinstance(told[stranger], Lease)

    def test_logins_left_alone_keep_nobody_from_a_cached_session_or_from_reading(self, house):
        house.store(1)
        lease = house.lease(2, of=1)
        house.engine.fail(key(2), lease.token, BUSY, 30.0)
        assert isinstance(house.acquire(1), Hit)
        house.clock.time += 1.0
        assert isinstance(house.engine.answers.share(key(9), account(1), "worker"), Lease)

    def test_the_same_wrong_pair_is_answered_from_memory_for_a_minute(self, house):
        house.reject(1)
        house.clock.time += 59.0
        assert house.acquire(1) == Rejected()
        house.clock.time += 1.0
        assert isinstance(house.acquire(1), Lease)

    def test_remembered_rejections_are_bounded(self):
        house = House(Policy(per_source=1000, per_account=1000), rejections=2, login_burst=100)
        for number in range(3):
            house.reject(number)
        assert isinstance(house.acquire(0), Lease)
        assert house.acquire(1) == Rejected()
        assert house.acquire(2) == Rejected()

    @pytest.mark.parametrize("ending", ["expires", "drop", "release", "flush", "flush account"])
    def test_a_lost_lease_goes_to_the_next_who_waits_at_once(self, ending):
        house = House(login_burst=1, logins_per_second=0.001)
        lease = house.lease(1, holder="dying")
        second, third = house.ticket(1, holder="second"), house.ticket(1, holder="third")
        match ending:
            case "expires":
                house.clock.time += lease.lasts
            case "drop":
                house.engine.drop_holder("dying")
            case "release":
                house.engine.release(key(1), lease.token)
            case "flush":
                house.engine.flush("sessions")
            case _:
                house.engine.flush("account", account(1))
        assert house.engine.next_due() <= house.clock.time
        answers = house.settle()
        assert list(answers) == [second]
        assert not house.engine.fulfil(key(1), lease.token, value(9), 60.0)
        assert house.engine.fulfil(key(1), answers[second].token, value(1), 60.0)
        assert house.settle() == {third: Hit(value(1), 60.0)}
        assert house.stat("leases_lost_total") == 1

    def test_a_lost_lease_that_nobody_waits_for_is_gone(self, house):
        house.lease(1, holder="dying")
        house.engine.drop_holder("dying")
        assert house.run(house.limits.answers.gap) == {}
        assert house.engine.next_due() is None
        assert isinstance(house.acquire(1), Lease)

    def test_a_late_answer_changes_nothing(self, house):
        late = house.lease(1)
        house.clock.time += house.limits.lease_lasts
        assert not house.engine.fulfil(key(1), late.token, value(1), 60.0)
        assert not house.engine.fail(key(1), late.token, "rejected", 0.0)
        assert house.throttle.lockouts() == []
        house.settle()
        assert isinstance(house.acquire(1), Lease)

    def test_a_lease_is_good_for_one_answer_to_its_own_key(self, house):
        lease = house.lease(1)
        assert not house.engine.fulfil(key(2), lease.token, value(2), 60.0)
        assert not house.engine.fail(key(2), lease.token, "timeout", 0.0)
        assert not house.engine.fulfil(key(1), b"x" * 16, value(1), 60.0)
        house.engine.release(key(2), lease.token)
        assert house.engine.fulfil(key(1), lease.token, value(1), 60.0)
        assert not house.engine.fulfil(key(1), lease.token, value(1), 60.0)

    def test_a_dropped_holder_loses_its_own_things_only(self, house):
        lease = house.lease(1, holder="a")
        house.lease(2, holder="b")
        house.ticket(1, holder="b")
        kept = house.ticket(1, holder="c")
        house.engine.drop_holder("b")
        assert house.engine.fulfil(key(1), lease.token, value(1), 60.0)
        assert list(house.settle()) == [kept]
        assert house.stat("waiting") == house.stat("leases") == 0

    def test_an_answer_not_yet_collected_is_dropped_with_its_holder(self, house):
        lease = house.lease(1, holder="a")
        house.ticket(1, holder="b")
        house.engine.fulfil(key(1), lease.token, value(1), 60.0)
        house.engine.drop_holder("b")
        assert house.settle() == {}

    def test_one_who_asks_before_a_lost_lease_is_passed_on_waits_behind(self, house):
        house.lease(1, holder="dying")
        second = house.ticket(1)
        house.engine.drop_holder("dying")
        house.ticket(1, source=CAFE)
        assert list(house.settle()) == [second]
        assert house.run(10.0) == {}

    def test_a_login_waited_for_at_two_sources_is_made_once(self):
        house = House(logins_at_once=1, login_burst=100)
        first = house.lease(1)
        tickets = {house.ticket(2, source=HOME), house.ticket(2, source=CAFE)}
        house.engine.fail(key(1), first.token, "timeout", 0.0)
        ((ticket, lease),) = house.settle().items()
        assert house.engine.fail(key(2), lease.token, "timeout", 5.0)
        (other,) = tickets - {ticket}
        assert house.settle() == {other: Unavailable("timeout", 5.0)}
        assert isinstance(house.acquire(3), Lease)

    def test_an_answer_not_yet_collected_goes_with_its_ticket(self, house):
        lease = house.lease(1)
        ticket = house.ticket(1)
        house.engine.fulfil(key(1), lease.token, value(1), 60.0)
        house.engine.withdraw(ticket)
        assert house.settle() == {}

    def test_a_withdrawn_ticket_is_never_answered(self, house):
        lease = house.lease(1)
        ticket = house.ticket(1)
        house.engine.withdraw(ticket)
        house.engine.withdraw(ticket)
        house.engine.fulfil(key(1), lease.token, value(1), 60.0)
        assert house.settle() == {}

    def test_the_last_to_wait_may_withdraw_before_a_lost_lease_is_passed_on(self, house):
        house.lease(1, holder="dying")
        ticket = house.ticket(1)
        house.engine.drop_holder("dying")
        house.engine.withdraw(ticket)
        again = house.ticket(1)
        answers = house.settle()
        assert list(answers) == [again]
        assert isinstance(answers[again], Lease)

    def test_eviction_touches_neither_leases_nor_locks(self):
        house = House(sessions=1, login_burst=100)
        lease = house.lease(1)
        for number in range(5):
            house.reject(100 + number, of=100)
        for number in range(50, 55):
            house.store(number)
        assert isinstance(house.acquire(99, of=100), Locked)
        assert house.engine.fulfil(key(1), lease.token, value(1), 60.0)

    @pytest.mark.parametrize("reason", ["nonsense", PACED, ""])
    def test_an_unknown_reason_is_refused(self, house, reason):
        lease = house.lease(1)
        with pytest.raises(ValueError, match="reason"):
            house.engine.fail(key(1), lease.token, reason, 0.0)

    @pytest.mark.parametrize("retry_after", [-1.0, float("nan"), float("inf")])
    def test_a_retry_after_that_is_no_time_is_refused(self, house, retry_after):
        lease = house.lease(1)
        with pytest.raises(ValueError, match="retry_after"):
            house.engine.fail(key(1), lease.token, "busy", retry_after)


class TestLocks:
    def test_the_answer_is_the_same_for_a_right_and_a_wrong_password(self, house):
        house.store(1, source=HOME)
        for number in range(10, 15):
            house.reject(number, source=CAFE, of=1)
        assert house.acquire(1, source=CAFE) == Locked(30.0)
        assert house.acquire(99, source=CAFE, of=1) == Locked(30.0)
        assert isinstance(house.acquire(1, source=HOME), Hit)

    def test_an_account_lock_holds_for_the_right_password_from_unknown_sources(self):
        house = House(login_burst=100)
        house.store(1, source=HOME)
        for number in range(10, 30):
            house.reject(number, source=f"203.0.113.{number}", of=1)
        assert house.acquire(1, source=CAFE) == Locked(30.0, 30.0)
        assert isinstance(house.acquire(1, source=HOME), Hit)

    def test_a_hit_changes_no_counter(self, house):
        house.store(1, source=HOME)
        for number in range(10, 14):
            house.reject(number, source=CAFE, of=1)
        before = house.throttle.lockouts()
        assert isinstance(house.acquire(1, source=CAFE), Hit)
        assert house.throttle.lockouts() == before

    def test_forty_guesses_beside_a_caller_who_is_served_from_the_cache_are_not_all_tried(self):
        house = House(login_burst=100)
        house.store(1, source=CAFE)
        tried = 0
        for number in range(10, 50):
            if number % 4 == 2:
                house.acquire(1, source=CAFE)
            outcome = house.acquire(number, source=CAFE, of=1)
            if isinstance(outcome, Lease):
                house.engine.fail(key(number), outcome.token, "rejected", 0.0)
                tried += 1
            else:
                assert isinstance(outcome, Locked)
        assert tried == 5

    def test_a_hit_makes_its_source_known_all_the_same(self):
        """As a second device is that shares the first one's session, or others lock it out."""
        house = House(login_burst=100)
        house.store(1, source=HOME)
        assert isinstance(house.acquire(1, source=CAFE), Hit)
        for number in range(10, 30):
            house.reject(number, source=f"203.0.113.{number}", of=1)
        assert isinstance(house.acquire(1, source=CAFE), Hit)

    def test_those_who_wait_elsewhere_for_a_login_clear_nothing_of_theirs(self):
        house = House(login_burst=100)
        for number in range(10, 14):
            house.reject(number, source=CAFE, of=1)
            house.reject(number + 10, source=HOME, of=1)
        lease = house.lease(1, source=HOME)
        ticket = house.ticket(1, source=CAFE)
        house.engine.fulfil(key(1), lease.token, value(1), 60.0)
        assert house.settle() == {ticket: Hit(value(1), 60.0)}
        rows = [(row.source, row.failures) for row in house.throttle.lockouts()]
        assert rows == [(None, 8), (CAFE, 4)]

    def test_a_session_that_is_handed_back_clears_nothing(self):
        house = House(login_burst=100)
        for number in range(10, 14):
            house.reject(number, source=CAFE, of=1)
        before = house.throttle.lockouts()
        lease = house.lease(1, source=CAFE)
        assert house.engine.bring(key(1), lease.token, value(1), 60.0, 0.0)
        assert house.throttle.lockouts() == before

    @pytest.mark.parametrize("way", ["adopt", "find", "peek", "release"])
    def test_nothing_else_that_a_worker_does_with_a_session_clears_anything(self, way):
        house = House(login_burst=100)
        house.store(1, source=HOME)
        for number in range(10, 14):
            house.reject(number, source=HOME, of=1)
        before = house.throttle.lockouts()
        match way:
            case "adopt":
                house.engine.adopt(key(1), account(1), Hit(value(1), 60.0))
            case "find":
                assert house.engine.find(key(1)) is not None
            case "peek":
                assert house.engine.peek(key(1)) is not None
            case _:
                house.engine.release(key(50), house.lease(50, source=HOME, of=1).token)
        assert house.throttle.lockouts() == before

    def test_spellings_of_an_email_share_what_is_left_of_a_budget(self):
        house = House(logins_at_once=100, login_burst=100)
        outcomes = [house.acquire(n, source=CAFE, of=n % 10, budget=1) for n in range(50)]
        leases = {n: one for n, one in enumerate(outcomes) if isinstance(one, Lease)}
        assert len(leases) == 5
        assert house.settle() == {}
        for number, lease in leases.items():
            house.engine.fail(key(number), lease.token, "rejected", 0.0)
        assert set(house.settle().values()) == {Locked(30.0)}

    def test_unlock_goes_by_the_budget_that_all_spellings_share(self, house):
        lease = house.acquire(7, source=CAFE, of=2, budget=1)
        house.engine.fail(key(7), lease.token, "rejected", 0.0)
        assert house.acquire(7, source=CAFE, of=2, budget=1) == Rejected()
        assert house.engine.unlock(account(1)) == 2
        assert isinstance(house.acquire(7, source=CAFE, of=2, budget=1), Lease)

    def test_parallel_guesses_never_exceed_the_source_budget(self):
        house = House(logins_at_once=100, login_burst=100)
        outcomes = [house.acquire(n, source=CAFE, of=1) for n in range(50)]
        leases = [one for one in outcomes if isinstance(one, Lease)]
        assert len(leases) == 5
        assert house.settle() == {}
        other = house.lease(999)
        assert house.engine.fulfil(key(999), other.token, value(999), 60.0)
        for number, lease in enumerate(leases):
            house.engine.fail(key(number), lease.token, "rejected", 0.0)
        answers = house.settle()
        assert len(answers) == 45
        assert set(answers.values()) == {Locked(30.0)}
        assert house.stat("leases_granted_total") == 6

    def test_after_a_lock_guesses_go_one_at_a_time(self):
        house = House(logins_at_once=100, login_burst=100)
        for number in range(5):
            house.reject(number, source=CAFE, of=1)
        house.clock.time += 30.0
        assert isinstance(house.acquire(10, source=CAFE, of=1), Lease)
        assert isinstance(house.acquire(11, source=CAFE, of=1), Ticket)
        assert house.settle() == {}

    def test_an_unseen_pair_is_looked_at_when_the_one_before_it_was_no_guess(self):
        house = House(Policy(per_source=1), logins_at_once=100, login_burst=100)
        first = house.lease(1, source=CAFE, of=1)
        second = house.ticket(2, source=CAFE, of=1)
        assert house.settle() == {}
        house.engine.fulfil(key(1), first.token, value(1), 60.0)
        assert isinstance(house.settle()[second], Lease)

    @pytest.mark.parametrize("everybody", [False, True])
    def test_an_unseen_pair_is_looked_at_when_the_account_is_unlocked(self, everybody):
        house = House(Policy(per_source=2), logins_at_once=100, login_burst=100)
        house.reject(1, source=CAFE, of=1)
        house.lease(2, source=CAFE, of=1)
        third, fourth = house.ticket(3, source=CAFE, of=1), house.ticket(4, source=CAFE, of=1)
        assert house.settle() == {}
        if everybody:
            assert house.engine.flush("lockouts") == (0, 2)
        else:
            assert house.engine.unlock(account(1)) == 2
        assert list(house.settle()) == [third]
        house.engine.withdraw(fourth)

    def test_one_accounts_unseen_pairs_do_not_hold_up_others(self):
        house = House(Policy(per_source=1), login_burst=100)
        house.lease(0, source=CAFE, of=1)
        for number in range(1, 50):
            house.ticket(number, source=CAFE, of=1)
        house.settle()
        assert isinstance(house.acquire(100, source=CAFE), Lease)
        assert isinstance(house.acquire(50, source=HOME, of=1), Lease)

    def test_the_lock_is_looked_at_again_before_a_lease_is_granted(self):
        house = House(Policy(per_source=1), logins_at_once=1)
        first = house.lease(1, source=CAFE, of=1)
        waiting = house.ticket(2, source=CAFE, of=1)
        house.engine.fail(key(1), first.token, "rejected", 0.0)
        assert house.settle() == {waiting: Locked(30.0)}
        house.engine.unlock(account(1))
        assert house.settle() == {}

    def test_an_unseen_pair_that_nobody_wants_any_more_is_forgotten(self):
        house = House(Policy(per_source=1), login_burst=100)
        first = house.lease(1, source=CAFE, of=1)
        tickets = [house.ticket(2, source=CAFE, of=1)]
        assert house.settle() == {}
        tickets.append(house.ticket(2, source=CAFE, of=1))
        for ticket in tickets:
            house.engine.withdraw(ticket)
        house.engine.fail(key(1), first.token, "timeout", 0.0)
        assert house.run(house.limits.answers.gap) == {}
        assert house.engine.next_due() is None

    def test_one_who_waits_and_got_locked_meanwhile_is_not_told_the_session(self):
        house = House(Policy(per_account=3), login_burst=100)
        house.store(1, source=HOME)
        house.engine.flush("sessions")
        right = house.lease(1, source=HOME, of=1)
        at_home = house.ticket(1, source=HOME, of=1)
        guesser = house.ticket(1, source=CAFE, of=1)
        for number in range(2, 5):  # by somebody whom the account's own lock spares
            house.reject(number, source=HOME, of=1)
        house.engine.fulfil(key(1), right.token, value(1), 60.0)
        assert house.settle() == {at_home: Hit(value(1), 60.0), guesser: Locked(30.0, 30.0)}

    def test_the_guess_that_locks_tells_locked_to_those_who_wait_with_it(self):
        house = House(Policy(per_source=1))
        lease = house.lease(1, source=CAFE)
        same, other = house.ticket(1, source=CAFE), house.ticket(1, source=HOME)
        house.engine.fail(key(1), lease.token, "rejected", 0.0)
        assert house.settle() == {same: Locked(30.0), other: Rejected()}

    def test_a_lost_lease_is_not_passed_on_to_a_locked_source(self):
        free = "203.0.113.5"
        house = House(Policy(per_account=3), login_burst=100)
        house.store(1, source=free)
        house.engine.flush("sessions")
        house.lease(1, source=free, holder="dying", of=1)
        locked = house.ticket(1, source=CAFE, of=1)
        for number in range(2, 5):
            house.reject(number, source=free, of=1)
        free = house.ticket(1, source=free, of=1)
        house.engine.drop_holder("dying")
        answers = house.settle()
        assert answers[locked] == Locked(30.0, 30.0)
        assert isinstance(answers[free], Lease)

    def test_unlock_forgets_rejections_of_that_account_only(self, house):
        house.reject(1)
        house.reject(2)
        assert house.engine.unlock(account(1)) == 2
        assert isinstance(house.acquire(1), Lease)
        assert house.acquire(2) == Rejected()


class TestSpraying:
    """One source tries many accounts."""

    def spray(self, house, count, start=100, source=CAFE):
        for number in range(start, start + count):
            house.reject(number, source=source)

    def test_of_a_hundred_accounts_tried_from_one_source_twenty_are_sent_on(self):
        house = House(login_burst=1000)
        outcomes = []
        for number in range(100):
            outcomes.append(house.acquire(number, source=CAFE))
            if isinstance(outcomes[-1], Lease):
                house.engine.fail(key(number), outcomes[-1].token, "rejected", 0.0)
        assert [type(one) for one in outcomes] == [Lease] * 20 + [Locked] * 80
        assert set(outcomes[20:]) == {Locked(3600.0, 0.0, 3600.0)}

    def test_of_a_hundred_accounts_tried_at_once_twenty_are_sent_on(self):
        house = House(login_burst=1000, logins_at_once=1000)
        outcomes = {number: house.acquire(number, source=CAFE) for number in range(100)}
        leases = {number: one for number, one in outcomes.items() if isinstance(one, Lease)}
        assert len(leases) == 20
        assert house.settle() == {}
        for number, lease in leases.items():
            house.engine.fail(key(number), lease.token, "rejected", 0.0)
        answers = house.settle()
        assert len(answers) == 80
        assert set(answers.values()) == {Locked(3600.0, 0.0, 3600.0)}

    def test_what_was_under_way_and_was_no_failure_lets_the_next_try(self):
        house = House(Policy(accounts_per_source=2), login_burst=100, logins_at_once=100)
        first, _ = house.lease(1, source=CAFE), house.lease(2, source=CAFE)
        third = house.ticket(3, source=CAFE)
        assert house.settle() == {}
        house.engine.fulfil(key(1), first.token, value(1), 60.0)
        assert list(house.settle()) == [third]

    def test_right_and_wrong_pairs_of_a_cached_account_get_the_same_answer(self):
        house = House(login_burst=100)
        house.store(1, source=HOME)
        self.spray(house, 20)
        assert house.acquire(1, source=CAFE) == house.acquire(50, source=CAFE, of=1)
        assert house.acquire(1, source=CAFE) == Locked(3600.0, 0.0, 3600.0)
        assert isinstance(house.acquire(1, source=HOME), Hit)

    def test_accounts_known_to_the_source_and_handles_go_on(self):
        house = House(login_burst=100)
        house.store(1, source=CAFE)
        house.store(2, source=HOME)
        self.spray(house, 20)
        assert isinstance(house.acquire(1, source=CAFE), Hit)
        assert isinstance(house.acquire(50, source=CAFE, of=1), Lease)
        assert house.engine.peek(key(2)) is not None

    def test_a_network_that_many_share_has_no_such_budget(self):
        shared = (network_of("198.51.100.0/24"), network_of("2001:db8:1::/48"))
        house = House(Policy(shared=shared), login_burst=1000)
        for source in (CAFE, "2001:db8:1:7::/64"):
            self.spray(house, 50, source=source)
            assert isinstance(house.acquire(1, source=source), Lease)
            house.engine.flush("all")
        self.spray(house, 20, source="2001:db8:2::/64")
        assert isinstance(house.acquire(1, source="2001:db8:2::/64"), Locked)

    def test_without_the_budget_any_number_may_be_tried(self):
        house = House(Policy(accounts_per_source=0), login_burst=1000)
        self.spray(house, 200)
        assert isinstance(house.acquire(1, source=CAFE), Lease)

    def test_a_source_over_budget_is_listed_and_can_be_unlocked_alone(self):
        house = House(login_burst=100)
        self.spray(house, 20)
        total, rows = house.engine.lockouts(1)
        assert total == 41
        assert rows == [{"account": None, "source": CAFE, "failures": 20, "retry_after": 3600.0}]
        assert house.stat("lockouts_active") == 1
        assert house.engine.unlock_source(CAFE) == 21
        assert isinstance(house.acquire(1, source=CAFE), Lease)

    def test_flush_lockouts_clears_it(self):
        house = House(login_burst=100)
        self.spray(house, 20)
        assert house.engine.flush("lockouts") == (0, 41)
        assert isinstance(house.acquire(1, source=CAFE), Lease)

    def test_those_who_wait_when_their_source_is_unlocked_go_on(self):
        house = House(Policy(accounts_per_source=2), login_burst=100, logins_at_once=100)
        self.spray(house, 1)
        house.lease(1, source=CAFE)
        ticket = house.ticket(2, source=CAFE)
        assert house.settle() == {}
        house.engine.unlock_source(CAFE)
        assert list(house.settle()) == [ticket]


class TestTurns:
    """Who goes first among those who wait for a login: the least likely to guess."""

    def crowd(self, house, sources=60, each=5):
        """Let many sources that have failed already wait with guesses at accounts of others."""
        for number in range(sources):
            house.reject(1000 + number, source=f"203.0.113.{number}")
        tickets = []
        for number in range(sources * each):
            outcome = house.acquire(2000 + number, source=f"203.0.113.{number % sources}")
            if isinstance(outcome, Lease):
                house.engine.fail(key(2000 + number), outcome.token, "rejected", 0.0)
            else:
                tickets.append(outcome)
        return tickets

    def first_lease(self, house, wanted, seconds=60.0):
        """Answer all leases with a rejection at once; return after how long `wanted` got its."""
        begun = house.clock.time
        while house.clock.time - begun < seconds:
            for ticket, outcome in house.settle().items():
                if ticket == wanted:
                    return house.clock.time - begun
                if isinstance(outcome, Lease):
                    house.engine.fail(ticket.key, outcome.token, "rejected", 0.0)
            house.clock.time = max(house.engine.next_due(), house.clock.time)
        raise AssertionError("never")

    def test_an_owners_first_login_does_not_wait_behind_sixty_sprayers(self):
        house = House(login_burst=100)
        assert len(self.crowd(house)) > 200
        owner = house.ticket(1, source=HOME)
        # One login is made every half second, and one in five is a suspect's.
        assert self.first_lease(house, owner) <= 1.0

    def test_an_owner_at_a_known_source_goes_before_strangers_who_never_failed(self):
        house = House(login_burst=1)
        house.store(1, source=HOME)
        house.engine.flush("sessions")
        strangers = [house.ticket(100 + n, source=f"203.0.113.{n}") for n in range(60)]
        owner = house.ticket(1, source=HOME)
        assert self.first_lease(house, owner) <= 1.0
        for stranger in strangers:
            house.engine.withdraw(stranger)

    def test_who_fails_while_the_own_other_logins_wait_goes_behind_strangers(self):
        house = House(login_burst=1, logins_at_once=1)
        first = house.lease(100, source=CAFE)
        for number in range(101, 110):
            house.ticket(number, source=CAFE)
        stranger = house.ticket(1, source=HOME)
        house.engine.fail(key(100), first.token, "rejected", 0.0)
        assert self.first_lease(house, stranger) <= 1.0

    def test_suspects_have_a_turn_in_five_however_many_others_wait(self):
        house = House(Policy(per_source=100, per_account=1000), login_burst=100, logins_at_once=1)
        house.reject(1000, source=CAFE)
        held = house.lease(5000, source="192.0.2.99")
        suspects = {house.ticket(1001 + n, source=CAFE) for n in range(10)}
        strangers = {house.ticket(1 + n, source=f"203.0.113.{n}") for n in range(40)}
        house.engine.fail(key(5000), held.token, "timeout", 0.0)
        order = []
        for _ in range(50):
            ((ticket, lease),) = house.settle().items()
            order.append(ticket in suspects)
            house.engine.fail(ticket.key, lease.token, "timeout", 0.0)
        assert len(suspects | strangers) == 50
        assert order == [False, False, False, False, True] * 10

    def test_no_rank_waits_for_ever_when_all_four_have_a_crowd(self):
        house = House(Policy(per_source=1000, per_account=1000), login_burst=1000, logins_at_once=1)
        house.store(1, source=HOME)
        house.engine.flush("sessions")
        house.reject(1000, source=CAFE)
        held = house.lease(5000, source="192.0.2.99")
        ranks = {}
        for number in range(40):
            ranks[house.ticket(10 + number, source=HOME, of=1)] = 0
            ranks[house.ticket(100 + number, source=f"203.0.{number}.1")] = 1
            ranks[house.ticket(200 + number, source="203.1.113.1")] = 2
            ranks[house.ticket(1001 + number, source=CAFE)] = 3
        house.engine.fail(key(5000), held.token, "timeout", 0.0)
        order = []
        for _ in range(42):
            ((ticket, lease),) = house.settle().items()
            order.append(ranks[ticket])
            house.engine.fail(ticket.key, lease.token, "timeout", 0.0)
        assert order == [0, 0, 0, 0, 1, 2, 3] * 6

    def test_who_asks_for_several_accounts_goes_behind_who_asks_for_one(self):
        house = House(login_burst=1)
        house.lease(500, source="100.64.9.9")
        crowd = [house.ticket(n, source=f"203.{n % 20}.113.1") for n in range(100, 160)]
        owner = house.ticket(1, source=HOME)
        late = [house.ticket(n, source=f"203.{n % 20}.113.1") for n in range(160, 180)]
        assert self.first_lease(house, owner) <= 1.0
        for ticket in crowd + late:
            house.engine.withdraw(ticket)

    def test_a_source_with_a_login_under_way_goes_behind_one_without(self):
        house = House(login_burst=100, logins_at_once=2)
        house.lease(100, source=CAFE)
        other = house.lease(101, source="100.64.9.9")
        owner = house.ticket(1, source=HOME)
        second = house.ticket(102, source=CAFE)
        house.engine.fail(key(101), other.token, "timeout", 0.0)
        assert list(house.settle()) == [owner]
        house.engine.withdraw(second)

    def test_a_network_counts_as_one_source_however_many_addresses_it_has(self):
        house = House(login_burst=1)
        house.lease(500, source="100.64.9.9")
        crowd = [house.ticket(n, source=f"203.0.113.{n}") for n in range(100, 160)]
        crowd += [house.ticket(n, source=f"2001:db8:1:{n}::/64") for n in range(160, 220)]
        crowd += [house.ticket(n, source=f"198.51.{n - 200}.1") for n in range(220, 280)]
        owner = house.ticket(1, source=HOME)
        late = [house.ticket(n, source=f"203.0.113.{n - 200}") for n in range(280, 340)]
        assert self.first_lease(house, owner) <= 1.0
        for ticket in crowd + late:
            house.engine.withdraw(ticket)

    def test_nor_do_neighbours_of_one_who_failed_keep_an_owner_waiting(self):
        house = House(login_burst=2)
        house.reject(500, source="203.0.113.200")
        house.lease(501, source="100.64.9.9")
        first = house.ticket(100, source="203.0.113.1")
        owner = house.ticket(1, source=HOME)
        late = house.ticket(101, source="203.0.113.2")
        assert self.first_lease(house, owner) <= 0.5
        for ticket in (first, late):
            house.engine.withdraw(ticket)

    def test_many_at_a_shared_address_are_no_crowd(self):
        house = House(Policy(shared=(network_of("198.51.100.0/24"),)), login_burst=1)
        house.lease(500, source=CAFE)
        crowd = [house.ticket(n, source="203.0.113.1") for n in range(100, 160)]
        shared = [house.ticket(n, source=CAFE) for n in range(1, 4)]
        assert [self.first_lease(house, one) for one in shared[:2]] == [0.5, 0.5]
        for ticket in crowd + shared:
            house.engine.withdraw(ticket)

    def known_away(self, house):
        """Let an owner's session end, and strangers from everywhere wait."""
        house.store(1, source=HOME, ttl=60.0)
        house.run(200.0)
        house.lease(500, source="100.64.9.9")
        return [house.ticket(n, source=f"{n}.0.113.1") for n in range(100, 160)]

    def test_an_owner_who_was_here_before_goes_first_wherever_the_strangers_are(self):
        house = House(login_burst=1)
        strangers = self.known_away(house)
        owner = house.ticket(1, source=CAFE)
        late = [house.ticket(n, source=f"{n}.0.113.1") for n in range(160, 220)]
        assert self.first_lease(house, owner) <= 0.5
        for stranger in strangers + late:
            house.engine.withdraw(stranger)

    def test_how_long_a_guesser_waits_does_not_tell_which_accounts_are_here(self):
        waits = []
        for whose in (1, 7):
            house = House(login_burst=1, logins_at_once=1)
            self.known_away(house)
            guess = house.ticket(2, source=CAFE, of=whose)
            for number in range(160, 170):
                house.ticket(number, source=f"{number}.0.113.1")
            waits.append(self.first_lease(house, guess))
        assert waits[0] == waits[1] > 1.0

    def test_a_password_that_is_right_no_more_goes_first_no_longer(self):
        house = House(login_burst=2)
        house.store(1, source=HOME, of=1, ttl=60.0)
        house.run(200.0)
        house.store(2, source=HOME, of=1, ttl=60.0)
        house.lease(500, source="100.64.9.9")
        strangers = [house.ticket(n, source=f"{n}.0.113.1") for n in range(100, 160)]
        old = house.ticket(1, source=CAFE, of=1)
        late = [house.ticket(n, source=f"{n}.0.113.1") for n in range(160, 170)]
        assert self.first_lease(house, old) > 1.0
        for stranger in strangers + late:
            house.engine.withdraw(stranger)

    def test_an_account_that_is_forgotten_waits_like_a_stranger(self):
        house = House(login_burst=1)
        house.store(1, source=HOME, ttl=60.0)
        house.engine.erase(account(1), account(1))
        house.run(200.0)
        house.lease(500, source="100.64.9.9")
        owner = house.ticket(1, source=HOME)
        strangers = [house.ticket(n, source=f"{n}.0.113.1") for n in range(100, 160)]
        assert self.first_lease(house, owner) > 1.0
        for stranger in strangers:
            house.engine.withdraw(stranger)

    def test_when_no_more_may_wait_a_suspect_makes_room_for_a_stranger(self):
        house = House(Policy(per_source=100), waiting=2, login_burst=100, logins_at_once=1)
        house.reject(1000, source=CAFE)
        house.lease(1001, source=CAFE)
        first, last = house.ticket(1002, source=CAFE), house.ticket(1003, source=CAFE)
        assert isinstance(house.acquire(1004, source=CAFE), Unavailable)
        owner = house.ticket(1, source=HOME)
        assert [type(one) for one in house.settle().values()] == [Unavailable]
        house.ticket(2, source=HOME)
        house.settle()
        # Both suspects have gone by now, and strangers do not make room for each other.
        assert isinstance(house.acquire(3, source=HOME), Unavailable)
        for ticket in (first, last, owner):
            house.engine.withdraw(ticket)


class TestPace:
    def test_ten_at_once_and_then_two_a_second(self):
        house = House(logins_at_once=1000)
        outcomes = [house.acquire(number, source=f"s{number}") for number in range(30)]
        assert [type(one) for one in outcomes] == [Lease] * 10 + [Ticket] * 20
        start, granted = house.clock.time, []
        for _ in range(20):
            house.clock.time = house.engine.next_due()
            granted += [(ticket, house.clock.time - start) for ticket in house.settle()]
        assert {ticket for ticket, _ in granted} == set(outcomes[10:])
        assert [when for _, when in granted] == pytest.approx([n / 2 for n in range(1, 21)])

    def test_four_at_a_time(self, house):
        leases = [house.lease(number) for number in range(4)]
        ticket = house.ticket(4)
        assert house.settle() == {}
        house.engine.fulfil(key(2), leases[2].token, value(2), 60.0)
        assert isinstance(house.settle()[ticket], Lease)

    def test_whoever_waits_goes_before_whoever_comes(self):
        house = House(logins_at_once=1)
        first = house.lease(1)
        second = house.ticket(2)
        house.engine.fail(key(1), first.token, "timeout", 0.0)
        third = house.ticket(3)
        assert list(house.settle()) == [second]
        house.engine.withdraw(third)

    def test_who_waits_too_long_is_told_when_to_come_back(self):
        house = House(logins_at_once=1000, logins_per_second=0.1, login_burst=1)
        house.lease(0)
        tickets = [house.ticket(number) for number in range(1, 11)]
        answers = house.run(house.limits.longest_wait)
        assert set(answers) == set(tickets)
        late = [one for one in answers.values() if isinstance(one, Unavailable)]
        assert len(late) >= 6
        assert {one.reason for one in late} == {PACED}
        assert all(one.retry_after >= 1.0 for one in late)
        assert max(one.retry_after for one in late) > 30.0

    def test_nobody_waits_longer_than_the_longest_wait(self):
        house = House()
        house.lease(1)
        house.clock.time += 1.0
        ticket = house.ticket(1)
        answers = house.run(house.limits.longest_wait)
        assert isinstance(answers[ticket], Lease)
        other = House(lease_lasts=100.0)
        other.lease(1)
        ticket = other.ticket(1)
        assert other.run(39.9) == {}
        assert isinstance(other.run(0.1)[ticket], Unavailable)

    def test_more_than_may_wait_are_sent_away_at_once(self):
        house = House(waiting=2)
        house.lease(1)
        house.ticket(1)
        house.ticket(1)
        answer = house.acquire(1)
        assert isinstance(answer, Unavailable)
        assert answer.reason == PACED
        assert house.stat("unavailable_total") == 1

    def test_leases_given_up_one_after_another_do_not_outrun_the_pace(self):
        house = House()
        house.lease(1, holder=0)
        for holder in range(1, 500):
            house.ticket(1, holder=holder)
        granted = 1
        holders = iter(range(500))
        while house.clock.time < 1010.0:
            house.engine.drop_holder(next(holders))
            new = [one for one in house.settle().values() if isinstance(one, Lease)]
            granted += len(new)
            if not new:
                house.clock.time += 0.5
        assert 2 * 10 < granted <= 2 * house.limits.login_burst + 2 * 10 + 1


class TestFlush:
    def test_flush_all_drops_sessions_records_and_leases(self, house):
        house.store(1)
        house.store(2)
        house.reject(3)
        lease = house.lease(4)
        assert house.engine.flush("all") == (2, 2)
        assert not house.engine.fulfil(key(4), lease.token, value(4), 60.0)
        assert isinstance(house.acquire(3), Lease)
        assert house.stat("sessions") == house.stat("bytes") == 0
        assert house.stat("flushed_total") == 2

    def test_flush_sessions_leaves_records(self, house):
        house.store(1)
        house.reject(3)
        assert house.engine.flush("sessions") == (1, 0)
        assert house.acquire(3) == Rejected()

    def test_flush_account_drops_its_session_and_lease_only(self, house):
        house.store(1)
        house.store(2)
        mine, theirs = house.lease(3, of=1), house.lease(4)
        assert house.engine.flush("account", account(1)) == (1, 0)
        assert isinstance(house.acquire(2), Hit)
        assert not house.engine.fulfil(key(3), mine.token, value(3), 60.0)
        assert house.engine.fulfil(key(4), theirs.token, value(4), 60.0)

    def test_flush_expired_drops_what_has_run_out(self, house):
        house.store(1, ttl=10.0)
        house.store(2)
        lease = house.lease(3)
        house.clock.time += 10.0
        assert house.engine.flush("expired") == (1, 0)
        assert isinstance(house.acquire(2), Hit)
        assert house.engine.fulfil(key(3), lease.token, value(3), 60.0)
        assert house.stat("expired_total") == 1

    def test_flush_lockouts_drops_records_and_rejections(self, house):
        house.store(1)
        house.reject(2)
        assert house.engine.flush("lockouts") == (0, 2)
        assert isinstance(house.acquire(2), Lease)
        assert isinstance(house.acquire(1), Hit)

    def test_known_sources_survive_every_flush(self):
        house = House(login_burst=100)
        house.store(1, source=HOME)
        house.engine.flush("all")
        house.engine.unlock(account(1))
        for number in range(10, 30):
            house.reject(number, source=f"203.0.113.{number}", of=1)
        assert isinstance(house.acquire(1, source=CAFE), Locked)
        assert isinstance(house.acquire(1, source=HOME), Lease)

    @pytest.mark.parametrize(
        ("what", "whose"), [("account", None), ("all", account(1)), ("nonsense", None)]
    )
    def test_a_flush_that_makes_no_sense_is_refused(self, house, what, whose):
        with pytest.raises(ValueError, match="flush"):
            house.engine.flush(what, whose)


class TestShown:
    def test_the_statistics_are_those_of_the_protocol(self, house):
        protocol = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
        names = {line.split("`")[1] for line in protocol.splitlines() if line.startswith("| `")}
        assert set(house.engine.stats()) <= names
        assert house.stat("hit_ratio") is None
        house.store(1)
        house.acquire(1)
        assert house.stat("hit_ratio") == 0.5

    def test_sessions_are_listed_latest_used_first_without_values(self, house):
        house.store(1, ttl=100.0)
        house.clock.time += 10.0
        house.store(2, ttl=5.0)
        house.store(3, ttl=100.0)
        house.clock.time += 5.0
        house.acquire(1)
        house.clock.time += 1.0
        total, listed = house.engine.sessions(10)
        assert total == 3
        assert listed == [
            {
                "account": account(1)[:6],
                "age": 16.0,
                "expires_in": 84.0,
                "idle": 1.0,
                "hits": 1,
                "bytes": len(value(1)),
            },
            {
                "account": account(3)[:6],
                "age": 6.0,
                "expires_in": 94.0,
                "idle": 6.0,
                "hits": 0,
                "bytes": len(value(3)),
            },
        ]
        assert house.engine.sessions(1) == (3, listed[:1])

    def test_lockouts_are_listed_the_longest_locked_first(self, house):
        for number in range(5):
            house.reject(number, source=CAFE, of=1)
        house.reject(9, source=HOME, of=2)
        total, listed = house.engine.lockouts(10)
        assert total == 4
        assert listed[0] == {
            "account": account(1)[:6],
            "source": CAFE,
            "failures": 5,
            "retry_after": 30.0,
        }
        assert [one["retry_after"] for one in listed[1:]] == [0.0] * 3
        assert house.engine.lockouts(1) == (4, listed[:1])
        assert house.stat("lockouts_active") == 1

    def test_nothing_is_due_when_nothing_is_there(self, house):
        assert house.engine.next_due() is None
        assert house.settle() == {}


class TestRestore:
    def test_sessions_and_locks_survive_with_the_time_they_had_left(self, house):
        house.store(1, ttl=100.0)
        house.store(2, ttl=5.0)
        for number in range(10, 15):
            house.reject(number, source=CAFE, of=3)
        house.clock.time += 5.0
        export = house.engine.export()
        other = House()
        other.clock.time = 7777.0
        assert other.engine.restore(export) == 1
        assert other.acquire(1) == Hit(value(1), 95.0, 5.0)
        assert isinstance(other.acquire(2), Lease)
        assert other.acquire(99, source=CAFE, of=3) == Locked(25.0)

    def test_the_order_of_use_survives(self):
        house = House(sessions=3)
        for number in (1, 2, 3):
            house.store(number)
        house.acquire(1)
        other = House(sessions=2)
        assert other.engine.restore(house.engine.export()) == 2
        assert isinstance(other.acquire(1), Hit)
        assert isinstance(other.acquire(3), Hit)

    def test_an_export_does_not_change_while_the_engine_goes_on(self, house):
        house.store(1, ttl=100.0)
        export = house.engine.export()
        house.engine.flush("all")
        house.store(2)
        (session,) = export.sessions
        assert (session.value, session.expires) == (value(1), 1100.0)
        assert list(export.known) == [account(1)]
