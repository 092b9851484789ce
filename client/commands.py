"""What the client does, the same from the command line and from the shell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .arguments import from_words
from .calling import called
from .catalogue import Result, Tool
from .consent import consent
from .credentials import asked_email
from .drawing import drawing
from .failures import NotMcp, ToolFailure
from .session import Session

CHECK_AUTH = "check_auth"


def tools(session: Session, email: str | None = None) -> None:
    """List what the server offers, with a login where it requires one."""
    catalogue = session.look(email)
    server = catalogue.server
    session.output.result(
        {
            "server": {"name": server.name, "version": server.version, "protocol": server.protocol},
            "tools": [_as_json(tool) for tool in catalogue.tools],
        },
        drawing("views", "tools_table", catalogue),
    )


def describe(session: Session, name: str, email: str | None = None) -> None:
    """Show one tool, with a login where the server requires one."""
    catalogue = session.look(email)
    tool = catalogue.tool(name)
    page = drawing("views", "tool_page", tool, catalogue.before(tool))
    session.output.result(_as_json(tool), page)


def call(
    session: Session,
    name: str,
    words: tuple[str, ...],
    email: str | None = None,
    *,
    yes: bool = False,
) -> None:
    """Call a tool with `key=value` words, asking for what is missing.

    Args:
        session: Whom to ask.
        name: The tool.
        words: What was typed.
        email: Whose data; that of the stored login if None.
        yes: Call a destructive tool without asking.

    Raises:
        UsageFailure: It is destructive, and that was not confirmed.
    """
    tool = session.look(email).tool(name)
    arguments = from_words(tool, words)
    consent(session, tool, arguments, given=yes)
    result = called(session, tool, arguments, email)
    session.output.result(
        {"tool": name, "structured_content": result.structured, "content": list(result.content)},
        drawing("views", "result_view", result),
    )


def check_auth(session: Session, email: str | None) -> None:
    """Check a login at OIG Cloud."""
    email = email or session.asker.email
    known = session.login_for(None)
    if email is None and known is None and not session.asker.prompts:
        asked_email(session)  # says what to give
    if session.login_for(email) is None:
        session.asker.need_password()
    tool = auth_tool(session, email)
    if email is None and session.login_for(None) is None:
        email = asked_email(session)
    values = confirmed(called(session, tool, {}, email))
    now = datetime.now(UTC)
    session.output.result(values, drawing("views", "auth_panel", values, now=now))


def auth_tool(session: Session, email: str | None) -> Tool:
    """Return the tool that checks logins.

    Args:
        session: Whom to ask.
        email: Whose login, for a server that requires one.

    Raises:
        NotMcp: The server is another one than OIG Cloud's.
    """
    catalogue = session.look(email)
    if all(tool.name != CHECK_AUTH for tool in catalogue.tools):
        raise NotMcp(
            f"{session.url} is an MCP server ({catalogue.server}), but without the tool "
            "check_auth: it is another one than OIG Cloud's. Check --url or OIG_MCP_URL.",
            kind="other_server",
        )
    return catalogue.tool(CHECK_AUTH)


def confirmed(result: Result) -> Mapping[str, Any]:
    """Return the result of check_auth.

    Raises:
        ToolFailure: It has a form that is not known here.
    """
    if not isinstance(result.structured, Mapping):
        raise ToolFailure(
            "check_auth succeeded, but not with the fields this oig-client knows. Update "
            "oig-client or the server.",
            kind="bad_result",
        )
    return result.structured


def _as_json(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "outputSchema": tool.output_schema,
        "annotations": dict(tool.annotations),
    }
