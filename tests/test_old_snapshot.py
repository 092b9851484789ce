"""The snapshot of versions up to 0.1: what it locked stays locked, and nothing lasts longer."""

import errno
import hashlib
import os

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.cache import old_snapshot
from server.cache.backing import SqliteBacking, database_path
from server.cache.old_snapshot import HEADER, KIND, NotReadable, decode
from server.cache.rows import BEGINNING
from server.cache.state_file import StateFile, StateFileUnusable
from server.state import encoding, locks
from server.state.account import AccountState, Attempt, pair_of, whose
from server.state.limits import ANSWER_MAX_BYTES, TTL_MAX, VALUE_MAX_BYTES, Context, Limits, Policy
from server.state.locks import Standing
from server.state.spraying import SourceState
from server.state.storage import Epochs
from server.state.vocabulary import short

WALL = 1_800_000_000.0
DAY = 86400.0
NOW = BEGINNING
EPS = 1e-3
CONTEXT = Context(Policy(), Limits(), NOW, b"owner", os.urandom)

OWNER = b"a" * 16 + b"A" * 16
VICTIM = b"v" * 16 + b"V" * 16
OTHER = b"u" * 16 + b"U" * 16
WRONG = b"w" * 16 + b"W" * 16
HANDLE = b"n" * 16 + b"N" * 16

TAKEN, SESSIONS, FAILURES, KNOWN, HANDLES, HOLDS, EPOCH, SPRAYED = range(8)
"""Places in the body."""


def seconds(first: float, last: float) -> st.SearchStrategy[float]:
    """Quarters of a second: floats that stay exact when times are added."""
    return st.integers(int(first * 4), int(last * 4)).map(lambda quarters: quarters / 4)


keys = st.integers(1, 6).map(lambda number: bytes([number]) * 32)
tags = st.just(b"") | st.binary(min_size=16, max_size=16)
spelled = st.builds(lambda key, tag: key + tag, keys, tags)
sources = st.text(min_size=1, max_size=64)
ages = seconds(0.0, DAY)
sessions = st.lists(
    st.tuples(keys, keys, st.binary(min_size=1), ages, seconds(-9.0, DAY), ages, st.none() | tags)
)
failures = st.lists(
    st.tuples(
        keys,
        st.none() | sources,
        st.integers(0, 10_000),
        st.integers(0, 100),
        ages,
        seconds(0.0, 3600.0),
        st.lists(spelled, max_size=16),
        ages,
        st.lists(st.tuples(spelled, st.integers(0, 10_000)), max_size=8),
        st.integers(0, 10_000),
    ),
    unique_by=lambda row: row[:2],
)
known = st.lists(
    st.tuples(
        spelled,
        st.lists(st.tuples(sources, seconds(0.0, 1e7)), min_size=1, max_size=8),
    ),
    max_size=4,
    unique_by=lambda row: row[0],
)
handles = st.lists(
    st.tuples(keys, keys, st.binary(min_size=1), ages, seconds(-9.0, DAY), keys),
    unique_by=lambda row: row[0],
)
sprayed = st.lists(
    st.tuples(
        sources,
        st.lists(st.tuples(st.binary(min_size=32, max_size=32), seconds(0.0, 3600.0)), max_size=22),
        seconds(0.0, 3600.0),
        st.just([]),
    ),
    max_size=3,
    unique_by=lambda row: row[0],
)
epochs = st.none() | st.tuples(st.binary(min_size=16, max_size=16), st.integers(0, 2**31 - 1))
bodies = st.tuples(
    st.just(WALL), sessions, failures, known, handles, st.just([]), epochs, sprayed
).map(lambda body: msgpack.unpackb(msgpack.packb(body)))


def written(body: object) -> bytes:
    payload = msgpack.packb(body)
    return HEADER.pack(*KIND, len(payload), hashlib.sha256(payload).digest()) + payload


