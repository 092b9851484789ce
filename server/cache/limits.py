"""How long things are, how much is held and how long anybody waits; each number with its reason."""

from __future__ import annotations

from dataclasses import dataclass

KEY_BYTES = 32
"""Size of keys, accounts and digests: HMAC-SHA256 or SHA-256."""

SPELLING_BYTES = 16
"""Size of a spelling's tag. The normalised spelling has none: its tag is empty."""

DIGEST_BYTES = 16
"""Size of what tells the live settings of a process from others."""

TOKEN_BYTES = 16
"""Size of a lease's token: nobody guesses 128 bits within its time."""

SECRET_TAG_BYTES = 16
"""Size of a secret's tag: no two secrets have the same by chance."""

SOURCE_MAX_CHARS = 64
"""Longest source: the longest textual address, with an interface's name, is shorter."""

VALUE_MAX_BYTES = 16 * 1024
"""Longest sealed session. They have some 200 bytes; this leaves room to grow."""

ANSWER_MAX_BYTES = 128 * 1024
"""Longest sealed answer or note: a month of history has up to 60 KB, compressed."""

TTL_MAX = 30 * 86400.0
"""Longest time to live in seconds: no immortal sessions."""

RETRY_AFTER_MAX = 30 * 86400.0
"""Longest wait in seconds that a worker may tell of; a portal may ask for any."""

ACCOUNT_SHOWN_BYTES = 6
"""How much of an account's key operators see: enough to tell accounts apart, useless to look up."""


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """Limits of shared answers and notes. Times are in seconds.

    Attributes:
        gap: Least time between two fetches begun for one account: what the portal's own web page
            does not exceed.
        lease_lasts: How long a holder has; as for logins.
        longest_wait: How long a `share` waits; as for logins.
        waiting: Most `share` requests that wait, and fetches under way, at once; as for logins.
        busy_longest: Longest time an account is left alone because the portal said so. Whatever it
            said: after an hour one request finds out whether it still means it.
        busy: Most accounts left alone at once; the first that was goes. Each took a fetch.
        answers: Most answers held. Small ones cost some 500 bytes beside their value.
        answer_bytes: Most bytes of their values: five hundred of the longest, far below what the
            machine has.
        answers_per_account: A month of every series there is, for a household's boxes.
        put: Most answers held that nobody waited for: months of energy, and what is remembered of
            boxes. In a room of their own: what lasts for a month must not push out what is asked
            for every minute.
        put_bytes: Most bytes of their values: as for answers.
        put_per_account: Two years of months.
        put_account_bytes: Most bytes of the values of one account: a month has some 6 KB.
        notes: Most notes held: as many as sessions, which they lead to.
        note_bytes: Most bytes of their values: twice as many notes of the usual 300 bytes.
        notes_per_account: Handles of all the assistants of a household that do not end theirs.
    """

    gap: float = 1.0
    lease_lasts: float = 35.0
    longest_wait: float = 40.0
    waiting: int = 20_000
    busy_longest: float = 3600.0
    busy: int = 20_000
    answers: int = 20_000
    answer_bytes: int = 64 * 1024 * 1024
    answers_per_account: int = 256
    put: int = 20_000
    put_bytes: int = 64 * 1024 * 1024
    put_per_account: int = 24
    put_account_bytes: int = 256 * 1024
    notes: int = 100_000
    note_bytes: int = 64 * 1024 * 1024
    notes_per_account: int = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one engine. Times are in seconds.

    Attributes:
        sessions: Most sessions held, the least recently used goes. 100 000 at under 1 KB each
            stay below 100 MB.
        logins_at_once: Most leases out at the same time. The portal is a web site for people; four
            at once look like a family, not like an attack.
        logins_per_second: Leases given per second over a longer time, for the same reason.
        login_burst: Leases given at once after a quiet time: all accounts of a small installation
            after a restart without snapshot.
        lease_lasts: How long a holder has. A login may take the 30 s after which the portal's
            client gives up; 5 s more are for a busy machine. Shorter than `longest_wait`, so that
            those behind a frozen holder are still handed its lease.
        longest_wait: How long an `acquire` waits. Callers are promised an answer within 45 s;
            5 s are left for a busy loop.
        waiting: Most `acquire` requests that wait at once. Connections times requests in flight
            would allow a million; this many cost some 20 MB, and far fewer different logins can
            be made within `longest_wait`.
        rejected_memory: How long a rejected credential is answered from memory: spares the
            portal a client that tries again at once, and is over before somebody has changed
            their password there and wonders.
        busy_longest: Longest time an account's logins are left alone; as for answers.
        busy: Most accounts whose logins are left alone at once; as for answers.
        rejections: Most rejected credentials remembered. The pace of logins brings 120 in
            `rejected_memory`; one that is pushed out costs one login.
        answers: Those of answers and notes, which have room of their own.
    """

    sessions: int = 100_000
    logins_at_once: int = 4
    logins_per_second: float = 2.0
    login_burst: int = 10
    lease_lasts: float = 35.0
    longest_wait: float = 40.0
    waiting: int = 20_000
    rejected_memory: float = 60.0
    busy_longest: float = 3600.0
    busy: int = 20_000
    rejections: int = 4096
    answers: AnswerLimits = AnswerLimits()
