"""The snapshot: what goes in comes out, or is refused; the file is ours or is refused."""

import hashlib
import os
import stat
from dataclasses import replace

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.cache import snapshot
from server.cache.engine import Engine, Export, Limits, Session
from server.cache.epoch import Epoch
from server.cache.held import Pointer
from server.cache.known import Known, chain
from server.cache.limits import ANSWER_MAX_BYTES, TTL_MAX, VALUE_MAX_BYTES
from server.cache.outcomes import Hit, Locked
from server.cache.snapshot import HEADER, MAGIC, NewerSnapshot, SnapshotError, decode, encode
from server.cache.spraying import MAX_ACCOUNTS, Sprayed
from server.cache.throttle import Failures, Policy, Throttle

WALL = 1_800_000_000.0
DAY = 86400.0


def seconds(first: float, last: float) -> st.SearchStrategy[float]:
    """Quarters of a second: floats that stay exact when times are added."""
    return st.integers(int(first * 4), int(last * 4)).map(lambda quarters: quarters / 4)


keys = st.binary(min_size=32, max_size=32)
tags = st.just(b"") | st.binary(min_size=16, max_size=16)
spelled = st.builds(lambda key, tag: key + tag, keys, tags)
sources = st.text(min_size=1, max_size=64)
entries = (
    keys,
    keys,
    st.binary(min_size=1, max_size=300),
    seconds(-1e6, 1000.0),
    seconds(0.25, TTL_MAX),
)
sessions = st.builds(
    lambda key, account, value, stored, ttl, answered, tag: Session(
        key, account, value, stored, stored + ttl, answered, tag
    ),
    *entries,
    seconds(-1e6, 1000.0),
    st.none() | tags,
)
notes = st.builds(
    lambda key, account, value, stored, ttl, session: Pointer(
        key, account, session, value, stored, stored + ttl
    ),
    *entries,
    keys,
)
failures = st.builds(
    Failures,
    account=keys,
    source=st.none() | sources,
    failures=st.integers(0, 10_000),
    locks=st.integers(0, 100),
    until=seconds(-1e6, 4600.0),
    last=seconds(-1e6, 1000.0),
    keys=st.lists(spelled, max_size=16).map(tuple),
    fell=seconds(-1e6, 1000.0),
    spellings=st.lists(st.tuples(spelled, st.integers(0, 10_000)), max_size=8).map(tuple),
    telling=st.integers(0, 10_000),
)
sprayed = st.builds(
    lambda source, accounts, until, count: Sprayed(
        source, tuple(accounts), until, frozenset(account for account, _ in accounts[:count])
    ),
    sources,
    st.lists(st.tuples(keys, seconds(-1e6, 1000.0)), max_size=20),
    st.just(0.0) | seconds(1001.0, 4600.0),
    st.integers(0, 20),
)


def linked(pairs):
    latest = None
    for source, until in reversed(pairs):
        latest = Known(source, until, latest)
    return latest


known = st.dictionaries(
    spelled,
    st.lists(st.tuples(sources, seconds(0.0, 1e7)), min_size=1, max_size=8).map(linked),
    max_size=4,
)
exports = st.builds(
    Export,
    taken=st.just(1000.0),
    sessions=st.lists(sessions, max_size=5),
    failures=st.lists(failures, max_size=5),
    known=known,
    notes=st.lists(notes, max_size=5),
    epoch=st.builds(Epoch, st.binary(min_size=16, max_size=16), st.integers(0, 2**31 - 1)),
    sprayed=st.lists(sprayed, max_size=3),
)


def one_of_each() -> Export:
    return Export(
        taken=1000.0,
        sessions=[Session(b"k" * 32, b"a" * 32, b"sealed", 400.0, 400.0 + DAY / 2, 700.0)],
        failures=[
            Failures(b"v" * 32, None, 9, 2, 1050.0, 990.0, (), 400.0),
            Failures(
                b"v" * 32, "192.0.2.9", 7, 3, 1060.0, 990.0, (b"w" * 32,), 0.0, ((b"v" * 32, 7),)
            ),
        ],
        known={b"a" * 32: linked([("192.0.2.1", 1000.0 + DAY), ("2001:db8::", 1500.0)])},
        notes=[Pointer(b"n" * 32, b"a" * 32, b"k" * 32, b"a handle", 400.0, 400.0 + DAY / 2)],
        epoch=Epoch(b"o" * 16, 7),
        sprayed=[Sprayed("192.0.2.9", ((b"v" * 32, 990.0), (b"u" * 32, 995.0)), 1100.0)],
    )


