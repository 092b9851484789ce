"""Cached calls over HTTP against all rivals, each in its best configuration, in one contest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from .calls import CACHED, LEGACY, MODERN, Account, Question, accounts, call, check_auth, message
from .contest import CONNECTIONS, Contestant, Runs, logins, take_turns
from .effort import Effort
from .filling import FILLING
from .probe import handle_of
from .result import Budget, Line, NotMeasured, WrongAnswer, ratios
from .rivals import start
from .rivals.search import Best, Started, best
from .system import WORKERS, Served, System, system

REVISIONS = (MODERN, LEGACY)

SETTINGS = {**FILLING, "OIG_LIVE_TTL": "3600"}
"""Everybody may log in at once, and live data stay cached for as long as it takes."""

OURS, BY_HEADER, COPY = "ours", "ours by header", "a copy of ours"
LIVE, TOOLS, BARE = "ours, get_live_data", "ours, tools/list, 1 worker", "bare uvicorn"
KEPT = ", 2 accounts a turn"
"""Driven as by header: each thread of the generator keeps to one account."""

SDK_TWO = (start.SDK, WORKERS)

AGAINST = {
    (*SDK_TWO, MODERN): Budget("at least", 1.5),
    (*SDK_TWO, LEGACY): Budget("at least", 2.5),
    (start.FASTMCP_OLD, 1, LEGACY): Budget("at least", 20.0),
    (start.FASTMCP_NEW, 1, MODERN): Budget("at least", 8.0),
    (start.FASTMCP_NEW, 1, LEGACY): Budget("at least", 8.0),
    (start.TYPESCRIPT_OLD, 1, LEGACY): Budget("at least", 3.5),
    (start.TYPESCRIPT_NEW, 1, MODERN): Budget("at least", 3.5),
    (start.TYPESCRIPT_NEW, 1, LEGACY): Budget("at least", 3.5),
}
"""The least throughput of ours to that of rivals with so many processes, with the login in the
arguments of each call. Deriving the keys of such a login is part of every call. Who is compared
with other numbers of processes is reported without being judged."""

IN_HEADER = {MODERN: Budget("at least", 2.5), LEGACY: Budget("at least", 4.0)}
"""The least throughput of ours to that of the SDK's app, with the login in a header: its keys are
derived once for a connection."""

OLDER = Budget("at least", 0.95)
LIMIT = Budget("at least", 0.35)
TAIL = Budget("at most", 3.0)
LIVE_AGAINST_SDK = Budget("at most", 1.0)
TOOLS_AGAINST_BARE = Budget("at least", 0.5)


def against_rivals(effort: Effort) -> list[Line]:
    """Search each rival's best configuration, then let all take turns."""
    lines: list[Line] = []
    found: list[Best] = []
    for rival in start.RIVALS:
        try:
            found += best(rival, effort)
        except (NotMeasured, WrongAnswer, OSError, RuntimeError, TimeoutError) as exc:
            what = f"throughput of ours / of {rival.name}"
            reason = str(exc) if isinstance(exc, NotMeasured) else f"{type(exc).__name__}: {exc}"
            lines.append(Line(what, why_not=reason))
    with _contestants(found, effort) as contestants:
        runs = {run.who: run for run in take_turns(contestants, effort)}
    for one in found:
        lines += _against(one, runs)
    return [*lines, *_alone(runs), *_other_calls(found, runs)]


@contextlib.contextmanager
def _contestants(found: Sequence[Best], effort: Effort) -> Iterator[list[Contestant]]:
    everybody = accounts(effort.accounts)
    with contextlib.ExitStack() as stack:
        ours, copy = (_filled(stack, everybody) for _ in range(2))
        lone = stack.enter_context(system(1)).served
        bare = stack.enter_context(start.bare())
        listed = {
            revision: Question(message(revision, lone.port, "tools/list", {}), (b'"check_auth"',))
            for revision in REVISIONS
        }
        fixed = Question(check_auth(MODERN, bare.port), (b"{  ",))
        contestants = [Contestant(BARE, bare, [fixed])]
        live = _live(ours, everybody)
        for revision in REVISIONS:
            by_header = logins(ours, revision, everybody, by_header=True)
            contestants += [
                Contestant(_in(OURS, revision), ours, logins(ours, revision, everybody)),
                Contestant(_in(BY_HEADER, revision), ours, by_header, kept=True),
                Contestant(
                    _in(OURS + KEPT, revision),
                    ours,
                    logins(ours, revision, everybody),
                    kept=True,
                ),
                Contestant(_in(TOOLS, revision), lone, [listed[revision]]),
            ]
        contestants += [
            Contestant(COPY, copy, logins(copy, MODERN, everybody)),
            Contestant(LIVE, ours, live),
        ]
        started = {rival: Started(rival, stack) for rival in {one.rival for one in found}}
        for one in found:
            served, revision = started[one.rival].served(one.entry), one.entry.revision
            asked = logins(served, revision, everybody)
            contestants.append(Contestant(_in(one.who, revision), served, asked, may_fail=True))
            if _is_sdk_two(one):
                who = _in(one.who + KEPT, revision)
                contestants.append(Contestant(who, served, asked, kept=True, may_fail=True))
        yield contestants


