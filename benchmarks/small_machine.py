"""The whole system on a small machine: 512 MB of memory, and a quarter of a core."""

from __future__ import annotations

from .calls import CACHED, LEGACY, MODERN, Account, Question, call
from .contest import Contestant, logins, take_turns
from .control_groups import bounded
from .effort import Effort
from .probe import handle_of
from .processes import shared_bytes
from .result import Figure, Line
from .startup import started
from .system import Served, portal, scratch

CORES = 0.25
MEMORY = 512 * 2**20

CONNECTIONS = 4
"""What a household has: some assistants and programs at the same time, of one account."""

MB = 1e6


def whole_system(effort: Effort) -> list[Line]:
    """Start everything by supervisord within these bounds, log in, and call.

    Raises:
        NotMeasured: Processes cannot be bounded here.
    """
    with (
        scratch() as folder,
        portal() as simulated,
        bounded(CORES, MEMORY) as group,
        # Once: the quota makes it take as long each time.
        started(folder, simulated.url, group.enter, OIG_LIVE_TTL="3600") as made,
    ):
        ready = shared_bytes(group.pids) / MB
        runs = take_turns(_calls(made.port), effort)
        used = shared_bytes(group.pids) / MB
    what = {"unit": "calls/s", "means": "So many calls a second such a machine answers."}
    return [
        Line(
            "from the start of supervisord to the first successful check_auth",
            unit="s",
            values=[made.seconds],
            means="How long it takes after a start of such a machine.",
        ),
        *(
            Line(f"calls a second: {run.who}", values=run.rates, figures=run.figures(), **what)
            for run in runs
        ),
        Line(
            "memory (PSS) of all processes, supervisord included, after these calls",
            unit="MB",
            values=[used],
            figures=[Figure("when it is ready", "MB", [ready])],
            means="How much of the memory of such a machine it takes.",
        ),
    ]


def _calls(port: int) -> list[Contestant]:
    # Which process takes how much is not looked at: all together they have the quota.
    served = Served(port, (), ())
    live = call(MODERN, port, "get_live_data", {"session": handle_of(port)})
    asked = {
        f"check_auth, {revision}": logins(served, revision, [Account()])
        for revision in (MODERN, LEGACY)
    }
    asked["get_live_data by handle"] = [Question(live, (CACHED,))]
    return [Contestant(who, served, each, CONNECTIONS) for who, each in asked.items()]
