"""The log of failed logins: what stands in it, and that nobody fills it."""

from __future__ import annotations

import re

import pytest

from server.auth.failed_logins import ALL_QUOTA, SOURCE_QUOTA, FailedLogins
from server.errors import CredentialsRejected, NotServed, TooManyAttempts

from .fleet import call_body, post, running_fleet

ACCOUNT = b"\x01\x23\x45\x67\x89\xab" + bytes(26)
STAMP = "2026-11-22T10:00:00Z oig-cloud-mcp:"


class Log:
    """A log and its clock."""

    def __init__(self, path):
        self.path = path
        self.at = 1795341600.0
        self.log = FailedLogins(path, wall=lambda: self.at, now=lambda: self.at)

    def fail(self, address="192.0.2.7", error=None, account=ACCOUNT):
        self.log(address, account, error or CredentialsRejected())

    def give_up(self, address="192.0.2.7", account=ACCOUNT):
        self.log(address, account, None)

    def repeat(self, address="192.0.2.7", account=ACCOUNT):
        self.fail(address, CredentialsRejected(repeated=True), account)

    def wait(self, seconds):
        for _ in range(int(seconds) // 10):
            self.at += 10
            self.log.tell()

    def lines(self):
        return self.path.read_text().splitlines()

    def closed(self):
        self.log.close()
        return self.lines()


@pytest.fixture
def log(tmp_path):
    log = Log(tmp_path / "log" / "auth.log")
    yield log
    log.log.close()


def test_a_failed_login_is_one_stable_line(log):
    for error in (CredentialsRejected(), TooManyAttempts("x"), NotServed()):
        log.fail("2001:db8::7", error)
    log.repeat("2001:db8::7")
    assert log.lines() == [
        f"{STAMP} failed login from 2001:db8::7 account 0123456789ab: {what}"
        for what in ("rejected", "locked", "not allowed", "repeated")
    ]


@pytest.mark.parametrize("address", ["a name", "1.2.3.4\nx", "", "9" * 300, "unknown"])
def test_an_invalid_address_is_unknown(log, address):
    log.fail(address)
    assert log.lines() == [f"{STAMP} failed login from unknown account 0123456789ab: rejected"]


def test_an_address_has_one_spelling(log):
    log.fail("::FFFF:192.0.2.7")
    log.fail("FE80::1%eth0")
    assert [line.split()[5] for line in log.lines()] == ["192.0.2.7", "fe80::1"]


def test_a_repeated_old_password_gives_one_line_a_minute_with_a_count(log):
    for _ in range(180):
        log.repeat()
        log.at += 1
        log.log.tell()
    assert [line.partition(": repeated")[2] for line in log.lines()] == [
        "",
        " 59 times",
        " 60 times",
        " 60 times",
    ]


def test_each_account_and_source_gets_its_own_counted_line(log):
    for account in (ACCOUNT, bytes(32)):
        for address in ("192.0.2.7", "192.0.2.8"):
            log.repeat(address, account)
            log.repeat(address, account)
    assert len(log.lines()) == 4
    assert len(log.closed()) == 8


def test_repeated_failures_of_an_unlisted_account_are_counted_the_same_way(log):
    for _ in range(3):
        log.fail(error=NotServed(repeated=True))
    assert [line.rpartition(" account ")[2] for line in log.closed()] == [
        "0123456789ab: repeated",
        "0123456789ab: repeated 2 times",
    ]


def test_the_addresses_of_one_household_are_one_source(log):
    for number in range(100):
        log.repeat(f"2001:db8::{number:x}")
    assert len(log.lines()) == 1
    assert log.closed()[-1].endswith("from 2001:db8::63 account 0123456789ab: repeated 99 times")


def test_unjudged_hang_ups_give_one_line_a_minute_for_each_account(log):
    for _ in range(180):
        log.give_up()
        log.at += 1
        log.log.tell()
    assert [line.partition(": unjudged")[2] for line in log.lines()] == [
        "",
        " 59 times",
        " 60 times",
        " 60 times",
    ]


def test_hang_ups_at_many_accounts_give_a_line_each_up_to_the_quota(log):
    for number in range(SOURCE_QUOTA.lines + 5):
        log.give_up(account=bytes([number]) * 32)
    assert len(log.lines()) == SOURCE_QUOTA.lines
    assert all(line.endswith(": unjudged") for line in log.lines())
    log.wait(60)
    assert log.lines()[-1].endswith("5 more failed logins from 192.0.2.7")


def test_a_repeated_password_does_not_use_up_the_quota_for_hang_ups(log):
    log.repeat()
    log.give_up()
    log.fail()
    assert [line.rpartition(": ")[2] for line in log.lines()] == [
        "repeated",
        "unjudged",
        "rejected",
    ]


@pytest.mark.parametrize("error", [CredentialsRejected(), TooManyAttempts("x"), NotServed()])
def test_failures_beyond_the_quota_of_a_source_are_counted(log, error):
    for _ in range(SOURCE_QUOTA.lines + 5000):
        log.fail("192.0.2.7", error)
    log.fail("192.0.2.8", error)
    assert [line.split()[5] for line in log.lines()] == ["192.0.2.7"] * 60 + ["192.0.2.8"]
    log.wait(60)
    assert log.lines()[-1].endswith("oig-cloud-mcp: 5000 more failed logins from 192.0.2.7")


def test_the_quota_of_a_source_is_restored_after_an_hour(log):
    for _ in range(61):
        log.fail()
    log.wait(3600)
    log.fail()
    assert log.lines()[-1].endswith("rejected")


def test_one_caller_with_many_addresses_does_not_evict_the_others(log):
    log.fail("192.0.2.7")
    for minute in range(60):
        for number in range(1000):
            log.fail(f"2001:db8:{minute:x}:{number:x}::1", TooManyAttempts("x"))
        log.wait(60)
    rejected = [f"203.0.113.{number}" for number in range(100)]
    for address in rejected:
        log.fail(address)
    lines = log.lines()
    assert len(lines) <= ALL_QUOTA.lines + 60 + 1 + 100
    # What cost a login at the portal still has a line of its own.
    assert [line.split()[5] for line in lines if line.endswith("rejected")] == [
        "192.0.2.7",
        *rejected,
    ]
    counted = sum(int(line.split()[2]) for line in log.closed() if "many addresses" in line)
    assert counted == 60_000 - ALL_QUOTA.lines


def test_no_count_is_lost_at_the_stop(log):
    for number in range(1000):
        log.fail("192.0.2.7", TooManyAttempts("x"))
        log.repeat(f"203.0.113.{number % 5}")
    lines = log.closed()
    counted = [re.search(r": (\d+) more|repeated (\d+) times", line) for line in lines]
    assert sum(int(one[1] or one[2]) if one else 1 for one in counted) == 2000


def test_a_log_that_was_moved_away_is_recreated(log):
    log.fail("192.0.2.1")
    log.path.rename(log.path.with_name("auth.log.1"))
    log.fail("192.0.2.2")
    log.log.close()
    assert "192.0.2.1" in log.path.with_name("auth.log.1").read_text()
    assert "192.0.2.2" in log.path.read_text()


def test_a_log_that_cannot_be_written_stops_nobody_and_is_reported_once(tmp_path, caplog):
    (tmp_path / "file").touch()
    log = FailedLogins(tmp_path / "file" / "auth.log")
    for _ in range(3):
        log("192.0.2.1", bytes(32), CredentialsRejected())
    assert caplog.text.count("cannot be logged") == 1


def test_workers_share_one_file_and_write_their_counts_when_they_stop(tmp_path):
    path = tmp_path / "auth.log"
    with running_fleet(2, OIG_AUTH_LOG=str(path)) as fleet:
        for _ in range(40):
            post(fleet.url, call_body(password="an old one"))
    counted = re.findall(r": (rejected|repeated)(?: (\d+) times)?$", path.read_text(), re.MULTILINE)
    assert sum(int(times or 1) for _, times in counted) == 40
    assert len(counted) <= 1 + 2 * 2
