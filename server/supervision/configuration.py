"""supervisord.conf, and the copy of it that start_server.sh runs with other numbers in it."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Self

from ..errors import ConfigurationError
from ..settings import SOCKET_PATH_MAX_BYTES

WORKERS = "fcgi-program:mcp"

SOCKET_SUFFIX_BYTES = 8
"""supervisord binds its socket as `<path>.<its pid>` first, and renames it then."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the top of supervisord.conf says.

    Args:
        host: Address to listen at.
        port: Port to listen at.
        workers: Number of workers.
    """

    host: str
    port: int
    workers: int

    @classmethod
    def read(cls, source: str) -> Self:
        """Read it off the text of supervisord.conf.

        Raises:
            ConfigurationError: It is not there, or in a form that only supervisord understands.
        """
        parser = _parse(source)
        if not parser.has_section(WORKERS):
            raise ConfigurationError(f"supervisord.conf has no section [{WORKERS}].")
        listening = re.fullmatch(
            r"tcp://([^\s:]+):(\d+)", parser.get(WORKERS, "socket", fallback="")
        )
        workers = parser.get(WORKERS, "numprocs", fallback="1")
        if listening is None or not workers.isdecimal():
            raise ConfigurationError(
                f"[{WORKERS}] in supervisord.conf needs a socket such as tcp://0.0.0.0:8000 "
                "and a number as numprocs."
            )
        return cls(listening[1], int(listening[2]), int(workers))

    @property
    def reachable_host(self) -> str:
        """The address at which this machine reaches itself."""
        return "127.0.0.1" if self.host == "0.0.0.0" else self.host

    @property
    def url(self) -> str:
        """The address that a person on this machine uses."""
        return f"http://{'localhost' if self.host == '0.0.0.0' else self.host}:{self.port}/mcp"


def shipped(project: Path) -> str:
    """Return the text of supervisord.conf.

    Args:
        project: The folder that holds `server/`. In a checkout the file lies there, for operators
            to change; installed, the package holds it.
    """
    checkout = project / "supervisord.conf"
    if checkout.exists():
        return checkout.read_text(encoding="utf-8")
    package = resources.files(__package__)
    return package.joinpath("supervisord.conf").read_text(encoding="utf-8")


def render(source: str, here: Path, layout: Layout, *, simulator: bool) -> str:
    """Return supervisord.conf for another place and other numbers.

    Args:
        source: Text of supervisord.conf.
        here: The folder it lies in, which the copy does not.
        layout: Host, port and number of workers.
        simulator: Whether the portal simulator is started as well.
    """
    parser = _parse(source)
    for section in parser.sections():
        for option, value in parser.items(section):
            parser.set(section, option, value.replace("%(here)s", str(here).replace("%", "%%")))
    parser.set(WORKERS, "socket", f"tcp://{layout.host}:{layout.port}")
    parser.set(WORKERS, "numprocs", str(layout.workers))
    parser.set("program:simulator", "autostart", "true" if simulator else "false")
    lines = ["; Made by start_server.sh from supervisord.conf at each start. Change that one."]
    for section in parser.sections():
        lines += ["", f"[{section}]"]
        lines += [f"{option}={value}" for option, value in parser.items(section)]
    return "\n".join(lines) + "\n"


def control_socket(here: Path) -> Path:
    """Return the path of supervisord's socket.

    Raises:
        ConfigurationError: It is longer than the path of a socket may be, or supervisord cannot
            take it.
    """
    if "%" in str(here):
        raise ConfigurationError(
            f"supervisord cannot run in a folder with a percent sign in its path: {here}. Rename "
            "or move it."
        )
    path = here / "var" / "run" / "supervisor.sock"
    length = len(str(path).encode()) + SOCKET_SUFFIX_BYTES
    if length > SOCKET_PATH_MAX_BYTES:
        raise ConfigurationError(
            f"The path of this folder is too long by {length - SOCKET_PATH_MAX_BYTES} bytes for "
            f"the Unix sockets in it: {here}. Move it to a shorter one."
        )
    return path


def _parse(source: str) -> configparser.RawConfigParser:
    # The way supervisord reads it.
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    try:
        parser.read_string(source)
    except configparser.Error as exc:
        raise ConfigurationError(f"supervisord.conf cannot be read: {exc.message}") from None
    return parser
