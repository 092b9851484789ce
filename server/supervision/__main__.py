"""What `./start_server.sh` runs: install, start, or restart the workers.

Until the environment is there, this runs in any Python 3.11 with nothing installed.

Exit codes: 0 done, or stopped by Ctrl-C or supervisorctl; 1 it did not start or did not stay;
2 wrong usage; 64 a wrong setting; 130 interrupted on the way.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import ConfigurationError
from ..preflight import check
from ..settings import ROOT, Settings
from .configuration import Layout, control_socket, render, shipped
from .control import Supervisord, SupervisordError
from .environment import Environment, InstallationFailed
from .foreground import CannotStart, Foreground, Interrupts, System, check_free
from .rolling_restart import RestartFailed, RollingRestart

MAX_WORKERS = 64
"""More than any machine this is made for has use for: likely a mistyped port."""

EXIT_FAILED = 1
EXIT_CONFIGURATION = 64
EXIT_INTERRUPTED = 130

EPILOG = """\
Without options the server runs in this terminal, against the real OIG Cloud, and shows its logs.
Ctrl-C stops everything. Host, port and number of workers stand at the top of supervisord.conf.

examples:
  ./start_server.sh --demo              try it: account demo@example.com, password demo
  ./start_server.sh --port 8123 --workers 4
  ./start_server.sh --restart-workers   from another terminal