def one_of_each() -> list:
    body = [
        WALL,
        [[b"k" * 32, OWNER, b"sealed", 600.0, DAY / 2 - 600.0, 300.0, b""]],
        [
            [VICTIM, None, 9, 2, 10.0, 50.0, [], 600.0, [], 9],
            [VICTIM, "192.0.2.9", 7, 3, 10.0, 60.0, [WRONG], 1000.0, [[VICTIM, 7]], 7],
        ],
        [[OWNER, [["192.0.2.1", DAY], ["2001:db8::", 500.0]]]],
        [[HANDLE, OWNER, b"a record", 600.0, DAY / 2 - 600.0, b"k" * 32]],
        [[b"h" * 32, OWNER, b"t" * 16, 600.0]],
        [b"o" * 16, 7],
        [["192.0.2.9", [[VICTIM, 10.0], [OTHER, 5.0]], 100.0, []]],
    ]
    return msgpack.unpackb(msgpack.packb(body))


def states(data: bytes, down: float = 0.0, **given) -> dict[bytes, AccountState]:
    found = decode(data, WALL + down, NOW, **given)
    return {account: encoding.load(row) for account, row in found.accounts}


def test_each_part_goes_to_its_place():
    found = decode(written(one_of_each()), WALL + 20.0, NOW)
    assert found.epochs == Epochs(b"o" * 16, 7, 0, 0)
    assert found.clock == NOW
    rows = states(written(one_of_each()), 20.0)
    owner, victim = rows[OWNER], rows[VICTIM]
    assert (owner.key, owner.spelling, owner.value) == (b"k" * 32, b"", b"sealed")
    assert (owner.stored, owner.seen) == (NOW - 620.0, NOW - 320.0)
    assert owner.expires == NOW + DAY / 2 - 620.0
    assert [(one.source, one.until - NOW) for one in owner.known] == [
        ("192.0.2.1", DAY - 20.0),
        ("2001:db8::", 480.0),
    ]
    assert owner.handles == [(short(HANDLE), b"a record", NOW + DAY / 2 - 620.0)]
    assert (victim.total.failures, victim.total.telling, victim.total.locks) == (9, 9, 2)
    assert (victim.total.until, victim.total.last, victim.total.firm) == (
        NOW + 30.0,
        NOW - 30.0,
        True,
    )
    assert victim.fell == NOW - 620.0
    counter = victim.sources["192.0.2.9"]
    assert (counter.failures, counter.locks, counter.until) == (7, 3, NOW + 40.0)
    assert counter.spellings == {b"": 7}
    # The same wrong pair does not count again; it is no pair that may be tried whatever is locked.
    assert [(one.pair, one.payer) for one in victim.pairs] == [(pair_of(WRONG, VICTIM), "")]
    ((source, row),) = found.sources
    tried = SourceState.load(row)
    assert source == b"192.0.2.9"
    assert tried.until == NOW + 80.0
    assert [one.failed for one in tried.tried.values()] == [NOW - 30.0, NOW - 25.0]
    assert tried.may_try(VICTIM, Policy(accounts_per_source=2))
    assert not tried.may_try(WRONG, Policy(accounts_per_source=2))


