"""`oig-client config`: print what a client has to read, or write it into the client's file."""

from __future__ import annotations

import sys
from pathlib import Path

from ..failures import NotWritten, UsageFailure
from ..options import Options
from ..readable import one_line
from ..session import Session
from .entries import entry
from .file import Written, write
from .here import file_here
from .logins import holds_login
from .offered import offers_browser_login
from .page import TITLES, after_writing, page

OWN = frozenset({"claude-desktop", "cursor"})
"""Clients whose file belongs to one person; those of the others are shared with a project."""


WITHOUT_LOGIN = (
    "Unless a login was in it already, Claude opens the server's login page, or where there is\n"
    "none asks for e-mail and password in the chat. To have them in the file instead:\n"
    "oig-client login, and then this command again with --with-credentials."
)


STAYS = (
    "The login that was in the entry stays there. To log in with the browser, take it out: some\n"
    "clients mix the two up."
)

NOT_ASKED = (
    "The server could not be asked whether clients can log in with a browser there, so this is for "
    "a server where they cannot. For one where they can: --login browser"
)


def configure(session: Session, options: Options) -> None:
    """Print the configuration of one client, and write it if asked to.

    Raises:
        NotWritten: The file could not be changed without loss, or at all.
    """
    assistant = options.assistant
    assert assistant is not None, "the command line demands it"
    basic = _basic(session, options, assistant) if options.with_credentials else None
    browser = basic is None and _by_browser(session, options)
    path = file_here(assistant)
    # What is printed is made without the login, so it cannot contain it.
    document = entry(assistant, options.url, browser=browser).document
    windows = sys.platform == "win32"
    text = page(assistant, options.url, str(path), windows=windows, browser=browser)
    if not options.write:
        session.output.text(document, text)
        return
    try:
        new = entry(assistant, options.url, basic, browser=browser)
        written = write(path, new, secret=basic is not None)
    except NotWritten as failure:
        if not session.output.as_json:
            session.output.text(document, text)
        raise NotWritten(
            f"{path} was left as it was. {failure.message}", kind=failure.kind
        ) from None
    report = {
        "file": str(path),
        "changed": written.changed,
        "changes": list(written.changes),
        "backup": None if written.backup is None else str(written.backup),
        "entry": document,
    }
    text = _report(assistant, path, written, login=basic is not None, browser=browser)
    if browser and holds_login(path, options.url):
        text = f"{STAYS}\n\n{text}"
    session.output.text(report, text)


def _by_browser(session: Session, options: Options) -> bool:
    """Say whether the client is to log in with a browser: as was said, or if the server offers it.

    Nothing depends on the answer: without one, the page is that of the header.
    """
    if options.login_by is not None:
        return options.login_by == "browser"
    with session.output.waiting(f"Asking {session.place} ..."):
        offered = offers_browser_login(options.url, options.timeout)
    if offered is None:
        session.output.note(NOT_ASKED)
    return bool(offered)


def _basic(session: Session, options: Options, assistant: str) -> str:
    if not options.write:
        raise UsageFailure("--with-credentials needs --write: a login is never printed.")
    if options.login_by == "browser":
        raise UsageFailure("--with-credentials is for --login header: leave one of them out.")
    if assistant not in OWN:
        raise UsageFailure(
            f"The file of {TITLES[assistant]} belongs to a project and may be shared, so it gets "
            "no login. Leave --with-credentials out: the client takes the login from elsewhere."
        )
    session.vault.need()
    login = session.vault.find()
    if login is None:
        raise UsageFailure(
            f"No login is kept for {session.url}. First: oig-client login", kind="no_login"
        )
    return login.basic


def _report(assistant: str, path: Path, written: Written, *, login: bool, browser: bool) -> str:
    lines = [f"Written: {path}" if written.changed else f"{path} says all that already."]
    if written.changes:
        lines.append(f"In the entry that was there: {one_line(', '.join(written.changes))}")
    if written.backup is not None:
        lines.append(f"As it was: {written.backup}")
    if assistant != "claude-desktop":
        if not login:
            windows = sys.platform == "win32"
            lines += ["", after_writing(assistant, windows=windows, browser=browser)]
    elif browser:
        lines += ["", after_writing(assistant, windows=False, browser=True)]
    elif written.changed:
        lines.append("Quit and start Claude Desktop to make it read the file.")
        if not login:
            lines.append(WITHOUT_LOGIN)
    return "\n".join(lines) + "\n"
