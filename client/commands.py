"""What the client does, the same from the command line and from the shell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .address import is_here, shown
from .arguments import from_words, value_of
from .asking import Asker
from .catalogue import Catalogue, Parameter, Result, Server, Tool
from .failures import Failure, NotMcp, ToolFailure, UsageFailure
from .output import Output

if TYPE_CHECKING:
    from .api import Endpoint

CHECK_AUTH = "check_auth"


class Session:
    """One run of the client: whom to ask, where to print, what is known of the server.

    Attributes:
        url: The server's address as it may be shown.
        known: What the server offered when it was last asked.
        problem: Why it could not be asked last time, in one word; empty when it could.
    """

    def __init__(self, url: str, timeout: float, output: Output, asker: Asker) -> None:
        self.url = shown(url)
        self._url = url
        self.output = output
        self.asker = asker
        self.known: Catalogue | None = None
        self.problem = ""
        self._timeout = timeout
        self._endpoint: Endpoint | None = None

    @property
    def place(self) -> str:
        """Host and port of the server."""
        return urlsplit(self.url).netloc

    def look(self) -> Catalogue:
        """Ask the server what it offers."""
        with self.output.waiting(f"Asking {self.place} ..."):
            try:
                self.known = self._server().catalogue()
            except Failure as failure:
                self.problem = failure.kind
                raise
        self.problem = ""
        server = self.known.server
        self.output.detail(f"{_named(server)}, protocol {server.protocol}, at {self.url}")
        return self.known

    def ask(self, tool: Tool, arguments: Mapping[str, Any]) -> Result:
        """Call a tool.

        Raises:
            ToolFailure: The tool answered with an error.
            Failure: The server could not be asked.
        """
        if any(item.secret and item.name in arguments for item in tool.parameters):
            self._warn_in_the_clear()
        with self.output.waiting(f"{tool.name}: waiting for {self.place} ..."):
            try:
                result = self._server().call(tool.name, arguments)
            except Failure as failure:
                self.problem = "" if isinstance(failure, ToolFailure) else failure.kind
                raise
        self.problem = ""
        if result.is_error:
            raise ToolFailure(result.text or "The tool failed and did not say why.")
        return result

    def _warn_in_the_clear(self) -> None:
        if self._url.startswith("http:") and not is_here(self._url):
            self.output.note(
                f"Warning: http:// sends the password unencrypted to {self.place}; "
                "use https:// outside a network you trust."
            )

    def _server(self) -> Endpoint:
        if self._endpoint is None:
            from .api import Endpoint  # noqa: PLC0415 - loads the SDK: the slow part of a start

            self._endpoint = Endpoint(self._url, timeout=self._timeout, tell=self.output.detail)
        return self._endpoint


def _named(server: Server) -> str:
    return f"{server.name or 'the server'} {server.version}".rstrip()


def tools(session: Session) -> None:
    """List what the server offers."""
    catalogue = session.look()
    server = catalogue.server
    session.output.result(
        {
            "server": {"name": server.name, "version": server.version, "protocol": server.protocol},
            "tools": [_as_json(tool) for tool in catalogue.tools],
        },
        lambda framed: _views().tools_table(catalogue, framed=framed),
    )


def describe(session: Session, name: str) -> None:
    """Show one tool."""
    tool = session.look().tool(name)
    session.output.result(_as_json(tool), lambda framed: _views().tool_page(tool, framed=framed))


def call(session: Session, name: str, words: tuple[str, ...]) -> None:
    """Call a tool with `key=value` words, asking for what is missing."""
    tool = session.look().tool(name)
    arguments = from_words(tool, words)
    result = session.ask(tool, _completed(session.asker, tool, arguments))
    session.output.result(
        {"tool": name, "structured_content": result.structured, "content": list(result.content)},
        lambda framed: _views().result_view(result, framed=framed),
    )


def check_auth(session: Session, email: str | None) -> None:
    """Check a login at OIG Cloud."""
    if email is None and not session.asker.prompts:
        raise UsageFailure("There is no terminal to ask for the e-mail at: give --email.")
    catalogue = session.look()
    if all(tool.name != CHECK_AUTH for tool in catalogue.tools):
        raise NotMcp(
            f"{session.url} is an MCP server ({_named(catalogue.server)}), but without the tool "
            "check_auth: it is another one than OIG Cloud's. Check --url or OIG_MCP_URL.",
            kind="other_server",
        )
    given = {} if email is None else {"email": email}
    tool = catalogue.tool(CHECK_AUTH)
    result = session.ask(tool, _completed(session.asker, tool, given))
    values = result.structured
    if not isinstance(values, Mapping):
        raise ToolFailure(
            "check_auth succeeded, but not with the fields this oig-client knows. Update "
            "oig-client or the server.",
            kind="bad_result",
        )
    now = datetime.now(UTC)
    session.output.result(
        values, lambda framed: _views().auth_panel(values, now=now, framed=framed)
    )


def _completed(asker: Asker, tool: Tool, given: Mapping[str, Any]) -> dict[str, Any]:
    arguments = dict(given)
    missing = [item for item in tool.parameters if item.name not in arguments]
    absent = [item.name for item in missing if item.required and not item.secret]
    if absent and not asker.prompts:
        raise UsageFailure(
            f"{tool.name} needs {' and '.join(absent)}: give {absent[0]}=... "
            f"`describe {tool.name}` says more.",
            kind="missing_parameter",
        )
    for item in missing:
        if item.secret:
            secret = asker.secret(item.name, _label(item), optional=not item.required)
            if secret is not None:
                arguments[item.name] = value_of(item, secret)
        elif item.required:
            arguments[item.name] = _asked(asker, item)
    return arguments


def _asked(asker: Asker, item: Parameter) -> Any:
    while True:
        try:
            if text := asker.value(_label(item)):
                return value_of(item, text)
            asker.say("A value is needed; Ctrl-C stops.")
        except UsageFailure as failure:
            if failure.kind == "no_answer":
                raise
            asker.say(failure.message)


def _label(item: Parameter) -> str:
    notes = [] if item.type_name == "string" else [item.type_name]
    if item.secret:
        notes.append("not shown")
    if not item.required:
        notes.append("Enter leaves it out")
    return f"{item.name} ({', '.join(notes)})" if notes else item.name


def _as_json(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "outputSchema": tool.output_schema,
        "annotations": dict(tool.annotations),
    }


def _views() -> Any:
    from . import views  # noqa: PLC0415 - rich is not needed for JSON

    return views
