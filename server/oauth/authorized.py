"""Who a valid access token speaks for, on its way from the endpoint to the tools.

The endpoint puts it into the ASGI scope of the request, and the tools find it there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..records.grant import Grant
from ..sealing import Credential
from ..sources import source_of_grant

KEY = "oig.authorized"
"""Key of the ASGI scope."""


async def _nobody(_: Grant) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Authorized:
    """A grant whose token came with a request.

    Attributes:
        grant: As the record had it.
        credential: What the owner typed.
        on_rejected: Told that OIG Cloud does not accept the credential any more.
        on_accepted: Told that it does, after all that may have been before.
    """

    grant: Grant
    credential: Credential = field(repr=False)
    on_rejected: Callable[[Grant], Awaitable[None]] = field(default=_nobody, repr=False)
    on_accepted: Callable[[Grant], Awaitable[None]] = field(default=_nobody, repr=False)

    @property
    def source(self) -> str:
        """Where its calls come from, as failed logins are counted."""
        return source_of_grant(self.grant.id)


def authorized(scope: Mapping[str, Any]) -> Authorized | None:
    """Return whom the token of a request speaks for; None if it came with none."""
    found: Authorized | None = scope.get(KEY)
    return found
