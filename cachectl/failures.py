"""Why a command did not do what it was asked, each with its exit code.

Failure
|-- Usage          2   the command line or the environment is wrong
|-- Refused        1   understood and not done: by the daemon, by us, or at the prompt
`-- Unreachable    3   no daemon answers
    `-- NotRunning     as none listens
"""

from __future__ import annotations

from typing import ClassVar

OK = 0
REFUSED = 1
USAGE = 2
UNREACHABLE = 3
INTERRUPTED = 130
"""What a shell reports for a process ended by Ctrl-C."""

BROKEN_PIPE = 141
"""What a shell reports for a process whose reader has gone, as `head` does."""


class Failure(Exception):
    """Base of all: the message is one line for the operator.

    Attributes:
        code: Exit code of the process.
        kind: Name of the failure in `--json`.
    """

    code: ClassVar[int]
    kind: ClassVar[str]


class Refused(Failure):
    """It was understood and not done."""

    code = REFUSED
    kind = "refused"


class Usage(Failure):
    """The command line or the environment is wrong."""

    code = USAGE
    kind = "usage"


class Unreachable(Failure):
    """No daemon answers on the socket."""

    code = UNREACHABLE
    kind = "unreachable"


class NotRunning(Unreachable):
    """No daemon listens on the socket."""
