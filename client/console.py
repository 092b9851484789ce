"""The terminal that a person sits at: whether there is one, and what was typed there too early."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TextIO


def is_terminal(stream: TextIO) -> bool:
    """Return whether a person may be at the other end of a stream.

    On Windows `isatty` is true of the device NUL as well, which services and scheduled tasks have
    as their standard input (https://bugs.python.org/issue28654): nobody would ever answer there.
    """
    if not stream.isatty():
        return False
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415 - on Windows only
        import msvcrt  # noqa: PLC0415
        from ctypes import wintypes  # noqa: PLC0415

        handle = wintypes.HANDLE(msvcrt.get_osfhandle(stream.fileno()))
        # It fails for anything but a console.
        return bool(ctypes.windll.kernel32.GetConsoleMode(handle, ctypes.byref(wintypes.DWORD())))
    else:  # noqa: RET505 - for mypy, which takes the line for unreachable on Windows
        return True


def can_edit_lines() -> bool:
    """Return whether the line editor can draw; its questions and its lines go to standard error.

    On Windows it draws with calls to the console that is standard output, wherever it writes to.
    """
    return sys.platform != "win32" or is_terminal(sys.stdout)


def forget_typed() -> None:
    """Drop what was typed and not read yet."""
    with suppress(OSError, ValueError):
        if not is_terminal(sys.stdin):
            return
        if sys.platform == "win32":
            import ctypes  # noqa: PLC0415 - on Windows only
            import msvcrt  # noqa: PLC0415
            from ctypes import wintypes  # noqa: PLC0415

            handle = wintypes.HANDLE(msvcrt.get_osfhandle(sys.stdin.fileno()))
            ctypes.windll.kernel32.FlushConsoleInputBuffer(handle)
        else:
            import termios  # noqa: PLC0415 - not on Windows

            with suppress(termios.error):
                termios.tcflush(sys.stdin, termios.TCIFLUSH)
