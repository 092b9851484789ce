"""Settings of a host that are others than those of the hosts it works with."""

from __future__ import annotations

import socket
from functools import partial

import pytest

from server.keys.fingerprint import setting_tag
from server.settings.reloading import Reloading
from server.settings.table import Settings
from server.shared_settings import other_settings

SECRET = b"5" * 64


def worker(host, secret=SECRET, **changes):
    settings = Settings(**changes)
    tags = Reloading(lambda: settings).tags(partial(setting_tag, secret))
    return {"host": host, "settings_tags": tags}


def told(*reports, **ours):
    return other_settings(Settings(**ours), SECRET, reports)


def test_settings_that_most_workers_of_other_hosts_have_otherwise_are_named_without_values():
    said = told(worker("oig-2"), worker("oig-3"), live_ttl=7.0, allowed_emails=("a@example.com",))
    assert "OIG_ALLOWED_EMAILS, OIG_LIVE_TTL. Give all hosts the same." in said
    assert "7" not in said
    assert "example.com" not in said


@pytest.mark.parametrize(
    "reports",
    [
        [],
        [worker("oig-2", live_ttl=7.0)],
        [worker("oig-2", live_ttl=7.0), worker("oig-3")],  # nobody knows which of them is right
        [worker(socket.gethostname())],  # its former settings
        [{"host": "oig-2"}, {"host": "oig-2", "settings_tags": "?"}],  # of another version
    ],
)
def test_nothing_is_said_where_other_hosts_have_the_same_or_say_nothing(reports):
    assert told(*reports, live_ttl=7.0) is None
