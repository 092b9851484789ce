"""On what it was measured: figures without it mean nothing."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sysconfig
from importlib.metadata import version
from pathlib import Path

import psutil

from .programs import REDIS, program
from .result import NotMeasured

PACKAGES = ("mcp", "pydantic", "starlette", "uvicorn", "uvloop", "httptools", "msgpack", "redis")
"""What has a say in the figures, with `redis` for redis-py."""

OTHERS = (("memcached", "-V"), ("node", "--version"), ("wrk", "-v"))
"""Programs of rivals and of the load, with the option that asks for their version."""


def describe() -> list[tuple[str, str]]:
    """Return name and value of each fact."""
    return [
        ("processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("memory", f"{psutil.virtual_memory().total / 1e9:.0f} GB"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("Python", f"{platform.python_version()}, {_build()}"),
        ("packages", ", ".join(f"{name} {version(name)}" for name in (*PACKAGES, "hiredis"))),
        ("Redis server", _redis()),
        ("memcached, node, wrk", ", ".join(_first_line(*each) for each in OTHERS)),
        ("load average before (1, 5, 15 minutes)", load()),
    ]


def load() -> str:
    """Return how busy the machine is; what others do on it is the greatest part of the noise."""
    return ", ".join(f"{each:.2f}" for each in os.getloadavg())


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _build() -> str:
    """Say whether the interpreter was built with profiles, which makes it a sixth faster."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS"))
    return f"built {'with' if '--enable-optimizations' in options else 'without'} PGO"


def _first_line(program: str, option: str) -> str:
    path = shutil.which(program)
    if path is None:
        return f"no {program}"
    done = subprocess.run([path, option], capture_output=True, text=True, check=False)
    words = (done.stdout or done.stderr).splitlines()[0].split()
    return " ".join(words[:3]) if words else program


def _redis() -> str:
    try:
        server = program(REDIS)
    except NotMeasured:
        return "not installed"
    done = subprocess.run(
        [server.path, "--version"],
        env={**os.environ, **server.env},
        capture_output=True,
        text=True,
        check=False,
    )
    words = [word[2:] for word in done.stdout.split() if word.startswith("v=")]
    return words[0] if words else "unknown"
