"""Accounts over a real server: every contract there is, less what holds in memory alone.

Answers, endings and spellings run over Redis and over Valkey. The two long suites, of decisions and
failures, run over Redis alone: over Valkey they would add 25 s to a suite that is at its time
bound, and send no command that the others, the storage contract (`test_valkey`) and the model
(`test_accounts_valkey_model`) do not send to both.
"""

import pytest

from . import (
    accounts_contract,
    answers_contract,
    endings_contract,
    failures_contract,
    spelling_contract,
)
from .answers_contract import Desk
from .valkey_house import houses_over
from .valkey_servers import PROGRAMS, running

ROOM = "the server has room or has not: nothing goes for another, and a full one counts as away"
EXPIRY = "the server drops what has run out by its own clock, which no test moves: see test_valkey"
AT_ONCE = "a round asks the server, so that it is not over within the call that begins it"
NEAR = "nothing is here without asking"

NOT_HERE = {
    "test_the_least_recently_used_goes_when_there_is_no_room": ROOM,
    "test_the_least_recently_used_answers_go_when_their_bytes_are_too_many": ROOM,
    "test_the_least_recently_used_go_when_they_are_too_many": ROOM,
    "test_its_room_is_its_own": ROOM,
    "test_an_account_has_so_many_values_and_bytes_and_the_least_used_go": ROOM,
    "test_answers_push_out_no_handles_nor_sessions": ROOM,
    "test_a_session_that_handles_alone_lead_to_is_used_like_any_other": ROOM,
    "test_sessions_that_ran_out_go_though_nobody_asks_for_them": EXPIRY,
    "test_an_hour_after_its_last_failure_nothing_is_stored_about_a_source": EXPIRY,
    "test_what_ran_out_goes_by_itself": EXPIRY,
    "test_a_gap_that_nobody_waits_for_is_forgotten_when_it_is_over": EXPIRY,
    "test_an_account_of_which_nothing_else_is_known_goes_with_them": EXPIRY,
    "test_two_hundred_requests_for_one_key_make_one_lease": AT_ONCE,
    "test_a_waiter_that_gets_a_lease_as_its_time_ends_is_not_refused": AT_ONCE,
    "test_sessions_are_listed_latest_used_first_without_values": NEAR,
    "test_a_session_is_for_the_spelling_that_it_was_opened_with_first": NEAR,
}
"""What a storage in memory does and a shared one cannot, or does in another way, and why."""

SUITES = {
    accounts_contract: ["redis"],
    answers_contract: PROGRAMS,
    endings_contract: PROGRAMS,
    failures_contract: ["redis"],
    spelling_contract: PROGRAMS,
}
"""The contracts, and the servers that each runs over."""

STRANGERS = 15
"""Enough to wait for seconds. Each asks the server whenever a turn comes."""

unmatched = set(NOT_HERE)
for suite, programs in SUITES.items():
    for name, contract in vars(suite).items():
        if name.endswith("Contract"):
            where = suite.__name__.rpartition(".")[2].partition("_")[0].title()
            left_out = dict.fromkeys(NOT_HERE.keys() & vars(contract).keys())
            unmatched -= left_out.keys()
            globals()[f"Test{where}{name}"] = type(
                name, (contract,), {**left_out, "programs": programs, "strangers": STRANGERS}
            )

assert not unmatched, f"no contract has these any more: {unmatched}"


def pytest_generate_tests(metafunc):
    if "server" in metafunc.fixturenames:
        metafunc.parametrize("server", metafunc.cls.programs, indirect=True, scope="module")


@pytest.fixture(scope="module")
def server(request):
    with running(request.param) as started:
        yield started


@pytest.fixture
def build(server):
    with houses_over(server) as built:
        yield built


@pytest.fixture
def house(build):
    return build()


@pytest.fixture
def desk(build):
    return Desk(build)
