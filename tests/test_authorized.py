"""A call that speaks for a grant: its login, what a rejection of it leads to, what tools tell."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.datastructures import Headers

from server.auth.access import Access
from server.auth.authorized import KEY, Authorized
from server.auth.caller import Caller
from server.auth.handles import Handles
from server.auth.sealing import Credential
from server.codes import Code
from server.errors import (
    AccessDenied,
    CredentialsRejected,
    GrantsUnavailable,
    NotPermitted,
    NotServed,
    PortalError,
    SignInAgain,
    TooManyAttempts,
)
from server.records.grant import Grant as Record
from server.sources import UNKNOWN
from server.state.limits import Policy
from server.state.vocabulary import Forget
from server.tools.asking import caller
from server.tools.auth import check_auth_tool, log_out_tool
from server.tools.checked import CheckedTool
from server.tools.control import MOST_CLIENT, _client
from server.tools.instructions import MOST_CHARACTERS, instructions
from server.upstream.liveness import Liveness
from simulator.faults import Fault, Kind

from .listed_tools import listed_tools
from .local_accounts import local_accounts
from .test_upstream import SECRET, House

DEMO, OTHER = "demo@example.com", "demo2@example.com"
PLANTED = "Planted-Passw0rd"


@pytest.fixture
async def house():
    # Slow enough for sessions to live on.
    house = House(step=0.05)
    yield house
    await house.close()


def grant(name="Claude", *, number=1, control=False) -> Record:
    account = client = bytes(32)
    ids = number.to_bytes(16, "big"), account, client
    return Record(*ids, name, "claude.ai", control, "loopback", "active", 0, 0.0, 1e10, 0.0)


class Grant:
    """A grant, and what was told of it."""

    def __init__(self, email=DEMO, password="demo", *, control=False, number=1) -> None:
        self.told: list[str] = []
        self.bearer = Authorized(
            grant(number=number, control=control),
            Credential(email, password),
            self.standing,
            self.rejected,
            self.accepted,
        )
        self.now: Record | None = self.bearer.grant
        self.unreadable = False

    async def standing(self, _: Record) -> Record | None:
        if self.unreadable:
            raise GrantsUnavailable
        return self.now

    async def rejected(self, _: Record) -> None:
        self.told.append("rejected")

    async def accepted(self, _: Record) -> None:
        self.told.append("accepted")

    def caller(self, handle=None) -> Caller:
        bearer = self.bearer
        return Caller(
            *(bearer.credential, handle, bearer.source, UNKNOWN),
            grant=bearer,
            permitted=bearer.check,
        )


def context(bearer: Authorized | None, headers=(), client=None) -> Any:
    scope = {} if bearer is None else {KEY: bearer}
    raw = [(name.encode(), value.encode()) for name, value in headers]
    request = SimpleNamespace(headers=Headers(raw=raw), client=None, scope=scope)
    session = SimpleNamespace(client_params=client)
    return SimpleNamespace(request_context=SimpleNamespace(request=request, session=session))


def attempts(house) -> int:
    return house.portal.simulator.counters.total.attempts


async def test_two_hundred_calls_of_one_grant_cause_one_login(house):
    asking = Grant()
    for _ in range(200):
        await house.access.open(asking.caller())
    assert attempts(house) == 1


async def test_a_grant_shares_the_session_of_its_account_with_all_other_ways_to_log_in(house):
    await house.access.open(Caller(Credential(DEMO, "demo"), None, "home", "home"))
    assert (await house.access.open(Grant().caller())).cache_status == "session_from_cache"
    assert (await house.access.open(Grant(number=2).caller())).cache_status == "session_from_cache"
    assert attempts(house) == 1


async def test_an_owner_locked_everywhere_else_is_served_under_a_grant():
    ticks = itertools.count(step=2.0)
    house = House(accounts=local_accounts(lambda: next(ticks), policy=Policy(first=3600.0)))
    for number in range(5):
        wrong = Caller(Credential(DEMO, f"wrong {number}"), None, f"198.51.100.{number}", "x")
        with pytest.raises(CredentialsRejected):
            await house.access.open(wrong)
    with pytest.raises(TooManyAttempts):
        await house.access.open(Caller(Credential(DEMO, "demo"), None, "192.0.2.1", "x"))
    assert (await house.access.open(Grant().caller())).cache_status == "new_session_created"
    await house.close()


async def test_a_rejected_password_asks_for_a_new_login_and_logs_no_address(house):
    logged: list[object] = []
    access = Access(
        house.sessions,
        house.accounts,
        Handles(SECRET),
        house.sealer,
        log=lambda *told: logged.append(told),
    )
    asking = Grant(password="former")
    for _ in range(2):  # the second is answered from memory
        with pytest.raises(SignInAgain) as caught:
            await access.open(asking.caller())
        assert caught.value.code == Code.SIGN_IN_AGAIN
        assert caught.value.__suppress_context__
    assert asking.told == ["rejected", "rejected"]
    assert attempts(house) == 1
    assert logged == []


async def test_an_accepted_password_is_recorded(house):
    asking = Grant()
    await house.access.open(asking.caller())
    assert asking.told == ["accepted"]


@pytest.mark.parametrize(
    "kind", [Kind.ERROR, Kind.UNAVAILABLE, Kind.TOO_MANY, Kind.DROP, Kind.HTML, Kind.NO_COOKIE]
)
async def test_a_portal_failure_says_nothing_about_the_password(house, kind):
    house.portal.simulator.faults.add(Fault(kind=kind))
    asking = Grant()
    with pytest.raises(PortalError):
        await house.access.open(asking.caller())
    assert asking.told == []


async def test_an_account_that_is_not_served_says_nothing_about_the_password(house, monkeypatch):
    async def not_served(*_):
        raise NotServed

    monkeypatch.setattr(house.sessions, "open", not_served)
    asking = Grant()
    with pytest.raises(NotServed):
        await house.access.open(asking.caller())
    assert asking.told == []


async def test_a_session_that_ended_early_is_replaced_by_one_login(house):
    granted = await house.access.open(Grant().caller())
    house.portal.simulator.accounts.end_sessions()
    fetched = await house.upstream.live(granted)
    assert fetched.payload
    assert attempts(house) == 2


async def test_the_grant_replaces_an_ended_handle_of_its_own_account_only(house):
    granted = await house.access.open(Grant().caller())
    handle = granted.session.handle
    await house.sessions.forget(granted.keys, granted.session)
    ended = Forget("handle", granted.keys.account, Handles(SECRET).key(handle))
    await house.accounts.call(ended)
    assert (await house.access.open(Grant().caller(handle))).keys.account == granted.keys.account
    with pytest.raises(AccessDenied) as caught:
        await house.access.open(Grant(OTHER).caller(handle))
    assert caught.value.code == Code.SESSION_ENDED


async def test_logging_out_under_a_grant_ends_the_cached_login_and_not_the_grant(house):
    asking = Grant()
    await house.access.open(asking.caller())
    assert await house.access.log_out(asking.caller()) is False
    assert (await house.access.open(asking.caller())).cache_status == "new_session_created"


def test_a_token_identifies_the_caller_and_the_source():
    bearer = Grant().bearer
    asking = caller(context(bearer))
    assert asking.grant is bearer
    assert asking.credential == bearer.credential
    assert asking.source == f"grant/{bearer.grant.id.hex()}"
    assert asking.address == UNKNOWN
    assert "demo" not in repr(asking)


@pytest.mark.parametrize(
    "typed", [{"email": OTHER, "password": PLANTED}, {"email": OTHER}, {"password": PLANTED}]
)
def test_a_login_in_the_arguments_beside_a_token_is_refused(typed):
    """The handle that comes of it could do more than the token may."""
    for session in (None, "oig_x"):
        with pytest.raises(AccessDenied) as caught:
            caller(context(Grant().bearer), session=session, **typed)
        assert caught.value.code == Code.PASSWORDS_REFUSED
        assert PLANTED not in str(caught.value)


@pytest.mark.parametrize("name", ["x-oig-email", "x-oig-password"])
def test_a_token_and_another_login_beside_it_are_refused(name):
    with pytest.raises(AccessDenied) as caught:
        caller(context(Grant().bearer, [(name, PLANTED)]))
    assert caught.value.code == Code.CREDENTIALS_CONFLICT
    assert PLANTED not in str(caught.value)
    by_handle = caller(context(Grant().bearer, [(name, PLANTED)]), session="oig_x")
    assert (by_handle.handle, by_handle.credential, by_handle.grant) == ("oig_x", None, None)


def test_a_handle_takes_precedence_over_a_token():
    asking = caller(context(Grant().bearer), session="oig_x")
    assert (asking.handle, asking.grant is None) == ("oig_x", False)
    asking = caller(context(Grant().bearer), session="oig_x", fallback=False)
    assert (asking.handle, asking.credential, asking.grant) == ("oig_x", None, None)


@pytest.mark.parametrize("session", [None, "oig_x"])
async def test_a_read_only_token_changes_nothing_whatever_accompanies_it(session):
    for more in ({}, {"fallback": False}):
        asking = caller(context(Grant().bearer), session=session, changes=True, **more)
        with pytest.raises(NotPermitted) as caught:
            await asking.permitted()
        assert caught.value.code == Code.INSUFFICIENT_SCOPE
    asking = caller(context(Grant(control=True).bearer), changes=True)
    assert asking.grant is not None
    await asking.permitted()
    asking = caller(context(None), session="oig_x", changes=True)
    assert asking.handle == "oig_x"
    await asking.permitted()


@pytest.mark.parametrize("changes", [False, True])
async def test_each_check_reads_the_record_again(changes):
    asking = Grant(control=True)
    await asking.bearer.check(changes=changes)
    asking.now = grant(control=False)
    if changes:
        assert await refused(asking, changes=True) == (Code.INSUFFICIENT_SCOPE, None)
    else:
        await asking.bearer.check()
    asking.now = None
    assert await refused(asking, changes=changes) == (Code.CONNECTION_ENDED, None)
    asking.unreadable = True
    assert await refused(asking, changes=changes) == (Code.CONNECTIONS_UNAVAILABLE, 5.0)


async def refused(asking: Grant, *, changes: bool) -> tuple[Code, float | None]:
    with pytest.raises(NotPermitted) as caught:
        await asking.bearer.check(changes=changes)
    return caught.value.code, caught.value.retry_after


async def test_no_session_is_opened_for_a_grant_that_has_ended(house):
    asking = Grant()
    granted = await house.access.open(asking.caller())
    handle = granted.session.handle
    asking.now = None
    for attempt in (
        house.access.open(asking.caller()),
        house.access.open(asking.caller(handle)),
        house.access.log_out(asking.caller()),
        house.access.log_out(asking.caller(handle)),
        house.access.current(granted),
        house.access.reopened(granted),
        house.access.renew(granted),
    ):
        with pytest.raises(NotPermitted):
            await attempt
    assert attempts(house) == 1
    assert (await house.access.open(Grant(number=2).caller())).cache_status


async def tool_result(tool: CheckedTool, bearer: Authorized | None, **arguments: Any) -> Any:
    return await tool.run(arguments, context(bearer))


async def test_check_auth_under_a_token_returns_its_four_fields_and_no_handle(house):
    tool = check_auth_tool(Liveness(house.access, house.upstream, idle=60.0), browser=True)
    result = (await tool_result(tool, Grant().bearer)).structured_content
    assert result["email"] == DEMO
    assert result["password_length"] == 4
    assert result["cache_status"] == "new_session_created"
    assert len(result["session_id_preview"]) > 3
    assert result["session"] is None
    handle = (await house.access.open(Grant().caller())).session.handle
    assert handle not in str(await tool_result(tool, Grant().bearer))


@pytest.mark.parametrize("named", ["check_auth", "log_out"])
async def test_no_tool_takes_a_password_beside_a_token(house, named):
    tool = {
        "check_auth": check_auth_tool(Liveness(house.access, house.upstream, idle=60.0)),
        "log_out": log_out_tool(house.access),
    }[named]
    result = await tool_result(tool, Grant().bearer, email=OTHER, password="demo")
    assert "passwords_refused" in str(result)
    assert "oig_" not in str(result)


@pytest.mark.parametrize("given", [{"email": DEMO}, {"password": 7}, {"email": [], "password": ""}])
@pytest.mark.parametrize("named", ["check_auth", "log_out"])
@pytest.mark.parametrize("bearer", [None, Grant().bearer])
async def test_passwords_refused_in_arguments_are_refused_in_every_mode(
    house, given, named, bearer
):
    tool = {
        "check_auth": check_auth_tool(
            Liveness(house.access, house.upstream, idle=60.0), passwords=False
        ),
        "log_out": log_out_tool(house.access, passwords=False),
    }[named]
    result = await tool_result(tool, bearer, **given)
    assert result.is_error
    assert "passwords_refused" in str(result.meta)
    assert attempts(house) == 0


async def test_null_and_empty_passwords_count_as_omitted_where_passwords_are_refused(house):
    tool = check_auth_tool(Liveness(house.access, house.upstream, idle=60.0), passwords=False)
    result = await tool_result(tool, Grant().bearer, email=None, password="")
    assert result.structured_content["email"] == DEMO


@pytest.mark.parametrize("browser", [True, False])
def test_no_tool_has_a_password_argument_where_passwords_are_refused(browser):
    nothing: Any = None
    for tool in (
        check_auth_tool(nothing, browser=browser, passwords=False),
        log_out_tool(nothing, browser=browser, passwords=False),
    ):
        assert not {"email", "password"} & tool.parameters["properties"].keys()
        assert "ask for a password" not in tool.description.replace("Never ask for a password", "")


def test_no_model_is_asked_to_request_a_password_under_browser_login():
    nothing: Any = None
    check = check_auth_tool(nothing, browser=True).description
    assert "Never ask for a password" in check
    assert "without arguments" in check
    assert "/connections" in log_out_tool(nothing, browser=True).description
    for control in (True, False):
        told = instructions(control=control, passwords=False)
        assert "Never ask for a password" in told
        assert "e-mail" not in told
        assert len(told) <= MOST_CHARACTERS


def test_descriptions_under_browser_login_are_no_longer_than_those_under_chat_login():
    """The list of all tools is bounded, and the tests measure it with those for a chat."""
    nothing: Any = None
    listed = listed_tools()
    for name, make in (("check_auth", check_auth_tool), ("log_out", log_out_tool)):
        in_browser = make(nothing, browser=True)
        assert len(in_browser.description) <= len(listed[name].description)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Claude", "Claude (connection 00000000)"),
        ("", "unknown (connection 00000000)"),
        ("n" * 60, "n" * 42 + " (connection 00000000)"),
    ],
)
def test_a_change_under_a_grant_names_it_as_its_owner_sees_it(name, shown):
    record = grant(name, number=0)
    bearer = Authorized(record, Credential(DEMO, "demo"), Grant().standing)
    assert _client(context(bearer)) == shown
    assert len(shown) <= MOST_CLIENT
