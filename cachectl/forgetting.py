"""`cachectl forget-owner`: erases all data of an account, in memory and on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self

from .blocks import Report
from .daemon import Daemon, fingerprint, settings
from .disk import wait_until_erased
from .failures import NotRunning, Refused
from .forgotten_report import forgotten_report
from .options import Options
from .shared import shared
from .units import amount, text


def forget_owner(options: Options) -> Report:
    """Erase an account at the daemon, and wait until its file no longer has it.

    Connections go first: a client would restore everything with its next call.

    Raises:
        Usage: The environment is wrong.
        Refused: The secret is missing; or the file could not be written, or the record of
            connections, and the rest was done.
        Unreachable: No daemon answers, so its file stays as it is.
    """
    assert options.email is not None  # it is required
    account = fingerprint(options.email)
    budget = fingerprint(options.email, folded=True)
    connections = None
    try:
        with shared(options.socket) as daemon:
            daemon.refuse_other_secret()
            connections = _Connections.removed(account)
            (erased,) = daemon.call("forget", "account", account, budget, fields=(Mapping,))
            wait_until_erased(daemon)
    except NotRunning as exc:
        from server.cache.backing import database_path  # noqa: PLC0415 - seldom needed

        done = connections or _Connections.removed(account)
        raise NotRunning(
            f"{exc} {done} Or stop the whole server and delete "
            f"{database_path(settings().snapshot_file)}: "
            "everybody logs in once more"
        ) from None
    if connections.failure is not None:
        raise Refused(
            "The account was forgotten in memory and on the disk, but its connections could "
            f"not be removed: {connections.failure} Then run this again."
        )
    is_shared = not isinstance(daemon, Daemon)
    return forgotten_report(
        account,
        erased,
        connections.number,
        _changes(account),
        is_shared=is_shared,
        old_file=_old_file() if is_shared else None,
    )


class _Connections(NamedTuple):
    """What became of an account's connections.

    Attributes:
        number: How many were removed.
        failure: Why none were, if their record cannot be used.
    """

    number: int
    failure: str | None = None

    @classmethod
    def removed(cls, account: bytes) -> Self:
        """Remove them."""
        from server.errors import GrantsUnavailable  # noqa: PLC0415 - few commands need SQLite
        from server.records.grants import GrantStore  # noqa: PLC0415

        try:
            return cls(GrantStore(settings().grants).forget(account))
        except GrantsUnavailable as exc:
            return cls(0, str(exc))

    def __str__(self) -> str:
        """Say what was done where the daemon could not be asked."""
        if self.failure is not None:
            return f"Nothing was removed. {self.failure}"
        if not self.number:
            return "Nothing was removed."
        return f"Nothing was removed but {amount(self.number, 'connection')}."


def _old_file() -> str | None:
    """Return the path of the accounts' file of a daemon that ran here before, if it is there."""
    from server.cache.backing import database_path  # noqa: PLC0415 - as above

    path = database_path(settings().snapshot_file)
    return text(path) if path.exists() else None


def _changes(account: bytes) -> int | None:
    """Count the account's entries in the journal; None when it cannot be read."""
    from server.errors import JournalUnavailable  # noqa: PLC0415
    from server.records.journal import Journal  # noqa: PLC0415 - few commands need SQLite

    try:
        total, _ = Journal(settings().journal).latest(1, account=account)
    except JournalUnavailable:
        return None
    return total
