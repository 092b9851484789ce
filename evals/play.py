"""Plays a scenario: sets the world up, makes the calls, and notes what is so meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from server.tool_failure import KEY
from simulator.clock import moment
from simulator.prague import local

from .fields import fields
from .readers import Result
from .scenario import Call, Given, Happens, Later, Scenario, Step
from .transcript import Exchange, Played
from .virtual_time import VirtualTimeLoop
from .world import World, WorldRefused, world


def play(scenario: Scenario) -> Played:
    """Play a scenario in a world of its own."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_play(scenario))


async def _play(scenario: Scenario) -> Played:
    async with world(moment(scenario.at), scenario.settings) as here:
        played = Played()
        # The boxes begin to live now, not when they are first asked for.
        await here.truth(scenario.login.email)
        try:
            for step in scenario.steps:
                await take(here, scenario, step, played)
        except WorldRefused as exc:
            played.stopped = str(exc)
        await finish(here, scenario, played)
        return played


async def take(here: World, scenario: Scenario, step: Step, played: Played) -> None:
    """Take one step, and add its result to what was played.

    Raises:
        WorldRefused: It cannot be taken.
    """
    match step:
        case Later(seconds):
            await asyncio.sleep(seconds)
        case Happens(path, body, method):
            await here.administer(method, path, body)
        case Call():
            played.exchanges.append(await exchange(here, scenario, step, played))


async def exchange(here: World, scenario: Scenario, call: Call, played: Played) -> Exchange:
    """Make one call, and note what is so at its end."""
    arguments = {name: _given(value, played) for name, value in call.arguments.items()}
    login = call.login or (scenario.login if scenario.header else None)
    at = local(here.time.wall()).isoformat(timespec="seconds")
    answer = await here.ask(
        "tools/call",
        {"name": call.tool, "arguments": arguments},
        login,
    )
    text = "".join(part.get("text", "") for part in answer["content"])
    failed = answer.get("isError", False)
    return Exchange(
        call=Call(tool=call.tool, arguments=arguments, fails=call.fails, login=call.login),
        at=at,
        result=Result(call.tool, answer.get("structuredContent"), text if failed else ""),
        text=text,
        code=_code(answer),
        truth=await here.truth(scenario.login.email),
    )


async def finish(here: World, scenario: Scenario, played: Played) -> None:
    """Note what is so at the end, and what the portal was asked."""
    played.truth = await here.truth(scenario.login.email)
    played.writes = (await here.administer("GET", "writes"))["writes"]
    played.requests = (await here.administer("GET", "state"))["requests"]


def _given(value: object, played: Played) -> object:
    if not isinstance(value, Given):
        return value
    results = [
        one.structured for one in played.results if one.tool == value.tool and not one.failure
    ]
    try:
        return next(one.value for one in fields(results[value.nth]) if one.path == value.path)
    except (IndexError, StopIteration):
        raise WorldRefused(f"no result of {value.tool} has a field {value.path}") from None


def _code(answer: Mapping[str, Any]) -> str | None:
    failure = (answer.get("_meta") or {}).get(KEY)
    return None if failure is None else str(failure["code"])
