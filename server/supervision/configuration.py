"""supervisord.conf, and the copy of it that oig-cloud-mcp runs with other numbers and places."""

from __future__ import annotations

import configparser
import re
import shlex
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Self

from ..errors import ConfigurationError
from ..settings.table import SOCKET_PATH_MAX_BYTES

WORKERS = "fcgi-program:mcp"
DAEMON = "program:cache"

SOCKET_SUFFIX_BYTES = 8
"""supervisord binds its socket as `<path>.<its pid>` first, and renames it then."""

IDENTIFIER = "oig-cloud-mcp"
"""What supervisord says of itself when it runs with a copy."""

PYTHON = "/usr/bin/env python3 "
"""How commands in supervisord.conf begin."""

SEARCH = re.compile(r'PATH="%\(here\)s/\.venv/bin:%{1,2}\(ENV_PATH\)s",?')
"""The PATH of supervisord.conf, as it is shipped and as it was before, with one %."""

ONCE = re.compile(r"(?<!%)%\((ENV_[^)]*)\)s")
"""A variable that supervisord puts in when it first expands an option."""


NO_DAEMON = (
    f"supervisord.conf has no section [{DAEMON}], and OIG_CACHE_URL, with which no cache daemon is "
    "needed, is not set. Put one of them right."
)


@dataclass(frozen=True, slots=True)
class Layout:
    """What the top of supervisord.conf says.

    Args:
        host: Address to listen at.
        port: Port to listen at.
        workers: Number of workers.
        secure: Where clients reach workers that speak TLS, such as `https://oig.home.arpa:8000`;
            None where they speak none. supervisord.conf says nothing of it.
        public: `OIG_PUBLIC_URL`; None where clients call no other address than this machine.
        daemon: Whether a cache daemon runs; not where `OIG_CACHE_URL` leads to what is shared.
    """

    host: str
    port: int
    workers: int
    secure: str | None = None
    public: str | None = None
    daemon: bool = True

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
            r"tcp://([^\s:]+):([0-9]+)", parser.get(WORKERS, "socket", fallback="")
        )
        workers = parser.get(WORKERS, "numprocs", fallback="1")
        if listening is None or not re.fullmatch("[0-9]+", workers):
            raise ConfigurationError(
                f"[{WORKERS}] in supervisord.conf needs a socket such as tcp://0.0.0.0:8000 "
                "and a number as numprocs."
            )
        daemon = parser.has_section(DAEMON)
        return cls(listening[1], int(listening[2]), int(workers), daemon=daemon)

    @property
    def reachable_host(self) -> str:
        """The address at which this machine reaches itself."""
        return "127.0.0.1" if self.host == "0.0.0.0" else self.host

    @property
    def url(self) -> str:
        """The address that a person on this machine uses."""
        if self.secure is not None:
            return f"{self.secure}/mcp"
        local = self.host in {"0.0.0.0", "127.0.0.1"}
        return f"http://{'localhost' if local else self.host}:{self.port}/mcp"

    @property
    def called(self) -> str:
        """The address that clients are given: at another one no browser login is found."""
        return self.url if self.public is None else f"{self.public}/mcp"

    @property
    def elsewhere(self) -> str:
        """A sentence about where clients call, where that is not `url`; empty where it is."""
        return "" if self.called == self.url else f" Clients call {self.called}."


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a running system has its files.

    Args:
        project: Holds `server/`; nothing is written there.
        state: `OIG_STATE_DIR`.
        logs: `OIG_LOG_DIR`.
    """

    project: Path
    state: Path
    logs: Path

    @property
    def run(self) -> Path:
        """Folder of supervisord's own files while it runs, wherever OIG_RUN_DIR points."""
        return self.state / "run"

    @property
    def control(self) -> Path:
        """The socket of supervisord."""
        return self.run / "supervisor.sock"

    @property
    def pid_file(self) -> Path:
        """File with supervisord's process id; it removes it at its end."""
        return self.run / "supervisord.pid"

    @property
    def configuration(self) -> Path:
        """The copy that supervisord reads."""
        return self.run / "oig-cloud-mcp.conf"

    def log_files(self, workers: int, *, simulator: bool) -> list[Path]:
        """Return all logs that supervisord writes, its own first."""
        group = WORKERS.partition(":")[2]
        names = ["supervisord", "cache", *(f"{group}-{number}" for number in range(workers))]
        if simulator:
            names.append("simulator")
        return [self.logs / f"{name}.log" for name in names]

    def check(self) -> None:
        """Return when supervisord can work with all of them.

        Raises:
            ConfigurationError: It cannot; the text says why and what to do.
        """
        for folder in (self.project, self.state, self.logs):
            # supervisord takes what follows for a comment, and knows no quotes there.
            if re.search(r"\s[;#]|[\r\n\"]|%\(here\)s", str(folder)):
                raise ConfigurationError(
                    "supervisord cannot use a folder with a space before ; or #, a quotation "
                    f"mark, a line break or %(here)s in its path: {str(folder)!r}. Rename it, or "
                    "set OIG_STATE_DIR and OIG_LOG_DIR to others."
                )
        excess = len(str(self.control).encode()) + SOCKET_SUFFIX_BYTES - SOCKET_PATH_MAX_BYTES
        if excess > 0:
            raise ConfigurationError(
                f"The path of this folder is too long by {excess} bytes for the Unix sockets in "
                f"it: {self.run}. Set OIG_STATE_DIR to a shorter one."
            )


