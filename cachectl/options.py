"""The command line: what may be said, and its help."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import values
from .failures import Usage
from .help_texts import (
    CONNECTIONS,
    END,
    EXAMPLES,
    FLUSH,
    FORGET,
    JOURNAL,
    RELEASE,
    RELOAD,
    ROTATE,
    UNLOCK,
)

DEFAULT_ROWS = 20
"""Rows shown by default: they fit a terminal of 24 lines."""

WIDTH = 80
"""Columns of the help: what every terminal has."""


class Options(argparse.Namespace):
    """What the command line said."""

    command: str
    socket: Path | None
    json: bool
    watch: float | None
    limit: int
    email: str | None
    source: str | None
    account: str | None
    listed: str | None
    box: str | None
    action: str | None
    connection: str | None
    change: str | None
    force: bool
    expired: bool
    lockouts: bool
    everything: bool
    yes: bool


def parse(argv: Sequence[str]) -> Options:
    """Read the command line; `--help` and `--version` print and raise SystemExit.

    Raises:
        Usage: It is wrong. The message does not repeat what may have been meant as an e-mail.
    """
    parser, commands = _parser()
    options, surplus = parser.parse_known_args(argv, namespace=Options())
    if surplus:
        unknown = [word.partition("=")[0] for word in surplus if word.startswith("-")]
        own = re.findall(r"--[a-z]+", commands[options.command].format_help())
        raise Usage(
            f"cachectl {options.command} has no option {unknown[0]}.{_meant(unknown[0], own)}"
            if unknown
            else f"cachectl {options.command}: {len(surplus)} argument(s) too many"
        )
    if options.command == "connections":
        _settle_connections(options)
    if options.command == "journal" and options.action and (options.account or options.box):
        raise Usage("cachectl journal: `end` takes the id of one change and no selection")
    return options


def _settle_connections(options: Options) -> None:
    """Give --account and --limit their one meaning, in front of `end` or without it.

    Raises:
        Usage: They come before `end`: somebody may mean an account, and end all.
    """
    if options.action is None:
        options.account, options.connection = options.listed, None
        options.limit = options.limit or DEFAULT_ROWS
    elif options.listed is not None or options.limit is not None:
        raise Usage("cachectl connections: what `end` is to end stands behind it")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help of a fixed width.

    argparse makes a formatter for every option it learns of, and one that measures the terminal
    imports shutil with all its compressors.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=WIDTH)


class _Parser(argparse.ArgumentParser):
    """One that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        # The word in the place of a command may be an e-mail or a password: it is not repeated.
        where, wrong, rest = message.partition("invalid choice: ")
        if wrong:
            word, _, choices = rest.rpartition(" (choose from ")
            known = re.findall(r"[a-z-]+", choices)
            meant = _meant(word.strip("'\""), known)
            message = f"{where}there is no such command.{meant} Commands: {', '.join(known)}"
        raise Usage(f"{message} (see {self.prog} --help)")


