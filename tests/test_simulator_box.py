"""A simulated box over time: counters, uploads, waiting writes, lost contact. No test waits."""

from __future__ import annotations

import itertools
import random
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.box import Box
from simulator.boxes import Boxes
from simulator.change import Change
from simulator.clock import Clock, ClockRefused
from simulator.history import HistoryRefused, asked, items
from simulator.living import soc
from simulator.payload import blocks
from simulator.plant import Plant, Setup
from simulator.prague import naive, start_of

from .portal_simulator import DEMO_BOX

DAY = date(2026, 6, 14)
START = start_of(DAY)
HOUR = 3600.0


def tell(box: Box, now: float) -> Any:
    """Give what json.php tells of a box."""
    return blocks(box, now)


def make(now: float = START, **setup: Any) -> Box:
    return Box(DEMO_BOX, Plant(seed=7), Setup(**setup), now)


def test_energy_is_power_times_time_and_the_battery_follows_it():
    box = make(START + 9 * HOUR)
    before = box.record(START + 9 * HOUR)
    imported = pv = charged = discharged = 0.0
    for minute in range(600):
        flows = box.record(START + 9 * HOUR + 60 * minute).flows
        imported += max(flows.grid, 0) / 60
        pv += sum(flows.pv) / 60
        charged += max(flows.battery, 0) / 60
        discharged += max(-flows.battery, 0) / 60
    after = box.record(START + 19 * HOUR)

    assert after.meters.day.pv - before.meters.day.pv == pytest.approx(pv)
    assert after.meters.day.imported - before.meters.day.imported == pytest.approx(imported)
    assert after.meters.day.charged - before.meters.day.charged == pytest.approx(charged)
    assert after.stored - before.stored == pytest.approx(charged * 0.96 - discharged / 0.96)


def test_a_days_energies_balance():
    box = make()
    day = box.record(START + 86_399).meters.day
    own = box.plant.own_w * 86_399 / HOUR
    came = day.imported + day.pv + day.discharged
    went = day.exported + day.backed + day.other + day.charged + own
    assert came == pytest.approx(went)
    assert day.pv > 5000


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0, 7200), max_size=12), st.integers(0, 3))
def test_the_state_of_a_box_does_not_depend_on_when_it_was_read(pauses, mode):
    asked_often, asked_once = make(), make()
    for box in (asked_often, asked_once):
        box.queue(Change({"mode": mode}, START + 100.5, START + 160.5))
    now = START + 101.0
    for pause in pauses:
        now += pause
        asked_often.seen(now)
        tell(asked_often, now)
    assert asked_often.record(now) == asked_once.record(now)
    assert list(asked_often.records) == list(asked_once.records)
    assert asked_often.notices == asked_once.notices


def test_the_same_seed_gives_the_same_house_and_another_seed_another():
    def told(seed: int) -> object:
        box = Boxes(seed).find(DEMO_BOX, START + 12 * HOUR)
        assert box is not None
        return tell(box, START + 12 * HOUR)

    assert told(1) == told(1)
    assert told(1) != told(2)


@pytest.mark.parametrize(
    "day", [DAY, date(2026, 3, 29), date(2026, 10, 25), date(2026, 7, 1), date(2027, 1, 1)]
)
def test_day_counters_reset_at_midnight_and_slow_blocks_up_to_five_minutes_later(day):
    midnight = start_of(day)
    box = make(midnight - 2 * HOUR)
    last = box.record(midnight - 0.5).meters
    first = box.record(midnight + 1).meters

    assert last.day.backed > 1000
    assert first.day.backed < 2
    same_month, same_year = day.day != 1, (day.month, day.day) != (1, 1)
    assert (first.month.backed > last.day.backed) == same_month
    assert (first.year.backed > last.day.backed) == same_year

    # What was uploaded before midnight is still told for some minutes after it.
    stale = tell(box, midnight + 50)["ac_out"]
    assert stale["en_day"] > 1000
    fresh = tell(box, midnight + 300)["ac_out"]
    assert fresh["en_day"] < 200


def test_after_midnight_the_blocks_of_an_upload_fall_one_after_another():
    box = make(START - 2 * HOUR)
    box.full = True
    upload = next(one for one in itertools.count(START, 60.0) if box.uploaded(one).at == one)
    fallen = [
        {
            name
            for name, field in (("ac_in", "ac_ad"), ("ac_out", "en_day"), ("batt", "bat_and"))
            if tell(box, upload + seconds)[name][field] < 1000
        }
        for seconds in (-1, 4, 20, 60)
    ]
    assert fallen == [set(), {"ac_in"}, {"ac_in", "ac_out"}, {"ac_in", "ac_out", "batt"}]
    assert tell(box, upload + 20)["device"]["lastcall"] > naive(START)


