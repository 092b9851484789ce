"""A program on a real pseudo-terminal, and what a person would see on the screen.

pytest_plugins = ("tests.terminal",)

def test_it_greets(terminal):
    screen = terminal([sys.executable, "-m", "client"])
    screen.expect("oig> ")
    screen.send("exit\\r")
    assert screen.wait() == 0
"""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pyte
import pytest

ROOT = Path(__file__).parent.parent
PATIENCE = 60.0
"""Seconds to wait for anything; long, because the machine may be busy with other tests."""

OWN_TERMINAL = """\
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Makes the terminal the controlling one, to which Ctrl-C and /dev/tty belong: the first that the
leader of a new session opens."""


class Terminal:
    """A program and the screen it draws on.

    Args:
        argv: The program.
        env: Its environment.
        rows: Height of the terminal.
        columns: Width of the terminal, as the program sees it.
        seen: Width of the screen, if it is another: on a wider one nothing is folded by the screen.
        stdout: Where the program writes, if not on the screen.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        rows: int = 24,
        columns: int = 80,
        seen: int | None = None,
        stdout: int | None = None,
    ) -> None:
        self.raw = b""
        self.screen = pyte.Screen(seen or columns, rows)
        # Line editors ask where the cursor is; a terminal that does not answer slows them down.
        self.screen.write_process_input = self.send  # type: ignore[method-assign]
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWN_TERMINAL, *argv],
            cwd=ROOT,
            env=dict(env),
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, without what is blank at their ends."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()

    @property
    def echoes(self) -> bool:
        """Tell whether typed characters appear."""
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def send(self, text: str) -> None:
        """Type."""
        os.write(self._master, text.encode())

    def expect(self, text: str) -> None:
        """Wait until the screen shows `text`; blanks at a line's end are not seen."""
        self.until(lambda: text.rstrip(" ") in self.text, f"{text!r} on the screen")

    def expect_hidden(self, prompt: str) -> None:
        """Wait for a question whose answer is not echoed."""
        self.until(
            lambda: prompt.rstrip(" ") in self.text and not self.echoes, f"{prompt!r} without echo"
        )

    def until(self, done: Callable[[], bool], what: str) -> None:
        """Feed the screen until `done`; fail with a picture of it when that takes too long."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                if done():
                    return
                pytest.fail(f"waited for {what}; the screen shows:\n{self.text}")

    def wait(self) -> int:
        """Read to the end of the program and return its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._read(max(0.0, deadline - time.monotonic())):
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def close(self) -> None:
        """End the program, whatever it does."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        os.close(self._master)

    def _read(self, seconds: float) -> bool:
        """Read once, in small steps so that a changed echo mode is noticed too."""
        ready, _, _ = select.select([self._master], [], [], min(seconds, 0.05))
        if not ready:
            return seconds > 0
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux: the last writer closed the terminal
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Start programs on terminals of 80x24; all are ended after the test."""
    opened: list[Terminal] = []
    plain = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "TZ": "UTC",
        # A desktop's own keyring would ask the person at the screen.
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }

    def start(argv: Sequence[str], env: Mapping[str, str] | None = None, **more) -> Terminal:
        opened.append(Terminal(argv, plain | dict(env or {}), **more))
        return opened[-1]

    yield start
    for each in opened:
        each.close()
