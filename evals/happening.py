"""What can happen at the portal and at a box while a scenario plays: docs/simulator.md says it."""

from __future__ import annotations

from .scenario import Happens

END_SESSIONS = Happens("sessions", method="DELETE")
"""The portal ends all sessions, as a restart of it would."""

CLEAR_FAULTS = Happens("faults", method="DELETE")
"""The portal works again."""


def box(box_id: str, **members: object) -> Happens:
    """Have a box be so, as `/_admin/boxes` takes it."""
    return Happens("boxes", {"box": box_id, **members})


def fault(kind: str, endpoint: str, **members: object) -> Happens:
    """Have requests to an endpoint of the portal go wrong."""
    return Happens("faults", {"kind": kind, "endpoint": endpoint, **members})


def notice(box_id: str, text: str, **members: object) -> Happens:
    """Have the portal notify: `level`, `body`, `at`."""
    return Happens("notices", {"box": box_id, "text": text, **members})


def switch(**members: object) -> Happens:
    """Have the portal behave differently."""
    return Happens("switches", members)


def password(email: str, new: str) -> Happens:
    """Have the owner of an account change its password at the portal."""
    return Happens("accounts", {"email": email, "password": new})
