"""Every fault of the portal at every endpoint: a documented code, and nothing kept of it.

Each case has an account and a box of its own, and meets its fault once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from simulator.endpoints import Endpoint
from simulator.faults import FITS, NEVER_PROCESSED, Kind

from .callers import Owner, called, code_of, owners
from .drill import Drill, Extent, Outcome, counted
from .ground import Ground
from .supervised import RunningSystem

LOGIN, LIVE, HISTORY, NOTIFICATIONS, WRITES = Endpoint

READ: Final[Mapping[Kind, str | None]] = {
    Kind.EMPTY: None,
    Kind.HTML: "portal_unexpected",
    Kind.UNAUTHORIZED: None,
    Kind.FORBIDDEN: "portal_unexpected",
    Kind.TOO_MANY: "portal_busy",
    Kind.ERROR: "portal_error",
    Kind.UNAVAILABLE: "portal_busy",
    Kind.REDIRECT: None,
    Kind.SLOW: None,
    Kind.DROP: "portal_unreachable",
    Kind.TRUNCATED_GZIP: "portal_unexpected",
    Kind.NOT_MODIFIED: "portal_unexpected",
}
"""Code of a read that meets a fault once; None for none: the session is taken for ended, and the
read repeated with another, or the answer is read as far as it goes."""

LOGIN_CODES: Final[Mapping[Kind, str | None]] = {
    **READ,
    Kind.EMPTY: "credentials_rejected",
    Kind.JSON: "credentials_rejected",
    Kind.UNAUTHORIZED: "portal_unexpected",
    Kind.REDIRECT: "portal_unexpected",
    Kind.NO_COOKIE: "portal_unexpected",
    Kind.OVERSIZED: "portal_unexpected",
}

REFUSING: Final = {Kind.UNAUTHORIZED, Kind.FORBIDDEN, Kind.TOO_MANY}
"""Answers to a write that say that it was turned away (4xx)."""

BUSY: Final = {Kind.TOO_MANY, Kind.UNAVAILABLE}
"""After these the portal is left alone for a while, whoever asks for the account."""

MEMBERS: Final[Mapping[Kind, dict[str, object]]] = {
    Kind.SLOW: {"latency": 0.2},
    Kind.TOO_MANY: {"retry_after": 300},
    Kind.UNAVAILABLE: {"retry_after": 300},
    Kind.ANSWER: {"text": '[[0,1,"Nepoda\\u0159ilo se"]]'},
}

TODAY: Final = datetime.now(ZoneInfo("Europe/Prague")).date().isoformat()

TOOLS: Final[Mapping[Endpoint, tuple[str, dict[str, str]]]] = {
    LOGIN: ("check_auth", {}),
    LIVE: ("get_live_data", {}),
    HISTORY: ("get_history", {"series": "grid", "first_day": TODAY, "last_day": TODAY}),
    NOTIFICATIONS: ("get_notifications", {}),
}

MODE: Final = 1
"""Home 2, which no box of the portal begins with."""


@dataclass(frozen=True, slots=True)
class Case:
    """A fault at an endpoint."""

    endpoint: Endpoint
    kind: Kind
    processed: bool = False

    def __str__(self) -> str:
        """Name it."""
        return f"{self.endpoint}: {self.kind}{' (processed)' if self.processed else ''}"


def cases() -> Iterator[Case]:
    """Give all cases."""
    for endpoint in Endpoint:
        for kind in Kind:
            if endpoint in FITS.get(kind, frozenset(Endpoint)):
                yield Case(endpoint, kind)
                if endpoint is WRITES and kind not in NEVER_PROCESSED:
                    yield Case(endpoint, kind, processed=True)


@dataclass
class Trial:
    """A case with the account that meets it.

    Attributes:
        wrong: What went wrong.
    """

    system: RunningSystem
    case: Case
    owner: Owner
    wrong: list[str] = field(default_factory=list)

    def run(self) -> list[str]:
        """Let the account meet the fault, and judge what it is told; return what was wrong."""
        (self._write if self.case.endpoint is WRITES else self._read)()
        return [f"{self.case}: {one}" for one in self.wrong]

    def _call(self, tool: str, **arguments: object) -> dict[str, Any]:
        return called(self.system, self.owner.authorization, tool, **arguments)

    def _fault(self) -> None:
        count = "logins" if self.case.endpoint is LOGIN else "requests"
        fault = {
            "kind": self.case.kind,
            "endpoint": self.case.endpoint,
            "email": self.owner.email,
            count: 1,
            **({"processed": True} if self.case.processed else {}),
            **MEMBERS.get(self.case.kind, {}),
        }
        answer = self.system.portal("POST", "_admin/faults", fault)
        if "error" in answer:
            self.wrong.append(answer["error"])

    def _expect(self, what: str, found: object, *allowed: object) -> None:
        if found not in allowed:
            self.wrong.append(f"{what} is {found!r}, expected {allowed}")

    def _read(self) -> None:
        case = self.case
        tool, arguments = TOOLS[case.endpoint]
        if case.endpoint is not LOGIN:
            self._expect("the login", code_of(self._call("check_auth")), None)
        self._fault()
        codes = LOGIN_CODES if case.endpoint is LOGIN else READ
        found = self._call(tool, **arguments)
        self._expect("the code", code_of(found), *self._codes(codes))
        self._box("with the fault", found)
        again = self._call(tool, **arguments)
        if case.kind in BUSY:
            self._expect("the next code", code_of(again), "portal_busy")
        elif case.endpoint is LOGIN and codes.get(case.kind) == "credentials_rejected":
            # The pair is not asked about again for a while.
            self._expect("the next code", code_of(again), "credentials_rejected")
        elif code_of(found) is not None:
            self._expect("the next code", code_of(again), None)
        self._box("after the fault", again)

    def _codes(self, codes: Mapping[Kind, str | None]) -> tuple[str | None, ...]:
        return (codes.get(self.case.kind),)

    def _box(self, when: str, result: dict[str, Any]) -> None:
        """See that a reading is of the account's own box."""
        if code_of(result) is None and self.case.endpoint is LIVE:
            self._expect(f"the box {when}", result["structuredContent"]["box_id"], self.owner.box)

    def _write(self) -> None:
        planned = self._call("plan_change", mode="Home 2")
        if code_of(planned) is not None:
            self.wrong.append(f"no plan: {code_of(planned)}")
            return
        plan = planned["structuredContent"]
        given = {name: plan[name] for name in ("box_id", "change", "plan_token")}
        self._fault()
        self._expect("the code", code_of(self._call("apply_change", **given)), *self._write_codes())
        self._expect(
            "the code of a second apply", code_of(self._call("apply_change", **given)), "plan_used"
        )
        writes = self.system.portal("GET", "_admin/writes")["writes"]
        mine = [one for one in writes if one["sent"].get("id_device") == self.owner.box]
        self._expect("the number of writes", len(mine), 1)
        self._look(plan["change_id"])

    def _write_codes(self) -> tuple[str | None, ...]:
        if self.case.kind in REFUSING or self.case.kind is Kind.ANSWER:
            return ("change_refused",)
        return (None,)

    def _look(self, change: str) -> None:
        """See that no look says that a change was made that was not, or was not that was."""
        mode = self.system.portal("GET", f"_admin/truth?box={self.owner.box}")["mode"]
        time.sleep(LOOK)
        found = self._call("get_change", change_id=change)
        if code_of(found) is not None:
            self._expect("the code of a look", code_of(found), "portal_busy")
            return
        status = found["structuredContent"]["status"]
        if mode != MODE:
            self._expect("the status of what was not made", status, "pending", "unclear", "failed")
        elif self.case.kind in BUSY:
            self._expect("the status unread", status, "applied", "pending", "unclear", "failed")
        else:
            self._expect("the status of what was made", status, "applied")


