"""Requests of the cache protocol, carried out on the engine. No sockets: a peer is who asked.

Most requests are answered at once. An `acquire` or `share` that has to wait is answered `waiting`,
and again when `settle` finds that its time has come.
"""

from __future__ import annotations

import hmac
import math
from array import array
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, Protocol

from ..errors import ConfigurationError, RemoteProtocolError
from . import quick, wire
from .engine import Engine, Ticket
from .hello import CHANGES, LEAST_PROTOCOL, PROTOCOL, UNNAMED, UNTOLD, Hello
from .outcomes import Hit, Lease, Locked, Outcome, Rejected, Unavailable
from .spelling import NORMALISED, plain, tag

MAX_LEASES: Final = 1024
"""Leases remembered per peer, for a late `cancel`: far more than can be out at once."""

SAMPLES: Final = 1024
"""Latest times kept per verb: enough for a 99th percentile, sorted in a moment."""

RESTART_SECONDS: Final = 1.0
"""What those who wait are told when the daemon stops: it is back by then."""

STOPPING: Final = ("shutdown", "the cache daemon stops")
"""Error for whatever is asked from then on."""

OTHER_SECRET: Final = ("secret", "you work with another secret than this daemon")
"""Error for a peer that asks for what is made with the secret, and has another."""

OVERLOAD: Final = ("overload", "too many requests in flight")
"""Error for who asks on while nothing is answered."""

"""Error for who wants to change a box during an upgrade."""

WORKER_NOTICES: Final = frozenset({"all", "sessions", "account"})
"""Kinds of flush after which workers must drop their own copies."""

LOCK_NOTICES: Final = frozenset({"all", "lockouts"})
"""Kinds of flush after which workers must forget what they know of failed logins."""


class Peer(Hashable, Protocol):
    """Who is at the other end of a connection, as far as the service needs to know.

    Attributes:
        tickets: Waiting requests by id.
        leases: Keys and tokens of leases granted to it, by the id of the request.
        copies: Whether it may have copies of what is held here; it was told the epoch then.
        spells: Whether it knows of spellings, and so takes a hit that tells of one.
        using: Digest of the live settings of a worker; None while it has not said.
        tag: Of the secret that it works with; None as long as it has told none.
        differs: Whether that is another than the daemon's.
        hello: What it said of itself; None of a worker of a version before that, and of `cachectl`.
    """

    tickets: dict[int, Ticket]
    leases: dict[int, tuple[bytes, bytes]]
    copies: bool
    spells: bool
    using: bytes | None
    tag: bytes | None
    differs: bool
    hello: Hello | None

    def send(self, message: wire.Reply | wire.Notice) -> None:
        """Send, not later than in the next round of the loop."""

    def flush(self) -> None:
        """Send now what was not sent yet."""


class Reloading(Protocol):
    """The settings of this process."""

    @property
    def digest(self) -> bytes:
        """What tells those that hold now from others."""

    def reload(self) -> Mapping[str, object]:
        """Read them again and go by them; say what became of which.

        Raises:
            ConfigurationError: One is wrong; nothing has changed.
        """


def _has_room(peer: Peer, number: int) -> bool:
    """Return whether a peer may have one more request waiting.

    Raises:
        RemoteProtocolError: One with the same id is.
    """
    if number in peer.tickets:
        raise RemoteProtocolError("an id is used for two requests at once")
    return len(peer.tickets) < wire.MAX_IN_FLIGHT


def _spelled(peer: Peer, account: bytes) -> bytes:
    """Return an account's key as the engine has it spelled, and note who knows of spellings."""
    spelling = tag(account)
    peer.spells = peer.spells or bool(spelling)
    return plain(account) if spelling == NORMALISED else account


def _hit(peer: Peer, hit: Hit) -> tuple[bytes, float, float, *tuple[bytes, ...]]:
    """Return the fields of a hit, with the spelling for those who know of any."""
    if hit.spelling is None or not peer.spells:
        return hit.value, hit.expires_in, hit.idle
    return hit.value, hit.expires_in, hit.idle, hit.spelling


