"""Reading from the portal: the requests, the signs of an ended session, and invalid answers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime
from typing import Any

import httpx2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drills.payloads import command, folder, listed, live
from server.errors import (
    PortalBusy,
    PortalError,
    PortalOverloaded,
    PortalServerError,
    PortalTimeout,
    PortalTLSError,
    PortalUnexpected,
    PortalUnreachable,
    SessionExpired,
)
from server.portal.client import PortalClient
from server.portal.purpose import READ_LIMIT
from server.portal.reads import MOST_BOXES, MOST_ITEMS
from server.readings.box import Box
from server.readings.boxes import choose_box, list_boxes
from server.readings.bypass_flags import bypass
from server.readings.clock import local_day
from server.readings.history import history
from server.readings.live import live_data
from server.readings.notifications import notifications
from server.readings.series import PORTAL_NAMES
from simulator import Simulator
from simulator.clock import Clock
from simulator.endpoints import Endpoint
from simulator.faults import Fault
from simulator.prague import second_of_day
from simulator.truth import truth
from simulator.wishes import obey

from .portal_simulator import InProcess
from .test_portal_client import told

SESSION = "pl4ntedsession0123456789ab"
NOW = 1_795_000_000.0  # 2026-11-18T11:06:40Z
DAY = date(2026, 11, 17)

Headers = list[tuple[str, str]]
Read = Callable[[PortalClient], Awaitable[Any]]

READS: dict[str, Read] = {
    "live": lambda client: client.read_live(SESSION),
    "history": lambda client: client.read_history(SESSION, "batt", DAY, DAY),
    "notifications": lambda client: client.read_notifications(SESSION),
}
GOOD = {
    "live": json.dumps(live()).encode(),
    "history": b'{"items":[]}',
    "notifications": command(listed(folder("t"))),
}
LOGIN_PAGE = b'<!DOCTYPE html><form><input name=p type="password"></form>'
EMPTY = [b"[]", b'""', b"false", b"null", b"0", b"", b"\xef\xbb\xbf \n"]
MAINTENANCE = b"<!DOCTYPE html><h1>Prob\xc3\xadh\xc3\xa1 \xc3\xbadr\xc5\xbeba</h1>"

any_read = pytest.mark.parametrize("name", READS)


@contextlib.asynccontextmanager
async def asking(
    handler: Callable[[httpx2.Request], httpx2.Response], **options: Any
) -> AsyncIterator[PortalClient]:
    async def answer(request: httpx2.Request) -> httpx2.Response:
        return handler(request)

    client = PortalClient(
        "https://portal.example/cez/",
        version="1.2.3",
        transport=httpx2.MockTransport(answer),
        now=lambda: NOW,
        **options,
    )
    try:
        yield client
    finally:
        await client.aclose()


async def answered(
    name: str,
    status: int,
    body: bytes = b"",
    headers: Headers = [],  # noqa: B006
) -> Any:
    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers=headers, stream=httpx2.ByteStream(body))

    async with asking(answer) as client:
        return await READS[name](client)


async def asked(name: str) -> httpx2.Request:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, content=GOOD[name])

    async with asking(answer) as client:
        await READS[name](client)
    (request,) = seen
    return request


async def test_live_data_is_one_get_with_nothing_but_the_cookie():
    request = await asked("live")
    assert (request.method, str(request.url)) == ("GET", "https://portal.example/cez/json.php")
    assert request.headers["cookie"] == f"PHPSESSID={SESSION}"
    assert request.headers["user-agent"] == "oig-cloud-mcp/1.2.3"
    assert "x-requested-with" not in request.headers
    assert request.content == b""


async def test_history_is_asked_for_by_name_and_days():
    request = await asked("history")
    assert (request.method, str(request.url)) == ("POST", "https://portal.example/cez/json2.php")
    assert json.loads(request.content) == {"name": "batt", "range": "2026-11-17,2026-11-17,0"}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["cookie"] == f"PHPSESSID={SESSION}"


async def test_notifications_are_asked_for_as_the_portals_own_script_does():
    request = await asked("notifications")
    assert str(request.url) == (
        "https://portal.example/cez/inc/php/scripts/Controller.Call.php"
        "?id=2&selector_id=ctrl-notifs&_nonce=1795000000000"
    )
    assert request.method == "GET"
    assert request.headers["x-requested-with"] == "XMLHttpRequest"
    assert request.headers["cookie"] == f"PHPSESSID={SESSION}"


async def test_a_session_goes_out_with_its_own_request_only():
    seen: list[str | None] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers.get("cookie"))
        body = b'[[2,"",false]]' if request.method == "POST" else b"{}"
        cookie = [("Set-Cookie", "PHPSESSID=other; path=/")]
        return httpx2.Response(200, content=body, headers=cookie)

    async with asking(answer) as client:
        await client.read_live("first")
        await client.login("a@example.com", "x")
        await asyncio.gather(client.read_live("second"), client.read_live("third"))
        assert seen[:2] == ["PHPSESSID=first", None]
        assert set(seen[2:]) == {"PHPSESSID=second", "PHPSESSID=third"}


@any_read
@pytest.mark.parametrize("bad", ["", "a b", "a\r\nX: y", "a;b=c", "x" * 200, "é"])
async def test_an_invalid_session_id_is_never_sent(name, bad):
    def answer(_request: httpx2.Request) -> httpx2.Response:
        raise AssertionError

    async with asking(answer) as client:
        reads = {
            "live": lambda: client.read_live(bad),
            "history": lambda: client.read_history(bad, "batt", DAY, DAY),
            "notifications": lambda: client.read_notifications(bad),
        }
        with pytest.raises(SessionExpired):
            await reads[name]()


@any_read
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"[]"),
        (200, b'""'),
        (200, b"false"),
        (200, b"null"),
        (200, b"0"),
        (200, b'"login"'),
        (200, b""),
        (200, b"\xef\xbb\xbf \n"),
        (200, LOGIN_PAGE),
        (200, b"<html><a href='inc/php/scripts/Login.php'>"),
        (302, b""),
        (303, b""),
        (301, b""),
        (401, b""),
        (401, b"{}"),
    ],
)
async def test_an_ended_session_is_distinguished_from_a_broken_portal(name, status, body):
    if name == "history" and body in EMPTY and status == 200:
        # Of a series that may as well be: there is no data.
        assert await answered(name, status, body) is None
        return
    with pytest.raises(SessionExpired) as caught:
        await answered(name, status, body, [("Location", "https://elsewhere.example/")])
    assert caught.value.no_boxes is (name == "live" and body == b"[]")
    assert not isinstance(caught.value, PortalError)


async def test_notifications_show_an_ended_session_in_other_ways():
    for body in (b'[[2,"",true]]', command("<input type='password'>"), b"{}"):
        with pytest.raises(SessionExpired):
            await answered("notifications", 200, body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (command(listed(folder("t"))), listed(folder("t"))),
        (command(listed(folder("t"), escaped=True)), listed(folder("t"))),
        (b'[[5,"x"],' + command(listed(folder("t")))[1:], listed(folder("t"))),
        (command('<div class="folder-list">  </div>'), ""),
        (command(listed()), ""),
        (command(listed(escaped=True)), ""),
        (command("  "), ""),
    ],
)
async def test_the_list_is_extracted_from_the_commands(body, expected):
    assert await answered("notifications", 200, body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b'[[11,"other","<div class=folder-list></div>",null]]',
        b'[[11,"ctrl-notifs",null]]',
        b'[[true,"ctrl-notifs","x"]]',
        b"[1,2]",
        command("<h1>Nastala chyba</h1>"),
    ],
)
async def test_commands_without_the_list_are_unexpected(body):
    with pytest.raises(PortalUnexpected):
        await answered("notifications", 200, body)


@any_read
@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "wait"),
    [
        (429, b"", [("Retry-After", "17")], PortalBusy, 17),
        (503, b"", [("Retry-After", "120")], PortalOverloaded, 120),
        (503, b"", [], PortalOverloaded, 60),
        (500, b"<h1>Nastala chyba</h1>", [], PortalServerError, 60),
        (403, b"", [], PortalUnexpected, 300),
        (404, b"", [], PortalUnexpected, 300),
        (304, b"", [], PortalUnexpected, 300),
        (204, b"", [], PortalUnexpected, 300),
        (200, MAINTENANCE, [], PortalUnexpected, 300),
        (200, b'{"a":', [], PortalUnexpected, 300),
        (200, b"\xff\xfe", [], PortalUnexpected, 300),
        (200, b"[" * 100_000, [], PortalUnexpected, 300),
        (200, b"{}" + b" " * READ_LIMIT, [], PortalUnexpected, 300),
        (
            200,
            gzip.compress(b"{}", mtime=0)[:-9],
            [("Content-Encoding", "gzip")],
            PortalUnexpected,
            300,
        ),
        (200, b"{}", [("Content-Encoding", "br")], PortalUnexpected, 300),
        (
            200,
            gzip.compress(b'{"a":1}' + b" " * READ_LIMIT, mtime=0),
            [("Content-Encoding", "gzip")],
            PortalUnexpected,
            300,
        ),
    ],
)
async def test_everything_else_is_the_portals_fault(name, status, body, headers, kind, wait):
    with pytest.raises(PortalError) as caught:
        await answered(name, status, body, headers)
    assert type(caught.value) is kind
    assert caught.value.retry_after == wait
    text = str(caught.value)
    assert "password" not in text
    assert "login" not in text
    assert "  " not in text
    assert not text.endswith(" ")


@pytest.mark.parametrize(
    ("name", "most", "body"),
    [
        ("live", MOST_BOXES, lambda count: {str(2_200_000_000 + n): {} for n in range(count)}),
        ("history", MOST_ITEMS, lambda count: {"items": [0] * count}),
    ],
)
async def test_an_answer_that_would_take_seconds_to_read_is_unexpected(name, most, body):
    assert await answered(name, 200, json.dumps(body(most)).encode()) == body(most)
    with pytest.raises(PortalUnexpected):
        await answered(name, 200, json.dumps(body(most + 1)).encode())


@any_read
@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (httpx2.ConnectTimeout, PortalTimeout),
        (httpx2.ReadTimeout, PortalTimeout),
        (httpx2.ConnectError, PortalUnreachable),
        (httpx2.ReadError, PortalUnreachable),
        (httpx2.RemoteProtocolError, PortalUnreachable),
        (httpx2.DecodingError, PortalUnexpected),
    ],
)
async def test_network_failures_mention_no_password_and_reveal_no_session(name, exc, kind):
    def fail(_request: httpx2.Request) -> httpx2.Response:
        raise exc(f"{SESSION} {{unsent}}")

    async with asking(fail) as client:
        with pytest.raises(kind) as caught:
            await READS[name](client)
    assert "password" not in str(caught.value)
    assert "{" not in str(caught.value)
    assert SESSION not in told(caught.value)


@any_read
async def test_a_slow_read_times_out(name):
    async def late(_request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(30)
        raise AssertionError

    client = PortalClient(
        "https://portal.example/", version="0", transport=httpx2.MockTransport(late), timeout=0.02
    )
    with pytest.raises(PortalTimeout, match=r"within 0\.02 seconds"):
        await READS[name](client)
    await client.aclose()


async def test_an_untrusted_certificate_stops_the_read():
    def untrusted(_request: httpx2.Request) -> httpx2.Response:
        import ssl

        error = httpx2.ConnectError("x")
        error.__cause__ = ssl.SSLError("x")
        raise error

    async with asking(untrusted) as client:
        with pytest.raises(PortalTLSError, match="Nothing was sent"):
            await client.read_live(SESSION)


async def test_one_bad_number_does_not_spoil_the_rest():
    body = b'{"1":{"a":NaN,"b":-Infinity,"c":1e999,"d":' + b"9" * 6000 + b',"e":5,"f":0.5}}'
    read = await answered("live", 200, body)
    assert read == {"1": {"a": None, "b": None, "c": None, "d": None, "e": 5, "f": 0.5}}


async def test_half_a_character_does_not_spoil_the_rest():
    read = await answered("live", 200, b'{"1":"a\\ud800b","2":"\\ud83d\\ude00 \\\\ud800"}')
    assert read == {"1": "a?b", "2": "\U0001f600 \\ud800"}
    markup = await answered("notifications", 200, command(listed(folder("\ud800"))))
    assert markup.encode()


@any_read
async def test_compressed_answers_are_unpacked(name):
    plain = await answered(name, 200, GOOD[name])
    packed = await answered(
        name, 200, gzip.compress(GOOD[name], mtime=0), [("Content-Encoding", "gzip")]
    )
    assert plain == packed


@given(
    name=st.sampled_from(sorted(READS)),
    status=st.sampled_from([200, 200, 200, 302, 401, 429, 500]),
    body=st.binary(max_size=100)
    | st.binary(max_size=50).map(gzip.compress)
    | st.sampled_from([*GOOD.values(), LOGIN_PAGE, MAINTENANCE])
    | st.recursive(
        st.none() | st.integers() | st.just(11) | st.sampled_from(["ctrl-notifs", "\ud800"]),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner),
        max_leaves=6,
    ).map(lambda value: json.dumps(value).encode()),
    encoding=st.sampled_from(["", "gzip", "br"]),
)
@example(name="notifications", status=200, body=b'[[11,"ctrl-notifs","\\ud800"]]', encoding="")
@settings(max_examples=200, deadline=None)
async def test_any_answer_to_a_read_gives_data_or_one_of_our_errors(name, status, body, encoding):
    try:
        read = await answered(name, status, body, [("Content-Encoding", encoding)])
    except (SessionExpired, PortalError) as exc:
        assert exc.__context__ is None  # noqa: PT017
    else:
        kinds = {"live": dict, "history": dict | None, "notifications": str}
        assert isinstance(read, kinds[name])


# Against the simulated portal.


@contextlib.asynccontextmanager
async def portal(email: str = "demo@example.com") -> AsyncIterator[tuple[Simulator, Any, str]]:
    inside = InProcess()
    inside.simulator.clock = Clock(lambda: NOW)
    client = inside.client()
    yield inside.simulator, client, await client.login(email, "demo")
    await client.aclose()


def present(simulator: Simulator) -> datetime:
    return datetime.fromtimestamp(simulator.clock.now(), UTC)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("email", ["demo@example.com", "demo2@example.com"])
async def test_the_simulated_boxes_are_read_correctly(email, full):
    async with portal(email) as (simulator, client, session_id):
        for box in simulator.boxes.of(email, simulator.clock.now()):
            box.full = full
        payload = await client.read_live(session_id)
        now = present(simulator)
        for summary in list_boxes(payload, now).boxes:
            box = simulator.boxes.find(summary.id, now.timestamp())
            assert box is not None
            true: dict[str, Any] = truth(box, now.timestamp())
            reading = live_data(payload, summary.id, now)
            assert reading.stale is False
            marked = {None: "unknown, read as Home", False: "home", True: "queen"}
            assert summary.model == marked[box.queen]
            assert reading.mode.number == true["mode"]
            assert reading.export.state == true["delivery"]
            assert (reading.boiler is not None) is true["boiler_fitted"]
            assert reading.battery.capacity_wh == true["capacity_wh"]
            if full:
                assert reading.battery.formatting_active is true["charging_from_grid"]


async def test_the_details_of_a_simulated_box_match_its_state():
    async with portal() as (simulator, client, session_id):
        (box,) = simulator.boxes.of("demo@example.com", simulator.clock.now())
        box.full = True
        now = present(simulator)
        clock = second_of_day(now.timestamp())
        window = {"zone1_s": int(clock) - 600, "zone1_e": int(clock) + 600}
        setup = {**window, "bat_hdo": 1, "hdo": 0, "wd": 9000, "formatting": 1, "target": 100}
        obey(box, {"setup": setup, "soc_percent": 40}, now.timestamp(), 0)
        simulator.clock.obey({"offset": simulator.clock.now() - NOW + 1800})
        now = present(simulator)
        true: Any = truth(box, now.timestamp())
        reading = live_data(await client.read_live(session_id), box.id, now, detailed=True)
        detail = reading.detail
        assert detail is not None
        assert detail.boiler is not None
        seconds = [[_seconds(one.start), _seconds(one.end)] for one in detail.low_tariff_windows]
        assert seconds == true["low_tariff_windows_s"]
        assert detail.low_tariff_charging is true["charging_at_low_tariff"] is True
        assert [one.number for one in detail.boiler.windows] == [1]
        assert detail.boiler.low_tariff is true["boiler_at_low_tariff"] is False
        assert detail.boiler.low_tariff_energy_wh == true["boiler_low_tariff_wh"] == 9000
        elements = detail.boiler.elements
        assert [one.heating_power_w for one in elements] == true["boiler_powers_w"]
        assert [int(bool(one.relay_set)) for one in elements] == true["boiler_relays"]
        assert reading.battery.formatting_active is true["charging_from_grid"] is True
        progress = reading.battery.formatting_progress_percent
        assert progress == true["charging_progress_percent"]
        assert progress is not None
        assert 0 < progress < 100


def _seconds(time_of_day: str | None) -> int:
    hours, minutes, *seconds = map(int, str(time_of_day).split(":"))
    return 3600 * hours + 60 * minutes + sum(seconds)


@pytest.mark.parametrize("email", ["demo@example.com", "demo2@example.com"])
async def test_powers_and_counters_of_the_simulated_boxes_are_right(email):
    async with portal(email) as (simulator, client, session_id):
        boxes = simulator.boxes.of(email, simulator.clock.now())
        for box in boxes:
            # Without live data everything is of one moment, about which the simulator is exact.
            box.full, box.live_data = True, False
        payload = await client.read_live(session_id)
        now = present(simulator)
        for box in boxes:
            true: Any = truth(box, now.timestamp())["uploaded"]
            reading = live_data(payload, box.id, now)
            near = functools.partial(pytest.approx, abs=3)
            assert reading.solar.power_w == near(true["pv_w"])
            assert reading.battery.power_w == near(true["battery_w"])
            assert reading.battery.state_of_charge_percent == near(true["soc_percent"])
            assert reading.grid.power_w == near(true["grid_w"])
            assert reading.load.backed_up_w == near(true["backed_load_w"])
            remains = true["other_load_w"] + true["own_w"]
            assert reading.load.rest_and_own_use_w == near(remains)
            if reading.load.whole_house_w is not None:
                assert reading.load.whole_house_w == near(true["load_w"])
                assert reading.load.own_use_w == near(true["own_w"])
            day = true["energy"]["day"]
            assert reading.energy.today.solar_wh == near(day["pv_wh"])
            assert reading.energy.today.imported_wh == near(day["imported_wh"])
            assert reading.energy.today.exported_wh == near(day["exported_wh"])
            assert reading.energy.today.battery_charged_wh == near(day["charged_wh"])
            assert reading.energy.month.solar_kwh == near(true["energy"]["month"]["pv_wh"] / 1000)


@pytest.mark.parametrize("email", ["demo@example.com", "demo2@example.com"])
async def test_the_powers_of_the_simulated_boxes_add_up_at_every_moment(email):
    async with portal(email) as (simulator, client, session_id):
        known = 0
        for _ in range(12):
            simulator.clock.move(to=simulator.clock.now() + 1_337, speed=0)
            payload = await client.read_live(session_id)
            now = present(simulator)
            for box in simulator.boxes.of(email, now.timestamp()):
                true: Any = truth(box, now.timestamp())
                load = live_data(payload, box.id, now).load
                remains = true["other_load_w"] + true["own_w"]
                assert load.rest_and_own_use_w == pytest.approx(remains, abs=4)
                if load.own_use_w is not None:
                    known += 1
                    assert load.own_use_w == pytest.approx(true["own_w"], abs=60)
        assert known > 6


async def test_two_simulated_accounts_see_their_own_boxes():
    async with portal() as (_simulator, client, first):
        second = await client.login("demo2@example.com", "demo")
        one, two = await asyncio.gather(client.read_live(first), client.read_live(second))
        assert choose_box(one, None)
        assert len(two) == 2
        assert not one.keys() & two.keys()


@pytest.mark.parametrize("name", sorted(PORTAL_NAMES))
async def test_simulated_history_is_read(name):
    async with portal() as (simulator, client, session_id):
        now = present(simulator)
        today = local_day(now)
        response = await client.read_history(session_id, PORTAL_NAMES[name], today, today)
        reading = history(name, response, today, today, now)
        assert all(moment <= now for moment in reading.times)
        assert all(quantity.summary.missing == 0 for quantity in reading.quantities)
        simulator.faults.add(Fault.parse({"kind": "nulls", "endpoint": "history"}))
        response = await client.read_history(session_id, PORTAL_NAMES[name], today, today)
        history(name, response, today, today, now)


@pytest.mark.parametrize("escaped", [False, True])
async def test_simulated_notifications_are_read(escaped):
    async with portal() as (simulator, client, session_id):
        simulator.switches.obey({"escaped": escaped})
        (box,) = simulator.boxes.of("demo@example.com", simulator.clock.now())
        dated = notifications(await client.read_notifications(session_id), present(simulator))
        found = [one.shown for one in dated]
        assert len(found) == len(box.notices)
        assert all(one.box_id == box.id and one.at and one.level for one in found)
        assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)
        read = bypass(Box(box.id, {}), dated, present(simulator))
        assert read is not None
        assert (read.automatic.state, read.manual.state) == ("off", "off")


@pytest.mark.parametrize(
    ("endpoint", "shape"),
    [
        *(("live", shape) for shape in ("list", "text", "false", "html", "redirect")),
        ("history", "unauthorized"),
        ("notifications", "unauthorized"),
    ],
)
async def test_every_simulated_end_of_a_session_is_noticed(endpoint, shape):
    async with portal() as (simulator, client, session_id):
        simulator.switches.obey({"expired": {endpoint: shape}})
        simulator.accounts.logout(session_id)
        with pytest.raises(SessionExpired):
            await READS[endpoint](client)


async def test_an_empty_answer_may_mean_the_end_of_a_session():
    async with portal() as (simulator, client, session_id):
        simulator.accounts.logout(session_id)
        simulator.switches.obey({"expired": {"history": "list"}})
        assert await client.read_notifications(session_id) == ""
        assert await client.read_history(session_id, "batt", DAY, DAY) is None


@pytest.mark.parametrize("kind", ["nan", "texts", "retyped", "dropped"])
async def test_damaged_data_is_read_as_far_as_it_goes(kind):
    async with portal() as (simulator, client, session_id):
        whole = await client.read_live(session_id)
        fault = Fault.parse({"kind": kind, "endpoint": "live", "fields": ["actual", "batt.bat_c"]})
        simulator.faults.add(fault)
        damaged = await client.read_live(session_id)
        now = present(simulator)
        box = choose_box(damaged, None)
        before, after = live_data(whole, box, now), live_data(damaged, box, now)
        if kind == "texts":
            assert after.battery.state_of_charge_percent is not None
        else:
            assert after.battery.state_of_charge_percent is None
            # With live data that lacks it, or off, only the full payload has it elsewhere.
            assert after.battery.power_w is None
            assert any("battery.power_w" in group.readings for group in after.unknown)
        assert after.energy.today == before.energy.today


def test_the_simulated_endpoints_are_those_read_here():
    assert set(READS) == {Endpoint.LIVE, Endpoint.HISTORY, Endpoint.NOTIFICATIONS}
