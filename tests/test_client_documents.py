"""Clients that are looked up at their address: what they say, and how often they are asked."""

import asyncio
import json
import subprocess
import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.oauth.client_documents import ClientDocuments, ClientFinder, fetched, read_document
from server.oauth.clients import Client, Redirects, describe, document_site, is_id
from server.oauth.lookups import (
    BUSY_SECONDS,
    FRESH,
    GOOD,
    MISSING,
    MOST_AT_ONCE,
    MOST_CACHED,
    SLOW,
    NobodyAnswers,
    NotNow,
)

URL = "https://client.example/oauth/client.json"
KNOWN = "https://claude.ai/oauth/claude-code-client-metadata"
OWNER = "203.0.113.9"
STRANGERS = [f"198.51.{number}.7" for number in range(100)]
CURSOR = "cursor://anysphere.cursor-mcp/oauth/callback"
REDIRECTS = Redirects(["extra.example"])
DOCUMENT = {
    "client_id": URL,
    "client_name": "Example",
    "redirect_uris": ["http://localhost/callback"],
    "token_endpoint_auth_method": "none",
}


def body(**changed):
    said = {name: value for name, value in {**DOCUMENT, **changed}.items() if value is not ...}
    return json.dumps(said).encode()


def read(**changed):
    return read_document(URL, body(**changed), REDIRECTS)


@pytest.mark.parametrize(
    "client_id",
    [
        URL,
        "https://claude.ai/oauth/claude-code-client-metadata",
        "https://vscode.dev/oauth/client-metadata.json",
        "https://chatgpt.com/oauth/codex/client.json",
        "https://a.b.example/x",
    ],
)
def test_an_address_with_a_path_may_be_an_id(client_id):
    assert document_site(client_id) == client_id.split("/")[2]
    assert is_id(client_id)


@pytest.mark.parametrize(
    "client_id",
    [
        "",
        "https://client.example",
        "https://client.example/",
        "https://client.example//",
        "http://client.example/x",
        "https://client.example:443/x",
        "https://client.example:8443/x",
        "https://client.example/x?y",
        "https://client.example/x?",
        "https://client.example/x#y",
        "https://client.example/../x",
        "https://client.example/x/.",
        "https://client.example/%2e%2e/x",
        "https://user@client.example/x",
        "https://client.example\\@evil.example/x",
        "https://Client.example/x",
        "https://localhost/x",
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://2130706433/x",
        "https://[::1]/x",
        "https://client.example./x",
        "https://.example/x",
        "https://client..example/x",
        "cursor://client.example/x",
        "https://client.example/" + "x" * 300,
    ],
)
def test_any_other_address_is_not_an_id(client_id):
    assert document_site(client_id) is None
    assert not is_id(client_id)


def test_a_document_says_what_a_client_is():
    assert read() == Client(URL, "Example", ("http://localhost/callback",), "client.example")


@pytest.mark.parametrize(
    ("uris", "kept"),
    [
        (["https://client.example/cb"], ["https://client.example/cb"]),
        (["https://client.example:8443/cb", "http://127.0.0.1/"], ["http://127.0.0.1/"]),
        (["https://sub.client.example/cb", "http://[::1]/"], ["http://[::1]/"]),
        (["http://client.example/cb", CURSOR], [CURSOR]),
        (["https://claude.ai/cb", "https://other.example/cb"], ["https://claude.ai/cb"]),
        (["https://extra.example/cb", 7, None, "javascript:1"], ["https://extra.example/cb"]),
    ],
)
def test_answers_may_go_to_the_documents_own_host_to_programs_and_to_allowed_ones(uris, kept):
    client = read(redirect_uris=uris)
    assert client is not None
    assert list(client.redirects) == kept


def test_an_answer_to_the_host_of_a_document_is_allowed_to_its_client_only():
    assert REDIRECTS.allows("https://client.example/cb", "client.example")
    assert not REDIRECTS.allows("https://client.example/cb")
    assert not REDIRECTS.allows("https://client.example/cb", "other.example")
    assert not REDIRECTS.allows("https://evil.example/cb", "")


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": ...},
        {"client_id": URL + "/"},
        {"client_id": "https://other.example/oauth/client.json"},
        {"client_id": [URL]},
        {"redirect_uris": ...},
        {"redirect_uris": []},
        {"redirect_uris": "http://localhost/callback"},
        {"redirect_uris": ["https://evil.example/cb"]},
        {"redirect_uris": ["http://localhost/" + "x" * 300]},
        {"client_secret": "s3cr3t"},
        {"token_endpoint_auth_method": "client_secret_post"},
        {"token_endpoint_auth_method": "client_secret_basic"},
    ],
)
def test_a_document_of_another_client_or_without_usable_content_is_rejected(changed):
    assert read(**changed) is None


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 5000, b'"x"'])
def test_anything_but_an_object_is_rejected(raw):
    assert read_document(URL, raw, REDIRECTS) is None


