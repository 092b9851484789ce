"""Answers come at whole steps, none quicker than the slowest of late."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.auth.padding import HIGHEST, PERIOD, STEP, Padding

TIMES = st.floats(0.0, 60.0)


class House:
    def __init__(self) -> None:
        self.time = 10 * PERIOD
        self.padding = Padding(lambda: self.time)

    def steps(self, took: float = 0.0) -> float:
        """Return after how many steps an answer comes that took so long."""
        return (took + self.padding.rest(took)) / STEP


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize(
    ("took", "steps"), [(0.0, 1), (0.7, 1), (STEP, 1), (STEP + 0.01, 2), (30.2, 21)]
)
def test_an_answer_is_sent_at_the_next_whole_step(house, took, steps):
    assert house.steps(took) == pytest.approx(steps)


def test_no_answer_is_quicker_than_the_slowest_request(house):
    house.padding.note(2.0)
    assert house.steps(0.1) == pytest.approx(2)
    assert house.steps(4.0) == pytest.approx(3)


def test_fast_requests_never_lower_the_level(house):
    house.padding.note(2.0)
    for _ in range(1000):
        house.padding.note(0.1)
    assert house.steps() == pytest.approx(2)


def test_an_unrecorded_late_answer_does_not_raise_the_level(house):
    house.steps(30.0)
    assert house.steps() == pytest.approx(1)


def test_the_level_falls_after_a_whole_period_without_a_slow_request(house):
    house.padding.note(4.0)
    house.time += PERIOD - 1.0
    house.padding.note(2.0)
    house.time += PERIOD
    assert house.steps() == pytest.approx(3)
    house.time += 1.0
    assert house.steps() == pytest.approx(1)


def test_the_level_falls_to_the_slowest_of_the_last_period(house):
    house.padding.note(4.0)
    house.time += PERIOD
    house.padding.note(2.0)
    house.time += PERIOD
    assert house.steps() == pytest.approx(2)


def test_a_single_slow_request_raises_the_level_no_higher_than_the_maximum(house):
    house.padding.note(29.0)
    assert house.steps() == pytest.approx(HIGHEST)


@given(st.lists(st.tuples(TIMES, st.sampled_from([0.0, 60.0, PERIOD / 2, PERIOD]))), TIMES)
def test_no_answer_is_sent_before_it_exists_or_between_steps(requests, took):
    house = House()
    for seconds, later in requests:
        house.padding.note(seconds)
        house.time += later
        steps = house.steps(took)
        assert steps == pytest.approx(round(steps))
        assert steps * STEP >= took - 1e-6
        assert steps <= max(HIGHEST, took / STEP + 1.000001)
