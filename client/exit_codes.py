from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process returns to its shell."""

    OK = 0
    TOOL = 1
    """The server was asked and the tool said no; or this machine did, its keyring or a file."""
    USAGE = 2
    UNREACHABLE = 3
    NOT_MCP = 4
    """Something answers at the URL, but not as the MCP endpoint that was asked for."""
    NOT_FINE = 5
    """`status` was answered, and something is not as it is when all is well."""
    IN_DOUBT = 6
    """`status` was answered, and nothing is wrong as far as is known, but not all is known."""
    INTERNAL = 70
    """A bug in the client: EX_SOFTWARE of sysexits.h."""
    INTERRUPTED = 130
    """Ctrl-C, as a shell reports a process that SIGINT ended."""
    BROKEN_PIPE = 141
    """The reader of our output went away, as a shell reports SIGPIPE."""
    TERMINATED = 143
    """Ended by SIGTERM, as a shell reports it."""
