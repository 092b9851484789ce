"""One secret for all hosts on a shared storage: who makes it, and who must copy it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgpack
import pytest

from cachectl.__main__ import main
from cachectl.failures import Unreachable
from server.auth.missing_secret import maker_of
from server.errors import ConfigurationError
from server.keys.fingerprint import secret_tag
from server.keys.secret import load_secret, make_secret, put_secret, read_secret
from server.settings.table import Settings
from server.shared_secret import copying, look_at_storage
from server.storage_address import StorageAddress

from .system import free_port, temporary_folder
from .valkey_servers import running

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture(scope="module")
def server():
    with running("redis") as started:
        yield started


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("server.shared_secret.PATIENCE_SECONDS", 0.2)


@pytest.fixture
def storage(server):
    with server.client() as client:
        yield client
        client.flushall()


@pytest.fixture
def host(server, storage):
    """Return the settings of a host in a folder of its own."""
    with temporary_folder() as folder:

        def made(name, url=server.unix_url):
            (folder / name).mkdir(exist_ok=True)
            address = StorageAddress.read(url)
            return Settings(state_dir=folder / name, run_dir=folder / name, cache_url=address)

        yield made


def loaded(settings):
    return load_secret(settings.secret_file, maker_of(settings))


def test_the_first_host_makes_a_secret_and_the_second_must_copy_it(host, storage):
    first, second = host("first"), host("second")
    made = loaded(first)
    assert storage.get("oig:k") == secret_tag(made)
    assert storage.ttl("oig:k") > 50 * 366 * 86_400  # it stays when all hosts are stopped
    assert loaded(first) == made
    with pytest.raises(ConfigurationError) as refused:
        loaded(second)
    path = second.secret_file
    assert f"There is no secret at {path}" in str(refused.value)
    assert f"ssh root@HOST cat {path} | install -m 0600 -o " in str(refused.value)
    assert str(refused.value).endswith(f" /dev/stdin {path}")
    assert "\n" not in str(refused.value)
    assert not path.exists()
    path.write_bytes(first.secret_file.read_bytes())
    path.chmod(0o600)
    assert loaded(second) == made
    assert look_at_storage(second).warnings == ()


def test_of_hosts_that_start_at_once_one_makes_a_secret(host):
    hosts = [host(f"host {number}") for number in range(6)]
    ended = {}

    def start(settings):
        try:
            ended[settings.state_dir] = loaded(settings)
        except ConfigurationError:
            ended[settings.state_dir] = None

    threads = [threading.Thread(target=start, args=(one,)) for one in hosts]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(secret is not None for secret in ended.values()) == 1
    assert sum(one.secret_file.exists() for one in hosts) == 1


def test_of_processes_of_a_host_that_start_at_once_all_get_the_same(host, monkeypatch):
    monkeypatch.setattr("server.shared_secret.PATIENCE_SECONDS", 10.0)
    settings, found = host("one"), []
    threads = [threading.Thread(target=lambda: found.append(loaded(settings))) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_secret_that_could_not_be_written_blocks_other_hosts_for_a_minute_only(
    host, storage, monkeypatch
):
    def full(path, _):
        raise ConfigurationError(f"The secret {path} cannot be made.")

    with monkeypatch.context() as patched:
        patched.setattr("server.shared_secret.put_secret", full)
        with pytest.raises(ConfigurationError, match="cannot be made"):
            loaded(host("first"))
    with pytest.raises(ConfigurationError, match="is used with one"):
        loaded(host("other"))
    assert 0 < storage.ttl("oig:k") <= 60


def test_a_file_that_is_copied_while_one_is_made_is_that_of_all(host, storage, monkeypatch):
    settings = host("one")

    def too_late(path, _):
        make_secret(path)
        return False

    monkeypatch.setattr("server.shared_secret.put_secret", too_late)
    made = loaded(settings)
    assert storage.get("oig:k") == secret_tag(made)
    assert look_at_storage(settings).warnings == ()


def test_while_the_storage_is_away_no_secret_is_made(host):
    settings = host("one", f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(ConfigurationError, match="nobody can tell whether other hosts work with"):
        loaded(settings)
    assert not settings.secret_file.exists()
    make_secret(settings.secret_file)
    assert loaded(settings)
    assert "is away" in look_at_storage(settings).warnings[0]


def working(storage, host, **more):
    """Have a worker of a host report."""
    report = {"name": "mcp-0", "host": host, "pid": 7, **more}
    storage.set("oig:wplanted", msgpack.packb({"versions": [report]}))
    storage.zadd("oig:members", {"planted": 1})


@pytest.fixture
def claimed(host, storage):
    """Return a host that has a secret, of a storage that another has claimed with one."""
    first, second = host("first"), host("second")
    loaded(first)
    make_secret(second.secret_file)
    return second


def test_a_host_with_another_secret_than_those_that_work_does_not_start(claimed, storage):
    working(storage, "oig-1")
    with pytest.raises(ConfigurationError, match="is not the one that the shared") as refused:
        look_at_storage(claimed)
    said = str(refused.value)
    assert "The right file is that of oig-1, whose workers work with it now." in said
    assert f"the one that is here leaves that as {claimed.secret_file}~." in said
    assert f"ssh root@HOST cat {claimed.secret_file} | install -b -m 0600 -o " in said
    assert "claimed with a wrong file by mistake, stop the server of the host that has it" in said


def test_a_host_with_another_secret_than_what_is_stored_does_not_start(claimed, storage):
    storage.set("oig:a1", b"sealed with another")
    with pytest.raises(ConfigurationError, match="on which oig-cloud-mcp check does not say this"):
        look_at_storage(claimed)
    assert storage.get("oig:k") != secret_tag(read_secret(claimed.secret_file))


def test_a_storage_that_was_claimed_by_mistake_is_taken_over_at_a_start(claimed, storage):
    ours, theirs = secret_tag(read_secret(claimed.secret_file)), storage.get("oig:k")
    working(storage, "oig-2", secret_differs=True)  # it refuses all calls
    (warning,) = look_at_storage(claimed, only_looks=True).warnings
    assert warning.endswith("a start here makes that of this host right.")
    assert storage.get("oig:k") == theirs
    (warning,) = look_at_storage(claimed).warnings
    assert warning.endswith("that of this host is the right one now.")
    assert storage.get("oig:k") == ours
    assert look_at_storage(claimed).warnings == ()


def test_of_two_hosts_that_take_a_storage_over_one_is_refused(claimed, storage, monkeypatch):
    def too_late(*_):
        storage.set("oig:k", b"of the other one")
        return False

    monkeypatch.setattr("server.shared_secret._is_taken_over", too_late)
    with pytest.raises(ConfigurationError, match="is not the one"):
        look_at_storage(claimed)


def test_a_claim_that_was_taken_over_meanwhile_is_not_taken_back(host, storage, monkeypatch):
    settings = host("one")

    def slowly(path, content):
        storage.set("oig:k", b"of a host that had a file")
        return put_secret(path, content)

    monkeypatch.setattr("server.shared_secret.put_secret", slowly)
    loaded(settings)
    assert storage.get("oig:k") == b"of a host that had a file"


def test_a_look_leaves_nothing_on_a_server_and_no_secret_here(host, storage):
    settings = host("one")
    seen = look_at_storage(settings, only_looks=True)
    assert str(seen) == f"Shared storage {settings.cache_url}: no worker works with it yet."
    (warning,) = seen.warnings
    assert warning.startswith(f"there is no secret at {settings.secret_file} yet")
    assert f"ssh root@HOST cat {settings.secret_file} | install -m 0600" in warning
    assert storage.keys() == []
    assert list(settings.state_dir.iterdir()) == []


def test_a_look_says_how_many_workers_of_which_hosts_work_with_a_storage(host, storage):
    make_secret(host("one").secret_file)
    working(storage, "oig-1")
    assert "1 worker of oig-1 works with it." in str(look_at_storage(host("one")))
    rows = [{"host": "oig-2"}, {"host": "oig-1"}, {"host": "oig-2"}]
    storage.set("oig:wplanted", msgpack.packb({"versions": rows}))
    assert "3 workers of oig-1 and oig-2 work with it." in str(look_at_storage(host("one")))


def test_the_command_that_copies_a_secret_is_quoted_for_both_shells(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_000)
    command = copying(Path("/srv/of oig/secret"))
    assert command == (
        "ssh root@HOST 'cat '\"'\"'/srv/of oig/secret'\"'\"'' | "
        f"install -m 0600 -o 4000000000 -g {os.getegid()} /dev/stdin '/srv/of oig/secret'"
    )


@pytest.fixture
def rotate(monkeypatch, capsys):
    def run(settings, code=0):
        monkeypatch.setenv("OIG_CONFIG", os.devnull)
        monkeypatch.setenv("OIG_STATE_DIR", str(settings.state_dir))
        monkeypatch.setenv("OIG_RUN_DIR", str(settings.run_dir))
        monkeypatch.setenv("OIG_LOGIN", "chat")
        monkeypatch.setenv("OIG_CACHE_URL", str(settings.cache_url))
        assert main(["rotate-secret", "--yes"]) == code
        printed = capsys.readouterr()
        return printed.out + printed.err

    return run


def test_a_new_secret_empties_the_storage_and_keeps_hosts_with_the_old_one_out(
    host, storage, rotate
):
    first, second = host("first"), host("second")
    old = loaded(first)
    second.secret_file.write_bytes(first.secret_file.read_bytes())
    second.secret_file.chmod(0o600)
    for name in ("a", "s", "h", "f", "mepochs"):
        storage.set(f"oig:{name}1", b"sealed with the old one")
    storage.set("of:others", b"1")
    said = rotate(first)
    assert f"Copy {first.secret_file} to all other hosts" in said
    assert sorted(storage.keys()) == [b"of:others", b"oig:k"]
    assert storage.get("oig:k") == secret_tag(read_secret(first.secret_file)) != secret_tag(old)
    storage.set("oig:a1", b"stored since")
    with pytest.raises(ConfigurationError, match="ssh root@HOST cat"):
        look_at_storage(second)


def test_a_secret_that_no_host_has_any_more_is_made_again(host, storage, rotate):
    loaded(host("lost"))
    here = host("here")
    rotate(here)
    assert storage.get("oig:k") == secret_tag(read_secret(here.secret_file))
    assert look_at_storage(here).warnings == ()


def test_a_storage_that_leaves_during_a_rotation_is_reported_with_what_to_do(
    host, rotate, monkeypatch
):
    def leaves(*_):
        raise Unreachable("The shared storage is away: it does not answer.")

    first = host("first")
    old = loaded(first)
    monkeypatch.setattr("cachectl.shared_storage.SharedStorage.set_secret", leaves)
    said = rotate(first, code=1)
    assert "Start this host before all others" in said
    assert read_secret(first.secret_file) != old


def test_of_two_rotations_at_once_the_second_is_refused(host, storage, rotate):
    first = host("first")
    old = loaded(first)
    storage.set("oig:rotation", b"of another", px=60_000)
    storage.set("oig:a1", b"stored")
    assert "Another rotate-secret works with the shared storage" in rotate(first, code=1)
    assert read_secret(first.secret_file) == old
    assert (storage.get("oig:rotation"), storage.get("oig:a1")) == (b"of another", b"stored")
    storage.delete("oig:rotation")
    rotate(first)
    assert storage.keys("oig:*") == [b"oig:k"]


def test_a_report_that_cannot_be_read_counts_as_a_worker_for_a_rotation(host, storage, rotate):
    first = host("first")
    old = loaded(first)
    storage.zadd("oig:members", {"XX": 0.0})
    storage.set("oig:wXX", b"garbage")
    assert "1 worker of this or another host" in rotate(first, code=1)
    assert read_secret(first.secret_file) == old
