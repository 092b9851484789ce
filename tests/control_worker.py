"""`python -m tests.control_worker HOW`: a worker's share of one apply, in a process of its own.

Plans and tokens come over standard input as lines of JSON, results go out the same way. HOW says
when it kills itself: `never`, `before` the write goes out, or `after` it went out.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from server.auth.access import Access
from server.auth.caller import Caller
from server.auth.handles import Handles
from server.auth.sealing import Credential, Sealer
from server.auth.sessions import Sessions
from server.control.asked import Asked
from server.control.plan_token import Plans
from server.control.planning import Planned
from server.control.waits import Waits
from server.control.workflow import Control
from server.errors import OigError
from server.keys.secret import load_secret
from server.portal.client import PortalClient
from server.records.journal import Journal
from server.settings.table import Settings
from server.store.daemon import DaemonStore
from server.upstream.portal_reader import Upstream

DEMO = Caller(Credential("demo@example.com", "demo"), None, "192.0.2.1", "192.0.2.1")


def named(plan: dict) -> dict:
    """What apply_change takes of a result of plan_change."""
    return {name: plan[name] for name in ("box_id", "change", "plan_token")}


def agreed(planned: Planned) -> tuple[str, str, str]:
    """What an apply takes of a plan."""
    return planned.token, planned.plan.box_id, planned.plan.sentence


class Deadly:
    """A portal at which this process may die."""

    def __init__(self, portal: PortalClient, how: str) -> None:
        self._portal, self._how = portal, how

    async def read_live(self, session_id):
        return await self._portal.read_live(session_id)

    async def write(self, session_id, write):
        if self._how == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        sent = await self._portal.write(session_id, write)
        if self._how == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return sent


def say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def main(how: str) -> None:
    settings = Settings.from_env(os.environ)
    store = DaemonStore.for_settings(settings)
    portal = PortalClient.for_settings(settings, version="0")
    secret = load_secret(settings.secret_file)
    sealer, handles = Sealer(secret, settings.portal_url), Handles(secret)
    sessions = Sessions(store, portal, sealer, handles, ttl=settings.session_ttl)
    access = Access(sessions, store, handles, sealer)
    upstream = Upstream(store, access, portal, sealer)
    plans = Plans(secret, settings.portal_url)
    journal = Journal(settings.journal)
    waits = Waits(journal.places, asyncio.Event())
    control = Control(access, upstream, Deadly(portal, how), store, journal, plans, waits)
    await access.open(DEMO)
    say("ready")
    for line in iter(sys.stdin.readline, ""):
        match json.loads(line):
            case {"plan": asked}:
                call = control.plan(DEMO, Asked(**asked))
            case {"apply": [token, box_id, change]}:
                call = control.apply(DEMO, token, box_id, change, "test")
        try:
            told = await call
            answer = agreed(told) if isinstance(told, Planned) else told.outcome
        except OigError as exc:
            answer = f"{type(exc).__name__}: {exc}"
        say(answer)
    for part in (control, upstream, sessions, store, portal):
        await part.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
