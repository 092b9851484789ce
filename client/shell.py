"""The shell: one command per line, from a person with a line editor or from a script."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import NoReturn

from . import commands
from .catalogue import Tool, suggestion
from .command_arguments import AS_PROGRAM
from .dispatch import COMMANDS as DISPATCH
from .exit_codes import ExitCode
from .failures import Failure, SecretOnCommandLine, UsageFailure
from .options import PASSWORD_OPTIONS, WHY_NOT_HERE, parse
from .quoting import split
from .readable import one_line
from .schema import SECRET_NAMES
from .session import Session
from .version import version

COMMANDS = {
    "tools": "list the tools of the server",
    "describe": "TOOL: show its parameters and results",
    "call": "TOOL key=value ... [--yes]: call it; `call` may be left out",
    "boxes": "the boxes of the account",
    "live": "[--watch [SECONDS]]: what the battery box does now",
    "status": "[--box ID]: whether something is wrong, and what to do",
    "history": "SERIES --from DATE [--to DATE]: draw a series of the past",
    "energy": "[--per hour|day|month] [--from DATE]: kWh, row by row",
    "notifications": "[--limit N] [--before ID]: what the portal has to say",
    "plan": "--mode MODE and the like: plan a change of the box",
    "apply": "PLAN_TOKEN: apply a planned change",
    "change": "CHANGE_ID [--wait SECONDS]: how a change stands",
    "changes": "[--limit N]: the changes that were made",
    "login": "[--email EMAIL]: keep a login in the keyring",
    "logout": "[--email EMAIL]: end the login, and remove the kept one",
    "log-out": "the same as logout",
    "check-auth": "[EMAIL]: check a login at OIG Cloud",
    "doctor": "[--as CLIENT]: find out why something does not work",
    "json": "on|off: print results as JSON",
    "help": "[COMMAND|TOOL]: this list, or what one of it is about",
    "exit": "leave, like quit and Ctrl-D",
}
HELP = """
A value with spaces needs quotes: note="two words". key:=JSON gives lists and
objects. Missing parameters are asked for; secret ones are only ever asked for.
`help live` and the like say more. Tab completes, arrow-up brings back a line,
Ctrl-C stops a call."""


YES = "--yes"
"""Confirms the call of a destructive tool, as on the command line."""


class _Leave(Exception):
    """The person or the script is done."""


def interactive(session: Session) -> int:
    """Work with a person until they leave."""
    # Loaded here: a script needs no line editor.
    from prompt_toolkit import PromptSession  # noqa: PLC0415
    from prompt_toolkit.auto_suggest import AutoSuggestFromHistory  # noqa: PLC0415
    from prompt_toolkit.output import create_output  # noqa: PLC0415

    from .completion import ShellCompleter  # noqa: PLC0415
    from .history import FileHistory, history_path, memory_for  # noqa: PLC0415

    history = FileHistory(history_path(os.environ))
    history.trim()
    editor: PromptSession[str] = PromptSession(
        "oig> ",
        history=history,
        completer=ShellCompleter(COMMANDS, lambda: session.known),
        complete_while_typing=False,  # a menu that jumps up at every key is in the way
        auto_suggest=AutoSuggestFromHistory(),
        bottom_toolbar=lambda: state(session),
        reserve_space_for_menu=6,
        # Results alone belong to stdout, which may be a file.
        output=create_output(stdout=sys.stderr),
    )
    session.output.note(f"oig-client {version()}. Type help; Tab completes, Ctrl-D leaves.")
    _greet(session)
    while True:
        try:
            line = editor.prompt()
            # Before it runs: by then the tools may have changed.
            before = memory_for(line, session.known)
            try:
                _do(session, line)
            finally:
                after = memory_for(line, session.known)
                history.remember(line.strip(), max(before, after, key=_strictness))
        except Failure as failure:
            session.output.failure(failure)
        except KeyboardInterrupt:
            continue
        except (EOFError, _Leave):
            return ExitCode.OK


def script(session: Session, lines: Iterable[str]) -> int:
    """Carry out commands read from a file or pipe; return the last failure's exit code."""
    code: int = ExitCode.OK
    for line in lines:
        if line.lstrip().startswith("#"):
            continue
        try:
            code = _do(session, line) or code
        except Failure as failure:
            session.output.failure(failure)
            code = failure.exit_code
        except _Leave:
            break
    return code


def state(session: Session) -> str:
    """Return the line at the bottom of the screen."""
    if session.known is None:
        what = "not connected"
    else:
        server, count = session.known.server, len(session.known.tools)
        what = f"{one_line(server)}, {count} tool{'s' if count != 1 else ''}"
    if session.problem:
        what += f", last try: {session.problem.replace('_', ' ')}"
    return f" {session.url}  |  {what}"


