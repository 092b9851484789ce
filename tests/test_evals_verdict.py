"""Misled readers, overdrawn budgets, broken rules: all are found."""

import json
from dataclasses import replace

import pytest

from evals import golden
from evals.fields import Field, fields, reasons_in, warnings_in
from evals.invariants import INVARIANTS
from evals.readers import DatePart, FirstNumber, FirstTool, FirstWord, OnlyWarnings, Result
from evals.scenario import DEMO_BOX, Call, Check, Scenario, Truth
from evals.transcript import Exchange, Played, written
from evals.verdict import complaints

TOLD = {
    "warnings": ["The values are 3 hours old."],
    "at": "2026-06-16T22:30:00Z",
    "solar": {"power_w": 1000.0, "voltage_v": None},
    "energy": {"today": {"solar_wh": 5000.0}, "year": {"solar_kwh": 7.0}},
    "boxes": [{"id": "b1", "online": True}, {"id": "b2", "online": False}],
    "unknown": [{"why": "Not sent.", "readings": ["solar.voltage_v"]}],
}


def played(*told, truth=None, **more):
    exchanges = [
        Exchange(
            call=Call(tool="get_live_data"),
            at="2026-06-17T00:30:00+02:00",
            result=Result("get_live_data", one),
            text=json.dumps(one),
            code=None,
            truth={DEMO_BOX: truth or {}},
        )
        for one in told
    ]
    return Played(exchanges=exchanges, truth={DEMO_BOX: truth or {}}, **more)


def failing(text, code="portal_error"):
    one = played(None)
    (exchange,) = one.exchanges
    one.exchanges = [
        replace(exchange, result=Result("get_live_data", None, text), text=text, code=code)
    ]
    return one


def scenario(**members):
    call = Call(tool="get_live_data")
    fixed = {"name": "x", "at": "2026-06-17T00:30:00", "question": "?", "chars": 1000}
    return Scenario(**{**fixed, "steps": (call,), **members})


def judged(reader, truth, *, told=TOLD, relative=0.02, **members):
    check = Check(reader=reader, truth=Truth(path="it", relative=relative), **members)
    return complaints(scenario(checks=(check,)), played(told, truth={"it": truth}))


def test_fields_have_paths_that_name_elements_by_what_they_are_about():
    assert Field("boxes[b2].online", False) in list(fields(TOLD))
    assert Field("solar.power_w", 1000.0) in list(fields(TOLD))
    assert list(fields(None)) == []


def test_warnings_and_reasons_are_found_anywhere_in_a_result():
    assert warnings_in({"boxes": [{"id": "b1", **TOLD}]}) == TOLD["warnings"]
    nested = {"boxes": [{"id": "b1", **TOLD}]}
    assert reasons_in(nested) == {"boxes.b1.solar.voltage_v": "Not sent."}


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        (FirstNumber(("solar",)), 1000.0),
        (FirstNumber(("today", "solar")), 5000.0),
        (FirstNumber(("year", "solar")), 7000.0),
        (FirstNumber(("voltage",)), None),
        (FirstNumber(("nothing",)), None),
        (FirstWord(("b2", "online")), False),
        (DatePart(("at",)), "2026-06-16"),
        (OnlyWarnings((("hours old", "stale"),)), "stale"),
        (OnlyWarnings((("offline", "off"),), otherwise="on"), "on"),
    ],
)
def test_a_reader_takes_the_first_field_that_fits(reader, value):
    assert reader.read([Result("get_live_data", TOLD)]).value == value


def test_a_reader_of_the_first_tool_does_not_see_the_second():
    second = {"solar": {"power_w": 2.0}}
    results = [Result("list_boxes", TOLD), Result("get_live_data", second)]
    assert FirstNumber(("solar",)).read(results).value == 2.0
    assert FirstTool(FirstNumber(("solar",))).read(results).value == 1000.0


def test_a_reader_with_the_right_answer_gets_no_complaint():
    assert judged(FirstNumber(("solar",)), 1010.0) == []


def test_a_reader_with_a_wrong_answer_is_misled():
    (text,) = judged(FirstNumber(("solar",)), 2000.0)
    assert "says 1000.0 (solar.power_w of get_live_data), and it is 2000.0" in text


def test_a_warned_reader_is_not_misled():
    assert judged(FirstNumber(("solar",)), 2000.0, warned="3 hours old") == []


def test_a_reader_with_a_note_beside_the_field_is_not_misled():
    told = {"export": {"state": "off", "note": "A Queen would export."}, "note": "Elsewhere."}
    reader = FirstWord(("export", "state"))
    assert judged(reader, "limited", told=told, warned="Queen") == []
    assert judged(reader, "limited", told=told, warned="Elsewhere")


def test_an_unrelated_warning_does_not_count():
    assert judged(FirstNumber(("solar",)), 2000.0, warned="live data is off")


def test_the_date_part_of_a_time_in_another_zone_misleads():
    assert judged(DatePart(("at",)), "2026-06-17T00:30:00+02:00")
    assert not judged(DatePart(("at",)), "2026-06-16T22:30:00+00:00")


