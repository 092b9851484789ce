"""A client that logs in with a browser, and its owner; each of its requests goes to another worker.

Whatever it is given that opens something is kept, for those who search for it where it must not be.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import secrets
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import httpx2

from .login_house import EMAIL, PASSWORD, PROGRAM, answered, buttons, hidden_request

REVISION = "2025-06-18"


class OAuthClient:
    """A client and its owner at the browser.

    Args:
        workers: HTTP clients of the workers, who take turns.
        issuer: Origin of the server.
        email: Of the owner.
        password: Of the owner.

    Attributes:
        workers: As above; a test may leave some out.
        id: Once it has registered.
        access: Its access token, once it has one.
        refresh_token: Its refresh token, once it has one.
        given: All that it and its owner were given and that opens something, by kind.
    """

    def __init__(
        self,
        workers: Sequence[httpx2.AsyncClient],
        issuer: str,
        email: str = EMAIL,
        password: str = PASSWORD,
    ) -> None:
        self.workers = workers
        self.issuer = issuer
        self.email = email
        self.password = password
        self.id = self.access = self.refresh_token = ""
        self.given: defaultdict[str, list[str]] = defaultdict(list)
        self._verifier = secrets.token_urlsafe(48)
        self._numbers = itertools.count()

    async def send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send a request to the worker whose turn it is."""
        worker = self.workers[next(self._numbers) % len(self.workers)]
        return await worker.request(method, path, **options)

    async def register(self, name: str = "Claude") -> None:
        """Register, and be another client from now on."""
        asked = {"client_name": name, "redirect_uris": [PROGRAM]}
        told = await self.send("POST", "/register", json=asked)
        assert told.status_code == 201, told.text
        self.id = told.json()["client_id"]

    async def open(self, **changes: str) -> httpx2.Response:
        """Open the page of a login."""
        digest = hashlib.sha256(self._verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": PROGRAM,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
            "resource": f"{self.issuer}/mcp",
            "login_hint": self.email,
            "state": secrets.token_urlsafe(),
            **changes,
        }
        return await self.send("GET", "/authorize", params=asked)

    async def submit(self, page: httpx2.Response, **changes: str) -> httpx2.Response:
        """Fill in the form of a login page and send it."""
        login = {"email": self.email, "password": self.password}
        form = {"request": hidden_request(page), "action": "connect", **login, **changes}
        return await self._sent("/authorize", form)

    async def code(self, **changes: str) -> str:
        """Have the owner log in, and return the code that this leads to."""
        code = answered(await self.submit(await self.open(), **changes))["code"]
        self.given["code"].append(code)
        return code

    def exchanging(self, code: str, **changes: str) -> dict[str, str]:
        """Return the form that exchanges a code."""
        mine = {"redirect_uri": PROGRAM, "client_id": self.id, "code_verifier": self._verifier}
        return {"grant_type": "authorization_code", "code": code, **mine, **changes}

    async def exchange(self, code: str, **changes: str) -> httpx2.Response:
        """Exchange a code for tokens."""
        return self._taken(await self.send("POST", "/token", data=self.exchanging(code, **changes)))

    async def log_in(self, **changes: str) -> None:
        """Do all that there is to do before the first call."""
        await self.register()
        answer = await self.exchange(await self.code(**changes))
        assert answer.status_code == 200, answer.text

    def refreshing(self, token: str | None = None) -> dict[str, str]:
        """Return the form that refreshes tokens."""
        given = self.refresh_token if token is None else token
        return {"grant_type": "refresh_token", "refresh_token": given, "client_id": self.id}

    async def refresh(self, token: str | None = None) -> httpx2.Response:
        """Exchange a refresh token for its successor."""
        return self._taken(await self.send("POST", "/token", data=self.refreshing(token)))

    async def revoke(self, token: str) -> httpx2.Response:
        """End the connection that a token belongs to."""
        form = {"token": token, "client_id": self.id}
        return await self.send("POST", "/revoke", data=form)

    async def call(
        self, tool: str = "list_boxes", token: str | None = None, **arguments: Any
    ) -> httpx2.Response:
        """Call a tool with an access token, the latest unless told otherwise."""
        headers = {
            "Accept": "application/json",
            "MCP-Protocol-Version": REVISION,
            "Authorization": f"Bearer {self.access if token is None else token}",
        }
        params = {"name": tool, "arguments": arguments}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        return await self.send("POST", "/mcp", json=body, headers=headers)

    async def sign_in(self) -> httpx2.Response:
        """Have the owner open the list of connected clients."""
        return await self._sent("/connections", {"email": self.email, "password": self.password})

    async def press(self, page: httpx2.Response, text: str) -> httpx2.Response:
        """Have the owner press the one button of a list that says so."""
        (action,) = [value for shown, value in buttons(page) if shown == text]
        return await self._sent("/connections", {"action": action})

    async def _sent(self, path: str, form: dict[str, str]) -> httpx2.Response:
        page = await self.send(
            "POST", path, data={"ui_locales": "en", **form}, headers={"Origin": self.issuer}
        )
        self.given["action"] += [value for _, value in buttons(page)]
        return page

    def _taken(self, answer: httpx2.Response) -> httpx2.Response:
        if answer.status_code == 200:
            told = answer.json()
            self.access, self.refresh_token = told["access_token"], told["refresh_token"]
            self.given["access"].append(self.access)
            self.given["refresh"].append(self.refresh_token)
        return answer


def code_of(answer: httpx2.Response) -> str | None:
    """Return the code of a failed call; None of one that succeeded."""
    assert answer.status_code == 200, answer.text
    result = answer.json()["result"]
    return result["_meta"]["cz.oig-cloud-mcp/error"]["code"] if result.get("isError") else None


def result_of(answer: httpx2.Response) -> dict[str, Any]:
    """Return what a call has told that succeeded."""
    assert code_of(answer) is None, answer.text
    told: dict[str, Any] = answer.json()["result"]["structuredContent"]
    return told


def error_of(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and error of a refusal at /token."""
    return answer.status_code, answer.json()["error"]


def challenged(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and error of a refused call."""
    told = answer.headers.get("www-authenticate", "")
    found = re.search(r'error="([a-z_]+)"', told)
    return answer.status_code, found[1] if found else ""
