"""Checks that all processes of the server have one version; otherwise no box is changed."""

from __future__ import annotations

import contextlib
from typing import Protocol

from ..codes import Code
from ..errors import CacheUnavailable, ChangeRefused, VersionsDiffer


class VersionAgreement(Protocol):
    """Who knows the versions of all who are connected."""

    async def agree(self) -> None:
        """Return when it answers, and a change can be made now as far as it knows.

        Raises:
            VersionsDiffer: Not all are of one version.
            CacheUnavailable: It does not answer.
        """
        ...


DIFFERENT = (
    "This server is being upgraded: not all its parts are of one version yet, and until they are "
    "no box is changed. Nothing was sent."
)


async def check_versions(versions: VersionAgreement) -> None:
    """Return if changes can be made, as far as versions go.

    1. The cache daemon, or a worker that is connected to it, is of another version: they cannot.
    2. All are of one: they can.
    3. The daemon is away: they can. Which apply has a box says the journal, and a journal of
       another version cannot be used.

    Raises:
        ChangeRefused: Case 1.
    """
    with contextlib.suppress(CacheUnavailable):
        try:
            await versions.agree()
        except VersionsDiffer:
            raise ChangeRefused(Code.VERSIONS_DIFFER, DIFFERENT, retry_after=60.0) from None
