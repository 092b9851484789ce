"""Puts the questions to a model, with the server's instructions and tools and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.clock import moment

from .chat import Chat, Message, ToolCall
from .play import exchange, finish, take
from .scenario import Call, Scenario
from .transcript import Played
from .virtual_time import VirtualTimeLoop
from .world import REVISION, World, world

MOST_TURNS = 12
"""Times that a model may speak for one question."""

MOST_CALLS = 24
"""Calls that it may make for one question."""

THINKING = 10.0
"""Seconds of the world that pass each time a model speaks: a box takes a change in a minute."""

NO_OBJECT = "The arguments are not a JSON object."
TOO_MANY = "No more calls: answer with what you know."


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of a question.

    Attributes:
        played: What was called, and what is so at the end.
        answer: The model's last words; empty when it only called until its turns were used up.
    """

    played: Played
    answer: str


def ask(scenario: Scenario, chat: Chat) -> Asked:
    """Put the question of a scenario to a model, in a world of its own.

    Raises:
        ModelFailed: The model could not be asked.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_ask(scenario, chat))


async def _ask(scenario: Scenario, chat: Chat) -> Asked:
    async with world(moment(scenario.at), scenario.settings) as here:
        played = Played()
        await here.truth(scenario.login.email)
        for step in scenario.prelude:
            await take(here, scenario, step, played)
        tools = [_function(one) for one in (await here.ask("tools/list", {}))["tools"]]
        messages: list[Message] = [
            {"role": "system", "content": await _instructions(here)},
            {"role": "user", "content": scenario.question},
        ]
        answer = await _converse(here, scenario, chat, messages, tools, played)
        await finish(here, scenario, played)
        return Asked(played, answer)


async def _converse(
    here: World,
    scenario: Scenario,
    chat: Chat,
    messages: list[Message],
    tools: list[Message],
    played: Played,
) -> str:
    """Let the model speak and call until it has answered, and the user has replied once.

    1. It calls: the results are added, and it goes on.
    2. It speaks, and the scenario has a reply that was not given: the user replies.
    3. It speaks: that is the answer.
    4. Its turns are used up: its last words, if any, are.
    """
    reply, answer = scenario.reply, ""
    for _ in range(MOST_TURNS):
        # In a thread, so that no time passes in the world while a real machine thinks.
        said = await asyncio.to_thread(chat.say, messages, tools)
        await asyncio.sleep(THINKING)
        messages.append(said.message)
        answer = said.text or answer
        for call in said.calls:
            result = await _result(here, scenario, call, played)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        if said.calls:
            continue
        if reply is None:
            break
        messages.append({"role": "user", "content": reply})
        reply = None
    return answer


async def _result(here: World, scenario: Scenario, call: ToolCall, played: Played) -> str:
    """Make a call that the model wants, and return the text it receives."""
    if len(played.exchanges) >= MOST_CALLS:
        return TOO_MANY
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return NO_OBJECT
    if not isinstance(arguments, dict):
        return NO_OBJECT
    made = Call(tool=call.tool, arguments=arguments)
    played.exchanges.append(await exchange(here, scenario, made, played))
    return played.exchanges[-1].text


async def _instructions(here: World) -> str:
    params = {
        "protocolVersion": REVISION,
        "capabilities": {},
        "clientInfo": {"name": "evals", "version": "1"},
    }
    return str((await here.ask("initialize", params))["instructions"])


def _function(tool: Mapping[str, Any]) -> Message:
    """Write a tool as the chat-completions protocol has it."""
    function = {
        "name": tool["name"],
        "description": tool["description"],
        "parameters": tool["inputSchema"],
    }
    return {"type": "function", "function": function}
