"""Sessions that end, passwords that change, handles that are passed on."""

from __future__ import annotations

from ..happening import END_SESSIONS, fault, password, switch
from ..readers import FirstNumber, FirstWord
from ..scenario import Call, Check, Given, Known, Later, Login, Scenario, Theme, Truth

EMAIL = "demo@example.com"

LIVE = Call(tool="get_live_data")

LOG_IN = Call(tool="check_auth", arguments={"email": EMAIL, "password": "demo"})
BY_HANDLE = Call(tool="get_live_data", arguments={"session": Given("check_auth", "session")})

CHARGE = Check(
    reader=FirstNumber(("state_of_charge",)),
    truth=Truth(path="soc_percent", relative=0.0, absolute=1.0),
)

THEME = Theme(
    title="Sessions",
    scenarios=(
        Scenario(
            name="a session that the portal has ended behind a header",
            at="2026-04-20T08:00:00",
            question="Kolik je v baterii?",
            language="cs",
            steps=(LIVE, END_SESSIONS, Later(60), LIVE),
            checks=(CHARGE,),
            portal={"login": 2},
            chars=8_000,
        ),
        Scenario(
            name="a handle just given works though the session had ended",
            header=False,
            at="2026-04-20T08:00:00",
            question="How full is the battery? My login is demo@example.com, demo.",
            steps=(LOG_IN, END_SESSIONS, Later(900), LOG_IN, BY_HANDLE),
            checks=(CHARGE,),
            portal={"login": 2},
            chars=8_000,
        ),
        Scenario(
            name="a cached session that is alive costs no login",
            header=False,
            at="2026-04-20T08:00:00",
            question="Kolik procent má baterie? Přihlášení: demo@example.com, demo.",
            language="cs",
            steps=(LOG_IN, Later(900), LOG_IN, BY_HANDLE),
            checks=(CHARGE,),
            says=(r'cache_status: "session_from_cache"',),
            portal={"login": 1},
            chars=8_000,
        ),
        Scenario(
            name="a login after which the portal fails",
            header=False,
            at="2026-04-20T08:00:00",
            question="Did you have to log in again? My login is demo@example.com, demo.",
            steps=(
                LOG_IN,
                Later(900),
                fault("unauthorized", "live", requests=1),
                fault("drop", "live", requests=1),
                LOG_IN,
            ),
            checks=(
                Check(
                    reader=FirstWord(("cache_status",)),
                    truth=Known("new_session_created"),
                ),
            ),
            never=(r"session_from_cache",),
            portal={"login": 2},
            chars=2_000,
        ),
        Scenario(
            name="an idle session while the portal cannot be reached",
            header=False,
            at="2026-04-20T08:00:00",
            question="Jsem přihlášený? demo@example.com, demo",
            language="cs",
            steps=(LOG_IN, Later(900), fault("drop", "live"), LOG_IN),
            warns=(r"OIG Cloud",),
            says=(r'cache_status: "session_from_cache"',),
            portal={"login": 1},
            chars=2_000,
        ),
        Scenario(
            name="a history without anything over an ended session",
            at="2026-04-20T08:00:00",
            question="How much did we export on the 13th?",
            steps=(
                LIVE,
                END_SESSIONS,
                switch(expired={"history": "list"}),
                Call(
                    tool="get_history",
                    arguments={
                        "series": "grid",
                        "first_day": "2026-04-13",
                        "last_day": "2026-04-13",
                        "points": 4,
                    },
                ),
            ),
            checks=(
                Check(
                    reader=FirstNumber(("[power_w]", "exported_wh")),
                    truth=Truth(path="days.2026-04-13.exported_wh", absolute=75.0),
                ),
            ),
            portal={"login": 2},
            chars=7_000,
        ),
        Scenario(
            name="an old password after a new one",
            header=False,
            at="2026-04-20T08:00:00",
            question="Does my old password still work here?",
            steps=(
                LOG_IN,
                password(EMAIL, "new"),
                Call(
                    tool="check_auth",
                    arguments={"email": EMAIL, "password": "new"},
                ),
                Call(
                    tool="check_auth",
                    arguments={"email": EMAIL, "password": "demo"},
                    fails="credentials_rejected",
                ),
            ),
            chars=2_000,
        ),
        Scenario(
            name="a handle of the old password after a new one",
            header=False,
            at="2026-04-20T08:00:00",
            question="Změnil jsem heslo. Platí ještě moje staré přihlášení?",
            language="cs",
            steps=(
                LOG_IN,
                password(EMAIL, "new"),
                Call(tool="check_auth", arguments={"email": EMAIL, "password": "new"}),
                Call(
                    tool="get_live_data",
                    arguments={"session": Given("check_auth", "session", 0)},
                    fails="session_ended",
                ),
                BY_HANDLE,
            ),
            checks=(CHARGE,),
            chars=4_500,
        ),
        Scenario(
            name="a wrong password",
            header=False,
            at="2026-04-20T08:00:00",
            question="Přihlas mě: demo@example.com, heslo: jiné.",
            language="cs",
            steps=(
                Call(
                    tool="check_auth",
                    arguments={"email": EMAIL, "password": "jine"},
                    fails="credentials_rejected",
                ),
            ),
            never=(r"jine",),
            chars=600,
        ),
        Scenario(
            name="an ended handle beside the header of another account",
            at="2026-04-20T08:00:00",
            question="How full is my battery?",
            steps=(
                LOG_IN,
                Later(60),
                END_SESSIONS,
                Later(60),
                Call(
                    tool="get_live_data",
                    arguments={"session": Given("check_auth", "session")},
                    login=Login("demo2@example.com"),
                    fails="session_ended",
                ),
            ),
            chars=2_000,
        ),
        Scenario(
            name="an ended handle beside the header of the same account",
            at="2026-04-20T08:00:00",
            question="Kolik je v baterii?",
            language="cs",
            steps=(
                LOG_IN,
                Later(60),
                END_SESSIONS,
                Later(60),
                Call(tool="get_live_data", arguments={"session": Given("check_auth", "session")}),
            ),
            checks=(CHARGE,),
            chars=4_500,
        ),
        Scenario(
            name="logging out",
            header=False,
            at="2026-04-20T08:00:00",
            question="Look at the battery and log me out again. demo@example.com, demo",
            steps=(
                LOG_IN,
                Call(
                    tool="log_out",
                    arguments={"session": Given("check_auth", "session")},
                ),
                Call(
                    tool="get_live_data",
                    arguments={"session": Given("check_auth", "session")},
                    fails="session_ended",
                ),
            ),
            chars=2_000,
        ),
    ),
)
