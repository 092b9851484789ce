"""Who may do now what one alone may do, over all workers: change a box, wait in a place. Pure.

A hold is no lease: it outlives its holder's connection, and even the daemon, since a change that
has begun goes on. It ends by its token or with its time, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .checks import check_keys
from .limits import HOLD_BRIEF, HOLD_MAX
from .outcomes import Held, Lease

MAX_HOLDS = 4096
"""Most holds at once. None is dropped for another: who finds no room begins nothing."""

MAX_PER_ACCOUNT = 16
"""Most holds of one account, which has a box or two: others shall find room as well."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Something under way.

    Attributes:
        key: Names what is held.
        account: The account it belongs to.
        token: Ends it.
        ends: When it ends by itself, on the engine's clock.
    """

    key: bytes
    account: bytes
    token: bytes
    ends: float


class Holds:
    """All holds, by key.

    Args:
        now: The clock, in seconds; never goes back.
        token: Returns 16 random bytes.
    """

    def __init__(self, now: Callable[[], float], token: Callable[[], bytes]) -> None:
        self._now = now
        self._token = token
        self._holds: dict[bytes, Hold] = {}
        self._refused = 0

    def hold(self, key: bytes, account: bytes, lasts: float) -> Lease | Held:
        """Grant a hold unless there is one, or no room for another.

        Raises:
            ValueError: An argument is not what the protocol allows.
        """
        check_keys(key, account)
        if not 0.0 < lasts <= HOLD_MAX:
            raise ValueError("lasts is not above 0 and at most 900 s")
        now = self._now()
        self._holds = {one.key: one for one in self._holds.values() if one.ends > now}
        until = self._taken_until(key, account)
        if until is not None:
            self._refused += 1
            return Held(until - now)
        hold = Hold(key, account, self._token(), now + lasts)
        self._holds[key] = hold
        return Lease(hold.token, lasts)

    def unhold(self, key: bytes, token: bytes) -> bool:
        """End a hold; False when it is over or another's."""
        hold = self._holds.get(key)
        if hold is None or hold.token != token:
            return False
        del self._holds[key]
        return hold.ends > self._now()

    def is_brief(self, key: bytes) -> bool:
        """Say whether a hold is over soon; true when there is none."""
        hold = self._holds.get(key)
        return hold is None or hold.ends - self._now() <= HOLD_BRIEF

    def stats(self) -> dict[str, object]:
        """Return this part of the statistics, under the names of `docs/protocol.md`."""
        now = self._now()
        return {
            "holds": sum(one.ends > now for one in self._holds.values()),
            "holds_refused_total": self._refused,
        }

    def export(self) -> list[Hold]:
        """Return all holds."""
        return list(self._holds.values())

    def restore(self, holds: Iterable[Hold], shift: float) -> None:
        """Take in what `export` returned, with `shift` seconds added to its times."""
        now = self._now()
        for old in holds:
            ends = min(old.ends + shift, now + HOLD_MAX)
            if ends > now and len(self._holds) < MAX_HOLDS:
                self._holds[old.key] = Hold(old.key, old.account, old.token, ends)

    def _taken_until(self, key: bytes, account: bytes) -> float | None:
        """Return when there may be room for a hold again; None when there is now."""
        hold = self._holds.get(key)
        if hold is not None:
            return hold.ends
        ours = [one.ends for one in self._holds.values() if one.account == account]
        if len(ours) >= MAX_PER_ACCOUNT:
            return min(ours)
        if len(self._holds) >= MAX_HOLDS:
            return min(one.ends for one in self._holds.values())
        return None