@given(st.binary(max_size=200) | st.dictionaries(st.sampled_from(list(DOCUMENT)), st.text()))
def test_no_document_makes_reading_fail(said):
    raw = said if isinstance(said, bytes) else json.dumps({**DOCUMENT, **said}).encode()
    client = read_document(URL, raw, REDIRECTS)
    assert client is None or all(REDIRECTS.allows(uri, client.site) for uri in client.redirects)


def test_a_name_is_one_short_line_or_none():
    assert read(client_name="\u202e Evil\n" + "x" * 100).name == ("Evil " + "x" * 100)[:60]
    assert read(client_name=7).name == ""
    assert read(client_name=...).name == ""


class Web:
    """What lies at which address, and who has been asked for it when."""

    def __init__(self, spacing=2.0):
        self.bodies = {one: body(client_id=one) for one in (URL, KNOWN)}
        self.asked, self.slept, self.took, self.down = [], [], {}, False
        self.time = 1000.0
        self.begun, self.loop = asyncio.Event(), asyncio.get_running_loop()
        self.held = threading.Event()
        self.held.set()
        self.documents = ClientDocuments(
            REDIRECTS,
            spacing=spacing,
            source=lambda host: host,
            fetch=self.fetch,
            now=lambda: self.time,
            sleep=self.sleep,
        )

    def fetch(self, url):
        self.asked.append((url, self.time))
        self.loop.call_soon_threadsafe(self.begun.set)
        assert self.held.wait(30)
        self.time += next((took for site, took in self.took.items() if site in url), 0.0)
        if self.down:
            raise NobodyAnswers
        return self.bodies.get(url)

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.time += seconds

    async def find(self, url=URL, host=None):
        return await self.documents.find(url, host)

    def flood(self, site, hosts=STRANGERS):
        """Have each of some strangers ask for another document of a site."""
        urls = [site.format(n) for n in range(len(hosts))]
        return [asyncio.create_task(self.find(*one)) for one in zip(urls, hosts, strict=True)]


async def outcomes(tasks):
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_document_is_cached_for_an_hour():
    web = Web()
    assert (await web.find()).name == "Example"
    web.time += FRESH - 1
    assert (await web.find()).name == "Example"
    assert len(web.asked) == 1
    web.bodies[URL] = body(client_name="Renamed")
    web.time += 2
    assert (await web.find()).name == "Renamed"
    assert len(web.asked) == 2


async def test_a_missing_document_is_not_fetched_again_for_a_minute():
    web = Web()
    del web.bodies[URL]
    assert await web.find() is None
    web.bodies[URL] = body()
    web.time += MISSING - 1
    assert await web.find() is None
    assert len(web.asked) == 1
    web.time += 2
    assert (await web.find()).name == "Example"


async def test_an_expired_document_serves_for_a_day_when_it_cannot_be_fetched():
    web = Web()
    await web.find()
    del web.bodies[URL]
    web.time += FRESH + 1
    assert (await web.find()).name == "Example"
    assert (await web.find()).name == "Example"
    assert len(web.asked) == 2
    web.time += GOOD
    assert await web.find() is None


async def test_a_client_of_an_unreachable_site_is_not_called_unknown_and_the_log_says_why(
    caplog,
):
    web = Web()
    web.down = True
    for waited, left in ((0.0, MISSING), (10.0, MISSING - 10.0)):
        web.time += waited
        with pytest.raises(NotNow) as told:
            await web.find(KNOWN)
        assert told.value.seconds == left
    assert len(web.asked) == 1
    (line,) = caplog.messages
    assert KNOWN in line
    assert "OIG_CLIENT_DOCUMENTS=off" in line
    web.down = False
    assert await web.find("https://claude.ai/none") is None
    web.time += MISSING
    assert (await web.find(KNOWN)).name == "Example"


async def test_the_last_document_serves_while_the_site_does_not_answer():
    web = Web()
    await web.find()
    web.down = True
    web.time += FRESH + 1
    assert (await web.find()).name == "Example"
    assert (await web.find()).name == "Example"
    assert len(web.asked) == 2


