"""A real cache daemon in a process of its own, on a run folder with a short path."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PATIENCE = 60.0
"""Seconds anything may take on a busy machine; nothing takes that long unless it is broken."""


class CacheProcess:
    """One daemon process; `running_cache` and `run_folder` make the usual ones.

    Args:
        folder: Its run folder, with socket, lock and database.
        settings: Further environment variables.
        command: Runs before `-m server.cache` in place of the interpreter alone.

    Attributes:
        path: Its socket.
        log: Every line it logged so far.
    """

    def __init__(
        self, folder: Path, settings: dict[str, str] | None = None, command: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.path = folder / "cache.sock"
        self.database = folder / "sessions.db"
        self.log: list[str] = []
        self._heard = threading.Condition()
        self._ended = False
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OIG_")}
        environment |= {"OIG_CONFIG": os.devnull, "OIG_RUN_DIR": str(folder)} | (settings or {})
        self.process = subprocess.Popen(
            [*(command or [sys.executable]), "-m", "server.cache"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_ready(self) -> None:
        """Return when the daemon says that it is ready; fail if it ends first."""
        self.wait_logged("ready")

    def wait_logged(self, text: str) -> str:
        """Return the first line that contains `text`, waiting for it."""
        with self._heard:
            found = self._heard.wait_for(lambda: self._find(text) or self._ended, PATIENCE)
            line = self._find(text)
        assert line is not None, f"{'ended' if found else 'waited'} without {text!r}: {self.log}"
        return line

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Return the exit code."""
        code = self.process.wait(seconds)
        self._listener.join(PATIENCE)
        return code

    def stop(self) -> int:
        """Stop it as supervisord would; return the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it without giving it a chance."""
        self.signal(signal.SIGKILL)
        self.wait()

    def close(self) -> None:
        """Leave nothing of it behind, however the test went."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self._listener.join(PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _find(self, text: str) -> str | None:
        return next((line for line in self.log if text in line), None)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._heard:
                self.log.append(line.rstrip("\n"))
                self._heard.notify_all()
        with self._heard:
            self._ended = True
            self._heard.notify_all()


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """Yield a folder in which a socket's path is short enough on every system."""
    top = Path(tempfile.mkdtemp(prefix="oig-", dir="/tmp"))
    try:
        yield top / "run"
    finally:
        shutil.rmtree(top)


@contextlib.contextmanager
def starting_cache(
    folder: Path, settings: dict[str, str] | None = None, command: Sequence[str] = ()
) -> Iterator[CacheProcess]:
    """Yield a daemon that may or may not come up; it is gone afterwards."""
    cache = CacheProcess(folder, settings, command)
    try:
        yield cache
    finally:
        cache.close()


@contextlib.contextmanager
def running_cache(
    folder: Path | None = None, settings: dict[str, str] | None = None
) -> Iterator[CacheProcess]:
    """Yield a daemon that is ready, in `folder` or one of its own; it is gone afterwards."""
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(run_folder())
        cache = stack.enter_context(starting_cache(folder, settings))
        cache.wait_ready()
        yield cache