def test_a_block_still_missing_when_contact_is_lost_never_arrives():
    box = make(START - 2 * HOUR)
    upload = next(one for one in itertools.count(START, 60.0) if box.uploaded(one).at == one)
    box.lose_contact(upload + 4)
    told = tell(box, upload + HOUR)
    assert told["ac_in"]["ac_ad"] < 100
    assert told["ac_out"]["en_day"] > 1000
    box.find_contact(upload + HOUR, 60)
    assert tell(box, upload + HOUR + 360)["ac_out"]["en_day"] < 1000


@pytest.mark.parametrize("minutes", [-20, 10, 60])
def test_a_box_counts_its_days_by_its_own_clock(minutes):
    box = make(START - 3 * HOUR)
    box.set_clock(START - 3 * HOUR, 60.0 * minutes)
    own_midnight = START - 60.0 * minutes
    assert box.record(own_midnight - 1).meters.day.backed > 1000
    assert box.record(own_midnight + 61).meters.day.backed < 100
    assert [day for day, _ in box.days][-1] == DAY - timedelta(days=1)
    # It keeps that clock when it starts afresh.
    later = START + 100 * 86_400 - 60.0 * minutes
    assert box.record(later - 1).meters.day.backed > 1000
    assert box.record(later + 61).meters.day.backed < 100


def test_the_section_without_backup_may_be_idle():
    box = make(START + 9 * HOUR)
    assert sum(tell(box, START + 9 * HOUR)["ac_in_b"].values()) > 0
    box.leave_rest_idle(START + 9 * HOUR, idle=True)
    told = tell(box, START + 9 * HOUR + 360)
    assert sum(told["ac_in_b"].values()) == 0
    flows = box.record(START + 9 * HOUR + 360).flows
    assert flows.grid + sum(flows.pv) == pytest.approx(
        flows.battery + sum(flows.backed) + flows.own
    )
    box.leave_rest_idle(START + 10 * HOUR, idle=False)
    assert sum(tell(box, START + 10 * HOUR + 360)["ac_in_b"].values()) > 0


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_a_day_on_which_the_clocks_change_is_counted_completely(day, hours):
    box = make(start_of(day) - HOUR)
    end = start_of(day + timedelta(days=1))
    counted = box.record(end - 0.001).meters.day
    own = box.plant.own_w * hours
    came = counted.imported + counted.pv + counted.discharged
    went = counted.exported + counted.backed + counted.other + counted.charged + own
    assert came == pytest.approx(went, abs=1)
    box.advance(end + 300)
    uploads = [r for r in box.records if start_of(day) <= r.at < end]
    assert len(uploads) == hours * 12
    # The day is remembered as it was counted, the last of the days before.
    assert [when for when, _ in box.days[-2:]] == [day - timedelta(days=1), day]
    assert box.days[-1][1] == pytest.approx(counted, abs=1)
    assert len(box.days) == 9


def test_counters_only_rise_within_a_day():
    box = make()
    readings = [box.record(START + 97.3 * n).meters.day for n in range(0, 880, 8)]
    for earlier, later in itertools.pairwise(readings):
        assert all(a <= b for a, b in zip(earlier, later, strict=True))


def test_json_php_shows_the_last_upload_and_the_live_block_the_present():
    box = make(START + 10 * HOUR)
    box.full = True
    now = START + 10 * HOUR + 219
    told = tell(box, now)
    record = box.uploaded(now)

    assert 0 < now - record.at <= 300
    assert told["ac_in"]["ac_ad"] == int(record.meters.day.imported)
    assert told["ac_in"]["ac_ay"] == int(record.meters.year.imported / 1000)
    assert told["dc_in"]["fv_p1"] == round(record.flows.pv[0])
    assert told["actual"]["fv_p1"] == round(box.record(now).flows.pv[0]) != told["dc_in"]["fv_p1"]
    assert told["device"]["lastcall"] == "2026-06-14 10:03:35"
    assert box.record(now).meters.day.pv > record.meters.day.pv


