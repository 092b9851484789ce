"""Who else may have the port that a worker listens at."""

import contextlib
import itertools
import os
import socket
import subprocess
import sys

import pytest

from server.http.listening import bind, hold_ipv6_loopback

from .fleet import running_fleet

ANOTHER = """
import os, socket, sys
port, user, host = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if user:
    os.setgroups([])
    os.setuid(user)
taken = socket.socket(socket.AF_INET6)
for option in map(int, sys.argv[4:]):
    taken.setsockopt(socket.SOL_SOCKET, option, 1)
taken.bind((host, port))
taken.listen()
"""
NOBODY = 65534


@contextlib.contextmanager
def held_port():
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        held = hold_ipv6_loopback(port)
        if held is None:
            pytest.skip("no IPv6 here")
        with held:
            yield port


def taken_by_another(port, host, *options):
    user = NOBODY if os.geteuid() == 0 else 0
    command = [sys.executable, "-c", ANOTHER, str(port), str(user), host, *map(str, options)]
    return subprocess.run(command, check=False, capture_output=True, timeout=30).returncode == 0


@pytest.mark.parametrize("host", ["::1", "::"])
def test_no_other_user_can_listen_on_the_ipv6_loopback_address(host):
    every = [socket.SO_REUSEADDR]
    if os.geteuid() == 0:  # processes of one user may share it
        every.append(socket.SO_REUSEPORT)
    with held_port() as port:
        for count in range(len(every) + 1):
            for options in itertools.combinations(every, count):
                assert not taken_by_another(port, host, *options)
    assert taken_by_another(port, host)


def test_all_workers_reserve_the_ipv6_address_and_its_callers_are_refused_at_once():
    with held_port() as port:
        another = hold_ipv6_loopback(port)
        assert another is not None
        with another, pytest.raises(ConnectionRefusedError):
            socket.create_connection(("::1", port), timeout=5)


def test_a_port_used_by_another_program_is_reported():
    with held_port() as port:
        pass
    with socket.create_server(("::1", port), family=socket.AF_INET6), pytest.raises(OSError):
        hold_ipv6_loopback(port)


def test_workers_reserve_the_ipv6_address_or_report_that_they_cannot():
    with running_fleet(1, daemon=False) as fleet:
        port = int(fleet.url.rpartition(":")[2].partition("/")[0])
        assert not taken_by_another(port, "::1")
        assert "Another program has the port" not in fleet.logs()
