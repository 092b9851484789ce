"""What ends with a handle, with a login, and with an old password."""

import pytest

from server.cache.outcomes import Hit, Lease

from .test_engine import House, account, key, value

NOTE, OTHER_NOTE = key(100), key(101)


@pytest.fixture
def house() -> House:
    return House()


def keep(house, note=NOTE, leads_to=1, of=1):
    assert house.engine.answers.keep(note, account(of), key(leads_to), b"a handle", 3600.0)


def fetch(house) -> Lease:
    house.clock.time += 1.0  # the gap after a login
    lease = house.engine.answers.share(key(50), account(1), "worker")
    assert isinstance(lease, Lease)
    return lease


def answer(house):
    assert house.engine.answers.answer(key(50), fetch(house).token, b"answer", 30.0)


def end_handle(house, note=NOTE, session=1, of=1):
    return house.engine.end_handle(note, account(of), key(session))


def end_session(house, number, of=1):
    return house.engine.end_session(key(number), account(of))


class TestHandles:
    def test_the_last_handle_takes_the_session_and_what_was_read_with_it(self, house):
        house.store(1)
        keep(house)
        answer(house)
        assert not end_handle(house)
        assert house.engine.answers.find(NOTE) is None
        assert isinstance(house.acquire(1), Lease)
        assert house.stat("answers") == 0

    def test_a_session_stays_for_another_handle_that_leads_to_it(self, house):
        house.store(1)
        keep(house)
        keep(house, OTHER_NOTE)
        answer(house)
        assert end_handle(house)
        assert house.engine.answers.find(NOTE) is None
        assert house.engine.answers.find(OTHER_NOTE) is not None
        assert house.acquire(1) == Hit(value(1), 43199.0)
        assert house.stat("answers") == 1
        assert not end_handle(house, OTHER_NOTE)
        assert isinstance(house.acquire(1), Lease)

    def test_a_handle_of_another_account_keeps_no_session(self, house):
        house.store(1)
        keep(house)
        keep(house, OTHER_NOTE, of=2, leads_to=2)
        assert not end_handle(house)

    def test_ending_a_handle_again_changes_nothing_but_the_epoch(self, house):
        house.store(1, of=1)
        keep(house, OTHER_NOTE)
        for _ in range(2):
            assert end_handle(house)
        house.engine.flush("account", account(1))
        assert not end_handle(house)

    def test_a_handle_of_an_old_password_does_not_end_the_session_of_the_new_one(self, house):
        house.store(2, of=1)
        assert not end_handle(house, session=1)
        assert house.acquire(2, of=1) == Hit(value(2), 43200.0)

    def test_what_is_read_meanwhile_is_not_kept_and_the_next_reads_for_itself(self, house):
        house.store(1)
        keep(house)
        lease = fetch(house)
        waits = house.engine.answers.share(key(50), account(1), "worker")
        end_handle(house)
        assert not house.engine.answers.answer(key(50), lease.token, b"answer", 30.0)
        assert isinstance(house.run(1.0)[waits], Lease)

    def test_a_login_under_way_goes_on(self, house):
        lease = house.lease(2, of=1)
        keep(house)
        end_handle(house)
        assert house.engine.fulfil(key(2), lease.token, value(2), 60.0)


class TestLogins:
    def test_the_session_and_all_its_handles_end_together(self, house):
        house.store(1)
        keep(house)
        keep(house, OTHER_NOTE)
        answer(house)
        assert end_session(house, 1)
        assert house.stat("notes") == house.stat("answers") == house.stat("sessions") == 0
        assert not end_session(house, 1)

    def test_handles_end_whose_session_has_ended_already(self, house):
        keep(house)
        assert end_session(house, 1)
        assert house.stat("notes") == 0

    def test_that_of_another_password_ends_nothing(self, house):
        house.store(1)
        keep(house)
        drops = house.engine.epoch.drops
        assert not end_session(house, 10)
        assert house.engine.epoch.drops == drops
        assert isinstance(house.acquire(1), Hit)
        assert house.engine.answers.find(NOTE) is not None

    def test_another_account_keeps_its_own(self, house):
        house.store(1)
        house.store(2, of=2)
        keep(house, OTHER_NOTE, leads_to=2, of=2)
        assert end_session(house, 1)
        assert house.stat("sessions") == house.stat("notes") == 1


class TestOldPasswords:
    def test_a_login_with_another_password_ends_handles_and_answers_of_the_old_one(self, house):
        told = []
        house.engine.on_replaced = told.append
        house.store(1)
        keep(house)
        answer(house)
        drops = house.engine.epoch.drops
        keep(house, OTHER_NOTE, leads_to=2)  # as a login does, before it is fulfilled
        house.store(2, of=1)
        assert house.engine.answers.find(NOTE) is None
        assert house.engine.answers.find(OTHER_NOTE) is not None
        assert house.stat("answers") == 0
        assert (told, house.engine.epoch.drops) == ([account(1)], drops + 1)

    def test_its_handles_end_also_when_its_session_had_ended_before(self, house):
        told = []
        house.engine.on_replaced = told.append
        keep(house)
        house.store(2, of=1)
        assert house.engine.answers.find(NOTE) is None
        assert told == [account(1)]

    def test_a_login_with_the_same_password_ends_nothing(self, house):
        told = []
        house.engine.on_replaced = told.append
        house.store(1, ttl=10.0)
        keep(house)
        answer(house)
        house.clock.time += 9.0
        house.store(1)
        assert house.engine.answers.find(NOTE) is not None
        assert house.stat("answers") == 1
        assert told == []

    def test_what_is_read_with_the_old_session_meanwhile_is_not_kept(self, house):
        house.store(1)
        lease = fetch(house)
        house.store(2, of=1)
        house.clock.time += 5.0
        assert not house.engine.answers.answer(key(50), lease.token, b"answer", 30.0)
        assert house.acquire(2, of=1).idle == 5.0

    def test_a_copy_that_is_brought_back_ends_no_handle(self, house):
        keep(house, leads_to=2)
        lease = house.lease(1)
        assert house.engine.bring(key(1), lease.token, value(1), 60.0, 0.0)
        assert house.engine.answers.find(NOTE) is not None


def test_notes_lead_where_they_were_made_to_also_after_a_restart(house):
    keep(house)
    other = House()
    other.engine.restore(house.engine.export())
    assert other.engine.answers.find(NOTE).session == key(1)
    assert other.engine.answers.lead_to(account(1), key(1)) == 1