"""


def _number(least: int, most: int) -> type[int]:
    def parse(raw: str) -> int:
        value = int(raw) if raw.isascii() and raw.isdecimal() else -1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be a number from {least} to {most}")
        return value

    return parse  # type: ignore[return-value]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="start_server.sh",
        description="Run the MCP server for OIG Cloud; install it first where needed.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--demo", action="store_true", help="use the built-in portal simulator, not OIG Cloud"
    )
    what.add_argument(
        "--restart-workers",
        action="store_true",
        help="restart the workers of the running server one by one; no request is refused",
    )
    what.add_argument(
        "--setup", action="store_true", help="only install into .venv what is missing there"
    )
    parser.add_argument(
        "--port", type=_number(1, 65535), help="port to listen at, instead of supervisord.conf's"
    )
    parser.add_argument(
        "--workers", type=_number(1, MAX_WORKERS), help="number of workers, likewise"
    )
    parser.add_argument(
        "--no-install",
        action="store_true",
        help="install nothing: use .venv, or without it the python3 on the PATH, as it is",
    )
    parser.add_argument(
        "--dev", action="store_true", help="with --setup: what ./run_tests.sh needs, too"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Args:
        argv: Arguments after the program's name; `sys.argv` unless given.

    Returns:
        The exit code.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.restart_workers and (arguments.port or arguments.workers):
        parser.error("--restart-workers changes neither port nor workers")
    if arguments.dev and not arguments.setup:
        parser.error("--dev goes with --setup")
    if arguments.setup and arguments.no_install:
        parser.error("--setup and --no-install contradict each other")
    try:
        _do(arguments, sys.argv[1:] if argv is None else argv)
    except (InstallationFailed, CannotStart, SupervisordError, RestartFailed) as exc:
        _complain(str(exc))
        return EXIT_FAILED
    except ConfigurationError as exc:
        _complain(str(exc))
        return EXIT_CONFIGURATION
    except PermissionError as exc:
        if exc.filename is None:
            raise
        _complain(f"No permission for {exc.filename}: do this as the user whose folder it is.")
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _do(arguments: argparse.Namespace, argv: Sequence[str]) -> None:
    if not (arguments.no_install or arguments.restart_workers):
        _install(arguments, argv)
    if arguments.setup:
        return
    settings = Settings.from_env(os.environ)
    if arguments.restart_workers:
        _restart(settings)
    else:
        _run(arguments, settings)


def _install(arguments: argparse.Namespace, argv: Sequence[str]) -> None:
    """Bring `.venv` up to date, and go on in it if this is another Python, or it has changed."""
    environment = Environment(ROOT, _say)
    changed = environment.prepare(checks=arguments.dev)
    if not arguments.setup and (changed or Path(sys.prefix) != ROOT / ".venv"):
        python = str(environment.python)
        os.execv(python, [python, "-m", "server.supervision", "--no-install", *argv])  # noqa: S606


def _run(arguments: argparse.Namespace, settings: Settings) -> None:
    control = control_socket(ROOT)
    try:
        pid = Supervisord(control).pid()
    except SupervisordError:
        pass
    else:
        raise CannotStart(
            f"The server is running already (supervisord, process {pid}). "
            "To stop it: supervisorctl -c supervisord.conf shutdown"
        )
    source = shipped(ROOT)
    layout = Layout.read(source)
    layout = replace(
        layout,
        port=arguments.port or layout.port,
        workers=arguments.workers or layout.workers,
    )
    check_free(layout.host, layout.port, "choose another with --port")
    environ = _for_supervisord(os.environ)
    simulator_port = None
    if arguments.demo:
        simulator_port = _simulator_port(settings)
        environ["OIG_SIMULATOR_PORT"] = str(simulator_port)
        environ["OIG_PORTAL_URL"] = f"http://127.0.0.1:{simulator_port}/"
    _check(environ)
    configuration = ROOT / "var" / "run" / "start_server.conf"
    configuration.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    (ROOT / "var" / "log").mkdir(exist_ok=True)
    configuration.write_text(
        render(source, ROOT, layout, simulator=arguments.demo), encoding="utf-8"
    )
    system = System(
        project=ROOT,
        configuration=configuration,
        control=control,
        layout=layout,
        ready_folder=settings.run_dir / "ready",
        simulator_port=simulator_port,
        environ=environ,
    )
    portal = "the built-in simulator" if arguments.demo else settings.portal_url
    interrupts = Interrupts()
    with interrupts.caught():
        workers = f"{layout.workers} worker{'s' if layout.workers > 1 else ''}"
        _say(f"Starting {workers} at port {layout.port}; the portal is {portal}.")
        stopped = Foreground(system, _say, interrupts).run(
            _announcement(layout, os.environ, demo=arguments.demo)
        )
    _say(stopped)


def _for_supervisord(environ: Mapping[str, str]) -> dict[str, str]:
    # A client's password is no business of processes that run for weeks.
    secret = {"OIG_BASIC", "OIG_PASSWORD"}
    passed = {name: value for name, value in environ.items() if name not in secret}
    # For --no-install without .venv: supervisord.conf looks for .venv first, then on the PATH.
    passed["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    return passed


def _check(environ: Mapping[str, str]) -> None:
    """Tell what every process would tell, and then be started again for, once and now."""
    try:
        check(Settings.from_env(environ))
    except ModuleNotFoundError as exc:
        raise CannotStart(
            f"{exc.name} is not installed for {sys.executable}. Leave --no-install out, or install "
            "it: pip install -r requirements.txt"
        ) from None


def _simulator_port(settings: Settings) -> int:
    """Return the port for the simulator: any free one, unless a certain one was asked for."""
    port = settings.simulator_port
    try:
        check_free("127.0.0.1", port, "set OIG_SIMULATOR_PORT to another for the simulator")
    except CannotStart:
        if os.environ.get("OIG_SIMULATOR_PORT"):
            raise
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
    return port


def _announcement(layout: Layout, environ: Mapping[str, str], *, demo: bool) -> str:
    client, cachectl = (_command(name, environ) for name in ("oig-client", "cachectl"))
    email = "demo@example.com" if demo else "you@example.com"
    elsewhere = "" if layout.url == "http://localhost:8000/mcp" else f" --url {layout.url}"
    check = f"{client} check-auth --email {email}{elsewhere}"
    lines = [
        "",
        f"{{state}} after {{seconds}} s: {layout.url}",
        "",
        f"  Try it     {check}",
        *(["             The password is demo."] if demo else []),
        f"  Cache      {cachectl} stats",
        f"  Claude     claude mcp add --transport http --scope user oig-cloud {layout.url}",
        "  Stop       Ctrl-C",
        "",
    ]
    return "\n".join(lines)


def _command(name: str, environ: Mapping[str, str]) -> str:
    """Return how the user can call a program of our environment, from where they are."""
    program = Path(sys.executable).parent / name
    found = shutil.which(name, path=environ.get("PATH"))
    if found is not None and Path(found) == program:
        return name
    # start_server.sh has left the user's folder for ours.
    if environ.get("OLDPWD") == str(ROOT):
        program = program.relative_to(ROOT) if program.is_relative_to(ROOT) else program
    return shlex.quote(str(program))


def _restart(settings: Settings) -> None:
    control = control_socket(ROOT)
    if not control.exists():
        raise RestartFailed("No server is running here. Start it: ./start_server.sh")
    interrupts = Interrupts()
    with (ROOT / "var" / "run" / "rolling_restart.lock").open("w") as lock, interrupts.caught():
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RestartFailed("Another rolling restart is under way.") from None
        RollingRestart(Supervisord(control), settings.run_dir / "ready", _say).run(
            lambda: bool(interrupts)
        )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _complain(message: str) -> None:
    sys.stderr.write(f"start_server.sh: {message}\n")


if __name__ == "__main__":
    # Nobody needs a traceback for a Ctrl-C between two steps.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
