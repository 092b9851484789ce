"""Processes started for a measurement, each stopped by its own process id whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

from .interruption import held
from .result import NotMeasured

ROOT = Path(__file__).resolve().parent.parent
"""The project's folder: everything runs in it, so that `-m` finds the packages."""

READY = 120.0
"""Seconds a process gets to be ready: it takes two at most, unless the machine is very busy."""

STOP = 20.0
"""Seconds a process gets to stop after SIGTERM, before it is killed; workers may take 11."""

LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: socket.socket | int = subprocess.DEVNULL,
    stdout: int | IO[Any] = subprocess.DEVNULL,
    stderr: int | IO[Any] | None = None,
    folder: Path = ROOT,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the end of the block.

    Args:
        command: The program and its arguments.
        env: Variables beside those of `clean_env`.
        stdin: Its descriptor 0, such as a listening socket.
        stdout: As of `subprocess`.
        stderr: As of `subprocess`.
        folder: Where it runs.
    """
    process = None
    try:
        with held():
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=clean_env(env),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                # A group of its own: Ctrl-C reaches only us, and we stop the others in their order.
                process_group=0,
            )
        yield process
    finally:
        if process is not None:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process that leads a group, and whatever it started; wait until it is gone."""
    with held():
        below = _below(process)
        if process.poll() is None:
            # The whole group: what looks like a program may be a script that runs it.
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            for left in below:
                with contextlib.suppress(psutil.NoSuchProcess):
                    left.kill()
            wait_until(lambda: all(map(_ended, below)), "the end of a killed process", seconds=STOP)
            if process.stdout is not None:
                process.stdout.close()


def _ended(process: psutil.Process) -> bool:
    """Whether a process runs no more; its entry may stay until its new parent reads it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _below(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def clean_env(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without anybody's settings of the server.

    One account calls as fast as it can: the limit of calls is off.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OIG_")}
    ours = {
        "OIG_CONFIG": os.devnull,
        "OIG_LOG_LEVEL": "WARNING",
        "OIG_CALLS_PER_MINUTE": "0",
        "PYTHONUNBUFFERED": "1",
    }
    return {**inherited, **ours, **(more or {})}


def wait_until(ready: Callable[[], bool], what: str, *, seconds: float = READY) -> None:
    """Wait until `ready` says so.

    Raises:
        TimeoutError: It did not; the text names `what`.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not ready within {seconds:g} s")
        time.sleep(0.01)


def listening() -> socket.socket:
    """Listen on a free port of this machine, as supervisord does for its workers."""
    return socket.create_server((LOOPBACK, 0), backlog=1024)


def port_of(listener: socket.socket) -> int:
    """Return the port of a listening socket."""
    return int(listener.getsockname()[1])


def ask(
    module: str, job: Mapping[str, Any], seconds: float, env: Mapping[str, str] | None = None
) -> Any:
    """Run a module of this project as a process of its own: a job in, a result out, both JSON.

    Args:
        module: Its name in this package.
        job: Written to its standard input.
        seconds: Longest time it may take.
        env: Variables beside those of `clean_env`.

    Raises:
        RuntimeError: It failed.
        TimeoutExpired: It took too long, and was stopped.
    """
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}"],
        cwd=ROOT,
        env=clean_env(env),
        input=json.dumps(job).encode(),
        stdout=subprocess.PIPE,
        timeout=seconds + READY,
        check=False,
        process_group=0,
    )
    if done.returncode != 0:
        raise RuntimeError(f"benchmarks.{module} ended with {done.returncode}")
    return json.loads(done.stdout)


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the processor time that processes have used so far."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(each.user + each.system for each in times))


def resident_bytes(pid: int) -> int:
    """Return the memory of a process that is in RAM now."""
    return int(psutil.Process(pid).memory_info().rss)


def shared_bytes(pids: Sequence[int]) -> int:
    """Return the memory of processes, each page counted once among those that share it (PSS).

    Raises:
        NotMeasured: The system does not count it.
    """
    try:
        return sum(int(psutil.Process(pid).memory_full_info().pss) for pid in pids)
    except AttributeError as exc:
        raise NotMeasured("this system does not count shared memory (PSS); Linux does") from exc


def peak_bytes(pid: int) -> int:
    """Return the most memory of a process that was ever in RAM; 0 where nobody counts it."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "VmHWM":
                return int(value.split()[0]) * 1024
    return 0
