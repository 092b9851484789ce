"""Hardening that a process applies to itself before it loads a secret or serves a caller."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys

PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4

DESCRIPTORS = 4096
"""Descriptors a worker asks for: twice its connections. supervisord hands down 1024."""


def harden() -> bool:
    """Keep this process's memory from core files and from other processes of the same user.

    Must be called after exec, which undoes it. `/proc/self` belongs to root afterwards, so that
    `/dev/stdout` cannot be opened by its path any more.

    Returns:
        Whether the kernel now refuses to dump and trace this process. Elsewhere than on Linux only
        core files are switched off.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return False
    # A limit of 0 has no effect where cores are piped to a program; this has.
    return bool(_prctl(PR_SET_DUMPABLE, 0) == 0 and not is_dumpable())


def raise_descriptors() -> None:
    """Raise the soft limit of open descriptors, as far as it is ours to raise."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # macOS has a limit of its own below what it calls the hard one.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def is_dumpable() -> bool:
    """Say whether this process may be dumped or traced."""
    return sys.platform != "linux" or _prctl(PR_GET_DUMPABLE) != 0


def _prctl(option: int, argument: int = 0) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0))
