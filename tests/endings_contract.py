"""What ends of an account, and what stays: handles, sessions, answers, and all of it.

Each implementation of `Storage` inherits these, as those of `accounts_contract`.
"""

import pytest

from server.state import encoding
from server.state.storage import Kind
from server.state.vocabulary import (
    Done,
    Erased,
    Found,
    Fulfil,
    Hit,
    Lease,
    Lost,
    Missing,
    Put,
    Unavailable,
)

from .accounts_house import CAFE, Ticket, account, key, value

NOTE, OTHER = 70, 71


def log_in(house, number, of=1, handle=NOTE):
    lease = house.lease(number, of=of)
    more = {"handle": key(handle), "record": b"record"}
    assert house.fulfil(key(number), lease.token, value(number), 43200.0, **more)


def answer(house):
    house.time += 1.0  # the gap after a login
    assert house.fulfil(key(50), house.fetch(50).token, b"answer", 30.0)


def found(house, handle=NOTE, question=50):
    return house.get(key(question), handle=key(handle))


class HandlesContract:
    def test_a_handle_leads_to_session_and_answer_in_one_step(self, house):
        log_in(house, 1)
        answer(house)
        house.time += 1.0
        session, kept = Hit(value(1), 43198.0, 1.0), Hit(b"answer", 29.0)
        assert found(house) == Found(account(1), b"record", 43198.0, key(1), session, (kept,))
        assert found(house, OTHER) == Missing()
        assert found(house, question=51).answers[0] is None

    def test_the_last_handle_takes_the_session_and_what_was_read_with_it(self, house):
        log_in(house, 1)
        answer(house)
        assert house.forget("handle", 1, key(NOTE)) == Done(0)
        assert found(house) == Missing()
        assert isinstance(house.acquire(1), Lease)
        assert house.stat("answers") == 0
        assert house.dropped == [account(1)]

    def test_a_session_stays_for_another_handle_that_leads_to_it(self, house):
        log_in(house, 1)
        assert house.put_handle(OTHER)
        answer(house)
        assert house.forget("handle", 1, key(NOTE)) == Done(1)
        assert found(house) == Missing()
        assert isinstance(found(house, OTHER).answers[0], Hit)
        assert house.forget("handle", 1, key(OTHER)) == Done(0)

    def test_a_handle_of_an_old_password_ends_nothing_of_the_new_one(self, house):
        log_in(house, 1)
        log_in(house, 2, handle=OTHER)
        assert house.forget("handle", 1, key(NOTE)) == Done(1)
        assert isinstance(house.acquire(2, of=1), Hit)

    def test_a_handle_of_another_account_protects_no_session(self, house):
        log_in(house, 1)
        log_in(house, 2, of=2, handle=OTHER)
        assert house.forget("handle", 1, key(NOTE)) == Done(0)
        assert isinstance(found(house, OTHER).session, Hit)

    def test_to_end_a_handle_again_ends_nothing(self, house):
        log_in(house, 1, handle=OTHER)
        for _ in range(2):
            assert house.forget("handle", 1, key(NOTE)) == Done(1)
        assert isinstance(found(house, OTHER).session, Hit)
        house.flush("account", account(1))
        assert house.forget("handle", 1, key(NOTE)) == Done(0)

    def test_what_is_read_meanwhile_is_not_kept_and_the_next_reads_for_itself(self, house):
        log_in(house, 1)
        house.time += 1.0
        lease = house.fetch(50)
        waits = house.ask_answer(50)
        assert isinstance(waits, Ticket)
        house.forget("handle", 1, key(NOTE))
        assert not house.fulfil(key(50), lease.token, b"answer", 30.0)
        assert isinstance(house.run(1.0)[waits], Lease)

    def test_a_login_under_way_goes_on(self, house):
        log_in(house, 1)
        lease = house.lease(2, of=1)
        house.forget("handle", 1, key(NOTE))
        assert house.fulfil(key(2), lease.token, value(2), 60.0)

    def test_a_handle_that_comes_later_leads_where_the_others_do_or_nowhere(self, house):
        log_in(house, 1)
        assert house.put_handle(OTHER, leads_to=1)
        assert not house.put_handle(72, leads_to=2)
        assert found(house, 72) == Missing()


class LoginsContract:
    def test_the_session_and_all_its_handles_end_together(self, house):
        log_in(house, 1)
        house.put_handle(OTHER)
        answer(house)
        assert house.forget("login", 1, key(1)) == Done(1)
        assert found(house) == found(house, OTHER) == Missing()
        assert house.stat("answers") == house.stat("notes") == 0
        assert isinstance(house.acquire(1), Lease)

    def test_handles_end_whose_session_has_ended_already(self, house):
        assert house.put_handle(NOTE)
        assert house.forget("login", 1, key(1)) == Done(1)
        assert found(house) == Missing()

    def test_that_of_another_password_or_account_ends_nothing(self, house):
        log_in(house, 1)
        assert house.forget("login", 1, key(2)) == house.forget("login", 2, key(1)) == Done(0)
        assert house.dropped == []
        assert isinstance(found(house).session, Hit)