def test_lastcall_is_prague_time_without_a_zone_even_in_the_repeated_hour():
    twice = start_of(date(2026, 10, 25)) + 2.5 * HOUR
    assert naive(twice) == naive(twice + HOUR) == "2026-10-25 02:30:00"
    told = tell(make(twice + HOUR), twice + HOUR)
    assert told["device"]["lastcall"] == "2026-10-25 02:30:00"


def test_history_ends_with_what_json_php_shows():
    box = make(START + 11 * HOUR)
    box.full = True
    now = START + 11 * HOUR + 200
    told = tell(box, now)

    def last(name: str) -> list[float]:
        values: list[float] = items(name, box.plant, box.records, START, START + 86_400)[-1][
            "values"
        ]
        return values

    grid, dc, out, batt = (told[name] for name in ("ac_in", "dc_in", "ac_out", "batt"))
    total = grid["aci_wr"] + grid["aci_ws"] + grid["aci_wt"]
    assert last("grid") == [grid["aci_vr"], total, grid["ac_ad"], grid["ac_pd"]]
    assert last("fve") == [dc["fv_v1"], dc["fv_v2"], 0, dc["fv_p1"], dc["fv_p2"]]
    assert last("load") == [out["aco_pr"], out["aco_ps"], out["aco_pt"]]
    assert last("batt") == [batt["bat_v"], batt["bat_i"], batt["bat_c"], batt["bat_t"]]


def test_history_has_an_item_for_every_five_minutes_of_the_past_week_and_none_beyond():
    box = make(START + HOUR)
    box.advance(START + HOUR)
    for days in range(8):
        since = START - days * 86_400
        count = len(items("load", box.plant, box.records, since, since + 86_400))
        assert count == (288 if days else 12)
    assert items("load", box.plant, box.records, START - 8 * 86_400, START - 7 * 86_400) == []
    assert items("load", box.plant, box.records, START + 86_400, START + 2 * 86_400) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"name=batt",
        b'{"name":"history","range":"2026-06-14,2026-06-14,0"}',
        b'{"name":"batt"}',
        b'{"name":["batt"],"range":"2026-06-14,2026-06-14,0"}',
        b'{"name":"batt","range":"2026-06-14"}',
        b'{"name":"batt","range":"2026-06-31,2026-06-31,0"}',
        b'{"name":"batt","range":"2026-06-14,2026-06-13,0"}',
        b'{"name":"batt","range":"2020-06-14,2026-06-13,0"}',
        b'{"name":"batt","range":"0001-01-01,0001-01-02,0"}',
        b'{"name":"batt","range":"9999-12-31,9999-12-31,0"}',
        b"[" * 9000,
    ],
)
def test_a_malformed_request_for_history_is_refused(body):
    with pytest.raises(HistoryRefused):
        asked(body)


def test_a_write_is_fetched_when_due_and_then_shows_at_once():
    box = make(START)
    change = Change({"mode": 3}, START + 10, START + 70)
    box.queue(change)

    assert tell(box, START + 69)["box_prms"]["mode"] == 0
    assert box.pending
    told = tell(box, START + 70)
    assert told["box_prms"]["mode"] == 3
    assert told["actual"]["bat_p"] == 5000
    assert (change.applied, box.pending) == (START + 70, [])
    assert box.notices[-1].text == "Změna nastavení"
    assert box.notices[-1].body == ("Režim: Home 1 -> Home UPS",)


def test_writes_are_fetched_in_the_order_they_came():
    box = make(START)
    box.queue(Change({"mode": 1}, START, START + 60))
    box.queue(Change({"mode": 2}, START, START + 5))
    assert box.record(START + 59).stored
    assert box.setup.mode == 0
    box.advance(START + 60)
    assert (box.setup.mode, len(box.pending)) == (2, 0)


def test_without_a_delay_a_write_takes_effect_at_once():
    box = make(START)
    box.queue(Change({"mode": 2}, START + 33.3, START + 33.3))
    assert box.setup.mode == 2


def test_an_offline_box_shows_its_last_values_while_its_house_lives_on():
    box = make(START + 9 * HOUR)
    gone = START + 9 * HOUR + 42
    before = tell(box, gone)
    box.lose_contact(gone)
    change = Change({"mode": 3}, gone + 1, gone + 61)
    box.queue(change)

    later = gone + 5 * HOUR
    assert tell(box, later) == before
    assert box.record(later).meters.day.pv > box.uploaded(later).meters.day.pv + 1000
    assert box.pending == [change]

    box.find_contact(later, 60)
    assert tell(box, later + 59)["box_prms"]["mode"] == 0
    assert tell(box, later + 60)["box_prms"]["mode"] == 3
    assert tell(box, later + 400)["device"]["lastcall"] == naive(later + 400 - (later + 400) % 5)
    gap = [r for r in box.records if gone < r.at < later]
    assert gap == []


