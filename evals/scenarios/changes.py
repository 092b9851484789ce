"""Changes of a box: made, refused, regretted, under way."""

from __future__ import annotations

import json

from ..happening import box, fault
from ..readers import FirstWord
from ..scenario import (
    DEMO2,
    DEMO_BOX,
    QUEEN_BOX,
    SECOND_BOX,
    Call,
    Check,
    Given,
    Happens,
    Later,
    Scenario,
    Theme,
    Truth,
)

ON = {"control": "on"}


def plan(**arguments: object) -> Call:
    """Plan a change."""
    return Call(tool="plan_change", arguments=arguments)


def apply(fails: str | None = None, **other: object) -> Call:
    """Apply the last plan, naming box and change as it did, unless others are given."""
    named = {name: Given("plan_change", name) for name in ("plan_token", "box_id", "change")}
    return Call(tool="apply_change", arguments={**named, **other}, fails=fails)


def said(text: str, *, processed: bool = False) -> Happens:
    """Have the portal answer the next write with a text, whether it takes it or not."""
    commands = json.dumps([[0, 1, text]])
    return fault("answer", "writes", requests=1, text=commands, processed=processed)


LOOK = Call(tool="get_change", arguments={"change_id": Given("plan_change", "change_id")})

WAIT = Call(
    tool="get_change",
    arguments={"change_id": Given("plan_change", "change_id"), "wait_s": 50},
)

TAKEN = 95
"""Seconds after which the box has a change, and the portal's answer is asked anew."""


def status(path: str, named: dict[object, object], box_id: str = DEMO_BOX) -> Check:
    """Demand the status that a change must have by what is so at the box."""
    truth = Truth(path=path, box=box_id, named=named)
    return Check(reader=FirstWord(("status",)), truth=truth)


HOME_2 = status("mode", {0: "pending", 1: "applied"})

