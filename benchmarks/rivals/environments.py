"""Where rivals are installed, from the registries: a folder that stays from run to run, not in git.

All versions are pinned: a figure is of them and of no others.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

from ..processes import ROOT, running
from ..programs import NODE, program
from ..progress import say
from ..result import NotMeasured

FOLDER = ROOT / "build" / "rivals"

FASTMCP_1 = ("mcp==1.30.0", "uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0")
FASTMCP = ("fastmcp==4.2.3", "uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0")
TYPESCRIPT_1 = ("@modelcontextprotocol/sdk@1.32.2", "zod@4.6.7")
TYPESCRIPT_2 = (
    "@modelcontextprotocol/server@2.4.0",
    "@modelcontextprotocol/node@2.1.2",
    "zod@4.6.7",
)
MEMCACHED = ("emcache==1.3.3",)
"""The client of memcached for asyncio that is released most often; it opens Unix sockets."""

INSTALL_SECONDS = 300.0


def python_with(packages: Sequence[str]) -> Path:
    """Return the interpreter of an environment with these packages.

    Raises:
        NotMeasured: They cannot be installed here, for instance without a network.
    """

    def install(folder: Path) -> None:
        venv.create(folder, with_pip=True)
        _run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages])

    return _made(packages, install) / "bin" / "python"


def folder_with(packages: Sequence[str]) -> Path:
    """Return a folder with Python packages for this interpreter, to be added to its path.

    Raises:
        NotMeasured: They cannot be installed here.
    """
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    return _made(packages, lambda folder: _run([*pip, str(folder), *packages]))


def node_with(packages: Sequence[str]) -> tuple[str, Path]:
    """Return node itself, not a script that starts it, and the folder that has these packages.

    Raises:
        NotMeasured: There is no node or no npm, or they cannot be installed here.
    """
    node = program(NODE).path

    def install(folder: Path) -> None:
        folder.mkdir(parents=True)
        _run(["npm", "install", "--silent", "--no-audit", "--no-fund", *packages], folder)

    # In a virtual environment `node` may be a script that runs the program as another process.
    asked = [node, "-p", "process.execPath"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True)
    except (subprocess.SubprocessError, OSError) as exc:
        raise NotMeasured(f"{' '.join(asked)} failed: {type(exc).__name__}") from exc
    return said.stdout.strip(), _made(packages, install)


def _made(packages: Sequence[str], install: Callable[[Path], None]) -> Path:
    name = packages[0].replace("/", "-").lstrip("@")
    folder = FOLDER / f"{name}-python{sys.version_info.major}.{sys.version_info.minor}"
    done = folder / "complete"
    if not done.exists():
        where = FOLDER.relative_to(ROOT)
        say(f"installing {' '.join(packages)} from its registry into {where}/")
        shutil.rmtree(folder, ignore_errors=True)
        install(folder)
        done.touch()
    return folder


def _run(command: Sequence[str], folder: Path = ROOT) -> None:
    """Install something; what the installer prints is shown only if it fails.

    Its input is empty: it asks nobody anything.
    """
    failed = ""
    with tempfile.TemporaryFile() as printed:
        try:
            with running(command, stdout=printed, stderr=printed, folder=folder) as process:
                if code := process.wait(INSTALL_SECONDS):
                    failed = f"ended with {code}"
        except (subprocess.TimeoutExpired, OSError) as exc:
            failed = f"failed: {type(exc).__name__}"
        if failed:
            printed.seek(0)
            sys.stderr.buffer.write(printed.read())
            raise NotMeasured(f"{' '.join(command)} {failed}")
