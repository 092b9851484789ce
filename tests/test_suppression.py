"""Lines beyond a quota are counted, and no count is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.suppression import MOST_GROUPS, Count, Quota, Suppression

ONE = Quota(1, 60.0)
THREE = Quota(3, 3600.0)


def test_a_line_within_the_quota_is_written():
    lines = Suppression()
    assert [lines.admits("a", THREE, 0.0) for _ in range(4)] == [True, True, True, False]
    assert lines.admits("b", THREE, 0.0)


def test_lines_beyond_the_quota_are_counted_a_minute_after_the_last_one():
    lines = Suppression()
    for at in (0.0, 5.0, 10.0, 11.0, 12.0):
        lines.admits("a", THREE, at, f"at {at:g}")
    assert lines.take(69.0) == []
    assert lines.take(70.0) == [Count("a", "at 12", 2)]
    assert lines.take(200.0, last=True) == []


def test_a_quota_of_one_a_minute_never_gives_two():
    lines, written = Suppression(), []
    for at in range(600):
        if lines.admits("a", ONE, float(at)):
            written.append((at, 1))
        if at % 10 == 0:
            written += [(at, count.lines) for count in lines.take(float(at))]
    assert written == [(0, 1), *((60 * n, 60) for n in range(1, 10))]


def test_a_quota_is_restored_after_its_time():
    lines = Suppression()
    for _ in range(5):
        lines.admits("a", THREE, 0.0)
    lines.take(60.0)
    assert not lines.admits("a", THREE, 3599.0)
    assert lines.take(3659.0) == [Count("a", "", 1)]
    # The count was the first line of the new window.
    assert [lines.admits("a", THREE, 3660.0) for _ in range(3)] == [True, True, False]


def test_an_evicted_group_reports_its_count():
    lines = Suppression(most=2)
    for group in ("a", "a", "b", "c"):
        lines.admits(group, ONE, 0.0)
    assert lines.take(0.0) == [Count("a", "", 1)]
    assert lines.admits("a", ONE, 0.0)


def test_quiet_groups_are_forgotten():
    lines = Suppression()
    for group in range(MOST_GROUPS):
        lines.admits(group, ONE, 0.0)
    lines.take(60.0)
    assert not lines._groups


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.floats(0.0, 500.0), st.booleans(), st.integers(1, 5))
    )
)
def test_no_line_is_lost(events):
    lines = Suppression(most=3)
    now, written, sent = 0.0, 0, 0
    for group, passed, looked, weight in events:
        now += passed
        sent += weight
        written += weight if lines.admits(group, THREE, now, lines=weight) else 0
        if looked:
            written += sum(count.lines for count in lines.take(now))
    written += sum(count.lines for count in lines.take(now, last=True))
    assert written == sent
