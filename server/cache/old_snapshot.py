"""The snapshot that versions up to 0.1 wrote: read once, at the first start of a later version.

Nothing that was locked in it is open afterwards, no session lasts longer, and no handle leads
elsewhere. Changes under way are left out: the journal of changes has them.

The bytes are a header (magic, format, length, SHA-256 of what follows) and one msgpack array. It
gives the wall-clock time at which it was taken once; all other times are seconds before or after
that. So a clock that was set while the daemon was down can only shorten a session.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import operator
import os
import struct
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

from ..errors import OigError
from ..state import encoding, limits
from ..state.account import AccountState, Counter, Known, Pair, pair_of, whose
from ..state.limits import KEY_BYTES, MAX_KNOWN, MAX_SOURCES, TTL_MAX, plain, tag
from ..state.logins import put_handle
from ..state.spraying import NAME_BYTES, SourceState, Tried
from ..state.storage import TAG_BYTES, Epochs, Restored
from .state_file import ASIDE, StateFileUnusable, flaw_of

HEADER: Final = struct.Struct(">8sHQ32s")

KIND: Final = b"OIGCACHE", 6
"""Magic and format: the only one that a release wrote."""

SKEW: Final = 60.0
"""Seconds by which the wall clock may have gone back since: a correction by NTP."""

MAX_BYTES: Final = 512 * 1024 * 1024
MAX_ENTRIES: Final = 2_000_000
MAX_SECONDS: Final = 1e9
MAX_COUNT: Final = 2**31
"""More than this was never written."""

OUTDATED: Final = ".outdated"
"""End of the name of the file that marks a snapshot as older than a flush."""

NO_FILE_CODES: Final = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO})
"""What opening a link, a folder and a socket fails with."""

logger = logging.getLogger(__name__)


class NotReadable(OigError):
    """The snapshot is torn, foreign, of another format, or another user's."""


def read(path: Path, wall_now: float, now: float) -> Restored | None:
    """Return the contents of a snapshot; None if there is none. Sets aside one it cannot believe.

    Raises:
        StateFileUnusable: It cannot be read now.
    """
    try:
        data = _content(path)
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
    """Remove a snapshot and all beside it but one that could not be read; may raise OSError."""
    for end in ("", ".new", OUTDATED):
        path.with_name(path.name + end).unlink(missing_ok=True)


def decode(data: bytes, wall_now: float, now: float, *, is_outdated: bool = False) -> Restored:
    """Return the contents of a snapshot, as rows.

    1. It is older than a flush: its sessions, handles and epochs are left out.
    2. It seems to come from the future: its sessions and handles are left out, as nobody knows how
       long they last. Locks and known sources have as much time left as they had.
    3. Otherwise all is returned that has not expired since.

    `wall_now` is Unix time; `now` is the storage's clock, at least `TTL_MAX`.

    Raises:
        NotReadable: It is not a whole snapshot.
    """
    body = _unpacked(data)
    if not SNAPSHOT(body):
        raise NotReadable("The snapshot is not what this program wrote.")
    taken, sessions, failures, known, handles, _, epochs, sprayed = body
    since = wall_now - taken
    reader = _Reader(now - max(0.0, since), now, is_fresh=since >= -SKEW and not is_outdated)
    for rows, take in (
        (failures, reader.take_failures),
        (known, reader.take_known),
        (sessions, reader.take_session),
        (handles, reader.take_handle),
        (sprayed, reader.take_source),
    ):
        for row in rows:
            take(row)
    accounts = [
        (account, encoding.dump(state, os.urandom(TAG_BYTES))[1])
        for account, state in reader.states.items()
        if not state.is_empty()
    ]
    has_epochs = epochs is not None and not is_outdated
    return Restored(Epochs(*epochs) if has_epochs else None, now, accounts, reader.sources)


Form = Callable[[Any], bool]
"""Tells whether a value may have been written. By type(): True is an int to isinstance."""


def _row(*forms: Form) -> Form:
    return lambda raw: (
        type(raw) is list and len(raw) == len(forms) and all(map(operator.call, forms, raw))
    )


def _list(form: Form) -> Form:
    return lambda raw: type(raw) is list and all(map(form, raw))


def _or_none(form: Form) -> Form:
    return lambda raw: raw is None or form(raw)


def _bytes(sizes: Collection[int]) -> Form:
    return lambda raw: type(raw) is bytes and len(raw) in sizes


def _seconds(least: float = 0.0, most: float = MAX_SECONDS) -> Form:
    return lambda raw: type(raw) is float and least <= raw <= most


def _count(raw: Any) -> bool:
    return type(raw) is int and 0 <= raw < MAX_COUNT


def _source(raw: Any) -> bool:
    return type(raw) is str and 0 < len(raw) <= limits.SOURCE_MAX_CHARS


_key, _spelled = _bytes({KEY_BYTES}), _bytes(limits.SPELLED_SIZES)
_spelling = _bytes({0, limits.SPELLING_BYTES})
_sealed = _bytes(range(1, limits.VALUE_MAX_BYTES + 1))
_record = _bytes(range(1, limits.ANSWER_MAX_BYTES + 1))
_age, _left = _seconds(), _seconds(least=-MAX_SECONDS)
_wrong, _numbers = _list(_spelled), _list(_row(_spelled, _count))

