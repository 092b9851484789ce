"""docs/fail2ban, held against the real program and the lines that we write."""

from __future__ import annotations

import ast
import calendar
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from server.auth.failed_logins import BRIEF_QUOTA, SOURCE_QUOTA, FailedLogins
from server.errors import CredentialsRejected, NotServed, TooManyAttempts
from server.settings.places import ROOT
from server.settings.table import Settings

FILTER = ROOT / "docs" / "fail2ban" / "filter.d" / "oig-cloud-mcp.conf"
JAIL = ROOT / "docs" / "fail2ban" / "jail.d" / "oig-cloud-mcp.conf"

UNPACKED = ROOT / ".venv" / "fail2ban"
"""Where run_tests.sh unpacks it."""

PROGRAM = shutil.which("fail2ban-regex")
CONFIGURATION = Path("/etc/fail2ban") if PROGRAM else UNPACKED / "etc" / "fail2ban"

needs_fail2ban = pytest.mark.skipif(
    PROGRAM is None and not UNPACKED.exists(),
    reason="fail2ban-regex is missing: install the Debian package fail2ban",
)

AT = 1795341600.0
STAMP = "2026-11-22T10:00:00Z"
ACCOUNT = b"\x01\x23\x45\x67\x89\xab" + bytes(26)


def fail2ban(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program of fail2ban."""
    argv = [program] if PROGRAM else ["/usr/bin/python3", "-B", UNPACKED / "usr" / "bin" / program]
    return subprocess.run(
        [*argv, *map(str, arguments)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": "" if PROGRAM else str(UNPACKED / "usr/lib/python3/dist-packages"),
            # Away from the log's zone: fail2ban takes a time for a local one if it has no zone.
            "TZ": "Europe/Prague",
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def banned(log) -> list[tuple[str, float]]:
    """Return what fail2ban finds in a log: address and time of each failure."""
    answer = fail2ban("fail2ban-regex", "-c", log.parent, "-o", "row", log, FILTER)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    rows = [ast.literal_eval(line.rstrip(",")) for line in answer.stdout.splitlines() if line]
    return [(address, at) for address, at, _ in rows]


class Log:
    """A log and its clock."""

    def __init__(self, path):
        self.path = path
        self.at = AT
        self.log = FailedLogins(path, wall=lambda: self.at, now=lambda: self.at)

    def fail(self, address, error=None, account=ACCOUNT):
        self.log(address, account, error or CredentialsRejected())

    def lines(self):
        self.log.close()
        return self.path.read_text().splitlines()


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "auth.log")


@needs_fail2ban
def test_each_failure_bans_its_address_at_its_time(log):
    log.fail("192.0.2.7")
    log.fail("2001:db8::7", TooManyAttempts("x"))
    log.at += 1
    log.fail("192.0.2.8", NotServed())
    log.lines()
    assert banned(log.path) == [("192.0.2.7", AT), ("2001:db8::7", AT), ("192.0.2.8", AT + 1)]


@needs_fail2ban
def test_repeating_an_old_password_bans_nobody(log):
    for _ in range(50):
        log.fail("192.0.2.7", CredentialsRejected(repeated=True))
        log.at += 7
    assert all("repeated" in line for line in log.lines())
    assert banned(log.path) == []


@needs_fail2ban
def test_unjudged_hang_ups_count_once_a_minute_for_each_account(log):
    for _ in range(61):
        log.log("192.0.2.7", ACCOUNT, None)
        log.at += 1
    log.log.tell()
    for number in range(3):
        log.log("2001:db8::7", bytes([number]) * 32, None)
    lines = [line.rpartition(": ")[2] for line in log.lines()]
    assert lines[:2] == ["unjudged", "unjudged 60 times"]
    assert [address for address, _ in banned(log.path)] == ["192.0.2.7"] * 2 + ["2001:db8::7"] * 3


@needs_fail2ban
def test_a_line_with_a_count_counts_as_one_more_failure_of_its_address(log):
    for _ in range(SOURCE_QUOTA.lines + 100):
        log.fail("192.0.2.7")
    log.at += 60
    log.log.tell()
    assert log.lines()[-1].endswith("100 more failed logins from 192.0.2.7")
    assert banned(log.path) == [("192.0.2.7", AT)] * SOURCE_QUOTA.lines + [("192.0.2.7", AT + 60)]


@needs_fail2ban
def test_a_count_of_one_is_recognised_too(log):
    for _ in range(SOURCE_QUOTA.lines + 1):
        log.fail("2001:db8::7")
    assert log.lines()[-1].endswith("1 more failed login from 2001:db8::7")
    assert len(banned(log.path)) == SOURCE_QUOTA.lines + 1


LINE = f"oig-cloud-mcp: failed login from 9.9.9.9 account {'0' * 12}: rejected"

HOSTILE = [
    # What an address would do that nobody had looked at.
    f"9.9.9.9 account {'0' * 12}: rejected",
    f"x\n{STAMP} {LINE}",
    f"x\r{STAMP} {LINE}",
    f"x\u2028{STAMP} {LINE}",
    f"192.0.2.7 {LINE}",
    "192.0.2.7, 9.9.9.9",
    "9.9.9.9 192.0.2.7",
    "9.9.9.9" + "x" * 300,
    "9.9.9." * 50,
    "fe80::1%9.9.9.9",
    f"fe80::1%\n{STAMP} {LINE}",
    "evil.example.com",
    "9.9.9.9/0",
    "[9.9.9.9]",
    "\x00",
    "",
]


@needs_fail2ban
def test_an_invalid_address_bans_nobody(log):
    for address in HOSTILE:
        for error in (CredentialsRejected(), TooManyAttempts("x"), NotServed()):
            log.fail(address, error)
    for _ in range(SOURCE_QUOTA.lines):
        log.fail(HOSTILE[0])
    # All are one source, `unknown`, but for the two that name an address and a zone.
    assert len(log.lines()) == SOURCE_QUOTA.lines + 1 + 2 * 3
    assert {address for address, _ in banned(log.path)} == {"fe80::1"}


RESEMBLING = [
    # Lines that we do not write: an old file, another program in the same one, a torn line.
    f"{STAMP} WARNING worker: {LINE}",
    f"{STAMP} x {LINE}",
    f"{STAMP} {LINE} ",
    f"{STAMP} {LINE} and more",
    f"{STAMP} {LINE}{LINE}",
    f"x {STAMP} {LINE}",
    f"{STAMP} {LINE.replace('9.9.9.9', 'unknown')}",
    f"{STAMP} {LINE.replace('9.9.9.9', 'evil.example.com')}",
    f"{STAMP} {LINE.replace('9.9.9.9', 'localhost')}",
    f"{STAMP} {LINE.replace('9.9.9.9', '9.9.9.9 8.8.8.8')}",
    f"{STAMP} {LINE.replace('9.9.9.9', '8' * 300)}",
    f"{STAMP} {LINE.replace('rejected', 'repeated')}",
    f"{STAMP} {LINE.replace('rejected', 'repeated 59 times')}",
    f"{STAMP} {LINE.replace('0' * 12, '0' * 11)}",
    f"{STAMP} oig-cloud-mcp: 7 more failed logins from many addresses",
    f"{STAMP} oig-cloud-mcp: 7 more failed logins from unknown",
    f"{STAMP} oig-cloud-mcp: 7 more failed logins from 9.9.9.9, 8.8.8.8",
    f"{STAMP} oig-cloud-mcp: x more failed logins from 9.9.9.9",
]


@needs_fail2ban
def test_a_line_that_only_resembles_one_of_the_server_bans_nobody(tmp_path):
    path = tmp_path / "auth.log"
    path.write_text("\n".join([*RESEMBLING, f"{STAMP} {LINE.replace('9.9.9.9', '192.0.2.7')}", ""]))
    assert [address for address, _ in banned(path)] == ["192.0.2.7"]


@needs_fail2ban
def test_the_jail_is_refused_until_both_settings_are_filled_in_and_the_log_is_there(tmp_path):
    folder = tmp_path / "fail2ban"
    shutil.copytree(CONFIGURATION, folder, ignore=shutil.ignore_patterns("defaults-debian.conf"))
    shutil.copy(FILTER, folder / "filter.d")

    def is_taken(*filled):
        text = JAIL.read_text()
        for blank, value in filled:
            assert text.count(blank) == 1
            text = text.replace(blank, value)
        (folder / "jail.d" / JAIL.name).write_text(text)
        return fail2ban("fail2ban-client", "-c", folder, "-t").returncode == 0

    port, log = ("%(FILL_IN)s", "8000"), ("FILL_IN/var/log", str(tmp_path))
    assert not is_taken(port, log)
    (tmp_path / "auth.log").touch()
    assert not is_taken()
    assert not is_taken(port)
    assert not is_taken(log)
    assert is_taken(port, log)


def setting(name):
    return re.search(rf"^{name} = (.+)$", JAIL.read_text(), re.MULTILINE)[1]


def test_machine_specific_settings_must_be_filled_in():
    assert setting("port") == "%(FILL_IN)s"
    assert setting("logpath").startswith("FILL_IN/")


def test_one_old_password_in_a_client_does_not_ban_its_owner():
    # The portal is asked again when the rejection is forgotten, and that line counts.
    minutes = int(setting("findtime").removesuffix("m"))
    assert minutes * 60 / Settings().rejected_memory + 1 < int(setting("maxretry"))


def test_a_client_that_gives_up_too_early_does_not_ban_its_owner():
    minutes = int(setting("findtime").removesuffix("m"))
    assert minutes * 60 / BRIEF_QUOTA.seconds * BRIEF_QUOTA.lines + 1 < int(setting("maxretry"))


def test_a_guesser_is_banned_before_its_quota_of_lines_is_used_up():
    assert int(setting("maxretry")) < SOURCE_QUOTA.lines


def test_these_tests_use_the_timestamp_format_of_the_log():
    assert calendar.timegm(time.strptime(STAMP, "%Y-%m-%dT%H:%M:%SZ")) == AT
