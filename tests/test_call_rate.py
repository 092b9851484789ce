"""How fast one account may call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.auth.call_rate import CallRate
from server.codes import Code
from server.errors import TooManyCalls

from .moved_clock import MovedClock


def admitted(rate, account=b"a", tries=10_000):
    for count in range(tries):
        try:
            rate.count(account)
        except TooManyCalls:
            return count
    return tries


def test_after_a_burst_of_half_a_minutes_calls_one_is_allowed_each_tenth_of_a_second():
    clock = MovedClock()
    rate = CallRate(600, clock)
    assert admitted(rate) == 300
    with pytest.raises(TooManyCalls, match="come back") as refused:
        rate.count(b"a")
    assert refused.value.code is Code.TOO_MANY_CALLS
    assert refused.value.retry_after == pytest.approx(0.1)
    clock.now += 0.1
    assert admitted(rate) == 1
    clock.now += 1
    assert admitted(rate) == 10
    clock.now += 1000
    assert admitted(rate) == 300


def test_the_retry_time_is_exactly_long_enough():
    clock = MovedClock()
    rate = CallRate(7, clock)
    assert admitted(rate) == 3
    with pytest.raises(TooManyCalls) as refused:
        rate.count(b"a")
    clock.now += refused.value.retry_after - 0.01
    assert admitted(rate) == 0
    clock.now += 0.02
    assert admitted(rate) == 1


@pytest.mark.parametrize(("per_minute", "at_once"), [(1, 1), (2, 1), (6, 3), (7, 3), (600, 300)])
def test_the_refusal_states_the_burst_and_the_rate(per_minute, at_once):
    rate = CallRate(per_minute, MovedClock())
    assert admitted(rate) == at_once
    with pytest.raises(TooManyCalls) as refused:
        rate.count(b"a")
    assert f"({at_once}), and {per_minute} a minute" in str(refused.value)


def test_accounts_do_not_use_up_each_others_calls():
    rate = CallRate(10, MovedClock())
    assert [admitted(rate, account) for account in (b"a", b"b", b"a", b"c")] == [5, 5, 0, 5]


def test_a_rate_of_one_allows_one_call_a_minute_and_zero_disables_the_limit():
    assert admitted(CallRate(1, MovedClock())) == 1
    assert admitted(CallRate(0, MovedClock())) == 10_000


@given(st.integers(1, 1000), st.lists(st.floats(0, 5), max_size=200))
def test_calls_in_any_period_never_exceed_the_rate_plus_one_burst(per_minute, pauses):
    clock = MovedClock()
    rate = CallRate(per_minute, clock)
    calls = 0
    for pause in pauses:
        clock.now += pause
        calls += admitted(rate, tries=50)
    burst = max(1, per_minute // 2)
    assert calls <= burst + per_minute * sum(pauses) / 60 + 1


def test_only_the_most_recent_accounts_are_remembered():
    rate = CallRate(2, MovedClock(), accounts=3)
    for account in (b"a", b"b", b"c", b"d"):
        assert admitted(rate, account) == 1
    assert len(rate._full_at) == 3
    assert admitted(rate, b"d") == 0
    assert admitted(rate, b"a") == 1
