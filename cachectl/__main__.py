"""`cachectl`: look into the session cache and flush it. The one place where failures end."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from .commands import execute
from .failures import BROKEN_PIPE, INTERRUPTED, OK, REFUSED, Failure
from .options import parse
from .output import fail, is_terminal, show


def run() -> None:
    """Run the command line of this process and end it with the exit code."""
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command and return the exit code: see `cachectl --help`."""
    try:
        code = _answer(argv)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more, which is no reason to complain, nor for Python to at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        if is_terminal(sys.stderr):
            sys.stderr.write("\n")  # the shell's prompt belongs below the ^C
        return INTERRUPTED
    except OSError as exc:
        sys.stderr.write(f"cachectl: the result cannot be written: {exc.strerror}\n")
        return REFUSED
    return code


def _answer(argv: Sequence[str]) -> int:
    as_json = "--json" in argv  # a command line that cannot be parsed is a failure, too
    try:
        options = parse(argv)
        if options.command == "stats" and options.watch is not None:
            from .watch import watch  # noqa: PLC0415 - not needed for a single look

            try:
                watch(options, options.watch)
            except KeyboardInterrupt:
                return OK
        show(execute(options), as_json=options.json)
    except Failure as failure:
        fail(failure, as_json=as_json)
        return failure.code
    except SystemExit as done:  # --help and --version have printed, or the watch was terminated
        return done.code if isinstance(done.code, int) else OK
    return OK


if __name__ == "__main__":
    run()
