"""The log of failed logins, in lines of a stable format, for fail2ban and similar programs.

    2026-11-22T10:00:00Z oig-cloud-mcp: failed login from 192.0.2.7 account 0123456789ab: rejected
    2026-11-22T10:01:00Z oig-cloud-mcp: 412 more failed logins from 192.0.2.7

The address is the caller's own (not the /64 for which budgets are counted) or `unknown`, the
account a fingerprint. `docs/fail2ban/` has the filter; `tests/test_fail2ban.py` checks the lines
with it. The filter does not count `repeated`: the same wrong pair again, answered without asking
the portal. It counts `unjudged`: the caller went away before its login had its turn.

The file is bounded, so that nobody can fill it:

1. For one account and source, `repeated` is one line a minute, with the number of times, and so is
   `unjudged`. So an owner whose client gives up too early is not banned for it, but a caller that
   tries many accounts and hangs up is.
2. Any other failure has a line of its own, up to a quota per source; then one line a minute counts.
3. A caller with a whole network has many sources. So there is a quota for all sources together.
   Only rejected logins have lines beyond it: each costs a login at the portal, and
   `OIG_LOGINS_PER_SECOND` bounds those.

Each worker has quotas of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..errors import CredentialsRejected, NotServed, SessionError, TooManyAttempts
from ..keys.fingerprint import shown
from ..sources import UNKNOWN, address_of, source_of
from ..suppression import Count, Quota, Suppression
from .bounded_file import BoundedFile

REPEATED = "repeated"
"""The word for a client that goes on with an old password: a nuisance, but no guesser."""

REJECTED = "rejected"

UNJUDGED = "unjudged"
"""The word for a caller that went away before its login had its turn, or was cut off as this worker
stopped."""

WORDS: dict[type[SessionError], str] = {
    CredentialsRejected: REJECTED,
    TooManyAttempts: "locked",
    NotServed: "not allowed",
}

BRIEF = frozenset({REPEATED, UNJUDGED})
"""Words of which an account and source have few lines."""

BRIEF_QUOTA = Quota(1, 60.0)

SOURCE_QUOTA = Quota(60, 3600.0)
"""Four times what the jail of docs/fail2ban bans for; one source takes a year to fill 60 MB."""

ALL_QUOTA = Quota(3600, 3600.0)
"""Together with the rejected logins of the default pace, two workers fill 60 MB in 40 hours."""

TICK_SECONDS = 10.0
"""How often it is looked whether a count is due."""

logger = logging.getLogger(__name__)


class _Brief(NamedTuple):
    """The group of an account and source for one of those words."""

    source: str
    account: str
    word: str


class _Source(NamedTuple):
    """The group of all other failures of a source."""

    source: str


ALL = "all"
"""The group of the failures over all sources that the portal was not asked about."""


class FailedLogins:
    """Appends to the log; every worker writes whole lines to the same file.

    Args:
        path: The file; how it is bounded says `BoundedFile`.
        wall: Seconds since 1970.
        now: Seconds on a clock that never goes back.
    """

    def __init__(
        self,
        path: Path,
        *,
        wall: Callable[[], float] = time.time,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._wall = wall
        self._now = now
        self._file = BoundedFile(path)
        self._each = Suppression()
        self._all = Suppression()
        self._broken = False

    def __call__(self, address: str, account: bytes, error: SessionError | None) -> None:
        """Write one line, or count it.

        A full disk or a missing folder is one line in the ordinary log.

        Args:
            address: The caller's. What is no address is written as `unknown`.
            account: The account's key.
            error: What was wrong; None if the caller went away before that was known.
        """
        known = address_of(address)
        address = UNKNOWN if known is None else str(known)
        word = UNJUDGED if error is None else WORDS.get(type(error), "failed")
        if isinstance(error, CredentialsRejected) and error.repeated:
            word = REPEATED
        if self._admits(address, shown(account), word):
            self._write(f"failed login from {address} account {shown(account)}: {word}")

    def tell(self, *, last: bool = False) -> None:
        """Write the counts that are due, or all when they are the last."""
        now = self._now()
        for count in self._each.take(now, last=last):
            # A count is a line like others; one that may not be written adds to that of all.
            if self._admits_any(count.lines):
                self._write(_counted(count))
        for count in self._all.take(now, last=last):
            self._write(_counted(count))

    async def keep_telling(self) -> None:
        """Write counts when they are due; runs until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.tell()

    def close(self) -> None:
        """Write the last counts and close the file."""
        self.tell(last=True)
        self._file.close()

    def _admits(self, address: str, account: str, word: str) -> bool:
        source, now = source_of(address), self._now()
        if word in BRIEF:
            brief = _Brief(source, account, word)
            if not self._each.admits(brief, BRIEF_QUOTA, now, address):
                return False
        if word != REPEATED and not self._each.admits(_Source(source), SOURCE_QUOTA, now, address):
            return False
        return word == REJECTED or self._admits_any(1)

    def _admits_any(self, lines: int) -> bool:
        return self._all.admits(ALL, ALL_QUOTA, self._now(), lines=lines)

    def _write(self, text: str) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._wall()))
        try:
            self._file.append(f"{at} oig-cloud-mcp: {text}")
            self._broken = False
        except OSError as exc:
            if not self._broken:
                self._broken = True
                logger.warning("failed logins cannot be logged to %s: %s", self._path, exc.strerror)


def _counted(count: Count) -> str:
    match count.group:
        case _Brief(_, account, word):
            times = "" if count.lines == 1 else f" {count.lines} times"
            return f"failed login from {count.about} account {account}: {word}{times}"
        case _Source():
            whence = count.about
        case _:
            whence = "many addresses"
    return f"{count.lines} more failed {'login' if count.lines == 1 else 'logins'} from {whence}"
