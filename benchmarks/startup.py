"""Starting things: `cachectl` for one question, and the whole system until it answers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .calls import EMAIL, MODERN, PASSWORD, PATH, check_auth
from .effort import Effort
from .probe import answered
from .processes import ROOT, clean_env, listening, port_of, running
from .result import Budget, Figure, Line, NotMeasured, ratios
from .system import daemon, scratch, system

PING = Budget("at most", 6.0)
CLIENT = Budget("at most", 0.7)
START = Budget("at most", 5.0)

PATIENCE = 120.0
"""Seconds after which a start is given up."""

SUPERVISOR_SOCKET = "tcp://0.0.0.0:8000"


def ping(effort: Effort) -> list[Line]:
    """Time `cachectl ping` and `python -c pass` in turns, each in a process of its own."""
    with scratch() as run_dir, daemon(run_dir):
        return [
            _compared(
                [*cachectl(), "ping"],
                "pass",
                PING,
                {"OIG_RUN_DIR": str(run_dir)},
                effort,
                "A script may ask often whether the daemon is well.",
            )
        ]


def live(effort: Effort) -> list[Line]:
    """Time `oig-client live` and `import mcp` in turns, each in a process of its own."""
    with scratch() as home, system(OIG_LIVE_TTL="3600") as ours:
        env = {
            "HOME": str(home),
            "OIG_MCP_URL": f"http://127.0.0.1:{ours.served.port}{PATH}",
            "OIG_EMAIL": EMAIL,
            "OIG_PASSWORD": PASSWORD,
        }
        return [
            _compared(
                [sys.executable, "-m", "client", "live"],
                "import mcp",
                CLIENT,
                env,
                effort,
                "In a terminal the box's state is there before an SDK would be loaded.",
            )
        ]


def _compared(
    command: Sequence[str],
    python: str,
    budget: Budget,
    env: Mapping[str, str],
    effort: Effort,
    means: str,
) -> Line:
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(3 * effort.starts + 1):
        for words, times in ((command, ours), ([sys.executable, "-c", python], theirs)):
            seconds = _time(words, clean_env(env))
            if turn:  # the first of each reads files that are in memory afterwards
                times.append(seconds)
    what, other = f"{Path(command[0]).name} {' '.join(command[1:])}", f"python -c '{python}'"
    what = what.replace("python -m client", "oig-client")
    return Line(
        f"time of `{what}` / of `{other}`",
        values=ratios(ours, theirs),
        budget=budget,
        figures=[
            Figure(one, "ms", [1e3 * each for each in times])
            for one, times in ((what, ours), (other, theirs))
        ],
        means=means,
    )


def whole_system(effort: Effort) -> list[Line]:
    """Start everything with supervisord, and wait for the first login through it."""
    first = []
    for _ in range(effort.starts):
        with scratch() as folder, started(folder) as made:
            first.append(made.seconds)
    return [
        Line(
            "from the start of supervisord to the first successful check_auth",
            unit="s",
            values=first,
            budget=START,
            means="How long nobody is served after a start of the machine.",
        )
    ]


@dataclass(frozen=True, slots=True)
class Started:
    """The whole system, under supervisord.

    Args:
        port: Where it answers.
        seconds: From the start of supervisord to the first login.
    """

    port: int
    seconds: float


@contextlib.contextmanager
def started(
    folder: Path, portal_url: str = "", before: Sequence[str] = (), **settings: str
) -> Iterator[Started]:
    """Run the whole system as supervisord does, until the end of the block.

    Args:
        folder: For all its files.
        portal_url: Of the simulated portal; empty for one that supervisord runs as well.
        before: A command that runs what follows it.
        settings: Further variables.
    """
    ports = []
    for _ in range(2):
        with contextlib.closing(listening()) as listener:
            ports.append(port_of(listener))
    port, portal = ports
    configuration = folder / "supervisord.conf"
    configuration.write_text(_configuration(folder, port, simulated=not portal_url))
    env = {
        "OIG_RUN_DIR": str(folder / "run"),
        "OIG_SIMULATOR_PORT": str(portal),
        "OIG_PORTAL_URL": portal_url or f"http://127.0.0.1:{portal}/",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        **settings,
    }
    for name in ("run", "log"):
        (folder / name).mkdir(mode=0o700)
    command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(configuration)]
    request = check_auth(MODERN, port)
    begin = time.perf_counter()
    with running([*before, *command], env=env):
        while b"new_session_created" not in _answer(port, request):
            if time.perf_counter() - begin > PATIENCE:
                raise TimeoutError(f"the system did not answer within {PATIENCE:g} s")
            time.sleep(0.01)
        yield Started(port, time.perf_counter() - begin)


def cachectl() -> list[str]:
    """Return how cachectl is called: by its name where it is installed, else as a module."""
    installed = Path(sys.executable).with_name("cachectl")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "cachectl"]


def _time(command: Sequence[str], env: Mapping[str, str]) -> float:
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, process_group=0
    )
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


def _answer(port: int, request: bytes) -> bytes:
    # supervisord binds the port long before a worker serves: the first request waits in there.
    try:
        return answered(port, request, seconds=PATIENCE)
    except OSError:
        return b""


def _configuration(folder: Path, port: int, *, simulated: bool) -> str:
    """Return supervisord.conf for files in another folder, another port, perhaps the simulator."""
    text = (ROOT / "supervisord.conf").read_text()
    changes = {
        SUPERVISOR_SOCKET: f"tcp://127.0.0.1:{port}",
        "%(here)s/var/": f"{folder}/",
        "%(here)s": str(ROOT),
    }
    if simulated:
        changes["autostart=false"] = "autostart=true"
    for old, new in changes.items():
        if old not in text:
            raise NotMeasured(f"supervisord.conf has no {old} any more; see benchmarks/startup.py")
        text = text.replace(old, new)
    return text
