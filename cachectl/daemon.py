"""The cache daemon as the commands see it, with words for every way in which it may fail them."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from server.as_user import as_owner, as_user, elsewhere, user_name
from server.cache.blocking import BlockingClient, RefusedError
from server.cache.hello import Welcome
from server.cache.peer_credentials import ForeignUserError
from server.errors import CacheUnavailable, ConfigurationError, RemoteProtocolError

from .failures import NotRunning, Refused, Unreachable, Usage
from .units import text

if TYPE_CHECKING:
    from server.settings.table import Settings

TIMEOUT = 2.0
"""Seconds for connecting and for each answer, of which the slowest takes some milliseconds."""

START = (
    "Start the server with oig-cloud-mcp serve (systemctl start oig-cloud-mcp, where systemd runs "
    "it), or it alone with python -m server.cache."
)


CHANGES = frozenset({"flush", "unlock", "forget", "reload"})
"""Verbs that change something."""

LATER = " What was asked may be done all the same, now or later: run this again when it answers."


class Daemon:
    """A connection to the daemon; a context manager.

    Args:
        path: Its socket; None for the one in the settings.
    """

    called = "cache daemon"
    order = "latest used first"

    def __init__(self, path: Path | None) -> None:
        self._path = path or settings().cache_socket
        self._client = BlockingClient(self._path, TIMEOUT)

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            Unreachable: Nobody listens, or not to us.
        """
        try:
            self._client.__enter__()
        except CacheUnavailable as exc:
            raise self._unreachable(exc.__cause__) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def call(
        self, verb: str, *args: bytes | str | int | None, fields: Sequence[type]
    ) -> tuple[Any, ...]:
        """Ask, and return these fields of the answer; a newer daemon may send more of them.

        Args:
            verb: What to ask.
            args: Its arguments.
            fields: The type of each field; a tuple is one of mappings.

        Raises:
            Refused: The daemon answered with an error.
            Unreachable: It did not answer, or what answers is no such daemon.
        """
        with self._in_words(verb):
            answer = self._client.call(verb, *args)
        if len(answer) < len(fields) or not all(map(_fits, answer, fields)):
            raise self._foreign()
        return answer[: len(fields)]

    def hello(self) -> Welcome:
        """Ask the daemon who it is.

        Raises:
            Refused: As `call`.
            Unreachable: As `call`.
        """
        with self._in_words():
            return self._client.hello("cachectl")

    def refuse_other_secret(self) -> None:
        """Make sure that the daemon knows accounts under the fingerprints that are made here.

        1. It works with the secret that is read here: so it does.
        2. It works with another one: it would find nothing, and that would look like success.
        3. It has none yet: nobody knows, so the command goes on.

        Raises:
            Usage: The environment is wrong.
            Refused: The secrets differ, or the one here is missing or unusable.
            Unreachable: As `call`.
        """
        import hmac  # noqa: PLC0415 - few commands need it

        from server.keys.fingerprint import secret_tag  # noqa: PLC0415

        ours = secret_tag(_secret())
        theirs = self.hello().tag
        if theirs is not None and not hmac.compare_digest(ours, theirs):
            raise Refused(
                f"The secret {text(settings().secret_file)} is not the one that the daemon at "
                f"{self._path} works with, so it knows no account by what is made of an e-mail "
                "here. Nothing was done. Set OIG_SECRET_FILE as the server has it; if that is so, "
                "the server runs with a secret of before: restart the whole server."
            )

    @contextmanager
    def _in_words(self, verb: str = "hello") -> Iterator[None]:
        try:
            yield
        except CacheUnavailable as exc:
            later = LATER if verb in CHANGES else ""
            raise self._unreachable(exc.__cause__, later) from None
        except RefusedError as exc:
            if exc.code == "shutdown":
                raise Unreachable(f"The cache daemon at {self._path} is just stopping.") from None
            if exc.code == "version":
                raise self._foreign() from None
            if exc.code == "settings":
                raise Refused(f"{text(exc.reason)} Nothing was changed.") from None
            raise Refused(text(exc)) from None
        except RemoteProtocolError:
            raise self._foreign() from None

    def _foreign(self) -> Unreachable:
        return Unreachable(
            f"What listens at {self._path} does not speak this version of the cache protocol: "
            "another program, or a daemon of another version."
        )

    def _unreachable(self, cause: BaseException | None, later: str = "") -> Unreachable:
        path = self._path
        match cause:
            case FileNotFoundError() | NotADirectoryError():
                return NotRunning(
                    f"The cache daemon is not running: there is no socket {path}. "
                    f"{START}{_elsewhere()}"
                )
            case ConnectionRefusedError():
                return NotRunning(
                    f"The cache daemon is not running: nobody listens at {path}. "
                    f"{START}{_elsewhere()}"
                )
            case ForeignUserError(uid=uid):
                message = (
                    f"What listens at {path} belongs to another user, {user_name(uid)}; nothing "
                    "was said to it. If the server runs as that user, so must cachectl. "
                    f"{as_user(uid)}"
                )
            case PermissionError():
                message = (
                    f"The cache daemon is not reachable: permission denied for {path}. "
                    f"{as_owner(path)}"
                )
            # What a non-blocking connect says when the queue of connections is full.
            case TimeoutError() | BlockingIOError():
                message = (
                    f"The cache daemon at {path} is there and does not answer within "
                    f"{TIMEOUT:g} s.{later} Look into cache.log in OIG_LOG_DIR; {_restart()}"
                )
            case None | ConnectionError():
                message = (
                    f"The cache daemon at {path} closed the connection: it belongs to another "
                    f"user, has too many connections, or is just stopping.{later}"
                )
            case _:
                reason = getattr(cause, "strerror", None) or type(cause).__name__
                message = f"The cache daemon at {path} is not reachable: {reason}.{later}"
        return Unreachable(message)


