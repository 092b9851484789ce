"""Callers through a proxy who hardly pause, and a judge of every answer that they get.

An answer is wrong if it is of another account, if it lets in whom it must not, or if it passes
values on as of now that are older than answers may be. No answer at all, or one of the proxy alone,
is lost. What a tool refuses with a reason is neither.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import httpx2

from .front_proxies import Caller, Front
from .portal_simulator import RunningPortal
from .waiting import PATIENCE, SLOW_MACHINE

PASSWORD = "right"

PAUSE = 0.02
"""Seconds between two calls of a caller: what else this machine does goes on meanwhile."""


@dataclass(frozen=True)
class Account:
    """An account at the portal, and the box that is nobody else's."""

    email: str
    box: str


def accounts(portal: RunningPortal, name: str, count: int) -> list[Account]:
    """Add accounts to a portal."""
    emails = [f"{name}-{number}@example.com" for number in range(count)]
    return [Account(email, portal.add_account(email, PASSWORD)) for email in emails]


def call(
    caller: Caller, account: Account, tool: str = "get_live_data", password: str = PASSWORD
) -> dict[str, Any]:
    """Call a tool with the login in the header; return its result.

    Raises:
        httpx2.HTTPError: There was no answer, or not one of a worker.
    """
    login = base64.b64encode(f"{account.email}:{password}".encode()).decode()
    params = {"name": tool, "arguments": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = caller.post(body, Authorization=f"Basic {login}").raise_for_status()
    result: dict[str, Any] = answer.json()["result"]
    return result


def code_of(result: dict[str, Any]) -> str | None:
    """Return the code of an error, None of a success."""
    return result["_meta"]["cz.oig-cloud-mcp/error"]["code"] if result["isError"] else None


@dataclass
class Load:
    """Callers at work for the time of a `with`.

    Args:
        front: The proxy.
        owners: Each reads its box all the time.
        newcomers: Each logs in once, one after the other.
        locked: Calls with the right password all the time, and is locked.
        lasting: Seconds that an answer of the portal may be shared.

    Attributes:
        wrong: What was wrong, each in words.
        lost: Calls without an answer: when they began, and what came in its place.
        refused: Codes of what was refused.
        answered: How many answers there were.
        slowest: Seconds of the slowest call.
    """

    front: Front
    owners: list[Account]
    newcomers: list[Account]
    locked: Account
    lasting: float
    wrong: list[str] = field(default_factory=list)
    lost: list[tuple[float, str]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    slowest: float = 0.0

    def __post_init__(self) -> None:
        self._enough = threading.Event()
        self._newcomers = iter(self.newcomers)
        work: list[Callable[[Caller], Iterator[None]]] = [
            *(lambda caller, one=one: self._reads(caller, one) for one in self.owners),
            self._arrives,
            self._knocks,
        ]
        self._threads = [threading.Thread(target=self._run, args=[one]) for one in work]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _run(self, work: Callable[[Caller], Iterator[None]]) -> None:
        with self.front.client() as caller:
            calls = work(caller)
            while not self._enough.wait(PAUSE):
                begun = time.monotonic()
                try:
                    if next(calls, self) is self:
                        return
                except httpx2.HTTPError as exc:
                    self.lost.append((begun, repr(exc)))
                    calls = work(caller)
                self.slowest = max(self.slowest, time.monotonic() - begun)

    def _judged(self, result: dict[str, Any]) -> dict[str, Any] | None:
        self.answered += 1
        code = code_of(result)
        if code is not None:
            self.refused[code] += 1
            return None
        content: dict[str, Any] = result["structuredContent"]
        return content

    def _reads(self, caller: Caller, owner: Account) -> Iterator[None]:
        while True:
            begun = time.time()
            reading = self._judged(call(caller, owner))
            if reading is not None:
                if reading["box_id"] != owner.box:
                    self.wrong.append(f"{owner} was given {reading['box_id']}")
                fetched = datetime.fromisoformat(reading["fetched_at"]).timestamp()
                # Whole seconds are told, and a busy machine takes some to tell.
                if begun - fetched > self.lasting + 1 + SLOW_MACHINE and not reading["warnings"]:
                    self.wrong.append(f"{begun - fetched:.1f} s old, as of now: {reading}")
            yield

    def _arrives(self, caller: Caller) -> Iterator[None]:
        for newcomer in self._newcomers:
            told = self._judged(call(caller, newcomer, "check_auth"))
            if told is not None and told["email"] != newcomer.email:
                self.wrong.append(f"{newcomer} was let in as {told['email']}")
            yield

    def _knocks(self, caller: Caller) -> Iterator[None]:
        for number in itertools.count():
            result = call(caller, self.locked, "check_auth")
            if self._judged(result) is not None:
                self.wrong.append(f"call {number} of a locked account was let in")
            yield

    def summary(self) -> str:
        """Return what came of all calls, in one line."""
        refused = json.dumps(self.refused)
        return (
            f"{self.answered} answers, {len(self.wrong)} wrong, {len(self.lost)} lost, refused "
            f"{refused}, slowest {self.slowest:.2f} s"
        )
