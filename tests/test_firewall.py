"""docs/deploy/nftables.conf, loaded by real nft into a network of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from .front_proxies import DEPLOY, UNPACKED, program

RULES = DEPLOY / "nftables.conf"

NFT = program("nftables", "usr/sbin/nft")


def loaded(rules) -> subprocess.CompletedProcess[str]:
    """Load rules in a network namespace that nothing else is in, and list what holds then."""
    folders = {str(path.parent) for path in (UNPACKED / "nftables").rglob("lib*.so*")}
    return subprocess.run(
        ["unshare", "-rn", "sh", "-ec", '"$0" -f "$1"; "$0" list ruleset', NFT, str(rules)],
        env={"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def may_make_networks() -> bool:
    """Whether this user may make a network namespace: containers often forbid it."""
    if shutil.which("unshare") is None:
        return False
    return (
        subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode == 0
    )


pytestmark = [
    pytest.mark.skipif(NFT is None, reason="nft is missing: install the Debian package nftables"),
    pytest.mark.skipif(not may_make_networks(), reason="no network namespace may be made here"),
]


def test_only_ssh_and_the_proxys_ports_are_open_and_all_else_is_dropped():
    answer = loaded(RULES)
    assert (answer.returncode, answer.stderr) == (0, "")
    chain = answer.stdout.split("chain input {")[1].split("}\n\n")[0]
    assert "policy drop" in chain
    opened = re.findall(r"dport (?:\{ )?([\d, ]+)", chain)
    assert {int(port) for ports in opened for port in ports.split(",")} == {22, 80, 443}


def test_rules_that_nft_rejects_are_detected(tmp_path):
    wrong = tmp_path / "nftables.conf"
    wrong.write_text(RULES.read_text().replace("tcp dport 22", "tcp dports 22"))
    answer = loaded(wrong)
    assert answer.returncode != 0
    assert "syntax error" in answer.stderr