THEME = Theme(
    title="Changes",
    scenarios=(
        Scenario(
            name="a mode is changed",
            at="2026-02-03T10:00:00",
            question="Přepni box do režimu Home 2.",
            language="cs",
            reply="Ano, proveď to.",
            settings=ON,
            steps=(plan(mode="Home 2"), apply(), Later(TAKEN), LOOK),
            checks=(HOME_2,),
            says=(r"message: .*way back",),
            leaves={"mode": 1},
            writes=1,
            chars=4_000,
        ),
        Scenario(
            name="a change that is waited for",
            at="2026-02-03T10:00:00",
            question="Switch to Home 2 and tell me when the box has it.",
            reply="Yes.",
            settings=ON,
            steps=(plan(mode="Home 2"), apply(), WAIT, WAIT),
            checks=(HOME_2,),
            leaves={"mode": 1},
            writes=1,
            chars=4_500,
        ),
        Scenario(
            name="a way out of Home 5 and none back",
            at="2026-02-03T10:00:00",
            question="Box je v nějakém divném režimu. Dej ho do Home 1.",
            language="cs",
            reply="Ano.",
            settings=ON,
            steps=(
                box(DEMO_BOX, setup={"mode": 4}),
                plan(mode="Home 1"),
                apply(),
                Later(TAKEN),
                LOOK,
            ),
            checks=(status("mode", {0: "applied"}),),
            warns=(r"way back|no program|cannot be set",),
            says=(r"before: .*Home 5",),
            leaves={"mode": 0},
            writes=1,
            chars=4_500,
        ),
        Scenario(
            name="a plan that the user does not want",
            at="2026-02-03T10:00:00",
            question="What would change if you charged the battery to 80 %?",
            reply="No, leave it as it is.",
            settings=ON,
            steps=(plan(charge_to_percent=80),),
            leaves={"mode": 0, "charging_from_grid": False},
            says=(r"kWh", r"80 %"),
            chars=2_500,
        ),
        Scenario(
            name="an export that is on is limited",
            at="2026-06-14T13:00:00",
            question="Omez přetoky na 3 kW. Co by se změnilo?",
            language="cs",
            reply="Ne, jen mě to zajímalo.",
            settings=ON,
            steps=(plan(grid_export="limited", export_limit_w=3000),),
            says=(r"after: .*3000 W",),
            never=(r"warnings.*(permi|fine|finable)",),
            leaves={"delivery": "on"},
            chars=2_500,
        ),
        Scenario(
            name="a change that is regretted",
            at="2026-02-03T10:00:00",
            question="Přepni na Home 3. Vlastně ne, vrať to zpátky.",
            language="cs",
            reply="Ano.",
            settings=ON,
            steps=(
                plan(mode="Home 3"),
                apply(),
                Later(TAKEN),
                LOOK,
                plan(undo=Given("plan_change", "change_id")),
                apply(),
                Later(TAKEN),
                LOOK,
            ),
            checks=(status("mode", {0: "applied"}),),
            says=(r"after: .*Home 1",),
            leaves={"mode": 0},
            writes=2,
            chars=8_000,
        ),
        Scenario(
            name="regret before the box has the change",
            at="2026-02-03T10:00:00",
            question="Ne, přece jen ať zůstane Home 1.",
            language="cs",
            settings=ON,
            steps=(
                plan(mode="Home 2"),
                apply(),
                Later(10),
                Call(tool="plan_change", arguments={"mode": "Home 1"}, fails="change_in_progress"),
            ),
            never=(r"[Nn]othing to change", r"already"),
            leaves={"mode": 0},
            writes=1,
            chars=4_000,
        ),
        Scenario(
            name="one plan applied twice",
            at="2026-02-03T10:00:00",
            question="Switch to Home 2. Are you sure you did it? Do it again.",
            reply="Yes.",
            settings=ON,
            steps=(plan(mode="Home 2"), apply(), apply(fails="plan_used")),
            writes=1,
            chars=4_000,
        ),
        Scenario(
            name="consent that comes too late",
            at="2026-02-03T10:00:00",
            question="Ano, udělej to. (o deset minut později)",
            language="cs",
            settings=ON,
            steps=(plan(mode="Home UPS"), Later(600), apply(fails="plan_expired")),
            leaves={"mode": 0},
            chars=4_000,
        ),
        Scenario(
            name="consent to another change",
            at="2026-02-03T10:00:00",
            question="Switch to Home 2, as I said.",
            reply="Yes.",
            settings=ON,
            steps=(
                plan(mode="Home 2"),
                apply(fails="plan_mismatch", change=f"box {DEMO_BOX}: mode Home 1 -> Home 3"),
                apply(),
                Later(TAKEN),
                LOOK,
            ),
            checks=(HOME_2,),
            warns=(rf"box {DEMO_BOX}: mode Home 1 -> Home 2",),
            leaves={"mode": 1},
            writes=1,
            chars=4_500,
        ),
        Scenario(
            name="a change at the other of two boxes",
            at="2026-02-03T10:00:00",
            question="Zakaž přetoky u boxu 2210400025.",
            language="cs",
            login=DEMO2,
            settings=ON,
            steps=(
                plan(grid_export="off", box_id=SECOND_BOX),
                apply(fails="plan_mismatch", box_id=QUEEN_BOX),
                apply(),
                Later(TAKEN),
                LOOK,
            ),
            checks=(status("delivery", {"off": "applied"}, SECOND_BOX),),
            box=SECOND_BOX,
            leaves={"delivery": "off"},
            writes=1,
            chars=5_000,
        ),
        Scenario(
            name="a change for a box that is offline",
            at="2026-02-03T10:00:00",
            question="Switch the offline box to Home 2.",
            reply="Yes, do it anyway.",
            settings=ON,
            steps=(
                box(DEMO_BOX, offline=True),
                Later(1800),
                plan(mode="Home 2"),
                apply(),
                Later(TAKEN),
                LOOK,
            ),
            checks=(HOME_2,),
            says=(r"warnings\[\d\]: .*(offline|not reported|last reported)",),
            leaves={"mode": 0},
            writes=1,
            chars=5_000,
        ),
        Scenario(
            name="a write whose answer is lost",
            at="2026-02-03T10:00:00",
            question="Nastav Home 2 a řekni, jestli se to povedlo.",
            language="cs",
            reply="Ano.",
            settings=ON,
            steps=(
                fault("drop", "writes", requests=1, processed=True),
                plan(mode="Home 2"),
                apply(),
                Later(TAKEN),
                LOOK,
            ),
            checks=(HOME_2,),
            leaves={"mode": 1},
            writes=1,
            chars=4_000,
        ),
        Scenario(
            name="a write that the portal says has failed",
            at="2026-02-03T10:00:00",
            question="Přepni na Home 2.",
            language="cs",
            reply="Ano.",
            settings=ON,
            steps=(
                said("Nepodařilo se uložit nastavení."),
                plan(mode="Home 2"),
                apply(fails="change_refused"),
                Later(TAKEN),
                LOOK,
            ),
            checks=(status("mode", {0: "failed"}),),
            leaves={"mode": 0},
            writes=1,
            chars=4_000,
        ),
        Scenario(
            name="a write that the portal says has failed and the box has all the same",
            at="2026-02-03T10:00:00",
            question="Switch to Home 2.",
            reply="Yes.",
            settings=ON,
            steps=(
                said("Nepodařilo se uložit nastavení.", processed=True),
                plan(mode="Home 2"),
                apply(fails="change_refused"),
                Later(TAKEN),
                LOOK,
            ),
            checks=(HOME_2,),
            leaves={"mode": 1},
            writes=1,
            chars=4_000,
        ),
        Scenario(
            name="a write for a box that the portal calls offline",
            at="2026-02-03T10:00:00",
            question="Switch to Home 2.",
            reply="Yes.",
            settings=ON,
            steps=(
                said("Box není online.", processed=True),
                plan(mode="Home 2"),
                apply(),
                Later(10),
                LOOK,
                Later(TAKEN),
                LOOK,
            ),
            checks=(HOME_2,),
            says=(r'status: "unclear"',),
            leaves={"mode": 1},
            writes=1,
            chars=5_000,
        ),
        Scenario(
            name="a write that is answered in words that nobody knows",
            at="2026-02-03T10:00:00",
            question="Přepni na Home 2.",
            language="cs",
            reply="Ano.",
            settings=ON,
            steps=(
                said("Sláva!", processed=True),
                plan(mode="Home 2"),
                apply(),
                Later(TAKEN),
                LOOK,
            ),
            checks=(HOME_2,),
            leaves={"mode": 1},
            writes=1,
            chars=4_000,
        ),
        Scenario(
            name="a write that goes nowhere",
            at="2026-02-03T10:00:00",
            question="Turn the boiler to manual. Did it work?",
            reply="Yes.",
            settings=ON,
            steps=(
                fault("forgotten", "writes", requests=1),
                plan(boiler="manual"),
                apply(),
                Later(1000),
                LOOK,
            ),
            checks=(status("boiler_manual", {False: "failed"}),),
            never=(r'status: "applied"',),
            leaves={"boiler_manual": False},
            writes=1,
            chars=4_000,
        ),
        Scenario(
            name="control that the operator has not allowed",
            at="2026-02-03T10:00:00",
            question="Nabij baterii na 100 %.",
            language="cs",
            steps=(
                Call(
                    tool="plan_change",
                    arguments={"charge_to_percent": 100},
                    fails="unknown_tool",
                ),
            ),
            leaves={"charging_from_grid": False},
            chars=600,
        ),
    ),
)
