"""Values in memory, in rooms by what they are worth: a sprayer pushes out nobody but its like.

1. Accounts with a session have a room; the one goes whose session was unused for longest.
2. All others share one: first those go whose failures told nobody anything, then the longest
   unwritten.
3. Locks that judged failures have earned have a room of their own, and stay.
4. Sources are kept likewise, in rooms of their own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import Final

from . import encoding
from .limits import Limits
from .spraying import SourceState
from .storage import Entry, Epochs, Kind, Restored, of_account

CROWDED_SECONDS: Final = 30.0
"""For how long strangers are refused when there was no room for a lock."""


class Slot:
    """A value, when its session was last used, and how often."""

    __slots__ = ("data", "hits", "used")

    def __init__(self, data: bytes, used: float) -> None:
        self.data = data
        self.used = used
        self.hits = 0


Values = OrderedDict[bytes, Slot]


class Rooms:
    """All of them.

    Args:
        limits: What there is room for.
        now: The time.
        gone: Called with the name of a value that made room for another.

    Attributes:
        limits: As above.
        epoch: Times that all sessions were flushed.
        accounts: By kind.
        sources: By kind.
        flushed: Accounts whose sessions were flushed, until somebody has gone through them.
        handles: Accounts by handle.
        sessions: How many sessions there are, and `values_bytes` of them; `bytes` of all states.
        evicted: Accounts that made room for others, and `evicted_handles` of them.
        crowded_until: Until when there is no room for locks.
    """

    def __init__(
        self, limits: Limits, now: Callable[[], float], gone: Callable[[bytes], None]
    ) -> None:
        self.limits = limits
        self.epoch = 0
        self.accounts: dict[Kind, Values] = {kind: OrderedDict() for kind in Kind}
        self.sources: dict[Kind, Values] = {kind: OrderedDict() for kind in Kind}
        self.flushed: Values = OrderedDict()
        self.handles: dict[bytes, bytes] = {}
        self.sessions = self.values_bytes = self.bytes = 0
        self.evicted = self.evicted_handles = 0
        self.crowded_until = 0.0
        self._now = now
        self._gone = gone

    def restore(self, restored: Restored, epochs: Epochs) -> None:
        """Take in what a disk had, the first written first."""
        now, self.epoch = self._now(), epochs.sessions
        for account, row in restored.accounts:
            handles: tuple[bytes, ...] = ()
            kind = Kind.SESSION if value_size(row) else Kind.OTHER
            if encoding.header_of(row).lasting_size:
                state = encoding.load(row)
                state.refresh(epochs, now)
                handles = tuple(one.handle for one in state.handles)
                kind = encoding.kind_of(state, now)
            self.put(of_account(account), None, row, Entry(kind, 0.0, handles=handles))
        for source, row in restored.sources:
            self.put(b"s" + source, None, row, Entry(SourceState.load(row).kind(), 0.0))

    def flush(self, epoch: int) -> None:
        """Put all sessions aside: they are of an earlier epoch."""
        self.epoch = epoch
        if self.flushed:
            self.flushed.update(self.accounts[Kind.SESSION])
        else:
            self.flushed = self.accounts[Kind.SESSION]  # at once, however many
        self.accounts[Kind.SESSION] = OrderedDict()
        self.sessions = self.values_bytes = 0

    def slot(self, name: bytes) -> Slot | None:
        """Return where a value stands; None if there is none."""
        rooms = self.sources if name[:1] == b"s" else self.accounts
        for room in rooms.values():
            slot = room.get(name)
            if slot is not None:
                return slot
        return self.flushed.get(name)

    def names(self) -> list[bytes]:
        """Return the names of all accounts, in no certain order."""
        names: list[bytes] = []
        for room in (*self.accounts.values(), self.flushed):
            names += dict.keys(room)  # not in its own order, which takes twenty times as long
        return names

    def latest(self, most: int) -> list[bytes]:
        """Return the names of so many accounts with a session, the latest used first."""
        sessions = self.accounts[Kind.SESSION]
        return [*islice(reversed(sessions), most), *islice(self.accounts[Kind.LOCKED], most)]

    def take_out(self, name: bytes, slot: Slot) -> None:
        """Take a value out of its room."""
        rooms = self.sources if name[:1] == b"s" else self.accounts
        for room in (*rooms.values(), self.flushed):
            if room.pop(name, None) is not None:
                break
        self.bytes -= len(slot.data)
        if name[:1] == b"a":
            self._count(slot.data, -1)
            for handle in handles_in(slot.data):
                self.handles.pop(handle, None)

    def put(self, name: bytes, slot: Slot | None, new: bytes, entry: Entry) -> None:
        """Put a value into its room, and drop what goes for it.

        1. There is room: it is put there.
        2. Something goes for it: a value that is worth less, or as much and was used before.
        3. Nothing goes for a lock: it stands among the others, and strangers are refused for a
           while, since more locks would be lost as well. What told nobody anything is not worth
           that, and is not kept at all when nothing goes for it.
        """
        kind = entry.kind
        is_account = name[:1] == b"a"
        rooms = self.accounts if is_account else self.sources
        limits = self.limits
        if is_account and kind is Kind.LOCKED and len(rooms[kind]) >= limits.locked:
            kind = Kind.OTHER
            self.crowded_until = self._now() + CROWDED_SECONDS
        if is_account and kind is Kind.SESSION:
            while len(rooms[kind]) >= max(1, limits.sessions):
                self._evict(rooms[kind])
        elif not is_account or kind is not Kind.LOCKED:
            most = limits.others if is_account else limits.sources
            loose = [rooms[Kind.BLANK], rooms[Kind.OTHER]]
            firm = 0 if is_account else len(rooms[Kind.LOCKED])
            while sum(map(len, loose)) + firm >= most and any(loose):
                self._evict(next(room for room in loose if room))
            if firm >= most:
                if kind is not Kind.BLANK:
                    self.crowded_until = self._now() + CROWDED_SECONDS
                return
        fresh = Slot(new, self._now()) if slot is None else slot
        fresh.data = new
        rooms[kind][name] = fresh
        self.bytes += len(new)
        if not is_account:
            return
        self._count(new, 1)
        account = name[1:]
        for handle in entry.handles:
            self.handles[handle] = account

    def _count(self, data: bytes, sign: int) -> None:
        size = value_size(data)
        if size and encoding.header_of(data).flushed == self.epoch:
            self.sessions += sign
            self.values_bytes += sign * size

    def _evict(self, room: Values) -> None:
        name, slot = next(iter(room.items()))
        handles = len(self.handles)
        self.take_out(name, slot)
        self.evicted += name[:1] == b"a"
        self.evicted_handles += handles - len(self.handles)
        self._gone(name)


def value_size(data: bytes) -> int:
    """Return how long the session in a state is."""
    return encoding.header_of(data).value_size


def handles_in(data: bytes) -> list[bytes]:
    """Return the handles in a state."""
    if not encoding.header_of(data).lasting_size:
        return []
    return [one.handle for one in encoding.load(data).handles]