@settings(max_examples=40, deadline=None)
@given(bodies, seconds(-90.0, 2 * DAY), st.booleans())
def test_nothing_locked_is_open_and_nothing_lasts_longer(body, down, outdated):
    rows = states(written(body), down, is_outdated=outdated)
    elapsed = max(0.0, down)
    for account, source, failed, _, _, left, *_ in body[FAILURES]:
        if left <= elapsed:
            continue
        state = rows[account]
        attempt = Attempt(b"p" * 8, source or "a stranger's", b"", known=False)
        locked = locks.locked(state, attempt, Standing(), CONTEXT)
        assert locked is not None, failed
        assert locked.retry_after >= left - elapsed - EPS
    sources = {
        (account[:32], tag, source): left
        for account, known in body[KNOWN]
        for tag in [account[32:]]
        for source, left in reversed(known)
    }
    for account, state in rows.items():
        for one in state.known:
            before = max(
                left
                for spelled, known in body[KNOWN]
                for source, left in known
                if (spelled, source) == (account + one.spelling, one.source)
            )
            assert (account, one.spelling, one.source) in sources
            assert one.until - NOW <= before - elapsed + EPS
        if state.value:
            assert not outdated
            assert down >= -60.0
            assert [state.key, account, state.value, state.spelling] in [
                [key, whose_, value, tag]
                for key, whose_, value, _, left, _, tag in body[SESSIONS]
                if abs(NOW + left - elapsed - state.expires) < EPS
            ]
        for one in state.handles:
            assert [one.handle, account, one.record, state.key] in [
                [short(key), whose_, value, session]
                for key, whose_, value, _, left, session in body[HANDLES]
                if abs(NOW + left - elapsed - one.until) < EPS
            ]
    policy = Policy()
    for source, row in decode(written(body), WALL + down, NOW).sources:
        (accounts, left) = next(
            rest[:2] for name, *rest in body[SPRAYED] if name.encode() == source
        )
        state = SourceState.load(row)
        until = state.refused_until(policy)
        assert until >= NOW + left - elapsed - EPS or left == 0.0
        failed = sorted(ago for _, ago in dict(accounts).items())
        if len(failed) >= policy.accounts_per_source:
            assert until >= NOW + 3600.0 - failed[policy.accounts_per_source - 1] - elapsed - EPS


def test_what_was_locked_at_many_sources_is_locked_at_all_of_them():
    body = one_of_each()
    rows = [[VICTIM, None, 80, 2, 10.0, 0.0, [], 600.0, [], 9]]
    rows += [
        [VICTIM, f"192.0.2.{number}", 5, 1, 10.0, 60.0 * (number % 2), [], 0.0, [], 5]
        for number in range(72)
    ]
    body[FAILURES] = rows
    state = states(written(body))[VICTIM]
    for number in range(1, 72, 2):
        assert state.sources[f"192.0.2.{number}"].until == NOW + 60.0


def test_a_login_forgives_the_failures_of_its_spelling_alone():
    body = one_of_each()
    budget, spelling = VICTIM, b"x" * 32 + b"t" * 16
    body[FAILURES][1][8] = [[budget, 3], [spelling, 4]]
    state = states(written(body))[budget]
    source = "192.0.2.9"
    locks.accepted(state, Attempt(b"p" * 8, source, whose(budget, spelling), known=True))
    assert state.sources[source].failures == 3
    locks.accepted(state, Attempt(b"p" * 8, source, whose(budget, budget), known=True))
    assert source not in state.sources


def test_a_wrong_password_counts_once_though_the_program_was_upgraded_in_between():
    body = one_of_each()
    budget, tag = VICTIM, b"t" * 16
    body[FAILURES][1][6] = [WRONG + tag]
    state = states(written(body), 3600.0)[budget]
    pair = pair_of(WRONG, budget + tag)
    attempt = Attempt(pair, "192.0.2.9", whose(budget, budget + tag), known=False)
    before = state.total.failures
    locks.rejected(state, attempt, CONTEXT)
    assert state.total.failures == before


def test_a_handle_leads_to_the_session_of_its_password_or_nowhere():

    def handle(name, session, account=OWNER):
        return [name * 32, account, b"record", 600.0, 600.0, session * 32]

    body = one_of_each()
    body[HANDLES] = [handle(b"1", b"k"), handle(b"2", b"x")]
    assert [one.handle for one in states(written(body))[OWNER].handles] == [short(b"1" * 32)]
    body[SESSIONS] = []
    body[HANDLES] = [handle(b"1", b"x"), handle(b"2", b"k"), handle(b"3", b"k")]
    state = states(written(body))[OWNER]
    assert (state.key, state.value) == (b"k" * 32, b"")
    assert [one.handle for one in state.handles] == [
        short(b"2" * 32),
        short(b"3" * 32),
    ]


