"""A stand-in for the API of a model, which asks for the tool that it is told to, once.

Claude Code runs a whole conversation with it: it needs an account for the model, and nothing else.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any


class Model:
    """What one conversation asks for, and what it has seen.

    Args:
        tool: The tool to be called, as it is offered; None asks for none.
        arguments: Its arguments.

    Attributes:
        offered: The tools that the client offered, by their names.
        result: The tool's result, as the client passes it on; None until it has.
    """

    def __init__(self, tool: str | None, arguments: dict[str, Any]) -> None:
        self._tool = tool
        self._arguments = arguments
        self.offered: dict[str, dict[str, Any]] = {}
        self.result: dict[str, Any] | None = None

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Serve, and give the address for ANTHROPIC_BASE_URL."""
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not self.path.startswith("/v1/messages?") and self.path != "/v1/messages":
                    self.send_error(404)
                    return
                events = model.answer(json.loads(body))
                said = "".join(
                    f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events
                )
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                self.wfile.write(said.encode())

            def log_message(self, *_: object) -> None: ...

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()

    def answer(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the events that answer a request of the client: a call, or the end."""
        offered = {one["name"]: one for one in request.get("tools", [])}
        self.offered |= offered
        blocks = [
            block
            for message in request["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
        ]
        for block in blocks:
            if block["type"] == "tool_result":
                self.result = block
        # The client asks for other things beside the conversation, such as a title for it.
        calls = self._tool in offered and self.result is None
        called = {"type": "tool_use", "id": "toolu_1", "name": self._tool, "input": {}}
        said = json.dumps(self._arguments)
        block, delta = (
            (called, {"type": "input_json_delta", "partial_json": said})
            if calls
            else ({"type": "text", "text": ""}, {"type": "text_delta", "text": "Done."})
        )
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": request["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        end = {"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None}
        return [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ]
