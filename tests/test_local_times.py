"""Every time that is shown is Prague time with its offset, on any machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from client.local_time import typed

from .all_told import MOMENTS, SINCE
from .fleet import ROOT, running_fleet
from .listed_tools import listed_tools
from .portal_simulator import DEMO_BOX

PRAGUE = ZoneInfo("Europe/Prague")
ZONES = ("UTC", "Pacific/Auckland", "America/Los_Angeles")

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[+-]\d\d:\d\d)")
REMAINS = re.compile(
    r"\d{1,2}:\d\d|\d{4}-\d\d-\d\d[T ]\d|\b(?:UTC|GMT|CES?T)\b|your time|local time", re.IGNORECASE
)
"""What is left of a time that is written in another way."""
AXIS = re.compile(r"(?<= )\d\d:\d\d\+0[12]:00\b")
"""A time under the curve of a day, or beside the hours of one, which stands above it."""
HOUR = re.compile(r"^ \d\d:00[+-]0[12]:00 ", re.MULTILINE)
"""The same beside the energy of an hour."""
SECONDS = range(1_400_000_000, 2_200_000_000)
"""Numbers that may be a count of seconds since 1970, from 2014 to 2039."""
RANDOM = {"change_id", "id", "plan_token", "session", "session_id_preview", "undoes"}


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in a value, and each number as one, with the names that lead to it."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from strings(inner, f"{path}.{name}")
        case list():
            for inner in value:
                yield from strings(inner, path)
        case str() | int() | float():
            yield path, str(value)


def wrong_times(value: Any) -> list[str]:
    """Return what looks like a time but is not Prague time with its offset."""
    wrong = []
    for path, text in strings(value):
        times = TIME.findall(text)
        wrong += [f"{path}: {time}" for time in times if not is_pragues(time)]
        rest = AXIS.sub("", TIME.sub("", text))
        wrong += [f"{path}: {text}" for _ in REMAINS.findall(rest)]
        if re.fullmatch(r"\d+(\.\d+)?", text) and int(float(text)) in SECONDS:
            wrong += [f"{path}: {text}"] if "box" not in path and ".id" not in path else []
    return wrong


def is_pragues(text: str) -> bool:
    moment = datetime.fromisoformat(text)
    return moment.utcoffset() == moment.astimezone(PRAGUE).utcoffset()


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, Any]:
    """All output, by the zone of the machine."""
    running = {
        zone: subprocess.Popen(
            [
                sys.executable,
                "-W",
                "error",
                "-m",
                "tests.all_told",
                tmp_path_factory.mktemp("told"),
            ],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "TZ": zone},
            stdout=subprocess.PIPE,
        )
        for zone in ZONES
    }
    outputs = {zone: process.communicate(timeout=120)[0] for zone, process in running.items()}
    assert [process.returncode for process in running.values()] == [0] * len(ZONES)
    return {zone: json.loads(output) for zone, output in outputs.items()}


def masked(value: Any, names: dict[str, str]) -> str:
    """Return a value as JSON in which what is random is numbered in the order it comes."""
    text = json.dumps(value)
    for path, found in strings(value):
        if path.rpartition(".")[2] in RANDOM and found != DEMO_BOX:
            names.setdefault(found, f"random-{len(names)}")
    for found, name in names.items():
        text = text.replace(found, name)
    return text


@pytest.mark.parametrize("moment", MOMENTS)
def test_every_time_in_the_result_of_a_tool_is_prague_time_with_its_offset(told, moment):
    tools = told["UTC"]["told"][moment]["tools"]
    assert {name.split()[0] for name in tools} == set(listed_tools())
    assert wrong_times(tools) == []
    # The text of a result says the same as its structure.
    for result in tools.values():
        if not result["is_error"]:
            assert json.loads(result["content"][0]["text"]) == result["structured_content"]


def test_the_test_run_covers_every_time_field_and_a_warning_with_a_time(told):
    tools = told["UTC"]["told"]["summer"]["tools"]
    holding = {
        path.removeprefix(".structured_content.")
        for result in tools.values()
        for path, text in strings(result)
        if TIME.search(text) and path.startswith(".structured_content")
    }
    assert holding == {
        "expires_at",
        "now",
        "fetched_at",
        "boxes.measured_at",
        "measured_at",
        "times",
        "warnings",
        "rows.day",
        "lacking",
        "notifications.at",
        "bypasses.measured_at",
        "bypasses.bypass.automatic.since",
        "bypasses.bypass.manual.since",
        "bypass.automatic.since",
        "bypass.manual.since",
        "since",
        "further",
        "last_known.fetched_at",
        "last_known.measured_at",
        "notifications_at",
        "observed_at",
        "requested_at",
        "changes.requested_at",
        "shown_at",
        "changes.shown_at",
        "message",
        "changes.message",
    }


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("winter", "2026-01-15T13:01:00+01:00"),
        ("summer", "2026-06-17T20:35:45+02:00"),
        ("before the skipped hour", "2026-03-29T01:59:10+01:00"),
        ("after the skipped hour", "2026-03-29T06:01:00+02:00"),
        ("02:30 for the first time", "2026-10-25T02:31:00+02:00"),
        ("02:30 for the second time", "2026-10-25T02:31:00+01:00"),
        ("new year in Prague only", "2027-01-01T00:31:00+01:00"),
    ],
)
def test_the_same_moment_is_shown_in_every_season_and_night_as_clocks_do(told, moment, shown):
    found = told["UTC"]["told"][moment]["tools"]["list_boxes"]["structured_content"]
    assert found["fetched_at"] == shown


@pytest.mark.parametrize("moment", ["after the skipped hour", "02:30 for the second time"])
def test_a_history_goes_over_a_clock_change_without_a_gap_or_a_time_twice(told, moment):
    found = told["UTC"]["told"][moment]["tools"]["get_history load"]["structured_content"]
    times = [datetime.fromisoformat(one) for one in found["times"]]
    assert len(set(found["times"])) == len(times)
    assert len({later - earlier for earlier, later in pairwise(times)}) == 1
    assert len({one.utcoffset() for one in times}) == 2


def test_a_plan_made_before_the_skipped_hour_ends_after_it(told):
    plan = told["UTC"]["told"]["before the skipped hour"]["tools"]["plan_change"]
    found = plan["structured_content"]
    assert found["observed_at"] == "2026-03-29T01:59:41+01:00"
    assert found["expires_at"] == "2026-03-29T03:04:41+02:00"


@pytest.mark.parametrize("moment", MOMENTS)
def test_oig_client_and_cachectl_show_the_time_of_the_box(told, moment):
    found = told["UTC"]["told"][moment]
    assert wrong_times(found["client"]) == []
    assert wrong_times(found["journal"]) == []
    for name, text in found["client"].items():
        assert TIME.search(text) or name in {"history", "energy"}, name
    assert HOUR.search(found["client"]["energy"])
    assert AXIS.search(found["client"]["history"]) or "2026-" in found["client"]["history"]
    assert TIME.search(found["journal"]["text"])
    assert TIME.fullmatch(found["journal"]["json"]["changes"][0]["at"])


@pytest.mark.parametrize("zone", ZONES[1:])
def test_nothing_depends_on_the_zone_of_the_machine(told, zone):
    assert told[zone]["since"] == told["UTC"]["since"]
    for moment in MOMENTS:
        here, there = told["UTC"]["told"][moment], told[zone]["told"][moment]
        for part in ("tools", "client", "journal"):
            assert masked(here[part], random_of(here)) == masked(there[part], random_of(there))


def random_of(told: dict[str, Any]) -> dict[str, str]:
    names: dict[str, str] = {}
    masked(told["tools"], names)
    return names


def test_a_typed_time_without_an_offset_is_in_prague_time(told):
    assert told["UTC"]["since"] == {
        "2026-03-29": "2026-03-29 00:00:00+01:00",
        "2026-03-29T02:30": "2026-03-29 01:30:00+01:00",
        "2026-10-25T02:30": "2026-10-25 02:30:00+02:00",
        "2026-06-17T18:34Z": "2026-06-17 18:34:00+00:00",
    }
    assert list(told["UTC"]["since"]) == list(SINCE)
    with pytest.raises(OverflowError):
        typed("0001-01-01")


def test_every_time_field_of_a_result_has_a_format_of_its_own():
    def plain(schema: Any, path: str) -> Iterator[str]:
        if isinstance(schema, dict):
            if schema.get("type") == "datetime" and "serialization" not in schema:
                yield path
            for name in schema.keys() - {"serialization"}:
                yield from plain(schema[name], f"{path}.{name}")
        elif isinstance(schema, list):
            for inner in schema:
                yield from plain(inner, path)

    for name, tool in listed_tools().items():
        schema = tool.fn_metadata.output_model.__pydantic_core_schema__
        # The times of get_energy are labels of rows, which are texts.
        timeless = name in {"log_out", "get_energy"}
        assert timeless or "datetime" in json.dumps(schema, default=str), name
        assert list(plain(schema, name)) == []


@pytest.fixture(scope="module")
def fleet():
    with running_fleet(1, OIG_CONTROL="on") as fleet:
        yield fleet


def test_the_programs_themselves_show_the_boxs_time(fleet, tmp_path):
    fleet.portal.set_box(DEMO_BOX, bypass="automatic")
    environment = {
        **fleet.environment,
        "TZ": "Pacific/Auckland",
        "HOME": str(tmp_path),
        "OIG_MCP_URL": fleet.url,
        "OIG_EMAIL": "demo@example.com",
        "OIG_PASSWORD": "demo",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }

    def said(*command: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=True,
            text=True,
            timeout=60,
        ).stdout

    # From yesterday on: in the first minutes after midnight today has no values yet.
    yesterday = datetime.now(PRAGUE).date() - timedelta(days=1)
    for command in (
        ("client", "check-auth"),
        ("client", "live"),
        ("client", "notifications", "--since", f"{yesterday}T00:00"),
        ("client", "history", "load", "--from", str(yesterday), "--csv", "-"),
        ("client", "call", "list_boxes"),
        ("client", "plan", "--charge-to", "80"),
    ):
        text = said(*command)
        assert TIME.search(text), (command, text)
        assert wrong_times(text) == [], command
