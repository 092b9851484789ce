"""Commands of docs/scaling.md that edit or read files, run on the files that they are meant for."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from server.settings.places import ROOT
from server.settings.settings_file import parse

DEPLOY = ROOT / "docs" / "deploy"
BLOCKS = re.findall(r"(?ms)^```sh\n(.*?)^```", (ROOT / "docs" / "scaling.md").read_text())

PASSWORDS = {"oig": "0a1", "replica": "1b2", "sentinel": "2c3", "witness": "3d4"}
SCRIPT = "".join(f"s/CHANGE-{who}/{password}/g\n" for who, password in PASSWORDS.items())


def part(begins: str, ends: str) -> str:
    """Return the lines from one that begins so to one that begins so."""
    (found,) = (
        match[1]
        for block in BLOCKS
        if (match := re.search(rf"(?ms)^({re.escape(begins)}.*?^{re.escape(ends)}[^\n]*\n)", block))
    )
    return str(found)


def run(commands: str, folders: Mapping[str, Path]) -> str:
    """Run commands with other folders than those of a host; return what they print."""
    for there, here in folders.items():
        commands = commands.replace(there, str(here))
    done = subprocess.run(
        ["bash", "-euc", commands], text=True, capture_output=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "passwords").write_text(SCRIPT)
    for name in ("redis.conf", "sentinel.conf", "settings.env"):
        (tmp_path / name).write_text((DEPLOY / name).read_text())
    return tmp_path


def test_the_first_host_has_each_setting_once_and_a_copy_to_go_back_to(folder):
    run(part("cd /etc/oig-cloud-mcp", "END"), {"/etc/oig-cloud-mcp": folder})
    before = {one.name: one.value for one in parse((DEPLOY / "settings.env").read_bytes(), "")}
    after = {one.name: one.value for one in parse((folder / "settings.env").read_bytes(), "")}
    assert after == before | {
        "OIG_HOST": "10.77.0.1",
        "OIG_TRUSTED_PROXIES": "10.77.0.1,10.77.0.2",
        "OIG_CACHE_URL_FILE": f"{folder}/cache-url",
        "OIG_LOGIN": "chat",
        "OIG_CONTROL": "off",
    }
    copy = (folder / "settings.env.one-machine").read_bytes()
    assert copy == (DEPLOY / "settings.env").read_bytes()


@pytest.mark.parametrize("are_rewritten", [False, True])
def test_the_passwords_are_read_from_the_files_of_a_host_that_is_left(folder, are_rewritten):
    files = {"/root/oig-passwords.sed": folder / "passwords", "/etc/redis": folder}
    run("sed -i -f /root/oig-passwords.sed /etc/redis/redis.conf /etc/redis/sentinel.conf", files)
    if are_rewritten:
        quote = r's/^(masterauth|requirepass) (.*)/\1 "\2"/; s/>[0-9a-f]{3}/#abcdef/'
        run(f"sed -i -E '{quote}' /etc/redis/redis.conf /etc/redis/sentinel.conf", files)
    address = part("(umask 077; cat > /root/cache-url", "sed -i -f")
    run(address, {"/root/cache-url": folder / "cache-url", **files})
    (folder / "passwords").unlink()
    again = part("(umask 077; {", "} >")
    run(again, {"/etc/oig-cloud-mcp/cache-url": folder / "cache-url", **files})
    assert (folder / "passwords").read_text() == SCRIPT


@pytest.mark.parametrize("quote", ["", '"'], ids=["installed", "rewritten"])
def test_oig_sentinel_reads_the_password_and_shows_it_to_nobody(folder, quote):
    (folder / "sentinel.conf").write_text(f"port 26379\nrequirepass {quote}0a1{quote}\n")
    fake = folder / "redis-cli"
    fake.write_text('#!/bin/sh\necho "$REDISCLI_AUTH: $*"\n')
    fake.chmod(0o700)
    script = (DEPLOY / "oig-sentinel").read_text().replace('"$@"', "ckquorum oig")
    said = run(script, {"/etc/redis": folder, "exec redis-cli": fake})
    assert said == "0a1: -p 26379 sentinel ckquorum oig\n"
