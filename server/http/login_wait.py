"""Notifies the layers around a message that it waits for its turn to log in.

A layer registers in the message's context (contextvars), which follows the message through the SDK
and its tasks. The wait becomes known far below, at the connection to the cache daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listeners: ContextVar[tuple[Callable[[], None], ...]] = ContextVar("login_wait", default=())


@contextmanager
def notify_on_wait(tell: Callable[[], None]) -> Iterator[None]:
    """Call a function when work begun inside has to wait for a login.

    Args:
        tell: Called each time a wait begins.
    """
    token = _listeners.set((*_listeners.get(), tell))
    try:
        yield
    finally:
        _listeners.reset(token)


def waits() -> None:
    """Report that the message of this context waits for a login now."""
    for tell in _listeners.get():
        tell()