def _greet(session: Session) -> None:
    try:
        catalogue = session.look()
    except Failure as failure:
        session.output.failure(failure)
        session.output.note("Every command tries again, so you can stay here meanwhile.")
    except KeyboardInterrupt:
        session.output.note("Not connected yet; the next command tries again.")
    else:
        names = ", ".join(one_line(tool.name) for tool in catalogue.tools) or "no tools"
        place = one_line(catalogue.server.name) or session.place
        session.output.note(f"Connected to {place}: {names}.")


def _do(session: Session, line: str) -> int:
    """Carry out a line; return how a command ended that had a result all the same."""
    match _split(line):
        case []:
            pass
        case ["exit" | "quit"]:
            raise _Leave
        case ["help", name] if name in AS_PROGRAM:
            return _as_program(session, [name, "--help"])
        case ["help", name] if name in COMMANDS:
            session.output.result({"help": usage(name)}, lambda _framed: usage(name))
        case ["help"]:
            session.output.result({"commands": COMMANDS}, lambda _framed: help_text())
        case ["json", "on" | "off" as switch]:
            session.output.as_json = switch == "on"
        case [name, *_] as words if name in AS_PROGRAM:
            return _as_program(session, words)
        case words:
            _ask_server(session, words)
    return 0


def _ask_server(session: Session, words: list[str]) -> None:
    match words:
        case ["tools"]:
            commands.tools(session)
        case ["describe" | "help", name]:
            commands.describe(session, name)
        case ["check-auth", *rest]:
            commands.check_auth(session, _email(rest))
        case ["call", name, *rest]:
            _call(session, name, rest)
        case [name, *rest] if name not in COMMANDS and name != "quit":
            _call_bare(session, name, rest)
        case [name, *_]:
            raise UsageFailure(f"Usage: {usage(name)}")


def _as_program(session: Session, words: list[str]) -> int:
    """Carry out a command that is typed here just as on the command line."""
    options = parse(words, everywhere=False)
    if options.help_text is not None:
        session.output.result({"help": options.help_text}, lambda _framed: options.help_text or "")
        return 0
    adopted = replace(options, url=session.whole_url, timeout=session.timeout)
    return DISPATCH[options.command](session, adopted) or 0


def _split(line: str) -> list[str]:
    try:
        return split(line)
    except ValueError:
        raise UsageFailure("A quote is opened and never closed; nothing was done.") from None


def _email(words: list[str]) -> str | None:
    match words:
        case []:
            return None
        case [email] if "@" in email and not email.startswith(("-", *SECRET_NAMES)):
            return email.removeprefix("email=")
        case ["--email", email]:
            return email
    _refuse_password(words)
    raise UsageFailure("Usage: check-auth [EMAIL]. The password is asked for, never typed here.")


def _refuse_password(words: list[str]) -> None:
    for word in words:
        if word.startswith(PASSWORD_OPTIONS) or word.lower().startswith(SECRET_NAMES):
            raise SecretOnCommandLine(WHY_NOT_HERE)


def _call(session: Session, name: str, words: list[str]) -> None:
    given = tuple(word for word in words if word != YES)
    commands.call(session, name, given, yes=YES in words)


def _call_bare(session: Session, name: str, words: list[str]) -> None:
    known = session.known or session.look()
    if all(tool.name != name for tool in known.tools):
        known = session.look()  # it may be new
    if all(tool.name != name for tool in known.tools):
        _no_such_command(name, known.tools)
    _call(session, name, words)


def _no_such_command(name: str, tools: Iterable[Tool]) -> NoReturn:
    names = dict.fromkeys([*COMMANDS, *(tool.name for tool in tools)])
    raise UsageFailure(
        f"There is no command or tool of that name.{suggestion(name, names)} Type help for the "
        "commands, tools for the tools.",
        kind="unknown_command",
    )


def usage(name: str) -> str:
    """Return how a command is typed and what it does."""
    text = COMMANDS.get(name, COMMANDS["exit"])
    return f"{name} {text}" if ": " in text else f"{name}: {text}"


def help_text() -> str:
    """Return the list of commands."""
    rows = [f"  {name:<14} {text}" for name, text in COMMANDS.items()]
    return "\n".join(["Commands:", *rows, HELP])


def _strictness(memory: object) -> int:
    from .history import Memory  # noqa: PLC0415

    return [Memory.FILE, Memory.RUN, Memory.NOWHERE].index(Memory(memory))
