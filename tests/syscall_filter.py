"""Run a command under the system calls that a systemd unit leaves it, without systemd.

    python tests/syscall_filter.py UNIT SYSTEMD_ANALYZE COMMAND...

As systemd does it: SystemCallFilter, MemoryDenyWriteExecute and RestrictAddressFamilies of the unit
become filters of the kernel (seccomp), which hold for the command and all that it starts. What else
a unit can restrict (files, users, /proc) needs systemd itself.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

ALLOW = 0x7FFF0000
EQUAL, GREATER, MASKED_EQUAL = 4, 6, 7
"""Actions and comparisons of libseccomp (seccomp.h)."""

PROT_WRITE, PROT_EXEC, SHM_EXEC = 2, 4, 0o100000


class Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp`."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


def fail_with(number: int) -> int:
    """Return the action that lets a call fail with this errno."""
    return 0x00050000 | number


class Filter:
    """One filter: what it does with all calls that have no rule."""

    def __init__(self, library: ctypes.CDLL, action: int) -> None:
        self._library = library
        self._context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(action)))
        assert self._context

    def rule(self, action: int, name: str, *comparisons: Comparison) -> None:
        """Do this with a system call; names that this machine does not know are left out."""
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return
        array = (Comparison * len(comparisons))(*comparisons)
        code = self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, len(comparisons), array
        )
        assert code == 0, (name, os.strerror(-code))

    def load(self) -> None:
        """Hold from now on; no program gains rights by being started (no_new_privs)."""
        code = self._library.seccomp_load(self._context)
        assert code == 0, os.strerror(-code)


def values(unit: str, key: str) -> list[str]:
    """Return the values of a key in the text of a unit, in their order."""
    pairs = (line.partition("=") for line in unit.splitlines())
    return [value for name, _, value in pairs if name == key]


def members(names: list[str], analyze: str) -> set[str]:
    """Return the system calls that names and groups (`@...`) stand for."""
    found: set[str] = set()
    for name in names:
        if not name.startswith("@"):
            found.add(name)
            continue
        listed = subprocess.run(
            [analyze, "syscall-filter", name], capture_output=True, text=True, check=True
        ).stdout
        lines = [line.strip() for line in listed.splitlines()[1:]]
        found |= members([line for line in lines if line and not line.startswith("#")], analyze)
    return found


def allowed_calls(unit: str, analyze: str) -> set[str]:
    """Return the system calls that a unit leaves: a list, less those after a `~`."""
    allowed: set[str] = set()
    for value in values(unit, "SystemCallFilter"):
        less = value.startswith("~")
        named = members(value.removeprefix("~").split(), analyze)
        allowed = allowed - named if less else allowed | named
    return allowed


def restrict(unit: str, analyze: str) -> None:
    """Put this process under a unit's filters, with all that it starts."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    allowed = allowed_calls(unit, analyze)
    assert allowed

    mappings = Filter(library, ALLOW)
    assert values(unit, "MemoryDenyWriteExecute") == ["yes"]
    for name, bits in (
        ("mmap", PROT_WRITE | PROT_EXEC),
        ("mprotect", PROT_EXEC),
        ("pkey_mprotect", PROT_EXEC),
        ("shmat", SHM_EXEC),
    ):
        mappings.rule(fail_with(errno.EPERM), name, Comparison(2, MASKED_EQUAL, bits, bits))

    # Namespaces are flags of clone, which a filter can read, and of clone3, which none can: systemd
    # has it fail, so that programs fall back to clone.
    assert values(unit, "RestrictNamespaces") == ["yes"]
    mappings.rule(fail_with(errno.ENOSYS), "clone3")

    families = Filter(library, ALLOW)
    (names,) = values(unit, "RestrictAddressFamilies")
    kept = {int(getattr(socket, name)) for name in names.split()}
    for family in set(range(max(kept))) - kept:
        families.rule(fail_with(errno.EAFNOSUPPORT), "socket", Comparison(0, EQUAL, family, 0))
    others = Comparison(0, GREATER, max(kept), 0)
    families.rule(fail_with(errno.EAFNOSUPPORT), "socket", others)

    calls = Filter(library, fail_with(errno.EPERM))
    # The filter itself is set with this one, and the kernel asks the filters that hold already.
    for name in allowed | {"seccomp"}:
        calls.rule(ALLOW, name)
    for one in (mappings, families, calls):
        one.load()


def main(unit: str, analyze: str, *command: str) -> None:
    """Become a command under the filters of a unit."""
    restrict(Path(unit).read_text(), analyze)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
