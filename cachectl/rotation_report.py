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

THEN = """\
Start the server again. A backup that holds the old secret still opens what was backed up with it:
destroy it."""


def rotation_report(secret: str, connections: int) -> Report:
    """Report that the secret at this path was replaced, and how many connections were removed."""
    done = (
        f"The secret {secret} was replaced; the cache's file and "
        f"{amount(connections, 'connection')} were removed."
    )
    return Report(
        {"rotated": True, "secret": secret, "connections": connections},
        (
            done,
            "\n".join(CONSEQUENCES),
            THEN,
        ),
    )
