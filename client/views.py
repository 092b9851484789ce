"""From values to renderables. Pure: nothing here prints, asks the clock or the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .catalogue import Catalogue, Parameter, Result, Tool
from .cross_references import result_fields
from .failures import Failure
from .local_time import parsed, written
from .readable import clean, one_line

SHORT = 48
"""Characters of JSON that are read best in one line."""

STATUS_WORDS = {
    "new_session_created": "new_session_created: this call logged in",
    "session_from_cache": "session_from_cache: this call did not log in",
}


def failure_view(failure: Failure, *, framed: bool) -> RenderableType:
    """Show a failure in red, with whose it is as the title."""
    message = clean(failure.message)
    if not framed:
        return Text(f"error: {message}")
    return _panel(Text(message), failure.title, "red")


def tools_table(catalogue: Catalogue, *, framed: bool) -> RenderableType:
    """List tools, one line of description each."""
    if not catalogue.tools:
        return Text("The server offers no tools.")
    table = _table(framed)
    table.add_column("Tool", style="bold cyan", overflow="fold")
    table.add_column("Parameters", overflow="fold")
    table.add_column("What it does", overflow="fold", ratio=1)
    for tool in catalogue.tools:
        names = [item.name if item.required else f"[{item.name}]" for item in tool.parameters]
        table.add_row(one_line(tool.name), one_line(" ".join(names)), _first_sentence(tool))
    return table


def _first_sentence(tool: Tool) -> str:
    if tool.title and tool.title != tool.name:
        return one_line(tool.title)
    paragraph = clean(tool.description).strip().partition("\n\n")[0]
    return " ".join(paragraph.split()).partition(". ")[0]


def tool_page(tool: Tool, earlier: Sequence[Tool] = (), *, framed: bool) -> RenderableType:
    """Show everything the server says about one tool.

    Args:
        tool: The tool.
        earlier: The tools before it in the server's list.
        framed: Draw frames.
    """
    parts: list[RenderableType] = [Text(one_line(tool.name), style="bold cyan")]
    if tool.description:
        # Plain, though it may be Markdown: a link must not hide where it leads.
        parts.append(Padding(Text(clean(tool.description).strip()), (0, 0, 1, 0)))
    parts.append(_heading("Parameters"))
    parts.append(_fields(tool.parameters, framed, "It takes none.", needed=True))
    parts.append(_heading("Result"))
    undescribed = "An object; its fields are not listed."
    if tool.output_schema is None:
        undescribed = "Text."
    elif isinstance(said := tool.output_schema.get("description"), str):
        undescribed = clean(said)
    parts.append(_fields(result_fields(tool, earlier), framed, undescribed, needed=False))
    if words := _in_words(tool.annotations):
        parts.append(_heading("Good to know"))
        parts += [Text(f"- {word}") for word in words]
    return Group(*parts)


def _fields(fields: list[Parameter], framed: bool, none: str, *, needed: bool) -> RenderableType:
    if not fields:
        return Padding(Text(none), (0, 0, 1, 0))
    table = _table(framed)
    table.add_column("Name", style="bold", overflow="fold")
    table.add_column("Type", overflow="fold")
    if needed:
        table.add_column("Required")
    table.add_column("Description", overflow="fold", ratio=1)
    for item in fields:
        limits = ", ".join(word for word in item.constraints if word != "format password")
        if item.secret and needed:
            limits = ", ".join(filter(None, [limits, "secret: asked for, never typed in the line"]))
        lines = [part for part in (item.description, f"({limits})" if limits else "") if part]
        row = [item.name, item.type_name, *(["yes" if item.required else "no"] if needed else [])]
        table.add_row(*map(one_line, row), clean("\n".join(lines)))
    return Padding(table, (0, 0, 1, 0))


def _in_words(annotations: Mapping[str, Any]) -> list[str]:
    said = {
        ("readOnlyHint", True): "It only reads and changes nothing.",
        ("readOnlyHint", False): "It may change something.",
        ("destructiveHint", True): "It may overwrite or delete what was there before.",
        ("destructiveHint", False): "It destroys nothing that was there before.",
        ("idempotentHint", True): "Repeating the same call does no more than calling once.",
        ("idempotentHint", False): "Each call counts: repeating it does it again.",
        ("openWorldHint", True): "It talks to a service outside the server.",
        ("openWorldHint", False): "It stays inside the server.",
    }
    return [text for (hint, value), text in said.items() if annotations.get(hint) is value]


def result_view(result: Result, *, framed: bool) -> RenderableType:
    """Show what a tool answered: fields as a table, everything else as text."""
    value = result.structured
    if isinstance(value, Mapping) and set(value) == {"result"}:
        value = value["result"]  # how servers wrap what is no object
    if isinstance(value, Mapping) and value:
        return _key_values(value, framed)
    if value is not None:
        return Text(clean(value) if isinstance(value, str) else _pretty(value))
    if not result.content:
        return Text("Done; the tool returned nothing.")
    return Group(*(_block(block) for block in result.content))


def _key_values(values: Mapping[str, Any], framed: bool) -> RenderableType:
    table = _table(framed, header=False)
    table.add_column(style="bold", overflow="fold")
    table.add_column(overflow="fold")
    for key, value in values.items():
        table.add_row(one_line(key), clean(value) if isinstance(value, str) else _pretty(value))
    return table


def _pretty(value: Any) -> str:
    if value is None:
        return "-"
    short = json.dumps(value, ensure_ascii=False)
    return clean(short if len(short) <= SHORT else json.dumps(value, ensure_ascii=False, indent=2))


def _block(block: Mapping[str, Any]) -> RenderableType:
    match block:
        case {"type": "text", "text": text}:
            return Text(clean(text))
        case {"type": "image" | "audio" as kind, "mimeType": mime, "data": data}:
            return Text(f"({kind}, {one_line(mime)}, {len(data) * 3 // 4} bytes; see --json)")
        case {"type": "resource_link", "uri": uri}:
            return Text(f"{one_line(block.get('name', 'resource'))}: {one_line(uri)}")
        case {"type": "resource", "resource": {"text": text}}:
            return Text(clean(text))
    return Text(_pretty(block))


def auth_panel(values: Mapping[str, Any], *, now: datetime, framed: bool) -> RenderableType:
    """Show a login, or the cached session that stands for it.

    Args:
        values: The structured result of `check_auth`.
        now: The current time, with a zone.
        framed: Draw a frame around it.
    """
    status = str(values.get("cache_status", ""))
    rows = {
        "E-mail": values.get("email"),
        "Password": _count(values.get("password_length")),
        "Session": STATUS_WORDS.get(status, status),
        "Session id": values.get("session_id_preview"),
        "Warning": _sentences(values.get("warnings")),
        "Valid until": _until(values.get("expires_at"), now),
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in rows.items():
        if value:
            table.add_row(label, clean(value))
    doubtful = bool(values.get("warnings"))
    title = "Login confirmed by OIG Cloud"
    if status == "session_from_cache":
        title = "Cached session, not confirmed now" if doubtful else "Cached session in use"
    if not framed:
        return Group(Text(title), table)
    return _panel(table, title, "yellow" if doubtful else "green")


def stored_view(values: Mapping[str, Any], *, framed: bool) -> RenderableType:
    """Show a login that is stored from now on."""
    replaced = f" It replaces that of {one_line(values['replaced'])}." if values["replaced"] else ""
    text = Text(
        f"{one_line(values['email'])} at {one_line(values['url'])}.{replaced}\n"
        "Later commands to this server need no password; `oig-client logout` removes it."
    )
    title = f"Login kept in the keyring ({one_line(values['keyring'])})"
    return _panel(text, title, "green") if framed else Group(Text(title), text)


def _sentences(texts: object) -> str:
    return " ".join(map(str, texts)) if isinstance(texts, list) else ""


def _count(length: object) -> str:
    return f"{length} characters" if isinstance(length, int) else ""


def _until(moment: object, now: datetime) -> str:
    when = parsed(moment)
    if when is None:
        return "" if moment is None else str(moment)
    return f"{written(when)} ({duration((when - now).total_seconds())})"


def duration(seconds: float) -> str:
    """Say how far away a moment is."""
    if seconds <= 0:
        return "already over"
    minutes = round(seconds / 60)
    if minutes < 1:
        return "in less than a minute"
    days, minutes = divmod(minutes, 24 * 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    return "in " + " ".join(f"{count} {unit}" for count, unit in parts if count)


def _heading(text: str) -> Text:
    return Text(text, style="bold")


def _panel(body: RenderableType, title: str, colour: str) -> Panel:
    # As Text: a string would be read as markup.
    return Panel(body, title=Text(title), title_align="left", border_style=colour, padding=(0, 1))


def _table(framed: bool, *, header: bool = True) -> Table:
    return Table(
        box=box.ROUNDED if framed else None,
        show_header=header,
        header_style="bold",
        border_style="dim",
        pad_edge=framed,
        padding=(0, 1) if framed else (0, 2, 0, 0),
    )
