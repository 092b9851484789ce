"""Drills that go on beside others, one after another, in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

from benchmarks import interruption

if __name__ == "__main__":
    interruption.leave_quietly()

from server.settings.places import ROOT

from .drill import Drill, Line, Outcome, carry_out
from .ground import Ground

SHORT = "--short"

STOPPED_WITHIN = 120.0
"""Seconds until such a process has stopped all that it started."""


class Aside:
    """The other process, for the time of a `with`.

    Args:
        drills: What it does.
        short: Whether it does less of each.
        done: Called with each line and its seconds, by another thread.
    """

    def __init__(
        self, drills: Sequence[Drill], short: bool, done: Callable[[Line, float], None]
    ) -> None:
        self._drills = {drill.name: drill for drill in drills}
        self._short = short
        self._done = done
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        """Start it, if it has anything to do."""
        command = [sys.executable, "-m", "drills.aside", *[SHORT] * self._short, *self._drills]
        with interruption.held():
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        with interruption.held():
            self._process.terminate()
            try:
                self._process.wait(STOPPED_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._thread.join()

    def wait(self) -> None:
        """Wait until all is done; what it could not do is not met."""
        while self._thread.is_alive():
            self._thread.join(1.0)  # so that a Ctrl-C is heard
        for drill in list(self._drills.values()):
            self._done(Line(drill, Outcome(False, "its process has ended")), 0.0)
        self._drills.clear()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                name, outcome, why_not, seconds = json.loads(line)
                found = None if outcome is None else Outcome(*outcome)
                self._done(Line(self._drills.pop(name), found, why_not), seconds)


def main(arguments: Sequence[str]) -> int:
    """Do drills by their names, and print a line of JSON for each."""
    from .registry import DRILLS  # noqa: PLC0415 - which imports what this module does not need

    names = set(arguments) - {SHORT}
    with interruption.handled():
        try:
            with Ground() as ground:
                for drill in [one for one in DRILLS if one.name in names]:
                    begun = time.monotonic()
                    line = carry_out(drill, ground, drill.extent(short=SHORT in arguments))
                    if interruption.begun():
                        return interruption.EXIT_CODE
                    found = line.outcome
                    told = None if found is None else (found.met, found.seen, found.figure)
                    seconds = time.monotonic() - begun
                    print(json.dumps((drill.name, told, line.why_not, seconds)), flush=True)
        except KeyboardInterrupt:
            return interruption.EXIT_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
