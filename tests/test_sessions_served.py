"""Sessions, handles and passwords over two workers and a daemon that comes and goes."""

import asyncio
import base64
import re
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from server.cache.blocking import BlockingClient
from server.tool_failure import KEY

from .fleet import post, running_fleet
from .waiting import PATIENCE, wait_until


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    journal = tmp_path_factory.mktemp("journal") / "journal.db"
    with running_fleet(2, OIG_CONTROL="on", OIG_JOURNAL=str(journal)) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def looking_fleet():
    """Look at every session before it is handed out."""
    with running_fleet(2, OIG_SESSION_IDLE="0.001") as fleet:
        yield fleet


@pytest.fixture
def email(request, fleet):
    """Have an account of the test's own."""
    return account(fleet, re.sub(r"\W+", "-", request.node.name).strip("-"))


def account(fleet, name):
    email = f"{name}@example.com"
    fleet.portal.add_account(email, "demo")
    return email


def message(tool, arguments):
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def call(fleet, tool, headers=None, **arguments):
    return post(fleet.url, message(tool, arguments), **headers or {}).json()["result"]


async def at_once(fleet, count, tool, **arguments):
    """Call a tool so often at the same time, over connections that both workers take."""
    limits = httpx2.Limits(max_connections=count)
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE, limits=limits) as http:
        sent = (http.post(fleet.url, json=message(tool, arguments)) for _ in range(count))
        return [reply.json()["result"] for reply in await asyncio.gather(*sent)]


def log_in(fleet, email, password="demo"):
    told = call(fleet, "check_auth", email=email, password=password)
    assert not told["isError"], told
    return told["structuredContent"]


def header(email):
    return {"Authorization": "Basic " + base64.b64encode(f"{email}:demo".encode()).decode()}


def code(told):
    return told["_meta"][KEY]["code"] if told["isError"] else None


def rejected(fleet, email):
    """Whether the first password of an account is wrong now."""
    return code(call(fleet, "check_auth", email=email, password="demo")) == "credentials_rejected"


def answers(fleet, handle):
    """What becomes of a handle in each worker: their codes, None for one that is served."""
    return set(fleet.of_each(lambda: code(call(fleet, "list_boxes", session=handle))))


def flush(fleet):
    with BlockingClient(fleet.socket_path) as client:
        client.call("flush", "sessions")


def restarts(fleet):
    """Let each step after the first begin with another daemon."""
    yield
    for end in (signal.SIGKILL, signal.SIGTERM):
        fleet.kill_daemon(end)
        fleet.start_daemon()
        yield


# A session that is handed out works.


def test_a_dead_session_costs_two_hundred_callers_of_two_workers_one_login(looking_fleet):
    email = account(looking_fleet, "dead")
    first = log_in(looking_fleet, email)
    looking_fleet.portal.end_sessions()
    told = asyncio.run(at_once(looking_fleet, 200, "check_auth", email=email, password="demo"))
    results = [one["structuredContent"] for one in told]
    assert Counter(one["cache_status"] for one in results) == {
        "session_from_cache": 199,
        "new_session_created": 1,
    }
    assert looking_fleet.portal.logins(email)["attempts"] == 2
    (handle,) = {one["session"] for one in results} - {first["session"]}
    assert answers(looking_fleet, handle) == {None}


def test_a_live_idle_session_costs_two_hundred_callers_no_login(looking_fleet):
    email = account(looking_fleet, "idle")
    log_in(looking_fleet, email)
    before = looking_fleet.portal.state()["requests"]["live"]
    told = asyncio.run(at_once(looking_fleet, 200, "check_auth", email=email, password="demo"))
    assert {one["structuredContent"]["cache_status"] for one in told} == {"session_from_cache"}
    assert looking_fleet.portal.logins(email)["attempts"] == 1
    # A look counts for a millisecond here, but all of them keep their distance of a second.
    assert 1 <= looking_fleet.portal.state()["requests"]["live"] - before <= 40


@pytest.mark.parametrize("fault", ["error", "drop", "too_many"])
def test_a_portal_failure_causes_a_warning_and_costs_nobody_the_session(looking_fleet, fault):
    email = account(looking_fleet, fault)
    first = log_in(looking_fleet, email)
    looking_fleet.portal.fault(fault, endpoint="live", email=email, requests=1)
    told = log_in(looking_fleet, email)
    assert told["cache_status"] == "session_from_cache"
    assert told["session"] == first["session"]
    (warning,) = told["warnings"]
    assert "may have ended" in warning
    assert looking_fleet.portal.logins(email)["attempts"] == 1


