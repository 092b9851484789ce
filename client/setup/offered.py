"""Asking a server whether clients can log in with a browser there."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from ..connecting import connecting
from ..failures import Failure
from ..unawaited import begun, result_within

RESOURCE = "/.well-known/oauth-protected-resource"
"""Where a server describes itself, before the path of its endpoint (RFC 9728, 3.1)."""
MOST_SECONDS = 5.0
"""Longest wait for an answer that an option can replace."""
MOST_BYTES = 65_536


def offers_browser_login(url: str, seconds: float) -> bool | None:
    """Say whether a server offers a browser login; None where it cannot be asked.

    Args:
        url: The server's, as clients are to be given it.
        seconds: How long to wait at most.
    """
    try:
        metadata = result_within(begun(_metadata, url), min(seconds, MOST_SECONDS))
    except (ValueError, RecursionError):
        return False  # it answers, with something else
    except (Failure, httpx2.HTTPError, httpx2.InvalidURL, OSError):
        return None
    return isinstance(metadata, dict) and metadata.get("resource") == url


def _metadata(url: str) -> Any:
    asked = httpx2.URL(url)
    asked = asked.copy_with(path=f"{RESOURCE}{asked.path}", query=None, fragment=None)
    with (
        connecting(httpx2.Client, url, timeout=MOST_SECONDS) as client,
        client.stream("GET", asked, headers={"Accept": "application/json"}) as response,
    ):
        body = b""
        for chunk in response.iter_bytes(MOST_BYTES):
            body += chunk
            if len(body) > MOST_BYTES:
                return None
    return json.loads(body) if response.status_code == httpx2.codes.OK else None
