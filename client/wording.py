"""The server's words for assistants, in the words of this client. Pure.

The server speaks to an assistant: it names tools, parameters and what to tell the user. A person at
a terminal has commands and options instead. What is not known here is shown as it came.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .control.arguments import WISHES

SAID: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (
        r"Call check_auth (again )?with e-mail and password and .*",
        "Give --email, or keep a login with `oig-client login`.",
    ),
    (
        r"Call plan_change, and give apply_change what it returns",
        "`oig-client apply` takes what `oig-client plan` prints",
    ),
    (r"Ask get_change for change ([0-9a-f]+),", r"See how it went with `oig-client change \1`,"),
    (r" and show the user the new plan", ""),
    (r"when get_change says how it ended", "when `oig-client change` says how it ended"),
    (r"get_change tells of it: its id is ([0-9a-f]+)", r"`oig-client change \1` tells of it"),
    (r"Whether the box has it, get_change tells", "Whether the box has it is not known yet"),
    (
        r"([Aa])sk get_change (with the plan's change_id first|in 30 seconds)",
        lambda found: f"{'L' if found[1] == 'A' else 'l'}ook again in 30 seconds",
    ),
    (r"Tell the user, and (\w)", lambda found: found[1].upper()),
    (r"list_changes (shows it|lists)", r"`oig-client changes` \1"),
    (r"ask list_changes first", "look with `oig-client changes` first"),
    (r"in get_live_data", "with `oig-client live`"),
    (r"Go on only if the user says that the permission", "Go on only if that permission"),
    (
        r"Present these values with their time, not as current",
        "These values are as old as that",
    ),
    (r"Do not present them as current", "They may not be current"),
    (r"say which one as box_id", "say which one with --box"),
    (r"`export` limited", "`--export limited`"),
    *((rf"`{name}`", f"`{option}`") for option, name, _, _ in WISHES),
)
"""Patterns of what the server says, and what stands here instead."""


def for_people(text: str) -> str:
    """Return a text of the server as a person at a terminal needs it."""
    for pattern, instead in SAID:
        text = re.sub(pattern, instead, text)
    return text
