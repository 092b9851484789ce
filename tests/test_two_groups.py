"""Two groups that share one storage, behind Caddy, with the files of docs/deploy.

`pytest -s tests/test_two_groups.py` prints the figures that docs/capacity.md quotes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest

from server.settings.places import ROOT
from server.settings.table import Settings
from server.shared_secret import look_at_storage
from server.storage_address import StorageAddress

from .front_proxies import DEPLOY
from .groups import (
    LIVE_TTL,
    LOGIN_BURST,
    LOGINS_PER_SECOND,
    WORKERS,
    Group,
    Paced,
    deployed_storage,
    two_groups,
)
from .judged_load import PASSWORD, Account, Load, accounts, code_of
from .waiting import PATIENCE, SLOW_MACHINE, wait_until

pytestmark = pytest.mark.timeout(180)

OWNERS = 4
"""Who read all the time in a test under load."""

NEWCOMERS = 150
"""Who are there to log in meanwhile, more than the pace lets in."""

SOME = 60
"""Answers after which a load has begun, or has gone on."""

NOTICED = 0.5
"""Seconds within which Caddy has noticed that its idle connections to a dead host are gone."""

UNDER_WAY = 4
"""Logins that may be under way (`OIG_LOGINS_AT_ONCE`): begun within the pace, they come late."""

ALONE = WORKERS * 2 * 3
"""Logins that the workers may add to the pace while the storage is away, each by its own."""


def figure(text: str) -> None:
    """Write what was measured, for who looks (`-s`)."""
    sys.stdout.write(f"{text}\n")


@pytest.fixture(scope="module")
def storage():
    with deployed_storage() as started:
        yield started


@pytest.fixture(scope="module")
def both(storage):
    with two_groups(storage.url) as started:
        yield started


@pytest.fixture
def groups(both):
    for group in both.both:
        if not group.is_running:
            group.start()
    both.wait_ready()
    both.portal.clear_faults()
    return both


@pytest.fixture
def account(groups, request) -> Account:
    """Give an account of the test's own."""
    name = request.node.name.replace("_", "-")
    (made,) = accounts(groups.portal, name[:60], 1)
    return made


async def asked(
    groups: Sequence[Group], account: Account, times: int, tool: str, password: str = PASSWORD
) -> list[dict[str, Any]]:
    """Call groups at once, each so many times over connections of their own."""
    login = base64.b64encode(f"{account.email}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Accept": "application/json"}
    params = {"name": tool, "arguments": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE, limits=limits) as client:
        calls = [
            client.post(group.url, json=body, headers=headers)
            for _ in range(times)
            for group in groups
        ]
        return [answer.json()["result"] for answer in await asyncio.gather(*calls)]


@pytest.mark.parametrize("name", ["valkey"])  # of the other one are the groups
def test_the_files_for_two_hosts_run_valkey_as_well(name, tmp_path):
    with deployed_storage(name) as storage:
        address = StorageAddress.read(storage.url)
        seen = look_at_storage(Settings(cache_url=address, login="chat", state_dir=tmp_path))
        assert seen is not None
        assert seen.away is None


def test_the_user_in_redis_conf_has_the_rights_that_settings_name():
    (given,) = re.findall(r"(?m)^user oig on >\S+ (.*)$", (DEPLOY / "redis.conf").read_text())
    settings = (ROOT / "docs" / "settings.md").read_text()
    (named,) = re.findall(r"(?m)^ACL SETUSER oig on >\S+ (.*)$", settings)
    assert given == named


def test_two_hundred_misses_at_once_over_both_groups_are_one_login(groups, account):
    groups.portal.fault("slow", latency=0.3, logins=1, email=account.email)
    begun = time.monotonic()
    results = asyncio.run(asked(groups.both, account, 100, "check_auth"))
    took = time.monotonic() - begun
    found = Counter(code_of(one) or one["structuredContent"]["cache_status"] for one in results)
    assert found == {"new_session_created": 1, "session_from_cache": 199}
    assert groups.portal.logins(account.email)["attempts"] == 1
    figure(f"200 misses over both groups: 1 login of 0.3 s, all answered after {took:.2f} s")


def test_ten_assistants_on_both_groups_cost_one_request(groups, account):
    asyncio.run(asked(groups.both, account, 1, "check_auth"))
    before = groups.portal.state()["requests"]["live"]
    results = asyncio.run(asked(groups.both, account, 5, "get_live_data"))
    assert [code_of(one) for one in results] == [None] * 10
    readings = [one["structuredContent"] for one in results]
    assert {one["box_id"] for one in readings} == {account.box}
    assert Counter(one["source"] for one in readings) == {"live": 1, "cached": 9}
    assert groups.portal.state()["requests"]["live"] == before + 1


def test_a_lock_made_at_one_group_is_a_lock_at_the_other(groups, account):
    lock(groups, account)
    assert groups.portal.logins(account.email)["attempts"] == 5


def lock(groups, account: Account) -> None:
    """Lock an account at one group, and see that it is locked at each worker of both."""
    one, other = groups.both
    for number in range(5):
        at(one, account, f"wrong {number}")
    for group in (other, one):
        assert group.of_each(lambda of=group: at(of, account)) == ["locked"] * WORKERS


def at(group: Group, account: Account, password: str = PASSWORD) -> str | None:
    """Check a login at one group, over a connection of its own; return the code of its error."""
    return code_of(asyncio.run(asked([group], account, 1, "check_auth", password))[0])


