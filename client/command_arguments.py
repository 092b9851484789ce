"""The commands, and what each of them takes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .control import arguments as control
from .option_values import count, day, moment, one_of, pause, price

ROWS = ("hour", "day", "month", "total")
SERIES = ("solar", "battery", "grid", "load")
DEFAULT_PAUSE = 10.0
FILES = ("claude-desktop", "claude-code", "vscode", "cursor")
"""AI clients that read their servers from a file."""
WAYS = ("browser", "header")
"""How an AI client logs in, where it does so by itself."""
ASSISTANTS = (*FILES, "claude-ai")


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what it does, and what it takes."""

    summary: str
    arguments: Callable[[argparse.ArgumentParser], None] = lambda _parser: None


def _login(parser: argparse.ArgumentParser) -> None:
    _account(parser, "account at OIG Cloud (or OIG_EMAIL); asked for on a terminal")


def _as_somebody(parser: argparse.ArgumentParser) -> None:
    _account(parser, "account at OIG Cloud (default: OIG_EMAIL, then that of oig-client login)")


def _account(parser: argparse.ArgumentParser, email: str) -> None:
    parser.add_argument("--email", help=email)
    parser.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from the first line of standard input (or set OIG_PASSWORD)",
    )


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
        "assistant", metavar="CLIENT", type=one_of(FILES), help=f"one of {', '.join(FILES)}"
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
        type=one_of(WAYS),
        help="browser or header: how the client logs in (default: with the browser where the "
        "server offers that, which it is asked)",
    )


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--as",
        dest="assistant",
        metavar="CLIENT",
        type=one_of(ASSISTANTS),
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
        type=pause,
        nargs="?",
        const=DEFAULT_PAUSE,
        metavar="SECONDS",
        help=f"look again every so many seconds (default: {DEFAULT_PAUSE:g}), until Ctrl-C",
    )
    _box(parser)


def _history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "series", metavar="SERIES", type=one_of(SERIES), help=f"one of {', '.join(SERIES)}"
    )
    parser.add_argument(
        "--from",
        dest="first",
        metavar="DATE",
        type=day,
        required=True,
        help="as 2026-11-22; days are those of Prague",
    )
    parser.add_argument(
        "--to", dest="last", metavar="DATE", type=day, help="included (default: the first day)"
    )
    parser.add_argument("--quantity", metavar="NAME", help="what to draw (default: the power)")
    parser.add_argument("--csv", metavar="FILE", help="write a table too; - prints it instead")
    _box(parser)


def _energy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--per",
        metavar="ROW",
        type=one_of(ROWS),
        default="day",
        help=f"one of {', '.join(ROWS)} (default: day)",
    )
    parser.add_argument(
        "--from",
        dest="first",
        metavar="DATE",
        type=day,
        help="as 2026-11-22; days are those of Prague (default: a week with --per day and total, "
        "one day with hour, from January 1 with month)",
    )
    parser.add_argument(
        "--to", dest="last", metavar="DATE", type=day, help="included (default: today)"
    )
    parser.add_argument("--import-price", metavar="N", type=price, help="per kWh that is bought")
    parser.add_argument("--export-price", metavar="N", type=price, help="per kWh that is sold")
    parser.add_argument("--currency", metavar="NAME", help="of the prices, as CZK")
    parser.add_argument("--csv", metavar="FILE", help="write a table too; - prints it instead")
    _box(parser)


def _notifications(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=moment,
        help="as 2026-11-22 or 2026-11-22T18:30; Prague's time unless it ends in an offset",
    )
    parser.add_argument("--limit", metavar="N", type=count, help="that many at most")
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
    parser.add_argument("--limit", metavar="N", type=count, help="that many at most")
    _box(parser)


COMMANDS: Mapping[str, Command] = {
    "login": Command("keep a login in the keyring, for commands without a password", _login),
    "logout": Command("end the login at the server, and remove the kept one", _as_somebody),
    "log-out": Command("the same as logout", _as_somebody),
    "check-auth": Command("check an e-mail and password against OIG Cloud", _as_somebody),
    "tools": Command("list the tools of the server", _as_somebody),
    "describe": Command("show parameters and results of one tool", _describe),
    "call": Command("call a tool", _call),
    "boxes": Command("list the boxes of the account", _as_somebody),
    "live": Command("show what the battery box does now", _live),
    "status": Command("say whether something is wrong with the box, and what to do", _box),
    "history": Command("draw a series of the past, or write it to a file", _history),
    "energy": Command("show energy by hour, day, month or in total", _energy),
    "notifications": Command("show what the portal has to say", _notifications),
    "plan": Command("plan a change of the battery box, and show it", _plan),
    "apply": Command("apply a planned change, after you confirmed it", _apply),
    "change": Command("show how a change stands", _change),
    "changes": Command("list the changes that were made", _changes),
    "config": Command("print or write the configuration of an AI client", _config),
    "doctor": Command("find out why something does not work", _doctor),
    "shell": Command("work interactively; also what bare oig-client does"),
}

AS_PROGRAM = COMMANDS.keys() - {"check-auth", "tools", "describe", "call", "config", "shell"}
"""Commands that are typed in the shell as they are on the command line."""
