"""What `./start_server.sh` runs: install into `.venv` what is missing, then do as `oig-cloud-mcp`.

Until the environment is there, this runs in any Python 3.11 with nothing installed. Exit codes are
those of `oig-cloud-mcp`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ..settings.places import ROOT
from .__main__ import EXIT_FAILED, EXIT_INTERRUPTED, carry_out, complain, say
from .environment import Environment, InstallationFailed
from .options import Options, Typed, add_config, add_shape, add_version, shape_of

EPILOG = """\
Without options the server runs in this terminal, against the real OIG Cloud, and shows its logs.
Ctrl-C stops everything. `.venv/bin/oig-cloud-mcp` has more commands: status, stop, check.

examples:
  ./start_server.sh --demo              try it: account demo@example.com, password demo
  ./start_server.sh --port 8123 --workers 4
  ./start_server.sh --restart-workers   from another terminal
"""


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
    add_shape(parser)
    add_config(parser)
    parser.add_argument(
        "--no-install",
        action="store_true",
        help="install nothing: use .venv, or without it the python3 on the PATH, as it is",
    )
    parser.add_argument(
        "--dev", action="store_true", help="with --setup: what ./run_tests.sh needs, too"
    )
    add_version(parser)
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
    shape = shape_of(arguments)
    if arguments.restart_workers and shape:
        parser.error("--restart-workers changes neither host, port nor workers")
    if arguments.dev and not arguments.setup:
        parser.error("--dev goes with --setup")
    if arguments.setup and arguments.no_install:
        parser.error("--setup and --no-install contradict each other")
    typed = Typed.script(os.environ)
    try:
        if not (arguments.no_install or arguments.restart_workers):
            _install(arguments, sys.argv[1:] if argv is None else argv)
    except InstallationFailed as exc:
        complain(typed, str(exc))
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if arguments.setup:
        return 0
    command = "demo" if arguments.demo else "serve"
    if arguments.restart_workers:
        command = "restart-workers"
    return carry_out(Options(command, shape, arguments.config), typed)


def _install(arguments: argparse.Namespace, argv: Sequence[str]) -> None:
    """Bring `.venv` up to date, and go on in it if this is another Python, or it has changed."""
    environment = Environment(ROOT, say)
    changed = environment.prepare(checks=arguments.dev)
    if not arguments.setup and (changed or Path(sys.prefix) != ROOT / ".venv"):
        python = str(environment.python)
        os.execv(  # noqa: S606
            python, [python, "-m", "server.supervision.start_server", "--no-install", *argv]
        )


if __name__ == "__main__":
    # Nobody needs a traceback for a Ctrl-C between two steps.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
