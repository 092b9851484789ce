"""Rules of the shared storage, each broken on purpose: a test of the suites finds it.

A mutation is text of a module, and what stands there instead. The module is loaded with it beside
the right one, and the test that is to find it is run over both.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from server.state import valkey

from . import (
    accounts_house,
    shared_contract,
    stepped,
    storage_contract,
    test_valkey,
    test_valkey_losses,
    test_valkey_network,
    test_valkey_probes,
    test_valkey_troubles,
    turns_contract,
)
from .tcp_proxy import proxied
from .valkey_house import hosts_over
from .valkey_servers import running

STATE = Path(valkey.__file__).parent

MODULES = (
    *("valkey_clock", "valkey_reasons", "valkey_replies", "valkey_probes", "valkey_connection"),
    *("valkey_swap", "valkey_fitness", "valkey_sentinels", "valkey_notices", "valkey_epochs"),
    *("valkey_handles", "valkey_answers", "valkey_totals", "valkey_members", "valkey"),
)
"""In the order in which they import each other."""

ROUNDS = (
    *("turn_taker", "waiting_room", "decider", "commands", "rounds", "upkeep", "accounts"),
    "copies",
)
"""Likewise; loaded again only where one of them is mutated, as the storage needs none of them."""

SUITES = (
    *(shared_contract, storage_contract, test_valkey, test_valkey_troubles),
    *(test_valkey_losses, test_valkey_network, test_valkey_probes, turns_contract),
)

RIGHT, WRONG = 30.0, 2.0
"""Seconds that a test has over the right modules, and over wrong ones."""


@dataclass(frozen=True)
class Mutation:
    """A rule that is broken.

    Attributes:
        rule: What does not hold any more.
        module: Where.
        right: What stands there.
        wrong: What is put there.
        found_by: The test that finds it.
        more: Further arguments of that test.
    """

    rule: str
    module: str
    right: str
    wrong: str
    found_by: str
    more: dict[str, Any] = field(default_factory=dict)


MUTATIONS = [
    Mutation(
        "a swap replaces the value that was loaded, and no other",
        "valkey_swap",
        "if tag == ARGV[1] then",
        "if true then",
        "test_a_swap_is_lost_when_another_was_made_meanwhile",
    ),
    Mutation(
        "the tag alone is compared",
        "valkey_swap",
        'before, new = (self.old or b"")[:TAG_BYTES]',
        'before, new = (self.old or b"")',
        "test_the_tag_alone_says_which_value_it_was",
    ),
    Mutation(
        "a value ends",
        "valkey_swap",
        "'PX', ARGV[3])",
        "'KEEPTTL')",
        "test_a_value_is_dropped_when_its_time_is_over",
    ),
    Mutation(
        "changes are published",
        "valkey_swap",
        "if ARGV[4] ~= ''",
        "if false",
        "test_a_turn_that_ends_at_one_host_goes_to_who_waits_at_another",
    ),
    Mutation(
        "epochs come with each load",
        "valkey",
        "self._epochs.learn(await epochs)",
        "await epochs",
        "test_a_flush_at_one_host_takes_sessions_and_leases_of_the_other",
    ),
    Mutation(
        "a flush that was overtaken is made again",
        "valkey_epochs",
        "if swap.is_done(await self._connection.ask(*swap.command())):",
        "if swap.is_done(await self._connection.ask(*swap.command())) or True:",
        "test_flushes_at_once_are_all_counted",
    ),
    Mutation(
        "a swap that was sent twice is a yes",
        "valkey_swap",
        "tag == self.new[:TAG_BYTES]",
        "False",
        "test_a_swap_that_is_made_again_since_its_reply_got_lost_is_a_yes",
    ),
    Mutation(
        "a handle that ended leads nowhere",
        "valkey_handles",
        "            if ended:\n",
        "            if False:\n",
        "test_a_handle_leads_to_its_account_as_long_as_it_is_there",
    ),
    Mutation(
        "a handle that ended is not remembered",
        "valkey_handles",
        "            for handle in ended:\n",
        "            for handle in ():\n",
        "test_a_handle_leads_to_its_account_as_long_as_it_is_there",
    ),
    Mutation(
        "a server that has lost all is noticed",
        "valkey_epochs",
        "        if data is None:\n            self._lose(LOST)",
        "        if data is None:\n            return self.known",
        "test_a_server_that_has_lost_everything_begins_again",
    ),
    Mutation(
        "a server that drops values at will is refused",
        "valkey_fitness",
        "if isinstance(memory, dict):",
        "if False:",
        "test_a_server_that_drops_values_at_will_is_refused",
        {"policy": "allkeys-lru"},
    ),
    Mutation(
        "a Cluster is refused",
        "valkey_fitness",
        'cluster.get("cluster_enabled")',
        "False",
        "test_a_cluster_is_refused",
    ),
    Mutation(
        "a user who may not do what is needed is refused",
        "valkey_fitness",
        'if code in {"NOPERM", "NOAUTH", "WRONGPASS"}:',
        "if False:",
        "test_a_user_without_a_right_that_is_needed_is_refused",
        {"right": "PUBLISH"},
    ),
    Mutation(
        "a command that the server does not know is noticed",
        "valkey_fitness",
        "any(one in str(reply) for one in FORBIDDEN)",
        "False",
        "test_a_command_that_was_renamed_is_as_one_that_is_forbidden",
    ),
    Mutation(
        "another secret than that of all is refused",
        "valkey_members",
        "return await self.secret() == tag",
        "return True",
        "test_the_secret_that_was_named_first_is_that_of_all_until_it_is_replaced",
    ),
    Mutation(
        "the secret that was named first is that of all",
        "valkey_members",
        'tag, "NX", *lasts)',
        "tag, *lasts)",
        "test_the_secret_that_was_named_first_is_that_of_all_until_it_is_replaced",
    ),
    Mutation(
        "a server that cannot be written to is away",
        "valkey_fitness",
        "    for reply in replies:\n",
        "    for reply in ():\n",
        "test_one_that_refuses_to_write_is_away_until_it_does",
        {"why": "READONLY"},
    ),
    Mutation(
        "the time is the server's",
        "valkey_clock",
        "min(max(self._offset, seconds - self.local()), seconds - sent)",
        "self._offset",
        "test_it_is_the_servers_whatever_the_hosts_is",
    ),
    Mutation(
        "a slow reply does not shake the clock",
        "valkey_clock",
        "min(max(self._offset, seconds - self.local()), seconds - sent)",
        "seconds - sent",
        "test_a_reply_that_took_long_moves_it_no_further_than_it_must",
    ),
    Mutation(
        "the clock does not go back by a little",
        "valkey_clock",
        "not self._latest - STEP_SECONDS < now < self._latest",
        "True",
        "test_it_stands_still_rather_than_go_back_by_a_little",
    ),
    Mutation(
        "the clock does not stand still for long",
        "valkey_clock",
        "not self._latest - STEP_SECONDS < now < self._latest",
        "now > self._latest",
        "test_it_follows_a_server_whose_clock_was_set_back",
    ),
    Mutation(
        "nobody is judged by a process that does not see itself",
        "valkey_notices",
        "not counts[0] or self.since is None or now - self.since < SETTLED_SECONDS",
        "False",
        "test_nobody_is_dead_for_who_does_not_see_itself",
    ),
    Mutation(
        "nobody is judged by a process that has just come back",
        "valkey_notices",
        " or now - self.since < SETTLED_SECONDS",
        "",
        "test_nobody_is_dead_for_who_has_just_come_back",
    ),
    Mutation(
        "nobody is dead who is missing for a moment",
        "valkey_notices",
        "MISSING_SECONDS: Final = 0.75",
        "MISSING_SECONDS: Final = 0.0",
        "test_who_connects_again_loses_nothing",
    ),
    Mutation(
        "how long somebody is missing begins again when they were there",
        "valkey_notices",
        "self._missing = {one: self._missing.get(one, now) for one in missing}",
        "self._missing |= {one: self._missing.get(one, now) for one in missing}",
        "test_who_connects_again_loses_nothing",
    ),
    Mutation(
        "the leases of the dead go to others",
        "valkey_notices",
        "now - self._missing[one] >= MISSING_SECONDS",
        "False",
        "test_a_lease_of_a_process_that_was_killed_goes_to_who_waits_within_four_seconds",
    ),
    Mutation(
        "nobody is woken by a change of its own",
        "valkey_notices",
        "if owner != self._owner:",
        "if True:",
        "test_a_change_wakes_who_watches_at_another_and_not_who_made_it",
    ),
    Mutation(
        "a process that was cut off listens again",
        "valkey_notices",
        "            self.since = None\n            await asyncio.sleep(PROBE_SECONDS)",
        "            self.since = None\n            return",
        "test_connections_that_somebody_ends_are_made_again",
    ),
    Mutation(
        "nothing is left of a watch",
        "valkey_notices",
        "                del self._watched[name]",
        "                pass",
        "test_a_watch_returns_when_nothing_has_changed",
    ),
    Mutation(
        "of two answers the newer counts",
        "valkey_answers",
        "return max(reversed(left)",
        "return min(left",
        "test_an_answer_is_of_its_account_and_question_and_the_latest_counts",
    ),
    Mutation(
        "an answer that has run out is none",
        "valkey_answers",
        "        left = [one for one in left if one.expires > now]\n",
        "",
        "test_one_that_has_run_out_is_none",
    ),
    Mutation(
        "all answers of an account can be dropped",
        "valkey_answers",
        'ask("ZADD", index, answer.expires, name)',
        'ask("PING")',
        "test_an_answer_is_of_its_account_and_question_and_the_latest_counts",
    ),
    Mutation(
        "an account has so many answers",
        "valkey_answers",
        "if surplus > len(gone):",
        "if False:",
        "test_of_too_many_of_an_account_those_that_expire_first_go",
    ),
    Mutation(
        "an answer in bytes of a newer version is not read",
        "valkey_answers",
        "if form == FORMAT:",
        "if True:",
        "test_one_of_a_newer_version_is_none",
    ),
    Mutation(
        "a connection that has ended is nobody's fault",
        "valkey_connection",
        "        except redis.ConnectionError:\n            return await self._execute(asked)",
        "        except redis.ConnectionError:\n            raise",
        "test_a_restart_while_nothing_is_asked_is_noticed_by_nobody",
    ),
    Mutation(
        "loads of one loop round go out together",
        "valkey_connection",
        "gets, self._gets = self._gets, {}",
        "gets = dict([self._gets.popitem()] if self._gets else [])",
        "test_loads_of_one_loop_round_are_one_command",
    ),
    Mutation(
        "nobody waits for a server that is away",
        "valkey_connection",
        "if self.away is not None:\n            if self.away != CLOSED:",
        "if False:\n            if self.away != CLOSED:",
        "test_a_frozen_server_costs_one_time_out_for_all_and_then_none",
    ),
    Mutation(
        "a trip ends",
        "valkey_connection",
        "        async with asyncio.timeout(PATIENCE):\n            pipeline",
        "        async with asyncio.timeout(None):\n            pipeline",
        "test_a_frozen_server_costs_one_time_out_for_all_and_then_none",
    ),
    Mutation(
        "a full server is away",
        "valkey_reasons",
        '("NOREPLICAS", "OOM", ',
        '("NOREPLICAS", ',
        "test_one_that_refuses_to_write_is_away_until_it_does",
        {"why": "OOM"},
    ),
    Mutation(
        "one command that fails takes no other along",
        "valkey_connection",
        "if code in AWAY_CODES:",
        "if True:",
        "test_one_that_another_has_put_there_of_another_kind_fails_for_itself",
    ),
    Mutation(
        "who is withdrawn takes nobody along",
        "valkey_connection",
        "            elif not future.done():\n",
        "            else:\n",
        "test_a_withdrawn_request_takes_no_other_along",
    ),
    Mutation(
        "what a replica lacks of the epochs is raised there again",
        "valkey_epochs",
        "        if latest != found:\n",
        "        if False:\n",
        "test_a_flush_that_a_replica_lacks_is_made_there_again",
    ),
    Mutation(
        "a server that has lost its latest epochs is noticed",
        "valkey_epochs",
        "            self._lose(BEHIND)",
        "            pass",
        "test_a_flush_that_a_replica_lacks_is_made_there_again",
    ),
    Mutation(
        "epochs of another program are not taken for ours",
        "valkey_epochs",
        "        except Unreadable as exc:\n            self._lose(str(exc))",
        "        except Unreadable:\n            return self.known",
        "test_a_server_whose_epochs_become_unreadable_is_away",
    ),
    Mutation(
        "a server that begins to evict is away",
        "valkey",
        "            refuse_eviction(memory)\n",
        "            pass\n",
        "test_a_server_that_begins_to_evict_is_away_when_it_is_looked_at_again",
    ),
    Mutation(
        "a user without channels is refused",
        "valkey_fitness",
        "        await _subscribe(client, channels)\n",
        "",
        "test_a_user_of_other_keys_or_channels_is_refused",
    ),
    Mutation(
        "another database that is forbidden is refused",
        "valkey_fitness",
        'if code == "NOPERM":',
        "if False:",
        "test_another_database_needs_a_right_of_its_own_and_must_be_there",
    ),
    Mutation(
        "the bytes put there for an account are bounded",
        "valkey_answers",
        "if surplus > 0 and name != newest:",
        "if False:",
        "test_of_too_many_bytes_put_there_for_an_account_those_that_expire_first_go",
    ),
    Mutation(
        "the newest answer stays whatever its size",
        "valkey_answers",
        " and name != newest",
        "",
        "test_of_too_many_bytes_put_there_for_an_account_those_that_expire_first_go",
    ),
    Mutation(
        "no names are left of answers that have expired",
        "valkey_answers",
        'expired = ask("ZRANGE", index, "-inf", now, "BYSCORE")',
        'expired = ask("ZRANGE", index, "-inf", "-inf", "BYSCORE")',
        "test_nothing_is_left_of_those_that_have_expired",
    ),
    Mutation(
        "an answer of the future is none",
        "valkey_answers",
        " and one.stored <= now + SLACK",
        "",
        "test_one_that_was_stored_later_than_now_is_none",
    ),
    Mutation(
        "the time comes with each load",
        "valkey_connection",
        "            self._clock.learn(at[0] + at[1] / 1e6, sent)\n",
        "            pass\n",
        "test_a_lock_begins_again_at_most_and_ends",
    ),
    Mutation(
        "a probe that hangs does not delay those after it",
        "valkey_probes",
        "asyncio.timeout(PROBE_SECONDS)",
        "asyncio.timeout(None)",
        "test_the_first_probe_that_succeeds_ends_those_that_hang",
    ),
    Mutation(
        "a subscription that is dead without a sign is made again",
        "valkey_notices",
        "                if is_tried:\n                    return\n",
        "",
        "test_a_subscription_that_is_dead_without_a_sign_is_made_again",
    ),
    Mutation(
        "a subscription that is quiet is kept",
        "valkey_notices",
        "                await subscription.ping()\n                is_tried = True\n",
        "                return\n",
        "test_one_that_brings_nothing_for_long_is_kept",
    ),
    Mutation(
        "a swap that is lost takes no turn of a login that it would have granted",
        "decider",
        "        pair = group.pair\n",
        "        group.ticket, pair = None, group.pair\n",
        "test_a_turn_goes_on_or_ends_when_the_swap_of_its_lease_is_not_made",
        {"end": "lost"},
    ),
    Mutation(
        "a turn that comes while a swap is lost stays",
        "rounds",
        """            self.room.totals["swaps_lost_total"] += 1\n""",
        """            self.room.totals["swaps_lost_total"] += 1\n"""
        "            for one in self.room.groups():\n"
        "                self.room.turns._taken.pop(one.ticket, None)\n",
        "test_a_turn_that_comes_while_a_swap_is_lost_is_used",
    ),
    Mutation(
        "those who wait join again when the turns are lost",
        "turn_taker",
        "self._apply({**again, **joins}, left, news, dead)",
        "self._apply(joins, left, news, dead)",
        "test_those_who_wait_join_again_when_the_turns_are_lost",
    ),
]


@pytest.fixture
def anyio_backend():
    return "asyncio"


def loaded(mutation: Mutation | None, monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """Load the modules once more, one of them with a mutation."""
    modules = {}
    of_rounds = ROUNDS if mutation is not None and mutation.module in ROUNDS else ()
    for name in (*MODULES, *of_rounds):
        text = (STATE / f"{name}.py").read_text()
        if mutation is not None and name == mutation.module:
            assert text.count(mutation.right) == 1, f"{name}.py says it no more or twice"
            text = text.replace(mutation.right, mutation.wrong)
        module = modules[name] = ModuleType(f"server.state.{name}")
        module.__package__ = "server.state"
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(text, f"{name}.py, mutated", "exec"), vars(module))
    return modules


def named(name: str) -> Callable[..., Any]:
    """Find a test of the suites by its name."""
    for suite in SUITES:
        for place in (suite, *vars(suite).values()):
            found = vars(place).get(name) if isinstance(place, (type, ModuleType)) else None
            if found is not None:
                return found if place is suite else getattr(place(), name)
    raise AssertionError(f"there is no {name}")


def run(mutation: Mutation, modules, longest: float, monkeypatch, caplog) -> None:
    """Run the test that is to find a mutation over some modules."""
    kind = modules["valkey"].ValkeyStorage
    test = named(mutation.found_by)
    wanted = inspect.signature(test).parameters
    for suite in (test_valkey, test_valkey_troubles, test_valkey_losses, test_valkey_network):
        monkeypatch.setattr(suite, "ValkeyStorage", kind)
    monkeypatch.setattr(test_valkey_probes, "Probes", modules["valkey_probes"].Probes)
    if "copies" in modules:
        monkeypatch.setattr(accounts_house, "Copies", modules["copies"].Copies)
    monkeypatch.setattr(test_valkey, "ServerClock", modules["valkey_clock"].ServerClock)
    monkeypatch.setattr(test_valkey, "UnfitStorage", modules["valkey_connection"].UnfitStorage)
    monkeypatch.setattr(modules["valkey_connection"], "PATIENCE", 0.3)
    monkeypatch.setattr(stepped, "PATIENCE", longest)
    given: dict[str, Any] = dict(mutation.more)
    caplog.clear()
    with running("redis", "--appendonly", "yes", "--appendfsync", "no") as server:
        if "hosts" in wanted:
            with hosts_over(server, kind) as hosts:
                test(hosts, **given)
        elif not inspect.iscoroutinefunction(test):
            test()
        else:
            given |= {"server": server, "caplog": caplog}
            asyncio.run(asked(test, wanted, given, longest))


async def asked(test, wanted, given, longest: float) -> None:
    async with contextlib.AsyncExitStack() as stack:
        if wanted.keys() & {"network", "far"}:
            network = await stack.enter_async_context(proxied(given["server"].socket))
            worker = test_valkey_network.worker_at(network.url)
            given |= {"network": network, "far": await stack.enter_async_context(worker)}
        if "clock" in wanted:
            clock = test_valkey_losses.clock_of(given["server"])
            given["clock"] = await stack.enter_async_context(clock)
        for name in ("storage", "other"):
            if name in wanted:
                given[name] = await stack.enter_async_context(test_valkey.opened(given["server"]))
        async with asyncio.timeout(longest):
            await test(**{name: given[name] for name in wanted})


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.rule)
def test_a_rule_that_is_broken_is_found(mutation, monkeypatch, caplog):
    run(mutation, loaded(None, monkeypatch), RIGHT, monkeypatch, caplog)
    with pytest.raises((Exception, pytest.fail.Exception)) as found:
        run(mutation, loaded(mutation, monkeypatch), WRONG, monkeypatch, caplog)
    assert not isinstance(found.value, (SyntaxError, NameError, AttributeError))
