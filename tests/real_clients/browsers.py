"""Chromium on the pages of the browser login, with scripts switched off as they need none."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from server.oauth.clients import describe
from server.oauth.mode import Mode
from tests.login_house import APP, SITE, LoginHouse, query
from tests.login_house import asked as asked_usually
from tests.system import free_port
from tests.waiting import wait_until

from .environments import prepared

CHROMIUM = shutil.which("chromium")

PHONE, DESK, ZOOMED = (
    {"width": 360, "height": 740},
    {"width": 1100, "height": 800},
    # A window of 1280 x 1024 at 400 % (WCAG 2.2, 1.4.10).
    {"width": 320, "height": 256},
)

CALLBACK = b"""<!doctype html><title>client</title><p>The client has its answer.
<script>window.opener && window.opener.postMessage(location.search, "*")</script>"""

FRAMING = """<!doctype html><title>frame</title><iframe src="{url}"></iframe>"""

OPENING = """<!doctype html><title>opener</title><button onclick="
  onmessage = (event) => document.title = 'told ' + event.data;
  window.one = window.open('{url}', 'login', 'popup')">Log in</button>"""


@dataclass
class WebClient:
    """A client's own web server on this machine: it takes answers, and shows pages of its own.

    Attributes:
        port: Where it is.
        answers: The addresses at which answers came.
        pages: What else it shows, by path.
    """

    port: int
    answers: list[str] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)

    @property
    def callback(self) -> str:
        """Where it takes answers."""
        return f"http://localhost:{self.port}/callback"

    def shows(self, path: str, page: str) -> str:
        """Have it show a page, and return its address."""
        self.pages[path] = page
        return f"http://localhost:{self.port}{path}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, client: WebClient, *arguments: Any) -> None:
        self.client = client
        super().__init__(*arguments)

    def do_GET(self) -> None:
        if self.path.startswith("/callback"):
            self.client.answers.append(self.path)
        body = self.client.pages.get(self.path, "").encode() or CALLBACK
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def web_client() -> Iterator[WebClient]:
    """Run a client's web server."""
    client = WebClient(0)
    handler = functools.partial(_Handler, client)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        client.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield client
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Pages:
    """Running pages.

    Attributes:
        login: What stands behind them; it runs in another thread.
        issuer: Their origin.
    """

    login: LoginHouse
    issuer: str

    def url(self, redirect_uri: str, name: str = "Claude Code", **changes: str) -> str:
        """Give the address of a login page."""
        client_id = describe(name, [SITE, "http://localhost/callback", APP])
        resource = f"{self.issuer}/mcp"
        parameters = asked_usually(
            client_id=client_id, redirect_uri=redirect_uri, resource=resource, **changes
        )
        return f"{self.issuer}/authorize?{query(**parameters)}"


@contextlib.contextmanager
def running_pages(folder: Path) -> Iterator[Pages]:
    """Serve the pages over HTTP, from a thread."""
    port = free_port()
    issuer = f"http://localhost:{port}"
    login = LoginHouse(folder, mode=Mode("soft", issuer))
    config = uvicorn.Config(login.app(), "127.0.0.1", port, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until("the pages are served", lambda: server.started)
        yield Pages(login, issuer)
    finally:
        server.should_exit = True
        thread.join()


class Watched:
    """A page of Chromium, and what Chromium had to say about it.

    Args:
        page: Playwright's.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.said: list[str] = []
        self.going: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        session = page.context.new_cdp_session(page)
        session.send("Page.enable")
        session.on("Page.frameRequestedNavigation", lambda event: self.going.append(event["url"]))

    @property
    def violations(self) -> list[str]:
        """Where the page's own policy held something back."""
        return [text for text in self.said if "Content Security Policy" in text]

    def fill_in(self, email: str, password: str) -> None:
        """Type into the form."""
        self.page.fill("#email", email)
        self.page.fill("#password", password)

    def focused(self) -> str:
        """Return id, value or address of the element that has the focus."""
        found = self.page.locator(":focus")
        if found.count() == 0:
            return ""
        names = ("id", "value", "href")
        return next(filter(None, (found.get_attribute(name) for name in names)), "")


def serious(page: Any) -> list[str]:
    """Return what axe finds in a page that keeps people from using it.

    Args:
        page: Playwright's, with scripts: axe is one.
    """
    axe = prepared("axe.json").folder / "node_modules" / "axe-core" / "axe.min.js"
    page.evaluate(axe.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        json.dumps([one["id"], one["help"], [node["html"] for node in one["nodes"]]])
        for one in found["violations"]
        if one["impact"] in {"serious", "critical", "moderate"}
    ]
