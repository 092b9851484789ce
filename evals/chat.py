"""A model at an address that speaks the chat-completions protocol with tool calls. Blocking."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx2

from server.errors import ConfigurationError, OigError

Message = dict[str, Any]

PATH = "/chat/completions"

TIMEOUT = 300.0
"""Seconds for one answer: a model on a machine without a graphics card takes minutes."""

MOST_BYTES = 4 * 1024 * 1024
"""Longest answer that is read."""

SHOWN = 300
"""Characters of a refusal that are shown."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class ModelFailed(OigError):
    """The address gave no answer of a model; the text says why."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model wants made.

    Attributes:
        id: Names it in what is answered.
        tool: The tool's name.
        arguments: JSON as the model wrote it, which may be none.
    """

    id: str
    tool: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said.

    Attributes:
        text: Its words; empty when it only calls.
        calls: The calls it wants made.
    """

    text: str
    calls: tuple[ToolCall, ...]

    @property
    def message(self) -> Message:
        """The same as a message of the conversation."""
        calls = [
            {
                "id": one.id,
                "type": "function",
                "function": {"name": one.tool, "arguments": one.arguments},
            }
            for one in self.calls
        ]
        return {"role": "assistant", "content": self.text or None} | (
            {"tool_calls": calls} if calls else {}
        )


class Chat:
    """Asks one model.

    Args:
        url: The address up to `/chat/completions`, such as `http://127.0.0.1:11434/v1`.
        model: Name of the model there.
        key: Goes out in the header Authorization; None for an address that needs none.

    Raises:
        ConfigurationError: The address is none, or would carry the key unencrypted over a network.
    """

    def __init__(self, url: str, model: str, key: str | None) -> None:
        try:
            parsed = httpx2.URL(url)
        except httpx2.InvalidURL:
            parsed = httpx2.URL()
        if parsed.scheme not in {"http", "https"} or not parsed.host:
            raise ConfigurationError(
                "The address of the model must begin with http:// or https://."
            )
        if key is not None and parsed.scheme == "http" and parsed.host not in LOOPBACK:
            raise ConfigurationError("The key goes to this machine or over https:// only.")
        self._url = url.rstrip("/").removesuffix(PATH) + PATH
        self._model = model
        self._http = httpx2.Client(
            headers={} if key is None else {"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def say(self, messages: Sequence[Message], tools: Sequence[Message]) -> Said:
        """Return what the model says next.

        Args:
            messages: The conversation so far.
            tools: What it may call.

        Raises:
            ModelFailed: It said nothing that can be understood.
        """
        body = {"model": self._model, "messages": list(messages), "tools": list(tools)}
        try:
            with self._http.stream("POST", self._url, json=body) as answer:
                raw = b""
                for chunk in answer.iter_bytes():
                    raw += chunk
                    if len(raw) > MOST_BYTES:
                        raise ModelFailed(f"The answer is longer than {MOST_BYTES} bytes.")
        except httpx2.HTTPError as exc:
            raise ModelFailed(f"The model could not be asked: {type(exc).__name__}.") from exc
        if answer.status_code != 200:
            text = raw[:SHOWN].decode(errors="replace")
            raise ModelFailed(f"The address answered {answer.status_code}: {text}")
        return _said(raw)


def _said(raw: bytes) -> Said:
    try:
        answered = json.loads(raw)
    except (ValueError, RecursionError):
        raise ModelFailed("The answer is not JSON.") from None
    match answered:
        case {"choices": [{"message": {**message}}, *_]}:
            text, calls = message.get("content"), message.get("tool_calls")
            if isinstance(text, str | None) and isinstance(calls, list | None):
                return Said(text or "", tuple(map(_call, calls or [])))
    raise ModelFailed("The answer is not one of the chat-completions protocol.")


def _call(raw: object) -> ToolCall:
    match raw:
        case {"id": str(name), "function": {"name": str(tool), "arguments": str(arguments)}}:
            return ToolCall(name, tool, arguments)
    raise ModelFailed("The answer holds a tool call that is not one of the protocol.")
