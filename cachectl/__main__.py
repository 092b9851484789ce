"""`cachectl`: look into the session cache and flush it. The one place where failures end."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .commands import execute
from .failures import BROKEN_PIPE, INTERRUPTED, OK, REFUSED, Failure
from .options import parse
from .output import fail, show


def run() -> None:
    """Run the command line of this process and end it with the exit code."""
    if sys.platform == "win32":
        sys.exit(
            "cachectl: Windows has no cache daemon: it and this program run on Linux, beside the "
            "server. Start it there."
        )
    with Path(os.devnull).open("r+") as nowhere:
        # A stream that the caller has closed is None here.
        sys.stdin = sys.stdin or nowhere
        sys.stdout = sys.stdout or nowhere
        sys.stderr = sys.stderr or nowhere
        sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command and return the exit code: see `cachectl --help`."""
    try:
        code = _answer(argv)
        sys.stdout.flush()
    except BrokenPipeError:  # as with `| head`: no reason to complain
        _drop_output()
        return BROKEN_PIPE
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # the shell's prompt belongs below the ^C
        return INTERRUPTED
    except OSError as exc:
        _drop_output()
        sys.stderr.write(f"cachectl: input or output failed: {exc.strerror}\n")
        return REFUSED
    return code


def _drop_output() -> None:
    """Send what is still buffered nowhere, or Python complains about it at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
