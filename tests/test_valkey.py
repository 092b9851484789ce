"""The storage on a real server: what it does beyond what holds of any."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from server.state import encoding
from server.state.account import AccountState, Attempt, Handle
from server.state.limits import Limits
from server.state.storage import TURNS, Answer, StorageAway, of_account, of_source
from server.state.valkey import ValkeyStorage
from server.state.valkey_answers import FORMAT, HEADER, ROOMS
from server.state.valkey_clock import STEP_SECONDS, ServerClock
from server.state.valkey_connection import UnfitStorage
from server.state.valkey_fitness import NEEDED

from . import storage_contract
from .storage_contract import HOUR, entry, state, tagged
from .system import free_port
from .valkey_servers import PROGRAMS, client_at, running, served
from .waiting import until

ACCOUNT = b"a" * 32
NAME = of_account(ACCOUNT)


@pytest.fixture
def anyio_backend():
    return "asyncio"


server = served(*PROGRAMS)


@contextlib.asynccontextmanager
async def opened(server, url=None, **more):
    storage = ValkeyStorage(client_at(url or server.unix_url), more.pop("limits", Limits()), **more)
    try:
        await storage.open()
        yield storage
    finally:
        await storage.aclose()


@contextlib.contextmanager
def user_of(server, *rights):
    """Give the address of a user with some rights, who may use all keys and channels of ours."""
    with server.client() as client:
        given = "on", ">pw", "~oig:*", "&oig:*", *rights
        client.execute_command("ACL", "SETUSER", "ours", *given)
        try:
            yield f"unix://ours:pw@{server.socket}"
        finally:
            client.execute_command("ACL", "DELUSER", "ours")
            client.flushall()


async def refusal(server, url):
    """Return why a start refuses an address."""
    with pytest.raises(UnfitStorage) as caught:
        async with opened(server, url):
            raise AssertionError("it was opened")
    return str(caught.value)


@pytest.fixture
async def storage(server):
    async with opened(server) as made:
        yield made
    with server.client() as client:
        client.flushall()


@pytest.fixture
async def other(server, storage):
    async with opened(server) as made:
        yield made


class TestContract(storage_contract.StorageContract):
    names = (TURNS, of_source("192.0.2.1"))


class TestValues:
    async def test_a_value_is_dropped_when_its_time_is_over(self, storage, server):
        for name in (TURNS, of_source("192.0.2.1"), NAME):
            await storage.swap(name, None, state(1), entry()._replace(lasts=50.0))
            with server.client() as client:
                assert 49.0 < client.pttl(b"oig:" + name) / 1000 <= 50.0
        await storage.swap(NAME, state(1), state(2), entry()._replace(lasts=0.001))
        await asyncio.sleep(0.01)
        assert await storage.load(NAME) is None

    async def test_all_that_is_written_is_dropped_in_the_end(self, storage, server):
        handle = Handle(b"h" * 16, b"record", storage.now() + HOUR)
        new = state(1, handles=[handle])
        await storage.swap(NAME, None, new, entry(handles=(handle.handle,)))
        now = storage.now()
        await storage.write(ACCOUNT, b"q" * 32, Answer(b"x", now + 9.0, now, b"gene"), "fetched")
        await storage.flush(sessions=True)
        with server.client() as client:
            keys = client.keys("*")
            assert len(keys) == 5
            assert [key for key in keys if client.pttl(key) <= 0] == []

    async def test_a_swap_that_is_made_again_since_its_reply_got_lost_is_a_yes(self, storage):
        for _ in range(2):
            assert await storage.swap(TURNS, None, tagged(1, b"a"), entry())
        assert await storage.load(TURNS) == tagged(1, b"a")

    async def test_loads_of_one_loop_round_are_one_command(self, storage, server):
        def commands() -> int:
            with server.client() as client:
                return client.info("commandstats")["cmdstat_mget"]["calls"]

        await storage.load(NAME)
        before = commands()
        await asyncio.gather(*(storage.load(of_account(bytes([n]) * 32)) for n in range(50)))
        assert commands() == before + 1

    async def test_an_open_guess_is_there_until_a_failure_of_its_end_would_be_forgotten(self):
        guess = Attempt(b"pair" * 2, "192.0.2.1", b"", known=False, until=1090.0)
        assert encoding.lasts_until(AccountState(guesses=[guess])) == 1090.0 + 86400.0

    async def test_one_that_another_has_put_there_of_another_kind_fails_for_itself(
        self, storage, server, caplog
    ):
        with server.client() as client:
            client.lpush(b"oig:" + NAME, b"x")
        with pytest.raises(StorageAway, match="WRONGTYPE"):
            await storage.swap(NAME, None, state(1), entry())
        assert await storage.load(TURNS) is None
        assert storage.away is None

    async def test_all_values_are_listed_once_whatever_their_number(self, storage):
        names = {bytes([n // 256, n % 256]) * 16 for n in range(1200)}
        await asyncio.gather(
            *(storage.swap(of_account(one), None, state(1), entry()) for one in names)
        )
        await storage.swap(of_source("192.0.2.1"), None, tagged(1, b"a"), entry())
        listed = [name async for name, _ in storage.accounts()]
        assert sorted(listed) == sorted(names)
        assert [name async for name, _ in storage.accounts(10)] == []
        assert [one async for one in storage.sources()] == [("192.0.2.1", tagged(1, b"a"))]


class TestAnswers:
    async def test_of_too_many_of_an_account_those_that_expire_first_go(self, storage, server):
        limits = Limits(answers_per_account=3, put_per_account=2, brief_per_account=1)
        async with opened(server, limits=limits) as small:
            now = small.now()
            for number in range(5):
                answer = Answer(b"x", now + 100.0 + number, now, b"gene")
                await small.write(ACCOUNT, bytes([number]) * 32, answer, "fetched")
                await small.write(ACCOUNT, bytes([number + 100]) * 32, answer, "put")
                await small.write(ACCOUNT, bytes([number + 200]) * 32, answer, "brief")
            left = [n for n in range(250) if await small.read(ACCOUNT, bytes([n]) * 32)]
            assert left == [2, 3, 4, 103, 104, 204]

    async def test_of_too_many_bytes_put_there_for_an_account_those_that_expire_first_go(
        self, server
    ):
        limits = Limits(put_account_bytes=100, brief_account_bytes=50)
        async with opened(server, limits=limits) as small:
            now = small.now()
            for number in range(5):
                answer = Answer(b"x" * 40, now + 100.0 + number, now, b"gene")
                for place, room in enumerate(ROOMS):
                    key = bytes([number + 100 * place]) * 32
                    await small.write(ACCOUNT, key, answer, room)
            left = [n for n in range(250) if await small.read(ACCOUNT, bytes([n]) * 32)]
            assert left == [0, 1, 2, 3, 4, 103, 104, 204]
            longest = Answer(b"x" * 101, now + 100.0, now, b"gene")
            await small.write(ACCOUNT, b"k" * 32, longest, "put")
            assert await small.read(ACCOUNT, b"k" * 32) == longest
            assert await small.read(ACCOUNT, bytes([104]) * 32) is None

    async def test_nothing_is_left_of_those_that_have_expired(self, storage, server):
        account = b"b" * 32
        index = b"oig:if" + account
        with server.client() as client:
            for number, lasts in enumerate((0.01, 50.0, 0.01)):
                now = storage.now()
                answer = Answer(b"x", now + lasts, now, b"gene")
                await storage.write(account, bytes([number]) * 32, answer, "fetched")
                await asyncio.sleep(0.02)
            assert len(client.zrange(index, 0, -1)) == 2
            await storage.write(account, b"q" * 32, answer._replace(expires=now + 60.0), "fetched")
            assert len(client.zrange(index, 0, -1)) == 2
            assert 50.0 < client.pttl(index) / 1000 <= 60.0

    async def test_one_that_was_stored_later_than_now_is_none(self, storage):
        """The clock was set back: it would be shown as fresh for as long as the step."""
        now = storage.now()
        answer = Answer(b"x", now + 3700.0, now + 3600.0, b"gene")
        await storage.write(ACCOUNT, b"q" * 32, answer, "fetched")
        assert await storage.read(ACCOUNT, b"q" * 32) is None

    async def test_one_that_has_run_out_is_none(self, storage, server):
        """Also where the server still has it, whose clock may be behind."""
        now = storage.now()
        with server.client() as client:
            data = HEADER.pack(FORMAT, now - 1.0, now, b"gene") + b"x"
            client.set(b"oig:p" + ACCOUNT + b"q" * 32, data)
        assert await storage.read(ACCOUNT, b"q" * 32) is None

    async def test_one_of_a_newer_version_is_none(self, storage, server):
        now = storage.now()
        await storage.write(ACCOUNT, b"q" * 32, Answer(b"x", now + 9.0, now, b"gene"), "put")
        with server.client() as client:
            client.setrange(b"oig:p" + ACCOUNT + b"q" * 32, 0, b"\x02")
        assert await storage.read(ACCOUNT, b"q" * 32) is None


class TestBetweenProcesses:
    async def test_a_change_wakes_who_watches_at_another_and_not_who_made_it(self, storage, other):
        await heard(storage, other)
        async with storage.watch(TURNS) as own, other.watch(TURNS) as there:
            waiting = [asyncio.create_task(changed(30.0)) for changed in (own, there)]
            await asyncio.sleep(0)
            await storage.swap(TURNS, None, tagged(1, b"a"), entry(wake=True))
            done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert done == {waiting[1]}
            left.pop().cancel()

    async def test_a_watch_returns_when_nothing_has_changed(self, storage):
        async with storage.watch(NAME) as changed:
            await asyncio.wait_for(changed(0.01), 5.0)
        assert storage._notices._watched == {}

    async def test_epochs_come_with_every_load(self, storage, other):
        assert other.epochs == storage.epochs
        flushed = await storage.flush(sessions=True, locks=True)
        await other.load(NAME)
        assert other.epochs == flushed

    async def test_a_handle_is_looked_for_once(self, storage, other):
        handle = b"h" * 16
        new = state(1, handles=[Handle(handle, b"record", storage.now() + HOUR)])
        await storage.swap(NAME, None, new, entry(handles=(handle,)))
        assert storage.peek_handle(handle) == ACCOUNT
        assert other.peek_handle(handle) is None
        assert await other.account_of(handle) == other.peek_handle(handle) == ACCOUNT


async def heard(*storages):
    """Return when all are subscribed."""
    await until("subscribed", lambda: all(one._notices.since is not None for one in storages))


class TestClock:
    """The time is the server's."""

    async def test_it_is_the_servers_whatever_the_hosts_is(self, storage, server):
        async with opened(server, clock=ServerClock(lambda: 5.0, lambda: 7.0)) as frozen:
            await frozen.swap(TURNS, None, tagged(1, b"a"), entry())
            with server.client() as client:
                seconds, micros = client.time()
            assert abs(frozen.now() - seconds - micros / 1e6) < 30.0

    def test_a_reply_that_took_long_moves_it_no_further_than_it_must(self):
        at = 100.0
        clock = ServerClock(lambda: at)
        clock.learn(5000.0, at)
        assert clock.now() == 5000.0
        at = 110.0  # asked at 101: the server's time when it answered lies between
        clock.learn(5004.0, 101.0)
        assert clock.now() == 5010.0
        clock.learn(5012.0, 109.0)
        assert clock.now() == 5012.0

    def test_it_stands_still_rather_than_go_back_by_a_little(self):
        at = 100.0
        clock = ServerClock(lambda: at)
        clock.learn(5000.0, at)
        assert clock.now() == 5000.0
        clock.learn(5000.0 - STEP_SECONDS / 2, at)
        assert clock.now() == 5000.0
        at += STEP_SECONDS
        assert clock.now() == 5000.0 + STEP_SECONDS / 2

    def test_it_follows_a_server_whose_clock_was_set_back(self):
        clock = ServerClock(lambda: 100.0)
        clock.learn(5000.0, 100.0)
        assert clock.now() == 5000.0
        clock.learn(4000.0, 100.0)
        assert clock.now() == 4000.0


