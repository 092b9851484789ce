"""A cached call with a Bearer token against one with a Basic header, at the same server."""

from __future__ import annotations

import time
from pathlib import Path

from server.auth.sealing import Credential, Sealer
from server.keys.secret import read_secret
from server.oauth.tokens import ACCESS_SECONDS, AccessToken, Tokens
from server.records.grant import LIFETIME, Grant, day_of
from server.records.grants import GrantStore

from .calls import (
    EMAIL,
    FROM_CACHE,
    LEGACY,
    MODERN,
    PASSWORD,
    Account,
    Question,
    check_auth,
)
from .contest import Contestant, take_turns
from .effort import Effort
from .result import Budget, Line, ratios
from .system import system

PUBLIC_URL = "https://oig.example.org"
"""Where the tokens are good: the server believes no Host about that."""

THROUGH_SDK = Budget("at most", 1.1)
THROUGH_LANE = Budget("at most", 1.4)


def against_basic(effort: Effort) -> list[Line]:
    """Measure with requests of two protocol revisions, with and without the fast lane."""
    return [
        *_compared(effort, "on", "by the fast lane", THROUGH_LANE),
        *_compared(effort, "off", "through the SDK", THROUGH_SDK),
    ]


def _compared(effort: Effort, lane: str, how: str, budget: Budget) -> list[Line]:
    lines = []
    with system(OIG_PUBLIC_URL=PUBLIC_URL, OIG_FAST_LANE=lane) as made:
        served, folder = made.served, made.cache_socket.parent
        by_token = f"Bearer {_token(folder, made.portal.url)}"
        for revision in (MODERN, LEGACY):
            pair = [
                Contestant(f"{who}, {how}, {revision}", served, _asked(served.port, revision, by))
                for who, by in (("Bearer", by_token), ("Basic", Account().basic))
            ]
            mine, theirs = take_turns(pair, effort)
            lines.append(
                Line(
                    "processor time of a call with a Bearer token / of one with a Basic header, "
                    f"{how}, {revision}, one account",
                    values=ratios(mine.cpu, theirs.cpu),
                    budget=budget,
                    figures=[*mine.figures(), *theirs.figures()],
                    means="What a client costs that logged in by the browser.",
                )
            )
    return lines


def _asked(port: int, revision: str, authorization: str) -> list[Question]:
    request = check_auth(revision, port, authorization=authorization)
    return [Question(request, (FROM_CACHE, EMAIL.encode()))]


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
