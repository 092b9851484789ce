"""A client in a process of its own, driven over lines: the suite's end of adapters/lines.py."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

from .clients import RealClient
from .environments import NODE, prepared

CONNECTED = 120.0
"""Seconds until a client is connected: some load half a library first."""

ANSWERED = 240.0
"""Seconds until a request is answered, of twenty commands at once on a busy machine."""

STOPPED = 120.0
"""Seconds that a client gets to end after its last request; one ends a session with a command."""


T = TypeVar("T")


class ClientFailed(Exception):
    """A client raised instead of answering, or ended; the message says what it wrote."""


@dataclass(frozen=True)
class Answer:
    """What the user of a client gets from a call.

    Attributes:
        text: The text.
        structured: The structured content; None where the client does not show it.
        is_error: Whether it is an error; None where the client does not say.
    """

    text: str
    structured: Any
    is_error: bool | None

    @property
    def data(self) -> Any:
        """The result as data, read from the text where that is all there is.

        Raises:
            AssertionError: It is an error; the message is its text.
        """
        if self.structured is not None:
            return self.structured
        try:
            return json.loads(self.text)
        except ValueError:
            raise AssertionError(self.text) from None


class DrivenClient:
    """A connected client.

    Args:
        process: The adapter.
        errors: The file that it writes its errors to.
        browse: Opens a page that the client wants opened.
    """

    def __init__(
        self, process: subprocess.Popen[str], errors: IO[str], browse: Callable[[str], None]
    ) -> None:
        self._process = process
        self._errors = errors
        self._browse = browse
        self._ids = itertools.count(1)
        self._ready: Future[dict[str, Any]] = Future()
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._opening: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def connect(self, **members: object) -> None:
        """Say how to connect, and wait until it is done."""
        self._write(members)
        self._ready.result(CONNECTED)

    def check(self) -> None:
        """Have it see whether the server is there."""
        self.checking().result()

    def list(self) -> list[dict[str, Any]]:
        """Have it list the tools."""
        return self.listing().result()

    def call(self, tool: str, **arguments: object) -> Answer:
        """Have it call a tool."""
        return self.calling(tool, **arguments).result()

    def checking(self) -> Pending[None]:
        """Begin a check."""
        return Pending(self._ask("check"), lambda _: None)

    def listing(self) -> Pending[list[dict[str, Any]]]:
        """Begin a list."""
        return Pending(self._ask("list"), lambda said: said["tools"])

    def calling(self, tool: str, **arguments: object) -> Pending[Answer]:
        """Begin a call."""
        return Pending(
            self._ask("call", tool=tool, arguments=arguments),
            lambda said: Answer(said["text"], said["structured"], said["is_error"]),
        )

    def close(self) -> None:
        """End it.

        Raises:
            AssertionError: It did not end by itself, or ended with a failure.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            code = self._process.wait(STOPPED)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end in {STOPPED} s: {self.wrote()}") from None
        self._join()
        assert code == 0, self.wrote()

    def kill(self) -> None:
        """End it at once, and what it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._join()

    def _join(self) -> None:
        # A page that is still open would go on to whoever listens next at the client's port.
        for thread in (self._reader, *self._opening):
            thread.join(STOPPED)

    def wrote(self) -> str:
        """Return the end of what it wrote about errors."""
        self._errors.seek(0)
        return self._errors.read()[-4000:]

    def _ask(self, do: str, **members: object) -> Future[dict[str, Any]]:
        future: Future[dict[str, Any]] = Future()
        number = next(self._ids)
        with self._lock:
            self._waiting[number] = future
        self._write({"id": number, "do": do, **members})
        return future

    def _write(self, members: Mapping[str, object]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(members) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ClientFailed(f"it has ended: {self.wrote()}") from None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "open" in said:
                opening = threading.Thread(target=self._open, args=(said["open"],), daemon=True)
                self._opening.append(opening)
                opening.start()
                continue
            if "ready" in said:
                self._ready.set_result(said)
                continue
            with self._lock:
                future = self._waiting.pop(said["id"])
            if future.done():
                continue
            if "failed" in said:
                future.set_exception(ClientFailed(said["failed"]))
            else:
                future.set_result(said)
        self._fail(ClientFailed(f"it has ended: {self.wrote()}"))

    def _open(self, url: str) -> None:
        try:
            self._browse(url)
        except BaseException as exc:  # noqa: BLE001 - whoever waits for the client is to see it
            self._fail(exc)

    def _fail(self, exc: BaseException) -> None:
        with self._lock:
            waiting = [self._ready, *self._waiting.values()]
        for future in waiting:
            if not future.done():
                future.set_exception(exc)


@dataclass(frozen=True)
class Pending(Generic[T]):
    """A request under way.

    Args:
        line: The line that will answer it.
        read: What makes the answer out of that line.
    """

    line: Future[dict[str, Any]]
    read: Callable[[dict[str, Any]], T]

    def result(self, within: float = ANSWERED) -> T:
        """Wait for the answer.

        Args:
            within: Seconds.

        Raises:
            ClientFailed: The client raised, or has ended.
            TimeoutError: It did neither.
        """
        return self.read(self.line.result(within))


def _nobody_there(url: str) -> None:
    raise AssertionError(f"nobody is there to open {url}")


@contextlib.contextmanager
def connected(
    client: RealClient,
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    browse: Callable[[str], None] | None = None,
    trusted: Path | None = None,
) -> Iterator[DrivenClient]:
    """Give a client that is connected to a server, in its own environment.

    Args:
        client: Which one.
        url: Address of the MCP endpoint.
        headers: Headers for it to send.
        browse: Somebody who opens the pages that it wants opened, to log in.
        trusted: A further certificate for it to trust, as a PEM file.
    """
    environment = prepared(client.pins)
    # Short: one of them puts a socket in it.
    with (
        tempfile.TemporaryDirectory(prefix="oig") as folder,
        (Path(folder) / "errors").open("w+", encoding="utf-8") as errors,
    ):
        home = Path(folder) / "home"
        home.mkdir()
        process = subprocess.Popen(
            environment.command(client.adapter),
            env=_variables(home, trusted),
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        driven = DrivenClient(process, errors, browse or _nobody_there)
        try:
            driven.connect(
                url=url,
                headers=dict(headers or {}),
                login=browse is not None,
                folder=str(home),
                packages=str(environment.folder),
            )
            yield driven
        except BaseException:
            driven.kill()
            raise
        else:
            driven.close()
        finally:
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def _variables(home: Path, trusted: Path | None) -> dict[str, str]:
    """Return an environment without the settings, proxies and keys of whoever runs the suite."""
    # As Python, and as Node.js takes it.
    names = () if trusted is None else ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
    return {
        **{name: str(trusted) for name in names},
        "PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "",
    }
