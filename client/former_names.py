"""Parameters that have another name at servers of other versions. Pure."""

from __future__ import annotations

from .catalogue import Tool

NAMES = (("first_day", "from"), ("last_day", "to"), ("grid_export", "export"))
"""Each with its former name, as servers before 2026-12 have it."""

OTHER = dict(NAMES) | {old: new for new, old in NAMES}


def name_at(tool: Tool, name: str) -> str:
    """Return the name that a parameter has at this server.

    Args:
        tool: As the server describes it.
        name: The parameter's present or former name; any other is returned as it is.
    """
    known = {item.name for item in tool.parameters}
    other = OTHER.get(name)
    return other if other in known and name not in known else name
