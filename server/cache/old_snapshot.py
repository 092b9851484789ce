"""The snapshot that versions up to 0.1 wrote: read once, at the first start of one without it.

Nothing in it that was locked is open afterwards, no session lasts longer, and no handle leads
elsewhere. What it says of changes under way is left out: the journal of changes says it.

The bytes are a header (magic, format, length, SHA-256 of the rest) and one msgpack array. In it
stands the wall-clock time at which it was taken, once; every other time is seconds before or after
that. So a clock that was set while the daemon was down can only shorten a session.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import math
import os
import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

from ..errors import OigError
from ..state import encoding, limits
from ..state.account import (
    MAX_KNOWN,
    MAX_PAIRS,
    MAX_SOURCES,
    MAX_SPELLINGS,
    AccountState,
    Counter,
    Known,
    Pair,
    pair_of,
    whose,
)
from ..state.endings import handle_of, put_handle
from ..state.limits import KEY_BYTES, TTL_MAX, plain, tag
from ..state.spraying import NAME_BYTES, SourceState, Tried
from ..state.storage import TAG_BYTES, Epochs, Restored
from .state_file import ASIDE, flaw_of

HEADER: Final = struct.Struct(">8sHQ32s")

KIND: Final = b"OIGCACHE", 6
"""Magic and format: the only one that a released version wrote."""

SKEW: Final = 60.0
"""Seconds by which the wall clock may have gone back since: what time synchronisation corrects."""

MAX_BYTES: Final = 512 * 1024 * 1024
MAX_ENTRIES: Final = 2_000_000
MAX_SECONDS: Final = 1e9
MAX_COUNT: Final = 2**31
"""More of anything was never written."""

OUTDATED: Final = ".outdated"
"""Behind its name: the mark that it is older than a flush."""

logger = logging.getLogger(__name__)


class NotReadable(OigError):
    """The snapshot is torn, foreign, of another format, or not ours."""


def read(path: Path, wall_now: float, now: float) -> Restored | None:
    """Return what a snapshot says; None if there is none. Never raises.

    One that cannot be read is set aside, and says nothing.

    Args:
        path: The file.
        wall_now: Unix time.
        now: Time on the storage's clock, at least `TTL_MAX`.
    """
    try:
        data = _bytes(path)
        if data is None:
            return None
        is_outdated = os.path.lexists(path.with_name(path.name + OUTDATED))
        return decode(data, wall_now, now, is_outdated=is_outdated)
    except NotReadable as exc:
        try:
            aside = f"it was set aside as {path.replace(path.with_name(path.name + ASIDE))}."
        except OSError as failure:
            aside = f"it could not be set aside: {failure.strerror}."
        logger.warning("%s Starting without sessions and locks; %s", exc, aside)
        return Restored(None, now)


def remove(path: Path) -> None:
    """Remove a snapshot, with what stands beside it but for one that could not be read.

    Raises:
        OSError: Something cannot be removed.
    """
    for end in ("", ".new", OUTDATED):
        path.with_name(path.name + end).unlink(missing_ok=True)


def decode(data: bytes, wall_now: float, now: float, *, is_outdated: bool = False) -> Restored:
    """Return what a snapshot says, as rows.

    1. It is older than a flush: its sessions and handles are left out, and its epoch.
    2. It seems to come from the future: so are its sessions and handles, for how long they last is
       not known. Locks and known sources have as much time left as they had.
    3. Else all that has not run out since.

    Args:
        data: The file's bytes.
        wall_now: Unix time.
        now: Time on the storage's clock, at least `TTL_MAX`.
        is_outdated: Whether it is older than a flush.

    Raises:
        NotReadable: It is not a whole snapshot.
    """
    taken, sessions, failures, known, handles, _, epoch, sprayed = _list(_body(data), 8)
    since = wall_now - _seconds(taken, most=math.inf)
    reader = _Reader(now - max(0.0, since), now, is_fresh=since >= -SKEW and not is_outdated)
    for rows, take in (
        (failures, reader.take_failures),
        (known, reader.take_known),
        (sessions, reader.take_session),
        (handles, reader.take_handle),
        (sprayed, reader.take_source),
    ):
        for row in _list(rows):
            take(row)
    epochs = None if epoch is None else _epochs(epoch)
    accounts = [
        (account, encoding.dump(state, os.urandom(TAG_BYTES))[1])
        for account, state in reader.states.items()
        if not state.is_empty()
    ]
    return Restored(None if is_outdated else epochs, now, accounts, reader.sources)


class _Reader:
    """What has been read so far.

    Args:
        taken: When the snapshot was taken, on the storage's clock.
        now: The time on it.
        is_fresh: Whether its sessions and handles are good.
    """

    def __init__(self, taken: float, now: float, *, is_fresh: bool) -> None:
        self._taken = taken
        self._now = now
        self._is_fresh = is_fresh
        self.states: dict[bytes, AccountState] = {}
        self.sources: list[tuple[bytes, bytes]] = []

    def take_failures(self, raw: object) -> None:
        """Take in a counter: first that of an account, then those of its sources."""
        account, source, failures, locks, ago, left, keys, fell, spelled, telling = _list(raw, 10)
        state = self._state(account)
        shared = {
            "failures": _count(failures),
            "telling": min(_count(telling), failures),
            "locks": _count(locks),
            "until": self._ends(left),
            "last": self._past(ago),
            "firm": min(telling, failures) > 0,
        }
        spellings = _spellings(account, spelled)
        if source is None:
            state.fell = self._past(fell)
            state.total = Counter(**shared)
        elif len(state.sources) < MAX_SOURCES or shared["until"] > self._now:
            # More have room only if they are locked; there never were more than 72.
            state.sources[_source(source)] = Counter(**shared, spellings=spellings)
        pairs = [Pair(pair_of(plain(_spelled(key)), key), 0.0, "") for key in _list(keys)]
        state.pairs = [*state.pairs, *pairs][-MAX_PAIRS:]

    def take_known(self, raw: object) -> None:
        """Take in the sources known to one spelling of an account, the latest used first."""
        spelled, sources = _list(raw, 2)
        state = self._state(plain(_spelled(spelled)))
        for one in _list(sources):
            source, left = _list(one, 2)
            until = self._taken + _seconds(left)
            if until > self._now and len(state.known) < MAX_KNOWN:
                state.known.append(Known(_source(source), until, tag(spelled)))

    def take_session(self, raw: object) -> None:
        """Take in a session; the latest used comes last."""
        *entry, idle, spelling = _list(raw, 7)
        key, account, value, stored, expires = self._entry(entry, limits.VALUE_MAX_BYTES)
        if spelling is not None:
            _bytes_of(spelling, {0, limits.SPELLING_BYTES})
        seen = self._past(idle)
        if self._is_fresh and expires > self._now:
            state = self.states.pop(account, None) or AccountState()
            self.states[account] = state
            state.key, state.spelling, state.value = key, spelling, value
            state.stored, state.expires, state.seen = stored, expires, seen

    def take_handle(self, raw: object) -> None:
        """Take in a handle, after all sessions.

        1. Its account has a session: if it leads to that, it stays.
        2. There is none: it leads to the one that a login with its password will open. Handles of
           two passwords cannot both be good: the last one's is right.
        """
        *entry, session = _list(raw, 6)
        key, account, record, _, expires = self._entry(entry, limits.ANSWER_MAX_BYTES)
        _bytes_of(session, {KEY_BYTES})
        if not self._is_fresh or expires <= self._now or len(record) > limits.RECORD_MAX_BYTES:
            return
        state = self._state(account)
        if state.key != session:
            if state.value:
                return
            state.key = session
            state.handles.clear()
        put_handle(state, handle_of(key, record, expires))

    def take_source(self, raw: object) -> None:
        """Take in a source that failed at several accounts, the oldest first."""
        source, accounts, left, blank = _list(raw, 4)
        blanks = {_bytes_of(one, {KEY_BYTES}) for one in _list(blank)}
        state = SourceState(until=self._ends(left))
        for one in _list(accounts):
            account, ago = _list(one, 2)
            name = _bytes_of(account, {KEY_BYTES})[-NAME_BYTES:]
            state.tried[name] = Tried(self._past(ago), 0.0, account not in blanks)
        self.sources.append((_source(source).encode(), state.dump(os.urandom(TAG_BYTES))))

    def _state(self, account: object) -> AccountState:
        return self.states.setdefault(_bytes_of(account, {KEY_BYTES}), AccountState())

    def _entry(self, raw: list[Any], longest: int) -> tuple[bytes, bytes, bytes, float, float]:
        key, account, value, age, left = raw
        lasts = _seconds(left, least=-MAX_SECONDS) + _seconds(age)
        _checked(lasts, lasts <= TTL_MAX * (1.0 + 1e-9))
        _bytes_of(value, range(1, longest + 1))
        for name in (key, account):
            _bytes_of(name, {KEY_BYTES})
        return key, account, value, self._past(age), self._taken + left

    def _past(self, ago: object) -> float:
        """Return when something was; not before the clock's first second, as 0 stands for never."""
        return max(1.0, self._taken - float(_seconds(ago)))

    def _ends(self, left: object) -> float:
        """Return the end of a lock; 0.0 if there was none when the snapshot was taken."""
        seconds = _seconds(left)
        return max(0.0, self._taken + seconds) if seconds else 0.0


