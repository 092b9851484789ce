"""Callers who hardly pause, and a judge of every answer that they get.

An answer is wrong if it is of another account, or if it passes values on as of now that are older
than answers may be. A call without an answer is lost. One answered with an error is refused.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from .supervised import RunningSystem
from .waiting import PATIENCE, SLOW_MACHINE, wait_until

PASSWORD = "drilled"

LASTING = 2.0
"""Seconds that a reading of the shared system may be passed on as of now: its `OIG_LIVE_TTL`."""

TRIES = 5
"""How often a client that tries again does so."""

PAUSE = 0.02
"""Seconds that a caller pauses after a lost call: what else this machine does goes on meanwhile."""

ACCEPTS = ("application/json, text/event-stream", "text/event-stream")
"""What callers accept: every other one takes only server-sent events."""


@dataclass(frozen=True, slots=True)
class Owner:
    """An account at the portal, and the box that is nobody else's."""

    email: str
    box: str

    @property
    def authorization(self) -> str:
        """The header that logs it in."""
        return self.logging_in(PASSWORD)

    def logging_in(self, password: str) -> str:
        """Return the header that would log it in with a password."""
        return "Basic " + base64.b64encode(f"{self.email}:{password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Lost:
    """A call without an answer.

    Args:
        begun: When it was begun, in seconds of the monotonic clock.
        ended: When it was known to be lost.
        why: What its client saw.
    """

    begun: float
    ended: float
    why: str


def owners(system: RunningSystem, name: str, count: int) -> list[Owner]:
    """Add accounts to the portal, each with a box of its own."""
    made = []
    for number in range(count):
        email = f"{name}-{number}@example.com"
        body = {"email": email, "password": PASSWORD}
        answer = system.portal("POST", "_admin/accounts", body)
        made.append(Owner(email, answer["boxes"][0]))
    return made


def tool_call(tool: str = "get_live_data", **arguments: object) -> bytes:
    """Return the body of a call of a tool."""
    params = {"name": tool, "arguments": arguments}
    return json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    ).encode()


def sent(
    connection: http.client.HTTPConnection,
    body: bytes,
    authorization: str | None,
    accept: str = ACCEPTS[0],
) -> dict[str, Any]:
    """Send a call; return its result.

    Raises:
        OSError, http.client.HTTPException: There was no answer, or not one of a tool.
    """
    headers = {"Content-Type": "application/json", "Accept": accept}
    if authorization is not None:
        headers["Authorization"] = authorization
    connection.request("POST", "/mcp", body, headers)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != http.client.OK:
        raise http.client.HTTPException(f"{answer.status}: {content[:200]!r}")
    if answer.headers.get_content_type() == "text/event-stream":
        content = content.strip().rpartition(b"data: ")[2]
    result: dict[str, Any] = json.loads(content)["result"]
    return result


def called(
    system: RunningSystem,
    authorization: str | None,
    tool: str = "get_live_data",
    **arguments: object,
) -> dict[str, Any]:
    """Call a tool over a connection of its own; return the result."""
    connection = http.client.HTTPConnection(system.host, system.port, timeout=PATIENCE)
    try:
        return sent(connection, tool_call(tool, **arguments), authorization)
    finally:
        connection.close()


def code_of(result: dict[str, Any]) -> str | None:
    """Return the code of an error, None of a success."""
    return result["_meta"]["cz.oig-cloud-mcp/error"]["code"] if result["isError"] else None


@dataclass
class Callers:
    """Callers at work for the time of a `with`; each reads the boxes of all owners in turn.

    Args:
        system: Whom they call.
        owners: As whom.
        count: How many callers.
        fresh: Whether each call has a connection of its own.
        retrying: Whether a lost call is made again, up to `TRIES` times.
        clock: The wall clock by which the answers are judged.
    """

    system: RunningSystem
    owners: list[Owner]
    count: int
    fresh: bool = False
    retrying: bool = False
    clock: Callable[[], float] = time.time
    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    never_answered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def __enter__(self) -> Self:
        self._enough = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=[number]) for number in range(self.count)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                self.wrong.append(f"a call hung for {PATIENCE:.0f} s")

    def wait_for(self, answers: int, patience: float = PATIENCE) -> None:
        """Wait until so many more calls are answered."""
        enough = self.answered + answers
        wait_until(f"{answers} more answers", lambda: self.answered >= enough, patience)

    @property
    def flawless(self) -> bool:
        """Whether each call had the right answer."""
        return not (self.wrong or self.lost or self.refused)

    def summary(self) -> str:
        """Return what came of all calls, in one line; what was wrong first."""
        refused = ", ".join(f"{count} {code}" for code, count in self.refused.items()) or "0"
        first = self.wrong[0] if self.wrong else self.lost[0].why if self.lost else ""
        return (
            f"{len(self.wrong)} wrong, {len(self.lost)} lost, {refused} refused of {self.answered} "
            f"calls, the slowest {self.slowest:.2f} s{f'; first: {first[:120]}' if first else ''}"
        )

    def _run(self, number: int) -> None:
        connection = self._connection()
        turns = itertools.islice(itertools.cycle(self.owners), number, None)
        try:
            for owner in turns:
                if self._enough.is_set():
                    return
                if self.fresh:
                    connection.close()
                self._call(connection, owner, ACCEPTS[number % 2])
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        # Opened anew by itself after it was closed.
        return http.client.HTTPConnection(self.system.host, self.system.port, timeout=PATIENCE)

    def _call(self, connection: http.client.HTTPConnection, owner: Owner, accept: str) -> None:
        for _ in range(TRIES if self.retrying else 1):
            begun, wall = time.monotonic(), self.clock()
            try:
                result = sent(connection, tool_call(), owner.authorization, accept)
            except (OSError, http.client.HTTPException) as exc:
                connection.close()
                with self._lock:
                    self.lost.append(Lost(begun, time.monotonic(), repr(exc)))
                time.sleep(PAUSE)
                continue
            self._judge(owner, result, wall, time.monotonic() - begun)
            return
        with self._lock:
            self.never_answered += 1

    def _judge(self, owner: Owner, result: dict[str, Any], wall: float, took: float) -> None:
        code = code_of(result)
        with self._lock:
            self.answered += 1
            self.slowest = max(self.slowest, took)
            if code is not None:
                self.refused[code] += 1
                return
            reading = result["structuredContent"]
            if reading["box_id"] != owner.box:
                self.wrong.append(f"{owner} was given {reading['box_id']}")
            fetched = datetime.fromisoformat(reading["fetched_at"]).timestamp()
            # Whole seconds are shown, and a busy machine takes some to show them.
            if wall - fetched > LASTING + 1 + SLOW_MACHINE and not reading["warnings"]:
                self.wrong.append(f"{wall - fetched:.1f} s old, as of now: {reading}")
            if fetched > self.clock() + 1:
                self.wrong.append(f"of {fetched - self.clock():.1f} s from now: {reading}")
