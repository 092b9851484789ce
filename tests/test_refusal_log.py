"""What the log says of refused names, however many they are."""

from __future__ import annotations

import pytest

from server.http.refusal_log import ALL_QUOTA, RefusalLog

from .moved_clock import MovedClock


@pytest.fixture
def clock():
    return MovedClock()


@pytest.fixture
def log(clock):
    return RefusalLog(clock)


def refuse(log, name):
    log("of the web page", name, "Its operator can help.")


def test_the_first_refusal_of_each_name_is_logged_with_its_remedy(log, caplog):
    for name in ("http://a.test", "http://b.test"):
        refuse(log, name)
    assert caplog.messages == [
        "refused a request of the web page 'http://a.test'. Its operator can help.",
        "refused a request of the web page 'http://b.test'. Its operator can help.",
    ]


def test_further_refusals_are_counted_once_a_minute(log, clock, caplog):
    for _ in range(500):
        refuse(log, "http://a.test")
        clock.now += 0.1
    assert len(caplog.messages) == 1
    clock.now += 60
    refuse(log, "http://a.test")
    assert caplog.messages[1:] == ["refused 499 more of the web page 'http://a.test'"]


def test_a_host_and_a_page_of_one_name_are_two_names(log, caplog):
    log("for host", "a.test", "Add it.")
    log("of the web page", "a.test", "Add it.")
    assert len(caplog.messages) == 2


def test_a_caller_that_invents_names_writes_few_lines_and_all_are_counted(log, clock, caplog):
    for number in range(10_000):
        refuse(log, f"http://{number}.test")
    assert len(caplog.messages) == ALL_QUOTA.lines
    clock.now += 60
    refuse(log, "http://a.test")
    more = 10_000 - ALL_QUOTA.lines
    assert f"refused {more} more of several names" in caplog.messages
    assert "refused a request of the web page 'http://a.test'" in caplog.text


def test_recurring_names_write_no_more_lines(log, clock, caplog):
    for number in range(60_000):
        refuse(log, f"http://{number % 200}.test")
        clock.now += 0.01
    assert len(caplog.messages) <= 12 * ALL_QUOTA.lines


@pytest.mark.parametrize("name", ["x" * 10_000, "a\nfailed login", "a\x1b[31m", "a\x85b", "'"])
def test_a_line_stays_short_and_visible(log, caplog, name):
    refuse(log, name)
    (message,) = caplog.messages
    assert message.isprintable()
    assert len(message) < 250
