"""`serve` and `demo`: the whole system in this terminal, as the settings say."""

from __future__ import annotations

import fcntl
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..settings.loading import find
from ..settings.other_variables import CONFIG, PINNED
from ..settings.places import ROOT
from .configuration import Folders, Layout, render, shipped
from .foreground import CannotStart, Foreground, System, check_free
from .interrupts import Interrupts
from .leftovers import Search
from .options import Options, Typed
from .preflight import check, unused
from .running import still_stopping, words
from .supervisor_rpc import Supervisord, SupervisordError, SupervisordStopping
from .wanted import Wanted
from .writable import prepare, unusable

if TYPE_CHECKING:
    from ..shared_storage import Look

OTHER_WITHIN = 10.0
"""Seconds for another start in the same folders to be there, or for one that ends to be gone."""

POLL = 0.1
"""Seconds between two looks at it."""


def serve(options: Options, typed: Typed, say: Callable[[str], None]) -> None:
    """Run everything until it is stopped.

    Args:
        options: Of the command line; the command is `serve` or `demo`.
        typed: How this program was started.
        say: Called with each line for the user.

    Raises:
        CannotStart: It did not start or did not stay.
        SupervisordStopping: What ran before is still stopping.
        ConfigurationError: A setting is wrong, or a file.
    """
    demo = options.command == "demo"
    wanted = Wanted.of(options, os.environ)
    folders, layout = wanted.folders, wanted.layout
    folders.check()
    try:
        _refuse_running(folders, typed)
    except SupervisordStopping:
        raise still_stopping(Search.of(folders, wanted.settings)) from None
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
    seen = _check(environ)
    warned = () if seen is None else seen.warnings
    for warning in (*warned, *unused(wanted.found, wanted.settings)):
        say(f"Warning: {warning}")
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
                layout,
                typed,
                options.config,
                demo=demo,
                browser=wanted.settings.login == "browser",
                shared=seen,
            )
        )
    say(stopped)


def _refuse_running(folders: Folders, typed: Typed) -> None:
    try:
        pid = Supervisord(folders.control).pid()
    except SupervisordStopping:
        raise
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
        raise unusable(path, exc, "OIG_STATE_DIR") from None
    try:
        deadline = time.monotonic() + OTHER_WITHIN
        while not _locked(fd):
            # 1. The other one starts: soon its supervisord answers.
            # 2. It ends: soon the lock is free.
            with suppress(SupervisordStopping):
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
        raise unusable(path, exc, "OIG_STATE_DIR") from None


def refuse_leftovers(wanted: Wanted, typed: Typed) -> None:
    """Return when nothing runs that an earlier start has left.

    Raises:
        CannotStart: Something does; the text names it and says how to end it.
    """
    left = Search.of(wanted.folders, wanted.settings).find()
    if left.certain:
        raise CannotStart(words(left, wanted.folders, typed))


def _check(environ: Mapping[str, str]) -> Look | None:
    """Report once, and now, what every process would report, only to be started again."""
    try:
        return check(find(environ).settings(environ))
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
    layout: Layout,
    typed: Typed,
    config: Path | None,
    *,
    demo: bool,
    browser: bool,
    shared: Look | None = None,
) -> str:
    """Return what is said once it serves, with `{state}` and `{seconds}` left open.

    Args:
        layout: Where it listens, and where clients call.
        typed: How this program was started.
        config: The settings file of the option `--config`.
        demo: The portal is the simulator.
        browser: Owners can log in with a browser.
        shared: The storage that is shared with other hosts, so that a demo has neither that nor
            control, as it was seen before the start.
    """
    client, cachectl = typed.program("oig-client"), typed.program("cachectl")
    if config is not None:
        cachectl = f"{CONFIG}={shlex.quote(str(config.absolute()))} {cachectl}"
    email = "demo@example.com" if demo else "you@example.com"
    elsewhere = "" if layout.called == "http://localhost:8000/mcp" else f" --url {layout.called}"
    in_chat = (
        "  Login      in the chat, with the e-mail and the password, or with a header: with",
        "             OIG_CACHE_URL there is no browser login and no control.",
    )
    lines = [
        "",
        f"{{state}} after {{seconds}} s: {layout.called}",
        "",
        f"  Try it     {client} check-auth --email {email}{elsewhere}",
        *(["             The password is demo."] if demo else []),
        *(in_chat if demo and shared is not None else []),
        *([] if shared is None else [f"  Storage    {shared.address}; {shared.others}"]),
        f"  Cache      {cachectl} stats",
        f"  Claude     claude mcp add --transport http --scope user oig-cloud {layout.called}",
        *(["             claude mcp login oig-cloud"] if browser else []),
        "  Stop       Ctrl-C",
        "",
    ]
    return "\n".join(lines)
