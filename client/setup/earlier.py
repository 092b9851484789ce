"""What stays of an entry about the server that is in a client's file already. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from .entries import HEADER, PLACEHOLDER

LOGIN_HEADERS = frozenset({"authorization", "x-oig-email", "x-oig-password"})
"""Headers that say whose data a call is about: the server wants them to agree."""
LOGIN_VARIABLE = "AUTH_HEADER"
"""Where the bridge's entry has the login."""
OPTION = HEADER[0]
CONTRARY = {"url": ("command", "args"), "command": ("url",)}
"""What would stand beside the way in which the server is reached, and contradict it."""
TYPES = {"url": ("http", "streamable-http"), "command": ("stdio",)}


def united(before: object, wanted: Mapping[str, Any], *, login: bool) -> dict[str, Any]:
    """Return the entry that is wanted, with what was there beside it.

    Args:
        before: What is there now.
        wanted: What is to be there.
        login: It has a login. If not, a login that is there stays.
    """
    if not isinstance(before, Mapping):
        return dict(wanted)
    way = "url" if "url" in wanted else "command"
    dropped = {*CONTRARY[way]} | ({"type"} if before.get("type") not in TYPES[way] else set())
    remaining = {name: value for name, value in before.items() if name not in dropped}
    found = {**remaining, **wanted}
    if "headers" in wanted:
        found["headers"] = _headers(before.get("headers"), wanted["headers"], login=login)
    if "args" in wanted:
        variables = _variables(before.get("env"))
        found["args"] = _words(before.get("args"), wanted["args"], variables, login=login)
        found["env"] = {**variables, **wanted.get("env", {})}
        if not found["env"]:
            del found["env"]
    return found


def differences(before: object, after: object, name: str = "") -> Iterator[str]:
    """Yield what an update changed: names alone, since values may be secret."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        if before != after:
            yield f"changed {name}"
        return
    for key in {**before, **after}:
        inner = f"{name}.{key}" if name else str(key)
        if key not in after:
            yield f"removed {inner}"
        elif key not in before:
            yield f"added {inner}"
        else:
            yield from differences(before[key], after[key], inner)


def _headers(before: object, wanted: Mapping[str, str], *, login: bool) -> dict[str, Any]:
    if not isinstance(before, Mapping):
        return dict(wanted)
    if not login and any(_about_login(name) and value for name, value in before.items()):
        return dict(before)
    others = {name: value for name, value in before.items() if not _about_login(name)}
    return {**others, **wanted}


def _words(
    before: object, wanted: Sequence[str], variables: Mapping[str, Any], *, login: bool
) -> list[str]:
    """Keep the headers that the bridge was set to send, except one without a value."""
    words = [str(word) for word in before] if isinstance(before, list) else []
    headers = [after for option, after in pairwise(words) if option == OPTION]
    if not variables.get(LOGIN_VARIABLE):
        headers = [each for each in headers if LOGIN_VARIABLE not in each]
    headers = [each for each in headers if PLACEHOLDER not in each]
    others = [each for each in headers if not _about_login(each)]
    if login:
        return [*wanted, *_options(others)]
    if len(others) == len(headers) and variables.get(LOGIN_VARIABLE):
        return [*wanted, *HEADER, *_options(others)]
    return [*wanted, *_options(headers)]


def _options(headers: Sequence[str]) -> list[str]:
    return [word for each in headers for word in (OPTION, each)]


def _variables(before: object) -> dict[str, Any]:
    """Keep what was there, but for what only stands where a login belongs."""
    there = before if isinstance(before, Mapping) else {}
    return {name: value for name, value in there.items() if PLACEHOLDER not in str(value)}


def _about_login(header: object) -> bool:
    return str(header).partition(":")[0].strip().casefold() in LOGIN_HEADERS