@pytest.mark.parametrize("alive", [True, False])
def test_losing_the_daemon_during_a_look_costs_nobody_anything(looking_fleet, alive):
    fleet = looking_fleet
    email = account(fleet, f"away-{alive}")
    first = log_in(fleet, email)
    if not alive:
        fleet.portal.end_sessions()
    fleet.portal.fault(
        "slow", endpoint="live", email=email if alive else None, latency=0.5, requests=1
    )
    before = fleet.portal.state()["requests"]["live"]
    with ThreadPoolExecutor() as pool:
        told = pool.submit(log_in, fleet, email)
        wait_until("it looks", lambda: fleet.portal.state()["requests"]["live"] > before)
        fleet.kill_daemon()
        status = told.result(PATIENCE)["cache_status"]
    fleet.start_daemon()
    assert status == ("session_from_cache" if alive else "new_session_created")
    assert fleet.portal.logins(email)["attempts"] == (1 if alive else 2)
    handle = told.result()["session"]
    assert (handle == first["session"]) is alive
    wait_until("it is served", lambda: answers(fleet, handle) == {None})


def test_without_a_daemon_a_worker_makes_its_own_look():
    with running_fleet(1, OIG_SESSION_IDLE="0.001") as fleet:
        email = account(fleet, "alone")
        log_in(fleet, email)
        fleet.kill_daemon()
        assert log_in(fleet, email)["warnings"] == []
        fleet.portal.end_sessions()
        told = log_in(fleet, email)
        assert told["cache_status"] == "new_session_created"
        assert code(call(fleet, "list_boxes", session=told["session"])) is None
        assert fleet.portal.logins(email)["attempts"] == 2


def test_a_restarted_daemon_takes_no_session_in_use_for_an_idle_one(fleet, email):
    first = log_in(fleet, email)
    before = fleet.portal.state()["requests"]["live"]
    # Stopped in order: what a killed one knew is there only when a worker has brought it.
    fleet.kill_daemon(signal.SIGTERM)
    fleet.start_daemon()
    told = log_in(fleet, email)
    assert told["cache_status"] == "session_from_cache"
    assert (told["session"], told["warnings"]) == (first["session"], [])
    assert fleet.portal.state()["requests"]["live"] == before


# A handle that has ended, beside a login.


def test_an_ended_handle_is_replaced_only_by_the_header_of_its_own_account(fleet, email):
    handle = log_in(fleet, email)["session"]
    other = log_in(fleet, "demo2@example.com")["session"]
    flush(fleet)
    assert code(call(fleet, "get_live_data", header(email), session=handle)) is None
    for wrong in (other, "oig_x"):
        refused = call(fleet, "get_live_data", header(email), session=wrong)
        assert code(refused) == "session_ended"
        assert "was not used" in refused["content"][0]["text"]


def planned(fleet, handle):
    told = call(fleet, "plan_change", session=handle, mode="Home UPS")
    plan = told["structuredContent"]
    return {name: plan[name] for name in ("plan_token", "box_id", "change")}


def test_no_change_is_applied_by_a_login_in_place_of_an_ended_handle(fleet, email):
    handle = log_in(fleet, email)["session"]
    plan, before = planned(fleet, handle), len(fleet.portal.writes())
    flush(fleet)
    refused = call(fleet, "apply_change", header(email), session=handle, **plan)
    assert code(refused) == "session_ended"
    assert len(fleet.portal.writes()) == before
    # The header by itself is a login like any other.
    assert code(call(fleet, "apply_change", header(email), **plan)) is None
    assert len(fleet.portal.writes()) == before + 1


def test_a_change_is_not_applied_when_the_session_dies_under_its_handle(fleet, email):
    handle = log_in(fleet, email)["session"]
    plan, before = planned(fleet, handle), len(fleet.portal.writes())
    fleet.portal.end_sessions()
    refused = call(fleet, "apply_change", header(email), session=handle, **plan)
    assert code(refused) == "session_ended"
    assert len(fleet.portal.writes()) == before


# Passwords.


@pytest.mark.parametrize("keeps", [True, False], ids=["sessions live on", "sessions end"])
def test_a_new_password_ends_everything_of_the_old_one_in_every_worker_for_good(
    fleet, email, keeps
):
    old = log_in(fleet, email)["session"]
    assert answers(fleet, old) == {None}
    fleet.portal.switch(keeps_sessions=keeps)
    fleet.portal.add_account(email, "newer")
    new = log_in(fleet, email, "newer")["session"]
    for _ in restarts(fleet):
        assert answers(fleet, old) == {"session_ended"}
        assert answers(fleet, new) == {None}
        assert rejected(fleet, email)


