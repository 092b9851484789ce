"""Starting the rivals."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

from ..calls import LEGACY, check_auth
from ..probe import answered
from ..processes import ROOT, listening, port_of, running
from ..result import NotMeasured
from ..system import Served, scratch, workers

OLD_SDK = ROOT / "build" / "benchmarks-venv"
"""Where the environment of the old SDK stays from one run to the next; not in git."""

INSTALL_SECONDS = 300.0


@contextlib.contextmanager
def sdk_app() -> Iterator[Served]:
    """Run two workers of the plain SDK app."""
    with (
        scratch() as ready,
        workers("benchmarks.rivals.sdk_app", ready, {"RIVAL_READY": str(ready)}) as served,
    ):
        yield served


@contextlib.contextmanager
def fastmcp1(python: Path, loop: str = "asyncio", http: str = "h11") -> Iterator[Served]:
    """Run one process of FastMCP 1.

    Args:
        python: Of the environment that `old_sdk` made.
        loop: uvicorn's loop.
        http: uvicorn's parser.
    """
    command = [str(python), "-m", "benchmarks.rivals.fastmcp1", loop, http]
    with listening() as listener:
        port = port_of(listener)
        with running(command, stdin=listener) as process:
            # The socket listens already: the first answer comes when it serves.
            answered(port, check_auth(LEGACY, port))
            yield Served(port, (process.pid,), (process.pid,))


def old_sdk() -> Path:
    """Make the environment of the old SDK unless it is there; gives its interpreter.

    Raises:
        NotMeasured: It cannot be installed here, for instance without a network.
    """
    python = OLD_SDK / "bin" / "python"
    done = OLD_SDK / "complete"
    if done.exists():
        return python
    shutil.rmtree(OLD_SDK, ignore_errors=True)
    venv.create(OLD_SDK, with_pip=True)
    packages = ["mcp<2", "uvloop", "httptools"]
    try:
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *packages],
            stdout=sys.stderr,
            timeout=INSTALL_SECONDS,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as exc:
        raise NotMeasured(f"pip could not install {' '.join(packages)}") from exc
    done.touch()
    return python
