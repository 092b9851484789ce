"""Starting things: `cachectl` for one question, and the whole system until it answers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from .calls import MODERN, check_auth
from .effort import Effort
from .probe import answered
from .processes import ROOT, clean_env, listening, port_of, running
from .result import Budget, Figure, Line, NotMeasured, ratios
from .system import daemon, scratch

PING = Budget("at most", 6.0)
START = Budget("at most", 5.0)

PATIENCE = 60.0
"""Seconds after which a start is given up."""

SUPERVISOR_SOCKET = "tcp://0.0.0.0:8000"


def ping(effort: Effort) -> list[Line]:
    """Time `cachectl ping` and `python -c pass` in turns, each in a process of its own."""
    with scratch() as run_dir, daemon(run_dir):
        env = clean_env({"OIG_RUN_DIR": str(run_dir)})
        ours, python = [], []
        commands = (
            ([*cachectl(), "ping"], ours),
            ([sys.executable, "-c", "pass"], python),
        )
        for turn in range(3 * effort.starts + 1):
            for command, times in commands:
                seconds = _time(command, env)
                if turn:  # the first of each reads files that are in memory afterwards
                    times.append(seconds)
    return [
        Line(
            "time of `cachectl ping` / of `python -c pass`",
            values=ratios(ours, python),
            budget=PING,
            figures=[
                Figure("cachectl ping", "ms", [1e3 * each for each in ours]),
                Figure("python -c pass", "ms", [1e3 * each for each in python]),
            ],
        )
    ]


def whole_system(effort: Effort) -> list[Line]:
    """Start everything with supervisord, and wait for the first login through it."""
    first = []
    for _ in range(effort.starts):
        with scratch() as folder:
            first.append(_start(folder))
    return [
        Line(
            "from the start of supervisord to the first successful check_auth",
            unit="s",
            values=first,
            budget=START,
        )
    ]


def cachectl() -> list[str]:
    """Return how cachectl is called: by its name where it is installed, else as a module."""
    installed = Path(sys.executable).with_name("cachectl")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "cachectl"]


def _time(command: list[str], env: dict[str, str]) -> float:
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    # Not `wait(timeout)`: that looks again after 1, 3, 7, 15, 31, 63 ms, and so would be measured.
    watch = threading.Timer(PATIENCE, process.kill)
    watch.start()
    try:
        code = process.wait()
        seconds = time.perf_counter() - begin
    finally:
        watch.cancel()
        process.kill()  # nothing if it has ended, which it has unless we were interrupted
        process.wait()
    if code != 0:
        raise RuntimeError(f"{command[0]} ended with {code}")
    return seconds


def _start(folder: Path) -> float:
    ports = []
    for _ in range(2):
        with contextlib.closing(listening()) as listener:
            ports.append(port_of(listener))
    port, portal = ports
    configuration = folder / "supervisord.conf"
    configuration.write_text(_configuration(folder, port))
    env = {
        "OIG_RUN_DIR": str(folder / "run"),
        "OIG_SIMULATOR_PORT": str(portal),
        "OIG_PORTAL_URL": f"http://127.0.0.1:{portal}/",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    for name in ("run", "log"):
        (folder / name).mkdir(mode=0o700)
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(configuration)]
    request = check_auth(MODERN, port)
    begin = time.perf_counter()
    with running(command, env=env):
        while b"new_session_created" not in _answer(port, request):
            if time.perf_counter() - begin > PATIENCE:
                raise TimeoutError(f"the system did not answer within {PATIENCE:g} s")
            time.sleep(0.01)
        return time.perf_counter() - begin


def _answer(port: int, request: bytes) -> bytes:
    # supervisord binds the port long before a worker serves: the first request waits in there.
    try:
        return answered(port, request, seconds=PATIENCE)
    except OSError:
        return b""


def _configuration(folder: Path, port: int) -> str:
    """Return supervisord.conf for files in another folder, another port and the simulator."""
    text = (ROOT / "supervisord.conf").read_text()
    changes = {
        SUPERVISOR_SOCKET: f"tcp://127.0.0.1:{port}",
        "%(here)s/var/": f"{folder}/",
        "%(here)s": str(ROOT),
        "autostart=false": "autostart=true",
    }
    for old, new in changes.items():
        if old not in text:
            raise NotMeasured(f"supervisord.conf has no {old} any more; see benchmarks/startup.py")
        text = text.replace(old, new)
    return text
