"""One MCP worker: `python -m server`.

Under supervisord the listening socket is descriptor 0. Alone, for development:
`python -m server --port 8000`.

Exit codes: 0 stopped on request, 2 wrong usage, 3 a part could not start (its log says which), 64 a
wrong setting, 69 the address cannot be listened on, 75 the secret's file is missing while running
processes use it.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from . import log, process
from .auth.missing_secret import SecretInUse
from .errors import ConfigurationError
from .http.exemptions import Exemptions
from .http.exposure import exposed, speaks_for_all, unproxied
from .http.listening import bind, hold_ipv6_loopback, inherited_socket
from .http.worker import Worker, few_descriptors, make_worker, room
from .settings.loading import at_next_start, find, load
from .settings.reloading import Reloading
from .settings.table import Settings
from .supervision.preflight import check_agreement
from .supervision.workers import Workers

if TYPE_CHECKING:
    from .tls.renewal import Renewal

EXIT_CONFIGURATION = 64
EXIT_ADDRESS = 69
EXIT_SECRET_MISSING = 75

NOT_OURS = (
    "Another program has the port {port} of [::1]. A browser that is given localhost looks there "
    "first, so a password may be typed into a page of that program. Stop it, or call this server "
    "at http://127.0.0.1:{port}/mcp only."
)

logger = logging.getLogger("server")


def _port(raw: str) -> int:
    value = int(raw) if raw.isascii() and raw.isdecimal() else -1
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535; 0 takes a free port")
    return value


def _host(raw: str) -> str:
    # As in the options of oig-cloud-mcp: nothing would be taken for the default, which is open.
    if not raw.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return raw


def _inherited(settings: Settings, arguments: argparse.Namespace) -> socket.socket | None:
    """Return supervisord's socket, if it is the one that the settings want."""
    listener = inherited_socket() if arguments.port is None else None
    if listener is not None:
        found = find(os.environ)
        check_agreement(os.environ, found, settings, listener=listener, workers=arguments.workers)
    return listener


def _bound(settings: Settings, arguments: argparse.Namespace, scheme: str) -> socket.socket | None:
    """Return a socket of our own, which listens; None where that cannot be, as the log says."""
    port = settings.port if arguments.port is None else arguments.port
    host = settings.host if arguments.host is None else arguments.host
    try:
        listener = bind(host, port)
    except (OSError, OverflowError) as exc:
        taken = isinstance(exc, OSError) and exc.errno == errno.EADDRINUSE
        reason = "another program listens there; stop it or choose another --port" if taken else exc
        logger.error("cannot listen at %s port %s: %s", host, port, reason)  # noqa: TRY400
        return None
    logger.info("listening at %s://%s:%d/mcp", scheme, host, listener.getsockname()[1])
    return listener


def _certificate(settings: Settings) -> Renewal | None:
    """Return what connections speak TLS with; None where the settings name no certificate."""
    if settings.tls_cert is None:
        return None
    from .tls.renewal import Renewal  # noqa: PLC0415 - plain connections need none of it

    return Renewal.of(settings)


def _reserved_localhost(settings: Settings, listener: socket.socket) -> socket.socket | str | None:
    """Hold what else `localhost` leads to; a warning where another program has it."""
    host, port = listener.getsockname()[:2]
    # Elsewhere nobody logs in at localhost, and a proxy may listen by IPv6 at the same port.
    if not settings.logs_in_at_localhost or host not in {"0.0.0.0", "127.0.0.1"}:
        return None
    try:
        return hold_ipv6_loopback(port)
    except OSError:
        return NOT_OURS.format(port=port)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one worker until SIGTERM or SIGINT.

    Args:
        argv: Arguments after the program's name; `sys.argv` unless given.

    Returns:
        The exit code.
    """
    worker: Worker | None = None
    stopping = asyncio.Event()

    def stop(*_: object) -> None:
        # 1. Until uvicorn takes the signals over, nothing has to be closed. An exception would not
        #    do: Python drops one that is raised in a callback of its import machinery.
        # 2. uvicorn raises the signal that stopped it again, once it is done: that ends in order.
        if worker is None or not worker.started:
            os._exit(0)
        sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    parser = argparse.ArgumentParser(
        prog="python -m server",
        description="One MCP worker for OIG Cloud. supervisord runs several; see supervisord.conf.",
    )
    parser.add_argument("--host", type=_host, help="address to listen at (OIG_HOST)")
    parser.add_argument("--port", type=_port, help="port to listen at (OIG_PORT)")
    parser.add_argument(
        "--workers", type=int, help="how many supervisord runs, to be compared with OIG_WORKERS"
    )
    arguments = parser.parse_args(argv)
    name = os.environ.get("SUPERVISOR_PROCESS_NAME", "worker")
    listener = None
    try:
        reloading = Reloading(lambda: load(os.environ), lambda: at_next_start(os.environ))
        settings = reloading.current
        listener = _inherited(settings, arguments)
        log.configure(name, settings.log_level)
        process.harden()
        process.raise_descriptors()
        certificate = _certificate(settings)
        # What is loaded here stays, and to look for garbage among it takes a seventh of the start.
        gc.disable()
        from .app import build_app  # noqa: PLC0415 - a wrong setting is reported without importing mcp

        # Of what is being answered half at most waits for a login.
        app = build_app(
            settings, stopping, most_waiting=room() // 2, name=name, reloading=reloading
        )
    except ConfigurationError as exc:
        print(f"{name}: {exc}", file=sys.stderr)  # noqa: T201 - logging may not be set up yet
        return EXIT_CONFIGURATION
    except SecretInUse as exc:
        logger.error("%s", exc)  # noqa: TRY400 - where it arose says nothing
        return EXIT_SECRET_MISSING
    gc.enable()
    inherited = listener is not None
    # Nobody else has a socket that is made here.
    workers = Workers.from_env(os.environ) if inherited else None
    if listener is None:
        listener = _bound(settings, arguments, "http" if certificate is None else "https")
        if listener is None:
            return EXIT_ADDRESS
    warnings = [few_descriptors()]
    reserved = _reserved_localhost(settings, listener)
    if speaks_for_all(name):
        warnings.append(exposed(listener.getsockname(), settings, inherited=inherited))
        warnings += [unproxied(settings), reserved if isinstance(reserved, str) else None]
        warnings += [] if certificate is None else certificate.doubts(datetime.now(UTC))
    for warning in filter(None, warnings):
        logger.warning("%s", warning)
    worker = make_worker(
        app,
        settings.run_dir / "ready" / name,
        None if workers is None else workers.are_gone,
        Exemptions.of(settings).source,
        stopping.set,
        certificate,
    )
    worker.run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
