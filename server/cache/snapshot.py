"""The snapshot that carries sessions, locks and notes over a restart.

Engine <-> bytes <-> file.

Nothing in it can be used without its owner's password: the values are sealed, keys and accounts are
HMACs. The checksum finds accidents, not forgeries; against those the file is the owner's alone.

The bytes are a header (magic, format, length, SHA-256 of the rest) and one msgpack array. In it
stands the wall-clock time at which it was taken, once; every other time is seconds before or after
that. So a clock that was set while the daemon ran does no harm, and one that was set while it was
down can only shorten a session.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]

from ..errors import OigError
from .counters import MAX_SPELLINGS, SAME_PASSWORDS, Failures
from .engine import Export
from .epoch import ORIGIN_BYTES, Epoch
from .held import Entry, Kind, Pointer, Session
from .known import MAX_SOURCES as MAX_KNOWN_SOURCES
from .known import Known, chain
from .limits import (
    ANSWER_MAX_BYTES,
    KEY_BYTES,
    SOURCE_MAX_CHARS,
    TTL_MAX,
    VALUE_MAX_BYTES,
)
from .outdated import Outdated
from .spelling import SPELLED_SIZES, TAG_SIZES
from .spraying import MAX_ACCOUNTS, Sprayed

MAGIC = b"OIGCACHE"

FORMAT = 6
"""Raised with every change of the layout."""

MISSING: dict[int, list[object]] = {
    FORMAT: [],
    5: [],
    4: [],
    3: [[]],
    2: [None, []],
    1: [[], [], None, []],
}
"""What stands for the parts that a format does not have yet: 1 had no notes, 2 no epoch,
3 no sources that failed at many accounts. Read all the same, so that an upgrade costs nobody a
login and opens no lock."""

LONGER_ROWS = 5
"""The first format in which a session says when the portal last answered for it, and a note to
which session it leads."""

NO_SESSION = bytes(KEY_BYTES)
"""Stands for the session that a note of an older format leads to, if its account has none."""

HEADER = struct.Struct(">8sHQ32s")

SKEW = 60.0
"""Seconds by which the wall clock may have gone back since: what time synchronisation corrects."""

MAX_BYTES = 512 * 1024 * 1024
"""Longest snapshot: a million sessions and more. What is longer is not ours."""

BAD_SECONDS = 86400.0
"""How long a snapshot that could not be read is kept: as long as counters of wrong passwords."""

MAX_ENTRIES = 2_000_000
"""Most elements of one array, so that a header cannot ask for memory that its bytes do not fill."""

COUNT_MAX = 2**31
"""Largest counter; nobody fails that often in a day, nor flushes in a lifetime."""


ASIDE = ".v{version}-set-aside"
"""Behind the name of a snapshot of a newer format. It is kept, for the newer version may be back;
but not beyond a flush, since it holds what was dropped."""


class SnapshotError(OigError):
    """A snapshot is torn, foreign, of another format, or not ours. The message says which."""


class NewerSnapshot(SnapshotError):
    """A whole snapshot, of a newer version of the program.

    Attributes:
        version: Its format.
    """

    def __init__(self, version: int) -> None:
        super().__init__(
            f"The snapshot has format {version}, of a newer version of the program; this one "
            f"reads up to {FORMAT}."
        )
        self.version = version


def encode(export: Export, wall_now: float) -> bytes:
    """Return the snapshot of an export; may take a while, and needs no lock.

    Args:
        export: What `Engine.export` returned.
        wall_now: Unix time at which it did.

    Raises:
        SnapshotError: It would be longer than `MAX_BYTES`.
    """
    taken = export.taken
    body = [
        float(wall_now),
        [[*_entry_row(one, taken), taken - one.answered, one.spelling] for one in export.sessions],
        [
            [
                row.account,
                row.source,
                row.failures,
                row.locks,
                max(0.0, taken - row.last),
                max(0.0, row.until - taken),
                row.keys,
                max(0.0, taken - row.fell),
                row.spellings,
                row.failures if row.telling is None else row.telling,
            ]
            for row in export.failures
        ],
        [
            [account, [[one.source, max(0.0, one.until - taken)] for one in chain(latest)]]
            for account, latest in export.known.items()
        ],
        [[*_entry_row(one, taken), one.session] for one in export.notes],
        [],  # former versions have there who was about to change which box
        export.epoch,
        [
            [
                one.source,
                [[account, max(0.0, taken - at)] for account, at in one.accounts],
                max(0.0, one.until - taken),
                list(one.blank),
            ]
            for one in export.sprayed
        ],
    ]
    payload: bytes = msgpack.packb(body, use_bin_type=True)
    if len(payload) > MAX_BYTES:
        raise SnapshotError(
            f"The snapshot would have {len(payload)} bytes; {MAX_BYTES} are allowed."
        )
    return HEADER.pack(MAGIC, FORMAT, len(payload), hashlib.sha256(payload).digest()) + payload


def decode(data: bytes, wall_now: float) -> Export:
    """Return what a snapshot holds and is still worth having.

    Sessions and notes that have run out since are left out, and all of them if the snapshot seems
    to come from the future: how long they have left is unknown then. Locks and known sources
    are kept in that case, with as much time left as they had.

    Args:
        data: What `encode` returned.
        wall_now: Unix time.

    Raises:
        NewerSnapshot: It is one of a newer format.
        SnapshotError: It is not a whole snapshot.
    """
    match _body(data):
        case [
            taken,
            list(sessions),
            list(failures),
            list(known),
            list(notes),
            list(),  # what former versions wrote there is in the journal by now
            epoch,
            list(sprayed),
        ]:
            since = wall_now - _seconds(taken)
        case _:
            raise _malformed()
    elapsed = max(0.0, since)
    known_since = since >= -SKEW
    return Export(
        taken=0.0,
        sessions=_live(_session, sessions, elapsed) if known_since else [],
        failures=[_failures(one, elapsed) for one in failures],
        known=dict(_known(one, elapsed) for one in known),
        notes=_live(_note, notes, elapsed) if known_since else [],
        epoch=None if epoch is None else _epoch(epoch),
        sprayed=[_sprayed(one, elapsed) for one in sprayed],
    )


def write(path: Path, data: bytes) -> None:
    """Replace the file by `data`, or leave it as it was.

    Args:
        path: The file; only its owner may read it.
        data: The snapshot.

    Raises:
        OSError: It could not be written.
    """
    temporary = new_path(path)
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: Path) -> bytes | None:
    """Return the bytes of a snapshot file; None if there is none.

    Raises:
        SnapshotError: It cannot be read, or somebody else may have put it there.
    """
    # Without O_NONBLOCK a pipe at this place would hold up the start for ever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as exc:
        if exc.errno == errno.ELOOP:
            raise SnapshotError(f"The snapshot {path} is a symbolic link.") from exc
        raise SnapshotError(f"The snapshot {path} cannot be read: {exc.strerror}.") from exc
    try:
        _refuse_foreign(path, os.fstat(descriptor))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    except OSError as exc:
        raise SnapshotError(f"The snapshot {path} cannot be read: {exc.strerror}.") from exc
    finally:
        os.close(descriptor)


def set_aside(path: Path, version: int | None = None) -> Path:
    """Rename a snapshot so that the next one can be written; the last of each kind is kept.

    Args:
        path: The snapshot.
        version: Its format, if it is a newer one; None of one that nobody can read.

    Returns:
        Its new path.

    Raises:
        OSError: It could not be renamed.
    """
    if version is None:
        return path.replace(bad_path(path))
    return path.replace(path.with_name(path.name + ASIDE.format(version=version)))


def bad_path(path: Path) -> Path:
    """Return where a snapshot that could not be read is set aside."""
    return path.with_name(path.name + ".bad")


def newer_paths(path: Path) -> list[Path]:
    """Return where snapshots of newer formats lie that were set aside."""
    begin, end = (path.name + ASIDE).split("{version}")
    return [one for one in path.parent.glob("*" + end) if one.name.startswith(begin)]


def drop_aside(path: Path) -> None:
    """Remove all snapshots that were set aside: they hold what was dropped since.

    Raises:
        OSError: One cannot be removed.
    """
    for one in (bad_path(path), *newer_paths(path)):
        one.unlink(missing_ok=True)


def drop_old_aside(path: Path, wall_now: float) -> None:
    """Remove snapshots that were set aside so long ago that nothing in them is of use.

    1. What could not be read: after a day. 2. What a newer version wrote: when the last session in
    it has run out.

    Args:
        path: The snapshot's own path.
        wall_now: Unix time.

    Raises:
        OSError: It cannot be removed.
    """
    lasting = [(bad_path(path), BAD_SECONDS), *((one, TTL_MAX) for one in newer_paths(path))]
    for one, seconds in lasting:
        try:
            age = wall_now - one.lstat().st_ctime
        except FileNotFoundError:
            continue
        if age > seconds:
            one.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Remove a snapshot, and all that writing and reading it may have left beside it.

    Raises:
        OSError: Something cannot be removed.
    """
    for one in (path, new_path(path)):
        one.unlink(missing_ok=True)
    drop_aside(path)
    Outdated(path).clear()


