"""What is evicted from memory when there is no room for more.

A value of an account or source is evicted for others of its kind alone, so that a sprayer pushes
out no other:

1. Accounts with a session have a bound: the least recently used is evicted.
2. Locks earned by judged failures have a bound, and are never evicted. One without room is stored
   among the others, and strangers are refused for a while: further locks would be lost as well.
3. All other accounts share a bound: those whose failures revealed nothing are evicted first,
   then the least recently written.
4. Sources have one bound: those over budget are never evicted, the others as in 3. When there are
   no others, no more are stored, and strangers are refused for a while; but not for failures that
   revealed nothing.

Of answers the least recently used is evicted.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, NamedTuple

from . import encoding
from .limits import Limits
from .spraying import SourceState
from .storage import ACCOUNT, SOURCE, Answer, Entry, Epochs, Kind, Restored, of_account

CROWDED_SECONDS: Final = 30.0
"""Seconds for which strangers are refused after a lock found no room."""


class Slot:
    """A value, the handles in it, and its session's last use and number of uses."""

    __slots__ = ("data", "handles", "hits", "used")

    def __init__(self, used: float) -> None:
        self.data = b""
        self.handles: tuple[bytes, ...] = ()
        self.used = used
        self.hits = 0


Slots = OrderedDict[bytes, Slot]


class Values:
    """The values of accounts and sources, by their names.

    `evicted` is called with the name of a value that had to go, or found no room.

    Attributes:
        sessions: Accounts with a session, the least recently used first.
        handles: Accounts by handle.
        session_count: Sessions of this epoch; `session_bytes` is their size.
        crowded_until: Until when strangers are refused.
    """

    def __init__(
        self, limits: Limits, now: Callable[[], float], evicted: Callable[[bytes], None]
    ) -> None:
        self.limits = limits
        # By kind; under None accounts whose session was flushed, until each is loaded.
        self._tables: dict[bytes, dict[Kind | None, Slots]] = {
            table: {kind: OrderedDict() for kind in (None, *Kind)} for table in (SOURCE, ACCOUNT)
        }
        self.sessions = self._tables[ACCOUNT][Kind.SESSION]
        self._epoch = 0
        self.handles: dict[bytes, bytes] = {}
        self.session_count = self.session_bytes = self.bytes = 0
        self.evicted_accounts = self.evicted_handles = 0
        self.crowded_until = 0.0
        self._now = now
        self._evicted = evicted

    def restore(self, restored: Restored, epochs: Epochs) -> None:
        """Take in the rows of a disk, the longest unwritten first."""
        now, self._epoch = self._now(), epochs.sessions
        for account, row in restored.accounts:
            header = encoding.header_of(row)
            entry = Entry(Kind.SESSION if header.value_size else Kind.OTHER, 0.0)
            if header.lasting_size:
                state = encoding.load(row)
                state.refresh(epochs, now)
                handles = tuple(one.handle for one in state.handles)
                entry = Entry(encoding.kind_of(state, now), 0.0, handles=handles)
            self.replace(of_account(account), row, entry)
        for source, row in restored.sources:
            self.replace(SOURCE + source, row, Entry(SourceState.load(row).kind(), 0.0))

    def get(self, name: bytes) -> Slot | None:
        """Return the slot of a value; None if there is none."""
        for slots in self._tables[name[:1]].values():
            slot = slots.get(name)
            if slot is not None:
                return slot
        return None

    def replace(self, name: bytes, new: bytes | None, entry: Entry) -> bool:
        """Store a value in place of the one with that name, evicting others for room.

        Returns whether the name has a value now: not if it is None, or there is no room.
        """
        slot = self._take_out(name)
        if new is None:
            return False
        kind = self._make_room(name, entry.kind)
        if kind is None:
            self._evicted(name)
            return False
        slot = slot or Slot(self._now())
        slot.data, slot.handles = new, entry.handles
        self._tables[name[:1]][kind][name] = slot
        self._count(name, slot, 1)
        for handle in entry.handles:
            self.handles[handle] = name[1:]
        return True

    def flush(self, epoch: int) -> None:
        """Set all sessions aside, without a look at each: they belong to an earlier epoch."""
        self._epoch = epoch
        accounts = self._tables[ACCOUNT]
        if accounts[None]:
            accounts[None].update(self.sessions)
        else:
            accounts[None] = self.sessions
        self.sessions = accounts[Kind.SESSION] = OrderedDict()
        self.session_count = self.session_bytes = 0

    def latest(self, most: int) -> list[bytes]:
        """Return the names of so many accounts with a session, the latest used first."""
        locked = self._tables[ACCOUNT][Kind.LOCKED]
        return [*islice(reversed(self.sessions), most), *islice(locked, most)]

    def names(self, table: bytes) -> list[bytes]:
        """Return all names that begin with `ACCOUNT` or `SOURCE`, in no particular order."""
        names: list[bytes] = []
        for slots in self._tables[table].values():
            names += dict.keys(slots)  # without the order, which takes twenty times as long
        return names

    def in_order(self) -> list[bytes]:
        """Return all names, in an order that restores the order of eviction."""
        tables = self._tables.values()
        return [name for table in tables for slots in table.values() for name in slots]

    # Room.

    def _take_out(self, name: bytes) -> Slot | None:
        for slots in self._tables[name[:1]].values():
            slot = slots.pop(name, None)
            if slot is not None:
                self._count(name, slot, -1)
                for handle in slot.handles:
                    self.handles.pop(handle, None)
                return slot
        return None

    def _make_room(self, name: bytes, kind: Kind) -> Kind | None:
        """Evict others for a value; return the kind to store it as, None if there is no room."""
        table, limits = self._tables[name[:1]], self.limits
        locked = table[Kind.LOCKED]
        evictable, most = [table[Kind.BLANK], table[Kind.OTHER]], limits.others
        if name[:1] == SOURCE:
            most = limits.sources - len(locked)
        elif kind is Kind.SESSION:
            evictable, most = [self.sessions], max(1, limits.sessions)
        elif kind is Kind.LOCKED:
            if len(locked) < limits.locked:
                return kind
            self._refuse_strangers()
            kind = Kind.OTHER
        while sum(map(len, evictable)) >= most:
            if not any(evictable):
                if kind is not Kind.BLANK:
                    self._refuse_strangers()
                return None
            self._evict(next(slots for slots in evictable if slots))
        return kind

    def _refuse_strangers(self) -> None:
        self.crowded_until = self._now() + CROWDED_SECONDS

    def _evict(self, slots: Slots) -> None:
        name, slot = next(iter(slots.items()))
        self._take_out(name)
        self.evicted_accounts += name[:1] == ACCOUNT
        self.evicted_handles += len(slot.handles)
        self._evicted(name)

    def _count(self, name: bytes, slot: Slot, sign: int) -> None:
        self.bytes += sign * len(slot.data)
        if name[:1] == SOURCE:
            return
        header = encoding.header_of(slot.data)
        if header.value_size and header.flushed == self._epoch:
            self.session_count += sign
            self.session_bytes += sign * header.value_size


