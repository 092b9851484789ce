"""Published clients that are given a server's address and nothing else; owners at a browser.

Not in the ordinary run: `./run_tests.sh --real-clients`.
"""

from __future__ import annotations

import base64
import contextlib
import os
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.front_proxies import CADDY, running_caddy
from tests.system import RunningSystem, free_port, prepared_system, running_system, started

from .clients import BY_NAME, CLIENTS, Ability
from .driven import ClientFailed, connected
from .environments import NODE, prepared
from .owner import Owner

pytestmark = [pytest.mark.real_clients, pytest.mark.timeout(600)]

REFUSED = 60.0
"""Seconds until a client's user is told that a call is refused."""

PASSWORD = "password of an owner"

SETTINGS = {"OIG_CONTROL": "on", "OIG_CALLS_PER_MINUTE": "0"}


@dataclass(frozen=True)
class Place:
    """Where a server is reached.

    Attributes:
        system: It.
        origin: Of its addresses.
        trusted: Its certificate's issuer, as a PEM file, where it has one.
    """

    system: RunningSystem
    origin: str
    trusted: Path | None = None

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    def owner(self, email: str) -> tuple[Owner, str]:
        """Return somebody with a new account at the portal, and the box."""
        credential = {"email": email, "password": PASSWORD}
        (box,) = self.system.portal("POST", "_admin/accounts", credential)["boxes"]
        return Owner(email, PASSWORD, self.context), box

    @property
    def context(self) -> ssl.SSLContext:
        """What trusts its certificate."""
        return ssl.create_default_context(cafile=self.trusted)


@contextlib.contextmanager
def at_loopback():
    with running_system(**SETTINGS) as system:
        yield Place(system, system.url.removesuffix("/mcp"))


@contextlib.contextmanager
def behind_caddy():
    if CADDY is None:
        pytest.skip("there is no Caddy")
    port = free_port()
    origin = f"https://localhost:{port}"
    # Documents of clients would be fetched from the internet.
    settings = {"OIG_PUBLIC_URL": origin, "OIG_CLIENT_DOCUMENTS": "off", **SETTINGS}
    with (
        prepared_system(**settings) as system,
        running_caddy(system.port, name="localhost", port=port) as front,
        started(system),
    ):
        system.wait_ready()
        yield Place(system, origin, front.folder / "ca.pem")


PLACES = {"loopback": at_loopback, "caddy": behind_caddy}


@pytest.fixture(scope="session", params=PLACES)
def place(request):
    with PLACES[request.param]() as place:
        place.system.portal("POST", "_admin/switches", {"delay": 0})
        yield place


def able_to(ability):
    """Give a test those clients that are able to do something."""
    able = [
        pytest.param(one, marks=pytest.mark.xdist_group(one.name), id=one.name)
        for one in CLIENTS
        if one.can(ability)
    ]
    return pytest.mark.parametrize("client", able)


@pytest.fixture
def account(request, place):
    """An owner of a test's own."""
    name = "".join(one if one.isalnum() else "-" for one in request.node.name.lower())
    return place.owner(f"{name}@example.com")


def refusal(driven, tool, **arguments):
    """Call a tool; return what the client's user is told in place of a result, if anything."""
    try:
        answer = driven.calling(tool, **arguments).result(REFUSED)
    except ClientFailed as exc:
        return str(exc)
    return answer.text if answer.is_error else None


def login_at(place, client, owner):
    return connected(client, place.url, browse=owner.browse, trusted=place.trusted)


@able_to(Ability.LOGIN)
def test_the_address_alone_opens_the_page_and_then_the_tools_answer(client, place, account):
    owner, box = account
    with login_at(place, client, owner) as driven:
        (found,) = driven.call("list_boxes").data["boxes"]
        assert found["id"] == box
        assert driven.call("get_live_data").data["box_id"] == box
        assert len(owner.opened) == 1
        assert len(owner.connections(place.origin)) == 1


