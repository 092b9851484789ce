"""Who may log in to the simulated portal, and which sessions live. The clock is an argument."""

from __future__ import annotations

import base64
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from server.errors import OigError

DEMO_EMAIL = "demo@example.com"
DEMO_PASSWORD = "demo"  # noqa: S105 - the simulator's published account, worth nothing elsewhere

DEMO2_EMAIL = "demo2@example.com"
"""A second published account, with the same password and two boxes."""

SESSION_TTL = 1440.0
"""Seconds of idleness after which a session ends: PHP's default; the real portal's is not known."""

SESSIONS = 200_000
"""Most sessions stored, twice the cache's default; the longest idle one goes."""

ACCOUNTS = 200_000
"""Most accounts, for the same reason. The next one is refused."""

TEXT_LIMIT = 256
"""Longest e-mail and password of an account, in characters."""


class AccountRefused(OigError):
    """An account cannot be added; the text says why."""


class Accounts:
    """Accounts with passwords, and the sessions their logins open.

    Args:
        session_ttl: Seconds of idleness after which a session ends.
        clock: Monotonic time in seconds.
        random_bytes: Gives that many random bytes, for session ids.
    """

    def __init__(
        self,
        *,
        session_ttl: float = SESSION_TTL,
        clock: Callable[[], float] = time.monotonic,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._session_ttl = session_ttl
        self._clock = clock
        self._random_bytes = random_bytes
        self._passwords = _built_in()
        self._sessions: OrderedDict[str, tuple[str, float]] = OrderedDict()  # id: account, last use

    def __contains__(self, email: str) -> bool:
        return email in self._passwords

    def add(self, email: str, password: str) -> bool:
        """Add an account, or change the password of one; its sessions live on.

        Returns:
            Whether it had another password before.

        Raises:
            AccountRefused: Empty, too long or too many.
        """
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", email) or len(email) > TEXT_LIMIT:
            raise AccountRefused(f'"email" must be an address of at most {TEXT_LIMIT} characters')
        if not 1 <= len(password) <= TEXT_LIMIT:
            raise AccountRefused(f'"password" must have 1 to {TEXT_LIMIT} characters')
        if email not in self._passwords and len(self._passwords) >= ACCOUNTS:
            raise AccountRefused(f"there are {ACCOUNTS} accounts already; reset the simulator")
        before = self._passwords.get(email, password)
        self._passwords[email] = password
        return before != password

    def login(self, email: str, password: str) -> str | None:
        """Open a session; None when the pair is wrong."""
        known = self._passwords.get(email)
        if known is None or not hmac.compare_digest(_bytes(known), _bytes(password)):
            return None
        now = self._clock()
        self._drop_expired(now)
        if len(self._sessions) >= SESSIONS:
            self._sessions.popitem(last=False)
        # PHP's ids as seen: 26 lower-case letters and digits. 17 bytes make 28 of base 32.
        session_id = base64.b32encode(self._random_bytes(17)).decode().lower()[:26]
        self._sessions[session_id] = (email, now)
        return session_id

    def account_of(self, session_id: str) -> str | None:
        """Say whose session this is and count it as used; None when it has ended or never was."""
        now = self._clock()
        self._drop_expired(now)
        found = self._sessions.get(session_id)
        if found is None:
            return None
        self._sessions[session_id] = (found[0], now)
        self._sessions.move_to_end(session_id)
        return found[0]

    def logout(self, session_id: str) -> None:
        """End a session; one that is not there is ended already."""
        self._sessions.pop(session_id, None)

    def end_sessions(self) -> int:
        """End all sessions, as a restart of the portal would. Return how many there were."""
        self._drop_expired(self._clock())
        ended = len(self._sessions)
        self._sessions.clear()
        return ended

    def end_sessions_of(self, email: str) -> None:
        """End the sessions of one account."""
        ours = [one for one, (account, _) in self._sessions.items() if account == email]
        for session_id in ours:
            del self._sessions[session_id]

    def session_ids(self) -> list[str]:
        """Return the ids of the sessions that live now."""
        self._drop_expired(self._clock())
        return list(self._sessions)

    def session_count(self) -> int:
        """Count the sessions that live now."""
        self._drop_expired(self._clock())
        return len(self._sessions)

    def reset(self) -> None:
        """Leave only the two demo accounts, with no session."""
        self._sessions.clear()
        self._passwords = _built_in()

    def _drop_expired(self, now: float) -> None:
        # Sessions are in the order of their last use, so the expired ones are all in front.
        while self._sessions:
            session_id, (_, last_use) = next(iter(self._sessions.items()))
            if now - last_use < self._session_ttl:
                return
            del self._sessions[session_id]


def _built_in() -> dict[str, str]:
    return dict.fromkeys((DEMO_EMAIL, DEMO2_EMAIL), DEMO_PASSWORD)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