async def test_unreachable_sites_named_by_strangers_do_not_fill_the_log(caplog):
    web = Web(spacing=0.0)
    web.down = True
    for number in range(50):
        with pytest.raises(NotNow):
            await web.find(f"https://evil{number}.example/x")
    assert len(caplog.records) <= 20


@pytest.mark.parametrize(("code", "raises"), [(0, False), (1, False), (2, True), (-14, True)])
def test_only_an_explicit_answer_means_that_there_is_no_document(monkeypatch, code, raises):
    done = subprocess.CompletedProcess([], code, b"{}" if code == 0 else b"")
    monkeypatch.setattr("server.oauth.client_documents.subprocess.run", lambda *_, **__: done)
    if raises:
        with pytest.raises(NobodyAnswers):
            fetched(URL)
    else:
        assert fetched(URL) == (b"{}" if code == 0 else None)


async def test_a_document_that_became_invalid_is_dropped():
    web = Web()
    await web.find()
    web.bodies[URL] = body(client_id="https://other.example/x")
    web.time += FRESH + 1
    assert await web.find() is None
    assert await web.find() is None


async def test_fetches_go_out_one_at_a_time_and_are_spaced():
    web = Web(spacing=2.0)
    urls = [f"https://a.site{number}.example/x" for number in range(MOST_AT_ONCE)]
    await asyncio.gather(*map(web.find, urls))
    assert [url for url, _ in web.asked] == urls
    times = [at for _, at in web.asked]
    assert [later - earlier for earlier, later in pairwise(times)] == [2.0, 2.0]


async def test_callers_of_one_document_share_one_fetch():
    web = Web()
    found = await asyncio.gather(*(web.find() for _ in range(20)))
    assert {client.name for client in found} == {"Example"}
    assert len(web.asked) == 1


FLOODS = {
    "of addresses of one site": "https://evil.example/{}",
    "of hosts of one site": "https://{}.evil.example/x",
    "of sites": "https://evil{}.example/x",
}


@pytest.mark.parametrize("site", FLOODS.values(), ids=FLOODS)
async def test_unknown_sites_do_not_block_lookups_of_known_ones(site, caplog):
    web = Web()
    web.held.clear()
    flood = web.flood(site)
    await web.begun.wait()
    web.begun.clear()
    known = asyncio.create_task(web.find(KNOWN, OWNER))
    await web.begun.wait()
    assert web.asked[1][0] == KNOWN
    web.held.set()
    assert (await known).name == "Example"
    found = await outcomes(flood)
    taken = MOST_AT_ONCE if site == FLOODS["of sites"] else 1
    assert len(web.asked) == 1 + taken
    # A caller without a place learns that, and not that there is no such client.
    assert found.count(None) == taken
    assert {one.seconds for one in found if one is not None} == {BUSY_SECONDS}
    # Strangers who ask for many fill no log.
    assert len(caplog.records) <= 20


async def test_each_unknown_site_has_one_place_in_the_queue():
    web = Web()
    web.held.clear()
    flood = web.flood("https://{}.evil.test/x")
    await web.begun.wait()
    other = asyncio.create_task(web.find(URL, OWNER))
    web.held.set()
    assert (await other).name == "Example"
    await outcomes(flood)


@pytest.mark.parametrize("site", ["https://claude.ai/{}", "https://evil{}.example/x"])
@pytest.mark.parametrize("network", ["198.51.100.{}", "2001:db8:0:{:x}::/64"])
async def test_each_calling_network_has_one_place_in_the_queue(site, network):
    web = Web()
    web.held.clear()
    flood = web.flood(site, [network.format(number) for number in range(50)])
    await web.begun.wait()
    own = asyncio.create_task(web.find(KNOWN if "claude" in site else URL, OWNER))
    web.held.set()
    assert (await own).name == "Example"
    assert (await outcomes(flood)).count(None) == 1


async def test_a_shared_source_may_have_several_lookups():
    web = Web()
    found = await outcomes(web.flood("https://claude.ai/{}", [None] * MOST_AT_ONCE))
    assert found == [None] * MOST_AT_ONCE


async def test_a_slow_site_waits_its_turn_under_all_its_subdomains():
    web = Web()
    web.took["evil.example"] = SLOW
    # Nobody has said that there is no such client.
    with pytest.raises(NotNow) as told:
        await web.find("https://a.evil.example/1")
    assert told.value.seconds == MISSING
    web.time += 10.0
    with pytest.raises(NotNow) as told:
        await web.find("https://b.evil.example/2")
    assert told.value.seconds == MISSING - 10.0
    assert len(web.asked) == 1
    web.time += MISSING
    web.took.clear()
    assert await web.find("https://b.evil.example/2") is None
    assert len(web.asked) == 2


