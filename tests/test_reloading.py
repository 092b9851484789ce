"""Settings that change while the server runs: checked first, then taken by all processes."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.auth.call_rate import CallRate
from server.cache.connections import Connections
from server.cache.hello import Hello
from server.cache.service import Service
from server.cache.verbs import Notice, Reply, Request
from server.errors import ConfigurationError, TooManyCalls
from server.settings.following import Following
from server.settings.places import ROOT
from server.settings.reloading import FIXED, LIVE, Reloading
from server.settings.table import VARIABLES, Settings, variable
from server.state.limits import Limits, Policy
from server.state.vocabulary import Lease, Locked, Rejected
from server.supervision.workers import differing

from .accounts_house import houses
from .connected import Connected
from .fleet import NO_TLS, check_auth, running_fleet
from .waiting import wait_until

CACHECTL = Path(sys.executable).parent / "cachectl"
OTHER = {int: 7, float: 7.5, str: "DEBUG"}


def other(setting):
    """A value that the setting does not have by default."""
    if setting.name == "allowed_emails":
        return ("jana@example.cz",)
    if setting.name == "lock_longest":
        return 7200.0
    return OTHER.get(type(setting.default), Path("/other"))


@pytest.mark.parametrize("setting", LIVE, ids=lambda one: one.name)
def test_a_changed_live_setting_is_adopted_reported_and_seen_by_its_users(setting):
    read = [Settings(), replace(Settings(), **{setting.name: other(setting)})]
    reloading = Reloading(lambda: read[0])
    seen = []
    reloading.add(seen.append)
    before = reloading.digest
    read.pop(0)
    taken = reloading.reload()
    assert taken == {"changed": (variable(setting),), "restart": ()}
    assert [getattr(one, setting.name) for one in seen] == [other(setting)]
    assert reloading.digest != before


def test_changes_of_fixed_settings_are_named_and_wait_for_a_restart():
    read = [Settings(), replace(Settings(), control="on", simulator_port=9, live_ttl=7.0)]
    reloading = Reloading(lambda: read[0])
    read.pop(0)
    taken = reloading.reload()
    assert taken["changed"] == ("OIG_LIVE_TTL",)
    assert taken["restart"] == ("OIG_CONTROL", "OIG_SIMULATOR_PORT")
    assert (reloading.current.control, reloading.current.live_ttl) == ("off", 7.0)
    # They are named each time: nothing of them has been taken.
    assert reloading.reload() == {"changed": (), "restart": ("OIG_CONTROL", "OIG_SIMULATOR_PORT")}


def test_every_setting_is_either_live_or_not():
    assert {one.name for one in (*LIVE, *FIXED)} == {one.name for one in fields(Settings)}


def test_a_wrong_setting_changes_nothing():
    def read():
        if fails:
            raise ConfigurationError("OIG_LIVE_TTL must be a number above 0.")
        return Settings()

    fails = []
    reloading = Reloading(read)
    reloading.add(lambda _: pytest.fail("it was taken"))
    fails.append(True)
    with pytest.raises(ConfigurationError):
        reloading.reload()
    assert reloading.current == Settings()


# What the users make of new settings.


ACCOUNT = b"a" * 32


@pytest.fixture
def build():
    with houses() as built:
        yield built


def use(house, limits, policy):
    house.loop.do(lambda: house.accounts.use(limits, policy))


def test_a_new_limit_of_concurrent_logins_applies_at_once(build):
    house = build(logins_at_once=1)
    house.lease(1)
    waiting = house.ticket(2, "192.0.2.2")
    use(house, Limits(logins_at_once=2), Policy())
    assert {ticket: type(outcome) for ticket, outcome in house.run(0.0).items()} == {waiting: Lease}


def test_new_budgets_apply_to_failures_already_counted(build):
    house = build(logins_per_second=1000.0, login_burst=1000)
    house.reject(1, of=1)
    house.reject(2, of=1)
    use(house, Limits(), Policy(per_source=3, first=11.0, longest=11.0))
    house.reject(3, of=1)
    outcome = house.acquire(4, of=1)
    assert isinstance(outcome, Locked)
    assert outcome.retry_after == pytest.approx(11.0)


def test_a_slower_login_rate_applies_at_once_and_forgives_nothing(build):
    house = build(logins_at_once=100, logins_per_second=10.0, login_burst=2)
    asked = [house.acquire(number, f"192.0.2.{number}") for number in range(3)]
    assert [isinstance(one, Lease) for one in asked] == [True, True, False]
    slow = Limits(logins_at_once=100, logins_per_second=0.5, login_burst=2)
    use(house, slow, Policy())
    assert house.run(1.9) == {}
    assert len(house.run(0.3)) == 1


@given(
    st.lists(st.integers(0, 600), min_size=1, max_size=5),
    st.lists(st.floats(0.0, 20.0), min_size=1, max_size=40),
)
def test_a_changed_call_rate_never_refuses_for_longer_than_a_full_refill(rates, pauses):
    clock = [0.0]
    rate = CallRate(rates[0], lambda: clock[0])
    for number, pause in enumerate(pauses):
        clock[0] += pause
        per_minute = rates[number % len(rates)]
        rate.use(per_minute)
        wait = 0.0
        try:
            rate.count(ACCOUNT)
        except TooManyCalls as exc:
            wait = exc.retry_after
        # Half a minute fills a bucket, and one call more has to come back.
        assert 0.0 <= wait <= 30.0 + 60.0 + 1e-6
        assert per_minute or not wait


@pytest.fixture
def served(build):
    """Accounts, what serves them, and who is connected."""
    house = build()
    connections = Connections(
        "1", 2, lambda: house.storage.epochs, lambda: Reloading(Settings).digest
    )
    return house, Service(house.accounts, connections, dict, Reloading(Settings)), connections


def greet(service, connection, digest):
    hello = Hello.of("mcp-0", 1, "1")._replace(settings=digest)
    service.handle(connection, Request(1, "hello", hello))


def test_a_login_rejected_under_another_list_may_be_retried_at_once(served):
    house, service, connections = served
    connection = Connected(connections)
    greet(service, connection, b"1" * 16)
    house.reject(1)
    greet(service, connection, b"1" * 16)
    assert house.acquire(1) == Rejected()
    greet(service, connection, b"2" * 16)
    house.run(0.1)
    house.reject(1)
    assert house.acquire(1) == Rejected()


def test_a_worker_with_other_settings_is_asked_to_reload_once_per_connection(served):
    _, service, connections = served
    connection, same = Connected(connections), Connected(connections)
    greet(service, connection, b"1" * 16)
    assert [one for one in connection.sent if isinstance(one, Notice)] == [
        Notice("hello", ("settings",))
    ]
    greet(service, connection, b"1" * 16)
    assert len([one for one in connection.sent if isinstance(one, Notice)]) == 1
    stats = connections.stats()
    assert (stats["workers"], stats["workers_differing"]) == (1, 1)
    greet(service, same, Reloading(Settings).digest)
    assert [type(one) for one in same.sent] == [Reply]


# The whole, in processes of their own.


def cachectl(fleet, *arguments, **settings):
    # What the server would refuse is not looked at twice.
    environ = {k: v for k, v in fleet.environment.items() if k != "OIG_ALLOWED_EMAILS"}
    return subprocess.run(
        [CACHECTL, *arguments, "--json"],
        env={**environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def code_of(result):
    return result["_meta"]["cz.oig-cloud-mcp/error"]["code"] if result["isError"] else "fine"


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """A fleet of two workers, and the file that lists its e-mails."""
    listed = tmp_path_factory.mktemp("emails") / "emails"
    listed.write_text("demo@example.com\n")
    with running_fleet(2, OIG_ALLOWED_EMAILS=str(listed)) as fleet:
        yield fleet, listed


def codes(fleet, email):
    """What each of many calls is answered, over both workers."""
    return {code_of(check_auth(fleet.url, email)) for _ in range(4)}


def test_all_workers_reload_a_list_of_emails_without_a_restart(listed):
    fleet, emails = listed
    pids = {name: process.pid for name, process in fleet.workers.items()}
    assert codes(fleet, "demo@example.com") == {"fine"}
    assert code_of(check_auth(fleet.url, "demo2@example.com")) == "credentials_rejected"
    emails.write_text("demo2@example.com  # her house\n")
    done = cachectl(fleet, "reload")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["changed"] == ["OIG_ALLOWED_EMAILS"]
    assert told["restart"] == []
    assert told["workers"] == 2
    # The one that is gone had a session: it is not served from the cache either.
    assert codes(fleet, "demo@example.com") == {"credentials_rejected"}
    assert codes(fleet, "demo2@example.com") == {"fine"}
    assert pids == {name: process.pid for name, process in fleet.workers.items()}
    again = json.loads(cachectl(fleet, "reload").stdout)
    assert again["changed"] == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (b"# the house\nnone at all\n", "line 2 of the file {}"),
        (b"\xff\xfe", "the file {} is not UTF-8"),
        (None, "the file {} cannot be read: No such file or directory"),
    ],
    ids=["no e-mail", "no text", "no file"],
)
def test_a_wrong_list_is_refused_with_its_reason_and_changes_nothing(listed, wrong, told):
    fleet, emails = listed
    right = emails.read_bytes()
    served = {email: codes(fleet, email) for email in ("demo2@example.com",)}
    if wrong is None:
        emails.unlink()
    else:
        emails.write_bytes(wrong)
    try:
        done = cachectl(fleet, "reload")
        assert done.returncode == 1
        message = json.loads(done.stdout or done.stderr)["error"]["message"]
        assert f"OIG_ALLOWED_EMAILS: {told.format(emails)}" in message
        assert "Nothing was changed" in message
        assert "none at all" not in message
        assert {email: codes(fleet, email) for email in served} == served
    finally:
        emails.write_bytes(right)


def test_settings_that_cachectl_itself_cannot_use_make_the_reload_fail(listed):
    fleet, _ = listed
    done = cachectl(fleet, "reload", OIG_PORT="soon")
    assert done.returncode == 1
    failure = json.loads(done.stdout or done.stderr)["error"]
    assert failure["kind"] == "refused"
    assert failure["message"] == "OIG_PORT is not a number. Nothing was changed."


def test_a_disconnected_worker_adopts_the_settings_when_it_reconnects(listed):
    fleet, emails = listed
    fleet.kill_daemon()
    emails.write_text("demo@example.com demo2@example.com\n")
    # The daemon that starts now has read the new list; the workers have not.
    fleet.start_daemon()

    wait_until("all workers are connected", lambda: _workers(fleet) == 2)
    wait_until("they have read it", lambda: _stats(fleet)["workers_differing"] == 0)
    assert codes(fleet, "demo@example.com") == codes(fleet, "demo2@example.com") == {"fine"}


def test_a_worker_that_cannot_read_the_daemons_files_is_reported(listed):
    fleet, emails = listed
    away = emails.with_name("away")
    fleet.start_worker("other")
    fleet.wait_worker("other")
    fleet.stop_worker("other")
    fleet.environment["OIG_ALLOWED_EMAILS"] = str(away)
    away.write_text(emails.read_text())
    fleet.start_worker("other")
    fleet.wait_worker("other")
    try:
        wait_until("it is connected", lambda: _workers(fleet) == 3)
        away.unlink()
        done = cachectl(fleet, "reload")
        assert done.returncode == 0  # nothing has changed, and nobody differs
        emails.write_text("demo@example.com\n")
        done = cachectl(fleet, "reload")
        assert done.returncode == 1
        assert (
            "1 worker of 3 by others" in json.loads(done.stdout or done.stderr)["error"]["message"]
        )
        assert "settings stay as they were: OIG_ALLOWED_EMAILS: the file" in fleet.logs()
    finally:
        fleet.environment["OIG_ALLOWED_EMAILS"] = str(emails)
        fleet.stop_worker("other")


def _stats(fleet):
    return json.loads(cachectl(fleet, "stats").stdout)


def _workers(fleet):
    """How many are connected, when each has had some calls."""
    for _ in range(4):
        check_auth(fleet.url)
    return _stats(fleet)["workers"]


def test_without_a_daemon_a_reload_says_so(tmp_path):
    environment = {"PATH": os.environ["PATH"], "OIG_CACHE_SOCKET": str(tmp_path / "cache.sock")}
    done = subprocess.run(
        [CACHECTL, "reload"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert "not running" in done.stderr


def test_the_document_lists_the_live_settings():
    page = (ROOT / "docs" / "settings.md").read_text().partition("## Changed without a restart")[2]
    named = page.partition("\n## ")[0]
    assert list(map(variable, LIVE)) == [name for name in VARIABLES if f"`{name}`" in named]


def readiness(fleet):
    """What `/readyz` answers, asked of all workers."""
    url = fleet.url.replace("/mcp", "/readyz")
    return [httpx2.get(url, trust_env=False, verify=NO_TLS) for _ in range(8)]


def test_a_worker_started_with_an_edited_file_is_degraded_until_all_have_read_it(tmp_path):
    file = tmp_path / "settings.env"
    file.write_text("OIG_ALLOWED_EMAILS=demo@example.com\n")
    with running_fleet(1, OIG_CONFIG=str(file)) as fleet:
        assert all(one.is_success for one in readiness(fleet))
        fleet.stop_worker("worker-0")
        file.write_text("")
        fleet.start_worker("worker-0")
        fleet.wait_worker("worker-0")
        told = "this worker goes by other settings than the cache daemon: its settings file"
        wait_until("the log says so", lambda: told in fleet.logs())
        for ready in readiness(fleet):
            assert ready.status_code == 503
            assert set(ready.json()["degraded"]) == {"settings"}
        (worker,) = differing(Settings(cache_socket=fleet.socket_path))
        assert worker.pid == fleet.workers["worker-0"].pid
        assert not worker.secret
        assert "goes by other settings than the cache daemon" in str(worker)
        # Asked again and again, with the daemon away and back: it is told once.
        fleet.kill_daemon(signal.SIGTERM)
        fleet.environment["OIG_ALLOWED_EMAILS"] = "demo@example.com"
        fleet.start_daemon()
        wait_until("it has connected again", lambda: readiness(fleet) and _workers(fleet) == 1)
        assert fleet.logs().count(told) == 1

        file.write_text("OIG_ALLOWED_EMAILS=demo@example.com\n")
        done = cachectl(fleet, "reload")
        assert done.returncode == 0, done.stderr
        wait_until("it is ready", lambda: all(one.is_success for one in readiness(fleet)))
        assert differing(Settings(cache_socket=fleet.socket_path)) == []
        assert "goes by the settings of the cache daemon again" in fleet.logs()


def test_a_worker_that_cannot_reload_its_files_says_what_is_wrong_with_them(tmp_path):
    file = tmp_path / "settings.env"
    file.write_text("OIG_LIVE_TTL=30\n")
    with running_fleet(1, OIG_CONFIG=str(file)) as fleet:
        # The daemon reads another file from now on.
        fleet.kill_daemon(signal.SIGTERM)
        fleet.environment["OIG_CONFIG"] = os.devnull
        fleet.environment["OIG_LIVE_TTL"] = "20"
        file.write_text("OIG_LIVE_TTL=soon\n")
        fleet.start_daemon()
        told = r"other settings than the cache daemon: .*OIG_LIVE_TTL.* Mend it and run"
        wait_until("it has said why", lambda: readiness(fleet) and re.search(told, fleet.logs()))
        assert {one.status_code for one in readiness(fleet)} == {503}


def test_a_difference_is_logged_once_each_time_it_begins(caplog):
    class Leader:
        def follow(self, digest, reload, compared):
            self.compared = compared

        def say_settings(self):
            pass

    leader = Leader()
    following = Following(Reloading(Settings), leader)
    assert not following.differs
    for differs in (False, True, True, False, False, True):
        leader.compared(differs)
        assert following.differs is differs
    assert caplog.text.count("goes by other settings") == 2