class OldPasswordsContract:
    def test_a_login_with_another_password_ends_handles_and_answers_of_the_old_one(self, house):
        log_in(house, 1)
        answer(house)
        log_in(house, 2, handle=OTHER)
        assert found(house) == Missing()
        assert found(house, OTHER).answers[0] is None
        assert house.stat("answers") == 0
        assert house.dropped == [account(1)]
        assert house.storage.epochs.drops == 1

    def test_its_handles_end_also_when_its_session_had_ended_before(self, house):
        log_in(house, 1)
        house.run(43200.0)
        house.put_handle(NOTE)
        log_in(house, 2, handle=OTHER)
        assert found(house) == Missing()

    def test_a_login_with_the_same_password_ends_nothing(self, house):
        log_in(house, 1)
        answer(house)
        house.call(Put("session", account(1), key(1), value(1), 50000.0, None, 0.0, b""))
        log_in_again = house.forget("session", 1, key(1), digest=b"?" * 32)
        assert log_in_again == Done(0)
        assert isinstance(found(house).answers[0], Hit)
        assert house.dropped == []

    def test_what_is_read_with_the_old_session_meanwhile_is_not_kept(self, house):
        log_in(house, 1)
        house.time += 1.0
        lease = house.fetch(50)
        log_in(house, 2, handle=OTHER)
        assert not house.fulfil(key(50), lease.token, b"answer", 30.0)
        assert found(house, OTHER).answers[0] is None


class HandOverContract:
    def test_a_session_that_was_lost_here_is_taken_back_as_idle_as_it_was(self, house):
        assert house.put_session(1, 600.0, idle=50.0)
        assert house.acquire(1) == Hit(value(1), 600.0, 50.0)

    def test_of_two_the_one_of_the_later_login_stays(self, house):
        assert house.put_session(1, 600.0)
        assert not house.put_session(2, 599.0, of=1)
        assert isinstance(house.acquire(1), Hit)
        assert house.dropped == []
        assert house.put_session(2, 601.0, of=1)
        assert isinstance(house.acquire(2, of=1), Hit)
        assert house.dropped == [account(1)]

    def test_one_that_does_not_come_back_leaves_a_login_for_it_good(self, house):
        house.store(2, of=1)
        lease = house.lease(1)
        assert not house.put_session(1, 60.0)
        assert house.fulfil(key(1), lease.token, value(1), 60.0)
        assert house.acquire(1) == Hit(value(1), 60.0)

    def test_it_ends_the_handles_that_lead_to_another_password(self, house):
        house.put_handle(NOTE, leads_to=2)
        assert house.put_session(1, 60.0)
        assert found(house) == Missing()
        assert house.dropped == [account(1)]

    def test_what_was_dropped_meanwhile_does_not_come_back(self, house):
        put = Put("session", account(1), key(1), value(1), 60.0, None, 0.0, b"", 0)
        house.flush("sessions")
        assert house.call(put) == Lost()
        assert isinstance(house.acquire(1), Lease)


class ErasureContract:
    def test_everything_about_one_account_goes_and_nothing_of_another(self, house):
        log_in(house, 1)
        log_in(house, 2, of=2, handle=OTHER)
        answer(house)
        house.reject(9, source=CAFE, of=1)
        waiting = house.lease(8, of=1), house.ticket(8, of=1)
        erased = house.forget("account", 1)
        assert erased == Erased(1, 1, 1, 2, 1, 1, 1)
        assert house.settle()[waiting[1]] == Unavailable("erased", 1.0)
        late = Fulfil("login", account(1), key(8), waiting[0].token, b"late", 60.0)
        assert house.call(late) == Lost()
        assert found(house) == Missing()
        assert house.failures() == []
        assert isinstance(found(house, OTHER).session, Hit)

    @pytest.mark.parametrize("reason", ["busy", "overloaded"])
    def test_that_the_portal_wants_to_be_left_alone_stays(self, house, reason):
        lease = house.fetch(50)
        house.fail(key(50), lease.token, reason, 30.0)
        house.forget("account", 1)
        assert house.ask_answer(51) == Unavailable(reason, 30.0)


class WorthContract:
    """What a state is worth when there is no room: see `Kind`."""

    def kind(self, house, number=1):
        return encoding.kind_of(house.state(number), house.time)

    def test_failures_that_revealed_nothing_are_worth_nothing(self, build):
        house = build(login_burst=1000, logins_at_once=1000)
        for number in range(10, 15):
            lease = house.lease(number, of=1)
            house.fail(key(number), lease.token, "timeout", 1.0)
        assert house.state(1).lock_ends(house.time)
        assert self.kind(house) is Kind.BLANK

    def test_a_lock_that_the_portals_judgement_has_earned_stays(self, build):
        house = build(login_burst=1000, logins_at_once=1000)
        for number in range(10, 15):
            house.reject(number, of=1)
        assert self.kind(house) is Kind.LOCKED
        house.run(31.0)
        assert self.kind(house) is Kind.OTHER

    def test_beside_a_right_password_every_guess_gives_something_away(self, build):
        house = build(login_burst=1000, logins_at_once=1000)
        house.store(1)
        assert self.kind(house) is Kind.SESSION
        for number in range(10, 15):
            lease = house.lease(number, source=CAFE, of=1)
            house.fail(key(number), lease.token, "timeout", 1.0)
        assert self.kind(house) is Kind.LOCKED