def _filled(stack: contextlib.ExitStack, everybody: Sequence[Account]) -> Served:
    made: System = stack.enter_context(system(**SETTINGS))
    for account in everybody:
        made.portal.add(account)
    return made.served


def _live(ours: Served, everybody: Sequence[Account]) -> list[Question]:
    return [
        Question(
            call(MODERN, ours.port, "get_live_data", {"session": handle_of(ours.port, account)}),
            (CACHED,),
        )
        for account in everybody
    ]


def _in(who: str, revision: str) -> str:
    return f"{who}, {revision}"


def _against(one: Best, runs: dict[str, Runs]) -> list[Line]:
    """Compare with one rival: logins in arguments, which it takes, and in a header."""
    revision = one.entry.revision
    mine, theirs = runs[_in(OURS, revision)], runs[_in(one.who, revision)]
    what = f"throughput of ours / of {one.name}, {revision}"
    if theirs.failure:
        return [Line(what, why_not=theirs.failure)]
    lines = [
        Line(
            what,
            values=ratios(mine.rates, theirs.rates),
            budget=AGAINST.get((one.rival, one.entry.processes, revision)),
            figures=[*theirs.figures(), *one.tried],
            means="How many times the callers one machine serves when each call of check_auth has "
            "e-mail and password in its arguments.",
        )
    ]
    if _is_sdk_two(one):
        header, kept = runs[_in(BY_HEADER, revision)], runs[_in(one.who + KEPT, revision)]
        what = f"the same with the login in a header of ours{KEPT} of both, {revision}"
        lines += [
            Line(what, why_not=kept.failure)
            if kept.failure
            else Line(
                what,
                values=ratios(header.rates, kept.rates),
                budget=IN_HEADER[revision],
                figures=kept.figures(),
                means="The same for clients that send their login in a header, over connections "
                "of their own.",
            ),
            Line(
                f"processor time per request of ours / of {one.name}, {revision}",
                values=ratios(mine.cpu, theirs.cpu),
                means="How much of a processor a call takes, the cache daemon's share included.",
            ),
        ]
    return lines


def _alone(runs: dict[str, Runs]) -> list[Line]:
    """Return what is said of ours without a rival."""
    modern, legacy = (runs[_in(OURS, revision)] for revision in REVISIONS)
    figures = [figure for who, run in runs.items() if _is_ours(who) for figure in run.figures()]
    lines = [
        Line(
            f"throughput of a copy of ours / of ours, {MODERN}: the noise",
            values=ratios(runs[COPY].rates, modern.rates),
            figures=[*figures, *runs[BARE].figures()],
            means="Both are the same: a line whose values stay within this range says nothing.",
        ),
        Line(
            f"throughput of ours, {LEGACY} / {MODERN}",
            values=ratios(legacy.rates, modern.rates),
            budget=OLDER,
            means="Clients of the older revision are served as fast as those of the newer one.",
        ),
        Line(
            f"throughput of ours, {MODERN} / of one bare uvicorn process with a fixed answer",
            values=ratios(modern.rates, runs[BARE].rates),
            budget=LIMIT,
            means="How near two workers come to the rate of a process that does nothing but HTTP.",
        ),
    ]
    for revision in REVISIONS:
        mine, header = runs[_in(OURS, revision)], runs[_in(BY_HEADER, revision)]
        kept = runs[_in(OURS + KEPT, revision)]
        lines += [
            Line(
                f"p99 / p50 of ours at {CONNECTIONS} connections, {revision}",
                values=ratios(mine.p99, mine.p50),
                budget=TAIL,
                means="How much longer than usual one caller in a hundred waits.",
            ),
            Line(
                f"throughput of ours, login in a header / in arguments{KEPT}, {revision}",
                values=ratios(header.rates, kept.rates),
                means="What a client gains that sends the login in a header.",
            ),
        ]
    return lines


def _is_sdk_two(one: Best) -> bool:
    return (one.rival, one.entry.processes) == SDK_TWO


def _is_ours(who: str) -> bool:
    return who.startswith((OURS, COPY))


def _other_calls(found: Sequence[Best], runs: dict[str, Runs]) -> list[Line]:
    """Return what is said of calls that rivals have nothing like."""
    lines = [
        Line(
            f"throughput of tools/list, one worker, {revision} / of one bare uvicorn process",
            values=ratios(runs[_in(TOOLS, revision)].rates, runs[BARE].rates),
            budget=TOOLS_AGAINST_BARE,
            means="What every client asks first is answered at half the rate of bare HTTP.",
        )
        for revision in REVISIONS
    ]
    for one in found:
        if _is_sdk_two(one) and one.entry.revision == MODERN:
            theirs = runs[_in(one.who, MODERN)]
            if theirs.failure:
                continue
            lines.append(
                Line(
                    "processor time of a cached get_live_data by handle / of check_auth in "
                    f"{one.name}, {MODERN}",
                    values=ratios(runs[LIVE].cpu, theirs.cpu),
                    budget=LIVE_AGAINST_SDK,
                    means="A whole reading of a box costs no more than the smallest call of the "
                    "plain SDK.",
                )
            )
    return lines
