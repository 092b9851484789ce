"""The command line, read without ever repeating a word that may be a password."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import NoReturn

from . import local_time
from .address import DEFAULT_URL, checked_url
from .catalogue import suggestion
from .control import arguments as control
from .durations import seconds
from .failures import SecretOnCommandLine, UsageFailure

DEFAULT_TIMEOUT = 60.0
"""Seconds. A first login passes through OIG Cloud, which may take its time."""
MAX_TIMEOUT = 3600.0

PASSWORD_OPTIONS = ("--pass", "--pwd", "--secret")
WHY_NOT_HERE = (
    "A password is never taken as an argument: other users and the process list can read it there. "
    "Leave it out and you will be asked; in scripts use --password-stdin or OIG_PASSWORD."
)
ROWS = ("hour", "day", "month", "total")
SERIES = ("solar", "battery", "grid", "load")
MOST = 100
"""Notifications at once: what the server gives at most."""
DEFAULT_PAUSE = 10.0
SHORTEST_PAUSE = 1.0
"""Seconds between two looks: the box itself reports no faster."""
FILES = ("claude-desktop", "claude-code", "vscode", "cursor")
"""AI clients that read their servers from a file."""
WAYS = ("browser", "header")
"""How an AI client logs in, where it does so by itself."""
ASSISTANTS = (*FILES, "claude-ai")
SUMMARY = "Call the tools of the OIG Cloud MCP server from a terminal."
EPILOG = """\
exit codes:
  0  done                              6    status: fine as far as known only
  1  a tool, keyring or file says no   70   a bug in oig-client
  2  wrong usage                       130  stopped by Ctrl-C
  3  server not reachable              141  nobody reads the output any more
  4  not an MCP endpoint               143  ended by SIGTERM
  5  status: not fine

environment:
  OIG_MCP_URL               address of the server
  OIG_EMAIL, OIG_PASSWORD   account at OIG Cloud, where no keyring keeps it
  OIG_PASSWORD_FILE         a file with the password in its first line

