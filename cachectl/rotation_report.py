"""What becomes of everything that was made with the old secret. Pure."""

from __future__ import annotations

from .blocks import Report
from .units import amount

CONSEQUENCES = (
    "With a new secret everybody logs in again: sessions, session handles and plans of before are",
    "refused. All connections of clients end and are removed: each has to be connected again.",
    "Failed logins, locks and known sources are forgotten, for they are stored under the old",
    "secret's fingerprints: who was guessing may begin again. The journal stays, but its old",
    "entries keep their old fingerprints: `cachectl journal` lists them, `--account` and the",
    "owner's own list_changes do not find them any more.",
)

ON_ALL_HOSTS = (
    "Everything in the shared storage is deleted. A host that still has the old file is refused at",
    "its start: copy the new one to all hosts first.",
)

THEN = """\
Start the server again. A backup that holds the old secret still opens what was backed up with it:
destroy it."""

THEN_ON_ALL_HOSTS = """\
Copy {secret} to all other hosts, then start their servers and this one. A start with another file
is refused, and says how to copy it. A backup that holds the old secret still opens what was backed
up with it: destroy it."""


def consequences(*, is_shared: bool) -> tuple[str, ...]:
    """Return the lines that say what a new secret means.

    Args:
        is_shared: Whether hosts share a storage.
    """
    return CONSEQUENCES + (ON_ALL_HOSTS if is_shared else ())


def rotation_report(secret: str, connections: int, *, is_shared: bool = False) -> Report:
    """Report that the secret at this path was replaced, and how many connections were removed."""
    removed = "what the shared storage had" if is_shared else "the cache's file"
    done = (
        f"The secret {secret} was replaced; {removed} and "
        f"{amount(connections, 'connection')} were removed."
    )
    then = THEN_ON_ALL_HOSTS.format(secret=secret) if is_shared else THEN
    return Report(
        {"rotated": True, "secret": secret, "connections": connections},
        (done, "\n".join(consequences(is_shared=is_shared)), then),
    )
