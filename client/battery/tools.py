"""Asking the server's tools about the box."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..calling import called
from ..failures import NotMcp, ToolFailure
from ..former_names import name_at
from ..options import Options
from ..session import Session

DETAIL = "detail"
LIVE, HISTORY, NOTIFICATIONS = "get_live_data", "get_history", "get_notifications"
ENERGY, STATUS, BOXES = "get_energy", "get_status", "list_boxes"


def looked(session: Session, options: Options) -> Mapping[str, Any]:
    """Ask what a box does now, with details if the server has any."""
    arguments: dict[str, object] = {"box_id": options.box}
    if takes(session, LIVE, DETAIL, options.email):
        arguments[DETAIL] = True
    return asked(session, LIVE, arguments, options)


def takes(session: Session, name: str, parameter: str, email: str | None) -> bool:
    """Say whether a tool has a parameter, which those of older servers may lack.

    Args:
        session: Whom to ask.
        name: The tool.
        parameter: The parameter.
        email: Whose login to send to a server that requires one.
    """
    known = session.known or session.look(email)
    return any(
        tool.name == name and any(item.name == parameter for item in tool.parameters)
        for tool in known.tools
    )


def asked(
    session: Session,
    name: str,
    arguments: Mapping[str, object],
    options: Options,
    *,
    repeat: bool = True,
) -> Mapping[str, Any]:
    """Call a tool with the arguments that are not None; `repeat` as in `Endpoint.call`.

    Parameters are given by their present names, whichever the server has.

    Raises:
        NotMcp: The server has no such tool.
        ToolFailure: The tool failed, or its answer has another form than is known here.
    """
    known = session.known or session.look(options.email)
    if all(tool.name != name for tool in known.tools):
        raise NotMcp(
            f"{session.url} is an MCP server ({known.server}), but without the tool {name}. It is "
            "another one than OIG Cloud's, or an older one: update it.",
            kind="other_server",
        )
    tool = known.tool(name)
    given = {name_at(tool, key): value for key, value in arguments.items() if value is not None}
    values = called(session, tool, given, options.email, repeat=repeat).structured
    if not isinstance(values, Mapping):
        raise ToolFailure(
            f"{name} succeeded, but not with the fields this oig-client knows. Update oig-client "
            "or the server.",
            kind="bad_result",
        )
    return values
