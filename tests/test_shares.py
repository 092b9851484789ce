"""Sums over what callers take: how many connections, how many bytes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.http.exemptions import REMEMBERED, Exemptions
from server.http.shares import MAX_OF_SOURCE, SHARE_OF_NETWORK, Buffered, Tally, most_of_source
from server.sources import network_of


def test_a_source_has_a_limit_and_leaves_nothing_behind_at_zero():
    tally = Tally(2)
    assert [tally.add("a"), tally.add("a"), tally.add("a"), tally.add("b")] == (
        [True, True, False, True]
    )
    for source in "aaab":
        tally.remove(source)
    assert len(tally) == 0
    assert tally.add("a")


@pytest.mark.parametrize("source", ["192.0.2.{}", "2001:db8:1:{}::/64"])
def test_the_sources_of_a_network_share_a_limit_and_others_are_not_affected(source):
    tally = Tally(2)
    given = [source.format(n // 2) for n in range(2 * SHARE_OF_NETWORK)]
    assert all(map(tally.add, given))
    assert not tally.add(source.format(99))
    assert tally.add("198.51.100.1")
    for one in [*given, source.format(99), "198.51.100.1"]:
        tally.remove(one)
    assert len(tally) == 0
    assert tally.add(source.format(99))


def test_a_request_fits_exactly_when_add_accepts_it():
    tally = Tally(2, of_all=5)
    for source, fits in [("a", True), ("a", True), ("a", False), (None, True), (None, True)]:
        assert tally.add(source) == tally.fits(source) == fits
    assert not tally.fits("a")
    assert tally.fits("b")
    assert not tally.add(None)
    assert not tally.fits("b")
    assert not tally.fits(None)
    tally.remove("a")
    assert tally.fits("a")
    assert tally.fits("b")


@pytest.mark.parametrize(
    ("most", "share"), [(2000, MAX_OF_SOURCE), (10_000, MAX_OF_SOURCE), (500, 50), (1, 8)]
)
def test_the_share_of_a_source_depends_on_the_capacity_of_the_worker(most, share):
    assert most_of_source(most) == share


STEPS = st.lists(
    st.tuples(
        st.integers(0, 9), st.sampled_from([None, "a", "b"]), st.integers(1, 60), st.booleans()
    )
)


@given(STEPS)
def test_the_sums_stay_below_their_bounds_while_the_largest_holders_let_go(steps):
    busy = set()
    buffered = Buffered(lambda holder: holder not in busy, most=200, of_source=100)
    sizes = {}
    for holder, source, size, is_busy in steps:
        if is_busy and holder in sizes:
            busy.add(holder)
            continue
        busy.discard(holder)
        sizes[holder] = source, size
        let_go = buffered.note(holder, source, size)
        if let_go is not None:
            assert let_go not in busy
            buffered.release(let_go)
            del sizes[let_go]
        assert buffered.total == sum(size for _, size in sizes.values())
        if not busy:
            assert buffered.total <= 200
            of = Counter()
            for whose, held_of in sizes.values():
                of[whose] += held_of
            assert of["a"] <= 100
            assert of["b"] <= 100
    for holder in list(sizes):
        buffered.release(holder)
    assert buffered.total == 0
    assert not buffered._of


def test_a_source_over_its_bound_releases_its_largest_holder():
    buffered = Buffered(lambda _: True, most=1000, of_source=100)
    assert buffered.note("other", "b", 90) is None
    assert buffered.note("first", "a", 60) is None
    assert buffered.note("second", "a", 30) is None
    assert buffered.note("third", "a", 20) == "first"
    buffered.release("first")
    # One that is exempt has no bound but the sum.
    assert buffered.note("proxy", None, 800) is None
    assert buffered.note("proxy", None, 900) == "proxy"


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("127.0.0.1", None),
        ("127.9.9.9", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        (None, None),
        ("192.0.2.7", None),
        ("10.1.2.3", None),
        ("::ffff:10.1.2.3", None),
        ("2001:db8:1::1", None),
        ("203.0.113.200", None),
        ("2001:db8:9::1", None),
        ("192.0.2.8", "192.0.2.8"),
        ("::ffff:192.0.2.8", "192.0.2.8"),
        ("2001:db8:2:3:4::1", "2001:db8:2:3::/64"),
        ("2001:db8:2:3:5::2", "2001:db8:2:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not an address", "unknown"),
        ("", "unknown"),
    ],
)
def test_this_machine_proxies_and_shared_networks_are_exempt_and_no_others(host, source):
    proxies = ["192.0.2.7", "10.0.0.0/8", "2001:db8:1::/48"]
    exemptions = Exemptions(proxies, [network_of("203.0.113.0/24"), network_of("2001:db8:9::/48")])
    for _ in range(2):
        assert exemptions.source(host) == source


def test_invented_addresses_fill_no_memory():
    exemptions = Exemptions()
    for number in range(3 * REMEMBERED):
        assert exemptions.source(f"2001:db8::{number:x}") == "2001:db8::/64"
    assert len(exemptions._known) <= REMEMBERED
