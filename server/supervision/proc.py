"""Processes as `/proc` shows them, and what part of a server each is."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SUPERVISORD = "supervisord"
DAEMON = "cache daemon"
WORKER = "worker"
SIMULATOR = "simulator"

MODULES = {
    "server": WORKER,
    "server.cache": DAEMON,
    "simulator": SIMULATOR,
    "server.portal.simulator": SIMULATOR,
    "supervisor.supervisord": SUPERVISORD,
}
"""What `python -m` starts. The listener is not among them: it ends with its supervisord."""

PROC = Path("/proc")
"""Where the system shows processes."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as `/proc` shows it.

    Args:
        pid: Its id.
        parent: Its parent's.
        uid: Whose it is.
        command: Its command line.
        socket: The supervisord that its environment names; "" if none, None if it is hidden.
        cwd: Its folder; None if that is hidden.
    """

    pid: int
    parent: int
    uid: int
    command: tuple[str, ...]
    socket: str | None
    cwd: Path | None

    @property
    def part(self) -> str | None:
        """What part of a server this is; None if none."""
        return part_of(self.command)


def part_of(command: Sequence[str]) -> str | None:
    """Return what part of a server a command line starts; None if none."""
    # A script stands behind its interpreter.
    if any(Path(word).name == "supervisord" for word in command[:2]):
        return SUPERVISORD
    # Options of Python that stand before its module have no words that begin otherwise.
    for number, word in enumerate(command[1:], 1):
        if word == "-m":
            return MODULES.get(command[number + 1]) if number + 1 < len(command) else None
        if not word.startswith("-") and command[number - 1] not in {"-W", "-X"}:
            return None
    return None


def configuration_of(command: Sequence[str]) -> str | None:
    """Return the configuration that a command line of supervisord names; None if none."""
    for number, word in enumerate(command):
        if word in {"-c", "--configuration"} and number + 1 < len(command):
            return command[number + 1]
        if word.startswith("--configuration="):
            return word.partition("=")[2]
    return None


def look(pid: int, proc: Path = PROC) -> Seen | None:
    """Return a process as `/proc` shows it; None if it does not, or if it has ended."""
    folder = proc / str(pid)
    try:
        command = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        # root owns the files of a hardened process, whatever its user.
        status = (folder / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    uid = re.search(r"(?m)^Uid:\s+\d+\s+(\d+)", status)
    parent = re.search(r"(?m)^PPid:\s+(\d+)", status)
    if command == [b""] or uid is None or parent is None:
        return None
    socket: str | None = None
    cwd: Path | None = None
    with suppress(OSError):
        environment = (folder / "environ").read_bytes().split(b"\0")
        name = b"SUPERVISOR_SERVER_URL="
        found = [entry.removeprefix(name) for entry in environment if entry.startswith(name)]
        socket = os.fsdecode(found[0]) if found else ""
    with suppress(OSError):
        cwd = (folder / "cwd").readlink()
    words = tuple(os.fsdecode(word) for word in command)
    return Seen(pid, int(parent[1]), int(uid[1]), words, socket, cwd)


def secret_holders(secret: Path, proc: Path = PROC) -> frozenset[int]:
    """Return who works with a secret, as the system's list of locks says; often it says nothing."""
    try:
        status = secret.stat()
        lines = (proc / "locks").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return frozenset()
    major, minor = os.major(status.st_dev), os.minor(status.st_dev)
    file = f"{major:02x}:{minor:02x}:{status.st_ino}"
    found = []
    for line in lines:
        # 1: FLOCK  ADVISORY  READ 12978 00:2f:10350 0 EOF. Waiters have an arrow.
        words = line.split()[1:]
        if words[:3] == ["FLOCK", "ADVISORY", "READ"] and words[4] == file:
            found.append(int(words[3]))
    return frozenset(pid for pid in found if pid > 0)


def is_alive(pid: int, proc: Path = PROC) -> bool:
    """Whether a process runs that we may signal. One that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError, OverflowError):
        return False
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    # The name before it is in parentheses, and may contain any.
    return stat.rpartition(")")[2].split()[:1] not in (["Z"], ["X"])