def _meant(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean ...?` or nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a wrong command line needs it

    near = get_close_matches(word, known, n=1)
    return f" Did you mean {near[0]}?" if near else ""


class _Version(argparse.Action):
    """Look the version up only when asked: that takes longer than a whole `ping`."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from server.version import program_version  # noqa: PLC0415

        sys.stdout.write(f"cachectl {program_version()}\n")
        parser.exit()


def _parser() -> tuple[_Parser, Mapping[str, _Parser]]:
    """Return the parser of the whole command line, and those of the commands."""
    parser = _Parser(
        prog="cachectl",
        description="Look into the session cache of the OIG Cloud MCP server, and flush it.",
        epilog=EXAMPLES,
        formatter_class=_Help,
        allow_abbrev=False,
        parents=[_everywhere(None, json=False)],
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="print the version of the program"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    # Given once more to each command, so that `cachectl stats --json` works as well; suppressed,
    # so that saying nothing there does not undo what was said in front of the command.
    everywhere = _everywhere(argparse.SUPPRESS, json=argparse.SUPPRESS)

    def command(name: str, summary: str, description: str | None = None) -> _Parser:
        return commands.add_parser(
            name,
            help=summary,
            description=description or f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=_Help,
            allow_abbrev=False,
            parents=[everywhere],
        )

    stats = command("stats", "show how full, how useful and how busy the cache is")
    stats.add_argument(
        "--watch",
        nargs="?",
        type=values.interval,
        const=1.0,
        metavar="SECONDS",
        help="again and again with rates, until Ctrl-C (default: every second)",
    )

    flush = command("flush", "drop sessions, or what else the options say", FLUSH)
    what = flush.add_mutually_exclusive_group()
    what.add_argument(
        "--account", type=values.email, metavar="EMAIL", help="drop the sessions of one account"
    )
    what.add_argument("--expired", action="store_true", help="drop only what has run out already")
    what.add_argument(
        "--lockouts", action="store_true", help="forget failed logins, which opens every lock"
    )
    what.add_argument(
        "--all", action="store_true", dest="everything", help="drop sessions and lockouts; asks"
    )
    flush.add_argument("-y", "--yes", action="store_true", help="do not ask")

    command("ping", "ask for a sign of life and time it")

    for name, summary in (
        ("sessions", "list the cached sessions, latest used first; never an e-mail or a value"),
        ("lockouts", "list the accounts with failed logins, and which of them are locked"),
    ):
        _limited(command(name, summary), DEFAULT_ROWS)

    journal = command("journal", "list the changes that were made at boxes, latest first", JOURNAL)
    journal.add_argument(
        "--account", type=values.email, metavar="EMAIL", help="only those of an account"
    )
    journal.add_argument("--box", metavar="ID", help="only those of a box")
    _limited(journal, DEFAULT_ROWS)
    boxes = journal.add_subparsers(dest="action", metavar="end")
    release = boxes.add_parser(
        "end",
        help="release the box that a change or a reservation blocks",
        description=RELEASE,
        formatter_class=_Help,
        allow_abbrev=False,
        parents=[everywhere],
    )
    release.add_argument("change", type=values.change, metavar="ID", help="as `journal` lists it")
    release.add_argument("--force", action="store_true", help="even while the change is being sent")
    release.add_argument("-y", "--yes", action="store_true", help="do not ask")

    connections = command(
        "connections",
        "list the clients that owners connected with a browser, or end some",
        CONNECTIONS,
    )
    connections.add_argument(
        "--account",
        type=values.email,
        metavar="EMAIL",
        dest="listed",
        help="only those of an account",
    )
    _limited(connections, None)
    actions = connections.add_subparsers(dest="action", metavar="end")
    end = actions.add_parser(
        "end",
        help="end a connection, all of an account, or all",
        description=END,
        formatter_class=_Help,
        allow_abbrev=False,
        parents=[everywhere],
    )
    which = end.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "connection",
        type=values.beginning,
        nargs="?",
        metavar="ID",
        help="as `connections` lists it",
    )
    which.add_argument("--account", type=values.email, metavar="EMAIL", help="all of an account")
    which.add_argument("--all", action="store_true", dest="everything", help="all of everybody")
    end.add_argument("-y", "--yes", action="store_true", help="do not ask")

    forget = command("forget-owner", "remove what is stored about an account", FORGET)
    forget.add_argument("email", type=values.email, metavar="EMAIL", help="the account's e-mail")

    rotate = command("rotate-secret", "replace the secret: everybody logs in again", ROTATE)
    rotate.add_argument("-y", "--yes", action="store_true", help="do not ask")

    command("reload", "read the settings again, by the daemon and all workers", RELOAD)

    unlock = command("unlock", "forget the failed logins of an account or an address", UNLOCK)
    whose = unlock.add_mutually_exclusive_group(required=True)
    whose.add_argument(
        "email", type=values.email, nargs="?", metavar="EMAIL", help="the account's e-mail"
    )
    whose.add_argument(
        "--source", type=values.source, metavar="ADDRESS", help="as `cachectl lockouts` lists it"
    )
    return parser, commands.choices


def _limited(parser: _Parser, rows: int | None) -> None:
    parser.add_argument(
        "--limit",
        type=values.limit,
        default=rows,
        metavar="N",
        help=f"rows at most, up to {values.MAX_ROWS} (default: {DEFAULT_ROWS})",
    )


def _everywhere(socket: Any, *, json: Any) -> _Parser:
    options = _Parser(add_help=False, formatter_class=_Help)
    options.add_argument(
        "--socket",
        type=values.path,
        default=socket,
        metavar="PATH",
        help="socket of the cache daemon (default: OIG_CACHE_SOCKET, or var/run/cache.sock)",
    )
    options.add_argument(
        "--json",
        action="store_true",
        default=json,
        help='print JSON; failures as {"error": ...}, too',
    )
    return options