@pytest.mark.parametrize("unknown", [False, True])
def test_null_with_a_reason_is_right_only_where_the_truth_is_unknowable(unknown):
    wrong = judged(FirstNumber(("voltage",)), 230.0, unknown=unknown)
    assert bool(wrong) is not unknown


def test_null_without_a_reason_is_never_right():
    told = {**TOLD, "unknown": []}
    assert judged(FirstNumber(("voltage",)), 230.0, told=told, unknown=True)


def test_a_reader_without_a_matching_field_has_no_answer():
    assert judged(FirstNumber(("nothing",)), 230.0, unknown=True)


def test_a_number_is_not_a_flag():
    assert judged(FirstWord(("b1", "online")), 1)


def test_a_failure_that_was_not_expected_is_complained_about():
    assert complaints(scenario(), failing("OIG Cloud is down."))


def test_a_failure_with_another_code_is_complained_about():
    call = Call(tool="get_live_data", fails="portal_busy")
    one = failing("OIG Cloud is down.")
    (exchange,) = one.exchanges
    one.exchanges = [replace(exchange, call=call)]
    assert complaints(scenario(steps=(call,)), one)


@pytest.mark.parametrize(
    "members",
    [
        {"warns": ("bypass",)},
        {"says": (r"solar\.power_w: 7",)},
        {"never": (r"solar\.power_w: 1000",)},
        {"never": ("hours old",)},
        {"writes": 1},
        {"leaves": {"mode": 1}},
        {"chars": 20},
        {"calls": 0},
        {"portal": {"login": 1}},
    ],
)
def test_each_expectation_of_a_scenario_can_fail(members):
    requests = {"login": 2}
    assert complaints(scenario(), played(TOLD, truth={"mode": 0}, requests=requests)) == []
    assert complaints(scenario(**members), played(TOLD, truth={"mode": 0}, requests=requests))


def test_a_scenario_that_could_not_be_played_is_complained_about():
    assert complaints(scenario(), played(TOLD, stopped="no such tool")) == ["no such tool"]


WRITE = {
    "sent": {"id_device": DEMO_BOX, "value": 1},
    "script": "s",
    "outcome": "queued",
    "box": DEMO_BOX,
}


def applied(**arguments):
    one = played({})
    (exchange,) = one.exchanges
    call = Call(tool="apply_change", arguments=arguments)
    one.exchanges = [replace(exchange, call=call)]
    one.writes = [WRITE]
    return one


def told_otherwise():
    one = played({"solar": 1})
    (exchange,) = one.exchanges
    one.exchanges = [replace(exchange, text='{"solar": 2}')]
    return one


@pytest.mark.parametrize(
    ("rule", "sound", "broken"),
    [
        (
            "every write was applied by name",
            applied(box_id=DEMO_BOX, change="mode"),
            applied(box_id="2", change="mode"),
        ),
        (
            "every write was applied by name",
            applied(box_id=DEMO_BOX, change="mode"),
            applied(box_id=DEMO_BOX),
        ),
        ("every write was applied by name", played({}), played({}, writes=[WRITE])),
        (
            "every time has an offset",
            played({"at": "2026-06-17T00:30:00+02:00", "day": "2026-06-17"}),
            played({"at": "2026-06-16T22:30:00Z"}),
        ),
        (
            "every time has an offset",
            played({"portal_text": "v 12:30:00"}),
            played({"warnings": ["It is from 2026-06-17 00:30."]}),
        ),
        ("every null has a reason", played(TOLD), played({**TOLD, "unknown": []})),
        ("every null has a reason", played({"export": {"limit_w": None}}), played({"w": None})),
        ("every result is short enough", played(TOLD), failing("x" * 2001)),
        ("every result says the same twice", played(TOLD), told_otherwise()),
    ],
)
def test_each_invariant_over_all_transcripts_can_fail(rule, sound, broken):
    assert list(INVARIANTS[rule](sound)) == []
    assert list(INVARIANTS[rule](broken)) != []


def test_a_transcript_replaces_values_that_differ_in_every_run_by_names():
    handles = [{"session": "oig_abc"}, {"session": "oig_def"}, {"text": "Use oig_abc."}]
    text = written(played(*handles))
    assert "oig_" not in text
    assert text.count("<handle 1>") == 2
    assert text.count("<handle 2>") == 1


def test_a_transcript_shows_the_ends_of_a_long_list_and_notices_its_middle():
    values = list(range(100))
    other = [*values[:50], -1, *values[51:]]
    assert len(written(played({"mean": values}))) < 300
    assert written(played({"mean": values})) != written(played({"mean": other}))


def test_a_difference_from_the_agreed_transcript_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    golden.update({"a day": "one\ntwo\n"})
    assert golden.difference("a day", "one\ntwo\n") == ""
    assert "-two\n+three" in golden.difference("a day", "one\nthree\n")
    assert "+one" in golden.difference("another day", "one\n")
    golden.update({"another day": "one\n"})
    assert [path.name for path in tmp_path.iterdir()] == ["another-day.txt"]
