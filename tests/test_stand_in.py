"""A handle that has ended beside a login in the headers: whose data the call is about then."""

import base64
from types import SimpleNamespace

import pytest
from starlette.datastructures import Headers

from server.auth.caller import Caller
from server.auth.handles import Handles
from server.auth.sealing import Credential
from server.codes import Code
from server.errors import AccessDenied, CredentialsRejected
from server.tools.asking import caller as caller_of

from .portal_simulator import DEMO_BOX
from .test_upstream import SECRET, House, caller

DEMO, OTHER = "demo@example.com", "demo2@example.com"


@pytest.fixture
async def house():
    house = House()
    yield house
    await house.close()


async def handle_of(house, email=DEMO) -> str:
    return (await house.access.open(caller(email))).session.handle


async def dropped(house) -> None:
    """Drop all that is cached: the handles end with it."""
    await house.accounts.upkeep.flush("all")


def beside(handle, email=DEMO, password="demo"):
    return Caller(Credential(email, password), handle, "home", "home")


async def test_the_login_of_the_same_account_replaces_an_ended_handle(house):
    handle = await handle_of(house)
    await dropped(house)
    granted = await house.access.open(beside(handle))
    assert granted.cache_status == "new_session_created"
    assert (await house.access.open(beside(handle))).cache_status == "session_from_cache"


@pytest.mark.parametrize("email", ["Demo@Example.COM", " demo@example.com"])
async def test_another_spelling_is_the_same_account(house, email):
    handle = await handle_of(house)
    await dropped(house)
    house.portal.simulator.accounts.add(email.strip(), "demo")
    assert (await house.access.open(beside(handle, email.strip()))).caller.handle is None


async def test_the_password_may_be_a_newer_one_than_the_handles(house):
    handle = await handle_of(house)
    house.portal.simulator.accounts.add(DEMO, "newer")
    await house.access.open(caller(DEMO, "newer"))
    granted = await house.access.open(beside(handle, password="newer"))
    assert granted.cache_status == "session_from_cache"


FOREIGN = "oig_" + base64.urlsafe_b64encode(bytes(24)).decode()


@pytest.mark.parametrize(
    "handle",
    [
        "oig_x",
        "",
        FOREIGN,
        Handles(b"t" * 32).make(b"a" * 32),
        Handles(SECRET).make(b"a" * 32),
    ],
    ids=["no handle", "nothing", "without fingerprint", "other secret", "other account"],
)
async def test_a_handle_not_known_to_belong_to_the_account_gets_no_fallback(house, handle):
    await handle_of(house)
    with pytest.raises(AccessDenied, match="was not used") as caught:
        await house.access.open(beside(handle))
    assert caught.value.code == Code.SESSION_ENDED


async def test_the_login_of_another_account_is_not_used_and_nobody_logs_in(house):
    handle = await handle_of(house)
    await dropped(house)
    before = house.portal.simulator.counters.total.attempts
    with pytest.raises(AccessDenied, match="was not used") as caught:
        await house.access.open(beside(handle, OTHER))
    assert caught.value.code == Code.SESSION_ENDED
    assert house.portal.simulator.counters.total.attempts == before


async def test_a_valid_handle_takes_precedence_over_any_login_beside_it(house):
    handle = await handle_of(house)
    granted = await house.access.open(beside(handle, OTHER, "wrong"))
    assert DEMO_BOX in (await house.upstream.live(granted)).payload


async def test_a_wrong_password_beside_an_ended_handle_is_rejected_like_any_other(house):
    handle = await handle_of(house)
    await dropped(house)
    with pytest.raises(CredentialsRejected):
        await house.access.open(beside(handle, password="wrong"))


@pytest.mark.parametrize(
    ("email", "works"), [(DEMO, True), (OTHER, False), (None, False)], ids=["same", "other", "none"]
)
async def test_a_session_that_ends_during_the_call_is_replaced_by_the_login_of_its_account_only(
    house, email, works
):
    handle = await handle_of(house)
    who = Caller(None, handle, "home", "home") if email is None else beside(handle, email)
    granted = await house.access.open(who)
    house.portal.simulator.accounts.end_sessions()
    if works:
        assert DEMO_BOX in (await house.upstream.live(granted)).payload
        return
    with pytest.raises(AccessDenied) as caught:
        await house.upstream.live(granted)
    assert caught.value.code == Code.SESSION_ENDED


# What a tool makes of the request.


def context(*headers: tuple[str, str]):
    raw = [(name.encode(), value.encode()) for name, value in headers]
    request = SimpleNamespace(headers=Headers(raw=raw), client=None, scope={})
    return SimpleNamespace(request_context=SimpleNamespace(request=request))


BASIC = ("authorization", "Basic " + base64.b64encode(b"a@b.cz:pass").decode())


def test_a_change_is_never_made_with_a_login_in_place_of_its_handle():
    assert caller_of(context(BASIC), session="oig_x").credential == Credential("a@b.cz", "pass")
    assert caller_of(context(BASIC), session="oig_x", fallback=False).credential is None
    assert caller_of(context(BASIC), fallback=False).credential is not None


@pytest.mark.parametrize(
    "headers",
    [[BASIC, BASIC], [("authorization", "Basic !")], [BASIC, ("x-oig-email", "a@b.cz")]],
    ids=["twice", "malformed", "incomplete"],
)
def test_unreadable_headers_are_ignored_beside_a_handle(headers):
    assert caller_of(context(*headers), session="oig_x").credential is None
