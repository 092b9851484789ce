"""The grant of a valid access token, on its way from the endpoint to the tools.

The endpoint puts it into the ASGI scope of the request, where the tools find it. Time passes
between the head of a request and its effect, and the client controls part of it: it can delay the
body, let a batch do other work first, or wait for the portal. So `Authorized.check` reads the grant
again whenever the caller's session is opened or used, and right before a change is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..codes import Code
from ..errors import GrantsUnavailable, NotPermitted
from ..records.grant import Grant
from ..sources import source_of_grant
from .sealing import Credential

KEY = "oig.authorized"
"""Key of the ASGI scope."""

ENDED = "The connection of this client has ended: nothing is sent for it any more."

NOT_ALLOWED = (
    "This client may read and not change the box: its owner has not allowed that. The page "
    "/connections of this server lets the owner allow it, without connecting again."
)

CANNOT_TELL = (
    "The record of connected clients cannot be used now, so nobody can tell whether this client is "
    "connected still, and nothing is sent for it."
)


async def _nobody(_: Grant) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Authorized:
    """A grant whose token came with a request.

    Attributes:
        grant: As the record had it.
        credential: What the owner typed.
        standing: Returns the grant as the record has it now, None once it has ended; raises
            GrantsUnavailable.
        on_rejected: Called when OIG Cloud does not accept the credential any more.
        on_accepted: Called when it does, whatever it did before.
    """

    grant: Grant
    credential: Credential = field(repr=False)
    standing: Callable[[Grant], Awaitable[Grant | None]] = field(repr=False)
    on_rejected: Callable[[Grant], Awaitable[None]] = field(default=_nobody, repr=False)
    on_accepted: Callable[[Grant], Awaitable[None]] = field(default=_nobody, repr=False)

    @property
    def source(self) -> str:
        """Where its calls come from, as failed logins are counted."""
        return source_of_grant(self.grant.id)

    async def check(self, *, changes: bool = False) -> None:
        """Return if the grant permits its call still, by the record as it is at this moment.

        That OIG Cloud has come to reject its password does not matter here: the portal says so.

        Args:
            changes: Whether the call is part of changing a box.

        Raises:
            NotPermitted: The grant has ended, may not do this, or its record cannot be read.
        """
        try:
            grant = await self.standing(self.grant)
        except GrantsUnavailable:
            raise NotPermitted(Code.CONNECTIONS_UNAVAILABLE, CANNOT_TELL, retry_after=5.0) from None
        if grant is None:
            raise NotPermitted(Code.CONNECTION_ENDED, ENDED)
        if changes and not grant.control:
            raise NotPermitted(Code.INSUFFICIENT_SCOPE, NOT_ALLOWED)


def authorized(scope: Mapping[str, Any]) -> Authorized | None:
    """Return whom the token of a request speaks for; None if it came with none."""
    found: Authorized | None = scope.get(KEY)
    return found
