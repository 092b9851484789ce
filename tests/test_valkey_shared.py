"""Processes of several hosts over one real server."""

import pytest

from . import shared_contract, turns_contract
from .valkey_house import hosts_over
from .valkey_servers import PROGRAMS, served

server = served(*PROGRAMS)


@pytest.fixture
def hosts(server):
    with hosts_over(server) as build:
        yield build


class TestShared(shared_contract.SharedContract):
    pass


class TestDeaths(shared_contract.DeathsContract):
    pass


class TestTurns(turns_contract.TurnsContract):
    pass
