"""Makes an interpreter as much like one on Windows as its standard library survives.

With this folder on PYTHONPATH, Python imports the file before anything else runs. In order:

1. The standard library is imported while the system is still this one: its modules decide then.
2. Modules and names that Windows does not have are taken away.
3. What Windows does otherwise is done so: event loops, pipes, streams, NUL, a file held open.
4. What only Windows has is put in place, as little as the client and its libraries ask for.
5. `sys.platform` says `win32`, which is what they go by.

`os.name` stays `posix`, and with it the form of paths: `pathlib` would not survive another.
"""

import asyncio.unix_events
import concurrent.futures.thread
import ctypes.wintypes
import errno
import functools
import getpass
import importlib.metadata
import io
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import termios
import types
import zoneinfo
from pathlib import Path

import truststore

LOADED = (concurrent.futures.thread, importlib.metadata, shutil, subprocess, truststore)
"""Imported before the system changes, and not used here."""

# The standard library makes pairs there by itself, over TCP; the family is nobody's concern.
socket.socketpair = functools.partial(socket.socketpair, socket.AF_UNIX)

for name in ("fcntl", "termios", "tty", "pty", "pwd", "grp", "resource", "readline", "syslog"):
    sys.modules[name] = None
for module, gone in (
    (os, "O_NOFOLLOW O_NONBLOCK O_CLOEXEC O_DIRECTORY O_SYNC O_NOCTTY fchmod fchown chown lchown"),
    (os, "geteuid getuid getegid getgid fork forkpty openpty ttyname setsid getpgid killpg mkfifo"),
    (os, "uname getloadavg statvfs sched_getaffinity wait3 wait4"),
    (signal, "SIGHUP SIGPIPE SIGTSTP SIGKILL SIGQUIT SIGUSR2 SIGWINCH SIGALRM SIGCHLD SIGCONT"),
    (signal, "alarm setitimer pthread_sigmask sigwait siginterrupt pause"),
    (socket, "AF_UNIX send_fds recv_fds"),
):
    for name in gone.split():
        delattr(module, name)
zoneinfo.reset_tzpath(())  # Windows has no zones of its own, so tzdata must be there


def not_there(*_arguments):
    raise NotImplementedError


# As on the loop that asyncio takes on Windows, ProactorEventLoop.
Loop = asyncio.unix_events.SelectorEventLoop
Loop.add_signal_handler = Loop.remove_signal_handler = not_there
Loop.add_reader = Loop.add_writer = Loop.remove_reader = Loop.remove_writer = not_there


class Stream(io.FileIO):
    """A standard stream."""

    def isatty(self):
        """Return True of NUL as well: https://bugs.python.org/issue28654."""
        return stat.S_ISCHR(os.fstat(self.fileno()).st_mode)

    def write(self, data):
        """Fail as a pipe does that nobody reads: https://bugs.python.org/issue35754."""
        try:
            return super().write(data)
        except BrokenPipeError:
            raise OSError(errno.EINVAL, "Invalid argument") from None


def standard(fd, mode, buffered):
    """Return a stream: at a console UTF-8, and else in the code page of Czech Windows."""
    raw = Stream(fd, mode, closefd=False)
    encoding = "utf-8" if os.isatty(fd) else os.environ.get("TEST_CODE_PAGE", "cp1250")
    newline = "\r\n" if mode == "w" else None
    return io.TextIOWrapper(buffered(raw), encoding, newline=newline, line_buffering=os.isatty(fd))


os.linesep = "\r\n"
sys.stdin = sys.__stdin__ = sys.stdin and standard(0, "r", io.BufferedReader)
sys.stdout = sys.__stdout__ = sys.stdout and standard(1, "w", io.BufferedWriter)
sys.stderr = sys.__stderr__ = sys.stderr and standard(2, "w", io.BufferedWriter)

signal.SIGBREAK = signal.SIGUSR1
del signal.SIGUSR1

HELD = os.environ.get("TEST_HELD_OPEN", "")
"""A file that another program has open: it stands in here, and closes it at the third try."""
refusals = iter(range(2))
renamed = os.replace


def replace(source, target):
    """Refuse to rename over a file that is held open."""
    if HELD and Path(target).name == HELD and next(refusals, None) is not None:
        raise PermissionError(errno.EACCES, "Access is denied", str(target))
    return renamed(source, target)


os.replace = replace


def module(name, **values):
    """Put a module in place."""
    made = types.ModuleType(name)
    vars(made).update(values)
    sys.modules[name] = made


module(
    "msvcrt",
    get_osfhandle=lambda fd: fd,
    getwch=lambda: os.read(0, 1).decode(),
    putwch=lambda character: os.write(2, character.encode()),
)
for name in ("pywintypes", "win32api", "win32con", "win32job"):  # the SDK's, of the package pywin32
    module(name)
getpass.msvcrt = sys.modules["msvcrt"]
getpass.getpass = getpass.win_getpass


def get_console_mode(handle, mode):
    """Fail for what is no console; a console of today understands escape sequences."""
    getattr(mode, "_obj", mode).value = 7
    return int(os.isatty(handle.value or 0))


def flush_console_input_buffer(handle):
    """Forget what was typed."""
    termios.tcflush(handle.value or 0, termios.TCIFLUSH)
    return 1


class Function:
    """A function of a library, which may be given a prototype."""

    def __init__(self, carry_out):
        self.carry_out = carry_out

    def __call__(self, *arguments):
        return self.carry_out(*arguments)


class Library:
    """The library kernel32, as far as it is called."""

    def __init__(self, *_name):
        self.GetStdHandle = Function(lambda which: ctypes.wintypes.HANDLE(-10 - which))
        self.GetConsoleMode = Function(get_console_mode)
        self.FlushConsoleInputBuffer = Function(flush_console_input_buffer)

    def __getattr__(self, _name):
        return Function(lambda *_arguments: 0)  # it fails


ctypes.WinDLL = Library
ctypes.windll = types.SimpleNamespace(kernel32=Library())
version = types.SimpleNamespace(major=10, minor=0, build=26100)
sys.getwindowsversion = lambda: version
sys.platform = "win32"
