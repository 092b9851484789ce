"""What `status` says of the shared storage, and of workers on it that differ."""

from __future__ import annotations

import pytest

from server.cache.hello import CHANGES
from server.settings.table import Settings
from server.shared_storage import Look
from server.state.storage import StorageAway
from server.storage_address import StorageAddress
from server.supervision import workers
from server.supervision.workers import differing, seen_of_storage

from .system import free_port

ADDRESS = StorageAddress.read("redis://:hunter2@valkey.invalid")
SHARED = Settings(cache_url=ADDRESS)


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.setattr(workers.socket, "gethostname", lambda: "oig-1")


def worker(host, tag=b"1", **more):
    tags = {"OIG_LIVE_TTL": tag, "OIG_LOG_LEVEL": b"?"}
    own = {"name": "mcp-0", "host": host, "pid": 7, "settings": tag * 16, "settings_tags": tags}
    return {**own, "changes": CHANGES, **more}


def of(*reports):
    return differing(SHARED, Look(ADDRESS, reports=reports))


def test_a_worker_with_other_settings_is_named_with_the_settings_and_is_ready():
    (one,) = of(worker("oig-1"), worker("oig-2", b"2"))
    assert str(one) == (
        "mcp-0 on oig-2, process 7, goes by other settings (OIG_LIVE_TTL) than most workers of "
        "this host; its log says why, and cachectl reload has all read theirs again."
    )
    assert not one.unready


def test_a_worker_with_another_secret_refuses_calls_and_is_not_ready():
    (one,) = of(worker("oig-1", secret_differs=True))
    assert one.secret
    assert one.unready


def test_a_worker_of_another_version_serves_and_is_ready():
    (one,) = of(worker("oig-1", changes=CHANGES + 1))
    assert "is of another version than this program" in str(one)
    assert not one.unready


def test_without_a_storage_to_look_at_no_worker_is_known_to_differ():
    assert of() == []
    assert differing(SHARED, None) == []
    assert seen_of_storage(Settings()) == (None, None)


def test_a_storage_that_is_away_is_named_with_the_reason_and_no_password():
    address = StorageAddress.read(f"redis://:hunter2@127.0.0.1:{free_port()}")
    seen, said = seen_of_storage(Settings(cache_url=address))
    assert isinstance(seen.away, StorageAway)
    assert (
        said == f"Shared storage {address}: it is away: it cannot be reached: nobody listens there."
    )
    assert "hunter2" not in repr(seen)