async def test_a_site_that_drips_a_good_document_waits_its_turn_too():
    web = Web()
    web.took["client.example"] = SLOW
    assert (await web.find()).name == "Example"
    with pytest.raises(NotNow):
        await web.find("https://client.example/other")
    assert (await web.find()).name == "Example"


async def test_a_path_chosen_by_a_stranger_delays_no_other_path_of_its_site():
    web = Web()
    assert await web.find("https://client.example/none") is None
    assert (await web.find()).name == "Example"
    # At a known site that is so however slow it was.
    web.took["claude.ai"] = SLOW
    with pytest.raises(NotNow):
        await web.find("https://claude.ai/none")
    web.took.clear()
    assert (await web.find(KNOWN)).name == "Example"


async def test_a_cached_document_is_served_while_the_queue_is_full():
    web = Web()
    await web.find(KNOWN)
    web.time += FRESH + 1
    web.begun.clear()
    web.held.clear()
    flood = web.flood("https://claude.ai/{}")
    await web.begun.wait()
    assert (await web.find(KNOWN, OWNER)).name == "Example"
    web.held.set()
    await outcomes(flood)


async def fill(web, site, count=MOST_CACHED + 20):
    for number in range(count):
        url = site.format(number)
        web.bodies[url] = body(client_id=url)
        assert await web.find(url) is not None


@pytest.mark.parametrize("site", FLOODS.values(), ids=FLOODS)
async def test_documents_of_unknown_sites_never_evict_one_of_a_known_site(site):
    web = Web(spacing=0.0)
    await web.find(KNOWN)
    await fill(web, site)
    assert (await web.find(KNOWN)).name == "Example"
    assert [url for url, _ in web.asked].count(KNOWN) == 1


async def test_a_site_with_many_documents_evicts_its_own():
    web = Web(spacing=0.0)
    await web.find()
    await fill(web, "https://{}.evil.test/x")
    await web.find()
    assert [url for url, _ in web.asked].count(URL) == 1


async def test_a_document_that_led_to_a_grant_is_not_evicted_by_ones_that_did_not():
    web = Web(spacing=0.0)
    await web.find()
    web.documents.granted(URL)
    web.documents.granted("https://client.example/unknown")
    web.documents.granted("no address")
    # It stays so when it is fetched again.
    web.time += FRESH + 1
    await web.find()
    await fill(web, "https://x.evil{}.test/x")
    await web.find()
    assert [url for url, _ in web.asked].count(URL) == 2


async def test_the_document_cache_is_bounded():
    web = Web(spacing=0.0)
    for number in range(MOST_CACHED + 20):
        for kind in ("good", "none"):
            url = f"https://{kind}{number}.test/x"
            if kind == "good":
                web.bodies[url] = body(client_id=url)
            await web.find(url)
            web.documents.granted(url)
    web.took[""] = SLOW
    for number in range(MOST_CACHED + 20):
        with pytest.raises(NotNow):
            await web.find(f"https://slow{number}.test/x")
    kept = web.documents._at_others
    tables = (kept._cached, kept._missing, kept._slow)
    assert [len(table) for table in tables] == [MOST_CACHED] * 3


async def test_an_invalid_document_address_is_never_fetched():
    web = Web()
    for client_id in ("", "https://127.0.0.1/x", "http://client.example/x", "x" * 5000):
        assert await web.find(client_id) is None
    assert web.asked == []


async def test_a_caller_that_goes_away_leaves_the_fetch_to_others():
    web = Web()
    web.held.clear()
    gone, stays = asyncio.create_task(web.find()), asyncio.create_task(web.find())
    await web.begun.wait()
    gone.cancel()
    web.held.set()
    assert (await stays).name == "Example"


async def test_a_stopping_worker_waits_for_no_fetch():
    web = Web()
    web.held.clear()
    asked = asyncio.create_task(web.find())
    await web.begun.wait()
    await web.documents.aclose()
    with pytest.raises(asyncio.CancelledError):
        await asked
    web.held.set()


async def test_clients_of_both_kinds_are_found_and_documents_only_if_lookups_are_on():
    web = Web()
    own = describe("Own", ["http://localhost/cb"])
    finder, without = ClientFinder(web.documents), ClientFinder(None)
    assert (await finder.find(own, None)).name == "Own"
    assert (await finder.find(URL, None)).name == "Example"
    assert (await without.find(own, None)).name == "Own"
    assert await without.find(URL, None) is None
    assert await finder.find("", None) is None
    for one in (finder, without):
        one.granted(URL)
    assert len(web.asked) == 1
