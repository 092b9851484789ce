"""What the log says of a daemon that comes and goes."""

import logging

import pytest

from server.errors import CacheBusy, CacheUnavailable
from server.state.remote import LOG_SECONDS, Remote

from .local_accounts import local_accounts


class Daemon:
    """A daemon as a worker sees it, on a clock of its own."""

    def __init__(self):
        self.now = 1000.0
        self.failure = None
        self.remote = Remote(self, local_accounts(), lambda: self.now)

    async def ping(self):
        if self.failure is not None:
            raise self.failure
        return "answer"

    async def asked(self, failure=None):
        self.failure = failure
        if failure is None:
            return await self.remote.ping()
        with pytest.raises(type(failure)):
            await self.remote.ping()
        return None


@pytest.fixture
def daemon(caplog):
    caplog.set_level(logging.INFO)
    return Daemon()


async def test_a_loss_and_a_return_are_logged_once_each(daemon, caplog):
    for failure in [None, CacheUnavailable("gone."), CacheUnavailable("gone."), None, None]:
        await daemon.asked(failure)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_repeated_losses_are_logged_once_a_minute(daemon, caplog):
    for _ in range(1000):
        await daemon.asked(CacheUnavailable("gone."))
        await daemon.asked()
        daemon.now += LOG_SECONDS / 500
    assert 4 <= len(caplog.records) <= 6


async def test_an_absence_after_a_short_one_is_logged_a_minute_later(daemon, caplog):
    await daemon.asked(CacheUnavailable("gone."))
    await daemon.asked()
    await daemon.asked(CacheUnavailable("gone."))
    assert len(caplog.records) == 2
    daemon.now += LOG_SECONDS
    await daemon.asked(CacheUnavailable("gone."))
    await daemon.asked()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"] * 2


async def test_a_busy_daemon_is_not_reported_as_lost(daemon, caplog):
    await daemon.asked(CacheBusy("busy."))
    assert await daemon.asked() == "answer"
    assert caplog.records == []
