"""Ctrl-C and SIGTERM: the first one stops everything that was started, later ones change nothing.

Only what the standard library has is imported here: this is in place before anything else is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

EXIT_CODE = 130
"""Of an interrupted run, as shells report it: 128 and the number of SIGINT."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class _State:
    begun: bool = False
    held: int = 0
    due: bool = False


_STATE = _State()


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Raise KeyboardInterrupt for the first signal, and ignore all others until the block ends."""
    before = {number: signal.signal(number, _on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _STATE.begun = _STATE.due = False


def begun() -> bool:
    """Whether a signal has arrived, even if what was then being stopped raised something else."""
    return _STATE.begun


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Put an interruption off to the end of the block: nothing stays half started or stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread alone
        return
    _STATE.held += 1
    try:
        yield
    finally:
        _STATE.held -= 1
        if _STATE.due and not _STATE.held:
            _STATE.due = False
            raise KeyboardInterrupt


def leave_quietly() -> None:
    """End at the first signal without a traceback, while modules are still being imported."""
    for number in SIGNALS:
        signal.signal(number, lambda *_: sys.exit(EXIT_CODE))


def _on_signal(*_: object) -> None:
    # A handler of Python's own, not SIG_IGN: the programs that are started would inherit that.
    if _STATE.begun:
        return
    _STATE.begun = True
    # Past the buffer of sys.stderr, which the interrupted code may be writing to.
    with contextlib.suppress(OSError):
        os.write(2, b"Stopping ...\n")
    if _STATE.held:
        _STATE.due = True
    else:
        raise KeyboardInterrupt
