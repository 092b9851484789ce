"""Logins whose steps are served by two workers in turn, and what becomes of them at the portal."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from evals.virtual_time import VirtualTime, VirtualTimeLoop
from server.oauth.tokens import CODE_SECONDS
from server.records.grant import DAY
from simulator.endpoints import Endpoint
from simulator.faults import FITS, Fault, Kind

from .browser_worker import basic, browser_workers
from .control_house import NOON
from .login_house import answered
from .oauth_client import OAuthClient, challenged, code_of, error_of
from .oauth_grants import DEMO, PUBLIC
from .portal_simulator import DEMO_BOX

PLAN = {"box_id": DEMO_BOX, "mode": "Home 2"}


class Clocks:
    """The clocks of a machine on which nobody really waits, and hours go by when a test says so.

    On the loop's own clock an hour would take its time: everybody's timers come due in it.

    Attributes:
        wrong_by: Seconds by which the wall clock is set wrong.
    """

    def __init__(self) -> None:
        self._time = VirtualTime(asyncio.get_running_loop(), NOON)
        self._passed = 0.0
        self.wrong_by = 0.0

    def pass_by(self, seconds: float) -> None:
        self._passed += seconds

    def now(self) -> float:
        return self._time.now() + self._passed

    def wall(self) -> float:
        return self._time.wall() + self._passed + self.wrong_by


@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": VirtualTimeLoop}


@pytest.fixture
async def clocks():
    return Clocks()


@pytest.fixture
async def workers(tmp_path, clocks):
    async with browser_workers(tmp_path, wall=clocks.wall, now=clocks.now) as workers:
        yield workers


@pytest.fixture
def client(workers):
    return client_of(workers)


def client_of(workers, **login):
    return OAuthClient([worker.http for worker in workers], PUBLIC, **login)


@pytest.mark.parametrize("first", [0, 1])
async def test_each_step_may_be_served_by_a_different_worker(workers, first):
    client = client_of([workers[first], workers[1 - first]])
    resource = (await client.send("GET", "/.well-known/oauth-protected-resource/mcp")).json()
    assert resource["authorization_servers"] == [PUBLIC]
    server = (await client.send("GET", "/.well-known/oauth-authorization-server")).json()
    assert server["token_endpoint"] == f"{PUBLIC}/token"
    await client.register()
    answer = await client.exchange(await client.code())
    assert answer.json()["scope"] == "oig:read"
    assert code_of(await client.call()) is None
    assert challenged(await client.call("plan_change", **PLAN)) == (403, "insufficient_scope")
    for _ in range(3):
        assert (await client.refresh()).status_code == 200
        assert code_of(await client.call()) is None
    listed = await client.press(await client.sign_in(), "Allow changes")
    assert code_of(await client.call("plan_change", **PLAN)) is None
    await client.press(listed, "Make read-only")
    assert challenged(await client.call("plan_change", **PLAN)) == (403, "insufficient_scope")
    assert (await client.revoke(client.refresh_token)).status_code == 200
    assert challenged(await client.call()) == (401, "invalid_token")
    assert error_of(await client.refresh()) == (400, "invalid_grant")
    assert "the app logged out" in (await client.sign_in()).text


async def test_a_connection_ended_at_one_worker_is_ended_at_all(client):
    await client.log_in()
    await client.press(await client.sign_in(), "End connection")
    for _ in range(2):
        assert challenged(await client.call()) == (401, "invalid_token")
        assert error_of(await client.refresh()) == (400, "invalid_grant")


async def test_a_code_reused_at_another_worker_ends_the_connection_at_both(client):
    await client.register()
    code = await client.code()
    assert (await client.exchange(code)).status_code == 200
    assert error_of(await client.exchange(code)) == (400, "invalid_grant")
    for _ in range(2):
        assert challenged(await client.call()) == (401, "invalid_token")
        assert error_of(await client.refresh()) == (400, "invalid_grant")


async def test_no_worker_accepts_a_code_from_another_client(workers, client):
    other = client_of(workers)
    await client.register()
    await other.register("Another")
    code = await client.code()
    for _ in workers:
        for changes in (
            {"client_id": other.id},
            {"redirect_uri": "http://localhost:53124/other"},
            {"redirect_uri": "http://127.0.0.1:53124/callback"},
            {"code_verifier": secrets.token_urlsafe(48)},
        ):
            assert error_of(await client.exchange(code, **changes)) == (400, "invalid_grant")
        assert error_of(await client.exchange(code, resource="https://evil.example/mcp")) == (
            400,
            "invalid_target",
        )
    assert (await client.exchange(code)).status_code == 200


async def test_the_resource_may_be_written_otherwise_at_every_step(client):
    await client.register()
    for resource in (f"{PUBLIC}/mcp/", PUBLIC, f"{PUBLIC}/"):
        done = await client.submit(await client.open(resource=resource))
        answer = await client.exchange(answered(done)["code"], resource=resource)
        assert answer.status_code == 200, resource
        assert code_of(await client.call()) is None


async def test_a_login_for_a_foreign_resource_is_refused_before_a_password_is_asked_for(client):
    await client.register()
    refused = await client.open(resource="https://evil.example/mcp")
    assert answered(refused)["error"] == "invalid_target"


async def test_simultaneous_calls_of_one_grant_at_both_workers_log_in_once(workers, client):
    await client.log_in()
    for worker in workers:
        worker.simulator.accounts.end_sessions()
    # The cached login of the page has ended; the calls find that out together.
    before = workers[0].logins
    for _ in range(2):
        answers = await asyncio.gather(*(client.call("check_auth") for _ in range(50)))
        answers += await asyncio.gather(*(client.call() for _ in range(50)))
        assert [code_of(answer) for answer in answers] == [None] * 100
    assert workers[0].logins == before + 1


async def tried(worker, address, password="demo"):
    """Call with a header from an address; return the code of the failure, if it is one."""
    caller = worker.called_from(address)
    return code_of(await caller.call("list_boxes", headers=basic(password=password)))


async def guess(workers):
    """Lock the account from elsewhere for everybody whose address is not known."""
    for number in range(20):
        await tried(workers[number % 2], f"198.51.100.{number % 5}", f"wrong {number}")
    # So is its owner at an address that is not known.
    assert await tried(workers[1], "203.0.113.9") == "locked"


async def test_an_owner_locked_out_by_guesses_from_elsewhere_is_served_under_tokens(
    workers, client
):
    await client.log_in()
    await guess(workers)
    workers[0].simulator.accounts.end_sessions()
    for _ in workers:
        assert code_of(await client.call("get_notifications")) is None
        assert (await client.refresh()).status_code == 200


async def test_a_hundred_connections_evict_no_known_address_of_the_household(workers):
    home = [f"192.0.2.{number}" for number in range(1, 9)]
    for address in home:
        assert await tried(workers[0], address) is None
    for number in range(100):
        token = workers[0].token(client=b"%032d" % number)
        assert code_of(await workers[number % 2].call("list_boxes", token)) is None
    assert code_of(await workers[1].call("log_out", headers=basic())) is None
    await guess(workers)
    for address in home:
        assert await tried(workers[1], address) is None


async def test_after_a_password_change_a_new_login_replaces_the_old_one(workers, client):
    await client.log_in()
    old = (client.access, client.refresh_token)
    workers[0].simulator.accounts.add(DEMO, "new")
    workers[0].simulator.accounts.end_sessions()
    assert code_of(await client.call("get_notifications")) == "sign_in_again"
    for _ in workers:
        assert challenged(await client.call()) == (401, "invalid_token")
        assert error_of(await client.refresh()) == (400, "invalid_grant")
    client.password = "new"
    answer = await client.exchange(await client.code())
    assert answer.status_code == 200
    for _ in workers:
        assert code_of(await client.call()) is None
        assert challenged(await client.call(token=old[0])) == (401, "invalid_token")
        assert error_of(await client.refresh(old[1])) == (400, "invalid_grant")
    assert "it was connected again" in (await client.sign_in()).text


async def test_a_code_is_valid_for_a_minute_at_both_workers(client, clocks):
    await client.register()
    code = await client.code()
    clocks.pass_by(CODE_SECONDS + 1.0)
    for _ in client.workers:
        assert error_of(await client.exchange(code)) == (400, "invalid_grant")


@pytest.mark.parametrize("seconds", [-DAY, DAY])
async def test_a_clock_step_that_is_corrected_logs_nobody_out(client, clocks, seconds):
    await client.log_in()
    for wrong_by in (seconds, 0.0):
        clocks.wrong_by = wrong_by
        for _ in client.workers:
            # As after an hour: whether the token is too old is not for the client to judge.
            if challenged(await client.call()) != (200, ""):
                assert (await client.refresh()).status_code == 200
            assert code_of(await client.call()) is None
            assert (await client.refresh()).status_code == 200


async def test_no_code_is_valid_on_another_day(client, clocks):
    await client.register()
    for seconds in (-DAY, DAY):
        code = await client.code()
        clocks.wrong_by += seconds
        for _ in client.workers:
            assert error_of(await client.exchange(code)) == (400, "invalid_grant")


TROUBLE = [
    (kind, endpoint)
    for kind in Kind
    # What can happen to a login can happen to a reading. Nobody waits here for what is slow: its
    # time-out is tried in test_grant_source.
    if kind is not Kind.SLOW and Endpoint.LOGIN in FITS.get(kind, frozenset(Endpoint))
    for endpoint in (Endpoint.LOGIN, Endpoint.LIVE)
    if endpoint in FITS.get(kind, frozenset(Endpoint))
    # The blanks around a reading are no trouble.
    and (kind, endpoint) != (Kind.OVERSIZED, Endpoint.LIVE)
]

REJECTION = {(Kind.EMPTY, Endpoint.LOGIN), (Kind.JSON, Endpoint.LOGIN)}
"""How a portal in trouble says what it says of a wrong password."""


async def an_hour_of(trouble, client, simulator, clocks):
    """Have a client do for an hour what clients do while the portal is in trouble."""
    kind, endpoint = trouble
    simulator.accounts.end_sessions()
    simulator.faults.add(Fault(kind=kind, endpoint=endpoint))
    for quarter in range(4):
        clocks.pass_by(900.0)  # what was read before is too old
        answer = await client.call("get_live_data")
        refreshed = await client.refresh()
        if trouble not in REJECTION:
            assert str(code_of(answer)).startswith("portal_"), trouble
            assert refreshed.status_code == 200, trouble
        elif quarter == 0:
            assert code_of(answer) == "sign_in_again", trouble
    simulator.faults.clear()
    clocks.pass_by(900.0)


async def test_an_hour_of_any_trouble_at_the_portal_logs_nobody_out(workers, client, clocks):
    await client.log_in()
    for trouble in TROUBLE:
        await an_hour_of(trouble, client, workers[0].simulator, clocks)
        assert (await client.refresh()).status_code == 200, trouble
        for _ in workers:
            assert code_of(await client.call("get_live_data")) is None, trouble
