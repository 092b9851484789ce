"""Random bytes in each file that the programs read, while they run and before they start."""

from __future__ import annotations

import http.client
import os
import random
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from .callers import Callers, Owner, called, code_of, owners
from .connected_client import ConnectedClient
from .disks import UNWRITABLE, change_code, is_ready, tracebacks, wrong_of
from .drill import Drill, Extent, Outcome
from .ground import Ground
from .simulated_portal import running_portal
from .supervised import RunningSystem, prepared_system, started
from .waiting import PATIENCE, wait_until

SETTINGS = {
    "OIG_CALLS_PER_MINUTE": "0",
    "OIG_LOGINS_PER_SECOND": "1000",
    "OIG_LOGIN_BURST": "1000",
    "OIG_CONTROL": "on",
    "OIG_LIVE_TTL": "2",
}

NOTICED = 3.0
"""Seconds after which every process has looked at its files: it does so every two."""

BYTES = 4096

CHANGES = "journal.db"
CONNECTIONS = "grants.db"

READ_WHILE_RUNNING = (
    *("run/secret", "run/sessions.db", "run/sessions.db-wal", "run/cache.sock.lock"),
    *("run/cache.sock", "run/ready/mcp-0", "run/supervisord.pid", CHANGES, CONNECTIONS),
)

READ_AT_START = (*READ_WHILE_RUNNING, "run/supervisor.sock", "settings.env")


def spoil(path: Path) -> None:
    """Fill a file with random bytes; a socket or a missing file is replaced by such a file."""
    garbage = random.randbytes(BYTES)
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        path.unlink()
    path.parent.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(garbage)


@contextmanager
def prepared(**more: str) -> Iterator[tuple[RunningSystem, Path]]:
    """Give a system with a settings file, and the folder of its state."""
    with prepared_system(workers=2, **SETTINGS, **more) as system:
        var = system.project / "var"
        settings = var / "settings.env"
        settings.write_text("OIG_LOCK_FIRST=600\n")
        settings.chmod(0o600)
        system.environ["OIG_CONFIG"] = str(settings)
        yield system, var


def _refused_where_needed(system: RunningSystem, client: ConnectedClient, name: str) -> list[str]:
    """Use what needs a file that is full of garbage; return what is wrong about the refusal."""
    if name == CHANGES and (code := change_code(system, client.owner)) not in UNWRITABLE:
        return [f"a change is answered with {code or 'success'}"]
    if name == CONNECTIONS:
        try:
            client.refresh()
        except httpx2.HTTPStatusError as exc:
            if exc.response.status_code != httpx2.codes.SERVICE_UNAVAILABLE:
                return [f"a token is refused with {exc.response.status_code}"]
        else:
            return ["a token of a spoilt file is good"]
    return []


def spoilt_while_running(_ground: Ground, extent: Extent) -> Outcome:
    """Spoil one file after the other under callers; remove each before the next."""
    failures: list[str] = []
    names = READ_WHILE_RUNNING[: extent.times]
    with prepared() as (system, var), started(system):
        system.wait_ready()
        *settled, changing, connected = owners(system, "spoilt", 6)
        client = ConnectedClient(f"http://localhost:{system.port}", connected)
        client.log_in()
        change_code(system, changing)
        with Callers(system, settled, extent.callers, fresh=True) as callers:
            callers.wait_for(3 * extent.callers)
            for name in names:
                spoil(var / name)
                time.sleep(NOTICED)
                callers.wait_for(extent.callers)
                wrong = _refused_where_needed(system, client, name)
                # As the documents advise; what can be restored comes back by itself.
                (var / name).unlink(missing_ok=True)
                wait_until(f"it serves after {name}", lambda: is_ready(system))
                failures += [f"{name}: {one}" for one in wrong]
        failures += wrong_of(callers) + tracebacks(system)
        if callers.lost:
            failures.append(f"{len(callers.lost)} calls lost")
    first = "; ".join(failures) or "what needs the file is refused with a code, all else is served"
    return Outcome(not failures, f"{first}; {callers.summary()}", f"{len(names)} files")


def answers(system: RunningSystem, owner: Owner) -> bool:
    """Whether a worker answers a call."""
    try:
        return code_of(called(system, owner.authorization)) is None
    except (OSError, http.client.HTTPException):
        return False


def _started_with(system: RunningSystem, path: Path, owner: Owner) -> tuple[bool, list[str]]:
    """Start a system; return whether all of it runs, and what is wrong about what it does.

    1. All of it runs.
    2. A part does not, for the file, and a log says so: the rest serves.
    3. Nothing can run without the file, and a log says so.
    """
    earlier = system.all_logs().count(str(path))

    def named() -> bool:
        return system.all_logs().count(str(path)) > earlier

    with started(system) as supervisord:
        wait_until(
            f"it serves or ends with {path.name}",
            lambda: (
                supervisord.poll() is not None
                or is_ready(system)
                or (named() and answers(system, owner))
            ),
            2 * PATIENCE,
        )
        ended = supervisord.poll() is not None
        whole = not ended and is_ready(system)
        code = None if ended else code_of(called(system, owner.authorization))
    failures = [] if code is None else [f"a call is refused: {code}"]
    if not whole and not named():
        failures.append("it does not run, and no log names the file")
    return whole, failures


def spoilt_at_start(_ground: Ground, extent: Extent) -> Outcome:
    """Start with one file after the other spoilt; repair it when nothing serves for it."""
    failures: list[str] = []
    reported: list[str] = []
    names = READ_AT_START[-extent.times :]
    # The portal is not ours: it lives on, and with it the account.
    with running_portal() as portal, prepared(OIG_PORTAL_URL=portal.base_url) as (system, var):
        (owner,) = owners(system, "spoilt", 1)
        whole, wrong = _started_with(system, var, owner)
        assert whole, wrong
        for name in names:
            path = var / name
            sound = path.read_bytes() if path.is_file() else None
            spoil(path)
            whole, wrong = _started_with(system, path, owner)
            failures += [f"{name}: {one}" for one in wrong]
            if not whole:
                reported.append(name)
                path.unlink()
            if sound is not None and path.suffix != ".pid":
                path.write_bytes(sound)
                path.chmod(0o600)
        failures += tracebacks(system)
    first = (
        "; ".join(failures) or f"reported: {', '.join(reported) or 'none'}; whole with the others"
    )
    return Outcome(not failures, first, f"{len(names)} files")


DRILLS = (
    Drill(
        "garbage-while-running",
        "each file of the running server is filled with random bytes under callers, then removed",
        "0 wrong answers, 0 failed calls; what needs the file is refused with a code; all serves "
        "again",
        Extent(times=len(READ_WHILE_RUNNING), callers=4),
        Extent(times=1, callers=2),
        spoilt_while_running,
        load=True,
    ),
    Drill(
        "garbage-at-start",
        "the server is started with random bytes in each file that it reads",
        "a log names the file that keeps something from running and all else serves, or everything "
        "ends; never a traceback",
        Extent(times=len(READ_AT_START)),
        Extent(times=1),
        spoilt_at_start,
        load=True,
    ),
)
