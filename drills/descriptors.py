"""Few descriptors under many connections: those who wait are served, and the logs stay short."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator

import psutil

from .callers import Callers, owners
from .disks import is_ready, tracebacks
from .drill import Drill, Extent, Outcome
from .ground import SHARED, Ground
from .supervised import RunningSystem, prepared_system, started
from .waiting import PATIENCE, wait_until

LIMIT = 128
"""Descriptors that a worker and the daemon may open; supervisord itself needs 1024."""

LINES = 3
"""Lines of a log about descriptors: of the start, of the trouble, and one to spare."""

SPINNING = 0.9
"""Share of a core that nobody may take who only waits."""


@contextlib.contextmanager
def narrow_system() -> Iterator[RunningSystem]:
    """Give a running system whose workers and daemon may open few descriptors."""
    with prepared_system(workers=2, **SHARED) as system:
        path = system.project / "supervisord.conf"
        text, count = re.subn(
            r"(?m)^command=/usr/bin/env (python3 -m server(?:\.cache| --workers .*)?)$",
            rf"command=/bin/sh -c 'ulimit -n {LIMIT} && exec \1'",
            path.read_text(),
        )
        assert count == 2
        path.write_text(text)
        with started(system):
            system.wait_ready()
            yield system


def busiest(system: RunningSystem, seconds: float) -> float:
    """Return the share of a core that the busiest process takes for some seconds."""
    processes = [psutil.Process(system.pid(name)) for name in ("cache", "mcp-0", "mcp-1")]
    for process in processes:
        process.cpu_percent()
    time.sleep(seconds)
    return max(process.cpu_percent() for process in processes) / 100.0


def crowded(_ground: Ground, extent: Extent) -> Outcome:
    """Hold silent connections at the port and the daemon's socket, and call meanwhile."""
    failures: list[str] = []
    with narrow_system() as system:
        accounts = owners(system, "crowded", 4)
        with Callers(system, accounts, extent.callers, fresh=True) as callers:
            callers.wait_for(2 * extent.callers)
            with contextlib.ExitStack() as held:
                for number in range(extent.times):
                    address = (system.host, system.port)
                    held.enter_context(socket.create_connection(address, timeout=PATIENCE))
                    if number % 2:
                        sock = held.enter_context(socket.socket(socket.AF_UNIX))
                        sock.settimeout(PATIENCE)
                        with contextlib.suppress(OSError):
                            sock.connect(str(system.run_dir / "cache.sock"))
                callers.wait_for(4 * extent.callers)
            callers.wait_for(2 * extent.callers)
        wait_until("it serves", lambda: is_ready(system))
        with contextlib.ExitStack() as held:
            for _ in range(extent.times):
                held.enter_context(socket.create_connection(address, timeout=PATIENCE))
            share = busiest(system, extent.seconds)
        if share > SPINNING:
            failures.append(f"a process that waits takes {share:.0%} of a core")
        for name in ("cache", "mcp-0", "mcp-1"):
            lines = [line for line in system.log(name).splitlines() if "descriptor" in line]
            if not lines and name != "cache":
                failures.append(f"{name}.log does not mention descriptors")
            if len(lines) > LINES:
                failures.append(f"{len(lines)} lines in {name}.log")
        failures += tracebacks(system)
    met = callers.flawless and not failures
    told = "; ".join([*failures, callers.summary()])
    return Outcome(met, told, f"{extent.times} idle connections")


DRILLS = (
    Drill(
        "few-descriptors",
        "128 descriptors for each process, and more idle connections than that, under callers",
        "0 wrong answers, 0 failed calls; a few lines in the logs; no process spins",
        Extent(times=400, callers=8, seconds=3.0),
        Extent(times=150, callers=2, seconds=0.5),
        crowded,
        load=True,
        place="alone",
    ),
)
