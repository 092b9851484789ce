"""Run the cache daemon in the foreground: `python -m server.cache`."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from .. import log, process
from ..errors import ConfigurationError
from ..settings.loading import at_next_start, load
from ..settings.reloading import Reloading
from . import daemon
from .socket_file import AlreadyRunning, SocketFile
from .state_file import StateFileBroken, StateFileUnusable

NAME: Final = "cache"
"""Name of this process in each line it logs."""

NOT_USED: Final = (
    "OIG_CACHE_URL is set, so the workers use that storage and would never ask this daemon: it is "
    "not started. Remove [program:cache] from supervisord.conf, or unset OIG_CACHE_URL."
)

logger = logging.getLogger("server.cache")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(daemon.EXIT_USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str]) -> int:
    """Run the daemon until a signal stops it; return the exit code."""
    parser = _Parser(
        prog="python -m server.cache",
        description="Holds the sealed OIG Cloud sessions that all MCP workers share. Settings come "
        "from the environment (OIG_...) and the settings file; docs/settings.md lists them. Logs "
        "to standard error.",
        epilog=(daemon.__doc__ or "").partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)
    log.configure(NAME, "INFO")
    try:
        reloading = Reloading(lambda: load(os.environ), lambda: at_next_start(os.environ))
    except ConfigurationError as exc:
        return _refuse(exc, daemon.EXIT_USAGE)
    settings = reloading.current
    if settings.cache_url is not None:
        return _refuse(NOT_USED, daemon.EXIT_USAGE)
    log.configure(NAME, settings.log_level)
    process.harden()
    os.umask(0o077)
    try:
        socket_file = SocketFile.bind(
            settings.cache_socket,
            tighten=settings.run_dir_is_ours and settings.cache_socket.parent == settings.run_dir,
        )
    except AlreadyRunning as exc:
        return _refuse(exc, daemon.EXIT_ALREADY_RUNNING)
    except ConfigurationError as exc:
        return _refuse(exc, daemon.EXIT_CANNOT_CREATE)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(daemon.Daemon(reloading, socket_file).run())
    except (StateFileUnusable, StateFileBroken) as exc:
        return _refuse(
            f"{str(exc).rstrip('.')}. It may have locks, so the daemon does not start without it; "
            "supervisord tries again, and workers serve meanwhile. Close the program that has it "
            "open, or repair it. If that is impossible, move it away: everybody logs in once more, "
            "and all locks are open.",
            daemon.EXIT_FILE_UNUSABLE,
        )
    finally:
        socket_file.close()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    # uvloop takes a sixth off the time of a look-up (measured). Nothing depends on it.
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop  # noqa: PLC0415 - it may be missing

    return uvloop.new_event_loop


def _refuse(why: ConfigurationError | str, code: int) -> int:
    # The text is written for the operator; a traceback would only hide it.
    logger.error("%s", why)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
