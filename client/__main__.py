"""The entry point of `oig-client`: one error boundary, results on stdout, talk on stderr."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from . import stand_ins
from .console import can_edit_lines, is_terminal
from .exit_codes import ExitCode
from .failures import Failure, SecretOnCommandLine

if TYPE_CHECKING:
    from .options import Options


class _Bug(Failure):
    exit_code = ExitCode.INTERNAL
    title = "A bug in oig-client"


class _Interrupted(Failure):
    exit_code = ExitCode.INTERRUPTED
    title = "Stopped"


def main(argv: Sequence[str]) -> int:
    """Run the client and return its exit code."""
    try:
        code = _guarded(argv)
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        _forget_stdout()
        return ExitCode.BROKEN_PIPE
    except KeyboardInterrupt:  # a second one, while the first was reported
        _forget_stdout()
        return ExitCode.INTERRUPTED
    except OSError as exc:
        _forget_stdout()
        if _reader_is_gone(exc):
            return ExitCode.BROKEN_PIPE
        with suppress(OSError):
            sys.stderr.write(
                f"oig-client: input or output failed: {exc.strerror or type(exc).__name__}\n"
            )
            sys.stderr.flush()
        return ExitCode.TOOL
    return code


def run() -> None:
    """Run as a program."""
    # The SDK logs messages whole at DEBUG, arguments and all, and its tracebacks help nobody here;
    # nor do the keyring's about backends that are not there, nor asyncio's of what SIGTERM ended.
    for name in ("mcp", "keyring", "asyncio"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    # As an exception, so that the terminal gets its cursor and its echo back.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.TERMINATED))
    if sys.platform == "win32":
        # Ctrl-Break, and the window being closed: as Ctrl-C.
        signal.signal(signal.SIGBREAK, lambda *_: signal.raise_signal(signal.SIGINT))
    # Not one file for both: it would have to be seekable, which NUL need not be.
    with (
        Path(os.devnull).open(encoding="utf-8") as nothing,
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
    ):
        # A stream that the caller has closed is None here.
        sys.stdin = sys.stdin or nothing
        sys.stdout = sys.stdout or nowhere
        sys.stderr = sys.stderr or nowhere
        code = main(sys.argv[1:])
        # What is left takes milliseconds, and could only be interrupted into a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(code)


def _guarded(argv: Sequence[str]) -> int:
    as_json = "--json" in argv
    verbose = not {"-v", "--verbose"}.isdisjoint(argv)
    try:
        from .options import parse  # noqa: PLC0415 - inside the boundary, so Ctrl-C is quiet here too

        stand_ins.register()
        for stream in (sys.stdout, sys.stderr):
            # A terminal that cannot show a character gets a stand-in, not a crash.
            stream.reconfigure(errors=stand_ins.NAME)  # type: ignore[union-attr]
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
            if sys.platform == "win32" and not is_terminal(sys.stdin):
                # What is piped is UTF-8 as elsewhere, and not in the code page of old programs;
                # many of Windows' programs put a mark before it.
                sys.stdin.reconfigure(encoding="utf-8-sig")
        return _carry_out(parse(argv))
    except SecretOnCommandLine as failure:
        failure.message += " If this one is real, remove the line from your shell's history."
        return _ended(failure, as_json=as_json)
    except Failure as failure:
        return _ended(failure, as_json=as_json)
    except KeyboardInterrupt:
        if as_json:
            return _ended(_Interrupted("Stopped by Ctrl-C.", kind="interrupted"), as_json=True)
        return ExitCode.INTERRUPTED
    except OSError:
        raise  # of our own streams: there may be nowhere left to report it in JSON
    except Exception as exc:  # noqa: BLE001 - the boundary: nothing may end in a traceback
        return _ended(_bug(exc, verbose=verbose), as_json=as_json)


def _carry_out(options: Options) -> int:
    if options.help_text is not None:
        sys.stdout.write(options.help_text)
        return ExitCode.OK
    from .asking import Asker  # noqa: PLC0415 - --help needs none of it
    from .dispatch import COMMANDS  # noqa: PLC0415
    from .output import Output  # noqa: PLC0415
    from .session import Session  # noqa: PLC0415
    from .vault import Vault  # noqa: PLC0415

    output = Output(as_json=options.json, verbose=options.verbose)
    if options.command == "version":
        _print_version(options)
        return ExitCode.OK
    # Questions go to stderr: in a file nobody would see them.
    interactive = is_terminal(sys.stdin) and is_terminal(sys.stderr)
    asker = Asker(
        os.environ,
        password_stdin=options.password_stdin,
        prompts=interactive,
    )
    vault = Vault(options.url, enabled=not options.no_keyring)
    session = Session(options.url, options.timeout, output, asker, vault)
    if options.command in COMMANDS:
        return COMMANDS[options.command](session, options) or ExitCode.OK
    from . import shell  # noqa: PLC0415 - only here the line editor is loaded

    if interactive and can_edit_lines():
        return shell.interactive(session)
    if interactive:
        output.note("The output goes elsewhere, so there is no line editor; type a command.")
    return shell.script(session, sys.stdin)


def _print_version(options: Options) -> None:
    from .version import version  # noqa: PLC0415

    text = f'{{"version": "{version()}"}}' if options.json else f"oig-client {version()}"
    sys.stdout.write(text + "\n")


def _ended(failure: Failure, *, as_json: bool) -> int:
    from .output import Output  # noqa: PLC0415

    Output(as_json=as_json).failure(failure)
    return failure.exit_code


def _bug(exc: Exception, *, verbose: bool) -> _Bug:
    """Tell where it happened but not with which values: those may be secret."""
    import traceback  # noqa: PLC0415

    frames = traceback.extract_tb(exc.__traceback__)
    where = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
    shown = "\n".join(where if verbose else where[-1:])
    more = "" if verbose else " Run it again with --verbose for the whole path, and report it."
    return _Bug(
        f"oig-client failed inside ({type(exc).__name__}); it is not your fault.{more}\n{shown}",
        kind="internal",
    )


def _reader_is_gone(exc: OSError) -> bool:
    if sys.platform == "win32":
        # As `subprocess` of the standard library knows (https://bugs.python.org/issue35754).
        return exc.errno == errno.EINVAL
    else:  # noqa: RET505 - for mypy, which takes the line for unreachable on Windows
        return False  # it is a BrokenPipeError


def _forget_stdout() -> None:
    # The interpreter flushes once more at exit, and would complain on stderr.
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    run()
