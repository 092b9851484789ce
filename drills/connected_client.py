"""A client whose owner logs in on the server's page: it holds tokens, and the server a grant."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from .callers import PASSWORD, Owner
from .waiting import PATIENCE

CALLBACK = "http://localhost:53124/callback"

TARGET = re.compile(r'http-equiv="refresh" content="0;url=([^"]+)"')


class ConnectedClient:
    """A client of one owner.

    Args:
        url: Address of the server, without a path.
        owner: Who logs in.
    """

    def __init__(self, url: str, owner: Owner) -> None:
        self.owner = owner
        self._url = url
        self._id = self._access = self._refresh = ""
        self._verifier = secrets.token_urlsafe(48)

    def log_in(self) -> None:
        """Register, have the owner log in, and exchange the code for tokens.

        Raises:
            httpx2.HTTPError: There was no answer, or not the one that leads on.
        """
        registered = self._send(
            "POST", "/register", json={"client_name": "Drill", "redirect_uris": [CALLBACK]}
        )
        self._id = registered.json()["client_id"]
        digest = hashlib.sha256(self._verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._id,
            "redirect_uri": CALLBACK,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
            "resource": f"{self._url}/mcp",
            "state": secrets.token_urlsafe(),
        }
        page = self._send("GET", "/authorize", params=asked).text
        (request,) = re.findall(r'name="request" value="([^"]+)"', page)
        form = {
            "request": html.unescape(request),
            "action": "connect",
            "email": self.owner.email,
            "password": PASSWORD,
        }
        answer = self._send("POST", "/authorize", data=form, headers={"Origin": self._url})
        where = answer.headers.get("location") or html.unescape(TARGET.findall(answer.text)[0])
        (code,) = parse_qs(urlsplit(where).query)["code"]
        self._take(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": CALLBACK,
                "client_id": self._id,
                "code_verifier": self._verifier,
            }
        )

    def refresh(self) -> None:
        """Exchange the refresh token for its successor.

        Raises:
            httpx2.HTTPError: There was no answer, or the grant has ended.
        """
        self._take(
            {
                "grant_type": "refresh_token",
                "refresh_token": self._refresh,
                "client_id": self._id,
            }
        )

    def revoke(self) -> None:
        """End the grant."""
        self._send("POST", "/revoke", data={"token": self._refresh, "client_id": self._id})

    @property
    def authorization(self) -> str:
        """The header that calls a tool with the access token."""
        return f"Bearer {self._access}"

    def _take(self, form: dict[str, str]) -> None:
        told = self._send("POST", "/token", data=form).json()
        self._access, self._refresh = told["access_token"], told["refresh_token"]

    def _send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        answer = httpx2.request(
            method, self._url + path, timeout=PATIENCE, trust_env=False, **options
        )
        # A redirect leads to the client, where nobody listens.
        return answer if answer.is_redirect else answer.raise_for_status()
