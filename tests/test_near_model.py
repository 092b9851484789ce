"""Random changes by three workers and an operator: no near copy says other than the daemon does.

Now and then, a worker reads nothing of what the daemon sends while something is dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from server.cache.blocking import BlockingClient
from server.state.vocabulary import (
    REJECTED,
    Ask,
    Fail,
    Forget,
    Found,
    Fulfil,
    Get,
    Hit,
    Lease,
    Outcome,
    Put,
)

from .cache_process import PATIENCE, CacheProcess, running_cache
from .daemon_worker import Worker, bounded

KEYS = [bytes([number]) * 32 for number in range(1, 3)]
WRONG = [bytes([number]) * 32 for number in range(100, 120)]
QUESTIONS = [bytes([number]) * 32 for number in range(200, 202)]
SOURCES = ["192.0.2.1", "198.51.100.7"]
SETTINGS = {
    "OIG_LOGINS_PER_SECOND": "100000",
    "OIG_LOGIN_BURST": "100000",
    "OIG_LOGINS_AT_ONCE": "1000",
    "OIG_WRONG_ACCOUNTS_PER_SOURCE": "0",
}

workers, keys = st.integers(0, 1), st.sampled_from(KEYS)
sources, questions = st.sampled_from(SOURCES), st.sampled_from(QUESTIONS)


class Near(RuleBasedStateMachine):
    """Two workers keep near copies. A third one keeps none: what it is given is right.

    Attributes:
        hangs: How often a worker may yet stop reading, for which the daemon waits each time.
    """

    cache: CacheProcess
    loop: asyncio.AbstractEventLoop
    made = 0
    hits = 0

    @initialize(hangs=st.sampled_from([0, 0, 0, 1]))
    def begin(self, hangs: int) -> None:
        self.hangs = hangs
        Near.made += 1
        self.account = hashlib.sha256(b"%d" % Near.made).digest()
        self.handles = [hashlib.sha256(self.account + key).digest() for key in KEYS]
        self.near = [Worker(self.cache.path, near=True) for _ in range(2)]
        self.right = Worker(self.cache.path)
        self.tokens = 0
        self.known: set[str] = set()
        # All of them have been seen by the daemon before anything changes.
        for one in (*self.near, self.right):
            self.run(one.ping())
        self.log_in(0, KEYS[0], SOURCES[0])

    def teardown(self) -> None:
        for one in (*self.near, self.right):
            Near.hits += one.accounts.near.hits
            self.run(one.aclose())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(bounded(work))

    def ask(self, which: int, request: Any) -> Outcome:
        return self.run(self.near[which].call(request))

    @invariant()
    def nobody_is_given_anything_from_before(self) -> None:
        """Look twice at everything, so that there are copies for the time after the next change."""
        if not hasattr(self, "account"):
            return
        for request in self.looks():
            right = shown(self.run(self.right.call(request)))
            for which in (0, 1):
                given = [shown(self.ask(which, request)) for _ in range(2)]
                assert given == [right, right], request

    def looks(self) -> list[Any]:
        looks: list[Any] = [Get(account=self.account, questions=(one,)) for one in QUESTIONS]
        for key, handle in zip(KEYS, self.handles, strict=True):
            looks += [Get(account=self.account, key=key), Get(handle=handle)]
            found = self.run(self.right.call(looks[-2]))
            if isinstance(found, Found):  # else it would be a lease
                looks += [Ask("login", self.account, key, source) for source in self.known]
        return looks

    # Changes.

    @rule(which=workers, key=keys, source=sources)
    def log_in(self, which, key, source):
        outcome = self.ask(which, Ask("login", self.account, key, source))
        if isinstance(outcome, Lease):
            self.tokens += 1
            value = b"session %d" % self.tokens
            handle = self.handles[KEYS.index(key)]
            record = handle, b"record %d" % self.tokens
            fulfil = Fulfil("login", self.account, key, outcome.token, value, 600.0, *record)
            self.ask(which, fulfil)
        if isinstance(outcome, (Hit, Lease)):
            self.known.add(source)

    @rule(which=workers, key=st.sampled_from(WRONG), source=sources)
    def guess(self, which, key, source):
        lease = self.ask(which, Ask("login", self.account, key, source))
        if isinstance(lease, Lease):
            self.ask(which, Fail("login", self.account, key, lease.token, REJECTED, 0.0))

    @rule(which=workers, question=questions)
    def put_an_answer(self, which, question):
        self.tokens += 1
        self.ask(which, Put("answer", self.account, question, b"answer %d" % self.tokens, 600.0))

    @rule(which=workers, number=st.integers(0, 1))
    def end_a_handle(self, which, number):
        self.ask(which, Forget("handle", self.account, self.handles[number]))

    @rule(which=workers, key=keys)
    def end_a_login(self, which, key):
        self.ask(which, Forget("login", self.account, key))

    @rule(which=workers)
    def forget_the_account(self, which):
        self.ask(which, Forget("account", self.account, budget=self.account))
        self.known.clear()

    @precondition(lambda self: getattr(self, "hangs", 0) > 0)
    @rule(which=workers, what=st.sampled_from(["sessions", "all", "account"]))
    def drop_while_a_worker_does_not_read(self, which, what):
        self.hangs -= 1
        worker = self.near[which]
        looks, renewed_at = self.looks(), worker.remote.renewed_at
        assert renewed_at is not None
        transport = worker.remote._channel._transport
        transport.pause_reading()
        self.operate(what)
        kept = [worker.accounts.near.find(one, renewed_at) for one in looks]
        transport.resume_reading()
        assert kept == [None] * len(looks)

    @rule(what=st.sampled_from(["sessions", "lockouts", "all", "account", "unlock"]))
    def operate(self, what):
        def call() -> None:
            with BlockingClient(self.cache.path, PATIENCE) as client:
                if what == "unlock":
                    client.call("unlock", "budget", self.account)
                elif what == "account":
                    client.call("flush", what, self.account)
                else:
                    client.call("flush", what)

        self.run(asyncio.to_thread(call))


def shown(outcome: Outcome) -> object:
    """Return what of an outcome does not depend on the moment."""
    match outcome:
        case Hit(value):
            return value
        case Found(account, record, _, key, session, answers):
            return account, record, key, shown_of(session), tuple(map(shown_of, answers))
    return type(outcome)


def shown_of(hit: Hit | None) -> bytes | None:
    return None if hit is None else hit.value


@pytest.mark.parametrize("examples", [3, pytest.param(300, marks=pytest.mark.load)])
def test_no_near_copy_says_other_than_the_daemon_whatever_has_changed(examples):
    Near.hits = 0
    with running_cache(settings=SETTINGS) as cache:
        Near.cache, Near.loop = cache, asyncio.new_event_loop()
        bounds = settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        try:
            run_state_machine_as_test(Near, settings=bounds)
        finally:
            Near.loop.close()
    assert Near.hits > 0, "nothing was answered from near copies"
