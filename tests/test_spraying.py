"""What is kept of a source that tries many accounts."""

from hypothesis import given
from hypothesis import strategies as st

from server.state.account import Effect
from server.state.limits import Policy
from server.state.locks import GUESS_LASTS
from server.state.spraying import WINDOW, SourceState
from server.state.storage import Epochs

from .accounts_house import CAFE, account

POLICY = Policy(accounts_per_source=3)


def fail(state: SourceState, number: int, now: float, policy: Policy = POLICY) -> None:
    for effect in (Effect("open", CAFE, now + GUESS_LASTS), Effect("failed", CAFE, now)):
        state.take(account(number), effect, policy)


def test_no_more_is_stored_than_the_budget_needs():
    state = SourceState()
    for number in range(1000):
        fail(state, number, 1000.0)
    assert list(state.tried) == [account(number)[-8:] for number in (997, 998, 999)]


def test_a_written_state_reads_back_unchanged():
    state = SourceState(until=2000.0, unlocked=3)
    for number in range(3):
        fail(state, number, 1000.0)
    state.take(account(9), Effect("open", CAFE, 1000.0 + GUESS_LASTS, telling=False), POLICY)
    assert SourceState.load(state.dump(b"8 bytes.")) == state


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1.0, 600.0, 3000.0])), max_size=60))
def test_within_any_hour_no_source_fails_at_more_accounts_than_its_budget(tries):
    state, now = SourceState(), 1000.0
    failed: list[tuple[float, int]] = []
    for number, pause in tries:
        state.refresh(Epochs(b"origin"), now)
        if state.refused_until(POLICY) <= now:
            assert state.may_try(account(number), POLICY)
            fail(state, number, now)
            failed.append((now, number))
        now += pause
    for begun, _ in failed:
        hour = {number for at, number in failed if begun <= at < begun + WINDOW}
        assert len(hour) <= POLICY.accounts_per_source