class Bounds(NamedTuple):
    """Most answers and bytes of their values, in all and per account."""

    most: int
    most_bytes: int
    per_account: int
    account_bytes: float = math.inf


Named = tuple[bytes, bytes]
"""An account, and the key of an answer."""


class Answers:
    """Answers by account and key.

    `bounds` says what there is room for; `bytes` counts their values, `evicted` those that went.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.bytes = 0
        self.evicted = 0
        # Both with the least recently used first.
        self._answers: OrderedDict[Named, Answer] = OrderedDict()
        self._accounts: dict[bytes, OrderedDict[Named, None]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def use(self, account: bytes, key: bytes, now: float) -> Answer | None:
        """Return an answer that has not expired, and count the use."""
        name = account, key
        answer = self._answers.get(name)
        if answer is None:
            return None
        if answer.expires <= now:
            self._drop(name)
            return None
        self._answers.move_to_end(name)
        self._accounts[account].move_to_end(name)
        return answer

    def put(self, account: bytes, key: bytes, answer: Answer) -> None:
        """Store an answer in place of the one with the same key, evicting others for room."""
        name, size, bounds = (account, key), len(answer.value), self.bounds
        self._drop(name)
        own = self._accounts.get(account, OrderedDict())
        most_own = bounds.account_bytes - size
        while own and (
            len(own) >= bounds.per_account
            or sum(len(self._answers[one].value) for one in own) > most_own
        ):
            self._evict(own)
        while self._answers and (len(self) >= bounds.most or self.bytes + size > bounds.most_bytes):
            self._evict(self._answers)
        self._answers[name] = answer
        self._accounts.setdefault(account, OrderedDict())[name] = None
        self.bytes += size

    def drop_account(self, account: bytes) -> int:
        """Drop the answers of an account; return how many there were."""
        names = list(self._accounts.get(account, ()))
        for name in names:
            self._drop(name)
        return len(names)

    def drop_expired(self, now: float, most: int) -> None:
        """Look at the least recently used, so many, and drop those that have expired."""
        for name, answer in list(islice(self._answers.items(), most)):
            if answer.expires <= now:
                self._drop(name)

    def clear(self) -> None:
        """Drop all."""
        self._answers.clear()
        self._accounts.clear()
        self.bytes = 0

    def _evict(self, names: Iterable[Named]) -> None:
        """Drop the least recently used of some."""
        self._drop(next(iter(names)))
        self.evicted += 1

    def _drop(self, name: Named) -> None:
        answer = self._answers.pop(name, None)
        if answer is None:
            return
        self.bytes -= len(answer.value)
        own = self._accounts[name[0]]
        del own[name]
        if not own:
            del self._accounts[name[0]]
