"""A thousand guesses at one password, from one source and from many: no session ever.

Sources are addresses of this machine, each real. What a guesser says in a header of where it is
does not count.
"""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from server.state.limits import Policy

from .callers import PASSWORD, Owner, code_of, owners, sent, tool_call
from .drill import Drill, Extent, Outcome
from .ground import Ground
from .supervised import RunningSystem
from .waiting import PATIENCE

HOME: Final = "127.0.0.2"
"""Where the owner logged in before."""

CAFE: Final = "127.0.0.3"
"""Where the owner was never, and whose guesser nobody is."""

GUESSER: Final = "127.0.1.1"

POLICY: Final = Policy()


def _from(
    system: RunningSystem, source: str, owner: Owner, password: str, said: str = ""
) -> dict[str, Any]:
    """Call from an address of this machine; return the result.

    Args:
        system: Whom.
        source: The address.
        owner: As whom.
        password: Whether it is right or not.
        said: The address that a header says, if any.
    """
    connection = http.client.HTTPConnection(
        system.host, system.port, timeout=PATIENCE, source_address=(source, 0)
    )
    try:
        if said:
            headers = {
                "Content-Type": "application/json",
                "Accept": "application/json, text/event-stream",
                "Authorization": owner.logging_in(password),
                "X-Forwarded-For": said,
            }
            connection.request("POST", "/mcp", tool_call("check_auth"), headers)
            result: dict[str, Any] = json.loads(connection.getresponse().read())["result"]
            return result
        return sent(connection, tool_call("check_auth"), owner.logging_in(password))
    finally:
        connection.close()


def _attempts(system: RunningSystem, owner: Owner) -> int:
    attempts: int = system.portal_state()["logins"]["accounts"][owner.email]["attempts"]
    return attempts


def _guess(
    system: RunningSystem, owner: Owner, sources: list[str], budget: int, callers: int
) -> tuple[list[str], Counter[str]]:
    """Guess once from each source; return what went wrong, and what the guesses were told."""
    wrong = []
    with ThreadPoolExecutor(callers) as pool:
        found = pool.map(
            lambda n, source: _from(system, source, owner, f"guess {n}", f"198.51.100.{n % 250}"),
            range(len(sources)),
            sources,
        )
        told = Counter(code_of(each) or "a session" for each in found)
    if told.keys() - {"credentials_rejected", "locked"}:
        wrong.append(f"guesses got {dict(told)}")
    judged = _attempts(system, owner) - 1
    if judged > budget:
        wrong.append(f"{judged} guesses reached the portal, of {budget} at most")
    if told["locked"] < len(sources) - 2 * budget:
        wrong.append(f"only {told['locked']} guesses were refused as locked")
    return wrong, told


def _owners_own(system: RunningSystem, owner: Owner, unknown: str) -> Iterator[str]:
    """Say what is wrong with the right password, where it was guessed or unknown, and at home."""
    right = code_of(_from(system, unknown, owner, PASSWORD))
    if right != "locked":
        yield f"the right password gets {right} from {unknown}"
    known = _from(system, HOME, owner, PASSWORD)
    status = code_of(known) or known["structuredContent"]["cache_status"]
    if status != "session_from_cache":
        yield f"the owner gets {status} at a known place"


def _at_home(system: RunningSystem, owner: Owner) -> Iterator[str]:
    """Guess at the known place itself; say what is wrong with the right password there."""
    for number in range(POLICY.per_source):
        _from(system, HOME, owner, f"at home {number}")
    right = code_of(_from(system, HOME, owner, PASSWORD))
    if right != "locked":
        yield f"the right password gets {right} at a known place where it was guessed"


def guessed(ground: Ground, extent: Extent) -> Outcome:
    """Guess from one address that says others of itself, then from as many as there are guesses."""
    wrong: list[str] = []
    codes = Counter[str]()
    counts = []
    with ground.system() as system:
        one, many = owners(system, "guessed", 2)
        everywhere = [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(extent.times)]
        for owner, sources, budget, unknown in (
            (one, [GUESSER] * extent.times, POLICY.per_source, GUESSER),
            (many, everywhere, POLICY.per_account, CAFE),
        ):
            if code_of(_from(system, HOME, owner, PASSWORD)) is not None:
                wrong.append("the owner could not log in")
            found, told = _guess(system, owner, sources, budget, extent.callers)
            codes += told
            wrong += [*found, *_owners_own(system, owner, unknown)]
            counts.append(_attempts(system, owner) - 1)
            wrong += _at_home(system, owner)
    told_ = ", ".join(f"{count} {code}" for code, count in codes.most_common())
    return Outcome(
        not wrong,
        f"{wrong[0] if wrong else 'no session'}; {told_}",
        f"{counts[0]} and {counts[1]} of {extent.times} guesses each reached the portal",
    )


DRILLS = (
    Drill(
        "guesses",
        "guesses at a password whose session is cached: from one address, then each claiming a "
        "different source address",
        f"no session; {POLICY.per_source} and {POLICY.per_account} guesses reach the portal; then "
        "the right password is refused like a wrong one, except at a known place; and there as "
        "well, once it was guessed at from there",
        Extent(times=1_000, callers=8),
        Extent(times=40, callers=8),
        guessed,
    ),
)
