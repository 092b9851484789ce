"""What holds of any storage, whatever decides over it. Each implementation inherits these."""

from server.state import encoding
from server.state.account import AccountState, Handle
from server.state.storage import TAG_BYTES, Answer, Entry, Kind, of_account, of_source

HOUR = 3600.0


def tagged(tag: int, body: bytes) -> bytes:
    return tag.to_bytes(TAG_BYTES, "big") + body


def entry(kind=Kind.OTHER, **more) -> Entry:
    return Entry(kind, HOUR, **more)


def state(tag: int, **fields) -> bytes:
    return encoding.dump(AccountState(**fields), tag.to_bytes(TAG_BYTES, "big"))[0]


class StorageContract:
    names = (of_source("192.0.2.1"),)
    """Where values are put that are no account's; where processes share them, `TURNS` as well."""

    async def test_a_value_is_there_once_it_was_swapped_in(self, storage):
        for name in self.names:
            assert await storage.load(name) is None
            assert await storage.swap(name, None, tagged(1, b"a"), entry())
            assert await storage.load(name) == tagged(1, b"a")

    async def test_a_swap_is_lost_when_another_was_made_meanwhile(self, storage):
        for name in self.names:
            old = tagged(1, b"a")
            await storage.swap(name, None, old, entry())
            assert not await storage.swap(name, None, tagged(2, b"b"), entry())
            assert await storage.swap(name, old, tagged(3, b"c"), entry())
            assert not await storage.swap(name, old, tagged(4, b"d"), entry())
            assert await storage.load(name) == tagged(3, b"c")

    async def test_the_tag_alone_says_which_value_it_was(self, storage):
        name = self.names[0]
        await storage.swap(name, None, tagged(1, b"a"), entry())
        assert await storage.swap(name, tagged(1, b"other"), tagged(2, b"b"), entry())
        assert await storage.load(name) == tagged(2, b"b")

    async def test_a_value_that_was_dropped_is_none(self, storage):
        for name in self.names:
            await storage.swap(name, None, tagged(1, b"a"), entry())
            assert await storage.swap(name, tagged(1, b"a"), None, entry())
            assert await storage.load(name) is None
            assert not await storage.swap(name, tagged(1, b"a"), None, entry())

    async def test_a_handle_leads_to_its_account_as_long_as_it_is_there(self, storage):
        account, handle = b"a" * 32, b"h" * 16
        name, there = of_account(account), storage.now() + HOUR
        old = state(1, handles=[Handle(handle, b"record", there)])
        await storage.swap(name, None, old, entry(handles=(handle,)))
        assert await storage.account_of(handle) == account
        await storage.swap(name, old, state(2), entry())
        assert await storage.account_of(handle) is None

    async def test_an_answer_is_of_its_account_and_question_and_the_latest_counts(self, storage):
        account, now = b"a" * 32, storage.now()
        fetched = Answer(b"fetched", now + HOUR, now, b"gene")
        put = Answer(b"put", now + HOUR, now + 1.0, b"gene")
        await storage.write(account, b"q" * 32, fetched, "fetched")
        assert await storage.read(account, b"q" * 32) == fetched
        await storage.write(account, b"q" * 32, put, "put")
        assert await storage.read(account, b"q" * 32) == put
        assert await storage.read(account, b"r" * 32) is None
        assert await storage.read(b"b" * 32, b"q" * 32) is None
        brief = Answer(b"brief", now + HOUR, now + 2.0, b"gene")
        await storage.write(account, b"q" * 32, brief, "brief")
        assert await storage.read(account, b"q" * 32) == brief
        assert await storage.drop_answers(account) in {0, 3}
        assert await storage.read(account, b"q" * 32) is None

    async def test_each_flush_has_a_number_and_drops_count_what_dropped_sessions(self, storage):
        first = storage.epochs
        locks = await storage.flush(locks=True)
        assert locks == first._replace(locks=first.locks + 1)
        sessions = await storage.flush(sessions=True)
        assert sessions == locks._replace(drops=first.drops + 1, sessions=first.sessions + 1)
        dropped = await storage.flush(dropped=True)
        assert dropped == storage.epochs == sessions._replace(drops=first.drops + 2)
