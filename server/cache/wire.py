"""Frames of the cache protocol: bytes to messages and back. No socket, no clock, no logger.

`docs/protocol.md` is the contract. What arrives is hostile until it has passed `FrameReader`, which
looks at lengths only, and then `decode_request` or `decode_reply`, which parse one frame each and
keep nothing. Whatever is wrong surfaces as `RemoteProtocolError` and as nothing else. Arguments of
a well-formed request are judged apart, by `refusal`: they are answered, not punished.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, NoReturn

import msgpack  # type: ignore[import-untyped]

from ..errors import LocalProtocolError, RemoteProtocolError
from ..sources import GRANT, is_well_formed
from .epoch import ORIGIN_BYTES
from .hello import LEAST_PROTOCOL, PROGRAM_MAX_CHARS, PROTOCOL
from .limits import (
    ANSWER_MAX_BYTES,
    DIGEST_BYTES,
    KEY_BYTES,
    RETRY_AFTER_MAX,
    SECRET_TAG_BYTES,
    SOURCE_MAX_CHARS,
    TOKEN_BYTES,
    TTL_MAX,
    VALUE_MAX_BYTES,
)
from .outcomes import ABSTENTIONS, FAILURES, SHAPES, UNAVAILABLE_REASONS
from .spelling import SPELLED_SIZES, TAG_SIZES

VERSION: Final = PROTOCOL
"""First element of every message."""

PREFIX_BYTES: Final = 4
"""Length of the length."""

MAX_REQUEST_BYTES: Final = 192 * 1024
"""Longest request: an answer of the longest, and what goes with it."""

MAX_REPLY_BYTES: Final = 1024 * 1024
"""Longest reply: a full page of `lockouts` with the longest sources is 700 KiB."""

MAX_DATA_REPLY_BYTES: Final = 192 * 1024
"""Longest reply a worker can get: it asks for no pages, and a value is at most 128 KiB."""

MAX_ID: Final = 2**32 - 1
"""Request ids: 40 hours at 30 000 requests a second before they come round."""

MAX_COUNT: Final = 2**63 - 1
"""Largest count: no daemon gets that far."""

MAX_PAGE: Final = 2000
"""Most rows of `sessions` and `lockouts` in one reply; they fit `MAX_REPLY_BYTES`."""

MAX_IN_FLIGHT: Final = 4096
"""Most requests of one connection that are not answered: every caller of a worker may wait for one
login."""

MAX_REPLY_MAP: Final = 128
"""Most keys of a map in a reply: `stats` is the largest, and has less than half as many."""

MAX_REQUEST_ARRAY: Final = 16
"""Most elements of a request: nine are used, some more may be answered as `arguments`."""

MAX_NAME_CHARACTERS: Final = 32
"""Longest verb, status or notice looked at."""

SMALL_FRAME_BYTES: Final = 512
"""Frames up to this size cannot be made to cost anything by nesting arrays in arrays."""

LENGTH: Final = struct.Struct(">I")
"""The length before each frame."""

Scalar = bytes | str | int | float | None


# Messages. Their text never shows what a peer sent: it may end up in a log.


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """What a client asks: `[version, id, verb, argument, ...]`."""

    id: int
    verb: str
    args: tuple[Scalar, ...] = ()
    version: int = VERSION

    def __repr__(self) -> str:
        verb = self.verb if self.verb in ARGUMENTS else "?"
        return f"<Request {self.id} {verb} with {len(self.args)} arguments>"


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """What the daemon answers: `[version, id, status, field, ...]`."""

    id: int
    status: str
    fields: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        status = self.status if self.status in FIELDS else "?"
        return f"<Reply {self.id} {status} with {len(self.fields)} fields>"


@dataclass(frozen=True, slots=True, repr=False)
class Notice:
    """What the daemon says unasked, under id 0: `[version, 0, name, field, ...]`."""

    name: str
    fields: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        name = self.name if self.name in NOTICES else "?"
        return f"<Notice {name} with {len(self.fields)} fields>"


# Rules: what may stand where, as tables.

FLUSHABLE: Final = frozenset({"all", "sessions", "expired", "lockouts", "account"})
"""What `flush` can be told to drop."""


class Rule(NamedTuple):
    """What one argument or field must be; an optional one is the last, and may be left out."""

    name: str
    meaning: str
    holds: Callable[[Any], bool]
    optional: bool = False


def _is_int(value: object, least: int, most: int) -> bool:
    # type() and not isinstance(): True is an int to isinstance.
    return type(value) is int and least <= value <= most


def _is_seconds(value: object, most: float) -> bool:
    return (type(value) is float or type(value) is int) and 0 <= value <= most


def _is_time(value: object) -> bool:
    return (type(value) is float or type(value) is int) and 0 <= value < math.inf


def _is_bytes(value: object, least: int, most: int) -> bool:
    return type(value) is bytes and least <= len(value) <= most


def _is_key(value: object) -> bool:
    return type(value) is bytes and len(value) == KEY_BYTES


def _has_size(value: object, sizes: frozenset[int]) -> bool:
    return type(value) is bytes and len(value) in sizes


def _is_source(value: object) -> bool:
    return (
        type(value) is str
        and 1 <= len(value) <= SOURCE_MAX_CHARS
        and value.isprintable()
        and is_well_formed(value)
    )


def _is_name(value: object) -> bool:
    return type(value) is str and 1 <= len(value) <= PROGRAM_MAX_CHARS and value.isprintable()


def _is_failure(value: object) -> bool:
    return type(value) is str and value in FAILURES


def _is_reason(value: object) -> bool:
    return type(value) is str and (value in UNAVAILABLE_REASONS or value in ABSTENTIONS)


def _is_abstention(value: object) -> bool:
    return type(value) is str and value in ABSTENTIONS


def _is_shape(value: object) -> bool:
    return type(value) is str and value in SHAPES


def _is_what(value: object) -> bool:
    return type(value) is str and value in FLUSHABLE


def _is_text(value: object) -> bool:
    return type(value) is str


_KEY_MEANING = f"{KEY_BYTES} bytes"
_KEY = Rule("key", _KEY_MEANING, _is_key)
_ACCOUNT = Rule("account", _KEY_MEANING, _is_key)
_BUDGET = Rule("budget", _KEY_MEANING, _is_key)
_SESSION = Rule("session", _KEY_MEANING, _is_key)
_SPELLED = Rule("account", "32 or 48 bytes", partial(_has_size, sizes=SPELLED_SIZES))
_SPELLING = Rule("spelling", "0 or 16 bytes", partial(_has_size, sizes=TAG_SIZES), optional=True)
_ANY_ACCOUNT = Rule(
    "account", f"{_KEY_MEANING} or nil", lambda value: value is None or _is_key(value)
)
_ANY_BUDGET = Rule(
    "budget", f"{_KEY_MEANING} or nil", lambda value: value is None or _is_key(value)
)
_SOURCE_MEANING = f"1 to {SOURCE_MAX_CHARS} printable characters, {GRANT} only before 32 hex digits"
_SOURCE = Rule("source", _SOURCE_MEANING, _is_source)
_ANY_SOURCE = Rule(
    "source", f"{_SOURCE_MEANING} or nil", lambda value: value is None or _is_source(value)
)
_TOKEN = Rule(
    "token", f"{TOKEN_BYTES} bytes", partial(_is_bytes, least=TOKEN_BYTES, most=TOKEN_BYTES)
)
_VALUE = Rule(
    "value", f"1 to {VALUE_MAX_BYTES} bytes", partial(_is_bytes, least=1, most=VALUE_MAX_BYTES)
)
_ANSWER = Rule(
    "value", f"1 to {ANSWER_MAX_BYTES} bytes", partial(_is_bytes, least=1, most=ANSWER_MAX_BYTES)
)
_TTL = Rule(
    "ttl",
    f"over 0 and at most {TTL_MAX:.0f} s",
    lambda value: _is_seconds(value, TTL_MAX) and value > 0,
)
_FAILURE = Rule("reason", "one of those in the protocol", _is_failure)
_ABSTENTION = Rule("reason", "one of those in the protocol", _is_abstention)
_RETRY_AFTER = Rule(
    "retry_after", f"0 to {RETRY_AFTER_MAX:.0f} s", partial(_is_seconds, most=RETRY_AFTER_MAX)
)
_IDLE = Rule("idle", f"0 to {TTL_MAX:.0f} s", partial(_is_seconds, most=TTL_MAX))
_DIGEST = Rule("digest", _KEY_MEANING, _is_key)
_ID = Rule("id", "1 to 4294967295", partial(_is_int, least=1, most=MAX_ID))
_LIMIT = Rule("limit", "1 to 2000", partial(_is_int, least=1, most=MAX_PAGE))
_WHAT = Rule("what", "all, sessions, expired, lockouts or account", _is_what)
_ANY_TAG = Rule(
    "tag",
    f"{SECRET_TAG_BYTES} bytes or nil",
    lambda value: value is None or _is_bytes(value, SECRET_TAG_BYTES, SECRET_TAG_BYTES),
)
_SHAPE = Rule("kind", " or ".join(SHAPES), _is_shape)
_REASON = Rule("reason", "one of those in the protocol", _is_reason)
_ORIGIN = Rule(
    "origin", f"{ORIGIN_BYTES} bytes", partial(_is_bytes, least=ORIGIN_BYTES, most=ORIGIN_BYTES)
)
_SETTINGS = Rule(
    "settings",
    f"{DIGEST_BYTES} bytes",
    partial(_is_bytes, least=DIGEST_BYTES, most=DIGEST_BYTES),
)
_NAME_MEANING = f"1 to {PROGRAM_MAX_CHARS} printable characters"
_PROCESS = Rule("name", _NAME_MEANING, _is_name)
_PROGRAM = Rule("program", _NAME_MEANING, _is_name)
_PID = Rule("pid", "a count", partial(_is_int, least=0, most=MAX_COUNT))
_PROTOCOL = Rule("protocol", "a version", partial(_is_int, least=0, most=MAX_ID))
_CHANGES = Rule("changes", "a version", partial(_is_int, least=0, most=MAX_ID))
_DROPS = Rule("drops", "a count", partial(_is_int, least=0, most=MAX_COUNT))
_SECONDS = Rule("seconds", "a finite number, not below 0", _is_time)

OPEN: Final = frozenset({"hello"})
"""Verbs that may carry more arguments than are known here: they are of newer versions."""

ARGUMENTS: Final[dict[str, tuple[Rule, ...]]] = {
    "hello": (_PROCESS, _PID, _PROGRAM, _PROTOCOL, _PROTOCOL, _CHANGES),
    "acquire": (_KEY, _SPELLED, _SOURCE, _BUDGET),
    "fulfil": (_KEY, _TOKEN, _VALUE, _TTL),
    "bring": (_KEY, _TOKEN, _VALUE, _TTL, _IDLE, _SPELLING),
    "release": (_KEY, _TOKEN),
    "fail": (_KEY, _TOKEN, _FAILURE, _RETRY_AFTER),
    "forget": (_KEY, _DIGEST),
    "share": (_KEY, _ACCOUNT),
    "answer": (_KEY, _TOKEN, _ANSWER, _TTL),
    "abstain": (_KEY, _TOKEN, _ABSTENTION, _RETRY_AFTER),
    "keep": (_KEY, _ACCOUNT, _SESSION, _ANSWER, _TTL),
    "find": (_KEY,),
    "peek": (_KEY,),
    "peek_answer": (_KEY,),
    "count_shape": (_SHAPE,),
    "put_answer": (_KEY, _ACCOUNT, _ANSWER, _TTL),
    "end_handle": (_KEY, _ACCOUNT, _SESSION),
    "end_session": (_KEY, _ACCOUNT),
    "cancel": (_ID,),
    "secret": (_ANY_TAG,),
    "ping": (),
    "stats": (),
    "sessions": (_LIMIT,),
    "lockouts": (_LIMIT,),
    "flush": (_WHAT, _ANY_ACCOUNT),
    "unlock": (_BUDGET,),
    "unlock_source": (_SOURCE,),
    "erase": (_ACCOUNT, _BUDGET),
    "using": (_SETTINGS,),
    "reload": (),
}
"""Every verb and its arguments."""

SEALED: Final = frozenset(
    {
        *("acquire", "fulfil", "bring", "forget", "share", "answer", "keep", "find", "peek"),
        *("peek_answer", "put_answer", "end_handle", "end_session"),
    }
)
"""Verbs about what is made with the secret. Not those that only end what was granted before."""

FIELDS: Final[dict[str, tuple[Rule, ...] | None]] = {
    "hit": (_ANSWER, _SECONDS, _SECONDS, _SPELLING),
    "lease": (_TOKEN, _SECONDS),
    "rejected": (),
    "unavailable": (_REASON, _SECONDS),
    "locked": (_SECONDS, _SECONDS, _SECONDS),
    "waiting": (),
    "lost": (),
    "note": (_ACCOUNT, _SESSION, _ANSWER, _SECONDS),
    "missing": (),
    "ok": None,
    "error": (Rule("code", "text", _is_text), Rule("message", "text", _is_text)),
}
"""Every status and its fields; None where they depend on the verb."""

NOTICES: Final[dict[str, tuple[Rule, ...]]] = {
    "epoch": (_ORIGIN, _DROPS),
    "flushed": (_ANY_ACCOUNT, _DROPS),
    "erased": (_ACCOUNT, _BUDGET, _DROPS),
    "unlocked": (_ANY_BUDGET, _ANY_SOURCE),
    "reload": (),
    "secret": (_ANY_TAG,),
}
"""Every notice and its fields."""

Code = str
"""Code of an `error` reply: `version`, `verb`, `arguments`, `secret`, `overload`,
`settings` or `shutdown`."""


def refusal(request: Request) -> tuple[Code, str] | None:
    """Say why a request cannot be carried out: code and message of an `error` reply, or None.

    The message names the rule and never repeats what was sent.
    """
    if not LEAST_PROTOCOL <= request.version <= VERSION:
        return "version", f"only version {VERSION} of the protocol is spoken here"
    rules = ARGUMENTS.get(request.verb)
    if rules is None:
        return "verb", "unknown verb"
    args = request.args
    if request.verb in OPEN:
        args = args[: len(rules)]
    rules = _given(rules, len(args))
    if len(args) != len(rules):
        return "arguments", f"{request.verb} takes {len(rules)} arguments, not {len(args)}"
    for rule, value in zip(rules, args, strict=True):
        if not rule.holds(value):
            return "arguments", f"{request.verb}: {rule.name} must be {rule.meaning}"
    if request.verb == "flush" and (args[0] == "account") != (args[1] is not None):
        return "arguments", "flush: an account belongs to `flush account` and to no other"
    return None


def _given(rules: tuple[Rule, ...], count: int) -> tuple[Rule, ...]:
    """Return the rules of so many arguments or fields: perhaps without the optional one."""
    return rules[:-1] if count == len(rules) - 1 and rules[-1].optional else rules


def _fits(fields: tuple[Any, ...], rules: tuple[Rule, ...] | None) -> bool:
    if rules is None:
        return True
    rules = _given(rules, len(fields))
    if len(fields) != len(rules):
        return False
    for rule, value in zip(rules, fields, strict=True):  # noqa: SIM110 - a third faster than all()
        if not rule.holds(value):
            return False
    return True


# Bytes to frames.


class FrameReader:
    """Cut a byte stream into frames. After any error it must be thrown away, and insists on it.

    A length is judged as soon as its four bytes are there, before anything is kept for it; so at
    most one frame and one read are held. Only the unfinished end of a read is copied.

    Args:
        limit: Bytes of the longest frame taken.
    """

    __slots__ = ("_limit", "_need", "_rest", "_spent")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._need = 0
        self._spent = False

    @property
    def midframe(self) -> bool:
        """Whether a frame has begun and not ended: the rest of it is due."""
        return bool(self._rest)

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[memoryview]:
        """Yield the body of each frame that `data` completes.

        The bodies point into `data`: use them before it changes, and take all of them.

        Raises:
            RemoteProtocolError: A length of 0 or over the limit. Also when the reader failed
                before or was left before its end.
        """
        if self._spent:
            raise RemoteProtocolError("this reader failed before")
        self._spent = True
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < self._need:
                self._spent = False
                return
            data = rest
            self._rest = bytearray()
        view = memoryview(data)
        size = len(view)
        at = 0
        need = PREFIX_BYTES
        while size - at >= PREFIX_BYTES:
            (length,) = LENGTH.unpack_from(view, at)
            if not 0 < length <= self._limit:
                raise RemoteProtocolError(f"a frame has 1 to {self._limit} bytes")
            need = PREFIX_BYTES + length
            if size - at < need:
                break
            yield view[at + PREFIX_BYTES : at + need]
            at += need
            need = PREFIX_BYTES
        if at < size:
            self._rest += view[at:]
            self._need = need
        self._spent = False


# Frames to messages.


def _refuse_ext(_code: int, _data: bytes) -> NoReturn:
    raise ValueError("extension types are not part of the protocol")


def _refuse_nesting(items: list[Any]) -> tuple[Any, ...]:
    # Called for the innermost arrays first, so a tree of arrays ends at its first twig instead of
    # being built: 192 KiB of it would cost 6 MB and 12 ms.
    if tuple in map(type, items):
        raise ValueError("an array in an array")
    return tuple(items)


unpack_small = partial(
    msgpack.unpackb,
    use_list=False,
    raw=False,
    strict_map_key=True,
    max_array_len=MAX_REQUEST_ARRAY,
    max_map_len=0,
    ext_hook=_refuse_ext,
)
unpack_large = partial(
    msgpack.unpackb,
    list_hook=_refuse_nesting,
    raw=False,
    strict_map_key=True,
    max_array_len=MAX_REQUEST_ARRAY,
    max_map_len=0,
    ext_hook=_refuse_ext,
)
unpack_reply = partial(
    msgpack.unpackb,
    use_list=False,
    raw=False,
    strict_map_key=True,
    max_array_len=MAX_PAGE,
    max_map_len=MAX_REPLY_MAP,
    ext_hook=_refuse_ext,
)

MALFORMED = (
    ValueError,  # with UnicodeDecodeError, FormatError, StackError, ExtraData and plain ones
    TypeError,  # what cannot be a key of a map
    OverflowError,
    RecursionError,
    MemoryError,
    msgpack.UnpackException,  # BufferFull, OutOfData
)


def _read(unpack: Callable[[memoryview | bytes], Any], frame: memoryview | bytes) -> Any:
    try:
        message = unpack(frame)
    except MALFORMED as exc:
        # Only the type is told: texts of the library may quote the bytes.
        raise RemoteProtocolError(f"not a msgpack array ({type(exc).__name__})") from None
    if type(message) is not tuple or len(message) < 3:
        raise RemoteProtocolError("a message is an array of version, id, name and fields")
    version, number, name = message[:3]
    if type(version) is not int or type(number) is not int or not 0 <= number <= MAX_ID:
        raise RemoteProtocolError("version and id are integers")
    if type(name) is not str or len(name) > MAX_NAME_CHARACTERS:
        raise RemoteProtocolError("a name is a short text")
    return message


def decode_request(frame: memoryview | bytes) -> Request:
    """Read one frame as a request. Its verb and arguments are for `refusal` to judge.

    Raises:
        RemoteProtocolError: It is none: close the connection.
    """
    message = _read(unpack_small if len(frame) <= SMALL_FRAME_BYTES else unpack_large, frame)
    if message[1] == 0:
        raise RemoteProtocolError("id 0 is for notices")
    args = message[3:]
    for value in args:
        kind = type(value)
        if kind is bytes or kind is str or kind is int or value is None or kind is bool:
            continue
        if kind is not float or not math.isfinite(value):
            raise RemoteProtocolError("an argument is bytes, text, nil or a finite number")
    return Request(message[1], message[2], args, message[0])


def decode_reply(frame: memoryview | bytes) -> Reply | Notice:
    """Read one frame as what a daemon says.

    Raises:
        RemoteProtocolError: It is not that: close the connection.
    """
    message = _read(unpack_reply, frame)
    version, number, name = message[:3]
    fields = message[3:]
    if version != VERSION:
        raise RemoteProtocolError("the daemon speaks another version of the protocol")
    if number == 0:
        if name not in NOTICES or not _fits(fields, NOTICES[name]):
            raise RemoteProtocolError("an unknown notice")
        return Notice(name, fields)
    if name not in FIELDS or not _fits(fields, FIELDS[name]):
        raise RemoteProtocolError("an unknown status, or one with wrong fields")
    if name == "ok" and not _is_finite(fields):
        raise RemoteProtocolError("a field is none of the protocol's types")
    return Reply(number, name, fields)


def _is_finite(value: object) -> bool:
    kind = type(value)
    if kind is float:
        return math.isfinite(value)  # type: ignore[arg-type]
    if kind is tuple:
        return all(map(_is_finite, value))  # type: ignore[call-overload]
    if kind is dict:
        return all(map(_is_finite, value.values()))  # type: ignore[attr-defined]
    return kind in _PLAIN


_PLAIN: Final = frozenset({bytes, str, int, bool, type(None)})


# Messages to bytes.

pack = msgpack.Packer(use_bin_type=True, autoreset=True).pack


def encode(message: Request | Reply | Notice) -> bytes:
    """Make the frame of a message, length and all.

    Raises:
        LocalProtocolError: The message breaks the protocol. Nothing of it is quoted.
    """
    limit = MAX_REPLY_BYTES
    if isinstance(message, Reply):
        _check_reply(message)
        parts = (VERSION, message.id, message.status, *message.fields)
    elif isinstance(message, Request):
        limit = MAX_REQUEST_BYTES
        _check_request(message)
        parts = (VERSION, message.id, message.verb, *message.args)
    else:
        if message.name not in NOTICES or not _fits(message.fields, NOTICES[message.name]):
            raise LocalProtocolError("no such notice")
        parts = (VERSION, 0, message.name, *message.fields)
    try:
        body: bytes = pack(parts)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise LocalProtocolError(f"cannot be packed ({type(exc).__name__})") from None
    if len(body) > limit:
        raise LocalProtocolError(f"a frame has at most {limit} bytes, not {len(body)}")
    return LENGTH.pack(len(body)) + body


def _check_request(request: Request) -> None:
    refused = refusal(request)
    if refused is not None:
        raise LocalProtocolError(refused[1])
    if not _is_int(request.id, 1, MAX_ID):
        raise LocalProtocolError("ids are 1 to 4294967295")


def _check_reply(reply: Reply) -> None:
    if not _is_int(reply.id, 1, MAX_ID) or reply.status not in FIELDS:
        raise LocalProtocolError("no such reply")
    if not _fits(reply.fields, FIELDS[reply.status]):
        raise LocalProtocolError(f"wrong fields for a reply {reply.status}")