def _bytes(path: Path) -> bytes | None:
    # Without O_NONBLOCK a pipe at this place would hold up the start for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as exc:
        why = "it is a symbolic link" if exc.errno == errno.ELOOP else exc.strerror
        raise NotReadable(f"The snapshot {path} cannot be read: {why}.") from exc
    try:
        found = os.fstat(descriptor)
        flaw = flaw_of(found)
        if found.st_size > MAX_BYTES + HEADER.size:
            flaw = "is longer than any that was ever written"
        if flaw is not None:
            raise NotReadable(f"The snapshot {path} {flaw}.")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    except OSError as exc:
        raise NotReadable(f"The snapshot {path} cannot be read: {exc.strerror}.") from exc
    finally:
        os.close(descriptor)


def _body(data: bytes) -> Any:
    if len(data) < HEADER.size:
        raise NotReadable("The snapshot is torn: it ends within its header.")
    magic, version, length, digest = HEADER.unpack_from(data)
    payload = data[HEADER.size :]
    if (magic, version) != KIND:
        raise NotReadable("This is no snapshot of a version that this one knows.")
    if len(payload) != length or hashlib.sha256(payload).digest() != digest:
        raise NotReadable("The snapshot is damaged: its length or checksum is wrong.")
    try:
        return msgpack.unpackb(
            payload,
            raw=False,
            strict_map_key=True,
            max_str_len=limits.SOURCE_MAX_CHARS * 4,
            max_bin_len=limits.ANSWER_MAX_BYTES,
            max_array_len=MAX_ENTRIES,
            max_map_len=0,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException) as exc:
        raise NotReadable("The snapshot is no array of what this program wrote.") from exc


