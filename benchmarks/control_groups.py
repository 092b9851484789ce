"""A bounded group of processes: so much memory, and a part of a core (Linux cgroups, 1 or 2)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .processes import wait_until
from .result import NotMeasured

ROOT = Path("/sys/fs/cgroup")

PERIOD = 100_000
"""Microseconds over which a quota counts; the kernel's own default."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group.

    Args:
        folders: Of the kernel: one, or one for each controller.
    """

    folders: Sequence[Path]

    @property
    def enter(self) -> list[str]:
        """A command that runs the one that follows it, in the group."""
        joins = "".join(f"echo $$ > {folder}/cgroup.procs && " for folder in self.folders)
        return ["sh", "-c", f'{joins}exec "$@"', "sh"]

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that are in it now."""
        words = (self.folders[0] / "cgroup.procs").read_text().split()
        return tuple(map(int, words))


@contextlib.contextmanager
def bounded(cores: float, memory: int) -> Iterator[Group]:
    """Make a group, and remove it when its processes have ended.

    Args:
        cores: How much processor time it gets, in each period.
        memory: Bytes.

    Raises:
        NotMeasured: There are no such groups here, or they are somebody else's.
    """
    quota, name = round(cores * PERIOD), f"oig-benchmark-{os.getpid()}"
    if (ROOT / "cgroup.controllers").exists():
        bounds = {ROOT / name: {"cpu.max": f"{quota} {PERIOD}", "memory.max": str(memory)}}
    else:
        bounds = {
            ROOT / "cpu" / name: {"cpu.cfs_period_us": str(PERIOD), "cpu.cfs_quota_us": str(quota)},
            ROOT / "memory" / name: {"memory.limit_in_bytes": str(memory)},
        }
    group = Group(list(bounds))
    try:
        try:
            for folder, values in bounds.items():
                folder.mkdir()
                for file, value in values.items():
                    (folder / file).write_text(value)
        except OSError as exc:
            raise NotMeasured(
                f"processes cannot be bounded here, {exc.filename}: {exc.strerror}. It needs root, "
                "and the controllers cpu and memory"
            ) from exc
        yield group
        wait_until(lambda: not group.pids, "the end of all processes of a group")
    finally:
        for folder in bounds:
            with contextlib.suppress(OSError):
                folder.rmdir()