def payload_of(data: bytes) -> list:
    return msgpack.unpackb(data[HEADER.size :])


def sealed(body: object) -> bytes:
    payload = msgpack.packb(body)
    digest = hashlib.sha256(payload).digest()
    return HEADER.pack(MAGIC, snapshot.FORMAT, len(payload), digest) + payload


def fields(session: Session | Pointer, shift: float) -> tuple[object, ...]:
    return (
        session.key,
        session.account,
        session.value,
        session.stored + shift,
        session.expires + shift,
        (session.answered + shift, session.spelling)
        if isinstance(session, Session)
        else session.session,
    )


@settings(max_examples=60, deadline=None)
@given(exports, seconds(0.0, 2000.0))
def test_what_goes_in_comes_out_with_the_time_it_has_left(export, down):
    back = decode(encode(export, WALL), WALL + down)
    shift = -1000.0 - down
    assert back.taken == 0.0
    assert [fields(one, 0.0) for one in back.sessions] == [
        fields(one, shift) for one in export.sessions if one.expires + shift > 0.0
    ]
    assert [fields(one, 0.0) for one in back.notes] == [
        fields(one, shift) for one in export.notes if one.expires + shift > 0.0
    ]
    # What is over is over: how long ago a lock ended is not kept.
    assert list(back.failures) == [
        replace(
            row,
            until=max(row.until, 1000.0) + shift,
            last=row.last + shift,
            fell=row.fell + shift,
        )
        for row in export.failures
    ]
    assert list(back.sprayed) == [
        replace(
            one,
            accounts=tuple((account, at + shift) for account, at in one.accounts),
            until=max(one.until + shift, 0.0) if one.until else 0.0,
        )
        for one in export.sprayed
    ]
    assert back.epoch == export.epoch
    assert list(back.known) == list(export.known)
    for account, latest in export.known.items():
        assert [(one.source, one.until) for one in chain(back.known[account])] == [
            (one.source, max(one.until, 1000.0) + shift) for one in chain(latest)
        ]


def test_an_engine_started_from_a_snapshot_goes_on_as_before():
    key, account, guessed = b"k" * 32, b"a" * 32, b"g" * 32
    home, cafe = "192.0.2.1", "198.51.100.7"
    before = Engine(Limits(), Throttle(Policy(), lambda: 500.0), lambda: 500.0)
    lease = before.acquire(key, account, home, "worker")
    assert before.fulfil(key, lease.token, b"sealed", 3600.0)
    for number in range(5):
        wrong = bytes([number]) * 32
        lease = before.acquire(wrong, guessed, cafe, "worker")
        assert before.fail(wrong, lease.token, "rejected", 0.0)
    data = encode(before.export(), WALL)

    after = Engine(Limits(), Throttle(Policy(), lambda: 9.0), lambda: 9.0)
    after.restore(decode(data, WALL + 20.0))
    assert after.acquire(key, account, home, "worker") == Hit(b"sealed", 3580.0, 20.0)
    assert after.acquire(b"x" * 32, guessed, cafe, "worker") == Locked(10.0)
    assert list(after.export().known) == [account]


def test_a_source_over_its_budget_of_accounts_is_refused_after_a_restart_too():
    limits = Limits(logins_at_once=100, login_burst=100)
    before = Engine(limits, Throttle(Policy(), lambda: 500.0), lambda: 500.0)
    for number in range(20):
        pair = bytes([number]) * 32
        lease = before.acquire(pair, pair, "198.51.100.7", "worker")
        assert before.fail(pair, lease.token, "rejected", 0.0)
    data = encode(before.export(), WALL)
    after = Engine(limits, Throttle(Policy(), lambda: 9.0), lambda: 9.0)
    after.restore(decode(data, WALL + 600.0))
    answer = after.acquire(b"x" * 32, b"x" * 32, "198.51.100.7", "worker")
    assert answer == Locked(3000.0, 0.0, 3000.0)


def older(body: list) -> list:
    """Return the body as format 3 had it."""
    taken, sessions, failures, known, notes, *rest = body
    return [
        taken,
        [row[:5] for row in sessions],
        [row[:7] for row in failures],
        known,
        [row[:5] for row in notes],
        *rest[:2],
    ]


def test_locks_of_an_older_format_hold_and_are_forgiven_to_their_account():
    payload = msgpack.packb(older(payload_of(encode(one_of_each(), WALL))))
    digest = hashlib.sha256(payload).digest()
    export = decode(HEADER.pack(MAGIC, 3, len(payload), digest) + payload, WALL)
    throttle = Throttle(Policy(per_account=100), lambda: 9.0)
    throttle.restore(export.failures, export.known, 9.0)
    assert throttle.locked_for(b"v" * 32, "192.0.2.9") == 60.0
    throttle.succeeded(b"v" * 32, "192.0.2.9")
    assert throttle.locked_for(b"v" * 32, "192.0.2.9") == 0.0


