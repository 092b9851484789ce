"""Work in threads that nobody has to wait for: the system's resolver knows no time limit."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from time import monotonic
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

TURN = 0.1
"""Seconds after which a wait looks whether Ctrl-C was pressed, where that does not end it."""


def begun(function: Callable[P, T], /, *args: P.args, **more: P.kwargs) -> Future[T]:
    """Call a function in a thread that ends with the process at the latest."""
    future: Future[T] = Future()

    def carry_out() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(function(*args, **more))
        except BaseException as exc:  # noqa: BLE001 - the caller of the result gets it
            future.set_exception(exc)

    threading.Thread(target=carry_out, daemon=True).start()
    return future


def result_within(future: Future[T], seconds: float) -> T:
    """Return the result of what was begun.

    Raises:
        TimeoutError: It is not there in time.
    """
    if sys.platform == "win32":
        # There no key interrupts a wait for a lock, as this is one.
        deadline = monotonic() + seconds
        while not future.done() and (left := deadline - monotonic()) > 0:
            wait([future], min(left, TURN))
        seconds = 0
    return future.result(seconds)


class Unawaited(ThreadPoolExecutor):
    """An executor for an event loop: closing the loop does not wait for what still runs."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin to call a function."""
        return begun(fn, *args, **kwargs)
