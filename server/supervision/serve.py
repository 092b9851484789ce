"""`serve` and `demo`: the whole system in this terminal, as the settings say."""

from __future__ import annotations

import fcntl
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..as_user import as_user, user_name
from ..cache.socket_file import prepare_folder
from ..errors import ConfigurationError
from ..settings.given import Found, names_file
from ..settings.loading import find
from ..settings.other_variables import CLIENTS, CONFIG, PINNED, SUPERVISORD_CONF
from ..settings.places import ROOT
from ..settings.table import Settings
from .configuration import Folders, Layout, render, shipped
from .foreground import CannotStart, Foreground, Interrupts, System, check_free
from .leftovers import Search
from .options import Options
from .preflight import check
from .running import words
from .secure_origin import secure_origin
from .supervisor_rpc import Supervisord, SupervisordError
from .typed import Typed

OTHER_WITHIN = 10.0
"""Seconds for another start in the same folders to be there, or for one that ends to be gone."""

POLL = 0.1
"""Seconds between two looks at it."""


DEMO = {"OIG_CONTROL": "on"}
"""Settings of a demo that nothing else says: its box is there to be tried out."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to run, and where.

    Args:
        found: The settings that were given.
        settings: All settings.
        layout: Host, port and number of workers.
        fallback: The same where no setting says more.
        usual: Values of other settings where nothing says more, and not those of `Settings`.
        folders: Where everything lies.
        environ: The environment, with the option `--config` in it.
    """

    found: Found
    settings: Settings
    layout: Layout
    fallback: Layout
    usual: Mapping[str, str]
    folders: Folders
    environ: Mapping[str, str]

    @classmethod
    def of(cls, options: Options, environ: Mapping[str, str]) -> Wanted:
        """Read the settings.

        Args:
            options: Of the command line.
            environ: Usually `os.environ`.

        Raises:
            ConfigurationError: One of them is wrong.
        """
        environ = options.environ(environ)
        found = find(environ, options.settings)
        usual = DEMO if options.command == "demo" else {}
        found = replace(found, values={**usual, **found.values})
        settings = found.settings(environ)
        # Whoever has changed supervisord.conf in a checkout means it, where no setting says more.
        fallback = Layout.read(shipped(ROOT))
        if options.command == "demo":
            # What is tried out needs no caller from elsewhere.
            fallback = replace(fallback, host="127.0.0.1")
        layout = fallback
        for variable, field in (
            ("OIG_HOST", "host"),
            ("OIG_PORT", "port"),
            ("OIG_WORKERS", "workers"),
        ):
            if variable in found.values:
                layout = replace(layout, **{field: getattr(settings, field)})
        secure = secure_origin(settings, layout.port)
        layout = replace(layout, secure=secure, public=settings.public_url)
        folders = Folders(ROOT, settings.state_dir, settings.log_dir)
        return cls(found, settings, layout, fallback, usual, folders, environ)

    def is_fixed(self, variable: str) -> bool:
        """Whether an option or the environment gives it, as they would at the next start too."""
        origin = self.found.origins.get(variable)
        return origin is not None and not origin.is_settings_file

    def handed_on(self) -> dict[str, str]:
        """Return the environment of all processes: it holds for their whole life."""
        # A client's password is no business of processes that run for weeks.
        passed = {
            name: value
            for name, value in self.environ.items()
            if name not in CLIENTS and value.strip()
        }
        # Relative paths count from the user's folder, and the processes run in another.
        for name, value in passed.items():
            if names_file(name, value):
                passed[name] = str(Path(value.strip()).expanduser().absolute())
        told: tuple[tuple[str, object], ...] = (
            ("OIG_HOST", self.layout.host),
            ("OIG_PORT", self.layout.port),
            ("OIG_WORKERS", self.layout.workers),
            ("OIG_STATE_DIR", self.folders.state),
            ("OIG_LOG_DIR", self.folders.logs),
            *((variable, self.found.values[variable]) for variable in self.usual),
            (SUPERVISORD_CONF, self.folders.configuration),
        )
        for variable, what in told:
            passed.pop(f"{variable}_FILE", None)
            passed[variable] = str(what)
        passed[PINNED] = " ".join(
            f"{variable}={without_file}"
            for variable, without_file in (
                ("OIG_HOST", self.fallback.host),
                ("OIG_PORT", self.fallback.port),
                ("OIG_WORKERS", self.fallback.workers),
                ("OIG_STATE_DIR", ""),
                ("OIG_LOG_DIR", ""),
                *self.usual.items(),
            )
            if not self.is_fixed(variable)
        )
        if self.found.file is not None:
            passed[CONFIG] = str(self.found.file)
        # supervisord.conf looks for .venv first, then on the PATH.
        search = self.environ.get("PATH", os.defpath)
        passed["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{search}"
        return passed


def serve(options: Options, typed: Typed, say: Callable[[str], None]) -> None:
    """Run everything until it is stopped.

    Args:
        options: Of the command line; the command is `serve` or `demo`.
        typed: How this program was started.
        say: Called with each line for the user.

    Raises:
        CannotStart: It did not start or did not stay.
        ConfigurationError: A setting is wrong, or a file.
    """
    demo = options.command == "demo"
    wanted = Wanted.of(options, os.environ)
    folders, layout = wanted.folders, wanted.layout
    folders.check()
    _refuse_running(folders, typed)
    refuse_leftovers(wanted, typed)
    check_free(layout.host, layout.port, "choose another with --port")
    environ = wanted.handed_on()
    simulator_port = None
    if demo:
        simulator_port = _simulator_port(wanted)
        for variable in ("OIG_SIMULATOR_PORT", "OIG_PORTAL_URL"):
            environ.pop(f"{variable}_FILE", None)
        environ["OIG_SIMULATOR_PORT"] = str(simulator_port)
        if not wanted.is_fixed("OIG_SIMULATOR_PORT"):
            # Without a word of the file any free port is as good as this one.
            environ[PINNED] = f"{environ[PINNED]} OIG_SIMULATOR_PORT={simulator_port}".strip()
        environ["OIG_PORTAL_URL"] = f"http://127.0.0.1:{simulator_port}/"
    prepare(folders, layout.workers, simulator=demo)
    _check(environ)
    configuration = render(shipped(ROOT), folders, layout, python=sys.executable, simulator=demo)
    system = System(
        folders=folders,
        layout=layout,
        ready_folder=wanted.settings.run_dir / "ready",
        simulator_port=simulator_port,
        environ=environ,
    )
    portal = "the built-in simulator" if demo else wanted.settings.portal_url
    interrupts = Interrupts()
    with _alone(folders, typed), interrupts.caught():
        _write(folders.configuration, configuration)
        workers = f"{layout.workers} worker{'s' if layout.workers > 1 else ''}"
        say(f"Starting {workers} at port {layout.port}; the portal is {portal}.")
        stopped = Foreground(system, say, interrupts).run(
            announcement(
                layout, typed, options.config, demo=demo, browser=wanted.settings.login == "browser"
            )
        )
    say(stopped)


def _refuse_running(folders: Folders, typed: Typed) -> None:
    try:
        pid = Supervisord(folders.control).pid()
    except SupervisordError:
        return
    raise CannotStart(
        f"The server is running already (supervisord, process {pid}). "
        f"To stop it: {typed.command('stop')}"
    )


@contextmanager
def _alone(folders: Folders, typed: Typed) -> Iterator[None]:
    """Keep other starts out of these folders: two would write one configuration.

    Raises:
        CannotStart: Another one is there, or was faster.
        ConfigurationError: The lock's file cannot be used.
    """
    path = folders.run / "serve.lock"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise _unusable(path, exc, "OIG_STATE_DIR") from None
    try:
        deadline = time.monotonic() + OTHER_WITHIN
        while not _locked(fd):
            # 1. The other one starts: soon its supervisord answers.
            # 2. It ends: soon the lock is free.
            _refuse_running(folders, typed)
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"Another start with the folder {folders.state} has been under way for "
                    f"{OTHER_WITHIN:.0f} s. Look: {typed.command('status')}"
                )
            time.sleep(POLL)
        yield
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise _unusable(path, exc, "OIG_STATE_DIR") from None