def test_the_last_used_session_comes_last():
    body = one_of_each()
    row = body[SESSIONS][0]
    body[SESSIONS] = [[row[0], bytes([number]) * 32, *row[2:]] for number in (3, 1, 2)]
    accounts = [account[:1] for account, _ in decode(written(body), WALL, NOW).accounts]
    assert accounts[-3:] == [b"\3", b"\1", b"\2"]


class TestClock:
    def test_a_day_later_sessions_have_run_out_and_locks_are_over(self):
        rows = states(written(one_of_each()), DAY)
        assert rows.keys() == {VICTIM}
        attempt = Attempt(b"p" * 8, "192.0.2.9", b"", known=False)
        assert locks.locked(rows[VICTIM], attempt, Standing(), CONTEXT) is None

    def test_from_a_day_in_the_future_only_locks_and_known_sources_are_kept(self):
        rows = states(written(one_of_each()), -DAY)
        assert not rows[OWNER].value
        assert rows[OWNER].handles == []
        assert rows[OWNER].known[0].until == NOW + DAY
        assert rows[VICTIM].total.until == NOW + 50.0

    def test_a_clock_corrected_by_seconds_never_adds_time(self):
        state = states(written(one_of_each()), -30.0)[OWNER]
        assert (state.stored, state.expires) == (NOW - 600.0, NOW + DAY / 2 - 600.0)


def test_a_snapshot_older_than_a_flush_restores_no_session():
    found = decode(written(one_of_each()), WALL, NOW, is_outdated=True)
    assert found.epochs is None
    state = encoding.load(dict(found.accounts)[OWNER])
    assert (state.value, state.handles) == (b"", [])
    assert state.known


class TestHostile:
    def test_one_cut_anywhere_is_refused(self):
        data = written(one_of_each())
        for length in range(len(data)):
            with pytest.raises(NotReadable):
                decode(data[:length], WALL, NOW)

    def test_one_with_any_bit_flipped_is_refused(self):
        data = written(one_of_each())
        for at in range(len(data) * 8):
            flipped = bytearray(data)
            flipped[at // 8] ^= 1 << at % 8
            with pytest.raises(NotReadable):
                decode(bytes(flipped), WALL, NOW)

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=200))
    def test_random_bytes_are_refused_whether_their_checksum_is_right_or_not(self, payload):
        digest = hashlib.sha256(payload).digest()
        for data in (payload, HEADER.pack(*KIND, len(payload), digest) + payload):
            with pytest.raises(NotReadable):
                decode(data, WALL, NOW)

    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text() | keys,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=2),
        max_leaves=6,
    )

    @settings(max_examples=200, deadline=None)
    @given(st.data())
    def test_any_value_in_any_place_is_refused_or_understood(self, data):
        at = body = one_of_each()
        while True:
            place = data.draw(st.integers(0, len(at) - 1))
            if not isinstance(at[place], list) or not at[place] or data.draw(st.booleans()):
                break
            at = at[place]
        at[place] = data.draw(self.values)
        try:
            content = written(body)
        except OverflowError:
            return  # no such number can be written
        try:
            rows = states(content)
        except NotReadable:
            return
        for state in rows.values():
            assert state.expires <= NOW + TTL_MAX + 1.0

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ((TAKEN,), float("nan")),
            ((TAKEN,), True),
            ((SESSIONS,), {}),
            ((SESSIONS, 0, 2), b""),
            ((SESSIONS, 0, 2), bytes(VALUE_MAX_BYTES + 1)),
            ((SESSIONS, 0, 4), TTL_MAX * 2),
            ((SESSIONS, 0, 4), float("inf")),
            ((FAILURES, 0, 1), ""),
            ((FAILURES, 0, 3), 2**40),
            ((FAILURES, 0, 5), 1e300),
            ((FAILURES, 1, 6), [b"w" * 31]),
            ((FAILURES, 1, 8), [[VICTIM, -1]]),
            ((KNOWN, 0, 1), [["", 1.0]]),
            ((HANDLES, 0, 2), bytes(ANSWER_MAX_BYTES + 1)),
            ((EPOCH, 0), b"o" * 15),
            ((SPRAYED, 0, 1), [[VICTIM, -1.0]]),
            ((SPRAYED,), None),
        ],
    )
    def test_a_shape_that_was_never_written_is_refused(self, path, value):
        at = body = one_of_each()
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        with pytest.raises(NotReadable):
            decode(written(body), WALL, NOW)