def _epochs(raw: object) -> Epochs:
    origin, drops = _list(raw, 2)
    return Epochs(_bytes_of(origin, {16}), _count(drops))


def _spellings(budget: bytes, raw: object) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for one in _list(raw)[:MAX_SPELLINGS]:
        spelled, failures = _list(one, 2)
        name = whose(budget, _spelled(spelled))
        found[name] = found.get(name, 0) + _count(failures)
    return found


def _list(raw: Any, length: int | None = None) -> Any:
    return _checked(raw, type(raw) is list and length in {None, len(raw)})


def _spelled(raw: Any) -> Any:
    return _bytes_of(raw, limits.SPELLED_SIZES)


def _bytes_of(raw: Any, sizes: Collection[int]) -> Any:
    return _checked(raw, type(raw) is bytes and len(raw) in sizes)


def _source(raw: Any) -> Any:
    return _checked(raw, type(raw) is str and 0 < len(raw) <= limits.SOURCE_MAX_CHARS)


def _seconds(raw: Any, *, least: float = 0.0, most: float = MAX_SECONDS) -> Any:
    return _checked(raw, type(raw) is float and least <= raw <= most and math.isfinite(raw))


def _count(raw: Any) -> Any:
    return _checked(raw, type(raw) is int and 0 <= raw < MAX_COUNT)


def _checked(raw: Any, fits: bool) -> Any:
    if not fits:
        raise NotReadable("The snapshot is not what this program wrote.")
    return raw
