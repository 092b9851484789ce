"""The line that fail2ban reads."""

import re

from server.errors import CredentialsRejected, NotServed, TooManyAttempts
from server.failed_logins import FailedLogins
from server.settings import ROOT, Settings

FILTER = ROOT / "docs" / "fail2ban" / "filter.d" / "oig-cloud-mcp.conf"


def lines_of(tmp_path, *errors):
    path = tmp_path / "log" / "auth.log"
    log = FailedLogins(path, wall=lambda: 1795341600.0)
    for error in errors:
        log("2001:db8::7", b"\x01\x23\x45\x67\x89\xab" + bytes(26), error)
    log.close()
    return path.read_text().splitlines()


def test_a_failed_login_is_one_stable_line(tmp_path):
    assert lines_of(tmp_path, CredentialsRejected(), TooManyAttempts("x"), NotServed()) == [
        f"2026-11-22T10:00:00Z oig-cloud-mcp: failed login from 2001:db8::7 "
        f"account 0123456789ab: {what}"
        for what in ("rejected", "locked", "not allowed")
    ]


def test_the_filter_for_fail2ban_finds_the_address(tmp_path):
    rule = re.search(r"^failregex = (.+)$", FILTER.read_text(), re.MULTILINE)
    pattern = rule[1].replace("<HOST>", r"(?P<host>\S+)").replace("<SKIPLINES>", "")
    for line in lines_of(tmp_path, CredentialsRejected(), TooManyAttempts("x")):
        # fail2ban takes the time off the line first.
        found = re.search(pattern, line.split(" ", 1)[1])
        assert found["host"] == "2001:db8::7"


def test_the_same_wrong_pair_again_has_a_word_that_fail2ban_does_not_count(tmp_path):
    line, other = lines_of(tmp_path, CredentialsRejected(repeated=True), NotServed(repeated=True))
    assert line == other
    assert line.endswith(" account 0123456789ab: repeated")
    rule = re.search(r"^failregex = (.+)$", FILTER.read_text(), re.MULTILINE)
    assert not re.search(rule[1].replace("<HOST>", r"(?P<host>\S+)"), line)


def test_one_old_password_in_a_client_does_not_ban_its_owner():
    # The portal is asked again when the rejection is forgotten, and that line counts.
    jail = (ROOT / "docs" / "fail2ban" / "jail.d" / "oig-cloud-mcp.conf").read_text()
    minutes = int(re.search(r"^findtime = (\d+)m$", jail, re.MULTILINE)[1])
    most = int(re.search(r"^maxretry = (\d+)$", jail, re.MULTILINE)[1])
    assert minutes * 60 / Settings().rejected_memory + 1 < most


def test_a_log_that_was_moved_away_is_made_anew(tmp_path):
    path = tmp_path / "auth.log"
    log = FailedLogins(path)
    log("192.0.2.1", bytes(32), CredentialsRejected())
    path.rename(tmp_path / "auth.log.1")
    log("192.0.2.2", bytes(32), CredentialsRejected())
    log.close()
    assert "192.0.2.1" in (tmp_path / "auth.log.1").read_text()
    assert "192.0.2.2" in path.read_text()


def test_a_log_that_cannot_be_written_stops_nobody_and_is_told_once(tmp_path, caplog):
    (tmp_path / "file").touch()
    log = FailedLogins(tmp_path / "file" / "auth.log")
    for _ in range(3):
        log("192.0.2.1", bytes(32), CredentialsRejected())
    assert caplog.text.count("cannot be logged") == 1
