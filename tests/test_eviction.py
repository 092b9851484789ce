"""In which order connections give way."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from server.http.eviction import eviction_order
from server.sources import networks_of

CROWD = [f"2001:db8:1:{n:x}::/64" for n in range(3)]
"""Three sources of one household."""


def order(*sources):
    return eviction_order(enumerate(sources))


def test_the_oldest_of_single_connections_is_evicted_first():
    assert order("192.0.2.1", "198.51.100.1", "2001:db8::/64", None, "unknown") == [0, 1, 2, 3, 4]


def test_a_network_is_reduced_to_the_share_of_the_others_before_the_oldest_is_evicted():
    assert order("192.0.2.1", "198.51.100.1", "198.51.100.2", "198.51.100.3") == [1, 2, 0, 3]


def test_many_sources_of_a_site_count_as_one():
    site = [f"2001:db8:1:{n:x}00::/64" for n in range(4)]
    assert order("192.0.2.1", "192.0.2.1", *site)[:2] == [2, 3]


def test_the_largest_source_or_household_of_a_network_is_evicted_first():
    assert order("192.0.2.1", "192.0.2.2", "192.0.2.2")[0] == 1
    assert order("2001:db8:1:100::/64", "2001:db8:1:200::/64", *CROWD)[:2] == [2, 3]


def test_exempt_connections_are_not_grouped():
    assert order(None, None, None, "192.0.2.1", "192.0.2.2")[:2] == [3, 0]


SOURCES = st.sampled_from(
    ["192.0.2.1", "192.0.2.2", "192.0.3.1", "unknown", None, "2001:db8:2::/64", *CROWD]
)


@given(st.lists(SOURCES, max_size=30))
def test_every_eviction_hits_the_largest_network(sources):
    paths = [(n, n) if one is None else networks_of(one)[1:] for n, one in enumerate(sources)]
    left = dict(enumerate(paths))
    for gone in order(*sources):
        coarse, fine = (Counter(path[width] for path in left.values()) for width in (0, 1))
        assert coarse[paths[gone][0]] == max(coarse.values())
        own = [n for n, path in left.items() if path[0] == paths[gone][0]]
        assert fine[paths[gone][1]] == max(fine[left[n][1]] for n in own)
        assert gone == min(n for n in own if left[n][1] == paths[gone][1])
        del left[gone]
    assert not left
