"""`oig-cloud-mcp`: runs the whole system, and says how it is. The one place where failures end.

`options.py` lists the exit codes.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ..as_user import as_owner, elsewhere
from ..errors import ConfigurationError
from ..settings.loading import load_places
from ..settings.places import ROOT
from .configuration import Folders
from .foreground import CannotStart
from .inspection import inspect, rows
from .options import EXIT_NOT_RUNNING, Options, Typed, parse
from .rolling_restart import RestartFailed
from .running import NothingRuns, NotReady, OutOfReach, restart_workers, status, stop
from .serve import serve
from .supervisor_rpc import SupervisordError
from .wanted import Wanted
from .writable import refuse_foreign

EXIT_FAILED = 1
EXIT_CONFIGURATION = 64
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def run() -> None:
    """Run the command line of this process and end it with the exit code."""
    # A Ctrl-C between two steps needs no traceback.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Args:
        argv: Arguments after the program's name; `sys.argv` unless given.

    Returns:
        The exit code.
    """
    typed = Typed.of(sys.argv[0], os.environ)
    options = parse(list(sys.argv[1:] if argv is None else argv), typed.name)
    return carry_out(options, typed)


def carry_out(options: Options, typed: Typed) -> int:
    """Do one command; return the exit code."""
    try:
        return _outcome(options, typed)
    except BrokenPipeError:  # as with `| head`: no reason to complain
        # What is still buffered goes nowhere, or Python complains about it at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE


def _outcome(options: Options, typed: Typed) -> int:
    code = EXIT_FAILED
    try:
        _do(options, typed)
    except NotReady:
        pass
    except NothingRuns as exc:
        if options.command == "stop":
            say(str(exc))
            return 0
        code = EXIT_NOT_RUNNING
        complain(typed, f"{exc} Start it: {typed.command('serve')}")
    except (CannotStart, OutOfReach, SupervisordError, RestartFailed) as exc:
        complain(typed, str(exc))
    except ConfigurationError as exc:
        code = EXIT_CONFIGURATION
        complain(typed, str(exc))
    except PermissionError as exc:
        if exc.filename is None:
            raise
        complain(typed, f"No permission for {exc.filename}. {as_owner(Path(exc.filename))}")
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    else:
        code = 0
    return code


def _do(options: Options, typed: Typed) -> None:
    if options.command in {"serve", "demo"}:
        serve(options, typed, say)
        return
    if options.command == "check":
        _check(options, typed)
        return
    # 1. Who looks or stops needs the places only: a server runs with the settings of its start.
    # 2. New workers read all settings, and would not start with a wrong one.
    if options.command == "restart-workers":
        wanted = Wanted.of(options, os.environ)
        folders, settings = wanted.folders, wanted.settings
    else:
        settings = load_places(
            options.environ(os.environ), lambda text: complain(typed, f"Warning: {text}")
        )
        folders = Folders(ROOT, settings.state_dir, settings.log_dir)
    try:
        match options.command:
            case "stop":
                stop(folders, settings, say)
            case "status":
                status(folders, settings, typed, say)
            case "restart-workers":
                refuse_foreign(folders.state)
                restart_workers(folders, settings, typed, say)
            case _:
                raise AssertionError(options.command)
    except NothingRuns as exc:
        raise NothingRuns(f"{exc}{elsewhere(folders.state)}") from None


def _check(options: Options, typed: Typed) -> None:
    wanted = Wanted.of(options, os.environ)
    if options.show:
        table = list(rows(wanted))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for row in table:
            say("  ".join(map(str.ljust, row, widths)).rstrip())
    inspect(wanted, typed, say)


def say(line: str) -> None:
    """Show the user a line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def complain(typed: Typed, message: str) -> None:
    """Tell the user what went wrong."""
    sys.stderr.write(f"{typed.name}: {message}\n")


if __name__ == "__main__":
    run()
