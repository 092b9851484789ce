"""What was removed of an account, and what stays. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .blocks import Report
from .render import shown_account
from .units import amount, known

REMOVED = (
    ("connections", "connection"),
    ("sessions", "session"),
    ("notes", "session handle"),
    ("answers", "answer of the portal"),
    ("failures", "failure record"),
    ("rejections", "remembered rejection"),
    ("known_sources", "known source"),
    ("leases", "login or fetch under way"),
)
"""What is counted, and what that is called."""

MANY = {
    "answers": "answers of the portal",
    "leases": "logins or fetches under way",
}

STAYS = """\
What stays beside the journal:
- lines in var/log, with fingerprint and address, until the files are rotated out;
- a back-off that the portal asked for, for up to an hour and in memory only;
- in a worker's memory, until others replace it: the account's remaining call rate, and which of its
  lines in auth.log are only counted;
- in a worker that was disconnected from the daemon at this moment: its own counts of failed logins,
  for up to a day in memory;
- data outside the server: your backups, and files of oig-client on the owner's machine."""

ON_SERVER = """\
With OIG_CACHE_URL the account is gone for the workers of all hosts. What stays there as well:
- in the files of the Valkey or Redis server, until it rewrites them, and in its backups;
- in records of other hosts from the time before OIG_CACHE_URL: their journal and connected clients,
  which this command, run there, removes."""

OLD_FILE = """\
{} is left from the time before OIG_CACHE_URL. It was not looked into and may hold data of the
account: nobody reads it any more, so delete it."""

AGAIN = """\
The owner, or anybody else with the password, can log in again, and then data of the account is
stored again. OIG_ALLOWED_EMAILS decides which accounts may log in."""


def forgotten_report(
    account: bytes,
    erased: Mapping[str, Any],
    connections: int,
    changes: int | None,
    *,
    is_shared: bool = False,
    old_file: str | None = None,
) -> Report:
    """Report what was removed.

    Args:
        account: The account's key.
        erased: How much of what the daemon dropped, as it replied to `forget`.
        connections: How many connections of clients were removed.
        changes: The account's entries in the journal; None when it cannot be read.
        is_shared: Whether hosts share a storage.
        old_file: The file of a daemon that ran before they did, if it is still there.
    """
    counted = {"connections": connections, "notes": erased.get("handles"), **erased}
    numbers = {key: int(known(counted.get(key)) or 0) for key, _ in REMOVED}
    gone = [amount(numbers[key], one, MANY.get(key)) for key, one in REMOVED if numbers[key]] or [
        "nothing, as none of it was stored"
    ]
    name = shown_account(account)
    where = "on the shared storage" if is_shared else "in memory and on the disk"
    line = f"Forgot account {name}, {where}. Removed: {', '.join(gone)}."
    shared = (ON_SERVER,) if is_shared else ()
    old = () if old_file is None else (OLD_FILE.format(old_file),)
    return Report(
        {"account": name, "removed": numbers, "journal": changes},
        (line, *old, _journal(changes), STAYS, *shared, AGAIN),
    )


def _journal(changes: int | None) -> str:
    if changes == 0:
        return "The journal has no change of this account."
    how_many = (
        "The journal cannot be read now; its entries stay"
        if changes is None
        else f"The journal still has {amount(changes, 'change')} of this account"
    )
    return (
        f"{how_many}: a record of what was done to a machine, with the fingerprint and without "
        "the e-mail. It is the operator's to keep or to delete."
    )
