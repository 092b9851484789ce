"""Everything that can go wrong on purpose, by who has to act.

Failure
|-- UsageFailure    the caller's: what was typed does not fit
|-- ToolFailure     the tool's: the server worked, the tool refused or failed
|   `-- BadResult   the server's: its answer cannot be read
|-- NoKeyring       this machine's: no keyring, or one that is locked or broken
|-- NotWritten      this machine's: a file that is left as it was
|-- Unreachable     no whole answer from the server: DNS, refused, TLS, timeout, cut off
`-- NotMcp          an answer, but not one of an MCP endpoint: status, HTML, odd JSON

No message of any of these holds a secret: what was typed is quoted only where it cannot be one.
"""

from __future__ import annotations

from typing import ClassVar

from .exit_codes import ExitCode


class Failure(Exception):
    """Base of all failures; ends a command with one message and an exit code.

    Args:
        message: What happened, whose fault it is, what to do now.
        kind: A stable word for scripts.
    """

    exit_code: ClassVar[ExitCode]
    title: ClassVar[str]

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind


class UsageFailure(Failure):
    """What was typed cannot be carried out as it is."""

    exit_code = ExitCode.USAGE
    title = "Wrong usage"

    def __init__(self, message: str, *, kind: str = "usage") -> None:
        super().__init__(message, kind=kind)


class SecretOnCommandLine(UsageFailure):
    """A secret was typed where others can read it; the line must be kept nowhere."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind="secret_on_command_line")


class ToolFailure(Failure):
    """The tool answered with an error."""

    exit_code = ExitCode.TOOL
    title = "The tool reports an error"

    def __init__(self, message: str, *, kind: str = "tool_error") -> None:
        super().__init__(message, kind=kind)


class BadResult(ToolFailure):
    """The tool's answer holds something that cannot be shown as what it should be."""

    def __init__(self) -> None:
        super().__init__(
            "The server's answer does not have the form that this oig-client knows. Update "
            "oig-client or the server.",
            kind="bad_result",
        )


class NoKeyring(Failure):
    """A login cannot be kept, found or removed on this machine."""

    exit_code = ExitCode.TOOL
    title = "No keyring"


class NotWritten(Failure):
    """A file was not changed, because that could not be done without harm or at all."""

    exit_code = ExitCode.TOOL
    title = "File left as it was"


class Unreachable(Failure):
    """No whole answer came from the server.

    Attributes:
        untouched: True when the server certainly never saw the request.
    """

    exit_code = ExitCode.UNREACHABLE
    title = "Server not reachable"

    def __init__(self, message: str, *, kind: str, untouched: bool = False) -> None:
        super().__init__(message, kind=kind)
        self.untouched = untouched


class NotMcp(Failure):
    """Something answered that is not the MCP endpoint asked for.

    Attributes:
        passing: True when the same question may be answered in a moment (a proxy's 502).
    """

    exit_code = ExitCode.NOT_MCP
    title = "Not the MCP endpoint"

    def __init__(self, message: str, *, kind: str, passing: bool = False) -> None:
        super().__init__(message, kind=kind)
        self.passing = passing
