"""What processes on a shared storage say of themselves, added up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.state.valkey_reports import sums

REPORTS = st.lists(
    st.dictionaries(
        st.sampled_from(["hits_total", "misses_total", "leases", "hit_ratio", "versions", "newer"]),
        st.integers(0, 10) | st.none() | st.floats(0, 1) | st.lists(st.integers()) | st.text(),
    )
)


def test_numbers_are_added_and_lists_joined():
    one = {"hits_total": 3, "misses_total": 1, "hit_ratio": 0.75, "versions": [{"name": "a"}]}
    other = {"hits_total": 0, "misses_total": 4, "hit_ratio": 0.0, "versions": [{"name": "b"}]}
    assert sums([one, other]) == {
        "hits_total": 3,
        "misses_total": 5,
        "hit_ratio": 0.375,
        "versions": [{"name": "a"}, {"name": "b"}],
    }


def test_what_nobody_has_counted_is_unknown_and_not_zero():
    assert sums([]) == {"hit_ratio": None}
    assert sums([{"hits_total": 0, "misses_total": 0}])["hit_ratio"] is None
    assert sums([{"leases": 2}, {"newer": 1}]) == {"leases": 2, "newer": 1, "hit_ratio": None}


@given(REPORTS)
def test_whatever_a_process_of_another_version_says_is_added_up(reports):
    total = sums(reports)
    leases = [one["leases"] for one in reports if isinstance(one.get("leases"), int)]
    assert not leases or total["leases"] == sum(leases)
