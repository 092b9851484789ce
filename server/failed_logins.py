"""The log of failed logins, in one stable line each, for fail2ban and its like.

    2026-11-22T10:00:00Z oig-cloud-mcp: failed login from 192.0.2.7 account 0123456789ab: rejected

The address is the caller's own (not the /64 that budgets are counted for), the account a
fingerprint. `docs/fail2ban/` has the filter; `tests/test_failed_logins.py` holds the line to it.
The filter does not count `repeated`: the same wrong pair again, for which nobody asked the portal.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from .bounded_file import BoundedFile
from .errors import CredentialsRejected, NotServed, SessionError, TooManyAttempts
from .fingerprint import shown

REPEATED = "repeated"
"""The word for a client that goes on with an old password: a nuisance, but no guesser."""

WORDS: dict[type[SessionError], str] = {
    CredentialsRejected: "rejected",
    TooManyAttempts: "locked",
    NotServed: "not allowed",
}

logger = logging.getLogger(__name__)


class FailedLogins:
    """Appends to the log; every worker writes whole lines to the same file.

    Args:
        path: The file; how it is bounded says `BoundedFile`.
        wall: Seconds since 1970.
    """

    def __init__(self, path: Path, *, wall: Callable[[], float] = time.time) -> None:
        self._path = path
        self._wall = wall
        self._file = BoundedFile(path)
        self._broken = False

    def __call__(self, address: str, account: bytes, error: SessionError) -> None:
        """Write one line. A full disk or a missing folder is told once in the ordinary log."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._wall()))
        what = WORDS.get(type(error), "failed")
        if isinstance(error, CredentialsRejected) and error.repeated:
            what = REPEATED
        line = f"{at} oig-cloud-mcp: failed login from {address} account {shown(account)}: {what}"
        try:
            self._file.append(line)
            self._broken = False
        except OSError as exc:
            if not self._broken:
                self._broken = True
                logger.warning("failed logins cannot be logged to %s: %s", self._path, exc.strerror)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