def shipped(project: Path) -> str:
    """Return the text of supervisord.conf.

    Args:
        project: The folder with `server/`. In a checkout the file lies there, for operators to
            change; installed, it is part of the package.
    """
    checkout = project / "supervisord.conf"
    if checkout.exists():
        return checkout.read_text(encoding="utf-8")
    package = resources.files(__package__)
    return package.joinpath("supervisord.conf").read_text(encoding="utf-8")


def folders_in(source: str, project: Path) -> Folders:
    """Return where the supervisord.conf of a checkout has its files.

    Raises:
        ConfigurationError: It does not say.
    """
    parser = _parse(source)
    found = []
    for section, option in ((WORKERS, "stdout_logfile"), ("unix_http_server", "file")):
        path = parser.get(section, option, fallback=None)
        if path is None:
            raise ConfigurationError(f"[{section}] in supervisord.conf needs {option}.")
        found.append(Path(path.replace("%(here)s", str(project))).parent)
    logs, run = found
    return Folders(project, run.parent, logs)


def render(source: str, folders: Folders, layout: Layout, *, python: str, simulator: bool) -> str:
    """Return supervisord.conf for other places and numbers.

    Args:
        source: Text of supervisord.conf.
        folders: Where everything lies.
        layout: Host, port and number of workers, and whether there is a daemon.
        python: The Python that runs all programs. Its folder is on the PATH already that
            supervisord is started with: the copy sets none, for a quotation mark in one of its
            folders would end it there.
        simulator: Whether the portal simulator is started as well.

    Raises:
        ConfigurationError: The text has no daemon, and one is wanted.
    """
    parser = _parse(source)
    if not layout.daemon:
        parser.remove_section(DAEMON)
    elif not parser.has_section(DAEMON):
        raise ConfigurationError(NO_DAEMON)
    places = (
        ("%(here)s/var/log", folders.logs),
        ("%(here)s/var/run", folders.run),
        ("%(here)s", folders.project),
    )
    for section in parser.sections():
        for option, given in parser.items(section):
            value, percent = given, "%%"
            if _is_expanded_twice(section, option):
                percent = "%%%%"
                # What is put in the first time would be expanded itself the second time.
                value = ONCE.sub(r"%%(\1)s", SEARCH.sub("", value))
            for placeholder, folder in places:
                value = value.replace(placeholder, str(folder).replace("%", percent))
            if option == "command" and value.startswith(PYTHON):
                ours = shlex.quote(python).replace("%", "%%")
                value = f"{ours} {value.removeprefix(PYTHON)}"
            parser.set(section, option, value)
    parser.set(WORKERS, "socket", f"tcp://{layout.host}:{layout.port}")
    parser.set(WORKERS, "numprocs", str(layout.workers))
    parser.set("program:simulator", "autostart", "true" if simulator else "false")
    parser.set("supervisord", "identifier", IDENTIFIER)
    lines = ["; Made by oig-cloud-mcp from supervisord.conf and the settings. Change those."]
    for section in parser.sections():
        lines += ["", f"[{section}]"]
        lines += [f"{option}={value}" for option, value in parser.items(section)]
    return "\n".join(lines) + "\n"


def _is_expanded_twice(section: str, option: str) -> bool:
    """Whether supervisord expands an option a second time, after the one that all have.

    Source: `ServerOptions.read_config` and `processes_from_section` in supervisor/options.py, 4.3.
    """
    if section == "supervisord":
        return option == "environment"
    program = section not in {"unix_http_server", "supervisorctl"}
    return program and option.endswith("_logfile")


def _parse(source: str) -> configparser.RawConfigParser:
    # The way supervisord reads it.
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    try:
        parser.read_string(source)
    except configparser.Error as exc:
        raise ConfigurationError(f"supervisord.conf cannot be read: {exc.message}") from None
    return parser
