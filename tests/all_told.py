"""`python -m tests.all_told FOLDER`: all output at some moments, as one JSON object.

The moments are those of a simulated clock, so that nothing in the output but ids, tokens and
sessions depends on when it runs, and nothing at all on the zone of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cachectl.__main__ import main as cachectl
from client import views as client_views
from client.battery import energy, live, notices, past, status
from client.control import views as control_views
from client.options import parse
from server.control.entries import Entries
from server.readings.clock import local_day
from server.tools.auth import check_auth_tool, log_out_tool
from server.tools.control import control_tools
from server.tools.reading import reading_tools
from server.tools.status import status_tool
from server.upstream.liveness import Liveness

from .control_house import House
from .control_worker import named
from .drawing import drawn
from .portal_simulator import DEMO_BOX

MOMENTS = {
    "winter": "2026-01-15T12:00:00Z",
    "summer": "2026-06-17T18:34:45Z",
    "before the skipped hour": "2026-03-29T00:58:10Z",
    "after the skipped hour": "2026-03-29T04:00:00Z",
    "02:30 for the first time": "2026-10-25T00:30:00Z",
    "02:30 for the second time": "2026-10-25T01:30:00Z",
    "new year in Prague only": "2026-12-31T23:30:00Z",
}

SINCE = ("2026-03-29", "2026-03-29T02:30", "2026-10-25T02:30", "2026-06-17T18:34Z")
"""As people type them for oig-client."""

CONTEXT: Any = SimpleNamespace(
    request_context=SimpleNamespace(request=None, session=SimpleNamespace(client_params=None))
)


async def results(house: House) -> dict[str, Any]:
    """Call every tool, some of them in vain; give their results whole."""
    access, upstream = house.access, house.upstream

    def now() -> datetime:
        return datetime.fromtimestamp(house.clock(), UTC)

    tools = {
        tool.name: tool
        for tool in (
            check_auth_tool(Liveness(access, upstream, idle=600), now=now),
            log_out_tool(access),
            *reading_tools(access, upstream, now=now),
            status_tool(access, upstream, Entries(house.journal), now=now),
            *control_tools(house.control),
        )
    }
    found: dict[str, Any] = {}

    async def call(name: str, label: str = "", **arguments: Any) -> dict[str, Any]:
        result = await tools[name].run(arguments, CONTEXT)
        found[f"{name} {label}".strip()] = result.model_dump(mode="json")
        return result.structured_content or {}

    login = await call("check_auth", email="demo@example.com", password="demo")
    session = login["session"]
    await house.admin("boxes", box=DEMO_BOX, bypass="automatic")
    house.later(60)
    today = local_day(datetime.fromtimestamp(house.clock(), UTC))
    days = {"first_day": str(today - timedelta(days=1)), "last_day": str(today)}
    await call("list_boxes", session=session)
    await call("get_live_data", session=session)
    for series in ("solar", "battery", "grid", "load"):
        await call("get_history", series, series=series, **days, points=300, session=session)
    await call("get_energy", **days, per="hour", session=session)
    await call("get_notifications", session=session)
    await call("get_status", session=session)
    await call("get_notifications", "since", since=f"{today}T00:00", session=session)
    house.later(31)
    planned = await call("plan_change", mode="Home 2", session=session)
    await call("apply_change", **named(planned), session=session)
    await call("apply_change", "again", **named(planned), session=session)
    await call("get_status", "meanwhile", session=session)
    await call("plan_change", "meanwhile", mode="Home 3", session=session)
    await call("get_change", "at once", change_id=planned["change_id"], session=session)
    house.later(95)
    await call("get_change", change_id=planned["change_id"], session=session)
    await call("list_changes", session=session)
    late = await call("plan_change", "expired", mode="Home 3", session=session)
    house.later(301)
    await call("apply_change", "expired", **named(late), session=session)
    await house.admin("boxes", box=DEMO_BOX, offline=True)
    house.later(3600)
    for name in ("list_boxes", "get_live_data", "get_notifications", "get_status"):
        await call(name, "offline", session=session)
    await call("get_history", "offline", series="load", **days, session=session)
    await call("plan_change", "offline", mode="Home 3", session=session)
    future = {"first_day": days["last_day"], "last_day": "2100-01-01"}
    await call("get_history", "future", series="load", **future, session=session)
    await house.admin("faults", kind="drop", endpoint="live")
    house.later(31)
    await call("get_status", "down", session=session)
    await call("log_out", session=session)
    return found


def shown(told: dict[str, Any], now: datetime) -> dict[str, str]:
    """Draw what oig-client shows of results."""
    result = {name: each["structured_content"] for name, each in told.items()}
    asked = energy.Asked(now.date() - timedelta(days=1), now.date(), "day")
    views: dict[str, Any] = {
        "check-auth": client_views.auth_panel(result["check_auth"], now=now, framed=True),
        "live": live.dashboard(result["get_live_data offline"], framed=True),
        "history": past.page(result["get_history grid"], None, width=80, framed=False),
        "energy": energy.page(result["get_energy"], asked, framed=False),
        "status": status.page(result["get_status down"], framed=True),
        "notifications": notices.page(result["get_notifications"], framed=True),
        "plan": control_views.plan_page(result["plan_change"], now=now, framed=True),
        "change": control_views.report_page(result["get_change"], framed=True),
        "changes": control_views.changes_table(result["list_changes"], framed=True),
    }
    return {name: drawn(view) for name, view in views.items()} | {
        "table": past.as_csv(result["get_history solar"])
    }


def journal(*arguments: str) -> str:
    """Return what cachectl says of the journal."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert cachectl(["journal", *arguments]) == 0
    return printed.getvalue()


async def told_at(folder: Path, moment: datetime) -> dict[str, Any]:
    """Tell all at one moment."""
    house = House(folder, at=moment.timestamp())
    try:
        told = await results(house)
    finally:
        await house.aclose()
    os.environ["OIG_JOURNAL"] = str(folder / "journal.db")
    return {
        "tools": told,
        "client": shown(told, moment),
        "journal": {"text": journal(), "json": json.loads(journal("--json"))},
    }


async def main(folder: Path) -> None:
    """Tell all; `folder` has a folder for each moment."""
    told = {
        name: await told_at(folder / name, datetime.fromisoformat(text))
        for name, text in MOMENTS.items()
    }
    since = {text: str(parse(["notifications", "--since", text]).since) for text in SINCE}
    json.dump({"told": told, "since": since}, sys.stdout)


if __name__ == "__main__":
    for name in MOMENTS:
        Path(sys.argv[1], name).mkdir()
    asyncio.run(main(Path(sys.argv[1])))
