"""The command line, read without ever repeating a word that may be a password."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import NoReturn

from .address import DEFAULT_URL, checked_url
from .catalogue import suggestion
from .command_arguments import COMMANDS
from .control import arguments as control
from .durations import seconds
from .failures import SecretOnCommandLine, UsageFailure
from .option_values import MAX_TIMEOUT

DEFAULT_TIMEOUT = 60.0
"""Seconds. A first login passes through OIG Cloud, which may take its time."""

PASSWORD_OPTIONS = ("--pass", "--pwd", "--secret")
WHY_NOT_HERE = (
    "A password is never taken as an argument: other users and the process list can read it there. "
    "Leave it out and you will be asked; in scripts use --password-stdin or OIG_PASSWORD."
)
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
