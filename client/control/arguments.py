"""What `plan`, `apply`, `change` and `changes` take on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ..durations import seconds, whole_seconds

DEFAULT_WAIT = 180.0
"""Seconds to wait for the box: it usually has a change in one or two minutes."""
MAX_WAIT = 3600.0
MAX_LOOK = 50
"""Seconds that the server waits at most with its answer to one look."""

WISHES = (
    ("--mode", "mode", "MODE", "operating mode: home_1, home_2, home_3 or home_ups"),
    ("--home-grid-v", "home_grid_v", "on|off", "supplementary mode Home Grid V"),
    ("--home-grid-vi", "home_grid_vi", "on|off", "the other one; both may go together"),
    ("--export", "grid_export", "STATE", "export to the grid: off, on, or limited with --limit"),
    ("--limit", "export_limit_w", "W", "the most that may be exported, in watts"),
    ("--boiler", "boiler", "STATE", "automatic or manual (full power at once)"),
    ("--charge-to", "charge_to_percent", "PERCENT", "charge from the grid now, up to this"),
    ("--undo", "undo", "CHANGE_ID", "the way back from an earlier change"),
)
"""Option, the parameter of plan_change it stands for, its value, its help. Which values there are
the server's schema decides."""


class _Wish(argparse.Action):
    """Collect what is named into one mapping, as it was typed."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        _option: str | None = None,
    ) -> None:
        namespace.wishes = {**namespace.wishes, str(self.const): str(values)}


def plan(parser: argparse.ArgumentParser) -> None:
    """Add the options of `plan`."""
    parser.set_defaults(wishes={})
    for option, name, value, text in WISHES:
        parser.add_argument(
            option, action=_Wish, const=name, dest="_wish", metavar=value, help=text
        )
    parser.add_argument(
        "--apply", action="store_true", help="go on to apply it, after it was confirmed"
    )
    _confirmed(parser)


def apply(parser: argparse.ArgumentParser) -> None:
    """Add the options of `apply`."""
    parser.add_argument(
        "planned",
        metavar="PLAN_TOKEN",
        nargs="?",
        default="-",
        help="as `oig-client plan` printed it; - or nothing reads it from standard input",
    )
    _confirmed(parser)


def change(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `change`."""
    parser.add_argument("change_id", metavar="CHANGE_ID", help="as plan and apply printed it")
    parser.add_argument(
        "--wait",
        type=whole_seconds(MAX_LOOK),
        default=0,
        metavar="SECONDS",
        help=f"wait until it is known how it ended, {MAX_LOOK} at most (default: %(default)s)",
    )


def _confirmed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--yes-apply-to",
        metavar="BOX_ID",
        help="apply without asking, if it is this box; for scripts",
    )
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument(
        "--wait",
        type=seconds(MAX_WAIT),
        default=DEFAULT_WAIT,
        metavar="SECONDS",
        help="how long to wait until the box shows it (default: %(default)g)",
    )
    waiting.add_argument(
        "--no-wait",
        dest="wait",
        action="store_const",
        const=0.0,
        help="be done once the portal took it",
    )
