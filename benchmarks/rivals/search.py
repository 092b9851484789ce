"""Finding a rival's best configuration: all of them run at once and take turns."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ..calls import LEGACY, accounts
from ..contest import Contestant, logins, take_turns
from ..effort import Effort
from ..progress import say
from ..result import Figure, WrongAnswer
from .start import Rival, Setup

FEW = 32
"""Accounts while searching."""


@dataclass(frozen=True, slots=True)
class Best:
    """A rival's best configuration with one revision of the protocol.

    Args:
        rival: The rival.
        revision: Of the protocol.
        setup: The configuration.
        tried: Rates of all that were tried.
    """

    rival: Rival
    revision: str
    setup: Setup
    tried: Sequence[Figure]

    @property
    def name(self) -> str:
        """With the configuration that has won."""
        return f"{self.rival.name} ({self.setup})"


def best(rival: Rival, revision: str, effort: Effort) -> Best:
    """Try all configurations of a rival, and return the fastest.

    Raises:
        NotMeasured: It cannot be installed here, or there is no wrk.
        WrongAnswer: None of them answers right.
    """
    say(f"{rival.name}, {revision}: looking for its fastest configuration")
    with contextlib.ExitStack() as stack:
        setups, contestants = [], []
        for setup in rival.setups:
            if setup.state == "sessions" and revision != LEGACY:
                continue  # the newer revision has none
            served = stack.enter_context(rival.start(setup))
            who = f"tried: {rival.name}, {revision}, {setup}"
            asked = logins(served, revision, accounts(FEW))
            setups.append(setup)
            contestants.append(Contestant(who, served, asked, may_fail=True))
        runs = take_turns(contestants, effort, rounds=effort.search)
    right = [pair for pair in zip(runs, setups, strict=True) if not pair[0].failure]
    if not right:
        raise WrongAnswer(runs[0].failure)
    _, fastest = max(right, key=lambda pair: statistics.median(pair[0].rates))
    say(f"{rival.name}, {revision}: {fastest} is its fastest")
    tried = [Figure(run.who, "requests/s", run.rates) for run, _ in right]
    return Best(rival, revision, fastest, tried)
