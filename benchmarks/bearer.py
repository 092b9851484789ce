"""A cached call with a Bearer token against one with a Basic header, at the same server."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from pathlib import Path

from server.auth.sealing import Credential, Sealer
from server.keys.secret import read_secret
from server.oauth.tokens import ACCESS_SECONDS, AccessToken, Tokens
from server.records.grant import LIFETIME, Grant, day_of
from server.records.grants import GrantStore

from .calls import EMAIL, LEGACY, MODERN, PASSWORD
from .effort import Effort
from .http import take_turns
from .result import Budget, Line, ratios
from .system import system

PUBLIC_URL = "https://oig.example.org"
"""Where the tokens are good: the server believes no Host about that."""

AGAINST_BASIC = Budget("at most", 1.1)


def against_basic(effort: Effort) -> list[Line]:
    """Measure with requests of two protocol revisions."""
    lines = []
    with system(OIG_PUBLIC_URL=PUBLIC_URL) as ours:
        pair = base64.b64encode(f"{EMAIL}:{PASSWORD}".encode()).decode()
        token = _token(ours.cache_socket.parent, ours.portal.url)
        by_basic = replace(ours.served, authorization=f"Basic {pair}")
        by_token = replace(ours.served, authorization=f"Bearer {token}")
        for revision in (LEGACY, MODERN):
            mine, theirs = take_turns([("Bearer", by_token), ("Basic", by_basic)], revision, effort)
            lines += [
                Line(
                    "processor time of a call with a Bearer token / of one with a Basic header, "
                    f"{revision}",
                    values=ratios(mine.cpu, theirs.cpu),
                    budget=AGAINST_BASIC,
                    figures=[*mine.figures(), *theirs.figures()],
                ),
                Line(
                    f"throughput with a Bearer token / with a Basic header, {revision}",
                    values=ratios(mine.rates, theirs.rates),
                ),
            ]
    return lines


def _token(run_dir: Path, portal_url: str) -> str:
    """Let a client in, as a login and the exchange of its code do."""
    secret, now = read_secret(run_dir / "secret"), time.time()
    tokens, store = Tokens(secret, portal_url), GrantStore(run_dir / "grants.db")
    credential = Credential(EMAIL, PASSWORD)
    account = Sealer(secret, portal_url).keys(credential).account
    grant_id, key = tokens.new_grant()
    store.add(
        Grant(
            id=grant_id,
            account=account,
            client=bytes(32),
            name="benchmark",
            redirect="localhost",
            control=False,
            resource=f"{PUBLIC_URL}/mcp",
            state="pending",
            generation=0,
            created=now,
            expires=now + LIFETIME,
            used=day_of(now),
            sealed=tokens.seal_credential(grant_id, account, key, credential),
        )
    )
    store.activate(grant_id, now)
    return tokens.access(AccessToken(grant_id, key, now + ACCESS_SECONDS))