examples:
  oig-client login
  oig-client tools
  oig-client call check_auth email=user@example.com
  oig-client boxes
  oig-client live --watch
  oig-client status
  oig-client history solar --from 2026-11-20 --to 2026-11-22
  oig-client energy --per month --import-price 6.5 --export-price 1.8
  oig-client doctor --as claude-desktop
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse repeats the value that was given to an option without one.
        what, ignored, _value = message.partition("ignored explicit argument")
        if ignored and "--password-stdin" in what:
            raise SecretOnCommandLine(WHY_NOT_HERE)
        message = f"{what}it takes no value" if ignored else message
        raise UsageFailure(f"{message[:1].upper()}{message[1:]}. See: {self.prog} --help")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for, with every default filled in."""

    command: str = "shell"
    url: str = DEFAULT_URL
    timeout: float = DEFAULT_TIMEOUT
    json: bool = False
    verbose: bool = False
    no_keyring: bool = False
    email: str | None = None
    password_stdin: bool = False
    tool: str = ""
    words: tuple[str, ...] = ()
    yes: bool = False
    assistant: str | None = None
    write: bool = False
    with_credentials: bool = False
    login_by: str | None = None
    watch: float | None = None
    detail: bool = False
    box: str | None = None
    series: str = ""
    first: date | None = None
    last: date | None = None
    quantity: str | None = None
    csv: str | None = None
    per: str = "day"
    import_price: float | None = None
    export_price: float | None = None
    currency: str | None = None
    since: datetime | None = None
    before: str | None = None
    limit: int | None = None
    wishes: Mapping[str, str] = field(default_factory=dict)
    apply: bool = False
    planned: str = "-"
    change_id: str = ""
    yes_apply_to: str | None = None
    wait: float = control.DEFAULT_WAIT
    help_text: str | None = field(default=None, repr=False)
    """Set when help was asked for; nothing else is done then."""


@dataclass(frozen=True, slots=True)
class _Command:
    summary: str
    arguments: Callable[[argparse.ArgumentParser], None] = lambda _parser: None


def _login(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--email", help="account at OIG Cloud (or OIG_EMAIL); asked for on a terminal"
    )
    _password_stdin(parser)


def _as_somebody(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--email",
        help="account at OIG Cloud (default: OIG_EMAIL, then that of oig-client login)",
    )
    _password_stdin(parser)


def _tool(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tool", metavar="TOOL", help="name as listed by: oig-client tools")


def _describe(parser: argparse.ArgumentParser) -> None:
    _tool(parser)
    _as_somebody(parser)


def _call(parser: argparse.ArgumentParser) -> None:
    _tool(parser)
    parser.add_argument(
        "words",
        metavar="key=value",
        nargs="*",
        default=(),  # so that it is not called required
        help="a parameter; key:=JSON gives the value as JSON. Secret ones are asked for",
    )
    parser.add_argument(
        "--yes", action="store_true", help="do not ask before a tool that may destroy something"
    )
    _as_somebody(parser)


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "assistant", metavar="CLIENT", type=_one_of(FILES), help=f"one of {', '.join(FILES)}"
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="add it to the client's file, of which a copy is kept; other servers and settings "
        "stay, and so does a login in it",
    )
    parser.add_argument(
        "--with-credentials",
        action="store_true",
        help="with --write: put the login of oig-client login into the file (claude-desktop, "
        "cursor). It is never printed",
    )

    parser.add_argument(
        "--login",
        dest="login_by",
        metavar="WAY",
        type=_one_of(WAYS),
        help="browser or header: how the client logs in (default: with the browser where the "
        "server offers that, which it is asked)",
    )


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--as",
        dest="assistant",
        metavar="CLIENT",
        type=_one_of(ASSISTANTS),
        help=f"look with the eyes of one of {', '.join(ASSISTANTS)}",
    )
    _as_somebody(parser)


def _box(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--box", metavar="ID", help="which box; only needed when the account has several"
    )
    _as_somebody(parser)


def _live(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--detail", action="store_true", help="also windows of tariff and boiler, and its relays"
    )
    parser.add_argument(
        "--watch",
        type=_pause,
        nargs="?",
        const=DEFAULT_PAUSE,
        metavar="SECONDS",
        help=f"look again every so many seconds (default: {DEFAULT_PAUSE:g}), until Ctrl-C",
    )
    _box(parser)


def _history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "series", metavar="SERIES", type=_one_of(SERIES), help=f"one of {', '.join(SERIES)}"
    )
    parser.add_argument(
        "--from",
        dest="first",
        metavar="DATE",
        type=_day,
        required=True,
        help="as 2026-11-22; days are those of Prague",
    )
    parser.add_argument(
        "--to", dest="last", metavar="DATE", type=_day, help="included (default: the first day)"
    )
    parser.add_argument("--quantity", metavar="NAME", help="what to draw (default: the power)")
    parser.add_argument("--csv", metavar="FILE", help="write a table too; - prints it instead")
    _box(parser)


def _energy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--per",
        metavar="ROW",
        type=_one_of(ROWS),
        default="day",
        help=f"one of {', '.join(ROWS)} (default: day)",
    )
    parser.add_argument(
        "--from",
        dest="first",
        metavar="DATE",
        type=_day,
        help="as 2026-11-22; days are those of Prague (default: a week with --per day and total, "
        "one day with hour, from January 1 with month)",
    )
    parser.add_argument(
        "--to", dest="last", metavar="DATE", type=_day, help="included (default: today)"
    )
    parser.add_argument("--import-price", metavar="N", type=_price, help="per kWh that is bought")
    parser.add_argument("--export-price", metavar="N", type=_price, help="per kWh that is sold")
    parser.add_argument("--currency", metavar="NAME", help="of the prices, as CZK")
    parser.add_argument("--csv", metavar="FILE", help="write a table too; - prints it instead")
    _box(parser)


def _notifications(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=_moment,
        help="as 2026-11-22 or 2026-11-22T18:30; Prague's time unless it ends in an offset",
    )
    parser.add_argument("--limit", metavar="N", type=_count, help="that many at most")
    parser.add_argument(
        "--before", metavar="ID", help="only older ones than that; the list ends with the id"
    )
    _box(parser)


def _plan(parser: argparse.ArgumentParser) -> None:
    control.plan(parser)
    _box(parser)


def _apply(parser: argparse.ArgumentParser) -> None:
    control.apply(parser)
    _as_somebody(parser)


def _change(parser: argparse.ArgumentParser) -> None:
    control.change(parser)
    _as_somebody(parser)


def _changes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", metavar="N", type=_count, help="that many at most")
    _box(parser)


def _password_stdin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from the first line of standard input (or set OIG_PASSWORD)",
    )


AS_PROGRAM = frozenset(
    {
        "boxes",
        "live",
        "status",
        "history",
        "energy",
        "notifications",
        "login",
        "logout",
        "log-out",
        "doctor",
    }
    | {"plan", "apply", "change", "changes"}
)
"""Commands that are typed in the shell as they are on the command line."""
COMMANDS: Mapping[str, _Command] = {
    "login": _Command("keep a login in the keyring, for commands without a password", _login),
    "logout": _Command("end the login at the server, and remove the kept one", _as_somebody),
    "log-out": _Command("the same as logout", _as_somebody),
    "check-auth": _Command("check an e-mail and password against OIG Cloud", _as_somebody),
    "tools": _Command("list the tools of the server", _as_somebody),
    "describe": _Command("show parameters and results of one tool", _describe),
    "call": _Command("call a tool", _call),
    "boxes": _Command("list the boxes of the account", _as_somebody),
    "live": _Command("show what the battery box does now", _live),
    "status": _Command("say whether something is wrong with the box, and what to do", _box),
    "history": _Command("draw a series of the past, or write it to a file", _history),
    "energy": _Command("show energy by hour, day, month or in total", _energy),
    "notifications": _Command("show what the portal has to say", _notifications),
    "plan": _Command("plan a change of the battery box, and show it", _plan),
    "apply": _Command("apply a planned change, after you confirmed it", _apply),
    "change": _Command("show how a change stands", _change),
    "changes": _Command("list the changes that were made", _changes),
    "config": _Command("print or write the configuration of an AI client", _config),
    "doctor": _Command("find out why something does not work", _doctor),
    "shell": _Command("work interactively; also what bare oig-client does"),
}


def parse(
    argv: Sequence[str], environ: Mapping[str, str] = os.environ, *, everywhere: bool = True
) -> Options:
    """Read the command line. Global options may stand anywhere.

    Args:
        argv: The words.
        environ: Where OIG_MCP_URL may be.
        everywhere: Take options for every command; a line in the shell has none.

    Raises:
        UsageFailure: It does not fit; the message repeats no value that may be secret.
    """
    overall = _global_options()
    given, rest = overall.parse_known_args(list(argv) if everywhere else [])
    rest = rest if everywhere else list(argv)
    if given.version:
        return Options(command="version", json=given.json)
    if rest[:1] == ["help"] and everywhere:
        rest = [*rest[1:], "--help"]
    if rest and rest[0] in {"-h", "--help"}:
        return Options(command="help", help_text=_overview(overall).format_help())
    command, words = _split(rest)
    summary = COMMANDS[command].summary
    parser = _Parser(
        prog=f"oig-client {command}",
        description=f"{summary[:1].upper()}{summary[1:]}.",
        parents=[overall] if everywhere else [],
        allow_abbrev=False,
        add_help=everywhere,
    )
    COMMANDS[command].arguments(parser)
    if {"-h", "--help"} & set(words):
        return Options(command="help", help_text=parser.format_help())
    found, unknown = parser.parse_known_intermixed_args(words)
    if unknown:
        raise _unknown(unknown, parser.prog)
    everything = vars(found) | vars(given)
    everything["url"] = checked_url(given.url or environ.get("OIG_MCP_URL") or DEFAULT_URL)
    everything["words"] = tuple(everything.get("words", ()))
    known = {each.name for each in fields(Options)} & everything.keys()
    return Options(command=command, **{name: everything[name] for name in known})


def options_of(command: str) -> list[str]:
    """Return the options of a command that only it has."""
    parser = _Parser(add_help=False)
    COMMANDS[command].arguments(parser)
    return re.findall(r"^  (--[a-z-]+)", parser.format_help(), re.MULTILINE)


def _global_options() -> _Parser:
    parser = _Parser(prog="oig-client", add_help=False, allow_abbrev=False)
    group = parser.add_argument_group("options for every command")
    group.add_argument(
        "--url", help=f"address of the server (default: OIG_MCP_URL or {DEFAULT_URL})"
    )
    group.add_argument(
        "--timeout",
        type=seconds(MAX_TIMEOUT),
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="how long to wait for an answer (default: %(default)g)",
    )
    group.add_argument(
        "--json", action="store_true", help="print one JSON object, also for an error"
    )
    group.add_argument(
        "-v", "--verbose", action="store_true", help="tell each exchange with the server on stderr"
    )
    group.add_argument(
        "--no-keyring", action="store_true", help="do as if nothing were kept in the keyring"
    )
    group.add_argument("--version", action="store_true", help="print the version")
    return parser


def _overview(everywhere: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="oig-client",
        usage="oig-client [options] [command] ...",
        description=SUMMARY,
        epilog=EPILOG,
        parents=[everywhere],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # Only for the help: each command has a parser of its own.
    group = parser.add_argument_group("commands (oig-client COMMAND --help says more)")
    for name, command in COMMANDS.items():
        group.add_argument(name, nargs="?", metavar=name, help=command.summary)
    return parser


def _split(rest: Sequence[str]) -> tuple[str, list[str]]:
    if not rest:
        return "shell", []
    name, *words = rest
    if name in COMMANDS:
        return name, words
    if name.startswith("-"):
        raise _unknown(rest, "oig-client")
    raise UsageFailure(
        f"There is no command of that name.{suggestion(name, COMMANDS)} "
        f"Commands: {', '.join(COMMANDS)}. To call a tool: oig-client call TOOL key=value ..."
    )


def _unknown(words: Sequence[str], prog: str) -> UsageFailure:
    """Name what does not belong here, options without their values and other words not at all."""
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    options += [word[:2] for word in words if word.startswith("-") and not word.startswith("--")]
    if any(option.startswith(PASSWORD_OPTIONS) or option == "-p" for option in options):
        return SecretOnCommandLine(WHY_NOT_HERE)
    if options:
        what = f"Unknown option {', '.join(options)}"
    else:
        what = f"{len(words)} word{'s' if len(words) > 1 else ''} too many"
    return UsageFailure(f"{what}. See: {prog} --help")


def _one_of(names: Sequence[str]) -> Callable[[str], str]:
    """Take one of these words; argparse's own `choices` would repeat what was typed instead."""

    def chosen(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"choose one of {', '.join(names)}")
        return text

    return chosen


def _pause(text: str) -> float:
    value = seconds(MAX_TIMEOUT)(text)
    if value < SHORTEST_PAUSE:
        raise argparse.ArgumentTypeError(f"give at least {SHORTEST_PAUSE:g} second")
    return value


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("give a day such as 2026-11-22") from None


def _price(text: str) -> float:
    # A person here writes a comma; nobody groups thousands in a price.
    plain = text.replace(",", ".")
    if not re.fullmatch(r"-?\d{1,5}(\.\d{1,6})?", plain, re.ASCII):
        raise argparse.ArgumentTypeError("give a price per kWh such as 6.5")
    return float(plain)


def _moment(text: str) -> datetime:
    try:
        return local_time.typed(text)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("give a day or time such as 2026-11-22T18:30") from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= MOST):
        raise argparse.ArgumentTypeError(f"give a number from 1 to {MOST}")
    return int(text)
