"""A certificate that is renewed on disk while the server runs."""

import asyncio

import pytest

from server.errors import ConfigurationError
from server.settings.table import Settings
from server.tls.key_pair import KeyPair
from server.tls.renewal import Renewal

from .certificates import Certified
from .tls_files import TlsFiles, put
from .waiting import PATIENCE


@pytest.fixture
def files(tmp_path):
    return TlsFiles.made(tmp_path)


def test_unchanged_files_are_read_once(files):
    renewal = Renewal(files.pair)
    context = renewal.context
    for _ in range(3):
        renewal.look()
    assert renewal.context is context


def test_a_new_certificate_is_loaded_once_its_files_have_stopped_changing(files, caplog):
    caplog.set_level("INFO")
    renewal = Renewal(files.pair)
    first = renewal.loaded
    put(files.pair.certificate, (server := files.root.server()).pem)
    renewal.look()  # its key is still the old one: nothing is said of what is half done
    put(files.pair.key, server.key_pem)
    renewal.look()
    assert renewal.loaded is first
    assert not caplog.text
    renewal.look()
    assert renewal.loaded.chain == (server.certificate,)
    assert caplog.text.count("took the new certificate") == 1


@pytest.mark.parametrize("broken", ["no certificate", "another key", "gone", "open to all"])
def test_a_broken_new_file_keeps_the_old_certificate_with_one_line(files, caplog, broken):
    renewal = Renewal(files.pair)
    first = renewal.loaded
    if broken == "no certificate":
        put(files.pair.certificate, b"half")
    elif broken == "another key":
        put(files.pair.key, Certified.root().server().key_pem)
    elif broken == "gone":
        files.pair.key.unlink()
    else:
        files.pair.key.chmod(0o644)
    for _ in range(5):
        renewal.look()
    assert renewal.loaded is first
    assert caplog.text.count("the certificate stays as it was") == 1
    assert "BEGIN" not in caplog.text
    server = files.renew()
    for _ in range(2):
        renewal.look()
    assert renewal.loaded.chain == (server.certificate,)


def test_a_link_that_leads_to_another_file_is_a_new_certificate(files, tmp_path):
    live = KeyPair(tmp_path / "live-cert.pem", tmp_path / "live-key.pem")
    live.certificate.symlink_to(files.pair.certificate)
    live.key.symlink_to(files.pair.key)
    renewal = Renewal(live)
    (tmp_path / "next").mkdir()
    after = TlsFiles.made(tmp_path / "next").pair
    for link, path in ((live.certificate, after.certificate), (live.key, after.key)):
        link.unlink()
        link.symlink_to(path)
    first = renewal.context
    for _ in range(2):
        renewal.look()
    assert renewal.context is not first


def test_without_the_settings_there_is_no_certificate():
    assert Renewal.of(Settings.from_env({})) is None


def test_invalid_files_stop_the_start(files):
    files.pair.key.unlink()
    with pytest.raises(ConfigurationError, match="OIG_TLS_KEY"):
        Renewal(files.pair)


async def test_a_failed_check_is_followed_by_further_ones(files, monkeypatch, caplog):
    monkeypatch.setattr("server.tls.renewal.LOOK_SECONDS", 0)
    renewal, looks = Renewal(files.pair), []
    again, loop = asyncio.Event(), asyncio.get_running_loop()

    def look():
        looks.append(1)
        if len(looks) == 2:
            loop.call_soon_threadsafe(again.set)
        raise RuntimeError("planted")

    monkeypatch.setattr(renewal, "look", look)
    keeping = asyncio.create_task(renewal.keep_fresh())
    async with asyncio.timeout(PATIENCE):
        await again.wait()
    keeping.cancel()
    await asyncio.wait([keeping])
    assert "the certificate stays as it was" in caplog.text
