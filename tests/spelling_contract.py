"""What a login proves, it proves of the spelling of the e-mail that the portal accepted alone.

Each implementation of `Storage` inherits these, as those of `accounts_contract`.
"""

import pytest

from server.state import failures
from server.state.limits import SPELLING_BYTES
from server.state.vocabulary import (
    REJECTED,
    Ask,
    Erased,
    Fail,
    Fulfil,
    Hit,
    Lease,
    Locked,
    Put,
    Rejected,
)

from .accounts_house import CAFE, HOME, House, account, key, value

MINE, THEIRS = 900, 1
"""Right passwords of the two accounts; all other numbers are wrong ones."""

TAGS = {
    "normalised": b"",
    "capitals": b"c" * SPELLING_BYTES,
    "full width": b"w" * SPELLING_BYTES,
}
PAIRS = [(mine, theirs) for mine in TAGS for theirs in TAGS if mine != theirs]


class Spellings:
    """Accounts that are asked for one e-mail in two spellings."""

    def __init__(self, house: House, mine: str, theirs: str) -> None:
        self.house = house
        self.mine = account(1) + TAGS[mine]
        self.theirs = account(1) + TAGS[theirs]

    def ask(self, number, spelled, source=CAFE):
        return self.house.ask(Ask("login", spelled, key(number), source))

    def log_in(self, number, spelled, source=CAFE):
        lease = self.ask(number, spelled, source)
        assert isinstance(lease, Lease)
        assert self.house.fulfil(key(number), lease.token, value(number), 3600.0)

    def guess(self, number, spelled, source=CAFE):
        """Try a wrong password; return whether the portal was asked."""
        lease = self.ask(number, spelled, source)
        if not isinstance(lease, Lease):
            return False
        assert self.house.fail(key(number), lease.token, REJECTED, 0.0)
        return True

    def log_in_anew(self, spelled, source=CAFE):
        self.house.flush("sessions")
        self.log_in(MINE, spelled, source)

    def lock_account(self, spelled):
        """Guess elsewhere until the account is locked for all that it does not know."""
        for number in range(20):
            self.guess(100 + number, spelled, f"203.0.{number // 4}.1")
        assert isinstance(self.ask(MINE, spelled, "203.0.113.8"), Locked)

    def put_session(self, spelling):
        put = Put("session", account(1), key(MINE), value(MINE), 3600.0, None, 0.0, spelling)
        return self.house.does(put)

    def knows(self, spelled, source):
        state = self.house.state(1)
        return failures.knows(state, source, spelled[32:], self.house.time)


