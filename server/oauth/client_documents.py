"""Clients whose id is the address of a document that says what they are.

Source: draft-ietf-oauth-client-id-metadata-document. The document is fetched when an owner is about
to log in, which strangers can cause: so seldom, one at a time, and what came of it is kept.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from ..places import ROOT
from ..refusal_log import RefusalLog
from .clients import PREFIX, Client, Redirects, cleaned_name, document_site, read
from .document_fetch import MAX_BYTES, SECONDS

FRESH = 3600.0
"""Seconds for which a document stands."""

GOOD = 86400.0
"""Seconds for which it still stands in for one that cannot be fetched."""

MISSING = 60.0
"""Seconds for which none is fetched again where there was none."""

MOST_KEPT = 256
"""Documents kept, and as many addresses without one. Real clients are a dozen."""

MOST_AT_ONCE = 3
"""Documents that are fetched or wait for their turn. Each takes five seconds at worst."""

BUSY = "Too many are looked up at once."

MOST_REDIRECTS = 20
"""Redirect URIs looked at."""

WITH_SECRET = frozenset({"client_secret_basic", "client_secret_post", "client_secret_jwt"})
"""Ways to prove oneself that a public document cannot hold the secret for (the draft's 4.1)."""

T = TypeVar("T")

Fetch = Callable[[str], bytes | None]

Find = Callable[[str], Awaitable[Client | None]]
"""Returns the client with an id; None for an id of nobody."""


def read_document(client_id: str, body: bytes, redirects: Redirects) -> Client | None:
    """Read a document; None if it is none, or another's.

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
    # (4.1). As with clients that register, the good ones of several addresses are kept.
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
    """Fetch a document, in a process of its own; None if there is none."""
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
        return None
    return done.stdout[: MAX_BYTES + 1] if done.returncode == 0 else None


@dataclass(frozen=True, slots=True)
class _Kept:
    client: Client
    fresh_until: float
    good_until: float


class ClientDocuments:
    """Looks clients up at their address, and keeps what they said.

    Args:
        redirects: Where answers may be sent.
        spacing: Seconds between two fetches, at least.
        fetch: Gives the bytes at an address, None for nothing.
        now: Seconds on a clock that never goes back.
        sleep: Waits for some seconds of it.
    """

    def __init__(
        self,
        redirects: Redirects,
        *,
        spacing: float,
        fetch: Fetch = fetched,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._redirects = redirects
        self._spacing = spacing
        self._fetch = fetch
        self._now = now
        self._sleep = sleep
        self._kept: dict[str, _Kept] = {}
        self._missing: dict[str, float] = {}
        self._under_way: dict[str, asyncio.Task[Client | None]] = {}
        self._turn = asyncio.Lock()
        self._next = 0.0
        self._log = RefusalLog()

    async def find(self, client_id: str) -> Client | None:
        """Return the client that a document at this address describes; None if there is none."""
        # 1. What is fresh stands. 2. Who asks while it is fetched waits for that.
        # 3. Where there was nothing a moment ago, or too many wait, nothing is fetched: what was
        #    said before stands in while it is good.
        now = self._now()
        kept = self._kept.get(client_id)
        if kept is not None and now < kept.fresh_until:
            return kept.client
        old = kept.client if kept is not None and now < kept.good_until else None
        task = self._under_way.get(client_id)
        if task is None:
            if now < self._missing.get(client_id, 0.0) or document_site(client_id) is None:
                return old
            if len(self._under_way) >= MOST_AT_ONCE:
                self._log("to look up a client at", client_id, BUSY)
                return old
            task = asyncio.create_task(self._look_up(client_id, old))
            self._under_way[client_id] = task
            task.add_done_callback(lambda _: self._under_way.pop(client_id, None))
        # Shielded: others may wait for it, too.
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Stop waiting for what is fetched; a fetch itself ends by its own limit."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, client_id: str, old: Client | None) -> Client | None:
        async with self._turn:
            await self._sleep(max(0.0, self._next - self._now()))
            self._next = self._now() + self._spacing
            body = await asyncio.to_thread(self._fetch, client_id)
        now = self._now()
        client = None if body is None else read_document(client_id, body, self._redirects)
        if client is None:
            _put(self._missing, client_id, now + MISSING)
            # A document that has become another's, or wrong, holds no more; one that cannot be
            # fetched does for a while.
            if body is not None:
                self._kept.pop(client_id, None)
            return old if body is None else None
        _put(self._kept, client_id, _Kept(client, now + FRESH, now + GOOD))
        return client


def finder(documents: ClientDocuments | None) -> Find:
    """Return what finds clients of either kind.

    Args:
        documents: Looks up those with an address for an id; None where nobody is looked up.
    """

    async def find(client_id: str) -> Client | None:
        if client_id.startswith(PREFIX) or documents is None:
            return read(client_id)
        return await documents.find(client_id)

    return find


def _put(table: dict[str, T], key: str, value: T) -> None:
    table.pop(key, None)
    table[key] = value
    if len(table) > MOST_KEPT:
        del table[next(iter(table))]  # the one that was fetched longest ago
