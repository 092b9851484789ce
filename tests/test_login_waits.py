"""Which logins of a worker may wait, and which gives way to another."""

import asyncio

from server.auth.login_waits import MAX_WAITING_OF_SOURCE, LoginWaits
from server.errors import CacheBusy
from server.http.signals import notify_on_wait
from server.state.fallback import TRY_LATER, WorkerAccounts
from server.state.vocabulary import Ask, Lease

from .local_accounts import local_accounts
from .test_fallback import Remote

KEYS = [bytes([number]) * 32 for number in range(200)]
ACCOUNT = b"a" * 32


def begun(waits, source, key):
    answer = asyncio.get_running_loop().create_future()
    waits.begin(source, key, answer)
    return answer


def is_refused(answer):
    return answer.done() and isinstance(answer.exception(), CacheBusy)


async def settled():
    await asyncio.sleep(0)  # for the callbacks of futures


async def test_the_queued_logins_of_a_source_are_limited_and_the_callers_of_each_are_not():
    waits = LoginWaits(1000, lambda host: host)
    answers = [begun(waits, "192.0.2.1", key) for key in KEYS[:MAX_WAITING_OF_SOURCE]]
    assert is_refused(begun(waits, "192.0.2.1", KEYS[-1]))
    same = [begun(waits, "192.0.2.1", KEYS[0]) for _ in range(50)]
    assert not any(map(is_refused, [*answers, *same, begun(waits, "192.0.2.2", KEYS[0])]))
    # One ends by an answer, one since its caller goes, one by a failure.
    answers[1].set_result(None)
    answers[2].cancel()
    answers[3].set_exception(OSError())
    answers[3].exception()
    answers[0].cancel()  # others wait for that login still
    await settled()
    more = [begun(waits, "192.0.2.1", key) for key in KEYS[100:104]]
    assert [is_refused(one) for one in more] == [False, False, False, True]


async def test_the_sources_of_a_network_share_a_limit_and_exempt_ones_have_none():
    waits = LoginWaits(1000, lambda host: None if host.startswith("10.") else host)
    found = [begun(waits, f"192.0.2.{n // 10}", key) for n, key in enumerate(KEYS[:101])]
    assert [is_refused(one) for one in found] == [False] * 100 + [True]
    assert not any(is_refused(begun(waits, "10.0.0.1", key)) for key in KEYS[:150])


async def test_the_oldest_waiter_of_the_largest_network_is_evicted_when_the_queue_is_full():
    waits = LoginWaits(6)
    alone = begun(waits, "203.0.113.9", KEYS[0])
    many = [begun(waits, f"192.0.2.{n}", KEYS[n]) for n in range(1, 6)]
    same = begun(waits, "192.0.2.1", KEYS[1])
    late = [begun(waits, f"198.51.{n}.7", KEYS[n]) for n in range(10, 13)]
    assert [is_refused(one) for one in many] == [True, True, True, False, False]
    assert is_refused(same)
    assert not any(map(is_refused, [alone, *late]))
    await settled()
    assert waits.logins == 6
    for one in [alone, *many, *late]:
        one.cancel()
    await settled()
    assert waits.logins == 0


async def test_the_layers_around_a_message_learn_that_it_waits():
    told = []
    with notify_on_wait(lambda: told.append("outer")):
        with notify_on_wait(lambda: told.append("inner")):
            await asyncio.create_task(asyncio.sleep(0, begun(LoginWaits(), "192.0.2.1", KEYS[0])))
        assert told == ["outer", "inner"]
        begun(LoginWaits(), "192.0.2.1", KEYS[0])
    begun(LoginWaits(), "192.0.2.1", KEYS[0])
    assert told == ["outer", "inner", "outer"]


async def test_the_same_limits_apply_without_the_daemon_and_evicted_waiters_leave_the_queue():
    local = local_accounts()
    accounts = WorkerAccounts(Remote(), local, LoginWaits(2).begin)
    first = await accounts.call(Ask("login", ACCOUNT, KEYS[0], "192.0.2.1"))
    assert isinstance(first, Lease)
    waiting = [
        asyncio.create_task(accounts.call(Ask("login", bytes([n]) * 32, KEYS[n], f"198.51.{n}.7")))
        for n in range(1, 7)
    ]
    while not any(one.done() and one.result() == TRY_LATER for one in waiting):  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert local.upkeep.stats()["waiting"] == 2
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert local.upkeep.stats()["waiting"] == 0
    await accounts.stop()
