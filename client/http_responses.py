"""Each HTTP response as it comes: bounded, and judged before the SDK sees it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from time import monotonic
from typing import Any, NoReturn

import httpx2

from .address import shown
from .answers import Answer, judge
from .failures import Failure, NotMcp

MAX_BYTES = 16 * 1024 * 1024
"""Bytes of one HTTP answer; the longest of this server has a few hundred thousand."""
JSON = "application/json"


class Witness:
    """Sees each response before the SDK, and records the verdict on it.

    Args:
        tell: Takes one line per exchange, free of anything secret.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.failure: Failure | None = None
        self._tell = tell
        self._asked_at = monotonic()

    async def asked(self, _request: httpx2.Request) -> None:
        """Note when a request goes out."""
        self._asked_at = monotonic()

    async def answered(self, response: httpx2.Response) -> None:
        """Judge a response, and raise what is to be said of it where it cannot be used."""
        request = response.request
        response.stream = _Bounded(response.stream, partial(self._refuse, request))
        if request.method != "POST":
            return  # streams of older protocols are optional, their refusal means nothing
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            self._refuse(request, "compressed, though it was asked not to", "compressed")
        kind = response.headers.get("content-type", "")
        method = str(json.loads(request.content).get("method", "response"))
        took = (monotonic() - self._asked_at) * 1000
        self._tell(f"{method} -> {response.status_code} {kind} ({took:.0f} ms)")
        # Events go on, and of anything but JSON the headers say enough.
        body = b""
        if kind.partition(";")[0].strip().lower() == JSON:
            body = await response.aread()
        verdict = judge(
            Answer(
                url=shown(str(request.url)),
                method=method,
                status=response.status_code,
                content_type=kind,
                body=body,
                challenge=response.headers.get("www-authenticate", ""),
                with_login="authorization" in request.headers,
                location=response.headers.get("location", ""),
            )
        )
        if verdict is not None:
            self.failure = verdict
            raise verdict

    def _refuse(self, request: httpx2.Request, what: str, kind: str) -> NoReturn:
        self.failure = NotMcp(
            f"{shown(str(request.url))} answered {what}. No answer of this MCP server is like "
            "that; check --url or OIG_MCP_URL, and proxies on the way.",
            kind=kind,
        )
        raise self.failure


class _Bounded(httpx2.AsyncByteStream):
    """An answer's bytes, up to some length.

    Args:
        stream: The bytes.
        refuse: Raises what is to be said of a longer answer.
    """

    def __init__(self, stream: Any, refuse: Callable[[str, str], NoReturn]) -> None:
        self._stream = stream
        self._refuse = refuse

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_BYTES
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                self._refuse(f"more than {MAX_BYTES // 1024 // 1024} MiB", "too_long")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
