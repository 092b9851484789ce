"""Which process is started when, and when everything ends, with a clock of our own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.supervision.failures import ASK_AGAIN, END_AFTER, LONGEST_PAUSE, Due, Failures

BOTH = [("mcp", "mcp-0", "RUNNING"), ("mcp", "mcp-1", "RUNNING"), ("cache", "cache", "RUNNING")]


def known(found=BOTH, **bounds):
    failures = Failures("watch", **bounds)
    failures.take_list(found, 0.0)
    return failures


def tell(failures, now, name, state, **about):
    group = "mcp" if name.startswith("mcp") else name
    details = {"processname": name, "groupname": group, **about}
    return failures.note(f"PROCESS_STATE_{state}", details, now)


def backoff(failures, now, name, tries=1):
    return tell(failures, now, name, "BACKOFF", tries=str(tries))


def exits(failures, now, name):
    return tell(failures, now, name, "EXITED", expected="0")


@pytest.mark.parametrize(
    ("tries", "said"),
    [
        (1, "cache has failed to start; the next try is in 1 s."),
        (2, "cache has failed to start 2 times in a row; the next try is in 2 s."),
        (60, "cache has failed to start 60 times in a row; the next try is in 60 s."),
        (61, "cache has failed to start 61 times in a row; the next try is in 60 s."),
        (5000, "cache has failed to start 5000 times in a row; the next try is in 60 s."),
    ],
)
def test_each_failed_start_is_a_warning_with_the_time_of_the_next_attempt(tries, said):
    remark = backoff(known(), 1.0, "cache", tries)
    assert (remark.level, remark.text) == ("WARNING", said)


def test_other_failures_and_the_recovery_are_reported_too():
    failures = known()
    assert exits(failures, 1.0, "mcp-0").text == (
        "mcp-0 has ended unexpectedly and is started again at once."
    )
    assert tell(failures, 1.1, "mcp-0", "STARTING") is None
    recovery = tell(failures, 6.1, "mcp-0", "RUNNING")
    assert (recovery.level, recovery.text) == ("INFO", "mcp-0 runs again.")
    assert "given up" in tell(failures, 7.0, "mcp-0", "FATAL").text


def test_ordinary_events_are_not_reported():
    failures = known()
    assert tell(failures, 1.0, "mcp-0", "RUNNING") is None
    assert tell(failures, 1.0, "mcp-0", "EXITED", expected="1") is None
    assert tell(failures, 1.0, "mcp-0", "STOPPED") is None
    assert failures.note("TICK_5", {"when": "1"}, 1.0) is None
    assert failures.next_at() is None


@pytest.mark.parametrize("name", ["cache", "mcp-1", "simulator"])
def test_no_pause_of_supervisord_lasts_longer_than_a_minute(name):
    failures = known()
    backoff(failures, 100.0, name, 60)
    assert failures.due(1000.0) == []
    backoff(failures, 2000.0, name, 61)
    assert failures.next_at() == 2000.0 + LONGEST_PAUSE
    assert failures.due(2059.9) == []
    (due,) = failures.due(2060.0)
    assert due.full_name.endswith(name)
    assert not due.owed


def test_a_process_that_supervisord_gave_up_is_started_after_a_minute():
    failures = known()
    tell(failures, 10.0, "cache", "FATAL")
    assert failures.due(69.0) == []
    assert failures.due(70.0) == [Due("cache:cache", owed=False)]


def test_supervisord_is_asked_again_until_an_event_shows_the_start():
    failures = known()
    backoff(failures, 0.0, "cache", 61)
    assert len(failures.due(60.0)) == 1
    assert failures.due(60.0 + ASK_AGAIN - 0.1) == []
    assert len(failures.due(60.0 + ASK_AGAIN)) == 1
    tell(failures, 66.0, "cache", "STARTING")
    assert failures.due(1e9) == []


@pytest.mark.parametrize("state", ["STOPPED", "STARTING", "RUNNING"])
def test_nothing_is_due_after_an_operators_stop_or_start(state):
    failures = known()
    backoff(failures, 0.0, "cache", 61)
    tell(failures, 10.0, "cache", state)
    assert failures.due(1e9) == []


def test_a_stop_that_ends_a_pause_is_not_taken_for_an_operators():
    failures = known()
    backoff(failures, 0.0, "mcp-1", 61)
    failures.due(60.0)
    failures.owe("mcp:mcp-1")
    tell(failures, 60.0, "mcp-1", "STOPPED")
    assert failures.due(60.0 + ASK_AGAIN) == [Due("mcp:mcp-1", owed=True)]
    tell(failures, 65.0, "mcp-1", "STARTING")
    assert failures.due(1e9) == []
    # It fails since the first failure: the start in between was none.
    backoff(failures, 66.0, "mcp-1", 62)
    exits(failures, 67.0, "mcp-0")
    assert failures.given_up(67.0 + END_AFTER) == ["mcp-0", "mcp-1"]
    # And the next stop is an operator's again.
    tell(failures, 68.0, "mcp-1", "STOPPED")
    assert failures.due(1e9) == []


def fail_all(failures):
    exits(failures, 10.0, "mcp-0")
    backoff(failures, 20.0, "mcp-1")
    return 20.0 + END_AFTER


def test_everything_stops_when_the_last_worker_has_failed_for_a_minute():
    failures = known()
    at = fail_all(failures)
    backoff(failures, 30.0, "mcp-0")
    tell(failures, 40.0, "mcp-1", "STARTING")
    backoff(failures, 41.0, "mcp-1", 2)
    assert failures.next_at() == at
    assert failures.given_up(at - 0.1) == []
    assert failures.given_up(at) == ["mcp-0", "mcp-1"]


@pytest.mark.parametrize(
    ("name", "state"), [("mcp-0", "RUNNING"), ("mcp-1", "RUNNING"), ("mcp-2", "STARTING")]
)
def test_everything_goes_on_while_a_worker_recovers_or_is_new(name, state):
    failures = known()
    fail_all(failures)
    tell(failures, 70.0, name, state)
    assert failures.given_up(1e9) == []


@pytest.mark.parametrize("others", ["cache", "simulator"])
def test_failures_of_other_processes_stop_nothing(others):
    failures = known()
    for tries in range(1, 100):
        backoff(failures, 60.0 * tries, others, tries)
    assert failures.given_up(1e9) == []


def test_a_stopped_process_counts_neither_as_failing_nor_as_serving():
    failures = known()
    tell(failures, 5.0, "mcp-0", "STOPPED")
    tell(failures, 6.0, "mcp-1", "STOPPED")
    assert failures.given_up(1e9) == []
    tell(failures, 100.0, "mcp-1", "STARTING")
    backoff(failures, 101.0, "mcp-1")
    assert failures.given_up(101.0 + END_AFTER) == ["mcp-1"]


def test_restarting_the_only_healthy_worker_is_given_time():
    failures = known()
    backoff(failures, 0.0, "mcp-1", 200)
    tell(failures, 1000.0, "mcp-0", "STOPPED")
    assert failures.given_up(1000.0 + END_AFTER - 1) == []
    tell(failures, 1002.0, "mcp-0", "STARTING")
    assert failures.given_up(1e9) == []
    backoff(failures, 1003.0, "mcp-0")
    assert failures.given_up(1003.0 + END_AFTER - 1) == []
    assert failures.given_up(1003.0 + END_AFTER) == ["mcp-0", "mcp-1"]


def test_without_a_list_of_all_processes_nothing_stops():
    failures = Failures("watch")
    at = fail_all(failures)
    assert failures.given_up(at) == []
    failures.take_list([*BOTH, ("mcp", "mcp-2", "RUNNING")], at)
    assert failures.given_up(1e9) == []


@pytest.mark.parametrize("state", ["BACKOFF", "FATAL", "EXITED"])
def test_a_watch_that_starts_late_learns_of_failures_from_the_list(state):
    failures = known([("mcp", "mcp-0", state), ("mcp", "mcp-1", "STOPPED")])
    assert failures.due(LONGEST_PAUSE) == [Due("mcp:mcp-0", owed=False)]
    assert failures.given_up(END_AFTER) == ["mcp-0"]


def test_the_list_does_not_overrule_events():
    failures = Failures("watch")
    tell(failures, 1.0, "mcp-0", "RUNNING")
    failures.take_list([("mcp", "mcp-0", "BACKOFF")], 2.0)
    assert failures.next_at() is None


def test_the_watch_decides_nothing_about_itself():
    failures = known([("watch", "watch", "BACKOFF")])
    assert backoff(failures, 1.0, "watch", 100) is None
    assert failures.next_at() is None


STEPS = st.lists(
    st.tuples(
        st.integers(1, 40),
        st.sampled_from(["mcp-0", "mcp-1", "cache"]),
        st.sampled_from(["STARTING", "RUNNING", "BACKOFF", "EXITED", "STOPPED", "FATAL"]),
        st.integers(1, 200),
    ),
    max_size=30,
)


@given(STEPS)
def test_the_watch_wakes_for_every_action_and_stops_nothing_while_a_worker_runs(steps):
    failures, now, states = known(), 0.0, {"mcp-0": "RUNNING", "mcp-1": "RUNNING"}
    for seconds, name, state, tries in steps:
        at = failures.next_at()
        if at is None or at > now + seconds:
            assert failures.due(now + seconds) == []
            assert failures.given_up(now + seconds) == []
        now += seconds
        tell(failures, now, name, state, tries=str(tries), expected="0")
        states[name] = state
        if "RUNNING" in (states["mcp-0"], states["mcp-1"]):
            assert failures.given_up(now + 1e9) == []
        if state in {"BACKOFF", "FATAL"} and (state == "FATAL" or tries > LONGEST_PAUSE):
            full_name = f"{'mcp' if name.startswith('mcp') else name}:{name}"
            assert failures.next_at() <= now + LONGEST_PAUSE
            assert full_name not in [due.full_name for due in failures.due(now)]
