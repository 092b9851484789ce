"""The simulated portal with a session: reads, ended sessions, faults, writes. No test waits."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from simulator.notices import MODES, feed

from .portal_simulator import DEMO_BOX, QUEEN_BOX, SECOND_BOX, InProcess

NOON = 1_781_433_605.0
SCRIPTS = "/inc/php/scripts/"
NOTIFICATIONS = f"{SCRIPTS}Controller.Call.php?id=2&selector_id=ctrl-notifs&_nonce=1781433605000"
SET, TO_GRID, CHARGE = (
    f"{SCRIPTS}{script}?_nonce=1781433605000"
    for script in ("Device.Set.Value.php", "ToGrid.Toggle.php", "Battery.Format.Save.php")
)
BY_SCRIPT = {"X-Requested-With": "XMLHttpRequest"}
TODAY = "2026-06-14,2026-06-14,0"


class Portal:
    """A simulated portal at noon of a day in June, and a browser that is logged in to it."""

    def __init__(self, http: httpx2.AsyncClient, waited: list[float]) -> None:
        self.http = http
        self.waited = waited

    async def login(self, email: str = "demo@example.com") -> None:
        answer = await self.http.post(
            f"{SCRIPTS}Login.php", json={"email": email, "password": "demo"}
        )
        self.http.headers["Cookie"] = answer.headers["set-cookie"].partition(";")[0]

    async def admin(self, path: str, **body: object) -> dict[str, Any]:
        answer = await self.http.post(f"/_admin/{path}", json=body)
        assert answer.status_code < 300, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def forward(self, seconds: float) -> None:
        state = (await self.http.get("/_admin/state")).json()
        await self.admin("clock", offset=state["clock"]["offset"] + seconds)

    async def live(self, box: str = DEMO_BOX) -> Any:
        return (await self.http.get("/json.php")).json()[box]

    async def history(self, name: str = "batt", days: str = TODAY) -> httpx2.Response:
        return await self.http.post("/json2.php", json={"name": name, "range": days})

    async def truth(self, box: str = DEMO_BOX) -> dict[str, Any]:
        told: dict[str, Any] = (await self.http.get(f"/_admin/truth?box={box}")).json()
        return told

    async def writes(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = (await self.http.get("/_admin/writes")).json()["writes"]
        return told

    async def set(self, where: str, value: object, box: str = DEMO_BOX) -> httpx2.Response:
        table, _, column = where.partition(".")
        body = {"id_device": box, "table": table, "column": column, "value": value}
        return await self.http.post(SET, json=body, headers=BY_SCRIPT)


@pytest.fixture
async def portal() -> AsyncIterator[Portal]:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    inside = InProcess(sleep, lambda: NOON)
    async with httpx2.AsyncClient(
        base_url=inside.base_url, transport=inside.transport, cookies=None
    ) as http:
        logged_in = Portal(http, waited)
        await logged_in.login()
        yield logged_in


async def test_the_demo_box_sends_the_truth_in_few_fields(portal: Portal) -> None:
    answer = await portal.http.get("/json.php")
    told, truth = answer.json(), await portal.truth()

    assert answer.headers["content-type"] == "application/json"
    assert "etag" not in answer.headers
    assert list(told) == [DEMO_BOX]
    box = told[DEMO_BOX]
    actual = box["actual"]
    grid = actual["aci_wr"] + actual["aci_ws"] + actual["aci_wt"]
    assert grid == pytest.approx(truth["grid_w"], abs=4)
    assert actual["fv_p1"] + actual["fv_p2"] == pytest.approx(truth["pv_w"], abs=1)
    assert actual["bat_p"] == pytest.approx(truth["battery_w"], abs=1)
    assert actual["aco_p"] == pytest.approx(truth["backed_load_w"], abs=2)
    assert actual["bat_c"] == round(truth["soc_percent"])
    energy = truth["uploaded"]["energy"]
    assert box["dc_in"]["fv_ad"] == int(energy["day"]["pv_wh"])
    assert box["ac_in"]["ac_pm"] == int(energy["month"]["exported_wh"] / 1000)
    assert box["boiler"]["w"] == int(energy["day"]["boiler_wh"])
    assert box["aircon"] == box["h_pump"] == []
    assert "queen" not in box
    assert "bat_v" not in box["batt"]
    assert box["device"] == {"id_type": 3002, "lastcall": "2026-06-14 12:40:05"}


async def test_an_account_with_two_boxes_gets_both_with_their_kinds(portal: Portal) -> None:
    await portal.login("demo2@example.com")
    told = (await portal.http.get("/json.php")).json()

    assert list(told) == [SECOND_BOX, QUEEN_BOX]
    many, queen = told[SECOND_BOX], told[QUEEN_BOX]
    assert many["queen"] is False
    assert {"bat_v", "bat_i", "bat_t", "bat_q", "bat_apd"} <= many["batt"].keys()
    assert len(many["car_charge_prms"]) == 25
    assert many["boiler"] == []
    assert queen["queen"] is True
    assert queen["ac_in_b"] == {"aci_wr": 0, "aci_ws": 0, "aci_wt": 0}
    assert (await portal.truth(QUEEN_BOX))["delivery"] == "limited"


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_an_account_has_up_to_three_boxes_and_gets_an_empty_list_without_any(
    portal: Portal, count: int
) -> None:
    added = await portal.admin("accounts", email="a@example.com", password="demo", boxes=count)
    await portal.login("a@example.com")
    told = (await portal.http.get("/json.php")).json()
    assert list(told) == added["boxes"]
    assert (told == []) == (count == 0)


async def test_live_data_the_flag_and_the_many_fields_are_switched_per_box(portal: Portal) -> None:
    await portal.admin("boxes", box=DEMO_BOX, live_data=False, queen=False, full=True)
    box = await portal.live()
    assert "actual" not in box
    assert box["queen"] is False
    assert box["boiler"].keys() >= {"boj_am", "boj_ay"}
    await portal.admin("boxes", box=DEMO_BOX, live_data=True, queen=None, full=False)
    box = await portal.live()
    assert "actual" in box
    assert "queen" not in box


async def test_an_etag_is_sent_and_honoured_only_when_switched_on(portal: Portal) -> None:
    await portal.admin("switches", etag=True)
    first = await portal.http.get("/json.php")
    again = await portal.http.get("/json.php", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    await portal.forward(300)
    changed = await portal.http.get("/json.php", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200


@pytest.mark.parametrize("name", ["batt", "fve", "grid", "load"])
async def test_history_has_todays_items_so_far(portal: Portal, name: str) -> None:
    answer = await portal.history(name)
    values = [item["values"] for item in answer.json()["items"]]
    lengths = {"batt": 4, "fve": 5, "grid": 4, "load": 3}
    assert answer.headers["content-type"] == "application/json"
    assert 151 <= len(values) <= 153
    assert {len(item) for item in values} == {lengths[name]}


async def test_history_of_a_future_day_is_empty_and_of_a_malformed_day_an_error(
    portal: Portal,
) -> None:
    assert (await portal.history(days="2026-06-15,2026-06-15,0")).json() == {"items": []}
    assert (await portal.history(name="nothing")).status_code == 500


def folders(text: str) -> list[dict[str, str]]:
    """Read the notifications as a browser would."""
    command, target, page, nothing = json.loads(text)[0]
    assert (command, target, nothing) == (11, "ctrl-notifs", None)
    pattern = (
        r'level-(?P<level>\d)">.*?class="date">(?P<date>[^<]+)<.*?Box #(?P<box>\d+)</strong>'
        r" - (?P<text>[^<]+)<.*?<p>(?P<body>.*?)</p>"
    )
    return [found.groupdict() for found in re.finditer(pattern, page)]


async def test_notifications_of_all_boxes_come_mixed_and_not_in_order(portal: Portal) -> None:
    await portal.login("demo2@example.com")
    answer = await portal.http.get(NOTIFICATIONS)
    told = folders(answer.text)

    assert "<\\/div>" in answer.text
    assert answer.text.isascii()
    assert {notice["box"] for notice in told} == {SECOND_BOX, QUEEN_BOX}
    texts = {notice["text"] for notice in told}
    assert {"Automatický bypass - zapnut", "Automatický bypass - vypnut"} <= texts
    assert {"Ruční bypass - zapnut", "Ruční bypass - vypnut"} <= texts
    assert {"Baterie nabita na 80 %", "Baterie nabita na 100 %"} <= texts
    assert all(re.fullmatch(r"\d+\. \d+\. 2026 \| \d+:\d\d", n["date"]) for n in told)
    boxes = [notice["box"] for notice in told]
    assert boxes not in (sorted(boxes), sorted(boxes, reverse=True))


def test_the_order_of_notifications_is_not_that_of_their_times() -> None:
    inside = InProcess(wall=lambda: NOON)
    box = inside.simulator.boxes.find(DEMO_BOX, NOON)
    assert box is not None
    shown = [notice["date"] for notice in folders(feed(box.notices))]
    assert shown
    by_time = [n["date"] for notice in sorted(box.notices, key=lambda n: -n.at)
               for n in folders(feed([notice]))]  # fmt: skip
    assert sorted(shown) == sorted(by_time)


async def test_a_notification_with_any_text_can_be_added(portal: Portal) -> None:
    await portal.admin(
        "notices",
        box=DEMO_BOX,
        text="Teplota <55 °C> & víc",
        level=5,
        body=["první", "druhý"],
        at="2026-06-14T09:05:00",
    )
    told = folders((await portal.http.get(NOTIFICATIONS)).text)
    [notice] = [n for n in told if n["level"] == "5"]
    assert html.unescape(notice["text"]) == "Teplota <55 °C> & víc"
    assert (notice["date"], notice["body"]) == ("14. 6. 2026 | 9:05", "první<br />druhý")

    await portal.admin("switches", escaped=True)
    page = json.loads((await portal.http.get(NOTIFICATIONS)).text)[0][2]
    assert page.startswith("&lt;div")


async def test_a_bypass_shows_in_notifications_and_in_the_long_payload(portal: Portal) -> None:
    for state in ("automatic", "manual", "off"):
        await portal.admin("boxes", box=DEMO_BOX, bypass=state, full=True)
        prms = (await portal.live())["box_prms"]
        assert (prms["bypass"], prms["bypass_m"]) == (state == "automatic", state == "manual")
    told = folders((await portal.http.get(NOTIFICATIONS)).text)
    now = [n["text"] for n in told if n["date"] == "14. 6. 2026 | 12:40"]
    assert sorted(now) == [
        "Automatický bypass - vypnut",
        "Automatický bypass - zapnut",
        "Ruční bypass - vypnut",
        "Ruční bypass - zapnut",
    ]


async def test_only_the_call_for_notifications_is_answered(portal: Portal) -> None:
    answer = await portal.http.get(f"{SCRIPTS}Controller.Call.php?id=3&selector_id=ctrl-notifs")
    assert answer.status_code == 404


EXPIRED = [
    ("live", "list", 200, b"[]"),
    ("live", "text", 200, b'""'),
    ("live", "false", 200, b"false"),
    ("live", "html", 200, b"<form"),
    ("live", "redirect", 302, b""),
    ("history", "unauthorized", 401, b""),
    ("history", "list", 200, b"[]"),
    ("notifications", "empty", 200, b'<div class=\\"folder-list\\">  <\\/div>'),
    ("notifications", "unauthorized", 401, b""),
    ("writes", "list", 200, b"[]"),
    ("writes", "commands", 200, b"[[2,"),
    ("writes", "html", 200, b"<form"),
    ("writes", "unauthorized", 401, b""),
]


@pytest.mark.parametrize(("endpoint", "shape", "status", "part"), EXPIRED)
async def test_an_ended_session_shows_itself_in_the_chosen_way(
    portal: Portal, endpoint: str, shape: str, status: int, part: bytes
) -> None:
    await portal.admin("switches", expired={endpoint: shape})
    await portal.http.delete("/_admin/sessions")
    answer = await ASK[endpoint](portal)
    assert answer.status_code == status
    assert part in answer.content
    if endpoint == "writes":
        assert [write["outcome"] for write in await portal.writes()] == ["expired"]


async def ask_live(portal: Portal) -> httpx2.Response:
    return await portal.http.get("/json.php")


async def ask_notifications(portal: Portal) -> httpx2.Response:
    return await portal.http.get(NOTIFICATIONS)


async def ask_write(portal: Portal) -> httpx2.Response:
    return await portal.set("box_prms.mode", 1)


ASK: dict[str, Callable[[Portal], Any]] = {
    "live": ask_live,
    "history": Portal.history,
    "notifications": ask_notifications,
    "writes": ask_write,
}


@pytest.mark.parametrize("endpoint", ASK)
@pytest.mark.parametrize(
    ("kind", "members", "status"),
    [
        ("empty", {}, 200),
        ("html", {}, 200),
        ("unauthorized", {}, 401),
        ("forbidden", {}, 403),
        ("too_many", {"retry_after": 9}, 429),
        ("error", {}, 500),
        ("unavailable", {"retry_after": 9}, 503),
        ("redirect", {}, 302),
        ("oversized", {}, 200),
    ],
)
async def test_a_fault_affects_its_path_once_and_no_other(
    portal: Portal, endpoint: str, kind: str, members: dict[str, object], status: int
) -> None:
    await portal.admin("faults", kind=kind, endpoint=endpoint, requests=1, **members)
    for other in set(ASK) - {endpoint}:
        sound = await ASK[other](portal)
        assert (sound.status_code, len(sound.content) < 100_000) == (200, True)
    answer = await ASK[endpoint](portal)
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == ("9" if members else None)
    assert (kind == "oversized") == (len(answer.content) > 1_000_000)
    assert (await ASK[endpoint](portal)).status_code == 200


@pytest.mark.parametrize("endpoint", ASK)
async def test_a_slow_answer_is_the_usual_one_and_a_dropped_one_never_arrives(
    portal: Portal, endpoint: str
) -> None:
    await portal.admin("faults", kind="slow", endpoint=endpoint, requests=1, latency=20)
    assert (await ASK[endpoint](portal)).status_code == 200
    assert portal.waited == [20]
    await portal.admin("faults", kind="drop", endpoint=endpoint, requests=1)
    with pytest.raises(ConnectionResetError):
        await ASK[endpoint](portal)


@pytest.mark.parametrize("endpoint", ASK)
async def test_a_truncated_answer_does_not_unpack_to_a_whole_one(
    portal: Portal, endpoint: str
) -> None:
    whole = (await ASK[endpoint](portal)).content
    await portal.admin("faults", kind="truncated_gzip", endpoint=endpoint)
    try:
        cut = (await ASK[endpoint](portal)).content
    except httpx2.DecodingError:
        return
    assert len(cut) < len(whole)


async def test_a_fault_can_affect_the_sessions_of_one_account_only(portal: Portal) -> None:
    await portal.admin("faults", kind="error", endpoint="live", email="demo2@example.com")
    assert (await ask_live(portal)).status_code == 200
    await portal.login("demo2@example.com")
    assert (await ask_live(portal)).status_code == 500


async def test_a_client_without_a_copy_may_get_not_modified(portal: Portal) -> None:
    await portal.admin("faults", kind="not_modified", endpoint="live", requests=1)
    assert (await ask_live(portal)).status_code == 304


async def damage(portal: Portal, kind: str, *fields: str) -> Any:
    await portal.admin("faults", kind=kind, endpoint="live", requests=1, fields=list(fields))
    return await portal.live()


async def test_damage_affects_the_named_fields_or_the_live_block(portal: Portal) -> None:
    sound = await portal.live()
    assert all(math.isnan(value) for value in (await damage(portal, "nan"))["actual"].values())
    texts = await damage(portal, "texts", "batt.bat_c", "dc_in")
    assert texts["batt"]["bat_c"] == str(sound["batt"]["bat_c"])
    assert texts["dc_in"] == {name: str(value) for name, value in sound["dc_in"].items()}
    assert texts["actual"] == sound["actual"]
    assert "actual" not in await damage(portal, "dropped")
    dropped = await damage(portal, "dropped", "actual.bat_p", "box_prms.mode", "no.such")
    assert "bat_p" not in dropped["actual"]
    assert "mode" not in dropped["box_prms"]
    retyped = await damage(portal, "retyped", "actual", "batt.bat_c")
    assert retyped["actual"] == "0"
    assert isinstance(retyped["batt"]["bat_c"], dict)
    assert await portal.live() == sound


async def test_unknown_fields_can_be_added(portal: Portal) -> None:
    sound = await portal.live()
    added = await damage(portal, "added", "batt.surprise", "batt.another", "extra", "aircon.p")
    assert added["batt"] == sound["batt"] | {"surprise": 1, "another": 1}
    assert (added["extra"], added["aircon"]) == ({"new": 1}, {"p": 1})
    assert (await damage(portal, "added"))["actual"]["new"] == 1
    assert await portal.live() == sound


async def test_a_series_can_be_answered_with_nothing(portal: Portal) -> None:
    await portal.admin("faults", kind="nothing", endpoint="history", requests=1)
    assert (await portal.history()).json() == []
    assert (await portal.history()).json()["items"]


async def test_todays_pv_energy_dips_by_a_few_watt_hours(portal: Portal) -> None:
    sound = await portal.live()
    await portal.admin("faults", kind="dip", endpoint="live", requests=1)
    assert (await portal.live())["dc_in"]["fv_ad"] == sound["dc_in"]["fv_ad"] - 7


async def test_history_can_have_gaps_at_the_worst_times(portal: Portal) -> None:
    await portal.admin("faults", kind="nulls", endpoint="history", requests=1)
    items = (await portal.history()).json()["items"]
    assert items[-1] == {"values": [None] * 4}
    assert items[-2] is None
    assert len(items[-4]["values"]) == 1
    assert items[-6] == {}
    assert len(items[-3]["values"]) == 4
    await portal.admin("faults", kind="texts", endpoint="history", requests=1)
    assert isinstance((await portal.history()).json()["items"][-1]["values"][2], str)


async def test_grid_counters_can_be_zero_without_affecting_other_series(
    portal: Portal,
) -> None:
    for name in ("grid", "batt", "fve", "load"):
        sound = (await portal.history(name)).json()["items"]
        await portal.admin("faults", kind="uncounted", endpoint="history", requests=1)
        items = (await portal.history(name)).json()["items"]
        if name == "grid":
            assert [one["values"] for one in items] == [[*one["values"][:2], 0, 0] for one in sound]
            assert any(one["values"][2] for one in sound)
        else:
            assert items == sound


async def test_the_values_in_the_middle_of_a_series_are_absurd(portal: Portal) -> None:
    sound = (await portal.history()).json()["items"]
    await portal.admin("faults", kind="absurd", endpoint="history", requests=1)
    items = (await portal.history()).json()["items"]
    (changed,) = [place for place, one in enumerate(items) if one != sound[place]]
    assert abs(changed - len(items) / 2) <= 1
    assert items[changed]["values"] == [20 * value for value in sound[changed]["values"]]


async def test_damage_does_not_alter_the_sign_of_an_ended_session(portal: Portal) -> None:
    await portal.admin("faults", kind="nan", endpoint="live")
    await portal.admin("switches", expired={"live": "html"})
    await portal.http.delete("/_admin/sessions")
    assert b"<form" in (await ask_live(portal)).content


async def test_a_mode_change_is_queued_fetched_by_the_box_and_notified(portal: Portal) -> None:
    answer = await portal.set("box_prms.mode", 3)
    assert (answer.status_code, answer.json()[0][2]) == (200, "OK")
    assert (await portal.live())["box_prms"]["mode"] == 0
    assert (await portal.truth())["pending_writes"] == [{"mode": 3}]
    await portal.forward(59)
    assert (await portal.live())["box_prms"]["mode"] == 0
    await portal.forward(1)
    assert (await portal.live())["box_prms"]["mode"] == 3
    told = folders((await portal.http.get(NOTIFICATIONS)).text)
    assert any(html.unescape(n["body"]) == f"Režim: {MODES[0]} -> {MODES[3]}" for n in told)

    [write] = await portal.writes()
    assert (write["outcome"], write["box"], write["nonce"]) == (
        "queued",
        DEMO_BOX,
        "1781433605000",
    )
    assert (write["at"], write["applied"]) == ("2026-06-14 12:40:05", "2026-06-14 12:41:05")
    assert write["sent"]["value"] == 3


SETTINGS = [
    ("box_prms.mode", "box_prms", "mode", 0, 3, 2),
    ("box_prm2.app", "box_prm2", "app", 0, 3, 2),
    ("invertor_prm1.p_max_feed_grid", "invertor_prm1", "p_max_feed_grid", 1, 10_000, 4200),
    ("boiler_prms.manual", "boiler_prms", "manual", 0, 1, 1),
    ("boiler_prms.ssr0", "boiler_prms", "ssr0", 0, 1, 0),
    ("boiler_prms.ssr1", "boiler_prms", "ssr1", 0, 1, 1),
    ("boiler_prms.ssr2", "boiler_prms", "ssr2", 0, 1, 1),
]


@pytest.mark.parametrize(("where", "block", "field", "low", "high", "value"), SETTINGS)
async def test_each_setting_is_accepted_within_its_range_and_shown(
    portal: Portal, where: str, block: str, field: str, low: int, high: int, value: int
) -> None:
    await portal.admin("switches", delay=0)
    for wrong in (low - 1, high + 1, str(value), float(value), True, None, [value]):
        answer = await portal.set(where, wrong)
        assert answer.status_code == 500
        assert b"Nastala chyba" in answer.content
    assert (await portal.set(where, value)).status_code == 200
    assert (await portal.live())[block][field] == value
    outcomes = [write["outcome"] for write in await portal.writes()]
    assert outcomes == ["refused"] * 7 + ["queued"]


@pytest.mark.parametrize(
    ("box", "body", "delivery", "cap"),
    [
        (DEMO_BOX, {"value": 0, "p_max_feed_grid": None}, "off", 0),
        (DEMO_BOX, {"value": 1, "p_max_feed_grid": None}, "on", 10_000),
        (DEMO_BOX, {"value": 2, "p_max_feed_grid": 4000}, "limited", 4000),
        (DEMO_BOX, {"value": 1, "p_max_feed_grid": 4000}, "limited", 4000),
        (QUEEN_BOX, {"value": 0, "p_max_feed_grid": None}, "off", 0),
        (QUEEN_BOX, {"value": 1, "p_max_feed_grid": None}, "on", 10_000),
        (QUEEN_BOX, {"value": 2, "p_max_feed_grid": 4000}, "limited", 4000),
    ],
)
async def test_export_is_switched_off_on_or_limited_in_one_call(
    portal: Portal, box: str, body: dict[str, object], delivery: str, cap: int
) -> None:
    if box == QUEEN_BOX:
        await portal.login("demo2@example.com")
    await portal.admin("switches", delay=0)
    await portal.admin("boxes", box=box, setup={"feed_cap": 700})
    answer = await portal.http.post(TO_GRID, json={"id_device": box, **body}, headers=BY_SCRIPT)
    assert answer.status_code == 200
    truth = await portal.truth(box)
    assert (truth["delivery"], truth["export_cap_w"]) == (delivery, cap)
    if delivery == "limited":
        assert (await portal.live(box))["invertor_prm1"]["p_max_feed_grid"] == cap


async def test_switching_export_on_leaves_the_cap_alone_if_so_configured(
    portal: Portal,
) -> None:
    await portal.admin("switches", delay=0, lifts_cap=False)
    await portal.admin("boxes", box=DEMO_BOX, setup={"feed_cap": 700, "to_grid": 0})
    body = {"id_device": DEMO_BOX, "value": 1, "p_max_feed_grid": None}
    await portal.http.post(TO_GRID, json=body, headers=BY_SCRIPT)
    assert (await portal.truth())["delivery"] == "limited"


@pytest.mark.parametrize(
    "body",
    [
        {"value": 1},
        {"value": 2, "p_max_feed_grid": None},
        {"value": 0, "p_max_feed_grid": 4000},
        {"value": 2, "p_max_feed_grid": 0},
        {"value": 2, "p_max_feed_grid": 10_000},
        {"value": 2, "p_max_feed_grid": "4000"},
        {"value": 3, "p_max_feed_grid": None},
        {"value": "1", "p_max_feed_grid": None},
        {"value": 1, "p_max_feed_grid": None, "more": 1},
        {"value": 1, "p_max_feed_grid": None, "id_device": 2210400017},
        {"value": 1, "p_max_feed_grid": None, "id_device": SECOND_BOX},
    ],
)
async def test_a_malformed_switch_of_the_export_changes_nothing(
    portal: Portal, body: dict[str, object]
) -> None:
    answer = await portal.http.post(
        TO_GRID, json={"id_device": DEMO_BOX, **body}, headers=BY_SCRIPT
    )
    assert answer.status_code == 500
    assert (await portal.truth())["pending_writes"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"bat_ac": "90"},
        {"bat_ac": 90},
        {"id_device": SECOND_BOX, "bat_ac": 90},
        {"id_device": QUEEN_BOX, "bat_ac": "90"},
        {"id_device": QUEEN_BOX, "column": "bat_ac", "value": 90},
    ],
)
async def test_charging_from_the_grid_acts_on_the_named_box_or_the_first(
    portal: Portal, body: dict[str, object]
) -> None:
    await portal.login("demo2@example.com")
    await portal.admin("switches", delay=0)
    for box in (SECOND_BOX, QUEEN_BOX):
        await portal.admin("boxes", box=box, soc_percent=40)
    assert (await portal.http.post(CHARGE, json=body, headers=BY_SCRIPT)).status_code == 200
    charged = body.get("id_device", SECOND_BOX)
    for box in (SECOND_BOX, QUEEN_BOX):
        truth = await portal.truth(box)
        assert truth["charging_from_grid"] == (box == charged)
        assert (truth["charge_target_percent"] == 90) == (box == charged)


@pytest.mark.parametrize(
    "body",
    [
        {"bat_ac": "19"},
        {"bat_ac": 101},
        {"bat_ac": "0"},
        {"bat_ac": "1"},
        {"bat_ac": "ninety"},
        {"bat_ac": None},
        {"bat_ac": 50.5},
        {"id_device": SECOND_BOX, "bat_ac": 50},
        {"id_device": 7, "bat_ac": 50},
        {"column": "bat_ac", "value": 50},
        {"id_device": DEMO_BOX, "column": "bat_min", "value": 50},
        {},
    ],
)
async def test_malformed_charging_is_refused(portal: Portal, body: dict[str, object]) -> None:
    answer = await portal.http.post(CHARGE, json=body, headers=BY_SCRIPT)
    assert answer.status_code == 500
    assert (await portal.writes())[0]["reason"]


FORM = {"id_device": DEMO_BOX, "table": "box_prms", "column": "mode", "value": "2"}


@pytest.mark.parametrize(
    ("contract", "as_json", "as_form"),
    [("json", 200, 500), ("form", 500, 200), ("both", 200, 200)],
)
async def test_writes_must_match_the_configured_contract(
    portal: Portal, contract: str, as_json: int, as_form: int
) -> None:
    await portal.admin("switches", contract=contract)
    assert (await portal.set("box_prms.mode", 2)).status_code == as_json
    assert (await portal.http.post(SET, data=FORM, headers=BY_SCRIPT)).status_code == as_form
    assert (await portal.http.post(SET, data=FORM)).status_code == 500


@pytest.mark.parametrize("limit", [{}, {"p_max_feed_grid": ""}, {"p_max_feed_grid": "null"}])
async def test_an_empty_form_field_stands_for_null(portal: Portal, limit: dict[str, str]) -> None:
    await portal.admin("switches", contract="form", delay=0)
    body = {"id_device": DEMO_BOX, "value": "0", **limit}
    assert (await portal.http.post(TO_GRID, data=body, headers=BY_SCRIPT)).status_code == 200
    assert (await portal.truth())["delivery"] == "off"
    body = {"id_device": DEMO_BOX, "value": "2", "p_max_feed_grid": "4000"}
    assert (await portal.http.post(TO_GRID, data=body, headers=BY_SCRIPT)).status_code == 200
    assert (await portal.truth())["export_cap_w"] == 4000


async def test_a_write_without_the_script_header_is_refused(portal: Portal) -> None:
    body = {"id_device": DEMO_BOX, "table": "box_prms", "column": "mode", "value": 2}
    answer = await portal.http.post(SET, json=body)
    assert answer.status_code == 500
    assert b"Nastala chyba" in answer.content


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"{", "application/json"),
        (b"[" * 9000, "application/json"),
        (b"\xff", "application/json"),
        (b"x" * 20_000, "application/json"),
        (b"&".join([b"a=1"] * 20), "application/x-www-form-urlencoded"),
        (b"a", "application/x-www-form-urlencoded"),
        (b"{}", "text/plain"),
        (b"{}", ""),
    ],
)
async def test_an_unreadable_write_is_refused_and_logged(
    portal: Portal, content: bytes, kind: str
) -> None:
    await portal.admin("switches", contract="both")
    headers = {**BY_SCRIPT, "Content-Type": kind}
    answer = await portal.http.post(SET, content=content, headers=headers)
    assert answer.status_code == 500
    assert [write["outcome"] for write in await portal.writes()] == ["refused"]


async def test_equipment_that_a_box_lacks_cannot_be_set(portal: Portal) -> None:
    await portal.login("demo2@example.com")
    assert (await portal.set("boiler_prms.manual", 1, SECOND_BOX)).status_code == 500
    assert (await portal.set("box_prms.p_bat", 1, SECOND_BOX)).status_code == 500
    assert (await portal.set("box_prms.mode", 1, DEMO_BOX)).status_code == 500
    assert (await portal.set("box_prms.mode", 1, QUEEN_BOX)).status_code == 200
    assert (await portal.truth(SECOND_BOX))["pending_writes"] == []


async def test_the_write_of_an_offline_box_waits_until_it_is_back(portal: Portal) -> None:
    await portal.admin("boxes", box=DEMO_BOX, offline=True)
    assert (await portal.set("box_prms.mode", 3)).status_code == 200
    await portal.forward(86_400)
    told = await portal.live()
    assert told["box_prms"]["mode"] == 0
    assert told["device"]["lastcall"] == "2026-06-14 12:40:05"
    assert (await portal.truth())["pending_writes"] == [{"mode": 3}]
    assert (await portal.writes())[0]["applied"] is None

    await portal.admin("boxes", box=DEMO_BOX, offline=False)
    await portal.forward(60)
    assert (await portal.live())["box_prms"]["mode"] == 3


@pytest.mark.parametrize(
    ("members", "status", "outcome", "mode"),
    [
        ({"kind": "error"}, 500, "fault", 0),
        ({"kind": "error", "processed": True}, 500, "queued", 1),
        ({"kind": "html", "processed": True}, 200, "queued", 1),
        ({"kind": "json"}, 200, "fault", 0),
        ({"kind": "forgotten"}, 200, "forgotten", 0),
        ({"kind": "answer", "text": "Box není online"}, 200, "fault", 0),
        ({"kind": "answer", "text": "", "processed": True}, 200, "queued", 1),
        ({"kind": "slow", "latency": 9}, 200, "queued", 1),
    ],
)
async def test_a_faulty_write_takes_effect_or_not_as_the_fault_says(
    portal: Portal, members: dict[str, object], status: int, outcome: str, mode: int
) -> None:
    await portal.admin("switches", delay=0)
    await portal.admin("faults", endpoint="writes", requests=1, **members)
    assert (await portal.set("box_prms.mode", 1)).status_code == status
    assert (await portal.live())["box_prms"]["mode"] == mode
    assert [write["outcome"] for write in await portal.writes()] == [outcome]


async def test_a_write_can_be_answered_with_any_text(portal: Portal) -> None:
    for text in ('[[0,1,"Nepoda\\u0159ilo se"]]', "<p>Ř</p>"):
        await portal.admin("faults", kind="answer", endpoint="writes", requests=1, text=text)
        answer = await portal.set("box_prms.mode", 1)
        assert answer.content.decode() == text


async def test_a_box_may_be_in_a_mode_that_no_write_sets_and_can_leave_it(
    portal: Portal,
) -> None:
    await portal.admin("switches", delay=0)
    for mode, name in ((4, "Home 5"), (5, "Home 6")):
        assert (await portal.set("box_prms.mode", mode)).status_code == 500
        await portal.admin("boxes", box=DEMO_BOX, setup={"mode": mode})
        assert (await portal.live())["box_prms"]["mode"] == mode
        await portal.set("box_prms.mode", 1)
        assert (await portal.live())["box_prms"]["mode"] == 1
        told = folders((await portal.http.get(NOTIFICATIONS)).text)
        assert any(html.unescape(one["body"]) == f"Režim: {name} -> Home 2" for one in told)


async def test_a_dropped_write_may_have_taken_effect(portal: Portal) -> None:
    await portal.admin("switches", delay=0)
    await portal.admin("faults", kind="drop", endpoint="writes", processed=True)
    with pytest.raises(ConnectionResetError):
        await portal.set("box_prms.mode", 1)
    assert (await portal.live())["box_prms"]["mode"] == 1


async def test_the_write_log_records_every_write_and_can_be_cleared(portal: Portal) -> None:
    for value in (1, 9):
        await portal.set("box_prms.mode", value)
    assert [write["outcome"] for write in await portal.writes()] == ["queued", "refused"]
    assert (await portal.http.delete("/_admin/writes")).json() == {"forgotten": 2}
    assert await portal.writes() == []
    session = portal.http.headers["Cookie"].partition("=")[2]
    await portal.set("box_prms.mode", 1)
    assert session not in (await portal.http.get("/_admin/writes")).text


async def test_requests_are_counted_by_purpose(portal: Portal) -> None:
    for ask in ASK.values():
        await ask(portal)
    state = (await portal.http.get("/_admin/state")).json()
    assert state["requests"] == dict.fromkeys(("login", *ASK), 1)


async def test_a_reset_restores_boxes_clock_switches_and_log(portal: Portal) -> None:
    sound = await portal.live()
    await portal.admin("switches", delay=0, etag=True)
    await portal.admin("clock", offset=5000)
    await portal.set("box_prms.mode", 1)
    await portal.admin("reset")
    await portal.login()
    assert await portal.live() == sound
    assert await portal.writes() == []


BAD = [
    ("clock", {}),
    ("clock", {"offset": "x"}),
    ("switches", {}),
    ("switches", {"unknown": 1}),
    ("switches", {"contract": "xml"}),
    ("switches", {"contract": ["json"]}),
    ("switches", {"delay": -1}),
    ("switches", {"delay": "1"}),
    ("switches", {"delay": 1e9}),
    ("switches", {"etag": 1}),
    ("switches", {"expired": []}),
    ("switches", {"expired": {"login": "list"}}),
    ("switches", {"expired": {"live": "unauthorized"}}),
    ("switches", {"delay": 5, "expired": {"live": 1}}),
    ("boxes", {"box": DEMO_BOX, "more": 1}),
    ("boxes", {"box": DEMO_BOX, "offline": 1}),
    ("boxes", {"box": DEMO_BOX, "queen": "yes"}),
    ("boxes", {"box": DEMO_BOX, "bypass": "on"}),
    ("boxes", {"box": DEMO_BOX, "bypass": ["off"]}),
    ("boxes", {"box": DEMO_BOX, "soc_percent": 101}),
    ("boxes", {"box": DEMO_BOX, "soc_percent": "50"}),
    ("boxes", {"box": DEMO_BOX, "clock_minutes": 121}),
    ("boxes", {"box": DEMO_BOX, "clock_minutes": 1.5}),
    ("boxes", {"box": DEMO_BOX, "clock_minutes": True}),
    ("boxes", {"box": DEMO_BOX, "idle_rest": 1}),
    ("boxes", {"box": DEMO_BOX, "setup": []}),
    ("boxes", {"box": DEMO_BOX, "setup": {"mode": 6}}),
    ("boxes", {"box": DEMO_BOX, "setup": {"mode": True}}),
    ("boxes", {"box": DEMO_BOX, "setup": {"colour": 1}}),
    ("boxes", {"box": DEMO_BOX, "offline": True, "setup": {"mode": 9}}),
    ("boxes", []),
    ("notices", []),
    ("notices", {"box": DEMO_BOX}),
    ("notices", {"box": DEMO_BOX, "text": ""}),
    ("notices", {"box": DEMO_BOX, "text": "x" * 401}),
    ("notices", {"box": DEMO_BOX, "text": "x", "level": 6}),
    ("notices", {"box": DEMO_BOX, "text": "x", "level": True}),
    ("notices", {"box": DEMO_BOX, "text": "x", "body": "x"}),
    ("notices", {"box": DEMO_BOX, "text": "x", "body": [1]}),
    ("notices", {"box": DEMO_BOX, "text": "x", "at": "noon"}),
    ("notices", {"box": DEMO_BOX, "text": "x", "colour": "red"}),
    ("accounts", {"email": "a@b", "password": "x", "boxes": 4}),
    ("accounts", {"email": "a@b", "password": "x", "boxes": True}),
    ("accounts", {"email": "a@b", "password": "x", "more": 1}),
]


@pytest.mark.parametrize(("path", "body"), BAD)
async def test_a_malformed_administration_request_is_refused_and_changes_nothing(
    portal: Portal, path: str, body: object
) -> None:
    before = [(await portal.http.get(p)).json() for p in ("/_admin/state", "/_admin/boxes")]
    truth = await portal.truth()
    answer = await portal.http.post(f"/_admin/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    after = [(await portal.http.get(p)).json() for p in ("/_admin/state", "/_admin/boxes")]
    assert after == before
    assert await portal.truth() == truth


@pytest.mark.parametrize("box", ["2299999999", "", "x"])
async def test_an_unknown_box_is_not_found(portal: Portal, box: str) -> None:
    assert (await portal.http.get(f"/_admin/truth?box={box}")).status_code == 404
    assert (await portal.http.post("/_admin/boxes", json={"box": box})).status_code == 404
    body = {"box": box, "text": "x"}
    assert (await portal.http.post("/_admin/notices", json=body)).status_code == 404


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
async def test_a_box_can_be_set_to_any_state_at_once(portal: Portal, mode: int) -> None:
    told = await portal.admin(
        "boxes", box=DEMO_BOX, soc_percent=50, setup={"mode": mode, "manual": 1}
    )
    assert (told["mode"], told["soc_percent"], told["boiler_w"]) == (mode, 50, 2000)
    own = told["grid_w"] + told["pv_w"] - told["battery_w"] - told["load_w"]
    assert own == pytest.approx(told["own_w"])


async def test_boxes_are_listed_by_account(portal: Portal) -> None:
    told = (await portal.http.get("/_admin/boxes")).json()["boxes"]
    assert told == {
        "demo@example.com": [DEMO_BOX],
        "demo2@example.com": [SECOND_BOX, QUEEN_BOX],
    }


async def test_the_sessions_that_live_are_listed(portal: Portal) -> None:
    listed = (await portal.http.get("/_admin/sessions")).json()["sessions"]
    assert portal.http.cookies["PHPSESSID"] in listed
    await portal.http.delete("/_admin/sessions")
    assert (await portal.http.get("/_admin/sessions")).json()["sessions"] == []
