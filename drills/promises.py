"""What a running system reports as stored or ended, and whether a later one still knows it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2

from .callers import PASSWORD, Owner, called, code_of
from .connected_client import ConnectedClient
from .supervised import RunningSystem

GUESSES = 8
"""Wrong passwords after which an account is locked at the latest."""


@dataclass
class Promises:
    """What the answers of a system have reported so far; an owner is in one list only.

    Args:
        system: The system.
        newcomer: Gives an owner about whom nothing has been reported yet.
    """

    system: RunningSystem
    newcomer: Callable[[], Owner]
    handles: list[tuple[Owner, str]] = field(default_factory=list)
    ended_handles: list[tuple[Owner, str]] = field(default_factory=list)
    locked: list[Owner] = field(default_factory=list)
    changes: list[tuple[Owner, str]] = field(default_factory=list)
    grants: list[ConnectedClient] = field(default_factory=list)
    ended_grants: list[ConnectedClient] = field(default_factory=list)

    def sessions(self) -> int:
        """Return how many promises of sessions, and of their end or lock, there are."""
        return len(self.handles) + len(self.ended_handles) + len(self.locked)

    def __len__(self) -> int:
        """Return how many promises there are."""
        return self.sessions() + len(self.changes) + len(self.grants) + len(self.ended_grants)

    def fewest(self) -> int:
        """Return how many there are of the kind that was reported least."""
        sessions = len(self.handles), len(self.ended_handles), len(self.locked)
        return min(*sessions, len(self.changes), len(self.grants), len(self.ended_grants))

    def open_session(self) -> tuple[Owner, str]:
        """Log in; return whose handle was reported."""
        owner = self.newcomer()
        told = self._told(owner.authorization, "check_auth")
        self.handles.append((owner, told["session"]))
        return owner, told["session"]

    def end_session(self) -> None:
        """Log in and out again."""
        owner, handle = self.open_session()
        # From here on it may be either, until the answer is there.
        self.handles.remove((owner, handle))
        self._told(None, "log_out", session=handle)
        self.ended_handles.append((owner, handle))

    def lock(self) -> None:
        """Guess until the account is reported as locked."""
        owner = self.newcomer()
        for number in range(GUESSES):
            header = owner.logging_in(f"wrong-{number}")
            if code_of(called(self.system, header, "check_auth")) == "locked":
                self.locked.append(owner)
                return
        raise AssertionError(f"{GUESSES} wrong passwords lock nothing")

    def change(self) -> None:
        """Plan a change and apply it."""
        owner = self.newcomer()
        plan = self._told(owner.authorization, "plan_change", mode="Home 2")
        named = {key: plan[key] for key in ("box_id", "change", "plan_token")}
        told = self._told(owner.authorization, "apply_change", **named)
        self.changes.append((owner, told["change_id"]))

    def connect(self) -> ConnectedClient:
        """Have a client log in."""
        client = ConnectedClient(f"http://localhost:{self.system.port}", self.newcomer())
        client.log_in()
        self.grants.append(client)
        return client

    def disconnect(self) -> None:
        """Have a client log in and revoke its tokens."""
        client = self.connect()
        self.grants.remove(client)
        client.revoke()
        self.ended_grants.append(client)

    def kinds(self) -> tuple[list[Any], ...]:
        """Return all of them, each kind by itself."""
        return (
            *(self.handles, self.ended_handles, self.locked),
            *(self.changes, self.grants, self.ended_grants),
        )

    def besides(self, others: Promises) -> Promises:
        """Return those that are not among others, in lists of their own."""
        kinds = (
            [one for one in mine if one not in theirs]
            for mine, theirs in zip(self.kinds(), others.kinds(), strict=True)
        )
        return Promises(self.system, self.newcomer, *kinds)

    def broken(self, attempts: dict[str, Any]) -> list[str]:
        """Return what the running system does not know of what was reported.

        Args:
            attempts: The portal's logins of each account.
        """
        return list(
            itertools.chain(
                self._broken_sessions(attempts), self._broken_changes(), self._broken_grants()
            )
        )

    def _broken_sessions(self, attempts: dict[str, Any]) -> Iterator[str]:
        for owner, handle in self.handles:
            result = called(self.system, None, session=handle)
            if code_of(result) is not None:
                yield f"the session of {owner.email} is lost: {code_of(result)}"
            elif result["structuredContent"]["box_id"] != owner.box:
                yield f"the session of {owner.email} leads to another box"
            if attempts[owner.email]["attempts"] != 1:
                yield f"{owner.email} was logged in again"
        for owner, handle in self.ended_handles:
            if code_of(called(self.system, None, session=handle)) is None:
                yield f"the session of {owner.email} was ended and is used"
        for owner in self.locked:
            if code_of(called(self.system, owner.logging_in(PASSWORD), "check_auth")) != "locked":
                yield f"the lock of {owner.email} is lost"

    def _broken_changes(self) -> Iterator[str]:
        for owner, change in self.changes:
            result = called(self.system, owner.authorization, "get_change", change_id=change)
            if code_of(result) is not None:
                yield f"change {change} is lost: {code_of(result)}"

    def _broken_grants(self) -> Iterator[str]:
        for client in self.grants:
            try:
                client.refresh()
            except httpx2.HTTPError as exc:
                yield f"the grant of {client.owner.email} is lost: {exc}"
                continue
            result = called(self.system, client.authorization)
            code = code_of(result)
            if code is not None or result["structuredContent"]["box_id"] != client.owner.box:
                yield f"the grant of {client.owner.email} leads to {code or 'another box'}"
        for client in self.ended_grants:
            try:
                client.refresh()
            except httpx2.HTTPStatusError:
                continue
            yield f"the grant of {client.owner.email} was ended and is used"

    def _told(self, authorization: str | None, tool: str, **arguments: object) -> dict[str, Any]:
        result = called(self.system, authorization, tool, **arguments)
        assert code_of(result) is None, result
        content: dict[str, Any] = result["structuredContent"]
        return content
