"""The step that looks for logins in the files of clients that could log in with a browser."""

from __future__ import annotations

from ..setup.logins import files, holds_login
from ..setup.page import TITLES
from .finding import Finding, doubtful, well
from .visit import Visit


def configured(visit: Visit) -> Finding | None:
    """See whether a client has a login in its file, and a browser login is offered beside it."""
    if visit.challenge is None:
        return None
    found = [
        f"{TITLES[assistant]} ({path})"
        for assistant, path in files()
        if holds_login(path, visit.url)
    ]
    if not found:
        return well("No client here has a login in its file beside the browser login")
    return doubtful(
        f"A login is configured for this address: {', '.join(found)}. Some clients leave it out "
        "once a browser login is offered, and ask for that one (reported of Claude Code and VS "
        "Code).",
        "Take it out of the file, and log in with the browser. If it has to stay, have the server "
        "give those clients a second address, without browser login: OIG_CHAT_HOSTS.",
        "header_conflict",
    )