class TestStart:
    @pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
    async def test_a_server_that_drops_values_at_will_is_refused(self, server, policy):
        with server.client() as client:
            client.config_set("maxmemory-policy", policy)
            try:
                with pytest.raises(UnfitStorage, match=f"{policy}.*noeviction"):
                    async with opened(server):
                        raise AssertionError("it was opened")
            finally:
                client.config_set("maxmemory-policy", "noeviction")

    async def test_a_cluster_is_refused(self, server):
        with (
            running(
                "redis", "--cluster-enabled", "yes", "--cluster-port", str(free_port())
            ) as cluster,
            pytest.raises(UnfitStorage, match="Sentinel"),
        ):
            async with opened(cluster):
                raise AssertionError("it was opened")

    @pytest.mark.parametrize("right", [one.removeprefix("+").upper() for one in NEEDED.split()])
    async def test_a_user_without_a_right_that_is_needed_is_refused(self, server, right):
        with user_of(server, *NEEDED.split(), f"-{right.lower()}") as url:
            assert f"no right to {right}:" in await refusal(server, url)

    async def test_a_user_of_other_keys_or_channels_is_refused(self, server):
        for given, refused in (
            (("resetkeys", "~other:*"), "SET"),
            (("resetchannels", "&other:*"), "PUBLISH"),
            # It may publish to its own channel, and not hear the others.
            (("resetchannels", "&oig:o*"), "SUBSCRIBE"),
        ):
            with user_of(server, *NEEDED.split(), *given) as url:
                assert f"no right to {refused}:" in await refusal(server, url)

    async def test_another_database_needs_a_right_of_its_own_and_must_be_there(self, server):
        with user_of(server, *NEEDED.split()) as url:
            assert "no right to SELECT" in await refusal(server, f"{url}?db=1")
        with user_of(server, *NEEDED.split(), "+select") as url:
            async with opened(server, f"{url}?db=1") as storage:
                assert await storage.load(NAME) is None
            assert "no database" in await refusal(server, f"{url}?db=99")

    async def test_a_command_that_was_renamed_is_as_one_that_is_forbidden(self):
        with running("redis", "--rename-command", "EVAL", "") as server:
            assert "no right to EVAL" in await refusal(server, server.unix_url)

    async def test_a_user_with_the_rights_that_are_named_can_do_everything(self, server):
        answer = Answer(b"answer", 2e9, 1.0, b"abcd")
        with user_of(server, *NEEDED.split()) as url:
            async with opened(server, url, limits=Limits(put_per_account=1)) as storage:
                await heard(storage)
                assert await storage.swap(NAME, None, state(1), entry(wake=True))
                assert await storage.load(NAME) == state(1)
                assert [one async for one in storage.accounts()] == [(NAME[1:], state(1))]
                for number in (b"1", b"2"):
                    await storage.write(NAME[1:], number * 32, answer, "put")
                assert await storage.drop_answers(NAME[1:]) == 1
                assert await storage.dead([b"o" * 8]) == frozenset()
                await storage.flush(sessions=True)
                storage._replicas = 1
                await storage.durable(NAME)
                await storage.look_again()
                assert storage._replicas == 0
                assert [page async for page in storage.heads(b"a")] == [[(NAME, state(1)[:64])]]
                members = storage.members
                assert await members.agree(b"tag", 60.0)
                await members.set_secret(b"other")
                assert await members.secret() == b"other"
                await members.report(b"facts", 60.0, 1.0)
                assert await members.all() == [b"facts"]
                assert (await members.server())["process_id"] > 0
                assert await storage.swap(NAME, state(1), None, entry())
                await members.leave()
                assert await members.all() == []
                await storage.clear()
                assert await members.secret() is None

    async def test_a_server_that_begins_to_evict_is_away_when_it_is_looked_at_again(
        self, storage, server
    ):
        with server.client() as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            try:
                with pytest.raises(StorageAway, match="allkeys-lru"):
                    await storage.look_again()
                with pytest.raises(StorageAway, match="allkeys-lru"):
                    await storage.load(NAME)
            finally:
                client.config_set("maxmemory-policy", "noeviction")
        await until("back", lambda: storage.away is None)
        await storage.look_again()

    async def test_several_that_begin_at_once_agree_on_the_epochs(self, server):
        async with contextlib.AsyncExitStack() as stack:
            made = [ValkeyStorage(client_at(server.unix_url), Limits()) for _ in range(5)]
            for one in made:
                stack.push_async_callback(one.aclose)
            await asyncio.gather(*(one.open() for one in made))
            assert len({one.epochs for one in made}) == 1

    async def test_the_secret_that_was_named_first_is_that_of_all_until_it_is_replaced(
        self, storage, other
    ):
        assert await storage.members.secret() is None
        assert await storage.members.agree(b"ours", 60.0)
        assert not await other.members.agree(b"theirs", 60.0)
        assert await other.members.agree(b"ours", 60.0)
        for one in (storage, other):
            await one.members.report(b"facts", 60.0, 1.0)
            await one.members.leave()
        assert not await storage.members.agree(b"theirs")
        await storage.members.set_secret(b"theirs")
        assert await other.members.agree(b"theirs")

    async def test_it_works_over_tls(self):
        with running("redis", tls=True) as server:
            async with opened(server, server.url) as storage:
                assert await storage.load(NAME) is None

    async def test_it_works_with_a_password_that_is_not_in_the_address(self):
        with running("redis", "--requirepass", "hunter2") as server:
            client = client_at(f"unix://:hunter2@{server.socket}")
            storage = ValkeyStorage(client, Limits())
            await storage.open()
            assert await storage.load(NAME) is None
            await storage.aclose()
