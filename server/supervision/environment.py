"""The project's own environment, `.venv`: created when missing, updated when something changed.

Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

LOCK = "requirements.lock"
PROGRAM = (LOCK, "requirements.txt", "pyproject.toml")
CHECKS = ("requirements-dev.txt",)

NEWEST_LOCKED = (3, 15)
"""The newest Python for which the locked versions have ready-made packages. A newer one gets what
fits requirements.txt: the locked versions would have to be compiled, and may not even compile."""

BASE = str(getattr(sys, "_base_executable", sys.executable))
"""The Python outside of any environment: one that is about to be replaced cannot make another."""


class InstallationFailed(Exception):
    """The environment could not be made; the message says what to do."""


def run(command: Sequence[str], *, quiet: bool = False) -> bool:
    """Run a command; say whether it succeeded.

    Args:
        command: Program and arguments.
        quiet: Whether to drop its output, where a failure is an answer.
    """
    output = subprocess.DEVNULL if quiet else None
    try:
        process = subprocess.Popen(  # noqa: S603 - nobody else's words are in it
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ctrl-C is for us: each Python below would show a traceback of its own.
            process_group=0,
        )
    except OSError:
        return False
    try:
        return process.wait() == 0
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


@dataclass(frozen=True, slots=True)
class Environment:
    """`.venv` in the project's folder.

    A file in it says for which folder and which requirements it was installed, so that a second
    start takes no time.
    """

    project: Path
    say: Callable[[str], None]

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.project / ".venv" / "bin" / "python3"

    def prepare(self, *, checks: bool) -> bool:
        """Make and install what is missing.

        Args:
            checks: Whether to install requirements-dev.txt too.

        Returns:
            Whether anything was installed.

        Raises:
            InstallationFailed: Something is missing, pip failed, or `.venv` cannot be written to.
        """
        stamp = self._read_stamp()
        wanted = {name: self._digest(name) for name in PROGRAM + (CHECKS if checks else ())}
        made_for = f"Python {sys.version_info[0]}.{sys.version_info[1]} in {self.project}"
        usable = run([str(self.python), "-c", "import encodings"], quiet=True)
        if not usable or self._is_half_made() or stamp.get("made for", made_for) != made_for:
            self._make()
            stamp = {}
        if all(stamp.get(name) == digest for name, digest in wanted.items()):
            return False
        self._install(["requirements.txt", *(CHECKS if checks else ())])
        content = json.dumps({"made for": made_for, **wanted}, indent=1)
        try:
            self._stamp.write_text(content + "\n", encoding="utf-8")
        except OSError as exc:
            raise InstallationFailed(
                f"{self._stamp} cannot be written ({exc.strerror}): without it, everything would "
                "be installed again at each start. With --no-install, .venv is used as it is."
            ) from None
        return True

    @property
    def _stamp(self) -> Path:
        return self.project / ".venv" / "installed.json"

    def _is_half_made(self) -> bool:
        # venv writes pyvenv.cfg first and the scripts last. Other tools may write neither.
        made = self.project / ".venv"
        return (made / "pyvenv.cfg").exists() and not (made / "bin" / "activate").exists()

    def _read_stamp(self) -> dict[str, str]:
        try:
            stamp = json.loads(self._stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def _digest(self, name: str) -> str:
        return hashlib.sha256((self.project / name).read_bytes()).hexdigest()

    def _make(self) -> None:
        self.say("Making the environment .venv")
        options = ["--clear"]
        if not run([BASE, "-c", "import ensurepip"], quiet=True):
            # Debian has it in a separate package. A pip outside can install into .venv as well.
            if not run([BASE, "-m", "pip", "--version"], quiet=True):
                raise InstallationFailed(
                    f"{BASE} can make no environment: it has neither ensurepip nor pip. "
                    "On Debian and Ubuntu: apt-get install python3-venv"
                )
            options.append("--without-pip")
        if not run([BASE, "-m", "venv", *options, str(self.project / ".venv")]):
            raise InstallationFailed(f"{BASE} could not make .venv; its words are above.")

    def _install(self, files: Sequence[str]) -> None:
        self.say(f"Installing {' and '.join(files)} into .venv (once, about a minute)")
        pip = [str(self.python), "-m", "pip"]
        if not run([*pip, "--version"], quiet=True):
            pip = [BASE, "-m", "pip", "--python", str(self.python)]
        options = ["--quiet", "--disable-pip-version-check", "--no-input"]
        # The locked versions first, and by themselves: pip checks hashes of all or of none, and the
        # project itself has none. What follows finds its requirements met.
        if sys.version_info[:2] > NEWEST_LOCKED:
            self.say(f"{LOCK} knows no Python as new as this one: taking versions that fit.")
        elif not run([*pip, "install", *options, "--require-hashes", "-r", LOCK]):
            raise InstallationFailed(
                f"pip could not install {LOCK}; its words are above. Without a way to the package "
                "index, install elsewhere and use --no-install. Where a locked version does not "
                "exist for this machine: pip install -r requirements.txt takes others that fit, "
                "and --no-install keeps them."
            )
        for file in files:
            options += ["-r", file]
        if not run([*pip, "install", *options]):
            raise InstallationFailed(
                "pip could not install everything; its words are above. Without a way to the "
                "package index, install elsewhere and use --no-install."
            )
