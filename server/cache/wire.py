"""Frames of the cache protocol: bytes to messages and back. No socket, no clock, no logger.

`docs/protocol.md` is the contract. Input is hostile until `FrameReader` has checked its lengths and
`read_request` or `read_reply` has parsed it, one frame at a time and without any state. Bad input
raises `RemoteProtocolError` and nothing else. `verbs.refusal` checks the arguments of a well-formed
request: wrong ones get a reply, and the connection goes on.

Nearly all traffic is an `ask` for a login and the `hit` that answers it. Each parser returns its
own of the two as the bare array, which saves a third of a look-up's time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from math import inf, isfinite
from typing import Any, Final, NoReturn, cast

import msgpack  # type: ignore[import-untyped]

from ..errors import LocalProtocolError, RemoteProtocolError
from ..sources import is_well_formed
from ..state.limits import ANSWER_MAX_BYTES, KEY_BYTES, SOURCE_MAX_CHARS, SPELLED_SIZES
from . import verbs
from .hello import PROTOCOL
from .verbs import MAX_ID, MAX_PAGE, TAG_SIZES, Notice, Reply, Request, Scalar

MAX_REQUEST_BYTES: Final = 192 * 1024
"""Longest request: the longest answer, and what goes with it."""

MAX_REPLY_BYTES: Final = 1024 * 1024
"""Longest reply: a full page of `list lockouts` with the longest sources is 700 KiB."""

MAX_DATA_REPLY_BYTES: Final = 576 * 1024
"""Longest reply to a worker, which asks for no pages. Four answers, session and record fit."""

MAX_IN_FLIGHT: Final = 4096
"""Most unanswered requests of a connection: every caller of a worker may wait for one login."""

MAX_REPLY_MAP: Final = 128
"""Most keys of a map in a reply: `stats` has the most, less than half as many."""

MAX_REQUEST_ARRAY: Final = 16
"""Most elements of a request: eleven are used; a few more get a reply that refuses them."""

MAX_NAME_CHARS: Final = 32
"""Longest verb, status or notice looked at."""

SMALL_FRAME_BYTES: Final = 512
"""Frames up to this size are cheap to unpack, however arrays are nested in them."""

LENGTH: Final = struct.Struct(">I")
"""The length before each frame."""

Login = tuple[int, int, str, str, bytes, bytes, str, bytes | None]
"""An `ask` for a login in order: version, id, verb, space, account, key, source and budget."""

Cached = tuple[int, int, str, bytes, float, float, bytes | None]
"""A `hit` in order: version, id, status, value, seconds left, idle and spelling."""


# Bytes to frames.


class FrameReader:
    """Cuts a byte stream into frames of at most `limit` bytes. Refuses all use after an error.

    A length is checked as soon as its four bytes are there, so at most one frame and one read are
    in memory. Only the unfinished end of a read is copied.

    Attributes:
        midframe: Whether a frame has begun and not ended.
    """

    __slots__ = ("_begun", "_limit", "_need", "_spent", "midframe")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._begun = bytearray()
        self._need = 0
        self._spent = self.midframe = False

    def feed(self, data: bytes | bytearray | memoryview) -> Iterable[memoryview]:
        """Return the body of each frame that `data` completes.

        The bodies point into `data`: use them before it changes, and take all of them.

        Raises:
            RemoteProtocolError: A length is 0 or over the limit, or the last iteration failed or
                was not finished.
        """
        if self._spent:
            raise RemoteProtocolError("this reader failed before")
        size = len(data) - LENGTH.size
        if not self.midframe and 0 < size <= self._limit and LENGTH.unpack_from(data)[0] == size:
            return (memoryview(data)[LENGTH.size :],)  # nearly always, if one caller asks
        return self._cut(data)

    def _cut(self, data: bytes | bytearray | memoryview) -> Iterator[memoryview]:
        self._spent = True
        begun = self._begun
        if begun:
            begun += data
            if len(begun) < self._need:
                self._spent = False
                return
            data = begun
            self._begun = bytearray()
            self.midframe = False
        view = memoryview(data)
        size = len(view)
        at = 0
        need = LENGTH.size
        while size - at >= LENGTH.size:
            (length,) = LENGTH.unpack_from(view, at)
            if not 0 < length <= self._limit:
                raise RemoteProtocolError(f"a frame has 1 to {self._limit} bytes")
            need = LENGTH.size + length
            if size - at < need:
                break
            yield view[at + LENGTH.size : at + need]
            at += need
            need = LENGTH.size
        if at < size:
            self._begun += view[at:]
            self._need = need
            self.midframe = True
        self._spent = False


# Frames to messages.


def _refuse_ext(_code: int, _data: bytes) -> NoReturn:
    raise ValueError("extension types are not part of the protocol")


def _refuse_nesting(items: list[Any]) -> tuple[Any, ...]:
    # Called for the innermost arrays first, so a tree of arrays is refused at its first leaf:
    # 192 KiB of it would cost 6 MB and 12 ms.
    if tuple in map(type, items):
        raise ValueError("an array in an array")
    return tuple(items)


# A `partial` would take half as long again.


def _unpack_small(frame: memoryview | bytes) -> Any:
    return msgpack.unpackb(
        frame, use_list=False, ext_hook=_refuse_ext, max_array_len=MAX_REQUEST_ARRAY, max_map_len=0
    )


def _unpack_large(frame: memoryview | bytes) -> Any:
    return msgpack.unpackb(
        frame,
        list_hook=_refuse_nesting,
        ext_hook=_refuse_ext,
        max_array_len=MAX_REQUEST_ARRAY,
        max_map_len=0,
    )


def _unpack_reply(frame: memoryview | bytes) -> Any:
    return msgpack.unpackb(
        frame,
        use_list=False,
        ext_hook=_refuse_ext,
        max_array_len=MAX_PAGE,
        max_map_len=MAX_REPLY_MAP,
    )


_MALFORMED: Final = (
    ValueError,  # with UnicodeDecodeError, FormatError, StackError, ExtraData and plain ones
    TypeError,  # what cannot be a key of a map
    OverflowError,
    RecursionError,
    MemoryError,
    msgpack.UnpackException,  # BufferFull, OutOfData
)


def _malformed(exc: Exception) -> RemoteProtocolError:
    # The type alone: the library's texts may quote the bytes.
    return RemoteProtocolError(f"not a msgpack array ({type(exc).__name__})")


def _check_head(message: Any) -> None:
    if type(message) is not tuple or len(message) < 3:
        raise RemoteProtocolError("a message is an array of version, id, name and fields")
    version, number, name = message[:3]
    if type(version) is not int or type(number) is not int or not 0 <= number <= MAX_ID:
        raise RemoteProtocolError("version and id are integers")
    if type(name) is not str or len(name) > MAX_NAME_CHARS:
        raise RemoteProtocolError("a name is a short text")


def read_request(frame: memoryview | bytes) -> Request | Login:
    """Read one frame as a request; its verb and arguments are for `refusal` to check.

    An `ask` for a login in order is returned as the bare array.

    Raises:
        RemoteProtocolError: It is none: close the connection.
    """
    unpack = _unpack_small if len(frame) <= SMALL_FRAME_BYTES else _unpack_large
    try:
        message = unpack(frame)
    except _MALFORMED as exc:
        raise _malformed(exc) from None
    if is_login(message):
        return cast("Login", message)
    _check_head(message)
    if message[1] == 0:
        raise RemoteProtocolError("id 0 is for notices")
    args = message[3:]
    for value in args:
        kind = type(value)
        if kind is bytes or kind is str or kind is int or value is None or kind is bool:
            continue
        if kind is not float or not isfinite(value):
            raise RemoteProtocolError("an argument is bytes, text, nil or a finite number")
    return Request(message[1], message[2], args, message[0])


def is_login(message: Any) -> bool:
    """Return whether a message is an `ask` for a login that `refusal` would accept."""
    if type(message) is not tuple or len(message) != 8:
        return False
    version, number, verb, space, account, key, source, budget = message
    return (
        verb == "ask"
        and space == "login"
        and type(version) is int
        and version == PROTOCOL
        and type(number) is int
        and 0 < number <= MAX_ID
        and type(account) is bytes
        and len(account) in SPELLED_SIZES
        and type(key) is bytes
        and len(key) == KEY_BYTES
        and type(source) is str
        and 0 < len(source) <= SOURCE_MAX_CHARS
        and source.isprintable()
        and is_well_formed(source)
        and (budget is None or (type(budget) is bytes and len(budget) == KEY_BYTES))
    )


def read_reply(frame: memoryview | bytes) -> Reply | Notice | Cached:
    """Read one frame of the daemon, as `read_request`. A `hit` in order is the bare array."""
    try:
        message = _unpack_reply(frame)
    except _MALFORMED as exc:
        raise _malformed(exc) from None
    if is_hit(message):
        return cast("Cached", message)
    _check_head(message)
    version, number, name, *fields = message
    if version != PROTOCOL and (name != "error" or fields[:1] != ["version"]):
        raise RemoteProtocolError("the daemon speaks another version of the protocol")
    given = tuple(fields)
    reply = Notice(name, given) if number == 0 else Reply(number, name, given, version)
    if not verbs.is_in_order(reply) or (name == "ok" and not _is_finite(given)):
        raise RemoteProtocolError("an unknown status or notice, or one with wrong fields")
    return reply


_PLAIN: Final = frozenset({bytes, str, int, bool, type(None)})


def _is_finite(value: object) -> bool:
    kind = type(value)
    if kind is float:
        return isfinite(value)  # type: ignore[arg-type]
    if kind is tuple:
        return all(map(_is_finite, value))  # type: ignore[call-overload]
    if kind is dict:
        return all(map(_is_finite, value.values()))  # type: ignore[attr-defined]
    return kind in _PLAIN


def is_hit(message: Any) -> bool:
    """Return whether a message is a `hit` in order."""
    if type(message) is not tuple or len(message) != 7:
        return False
    version, number, status, value, left, idle, spelling = message
    return (
        status == "hit"
        and type(version) is int
        and version == PROTOCOL
        and type(number) is int
        and 0 < number <= MAX_ID
        and type(value) is bytes
        and 0 < len(value) <= ANSWER_MAX_BYTES
        and (type(left) is float or type(left) is int)
        and 0 <= left < inf
        and (type(idle) is float or type(idle) is int)
        and 0 <= idle < inf
        and (spelling is None or (type(spelling) is bytes and len(spelling) in TAG_SIZES))
    )


# Messages to bytes.

_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack
_length: Final = LENGTH.pack


def request_frame(number: int, verb: str, args: tuple[Scalar, ...]) -> bytes:
    """Return the frame of a request; as `encode`, but fast for logins, which most of them are."""
    message = PROTOCOL, number, verb, *args
    if verb != "ask" or not is_login(message):
        return encode(Request(number, verb, args))
    body: bytes = _pack(message)
    return _length(len(body)) + body


def hit_frame(number: int, value: bytes, left: float, idle: float, spelling: bytes | None) -> bytes:
    """Return the frame of a `hit` to a request in order, for what is cached."""
    body: bytes = _pack((PROTOCOL, number, "hit", value, left, idle, spelling))
    return _length(len(body)) + body


def encode(message: Request | Reply | Notice) -> bytes:
    """Return the frame of a message; the `LocalProtocolError` of a wrong one quotes nothing."""
    limit, least = MAX_REPLY_BYTES, 1
    parts: tuple[Any, ...]
    if isinstance(message, Request):
        refused = verbs.refusal(message)
        if refused is not None:
            raise LocalProtocolError(refused[1])
        limit, parts = MAX_REQUEST_BYTES, (PROTOCOL, message.id, message.verb, *message.args)
    elif not verbs.is_in_order(message):
        raise LocalProtocolError("no such reply or notice, or one with wrong fields")
    elif isinstance(message, Reply):
        parts = message.version, message.id, message.status, *message.fields
    else:
        least, parts = 0, (PROTOCOL, 0, message.name, *message.fields)
    if type(parts[1]) is not int or not least <= parts[1] <= MAX_ID:
        raise LocalProtocolError(f"ids are 1 to {MAX_ID}")
    try:
        body: bytes = _pack(parts)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise LocalProtocolError(f"cannot be packed ({type(exc).__name__})") from None
    if len(body) > limit:
        raise LocalProtocolError(f"a frame has at most {limit} bytes, not {len(body)}")
    return _length(len(body)) + body