@able_to(Ability.LOGIN)
def test_control_is_refused_until_its_checkbox_is_ticked(client, place, account):
    owner, box = account
    change = {"mode": "Home 3", "box_id": box}
    with login_at(place, client, owner) as driven:
        driven.call("list_boxes")
        # Some ask for more at once, and get what they had.
        assert refusal(driven, "plan_change", **change) is not None
        assert driven.call("get_live_data").data["box_id"] == box

        before = len(owner.opened)
        owner.press(place.origin, "Allow changes")
        assert driven.call("plan_change", **change).data["after"] == "mode Home 3"
        assert len(owner.opened) == before


@able_to(Ability.LOGIN)
def test_control_granted_at_the_login_is_allowed(client, place, account):
    owner, box = account
    owner.control = True
    with login_at(place, client, owner) as driven:
        plan = driven.call("plan_change", mode="Home 3", box_id=box).data
        agreed = {name: plan[name] for name in ("plan_token", "box_id", "change")}
        assert driven.call("apply_change", **agreed).data["change_id"] == plan["change_id"]
        assert len(owner.opened) == 1


@able_to(Ability.LOGIN)
def test_a_connection_that_is_ended_is_refused_at_once(client, place, account):
    owner, _ = account
    with login_at(place, client, owner) as driven:
        driven.call("list_boxes")
        before = len(owner.opened)
        owner.press(place.origin, "End connection")
        assert owner.connections(place.origin) == []
        # Some log in again at once, others tell their user to.
        told = refusal(driven, "list_boxes")
        assert told is not None or len(owner.opened) == before + 1


@pytest.mark.xdist_group("Claude Code")
def test_logging_out_of_claude_code_ends_the_connection(place, account):
    owner, _ = account
    with login_at(place, BY_NAME["Claude Code"], owner):  # logs out at its end
        assert len(owner.connections(place.origin)) == 1
    assert owner.connections(place.origin) == []


@able_to(Ability.HEADER)
def test_a_configured_header_is_sent_even_if_browser_login_is_offered(client, place, account):
    owner, box = account
    ways = [basic(owner.email, PASSWORD)]
    if client.package != "@apify/mcpc":  # of several headers it sends the last one
        ways.append(of_our_own(owner.email, PASSWORD))
    for headers in ways:
        with connected(client, place.url, headers, trusted=place.trusted) as driven:
            (found,) = driven.call("list_boxes").data["boxes"]
            assert found["id"] == box
    # A wrong one is told, and nobody is asked to log in instead.
    with connected(client, place.url, basic(owner.email, "x"), trusted=place.trusted) as driven:
        for _ in range(2):
            assert "rejected this e-mail and password" in driven.call("list_boxes").text


@pytest.mark.xdist_group("official suite")
def test_the_official_suite_finds_nothing_wrong_with_the_login(place, account):
    owner, _ = account
    environment = prepared("conformance.json")
    port = free_port()
    client = registered(place, f"http://127.0.0.1:{port}/callback")
    options = ["--url", place.origin, "--resource", place.url, "--client-id", client]
    package = environment.folder / "node_modules" / "@modelcontextprotocol" / "conformance"
    with subprocess.Popen(
        [NODE / "node", package / "dist" / "index.js", "authorization", *options, "-p", str(port)],
        cwd=environment.folder,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(place.trusted or "")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as suite:
        said = []
        for line in suite.stdout:
            said.append(line)
            if line.startswith(f"{place.origin}/authorize?"):
                owner.browse(line.strip())
    assert suite.returncode == 0, "".join(said)
    assert len(owner.opened) == 1
    assert "2 passed, 0 failed" in "".join(said)


def registered(place, callback):
    """Register a client without any client, and return its id."""
    answer = httpx2.post(
        f"{place.origin}/register",
        json={"client_name": "Official suite", "redirect_uris": [callback]},
        verify=place.context,
    )
    return answer.json()["client_id"]


def basic(email, password):
    pair = f"{email}:{password}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def of_our_own(email, password):
    return {"X-OIG-Email": email, "X-OIG-Password": password}
