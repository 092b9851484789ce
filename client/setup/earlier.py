"""What stays of an entry about the server that is in a client's file already. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

LOGIN_HEADERS = frozenset({"authorization", "x-oig-email", "x-oig-password"})
"""Headers that say whose data a call is about: the server wants them to agree."""
LOGIN_VARIABLE = "AUTH_HEADER"
"""Where the bridge's entry holds the login."""
HEADER = "--header"
CONTRARY = {"url": ("command", "args"), "command": ("url",)}
"""What would stand beside the way in which the server is reached, and contradict it."""
TYPES = {"url": ("http", "streamable-http"), "command": ("stdio",)}


def united(before: object, wanted: Mapping[str, Any], *, login: bool) -> dict[str, Any]:
    """Return the entry that is wanted, with what was there beside it.

    Args:
        before: What stands there now.
        wanted: What is to stand there.
        login: It holds a login. If not, a login that is there stays.
    """
    if not isinstance(before, Mapping):
        return dict(wanted)
    way = "url" if "url" in wanted else "command"
    dropped = {*CONTRARY[way]} | ({"type"} if before.get("type") not in TYPES[way] else set())
    kept = {name: value for name, value in before.items() if name not in dropped}
    found = {**kept, **wanted}
    if "headers" in wanted:
        found["headers"] = _headers(before.get("headers"), wanted["headers"], login=login)
    if "args" in wanted:
        found["args"] = _words(before.get("args"), wanted["args"], login=login)
        named = any(LOGIN_VARIABLE in word for word in found["args"])
        found["env"] = _variables(before.get("env"), wanted["env"] if named else {}, login=login)
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


def _words(before: object, wanted: Sequence[str], *, login: bool) -> list[str]:
    """Keep the headers that the bridge was told to send."""
    words = [str(word) for word in before] if isinstance(before, list) else []
    headers = [after for option, after in pairwise(words) if option == HEADER]
    own = not login and any(_about_login(each) for each in headers)
    rest, (header, ours) = list(wanted[:-2]), wanted[-2:]
    assert header == HEADER, "the wanted one ends with its header"
    first = [] if own else [ours]
    others = [each for each in headers if own or not _about_login(each)]
    return rest + [word for each in (*first, *others) for word in (HEADER, each)]


def _variables(before: object, wanted: Mapping[str, str], *, login: bool) -> dict[str, Any]:
    there = before if isinstance(before, Mapping) else {}
    if not login and there.get(LOGIN_VARIABLE):
        return dict(there)
    return {**there, **wanted}


def _about_login(header: object) -> bool:
    return str(header).partition(":")[0].strip().casefold() in LOGIN_HEADERS