SNAPSHOT: Final = _row(
    _seconds(most=sys.float_info.max),
    _list(_row(_key, _key, _sealed, _age, _left, _age, _or_none(_spelling))),
    _list(
        _row(_key, _or_none(_source), _count, _count, _age, _age, _wrong, _age, _numbers, _count)
    ),
    _list(_row(_spelled, _list(_row(_source, _age)))),
    _list(_row(_key, _key, _record, _age, _left, _key)),
    lambda _: True,
    _or_none(_row(_bytes({16}), _count)),
    _list(_row(_source, _list(_row(_key, _age)), _age, _list(_key))),
)
"""When it was taken, sessions, counters, known sources, handles, changes under way, epochs and
sprayers; the methods of `_Reader` name the fields of their rows."""


class _Reader:
    """Collects what was read; `is_fresh` says whether sessions and handles are good."""

    def __init__(self, taken: float, now: float, *, is_fresh: bool) -> None:
        self._taken = taken
        self._now = now
        self._is_fresh = is_fresh
        self.states: dict[bytes, AccountState] = {}
        self.sources: list[tuple[bytes, bytes]] = []

    def take_failures(self, row: Any) -> None:
        """Take in a counter: that of an account before those of its sources."""
        account, source, failures, locks, ago, left, wrong, fell, spellings, telling = row
        state = self._state(account)
        telling = min(telling, failures)
        counter = Counter(
            failures, telling, locks, self._ends(left), self._past(ago), firm=telling > 0
        )
        if source is None:
            state.fell = self._past(fell)
            state.total = counter
        elif len(state.sources) < MAX_SOURCES or counter.until > self._now:
            # Beyond the bound only locked ones are taken; there never were more than 72.
            state.sources[source] = counter
            for spelled, number in spellings[: limits.MAX_SPELLINGS]:
                name = whose(account, spelled)
                counter.spellings[name] = counter.spellings.get(name, 0) + number
        pairs = [Pair(pair_of(plain(key), key), 0.0, "") for key in wrong]
        state.pairs = [*state.pairs, *pairs][-limits.MAX_PAIRS :]

    def take_known(self, row: Any) -> None:
        """Take in the sources known to one spelling of an account, the latest used first."""
        spelled, sources = row
        state = self._state(plain(spelled))
        for source, left in sources:
            until = self._taken + left
            if until > self._now and len(state.known) < MAX_KNOWN:
                state.known.append(Known(source, until, tag(spelled)))

    def take_session(self, row: Any) -> None:
        """Take in a session; the latest used comes last."""
        key, account, value, age, left, idle, spelling = row
        expires = self._expiry(age, left)
        if self._is_fresh and expires > self._now:
            state = self.states.pop(account, None) or AccountState()
            self.states[account] = state
            state.key, state.spelling, state.value = key, spelling, value
            state.stored, state.expires, state.seen = self._past(age), expires, self._past(idle)

    def take_handle(self, row: Any) -> None:
        """Take in a handle, after all sessions.

        1. Its account has a session: the handle stays if it leads to that.
        2. It has none: the handle leads to the one that a login with its password will open. Of
           handles of two passwords the last one's is right.
        """
        key, account, record, age, left, session = row
        expires = self._expiry(age, left)
        if not self._is_fresh or expires <= self._now or len(record) > limits.RECORD_MAX_BYTES:
            return
        state = self._state(account)
        if state.key != session:
            if state.value:
                return
            state.key = session
            state.handles.clear()
        put_handle(state, key, record, expires)

    def take_source(self, row: Any) -> None:
        """Take in a source that failed at several accounts, the oldest first."""
        source, accounts, left, blank = row
        state = SourceState(until=self._ends(left))
        for account, ago in accounts:
            state.tried[account[-NAME_BYTES:]] = Tried(self._past(ago), 0.0, account not in blank)
        self.sources.append((source.encode(), state.dump(os.urandom(TAG_BYTES))))

    def _state(self, account: bytes) -> AccountState:
        return self.states.setdefault(account, AccountState())

    def _expiry(self, age: float, left: float) -> float:
        if age + left > TTL_MAX * (1.0 + 1e-9):
            raise NotReadable("The snapshot has what lasts longer than anything that was written.")
        return self._taken + left

    def _past(self, ago: float) -> float:
        """Return when something was; at least 1, as 0 stands for never."""
        return max(1.0, self._taken - ago)

    def _ends(self, left: float) -> float:
        """Return the end of a lock; 0.0 if it was over when the snapshot was taken."""
        return max(0.0, self._taken + left) if left else 0.0


def _content(path: Path) -> bytes | None:
    def opener(name: str, flags: int) -> int:
        # Without O_NONBLOCK a pipe in this place would block the start for ever.
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)

    try:
        with open(path, "rb", opener=opener) as file:
            found = os.fstat(file.fileno())
            flaw = flaw_of(found)
            if found.st_size > MAX_BYTES + HEADER.size:
                flaw = "is longer than any that was ever written"
            if flaw is None:
                return file.read()
    except FileNotFoundError:
        return None
    except OSError as exc:
        if exc.errno not in NO_FILE_CODES:
            raise StateFileUnusable(f"{path} cannot be read: {exc.strerror}") from None
        flaw = "is no regular file"
    raise NotReadable(f"The snapshot {path} {flaw}.")


def _unpacked(data: bytes) -> Any:
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
