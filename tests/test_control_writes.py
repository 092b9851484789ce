"""Writes over a real connection: what breaks on the way leaves open what the portal made of it."""

from __future__ import annotations

import socket

import pytest

from server.portal.client import PortalClient
from server.portal.writes import set_value

from .portal_simulator import DEMO_BOX, VERSION, running_portal

WRITE = set_value(DEMO_BOX, "box_prms", "mode", 1)


@pytest.fixture(scope="module")
def running():
    with running_portal() as portal:
        yield portal


@pytest.fixture
def portal(running):
    running.reset()
    return running


async def write(portal, **options):
    client = portal.client()
    session = await client.login("demo@example.com", "demo")
    hasty = portal.client(**options)
    try:
        return await hasty.write(session, WRITE)
    finally:
        await hasty.aclose()
        await client.aclose()


async def test_a_plain_write_is_answered(portal):
    assert (await write(portal)).outcome == "answered"
    (one,) = portal.writes()
    assert one["sent"]["id_device"] == DEMO_BOX


@pytest.mark.parametrize("processed", [True, False])
async def test_a_write_over_a_broken_connection_is_unclear_and_not_repeated(portal, processed):
    more = {"processed": True} if processed else {}
    portal.fault("drop", endpoint="writes", **more)
    assert (await write(portal)).outcome == "unclear"
    assert len(portal.writes()) == 1


async def test_a_write_without_an_answer_in_time_is_unclear(portal):
    portal.fault("slow", endpoint="writes", latency=60)
    sent = await write(portal, timeout=0.3)
    assert sent.outcome == "unclear"
    assert len(portal.writes()) == 1


async def test_a_refused_connection_means_that_nothing_was_sent():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = PortalClient(f"http://127.0.0.1:{free.getsockname()[1]}/", version=VERSION)
        try:
            assert (await client.write("a" * 26, WRITE)).outcome == "refused"
        finally:
            await client.aclose()


@pytest.mark.parametrize("shape", ["list", "commands", "html", "unauthorized"])
async def test_a_write_with_an_ended_session_never_counts_as_answered(portal, shape):
    portal.switch(expired={"writes": shape})
    client = portal.client()
    try:
        sent = await client.write("a" * 26, WRITE)
    finally:
        await client.aclose()
    assert sent.outcome == ("refused" if shape == "unauthorized" else "unclear")


async def test_an_invalid_session_id_is_never_put_into_a_header(portal):
    client = portal.client()
    try:
        assert (await client.write("x\r\nEvil: 1", WRITE)).outcome == "refused"
    finally:
        await client.aclose()
    assert portal.writes() == []
