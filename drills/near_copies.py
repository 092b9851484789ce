"""What has ended while a worker stood still: that worker does not answer from its near copies.

Each case has two workers. One reads as an owner, so that it has a near copy of what it read, and is
stopped at once. The change is made through the other one, or as `cachectl` does, and reported. Then
the stopped worker gets a request and goes on: it may not answer from before, and neither worker
may say later what was no longer true. The same is done to a worker that is not stopped.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import itertools
import json
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from server.cache.blocking import BlockingClient
from server.keys.fingerprint import account_key, budget_key
from server.keys.secret import read_secret

from .callers import PASSWORD, Owner, code_of, sent, tool_call
from .drill import Drill, Extent, Outcome
from .fleet import Fleet, all_stand, running_fleet
from .ground import Ground
from .promises import GUESSES
from .waiting import PATIENCE, wait_until

SETTINGS: Final[dict[str, Any]] = {
    "OIG_CONTROL": "on",
    "OIG_LOGIN": "chat",
    "OIG_LOGINS_PER_SECOND": "1000",
    "OIG_LOGIN_BURST": "1000",
    "OIG_WRONG_ACCOUNTS_PER_SOURCE": "0",
    # Answers last: what ends in a case ends by the case.
    "OIG_LIVE_TTL": "60",
}

STOPPED, OTHER = "worker-0", "worker-1"

NEW_PASSWORD: Final = "drilled too"

READS: Final = 3
"""Calls after which a worker has a near copy of all that they need."""

TOOLS: Final = ("list_changes", "get_live_data")
"""What is asked, in turns: it needs the session alone, or answers of the portal as well."""


class Worker:
    """A connection to one worker, kept: a stopped worker accepts no others."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def ask(self, authorization: str | None, tool: str, **arguments: object) -> dict[str, Any]:
        """Call a tool; return the result."""
        return sent(self._connection, tool_call(tool, **arguments), authorization)

    def post(self, authorization: str | None, tool: str, **arguments: object) -> None:
        """Send a call of a tool, and do not wait for the answer."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if authorization is not None:
            headers["Authorization"] = authorization
        self._connection.request("POST", "/mcp", tool_call(tool, **arguments), headers)

    def answer(self) -> dict[str, Any]:
        """Return the result of what was sent."""
        content = self._connection.getresponse().read()
        result: dict[str, Any] = json.loads(content)["result"]
        return result

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


@dataclass
class Pair:
    """Two workers, one of which is to be stopped, and owners nobody has seen yet."""

    fleet: Fleet
    stopped: Worker
    other: Worker
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def newcomer(self) -> Owner:
        """Add an owner to the portal."""
        email = f"near-{next(self._numbers)}@example.com"
        self.fleet.portal.add_account(email, PASSWORD)
        return Owner(email, "")

    @contextlib.contextmanager
    def standing(self, *, is_stopped: bool) -> Iterator[None]:
        """Have the one worker stand still, unless it is to go on."""
        process = self.fleet.workers[STOPPED]
        if not is_stopped:
            yield
            return
        process.send_signal(signal.SIGSTOP)
        try:
            wait_until("it stands still", functools.partial(all_stand, [process]))
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def daemon(self, verb: str, *arguments: str | bytes) -> None:
        """Ask the daemon as `cachectl` does, without the time that a process takes to start."""
        with BlockingClient(self.fleet.socket_path, PATIENCE) as client:
            client.call(verb, *arguments)

    def fingerprints(self, owner: Owner) -> tuple[bytes, bytes]:
        """Return what the daemon knows an account and its failures by."""
        secret = read_secret(self.fleet.folder / "secret")
        return account_key(secret, owner.email), budget_key(secret, owner.email)


Change = Callable[[Pair, Owner, str], str]
"""Makes a change for an owner with a handle; returns what was wrong with its report, or nothing."""


def _flush_all(pair: Pair, _owner: Owner, _handle: str) -> str:
    pair.daemon("flush", "all")
    return ""


def _flush_account(pair: Pair, owner: Owner, _handle: str) -> str:
    pair.daemon("flush", "account", pair.fingerprints(owner)[0])
    return ""


def _forget(pair: Pair, owner: Owner, _handle: str) -> str:
    pair.daemon("forget", "account", *pair.fingerprints(owner))
    return ""


def _restart(pair: Pair, _owner: Owner, _handle: str) -> str:
    pair.fleet.kill_daemon()
    pair.fleet.start_daemon()
    pair.daemon("flush", "all")
    return ""


def _log_out_handle(pair: Pair, _owner: Owner, handle: str) -> str:
    return _reported("the log-out", pair.other.ask(None, "log_out", session=handle))


def _log_out_pair(pair: Pair, owner: Owner, _handle: str) -> str:
    return _reported("the log-out", pair.other.ask(owner.authorization, "log_out"))


def _new_password(pair: Pair, owner: Owner, _handle: str) -> str:
    pair.fleet.portal.add_account(owner.email, NEW_PASSWORD)
    return _reported("the login", pair.other.ask(owner.logging_in(NEW_PASSWORD), "check_auth"))


def _lock(pair: Pair, owner: Owner, _handle: str) -> str:
    for number in range(GUESSES):
        guess = owner.logging_in(f"wrong-{number}")
        if code_of(pair.other.ask(guess, "check_auth")) == "locked":
            return ""
    return f"{GUESSES} wrong passwords lock nothing"


def _reported(what: str, result: dict[str, Any]) -> str:
    code = code_of(result)
    return "" if code is None else f"{what} was reported as {code}"


@dataclass(frozen=True, slots=True)
class Case:
    """Something that ends a session, a handle or a password's right.

    Args:
        name: For the table.
        change: Makes it.
        said: The code of what is true afterwards.
        by_handle: Whether the stopped worker is asked with the handle, or with the header.
    """

    name: str
    change: Change
    said: str
    by_handle: bool = True


CASES: Final = (
    Case("log-out by handle", _log_out_handle, "session_ended"),
    Case("lock", _lock, "locked", by_handle=False),
    Case("flush of all", _flush_all, "session_ended"),
    Case("flush of the account", _flush_account, "session_ended"),
    Case("log-out by pair", _log_out_pair, "session_ended"),
    Case("new password, the old one", _new_password, "credentials_rejected", by_handle=False),
    Case("new password, the old handle", _new_password, "session_ended"),
    Case("forget-owner", _forget, "session_ended"),
    Case("daemon killed, restarted and flushed", _restart, "session_ended"),
)
"""The first two are the short form."""


def _wrong(pair: Pair, case: Case, tool: str, *, is_stopped: bool) -> Iterator[str]:
    """Do a case with calls of a tool; say what was wrong."""
    owner = pair.newcomer()
    opened = pair.other.ask(owner.authorization, "check_auth")
    handle = opened["structuredContent"]["session"]
    authorization = None if case.by_handle else owner.authorization
    given = {"session": handle} if case.by_handle else {}
    for _ in range(READS):
        result = pair.stopped.ask(authorization, tool, **given)
        assert code_of(result) is None, result
    with pair.standing(is_stopped=is_stopped):
        wrong = case.change(pair, owner, handle)
        pair.stopped.post(authorization, tool, **given)
    if wrong:
        yield f"{case.name}: {wrong}"
    code = code_of(pair.stopped.answer())
    if code is None:
        yield f"{case.name}: answered from before"
    for worker, name in ((pair.other, "the other worker"), (pair.stopped, "the worker")):
        code = code_of(worker.ask(authorization, tool, **given))
        if code != case.said:
            yield f"{case.name}: {name} says {code or 'what was before'}, not {case.said}"


@contextlib.contextmanager
def _pair() -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        fleet = stack.enter_context(running_fleet(0, **SETTINGS))
        workers = []
        for name in (STOPPED, OTHER):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            fleet.start_worker(name, listener=listener)
            workers.append(Worker(listener.getsockname()[1]))
            stack.callback(workers[-1].close)
        for name in (STOPPED, OTHER):
            fleet.wait_worker(name)
        stopped, other = workers
        yield Pair(fleet, stopped, other)


def ended(_ground: Ground, extent: Extent) -> Outcome:
    """End what a worker has near copies of, while it stands still and while it does not."""
    cases = CASES if extent.times > 1 else CASES[:2]
    wrong: list[str] = []
    with _pair() as pair:
        rounds = itertools.islice(itertools.cycle(TOOLS), extent.times)
        for tool, case, is_stopped in itertools.product(rounds, cases, (True, False)):
            wrong += _wrong(pair, case, tool, is_stopped=is_stopped)
    return Outcome(
        not wrong,
        f"{len(wrong)} wrong{''.join(f'; {one}' for one in wrong[:3])}",
        f"{extent.times} x {2 * len(cases)} cases",
    )


DRILLS = (
    Drill(
        "near-copies",
        "a worker that has just read stands still, or not, while what it read ends: flushes, a "
        "lock, log-outs, a new password, forget-owner, a daemon killed, restarted and flushed",
        "once the end is reported, the worker does not answer from before; what succeeded is "
        "reported as success, and both workers say afterwards what is true",
        Extent(times=5),
        Extent(times=1),
        ended,
    ),
)
