"""The server's disk full, read-only or emptied under callers, and whole again."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from .callers import Callers, Owner, called, code_of, owners
from .daemon_losses import daemon_pid
from .drill import Drill, Extent, NotRun, Outcome
from .ground import SHARED, Ground
from .supervised import RunningSystem, prepared_system, running_system, started
from .waiting import PATIENCE, wait_until
from .worker_losses import ready_pids

SIZE = "16m"
"""Of the disk that is filled."""

CHUNK = 64 * 1024

UNWRITABLE = frozenset({"journal_unavailable", "cache_unavailable", "versions_differ"})
"""Codes by which a change is refused while nothing can be written."""

SERVED_AGAIN = 90.0
"""Seconds until all is as before at the latest: supervisord pauses for a minute at most."""


def mount(*arguments: str) -> None:
    """Run `mount`.

    Raises:
        NotRun: It is not allowed here.
    """
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotRun(f"mount needs root: {done.stderr.strip()}")


@contextlib.contextmanager
def system_on_disk() -> Iterator[RunningSystem]:
    """Give a running system whose state, but not its logs, is on a small disk of its own."""
    if os.geteuid() != 0:
        raise NotRun("mount needs root")
    with prepared_system(workers=2, **SHARED) as system, contextlib.ExitStack() as stack:
        var, logs = system.project / "var", system.project / "logs"
        logs.mkdir()
        for source, place, *options in (
            ("drill", var, "-t", "tmpfs", "-o", f"size={SIZE},mode=700"),
            (str(logs), system.log_dir, "--bind"),
        ):
            for folder in (system.run_dir, system.log_dir):
                folder.mkdir(mode=0o700, exist_ok=True)
            mount(*options, source, str(place))
            stack.callback(subprocess.run, ["umount", "--lazy", str(place)], check=False)
        system.run_dir.mkdir(mode=0o700, exist_ok=True)
        stack.enter_context(started(system))
        system.wait_ready()
        yield system


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Fill a disk to its last byte."""
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            for chunk in (CHUNK, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(chunk))
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nothing be opened for writing below a folder; what is open stays so."""
    mount("--bind", str(folder), str(folder))
    try:
        mount("-o", "remount,bind,ro", str(folder))
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def change_code(system: RunningSystem, owner: Owner) -> str | None:
    """Plan a change and apply it; return the code of the refusal, None of a success."""
    plan = called(system, owner.authorization, "plan_change", mode="Home 2")
    if plan["isError"]:
        return code_of(plan)
    told = plan["structuredContent"]
    named = {key: told[key] for key in ("box_id", "change", "plan_token")}
    return code_of(called(system, owner.authorization, "apply_change", **named))


def is_ready(system: RunningSystem) -> bool:
    """Whether a worker says that everything serves."""
    connection = http.client.HTTPConnection(system.host, system.port, timeout=PATIENCE)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wrong_of(callers: Callers) -> list[str]:
    """Return what a client that tries again notices."""
    never = [f"{callers.never_answered} calls were never answered"] * bool(callers.never_answered)
    refused = [f"refused {code}" for code in callers.refused]
    return [*callers.wrong, *never, *refused]


def tracebacks(system: RunningSystem) -> list[str]:
    """Return that something was not expected, if the logs show it."""
    return ["a traceback in the logs"] * ("Traceback" in system.all_logs())


def _broken_while(system: RunningSystem, seconds: float, newcomer: Owner, name: str) -> list[str]:
    """Use a system whose disk takes nothing, and kill a part of it; return what is wrong."""
    failures = []
    time.sleep(seconds)
    if (code := code_of(called(system, newcomer.authorization, "check_auth"))) is not None:
        failures.append(f"a new login is refused: {code}")
    if (code := change_code(system, newcomer)) not in UNWRITABLE:
        failures.append(f"a change is answered with {code or 'success'}")
    os.kill(daemon_pid(system), signal.SIGKILL)
    os.kill(ready_pids(system)[0], signal.SIGKILL)
    time.sleep(seconds)
    if (code := code_of(called(system, newcomer.authorization))) is not None:
        failures.append(f"a call on a {name} disk is refused: {code}")
    return failures


def _unwritable(extent: Extent, name: str, reason: str) -> Outcome:
    """Take the disk away and give it back.

    Args:
        extent: Of the drill.
        name: `full` or `read-only`.
        reason: Words of the operating system that the logs have to show.
    """
    with system_on_disk() as system:
        accounts = owners(system, "disk", 6)
        *settled, newcomer, later = accounts
        var = system.project / "var"
        with Callers(system, settled, extent.callers, fresh=True, retrying=True) as callers:
            callers.wait_for(2 * extent.callers)
            with full(var) if name == "full" else read_only(var):
                failures = _broken_while(system, extent.seconds, newcomer, name)
            begun = time.monotonic()
            wait_until("all serves", lambda: len(ready_pids(system)) == 2, SERVED_AGAIN)
            wait_until("all is stored", lambda: change_code(system, later) is None, SERVED_AGAIN)
            back = time.monotonic() - begun
        failures += wrong_of(callers) + tracebacks(system)
        if reason not in system.all_logs():
            failures.append(f"no log says {reason!r}")
        # What was given during the trouble is on the disk by now.
        os.kill(daemon_pid(system), signal.SIGKILL)
        daemon_pid(system)
        if (code := code_of(called(system, newcomer.authorization))) is not None:
            failures.append(f"a session of meanwhile is refused: {code}")
    first = "; ".join(dict.fromkeys(failures)) or "changes refused with a code, all else served"
    return Outcome(not failures, f"{first}; {callers.summary()}", f"whole after {back:.1f} s")


def filled(_ground: Ground, extent: Extent) -> Outcome:
    """Fill the disk that the state is on."""
    return _unwritable(extent, "full", "disk is full")


def made_read_only(_ground: Ground, extent: Extent) -> Outcome:
    """Make the disk read-only that the state is on."""
    return _unwritable(extent, "read-only", "Read-only file system")


def removed(_ground: Ground, extent: Extent) -> Outcome:
    """Remove the folders of state and logs."""
    failures: list[str] = []
    with running_system(workers=2, **SHARED) as system:
        accounts = owners(system, "vanished", 6)
        daemon, logs = daemon_pid(system), system.all_logs()
        with Callers(system, accounts, extent.callers) as callers:
            callers.wait_for(3 * extent.callers)
            for folder in (system.run_dir, system.log_dir):
                shutil.rmtree(folder)
            begun = time.monotonic()
            names = ("cache.sock", "secret", "sessions.db", "supervisord.pid")
            wait_until(
                f"{', '.join(names)} are back",
                lambda: all((system.run_dir / name).exists() for name in names),
                SERVED_AGAIN,
            )
            wait_until("it serves", lambda: is_ready(system), SERVED_AGAIN)
            back = time.monotonic() - begun
            os.kill(daemon, signal.SIGKILL)
            wait_until("another daemon serves", lambda: is_ready(system), SERVED_AGAIN)
            callers.wait_for(2 * extent.callers)
        failures += wrong_of(callers)
        attempts = system.portal_state()["logins"]["total"]["attempts"]
        if attempts > system.workers * len(accounts):
            failures.append(f"{attempts} logins of {len(accounts)} accounts")
    assert "Traceback" not in logs
    first = "; ".join(failures) or "every file but supervisord's socket is back"
    return Outcome(not failures, f"{first}; {callers.summary()}", f"whole after {back:.1f} s")


DRILLS = (
    Drill(
        "disk-full",
        "the disk of the state is filled under callers; then daemon and a worker are killed",
        "changes are refused with a code, all else is served, a log says so, and all is as before "
        "once there is room again",
        Extent(seconds=5.0, callers=4),
        Extent(seconds=0.5, callers=2),
        filled,
        load=True,
    ),
    Drill(
        "disk-read-only",
        "the disk of the state becomes read-only; then daemon and a worker are killed",
        "changes are refused with a code, all else is served, a log says so, and all is as before "
        "once it is writable again",
        Extent(seconds=5.0, callers=4),
        Extent(seconds=0.5, callers=2),
        made_read_only,
        load=True,
    ),
    Drill(
        "folders-vanished",
        "the folders of state and logs are removed under callers; then the daemon is killed",
        "0 wrong answers, 0 failed calls; every file but supervisord's socket is written again",
        Extent(callers=8),
        Extent(callers=2),
        removed,
        load=True,
    ),
)