def test_a_new_password_used_without_a_daemon_ends_the_old_one_when_it_is_back(fleet, email):
    old = log_in(fleet, email)["session"]
    assert answers(fleet, old) == {None}
    fleet.kill_daemon(signal.SIGTERM)
    fleet.portal.add_account(email, "newer")
    new = log_in(fleet, email, "newer")["session"]
    fleet.start_daemon()
    # Nobody has to ask for it: the worker that logged in looks for the daemon.
    wait_until("the old one has ended", lambda: answers(fleet, old) == {"session_ended"})
    assert answers(fleet, new) == {None}
    assert rejected(fleet, email)


def test_handles_of_an_old_password_stay_ended_when_it_becomes_valid_again(fleet, email):
    old = log_in(fleet, email)["session"]
    for password in ("newer", "demo"):
        fleet.portal.add_account(email, password)
        again = log_in(fleet, email, password)["session"]
    assert answers(fleet, again) == {None}
    assert answers(fleet, old) == {"session_ended"}


@pytest.mark.parametrize("keeps", [True, False], ids=["sessions live on", "sessions end"])
def test_an_old_password_works_until_the_portal_ends_its_session(looking_fleet, keeps):
    email = account(looking_fleet, f"until-{keeps}")
    log_in(looking_fleet, email)
    looking_fleet.portal.switch(keeps_sessions=keeps)
    looking_fleet.portal.add_account(email, "newer")
    if keeps:
        assert log_in(looking_fleet, email)["cache_status"] == "session_from_cache"
        looking_fleet.portal.end_sessions()
    assert rejected(looking_fleet, email)
    assert looking_fleet.portal.logins(email)["attempts"] == 2


def test_an_old_password_works_no_longer_than_a_session_may_last():
    with running_fleet(1, OIG_SESSION_TTL="6") as fleet:
        email = account(fleet, "ttl")
        old = log_in(fleet, email)["session"]
        fleet.portal.add_account(email, "newer")
        assert code(call(fleet, "list_boxes", session=old)) is None
        wait_until("it has ended", lambda: answers(fleet, old) == {"session_ended"})
        assert rejected(fleet, email)


# Logging out.


def test_a_logged_out_handle_is_ended_in_every_worker_for_good(fleet, email):
    handle = log_in(fleet, email)["session"]
    assert answers(fleet, handle) == {None}
    told = call(fleet, "log_out", session=handle)
    assert told["structuredContent"] == {"ended": "handle", "session_kept": False}
    for _ in restarts(fleet):
        assert answers(fleet, handle) == {"session_ended"}
    again = call(fleet, "log_out", session=handle)["structuredContent"]
    assert again == {"ended": "handle", "session_kept": None}
    assert log_in(fleet, email)["cache_status"] == "new_session_created"


def test_logging_out_with_a_login_ends_the_session_and_all_handles(fleet, email):
    for way in ({"headers": header(email)}, {"email": email, "password": "demo"}):
        handle = log_in(fleet, email)["session"]
        told = call(fleet, "log_out", **way)
        assert told["structuredContent"] == {"ended": "login", "session_kept": False}
        assert answers(fleet, handle) == {"session_ended"}
    assert log_in(fleet, email)["cache_status"] == "new_session_created"


def test_without_the_daemon_nothing_is_ended_and_the_result_says_so(fleet, email):
    handle = log_in(fleet, email)["session"]
    assert answers(fleet, handle) == {None}
    fleet.kill_daemon()
    assert code(call(fleet, "log_out", session=handle)) == "cache_unavailable"
    assert code(call(fleet, "log_out", header(email))) == "cache_unavailable"
    fleet.start_daemon()
    wait_until("it is back", lambda: code(call(fleet, "log_out", session=handle)) is None)
    assert answers(fleet, handle) == {"session_ended"}


def test_logging_out_lets_calls_under_way_complete_and_refuses_the_next(fleet, email):
    handle = log_in(fleet, email)["session"]
    fleet.portal.fault("slow", endpoint="live", email=email, latency=0.5, requests=1)
    before = fleet.portal.state()["requests"]["live"]

    def one_reads():
        return fleet.portal.state()["requests"]["live"] > before

    async def run():
        calls = asyncio.create_task(at_once(fleet, 10, "list_boxes", session=handle))
        await asyncio.to_thread(wait_until, "one reads", one_reads)
        told = await asyncio.to_thread(call, fleet, "log_out", session=handle)
        return told, await calls

    ended, told = asyncio.run(run())
    assert ended["structuredContent"]["session_kept"] is False
    # One had read; those who waited for it are refused, and nobody hangs.
    assert {code(one) for one in told} <= {None, "session_ended"}
    assert answers(fleet, handle) == {"session_ended"}
    assert fleet.portal.logins(email)["attempts"] == 1
