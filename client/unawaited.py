"""Work in threads that nobody has to wait for: the system's resolver knows no time limit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def begun(function: Callable[P, T], /, *args: P.args, **more: P.kwargs) -> Future[T]:
    """Call a function in a thread that ends with the process at the latest."""
    future: Future[T] = Future()

    def carry_out() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(function(*args, **more))
        except BaseException as exc:  # noqa: BLE001 - whoever asks for the result gets it
            future.set_exception(exc)

    threading.Thread(target=carry_out, daemon=True).start()
    return future


class Unawaited(ThreadPoolExecutor):
    """An executor for an event loop: closing the loop does not wait for what still runs."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin to call a function."""
        return begun(fn, *args, **kwargs)
