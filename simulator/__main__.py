"""`python -m simulator`: a portal to try everything on, on this machine only."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence

from server import log
from server.errors import ConfigurationError
from server.settings.loading import load
from server.settings.table import Settings

from .accounts import SESSION_TTL, Accounts
from .app import build_app
from .portal import Simulator
from .serve import HOST, bind, serve

BAD_SETTING = 2
"""Exit code when a setting or an argument is unusable, as argparse's own."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run until stopped. Return the exit code."""
    try:
        settings = load(os.environ)
        arguments = _parser(settings).parse_args(argv)
        log.configure("simulator", settings.log_level)
        listener = bind(arguments.port)
    except ConfigurationError as exc:
        sys.stderr.write(f"simulator: {exc}\n")
        return BAD_SETTING
    # The socket already listens: the reader of this line can connect.
    sys.stdout.write(f"http://{HOST}:{listener.getsockname()[1]}/\n")
    sys.stdout.flush()
    accounts = Accounts(session_ttl=arguments.session_ttl)
    serve(build_app(Simulator(accounts, seed=arguments.seed)), listener)
    return 0


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="A stand-in for OIG Cloud on 127.0.0.1, for trying, testing and measuring. "
        "It knows the account demo@example.com with the password demo; docs/simulator.md says how "
        "to add others and how to make it fail.",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=settings.simulator_port,
        help="port to listen on; 0 takes a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--session-ttl",
        type=_seconds,
        default=SESSION_TTL,
        metavar="SECONDS",
        help="idle time after which a session ends (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="NUMBER",
        help="of weather and households: another gives other houses (default: %(default)s)",
    )
    return parser


def _port(raw: str) -> int:
    value = int(raw) if raw.isascii() and raw.isdecimal() else -1
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return value


def _seconds(raw: str) -> float:
    try:
        value = float(raw)
    except ValueError:
        value = math.nan
    if not 0 < value <= 1e9:
        raise argparse.ArgumentTypeError("must be a number above 0 and at most 1000000000")
    return value


if __name__ == "__main__":
    sys.exit(main())
