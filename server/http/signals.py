"""What a connection and the application report to each other about a request.

1. The caller has gone: the connection cancels the request, and so does a stop of the server. A
   function in the request's ASGI scope tells the two apart.
2. The caller has proved an account: the application calls another function in the scope.
3. The message waits for its turn to log in. That becomes known far below, at the connection to the
   cache daemon, so the layers around a message register in its context (contextvars), which follows
   it through the SDK and its tasks.
4. What the application keeps for a connection is in a dict in the scope of each of its requests,
   which is cleared when the connection ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

GONE, PROVED, KEPT = "oig.gone", "oig.proved", "oig.kept"
"""Keys of the ASGI scope under which the two functions and the dict stand."""

_listeners: ContextVar[tuple[Callable[[], None], ...]] = ContextVar("login_wait", default=())


def gone(scope: Mapping[str, Any]) -> bool:
    """Return whether the caller of a request has gone; False if it came over no connection."""
    has_gone: Callable[[], bool] | None = scope.get(GONE)
    return has_gone is not None and has_gone()


def no_connection() -> None:
    """Do nothing: the request came over no connection of this kind."""


def proved(scope: Mapping[str, Any]) -> Callable[[], None]:
    """Return what notifies the connection of a request that its caller has proved an account."""
    tell: Callable[[], None] = scope.get(PROVED, no_connection)
    return tell


def kept(scope: Mapping[str, Any]) -> dict[type, Any] | None:
    """Return what is kept for the connection of a request, by its type; None without one."""
    found: dict[type, Any] | None = scope.get(KEPT)
    return found


@contextmanager
def notify_on_wait(tell: Callable[[], None]) -> Iterator[None]:
    """Call a function each time when work begun inside has to wait for a login."""
    token = _listeners.set((*_listeners.get(), tell))
    try:
        yield
    finally:
        _listeners.reset(token)


def waits() -> None:
    """Report that the message of this context waits for a login now."""
    for tell in _listeners.get():
        tell()
