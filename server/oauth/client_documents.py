"""Clients whose id is the address of a document that describes them.

Source: draft-ietf-oauth-client-id-metadata-document. The document is fetched when an owner is about
to log in. Strangers can cause this, within the bounds of `Lookups`. Web sites known to the program
or the operator have bounds of their own, which no stranger's site can use up.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial

from ..settings.places import ROOT
from .clients import PREFIX, Client, Redirects, cleaned_name, document_site, read
from .document_fetch import MAX_BYTES, NONE, SECONDS
from .lookups import Lookups, NobodyAnswers

MOST_REDIRECTS = 20
"""Redirect URIs looked at."""

WITH_SECRET = frozenset({"client_secret_basic", "client_secret_post", "client_secret_jwt"})
"""Ways to authenticate that need a secret, which a public document cannot have (draft, 4.1)."""

Fetch = Callable[[str], bytes | None]


def read_document(client_id: str, body: bytes, redirects: Redirects) -> Client | None:
    """Read a document; None if it is not one, or another client's.

    Args:
        client_id: The address that it was fetched from.
        body: What was fetched.
        redirects: Where answers may be sent. What may not be used is left out.
    """
    site = document_site(client_id)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    # It must name its own address: else somebody could pass off another's as that of a client
    # (4.1). As with clients that register, the good ones of several addresses are used.
    if site is None or not isinstance(document, dict) or document.get("client_id") != client_id:
        return None
    if "client_secret" in document or document.get("token_endpoint_auth_method") in WITH_SECRET:
        return None
    name, uris = document.get("client_name"), document.get("redirect_uris")
    if not isinstance(uris, list):
        return None
    good = tuple(
        uri for uri in uris[:MOST_REDIRECTS] if isinstance(uri, str) and redirects.allows(uri, site)
    )
    shown = cleaned_name(name) if isinstance(name, str) else ""
    return Client(client_id, shown, good, site) if good else None


def fetched(url: str) -> bytes | None:
    """Fetch a document, in a process of its own; None if there is none.

    Raises:
        NobodyAnswers: There was no answer.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own module, no shell; a URL is no option
            [sys.executable, "-m", "server.oauth.document_fetch", url],
            cwd=ROOT,
            # It needs none of our settings.
            env={name: value for name, value in os.environ.items() if not name.startswith("OIG_")},
            stdin=subprocess.DEVNULL,  # a worker's own is the socket of all workers
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS + 1,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise NobodyAnswers from None
    if done.returncode == NONE:
        return None
    if done.returncode != 0:
        raise NobodyAnswers
    return done.stdout[: MAX_BYTES + 1]


class ClientDocuments:
    """Looks clients up at their address, and caches their documents.

    Args:
        redirects: Where answers may be sent.
        spacing: Seconds between two fetches, at least: of known sites, and of all others.
        source: Tells the source that an address is counted under; None for one of many people.
        fetch: Gives the bytes at an address, None for nothing; raises `NobodyAnswers`.
        now: Seconds on a clock that never goes back.
        sleep: Waits for some seconds of it.
    """

    def __init__(
        self,
        redirects: Redirects,
        *,
        spacing: float,
        source: Callable[[str | None], str | None],
        fetch: Fetch = fetched,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        def lookups(*, strange: bool) -> Lookups:
            read = partial(read_document, redirects=redirects)
            return Lookups(fetch, read, spacing=spacing, strange=strange, now=now, sleep=sleep)

        self._redirects = redirects
        self._source = source
        self._at_known = lookups(strange=False)
        self._at_others = lookups(strange=True)

    async def find(self, client_id: str, host: str | None) -> Client | None:
        """Return the client that a document at this address describes; None if there is none.

        Args:
            client_id: The address.
            host: Address of the caller.

        Raises:
            NotNow: It cannot be looked up at the moment.
        """
        lookups = self._lookups(client_id)
        return None if lookups is None else await lookups.find(client_id, self._source(host))

    def granted(self, client_id: str) -> None:
        """Know that an owner has let this client in."""
        if (lookups := self._lookups(client_id)) is not None:
            lookups.granted(client_id)

    async def aclose(self) -> None:
        """Stop what is under way."""
        await self._at_known.aclose()
        await self._at_others.aclose()

    def _lookups(self, client_id: str) -> Lookups | None:
        site = document_site(client_id)
        if site is None:
            return None
        return self._at_known if self._redirects.knows(site) else self._at_others


class ClientFinder:
    """Finds clients of either kind: those that an id describes, and those at an address.

    Args:
        documents: Looks up those with an address for an id; None where there are no lookups.
    """

    def __init__(self, documents: ClientDocuments | None) -> None:
        self._documents = documents

    async def find(self, client_id: str, host: str | None) -> Client | None:
        """Return the client with an id; None if there is none.

        Args:
            client_id: The id.
            host: Address of the caller.

        Raises:
            NotNow: It cannot be looked up at the moment.
        """
        if client_id.startswith(PREFIX) or self._documents is None:
            return read(client_id)
        return await self._documents.find(client_id, host)

    def granted(self, client_id: str) -> None:
        """Know that an owner has let this client in."""
        if self._documents is not None:
            self._documents.granted(client_id)
