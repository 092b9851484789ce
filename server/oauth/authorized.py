"""Who a valid access token speaks for, on its way from the endpoint to the tools.

The endpoint puts it into the ASGI scope of the request, and the tools find it there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..sealing import Credential
from ..sources import source_of_grant

KEY = "oig.authorized"
"""Key of the ASGI scope."""

SHOWN_CHARACTERS = 8
"""Of a grant's id, where people see it."""


async def _nobody() -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Authorized:
    """A grant whose token came with a request.

    Attributes:
        grant: Its id.
        name: As the client called itself when its owner let it in.
        control: Whether the owner has let it change the box.
        credential: What the owner typed.
        rejected: To be told that OIG Cloud does not accept the credential any more.
        accepted: To be told that it does, after all that may have been before.
    """

    grant: bytes
    name: str
    control: bool
    credential: Credential = field(repr=False)
    rejected: Callable[[], Awaitable[None]] = field(default=_nobody, repr=False, compare=False)
    accepted: Callable[[], Awaitable[None]] = field(default=_nobody, repr=False, compare=False)

    @property
    def source(self) -> str:
        """Where its calls come from, as failed logins are counted."""
        return source_of_grant(self.grant)

    @property
    def id_shown(self) -> str:
        """The beginning of its id, for people."""
        return self.grant.hex()[:SHOWN_CHARACTERS]


def authorized(scope: Mapping[str, Any]) -> Authorized | None:
    """Return whom the token of a request speaks for; None if it came with none."""
    found: Authorized | None = scope.get(KEY)
    return found
