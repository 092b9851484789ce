"""Reservations of boxes: rows of the journal, inserted before the box is read for the write.

The row is the only lock on a box, and all processes of a server see it. It becomes the entry of the
change in one conditional update, by a token that only its apply knows. So two applies never both
send, whatever is assumed about a stalled one: this alone makes a second write impossible. Whether
an apply is alive, and for how long its row blocks others, decides only how soon the next one may
begin.

An apply is alive while its process has a lock on a file beside the journal (`pid_file.py`): the
lock ends with the process, however that ends, and a stopped process still has it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path

from ..errors import JournalUnavailable
from ..pid_file import PidFile, is_locked
from .database import Database
from .journal_table import COLUMNS, MOST_UNSETTLED, PLACES, SENT, UNSETTLED
from .record import DEADLINE, LASTS, Record, Reservation

RESERVED = (
    "SELECT id, box, account, client, token, at, reserved_at FROM changes WHERE state = 'reserved'"
)

SENDING = (
    f"SELECT {COLUMNS}, reserved_at FROM changes "  # noqa: S608 - our own names
    "WHERE state = 'sent' AND box = ? AND outcome IS NULL AND released_at IS NULL"
)
"""What was about to be sent, and of which nobody wrote down yet what came of it."""

OWN = "id = ? AND state = 'reserved' AND token = ?"

RESERVE = (
    "INSERT INTO changes (id, box, account, client, token, at, reserved_at, state, source, change, "
    "before, after) VALUES (?, ?, ?, ?, ?, ?, ?, 'reserved', '', '', '', '')"
)
"""How the box is and will be is not known before it was read."""

RENEW = f"UPDATE changes SET reserved_at = ? WHERE {OWN}"  # noqa: S608 - our own text
MAY_SEND = """
SELECT reserved_at FROM changes AS own
WHERE id = ? AND token = ? AND state = 'sent' AND outcome IS NULL AND released_at IS NULL
AND NOT EXISTS (SELECT 1 FROM changes WHERE box = own.box AND rowid > own.rowid)
"""
FREE = f"DELETE FROM changes WHERE {OWN}"  # noqa: S608 - our own text
SEND = f"UPDATE changes SET state = 'sent', reserved_at = ?, ({COLUMNS}) = ({PLACES}) WHERE {OWN}"  # noqa: S608 - our own text


class PlanUsed(Exception):
    """There is an entry of this id already."""


class BoxReserved(Exception):
    """Another apply has the box.

    Attributes:
        left: Seconds for which it has it at most, unless it renews that.
    """

    def __init__(self, left: float) -> None:
        super().__init__()
        self.left = left


class ChangeUnderWay(Exception):
    """Another change of the box is being sent, or is not settled.

    Attributes:
        record: That change.
    """

    def __init__(self, record: Record) -> None:
        super().__init__(record.id)
        self.record = record


class ReservationLost(Exception):
    """The box was given to another apply meanwhile, or the reservation was ended."""


class Reservations:
    """The reservations in a journal.

    All methods raise JournalUnavailable where it cannot be used, and may wait: for the disk, and
    for other processes. Their clock is that of the journal.
    """

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._files: dict[bytes, PidFile] = {}

    def reserve(self, one: Reservation) -> None:
        """Reserve a box for an apply of this process. Other processes see it when this returns.

        1. The plan was sent before: it is used, whatever became of it.
        2. Another apply has reserved the box, lives as far as is known, and its time is not over:
           this one does not begin.
        3. An apply sends a change of the box and lives: the same, for a change may be several
           requests, between which nothing else may come.
        4. The box is reserved, and that apply is gone or its time is over: its row is removed. If
           it goes on later, it finds that and sends nothing.
        5. Else the box is this apply's.

        Args:
            one: The reservation; its time begins now.

        Raises:
            PlanUsed: Case 1.
            BoxReserved: Case 2.
            ChangeUnderWay: Case 3.
        """
        self._database.make()
        self._files[one.token] = file = PidFile(self._path(one.token))
        try:
            # Locked before anybody can read of it: a row without its lock is of one that is gone.
            file.keep()
            self._database.run(lambda journal: self._insert(journal, one, file), "change")
        except OSError as exc:
            self._unlock(one.token)
            raise JournalUnavailable(f"{self._path(one.token)} cannot be made: {exc}") from None
        except BaseException:
            self._unlock(one.token)
            raise

    def renew(self, change_id: str, token: bytes) -> None:
        """Say that an apply goes on, for another `LASTS` seconds.

        Raises:
            ReservationLost: The box is not reserved for it any more.
        """
        if self._database.execute(RENEW, (self._now(), change_id, token)) != 1:
            raise ReservationLost

    def send(self, record: Record) -> None:
        """Make a reservation the entry of what is about to be sent, if it is still this apply's.

        It is on the disk when this returns: from here on the journal says that the change may have
        been made.

        Args:
            record: The change, with the token of its reservation.

        Raises:
            PlanUsed: The plan was sent by another apply.
            ChangeUnderWay: An earlier change of the box is not settled.
            ReservationLost: The box is not reserved for this one any more: nothing may be sent.
        """

        def work(journal: sqlite3.Connection) -> None:
            moved = journal.execute(SEND, (self._now(), *astuple(record), record.id, record.token))
            if moved.rowcount != 1:
                sent = journal.execute(f"{SENT} AND id = ?", (record.id,)).fetchone()
                raise ReservationLost if sent is None else PlanUsed
            others = journal.execute(UNSETTLED, (record.box, MOST_UNSETTLED))
            for other in (Record(*row) for row in others):
                if other.id != record.id and other.under_way(record.at):
                    raise ChangeUnderWay(other)

        self._database.run(work, "change")

    def check_sending(self, change_id: str, token: bytes) -> None:
        """Return if a request of a change may be sent now; to be called right before each.

        The entry alone does not say so, as its apply may have stood still since:

        1. An operator released the box, or another apply has reserved it since.
        2. Another may do so at any moment: `DEADLINE` after the entry it does not wait for this one
           any more. The margin is for what is left to do until the request is on its way.

        Raises:
            ReservationLost: Nothing may be sent any more.
        """
        now = self._now()
        since = self._database.look(
            lambda journal: journal.execute(MAY_SEND, (change_id, token)).fetchone(), None
        )
        if since is None or not 0.0 <= now - since[0] < DEADLINE - LASTS:
            raise ReservationLost

    def release(self, change_id: str, token: bytes) -> None:
        """Let others have the box: this apply is over, whether or not it came to be a change."""
        try:
            self._database.execute(FREE, (change_id, token))
        finally:
            # Last: while its row is there it must not look as if nobody had it.
            self._unlock(token)

    def all(self) -> list[tuple[Reservation, bool | None]]:
        """Return all reservations, oldest first, and whether their applies live.

        Whether they live is None where it is not known, as for another user.
        """
        reserved: list[Reservation] = self._database.look(
            lambda journal: [
                Reservation(*row) for row in journal.execute(f"{RESERVED} ORDER BY at")
            ],
            [],
        )
        return [(one, self.lives(one.token)) for one in reserved]

    def lives(self, token: bytes) -> bool | None:
        """Say whether the apply of a reservation or a change lives; None if that is not known."""
        return is_locked(self._path(token))

    def free_box(self, change_id: str, wall: float) -> bool:
        """Free the box of a reservation or of a change under way, on an operator's word.

        1. A reservation: its row goes. Its apply, if it lives, finds that and sends nothing.
        2. A change: it no longer blocks its box. How it ended is as unknown as before, and plans
           still name it.

        Args:
            change_id: The plan's id, which is the change's.
            wall: Seconds since 1970.

        Returns:
            Whether there was one.
        """

        def work(journal: sqlite3.Connection) -> int:
            freed = journal.execute(
                "DELETE FROM changes WHERE id = ? AND state = 'reserved'", (change_id,)
            )
            if not freed.rowcount:
                freed = journal.execute(
                    "UPDATE changes SET released_at = ? WHERE id = ? AND released_at IS NULL",
                    (wall, change_id),
                )
            return freed.rowcount

        return self._database.run(work, "change") == 1

    def _insert(self, journal: sqlite3.Connection, one: Reservation, file: PidFile) -> None:
        now = self._now()
        if journal.execute(f"{SENT} AND id = ?", (one.id,)).fetchone() is not None:
            raise PlanUsed
        for row in journal.execute(f"{RESERVED} AND box = ?", (one.box,)).fetchall():
            other = Reservation(*row)
            if self.lives(other.token) is not False and other.left(now):
                raise BoxReserved(other.left(now))
            journal.execute(FREE, (other.id, other.token))
        for *row, since in journal.execute(SENDING, (one.box,)).fetchall():
            record = Record(*row)
            recent = since is not None and 0.0 <= now - since < DEADLINE
            if recent and self.lives(record.token) is not False:
                raise ChangeUnderWay(record)
        self._sweep()
        file.keep()
        journal.execute(RESERVE, astuple(replace(one, reserved_at=now)))

    def _sweep(self) -> None:
        """Remove the files of applies that are gone, which nobody else would.

        Within a transaction, of which there is one at a time: a file that another process has made
        and not locked yet is missed by that when its own transaction comes, and made again.
        """
        path = self._database.path
        for file in path.parent.glob(f"{path.name}-apply-*"):
            if is_locked(file) is False:
                with contextlib.suppress(OSError):
                    file.unlink()

    def _unlock(self, token: bytes) -> None:
        file = self._files.pop(token, None)
        if file is not None:
            with contextlib.suppress(OSError):
                file.remove()

    def _path(self, token: bytes) -> Path:
        path = self._database.path
        return path.with_name(f"{path.name}-apply-{token.hex()}")