@pytest.mark.parametrize(("version", "parts"), [(1, 4), (2, 6), (3, 7)])
def test_a_snapshot_of_an_older_format_is_read(version, parts):
    whole = encode(one_of_each(), WALL)
    payload = msgpack.packb(older(payload_of(whole))[:parts])
    digest = hashlib.sha256(payload).digest()
    back = decode(HEADER.pack(MAGIC, version, len(payload), digest) + payload, WALL)
    (session,) = back.sessions
    assert session.key == b"k" * 32
    # Nobody knew when the portal answered last, but that the login was an answer.
    assert session.answered == session.stored == -600.0
    assert len(back.failures) == 2
    assert len(back.notes) == (0 if version == 1 else 1)
    # A note did not say to which session it leads: that of its account.
    assert {one.session for one in back.notes} <= {session.key}
    assert back.epoch == (Epoch(b"o" * 16, 7) if version == 3 else None)
    assert list(back.sprayed) == []


def test_a_session_of_an_older_format_does_not_say_how_its_email_was_spelled():
    body = payload_of(encode(one_of_each(), WALL))
    body[1] = [row[:6] for row in body[1]]
    payload = msgpack.packb(body)
    digest = hashlib.sha256(payload).digest()
    back = decode(HEADER.pack(MAGIC, 5, len(payload), digest) + payload, WALL)
    assert [(one.key, one.answered, one.spelling) for one in back.sessions] == [
        (b"k" * 32, -300.0, None)
    ]
    assert list(back.known) == [b"a" * 32]


def test_failures_of_an_older_format_are_taken_for_telling_ones():
    export = one_of_each()
    failures = [replace(row, telling=0) for row in export.failures]
    sprayed = [replace(export.sprayed[0], blank=frozenset({b"v" * 32}))]
    body = payload_of(encode(replace(export, failures=failures, sprayed=sprayed), WALL))
    back = decode(sealed(body), WALL)
    assert [row.telling for row in back.failures] == [0, 0]
    assert back.sprayed[0].blank == {b"v" * 32}
    body[2] = [row[:9] for row in body[2]]
    body[7] = [row[:3] for row in body[7]]
    back = decode(sealed(body), WALL)
    assert [row.telling for row in back.failures] == [9, 7]
    assert back.sprayed[0].blank == frozenset()


def test_the_longest_note_comes_out_as_well():
    longest = Pointer(b"n" * 32, b"a" * 32, b"k" * 32, bytes(ANSWER_MAX_BYTES), 900.0, 1100.0)
    (note,) = decode(encode(replace(one_of_each(), notes=[longest]), WALL), WALL).notes
    assert note.value == longest.value


def test_a_snapshot_cut_anywhere_is_refused():
    data = encode(one_of_each(), WALL)
    for length in range(len(data)):
        with pytest.raises(SnapshotError):
            decode(data[:length], WALL)


def test_a_snapshot_with_any_bit_flipped_is_refused():
    data = encode(one_of_each(), WALL)
    for at in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(SnapshotError):
            decode(bytes(flipped), WALL)


def test_bytes_after_the_end_are_refused():
    with pytest.raises(SnapshotError, match="torn"):
        decode(encode(one_of_each(), WALL) + b"x", WALL)


def test_a_foreign_file_and_another_format_are_named():
    data = encode(one_of_each(), WALL)
    with pytest.raises(SnapshotError, match="not a snapshot"):
        decode(b"SQLite format 3\0" + data, WALL)
    with pytest.raises(SnapshotError, match="format 0; this program reads"):
        decode(MAGIC + b"\0\0" + data[10:], WALL)


def test_a_snapshot_of_a_newer_format_is_told_from_a_damaged_one():
    data = encode(one_of_each(), WALL)
    newer = MAGIC + b"\0\7" + data[10:]
    with pytest.raises(NewerSnapshot, match="format 7, of a newer version") as told:
        decode(newer, WALL)
    assert told.value.version == 7
    for damaged in (newer[:-1], newer[:-1] + bytes([newer[-1] ^ 1])):
        with pytest.raises(SnapshotError) as told:
            decode(damaged, WALL)
        assert not isinstance(told.value, NewerSnapshot)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data):
    with pytest.raises(SnapshotError):
        decode(data, WALL)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_under_a_right_checksum_are_refused_or_understood(payload):
    digest = hashlib.sha256(payload).digest()
    data = HEADER.pack(MAGIC, snapshot.FORMAT, len(payload), digest) + payload
    with pytest.raises(SnapshotError):
        decode(data, WALL)


