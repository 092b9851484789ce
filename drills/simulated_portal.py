"""The simulated portal as a process of its own."""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.interruption import held
from server.portal.client import PortalClient

ROOT = Path(__file__).resolve().parent.parent


READY = 60.0
"""Seconds a process gets to be ready: it takes half of one, unless the machine is very busy."""


STOP = 60.0
"""Seconds a process gets to stop after SIGTERM, before it is killed."""


VERSION = "0-test"

DEMO_BOX = "2210400017"
"""The box of demo@example.com."""

SECOND_BOX, QUEEN_BOX = "2210400025", "2210400033"
"""The boxes of demo2@example.com."""


@dataclass(frozen=True)
class RunningPortal:
    """A simulated portal in a process of its own.

    Attributes:
        base_url: Its address, with a slash at the end.
        pid: Its process.
        admin: HTTP client of the administrator's paths.
    """

    base_url: str
    pid: int
    admin: httpx2.Client

    def fault(self, kind: str, **members: object) -> None:
        """Set a fault; members as in docs/simulator.md."""
        self.admin.post("_admin/faults", json={"kind": kind, **members}).raise_for_status()

    def clear_faults(self) -> None:
        """Remove all faults."""
        self.admin.delete("_admin/faults").raise_for_status()

    def add_account(self, email: str, password: str) -> str:
        """Add an account with a box of its own beside the two of the start; return the box."""
        body = {"email": email, "password": password}
        answer = self.admin.post("_admin/accounts", json=body).raise_for_status()
        box: str = answer.json()["boxes"][0]
        return box

    def set_clock(self, **members: object) -> None:
        """Move, quicken or stop the simulated time; members as in docs/simulator.md."""
        self.admin.post("_admin/clock", json=members).raise_for_status()

    def switch(self, **members: object) -> None:
        """Set switches; members as in docs/simulator.md."""
        self.admin.post("_admin/switches", json=members).raise_for_status()

    def set_box(self, box: str, **members: object) -> dict[str, Any]:
        """Have a box be so, and give the truth about it; members as in docs/simulator.md."""
        answer = self.admin.post("_admin/boxes", json={"box": box, **members})
        truth: dict[str, Any] = answer.raise_for_status().json()
        return truth

    def add_notice(self, box: str, text: str, **members: object) -> None:
        """Add a notification; members as in docs/simulator.md."""
        body = {"box": box, "text": text, **members}
        self.admin.post("_admin/notices", json=body).raise_for_status()

    def truth(self, box: str = DEMO_BOX) -> dict[str, Any]:
        """Give the truth about a box as of now."""
        answer = self.admin.get("_admin/truth", params={"box": box})
        truth: dict[str, Any] = answer.raise_for_status().json()
        return truth

    def writes(self) -> list[dict[str, Any]]:
        """Give every write that arrived, oldest first."""
        answer = self.admin.get("_admin/writes").raise_for_status()
        writes: list[dict[str, Any]] = answer.json()["writes"]
        return writes

    def end_sessions(self) -> None:
        """End all sessions, as if the portal had been restarted."""
        self.admin.delete("_admin/sessions").raise_for_status()

    def reset(self) -> None:
        """Return to the state of the start."""
        self.admin.post("_admin/reset", json={}).raise_for_status()

    def state(self) -> dict[str, Any]:
        """Give counters, faults, switches, the clock and the number of sessions."""
        answer: dict[str, Any] = self.admin.get("_admin/state").raise_for_status().json()
        return answer

    def logins(self, email: str | None = None) -> dict[str, int]:
        """Give the counters of one account that has logged in, or of all logins."""
        logins = self.state()["logins"]
        counts: dict[str, int] = logins["total"] if email is None else logins["accounts"][email]
        return counts

    def client(self, **options: Any) -> PortalClient:
        """Make a client of this portal; close it when done."""
        return PortalClient(self.base_url, version=VERSION, **options)


@contextlib.contextmanager
def running_portal(*arguments: str) -> Iterator[RunningPortal]:
    """Run `python -m simulator` on a free port, and stop it at the end.

    Args:
        arguments: Further arguments, such as `--session-ttl 5`.

    Raises:
        RuntimeError: It was not ready in time; the text holds what it wrote.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port", "0", *arguments],
        cwd=ROOT,
        env={"OIG_LOG_LEVEL": "WARNING", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        process_group=0,
    )
    try:
        base_url = _first_line(process)
        # A connection each: the simulator closes an idle one, perhaps as it is used again.
        fresh = httpx2.Limits(max_keepalive_connections=0)
        patient = httpx2.Client(base_url=base_url, trust_env=False, timeout=READY, limits=fresh)
        with patient as admin:
            yield RunningPortal(base_url, process.pid, admin)
    finally:
        with held():
            process.terminate()
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    deadline = time.monotonic() + READY
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], max(deadline - time.monotonic(), 0))
        part = process.stdout.read1(1024) if ready else b""  # type: ignore[attr-defined]
        if not part:
            raise RuntimeError(f"the simulated portal did not start; it wrote {line!r}")
        line += part
    return line.decode().strip()