def refuse_leftovers(wanted: Wanted, typed: Typed) -> None:
    """Return when nothing runs that an earlier start has left.

    Args:
        wanted: What is to run.
        typed: How this program was started.

    Raises:
        CannotStart: Something does; the text names it and says how to end it.
    """
    left = Search.of(wanted.folders, wanted.settings).find()
    if left.certain:
        raise CannotStart(words(left, wanted.folders, typed))


def prepare(folders: Folders, workers: int, *, simulator: bool = False) -> None:
    """Make the folders that supervisord writes into, and look at what it finds there.

    Args:
        folders: Where everything lies.
        workers: Number of workers.
        simulator: Whether the portal simulator will run.

    Raises:
        ConfigurationError: They cannot be made or written to; the text says what to do.
    """
    refuse_foreign(folders.state)
    for folder, variable in ((folders.run, "OIG_STATE_DIR"), (folders.logs, "OIG_LOG_DIR")):
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder == folders.run:
                prepare_folder(folder, tighten=True)
            else:
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as exc:
            raise ConfigurationError(
                f"The folder {folder} cannot be made: {exc.strerror}. Set {variable} to a folder "
                "of your own."
            ) from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigurationError(
                f"The folder {folder} cannot be written to. Run this as the user whose folder it "
                f"is, or set {variable} to one of your own."
            )
    for path in (folders.configuration, folders.pid_file):
        _refuse_unwritable(path, "OIG_STATE_DIR")
    for path in folders.log_files(workers, simulator=simulator):
        _refuse_unwritable(path, "OIG_LOG_DIR")
    # supervisord removes whatever lies in the place of its socket, and tries for ever where it
    # cannot: a folder.
    if folders.control.is_dir() and not folders.control.is_symlink():
        raise _unusable(folders.control, IsADirectoryError(0, "It is a folder"), "OIG_STATE_DIR")