def spoil(path, replacement):
    def change(body):
        at = body
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = replacement

    return change


@pytest.mark.parametrize(
    "change",
    [
        spoil((0,), "now"),
        spoil((0,), float("nan")),
        spoil((0,), True),
        spoil((1,), {}),
        spoil((1, 0, 0), b"k" * 31),
        spoil((1, 0, 1), "a" * 32),
        spoil((1, 0, 2), b""),
        spoil((1, 0, 3), -1.0),
        spoil((1, 0, 4), TTL_MAX * 2),
        spoil((1, 0, 4), float("inf")),
        spoil((1, 0), []),
        spoil((2, 0, 1), 5),
        spoil((2, 0, 1), ""),
        spoil((2, 0, 2), -1),
        spoil((2, 0, 3), 2**40),
        spoil((2, 0, 3), True),
        spoil((2, 0, 5), float("inf")),
        spoil((2, 1, 6), [b"w" * 31]),
        spoil((2, 1, 6), [b"w" * 32] * 17),
        spoil((2, 1, 6), [None]),
        spoil((2, 0, 7), -1.0),
        spoil((2, 1, 8), [[b"v" * 31, 1]]),
        spoil((2, 1, 8), [[b"v" * 32, -1]]),
        spoil((2, 1, 8), [[b"v" * 32, 1]] * 9),
        spoil((7,), None),
        spoil((7, 0, 0), ""),
        spoil((7, 0, 1), [[b"v" * 32, -1.0]]),
        spoil((7, 0, 1), [[b"v" * 31, 1.0]]),
        spoil((7, 0, 1), [b"v" * 32]),
        spoil((7, 0, 1), [[b"v" * 32, 1.0]] * (MAX_ACCOUNTS + 1)),
        spoil((7, 0, 2), float("nan")),
        spoil((7, 0), []),
        spoil((3, 0, 0), b""),
        spoil((3, 0, 1), []),
        spoil((3, 0, 1), [["x", 1.0]] * 9),
        spoil((3, 0, 1), [["", 1.0]]),
        spoil((3, 0, 1), [["x", "y"]]),
        spoil((1, 0, 2), bytes(VALUE_MAX_BYTES + 1)),
        spoil((6,), 7),
        spoil((6, 0), b"o" * 15),
        spoil((6, 1), -1),
        spoil((6, 1), True),
        spoil((4,), None),
        spoil((5,), None),
        spoil((4, 0, 0), b"n" * 31),
        spoil((4, 0, 2), bytes(ANSWER_MAX_BYTES + 1)),
        spoil((4, 0), []),
        lambda body: body.append(1),
        lambda body: body.pop(),
    ],
)
def test_a_shape_that_encode_never_writes_is_refused(change):
    body = payload_of(encode(one_of_each(), WALL))
    assert decode(sealed(body), WALL).sessions
    change(body)
    with pytest.raises(SnapshotError, match="not what this program writes"):
        decode(sealed(body), WALL)


class TestClock:
    def test_a_day_later_sessions_have_run_out_and_locks_are_over(self):
        back = decode(encode(one_of_each(), WALL), WALL + DAY)
        assert back.sessions == []
        assert all(row.until < 0.0 for row in back.failures)
        assert [row.locks for row in back.failures] == [2, 3]

    def test_from_a_day_in_the_future_only_locks_and_known_sources_are_kept(self):
        back = decode(encode(one_of_each(), WALL), WALL - DAY)
        assert back.sessions == []
        assert back.notes == []
        assert [row.until for row in back.failures] == [50.0, 60.0]
        assert [one.until for one in chain(back.known[b"a" * 32])] == [DAY, 500.0]

    def test_a_clock_corrected_by_seconds_never_adds_time(self):
        (session,) = decode(encode(one_of_each(), WALL), WALL - 30.0).sessions
        assert session.expires == DAY / 2 - 600.0
        assert session.stored == -600.0


