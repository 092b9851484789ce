"""A worker's share of planning and applying, in a process of its own that may die at any step.

Orders come over a pipe and results go back the same way. At the step that it was given for it, the
process says so and kills or stops itself.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from server import worker_accounts
from server.auth.access import Access
from server.auth.caller import Caller
from server.auth.handles import Handles
from server.auth.sealing import Credential, Sealer
from server.auth.sessions import Sessions
from server.control.changes import Asked
from server.control.plan_token import Plans
from server.control.planning import Planned
from server.control.waits import Waits
from server.control.workflow import Control
from server.errors import OigError
from server.keys.secret import load_secret
from server.portal.client import PortalClient
from server.records.journal import Journal
from server.settings.table import Settings
from server.upstream.portal_reader import Upstream

DEMO = Caller(Credential("demo@example.com", "demo"), None, "192.0.2.1", "192.0.2.1")

PATIENCE = 60.0

STEPS = (
    *("reserving", "reserved", "reading", "read", "writing down", "written down"),
    *("sending", "sent", "noting", "noted", "looking"),
)
"""Where an apply, and the look after it, may be when its process dies: before and after each."""


def named(plan: dict) -> dict:
    """What apply_change takes of a result of plan_change."""
    return {name: plan[name] for name in ("box_id", "change", "plan_token")}


def agreed(planned: Planned) -> tuple[str, str, str]:
    """What an apply takes of a plan."""
    return planned.token, planned.plan.box_id, planned.plan.sentence


class Fate:
    """What becomes of this process at which step.

    Args:
        pipe: Tells the step.
        step: One of `STEPS`; None for none.
        number: The signal.
    """

    def __init__(self, pipe: Connection, step: str | None, number: int) -> None:
        self._pipe, self._step, self._number = pipe, step, number

    def at(self, step: str) -> None:
        if step == self._step:
            self._step = None
            self._pipe.send(("at", step))
            # To this thread: the process must not do another step before it stops.
            signal.pthread_kill(threading.get_ident(), self._number)


class Portal:
    """OIG Cloud, at whose requests this process may die."""

    def __init__(self, portal: PortalClient, fate: Fate) -> None:
        self._portal, self._fate = portal, fate

    async def read_live(self, session_id):
        self._fate.at("reading")
        payload = await self._portal.read_live(session_id)
        self._fate.at("read")
        return payload

    async def write(self, session_id, write):
        self._fate.at("sending")
        sent = await self._portal.write(session_id, write)
        self._fate.at("sent")
        return sent


def fated(journal: Journal, fate: Fate) -> Journal:
    """Have this process die around what it writes into a journal."""

    def around(owner: object, name: str, before: str, after: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def call(*arguments: object) -> object:
            fate.at(before)
            result = original(*arguments)
            fate.at(after)
            return result

        setattr(owner, name, call)

    around(journal.reservations, "reserve", "reserving", "reserved")
    around(journal.reservations, "send", "writing down", "written down")
    around(journal, "end", "noting", "noted")
    around(journal, "settle", "looking", "looking")
    return journal


class Clocks:
    """The time of day and the steady clock, both as far off as told."""

    wall = steady = 0.0

    def day(self) -> float:
        return time.time() + self.wall

    def ticks(self) -> float:
        return time.monotonic() + self.steady


async def work(pipe: Connection, environment: dict[str, str], step: str | None, number: int):
    settings, clocks, fate = Settings.from_env(environment), Clocks(), Fate(pipe, step, number)
    accounts, daemon = worker_accounts.worker_accounts(settings)
    portal = PortalClient.for_settings(settings, version="0")
    secret = load_secret(settings.secret_file)
    sealer, handles = Sealer(secret, settings.portal_url), Handles(secret)
    sessions = Sessions(
        accounts, portal, sealer, handles, ttl=settings.session_ttl, wall=clocks.day
    )
    access = Access(sessions, accounts, handles, sealer)
    upstream = Upstream(accounts, access, portal, sealer, wall=clocks.day)
    plans, journal = Plans(secret, settings.portal_url), Journal(settings.journal, clocks.ticks)
    fated(journal, fate)
    waits = Waits(journal.places, asyncio.Event())
    control = Control(
        access, upstream, Portal(portal, fate), daemon, journal, plans, waits, wall=clocks.day
    )
    pipe.send("ready")
    with suppress(EOFError):
        while True:
            match pipe.recv():
                case ("plan", asked):
                    call = control.plan(DEMO, Asked(**asked))
                case ("apply", plan):
                    call = control.apply(DEMO, *plan, "test")
                case ("look", change):
                    call = control.look(DEMO, change)
                case ("clocks", wall, steady):
                    clocks.wall, clocks.steady = wall, steady
                    continue
            try:
                told = await call
                answer = agreed(told) if isinstance(told, Planned) else getattr(told, "outcome", "")
            except OigError as exc:
                answer = f"{getattr(exc, 'code', type(exc).__name__)}: {exc}"
            pipe.send(answer)
    for part in (control, upstream, sessions, daemon, portal):
        await part.aclose()
    await accounts.stop()


def serve(pipe: Connection, environment: dict[str, str], step: str | None, number: int) -> None:
    """Be a worker, in the forked process."""
    # Nobody else moves the clock for one who waits for a turn.
    worker_accounts.FALLBACK = replace(worker_accounts.FALLBACK, gap=0.0)
    asyncio.run(work(pipe, environment, step, number))


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


class Worker:
    """Such a process, as a test drives it."""

    def __init__(
        self, environment: dict[str, str], step: str | None = None, number: int = signal.SIGKILL
    ) -> None:
        self._pipe, theirs = FORKS.Pipe()
        self.process = FORKS.Process(target=serve, args=(theirs, environment, step, number))
        self.process.start()
        theirs.close()

    def hear(self) -> Any:
        """What it says next; None once it is dead."""
        try:
            assert self._pipe.poll(PATIENCE)
            return self._pipe.recv()
        except (EOFError, ConnectionResetError):
            return None

    def go_on(self) -> Any:
        """Continue it once it has stopped, or is about to, and give what it says next."""
        deadline = time.monotonic() + PATIENCE
        while not self._pipe.poll(0.05):
            assert time.monotonic() < deadline
            with suppress(ProcessLookupError):
                self.signal(signal.SIGCONT)
        return self.hear()

    def say(self, *order: object) -> None:
        self._pipe.send(order)

    def ask(self, *order: object) -> Any:
        self.say(*order)
        return self.hear()

    def plan(self, **asked: object) -> tuple[str, str, str]:
        """What an apply takes of the plan."""
        told = self.ask("plan", asked)
        assert told[0].startswith("plan_"), told
        return told

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def close(self) -> None:
        self._pipe.close()
        with suppress(ProcessLookupError):
            self.signal(signal.SIGCONT)
        self.process.join(PATIENCE)
        self.process.kill()
        self.process.join()
        self.process.close()
