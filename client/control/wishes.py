"""From the options of `plan` to arguments that fit the schema of plan_change. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..arguments import value_of
from ..catalogue import Parameter, Tool
from ..failures import UsageFailure
from ..former_names import name_at
from ..schema import show
from .arguments import WISHES

OPTIONS = {name: option for option, name, _, _ in WISHES}


def arguments_of(tool: Tool, wishes: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments for `plan_change`.

    Raises:
        UsageFailure: Nothing is wished, or something that the server does not offer.
    """
    if not wishes:
        raise UsageFailure(
            f"Say what to change: one of {', '.join(OPTIONS.values())}. See: oig-client plan --help"
        )
    return {name: _value(tool, name, text) for name, text in wishes.items()}


def _value(tool: Tool, name: str, text: str) -> Any:
    found = {item.name: item for item in tool.parameters}.get(name_at(tool, name))
    if found is None:
        raise UsageFailure(f"The server knows no {OPTIONS[name]}; it may be an older one.")
    words = {_plain(show(choice)): choice for choice in found.choices if isinstance(choice, str)}
    if words:
        if _plain(text) not in words:
            raise UsageFailure(f"{OPTIONS[name]}: choose one of {_typed(found)}.")
        return words[_plain(text)]
    try:
        return value_of(found, text)
    except UsageFailure:
        kind = "on or off" if True in found.choices else "a whole number"
        raise UsageFailure(f"{OPTIONS[name]}: give {kind}.") from None


def _typed(found: Parameter) -> str:
    texts = [show(choice) for choice in found.choices if isinstance(choice, str)]
    return ", ".join(re.sub(r"\s+", "_", text.lower()) for text in texts)


def _plain(text: str) -> str:
    """Make `home_1`, `Home 1` and `HOME-1` the same."""
    return re.sub(r"[\s_-]", "", text).casefold()
