"""What processes on a shared storage say of themselves, added up."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.cache.hello import CHANGES
from server.cache.worker_list import of_reports
from server.keys.fingerprint import setting_tag
from server.settings.reloading import Reloading
from server.settings.table import Settings
from server.state.valkey_members import Members
from server.state.valkey_reports import sums, versions

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


REPORTS = st.lists(
    st.dictionaries(
        st.sampled_from(["hits_total", "misses_total", "leases", "hit_ratio", "versions", "newer"]),
        st.integers(0, 10) | st.none() | st.floats(0, 1) | st.lists(st.integers()) | st.text(),
    )
)


def test_numbers_are_added_and_lists_joined():
    one = {"hits_total": 3, "misses_total": 1, "hit_ratio": 0.75, "versions": [{"name": "a"}]}
    other = {
        "near_hits_total": 2,
        "misses_total": 4,
        "hit_ratio": 1 / 3,
        "versions": [{"name": "b"}],
    }
    assert sums([one, other]) == {
        "hits_total": 3,
        "near_hits_total": 2,
        "misses_total": 5,
        "hit_ratio": 0.5,
        "versions": [{"name": "a"}, {"name": "b"}],
    }


def test_what_nobody_has_counted_is_unknown_and_not_zero():
    assert sums([]) == {"hit_ratio": None}
    assert sums([{"hits_total": 0, "misses_total": 0}])["hit_ratio"] is None
    assert sums([{"leases": 2}, {"newer": 1}]) == {"leases": 2, "newer": 1, "hit_ratio": None}


@given(REPORTS)
def test_whatever_a_process_of_another_version_says_is_added_up(reports):
    total = sums(reports)
    leases = [one["leases"] for one in reports if isinstance(one.get("leases"), int)]
    assert not leases or total["leases"] == sum(leases)


class Answering:
    """A connection that only has the values of reports, and lists what is asked."""

    def __init__(self):
        self.values, self.index, self.asked = {}, [], []

    milliseconds = staticmethod(round)

    async def get(self, key):
        return self.values.get(key)

    def ask(self, *command):
        self.asked.append(command)
        return self._answer(*command)

    async def _answer(self, verb, key, *rest):  # noqa: RET503 - of others nobody reads the answer
        match verb:
            case "SET":
                self.values[key] = rest[0]
            case "ZADD":
                self.index.append(rest[1])
            case "ZRANGE":
                return list(self.index)
            case "ZREM":
                self.index = [one for one in self.index if one not in rest]


async def test_reports_are_found_by_an_index_that_forgets_who_reports_no_more():
    connection = Answering()
    one, other = (Members(connection, owner, b"oig:") for owner in (b"1", b"2"))
    await one.report(b"a", 15.0, 1.0)
    await other.report(b"b", 15.0, 2.0)
    assert await one.all() == [b"a", b"b"]
    del connection.values[b"oig:w2"]  # it has expired
    assert await one.all() == [b"a"]
    assert connection.index == [b"1"]
    # However many accounts there are: nobody goes through their keys.
    assert {command[0] for command in connection.asked} == {"SET", "ZADD", "ZRANGE", "ZREM"}


@pytest.mark.parametrize("reports", [[], [{}], [{"versions": 1}], [{"versions": [1, None]}]])
def test_a_report_that_says_nothing_of_its_process_is_no_worker(reports):
    assert versions(reports) == []
    assert of_reports(versions(reports), "here")["workers"] == 0


def worker(name, host, settings, **more):
    return {"name": name, "host": host, "pid": 1, "settings": settings, "changes": CHANGES, **more}


@pytest.mark.parametrize(
    ("host", "differing"),
    [("here", ["a", "d"]), ("there", ["b", "c"]), ("elsewhere", ["a", "d"])],
)
def test_workers_are_compared_with_most_of_this_host_or_of_all(host, differing):
    reports = [
        worker("a", "there", b"1" * 16),
        worker("b", "here", b"2" * 16),
        worker("c", "here", b"2" * 16, secret_differs=True),
        worker("d", "third", b"3" * 16, changes=CHANGES + 1),
        worker("e", "there", None),
    ]
    listed = of_reports(reports, host)
    found = [row["name"] for row in listed["versions"] if row["settings_differ"]]
    assert found == sorted({*differing, *(["d"] if host == "there" else [])})
    assert (listed["workers"], listed["workers_differing"]) == (4, len(found))
    assert (listed["secrets_differ"], listed["mixed"]) == (1, 1)


def test_settings_that_differ_are_named_and_not_shown():
    def tags(**changes):
        settings = Settings(**changes)
        return Reloading(lambda: settings).tags(partial(setting_tag, b"5" * 64))

    here = tags()
    reports = [
        worker("a", "here", b"1" * 16, settings_tags=here),
        worker("b", "there", b"2" * 16, settings_tags=tags(live_ttl=7.0, log_level="debug")),
        worker("c", "there", b"3" * 16),  # of a version that has no tags
        worker("d", "there", b"4" * 16, settings_tags={**here, "OIG_OF_A_NEWER_ONE": b"?"}),
        worker("e", "there", b"5" * 16, settings_tags="?"),
    ]
    listed = of_reports(reports, "here")["versions"]
    assert [row["differing"] for row in listed] == [
        [],
        ["OIG_LIVE_TTL", "OIG_LOG_LEVEL"],
        [],
        [],
        [],
    ]
    assert b"7.0" not in b"".join(tags(live_ttl=7.0).values())
    assert "settings_tags" not in listed[1]


def test_a_tag_of_a_setting_says_nothing_without_the_secret():
    one, same, other = (setting_tag(secret, "OIG_LIVE_TTL", 7.0) for secret in (b"1", b"1", b"2"))
    assert one == same != other
    assert setting_tag(b"1", "OIG_HISTORY_TTL", 7.0) != one
