"""Whose login is next: networks in turn, newcomers first, and nobody never."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from server.sources import networks_of
from server.state.limits import Limits
from server.state.turns import OLDEST_EVERY, PASSED_OVER, Place, Rank, Turns

LIMITS = Limits(turns=1000, logins_at_once=1, login_burst=1000)
FULL_AT_4 = replace(LIMITS, turns=4)
OWNER = b"process!"


class Queue:
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
    queue = Queue()
    for number in range(5):
        queue.join(f"{number}", path(number, 0, 0))
    assert queue.several(2) == ["4", "3"]
    queue.join("9", path(9, 0, 0))
    assert queue.several(4) == ["9", "2", "1", "0"]


def test_what_had_a_turn_goes_behind_the_others_at_each_level():
    queue = Queue()
    for number in range(3):
        queue.join(f"crowd {number}", path(1, number, 0))
    queue.join("one source, first", path(2, 1, 1))
    queue.join("one source, second", path(2, 1, 1))
    queue.join("its neighbour", path(2, 1, 2))
    queue.join("one of the provider", path(2, 2, 1))
    assert queue.several(7) == [
        "one of the provider",
        "crowd 2",
        "its neighbour",
        "crowd 1",
        "one source, first",
        "crowd 0",
        "one source, second",
    ]


def test_a_turn_in_eight_goes_to_the_one_that_has_waited_longest():
    queue = Queue()
    for number in range(3):
        queue.join(f"old {number}", path(number, 0, 0))
    order = []
    for number in range(3 * OLDEST_EVERY):
        ticket = queue.join("new", path(10 + number, 0, 0))
        order.append(queue.next())
        queue.turns.leave(ticket)
    assert order[OLDEST_EVERY - 1 :: OLDEST_EVERY] == ["old 0", "old 1", "old 2"]
    assert order.count("new") == 3 * (OLDEST_EVERY - 1)


def waiting(queue: Queue) -> list[str]:
    return [queue.names[ticket] for ticket in queue.turns.waiting]


def test_a_full_queue_makes_room_for_a_network_that_has_fewer_in_it():
    queue = Queue(FULL_AT_4)
    for number in range(4):
        queue.join(f"crowd {number}", path(1, number, 0))
    queue.join("owner", path(2, 0, 0))
    assert waiting(queue) == ["crowd 0", "crowd 1", "crowd 2", "owner"]
    assert queue.next() == "owner"


def test_no_network_makes_room_for_one_that_would_have_as_many():
    queue = Queue(FULL_AT_4)
    for number in range(6):
        queue.join(f"one {number}", path(1, number, 0))
    for number in range(6):
        queue.join(f"other {number}", path(2, number, 0))
    assert waiting(queue) == ["one 0", "one 1", "other 0", "other 1"]


def test_the_last_rank_makes_room_for_the_others_by_the_newest_of_its_largest_network():
    queue = Queue(FULL_AT_4)
    queue.join("known", path(3, 0, 0), Rank.KNOWN)
    for number in range(2):
        queue.join(f"suspect {number}", path(1, number, 0), Rank.SUSPECT)
    queue.join("newest suspect", path(2, 0, 0), Rank.SUSPECT)
    queue.join("owner", path(3, 1, 0))
    assert waiting(queue) == ["known", "suspect 0", "newest suspect", "owner"]
    queue.join("another suspect", path(4, 0, 0), Rank.SUSPECT)
    assert "another suspect" not in waiting(queue)


PLACES = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
RANKS = st.sampled_from([Rank.KNOWN, Rank.ALONE, Rank.SUSPECT])


@given(
    st.lists(st.one_of(st.tuples(PLACES, RANKS), st.just("serve"), st.integers(0, 20)), max_size=40)
)
def test_the_waiters_are_those_that_joined_and_neither_left_nor_were_served(steps):
    queue = Queue()
    waiting: list[bytes] = []
    for step in steps:
        if step == "serve":
            if waiting:
                queue.turns.serve(LIMITS, 0.0)
                (ticket,) = queue.turns.running
                waiting.remove(ticket)
                queue.turns.leave(ticket, LIMITS)
        elif isinstance(step, int):
            if step < len(waiting):
                queue.turns.leave(waiting.pop(step))
        else:
            waiting.append(queue.join("", path(*step[0]), step[1]))
        assert sorted(queue.turns.waiting) == sorted(waiting)
        # As every process reads it that shares the queue.
        queue.turns = Turns.load(queue.turns.dump(b"tag of 8"))
        queue.turns.leave(b"of nobody")
    queue.several(len(waiting))
    assert queue.turns == Turns(taken=queue.turns.taken, passed=queue.turns.passed)


ARRIVAL = st.tuples(RANKS, st.integers(0, 9), st.integers(0, 9))


@given(
    before=st.lists(ARRIVAL, max_size=12),
    rank=RANKS,
    keep_coming=st.lists(ARRIVAL, max_size=3),
    fail=st.booleans(),
)
def test_every_login_has_its_turn_however_many_keep_coming(before, rank, keep_coming, fail):
    """Each rank has a turn in seven, and an eighth of its turns is the longest waiting one's."""
    queue = Queue()
    numbers = itertools.count()

    def come(name, rank, wide, network):
        networks = networks_of(source := f"10.{wide}.{network}.{next(numbers) % 250}")
        queue.join(name, (networks.provider, networks.site, source), rank)
        return networks.site, source

    for arrival in before:
        come("other", *arrival)
    come("ours", rank, 100, 0)
    for turn in range((len(before) + 1) * OLDEST_EVERY * (PASSED_OVER + len(Rank))):
        others = [come("other", *arrival) for arrival in keep_coming]
        if queue.next() == "ours":
            return
        for site, source in others if fail and turn % 3 == 0 else ():
            queue.turns.rejected((site, site, source), 0.0)
    raise AssertionError("it never had a turn")
