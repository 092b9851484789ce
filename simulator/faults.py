"""What can go wrong at the portal, on demand. Pure: a JSON object in, a fault out."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Self

from server.errors import OigError

from .endpoints import Endpoint

LATENCY_MAX = 120.0
"""Seconds by which a fault may delay an answer: four times what any client waits."""

TIMES_MAX = 1_000_000
"""Most requests one fault may be set for; without a number it stays until cleared."""

FAULTS = 64
"""Most faults set at a time."""

NAME = re.compile(r"[a-z0-9_]{1,32}(\.[a-z0-9_]{1,32})?", re.ASCII)
"""A block of json.php, or a field of one."""

TEXT_MAX = 2000
"""Longest text with which a fault may have a write answered, in characters."""

FIELDS = 32
"""Most fields one fault may damage."""

LIVE, HISTORY, WRITES = Endpoint.LIVE, Endpoint.HISTORY, Endpoint.WRITES


class Kind(StrEnum):
    """What happens to a request instead of its ordinary answer."""

    EMPTY = "empty"  # 200 without a body: how the portal rejects a login
    JSON = "json"  # 200 with JSON that reports a failure
    HTML = "html"  # 200 with a maintenance page
    UNAUTHORIZED = "unauthorized"  # 401
    FORBIDDEN = "forbidden"  # 403 of a firewall
    TOO_MANY = "too_many"  # 429
    ERROR = "error"  # 500
    UNAVAILABLE = "unavailable"  # 503
    REDIRECT = "redirect"  # 302 to another host
    NO_COOKIE = "no_cookie"  # success without the session cookie
    SLOW = "slow"  # the ordinary answer, late
    DROP = "drop"  # the connection is reset before any answer
    TRUNCATED_GZIP = "truncated_gzip"  # the ordinary answer, compressed and cut off
    OVERSIZED = "oversized"  # the ordinary answer and megabytes of blanks
    NOT_MODIFIED = "not_modified"  # 304, whether or not the client has anything
    NAN = "nan"  # numbers become NaN, which is not even JSON
    TEXTS = "texts"  # numbers become text
    RETYPED = "retyped"  # fields become something else
    DROPPED = "dropped"  # fields are missing
    ADDED = "added"  # there are fields that nobody knows
    DIP = "dip"  # today's PV energy is some Wh less than it was
    NULLS = "nulls"  # items and values are null, or missing
    UNCOUNTED = "uncounted"  # the grid's counters of a series are always 0
    ABSURD = "absurd"  # the values in the middle of a series are twenty times what they were
    NOTHING = "nothing"  # a series is `[]`, as PHP writes an object without members
    FORGOTTEN = "forgotten"  # a write is answered as taken, and goes nowhere
    ANSWER = "answer"  # a write is answered 200 with a text of the administrator's


FITS: dict[Kind, frozenset[Endpoint]] = {
    Kind.JSON: frozenset({Endpoint.LOGIN, WRITES}),
    Kind.NO_COOKIE: frozenset({Endpoint.LOGIN}),
    Kind.NOT_MODIFIED: frozenset({LIVE}),
    Kind.NAN: frozenset({LIVE, HISTORY}),
    Kind.TEXTS: frozenset({LIVE, HISTORY}),
    Kind.RETYPED: frozenset({LIVE, HISTORY}),
    Kind.DROPPED: frozenset({LIVE}),
    Kind.ADDED: frozenset({LIVE}),
    Kind.DIP: frozenset({LIVE}),
    Kind.NULLS: frozenset({HISTORY}),
    Kind.UNCOUNTED: frozenset({HISTORY}),
    Kind.ABSURD: frozenset({HISTORY}),
    Kind.NOTHING: frozenset({HISTORY}),
    Kind.FORGOTTEN: frozenset({WRITES}),
    Kind.ANSWER: frozenset({WRITES}),
}
"""Where a kind of fault can happen; all others happen anywhere."""

SELECTIVE = frozenset({Kind.NAN, Kind.TEXTS, Kind.RETYPED, Kind.DROPPED, Kind.ADDED})
"""The kinds that take the fields of json.php to damage, or to add."""

NEVER_PROCESSED = frozenset({Kind.SLOW, Kind.JSON, Kind.FORGOTTEN})
"""The kinds that say themselves whether a write takes effect."""


class FaultRefused(OigError):
    """A fault cannot be set; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault.

    Attributes:
        kind: What happens.
        endpoint: Which requests it happens to.
        logins: For how many logins, when it happens to logins; None until cleared.
        requests: For how many requests, when it happens to others; None until cleared.
        latency: Seconds to wait before it happens.
        retry_after: Value of a Retry-After header: whole seconds, or a date as text.
        email: Only this account's logins, or its sessions' requests, are hit; None for all.
        fields: Which blocks and fields of json.php are damaged; the live block unless given.
        processed: Whether a write takes effect although its answer goes wrong.
        text: The whole body of an answer of the kind `answer`.
    """

    kind: Kind
    endpoint: Endpoint = Endpoint.LOGIN
    logins: int | None = None
    requests: int | None = None
    latency: float = 0.0
    retry_after: str | None = None
    email: str | None = None
    fields: tuple[str, ...] = ()
    processed: bool = False
    text: str | None = None

    @property
    def times(self) -> int | None:
        """How many requests it is for; None until cleared."""
        return self.logins if self.endpoint is Endpoint.LOGIN else self.requests

    @classmethod
    def parse(cls, raw: object) -> Self:
        """Check the shape of a fault that came as JSON.

        Raises:
            FaultRefused: A member is missing, unknown, of a wrong type or out of bounds.
        """
        if not isinstance(raw, dict):
            raise FaultRefused("a fault is a JSON object")
        known = [f.name for f in fields(cls)]
        if any(name not in known for name in raw):
            raise FaultRefused(f"a fault has only these members: {', '.join(known)}")
        kind = raw.get("kind")
        if not isinstance(kind, str) or kind not in list(Kind):
            raise FaultRefused(f'"kind" must be one of {", ".join(Kind)}')
        fault = cls(
            kind=Kind(kind),
            endpoint=_endpoint(raw.get("endpoint", Endpoint.LOGIN.value)),
            logins=_times(raw.get("logins"), "logins"),
            requests=_times(raw.get("requests"), "requests"),
            latency=_latency(raw.get("latency", 0)),
            retry_after=_retry_after(raw.get("retry_after")),
            email=_email(raw.get("email")),
            fields=_fields(raw.get("fields", [])),
            processed=_flag(raw.get("processed", False)),
            text=_text(raw.get("text")),
        )
        fault.check()
        return fault

    def check(self) -> None:
        """See whether the members go together.

        Raises:
            FaultRefused: They do not.
        """
        if self.endpoint not in FITS.get(self.kind, frozenset(Endpoint)):
            where = ", ".join(sorted(FITS[self.kind]))
            raise FaultRefused(f'"{self.kind}" happens to these endpoints only: {where}')
        if (self.logins, self.requests)[self.endpoint is Endpoint.LOGIN] is not None:
            raise FaultRefused('"logins" goes with the endpoint "login", "requests" with others')
        if self.kind is Kind.SLOW and not self.latency:
            raise FaultRefused('"slow" needs a "latency" in seconds')
        if self.retry_after is not None and self.kind not in {Kind.TOO_MANY, Kind.UNAVAILABLE}:
            raise FaultRefused('"retry_after" goes with "too_many" and "unavailable" only')
        if self.fields and (self.endpoint is not LIVE or self.kind not in SELECTIVE):
            kinds = ", ".join(sorted(SELECTIVE))
            raise FaultRefused(f'"fields" goes with the endpoint "live" and {kinds} only')
        if self.processed and (self.endpoint is not WRITES or self.kind in NEVER_PROCESSED):
            raise FaultRefused('"processed" goes with "writes", and with failing answers only')
        if (self.text is not None) != (self.kind is Kind.ANSWER):
            raise FaultRefused('"answer" needs a "text", which goes with no other kind')


class Faults:
    """The faults that are set. The first one that fits a request hits it."""

    def __init__(self) -> None:
        self._set: list[tuple[Fault, int | None]] = []  # with the requests it is still good for

    def add(self, fault: Fault) -> None:
        """Set a fault, behind those already set.

        Raises:
            FaultRefused: There are too many.
        """
        if len(self._set) >= FAULTS:
            raise FaultRefused(f"there are {FAULTS} faults already; clear them first")
        self._set.append((fault, fault.times))

    def take(self, email: str | None, endpoint: Endpoint = Endpoint.LOGIN) -> Fault | None:
        """Give the fault that hits a request, and use it up by one.

        Args:
            email: The e-mail of the login, or of the account whose session it is.
            endpoint: What the request is for.
        """
        for place, (fault, left) in enumerate(self._set):
            if fault.endpoint is not endpoint or fault.email not in {None, email}:
                continue
            if left == 1:
                del self._set[place]
            elif left is not None:
                self._set[place] = (fault, left - 1)
            return fault
        return None

    def clear(self) -> int:
        """Remove all faults. Return how many there were."""
        cleared = len(self._set)
        self._set.clear()
        return cleared

    def as_json(self) -> list[dict[str, object]]:
        """Describe the faults that are set; `logins` or `requests` is what is left of each."""
        return [
            {
                "kind": fault.kind.value,
                "endpoint": fault.endpoint.value,
                "logins": left if fault.endpoint is Endpoint.LOGIN else None,
                "requests": None if fault.endpoint is Endpoint.LOGIN else left,
                "latency": fault.latency,
                "retry_after": fault.retry_after,
                "email": fault.email,
                "fields": list(fault.fields),
                "processed": fault.processed,
                "text": fault.text,
            }
            for fault, left in self._set
        ]


def _endpoint(raw: object) -> Endpoint:
    if not isinstance(raw, str) or raw not in list(Endpoint):
        raise FaultRefused(f'"endpoint" must be one of {", ".join(Endpoint)}')
    return Endpoint(raw)


def _times(raw: object, name: str) -> int | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int) or not 1 <= raw <= TIMES_MAX:
        raise FaultRefused(f'"{name}" must be a whole number from 1 to {TIMES_MAX}, or null')
    return raw


def _fields(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list) or len(raw) > FIELDS:
        raise FaultRefused(f'"fields" must be a list of at most {FIELDS} blocks or fields')
    if any(not isinstance(name, str) or not NAME.fullmatch(name) for name in raw):
        raise FaultRefused('"fields" holds names such as "actual" or "batt.bat_c"')
    return tuple(raw)


def _flag(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise FaultRefused('"processed" must be true or false')
    return raw


def _text(raw: object) -> str | None:
    if raw is None:
        return None
    # Half of a surrogate pair: JSON can carry it, UTF-8 cannot.
    if isinstance(raw, str) and len(raw) <= TEXT_MAX and not re.search("[\ud800-\udfff]", raw):
        return raw
    raise FaultRefused(f'"text" must be text of at most {TEXT_MAX} characters, or null')


def _latency(raw: object) -> float:
    # A NaN fails the comparison as well.
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not 0 <= raw <= LATENCY_MAX:
        raise FaultRefused(f'"latency" must be a number of seconds from 0 to {LATENCY_MAX:.0f}')
    return float(raw)


def _retry_after(raw: object) -> str | None:
    if raw is None:
        return None
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw <= 10**9:
        return str(raw)
    # Any printable text is let through: nonsense in this header is a fault worth having.
    if isinstance(raw, str) and raw.isascii() and raw.isprintable() and len(raw) <= 64:
        return raw
    raise FaultRefused('"retry_after" must be whole seconds, or up to 64 characters of text')


def _email(raw: object) -> str | None:
    if raw is not None and not isinstance(raw, str):
        raise FaultRefused('"email" must be text, or null')
    return raw
