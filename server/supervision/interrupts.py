"""Signals that ask a program at a terminal to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Ctrl-C, SIGTERM and a closed terminal, counted instead of raised."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.count = 0

    def __bool__(self) -> bool:
        return self.count > 0

    def interrupt(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Count one."""
        self.count += 1
        self._event.set()

    def wait(self, seconds: float) -> None:
        """Wait, but not beyond an interrupt."""
        self._event.wait(seconds)
        self._event.clear()

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Count signals instead of dying of them."""
        stopping = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
            stopping.append(signal.SIGHUP)
        before = {number: signal.signal(number, self.interrupt) for number in stopping}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