def _refuse_unwritable(path: Path, variable: str) -> None:
    """Refuse what is there and cannot be written to, in the ways of supervisord.

    A link that leads to no file yet makes one, as supervisord would.
    """
    if not os.path.lexists(path):
        return
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        os.close(os.open(path, flags, 0o600))
    except OSError as exc:
        raise _unusable(path, exc, variable) from None


def _unusable(path: Path, exc: OSError, variable: str) -> ConfigurationError:
    """Return what to tell of a file that cannot be written.

    Args:
        path: The file.
        exc: Why.
        variable: The setting that names its folder.
    """
    link = f", a link to {path.readlink()}," if path.is_symlink() else ""
    return ConfigurationError(
        f"{path}{link} cannot be written to: {exc.strerror}. Move it out of the way, run this as "
        f"the user whose file it is, or set {variable} to another folder."
    )


def refuse_foreign(state: Path) -> None:
    """Refuse to make files for a server that runs as another user.

    Raises:
        ConfigurationError: The folder of its state is another user's.
    """
    try:
        owner = state.stat().st_uid
    except OSError:
        return  # there is none yet, or the next step says what is wrong with it
    if owner != os.geteuid():
        raise ConfigurationError(
            f"The folder {state} belongs to another user, {user_name(owner)}, and this is "
            f"{user_name(os.geteuid())}. {as_user(owner)}. For a server of your own set "
            "OIG_STATE_DIR to a folder of yours."
        )


def _check(environ: Mapping[str, str]) -> None:
    """Tell what every process would tell, and then be started again for, once and now."""
    try:
        check(find(environ).settings(environ))
    except ModuleNotFoundError as exc:
        raise CannotStart(
            f"{exc.name} is not installed for {sys.executable}. Leave --no-install out, or install "
            "it: pip install -r requirements.txt"
        ) from None


def _simulator_port(wanted: Wanted) -> int:
    """Return the port for the simulator: any free one, unless a certain one was asked for."""
    port = wanted.settings.simulator_port
    try:
        check_free("127.0.0.1", port, "set OIG_SIMULATOR_PORT to another for the simulator")
    except CannotStart:
        if "OIG_SIMULATOR_PORT" in wanted.found.values:
            raise
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
    return port


def announcement(
    layout: Layout, typed: Typed, config: Path | None, *, demo: bool, browser: bool
) -> str:
    """Return what is said once it serves, with `{state}` and `{seconds}` left open.

    Args:
        layout: Where it listens, and where clients call.
        typed: How this program was started.
        config: The settings file of the option `--config`.
        demo: The portal is the simulator.
        browser: Owners can log in with a browser.
    """
    client, cachectl = typed.program("oig-client"), typed.program("cachectl")
    if config is not None:
        cachectl = f"{CONFIG}={shlex.quote(str(config.absolute()))} {cachectl}"
    email = "demo@example.com" if demo else "you@example.com"
    elsewhere = "" if layout.called == "http://localhost:8000/mcp" else f" --url {layout.called}"
    lines = [
        "",
        f"{{state}} after {{seconds}} s: {layout.called}",
        "",
        f"  Try it     {client} check-auth --email {email}{elsewhere}",
        *(["             The password is demo."] if demo else []),
        f"  Cache      {cachectl} stats",
        f"  Claude     claude mcp add --transport http --scope user oig-cloud {layout.called}",
        *(["             claude mcp login oig-cloud"] if browser else []),
        "  Stop       Ctrl-C",
        "",
    ]
    return "\n".join(lines)
