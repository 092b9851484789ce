"""Why a Valkey or Redis server cannot be asked, in words for an operator.

They repeat nothing that was sent, and no text of the server or a library.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import redis

from .storage import StorageAway

AWAY_CODES: Final = frozenset(
    {
        *("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH", "NOPERM"),
        *("NOREPLICAS", "OOM", "READONLY", "TRYAGAIN", "WRONGPASS"),
    }
)
"""Error codes after which every command would be refused. Any other is the fault of one command."""

UNREADABLE_CODES: Final = frozenset({"WRONGTYPE"})
"""Error codes that concern one value: another program has stored something else there."""

NAMED_CODES: Final = AWAY_CODES | UNREADABLE_CODES | {"ERR", "EXECABORT", "NOSCRIPT", "UNKILLABLE"}
"""The error codes that are repeated: any other text of the server could contain anything."""

UNEXPECTED: Final = "it answers what nobody expects"

CODES: Final[dict[type[redis.RedisError], str]] = {
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.NoPermissionError: "NOPERM",
    redis.exceptions.AuthenticationError: "NOAUTH",
    redis.exceptions.MasterDownError: "MASTERDOWN",
    redis.exceptions.ClusterDownError: "CLUSTERDOWN",
    redis.exceptions.TryAgainError: "TRYAGAIN",
}
"""The codes that redis-py turns into classes."""

REFUSES: Final = "it refuses with "

DETAILS: Final = {
    "MasterNotFoundError": "no Sentinel leads to a primary that is up",
    "gaierror": "its name is not found",
    "SSLError": "it does not speak TLS as it should",
    "PermissionError": "this user may not open its socket",
    "FileNotFoundError": "there is no such socket, or file of certificates",
    "NotADirectoryError": "there is no such socket, or file of certificates",
    "ConnectionRefusedError": "nobody listens there",
    "ConnectionResetError": "it ends the connection, as one that speaks TLS, or does not, may do",
}
"""Details of a connection that could not be made, by the name of the exception."""

OF_CODES: Final = {
    "LOADING": "it is loading its data",
    "MISCONF": "it cannot write to its disk",
    "NOAUTH": "it does not accept the user and password of the address",
    "NOPERM": "its user lacks a right",
    "OOM": "its memory is full",
    "READONLY": "it is a replica",
    "WRONGPASS": "it does not accept the user and password of the address",
}
"""Details of a refusal, by its code."""

UNFIT: Final = "must not be used as it is set up"

SILENT: Final = "does not answer"

DEEPEST: Final = 8
"""Exceptions of one chain that are looked at."""


def code_of(exc: BaseException) -> str:
    """Return the error code of a refusal, such as `OOM`; empty of other failures."""
    for one in (exc, exc.__cause__):  # the cause, if a connection could not be made
        for kind, code in CODES.items():
            if isinstance(one, kind):
                return code
    return str(exc).partition(" ")[0] if isinstance(exc, redis.ResponseError) else ""


def reason(exc: BaseException) -> str:
    """Return why a server cannot be asked.

    Args:
        exc: What asking it raised.
    """
    if isinstance(exc, (TimeoutError, redis.TimeoutError)):
        return "it does not answer"
    code = code_of(exc)
    if code in NAMED_CODES:
        return ": ".join([f"{REFUSES}{code}", *filter(None, [OF_CODES.get(code)])])
    if code:
        return "it refuses a command"
    if isinstance(exc, StorageAway):
        return str(exc)  # what another reading of the same server has found
    if not isinstance(exc, (redis.ConnectionError, OSError)):
        return UNEXPECTED
    return ": ".join(["it cannot be reached", *_details(exc)])


def trouble(why: str) -> str:
    """Return the part of a reason that strangers may read.

    1. The server refuses: with which code, and what it means. 2. It is not reached, for reasons
    that would say where it is looked for.

    Args:
        why: As `reason` gave it.
    """
    return why.removeprefix("it ") if why.startswith(REFUSES) else SILENT


def _details(exc: BaseException) -> Iterator[str]:
    """Return details of a connection that could not be made, if there are any."""
    one: BaseException | None = exc
    for _ in range(DEEPEST):
        if one is None:
            return
        for kind in type(one).__mro__:
            if kind.__name__ in DETAILS:
                yield DETAILS[kind.__name__]
                return
        one = one.__cause__ or one.__context__
