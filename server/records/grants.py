"""Grants of all clients: SQLite in one file, shared by all processes of a server.

It is a record, not a cache: grants survive a flush, a crash and the absence of the daemon.
The file alone opens nothing: e-mail and password are sealed under keys that only tokens carry.

There is no write-ahead log (`Contents.ahead`): a reader waits for some milliseconds while another
process commits; in return nothing of an ended grant is left in a log, and a file restored while
the server runs is used at once.

Each change of state is one transaction that checks the present state, so any worker may make it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import TypeVar

from ..errors import GrantsBusy, GrantsUnavailable
from . import grants_table as table
from .database import Database, Purpose
from .glanced_grants import GlancedGrants
from .grant import ENDED, PENDING, Grant, Why, day_of

logger = logging.getLogger(__name__)

Value = TypeVar("Value")

MOST = 100
"""Grants of one account that are stored, ended ones included."""

SWEEP_SECONDS = 3600.0


class GrantStore:
    """The grants in one file.

    All methods raise GrantsUnavailable where it cannot be used, and all but `glance` may wait: for
    the disk, and for other processes. Where there was never a file, there is no grant.

    Args:
        path: The file; made by the first grant, readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, table.CONTENTS)
        self._seen = False
        self._glanced = GlancedGrants(self._database)

    def add(self, grant: Grant) -> None:
        """Keep a new grant.

        1. Suspect grants of the same account and client end: this login takes their place.
        2. Of more than 100 of an account, those that have ended go first, the longest ended before
           others; then those whose tokens were not fetched; then the longest unused.
        """
        self._database.make()

        def work(grants: sqlite3.Connection) -> None:
            table.end_where(
                grants,
                "replaced",
                grant.created,
                "account = :account AND client = :client AND suspect_since IS NOT NULL",
                {"account": grant.account, "client": grant.client},
            )
            grants.execute(table.MAKE_ROOM, (grant.account, MOST - 1))
            grants.execute(table.ADD, astuple(grant))

        self._database.run(work, "change")
        self._seen = True

    def find(self, grant_id: bytes) -> Grant | None:
        """Return one grant, however it stands; None if there is none."""
        return self._run(lambda grants: table.find_grant(grants, grant_id), "look", default=None)

    def glance(self, grant_id: bytes) -> Grant | None:
        """Return one grant as `find` does, without waiting; for one thread alone.

        The file is asked how it looks each time, and read where it has changed: who writes it in
        any process changes its size or times before the write can be seen.

        Raises:
            GrantsBusy: Another process writes just now.
        """
        try:
            found = self._glanced.find(grant_id)
        except FileNotFoundError:
            self._refuse_vanished()
            return None
        self._seen = True
        return found

    async def look(self, grant_id: bytes) -> Grant | None:
        """Return one grant as `find` does; for tasks of one event loop.

        Nearly always on the loop's own thread, where it takes a few microseconds, or some 30 when
        the file has changed: handing it to another one would take several times as long.
        """
        try:
            return self.glance(grant_id)
        except GrantsBusy:
            return await asyncio.to_thread(self.find, grant_id)

    async def check(self) -> None:
        """Return if the record can be read, whether or not there is a grant."""
        await self.look(b"")  # the id of none

    def activate(self, grant_id: bytes, now: float) -> bool:
        """Make a pending grant active, once; a second time ends it (RFC 6749, 4.1.2).

        Returns:
            Whether the code may become tokens.
        """

        def work(grants: sqlite3.Connection) -> bool:
            grant = table.find_grant(grants, grant_id)
            if grant is None:
                return False
            if grant.may_be_fetched(now):
                grants.execute("UPDATE grants SET state = 'active' WHERE id = ?", (grant_id,))
                return True
            if grant.state == "active":
                table.end_one(grants, grant_id, "code_reused", now)
            return False

        return self._run(work, default=False)

    def rotate(self, grant_id: bytes, presented: int, now: float) -> int | None:
        """Return the generation of the refresh token that takes the place of a presented one.

        Returns:
            None when the token is not good: the grant does not serve, is suspect, or ends by this,
            as `Grant.successor` says.
        """

        def work(grants: sqlite3.Connection) -> int | None:
            grant = table.find_grant(grants, grant_id)
            if grant is None or not grant.serves(now) or grant.was_rejected(now):
                return None
            newest = grant.successor(presented)
            if newest is None:
                table.end_one(grants, grant_id, "refresh_reused", now)
            elif newest != grant.generation or not grant.used_today(now):
                grants.execute(
                    "UPDATE grants SET generation = ?, used = ? WHERE id = ?",
                    (newest, max(grant.used, day_of(now)), grant_id),
                )
            return newest

        return self._run(work, default=None)

    def note_used(self, grant_id: bytes, now: float) -> None:
        """Record the day on which a grant was last used.

        Callers with the grant at hand check `Grant.used_today` first, which costs no write.
        """
        self._execute(
            "UPDATE grants SET used = ?2 WHERE id = ?1 AND state = 'active' AND used < ?2",
            grant_id,
            day_of(now),
        )

    def suspect(self, grant_id: bytes, now: float) -> None:
        """Write down that the portal has rejected the password of a grant."""
        self._execute(
            "UPDATE grants SET suspect_since = coalesce(suspect_since, ?2), asked_at = ?2 "
            "WHERE id = ?1 AND state = 'active'",
            grant_id,
            now,
        )

    def unsuspect(self, grant_id: bytes) -> None:
        """Write down that the portal takes the password of a grant again."""
        self._execute(
            "UPDATE grants SET suspect_since = NULL, asked_at = NULL "
            "WHERE id = ? AND state = 'active' AND suspect_since IS NOT NULL",
            grant_id,
        )

    def may_ask(self, grant_id: bytes, now: float) -> bool:
        """Claim the next question to the portal whether it takes a suspect grant's password.

        Returns:
            True for one caller in ten minutes, however many workers ask; and for all when the grant
            is not suspect any more.
        """

        def work(grants: sqlite3.Connection) -> bool:
            grant = table.find_grant(grants, grant_id)
            if grant is None or not grant.serves(now):
                return False
            if grant.suspect_since is None:
                return True
            if grant.was_rejected(now):
                return False
            grants.execute("UPDATE grants SET asked_at = ? WHERE id = ?", (now, grant_id))
            return True

        return self._run(work, default=False)

    def set_control(self, grant_id: bytes, account: bytes, control: bool) -> bool:
        """Let a grant change settings, or not any more.

        Returns:
            Whether it is one of this account that has not ended.
        """
        statement = (
            "UPDATE grants SET control = ? WHERE id = ? AND account = ? AND state != 'ended'"
        )
        return self._execute(statement, control, grant_id, account) == 1

    def end(self, grant_id: bytes, why: Why, now: float, account: bytes | None = None) -> bool:
        """End a grant: what it sealed is overwritten.

        Args:
            grant_id: Which one.
            why: Why.
            now: Seconds since 1970.
            account: Only if it is of this account.

        Returns:
            Whether it had not ended before.
        """
        return self._run(
            lambda grants: table.end_one(grants, grant_id, why, now, account), default=False
        )

    def end_all(self, account: bytes | None, why: Why, now: float) -> int:
        """End all grants of an account, or of everybody, and return how many had not ended."""
        return self._run(
            lambda grants: table.end_where(
                grants, why, now, "(:account IS NULL OR account = :account)", {"account": account}
            ),
            default=0,
        )

    def forget(self, account: bytes | None) -> int:
        """Remove all grants of an account, or of everybody, and return how many there were."""
        return self._execute("DELETE FROM grants WHERE ?1 IS NULL OR account = ?1", account)

    def of_account(self, account: bytes) -> list[Grant]:
        """Return the grants of an account, latest first."""
        return self.latest(MOST, account)[1]

    def latest(self, limit: int, account: bytes | None = None) -> tuple[int, list[Grant]]:
        """Return how many grants there are, of an account or of all, and the latest of them."""
        where = "WHERE (?1 IS NULL OR account = ?1)"

        def work(grants: sqlite3.Connection) -> tuple[int, list[Grant]]:
            (total,) = grants.execute(f"SELECT count(*) FROM grants {where}", (account,)).fetchone()  # noqa: S608 - our own text
            newest = f"{table.ALL} {where} ORDER BY rowid DESC LIMIT ?2"
            rows = grants.execute(newest, (account, limit))
            return total, [table.grant_of(row) for row in rows]

        return self._run(work, "look", default=(0, list[Grant]()))

    def sweep(self, now: float) -> int:
        """End what is over, remove what nobody needs any more, and return how many it were.

        Any process may do it, at any time.
        """

        def work(grants: sqlite3.Connection) -> int:
            rows = grants.execute(f"{table.ALL} WHERE state = 'active'")
            over = [
                (grant.id, why) for grant in map(table.grant_of, rows) if (why := grant.over(now))
            ]
            for grant_id, why in over:
                table.end_one(grants, grant_id, why, now)
            removed = grants.execute(table.REMOVE_OLD, (now, PENDING, ENDED))
            return len(over) + removed.rowcount

        return self._run(work, default=0)

    async def keep_swept(self, wall: Callable[[], float]) -> None:
        """Sweep at once and then every hour, until cancelled. Makes no file where there is none.

        Args:
            wall: Seconds since 1970.
        """
        while True:
            try:
                await asyncio.to_thread(self.sweep, wall())
            except GrantsUnavailable as exc:
                logger.warning("%s", exc)
            await asyncio.sleep(SWEEP_SECONDS)

    def close(self) -> None:
        """Close the connection that `glance` left open."""
        self._database.close()

    def _run(
        self,
        work: Callable[[sqlite3.Connection], Value],
        purpose: Purpose = "change",
        *,
        default: Value,
    ) -> Value:
        if not self._database.is_there():
            self._refuse_vanished()
            return default
        if purpose == "change":
            self._database.guard()
        value = self._database.run(work, purpose)
        self._seen = True
        return value

    def _execute(self, statement: str, *values: object) -> int:
        """Run one statement that writes, and return how many rows it changed."""
        return self._run(lambda grants: grants.execute(statement, values).rowcount, default=0)

    def _refuse_vanished(self) -> None:
        """Tell a file that vanished from one that nobody has made yet.

        Clients drop their tokens for good when the answer is that their grant does not exist.

        Raises:
            GrantsUnavailable: There was one before.
        """
        if self._seen:
            raise GrantsUnavailable(table.GONE.format(path=self._database.path))
