"""By what is decided: sizes, bounds, budgets, times, and why so much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ..sources import Network

KEY_BYTES: Final = 32
"""Size of keys, accounts and digests: HMAC-SHA256 or SHA-256."""

SPELLING_BYTES: Final = 16
"""Size of a spelling's tag. The normalised spelling has none: its tag is empty."""

SPELLED_SIZES: Final = frozenset({KEY_BYTES, KEY_BYTES + SPELLING_BYTES})
"""Sizes of an account or key with the tag of a spelling behind it."""

HANDLE_BYTES: Final = 16
"""So much of a handle's key is stored: no two of them are the same by chance."""

TOKEN_BYTES: Final = 16
"""Size of a lease's token: nobody guesses 128 bits within its time."""

SOURCE_MAX_CHARS: Final = 64
"""Longest source: the longest textual address, with an interface's name, is shorter."""

VALUE_MAX_BYTES: Final = 16 * 1024
"""Longest sealed session. They have some 200 bytes; this leaves room to grow."""

RECORD_MAX_BYTES: Final = 1024
"""Longest sealed record of a handle. They have some 110 bytes; an account has 16 of them."""

ANSWER_MAX_BYTES: Final = 128 * 1024
"""Longest sealed answer: a month of history has up to 60 KB, compressed."""

TTL_MAX: Final = 30 * 86400.0
"""Longest time to live in seconds: no immortal sessions."""

RETRY_AFTER_MAX: Final = 30 * 86400.0
"""Longest wait in seconds that a worker may report; a portal may ask for any."""

ACCOUNT_SHOWN_BYTES: Final = 6
"""How much of an account's key operators see: enough to tell accounts apart, useless to look up."""


# Bounds of what the state of one account has.

MAX_KNOWN_SOURCES: Final = 8
"""Known sources of one spelling: a household's home, phones, offices. The latest used stay."""

MAX_KNOWN: Final = 16
"""The same of all spellings."""

MAX_SOURCES: Final = 32
"""Sources with failures. The account's own lock comes after 20, then lets through one at a time for
up to an hour each. As many known sources as there can be are let in beside them."""

MAX_SPELLINGS: Final = 8
"""Accounts of one budget whose failures are told apart per source. Two would be an owner and a
neighbour whose e-mail differs by an accent; failures at further ones are forgiven to nobody."""

MAX_PAIRS: Final = 64
"""Wrong pairs remembered: so that the same one counts once, is not tried again at once, and may be
tried again whatever is locked as long as nobody judged it."""

MAX_GUESSES: Final = 64
"""Guesses not judged yet; more than any budget lets in at once."""

MAX_HANDLES: Final = 16
"""Handles of all the assistants of a household that do not end theirs; the oldest goes."""

MAX_LEASES: Final = 48
"""Logins and requests to the portal under way at once."""

MAX_ENDED: Final = 16
ENDED_LASTS: Final = 10.0
"""How many leases are remembered after their end, and for how many seconds: waiters in another
process learn from it what came of them. Otherwise 200 waiters are 200 logins at a dead portal."""

MAX_BUSY: Final = 10
"""Circles for which the portal is left alone: eight of strangers, beside known sources and reading
(the oldest of a stranger goes)."""


def plain(spelled: bytes) -> bytes:
    """Return the key that all spellings of an e-mail share.

    A portal may take two spellings for accounts of different people, of whom one may guess the
    other's password. So what comes of a login goes by spelled keys: the key with the spelling's tag
    behind it. Sessions go by the plain key.
    """
    return spelled[:KEY_BYTES]


def tag(spelled: bytes) -> bytes:
    """Return the tag of the spelling; empty for the normalised one."""
    return spelled[KEY_BYTES:]


