"""Whose login is next: networks in turn, newcomers first, and nobody never."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from server.sources import networks_of
from server.state.limits import Limits
from server.state.turns import OLDEST_EVERY, PASSED_OVER, Place, Rank, Turns

LIMITS = Limits(turns=1000, logins_at_once=1, login_burst=1000)
OWNER = b"process!"


class Line:
    """Turns in which one login is made after the other."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.turns = Turns()
        self.limits = limits
        self.names: dict[bytes, str] = {}

    def __len__(self) -> int:
        return len(self.turns.waiting)

    def join(self, name: str, path: tuple[str, str, str], rank: Rank = Rank.ALONE) -> bytes:
        ticket = len(self.names).to_bytes(8, "big")
        self.names[ticket] = name
        # All of one pair: who is a crowd is not what is tested here.
        self.turns.join(Place(ticket, OWNER, b"pair", path, False, rank, 1e9), self.limits)
        return ticket

    def next(self) -> str:
        """Return whose login begins, as the one before it has ended."""
        self.turns.serve(self.limits, 0.0)
        (ticket,) = self.turns.running
        self.turns.leave(ticket, self.limits)
        return self.names[ticket]

    def several(self, count: int) -> list[str]:
        return [self.next() for _ in range(count)]


def path(wide: int, network: int, source: int) -> tuple[str, str, str]:
    return f"w{wide}", f"w{wide} n{network}", f"w{wide} n{network} s{source}"


def test_newcomers_are_served_before_earlier_waiters():
    line = Line()
    for number in range(5):
        line.join(f"{number}", path(number, 0, 0))
    assert line.several(2) == ["4", "3"]
    line.join("9", path(9, 0, 0))
    assert line.several(4) == ["9", "2", "1", "0"]


def test_what_had_a_turn_goes_behind_the_others_at_each_level():
    line = Line()
    for number in range(3):
        line.join(f"crowd {number}", path(1, number, 0))
    line.join("one source, first", path(2, 1, 1))
    line.join("one source, second", path(2, 1, 1))
    line.join("its neighbour", path(2, 1, 2))
    line.join("one of the provider", path(2, 2, 1))
    assert line.several(7) == [
        "one of the provider",
        "crowd 2",
        "its neighbour",
        "crowd 1",
        "one source, first",
        "crowd 0",
        "one source, second",
    ]


def test_a_turn_in_eight_goes_to_the_one_that_has_waited_longest():
    line = Line()
    for number in range(3):
        line.join(f"old {number}", path(number, 0, 0))
    order = []
    for number in range(3 * OLDEST_EVERY):
        ticket = line.join("new", path(10 + number, 0, 0))
        order.append(line.next())
        line.turns.leave(ticket)
    assert order[OLDEST_EVERY - 1 :: OLDEST_EVERY] == ["old 0", "old 1", "old 2"]
    assert order.count("new") == 3 * (OLDEST_EVERY - 1)


PLACES = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
RANKS = st.sampled_from([Rank.KNOWN, Rank.ALONE, Rank.SUSPECT])


@given(
    st.lists(st.one_of(st.tuples(PLACES, RANKS), st.just("serve"), st.integers(0, 20)), max_size=40)
)
def test_the_waiters_are_those_that_joined_and_neither_left_nor_were_served(steps):
    line = Line()
    waiting: list[bytes] = []
    for step in steps:
        if step == "serve":
            if waiting:
                line.turns.serve(LIMITS, 0.0)
                (ticket,) = line.turns.running
                waiting.remove(ticket)
                line.turns.leave(ticket, LIMITS)
        elif isinstance(step, int):
            if step < len(waiting):
                line.turns.leave(waiting.pop(step))
        else:
            waiting.append(line.join("", path(*step[0]), step[1]))
        assert sorted(line.turns.waiting) == sorted(waiting)
        # As every process reads it that shares the line.
        line.turns = Turns.load(line.turns.dump(b"tag of 8"))
        line.turns.leave(b"of nobody")
    line.several(len(waiting))
    assert line.turns == Turns(taken=line.turns.taken, passed=line.turns.passed)


ARRIVAL = st.tuples(RANKS, st.integers(0, 9), st.integers(0, 9))


@given(
    before=st.lists(ARRIVAL, max_size=12),
    rank=RANKS,
    keep_coming=st.lists(ARRIVAL, max_size=3),
    fail=st.booleans(),
)
def test_every_login_has_its_turn_however_many_keep_coming(before, rank, keep_coming, fail):
    """Each rank has a turn in seven, and an eighth of its turns is the longest waiting one's."""
    line = Line()
    numbers = itertools.count()

    def come(name, rank, wide, network):
        networks = networks_of(source := f"10.{wide}.{network}.{next(numbers) % 250}")
        line.join(name, (networks.provider, networks.site, source), rank)
        return networks.site, source

    for arrival in before:
        come("other", *arrival)
    come("ours", rank, 100, 0)
    for turn in range((len(before) + 1) * OLDEST_EVERY * (PASSED_OVER + len(Rank))):
        others = [come("other", *arrival) for arrival in keep_coming]
        if line.next() == "ours":
            return
        for site, source in others if fail and turn % 3 == 0 else ():
            line.turns.rejected((site, site, source), 0.0)
    raise AssertionError("it never had a turn")