class SpellingContract:
    @pytest.fixture(params=PAIRS, ids=lambda pair: f"{pair[0]} for {pair[1]}")
    def two(self, request, build) -> Spellings:
        return Spellings(build(login_burst=10_000, logins_at_once=10_000), *request.param)

    @pytest.fixture(params=TAGS)
    def one(self, request, build) -> Spellings:
        house = build(login_burst=10_000, logins_at_once=10_000)
        return Spellings(house, request.param, request.param)

    def test_forgetting_the_account_forgets_what_is_known_of_all_spellings(self, two):
        two.log_in(THEIRS, two.theirs, HOME)
        two.log_in(MINE, two.mine)
        two.guess(10, two.theirs)
        two.guess(11, two.mine)
        lease = two.ask(12, two.mine)
        erased = two.house.forget("account", 1)
        assert isinstance(erased, Erased)
        assert (erased.known_sources, erased.leases) == (2, 1)
        assert not two.house.fulfil(key(12), lease.token, value(12), 60.0)
        state = two.house.state(1)
        assert not (state.known)
        assert not (state.sources)
        assert not (state.pairs)
        assert not (state.value)
        assert not (state.key)

    def test_a_session_is_for_the_spelling_that_it_was_opened_with_first(self, two):
        two.log_in(MINE, two.mine)
        assert two.house.accounts.hit(two.mine, key(MINE), CAFE) is not None
        assert two.house.accounts.hit(two.theirs, key(MINE), CAFE) is None

    # Whoever owns one of two spellings.

    def test_a_login_forgives_no_failure_at_another_spelling(self, two):
        tried = 0
        for number in range(40):
            tried += two.guess(10 + number, two.theirs)
            if number % 4 == 3 and number < 5:
                two.log_in_anew(two.mine)
        assert tried == 5
        assert isinstance(two.ask(MINE, two.mine), Locked)

    def test_the_failures_at_its_own_spelling_are_forgiven_beside_others(self, two):
        for number in range(2):
            assert two.guess(10 + number, two.theirs)
            assert two.guess(20 + number, two.mine)
        two.log_in_anew(two.mine)
        assert sum(two.guess(30 + number, two.theirs) for number in range(9)) == 3

    def test_a_password_that_was_wrong_for_one_spelling_counts_for_the_next(self, two):
        tried = 0
        for round_ in range(5):
            passwords = range(10 * round_, 10 * round_ + 4)
            for number in passwords:
                two.guess(10 + number, two.mine)
            two.house.time += 61.0  # rejections are not remembered any more
            tried += sum(two.guess(10 + number, two.theirs) for number in passwords)
            if isinstance(two.ask(MINE, two.mine), Locked):
                break
            two.log_in_anew(two.mine)
        assert tried <= 5

    def test_a_rejection_says_nothing_of_another_spelling(self, two):
        assert two.guess(10, two.mine)
        assert two.ask(10, two.mine) == Rejected()
        assert isinstance(two.ask(10, two.theirs), Lease)

    def test_a_login_makes_no_source_known_to_another_spelling(self, two):
        two.log_in(THEIRS, two.theirs, HOME)
        two.log_in(MINE, two.mine)
        two.lock_account(two.theirs)
        assert isinstance(two.ask(10, two.theirs), Locked)
        assert isinstance(two.ask(10, two.theirs, HOME), Lease)
        assert isinstance(two.ask(10, two.mine), Lease)

    def test_a_cached_session_makes_no_source_known_to_another_spelling(self, two):
        two.log_in(MINE, two.mine, HOME)
        assert two.ask(MINE, two.theirs, HOME) == Hit(value(MINE), 3600.0)
        two.lock_account(two.theirs)
        assert isinstance(two.ask(10, two.theirs, HOME), Locked)
        # But to that which it was opened with.
        assert isinstance(two.ask(10, two.mine, HOME), Lease)

    def test_a_login_that_was_waited_for_makes_no_source_known_to_another_spelling(self, two):
        lease = two.ask(MINE, two.mine, HOME)
        waiting = {
            spelled: [two.ask(MINE, spelled, source) for source in (HOME, CAFE)]
            for spelled in (two.mine, two.theirs)
        }
        assert two.house.fulfil(key(MINE), lease.token, value(MINE), 3600.0)
        assert set(waiting[two.mine]) <= set(two.house.settle())
        for spelled, knows in ((two.mine, True), (two.theirs, False)):
            assert two.knows(spelled, CAFE) is knows

    def test_a_lease_ends_only_with_the_spelling_that_it_was_granted_for(self, two):
        lease = two.ask(MINE, two.mine)
        theirs = two.theirs, key(MINE), lease.token
        assert not two.house.does(Fulfil("login", *theirs, value(MINE), 3600.0))
        assert not two.house.does(Fail("login", *theirs, REJECTED, 0.0))
        assert two.house.stat("sessions") == 0
        assert two.house.fulfil(key(MINE), lease.token, value(MINE), 3600.0)
        assert two.knows(two.mine, CAFE)
        assert not two.knows(two.theirs, CAFE)

    def test_a_login_opens_no_budget_of_accounts_at_another_spelling(self, two):
        two.log_in(MINE, two.mine)
        for number in range(2, 22):
            assert two.guess(number, account(number))
        assert isinstance(two.ask(500, two.theirs), Locked)
        assert isinstance(two.ask(500, two.mine), Lease)

    def test_a_session_of_which_the_spelling_is_not_known_makes_no_source_known(self, two):
        assert two.put_session(None)
        for spelled in (two.mine, two.theirs):
            assert isinstance(two.ask(MINE, spelled), Hit)
            assert not two.knows(spelled, CAFE)

    def test_a_session_that_is_handed_over_keeps_its_spelling(self, two):
        assert two.put_session(two.mine[32:])
        assert isinstance(two.ask(MINE, two.mine), Hit)
        assert two.knows(two.mine, CAFE)
        assert not two.knows(two.theirs, CAFE)

    # Who goes first when logins wait.

    def goes_first(self, build, pair, whose, number, source, *, flush=False):
        """Return whether a login has its turn before one of a stranger that came later."""
        two = Spellings(build(login_burst=10_000, logins_at_once=1), *pair)
        two.log_in(MINE, two.mine)
        if flush:
            two.house.flush("account", account(1))
        under_way = two.house.lease(5000, source="100.64.9.9")
        ours = two.ask(number, getattr(two, whose), source)
        two.house.ticket(30, source="203.0.113.1")
        two.house.fail(key(5000), under_way.token, "timeout", 0.0)
        ((first, _),) = two.house.settle().items()
        return first == ours

    @pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]} for {pair[1]}")
    def test_a_source_goes_first_only_with_the_spelling_that_was_accepted(self, build, pair):
        assert self.goes_first(build, pair, "mine", 10, CAFE)
        assert not self.goes_first(build, pair, "theirs", 10, CAFE)

    @pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]} for {pair[1]}")
    def test_a_password_goes_first_only_with_the_spelling_that_it_was_right_for(self, build, pair):
        assert self.goes_first(build, pair, "mine", MINE, "198.18.0.9", flush=True)
        assert not self.goes_first(build, pair, "theirs", MINE, "198.18.0.9", flush=True)

    # Whoever has one spelling.

    def test_an_owners_failures_at_one_source_are_cleared_by_their_login_there(self, one):
        for round_ in range(4):
            for number in range(4):
                assert one.guess(10 * round_ + number + 10, one.mine, HOME)
            one.log_in_anew(one.mine, HOME)

    def test_an_owner_is_known_where_they_logged_in_and_where_they_used_the_session(self, one):
        one.log_in(MINE, one.mine, HOME)
        assert isinstance(one.ask(MINE, one.mine, CAFE), Hit)
        one.lock_account(one.mine)
        for source in (HOME, CAFE):
            assert isinstance(one.ask(MINE, one.mine, source), Hit)
        assert isinstance(one.ask(MINE, one.mine, "203.0.113.9"), Locked)

    def test_callers_with_one_spelling_share_a_login_and_the_same_wrong_password_counts_once(
        self, one
    ):
        lease = one.ask(MINE, one.mine)
        other = one.ask(MINE, one.mine, HOME)
        assert one.house.fulfil(key(MINE), lease.token, value(MINE), 3600.0)
        assert one.house.settle() == {other: Hit(value(MINE), 3600.0)}
        for _ in range(8):
            assert one.guess(10, one.mine)
            one.house.time += 61.0
        assert isinstance(one.ask(MINE, one.mine), Hit)

    def test_a_session_of_another_spelling_answers_no_guess_of_a_source_that_has_not_proved_it(
        self, two
    ):
        two.log_in(THEIRS, two.theirs, HOME)
        # Right or wrong, it is for the portal to say: it is that of an account of somebody else.
        assert two.guess(THEIRS, two.mine)
        assert two.guess(10, two.mine)
        assert isinstance(two.ask(THEIRS, two.theirs, HOME), Hit)

    def test_an_owner_with_two_spellings_and_addresses_logs_in_with_each(self, two):
        two.log_in(MINE, two.mine, HOME)
        two.log_in(MINE, two.theirs, CAFE)
        two.log_in(MINE, two.mine, HOME)
        assert isinstance(two.ask(MINE, two.mine, HOME), Hit)
        assert two.house.stat("sessions") == 1

    def test_a_wrong_password_for_a_session_of_another_spelling_counts_as_any(self, two):
        for number in range(5):
            two.log_in(THEIRS, two.theirs, HOME)
            assert two.guess(10 + number, two.mine)
            two.house.flush("sessions")
        assert isinstance(two.ask(THEIRS, two.mine), Locked)

    def test_two_spellings_of_one_owner_share_the_session(self, two):
        two.log_in(MINE, two.mine)
        assert isinstance(two.ask(MINE, two.theirs), Hit)
        assert isinstance(two.ask(MINE, two.mine), Hit)
        assert two.house.stat("sessions") == 1