@pytest.fixture
def load(groups, account, request):
    """Give callers who are about to begin: owners with a session, newcomers, and one locked.

    Each worker has seen the sessions and the lock, and has copies of them.
    """
    name = request.node.name.replace("_", "-")[:40]
    owners = accounts(groups.portal, f"{name}-owner", OWNERS)
    newcomers = accounts(groups.portal, f"{name}-new", NEWCOMERS)
    lock(groups, account)
    for group in groups.both:

        def all_read(of: Group = group) -> set[str | None]:
            return {at(of, owner) for owner in owners}

        assert group.of_each(all_read) == [{None}] * WORKERS
    return Load(groups.front, owners, newcomers, account, LIVE_TTL)


def goes_on(load: Load, paced: Paced) -> None:
    """Wait until there were some more answers."""
    goal = load.answered + SOME
    wait_until("callers are answered", lambda: paced.look() is not None and load.answered >= goal)


def replaced(group: Group, load: Load, paced: Paced) -> None:
    """Stop a group, and start another version of it, while callers go on."""
    group.stop()
    goes_on(load, paced)
    group.run_as("0.0.1")
    group.start()
    group.wait_ready()
    goes_on(load, paced)


def test_an_upgrade_of_a_group_fails_no_call(groups, load):
    paced = Paced(groups.portal)
    begun = time.monotonic()
    with load:
        goes_on(load, paced)
        replaced(groups.both[0], load, paced)
    unharmed(groups, load, paced)
    figure(f"upgrade of a group, {time.monotonic() - begun:.1f} s: {load.summary()}")


@pytest.mark.load
@pytest.mark.timeout(600)
def test_an_upgrade_of_one_group_after_the_other_and_restarted_workers_fail_no_call(groups, load):
    paced = Paced(groups.portal)
    begun = time.monotonic()
    with load:
        goes_on(load, paced)
        for group in groups.both:
            replaced(group, load, paced)
        for group in groups.both:
            done = group.run(sys.executable, "-m", "server.supervision", "restart-workers")
            assert done.returncode == 0, done.stderr
            goes_on(load, paced)
    unharmed(groups, load, paced)
    figure(
        "upgrade of both groups, and restart-workers of both, "
        f"{time.monotonic() - begun:.1f} s: {load.summary()}"
    )


def unharmed(
    groups, load: Load, paced: Paced, over: int = 0, serving: Sequence[Group] | None = None
) -> None:
    """Assert that nothing was wrong or lost, that logins kept their pace, and sessions are there.

    Args:
        groups: Both.
        load: The callers, who are done.
        paced: The looks at the portal.
        over: How many logins more than the pace there may have been.
        serving: The groups that serve; both unless given.
    """
    assert load.wrong == []
    assert load.lost == [], errors_in(groups.front.logs())
    assert paced.most_over(LOGINS_PER_SECOND, LOGIN_BURST) <= UNDER_WAY + over
    for group in groups.both if serving is None else serving:
        assert {at(group, owner) for owner in load.owners} == {None}
        assert at(group, load.locked) == "locked"
    counts = groups.portal.state()["logins"]["accounts"]
    assert {counts[owner.email]["attempts"] for owner in load.owners} == {1}


def errors_in(logs: str) -> list[str]:
    """Return what the last lines of Caddy say of what it could not do."""
    lines = [json.loads(line) for line in logs.splitlines() if '"level":"error"' in line]
    return [f"{line['msg']} after {line.get('duration')} s" for line in lines[-5:]]


def test_a_primary_that_is_killed_costs_no_answer_and_no_session(groups, load, storage):
    paced = Paced(groups.portal)
    with load:
        goes_on(load, paced)
        back = killed(storage, groups, paced)
        goes_on(load, paced)
    unharmed(groups, load, paced, ALONE)
    assert back < 15 + SLOW_MACHINE
    figure(f"the primary killed with -9, shared again after {back:.1f} s: {load.summary()}")


def killed(storage, groups, paced: Paced) -> float:
    """Kill the primary; return after how many seconds all workers share again, and start it."""
    primary = next(one for one in storage.servers if storage.is_primary(one))
    before = [log.count("the cache is back") for log in logs(groups)]
    primary.kill()
    begun = time.monotonic()

    def all_share() -> bool:
        paced.look()
        now = [log.count("the cache is back") for log in logs(groups)]
        return all(new > old for new, old in zip(now, before, strict=True))

    wait_until("all workers share again", all_share)
    took = time.monotonic() - begun
    primary.start()
    return took


def test_a_group_that_is_killed_costs_what_was_under_way_there_and_nothing_else(groups, load):
    paced = Paced(groups.portal)
    one, other = groups.both
    with load:
        goes_on(load, paced)
        one.kill()
        gone = time.monotonic() + NOTICED
        goes_on(load, paced)
    under_way = [each for each in load.lost if each[0] < gone]
    load.lost = [each for each in load.lost if each[0] >= gone]
    # Of each caller the call that was under way, and one that met a connection just dead: of the
    # owners, of the newcomers one after another, and of the locked one.
    assert len(under_way) <= 2 * (OWNERS + 2)
    unharmed(groups, load, paced, serving=[other])
    figure(f"a group killed with -9, {len(under_way)} calls under way there: {load.summary()}")


def logs(groups) -> list[str]:
    return [log for group in groups.both for log in group.logs_of_workers()]
