"""Who has the next turn: networks in turn, newcomers first, and nobody never."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from server.cache.lines import PASSED_OVER, RANKS, Flight, Lines
from server.cache.turns import OLDEST_EVERY, Turns
from server.sources import networks_of

PLACES = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))


def path(wide, network, source):
    return f"w{wide}", f"w{wide} n{network}", f"w{wide} n{network} s{source}"


def taken(turns, count):
    return [turns.take() for _ in range(count)]


def without_the_oldest(turns):
    """Begin a round of turns, of which only the last is the oldest one's."""
    assert turns._taken % OLDEST_EVERY == 0
    return turns


def test_newcomers_go_before_those_who_wait_already():
    turns = without_the_oldest(Turns())
    for number in range(5):
        turns.add(number, path(number, 0, 0))
    assert taken(turns, 2) == [4, 3]
    turns.add(9, path(9, 0, 0))
    assert taken(turns, 4) == [9, 2, 1, 0]


def test_what_had_a_turn_goes_behind_the_others_at_each_level():
    turns = without_the_oldest(Turns())
    for number in range(3):
        turns.add(f"crowd {number}", path(1, number, 0))
    turns.add("one source, first", path(2, 1, 1))
    turns.add("one source, second", path(2, 1, 1))
    turns.add("its neighbour", path(2, 1, 2))
    turns.add("one of the provider", path(2, 2, 1))
    assert taken(turns, 7) == [
        "one of the provider",
        "crowd 2",
        "its neighbour",
        "crowd 1",
        "one source, first",
        "crowd 0",
        "one source, second",
    ]


def test_a_turn_in_eight_goes_to_the_one_that_has_waited_longest():
    turns = Turns()
    for number in range(3):
        turns.add(f"old {number}", path(number, 0, 0))
    order = []
    for number in range(3 * OLDEST_EVERY):
        turns.add("new", path(10 + number, 0, 0))
        order.append(turns.take())
        turns.remove("new")
    assert order[OLDEST_EVERY - 1 :: OLDEST_EVERY] == ["old 0", "old 1", "old 2"]
    assert order.count("new") == 3 * (OLDEST_EVERY - 1)


@given(st.lists(st.one_of(PLACES, st.just("take"), st.integers(0, 20)), max_size=60))
def test_what_waits_is_what_was_added_and_neither_taken_nor_removed(steps):
    turns: Turns[int] = Turns()
    waiting: dict[int, tuple[str, ...]] = {}
    numbers = itertools.count()
    for step in steps:
        if step == "take":
            if waiting:
                del waiting[turns.take()]
        elif isinstance(step, int):
            assert turns.remove(step) == (waiting.pop(step, None) is not None)
        else:
            number = next(numbers)
            waiting[number] = path(*step)
            turns.add(number, waiting[number])
        assert len(turns) == len(waiting)
        assert turns.newest() == next(reversed(waiting), None)
        assert all(number in turns for number in waiting)
        for place in itertools.product(range(4), repeat=2):
            network = path(*place, 0)[:2]
            assert turns.any_of(network) == any(one[:2] == network for one in waiting.values())
    while waiting:
        del waiting[turns.take()]
    assert not turns._all


ARRIVAL = st.tuples(st.integers(0, RANKS - 1), st.integers(0, 9), st.integers(0, 9))


@given(
    before=st.lists(ARRIVAL, max_size=12),
    rank=st.integers(0, RANKS - 1),
    keep_coming=st.lists(ARRIVAL, max_size=3),
    rise=st.booleans(),
)
def test_every_flight_has_its_turn_however_many_keep_coming(before, rank, keep_coming, rise):
    """Each rank has a turn in seven, and an eighth of its turns is the longest waiting one's."""
    ranks: dict[Flight, int] = {}
    lines = Lines(lambda flight, _source: ranks[flight], lambda source: networks_of(source)[:2])
    numbers = itertools.count()

    def come(rank, wide, network):
        flight = Flight(next(numbers).to_bytes(32, "big"), b"", b"")
        ranks[flight] = rank
        lines.add(flight, f"10.{wide}.{network}.{next(numbers) % 250}")
        return flight

    for arrival in before:
        come(*arrival)
    waits = come(rank, 100, 0)
    for turn in range((len(before) + 1) * OLDEST_EVERY * (PASSED_OVER + RANKS)):
        for arrival in keep_coming:
            come(*arrival)
        _, flight = lines.take()
        if flight is waits:
            return
        if rise and turn % 3 == 0:
            for other, was in ranks.items():
                ranks[other] = was if other is waits else min(RANKS - 1, was + 1)
    raise AssertionError("it never had a turn")