LOOK = 2.1
"""Seconds until the answer before the write is not passed on any more: `OIG_LIVE_TTL`."""


def met_faults(name: str, choose: Callable[[Case], bool]) -> Callable[[Ground, Extent], Outcome]:
    """Return a drill that meets the cases of a choice, with accounts of a name."""

    def run(ground: Ground, extent: Extent) -> Outcome:
        with ground.system() as system:
            chosen = [one for one in cases() if choose(one)][:: extent.times]
            system.portal("POST", "_admin/switches", {"delay": 0})
            accounts = owners(system, name, len(chosen))
            trials = [Trial(system, *one) for one in zip(chosen, accounts, strict=True)]
            with ThreadPoolExecutor(extent.callers) as pool:
                wrong = [one for found in pool.map(Trial.run, trials) for one in found]
        return Outcome(
            not wrong,
            f"{len(wrong)} wrong{'; ' + '; '.join(wrong[:9]) if wrong else ''}",
            counted(len(chosen), "fault"),
        )

    return run


DRILLS = (
    Drill(
        "portal-reads",
        "a login, live data, a history and notifications meet each fault of the portal, once",
        "each has the code that docs/errors.md says; nothing of the fault is kept, and the portal "
        "is left alone where it asks for that",
        Extent(times=1, callers=8),
        Extent(times=6, callers=8),
        met_faults("reading", lambda one: one.endpoint is not WRITES),
    ),
    Drill(
        "portal-writes",
        "a write meets each fault of the portal, once before and once after it took effect",
        "each plan is written once, a second apply is refused, and get_change says nothing that "
        "is not true of the box",
        Extent(times=1, callers=8),
        Extent(times=7, callers=8),
        met_faults("writing", lambda one: one.endpoint is WRITES),
    ),
)