def _restart() -> str:
    """Return how the daemon is restarted, ready for a shell."""
    configuration = "supervisord.conf"  # of a checkout, which supervisord runs with by itself
    with suppress(Usage):
        made = settings().state_dir / "run" / "oig-cloud-mcp.conf"
        if made.exists():
            configuration = shlex.quote(str(made))
    return f"supervisorctl -c {configuration} restart cache"


def _elsewhere() -> str:
    """Say that another user's server may be meant; nothing where none is known."""
    with suppress(Usage):
        return elsewhere(settings().state_dir)
    return ""


def _fits(value: object, kind: type) -> bool:
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    return not isinstance(value, tuple) or all(isinstance(row, Mapping) for row in value)


def settings() -> Settings:
    """Read from the environment and the settings file where the server's files are.

    What is wrong with other settings is a warning.

    Raises:
        Usage: One of the places is wrong.
    """
    from server.settings.loading import load_places  # noqa: PLC0415 - not with --socket, and slow

    try:
        return load_places(os.environ, _warn)
    except ConfigurationError as exc:
        raise Usage(str(exc)) from None


def check_settings() -> None:
    """Return when nothing is wrong with any setting.

    Raises:
        Usage: One of them is wrong.
    """
    from server.settings.loading import load  # noqa: PLC0415 - as in `settings`

    try:
        load(os.environ)
    except ConfigurationError as exc:
        raise Usage(str(exc)) from None


def _warn(wrong: str) -> None:
    # Several steps of one command read the settings.
    if wrong not in _warned:
        _warned.add(wrong)
        sys.stderr.write(f"cachectl: Warning: {text(wrong)}\n")


_warned: set[str] = set()


def fingerprint(email: str, *, folded: bool = False) -> bytes:
    """Turn an e-mail into what the daemon knows an account by; it goes no further than this.

    Args:
        email: The account's e-mail in any spelling.
        folded: Whether the key is wanted under which its failed logins are counted.

    Raises:
        Usage: The environment is wrong.
        Refused: The secret is missing or unusable.
    """
    from server.keys.fingerprint import account_key, budget_key  # noqa: PLC0415 - few need these

    secret = _secret()
    return budget_key(secret, email) if folded else account_key(secret, email)


def _secret() -> bytes:
    """Read the secret.

    Raises:
        Usage: The environment is wrong.
        Refused: It is missing or unusable.
    """
    from server.keys.secret import read_secret  # noqa: PLC0415 - few need it

    try:
        return read_secret(settings().secret_file)
    except ConfigurationError as exc:
        raise Refused(str(exc)) from None