@dataclass(frozen=True, slots=True)
class Policy:
    """Budgets of wrong passwords.

    Attributes:
        per_source: Different wrong passwords for one account from one source before its first lock.
        per_account: The same for one account over all sources.
        first: Length of the first lock in seconds; each further one is twice as long.
        longest: Longest lock in seconds.
        known_for: Seconds for which a source that logged in to an account is spared its lock.
        accounts_per_source: Accounts unknown to a source at which it may fail within an hour; 0 for
            any number.
        shared: Networks to which that does not apply.
    """

    per_source: int = 5
    per_account: int = 20
    first: float = 30.0
    longest: float = 3600.0
    known_for: float = 30 * 86400.0
    accounts_per_source: int = 20
    shared: tuple[Network, ...] = ()

    @property
    def noted_for(self) -> float:
        """Seconds for which a source is known at least when it is not noted again.

        A tenth less than `known_for`: spares a write on nearly every look-up that succeeds.
        """
        return 0.9 * self.known_for

    def length(self, locks: int) -> float:
        """Return how many seconds the lock number `locks` (1 is the first) lasts."""
        # Past 2**40 the longest has long been reached, and a float would overflow in the end.
        return min(self.longest, self.first * 2.0 ** min(locks - 1, 40))

    def cut(self) -> Policy:
        """Return the budgets of one of many workers that count for themselves for a while."""
        return replace(
            self,
            per_source=min(self.per_source, 2),
            per_account=min(self.per_account, 5),
            accounts_per_source=min(self.accounts_per_source, 5),
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What there is room for, and how long anything lasts, in seconds.

    Each class of accounts has room of its own, so that filling one pushes nobody out of
    another.

    Attributes:
        sessions: Most accounts with a session; the least recently used goes.
        others: Most accounts without a session: their failures, known sources and handles. To push
            out one of them with failures that the portal judged takes as many logins as this.
        locked: Most accounts under a lock that failures which were judged have earned. None goes
            for another; when there is no room, strangers are refused for a while.
        sources: Most sources with failures over several accounts; those over budget stay.
        logins_at_once: Most logins under way. The portal is a web site for people; four at once
            look like a family, not like an attack.
        logins_per_second: Logins begun per second over a longer time, for the same reason.
        login_burst: Logins begun at once after a quiet time: all accounts of a small installation.
        lease_lasts: How long a holder has. A login may take the 30 s after which the portal's
            client gives up; 5 s more are for a busy machine. Shorter than `longest_wait`, so that
            those behind a frozen holder are still handed its lease.
        longest_wait: How long anybody waits. Callers are promised an answer within 45 s; 5 s are
            left for a busy loop.
        waiters: Most requests that wait in a process, at some 500 bytes each.
        turns: Most logins that wait for their turn; at 2 a second a third is served in time.
        rejected_memory: How long a rejected credential is answered from memory: spares the portal a
            client that tries again at once, and is over before somebody has changed their password
            there and wonders.
        busy_longest: Longest time an account is left alone because the portal asked for it. After
            an hour one request finds out whether that still holds.
        gap: Least time between two requests for one account, as on the portal's own page.
        answers: Most answers that were fetched, and `answer_bytes` of their values.
        answer_bytes: Five hundred of the longest, far below what the machine has.
        answers_per_account: A month of every series there is, for a household's boxes.
        put: Most answers that nobody waited for: months of energy, and what is remembered of boxes.
            In a room of their own: what lasts for a month must not push out what is asked for every
            minute.
        put_bytes: Most bytes of their values.
        put_per_account: Two years of months.
        put_account_bytes: Most bytes of the values of one account: a month has some 6 KB.
    """

    sessions: int = 100_000
    others: int = 100_000
    locked: int = 20_000
    sources: int = 20_000
    logins_at_once: int = 4
    logins_per_second: float = 2.0
    login_burst: int = 10
    lease_lasts: float = 35.0
    longest_wait: float = 40.0
    waiters: int = 5_000
    turns: int = 256
    rejected_memory: float = 60.0
    busy_longest: float = 3600.0
    gap: float = 1.0
    answers: int = 20_000
    answer_bytes: int = 64 * 1024 * 1024
    answers_per_account: int = 256
    put: int = 20_000
    put_bytes: int = 64 * 1024 * 1024
    put_per_account: int = 24
    put_account_bytes: int = 256 * 1024


FALLBACK: Final = Limits(
    sessions=256,
    others=4096,
    locked=1024,
    sources=1024,
    logins_at_once=1,
    logins_per_second=0.2,
    login_burst=3,
    answers=256,
    answer_bytes=4 * 1024 * 1024,
    answers_per_account=64,
    put=256,
    put_bytes=4 * 1024 * 1024,
)
"""Of a worker while the shared storage is away: every worker has a small pace of its own, so that
together they are not the storm of logins that the shared one prevents."""


@dataclass(frozen=True, slots=True)
class Context:
    """What decisions know beside the states that they are about.

    Attributes:
        now: The time, on the storage's clock.
        owner: This process, in leases.
        random: Returns so many random bytes.
        rejections_void: What was to be rejected until then may be tried again.
    """

    policy: Policy
    limits: Limits
    now: float
    owner: bytes
    random: Callable[[int], bytes]
    rejections_void: float = 0.0
