"""What decisions go by: sizes, bounds, budgets and times, with the reasons for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from ..sources import Network

KEY_BYTES: Final = 32
"""Size of keys, accounts and digests: HMAC-SHA256 or SHA-256."""

SPELLING_BYTES: Final = 16
"""Size of a spelling's tag. That of the normalised spelling is empty."""

SPELLED_SIZES: Final = frozenset({KEY_BYTES, KEY_BYTES + SPELLING_BYTES})
"""Sizes of an account's key, with or without the tag of a spelling."""

HANDLE_BYTES: Final = 16
"""So much of a handle's key is stored: no two share it by chance."""

TOKEN_BYTES: Final = 16
"""Size of a lease's token: 128 bits cannot be guessed while it lasts."""

SOURCE_MAX_CHARS: Final = 64
"""Longest source: longer than any textual address with an interface's name."""

VALUE_MAX_BYTES: Final = 16 * 1024
"""Longest sealed session. One has some 200 bytes; this leaves room to grow."""

RECORD_MAX_BYTES: Final = 1024
"""Longest sealed record of a handle. One has some 110 bytes; an account has up to 16."""

ANSWER_MAX_BYTES: Final = 128 * 1024
"""Longest sealed answer: a month of history has up to 60 KB, compressed."""

TTL_MAX: Final = 30 * 86400.0
"""Longest time to live in seconds: no immortal sessions."""

BRIEF: Final = 3600.0
"""Seconds for which an answer that is stored unasked lasts at most to count as brief."""

RETRY_AFTER_MAX: Final = 30 * 86400.0
"""Longest wait in seconds that a worker may report; a portal may ask for any."""

ACCOUNT_SHOWN_BYTES: Final = 6
"""How much of an account's key operators see: tells accounts apart, but is no key to look up."""


# Bounds of one account's state.

MAX_KNOWN_SOURCES: Final = 8
"""Known sources of one spelling: a household's home, phones, offices. The latest used stay."""

MAX_KNOWN: Final = 16
"""The same over all spellings."""

MAX_SOURCES: Final = 32
"""Sources with failures. After 20 the account itself is locked, and then lets one through per lock,
of up to an hour. As many known sources as there can be are let in beside them."""

MAX_SPELLINGS: Final = 8
"""Accounts of one budget whose failures a source has counted apart. Two would be an owner and a
neighbour whose e-mail differs by an accent; failures at further ones are never forgiven."""

MAX_PAIRS: Final = 64
"""Wrong pairs remembered: each counts once, is not tried again at once, and may be tried again
whatever is locked while nobody has judged it."""

MAX_GUESSES: Final = 64
"""Guesses not judged yet; more than any budget lets in at once."""

MAX_HANDLES: Final = 16
"""Handles for all of a household's assistants that do not end theirs; the oldest is dropped."""

MAX_LEASES: Final = 48
"""Logins and requests to the portal under way at once."""

MAX_ENDED: Final = 16
ENDED_LASTS: Final = 10.0
"""Ended leases remembered, and for how many seconds: waiters in another process learn the outcome
from them. Without that, 200 waiters would be 200 logins at a dead portal."""

MAX_BUSY: Final = 10
"""Circles for which the portal is left alone: eight strangers, known sources, and reading; the
oldest stranger's is dropped."""


def plain(spelled: bytes) -> bytes:
    """Return the key that all spellings of an e-mail share.

    A portal may take two spellings for accounts of different people, of whom one may guess the
    other's password. So outcomes of logins go by spelled keys, which have the spelling's tag at the
    end. Sessions go by the plain key.
    """
    return spelled[:KEY_BYTES]


def tag(spelled: bytes) -> bytes:
    """Return the tag of the spelling; empty for the normalised one."""
    return spelled[KEY_BYTES:]


@dataclass(frozen=True, slots=True)
class Policy:
    """Budgets of wrong passwords.

    Attributes:
        per_source: Different wrong passwords for one account from one source before a lock.
        per_account: The same for one account over all sources.
        first: Length of the first lock in seconds; each further one is twice as long.
        longest: Longest lock in seconds.
        known_for: Seconds for which a source that logged in is spared the account's lock.
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
        """Seconds for which a source is known at least; with more left it is not noted again.

        A tenth less than `known_for`: saves a write on nearly every successful look-up.
        """
        return 0.9 * self.known_for

    def length(self, locks: int) -> float:
        """Return the seconds that lock number `locks` lasts (1 is the first)."""
        # Past 2**40 the longest has long been reached; a float would overflow in the end.
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

    Each class of accounts has its own room, so that filling one evicts none of another.

    Attributes:
        sessions: Most accounts with a session; the least recently used is evicted.
        others: Most accounts without one: failures, known sources and handles. Evicting one of them
            by failures that the portal judged takes as many logins as this.
        locked: Most accounts under a lock earned by judged failures. None is evicted; without
            room, strangers are refused for a while.
        sources: Most sources with failures over several accounts; those over budget stay.
        logins_at_once: Most logins under way. The portal is a web site for people; four at once
            look like a family, not like an attack.
        logins_per_second: Logins begun per second over a longer time, for the same reason.
        login_burst: Logins begun at once after a quiet time: all accounts of a small installation.
        lease_lasts: A login may take the 30 s after which the portal's client gives up; 5 s more
            are for a busy machine. Shorter than `longest_wait`, so that waiters behind a frozen
            holder still get its lease.
        longest_wait: Callers are promised an answer within 45 s; 5 s are left for a busy loop.
        waiters: Most requests that wait in a process, at some 500 bytes each.
        turns: Most logins that wait for their turn; at 2 a second a third is served in time.
        rejected_memory: How long a rejected credential is answered from memory: spares the portal a
            client that tries again at once, and is over before an owner who has changed the
            password there wonders.
        busy_longest: Longest time an account is left alone because the portal asked for it. After
            an hour one request checks whether that still holds.
        gap: Least time between two requests for one account, as on the portal's own page.
        answers: Most answers that were fetched.
        answer_bytes: Most bytes of their values: five hundred of the longest, far below what the
            machine has.
        answers_per_account: A month of every series there is, for a household's boxes.
        put: Most answers stored unasked: months of energy, and facts about boxes. They have their
            own room: what lasts for a month must not evict what is asked for every minute.
        put_bytes: Most bytes of their values.
        put_per_account: Two years of months.
        put_account_bytes: Most bytes of the values of one account: a month has some 6 KB.
        brief: Most answers stored unasked for `BRIEF` at most: readings made of other answers, for
            as long as those last. They push out neither those nor what lasts.
        brief_bytes: Most bytes of their values.
        brief_per_account: As many histories as an assistant looks at in five minutes.
        brief_account_bytes: Most bytes of the values of one account: a reading has 3 to 10 KB.
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
    brief: int = 20_000
    brief_bytes: int = 32 * 1024 * 1024
    brief_per_account: int = 24
    brief_account_bytes: int = 256 * 1024


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
    brief=256,
    brief_bytes=4 * 1024 * 1024,
)
"""Of a worker while the shared storage is away. Its pace is small, so that all workers together are
not the login storm that the shared one prevents."""


@dataclass(frozen=True, slots=True)
class Context:
    """What decisions know besides the states that they are about.

    `now` is on the storage's clock; `owner` names this process in leases; rejections remembered
    until `rejections_void` are void.
    """

    policy: Policy
    limits: Limits
    now: float
    owner: bytes
    random: Callable[[int], bytes]
    rejections_void: float = 0.0
