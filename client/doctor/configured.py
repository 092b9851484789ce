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
        f"A login is configured for this address: {', '.join(found)}. Claude Code, mcp-remote and "
        "others that were tried go on sending it, and open no page; VS Code is reported to leave "
        "it out once a browser login is offered.",
        "To log in with the browser, take it out of the file. If it has to stay and the client "
        "leaves it out, have the server give that client a second address, without browser login: "
        "OIG_CHAT_HOSTS.",
        "header_conflict",
    )
