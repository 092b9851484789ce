"""Requests that wait for an answer: plain objects in a queue per account, not tasks."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .logins import Credential
from .vocabulary import Ask, AskTurn, Outcome

Reply = Callable[[Outcome], object]
"""Takes the outcome of a request: `Waiting` at most once, and then another one."""


@dataclass(slots=True, eq=False)
class Waiter:
    """A request that has no answer yet.

    It is answered by its `deadline`, on the clock of `WaitingRoom.now`, and its leases end with its
    `holder`, such as a connection. `waits` says whether it was sent `Waiting`, `done` whether it
    was answered or withdrawn. It has a group only while it waits.
    """

    request: Any
    reply: Reply
    holder: Hashable = None
    deadline: float = 0.0
    waits: bool = False
    group: Group | None = None
    done: bool = False


@dataclass(slots=True, eq=False)
class Group:
    """All waiters for one thing from one source: a decision holds for all of them.

    A round whose swap is lost changes nothing here.

    Attributes:
        place: Its key in the queue.
        credential: Of a login.
        waiters: In the order of their arrival.
        token: Of the lease that it waits for, or has waited for.
        seen: Whether the pair was compared.
        ticket: Of the turn that it waits for or has.
    """

    place: Hashable
    request: Ask | AskTurn
    queue: Queue
    credential: Credential | None
    waiters: dict[Waiter, None] = field(default_factory=dict)
    token: bytes | None = None
    seen: bool = False
    ticket: bytes | None = None

    @property
    def pair(self) -> bytes | None:
        """Of a login, the name of its pair."""
        return None if self.credential is None else self.credential.pair

    @property
    def awaits_gap(self) -> bool:
        """Whether it waits for the account's gap, and not for a lease."""
        return self.credential is None and self.token is None


@dataclass(slots=True, eq=False)
class Queue:
    """The requests for one account in this process.

    Attributes:
        fresh: Those since the last round; None where nothing waits for the outcome.
        groups: The waiters, in the order of their arrival.
        woken: Whether the groups are to be looked at again.
        running: Whether a round is under way.
        due: When the groups are to be looked at again if nothing happens before, by `timer`.
        watching: Watches for changes by other processes.
    """

    account: bytes
    fresh: list[tuple[Any, Waiter | None]] = field(default_factory=list)
    groups: dict[Hashable, Group] = field(default_factory=dict)
    woken: bool = False
    running: bool = False
    due: float | None = None
    timer: asyncio.TimerHandle | None = None
    watching: asyncio.Task[None] | None = None

    def join(self, request: Ask | AskTurn, waiter: Waiter) -> Group:
        """Put a waiter into its group, a new one if need be; turns are not shared."""
        place: Hashable = waiter
        credential = None
        if isinstance(request, Ask):
            place = request.space, request.key + request.account[32:], request.source
        group = self.groups.get(place)
        if group is None:
            if isinstance(request, Ask) and request.space == "login":
                credential = Credential.of(request)
            group = self.groups[place] = Group(place, request, self, credential)
        group.waiters[waiter] = None
        waiter.group = group
        return group

    def stop(self) -> None:
        """Stop timer and watch."""
        if self.timer is not None:
            self.timer.cancel()
        if self.watching is not None:
            self.watching.cancel()


def start(coroutine: Coroutine[Any, Any, object], tasks: set[asyncio.Task[None]]) -> None:
    """Run a coroutine at once, and make a task of it only if it has to wait; `tasks` contains that.

    With a storage in memory it waits for nothing but the disk, so that a request is answered within
    the call that submits it.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return
    task = asyncio.get_running_loop().create_task(_go_on(coroutine, waits_for))
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _go_on(coroutine: Coroutine[Any, Any, object], waits_for: Any) -> None:
    await _resumed(coroutine, waits_for)


@types.coroutine
def _resumed(coroutine: Coroutine[Any, Any, object], waits_for: Any) -> Generator[Any, Any, None]:
    while True:
        try:
            go_on = partial(coroutine.send, (yield waits_for))
        except BaseException as exc:  # noqa: BLE001 - the coroutine handles it
            go_on = partial(coroutine.throw, exc)
        try:
            waits_for = go_on()
        except StopIteration:
            return