def test_charging_from_the_grid_runs_until_the_target_is_reached():
    box = make(START)
    box.set_up(START, box.setup, 50)
    box.queue(Change({"target": 60, "formatting": True}, START, START))
    assert box.record(START + 1).flows.from_grid > 4000

    box.advance(START + HOUR)
    assert not box.setup.formatting
    assert box.setup.target == 60
    peak = max(soc(box.plant, r.stored) for r in box.records if r.at > START)
    assert peak == 60


def test_a_full_battery_causes_one_notification_until_it_has_been_used_again():
    box = make(START, mode=3)
    box.set_up(START, box.setup, 50)
    box.advance(START + 6 * HOUR)
    told = [n.text for n in box.notices if n.at >= START]
    assert told == ["Baterie nabita na 80 %", "Baterie nabita na 100 %"]

    box.set_up(START + 6 * HOUR, box.setup, 50)
    box.advance(START + 9 * HOUR)
    assert [n.text for n in box.notices if n.at >= START] == told * 2


def test_a_jump_of_up_to_a_month_is_simulated_and_a_longer_one_starts_afresh():
    box = make(START)
    box.advance(START + 3 * 86_400)
    assert box.records[0].at < START
    far = START + 500 * 86_400
    assert box.record(far).at == far
    assert box.records[0].at > START + 400 * 86_400
    box.advance(START)
    assert box.records[-1].at <= START


def test_a_box_that_is_offline_stays_so_when_its_clock_is_turned_back():
    box = make(START + 9 * HOUR)
    box.lose_contact(START + 9 * HOUR)
    earlier = START - 3 * 86_400 + HOUR
    assert tell(box, earlier)["device"]["lastcall"] == naive(earlier)
    assert tell(box, earlier + HOUR)["device"]["lastcall"] == naive(earlier)


def test_simulated_time_can_be_moved_accelerated_and_stopped():
    wall = [START]
    clock = Clock(lambda: wall[0])
    clock.obey({"offset": 100, "speed": 10})
    wall[0] += 5
    assert clock.now() == START + 150
    clock.obey({"at": "2026-06-14T12:00:00", "speed": 0})
    wall[0] += 5
    assert naive(clock.now()) == "2026-06-14 12:00:00"
    clock.obey({"at": "2026-06-14T12:00:00Z"})
    assert naive(clock.now()) == "2026-06-14 14:00:00"
    clock.reset()
    assert clock.now() == wall[0]


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        {"offset": "1"},
        {"offset": True},
        {"offset": float("nan")},
        {"offset": 1e300},
        {"offset": 0, "at": "2026-06-14"},
        {"at": "noon"},
        {"at": 5},
        {"at": "1990-01-01T00:00:00"},
        {"speed": -1},
        {"speed": 1e5},
        {"faster": 1},
    ],
)
def test_an_impossible_clock_is_refused(raw):
    clock = Clock(lambda: START)
    with pytest.raises(ClockRefused):
        clock.obey(raw)
    assert clock.now() == START


def test_accounts_get_boxes_of_their_own_that_look_like_the_real_ones():
    boxes = Boxes()
    emails = [f"user{random.Random(n).randrange(10**6)}@example.com" for n in range(300)]
    ids = [box for email in emails for box in boxes.give(email, 3)]
    assert len(set(ids)) == 900
    assert all(len(box) == 10 and box.startswith("22") for box in ids)
    assert boxes.give("none@example.com", 0) == ()
    assert boxes.find("2299999999", START) is None


@settings(max_examples=20, deadline=None)
@given(st.floats(1, 59), st.integers(0, 3))
def test_a_manual_change_leaves_the_energy_before_it_alone(seconds, mode):
    box = make(START + 12 * HOUR)
    now = START + 12 * HOUR + seconds
    before = box.record(now)
    box.set_up(now, Setup(mode=mode, manual=True))
    after = box.record(now)
    assert after.meters == before.meters
    assert after.stored == before.stored
    assert after.flows.boiler == 2000
