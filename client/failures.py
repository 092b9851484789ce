"""Everything that can go wrong on purpose, by who has to act.

Failure
|-- UsageFailure    the caller's: what was typed does not fit
|-- ToolFailure     the tool's: the server worked, the tool refused or failed
|   `-- BadResult   the server's: its answer cannot be read
|-- NoKeyring       this machine's: no keyring, or one that is locked or broken
|-- NotWritten      this machine's: a file that is left as it was
|-- LoginWanted     the caller's: the server requires a login for every request
|-- Refused         the caller's: what came with the request does not let them in
|-- Unreachable     no whole answer from the server: DNS, refused, TLS, timeout, cut off
`-- NotMcp          an answer, but not one of an MCP endpoint: status, HTML, odd JSON

No message of any of these contains a secret: what was typed is quoted only where it cannot be one.
"""

from __future__ import annotations

from typing import Any, ClassVar

from .codes import Reported, reported
from .exit_codes import ExitCode

SILENT = "The tool failed and did not say why."


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

    def as_json(self) -> dict[str, Any]:
        """Return it for scripts."""
        return {
            "kind": self.kind,
            "message": self.message,
            "exit_code": int(self.exit_code),
        }


class UsageFailure(Failure):
    """What was typed cannot be carried out as it is."""

    exit_code = ExitCode.USAGE
    title = "Wrong usage"

    def __init__(self, message: str, *, kind: str = "usage") -> None:
        super().__init__(message, kind=kind)


class SecretOnCommandLine(UsageFailure):
    """A secret was typed where others can read it; the line must be stored nowhere."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind="secret_on_command_line")


class ToolFailure(Failure):
    """The tool answered with an error.

    Attributes:
        reported: What the server says the failure is; None when it does not, or when the failure
            was found here. All that is decided about a tool's failure is decided by its code.
    """

    exit_code = ExitCode.TOOL
    title = "The tool reports an error"

    def __init__(
        self, message: str, *, kind: str = "tool_error", reported: Reported | None = None
    ) -> None:
        super().__init__(message, kind=kind)
        self.reported = reported

    @classmethod
    def from_answer(cls, text: str, values: object, *, kind: str = "tool_error") -> ToolFailure:
        """Make one from the answer of the server.

        Args:
            text: Its text, for an assistant. It is shown as it is where its code is not known here.
            values: Where it says what the failure is, as `codes.reported` reads it.
            kind: The word for scripts where it does not.
        """
        found = reported(values)
        if found is None:
            return cls(text or SILENT, kind=kind)
        if found.advice is not None:
            text = f"{found.message} {found.advice}".strip()
        return cls(text or found.message or SILENT, kind=found.code, reported=found)

    @property
    def code(self) -> str | None:
        """The server's code, known here or not; None without one."""
        return None if self.reported is None else self.reported.code

    def as_json(self) -> dict[str, Any]:
        """Return it for scripts, with the seconds to wait where the server names them."""
        wait = None if self.reported is None else self.reported.retry_after
        return super().as_json() | ({} if wait is None else {"retry_after_s": wait})


class BadResult(ToolFailure):
    """The tool's answer has something that cannot be shown as what it should be."""

    def __init__(self) -> None:
        super().__init__(
            "The server's answer does not have the form that this oig-client knows. Update "
            "oig-client or the server.",
            kind="bad_result",
        )


class NoKeyring(Failure):
    """A login cannot be stored, found or removed on this machine."""

    exit_code = ExitCode.TOOL
    title = "No keyring"


class NotWritten(Failure):
    """A file was not changed, because that could not be done without harm or at all."""

    exit_code = ExitCode.TOOL
    title = "File left as it was"


class LoginWanted(Failure):
    """The server requires a login: by the browser, or in a header."""

    exit_code = ExitCode.USAGE
    title = "A login is needed"


class Refused(Failure):
    """The server knows the caller by what came with the request, and refuses it for that."""

    exit_code = ExitCode.TOOL
    title = "The server refuses the request"


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
