"""`stats --watch`: the same again and again, with what grew in between."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from server.readings.clock import written

from .blocks import Block
from .failures import Unreachable
from .options import Options
from .output import can_draw, fail, show_json
from .rates import rates, rates_line, watch_line
from .shared import shared
from .stats_report import stats_report

TERMINATED = 128 + signal.SIGTERM


class Tick(NamedTuple):
    """One look at the daemon: its statistics with rates per second, or why there are none."""

    stats: Mapping[str, Any]
    rates: Mapping[str, float | None]
    failure: Unreachable | None = None


Show = Callable[[Tick], None]


def watch(options: Options, seconds: float) -> NoReturn:
    """Show the statistics every so many seconds, over restarts of the daemon.

    Ends by an exception only: KeyboardInterrupt on Ctrl-C, SystemExit on SIGTERM, or a Failure
    that waiting cannot mend.
    """
    # As an exception, so that the terminal gets its cursor back.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    with _display(options) as show:
        for tick in _ticks(options.socket, seconds):
            show(tick)
    raise AssertionError("ticks never end")


def _ticks(socket: Path | None, seconds: float) -> Iterator[Tick]:
    before: Mapping[str, Any] | None = None
    due = time.monotonic()
    while True:
        try:
            with shared(socket) as daemon:
                while True:
                    (stats,) = daemon.call("stats", None, fields=(Mapping,))
                    yield Tick(stats, rates(before, stats))
                    before = stats
                    due = _sleep(due + seconds)
        except Unreachable as failure:
            yield Tick({}, {}, failure)
            due = _sleep(due + seconds)


def _sleep(due: float) -> float:
    """Sleep until `due` on the monotonic clock and return it; or now, if that has passed."""
    now = time.monotonic()
    time.sleep(max(0.0, due - now))
    return max(due, now)


def _display(options: Options) -> AbstractContextManager[Show]:
    if options.json:
        return _each(_show_json)
    return _drawn() if can_draw() else _each(_show_line)


@contextmanager
def _each(show: Show) -> Iterator[Show]:
    def show_now(tick: Tick) -> None:
        show(tick)
        sys.stdout.flush()

    yield show_now


def _show_json(tick: Tick) -> None:
    if tick.failure:
        fail(tick.failure, as_json=True)
    else:
        show_json({**tick.stats, "rates": tick.rates})


def _show_line(tick: Tick) -> None:
    line = _waiting(tick.failure) if tick.failure else watch_line(tick.stats, tick.rates)
    sys.stdout.write(f"{written(datetime.now(UTC))}  {line}\n")


@contextmanager
def _drawn() -> Iterator[Show]:
    from .drawn import redrawn  # noqa: PLC0415 - rich, as in output.py

    with redrawn() as redraw:

        def show(tick: Tick) -> None:
            blocks: tuple[Block, ...] = (
                (_waiting(tick.failure),)
                if tick.failure
                else (rates_line(tick.rates), *stats_report(tick.stats).blocks)
            )
            redraw(blocks)

        yield show


def _waiting(failure: Unreachable) -> str:
    return f"not reachable, waiting: {failure}"