class TestFirstStart:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "run").mkdir(mode=0o700)
        return tmp_path / "run"

    @staticmethod
    def leave(folder, content: bytes, mode: int = 0o600) -> None:
        path = folder / "sessions.snapshot"
        path.write_bytes(content)
        path.chmod(mode)

    @staticmethod
    def begin(folder):
        backing = SqliteBacking(folder / "sessions.snapshot")
        found = backing.restore()
        accounts, sources = dict(found.accounts), dict(found.sources)
        backing._file.close()
        return found.epochs, accounts, sources

    def test_it_is_read_once_and_removed_when_all_of_it_is_on_the_disk(self, folder):
        self.leave(folder, written(one_of_each()))
        (folder / "sessions.snapshot.new").write_bytes(b"half")
        epochs, accounts, sources = self.begin(folder)
        assert epochs == Epochs(b"o" * 16, 7, 0, 0)
        assert accounts.keys() == {VICTIM, OWNER}
        assert sources.keys() == {b"192.0.2.9"}
        assert [one.name for one in folder.iterdir()] == ["sessions.db"]
        assert self.begin(folder) == (epochs, accounts, sources)

    def test_after_a_downgrade_and_back_it_says_what_there_is(self, folder):
        file = StateFile(database_path(folder / "x"))
        file.open()
        file.write([(b"a" + b"z" * 32, b"of before the downgrade")])
        file.close()
        self.leave(folder, written(one_of_each()))
        assert self.begin(folder)[1].keys() == {VICTIM, OWNER}

    def test_until_it_can_be_written_elsewhere_it_stays(self, folder, monkeypatch):
        self.leave(folder, written(one_of_each()))

        def fail(self, rows):
            raise old_snapshot.NotReadable("full")

        with monkeypatch.context() as patch:
            patch.setattr(StateFile, "write", fail)
            assert self.begin(folder)[1].keys() == {VICTIM, OWNER}
        assert (folder / "sessions.snapshot").exists()
        assert self.begin(folder)[1].keys() == {VICTIM, OWNER}
        assert not (folder / "sessions.snapshot").exists()

    @pytest.mark.parametrize(
        ("content", "mode", "why"),
        [
            (b"", 0o600, "torn"),
            (b"SQLite format 3\0" * 9, 0o600, "no snapshot"),
            (HEADER.pack(KIND[0], 5, 0, bytes(32)), 0o600, "no snapshot"),
            (written(one_of_each())[:-1], 0o600, "damaged"),
            (written(one_of_each()), 0o620, "written by others"),
        ],
    )
    def test_one_that_cannot_be_believed_is_set_aside(self, folder, caplog, content, mode, why):
        self.leave(folder, content, mode)
        assert self.begin(folder) == (None, {}, {})
        assert why in caplog.text
        assert (folder / "sessions.snapshot.bad").read_bytes() == content
        assert not (folder / "sessions.snapshot").exists()

    def test_one_that_cannot_be_read_now_stops_the_start_and_stays(self, folder, monkeypatch):
        self.leave(folder, written(one_of_each()))

        def fail(*_):
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", fail)
            with pytest.raises(StateFileUnusable, match="cannot be read"):
                self.begin(folder)
        assert self.begin(folder)[1].keys() == {VICTIM, OWNER}

    @pytest.mark.parametrize("what", ["link", "pipe", "folder"])
    def test_what_is_no_file_is_not_waited_for(self, folder, tmp_path, caplog, what):
        path = folder / "sessions.snapshot"
        match what:
            case "link":
                path.symlink_to(tmp_path / "target")
            case "pipe":
                os.mkfifo(path, 0o600)
            case _:
                path.mkdir()
        assert self.begin(folder)[1] == {}
        assert "set aside" in caplog.text