class TestFile:
    def test_what_is_written_is_read(self, tmp_path):
        path = tmp_path / "snapshot"
        assert snapshot.read(path) is None
        snapshot.write(path, b"one")
        snapshot.write(path, b"two")
        assert snapshot.read(path) == b"two"
        assert [one.name for one in tmp_path.iterdir()] == ["snapshot"]

    def test_it_is_its_owners_alone_from_birth_whatever_the_umask(self, tmp_path, monkeypatch):
        path = tmp_path / "snapshot"
        modes = []
        sync = os.fsync
        monkeypatch.setattr(
            os, "fsync", lambda fd: (modes.append(os.fstat(fd).st_mode), sync(fd))[1]
        )
        mask = os.umask(0)
        try:
            snapshot.write(path, b"x")
        finally:
            os.umask(mask)
        assert stat.S_IMODE(modes[0]) == 0o600
        assert stat.S_ISDIR(modes[1])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.parametrize("failing", ["fsync", "replace"])
    def test_a_failed_write_leaves_the_old_snapshot_and_nothing_else(
        self, tmp_path, monkeypatch, failing
    ):
        path = tmp_path / "snapshot"
        snapshot.write(path, b"old")

        def fail(*_):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, failing, fail)
            with pytest.raises(OSError, match="No space"):
                snapshot.write(path, b"new")
        assert snapshot.read(path) == b"old"
        assert [one.name for one in tmp_path.iterdir()] == ["snapshot"]

    def test_a_temporary_file_left_by_a_crash_is_no_obstacle(self, tmp_path):
        path = tmp_path / "snapshot"
        (tmp_path / "snapshot.new").write_bytes(b"half")
        snapshot.write(path, b"whole")
        assert snapshot.read(path) == b"whole"

    def test_a_link_in_the_way_of_the_temporary_file_is_not_followed(self, tmp_path):
        path, target = tmp_path / "snapshot", tmp_path / "target"
        target.write_bytes(b"precious")
        (tmp_path / "snapshot.new").symlink_to(target)
        snapshot.write(path, b"x")
        assert target.read_bytes() == b"precious"

    def test_a_symbolic_link_is_refused(self, tmp_path):
        (tmp_path / "target").write_bytes(b"x")
        (tmp_path / "snapshot").symlink_to(tmp_path / "target")
        with pytest.raises(SnapshotError, match="symbolic link"):
            snapshot.read(tmp_path / "snapshot")

    def test_a_folder_and_a_pipe_are_refused_without_waiting(self, tmp_path):
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe", 0o600)
        for name in ("folder", "pipe"):
            with pytest.raises(SnapshotError, match="not a regular file"):
                snapshot.read(tmp_path / name)

    def test_a_file_that_others_own_or_can_write_is_refused(self, tmp_path, monkeypatch):
        path = tmp_path / "snapshot"
        snapshot.write(path, b"x")
        path.chmod(0o620)
        with pytest.raises(SnapshotError, match="written by others"):
            snapshot.read(path)
        path.chmod(0o600)
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
        with pytest.raises(SnapshotError, match="another user"):
            snapshot.read(path)

    def test_an_endless_file_is_not_read(self, tmp_path, monkeypatch):
        path = tmp_path / "snapshot"
        snapshot.write(path, bytes(1000))
        monkeypatch.setattr(snapshot, "MAX_BYTES", 100)
        with pytest.raises(SnapshotError, match="longer"):
            snapshot.read(path)
        with pytest.raises(SnapshotError, match="allowed"):
            encode(one_of_each(), WALL)

    def test_a_path_that_cannot_be_opened_is_a_bad_snapshot(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(SnapshotError, match="cannot be read"):
            snapshot.read(tmp_path / "file" / "snapshot")

    def test_one_bad_snapshot_is_set_aside(self, tmp_path):
        path = tmp_path / "snapshot"
        for content in (b"first", b"second"):
            path.write_bytes(content)
            aside = snapshot.set_aside(path)
        assert aside == tmp_path / "snapshot.bad"
        assert aside.read_bytes() == b"second"
        assert [one.name for one in tmp_path.iterdir()] == ["snapshot.bad"]

    def test_the_last_snapshot_of_each_newer_format_is_set_aside_by_its_name(self, tmp_path):
        path = tmp_path / "snapshot"
        for version, content in ((7, b"first"), (8, b"other"), (7, b"second")):
            path.write_bytes(content)
            snapshot.set_aside(path, version)
        found = {one.name: one.read_bytes() for one in snapshot.newer_paths(path)}
        assert found == {"snapshot.v7-set-aside": b"second", "snapshot.v8-set-aside": b"other"}
        assert len(list(tmp_path.iterdir())) == 2

    def test_what_was_set_aside_of_another_snapshot_is_nobodys_business(self, tmp_path):
        (tmp_path / "other.v7-set-aside").write_bytes(b"x")
        snapshot.drop_aside(tmp_path / "snapshot")
        assert [one.name for one in tmp_path.iterdir()] == ["other.v7-set-aside"]
