"""The fleet of `drills/fleet.py`, and calls over connections of their own."""

from __future__ import annotations

import ssl

import httpx2

from drills.fleet import ROOT, Fleet, running_fleet

from .waiting import PATIENCE, wait_until

__all__ = [
    "NO_TLS",
    "PATIENCE",
    "ROOT",
    "Fleet",
    "call_body",
    "check_auth",
    "post",
    "running_fleet",
    "wait_until",
]

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For plain HTTP: it trusts nobody. To load whom httpx2 trusts takes 20 ms of every client."""


def call_body(email="demo@example.com", password="demo", **extra):
    """Return a tools/call of check_auth as any client of 2024-11-05 to 2025-11-25 may send it."""
    return {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": "check_auth",
            "arguments": {"email": email, "password": password},
            **extra,
        },
    }


def post(url: str, body: object, **headers: str) -> httpx2.Response:
    """POST one message over a connection of its own."""
    accept = {"Accept": "application/json, text/event-stream"}
    return httpx2.post(
        url,
        json=body,
        headers=accept | {k.replace("_", "-"): v for k, v in headers.items()},
        trust_env=False,
        verify=NO_TLS,
        timeout=PATIENCE,
    )


def check_auth(url: str, email="demo@example.com", password="demo") -> dict:
    """Call check_auth over a connection of its own; return its result."""
    return post(url, call_body(email, password)).json()["result"]