def new_path(path: Path) -> Path:
    """Return where a snapshot is written before it takes its place."""
    # One name, so that crashes leave one file behind and not one each.
    return path.with_name(path.name + ".new")


def _refuse_foreign(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise SnapshotError(f"The snapshot {path} is not a regular file.")
    if found.st_uid != os.geteuid():
        raise SnapshotError(f"The snapshot {path} belongs to another user.")
    if found.st_mode & 0o022:
        raise SnapshotError(f"The snapshot {path} can be written by others.")
    if found.st_size > MAX_BYTES + HEADER.size:
        raise SnapshotError(f"The snapshot {path} is longer than any this program writes.")


def _body(data: bytes) -> object:
    version, payload = _payload(data)
    body = _unpack(payload)
    if isinstance(body, list):
        body += MISSING[version]
        if version < LONGER_ROWS:
            return _lengthened(body)
    return body


def _lengthened(body: list[object]) -> object:
    """Complete the rows of sessions and notes as they were up to format 4.

    The login of a session was an answer. A note leads to the session of its account: nearly always
    there is one, of the password that the note was made with.
    """
    match body:
        case [taken, list(sessions), failures, known, list(notes), *rest]:
            keys = {row[1]: row[0] for row in sessions if _is_short(row)}
            return [
                taken,
                [[*row, row[3]] if _is_short(row) else None for row in sessions],
                failures,
                known,
                [[*row, keys.get(row[1], NO_SESSION)] if _is_short(row) else None for row in notes],
                *rest,
            ]
    return body


def _is_short(row: Any) -> bool:
    return isinstance(row, list) and len(row) == 5 and isinstance(row[1], bytes)


def _payload(data: bytes) -> tuple[int, bytes]:
    if len(data) < HEADER.size:
        raise SnapshotError("The snapshot is torn: it ends within its header.")
    magic, version, length, digest = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise SnapshotError("This is not a snapshot.")
    payload = data[HEADER.size :]
    if len(payload) != length:
        raise SnapshotError("The snapshot is torn: its length is not what it says.")
    if hashlib.sha256(payload).digest() != digest:
        raise SnapshotError("The snapshot is damaged: its checksum is wrong.")
    # Header and checksum are those of all formats, so that this one is known to be whole.
    if version > FORMAT:
        raise NewerSnapshot(version)
    if version not in MISSING:
        raise SnapshotError(f"The snapshot has format {version}; this program reads {FORMAT}.")
    return version, payload


def _unpack(payload: bytes) -> object:
    try:
        return msgpack.unpackb(
            payload,
            raw=False,
            strict_map_key=True,
            max_str_len=SOURCE_MAX_CHARS * 4,
            max_bin_len=ANSWER_MAX_BYTES,
            max_array_len=MAX_ENTRIES,
            max_map_len=0,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException) as exc:
        raise SnapshotError("The snapshot is not what this program writes.") from exc


def _entry_row(one: Entry, taken: float) -> list[object]:
    return [one.key, one.account, one.value, taken - one.stored, one.expires - taken]


def _live(read: Callable[[object, float], Kind], rows: list[object], elapsed: float) -> list[Kind]:
    entries = [read(row, elapsed) for row in rows]
    return [one for one in entries if one.expires > 0.0]


def _session(raw: object, elapsed: float) -> Session:
    match raw:
        case [*_, float()]:
            # Up to format 5 it was not known how the e-mail had been spelled.
            raw = [*raw, None]
    match raw:
        case [*entry, idle, None | bytes() as spelling]:
            if spelling is None or len(spelling) in TAG_SIZES:
                answered = -_seconds(idle) - elapsed
                return Session(*_entry(entry, elapsed, VALUE_MAX_BYTES), answered, spelling)
    raise _malformed()


def _note(raw: object, elapsed: float) -> Pointer:
    match raw:
        case [*entry, bytes(session)] if len(session) == KEY_BYTES:
            key, account, value, stored, expires = _entry(entry, elapsed, ANSWER_MAX_BYTES)
            return Pointer(key, account, session, value, stored, expires)
    raise _malformed()


def _entry(raw: object, elapsed: float, longest: int) -> tuple[bytes, bytes, bytes, float, float]:
    match raw:
        case [bytes(key), bytes(account), bytes(value), age, left]:
            stored = -_seconds(age)
            expires = _seconds(left, negative=True)
            if (
                len(key) == len(account) == KEY_BYTES
                and 0 < len(value) <= longest
                and expires - stored <= TTL_MAX * (1.0 + 1e-9)
            ):
                return key, account, value, stored - elapsed, expires - elapsed
    raise _malformed()


def _epoch(raw: object) -> Epoch:
    match raw:
        case [bytes(origin), drops] if len(origin) == ORIGIN_BYTES:
            return Epoch(origin, _count(drops))
    raise _malformed()


def _failures(raw: object, elapsed: float) -> Failures:
    match raw:
        case [bytes(account), _, failures, _, ago, _, list(_)]:
            # Up to format 3 a counter was that of one account, and did not fall by itself.
            raw = [*raw, ago, [[account, failures]]]
    match raw:
        case [_, _, failures, _, _, _, _, _, list(_)]:
            # Up to format 5 it was not known which failures were telling.
            raw = [*raw, failures]
    match raw:
        case [
            bytes(account),
            None | str() as source,
            failures,
            locks,
            ago,
            left,
            list(keys),
            fell,
            list(spellings),
            telling,
        ]:
            remaining = _seconds(left) - elapsed
            if (
                len(account) == KEY_BYTES
                and (source is None or 0 < len(source) <= SOURCE_MAX_CHARS)
                and len(keys) <= SAME_PASSWORDS
                and all(isinstance(key, bytes) and len(key) in SPELLED_SIZES for key in keys)
                and len(spellings) <= MAX_SPELLINGS
            ):
                return Failures(
                    account,
                    source,
                    _count(failures),
                    _count(locks),
                    remaining,
                    -_seconds(ago) - elapsed,
                    tuple(keys),
                    -_seconds(fell) - elapsed,
                    tuple(map(_spelling, spellings)),
                    _count(telling),
                )
    raise _malformed()


def _spelling(raw: object) -> tuple[bytes, int]:
    match raw:
        case [bytes(account), failures] if len(account) in SPELLED_SIZES:
            return account, _count(failures)
    raise _malformed()


def _sprayed(raw: object, elapsed: float) -> Sprayed:
    match raw:
        case [str(_), list(_), _]:
            # As for the failures of an account.
            raw = [*raw, []]
    match raw:
        case [str(source), list(accounts), left, list(blank)]:
            if (
                0 < len(source) <= SOURCE_MAX_CHARS
                and len(accounts) <= MAX_ACCOUNTS
                and len(blank) <= len(accounts)
                and all(isinstance(key, bytes) and len(key) == KEY_BYTES for key in blank)
            ):
                remaining = _seconds(left) - elapsed
                return Sprayed(
                    source,
                    tuple(_tried(one, elapsed) for one in accounts),
                    max(0.0, remaining),
                    frozenset(blank),
                )
    raise _malformed()


def _tried(raw: object, elapsed: float) -> tuple[bytes, float]:
    match raw:
        case [bytes(account), ago] if len(account) == KEY_BYTES:
            return account, -_seconds(ago) - elapsed
    raise _malformed()


def _known(raw: object, elapsed: float) -> tuple[bytes, Known]:
    match raw:
        case [bytes(account), [_, *_] as sources]:
            if len(account) not in SPELLED_SIZES or len(sources) > MAX_KNOWN_SOURCES:
                raise _malformed()
            latest: Known | None = None
            for one in reversed(sources):
                match one:
                    case [str(source), left] if 0 < len(source) <= SOURCE_MAX_CHARS:
                        latest = Known(source, _seconds(left) - elapsed, latest)
                    case _:
                        raise _malformed()
            if latest is not None:
                return account, latest
    raise _malformed()


def _seconds(raw: Any, *, negative: bool = False) -> float:
    if type(raw) is not float or not math.isfinite(raw) or (raw < 0.0 and not negative):
        raise _malformed()
    return raw


def _count(raw: Any) -> int:
    if type(raw) is not int or not 0 <= raw < COUNT_MAX:
        raise _malformed()
    return raw


def _malformed() -> SnapshotError:
    return SnapshotError("The snapshot is not what this program writes.")