class Times:
    """How long the latest requests of one verb took."""

    __slots__ = ("_ring", "total")

    def __init__(self) -> None:
        self.total = 0
        self._ring = array("d", bytes(8 * SAMPLES))

    def add(self, seconds: float) -> None:
        """Take note of one request."""
        self._ring[self.total % SAMPLES] = seconds
        self.total += 1

    def summary(self) -> dict[str, object]:
        """Return total, median and 99th percentile (microseconds; None before the first)."""
        latest = sorted(self._ring[: min(self.total, SAMPLES)])
        return {
            "total": self.total,
            "p50_us": _percentile(latest, 0.50),
            "p99_us": _percentile(latest, 0.99),
        }


def _changes(peer: Peer) -> int:
    return UNTOLD if peer.hello is None else peer.hello.changes


def _percentile(ordered: list[float], part: float) -> float | None:
    if not ordered:
        return None
    return ordered[max(math.ceil(part * len(ordered)) - 1, 0)] * 1e6


class Service:
    """All verbs.

    Args:
        engine: Decides.
        version: Of the program, for `ping`.
        pid: Of the process, for `ping`.
        facts: Returns the statistics that are not the engine's and not of requests.
        reloading: The daemon's settings.

    Attributes:
        peers: Everybody connected; kept by whoever accepts connections.
        times: Per verb; kept by whoever knows when a request began and ended.
        touched: Whether `settle` is due: something happened that others may wait for.
        changed: Whether anything happened since it was last reset that a snapshot would show.
        urgent: Whether a snapshot should show it soon: a crash must undo no flush.
        on_differing: Called when somebody turns out to work with another secret.
        on_dropped: Called when sessions were dropped on purpose, before anybody is told.
    """

    def __init__(
        self,
        engine: Engine,
        version: str,
        pid: int,
        facts: Callable[[], dict[str, object]],
        reloading: Reloading,
    ) -> None:
        self.peers: set[Peer] = set()
        self.times = {verb: Times() for verb in wire.ARGUMENTS}
        self.touched = False
        self.changed = False
        self.urgent = False
        self._engine = engine
        # Workers must not serve an old password from their copies.
        engine.on_replaced = self._dropped
        self.on_dropped: Callable[[], None] = lambda: None
        self.on_differing: Callable[[], None] = lambda: None
        self._tag: bytes | None = None
        self._version = version
        self._pid = pid
        self._facts = facts
        self._reloading = reloading
        self._asked: dict[Ticket, tuple[Peer, int]] = {}
        self._stopping = False
        self._verbs: dict[str, Callable[..., wire.Reply]] = {
            "hello": self._hello,
            "acquire": self._acquire,
            "fulfil": self._fulfil,
            "bring": self._bring,
            "release": self._release,
            "fail": self._fail,
            "forget": self._forget,
            "share": self._share,
            "answer": self._answer,
            "abstain": self._abstain,
            "keep": self._keep,
            "find": self._find,
            "peek": self._peek,
            "peek_answer": self._peek_answer,
            "count_shape": self._count_shape,
            "put_answer": self._put_answer,
            "end_handle": self._end_handle,
            "end_session": self._end_session,
            "cancel": self._cancel,
            "secret": self._secret,
            "ping": self._ping,
            "stats": self._stats,
            "sessions": self._sessions,
            "lockouts": self._lockouts,
            "flush": self._flush,
            "unlock": self._unlock,
            "unlock_source": self._unlock_source,
            "erase": self._erase,
            "using": self._using,
            "reload": self._reload,
        }

    def handle(self, peer: Peer, request: wire.Request) -> wire.Reply:
        """Carry out a request and return its first reply.

        Raises:
            RemoteProtocolError: Its id is that of another request that waits.
        """
        refused = wire.refusal(request)
        if refused is not None:
            return wire.Reply(request.id, "error", refused)
        if self._stopping:
            return wire.Reply(request.id, "error", STOPPING)
        if peer.differs and request.verb in wire.SEALED:
            return wire.Reply(request.id, "error", OTHER_SECRET)
        return self._verbs[request.verb](peer, request.id, *request.args)

    def learn_secret(self, tag: bytes) -> None:
        """Take note of the secret that this daemon works with, and tell those who told theirs."""
        self._tag = tag
        for peer in self.peers:
            if peer.tag is not None:
                self._compare(peer)
                peer.send(wire.Notice("secret", (tag,)))

    def settle(self) -> None:
        """Send what is due to those who wait."""
        self.touched = False
        for ticket, outcome in self._engine.settle():
            peer, number = self._asked.pop(ticket)
            del peer.tickets[number]
            peer.send(self._reply(peer, number, ticket.key, outcome))

    def drop(self, peer: Peer) -> None:
        """Forget a peer whose connection is gone; what it held goes to those who wait."""
        self.peers.discard(peer)
        for ticket in peer.tickets.values():
            del self._asked[ticket]
        peer.tickets.clear()
        self._engine.drop_holder(peer)
        self.touched = True

    def stop(self) -> None:
        """Tell those who wait that they wait in vain, and refuse everything from now on."""
        self._stopping = True
        for ticket, (peer, number) in self._asked.items():
            self._engine.withdraw(ticket)
            peer.tickets.clear()
            peer.send(wire.Reply(number, "unavailable", ("shutdown", RESTART_SECONDS)))
        self._asked.clear()
        self._engine.stop()

    def acquire(
        self, peer: Peer, number: int, key: bytes, account: bytes, source: str, budget: bytes
    ) -> bytes | None:
        """Look up `key` for a request that `quick` found in order; return the frame of the reply.

        Returns:
            None when it must not be looked up now: `handle` says why.
        """
        if self._stopping or peer.differs or number in peer.tickets:
            return None
        if len(peer.tickets) >= wire.MAX_IN_FLIGHT:
            return None
        if not peer.copies:
            self._greet(peer)
        answer = self._engine.acquire(key, _spelled(peer, account), source, peer, budget)
        if type(answer) is Hit:
            return quick.hit_frame(number, *_hit(peer, answer))
        return wire.encode(self._first_reply(peer, number, key, answer))

    def _hello(
        self,
        peer: Peer,
        number: int,
        name: str,
        pid: int,
        program: str,
        least: int,
        most: int,
        changes: int,
        *_newer: wire.Scalar,
    ) -> wire.Reply:
        peer.hello = Hello(name, pid, program, least, most, changes)
        versions = LEAST_PROTOCOL, PROTOCOL, CHANGES
        return wire.Reply(number, "ok", (self._version, self._pid, *versions, self._mixed(peer)))

    def _connected(self, peer: Peer | None = None) -> list[Peer]:
        """Return all workers, and a peer that is about to be one.

        1. Who said hello. 2. Who asked for what only workers keep copies of: of a version before.
        """
        known = self.peers if peer is None else {*self.peers, peer}
        return [one for one in known if one.hello or one.copies or one is peer]

    def _mixed(self, peer: Peer | None = None) -> int:
        """Return how many workers cannot make changes together with this daemon."""
        told = [_changes(one) for one in self._connected(peer)]
        return sum(changes != CHANGES for changes in told)

    def _acquire(
        self, peer: Peer, number: int, key: bytes, account: bytes, source: str, budget: bytes
    ) -> wire.Reply:
        if not _has_room(peer, number):
            return wire.Reply(number, "error", OVERLOAD)
        self._greet(peer)
        answer = self._engine.acquire(key, _spelled(peer, account), source, peer, budget)
        return self._first_reply(peer, number, key, answer)

    def _share(self, peer: Peer, number: int, key: bytes, account: bytes) -> wire.Reply:
        if not _has_room(peer, number):
            return wire.Reply(number, "error", OVERLOAD)
        self._greet(peer)
        answer = self._engine.answers.share(key, account, peer)
        return self._first_reply(peer, number, key, answer)

    def _first_reply(
        self, peer: Peer, number: int, key: bytes, answer: Outcome | Ticket
    ) -> wire.Reply:
        if not isinstance(answer, Ticket):
            return self._reply(peer, number, key, answer)
        peer.tickets[number] = answer
        self._asked[answer] = peer, number
        self.touched = True
        return wire.Reply(number, "waiting")

    def _reply(self, peer: Peer, number: int, key: bytes, outcome: Outcome) -> wire.Reply:
        match outcome:
            case Hit():
                return wire.Reply(number, "hit", _hit(peer, outcome))
            case Lease(token, lasts):
                # A lease's end may be the next thing due.
                self.touched = True
                if len(peer.leases) >= MAX_LEASES:
                    del peer.leases[next(iter(peer.leases))]
                peer.leases[number] = key, token
                return wire.Reply(number, "lease", (token, lasts))
            case Rejected():
                return wire.Reply(number, "rejected")
            case Unavailable(reason, retry_after):
                return wire.Reply(number, "unavailable", (reason, retry_after))
            case Locked(retry_after, account_for, source_for):
                return wire.Reply(number, "locked", (retry_after, account_for, source_for))

    def _fulfil(
        self, peer: Peer, number: int, key: bytes, token: bytes, value: bytes, ttl: float
    ) -> wire.Reply:
        done = self._engine.fulfil(key, token, value, ttl)
        return self._decided(peer, number, token, done=done)

    def _bring(
        self,
        peer: Peer,
        number: int,
        key: bytes,
        token: bytes,
        value: bytes,
        ttl: float,
        idle: float,
        spelling: bytes | None = None,
    ) -> wire.Reply:
        if self._engine.bring(key, token, value, ttl, idle, spelling):
            return self._decided(peer, number, token, done=True)
        # The lease may still be good.
        return wire.Reply(number, "lost")

    def _release(self, peer: Peer, number: int, key: bytes, token: bytes) -> wire.Reply:
        self._engine.release(key, token)
        return self._decided(peer, number, token, done=True)

    def _fail(
        self, peer: Peer, number: int, key: bytes, token: bytes, reason: str, retry_after: float
    ) -> wire.Reply:
        done = self._engine.fail(key, token, reason, retry_after)
        return self._decided(peer, number, token, done=done)

    def _decided(
        self, peer: Peer, number: int, token: bytes, *, done: bool, changed: bool = True
    ) -> wire.Reply:
        for asked, (_, held) in peer.leases.items():
            if held == token:
                del peer.leases[asked]
                break
        self.touched = True
        self.changed = self.changed or changed
        return wire.Reply(number, "ok" if done else "lost")

    def _answer(
        self, peer: Peer, number: int, key: bytes, token: bytes, value: bytes, ttl: float
    ) -> wire.Reply:
        done = self._engine.answers.answer(key, token, value, ttl)
        return self._decided(peer, number, token, done=done, changed=False)

    def _abstain(
        self, peer: Peer, number: int, key: bytes, token: bytes, reason: str, retry_after: float
    ) -> wire.Reply:
        done = self._engine.answers.abstain(key, token, reason, retry_after)
        return self._decided(peer, number, token, done=done, changed=False)

    def _keep(
        self,
        peer: Peer,
        number: int,
        key: bytes,
        account: bytes,
        session: bytes,
        value: bytes,
        ttl: float,
    ) -> wire.Reply:
        self._greet(peer)
        self.touched = self.changed = True
        kept = self._engine.answers.keep(key, account, session, value, ttl)
        return wire.Reply(number, "ok" if kept else "lost")

    def _find(self, peer: Peer, number: int, key: bytes) -> wire.Reply:
        self._greet(peer)
        note = self._engine.answers.find(key)
        if note is None:
            return wire.Reply(number, "missing")
        return wire.Reply(number, "note", (note.account, note.session, note.value, note.expires_in))

    def _peek(self, peer: Peer, number: int, key: bytes) -> wire.Reply:
        self._greet(peer)
        hit = self._engine.peek(key)
        if hit is None:
            return wire.Reply(number, "missing")
        return wire.Reply(number, "hit", _hit(peer, hit))

    def _peek_answer(self, _peer: Peer, number: int, key: bytes) -> wire.Reply:
        hit = self._engine.answers.peek(key)
        if hit is None:
            return wire.Reply(number, "missing")
        return wire.Reply(number, "hit", (hit.value, hit.expires_in, hit.idle))

    def _count_shape(self, _peer: Peer, number: int, kind: str) -> wire.Reply:
        self._engine.answers.count_shape(kind)
        return wire.Reply(number, "ok")

    def _put_answer(
        self, _peer: Peer, number: int, key: bytes, account: bytes, value: bytes, ttl: float
    ) -> wire.Reply:
        self.touched = True
        stored = self._engine.answers.put(key, account, value, ttl)
        return wire.Reply(number, "ok" if stored else "lost")

    def _end_handle(
        self, _peer: Peer, number: int, key: bytes, account: bytes, session: bytes
    ) -> wire.Reply:
        stays = self._engine.end_handle(key, account, session)
        self.touched = True
        self._dropped(account)
        return wire.Reply(number, "ok", (int(stays),))

    def _end_session(self, _peer: Peer, number: int, key: bytes, account: bytes) -> wire.Reply:
        if self._engine.end_session(key, account):
            self.touched = True
            self._dropped(account)
        return wire.Reply(number, "ok")

    def _forget(self, _peer: Peer, number: int, key: bytes, digest: bytes) -> wire.Reply:
        self.changed = True
        return wire.Reply(number, "ok", (self._engine.forget(key, digest),))

    def _cancel(self, peer: Peer, number: int, target: int) -> wire.Reply:
        ticket = peer.tickets.pop(target, None)
        if ticket is not None:
            del self._asked[ticket]
            self._engine.withdraw(ticket)
        lease = peer.leases.pop(target, None)
        if lease is not None:
            self._engine.release(*lease)
            self.changed = True
        self.touched = True
        return wire.Reply(number, "ok")

    def _secret(self, peer: Peer, number: int, tag: bytes | None) -> wire.Reply:
        """Compare secrets. Who knows none is told whether anybody holds one, and is not compared.

        1. Both have one: they are the same, or the peer is refused what is made with it.
        2. The peer tells none, or the daemon has none yet: nothing is known, so nothing differs.
        """
        held = self._tag is not None or any(one.tag is not None for one in self.peers)
        if tag is not None:
            peer.tag = tag
            self._compare(peer)
        return wire.Reply(number, "ok", (self._tag, int(held)))

    def _compare(self, peer: Peer) -> None:
        peer.differs = (
            peer.tag is not None
            and self._tag is not None
            and not hmac.compare_digest(peer.tag, self._tag)
        )
        if peer.differs:
            self.on_differing()

    def _ping(self, _peer: Peer, number: int) -> wire.Reply:
        return wire.Reply(number, "ok", (self._version, self._pid))

    def _stats(self, _peer: Peer, number: int) -> wire.Reply:
        stats: dict[str, Any] = {
            "pid": self._pid,
            "version": self._version,
            "limit_frame_bytes": wire.MAX_REQUEST_BYTES,
            "secret_known": int(self._tag is not None),
            "secrets_differ": sum(peer.differs for peer in self.peers),
            **self._engine.stats(),
            **self._facts(),
            **self._workers(),
            "mixed": self._mixed(),
            "versions": self._listed(),
            "requests": {verb: times.summary() for verb, times in self.times.items()},
        }
        return wire.Reply(number, "ok", (stats,))

    def _listed(self) -> list[Mapping[str, object]]:
        listed = [
            {
                **(UNNAMED if peer.hello is None else peer.hello.listed()),
                "secret_differs": int(peer.differs),
                "settings_differ": int(self._goes_by_others(peer)),
                "changes_differ": int(_changes(peer) != CHANGES),
            }
            for peer in self._connected()
        ]
        return sorted(listed, key=lambda one: (str(one["name"]), str(one["pid"])))

    def _sessions(self, _peer: Peer, number: int, limit: int) -> wire.Reply:
        return wire.Reply(number, "ok", self._engine.sessions(limit))

    def _lockouts(self, _peer: Peer, number: int, limit: int) -> wire.Reply:
        return wire.Reply(number, "ok", self._engine.lockouts(limit))

    def _flush(self, _peer: Peer, number: int, what: str, account: bytes | None) -> wire.Reply:
        dropped = self._engine.flush(what, account)
        self.touched = self.changed = True
        if what in LOCK_NOTICES:
            self._unlocked()
        if what in WORKER_NOTICES:
            self._dropped(account)
        return wire.Reply(number, "ok", dropped)

    def _greet(self, peer: Peer) -> None:
        """Tell a peer the epoch before its first answer, so that it can judge its copies."""
        if not peer.copies:
            peer.copies = True
            peer.send(wire.Notice("epoch", self._engine.epoch))

    def _dropped(self, account: bytes | None) -> None:
        self._tell_workers(wire.Notice("flushed", (account, self._engine.epoch.drops)))

    def _tell_workers(self, notice: wire.Notice) -> None:
        """Tell all who may have copies that something was dropped, whatever becomes of us then."""
        self.changed = self.urgent = True
        self.on_dropped()
        self._tell(notice)

    def _unlocked(self, budget: bytes | None = None, source: str | None = None) -> None:
        """Tell workers to forget what they count, and the locks that they keep for our absence."""
        self.touched = self.changed = True
        self._tell(wire.Notice("unlocked", (budget, source)))

    def _tell(self, notice: wire.Notice) -> None:
        for peer in self.peers:
            if peer.copies:
                peer.send(notice)
                # On its way before the reply is.
                peer.flush()

    def _unlock(self, _peer: Peer, number: int, budget: bytes) -> wire.Reply:
        dropped = self._engine.unlock(budget)
        self._unlocked(budget=budget)
        return wire.Reply(number, "ok", (dropped,))

    def _unlock_source(self, _peer: Peer, number: int, source: str) -> wire.Reply:
        dropped = self._engine.unlock_source(source)
        self._unlocked(source=source)
        return wire.Reply(number, "ok", (dropped,))

    def _erase(self, _peer: Peer, number: int, account: bytes, budget: bytes) -> wire.Reply:
        erased = self._engine.erase(account, budget)
        self.touched = True
        self._tell_workers(wire.Notice("erased", (account, budget, self._engine.epoch.drops)))
        return wire.Reply(number, "ok", (erased._asdict(),))

    def _using(self, peer: Peer, number: int, settings: bytes) -> wire.Reply:
        # 1. Its first word on this connection: what it missed while it had none comes now. 2. A
        # later one is what came of reading the settings: to ask again would change nothing.
        missed = peer.using is None and settings != self._reloading.digest
        if peer.using not in {None, settings}:
            # Until now it may have rejected accounts that were not on its list.
            self._engine.forget_rejections()
        peer.using = settings
        if missed:
            peer.send(wire.Notice("reload", ()))
        return wire.Reply(number, "ok", (int(self._goes_by_others(peer)),))

    def _goes_by_others(self, peer: Peer) -> bool:
        return peer.using not in {None, self._reloading.digest}

    def _reload(self, _peer: Peer, number: int) -> wire.Reply:
        try:
            changes = self._reloading.reload()
        except ConfigurationError as exc:
            return wire.Reply(number, "error", ("settings", str(exc)))
        self.touched = True
        # To all: one whose own reading failed, as the file was half written, reads again.
        for peer in self.peers:
            if peer.using is not None:
                peer.send(wire.Notice("reload", ()))
                peer.flush()
        return wire.Reply(number, "ok", (changes,))

    def _workers(self) -> dict[str, object]:
        """Return how many workers are connected, and how many go by other settings."""
        return {
            "workers": sum(peer.using is not None for peer in self.peers),
            "workers_differing": sum(self._goes_by_others(peer) for peer in self.peers),
        }
