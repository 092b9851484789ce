"""How the simulated portal behaves where the real one's behaviour is not known, or changed."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.errors import OigError

from .endpoints import Endpoint
from .expired import SHAPES, chosen, ordinary
from .page import Page

CONTRACTS = ("json", "form", "both")

DELAY = 60.0
"""Seconds until a box has a write: it asks about once a minute (observed: 11 to 90 seconds)."""

DELAY_MAX = 86_400.0
"""Longest delay, in seconds: a day; for ever is what an offline box is for."""


class SwitchRefused(OigError):
    """A switch cannot be set so; the text says why."""


@dataclass(slots=True)
class Switches:
    """All switches, as at the start.

    Attributes:
        contract: Whether writes must come as JSON, as a form, or as either.
        delay: Seconds until a box in contact has a write.
        lifts_cap: Whether switching the export on without a limit removes the limit that was.
        etag: Whether json.php sends an ETag and heeds If-None-Match.
        escaped: Whether the HTML of notifications is escaped once more.
        keeps_sessions: Whether the sessions of an account live on when its password is changed.
        expired: How each path shows that a session has ended.
    """

    contract: str = "json"
    delay: float = DELAY
    lifts_cap: bool = True
    etag: bool = False
    escaped: bool = False
    keeps_sessions: bool = True
    expired: dict[Endpoint, str] = field(default_factory=ordinary)

    def obey(self, raw: object) -> None:
        """Set the switches that a JSON object names, all or none.

        Raises:
            SwitchRefused: A member is unknown, of a wrong type or out of bounds.
            ShapeRefused: The same of `expired`.
        """
        known = self.as_json()
        if not isinstance(raw, dict) or not raw or raw.keys() - known.keys():
            raise SwitchRefused(f"switches are a JSON object with some of: {', '.join(known)}")
        for name in ("lifts_cap", "etag", "escaped", "keeps_sessions"):
            if not isinstance(raw.get(name, False), bool):
                raise SwitchRefused(f'"{name}" must be true or false')
        if raw.get("contract", "json") not in CONTRACTS:
            raise SwitchRefused(f'"contract" must be one of {", ".join(CONTRACTS)}')
        delay = raw.get("delay", 0)
        if isinstance(delay, bool) or not isinstance(delay, (int, float)):
            raise SwitchRefused('"delay" must be a number of seconds')
        if not 0 <= delay <= DELAY_MAX:
            raise SwitchRefused(f'"delay" must be from 0 to {DELAY_MAX:.0f} seconds')
        expired = self.expired | chosen(raw.get("expired", {}))
        for name in raw:
            setattr(self, name, raw[name] if name != "expired" else expired)

    def expired_page(self, endpoint: Endpoint) -> Page:
        """Give the answer of a path to a session that has ended."""
        return SHAPES[endpoint][self.expired[endpoint]]

    def as_json(self) -> dict[str, object]:
        """Describe all switches."""
        return {
            "contract": self.contract,
            "delay": self.delay,
            "lifts_cap": self.lifts_cap,
            "etag": self.etag,
            "escaped": self.escaped,
            "keeps_sessions": self.keeps_sessions,
            "expired": {endpoint.value: shape for endpoint, shape in self.expired.items()},
        }
