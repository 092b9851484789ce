"""Getting a password, or any missing value, from the person without showing it to anybody else."""

from __future__ import annotations

import codecs
import getpass
import select
import signal
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .console import forget_typed, is_terminal
from .failures import UsageFailure
from .readable import clean, one_line

MAX_LINE = 4096
"""Bytes read for a password: more than any portal takes, and a bound on what is piped in."""

NEEDED = "A value is needed; Ctrl-C stops."


class Asker:
    """Ask on the terminal, or take what scripts provide.

    Args:
        environ: Where OIG_EMAIL, and OIG_PASSWORD or OIG_PASSWORD_FILE may be.
        password_stdin: Take the password from the first line of standard input.
        prompts: False when standard input is no terminal, or has commands.
    """

    def __init__(
        self, environ: Mapping[str, str], *, password_stdin: bool = False, prompts: bool
    ) -> None:
        self._environ = environ
        self._password_stdin = password_stdin
        self._read_line: str | None = None
        self.prompts = prompts

    @property
    def email(self) -> str | None:
        """The e-mail that the environment names."""
        return self._environ.get("OIG_EMAIL", "").strip() or None

    @property
    def has_password(self) -> bool:
        """True when a password was provided, so that none is asked for."""
        return self._provided() is not None

    def secret(self, name: str, label: str, *, optional: bool = False) -> str | None:
        """Return the secret `name`, or None where it is optional and nobody gave one.

        Raises:
            UsageFailure: There is nobody to ask, or the answer cannot be used.
        """
        if name == "password" and (given := self._provided()) is not None:
            return _usable(given, name)
        if not self.prompts:
            if optional:
                return None
            raise _nobody_to_ask(name)
        answer = _without_echo(f"{one_line(label)}: ")
        if not answer and optional:
            return None
        return _usable(answer, name)

    def need_password(self) -> None:
        """Return if a password was provided or can be asked for.

        Raises:
            UsageFailure: There is neither.
        """
        if not (self.prompts or self.has_password):
            raise _nobody_to_ask("password")

    def value(self, label: str, *, fresh: bool = False) -> str:
        """Ask for something that may be seen.

        Args:
            label: What is asked for.
            fresh: Take no answer that was typed before the question could be read.

        Raises:
            UsageFailure: There is nobody to ask.
        """
        assert self.prompts, "the caller asks only where somebody can answer"
        if fresh:
            forget_typed()
        with _own_line():
            sys.stderr.write(f"{one_line(label)}: ")
            sys.stderr.flush()
            _until_typed()
            line = sys.stdin.readline()
        if not line:
            sys.stderr.write("\n")
            raise UsageFailure("Nothing was given.", kind="no_answer")
        return line.strip()

    def wanted(self, label: str) -> str:
        """Ask for something that may be seen until something is given.

        Raises:
            UsageFailure: There is nobody to ask, or they left.
        """
        while not (text := self.value(label)):
            self.say(NEEDED)
        return text

    def say(self, text: str) -> None:
        """Tell the person why the last answer cannot be used."""
        sys.stderr.write(f"{clean(text)}\n")

    def _provided(self) -> str | None:
        if self._password_stdin and not is_terminal(sys.stdin):
            if self._read_line is None:
                self._read_line = _first_line(sys.stdin.buffer, "standard input")
            return self._read_line
        if self._password_stdin:
            return None
        given, path = (self._environ.get(name) for name in ("OIG_PASSWORD", "OIG_PASSWORD_FILE"))
        if not path:
            return given
        if given is not None:
            raise UsageFailure("OIG_PASSWORD and OIG_PASSWORD_FILE are both set: unset one.")
        if self._read_line is None:
            self._read_line = _line_of(Path(path))
        return self._read_line


def _until_typed() -> None:
    """Return when there is something to read; Ctrl-C ends the wait whenever it comes.

    Python only notes a signal, and acts on it between two steps of its own. One that came just
    before the system slept in `read` was acted on when the next line had been typed. Here it is
    written to a socket as well, which wakes us.
    """
    noted, notes = socket.socketpair()
    with noted, notes:
        notes.setblocking(False)
        before = signal.set_wakeup_fd(notes.fileno(), warn_on_full_buffer=False)
        try:
            # Windows waits for sockets only.
            with suppress(OSError, ValueError):
                while sys.stdin not in select.select([sys.stdin, noted], [], [])[0]:
                    noted.recv(64)
        finally:
            signal.set_wakeup_fd(before)


@contextmanager
def _own_line() -> Iterator[None]:
    """End the line of a question that Ctrl-C or Ctrl-D leaves unanswered."""
    try:
        yield
    except (KeyboardInterrupt, EOFError):
        sys.stderr.write("\n")
        raise


def _nobody_to_ask(name: str) -> UsageFailure:
    text = f"There is no terminal to ask for the {name} on."
    cure = " Set OIG_PASSWORD or use --password-stdin." if name == "password" else ""
    return UsageFailure(text + cure, kind="missing_secret")


def _line_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return _first_line(file, f"the file {path} in OIG_PASSWORD_FILE")
    except OSError as exc:
        raise UsageFailure(
            f"The file {path} in OIG_PASSWORD_FILE cannot be read: {exc.strerror}."
        ) from None


def _first_line(source: BinaryIO, name: str) -> str:
    line = source.readline(MAX_LINE + 1)
    if len(line) > MAX_LINE:
        raise UsageFailure(
            f"The first line of {name} is longer than {MAX_LINE} bytes: no password."
        )
    # Only the line's end goes, since a password may begin or end with a space; and the mark that
    # Windows' programs put before UTF-8.
    return line.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n").decode("utf-8", "surrogateescape")


def _without_echo(prompt: str) -> str:
    with warnings.catch_warnings():
        # getpass would go on with the echo on; rather no password than a visible one.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            with _own_line():
                return getpass.getpass(prompt, stream=sys.stderr)
        except getpass.GetPassWarning:
            message = "This terminal cannot hide what is typed. Use --password-stdin."
        except EOFError:
            message = "No password was given."
        except UnicodeDecodeError:
            message = "What was typed is not valid in this terminal's encoding."
    raise UsageFailure(message, kind="no_answer")


def _usable(secret: str, name: str) -> str:
    if not secret:
        raise UsageFailure(f"The {name} is empty.", kind="missing_secret")
    try:
        secret.encode()
    except UnicodeEncodeError:
        # From a file or environment in another encoding; it could not be sent as JSON.
        raise UsageFailure(f"The {name} is not valid UTF-8.") from None
    return secret
