"""The log of failed logins, in one stable line each, for fail2ban and its like.

    2026-11-22T10:00:00Z oig-cloud-mcp: failed login from 192.0.2.7 account 0123456789ab: rejected

The address is the caller's own (not the /64 that budgets are counted for), the account a
fingerprint. `docs/fail2ban/` has the filter; `tests/test_failed_logins.py` holds the line to it.
"""

from __future__ import annotations

import logging
import logging.handlers
import time
from collections.abc import Callable
from pathlib import Path

from .errors import AccessDenied, CredentialsRejected, SessionError, TooManyAttempts

WORDS: dict[type[SessionError], str] = {
    CredentialsRejected: "rejected",
    TooManyAttempts: "locked",
    AccessDenied: "not allowed",
}

FINGERPRINT = 12
"""Hex digits of the account's key, as in cachectl."""

logger = logging.getLogger(__name__)


class FailedLogins:
    """Appends to the log; every worker writes whole lines to the same file.

    Args:
        path: The file. It may be moved away at any time: it is made anew then.
        wall: Seconds since 1970.
    """

    def __init__(self, path: Path, *, wall: Callable[[], float] = time.time) -> None:
        self._path = path
        self._wall = wall
        self._handler: logging.Handler | None = None
        self._broken = False

    def __call__(self, address: str, account: bytes, error: SessionError) -> None:
        """Write one line. A full disk or a missing folder is told once in the ordinary log."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._wall()))
        what = WORDS.get(type(error), "failed")
        fingerprint = account.hex()[:FINGERPRINT]
        line = f"{at} oig-cloud-mcp: failed login from {address} account {fingerprint}: {what}"
        try:
            if self._handler is None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._handler = _Appending(self._path)
            self._handler.emit(logging.makeLogRecord({"msg": line}))
            self._broken = False
        except OSError as exc:
            if not self._broken:
                self._broken = True
                logger.warning("failed logins cannot be logged to %s: %s", self._path, exc.strerror)

    def close(self) -> None:
        """Close the file."""
        if self._handler is not None:
            self._handler.close()


class _Appending(logging.handlers.WatchedFileHandler):
    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's
        # Called inside the handler of the exception: raised again, so that our own log can tell it.
        raise  # noqa: PLE0704
